/* bench/hostile.h: somebody who has one address and one account and means harm: a process of its own, beside what is measured. */
#ifndef BENCH_HOSTILE_H
#define BENCH_HOSTILE_H
#include "identity/link.h"
#include <sys/types.h>

typedef enum {
    HOSTILE_NOBODY,
    HOSTILE_SENDS,   /* messages to itself, 256 under way on each connection */
    HOSTILE_ECHOES,  /* the cheapest request, as many */
    HOSTILE_LOOKUPS, /* bundles and device lists, which the store has to read */
    HOSTILE_GAMES,   /* subscribes again and again, and acknowledges what it never got */
    HOSTILE_KINDS
} hostile_kind;
extern const char *const hostile_word[HOSTILE_KINDS];

/* Returns when it has begun; kill() ends it. */
pid_t hostile_begin(hostile_kind kind, const relay_address *relay);
#endif
