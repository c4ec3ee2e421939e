#include "server/wire.h"
#include "server/limits.h"
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Where a connection goes when its next part is whole (WIRE_PREAMBLE .. WIRE_THIRD), or when store has answered. An empty cell refuses. */
typedef enum { EV_TAKEN, EV_ANSWER, EV_KEYS, WIRE_EVENTS } wire_event;
#define TO(s) ((unsigned char)((s) + 1))
static const unsigned char next_state[2][WIRE_STATES][WIRE_EVENTS] = {
    /* mailbox: XKhfs, three messages */
    { [WIRE_PREAMBLE] = { [EV_TAKEN] = TO(WIRE_FIRST) },
      [WIRE_FIRST] = { [EV_TAKEN] = TO(WIRE_FIRST_ASKED) },
      [WIRE_FIRST_ASKED] = { [EV_ANSWER] = TO(WIRE_THIRD) },
      [WIRE_THIRD] = { [EV_TAKEN] = TO(WIRE_THIRD_ASKED) },
      [WIRE_THIRD_ASKED] = { [EV_KEYS] = TO(WIRE_OPEN) } },
    /* open: NKhfs, two; the keys follow the answer */
    { [WIRE_PREAMBLE] = { [EV_TAKEN] = TO(WIRE_FIRST) },
      [WIRE_FIRST] = { [EV_TAKEN] = TO(WIRE_FIRST_ASKED) },
      [WIRE_FIRST_ASKED] = { [EV_ANSWER] = TO(WIRE_THIRD_ASKED) },
      [WIRE_THIRD_ASKED] = { [EV_KEYS] = TO(WIRE_OPEN) } },
};
static bool wire_step(wire *w, wire_event ev)
{
    unsigned char cell = next_state[w->role == TACET_ROLE_OPEN][w->state][ev];
    if (cell)
        w->state = (wire_state)(cell - 1);
    return cell != 0;
}

void wire_init(wire *w) { *w = (wire){ .role = TACET_ROLE_MAILBOX }; }

static uint8_t *wipe_free(uint8_t *p, size_t n)
{
    if (p)
        sodium_memzero(p, n);
    free(p);
    return NULL;
}

static void drop_item(wire *w)
{
    w->item = wipe_free(w->item, w->item_bytes);
    w->item_used = w->item_bytes = 0;
    w->stream = NULL;
    w->stream_bytes = 0;
}

void wire_free(wire *w)
{
    drop_item(w);
    free(w->kept);
    w->plain = wipe_free(w->plain, w->plain_used);
    free(w->ready);
    frame_stream_free(&w->frames);
    sodium_memzero(w, sizeof *w);
}

/* ---- in ------------------------------------------------------------------------------------------------------------------------------------- */
void wire_feed(wire *w, const uint8_t *bytes, size_t n)
{
    assert(w->raw_bytes == 0 && w->kept == NULL);
    w->raw = bytes;
    w->raw_bytes = n;
}

static int broken(wire *w, int rc)
{
    w->state = WIRE_BROKEN;
    sodium_memzero(&w->in, sizeof w->in);
    return rc;
}

/* How many bytes come before the length is known, and how long the whole is then. */
static size_t head_bytes(const wire *w) { return w->state == WIRE_PREAMBLE ? TACET_PREAMBLE_BYTES : TACET_RECORD_HEAD_BYTES; }
static int whole_bytes(const wire *w, size_t *whole)
{
    size_t n = (size_t)w->head[0] << 8 | w->head[1];
    switch (w->state) {
    case WIRE_PREAMBLE:
        *whole = TACET_PREAMBLE_BYTES;
        return TACET_OK;
    case WIRE_FIRST:
        *whole = 2 + TACET_M1_BYTES;
        return n == TACET_M1_BYTES ? TACET_OK : TACET_E_HANDSHAKE;
    case WIRE_THIRD:
        *whole = 2 + TACET_M3_BYTES;
        return n == TACET_M3_BYTES ? TACET_OK : TACET_E_HANDSHAKE;
    case WIRE_OPEN:
        return record_length(w->head, whole);
    case WIRE_FIRST_ASKED:
    case WIRE_THIRD_ASKED:
    case WIRE_BROKEN:
    case WIRE_STATES:
        break;
    }
    return TACET_E_BUG;
}

