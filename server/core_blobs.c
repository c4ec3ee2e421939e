/* server/core_blobs.c: requests about blobs. A blob that is asked for is loaded into memory; what comes before it is there waits, in order. The one place
 * where an entry begins and ends. */
#include "server/core_parts.h"
#include "server/limits.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- entries --------------------------------------------------------------------------------------------------------------------------- */
static blob_entry **bucket_of(core *c, const uint8_t id[16])
{
    uint64_t h;
    crypto_shorthash((uint8_t *)&h, id, TACET_BLOB_ID_BYTES, c->o.salt);
    return &c->blobs.bucket[h % BLOB_BUCKETS];
}

static blob_entry *entry_find(core *c, const uint8_t id[16])
{
    blob_entry *e = *bucket_of(c, id);
    while (e && memcmp(e->blob.id, id, sizeof e->blob.id) != 0)
        e = e->in_bucket;
    return e;
}

static void list_front(blobs *b, blob_entry *e)
{
    e->previous = NULL;
    e->next = b->first;
    *(b->first ? &b->first->previous : &b->last) = e;
    b->first = e;
}

static void list_remove(blobs *b, blob_entry *e)
{
    *(e->previous ? &e->previous->next : &b->first) = e->next;
    *(e->next ? &e->next->previous : &b->last) = e->previous;
}

static void bits_free(blob_entry *e)
{
    bitmap_free(&e->stored);
    for (uint32_t r = 0; e->have && r < e->blob.receivers; r++)
        bitmap_free(&e->have[r]);
    free(e->have);
    e->have = NULL;
}

/* Out of the table: the next request for that id looks in the store. */
static void entry_hide(core *c, blob_entry *e)
{
    for (blob_entry **at = bucket_of(c, e->blob.id); *at; at = &(*at)->in_bucket)
        if (*at == e) {
            *at = e->in_bucket;
            break;
        }
    e->hidden = true;
}

static void entry_free(core *c, blob_entry *e)
{
    entry_hide(c, e);
    list_remove(&c->blobs, e);
    c->blobs.count--;
    c->blobs.dirty -= e->dirty_count != 0;
    bits_free(e);
    promises_free(&e->told);
    free(e->watch);
    free(e->dirty);
    sodium_memzero(&e->blob, sizeof e->blob);
    free(e);
}

static bool entry_idle(const blob_entry *e)
{
    return e->state != BLOB_LOADING && !e->watchers && !e->in_memory && !e->writing && !e->marking && !e->told.count && !e->jobs && !e->waiting &&
           (!e->dirty_count || e->state == BLOB_GONE);
}

/* Room for one more, at the cost of one that nobody needs. */
static bool entry_room(core *c)
{
    for (blob_entry *e = c->blobs.last; c->blobs.count >= RELAY_BLOBS_OPEN_MAX && e; e = e->previous)
        if (entry_idle(e)) {
            entry_free(c, e);
            break;
        }
    return c->blobs.count < RELAY_BLOBS_OPEN_MAX;
}

/* Nobody fills the table alone: beyond its share a blob of an account takes the place of one of its own that nobody needs, or has none. */
static bool entry_share(core *c, const blob_entry *fresh)
{
    blob_entry *spare = NULL; /* the one that was used longest ago */
    uint32_t own = 0;
    for (blob_entry *e = c->blobs.first; e; e = e->next)
        if (e != fresh && memcmp(e->blob.account, fresh->blob.account, sizeof e->blob.account) == 0) {
            own++;
            spare = entry_idle(e) ? e : spare;
        }
    if (own < RELAY_BLOBS_OPEN_SHARE)
        return true;
    if (spare)
        entry_free(c, spare);
    return spare;
}

