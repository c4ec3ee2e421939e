/* server/gate.c: see gate.h. Which message may come in which state of a slot is one table; an empty cell refuses. */
#include "server/gate.h"
#include "base/reader.h"
#include "base/writer.h"
#include "server/limits.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

typedef enum {
    SLOT_EMPTY,
    SLOT_OPENED,  /* waits for the first handshake message */
    SLOT_WORKING, /* a thread has its handshake */
    SLOT_WAITING, /* for the last handshake message */
    SLOT_LOGIN,   /* the core asks the store whose key it is */
    SLOT_OPEN,
    SLOT_CLOSING, /* CLOSE was said, CLOSED not yet heard */
    SLOT_STATES
} slot_state;

/* While a handshake goes on: its object between two messages, its keys until the core is ready. */
typedef struct {
    handshake *noise;
    handshake_keys keys;
} greeting;

typedef struct {
    uint32_t generation;
    uint8_t state, role;
    conn_ref ref;
    uint64_t address;
    greeting *greeting;
} slot;

typedef struct {
    slot *slot;
    uint32_t slots; /* grows up to RELAY_SLOTS_MAX */
    uint32_t epoch; /* how many processes had this number before */
    bool ready;
    uint32_t facts;
    uint64_t net[IPC_COUNTERS_COUNT], before[IPC_COUNTERS_COUNT]; /* before: of its dead predecessors */
} worker_state;

struct gate {
    gate_ports ports;
    core *core;
    const uint8_t *static_secret;
    limiter *limiter;
    limiter_rate rate;
    bool stopping;
    uint32_t in_pool;
    gate_counters n;
    uint32_t workers;
    worker_state worker[RELAY_WORKERS_MAX];
};

int gate_new(gate **out, uint32_t workers, const uint8_t *static_secret, const uint8_t salt[16], limiter_rate handshakes, const gate_ports *ports)
{
    gate *g = calloc(1, sizeof *g);
    if (!g)
        return TACET_E_NOMEM;
    int rc = limiter_new(&g->limiter, RELAY_LIMITER_ENTRIES, salt);
    if (rc != TACET_OK) {
        free(g);
        return rc;
    }
    g->ports = *ports;
    g->workers = workers < RELAY_WORKERS_MAX ? workers : RELAY_WORKERS_MAX;
    g->static_secret = static_secret;
    g->rate = handshakes;
    *out = g;
    return TACET_OK;
}

static void greeting_free(gate *g, slot *s)
{
    if (!s->greeting)
        return;
    handshake_free(s->greeting->noise);
    sodium_memzero(s->greeting, sizeof *s->greeting);
    free(s->greeting);
    s->greeting = NULL;
    g->n.handshakes_pending--;
}

gate *gate_free(gate *g)
{
    if (!g)
        return NULL;
    for (uint32_t w = 0; w < g->workers; w++) {
        for (uint32_t i = 0; i < g->worker[w].slots; i++)
            greeting_free(g, &g->worker[w].slot[i]);
        free(g->worker[w].slot);
    }
    limiter_free(g->limiter);
    free(g);
    return NULL;
}

void gate_configure(gate *g, limiter_rate handshakes) { g->rate = handshakes; }
void gate_set_core(gate *g, core *c) { g->core = c; }
void gate_stop(gate *g) { g->stopping = true; }

/* The slot as it is, or NULL: not there. */
static slot *slot_at(gate *g, uint32_t worker, uint32_t at) { return at < g->worker[worker].slots ? &g->worker[worker].slot[at] : NULL; }

static slot *slot_grow(worker_state *w, uint32_t at)
{
    uint32_t slots = w->slots ? w->slots : 64;
    while (slots <= at)
        slots *= 2;
    slot *bigger = calloc(slots, sizeof *bigger);
    if (!bigger)
        return NULL;
    if (w->slot)
        memcpy(bigger, w->slot, w->slots * sizeof *bigger);
    free(w->slot);
    w->slot = bigger;
    w->slots = slots;
    return &w->slot[at];
}

/* The slot of a connection that store itself still holds for live. */
static slot *slot_live(gate *g, core_peer p)
{
    slot *s = slot_at(g, p.worker, p.slot);
    return s && s->generation == p.generation && s->state != SLOT_EMPTY && s->state != SLOT_CLOSING ? s : NULL;
}

