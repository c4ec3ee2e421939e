/* The client's end of a connection against a relay's end in the same process, and against everything that stands between them. */
#include "engine/wire.h"
#include "responder.h"

static env_seeded clock_and_dice;
static secret_arena *arena;
static uint8_t relay_secret[32], relay_key[32], client_secret[32], client_key[32];

/* What the client saw. */
static struct {
    unsigned ups, frames;
    size_t total, last;
    wire *close_at_frame, *answer;
} seen;

static void on_up(void *ctx)
{
    ck_assert_ptr_eq(ctx, &seen);
    ck_assert_uint_eq(seen.frames, 0);
    seen.ups++;
}

static void on_frame(void *ctx, const uint8_t *bytes, size_t n)
{
    ck_assert_ptr_eq(ctx, &seen);
    ck_assert_uint_eq(seen.ups, 1);
    seen.frames++;
    seen.total += n;
    seen.last = n;
    ck_assert_msg(is_row(bytes, n), "frame %u", seen.frames);
    if (seen.answer)
        ck_assert_int_eq(wire_send(seen.answer, bytes, n), TACET_OK);
    if (seen.close_at_frame)
        wire_close(seen.close_at_frame);
}

static wire *client(tacet_role role)
{
    if (!arena) {
        env_seeded_init(&clock_and_dice, 42, UINT64_C(1700000000000));
        ck_assert_int_eq(secret_arena_new(&arena, 4096), TACET_OK);
        for (size_t i = 0; i < 32; i++) {
            relay_secret[i] = (uint8_t)(i + 1);
            client_secret[i] = (uint8_t)(i + 77);
        }
        crypto_scalarmult_base(relay_key, relay_secret);
        crypto_scalarmult_base(client_key, client_secret);
    }
    memset(&seen, 0, sizeof seen);
    wire *w = NULL;
    wire_config c = { &clock_and_dice.env, arena, role, relay_key, role == TACET_ROLE_MAILBOX ? client_secret : NULL, on_up, on_frame, &seen };
    ck_assert_int_eq(wire_new(&w, &c), TACET_OK);
    return w;
}

static responder relay(void)
{
    responder r;
    responder_start(&r, &clock_and_dice.env, relay_secret);
    return r;
}

/* All that the client wants to send now, in pieces. */
static void client_to_relay(wire *w, responder *r, size_t piece)
{
    const uint8_t *at = NULL;
    for (size_t n = wire_output(w, &at); n; n = wire_output(w, &at)) {
        size_t some = n < piece ? n : piece;
        responder_receive(r, at, some);
        wire_sent(w, some);
    }
}

/* Every piece in a block of its own size: a sanitizer sees a read beyond it. */
static int relay_to_client(responder *r, wire *w, size_t piece)
{
    int rc = TACET_OK;
    for (size_t at = 0; at < r->out_bytes && rc == TACET_OK; at += piece) {
        size_t n = r->out_bytes - at < piece ? r->out_bytes - at : piece;
        uint8_t *block = malloc(n);
        memcpy(block, r->out + at, n);
        rc = wire_receive(w, block, n);
        free(block);
    }
    r->out_bytes = 0;
    return rc;
}

static void shake(wire *w, responder *r, size_t piece)
{
    client_to_relay(w, r, piece);
    ck_assert_int_eq(relay_to_client(r, w, piece), TACET_OK);
    client_to_relay(w, r, piece);
    ck_assert_int_eq(wire_state_of(w), WIRE_READY);
    ck_assert_int_eq(r->state, RESPONDER_UP);
    ck_assert_uint_eq(seen.ups, 1);
}

static uint8_t some_frame[TACET_FRAME_MAX_BYTES];

static const uint8_t *frame_of(uint8_t first)
{
    for (size_t i = 0; i < sizeof some_frame; i++)
        some_frame[i] = (uint8_t)(first + i);
    return some_frame;
}

static void done(wire *w, responder *r)
{
    wire_free(w);
    responder_end(r);
    ck_assert_uint_eq(secret_in_use(arena), 0);
}

/* ---- the good way -------------------------------------------------------------------------------------------------------------------- */

static const tacet_role roles[] = { TACET_ROLE_MAILBOX, TACET_ROLE_OPEN };

