/* The socketpair to store. Messages to store are collected and leave once a turn in one piece; while that piece is in the ring, the other queue
 * fills. What cannot be queued for store is never dropped silently: then this process ends and is started anew. */
#include "net_parts.h"
#include "base/reader.h"
#include "base/writer.h"
#include "server/limits.h"
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int store_init(net *n)
{
    ipc_queue_init(&n->filling, RELAY_NET_QUEUE_HARD_BYTES);
    ipc_queue_init(&n->going, RELAY_NET_QUEUE_HARD_BYTES);
    n->ipc_in = malloc(RELAY_IPC_READ_BYTES);
    return n->ipc_in ? TACET_OK : TACET_E_NOMEM;
}

void store_free(net *n)
{
    ipc_queue_free(&n->filling);
    ipc_queue_free(&n->going);
    if (n->ipc_in)
        sodium_memzero(n->ipc_in, RELAY_IPC_READ_BYTES);
    free(n->ipc_in);
}

bool store_has_room(const net *n) { return n->filling.used < RELAY_NET_QUEUE_SOFT_BYTES; }

void store_say(net *n, ipc_type type, const conn *c, const void *payload, size_t bytes)
{
    uint32_t slot = c ? (uint32_t)(c - n->conn) : 0, generation = c ? c->generation : 0;
    if (ipc_put_copy(&n->filling, type, slot, generation, payload, bytes) != TACET_OK)
        net_fail(n, "no memory for what store must hear");
}

/* ---- what store says ---------------------------------------------------------------------------------------------------------------------------- */
static int on_answer(net *n, conn *c, const ipc_message *m) { return conn_answer(n, c, m->payload, m->bytes); }
static int on_keys(net *n, conn *c, const ipc_message *m) { return conn_keys(n, c, m->payload); }
static int take_frames(net *n, conn *c, const ipc_message *m, bool later)
{
    reader r = reader_over(m->payload, m->bytes);
    unsigned replies = (unsigned)read_be(&r, 2);
    size_t bytes = reader_left(&r);
    return conn_out(n, c, later, replies, read_view(&r, bytes), bytes);
}
static int on_out(net *n, conn *c, const ipc_message *m) { return take_frames(n, c, m, false); }
static int on_later(net *n, conn *c, const ipc_message *m) { return take_frames(n, c, m, true); }
static int on_close(net *n, conn *c, const ipc_message *m)
{
    if (m->payload[0])
        conn_farewell(n, c, IPC_BY_STORE);
    else
        conn_end(n, c, IPC_BY_STORE);
    return TACET_OK;
}

static const struct {
    ipc_type type;
    int (*act)(net *, conn *, const ipc_message *);
} acts[] = {
    { IPC_HANDSHAKE_OUT, on_answer }, { IPC_KEYS, on_keys }, { IPC_FRAME_OUT, on_out }, { IPC_FRAME_LATER, on_later }, { IPC_CLOSE, on_close }
};

static void act_on(net *n, const ipc_message *m)
{
    if (m->type == IPC_STOP) {
        n->stopping = true;
        return;
    }
    conn *c = conn_at(n, m->slot, m->generation);
    if (!c || !c->opened) {
        n->count[IPC_N_IGNORED]++; /* crossed with our CLOSED */
        return;
    }
    int rc = TACET_E_BUG;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (acts[i].type == m->type)
            rc = acts[i].act(n, c, m);
    if (rc != TACET_OK)
        conn_end(n, c, rc == TACET_E_QUOTA ? IPC_BY_LIMIT : IPC_BY_ERROR);
}

static int take_messages(net *n)
{
    size_t at = 0;
    ipc_message m;
    int rc = TACET_OK;
    while (rc == TACET_OK) {
        rc = ipc_next(&m, IPC_FROM_STORE, n->ipc_in, n->ipc_used, &at);
        if (rc == TACET_OK)
            act_on(n, &m);
    }
    /* what was taken held record keys among other things */
    memmove(n->ipc_in, n->ipc_in + at, n->ipc_used - at);
    sodium_memzero(n->ipc_in + n->ipc_used - at, at);
    n->ipc_used -= at;
    return rc == TACET_E_AGAIN ? TACET_OK : rc;
}

void store_received(net *n, const ring_event *e)
{
    n->ipc_receiving = false;
    if (e->result == 0 || (e->result < 0 && e->result != -EINTR && e->result != -EAGAIN)) {
        n->store_gone = true;
        n->exit_code = 1;
        return;
    }
    n->ipc_used += e->result > 0 ? (size_t)e->result : 0;
    if (take_messages(n) != TACET_OK)
        net_fail(n, "store said something that is no message");
}

void store_sent(net *n, const ring_event *e)
{
    n->ipc_sending = false;
    if (e->result < 0 && e->result != -EINTR && e->result != -EAGAIN) {
        n->store_gone = true;
        n->exit_code = 1;
        return;
    }
    ipc_written(&n->going, e->result > 0 ? (size_t)e->result : 0);
}

void store_turn(net *n)
{
    if (!n->ipc_sending && n->going.used == 0) {
        ipc_queue empty = n->going;
        n->going = n->filling;
        n->filling = empty;
    }
    if (!n->ipc_sending && n->going.used)
        n->ipc_sending = ring_send(n->ring, n->o.store_fd, ipc_queued(&n->going), n->going.used, op_pack(OP_IPC_SEND, 0, 0));
    if (!n->ipc_receiving)
        n->ipc_receiving =
            ring_recv_into(n->ring, n->o.store_fd, n->ipc_in + n->ipc_used, RELAY_IPC_READ_BYTES - n->ipc_used, op_pack(OP_IPC_RECV, 0, 0));
    n->ring_was_full |= !n->ipc_receiving || (n->going.used && !n->ipc_sending);
}

void store_count(net *n)
{
    n->count[IPC_N_RING_FULL] = ring_full_count(n->ring);
    n->count[IPC_N_OVERFLOW] = ring_overflow_count(n->ring);
    if (n->now_ms < n->count_again_ms || sodium_memcmp(n->count, n->told, sizeof n->count) == 0)
        return;
    uint8_t payload[8 * IPC_COUNTERS_COUNT];
    writer w = writer_over(payload, sizeof payload);
    for (int i = 0; i < IPC_COUNTERS_COUNT; i++)
        write_be(&w, n->count[i], 8);
    store_say(n, IPC_COUNTERS, NULL, payload, writer_bytes(&w));
    memcpy(n->told, n->count, sizeof n->told);
    n->count_again_ms = n->now_ms + RELAY_COUNTERS_MS;
}
