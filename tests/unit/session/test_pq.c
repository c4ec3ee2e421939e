/* The sparse post-quantum step: when it begins, what rides where, and that no loss stops it. */
#include "pair.h"
#include "state.h"

static uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
static size_t n;

/* Talks in turns until a step of `who` is due. */
static void talk_until_due(pair *p, session *who)
{
    for (int i = 0; i < 200 && !session_wants_carrier(who, p->env); i++) {
        pair_say(p, p->b, p->a, "b");
        if (!session_wants_carrier(who, p->env))
            pair_say(p, p->a, p->b, "a");
    }
    ck_assert(session_wants_carrier(who, p->env));
}

static uint32_t epoch_of(const session *s)
{
    session_info info;
    session_describe(s, &info);
    return info.epoch;
}

/* A field makes an envelope of a short message bigger: 256 without, 2,048 with. */
static bool carries(const envelope_bytes *e)
{
    size_t body = e->n - 2 - TACET_RATCHET_OVERHEAD_BYTES;
    ck_assert(body == 256 || body == 2048);
    return body == 2048;
}

START_TEST(begins_after_50_messages_and_only_then)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 1); /* 2 messages so far */
    for (int i = 2; i < 50; i++) {
        ck_assert_msg(!session_wants_carrier(p.a, p.env), "after %d messages", i);
        pair_seal(&p, i % 2 ? p.a : p.b, "x", 1, &e);
        ck_assert(!carries(&e));
        ck_assert_int_eq(pair_open(&p, i % 2 ? p.b : p.a, &e, plain, &n), TACET_OK);
    }
    ck_assert(session_wants_carrier(p.a, p.env));
    ck_assert(!session_wants_carrier(p.b, p.env)); /* epoch 1 is the initiator's to begin */
    pair_seal(&p, p.b, "x", 1, &e);
    ck_assert(!carries(&e));
    pair_seal(&p, p.a, "x", 1, &e);
    ck_assert(carries(&e));
    pair_free(&p);
}
END_TEST

START_TEST(begins_after_7_days_when_something_was_said)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 2);
    env_seeded_advance(&p.clock, 7 * DAY_MS - 1);
    ck_assert(!session_wants_carrier(p.a, p.env));
    env_seeded_advance(&p.clock, 1);
    ck_assert(session_wants_carrier(p.a, p.env));
    pair_say(&p, p.a, p.b, "ek");
    pair_say(&p, p.b, p.a, "ct");
    pair_say(&p, p.a, p.b, "in epoch 1");
    ck_assert_uint_eq(epoch_of(p.b), 1);
    env_seeded_advance(&p.clock, 30 * DAY_MS); /* nothing was said since: nothing to heal, nothing to send */
    ck_assert(!session_wants_carrier(p.a, p.env) && !session_wants_carrier(p.b, p.env));
    pair_seal(&p, p.b, "x", 1, &e);
    ck_assert(!carries(&e));
    ck_assert_int_eq(pair_open(&p, p.a, &e, plain, &n), TACET_OK);
    ck_assert(session_wants_carrier(p.b, p.env)); /* epoch 2 is the responder's */
    pair_free(&p);
}
END_TEST

START_TEST(an_initiator_without_an_answer_does_not_begin)
{
    pair p;
    envelope_bytes e;
    pair_new(&p, 3);
    pair_first(&p, true);
    for (int i = 0; i < 60; i++)
        pair_seal(&p, p.a, "x", 1, &e);
    ck_assert_uint_eq(e.n, TACET_FIRST_OVERHEAD_BYTES + TACET_RATCHET_OVERHEAD_BYTES + 256);
    ck_assert(!session_wants_carrier(p.a, p.env));
    pair_free(&p);
}
END_TEST

