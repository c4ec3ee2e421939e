/* Reading a mailbox on a thread of its own (and, where there is much, the second half of it on another: second.c). The ring's part is copied under the lock first and the rows are read from a snapshot taken after that:
 * what has left the ring in between was in the table before. A row that is missing then was acknowledged and cleaned away in between, which is
 * made sure of by looking again while no commit can come between the two. */
#include "parts.h"
#include <stdlib.h>
#include <string.h>

enum {
    COPY_MAX = 1024, /* numbers copied from the ring at once */
    SPLIT_FROM = 16, /* rows: fewer are read sooner than another thread is woken */
};

struct relay_reader {
    relay_store *s;
    database *db;
    mailbox_state seen; /* watermark and exceptions (a copy) as they were */
    uint64_t *exceptions;
    uint32_t exception_room;
    second_reader *second; /* NULL: without threads */
    wanted memory[COPY_MAX], want[WANTED_MAX];
    size_t memory_count;
    bool memory_complete;
};

int relay_reader_open(relay_reader **out, relay_store *s)
{
    relay_reader *r = calloc(1, sizeof *r);
    if (!r)
        return TACET_E_NOMEM;
    r->s = s;
    int rc = database_open_reader(&r->db, s->db);
    if (rc == TACET_OK)
        rc = database_execute(r->db, "PRAGMA cache_size=-32768"); /* KiB: the index of a million messages */
    if (rc == TACET_OK && s->tuning.background)
        rc = second_open(&r->second, s);
    if (rc == TACET_OK)
        *out = r;
    else
        relay_reader_close(r);
    return rc;
}

relay_reader *relay_reader_close(relay_reader *r)
{
    if (r) {
        second_close(r->second);
        database_close(r->db);
        free(r->exceptions);
        free(r);
    }
    return NULL;
}

/* --- the index in memory -------------------------------------------------------------------------------------------------------------------- */
static bool memory_take(relay_reader *r, const entry *e, uint64_t after)
{
    if (e->flags & ENTRY_DEAD || e->number <= after)
        return true;
    if (r->memory_count == COPY_MAX)
        return false;
    r->memory[r->memory_count++] = (wanted){ e->number, e->bytes };
    return true;
}

/* A long chain is not walked from its start for each batch: the ring is searched by number. */
static void memory_copy(relay_reader *r, uint32_t mailbox, uint64_t after)
{
    const mailbox_index *ix = &r->s->index;
    const mailbox_state *m = &ix->state[mailbox];
    r->memory_complete = true;
    if (m->chained > 2 * COPY_MAX) {
        for (uint64_t seq = index_lower_bound(ix, after + 1); seq < ix->end && r->memory_complete; seq++)
            if (index_at(ix, seq)->mailbox == mailbox)
                r->memory_complete = memory_take(r, index_at(ix, seq), after);
        return;
    }
    for (uint32_t place = m->oldest; place != NO_PLACE && r->memory_complete; place = ix->ring[place].next)
        r->memory_complete = memory_take(r, &ix->ring[place], after);
}

static int state_copy(relay_reader *r, uint32_t mailbox, uint64_t after)
{
    mailbox_index *ix = &r->s->index;
    int rc = TACET_OK;
    r->memory_count = 0;
    r->memory_complete = true;
    r->seen = (mailbox_state){ 0 };
    (void)pthread_mutex_lock(&ix->lock);
    const mailbox_state *m = index_state(ix, mailbox);
    if (m && m->waiting) {
        uint32_t count = m->exception_count;
        if (count > r->exception_room) {
            uint64_t *bigger = reallocarray(r->exceptions, count, sizeof *bigger);
            rc = bigger ? TACET_OK : TACET_E_NOMEM;
            r->exceptions = bigger ? bigger : r->exceptions;
            r->exception_room = bigger ? count : r->exception_room;
        }
        if (rc == TACET_OK) {
            r->seen = *m;
            r->seen.exceptions = r->exceptions;
            if (count)
                memcpy(r->exceptions, m->exceptions, count * sizeof *m->exceptions);
            memory_copy(r, mailbox, after);
        }
    }
    (void)pthread_mutex_unlock(&ix->lock);
    return rc;
}

/* --- one look ------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    uint32_t mailbox, now_hour;
    uint64_t after; /* moves on */
    size_t max_count, max_bytes, count, bytes;
    bool (*each)(void *ctx, const relay_message *m);
    void *ctx;
    bool stop, missing;
    relay_reader *reader;
    int status; /* of the last look whether a row was taken back */
} request;

