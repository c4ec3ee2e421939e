#include "base/env.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t clock_ms(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* How far the wall clock is off: a fixed time, or more and more of it since the given hour (so that a day passes in minutes). */
static int64_t test_offset_ms(void)
{
#ifdef TACET_TESTING
    const char *s = getenv("TACET_CLOCK_OFFSET_S"), *rate = getenv("TACET_CLOCK_RATE"), *from = getenv("TACET_CLOCK_FROM_MS");
    int64_t off = s ? (int64_t)strtoll(s, NULL, 10) * 1000 : 0;
    if (rate && from)
        off += ((int64_t)clock_ms(CLOCK_REALTIME) - (int64_t)strtoll(from, NULL, 10)) * (int64_t)(strtoll(rate, NULL, 10) - 1);
    return off;
#else
    return 0;
#endif
}

static uint64_t system_now(void *ctx)
{
    (void)ctx;
    int64_t t = (int64_t)clock_ms(CLOCK_REALTIME) + test_offset_ms();
    return t > 0 ? (uint64_t)t : 0;
}
static uint64_t system_mono(void *ctx)
{
    (void)ctx;
    return clock_ms(CLOCK_MONOTONIC);
}
static void system_random(void *ctx, uint8_t *out, size_t bytes)
{
    (void)ctx;
    randombytes_buf(out, bytes);
}

const tacet_env *env_system(void)
{
    static const tacet_env e = { NULL, system_now, system_mono, system_random };
    return &e;
}

static uint64_t seeded_now(void *ctx) { return ((env_seeded *)ctx)->wall_ms; }
static uint64_t seeded_mono(void *ctx) { return ((env_seeded *)ctx)->steady_ms; }
static void seeded_random(void *ctx, uint8_t *out, size_t bytes)
{
    env_seeded *e = ctx;
    uint8_t key[crypto_stream_chacha20_KEYBYTES] = { 0 }, nonce[crypto_stream_chacha20_NONCEBYTES];
    memcpy(key, &e->seed, sizeof e->seed);
    memcpy(nonce, &e->counter, sizeof nonce);
    e->counter++;
    crypto_stream_chacha20(out, bytes, nonce, key);
}

void env_seeded_init(env_seeded *e, uint64_t seed, uint64_t wall_ms)
{
    *e = (env_seeded){ .env = { e, seeded_now, seeded_mono, seeded_random }, .seed = seed, .wall_ms = wall_ms };
}

void env_seeded_advance(env_seeded *e, uint64_t ms)
{
    e->wall_ms += ms;
    e->steady_ms += ms;
}
