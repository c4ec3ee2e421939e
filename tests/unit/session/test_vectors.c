/* tests/vectors/session.json: an agreement, its first envelope, later messages and messages in PQ epoch 1, with every private input and every key on
 * the way. The envelopes come from session_seal; the keys are derived here a second time, from docs/PROTOCOL.md §5 and §6 and libsodium alone, and open
 * the envelopes. The file must say the same. TACET_WRITE_VECTORS=1 writes it anew. */
#include "base/writer.h"
#include "pair.h"
#include "state.h"
#include <jansson.h>

static uint8_t plain[TACET_ENVELOPE_MAX_BYTES];

/* ---- JSON ------------------------------------------------------------------------------------------------------------------------------ */

static void put(json_t *o, const char *name, const uint8_t *bytes, size_t n)
{
    char *text = malloc(2 * n + 1);
    ck_assert_ptr_nonnull(text);
    sodium_bin2hex(text, 2 * n + 1, bytes, n);
    ck_assert_int_eq(json_object_set_new(o, name, json_string(text)), 0);
    free(text);
}
static void put_int(json_t *o, const char *name, uint64_t v) { ck_assert_int_eq(json_object_set_new(o, name, json_integer((json_int_t)v)), 0); }
static void put_text(json_t *o, const char *name, const char *v) { ck_assert_int_eq(json_object_set_new(o, name, json_string(v)), 0); }

/* ---- what the environment gave out ------------------------------------------------------------------------------------------------------- */

typedef struct {
    tacet_env env;
    const tacet_env *real;
    uint8_t draw[8][64];
    size_t count;
} recorder;

static uint64_t rec_now(void *ctx) { return env_now_ms(((recorder *)ctx)->real); }
static uint64_t rec_mono(void *ctx) { return env_mono_ms(((recorder *)ctx)->real); }
static void rec_random(void *ctx, uint8_t *out, size_t bytes)
{
    recorder *r = ctx;
    env_random(r->real, out, bytes);
    ck_assert(r->count < ROWS(r->draw) && bytes <= sizeof r->draw[0]);
    memcpy(r->draw[r->count++], out, bytes);
}
static void rec_begin(recorder *r, const tacet_env *real) { *r = (recorder){ .env = { r, rec_now, rec_mono, rec_random }, .real = real }; }

/* ---- the second implementation ----------------------------------------------------------------------------------------------------------- */

static void hkdf(uint8_t *out, size_t n, const uint8_t *salt, size_t salt_n, const uint8_t *ikm, size_t ikm_n, const void *info, size_t info_n)
{
    uint8_t prk[32];
    ck_assert_int_eq(crypto_kdf_hkdf_sha256_extract(prk, salt, salt_n, ikm, ikm_n), 0);
    ck_assert_int_eq(crypto_kdf_hkdf_sha256_expand(out, n, info, info_n, prk), 0);
}
#define LABEL(text) text, sizeof(text) /* with its NUL */

static void mult(uint8_t out[32], const uint8_t secret[32], const uint8_t public[32]) { ck_assert_int_eq(crypto_scalarmult(out, secret, public), 0); }
static void blake(uint8_t *out, size_t out_n, const void *in, size_t n) { crypto_generichash(out, out_n, in, n, NULL, 0); }

typedef struct {
    uint8_t id[32], rk[32], pq[2][32];
    struct {
        uint8_t header_key[32], next_header_key[32], chain_key[32], ratchet_public[32];
        uint32_t device;
        uint8_t account[32];
        uint32_t n;
    } side[2]; /* A, B */
    int last;  /* who wrote last: a change of speaker is a DH step */
} second;

static void write_typed(writer *w, uint8_t type, const uint8_t *raw, size_t n)
{
    write_be(w, type, 1);
    write_bytes(w, raw, n);
}

static void write_who(writer *w, const person *p)
{
    write_bytes(w, p->party.account.bytes, 32);
    write_be(w, p->party.device, 4);
    write_typed(w, 1, p->ik.public, 32);
    write_typed(w, 2, p->dh.public, 32);
    write_be(w, 1, 8);
}