/* The table's next number that is not acknowledged, 0: no more. */
static int table_next(relay_reader *r, sqlite3_stmt *q, wanted *next)
{
    int rc;
    *next = (wanted){ 0 };
    while (!next->number && (rc = database_row(r->db, q)) != TACET_E_NOT_FOUND) {
        if (rc != TACET_OK)
            return rc;
        uint64_t n = (uint64_t)sqlite3_column_int64(q, 0);
        if (!state_acknowledged(&r->seen, n))
            *next = (wanted){ n, index_bytes((uint64_t)sqlite3_column_int64(q, 1)) };
    }
    return TACET_OK;
}

/* Table and ring together, ascending; while a run is being written a number can be in both. No more than there is room for. */
static int plan_merge(relay_reader *r, const request *w, sqlite3_stmt *q, size_t *count)
{
    wanted table = { 0 };
    size_t bytes = w->bytes, i = 0;
    int rc = r->seen.in_table ? table_next(r, q, &table) : TACET_OK;
    while (i < r->memory_count && r->memory[i].number <= w->after)
        i++;
    while (rc == TACET_OK && *count < WANTED_MAX && *count < w->max_count - w->count && (table.number || i < r->memory_count)) {
        if (!r->memory_complete && i == r->memory_count)
            break; /* what the ring has next may come before this */
        wanted memory = i < r->memory_count ? r->memory[i] : (wanted){ 0 };
        wanted next = table.number && (!memory.number || table.number < memory.number) ? table : memory;
        if (*count && bytes + next.bytes > w->max_bytes)
            break;
        r->want[(*count)++] = next;
        bytes += next.bytes;
        i += next.number == memory.number;
        if (next.number == table.number)
            rc = table_next(r, q, &table);
    }
    return rc;
}

static int plan(relay_reader *r, const request *w, size_t *count)
{
    sqlite3_stmt *q = NULL;
    uint64_t from = w->after > r->seen.watermark ? w->after : r->seen.watermark;
    int rc = database_statement(r->db, "SELECT number, what FROM mailbox_index WHERE mailbox = ? AND number > ? ORDER BY number", &q);
    *count = 0;
    if (rc == TACET_OK && (sqlite3_bind_int64(q, 1, w->mailbox) != SQLITE_OK || sqlite3_bind_int64(q, 2, (sqlite3_int64)from) != SQLITE_OK))
        rc = TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = plan_merge(r, w, q, count);
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    return rc;
}

/* --- rows --------------------------------------------------------------------------------------------------------------------------------------- */
static int row_show(sqlite3_stmt *q, uint32_t mailbox, uint64_t number, bool (*each)(void *ctx, const relay_message *m), void *ctx)
{
    if ((uint32_t)sqlite3_column_int64(q, 0) != mailbox || sqlite3_column_bytes(q, 4) != 32)
        return TACET_E_CORRUPT;
    relay_message m = { .number = number,
                        .mailbox = mailbox,
                        .expires_hour = (uint32_t)sqlite3_column_int64(q, 1),
                        .stored_hour = (uint32_t)sqlite3_column_int64(q, 2),
                        .token_kind = (uint8_t)sqlite3_column_int(q, 3) };
    memcpy(m.token_hash, sqlite3_column_blob(q, 4), sizeof m.token_hash);
    m.ciphertext = (blob){ sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5) };
    if (m.ciphertext.bytes && !m.ciphertext.at)
        return TACET_E_NOMEM;
    (void)each(ctx, &m);
    return TACET_OK;
}

int show_row(database *db, uint32_t mailbox, uint64_t number, bool (*each)(void *ctx, const relay_message *m), void *ctx)
{
    sqlite3_stmt *q = NULL;
    int rc = database_statement(db, "SELECT mailbox, expires_hour, stored_hour, kind, token_hash, ciphertext FROM message WHERE number = ?", &q);
    if (rc == TACET_OK && sqlite3_bind_int64(q, 1, (sqlite3_int64)number) != SQLITE_OK)
        rc = TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = database_row(db, q);
    if (rc != TACET_OK)
        return rc;
    rc = row_show(q, mailbox, number, each, ctx);
    (void)sqlite3_reset(q); /* only one row */
    return rc;
}

