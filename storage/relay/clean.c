/* Cleaning, one bounded piece a call. Rows go in the order of their numbers, neighbours in one statement (contiguous rows cost a tenth of scattered
 * ones). Where rows are dead is known without reading for the ring; a run is read through when half of it is dead, or once an hour when any of it
 * is, or when something in it expires. The index is swept in its own order, since an acknowledged entry does no harm there. */
#include "parts.h"
#include <assert.h>
#include <stdlib.h>

typedef struct {
    relay_store *s;
    uint32_t now_hour;
    uint64_t from, to; /* rows to be deleted, not yet deleted; 0: none */
} sweep;

typedef struct {
    uint64_t from, to;
} span;

static int rows_flush(sweep *w)
{
    int rc = TACET_OK;
    w->s->tx.rows_deleted |= w->from != 0;
    if (w->from)
        rc = relay_do(w->s, NULL, "DELETE FROM message WHERE number BETWEEN ? AND ?", "ii", w->from, w->to);
    w->from = 0;
    return rc;
}

/* The row stays: it parts what is deleted together. */
static int row_delete(sweep *w, uint64_t number)
{
    if (!w->from)
        w->from = number;
    w->to = number;
    return TACET_OK;
}

static int row_expire(sweep *w, const removal *r)
{
    removal gone = *r;
    gone.row_deleted = gone.index_deleted = gone.unread = true;
    int rc = log_delete_row(w->s, r->mailbox, r->number, false);
    if (rc == TACET_OK)
        rc = log_remove(w->s, &gone);
    if (rc == TACET_OK)
        rc = ring_part_gone(w->s, r->number);
    return rc == TACET_OK ? row_delete(w, r->number) : rc;
}

/* --- the ring ---------------------------------------------------------------------------------------------------------------------------- */
static int ring_entry(sweep *w, uint64_t seq, uint32_t *rows)
{
    relay_store *s = w->s;
    const entry *e = index_at(&s->index, seq);
    if (e->flags & ENTRY_ROW_GONE)
        return TACET_OK; /* no row: parts nothing */
    if (e->flags & ENTRY_DEAD) {
        ++*rows;
        return row_delete(w, e->number);
    }
    if (e->expires_hour <= w->now_hour) {
        ++*rows;
        return row_expire(w, &(removal){ .number = e->number, .mailbox = e->mailbox, .bytes = e->bytes, .kind = e->kind });
    }
    if (e->expires_hour < s->clean.ring_expires_next)
        s->clean.ring_expires_next = e->expires_hour;
    return rows_flush(w);
}

/* Empty front of the ring; while a run is being written it stays. */
static void ring_trim(relay_store *s)
{
    while (!s->drain.end && s->index.first < s->index.end && index_at(&s->index, s->index.first)->flags & ENTRY_ROW_GONE)
        index_pop(&s->index);
}

static void ring_publish(relay_store *s, uint64_t from, uint64_t to)
{
    (void)pthread_mutex_lock(&s->index.lock);
    for (uint64_t seq = from > s->index.first ? from : s->index.first; seq < to; seq++) {
        entry *e = index_at(&s->index, seq);
        if (e->flags & ENTRY_DEAD && !(e->flags & ENTRY_ROW_GONE)) {
            e->flags |= ENTRY_ROW_GONE;
            s->clean.ring_dead--;
        }
    }
    ring_trim(s);
    (void)pthread_mutex_unlock(&s->index.lock);
}

static bool ring_due(const relay_store *s, uint32_t now_hour)
{
    return s->clean.ring_cursor > s->index.first || s->clean.ring_dead || s->clean.ring_expires <= now_hour;
}

