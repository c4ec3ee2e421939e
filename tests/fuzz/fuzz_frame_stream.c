/* P04, T15: the frames of a stream do not depend on how it was cut. The first input byte says how; the rest is the stream. */
#include "fuzz.h"
#include "protocol/frame.h"

typedef struct {
    size_t frames, bytes;
    uint64_t sum;
    int rc;
} outcome;

static outcome run(const uint8_t *stream, size_t n, size_t piece)
{
    frame_stream s = { 0 };
    outcome o = { 0, 0, 0, TACET_E_AGAIN };
    for (size_t at = 0; at < n && o.rc == TACET_E_AGAIN; at += piece) {
        const uint8_t *bytes = stream + at, *frame_at = NULL;
        size_t left = n - at < piece ? n - at : piece, frame_bytes = 0;
        while ((o.rc = frame_stream_next(&s, &bytes, &left, &frame_at, &frame_bytes)) == TACET_OK) {
            PROMISE(frame_bytes > 0 && frame_bytes <= TACET_FRAME_MAX_BYTES);
            o.frames++;
            o.bytes += frame_bytes;
            for (size_t i = 0; i < frame_bytes; i++)
                o.sum = o.sum * 31 + frame_at[i];
        }
        PROMISE(s.room <= 4096 || s.room <= 2 * (at + piece));
    }
    frame_stream_free(&s);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 1)
        return 0;
    outcome whole = run(bytes + 1, n - 1, n), cut = run(bytes + 1, n - 1, (size_t)bytes[0] + 1);
    PROMISE(whole.rc == cut.rc && whole.frames == cut.frames && whole.bytes == cut.bytes && whole.sum == cut.sum);
    return 0;
}
