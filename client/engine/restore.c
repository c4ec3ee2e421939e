/* `restore`: a backup becomes a new device of its account (PROTOCOL.md §9.2). What the file brings is one transaction; then the relay's lists must go
 * on from the backup's; the next list names this device alone; the relay takes it, and the prekeys; at last everybody is told and what had not
 * arrived goes out. Killed at any point, the same command goes on with the same device keys. */
#include "identity/prekey.h"
#include "restore.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

typedef enum { RESTORE_LISTS, RESTORE_CONNECT, RESTORE_ASKED } restore_step;

typedef struct {
    restore_step step;
    restored counts;
    device_list next;
    uint8_t signed_next[TACET_DEVICE_LIST_MAX_BYTES];
    size_t signed_bytes;
    uint32_t device;
} restoring;

static void restore_end(engine *e)
{
    e->registering = false;
    if (e->me.stage != ACCOUNT_REGISTERED && e->mailbox < ENGINE_SLOTS_MAX) {
        slot_close(e, e->mailbox);
        e->slots[e->mailbox].used = false;
        e->mailbox = ENGINE_SLOTS_MAX;
    }
}

static void restore_fail(engine *e, op *o, const engine_error *error)
{
    op_fail(e, o, error);
    restore_end(e);
}

static void fail_reply(engine *e, op *o, const frame *reply, const char *what)
{
    engine_error error;
    if (reply)
        error_of_frame(&error, reply, e->me.relay_text, what);
    else
        error_of_slot(e, e->mailbox, &error);
    restore_fail(e, o, &error);
}

static void fail_status(engine *e, op *o, int rc)
{
    engine_error error;
    error_of_status(e, &error, rc);
    restore_fail(e, o, &error);
}

/* --- at last: everybody is told ------------------------------------------------------------------------------------------------------- */
static bool copy_text(void *ctx, const vault_message *m)
{
    vault_message *copy = ctx;
    uint8_t *room = (uint8_t *)(uintptr_t)copy->text.at;
    size_t n = m->text.bytes < TACET_REQUEST_TEXT_MAX_BYTES ? m->text.bytes : TACET_REQUEST_TEXT_MAX_BYTES;
    *copy = *m;
    if (n)
        memcpy(room, m->text.at, n);
    copy->text = (vault_blob){ room, n };
    return true;
}

/* Whoever has not answered our request is asked once more: who knows it already shows nothing new. */
static int ask_again(engine *e, vault_contact *c)
{
    uint8_t text[TACET_REQUEST_TEXT_MAX_BYTES];
    vault_message m = { .text = { text, 0 } };
    int64_t row = 0;
    size_t count = 0;
    content k = { .kind = CONTENT_REQUEST, .time_ms = now_ms(e) };
    int rc = vault_messages_open(e->vault, c->id, VAULT_REQUEST_TEXT, 0, &row, 1, &count);
    if (rc == TACET_OK && count)
        rc = vault_message_each_row(e->vault, row, copy_text, &m);
    env_random(e->env, k.id, sizeof k.id);
    if (count)
        memcpy(k.id, m.id, sizeof k.id);
    k.request.name = (view){ (const uint8_t *)e->me.name, strlen(e->me.name) };
    k.request.relay = (view){ (const uint8_t *)e->me.relay_text, strlen(e->me.relay_text) };
    k.request.token = (view){ c->our_token, sizeof c->our_token };
    k.request.text = (view){ m.text.at, m.text.bytes };
    if (rc == TACET_OK && !c->has_ours)
        rc = TACET_E_CORRUPT; /* who asks has given a token */
    return rc == TACET_OK ? outbox_content(e, c, &k, VAULT_OUT_REQUEST, count ? row : 0) : rc;
}

static bool copy_head(void *ctx, const vault_message *m)
{
    vault_message *head = ctx;
    *head = *m;
    head->text = head->raw = (vault_blob){ NULL, 0 };
    return true;
}

static int text_again(engine *e, vault_contact *c, int64_t row)
{
    vault_message m = { 0 };
    int rc = vault_message_each_row(e->vault, row, copy_head, &m);
    if (rc == TACET_OK && now_ms(e) > m.time_ms + (uint64_t)TACET_TTL_MAX_S * 1000)
        return vault_message_state(e->vault, row, VAULT_EXPIRED);
    return rc == TACET_OK ? outbox_send(e, c, row, false) : rc;
}

