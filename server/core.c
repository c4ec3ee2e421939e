/* server/core.c: connections of the relay core, and which request goes where. See core.h. */
#include "server/core_parts.h"
#include "server/limits.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

core_config core_config_default(void)
{
    return (core_config){
        .directory = { REGISTRATION_OPEN, RELAY_TOKENS_MAX, RELAY_PREKEYS_ONE_TIME_MAX, RELAY_MAILBOXES_MAX },
        .mailbox_messages = RELAY_MAILBOX_MESSAGES_MAX,
        .mailbox_bytes = RELAY_MAILBOX_BYTES_MAX,
        .request_queue = RELAY_REQUEST_QUEUE,
        .registers = { RELAY_REGISTER_BURST, RELAY_REGISTER_EVERY_MS },
        .bundles = { RELAY_BUNDLE_BURST, RELAY_BUNDLE_EVERY_MS },
        .device_bundles = { RELAY_BUNDLE_DEVICE_BURST, RELAY_BUNDLE_DEVICE_EVERY_MS },
        .requests = { RELAY_REQUEST_BURST, RELAY_REQUEST_EVERY_MS },
        .changes = { RELAY_CHANGE_BURST, RELAY_CHANGE_EVERY_MS },
        .lists = { RELAY_LIST_BURST, RELAY_LIST_EVERY_MS },
        .expiry_speed = RELAY_EXPIRY_SPEED,
        .hold_max_us = RELAY_HOLD_MAX_US,
        .window_memory_bytes = RELAY_WINDOW_MEMORY_MAX_BYTES,
        .message_free_mib = RELAY_MESSAGE_FREE_MIB,
        .blob_account_mib = RELAY_BLOB_ACCOUNT_MIB,
        .blob_total_mib = RELAY_BLOB_TOTAL_MIB,
        .blob_free_mib = RELAY_BLOB_FREE_MIB,
        .blob_account_share = RELAY_BLOB_ACCOUNT_SHARE,
    };
}

int core_new(core **out, const core_options *o, const core_ports *ports)
{
    core *c = calloc(1, sizeof *c);
    if (!c)
        return TACET_E_NOMEM;
    c->ports = *ports;
    c->o = *o;
    c->next_number = 1;
    c->room_left = UINT64_MAX;
    c->forgetting = true; /* by an earlier run */
    c->first_free = UINT32_MAX;
    c->accepts_due_us = c->take_due_us = UINT64_MAX;
    c->ok.kind = FRAME_OK;
    c->deliver.kind = FRAME_DELIVER;
    c->conn = calloc(RELAY_CONNECTIONS_MAX, sizeof *c->conn);
    c->stranger_places = calloc(RELAY_CONNECTIONS_MAX, sizeof *c->stranger_places);
    c->strangers = due_row_over(c->stranger_places);
    int rc = c->conn && c->stranger_places ? routes_new(&c->routes, RELAY_ROUTES, o->salt) : TACET_E_NOMEM;
    limiter **const limiters[] = { &c->registers, &c->bundles, &c->device_bundles, &c->requests, &c->changes, &c->lists, &c->contacts };
    for (size_t i = 0; rc == TACET_OK && i < sizeof limiters / sizeof *limiters; i++)
        rc = limiter_new(limiters[i], RELAY_LIMITER_ENTRIES, o->salt);
    if (rc != TACET_OK) {
        core_free(c);
        return rc;
    }
    *out = c;
    return TACET_OK;
}

static void job_free(core *c, job *j)
{
    if (j->kind == JOB_APPEND || j->kind == JOB_RESOLVE) {
        core_message_free(c, (message *)j);
        return;
    }
    if (j->kind == JOB_REQUEST) {
        request_job_free((request_job *)j);
        return;
    }
    if (j->kind == JOB_BLOB) {
        blob_job_free((blob_job *)j);
        return;
    }
    if (j->kind == JOB_CLEAN)
        free(((clean_job *)j)->expired);
    free(j);
}

core *core_free(core *c)
{
    if (!c)
        return NULL;
    for (uint32_t i = 0; c->conn && i < c->conns; i++) {
        if (c->conn[i].sub)
            free(c->conn[i].sub->ring);
        free(c->conn[i].sub);
    }
    for (job *j = c->first, *next; j; j = next) {
        next = j->next;
        job_free(c, j);
    }
    core_blobs_free(c);
    free(c->conn);
    free(c->stranger_places);
    promises_free(&c->accepts);
    mailboxes_free(&c->boxes);
    routes_free(c->routes);
    limiter_free(c->registers);
    limiter_free(c->bundles);
    limiter_free(c->device_bundles);
    limiter_free(c->requests);
    limiter_free(c->changes);
    limiter_free(c->lists);
    limiter_free(c->contacts);
    sodium_memzero(c, sizeof *c);
    free(c);
    return NULL;
}

