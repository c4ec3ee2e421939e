/* session/state.h: the inside of a session. `core` is the state proper; seal and open work on `trial`, a copy, and put it in core's place only when
 * everything has succeeded. The skipped keys and the agreement part are too big to be copied each time and are touched at the commit alone. */
#ifndef SESSION_STATE_H
#define SESSION_STATE_H
#include "pq.h"
#include "ratchet.h"

typedef struct {
    ratchet r;
    pq_state pq;
    session_info info;     /* epoch is filled in by session_describe */
    uint8_t part_hash[32]; /* BLAKE2b-256 of the agreement part */
} session_core;

struct session {
    secret_arena *arena;
    uint8_t *part; /* the initiator's agreement part, TACET_FIRST_OVERHEAD_BYTES, until the other side has answered; else NULL */
    skipped_keys skipped;
    session_core core, trial;
};

static inline pq_side core_side(const session_core *c) { return (pq_side){ c->info.id, c->info.initiator, c->info.answered }; }
#endif
