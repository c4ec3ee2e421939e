/* server/wire.h: the bytes of one connection of the relay, without I/O: preamble, handshake messages, records and frames coming in; clear bytes and
 * records going out. A pull parser: give it bytes, take what is whole, stop at will. The bytes given are borrowed until wire_settle, which keeps
 * what was not taken. Nothing is allocated before the bytes that fill it arrive, except the rest of one record or frame whose length is known and
 * bounded; an idle connection holds no buffer at all. */
#ifndef SERVER_WIRE_H
#define SERVER_WIRE_H
#include "protocol/frame.h"
#include "transport/handshake.h"
#include "transport/record.h"

typedef enum {
    WIRE_PREAMBLE,    /* 8 clear bytes come */
    WIRE_FIRST,       /* the first handshake message comes */
    WIRE_FIRST_ASKED, /* it is at store */
    WIRE_THIRD,       /* mailbox role: the third message comes */
    WIRE_THIRD_ASKED, /* it is at store */
    WIRE_OPEN,        /* records */
    WIRE_BROKEN,      /* nothing more is taken */
    WIRE_STATES
} wire_state;

typedef enum { WIRE_HANDSHAKE, WIRE_FRAME } wire_kind;
typedef struct {
    wire_kind kind;
    const uint8_t *at; /* valid until the next call */
    size_t bytes;
} wire_item;

typedef struct {
    wire_state state;
    tacet_role role;
    record_key in, out;
    const uint8_t *raw; /* given and not yet taken: borrowed, or in `kept` */
    size_t raw_bytes;
    uint8_t *kept;
    uint8_t head[TACET_PREAMBLE_BYTES], *item; /* the preamble, message or record being put together; `item` once its length is known */
    size_t item_used, item_bytes;
    const uint8_t *stream; /* in `item`: opened, not yet split into frames */
    size_t stream_bytes;
    frame_stream frames;
    uint8_t *plain, *ready; /* out: stream bytes that wait for a record; bytes that wait for the socket */
    size_t plain_at, plain_used, plain_room, ready_used, ready_room;
    size_t frame_left; /* of a frame that went into a record in part */
    uint64_t records_in, records_out;
} wire;

void wire_init(wire *w);
/* Wipes and frees everything; `w` may be initialised again. */
void wire_free(wire *w);

/* Lends bytes; wire_settle must have been called since the last time, and nothing may be waiting (wire_hungry). */
void wire_feed(wire *w, const uint8_t *bytes, size_t n);
/* The next whole thing.
 *   TACET_E_AGAIN      no more in what is here      TACET_E_VERSION    a preamble of another version: answer and close
 *   TACET_E_MALFORMED  not a preamble               TACET_E_HANDSHAKE  a handshake message of a wrong length
 *   TACET_E_TRANSPORT  a record of a wrong length, or that does not open, or a frame of a wrong length      TACET_E_NOMEM
 * After anything but OK and AGAIN the wire is broken. */
TACET_MUST_USE int wire_next(wire *w, wire_item *out);
/* Takes over what is left of the lent bytes. TACET_E_NOMEM */
TACET_MUST_USE int wire_settle(wire *w);
/* True when everything given was taken, and it would take more. */
bool wire_hungry(const wire *w);

/* A handshake message of store, after its length. TACET_E_REFUSED: not due. TACET_E_NOMEM */
TACET_MUST_USE int wire_answer(wire *w, const uint8_t *message, size_t n);
/* The record keys: relay -> client, client -> relay. TACET_E_REFUSED: not due. */
TACET_MUST_USE int wire_keys(wire *w, const uint8_t send[32], const uint8_t receive[32]);
/* The clear answer to a foreign version. */
TACET_MUST_USE int wire_unsupported(wire *w);
/* Stream bytes to go out in records. TACET_E_REFUSED: no keys yet. TACET_E_QUOTA: more than RELAY_OUTPUT_HARD_BYTES and one message wait. */
TACET_MUST_USE int wire_put(wire *w, const uint8_t *stream, size_t n);
bool wire_has_output(const wire *w);
/* Stream bytes that wait for a record. */
static inline size_t wire_waiting(const wire *w) { return w->plain_used - w->plain_at; }
/* Hands over (to be freed by the caller) bytes for the socket: clear bytes, then as much of the stream as fits into RELAY_SEND_RECORDS records.
 * *stream_bytes: how much of the stream that was. TACET_E_TRANSPORT: the counter has run out. TACET_E_NOMEM. */
TACET_MUST_USE int wire_take_output(wire *w, uint8_t **bytes, size_t *n, size_t *stream_bytes);
#endif
