/* identity/prekey.h: signed prekeys, the public half of what lets somebody write to a device that is offline.
 *   kind u8 | id u32 | created u64 | expires u64 | typed key 33 or 1185 | signature 64 by the device's DK_sign      (118 or 1,270 bytes) */
#ifndef IDENTITY_PREKEY_H
#define IDENTITY_PREKEY_H
#include "identity/keys.h"
#include <stdbool.h>

enum prekey_kind { PREKEY_SIGNED = 1, PREKEY_ONE_TIME = 2, PREKEY_KEM_ONE_TIME = 3, PREKEY_KEM_LAST_RESORT = 4 };
enum { TACET_PREKEY_EC_BYTES = 21 + 33 + 64, TACET_PREKEY_KEM_BYTES = 21 + 1185 + 64, TACET_PREKEY_MAX_BYTES = TACET_PREKEY_KEM_BYTES };

typedef struct {
    enum prekey_kind kind;
    uint32_t id;
    uint64_t created_s, expires_s;
    uint8_t key[TACET_KEM_KEY_BYTES]; /* 32 used for X25519 */
} prekey;

static inline bool prekey_is_kem(enum prekey_kind k) { return k == PREKEY_KEM_ONE_TIME || k == PREKEY_KEM_LAST_RESORT; }
/* out has room for TACET_PREKEY_MAX_BYTES. TACET_E_MALFORMED (kind, device 0, expires before created), TACET_E_KEY. */
TACET_MUST_USE int prekey_sign(const prekey *p, uint8_t *out, size_t *out_bytes, const account_id *account, uint32_t device,
                               const uint8_t device_sign_secret[TACET_SIGN_SECRET_BYTES]);
/* Verifies kind (must be `want`), shape, key, signature by `device_sign` for exactly this account and device, and time.
 * TACET_E_MALFORMED, TACET_E_KEY, TACET_E_FORGED, TACET_E_EXPIRED (1 day of tolerance both ways). */
TACET_MUST_USE int prekey_decode(prekey *out, enum prekey_kind want, const uint8_t *bytes, size_t n, const account_id *account, uint32_t device,
                                 const uint8_t device_sign[32], uint64_t now_s);
/* Shape only, for the relay that stores it (it checks the signature with prekey_decode as well): kind and id of an encoded prekey. */
TACET_MUST_USE int prekey_peek(const uint8_t *bytes, size_t n, enum prekey_kind *kind, uint32_t *id);
#endif