void core_number_from(core *c, uint64_t first) { c->next_number = first; }

void core_age_from(core *c, uint64_t ms)
{
    if (ms)
        age_from(&c->age, ms);
    c->age_saved_ms = ms;
}

void core_configure(core *c, const core_config *config) { c->o.config = *config; }

int core_waiting(core *c, const relay_waiting *w)
{
    mailbox *box = mailboxes_get(&c->boxes, w->mailbox);
    if (!box)
        return TACET_E_NOMEM;
    box->messages = w->messages > UINT32_MAX ? UINT32_MAX : (uint32_t)w->messages;
    box->bytes = w->bytes;
    box->requests = w->requests > UINT16_MAX ? UINT16_MAX : (uint16_t)w->requests;
    c->boxes.messages += box->messages;
    c->boxes.bytes += box->bytes;
    return TACET_OK;
}

void core_time(core *c, uint64_t mono_us, uint64_t wall_ms)
{
    if (mono_us > c->now_us)
        c->now_us = mono_us;
    c->wall_ms = wall_ms;
    age_tell(&c->age, mono_us, wall_ms, c->o.config.expiry_speed);
}

bool core_wants_input(const core *c) { return c->memory < RELAY_MEMORY_MAX_BYTES; }

void core_stop(core *c) { c->stopping = true; }

bool core_idle(const core *c) { return !c->first && !c->group_out && !c->accepts.count && !c->verifying && core_blobs_idle(c); }

void core_count(const core *c, core_counters *out)
{
    *out = c->n;
    out->connections = c->open;
    out->subscriptions = c->subscriptions;
    out->expiry_behind_s = age_behind_s(&c->age);
    out->mailboxes = c->boxes.highest;
    out->queued_messages = c->boxes.messages;
    out->queued_bytes = c->boxes.bytes;
    out->memory_bytes = c->memory;
    out->window_memory_bytes = c->window_memory;
    out->blobs = c->blobs.known;
    out->blob_reserved_bytes = c->blobs.reserved_chunks * RELAY_CHUNK_ROOM_BYTES;
    out->chunk_memory_bytes = c->blobs.memory;
    out->watchers = c->blobs.watchers;
}

/* --- connections --------------------------------------------------------------------------------------------------------------------- */
conn *core_conn(core *c, conn_ref ref)
{
    if (ref.index >= c->conns)
        return NULL;
    conn *k = &c->conn[ref.index];
    return k->serial == ref.serial && k->state != CONN_FREE ? k : NULL;
}

static conn *conn_take(core *c)
{
    if (c->first_free != UINT32_MAX) {
        conn *k = &c->conn[c->first_free];
        c->first_free = k->next_free;
        return k;
    }
    return c->conns < RELAY_CONNECTIONS_MAX ? &c->conn[c->conns++] : NULL;
}

void core_strangers_end(core *c)
{
    uint32_t index;
    for (uint64_t until_us; due_next(&c->strangers, &index, &until_us) && until_us <= c->now_us;) {
        due_leave(&c->strangers, index);
        core_shut(c, &c->conn[index], true);
    }
}

int core_open(core *c, core_peer peer, unsigned role, const uint8_t transport_key[32], const uint8_t handshake_hash[64], uint64_t address,
              conn_ref *ref)
{
    if (c->open >= RELAY_CONNECTIONS_MAX)
        return TACET_E_QUOTA;
    login_job *l = NULL;
    if (transport_key) {
        l = calloc(1, sizeof *l);
        if (!l)
            return TACET_E_NOMEM;
    }
    conn *k = conn_take(c);
    if (!k) {
        free(l);
        return TACET_E_NOMEM;
    }
    *k = (conn){ .serial = k->serial + 1, .role = (uint8_t)role, .state = CONN_OPEN, .peer = peer, .address = address };
    memcpy(k->handshake_hash, handshake_hash, sizeof k->handshake_hash);
    *ref = core_ref(c, k);
    c->open++;
    c->n.connections_opened++;
    if (!l) {
        c->ports.ready(c->ports.ctx, peer);
        return TACET_OK;
    }
    k->state = CONN_LOGIN;
    due_join(&c->strangers, ref->index, c->now_us + RELAY_STRANGER_MS * 1000ull);
    memcpy(k->transport_key, transport_key, 32);
    memcpy(l->transport_key, transport_key, 32);
    l->job = (job){ .kind = JOB_LOGIN, .from = *ref, .charged = sizeof *l };
    core_charge(c, &l->job);
    core_queue(c, &l->job);
    return TACET_OK;
}

