#include "net_parts.h"
#include "base/limits.h"
#include "base/writer.h"
#include "server/limits.h"
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- states -------------------------------------------------------------------------------------------------------------------------------- */
#define TO(s) ((unsigned char)((s) + 1))
static const unsigned char next_state[CONN_STATES][CONN_EVENTS] = {
    [CONN_FREE] = { [EV_ACCEPTED] = TO(CONN_HELLO) },
    [CONN_HELLO] = { [EV_MESSAGE] = TO(CONN_ASKED), [EV_FAREWELL] = TO(CONN_FLUSH), [EV_BREAK] = TO(CONN_DYING) },
    [CONN_ASKED] = { [EV_QUESTION] = TO(CONN_HELLO), [EV_ADMITTED] = TO(CONN_READY), [EV_FAREWELL] = TO(CONN_FLUSH), [EV_BREAK] = TO(CONN_DYING) },
    [CONN_READY] = { [EV_FAREWELL] = TO(CONN_FLUSH), [EV_BREAK] = TO(CONN_DYING) },
    [CONN_FLUSH] = { [EV_SENT_ALL] = TO(CONN_LINGER), [EV_BREAK] = TO(CONN_DYING) },
    [CONN_LINGER] = { [EV_BREAK] = TO(CONN_DYING) },
    [CONN_DYING] = { [EV_IDLE_OPS] = TO(CONN_FREE) },
};
static const due_kind row_of[CONN_STATES] = { [CONN_FREE] = DUE_NONE,   [CONN_HELLO] = DUE_HELLO,  [CONN_ASKED] = DUE_HELLO, [CONN_READY] = DUE_LOOK,
                                              [CONN_FLUSH] = DUE_FLUSH, [CONN_LINGER] = DUE_FLUSH, [CONN_DYING] = DUE_NONE };
static const uint64_t row_ms[DUE_ROWS] = { [DUE_HELLO] = TACET_HANDSHAKE_DEADLINE_MS, [DUE_FLUSH] = RELAY_FLUSH_MAX_MS };

static uint32_t slot_of(const net *n, const conn *c) { return (uint32_t)(c - n->conn); }

static void row_leave(net *n, conn *c)
{
    if (c->row == DUE_NONE)
        return;
    due_leave(&n->due[c->row], slot_of(n, c));
    if (c->row == DUE_HELLO) {
        n->pending--;
        source_greeted(&n->sources, c->source);
    }
    c->row = DUE_NONE;
}

static void row_join(net *n, conn *c, due_kind row)
{
    c->row = row;
    if (row == DUE_NONE)
        return;
    due_join(&n->due[row], slot_of(n, c), n->now_ms + (row == DUE_LOOK ? n->look_ms : row_ms[row]));
    n->pending += row == DUE_HELLO;
}

/* The one place where a connection changes its state. */
static bool conn_step(net *n, conn *c, conn_event ev)
{
    unsigned char cell = next_state[c->state][ev];
    if (cell == 0)
        return false;
    c->state = (conn_state)(cell - 1);
    if (row_of[c->state] != c->row) {
        row_leave(n, c);
        row_join(n, c, row_of[c->state]);
    }
    conn_touch(n, c);
    return true;
}

/* ---- places -------------------------------------------------------------------------------------------------------------------------------- */
int conns_new(net *n)
{
    n->conn = calloc(n->o.slots, sizeof *n->conn);
    n->vacant = calloc(n->o.slots, sizeof *n->vacant);
    n->todo = calloc(2 * (size_t)n->o.slots, sizeof *n->todo); /* in a turn, old entries and new ones */
    n->parked = calloc(n->o.slots, sizeof *n->parked);
    n->lives = calloc(n->o.slots, sizeof *n->lives);
    n->owed = calloc(n->o.slots, sizeof *n->owed);
    if (!n->conn || !n->vacant || !n->todo || !n->parked || !n->lives || !n->owed)
        return TACET_E_NOMEM;
    for (int i = 0; i < DUE_ROWS; i++)
        n->due[i] = due_row_over(n->lives);
    n->debts = due_row_over(n->owed);
    for (uint32_t i = 0; i < n->o.slots; i++) {
        n->conn[i].row = DUE_NONE;
        n->conn[i].fd = -1;
        n->vacant[i] = n->o.slots - 1 - i;
    }
    n->vacant_count = n->o.slots;
    return TACET_OK;
}