static blob_entry *entry_new(core *c, const uint8_t id[16])
{
    blob_entry *e = entry_room(c) ? calloc(1, sizeof *e) : NULL;
    if (!e)
        return NULL;
    memcpy(e->blob.id, id, sizeof e->blob.id);
    blob_entry **bucket = bucket_of(c, id);
    e->in_bucket = *bucket;
    *bucket = e;
    list_front(&c->blobs, e);
    c->blobs.count++;
    return e;
}

void core_blob_settle(core *c, blob_entry *e)
{
    if (e->state == BLOB_GONE && e->hidden && entry_idle(e))
        entry_free(c, e);
}

/* --- jobs ------------------------------------------------------------------------------------------------------------------------------ */
blob_job *core_blob_job(core *c, blob_op op, blob_entry *e)
{
    blob_job *j = blob_job_new(op);
    if (!j)
        return NULL;
    if (e) {
        j->of = e;
        j->blob.number = e->blob.number;
        memcpy(j->blob.id, e->blob.id, sizeof j->blob.id);
        e->jobs++;
    }
    core_charge(c, &j->job);
    core_queue(c, &j->job);
    return j;
}

/* The reader lets go of the files, then the writer unlinks them: never while one of them is being opened to be read, which would look like a disk
 * that fails. */
void core_blob_files(core *c, chunk_op step, uint64_t number, uint32_t chunks)
{
    chunk_work *w = chunk_work_new(step);
    if (!w)
        return; /* swept at the next start */
    w->number = number;
    w->chunk_count = chunks;
    c->blobs.works++;
    c->ports.chunks(c->ports.ctx, w);
}

static void remove_segments(core *c, uint64_t number, uint32_t chunks) { core_blob_files(c, CHUNKS_CLOSE, number, chunks); }

/* --- loading --------------------------------------------------------------------------------------------------------------------------- */
static bool wait_for_load(core *c, conn *k, blob_entry *e, const uint8_t *body, size_t bytes)
{
    if (e->waiting >= RELAY_BLOB_WAITING_MAX || c->blobs.memory + bytes > RELAY_CHUNK_MEMORY_MAX_BYTES)
        return false;
    blob_request *r = malloc(sizeof *r + bytes);
    if (!r)
        return false;
    *r = (blob_request){ .from = core_ref(c, k), .bytes = bytes };
    memcpy(r->body, body, bytes);
    *(e->waiting_first ? &e->waiting_last->next : &e->waiting_first) = r;
    e->waiting_last = r;
    e->waiting++;
    c->blobs.memory += bytes;
    return true;
}

static int bits_new(blob_entry *e)
{
    int rc = bitmap_new(&e->stored, e->blob.chunks);
    e->have = calloc(e->blob.receivers, sizeof *e->have);
    e->watch = calloc(e->blob.receivers, sizeof(watcher *));
    if (!e->have || !e->watch)
        rc = TACET_E_NOMEM;
    for (uint32_t r = 0; rc == TACET_OK && r < e->blob.receivers; r++)
        rc = bitmap_new(&e->have[r], e->blob.chunks);
    return rc;
}

static int bits_fill(blob_entry *e, const blob_job *j)
{
    int rc = TACET_OK;
    for (uint32_t i = 0; rc == TACET_OK && i < j->pages; i++) {
        const marked_page *p = &j->page[i];
        if (p->who > e->blob.receivers)
            return TACET_E_MALFORMED;
        rc = bitmap_page_set(p->who == RELAY_BITS_STORED ? &e->stored : &e->have[p->who - 1], p->page, p->bits);
    }
    return rc;
}

static void answer_waiting(core *c, blob_entry *e, error_code no)
{
    blob_request *r = e->waiting_first;
    e->waiting_first = e->waiting_last = NULL;
    for (blob_request *next; r; r = next) {
        next = r->next;
        conn *k = core_conn(c, r->from);
        bool good = k && k->state == CONN_OPEN && frame_decode(&c->f, r->body, r->bytes) == TACET_OK;
        e->waiting--;
        c->blobs.memory -= r->bytes;
        if (good && no)
            core_reply_error(c, r->from, c->f.id, no == ERROR_NOT_FOUND && k->role == 2 ? ERROR_REFUSED : no);
        else if (good)
            core_blob_frame(c, k, &c->f, r->body, r->bytes);
        free(r);
    }
}

