/* `add` and the network half of `trust`: find out who it is, fetch and check their keys, make the request, and wait until their relay has it. */
#include "state.h"
#include <stdlib.h>
#include <string.h>

typedef enum { ADD_LOOKUP, ADD_LOOKING, ADD_FETCHING, ADD_SENDING } add_step;

typedef struct {
    add_step step;
    request_plan plan;
    bool by_name;
    char text[TACET_REQUEST_TEXT_MAX_BYTES + 1];
    size_t slot; /* own relay's directory */
    int64_t contact, row;
    /* `trust`: the contact whose name goes over to the new account; the plan's account must be what the directory says. 0: plain add. */
    int64_t heir_of;
} adding;

static void answer_contact(engine *e, op *o, int64_t id)
{
    vault_contact c;
    engine_error error;
    int rc = vault_contact_get(e->vault, id, &c);
    if (rc == TACET_OK) {
        op_finish(e, o, json_contact(e, &c));
        return;
    }
    error_of_status(e, &error, rc);
    op_fail(e, o, &error);
}

static void fail_status(engine *e, op *o, int rc)
{
    engine_error error;
    error_of_status(e, &error, rc);
    op_fail(e, o, &error);
}

/* --- the request ----------------------------------------------------------------------------------------------------------------------------------- */
static void got_keys(engine *e, uint64_t arg, const fetched *f)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    adding *a = o->data;
    vault_contact c;
    if (f->status != TACET_OK) {
        op_fail(e, o, &f->error);
        return;
    }
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        rc = vault_contact_by_account(e->vault, a->plan.account.bytes, &c); /* they may have asked meanwhile */
        if (rc == TACET_OK) {
            a->row = 0;
            rc = c.state == VAULT_CONTACT_PENDING ? request_accept(e, &c) : TACET_OK;
        } else if (rc == TACET_E_NOT_FOUND) {
            rc = request_make(e, &a->plan, f, &c, &a->row);
        }
        if (rc == TACET_OK && a->heir_of)
            rc = trust_move(e, a->heir_of, &c);
        rc = txn_end(e, rc);
    }
    if (rc != TACET_OK) {
        fail_status(e, o, rc > 0 ? TACET_E_BUG : rc);
        return;
    }
    a->contact = c.id;
    a->step = ADD_SENDING;
    mailbox_want(e, true);
    mailbox_tokens(e);
    e->woken = true;
}

/* A request that nobody takes makes no contact. */
static int forget_contact(engine *e, int64_t id)
{
    vault_contact c;
    int rc = txn_begin(e);
    if (rc != TACET_OK)
        return rc;
    rc = vault_contact_get(e->vault, id, &c);
    if (rc == TACET_OK)
        rc = contact_take_token(e, &c);
    if (rc == TACET_OK)
        rc = vault_contact_remove(e->vault, id);
    return txn_end(e, rc);
}

/* It stays in the outbox: the relay that it waits for cannot be reached, or does not take it now. True when the call is ended. */
static bool stuck(engine *e, op *o)
{
    adding *a = o->data;
    engine_error error;
    size_t theirs = slot_for_text(e, a->plan.relay_text, TACET_ROLE_OPEN);
    if (e->slots[e->mailbox].failed)
        error_of_slot(e, e->mailbox, &error);
    else if (theirs < ENGINE_SLOTS_MAX && e->slots[theirs].failed)
        error_of_slot(e, theirs, &error);
    else if (e->tokens_refused)
        error = e->tokens_error;
    else if (e->refused_row == a->row)
        error = e->refused;
    else
        return false;
    op_fail(e, o, &error);
    return true;
}

static void look_at_row(engine *e, op *o)
{
    adding *a = o->data;
    uint32_t state = 0;
    int rc = a->row ? outbox_row_state(e, a->row, &state) : TACET_E_NOT_FOUND;
    if (rc < 0) {
        fail_status(e, o, rc);
    } else if (rc == TACET_E_NOT_FOUND && a->row && e->refused_row == a->row) {
        engine_error error = e->refused;
        rc = a->heir_of ? TACET_OK : forget_contact(e, a->contact);
        if (rc != TACET_OK)
            fail_status(e, o, rc > 0 ? TACET_E_BUG : rc);
        else
            op_fail(e, o, &error);
    } else if (rc == TACET_E_NOT_FOUND || state == VAULT_OUT_STORED) {
        answer_contact(e, o, a->contact);
    } else {
        (void)stuck(e, o);
    }
}