START_TEST(three_steps_make_an_epoch)
{
    pair p;
    pair_ready(&p, 4);
    for (uint32_t e = 1; e <= 4; e++) {
        session *k = e % 2 ? p.a : p.b, *c = e % 2 ? p.b : p.a;
        talk_until_due(&p, k);
        pair_say(&p, k, c, "ek");
        ck_assert_int_eq(k->core.pq.step, PQ_KEY_OUT);
        ck_assert_int_eq(c->core.pq.step, PQ_CT_OUT);
        ck_assert(session_wants_carrier(c, p.env)); /* if C has nothing to say, control does */
        pair_say(&p, c, k, "ct");
        ck_assert(!session_wants_carrier(c, p.env));
        ck_assert_int_eq(k->core.pq.step, PQ_SWITCHED);
        ck_assert(sodium_is_zero(k->core.pq.seed, sizeof k->core.pq.seed)); /* the private key has gone */
        ck_assert_uint_eq(epoch_of(k), e);
        ck_assert_uint_eq(epoch_of(c), e - 1); /* C waits for the first message in e */
        ck_assert(session_wants_carrier(k, p.env));
        pair_say(&p, k, c, "in e");
        ck_assert(!session_wants_carrier(k, p.env));
        ck_assert_uint_eq(epoch_of(c), e);
        ck_assert_int_eq(c->core.pq.step, PQ_IDLE);
        pair_say(&p, c, k, "in e");
        ck_assert_int_eq(k->core.pq.step, PQ_IDLE);
        ck_assert_mem_eq(k->core.pq.current, c->core.pq.current, 32);
        ck_assert_mem_eq(k->core.pq.previous, c->core.pq.previous, 32);
        ck_assert_mem_ne(k->core.pq.current, c->core.pq.previous, 32);
    }
    pair_free(&p);
}
END_TEST

START_TEST(field_rides_three_times_then_in_every_tenth)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 5);
    talk_until_due(&p, p.a);
    for (int i = 0; i < 40; i++) {
        pair_seal(&p, p.a, "x", 1, &e);
        ck_assert_msg(carries(&e) == (i < 3 || i == 12 || i == 22 || i == 32), "message %d", i);
    }
    ck_assert_int_eq(pair_open(&p, p.b, &e, plain, &n), TACET_OK);
    pair_seal(&p, p.a, "x", 1, &e);
    pair_seal(&p, p.a, "x", 1, &e);
    pair_seal(&p, p.a, "x", 1, &e);
    ck_assert(carries(&e));
    ck_assert_int_eq(pair_open(&p, p.b, &e, plain, &n), TACET_OK);
    uint8_t ct[TACET_KEM_CIPHERTEXT_BYTES];
    memcpy(ct, p.b->core.pq.field, sizeof ct);
    for (int i = 0; i < 20; i++) {
        pair_seal(&p, p.b, "x", 1, &e);
        ck_assert_msg(carries(&e) == (i < 3 || i == 12), "message %d", i);
        ck_assert_mem_eq(p.b->core.pq.field, ct, sizeof ct); /* encapsulated once */
    }
    pair_free(&p);
}
END_TEST

/* R17: `drop` is a bit for each of the next messages of K and of C from the moment that the step is due, K's in the even bits. */
START_TEST(R17_loss_at_each_state_of_the_step_heals)
{
    enum { BITS = 8 };
    for (unsigned epoch = 1; epoch <= 2; epoch++) {
        pair p;
        pair_ready(&p, 6);
        session **k = epoch == 1 ? &p.a : &p.b;
        if (epoch == 2) {
            talk_until_due(&p, p.a);
            for (int i = 0; i < 3; i++) {
                pair_say(&p, p.a, p.b, "a");
                pair_say(&p, p.b, p.a, "b");
            }
        }
        talk_until_due(&p, *k);
        uint8_t *bytes[2];
        size_t bytes_n[2] = { pair_export(p.a, &bytes[0]), pair_export(p.b, &bytes[1]) };
        for (unsigned drop = 0; drop < 1U << BITS; drop++) {
            session_free(p.a);
            session_free(p.b);
            ck_assert_int_eq(session_import(&p.a, p.arena, bytes[0], bytes_n[0]), TACET_OK);
            ck_assert_int_eq(session_import(&p.b, p.arena, bytes[1], bytes_n[1]), TACET_OK);
            session *from = *k, *to = *k == p.a ? p.b : p.a;
            unsigned done = 0;
            for (unsigned i = 0; i < 60 && !done; i++) {
                envelope_bytes e;
                pair_seal(&p, from, &i, sizeof i, &e);
                if (i >= BITS || !(drop >> i & 1))
                    ck_assert_msg(pair_open(&p, to, &e, plain, &n) == TACET_OK, "drop %x, message %u", drop, i);
                session *turn = from;
                from = to;
                to = turn;
                done = p.a->core.pq.epoch == epoch && p.b->core.pq.epoch == epoch ? i : 0;
            }
            ck_assert_msg(done, "drop %x: no epoch %u", drop, epoch);
            ck_assert_mem_eq(p.a->core.pq.current, p.b->core.pq.current, 32);
        }
        free(bytes[0]);
        free(bytes[1]);
        pair_free(&p);
    }
}
END_TEST