START_TEST(both_roles_come_up_and_carry_frames)
{
    wire *w = client(roles[_i]);
    responder r = relay();
    ck_assert_ptr_null(wire_handshake_hash(w));
    ck_assert_int_eq(wire_send(w, frame_of(3), 5), TACET_OK); /* waits for the handshake */
    shake(w, &r, SIZE_MAX);
    ck_assert_mem_eq(wire_handshake_hash(w), r.hash, sizeof r.hash);
    uint8_t nobody[32] = { 0 };
    ck_assert_mem_eq(r.client, roles[_i] == TACET_ROLE_MAILBOX ? client_key : nobody, 32);
    ck_assert_uint_eq(r.frame_count, 1);
    static const size_t length[] = { 1, 2, 255, 4096, 65274, 65275, 65278, 65279, TACET_FRAME_MAX_BYTES };
    size_t total = 5;
    for (size_t i = 0; i < ROWS(length); i++) {
        ck_assert_int_eq(wire_send(w, frame_of((uint8_t)i), length[i]), TACET_OK);
        responder_put_frame(&r, frame_of((uint8_t)i), length[i]);
        total += length[i];
    }
    client_to_relay(w, &r, SIZE_MAX);
    ck_assert_int_eq(relay_to_client(&r, w, SIZE_MAX), TACET_OK);
    ck_assert_uint_eq(r.frame_count, 1 + ROWS(length));
    ck_assert_uint_eq(r.frame_total, total);
    ck_assert_uint_eq(seen.frames, ROWS(length));
    ck_assert_uint_eq(seen.total, total - 5);
    done(w, &r);
}
END_TEST

START_TEST(small_frames_share_a_record)
{
    wire *w = client(TACET_ROLE_OPEN);
    responder r = relay();
    shake(w, &r, SIZE_MAX);
    for (unsigned i = 0; i < 200; i++)
        ck_assert_int_eq(wire_send(w, frame_of(7), 100), TACET_OK);
    client_to_relay(w, &r, SIZE_MAX);
    ck_assert_uint_eq(r.frame_count, 200);
    ck_assert_uint_eq(r.records_in, 1);
    done(w, &r);
}
END_TEST

START_TEST(a_callback_may_answer_and_may_close)
{
    wire *w = client(TACET_ROLE_OPEN);
    responder r = relay();
    shake(w, &r, SIZE_MAX);
    seen.answer = w;
    responder_put_frame(&r, frame_of(9), 10);
    ck_assert_int_eq(relay_to_client(&r, w, SIZE_MAX), TACET_OK);
    client_to_relay(w, &r, SIZE_MAX);
    ck_assert_uint_eq(r.frame_total, 10);
    seen.answer = NULL;
    seen.close_at_frame = w;
    uint8_t two[] = { 0, 0, 0, 1, 5, 0, 0, 0, 1, 6 };
    responder_put_record(&r, two, sizeof two);
    ck_assert_int_eq(relay_to_client(&r, w, SIZE_MAX), TACET_E_TRANSPORT);
    ck_assert_uint_eq(seen.frames, 2); /* not the one behind it */
    ck_assert_int_eq(wire_why(w), WIRE_END_LOCAL);
    ck_assert_ptr_null(wire_handshake_hash(w));
    done(w, &r);
}
END_TEST

START_TEST(T15_every_piece_size)
{
    static const size_t more[] = { 273, 274, 275, 1153, 1154, 1155, 1249, 1250, 1251, 1258, 4000, 65297, 65298, 65299 };
    for (size_t piece = 1; piece < 40 + ROWS(more); piece++) {
        size_t size = piece < 40 ? piece : more[piece - 40];
        wire *w = client(roles[piece & 1]);
        responder r = relay();
        shake(w, &r, size);
        ck_assert_int_eq(wire_send(w, frame_of(1), 300), TACET_OK);
        ck_assert_int_eq(wire_send(w, frame_of(2), 70000), TACET_OK);
        responder_put_frame(&r, frame_of(3), 300);
        responder_put_record(&r, NULL, 0);
        responder_put_frame(&r, frame_of(4), 70000);
        client_to_relay(w, &r, size);
        ck_assert_int_eq(relay_to_client(&r, w, size), TACET_OK);
        ck_assert_uint_eq(r.frame_total, 70300);
        ck_assert_uint_eq(seen.frames, 2);
        ck_assert_uint_eq(seen.total, 70300);
        done(w, &r);
    }
}
END_TEST

