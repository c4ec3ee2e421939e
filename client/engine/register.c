/* `init`: makes the account, registers it, publishes name and prekeys. Only when all of it is done does the profile have an account; interrupted, or
 * with a name that is taken, it can be said again and goes on with the same keys. */
#include "state.h"
#include <stdlib.h>
#include <sodium.h>
#include <string.h>

typedef enum { INIT_CONNECT, INIT_ASKED } init_step;

typedef struct {
    init_step step;
    uint8_t invite[TACET_TOKEN_BYTES];
    bool has_invite, unlisted;
} initing;

static void init_drop(op *o)
{
    sodium_memzero(o->data, sizeof(initing));
    free(o->data);
}

static op *current(engine *e);

static void init_end(engine *e)
{
    e->registering = false;
    if (e->me.stage != ACCOUNT_REGISTERED && e->mailbox < ENGINE_SLOTS_MAX) {
        slot_close(e, e->mailbox);
        e->slots[e->mailbox].used = false;
        e->mailbox = ENGINE_SLOTS_MAX;
    }
}

static void init_fail(engine *e, op *o, const frame *reply, const char *what)
{
    engine_error error;
    if (reply)
        error_of_frame(&error, reply, e->me.relay_text, what);
    else
        error_of_slot(e, e->mailbox, &error);
    op_fail(e, o, &error);
    init_end(e);
}

static void init_status(engine *e, op *o, int rc)
{
    engine_error error;
    error_of_status(e, &error, rc);
    op_fail(e, o, &error);
    init_end(e);
}

/* --- step by step: each answer asks the next question ------------------------------------------------------------------------------------------------ */
static void got_prekeys(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    if (!reply || reply->kind != FRAME_PREKEY_COUNTS) {
        init_fail(e, o, reply, "prekeys");
        return;
    }
    vault_token told = { .kind = TOKEN_REQUEST, .add = true };
    token_hash(told.hash, e->me.request_token);
    e->me.stage = ACCOUNT_REGISTERED;
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        rc = account_store(e);
        if (rc == TACET_OK)
            rc = prekeys_mark_published(e);
        if (rc == TACET_OK)
            rc = vault_token_done(e->vault, &told);
        if (rc == TACET_OK)
            rc = vault_number_put(e->vault, "name_published_s", now_s(e));
        rc = txn_end(e, rc);
    }
    if (rc != TACET_OK) {
        e->me.stage = ACCOUNT_MADE;
        init_status(e, o, rc);
        return;
    }
    e->registering = false;
    op_finish(e, o, account_json(e));
    mailbox_info(e, e->mailbox); /* once more, now that the answer can be kept */
    mailbox_link_up(e);
}

static void got_token(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    if (!reply || reply->kind != FRAME_OK)
        init_fail(e, o, reply, "tokens");
    else if (prekeys_publish(e, got_prekeys, arg) != TACET_OK)
        init_fail(e, o, NULL, NULL);
}

static void ask_token(engine *e, op *o)
{
    uint8_t hash[32];
    frame ask = { .kind = FRAME_TOKENS };
    token_hash(hash, e->me.request_token);
    ask.tokens.kind = TOKEN_REQUEST;
    ask.tokens.add.count = 1;
    ask.tokens.add.item[0] = (view){ hash, sizeof hash };
    if (slot_ask(e, e->mailbox, &ask, got_token, o->number) != TACET_OK)
        init_fail(e, o, NULL, NULL);
}

static void got_name(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    if (!reply || reply->kind != FRAME_OK)
        init_fail(e, o, reply, e->me.name);
    else
        ask_token(e, o);
}

static void got_registered(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    if (!reply || reply->kind != FRAME_OK)
        init_fail(e, o, reply, e->me.name);
    else if (!e->me.listed)
        ask_token(e, o);
    else if (publish_name(e, got_name, arg) != TACET_OK)
        init_fail(e, o, NULL, NULL);
}

/* Proof: the identity key signs this very connection and the list. */
static void ask_register(engine *e, op *o)
{
    initing *i = o->data;
    uint8_t object[64 + 32], proof[TACET_SIGNATURE_BYTES];
    memcpy(object, e->slots[e->mailbox].hash, 64);
    memcpy(object + 64, e->me.list.hash, 32);
    object_sign(proof, SIGN_REGISTER, &e->me.list.account, 0, object, sizeof object, e->me.secret->ik);
    frame ask = { .kind = FRAME_REGISTER };
    ask.register_.list = (view){ e->me.signed_list, e->me.signed_list_bytes };
    ask.register_.device = e->me.device;
    ask.register_.proof = (view){ proof, sizeof proof };
    if (i->has_invite)
        ask.register_.invite = (view){ i->invite, sizeof i->invite };
    i->step = INIT_ASKED;
    if (slot_ask(e, e->mailbox, &ask, got_registered, o->number) != TACET_OK)
        init_fail(e, o, NULL, NULL);
}