static void take_raw(wire *w, uint8_t *to, size_t upto)
{
    size_t some = upto - w->item_used < w->raw_bytes ? upto - w->item_used : w->raw_bytes;
    if (some)
        memcpy(to + w->item_used, w->raw, some);
    w->item_used += some;
    w->raw += some;
    w->raw_bytes -= some;
    if (w->raw_bytes == 0 && w->kept) {
        free(w->kept);
        w->kept = NULL;
    }
}

/* Puts the next preamble, message or record together. */
static int collect(wire *w)
{
    if (!w->item) {
        size_t head = head_bytes(w), whole = 0;
        take_raw(w, w->head, head);
        if (w->item_used < head)
            return TACET_E_AGAIN;
        int rc = whole_bytes(w, &whole);
        if (rc != TACET_OK)
            return rc;
        w->item = malloc(whole);
        if (!w->item)
            return TACET_E_NOMEM;
        memcpy(w->item, w->head, head);
        w->item_bytes = whole;
    }
    take_raw(w, w->item, w->item_bytes);
    return w->item_used == w->item_bytes ? TACET_OK : TACET_E_AGAIN;
}

static int next_preamble(wire *w)
{
    int rc = preamble_decode(w->item, &w->role);
    drop_item(w);
    if (rc == TACET_OK && !wire_step(w, EV_TAKEN))
        rc = TACET_E_BUG;
    return rc;
}

static int next_message(wire *w, wire_item *out)
{
    *out = (wire_item){ WIRE_HANDSHAKE, w->item + 2, w->item_bytes - 2 };
    return wire_step(w, EV_TAKEN) ? TACET_OK : TACET_E_BUG;
}

/* TACET_E_AGAIN: this record is used up. */
static int next_frame(wire *w, wire_item *out)
{
    const uint8_t *at = NULL;
    size_t n = 0;
    int rc = frame_stream_next(&w->frames, &w->stream, &w->stream_bytes, &at, &n);
    if (rc == TACET_OK)
        *out = (wire_item){ WIRE_FRAME, at, n };
    return rc == TACET_E_MALFORMED ? TACET_E_TRANSPORT : rc;
}

static int open_record(wire *w)
{
    int rc = record_open(&w->in, w->item, w->item_bytes, &w->stream, &w->stream_bytes);
    w->records_in += rc == TACET_OK;
    return rc;
}

int wire_next(wire *w, wire_item *out)
{
    for (;;) {
        int rc = TACET_E_AGAIN;
        if (w->stream) {
            rc = next_frame(w, out);
            if (rc == TACET_E_AGAIN)
                drop_item(w);
            else
                return rc == TACET_OK ? rc : broken(w, rc);
        }
        if (w->state == WIRE_FIRST_ASKED || w->state == WIRE_THIRD_ASKED || w->state == WIRE_BROKEN)
            return TACET_E_AGAIN;
        rc = collect(w);
        if (rc == TACET_E_AGAIN)
            return rc;
        if (rc == TACET_OK && w->state == WIRE_PREAMBLE)
            rc = next_preamble(w);
        else if (rc == TACET_OK && w->state == WIRE_OPEN)
            rc = open_record(w);
        else if (rc == TACET_OK) {
            rc = next_message(w, out);
            if (rc == TACET_OK)
                return rc;
        }
        if (rc != TACET_OK)
            return broken(w, rc);
    }
}

int wire_settle(wire *w)
{
    if (w->frames.buf && (w->frames.used == 0 || w->frames.used == w->frames.want))
        frame_stream_free(&w->frames);
    if (w->state == WIRE_FIRST_ASKED || w->state == WIRE_THIRD_ASKED)
        drop_item(w); /* store has its copy */
    if (w->raw_bytes == 0 || w->kept)
        return TACET_OK;
    w->kept = malloc(w->raw_bytes);
    if (!w->kept)
        return TACET_E_NOMEM;
    memcpy(w->kept, w->raw, w->raw_bytes);
    w->raw = w->kept;
    return TACET_OK;
}

bool wire_hungry(const wire *w)
{
    return w->raw_bytes == 0 && w->stream == NULL && w->state != WIRE_FIRST_ASKED && w->state != WIRE_THIRD_ASKED && w->state != WIRE_BROKEN;
}

