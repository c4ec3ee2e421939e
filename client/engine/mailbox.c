/* The own mailbox at the own relay: one connection that stays, on which envelopes come, acknowledgements go, and the relay is told about tokens and
 * prekeys. Also what every relay is asked first: its clock and whether it lost its memory. */
#include "state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mailbox_want(engine *e, bool eager)
{
    if (e->mailbox == ENGINE_SLOTS_MAX)
        e->mailbox = slot_for(e, &e->me.relay, TACET_ROLE_MAILBOX);
    if (e->mailbox < ENGINE_SLOTS_MAX)
        slot_want(e, e->mailbox, eager);
}

static bool mailbox_up(const engine *e) { return e->mailbox < ENGINE_SLOTS_MAX && e->slots[e->mailbox].up; }

/* An answer that should have been `ok` and was not: shown; the connection goes on. */
static void trouble(engine *e, const frame *reply, const char *what)
{
    engine_error error;
    if (reply->kind == FRAME_ERROR && reply->error.code == ERROR_NOT_REGISTERED)
        return; /* what that means is found out once, by the answer to `subscribe` */
    error_of_frame(&error, reply, e->me.relay_text, what);
    emit(e, json_error(&error));
}

/* --- clock and incarnation --------------------------------------------------------------------------------------------------------------------------- */
static int note_incarnation(engine *e, const relay_slot *s, const view *incarnation)
{
    char name[TACET_RELAY_ADDRESS_MAX_BYTES + 16];
    uint8_t known[16];
    size_t n = 0;
    (void)snprintf(name, sizeof name, "incarnation %s", s->text);
    int rc = vault_setting_get(e->vault, name, known, sizeof known, &n);
    bool first = rc == TACET_E_NOT_FOUND;
    if (rc < 0 || (rc == TACET_OK && n == incarnation->bytes && memcmp(known, incarnation->at, n) == 0))
        return rc;
    outbox_flush_stored(e); /* what it had taken before is among what goes once more */
    rc = txn_begin(e);
    if (rc != TACET_OK)
        return rc;
    rc = vault_setting_put(e->vault, name, incarnation->at, incarnation->bytes);
    if (rc == TACET_OK && !first) { /* it was restored: everything that has no `delivered` goes once more, the same bytes */
        rc = vault_out_again(e->vault, s->text);
        if (rc == TACET_OK && strcmp(s->text, e->me.relay_text) == 0)
            rc = files_again(e);
        if (rc == TACET_OK && strcmp(s->text, e->me.relay_text) == 0) {
            rc = vault_prekey_unpublish_all(e->vault);
            if (rc == TACET_OK)
                rc = tokens_again(e);
            if (rc == TACET_OK)
                rc = vault_number_put(e->vault, "name_published_s", 0);
        }
    }
    rc = txn_end(e, rc);
    if (rc == TACET_OK && !first) {
        e->tokens_asked = e->prekeys_asked = false;
        rc = outbox_lanes(e);
        mailbox_tokens(e);
        mailbox_prekeys(e);
    }
    return rc;
}

static void got_info(engine *e, uint64_t arg, const frame *reply)
{
    relay_slot *s = &e->slots[arg];
    if (!reply || reply->kind != FRAME_INFO_REPLY || reply->info_reply.incarnation.bytes != 16)
        return;
    if (arg == e->mailbox) {
        bool was_off = clock_off(e);
        e->clock_known = true;
        uint64_t hour_s = reply->info_reply.hour_s < ENGINE_HOUR_MAX_S ? reply->info_reply.hour_s : ENGINE_HOUR_MAX_S;
        e->clock_offset_s = (int64_t)hour_s - (int64_t)now_s(e);
        if (e->clock_offset_s < 0 && e->clock_offset_s > -3600)
            e->clock_offset_s = 0; /* it tells the hour that has begun */
        else if (e->clock_offset_s < 0)
            e->clock_offset_s += 3600;
        if (clock_off(e) && !was_off) {
            json_t *event = json_event("clock");
            json_object_set_new(event, "offset_s", json_integer(e->clock_offset_s));
            emit(e, event);
        }
        e->housekeeping_at_ms = mono_ms(e);
    }
    if (e->me.stage != ACCOUNT_REGISTERED)
        return;
    int rc = note_incarnation(e, s, &reply->info_reply.incarnation);
    if (rc != TACET_OK)
        engine_fail(e, rc);
}