static json_t *who_json(const person *p)
{
    json_t *o = json_object();
    put(o, "account", p->party.account.bytes, 32);
    put_int(o, "device", p->party.device);
    put(o, "ik_seed", p->ik.secret, 32);
    put(o, "ik", p->ik.public, 32);
    put(o, "dk_dh_secret", p->dh.secret, 32);
    put(o, "dk_dh", p->dh.public, 32);
    put_int(o, "list_version", 1);
    put(o, "signed_list", p->signed_list, p->signed_list_bytes);
    return o;
}

static json_t *prekeys_json(const person *p)
{
    json_t *o = json_object();
    put_int(o, "spk_id", SPK_ID);
    put(o, "spk_secret", p->spk.secret, 32);
    put(o, "spk", p->spk.public, 32);
    put_int(o, "opk_id", OPK_ID);
    put(o, "opk_secret", p->opk.secret, 32);
    put(o, "opk", p->opk.public, 32);
    put_int(o, "kem_id", KEM_ID);
    put_int(o, "kem_last_resort", 0);
    put(o, "kem_seed", p->kem_seed, 64);
    put(o, "kem", p->kem, sizeof p->kem);
    return o;
}

/* §5.3: opens the box with the keys that §5.2's material gives. */
static json_t *box_json(const pair *p, const uint8_t *part, const uint8_t *material, size_t n)
{
    uint8_t hashed[1137 + 32], salt[64], k[32], info[10 + 24], keys[64], content[1152];
    const uint8_t *box = part + 1137;
    json_t *o = json_object();
    memcpy(hashed, part, 1137);
    memcpy(hashed + 1137, p->bob.party.account.bytes, 32);
    blake(salt, 64, hashed, sizeof hashed);
    hkdf(k, 32, salt, 64, material, n, LABEL("tacet sender"));
    memcpy(info, "tacet box", 10);
    memcpy(info + 10, box, 24);
    ck_assert_int_eq(crypto_kdf_hkdf_sha256_expand(keys, 64, (const char *)info, sizeof info, k), 0);
    ck_assert_mem_eq(keys + 32, box + 24, 32);
    ck_assert_int_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(content, NULL, NULL, box + 56, 1168, part, 1137, box, keys), 0);
    ck_assert_mem_eq(content + 14, p->alice.signed_list, p->alice.signed_list_bytes);
    put(o, "salt", salt, 64);
    put(o, "k", k, 32);
    put(o, "nonce", box, 24);
    put(o, "key", keys, 32);
    put(o, "commitment", keys + 32, 32);
    put(o, "plaintext", content, sizeof content);
    return o;
}

/* §5.2, from A's private halves. */
static json_t *agreement_json(second *s, const pair *p, const recorder *r, const uint8_t *part)
{
    uint8_t material[160], ct[1088], transcript[2616], t[64], keys[128], ek[32];
    json_t *o = json_object();
    const uint8_t *ek_secret = r->draw[0], *coins = r->draw[1];
    crypto_scalarmult_base(ek, ek_secret);
    mult(material, p->alice.dh.secret, p->bob.spk.public);
    mult(material + 32, ek_secret, p->bob.dh.public);
    mult(material + 64, ek_secret, p->bob.spk.public);
    mult(material + 96, ek_secret, p->bob.opk.public);
    ck_assert_int_eq(crypto_kem_mlkem768_enc_deterministic(ct, material + 128, p->bob.kem, coins), 0);
    ck_assert_mem_eq(part + 3, ek, 32);
    ck_assert_mem_eq(part + 49, ct, sizeof ct);
    writer w = writer_over(transcript, sizeof transcript);
    write_bytes(&w, LABEL("tacet kx"));
    write_be(&w, 1, 1);
    write_who(&w, &p->alice);
    write_who(&w, &p->bob);
    write_be(&w, SPK_ID, 4);
    write_typed(&w, 2, p->bob.spk.public, 32);
    write_be(&w, 1, 1);
    write_be(&w, OPK_ID, 4);
    write_typed(&w, 2, p->bob.opk.public, 32);
    write_be(&w, KEM_ID, 4);
    write_be(&w, 0, 1);
    write_typed(&w, 3, p->bob.kem, sizeof p->bob.kem);
    write_typed(&w, 2, ek, 32);
    write_bytes(&w, ct, sizeof ct);
    ck_assert_uint_eq(writer_bytes(&w), sizeof transcript);
    blake(t, 64, transcript, sizeof transcript);
    blake(s->id, 32, t, 64);
    hkdf(keys, 128, t, 64, material, 160, LABEL("tacet root"));
    memcpy(s->rk, keys, 32);
    memcpy(s->side[0].next_header_key, keys + 32, 32);
    memcpy(s->side[1].next_header_key, keys + 64, 32);
    memcpy(s->pq[0], keys + 96, 32);
    put(o, "ek_secret", ek_secret, 32);
    put(o, "ek", ek, 32);
    put(o, "kem_coins", coins, 32);
    put(o, "kem_ciphertext", ct, sizeof ct);
    put(o, "dh1", material, 32);
    put(o, "dh2", material + 32, 32);
    put(o, "dh3", material + 64, 32);
    put(o, "dh4", material + 96, 32);
    put(o, "kem_shared_secret", material + 128, 32);
    put(o, "transcript", transcript, sizeof transcript);
    put(o, "t", t, 64);
    put(o, "session_id", s->id, 32);
    put(o, "rk", keys, 32);
    put(o, "hk_a", keys + 32, 32);
    put(o, "nhk_b", keys + 64, 32);
    put(o, "pq_0", keys + 96, 32);
    json_object_set_new(o, "box", box_json(p, part, material + 32, 128));
    put(o, "agreement_part", part, TACET_FIRST_OVERHEAD_BYTES);
    return o;
}

