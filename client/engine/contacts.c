/* Contacts. A contact is an account id; its keys cannot change under it. What can change is who goes by its name: then the waiting stops until
 * somebody decides (M02). */
#include "base/text.h"
#include "identity/safety.h"
#include "state.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- helpers for the other files ------------------------------------------------------------------------------------------------------------------ */
int contact_alias(engine *e, const char *wish, char out[VAULT_NAME_ROOM])
{
    vault_contact other;
    for (unsigned n = 1; n < 10000; n++) {
        if (n == 1)
            text_put(out, VAULT_NAME_ROOM, wish);
        else
            (void)snprintf(out, VAULT_NAME_ROOM, "%.48s-%u", wish, n);
        int rc = vault_contact_by_alias(e->vault, out, &other);
        if (rc != TACET_OK)
            return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    }
    return TACET_E_BUG;
}

void contact_list_set(vault_contact *c, const device_list *list, const uint8_t *signed_list, size_t n)
{
    memcpy(c->list, signed_list, n);
    c->list_bytes = n;
    c->list_version = list->version;
    c->known_stale = false;
}

int contact_list(const vault_contact *c, device_list *out)
{
    return device_list_reread(out, c->list, c->list_bytes) == TACET_OK ? TACET_OK : TACET_E_CORRUPT; /* it was checked when it came */
}

int contact_give_token(engine *e, vault_contact *c)
{
    vault_token wish = { .kind = TOKEN_DELIVERY, .add = true };
    env_random(e->env, c->our_token, sizeof c->our_token);
    token_hash(c->our_hash, c->our_token);
    memcpy(wish.hash, c->our_hash, sizeof wish.hash);
    c->has_ours = true;
    c->ours_active = false;
    e->tokens_asked = false;
    return vault_token_put(e->vault, &wish);
}

int contact_take_token(engine *e, vault_contact *c)
{
    if (!c->has_ours)
        return TACET_OK;
    vault_token wish = { .kind = TOKEN_DELIVERY, .add = false };
    memcpy(wish.hash, c->our_hash, sizeof wish.hash);
    sodium_memzero(c->our_token, sizeof c->our_token);
    sodium_memzero(c->our_hash, sizeof c->our_hash);
    c->has_ours = c->ours_active = false;
    e->tokens_asked = false;
    return vault_token_put(e->vault, &wish);
}

int contact_accepted(engine *e, vault_contact *c)
{
    bool news = c->state != VAULT_CONTACT_ACCEPTED;
    c->state = VAULT_CONTACT_ACCEPTED;
    int rc = vault_contact_update(e->vault, c);
    if (rc == TACET_OK && news) {
        json_t *event = json_event("accepted");
        json_object_set_new(event, "contact", json_string(c->alias));
        emit(e, event);
    }
    return rc == TACET_OK ? outbox_release(e, c) : rc;
}

int contact_changed(engine *e, vault_contact *c, const uint8_t account[32])
{
    bool news = !c->changed || sodium_memcmp(c->changed_account, account, 32) != 0;
    c->changed = true;
    memcpy(c->changed_account, account, sizeof c->changed_account);
    int rc = vault_contact_update(e->vault, c);
    if (rc == TACET_OK)
        rc = vault_waiting_state(e->vault, c->id, VAULT_HELD);
    if (rc == TACET_OK && news) {
        json_t *event = json_event("key-changed");
        json_object_set_new(event, "contact", json_string(c->alias));
        emit(e, event);
    }
    return rc;
}

int contact_unchanged(engine *e, vault_contact *c)
{
    if (!c->changed)
        return TACET_OK;
    c->changed = false;
    int rc = vault_contact_update(e->vault, c);
    if (rc == TACET_OK)
        rc = vault_waiting_state(e->vault, c->id, VAULT_WAITING);
    return rc == TACET_OK ? outbox_release(e, c) : rc;
}

