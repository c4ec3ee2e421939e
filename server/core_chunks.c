/* server/core_chunks.c: chunks in memory. A put is held back while every receiver that lacks it watches and keeps up; when all of them have it, it is never
 * written, but what they said is, and then it is answered. Else it goes to the writer, then its bit goes to the committer, and only then is it answered:
 * segment, relay.db, ok. So what was answered is never asked for again, whoever dies. One write and one mark of a blob are under way at a time; what comes
 * meanwhile is the next one. */
#include "server/core_parts.h"
#include "server/limits.h"
#include <stdlib.h>
#include <string.h>

enum { MARK_PAGES_MAX = 256 };

/* --- chunks ---------------------------------------------------------------------------------------------------------------------------- */
static chunk *chunk_new(core *c, conn *k, blob_entry *e, const frame *f)
{
    size_t room = CHUNK_EVENT_HEAD_BYTES + f->put.chunk.bytes;
    chunk *h = malloc(sizeof *h + room);
    if (!h)
        return NULL;
    *h = (chunk){ .of = e, .from = core_ref(c, k), .id = f->id, .index = f->put.index, .arrived_us = c->now_us, .previous = e->last };
    h->bytes = (uint32_t)f->put.chunk.bytes;
    h->stream_bytes = (uint32_t)chunk_event(h->stream, room, e->blob.id, h->index, f->put.chunk.at, h->bytes);
    h->held_bytes = sizeof *h + CHUNK_EVENT_ROOM_BYTES; /* as the largest, which honest ones are: so their number is bounded as well */
    *(e->last ? &e->last->next : &e->first) = h;
    e->last = h;
    for (uint32_t r = 0; r < e->blob.receivers; r++)
        if (e->watch[r] && !e->watch[r]->fresh)
            e->watch[r]->fresh = h;
    e->in_memory++;
    c->blobs.chunks++;
    e->held_bytes += h->held_bytes;
    c->blobs.memory += h->held_bytes;
    return h;
}

static void chunk_free(core *c, chunk *h)
{
    blob_entry *e = h->of;
    *(h->previous ? &h->previous->next : &e->first) = h->next;
    *(h->next ? &h->next->previous : &e->last) = h->previous;
    for (uint32_t r = 0; r < e->blob.receivers; r++)
        if (e->watch[r] && e->watch[r]->fresh == h)
            e->watch[r]->fresh = h->next;
    e->in_memory--;
    c->blobs.chunks--;
    e->held_bytes -= h->held_bytes;
    c->blobs.memory -= h->held_bytes;
    free(h);
}

static void chunk_answer(core *c, chunk *h, error_code no)
{
    if (no)
        core_reply_error(c, h->from, h->id, no);
    else
        core_reply_ok(c, h->from, h->id);
    chunk_free(c, h);
}

static void answer_told(core *c, promises *a, error_code no)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (no)
            core_reply_error(c, a->at[i].to, a->at[i].id, no);
        else
            core_reply_ok(c, a->at[i].to, a->at[i].id);
    promises_free(a);
}

static void answer_written(core *c, blob_entry *e, error_code no)
{
    answer_told(c, &e->told, no);
    for (chunk *h = e->written, *next; h; h = next) {
        next = h->step;
        chunk_answer(c, h, no);
    }
    e->written = NULL;
}

void core_chunks_answer(core *c, blob_entry *e, error_code no)
{
    answer_written(c, e, no);
    for (chunk *h = e->first, *next; h; h = next) {
        next = h->next;
        if (!h->writing)
            chunk_answer(c, h, no);
    }
}

/* False: somebody lacks it. */
static bool had_by_all(const blob_entry *e, const chunk *h) { return e->blob.done || core_blob_all_have(e, h->index); }

/* All have it, so it need not be kept. Answered when what they said is written; without memory for the list at once, since it is true already. */
static void safe(core *c, blob_entry *e, chunk *h)
{
    if (!promises_add(&e->told, h->from, h->id))
        core_reply_ok(c, h->from, h->id);
    chunk_free(c, h);
}

/* It cannot wait for its receivers any longer. */
static bool due(const core *c, const blob_entry *e, const chunk *h)
{
    if (c->stopping || c->blobs.memory > RELAY_CHUNK_MEMORY_SOFT_BYTES || c->now_us - h->arrived_us > RELAY_CHUNK_HOLD_MAX_MS * 1000ull)
        return true;
    for (uint32_t r = 0; r < e->blob.receivers; r++) {
        const watcher *w = e->watch[r];
        if (bitmap_get(&e->have[r], h->index))
            continue;
        uint64_t since = w && w->alive_us > h->arrived_us ? w->alive_us : h->arrived_us;
        if (!w || c->now_us - since > RELAY_CHUNK_HOLD_IDLE_MS * 1000ull)
            return true;
    }
    return false;
}

