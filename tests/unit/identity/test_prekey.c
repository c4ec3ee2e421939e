/* Prekeys: R02 kinds cannot be swapped, R04 signature, device and time, T05/R09 points. */
#include "fixture.h"

typedef struct {
    person p;
    enum prekey_kind kind;
    uint8_t bytes[TACET_PREKEY_MAX_BYTES];
    size_t n;
} sample;

static void kem_key(uint8_t out[TACET_KEM_KEY_BYTES])
{
    uint8_t secret[crypto_kem_mlkem768_SECRETKEYBYTES], seed[64] = { 5 };
    ck_assert_int_eq(crypto_kem_mlkem768_seed_keypair(out, secret, seed), 0);
}

static void sample_init(sample *s, enum prekey_kind kind)
{
    person_init(&s->p, 1);
    s->kind = kind;
    prekey p = { .kind = kind, .id = 0x01020304, .created_s = NOW_S, .expires_s = NOW_S + TACET_PREKEY_LIFETIME_S };
    if (prekey_is_kem(kind))
        kem_key(p.key);
    else
        memcpy(p.key, s->p.dh[0].public, 32);
    ck_assert_int_eq(prekey_sign(&p, s->bytes, &s->n, &s->p.account, 1, s->p.device_sign[0].secret), TACET_OK);
}

static int decode_as(const sample *s, enum prekey_kind want, const uint8_t *bytes, size_t n, uint64_t now_s)
{
    prekey p;
    memset(&p, 0xa5, sizeof p);
    int rc = prekey_decode(&p, want, bytes, n, &s->p.account, 1, s->p.device_sign[0].public, now_s);
    if (rc != TACET_OK)
        untouched(&p, sizeof p);
    return rc;
}
static int decode(const void *ctx, const uint8_t *bytes, size_t n)
{
    const sample *s = ctx;
    return decode_as(s, s->kind, bytes, n, NOW_S);
}
static void sign_again(sample *s)
{
    size_t object = s->n - TACET_SIGNATURE_BYTES;
    object_sign(s->bytes + object, SIGN_PREKEY, &s->p.account, 1, s->bytes, object, s->p.device_sign[0].secret);
}

START_TEST(every_change_is_refused)
{
    sample s;
    prekey p;
    sample_init(&s, (enum prekey_kind)_i);
    ck_assert_uint_eq(s.n, prekey_is_kem((enum prekey_kind)_i) ? 1270 : 118);
    ck_assert_int_eq(prekey_decode(&p, s.kind, s.bytes, s.n, &s.p.account, 1, s.p.device_sign[0].public, NOW_S), TACET_OK);
    ck_assert_uint_eq(p.id, 0x01020304);
    ck_assert_uint_eq(p.created_s, NOW_S);
    ck_assert_mem_eq(p.key, s.bytes + 22, 32);
    refuses_every_change(decode, &s, s.bytes, s.n);
}
END_TEST

START_TEST(R02_one_kind_never_passes_for_another)
{
    sample s;
    sample_init(&s, (enum prekey_kind)_i);
    for (unsigned want = 0; want < 6; want++)
        ck_assert_int_eq(decode_as(&s, (enum prekey_kind)want, s.bytes, s.n, NOW_S), want == (unsigned)_i ? TACET_OK : TACET_E_MALFORMED);
    /* the kind byte rewritten by the relay: the signature does not cover it any more */
    for (unsigned kind = 0; kind < 256; kind++) {
        s.bytes[0] = (uint8_t)kind;
        int got = decode_as(&s, (enum prekey_kind)kind, s.bytes, s.n, NOW_S);
        bool same_length = kind >= 1 && kind <= 4 && prekey_is_kem((enum prekey_kind)kind) == prekey_is_kem((enum prekey_kind)_i);
        ck_assert_int_eq(got, kind == (unsigned)_i ? TACET_OK : same_length ? TACET_E_FORGED : TACET_E_MALFORMED);
    }
}
END_TEST

START_TEST(R02_key_of_the_wrong_type)
{
    sample s;
    sample_init(&s, (enum prekey_kind)_i);
    for (unsigned type = 0; type < 256; type++) {
        s.bytes[21] = (uint8_t)type;
        sign_again(&s);
        ck_assert_int_eq(decode(&s, s.bytes, s.n), type == (prekey_is_kem(s.kind) ? KEY_MLKEM768 : KEY_X25519) ? TACET_OK : TACET_E_KEY);
    }
}
END_TEST

START_TEST(R04_only_this_account_device_and_key)
{
    sample s;
    prekey p;
    person q;
    sample_init(&s, PREKEY_SIGNED);
    person_init(&q, 2);
    ck_assert_int_eq(prekey_decode(&p, s.kind, s.bytes, s.n, &q.account, 1, s.p.device_sign[0].public, NOW_S), TACET_E_FORGED);
    ck_assert_int_eq(prekey_decode(&p, s.kind, s.bytes, s.n, &s.p.account, 2, s.p.device_sign[0].public, NOW_S), TACET_E_FORGED);
    ck_assert_int_eq(prekey_decode(&p, s.kind, s.bytes, s.n, &s.p.account, 1, s.p.device_sign[1].public, NOW_S), TACET_E_FORGED);
    ck_assert_int_eq(prekey_decode(&p, s.kind, s.bytes, s.n, &s.p.account, 1, s.p.ik.public, NOW_S), TACET_E_FORGED);
    /* another purpose of the same key */
    size_t object = s.n - TACET_SIGNATURE_BYTES;
    object_sign(s.bytes + object, SIGN_DIRECTORY, &s.p.account, 1, s.bytes, object, s.p.device_sign[0].secret);
    ck_assert_int_eq(decode(&s, s.bytes, s.n), TACET_E_FORGED);
}
END_TEST

