/* server/pool.c: see pool.h. */
#include "server/pool.h"
#include "server/limits.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { POOL_NICE = 10 };

typedef struct {
    work *first, *last;
} row;

struct pool {
    pthread_t thread[RELAY_HANDSHAKE_THREADS_MAX];
    unsigned threads;
    pthread_mutex_t lock;
    pthread_cond_t todo_grew;
    int wake_fd;
    bool stop;
    row todo, done;
};

static void row_push(row *r, work *w)
{
    w->next = NULL;
    *(r->last ? &r->last->next : &r->first) = w;
    r->last = w;
}

static work *row_pop(row *r)
{
    work *w = r->first;
    if (w && !(r->first = w->next))
        r->last = NULL;
    return w;
}

static void *work_loop(void *ctx)
{
    pool *p = ctx;
    /* What strangers make us compute comes after what was accepted: a flood of handshakes must not hold up commits. Without it they only share. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), POOL_NICE);
    (void)prctl(PR_SET_NAME, (unsigned long)"pool", 0ul, 0ul, 0ul); /* for top and perf */
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        work *w = row_pop(&p->todo);
        if (!w) {
            pthread_cond_wait(&p->todo_grew, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        w->run(w);
        pthread_mutex_lock(&p->lock);
        row_push(&p->done, w);
        uint64_t one = 1;
        if (write(p->wake_fd, &one, sizeof one) != sizeof one)
            continue; /* the counter is at its limit, so the owner is awake */
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int pool_start(pool **out, unsigned threads, int wake_fd)
{
    pool *p = calloc(1, sizeof *p);
    if (!p)
        return TACET_E_NOMEM;
    p->wake_fd = wake_fd;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->todo_grew, NULL);
    threads = threads < 1 ? 1 : threads > RELAY_HANDSHAKE_THREADS_MAX ? RELAY_HANDSHAKE_THREADS_MAX : threads;
    while (p->threads < threads && pthread_create(&p->thread[p->threads], NULL, work_loop, p) == 0)
        p->threads++;
    if (p->threads == 0) {
        free(p);
        return TACET_E_IO;
    }
    *out = p;
    return TACET_OK;
}

void pool_submit(pool *p, work *w)
{
    pthread_mutex_lock(&p->lock);
    row_push(&p->todo, w);
    pthread_cond_signal(&p->todo_grew);
    pthread_mutex_unlock(&p->lock);
}

work *pool_collect(pool *p)
{
    pthread_mutex_lock(&p->lock);
    work *w = row_pop(&p->done);
    pthread_mutex_unlock(&p->lock);
    return w;
}

pool *pool_stop(pool *p, void (*leftover)(work *w))
{
    if (!p)
        return NULL;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->todo_grew);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    for (work *w; (w = row_pop(&p->todo)) || (w = row_pop(&p->done));)
        leftover(w);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->todo_grew);
    free(p);
    return NULL;
}
