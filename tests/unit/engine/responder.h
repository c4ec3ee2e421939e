/* responder.h: a relay's end of one connection for tests, made of crypto/transport: bytes in, frames in and out, bytes out. Honest unless the test
 * puts other bytes into `out`. */
#ifndef TESTS_ENGINE_RESPONDER_H
#define TESTS_ENGINE_RESPONDER_H
#include "base/env.h"
#include "protocol/frame.h"
#include "suite.h"
#include "transport/handshake.h"
#include "transport/record.h"
#include <string.h>

enum { RESPONDER_PREAMBLE, RESPONDER_M1, RESPONDER_M3, RESPONDER_UP, RESPONDER_CLOSED };

typedef struct {
    const tacet_env *env;
    const uint8_t *secret;
    int state;
    tacet_role role;
    handshake *hs;
    record_key send, receive;
    uint8_t hash[64], client[32];
    frame_stream frames;
    size_t frame_count, frame_total, records_in, m3_bytes;
    uint8_t *in, *out; /* in: not understood yet; out: to be carried to the client */
    size_t in_bytes, out_bytes;
} responder;

/* The tests' frames go up by one from their first byte. (ck_assert on each byte would take longer than the cryptography.) */
static inline bool is_row(const uint8_t *at, size_t n)
{
    size_t i = 0;
    while (i < n && at[i] == (uint8_t)(at[0] + i))
        i++;
    return i == n;
}

static inline void responder_start(responder *r, const tacet_env *env, const uint8_t secret[32]) { *r = (responder){ .env = env, .secret = secret }; }

static inline void responder_end(responder *r)
{
    handshake_free(r->hs);
    frame_stream_free(&r->frames);
    free(r->in);
    free(r->out);
}

static inline void responder_append(uint8_t **at, size_t *used, const void *bytes, size_t n)
{
    *at = realloc(*at, *used + n + 1);
    ck_assert_ptr_nonnull(*at);
    memcpy(*at + *used, bytes, n);
    *used += n;
}

static inline void responder_put(responder *r, const void *bytes, size_t n) { responder_append(&r->out, &r->out_bytes, bytes, n); }

static inline void responder_put_record(responder *r, const uint8_t *stream, size_t n)
{
    uint8_t record[TACET_RECORD_MAX_BYTES];
    size_t bytes = 0;
    ck_assert_int_eq(record_seal(&r->send, record, &bytes, stream, n), TACET_OK);
    responder_put(r, record, bytes);
}

/* One frame, cut into records as large as they may be. */
static inline void responder_put_frame(responder *r, const uint8_t *frame_at, size_t n)
{
    uint8_t *stream = malloc(4 + n);
    for (size_t i = 0; i < 4; i++)
        stream[i] = (uint8_t)(n >> (24 - 8 * i));
    memcpy(stream + 4, frame_at, n);
    for (size_t at = 0; at < 4 + n; at += TACET_RECORD_STREAM_MAX_BYTES)
        responder_put_record(r, stream + at, 4 + n - at < TACET_RECORD_STREAM_MAX_BYTES ? 4 + n - at : TACET_RECORD_STREAM_MAX_BYTES);
    free(stream);
}

static inline void responder_up(responder *r)
{
    handshake_keys k;
    ck_assert_int_eq(handshake_split(r->hs, &k), TACET_OK);
    memcpy(r->send.key, k.send, 32);
    memcpy(r->receive.key, k.receive, 32);
    memcpy(r->hash, k.hash, sizeof r->hash);
    memcpy(r->client, k.remote_static, sizeof r->client);
    r->state = RESPONDER_UP;
}

/* A unit that is whole; how many bytes it took. */
static inline size_t responder_message(responder *r)
{
    size_t n = handshake_message_bytes(r->hs);
    if (r->in_bytes < 2 + n)
        return 0;
    if (r->in[0] != n >> 8 || r->in[1] != (n & 255) || handshake_read(r->hs, r->in + 2, n) != TACET_OK) {
        r->state = RESPONDER_CLOSED;
        return 2 + n;
    }
    if (handshake_next(r->hs) == HANDSHAKE_SEND) {
        uint8_t answer[2 + TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
        size_t bytes = handshake_message_bytes(r->hs);
        answer[0] = (uint8_t)(bytes >> 8);
        answer[1] = (uint8_t)bytes;
        ck_assert_int_eq(handshake_write(r->hs, answer + 2), TACET_OK);
        responder_put(r, answer, 2 + bytes);
        r->state = RESPONDER_M3;
    }
    if (handshake_next(r->hs) == HANDSHAKE_DONE)
        responder_up(r);
    return 2 + n;
}

static inline size_t responder_record(responder *r)
{
    size_t whole = 0, left = 0, n = 0;
    const uint8_t *stream = NULL, *at = NULL;
    if (r->in_bytes < 2)
        return 0;
    ck_assert_int_eq(record_length(r->in, &whole), TACET_OK);
    if (r->in_bytes < whole)
        return 0;
    ck_assert_int_eq(record_open(&r->receive, r->in, whole, &stream, &left), TACET_OK);
    r->records_in++;
    int rc = TACET_OK;
    while ((rc = frame_stream_next(&r->frames, &stream, &left, &at, &n)) == TACET_OK) {
        r->frame_count++;
        r->frame_total += n;
        ck_assert_msg(is_row(at, n), "frame %zu", r->frame_count);
    }
    ck_assert_int_eq(rc, TACET_E_AGAIN);
    return whole;
}

static inline size_t responder_preamble(responder *r)
{
    if (r->in_bytes < TACET_PREAMBLE_BYTES)
        return 0;
    uint8_t answer[TACET_PREAMBLE_BYTES];
    int rc = preamble_decode(r->in, &r->role);
    if (rc == TACET_E_VERSION) {
        preamble_unsupported(answer, 1, 1);
        responder_put(r, answer, sizeof answer);
    }
    r->state = rc == TACET_OK ? RESPONDER_M1 : RESPONDER_CLOSED;
    if (rc == TACET_OK)
        ck_assert_int_eq(handshake_responder_new(&r->hs, r->role == TACET_ROLE_MAILBOX ? HANDSHAKE_XKHFS : HANDSHAKE_NKHFS, r->env, r->in,
                                                 TACET_PREAMBLE_BYTES, r->secret),
                         TACET_OK);
    return TACET_PREAMBLE_BYTES;
}

static inline void responder_receive(responder *r, const uint8_t *bytes, size_t n)
{
    responder_append(&r->in, &r->in_bytes, bytes, n);
    if (r->state == RESPONDER_M3)
        r->m3_bytes += n;
    for (size_t took = 1; took && r->state != RESPONDER_CLOSED;) {
        took = r->state == RESPONDER_PREAMBLE ? responder_preamble(r) : r->state == RESPONDER_UP ? responder_record(r) : responder_message(r);
        r->in_bytes -= took;
        memmove(r->in, r->in + took, r->in_bytes);
    }
}
#endif