START_TEST(R17_half_of_all_messages_lost_and_it_still_moves)
{
    pair p;
    envelope_bytes e;
    uint8_t coin;
    pair_ready(&p, 7);
    for (int i = 0; i < 4000; i++) {
        session *from = i % 2 ? p.a : p.b, *to = i % 2 ? p.b : p.a;
        pair_seal(&p, from, "x", 1, &e);
        env_random(p.env, &coin, 1);
        if (coin & 1)
            ck_assert_int_eq(pair_open(&p, to, &e, plain, &n), TACET_OK);
    }
    ck_assert_uint_ge(epoch_of(p.a), 20);
    ck_assert_uint_le(p.a->core.pq.epoch > p.b->core.pq.epoch ? p.a->core.pq.epoch - p.b->core.pq.epoch : p.b->core.pq.epoch - p.a->core.pq.epoch, 1);
    pair_free(&p);
}
END_TEST

static void next_epoch(pair *p)
{
    uint32_t e = epoch_of(p->a) + 1;
    session *k = e % 2 ? p->a : p->b, *c = e % 2 ? p->b : p->a;
    talk_until_due(p, k);
    pair_say(p, k, c, "ek");
    pair_say(p, c, k, "ct");
    pair_say(p, k, c, "in e");
    pair_say(p, c, k, "in e");
}

START_TEST(late_messages_of_the_epoch_before_open_until_the_next_or_30_days)
{
    pair p;
    envelope_bytes late[3], e;
    pair_ready(&p, 8);
    for (int i = 0; i < 3; i++)
        pair_seal(&p, p.a, "late", 4, &late[i]); /* epoch 0 */
    pair_say(&p, p.a, p.b, "there");
    next_epoch(&p);
    ck_assert_int_eq(pair_open(&p, p.b, &late[0], plain, &n), TACET_OK);
    if (_i == 0) {
        next_epoch(&p); /* epoch 2 is confirmed: PQ_0 is gone, though the EC key is there */
        ck_assert(p.b->skipped.count >= 2);
        ck_assert_int_eq(pair_open(&p, p.b, &late[1], plain, &n), TACET_E_FORGED);
    } else {
        env_seeded_advance(&p.clock, 15 * DAY_MS);
        pair_seal(&p, p.b, "in epoch 1", 10, &e);
        ck_assert_int_eq(pair_open(&p, p.b, &late[1], plain, &n), TACET_OK);
        /* the key's own 30 days run from when it was skipped; the epoch's from its confirmation */
        p.b->skipped.key[0].since_ms += 40 * DAY_MS;
        env_seeded_advance(&p.clock, 16 * DAY_MS);
        ck_assert_int_eq(pair_open(&p, p.b, &late[2], plain, &n), TACET_E_FORGED);
        session_expire(p.b, p.env);
        ck_assert(!p.b->core.pq.has_previous);
        ck_assert(sodium_is_zero(p.b->core.pq.previous, 32));
        ck_assert_int_eq(pair_open(&p, p.a, &e, plain, &n), TACET_OK);
    }
    pair_free(&p);
}
END_TEST

