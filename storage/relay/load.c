/* Start: the tables as memory. Only the rows above indexed_through that are in no part of the ring yet are read from the log itself. */
#include "parts.h"
#include "base/reader.h"
#include <stdlib.h>
#include <string.h>

enum { TOKEN_KIND_REQUEST = 2 };

/* Every row of one query. */
static int each_row(relay_store *s, const char *sql, int (*row)(relay_store *s, sqlite3_stmt *q))
{
    sqlite3_stmt *q = NULL;
    int rc = database_statement(s->db, sql, &q);
    while (rc == TACET_OK && (rc = database_row(s->db, q)) == TACET_OK) {
        rc = row(s, q);
        if (rc != TACET_OK)
            (void)sqlite3_reset(q); /* an early end is one of ours */
    }
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static uint64_t column(sqlite3_stmt *q, int i) { return (uint64_t)sqlite3_column_int64(q, i); }

static int log_row(relay_store *s, sqlite3_stmt *q)
{
    s->index.indexed_through = column(q, 0);
    s->committed_number = column(q, 1) > column(q, 2) ? column(q, 1) : column(q, 2);
    return TACET_OK;
}

static int mailbox_row(relay_store *s, sqlite3_stmt *q)
{
    uint32_t mailbox = (uint32_t)column(q, 0);
    int rc = index_room_for_mailbox(&s->index, mailbox);
    if (rc == TACET_OK)
        s->index.state[mailbox].alive = true;
    return rc;
}

static int mark_row(relay_store *s, sqlite3_stmt *q)
{
    uint32_t mailbox = (uint32_t)column(q, 0), count = (uint32_t)sqlite3_column_bytes(q, 2) / 8;
    if (!index_alive(&s->index, mailbox))
        return TACET_E_CORRUPT;
    mailbox_state *m = &s->index.state[mailbox];
    m->watermark = column(q, 1);
    if (!count)
        return TACET_OK;
    m->exceptions = calloc(count, sizeof *m->exceptions);
    if (!m->exceptions)
        return TACET_E_NOMEM;
    m->exception_count = count;
    reader r = reader_over(sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2));
    for (uint32_t i = 0; i < count; i++)
        m->exceptions[i] = read_be(&r, 8);
    return reader_done(&r) ? TACET_OK : TACET_E_CORRUPT;
}

static int forget_row(relay_store *s, sqlite3_stmt *q)
{
    uint32_t mailbox = (uint32_t)column(q, 0);
    if (!index_alive(&s->index, mailbox))
        return TACET_E_CORRUPT;
    s->index.state[mailbox].forgetting = s->forget.due = true;
    return TACET_OK;
}

static int run_row(relay_store *s, sqlite3_stmt *q)
{
    int rc = RESERVE(&s->runs);
    if (rc == TACET_OK)
        s->runs.at[s->runs.count++] =
            (run){ .first = column(q, 0), .last = column(q, 1), .rows = (uint32_t)column(q, 2), .expires_min = (uint32_t)column(q, 3) };
    return rc;
}

static void count_waiting(mailbox_state *m, uint64_t bytes, uint64_t kind)
{
    m->waiting++;
    m->bytes += bytes;
    m->requests += kind == TOKEN_KIND_REQUEST;
}

/* --- the index: where it is long, two connections count a half each ------------------------------------------------------------------------- */
enum { SPLIT_RUNS = 4 };
typedef struct {
    relay_store *s; /* of it only the states of these mailboxes are written */
    database *db;
    uint32_t from, through; /* mailboxes */
    uint64_t rows, dead;
    uint32_t *live; /* by run */
    int status;
} share;

