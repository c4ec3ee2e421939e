/* server/blob_job.c: see blob_job.h. */
#include "server/blob_job.h"
#include "base/writer.h"
#include "protocol/frame.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- for the committer ----------------------------------------------------------------------------------------------------------------- */
blob_job *blob_job_new(blob_op op)
{
    blob_job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->op = op;
    j->job = (job){ .kind = JOB_BLOB, .writes = op != BLOB_LOAD, .charged = sizeof *j };
    return j;
}

void blob_job_free(blob_job *j)
{
    if (!j)
        return;
    free(j->page);
    promises_free(&j->told);
    sodium_memzero(&j->blob, sizeof j->blob);
    free(j);
}

marked_page *blob_job_page(blob_job *j)
{
    if (j->pages == j->page_room) {
        uint32_t room = j->page_room ? j->page_room * 2 : 2;
        marked_page *bigger = realloc(j->page, room * sizeof *bigger);
        if (!bigger)
            return NULL;
        j->page = bigger;
        j->page_room = room;
    }
    return &j->page[j->pages++];
}

static int run_create(blob_job *j, relay_store *s)
{
    int rc = relay_blob_create(s, &j->blob, &j->limits, &j->made);
    j->job.status = rc == TACET_E_EXISTS || rc == TACET_E_QUOTA ? rc : TACET_OK;
    return rc == TACET_E_EXISTS || rc == TACET_E_QUOTA ? TACET_OK : rc;
}

static int each_page(void *ctx, uint8_t who, uint32_t page, const uint8_t *bits)
{
    marked_page *p = blob_job_page(ctx);
    if (!p)
        return TACET_E_NOMEM;
    p->who = who;
    p->page = page;
    memcpy(p->bits, bits, sizeof p->bits);
    return TACET_OK;
}

/* May run twice: when the group's writes were rolled back, what it read could be among them. */
static int run_load(blob_job *j, relay_store *s)
{
    uint8_t id[16];
    memcpy(id, j->blob.id, sizeof id);
    j->pages = 0;
    int rc = relay_blob_find(s, id, &j->blob);
    if (rc == TACET_OK)
        rc = relay_blob_bits(s, j->blob.number, each_page, j);
    j->job.status = rc;
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static int run_mark(blob_job *j, relay_store *s)
{
    int rc = TACET_OK;
    for (uint32_t i = 0; rc == TACET_OK && i < j->pages; i++)
        rc = relay_blob_mark(s, j->blob.number, j->page[i].who, j->page[i].page, j->page[i].bits);
    return rc;
}

static int run_done(blob_job *j, relay_store *s) { return relay_blob_done(s, j->blob.number); }
static int run_drop(blob_job *j, relay_store *s) { return relay_blob_remove(s, j->blob.number); }

static int run_expire(blob_job *j, relay_store *s)
{
    int rc = TACET_OK;
    j->gone_count = 0;
    while (rc == TACET_OK && j->gone_count < RELAY_BLOBS_EXPIRE_MAX) {
        relay_blob_name *g = &j->gone[j->gone_count];
        rc = relay_blob_expired(s, j->now_hour, g);
        if (rc == TACET_OK)
            rc = relay_blob_remove(s, g->number);
        j->gone_count += rc == TACET_OK;
    }
    j->more = rc == TACET_OK;
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int blob_job_run(job *j, relay_store *s)
{
    static int (*const runs[])(blob_job *, relay_store *) = {
        [BLOB_CREATE] = run_create, [BLOB_LOAD] = run_load, [BLOB_MARK] = run_mark,
        [BLOB_DONE] = run_done,     [BLOB_DROP] = run_drop, [BLOB_EXPIRE] = run_expire,
    };
    return runs[((blob_job *)j)->op]((blob_job *)j, s);
}

/* --- for the threads of chunks ----------------------------------------------------------------------------------------------------------- */
chunk_work *chunk_work_new(chunk_op op)
{
    chunk_work *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->op = op;
    w->work.run = chunk_work_run;
    return w;
}

void chunk_work_free(chunk_work *w)
{
    if (!w)
        return;
    free(w->stream);
    sodium_memzero(w->key, sizeof w->key);
    free(w);
}

/* A `frame` is 8 KiB that would have to be zeroed for each chunk: one a thread is enough. */
size_t chunk_event(uint8_t *out, size_t room, const uint8_t id[16], uint32_t index, const uint8_t *bytes, size_t n)
{
    static _Thread_local frame f; /* everything but these few fields stays zero */
    size_t used = 0;
    f.kind = FRAME_CHUNK;
    f.chunk.blob = (view){ id, TACET_BLOB_ID_BYTES };
    f.chunk.index = index;
    f.chunk.chunk = (view){ bytes, n };
    if (frame_encode(&f, out + TACET_FRAME_HEAD_BYTES, room - TACET_FRAME_HEAD_BYTES, &used) != TACET_OK)
        return 0;
    writer w = writer_over(out, TACET_FRAME_HEAD_BYTES);
    write_be(&w, used, TACET_FRAME_HEAD_BYTES);
    return TACET_FRAME_HEAD_BYTES + used;
}

/* A run: chunks of one segment, in the order in which they came. Returns what is left. */
static chunk *write_run(chunk_work *w, chunk *first)
{
    relay_chunk row[RELAY_CHUNK_WRITES_MAX];
    size_t count = 0;
    chunk *end = first;
    do {
        row[count++] = (relay_chunk){ end->index, { end->stream + end->stream_bytes - end->bytes, end->bytes } };
        end = end->step;
    } while (end && count < RELAY_CHUNK_WRITES_MAX && relay_segment_of(end->index) == relay_segment_of(first->index));
    int rc = relay_segments_write(w->segments, w->number, w->key, row, count);
    for (chunk *c = first; c != end; c = c->step)
        c->status = rc;
    return end;
}

static void run_write(chunk_work *w)
{
    for (chunk *c = w->chunks; c;)
        c = write_run(w, c);
}

/* A chunk that cannot be read is lost, not the relay: whoever holds the file can put it again. */
static void run_read(chunk_work *w)
{
    size_t used = 0;
    w->stream = malloc(w->count * (size_t)CHUNK_EVENT_ROOM_BYTES);
    w->status = w->stream ? TACET_OK : TACET_E_NOMEM;
    for (uint32_t i = 0; w->status == TACET_OK && i < w->count; i++) {
        blob b;
        int rc = relay_segments_read(w->segments, w->number, w->key, w->index[i], &b);
        w->length[i] = rc == TACET_OK ? (uint32_t)chunk_event(w->stream + used, CHUNK_EVENT_ROOM_BYTES, w->id, w->index[i], b.at, b.bytes) : 0;
        used += w->length[i];
        if (rc != TACET_OK && rc != TACET_E_NOT_FOUND && rc != TACET_E_CORRUPT)
            w->status = rc;
    }
}

static void run_remove(chunk_work *w) { w->status = relay_segments_drop(w->segments, w->number, w->chunk_count); }
static void run_close(chunk_work *w) { w->status = relay_segments_drop(w->segments, w->number, 0); }

void chunk_work_run(work *work_)
{
    static void (*const runs[])(
        chunk_work *) = { [CHUNKS_WRITE] = run_write, [CHUNKS_READ] = run_read, [CHUNKS_REMOVE] = run_remove, [CHUNKS_CLOSE] = run_close };
    chunk_work *w = (chunk_work *)work_;
    runs[w->op](w);
}
