#include "worker.h"
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct {
    job *first, **last;
} queue;

typedef struct {
    workers *all;
    pthread_t thread;
    pthread_cond_t wake;
    queue jobs;
    bool started;
} worker;

struct workers {
    pthread_mutex_t lock; /* over everything below */
    worker each[WORKERS];
    queue results;
    bool ending;
    int fd;
    void *ctx;
};

static void queue_put(queue *q, job *j)
{
    j->next = NULL;
    *q->last = j;
    q->last = &j->next;
}

static job *queue_take(queue *q)
{
    job *j = q->first;
    if (j && !(q->first = j->next))
        q->last = &q->first;
    return j;
}

static void wake_engine(const workers *w)
{
    const uint64_t one = 1;
    (void)!write(w->fd, &one, sizeof one); /* full: then it is awake already */
}

static void *work(void *arg)
{
    worker *me = arg;
    workers *w = me->all;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        job *j = w->ending ? NULL : queue_take(&me->jobs);
        if (w->ending)
            break;
        if (!j) {
            pthread_cond_wait(&me->wake, &w->lock);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        j->run(j);
        pthread_mutex_lock(&w->lock);
        bool first = w->results.first == NULL;
        queue_put(&w->results, j);
        if (first)
            wake_engine(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int workers_new(workers **out, void *ctx)
{
    workers *w = calloc(1, sizeof *w);
    if (!w)
        return TACET_E_NOMEM;
    w->ctx = ctx;
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->fd < 0) {
        free(w);
        return TACET_E_IO;
    }
    pthread_mutex_init(&w->lock, NULL);
    w->results.last = &w->results.first;
    for (int i = 0; i < WORKERS; i++) {
        w->each[i].all = w;
        w->each[i].jobs.last = &w->each[i].jobs.first;
        pthread_cond_init(&w->each[i].wake, NULL);
    }
    *out = w;
    return TACET_OK;
}

/* Signals are the main thread's. */
static int start(worker *me)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&me->thread, NULL, work, me);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    me->started = rc == 0;
    return rc == 0 ? TACET_OK : TACET_E_NOMEM;
}

int workers_give(workers *w, worker_name to, job *j)
{
    worker *me = &w->each[to];
    if (!me->started && start(me) != TACET_OK)
        return TACET_E_NOMEM;
    pthread_mutex_lock(&w->lock);
    queue_put(&me->jobs, j);
    pthread_cond_signal(&me->wake);
    pthread_mutex_unlock(&w->lock);
    return TACET_OK;
}

int workers_fd(const workers *w) { return w->fd; }

static queue take_all(workers *w, queue *from)
{
    pthread_mutex_lock(&w->lock);
    queue taken = *from;
    *from = (queue){ .first = NULL, .last = &from->first };
    pthread_mutex_unlock(&w->lock);
    return taken;
}

static void finish(workers *w, job *j)
{
    while (j) {
        job *next = j->next;
        j->done(w->ctx, j);
        j = next;
    }
}

void workers_take(workers *w)
{
    uint64_t count;
    (void)!read(w->fd, &count, sizeof count); /* before looking: what comes later wakes again */
    finish(w, take_all(w, &w->results).first);
}

workers *workers_free(workers *w)
{
    if (!w)
        return NULL;
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    for (int i = 0; i < WORKERS; i++)
        pthread_cond_signal(&w->each[i].wake);
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < WORKERS; i++)
        if (w->each[i].started)
            pthread_join(w->each[i].thread, NULL);
    finish(w, take_all(w, &w->results).first);
    for (int i = 0; i < WORKERS; i++) {
        finish(w, take_all(w, &w->each[i].jobs).first);
        pthread_cond_destroy(&w->each[i].wake);
    }
    pthread_mutex_destroy(&w->lock);
    close(w->fd);
    free(w);
    return NULL;
}
