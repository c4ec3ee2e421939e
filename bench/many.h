/* bench/many.h: many devices that connect and then do nothing. */
#ifndef BENCH_MANY_H
#define BENCH_MANY_H
#include "swarm.h"

extern uint32_t many_ready; /* how many of the last many_connect have come as far as they should */

void many_ready_one(peer *p); /* an on_up or a done: one more is ready */
void many_register(peer *p);  /* an on_up: registers, subscribes, then counts */
/* `count` peers, not connected; with `accounts` (filled here) devices in the mailbox role, else nobodies. Exits the bench without memory. */
peer *many_make(uint32_t count, bench_account *accounts, void (*on_up)(peer *));
/* Connects all of them, at most `batch` handshakes under way; gives the seconds it took. */
double many_connect(swarm *s, peer *p, uint32_t count, uint32_t batch);
#endif
