/* server/ipc.c: the bounded reader and writer of the messages between net and store. See ipc.h. */
#include "server/ipc.h"
#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"
#include <sodium.h>
#include <stdlib.h>

/* Who may send what, and how long its payload may be. An empty row refuses. */
static const struct {
    uint8_t known, from, worker; /* worker: about the worker, slot and generation are 0 */
    uint32_t least, most;
} shapes[] = {
    [IPC_READY] = { 1, IPC_FROM_NET, 1, 4, 4 },
    [IPC_OPENED] = { 1, IPC_FROM_NET, 0, 8, 8 },
    [IPC_HANDSHAKE_IN] = { 1, IPC_FROM_NET, 0, 2, 2048 },
    [IPC_FRAME_IN] = { 1, IPC_FROM_NET, 0, 1, TACET_FRAME_MAX_BYTES },
    [IPC_DRAINED] = { 1, IPC_FROM_NET, 0, 4, 4 },
    [IPC_CLOSED] = { 1, IPC_FROM_NET, 0, 1, 1 },
    [IPC_COUNTERS] = { 1, IPC_FROM_NET, 1, 8 * IPC_COUNTERS_COUNT, 8 * IPC_COUNTERS_COUNT },
    [IPC_HANDSHAKE_OUT] = { 1, IPC_FROM_STORE, 0, 1, 2048 },
    [IPC_KEYS] = { 1, IPC_FROM_STORE, 0, 64, 64 },
    [IPC_FRAME_OUT] = { 1, IPC_FROM_STORE, 0, 2, RELAY_IPC_PAYLOAD_MAX_BYTES },
    [IPC_FRAME_LATER] = { 1, IPC_FROM_STORE, 0, 2, RELAY_IPC_PAYLOAD_MAX_BYTES },
    [IPC_CLOSE] = { 1, IPC_FROM_STORE, 0, 1, 1 },
    [IPC_STOP] = { 1, IPC_FROM_STORE, 1, 0, 0 },
};

int ipc_next(ipc_message *out, ipc_side from, const uint8_t *bytes, size_t n, size_t *at)
{
    if (n - *at < IPC_HEAD_BYTES)
        return TACET_E_AGAIN;
    reader r = reader_over(bytes + *at, n - *at);
    size_t payload = (size_t)read_be(&r, 4);
    unsigned type = (unsigned)read_be(&r, 1);
    ipc_message m = { .type = (ipc_type)type, .bytes = payload };
    m.slot = (uint32_t)read_be(&r, 4);
    m.generation = (uint32_t)read_be(&r, 4);
    if (type >= sizeof shapes / sizeof *shapes || !shapes[type].known || shapes[type].from != from)
        return TACET_E_MALFORMED;
    if (payload < shapes[type].least || payload > shapes[type].most)
        return TACET_E_MALFORMED;
    if (shapes[type].worker ? m.slot != 0 || m.generation != 0 : m.slot >= RELAY_SLOTS_MAX || m.generation == 0)
        return TACET_E_MALFORMED;
    if (reader_left(&r) < payload)
        return TACET_E_AGAIN;
    m.payload = read_view(&r, payload);
    *at += IPC_HEAD_BYTES + payload;
    *out = m;
    return TACET_OK;
}

void ipc_queue_init(ipc_queue *q, size_t limit_bytes) { *q = (ipc_queue){ .limit = limit_bytes }; }

void ipc_queue_free(ipc_queue *q)
{
    if (q->buf)
        sodium_memzero(q->buf, q->room);
    free(q->buf);
    *q = (ipc_queue){ .limit = q->limit };
}

/* Makes room behind what waits: moves it to the front first, and grows only when that is not enough. Old copies are wiped. */
static bool queue_reserve(ipc_queue *q, size_t bytes)
{
    if (q->used + bytes > q->limit)
        return false;
    if (q->start + q->used + bytes <= q->room)
        return true;
    if (q->used + bytes <= q->room && q->start >= q->used) {
        memcpy(q->buf, q->buf + q->start, q->used);
        sodium_memzero(q->buf + q->start, q->used);
        q->start = 0;
        return true;
    }
    size_t room = q->room ? q->room : 16384;
    while (room < q->used + bytes)
        room *= 2;
    uint8_t *bigger = malloc(room);
    if (!bigger)
        return false;
    if (q->used)
        memcpy(bigger, q->buf + q->start, q->used);
    size_t used = q->used;
    ipc_queue_free(q);
    q->buf = bigger, q->start = 0, q->used = used, q->room = room;
    return true;
}

uint8_t *ipc_put(ipc_queue *q, ipc_type type, uint32_t slot, uint32_t generation, size_t bytes)
{
    if (bytes > RELAY_IPC_PAYLOAD_MAX_BYTES || !queue_reserve(q, IPC_HEAD_BYTES + bytes))
        return NULL;
    writer w = writer_over(q->buf + q->start + q->used, IPC_HEAD_BYTES + bytes);
    write_be(&w, bytes, 4);
    write_be(&w, type, 1);
    write_be(&w, slot, 4);
    write_be(&w, generation, 4);
    q->used += IPC_HEAD_BYTES + bytes;
    return w.at;
}

int ipc_put_copy(ipc_queue *q, ipc_type type, uint32_t slot, uint32_t generation, const void *payload, size_t bytes)
{
    uint8_t *room = ipc_put(q, type, slot, generation, bytes);
    if (!room)
        return TACET_E_QUOTA;
    if (bytes)
        memcpy(room, payload, bytes);
    return TACET_OK;
}

void ipc_written(ipc_queue *q, size_t bytes)
{
    sodium_memzero(q->buf + q->start, bytes);
    q->start += bytes;
    q->used -= bytes;
    if (q->used == 0)
        q->start = 0;
}