/* Handshake answer and the first records in one piece, cut at every byte into two. */
START_TEST(T15_every_split_in_two)
{
    wire *probe = client(TACET_ROLE_OPEN);
    responder p = relay();
    client_to_relay(probe, &p, SIZE_MAX);
    responder_put_frame(&p, frame_of(3), 20);
    size_t all = p.out_bytes;
    done(probe, &p);
    for (size_t cut = 0; cut <= all; cut++) {
        wire *w = client(TACET_ROLE_OPEN);
        responder r = relay();
        client_to_relay(w, &r, SIZE_MAX);
        responder_put_frame(&r, frame_of(3), 20); /* the relay of role 2 may speak right behind its message */
        ck_assert_uint_eq(r.out_bytes, all);
        ck_assert_int_eq(wire_receive(w, r.out, cut), TACET_OK);
        ck_assert_int_eq(wire_receive(w, r.out + cut, all - cut), TACET_OK);
        ck_assert_uint_eq(seen.total, 20);
        done(w, &r);
    }
}
END_TEST

/* ---- T03: the clear bytes --------------------------------------------------------------------------------------------------------------- */

/* Somebody edits the preamble on the way. Whatever the relay makes of it, this client does not come up and says nothing more. */
START_TEST(T03_edited_preamble)
{
    for (size_t bit = 0; bit < 8 * TACET_PREAMBLE_BYTES; bit++) {
        wire *w = client(roles[_i]);
        responder r = relay();
        const uint8_t *at = NULL;
        size_t n = wire_output(w, &at);
        uint8_t *edited = malloc(n);
        memcpy(edited, at, n);
        edited[bit / 8] ^= (uint8_t)(1 << bit % 8);
        responder_receive(&r, edited, n);
        wire_sent(w, n);
        free(edited);
        ck_assert_int_eq(r.state, RESPONDER_CLOSED);
        int rc = relay_to_client(&r, w, SIZE_MAX);
        wire_peer_closed(w);
        bool version = bit / 8 == 5;
        ck_assert_int_eq(rc, version ? TACET_E_HANDSHAKE : TACET_OK);
        ck_assert_int_eq(wire_why(w), version ? WIRE_END_VERSION : WIRE_END_CLOSED_EARLY);
        ck_assert_uint_eq(wire_output(w, &at), 0);
        ck_assert_uint_eq(seen.ups, 0);
        done(w, &r);
    }
}
END_TEST

START_TEST(T03_forged_unsupported)
{
    uint8_t forged[TACET_PREAMBLE_BYTES];
    preamble_unsupported(forged, 2, 9);
    for (size_t cut = 0; cut <= sizeof forged; cut++) {
        wire *w = client(TACET_ROLE_MAILBOX);
        responder r = relay();
        const uint8_t *at = NULL;
        client_to_relay(w, &r, SIZE_MAX);
        int first = wire_receive(w, forged, cut);
        ck_assert_int_eq(first, cut < sizeof forged ? TACET_OK : TACET_E_HANDSHAKE);
        if (cut < sizeof forged)
            ck_assert_int_eq(wire_receive(w, forged + cut, sizeof forged - cut), TACET_E_HANDSHAKE);
        uint8_t lowest = 0, highest = 0;
        wire_versions(w, &lowest, &highest);
        ck_assert_int_eq(wire_why(w), WIRE_END_VERSION);
        ck_assert(lowest == 2 && highest == 9);
        ck_assert_uint_eq(wire_output(w, &at), 0);                             /* no other version, no second try on this connection */
        ck_assert_int_eq(relay_to_client(&r, w, SIZE_MAX), TACET_E_TRANSPORT); /* the genuine answer comes too late */
        ck_assert_uint_eq(seen.ups, 0);
        done(w, &r);
    }
    wire *w = client(TACET_ROLE_MAILBOX);
    responder r = relay();
    shake(w, &r, SIZE_MAX);
    ck_assert_int_eq(wire_receive(w, forged, sizeof forged), TACET_E_TRANSPORT); /* now it is the head of a record that cannot be */
    ck_assert_int_eq(wire_why(w), WIRE_END_BROKEN);
    done(w, &r);
}
END_TEST