/* Its token was taken back: it is there until cleaning comes to it. */
static int row_forgotten(relay_reader *r, const relay_message *m, bool *gone)
{
    sqlite3_stmt *q = NULL;
    *gone = false;
    if (!r->seen.forgetting)
        return TACET_OK;
    int rc = database_statement(r->db, "SELECT 1 FROM forget WHERE mailbox = ? AND hash = ? AND through >= ?", &q);
    if (rc == TACET_OK && (sqlite3_bind_int64(q, 1, m->mailbox) != SQLITE_OK ||
                           sqlite3_bind_blob(q, 2, m->token_hash, sizeof m->token_hash, SQLITE_STATIC) != SQLITE_OK ||
                           sqlite3_bind_int64(q, 3, (sqlite3_int64)m->number) != SQLITE_OK))
        rc = TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = database_row(r->db, q);
    *gone = rc == TACET_OK;
    if (q)
        (void)sqlite3_reset(q); /* only one row */
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

/* To the caller, if it waits still and fits. */
static bool row_give(void *ctx, const relay_message *m)
{
    request *w = ctx;
    bool gone;
    w->status = row_forgotten(w->reader, m, &gone);
    if (w->status != TACET_OK)
        return false;
    if (m->expires_hour > w->now_hour && !gone) {
        w->stop = w->count && w->bytes + m->ciphertext.bytes > w->max_bytes;
        if (w->stop)
            return false;
        w->count++;
        w->bytes += m->ciphertext.bytes;
        w->stop = !w->each(w->ctx, m) || w->count == w->max_count;
    }
    w->after = m->number;
    return !w->stop;
}

static int settle(request *w, int rc)
{
    w->missing = rc == TACET_E_NOT_FOUND;
    return w->status != TACET_OK ? w->status : w->missing ? TACET_OK : rc;
}

/* What the second reader has, behind all that the first one read. */
static int rows_of_second(relay_reader *r, request *w)
{
    const read_rows *g = second_wait(r->second);
    for (size_t i = 0; i < g->count; i++) {
        relay_message m = g->at[i].m;
        m.ciphertext.at = g->bytes + g->at[i].start;
        if (!row_give(w, &m))
            return w->status;
    }
    return settle(w, g->status);
}

static int rows_read(relay_reader *r, request *w, size_t count, bool split)
{
    size_t own = split && r->second && count >= SPLIT_FROM ? count - count / 2 : count;
    int rc = TACET_OK;
    if (own < count)
        second_ask(r->second, w->mailbox, r->want + own, count - own);
    for (size_t i = 0; rc == TACET_OK && i < own && !w->stop && !w->missing; i++)
        rc = settle(w, show_row(r->db, w->mailbox, r->want[i].number, row_give, w));
    if (own == count)
        return rc;
    if (rc == TACET_OK && !w->stop && !w->missing)
        return rows_of_second(r, w);
    (void)second_wait(r->second); /* it reads what r->want says */
    return rc;
}

static int rows_merge(relay_reader *r, request *w, bool split)
{
    size_t count = 0;
    int rc;
    while ((rc = plan(r, w, &count)) == TACET_OK && count > 0) {
        rc = rows_read(r, w, count, split);
        if (rc != TACET_OK || w->stop || w->missing)
            break;
    }
    return rc;
}

static int snapshot_begin(relay_reader *r, bool now)
{
    int64_t one;
    int rc = database_begin(r->db);
    return rc == TACET_OK && now ? connection_integer(r->db, "SELECT id FROM log", &one) : rc; /* else the first read takes the snapshot */
}

static int look(relay_reader *r, request *w, bool exact)
{
    w->missing = false;
    (void)pthread_rwlock_rdlock(&r->s->gate);
    if (exact)
        (void)pthread_mutex_lock(&r->s->committing);
    int rc = state_copy(r, w->mailbox, w->after);
    bool some = rc == TACET_OK && r->seen.waiting;
    if (some)
        rc = snapshot_begin(r, exact);
    if (exact)
        (void)pthread_mutex_unlock(&r->s->committing);
    if (some && rc == TACET_OK)
        rc = rows_merge(r, w, !exact);
    database_rollback(r->db);
    (void)pthread_rwlock_unlock(&r->s->gate);
    if (rc == TACET_OK && exact && w->missing)
        rc = TACET_E_CORRUPT; /* the index promises a row that is not there */
    return rc;
}

int relay_backlog(relay_reader *r, uint32_t mailbox, uint64_t after, size_t max_count, size_t max_bytes, uint32_t now_hour,
                  bool (*each)(void *ctx, const relay_message *m), void *ctx)
{
    request w = { .mailbox = mailbox,
                  .now_hour = now_hour,
                  .after = after,
                  .max_count = max_count,
                  .max_bytes = max_bytes,
                  .each = each,
                  .ctx = ctx,
                  .reader = r };
    int rc = TACET_OK;
    if (!max_count || after > INT64_MAX)
        return TACET_OK;
    do
        rc = look(r, &w, w.missing);
    while (rc == TACET_OK && !w.stop && (w.missing || !r->memory_complete));
    return rc > 0 && rc != TACET_E_BUSY ? TACET_E_BUG : rc;
}