/* What has no `delivered` goes again, to come once: the text and its id are the old ones. What no relay would keep any more is given up. */
static int texts_again(engine *e, vault_contact *c)
{
    int64_t rows[64], after = 0;
    size_t count = 0;
    int rc = TACET_OK;
    do {
        rc = vault_messages_open(e->vault, c->id, VAULT_TEXT, after, rows, 64, &count);
        for (size_t i = 0; rc == TACET_OK && i < count; i++)
            rc = text_again(e, c, after = rows[i]);
    } while (rc == TACET_OK && count == 64);
    return rc == TACET_OK ? outbox_release(e, c) : rc;
}

static int contact_resume(engine *e, vault_contact *c)
{
    int rc = TACET_OK;
    if (c->blocked || c->state == VAULT_CONTACT_PENDING)
        return TACET_OK;
    if (c->state == VAULT_CONTACT_REQUESTED)
        rc = ask_again(e, c);
    else if (c->has_theirs)
        rc = request_answer(e, c); /* from the new device: what they have on its way to the lost one comes here */
    return rc == TACET_OK ? texts_again(e, c) : rc;
}

static int contacts_resume(engine *e)
{
    int64_t *ids = NULL;
    size_t count = 0;
    int rc = contacts_all(e->vault, &ids, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        vault_contact c;
        rc = vault_contact_get(e->vault, ids[i], &c);
        if (rc == TACET_OK)
            rc = contact_resume(e, &c);
    }
    free(ids);
    return rc;
}

static int resume(engine *e)
{
    int rc = account_store(e);
    if (rc == TACET_OK)
        rc = prekeys_mark_published(e);
    if (rc == TACET_OK)
        rc = tokens_again(e);
    if (rc == TACET_OK)
        rc = vault_number_put(e->vault, "name_published_s", 0);
    return rc == TACET_OK ? contacts_resume(e) : rc;
}

static void restore_done(engine *e, op *o)
{
    restoring *r = o->data;
    e->me.stage = ACCOUNT_REGISTERED;
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, resume(e));
    if (rc != TACET_OK) {
        e->me.stage = ACCOUNT_RESTORED;
        fail_status(e, o, rc > 0 ? TACET_E_BUG : rc);
        return;
    }
    json_t *result = account_json(e);
    json_object_set_new(result, "contacts", json_integer((json_int_t)r->counts.contacts));
    json_object_set_new(result, "messages", json_integer((json_int_t)r->counts.messages));
    e->registering = false;
    op_finish(e, o, result);
    mailbox_info(e, e->mailbox);
    mailbox_link_up(e);
}

/* --- the relay ------------------------------------------------------------------------------------------------------------------------ */
static void got_prekeys(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    if (!reply || reply->kind != FRAME_PREKEY_COUNTS)
        fail_reply(e, o, reply, "prekeys");
    else
        restore_done(e, o);
}

/* The relay has the list: from here on we are that device. */
static int become_device(engine *e, const restoring *r)
{
    e->me.list = r->next;
    memcpy(e->me.signed_list, r->signed_next, r->signed_bytes);
    e->me.signed_list_bytes = r->signed_bytes;
    e->me.device = r->device;
    int rc = account_store(e);
    return rc == TACET_OK ? prekeys_first(e) : rc;
}

static void got_devices(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    if (!reply || reply->kind != FRAME_OK) {
        fail_reply(e, o, reply, e->me.name);
        return;
    }
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, become_device(e, o->data));
    if (rc == TACET_OK)
        rc = prekeys_publish(e, got_prekeys, arg);
    if (rc == TACET_E_NOT_FOUND)
        restore_done(e, o); /* all of them are there already */
    else if (rc != TACET_OK)
        fail_status(e, o, rc > 0 ? TACET_E_BUG : rc);
}

