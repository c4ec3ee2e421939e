/* A file on its way to us: watched on an open link to its sender's relay; a worker opens and writes each chunk; what is on the disk is written down, and
 * only then acknowledged. */
#include "files.h"
#include "base/writer.h"
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- the target --------------------------------------------------------------------------------------------------------------------------------- */
/* One job for what is done to a file as a whole: opening it, syncing it, giving it its name. */
typedef struct {
    job job;
    file_run *run;
    file_target *target;
    target_plan plan;
    char folder[VAULT_FILE_PATH_ROOM], name[FILE_NAME_ROOM], saved[VAULT_FILE_PATH_ROOM];
    uint64_t stamp;
    uint32_t first_chunks, round;
    bool done_before;
    trouble bad;
} target_job;

/* Of the row, which no other download has, and of when it was made, so that two profiles may share a folder. */
static void download_tag(const vault_file *f, uint8_t tag[FILE_NAME_TAG_BYTES])
{
    static const char label[] = "tacet unfinished";
    uint8_t bytes[sizeof label + 16], hash[32];
    writer w = writer_over(bytes, sizeof bytes);
    write_bytes(&w, label, sizeof label);
    write_be(&w, (uint64_t)f->row, 8);
    write_be(&w, f->created_ms, 8);
    content_hash(hash, bytes, sizeof bytes);
    memcpy(tag, hash, FILE_NAME_TAG_BYTES);
}

/* The name is the one that was asked for, or a safe form of what the sender says. */
void download_plan(const file_run *r, target_plan *p, char name[FILE_NAME_ROOM])
{
    if (r->f.as[0])
        text_put(name, FILE_NAME_ROOM, r->f.as);
    else
        file_name_safe(name, (const uint8_t *)r->f.name, strlen(r->f.name));
    uint64_t held = (uint64_t)r->f.have * TACET_CHUNK_PLAIN_BYTES;
    *p = (target_plan){ .folder = r->f.path,
                        .make = true,
                        .name = name,
                        .form = r->f.form,
                        .size = r->f.size,
                        .mtime_s = r->f.mtime_s,
                        .stamp = r->f.stamp,
                        .bytes_left = held < r->f.size ? r->f.size - held : 0 };
    memcpy(p->blob, r->f.blob, sizeof p->blob);
    download_tag(&r->f, p->tag);
}

static target_job *target_job_new(file_run *r)
{
    target_job *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->run = r;
    t->target = r->target;
    t->round = r->down.round;
    download_plan(r, &t->plan, t->name);
    text_put(t->folder, sizeof t->folder, r->f.path);
    t->plan.folder = t->folder;
    return t;
}

static void open_run(job *j)
{
    target_job *t = (target_job *)j;
    t->bad = file_target_open(&t->target, &t->plan, &t->stamp, &t->done_before, t->saved, sizeof t->saved);
    if (!t->bad && !t->done_before)
        t->bad = file_target_resume(t->target, t->first_chunks);
}

/* Whoever sends puts one file after the other: the next one may be there by now. */
static void wake_next(engine *e, int64_t contact)
{
    for (file_run *r = e->files->runs; r; r = r->next)
        if (!r->ended && !r->f.outgoing && r->contact == contact && r->watch_at_ms > mono_ms(e)) {
            r->watch_at_ms = 0;
            return;
        }
}

static void finished(engine *e, file_run *r, const char *saved)
{
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, file_done(e, r, saved));
    if (rc == TACET_OK) {
        file_run_end(e, r);
        wake_next(e, r->contact);
    } else if (rc == TACET_E_FULL) {
        file_trouble(e, r, TROUBLE_DISK_FULL); /* it has its name already: found again by its number */
    } else {
        engine_fail(e, rc > 0 ? TACET_E_BUG : rc);
    }
    e->woken = true;
}

static void open_done(void *ctx, job *j)
{
    engine *e = ctx;
    target_job *t = (target_job *)j;
    file_run *r = t->run;
    r->opening = false;
    bool goes_on = file_back(e, r);
    if (!goes_on || t->bad) {
        t->target = file_target_close(t->target);
        t->plan.stamp = t->stamp;
        if (!goes_on && !t->bad && r->f.stamp == 0)
            (void)file_target_discard(&t->plan); /* over while it was being begun: its number stands nowhere */
        if (goes_on)
            file_trouble(e, r, t->bad);
        free(t);
        return;
    }
    r->target = t->target;
    int rc = TACET_OK;
    if (r->f.stamp != t->stamp || r->f.trouble) { /* before the first byte is written into it */
        r->f.stamp = t->stamp;
        r->f.trouble = TROUBLE_NONE;
        rc = txn_begin(e);
        if (rc == TACET_OK)
            rc = vault_file_update(e->vault, &r->f);
        rc = txn_end(e, rc);
    }
    if (rc == TACET_E_FULL)
        file_trouble(e, r, TROUBLE_DISK_FULL);
    else if (rc != TACET_OK)
        engine_fail(e, rc);
    else if (t->done_before)
        finished(e, r, t->saved);
    free(t);
}

