/* The byte side of one connection: whatever way the bytes are cut, the same comes out; what is not due is refused at its header; an idle wire holds
 * nothing. */
#include "server/limits.h"
#include "server/wire.h"
#include "suite.h"
#include <string.h>

/* A client and a store in one: makes everything that comes in, and answers. */
typedef struct {
    env_seeded env;
    tacet_role role;
    handshake *client, *relay;
    uint8_t relay_secret[32], relay_public[32], client_secret[32];
    record_key send, receive; /* the client's */
    uint8_t relay_send[32], relay_receive[32];
} peer;

static void peer_init(peer *p, tacet_role role)
{
    uint8_t pre[TACET_PREAMBLE_BYTES];
    memset(p, 0, sizeof *p);
    p->role = role;
    env_seeded_init(&p->env, 11 + role, 0);
    env_random(&p->env.env, p->relay_secret, 32);
    env_random(&p->env.env, p->client_secret, 32);
    crypto_scalarmult_curve25519_base(p->relay_public, p->relay_secret);
    preamble_encode(pre, TACET_WIRE_VERSION, role);
    handshake_pattern pattern = role == TACET_ROLE_MAILBOX ? HANDSHAKE_XKHFS : HANDSHAKE_NKHFS;
    const uint8_t *own = role == TACET_ROLE_MAILBOX ? p->client_secret : NULL;
    ck_assert_int_eq(handshake_initiator_new(&p->client, pattern, &p->env.env, pre, sizeof pre, own, p->relay_public), TACET_OK);
    ck_assert_int_eq(handshake_responder_new(&p->relay, pattern, &p->env.env, pre, sizeof pre, p->relay_secret), TACET_OK);
}
static void peer_free(peer *p)
{
    p->client = handshake_free(p->client);
    p->relay = handshake_free(p->relay);
}
static size_t client_message(peer *p, uint8_t *out)
{
    size_t n = handshake_message_bytes(p->client);
    out[0] = (uint8_t)(n >> 8);
    out[1] = (uint8_t)n;
    ck_assert_int_eq(handshake_write(p->client, out + 2), TACET_OK);
    return n + 2;
}
static void split_both(peer *p)
{
    handshake_keys c, r;
    ck_assert_int_eq(handshake_split(p->client, &c), TACET_OK);
    ck_assert_int_eq(handshake_split(p->relay, &r), TACET_OK);
    memcpy(p->send.key, c.send, 32);
    memcpy(p->receive.key, c.receive, 32);
    memcpy(p->relay_send, r.send, 32);
    memcpy(p->relay_receive, r.receive, 32);
}

/* Feeds bytes in pieces of `step`; collects frames as length | bytes. Handshake messages are answered as store would. */
typedef struct {
    uint8_t frames[512 * 1024];
    size_t used, count;
    uint8_t out[4096]; /* what the wire wants to send during the handshake */
    size_t out_bytes;
} sink;

static void take_output(wire *w, sink *s)
{
    uint8_t *bytes = NULL;
    size_t n = 0, stream = 0;
    ck_assert_int_eq(wire_take_output(w, &bytes, &n, &stream), TACET_OK);
    ck_assert(s->out_bytes + n <= sizeof s->out);
    if (n)
        memcpy(s->out + s->out_bytes, bytes, n);
    s->out_bytes += n;
    free(bytes);
}

