/* symmetric.h (private): the CipherState and SymmetricState of Noise (revision 34, §5.1 and §5.2) for ChaChaPoly and BLAKE2b.
 * Plain data: whoever holds one wipes it. */
#ifndef TRANSPORT_SYMMETRIC_H
#define TRANSPORT_SYMMETRIC_H
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NOISE_HASH_BYTES = 64, NOISE_KEY_BYTES = 32, NOISE_TAG_BYTES = 16, NOISE_NONCE_BYTES = 12, NOISE_HMAC_BLOCK_BYTES = 128 };

typedef struct {
    uint8_t h[NOISE_HASH_BYTES], ck[NOISE_HASH_BYTES], k[NOISE_KEY_BYTES];
    uint64_t n;
    bool has_key;
} symmetric;

/* HMAC-BLAKE2b over the concatenation of two byte strings (either may be empty). */
void noise_hmac(uint8_t out[NOISE_HASH_BYTES], const uint8_t key[NOISE_HASH_BYTES], const uint8_t *one, size_t one_bytes, const uint8_t *two,
                size_t two_bytes);
/* Noise §4.3: HKDF with two outputs. ck and the outputs may be the same memory. */
void noise_hkdf(uint8_t first[NOISE_HASH_BYTES], uint8_t second[NOISE_HASH_BYTES], const uint8_t ck[NOISE_HASH_BYTES], const uint8_t *ikm,
                size_t ikm_bytes);
/* 4 zero bytes, then n as 8 bytes little-endian (Noise §12.3). */
void noise_nonce(uint8_t out[NOISE_NONCE_BYTES], uint64_t n);

void symmetric_start(symmetric *s, const char *protocol_name);
void symmetric_mix_hash(symmetric *s, const uint8_t *bytes, size_t n);
void symmetric_mix_key(symmetric *s, const uint8_t *ikm, size_t n);
/* Bytes that n bytes take on the wire now: n, and a tag once there is a key. */
size_t symmetric_sealed_bytes(const symmetric *s, size_t n);
/* out and plain may be the same memory. TACET_E_HANDSHAKE: the counter has run out. */
TACET_MUST_USE int symmetric_encrypt_and_hash(symmetric *s, uint8_t *out, const uint8_t *plain, size_t n);
/* in is n + tag bytes (n without a key). TACET_E_HANDSHAKE: does not open. */
TACET_MUST_USE int symmetric_decrypt_and_hash(symmetric *s, uint8_t *plain, const uint8_t *in, size_t n);
/* first: initiator to responder; second: back. */
void symmetric_split(const symmetric *s, uint8_t first[NOISE_KEY_BYTES], uint8_t second[NOISE_KEY_BYTES]);
#endif