int contact_forked(engine *e, vault_contact *c, const char *whose)
{
    if (c->forked)
        return TACET_OK;
    c->forked = true;
    json_t *event = json_event("list-fork");
    json_object_set_new(event, "conversation", json_string(c->alias));
    json_object_set_new(event, "whose", json_string(whose));
    emit(e, event);
    return vault_contact_update(e->vault, c);
}

/* Who is blocked, or asks and has no decision, hears nothing of us, and neither does the relay that they name: a connection tells when we are there, and
 * from where. */
bool contact_may_hear(const vault_contact *c) { return !c->blocked && c->state != VAULT_CONTACT_PENDING; }

int contacts_all(vault *v, int64_t **ids, size_t *count)
{
    size_t room = 0;
    int rc = vault_contact_ids(v, NULL, 0, &room);
    int64_t *all = rc == TACET_OK ? calloc(room + 1, sizeof *all) : NULL;
    if (rc == TACET_OK && !all)
        rc = TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = vault_contact_ids(v, all, room, count);
    if (rc == TACET_OK)
        *ids = all;
    else
        free(all);
    return rc;
}

/* --- methods ------------------------------------------------------------------------------------------------------------------------------------------ */
static json_t *list_contacts(engine *e, bool pending, int *status)
{
    int64_t *ids = NULL;
    json_t *all = json_array();
    size_t count = 0;
    vault_contact c;
    int rc = all ? contacts_all(e->vault, &ids, &count) : TACET_E_NOMEM;
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        rc = vault_contact_get(e->vault, ids[i], &c);
        bool is_pending = c.state == VAULT_CONTACT_PENDING;
        if (rc == TACET_OK && is_pending == pending && !(pending && c.blocked))
            json_array_append_new(all, pending ? json_request(e, &c) : json_contact(e, &c));
    }
    free(ids);
    *status = rc;
    return all;
}

static void call_list(engine *e, bool pending, engine_done done, void *ctx)
{
    int rc = TACET_OK;
    json_t *all = list_contacts(e, pending, &rc);
    if (rc == TACET_OK) {
        complete(e, done, ctx, all, NULL);
    } else {
        json_decref(all);
        complete_status(e, done, ctx, rc);
    }
}

void call_contacts(engine *e, json_t *params, engine_done done, void *ctx)
{
    (void)params;
    call_list(e, false, done, ctx);
}

void call_requests(engine *e, json_t *params, engine_done done, void *ctx)
{
    (void)params;
    call_list(e, true, done, ctx);
}

/* The end of a method that changed c in a transaction. */
static void done_with(engine *e, const vault_contact *c, int rc, engine_done done, void *ctx)
{
    if (rc == TACET_OK)
        complete(e, done, ctx, json_contact(e, c), NULL);
    else
        complete_status(e, done, ctx, rc);
}

void call_rename(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    const char *to = param_text(params, "to");
    if (!contact_param(e, params, "rename", "name", &c, done, ctx))
        return;
    if (!to) {
        complete_bad_param(e, done, ctx, "rename", "to");
        return;
    }
    if (!name_valid(to, strlen(to))) {
        complete_say(e, done, ctx, SAY_BAD_NAME, to, NULL);
        return;
    }
    text_put(c.alias, sizeof c.alias, to);
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        rc = vault_contact_update(e->vault, &c);
        bool clash = rc == TACET_E_EXISTS;
        rc = txn_end(e, rc);
        if (clash) {
            complete_say(e, done, ctx, SAY_NAME_IN_USE, to, NULL);
            return;
        }
    }
    done_with(e, &c, rc, done, ctx);
}

void call_remove(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    if (!contact_param(e, params, "remove", "name", &c, done, ctx))
        return;
    json_t *last = json_contact(e, &c);
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        rc = contact_take_token(e, &c);
        if (rc == TACET_OK)
            rc = vault_contact_remove(e->vault, c.id);
        if (rc == TACET_OK)
            rc = receipts_next(e);
        rc = txn_end(e, rc);
    }
    if (rc != TACET_OK) {
        json_decref(last);
        complete_status(e, done, ctx, rc);
        return;
    }
    files_orphaned(e);
    mailbox_tokens(e);
    complete(e, done, ctx, last, NULL);
}

