/* server/core_watch.c: receivers of chunks. Each has a window of chunks that it has not answered; those that may get something stand in a row and get one
 * push or one read in turn, so that none of them starves another. What is in memory is pushed from there, the rest is read by a thread in batches. */
#include "server/core_parts.h"
#include "server/limits.h"
#include <stdlib.h>
#include <string.h>

/* --- the row of those that may get something ------------------------------------------------------------------------------------------------ */
void core_watch_wake(core *c, watcher *w)
{
    blobs *b = &c->blobs;
    if (!w || w->ready)
        return;
    w->ready = true;
    w->ready_next = NULL;
    *(b->ready_last ? &b->ready_last->ready_next : &b->ready_first) = w;
    b->ready_last = w;
    b->ready++;
}

void core_watch_wake_all(core *c, blob_entry *e, uint32_t index)
{
    for (uint32_t r = 0; r < e->blob.receivers; r++) {
        watcher *w = e->watch[r];
        if (w && index < w->cursor)
            w->cursor = index;
        core_watch_wake(c, w);
    }
}

static watcher *ready_pop(blobs *b)
{
    watcher *w = b->ready_first;
    if (!(b->ready_first = w->ready_next))
        b->ready_last = NULL;
    w->ready = false;
    b->ready--;
    return w;
}

static void ready_remove(core *c, const watcher *w)
{
    for (uint32_t n = c->blobs.ready; n > 0 && w->ready; n--) {
        watcher *first = ready_pop(&c->blobs);
        if (first != w)
            core_watch_wake(c, first);
    }
}

/* --- watching -------------------------------------------------------------------------------------------------------------------------------- */
void core_unwatch(core *c, watcher *w)
{
    blob_entry *e = w->of;
    conn *k = core_conn(c, w->to);
    for (watcher **at = k ? &k->watches : NULL; at && *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            k->watch_count--;
            break;
        }
    ready_remove(c, w);
    e->watch[w->receiver] = NULL;
    e->watchers--;
    c->blobs.watchers--;
    bitmap_free(&w->sent);
    free(w);
}

void core_unwatch_all(core *c, conn *k)
{
    while (k->watches) {
        blob_entry *e = k->watches->of;
        core_unwatch(c, k->watches);
        core_chunks_run(c, e); /* what was held back for it is written */
        core_blob_settle(c, e);
    }
}

static watcher *watch_new(core *c, conn *k, blob_entry *e, uint32_t receiver)
{
    watcher *w = k->watch_count < RELAY_BLOB_WATCHES_MAX ? calloc(1, sizeof *w) : NULL;
    if (!w || bitmap_new(&w->sent, e->blob.chunks) != TACET_OK) {
        free(w);
        return NULL;
    }
    w->of = e;
    w->receiver = receiver;
    w->fresh = e->first;
    w->to = core_ref(c, k);
    w->serial = ++c->blobs.serial;
    w->next = k->watches;
    k->watches = w;
    k->watch_count++;
    e->watch[receiver] = w;
    e->watchers++;
    c->blobs.watchers++;
    return w;
}

void core_watch(core *c, conn *k, blob_entry *e, uint32_t receiver, const frame *f)
{
    conn_ref ref = core_ref(c, k);
    watcher *w = e->watch[receiver];
    if (w && (w->to.index != ref.index || w->to.serial != ref.serial)) {
        core_unwatch(c, w); /* it has come back on another connection: the newer one counts */
        w = NULL;
    }
    if (!w && !(w = watch_new(c, k, e, receiver))) {
        core_reply_error(c, ref, f->id, ERROR_QUOTA);
        return;
    }
    uint32_t room = TACET_BLOB_WINDOW_MAX - w->window;
    w->window += f->watch.credit < room ? f->watch.credit : room;
    w->alive_us = c->now_us;
    core_reply_ok(c, ref, f->id);
    core_watch_wake(c, e->watch[receiver]);
}

/* --- answers ----------------------------------------------------------------------------------------------------------------------------------- */
/* False: a bit beyond the last chunk is set. */
static bool bits_fit(const blob_entry *e, const frame *f)
{
    if (f->have.first >= e->blob.chunks)
        return false;
    uint32_t left = e->blob.chunks - f->have.first;
    for (size_t at = left / 8; at < f->have.bits.bytes; at++)
        if (f->have.bits.at[at] >> (at == left / 8 ? left % 8 : 0))
            return false;
    return true;
}

