/* engine/lanes.c: the outbox on its way: one lane for each contact, so that each contact's envelopes leave in order and one contact's full mailbox stops nobody else.
 * What is sent was committed before; what is sent again is the same bytes. */
#include "state.h"
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- lanes ------------------------------------------------------------------------------------------------------------------------------------ */
static lane *lane_of(engine *e, int64_t contact)
{
    for (size_t i = 0; i < e->lane_count; i++)
        if (e->lanes[i].contact == contact)
            return &e->lanes[i];
    return NULL;
}

static lane *lane_with(engine *e, int64_t row)
{
    for (size_t i = 0; i < e->lane_count; i++)
        for (size_t k = 0; k < e->lanes[i].under_way; k++)
            if (e->lanes[i].sent[k].row == row)
                return &e->lanes[i];
    return NULL;
}

static const sent_row *lane_carries(const lane *l, int64_t row)
{
    for (size_t k = 0; k < l->under_way; k++)
        if (l->sent[k].row == row)
            return &l->sent[k];
    return NULL;
}

static bool same_envelope(const sent_row *sent, const vault_outgoing *o)
{
    return sodium_memcmp(sent->envelope_id, o->envelope_id, sizeof sent->envelope_id) == 0;
}

void outbox_lane(engine *e, const vault_contact *c)
{
    lane *l = lane_of(e, c->id);
    if (!l) {
        if (e->lane_count == e->lane_room) {
            size_t room = e->lane_room ? 2 * e->lane_room : 16;
            lane *more = realloc(e->lanes, room * sizeof *more);
            if (!more)
                return; /* found again at the next start */
            e->lanes = more;
            e->lane_room = room;
        }
        l = &e->lanes[e->lane_count++];
        *l = (lane){ .contact = c->id, .slot = ENGINE_SLOTS_MAX };
    }
    l->dirty = l->eager = true;
    l->blocked = false;
}

void outbox_lane_now(engine *e, const vault_contact *c)
{
    outbox_lane(e, c);
    lane *l = lane_of(e, c->id);
    if (l)
        l->retry_at_ms = 0;
}

static void lane_again(lane *l)
{
    l->cursor = 0;
    l->dirty = true;
}

void outbox_lane_again(engine *e, const vault_contact *c)
{
    outbox_lane(e, c);
    lane *l = lane_of(e, c->id);
    if (l)
        lane_again(l);
}

void outbox_unblock(engine *e, int64_t contact)
{
    lane *l = lane_of(e, contact);
    if (l)
        l->blocked = false;
}

void outbox_unblock_all(engine *e)
{
    for (size_t i = 0; i < e->lane_count; i++)
        e->lanes[i].blocked = false;
}

int outbox_lanes(engine *e)
{
    size_t count = 0;
    int rc = vault_out_contacts(e->vault, VAULT_OUT_READY, NULL, 0, &count);
    int64_t *contacts = calloc(count + 1, sizeof *contacts);
    if (!contacts)
        return TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = vault_out_contacts(e->vault, VAULT_OUT_READY, contacts, count, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        vault_contact c = { .id = contacts[i] };
        outbox_lane_again(e, &c);
    }
    free(contacts);
    return rc;
}

void outbox_slot_down(engine *e, size_t slot)
{
    for (size_t i = 0; i < e->lane_count; i++)
        if (e->lanes[i].slot == slot) {
            e->lanes[i].under_way = 0;
            e->lanes[i].slot = ENGINE_SLOTS_MAX;
            lane_again(&e->lanes[i]);
        }
}

void outbox_slot_taken(engine *e, size_t slot)
{
    const relay_slot *s = &e->slots[slot];
    for (size_t i = 0; s->failed && i < e->lane_count; i++)
        if (e->lanes[i].slot == slot && e->lanes[i].retry_at_ms < s->retry_at_ms)
            e->lanes[i].retry_at_ms = s->retry_at_ms;
    outbox_slot_down(e, slot);
}

