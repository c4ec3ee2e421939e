/* fixed.h: an env whose randomness is a list of bytes that the test wrote down, in the order in which crypto/transport draws them. */
#ifndef TESTS_TRANSPORT_FIXED_H
#define TESTS_TRANSPORT_FIXED_H
#include "base/env.h"
#include "base/text.h"
#include "suite.h"
#include <string.h>

typedef struct {
    tacet_env env;
    uint8_t bytes[256];
    size_t used, filled;
} fixed_env;

static inline void fixed_random(void *ctx, uint8_t *out, size_t n)
{
    fixed_env *f = ctx;
    ck_assert_msg(f->used + n <= f->filled, "the code drew more randomness than it says");
    memcpy(out, f->bytes + f->used, n);
    f->used += n;
}
static inline uint64_t fixed_clock(void *ctx)
{
    (void)ctx;
    return 0;
}
static inline void fixed_init(fixed_env *f) { *f = (fixed_env){ .env = { f, fixed_clock, fixed_clock, fixed_random } }; }
/* hex_text may be NULL: nothing is added. */
static inline void fixed_add(fixed_env *f, const char *hex_text)
{
    size_t n = hex_text ? strlen(hex_text) / 2 : 0;
    ck_assert(f->filled + n <= sizeof f->bytes);
    if (n)
        ck_assert_int_eq(hex_decode(f->bytes + f->filled, n, hex_text, 2 * n), TACET_OK);
    f->filled += n;
}
static inline size_t unhex(uint8_t *out, size_t room, const char *hex_text)
{
    size_t n = strlen(hex_text) / 2;
    ck_assert(n <= room);
    ck_assert_int_eq(hex_decode(out, n, hex_text, 2 * n), TACET_OK);
    return n;
}
#endif
