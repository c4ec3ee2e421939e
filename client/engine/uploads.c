/* A file on its way to our relay: read and sealed by a worker, nonces and leaves written down in batches, then put on the mailbox link. */
#include "files.h"
#include <stdlib.h>
#include <string.h>

/* --- the source ------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    job job;
    file_run *run;
    char path[VAULT_FILE_PATH_ROOM];
    uint64_t size, stamp;
    uint8_t *record;
    size_t record_bytes;
    file_source *source;
    trouble bad;
} open_job;

static void open_run(job *j)
{
    open_job *o = (open_job *)j;
    o->bad = file_source_again(&o->source, o->path, o->size, o->stamp, o->record, o->record_bytes);
}

static void open_done(void *ctx, job *j)
{
    engine *e = ctx;
    open_job *o = (open_job *)j;
    file_run *r = o->run;
    r->opening = false;
    if (!file_back(e, r))
        file_source_close(o->source);
    else if (o->bad)
        file_trouble(e, r, o->bad);
    else
        r->source = o->source;
    free(o->record);
    free(o);
}

/* What was noted of a folder at its beginning. */
static int record_load(engine *e, const file_run *r, uint8_t **out, size_t *bytes)
{
    uint8_t *all = NULL;
    size_t used = 0, n = 0;
    int rc = TACET_OK;
    for (uint32_t part = 0; rc == TACET_OK; part++) {
        uint8_t *more = realloc(all, used + TACET_CHUNK_PLAIN_BYTES);
        if (!more) {
            free(all);
            return TACET_E_NOMEM;
        }
        all = more;
        rc = vault_content_get(e->vault, r->f.row, part, all + used, TACET_CHUNK_PLAIN_BYTES, &n);
        used += rc == TACET_OK ? n : 0;
    }
    if (rc != TACET_E_NOT_FOUND) {
        free(all);
        return rc;
    }
    *out = all;
    *bytes = used;
    return TACET_OK;
}

static void source_open(engine *e, file_run *r)
{
    open_job *o = calloc(1, sizeof *o);
    int rc = o ? TACET_OK : TACET_E_NOMEM;
    if (o && r->f.form == FILE_FORM_FOLDER)
        rc = record_load(e, r, &o->record, &o->record_bytes);
    if (rc == TACET_OK) {
        o->run = r;
        o->size = r->f.size;
        o->stamp = r->f.stamp;
        memcpy(o->path, r->f.path, sizeof o->path);
        r->opening = file_give(e, r, WORKER_READER, &o->job, open_run, open_done);
    }
    if (r->opening)
        return;
    if (o)
        free(o->record);
    free(o);
    if (rc < 0)
        engine_fail(e, rc);
}

int upload_begin(engine *e, file_run *r)
{
    (void)e;
    return upload_new(&r->up, r->f.chunks, FILES_UP_WINDOW);
}

void upload_halt(engine *e, file_run *r)
{
    r->asked = false;
    chunk_list_drop(e, &r->sealed);
    chunk_list_drop(e, &r->ready);
    if (r->bad && !r->opening && r->reading == 0)
        r->source = file_source_close(r->source); /* looked at anew when it goes on */
}

/* --- what the relay answers ---------------------------------------------------------------------------------------------------------------------- */
/* A relay's error as what it means for a file. */
static trouble trouble_of(const frame *reply)
{
    if (reply->kind == FRAME_ERROR && error_class_of((error_code)reply->error.code) == CLASS_RETRY)
        return TROUBLE_RELAY_QUOTA;
    return TROUBLE_RELAY_REFUSED;
}

static bool forgotten(const frame *reply) { return reply->kind == FRAME_ERROR && reply->error.code == ERROR_NOT_FOUND; }

/* The relay lost the blob (restored, or it lay too long): from the beginning, with the very same chunks. */
static void begin_anew(engine *e, file_run *r)
{
    (void)upload_step(&r->up, UPLOAD_LINK_DOWN);
    upload_halt(e, r);
}

