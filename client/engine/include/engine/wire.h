/* engine/wire.h: the client's end of one connection to a relay, without I/O: bytes in, bytes out. Preamble, handshake, records, frames, and
 * which reply belongs to which request (PROTOCOL.md §2). One object is one connection; after its end it is only good for wire_free.
 * Not thread-safe. Holds at most about 1.3 MiB: TACET_WIRE_QUEUE_MAX_BYTES of outgoing stream, one record each way, one partial frame. */
#ifndef ENGINE_WIRE_H
#define ENGINE_WIRE_H
#include "base/env.h"
#include "base/secret.h"
#include "protocol/frame.h"
#include "transport/handshake.h"

enum {
    TACET_WIRE_REQUESTS_MAX = 256,            /* asked and not yet answered */
    TACET_WIRE_QUEUE_MAX_BYTES = 1024 * 1024, /* stream bytes that wait to be sealed */
    TACET_WIRE_REPLY_DEADLINE_MS = 60000,     /* a relay that leaves a request unanswered for so long is taken for dead */
};

typedef enum { WIRE_HANDSHAKE, WIRE_READY, WIRE_ENDED } wire_state;
/* Why a wire ended. */
typedef enum {
    WIRE_END_NONE = 0,
    WIRE_END_WRONG_KEY, /* the answer to our first message does not verify: whoever is there does not hold the relay's key, or bytes were changed */
    WIRE_END_CLOSED_EARLY, /* closed before the handshake ended: the relay could not read our first message (another key), or turned us away */
    WIRE_END_VERSION,      /* it says, unauthenticated, that it speaks other versions: wire_versions */
    WIRE_END_DEADLINE,     /* no handshake within TACET_HANDSHAKE_DEADLINE_MS */
    WIRE_END_BROKEN,       /* a record or frame that no honest relay sends: forged, dropped, swapped, truncated */
    WIRE_END_SILENT,       /* a request was not answered in time */
    WIRE_END_CLOSED,       /* the peer closed, after the handshake */
    WIRE_END_LOCAL,        /* we closed: wire_close */
    WIRE_END_UNREACHABLE,  /* link only: no connection could be made (errno in link_errno) */
    WIRE_END_UNRESOLVED,   /* link only: the host name is not known */
} wire_end;
const char *wire_end_word(wire_end why); /* "wrong-key" ... for logs and tests */

typedef struct wire wire;

/* The answer to one request, exactly once each: `reply` (FRAME_ERROR included) and `why` WIRE_END_NONE; or NULL and why the connection ended
 * before an answer came: then nobody knows whether the relay acted on it. The frame's views live until the function returns.
 * It may call wire_request; it must not call wire_receive, wire_peer_closed, wire_on_time, wire_close or wire_free. The same holds for events. */
typedef void wire_reply_fn(void *ctx, const frame *reply, wire_end why);
/* FRAME_DELIVER, FRAME_CAUGHT_UP. */
typedef void wire_event_fn(void *ctx, const frame *event);

typedef struct {
    const tacet_env *env;
    secret_arena *arena; /* for the record keys, under 256 bytes */
    tacet_role role;
    const uint8_t *relay_key;     /* 32: the pinned static key */
    const uint8_t *static_secret; /* 32: TK's secret half for TACET_ROLE_MAILBOX, used during wire_new only; NULL for TACET_ROLE_OPEN */
    wire_event_fn *on_event;
    /* Instead of on_event, for an owner that matches replies itself: every whole frame's msgpack (replies too), not yet decoded; the owner sends with
     * wire_send. wire_request is then TACET_E_BUG. */
    void (*on_frame)(void *ctx, const uint8_t *bytes, size_t n);
    void *ctx; /* of both */
} wire_config;

/* *out is in WIRE_HANDSHAKE with its first bytes ready. TACET_E_KEY: no usable relay key. TACET_E_NOMEM. */
TACET_MUST_USE int wire_new(wire **out, const wire_config *c);
/* Answers what is open with WIRE_END_LOCAL (as wire_close), wipes, frees; NULL is fine; returns NULL. */
wire *wire_free(wire *w);

/* Bytes that the connection must send next; 0 when there are none now. Frames that wait are put together into records here. *at is valid until the
 * next call on this wire. The handshake deadline runs from the first call. */
size_t wire_output(wire *w, const uint8_t **at);
void wire_sent(wire *w, size_t n); /* n of them have been taken */
/* Bytes that came. Calls replies and events. TACET_OK; TACET_E_TRANSPORT or TACET_E_HANDSHAKE: the wire has ended, close the connection. */
TACET_MUST_USE int wire_receive(wire *w, const uint8_t *bytes, size_t n);
/* The peer closed, or the connection broke. Answers everything that is open. */
void wire_peer_closed(wire *w);
void wire_close(wire *w);

/* The time of the next wire_on_time (mono_ms of env), UINT64_MAX for none. */
uint64_t wire_deadline(const wire *w);
/* Ends the wire when a deadline has passed. */
void wire_on_time(wire *w);

/* Sends f (its id is overwritten) and calls done(ctx, ...) once. Before WIRE_READY it waits for the handshake.
 *   TACET_E_AGAIN      too much under way: after a reply or wire_sent there is room again
 *   TACET_E_TRANSPORT  the wire has ended      TACET_E_BUG  no request of this role, or a field out of bounds
 * After anything but TACET_OK nothing was queued and `done` is not called. */
TACET_MUST_USE int wire_request(wire *w, frame *f, wire_reply_fn *done, void *ctx);

/* One frame's msgpack, 1 to TACET_FRAME_MAX_BYTES bytes, copied; same codes. Only with on_frame. */
TACET_MUST_USE int wire_send(wire *w, const uint8_t *bytes, size_t n);

wire_state wire_state_of(const wire *w);
wire_end wire_why(const wire *w);
void wire_versions(const wire *w, uint8_t *lowest, uint8_t *highest); /* after WIRE_END_VERSION */
/* 64 bytes, from WIRE_READY on: what registrations and device changes sign. NULL before. */
const uint8_t *wire_handshake_hash(const wire *w);
size_t wire_open_requests(const wire *w);
bool wire_idle(const wire *w); /* nothing asked, nothing to send */
#endif
