/* bulk/aead.h: ChaCha20-Poly1305 (RFC 8439) and XChaCha20-Poly1305 in place, for records and for chunks of files: the two things that are large and many.
 *
 * From 8 KiB on, libcrypto does it where it can: the same bytes in half the time (docs/BENCHMARKS.md, "Files"). It has the key in its own memory for
 * the length of one call, and wipes it. Everything shorter, and everything where libcrypto cannot, is libsodium's. Any thread may call at any time. */
#ifndef BULK_AEAD_H
#define BULK_AEAD_H
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AEAD_TAG_BYTES = 16, AEAD_KEY_BYTES = 32, AEAD_NONCE_BYTES = 12, AEAD_X_NONCE_BYTES = 24 };

typedef struct {
    const uint8_t *at;
    size_t bytes;
} aead_data; /* associated data; may be empty */

/* Looks once whether libcrypto can. Whoever locks itself in calls it before: libcrypto reads a file when it starts. */
void aead_prepare(void);
/* body: n bytes of plaintext with room for the tag behind them. */
void aead_seal(uint8_t *body, size_t n, aead_data ad, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t key[AEAD_KEY_BYTES]);
void aead_x_seal(uint8_t *body, size_t n, aead_data ad, const uint8_t nonce[AEAD_X_NONCE_BYTES], const uint8_t key[AEAD_KEY_BYTES]);
/* body: n bytes of ciphertext and the tag behind them. False: forged, and body's n bytes are zeros. */
TACET_MUST_USE bool aead_open(uint8_t *body, size_t n, aead_data ad, const uint8_t nonce[AEAD_NONCE_BYTES], const uint8_t key[AEAD_KEY_BYTES]);
TACET_MUST_USE bool aead_x_open(uint8_t *body, size_t n, aead_data ad, const uint8_t nonce[AEAD_X_NONCE_BYTES], const uint8_t key[AEAD_KEY_BYTES]);
#endif
