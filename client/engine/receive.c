/* What an opened envelope says, by kind. The ratchet vouches for who said it; whether they may say it here is decided in this file. */
#include "state.h"
#include <sodium.h>
#include <string.h>

typedef struct {
    const content *k;
    const arrival *a;
    view raw;
    uint8_t hash[32];
    uint64_t time_ms;
    bool suspect;
} said;

/* A sender's clock is shown, but never believed: outside of what the relay can have kept it is replaced and marked (M10). */
static void judge_time(engine *e, said *s)
{
    uint64_t now = now_ms(e), t = s->k->time_ms;
    uint64_t oldest = now > ENGINE_TIME_PAST_MS ? now - ENGINE_TIME_PAST_MS : 0;
    s->suspect = t > now + ENGINE_TIME_FUTURE_MS || t < oldest;
    s->time_ms = s->suspect ? now : t;
}

/* They say that they know a newer list of ours than we do. That may be a lie, so it is said once for each contact while our list is what it is. */
static int own_list_newer(engine *e, vault_contact *c)
{
    if (c->own_told == e->me.list.version)
        return TACET_OK;
    c->own_told = e->me.list.version;
    json_t *event = json_event("list-fork");
    json_object_set_new(event, "conversation", json_string(c->alias));
    json_object_set_new(event, "whose", json_string("own"));
    emit(e, event);
    return vault_contact_update(e->vault, c);
}

/* Their list against the one we know, ours against the one they know (PROTOCOL.md §7.1): a list that a relay holds back shows here. */
static int judge_lists(engine *e, vault_contact *c, const content *k)
{
    device_list known;
    int rc = contact_list(c, &known);
    if (rc == TACET_OK && k->known_version > e->me.list.version)
        rc = own_list_newer(e, c);
    if (rc == TACET_OK && k->own_version == known.version && sodium_memcmp(k->own_hash, known.hash, sizeof known.hash) != 0)
        return contact_forked(e, c, "theirs");
    if (rc == TACET_OK && k->own_version > known.version && !c->known_stale) {
        c->known_stale = true;
        rc = vault_contact_update(e->vault, c);
        lists_wanted(e, c->id);
    }
    return rc;
}

/* --- what is shown -------------------------------------------------------------------------------------------------------------------------------- */
static int show(engine *e, vault_contact *c, const said *s, uint32_t kind, view text, view reply_to, bool handed)
{
    vault_message m = { .contact = c->id,
                        .suspect = s->suspect,
                        .handed = handed,
                        .read = handed,
                        .kind = kind,
                        .state = VAULT_RECEIVED,
                        .waits = (s->k->flags & CONTENT_FLAG_WAITS) != 0,
                        .device = s->a->device,
                        .sequence = s->k->sequence,
                        .time_ms = s->time_ms,
                        .received_ms = now_ms(e),
                        .content_kind = s->k->kind,
                        .text = { text.at, text.bytes } };
    int64_t row = 0;
    uint32_t state = 0;
    uint8_t size[8];
    for (unsigned i = 0; kind == VAULT_FILE && i < sizeof size; i++)
        size[i] = (uint8_t)(s->k->offer.size >> (56 - 8 * i));
    if (kind == VAULT_FILE)
        m.raw = (vault_blob){ size, sizeof size };
    if (kind == VAULT_UNKNOWN)
        m.raw = (vault_blob){ s->raw.at, s->raw.bytes };
    memcpy(m.id, s->k->id, sizeof m.id);
    memcpy(m.hash, s->hash, sizeof m.hash);
    memcpy(m.previous, s->k->previous, sizeof m.previous);
    if (reply_to.bytes == sizeof m.reply_to) {
        memcpy(m.reply_to, reply_to.at, sizeof m.reply_to);
        m.has_reply = true;
    }
    bool owed = c->state == VAULT_CONTACT_ACCEPTED && kind != VAULT_UNKNOWN; /* what we cannot read is not confirmed (M09) */
    int rc = vault_message_find(e->vault, c->id, false, m.id, &row, &state);
    bool again = rc == TACET_OK; /* in another envelope, after a reset or from the sender's new device: shown once, acknowledged again */
    if (again)
        rc = chain_pass(e, c, s->a->device, m.sequence, m.previous, m.hash);
    if (again)
        return rc == TACET_OK && owed ? receipts_owe(e, c, m.id, RECEIPT_DELIVERED, m.waits) : rc;
    if (rc == TACET_E_NOT_FOUND)
        rc = chain_check(e, c, s->a->device, m.sequence, m.previous, m.hash);
    if (rc == TACET_OK)
        rc = vault_message_add(e->vault, &m);
    if (rc == TACET_OK && kind == VAULT_FILE)
        rc = file_offered(e, c, s->k, m.row);
    if (rc == TACET_OK && !handed)
        emit(e, json_message(e, &m));
    if (rc == TACET_OK && owed)
        rc = receipts_owe(e, c, m.id, RECEIPT_DELIVERED, m.waits);
    return rc;
}