void core_shut(core *c, conn *k, bool flush)
{
    if (k->state == CONN_CLOSING)
        return;
    k->state = CONN_CLOSING;
    core_unsubscribe(c, k);
    core_unwatch_all(c, k);
    c->ports.close(c->ports.ctx, k->peer, flush);
}

void core_closed(core *c, conn_ref ref)
{
    conn *k = core_conn(c, ref);
    if (!k)
        return;
    core_unsubscribe(c, k);
    core_unwatch_all(c, k);
    (void)core_known_as(c, k, &(identity){ .mailbox = 0 });
    due_leave(&c->strangers, ref.index);
    uint32_t serial = k->serial;
    sodium_memzero(k, sizeof *k);
    k->serial = serial;
    k->state = CONN_FREE;
    k->next_free = c->first_free;
    c->first_free = ref.index;
    c->open--;
}

static uint32_t *chain_of(core *c, const uint8_t account[32])
{
    uint64_t h;
    crypto_shorthash((uint8_t *)&h, account, 32, c->o.salt);
    return &c->of_account[h % ACCOUNT_CHAINS];
}

static void chain_leave(core *c, const conn *k)
{
    uint32_t *at = chain_of(c, k->who.account);
    while (*at && &c->conn[*at - 1] != k)
        at = &c->conn[*at - 1].next_of_account;
    *at = k->next_of_account;
}

conn *core_of_account(core *c, const uint8_t account[32], const conn *after)
{
    uint32_t at = after ? after->next_of_account : *chain_of(c, account);
    while (at && sodium_memcmp(c->conn[at - 1].who.account, account, 32) != 0)
        at = c->conn[at - 1].next_of_account;
    return at ? &c->conn[at - 1] : NULL;
}

bool core_known_as(core *c, conn *k, const identity *who)
{
    mailbox *before = mailboxes_get(&c->boxes, k->who.mailbox);
    if (before && before->connections)
        before->connections--;
    if (k->who.mailbox)
        chain_leave(c, k);
    k->who = *who;
    k->next_of_account = 0;
    if (who->mailbox) {
        due_leave(&c->strangers, core_ref(c, k).index);
        uint32_t *first = chain_of(c, who->account);
        k->next_of_account = *first;
        *first = core_ref(c, k).index + 1;
    }
    mailbox *box = mailboxes_get(&c->boxes, who->mailbox);
    if (box)
        box->connections++;
    return !box || box->connections <= RELAY_DEVICE_CONNECTIONS_MAX;
}

void core_drained(core *c, conn_ref ref, uint32_t bytes)
{
    conn *k = core_conn(c, ref);
    if (!k)
        return;
    k->output = bytes < k->output ? k->output - bytes : 0;
    if (k->sub)
        core_pump(c, k);
    for (watcher *w = k->watches; w; w = w->next)
        core_watch_wake(c, w);
}

/* --- replies ------------------------------------------------------------------------------------------------------------------------- */
typedef void out_port(void *ctx, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies);
static void reply_by(core *c, out_port *out, conn *k, const uint8_t *stream, size_t bytes, unsigned replies)
{
    if (k->state == CONN_CLOSING || bytes == 0)
        return;
    k->requests -= replies < k->requests ? replies : k->requests;
    k->output += bytes;
    out(c->ports.ctx, k->peer, stream, bytes, replies);
    if (k->output > RELAY_OUTPUT_HARD_BYTES) {
        c->n.overrun++;
        core_shut(c, k, false);
    }
}

void core_reply(core *c, conn *k, const uint8_t *stream, size_t bytes, unsigned replies) { reply_by(c, c->ports.out, k, stream, bytes, replies); }

static void reply_frame(core *c, conn *k, const frame *f)
{
    size_t n = reply_into(f, c->scratch, sizeof c->scratch);
    if (n == 0)
        core_reply_error(c, core_ref(c, k), f->id, ERROR_INTERNAL);
    else
        core_reply(c, k, c->scratch, n, 1);
}

