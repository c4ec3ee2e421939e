/* tests/unit/server/core_pair.h: bob, whose mailbox it is, and somebody who writes to him, at a relay core of their own (core_world.h). */
#ifndef TESTS_CORE_PAIR_H
#define TESTS_CORE_PAIR_H
#include "core_world.h"

typedef struct {
    world *w;
    person bob;
    client *bobs, *sender;
} pair;

/* config NULL: the usual one. Bob is registered and does not listen yet. */
pair pair_new(const core_config *config);
/* Sends and waits: the error code, 0 for accepted. */
unsigned pair_send(pair *p, const char *text);
/* Sends and does not wait. */
void pair_say(pair *p, const char *text);
void pair_subscribe(pair *p, uint32_t credit);
/* Bob's next delivery, its number; 0: none. text is a copy of its beginning. */
uint64_t pair_delivered(pair *p, char text[64]);
void pair_acknowledge(pair *p, uint64_t number);
/* Bob hangs up and comes again; what the committer had is done. */
void pair_reconnect(pair *p);
#endif
