#include "symmetric.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

static void hash_two(uint8_t out[NOISE_HASH_BYTES], const uint8_t *head, size_t head_bytes, const uint8_t *one, size_t one_bytes, const uint8_t *two,
                     size_t two_bytes)
{
    crypto_generichash_state st;
    /* unkeyed BLAKE2b-512 (RFC 7693); these calls fail only on lengths that are constants here */
    (void)crypto_generichash_init(&st, NULL, 0, NOISE_HASH_BYTES);
    if (head_bytes)
        (void)crypto_generichash_update(&st, head, head_bytes);
    if (one_bytes)
        (void)crypto_generichash_update(&st, one, one_bytes);
    if (two_bytes)
        (void)crypto_generichash_update(&st, two, two_bytes);
    (void)crypto_generichash_final(&st, out, NOISE_HASH_BYTES);
    sodium_memzero(&st, sizeof st);
}

/* RFC 2104 with a key of 64 bytes and a block of 128, as Noise §4.3 asks: not BLAKE2b's own keyed mode. */
void noise_hmac(uint8_t out[NOISE_HASH_BYTES], const uint8_t key[NOISE_HASH_BYTES], const uint8_t *one, size_t one_bytes, const uint8_t *two,
                size_t two_bytes)
{
    uint8_t inner_pad[NOISE_HMAC_BLOCK_BYTES], outer_pad[NOISE_HMAC_BLOCK_BYTES], inner[NOISE_HASH_BYTES];
    for (size_t i = 0; i < NOISE_HMAC_BLOCK_BYTES; i++) {
        uint8_t k = i < NOISE_HASH_BYTES ? key[i] : 0;
        inner_pad[i] = k ^ 0x36;
        outer_pad[i] = k ^ 0x5c;
    }
    hash_two(inner, inner_pad, sizeof inner_pad, one, one_bytes, two, two_bytes);
    hash_two(out, outer_pad, sizeof outer_pad, inner, sizeof inner, NULL, 0);
    sodium_memzero(inner_pad, sizeof inner_pad);
    sodium_memzero(outer_pad, sizeof outer_pad);
    sodium_memzero(inner, sizeof inner);
}

void noise_hkdf(uint8_t first[NOISE_HASH_BYTES], uint8_t second[NOISE_HASH_BYTES], const uint8_t ck[NOISE_HASH_BYTES], const uint8_t *ikm,
                size_t ikm_bytes)
{
    static const uint8_t one = 1, two = 2;
    uint8_t temp[NOISE_HASH_BYTES];
    noise_hmac(temp, ck, ikm, ikm_bytes, NULL, 0);
    noise_hmac(first, temp, &one, 1, NULL, 0);
    noise_hmac(second, temp, first, NOISE_HASH_BYTES, &two, 1);
    sodium_memzero(temp, sizeof temp);
}

void noise_nonce(uint8_t out[NOISE_NONCE_BYTES], uint64_t n)
{
    memset(out, 0, 4);
    for (size_t i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(n >> (8 * i));
}

void symmetric_start(symmetric *s, const char *protocol_name)
{
    size_t n = strlen(protocol_name);
    assert(n <= NOISE_HASH_BYTES); /* all our names are shorter than a hash, so they are padded, not hashed */
    memset(s, 0, sizeof *s);
    memcpy(s->h, protocol_name, n);
    memcpy(s->ck, s->h, sizeof s->ck);
}

void symmetric_mix_hash(symmetric *s, const uint8_t *bytes, size_t n) { hash_two(s->h, s->h, sizeof s->h, bytes, n, NULL, 0); }

void symmetric_mix_key(symmetric *s, const uint8_t *ikm, size_t n)
{
    uint8_t temp_k[NOISE_HASH_BYTES];
    noise_hkdf(s->ck, temp_k, s->ck, ikm, n);
    memcpy(s->k, temp_k, sizeof s->k); /* HASHLEN is 64: truncated to 32 */
    s->n = 0;
    s->has_key = true;
    sodium_memzero(temp_k, sizeof temp_k);
}

size_t symmetric_sealed_bytes(const symmetric *s, size_t n) { return s->has_key ? n + NOISE_TAG_BYTES : n; }

int symmetric_encrypt_and_hash(symmetric *s, uint8_t *out, const uint8_t *plain, size_t n)
{
    size_t sealed = symmetric_sealed_bytes(s, n);
    if (!s->has_key) {
        if (n)
            memmove(out, plain, n);
    } else {
        uint8_t nonce[NOISE_NONCE_BYTES];
        if (s->n == UINT64_MAX)
            return TACET_E_HANDSHAKE;
        noise_nonce(nonce, s->n++);
        (void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, n, s->h, sizeof s->h, NULL, nonce, s->k);
    }
    symmetric_mix_hash(s, out, sealed);
    return TACET_OK;
}

int symmetric_decrypt_and_hash(symmetric *s, uint8_t *plain, const uint8_t *in, size_t n)
{
    uint8_t before[NOISE_HASH_BYTES];
    memcpy(before, s->h, sizeof before);
    symmetric_mix_hash(s, in, symmetric_sealed_bytes(s, n)); /* first: `plain` may lie over `in` */
    if (!s->has_key) {
        if (n)
            memmove(plain, in, n);
        return TACET_OK;
    }
    uint8_t nonce[NOISE_NONCE_BYTES];
    if (s->n == UINT64_MAX)
        return TACET_E_HANDSHAKE;
    noise_nonce(nonce, s->n);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL, in, n + NOISE_TAG_BYTES, before, sizeof before, nonce, s->k) != 0)
        return TACET_E_HANDSHAKE;
    s->n++;
    return TACET_OK;
}

void symmetric_split(const symmetric *s, uint8_t first[NOISE_KEY_BYTES], uint8_t second[NOISE_KEY_BYTES])
{
    uint8_t one[NOISE_HASH_BYTES], two[NOISE_HASH_BYTES];
    noise_hkdf(one, two, s->ck, NULL, 0);
    memcpy(first, one, NOISE_KEY_BYTES);
    memcpy(second, two, NOISE_KEY_BYTES);
    sodium_memzero(one, sizeof one);
    sodium_memzero(two, sizeof two);
}
