/* Keys of a peer that no honest peer sends: points of small order, points written in another way, ML-KEM keys out of range. The attackers here use the private
 * parts of crypto/transport to build messages that are right in everything but the one point. */
#include "handshake_pair.h"
#include "x25519.h"

/* ---- points ---------------------------------------------------------------------------------------------------------------------------------- */
enum { SMALL = 7, NON_CANONICAL = 19, POINTS = 2 * SMALL + NON_CANONICAL - 2 };
/* 0..6: the small-order points as they are below 2^255; 7..13: the same with the top bit set; 14..30: p + 2 .. p + 18. 31 in all. */
static void bad_point(uint8_t out[32], int i)
{
    static const char *const small[SMALL] = {
        "0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    if (i < 2 * SMALL) {
        unhex(out, 32, small[i % SMALL]);
        out[31] |= (uint8_t)(i < SMALL ? 0 : 0x80);
    } else {
        memset(out, 0xff, 32);
        out[0] = (uint8_t)(0xed + 2 + i - 2 * SMALL);
        out[31] = 0x7f;
    }
}

START_TEST(T05_the_list_is_what_it_says)
{
    /* The first 14 are really of small order: X25519 itself, without our checks, gives zero (libsodium reports it as a failure). */
    uint8_t u[32], k[32], out[32];
    randombytes_buf(k, 32);
    for (int i = 0; i < POINTS; i++) {
        bad_point(u, i);
        ck_assert_int_eq(crypto_scalarmult_curve25519(out, k, u) != 0, i < 2 * SMALL);
        ck_assert_int_eq(x25519_point_check(u), TACET_E_KEY);
        ck_assert_int_eq(x25519_shared(out, k, u), TACET_E_KEY);
    }
}
END_TEST

START_TEST(R09_non_canonical_points_are_refused)
{
    uint8_t u[32];
    for (int i = 0; i < NON_CANONICAL; i++) { /* p .. p + 18 = 2^255 - 1 */
        memset(u, 0xff, 32);
        u[0] = (uint8_t)(0xed + i);
        u[31] = 0x7f;
        ck_assert_int_eq(x25519_point_check(u), TACET_E_KEY);
    }
    u[0] = 0xeb; /* p - 2, the largest that may pass */
    ck_assert_int_eq(x25519_point_check(u), TACET_OK);
    x25519_public(u, (const uint8_t[32]){ 5 });
    ck_assert_int_eq(x25519_point_check(u), TACET_OK);
    u[31] |= 0x80;
    ck_assert_int_eq(x25519_point_check(u), TACET_E_KEY);
}
END_TEST

START_TEST(T05_bad_relay_key) /* rs, from a link */
{
    pair p;
    uint8_t u[32];
    handshake *c = NULL;
    pair_init(&p);
    bad_point(u, _i);
    ck_assert_int_eq(handshake_initiator_new(&c, HANDSHAKE_XKHFS, &p.env.env, pair_prologue, sizeof pair_prologue, p.tk, u), TACET_E_KEY);
    ck_assert_ptr_null(c);
    pair_free(&p);
}
END_TEST

/* X25519 without checks, as an attacker's or a careless implementation's. */
static void careless_dh(uint8_t out[32], const uint8_t secret[32], const uint8_t u[32])
{
    memset(out, 0, 32);
    if (crypto_scalarmult_curve25519(out, secret, u) != 0)
        memset(out, 0, 32);
}

START_TEST(T05_bad_e_in_m1) /* everything behind it fits what a careless relay would compute */
{
    pair p;
    uint8_t u[32], shared[32], kem[NOISE_KEM_PUBLIC_BYTES], kem_secret[NOISE_KEM_SECRET_BYTES];
    symmetric s;
    pair_init(&p);
    bad_point(u, _i);
    s = p.relay->sym;
    symmetric_mix_hash(&s, u, 32);
    careless_dh(shared, p.rk, u);
    symmetric_mix_key(&s, shared, 32);
    ck_assert_int_eq(crypto_kem_mlkem768_keypair(kem, kem_secret), 0);
    memcpy(p.m1, u, 32);
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m1 + 32, kem, sizeof kem), TACET_OK);
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m1 + 32 + sizeof kem + 16, NULL, 0), TACET_OK);
    assert_refuses(p.relay, p.m1, sizeof p.m1);
    pair_free(&p);
}
END_TEST

