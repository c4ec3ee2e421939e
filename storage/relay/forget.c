/* Tokens that were taken back, and what came under them. A token goes at once, and leaves a row of `forget` for each mailbox in the same transaction:
 * from that commit on nothing that it brought is delivered (backlog.c). The messages themselves go later, a piece a call of relay_clean: one mailbox after
 * another, all its tokens in one pass. So what a removal costs at a time depends neither on what waits nor on which hashes somebody chose. */
#include "parts.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS_OF_A_PASS = 256, ROWS_PART = 16, ENTRIES_FACTOR = 4 };

static void mark_mailbox(relay_store *s, uint32_t mailbox, bool forgetting)
{
    (void)pthread_mutex_lock(&s->index.lock);
    s->index.state[mailbox].forgetting = forgetting;
    (void)pthread_mutex_unlock(&s->index.lock);
}

/* A rollback leaves the marks: whoever sees them looks in vain. */
int relay_forget_tokens(relay_store *s, uint32_t mailbox, const uint8_t *token_hashes, size_t count)
{
    int rc = TACET_OK;
    if (!index_alive(&s->index, mailbox))
        return TACET_E_NOT_FOUND;
    if (!s->tx.open)
        return TACET_E_BUG;
    if (!s->index.state[mailbox].waiting && !s->tx.appended.count)
        return TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < count; i++)
        rc = relay_do(s, NULL, "INSERT OR REPLACE INTO forget VALUES(?, ?, ?)", "iki", (uint64_t)mailbox, token_hashes + 32 * i, s->last_number);
    mark_mailbox(s, mailbox, true);
    s->forget.due = true;
    return rc;
}

/* --- one pass through a mailbox ------------------------------------------------------------------------------------------------------- */
/* The next mailbox in turn, 0: there is nothing to forget. */
static int mailbox_next(relay_store *s, uint32_t *mailbox)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT coalesce((SELECT min(mailbox) FROM forget WHERE mailbox > ?), (SELECT min(mailbox) FROM forget), 0)", "i",
                       (uint64_t)s->forget.last);
    if (rc != TACET_OK)
        return rc;
    *mailbox = (uint32_t)sqlite3_column_int64(q, 0);
    (void)sqlite3_reset(q); /* only one row */
    return TACET_OK;
}

static int token_read(relay_store *s, sqlite3_stmt *q)
{
    const uint8_t *hash = sqlite3_column_blob(q, 0);
    if (!hash || sqlite3_column_bytes(q, 0) != 32)
        return TACET_E_CORRUPT;
    int rc = RESERVE(&s->forget.tokens);
    if (rc != TACET_OK)
        return rc;
    forgotten *t = &s->forget.tokens.at[s->forget.tokens.count++];
    memcpy(t->hash, hash, sizeof t->hash);
    t->through = (uint64_t)sqlite3_column_int64(q, 1);
    s->forget.tag[hash[0]] = true;
    if (t->through > s->forget.newest)
        s->forget.newest = t->through;
    return TACET_OK;
}

static int pass_begin(relay_store *s)
{
    sqlite3_stmt *q = NULL;
    uint32_t mailbox = 0;
    int rc = mailbox_next(s, &mailbox);
    s->forget.tokens.count = 0;
    s->forget.at = s->forget.newest = 0;
    memset(s->forget.tag, 0, sizeof s->forget.tag);
    if (rc == TACET_OK && mailbox)
        rc = relay_bind(s, &q, "SELECT hash, through FROM forget WHERE mailbox = ? LIMIT ?", "ii", (uint64_t)mailbox, (uint64_t)TOKENS_OF_A_PASS);
    while (rc == TACET_OK && q && (rc = database_row(s->db, q)) == TACET_OK)
        rc = token_read(s, q);
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    if (rc != TACET_OK && rc != TACET_E_NOT_FOUND)
        return rc;
    s->forget.mailbox = mailbox;
    return TACET_OK;
}

void forget_leave(relay_store *s, uint32_t mailbox)
{
    if (s->forget.mailbox == mailbox)
        s->forget.mailbox = 0;
}

/* --- what is looked at in one piece --------------------------------------------------------------------------------------------------- */
typedef VECTOR(removal) removals;

static int candidate_add(const relay_store *s, removals *found, const removal *r, uint8_t tag)
{
    if (!s->forget.tag[tag])
        return TACET_OK;
    int rc = RESERVE(found);
    if (rc == TACET_OK)
        found->at[found->count++] = *r;
    return rc;
}

