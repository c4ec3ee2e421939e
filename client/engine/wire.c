/* One connection, without I/O. Incoming bytes are put together to whole units (a handshake message, then records) in `in`; outgoing frames wait as
 * stream bytes in `queue` until wire_output seals as many of them as fit into one record in `out`. */
#include "engine/wire.h"
#include "base/writer.h"
#include "transport/record.h"
#include <sodium.h>
#include <stdlib.h>

enum { HEAD_BYTES = 2, QUEUE_FIRST_BYTES = 4096, QUEUE_KEEP_BYTES = 1024 * 1024 };

typedef struct {
    uint8_t *at;
    size_t start, end, room;
} byte_queue;

/* In locked memory. */
typedef struct {
    record_key send, receive;
} wire_keys;

struct wire {
    wire_config c;
    wire_state state;
    wire_end why;
    handshake *hs; /* until it is done */
    wire_keys *keys;
    uint64_t started_ms; /* UINT64_MAX: nobody has asked for output yet */
    uint8_t hash[TACET_HANDSHAKE_HASH_BYTES], lowest, highest;
    byte_queue queue;
    frame_stream frames;
    size_t out_start, out_end, in_bytes, in_want;
    size_t frame_left; /* of a frame that went into a record in part */
    uint8_t out[TACET_RECORD_MAX_BYTES], in[TACET_RECORD_MAX_BYTES];
};

const char *wire_end_word(wire_end why)
{
    static const char *const word[] = {
        [WIRE_END_NONE] = "none",
        [WIRE_END_WRONG_KEY] = "wrong-key",
        [WIRE_END_CLOSED_EARLY] = "closed-early",
        [WIRE_END_VERSION] = "version",
        [WIRE_END_DEADLINE] = "deadline",
        [WIRE_END_BROKEN] = "broken",
        [WIRE_END_CLOSED] = "closed",
        [WIRE_END_AGE] = "age",
        [WIRE_END_LOCAL] = "local",
        [WIRE_END_UNREACHABLE] = "unreachable",
        [WIRE_END_UNRESOLVED] = "unresolved",
        [WIRE_END_PROXY_DOWN] = "proxy-down",
        [WIRE_END_PROXY_BROKEN] = "proxy-broken",
        [WIRE_END_PROXY_LOGIN] = "proxy-login",
        [WIRE_END_PROXY_REFUSED] = "proxy-refused",
    };
    return (size_t)why < sizeof word / sizeof *word ? word[why] : "unknown";
}

/* ---- the queue of stream bytes: tokens pass through it, so that every copy is wiped -------------------------------------------------- */

static void queue_free(byte_queue *q)
{
    if (q->at)
        sodium_memzero(q->at, q->room);
    free(q->at);
    *q = (byte_queue){ 0 };
}

/* What waits moves to the front where that is less than what has gone: each byte is moved once at most, and a busy queue keeps its memory. */
static int queue_room(byte_queue *q, size_t more)
{
    size_t held = q->end - q->start, room = q->room ? q->room : QUEUE_FIRST_BYTES;
    if (q->room - q->end >= more)
        return TACET_OK;
    if (q->room - held >= more && q->start >= held) {
        memcpy(q->at, q->at + q->start, held);
        sodium_memzero(q->at + q->start, held);
        *q = (byte_queue){ q->at, 0, held, q->room };
        return TACET_OK;
    }
    while (room - held < more)
        room *= 2;
    uint8_t *at = malloc(room);
    if (!at)
        return TACET_E_NOMEM;
    if (held)
        memcpy(at, q->at + q->start, held);
    queue_free(q);
    *q = (byte_queue){ at, 0, held, room };
    return TACET_OK;
}

static void queue_drop(byte_queue *q, size_t n)
{
    sodium_memzero(q->at + q->start, n);
    q->start += n;
    if (q->start < q->end)
        return;
    q->start = q->end = 0;
    if (q->room > QUEUE_KEEP_BYTES)
        queue_free(q);
}

/* ---- beginning and end --------------------------------------------------------------------------------------------------------------- */

/* The only way into WIRE_ENDED: nothing is sent any more, keys are gone. */
static void end(wire *w, wire_end why)
{
    if (w->state == WIRE_ENDED)
        return;
    w->state = WIRE_ENDED;
    w->why = why;
    w->hs = handshake_free(w->hs);
    w->keys = secret_free(w->c.arena, w->keys);
    w->out_start = w->out_end = 0;
    queue_free(&w->queue);
}

