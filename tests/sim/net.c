/* The wire between engines and the relay core: whole frames that arrive later, in order within a direction of a connection, or not at all. */
#include "base/reader.h"
#include "server/backlog.h"
#include "server/committer.h"
#include "world.h"
#include <stdlib.h>
#include <string.h>

static uint64_t delay(world *w) { return 1 + world_below(w, w->delay_max_ms); }

/* No earlier than what was sent before in that direction. */
static uint64_t arrival(world *w, uint64_t *last)
{
    uint64_t at = w->now_ms + delay(w);
    if (w->faults && world_below(w, 200) == 0)
        at += world_below(w, 8000); /* a clog */
    if (at <= *last)
        at = *last;
    return *last = at;
}

static void trace(world *w, uint8_t where, uint32_t index, const uint8_t *bytes, size_t n)
{
    uint8_t head[16];
    memcpy(head, &w->now_ms, 8);
    head[8] = where;
    memcpy(head + 12, &index, 4);
    memset(head + 9, 0, 3);
    crypto_generichash_update(&w->trace, head, sizeof head);
    crypto_generichash_update(&w->trace, bytes, n);
    w->frames++;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    if (!p)
        sim_fail(NULL, "no memory");
    memcpy(p, bytes, n);
    return p;
}

/* The connection that an event is about, if it is still that one. */
static connection *still(world *w, const event *e)
{
    connection *n = &w->conn[e->index];
    return n->used && n->generation == e->generation ? n : NULL;
}

static client *client_of(world *w, const connection *n)
{
    client *c = &w->clients[n->client];
    return c->e && c->life == n->life ? c : NULL;
}

/* ---- the engine's side ------------------------------------------------------------------------------------------------------------------ */
static void down_event(world *w, event *e)
{
    client *c = &w->clients[e->index];
    if (!c->e || c->life != e->life)
        return;
    uint64_t link;
    memcpy(&link, e->data, sizeof link);
    engine_link_down(c->e, link, (link_reason)e->generation);
    client_turn(c);
}

static void tell_down(world *w, uint32_t index, uint32_t life, uint64_t link, link_reason why)
{
    schedule(w, w->now_ms + delay(w),
             (event){ .run = down_event, .index = index, .life = life, .generation = why, .data = copy_of((uint8_t *)&link, sizeof link) });
}

static void closed_event(world *w, event *e)
{
    if (e->life != w->r.life || !w->r.c)
        return;
    conn_ref ref;
    memcpy(&ref, e->data, sizeof ref);
    core_closed(w->r.c, ref);
    relay_turn(w);
}

void connection_drop(world *w, uint32_t index, bool tell_client, bool tell_relay)
{
    connection *n = &w->conn[index];
    if (tell_client)
        tell_down(w, n->client, n->life, n->link, n->ready ? LINK_CLOSED : LINK_UNREACHABLE);
    if (tell_relay && n->at_relay && n->relay_life == w->r.life)
        schedule(w, w->now_ms + delay(w), (event){ .run = closed_event, .life = w->r.life, .data = copy_of((uint8_t *)&n->ref, sizeof n->ref) });
    *n = (connection){ .generation = n->generation };
}

static void arrive_event(world *w, event *e)
{
    connection *n = still(w, e);
    if (!n)
        return;
    if (!w->r.c) {
        connection_drop(w, e->index, true, false);
        return;
    }
    n->relay_life = w->r.life;
    core_time(w->r.c, w->now_ms * 1000, UINT64_C(1800000000000) + w->now_ms);
    int rc = core_open(w->r.c, (core_peer){ 0, e->index, n->generation }, n->role, n->role == TACET_ROLE_MAILBOX ? n->transport_key : NULL, n->hash,
                       n->client + 1, &n->ref);
    if (rc != TACET_OK) {
        connection_drop(w, e->index, true, false);
        return;
    }
    n->at_relay = true;
    relay_turn(w);
}

