/* From an envelope to a content. Every envelope of a batch is part of one transaction {ratchet, plaintext, envelope id}; the acknowledgements leave
 * after its commit. What does not open is kept in quarantine, shown, acknowledged, and blocks nothing. Nothing of a failed first envelope stays. */
#include "state.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const frame *f;
    uint8_t id[16], agreement[32];
    const uint8_t *bytes;
    size_t n;
    unsigned kind;
    uint8_t *plain; /* room for n */
    size_t plain_bytes;
} opening;

/* --- the quarantine ----------------------------------------------------------------------------------------------------------------------------- */
static int quarantine(engine *e, const opening *o, int64_t contact, sentence why)
{
    const char *reason = sentence_text(why);
    uint64_t count = 0;
    int rc = vault_quarantine_put(e->vault, o->id, contact, now_ms(e), reason, (vault_blob){ o->bytes, o->n }, ENGINE_QUARANTINE_MAX);
    if (rc == TACET_OK)
        rc = vault_quarantine_count(e->vault, &count);
    json_t *event = json_event("quarantined");
    json_object_set_new(event, "count", json_integer((json_int_t)count));
    json_object_set_new(event, "reason", json_string(reason));
    vault_contact c;
    if (contact && vault_contact_get(e->vault, contact, &c) == TACET_OK)
        json_object_set_new(event, "conversation", json_string(c.alias));
    emit(e, event);
    return rc;
}

/* --- sessions that exist --------------------------------------------------------------------------------------------------------------------------- */
/* A ratchet that has moved is stored before anybody looks at what it said. */
static int opened(engine *e, vault_contact *c, const opening *o, session *s)
{
    session_info info;
    session_describe(s, &info);
    arrival a = { .token_kind = o->f->deliver.token_kind, .hour_s = o->f->deliver.hour_s, .device = info.them.device };
    memcpy(a.session_id, info.id, sizeof a.session_id);
    int rc = session_save(e, s, c->id, NULL);
    if (rc != TACET_OK)
        return rc;
    rc = receive_content(e, c, &a, o->plain, o->plain_bytes);
    if (rc == TACET_E_REFUSED || rc == TACET_E_MALFORMED) /* authentic, and still not proper: the ratchet has moved all the same */
        return quarantine(e, o, c->id, rc == TACET_E_REFUSED ? SAY_ASIDE_NOT_ALLOWED : SAY_ASIDE_CONTENT);
    if (rc == TACET_OK && c->id && session_wants_carrier(s, e->env))
        rc = receipts_carrier(e, c);
    return rc;
}

/* TACET_E_FORGED: none of this contact's sessions opens it. TACET_E_REPLAY, TACET_E_GAP: one knows it, and cannot. */
static int try_sessions(engine *e, vault_contact *c, opening *o)
{
    vault_session_head head[4 * ENGINE_SESSIONS_MAX];
    size_t count = 0;
    unsigned trials = TACET_HEADER_TRIALS_MAX;
    int rc = vault_session_heads(e->vault, c->id, 0, head, sizeof head / sizeof *head, &count), verdict = TACET_E_FORGED;
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        session *s = NULL;
        rc = session_load(e, head[i].id, &s);
        if (rc != TACET_OK)
            return rc;
        int got = session_open(s, e->env, CONTENT_PAIRWISE, &trials, o->bytes, o->n, o->plain, &o->plain_bytes);
        if (got == TACET_OK)
            got = opened(e, c, o, s);
        else if (got == TACET_E_REPLAY || got == TACET_E_GAP)
            verdict = got;
        else if (got > 0)
            got = TACET_E_FORGED;
        session_free(s);
        if (got <= 0)
            return got;
    }
    return rc == TACET_OK ? verdict : rc;
}