/* The relay deletes what waits under the token, and takes no more; ours to them stops as well. */
void call_block(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    if (!contact_param(e, params, "block", "name", &c, done, ctx))
        return;
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        c.blocked = true;
        rc = contact_take_token(e, &c);
        if (rc == TACET_OK)
            rc = vault_contact_update(e->vault, &c);
        if (rc == TACET_OK)
            rc = outbox_cancel(e, &c, VAULT_FAILED);
        if (rc == TACET_OK)
            rc = files_blocked(e, c.id);
        rc = txn_end(e, rc);
    }
    if (rc == TACET_OK)
        mailbox_tokens(e);
    done_with(e, &c, rc, done, ctx);
}

void call_unblock(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    if (!contact_param(e, params, "unblock", "name", &c, done, ctx))
        return;
    int rc = c.blocked ? txn_begin(e) : TACET_OK;
    if (c.blocked && rc == TACET_OK) {
        c.blocked = false;
        if (c.state != VAULT_CONTACT_PENDING)
            rc = contact_give_token(e, &c);
        if (rc == TACET_OK)
            rc = vault_contact_update(e->vault, &c);
        if (rc == TACET_OK && c.state == VAULT_CONTACT_ACCEPTED && c.has_theirs)
            rc = outbox_control(e, &c, CONTROL_TOKEN, c.our_token, 0);
        rc = txn_end(e, rc);
        mailbox_tokens(e);
    }
    done_with(e, &c, rc, done, ctx);
}

/* Sixty digits, however they were grouped. */
static bool digits_only(char out[TACET_SAFETY_DIGITS + 1], const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        if (*text >= '0' && *text <= '9') {
            if (n == TACET_SAFETY_DIGITS)
                return false;
            out[n++] = *text;
        } else if (*text != ' ' && *text != '-' && *text != '\n' && *text != '\t') {
            return false;
        }
    }
    out[n] = '\0';
    return n == TACET_SAFETY_DIGITS;
}

static int set_verified(engine *e, vault_contact *c)
{
    int rc = txn_begin(e);
    if (rc != TACET_OK)
        return rc;
    c->verified = true;
    rc = vault_contact_update(e->vault, c);
    if (rc == TACET_OK)
        rc = contact_unchanged(e, c); /* the person said that this key is the right one */
    return txn_end(e, rc);
}

void call_verify(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    device_list list;
    char number[TACET_SAFETY_DIGITS + 1], given[TACET_SAFETY_DIGITS + 1];
    const char *confirm = param_text(params, "confirm");
    if (!contact_param(e, params, "verify", "name", &c, done, ctx))
        return;
    int rc = contact_list(&c, &list);
    if (rc == TACET_OK)
        safety_number(number, e->me.list.ik, list.ik);
    if (rc == TACET_OK && confirm) {
        if (!digits_only(given, confirm)) {
            complete_say(e, done, ctx, SAY_DIGITS_MALFORMED, c.alias, NULL);
            return;
        }
        if (sodium_memcmp(given, number, TACET_SAFETY_DIGITS) != 0) {
            complete_say(e, done, ctx, SAY_DIGITS_DIFFER, c.alias, NULL);
            return;
        }
        rc = set_verified(e, &c);
    }
    if (rc != TACET_OK) {
        complete_status(e, done, ctx, rc);
        return;
    }
    json_t *o = json_event("safety-number");
    json_object_set_new(o, "name", json_string(c.alias));
    json_object_set_new(o, "safety_number", json_string(number));
    json_object_set_new(o, "verified", json_boolean(c.verified));
    complete(e, done, ctx, o, NULL);
}
