/* The message log: what a transaction stages, and what its commit makes visible. */
#include "parts.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_KIND_REQUEST = 2 };

/* --- staging ------------------------------------------------------------------------------------------------------------------------- */
static int message_insert(relay_store *s, const relay_message *m)
{
    sqlite3_stmt *q = s->insert_message;
    const sqlite3_int64 number[] = { (sqlite3_int64)m->number, m->mailbox, m->expires_hour, m->stored_hour, m->token_kind };
    int rc = SQLITE_OK;
    for (int i = 0; i < 5 && rc == SQLITE_OK; i++)
        rc = sqlite3_bind_int64(q, i + 1, number[i]);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob64(q, 6, m->token_hash, sizeof m->token_hash, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob64(q, 7, m->ciphertext.bytes ? m->ciphertext.at : "", m->ciphertext.bytes, SQLITE_STATIC);
    return rc == SQLITE_OK ? database_run(s->db, q) : database_status(rc);
}

int relay_append(relay_store *s, const relay_message *m)
{
    if (!index_alive(&s->index, m->mailbox))
        return TACET_E_NOT_FOUND;
    if (!s->tx.open || m->number <= s->last_number || m->number > INT64_MAX || m->ciphertext.bytes > INT32_MAX || m->token_kind > 3)
        return TACET_E_BUG;
    if (s->tx.appended.count >= s->tuning.run_rows || s->index.end - s->index.first + s->tx.appended.count >= s->index.room)
        return TACET_E_QUOTA;
    int rc = RESERVE(&s->tx.appended);
    if (rc == TACET_OK)
        rc = message_insert(s, m);
    if (rc != TACET_OK)
        return rc == TACET_E_EXISTS ? TACET_E_BUG : rc;
    s->tx.appended.at[s->tx.appended.count++] = (entry){ .number = m->number,
                                                         .mailbox = m->mailbox,
                                                         .bytes = (uint32_t)m->ciphertext.bytes,
                                                         .expires_hour = m->expires_hour,
                                                         .tag = m->token_hash[0],
                                                         .next = NO_PLACE,
                                                         .kind = m->token_kind };
    s->last_number = m->number;
    return TACET_OK;
}

int relay_acknowledge(relay_store *s, uint32_t mailbox, const uint64_t *numbers, size_t count)
{
    if (!s->tx.open)
        return TACET_E_BUG;
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] > s->last_number)
            continue; /* a guess: it must not meet a message that this transaction appends later */
        int rc = RESERVE(&s->tx.acknowledged);
        if (rc != TACET_OK)
            return rc;
        s->tx.acknowledged.at[s->tx.acknowledged.count++] = (acknowledgement){ mailbox, numbers[i] };
    }
    return TACET_OK;
}

int log_remove(relay_store *s, const removal *r)
{
    int rc = RESERVE(&s->tx.removed);
    if (rc != TACET_OK)
        return rc;
    s->tx.removed.at[s->tx.removed.count++] = *r;
    entry *e = index_find(&s->index, r->mailbox, r->number);
    if (e)
        e->notes |= NOTE_TAKEN;
    return TACET_OK;
}

/* From the index always: after a crash a part of a run may be there although its entries are in the ring. */
int log_delete_row(relay_store *s, uint32_t mailbox, uint64_t number, bool row)
{
    int rc = relay_do(s, NULL, "DELETE FROM mailbox_index WHERE mailbox = ? AND number = ?", "ii", (uint64_t)mailbox, number);
    s->tx.rows_deleted |= row;
    if (rc == TACET_OK && row)
        rc = relay_do(s, NULL, "DELETE FROM message WHERE number = ?", "i", number);
    return rc == TACET_OK && row ? ring_part_gone(s, number) : rc;
}

run *log_run_of(relay_store *s, uint64_t number)
{
    size_t low = 0, high = s->runs.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->runs.at[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->runs.count && s->runs.at[low].first <= number ? &s->runs.at[low] : NULL;
}

/* --- forgetting ------------------------------------------------------------------------------------------------------------------------- */
/* What the transaction acknowledges in this mailbox. */
static int acknowledged_collect(const relay_store *s, uint32_t mailbox, number_list *out)
{
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < s->tx.acknowledged.count; i++)
        if (s->tx.acknowledged.at[i].mailbox == mailbox && (rc = RESERVE(out)) == TACET_OK)
            out->at[out->count++] = s->tx.acknowledged.at[i].number;
    numbers_sort(out);
    return rc;
}

typedef VECTOR(removal) removals;