/* --- what the relay answers --------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    vault_outgoing o;
    bool found;
} row_head;

static bool take_head(void *ctx, const vault_outgoing *o)
{
    row_head *h = ctx;
    h->o = *o;
    h->o.content = h->o.ciphertext = (vault_blob){ NULL, 0 };
    h->found = true;
    return true;
}

static bool tell_state(void *ctx, const vault_message *m)
{
    engine *e = ctx;
    emit(e, json_receipt(e, m->contact, m->id, message_state_word(m->state)));
    return true;
}

int message_raise(engine *e, int64_t message, uint32_t state)
{
    if (message == 0)
        return TACET_OK;
    int rc = vault_message_raise(e->vault, message, state);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    return vault_message_each_row(e->vault, message, tell_state, e);
}

static int row_stored(engine *e, const sent_row *sent)
{
    row_head h = { 0 };
    int64_t row = sent->row;
    int rc = vault_out_get(e->vault, row, take_head, &h);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc; /* its receipt was faster */
    if (!same_envelope(sent, &h.o)) {                   /* sealed anew meanwhile: what is there now has not left */
        vault_contact c = { .id = h.o.contact };
        outbox_lane_again(e, &c);
        return TACET_OK;
    }
    if (h.o.what == VAULT_OUT_PASSING)
        return vault_out_remove(e->vault, row);
    rc = vault_out_state(e->vault, row, VAULT_OUT_STORED);
    return rc == TACET_OK ? message_raise(e, h.o.message, VAULT_STORED) : rc;
}

/* What the relay took could not be written down: it is sent again, later, and the recipient knows it. */
static void send_again(engine *e)
{
    int rc = outbox_lanes(e);
    if (rc != TACET_OK)
        engine_fail(e, rc);
    for (size_t i = 0; i < e->lane_count; i++) {
        lane_again(&e->lanes[i]);
        e->lanes[i].retry_at_ms = mono_ms(e) + ENGINE_LANE_RETRY_MS;
    }
}

void outbox_flush_stored(engine *e)
{
    if (e->stored_count == 0)
        return;
    size_t count = e->stored_count;
    e->stored_count = 0;
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        for (size_t i = 0; rc == TACET_OK && i < count; i++)
            rc = row_stored(e, &e->stored[i]);
        rc = txn_end(e, rc);
    }
    if (rc != TACET_OK) {
        engine_fail(e, rc);
        send_again(e);
    }
    e->woken = true;
}

/* An error about one message, for whoever waits for it. */
typedef struct {
    engine *e;
    json_t *event;
} message_name;

static bool name_message(void *ctx, const vault_message *m)
{
    message_name *n = ctx;
    json_object_set_new(n->event, "id", json_hex(m->id, sizeof m->id));
    return true;
}

static void tell_trouble(engine *e, const engine_error *error, const char *alias, int64_t message)
{
    json_t *event = json_error(error);
    json_object_set_new(event, "conversation", json_string(alias));
    message_name n = { e, event };
    if (message && vault_message_each_row(e->vault, message, name_message, &n) != TACET_OK)
        json_object_set_new(event, "id", json_null());
    emit(e, event);
}

int outbox_drop_row(engine *e, int64_t row, int64_t message, uint32_t message_state)
{
    int rc = vault_out_remove(e->vault, row);
    return rc == TACET_OK ? message_raise(e, message, message_state) : rc;
}

int outbox_row_state(engine *e, int64_t row, uint32_t *state)
{
    row_head h = { 0 };
    int rc = vault_out_get(e->vault, row, take_head, &h);
    *state = h.o.state;
    return rc;
}

int outbox_row_delivered(engine *e, int64_t row)
{
    row_head h = { 0 };
    int rc = vault_out_get(e->vault, row, take_head, &h);
    return rc == TACET_OK ? outbox_drop_row(e, row, h.o.message, VAULT_DELIVERED) : rc;
}

/* The relay will never take it. */
static void row_refused(engine *e, int64_t row, const frame *reply, const vault_contact *c, const row_head *h)
{
    e->refused_row = row;
    if (reply->kind == FRAME_ERROR && reply->error.code == ERROR_REFUSED && h->o.what != VAULT_OUT_REQUEST)
        sentence_fill(&e->refused, SAY_NOT_TAKEN, c->alias, NULL, NULL);
    else
        error_of_frame(&e->refused, reply, c->relay, c->alias);
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        rc = outbox_drop_row(e, row, h->o.message, VAULT_FAILED);
        rc = txn_end(e, rc);
    }
    if (rc != TACET_OK)
        engine_fail(e, rc);
    tell_trouble(e, &e->refused, c->alias, h->o.message);
}

static uint64_t token_tag(const vault_contact *c)
{
    uint64_t tag = 0;
    memcpy(&tag, c->their_token, sizeof tag);
    return tag;
}

