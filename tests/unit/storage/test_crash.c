/* Power loss, failing writes and failing syncs, at every step of a workload (S01, S02, S03). */
#include "folder.h"
#include "faulty.h"
#include "parts.h"
#include <errno.h>

enum { BOXES = 3, GROUPS = 14, MESSAGES_MAX = 200, HOUR = 1000, BODY_MAX = 1500 };
static const uint8_t key[32] = "a key of thirty-two bytes, yes!";
/* Runs, cleaning and checkpoints all happen within fourteen groups. */
static const relay_tuning tiny = { .run_rows = 16, .exceptions_max = 2, .clean_rows = 8, .checkpoint_bytes = 200 << 10, .background = false };

typedef enum { NEVER, MAYBE, SURE } fate;

typedef struct {
    uint32_t mailbox[BOXES];
    fate registered;
    uint64_t number;
    struct {
        uint64_t number;
        unsigned box, group;
        uint32_t bytes;
        fate stored, acknowledged, expired;
    } at[MESSAGES_MAX];
    unsigned count, group;
} history;

static uint8_t body[BODY_MAX];

static const uint8_t *body_of(uint64_t number, uint32_t bytes)
{
    uint64_t s = number * 31;
    for (uint32_t i = 0; i < bytes; i++)
        body[i] = (uint8_t)draw(&s);
    return body;
}

/* What a group wanted becomes sure with its commit. */
static void settle(history *h, fate f)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (h->at[i].stored == MAYBE)
            h->at[i].stored = f;
        if (h->at[i].acknowledged == MAYBE)
            h->at[i].acknowledged = f;
    }
}

static int group_fill(relay_store *s, history *h, uint64_t *seed)
{
    int rc = TACET_OK;
    for (unsigned n = 1 + (unsigned)draw_below(seed, 9); rc == TACET_OK && n > 0; n--) {
        unsigned i = h->count, box = (unsigned)draw_below(seed, BOXES);
        uint32_t bytes = (uint32_t)draw_below(seed, BODY_MAX);
        relay_message m = { .number = ++h->number,
                            .mailbox = h->mailbox[box],
                            .token_kind = 1,
                            .stored_hour = HOUR,
                            .expires_hour = HOUR + 50,
                            .ciphertext = { body_of(h->number, bytes), bytes } };
        rc = relay_append(s, &m);
        if (rc != TACET_OK)
            return rc;
        h->at[i].number = h->number;
        h->at[i].box = box;
        h->at[i].bytes = bytes;
        h->at[i].group = h->group;
        h->at[i].stored = MAYBE;
        h->count++;
    }
    for (unsigned i = 0; rc == TACET_OK && i < h->count; i++)
        if (h->at[i].stored == SURE && h->at[i].acknowledged == NEVER && draw_below(seed, 3) == 0) {
            rc = relay_acknowledge(s, h->mailbox[h->at[i].box], &h->at[i].number, 1);
            if (rc == TACET_OK)
                h->at[i].acknowledged = MAYBE;
        }
    return rc;
}

static int boxes_add(relay_store *s, history *h)
{
    int rc = relay_begin(s);
    for (unsigned i = 0; rc == TACET_OK && i < BOXES; i++) {
        uint8_t account[32] = { (uint8_t)i };
        rc = relay_mailbox_add(s, account, 1, account, &h->mailbox[i]);
    }
    if (rc != TACET_OK) {
        relay_rollback(s);
        return rc;
    }
    h->registered = MAYBE;
    rc = relay_commit(s);
    if (rc == TACET_OK)
        h->registered = SURE;
    return rc;
}

/* Until something fails; the store is closed then. */
static int workload(history *h, uint64_t seed)
{
    relay_store *s = NULL;
    bool more = true;
    int rc = relay_store_open_tuned(&s, folder, key, &tiny);
    if (rc == TACET_OK && h->registered == NEVER)
        rc = boxes_add(s, h);
    for (h->group = 0; rc == TACET_OK && h->group < GROUPS; h->group++) {
        rc = relay_begin(s);
        if (rc == TACET_OK)
            rc = group_fill(s, h, &seed);
        if (rc != TACET_OK)
            break;
        rc = relay_commit(s);
        if (rc == TACET_OK)
            settle(h, SURE);
        if (rc == TACET_OK && h->group % 2)
            rc = relay_clean(s, HOUR, &more, NULL, NULL);
    }
    if (s)
        relay_rollback(s);
    relay_store_close(s);
    return rc;
}

