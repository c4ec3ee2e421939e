/* server/limiter.h: token buckets for many keys (addresses, devices) in bounded memory. A bucket holds `burst` and gets one back every `every_ms`.
 * A full bucket needs no memory. When a key finds no place, because its neighbourhood is full of keys that are being limited, it is limited too. */
#ifndef SERVER_LIMITER_H
#define SERVER_LIMITER_H
#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct limiter limiter;
typedef struct {
    uint32_t burst, every_ms;
} limiter_rate;

TACET_MUST_USE int limiter_new(limiter **out, uint32_t entries, const uint8_t salt[16]); /* TACET_E_NOMEM */
limiter *limiter_free(limiter *l);
/* Takes one from the key's bucket, or says no and takes nothing. Time never runs backwards here: an older now_ms counts as the newest seen. */
TACET_MUST_USE bool limiter_take(limiter *l, uint64_t key, limiter_rate rate, uint64_t now_ms);
/* The same for `count` at once, all or none; more than a whole burst counts as one, and 0 only asks whether the key owes nothing. */
TACET_MUST_USE bool limiter_take_many(limiter *l, uint64_t key, limiter_rate rate, uint32_t count, uint64_t now_ms);
/* What turned out to have cost more: taken even where there is not so much, so that the next one waits for it. */
void limiter_owe(limiter *l, uint64_t key, limiter_rate rate, uint32_t count, uint64_t now_ms);
#endif