static void row_answered(engine *e, uint64_t arg, const frame *reply)
{
    int64_t row = (int64_t)arg;
    lane *l = lane_with(e, row);
    if (!reply || !l)
        return; /* the link is gone: outbox_slot_down starts the lane again */
    sent_row sent = { .row = row };
    for (size_t k = 0; k < l->under_way; k++)
        if (l->sent[k].row == row) {
            sent = l->sent[k];
            l->sent[k] = l->sent[--l->under_way];
        }
    if (reply->kind == FRAME_OK) {
        e->stored[e->stored_count++] = sent;
        if (e->stored_count == ENGINE_ACKS_MAX)
            outbox_flush_stored(e);
        return;
    }
    row_head h = { 0 };
    vault_contact c;
    if (vault_out_get(e->vault, row, take_head, &h) != TACET_OK || vault_contact_get(e->vault, h.o.contact, &c) != TACET_OK)
        return; /* removed meanwhile */
    if (!same_envelope(&sent, &h.o)) {
        lane_again(l); /* what was refused is not what is there now */
        return;
    }
    unsigned code = reply->kind == FRAME_ERROR ? reply->error.code : ERROR_INTERNAL;
    if (code == ERROR_STALE_DEVICE) { /* the device is gone: the newer lists say which ones there are now, and move the row (devices.c) */
        l->retry_at_ms = mono_ms(e) + ENGINE_LANE_RETRY_MS;
        lane_again(l);
        sessions_wanted(e, c.id);
    } else if (error_class_of((error_code)code) == CLASS_RETRY) {
        l->retry_at_ms = mono_ms(e) + ENGINE_LANE_RETRY_MS;
        lane_again(l);
        e->refused_row = row;
        error_of_frame(&e->refused, reply, c.relay, c.alias);
        tell_trouble(e, &e->refused, c.alias, h.o.message);
    } else if (code == ERROR_REFUSED && h.o.what != VAULT_OUT_REQUEST && (!engine_online(e) || sent.tag != token_tag(&c))) {
        l->blocked = !engine_online(e); /* a new token of theirs has come, or may wait in our mailbox: judged when everything there has been seen */
        lane_again(l);
    } else {
        row_refused(e, row, reply, &c, &h);
    }
}

/* --- sending ------------------------------------------------------------------------------------------------------------------------------------ */
typedef struct {
    engine *e;
    lane *l;
    const vault_contact *c;
    int status;
} sending;

/* How long the relay may keep it: what is left of 30 days, and at least an hour, whatever our clock says. */
static uint32_t ttl_s(const engine *e, const vault_outgoing *o)
{
    uint64_t now = now_ms(e), left = o->expires_ms > now ? (o->expires_ms - now) / 1000 : 0;
    return left < 3600 ? 3600 : left > TACET_TTL_MAX_S ? TACET_TTL_MAX_S : (uint32_t)left;
}

static bool send_row(void *ctx, const vault_outgoing *o)
{
    sending *s = ctx;
    const sent_row *carried = lane_carries(s->l, o->row);
    if (carried) { /* under way already; of an earlier sealing: then its answer comes first, so that the order stays */
        s->status = same_envelope(carried, o) ? TACET_OK : TACET_E_AGAIN;
        return true;
    }
    bool request = o->what == VAULT_OUT_REQUEST;
    if ((request || o->what == VAULT_OUT_TOKEN) && !s->c->ours_active) {
        s->l->blocked = true; /* the answer could not be delivered yet */
        s->status = TACET_E_AGAIN;
        return false;
    }
    frame f = { .kind = FRAME_SEND };
    f.send.version = TACET_WIRE_VERSION;
    f.send.account = (view){ s->c->account, sizeof s->c->account };
    f.send.device = o->device;
    f.send.token = request ? (view){ o->token, sizeof o->token } : (view){ s->c->their_token, sizeof s->c->their_token };
    f.send.ttl_s = ttl_s(s->e, o);
    f.send.ciphertext = (view){ o->ciphertext.at, o->ciphertext.bytes };
    s->status = slot_ask(s->e, s->l->slot, &f, row_answered, (uint64_t)o->row);
    if (s->status != TACET_OK)
        return false;
    sent_row *sent = &s->l->sent[s->l->under_way++];
    *sent = (sent_row){ .row = o->row, .tag = token_tag(s->c) };
    memcpy(sent->envelope_id, o->envelope_id, sizeof sent->envelope_id);
    return true;
}