void conns_free(net *n)
{
    for (uint32_t i = 0; n->conn && i < n->o.slots; i++) {
        wire_free(&n->conn[i].wire);
        free(n->conn[i].send_buf);
        if (n->conn[i].fd >= 0)
            close(n->conn[i].fd);
    }
    free(n->conn);
    free(n->vacant);
    free(n->lives);
    free(n->owed);
    free(n->todo);
    free(n->parked);
    n->conn = NULL;
}

conn *conn_at(net *n, uint32_t slot, uint32_t generation)
{
    if (slot >= n->o.slots || n->conn[slot].generation != generation || n->conn[slot].state == CONN_FREE)
        return NULL;
    return &n->conn[slot];
}

void conn_touch(net *n, conn *c)
{
    if (!c->listed) {
        c->listed = true;
        n->todo[n->todo_count++] = slot_of(n, c);
    }
}

/* ---- what its address holds ------------------------------------------------------------------------------------------------------------------ */
/* Each request is paid for before it is read; a connection that has nothing to say holds one permit at most. */
static bool has_permit(net *n, conn *c)
{
    const limiter_rate rate = { n->o.ask_burst, n->o.ask_every_us };
    if (!source_may_ask(&n->sources, c->source, c->kind))
        return false;
    if (!c->permit)
        c->permit = limiter_take(n->budgets, c->address, rate, n->now_ms * 1000);
    return c->permit;
}

/* Chunks of files are large: their bytes under way keep them in check, and a file may go as fast as it can. */
static bool is_paced(const frame *f) { return f->kind != FRAME_PUT || f->put.chunk.bytes < TACET_CHUNK_BYTES; }

static void ask(net *n, conn *c, size_t bytes)
{
    if (n->frame.kind == FRAME_PUT && c->kind == SOURCE_TALKS) {
        c->kind = SOURCE_CARRIES;
        source_carries(&n->sources, c->source, c->asked_bytes);
    }
    c->asked++;
    c->asked_bytes += bytes;
    c->permit &= !is_paced(&n->frame);
    c->heard_ms = n->now_ms;
    source_ask(&n->sources, c->source, c->kind, bytes);
}

/* Which of them were answered is not known, so their bytes go in proportion; the last answer settles it. */
static void answered(net *n, conn *c, unsigned replies)
{
    uint64_t bytes = replies == c->asked ? c->asked_bytes : c->asked_bytes / c->asked * replies;
    source_answered(&n->sources, c->source, c->kind, replies, bytes);
    c->asked -= replies;
    c->asked_bytes -= bytes;
    if (c->asked == 0)
        c->kind = SOURCE_TALKS;
}

static void park(net *n, conn *c)
{
    if (c->parked)
        return;
    c->parked = true;
    n->count[IPC_N_PARKED]++;
    n->parked[(n->parked_at + n->parked_count++) % n->o.slots] = slot_of(n, c);
}

/* Some of those that wait for their address, in turn; the rest in the next millisecond. */
static void parked_turn(net *n)
{
    if (n->parked_looked_ms == n->now_ms)
        return;
    n->parked_looked_ms = n->now_ms;
    for (uint32_t i = n->parked_count < RELAY_PARKED_LOOKS ? n->parked_count : RELAY_PARKED_LOOKS; i > 0; i--) {
        conn *c = &n->conn[n->parked[n->parked_at]];
        n->parked_at = (n->parked_at + 1) % n->o.slots;
        n->parked_count--;
        c->parked = false;
        if (c->state == CONN_READY)
            conn_touch(n, c);
    }
}

