/* The relay store as a whole: open, transactions, totals. */
#include "parts.h"
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

const relay_tuning relay_tuning_default = {
    .run_rows = 131072, .exceptions_max = 64, .clean_rows = 4096, .checkpoint_bytes = 64 << 20, .background = true, .beside_wal_bytes = 2ull << 30
};

/* --- open -------------------------------------------------------------------------------------------------------------------------------- */
static int locks_make(relay_store *s)
{
    pthread_rwlockattr_t a;
    if (pthread_mutex_init(&s->committing, NULL) != 0 || pthread_mutex_init(&s->checkpoint.lock, NULL) != 0 ||
        pthread_cond_init(&s->checkpoint.wake, NULL) != 0 || pthread_rwlockattr_init(&a) != 0)
        return TACET_E_NOMEM;
    /* Else readers that overlap would keep the committer out for ever. */
    bool made = pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0 && pthread_rwlock_init(&s->gate, &a) == 0;
    (void)pthread_rwlockattr_destroy(&a); /* holds nothing */
    return made ? TACET_OK : TACET_E_NOMEM;
}

static int store_make(relay_store **out, const char *dir, const uint8_t key[32], const relay_tuning *tuning)
{
    relay_store *s = calloc(1, sizeof *s);
    if (!s)
        return TACET_E_NOMEM;
    s->tuning = *tuning;
    s->clean.ring_expires = UINT32_MAX;
    int rc = index_new(&s->index, tuning->run_rows * 4);
    if (rc == TACET_OK)
        rc = locks_make(s);
    char *path = files_name(dir, "/relay.db");
    if (rc == TACET_OK)
        rc = path ? database_open(&s->db, path, key, &database_relay, relay_migrations, relay_migration_count) : TACET_E_NOMEM;
    free(path);
    if (rc == TACET_OK)
        *out = s;
    else
        relay_store_close(s);
    return rc;
}

int relay_store_open_tuned(relay_store **out, const char *dir, const uint8_t key[32], const relay_tuning *tuning)
{
    relay_store *s = NULL;
    int rc = store_make(&s, dir, key, tuning);
    if (rc == TACET_OK)
        rc = database_execute(s->db, "PRAGMA cache_size=-65536"); /* KiB: the mailbox index is written all over */
    if (rc == TACET_OK)
        rc = database_statement(s->db, "INSERT INTO message VALUES(?, ?, ?, ?, ?, ?, ?)", &s->insert_message);
    if (rc == TACET_OK)
        rc = database_statement(s->db, "INSERT OR REPLACE INTO mailbox_index VALUES(?, ?, ?)", &s->insert_index);
    if (rc == TACET_OK)
        rc = load_index(s);
    if (rc == TACET_OK)
        rc = drain_start_if_due(s);
    if (rc == TACET_OK)
        rc = checkpoint_start(s);
    if (rc == TACET_OK)
        *out = s;
    else
        relay_store_close(s);
    return rc;
}

int relay_store_open(relay_store **out, const char *dir, const uint8_t key[32])
{
    return relay_store_open_tuned(out, dir, key, &relay_tuning_default);
}

relay_store *relay_store_close(relay_store *s)
{
    if (!s)
        return NULL;
    checkpoint_stop(s);
    s->db = database_close(s->db);
    log_unstage(s, true);
    index_free(&s->index);
    free(s->drain.order);
    free(s->runs.at);
    free(s->forget.tokens.at);
    free(s->tx.appended.at);
    free(s->tx.acknowledged.at);
    free(s->tx.removed.at);
    free(s->tx.marks.at);
    free(s->tx.lives.at);
    (void)pthread_mutex_destroy(&s->committing); /* nobody holds any of them */
    (void)pthread_mutex_destroy(&s->checkpoint.lock);
    (void)pthread_cond_destroy(&s->checkpoint.wake);
    (void)pthread_rwlock_destroy(&s->gate);
    free(s);
    return NULL;
}

/* --- transactions ------------------------------------------------------------------------------------------------------------------------ */
int relay_begin(relay_store *s)
{
    if (s->tx.open)
        return TACET_E_BUG;
    int rc = atomic_load(&s->checkpoint.failed);
    if (rc == TACET_OK)
        rc = database_begin(s->db);
    s->tx.open = rc == TACET_OK;
    return rc;
}

