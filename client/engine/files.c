/* Files on their way: which ones run, their jobs and buffers, what wakes them, and how trouble ends or pauses them. */
#include "files.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- chunks and jobs ---------------------------------------------------------------------------------------------------------------------- */
void chunk_list_put(chunk_list *l, chunk_job *c)
{
    if (!l->first)
        l->last = &l->first;
    c->next = NULL;
    *l->last = c;
    l->last = &c->next;
    l->count++;
}

chunk_job *chunk_list_take(chunk_list *l)
{
    chunk_job *c = l->first;
    if (c) {
        l->first = c->next;
        l->count--;
    }
    return c;
}

void chunk_list_drop(engine *e, chunk_list *l)
{
    for (chunk_job *c = chunk_list_take(l); c; c = chunk_list_take(l))
        chunk_free(e, c);
}

chunk_job *chunk_new(engine *e, file_run *r, uint32_t index)
{
    files *f = e->files;
    chunk_job *c = f->spare;
    if (c) {
        f->spare = c->next;
    } else {
        c = malloc(sizeof *c);
        if (!c)
            return NULL;
        f->jobs_made++;
    }
    f->jobs_out++;
    memset(c, 0, offsetof(chunk_job, chunk));
    c->run = r;
    c->index = index;
    c->round = r->f.outgoing ? r->up.round : r->down.round;
    return c;
}

/* What a chunk held may be plaintext: it does not stay. */
void chunk_free(engine *e, chunk_job *c)
{
    files *f = e->files;
    f->jobs_out--;
    if (f->jobs_made > FILES_SPARE_MAX || f->closing) {
        sodium_memzero(c->chunk, sizeof c->chunk);
        free(c);
        f->jobs_made--;
        return;
    }
    c->next = f->spare;
    f->spare = c;
}

bool file_give(engine *e, file_run *r, worker_name to, job *j, void (*run)(job *), void (*done)(void *, job *))
{
    j->run = run;
    j->done = done;
    if (e->files->closing || workers_give(e->files->workers, to, j) != TACET_OK)
        return false;
    r->jobs++;
    return true;
}

bool chunk_give(engine *e, worker_name to, chunk_job *c, void (*run)(job *), void (*done)(void *, job *))
{
    bool given = file_give(e, c->run, to, &c->job, run, done);
    if (!given)
        chunk_free(e, c);
    return given;
}

bool file_back(engine *e, file_run *r)
{
    r->jobs--;
    return !r->ended && !e->files->closing;
}

/* --- runs ------------------------------------------------------------------------------------------------------------------------------------ */
file_run *file_run_find(const engine *e, int64_t row)
{
    file_run *r = e->files->runs;
    while (r && (r->f.row != row || r->ended))
        r = r->next;
    return r;
}

static void run_free(engine *e, file_run *r)
{
    place_leave(e, r);
    chunk_list_drop(e, &r->sealed);
    chunk_list_drop(e, &r->ready);
    file_source_close(r->source);
    file_target_close(r->target);
    upload_free(&r->up);
    download_free(&r->down);
    file_cipher_free(r->cipher, e->arena);
    sodium_memzero(&r->f, sizeof r->f);
    free(r);
}

void file_run_end(engine *e, file_run *r)
{
    if (r->f.outgoing)
        upload_halt(e, r);
    else
        download_halt(e, r);
    r->ended = true;
}

static void sweep(engine *e)
{
    for (file_run **at = &e->files->runs; *at;) {
        file_run *r = *at;
        if (r->ended && r->jobs == 0) {
            *at = r->next;
            run_free(e, r);
            e->files->started = e->files->started && !e->files->left; /* there is room for another */
            e->files_due_ms = 0;
        } else {
            at = &r->next;
        }
    }
}

static int run_open(engine *e, file_run *r)
{
    file_keys k = { .chunks = r->f.chunks };
    memcpy(k.blob, r->f.blob, sizeof k.blob);
    memcpy(k.key, r->f.key, sizeof k.key);
    memcpy(k.salt, r->f.salt, sizeof k.salt);
    memcpy(k.commitment, r->f.commitment, sizeof k.commitment);
    int rc = file_cipher_new(&r->cipher, e->arena, &k);
    sodium_memzero(&k, sizeof k);
    if (rc == TACET_OK)
        rc = r->f.outgoing ? upload_begin(e, r) : download_begin(e, r);
    return rc;
}