/* All have it, or it is stored. What says so may be on its way to the disk: then the answer waits for it, as the first one does. */
static void put_again(core *c, conn_ref from, blob_entry *e, const frame *f)
{
    bool durable = e->blob.done || bitmap_get(&e->stored, f->put.index) || (!e->dirty_count && !e->marking);
    if (durable || !promises_add(&e->told, from, f->id))
        core_reply_ok(c, from, f->id);
    else if (!e->marking && !e->finishing) /* else that answers */
        core_chunks_run(c, e);
}

/* Above the soft limit nobody has more than that alone, so that others come to their chunks as well. */
static bool has_room(const core *c, const blob_entry *e)
{
    uint64_t own = 0;
    if (c->blobs.memory < RELAY_CHUNK_MEMORY_SOFT_BYTES || c->blobs.memory >= RELAY_CHUNK_MEMORY_MAX_BYTES)
        return c->blobs.memory < RELAY_CHUNK_MEMORY_SOFT_BYTES;
    for (const blob_entry *o = c->blobs.first; o && own < RELAY_CHUNK_MEMORY_SOFT_BYTES; o = o->next)
        if (memcmp(o->blob.account, e->blob.account, sizeof o->blob.account) == 0)
            own += o->held_bytes;
    return own < RELAY_CHUNK_MEMORY_SOFT_BYTES;
}

void core_put(core *c, conn *k, blob_entry *e, const frame *f)
{
    conn_ref ref = core_ref(c, k);
    c->n.chunks_put++;
    if (f->put.index >= e->blob.chunks) {
        core_reply_error(c, ref, f->id, ERROR_MALFORMED);
        return;
    }
    if (core_blob_safe(e, f->put.index)) {
        put_again(c, ref, e, f);
        return;
    }
    chunk *h = has_room(c, e) ? chunk_new(c, k, e, f) : NULL;
    if (!h) {
        core_reply_error(c, ref, f->id, ERROR_QUOTA);
        return;
    }
    core_watch_wake_all(c, e, h->index);
    if (!e->writing && due(c, e, h))
        core_chunks_run(c, e);
}

/* --- to the disk ------------------------------------------------------------------------------------------------------------------------- */
static void write_some(core *c, blob_entry *e)
{
    chunk_work *w = NULL;
    chunk **tail = NULL;
    unsigned count = 0;
    for (chunk *h = e->first; h && count < RELAY_CHUNK_WRITES_MAX; h = h->next) {
        if (h->writing || !due(c, e, h))
            continue;
        if (!w && !(w = chunk_work_new(CHUNKS_WRITE)))
            return; /* tried again at the next tick */
        *(tail ? tail : &w->chunks) = h;
        tail = &h->step;
        h->step = NULL;
        h->writing = true;
        count++;
    }
    if (!w)
        return;
    w->of = e;
    w->number = e->blob.number;
    memcpy(w->key, e->blob.key, sizeof w->key);
    e->writing = true;
    c->blobs.works++;
    c->ports.chunks(c->ports.ctx, w);
}

static error_code why_not(int status) { return status == TACET_E_FULL || status == TACET_E_NOMEM ? ERROR_QUOTA : ERROR_INTERNAL; }

static void write_done(core *c, chunk_work *w)
{
    blob_entry *e = w->of;
    e->writing = false;
    for (chunk *h = w->chunks, *next; h; h = next) {
        next = h->step;
        if (e->state == BLOB_GONE && e->hidden) {
            chunk_answer(c, h, ERROR_NOT_FOUND);
        } else if (had_by_all(e, h)) {
            safe(c, e, h);
        } else if (h->status != TACET_OK) {
            chunk_answer(c, h, why_not(h->status));
        } else {
            h->step = e->written;
            e->written = h;
        }
    }
    core_chunks_run(c, e);
    core_blob_settle(c, e);
}

/* --- bits ---------------------------------------------------------------------------------------------------------------------------------- */
void core_blob_dirty(core *c, blob_entry *e, uint8_t who, uint32_t index)
{
    const dirty_page d = { who, index / RELAY_BITS_PAGE_CHUNKS };
    for (uint32_t i = e->dirty_count; i > 0; i--)
        if (e->dirty[i - 1].who == d.who && e->dirty[i - 1].page == d.page)
            return;
    if (e->dirty_count == e->dirty_room) {
        uint32_t room = e->dirty_room ? e->dirty_room * 2 : 4;
        dirty_page *bigger = realloc(e->dirty, room * sizeof *bigger);
        if (!bigger)
            return; /* not remembered: after a restart it is pushed again, or put again */
        e->dirty = bigger;
        e->dirty_room = room;
    }
    if (e->dirty_count == 0) {
        e->mark_due_us = c->now_us + RELAY_BLOB_MARK_EVERY_MS * 1000ull;
        c->blobs.dirty++;
    }
    e->dirty[e->dirty_count++] = d;
}