static int have_one(core *c, blob_entry *e, uint32_t receiver, uint32_t index, bool *news)
{
    watcher *w = e->watch[receiver];
    if (bitmap_get(&e->have[receiver], index))
        return TACET_OK;
    *news = true;
    int rc = bitmap_set(&e->have[receiver], index);
    if (rc != TACET_OK)
        return rc;
    core_blob_dirty(c, e, (uint8_t)(receiver + 1), index);
    if (w)
        w->unanswered -= bitmap_get(&w->sent, index);
    return TACET_OK;
}

void core_have(core *c, conn *k, blob_entry *e, uint32_t receiver, const frame *f)
{
    conn_ref ref = core_ref(c, k);
    bool news = false;
    int rc = bits_fit(e, f) ? TACET_OK : TACET_E_MALFORMED;
    for (size_t at = 0; rc == TACET_OK && !e->blob.done && at < f->have.bits.bytes; at++)
        for (unsigned bits = f->have.bits.at[at], j = 0; rc == TACET_OK && bits; bits >>= 1, j++)
            if (bits & 1)
                rc = have_one(c, e, receiver, f->have.first + (uint32_t)(8 * at) + j, &news);
    if (rc != TACET_OK) {
        core_reply_error(c, ref, f->id, rc == TACET_E_MALFORMED ? ERROR_MALFORMED : ERROR_INTERNAL);
        return;
    }
    core_reply_ok(c, ref, f->id);
    watcher *w = e->watch[receiver];
    if (w)
        w->alive_us = c->now_us;
    core_watch_wake(c, w);
    if (news)
        core_chunks_run(c, e);
}

static chunk *in_memory(const blob_entry *e, uint32_t index)
{
    chunk *h = e->first;
    while (h && h->index != index)
        h = h->next;
    return h;
}

void core_again(core *c, conn *k, blob_entry *e, uint32_t receiver, const frame *f)
{
    conn_ref ref = core_ref(c, k);
    uint32_t index = f->again.index;
    watcher *w = e->watch[receiver];
    bool there = index < e->blob.chunks && !e->blob.done && !e->finishing && (bitmap_get(&e->stored, index) || in_memory(e, index));
    if (!there) {
        core_reply_error(c, ref, f->id, index < e->blob.chunks ? ERROR_NOT_FOUND : ERROR_MALFORMED);
        return;
    }
    bool sent = w && bitmap_get(&w->sent, index), had = bitmap_get(&e->have[receiver], index);
    int rc = had ? bitmap_clear(&e->have[receiver], index) : TACET_OK;
    if (rc == TACET_OK && sent)
        rc = bitmap_clear(&w->sent, index);
    if (rc != TACET_OK) {
        core_reply_error(c, ref, f->id, ERROR_INTERNAL);
        return;
    }
    if (had)
        core_blob_dirty(c, e, (uint8_t)(receiver + 1), index);
    if (w) {
        w->unanswered -= sent && !had;
        w->cursor = index < w->cursor ? index : w->cursor;
        w->fresh = e->first;
        w->alive_us = c->now_us;
    }
    core_reply_ok(c, ref, f->id);
    core_watch_wake(c, e->watch[receiver]);
}

/* --- pushing ----------------------------------------------------------------------------------------------------------------------------------- */
typedef enum { STEP_MORE, STEP_NOTHING, STEP_LATER } step;

static bool lacks(const watcher *w, uint32_t index) { return !bitmap_get(&w->of->have[w->receiver], index) && !bitmap_get(&w->sent, index); }

/* The first that came of those in memory that it lacks. */
static chunk *next_in_memory(watcher *w)
{
    while (w->fresh && !lacks(w, w->fresh->index))
        w->fresh = w->fresh->next;
    return w->fresh;
}

static bool mark_sent(watcher *w, uint32_t index)
{
    if (bitmap_set(&w->sent, index) != TACET_OK)
        return false; /* tried again at the next event */
    w->unanswered++;
    return true;
}

static void chunk_leaves(core *c, conn *k, const uint8_t *stream, size_t n)
{
    c->n.chunks_delivered++;
#ifdef TACET_TESTING
    if (core_hostile_chunk(c, k, stream, n))
        return;
#endif
    core_reply(c, k, stream, n, 0);
}

static step push(core *c, conn *k, watcher *w, const chunk *h)
{
    if (!mark_sent(w, h->index))
        return STEP_NOTHING;
    chunk_leaves(c, k, h->stream, h->stream_bytes);
    return STEP_MORE;
}