static void say(gate *g, uint32_t worker, uint32_t at, const slot *s, ipc_type type, const void *payload, size_t bytes)
{
    ipc_queue *q = g->ports.queue(g->ports.ctx, worker);
    if (q && ipc_put_copy(q, type, at, s->generation, payload, bytes) != TACET_OK)
        g->n.queue_overflows++; /* 32 MiB unread, and not even this fits: net ends what it hears no more of by its own deadlines */
}

static void slot_close(gate *g, uint32_t worker, uint32_t at, slot *s, bool flush)
{
    uint8_t payload = flush;
    if (s->state == SLOT_CLOSING || s->state == SLOT_EMPTY)
        return;
    greeting_free(g, s); /* what a thread of the pool has is its own */
    s->state = SLOT_CLOSING;
    say(g, worker, at, s, IPC_CLOSE, &payload, 1);
}

/* --- what the core asks ---------------------------------------------------------------------------------------------------------------- */
void gate_ready(void *gate_, core_peer to)
{
    gate *g = gate_;
    slot *s = slot_live(g, to);
    uint8_t keys[64];
    if (!s || s->state != SLOT_LOGIN)
        return;
    memcpy(keys, s->greeting->keys.send, 32);
    memcpy(keys + 32, s->greeting->keys.receive, 32);
    s->state = SLOT_OPEN;
    say(g, to.worker, to.slot, s, IPC_KEYS, keys, sizeof keys);
    sodium_memzero(keys, sizeof keys);
    greeting_free(g, s);
}

static void say_frames(gate *g, ipc_type how, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies)
{
    slot *s = slot_live(g, to);
    ipc_queue *q = s && s->state == SLOT_OPEN ? g->ports.queue(g->ports.ctx, to.worker) : NULL;
    if (!q)
        return;
    uint8_t *room = ipc_put(q, how, to.slot, s->generation, 2 + bytes);
    if (!room) { /* a frame that is lost loses its connection */
        g->n.queue_overflows++;
        slot_close(g, to.worker, to.slot, s, false);
        return;
    }
    writer w = writer_over(room, 2 + bytes);
    write_be(&w, replies, 2);
    write_bytes(&w, stream, bytes);
}

void gate_out(void *gate_, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies)
{
    say_frames(gate_, IPC_FRAME_OUT, to, stream, bytes, replies);
}

void gate_later(void *gate_, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies)
{
    say_frames(gate_, IPC_FRAME_LATER, to, stream, bytes, replies);
}

void gate_close(void *gate_, core_peer to, bool flush)
{
    gate *g = gate_;
    slot *s = slot_live(g, to);
    if (s)
        slot_close(g, to.worker, to.slot, s, flush);
}

/* --- handshakes ------------------------------------------------------------------------------------------------------------------------ */
void handshake_work_free(handshake_work *w)
{
    if (!w)
        return;
    handshake_free(w->noise);
    sodium_memzero(w, sizeof *w);
    free(w);
}

static int responder_new(handshake_work *w)
{
    uint8_t prologue[TACET_PREAMBLE_BYTES];
    preamble_encode(prologue, TACET_WIRE_VERSION, w->role);
    handshake_pattern pattern = w->role == TACET_ROLE_MAILBOX ? HANDSHAKE_XKHFS : HANDSHAKE_NKHFS;
    return handshake_responder_new(&w->noise, pattern, env_system(), prologue, sizeof prologue, w->static_secret);
}

void handshake_run(work *work_)
{
    handshake_work *w = (handshake_work *)work_;
    w->status = w->noise ? TACET_OK : responder_new(w);
    if (w->status == TACET_OK)
        w->status = handshake_read(w->noise, w->in, w->in_bytes);
    if (w->status == TACET_OK && handshake_next(w->noise) == HANDSHAKE_SEND) {
        w->out_bytes = handshake_message_bytes(w->noise);
        w->status = w->out_bytes <= sizeof w->out ? handshake_write(w->noise, w->out) : TACET_E_BUG;
    }
    if (w->status == TACET_OK && handshake_next(w->noise) == HANDSHAKE_DONE) {
        w->status = handshake_split(w->noise, &w->keys);
        w->finished = w->status == TACET_OK;
    }
}

