/* Whoever does the work: the bytes are those of libsodium's, and nothing forged opens. Sizes on both sides of where libcrypto takes over. */
#include "bulk/aead.h"
#include "suite.h"
#include <string.h>

static const size_t sizes[] = { 0, 1, 255, 4096, 8191, 8192, 8193, 16384, 64512, 65280 };
static const size_t ad_sizes[] = { 0, 1, 37 };
enum { ROOM = 65280 + AEAD_TAG_BYTES, AD_ROOM = 37 };

typedef struct {
    uint8_t plain[ROOM], ours[ROOM], theirs[ROOM], ad[AD_ROOM], nonce[AEAD_X_NONCE_BYTES], key[AEAD_KEY_BYTES];
} box;
static box b;

static void fill(void)
{
    randombytes_buf(&b, sizeof b);
    memcpy(b.ours, b.plain, sizeof b.ours);
}

START_TEST(both_libraries_say_the_same)
{
    size_t n = sizes[_i];
    for (size_t i = 0; i < ROWS(ad_sizes); i++) {
        const aead_data ad = { b.ad, ad_sizes[i] };
        fill();
        aead_seal(b.ours, n, ad, b.nonce, b.key);
        crypto_aead_chacha20poly1305_ietf_encrypt(b.theirs, NULL, b.plain, n, ad.at, ad.bytes, NULL, b.nonce, b.key);
        ck_assert_mem_eq(b.ours, b.theirs, n + AEAD_TAG_BYTES);
        ck_assert(aead_open(b.ours, n, ad, b.nonce, b.key));
        ck_assert_int_eq(sodium_memcmp(b.ours, b.plain, n), 0);
        fill();
        aead_x_seal(b.ours, n, ad, b.nonce, b.key);
        crypto_aead_xchacha20poly1305_ietf_encrypt(b.theirs, NULL, b.plain, n, ad.at, ad.bytes, NULL, b.nonce, b.key);
        ck_assert_mem_eq(b.ours, b.theirs, n + AEAD_TAG_BYTES);
        ck_assert(aead_x_open(b.ours, n, ad, b.nonce, b.key));
        ck_assert_int_eq(sodium_memcmp(b.ours, b.plain, n), 0);
    }
}
END_TEST

/* One bit anywhere, another nonce, key or associated data: refused, and no plaintext is left in the body. */
START_TEST(nothing_forged_opens)
{
    enum { FORGERIES = 6 };
    size_t n = sizes[_i];
    for (int how = 0; how < FORGERIES; how++) {
        fill();
        aead_x_seal(b.ours, n, (aead_data){ b.ad, sizeof b.ad }, b.nonce, b.key);
        uint8_t *const spoiled[FORGERIES] = { b.ours, b.ours + n / 2, b.ours + n + AEAD_TAG_BYTES - 1, b.ad + 36, b.nonce + 23, b.key };
        *spoiled[how] ^= 1;
        ck_assert(!aead_x_open(b.ours, n, (aead_data){ b.ad, sizeof b.ad }, b.nonce, b.key));
        ck_assert(sodium_is_zero(b.ours, n));
    }
}
END_TEST

SUITE("aead", LOOP(both_libraries_say_the_same, ROWS(sizes)), LOOP(nothing_forged_opens, ROWS(sizes)))
