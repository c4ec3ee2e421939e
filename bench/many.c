/* bench/many.c: see many.h. */
#include "many.h"
#include <stdlib.h>

uint32_t many_ready;
void many_ready_one(peer *p)
{
    (void)p;
    many_ready++;
}
void many_register(peer *p) { peer_register(p, 64, many_ready_one); }

peer *many_make(uint32_t count, bench_account *accounts, void (*on_up)(peer *))
{
    peer *p = calloc(count, sizeof *p);
    for (uint32_t i = 0; p && i < count; i++) {
        if (accounts)
            bench_account_make(&accounts[i]);
        p[i] = (peer){
            .index = i, .fd = -1, .role = accounts ? TACET_ROLE_MAILBOX : TACET_ROLE_OPEN, .account = accounts ? &accounts[i] : NULL, .on_up = on_up
        };
    }
    if (!p)
        exit(1);
    return p;
}

double many_connect(swarm *s, peer *p, uint32_t count, uint32_t batch)
{
    double began = seconds_now();
    uint32_t begun = 0;
    many_ready = 0;
    while (many_ready < count && seconds_now() - began < 300) {
        while (begun < count && begun - many_ready - s->refused < batch) {
            if (!peer_connect(s, &p[begun]))
                break;
            begun++;
        }
        swarm_turn(s, 5);
        if (many_ready + s->refused >= count)
            break;
    }
    return seconds_now() - began;
}