/* §6.2: a new sending chain of `who`. */
static json_t *chain_json(second *s, int who, const uint8_t secret[32], const uint8_t peer[32])
{
    uint8_t dh[32], keys[96];
    json_t *o = json_object();
    put(o, "ratchet_secret", secret, 32);
    put(o, "peer_ratchet_public", peer, 32);
    put(o, "rk", s->rk, 32);
    mult(dh, secret, peer);
    put(o, "dh", dh, 32);
    hkdf(keys, 96, s->rk, 32, dh, 32, LABEL("tacet rk"));
    memcpy(s->rk, keys, 32);
    memcpy(s->side[who].header_key, s->side[who].next_header_key, 32);
    memcpy(s->side[who].chain_key, keys + 32, 32);
    memcpy(s->side[who].next_header_key, keys + 64, 32);
    crypto_scalarmult_base(s->side[who].ratchet_public, secret);
    s->side[who].n = 0;
    put(o, "rk_after", keys, 32);
    put(o, "chain_key", keys + 32, 32);
    put(o, "next_header_key", keys + 64, 32);
    return o;
}

/* §6.3: opens `message` (a ratchet message) as the receiver would; *body_n bytes of padded body go to `plain`. */
static void message_json(json_t *o, second *s, int who, const uint8_t *message, size_t n, size_t *body_n)
{
    uint8_t ad[256], header[64], ec[32], next[32], mk[32], info[34], keys[64];
    writer w = writer_over(ad, sizeof ad);
    write_bytes(&w, LABEL("tacet hdr"));
    write_bytes(&w, s->id, 32);
    ck_assert_int_eq(
        crypto_aead_xchacha20poly1305_ietf_decrypt(header, NULL, NULL, message + 24, 80, ad, writer_bytes(&w), message, s->side[who].header_key), 0);
    const unsigned epoch = header[45];
    ck_assert_mem_eq(header + 2, s->side[who].ratchet_public, 32);
    ck_assert_uint_eq(header[41], s->side[who].n++);
    crypto_auth_hmacsha256(ec, (const uint8_t *)"\x01", 1, s->side[who].chain_key);
    crypto_auth_hmacsha256(next, (const uint8_t *)"\x02", 1, s->side[who].chain_key);
    hkdf(mk, 32, s->pq[epoch], 32, ec, 32, LABEL("tacet mk"));
    memcpy(info, "tacet msg", 10);
    memcpy(info + 10, message + 104, 24);
    ck_assert_int_eq(crypto_kdf_hkdf_sha256_expand(keys, 64, (const char *)info, sizeof info, mk), 0);
    ck_assert_mem_eq(keys + 32, message + 128, 32);
    w = writer_over(ad, sizeof ad);
    write_bytes(&w, LABEL("tacet body"));
    write_bytes(&w, s->id, 32);
    for (int i = 0; i < 2; i++) {
        write_bytes(&w, s->side[i ? 1 - who : who].account, 32);
        write_be(&w, s->side[i ? 1 - who : who].device, 4);
    }
    write_be(&w, 1, 1);
    write_bytes(&w, message, 104);
    ck_assert_int_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, message + 160, n - 160, ad, writer_bytes(&w), message + 104, keys),
                     0);
    *body_n = n - 176;
    put(o, "header_key", s->side[who].header_key, 32);
    put(o, "header", header, 64);
    put(o, "chain_key", s->side[who].chain_key, 32);
    put(o, "ec_key", ec, 32);
    put(o, "next_chain_key", next, 32);
    put_int(o, "epoch", epoch);
    put(o, "pq_key", s->pq[epoch], 32);
    put(o, "message_key", mk, 32);
    put(o, "nonce", message + 104, 24);
    put(o, "key", keys, 32);
    put(o, "commitment", keys + 32, 32);
    put(o, "associated_data", ad, writer_bytes(&w));
    put(o, "padded_body", plain, *body_n);
    memcpy(s->side[who].chain_key, next, 32);
}

