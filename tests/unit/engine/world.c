#include "world.h"
#include "base/text.h"
#include "identity/prekey.h"
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
typedef struct {
    bool used, up;
    size_t person;
    uint64_t link;
    tacet_role role;
    uint8_t transport[32], hash[64];
} connection;
static connection connections[256];

static connection *find(size_t person, uint64_t link)
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

static int net_open(void *ctx, uint64_t link, const relay_address *relay, tacet_role role, const uint8_t *secret)
{
    door *d = ctx;
    size_t i = 0;
    ck_assert_mem_eq(relay->key, d->w->relay_key, 32);
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
    connection *c = find(d->person, link);
    ck_assert(c && c->up);
    queue(d->w, HAPPENS_TO_RELAY, d->person, link, 0, body, n);
    return TACET_OK;
}

static void hang_up(world *w, connection *c)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].link == c->link && w->account[i].person == c->person) {
            w->account[i].link = 0;
            w->account[i].subscribed = false;
            for (size_t k = 0; k < w->account[i].boxed; k++)
                w->account[i].box[k].delivered = false;
        }
    c->used = false;
}

static void net_close(void *ctx, uint64_t link)
{
    door *d = ctx;
    connection *c = find(d->person, link);
    if (c)
        hang_up(d->w, c);
}

/* --- the relay ------------------------------------------------------------------------------------------------------------------------- */
static void answer(world *w, const connection *c, frame *f, uint32_t id)
{
    static uint8_t bytes[TACET_FRAME_MAX_BYTES];
    size_t n;
    f->id = id;
    ck_assert_int_eq(frame_encode(f, bytes, sizeof bytes, &n), TACET_OK);
    queue(w, HAPPENS_TO_ENGINE, c->person, c->link, 0, bytes, n);
}

static void answer_error(world *w, const connection *c, uint32_t id, error_code code)
{
    frame f = { .kind = FRAME_ERROR };
    f.error.code = (uint16_t)code;
    f.error.cls = (uint8_t)error_class_of(code);
    f.error.text = (view){ (const uint8_t *)"no", 2 };
    answer(w, c, &f, id);
}

static void answer_ok(world *w, const connection *c, uint32_t id)
{
    frame f = { .kind = FRAME_OK };
    answer(w, c, &f, id);
}

static world_account *account_by(world *w, const uint8_t *account)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].used && memcmp(w->account[i].account, account, 32) == 0)
            return &w->account[i];
    return NULL;
}

static world_account *account_at(world *w, const connection *c)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].used && memcmp(w->account[i].transport, c->transport, 32) == 0)
            return &w->account[i];
    return NULL;
}

static void push(world *w, world_account *a)
{
    connection *c = a->link ? find(a->person, a->link) : NULL;
    for (size_t i = 0; c && a->subscribed && !w->hold && i < a->boxed; i++) {
        world_envelope *v = &a->box[i];
        if (v->gone || v->delivered)
            continue;
        frame f = { .kind = FRAME_DELIVER };
        f.deliver.number = v->number;
        f.deliver.token_kind = v->token_kind;
        f.deliver.token_hash = (view){ v->token_hash, 32 };
        f.deliver.hour_s = w->person[a->person].env.wall_ms / 1000 / 3600 * 3600;
        f.deliver.ciphertext = (view){ v->bytes, v->n };
        answer(w, c, &f, 0);
        v->delivered = true;
    }
}

static void on_register(world *w, connection *c, const frame *f)
{
    device_list l;
    uint8_t object[96];
    ck_assert_int_eq(device_list_decode(&l, f->register_.list.at, f->register_.list.bytes), TACET_OK);
    memcpy(object, c->hash, 64);
    memcpy(object + 64, l.hash, 32);
    ck_assert_int_eq(object_verify(f->register_.proof.at, SIGN_REGISTER, &l.account, 0, object, sizeof object, l.ik), TACET_OK);
    const device_entry *d = device_list_find(&l, f->register_.device);
    ck_assert(d && memcmp(d->transport, c->transport, 32) == 0);
    world_account *a = account_by(w, l.account.bytes);
    for (size_t i = 0; !a; i++)
        if (!w->account[i].used)
            a = &w->account[i];
    if (!a->used) {
        *a = (world_account){ .used = true, .person = c->person, .box = calloc(WORLD_ENVELOPES, sizeof *a->box) };
        memcpy(a->account, l.account.bytes, 32);
        memcpy(a->transport, c->transport, 32);
        memcpy(a->list[0], f->register_.list.at, f->register_.list.bytes);
        a->list_bytes[0] = f->register_.list.bytes;
        a->lists = 1;
        a->device = f->register_.device;
    }
    answer_ok(w, c, f->id);
}