static int sim_open(void *ctx, uint64_t link, const relay_address *relay_at, tacet_role role, const uint8_t *transport_secret)
{
    client *c = ctx;
    world *w = c->of;
    (void)relay_at;
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
        connection *n = &w->conn[i];
        if (n->used)
            continue;
        *n = (connection){ .used = true, .generation = n->generation + 1, .client = c->index, .life = c->life, .link = link, .role = role };
        if (role == TACET_ROLE_MAILBOX && crypto_scalarmult_base(n->transport_key, transport_secret) != 0)
            return TACET_E_BUG;
        env_random(&w->chance.env, n->hash, sizeof n->hash);
        schedule(w, arrival(w, &n->to_relay_ms), (event){ .run = arrive_event, .index = i, .generation = n->generation });
        return TACET_OK;
    }
    return TACET_E_QUOTA;
}

static connection *link_of(client *c, uint64_t link, uint32_t *index)
{
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
        connection *n = &c->of->conn[i];
        if (n->used && n->client == c->index && n->life == c->life && n->link == link) {
            *index = i;
            return n;
        }
    }
    return NULL;
}

static void to_relay_event(world *w, event *e)
{
    connection *n = still(w, e);
    if (!n || !n->at_relay || !w->r.c || n->relay_life != w->r.life)
        return;
    trace(w, 1, e->index, e->data, e->bytes);
    core_time(w->r.c, w->now_ms * 1000, UINT64_C(1800000000000) + w->now_ms);
    core_frame(w->r.c, n->ref, e->data, e->bytes);
    relay_turn(w);
}

static int sim_send(void *ctx, uint64_t link, const uint8_t *body, size_t n)
{
    client *c = ctx;
    uint32_t i;
    connection *to = link_of(c, link, &i);
    if (to)
        schedule(c->of, arrival(c->of, &to->to_relay_ms),
                 (event){ .run = to_relay_event, .index = i, .generation = to->generation, .bytes = n, .data = copy_of(body, n) });
    return TACET_OK;
}

static void sim_close(void *ctx, uint64_t link)
{
    client *c = ctx;
    uint32_t i;
    if (link_of(c, link, &i))
        connection_drop(c->of, i, false, true);
}

const engine_network sim_network = { NULL, sim_open, sim_send, sim_close };

static void client_tick_event(world *w, event *e)
{
    client *c = &w->clients[e->index];
    if (!c->e || c->life != e->life || e->at_ms != c->tick_at)
        return;
    c->tick_at = UINT64_MAX;
    engine_tick(c->e);
    client_turn(c);
}

void client_turn(client *c)
{
    if (!c->e)
        return;
    uint64_t at = engine_deadline_ms(c->e);
    if (at == UINT64_MAX)
        return;
    if (at <= c->of->now_ms)
        at = c->of->now_ms + 1;
    if (c->tick_at != UINT64_MAX && c->tick_at <= at)
        return;
    c->tick_at = at;
    schedule(c->of, at, (event){ .run = client_tick_event, .index = c->index, .life = c->life });
}

/* ---- the relay's side -------------------------------------------------------------------------------------------------------------------- */
static void up_event(world *w, event *e)
{
    connection *n = still(w, e);
    client *c = n ? client_of(w, n) : NULL;
    if (!c)
        return;
    n->ready = true;
    engine_link_up(c->e, n->link, n->hash);
    client_turn(c);
}

static connection *peer_of(world *w, core_peer p)
{
    connection *n = p.slot < CONNECTIONS_MAX ? &w->conn[p.slot] : NULL;
    return n && n->used && n->generation == p.generation && !w->r.silent ? n : NULL;
}

static void port_ready(void *ctx, core_peer to)
{
    world *w = ctx;
    connection *n = peer_of(w, to);
    if (n)
        schedule(w, arrival(w, &n->to_client_ms), (event){ .run = up_event, .index = to.slot, .generation = to.generation });
}

