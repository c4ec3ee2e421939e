/* session/kdf.h: HKDF and HMAC with SHA-256 (RFC 5869, RFC 2104), and the one way in which this box uses its AEAD: with a commitment.
 *
 * XChaCha20-Poly1305 does not commit to its key: one ciphertext can be made to open under two. So each key that seals a body or a box is expanded
 * to key | commitment, the commitment travels beside the nonce and is compared before anything is opened (docs/PROTOCOL.md §5.3, §6.2). */
#ifndef SESSION_KDF_H
#define SESSION_KDF_H
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY32 = 32, COMMITTED_HEAD_BYTES = 24 + 32, COMMITTED_OVERHEAD_BYTES = COMMITTED_HEAD_BYTES + 16 };

void kdf_hkdf(uint8_t *out, size_t out_bytes, const uint8_t *salt, size_t salt_bytes, const uint8_t *ikm, size_t ikm_bytes, const void *info,
              size_t info_bytes);
void kdf_expand(uint8_t *out, size_t out_bytes, const uint8_t key[KEY32], const void *info, size_t info_bytes);
/* KDF_CK's two outputs: HMAC(ck, 01) and HMAC(ck, 02). message_key may be NULL; next may be ck itself. */
void kdf_chain(uint8_t *message_key, uint8_t next[KEY32], const uint8_t ck[KEY32]);

/* What the key and commitment of a committed ciphertext are expanded with. */
enum committed_use { COMMITTED_BOX, COMMITTED_MESSAGE };

/* out = N 24 | commitment 32 | ciphertext | tag. The plaintext lies at out + COMMITTED_HEAD_BYTES already and is sealed in place. `nonce` is N. */
void committed_seal(uint8_t *out, size_t plain_bytes, enum committed_use use, const uint8_t key[KEY32], const uint8_t nonce[24], const uint8_t *ad,
                    size_t ad_bytes);
/* plain gets n - COMMITTED_OVERHEAD_BYTES bytes and must not overlap `sealed`; after a failure it holds nothing of the message. TACET_E_FORGED. */
TACET_MUST_USE int committed_open(uint8_t *plain, const uint8_t *sealed, size_t n, enum committed_use use, const uint8_t key[KEY32],
                                  const uint8_t *ad, size_t ad_bytes);
#endif