/* The tokens to be forgotten: their hashes one behind the other, and which tags those have. */
typedef struct {
    const uint8_t *hash;
    size_t count;
    bool tag[256];
} tokens;

static tokens tokens_of(const uint8_t *hashes, size_t count)
{
    tokens t = { .hash = hashes, .count = count };
    for (size_t i = 0; i < count; i++)
        t.tag[hashes[32 * i]] = true;
    return t;
}

static bool tokens_have(const tokens *t, const uint8_t *hash)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->hash[32 * i] == hash[0] && sodium_memcmp(t->hash + 32 * i, hash, 32) == 0)
            return true;
    return false;
}

/* What waits under one of the tags: staged, in the ring, in the index. */
static int candidates_collect(relay_store *s, uint32_t mailbox, const tokens *t, removals *out)
{
    const mailbox_state *m = &s->index.state[mailbox];
    int rc = TACET_OK;
    sqlite3_stmt *q = NULL;
    for (uint32_t place = m->oldest; rc == TACET_OK && place != NO_PLACE; place = s->index.ring[place].next) {
        const entry *e = &s->index.ring[place];
        if (t->tag[e->tag] && entry_waits(e) && (rc = RESERVE(out)) == TACET_OK)
            out->at[out->count++] = (removal){ .number = e->number, .mailbox = mailbox, .bytes = e->bytes, .kind = e->kind };
    }
    for (size_t i = 0; rc == TACET_OK && i < s->tx.appended.count; i++) {
        const entry *e = &s->tx.appended.at[i];
        if (e->mailbox == mailbox && t->tag[e->tag] && entry_waits(e) && (rc = RESERVE(out)) == TACET_OK)
            out->at[out->count++] = (removal){ .number = e->number, .mailbox = mailbox, .bytes = e->bytes, .kind = e->kind };
    }
    if (rc != TACET_OK || !m->in_table)
        return rc;
    rc = relay_bind(s, &q, "SELECT number, what FROM mailbox_index WHERE mailbox = ? AND number > ? AND number <= ? ORDER BY number", "iii",
                    (uint64_t)mailbox, m->watermark, s->index.indexed_through);
    while (rc == TACET_OK && (rc = database_row(s->db, q)) == TACET_OK) {
        uint64_t number = (uint64_t)sqlite3_column_int64(q, 0), what = (uint64_t)sqlite3_column_int64(q, 1);
        if (t->tag[index_tag(what)] && !state_acknowledged(m, number) && (rc = RESERVE(out)) == TACET_OK)
            out->at[out->count++] = (removal){ .number = number, .mailbox = mailbox, .bytes = index_bytes(what), .kind = index_kind(what) };
    }
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static entry *staged_find(relay_store *s, uint64_t number)
{
    size_t low = 0, high = s->tx.appended.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->tx.appended.at[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    entry *e = low < s->tx.appended.count ? &s->tx.appended.at[low] : NULL;
    return e && e->number == number ? e : NULL;
}

/* Deletes the row when it really came under one of these tokens. TACET_E_NOT_FOUND: it did not. */
static int candidate_forget(relay_store *s, const removal *c, const tokens *t)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT token_hash FROM message WHERE number = ?", "i", c->number);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? TACET_E_CORRUPT : rc; /* the index says that it waits */
    bool same = sqlite3_column_bytes(q, 0) == 32 && tokens_have(t, sqlite3_column_blob(q, 0));
    (void)sqlite3_reset(q); /* only one row */
    if (!same)
        return TACET_E_NOT_FOUND;
    rc = log_delete_row(s, c->mailbox, c->number, true);
    entry *staged = staged_find(s, c->number);
    if (rc != TACET_OK || staged) {
        if (staged)
            staged->notes |= NOTE_TAKEN; /* never becomes visible */
        return rc;
    }
    removal r = *c;
    r.row_deleted = r.index_deleted = true;
    return log_remove(s, &r);
}

int relay_forget_tokens(relay_store *s, uint32_t mailbox, const uint8_t *token_hashes, size_t count, uint64_t *messages, uint64_t *bytes)
{
    removals found = { 0 };
    number_list done = { 0 };
    tokens t = tokens_of(token_hashes, count);
    uint64_t forgotten = 0, sum = 0;
    if (!index_alive(&s->index, mailbox))
        return TACET_E_NOT_FOUND;
    int rc = s->tx.open ? candidates_collect(s, mailbox, &t, &found) : TACET_E_BUG;
    if (rc == TACET_OK)
        rc = acknowledged_collect(s, mailbox, &done);
    for (size_t i = 0; rc == TACET_OK && i < found.count; i++) {
        if (numbers_have(&done, found.at[i].number))
            continue;
        rc = candidate_forget(s, &found.at[i], &t);
        forgotten += rc == TACET_OK;
        sum += rc == TACET_OK ? found.at[i].bytes : 0;
        if (rc == TACET_E_NOT_FOUND)
            rc = TACET_OK; /* another token with the same tag */
    }
    free(done.at);
    free(found.at);
    if (rc == TACET_OK) {
        *messages = forgotten;
        *bytes = sum;
    }
    return rc;
}

/* --- after the commit ------------------------------------------------------------------------------------------------------------------- */
static void publish_appended(relay_store *s)
{
    for (size_t i = 0; i < s->tx.appended.count; i++) {
        const entry *e = &s->tx.appended.at[i];
        if (!entry_waits(e))
            continue;
        mailbox_state *m = &s->index.state[e->mailbox];
        index_push(&s->index, e);
        m->waiting++;
        m->bytes += e->bytes;
        m->requests += e->kind == TOKEN_KIND_REQUEST;
        if (e->expires_hour < s->clean.ring_expires)
            s->clean.ring_expires = e->expires_hour;
    }
}

static void publish_removal(relay_store *s, const removal *r)
{
    mailbox_state *m = &s->index.state[r->mailbox];
    entry *e = index_find(&s->index, r->mailbox, r->number);
    m->waiting--;
    m->bytes -= r->bytes;
    m->requests -= r->kind == TOKEN_KIND_REQUEST;
    if (e) {
        e->notes &= (uint8_t)~NOTE_TAKEN;
        e->flags |= ENTRY_DEAD | (r->row_deleted ? ENTRY_ROW_GONE : 0);
        s->clean.ring_dead += !r->row_deleted;
        index_skip_dead(&s->index, m);
        return;
    }
    run *owner = log_run_of(s, r->number);
    m->in_table--;
    if (owner) {
        owner->live--;
        owner->rows -= r->row_deleted;
    }
    *(r->index_deleted ? &s->index_rows : &s->index_dead) += r->index_deleted ? (uint64_t)-1 : 1;
}

static void publish_life(relay_store *s, const life *l)
{
    mailbox_state *m = &s->index.state[l->mailbox];
    if (l->alive)
        return;
    free(m->exceptions);
    m->exceptions = NULL;
    m->exception_count = 0;
    m->watermark = INT64_MAX;
}

void log_publish(relay_store *s)
{
    publish_appended(s);
    for (size_t i = 0; i < s->tx.removed.count; i++)
        publish_removal(s, &s->tx.removed.at[i]);
    for (size_t i = 0; i < s->tx.marks.count; i++) {
        const mark *k = &s->tx.marks.at[i];
        mailbox_state *m = &s->index.state[k->mailbox];
        free(m->exceptions);
        m->exceptions = k->exceptions;
        m->exception_count = k->count;
        m->watermark = k->watermark;
    }
    s->tx.marks.count = 0; /* theirs now */
    for (size_t i = 0; i < s->tx.lives.count; i++)
        publish_life(s, &s->tx.lives.at[i]);
    s->committed_number = s->last_number;
}

/* Forgets what was staged; not committed: also what the transaction had noted in the index. */
void log_unstage(relay_store *s, bool committed)
{
    transaction *t = &s->tx;
    for (size_t i = 0; !committed && i < t->removed.count; i++) {
        entry *e = index_find(&s->index, t->removed.at[i].mailbox, t->removed.at[i].number);
        if (e)
            e->notes &= (uint8_t)~NOTE_TAKEN;
    }
    for (size_t i = t->lives.count; !committed && i-- > 0;)
        s->index.state[t->lives.at[i].mailbox].alive = !t->lives.at[i].alive;
    for (size_t i = 0; i < t->marks.count; i++)
        free(t->marks.at[i].exceptions);
    if (!committed)
        s->last_number = s->committed_number;
    t->appended.count = t->acknowledged.count = t->removed.count = t->marks.count = t->lives.count = 0;
    t->open = t->rows_deleted = false;
}

/* --- summary ----------------------------------------------------------------------------------------------------------------------------- */
int relay_log_summary(relay_store *s, uint64_t *last_number, void (*each)(void *ctx, const relay_waiting *w), void *ctx)
{
    for (uint32_t i = 0; each && i < s->index.states; i++) {
        const mailbox_state *m = &s->index.state[i];
        if (m->alive && m->waiting)
            each(ctx, &(relay_waiting){ .mailbox = i, .messages = m->waiting, .bytes = m->bytes, .requests = m->requests });
    }
    *last_number = s->committed_number;
    return TACET_OK;
}
