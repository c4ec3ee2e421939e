/* Frames out of a stream, however it is cut: T15. */
#include "vectors.h"
#include <sodium.h>

enum { FRAMES = 6, STREAM_MAX = 160000 };
static const size_t length[FRAMES] = { 1, 3, 300, 4096, 70, 5000 };

static uint8_t stream[STREAM_MAX];

static size_t put_frame(size_t at, size_t n, uint8_t first)
{
    stream[at] = (uint8_t)(n >> 24);
    stream[at + 1] = (uint8_t)(n >> 16);
    stream[at + 2] = (uint8_t)(n >> 8);
    stream[at + 3] = (uint8_t)n;
    for (size_t i = 0; i < n; i++)
        stream[at + 4 + i] = (uint8_t)(first + i);
    return at + 4 + n;
}

static size_t put_all(void)
{
    size_t n = 0;
    for (unsigned i = 0; i < FRAMES; i++)
        n = put_frame(n, length[i], (uint8_t)(i * 40));
    return n;
}

static size_t start_of(unsigned frame_number)
{
    size_t at = 0;
    for (unsigned i = 0; i < frame_number; i++)
        at += 4 + length[i];
    return at;
}

/* Gives `n` bytes in a block of their own and takes what comes out; *next counts the frames. */
static void give(frame_stream *s, const uint8_t *from, size_t n, unsigned *next)
{
    uint8_t *block = malloc(n ? n : 1);
    memcpy(block, from, n);
    const uint8_t *bytes = block, *at = NULL;
    size_t left = n, frame_bytes = 0;
    int rc = TACET_OK;
    while ((rc = frame_stream_next(s, &bytes, &left, &at, &frame_bytes)) == TACET_OK) {
        ck_assert_uint_lt(*next, FRAMES);
        ck_assert_uint_eq(frame_bytes, length[*next]);
        ck_assert_mem_eq(at, stream + start_of(*next) + 4, frame_bytes);
        ++*next;
    }
    ck_assert_int_eq(rc, TACET_E_AGAIN);
    ck_assert_uint_eq(left, 0);
    free(block);
}

START_TEST(T15_every_split_in_two)
{
    size_t n = put_all();
    for (size_t cut = 0; cut <= n; cut++) {
        frame_stream s = { 0 };
        unsigned next = 0;
        give(&s, stream, cut, &next);
        give(&s, stream + cut, n - cut, &next);
        ck_assert_uint_eq(next, FRAMES);
        frame_stream_free(&s);
    }
}
END_TEST

START_TEST(T15_every_piece_size)
{
    size_t n = put_all();
    for (size_t piece = 1; piece <= 64; piece++) {
        frame_stream s = { 0 };
        unsigned next = 0;
        for (size_t at = 0; at < n; at += piece)
            give(&s, stream + at, n - at < piece ? n - at : piece, &next);
        ck_assert_uint_eq(next, FRAMES);
        frame_stream_free(&s);
    }
}
END_TEST

static const struct {
    const char *what;
    uint8_t head[4];
} lie[] = {
    { "zero", { 0, 0, 0, 0 } },
    { "one above the limit", { 0, 2, 0, 1 } },
    { "4 GiB", { 0xff, 0xff, 0xff, 0xff } },
    { "2 GiB", { 0x80, 0, 0, 0 } },
};
START_TEST(lying_lengths)
{
    for (size_t cut = 0; cut <= 4; cut++) { /* the head may come in two pieces */
        frame_stream s = { 0 };
        const uint8_t *bytes = lie[_i].head, *at = NULL;
        size_t left = cut, frame_bytes = 77;
        if (cut < 4) {
            ck_assert_int_eq(frame_stream_next(&s, &bytes, &left, &at, &frame_bytes), TACET_E_AGAIN);
            left = 4 - cut;
        }
        ck_assert_msg(frame_stream_next(&s, &bytes, &left, &at, &frame_bytes) == TACET_E_MALFORMED, "%s", lie[_i].what);
        ck_assert_uint_le(s.room, 4096);
        uint8_t fine[] = { 0, 0, 0, 1, 7 }; /* nothing heals a broken stream */
        bytes = fine;
        left = sizeof fine;
        ck_assert_int_eq(frame_stream_next(&s, &bytes, &left, &at, &frame_bytes), TACET_E_MALFORMED);
        ck_assert_uint_eq(frame_bytes, 77);
        frame_stream_free(&s);
    }
}
END_TEST

/* A length alone makes nobody allocate: memory follows the bytes that came, and goes back after a large frame. */
START_TEST(memory_follows_what_came)
{
    frame_stream s = { 0 };
    size_t n = put_frame(0, TACET_FRAME_MAX_BYTES, 0), frame_bytes = 0;
    n = put_frame(n, 10, 5);
    const uint8_t *bytes = stream, *at = NULL;
    size_t left = 4;
    ck_assert_int_eq(frame_stream_next(&s, &bytes, &left, &at, &frame_bytes), TACET_E_AGAIN);
    ck_assert_uint_le(s.room, 1024);
    size_t given = 4;
    for (; given + 1000 < TACET_FRAME_MAX_BYTES; given += 1000) {
        left = 1000;
        bytes = stream + given;
        ck_assert_int_eq(frame_stream_next(&s, &bytes, &left, &at, &frame_bytes), TACET_E_AGAIN);
        ck_assert_uint_le(s.room, 2 * (given + 1000));
    }
    ck_assert_uint_le(s.room, TACET_FRAME_MAX_BYTES + 4);
    left = n - given;
    bytes = stream + given;
    ck_assert_int_eq(frame_stream_next(&s, &bytes, &left, &at, &frame_bytes), TACET_OK);
    ck_assert_uint_eq(frame_bytes, TACET_FRAME_MAX_BYTES);
    ck_assert_mem_eq(at, stream + 4, frame_bytes);
    ck_assert_int_eq(frame_stream_next(&s, &bytes, &left, &at, &frame_bytes), TACET_OK);
    ck_assert_uint_eq(frame_bytes, 10);
    ck_assert_uint_eq(s.room, 0);
    ck_assert_int_eq(frame_stream_next(&s, &bytes, &left, &at, &frame_bytes), TACET_E_AGAIN);
    frame_stream_free(&s);
}
END_TEST

/* One larger than a record is cut where the record ends; what follows it begins anew, and is not cut in its turn. */
START_TEST(cuts_where_frames_end)
{
    static uint8_t out[4 + 100 + 4 + 30 + 4 + 20] = { 0, 0, 0, 100 };
    size_t left = 0, at = 0;
    out[104 + 3] = 30;
    out[138 + 3] = 20;
    static const size_t want[] = { 60, 44, 34, 24 };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        size_t n = frame_cut(out + at, sizeof out - at, i == 0 ? 60 : 44, &left);
        ck_assert_uint_eq(n, want[i]);
        ck_assert_uint_eq(left, i == 0 ? 44 : 0);
        at += n;
    }
    ck_assert_uint_eq(at, sizeof out);
    ck_assert_uint_eq(frame_cut(out, sizeof out, 160, &left), 138);
    ck_assert_uint_eq(frame_cut(out, 0, 160, &left), 0);
}
END_TEST

SUITE("frame_stream", TEST(cuts_where_frames_end), TEST(T15_every_split_in_two), TEST(T15_every_piece_size), LOOP(lying_lengths, ROWS(lie)),
      TEST(memory_follows_what_came))