/* --- the directory ------------------------------------------------------------------------------------------------------------------------------------ */
static void fetch_keys(engine *e, op *o)
{
    adding *a = o->data;
    a->step = ADD_FETCHING;
    fetch_start(e, &a->plan.account, a->plan.relay_text, a->plan.name, NULL, 0, true, got_keys, o->number);
}

/* The directory names another account for a contact that we know by this name: nothing is added, the change is shown. */
static bool name_has_moved(engine *e, op *o, const account_id *account)
{
    adding *a = o->data;
    vault_contact c;
    if (a->heir_of)
        return false;
    int rc = vault_contact_by_name(e->vault, a->plan.name, relay_key_of(e->me.relay_text), account->bytes, &c);
    if (rc == TACET_E_NOT_FOUND || (rc == TACET_OK && c.state == VAULT_CONTACT_PENDING))
        return false;
    if (rc == TACET_OK)
        rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, contact_changed(e, &c, account->bytes));
    if (rc == TACET_OK)
        op_say(e, o, SAY_KEY_CHANGED, c.alias, NULL);
    else
        fail_status(e, o, rc);
    return true;
}

static void got_entry(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    adding *a = o->data;
    directory_entry entry;
    engine_error error;
    if (!reply) {
        error_of_slot(e, a->slot, &error);
        op_fail(e, o, &error);
        return;
    }
    if (reply->kind == FRAME_ERROR && reply->error.code == ERROR_NOT_FOUND) {
        op_say(e, o, SAY_NO_NAME, a->plan.name, NULL);
        return;
    }
    if (reply->kind != FRAME_LOOKUP_REPLY) {
        error_of_frame(&error, reply, e->me.relay_text, a->plan.name);
        op_fail(e, o, &error);
        return;
    }
    int rc = directory_entry_decode(&entry, reply->lookup_reply.entry.at, reply->lookup_reply.entry.bytes, now_s(e));
    bool fits = rc == TACET_OK && strcmp(entry.name, a->plan.name) == 0 && memcmp(entry.relay, e->me.relay.key, sizeof entry.relay) == 0;
    if (!fits || (a->heir_of && memcmp(&entry.account, &a->plan.account, sizeof entry.account) != 0)) {
        op_say(e, o, SAY_DIRECTORY_FORGED, a->plan.name, NULL);
        return;
    }
    if (memcmp(&entry.account, &e->me.list.account, sizeof entry.account) == 0) {
        op_say(e, o, SAY_SELF, NULL, NULL);
        return;
    }
    if (name_has_moved(e, o, &entry.account))
        return;
    a->plan.account = entry.account;
    memcpy(a->plan.request_token, entry.request_token, sizeof a->plan.request_token);
    fetch_keys(e, o);
}

static void look_up(engine *e, op *o)
{
    adding *a = o->data;
    engine_error error;
    if (a->slot == ENGINE_SLOTS_MAX || e->offline || e->slots[a->slot].failed) {
        error_of_slot(e, a->slot, &error);
        op_fail(e, o, &error);
        return;
    }
    if (!e->slots[a->slot].up)
        return;
    frame ask = { .kind = FRAME_LOOKUP };
    ask.lookup.name = (view){ (const uint8_t *)a->plan.name, strlen(a->plan.name) };
    a->step = ADD_LOOKING;
    if (slot_ask(e, a->slot, &ask, got_entry, o->number) != TACET_OK) {
        error_of_slot(e, a->slot, &error);
        op_fail(e, o, &error);
    }
}

static void add_wake(engine *e, op *o)
{
    adding *a = o->data;
    if (clock_off(e)) {
        say_clock(e, o);
        return;
    }
    if (a->step == ADD_LOOKUP)
        look_up(e, o);
    else if (a->step == ADD_SENDING)
        look_at_row(e, o);
}

static void add_begin(engine *e, adding *a, engine_done done, void *ctx)
{
    a->plan.text = a->text[0] ? a->text : NULL;
    a->slot = slot_for(e, &e->me.relay, TACET_ROLE_OPEN);
    mailbox_want(e, true);
    if (a->by_name && a->slot < ENGINE_SLOTS_MAX)
        slot_want(e, a->slot, true);
    op *o = op_new(e, done, ctx, add_wake, NULL, a);
    if (o && !a->by_name)
        fetch_keys(e, o);
}

