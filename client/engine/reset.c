/* What the engine fetches by itself: newer device lists, sessions for devices without one, and a new session when something did not decrypt.
 * Only the receiver of an unreadable envelope begins anew, at most once an hour a contact, and it shows (PROTOCOL.md §4.4). */
#include "state.h"
#include <string.h>

typedef enum { WANT_LISTS = 1, WANT_SESSIONS = 2, WANT_RESET = 3 } wanted;

static uint64_t pack(int64_t contact, wanted what) { return (uint64_t)contact << 2 | (uint64_t)what; }

static bool has_session(engine *e, int64_t contact, uint32_t device)
{
    vault_session_head head;
    size_t count = 0;
    return vault_session_heads(e->vault, contact, device, &head, 1, &count) == TACET_OK && count > 0;
}

static int begin_sessions(engine *e, vault_contact *c, const fetched *f, bool anew)
{
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < f->bundle_count; i++) {
        session *s = NULL;
        session_info info;
        uint32_t device = f->bundle[i].them.device;
        if (!anew && has_session(e, c->id, device))
            continue;
        rc = session_begin(e, &f->bundle[i], &s);
        if (rc != TACET_OK)
            return rc;
        session_describe(s, &info);
        c->reduced = info.reduced_secrecy;
        rc = session_save(e, s, c->id, NULL);
        if (rc == TACET_OK && anew)
            rc = vault_session_retire(e->vault, c->id, device, info.id);
        if (rc == TACET_OK)
            rc = session_prune(e, c->id, device);
        session_free(s);
    }
    return rc;
}

static int send_reset(engine *e, vault_contact *c, const device_list *list)
{
    uint64_t last = 0;
    int rc = vault_chain_get(e->vault, c->id, list->device[0].id, &last);
    if (rc == TACET_OK)
        rc = outbox_control(e, c, CONTROL_RESET, NULL, last);
    json_t *event = json_event("session-reset");
    json_object_set_new(event, "conversation", json_string(c->alias));
    json_object_set_new(event, "by", json_string("us"));
    emit(e, event);
    return rc;
}

static int apply(engine *e, vault_contact *c, wanted what, const fetched *f)
{
    int rc = devices_follow(e, c, &f->list, f->signed_list, f->signed_list_bytes);
    if (rc == TACET_OK && what != WANT_LISTS)
        rc = begin_sessions(e, c, f, what == WANT_RESET);
    if (rc == TACET_OK && what == WANT_RESET) {
        c->reset_ms = now_ms(e);
        c->reset_wanted = false;
    }
    if (rc == TACET_OK)
        rc = vault_contact_update(e->vault, c);
    if (rc == TACET_OK && what == WANT_RESET)
        rc = send_reset(e, c, &f->list);
    if (rc == TACET_OK)
        rc = outbox_seal_content(e, c);
    if (rc == TACET_OK)
        e->sessions_retry_ms = 0; /* a device may have come without keys so far */
    return rc;
}

/* Shown; sending stops until somebody decides. */
static int fork_found(engine *e, vault_contact *c)
{
    c->reset_wanted = false; /* what does not open after the decision wants it anew */
    int rc = vault_contact_update(e->vault, c);
    return rc == TACET_OK ? contact_forked(e, c, "theirs") : rc;
}

static void arrived(engine *e, uint64_t arg, const fetched *f)
{
    wanted what = (wanted)(arg & 3);
    vault_contact c;
    if (f->status == TACET_E_AGAIN)
        return; /* no connection: asked again at the next reason */
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        rc = vault_contact_get(e->vault, (int64_t)(arg >> 2), &c);
        if (rc == TACET_OK && (f->status == TACET_E_FORK || f->status == TACET_E_VERSION || f->status == TACET_E_FORGED))
            rc = fork_found(e, &c);
        else if (rc == TACET_OK && f->status == TACET_OK)
            rc = apply(e, &c, what, f);
        rc = txn_end(e, rc == TACET_E_NOT_FOUND ? TACET_OK : rc);
    }
    if (rc != TACET_OK)
        engine_fail(e, rc > 0 ? TACET_E_BUG : rc);
}

static void fetch_for(engine *e, int64_t contact, wanted what)
{
    vault_contact c;
    account_id account;
    if (fetch_runs(e, arrived, pack(contact, what)))
        return; /* what it brings serves this reason as well */
    if (vault_contact_get(e->vault, contact, &c) != TACET_OK || !contact_may_hear(&c) || e->offline)
        return;
    memcpy(account.bytes, c.account, sizeof account.bytes);
    fetch_start(e, &account, c.relay, c.alias, c.list, c.list_bytes, what != WANT_LISTS, arrived, pack(contact, what));
}

void lists_wanted(engine *e, int64_t contact) { fetch_for(e, contact, WANT_LISTS); }
void sessions_wanted(engine *e, int64_t contact) { fetch_for(e, contact, WANT_SESSIONS); }

/* The wish outlives this process and every relay that is away: the envelope that made it is acknowledged, and the other side may stay silent. */
int reset_wanted(engine *e, int64_t contact)
{
    vault_contact c;
    int rc = vault_contact_get(e->vault, contact, &c);
    if (rc != TACET_OK)
        return rc;
    if (c.state != VAULT_CONTACT_ACCEPTED || !c.has_theirs || c.blocked)
        return TACET_OK; /* strangers get no answer of any kind */
    uint64_t now = now_ms(e);
    if (c.reset_wanted || (c.reset_ms && now >= c.reset_ms && now - c.reset_ms < ENGINE_RESET_EVERY_MS))
        return TACET_OK; /* a burst begins one */
    c.reset_wanted = true;
    rc = vault_contact_update(e->vault, &c);
    if (rc == TACET_OK)
        reset_again(e, contact);
    return rc;
}

void reset_again(engine *e, int64_t contact)
{
    uint64_t at = mono_ms(e) + ENGINE_RESET_RETRY_MS;
    if (at < e->resets_retry_ms)
        e->resets_retry_ms = at;
    fetch_for(e, contact, WANT_RESET);
}