int file_run_start(engine *e, int64_t row)
{
    if (file_run_find(e, row))
        return TACET_OK;
    file_run *r = calloc(1, sizeof *r);
    if (!r)
        return TACET_E_NOMEM;
    r->slot = ENGINE_SLOTS_MAX;
    r->cache_at = UINT32_MAX;
    int rc = vault_file_get(e->vault, row, &r->f);
    if (rc == TACET_OK)
        rc = run_open(e, r);
    if (rc < 0) {
        run_free(e, r);
        e->files->started = false; /* it stands in the vault: tried again */
        return rc;
    }
    file_run **at = &e->files->runs; /* in order of their beginning */
    while (*at)
        at = &(*at)->next;
    *at = r;
    r->rate_have = r->told_have = r->f.have;
    r->rate_ms = mono_ms(e);
    e->files_due_ms = 0;
    if (rc != TACET_OK)
        file_trouble(e, r, rc == TACET_E_FORGED ? TROUBLE_COMMITMENT : TROUBLE_RELAY_REFUSED);
    return TACET_OK;
}

/* --- trouble ------------------------------------------------------------------------------------------------------------------------------------ */
sentence file_sentence(trouble t)
{
    static const sentence row[TROUBLE_COUNT] = {
        [TROUBLE_NONE] = SAY_FILE_NONE,
        [TROUBLE_SOURCE_CHANGED] = SAY_FILE_CHANGED,
        [TROUBLE_SOURCE_GONE] = SAY_FILE_GONE,
        [TROUBLE_SOURCE_IO] = SAY_FILE_UNREADABLE,
        [TROUBLE_DISK_FULL] = SAY_FILE_DISK_FULL,
        [TROUBLE_TARGET_IO] = SAY_FILE_UNWRITABLE,
        [TROUBLE_TARGET_GONE] = SAY_FILE_FOLDER,
        [TROUBLE_PART_CHANGED] = SAY_FILE_PART,
        [TROUBLE_RELAY_QUOTA] = SAY_FILE_QUOTA,
        [TROUBLE_RELAY_REFUSED] = SAY_FILE_REFUSED,
        [TROUBLE_RELAY_GONE] = SAY_FILE_NOT_THERE,
        [TROUBLE_CHUNKS_DAMAGED] = SAY_FILE_DAMAGED,
        [TROUBLE_ROOT] = SAY_FILE_ROOT,
        [TROUBLE_MANIFEST] = SAY_FILE_MANIFEST,
        [TROUBLE_COMMITMENT] = SAY_FILE_COMMITMENT,
        [TROUBLE_WITHDRAWN] = SAY_FILE_WITHDRAWN,
        [TROUBLE_UNWANTED] = SAY_FILE_UNWANTED,
        [TROUBLE_EXPIRED] = SAY_FILE_EXPIRED,
    };
    return row[(size_t)t < TROUBLE_COUNT ? (size_t)t : TROUBLE_TARGET_IO];
}

static bool name_error(void *ctx, const vault_message *m)
{
    json_object_set_new(ctx, "id", json_hex(m->id, sizeof m->id));
    return true;
}

/* One error event for each message that the file belongs to: whoever waits for it knows it by its id. */
static int say_error(engine *e, const vault_file *f, trouble bad)
{
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    size_t count = 0;
    engine_error why;
    sentence_fill(&why, file_sentence(bad), f->name, NULL, NULL);
    int rc = vault_file_links(e->vault, f->row, link, VAULT_FILE_LINKS_MAX, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        vault_contact c;
        json_t *event = json_error(&why);
        json_object_set_new(event, "conversation", json_string(vault_contact_get(e->vault, link[i].contact, &c) == TACET_OK ? c.alias : ""));
        rc = vault_message_each_row(e->vault, link[i].message, name_error, event);
        emit(e, event);
    }
    return rc;
}

