/* tests/unit/transport/handshake_pair.h: a client and a relay in a handshake, with their secrets at hand. */
#ifndef TESTS_HANDSHAKE_PAIR_H
#define TESTS_HANDSHAKE_PAIR_H
#include "base/limits.h"
#include "fixed.h"
#include "noise.h"

extern const uint8_t pair_prologue[TACET_PREAMBLE_BYTES];

typedef struct {
    env_seeded env;
    handshake *client, *relay;
    uint8_t tk[32], tk_public[32], rk[32], rk_public[32];
    uint8_t m1[TACET_M1_BYTES], m2[TACET_M2_BYTES], m3[TACET_M3_BYTES];
} pair;

void pair_init(pair *p);
void pair_free(pair *p);
/* More of the same kind; to be freed by the caller. */
handshake *relay_new(pair *p);
handshake *client_new(pair *p, const uint8_t relay_public[32]);
/* Runs the first n messages of the three. */
void pair_run(pair *p, int n);
/* Nothing works any more, and no secret is left. */
void assert_dead(handshake *h);
void assert_refuses(handshake *h, const uint8_t *message, size_t n);
#endif
