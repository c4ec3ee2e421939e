/* Contact requests, ours and theirs (PROTOCOL.md §4). */
#include "state.h"
#include <string.h>

int request_make(engine *e, const request_plan *plan, const fetched *f, vault_contact *c, int64_t *out_row)
{
    *c = (vault_contact){ .state = VAULT_CONTACT_REQUESTED, .created_ms = now_ms(e) };
    memcpy(c->account, plan->account.bytes, sizeof c->account);
    text_put(c->name, sizeof c->name, plan->name);
    text_put(c->relay, sizeof c->relay, plan->relay_text);
    memcpy(c->request_token, plan->request_token, sizeof c->request_token);
    contact_list_set(c, &f->list, f->signed_list, f->signed_list_bytes);
    int rc = contact_alias(e, plan->alias, c->alias);
    if (rc == TACET_OK)
        rc = contact_give_token(e, c);
    if (rc == TACET_OK)
        rc = vault_contact_add(e->vault, c);
    for (size_t i = 0; rc == TACET_OK && i < f->bundle_count; i++) {
        session *s = NULL;
        session_info info;
        rc = session_begin(e, &f->bundle[i], &s);
        if (rc != TACET_OK)
            break;
        session_describe(s, &info);
        c->reduced = c->reduced || info.reduced_secrecy;
        rc = session_save(e, s, c->id, NULL);
        session_free(s);
    }
    vault_message m = {
        .contact = c->id, .outgoing = true, .kind = VAULT_REQUEST_TEXT, .state = VAULT_QUEUED, .handed = true, .read = true, .time_ms = now_ms(e)
    };
    content k = { .kind = CONTENT_REQUEST, .time_ms = m.time_ms };
    env_random(e->env, k.id, sizeof k.id);
    memcpy(m.id, k.id, sizeof m.id);
    k.request.name = (view){ (const uint8_t *)e->me.name, strlen(e->me.name) };
    k.request.relay = (view){ (const uint8_t *)e->me.relay_text, strlen(e->me.relay_text) };
    k.request.token = (view){ c->our_token, sizeof c->our_token };
    if (plan->text)
        k.request.text = (view){ (const uint8_t *)plan->text, strlen(plan->text) };
    m.text = (vault_blob){ k.request.text.at, k.request.text.bytes };
    if (rc == TACET_OK && k.request.text.bytes)
        rc = vault_message_add(e->vault, &m);
    if (rc == TACET_OK)
        rc = outbox_content(e, c, &k, VAULT_OUT_REQUEST, m.row);
    int64_t rows[TACET_DEVICES_MAX];
    size_t count = 0;
    if (rc == TACET_OK)
        rc = vault_out_rows_of_kind(e->vault, c->id, VAULT_OUT_REQUEST, rows, TACET_DEVICES_MAX, &count);
    if (rc == TACET_OK)
        *out_row = count ? rows[0] : 0;
    return rc;
}

int request_answer(engine *e, vault_contact *c)
{
    int rc = c->has_ours ? TACET_OK : contact_give_token(e, c);
    if (rc == TACET_OK)
        rc = vault_contact_update(e->vault, c);
    return rc == TACET_OK ? outbox_control(e, c, CONTROL_ACCEPT, c->our_token, 0) : rc;
}

int request_accept(engine *e, vault_contact *c)
{
    c->state = VAULT_CONTACT_ACCEPTED;
    c->blocked = false;
    int rc = request_answer(e, c);
    if (rc == TACET_OK && c->known_stale)
        lists_wanted(e, c->id); /* shown while nothing of theirs was fetched */
    return rc == TACET_OK ? outbox_release(e, c) : rc;
}

/* Under another alias when `as` says so. TACET_E_EXISTS: that one is somebody else's. */
static int accept_as(engine *e, vault_contact *c, const char *as)
{
    int rc = TACET_OK;
    if (as) {
        text_put(c->alias, sizeof c->alias, as);
        rc = vault_contact_update(e->vault, c);
    }
    return rc == TACET_OK && c->state == VAULT_CONTACT_PENDING ? request_accept(e, c) : rc;
}

void call_accept(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    const char *name = param_text(params, "name"), *as = param_text(params, "as");
    if (!name) {
        complete_bad_param(e, done, ctx, "accept", "name");
        return;
    }
    if (as && !name_valid(as, strlen(as))) {
        complete_say(e, done, ctx, SAY_BAD_NAME, as, NULL);
        return;
    }
    int rc = vault_contact_by_alias(e->vault, name, &c);
    if (rc == TACET_E_NOT_FOUND || (rc == TACET_OK && c.state == VAULT_CONTACT_REQUESTED)) {
        complete_say(e, done, ctx, SAY_NO_REQUEST, name, NULL);
        return;
    }
    if (rc == TACET_OK && (as || c.state == VAULT_CONTACT_PENDING)) {
        rc = txn_begin(e);
        if (rc == TACET_OK)
            rc = txn_end(e, accept_as(e, &c, as));
        mailbox_tokens(e);
    }
    if (rc == TACET_OK)
        complete(e, done, ctx, json_contact(e, &c), NULL);
    else if (rc == TACET_E_EXISTS)
        complete_say(e, done, ctx, SAY_NAME_IN_USE, as, NULL);
    else
        complete_status(e, done, ctx, rc);
}

/* Nobody hears of it. What it said about a name is taken back too. */
static int reject(engine *e, const vault_contact *c)
{
    vault_contact other;
    int rc = vault_contact_by_name(e->vault, c->name, relay_key_of(c->relay), c->account, &other);
    if (rc == TACET_OK && other.changed && memcmp(other.changed_account, c->account, sizeof c->account) == 0)
        rc = contact_unchanged(e, &other);
    if (rc == TACET_OK || rc == TACET_E_NOT_FOUND)
        rc = vault_contact_remove(e->vault, c->id);
    return rc;
}

void call_reject(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    const char *name = param_text(params, "name");
    if (!name) {
        complete_bad_param(e, done, ctx, "reject", "name");
        return;
    }
    int rc = vault_contact_by_alias(e->vault, name, &c);
    if (rc == TACET_E_NOT_FOUND || (rc == TACET_OK && c.state != VAULT_CONTACT_PENDING)) {
        complete_say(e, done, ctx, SAY_NO_REQUEST, name, NULL);
        return;
    }
    if (rc == TACET_OK)
        rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, reject(e, &c));
    if (rc == TACET_OK)
        complete(e, done, ctx, json_object(), NULL);
    else
        complete_status(e, done, ctx, rc);
}