static int give_up(engine *e, file_run *r, trouble bad)
{
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    size_t count = 0;
    r->f.state = VAULT_FILE_FAILED;
    r->f.trouble = bad;
    int rc = vault_file_update(e->vault, &r->f);
    if (rc == TACET_OK)
        rc = vault_file_links(e->vault, r->f.row, link, VAULT_FILE_LINKS_MAX, &count);
    for (size_t i = 0; rc == TACET_OK && r->f.outgoing && i < count; i++) {
        rc = file_cancel_say(e, &r->f, &link[i]); /* they need not wait for what will never be complete */
        if (rc == TACET_OK)
            rc = message_raise(e, link[i].message, VAULT_FAILED);
    }
    if (rc == TACET_OK && r->f.outgoing)
        rc = file_drop_blob(e, r->f.blob);
    return rc == TACET_OK ? vault_file_forget_data(e->vault, r->f.row) : rc;
}

static int note_trouble(engine *e, file_run *r, trouble bad, bool over)
{
    int rc = txn_begin(e);
    if (rc != TACET_OK)
        return rc;
    r->f.trouble = bad;
    rc = over ? give_up(e, r, bad) : vault_file_update(e->vault, &r->f);
    if (rc == TACET_OK)
        rc = say_error(e, &r->f, bad);
    if (rc == TACET_OK)
        rc = file_tell(e, r->f.row);
    return txn_end(e, rc);
}

void file_trouble(engine *e, file_run *r, trouble bad)
{
    bool over = trouble_class_of(bad) == TROUBLE_FATAL, news = r->f.trouble != bad;
    r->bad = bad;
    r->retry_at_ms = trouble_class_of(bad) == TROUBLE_RETRY ? mono_ms(e) + trouble_retry_ms(bad) : UINT64_MAX;
    if (r->f.outgoing)
        (void)upload_step(&r->up, UPLOAD_TROUBLE);
    else
        (void)download_step(&r->down, DOWNLOAD_TROUBLE);
    int rc = over || news ? note_trouble(e, r, bad, over) : TACET_OK;
    if (rc == TACET_E_FULL) { /* the vault's own disk: nothing could be noted, it is tried again as a whole */
        r->bad = TROUBLE_DISK_FULL;
        r->retry_at_ms = mono_ms(e) + trouble_retry_ms(TROUBLE_DISK_FULL);
        over = false;
        rc = r->full_told ? TACET_OK : say_error(e, &r->f, TROUBLE_DISK_FULL);
        r->full_told = true;
        if (rc != TACET_OK)
            engine_fail(e, rc);
    } else if (rc != TACET_OK) {
        engine_fail(e, rc);
    }
    if (over) {
        file_run_end(e, r);
        e->files->leftovers = true;
    } else if (r->f.outgoing) {
        upload_halt(e, r);
    } else {
        download_halt(e, r);
    }
    e->woken = true;
}

/* --- what wakes them ------------------------------------------------------------------------------------------------------------------------------ */
static void resume_when_due(engine *e, file_run *r)
{
    if (!r->bad || mono_ms(e) < r->retry_at_ms)
        return;
    r->bad = TROUBLE_NONE;
    if (r->f.outgoing)
        (void)upload_step(&r->up, UPLOAD_RESUME);
    else
        (void)download_step(&r->down, DOWNLOAD_RESUME);
}

static void tell_progress(engine *e, file_run *r)
{
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    size_t count = 0;
    uint32_t have = r->f.outgoing ? r->up.safe.set : r->down.have.set;
    uint64_t now = mono_ms(e), since = now - r->rate_ms;
    if (have == r->told_have || now < r->told_ms + FILES_TELL_MS)
        return;
    if (since >= FILES_TELL_MS) {
        uint64_t rate = have > r->rate_have ? (uint64_t)(have - r->rate_have) * TACET_CHUNK_PLAIN_BYTES * 1000 / since : 0;
        r->rate = r->rate ? (3 * r->rate + rate) / 4 : rate;
        r->rate_ms = now;
        r->rate_have = have;
    }
    r->told_ms = now;
    r->told_have = have;
    if (!e->event || vault_file_links(e->vault, r->f.row, link, VAULT_FILE_LINKS_MAX, &count) != TACET_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        json_t *o = json_event("progress");
        if (vault_message_each_row(e->vault, link[i].message, name_error, o) != TACET_OK) {
            json_decref(o);
            continue;
        }
        json_object_set_new(o, "have", json_integer(have));
        json_object_set_new(o, "of", json_integer(r->f.chunks));
        json_object_set_new(o, "bytes_per_s", json_integer((json_int_t)r->rate));
        emit(e, o);
    }
}

