/* Frames out of stream bytes (PROTOCOL.md §2.4): u32 length, then that many bytes of msgpack. */
#include "protocol/frame.h"
#include <stdlib.h>
#include <string.h>

enum { HEAD = TACET_FRAME_HEAD_BYTES, KEEP_BYTES = 4096, BROKEN = 1 };

/* `want` is 0 while the head is incomplete, BROKEN after a length that no frame has, else HEAD + length. */
static size_t length_of(const uint8_t head[HEAD])
{
    size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    return n == 0 || n > TACET_FRAME_MAX_BYTES ? BROKEN : HEAD + n;
}

static void start_over(frame_stream *s)
{
    s->used = s->want = 0;
    if (s->room > KEEP_BYTES) /* an idle connection does not hold on to a large buffer */
        frame_stream_free(s);
}

/* Doubles, but never beyond what the frame needs: a length alone makes nobody allocate. */
static int make_room(frame_stream *s, size_t needed)
{
    if (needed <= s->room)
        return TACET_OK;
    size_t room = s->room ? s->room : 256;
    while (room < needed)
        room *= 2;
    if (s->want > HEAD && room > s->want && s->want >= needed)
        room = s->want;
    uint8_t *buf = realloc(s->buf, room);
    if (!buf)
        return TACET_E_NOMEM;
    s->buf = buf;
    s->room = room;
    return TACET_OK;
}

static int take(frame_stream *s, const uint8_t **bytes, size_t *n, size_t upto)
{
    size_t some = upto - s->used < *n ? upto - s->used : *n;
    int rc = make_room(s, s->used + some);
    if (rc != TACET_OK || !some)
        return rc;
    memcpy(s->buf + s->used, *bytes, some);
    s->used += some;
    *bytes += some;
    *n -= some;
    return TACET_OK;
}

/* A frame that lies whole in the caller's bytes is not copied. */
static bool whole_in_place(const uint8_t **bytes, size_t *n, const uint8_t **frame_at, size_t *frame_bytes)
{
    size_t whole = *n < HEAD ? 0 : length_of(*bytes);
    if (whole <= BROKEN || whole > *n)
        return false;
    *frame_at = *bytes + HEAD;
    *frame_bytes = whole - HEAD;
    *bytes += whole;
    *n -= whole;
    return true;
}

int frame_stream_next(frame_stream *s, const uint8_t **bytes, size_t *n, const uint8_t **frame_at, size_t *frame_bytes)
{
    if (s->want > BROKEN && s->used == s->want)
        start_over(s);
    if (s->used == 0 && s->want == 0 && whole_in_place(bytes, n, frame_at, frame_bytes))
        return TACET_OK;
    if (s->want == 0) {
        int rc = take(s, bytes, n, HEAD);
        if (rc != TACET_OK)
            return rc;
        if (s->used < HEAD)
            return TACET_E_AGAIN;
        s->want = length_of(s->buf);
    }
    if (s->want == BROKEN)
        return TACET_E_MALFORMED;
    int rc = take(s, bytes, n, s->want);
    if (rc != TACET_OK)
        return rc;
    if (s->used < s->want)
        return TACET_E_AGAIN;
    *frame_at = s->buf + HEAD;
    *frame_bytes = s->want - HEAD;
    return TACET_OK;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t frame_cut(const uint8_t *stream, size_t bytes, size_t most, size_t *left)
{
    size_t at = least(*left, least(bytes, most));
    *left -= at;
    while (*left == 0 && bytes - at >= HEAD) {
        size_t whole = length_of(stream + at);
        if (whole > least(bytes, most) - at)
            break;
        at += whole;
    }
    if (at > 0 || bytes == 0)
        return at;
    size_t whole = bytes >= HEAD ? length_of(stream) : bytes;
    at = least(least(bytes, most), whole);
    *left = whole - at;
    return at;
}

void frame_stream_free(frame_stream *s)
{
    free(s->buf);
    *s = (frame_stream){ 0 };
}