static void target_open(engine *e, file_run *r)
{
    target_job *t = target_job_new(r);
    if (!t)
        return;
    t->target = NULL;
    t->plan.never = e->files->vault_folder;
    t->first_chunks = bits_next_zero(&r->down.have, 0);
    r->opening = file_give(e, r, WORKER_WRITER, &t->job, open_run, open_done);
    if (!r->opening)
        free(t);
}

/* --- what is here from before ---------------------------------------------------------------------------------------------------------------------- */
static int have_load(engine *e, file_run *r)
{
    journal_block b;
    int rc = TACET_OK;
    for (uint32_t i = 0; rc == TACET_OK && i < r->f.chunks; i++) {
        if (journal_place_of(i) == 0)
            rc = file_block_get(e, r, journal_block_of(i), &b);
        if (rc == TACET_OK && journal_has(&b, i))
            bits_put(&r->down.have, i);
    }
    return rc;
}

int download_begin(engine *e, file_run *r)
{
    vault_file_link link;
    vault_contact c;
    size_t count = 0;
    int rc = download_new(&r->down, r->f.chunks);
    if (rc == TACET_OK)
        rc = vault_file_links(e->vault, r->f.row, &link, 1, &count);
    if (rc == TACET_OK)
        rc = count ? vault_contact_get(e->vault, link.contact, &c) : TACET_E_NOT_FOUND;
    if (rc != TACET_OK)
        return rc;
    r->contact = c.id;
    r->message = link.message;
    memcpy(r->capability, link.capability, sizeof r->capability);
    memcpy(r->relay, c.relay, sizeof r->relay); /* chunks are taken from the relay that is pinned for this contact, and from no other */
    rc = r->f.have ? have_load(e, r) : TACET_OK;
    r->f.have = r->down.have.set;
    return rc;
}

/* What came and was not told to the relay counts for nothing: it comes again on the next link. */
static void link_forget(file_run *r)
{
    r->highest = 0;
    r->asked = false;
    r->written_count = 0;
    r->slot = ENGINE_SLOTS_MAX;
}

void download_link_down(file_run *r)
{
    (void)download_step(&r->down, DOWNLOAD_LINK_DOWN);
    link_forget(r);
}

void download_halt(engine *e, file_run *r)
{
    size_t slot = r->slot;
    link_forget(r);
    if (r->bad && r->jobs == 0)
        r->target = file_target_close(r->target);
    if (slot < ENGINE_SLOTS_MAX && slot != e->mailbox && place_has(e, r) && !download_whole(&r->down))
        slot_close(e, slot); /* the relay takes this as the end of the watch; others on this link begin theirs anew */
}

/* --- telling the relay --------------------------------------------------------------------------------------------------------------------------------- */
static void got_ok(engine *e, uint64_t arg, const frame *reply)
{
    (void)e;
    (void)arg;
    (void)reply; /* what went wrong with `have` or `again` shows as a chunk that comes once more, or not at all, and the next watch mends both */
}

static void got_told(engine *e, uint64_t arg, const frame *reply)
{
    e->files->telling--;
    got_ok(e, arg, reply);
}

static bool tell_have(engine *e, file_run *r, uint32_t first, const uint8_t *bytes, size_t n)
{
    frame f = { .kind = FRAME_HAVE };
    f.have.blob = (view){ r->f.blob, sizeof r->f.blob };
    f.have.capability = (view){ r->capability, sizeof r->capability };
    f.have.first = first;
    f.have.bits = (view){ bytes, n };
    if (slot_ask(e, r->slot, &f, got_told, 0) != TACET_OK)
        return false;
    e->files->telling++;
    return true;
}

static void ask_again(engine *e, file_run *r, uint32_t index)
{
    frame f = { .kind = FRAME_AGAIN };
    f.again.blob = (view){ r->f.blob, sizeof r->f.blob };
    f.again.capability = (view){ r->capability, sizeof r->capability };
    f.again.index = index;
    if (slot_ask(e, r->slot, &f, got_ok, 0) != TACET_OK)
        slot_close(e, r->slot);
}