/* --- `add` ------------------------------------------------------------------------------------------------------------------------------------------------ */
/* Somebody we know: they asked (then this is the answer), or it was done before. True when the call is completed. */
static bool known_already(engine *e, const uint8_t account[32], engine_done done, void *ctx)
{
    vault_contact c;
    int rc = vault_contact_by_account(e->vault, account, &c);
    if (rc == TACET_E_NOT_FOUND)
        return false;
    if (rc == TACET_OK && c.state == VAULT_CONTACT_PENDING) {
        rc = txn_begin(e);
        if (rc == TACET_OK)
            rc = txn_end(e, request_accept(e, &c));
        mailbox_tokens(e);
    }
    if (rc == TACET_OK)
        complete(e, done, ctx, json_contact(e, &c), NULL);
    else
        complete_status(e, done, ctx, rc);
    return true;
}

/* TACET_OK, or TACET_E_REFUSED when the call is completed with an error. */
static int plan_target(engine *e, adding *a, const char *target, engine_done done, void *ctx)
{
    contact_link l;
    int rc = contact_link_parse(&l, target);
    if (rc == TACET_OK) {
        relay_address_format(a->plan.relay_text, &l.relay); /* no longer than the link that it came from */
        a->plan.account = l.account;
        memcpy(a->plan.request_token, l.request_token, sizeof a->plan.request_token);
        text_put(a->plan.name, sizeof a->plan.name, l.name);
    } else if (!strstr(target, "://")) {
        a->by_name = true;
        text_put(a->plan.name, sizeof a->plan.name, target);
        text_put(a->plan.relay_text, sizeof a->plan.relay_text, e->me.relay_text);
    }
    if (rc != TACET_OK && !a->by_name) {
        complete_say(e, done, ctx, SAY_BAD_LINK, NULL, NULL);
        return TACET_E_REFUSED;
    }
    if (a->by_name && !name_valid(target, strlen(target))) {
        complete_say(e, done, ctx, SAY_BAD_NAME, target, NULL);
        return TACET_E_REFUSED;
    }
    return TACET_OK;
}

void call_add(engine *e, json_t *params, engine_done done, void *ctx)
{
    const char *target = param_text(params, "target"), *as = param_text(params, "as"), *text = param_text(params, "text");
    if (!target) {
        complete_bad_param(e, done, ctx, "add", "target");
        return;
    }
    if (as && !name_valid(as, strlen(as))) {
        complete_say(e, done, ctx, SAY_BAD_NAME, as, NULL);
        return;
    }
    if (text && strlen(text) > TACET_REQUEST_TEXT_MAX_BYTES) {
        complete_say(e, done, ctx, SAY_REQUEST_LONG, "1024", NULL);
        return;
    }
    adding *a = calloc(1, sizeof *a);
    if (!a) {
        complete(e, done, ctx, NULL, NULL);
        return;
    }
    if (plan_target(e, a, target, done, ctx) != TACET_OK) {
        free(a);
        return;
    }
    text_put(a->plan.alias, sizeof a->plan.alias, as ? as : a->plan.name);
    text_put(a->text, sizeof a->text, text ? text : "");
    if (!a->by_name && memcmp(&a->plan.account, &e->me.list.account, sizeof a->plan.account) == 0) {
        free(a);
        complete_say(e, done, ctx, SAY_SELF, NULL, NULL);
    } else if (!a->by_name && known_already(e, a->plan.account.bytes, done, ctx)) {
        free(a);
    } else {
        add_begin(e, a, done, ctx);
    }
}

void add_heir(engine *e, const vault_contact *old, engine_done done, void *ctx)
{
    adding *a = calloc(1, sizeof *a);
    if (!a) {
        complete(e, done, ctx, NULL, NULL);
        return;
    }
    a->by_name = true;
    a->heir_of = old->id;
    memcpy(a->plan.account.bytes, old->changed_account, sizeof a->plan.account.bytes);
    text_put(a->plan.name, sizeof a->plan.name, old->name);
    text_put(a->plan.alias, sizeof a->plan.alias, old->name);
    text_put(a->plan.relay_text, sizeof a->plan.relay_text, e->me.relay_text);
    add_begin(e, a, done, ctx);
}