static const struct {
    const char *what;
    enum pq_field_kind kind;
    uint32_t epoch;
    bool good_key;
    int want;
    enum pq_step then;
} field_row[] = {
    { "a key for the next epoch", PQ_FIELD_KEY, 1, true, TACET_OK, PQ_CT_OUT },
    { "a key that FIPS 203 refuses", PQ_FIELD_KEY, 1, false, TACET_E_FORGED, PQ_IDLE },
    { "a key for this epoch", PQ_FIELD_KEY, 0, true, TACET_OK, PQ_IDLE },
    { "a key for the one after the next", PQ_FIELD_KEY, 2, true, TACET_OK, PQ_IDLE },
    { "a ciphertext that answers nothing", PQ_FIELD_CT, 1, true, TACET_OK, PQ_IDLE },
};

/* What Alice's end puts into the next message is laid into her state by hand, as a peer that keeps other rules would. */
START_TEST(field_of_another_epoch_is_ignored_a_bad_key_refused)
{
    pair p;
    pair_ready(&p, 9);
    pq_field field = { .kind = field_row[_i].kind, .epoch = field_row[_i].epoch, .bytes = p.alice.kem };
    uint8_t bad[TACET_KEM_KEY_BYTES];
    memset(bad, 0xff, sizeof bad);
    if (!field_row[_i].good_key)
        field.bytes = bad;
    pq_state state = p.b->core.pq;
    pq_side bob = core_side(&p.b->core);
    ck_assert_int_eq(pq_after_open(&state, p.env, &bob, 0, &field), field_row[_i].want);
    if (field_row[_i].want == TACET_OK)
        ck_assert_msg(state.step == field_row[_i].then, "%s", field_row[_i].what);
    /* the side whose turn it is takes no key for its own epoch */
    state = p.a->core.pq;
    pq_side alice = core_side(&p.a->core);
    field.bytes = p.bob.kem;
    ck_assert_int_eq(pq_after_open(&state, p.env, &alice, 0, &field), TACET_OK);
    ck_assert_int_eq(state.step, PQ_IDLE);
    pair_free(&p);
}
END_TEST

START_TEST(a_refused_key_leaves_the_whole_session_as_it_was)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 10);
    talk_until_due(&p, p.a);
    pair_seal(&p, p.a, "x", 1, &e); /* makes the key */
    memset(p.a->core.pq.field, 0xff, TACET_KEM_KEY_BYTES);
    pair_seal(&p, p.a, "content", 7, &e);
    uint8_t *before, *after;
    size_t n_before = pair_export(p.b, &before);
    n = 4711;
    ck_assert_int_eq(pair_open(&p, p.b, &e, plain, &n), TACET_E_FORGED);
    ck_assert_uint_eq(n, 4711);
    ck_assert_uint_eq(pair_export(p.b, &after), n_before);
    ck_assert_mem_eq(before, after, n_before);
    free(before);
    free(after);
    pair_free(&p);
}
END_TEST

START_TEST(R22_tampered_ciphertext_of_a_step_stays_in_its_epoch)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 11);
    talk_until_due(&p, p.a);
    pair_say(&p, p.a, p.b, "ek");
    p.b->core.pq.field[5] ^= 1; /* implicit rejection: Alice finds another secret, and no message in epoch 1 will open */
    pair_say(&p, p.b, p.a, "ct");
    pair_seal(&p, p.a, "in another epoch 1", 18, &e);
    ck_assert_int_eq(pair_open(&p, p.b, &e, plain, &n), TACET_E_FORGED);
    pair_free(&p);
}
END_TEST

SUITE("pq", TEST(begins_after_50_messages_and_only_then), TEST(begins_after_7_days_when_something_was_said),
      TEST(an_initiator_without_an_answer_does_not_begin), TEST(three_steps_make_an_epoch), TEST(field_rides_three_times_then_in_every_tenth),
      TEST(R17_loss_at_each_state_of_the_step_heals), TEST(R17_half_of_all_messages_lost_and_it_still_moves),
      LOOP(late_messages_of_the_epoch_before_open_until_the_next_or_30_days, 2),
      LOOP(field_of_another_epoch_is_ignored_a_bad_key_refused, ROWS(field_row)), TEST(a_refused_key_leaves_the_whole_session_as_it_was),
      TEST(R22_tampered_ciphertext_of_a_step_stays_in_its_epoch))