typedef struct {
    const history *h;
    unsigned box;
    bool seen[MESSAGES_MAX];
} reading;

static bool read_one(void *ctx, const relay_message *m)
{
    reading *g = ctx;
    unsigned i = 0;
    while (i < g->h->count && g->h->at[i].number != m->number)
        i++;
    ck_assert_msg(i < g->h->count, "message %lu was never sent", (unsigned long)m->number);
    ck_assert_uint_eq(g->h->at[i].box, g->box);
    ck_assert_uint_eq(m->ciphertext.bytes, g->h->at[i].bytes);
    if (m->ciphertext.bytes)
        ck_assert_mem_eq(m->ciphertext.at, body_of(m->number, g->h->at[i].bytes), m->ciphertext.bytes);
    g->seen[i] = true;
    return true;
}

/* Everything sure is there, what was not committed is there as a whole or not at all, and the store is sound. */
static void verify(const history *h, uint64_t k)
{
    relay_store *s = NULL;
    relay_reader *r = NULL;
    reading g = { .h = h };
    char where[128];
    int rc = relay_store_open_tuned(&s, folder, key, &tiny);
    ck_assert_msg(rc == TACET_OK, "after step %lu: open says %s", (unsigned long)k, tacet_status_word(rc));
    OK(relay_reader_open(&r, s));
    for (g.box = 0; g.box < BOXES; g.box++) {
        uint8_t account[32] = { (uint8_t)g.box };
        uint32_t mailbox = 0;
        rc = relay_mailbox_find(s, account, 1, &mailbox);
        ck_assert(rc == TACET_OK || (rc == TACET_E_NOT_FOUND && h->registered != SURE));
        if (rc == TACET_OK)
            OK(relay_backlog(r, mailbox, 0, MESSAGES_MAX, SIZE_MAX, HOUR, read_one, &g));
    }
    unsigned maybe = 0, there = 0;
    for (unsigned i = 0; i < h->count; i++) {
        if (h->at[i].stored == SURE && h->at[i].acknowledged == NEVER)
            ck_assert_msg(g.seen[i], "step %lu: message %lu is lost", (unsigned long)k, (unsigned long)h->at[i].number);
        if (h->at[i].acknowledged == SURE)
            ck_assert_msg(!g.seen[i], "step %lu: message %lu is back", (unsigned long)k, (unsigned long)h->at[i].number);
        maybe += h->at[i].stored == MAYBE;
        there += h->at[i].stored == MAYBE && g.seen[i];
        if (h->at[i].stored == NEVER)
            ck_assert(!g.seen[i]);
    }
    ck_assert_msg(there == 0 || there == maybe, "step %lu: half a group", (unsigned long)k);
    rc = relay_check(s, where, sizeof where);
    ck_assert_msg(rc == TACET_OK, "step %lu: %s", (unsigned long)k, where);
    relay_reader_close(r);
    relay_store_close(s);
}

static uint64_t steps_of_workload(uint64_t seed)
{
    history h = { 0 };
    faulty_fail(STEP_ANY, 0, 0, 0);
    OK(workload(&h, seed));
    uint64_t steps = faulty_steps();
    verify(&h, 0);
    folder_empty();
    faulty_reset();
    return steps;
}

START_TEST(S01_power_loss_at_every_step)
{
    folder_make();
    faulty_install();
    uint64_t seed = (uint64_t)_i + 1, steps = steps_of_workload(seed);
    ck_assert_uint_gt(steps, 150);
    for (uint64_t k = 1 + (uint64_t)_i % 2; k <= steps; k += 2) { /* the odd steps of one seed, the even ones of the next */
        history h = { 0 };
        faulty_power_loss(k, seed * 1000 + k);
        int rc = workload(&h, seed);
        ck_assert_msg(rc != TACET_OK || k > steps - 20, "step %lu of %lu", (unsigned long)k, (unsigned long)steps);
        faulty_restart();
        if (k % 3 == 0)
            (void)unlink(in_folder("relay.db-shm"));
        verify(&h, k);
        settle(&h, NEVER);
        folder_empty();
        faulty_reset();
    }
    folder_remove();
}
END_TEST

