/* Acknowledgements. What a transaction collected is settled once, before its commit, mailbox by mailbox: which numbers wait at all, which is the
 * oldest that still waits, and so how far the watermark moves. Everything acknowledged above it is an exception; a mailbox with too many of them
 * has the rows themselves deleted, after which nothing needs to be remembered. */
#include "parts.h"
#include "base/writer.h"
#include <stdlib.h>
#include <string.h>

static int by_mailbox_and_number(const void *a, const void *b)
{
    const acknowledgement *x = a, *y = b;
    if (x->mailbox != y->mailbox)
        return x->mailbox < y->mailbox ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static size_t staged_lower_bound(const relay_store *s, uint64_t number)
{
    size_t low = 0, high = s->tx.appended.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->tx.appended.at[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int from_entry(const entry *e, const acknowledgement *a, removal *out)
{
    if (e->mailbox != a->mailbox || !entry_waits(e))
        return TACET_E_NOT_FOUND;
    *out = (removal){ .number = e->number, .mailbox = e->mailbox, .bytes = e->bytes, .kind = e->kind };
    return TACET_OK;
}

/* Does this number wait in this mailbox? TACET_E_NOT_FOUND: unknown, another's, acknowledged or forgotten. */
static int find_waiting(relay_store *s, const acknowledgement *a, removal *out)
{
    const mailbox_state *m = &s->index.state[a->mailbox];
    if (state_acknowledged(m, a->number))
        return TACET_E_NOT_FOUND;
    size_t staged = staged_lower_bound(s, a->number);
    if (staged < s->tx.appended.count && s->tx.appended.at[staged].number == a->number)
        return from_entry(&s->tx.appended.at[staged], a, out);
    const entry *e = index_find(&s->index, a->mailbox, a->number);
    if (e)
        return from_entry(e, a, out);
    if (!m->in_table || a->number > s->index.indexed_through)
        return TACET_E_NOT_FOUND;
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT what FROM mailbox_index WHERE mailbox = ? AND number = ?", "ii", (uint64_t)a->mailbox, a->number);
    if (rc != TACET_OK)
        return rc;
    uint64_t what = (uint64_t)sqlite3_column_int64(q, 0);
    *out = (removal){ .number = a->number, .mailbox = a->mailbox, .bytes = index_bytes(what), .kind = index_kind(what) };
    (void)sqlite3_reset(q); /* only one row */
    return TACET_OK;
}

/* The oldest number of the mailbox that is not acknowledged, 0 when nothing waits. `done`: everything acknowledged above the watermark. */
static int oldest_waiting(relay_store *s, uint32_t mailbox, const number_list *done, uint64_t *out)
{
    const mailbox_state *m = &s->index.state[mailbox];
    sqlite3_stmt *q = NULL;
    int rc = TACET_OK;
    *out = 0;
    if (m->in_table) {
        rc = relay_bind(s, &q, "SELECT number FROM mailbox_index WHERE mailbox = ? AND number > ? AND number <= ? ORDER BY number", "iii",
                        (uint64_t)mailbox, m->watermark, s->index.indexed_through);
        while (rc == TACET_OK && !*out && (rc = database_row(s->db, q)) == TACET_OK)
            if (!numbers_have(done, (uint64_t)sqlite3_column_int64(q, 0)))
                *out = (uint64_t)sqlite3_column_int64(q, 0);
        if (q)
            (void)sqlite3_reset(q); /* an early end is one of ours */
        if (*out || (rc != TACET_OK && rc != TACET_E_NOT_FOUND))
            return rc;
    }
    for (uint32_t place = m->oldest; place != NO_PLACE && !*out; place = s->index.ring[place].next)
        if (entry_waits(&s->index.ring[place]))
            *out = s->index.ring[place].number;
    /* Staged ones are above everything else: they matter only when one of them is acknowledged already. */
    if (!*out && s->tx.appended.count && done->at[done->count - 1] >= s->tx.appended.at[0].number)
        for (size_t i = 0; i < s->tx.appended.count && !*out; i++) {
            const entry *e = &s->tx.appended.at[i];
            if (e->mailbox == mailbox && entry_waits(e) && !numbers_have(done, e->number))
                *out = e->number;
        }
    return TACET_OK;
}

static int mark_write(relay_store *s, const mark *k)
{
    uint8_t small[64 * 8], *packed = small;
    if (k->count > sizeof small / 8 && !(packed = malloc(k->count * 8)))
        return TACET_E_NOMEM;
    writer w = writer_over(packed, k->count * 8);
    for (uint32_t i = 0; i < k->count; i++)
        write_be(&w, k->exceptions[i], 8);
    int rc =
        relay_do(s, NULL, "INSERT OR REPLACE INTO mark VALUES(?, ?, ?)", "iib", (uint64_t)k->mailbox, k->watermark, (blob){ packed, k->count * 8 });
    if (packed != small)
        free(packed);
    return rc;
}

/* `done` ascends and is not empty; its numbers above the new watermark become the exceptions. */
static int mark_make(relay_store *s, uint32_t mailbox, const number_list *done)
{
    uint64_t oldest = 0;
    int rc = oldest_waiting(s, mailbox, done, &oldest);
    mark k = { .mailbox = mailbox, .watermark = oldest ? oldest - 1 : done->at[done->count - 1] };
    size_t above = 0;
    while (above < done->count && done->at[above] <= k.watermark)
        above++;
    if (rc == TACET_OK && done->count - above > s->tuning.exceptions_max)
        for (; rc == TACET_OK && above < done->count; above++)
            rc = log_delete_row(s, mailbox, done->at[above], true);
    if (rc != TACET_OK)
        return rc;
    k.count = (uint32_t)(done->count - above);
    if (k.count && !(k.exceptions = malloc(k.count * sizeof *k.exceptions)))
        return TACET_E_NOMEM;
    if (k.count)
        memcpy(k.exceptions, done->at + above, k.count * sizeof *k.exceptions);
    rc = mark_write(s, &k);
    if (rc == TACET_OK)
        rc = RESERVE(&s->tx.marks);
    if (rc == TACET_OK)
        s->tx.marks.at[s->tx.marks.count++] = k;
    else
        free(k.exceptions);
    return rc;
}

/* All acknowledgements of one mailbox: a[0..count), ascending. */
static int mailbox_settle(relay_store *s, const acknowledgement *a, size_t count, number_list *done)
{
    const mailbox_state *m = &s->index.state[a->mailbox];
    int rc = TACET_OK;
    done->count = 0;
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        removal r;
        if (i && a[i].number == a[i - 1].number)
            continue;
        rc = find_waiting(s, &a[i], &r);
        if (rc == TACET_E_NOT_FOUND) {
            rc = TACET_OK;
            continue;
        }
        if (rc == TACET_OK)
            rc = log_remove(s, &r);
        if (rc == TACET_OK && (rc = RESERVE(done)) == TACET_OK)
            done->at[done->count++] = r.number;
    }
    if (rc != TACET_OK || done->count == 0)
        return rc;
    for (uint32_t i = 0; rc == TACET_OK && i < m->exception_count; i++)
        if ((rc = RESERVE(done)) == TACET_OK)
            done->at[done->count++] = m->exceptions[i];
    numbers_sort(done);
    return rc == TACET_OK ? mark_make(s, a->mailbox, done) : rc;
}

int marks_settle(relay_store *s)
{
    acknowledgement *a = s->tx.acknowledged.at;
    size_t count = s->tx.acknowledged.count;
    number_list done = { 0 };
    int rc = TACET_OK;
    if (count)
        qsort(a, count, sizeof *a, by_mailbox_and_number);
    for (size_t i = 0, end; rc == TACET_OK && i < count; i = end) {
        for (end = i; end < count && a[end].mailbox == a[i].mailbox;)
            end++;
        if (index_alive(&s->index, a[i].mailbox))
            rc = mailbox_settle(s, a + i, end - i, &done);
    }
    free(done.at);
    return rc;
}