static int ring_piece(relay_store *s, sweep *w, span *done)
{
    enum { ENTRIES_FOR_A_ROW = 16 }; /* entries that stay are cheap to pass */
    uint32_t rows = 0;
    uint64_t seq = s->clean.ring_cursor > s->index.first ? s->clean.ring_cursor : s->index.first, from = seq;
    if (seq == s->index.first)
        s->clean.ring_expires_next = UINT32_MAX;
    uint64_t end = s->index.end - seq > (uint64_t)s->tuning.clean_rows * ENTRIES_FOR_A_ROW ? seq + (uint64_t)s->tuning.clean_rows * ENTRIES_FOR_A_ROW
                                                                                           : s->index.end;
    int rc = TACET_OK;
    for (; rc == TACET_OK && seq < end && rows < s->tuning.clean_rows; seq++)
        rc = ring_entry(w, seq, &rows);
    if (rc == TACET_OK)
        rc = rows_flush(w);
    *done = (span){ from, seq };
    return rc;
}

static void ring_done(relay_store *s, const span *done)
{
    bool through = done->to >= s->index.end;
    ring_publish(s, done->from, done->to);
    s->clean.ring_cursor = through ? 0 : done->to;
    if (through)
        s->clean.ring_expires = s->clean.ring_expires_next;
}

/* --- runs -------------------------------------------------------------------------------------------------------------------------------- */
static bool run_due(const run *r, uint32_t now_hour)
{
    uint32_t dead = r->rows > r->live ? r->rows - r->live : 0;
    return r->cursor || dead * 2 >= r->rows || r->expires_min <= now_hour || (dead && r->swept_hour != now_hour);
}

static run *run_next(relay_store *s, uint32_t now_hour)
{
    for (size_t i = 0; i < s->runs.count; i++)
        if (run_due(&s->runs.at[i], now_hour))
            return &s->runs.at[i];
    return NULL;
}

static int run_message(sweep *w, run *r, sqlite3_stmt *q)
{
    uint64_t number = (uint64_t)sqlite3_column_int64(q, 0);
    uint32_t mailbox = (uint32_t)sqlite3_column_int64(q, 1), expires = (uint32_t)sqlite3_column_int64(q, 2);
    if (index_settled(&w->s->index, mailbox, number))
        return row_delete(w, number);
    if (expires <= w->now_hour)
        return row_expire(w, &(removal){ .number = number,
                                         .mailbox = mailbox,
                                         .bytes = (uint32_t)sqlite3_column_int64(q, 4),
                                         .kind = (uint8_t)sqlite3_column_int64(q, 3) });
    r->kept++;
    if (expires < r->kept_expires_min)
        r->kept_expires_min = expires;
    return rows_flush(w);
}

/* SQLite may not be stepped through what is being deleted: the piece is read first. */
static int run_piece(sweep *w, run *r, uint64_t *cursor)
{
    relay_store *s = w->s;
    sqlite3_stmt *q = NULL;
    uint32_t rows = 0;
    int rc = relay_bind(
        s, &q, "SELECT number, mailbox, expires_hour, kind, length(ciphertext) FROM message WHERE number BETWEEN ? AND ? ORDER BY number LIMIT ?",
        "iii", r->cursor ? r->cursor : r->first, r->last, (uint64_t)s->tuning.clean_rows);
    while (rc == TACET_OK && (rc = database_row(s->db, q)) == TACET_OK) {
        *cursor = (uint64_t)sqlite3_column_int64(q, 0) + 1;
        rows++;
        rc = run_message(w, r, q);
    }
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    if (rc == TACET_E_NOT_FOUND)
        rc = rows_flush(w);
    if (rows < s->tuning.clean_rows)
        *cursor = 0; /* through */
    return rc;
}

static int run_sweep(relay_store *s, sweep *w, run *r, uint64_t *cursor)
{
    assert(r);
    if (!r->cursor) {
        r->kept = 0;
        r->kept_expires_min = UINT32_MAX;
    }
    int rc = run_piece(w, r, cursor);
    if (rc != TACET_OK || *cursor)
        return rc;
    if (r->kept == 0)
        return relay_do(s, NULL, "DELETE FROM run WHERE first = ?", "i", r->first);
    return relay_do(s, NULL, "UPDATE run SET rows = ?, expires_min = ? WHERE first = ?", "iii", (uint64_t)r->kept, (uint64_t)r->kept_expires_min,
                    r->first);
}

