/* engine/limits.h: limits that only the client cares about, with their units. */
#ifndef ENGINE_LIMITS_H
#define ENGINE_LIMITS_H
#include "base/limits.h"

enum engine_limits {
    ENGINE_ARENA_BYTES = 1024 * 1024, /* locked memory: own keys, one session with its export, one ML-KEM key */
    ENGINE_SLOTS_MAX = 24,            /* relays times roles at a time */
    ENGINE_ASKED_MAX = 320,           /* requests without reply, for each link */
    ENGINE_REPLY_MS = 60000,
    ENGINE_LANE_WINDOW = 16, /* envelopes under way to one contact: the relay keeps the order of one connection */
    ENGINE_CREDIT = 128,     /* envelopes delivered to us and not acknowledged */
    ENGINE_ACKS_MAX = 256,   /* in one frame */
    ENGINE_BATCH_MAX = 128,  /* envelopes in one transaction */
    ENGINE_QUARANTINE_MAX = 1000,
    ENGINE_PENDING_MAX = 256, /* contact requests that wait for a decision */
    ENGINE_SESSIONS_MAX = 5,  /* for each pair of devices: one that sends and four that still receive */
    ENGINE_RESET_EVERY_MS = 3600 * 1000,
    ENGINE_RESET_RETRY_MS = 300 * 1000, /* a new session that could not begin is tried again */
    ENGINE_RECEIPT_MIN_MS = 1000,
    ENGINE_RECEIPT_MAX_MS = 5000,
    ENGINE_BACKOFF_FIRST_MS = 250,
    ENGINE_BACKOFF_LEVEL = 8, /* failures in a row before it doubles */
    ENGINE_BACKOFF_MAX_MS = 60000,
    ENGINE_EARLY_TRIES = 3,       /* handshakes broken off in a row, before it is said that this is not the relay with that key */
    ENGINE_LANE_RETRY_MS = 30000, /* after a quota or rate answer */
    ENGINE_SLOT_RETRY_MS = 1000,  /* when all slots are at work; one that has been idle for so long goes to another relay */
    ENGINE_KEYS_TOLD = 64,        /* contacts whose keys do not do, which is said once of each */
    ENGINE_RETRY_CONTACTS = 64,   /* for which keys are fetched again at a time */
    ENGINE_OPEN_IDLE_MS = 30000,  /* an open link without work is closed: the relay sees it no longer than it is needed */
    ENGINE_HOUSEKEEPING_MS = 3600 * 1000,
    ENGINE_PUBLISH_NAME_S = 7 * 86400,
    ENGINE_CLOCK_TOLERANCE_S = 86400 + 3600, /* against the relay's clock, which tells the hour */
    ENGINE_TIME_FUTURE_MS = 3600 * 1000,     /* a message may be dated so far ahead ... */
    ENGINE_LIST_HISTORY_MAX = 256,
    ENGINE_HISTORY_DEFAULT = 50,
    ENGINE_HISTORY_MAX = 10000,
    ENGINE_RECEIVE_MAX = 100,
    ENGINE_CURSORS_MAX = 64,
    ENGINE_PING_MAX = 1000,
    ENGINE_PROXY_MAX_CHARS = 511,
};
#define ENGINE_HOUR_MAX_S                                                                                                                            \
    ((uint64_t)1 << 40) /* that a relay can tell; a later one is as wrong as this, and nothing that is reckoned with it overflows */
#define ENGINE_TIME_PAST_MS ((uint64_t)(TACET_TTL_MAX_S + 2 * 86400) * 1000) /* ... and so far back: what a relay may keep it, and a bit */
#endif
