/* The message log: what a transaction stages, and what its commit makes visible. */
#include "parts.h"
#include <stdlib.h>

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
    if (l->alive) {
        m->watermark = m->watermark > l->watermark ? m->watermark : l->watermark;
        return;
    }
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