void mailbox_info(engine *e, size_t slot)
{
    frame ask = { .kind = FRAME_INFO };
    if (slot_ask(e, slot, &ask, got_info, slot) != TACET_OK)
        e->slots[slot].touched_ms = mono_ms(e); /* it was up a moment ago: its end is reported by the network */
}

/* --- tokens -------------------------------------------------------------------------------------------------------------------------------------------------- */
/* Every token of ours, to a relay that forgot them. */
int tokens_again(engine *e)
{
    vault_token wish = { .kind = TOKEN_REQUEST, .add = true };
    token_hash(wish.hash, e->me.request_token);
    int64_t *ids = NULL;
    size_t count = 0;
    int rc = vault_token_put(e->vault, &wish);
    if (rc == TACET_OK)
        rc = contacts_all(e->vault, &ids, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        vault_contact c;
        rc = vault_contact_get(e->vault, ids[i], &c);
        if (rc != TACET_OK || !c.has_ours)
            continue;
        wish = (vault_token){ .kind = TOKEN_DELIVERY, .add = true };
        memcpy(wish.hash, c.our_hash, sizeof wish.hash);
        c.ours_active = false;
        rc = vault_contact_update(e->vault, &c);
        if (rc == TACET_OK)
            rc = vault_token_put(e->vault, &wish);
    }
    free(ids);
    return rc;
}

enum { TOKENS_AT_ONCE = 64 };
/* What one question carried; found again in the vault by the answer, in the same order. */
typedef struct {
    size_t count;
    vault_token token[TOKENS_AT_ONCE];
} token_batch;

static int batch_done(engine *e, const token_batch *b)
{
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < b->count; i++) {
        vault_contact c;
        rc = vault_token_done(e->vault, &b->token[i]);
        if (rc != TACET_OK || !b->token[i].add || b->token[i].kind != TOKEN_DELIVERY)
            continue;
        rc = vault_contact_by_hash(e->vault, b->token[i].hash, &c);
        if (rc == TACET_OK) {
            c.ours_active = true;
            rc = vault_contact_update(e->vault, &c);
            outbox_unblock(e, c.id);
        } else if (rc == TACET_E_NOT_FOUND) {
            rc = TACET_OK; /* taken back meanwhile */
        }
    }
    return rc;
}

static void got_tokens(engine *e, uint64_t arg, const frame *reply)
{
    token_batch *b = (token_batch *)(uintptr_t)arg;
    int rc = TACET_OK;
    e->tokens_asked = false;
    if (reply && reply->kind == FRAME_OK) {
        rc = txn_begin(e);
        if (rc == TACET_OK)
            rc = txn_end(e, batch_done(e, b));
        if (rc == TACET_OK)
            mailbox_tokens(e);
    } else if (reply) {
        trouble(e, reply, "contacts"); /* tried again on the next connection */
        error_of_frame(&e->tokens_error, reply, e->me.relay_text, "contacts");
        e->tokens_refused = true;
    }
    free(b);
    if (rc != TACET_OK)
        engine_fail(e, rc);
}

/* One kind and one direction a question: that is all the frame can say about what failed. */
static void select_alike(token_batch *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->count; i++)
        if (b->token[i].kind == b->token[0].kind && b->token[i].add == b->token[0].add && (b->token[0].kind == TOKEN_DELIVERY || n == 0))
            b->token[n++] = b->token[i];
    b->count = n;
}

