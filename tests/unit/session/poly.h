/* tests/unit/session/poly.h: builds one XChaCha20-Poly1305 ciphertext and tag that verify under two keys. Poly1305's tag is a polynomial in the
 * ciphertext blocks over the field of 2^130 - 5, so one block can be solved for. Arithmetic in five limbs of 26 bits. */
#ifndef TESTS_SESSION_POLY_H
#define TESTS_SESSION_POLY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* out gets n + 16 bytes; n is a multiple of 16 and at least 32. False: not found (does not happen). */
bool poly_two_key_ciphertext(uint8_t *out, size_t n, const uint8_t key1[32], const uint8_t key2[32], const uint8_t nonce[24], const uint8_t *ad,
                             size_t ad_bytes);
#endif