/* ---- T04: not the relay --------------------------------------------------------------------------------------------------------------- */

enum { BEFORE_M3 = TACET_PREAMBLE_BYTES + 2 + TACET_M1_BYTES };

/* Counts every byte that the client is willing to send after `answer`. */
static size_t sent_after(wire *w, const uint8_t *answer, size_t n)
{
    const uint8_t *at = NULL;
    size_t sent = wire_output(w, &at);
    wire_sent(w, sent);
    ck_assert_int_eq(wire_receive(w, answer, n), TACET_E_HANDSHAKE);
    ck_assert_int_eq(wire_why(w), WIRE_END_WRONG_KEY);
    for (size_t more = wire_output(w, &at); more; more = wire_output(w, &at)) {
        sent += more;
        wire_sent(w, more);
    }
    return sent;
}

START_TEST(T04_another_key_closes)
{
    wire *w = client(TACET_ROLE_MAILBOX);
    uint8_t other[32] = { 99 };
    responder r;
    responder_start(&r, &clock_and_dice.env, other);
    client_to_relay(w, &r, SIZE_MAX);
    ck_assert_int_eq(r.state, RESPONDER_CLOSED); /* it cannot read m1 */
    ck_assert_uint_eq(r.out_bytes, 0);
    wire_peer_closed(w);
    ck_assert_int_eq(wire_why(w), WIRE_END_CLOSED_EARLY);
    done(w, &r);
}
END_TEST

START_TEST(T04_m3_is_never_sent_to_another_key)
{
    wire *w = client(TACET_ROLE_MAILBOX), *victim = client(TACET_ROLE_MAILBOX);
    responder r = relay();
    uint8_t made_up[2 + TACET_M2_BYTES] = { TACET_M2_BYTES >> 8, TACET_M2_BYTES & 255 };
    randombytes_buf(made_up + 2, TACET_M2_BYTES);
    ck_assert_uint_eq(sent_after(w, made_up, sizeof made_up), BEFORE_M3);
    wire_free(w);
    client_to_relay(victim, &r, SIZE_MAX); /* a genuine answer, but to another client */
    w = client(TACET_ROLE_MAILBOX);
    ck_assert_uint_eq(sent_after(w, r.out, r.out_bytes), BEFORE_M3);
    wire_free(victim);
    done(w, &r);
}
END_TEST

START_TEST(T04_every_byte_of_the_answer_counts)
{
    for (size_t i = 0; i < 2 + TACET_M2_BYTES; i += i < 40 ? 1 : 13) {
        wire *w = client(TACET_ROLE_MAILBOX);
        responder r = relay();
        const uint8_t *at = NULL;
        size_t n = wire_output(w, &at);
        responder_receive(&r, at, n);
        r.out[i] ^= 1;
        uint8_t behind[2048] = { 0 }; /* so that a longer length finds its bytes */
        responder_put(&r, behind, sizeof behind);
        ck_assert_uint_eq(sent_after(w, r.out, r.out_bytes), BEFORE_M3);
        ck_assert_uint_eq(seen.ups, 0);
        done(w, &r);
    }
}
END_TEST