/* ---- out --------------------------------------------------------------------------------------------------------------------------------------- */
/* Room for n more bytes at the end of a growing buffer. */
static bool grow(uint8_t **buf, size_t *room, size_t used, size_t n)
{
    if (used + n <= *room)
        return true;
    size_t more = *room ? *room : 512;
    while (more < used + n)
        more *= 2;
    uint8_t *p = malloc(more);
    if (!p)
        return false;
    if (used)
        memcpy(p, *buf, used);
    wipe_free(*buf, used);
    *buf = p;
    *room = more;
    return true;
}

static int put_ready(wire *w, const uint8_t *bytes, size_t n)
{
    if (!grow(&w->ready, &w->ready_room, w->ready_used, n))
        return TACET_E_NOMEM;
    memcpy(w->ready + w->ready_used, bytes, n);
    w->ready_used += n;
    return TACET_OK;
}

int wire_answer(wire *w, const uint8_t *message, size_t n)
{
    const uint8_t head[2] = { (uint8_t)(n >> 8), (uint8_t)n };
    if (n > UINT16_MAX || !wire_step(w, EV_ANSWER))
        return TACET_E_REFUSED;
    drop_item(w);
    int rc = put_ready(w, head, sizeof head);
    return rc == TACET_OK ? put_ready(w, message, n) : rc;
}

int wire_keys(wire *w, const uint8_t send[32], const uint8_t receive[32])
{
    if (!wire_step(w, EV_KEYS))
        return TACET_E_REFUSED;
    drop_item(w);
    memcpy(w->out.key, send, 32);
    memcpy(w->in.key, receive, 32);
    return TACET_OK;
}

int wire_unsupported(wire *w)
{
    uint8_t answer[TACET_PREAMBLE_BYTES];
    preamble_unsupported(answer, TACET_WIRE_VERSION, TACET_WIRE_VERSION);
    return put_ready(w, answer, sizeof answer);
}

int wire_put(wire *w, const uint8_t *stream, size_t n)
{
    if (w->state != WIRE_OPEN)
        return TACET_E_REFUSED;
    if (w->plain_used - w->plain_at + n > RELAY_OUTPUT_HARD_BYTES + RELAY_IPC_PAYLOAD_MAX_BYTES)
        return TACET_E_QUOTA;
    if (w->plain_at && w->plain_used + n > w->plain_room) {
        memmove(w->plain, w->plain + w->plain_at, w->plain_used - w->plain_at);
        w->plain_used -= w->plain_at;
        w->plain_at = 0;
    }
    if (!grow(&w->plain, &w->plain_room, w->plain_used, n))
        return TACET_E_NOMEM;
    memcpy(w->plain + w->plain_used, stream, n);
    w->plain_used += n;
    return TACET_OK;
}

bool wire_has_output(const wire *w) { return w->ready_used != 0 || w->plain_used != w->plain_at; }

static int seal_some(wire *w, size_t *stream_bytes)
{
    size_t waits = w->plain_used - w->plain_at, most = RELAY_SEND_RECORDS * (size_t)TACET_RECORD_MAX_BYTES;
    size_t all = waits + RELAY_SEND_RECORDS * (record_bytes(0) + TACET_RECORD_PAD_BYTES);
    if (!grow(&w->ready, &w->ready_room, w->ready_used, all < most ? all : most))
        return TACET_E_NOMEM;
    for (int i = 0; i < RELAY_SEND_RECORDS && w->plain_at < w->plain_used; i++) {
        size_t whole = 0, n = frame_cut(w->plain + w->plain_at, w->plain_used - w->plain_at, TACET_RECORD_STREAM_MAX_BYTES, &w->frame_left);
        int rc = record_seal(&w->out, w->ready + w->ready_used, &whole, w->plain + w->plain_at, n);
        if (rc != TACET_OK)
            return rc;
        w->ready_used += whole;
        w->plain_at += n;
        *stream_bytes += n;
        w->records_out++;
    }
    if (w->plain_at == w->plain_used) {
        w->plain = wipe_free(w->plain, w->plain_used);
        w->plain_at = w->plain_used = w->plain_room = 0;
    }
    return TACET_OK;
}

int wire_take_output(wire *w, uint8_t **bytes, size_t *n, size_t *stream_bytes)
{
    size_t sealed = 0;
    int rc = seal_some(w, &sealed);
    if (rc != TACET_OK)
        return rc;
    *bytes = w->ready;
    *n = w->ready_used;
    *stream_bytes = sealed;
    w->ready = NULL;
    w->ready_used = w->ready_room = 0;
    return TACET_OK;
}
