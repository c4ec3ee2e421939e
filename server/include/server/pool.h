/* server/pool.h: threads for what costs time but touches nothing shared: handshakes and signatures. */
#ifndef SERVER_POOL_H
#define SERVER_POOL_H
#include "base/status.h"

typedef struct work work;
struct work {
    work *next;
    void (*run)(work *w); /* on a thread of the pool */
};

typedef struct pool pool;
/* `wake_fd` (an eventfd) is written when something is done. TACET_E_NOMEM, TACET_E_IO */
TACET_MUST_USE int pool_start(pool **out, unsigned threads, int wake_fd);
void pool_submit(pool *p, work *w);
/* Something that is done, or NULL. */
work *pool_collect(pool *p);
/* Ends the threads; what is left, done or not, goes to `leftover`. NULL is fine; returns NULL. */
pool *pool_stop(pool *p, void (*leftover)(work *w));
#endif
