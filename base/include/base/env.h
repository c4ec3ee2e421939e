/* base/env.h: time and randomness as arguments. Engines (handshake, ratchet, relay core, client engine, transfer) take a `tacet_env` and
 * ask nothing else for either, so that a test can run a whole network with a seeded clock. */
#ifndef BASE_ENV_H
#define BASE_ENV_H
#include <stddef.h>
#include <stdint.h>

typedef struct tacet_env tacet_env;
struct tacet_env {
    void *ctx;
    uint64_t (*now_ms)(void *ctx);                         /* wall clock, milliseconds since 1970 */
    uint64_t (*mono_ms)(void *ctx);                        /* monotonic milliseconds, for timeouts */
    void (*random)(void *ctx, uint8_t *out, size_t bytes); /* uniformly random bytes; cannot fail */
};

/* The real clock and libsodium's generator. Only in builds with -Dtesting=true the wall clock may be shifted by
 * TACET_CLOCK_OFFSET_S, and run TACET_CLOCK_RATE times as fast from TACET_CLOCK_FROM_MS (milliseconds since 1970) on. */
const tacet_env *env_system(void);

/* A deterministic environment for tests: ChaCha20 of `seed`, and a clock that stands still until env_seeded_advance. */
typedef struct {
    tacet_env env;
    uint64_t seed, counter, wall_ms, steady_ms;
} env_seeded;
void env_seeded_init(env_seeded *e, uint64_t seed, uint64_t wall_ms);
void env_seeded_advance(env_seeded *e, uint64_t ms);

static inline uint64_t env_now_ms(const tacet_env *e) { return e->now_ms(e->ctx); }
static inline uint64_t env_mono_ms(const tacet_env *e) { return e->mono_ms(e->ctx); }
static inline void env_random(const tacet_env *e, uint8_t *out, size_t bytes) { e->random(e->ctx, out, bytes); }
#endif
