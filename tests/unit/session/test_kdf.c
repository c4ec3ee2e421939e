/* HKDF against RFC 5869, and the commitment against a ciphertext that XChaCha20-Poly1305 opens under two keys. */
#include "base/text.h"
#include "kdf.h"
#include "poly.h"
#include "suite.h"
#include <string.h>

static const struct {
    const char *ikm, *salt, *info, *okm;
} rfc5869[] = {
    { "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
    { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40414243444546"
      "4748494a4b4c4d4e4f",
      "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6"
      "a7a8a9aaabacadaeaf",
      "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6"
      "f7f8f9fafbfcfdfeff",
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e"
      "87c14c01d5c1f3434f1d87" },
    { "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
};

static size_t from_hex(uint8_t out[128], const char *text)
{
    size_t n = strlen(text) / 2;
    ck_assert_int_eq(hex_decode(out, n, text, strlen(text)), TACET_OK);
    return n;
}

START_TEST(rfc5869_vectors)
{
    uint8_t ikm[128], salt[128], info[128], want[128], got[128];
    size_t ikm_n = from_hex(ikm, rfc5869[_i].ikm), salt_n = from_hex(salt, rfc5869[_i].salt), info_n = from_hex(info, rfc5869[_i].info),
           n = from_hex(want, rfc5869[_i].okm);
    kdf_hkdf(got, n, salt, salt_n, ikm, ikm_n, info, info_n);
    ck_assert_mem_eq(got, want, n);
}
END_TEST

START_TEST(chain_is_two_hmacs)
{
    uint8_t ck[32], key[32], next[32], want[32];
    memset(ck, 7, sizeof ck);
    kdf_chain(key, next, ck);
    crypto_auth_hmacsha256(want, (const uint8_t *)"\x01", 1, ck);
    ck_assert_mem_eq(key, want, 32);
    crypto_auth_hmacsha256(want, (const uint8_t *)"\x02", 1, ck);
    ck_assert_mem_eq(next, want, 32);
    kdf_chain(NULL, ck, ck);
    ck_assert_mem_eq(ck, want, 32);
}
END_TEST

START_TEST(committed_opens_what_it_sealed_and_nothing_else)
{
    uint8_t key[32] = { 1 }, nonce[24] = { 2 }, sealed[COMMITTED_OVERHEAD_BYTES + 40], plain[40];
    memset(sealed + COMMITTED_HEAD_BYTES, 'p', 40);
    committed_seal(sealed, 40, COMMITTED_MESSAGE, key, nonce, (const uint8_t *)"ad", 2);
    ck_assert_int_eq(committed_open(plain, sealed, sizeof sealed, COMMITTED_MESSAGE, key, (const uint8_t *)"ad", 2), TACET_OK);
    for (size_t i = 0; i < 40; i++)
        ck_assert_uint_eq(plain[i], 'p');
    ck_assert_int_eq(committed_open(plain, sealed, sizeof sealed, COMMITTED_BOX, key, (const uint8_t *)"ad", 2), TACET_E_FORGED);
    ck_assert_int_eq(committed_open(plain, sealed, sizeof sealed, COMMITTED_MESSAGE, key, (const uint8_t *)"aD", 2), TACET_E_FORGED);
    for (size_t cut = 0; cut < sizeof sealed; cut++)
        ck_assert_int_eq(committed_open(plain, sealed, cut, COMMITTED_MESSAGE, key, (const uint8_t *)"ad", 2), TACET_E_FORGED);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 0x10;
        ck_assert_int_eq(committed_open(plain, sealed, sizeof sealed, COMMITTED_MESSAGE, key, (const uint8_t *)"ad", 2), TACET_E_FORGED);
        sealed[i] ^= 0x10;
    }
}
END_TEST

/* The AEAD key and the commitment that a message key gives for this nonce, as PROTOCOL.md §6.2 says. */
static void expand_message_key(uint8_t out[64], const uint8_t mk[32], const uint8_t nonce[24])
{
    uint8_t info[10 + 24];
    memcpy(info, "tacet msg", 10);
    memcpy(info + 10, nonce, 24);
    crypto_kdf_hkdf_sha256_expand(out, 64, (const char *)info, sizeof info, mk);
}

START_TEST(R21_two_key_ciphertext_is_refused_by_the_commitment)
{
    enum { PLAIN = 64, SEALED = PLAIN + 16 };
    uint8_t mk[2][32] = { { 1 }, { 2 } }, keys[2][64], nonce[24] = { 9 }, ad[5] = "AD..", both[SEALED], plain[PLAIN], message[56 + SEALED];
    for (int i = 0; i < 2; i++)
        expand_message_key(keys[i], mk[i], nonce);
    ck_assert(poly_two_key_ciphertext(both, PLAIN, keys[0], keys[1], nonce, ad, sizeof ad));
    /* the AEAD alone is content with either key, and the plaintexts differ */
    uint8_t opened[2][PLAIN];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(opened[i], NULL, NULL, both, SEALED, ad, sizeof ad, nonce, keys[i]), 0);
    ck_assert_mem_ne(opened[0], opened[1], PLAIN);
    /* with the commitment it opens under the key that was committed to, and no other */
    for (int i = 0; i < 2; i++) {
        memcpy(message, nonce, 24);
        memcpy(message + 24, keys[i] + 32, 32);
        memcpy(message + 56, both, SEALED);
        ck_assert_int_eq(committed_open(plain, message, sizeof message, COMMITTED_MESSAGE, mk[i], ad, sizeof ad), TACET_OK);
        ck_assert_int_eq(committed_open(plain, message, sizeof message, COMMITTED_MESSAGE, mk[1 - i], ad, sizeof ad), TACET_E_FORGED);
    }
}
END_TEST

SUITE("kdf", LOOP(rfc5869_vectors, ROWS(rfc5869)), TEST(chain_is_two_hmacs), TEST(committed_opens_what_it_sealed_and_nothing_else),
      TEST(R21_two_key_ciphertext_is_refused_by_the_commitment))
