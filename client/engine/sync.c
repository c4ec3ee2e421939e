/* The methods about the connection: sync, ping, status, link, settings. */
#include "state.h"
#include <stdlib.h>
#include <string.h>

/* --- sync ------------------------------------------------------------------------------------------------------------------------------------------------ */
static bool own_op_runs(const engine *e)
{
    for (const op *o = e->ops; o; o = o->next)
        if (!o->done)
            return true; /* a fetch for something that waits */
    return false;
}

static void sync_wake(engine *e, op *o)
{
    engine_error error;
    if (e->offline || e->mailbox == ENGINE_SLOTS_MAX || e->slots[e->mailbox].failed) {
        error_of_slot(e, e->mailbox, &error);
        op_fail(e, o, &error);
        return;
    }
    uint64_t queued = 0;
    if (!engine_online(e) || e->tokens_asked || own_op_runs(e) || !outbox_idle(e) || files_busy(e) || e->receipt_due_ms <= now_ms(e))
        return;
    int rc = vault_out_count(e->vault, &queued);
    if (rc != TACET_OK) {
        error_of_status(e, &error, rc);
        op_fail(e, o, &error);
        return;
    }
    json_t *result = json_event("sync");
    json_object_set_new(result, "online", json_true());
    json_object_set_new(result, "queued", json_integer((json_int_t)queued));
    op_finish(e, o, result);
}

void call_sync(engine *e, json_t *params, engine_done done, void *ctx)
{
    (void)params;
    e->fault.code = NULL;
    mailbox_want(e, true);
    for (size_t i = 0; i < e->lane_count; i++) /* somebody waits: what failed before is tried at once */
        if (e->lanes[i].slot < ENGINE_SLOTS_MAX && e->lanes[i].dirty && !e->lanes[i].blocked)
            slot_want(e, e->lanes[i].slot, true);
    (void)op_new(e, done, ctx, sync_wake, NULL, calloc(1, 1));
}

/* --- ping -------------------------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    size_t left;
    bool under_way;
    uint64_t sent_us;
    json_t *rtt;
} pinging;

static void ping_drop(op *o)
{
    pinging *p = o->data;
    json_decref(p->rtt);
    free(p);
}

static void got_echo(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    engine_error error;
    if (!o)
        return;
    pinging *p = o->data;
    if (!reply || reply->kind != FRAME_ECHO_REPLY) {
        if (reply)
            error_of_frame(&error, reply, e->me.relay_text, "ping");
        else
            error_of_slot(e, e->mailbox, &error);
        op_fail(e, o, &error);
        return;
    }
    json_array_append_new(p->rtt, json_integer((json_int_t)(mono_ms(e) - p->sent_us)));
    p->under_way = false;
    p->left--;
}

static void ping_wake(engine *e, op *o)
{
    pinging *p = o->data;
    engine_error error;
    uint8_t data[16];
    if (e->offline || e->mailbox == ENGINE_SLOTS_MAX || e->slots[e->mailbox].failed) {
        error_of_slot(e, e->mailbox, &error);
        op_fail(e, o, &error);
    } else if (p->left == 0) {
        json_t *result = json_event("ping");
        json_object_set(result, "rtt_ms", p->rtt);
        op_finish(e, o, result);
    } else if (e->slots[e->mailbox].up && !p->under_way) {
        frame ask = { .kind = FRAME_ECHO };
        env_random(e->env, data, sizeof data);
        ask.echo.data = (view){ data, sizeof data };
        p->sent_us = mono_ms(e);
        p->under_way = slot_ask(e, e->mailbox, &ask, got_echo, o->number) == TACET_OK;
    }
}

void call_ping(engine *e, json_t *params, engine_done done, void *ctx)
{
    int64_t count = param_int(params, "count", 1);
    pinging *p = calloc(1, sizeof *p);
    if (p) {
        p->left = (size_t)(count < 1 ? 1 : count > ENGINE_PING_MAX ? ENGINE_PING_MAX : count);
        p->rtt = json_array();
    }
    mailbox_want(e, true);
    (void)op_new(e, done, ctx, ping_wake, ping_drop, p);
}

/* --- link ----------------------------------------------------------------------------------------------------------------------------------------------------- */
static json_t *link_json(const engine *e)
{
    char text[TACET_LINK_MAX_CHARS + 1];
    account_link(e, text);
    json_t *o = json_event("link");
    json_object_set_new(o, "link", json_string(text));
    return o;
}