/* No blob yet (the offer was faster than blob_create), or no more: asked again, ever more rarely, as long as it can still come. */
void download_later_on(engine *e, file_run *r)
{
    uint64_t wait = FILES_WATCH_RETRY_MS;
    for (unsigned i = 0; i < r->refusals && wait < FILES_WATCH_RETRY_MAX_MS; i++)
        wait *= 2;
    r->refusals++;
    r->watch_at_ms = mono_ms(e) + (wait < FILES_WATCH_RETRY_MAX_MS ? wait : FILES_WATCH_RETRY_MAX_MS);
}

static void refused(engine *e, file_run *r)
{
    download_later_on(e, r);
    e->files_due_ms = 0; /* another may have its place, and its link */
    if (now_ms(e) > r->f.created_ms && now_ms(e) - r->f.created_ms > (uint64_t)FILES_KEEP_S * 1000)
        file_trouble(e, r, TROUBLE_EXPIRED);
}

static void got_watch(engine *e, uint64_t arg, const frame *reply)
{
    file_run *r = file_run_find(e, file_arg_row(arg));
    if (!r || !reply)
        return;
    r->asked = false;
    if (reply->kind == FRAME_OK) {
        r->came_ms = mono_ms(e);
        (void)download_step(&r->down, DOWNLOAD_WATCHED);
    } else if (reply->kind == FRAME_ERROR) {
        refused(e, r);
    }
}

static void ask_watch(engine *e, file_run *r)
{
    frame f = { .kind = FRAME_WATCH };
    if (mono_ms(e) < r->watch_at_ms)
        return;
    f.watch.blob = (view){ r->f.blob, sizeof r->f.blob };
    f.watch.capability = (view){ r->capability, sizeof r->capability };
    f.watch.credit = FILES_DOWN_WINDOW;
    r->asked = slot_ask(e, r->slot, &f, got_watch, file_arg(r, 0)) == TACET_OK;
}

static void tell_all(engine *e, file_run *r)
{
    uint8_t bytes[TACET_BLOB_BITS_MAX_BYTES];
    uint32_t first = 0;
    for (size_t n = download_tell(&r->down, &first, bytes); n; n = download_tell(&r->down, &first, bytes))
        if (!tell_have(e, r, first, bytes, n)) {
            slot_close(e, r->slot);
            return;
        }
}

/* --- chunks ------------------------------------------------------------------------------------------------------------------------------------------------- */
/* On the worker. */
static void write_run(job *j)
{
    chunk_job *c = (chunk_job *)j;
    file_run *r = c->run;
    chunk_span s = plan_span(r->f.size, c->index);
    chunk_leaf(c->leaf, c->index, c->chunk, sizeof c->chunk);
    c->forged = chunk_open(r->cipher, c->index, c->chunk, sizeof c->chunk) != TACET_OK;
    if (!c->forged && s.bytes)
        c->bad = file_target_write(r->target, s.offset, c->chunk + TACET_CHUNK_NONCE_BYTES, s.bytes, &c->later);
}

static void write_done(void *ctx, job *j)
{
    engine *e = ctx;
    chunk_job *c = (chunk_job *)j;
    file_run *r = c->run;
    bool goes_on = file_back(e, r) && c->round == r->down.round;
    uint32_t index = c->index;
    trouble bad = c->bad;
    bool forged = c->forged, later = c->later;
    if (goes_on && !bad && !forged && !later) {
        written_chunk *w = &r->written[r->written_count++];
        w->index = index;
        memcpy(w->leaf, c->leaf, sizeof w->leaf);
    }
    sodium_memzero(c->chunk, sizeof c->chunk);
    chunk_free(e, c);
    if (!goes_on)
        return;
    if (bad) {
        file_trouble(e, r, bad);
    } else if (later) {
        download_later(&r->down, index);
        ask_again(e, r, index);
    } else if (forged && !download_damaged(&r->down, index)) {
        file_trouble(e, r, TROUBLE_CHUNKS_DAMAGED);
    } else if (forged) {
        ask_again(e, r, index);
    }
}