void files_pump(engine *e)
{
    unsigned active = 0;
    files *f = e->files;
    if (!f || e->me.stage != ACCOUNT_REGISTERED)
        return;
    if (e->offline) { /* what is over leaves nothing behind all the same */
        sweep(e);
        files_leftovers(e);
        return;
    }
    if (!f->started && mono_ms(e) >= f->begin_at_ms)
        f->started = files_begin(e);
    for (file_run *r = f->runs; r; r = r->next)
        if (!r->ended)
            resume_when_due(e, r);
    places_links(e);
    places_turn(e);
    for (file_run *r = f->runs; r; r = r->next) {
        if (r->ended || r->bad)
            continue;
        if (r->f.outgoing && active++ < FILES_ACTIVE_MAX)
            upload_pump(e, r);
        else if (!r->f.outgoing && place_has(e, r))
            download_pump(e, r);
        tell_progress(e, r);
    }
    files_drops_pump(e);
    sweep(e);
    files_leftovers(e);
}

uint64_t files_deadline(const engine *e)
{
    uint64_t at = UINT64_MAX, mono = mono_ms(e);
    if (!e->files || e->me.stage != ACCOUNT_REGISTERED || e->offline)
        return at;
    at = e->files->turn_at_ms;
    if (!e->files->started && e->files->begin_at_ms < at)
        at = e->files->begin_at_ms > mono ? e->files->begin_at_ms : mono;
    for (const file_run *r = e->files->runs; r; r = r->next) {
        if (r->ended)
            continue;
        uint64_t mine = r->bad ? r->retry_at_ms : r->watch_at_ms > mono ? r->watch_at_ms : UINT64_MAX;
        uint64_t stall = r->came_ms + FILES_STALL_MS > mono ? r->came_ms + FILES_STALL_MS : mono + 1000; /* overdue: others come first */
        if (!r->bad && !r->f.outgoing && stall < mine && download_gap(r))
            mine = stall;
        bool moves = (r->f.outgoing ? r->up.safe.set : r->down.have.set) != r->told_have;
        if (!r->bad && moves && r->told_ms + FILES_TELL_MS < mine)
            mine = r->told_ms + FILES_TELL_MS > mono ? r->told_ms + FILES_TELL_MS : mono;
        at = mine < at ? mine : at;
    }
    return e->files_due_ms < at ? e->files_due_ms : at;
}

void files_slot_down(engine *e, size_t slot)
{
    const relay_slot *s = &e->slots[slot];
    for (file_run *r = e->files ? e->files->runs : NULL; r; r = r->next) {
        if (r->ended)
            continue;
        if (r->f.outgoing && slot == e->mailbox) {
            (void)upload_step(&r->up, UPLOAD_LINK_DOWN);
            upload_halt(e, r);
        } else if (!r->f.outgoing && slot == r->slot) {
            download_link_down(r);
            if (s->failed)
                r->failures = s->failures;
            if (s->failed && !place_has(e, r) && r->watch_at_ms < s->retry_at_ms)
                r->watch_at_ms = s->retry_at_ms;
            e->files_due_ms = 0;
        }
    }
}

void files_relay_back(engine *e, const char *relay_text)
{
    for (file_run *r = e->files ? e->files->runs : NULL; r; r = r->next)
        if (r->failures && strcmp(r->relay, relay_text) == 0) {
            r->failures = 0;
            r->watch_at_ms = 0;
        }
}

bool files_need_slot(const engine *e, size_t slot)
{
    for (const file_run *r = e->files ? e->files->runs : NULL; r; r = r->next)
        if (r->slot == slot && place_wants_link(e, r))
            return true;
    return false;
}