/* The next list; the device that it names in the place of the one that was there is where it comes from. */
static void on_devices(world *w, connection *c, const frame *f)
{
    device_list l, known;
    uint8_t object[96];
    ck_assert_int_eq(device_list_decode(&l, f->devices.list.at, f->devices.list.bytes), TACET_OK);
    memcpy(object, c->hash, 64);
    memcpy(object + 64, l.hash, 32);
    ck_assert_int_eq(object_verify(f->devices.proof.at, SIGN_DEVICES_CHANGE, &l.account, 0, object, sizeof object, l.ik), TACET_OK);
    world_account *a = account_by(w, l.account.bytes);
    const device_entry *d = device_list_find_transport(&l, c->transport);
    ck_assert(a && d && a->lists < ROWS(a->list));
    ck_assert_int_eq(device_list_decode(&known, a->list[a->lists - 1], a->list_bytes[a->lists - 1]), TACET_OK);
    int follows = device_list_follows(&known, &l);
    if (follows == TACET_OK) {
        if (a->link)
            queue(w, HAPPENS_DOWN, a->person, a->link, LINK_CLOSED, NULL, 0);
        for (size_t i = 0; i < a->boxed; i++)
            a->box[i].gone = true;
        a->keys = 0;
        a->link = 0;
        a->subscribed = false;
        a->person = c->person;
        a->device = d->id;
        memcpy(a->transport, c->transport, 32);
        memcpy(a->list[a->lists], f->devices.list.at, f->devices.list.bytes);
        a->list_bytes[a->lists++] = f->devices.list.bytes;
    }
    if (follows == TACET_OK || follows == TACET_E_REPLAY)
        answer_ok(w, c, f->id);
    else
        answer_error(w, c, f->id, ERROR_STALE_LIST);
}

static void on_name(world *w, connection *c, const frame *f)
{
    directory_entry entry;
    world_account *a = account_at(w, c);
    ck_assert_int_eq(directory_entry_decode(&entry, f->publish_name.entry.at, f->publish_name.entry.bytes, w->person[c->person].env.wall_ms / 1000),
                     TACET_OK);
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->account[i].used && &w->account[i] != a && strcmp(w->account[i].name, entry.name) == 0) {
            answer_error(w, c, f->id, ERROR_NAME_TAKEN);
            return;
        }
    snprintf(a->name, sizeof a->name, "%s", entry.name);
    memcpy(a->entry, f->publish_name.entry.at, sizeof a->entry);
    answer_ok(w, c, f->id);
}

static void counts(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    if (!a) {
        answer_error(w, c, f->id, ERROR_NOT_REGISTERED);
        return;
    }
    frame r = { .kind = FRAME_PREKEY_COUNTS };
    for (size_t i = 0; i < a->keys; i++)
        if (!a->key[i].gone) {
            r.prekey_counts.one_time += a->key[i].bytes[0] == PREKEY_ONE_TIME;
            r.prekey_counts.kem += a->key[i].bytes[0] == PREKEY_KEM_ONE_TIME;
        }
    r.prekey_counts.handed_out = a->handed_out;
    answer(w, c, &r, f->id);
}

static void on_prekeys(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    for (uint32_t i = 0; i < f->publish_prekeys.prekeys.count; i++) {
        const view *v = &f->publish_prekeys.prekeys.item[i];
        uint8_t kind = v->at[0];
        for (size_t k = 0; k < a->keys; k++)
            if ((kind == PREKEY_SIGNED || kind == PREKEY_KEM_LAST_RESORT) && a->key[k].bytes[0] == kind)
                a->key[k].gone = true;
        ck_assert_uint_lt(a->keys, WORLD_PREKEYS);
        memcpy(a->key[a->keys].bytes, v->at, v->bytes);
        a->key[a->keys].gone = false;
        a->key[a->keys++].n = v->bytes;
    }
    counts(w, c, f);
}