void mailbox_tokens(engine *e)
{
    if (e->tokens_asked || e->tokens_refused || !mailbox_up(e) || e->registering || e->me.stage != ACCOUNT_REGISTERED ||
        vault_in_transaction(e->vault))
        return;
    token_batch *b = calloc(1, sizeof *b);
    int rc = b ? vault_token_list(e->vault, b->token, TOKENS_AT_ONCE, &b->count) : TACET_E_NOMEM;
    if (rc != TACET_OK || b->count == 0) {
        free(b);
        if (rc != TACET_OK)
            engine_fail(e, rc);
        return;
    }
    select_alike(b);
    frame ask = { .kind = FRAME_TOKENS };
    view_list *list = b->token[0].add ? &ask.tokens.add : &ask.tokens.remove;
    ask.tokens.kind = (uint8_t)b->token[0].kind;
    list->count = (uint32_t)b->count;
    for (size_t i = 0; i < b->count; i++)
        list->item[i] = (view){ b->token[i].hash, sizeof b->token[i].hash };
    e->tokens_asked = true;
    if (slot_ask(e, e->mailbox, &ask, got_tokens, (uint64_t)(uintptr_t)b) != TACET_OK) {
        e->tokens_asked = false; /* asked again when the link is up */
        free(b);
    }
}

/* --- prekeys --------------------------------------------------------------------------------------------------------------------------------------------------- */
static void got_published(engine *e, uint64_t arg, const frame *reply)
{
    (void)arg;
    if (reply && reply->kind != FRAME_PREKEY_COUNTS)
        trouble(e, reply, "prekeys");
    if (!reply || reply->kind != FRAME_PREKEY_COUNTS)
        return;
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, prekeys_mark_published(e));
    if (rc != TACET_OK)
        engine_fail(e, rc);
}

static void got_counts(engine *e, uint64_t arg, const frame *reply)
{
    (void)arg;
    if (reply && reply->kind != FRAME_PREKEY_COUNTS)
        trouble(e, reply, "prekeys");
    if (!reply || reply->kind != FRAME_PREKEY_COUNTS || clock_off(e))
        return;
    e->handed_out = reply->prekey_counts.handed_out;
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, prekeys_refill(e, reply->prekey_counts.one_time, reply->prekey_counts.kem));
    if (rc == TACET_OK)
        rc = prekeys_publish(e, got_published, 0);
    if (rc < 0)
        engine_fail(e, rc);
}

void mailbox_prekeys(engine *e)
{
    frame ask = { .kind = FRAME_PREKEY_STATUS };
    if (e->prekeys_asked || !mailbox_up(e) || e->registering)
        return;
    e->prekeys_asked = slot_ask(e, e->mailbox, &ask, got_counts, 0) == TACET_OK;
}

/* --- the directory ------------------------------------------------------------------------------------------------------------------------------------------------ */
int publish_name(engine *e, reply_fn *fn, uint64_t arg)
{
    uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES];
    directory_entry entry = { .expires_s = now_s(e) + TACET_DIRECTORY_LIFETIME_S };
    memcpy(entry.ik, e->me.list.ik, sizeof entry.ik);
    memcpy(entry.relay, e->me.relay.key, sizeof entry.relay);
    memcpy(entry.request_token, e->me.request_token, sizeof entry.request_token);
    text_put(entry.name, sizeof entry.name, e->me.name);
    int rc = directory_entry_sign(&entry, bytes, e->me.secret->ik);
    frame ask = { .kind = FRAME_PUBLISH_NAME };
    ask.publish_name.entry = (view){ bytes, sizeof bytes };
    return rc == TACET_OK ? slot_ask(e, e->mailbox, &ask, fn, arg) : rc;
}

static void got_name(engine *e, uint64_t arg, const frame *reply)
{
    (void)arg;
    if (!reply)
        return;
    if (reply->kind != FRAME_OK) {
        trouble(e, reply, e->me.name);
        return;
    }
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, vault_number_put(e->vault, "name_published_s", now_s(e)));
    if (rc != TACET_OK)
        engine_fail(e, rc);
}

void mailbox_name(engine *e)
{
    uint64_t at = 0;
    if (!mailbox_up(e) || e->registering || !e->me.listed || !e->clock_known || clock_off(e))
        return;
    int rc = vault_number_get(e->vault, "name_published_s", &at);
    if (rc >= 0 && (rc == TACET_E_NOT_FOUND || now_s(e) > at + ENGINE_PUBLISH_NAME_S || now_s(e) + 86400 < at))
        rc = publish_name(e, got_name, 0);
    if (rc < 0) /* TACET_E_AGAIN: at the next housekeeping */
        engine_fail(e, rc);
}