static void chunk_came(engine *e, file_run *r, const frame *f)
{
    if (!r->target && !download_whole(&r->down))
        return; /* nobody asked for it */
    r->came_ms = mono_ms(e);
    r->highest = f->chunk.index > r->highest && f->chunk.index < r->f.chunks ? f->chunk.index : r->highest;
    uint8_t bit = (uint8_t)(1u << f->chunk.index % 8);
    switch (download_chunk(&r->down, f->chunk.index)) {
    case DOWNLOAD_WRONG:
        file_trouble(e, r, TROUBLE_CHUNKS_DAMAGED);
        return;
    case DOWNLOAD_KNOWN:
        (void)tell_have(e, r, f->chunk.index & ~7u, &bit, 1);
        return;
    case DOWNLOAD_IGNORE:
        return;
    case DOWNLOAD_TAKE:
        r->moved_ms = r->came_ms;
        break;
    }
    chunk_job *c = chunk_new(e, r, f->chunk.index);
    if (c && f->chunk.chunk.bytes == sizeof c->chunk)
        memcpy(c->chunk, f->chunk.chunk.at, sizeof c->chunk);
    else if (c)
        memset(c->chunk, 0, sizeof c->chunk); /* of another size: it will not open */
    if (!c || !chunk_give(e, WORKER_WRITER, c, write_run, write_done))
        slot_close(e, r->slot); /* no memory: everything that is not written comes again */
}

void download_came(engine *e, file_run *r, const frame *f)
{
    if (f->kind == FRAME_CHUNK)
        chunk_came(e, r, f);
    else if (!download_whole(&r->down))
        file_trouble(e, r, TROUBLE_RELAY_GONE);
}

/* --- onto the disk, into the journal, then `have` ---------------------------------------------------------------------------------------------------------- */
/* On a thread of its own, so that the next chunks are opened and written meanwhile: what is being synced was written before. */
static void sync_run(job *j)
{
    target_job *t = (target_job *)j;
    t->bad = file_target_sync(t->target);
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = ((const written_chunk *)a)->index, y = ((const written_chunk *)b)->index;
    return (x > y) - (x < y);
}

/* syncing[] is in order. */
static int journal_all(engine *e, file_run *r)
{
    journal_block b;
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < r->syncing_count; i++) {
        uint32_t block = journal_block_of(r->syncing[i].index);
        if (i == 0 || block != journal_block_of(r->syncing[i - 1].index))
            rc = file_block_get(e, r, block, &b);
        if (rc == TACET_OK)
            journal_note(&b, r->syncing[i].index, NULL, r->syncing[i].leaf);
        if (rc == TACET_OK && (i + 1 == r->syncing_count || block != journal_block_of(r->syncing[i + 1].index)))
            rc = file_block_put(e, r, block, &b);
    }
    return rc;
}

static int journal(engine *e, file_run *r)
{
    int rc = txn_begin(e);
    if (rc != TACET_OK)
        return rc;
    rc = journal_all(e, r);
    if (rc == TACET_OK) {
        r->f.have = r->down.have.set + (uint32_t)r->syncing_count;
        rc = vault_file_update(e->vault, &r->f);
    }
    return txn_end(e, rc);
}

/* Neighbours share a frame. */
static void acknowledge(engine *e, file_run *r)
{
    uint8_t bytes[DOWNLOAD_WINDOW_MAX];
    r->moved_ms = mono_ms(e);
    r->refusals = 0;
    for (size_t i = 0; i < r->syncing_count;) {
        uint32_t first = r->syncing[i].index & ~7u;
        size_t n = 0;
        memset(bytes, 0, sizeof bytes);
        for (; i < r->syncing_count && r->syncing[i].index - first < 8 * sizeof bytes; i++) {
            n = (r->syncing[i].index - first) / 8 + 1;
            bytes[n - 1] |= (uint8_t)(1u << r->syncing[i].index % 8);
            (void)download_durable(&r->down, r->syncing[i].index);
        }
        if (r->slot < ENGINE_SLOTS_MAX && !tell_have(e, r, first, bytes, n)) {
            slot_close(e, r->slot);
            return;
        }
    }
}

static void sync_done(void *ctx, job *j)
{
    engine *e = ctx;
    target_job *t = (target_job *)j;
    file_run *r = t->run;
    bool goes_on = file_back(e, r) && t->round == r->down.round;
    trouble bad = t->bad;
    free(t);
    int rc = goes_on && !bad ? journal(e, r) : TACET_OK;
    if (goes_on && !bad && rc == TACET_OK)
        acknowledge(e, r);
    r->syncing_count = 0;
    if (goes_on && (bad || rc == TACET_E_FULL))
        file_trouble(e, r, bad ? bad : TROUBLE_DISK_FULL);
    else if (rc != TACET_OK)
        engine_fail(e, rc > 0 ? TACET_E_BUG : rc);
}