static void on_tokens(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    if (!a) {
        answer_error(w, c, f->id, ERROR_NOT_REGISTERED);
        return;
    }
    for (size_t i = 0; i < a->tokens; i++)
        if (f->tokens.kind == TOKEN_REQUEST && a->token_kinds[i] == TOKEN_REQUEST)
            a->token_kinds[i] = 0;
    for (uint32_t k = 0; k < f->tokens.add.count; k++) {
        ck_assert_uint_lt(a->tokens, ROWS(a->token));
        memcpy(a->token[a->tokens], f->tokens.add.item[k].at, 32);
        a->token_kinds[a->tokens++] = f->tokens.kind;
    }
    for (uint32_t k = 0; k < f->tokens.remove.count; k++) {
        for (size_t i = 0; i < a->tokens; i++)
            if (memcmp(a->token[i], f->tokens.remove.item[k].at, 32) == 0)
                a->token_kinds[i] = 0;
        for (size_t i = 0; i < a->boxed; i++)
            if (memcmp(a->box[i].token_hash, f->tokens.remove.item[k].at, 32) == 0)
                a->box[i].gone = true;
    }
    answer_ok(w, c, f->id);
}

static void on_subscribe(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    if (!a) {
        answer_error(w, c, f->id, ERROR_NOT_REGISTERED);
        return;
    }
    a->link = c->link;
    a->person = c->person;
    a->subscribed = true;
    answer_ok(w, c, f->id);
    push(w, a);
    frame r = { .kind = FRAME_CAUGHT_UP };
    r.caught_up.number = w->next_number;
    answer(w, c, &r, 0);
}

static void on_ack(world *w, connection *c, const frame *f)
{
    world_account *a = account_at(w, c);
    for (uint32_t k = 0; k < f->ack.ids.count; k++)
        for (size_t i = 0; i < a->boxed; i++)
            if (a->box[i].number == f->ack.ids.item[k])
                a->box[i].gone = true;
    answer_ok(w, c, f->id);
}

static void on_send(world *w, connection *c, const frame *f)
{
    uint8_t hash[32];
    world_account *a = account_by(w, f->send.account.at);
    uint8_t kind = 0;
    w->person[c->person].sends++;
    token_hash(hash, f->send.token.at);
    for (size_t i = 0; a && i < a->tokens; i++)
        if (memcmp(a->token[i], hash, 32) == 0)
            kind = a->token_kinds[i] ? a->token_kinds[i] : kind;
    if (w->refuse_sends) {
        answer_error(w, c, f->id, (error_code)w->refuse_sends);
        return;
    }
    if (!kind || a->device != f->send.device) {
        answer_error(w, c, f->id, kind ? ERROR_STALE_DEVICE : ERROR_REFUSED);
        return;
    }
    ck_assert_uint_lt(a->boxed, WORLD_ENVELOPES);
    world_envelope *v = &a->box[a->boxed++];
    *v = (world_envelope){ .token_kind = kind, .n = f->send.ciphertext.bytes, .number = ++w->next_number };
    memcpy(v->token_hash, hash, 32);
    memcpy(v->bytes, f->send.ciphertext.at, v->n);
    if (w->lose_replies) {
        queue(w, HAPPENS_DOWN, c->person, c->link, LINK_CLOSED, NULL, 0);
        return;
    }
    answer_ok(w, c, f->id);
    push(w, a);
}

static void on_lists(world *w, connection *c, const frame *f)
{
    world_account *a = account_by(w, f->lists.account.at);
    if (!a) {
        answer_error(w, c, f->id, ERROR_NOT_FOUND);
        return;
    }
    frame r = { .kind = FRAME_LISTS_REPLY };
    for (size_t i = f->lists.after; i < a->lists; i++)
        r.lists_reply.lists.item[r.lists_reply.lists.count++] = (view){ a->list[i], a->list_bytes[i] };
    answer(w, c, &r, f->id);
}