static void load_done(core *c, blob_job *j)
{
    blob_entry *e = j->of;
    error_code no = j->job.status == TACET_E_NOT_FOUND ? ERROR_NOT_FOUND : j->job.status == TACET_OK ? 0 : ERROR_INTERNAL;
    if (!no) {
        e->blob = j->blob;
        int rc = bits_new(e);
        if (rc == TACET_OK)
            rc = bits_fill(e, j);
        no = rc != TACET_OK ? ERROR_INTERNAL : entry_share(c, e) ? 0 : ERROR_QUOTA;
    }
    e->state = no ? BLOB_GONE : BLOB_READY;
    if (no)
        entry_hide(c, e);
    answer_waiting(c, e, no);
}

/* --- the end of a blob ------------------------------------------------------------------------------------------------------------------- */
static void say_gone(core *c, conn_ref to, const uint8_t id[16])
{
    conn *k = core_conn(c, to);
    uint8_t bytes[64];
    frame *f = &c->gone;
    f->kind = FRAME_BLOB_GONE;
    f->blob_gone.blob = (view){ id, TACET_BLOB_ID_BYTES };
    if (k)
        core_reply(c, k, bytes, reply_into(f, bytes, sizeof bytes), 0);
}

/* What is said may be too much for a connection that does not read: it is closed, and with it go its watchers, of this blob as well. So whoever is told
 * watches no longer, and the entry stays until all are. */
static void tell_gone(core *c, blob_entry *e)
{
    e->jobs++;
    for (uint32_t r = 0; r < e->blob.receivers; r++)
        if (e->watch[r]) {
            conn_ref to = e->watch[r]->to;
            core_unwatch(c, e->watch[r]);
            say_gone(c, to, e->blob.id);
        }
    e->jobs--;
}

static void blob_over(core *c, uint64_t number, const uint8_t id[16], uint32_t chunks, bool done)
{
    blob_entry *e = entry_find(c, id);
    c->blobs.known--;
    if (!done)
        remove_segments(c, number, chunks);
    if (!done)
        c->blobs.reserved_chunks -= chunks;
    if (!e || e->blob.number != number)
        return;
    e->state = BLOB_GONE;
    entry_hide(c, e);
    core_chunks_answer(c, e, ERROR_NOT_FOUND);
    tell_gone(c, e);
    core_blob_settle(c, e);
}

static void drop_done(core *c, blob_job *j, bool written)
{
    blob_entry *e = j->of;
    if (!written) {
        core_reply_error(c, j->job.from, j->job.id, ERROR_QUOTA);
        if (e->hidden)
            return; /* it has expired before */
        e->state = BLOB_READY;
        core_chunks_run(c, e);
        return;
    }
    c->n.blobs_dropped++;
    core_reply_ok(c, j->job.from, j->job.id);
    if (!e->hidden) /* it expired in the same group */
        blob_over(c, e->blob.number, e->blob.id, e->blob.chunks, e->blob.done);
}

static void create_done(core *c, blob_job *j, bool written)
{
    int status = written ? j->job.status : TACET_E_QUOTA;
    if (status != TACET_OK) {
        core_reply_error(c, j->job.from, j->job.id, status == TACET_E_EXISTS ? ERROR_EXISTS : ERROR_QUOTA);
        return;
    }
    c->n.blobs_created += j->made;
    c->blobs.known += j->made;
    c->blobs.reserved_chunks += j->made ? j->blob.chunks : 0;
    core_reply_ok(c, j->job.from, j->job.id);
}

