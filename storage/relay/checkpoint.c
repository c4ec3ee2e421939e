/* Checkpoints. A thread copies the WAL into the database while the committer goes on; when it is through, the committer copies the little that
 * came meanwhile, so that the WAL can start anew (a thread alone never catches up). When readers have kept that from happening for long, they are
 * held back for one complete checkpoint. A failed fsync ends the relay. */
#include "parts.h"
#include <signal.h>

enum { WAL_HARD_FACTOR = 4 }; /* times checkpoint_bytes: readers are held back above it */

static int wal_grew(void *ctx, sqlite3 *db, const char *name, int pages)
{
    relay_store *s = ctx;
    (void)db;
    (void)name;
    atomic_store(&s->wal_bytes, (uint64_t)pages * s->db->profile.page_bytes);
    return SQLITE_OK;
}

static void *thread_main(void *ctx)
{
    relay_store *s = ctx;
    (void)pthread_mutex_lock(&s->checkpoint.lock);
    for (;;) {
        while (!s->checkpoint.asked && !s->checkpoint.stop)
            (void)pthread_cond_wait(&s->checkpoint.wake, &s->checkpoint.lock);
        if (s->checkpoint.stop)
            break;
        s->checkpoint.asked = false;
        (void)pthread_mutex_unlock(&s->checkpoint.lock);
        /* A full disk here loses nothing and shows at the next commit; it is tried again. */
        int rc = database_checkpoint(s->checkpoint.db, false, NULL);
        if (s->checkpoint.db->failed != TACET_OK)
            atomic_store(&s->checkpoint.failed, s->checkpoint.db->failed);
        atomic_store(&s->checkpoint.done, rc == TACET_OK);
        atomic_store(&s->checkpoint.busy, false);
        (void)pthread_mutex_lock(&s->checkpoint.lock);
    }
    (void)pthread_mutex_unlock(&s->checkpoint.lock);
    return NULL;
}

int thread_begin(pthread_t *out, void *(*body)(void *ctx), void *ctx)
{
    sigset_t all, before;
    (void)sigfillset(&all); /* cannot fail */
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return TACET_E_BUG;
    int made = pthread_create(out, NULL, body, ctx);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* what it gave is good */
    return made == 0 ? TACET_OK : TACET_E_NOMEM;
}

static int thread_start(relay_store *s)
{
    int rc = connection_new(&s->checkpoint.db, s->db->path, s->db->key, &s->db->profile);
    if (rc == TACET_OK)
        rc = connection_open(s->checkpoint.db, CONNECT_WRITER);
    if (rc == TACET_OK)
        rc = thread_begin(&s->checkpoint.thread, thread_main, s);
    s->checkpoint.started = rc == TACET_OK;
    return rc;
}

int checkpoint_start(relay_store *s)
{
    (void)sqlite3_wal_hook(s->db->db, wal_grew, s); /* returns the hook before */
    return s->tuning.background ? thread_start(s) : TACET_OK;
}

void checkpoint_stop(relay_store *s)
{
    if (s->checkpoint.started) {
        (void)pthread_mutex_lock(&s->checkpoint.lock);
        s->checkpoint.stop = true;
        (void)pthread_cond_signal(&s->checkpoint.wake);
        (void)pthread_mutex_unlock(&s->checkpoint.lock);
        (void)pthread_join(s->checkpoint.thread, NULL);
        s->checkpoint.started = false;
    }
    s->checkpoint.db = connection_free(s->checkpoint.db);
}

static void thread_ask(relay_store *s)
{
    atomic_store(&s->checkpoint.busy, true);
    (void)pthread_mutex_lock(&s->checkpoint.lock);
    s->checkpoint.asked = true;
    (void)pthread_cond_signal(&s->checkpoint.wake);
    (void)pthread_mutex_unlock(&s->checkpoint.lock);
}

/* New readers wait until the WAL is empty. */
static int without_readers(relay_store *s)
{
    (void)pthread_rwlock_wrlock(&s->gate);
    int rc = database_checkpoint(s->db, true, NULL);
    (void)pthread_rwlock_unlock(&s->gate);
    if (rc == TACET_OK)
        atomic_store(&s->wal_bytes, 0);
    return rc;
}

/* A view beside the committer keeps the WAL (beside.c), and when it leaves, that is long: the thread copies what it can meanwhile, and all of it
 * afterwards; only the little that came during that pass is the committer's. Nobody waits. */
static int while_visited(relay_store *s, uint64_t wal)
{
    if (atomic_load(&s->checkpoint.busy))
        return TACET_OK;
    bool visited = atomic_load(&s->beside.guests) > 0, copied = atomic_exchange(&s->checkpoint.done, false);
    if (!visited && copied && s->beside.last_pass) {
        s->beside.last_pass = false;
        atomic_store(&s->beside.left, false);
        return database_checkpoint(s->db, false, NULL);
    }
    if (visited && wal < s->beside.asked_at + s->tuning.checkpoint_bytes)
        return TACET_OK;
    s->beside.last_pass = !visited;
    s->beside.asked_at = wal;
    thread_ask(s);
    return TACET_OK;
}

static int step(relay_store *s)
{
    uint64_t wal = atomic_load(&s->wal_bytes);
    if (s->tuning.background && (atomic_load(&s->beside.guests) || atomic_load(&s->beside.left)))
        return while_visited(s, wal);
    s->beside.asked_at = 0;
    if (wal >= s->tuning.checkpoint_bytes * WAL_HARD_FACTOR)
        return without_readers(s); /* waits for the thread, too */
    if (wal < s->tuning.checkpoint_bytes || atomic_load(&s->checkpoint.busy))
        return TACET_OK;
    if (!s->tuning.background || atomic_exchange(&s->checkpoint.done, false))
        return database_checkpoint(s->db, false, NULL);
    thread_ask(s);
    return TACET_OK;
}

/* Busy: a view or a copy has just begun, or the thread is at it. That is no failure; the next call finds the same. */
int checkpoint_if_due(relay_store *s)
{
    int rc = step(s);
    return rc == TACET_E_BUSY ? TACET_OK : rc;
}