static view take_key(world_account *a, enum prekey_kind kind)
{
    for (size_t i = 0; i < a->keys; i++)
        if (!a->key[i].gone && a->key[i].bytes[0] == kind) {
            if (kind == PREKEY_ONE_TIME || kind == PREKEY_KEM_ONE_TIME) {
                a->key[i].gone = true;
                a->handed_out++;
            }
            return (view){ a->key[i].bytes, a->key[i].n };
        }
    return (view){ NULL, 0 };
}

static void on_bundle(world *w, connection *c, const frame *f)
{
    world_account *a = account_by(w, f->bundle.account.at);
    if (!a || a->device != f->bundle.device) {
        answer_error(w, c, f->id, a ? ERROR_STALE_DEVICE : ERROR_NOT_FOUND);
        return;
    }
    frame r = { .kind = FRAME_BUNDLE_REPLY };
    r.bundle_reply.spk = take_key(a, PREKEY_SIGNED);
    if (!w->no_one_time) {
        r.bundle_reply.opk = take_key(a, PREKEY_ONE_TIME);
        r.bundle_reply.kem = take_key(a, PREKEY_KEM_ONE_TIME);
    }
    if (!r.bundle_reply.kem.bytes)
        r.bundle_reply.kem = take_key(a, PREKEY_KEM_LAST_RESORT);
    answer(w, c, &r, f->id);
}

static void on_lookup(world *w, connection *c, const frame *f)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++) {
        world_account *a = &w->account[i];
        if (a->used && strlen(a->name) == f->lookup.name.bytes && memcmp(a->name, f->lookup.name.at, f->lookup.name.bytes) == 0) {
            frame r = { .kind = FRAME_LOOKUP_REPLY };
            r.lookup_reply.entry = (view){ a->entry, sizeof a->entry };
            answer(w, c, &r, f->id);
            return;
        }
    }
    answer_error(w, c, f->id, ERROR_NOT_FOUND);
}

static void on_info(world *w, connection *c, const frame *f)
{
    frame r = { .kind = FRAME_INFO_REPLY };
    int64_t now = (int64_t)(w->person[c->person].env.wall_ms / 1000) + w->relay_clock_s;
    r.info_reply.incarnation = (view){ w->incarnation, 16 };
    r.info_reply.hour_s = (uint64_t)now / 3600 * 3600;
    r.info_reply.ttl_max_s = TACET_TTL_MAX_S;
    answer(w, c, &r, f->id);
}

static void on_echo(world *w, connection *c, const frame *f)
{
    frame r = { .kind = FRAME_ECHO_REPLY };
    r.echo.data = f->echo.data;
    answer(w, c, &r, f->id);
}

static void relay_frame(world *w, connection *c, const uint8_t *bytes, size_t n)
{
    static const struct {
        frame_kind kind;
        void (*take)(world *w, connection *c, const frame *f);
    } row[] = {
        { FRAME_REGISTER, on_register }, { FRAME_PUBLISH_NAME, on_name }, { FRAME_PUBLISH_PREKEYS, on_prekeys },
        { FRAME_PREKEY_STATUS, counts }, { FRAME_TOKENS, on_tokens },     { FRAME_SUBSCRIBE, on_subscribe },
        { FRAME_ACK, on_ack },           { FRAME_SEND, on_send },         { FRAME_LISTS, on_lists },
        { FRAME_BUNDLE, on_bundle },     { FRAME_LOOKUP, on_lookup },     { FRAME_INFO, on_info },
        { FRAME_ECHO, on_echo },         { FRAME_DEVICES, on_devices },
    };
    frame f;
    ck_assert_int_eq(frame_decode(&f, bytes, n), TACET_OK);
    ck_assert(frame_roles(f.kind) & 1u << c->role);
    for (size_t i = 0; i < ROWS(row); i++)
        if (row[i].kind == f.kind) {
            row[i].take(w, c, &f);
            return;
        }
    ck_abort_msg("the relay was asked %s", frame_kind_word(f.kind));
}

/* --- the world ------------------------------------------------------------------------------------------------------------------------- */
static void happen(world *w, world_event *ev)
{
    connection *c = find(ev->person, ev->link);
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
            push(w, &w->account[i]);
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
    push(w, a);
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