static int from_table(relay_store *s, removals *found, size_t most, forget_outcome *o)
{
    const mailbox_state *m = &s->index.state[s->forget.mailbox];
    uint64_t from = o->at > m->watermark ? o->at : m->watermark, limit = (uint64_t)s->tuning.clean_rows * ENTRIES_FACTOR, rows = 0;
    sqlite3_stmt *q = NULL;
    int rc = relay_bind(s, &q, "SELECT number, what FROM mailbox_index WHERE mailbox = ? AND number > ? AND number <= ? ORDER BY number LIMIT ?",
                        "iiii", (uint64_t)s->forget.mailbox, from, s->index.indexed_through, limit);
    while (rc == TACET_OK && found->count < most && (rc = database_row(s->db, q)) == TACET_OK) {
        uint64_t what = (uint64_t)sqlite3_column_int64(q, 1);
        removal r = { .mailbox = s->forget.mailbox, .bytes = index_bytes(what), .kind = index_kind(what) };
        r.number = o->at = (uint64_t)sqlite3_column_int64(q, 0);
        rows++;
        if (!state_acknowledged(m, r.number))
            rc = candidate_add(s, found, &r, index_tag(what));
    }
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    o->through = rc == TACET_E_NOT_FOUND && rows < limit;
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static int from_ring(relay_store *s, removals *found, size_t most, forget_outcome *o)
{
    int rc = TACET_OK;
    uint32_t place = s->index.state[s->forget.mailbox].oldest;
    for (; rc == TACET_OK && place != NO_PLACE && found->count < most; place = s->index.ring[place].next) {
        const entry *e = &s->index.ring[place];
        if (e->number <= o->at || !entry_waits(e))
            continue;
        o->at = e->number;
        rc = candidate_add(s, found, &(removal){ .number = e->number, .mailbox = e->mailbox, .bytes = e->bytes, .kind = e->kind }, e->tag);
    }
    o->through = place == NO_PLACE;
    return rc;
}

static bool is_forgotten(const relay_store *s, const uint8_t *hash, uint64_t number)
{
    for (size_t i = 0; i < s->forget.tokens.count; i++) {
        const forgotten *t = &s->forget.tokens.at[i];
        if (t->hash[0] == hash[0] && number <= t->through && sodium_memcmp(t->hash, hash, sizeof t->hash) == 0)
            return true;
    }
    return false;
}

/* Deletes the row when it really came under one of the tokens. */
static int candidate_forget(relay_store *s, const removal *c)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT token_hash FROM message WHERE number = ?", "i", c->number);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? TACET_E_CORRUPT : rc; /* the index says that it waits */
    bool gone = sqlite3_column_bytes(q, 0) == 32 && is_forgotten(s, sqlite3_column_blob(q, 0), c->number);
    (void)sqlite3_reset(q); /* only one row */
    if (!gone)
        return TACET_OK;
    rc = log_delete_row(s, c->mailbox, c->number, true);
    removal r = *c;
    r.row_deleted = r.index_deleted = r.unread = true;
    return rc == TACET_OK ? log_remove(s, &r) : rc;
}

/* One that was taken back again meanwhile stays: its later messages want another pass. */
static int pass_end(relay_store *s, forget_outcome *o)
{
    sqlite3_stmt *q = NULL;
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < s->forget.tokens.count; i++)
        rc = relay_do(s, NULL, "DELETE FROM forget WHERE mailbox = ? AND hash = ? AND through = ?", "iki", (uint64_t)s->forget.mailbox,
                      s->forget.tokens.at[i].hash, s->forget.tokens.at[i].through);
    if (rc == TACET_OK)
        rc =
            relay_one(s, &q, "SELECT EXISTS(SELECT 1 FROM forget WHERE mailbox = ?), EXISTS(SELECT 1 FROM forget)", "i", (uint64_t)s->forget.mailbox);
    if (rc != TACET_OK)
        return rc;
    o->more_here = sqlite3_column_int(q, 0) != 0;
    o->more = sqlite3_column_int(q, 1) != 0;
    (void)sqlite3_reset(q); /* only one row */
    return TACET_OK;
}

int forget_piece(relay_store *s, forget_outcome *o)
{
    removals found = { 0 };
    size_t most = s->tuning.clean_rows / ROWS_PART + 1;
    int rc = s->forget.mailbox ? TACET_OK : pass_begin(s);
    *o = (forget_outcome){ .at = s->forget.at, .through = true };
    if (rc != TACET_OK || !s->forget.mailbox)
        return rc;
    if (s->index.state[s->forget.mailbox].in_table)
        rc = from_table(s, &found, most, o);
    if (rc == TACET_OK && o->through)
        rc = from_ring(s, &found, most, o);
    for (size_t i = 0; rc == TACET_OK && i < found.count; i++)
        rc = candidate_forget(s, &found.at[i]);
    free(found.at);
    o->through |= o->at >= s->forget.newest;
    return rc == TACET_OK && o->through ? pass_end(s, o) : rc;
}

void forget_done(relay_store *s, const forget_outcome *o)
{
    s->forget.at = o->at;
    if (!o->through)
        return;
    if (s->forget.mailbox && !o->more_here)
        mark_mailbox(s, s->forget.mailbox, false);
    s->forget.last = s->forget.mailbox;
    s->forget.mailbox = 0;
    s->forget.due = o->more;
}