/* A handshake message as the connection carries it: u16 length in front. */
static int put_message(wire *w)
{
    size_t n = handshake_message_bytes(w->hs);
    writer out = writer_over(w->out + w->out_end, sizeof w->out - w->out_end);
    write_be(&out, n, HEAD_BYTES);
    uint8_t *at = write_room(&out, n);
    int rc = at ? handshake_write(w->hs, at) : TACET_E_BUG;
    if (rc == TACET_OK)
        w->out_end += writer_bytes(&out);
    return rc;
}

int wire_new(wire **out, const wire_config *c)
{
    wire *w = calloc(1, sizeof *w);
    if (!w)
        return TACET_E_NOMEM;
    w->c = *c;
    w->c.relay_key = w->c.static_secret = NULL;
    w->started_ms = UINT64_MAX;
    w->in_want = HEAD_BYTES;
    preamble_encode(w->out, TACET_WIRE_VERSION, c->role);
    w->out_end = TACET_PREAMBLE_BYTES;
    bool mailbox = c->role == TACET_ROLE_MAILBOX;
    int rc = handshake_initiator_new(&w->hs, mailbox ? HANDSHAKE_XKHFS : HANDSHAKE_NKHFS, c->env, w->out, TACET_PREAMBLE_BYTES,
                                     mailbox ? c->static_secret : NULL, c->relay_key);
    if (rc == TACET_OK && !(w->keys = secret_alloc(c->arena, sizeof *w->keys)))
        rc = TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = put_message(w);
    if (rc != TACET_OK) {
        wire_free(w);
        return rc == TACET_E_HANDSHAKE ? TACET_E_KEY : rc;
    }
    *out = w;
    return TACET_OK;
}

wire *wire_free(wire *w)
{
    if (!w)
        return NULL;
    end(w, WIRE_END_LOCAL);
    frame_stream_free(&w->frames);
    sodium_memzero(w, sizeof *w);
    free(w);
    return NULL;
}

void wire_close(wire *w) { end(w, WIRE_END_LOCAL); }

void wire_peer_closed(wire *w)
{
    bool unanswered = w->state == WIRE_HANDSHAKE && w->in_bytes == 0 && w->out_start == w->out_end;
    end(w, unanswered ? WIRE_END_CLOSED_EARLY : WIRE_END_CLOSED);
}

/* ---- out -------------------------------------------------------------------------------------------------------------------------- */

int wire_send(wire *w, const uint8_t *bytes, size_t n)
{
    if (n == 0 || n > TACET_FRAME_MAX_BYTES)
        return TACET_E_BUG;
    if (w->state == WIRE_ENDED)
        return TACET_E_TRANSPORT;
    size_t more = TACET_FRAME_HEAD_BYTES + n, held = w->queue.end - w->queue.start;
    if (held + more > TACET_WIRE_QUEUE_MAX_BYTES)
        return TACET_E_AGAIN;
    int rc = queue_room(&w->queue, more);
    if (rc != TACET_OK)
        return rc;
    writer q = writer_over(w->queue.at + w->queue.end, more);
    write_be(&q, n, TACET_FRAME_HEAD_BYTES);
    write_bytes(&q, bytes, n);
    w->queue.end += writer_bytes(&q);
    return TACET_OK;
}

bool wire_has_output(const wire *w) { return w->out_start < w->out_end || (w->state == WIRE_READY && w->queue.start < w->queue.end); }

size_t wire_waiting(const wire *w) { return w->queue.end - w->queue.start; }

static void seal_one(wire *w)
{
    size_t out_bytes = 0, n = frame_cut(w->queue.at + w->queue.start, w->queue.end - w->queue.start, TACET_RECORD_STREAM_MAX_BYTES, &w->frame_left);
    if (record_seal(&w->keys->send, w->out, &out_bytes, w->queue.at + w->queue.start, n) != TACET_OK) {
        end(w, WIRE_END_AGE); /* the counter has run out: a new handshake */
        return;
    }
    w->out_start = 0;
    w->out_end = out_bytes;
    queue_drop(&w->queue, n);
}

size_t wire_output(wire *w, const uint8_t **at)
{
    if (w->started_ms == UINT64_MAX)
        w->started_ms = env_mono_ms(w->c.env);
    if (w->out_start == w->out_end && wire_has_output(w))
        seal_one(w);
    *at = w->out + w->out_start;
    return w->out_end - w->out_start;
}

void wire_sent(wire *w, size_t n) { w->out_start += n < w->out_end - w->out_start ? n : w->out_end - w->out_start; }

/* ---- in --------------------------------------------------------------------------------------------------------------------------- */