static int on_text(engine *e, vault_contact *c, const said *s) { return show(e, c, s, VAULT_TEXT, s->k->text.text, s->k->text.reply_to, false); }

static int on_unknown(engine *e, vault_contact *c, const said *s)
{
    const view none = { NULL, 0 };
    return s->k->sequence > 0 ? show(e, c, s, VAULT_UNKNOWN, none, none, false) : TACET_OK; /* what is not counted may pass unseen */
}

/* --- files ------------------------------------------------------------------------------------------------------------------------------------------ */
static int on_offer(engine *e, vault_contact *c, const said *s)
{
    int64_t row = 0;
    uint32_t state = 0;
    int rc = vault_message_find(e->vault, c->id, false, s->k->id, &row, &state);
    if (rc == TACET_E_NOT_FOUND && !file_offer_fits(e, c, s->k))
        return TACET_E_REFUSED;
    return rc < 0 ? rc : show(e, c, s, VAULT_FILE, s->k->offer.name, s->k->offer.reply_to, false);
}

/* Not shown by itself, but counted: what comes a second time, in another envelope, must not look like a fork. */
static int in_chain(engine *e, vault_contact *c, const said *s, bool fresh)
{
    return (fresh ? chain_check : chain_pass)(e, c, s->a->device, s->k->sequence, s->k->previous, s->hash);
}

static int on_seal(engine *e, vault_contact *c, const said *s)
{
    bool fresh = true;
    int rc = file_sealed(e, c, s->k, &fresh);
    return rc == TACET_OK ? in_chain(e, c, s, fresh) : rc;
}

static int on_cancel(engine *e, vault_contact *c, const said *s)
{
    int rc = file_cancelled(e, c, s->k);
    return rc == TACET_OK ? in_chain(e, c, s, true) : rc;
}

static int on_receipt(engine *e, vault_contact *c, const said *s) { return receipts_take(e, c, s->k, s->a->device); }

/* --- control ---------------------------------------------------------------------------------------------------------------------------------------- */
static int their_token(engine *e, vault_contact *c, view token)
{
    memcpy(c->their_token, token.at, sizeof c->their_token);
    c->has_theirs = true;
    return vault_contact_update(e->vault, c);
}

static int on_accept(engine *e, vault_contact *c, const said *s)
{
    int64_t rows[8];
    size_t count = 0;
    int rc = their_token(e, c, s->k->control.token);
    if (rc == TACET_OK)
        rc = vault_out_rows_of_kind(e->vault, c->id, VAULT_OUT_REQUEST, rows, sizeof rows / sizeof *rows, &count);
    for (size_t i = 0; rc == TACET_OK && i < count && i < sizeof rows / sizeof *rows; i++)
        rc = outbox_row_delivered(e, rows[i]); /* the answer is the receipt of the request */
    return rc == TACET_OK ? contact_accepted(e, c) : rc;
}

static int on_token(engine *e, vault_contact *c, const said *s)
{
    int rc = their_token(e, c, s->k->control.token);
    if (rc == TACET_OK)
        outbox_lane(e, c);
    return rc;
}

