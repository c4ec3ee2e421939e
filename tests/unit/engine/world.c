#include "world_relay.h"
#include "state.h"
#include "suite.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* --- what happens next: the network must not call back at once ----------------------------------------------------------------------- */
typedef enum { HAPPENS_OPEN, HAPPENS_TO_RELAY, HAPPENS_TO_ENGINE, HAPPENS_DOWN } happens;
struct world_event {
    world_event *next;
    happens what;
    size_t person;
    uint64_t link;
    link_reason why;
    size_t n;
    uint8_t bytes[];
};

typedef struct {
    world *w;
    size_t person;
} door;
static door doors[WORLD_PEOPLE];
static connection connections[256];

connection *connection_find(size_t person, uint64_t link)
{
    for (size_t i = 0; i < ROWS(connections); i++)
        if (connections[i].used && connections[i].person == person && connections[i].link == link)
            return &connections[i];
    return NULL;
}

static void queue(world *w, happens what, size_t person, uint64_t link, link_reason why, const uint8_t *bytes, size_t n)
{
    world_event *ev = calloc(1, sizeof *ev + n);
    ck_assert_ptr_nonnull(ev);
    *ev = (world_event){ .what = what, .person = person, .link = link, .why = why, .n = n };
    if (n)
        memcpy(ev->bytes, bytes, n);
    *w->events_tail = ev;
    w->events_tail = &ev->next;
}

void connection_tell(world *w, const connection *c, const uint8_t *bytes, size_t n) { queue(w, HAPPENS_TO_ENGINE, c->person, c->link, 0, bytes, n); }

void connection_end(world *w, size_t person, uint64_t link) { queue(w, HAPPENS_DOWN, person, link, LINK_CLOSED, NULL, 0); }

static int net_open(void *ctx, uint64_t link, const relay_address *relay, tacet_role role, const uint8_t *secret)
{
    door *d = ctx;
    size_t i = 0;
    ck_assert_mem_eq(relay->key, d->w->relay_key, 32);
    d->w->person[d->person].opens += role != TACET_ROLE_MAILBOX;
    if (relay->port >= WORLD_PORT && relay->port < WORLD_PORT + WORLD_PORTS)
        d->w->opened[relay->port - WORLD_PORT]++;
    if (d->w->cannot_open || (relay->port >= WORLD_PORT && relay->port < WORLD_PORT + d->w->away))
        return TACET_E_MALFORMED;
    while (connections[i].used)
        ck_assert_uint_lt(++i, ROWS(connections));
    connections[i] = (connection){ .used = true, .person = d->person, .link = link, .role = role };
    randombytes_buf(connections[i].hash, 64);
    if (role == TACET_ROLE_MAILBOX)
        ck_assert_int_eq(crypto_scalarmult_base(connections[i].transport, secret), 0);
    queue(d->w, HAPPENS_OPEN, d->person, link, 0, NULL, 0);
    return TACET_OK;
}

static int net_send(void *ctx, uint64_t link, const uint8_t *body, size_t n)
{
    door *d = ctx;
    connection *c = connection_find(d->person, link);
    ck_assert(c && c->up);
    queue(d->w, HAPPENS_TO_RELAY, d->person, link, 0, body, n);
    return TACET_OK;
}

static void hang_up(world *w, connection *c)
{
    relay_hang_up(w, c);
    c->used = false;
}

static void net_close(void *ctx, uint64_t link)
{
    door *d = ctx;
    connection *c = connection_find(d->person, link);
    if (c)
        hang_up(d->w, c);
}

/* --- the world ------------------------------------------------------------------------------------------------------------------------- */
static void happen(world *w, world_event *ev)
{
    connection *c = connection_find(ev->person, ev->link);
    engine *e = w->person[ev->person].e;
    if (!c || !e)
        return;
    if (w->down && (ev->what == HAPPENS_OPEN || ev->what == HAPPENS_TO_RELAY)) {
        hang_up(w, c);
        engine_link_down(e, ev->link, LINK_UNREACHABLE);
        return;
    }
    switch (ev->what) {
    case HAPPENS_OPEN:
        c->up = true;
        engine_link_up(e, ev->link, c->hash);
        break;
    case HAPPENS_TO_RELAY:
        relay_frame(w, c, ev->bytes, ev->n);
        break;
    case HAPPENS_TO_ENGINE:
        engine_link_frame(e, ev->link, ev->bytes, ev->n);
        break;
    case HAPPENS_DOWN:
        hang_up(w, c);
        engine_link_down(e, ev->link, ev->why);
        break;
    }
}

void world_run(world *w)
{
    bool moved = true;
    for (unsigned rounds = 0; moved; rounds++) {
        ck_assert_msg(rounds < 200000, "the world does not come to rest");
        moved = false;
        if (w->events) {
            world_event *ev = w->events;
            w->events = ev->next;
            if (!w->events)
                w->events_tail = &w->events;
            happen(w, ev);
            free(ev);
            moved = true;
            continue;
        }
        for (size_t i = 0; i < WORLD_PEOPLE; i++) {
            engine *e = w->person[i].e;
            if (e && engine_deadline_ms(e) <= w->person[i].env.steady_ms) {
                engine_tick(e);
                moved = moved || w->events || engine_deadline_ms(e) <= w->person[i].env.steady_ms;
            }
        }
    }
}

