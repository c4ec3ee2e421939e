/* engine/wire.h: the client's end of one connection to a relay, without I/O: bytes in, bytes out. Preamble, handshake, records, frames (PROTOCOL.md
 * §2). One object is one connection; after its end it is only good for wire_free. Which reply belongs to which request, and when to try again, is the
 * owner's business (links.c). Not thread-safe.
 * Holds at most TACET_WIRE_QUEUE_MAX_BYTES of outgoing stream, one record each way and one partial frame: about 1.3 MiB. */
#ifndef ENGINE_WIRE_H
#define ENGINE_WIRE_H
#include "base/env.h"
#include "base/secret.h"
#include "protocol/frame.h"
#include "transport/handshake.h"

enum { TACET_WIRE_QUEUE_MAX_BYTES = 1024 * 1024 /* stream bytes that wait to be sealed */ };

typedef enum { WIRE_HANDSHAKE, WIRE_READY, WIRE_ENDED } wire_state;
/* Why a wire ended. */
typedef enum {
    WIRE_END_NONE = 0,
    WIRE_END_WRONG_KEY,    /* what answers our first message does not hold the relay's key, or bytes were changed on the way */
    WIRE_END_CLOSED_EARLY, /* closed after our first message and without an answer: most likely it could not read it (another key) */
    WIRE_END_VERSION,      /* it says, unauthenticated, that it speaks other versions: wire_versions. Nothing else is tried */
    WIRE_END_DEADLINE,     /* no handshake within TACET_HANDSHAKE_DEADLINE_MS */
    WIRE_END_BROKEN,       /* a record or length that no honest relay sends: forged, dropped, swapped, repeated, cut short */
    WIRE_END_CLOSED,       /* the peer closed, or the connection broke */
    WIRE_END_AGE,          /* TACET_CONNECTION_MAX_S are over: connect anew */
    WIRE_END_LOCAL,        /* wire_close, or no memory */
    WIRE_END_UNREACHABLE,  /* of a link only: no address answers (errno in link_errno) */
    WIRE_END_UNRESOLVED,   /* of a link only: the host name is not known */
    /* of a link through a proxy only: nobody answers there; it does not speak SOCKS5; it wants a name and password; it would not connect */
    WIRE_END_PROXY_DOWN,
    WIRE_END_PROXY_BROKEN,
    WIRE_END_PROXY_LOGIN,
    WIRE_END_PROXY_REFUSED,
} wire_end;
const char *wire_end_word(wire_end why); /* "wrong-key" ...: for logs and tests */

typedef struct wire wire;

typedef struct {
    const tacet_env *env;
    secret_arena *arena; /* for the record keys: under 256 bytes */
    tacet_role role;
    const uint8_t *relay_key;     /* 32: the pinned static key */
    const uint8_t *static_secret; /* 32: TK's secret half for TACET_ROLE_MAILBOX; NULL for TACET_ROLE_OPEN. Only read by wire_new */
    /* Both are called from wire_receive and may call wire_send and wire_close, not wire_receive or wire_free. */
    void (*on_up)(void *ctx);                                    /* the handshake is done; no frame comes before */
    void (*on_frame)(void *ctx, const uint8_t *bytes, size_t n); /* one frame's msgpack, not yet looked at; valid until it returns */
    void *ctx;                                                   /* of on_frame */
} wire_config;

/* *out is in WIRE_HANDSHAKE, its first bytes wait in wire_output. TACET_E_KEY: no usable relay key. TACET_E_NOMEM. */
TACET_MUST_USE int wire_new(wire **out, const wire_config *c);
wire *wire_free(wire *w); /* wipes; NULL is fine; returns NULL */

/* Bytes that the connection must send next; 0 when there are none. Frames that wait are put together into records here. *at is valid until the next
 * call on this wire. The clock of handshake and age starts with the first call. */
size_t wire_output(wire *w, const uint8_t **at);
void wire_sent(wire *w, size_t n); /* n of them have been taken */
bool wire_has_output(const wire *w);
size_t wire_waiting(const wire *w); /* stream bytes in the queue, of TACET_WIRE_QUEUE_MAX_BYTES */
/* Bytes that came. TACET_OK; TACET_E_HANDSHAKE or TACET_E_TRANSPORT: the wire has ended, close the connection. */
TACET_MUST_USE int wire_receive(wire *w, const uint8_t *bytes, size_t n);
void wire_peer_closed(wire *w); /* the peer closed, or the connection broke */
void wire_close(wire *w);

/* The time of the next wire_on_time (mono_ms of env), UINT64_MAX for none. */
uint64_t wire_deadline(const wire *w);
void wire_on_time(wire *w); /* ends the wire when a deadline has passed */

/* One frame's msgpack, 1 to TACET_FRAME_MAX_BYTES bytes, copied; before WIRE_READY it waits for the handshake.
 *   TACET_E_AGAIN  the queue is full: after wire_sent there is room again    TACET_E_TRANSPORT  the wire has ended
 *   TACET_E_BUG    no frame has this length    TACET_E_NOMEM.   After anything but TACET_OK nothing was queued. */
TACET_MUST_USE int wire_send(wire *w, const uint8_t *bytes, size_t n);

wire_state wire_state_of(const wire *w);
wire_end wire_why(const wire *w);
const uint8_t *wire_handshake_hash(const wire *w);                    /* 64 bytes, in WIRE_READY; NULL before and after */
void wire_versions(const wire *w, uint8_t *lowest, uint8_t *highest); /* after WIRE_END_VERSION */
#endif
