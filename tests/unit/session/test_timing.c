/* R23: no branch and no address of ours depends on a secret. Runs under valgrind only: every key is marked undefined, and memcheck reports each decision
 * taken on something undefined. Verdicts of the AEAD, of compares and of the unpadding are marked defined where they are reached (declassify.h); that
 * libsodium itself branches on the AEAD's verdict is suppressed in tests/valgrind.supp. The first test shows that a leak would be seen. */
#include "body.h"
#include "pair.h"
#include "state.h"
#include <valgrind/memcheck.h>

#define SECRET(x) ((void)VALGRIND_MAKE_MEM_UNDEFINED(&(x), sizeof(x)))
#define PUBLIC(x) ((void)VALGRIND_MAKE_MEM_DEFINED(&(x), sizeof(x)))

static uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
static size_t n;
static unsigned errors_before;

static void begin(void)
{
    ck_assert_msg(RUNNING_ON_VALGRIND, "to be run under valgrind");
    errors_before = VALGRIND_COUNT_ERRORS;
}
static void no_error(const char *after) { ck_assert_msg(VALGRIND_COUNT_ERRORS == errors_before, "a decision on a secret in %s", after); }

static void secret_session(session *s)
{
    ratchet *r = &s->core.r;
    SECRET(r->rk), SECRET(r->cks), SECRET(r->ckr), SECRET(r->hks), SECRET(r->hkr), SECRET(r->nhks), SECRET(r->nhkr), SECRET(r->dhs.secret);
    SECRET(s->core.pq.previous), SECRET(s->core.pq.current), SECRET(s->core.pq.next), SECRET(s->core.pq.seed);
    for (uint32_t i = 0; i < s->skipped.count; i++)
        SECRET(s->skipped.key[i].key);
    for (size_t i = 0; i < TACET_RATCHET_CHAINS_MAX; i++)
        SECRET(r->former[i].hk);
}

static void secret_person(person *p)
{
    SECRET(p->dh.secret), SECRET(p->spk.secret), SECRET(p->opk.secret), SECRET(p->kem_seed);
    SECRET(p->kem_secret);
    /* a decapsulation key ends in the encapsulation key, its hash and the secret z (FIPS 203 §7.1) */
    (void)VALGRIND_MAKE_MEM_DEFINED(p->kem_secret + 1152, TACET_KEM_KEY_BYTES + 32);
}

/* What goes over the wire is public. */
static void seal(pair *p, session *from, const char *text, envelope_bytes *e)
{
    pair_seal(p, from, text, strlen(text), e);
    PUBLIC(*e);
}

static void open_as(pair *p, session *at, const envelope_bytes *e, int want, const char *what)
{
    int rc = pair_open(p, at, e, plain, &n);
    no_error(what);
    ck_assert_int_eq(rc, want);
    PUBLIC(plain);
}

START_TEST(a_leak_would_be_seen)
{
    begin();
    volatile uint8_t key[4] = { 1, 2, 3, 4 };
    (void)VALGRIND_MAKE_MEM_UNDEFINED(key, sizeof key);
    volatile int taken = 0;
    if (key[2] == 3)
        taken = 1;
    (void)taken;
    ck_assert_uint_gt(VALGRIND_COUNT_ERRORS, errors_before);
}
END_TEST

START_TEST(R23_agreement)
{
    pair p;
    agreement_bundle bundle;
    first_sender sender;
    envelope_bytes e, bad;
    begin();
    pair_new(&p, 41);
    pair_bundle(&bundle, &p.bob, true);
    secret_person(&p.alice);
    secret_person(&p.bob);
    agreement_secrets secrets = pair_secrets(&p.bob, true);
    int rc = session_initiate(&p.a, p.arena, p.env, &p.alice.party, p.alice.dh.secret, p.alice.signed_list, p.alice.signed_list_bytes, &bundle);
    no_error("session_initiate");
    ck_assert_int_eq(rc, TACET_OK);
    seal(&p, p.a, "hello", &e);
    no_error("session_seal");
    bad = e;
    bad.bytes[60] ^= 1; /* KEM ciphertext */
    rc = first_envelope_sender(&sender, &p.bob.party, &secrets, bad.bytes, bad.n);
    no_error("first_envelope_sender, refused");
    ck_assert_int_eq(rc, TACET_E_FORGED);
    rc = first_envelope_sender(&sender, &p.bob.party, &secrets, e.bytes, e.n);
    no_error("first_envelope_sender");
    ck_assert_int_eq(rc, TACET_OK);
    rc = session_respond(&p.b, p.arena, p.env, &p.bob.party, &secrets, &sender, e.bytes, e.n, plain, &n);
    no_error("session_respond");
    ck_assert_int_eq(rc, TACET_OK);
    PUBLIC(plain);
    ck_assert_mem_eq(plain, "hello", 5);
    pair_free(&p);
}
END_TEST

START_TEST(R23_ratchet)
{
    pair p;
    envelope_bytes late, e, bad;
    begin();
    pair_new(&p, 42);
    pair_first(&p, true);
    pair_say(&p, p.b, p.a, "answer");
    no_error("set-up");
    secret_session(p.a);
    secret_session(p.b);
    seal(&p, p.a, "late", &late);
    seal(&p, p.a, "hello", &e);
    no_error("session_seal");
    const size_t spoil[] = { 2, 2 + 30, 2 + 104, 2 + 104 + 24 + 31, 2 + 160, e.n - 1 };
    for (size_t i = 0; i < ROWS(spoil); i++) {
        bad = e;
        bad.bytes[spoil[i]] ^= 1;
        open_as(&p, p.b, &bad, TACET_E_FORGED, "a spoilt envelope");
    }
    open_as(&p, p.b, &e, TACET_OK, "a DH step with a gap");
    open_as(&p, p.b, &late, TACET_OK, "a skipped key");
    open_as(&p, p.b, &late, TACET_E_REPLAY, "a replay");
    seal(&p, p.b, "back", &e);
    open_as(&p, p.a, &e, TACET_OK, "the answer");
    pair_free(&p);
}
END_TEST

START_TEST(R23_pq_step)
{
    pair p;
    envelope_bytes e;
    begin();
    pair_new(&p, 43);
    pair_first(&p, true);
    for (int i = 0; i < 100 && !session_wants_carrier(p.a, p.env); i++)
        pair_say(&p, i % 2 ? p.a : p.b, i % 2 ? p.b : p.a, "x");
    no_error("talking");
    for (int i = 0; i < 4; i++) { /* ek, ct, epoch 1, epoch 1 */
        session *from = i % 2 ? p.b : p.a, *to = i % 2 ? p.a : p.b;
        secret_session(p.a);
        secret_session(p.b);
        seal(&p, from, "x", &e);
        no_error("session_seal");
        open_as(&p, to, &e, TACET_OK, "session_open");
    }
    ck_assert_uint_eq(p.a->core.pq.epoch, 1);
    pair_free(&p);
}
END_TEST

START_TEST(R23_unpadding)
{
    uint8_t buf[512] = { 0 };
    message_body body;
    begin();
    for (size_t at = 0; at < sizeof buf; at += 37) {
        memset(buf, 0, sizeof buf);
        buf[at] = 0x80;
        SECRET(buf);
        int rc = body_parse(&body, buf, sizeof buf);
        no_error("body_parse");
        ck_assert_int_eq(rc, at >= 256 ? TACET_OK : TACET_E_FORGED);
    }
}
END_TEST

SUITE("timing", TEST(a_leak_would_be_seen), TEST(R23_agreement), TEST(R23_ratchet), TEST(R23_pq_step), TEST(R23_unpadding))