void world_advance(world *w, uint64_t ms)
{
    while (ms) {
        uint64_t step = ms > 1000 ? ms > 3600000 ? 600000 : 1000 : ms;
        for (size_t i = 0; i < WORLD_PEOPLE; i++)
            if (w->person[i].used)
                env_seeded_advance(&w->person[i].env, step);
        ms -= step;
        world_run(w);
    }
}

world *world_new(void)
{
    world *w = calloc(1, sizeof *w);
    relay_address a = { .host = "relay.example", .port = 7450 };
    ck_assert_ptr_nonnull(w);
    uint8_t secret[32] = { 42 };
    ck_assert_int_eq(crypto_scalarmult_base(w->relay_key, secret), 0);
    memcpy(a.key, w->relay_key, 32);
    relay_address_format(w->relay_text, &a);
    w->incarnation[0] = 1;
    w->events_tail = &w->events;
    memset(connections, 0, sizeof connections);
    return w;
}

static void remove_dir(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s' '%s.old'", dir, dir);
    ck_assert_int_eq(system(command), 0);
}

void world_free(world *w)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++) {
        if (!w->person[i].used)
            continue;
        world_close(w, i);
        json_decref(w->person[i].events);
        remove_dir(w->person[i].dir);
    }
    for (size_t i = 0; i < WORLD_PEOPLE; i++) /* an account may have come to somebody else */
        free(w->account[i].box);
    for (world_event *ev = w->events; ev;) {
        world_event *next = ev->next;
        free(ev);
        ev = next;
    }
    free(w);
}

static const uint8_t vault_key[32] = "the key of every vault in here..";

static void on_event(void *ctx, json_t *event)
{
    world_person *p = ctx;
    json_array_append(p->events, event);
}

void world_open(world *w, size_t who)
{
    world_person *p = &w->person[who];
    doors[who] = (door){ w, who };
    engine_network net = { &doors[who], net_open, net_send, net_close };
    engine_options o = { .vault_path = p->path, .database_key = vault_key, .env = &p->env.env, .network = &net, .event = on_event, .event_ctx = p };
    engine_error error = { 0 };
    int rc = engine_open(&p->e, &o, &error);
    ck_assert_msg(rc == TACET_OK, "%s: %s", p->name, error.message);
}

void world_close(world *w, size_t who)
{
    w->person[who].e = engine_close(w->person[who].e);
    for (size_t i = 0; i < ROWS(connections); i++)
        if (connections[i].used && connections[i].person == who)
            hang_up(w, &connections[i]);
}

static void copy_vault(const char *from, const char *to)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
    ck_assert_int_eq(system(command), 0);
}

void world_snapshot(world *w, size_t who)
{
    char old[80];
    world_close(w, who);
    snprintf(old, sizeof old, "%s.old", w->person[who].dir);
    copy_vault(w->person[who].dir, old);
    world_open(w, who);
}

void world_restore(world *w, size_t who)
{
    char old[80];
    world_close(w, who);
    snprintf(old, sizeof old, "%s.old", w->person[who].dir);
    copy_vault(old, w->person[who].dir);
    world_open(w, who);
}

uint64_t world_seed;

size_t world_bare(world *w, const char *name)
{
    size_t i = 0;
    while (w->person[i].used)
        ck_assert_uint_lt(++i, WORLD_PEOPLE);
    world_person *p = &w->person[i];
    *p = (world_person){ .used = true, .events = json_array() };
    snprintf(p->name, sizeof p->name, "%s", name);
    char dir[] = "/tmp/tacet-world-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(p->dir, sizeof p->dir, "%s", dir);
    snprintf(p->path, sizeof p->path, "%s/vault", dir);
    env_seeded_init(&p->env, 1000 + i + WORLD_PEOPLE * world_seed, 1790000000000);
    for (size_t k = 0; k < i; k++)
        if (w->person[k].used)
            p->env.wall_ms = w->person[k].env.wall_ms;
    world_open(w, i);
    return i;
}

size_t world_join(world *w, const char *name)
{
    size_t i = world_bare(w, name);
    json_decref(must(w, i, "init", json_pack("{ss ss}", "relay", w->relay_text, "name", name)));
    return i;
}

void world_release(world *w)
{
    w->hold = false;
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].used)
            relay_push(w, &w->account[i]);
    world_run(w);
}

void world_inject(world *w, size_t who, const world_envelope *v)
{
    world_account *a = world_account_of(w, who);
    ck_assert_uint_lt(a->boxed, WORLD_ENVELOPES);
    a->box[a->boxed] = *v;
    a->box[a->boxed].number = ++w->next_number;
    a->box[a->boxed].gone = a->box[a->boxed].delivered = false;
    a->boxed++;
    relay_push(w, a);
    world_run(w);
}

