/* identity/devices.h: the signed list of an account's devices. Wire form ("signed list") =
 *   typed IK 33 | version u64 | previous 32 | count u8 | count x device | signature 64
 *   device = id u32 | DK_sign typed 33 | DK_dh typed 33 | TK typed 33 | lowest u8 | highest u8 | created u64 (seconds)      (113 bytes)
 * Everything before the signature is the object; the list's hash is BLAKE2b-256 of the object; `previous` is the hash of version - 1, zeros
 * for version 1 and for no other. Device ids ascend strictly and start at 1; no key stands in a list twice. */
#ifndef IDENTITY_DEVICES_H
#define IDENTITY_DEVICES_H
#include "base/limits.h"
#include "identity/keys.h"

typedef struct {
    uint32_t id;
    uint8_t sign[32], dh[32], transport[32]; /* raw public keys, already checked */
    uint8_t lowest, highest;                 /* protocol versions it speaks */
    uint64_t created_s;
} device_entry;

typedef struct {
    uint8_t ik[32];
    account_id account;
    uint64_t version;
    uint8_t previous[TACET_HASH_BYTES], hash[TACET_HASH_BYTES];
    uint8_t count;
    device_entry device[TACET_DEVICES_MAX];
} device_list;

/* Signs l (ik, version, previous, devices) into out[TACET_DEVICE_LIST_MAX_BYTES]; sets l->account, l->hash and *out_bytes.
 * What others would refuse is refused here: the statuses of device_list_decode (TACET_E_FORGED: the secret is not ik's). */
TACET_MUST_USE int device_list_sign(device_list *l, uint8_t *out, size_t *out_bytes, const uint8_t ik_secret[TACET_SIGN_SECRET_BYTES]);
/* TACET_E_MALFORMED, TACET_E_KEY (a bad key, or one key twice), TACET_E_FORGED */
TACET_MUST_USE int device_list_decode(device_list *out, const uint8_t *bytes, size_t n);
/* Our own copy of what was decoded when it came and lay in an authenticated database since: the same shape, but neither are its keys judged again nor its
 * signature, which cost some 0.2 ms of Ed25519. TACET_E_MALFORMED, TACET_E_KEY (a key of another type). */
TACET_MUST_USE int device_list_reread(device_list *out, const uint8_t *bytes, size_t n);
/* May `next` follow `known`?  TACET_OK: it is version + 1, linked, of the same account.  TACET_E_REPLAY: same list, or an older version.
 * TACET_E_FORK: same version, other hash, or a wrong link.  TACET_E_GAP: further ahead.  TACET_E_FORGED: another account.
 * TACET_E_VERSION: a device's highest protocol version went down.  TACET_E_KEY: a device number now has other keys, or is not the version's own:
 * the list of version v may add one device, whose number is v, so that no number is ever given out twice.
 * known == NULL: next must be version 1. */
TACET_MUST_USE int device_list_follows(const device_list *known, const device_list *next);
/* NULL when there is none. */
const device_entry *device_list_find(const device_list *l, uint32_t device);
const device_entry *device_list_find_transport(const device_list *l, const uint8_t tk[32]);
#endif