static void init_wake(engine *e, op *o)
{
    initing *i = o->data;
    if (i->step != INIT_CONNECT)
        return;
    if (e->mailbox == ENGINE_SLOTS_MAX || e->offline || e->slots[e->mailbox].failed) {
        init_fail(e, o, NULL, NULL);
    } else if (e->slots[e->mailbox].up && e->clock_known) { /* the first answer tells the relay's clock */
        if (clock_off(e)) {
            say_clock(e, o);
            init_end(e);
        } else {
            ask_register(e, o);
        }
    }
}

static op *current(engine *e)
{
    for (op *o = e->ops; o; o = o->next)
        if (o->wake == init_wake)
            return o;
    return NULL;
}

void register_link_up(engine *e) { e->woken = e->woken || current(e) != NULL; }

/* --- the call -------------------------------------------------------------------------------------------------------------------------------------------------- */
/* Keys of an earlier attempt on the same relay are used again: the relay may know them already. */
static int prepare(engine *e, const relay_address *relay, const char *name, bool listed)
{
    int rc = txn_begin(e);
    if (rc != TACET_OK)
        return rc;
    if (e->me.stage == ACCOUNT_MADE && strcmp(e->me.relay.host, relay->host) == 0 && e->me.relay.port == relay->port &&
        memcmp(e->me.relay.key, relay->key, sizeof relay->key) == 0) {
        text_put(e->me.name, sizeof e->me.name, name);
        text_put(e->me.proxy, sizeof e->me.proxy, e->proxy);
        e->me.listed = listed;
        rc = account_store(e);
        if (rc == TACET_OK)
            rc = prekeys_first(e);
    } else {
        if (e->me.stage == ACCOUNT_MADE)
            rc = vault_prekey_remove_all(e->vault);
        if (rc == TACET_OK)
            rc = account_make(e, relay, name, listed);
    }
    rc = txn_end(e, rc);
    if (rc != TACET_OK && account_load(e) != TACET_OK)
        e->me.stage = ACCOUNT_NONE;
    return rc;
}

void call_init(engine *e, json_t *params, engine_done done, void *ctx)
{
    const char *relay_text = param_text(params, "relay"), *name = param_text(params, "name"), *invite = param_text(params, "invite");
    relay_address relay;
    if (e->me.stage == ACCOUNT_RESTORED) {
        complete_say(e, done, ctx, SAY_RESTORE_UNFINISHED, NULL, NULL);
        return;
    }
    if (engine_has_account(e) || e->registering) {
        complete_say(e, done, ctx, SAY_ACCOUNT_EXISTS, e->me.name, NULL);
        return;
    }
    if (!relay_text || !name) {
        complete_bad_param(e, done, ctx, "init", relay_text ? "name" : "relay");
        return;
    }
    if (!name_valid(name, strlen(name))) {
        complete_say(e, done, ctx, SAY_BAD_NAME, name, NULL);
        return;
    }
    if (strlen(relay_text) > TACET_RELAY_ADDRESS_MAX_BYTES || relay_address_parse(&relay, relay_text) != TACET_OK) {
        complete_say(e, done, ctx, SAY_BAD_RELAY, NULL, NULL);
        return;
    }
    initing *i = calloc(1, sizeof *i);
    if (!i) {
        complete(e, done, ctx, NULL, NULL);
        return;
    }
    if (invite && base32_decode(i->invite, sizeof i->invite, invite, strlen(invite)) != TACET_OK) {
        free(i);
        complete_say(e, done, ctx, SAY_INVITE, relay_text, NULL);
        return;
    }
    i->has_invite = invite != NULL;
    i->unlisted = param_bool(params, "unlisted");
    int rc = prepare(e, &relay, name, !i->unlisted);
    if (rc != TACET_OK) {
        free(i);
        complete_status(e, done, ctx, rc);
        return;
    }
    op *o = op_new(e, done, ctx, init_wake, init_drop, i);
    if (!o)
        return;
    e->registering = true;
    e->clock_known = false;
    mailbox_want(e, true);
}