static void ask_devices(engine *e, op *o)
{
    restoring *r = o->data;
    uint8_t object[64 + 32], proof[TACET_SIGNATURE_BYTES];
    memcpy(object, e->slots[e->mailbox].hash, 64);
    memcpy(object + 64, r->next.hash, 32);
    object_sign(proof, SIGN_DEVICES_CHANGE, &r->next.account, 0, object, sizeof object, e->me.secret->ik);
    frame ask = { .kind = FRAME_DEVICES };
    ask.devices.list = (view){ r->signed_next, r->signed_bytes };
    ask.devices.proof = (view){ proof, sizeof proof };
    r->step = RESTORE_ASKED;
    if (slot_ask(e, e->mailbox, &ask, got_devices, o->number) != TACET_OK)
        fail_reply(e, o, NULL, NULL);
}

static void restore_wake(engine *e, op *o)
{
    restoring *r = o->data;
    if (r->step != RESTORE_CONNECT)
        return;
    if (e->mailbox == ENGINE_SLOTS_MAX || e->offline || e->slots[e->mailbox].failed) {
        fail_reply(e, o, NULL, NULL);
    } else if (e->slots[e->mailbox].up && e->clock_known) {
        if (clock_off(e)) {
            say_clock(e, o);
            restore_end(e);
        } else {
            ask_devices(e, o);
        }
    }
}

/* --- the next list -------------------------------------------------------------------------------------------------------------------- */
/* This device alone: until devices can be linked, every other one is the lost one, or a restore that nobody uses any more. */
static int next_list(engine *e, restoring *r, const device_list *newest)
{
    device_entry d;
    int rc = account_device(e, &d);
    if (rc != TACET_OK)
        return rc;
    d.id = (uint32_t)(newest->version + 1); /* the version's own number, which no device ever had; there are far fewer than 32 bits of them */
    r->next = (device_list){ .version = newest->version + 1, .count = 1, .device = { d } };
    memcpy(r->next.ik, newest->ik, sizeof r->next.ik);
    memcpy(r->next.previous, newest->hash, sizeof r->next.previous);
    r->device = d.id;
    return device_list_sign(&r->next, r->signed_next, &r->signed_bytes, e->me.secret->ik);
}

/* True when the newest list is one that an interrupted restore has made. */
static bool ours_already(engine *e, restoring *r, const fetched *f)
{
    device_entry mine;
    const device_entry *d = account_device(e, &mine) == TACET_OK ? device_list_find_transport(&f->list, mine.transport) : NULL;
    if (!d)
        return false;
    r->next = f->list;
    memcpy(r->signed_next, f->signed_list, f->signed_list_bytes);
    r->signed_bytes = f->signed_list_bytes;
    r->device = d->id;
    return true;
}

static void got_lists(engine *e, uint64_t arg, const fetched *f)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    restoring *r = o->data;
    if (f->status != TACET_OK) {
        restore_fail(e, o, &f->error);
        return;
    }
    int rc = ours_already(e, r, f) ? TACET_OK : next_list(e, r, &f->list);
    if (rc != TACET_OK) {
        fail_status(e, o, rc > 0 ? TACET_E_BUG : rc);
        return;
    }
    r->step = RESTORE_CONNECT;
    e->clock_known = false;
    mailbox_want(e, true);
    e->woken = true;
}

/* --- the call ------------------------------------------------------------------------------------------------------------------------ */
void call_restore(engine *e, json_t *params, engine_done done, void *ctx)
{
    const char *path = param_text(params, "path"), *key_text = param_text(params, "key");
    uint8_t key[32];
    engine_error error;
    if (engine_has_account(e) || e->registering) {
        complete_say(e, done, ctx, SAY_ACCOUNT_EXISTS, e->me.name, NULL);
        return;
    }
    if (!path || !key_text || hex_decode(key, sizeof key, key_text, strlen(key_text)) != TACET_OK) {
        complete_bad_param(e, done, ctx, "restore", path ? "key" : "path");
        return;
    }
    restoring *r = calloc(1, sizeof *r);
    int rc = r ? restore_import(e, path, key, &r->counts, &error) : TACET_E_NOMEM;
    sodium_memzero(key, sizeof key);
    if (rc != TACET_OK) {
        complete(e, done, ctx, NULL, r ? &error : NULL);
        free(r);
        return;
    }
    op *o = op_new(e, done, ctx, restore_wake, NULL, r);
    if (!o)
        return;
    e->registering = true;
    fetch_own(e, got_lists, o->number);
}