/* ---- the end of a connection ------------------------------------------------------------------------------------------------------------------ */
static void tell_drained(net *n, conn *c)
{
    uint8_t payload[4];
    writer w = writer_over(payload, sizeof payload);
    write_be(&w, c->drained, 4);
    if (c->drained && c->opened)
        store_say(n, IPC_DRAINED, c, payload, sizeof payload);
    c->drained = 0;
}

static void tell_closed(net *n, conn *c, ipc_reason why)
{
    const uint8_t payload = (uint8_t)why;
    if (c->opened)
        store_say(n, IPC_CLOSED, c, &payload, 1);
    c->opened = false;
    if (c->asked)
        answered(n, c, c->asked); /* nobody will hear it */
}

void conn_end(net *n, conn *c, ipc_reason why)
{
    if (!conn_step(n, c, EV_BREAK))
        return; /* it is ending already */
    tell_closed(n, c, why);
    /* whatever is in the ring comes back now, with an error or nothing */
    (void)shutdown(c->fd, SHUT_RDWR);
    wire_free(&c->wire);
    wire_init(&c->wire);
}

void conn_farewell(net *n, conn *c, ipc_reason why)
{
    if (conn_step(n, c, EV_FAREWELL))
        tell_closed(n, c, why);
}

static void conn_vacate(net *n, conn *c)
{
    if (!conn_step(n, c, EV_IDLE_OPS))
        return;
    close(c->fd);
    c->fd = -1;
    free(c->send_buf);
    c->send_buf = NULL;
    source_leave(&n->sources, c->source);
    due_leave(&n->debts, slot_of(n, c));
    n->vacant[n->vacant_count++] = slot_of(n, c);
}

/* ---- accepting ---------------------------------------------------------------------------------------------------------------------------------- */
/* 8 bytes of a keyed hash over the /32 of IPv4 (also when it comes mapped) or the /64 of IPv6: nothing that could be logged by accident. */
static uint64_t address_key(const net *n, int fd)
{
    struct sockaddr_storage a = { 0 };
    socklen_t a_bytes = sizeof a;
    uint8_t bytes[9] = { 0 }, hash[crypto_generichash_BYTES_MIN];
    uint64_t key = 0;
    if (getpeername(fd, (struct sockaddr *)&a, &a_bytes) != 0)
        return 0;
    if (a.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&six->sin6_addr);
        bytes[0] = mapped ? 4 : 6;
        memcpy(bytes + 1, six->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 8);
    } else if (a.ss_family == AF_INET) {
        bytes[0] = 4;
        memcpy(bytes + 1, &((const struct sockaddr_in *)&a)->sin_addr, 4);
    }
    (void)crypto_generichash(hash, sizeof hash, bytes, sizeof bytes, n->o.salt, sizeof n->o.salt);
    memcpy(&key, hash, sizeof key);
    return key;
}

/* Too many have begun and not finished: the one that waits longest for its peer goes. An honest client is done in a moment. */
static void make_pending_room(net *n)
{
    uint32_t slot;
    uint64_t due_ms;
    if (n->pending < RELAY_HANDSHAKES_PENDING_MAX || !due_next(&n->due[DUE_HELLO], &slot, &due_ms))
        return;
    n->count[IPC_N_DEADLINE]++;
    conn_end(n, &n->conn[slot], IPC_BY_LIMIT);
}

void conn_accepted(net *n, int fd)
{
    uint64_t address = address_key(n, fd);
    const limiter_rate rate = { n->o.handshake_burst, n->o.handshake_every_ms };
    bool may = !n->stopping && n->vacant_count > 0 && limiter_take(n->limiter, address, rate, n->now_ms);
    uint32_t share = may ? source_enter(&n->sources, address) : NO_SLOT;
    if (share == NO_SLOT) {
        n->count[IPC_N_REFUSED_FULL]++;
        close(fd);
        return;
    }
    make_pending_room(n);
    conn *c = &n->conn[n->vacant[--n->vacant_count]];
    uint32_t generation = c->generation + 1 ? c->generation + 1 : 1;
    bool listed = c->listed, parked = c->parked; /* its places in these lists outlive the one before */
    *c = (conn){ .generation = generation, .fd = fd, .listed = listed, .parked = parked, .address = address, .source = share, .row = DUE_NONE };
    wire_init(&c->wire);
    n->count[IPC_N_ACCEPTED]++;
    (void)conn_step(n, c, EV_ACCEPTED);
}