enum { EXPIRES = NOW_S + TACET_PREKEY_LIFETIME_S, DAY = 86400 };
static const struct {
    const char *what;
    uint64_t now;
    int want;
} times[] = {
    { "when made", NOW_S, TACET_OK },
    { "clock a day behind", NOW_S - DAY, TACET_OK },
    { "clock more than a day behind", NOW_S - DAY - 1, TACET_E_EXPIRED },
    { "last second", EXPIRES, TACET_OK },
    { "a day late", EXPIRES + DAY, TACET_OK },
    { "more than a day late", EXPIRES + DAY + 1, TACET_E_EXPIRED },
    { "1970", 0, TACET_E_EXPIRED },
    { "end of time", UINT64_MAX, TACET_E_EXPIRED },
};
START_TEST(R04_expired_is_refused)
{
    sample s;
    sample_init(&s, PREKEY_SIGNED);
    int got = decode_as(&s, s.kind, s.bytes, s.n, times[_i].now);
    ck_assert_msg(got == times[_i].want, "%s: got %d", times[_i].what, got);
}
END_TEST

START_TEST(expiry_before_creation_is_malformed)
{
    sample s;
    sample_init(&s, PREKEY_SIGNED);
    memset(s.bytes + 13, 0, 8); /* expires */
    sign_again(&s);
    ck_assert_int_eq(decode(&s, s.bytes, s.n), TACET_E_MALFORMED);
}
END_TEST

START_TEST(T05_R09_bad_points)
{
    sample s;
    prekey p = { .kind = PREKEY_ONE_TIME, .created_s = 1, .expires_s = 2 };
    uint8_t out[TACET_PREKEY_MAX_BYTES];
    size_t n = 77;
    sample_init(&s, _i % 2 ? PREKEY_SIGNED : PREKEY_ONE_TIME);
    bad_point(s.bytes + 22, _i);
    sign_again(&s);
    ck_assert_int_eq(decode(&s, s.bytes, s.n), TACET_E_KEY);
    bad_point(p.key, _i);
    ck_assert_int_eq(prekey_sign(&p, out, &n, &s.p.account, 1, s.p.device_sign[0].secret), TACET_E_KEY);
    ck_assert_uint_eq(n, 77);
}
END_TEST

START_TEST(kem_key_beyond_q_is_refused)
{
    sample s;
    sample_init(&s, PREKEY_KEM_ONE_TIME);
    memset(s.bytes + 22 + 1149, 0xff, 3); /* the last two coefficients */
    sign_again(&s);
    ck_assert_int_eq(decode(&s, s.bytes, s.n), TACET_E_KEY);
}
END_TEST

START_TEST(signing_refuses_nonsense)
{
    sample s;
    uint8_t out[TACET_PREKEY_MAX_BYTES];
    size_t n;
    sample_init(&s, PREKEY_SIGNED);
    prekey p = { .kind = (enum prekey_kind)5, .created_s = 1, .expires_s = 2 };
    memcpy(p.key, s.p.dh[0].public, 32);
    ck_assert_int_eq(prekey_sign(&p, out, &n, &s.p.account, 1, s.p.device_sign[0].secret), TACET_E_MALFORMED);
    p.kind = PREKEY_SIGNED;
    ck_assert_int_eq(prekey_sign(&p, out, &n, &s.p.account, 0, s.p.device_sign[0].secret), TACET_E_MALFORMED);
    p.created_s = 3;
    ck_assert_int_eq(prekey_sign(&p, out, &n, &s.p.account, 1, s.p.device_sign[0].secret), TACET_E_MALFORMED);
}
END_TEST

START_TEST(peek_sees_kind_and_id)
{
    sample s;
    enum prekey_kind kind = (enum prekey_kind)99;
    uint32_t id = 99;
    sample_init(&s, (enum prekey_kind)_i);
    for (size_t cut = 0; cut < s.n; cut++)
        ck_assert_int_eq(prekey_peek(s.bytes, cut, &kind, &id), TACET_E_MALFORMED);
    ck_assert_uint_eq(kind, 99);
    ck_assert_uint_eq(id, 99);
    ck_assert_int_eq(prekey_peek(s.bytes, s.n, &kind, &id), TACET_OK);
    ck_assert_int_eq(kind, _i);
    ck_assert_uint_eq(id, 0x01020304);
    s.bytes[0] = 0;
    ck_assert_int_eq(prekey_peek(s.bytes, s.n, &kind, &id), TACET_E_MALFORMED);
    s.bytes[0] = 5;
    ck_assert_int_eq(prekey_peek(s.bytes, s.n, &kind, &id), TACET_E_MALFORMED);
}
END_TEST

#define KINDS(fn) tcase_add_loop_test(tc, fn, 1, 5)
SUITE("prekey", KINDS(every_change_is_refused), KINDS(R02_one_kind_never_passes_for_another), KINDS(R02_key_of_the_wrong_type),
      TEST(R04_only_this_account_device_and_key), LOOP(R04_expired_is_refused, ROWS(times)), TEST(expiry_before_creation_is_malformed),
      LOOP(T05_R09_bad_points, BAD_POINTS), TEST(kem_key_beyond_q_is_refused), TEST(signing_refuses_nonsense), KINDS(peek_sees_kind_and_id))