/* --- one failure, then none ------------------------------------------------------------------------------------------------------------------ */
static const struct {
    const char *what;
    unsigned kinds;
    int code, error, want;
} failure[] = {
    { "a write fails", STEP_WRITE, SQLITE_IOERR_WRITE, EIO, TACET_E_IO },
    { "the disk is full", STEP_WRITE, SQLITE_FULL, ENOSPC, TACET_E_FULL },
    { "the quota is used up", STEP_WRITE, SQLITE_IOERR_WRITE, EDQUOT, TACET_E_FULL },
    { "a file cannot be opened", STEP_OPEN, SQLITE_CANTOPEN, EMFILE, TACET_E_IO },
    { "the file system became read-only", STEP_OPEN, SQLITE_CANTOPEN, EROFS, TACET_E_READONLY },
    { "a truncation fails", STEP_TRUNCATE, SQLITE_IOERR_TRUNCATE, EIO, TACET_E_IO },
    { "a sync fails", STEP_SYNC, SQLITE_IOERR_FSYNC, EIO, TACET_E_IO },
    { "a deletion fails", STEP_DELETE, SQLITE_IOERR_DELETE, EIO, TACET_E_IO },
};

START_TEST(S03_every_step_fails_once)
{
    folder_make();
    faulty_install();
    unsigned told = 0;
    for (uint64_t k = 1;; k += 1 + k / 48) {
        history h = { 0 };
        faulty_fail(failure[_i].kinds, k, failure[_i].code, failure[_i].error);
        int rc = workload(&h, 5);
        bool reached = faulty_steps() >= k;
        faulty_fail(STEP_ANY, 0, 0, 0);
        /* A checkpoint's failure is no failure of a commit; everything else is told by the right name. */
        ck_assert_msg(rc == TACET_OK || rc == failure[_i].want, "%s, step %lu: %s", failure[_i].what, (unsigned long)k, tacet_status_word(rc));
        told += rc != TACET_OK;
        verify(&h, k);
        folder_empty();
        faulty_reset();
        if (!reached)
            break;
    }
    ck_assert_msg(told > 0 || failure[_i].kinds & (STEP_DELETE | STEP_TRUNCATE), "%s: never told", failure[_i].what);
    folder_remove();
}
END_TEST

/* After a full disk the same store goes on, without having lost or doubled anything. */
START_TEST(S03_full_disk_is_survived)
{
    folder_make();
    faulty_install();
    relay_store *s = NULL;
    history h = { 0 };
    uint64_t seed = 3;
    OK(relay_store_open_tuned(&s, folder, key, &tiny));
    OK(boxes_add(s, &h));
    for (h.group = 0; h.group < GROUPS; h.group++) {
        OK(relay_begin(s));
        OK(group_fill(s, &h, &seed));
        if (h.group % 3 == 1) {
            faulty_fail(STEP_WRITE, 1 + h.group % 4, SQLITE_FULL, ENOSPC);
            ck_assert_int_eq(relay_commit(s), TACET_E_FULL);
            faulty_fail(STEP_ANY, 0, 0, 0);
            settle(&h, NEVER);
        } else {
            OK(relay_commit(s));
            settle(&h, SURE);
        }
    }
    relay_store_close(s);
    verify(&h, 0);
    folder_remove();
}
END_TEST