static void answer(wire *w, peer *p, sink *s, const wire_item *item)
{
    uint8_t m[TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    ck_assert_int_eq(handshake_read(p->relay, item->at, item->bytes), TACET_OK);
    if (handshake_next(p->relay) == HANDSHAKE_SEND) {
        size_t n = handshake_message_bytes(p->relay);
        ck_assert_int_eq(handshake_write(p->relay, m), TACET_OK);
        ck_assert_int_eq(wire_answer(w, m, n), TACET_OK);
        take_output(w, s);
        ck_assert_int_eq(handshake_read(p->client, s->out + 2, n), TACET_OK);
        s->out_bytes = 0;
    }
    if (handshake_next(p->client) == HANDSHAKE_DONE && handshake_next(p->relay) == HANDSHAKE_DONE) {
        split_both(p);
        ck_assert_int_eq(wire_keys(w, p->relay_send, p->relay_receive), TACET_OK);
    }
}

static int feed(wire *w, peer *p, sink *s, const uint8_t *bytes, size_t n, size_t step)
{
    int rc = TACET_E_AGAIN;
    for (size_t at = 0; at < n && rc == TACET_E_AGAIN; at += step) {
        wire_item item;
        wire_feed(w, bytes + at, n - at < step ? n - at : step);
        while ((rc = wire_next(w, &item)) == TACET_OK) {
            if (item.kind == WIRE_HANDSHAKE) {
                answer(w, p, s, &item);
            } else {
                ck_assert(s->used + item.bytes + 4 <= sizeof s->frames);
                memcpy(s->frames + s->used, &(uint32_t){ (uint32_t)item.bytes }, 4);
                memcpy(s->frames + s->used + 4, item.at, item.bytes);
                s->used += 4 + item.bytes;
                s->count++;
            }
        }
        ck_assert_int_eq(wire_settle(w), TACET_OK);
    }
    return rc;
}

/* Preamble and handshake, then records that carry `frames` frames of growing length, cut into records at odd places. */
static void open_wire(wire *w, peer *p, sink *s, size_t step)
{
    uint8_t m[2 + TACET_HANDSHAKE_MESSAGE_MAX_BYTES], pre[TACET_PREAMBLE_BYTES];
    wire_init(w);
    preamble_encode(pre, TACET_WIRE_VERSION, p->role);
    ck_assert_int_eq(feed(w, p, s, pre, sizeof pre, step), TACET_E_AGAIN);
    size_t n = client_message(p, m);
    ck_assert_int_eq(feed(w, p, s, m, n, step), TACET_E_AGAIN);
    if (p->role == TACET_ROLE_MAILBOX) {
        n = client_message(p, m);
        ck_assert_int_eq(feed(w, p, s, m, n, step), TACET_E_AGAIN);
    }
    ck_assert_int_eq(w->state, WIRE_OPEN);
}

enum { FRAMES = 30 };
static size_t make_stream(uint8_t *out)
{
    size_t used = 0;
    for (size_t i = 0; i < FRAMES; i++) {
        size_t n = 1 + i * i * 61 % 9000;
        out[used] = out[used + 1] = 0;
        out[used + 2] = (uint8_t)(n >> 8);
        out[used + 3] = (uint8_t)n;
        memset(out + used + 4, (int)(i + 1), n);
        used += 4 + n;
    }
    return used;
}
static size_t make_records(peer *p, const uint8_t *stream, size_t n, uint8_t *out)
{
    size_t used = 0, whole = 0;
    for (size_t at = 0, k = 0; at < n; k++) {
        static const size_t cut[] = { 1, 3, 250, 0, 254, 255, 7000, 2, 60000 };
        size_t some = cut[k % ROWS(cut)] < n - at ? cut[k % ROWS(cut)] : n - at;
        ck_assert_int_eq(record_seal(&p->send, out + used, &whole, stream + at, some), TACET_OK);
        used += whole;
        at += some;
    }
    return used;
}

static uint8_t stream_buf[512 * 1024], records_buf[1024 * 1024];
static sink sinks[2];

static const struct {
    tacet_role role;
    size_t step;
} cuts[] = { { TACET_ROLE_MAILBOX, 1 },    { TACET_ROLE_MAILBOX, 2 }, { TACET_ROLE_MAILBOX, 7 }, { TACET_ROLE_MAILBOX, 255 },
             { TACET_ROLE_MAILBOX, 4096 }, { TACET_ROLE_OPEN, 1 },    { TACET_ROLE_OPEN, 3 },    { TACET_ROLE_OPEN, 16384 } };
START_TEST(T15_every_cut_gives_the_same)
{
    size_t n = make_stream(stream_buf);
    const size_t steps[2] = { sizeof records_buf, cuts[_i].step };
    for (int k = 0; k < 2; k++) {
        peer p;
        wire w;
        memset(&sinks[k], 0, sizeof sinks[k]);
        peer_init(&p, cuts[_i].role);
        open_wire(&w, &p, &sinks[k], k ? steps[1] : TACET_M1_BYTES + 2);
        size_t bytes = make_records(&p, stream_buf, n, records_buf);
        ck_assert_int_eq(feed(&w, &p, &sinks[k], records_buf, bytes, steps[k]), TACET_E_AGAIN);
        ck_assert_uint_eq(sinks[k].count, FRAMES);
        ck_assert(wire_hungry(&w));
        ck_assert(w.item == NULL && w.kept == NULL && w.frames.buf == NULL && w.plain == NULL && w.ready == NULL); /* idle: no buffer */
        wire_free(&w);
        peer_free(&p);
    }
    ck_assert_uint_eq(sinks[0].used, n); /* 4 bytes of length each, as on the wire */
    ck_assert_uint_eq(sinks[1].used, n);
    ck_assert_mem_eq(sinks[0].frames, sinks[1].frames, n);
}
END_TEST

/* Preamble and first message may come in one piece. */
START_TEST(T15_coalesced_start)
{
    peer p;
    wire w;
    uint8_t bytes[8 + 2 + TACET_M1_BYTES];
    peer_init(&p, TACET_ROLE_OPEN);
    memset(&sinks[0], 0, sizeof sinks[0]);
    wire_init(&w);
    preamble_encode(bytes, TACET_WIRE_VERSION, TACET_ROLE_OPEN);
    size_t n = 8 + client_message(&p, bytes + 8);
    ck_assert_int_eq(feed(&w, &p, &sinks[0], bytes, n, n), TACET_E_AGAIN);
    ck_assert_int_eq(w.state, WIRE_OPEN);
    wire_free(&w);
    peer_free(&p);
}
END_TEST

/* A client need not wait after its last message: what it says next may come in the same piece, and store still has to say the keys. */
START_TEST(T15_records_behind_the_last_message_wait_for_the_keys)
{
    static const uint8_t stream[] = { 0, 0, 0, 1, 'x' };
    peer p;
    wire w;
    wire_item item;
    uint8_t bytes[TACET_PREAMBLE_BYTES + 2 + TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    size_t n = TACET_PREAMBLE_BYTES, whole = 0;
    peer_init(&p, TACET_ROLE_MAILBOX);
    memset(&sinks[0], 0, sizeof sinks[0]);
    wire_init(&w);
    preamble_encode(bytes, TACET_WIRE_VERSION, TACET_ROLE_MAILBOX);
    n += client_message(&p, bytes + n);
    ck_assert_int_eq(feed(&w, &p, &sinks[0], bytes, n, n), TACET_E_AGAIN);
    n = client_message(&p, bytes);
    ck_assert_int_eq(handshake_read(p.relay, bytes + 2, n - 2), TACET_OK);
    split_both(&p);
    ck_assert_int_eq(record_seal(&p.send, bytes + n, &whole, stream, sizeof stream), TACET_OK);
    wire_feed(&w, bytes, n + whole);
    ck_assert_int_eq(wire_next(&w, &item), TACET_OK);
    ck_assert(item.kind == WIRE_HANDSHAKE && item.bytes == n - 2);
    ck_assert_int_eq(wire_next(&w, &item), TACET_E_AGAIN);
    ck_assert_int_eq(wire_settle(&w), TACET_OK);
    memset(bytes, 0, sizeof bytes); /* the buffer is another connection's by now */
    ck_assert_int_eq(wire_keys(&w, p.relay_send, p.relay_receive), TACET_OK);
    ck_assert_int_eq(wire_next(&w, &item), TACET_OK);
    ck_assert(item.kind == WIRE_FRAME && item.bytes == 1 && item.at[0] == 'x');
    wire_free(&w);
    peer_free(&p);
}
END_TEST

static int feed_clear(wire *w, const uint8_t *bytes, size_t n)
{
    wire_item item;
    wire_feed(w, bytes, n);
    int rc = wire_next(w, &item);
    ck_assert_int_eq(wire_settle(w), TACET_OK);
    return rc;
}

START_TEST(T14_handshake_lengths_are_refused_at_the_header)
{
    for (unsigned n = 0; n <= UINT16_MAX; n += n < 2000 ? 1 : 61) {
        wire w;
        uint8_t bytes[10];
        wire_init(&w);
        preamble_encode(bytes, TACET_WIRE_VERSION, TACET_ROLE_MAILBOX);
        bytes[8] = (uint8_t)(n >> 8);
        bytes[9] = (uint8_t)n;
        int rc = feed_clear(&w, bytes, sizeof bytes);
        ck_assert_msg(rc == (n == TACET_M1_BYTES ? TACET_E_AGAIN : TACET_E_HANDSHAKE), "%u: %d", n, rc);
        ck_assert((w.item != NULL) == (n == TACET_M1_BYTES));
        wire_free(&w);
    }
}
END_TEST

START_TEST(T14_record_lengths_are_refused_at_the_header)
{
    static const unsigned bad[] = { 0, 1, 15, 16, 17, 255, 256, 271, 273, 65295, 65297, 65535 };
    for (size_t i = 0; i < ROWS(bad); i++) {
        peer p;
        wire w;
        peer_init(&p, TACET_ROLE_OPEN);
        open_wire(&w, &p, &sinks[0], 4096);
        const uint8_t head[2] = { (uint8_t)(bad[i] >> 8), (uint8_t)bad[i] };
        ck_assert_int_eq(feed_clear(&w, head, 2), TACET_E_TRANSPORT);
        ck_assert_ptr_null(w.item);
        ck_assert_int_eq(w.state, WIRE_BROKEN);
        wire_free(&w);
        peer_free(&p);
    }
}
END_TEST

START_TEST(T14_frame_lengths)
{
    static const struct {
        uint8_t head[4];
        int want;
    } row[] = { { { 0, 0, 0, 0 }, TACET_E_TRANSPORT },
                { { 0, 2, 0, 1 }, TACET_E_TRANSPORT },
                { { 0xff, 0xff, 0xff, 0xff }, TACET_E_TRANSPORT },
                { { 0, 2, 0, 0 }, TACET_E_AGAIN } };
    for (size_t i = 0; i < ROWS(row); i++) {
        peer p;
        wire w;
        size_t n = 0;
        peer_init(&p, TACET_ROLE_OPEN);
        open_wire(&w, &p, &sinks[0], 4096);
        ck_assert_int_eq(record_seal(&p.send, records_buf, &n, row[i].head, 4), TACET_OK);
        ck_assert_int_eq(feed_clear(&w, records_buf, n), row[i].want);
        ck_assert_uint_le(w.frames.room, 1024); /* a length alone reserves nothing */
        wire_free(&w);
        peer_free(&p);
    }
}
END_TEST

START_TEST(T11_records_before_the_third_message)
{
    peer p;
    wire w;
    uint8_t m[2 + TACET_HANDSHAKE_MESSAGE_MAX_BYTES], pre[8], record[300] = { 0x01, 0x10 };
    peer_init(&p, TACET_ROLE_MAILBOX);
    wire_init(&w);
    preamble_encode(pre, TACET_WIRE_VERSION, TACET_ROLE_MAILBOX);
    ck_assert_int_eq(feed(&w, &p, &sinks[0], pre, 8, 8), TACET_E_AGAIN);
    size_t n = client_message(&p, m);
    ck_assert_int_eq(feed(&w, &p, &sinks[0], m, n, n), TACET_E_AGAIN);
    ck_assert_int_eq(w.state, WIRE_THIRD);
    ck_assert_int_eq(wire_put(&w, record, 10), TACET_E_REFUSED); /* nor does anything go out */
    ck_assert_int_eq(feed_clear(&w, record, sizeof record), TACET_E_HANDSHAKE);
    wire_free(&w);
    peer_free(&p);
}
END_TEST

START_TEST(T11_keys_and_answers_only_when_due)
{
    peer p;
    wire w;
    const uint8_t key[32] = { 1 };
    peer_init(&p, TACET_ROLE_MAILBOX);
    wire_init(&w);
    ck_assert_int_eq(wire_keys(&w, key, key), TACET_E_REFUSED);
    ck_assert_int_eq(wire_answer(&w, key, 32), TACET_E_REFUSED);
    ck_assert(!wire_has_output(&w));
    wire_free(&w);
    open_wire(&w, &p, &sinks[0], 4096);
    ck_assert_int_eq(wire_keys(&w, key, key), TACET_E_REFUSED);
    ck_assert_int_eq(wire_answer(&w, key, 32), TACET_E_REFUSED);
    wire_free(&w);
    peer_free(&p);
}
END_TEST

START_TEST(T03_a_foreign_version_gets_the_answer)
{
    wire w;
    uint8_t *out = NULL, lowest = 0, highest = 0;
    size_t n = 0, stream = 0;
    wire_init(&w);
    ck_assert_int_eq(feed_clear(&w, (const uint8_t *)"tacet\x02\x01\x00", 8), TACET_E_VERSION);
    ck_assert_int_eq(wire_unsupported(&w), TACET_OK);
    ck_assert_int_eq(wire_take_output(&w, &out, &n, &stream), TACET_OK);
    ck_assert_uint_eq(n, 8);
    ck_assert(preamble_is_unsupported(out, &lowest, &highest));
    ck_assert_uint_eq(lowest, 1);
    ck_assert_uint_eq(highest, 1);
    free(out);
    wire_free(&w);
    wire_init(&w);
    ck_assert_int_eq(feed_clear(&w, (const uint8_t *)"GET / HT", 8), TACET_E_MALFORMED);
    wire_free(&w);
}
END_TEST

/* What is put goes out in as few records as hold whole frames, in pieces of bounded size, and comes out whole. */
START_TEST(output_is_coalesced_and_bounded)
{
    peer p;
    wire w;
    size_t put = 0, got = 0;
    peer_init(&p, TACET_ROLE_OPEN);
    open_wire(&w, &p, &sinks[0], 4096);
    for (int i = 0; i < 100; i++) {
        uint8_t piece[5000] = { 0, 0, (5000 - 4) >> 8, (5000 - 4) & 0xff };
        memset(piece + 4, i, sizeof piece - 4);
        ck_assert_int_eq(wire_put(&w, piece, sizeof piece), TACET_OK);
        put += sizeof piece;
    }
    for (int rounds = 0; wire_has_output(&w); rounds++) {
        uint8_t *out = NULL;
        const uint8_t *stream = NULL;
        size_t n = 0, sealed = 0, at = 0, whole = 0, stream_bytes = 0;
        ck_assert_int_le(rounds, 1);
        ck_assert_int_eq(wire_take_output(&w, &out, &n, &sealed), TACET_OK);
        ck_assert_uint_le(n, (size_t)RELAY_SEND_RECORDS * TACET_RECORD_MAX_BYTES);
        for (; at < n; at += whole) {
            ck_assert_int_eq(record_length(out + at, &whole), TACET_OK);
            ck_assert_int_eq(record_open(&p.receive, out + at, whole, &stream, &stream_bytes), TACET_OK);
            ck_assert_uint_eq(got % 5000, 0); /* a record begins where a frame does */
            for (size_t k = 0; k < stream_bytes; k++, got++)
                if (got % 5000 >= 4)
                    ck_assert_uint_eq(stream[k], got / 5000);
        }
        ck_assert_uint_eq(at, n);
        free(out);
    }
    ck_assert_uint_eq(got, put);
    ck_assert(w.plain == NULL && w.ready == NULL);
    ck_assert_int_eq(wire_put(&w, stream_buf, sizeof stream_buf), TACET_OK);
    for (int i = 0; i < 4; i++)
        if (wire_put(&w, stream_buf, sizeof stream_buf) == TACET_E_QUOTA)
            put = 0;
    ck_assert_uint_eq(put, 0);
    wire_free(&w);
    peer_free(&p);
}
END_TEST

SUITE("wire", LOOP(T15_every_cut_gives_the_same, ROWS(cuts)), TEST(T15_coalesced_start), TEST(T15_records_behind_the_last_message_wait_for_the_keys),
      TEST(T14_handshake_lengths_are_refused_at_the_header), TEST(T14_record_lengths_are_refused_at_the_header), TEST(T14_frame_lengths),
      TEST(T11_records_before_the_third_message), TEST(T11_keys_and_answers_only_when_due), TEST(T03_a_foreign_version_gets_the_answer),
      TEST(output_is_coalesced_and_bounded))
