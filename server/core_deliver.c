/* server/core_deliver.c: the way of a message out of the relay: windows, pushes, the read of what waits, acknowledgements. See core.h. */
#include "server/core_parts.h"
#include "server/limits.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- the ring of what is not acknowledged ------------------------------------------------------------------------------------------------ */
enum { RING_FIRST = 8 };
_Static_assert((RELAY_WINDOW_MAX & (RELAY_WINDOW_MAX - 1)) == 0 && RELAY_WINDOW_MAX >= (int)RING_FIRST, "a ring doubles up to the window");

static inflight *ring_at(subscription *s, uint32_t i) { return &s->ring[i & (s->ring_room - 1)]; }

/* A device that is quiet has no ring, or a small one: most devices are quiet most of the time. */
static void ring_shrink(core *c, subscription *s)
{
    if (s->head != s->tail || s->ring_room <= RING_FIRST)
        return;
    c->window_memory -= s->ring_room * sizeof *s->ring;
    free(s->ring);
    s->ring = NULL;
    s->ring_room = 0;
}

/* Each device has its first few places. What all of them have together stays below a limit: above it windows are smaller, and nobody waits for anybody,
 * because acknowledgements are what frees them. */
static bool ring_may_grow(const core *c, const subscription *s)
{
    uint64_t more = s->ring_room * sizeof *s->ring;
    return s->ring_room == 0 || (s->ring_room < RELAY_WINDOW_MAX && c->window_memory + more <= c->o.config.window_memory_bytes);
}

static bool ring_grow(core *c, subscription *s)
{
    uint32_t room = s->ring_room ? 2 * s->ring_room : RING_FIRST;
    inflight *bigger = ring_may_grow(c, s) ? malloc(room * sizeof *bigger) : NULL;
    if (!bigger)
        return false;
    for (uint32_t i = s->head; i != s->tail; i++)
        bigger[i & (room - 1)] = *ring_at(s, i);
    c->window_memory += (room - s->ring_room) * sizeof *bigger;
    free(s->ring);
    s->ring = bigger;
    s->ring_room = room;
    return true;
}

/* What was acknowledged out of order leaves places between the others. */
static void ring_close_up(subscription *s)
{
    uint32_t to = s->head;
    for (uint32_t i = s->head; i != s->tail; i++)
        if (ring_at(s, i)->tag)
            *ring_at(s, to++) = *ring_at(s, i);
    s->tail = to;
}

/* Room for one more. */
static bool ring_reserve(core *c, subscription *s)
{
    if (s->tail - s->head < s->ring_room || ring_grow(c, s))
        return true;
    ring_close_up(s);
    return s->tail - s->head < s->ring_room;
}

/* How many more may be delivered: up to the window, or to the end of a ring that may not grow. Not zero when has_window says yes. */
static uint32_t window_left(const core *c, const subscription *s)
{
    uint32_t most = s->ring_room < s->window && !ring_may_grow(c, s) ? s->ring_room : s->window;
    return most - s->unacknowledged;
}

static bool has_window(core *c, const conn *k)
{
    subscription *s = k->sub;
    return s->unacknowledged < s->window && k->output < RELAY_OUTPUT_SOFT_BYTES && k->state == CONN_OPEN && ring_reserve(c, s);
}

static inflight *ring_add(subscription *s, const inflight *e)
{
    inflight *place = ring_at(s, s->tail++);
    *place = *e;
    s->unacknowledged++;
    return place;
}

static inflight *ring_find(subscription *s, uint64_t tag)
{
    for (uint32_t i = s->head; tag && i != s->tail; i++)
        if (ring_at(s, i)->tag == tag)
            return ring_at(s, i);
    return NULL;
}

static void ring_remove(core *c, subscription *s, inflight *e)
{
    *e = (inflight){ 0 };
    s->unacknowledged--;
    while (s->head != s->tail && ring_at(s, s->head)->tag == 0)
        s->head++;
    ring_shrink(c, s);
}

