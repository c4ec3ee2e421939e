/* session/agreement.h: how two devices that never met get a common secret while one is offline: X3DH with ML-KEM-768 (docs/PROTOCOL.md §5;
 * Signal's X3DH and PQXDH). The sender's identity travels in a box that only the receiver's prekeys open.
 *
 * First envelope = version u8 | kind 01 | typed EK 33 | SPK id u32 | OPK flag u8 | OPK id u32 | KEM id u32 | last-resort u8 | KEM ciphertext 1088
 *                  (1,137 clear bytes) | box 1,224 | ratchet message
 * Box = N 24 | commitment 32 | XChaCha20-Poly1305 of 1,152 bytes: device u32 | receiver's list version u64 | length u16 | signed list | zeros */
#ifndef SESSION_AGREEMENT_H
#define SESSION_AGREEMENT_H
#include "base/limits.h"
#include "identity/devices.h"
#include "identity/prekey.h"
#include <stdbool.h>

enum envelope_kinds { ENVELOPE_FIRST = 1, ENVELOPE_LATER = 2 };

enum {
    TACET_AGREEMENT_CLEAR_BYTES = 2 + 33 + 4 + 1 + 4 + 4 + 1 + 1088,
    TACET_BOX_PLAIN_BYTES = 1152,
    TACET_BOX_BYTES = 24 + 32 + TACET_BOX_PLAIN_BYTES + 16,
    TACET_FIRST_OVERHEAD_BYTES = TACET_AGREEMENT_CLEAR_BYTES + TACET_BOX_BYTES,
    TACET_SESSION_ID_BYTES = 32,
};

/* One side of an agreement, public. */
typedef struct {
    account_id account;
    uint32_t device;
    uint8_t ik[32], dh[32];
    uint64_t list_version;
} party;

/* What the initiator fetched about the receiver: checked prekeys (prekey_decode). */
typedef struct {
    party them;
    uint32_t spk_id, opk_id, kem_id;
    uint8_t spk[32], opk[32], kem[TACET_KEM_KEY_BYTES];
    bool has_opk, kem_last_resort;
} agreement_bundle;

/* The receiver's private halves; opk_secret NULL when the envelope names none. */
typedef struct {
    const uint8_t *dh_secret, *spk_secret, *opk_secret; /* 32 each */
    const uint8_t *kem_secret;                          /* 2,400 */
    const uint8_t *spk, *opk, *kem;                     /* their public halves: 32, 32 or NULL, 1,184 */
} agreement_secrets;

/* The clear fields of a first envelope: which prekeys it was made for. */
typedef struct {
    uint8_t ek[32];
    uint32_t spk_id, opk_id, kem_id;
    bool has_opk, kem_last_resort;
    const uint8_t *kem_ciphertext; /* points into the envelope */
} first_envelope;

/* Who wrote, as the box says it; the list's signature is checked, its history is the caller's to check. Belongs in locked memory. */
typedef struct {
    device_list list;
    uint8_t signed_list[TACET_DEVICE_LIST_MAX_BYTES];
    size_t signed_list_bytes;
    uint32_t device;
    uint64_t receiver_list_version; /* the version of ours that the sender used */
    uint8_t session_id[TACET_SESSION_ID_BYTES];
    uint8_t shared[5 * 32]; /* secret: the Diffie-Hellman results and the KEM secret, so that session_respond need not find them again */
    size_t shared_bytes;
} first_sender;

/* Kind of an envelope: 1 first, 2 later. TACET_E_MALFORMED, TACET_E_VERSION. */
TACET_MUST_USE int envelope_kind(const uint8_t *envelope, size_t n, unsigned *kind);
/* TACET_E_MALFORMED, TACET_E_KEY */
TACET_MUST_USE int first_envelope_decode(first_envelope *out, const uint8_t *envelope, size_t n);
/* Opens the box and computes the session id. `me.list_version` is ignored. TACET_E_FORGED for every failure. Changes nothing. */
TACET_MUST_USE int first_envelope_sender(first_sender *out, const party *me, const agreement_secrets *secrets, const uint8_t *envelope, size_t n);
#endif