/* ---- bytes in ---------------------------------------------------------------------------------------------------------------------------------- */
static void pass_handshake(net *n, conn *c, const wire_item *item)
{
    uint8_t payload[1 + TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    writer w = writer_over(payload, sizeof payload);
    write_be(&w, c->wire.role, 1);
    write_bytes(&w, item->at, item->bytes);
    if (!c->opened) {
        uint8_t key[8];
        memcpy(key, &c->address, sizeof key);
        store_say(n, IPC_OPENED, c, key, sizeof key);
        c->opened = true;
    }
    store_say(n, IPC_HANDSHAKE_IN, c, payload, writer_bytes(&w));
    (void)conn_step(n, c, EV_MESSAGE);
}

/* Is it msgpack of a known shape, and something that a client may say at all? What the role may ask, and the answer to a kind that nobody knows, is
 * store's to decide: it has the role from its own handshake. */
static bool frame_is_fit(net *n, const wire_item *item)
{
    int rc = frame_decode(&n->frame, item->at, item->bytes);
    return rc == TACET_OK ? frame_roles(n->frame.kind) != 0 : rc == TACET_E_NOT_FOUND;
}

static void pass_frame(net *n, conn *c, const wire_item *item)
{
    if (!frame_is_fit(n, item)) {
        n->count[IPC_N_BAD_FRAME]++;
        conn_end(n, c, IPC_BY_PROTOCOL);
        return;
    }
    ask(n, c, item->bytes);
    store_say(n, IPC_FRAME_IN, c, item->at, item->bytes);
}

static void refuse(net *n, conn *c, int rc)
{
    if (rc == TACET_E_VERSION && wire_unsupported(&c->wire) == TACET_OK) {
        n->count[IPC_N_BAD_PREAMBLE]++;
        conn_farewell(n, c, IPC_BY_PROTOCOL);
        return;
    }
    n->count[IPC_N_BAD_PREAMBLE] += rc == TACET_E_MALFORMED;
    n->count[IPC_N_BAD_RECORD] += rc == TACET_E_TRANSPORT || rc == TACET_E_HANDSHAKE;
    conn_end(n, c, rc > 0 ? IPC_BY_PROTOCOL : IPC_BY_ERROR);
}

static bool talks(const conn *c) { return c->state == CONN_HELLO || c->state == CONN_READY; }

static bool may_take(net *n, conn *c)
{
    if (!talks(c) || c->asked >= RELAY_REQUESTS_PENDING_MAX || wire_waiting(&c->wire) >= RELAY_OUTPUT_SOFT_BYTES || !store_has_room(n))
        return false;
    if (c->state == CONN_HELLO || has_permit(n, c))
        return true;
    park(n, c);
    return false;
}

/* Takes what is whole out of the bytes that are here, as long as store keeps up. */
static void pump(net *n, conn *c)
{
    uint64_t before = c->wire.records_in;
    while (may_take(n, c)) {
        wire_item item;
        int rc = wire_next(&c->wire, &item);
        if (rc == TACET_E_AGAIN)
            break;
        if (rc != TACET_OK)
            refuse(n, c, rc);
        else if (item.kind == WIRE_HANDSHAKE)
            pass_handshake(n, c, &item);
        else
            pass_frame(n, c, &item);
    }
    if (c->wire.records_in >= before)
        n->count[IPC_N_RECORDS_IN] += c->wire.records_in - before;
}

void conn_received(net *n, conn *c, const ring_event *e)
{
    c->receiving = false;
    conn_touch(n, c);
    if (e->result > 0 && e->buffer >= 0) {
        n->count[IPC_N_BYTES_IN] += (uint64_t)e->result;
        if (talks(c)) {
            wire_feed(&c->wire, ring_buffer(n->ring, e->buffer), (size_t)e->result);
            pump(n, c);
            if (c->state != CONN_DYING && wire_settle(&c->wire) != TACET_OK)
                conn_end(n, c, IPC_BY_ERROR);
        }
    } else if (e->result == -ENOBUFS) {
        n->count[IPC_N_NO_BUFFERS]++; /* asked for again in this turn: by then buffers have come back */
    } else if (e->result != -EINTR && e->result != -EAGAIN) {
        conn_end(n, c, IPC_BY_PEER);
    }
}

/* ---- bytes out --------------------------------------------------------------------------------------------------------------------------------- */
void conn_sent(net *n, conn *c, const ring_event *e)
{
    c->sending = false;
    conn_touch(n, c);
    if (e->result < 0 && e->result != -EINTR && e->result != -EAGAIN) {
        conn_end(n, c, IPC_BY_PEER);
        return;
    }
    size_t sent = e->result > 0 ? (size_t)e->result : 0;
    n->count[IPC_N_BYTES_OUT] += sent;
    c->moved_ms = n->now_ms;
    c->send_at += sent;
    if (c->send_at < c->send_bytes)
        return;
    free(c->send_buf);
    c->send_buf = NULL;
    c->drained += (uint32_t)c->send_stream;
    if (c->drained >= RELAY_DRAINED_BYTES || !wire_has_output(&c->wire))
        tell_drained(n, c);
}

/* All that came for this connection in one turn goes out in one piece. */
static void send_some(net *n, conn *c)
{
    if (c->sending || c->state == CONN_DYING || c->state == CONN_LINGER)
        return;
    if (!c->send_buf && wire_has_output(&c->wire)) {
        uint64_t before = c->wire.records_out;
        c->send_at = 0;
        int rc = wire_take_output(&c->wire, &c->send_buf, &c->send_bytes, &c->send_stream);
        if (rc != TACET_OK) {
            conn_end(n, c, IPC_BY_ERROR);
            return;
        }
        n->count[IPC_N_RECORDS_OUT] += c->wire.records_out - before;
        due_leave(&n->debts, slot_of(n, c));
        c->moved_ms = n->now_ms;
    }
    if (c->send_buf) {
        c->sending = ring_send(n->ring, c->fd, c->send_buf + c->send_at, c->send_bytes - c->send_at, op_pack(OP_SEND, slot_of(n, c), c->generation));
        n->ring_was_full |= !c->sending;
        if (!c->sending)
            conn_touch(n, c);
    } else if (conn_step(n, c, EV_SENT_ALL)) {
        (void)shutdown(c->fd, SHUT_WR);
    }
}

static void receive_more(net *n, conn *c)
{
    if (c->receiving || !(talks(c) ? wire_hungry(&c->wire) && may_take(n, c) : c->state == CONN_LINGER))
        return;
    c->receiving = ring_recv(n->ring, c->fd, op_pack(OP_RECV, slot_of(n, c), c->generation));
    n->ring_was_full |= !c->receiving;
    if (!c->receiving)
        conn_touch(n, c);
}

/* ---- a turn -------------------------------------------------------------------------------------------------------------------------------------- */
static void conn_turn(net *n, conn *c)
{
    if (talks(c) && !wire_hungry(&c->wire)) {
        pump(n, c);
        if (c->state != CONN_DYING && wire_settle(&c->wire) != TACET_OK)
            conn_end(n, c, IPC_BY_ERROR);
    }
    send_some(n, c);
    receive_more(n, c);
    if (c->state == CONN_DYING && !c->receiving && !c->sending)
        conn_vacate(n, c);
    else if (talks(c) && !store_has_room(n))
        conn_touch(n, c); /* store is behind: look again when something has gone */
}

static void debts_turn(net *n)
{
    uint32_t slot;
    for (uint64_t due_ms; due_next(&n->debts, &slot, &due_ms) && due_ms <= n->now_ms;) {
        due_leave(&n->debts, slot);
        conn_touch(n, &n->conn[slot]);
    }
}

void conns_turn(net *n)
{
    parked_turn(n);
    debts_turn(n);
    uint32_t count = n->turned = n->todo_count;
    for (uint32_t i = 0; i < count; i++) {
        conn *c = &n->conn[n->todo[i]];
        c->listed = false;
        n->todo[i] = NO_SLOT;
        if (c->state != CONN_FREE)
            conn_turn(n, c);
    }
    /* what was added meanwhile stands behind */
    memmove(n->todo, n->todo + count, (n->todo_count - count) * sizeof *n->todo);
    n->todo_count -= count;
}

/* Nothing is read from a connection that waits for its address or for store, so its end would not be heard of. */
static bool peer_has_left(const conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
    return !c->receiving && poll(&p, 1, 0) > 0;
}

/* A connection that works is looked at from time to time: is it old, does its peer take nothing, does it only hold a place? */
static void look_at(net *n, conn *c)
{
    uint64_t idle_ms = UINT64_C(1000) * n->o.open_idle_s;
    if (n->now_ms - c->ready_ms >= UINT64_C(1000) * TACET_CONNECTION_MAX_S) {
        conn_farewell(n, c, IPC_BY_AGE); /* into the list of those that flush */
    } else if (c->send_buf && n->now_ms - c->moved_ms >= n->o.stall_ms) {
        conn_end(n, c, IPC_BY_DEADLINE);
    } else if (peer_has_left(c)) {
        conn_end(n, c, IPC_BY_PEER);
    } else if (c->wire.role == TACET_ROLE_OPEN && !c->asked && n->now_ms - c->heard_ms >= idle_ms) {
        conn_farewell(n, c, IPC_BY_IDLE);
    } else {
        row_leave(n, c);
        row_join(n, c, DUE_LOOK);
    }
}

void conns_expire(net *n)
{
    uint32_t slot;
    for (int i = 0; i < DUE_ROWS; i++)
        for (uint64_t due_ms; due_next(&n->due[i], &slot, &due_ms) && due_ms <= n->now_ms;) {
            conn *c = &n->conn[slot];
            n->count[IPC_N_DEADLINE] += i == DUE_HELLO;
            if (i == DUE_LOOK)
                look_at(n, c);
            else
                conn_end(n, c, IPC_BY_DEADLINE);
        }
}

uint64_t conns_due_ms(const net *n)
{
    uint64_t due = n->parked_count ? n->now_ms + 1 : UINT64_MAX;
    uint64_t next_ms;
    uint32_t slot;
    for (int i = 0; i < DUE_ROWS; i++)
        if (due_next(&n->due[i], &slot, &next_ms) && next_ms < due)
            due = next_ms;
    return due_next(&n->debts, &slot, &next_ms) && next_ms < due ? next_ms : due;
}

/* ---- from store --------------------------------------------------------------------------------------------------------------------------------- */
int conn_answer(net *n, conn *c, const uint8_t *message, size_t bytes)
{
    int rc = c->state == CONN_ASKED ? wire_answer(&c->wire, message, bytes) : TACET_E_REFUSED;
    if (rc == TACET_OK && c->wire.state == WIRE_THIRD)
        (void)conn_step(n, c, EV_QUESTION);
    conn_touch(n, c);
    return rc;
}

int conn_keys(net *n, conn *c, const uint8_t keys[64])
{
    int rc = c->state == CONN_ASKED ? wire_keys(&c->wire, keys, keys + 32) : TACET_E_REFUSED;
    c->ready_ms = c->heard_ms = n->now_ms;
    if (rc == TACET_OK)
        (void)conn_step(n, c, EV_ADMITTED);
    return rc;
}

int conn_out(net *n, conn *c, bool later, unsigned replies, const uint8_t *stream, size_t bytes)
{
    if (c->state != CONN_READY || replies > c->asked)
        return TACET_E_REFUSED;
    if (replies)
        answered(n, c, replies);
    c->heard_ms = n->now_ms;
    if (later)
        due_join(&n->debts, slot_of(n, c), n->now_ms + RELAY_LATER_MS);
    else
        conn_touch(n, c);
    return wire_put(&c->wire, stream, bytes);
}