/* Over to records: the second message was good, the third (role 1) has been written. */
static int go_up(wire *w)
{
    handshake_keys k;
    int rc = handshake_split(w->hs, &k);
    if (rc == TACET_OK) {
        memcpy(w->keys->send.key, k.send, sizeof k.send);
        memcpy(w->keys->receive.key, k.receive, sizeof k.receive);
        memcpy(w->hash, k.hash, sizeof k.hash);
        w->hs = handshake_free(w->hs);
        w->state = WIRE_READY;
    }
    sodium_memzero(&k, sizeof k);
    return rc;
}

static int on_message(wire *w)
{
    int rc = handshake_read(w->hs, w->in + HEAD_BYTES, w->in_bytes - HEAD_BYTES);
    if (rc == TACET_OK && handshake_next(w->hs) == HANDSHAKE_SEND)
        rc = put_message(w);
    return rc == TACET_OK ? go_up(w) : rc;
}

static void on_record(wire *w)
{
    const uint8_t *stream = NULL, *at = NULL;
    size_t left = 0, n = 0;
    int rc = record_open(&w->keys->receive, w->in, w->in_bytes, &stream, &left);
    while (rc == TACET_OK && w->state == WIRE_READY) {
        rc = frame_stream_next(&w->frames, &stream, &left, &at, &n);
        if (rc == TACET_OK)
            w->c.on_frame(w->c.ctx, at, n); /* may close */
    }
    if (rc != TACET_OK && rc != TACET_E_AGAIN)
        end(w, rc < 0 ? WIRE_END_LOCAL : WIRE_END_BROKEN);
}

/* How many bytes the unit has that begins with these; 0: none has such a head. The relay's clear answer to a version that it does not speak can only
 * stand in place of the second message. */
static size_t unit_bytes(const wire *w)
{
    size_t n = (size_t)w->in[0] << 8 | w->in[1];
    if (w->state == WIRE_READY)
        return record_length(w->in, &n) == TACET_OK ? n : 0;
    if (n == handshake_message_bytes(w->hs))
        return HEAD_BYTES + n;
    return w->in[0] == 't' && w->in[1] == 'a' ? TACET_PREAMBLE_BYTES : 0;
}

static void on_unit(wire *w)
{
    if (w->state == WIRE_READY)
        on_record(w);
    else if (w->in_bytes == TACET_PREAMBLE_BYTES)
        end(w, preamble_is_unsupported(w->in, &w->lowest, &w->highest) ? WIRE_END_VERSION : WIRE_END_WRONG_KEY);
    else if (on_message(w) != TACET_OK)
        end(w, WIRE_END_WRONG_KEY);
    else
        w->c.on_up(w->c.ctx);
    w->in_bytes = 0;
    w->in_want = HEAD_BYTES;
}

int wire_receive(wire *w, const uint8_t *bytes, size_t n)
{
    bool in_handshake = w->state == WIRE_HANDSHAKE;
    while (n && w->state != WIRE_ENDED) {
        size_t some = w->in_want - w->in_bytes < n ? w->in_want - w->in_bytes : n;
        memcpy(w->in + w->in_bytes, bytes, some);
        w->in_bytes += some;
        bytes += some;
        n -= some;
        if (w->in_bytes < w->in_want)
            break;
        if (w->in_bytes > HEAD_BYTES) {
            on_unit(w);
            in_handshake = in_handshake && w->state != WIRE_READY;
        } else if ((w->in_want = unit_bytes(w)) == 0) {
            end(w, w->state == WIRE_READY ? WIRE_END_BROKEN : WIRE_END_WRONG_KEY);
        }
    }
    if (w->state != WIRE_ENDED)
        return TACET_OK;
    return in_handshake ? TACET_E_HANDSHAKE : TACET_E_TRANSPORT;
}

/* ---- time and questions ----------------------------------------------------------------------------------------------------------- */

uint64_t wire_deadline(const wire *w)
{
    if (w->state == WIRE_ENDED || w->started_ms == UINT64_MAX)
        return UINT64_MAX;
    return w->started_ms + (w->state == WIRE_HANDSHAKE ? TACET_HANDSHAKE_DEADLINE_MS : UINT64_C(1000) * TACET_CONNECTION_MAX_S);
}

void wire_on_time(wire *w)
{
    if (wire_deadline(w) <= env_mono_ms(w->c.env))
        end(w, w->state == WIRE_HANDSHAKE ? WIRE_END_DEADLINE : WIRE_END_AGE);
}

wire_state wire_state_of(const wire *w) { return w->state; }
wire_end wire_why(const wire *w) { return w->why; }
const uint8_t *wire_handshake_hash(const wire *w) { return w->state == WIRE_READY ? w->hash : NULL; }

void wire_versions(const wire *w, uint8_t *lowest, uint8_t *highest)
{
    *lowest = w->lowest;
    *highest = w->highest;
}
