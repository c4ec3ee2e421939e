/* What the engine fetches by itself: newer device lists, sessions for devices without one, and a new session when something did not decrypt.
 * Only the receiver of an unreadable envelope begins anew, at most once an hour a contact, and it shows (PROTOCOL.md §4.4). */
#include "state.h"
#include <string.h>

typedef enum { WANT_LISTS = 1, WANT_SESSIONS = 2, WANT_RESET = 3 } wanted;

static uint64_t pack(int64_t contact, wanted what) { return (uint64_t)contact << 2 | (uint64_t)what; }

/* One that may send. */
static int has_session(engine *e, int64_t contact, uint32_t device, bool *yes)
{
    vault_session_head head[2 * ENGINE_SESSIONS_MAX];
    size_t count = 0, chosen = 0;
    int rc = vault_session_heads(e->vault, contact, device, head, sizeof head / sizeof *head, &count);
    if (rc == TACET_OK)
        *yes = session_choose(head, count, &chosen);
    return rc;
}

static int begin_sessions(engine *e, vault_contact *c, const fetched *f, bool anew)
{
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < f->bundle_count; i++) {
        session *s = NULL;
        session_info info;
        uint32_t device = f->bundle[i].them.device;
        bool there = false;
        if (!anew)
            rc = has_session(e, c->id, device, &there);
        if (rc == TACET_OK && there)
            continue;
        if (rc == TACET_OK)
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

/* The relay may hold its answer back until a newer list has come in the box of an envelope. What was checked against the list of then says nothing about
 * the one of now, and must not bring the old one back (M01). TACET_E_AGAIN: to be asked from the list of now. */
static int judge_fetched(const vault_contact *c, const fetched *f)
{
    device_list known;
    int rc = contact_list(c, &known);
    if (rc != TACET_OK)
        return rc;
    if (memcmp(known.hash, f->from, sizeof known.hash) == 0 || memcmp(known.hash, f->list.hash, sizeof known.hash) == 0)
        return TACET_OK;
    return known.version == f->list.version ? TACET_E_FORK : TACET_E_AGAIN;
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

/* What is written to them waits, and why is said once, until there are keys. */
static void tell_keys(engine *e, const vault_contact *c, const fetched *f)
{
    size_t told = 0;
    while (told < ENGINE_KEYS_TOLD && e->keys_told[told] != c->id)
        told++;
    if (f->status == TACET_OK && told < ENGINE_KEYS_TOLD)
        e->keys_told[told] = 0;
    if (f->status == TACET_OK || told < ENGINE_KEYS_TOLD)
        return;
    e->keys_told[e->keys_told_next++ % ENGINE_KEYS_TOLD] = c->id;
    json_t *event = json_error(&f->error);
    json_object_set_new(event, "conversation", json_string(c->alias));
    emit(e, event);
}

static void arrived(engine *e, uint64_t arg, const fetched *f);

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

/* In a transaction. */
static int take(engine *e, int64_t contact, wanted what, const fetched *f, bool *again)
{
    vault_contact c;
    int status = f->status, rc = vault_contact_get(e->vault, contact, &c);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    if (status == TACET_OK)
        status = judge_fetched(&c, f);
    *again = status == TACET_E_AGAIN;
    if (status == TACET_E_FORK || status == TACET_E_VERSION || status == TACET_E_FORGED)
        return fork_found(e, &c);
    if (what != WANT_LISTS && (status == TACET_OK || status == TACET_E_KEY || status == TACET_E_EXPIRED))
        tell_keys(e, &c, f);
    if (status == TACET_OK)
        return apply(e, &c, what, f);
    return status < 0 ? status : TACET_OK;
}

static void arrived(engine *e, uint64_t arg, const fetched *f)
{
    wanted what = (wanted)(arg & 3);
    int64_t contact = (int64_t)(arg >> 2);
    bool again = false;
    if (f->status == TACET_E_AGAIN || f->status < 0)
        return; /* no connection, no memory, a clock that is off: asked again at the next reason */
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, take(e, contact, what, f, &again));
    if (rc != TACET_OK)
        engine_fail(e, rc > 0 ? TACET_E_BUG : rc);
    else if (again)
        fetch_for(e, contact, what);
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