/* What is held back waits no longer: it is taken with the next group, in its old order. */
static void release_held(core *c, subscription *s)
{
    for (uint32_t i = s->head; i != s->tail && s->last_hold_until_us; i++)
        if (ring_at(s, i)->pending)
            core_release(c, ring_at(s, i)->pending);
    s->last_hold_until_us = 0;
}

/* --- subscriptions --------------------------------------------------------------------------------------------------------------------- */
void core_unsubscribe(core *c, conn *k)
{
    subscription *s = k->sub;
    if (!s)
        return;
    release_held(c, s);
    for (uint32_t i = s->head; i != s->tail; i++)
        if (ring_at(s, i)->pending)
            ring_at(s, i)->pending->reader = 0;
    mailbox *box = mailboxes_get(&c->boxes, s->mailbox);
    if (box)
        box->subscriber = 0;
    c->subscriptions--;
    c->window_memory -= sizeof *s + s->ring_room * sizeof *s->ring;
    free(s->ring);
    free(s);
    k->sub = NULL;
}

static bool subscribe_first(core *c, conn *k)
{
    mailbox *box = mailboxes_get(&c->boxes, k->who.mailbox);
    subscription *s = box ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return false;
    if (box->subscriber) /* the device has come back on another connection: the newer one counts */
        core_shut(c, &c->conn[box->subscriber - 1], true);
    c->window_memory += sizeof *s;
    c->subscriptions++;
    s->mailbox = k->who.mailbox;
    s->ack_us = UINT32_MAX;
    s->cursor_known = true;
    s->stored_at_start = c->next_number - 1;
    box->subscriber = core_ref(c, k).index + 1;
    k->sub = s;
    return true;
}

void core_subscribe(core *c, conn *k, const frame *f)
{
    conn_ref ref = core_ref(c, k);
    if (!k->sub && !subscribe_first(c, k)) {
        core_reply_error(c, ref, f->id, ERROR_INTERNAL);
        return;
    }
    uint32_t room = RELAY_WINDOW_MAX - k->sub->window;
    k->sub->window += f->subscribe.credit < room ? f->subscribe.credit : room;
    core_reply_ok(c, ref, f->id);
    if (k->sub)
        core_pump(c, k);
}

static void say_caught_up(core *c, conn *k)
{
    uint8_t bytes[64];
    frame *f = &c->f;
    k->sub->caught_up = true;
    memset(f, 0, sizeof *f);
    f->kind = FRAME_CAUGHT_UP;
    f->caught_up.number = k->sub->last_delivered;
    core_reply(c, k, bytes, reply_into(f, bytes, sizeof bytes), 0);
}

/* --- from memory ----------------------------------------------------------------------------------------------------------------------- */
/* How long a device may be given before its message is written: the setting, or, under load, as long as a few groups take, since the message would
 * wait for its commit as well. Nothing for a device that lately took longer than that on average. Not a multiple of its average: what is a little late is
 * written, which makes everybody later, and so more is written. */
static uint64_t hold_for(const core *c, const subscription *s)
{
    uint64_t most = c->o.config.hold_max_us, groups = RELAY_HOLD_GROUPS * c->commit_us;
    if (most == 0)
        return 0;
    groups = groups < RELAY_HOLD_BUSY_MAX_US ? groups : RELAY_HOLD_BUSY_MAX_US;
    most = most > groups ? most : groups;
    return s->ack_us <= most ? most : 0; /* not known: UINT32_MAX */
}