static marked_page *page_add(blob_job *j, const blob_entry *e, uint8_t who, uint32_t page)
{
    for (uint32_t i = 0; i < j->pages; i++)
        if (j->page[i].who == who && j->page[i].page == page)
            return &j->page[i];
    marked_page *p = blob_job_page(j);
    if (p) {
        p->who = who;
        p->page = page;
        bitmap_page_read(who == RELAY_BITS_STORED ? &e->stored : &e->have[who - 1], page, p->bits);
    }
    return p;
}

/* What is written becomes a bit only with the commit: until then nobody is told that it is safe. */
static void add_written(blob_job *j, blob_entry *e)
{
    for (chunk *h = e->written, *next; h; h = next) {
        marked_page *p = page_add(j, e, RELAY_BITS_STORED, h->index / RELAY_BITS_PAGE_CHUNKS);
        if (!p)
            break; /* the next mark takes it */
        uint32_t at = h->index % RELAY_BITS_PAGE_CHUNKS;
        p->bits[at / 8] |= (uint8_t)(1u << at % 8);
        next = h->step;
        e->written = next;
        h->step = j->chunks;
        j->chunks = h;
    }
}

static void mark_some(core *c, blob_entry *e)
{
    blob_job *j = core_blob_job(c, BLOB_MARK, e);
    if (!j) {
        answer_told(c, &e->told, 0); /* true already; the rest is tried again at the next tick */
        return;
    }
    e->marking = true;
    while (e->dirty_count && j->pages < MARK_PAGES_MAX && page_add(j, e, e->dirty[e->dirty_count - 1].who, e->dirty[e->dirty_count - 1].page))
        e->dirty_count--;
    c->blobs.dirty -= e->dirty_count == 0 && e->dirty_room != 0 && j->pages != 0;
    add_written(j, e);
    if (e->dirty_count == 0) {
        j->told = e->told;
        e->told = (promises){ 0 };
    }
}

/* The dirty pages of a job that was not written are dirty again; its chunks are not safe. */
static void mark_failed(core *c, blob_entry *e, const blob_job *j)
{
    for (uint32_t i = 0; i < j->pages; i++)
        core_blob_dirty(c, e, j->page[i].who, j->page[i].page * RELAY_BITS_PAGE_CHUNKS);
}

void core_chunks_marked(core *c, blob_job *j, int status)
{
    blob_entry *e = j->of;
    bool gone = e->state == BLOB_GONE && e->hidden;
    e->marking = false;
    if (status != TACET_OK && !gone)
        mark_failed(c, e, j);
    answer_told(c, &j->told, gone ? ERROR_NOT_FOUND : 0); /* also when that could not be written: they have it */
    for (chunk *h = j->chunks, *next; h; h = next) {
        next = h->step;
        uint32_t index = h->index;
        int rc = status;
        if (rc == TACET_OK && !gone && !e->blob.done)
            rc = bitmap_set(&e->stored, index);
        c->n.chunks_stored += rc == TACET_OK;
        chunk_answer(c, h, gone ? ERROR_NOT_FOUND : rc == TACET_OK ? 0 : ERROR_QUOTA);
        if (rc == TACET_OK && !gone)
            core_watch_wake_all(c, e, index);
    }
    core_chunks_run(c, e);
}

/* --- what is to be done --------------------------------------------------------------------------------------------------------------------- */
static bool complete(const blob_entry *e)
{
    for (uint32_t r = 0; r < e->blob.receivers; r++)
        if (!bitmap_all(&e->have[r]))
            return false;
    return true;
}

static void hand_off(core *c, blob_entry *e)
{
    for (chunk *h = e->first, *next; h; h = next) {
        next = h->next;
        if (!h->writing && had_by_all(e, h)) {
            c->n.chunks_handed_off++;
            safe(c, e, h);
        }
    }
}

void core_chunks_run(core *c, blob_entry *e)
{
    if (e->state != BLOB_READY)
        return;
    hand_off(c, e);
    if (e->blob.done) {
        answer_written(c, e, 0);
        return;
    }
    if (!e->finishing && !e->marking && c->now_us >= e->done_due_us && complete(e))
        e->finishing = core_blob_job(c, BLOB_DONE, e) != NULL;
    if (!e->writing)
        write_some(c, e);
    if (!e->marking && !e->finishing && (e->written || e->told.count || (e->dirty_count && (c->stopping || c->now_us >= e->mark_due_us))))
        mark_some(c, e);
}

void core_chunks_done(core *c, chunk_work *w)
{
    c->blobs.works--;
    if (w->op == CHUNKS_WRITE)
        write_done(c, w);
    else if (w->op == CHUNKS_READ)
        core_watch_read(c, w);
    else if (w->op == CHUNKS_CLOSE)
        core_blob_files(c, CHUNKS_REMOVE, w->number, w->chunk_count);
    chunk_work_free(w);
}