/* Also in the middle of cleaning: the run that is being finished moves the others in memory, one of which is due to be swept. */
START_TEST(S03_full_disk_while_a_run_is_finished)
{
    folder_make();
    faulty_install();
    relay_store *s = NULL;
    history h = { 0 };
    uint64_t seed = 3;
    unsigned moved = 0;
    bool more;
    OK(relay_store_open_tuned(&s, folder, key, &tiny));
    OK(boxes_add(s, &h));
    for (h.group = 0; h.group < GROUPS; h.group++) {
        OK(relay_begin(s));
        OK(group_fill(s, &h, &seed));
        OK(relay_commit(s));
        settle(&h, SURE);
        if (!s->drain.end)
            continue;
        s->runs.room = s->runs.count;
        moved += s->runs.count && s->runs.at[0].live < s->runs.at[0].rows;
        faulty_fail(STEP_WRITE, 1, SQLITE_FULL, ENOSPC);
        ck_assert_int_eq(relay_clean(s, HOUR, &more, NULL, NULL), TACET_E_FULL);
        faulty_fail(STEP_ANY, 0, 0, 0);
        OK(relay_clean(s, HOUR, &more, NULL, NULL));
    }
    ck_assert_uint_gt(moved, 0);
    relay_store_close(s);
    verify(&h, 0);
    folder_remove();
}
END_TEST

START_TEST(S02_failed_sync_is_final)
{
    folder_make();
    faulty_install();
    relay_store *s = NULL;
    history h = { 0 };
    uint64_t seed = 9;
    OK(relay_store_open_tuned(&s, folder, key, &tiny));
    OK(boxes_add(s, &h));
    for (h.group = 0; h.group < 5; h.group++) {
        OK(relay_begin(s));
        OK(group_fill(s, &h, &seed));
        if (h.group < 4) {
            OK(relay_commit(s));
            settle(&h, SURE);
        }
    }
    faulty_fail(STEP_SYNC, 1, SQLITE_IOERR_FSYNC, EIO);
    ck_assert_int_eq(relay_commit(s), TACET_E_IO);
    ck_assert_int_eq(errno, EIO);
    faulty_fail(STEP_ANY, 0, 0, 0); /* the disk says that it is well again: nobody believes it */
    ck_assert_int_eq(relay_begin(s), TACET_E_IO);
    ck_assert_int_eq(relay_commit(s), TACET_E_BUG); /* nothing is open */
    bool more;
    int rc = relay_clean(s, HOUR, &more, NULL, NULL);
    ck_assert(rc == TACET_OK || rc == TACET_E_IO);
    relay_store_close(s);
    verify(&h, 0); /* a new start recovers */
    folder_remove();
}
END_TEST

/* The checkpoint thread meets the bad sync: the next commit says so. */
START_TEST(S02_failed_sync_of_a_checkpoint_is_final)
{
    folder_make();
    faulty_install();
    relay_tuning t = tiny;
    t.background = true;
    relay_store *s = NULL;
    history h = { 0 };
    uint64_t seed = 11;
    OK(relay_store_open_tuned(&s, folder, key, &t));
    OK(boxes_add(s, &h));
    atomic_store(&s->checkpoint.failed, TACET_E_IO);
    ck_assert_int_eq(relay_begin(s), TACET_E_IO);
    atomic_store(&s->checkpoint.failed, TACET_OK);
    OK(relay_begin(s));
    OK(group_fill(s, &h, &seed));
    atomic_store(&s->checkpoint.failed, TACET_E_IO);
    ck_assert_int_eq(relay_commit(s), TACET_E_IO);
    settle(&h, NEVER);
    atomic_store(&s->checkpoint.failed, TACET_OK);
    /* The real way: the thread syncs the WAL first. */
    s->tuning.checkpoint_bytes = atomic_load(&s->wal_bytes) / 2;
    faulty_fail(STEP_SYNC, 2, SQLITE_IOERR_FSYNC, EIO); /* 1: the commit's own */
    OK(relay_begin(s));
    OK(group_fill(s, &h, &seed));
    OK(relay_commit(s));
    settle(&h, SURE);
    for (int i = 0; i < 2000 && atomic_load(&s->checkpoint.failed) == TACET_OK; i++)
        (void)usleep(1000);
    ck_assert_int_eq(atomic_load(&s->checkpoint.failed), TACET_E_IO);
    ck_assert_int_eq(relay_begin(s), TACET_E_IO);
    faulty_fail(STEP_ANY, 0, 0, 0);
    relay_store_close(s);
    verify(&h, 0);
    folder_remove();
}
END_TEST

