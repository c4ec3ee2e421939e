/* tacetd's `check`: pages and structure, then what the tables promise each other. */
#include "parts.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    relay_store *s;
    char *where;
    size_t where_bytes;
    uint64_t waiting; /* messages at or below indexed_through that wait, by the log */
    uint64_t in_ring; /* the same above it */
} checking;

static int complain(checking *c, const char *text, uint64_t number, uint64_t mailbox)
{
    (void)snprintf(c->where, c->where_bytes, "message %llu of mailbox %llu: %s", (unsigned long long)number, (unsigned long long)mailbox, text);
    return TACET_E_CORRUPT;
}

/* One message that somebody waits for. */
static int message_check(checking *c, uint64_t number, uint32_t mailbox, uint64_t bytes)
{
    relay_store *s = c->s;
    sqlite3_stmt *q = NULL;
    if (number > s->index.indexed_through) {
        const entry *e = index_find(&s->index, mailbox, number);
        c->in_ring++;
        return e && !(e->flags & ENTRY_DEAD) ? TACET_OK : complain(c, "in the log, not in memory", number, mailbox);
    }
    c->waiting++;
    if (!log_run_of(s, number))
        return complain(c, "belongs to no run", number, mailbox);
    int rc = relay_one(s, &q, "SELECT what FROM mailbox_index WHERE mailbox = ? AND number = ?", "ii", (uint64_t)mailbox, number);
    if (rc == TACET_E_NOT_FOUND)
        return complain(c, "in the log, not in the index", number, mailbox);
    if (rc != TACET_OK)
        return rc;
    bool same = index_bytes((uint64_t)sqlite3_column_int64(q, 0)) == bytes;
    (void)sqlite3_reset(q); /* only one row */
    return same ? TACET_OK : complain(c, "its length is not that of the index", number, mailbox);
}

static int log_check(checking *c)
{
    relay_store *s = c->s;
    sqlite3_stmt *q = NULL;
    int rc = database_statement(s->db, "SELECT number, mailbox, length(ciphertext) FROM message ORDER BY number", &q);
    while (rc == TACET_OK && (rc = database_row(s->db, q)) == TACET_OK) {
        uint64_t number = (uint64_t)sqlite3_column_int64(q, 0);
        uint32_t mailbox = (uint32_t)sqlite3_column_int64(q, 1);
        if (!index_settled(&s->index, mailbox, number))
            rc = message_check(c, number, mailbox, (uint64_t)sqlite3_column_int64(q, 2));
    }
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static int count_check(checking *c, const char *what, uint64_t named, uint64_t there)
{
    if (named == there)
        return TACET_OK;
    (void)snprintf(c->where, c->where_bytes, "the %s names %llu messages that wait, the log has %llu", what, (unsigned long long)named,
                   (unsigned long long)there);
    return TACET_E_CORRUPT;
}

/* Each entry of the index and of the ring that waits was met by its row: so the numbers are equal, or rows are missing. */
static int index_check(checking *c)
{
    const mailbox_index *ix = &c->s->index;
    uint64_t in_table = 0, in_ring = 0;
    for (uint32_t i = 0; i < ix->states; i++)
        in_table += ix->state[i].alive ? ix->state[i].in_table : 0;
    for (uint64_t seq = ix->first; seq < ix->end; seq++) {
        const entry *e = index_at(ix, seq);
        in_ring += !(e->flags & ENTRY_DEAD) && !index_settled(ix, e->mailbox, e->number);
    }
    int rc = count_check(c, "index", in_table, c->waiting);
    return rc == TACET_OK ? count_check(c, "ring", in_ring, c->in_ring) : rc;
}

/* Where the log cannot be read any more: behind which message. Best effort: a page that does not open names nothing itself. */
static void name_message(relay_store *s, char *where, size_t where_bytes)
{
    sqlite3_stmt *q = NULL;
    uint64_t number = 0, mailbox = 0;
    size_t used = strlen(where);
    int rc = database_statement(s->db, "SELECT number, mailbox, ciphertext FROM message ORDER BY number", &q);
    while (rc == TACET_OK && (rc = database_row(s->db, q)) == TACET_OK) {
        number = (uint64_t)sqlite3_column_int64(q, 0);
        mailbox = (uint64_t)sqlite3_column_int64(q, 1);
    }
    if (rc != TACET_E_NOT_FOUND)
        (void)snprintf(where + used, where_bytes - used, "; the log reads as far as message %llu of mailbox %llu", (unsigned long long)number,
                       (unsigned long long)mailbox);
}

int check_promises(relay_store *s, int so_far, char *where, size_t where_bytes)
{
    checking c = { .s = s, .where = where, .where_bytes = where_bytes };
    int rc = so_far;
    if (rc == TACET_OK)
        rc = log_check(&c);
    if (rc == TACET_OK)
        rc = index_check(&c);
    if (so_far == TACET_E_CORRUPT && where_bytes && !*where)
        (void)snprintf(where, where_bytes, "the tables contradict each other");
    if (so_far == TACET_E_CORRUPT && where_bytes)
        name_message(s, where, where_bytes);
    return rc;
}

int relay_check(relay_store *s, char *where, size_t where_bytes)
{
    if (s->tx.open)
        return TACET_E_BUG;
    int rc = database_check(s->db, where, where_bytes);
    return rc == TACET_OK || rc == TACET_E_CORRUPT ? check_promises(s, rc, where, where_bytes) : rc;
}
