/* Ratchet sessions between the vault and the arena: imported, used, exported again, in the transaction of their use. Which session sends is decided
 * here (PROTOCOL.md §4.4). */
#include "state.h"
#include <sodium.h>
#include <string.h>

#define SET_FORGOT_DAY "keys_forgotten_day"

int session_load(engine *e, const uint8_t id[32], session **out)
{
    size_t bytes = 0;
    uint8_t one;
    int rc = vault_session_state(e->vault, id, &one, 0, &bytes); /* how long it is */
    if (rc != TACET_E_QUOTA)
        return rc == TACET_OK ? TACET_E_CORRUPT : rc;
    uint8_t *state = secret_alloc(e->arena, bytes);
    if (!state)
        return TACET_E_NOMEM;
    rc = vault_session_state(e->vault, id, state, bytes, &bytes);
    if (rc == TACET_OK) {
        rc = session_import(out, e->arena, state, bytes);
        if (rc > 0)
            rc = rc == TACET_E_NEWER ? TACET_E_NEWER : TACET_E_CORRUPT;
    }
    secret_free(e->arena, state);
    return rc;
}

static int exported(engine *e, const session *s, uint8_t **state, size_t *bytes)
{
    size_t room = session_export_bytes(s);
    *state = secret_alloc(e->arena, room);
    if (!*state)
        return TACET_E_NOMEM;
    int rc = session_export(s, *state, room, bytes);
    if (rc != TACET_OK)
        secret_free(e->arena, *state);
    return rc;
}

/* Which one is newest decides what sends and what goes, so no two may be equal, and none may be older than one before it, even where the clock stands
 * still or is set back: a session that was made after that would be the first to go. */
int session_save(engine *e, const session *s, int64_t contact, const uint8_t *agreement)
{
    static const uint8_t none[32];
    session_info info;
    uint8_t *state = NULL;
    size_t bytes = 0;
    uint64_t newest = 0, now = now_ms(e);
    session_describe(s, &info);
    int rc = vault_session_newest(e->vault, contact, info.them.device, &newest);
    if (rc == TACET_OK)
        rc = exported(e, s, &state, &bytes);
    if (rc != TACET_OK)
        return rc;
    now = now > newest ? now : newest + 1;
    vault_session row = { .contact = contact,
                          .device = info.them.device,
                          .initiator = info.initiator,
                          .answered = info.answered,
                          .created_ms = now,
                          .opened_ms = info.opened ? now : 0,
                          .sealed = info.sealed,
                          .state = { state, bytes } };
    memcpy(row.id, info.id, sizeof row.id);
    memcpy(row.agreement, agreement ? agreement : none, sizeof row.agreement);
    rc = vault_session_put(e->vault, &row);
    secret_free(e->arena, state);
    return rc;
}

static int sealed_save(engine *e, const session *s)
{
    session_info info;
    uint8_t *state = NULL;
    size_t bytes = 0;
    session_describe(s, &info);
    int rc = exported(e, s, &state, &bytes);
    if (rc != TACET_OK)
        return rc;
    rc = vault_session_sealed(e->vault, info.id, info.sealed, (vault_blob){ state, bytes });
    secret_free(e->arena, state);
    return rc;
}

int session_begin(engine *e, const agreement_bundle *bundle, session **out)
{
    party me = account_party(e);
    return session_initiate(out, e->arena, e->env, &me, e->me.secret->dh, e->me.signed_list, e->me.signed_list_bytes, bundle);
}

/* A session that nobody has used since it was agreed on: ours without an answer, or theirs that we have not written in. */
static bool unanswered(const vault_session_head *h) { return h->initiator ? !h->answered : h->sealed == 0; }

/* The one that last opened a message. Only when that one is theirs, not answered yet, and ours waits for an answer too (both began at once), the
 * smaller session id, which both sides find to be the same. A retired one never: who is at its other end may be who it was retired for. */