/* What goes into the same transaction as the caller's changes. */
static int commit_prepare(relay_store *s)
{
    enum { DRAIN_FACTOR = 2, DRAIN_COMMITS = 256 }; /* a run is written before the next one is complete, and in so many commits at most */
    uint32_t appended = (uint32_t)s->tx.appended.count, least = s->tuning.run_rows / DRAIN_COMMITS;
    int rc = marks_settle(s);
    if (rc == TACET_OK && appended)
        rc = drain_some(s, appended * DRAIN_FACTOR > least ? appended * DRAIN_FACTOR : least);
    if (rc == TACET_OK && appended)
        rc = ring_part_some(s);
    if (rc == TACET_OK && s->tx.rows_deleted)
        rc = relay_do(s, NULL, "UPDATE log SET highest = max(highest, ?)", "i", s->last_number);
    return rc;
}

static void publish(relay_store *s)
{
    (void)pthread_mutex_lock(&s->index.lock);
    log_publish(s);
    drain_publish(s);
    ring_part_publish(s);
    (void)pthread_mutex_unlock(&s->index.lock);
}

static void undo(relay_store *s)
{
    database_rollback(s->db);
    drain_undo(s);
    ring_part_undo(s);
    log_unstage(s, false);
}

int relay_commit(relay_store *s)
{
    if (!s->tx.open)
        return TACET_E_BUG;
    int rc = atomic_load(&s->checkpoint.failed);
    if (rc == TACET_OK)
        rc = commit_prepare(s);
    if (rc == TACET_OK) {
        (void)pthread_mutex_lock(&s->committing);
        rc = database_commit(s->db);
        if (rc == TACET_OK)
            publish(s);
        (void)pthread_mutex_unlock(&s->committing);
    }
    if (rc != TACET_OK) {
        undo(s);
        return rc > 0 && rc != TACET_E_BUSY ? TACET_E_BUG : rc;
    }
    log_unstage(s, true);
    /* The commit stands whatever becomes of these two: both are tried again, and a failed fsync is the next commit's answer. */
    (void)!drain_start_if_due(s);
    (void)!checkpoint_if_due(s);
    return TACET_OK;
}

void relay_rollback(relay_store *s)
{
    if (s->tx.open)
        undo(s);
}

/* --- room ---------------------------------------------------------------------------------------------------------------------------------- */
int store_disk_free(const relay_store *s, uint64_t *bytes)
{
    struct statvfs v;
    if (statvfs(s->db->path, &v) != 0)
        return TACET_E_IO;
    *bytes = (uint64_t)v.f_bavail * v.f_frsize;
    return TACET_OK;
}

int relay_room_left(relay_store *s, uint64_t *bytes)
{
    int64_t pages = 0, page_bytes = 0;
    uint64_t disk = 0;
    int rc = store_disk_free(s, &disk);
    if (rc == TACET_OK)
        rc = connection_integer(s->db, "PRAGMA freelist_count", &pages);
    if (rc == TACET_OK)
        rc = connection_integer(s->db, "PRAGMA page_size", &page_bytes);
    if (rc == TACET_OK)
        *bytes = disk + (uint64_t)pages * (uint64_t)page_bytes;
    return rc;
}

/* --- totals ------------------------------------------------------------------------------------------------------------------------------- */
int relay_totals_get(relay_store *s, relay_totals *out)
{
    relay_totals t = { .wal_bytes = atomic_load(&s->wal_bytes) };
    int64_t accounts = 0;
    int rc = connection_integer(s->db, "SELECT count(*) FROM account", &accounts);
    if (rc != TACET_OK)
        return rc;
    t.accounts = (uint64_t)accounts;
    for (uint32_t i = 0; i < s->index.states; i++) {
        const mailbox_state *m = &s->index.state[i];
        t.mailboxes += m->alive;
        t.messages += m->waiting;
        t.message_bytes += m->bytes;
    }
    *out = t;
    return TACET_OK;
}