static void reply_ok_by(core *c, out_port *out, conn_ref to, uint32_t id)
{
    conn *k = core_conn(c, to);
    uint8_t bytes[32];
    c->ok.id = id;
    if (k)
        reply_by(c, out, k, bytes, reply_into(&c->ok, bytes, sizeof bytes), 1);
}

void core_reply_ok(core *c, conn_ref to, uint32_t id) { reply_ok_by(c, c->ports.out, to, id); }
void core_reply_ok_later(core *c, conn_ref to, uint32_t id) { reply_ok_by(c, c->ports.later ? c->ports.later : c->ports.out, to, id); }

void core_reply_error(core *c, conn_ref to, uint32_t id, error_code code)
{
    conn *k = core_conn(c, to);
    uint8_t bytes[REPLY_ERROR_MAX_BYTES];
    c->n.quota += code == ERROR_QUOTA;
    c->n.rate += code == ERROR_RATE;
    c->n.refused++;
    if (k)
        core_reply(c, k, bytes, reply_error(id, code, bytes), 1);
}

/* --- requests ------------------------------------------------------------------------------------------------------------------------ */
static void do_info(core *c, conn *k, const frame *f)
{
    frame r = { .kind = FRAME_INFO_REPLY, .id = f->id };
    r.info_reply.incarnation = (view){ c->o.incarnation, sizeof c->o.incarnation };
    r.info_reply.hour_s = c->wall_ms / 3600000 * 3600;
    r.info_reply.ttl_max_s = TACET_TTL_MAX_S;
    reply_frame(c, k, &r);
}

static void do_echo(core *c, conn *k, const frame *f)
{
    frame r = { .kind = FRAME_ECHO_REPLY, .id = f->id };
    r.echo.data = f->echo.data;
    reply_frame(c, k, &r);
}

static uint64_t device_key(const core *c, const frame *f)
{
    uint8_t target[36] = { 0 };
    uint64_t key;
    memcpy(target, f->bundle.account.at, 32);
    memcpy(target + 32, &f->bundle.device, 4);
    crypto_shorthash((uint8_t *)&key, target, sizeof target, c->o.salt);
    return key;
}

/* What needs the store: a copy of the request, bound to what the connection is. */
static request_job *request_of(core *c, conn *k, const frame *f, const uint8_t *body, size_t bytes)
{
    request_job *r = request_job_new(f->kind, body, bytes);
    if (!r)
        return NULL;
    r->job.from = core_ref(c, k);
    r->job.id = f->id;
    r->job.writes = directory_writes(r);
    r->who = k->who;
    memcpy(r->transport_key, k->transport_key, 32);
    memcpy(r->handshake_hash, k->handshake_hash, 64);
    memcpy(r->relay_key, c->o.relay_key, 32);
    r->now_s = c->wall_ms / 1000;
    r->policy = c->o.config.directory;
    r->address = k->address;
    r->address_paid = f->kind == FRAME_REGISTER || k->who.mailbox == 0; /* within_rate */
    r->new_devices = r->address_paid || limiter_take_many(c->registers, k->address, c->o.config.registers, 0, c->now_us / 1000);
    return r;
}

/* What has to be verified or written may be asked so often: by an address for new accounts, by a device, and by an account for its lists and for tokens
 * that it removes, because what those brought is looked for in all its mailboxes. */
static bool within_rate(core *c, const conn *k, const frame *f, uint64_t now_ms)
{
    frame_kind what = f->kind;
    const core_config *o = &c->o.config;
    if (what == FRAME_REGISTER || (what == FRAME_DEVICES && k->who.mailbox == 0))
        return limiter_take(c->registers, k->address, o->registers, now_ms);
    if (k->who.mailbox == 0 || !(directory_needs_verify(what) || what == FRAME_TOKENS))
        return true;
    uint64_t account = token_short(k->who.account);
    uint32_t removed = what == FRAME_TOKENS ? f->tokens.remove.count : 0;
    if (what == FRAME_DEVICES && !limiter_take(c->lists, account, o->lists, now_ms))
        return false;
    return limiter_take(c->changes, k->who.mailbox, o->changes, now_ms) &&
           (removed == 0 || limiter_take_many(c->changes, account, o->changes, 1 + (removed - 1) / RELAY_CHANGE_REMOVALS, now_ms));
}