/* --- first envelopes -------------------------------------------------------------------------------------------------------------------------------- */
/* What we know of the sender's account against the list in the box. TACET_E_REFUSED: not acceptable, *why says it. */
static int check_sender(engine *e, vault_contact *c, const first_sender *s, sentence *why)
{
    device_list known;
    if (c->id == 0)
        return TACET_OK; /* pinned now */
    int rc = contact_list(c, &known);
    if (rc != TACET_OK)
        return rc;
    switch (device_list_follows(&known, &s->list)) {
    case TACET_OK:
        return devices_follow(e, c, &s->list, s->signed_list, s->signed_list_bytes);
    case TACET_E_REPLAY: /* the one we know, or an older one: then the device must still be in ours */
        if (device_list_find(&known, s->device))
            return TACET_OK;
        *why = SAY_ASIDE_DEVICE;
        return TACET_E_REFUSED;
    case TACET_E_GAP:
        c->known_stale = true;
        lists_wanted(e, c->id);
        return vault_contact_update(e->vault, c);
    case TACET_E_FORK:
        *why = SAY_ASIDE_OTHER_LIST;
        rc = contact_forked(e, c, "theirs");
        return rc == TACET_OK ? TACET_E_REFUSED : rc;
    default:
        *why = SAY_ASIDE_STRANGE_LIST;
        return TACET_E_REFUSED;
    }
}

static int session_stored(engine *e, vault_contact *c, const opening *o, const first_envelope *f, session *s)
{
    session_info info;
    session_describe(s, &info);
    uint64_t until = now_s(e) + TACET_PREKEY_LIFETIME_S + TACET_PREKEY_KEEP_S + TACET_PREKEY_TOLERANCE_S;
    int rc = session_save(e, s, c->id, o->agreement);
    if (rc == TACET_OK)
        rc = vault_met_put(e->vault, info.id, until);
    if (rc == TACET_OK)
        rc = prekeys_used(e, f);
    if (rc == TACET_OK)
        rc = session_prune(e, c->id, info.them.device);
    if (rc == TACET_OK && info.reduced_secrecy != c->reduced) {
        c->reduced = info.reduced_secrecy;
        rc = vault_contact_update(e->vault, c);
    }
    return rc == TACET_E_NOT_FOUND ? TACET_E_BUG : rc; /* the prekeys were there a moment ago */
}

/* The receiver's side of an agreement. c->id 0: whoever wrote is a stranger so far. Everything of it is written, or nothing. */
static int respond(engine *e, vault_contact *c, opening *o, const first_envelope *f, const own_prekeys *keys, const first_sender *sender,
                   sentence *why)
{
    party me = account_party(e);
    session *s = NULL;
    bool met = false;
    int rc = vault_met_has(e->vault, sender->session_id, &met);
    if (rc == TACET_OK && met)
        rc = TACET_E_REPLAY;
    if (rc == TACET_OK)
        rc = check_sender(e, c, sender, why);
    if (rc == TACET_OK)
        rc = session_respond(&s, e->arena, e->env, &me, &keys->secrets, sender, o->bytes, o->n, o->plain, &o->plain_bytes);
    if (rc != TACET_OK)
        return rc;
    session_info info;
    session_describe(s, &info);
    arrival a = {
        .token_kind = o->f->deliver.token_kind, .hour_s = o->f->deliver.hour_s, .device = info.them.device, .fresh = true, .sender = sender
    };
    memcpy(a.session_id, info.id, sizeof a.session_id);
    if (c->id) {
        rc = session_stored(e, c, o, f, s); /* before the content, which may answer in this session */
        if (rc == TACET_OK)
            rc = outbox_seal_content(e, c); /* what moved here from a lost device */
        if (rc == TACET_OK)
            rc = receive_content(e, c, &a, o->plain, o->plain_bytes);
    } else {
        rc = receive_content(e, c, &a, o->plain, o->plain_bytes); /* makes the contact, or refuses */
        if (rc == TACET_OK && c->id)
            rc = session_stored(e, c, o, f, s);
    }
    session_free(s);
    return rc;
}