static step read_some(core *c, watcher *w, uint32_t index)
{
    const blob_entry *e = w->of;
    if (c->blobs.reads >= RELAY_CHUNK_READS_PENDING_MAX)
        return STEP_LATER;
    chunk_work *r = chunk_work_new(CHUNKS_READ);
    if (!r)
        return STEP_NOTHING;
    for (; index < e->blob.chunks && r->count < RELAY_CHUNK_READS_MAX && w->unanswered < w->window && !in_memory(e, index) && mark_sent(w, index);
         index = bitmap_next(&e->stored, &e->have[w->receiver], &w->sent, index))
        r->index[r->count++] = index;
    w->cursor = index;
    if (r->count == 0) {
        chunk_work_free(r);
        return STEP_NOTHING;
    }
    r->number = e->blob.number;
    r->watch = w->serial;
    r->to = w->to;
    memcpy(r->id, e->blob.id, sizeof r->id);
    memcpy(r->key, e->blob.key, sizeof r->key);
    w->reading += r->count;
    c->blobs.reads++;
    c->blobs.works++;
    c->ports.chunks(c->ports.ctx, r);
    return STEP_MORE;
}

static step watch_step(core *c, watcher *w)
{
    const blob_entry *e = w->of;
    conn *k = core_conn(c, w->to);
    if (!k || k->state != CONN_OPEN || e->state != BLOB_READY || e->blob.done || w->unanswered >= w->window ||
        k->output + w->reading * (uint64_t)CHUNK_EVENT_ROOM_BYTES > RELAY_CHUNK_OUTPUT_BYTES)
        return STEP_NOTHING;
    uint32_t stored = bitmap_next(&e->stored, &e->have[w->receiver], &w->sent, w->cursor);
    const chunk *h = next_in_memory(w);
    w->cursor = stored;
    step s = (h && h->index <= stored) || stored == e->blob.chunks ? STEP_NOTHING : read_some(c, w, stored);
    return s == STEP_NOTHING && h ? push(c, k, w, h) : s;
}

/* Until all of them have what they can take; those that only wait for a place among the reads stay in the row. */
void core_watch_serve(core *c)
{
    uint32_t later = 0;
    while (c->blobs.ready > later) {
        watcher *w = ready_pop(&c->blobs);
        uint64_t serial = w->serial;
        blob_entry *e = w->of;
        uint32_t receiver = w->receiver;
        step s = watch_step(c, w);
        if (e->watch[receiver] != w || w->serial != serial) /* its connection was closed, because it has too much unsent */
            continue;
        later = s == STEP_LATER ? later + 1 : 0;
        if (s != STEP_NOTHING)
            core_watch_wake(c, w);
    }
}

/* --- what was read ------------------------------------------------------------------------------------------------------------------------------ */
static watcher *watcher_of(core *c, const chunk_work *r)
{
    conn *k = core_conn(c, r->to);
    watcher *w = k ? k->watches : NULL;
    while (w && w->serial != r->watch)
        w = w->next;
    return w;
}

/* The chunk is not where it was stored: nobody can have it any more, until its sender puts it again. */
static void lost(core *c, watcher *w, uint32_t index)
{
    blob_entry *e = w->of;
    c->n.chunks_lost++;
    bool sent = bitmap_get(&w->sent, index);
    if (sent && bitmap_clear(&w->sent, index) == TACET_OK)
        w->unanswered -= !bitmap_get(&e->have[w->receiver], index);
    w->fresh = e->first; /* it may have been put again meanwhile */
    if (bitmap_clear(&e->stored, index) == TACET_OK)
        core_blob_dirty(c, e, RELAY_BITS_STORED, index);
}

void core_watch_read(core *c, chunk_work *r)
{
    size_t at = 0;
    watcher *w = watcher_of(c, r);
    c->blobs.reads--;
    if (w)
        w->reading -= r->count;
    for (uint32_t i = 0; r->status == TACET_OK && i < r->count; at += r->length[i++]) {
        conn *k = core_conn(c, r->to);
        w = watcher_of(c, r);
        if (!w || w->of->blob.done)
            return;
        c->n.chunks_read += r->length[i] != 0;
        if (r->length[i])
            chunk_leaves(c, k, r->stream + at, r->length[i]);
        else
            lost(c, w, r->index[i]);
    }
    w = watcher_of(c, r);
    if (w && r->status != TACET_OK) /* no memory: it begins afresh */
        core_shut(c, core_conn(c, r->to), true);
    else
        core_watch_wake(c, w);
}