/* Hands one message to the pool, with the object so far. A message that is too long, or one handshake too many, closes the connection. */
static void greet(gate *g, uint32_t worker, uint32_t at, slot *s, tacet_role role, const uint8_t *bytes, size_t n)
{
    handshake_work *w = n <= sizeof w->in ? calloc(1, sizeof *w) : NULL;
    bool room = g->n.handshakes_pending < RELAY_HANDSHAKES_PENDING_MAX && g->in_pool < RELAY_HANDSHAKES_PENDING_MAX;
    if (!s->greeting && room && (s->greeting = calloc(1, sizeof *s->greeting)))
        g->n.handshakes_pending++;
    if (!w || !s->greeting) {
        free(w);
        slot_close(g, worker, at, s, false);
        return;
    }
    *w = (handshake_work){ .work.run = handshake_run,
                           .worker = worker,
                           .epoch = g->worker[worker].epoch,
                           .slot = at,
                           .generation = s->generation,
                           .static_secret = g->static_secret,
                           .role = role,
                           .noise = s->greeting->noise,
                           .in_bytes = n };
    memcpy(w->in, bytes, n);
    s->greeting->noise = NULL;
    s->role = (uint8_t)role;
    s->state = SLOT_WORKING;
    g->in_pool++;
    g->ports.handshake(g->ports.ctx, w);
}

static void greeted(gate *g, handshake_work *w, slot *s)
{
    if (w->out_bytes)
        say(g, w->worker, w->slot, s, IPC_HANDSHAKE_OUT, w->out, w->out_bytes);
    if (!w->finished) {
        s->greeting->noise = w->noise;
        w->noise = NULL;
        s->state = SLOT_WAITING;
        return;
    }
    g->n.handshakes++;
    s->greeting->keys = w->keys;
    s->state = SLOT_LOGIN;
    core_peer peer = { w->worker, w->slot, w->generation };
    const uint8_t *tk = w->role == TACET_ROLE_MAILBOX ? w->keys.remote_static : NULL;
    if (core_open(g->core, peer, w->role, tk, w->keys.hash, s->address, &s->ref) != TACET_OK)
        slot_close(g, w->worker, w->slot, s, false);
}

/* The slot may have been closed, or even be another's by now: then the result is nobody's. */
void gate_handshake_done(gate *g, handshake_work *w)
{
    slot *s = g->worker[w->worker].epoch == w->epoch ? slot_at(g, w->worker, w->slot) : NULL;
    g->in_pool--;
    if (s && s->generation == w->generation && s->state == SLOT_WORKING) {
        if (w->status == TACET_OK && !g->stopping) {
            greeted(g, w, s);
        } else {
            g->n.handshakes_failed++;
            slot_close(g, w->worker, w->slot, s, false);
        }
    }
    handshake_work_free(w);
}

/* --- messages -------------------------------------------------------------------------------------------------------------------------- */
static int on_handshake(gate *g, uint32_t worker, slot *s, const ipc_message *m)
{
    uint8_t role = m->payload[0];
    bool first = s->state == SLOT_OPENED;
    if (first && !limiter_take(g->limiter, s->address, g->rate, g->ports.mono_ms(g->ports.ctx))) {
        g->n.handshakes_limited++;
        slot_close(g, worker, m->slot, s, false);
        return TACET_OK;
    }
    if (g->stopping || (role != TACET_ROLE_MAILBOX && role != TACET_ROLE_OPEN) || (!first && role != s->role)) {
        slot_close(g, worker, m->slot, s, false);
        return TACET_OK;
    }
    greet(g, worker, m->slot, s, (tacet_role)role, m->payload + 1, m->bytes - 1);
    return TACET_OK;
}

static int on_frame(gate *g, uint32_t worker, slot *s, const ipc_message *m)
{
    (void)worker;
    core_frame(g->core, s->ref, m->payload, m->bytes);
    return TACET_OK;
}

static int on_drained(gate *g, uint32_t worker, slot *s, const ipc_message *m)
{
    reader r = reader_over(m->payload, m->bytes);
    (void)worker;
    core_drained(g->core, s->ref, (uint32_t)read_be(&r, 4));
    return TACET_OK;
}

static int on_closed(gate *g, uint32_t worker, slot *s, const ipc_message *m)
{
    (void)worker;
    if (m->payload[0] < IPC_REASONS)
        g->n.closed[m->payload[0]]++;
    core_closed(g->core, s->ref); /* knows by the reference whether there ever was one */
    s->ref = (conn_ref){ UINT32_MAX, 0 };
    greeting_free(g, s);
    s->state = SLOT_EMPTY;
    return TACET_OK;
}

static int ignored(gate *g, uint32_t worker, slot *s, const ipc_message *m)
{
    (void)g, (void)worker, (void)s, (void)m;
    return TACET_OK;
}