START_TEST(another_service_is_not_waited_for)
{
    static const char *const greeting[] = { "HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "tables turned", "tacet\1\1\0" };
    for (size_t i = 0; i < ROWS(greeting); i++) {
        wire *w = client(TACET_ROLE_OPEN);
        ck_assert_int_eq(wire_receive(w, (const uint8_t *)greeting[i], i == 3 ? 8 : strlen(greeting[i])), TACET_E_HANDSHAKE);
        ck_assert_int_eq(wire_why(w), WIRE_END_WRONG_KEY);
        wire_free(w);
    }
}
END_TEST

/* ---- T08: records -------------------------------------------------------------------------------------------------------------------------- */

/* Four records, each with a frame of its own length; `script` says which are carried, a capital letter cuts that one short. */
static const struct {
    const char *what, *script;
    unsigned good; /* frames before the fault */
    wire_end why;  /* WIRE_END_NONE: none yet */
} man[] = {
    { "as sent", "abcd", 4, WIRE_END_NONE },
    { "first dropped", "bcd", 0, WIRE_END_BROKEN },
    { "one dropped", "acd", 1, WIRE_END_BROKEN },
    { "last dropped", "abc", 3, WIRE_END_NONE }, /* unseen until the next record */
    { "two swapped", "acbd", 1, WIRE_END_BROKEN },
    { "all turned round", "dcba", 0, WIRE_END_BROKEN },
    { "first repeated", "aabcd", 1, WIRE_END_BROKEN },
    { "last repeated", "abcdd", 4, WIRE_END_BROKEN },
    { "an old one again", "abcda", 4, WIRE_END_BROKEN },
    { "cut short, more behind", "aBcd", 1, WIRE_END_BROKEN },
    { "cut short at the end", "abcD", 3, WIRE_END_NONE },
};

START_TEST(T08_drop_swap_duplicate_truncate)
{
    wire *w = client(TACET_ROLE_MAILBOX);
    responder r = relay();
    shake(w, &r, SIZE_MAX);
    size_t start[5] = { 0 };
    for (size_t i = 0; i < 4; i++) {
        responder_put_frame(&r, frame_of((uint8_t)i), 10 + i);
        start[i + 1] = r.out_bytes;
    }
    int rc = TACET_OK;
    for (const char *c = man[_i].script; *c && rc == TACET_OK; c++) {
        size_t i = (size_t)((*c | 32) - 'a'), n = start[i + 1] - start[i] - (*c < 'a');
        rc = wire_receive(w, r.out + start[i], n);
    }
    ck_assert_int_eq(rc, man[_i].why == WIRE_END_NONE ? TACET_OK : TACET_E_TRANSPORT);
    ck_assert_msg(wire_why(w) == man[_i].why, "%s: %s", man[_i].what, wire_end_word(wire_why(w)));
    ck_assert_msg(seen.frames == man[_i].good, "%s: %u frames", man[_i].what, seen.frames);
    unsigned before = seen.frames;
    if (man[_i].why == WIRE_END_NONE) {
        wire_peer_closed(w);
        ck_assert_int_eq(wire_why(w), WIRE_END_CLOSED);
    }
    ck_assert_int_eq(wire_receive(w, r.out, start[1]), TACET_E_TRANSPORT); /* it stays broken */
    ck_assert_int_eq(wire_send(w, frame_of(0), 5), TACET_E_TRANSPORT);
    ck_assert_uint_eq(seen.frames, before);
    done(w, &r);
}
END_TEST

START_TEST(T08_every_byte_of_a_record_counts)
{
    for (size_t i = 0; i < 274; i++) {
        wire *w = client(TACET_ROLE_OPEN);
        responder r = relay();
        shake(w, &r, SIZE_MAX);
        responder_put_frame(&r, frame_of(1), 30);
        ck_assert_uint_eq(r.out_bytes, 274);
        r.out[i] ^= 0x80;
        uint8_t behind[66000] = { 0 };
        responder_put(&r, behind, sizeof behind);
        ck_assert_int_eq(relay_to_client(&r, w, SIZE_MAX), TACET_E_TRANSPORT);
        ck_assert_int_eq(wire_why(w), WIRE_END_BROKEN);
        ck_assert_uint_eq(seen.frames, 0);
        done(w, &r);
    }
}
END_TEST

/* A relay that seals nonsense itself. */
START_TEST(lying_frame_lengths)
{
    static const uint8_t lie[][4] = { { 0, 0, 0, 0 }, { 0, 2, 0, 1 }, { 0xff, 0xff, 0xff, 0xff } };
    for (size_t i = 0; i < ROWS(lie); i++) {
        wire *w = client(TACET_ROLE_OPEN);
        responder r = relay();
        shake(w, &r, SIZE_MAX);
        responder_put_record(&r, lie[i], 4);
        ck_assert_int_eq(relay_to_client(&r, w, SIZE_MAX), TACET_E_TRANSPORT);
        ck_assert_int_eq(wire_why(w), WIRE_END_BROKEN);
        done(w, &r);
    }
}
END_TEST

/* ---- time and bounds ----------------------------------------------------------------------------------------------------------------------- */

START_TEST(deadlines)
{
    wire *w = client(TACET_ROLE_OPEN);
    responder r = relay();
    const uint8_t *at = NULL;
    ck_assert_uint_eq(wire_deadline(w), UINT64_MAX); /* nobody is connected yet */
    wire_output(w, &at);
    ck_assert_uint_eq(wire_deadline(w), env_mono_ms(&clock_and_dice.env) + 5000);
    env_seeded_advance(&clock_and_dice, 4999);
    wire_on_time(w);
    ck_assert_int_eq(wire_state_of(w), WIRE_HANDSHAKE);
    env_seeded_advance(&clock_and_dice, 1);
    wire_on_time(w);
    ck_assert_int_eq(wire_why(w), WIRE_END_DEADLINE);
    ck_assert_uint_eq(wire_deadline(w), UINT64_MAX);
    wire_free(w);
    w = client(TACET_ROLE_OPEN);
    shake(w, &r, SIZE_MAX);
    env_seeded_advance(&clock_and_dice, UINT64_C(86400000) - 1);
    wire_on_time(w);
    ck_assert_int_eq(wire_state_of(w), WIRE_READY);
    env_seeded_advance(&clock_and_dice, 1);
    wire_on_time(w);
    ck_assert_int_eq(wire_why(w), WIRE_END_AGE);
    done(w, &r);
}
END_TEST

START_TEST(the_queue_has_an_end)
{
    wire *w = client(TACET_ROLE_OPEN);
    responder r = relay();
    unsigned queued = 0;
    int rc = TACET_OK;
    while ((rc = wire_send(w, frame_of(1), 4096)) == TACET_OK)
        queued++;
    ck_assert_int_eq(rc, TACET_E_AGAIN);
    ck_assert_uint_eq(queued, TACET_WIRE_QUEUE_MAX_BYTES / 4100);
    shake(w, &r, SIZE_MAX);
    ck_assert_uint_eq(r.frame_count, queued); /* each of those that were taken, whole */
    ck_assert_int_eq(wire_send(w, frame_of(1), 4096), TACET_OK);
    ck_assert_int_eq(wire_send(w, frame_of(1), 0), TACET_E_BUG);
    ck_assert_int_eq(wire_send(w, frame_of(1), TACET_FRAME_MAX_BYTES + 1), TACET_E_BUG);
    client_to_relay(w, &r, SIZE_MAX);
    ck_assert_uint_eq(r.frame_count, queued + 1);
    ck_assert(!wire_has_output(w));
    done(w, &r);
}
END_TEST

START_TEST(closing)
{
    wire *w = client(TACET_ROLE_OPEN);
    const uint8_t *at = NULL;
    wire_output(w, &at);
    wire_sent(w, 10);
    wire_peer_closed(w); /* before it can have read our first message: says nothing about its key */
    ck_assert_int_eq(wire_why(w), WIRE_END_CLOSED);
    wire_free(w);
    w = client(TACET_ROLE_OPEN);
    wire_close(w);
    wire_peer_closed(w);
    ck_assert_int_eq(wire_why(w), WIRE_END_LOCAL); /* the first reason stays */
    ck_assert(!wire_has_output(w));
    wire_free(w);
    uint8_t zero[32] = { 0 };
    wire_config c = { &clock_and_dice.env, arena, TACET_ROLE_OPEN, zero, NULL, on_up, on_frame, &seen };
    ck_assert_int_eq(wire_new(&w, &c), TACET_E_KEY); /* a relay key of small order */
    ck_assert_uint_eq(secret_in_use(arena), 0);
    ck_assert_str_eq(wire_end_word(WIRE_END_WRONG_KEY), "wrong-key");
    ck_assert_str_eq(wire_end_word((wire_end)99), "unknown");
}
END_TEST

SUITE("wire", LOOP(both_roles_come_up_and_carry_frames, ROWS(roles)), TEST(small_frames_share_a_record), TEST(a_callback_may_answer_and_may_close),
      TEST(T15_every_piece_size), TEST(T15_every_split_in_two), LOOP(T03_edited_preamble, ROWS(roles)), TEST(T03_forged_unsupported),
      TEST(T04_another_key_closes), TEST(T04_m3_is_never_sent_to_another_key), TEST(T04_every_byte_of_the_answer_counts),
      TEST(another_service_is_not_waited_for), LOOP(T08_drop_swap_duplicate_truncate, ROWS(man)), TEST(T08_every_byte_of_a_record_counts),
      TEST(lying_frame_lengths), TEST(deadlines), TEST(the_queue_has_an_end), TEST(closing))