static void got_created(engine *e, uint64_t arg, const frame *reply)
{
    file_run *r = file_run_find(e, file_arg_row(arg));
    if (!r || !reply)
        return;
    r->asked = false;
    if (reply->kind == FRAME_OK)
        (void)upload_step(&r->up, UPLOAD_CREATED);
    else
        file_trouble(e, r, trouble_of(reply));
}

static void got_status(engine *e, uint64_t arg, const frame *reply)
{
    file_run *r = file_run_find(e, file_arg_row(arg));
    if (!r || !reply)
        return;
    r->asked = false;
    const view *safe = &reply->blob_status_reply.bits;
    if (reply->kind == FRAME_BLOB_STATUS_REPLY && reply->blob_status_reply.chunks == r->f.chunks) {
        if (upload_status(&r->up, reply->blob_status_reply.first, safe->at, safe->bytes) != TACET_OK)
            file_trouble(e, r, TROUBLE_RELAY_REFUSED);
        r->rate_have = r->up.safe.set;
    } else if (forgotten(reply)) {
        begin_anew(e, r);
    } else {
        file_trouble(e, r, trouble_of(reply));
    }
}

static void got_put(engine *e, uint64_t arg, const frame *reply)
{
    file_run *r = file_run_find(e, file_arg_row(arg));
    if (!r || !reply)
        return;
    if (reply->kind == FRAME_OK)
        (void)upload_safe(&r->up, file_arg_index(arg)); /* of what was forgotten meanwhile, the relay's status tells */
    else if (r->bad || r->up.state != UPLOAD_RUN)
        return;
    else if (forgotten(reply))
        begin_anew(e, r);
    else
        file_trouble(e, r, trouble_of(reply));
}

/* --- asking ---------------------------------------------------------------------------------------------------------------------------------------- */
static int ask_create(engine *e, file_run *r)
{
    static const char label[] = "tacet blob";
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    uint8_t hash[VAULT_FILE_LINKS_MAX][32], bytes[sizeof label + 32];
    size_t count = 0;
    frame f = { .kind = FRAME_BLOB_CREATE };
    int rc = vault_file_links(e->vault, r->f.row, link, VAULT_FILE_LINKS_MAX, &count);
    if (rc != TACET_OK || count == 0)
        return rc != TACET_OK ? rc : TACET_E_AGAIN; /* its conversation is gone */
    memcpy(bytes, label, sizeof label);
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + sizeof label, link[i].capability, 32);
        content_hash(hash[i], bytes, sizeof bytes);
        f.blob_create.receivers.item[i] = (view){ hash[i], 32 };
    }
    f.blob_create.blob = (view){ r->f.blob, sizeof r->f.blob };
    f.blob_create.chunks = r->f.chunks;
    f.blob_create.ttl_s = TACET_TTL_MAX_S;
    f.blob_create.receivers.count = (uint32_t)count;
    return slot_ask(e, e->mailbox, &f, got_created, file_arg(r, 0));
}

static int ask_status(engine *e, file_run *r)
{
    frame f = { .kind = FRAME_BLOB_STATUS };
    f.blob_status.blob = (view){ r->f.blob, sizeof r->f.blob };
    f.blob_status.first = r->up.status_first;
    return slot_ask(e, e->mailbox, &f, got_status, file_arg(r, 0));
}

static bool may_put(const engine *e)
{
    const relay_slot *s = &e->slots[e->mailbox];
    return s->asked_count + FILES_ASKED_ROOM < ENGINE_ASKED_MAX && slot_waiting(e, e->mailbox) < FILES_WIRE_BYTES;
}

static void put_ready(engine *e, file_run *r)
{
    while (r->ready.first && may_put(e)) {
        chunk_job *c = r->ready.first;
        frame f = { .kind = FRAME_PUT };
        f.put.blob = (view){ r->f.blob, sizeof r->f.blob };
        f.put.index = c->index;
        f.put.chunk = (view){ c->chunk, sizeof c->chunk };
        if (slot_ask(e, e->mailbox, &f, got_put, file_arg(r, c->index)) != TACET_OK)
            return;
        chunk_free(e, chunk_list_take(&r->ready));
    }
}