static void to_client_event(world *w, event *e)
{
    connection *n = still(w, e);
    client *c = n ? client_of(w, n) : NULL;
    if (!n)
        return;
    trace(w, 2, e->index, e->data, e->bytes);
    if (w->r.c && n->relay_life == w->r.life) {
        core_drained(w->r.c, n->ref, (uint32_t)e->bytes);
        relay_turn(w);
    }
    reader r = reader_over(e->data, e->bytes);
    while (c && c->e && reader_left(&r) > 0 && w->conn[e->index].used && w->conn[e->index].generation == e->generation) {
        size_t bytes = (size_t)read_be(&r, 4);
        const uint8_t *body = read_view(&r, bytes);
        if (!body)
            sim_fail(w, "the relay sent a torn frame");
        engine_link_frame(c->e, n->link, body, bytes);
    }
    if (c)
        client_turn(c);
}

static void port_out(void *ctx, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies)
{
    world *w = ctx;
    connection *n = peer_of(w, to);
    (void)replies;
    if (n)
        schedule(w, arrival(w, &n->to_client_ms),
                 (event){ .run = to_client_event, .index = to.slot, .generation = to.generation, .bytes = bytes, .data = copy_of(stream, bytes) });
}

static void close_event(world *w, event *e)
{
    if (still(w, e))
        connection_drop(w, e->index, true, true);
}
static void port_close(void *ctx, core_peer to, bool flush)
{
    world *w = ctx;
    connection *n = peer_of(w, to);
    (void)flush;
    if (n)
        schedule(w, arrival(w, &n->to_client_ms), (event){ .run = close_event, .index = to.slot, .generation = to.generation });
}

static void verified_event(world *w, event *e)
{
    if (!e->pointer)
        return;
    w->r.verifying--;
    core_verified(w->r.c, e->pointer);
    if (!w->r.silent)
        relay_turn(w);
}
static void port_verify(void *ctx, request_job *r)
{
    world *w = ctx;
    directory_verify(r);
    w->r.verifying++;
    schedule(w, w->now_ms + 1, (event){ .run = verified_event, .life = w->r.life, .pointer = r });
}

static void read_event(world *w, event *e)
{
    if (!e->pointer)
        return;
    w->r.reading--;
    core_read_done(w->r.c, e->pointer);
    if (!w->r.silent)
        relay_turn(w);
}
static void port_backlog(void *ctx, backlog_job *b)
{
    world *w = ctx;
    backlog_read(b, w->r.reader);
    w->r.reading++;
    schedule(w, w->now_ms + 1 + world_below(w, 3), (event){ .run = read_event, .life = w->r.life, .pointer = b });
}

const core_ports sim_ports = { .ready = port_ready, .out = port_out, .close = port_close, .verify = port_verify, .backlog = port_backlog };

static void relay_tick_event(world *w, event *e)
{
    if (e->life != w->r.life || !w->r.c || e->at_ms != w->r.tick_at)
        return;
    w->r.tick_at = UINT64_MAX;
    relay_turn(w);
}

static void group_event(world *w, event *e)
{
    relay *r = &w->r;
    if (e->life != r->life || !r->group)
        return;
    if (!r->group_ran)
        r->group_status = committer_execute(r->store, r->group);
    if (r->group_status < 0)
        sim_fail(w, "a group failed: %d", r->group_status);
    job *list = r->group;
    r->group = NULL;
    core_group_done(r->c, list, r->group_status);
    relay_turn(w);
}

/* After anything that happened to the core: time, jobs, and when it wants to be called again. */
void relay_turn(world *w)
{
    relay *r = &w->r;
    if (!r->c || r->silent)
        return;
    core_time(r->c, w->now_ms * 1000, UINT64_C(1800000000000) + w->now_ms);
    core_tick(r->c);
    if (!r->group && (r->group = core_take_group(r->c))) {
        r->group_ran = world_below(w, 2);
        if (r->group_ran)
            r->group_status = committer_execute(r->store, r->group);
        schedule(w, w->now_ms + 1 + world_below(w, 4), (event){ .run = group_event, .life = r->life });
    }
    uint64_t due = core_due_us(r->c);
    if (due == UINT64_MAX)
        return;
    due = due / 1000 + 1;
    if (due <= w->now_ms)
        due = w->now_ms + 1;
    if (r->tick_at != UINT64_MAX && r->tick_at <= due && r->tick_at > w->now_ms)
        return;
    r->tick_at = due;
    schedule(w, due, (event){ .run = relay_tick_event, .life = r->life });
}
