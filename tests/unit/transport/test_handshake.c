/* Attacks on the handshake, by the ids of the attack list, and our own hfs vectors. The attackers here are better armed than real ones: they use
 * the private parts of crypto/transport to build messages that are right in everything but the one thing under test. */
#include "handshake_pair.h"
#include "x25519.h"
#include <jansson.h>
#include <sys/resource.h>
#include <unistd.h>

/* The sanitizers put an mlock of their own in place of the real one, which locks nothing. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { MLOCK_IS_REAL = 0 };
#else
enum { MLOCK_IS_REAL = 1 };
#endif

static const uint8_t zeros[32];

/* ---- our own vectors ------------------------------------------------------------------------------------------------------------------- */
static json_t *vectors(const char *file)
{
    char path[512];
    json_error_t error;
    const char *dir = getenv("TACET_VECTORS");
    ck_assert_ptr_nonnull(dir);
    snprintf(path, sizeof path, "%s/%s", dir, file);
    json_t *doc = json_load_file(path, 0, &error);
    ck_assert_msg(doc != NULL, "%s: %s", path, error.text);
    return doc;
}
static const char *field(json_t *o, const char *name) { return json_string_value(json_object_get(o, name)); }
static void field_is(json_t *o, const char *name, const uint8_t *got, size_t n)
{
    uint8_t want[TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    ck_assert_msg(field(o, name) != NULL, "no field %s", name);
    ck_assert_uint_eq(unhex(want, sizeof want, field(o, name)), n);
    ck_assert_msg(sodium_memcmp(want, got, n) == 0, "%s differs", name);
}

static void run_vector(json_t *v)
{
    bool mailbox = json_integer_value(json_object_get(v, "role")) == TACET_ROLE_MAILBOX;
    handshake_pattern pattern = mailbox ? HANDSHAKE_XKHFS : HANDSHAKE_NKHFS;
    fixed_env ce, re;
    uint8_t cs[32], rs[32], rp[32], pre[TACET_PREAMBLE_BYTES], m[TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    fixed_init(&ce);
    fixed_add(&ce, field(v, "client_ephemeral_secret"));
    fixed_add(&ce, field(v, "client_kem_seed"));
    fixed_init(&re);
    fixed_add(&re, field(v, "relay_ephemeral_secret"));
    fixed_add(&re, field(v, "relay_kem_coins"));
    unhex(rs, 32, field(v, "relay_static_secret"));
    unhex(rp, 32, field(v, "relay_static_public"));
    if (mailbox)
        unhex(cs, 32, field(v, "client_static_secret"));
    preamble_encode(pre, TACET_WIRE_VERSION, mailbox ? TACET_ROLE_MAILBOX : TACET_ROLE_OPEN);
    field_is(v, "preamble", pre, sizeof pre);

    handshake *c = NULL, *r = NULL;
    ck_assert_int_eq(handshake_initiator_new(&c, pattern, &ce.env, pre, sizeof pre, mailbox ? cs : NULL, rp), TACET_OK);
    ck_assert_int_eq(handshake_responder_new(&r, pattern, &re.env, pre, sizeof pre, rs), TACET_OK);
    static const char *const name[] = { "m1", "m2", "m3" };
    int at = 0;
    for (; handshake_next(c) != HANDSHAKE_DONE; at++) {
        handshake *from = at % 2 ? r : c, *to = at % 2 ? c : r;
        size_t n = handshake_message_bytes(from);
        ck_assert_int_eq(handshake_write(from, m), TACET_OK);
        field_is(v, name[at], m, n);
        ck_assert_int_eq(handshake_read(to, m, n), TACET_OK);
    }
    ck_assert_int_eq(at, mailbox ? 3 : 2);
    ck_assert_uint_eq(ce.used, ce.filled);
    ck_assert_uint_eq(re.used, re.filled);

    handshake_keys ck, rk;
    ck_assert_int_eq(handshake_split(c, &ck), TACET_OK);
    ck_assert_int_eq(handshake_split(r, &rk), TACET_OK);
    field_is(v, "handshake_hash", ck.hash, 64);
    field_is(v, "handshake_hash", rk.hash, 64);
    field_is(v, "key_client_to_relay", ck.send, 32);
    field_is(v, "key_client_to_relay", rk.receive, 32);
    field_is(v, "key_relay_to_client", ck.receive, 32);
    field_is(v, "key_relay_to_client", rk.send, 32);
    if (mailbox) {
        x25519_public(m, cs);
        ck_assert_mem_eq(rk.remote_static, m, 32);
    } else {
        ck_assert(sodium_is_zero(rk.remote_static, 32));
    }
    handshake_free(c);
    handshake_free(r);
}

START_TEST(hfs_vectors_of_a_second_implementation)
{
    json_t *doc = vectors("handshake.json"), *v;
    size_t i;
    json_array_foreach(json_object_get(doc, "vectors"), i, v) run_vector(v);
    ck_assert_uint_eq(i, 2);
    json_decref(doc);
}
END_TEST

START_TEST(message_lengths_are_fixed)
{
    pair p;
    pair_init(&p);
    ck_assert_uint_eq(handshake_message_bytes(p.client), 1248);
    ck_assert_uint_eq(handshake_message_bytes(p.relay), 1248);
    pair_run(&p, 1);
    ck_assert_uint_eq(handshake_message_bytes(p.relay), 1152);
    ck_assert_int_eq(handshake_write(p.relay, p.m2), TACET_OK);
    ck_assert_uint_eq(handshake_message_bytes(p.relay), 64);
    pair_free(&p);
}
END_TEST

/* ---- replay, bits, pair_prologue --------------------------------------------------------------------------------------------------------------- */
START_TEST(T01_replayed_messages_lead_nowhere)
{
    pair p;
    pair_init(&p);
    pair_run(&p, 3);
    handshake *second = relay_new(&p);
    uint8_t m2[TACET_M2_BYTES];
    ck_assert_int_eq(handshake_read(second, p.m1, sizeof p.m1), TACET_OK); /* m1 alone proves nothing ... */
    ck_assert_int_eq(handshake_write(second, m2), TACET_OK);
    ck_assert(sodium_memcmp(m2, p.m2, 32) != 0);
    assert_refuses(second, p.m3, sizeof p.m3); /* ... and the m3 that went with it does not fit */
    handshake_free(second);
    pair_free(&p);
}
END_TEST

/* Flips every bit of a message and gives it to a copy of the receiver. */
static void flip_every_bit(const handshake *receiver, uint8_t *message, size_t n)
{
    handshake *copy = sodium_malloc(sizeof *copy);
    ck_assert_ptr_nonnull(copy);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        *copy = *receiver;
        message[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(handshake_read(copy, message, n) == TACET_E_HANDSHAKE, "bit %zu", bit);
        ck_assert_int_eq(handshake_next(copy), HANDSHAKE_FAILED);
        message[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    *copy = *receiver;
    ck_assert_int_eq(handshake_read(copy, message, n), TACET_OK);
    sodium_free(copy);
}

START_TEST(T02_every_flipped_bit_is_refused)
{
    pair p;
    pair_init(&p);
    ck_assert_int_eq(handshake_write(p.client, p.m1), TACET_OK);
    flip_every_bit(p.relay, p.m1, sizeof p.m1);
    ck_assert_int_eq(handshake_read(p.relay, p.m1, sizeof p.m1), TACET_OK);
    ck_assert_int_eq(handshake_write(p.relay, p.m2), TACET_OK);
    flip_every_bit(p.client, p.m2, sizeof p.m2);
    ck_assert_int_eq(handshake_read(p.client, p.m2, sizeof p.m2), TACET_OK);
    ck_assert_int_eq(handshake_write(p.client, p.m3), TACET_OK);
    flip_every_bit(p.relay, p.m3, sizeof p.m3);
    pair_free(&p);
}
END_TEST

START_TEST(T03_an_edited_preamble_fails_at_message_1)
{
    pair p;
    pair_init(&p);
    for (size_t bit = 0; bit < 8 * sizeof pair_prologue; bit++) {
        uint8_t edited[sizeof pair_prologue];
        memcpy(edited, pair_prologue, sizeof edited);
        edited[bit / 8] ^= (uint8_t)(1u << bit % 8);
        handshake *c = NULL, *r = relay_new(&p);
        ck_assert_int_eq(handshake_initiator_new(&c, HANDSHAKE_XKHFS, &p.env.env, edited, sizeof edited, p.tk, p.rk_public), TACET_OK);
        ck_assert_int_eq(handshake_write(c, p.m1), TACET_OK);
        assert_refuses(r, p.m1, sizeof p.m1);
        handshake_free(c);
        handshake_free(r);
    }
    pair_free(&p);
}
END_TEST

static const struct {
    const char *what;
    uint8_t bytes[8];
    int want;
} preambles[] = {
    { "mailbox", { 't', 'a', 'c', 'e', 't', 1, 1, 0 }, TACET_OK },
    { "open", { 't', 'a', 'c', 'e', 't', 1, 2, 0 }, TACET_OK },
    { "role 0", { 't', 'a', 'c', 'e', 't', 1, 0, 0 }, TACET_E_MALFORMED },
    { "role 3", { 't', 'a', 'c', 'e', 't', 1, 3, 0 }, TACET_E_MALFORMED },
    { "last byte", { 't', 'a', 'c', 'e', 't', 1, 1, 1 }, TACET_E_MALFORMED },
    { "an answer is no opening", { 't', 'a', 'c', 'e', 't', 1, 1, 0xff }, TACET_E_MALFORMED },
    { "version 0", { 't', 'a', 'c', 'e', 't', 0, 1, 0 }, TACET_E_VERSION },
    { "version 2", { 't', 'a', 'c', 'e', 't', 2, 1, 0 }, TACET_E_VERSION },
    { "version 2, a role of its own", { 't', 'a', 'c', 'e', 't', 2, 9, 0 }, TACET_E_VERSION },
    { "not ours", { 'G', 'E', 'T', ' ', '/', ' ', 'H', 'T' }, TACET_E_MALFORMED },
};
START_TEST(T03_preamble_table)
{
    tacet_role role = (tacet_role)99;
    uint8_t again[8];
    int got = preamble_decode(preambles[_i].bytes, &role);
    ck_assert_msg(got == preambles[_i].want, "%s: %d", preambles[_i].what, got);
    if (got != TACET_OK) {
        ck_assert_int_eq((int)role, 99);
        return;
    }
    preamble_encode(again, 1, role);
    ck_assert_mem_eq(again, preambles[_i].bytes, 8);
}
END_TEST

START_TEST(T03_the_answer_to_a_foreign_version)
{
    uint8_t answer[8], lowest = 0, highest = 0;
    tacet_role role;
    preamble_unsupported(answer, 2, 5);
    ck_assert(preamble_is_unsupported(answer, &lowest, &highest));
    ck_assert_uint_eq(lowest, 2);
    ck_assert_uint_eq(highest, 5);
    ck_assert_int_ne(preamble_decode(answer, &role), TACET_OK);
    ck_assert(!preamble_is_unsupported(pair_prologue, &lowest, &highest));
}
END_TEST

/* ---- who is who ------------------------------------------------------------------------------------------------------------------------------ */
/* A relay that has another secret, but says that its key is the pinned one. */
static handshake *impostor_new(pair *p, const uint8_t secret[32])
{
    handshake *h = NULL;
    ck_assert_int_eq(handshake_responder_new(&h, HANDSHAKE_XKHFS, &p->env.env, pair_prologue, sizeof pair_prologue, secret), TACET_OK);
    symmetric_start(&h->sym, h->pattern->name);
    symmetric_mix_hash(&h->sym, pair_prologue, sizeof pair_prologue);
    symmetric_mix_hash(&h->sym, p->rk_public, 32);
    return h;
}
/* What an impostor can still do with an m1 that it cannot open: answer it as if es had been `guess`. A guess that opens e1 after all is used to the full,
 * so that nothing but es stands between it and m3. */
static void impostor_m2(handshake *h, const uint8_t m1[TACET_M1_BYTES], const uint8_t guess[32], uint8_t m2[TACET_M2_BYTES])
{
    enum { E1_BYTES = NOISE_KEM_PUBLIC_BYTES + NOISE_TAG_BYTES };
    symmetric *s = &h->sym;
    memcpy(h->re, m1, 32);
    symmetric_mix_hash(s, m1, 32);
    symmetric_mix_key(s, guess, 32);
    symmetric opened = *s;
    if (symmetric_decrypt_and_hash(&opened, h->kem.remote, m1 + 32, NOISE_KEM_PUBLIC_BYTES) != TACET_OK)
        ck_assert_int_eq(crypto_kem_mlkem768_keypair(h->kem.remote, (uint8_t[NOISE_KEM_SECRET_BYTES]){ 0 }), 0);
    symmetric_mix_hash(s, m1 + 32, E1_BYTES);
    symmetric_mix_hash(s, m1 + 32 + E1_BYTES, NOISE_TAG_BYTES);
    h->at = 1;
    ck_assert_int_eq(handshake_write(h, m2), TACET_OK);
}

START_TEST(T04_wrong_relay_key_never_sees_m3)
{
    pair p;
    uint8_t other[32];
    pair_init(&p);
    env_random(&p.env.env, other, 32);
    ck_assert_int_eq(handshake_write(p.client, p.m1), TACET_OK);
    handshake *fake = impostor_new(&p, other);
    assert_refuses(fake, p.m1, sizeof p.m1);
    handshake_free(fake);
    fake = impostor_new(&p, other);
    impostor_m2(fake, p.m1, zeros, p.m2);
    assert_refuses(p.client, p.m2, sizeof p.m2); /* dead: handshake_write gives no m3 */
    handshake_free(fake);
    pair_free(&p);
}
END_TEST

START_TEST(T06_the_clients_key_does_not_make_a_relay)
{
    pair p;
    uint8_t guess[32];
    pair_init(&p);
    ck_assert_int_eq(handshake_write(p.client, p.m1), TACET_OK);
    handshake *fake = impostor_new(&p, p.tk);
    assert_refuses(fake, p.m1, sizeof p.m1);
    handshake_free(fake);
    /* every DH that the attacker can do with the client's static key */
    const uint8_t *const theirs[] = { p.m1, p.rk_public, p.tk_public };
    for (size_t i = 0; i < ROWS(theirs); i++) {
        handshake *c = client_new(&p, p.rk_public);
        fake = impostor_new(&p, p.tk);
        ck_assert_int_eq(handshake_write(c, p.m1), TACET_OK);
        ck_assert_int_eq(x25519_shared(guess, p.tk, theirs[i]), TACET_OK);
        impostor_m2(fake, p.m1, guess, p.m2);
        assert_refuses(c, p.m2, sizeof p.m2);
        handshake_free(c);
        handshake_free(fake);
    }
    pair_free(&p);
}
END_TEST

START_TEST(T07_a_leaked_ephemeral_does_not_log_in)
{
    pair p;
    pair_init(&p);
    pair_run(&p, 2);
    /* The thief has the whole state of the client's handshake, its e included, but not TK: it names the victim's key and uses its own. */
    handshake *thief = sodium_malloc(sizeof *thief);
    *thief = *p.client;
    env_random(&p.env.env, thief->s_secret, 32);
    ck_assert_int_eq(handshake_write(thief, p.m3), TACET_OK);
    assert_refuses(p.relay, p.m3, sizeof p.m3);
    sodium_free(thief);
    pair_free(&p);
}
END_TEST

/* ---- turns, lengths, counters -------------------------------------------------------------------------------------------------------------------- */
START_TEST(T11_no_keys_before_the_last_message)
{
    pair p;
    handshake_keys keys;
    pair_init(&p);
    for (int done = 0; done <= 2; done++) {
        ck_assert_int_eq(handshake_split(p.client, &keys), TACET_E_HANDSHAKE);
        ck_assert_int_eq(handshake_split(p.relay, &keys), TACET_E_HANDSHAKE);
        if (done == 0)
            pair_run(&p, 1);
        else if (done == 1) {
            ck_assert_int_eq(handshake_read(p.relay, p.m1, sizeof p.m1), TACET_E_HANDSHAKE); /* not its turn, and no harm done */
            ck_assert_int_eq(handshake_write(p.client, p.m3), TACET_E_HANDSHAKE);
            ck_assert_int_eq(handshake_write(p.relay, p.m2), TACET_OK);
            ck_assert_int_eq(handshake_read(p.client, p.m2, sizeof p.m2), TACET_OK);
        }
    }
    ck_assert_int_eq(handshake_write(p.client, p.m3), TACET_OK);
    ck_assert_int_eq(handshake_split(p.relay, &keys), TACET_E_HANDSHAKE); /* the client is not known yet */
    ck_assert_int_eq(handshake_read(p.relay, p.m3, sizeof p.m3), TACET_OK);
    ck_assert_int_eq(handshake_split(p.relay, &keys), TACET_OK);
    ck_assert_mem_eq(keys.remote_static, p.tk_public, 32);
    ck_assert_int_eq(handshake_split(p.relay, &keys), TACET_E_HANDSHAKE); /* once */
    ck_assert(sodium_is_zero((const uint8_t *)&p.relay->sym, sizeof p.relay->sym));
    pair_free(&p);
}
END_TEST

START_TEST(T14_any_other_length_is_refused)
{
    pair p;
    uint8_t big[2 * TACET_M1_BYTES] = { 0 };
    pair_init(&p);
    ck_assert_int_eq(handshake_write(p.client, p.m1), TACET_OK);
    memcpy(big, p.m1, sizeof p.m1);
    for (size_t n = 0; n < sizeof big; n++) {
        if (n == sizeof p.m1)
            continue;
        handshake *r = relay_new(&p);
        ck_assert_int_eq(handshake_read(r, big, n), TACET_E_HANDSHAKE);
        ck_assert_int_eq(handshake_next(r), HANDSHAKE_FAILED);
        handshake_free(r);
    }
    pair_free(&p);
}
END_TEST

START_TEST(T10_the_handshake_counter_does_not_wrap)
{
    symmetric s;
    uint8_t out[64] = { 0 }, in[48] = { 0 };
    symmetric_start(&s, "x");
    symmetric_mix_key(&s, zeros, 32);
    s.n = UINT64_MAX - 1;
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, out, in, 32), TACET_OK);
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, out, in, 32), TACET_E_HANDSHAKE);
    ck_assert_int_eq(symmetric_decrypt_and_hash(&s, in, out, 32), TACET_E_HANDSHAKE);
}
END_TEST

