/* `trust NAME`: the person decides that a name now belongs to another account (M02). Contacts do not change: the old one keeps its history under
 * another alias, the new one gets the name and what waited for it. `untrust NAME` takes the last such decision back. */
#include "state.h"
#include <stdio.h>
#include <string.h>

#define OLD "-old" /* behind the alias of a contact whose name went to somebody else */

int trust_move(engine *e, int64_t old_id, vault_contact *heir)
{
    vault_contact old;
    char name[VAULT_NAME_ROOM], wish[VAULT_NAME_ROOM];
    int rc = vault_contact_get(e->vault, old_id, &old);
    if (rc != TACET_OK)
        return rc;
    text_put(name, sizeof name, old.alias);
    (void)snprintf(wish, sizeof wish, "%.48s" OLD, name);
    rc = contact_alias(e, wish, old.alias);
    old.changed = false;
    if (rc == TACET_OK)
        rc = vault_contact_update(e->vault, &old);
    text_put(heir->alias, sizeof heir->alias, name);
    heir->verified = false;
    heir->changed = false;
    if (rc == TACET_OK)
        rc = vault_contact_update(e->vault, heir);
    if (rc == TACET_OK)
        rc = vault_waiting_move(e->vault, old.id, heir->id);
    if (rc == TACET_OK)
        rc = vault_waiting_state(e->vault, heir->id, VAULT_WAITING);
    return rc == TACET_OK ? outbox_release(e, heir) : rc;
}

static int unfork(engine *e, vault_contact *c)
{
    c->forked = false;
    int rc = vault_contact_update(e->vault, c);
    return rc == TACET_OK ? outbox_release(e, c) : rc;
}

void call_trust(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c, heir;
    if (!contact_param(e, params, "trust", "name", &c, done, ctx))
        return;
    if (!c.changed && !c.forked) {
        complete_say(e, done, ctx, SAY_NOTHING_CHANGED, c.alias, NULL);
        return;
    }
    int rc = TACET_E_NOT_FOUND;
    if (!c.changed) {
        rc = txn_begin(e);
        if (rc == TACET_OK)
            rc = txn_end(e, unfork(e, &c));
        heir = c;
    } else {
        rc = vault_contact_by_account(e->vault, c.changed_account, &heir);
        if (rc == TACET_E_NOT_FOUND) { /* known from the directory only: it has to be asked first */
            add_heir(e, &c, done, ctx);
            return;
        }
        if (rc == TACET_OK)
            rc = txn_begin(e);
        if (rc == TACET_OK) {
            if (heir.state == VAULT_CONTACT_PENDING)
                rc = request_accept(e, &heir);
            if (rc == TACET_OK)
                rc = trust_move(e, c.id, &heir);
            rc = txn_end(e, rc);
        }
        mailbox_tokens(e);
    }
    if (rc == TACET_OK)
        complete(e, done, ctx, json_contact(e, &heir), NULL);
    else
        complete_status(e, done, ctx, rc);
}

/* The contact that had c's name before `trust`. */
static int earlier_of(engine *e, const vault_contact *c, vault_contact *out)
{
    char wish[VAULT_NAME_ROOM];
    relay_address relay;
    char key[BASE32_CHARS(32) + 1];
    (void)snprintf(wish, sizeof wish, "%.48s" OLD, c->alias);
    if (relay_address_parse(&relay, c->relay) != TACET_OK)
        return TACET_E_NOT_FOUND;
    base32_encode(key, relay.key, sizeof relay.key);
    int rc = vault_contact_by_name(e->vault, c->name, key, c->account, out);
    bool theirs = rc == TACET_OK && out->state != VAULT_CONTACT_PENDING && strncmp(out->alias, wish, strlen(wish)) == 0;
    return rc == TACET_OK && !theirs ? TACET_E_NOT_FOUND : rc;
}

/* The name goes back, and so does what waits; for `earlier` the key is a changed one again, so nothing leaves. */
static int name_back(engine *e, vault_contact *c, vault_contact *earlier)
{
    char name[VAULT_NAME_ROOM], wish[VAULT_NAME_ROOM];
    text_put(name, sizeof name, c->alias);
    (void)snprintf(wish, sizeof wish, "%.48s-new", name);
    int rc = contact_alias(e, wish, c->alias);
    if (rc == TACET_OK)
        rc = vault_contact_update(e->vault, c);
    text_put(earlier->alias, sizeof earlier->alias, name);
    if (rc == TACET_OK)
        rc = vault_waiting_move(e->vault, c->id, earlier->id);
    return rc == TACET_OK ? contact_changed(e, earlier, c->account) : rc;
}

static int unverify(engine *e, vault_contact *c)
{
    c->verified = false;
    return vault_contact_update(e->vault, c);
}

void call_untrust(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c, earlier;
    if (!contact_param(e, params, "untrust", "name", &c, done, ctx))
        return;
    bool was_verified = c.verified;
    int rc = was_verified ? TACET_OK : earlier_of(e, &c, &earlier);
    if (rc == TACET_E_NOT_FOUND) {
        complete_say(e, done, ctx, SAY_NOTHING_TRUSTED, c.alias, NULL);
        return;
    }
    if (rc == TACET_OK)
        rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, was_verified ? unverify(e, &c) : name_back(e, &c, &earlier));
    if (rc == TACET_OK)
        complete(e, done, ctx, json_contact(e, was_verified ? &c : &earlier), NULL);
    else
        complete_status(e, done, ctx, rc);
}