bool session_choose(const vault_session_head *heads, size_t count, size_t *chosen)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        if (heads[i].retired)
            continue;
        if (best == count || heads[i].opened_ms > heads[best].opened_ms ||
            (heads[i].opened_ms == heads[best].opened_ms && memcmp(heads[i].id, heads[best].id, sizeof heads[i].id) < 0))
            best = i;
    }
    if (best == count)
        return false;
    if (!heads[best].initiator && unanswered(&heads[best]))
        for (size_t i = 0; i < count; i++)
            if (!heads[i].retired && heads[i].initiator && unanswered(&heads[i]) && memcmp(heads[i].id, heads[best].id, 32) < 0)
                best = i;
    *chosen = best;
    return true;
}

int session_seal_for(engine *e, const vault_contact *c, uint32_t device, const uint8_t *plain, size_t plain_bytes, uint8_t *out, size_t *out_bytes)
{
    vault_session_head head[2 * ENGINE_SESSIONS_MAX];
    size_t count = 0, chosen = 0;
    int rc = vault_session_heads(e->vault, c->id, device, head, sizeof head / sizeof *head, &count);
    if (rc != TACET_OK)
        return rc;
    if (!session_choose(head, count, &chosen))
        return TACET_E_NOT_FOUND;
    session *s = NULL;
    rc = session_load(e, head[chosen].id, &s);
    if (rc != TACET_OK)
        return rc;
    rc = session_seal(s, e->env, CONTENT_PAIRWISE, plain, plain_bytes, out, out_bytes);
    if (rc == TACET_OK)
        rc = sealed_save(e, s);
    session_free(s);
    return rc;
}

int session_prune(engine *e, int64_t contact, uint32_t device)
{
    vault_session_head head[4 * ENGINE_SESSIONS_MAX];
    size_t count = 0;
    int rc = vault_session_heads(e->vault, contact, device, head, sizeof head / sizeof *head, &count);
    /* Newest opened first; one that never opened anything goes by its making. */
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0; k--) {
            uint64_t a = head[k].opened_ms > head[k].created_ms ? head[k].opened_ms : head[k].created_ms;
            uint64_t b = head[k - 1].opened_ms > head[k - 1].created_ms ? head[k - 1].opened_ms : head[k - 1].created_ms;
            if (a <= b)
                break;
            vault_session_head swap = head[k];
            head[k] = head[k - 1];
            head[k - 1] = swap;
        }
    for (size_t i = ENGINE_SESSIONS_MAX; rc == TACET_OK && i < count; i++)
        rc = vault_session_remove(e->vault, head[i].id);
    return rc;
}

static int session_forget(engine *e, const uint8_t id[32])
{
    session *s = NULL;
    int rc = session_load(e, id, &s);
    if (rc == TACET_E_NEWER || rc == TACET_E_NOMEM || rc == TACET_E_CORRUPT)
        return TACET_OK; /* not ours to change, or tomorrow, or nothing that could be read: that must not keep the others' keys alive */
    if (rc != TACET_OK)
        return rc;
    size_t before = session_export_bytes(s);
    session_expire(s, e->env);
    if (session_export_bytes(s) != before)
        rc = sealed_save(e, s);
    session_free(s);
    return rc;
}

int sessions_forget(engine *e)
{
    uint8_t id[32] = { 0 };
    uint64_t today = now_s(e) / 86400, last = 0;
    int rc = vault_number_get(e->vault, SET_FORGOT_DAY, &last);
    if (rc == TACET_OK && last == today)
        return TACET_OK;
    while ((rc == TACET_OK || rc == TACET_E_NOT_FOUND) && (rc = vault_session_next(e->vault, id)) == TACET_OK)
        rc = session_forget(e, id);
    return rc == TACET_E_NOT_FOUND ? vault_number_put(e->vault, SET_FORGOT_DAY, today) : rc;
}