static void done_done(core *c, blob_job *j, bool written)
{
    blob_entry *e = j->of;
    e->finishing = false;
    if (e->hidden)
        return;                  /* it has expired in the same group */
    core_chunks_answer(c, e, 0); /* all have everything, whether that could be written or not */
    if (!written) {
        core_blob_dirty(c, e, 1, 0); /* so that a tick tries again */
        e->done_due_us = c->now_us + RELAY_BLOB_DONE_RETRY_MS * 1000ull;
        return;
    }
    c->n.blobs_done++;
    c->blobs.reserved_chunks -= e->blob.chunks;
    e->blob.done = true;
    c->blobs.dirty -= e->dirty_count != 0;
    e->dirty_count = 0;
    bits_free(e);
    remove_segments(c, e->blob.number, e->blob.chunks);
}

static void expire_done(core *c, const blob_job *j, bool written)
{
    c->blobs.expiring = false;
    c->blobs.expire_due_us = c->now_us + (j->more && written ? RELAY_CLEAN_BUSY_MS : RELAY_BLOBS_EXPIRE_EVERY_MS) * 1000ull;
    for (uint32_t i = 0; written && i < j->gone_count; i++) {
        c->n.blobs_expired++;
        blob_over(c, j->gone[i].number, j->gone[i].id, j->gone[i].chunks, j->gone[i].done);
    }
}

void core_blob_job_done(core *c, blob_job *j, int status)
{
    bool written = status == TACET_OK;
    blob_entry *e = j->of;
    c->memory -= j->job.charged;
    switch (j->op) {
    case BLOB_CREATE:
        create_done(c, j, written);
        break;
    case BLOB_LOAD:
        load_done(c, j);
        break;
    case BLOB_MARK:
        core_chunks_marked(c, j, status);
        break;
    case BLOB_DONE:
        done_done(c, j, written);
        break;
    case BLOB_DROP:
        drop_done(c, j, written);
        break;
    case BLOB_EXPIRE:
        expire_done(c, j, written);
        break;
    }
    if (e) {
        e->jobs--;
        core_blob_settle(c, e);
    }
    blob_job_free(j);
}

/* --- requests ---------------------------------------------------------------------------------------------------------------------------- */
static void do_create(core *c, conn *k, const frame *f)
{
    uint32_t ttl_s = f->blob_create.ttl_s < TACET_TTL_MAX_S ? f->blob_create.ttl_s : TACET_TTL_MAX_S;
    error_code no = f->blob_create.receivers.count > TACET_BLOB_RECEIVERS_MAX ? ERROR_MALFORMED : ttl_s == 0 ? ERROR_EXPIRED : 0;
    blob_job *j = no ? NULL : core_blob_job(c, BLOB_CREATE, NULL);
    if (!j) {
        core_reply_error(c, core_ref(c, k), f->id, no ? no : ERROR_INTERNAL);
        return;
    }
    const core_config *o = &c->o.config;
    j->job.from = core_ref(c, k);
    j->job.id = f->id;
    j->limits = (relay_blob_limits){ .account_bytes = (uint64_t)o->blob_account_mib << 20,
                                     .total_bytes = (uint64_t)o->blob_total_mib << 20,
                                     .free_bytes = (uint64_t)o->blob_free_mib << 20,
                                     .account_blobs = RELAY_BLOBS_ACCOUNT_MAX,
                                     .account_share = o->blob_account_share };
    j->blob.chunks = f->blob_create.chunks;
    j->blob.receivers = f->blob_create.receivers.count;
    j->blob.expires_hour = age_hour(&c->age) + (ttl_s + 3599) / 3600;
    memcpy(j->blob.id, f->blob_create.blob.at, sizeof j->blob.id);
    memcpy(j->blob.account, k->who.account, sizeof j->blob.account);
    for (uint32_t r = 0; r < j->blob.receivers; r++)
        memcpy(j->blob.hash[r], f->blob_create.receivers.item[r].at, 32);
}