static void do_directory(core *c, conn *k, const frame *f, const uint8_t *body, size_t bytes)
{
    uint64_t now_ms = c->now_us / 1000;
    if (!within_rate(c, k, f, now_ms)) {
        core_reply_error(c, core_ref(c, k), f->id, ERROR_RATE);
        return;
    }
    request_job *r = request_of(c, k, f, body, bytes);
    if (!r) {
        core_reply_error(c, core_ref(c, k), f->id, ERROR_INTERNAL);
        return;
    }
    core_charge(c, &r->job);
    if (f->kind == FRAME_BUNDLE)
        r->one_time_keys = limiter_take(c->bundles, k->address, c->o.config.bundles, now_ms) &&
                           limiter_take(c->device_bundles, device_key(c, f), c->o.config.device_bundles, now_ms);
    if (f->kind == FRAME_TOKENS && (f->tokens.remove.count || f->tokens.kind == TOKEN_REQUEST)) /* which replaces the old one */
        routes_forget(c->routes, k->who.account);
    if (f->kind == FRAME_TOKENS)
        core_forget_tokens(c, k->who.account, &f->tokens.remove);
    if (directory_needs_verify(f->kind)) {
        c->verifying++;
        c->ports.verify(c->ports.ctx, r);
        return;
    }
    core_queue(c, &r->job);
}

void core_verified(core *c, request_job *r)
{
    c->verifying--;
    if (r->verified) {
        if (r->what == FRAME_DEVICES && r->who.mailbox)
            routes_forget(c->routes, r->who.account);
        core_queue(c, &r->job);
        return;
    }
    core_reply_error(c, r->job.from, r->job.id, r->error);
    c->memory -= r->job.charged;
    request_job_free(r);
}

/* What a device may ask before its transport key is known. */
static bool needs_registration(frame_kind what)
{
    return what != FRAME_REGISTER && what != FRAME_DEVICES && what != FRAME_INFO && what != FRAME_ECHO;
}

/* 0: go on; else why not. */
static error_code admitted(const core *c, const conn *k, const frame *f)
{
    unsigned roles = frame_roles(f->kind);
    if (roles == 0)
        return ERROR_UNKNOWN_REQUEST; /* a reply, or an event: ours to say, not theirs */
    if (!(roles & 1u << k->role))
        return ERROR_WRONG_ROLE;
    if (c->stopping)
        return ERROR_STOPPING;
    if (k->role == 1 && k->who.mailbox == 0 && needs_registration(f->kind))
        return ERROR_NOT_REGISTERED;
    return 0;
}

static void dispatch(core *c, conn *k, const frame *f, const uint8_t *body, size_t bytes)
{
    switch ((int)f->kind) {
    case FRAME_INFO:
        do_info(c, k, f);
        return;
    case FRAME_ECHO:
        do_echo(c, k, f);
        return;
    case FRAME_SEND:
        core_send(c, k, f);
        return;
    case FRAME_SUBSCRIBE:
        core_subscribe(c, k, f);
        return;
    case FRAME_ACK:
        core_ack(c, k, f);
        return;
    case FRAME_BLOB_CREATE:
    case FRAME_PUT:
    case FRAME_BLOB_STATUS:
    case FRAME_BLOB_DROP:
    case FRAME_WATCH:
    case FRAME_HAVE:
    case FRAME_AGAIN:
        core_blob_frame(c, k, f, body, bytes);
        return;
    default:
        do_directory(c, k, f, body, bytes);
        return;
    }
}

void core_frame(core *c, conn_ref ref, const uint8_t *body, size_t bytes)
{
    conn *k = core_conn(c, ref);
    if (!k || k->state != CONN_OPEN)
        return;
    c->n.requests++;
    frame *f = &c->f;
    int rc = frame_decode(f, body, bytes);
    if ((rc != TACET_OK && rc != TACET_E_NOT_FOUND) || f->id == 0) {
        c->n.malformed++;
        core_shut(c, k, false);
        return;
    }
    if (++k->requests > RELAY_REQUESTS_PENDING_HARD) {
        c->n.overrun++;
        core_shut(c, k, false);
        return;
    }
    error_code no = rc == TACET_E_NOT_FOUND ? ERROR_UNKNOWN_REQUEST : admitted(c, k, f);
    if (no)
        core_reply_error(c, ref, f->id, no);
    else
        dispatch(c, k, f, body, bytes);
}