/* Until the relay has confirmed the new token. */
static void link_wake(engine *e, op *o)
{
    engine_error error;
    vault_token wish[8];
    size_t count = 0;
    bool waits = false;
    int rc = vault_token_list(e->vault, wish, sizeof wish / sizeof *wish, &count);
    for (size_t i = 0; i < count; i++)
        waits = waits || wish[i].kind == TOKEN_REQUEST;
    if (rc != TACET_OK) {
        error_of_status(e, &error, rc);
        op_fail(e, o, &error);
    } else if (!waits) {
        op_finish(e, o, link_json(e));
    } else if (e->offline || e->slots[e->mailbox].failed) {
        error_of_slot(e, e->mailbox, &error);
        op_fail(e, o, &error);
    }
}

static int new_request_token(engine *e)
{
    vault_token wish = { .kind = TOKEN_REQUEST, .add = true };
    uint8_t old[TACET_TOKEN_BYTES];
    memcpy(old, e->me.request_token, sizeof old);
    env_random(e->env, e->me.request_token, sizeof e->me.request_token);
    token_hash(wish.hash, e->me.request_token);
    int rc = account_store(e);
    if (rc == TACET_OK)
        rc = vault_token_put(e->vault, &wish);
    if (rc == TACET_OK)
        rc = vault_number_put(e->vault, "name_published_s", 0);
    if (rc != TACET_OK)
        memcpy(e->me.request_token, old, sizeof old);
    return rc;
}

void call_link(engine *e, json_t *params, engine_done done, void *ctx)
{
    if (!param_bool(params, "new")) {
        complete(e, done, ctx, link_json(e), NULL);
        return;
    }
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, new_request_token(e));
    if (rc != TACET_OK) {
        complete_status(e, done, ctx, rc);
        return;
    }
    mailbox_want(e, true);
    e->tokens_asked = false;
    mailbox_tokens(e);
    mailbox_name(e);
    (void)op_new(e, done, ctx, link_wake, NULL, calloc(1, 1));
}

/* --- status and settings ------------------------------------------------------------------------------------------------------------------------------------ */
void call_status(engine *e, json_t *params, engine_done done, void *ctx)
{
    (void)params;
    uint64_t queued = 0, bytes = 0, quarantined = 0;
    int rc = vault_out_count(e->vault, &queued);
    if (rc == TACET_OK)
        rc = vault_bytes(e->vault, &bytes);
    if (rc == TACET_OK)
        rc = vault_quarantine_count(e->vault, &quarantined);
    if (rc != TACET_OK) {
        complete_status(e, done, ctx, rc);
        return;
    }
    json_t *o = json_event("status");
    json_object_set_new(o, "online", json_boolean(engine_online(e)));
    json_object_set_new(o, "account", engine_has_account(e) ? json_string(e->me.name) : json_null());
    json_object_set_new(o, "relay", e->me.stage == ACCOUNT_NONE ? json_null() : json_string(e->me.relay_text));
    json_object_set_new(o, "clock_offset_s", e->clock_known ? json_integer(e->clock_offset_s) : json_null());
    json_object_set_new(o, "queued", json_integer((json_int_t)queued));
    json_object_set_new(o, "vault_bytes", json_integer((json_int_t)bytes));
    json_object_set_new(o, "quarantined", json_integer((json_int_t)quarantined));
    json_object_set_new(o, "prekeys_handed_out", json_integer((json_int_t)e->handed_out));
    json_object_set_new(o, "read_receipts", json_boolean(e->me.read_receipts));
    complete(e, done, ctx, o, NULL);
}

/* Every page of the vault. Nothing else is done meanwhile. */
void call_check(engine *e, json_t *params, engine_done done, void *ctx)
{
    (void)params;
    char where[160] = "";
    int rc = inbox_flush(e); /* it wants no transaction around it */
    if (rc == TACET_OK)
        rc = database_check(vault_database(e->vault), where, sizeof where);
    if (rc != TACET_OK && rc != TACET_E_CORRUPT) {
        complete_status(e, done, ctx, rc);
        return;
    }
    json_t *o = json_event("check");
    json_object_set_new(o, "sound", json_boolean(rc == TACET_OK));
    json_object_set_new(o, "where", rc == TACET_OK ? json_null() : json_string(where));
    complete(e, done, ctx, o, NULL);
}

void call_settings(engine *e, json_t *params, engine_done done, void *ctx)
{
    json_t *read = json_object_get(params, "read_receipts");
    int rc = TACET_OK;
    if (!files_settings(e, params, done, ctx))
        return;
    if (json_is_boolean(read)) {
        bool before = e->me.read_receipts;
        e->me.read_receipts = json_is_true(read);
        rc = txn_begin(e);
        if (rc == TACET_OK)
            rc = txn_end(e, account_store(e));
        if (rc != TACET_OK)
            e->me.read_receipts = before;
    }
    if (rc != TACET_OK) {
        complete_status(e, done, ctx, rc);
        return;
    }
    json_t *o = json_event("settings");
    json_object_set_new(o, "read_receipts", json_boolean(e->me.read_receipts));
    files_settings_json(e, o);
    complete(e, done, ctx, o, NULL);
}