/* Whole pages, because it is asked for 65,536 chunks and there may be 64 receivers. */
static void safe_page(const blob_entry *e, uint32_t page, uint8_t out[RELAY_BITS_PAGE_BYTES])
{
    uint8_t bits[RELAY_BITS_PAGE_BYTES];
    memset(out, 0xff, RELAY_BITS_PAGE_BYTES);
    if (e->blob.done)
        return;
    for (uint32_t r = 0; r < e->blob.receivers; r++) {
        bitmap_page_read(&e->have[r], page, bits);
        for (size_t i = 0; i < sizeof bits; i++)
            out[i] &= bits[i];
    }
    bitmap_page_read(&e->stored, page, bits);
    for (size_t i = 0; i < sizeof bits; i++)
        out[i] |= bits[i];
}

static void do_status(core *c, conn *k, blob_entry *e, const frame *f)
{
    enum { BITS_MAX = TACET_BLOB_BITS_MAX_BYTES * 8, PAGE = RELAY_BITS_PAGE_CHUNKS };
    uint8_t bits[TACET_BLOB_BITS_MAX_BYTES] = { 0 }, out[TACET_BLOB_BITS_MAX_BYTES + 64], page[RELAY_BITS_PAGE_BYTES];
    uint32_t first = f->blob_status.first, count = first < e->blob.chunks ? e->blob.chunks - first : 0;
    frame *r = &c->status;
    if (count == 0) {
        core_reply_error(c, core_ref(c, k), f->id, ERROR_MALFORMED);
        return;
    }
    count = count < BITS_MAX ? count : BITS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = first + i;
        if (i == 0 || at % PAGE == 0)
            safe_page(e, at / PAGE, page);
        bits[i / 8] |= (uint8_t)((unsigned)(page[at % PAGE / 8] >> at % 8 & 1) << i % 8);
    }
    r->kind = FRAME_BLOB_STATUS_REPLY;
    r->id = f->id;
    r->blob_status_reply.chunks = e->blob.chunks;
    r->blob_status_reply.first = first;
    r->blob_status_reply.bits = (view){ bits, (count + 7) / 8 };
    core_reply(c, k, out, reply_into(r, out, sizeof out), 1);
}

static void do_drop(core *c, conn *k, blob_entry *e, const frame *f)
{
    blob_job *j = core_blob_job(c, BLOB_DROP, e);
    if (!j) {
        core_reply_error(c, core_ref(c, k), f->id, ERROR_INTERNAL);
        return;
    }
    j->job.from = core_ref(c, k);
    j->job.id = f->id;
    e->state = BLOB_GONE; /* for everybody who asks from now on */
}

