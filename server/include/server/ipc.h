/* server/ipc.h: what a net process and the store process say to each other over their socketpair (AF_UNIX, SOCK_STREAM), in batches.
 * Message = u32 payload length | u8 type | u32 slot | u32 generation | payload, integers big-endian. A slot is one of the worker's places for a
 * connection, a generation says which connection in it (net counts it up, from 1). Each side treats the other as hostile: a type of the wrong
 * direction, a length outside its row of the table, or a slot out of range ends the channel. What is *meant* by a well-formed message is checked
 * by its receiver (store: server/gate.c): frames only for the slot and generation whose handshake store itself finished, and role and transport
 * key come from that handshake alone. No message asks for a Diffie-Hellman.
 *
 * Life of a connection:  net OPENED, HANDSHAKE_IN m1  ->  store HANDSHAKE_OUT m2  ->  [mailbox role: net HANDSHAKE_IN m3]  ->  store KEYS
 * (role 2: right after HANDSHAKE_OUT; net seals and opens records from here on)  ->  FRAME_IN / FRAME_OUT / DRAINED  ->  CLOSE from store or an end
 * on the wire  ->  net CLOSED, exactly once for each OPENED; afterwards neither side names that generation again (what crosses on the way is
 * ignored by net, which knows that it has sent CLOSED).
 *
 * Flow: net stops reading from a client that has RELAY_REQUESTS_PENDING_MAX requests unanswered (FRAME_IN counted up, `replies` of FRAME_OUT down), or
 * whose unsent output exceeds RELAY_OUTPUT_SOFT_BYTES; store holds deliveries back by what DRAINED has not yet named. Either side stops reading
 * clients (net) or channels (store) while its queue to the other is full; net always goes on reading what store says. */
#ifndef SERVER_IPC_H
#define SERVER_IPC_H
#include "base/status.h"
#include "server/limits.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IPC_HEAD_BYTES = 4 + 1 + 4 + 4, IPC_MESSAGE_MAX_BYTES = IPC_HEAD_BYTES + RELAY_IPC_PAYLOAD_MAX_BYTES };

typedef enum {
    /* net -> store; slot and generation 0 where it is about the worker */
    IPC_READY = 1,        /* worker: u32 facts (ipc_sandbox_facts): what the kernel gave. First message of every net process */
    IPC_OPENED = 2,       /* address key 8: keyed hash of the /32 (IPv4) or /64 (IPv6), salt from net_options */
    IPC_HANDSHAKE_IN = 3, /* role u8 (as in the preamble) | one handshake message, without its u16 length */
    IPC_FRAME_IN = 4,     /* the msgpack body of exactly one frame, without its u32 length; one reply will come */
    IPC_DRAINED = 5,      /* u32 stream bytes of FRAME_OUT that the socket has taken since the last one (batch them: every 32 KiB or when idle) */
    IPC_CLOSED = 6,       /* reason u8 (ipc_reason) */
    IPC_COUNTERS = 7,     /* worker: IPC_COUNTERS_COUNT x u64, totals since its start, about once a second when something changed */
    /* store -> net */
    IPC_HANDSHAKE_OUT = 16, /* one handshake message, to be sent after its u16 length */
    IPC_KEYS = 17,          /* relay -> client 32 | client -> relay 32: record keys, counters start at 0 */
    IPC_FRAME_OUT = 18,     /* replies u16: how many requests this answers | stream bytes: whole frames with their u32 lengths */
    IPC_CLOSE = 19,         /* flush u8: 1 send what is queued first (bounded by the handshake deadline), 0 at once */
    IPC_FRAME_LATER = 21,   /* like FRAME_OUT, but in no hurry: with whatever goes to that connection next, RELAY_LATER_MS at most */
    IPC_STOP = 20,          /* worker: stop accepting; flush, close everything, end with exit code 0 */
} ipc_type;

/* Why a connection ended, for the counters. */
typedef enum {
    IPC_BY_PEER = 0,
    IPC_BY_STORE,
    IPC_BY_DEADLINE,
    IPC_BY_AGE,
    IPC_BY_PROTOCOL,
    IPC_BY_LIMIT,
    IPC_BY_ERROR,
    IPC_BY_IDLE,
    IPC_REASONS
} ipc_reason;

enum ipc_sandbox_facts {
    IPC_HAS_RING_RESTRICTIONS = 1,
    IPC_HAS_LANDLOCK_FILES = 2,
    IPC_HAS_LANDLOCK_CONNECT = 4, /* Linux 6.7 */
    IPC_HAS_SECCOMP = 8,
    IPC_HAS_OTHER_USER = 16, /* privileges were dropped to another user */
};

typedef enum {
    IPC_N_ACCEPTED = 0,
    IPC_N_REFUSED_FULL, /* no slot, or the address has its share */
    IPC_N_BAD_PREAMBLE, /* not ours, or of another version */
    IPC_N_DEADLINE,     /* handshake not finished in time */
    IPC_N_BAD_RECORD,   /* forged, or of a wrong shape */
    IPC_N_BAD_FRAME,
    IPC_N_RECORDS_IN,
    IPC_N_RECORDS_OUT,
    IPC_N_BYTES_IN, /* on the wire */
    IPC_N_BYTES_OUT,
    IPC_N_NO_BUFFERS, /* ENOBUFS: the buffer ring ran dry */
    IPC_N_RING_FULL,  /* submission queue full */
    IPC_N_OVERFLOW,   /* more was complete than the completion queue holds */
    IPC_N_PARKED,     /* a connection waited because its address asked too much */
    IPC_N_IGNORED,    /* messages of store for a generation that has gone */
    IPC_COUNTERS_COUNT,
} ipc_counter;

typedef struct {
    ipc_type type;
    uint32_t slot, generation;
    const uint8_t *payload;
    size_t bytes;
} ipc_message;

typedef enum { IPC_FROM_NET = 0, IPC_FROM_STORE = 1 } ipc_side;

/* The next message in bytes[*at .. n); *at moves behind it, the payload is a view.
 *   TACET_E_AGAIN      nothing whole left: keep bytes[*at .. n) and read more (a message is at most IPC_MESSAGE_MAX_BYTES)
 *   TACET_E_MALFORMED  not a message of that side: close the channel */
TACET_MUST_USE int ipc_next(ipc_message *out, ipc_side from, const uint8_t *bytes, size_t n, size_t *at);

/* A queue of messages to write: one growing buffer up to a fixed limit. */
typedef struct {
    uint8_t *buf;
    size_t start, used, room; /* buf[start .. start + used) waits */
    size_t limit;
} ipc_queue;
void ipc_queue_init(ipc_queue *q, size_t limit_bytes);
/* Wipes (record keys pass through it) and frees. */
void ipc_queue_free(ipc_queue *q);
/* Room for one message of `bytes` payload, whose head is written already; NULL when the limit or memory does not allow it. The caller fills the
 * payload before it does anything else with the queue. */
uint8_t *ipc_put(ipc_queue *q, ipc_type type, uint32_t slot, uint32_t generation, size_t bytes);
/* ipc_put and copy. TACET_E_QUOTA: full. */
TACET_MUST_USE int ipc_put_copy(ipc_queue *q, ipc_type type, uint32_t slot, uint32_t generation, const void *payload, size_t bytes);
/* What waits, in one piece; then say how much of it was written (that part is wiped). */
static inline const uint8_t *ipc_queued(const ipc_queue *q) { return q->buf + q->start; }
void ipc_written(ipc_queue *q, size_t bytes);
#endif