static int index_row(share *h, sqlite3_stmt *q)
{
    relay_store *s = h->s;
    uint32_t mailbox = (uint32_t)column(q, 0);
    uint64_t number = column(q, 1);
    h->rows++;
    if (number > s->index.indexed_through)
        return TACET_OK; /* of a run that was not finished: the ring has it */
    if (index_settled(&s->index, mailbox, number)) {
        h->dead++;
        return TACET_OK;
    }
    const run *owner = log_run_of(s, number);
    if (!owner)
        return TACET_E_CORRUPT; /* an entry that waits has a row, and rows below indexed_through belong to runs */
    h->live[owner - s->runs.at]++;
    s->index.state[mailbox].in_table++;
    count_waiting(&s->index.state[mailbox], index_bytes(column(q, 2)), index_kind(column(q, 2)));
    return TACET_OK;
}

static int share_rows(share *h)
{
    sqlite3_stmt *q = NULL;
    int rc = database_statement(h->db, "SELECT mailbox, number, what FROM mailbox_index WHERE mailbox BETWEEN ? AND ?", &q);
    if (rc == TACET_OK && (sqlite3_bind_int64(q, 1, h->from) != SQLITE_OK || sqlite3_bind_int64(q, 2, h->through) != SQLITE_OK))
        rc = TACET_E_NOMEM;
    while (rc == TACET_OK && (rc = database_row(h->db, q)) == TACET_OK)
        rc = index_row(h, q);
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static void *share_count(void *ctx)
{
    share *h = ctx;
    h->live = calloc(h->s->runs.count + 1, sizeof *h->live);
    h->status = h->live ? share_rows(h) : TACET_E_NOMEM;
    return NULL;
}

static int share_add(relay_store *s, const share *h)
{
    for (size_t i = 0; h->status == TACET_OK && i < s->runs.count; i++)
        s->runs.at[i].live += h->live[i];
    s->index_rows += h->rows;
    s->index_dead += h->dead;
    return h->status;
}

/* Half of the mailboxes have numbers up to it; places without a mailbox do not count. */
static uint32_t middle_mailbox(const relay_store *s)
{
    uint32_t alive = 0, before = 0, at = 0;
    for (uint32_t i = 0; i < s->index.states; i++)
        alive += s->index.state[i].alive;
    for (; at < s->index.states && before < alive / 2; at++)
        before += s->index.state[at].alive;
    return at;
}

static int index_count(relay_store *s)
{
    pthread_t other;
    uint32_t middle = middle_mailbox(s);
    bool split = s->tuning.background && s->runs.count >= SPLIT_RUNS;
    share low = { .s = s, .db = s->db, .through = split ? middle : UINT32_MAX }, high = { .s = s, .from = middle + 1, .through = UINT32_MAX };
    int rc = split ? database_open_reader(&high.db, s->db) : TACET_OK;
    if (rc != TACET_OK)
        return rc;
    bool started = split && thread_begin(&other, share_count, &high) == TACET_OK;
    share_count(&low);
    if (started)
        (void)pthread_join(other, NULL);
    else if (split)
        share_count(&high);
    rc = share_add(s, &low);
    if (rc == TACET_OK && split)
        rc = share_add(s, &high);
    database_close(high.db);
    free(low.live);
    free(high.live);
    return rc;
}

/* What the ring gets: in the order of the numbers. */
static int ring_add(relay_store *s, entry e)
{
    int rc = index_room_for_mailbox(&s->index, e.mailbox);
    /* As much room as run_rows more messages want (relay_append) */
    if (rc == TACET_OK && s->index.end - s->index.first + 2 * (uint64_t)s->tuning.run_rows >= s->index.room)
        rc = index_grow_ring(&s->index);
    if (rc != TACET_OK)
        return rc;
    if (index_settled(&s->index, e.mailbox, e.number)) {
        e.flags = ENTRY_DEAD;
        s->clean.ring_dead++;
    } else {
        count_waiting(&s->index.state[e.mailbox], e.bytes, e.kind);
        if (e.expires_hour < s->clean.ring_expires)
            s->clean.ring_expires = e.expires_hour;
    }
    index_push(&s->index, &e);
    return TACET_OK;
}

static int gone_row(relay_store *s, sqlite3_stmt *q)
{
    int rc = RESERVE(&s->parts.gone);
    if (rc == TACET_OK)
        s->parts.gone.at[s->parts.gone.count++] = column(q, 0);
    return rc;
}

static int part_entry(void *ctx, const entry *e)
{
    relay_store *s = ctx;
    if (e->number <= s->parts.last)
        return TACET_E_CORRUPT; /* the ring is searched by number */
    s->parts.last = e->number;
    while (s->parts.gone_at < s->parts.gone.count && s->parts.gone.at[s->parts.gone_at] < e->number)
        s->parts.gone_at++;
    bool gone = s->parts.gone_at < s->parts.gone.count && s->parts.gone.at[s->parts.gone_at] == e->number;
    return gone || e->number <= s->index.indexed_through ? TACET_OK : ring_add(s, *e);
}

static int part_row(relay_store *s, sqlite3_stmt *q)
{
    uint64_t last = column(q, 0);
    const void *packed = sqlite3_column_blob(q, 1);
    size_t bytes = (size_t)sqlite3_column_bytes(q, 1);
    int rc = bytes && !packed ? TACET_E_NOMEM : ring_part_unpack(packed, bytes, part_entry, s);
    if (rc == TACET_OK && last < s->parts.last)
        rc = TACET_E_CORRUPT;
    s->parts.last = last;
    s->parts.written = s->parts.committed = s->index.end;
    return rc;
}

static int message_row(relay_store *s, sqlite3_stmt *q)
{
    entry e = { .number = column(q, 0),
                .mailbox = (uint32_t)column(q, 1),
                .expires_hour = (uint32_t)column(q, 2),
                .kind = (uint8_t)column(q, 3),
                .bytes = (uint32_t)column(q, 5),
                .next = NO_PLACE };
    const void *hash = sqlite3_column_blob(q, 4);
    if (sqlite3_column_bytes(q, 4) != 32)
        return TACET_E_CORRUPT;
    e.tag = *(const uint8_t *)hash;
    return ring_add(s, e);
}

int load_index(relay_store *s)
{
    static const struct {
        const char *sql;
        int (*row)(relay_store *s, sqlite3_stmt *q);
        int (*all)(relay_store *s); /* instead of these two */
    } step[] = {
        { "SELECT indexed_through, highest, ifnull((SELECT max(number) FROM message), 0) FROM log", log_row, NULL },
        { "SELECT mailbox FROM mailbox", mailbox_row, NULL },
        { "SELECT mailbox, watermark, exceptions FROM mark", mark_row, NULL },
        { "SELECT DISTINCT mailbox FROM forget", forget_row, NULL },
        { "SELECT first, last, rows, expires_min FROM run ORDER BY first", run_row, NULL },
        { .all = index_count },
        { "SELECT number FROM ring_gone ORDER BY number", gone_row, NULL },
        { "SELECT last, entries FROM ring_part ORDER BY last", part_row, NULL },
        { "SELECT number, mailbox, expires_hour, kind, token_hash, length(ciphertext) FROM message"
          " WHERE number > (SELECT max(indexed_through, ifnull((SELECT max(last) FROM ring_part), 0)) FROM log) ORDER BY number",
          message_row, NULL },
    };
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < sizeof step / sizeof *step; i++)
        rc = step[i].all ? step[i].all(s) : each_row(s, step[i].sql, step[i].row);
    if (rc == TACET_OK)
        rc = account_numbers_load(s);
    free(s->parts.gone.at);
    s->parts.gone.at = NULL;
    s->parts.gone.count = s->parts.gone.room = 0;
    for (uint32_t i = 0; rc == TACET_OK && i < s->index.states; i++)
        index_skip_dead(&s->index, &s->index.state[i]);
    s->last_number = s->committed_number;
    return rc;
}
