/* session/agreed.h: what both sides of an agreement end up with, and the two ways to get there (docs/PROTOCOL.md §5). */
#ifndef SESSION_AGREED_H
#define SESSION_AGREED_H
#include "session/agreement.h"
#include "base/env.h"
#include "kdf.h"

/* Secret, all but id. */
typedef struct {
    uint8_t rk[KEY32], hk_a[KEY32], nhk_b[KEY32], pq_0[KEY32], id[TACET_SESSION_ID_BYTES];
} agreed;

/* Initiator: makes the agreement part (clear bytes and box). Draws EK, the encapsulation's coins, the box's N, in this order. TACET_E_KEY, TACET_E_QUOTA. */
TACET_MUST_USE int agreement_begin(agreed *out, uint8_t part[TACET_FIRST_OVERHEAD_BYTES], const tacet_env *env, const party *me,
                                   const uint8_t my_dh_secret[32], const uint8_t *my_signed_list, size_t my_signed_list_bytes,
                                   const agreement_bundle *bundle);
/* Receiver, once the box told who wrote. *them is set to the writer. TACET_E_FORGED when the envelope is not the one that `sender` came from. */
TACET_MUST_USE int agreement_finish(agreed *out, party *them, const party *me, const agreement_secrets *secrets, const first_sender *sender,
                                    const uint8_t *envelope, size_t n);

/* X25519, refusing the zero result (TACET_E_KEY). */
TACET_MUST_USE int dh_agree(uint8_t out[32], const uint8_t secret[32], const uint8_t public[32]);
#endif