START_TEST(T05_bad_e_in_m2)
{
    pair p;
    uint8_t u[32], shared[32], ct[NOISE_KEM_CIPHERTEXT_BYTES];
    pair_init(&p);
    pair_run(&p, 1);
    bad_point(u, _i);
    symmetric s = p.relay->sym;
    symmetric_mix_hash(&s, u, 32);
    careless_dh(shared, p.client->e_secret, u);
    symmetric_mix_key(&s, shared, 32);
    memcpy(p.m2, u, 32);
    ck_assert_int_eq(crypto_kem_mlkem768_enc(ct, shared, p.relay->kem.remote), 0);
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m2 + 32, ct, sizeof ct), TACET_OK);
    symmetric_mix_key(&s, shared, 32);
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m2 + 32 + sizeof ct + 16, NULL, 0), TACET_OK);
    assert_refuses(p.client, p.m2, sizeof p.m2);
    pair_free(&p);
}
END_TEST

START_TEST(T05_bad_s_in_m3)
{
    pair p;
    uint8_t u[32], shared[32];
    pair_init(&p);
    pair_run(&p, 2);
    bad_point(u, _i);
    symmetric s = p.client->sym;
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m3, u, 32), TACET_OK);
    careless_dh(shared, p.relay->e_secret, u);
    symmetric_mix_key(&s, shared, 32);
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m3 + 48, NULL, 0), TACET_OK);
    assert_refuses(p.relay, p.m3, sizeof p.m3);
    pair_free(&p);
}
END_TEST

/* The harness of the three tests above is right when a good point passes through it. */
START_TEST(T05_the_forger_forges_well)
{
    pair p;
    uint8_t u[32], secret[32], shared[32];
    pair_init(&p);
    pair_run(&p, 2);
    env_random(&p.env.env, secret, 32);
    x25519_public(u, secret);
    symmetric s = p.client->sym;
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m3, u, 32), TACET_OK);
    careless_dh(shared, p.relay->e_secret, u);
    symmetric_mix_key(&s, shared, 32);
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m3 + 48, NULL, 0), TACET_OK);
    ck_assert_int_eq(handshake_read(p.relay, p.m3, sizeof p.m3), TACET_OK);
    pair_free(&p);
}
END_TEST

/* FIPS 203 §7.2, at the first, a middle and the last coefficient, low and high half of their three bytes. */
static const struct {
    size_t coefficient;
    unsigned value;
    bool ok;
} coefficients[] = { { 0, 3328, true },    { 0, 3329, false },   { 1, 3328, true },   { 1, 3329, false },   { 400, 3329, false },
                     { 401, 3330, false }, { 766, 4095, false }, { 767, 3328, true }, { 767, 3329, false }, { 767, 4095, false } };
START_TEST(kem_key_is_checked)
{
    pair p;
    uint8_t kem[NOISE_KEM_PUBLIC_BYTES], kem_secret[NOISE_KEM_SECRET_BYTES], shared[32];
    pair_init(&p);
    ck_assert_int_eq(crypto_kem_mlkem768_keypair(kem, kem_secret), 0);
    size_t at = coefficients[_i].coefficient / 2 * 3;
    unsigned v = coefficients[_i].value;
    if (coefficients[_i].coefficient % 2 == 0) {
        kem[at] = (uint8_t)v;
        kem[at + 1] = (uint8_t)((kem[at + 1] & 0xf0) | v >> 8);
    } else {
        kem[at + 1] = (uint8_t)((kem[at + 1] & 0x0f) | (v & 15) << 4);
        kem[at + 2] = (uint8_t)(v >> 4);
    }
    ck_assert_int_eq(noise_kem_key_ok(kem), coefficients[_i].ok);
    symmetric s = p.relay->sym;
    env_random(&p.env.env, p.client->e_secret, 32);
    x25519_public(p.m1, p.client->e_secret);
    symmetric_mix_hash(&s, p.m1, 32);
    ck_assert_int_eq(x25519_shared(shared, p.client->e_secret, p.rk_public), TACET_OK);
    symmetric_mix_key(&s, shared, 32);
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m1 + 32, kem, sizeof kem), TACET_OK);
    ck_assert_int_eq(symmetric_encrypt_and_hash(&s, p.m1 + 32 + sizeof kem + 16, NULL, 0), TACET_OK);
    ck_assert_int_eq(handshake_read(p.relay, p.m1, sizeof p.m1), coefficients[_i].ok ? TACET_OK : TACET_E_HANDSHAKE);
    pair_free(&p);
}
END_TEST

SUITE("handshake points", TEST(T05_the_list_is_what_it_says), TEST(R09_non_canonical_points_are_refused), LOOP(T05_bad_relay_key, POINTS),
      LOOP(T05_bad_e_in_m1, POINTS), LOOP(T05_bad_e_in_m2, POINTS), LOOP(T05_bad_s_in_m3, POINTS), TEST(T05_the_forger_forges_well),
      LOOP(kem_key_is_checked, ROWS(coefficients)))