void files_event(engine *e, size_t slot, const frame *f)
{
    const view *blob = f->kind == FRAME_CHUNK ? &f->chunk.blob : &f->blob_gone.blob;
    for (file_run *r = e->files ? e->files->runs : NULL; r; r = r->next)
        if (!r->ended && !r->f.outgoing && r->slot == slot && memcmp(r->f.blob, blob->at, sizeof r->f.blob) == 0) {
            download_came(e, r, f);
            return;
        }
}

int files_again(engine *e)
{
    int64_t row = 0;
    size_t count = 0;
    int rc = TACET_OK;
    while (rc == TACET_OK && (rc = vault_file_rows(e->vault, VAULT_FILE_STORED, row, &row, 1, &count)) == TACET_OK && count > 0) {
        vault_file f;
        rc = vault_file_get(e->vault, row, &f);
        f.state = VAULT_FILE_RUNNING;
        if (rc == TACET_OK)
            rc = vault_file_update(e->vault, &f);
    }
    e->files->started = false;
    return rc;
}

void files_orphaned(engine *e)
{
    for (file_run *r = e->files->runs; r; r = r->next) {
        vault_file_link link;
        size_t count = 0;
        if (!r->ended && vault_file_links(e->vault, r->f.row, &link, 1, &count) == TACET_OK && count == 0)
            file_run_end(e, r); /* the row goes at the next start */
    }
    e->files->leftovers = true;
}

bool files_busy(const engine *e)
{
    if (e->files && !e->files->started && mono_ms(e) >= e->files->begin_at_ms)
        return true; /* something may have been offered that is not looked at yet */
    if (e->files && (e->files->telling || e->files->drops))
        return true;
    for (const file_run *r = e->files ? e->files->runs : NULL; r; r = r->next)
        if (!r->ended && !r->bad && !r->f.outgoing && r->f.has_root && !r->failures)
            return true;
    return false;
}

/* --- beginning and end ------------------------------------------------------------------------------------------------------------------------------ */
/* Cut short only where the vault could not have been opened either. */
static void vault_folder(const engine *e, char out[VAULT_FILE_PATH_ROOM])
{
    const char *slash = strrchr(e->vault_path, '/');
    size_t n = !slash ? 1 : slash == e->vault_path ? 1 : (size_t)(slash - e->vault_path);
    (void)snprintf(out, VAULT_FILE_PATH_ROOM, "%.*s", (int)n, slash ? e->vault_path : ".");
}

int files_open(engine *e)
{
    files *f = calloc(1, sizeof *f);
    if (!f)
        return TACET_E_NOMEM;
    e->files = f;
    f->turn_at_ms = UINT64_MAX;
    f->drops = f->leftovers = true;
    vault_folder(e, f->vault_folder);
    files_leftovers(e); /* before their rows go */
    int rc = workers_new(&f->workers, e);
    if (rc == TACET_OK)
        rc = vault_begin(e->vault);
    if (rc == TACET_OK) {
        rc = vault_file_forget_orphans(e->vault); /* content that was handed over and never sent; files of conversations that are gone */
        if (rc == TACET_OK)
            rc = vault_commit(e->vault);
        else
            vault_rollback(e->vault);
    }
    if (rc == TACET_E_FULL || rc == TACET_E_READONLY)
        rc = TACET_OK; /* another time */
    return rc == TACET_OK ? files_settings_load(e) : rc;
}

void files_close(engine *e)
{
    files *f = e->files;
    if (!f)
        return;
    f->closing = true;
    workers_free(f->workers);
    f->workers = NULL;
    for (file_run *r = f->runs; r; r = r->next)
        r->ended = true;
    sweep(e);
    while (f->spare) {
        chunk_job *c = f->spare;
        f->spare = c->next;
        sodium_memzero(c->chunk, sizeof c->chunk);
        free(c);
    }
    free(f);
    e->files = NULL;
}

int files_fd(const engine *e) { return e->files && e->files->workers ? workers_fd(e->files->workers) : -1; }

void files_take(engine *e)
{
    if (e->files && e->files->workers)
        workers_take(e->files->workers);
}
