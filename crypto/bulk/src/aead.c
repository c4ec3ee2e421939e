/* See bulk/aead.h. What libcrypto has begun it must finish: the body is changed in place by then. */
#include "bulk/aead.h"
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE_BYTES = 8192 }; /* below it, what libcrypto needs to begin is more than it saves */

static EVP_CIPHER *large; /* NULL: libcrypto cannot */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look(void) { large = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL); }

void aead_prepare(void) { (void)pthread_once(&once, look); }

/* NULL: this one is libsodium's. */
static EVP_CIPHER_CTX *begin(size_t n, const uint8_t *nonce, const uint8_t *key, bool seals)
{
    aead_prepare();
    if (n < LARGE_BYTES || !large)
        return NULL;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c && EVP_CipherInit_ex2(c, large, key, nonce, seals, NULL) == 1)
        return c;
    EVP_CIPHER_CTX_free(c);
    return NULL;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void work(EVP_CIPHER_CTX *c, uint8_t *body, size_t n, aead_data ad)
{
    int done = 0;
    must(ad.bytes == 0 || EVP_CipherUpdate(c, NULL, &done, ad.at, (int)ad.bytes) == 1);
    must(EVP_CipherUpdate(c, body, &done, body, (int)n) == 1 && done == (int)n);
}

void aead_seal(uint8_t *body, size_t n, aead_data ad, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t key[AEAD_KEY_BYTES])
{
    int none = 0;
    EVP_CIPHER_CTX *c = begin(n, nonce, key, true);
    if (!c) {
        (void)crypto_aead_chacha20poly1305_ietf_encrypt(body, NULL, body, n, ad.at, ad.bytes, NULL, nonce, key);
        return;
    }
    work(c, body, n, ad);
    must(EVP_CipherFinal_ex(c, body + n, &none) == 1 && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, body + n) == 1);
    EVP_CIPHER_CTX_free(c);
}

bool aead_open(uint8_t *body, size_t n, aead_data ad, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t key[AEAD_KEY_BYTES])
{
    int none = 0;
    EVP_CIPHER_CTX *c = begin(n, nonce, key, false);
    if (!c)
        return crypto_aead_chacha20poly1305_ietf_decrypt(body, NULL, NULL, body, n + AEAD_TAG_BYTES, ad.at, ad.bytes, nonce, key) == 0;
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, body + n) == 1);
    work(c, body, n, ad);
    bool good = EVP_CipherFinal_ex(c, body + n, &none) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!good)
        sodium_memzero(body, n); /* it was decrypted before it was judged */
    return good;
}

/* draft-irtf-cfrg-xchacha: a key of its own from the first 16 bytes of the nonce. */
typedef struct {
    uint8_t key[AEAD_KEY_BYTES], nonce[AEAD_NONCE_BYTES];
} x_key;

static void x_derive(x_key *x, const uint8_t nonce[AEAD_X_NONCE_BYTES], const uint8_t key[AEAD_KEY_BYTES])
{
    (void)crypto_core_hchacha20(x->key, nonce, key, NULL);
    memset(x->nonce, 0, 4);
    memcpy(x->nonce + 4, nonce + 16, 8);
}

void aead_x_seal(uint8_t *body, size_t n, aead_data ad, const uint8_t nonce[AEAD_X_NONCE_BYTES], const uint8_t key[AEAD_KEY_BYTES])
{
    x_key x;
    x_derive(&x, nonce, key);
    aead_seal(body, n, ad, x.nonce, x.key);
    sodium_memzero(&x, sizeof x);
}

bool aead_x_open(uint8_t *body, size_t n, aead_data ad, const uint8_t nonce[AEAD_X_NONCE_BYTES], const uint8_t key[AEAD_KEY_BYTES])
{
    x_key x;
    x_derive(&x, nonce, key);
    bool good = aead_open(body, n, ad, x.nonce, x.key);
    sodium_memzero(&x, sizeof x);
    return good;
}