static int open_first(engine *e, vault_contact *expected, opening *o, sentence *why)
{
    first_envelope f;
    own_prekeys *keys = NULL;
    party me = account_party(e);
    int rc = first_envelope_decode(&f, o->bytes, o->n);
    if (rc != TACET_OK)
        return rc;
    rc = prekeys_for(e, &keys, &f);
    if (rc != TACET_OK) {
        *why = SAY_ASIDE_KEYS_GONE;
        return rc;
    }
    first_sender *sender = secret_alloc(e->arena, sizeof *sender);
    rc = sender ? first_envelope_sender(sender, &me, &keys->secrets, o->bytes, o->n) : TACET_E_NOMEM;
    vault_contact c = { 0 };
    if (rc == TACET_OK && sodium_memcmp(&sender->list.account, &e->me.list.account, sizeof sender->list.account) == 0) {
        *why = SAY_ASIDE_OUR_OWN;
        rc = TACET_E_REFUSED;
    }
    if (rc == TACET_OK) {
        rc = vault_contact_by_account(e->vault, sender->list.account.bytes, &c);
        if (rc == TACET_E_NOT_FOUND) {
            c = (vault_contact){ 0 };
            rc = TACET_OK;
        }
    }
    if (rc == TACET_OK && expected && c.id != expected->id) {
        *why = SAY_ASIDE_TOKEN;
        rc = TACET_E_REFUSED;
    }
    if (rc == TACET_OK && c.blocked)
        rc = TACET_E_EXISTS; /* dropped without a word */
    if (rc == TACET_OK)
        rc = respond(e, &c, o, &f, keys, sender, why);
    secret_free(e->arena, sender);
    prekeys_give_back(e, keys);
    return rc;
}

/* --- by token ------------------------------------------------------------------------------------------------------------------------------------------ */
/* A failed first envelope must leave nothing: its writes are undone to here. */
static int open_first_or_nothing(engine *e, vault_contact *expected, opening *o, sentence *why)
{
    int rc = vault_mark(e->vault);
    if (rc != TACET_OK)
        return rc;
    size_t events = json_array_size(e->events_inside);
    int got = open_first(e, expected, o, why);
    bool forked = got == TACET_E_REFUSED && *why == SAY_ASIDE_OTHER_LIST; /* this must stay */
    if (got > 0 && !forked) {
        rc = vault_back_to_mark(e->vault);
        while (rc == TACET_OK && json_array_size(e->events_inside) > events)
            json_array_remove(e->events_inside, json_array_size(e->events_inside) - 1);
    } else {
        rc = vault_forget_mark(e->vault);
    }
    return rc == TACET_OK ? got : rc;
}

/* A token that we took back: dropped. After a restore it may as well be of a contact that the backup did not have yet: that is said. */
static int unknown_token(engine *e, const opening *o)
{
    uint64_t at = 0;
    int rc = vault_number_get(e->vault, SET_RESTORED, &at);
    if (rc == TACET_E_NOT_FOUND)
        return TACET_OK;
    return rc == TACET_OK ? quarantine(e, o, 0, SAY_ASIDE_RESTORED) : rc;
}

static int by_delivery_token(engine *e, opening *o)
{
    vault_contact c;
    sentence why = SAY_COUNT; /* no reason yet */
    int rc = vault_contact_by_hash(e->vault, o->f->deliver.token_hash.at, &c);
    if (rc == TACET_E_NOT_FOUND)
        return unknown_token(e, o);
    if (rc == TACET_OK && c.blocked)
        return TACET_OK;
    if (rc == TACET_OK)
        rc = try_sessions(e, &c, o);
    if (rc == TACET_E_FORGED && o->kind == ENVELOPE_FIRST)
        rc = open_first_or_nothing(e, &c, o, &why);
    if (rc <= 0 || rc == TACET_E_EXISTS)
        return rc < 0 ? rc : TACET_OK;
    bool theirs = rc == TACET_E_REFUSED || rc == TACET_E_MALFORMED; /* not undecipherable: a new session would not help */
    if (why == SAY_COUNT)
        why = rc == TACET_E_REPLAY ? SAY_ASIDE_AGAIN : rc == TACET_E_GAP ? SAY_ASIDE_AHEAD : SAY_ASIDE_CLOSED;
    rc = quarantine(e, o, c.id, why);
    return rc == TACET_OK && !theirs ? reset_wanted(e, c.id) : rc;
}