/* --- a database without the relay's cleverness ------------------------------------------------------------------------------------------------ */
static const migration steps[] = {
    { 1, "CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB NOT NULL);" },
    { 2, "CREATE TABLE u(a INTEGER PRIMARY KEY, b BLOB NOT NULL); INSERT INTO u SELECT a, b FROM t; ALTER TABLE t ADD COLUMN c;" },
    { 3, "CREATE INDEX tb ON t(b);" },
};

/* Rows 1 to n; n is returned. A row is its number's square. */
static int64_t rows_check(database *d)
{
    int64_t n = 0, bad = 0;
    char where[128];
    OK(connection_integer(d, "SELECT count(*) FROM t", &n));
    OK(connection_integer(d, "SELECT count(*) FROM t WHERE b <> CAST(a * a AS BLOB) OR a > (SELECT count(*) FROM t)", &bad));
    ck_assert_int_eq(bad, 0);
    int rc = database_check(d, where, sizeof where);
    ck_assert_msg(rc == TACET_OK, "%s", where);
    return n;
}

/* Commits until a step fails; *sure rows were committed, *version was reached for sure. */
static void database_life(int64_t *sure, uint32_t *version)
{
    database *d = NULL;
    *sure = 0;
    *version = 0;
    for (uint32_t v = 1; v <= 3; v++) {
        int rc = database_open(&d, in_folder("a.db"), key, &database_vault, steps, v);
        if (rc != TACET_OK)
            return;
        *version = v;
        for (int i = 0; rc == TACET_OK && i < 6; i++) {
            sqlite3_stmt *q = NULL;
            rc = database_begin(d);
            if (rc == TACET_OK)
                rc = database_statement(d, "INSERT INTO t(a, b) VALUES(?1, CAST(?1 * ?1 AS BLOB))", &q);
            if (rc == TACET_OK && sqlite3_bind_int64(q, 1, *sure + 1) == SQLITE_OK)
                rc = database_run(d, q);
            if (rc == TACET_OK)
                rc = database_commit(d);
            else
                database_rollback(d);
            *sure += rc == TACET_OK;
        }
        if (rc == TACET_OK && v == 2)
            rc = database_checkpoint(d, true, NULL);
        d = database_close(d);
        if (rc != TACET_OK)
            return;
    }
}

START_TEST(S01_database_and_migrations)
{
    folder_make();
    faulty_install();
    int64_t sure;
    uint32_t version;
    faulty_fail(STEP_ANY, 0, 0, 0);
    database_life(&sure, &version);
    ck_assert(sure == 18 && version == 3);
    uint64_t total = faulty_steps();
    folder_empty();
    faulty_reset();
    for (uint64_t k = 1; k <= total; k++) {
        database *d = NULL;
        faulty_power_loss(k, k * 77);
        database_life(&sure, &version);
        faulty_restart();
        /* It opens with its version or the next one, never between. */
        if (file_there(in_folder("a.db"))) {
            int rc = TACET_E_NEWER;
            for (uint32_t v = version ? version : 1; v <= 3 && rc == TACET_E_NEWER; v++)
                rc = database_open(&d, in_folder("a.db"), key, &database_vault, steps, v);
            ck_assert_msg(rc == TACET_OK, "step %lu: %s", (unsigned long)k, tacet_status_word(rc));
            int64_t n = rows_check(d);
            ck_assert_msg(n == sure || n == sure + 1, "step %lu: %ld rows, %ld are sure", (unsigned long)k, (long)n, (long)sure);
            d = database_close(d);
        } else {
            ck_assert_int_eq(sure, 0);
        }
        OK(database_open(&d, in_folder("a.db"), key, &database_vault, steps, 3));
        ck_assert_int_ge(rows_check(d), sure);
        database_close(d);
        folder_empty();
        faulty_reset();
    }
    folder_remove();
}
END_TEST

SUITE("crash", LOOP(S01_power_loss_at_every_step, 2), LOOP(S03_every_step_fails_once, ROWS(failure)), TEST(S03_full_disk_is_survived),
      TEST(S03_full_disk_while_a_run_is_finished), TEST(S02_failed_sync_is_final), TEST(S02_failed_sync_of_a_checkpoint_is_final),
      TEST(S01_database_and_migrations))