/* Looks at all of them, whichever it is. */
static bool receiver_of(const blob_entry *e, const uint8_t capability[32], uint32_t *receiver)
{
    static const char label[] = "tacet blob";
    uint8_t hash[32];
    crypto_generichash_state state;
    bool found = false;
    (void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
    (void)crypto_generichash_update(&state, (const uint8_t *)label, sizeof label);
    (void)crypto_generichash_update(&state, capability, 32);
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    for (uint32_t r = 0; r < e->blob.receivers; r++)
        if (sodium_memcmp(hash, e->blob.hash[r], sizeof hash) == 0) {
            *receiver = r;
            found = true;
        }
    sodium_memzero(&state, sizeof state);
    return found;
}

static void ask_owner(core *c, conn *k, blob_entry *e, const frame *f)
{
    if (e->state != BLOB_READY || sodium_memcmp(e->blob.account, k->who.account, 32) != 0)
        core_reply_error(c, core_ref(c, k), f->id, ERROR_NOT_FOUND);
    else if (f->kind == FRAME_PUT)
        core_put(c, k, e, f);
    else if (f->kind == FRAME_BLOB_STATUS)
        do_status(c, k, e, f);
    else
        do_drop(c, k, e, f);
}

static void ask_receiver(core *c, conn *k, blob_entry *e, const frame *f)
{
    uint32_t receiver = 0; /* the capability lies in the same place of all three */
    if (e->state != BLOB_READY || !receiver_of(e, f->watch.capability.at, &receiver))
        core_reply_error(c, core_ref(c, k), f->id, ERROR_REFUSED);
    else if (f->kind == FRAME_WATCH)
        core_watch(c, k, e, receiver, f);
    else if (f->kind == FRAME_HAVE)
        core_have(c, k, e, receiver, f);
    else
        core_again(c, k, e, receiver, f);
}

void core_blob_frame(core *c, conn *k, const frame *f, const uint8_t *body, size_t bytes)
{
    if (f->kind == FRAME_BLOB_CREATE) {
        do_create(c, k, f);
        return;
    }
    const uint8_t *id = f->put.blob.at; /* first in all of them */
    blob_entry *e = entry_find(c, id);
    if (e) {
        list_remove(&c->blobs, e);
        list_front(&c->blobs, e);
    }
    if (!e && (e = entry_new(c, id)) && !core_blob_job(c, BLOB_LOAD, e)) {
        entry_free(c, e);
        e = NULL;
    }
    if (!e || (e->state == BLOB_LOADING && !wait_for_load(c, k, e, body, bytes)))
        core_reply_error(c, core_ref(c, k), f->id, ERROR_QUOTA);
    else if (e->state != BLOB_LOADING && k->role == 1)
        ask_owner(c, k, e, f);
    else if (e->state != BLOB_LOADING)
        ask_receiver(c, k, e, f);
}

/* --- time ------------------------------------------------------------------------------------------------------------------------------ */
void core_blobs_known(core *c, const relay_blob_totals *t)
{
    c->blobs.known = t->blobs;
    c->blobs.reserved_chunks = t->reserved_bytes / RELAY_CHUNK_ROOM_BYTES;
}

static void expire_queue(core *c)
{
    blob_job *j = core_blob_job(c, BLOB_EXPIRE, NULL);
    c->blobs.expire_due_us = c->now_us + RELAY_BLOBS_EXPIRE_EVERY_MS * 1000ull;
    if (!j)
        return;
    j->now_hour = age_hour(&c->age);
    c->blobs.expiring = true;
}

void core_blobs_tick(core *c)
{
    blobs *b = &c->blobs;
    if (b->known && !b->expiring && !c->stopping && c->now_us >= b->expire_due_us)
        expire_queue(c);
    if ((b->chunks || b->dirty) && (c->now_us >= b->tick_due_us || c->stopping)) {
        b->tick_due_us = c->now_us + RELAY_CHUNK_TICK_MS * 1000ull;
        for (blob_entry *e = b->first, *next; e; e = next) {
            next = e->next;
            core_chunks_run(c, e);
        }
    }
    core_watch_serve(c);
}

uint64_t core_blobs_due_us(const core *c)
{
    const blobs *b = &c->blobs;
    uint64_t due = !b->known || b->expiring || c->stopping ? UINT64_MAX : b->expire_due_us;
    return (b->chunks || b->dirty) && b->tick_due_us < due ? b->tick_due_us : due;
}

bool core_blobs_idle(const core *c) { return !c->blobs.chunks && !c->blobs.dirty && !c->blobs.works; }

void core_blobs_free(core *c)
{
    for (blob_entry *e = c->blobs.first, *next; e; e = next) {
        next = e->next;
        for (blob_request *r = e->waiting_first, *then; r; r = then) {
            then = r->next;
            free(r);
        }
        for (uint32_t r = 0; e->watch && r < e->blob.receivers; r++)
            if (e->watch[r])
                core_unwatch(c, e->watch[r]);
        for (chunk *h = e->first, *then; h; h = then) {
            then = h->next;
            free(h);
        }
        entry_free(c, e);
    }
}
