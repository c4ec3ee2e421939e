/* Keys: what is refused where they are decoded, and that a signature holds for one purpose, account, device and object only. */
#include "base/text.h"
#include "fixture.h"

/* RFC 8032 §7.1, tests 1, 2, 3 and SHA(abc) */
static const struct {
    const char *secret, *public, *message, *signature;
} rfc8032[] = {
    { "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
    { "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
    { "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
    { "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42", "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704" },
};
START_TEST(ed25519_follows_rfc8032)
{
    uint8_t seed[32], message[64], want_public[32], want[64], public[32], secret[64], signature[64];
    size_t n = strlen(rfc8032[_i].message) / 2;
    ck_assert_int_eq(hex_decode(seed, 32, rfc8032[_i].secret, 64), TACET_OK);
    ck_assert_int_eq(hex_decode(want_public, 32, rfc8032[_i].public, 64), TACET_OK);
    ck_assert_int_eq(hex_decode(message, n, rfc8032[_i].message, 2 * n), TACET_OK);
    ck_assert_int_eq(hex_decode(want, 64, rfc8032[_i].signature, 128), TACET_OK);
    ck_assert_int_eq(crypto_sign_seed_keypair(public, secret, seed), 0);
    ck_assert_mem_eq(public, want_public, 32);
    ck_assert_int_eq(ed25519_check(public), TACET_OK);
    ck_assert_int_eq(crypto_sign_detached(signature, NULL, message, n, secret), 0);
    ck_assert_mem_eq(signature, want, 64);
    ck_assert_int_eq(crypto_sign_verify_detached(signature, message, n, public), 0);
}
END_TEST

/* RFC 7748 §6.1 */
START_TEST(x25519_follows_rfc7748)
{
    static const char *const text[5] = {
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    };
    uint8_t v[5][32], shared[32];
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(hex_decode(v[i], 32, text[i], 64), TACET_OK);
    dh_pair one, two;
    dh_pair_from_secret(&one, v[0]);
    dh_pair_from_secret(&two, v[2]);
    ck_assert_mem_eq(one.public, v[1], 32);
    ck_assert_mem_eq(two.public, v[3], 32);
    ck_assert_int_eq(x25519_check(one.public), TACET_OK);
    ck_assert_int_eq(crypto_scalarmult(shared, one.secret, two.public), 0);
    ck_assert_mem_eq(shared, v[4], 32);
}
END_TEST

START_TEST(T05_R09_bad_x25519_points_are_refused)
{
    uint8_t typed[33] = { KEY_X25519 }, raw[32];
    bad_point(typed + 1, _i);
    memset(raw, 0xa5, sizeof raw);
    ck_assert_int_eq(x25519_check(typed + 1), TACET_E_KEY);
    ck_assert_int_eq(key_decode(raw, KEY_X25519, typed), TACET_E_KEY);
    untouched(raw, sizeof raw);
}
END_TEST

START_TEST(good_x25519_points_are_taken)
{
    /* the edges of what is canonical, and honest keys */
    uint8_t nine[32] = { 9 }, two[32] = { 2 }, below_p[32];
    memset(below_p, 0xff, 32);
    below_p[0] = 0xeb;
    below_p[31] = 0x7f;
    ck_assert_int_eq(x25519_check(nine), TACET_OK);
    ck_assert_int_eq(x25519_check(two), TACET_OK);
    ck_assert_int_eq(x25519_check(below_p), TACET_OK);
    env_seeded e;
    env_seeded_init(&e, 1, 0);
    for (int i = 0; i < 200; i++) {
        dh_pair p;
        dh_pair_generate(&p, &e.env);
        ck_assert_int_eq(x25519_check(p.public), TACET_OK);
    }
}
END_TEST

static const struct {
    const char *what, *key;
} bad_ed25519[] = {
    { "identity", "0100000000000000000000000000000000000000000000000000000000000000" },
    { "order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
    { "order 4", "0000000000000000000000000000000000000000000000000000000000000000" },
    { "order 4, sign", "0000000000000000000000000000000000000000000000000000000000000080" },
    { "order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05" },
    { "order 8, sign", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85" },
    { "order 8, other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a" },
    { "order 8, other, sign", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa" },
    { "identity with the sign bit", "0100000000000000000000000000000000000000000000000000000000000080" },
    { "p + 1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
    { "p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
    { "2^255 - 1", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
    { "all ones", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" },
    { "not on the curve", "0200000000000000000000000000000000000000000000000000000000000000" },
};
START_TEST(T05_bad_ed25519_points_are_refused)
{
    uint8_t typed[33] = { KEY_ED25519 }, raw[32];
    ck_assert_int_eq(hex_decode(typed + 1, 32, bad_ed25519[_i].key, 64), TACET_OK);
    memset(raw, 0xa5, sizeof raw);
    ck_assert_msg(key_decode(raw, KEY_ED25519, typed) == TACET_E_KEY, "%s", bad_ed25519[_i].what);
    untouched(raw, sizeof raw);
}
END_TEST

START_TEST(T05_ed25519_key_of_mixed_order_is_refused)
{
    uint8_t torsion[32], mixed[32];
    person p;
    person_init(&p, 2);
    ck_assert_int_eq(hex_decode(torsion, 32, bad_ed25519[4].key, 64), TACET_OK);
    ck_assert_int_eq(crypto_core_ed25519_add(mixed, p.ik.public, torsion), 0);
    ck_assert_int_eq(ed25519_check(p.ik.public), TACET_OK);
    ck_assert_int_eq(ed25519_check(mixed), TACET_E_KEY);
}
END_TEST

START_TEST(R02_a_key_of_another_type_is_refused)
{
    uint8_t typed[33], raw[32];
    person p;
    person_init(&p, 3);
    key_encode(typed, KEY_X25519, p.dh[0].public);
    ck_assert_int_eq(key_decode(raw, KEY_X25519, typed), TACET_OK);
    ck_assert_mem_eq(raw, p.dh[0].public, 32);
    for (unsigned type = 0; type < 256; type++) {
        typed[0] = (uint8_t)type;
        ck_assert_int_eq(key_decode(raw, KEY_X25519, typed), type == KEY_X25519 ? TACET_OK : TACET_E_KEY);
    }
    key_encode(typed, KEY_ED25519, p.ik.public);
    ck_assert_int_eq(key_decode(raw, KEY_ED25519, typed), TACET_OK);
    ck_assert_int_eq(key_decode(raw, KEY_X25519, typed), TACET_E_KEY);
    ck_assert_int_eq(key_decode(raw, KEY_MLKEM768, typed), TACET_E_KEY);
    typed[0] = KEY_MLKEM768;
    ck_assert_int_eq(key_decode(raw, KEY_MLKEM768, typed), TACET_E_KEY);
}
END_TEST

START_TEST(mlkem_coefficients_are_below_q)
{
    uint8_t key[TACET_KEM_KEY_BYTES], secret[crypto_kem_mlkem768_SECRETKEYBYTES], seed[64] = { 1 };
    ck_assert_int_eq(crypto_kem_mlkem768_seed_keypair(key, secret, seed), 0);
    ck_assert_int_eq(mlkem768_check(key), TACET_OK);
    /* every coefficient in turn: q - 1 is fine, q and 4,095 are not */
    static const struct {
        unsigned value;
        int want;
    } row[] = { { 3328, TACET_OK }, { 3329, TACET_E_KEY }, { 4095, TACET_E_KEY } };
    for (size_t i = 0; i < 768; i++)
        for (size_t k = 0; k < ROWS(row); k++) {
            uint8_t bent[TACET_KEM_KEY_BYTES], *at = bent + i / 2 * 3;
            memcpy(bent, key, sizeof bent);
            if (i % 2 == 0) {
                at[0] = (uint8_t)row[k].value;
                at[1] = (uint8_t)((at[1] & 0xf0) | row[k].value >> 8);
            } else {
                at[1] = (uint8_t)((at[1] & 0x0f) | (row[k].value & 15) << 4);
                at[2] = (uint8_t)(row[k].value >> 4);
            }
            ck_assert_msg(mlkem768_check(bent) == row[k].want, "coefficient %zu = %u", i, row[k].value);
        }
    memset(key + 1152, 0xff, 32); /* the seed is free */
    ck_assert_int_eq(mlkem768_check(key), TACET_OK);
}
END_TEST

START_TEST(account_depends_on_every_bit_of_the_key)
{
    person p;
    account_id other;
    person_init(&p, 4);
    for (size_t bit = 0; bit < 256; bit++) {
        p.ik.public[bit / 8] ^= (uint8_t)(1U << bit % 8);
        account_of(&other, p.ik.public);
        ck_assert_mem_ne(other.bytes, p.account.bytes, 32);
        p.ik.public[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    account_of(&other, p.ik.public);
    ck_assert_mem_eq(other.bytes, p.account.bytes, 32);
}
END_TEST

static int verify(const void *ctx, const uint8_t *bytes, size_t n)
{
    const person *p = ctx; /* bytes = signature | object */
    if (n < TACET_SIGNATURE_BYTES)
        return TACET_E_FORGED;
    return object_verify(bytes, SIGN_PREKEY, &p->account, 1, bytes + TACET_SIGNATURE_BYTES, n - TACET_SIGNATURE_BYTES, p->device_sign[0].public);
}

START_TEST(a_signature_holds_for_one_thing_only)
{
    person p, q;
    uint8_t bytes[TACET_SIGNATURE_BYTES + 40] = { 0 };
    const uint8_t *object = bytes + TACET_SIGNATURE_BYTES;
    person_init(&p, 5);
    person_init(&q, 6);
    object_sign(bytes, SIGN_PREKEY, &p.account, 1, object, 40, p.device_sign[0].secret);
    refuses_every_change(verify, &p, bytes, sizeof bytes);
    for (int purpose = 0; purpose < 256; purpose++)
        ck_assert_int_eq(object_verify(bytes, (enum sign_purpose)purpose, &p.account, 1, object, 40, p.device_sign[0].public),
                         purpose == SIGN_PREKEY ? TACET_OK : TACET_E_FORGED);
    ck_assert_int_eq(object_verify(bytes, SIGN_PREKEY, &q.account, 1, object, 40, p.device_sign[0].public), TACET_E_FORGED);
    ck_assert_int_eq(object_verify(bytes, SIGN_PREKEY, &p.account, 2, object, 40, p.device_sign[0].public), TACET_E_FORGED);
    ck_assert_int_eq(object_verify(bytes, SIGN_PREKEY, &p.account, 0x01000001, object, 40, p.device_sign[0].public), TACET_E_FORGED);
    ck_assert_int_eq(object_verify(bytes, SIGN_PREKEY, &p.account, 1, object, 40, p.device_sign[1].public), TACET_E_FORGED);
}
END_TEST

/* S + L is the same point: only one of the two may pass, or one object would have two signatures. */
START_TEST(a_signature_cannot_be_bent_by_the_group_order)
{
    static const uint8_t order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10 };
    person p;
    uint8_t signature[TACET_SIGNATURE_BYTES];
    person_init(&p, 7);
    object_sign(signature, SIGN_DIRECTORY, &p.account, 0, order, 32, p.ik.secret);
    ck_assert_int_eq(object_verify(signature, SIGN_DIRECTORY, &p.account, 0, order, 32, p.ik.public), TACET_OK);
    sodium_add(signature + 32, order, 32);
    ck_assert_int_eq(object_verify(signature, SIGN_DIRECTORY, &p.account, 0, order, 32, p.ik.public), TACET_E_FORGED);
}
END_TEST

START_TEST(an_object_that_is_too_long_is_forged)
{
    person p;
    uint8_t signature[TACET_SIGNATURE_BYTES], object[TACET_SIGN_OBJECT_MAX_BYTES + 1] = { 0 };
    person_init(&p, 8);
    object_sign(signature, SIGN_DEVICE_LIST, &p.account, 0, object, TACET_SIGN_OBJECT_MAX_BYTES, p.ik.secret);
    ck_assert_int_eq(object_verify(signature, SIGN_DEVICE_LIST, &p.account, 0, object, sizeof object - 1, p.ik.public), TACET_OK);
    ck_assert_int_eq(object_verify(signature, SIGN_DEVICE_LIST, &p.account, 0, object, sizeof object, p.ik.public), TACET_E_FORGED);
}
END_TEST

SUITE("keys", LOOP(ed25519_follows_rfc8032, ROWS(rfc8032)), TEST(x25519_follows_rfc7748), LOOP(T05_R09_bad_x25519_points_are_refused, BAD_POINTS),
      TEST(good_x25519_points_are_taken), LOOP(T05_bad_ed25519_points_are_refused, ROWS(bad_ed25519)),
      TEST(T05_ed25519_key_of_mixed_order_is_refused), TEST(R02_a_key_of_another_type_is_refused), TEST(mlkem_coefficients_are_below_q),
      TEST(account_depends_on_every_bit_of_the_key), TEST(a_signature_holds_for_one_thing_only), TEST(a_signature_cannot_be_bent_by_the_group_order),
      TEST(an_object_that_is_too_long_is_forged))
