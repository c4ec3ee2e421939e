#include "world.h"
#include "server/relay_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t current_seed;

_Noreturn void sim_fail(const world *w, const char *what, ...)
{
    va_list args;
    va_start(args, what);
    fprintf(stderr, "seed %llu, at %llu ms: ", (unsigned long long)current_seed, (unsigned long long)(w ? w->now_ms : 0));
    vfprintf(stderr, what, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* ---- chance and time ---------------------------------------------------------------------------------------------------------------- */
uint64_t world_below(world *w, uint64_t limit)
{
    uint64_t v;
    env_random(&w->chance.env, (uint8_t *)&v, sizeof v);
    return v % limit;
}

static uint64_t client_now(void *ctx)
{
    const client *c = ctx;
    return (uint64_t)((int64_t)(UINT64_C(1800000000000) + c->of->now_ms) + c->skew_ms);
}
static uint64_t client_mono(void *ctx) { return ((const client *)ctx)->of->now_ms; }
static void client_random(void *ctx, uint8_t *out, size_t bytes) { env_random(&((client *)ctx)->chance.env, out, bytes); }

/* ---- the heap of what is going to happen ---------------------------------------------------------------------------------------------- */
static bool before(const event *a, const event *b) { return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order; }

static void swap(event **a, event **b)
{
    event *t = *a;
    *a = *b;
    *b = t;
}

void schedule(world *w, uint64_t at_ms, event e)
{
    if (w->count == w->room) {
        w->room = w->room ? 2 * w->room : 256;
        w->heap = realloc(w->heap, w->room * sizeof *w->heap);
    }
    event *n = malloc(sizeof *n);
    if (!n || !w->heap)
        sim_fail(w, "no memory");
    *n = e;
    n->at_ms = at_ms < w->now_ms ? w->now_ms : at_ms;
    n->order = w->order++;
    size_t i = w->count++;
    w->heap[i] = n;
    for (; i && before(w->heap[i], w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static event *next_event(world *w)
{
    event *top = w->heap[0];
    w->heap[0] = w->heap[--w->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < w->count; k++)
            if (before(w->heap[k], w->heap[least]))
                least = k;
        if (least == i)
            return top;
        swap(&w->heap[i], &w->heap[least]);
        i = least;
    }
}

void world_run(world *w, uint64_t until_ms, const bool *done)
{
    while (w->count && w->heap[0]->at_ms <= until_ms && !(done && *done)) {
        event *e = next_event(w);
        w->now_ms = e->at_ms;
        e->run(w, e);
        free(e->data);
        free(e);
    }
    if (!(done && *done) && w->now_ms < until_ms)
        w->now_ms = until_ms;
}

/* ---- files ---------------------------------------------------------------------------------------------------------------------------- */
static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static void copy_file(const world *w, const char *from, const char *to)
{
    static uint8_t buf[1 << 16];
    int in = open(from, O_RDONLY), out = -1;
    if (in < 0) {
        if (errno != ENOENT || (unlink(to) != 0 && errno != ENOENT))
            sim_fail(w, "%s: %s", from, strerror(errno));
        return;
    }
    out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (ssize_t n; (n = read(in, buf, sizeof buf)) > 0;)
        if (out < 0 || write(out, buf, (size_t)n) != n)
            sim_fail(w, "%s: %s", to, strerror(errno));
    close(in);
    close(out);
}

/* The files of a database as a dead process leaves them: what is committed lies in them, whatever the living one does afterwards. */
static void copy_database(const world *w, const char *from, const char *to)
{
    static const char *const tail[] = { "", "-wal" };
    for (size_t i = 0; i < 2; i++) {
        char a[160], b[160];
        snprintf(a, sizeof a, "%s%s", from, tail[i]);
        snprintf(b, sizeof b, "%s%s", to, tail[i]);
        copy_file(w, a, b);
    }
}

/* Closes in an orderly way, then puts back what a crash would have left. */
#define CRASH_DATABASE(w, path, close_it)                                                                                                            \
    do {                                                                                                                                             \
        char crashed[200];                                                                                                                           \
        snprintf(crashed, sizeof crashed, "%s.crash", (path));                                                                                       \
        copy_database((w), (path), crashed);                                                                                                         \
        close_it;                                                                                                                                    \
        copy_database((w), crashed, (path));                                                                                                         \
    } while (0)

/* ---- clients -------------------------------------------------------------------------------------------------------------------------- */
static void on_event(void *ctx, json_t *said)
{
    client *c = ctx;
    const char *what = json_string_value(json_object_get(said, "event"));
    if (what && strcmp(what, "gap") == 0)
        c->gaps++;
    if (what && strcmp(what, "quarantined") == 0)
        c->quarantined++;
}

static void vault_path(const client *c, char out[160]) { snprintf(out, 160, "%s/vault.db", c->dir); }

void client_start(client *c)
{
    char path[160];
    engine_network network = sim_network;
    engine_error error = { 0 };
    network.ctx = c;
    vault_path(c, path);
    engine_options o = { .vault_path = path, .database_key = c->key, .env = &c->env, .network = &network, .event = on_event, .event_ctx = c };
    c->tick_at = UINT64_MAX;
    if (engine_open(&c->e, &o, &error) != TACET_OK)
        sim_fail(c->of, "%s: engine_open: %s", c->name, error.message);
    client_turn(c);
}

static void drop_connections_of(world *w, const client *c)
{
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
        if (w->conn[i].used && w->conn[i].client == c->index)
            connection_drop(w, i, false, true);
}

void client_crash(client *c)
{
    char path[160];
    vault_path(c, path);
    c->life++;
    c->of->crashes++;
    CRASH_DATABASE(c->of, path, c->e = engine_close(c->e));
    drop_connections_of(c->of, c);
}

typedef struct {
    bool done;
    json_t *result;
} waiting;
static void call_done(void *ctx, json_t *result, const engine_error *error)
{
    waiting *t = ctx;
    if (error && getenv("SIM_VERBOSE"))
        fprintf(stderr, "call refused: %s\n", error->message);
    t->result = json_incref(result);
    t->done = true;
}

json_t *world_call(world *w, client *c, const char *method, json_t *params, uint64_t within_ms)
{
    waiting *t = calloc(1, sizeof *t);
    if (!t)
        sim_fail(w, "no memory");
    engine_call_async(c->e, method, params, call_done, t);
    json_decref(params);
    client_turn(c);
    world_run(w, w->now_ms + within_ms, &t->done);
    if (!t->done)
        sim_fail(w, "%s: %s: no answer within %llu ms", c->name, method, (unsigned long long)within_ms);
    json_t *result = t->result;
    free(t);
    return result;
}

/* ---- the relay -------------------------------------------------------------------------------------------------------------------------- */
static void waiting_mailbox(void *ctx, const relay_waiting *m)
{
    if (core_waiting(ctx, m) != TACET_OK)
        sim_fail(NULL, "core_waiting");
}

void relay_start(world *w)
{
    relay *r = &w->r;
    core_options o = { .config = core_config_default() };
    core_ports ports = sim_ports;
    uint64_t last = 0;
    ports.ctx = w;
    r->silent = false;
    r->tick_at = UINT64_MAX;
    r->group = NULL;
    if (relay_store_open(&r->store, r->dir, r->key) != TACET_OK || relay_reader_open(&r->reader, r->store) != TACET_OK)
        sim_fail(w, "the relay's store does not open");
    env_random(&w->chance.env, o.salt, sizeof o.salt);
    memcpy(o.relay_key, w->address.key, sizeof o.relay_key);
    memset(o.incarnation, 7, sizeof o.incarnation);
    uint64_t first = 0;
    if (core_new(&r->c, &o, &ports) != TACET_OK || relay_log_summary(r->store, &last, waiting_mailbox, r->c) != TACET_OK ||
        relay_numbers_reserve(r->store, last, &first) != TACET_OK)
        sim_fail(w, "the relay does not start");
    core_number_from(r->c, first);
    relay_turn(w);
}

static void finish_jobs(world *w);

void relay_crash(world *w)
{
    relay *r = &w->r;
    char path[160];
    r->life++;
    r->silent = true;
    w->crashes++;
    finish_jobs(w);
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
        if (w->conn[i].used)
            connection_drop(w, i, true, false);
    if (r->group)
        core_group_done(r->c, r->group, r->group_ran ? r->group_status : TACET_E_NOMEM);
    r->group = NULL;
    r->c = core_free(r->c);
    snprintf(path, sizeof path, "%s/%s", r->dir, relay_store_file);
    CRASH_DATABASE(w, path, {
        r->reader = relay_reader_close(r->reader);
        r->store = relay_store_close(r->store);
    });
}

/* Jobs that threads would hold come back, so that the dying core can free them. */
static void finish_jobs(world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        event *e = w->heap[i];
        if (e->pointer && e->run && e->life + 1 == w->r.life) {
            uint64_t before_jobs = w->r.verifying + w->r.reading;
            e->run(w, e);
            if (w->r.verifying + w->r.reading != before_jobs)
                e->pointer = NULL;
        }
    }
}

void cut_one(world *w)
{
    uint32_t i = (uint32_t)world_below(w, CONNECTIONS_MAX);
    for (uint32_t n = 0; n < CONNECTIONS_MAX; n++, i = (i + 1) % CONNECTIONS_MAX)
        if (w->conn[i].used) {
            w->cuts++;
            connection_drop(w, i, true, true);
            return;
        }
}

/* ---- the whole -------------------------------------------------------------------------------------------------------------------------- */
void world_open(world *w, uint64_t seed)
{
    static const char *const name[CLIENTS] = { "alice", "bob", "carol" };
    const char *root = getenv("TACET_SIM_DIR") ? getenv("TACET_SIM_DIR") : "/dev/shm";
    current_seed = seed;
    *w = (world){ .delay_max_ms = 40 };
    env_seeded_init(&w->chance, seed, UINT64_C(1800000000000));
    crypto_generichash_init(&w->trace, NULL, 0, 16);
    snprintf(w->dir, sizeof w->dir, "%s/tacet-sim.XXXXXX", root);
    if (!mkdtemp(w->dir))
        sim_fail(w, "%s: %s", w->dir, strerror(errno));
    snprintf(w->address.host, sizeof w->address.host, "relay.sim");
    w->address.port = 7450;
    dh_pair relay_pair;
    dh_pair_generate(&relay_pair, &w->chance.env);
    memcpy(w->address.key, relay_pair.public, 32);
    snprintf(w->r.dir, sizeof w->r.dir, "%s/relay", w->dir);
    env_random(&w->chance.env, w->r.key, sizeof w->r.key);
    if (mkdir(w->r.dir, 0700) != 0)
        sim_fail(w, "mkdir");
    relay_start(w);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        client *c = &w->clients[i];
        *c = (client){ .of = w, .index = i };
        c->env = (tacet_env){ c, client_now, client_mono, client_random };
        env_seeded_init(&c->chance, seed * CLIENTS + i + 1, 0);
        env_random(&c->chance.env, c->key, sizeof c->key);
        snprintf(c->name, sizeof c->name, "%s", name[i]);
        snprintf(c->dir, sizeof c->dir, "%s/%s", w->dir, name[i]);
        if (mkdir(c->dir, 0700) != 0)
            sim_fail(w, "mkdir");
        client_start(c);
    }
}

void world_close(world *w)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        w->clients[i].e = engine_close(w->clients[i].e);
    relay_crash(w);
    for (size_t i = 0; i < w->count; i++) {
        free(w->heap[i]->data);
        free(w->heap[i]);
    }
    free(w->heap);
    nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void world_trace(world *w, uint8_t out[16])
{
    crypto_generichash_state copy = w->trace;
    crypto_generichash_final(&copy, out, 16);
}
