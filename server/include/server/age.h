/* server/age.h: the clock by which what is stored grows old. It never goes back, and when the wall clock is ahead of it, it follows at most `speed` times
 * as fast as time really passes: a wall clock that is wrong for a while deletes nothing that was accepted. What it shows is no date for anybody else. */
#ifndef SERVER_AGE_H
#define SERVER_AGE_H
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t us, mono_us, wall_us;
    bool known, told;
} age_clock;

/* Where an earlier run left it. Without this it begins with the first wall clock that it is told. */
void age_from(age_clock *a, uint64_t ms);
void age_tell(age_clock *a, uint64_t mono_us, uint64_t wall_ms, uint32_t speed);
static inline uint64_t age_ms(const age_clock *a) { return a->us / 1000; }
static inline uint32_t age_hour(const age_clock *a) { return (uint32_t)(a->us / 3600000000); }
static inline uint64_t age_behind_s(const age_clock *a) { return a->wall_us > a->us ? (a->wall_us - a->us) / 1000000 : 0; } /* the wall clock */
#endif