typedef int (*handler)(gate *g, uint32_t worker, slot *s, const ipc_message *m);
enum { LAST_TYPE = IPC_CLOSED };
static const handler handlers[SLOT_STATES][LAST_TYPE + 1] = {
    [SLOT_OPENED] = { [IPC_HANDSHAKE_IN] = on_handshake, [IPC_CLOSED] = on_closed },
    [SLOT_WORKING] = { [IPC_CLOSED] = on_closed },
    [SLOT_WAITING] = { [IPC_HANDSHAKE_IN] = on_handshake, [IPC_CLOSED] = on_closed },
    [SLOT_LOGIN] = { [IPC_CLOSED] = on_closed },
    [SLOT_OPEN] = { [IPC_FRAME_IN] = on_frame, [IPC_DRAINED] = on_drained, [IPC_CLOSED] = on_closed },
    /* our CLOSE and what net said before it read that cross on the way */
    [SLOT_CLOSING] = { [IPC_HANDSHAKE_IN] = ignored, [IPC_FRAME_IN] = ignored, [IPC_DRAINED] = ignored, [IPC_CLOSED] = on_closed },
};

static int on_opened(gate *g, uint32_t worker, const ipc_message *m)
{
    worker_state *w = &g->worker[worker];
    slot *s = slot_at(g, worker, m->slot);
    if (!s)
        s = slot_grow(w, m->slot);
    if (!s)
        return TACET_E_NOMEM;
    if (s->state != SLOT_EMPTY || m->generation <= s->generation)
        return TACET_E_REFUSED;
    reader r = reader_over(m->payload, m->bytes);
    *s = (slot){ .generation = m->generation, .state = SLOT_OPENED, .address = read_be(&r, 8), .ref = { UINT32_MAX, 0 } };
    return TACET_OK;
}

static int on_worker(gate *g, uint32_t worker, const ipc_message *m)
{
    worker_state *w = &g->worker[worker];
    reader r = reader_over(m->payload, m->bytes);
    if (m->type == IPC_READY) {
        if (w->ready)
            return TACET_E_REFUSED;
        w->ready = true;
        w->facts = (uint32_t)read_be(&r, 4);
        return TACET_OK;
    }
    for (size_t i = 0; i < IPC_COUNTERS_COUNT; i++)
        w->net[i] = read_be(&r, 8);
    return TACET_OK;
}

static int judge(gate *g, uint32_t worker, const ipc_message *m)
{
    if (m->type == IPC_READY)
        return on_worker(g, worker, m);
    if (!g->worker[worker].ready)
        return TACET_E_REFUSED; /* READY is the first thing that a net says */
    if (m->type == IPC_COUNTERS)
        return on_worker(g, worker, m);
    if (m->type == IPC_OPENED)
        return on_opened(g, worker, m);
    slot *s = slot_at(g, worker, m->slot);
    if (!s || s->generation != m->generation || (unsigned)m->type > LAST_TYPE || !handlers[s->state][m->type])
        return TACET_E_REFUSED;
    return handlers[s->state][m->type](g, worker, s, m);
}

int gate_message(gate *g, uint32_t worker, const ipc_message *m)
{
    int rc = judge(g, worker, m);
    g->n.messages_refused += rc == TACET_E_REFUSED;
    return rc;
}

void gate_worker_gone(gate *g, uint32_t worker)
{
    worker_state *w = &g->worker[worker];
    for (uint32_t i = 0; i < w->slots; i++) {
        slot *s = &w->slot[i];
        if (s->state == SLOT_EMPTY)
            continue;
        core_closed(g->core, s->ref);
        greeting_free(g, s);
    }
    if (w->slot)
        memset(w->slot, 0, w->slots * sizeof *w->slot);
    w->epoch++; /* what the pool still works on finds nobody */
    for (size_t i = 0; i < IPC_COUNTERS_COUNT; i++)
        w->before[i] += w->net[i], w->net[i] = 0;
    w->ready = false;
}

void gate_count(const gate *g, gate_counters *out)
{
    *out = g->n;
    memset(out->net, 0, sizeof out->net);
    for (uint32_t w = 0; w < g->workers; w++)
        for (size_t i = 0; i < IPC_COUNTERS_COUNT; i++)
            out->net[i] += g->worker[w].net[i] + g->worker[w].before[i];
}

bool gate_worker_ready(const gate *g, uint32_t worker, uint32_t *facts)
{
    *facts = g->worker[worker].facts;
    return g->worker[worker].ready;
}