/* ---- the conversation -------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int who; /* 0 A, 1 B */
    const char *content;
    uint32_t days_before;
} line[] = {
    { "first envelope", 0, "first message", 0 },
    { "first envelope again, the same chain", 0, "not answered yet", 0 },
    { "later message, a DH step of B", 1, "answer", 0 },
    { "later message of A with a PQ encapsulation key", 0, "a week later", 7 },
    { "later message of B with the PQ ciphertext", 1, "still epoch 0", 0 },
    { "message in PQ epoch 1", 0, "epoch 1", 0 },
    { "the answer in PQ epoch 1", 1, "epoch 1 here too", 0 },
};

/* §6.5, when the ciphertext has been seen. */
static json_t *pq_json(second *s, const uint8_t seed[64], const uint8_t coins[32], const uint8_t *ct)
{
    uint8_t ek[1184], dk[2400], ss[32], same[32], again[1088], info[9 + 32 + 4 + 64];
    json_t *o = json_object();
    crypto_kem_mlkem768_seed_keypair(ek, dk, seed);
    ck_assert_int_eq(crypto_kem_mlkem768_dec(ss, ct, dk), 0);
    ck_assert_int_eq(crypto_kem_mlkem768_enc_deterministic(again, same, ek, coins), 0);
    ck_assert_mem_eq(again, ct, sizeof again);
    ck_assert_mem_eq(ss, same, 32);
    memcpy(info, "tacet pq", 9);
    memcpy(info + 9, s->id, 32);
    memcpy(info + 41, "\x00\x00\x00\x01", 4);
    blake(info + 45, 32, ek, sizeof ek);
    blake(info + 77, 32, ct, 1088);
    hkdf(s->pq[1], 32, s->pq[0], 32, ss, 32, info, sizeof info);
    put_int(o, "epoch", 1);
    put(o, "seed", seed, 64);
    put(o, "encapsulation_key", ek, sizeof ek);
    put(o, "coins", coins, 32);
    put(o, "ciphertext", ct, 1088);
    put(o, "shared_secret", ss, 32);
    put(o, "info", info, sizeof info);
    put(o, "pq_1", s->pq[1], 32);
    return o;
}

static void seed_second(second *s, const pair *p)
{
    *s = (second){ .last = -1 };
    const person *who[2] = { &p->alice, &p->bob };
    for (int i = 0; i < 2; i++) {
        memcpy(s->side[i].account, who[i]->party.account.bytes, 32);
        s->side[i].device = who[i]->party.device;
    }
    memcpy(s->side[1].ratchet_public, p->bob.spk.public, 32);
}