/* They could not read something and began anew: everything goes there from now on, and what they do not have goes once more. */
static int on_reset(engine *e, vault_contact *c, const said *s)
{
    int rc = vault_session_reset(e->vault, s->a->session_id);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc; /* one in each session: all that we have for them is sealed anew for it */
    rc = vault_session_retire(e->vault, c->id, s->a->device, s->a->session_id);
    if (rc == TACET_OK)
        rc = outbox_seal_again(e, c, s->a->device, s->k->control.last_sequence);
    json_t *event = json_event("session-reset");
    json_object_set_new(event, "conversation", json_string(c->alias));
    json_object_set_new(event, "by", json_string("them"));
    emit(e, event);
    return rc;
}

static int on_control(engine *e, vault_contact *c, const said *s)
{
    switch (s->k->control.what) {
    case CONTROL_ACCEPT:
        return on_accept(e, c, s);
    case CONTROL_TOKEN:
        return c->state == VAULT_CONTACT_ACCEPTED ? on_token(e, c, s) : TACET_E_REFUSED;
    case CONTROL_RESET:
        return on_reset(e, c, s);
    default:
        return TACET_OK; /* a carrier has done its work by arriving; what a later version means passes */
    }
}

/* --- requests --------------------------------------------------------------------------------------------------------------------------------------- */
static int stranger(engine *e, vault_contact *c, const said *s, const char *name, const char *relay)
{
    uint64_t pending = 0;
    vault_contact known;
    int rc = vault_contact_count(e->vault, VAULT_CONTACT_PENDING, &pending);
    if (rc != TACET_OK || !s->a->sender || pending >= ENGINE_PENDING_MAX)
        return rc != TACET_OK ? rc : TACET_E_REFUSED;
    const first_sender *from = s->a->sender;
    c->state = VAULT_CONTACT_PENDING;
    c->created_ms = now_ms(e);
    memcpy(c->account, from->list.account.bytes, sizeof c->account);
    text_put(c->name, sizeof c->name, name);
    text_put(c->relay, sizeof c->relay, relay);
    contact_list_set(c, &from->list, from->signed_list, from->signed_list_bytes);
    memcpy(c->their_token, s->k->request.token.at, sizeof c->their_token);
    c->has_theirs = true;
    rc = contact_alias(e, name, c->alias);
    if (rc == TACET_OK)
        rc = vault_contact_add(e->vault, c);
    if (rc != TACET_OK)
        return rc;
    rc = vault_contact_by_name(e->vault, name, relay_key_of(relay), c->account, &known);
    if (rc == TACET_OK && known.state != VAULT_CONTACT_PENDING)
        rc = contact_changed(e, &known, c->account);
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

/* Somebody who had forgotten us begins at 1, in a new session, and knows nothing of what we numbered: both chains begin anew (PROTOCOL.md §7.1). What they
 * do not have yet keeps its numbers, so that they see how much they have forgotten. */
static int begin_anew(engine *e, vault_contact *c, const arrival *a)
{
    int64_t row;
    size_t unheard = 0;
    int rc = vault_session_retire(e->vault, c->id, a->device, a->session_id);
    if (rc == TACET_OK)
        rc = vault_chain_restart(e->vault, c->id, a->device);
    if (rc == TACET_OK)
        rc = vault_out_rows_of_kind(e->vault, c->id, VAULT_OUT_MESSAGE, &row, 1, &unheard);
    if (rc == TACET_OK && unheard == 0) {
        c->sequence = 0;
        memset(c->previous, 0, sizeof c->previous);
    }
    return rc;
}

/* Both asked: both agreed. Or somebody whom we accepted, or have not decided about, lost us and asks again: then the token is another one. */
static int known_asks(engine *e, vault_contact *c, const said *s, const char *relay)
{
    if (c->state == VAULT_CONTACT_PENDING && strcmp(c->relay, relay) != 0)
        return TACET_E_REFUSED; /* the person decides about what they were shown */
    bool crossing = c->state == VAULT_CONTACT_REQUESTED, again = c->state == VAULT_CONTACT_ACCEPTED;
    bool anew = !crossing && sodium_memcmp(c->their_token, s->k->request.token.at, sizeof c->their_token) != 0;
    text_put(c->relay, sizeof c->relay, relay);
    int rc = anew ? begin_anew(e, c, s->a) : TACET_OK;
    if (rc == TACET_OK && anew && again)
        rc = notice_add(e, c, sentence_text(SAY_NOTICE_ANEW));
    if (rc == TACET_OK)
        rc = their_token(e, c, s->k->request.token);
    if (rc == TACET_OK && crossing)
        rc = contact_accepted(e, c);
    if (rc == TACET_OK && (again || crossing)) /* also when crossing: theirs may have been lost on the way, and then they lack our token */
        rc = request_answer(e, c);
    return rc;
}

static int on_request(engine *e, vault_contact *c, const said *s)
{
    char name[TACET_NAME_MAX_CHARS + 1], given[TACET_RELAY_ADDRESS_MAX_BYTES + 1], relay[TACET_LINK_MAX_CHARS + 1];
    relay_address address;
    const content *k = s->k;
    if (!name_valid((const char *)k->request.name.at, k->request.name.bytes) || k->request.relay.bytes >= sizeof given)
        return TACET_E_REFUSED;
    memcpy(name, k->request.name.at, k->request.name.bytes);
    name[k->request.name.bytes] = '\0';
    memcpy(given, k->request.relay.at, k->request.relay.bytes);
    given[k->request.relay.bytes] = '\0';
    if (strlen(given) != k->request.relay.bytes || relay_address_parse(&address, given) != TACET_OK)
        return TACET_E_REFUSED;
    relay_address_format(relay, &address);
    if (strlen(relay) > TACET_RELAY_ADDRESS_MAX_BYTES)
        return TACET_E_REFUSED;
    bool is_new = c->id == 0, asked_before = c->state == VAULT_CONTACT_PENDING;
    int rc = is_new ? stranger(e, c, s, name, relay) : known_asks(e, c, s, relay);
    bool pending = c->state == VAULT_CONTACT_PENDING;
    if (rc == TACET_OK && k->request.text.bytes && asked_before)
        rc = vault_request_text_remove(e->vault, c->id); /* one at a time, and the newest: it is the one that our accept confirms */
    if (rc == TACET_OK && k->request.text.bytes)
        rc = show(e, c, s, VAULT_REQUEST_TEXT, k->request.text, (view){ NULL, 0 }, pending);
    else if (rc == TACET_OK)
        rc = chain_check(e, c, s->a->device, k->sequence, k->previous, s->hash);
    if (rc == TACET_OK && !pending && !k->request.text.bytes)
        rc = receipts_owe(e, c, k->id, RECEIPT_DELIVERED, false);
    if (rc == TACET_OK && is_new)
        emit(e, json_request(e, c));
    return rc;
}

/* --- by kind ---------------------------------------------------------------------------------------------------------------------------------------- */
int receive_content(engine *e, vault_contact *c, const arrival *a, const uint8_t *plain, size_t plain_bytes)
{
    content k;
    if (content_decode(&k, plain, plain_bytes) != TACET_OK)
        return TACET_E_MALFORMED;
    said s = { .k = &k, .a = a, .raw = { plain, plain_bytes } };
    content_hash(s.hash, plain, plain_bytes);
    judge_time(e, &s);
    /* The request token takes requests and nothing else, and a request comes by no other way (M06). */
    if ((a->token_kind == TOKEN_REQUEST) != (k.kind == CONTENT_REQUEST))
        return TACET_E_REFUSED;
    if (k.kind == CONTENT_REQUEST)
        return on_request(e, c, &s);
    if (c->id == 0 || c->state == VAULT_CONTACT_PENDING)
        return TACET_E_REFUSED;
    int rc = judge_lists(e, c, &k);
    if (rc != TACET_OK)
        return rc;
    static const struct {
        content_kind kind;
        int (*take)(engine *e, vault_contact *c, const said *s);
    } row[] = { { CONTENT_TEXT, on_text },        { CONTENT_RECEIPT, on_receipt }, { CONTENT_CONTROL, on_control },
                { CONTENT_FILE_OFFER, on_offer }, { CONTENT_FILE_SEAL, on_seal },  { CONTENT_FILE_CANCEL, on_cancel } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].kind == k.kind)
            return row[i].take(e, c, &s);
    return on_unknown(e, c, &s);
}
