/* x25519.h (private): X25519 (RFC 7748) as this protocol allows it: points are canonical and not of small order, and a shared secret of all
 * zeros is refused. Private to crypto/transport. */
#ifndef TRANSPORT_X25519_H
#define TRANSPORT_X25519_H
#include "base/status.h"
#include <stdint.h>

/* TACET_E_KEY unless u < 2^255 - 19 with the top bit clear, and u is not of order 1, 2, 4 or 8 on the curve or its twist. */
TACET_MUST_USE int x25519_point_check(const uint8_t u[32]);
/* shared = X25519(secret, u). TACET_E_KEY: u fails x25519_point_check or the result is zero; shared is then untouched. */
TACET_MUST_USE int x25519_shared(uint8_t shared[32], const uint8_t secret[32], const uint8_t u[32]);
/* public = X25519(secret, 9). */
void x25519_public(uint8_t public[32], const uint8_t secret[32]);
#endif