static void receive(pair *p, recorder *r, int who, const envelope_bytes *e, const char *content)
{
    size_t n = 0;
    unsigned trials = TACET_HEADER_TRIALS_MAX;
    if (p->b) {
        ck_assert_int_eq(session_open(who ? p->a : p->b, &r->env, CONTENT_PAIRWISE, &trials, e->bytes, e->n, plain, &n), TACET_OK);
    } else {
        first_sender sender;
        agreement_secrets secrets = pair_secrets(&p->bob, true);
        ck_assert_int_eq(first_envelope_sender(&sender, &p->bob.party, &secrets, e->bytes, e->n), TACET_OK);
        ck_assert_int_eq(session_respond(&p->b, p->arena, &r->env, &p->bob.party, &secrets, &sender, e->bytes, e->n, plain, &n), TACET_OK);
    }
    ck_assert_uint_eq(n, strlen(content));
    ck_assert_mem_eq(plain, content, n);
}

static json_t *generate(void)
{
    pair p;
    second s;
    recorder r;
    agreement_bundle bundle;
    uint8_t pq_seed[64] = { 0 }, pq_coins[32] = { 0 };
    json_t *root = json_object(), *messages = json_array();
    pair_new(&p, 2026);
    seed_second(&s, &p);
    put_text(root, "document", "docs/PROTOCOL.md sections 5 and 6; bytes in hex; a is the initiator");
    json_object_set_new(root, "a", who_json(&p.alice));
    json_object_set_new(root, "b", who_json(&p.bob));
    json_object_set_new(root, "b_prekeys", prekeys_json(&p.bob));
    pair_bundle(&bundle, &p.bob, true);
    rec_begin(&r, p.env);
    ck_assert_int_eq(
        session_initiate(&p.a, p.arena, &r.env, &p.alice.party, p.alice.dh.secret, p.alice.signed_list, p.alice.signed_list_bytes, &bundle),
        TACET_OK);
    json_object_set_new(root, "agreement", agreement_json(&s, &p, &r, p.a->part));
    for (size_t i = 0; i < ROWS(line); i++) {
        const int who = line[i].who;
        envelope_bytes e;
        size_t body_n = 0;
        json_t *m = json_object();
        env_seeded_advance(&p.clock, line[i].days_before * DAY_MS);
        session *from = who ? p.b : p.a;
        pair_seal(&p, from, line[i].content, strlen(line[i].content), &e);
        put_text(m, "name", line[i].name);
        put_text(m, "from", who ? "b" : "a");
        put(m, "content", (const uint8_t *)line[i].content, strlen(line[i].content));
        if (s.last != who)
            json_object_set_new(m, "new_chain", chain_json(&s, who, from->core.r.dhs.secret, s.side[1 - who].ratchet_public));
        s.last = who;
        const size_t head = e.bytes[1] == 1 ? 2361 : 2;
        message_json(m, &s, who, e.bytes + head, e.n - head, &body_n);
        put(m, "envelope", e.bytes, e.n);
        if (from->core.pq.step == PQ_KEY_OUT)
            memcpy(pq_seed, from->core.pq.seed, 64);
        if (plain[0] == 2)
            json_object_set_new(m, "pq_step", pq_json(&s, pq_seed, pq_coins, plain + 5));
        json_array_append_new(messages, m);
        const bool has_key = plain[0] == 1;
        rec_begin(&r, p.env);
        receive(&p, &r, who, &e, line[i].content);
        if (has_key)
            memcpy(pq_coins, r.draw[0], 32);
    }
    json_object_set_new(root, "messages", messages);
    pair_free(&p);
    return root;
}

START_TEST(vectors_are_what_the_file_says)
{
    char path[4096];
    json_error_t error;
    const char *folder = getenv("TACET_VECTORS");
    ck_assert_msg(folder != NULL, "TACET_VECTORS is not set: run through meson test");
    snprintf(path, sizeof path, "%s/session.json", folder);
    json_t *made = generate();
    if (getenv("TACET_WRITE_VECTORS"))
        ck_assert_int_eq(json_dump_file(made, path, JSON_INDENT(1)), 0);
    json_t *kept = json_load_file(path, 0, &error);
    ck_assert_msg(kept != NULL, "%s: %s", path, error.text);
    ck_assert_msg(json_equal(made, kept), "session.json differs from what the code makes");
    json_decref(made);
    json_decref(kept);
}
END_TEST

SUITE("vectors", TEST(vectors_are_what_the_file_says))