static void push(core *c, conn *k, message *m)
{
    subscription *s = k->sub;
    frame *f = &c->deliver;
    f->deliver.number = m->tag;
    f->deliver.token_kind = m->token_kind;
    f->deliver.token_hash = (view){ m->token_hash, 32 };
    f->deliver.hour_s = m->stored_hour * 3600ull;
    f->deliver.ciphertext = (view){ m->ciphertext, m->bytes };
    ring_add(s, &(inflight){ .tag = m->tag,
                             .pending = m,
                             .token_short = token_short(m->token_hash),
                             .pushed_us = c->now_us,
                             .bytes = m->bytes,
                             .token_kind = m->token_kind });
    m->reader = core_ref(c, k).index + 1;
    s->last_delivered = m->tag;
    uint64_t hold = hold_for(c, s);
    if (hold) { /* never shorter than that of an older message of this device, so that they are taken in order */
        uint64_t until = c->now_us + hold;
        m->hold_until_us = s->last_hold_until_us = until > s->last_hold_until_us ? until : s->last_hold_until_us;
        c->n.held++;
    } else {
        release_held(c, s);
    }
    c->n.delivered++;
    core_reply(c, k, c->scratch, reply_into(f, c->scratch, sizeof c->scratch), 0);
}

void core_offer(core *c, message *m)
{
    const mailbox *box = &c->boxes.at[m->mailbox];
    conn *k = box->subscriber ? &c->conn[box->subscriber - 1] : NULL;
    if (!k || !k->sub)
        return;
    subscription *s = k->sub;
    if (s->state == READ_LIVE && has_window(c, k)) {
        push(c, k, m);
        return;
    }
    if (s->state == READ_LIVE) { /* it does not keep up: from this message on it reads from the store */
        s->state = READ_STORE;
        s->cursor_known = false;
        s->first_unpushed = m->tag;
        s->await_commit = false;
        release_held(c, s);
    }
    s->arrived = true;
}

void core_settled(core *c, message *m, bool committed)
{
    const mailbox *box = mailboxes_get(&c->boxes, m->mailbox);
    conn *k = box && box->subscriber ? &c->conn[box->subscriber - 1] : NULL;
    subscription *s = k ? k->sub : NULL;
    if (m->acknowledged && committed)
        core_ack_row(c, m->mailbox, m->row);
    if (!s)
        return;
    inflight *e = m->reader == box->subscriber ? ring_find(s, m->tag) : NULL;
    if (e) {
        e->pending = NULL;
        e->row = committed ? m->row : 0;
        e->forgotten |= !committed; /* its charge has been given back */
    }
    if (!s->cursor_known && s->first_unpushed == m->tag) {
        if (!committed) { /* the disk is full: it is not worth an exact cursor; the device comes back and reads from the start */
            core_shut(c, k, true);
            return;
        }
        s->cursor = m->row - 1;
        s->cursor_known = true;
    }
    s->await_commit = false;
    core_pump(c, k);
}

/* --- acknowledgements ------------------------------------------------------------------------------------------------------------------ */
static void measure(const core *c, subscription *s, const inflight *e)
{
    uint64_t took = c->now_us - e->pushed_us;
    uint32_t us = took > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)took;
    s->ack_us = s->ack_us == UINT32_MAX ? us : s->ack_us - s->ack_us / 8 + us / 8;
}

/* The device has it before we wrote it: nobody needs the row any more. */
static void hand_off(core *c, subscription *s, message *m)
{
    mailbox *box = mailboxes_get(&c->boxes, m->mailbox);
    core_unqueue(c, &m->job);
    if (box)
        box->unwritten--;
    c->n.handed_off++;
    core_accept(c, m->job.from, m->job.id);
    core_message_free(c, m);
    s->await_commit = false;
}

static void ack_one(core *c, subscription *s, uint64_t tag)
{
    inflight *e = ring_find(s, tag);
    if (!e)
        return;
    bool ours = !e->forgotten || (e->pending && !e->pending->taken);
    if (ours)
        mailboxes_return(&c->boxes, s->mailbox, 1, e->bytes, e->token_kind == TOKEN_REQUEST);
    c->n.acknowledged++;
    if (e->pushed_us)
        measure(c, s, e);
    if (ours && e->pending && e->pending->taken)
        e->pending->acknowledged = true;
    else if (ours && e->pending)
        hand_off(c, s, e->pending);
    else if (ours && e->row)
        core_ack_row(c, s->mailbox, e->row);
    ring_remove(c, s, e);
}

