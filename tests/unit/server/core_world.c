/* See core_world.h. */
#include "core_world.h"
#include <check.h>
#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST(expression) ck_assert_int_eq((expression), TACET_OK)

/* --- ports ---------------------------------------------------------------------------------------------------------------------------- */
static client *peer_of(world *w, core_peer p)
{
    ck_assert_uint_lt(p.slot, WORLD_CLIENTS);
    return &w->client[p.slot];
}

static void port_ready(void *ctx, core_peer to) { peer_of(ctx, to)->ready = true; }
static void port_close(void *ctx, core_peer to, bool flush)
{
    (void)flush;
    peer_of(ctx, to)->closed = true;
}

static void port_out(void *ctx, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies)
{
    client *k = peer_of(ctx, to);
    (void)replies;
    k->undrained += bytes;
    while (bytes) {
        ck_assert_uint_ge(bytes, 4);
        size_t n = (size_t)stream[0] << 24 | (size_t)stream[1] << 16 | (size_t)stream[2] << 8 | stream[3];
        ck_assert_uint_le(4 + n, bytes);
        ck_assert_uint_lt(k->got_count, WORLD_FRAMES);
        got_frame *g = &k->got[k->got_count++];
        g->bytes = n;
        g->body = malloc(n);
        memcpy(g->body, stream + 4, n);
        stream += 4 + n;
        bytes -= 4 + n;
    }
}

static void port_verify(void *ctx, request_job *r)
{
    world *w = ctx;
    ck_assert_uint_lt(w->verifies, 512);
    w->verify[w->verifies++] = r;
}

static void port_backlog(void *ctx, backlog_job *b)
{
    world *w = ctx;
    ck_assert_uint_lt(w->backlogs, WORLD_CLIENTS);
    w->backlog[w->backlogs++] = b;
}

static void port_chunks(void *ctx, chunk_work *c)
{
    world *w = ctx;
    ck_assert_uint_lt(w->chunk_works, 256);
    w->chunks[w->chunk_works++] = c;
}

/* --- the world ------------------------------------------------------------------------------------------------------------------------ */
static void each_waiting(void *ctx, const relay_waiting *waiting) { MUST(core_waiting(ctx, waiting)); }

void world_resume(world *w, const core_config *config)
{
    core_ports ports = { w, port_ready, port_out, port_close, port_verify, NULL, port_backlog, port_chunks };
    core_options o = { .config = config ? *config : core_config_default() };
    uint64_t last = 0, age = 0;
    memcpy(o.relay_key, w->relay_key, 32);
    MUST(relay_store_open(&w->store, w->dir, w->key));
    MUST(relay_reader_open(&w->reader, w->store));
    MUST(core_new(&w->core, &o, &ports));
    relay_blob_totals blobs;
    MUST(relay_blobs_total(w->store, &blobs));
    MUST(relay_segments_sweep(w->store));
    MUST(relay_segments_open(&w->segments, w->store));
    core_blobs_known(w->core, &blobs);
    MUST(relay_log_summary(w->store, &last, each_waiting, w->core));
    core_number_from(w->core, (last > w->last_row ? last : w->last_row) + 1000000);
    MUST(relay_age_load(w->store, &age));
    core_age_from(w->core, age);
    core_time(w->core, w->now_us, w->wall_ms);
}

world *world_new(const core_config *config)
{
    world *w = calloc(1, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/tacet-core.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w->dir));
    randombytes_buf(w->key, sizeof w->key);
    dh_pair pair;
    dh_pair_generate(&pair, env_system());
    memcpy(w->relay_key, pair.public, 32);
    w->now_us = 1000000;
    w->wall_ms = 1800000000000ull;
    world_resume(w, config);
    return w;
}

void client_forget(client *k)
{
    for (unsigned i = 0; i < k->got_count; i++)
        free(k->got[i].body);
    k->got_count = k->read = 0;
}