void world_say(world *w, size_t from, const char *to, content *k, uint32_t what)
{
    engine *e = w->person[from].e;
    vault_contact c;
    randombytes_buf(k->id, sizeof k->id);
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(vault_contact_by_alias(e->vault, to, &c), TACET_OK);
    ck_assert_int_eq(outbox_content(e, &c, k, what, 0), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    engine_tick(e);
    world_run(w);
}

world_account *world_account_of(world *w, size_t who)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].used && w->account[i].person == who)
            return &w->account[i];
    return NULL;
}

/* --- calls ------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    bool done;
    json_t *result;
    engine_error error;
} waited;

static void done(void *ctx, json_t *result, const engine_error *error)
{
    waited *a = ctx;
    ck_assert(!a->done);
    ck_assert((result == NULL) != (error == NULL));
    a->done = true;
    a->result = json_incref(result);
    if (error)
        a->error = *error;
}

json_t *world_call(world *w, size_t who, const char *method, json_t *params, engine_error *error)
{
    waited a = { 0 };
    engine_call_async(w->person[who].e, method, params, done, &a);
    json_decref(params);
    world_run(w);
    for (unsigned i = 0; !a.done && i < 120; i++)
        world_advance(w, 1000);
    ck_assert_msg(a.done, "%s does not end", method);
    if (error)
        *error = a.error;
    return a.result;
}

json_t *must(world *w, size_t who, const char *method, json_t *params)
{
    engine_error error;
    json_t *result = world_call(w, who, method, params, &error);
    ck_assert_msg(result != NULL, "%s: %s", method, error.message);
    return result;
}

void must_fail(world *w, size_t who, const char *method, json_t *params, const char *code, int exit)
{
    engine_error error = { "none", 0, "" };
    json_t *result = world_call(w, who, method, params, &error);
    ck_assert_msg(result == NULL, "%s succeeded", method);
    ck_assert_str_eq(error.code, code);
    ck_assert_int_eq(error.exit, exit);
}

const char *world_link(world *w, size_t who, char *room)
{
    json_t *me = must(w, who, "whoami", NULL);
    snprintf(room, 512, "%s", json_string_value(json_object_get(me, "link")));
    json_decref(me);
    return room;
}

void world_befriend(world *w, size_t a, size_t b)
{
    char link[512];
    json_decref(must(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link))));
    world_run(w);
    json_decref(must(w, b, "accept", json_pack("{ss}", "name", w->person[a].name)));
    world_advance(w, 10000);
}

world *world_pair(size_t *alice, size_t *bob)
{
    world *w = world_new();
    *alice = world_join(w, "alice");
    *bob = world_join(w, "bob");
    world_befriend(w, *alice, *bob);
    return w;
}

void world_send(world *w, size_t from, const char *to, const char *text)
{
    json_decref(must(w, from, "send", json_pack("{ss ss}", "to", to, "text", text)));
    world_run(w);
}

const char *world_received(world *w, size_t who, char *room, size_t room_bytes)
{
    json_t *list = must(w, who, "receive", NULL), *one, *ids = json_array();
    size_t i, n = 0;
    room[0] = '\0';
    json_array_foreach(list, i, one)
    {
        const char *text = json_string_value(json_object_get(one, "text")), *event = json_string_value(json_object_get(one, "event"));
        n += (size_t)snprintf(room + n, room_bytes - n, "%s%s", i ? "|" : "", text ? text : event);
        ck_assert_uint_lt(n, room_bytes);
        json_array_append(ids, json_object_get(one, "id"));
    }
    json_decref(list);
    json_decref(must(w, who, "handed", json_pack("{so}", "ids", ids)));
    return room;
}

size_t world_events(const world *w, size_t who, const char *event)
{
    json_t *one;
    size_t i, n = 0;
    json_array_foreach(w->person[who].events, i, one) n += strcmp(json_string_value(json_object_get(one, "event")), event) == 0;
    return n;
}

json_t *world_event_last(const world *w, size_t who, const char *event)
{
    for (size_t i = json_array_size(w->person[who].events); i-- > 0;) {
        json_t *one = json_array_get(w->person[who].events, i);
        if (strcmp(json_string_value(json_object_get(one, "event")), event) == 0)
            return one;
    }
    return NULL;
}

size_t world_prekeys(world *w, size_t who)
{
    size_t n = 0;
    vault_prekey p;
    for (uint32_t kind = 1; kind <= 4; kind++)
        for (uint32_t id = 1; id <= 200; id++)
            n += vault_prekey_get(w->person[who].e->vault, kind, id, &p) == TACET_OK;
    return n;
}

size_t world_contacts(world *w, size_t who)
{
    int64_t ids[8];
    size_t n = 0;
    ck_assert_int_eq(vault_contact_ids(w->person[who].e->vault, ids, 8, &n), TACET_OK);
    return n;
}