/* The client's transport key is in memory that is locked, or nowhere. */
START_TEST(memory_that_cannot_be_locked_is_refused)
{
    const struct rlimit none = { 0, 0 };
    handshake *h = NULL;
    pair p;
    pair_init(&p);
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(setresuid(65534, 65534, 65534), 0); /* root may lock without limit */
    ck_assert_int_eq(handshake_initiator_new(&h, HANDSHAKE_XKHFS, &p.env.env, pair_prologue, sizeof pair_prologue, p.tk, p.rk_public),
                     TACET_E_LOCKING);
    ck_assert_ptr_null(h);
    pair_free(&p);
}
END_TEST

SUITE("handshake", TEST(hfs_vectors_of_a_second_implementation), TEST(message_lengths_are_fixed), TEST(T01_replayed_messages_lead_nowhere),
      TEST(T02_every_flipped_bit_is_refused), TEST(T03_an_edited_preamble_fails_at_message_1), LOOP(T03_preamble_table, ROWS(preambles)),
      TEST(T03_the_answer_to_a_foreign_version), TEST(T04_wrong_relay_key_never_sees_m3), TEST(T06_the_clients_key_does_not_make_a_relay),
      TEST(T07_a_leaked_ephemeral_does_not_log_in), TEST(T11_no_keys_before_the_last_message), TEST(T14_any_other_length_is_refused),
      TEST(T10_the_handshake_counter_does_not_wrap), LOOP(memory_that_cannot_be_locked_is_refused, MLOCK_IS_REAL))