/* --- reading and sealing ---------------------------------------------------------------------------------------------------------------------------- */
/* On the worker: it owns source and chunk, and only reads the cipher. */
static void read_run(job *j)
{
    chunk_job *c = (chunk_job *)j;
    file_run *r = c->run;
    chunk_span s = plan_span(r->f.size, c->index);
    uint8_t leaf[TACET_LEAF_BYTES], *plain = c->chunk + TACET_CHUNK_NONCE_BYTES;
    if (r->source && s.bytes)
        c->bad = file_source_read(r->source, s.offset, plain, s.bytes);
    if (c->bad)
        return;
    memset(plain + s.bytes, 0, TACET_CHUNK_PLAIN_BYTES - s.bytes);
    chunk_seal(r->cipher, c->index, c->nonce, c->chunk);
    chunk_leaf(leaf, c->index, c->chunk, sizeof c->chunk);
    if (c->journalled && memcmp(leaf, c->leaf, sizeof leaf) != 0)
        c->bad = TROUBLE_SOURCE_CHANGED; /* other bytes under a nonce that has been used: they go nowhere */
    memcpy(c->leaf, leaf, sizeof leaf);
}

static void read_done(void *ctx, job *j)
{
    engine *e = ctx;
    chunk_job *c = (chunk_job *)j;
    file_run *r = c->run;
    r->reading--;
    bool goes_on = file_back(e, r) && c->round == r->up.round;
    if (goes_on && !c->bad) {
        chunk_list_put(&r->sealed, c);
        return;
    }
    trouble bad = c->bad;
    chunk_free(e, c);
    if (goes_on)
        file_trouble(e, r, bad);
}

/* The nonce that was written down for this chunk, else a fresh one. */
static int nonce_for(engine *e, file_run *r, chunk_job *c)
{
    uint32_t block = journal_block_of(c->index);
    if (r->cache_at != block) {
        r->cache_at = UINT32_MAX;
        int rc = file_block_get(e, r, block, &r->cache);
        if (rc != TACET_OK)
            return rc;
        r->cache_at = block;
    }
    c->journalled = journal_has(&r->cache, c->index);
    if (c->journalled) {
        memcpy(c->nonce, r->cache.nonce[journal_place_of(c->index)], sizeof c->nonce);
        memcpy(c->leaf, r->cache.leaf[journal_place_of(c->index)], sizeof c->leaf);
    } else {
        env_random(e->env, c->nonce, sizeof c->nonce);
    }
    return TACET_OK;
}

static int content_load(engine *e, const file_run *r, chunk_job *c)
{
    size_t n = 0;
    chunk_span s = plan_span(r->f.size, c->index);
    if (r->f.source != VAULT_SOURCE_CONTENT || s.bytes == 0)
        return TACET_OK;
    int rc = vault_content_get(e->vault, r->f.row, c->index, c->chunk + TACET_CHUNK_NONCE_BYTES, TACET_CHUNK_PLAIN_BYTES, &n);
    return rc == TACET_OK && n != s.bytes ? TACET_E_CORRUPT : rc;
}

static void read_ahead(engine *e, file_run *r)
{
    uint32_t index;
    while (r->reading + r->sealed.count + r->ready.count < FILES_READ_AHEAD && upload_next(&r->up, &index)) {
        chunk_job *c = chunk_new(e, r, index);
        int rc = c ? nonce_for(e, r, c) : TACET_E_NOMEM;
        if (rc == TACET_OK)
            rc = content_load(e, r, c);
        if (rc != TACET_OK) {
            if (c)
                chunk_free(e, c);
            engine_fail(e, rc > 0 ? TACET_E_CORRUPT : rc);
            file_trouble(e, r, TROUBLE_SOURCE_IO);
            return;
        }
        if (!chunk_give(e, WORKER_READER, c, read_run, read_done)) {
            upload_again(&r->up, index);
            return;
        }
        r->reading++;
    }
}