void core_ack(core *c, conn *k, const frame *f)
{
    for (uint32_t i = 0; k->sub && i < f->ack.ids.count; i++)
        ack_one(c, k->sub, f->ack.ids.item[i]);
    core_reply_ok_later(c, core_ref(c, k), f->id);
    if (!k->sub)
        return;
    subscription *s = k->sub;
    mailbox *box = mailboxes_get(&c->boxes, s->mailbox);
    if (box && s->state == READ_LIVE && !s->unacknowledged && !box->unwritten && !c->forgetting) /* nothing waits: whatever expiry left over */
        mailboxes_return(&c->boxes, s->mailbox, box->messages, box->bytes, box->requests);
    core_pump(c, k);
}

static void forget_in(core *c, subscription *s, uint64_t token)
{
    release_held(c, s);
    for (uint32_t i = s->head; i != s->tail; i++)
        if (ring_at(s, i)->tag && ring_at(s, i)->token_short == token)
            ring_at(s, i)->forgotten = true;
}

void core_forget_tokens(core *c, const uint8_t account[32], const view_list *hashes)
{
    for (conn *k = NULL; hashes->count && (k = core_of_account(c, account, k));)
        for (uint32_t t = 0; k->sub && t < hashes->count; t++)
            forget_in(c, k->sub, token_short(hashes->item[t].at));
}

/* --- from the store -------------------------------------------------------------------------------------------------------------------- */
void core_pump(core *c, conn *k)
{
    subscription *s = k->sub;
    if (s->state != READ_STORE || s->reading || s->await_commit || !s->cursor_known || !has_window(c, k))
        return;
    backlog_job *b = calloc(1, sizeof *b);
    if (!b)
        return; /* asked again at the next acknowledgement */
    uint32_t room = window_left(c, s);
    b->to = core_ref(c, k);
    b->mailbox = s->mailbox;
    b->after = s->cursor;
    b->now_hour = age_hour(&c->age);
    b->max_count = room < RELAY_BACKLOG_MAX_MESSAGES ? room : RELAY_BACKLOG_MAX_MESSAGES;
    s->reading = true;
    s->arrived = false;
    s->unwritten_at_read = mailboxes_get(&c->boxes, s->mailbox)->unwritten;
    c->memory += sizeof *b;
    c->ports.backlog(c->ports.ctx, b);
}

/* Delivers what was read as far as the window goes. False: the connection has gone, or something was left. */
static bool deliver_read(core *c, conn *k, const backlog_job *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const backlog_item *item = &b->item[i];
        subscription *s = k->sub;
        if (!s || !has_window(c, k))
            return false;
        if (!s->caught_up && item->number > s->stored_at_start)
            say_caught_up(c, k);
        ring_add(
            s,
            &(inflight){
                .tag = item->number, .row = item->number, .token_short = item->token_short, .bytes = item->bytes, .token_kind = item->token_kind });
        s->cursor = s->last_delivered = item->number;
        c->n.delivered++;
        core_reply(c, k, b->stream + item->start, item->length, 0);
    }
    return k->sub != NULL;
}

/* Nothing was left behind what was read. Live, when nothing has come since and nothing was on its way then. */
static void read_to_the_end(core *c, conn *k)
{
    subscription *s = k->sub;
    if (!s->caught_up)
        say_caught_up(c, k);
    s = k->sub;
    if (!s)
        return;
    if (s->unwritten_at_read == 0 && !s->arrived)
        s->state = READ_LIVE;
    else
        s->await_commit = mailboxes_get(&c->boxes, s->mailbox)->unwritten > 0;
}

void core_read_done(core *c, backlog_job *b)
{
    conn *k = core_conn(c, b->to);
    if (k && k->sub && k->sub->reading) {
        k->sub->reading = false;
        if (b->status != TACET_OK)
            core_shut(c, k, true);
        else if (deliver_read(c, k, b) && b->end)
            read_to_the_end(c, k);
        if (k->sub)
            core_pump(c, k);
    }
    c->memory -= sizeof *b;
    free(b->stream);
    free(b);
}