/* --- delivery -------------------------------------------------------------------------------------------------------------------------------------------------------- */
/* The relay does not know this device. If the account's own lists say that another one took its place, then that is so, whoever runs the relay. */
static void got_own_lists(engine *e, uint64_t arg, const fetched *f)
{
    (void)arg;
    if (f->status == TACET_OK && !device_list_find(&f->list, e->me.device)) {
        account_replaced(e);
        return;
    }
    if (f->status == TACET_OK)
        sentence_fill(&e->fault, SAY_NOT_REGISTERED, e->me.relay_text, NULL, NULL);
    else
        e->fault = f->error;
    emit(e, json_error(&e->fault));
    mailbox_break(e);
}

static void got_subscribed(engine *e, uint64_t arg, const frame *reply)
{
    (void)arg;
    e->confirmed = reply && reply->kind == FRAME_OK;
    if (!reply || reply->kind == FRAME_OK)
        return;
    if (reply->kind == FRAME_ERROR && reply->error.code == ERROR_NOT_REGISTERED) {
        fetch_own(e, got_own_lists, 0);
        return;
    }
    error_of_frame(&e->fault, reply, e->me.relay_text, "mailbox");
    trouble(e, reply, "mailbox");
    mailbox_break(e);
}

static void subscribe(engine *e)
{
    frame ask = { .kind = FRAME_SUBSCRIBE };
    ask.subscribe.credit = ENGINE_CREDIT;
    e->subscribed = slot_ask(e, e->mailbox, &ask, got_subscribed, 0) == TACET_OK;
}

void mailbox_link_up(engine *e)
{
    e->caught_up = false;
    e->tokens_asked = e->prekeys_asked = e->tokens_refused = false;
    slots_retry(e, e->mailbox);
    if (e->registering || e->me.stage != ACCOUNT_REGISTERED) {
        register_link_up(e);
        return;
    }
    subscribe(e);
    mailbox_tokens(e);
    mailbox_prekeys(e);
}

void mailbox_link_down(engine *e)
{
    if (e->caught_up) {
        json_t *event = json_event("connection");
        json_object_set_new(event, "online", json_false());
        e->was_offline = true;
        emit(e, event);
    }
    e->caught_up = e->subscribed = e->confirmed = e->tokens_asked = e->prekeys_asked = false;
    if (e->batch) { /* what came is kept; its acknowledgements have nowhere to go, so it comes again and is known then */
        e->batch = false;
        int rc = txn_end(e, TACET_OK);
        if (rc != TACET_OK)
            engine_fail(e, rc);
    }
    e->ack_count = 0;
}

void mailbox_fault(engine *e, int status)
{
    engine_fail(e, status);
    mailbox_break(e);
}

static void got_ack(engine *e, uint64_t arg, const frame *reply)
{
    (void)arg;
    if (reply && reply->kind != FRAME_OK)
        trouble(e, reply, "acknowledgements");
}

void mailbox_acks(engine *e)
{
    frame ask = { .kind = FRAME_ACK };
    if (!mailbox_up(e) || e->ack_count == 0)
        return;
    ask.ack.ids.count = (uint32_t)e->ack_count;
    memcpy(ask.ack.ids.item, e->acks, e->ack_count * sizeof *e->acks);
    if (slot_ask(e, e->mailbox, &ask, got_ack, 0) != TACET_OK)
        mailbox_break(e); /* so much is open that something is wrong: everything comes again */
}

void mailbox_event(engine *e, const frame *f)
{
    if (f->kind == FRAME_DELIVER && e->me.stage == ACCOUNT_REGISTERED) {
        inbox_deliver(e, f);
    } else if (f->kind == FRAME_CAUGHT_UP) {
        if (inbox_flush(e) != TACET_OK)
            return;
        e->caught_up = true;
        e->woken = true;
        outbox_unblock_all(e);
        if (e->was_offline) { /* a host that lost the relay has it again */
            json_t *event = json_event("connection");
            json_object_set_new(event, "online", json_true());
            e->was_offline = false;
            emit(e, event);
        }
    }
}
