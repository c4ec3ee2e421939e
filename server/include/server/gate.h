/* server/gate.h: what store believes of what a net process says. Every slot of every worker has a state here; a message that does not fit the state of
 * its slot and generation ends that worker's channel, because an honest net never sends one. Role and transport key of a connection come from the
 * handshake that was finished here, with the relay's static key, on a thread of the pool: never from net (attack P14). No I/O. */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H
#include "server/core.h"
#include "server/ipc.h"
#include "server/pool.h"
#include "transport/handshake.h"

typedef struct gate gate;

/* One handshake message to be worked on. */
typedef struct {
    work work;
    uint32_t worker, epoch, slot, generation;
    handshake *noise;
    const uint8_t *static_secret;
    tacet_role role;
    uint8_t in[TACET_HANDSHAKE_MESSAGE_MAX_BYTES], out[TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    size_t in_bytes, out_bytes;
    handshake_keys keys; /* when finished */
    bool finished;
    int status;
} handshake_work;

typedef struct {
    void *ctx;
    void (*handshake)(void *ctx, handshake_work *w); /* handshake_run on any thread, then gate_handshake_done */
    ipc_queue *(*queue)(void *ctx, uint32_t worker); /* what is written to that worker */
    uint64_t (*mono_ms)(void *ctx);
} gate_ports;

/* static_secret: 32 bytes that outlive the gate, in locked memory. TACET_E_NOMEM */
TACET_MUST_USE int gate_new(gate **out, uint32_t workers, const uint8_t *static_secret, const uint8_t salt[16], limiter_rate handshakes,
                            const gate_ports *ports);
gate *gate_free(gate *g);
void gate_configure(gate *g, limiter_rate handshakes);
/* The core's half of the house: set once. The gate carries out what the core asks through `ready`, `out` and `close`. */
void gate_set_core(gate *g, core *c);
void gate_ready(void *gate_, core_peer to);
void gate_out(void *gate_, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies);
void gate_later(void *gate_, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies);
void gate_close(void *gate_, core_peer to, bool flush);

/* TACET_E_REFUSED: an honest net does not say that; close the channel (gate_worker_gone). */
TACET_MUST_USE int gate_message(gate *g, uint32_t worker, const ipc_message *m);
/* The worker's channel is closed: all its connections are. */
void gate_worker_gone(gate *g, uint32_t worker);
/* On a thread of the pool: responder's part of one message. */
void handshake_run(work *w);
void gate_handshake_done(gate *g, handshake_work *w);
void handshake_work_free(handshake_work *w);
/* Connections are refused from now on. */
void gate_stop(gate *g);

#define GATE_COUNTERS(N) N(handshakes) N(handshakes_failed) N(handshakes_limited) N(handshakes_pending) N(messages_refused) N(queue_overflows)
typedef struct {
#define GATE_FIELD(name) uint64_t name;
    GATE_COUNTERS(GATE_FIELD)
#undef GATE_FIELD
    uint64_t net[IPC_COUNTERS_COUNT], closed[IPC_REASONS]; /* as the workers say */
} gate_counters;
void gate_count(const gate *g, gate_counters *out);
/* ipc_sandbox_facts of the worker; false before its IPC_READY. */
bool gate_worker_ready(const gate *g, uint32_t worker, uint32_t *facts);
#endif
