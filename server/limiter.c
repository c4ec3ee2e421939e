/* server/limiter.c: one number a key, the time at which its bucket is full again (the "generic cell rate algorithm" of ATM Forum TM 4.0):
 * a request may pass when that time is at most (burst - 1) intervals ahead, and moves it one interval on; one that counts as n, n in both places. */
#include "server/limiter.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { NEIGHBOURS = 16 };

typedef struct {
    uint64_t key, full_at_ms;
} bucket;

struct limiter {
    uint8_t salt[crypto_shorthash_KEYBYTES];
    uint64_t latest_ms;
    uint32_t places; /* a multiple of NEIGHBOURS */
    bucket *bucket;
};

int limiter_new(limiter **out, uint32_t entries, const uint8_t salt[16])
{
    limiter *l = calloc(1, sizeof *l);
    if (!l)
        return TACET_E_NOMEM;
    l->places = entries < NEIGHBOURS ? NEIGHBOURS : entries / NEIGHBOURS * NEIGHBOURS;
    l->bucket = calloc(l->places, sizeof *l->bucket);
    if (!l->bucket) {
        free(l);
        return TACET_E_NOMEM;
    }
    memcpy(l->salt, salt, sizeof l->salt);
    *out = l;
    return TACET_OK;
}

limiter *limiter_free(limiter *l)
{
    if (l)
        free(l->bucket);
    free(l);
    return NULL;
}

/* The key's own bucket, else one that nobody needs any more, else NULL. */
static bucket *bucket_of(limiter *l, uint64_t key)
{
    uint64_t where;
    crypto_shorthash((uint8_t *)&where, (const uint8_t *)&key, sizeof key, l->salt);
    bucket *at = l->bucket + where % (l->places / NEIGHBOURS) * NEIGHBOURS, *unused = NULL;
    for (int i = 0; i < NEIGHBOURS; i++) {
        bool full = at[i].full_at_ms <= l->latest_ms;
        if (at[i].key == key && !full)
            return &at[i];
        if (full && !unused)
            unused = &at[i];
    }
    if (unused)
        *unused = (bucket){ .key = key, .full_at_ms = l->latest_ms };
    return unused;
}

bool limiter_take_many(limiter *l, uint64_t key, limiter_rate rate, uint32_t count, uint64_t now_ms)
{
    if (now_ms > l->latest_ms)
        l->latest_ms = now_ms;
    if (rate.every_ms == 0)
        return true;
    bucket *b = bucket_of(l, key);
    if (!b || rate.burst == 0)
        return false;
    count = count < rate.burst ? count : rate.burst;
    if (b->full_at_ms - l->latest_ms > (uint64_t)(rate.burst - count) * rate.every_ms)
        return false;
    b->full_at_ms += (uint64_t)count * rate.every_ms;
    return true;
}

void limiter_owe(limiter *l, uint64_t key, limiter_rate rate, uint32_t count, uint64_t now_ms)
{
    if (now_ms > l->latest_ms)
        l->latest_ms = now_ms;
    bucket *b = count && rate.every_ms ? bucket_of(l, key) : NULL;
    if (b)
        b->full_at_ms += (uint64_t)count * rate.every_ms;
}

bool limiter_take(limiter *l, uint64_t key, limiter_rate rate, uint64_t now_ms) { return limiter_take_many(l, key, rate, 1, now_ms); }