void world_halt(world *w)
{
    for (unsigned i = 0; i < w->verifies; i++)
        request_job_free(w->verify[i]);
    for (unsigned i = 0; i < w->backlogs; i++)
        free(w->backlog[i]);
    for (unsigned i = 0; i < w->chunk_works; i++)
        chunk_work_free(w->chunks[i]);
    w->verifies = w->backlogs = w->chunk_works = 0;
    if (w->group)
        world_done(w, TACET_E_NOMEM);
    core_free(w->core);
    w->segments = relay_segments_close(w->segments);
    relay_reader_close(w->reader);
    relay_store_close(w->store);
    for (unsigned i = 0; i < WORLD_CLIENTS; i++) {
        client_forget(&w->client[i]);
        w->client[i] = (client){ 0 };
    }
}

void world_crash(world *w, const core_config *config)
{
    world_halt(w);
    world_resume(w, config);
}

void world_free(world *w)
{
    world_halt(w);
    DIR *d = opendir(w->dir);
    for (struct dirent *e; (e = readdir(d));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", w->dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(w->dir);
    free(w);
}

void world_pass_us(world *w, uint64_t us)
{
    w->now_us += us;
    w->wall_ms += us / 1000;
    core_time(w->core, w->now_us, w->wall_ms);
    core_tick(w->core);
}

bool world_take(world *w)
{
    ck_assert_ptr_null(w->group);
    w->group = core_take_group(w->core);
    for (const job *j = w->group; j; j = j->next)
        if (j->kind == JOB_APPEND) { /* the one promise that the log needs */
            ck_assert_uint_gt(((const message *)j)->row, w->last_row);
            w->last_row = ((const message *)j)->row;
        }
    return w->group;
}

void world_done(world *w, int forced_status)
{
    job *list = w->group;
    w->group = NULL;
    if (forced_status == TACET_OK)
        MUST(committer_execute(w->store, list));
    for (job *j = list, *next; forced_status != TACET_OK && j; j = next) { /* what only reads is done all the same */
        next = j->next;
        j->next = NULL;
        if (!j->writes)
            MUST(committer_execute(w->store, j));
        j->next = next;
    }
    core_group_done(w->core, list, forced_status);
}

bool world_chunks_once(world *w)
{
    if (!w->chunk_works)
        return false;
    chunk_work *c = w->chunks[0];
    memmove(w->chunks, w->chunks + 1, --w->chunk_works * sizeof *w->chunks);
    c->segments = w->segments;
    c->work.run(&c->work);
    core_chunks_done(w->core, c);
    return true;
}

void world_chunks(world *w)
{
    while (world_chunks_once(w)) {
    }
}

void world_threads(world *w)
{
    if (!w->disk_waits)
        world_chunks(w);
    while (w->verifies || w->backlogs) {
        if (w->verifies) {
            request_job *r = w->verify[--w->verifies];
            directory_verify(r);
            core_verified(w->core, r);
        }
        if (w->backlogs) {
            backlog_job *b = w->backlog[--w->backlogs];
            backlog_read(b, w->reader);
            core_read_done(w->core, b);
        }
    }
}

void world_run(world *w)
{
    do {
        for (unsigned i = 0; i < WORLD_CLIENTS; i++)
            if (w->client[i].used && w->client[i].drains && w->client[i].undrained) {
                uint32_t n = (uint32_t)w->client[i].undrained;
                w->client[i].undrained = 0;
                core_drained(w->core, w->client[i].ref, n);
            }
        world_threads(w);
        core_tick(w->core);
        if (world_take(w))
            world_done(w, TACET_OK);
    } while (w->verifies || w->backlogs || (w->chunk_works && !w->disk_waits) || core_due_us(w->core) <= w->now_us);
}

/* --- clients -------------------------------------------------------------------------------------------------------------------------- */
client *client_open(world *w, unsigned role, const person *p, uint64_t address)
{
    uint32_t i = 0;
    while (i < WORLD_CLIENTS && w->client[i].used)
        i++;
    ck_assert_uint_lt(i, WORLD_CLIENTS);
    client *k = &w->client[i];
    *k = (client){ .used = true, .role = role, .next_id = 1, .drains = true };
    randombytes_buf(k->hash, sizeof k->hash);
    MUST(core_open(w->core, (core_peer){ 0, i, 1 }, role, p ? p->tk.public : NULL, k->hash, address, &k->ref));
    world_run(w);
    ck_assert(k->ready);
    return k;
}

void client_close(world *w, client *k)
{
    core_closed(w->core, k->ref);
    client_forget(k);
    *k = (client){ 0 };
}

uint32_t client_say(world *w, client *k, frame *f)
{
    static uint8_t bytes[TACET_FRAME_MAX_BYTES];
    size_t n;
    if (!f->id)
        f->id = k->next_id++;
    MUST(frame_encode(f, bytes, sizeof bytes, &n));
    core_frame(w->core, k->ref, bytes, n);
    return f->id;
}

bool client_hear(client *k, frame *out)
{
    if (k->read == k->got_count)
        return false;
    got_frame *g = &k->got[k->read++];
    MUST(frame_decode(out, g->body, g->bytes));
    return true;
}

void client_ask(world *w, client *k, frame *f, frame *reply)
{
    uint32_t id = client_say(w, k, f);
    world_run(w);
    while (client_hear(k, reply))
        if (reply->id == id)
            return;
    ck_abort_msg("no reply to %s", frame_kind_word(f->kind));
}

unsigned client_code(world *w, client *k, frame *f)
{
    static frame reply;
    client_ask(w, k, f, &reply);
    return reply.kind == FRAME_ERROR ? reply.error.code : 0;
}

unsigned client_events(client *k, frame_kind kind)
{
    static frame f;
    unsigned n = 0;
    while (client_hear(k, &f))
        n += f.kind == kind;
    return n;
}

/* --- people --------------------------------------------------------------------------------------------------------------------------- */
client *person_join(world *w, person *p)
{
    uint8_t proof[64], hash[32];
    client *k = client_open(w, TACET_ROLE_MAILBOX, p, 7);
    frame f = person_register(p, k->hash, proof);
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    token_hash(hash, p->token);
    f = tokens_of(TOKEN_DELIVERY, hash, NULL);
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    token_hash(hash, p->request_token);
    f = tokens_of(TOKEN_REQUEST, hash, NULL);
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    return k;
}

void person_publish(world *w, client *k, const person *p, unsigned one_time, unsigned kem)
{
    static uint8_t room[256][TACET_PREKEY_MAX_BYTES];
    static frame f;
    uint64_t now_s = w->wall_ms / 1000;
    memset(&f, 0, sizeof f);
    f.kind = FRAME_PUBLISH_PREKEYS;
    view_list *v = &f.publish_prekeys.prekeys;
    person_prekey(p, PREKEY_SIGNED, 1, now_s, room[v->count], &v->item[v->count]), v->count++;
    person_prekey(p, PREKEY_KEM_LAST_RESORT, 2, now_s, room[v->count], &v->item[v->count]), v->count++;
    for (unsigned i = 0; i < one_time; i++, v->count++)
        person_prekey(p, PREKEY_ONE_TIME, 100 + i, now_s, room[v->count], &v->item[v->count]);
    for (unsigned i = 0; i < kem; i++, v->count++)
        person_prekey(p, PREKEY_KEM_ONE_TIME, 1000 + i, now_s, room[v->count], &v->item[v->count]);
    static frame reply;
    client_ask(w, k, &f, &reply);
    ck_assert_int_eq(reply.kind, FRAME_PREKEY_COUNTS);
    ck_assert_uint_eq(reply.prekey_counts.one_time, one_time);
    ck_assert_uint_eq(reply.prekey_counts.kem, kem);
}

core_counters world_counters(const world *w)
{
    core_counters n;
    core_count(w->core, &n);
    return n;
}

unsigned client_oks(client *k)
{
    static frame reply;
    unsigned n = 0;
    while (client_hear(k, &reply))
        n += reply.kind == FRAME_OK;
    return n;
}
