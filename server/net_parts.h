/* server/net_parts.h (private to net*.c): the state of a net process.
 *   net.c       start, the loop, time
 *   net_conn.c  connections: their life, bytes in and out
 *   net_store.c the socketpair to store */
#ifndef SERVER_NET_PARTS_H
#define SERVER_NET_PARTS_H
#include "base/env.h"
#include "server/due.h"
#include "server/ipc.h"
#include "server/limiter.h"
#include "server/net.h"
#include "server/op.h"
#include "server/ring.h"
#include "server/sources.h"
#include "server/wire.h"

#define NO_SLOT UINT32_MAX

typedef enum {
    CONN_FREE,   /* no connection */
    CONN_HELLO,  /* preamble and handshake messages come */
    CONN_ASKED,  /* store works on a handshake message */
    CONN_READY,  /* frames both ways */
    CONN_FLUSH,  /* what is queued goes out, nothing comes in */
    CONN_LINGER, /* our side is shut; what comes is thrown away, so that what went out arrives */
    CONN_DYING,  /* waits for operations that are still in the ring */
    CONN_STATES
} conn_state;
typedef enum {
    EV_ACCEPTED, /* a new socket */
    EV_MESSAGE,  /* a handshake message went to store */
    EV_QUESTION, /* store's answer is here, another message is due */
    EV_ADMITTED, /* record keys are here */
    EV_FAREWELL, /* polite close */
    EV_SENT_ALL, /* nothing waits to be sent */
    EV_BREAK,    /* close at once: peer, deadline, protocol, store, our error */
    EV_IDLE_OPS, /* no operation is left in the ring */
    CONN_EVENTS
} conn_event;

/* Connections that share a time to live; each is in one of these rows at most. */
typedef enum { DUE_HELLO, DUE_LOOK, DUE_FLUSH, DUE_ROWS, DUE_NONE = DUE_ROWS } due_kind;

typedef struct {
    uint32_t generation;
    int fd;
    conn_state state;
    bool receiving, sending; /* an operation is in the ring */
    bool opened;             /* store knows it */
    bool listed;             /* in the list of connections with something to do */
    bool parked;             /* in the list of those whose address asked too much */
    bool permit;             /* its address has paid for its next request */
    unsigned asked;          /* requests that store has not answered */
    uint64_t asked_bytes;    /* of these, about */
    source_kind kind;        /* does it carry chunks? until all of them are answered */
    uint64_t address;
    uint32_t source;                       /* what its address holds; NO_SLOT: it has left */
    uint64_t ready_ms, heard_ms, moved_ms; /* since when it is ready; last frame either way; last progress of what it sends */
    wire wire;
    uint8_t *send_buf; /* ours while `sending`, or a rest */
    size_t send_at, send_bytes, send_stream;
    uint32_t drained; /* stream bytes sent and not yet told */
    due_kind row;     /* which of net.due it is in */
} conn;

typedef struct {
    net_options o;
    const tacet_env *env;
    uint64_t now_ms;
    ring *ring;
    uint32_t facts;
    limiter *limiter, *budgets; /* of new connections; of requests, in microseconds */
    sources sources;

    conn *conn; /* o.slots of them */
    uint32_t *vacant, vacant_count;
    due_place *lives, *owed;      /* of each: in one of the rows due, and in the row debts */
    due_row due[DUE_ROWS], debts; /* debts: replies that nobody waits for */
    uint32_t pending;             /* connections in CONN_HELLO and CONN_ASKED */
    uint32_t *todo, todo_count;
    uint32_t turned;                           /* connections that had something to do in this turn */
    uint32_t *parked, parked_at, parked_count; /* a circle of o.slots places */
    uint64_t parked_looked_ms, look_ms;        /* look_ms: between two looks at one connection */
    bool ring_was_full;

    bool accepting, stopping, stopped;
    uint64_t accept_again_ms, stop_at_ms;

    ipc_queue filling, going; /* to store: one is filled while the other is in the ring */
    bool ipc_sending, ipc_receiving;
    uint8_t *ipc_in;
    size_t ipc_used;
    bool store_gone; /* it closed its end, or we could not keep our side of the bargain */
    int exit_code;

    uint64_t count[IPC_COUNTERS_COUNT], told[IPC_COUNTERS_COUNT];
    uint64_t count_again_ms;
    frame frame; /* decoded to be looked at; too big for the stack */
} net;

/* ---- net.c ---- */
void net_fail(net *n, const char *why); /* one line on stderr, then the end */

/* ---- net_conn.c ---- */
TACET_MUST_USE int conns_new(net *n);
void conns_free(net *n);
conn *conn_at(net *n, uint32_t slot, uint32_t generation); /* NULL: that one has gone */
void conn_accepted(net *n, int fd);
void conn_received(net *n, conn *c, const ring_event *e);
void conn_sent(net *n, conn *c, const ring_event *e);
void conn_touch(net *n, conn *c); /* has something to do in this turn */
void conn_end(net *n, conn *c, ipc_reason why);
void conn_farewell(net *n, conn *c, ipc_reason why);
void conns_turn(net *n);
void conns_expire(net *n);
uint64_t conns_due_ms(const net *n);
/* From store. TACET_E_REFUSED: not due in that state. */
TACET_MUST_USE int conn_answer(net *n, conn *c, const uint8_t *message, size_t bytes);
TACET_MUST_USE int conn_keys(net *n, conn *c, const uint8_t keys[64]);
TACET_MUST_USE int conn_out(net *n, conn *c, bool later, unsigned replies, const uint8_t *stream, size_t bytes);

/* ---- net_store.c ---- */
TACET_MUST_USE int store_init(net *n);
void store_free(net *n);
/* False: store is behind; take nothing more from clients. */
bool store_has_room(const net *n);
void store_say(net *n, ipc_type type, const conn *c, const void *payload, size_t bytes);
void store_received(net *n, const ring_event *e);
void store_sent(net *n, const ring_event *e);
void store_turn(net *n);
void store_count(net *n);

#ifdef TACET_TESTING
/* server/net_hostile.c: what somebody who has taken over this process would try (ATTACKS P08); the exit code. */
int net_hostile(ring *r, int listen_fd);
#endif
#endif
