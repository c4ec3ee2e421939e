/* server/committer.c: see committer.h. */
#include "server/committer.h"
#include "server/blob_job.h"
#include "server/directory.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct committer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    relay_store *store;
    int wake_fd;
    bool busy; /* of the owner's side alone: submitted and not collected */
    bool given, done, stop;
    job *list;
    int (*call)(void *ctx, relay_store *s);
    void *ctx;
    int status;
};

/* --- one group --------------------------------------------------------------------------------------------------------------------------- */
/* A mailbox that was removed a moment ago is the one thing that may refuse a message here. */
static int run_append(job *j, relay_store *s)
{
    const message *m = (const message *)j;
    relay_message row = { .number = m->row,
                          .mailbox = m->mailbox,
                          .token_kind = m->token_kind,
                          .stored_hour = m->stored_hour,
                          .expires_hour = m->expires_hour,
                          .ciphertext = { m->ciphertext, m->bytes } };
    memcpy(row.token_hash, m->token_hash, sizeof row.token_hash);
    int rc = relay_append(s, &row);
    j->status = rc == TACET_E_NOT_FOUND ? rc : TACET_OK;
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static int run_resolve(job *j, relay_store *s) { return directory_resolve((message *)j, s); }
static int run_login(job *j, relay_store *s) { return directory_login((login_job *)j, s); }
static int run_request(job *j, relay_store *s) { return directory_run((request_job *)j, s); }

static int run_ack(job *j, relay_store *s)
{
    const ack_job *a = (const ack_job *)j;
    return relay_acknowledge(s, a->mailbox, a->number, a->count);
}

static void note_expired(void *ctx, const relay_waiting *w)
{
    clean_job *j = ctx;
    if (j->count == j->room) {
        uint32_t room = j->room ? j->room * 2 : 64;
        relay_waiting *bigger = realloc(j->expired, room * sizeof *bigger);
        if (!bigger)
            return; /* the mailbox's quota is set right when its device has emptied it */
        j->expired = bigger;
        j->room = room;
    }
    j->expired[j->count++] = *w;
}

static int (*const runs[])(job *j, relay_store *s) = {
    [JOB_RESOLVE] = run_resolve, [JOB_APPEND] = run_append,   [JOB_ACK] = run_ack,
    [JOB_LOGIN] = run_login,     [JOB_REQUEST] = run_request, [JOB_BLOB] = blob_job_run,
};

/* All jobs but cleaning, in order. A verdict where there is nothing to judge is a broken promise. */
static int run_all(relay_store *s, job *list, bool writing)
{
    for (job *j = list; j; j = j->next) {
        if (j->kind == JOB_CLEAN || (!writing && j->writes))
            continue;
        int rc = runs[j->kind](j, s);
        if (rc != TACET_OK)
            return rc < 0 ? rc : TACET_E_BUG;
    }
    return TACET_OK;
}

static bool survivable(int status) { return status == TACET_E_FULL || status == TACET_E_NOMEM; }

static int run_cleaning(relay_store *s, job *list)
{
    for (job *j = list; j; j = j->next)
        if (j->kind == JOB_CLEAN) {
            clean_job *clean = (clean_job *)j;
            int rc = clean->age_ms ? relay_age_save(s, clean->age_ms) : TACET_OK;
            if (rc == TACET_OK)
                rc = relay_clean(s, clean->now_hour, &clean->more, note_expired, clean);
            if (rc == TACET_OK)
                rc = relay_room_left(s, &clean->room_left);
            if (rc != TACET_OK && !survivable(rc))
                return rc < 0 ? rc : TACET_E_BUG;
        }
    return TACET_OK;
}

int committer_execute(relay_store *s, job *list)
{
    bool writes = false;
    for (const job *j = list; j; j = j->next)
        writes |= j->writes;
    int rc = writes ? relay_begin(s) : TACET_OK;
    if (rc == TACET_OK)
        rc = run_all(s, list, true);
    if (writes && rc == TACET_OK)
        rc = relay_commit(s);
    else if (writes)
        relay_rollback(s);
    if (survivable(rc)) { /* what only reads saw a state that is gone: it reads again */
        for (job *j = list; j; j = j->next)
            j->status = TACET_E_NOMEM;
        int again = run_all(s, list, false);
        if (again != TACET_OK && !survivable(again))
            return again;
        int cleaned = run_cleaning(s, list);
        return cleaned == TACET_OK ? rc : cleaned;
    }
    return rc == TACET_OK ? run_cleaning(s, list) : rc < 0 ? rc : TACET_E_BUG;
}

/* --- the thread -------------------------------------------------------------------------------------------------------------------------- */
static void *commit_loop(void *ctx)
{
    committer *c = ctx;
    (void)prctl(PR_SET_NAME, (unsigned long)"commit", 0ul, 0ul, 0ul); /* for top and perf */
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!c->given && !c->stop)
            pthread_cond_wait(&c->work, &c->lock);
        if (c->stop)
            break;
        c->given = false;
        pthread_mutex_unlock(&c->lock);
        int status = c->call ? c->call(c->ctx, c->store) : committer_execute(c->store, c->list);
        pthread_mutex_lock(&c->lock);
        c->status = status;
        c->done = true;
        uint64_t one = 1;
        if (write(c->wake_fd, &one, sizeof one) != sizeof one)
            continue; /* the counter is at its limit, so the owner is awake */
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int committer_start(committer **out, relay_store *s, int wake_fd)
{
    committer *c = calloc(1, sizeof *c);
    if (!c)
        return TACET_E_NOMEM;
    c->store = s;
    c->wake_fd = wake_fd;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    if (pthread_create(&c->thread, NULL, commit_loop, c) != 0) {
        free(c);
        return TACET_E_IO;
    }
    *out = c;
    return TACET_OK;
}

bool committer_busy(const committer *c) { return c->busy; }

static void give(committer *c, job *list, int (*call)(void *ctx, relay_store *s), void *ctx)
{
    pthread_mutex_lock(&c->lock);
    c->busy = c->given = true;
    c->list = list;
    c->call = call;
    c->ctx = ctx;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
}

void committer_submit(committer *c, job *list) { give(c, list, NULL, NULL); }
void committer_submit_call(committer *c, int (*call)(void *ctx, relay_store *s), void *ctx) { give(c, NULL, call, ctx); }

bool committer_collect(committer *c, job **list, int *status)
{
    pthread_mutex_lock(&c->lock);
    bool done = c->done;
    c->done = false;
    if (done) {
        c->busy = false;
        *list = c->list;
        *status = c->status;
    }
    pthread_mutex_unlock(&c->lock);
    return done;
}

committer *committer_stop(committer *c)
{
    if (!c)
        return NULL;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->work);
    free(c);
    return NULL;
}
