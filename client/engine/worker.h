/* engine/worker.h: threads for what may wait for a disk or keeps a core busy: each takes jobs from its own queue in order, and gives them back to the
 * engine's thread, which is woken through a descriptor. A job belongs to its thread from worker_give until its `done` is called. */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H
#include "base/status.h"

typedef struct job job;
struct job {
    job *next;
    void (*run)(job *j);             /* on the worker's thread; touches nothing but the job and what it was handed */
    void (*done)(void *ctx, job *j); /* on the engine's thread; ctx as given to workers_new; owns the job from then on */
};

typedef enum { WORKER_READER, WORKER_WRITER, WORKER_SYNCER, WORKERS } worker_name;
typedef struct workers workers;

/* Threads start with their first job. TACET_E_NOMEM, TACET_E_IO (no descriptor). */
TACET_MUST_USE int workers_new(workers **out, void *ctx);
/* Waits for what is running; jobs that have not been begun and results not taken are given to `done` as they are. NULL is fine; returns NULL. */
workers *workers_free(workers *w);
/* TACET_E_NOMEM: no thread could be started; the job is still the caller's. */
TACET_MUST_USE int workers_give(workers *w, worker_name to, job *j);
int workers_fd(const workers *w); /* readable when results wait */
void workers_take(workers *w);    /* calls `done` for all results that are there */
#endif
