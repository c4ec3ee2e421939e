/* Writing a run: the older part of the ring goes to the mailbox index, sorted, a slice with each commit, and leaves memory when all of it is there.
 * A crash on the way costs nothing: the rows are still above indexed_through, and their slices are written again. */
#include "parts.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One pass of a radix sort, stable. */
static void sort_pass(const mailbox_index *ix, const uint32_t *from, uint32_t *to, uint32_t count, uint32_t *bucket, unsigned shift)
{
    memset(bucket, 0, 65536 * sizeof *bucket);
    for (uint32_t i = 0; i < count; i++)
        bucket[ix->ring[from[i]].mailbox >> shift & 0xffff]++;
    for (uint32_t i = 0, sum = 0; i < 65536; i++) {
        uint32_t here = bucket[i];
        bucket[i] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < count; i++)
        to[bucket[ix->ring[from[i]].mailbox >> shift & 0xffff]++] = from[i];
}

int drain_start_if_due(relay_store *s)
{
    mailbox_index *ix = &s->index;
    if (s->drain.end || ix->end - ix->first < s->tuning.run_rows)
        return TACET_OK;
    uint32_t rows = (uint32_t)(ix->end - ix->first), count = 0;
    uint32_t *order = calloc(rows, sizeof *order), *other = calloc(rows, sizeof *other), *bucket = calloc(65536, sizeof *bucket);
    if (order && other && bucket) {
        for (uint64_t seq = ix->first; seq < ix->end; seq++)
            if (!(index_at(ix, seq)->flags & ENTRY_DEAD))
                order[count++] = index_place(ix, seq);
        sort_pass(ix, order, other, count, bucket, 0);
        sort_pass(ix, other, order, count, bucket, 16);
        s->drain.end = ix->end;
        s->drain.order = order;
        s->drain.count = count;
        s->drain.at = s->drain.committed = 0;
        s->drain.finished = false;
        order = NULL;
    }
    free(other);
    free(bucket);
    free(order); /* not taken over */
    return s->drain.end ? TACET_OK : TACET_E_NOMEM;
}

static int index_write(relay_store *s, const entry *e)
{
    const sqlite3_int64 value[] = { e->mailbox, (sqlite3_int64)e->number, (sqlite3_int64)index_pack(e->bytes, e->kind, e->tag) };
    int rc = SQLITE_OK;
    for (int i = 0; i < 3 && rc == SQLITE_OK; i++)
        rc = sqlite3_bind_int64(s->insert_index, i + 1, value[i]);
    return rc == SQLITE_OK ? database_run(s->db, s->insert_index) : database_status(rc);
}

/* What the run is, as far as it is known before its last commit. */
static run run_describe(const relay_store *s)
{
    const mailbox_index *ix = &s->index;
    run r = { .first = index_at(ix, ix->first)->number, .last = index_at(ix, s->drain.end - 1)->number, .expires_min = UINT32_MAX };
    for (uint64_t seq = ix->first; seq < s->drain.end; seq++) {
        const entry *e = index_at(ix, seq);
        r.rows += !(e->flags & ENTRY_ROW_GONE);
        if (entry_waits(e) && e->expires_hour < r.expires_min)
            r.expires_min = e->expires_hour;
    }
    return r;
}

static int run_finish(relay_store *s)
{
    run r = run_describe(s);
    int rc = RESERVE(&s->runs);
    if (rc == TACET_OK && r.rows)
        rc = relay_do(s, NULL, "INSERT INTO run VALUES(?, ?, ?, ?)", "iiii", r.first, r.last, (uint64_t)r.rows, (uint64_t)r.expires_min);
    if (rc == TACET_OK)
        rc = relay_do(s, NULL, "UPDATE log SET indexed_through = ?", "i", r.last);
    if (rc == TACET_OK)
        rc = ring_part_forget(s, r.last);
    s->drain.finished = rc == TACET_OK;
    return rc;
}

int drain_some(relay_store *s, uint32_t rows)
{
    enum { AHEAD = 4 };
    int rc = TACET_OK;
    if (!s->drain.end || s->drain.finished)
        return TACET_OK;
    for (; rc == TACET_OK && rows && s->drain.at < s->drain.count; rows--) {
        entry *e = &s->index.ring[s->drain.order[s->drain.at]];
        if (s->drain.at + AHEAD < s->drain.count) /* sorted by mailbox they lie anywhere in the ring */
            __builtin_prefetch(&s->index.ring[s->drain.order[s->drain.at + AHEAD]], 1);
        if (entry_waits(e) && (rc = index_write(s, e)) == TACET_OK)
            e->notes |= NOTE_INDEXED;
        s->drain.at++;
    }
    if (rc == TACET_OK && s->drain.at == s->drain.count)
        rc = run_finish(s);
    return rc;
}

void drain_undo(relay_store *s)
{
    for (uint32_t i = s->drain.committed; s->drain.end && i < s->drain.at; i++)
        s->index.ring[s->drain.order[i]].notes &= (uint8_t)~NOTE_INDEXED;
    s->drain.at = s->drain.committed;
    s->drain.finished = false;
}

/* Out of the ring: from now on the table speaks for it. */
static void entry_leaves(relay_store *s, run *r)
{
    const entry *e = index_at(&s->index, s->index.first);
    bool dead = e->flags & ENTRY_DEAD;
    assert(dead || e->notes & NOTE_INDEXED);
    r->live += !dead;
    s->index.state[e->mailbox].in_table += !dead;
    if (e->notes & NOTE_INDEXED) {
        s->index_rows++;
        s->index_dead += dead;
    }
    s->clean.ring_dead -= dead && !(e->flags & ENTRY_ROW_GONE);
    index_pop(&s->index);
}

void drain_publish(relay_store *s)
{
    s->drain.committed = s->drain.at;
    if (!s->drain.finished)
        return;
    run r = run_describe(s);
    while (s->index.first < s->drain.end)
        entry_leaves(s, &r);
    s->index.indexed_through = r.last;
    if (r.rows)
        s->runs.at[s->runs.count++] = r;
    free(s->drain.order);
    s->drain.order = NULL;
    s->drain.end = s->drain.count = s->drain.at = s->drain.committed = 0;
    s->drain.finished = false;
}