static int lane_send(engine *e, lane *l, const vault_contact *c)
{
    int64_t rows[ENGINE_LANE_WINDOW];
    size_t room = ENGINE_LANE_WINDOW - l->under_way, count = 0;
    int rc = vault_out_rows(e->vault, l->contact, VAULT_OUT_READY, l->cursor, rows, room, &count);
    if (rc != TACET_OK)
        return rc;
    l->dirty = count == room;
    for (size_t i = 0; i < count; i++) {
        sending s = { e, l, c, TACET_OK };
        rc = vault_out_get(e->vault, rows[i], send_row, &s);
        if (rc != TACET_OK)
            return rc;
        if (s.status != TACET_OK) { /* the link is full or gone, or this row has to wait: later */
            l->dirty = true;
            return s.status < 0 ? s.status : TACET_OK;
        }
        l->cursor = rows[i];
    }
    return TACET_OK;
}

static int lane_pump(engine *e, lane *l)
{
    vault_contact c;
    if (!l->dirty || l->blocked || l->under_way == ENGINE_LANE_WINDOW || mono_ms(e) < l->retry_at_ms)
        return TACET_OK;
    int rc = vault_contact_get(e->vault, l->contact, &c);
    if (rc == TACET_E_NOT_FOUND || (rc == TACET_OK && !contact_may_hear(&c))) {
        l->dirty = false;
        return TACET_OK;
    }
    if (rc != TACET_OK)
        return rc;
    if (l->slot == ENGINE_SLOTS_MAX)
        l->slot = slot_for_text(e, c.relay, TACET_ROLE_OPEN);
    if (l->slot == ENGINE_SLOTS_MAX) { /* too many relays at a time: when one is idle */
        l->retry_at_ms = mono_ms(e) + ENGINE_SLOT_RETRY_MS;
        return TACET_OK;
    }
    slot_want(e, l->slot, l->eager);
    l->eager = false;
    if (l->slot == ENGINE_SLOTS_MAX)
        return TACET_OK; /* it could not even be tried, and the lane heard of it (outbox_slot_down) */
    return e->slots[l->slot].up ? lane_send(e, l, &c) : TACET_OK;
}

/* A profile that a restored backup has replaced must send nothing: its own relay is heard first, as long as it can be reached. */
static bool may_send(const engine *e)
{
    return e->me.stage == ACCOUNT_REGISTERED && (e->confirmed || e->mailbox == ENGINE_SLOTS_MAX || e->slots[e->mailbox].failed);
}

static bool reads_again(const engine *e)
{
    for (size_t i = 0; i < e->lane_count; i++)
        if (e->lanes[i].cursor == 0 && e->lanes[i].dirty)
            return true;
    return false;
}

void outbox_pump(engine *e)
{
    if (e->batch || vault_in_transaction(e->vault) || !may_send(e))
        return; /* nothing leaves that is not committed */
    if (reads_again(e))
        outbox_flush_stored(e); /* so that what is read again does not hold what was accepted */
    for (size_t i = 0; i < e->lane_count; i++) {
        int rc = lane_pump(e, &e->lanes[i]);
        if (rc != TACET_OK) {
            engine_fail(e, rc);
            return;
        }
    }
    for (size_t i = e->lane_count; i-- > 0;)
        if (!e->lanes[i].dirty && e->lanes[i].under_way == 0)
            e->lanes[i] = e->lanes[--e->lane_count];
}

static bool lane_waits(const engine *e, const lane *l)
{
    if (l->under_way)
        return true;
    if (!l->dirty || mono_ms(e) < l->retry_at_ms)
        return false;
    if (l->blocked)
        return e->mailbox < ENGINE_SLOTS_MAX && !e->slots[e->mailbox].failed && !e->tokens_refused;
    return l->slot == ENGINE_SLOTS_MAX || !e->slots[l->slot].failed;
}

bool outbox_idle(engine *e)
{
    for (size_t i = 0; i < e->lane_count; i++)
        if (lane_waits(e, &e->lanes[i]))
            return false;
    return e->stored_count == 0 && !e->batch;
}

uint64_t outbox_deadline(const engine *e)
{
    uint64_t at = UINT64_MAX, mono = mono_ms(e);
    for (size_t i = 0; i < e->lane_count; i++) {
        const lane *l = &e->lanes[i];
        if (!l->dirty || l->blocked || l->under_way)
            continue;
        const relay_slot *s = l->slot < ENGINE_SLOTS_MAX ? &e->slots[l->slot] : NULL;
        uint64_t mine = l->retry_at_ms;
        if (s && s->failed && s->retry_at_ms > mine)
            mine = s->retry_at_ms;
        if (s && s->link && mine <= mono)
            continue; /* on its way: the network wakes us */
        at = mine < at ? mine : at;
    }
    return e->offline ? UINT64_MAX : at;
}