static void sync_when_due(engine *e, file_run *r)
{
    if (r->syncing_count || r->written_count == 0 || (r->written_count < FILES_SYNC_BATCH && r->jobs > 0))
        return;
    target_job *t = target_job_new(r);
    if (!t)
        return;
    memcpy(r->syncing, r->written, r->written_count * sizeof *r->written);
    r->syncing_count = r->written_count;
    r->written_count = 0;
    qsort(r->syncing, r->syncing_count, sizeof *r->syncing, by_index);
    if (!file_give(e, r, WORKER_SYNCER, &t->job, sync_run, sync_done)) {
        free(t);
        r->syncing_count = 0;
        slot_close(e, r->slot);
    }
}

/* --- the end -------------------------------------------------------------------------------------------------------------------------------------------------------- */
static void finish_run(job *j)
{
    target_job *t = (target_job *)j;
    t->bad = file_target_finish(t->target, t->saved, sizeof t->saved);
}

static void finish_done(void *ctx, job *j)
{
    engine *e = ctx;
    target_job *t = (target_job *)j;
    file_run *r = t->run;
    r->finishing = false;
    if (file_back(e, r)) {
        if (t->bad)
            file_trouble(e, r, t->bad);
        else
            finished(e, r, t->saved);
    }
    free(t);
}

/* Only what the sender sealed gets a name. */
static void check_and_finish(engine *e, file_run *r)
{
    uint8_t root[32];
    int rc = file_root(e, r, root);
    if (rc != TACET_OK) {
        engine_fail(e, rc > 0 ? TACET_E_BUG : rc);
        file_trouble(e, r, TROUBLE_TARGET_IO);
        return;
    }
    if (sodium_memcmp(root, r->f.root, sizeof root) != 0) {
        file_trouble(e, r, TROUBLE_ROOT);
        return;
    }
    target_job *t = target_job_new(r);
    r->finishing = t && file_give(e, r, WORKER_WRITER, &t->job, finish_run, finish_done);
    if (!r->finishing)
        free(t);
}

/* A relay pushes in ascending order, and after the seal it has everything: what is missing below has got lost on its side. */
static uint32_t due_below(const file_run *r) { return r->f.has_root ? r->f.chunks : r->highest; }

bool download_gap(const file_run *r) { return r->down.state == DOWNLOAD_RUN && r->jobs == 0 && bits_next_zero(&r->down.have, 0) < due_below(r); }

static void ask_for_gaps(engine *e, file_run *r)
{
    if (mono_ms(e) < r->came_ms + FILES_STALL_MS || !download_gap(r))
        return;
    r->came_ms = mono_ms(e);
    uint32_t at = bits_next_zero(&r->down.have, 0);
    for (unsigned asked = 0; at < due_below(r) && asked < FILES_STALL_MAX && r->slot < ENGINE_SLOTS_MAX; asked++) {
        ask_again(e, r, at);
        at = bits_next_zero(&r->down.have, at + 1);
    }
}

static void connect(engine *e, file_run *r)
{
    if (r->slot == ENGINE_SLOTS_MAX)
        r->slot = slot_for_text(e, r->relay, TACET_ROLE_OPEN);
    if (r->slot == ENGINE_SLOTS_MAX)
        return;
    relay_slot *s = &e->slots[r->slot];
    if (!s->link && s->failures < r->failures)
        s->failures = r->failures;
    slot_want(e, r->slot, false); /* may find at once that there is no network: then the slot is not ours any more */
    if (r->slot == ENGINE_SLOTS_MAX || !s->up)
        return;
    r->failures = 0;
    if (r->down.state == DOWNLOAD_OFFLINE)
        (void)download_step(&r->down, DOWNLOAD_LINK_UP);
}

void download_wait(engine *e, file_run *r)
{
    connect(e, r);
    if (r->slot < ENGINE_SLOTS_MAX && e->slots[r->slot].failed) { /* meanwhile another has its turn */
        r->watch_at_ms = e->slots[r->slot].retry_at_ms;
        download_link_down(r);
    } else if (r->slot == ENGINE_SLOTS_MAX && mono_ms(e) >= r->watch_at_ms) {
        r->watch_at_ms = mono_ms(e) + ENGINE_SLOT_RETRY_MS; /* no slot is free */
    }
}

void download_pump(engine *e, file_run *r)
{
    if (r->finishing || r->opening)
        return;
    if (!r->target) {
        if (r->jobs == 0)
            target_open(e, r);
        return;
    }
    if (download_whole(&r->down)) {
        if (r->f.has_root && r->jobs == 0)
            check_and_finish(e, r);
        return;
    }
    connect(e, r);
    if (r->down.state == DOWNLOAD_TELL)
        tell_all(e, r);
    if (r->down.state == DOWNLOAD_WATCH && !r->asked)
        ask_watch(e, r);
    sync_when_due(e, r);
    ask_for_gaps(e, r);
}