static void run_done(relay_store *s, run *r, uint64_t cursor, uint32_t now_hour)
{
    r->cursor = cursor;
    if (cursor)
        return;
    r->rows = r->kept;
    r->expires_min = r->kept_expires_min;
    r->swept_hour = now_hour;
    if (r->kept)
        return;
    for (run *last = &s->runs.at[s->runs.count - 1]; r < last; r++)
        *r = r[1];
    s->runs.count--;
}

/* --- the index ---------------------------------------------------------------------------------------------------------------------------- */
static bool index_due(const relay_store *s, uint32_t now_hour)
{
    uint64_t many = s->index_rows / 4 > s->tuning.run_rows ? s->index_rows / 4 : s->tuning.run_rows;
    return s->clean.index_sweeping || s->index_dead >= many || (s->index_dead && s->clean.index_swept_hour != now_hour);
}

typedef VECTOR(acknowledgement) places;

static int index_read(relay_store *s, places *dead, acknowledgement *last, bool *through)
{
    sqlite3_stmt *q = NULL;
    uint32_t rows = 0, limit = s->tuning.clean_rows * 4;
    int rc = relay_bind(s, &q, "SELECT mailbox, number FROM mailbox_index WHERE (mailbox, number) > (?, ?) ORDER BY mailbox, number LIMIT ?", "iii",
                        (uint64_t)last->mailbox, last->number, (uint64_t)limit);
    while (rc == TACET_OK && (rc = database_row(s->db, q)) == TACET_OK) {
        acknowledgement at = { (uint32_t)sqlite3_column_int64(q, 0), (uint64_t)sqlite3_column_int64(q, 1) };
        rows++;
        *last = at;
        if (at.number <= s->index.indexed_through && index_settled(&s->index, at.mailbox, at.number) && (rc = RESERVE(dead)) == TACET_OK)
            dead->at[dead->count++] = at;
    }
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    *through = rows < limit;
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static int index_piece(relay_store *s, acknowledgement *last, uint64_t *deleted, bool *through)
{
    places dead = { 0 };
    int rc = index_read(s, &dead, last, through);
    for (size_t i = 0; rc == TACET_OK && i < dead.count; i++)
        rc = log_delete_row(s, dead.at[i].mailbox, dead.at[i].number, false);
    *deleted = dead.count;
    free(dead.at);
    return rc;
}

static void index_done(relay_store *s, uint64_t deleted, bool through, uint32_t now_hour)
{
    s->index_rows -= deleted < s->index_rows ? deleted : s->index_rows;
    if (!s->clean.index_sweeping)
        s->clean.index_dead_at_start = s->index_dead;
    s->clean.index_sweeping = !through;
    if (!through)
        return;
    s->index_dead -= s->clean.index_dead_at_start; /* deleted, or gone before by another way */
    s->clean.index_at = (acknowledgement){ 0, 0 };
    s->clean.index_swept_hour = now_hour;
}

/* --- one piece ---------------------------------------------------------------------------------------------------------------------------- */
static int by_mailbox(const void *a, const void *b)
{
    const relay_waiting *x = a, *y = b;
    return x->mailbox < y->mailbox ? -1 : x->mailbox > y->mailbox;
}

/* What nobody will read and nobody has read, one entry a mailbox. Made before the commit, told after it. */
static int unread_collect(const relay_store *s, relay_waiting **out, size_t *count)
{
    size_t n = 0, last = 0;
    relay_waiting *w = calloc(s->tx.removed.count + 1, sizeof *w);
    if (!w)
        return TACET_E_NOMEM;
    for (size_t i = 0; i < s->tx.removed.count; i++) {
        const removal *r = &s->tx.removed.at[i];
        if (r->unread)
            w[n++] = (relay_waiting){ .mailbox = r->mailbox, .messages = 1, .bytes = r->bytes, .requests = r->kind == 2 };
    }
    qsort(w, n, sizeof *w, by_mailbox);
    for (size_t i = 1; i < n; i++) {
        if (w[i].mailbox == w[last].mailbox) {
            w[last].messages++;
            w[last].bytes += w[i].bytes;
            w[last].requests += w[i].requests;
        } else {
            w[++last] = w[i];
        }
    }
    *out = w;
    *count = n ? last + 1 : 0;
    return TACET_OK;
}

typedef enum { PIECE_NONE, PIECE_DRAIN, PIECE_RING, PIECE_RUN, PIECE_INDEX, PIECE_FORGET } piece;

static piece piece_next(relay_store *s, uint32_t now_hour)
{
    piece other = s->drain.end             ? PIECE_DRAIN
                  : ring_due(s, now_hour)  ? PIECE_RING
                  : run_next(s, now_hour)  ? PIECE_RUN
                  : index_due(s, now_hour) ? PIECE_INDEX
                                           : PIECE_NONE;
    return s->forget.due && (other == PIECE_NONE || !s->forget.others_turn) ? PIECE_FORGET : other; /* neither waits for the end of the other */
}

/* What a piece found out and what counts only once it is committed. */
typedef struct {
    span ring;
    run *r; /* of PIECE_RUN alone: others may move the runs in memory */
    uint64_t cursor, deleted;
    acknowledgement index_at;
    bool through;
    forget_outcome forgot;
} outcome;

static int piece_do(relay_store *s, piece what, sweep *w, outcome *o)
{
    if (what == PIECE_DRAIN)
        return drain_some(s, s->tuning.clean_rows * 4);
    if (what == PIECE_RING)
        return ring_piece(s, w, &o->ring);
    if (what == PIECE_RUN)
        return run_sweep(s, w, o->r, &o->cursor);
    if (what == PIECE_FORGET)
        return forget_piece(s, &o->forgot);
    return index_piece(s, &o->index_at, &o->deleted, &o->through);
}

static void piece_done(relay_store *s, piece what, const outcome *o, uint32_t now_hour)
{
    s->forget.others_turn = what == PIECE_FORGET;
    if (what == PIECE_FORGET)
        forget_done(s, &o->forgot);
    if (what == PIECE_RING)
        ring_done(s, &o->ring);
    if (what == PIECE_RUN)
        run_done(s, o->r, o->cursor, now_hour);
    if (what == PIECE_INDEX) {
        s->clean.index_at = o->index_at;
        index_done(s, o->deleted, o->through, now_hour);
    }
}

static int piece_commit(relay_store *s, piece what, uint32_t now_hour, relay_waiting **unread, size_t *unread_count)
{
    sweep w = { .s = s, .now_hour = now_hour };
    outcome o = { .r = what == PIECE_RUN ? run_next(s, now_hour) : NULL, .index_at = s->clean.index_at };
    run before = o.r ? *o.r : (run){ 0 };
    int rc = relay_begin(s);
    if (rc != TACET_OK)
        return rc;
    rc = piece_do(s, what, &w, &o);
    if (rc == TACET_OK)
        rc = unread_collect(s, unread, unread_count);
    if (rc == TACET_OK)
        rc = relay_commit(s);
    else
        relay_rollback(s);
    if (rc == TACET_OK)
        piece_done(s, what, &o, now_hour);
    else if (o.r)
        *o.r = before;
    return rc;
}

int relay_clean(relay_store *s, uint32_t now_hour, bool *more, void (*each)(void *ctx, const relay_waiting *w), void *ctx)
{
    relay_waiting *unread = NULL;
    size_t count = 0;
    piece what = piece_next(s, now_hour);
    int rc = s->tx.open ? TACET_E_BUG : what == PIECE_NONE ? checkpoint_if_due(s) : piece_commit(s, what, now_hour, &unread, &count);
    if (rc == TACET_OK && what == PIECE_NONE)
        rc = rest_if_quiet(s);
    for (size_t i = 0; rc == TACET_OK && each && i < count; i++)
        each(ctx, &unread[i]);
    free(unread);
    if (rc == TACET_OK)
        *more = piece_next(s, now_hour) != PIECE_NONE;
    return rc;
}