static int by_request_token(engine *e, opening *o)
{
    uint8_t session_id[32];
    int64_t contact = 0;
    vault_contact c;
    sentence why = SAY_ASIDE_REQUEST;
    int rc = TACET_E_FORGED;
    if (o->kind == ENVELOPE_FIRST) {
        rc = vault_session_by_agreement(e->vault, o->agreement, session_id, &contact);
        if (rc == TACET_OK) {
            rc = vault_contact_get(e->vault, contact, &c);
            if (rc == TACET_OK)
                rc = c.blocked ? TACET_OK : try_sessions(e, &c, o);
        } else if (rc == TACET_E_NOT_FOUND) {
            rc = open_first_or_nothing(e, NULL, o, &why);
        }
    }
    if (rc <= 0 || rc == TACET_E_EXISTS)
        return rc < 0 ? rc : TACET_OK;
    return quarantine(e, o, 0, why);
}

static int deliver(engine *e, const frame *f)
{
    opening o = { .f = f, .bytes = f->deliver.ciphertext.at, .n = f->deliver.ciphertext.bytes };
    bool known = false, own = false;
    envelope_id_of(o.id, o.bytes, o.n);
    int rc = vault_seen_has(e->vault, o.id, &known, &own);
    if (rc != TACET_OK)
        return rc;
    if (known) /* delivered again: acknowledged without opening it; our own, sent back: shown */
        return own ? quarantine(e, &o, 0, SAY_ASIDE_OUR_OWN) : TACET_OK;
    rc = vault_seen_put(e->vault, o.id, now_s(e), false);
    if (rc != TACET_OK)
        return rc;
    if (envelope_kind(o.bytes, o.n, &o.kind) != TACET_OK || (o.kind == ENVELOPE_FIRST && o.n < TACET_FIRST_OVERHEAD_BYTES))
        return quarantine(e, &o, 0, SAY_ASIDE_NO_ENVELOPE);
    o.plain = malloc(o.n);
    if (!o.plain)
        return TACET_E_NOMEM;
    if (o.kind == ENVELOPE_FIRST)
        crypto_generichash(o.agreement, sizeof o.agreement, o.bytes, TACET_FIRST_OVERHEAD_BYTES, NULL, 0);
    rc = f->deliver.token_kind == TOKEN_REQUEST ? by_request_token(e, &o) : by_delivery_token(e, &o);
    sodium_memzero(o.plain, o.n);
    free(o.plain);
    return rc;
}

/* --- batches --------------------------------------------------------------------------------------------------------------------------------------------- */
int inbox_flush(engine *e)
{
    if (!e->batch)
        return TACET_OK;
    e->batch = false;
    int rc = txn_end(e, TACET_OK);
    if (rc == TACET_OK)
        mailbox_acks(e);
    else
        mailbox_fault(e, rc);
    e->ack_count = 0;
    e->woken = true;
    return rc;
}

void inbox_deliver(engine *e, const frame *f)
{
    int rc = e->batch ? TACET_OK : vault_begin(e->vault);
    if (rc == TACET_OK) {
        e->batch = true;
        rc = deliver(e, f);
    }
    if (rc != TACET_OK) { /* a fault of ours: nothing of the batch is acknowledged, the relay delivers it again */
        if (e->batch)
            rc = txn_end(e, rc < 0 ? rc : TACET_E_BUG);
        e->batch = false;
        e->ack_count = 0;
        mailbox_fault(e, rc);
        return;
    }
    e->acks[e->ack_count++] = f->deliver.number;
    if (e->ack_count == ENGINE_BATCH_MAX && inbox_flush(e) != TACET_OK)
        return; /* said and done by inbox_flush */
}