/* --- the journal ---------------------------------------------------------------------------------------------------------------------------------------- */
static int journal_all(engine *e, file_run *r)
{
    journal_block b;
    uint32_t at = UINT32_MAX;
    int rc = TACET_OK;
    for (const chunk_job *c = r->sealed.first; rc == TACET_OK && c; c = c->next) {
        uint32_t block = journal_block_of(c->index);
        if (c->journalled)
            continue;
        if (at != block && at != UINT32_MAX)
            rc = file_block_put(e, r, at, &b);
        if (rc == TACET_OK && at != block)
            rc = file_block_get(e, r, block, &b);
        at = block;
        if (rc == TACET_OK)
            journal_note(&b, c->index, c->nonce, c->leaf);
    }
    if (rc == TACET_OK && at != UINT32_MAX)
        rc = file_block_put(e, r, at, &b);
    return rc;
}

/* What is sealed may leave once it has been written down. */
static void journal_sealed(engine *e, file_run *r)
{
    if (r->sealed.count == 0 || (r->sealed.count < FILES_JOURNAL_BATCH && r->reading > 0))
        return;
    uint32_t was = r->f.trouble;
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        r->f.have = r->up.safe.set;
        r->f.trouble = TROUBLE_NONE; /* it goes on */
        rc = journal_all(e, r);
        if (rc == TACET_OK)
            rc = vault_file_update(e->vault, &r->f);
        rc = txn_end(e, rc);
    }
    r->cache_at = UINT32_MAX;
    r->full_told = r->full_told && rc != TACET_OK;
    if (rc != TACET_OK)
        r->f.trouble = was;
    if (rc == TACET_E_FULL) {
        file_trouble(e, r, TROUBLE_DISK_FULL);
    } else if (rc != TACET_OK) {
        engine_fail(e, rc > 0 ? TACET_E_BUG : rc);
        file_trouble(e, r, TROUBLE_SOURCE_IO);
    }
    for (chunk_job *c = rc == TACET_OK ? chunk_list_take(&r->sealed) : NULL; c; c = chunk_list_take(&r->sealed))
        chunk_list_put(&r->ready, c);
}

/* --- the end --------------------------------------------------------------------------------------------------------------------------------------------- */
static void seal(engine *e, file_run *r)
{
    uint8_t root[32];
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        r->f.have = r->f.chunks;
        rc = file_root(e, r, root);
        if (rc == TACET_OK)
            rc = file_seal_all(e, r, root);
        rc = txn_end(e, rc);
    }
    if (rc == TACET_E_FULL) {
        r->bad = TROUBLE_DISK_FULL; /* the state stays: it is sealed when there is room */
        r->retry_at_ms = mono_ms(e) + trouble_retry_ms(TROUBLE_DISK_FULL);
    } else if (rc == TACET_E_CORRUPT) {
        file_trouble(e, r, TROUBLE_SOURCE_IO);
    } else if (rc != TACET_OK) {
        engine_fail(e, rc > 0 ? TACET_E_BUG : rc);
    } else {
        file_run_end(e, r);
    }
}

void upload_pump(engine *e, file_run *r)
{
    if (!r->source && !r->opening && r->f.source == VAULT_SOURCE_PATH)
        source_open(e, r);
    if (!file_relay_ready(e) || (r->f.source == VAULT_SOURCE_PATH && !r->source))
        return;
    if (r->up.state == UPLOAD_OFFLINE)
        (void)upload_step(&r->up, UPLOAD_LINK_UP);
    if (r->up.state == UPLOAD_CREATE && !r->asked)
        r->asked = ask_create(e, r) == TACET_OK;
    if (r->up.state == UPLOAD_STATUS && !r->asked)
        r->asked = ask_status(e, r) == TACET_OK;
    if (r->up.state == UPLOAD_RUN) {
        put_ready(e, r);
        read_ahead(e, r);
        journal_sealed(e, r);
        put_ready(e, r);
    }
    if (r->up.state == UPLOAD_COMPLETE)
        seal(e, r);
}
