/* Sessions that begin on both sides at once, get lost, or are restored from an old copy (R07, R24): they converge, and what can be read is read. */
#include "state.h"
#include "suite.h"
#include "world.h"
#include <string.h>

static char room[65536];

static int64_t contact_id(world *w, size_t who, const char *name)
{
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(w->person[who].e->vault, name, &c), TACET_OK);
    return c.id;
}

static void sending_session(world *w, size_t who, const char *name, uint8_t id[32], size_t *count)
{
    vault_session_head head[16];
    size_t chosen;
    ck_assert_int_eq(vault_session_heads(w->person[who].e->vault, contact_id(w, who, name), 1, head, 16, count), TACET_OK);
    ck_assert(session_choose(head, *count, &chosen));
    memcpy(id, head[chosen].id, 32);
}

static void check_converged(world *w, size_t a, size_t b)
{
    uint8_t one[32], two[32];
    size_t n, m;
    sending_session(w, a, "bob", one, &n);
    sending_session(w, b, "alice", two, &m);
    ck_assert_mem_eq(one, two, 32);
    ck_assert_uint_le(n, 5);
    ck_assert_uint_le(m, 5);
}

/* What both write from now on arrives. */
static void check_flows(world *w, size_t a, size_t b)
{
    for (int i = 0; i < 3; i++) {
        world_send(w, a, "bob", "now");
        world_send(w, b, "alice", "then");
        world_advance(w, 10000);
        ck_assert_ptr_nonnull(strstr(world_received(w, b, room, sizeof room), "now"));
        ck_assert_ptr_nonnull(strstr(world_received(w, a, room, sizeof room), "then"));
    }
}

/* The side begins a new session by itself, now. */
static void begin_anew(world *w, size_t who, const char *name)
{
    engine *e = w->person[who].e;
    vault_contact c;
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(vault_contact_by_alias(e->vault, name, &c), TACET_OK);
    c.reset_ms = 0;
    ck_assert_int_eq(vault_contact_update(e->vault, &c), TACET_OK);
    ck_assert_int_eq(reset_wanted(e, c.id), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    engine_tick(e);
    world_run(w);
}

static void talk(world *w, size_t a, size_t b, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        world_send(w, a, "bob", "ping");
        world_send(w, b, "alice", "pong");
        ck_assert_str_eq(world_received(w, b, room, sizeof room), "ping");
        ck_assert_str_eq(world_received(w, a, room, sizeof room), "pong");
    }
    world_advance(w, 10000);
    ck_assert_uint_eq(world_events(w, a, "quarantined") + world_events(w, b, "quarantined"), 0);
}

static void both_begin(world *w, size_t a, size_t b)
{
    w->hold = true;
    begin_anew(w, a, "bob");
    begin_anew(w, b, "alice");
}

START_TEST(R07_1_both_at_once)
{
    char link[512];
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    w->hold = true;
    json_decref(must(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link))));
    json_decref(must(w, b, "add", json_pack("{ss}", "target", world_link(w, a, link))));
    world_release(w);
    talk(w, a, b, 3);
    check_converged(w, a, b);
    world_free(w);
}
END_TEST

START_TEST(R07_2_both_at_once_and_one_is_lost)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    both_begin(w, a, b);
    world_account *box = world_account_of(w, b);
    box->box[box->boxed - 1].gone = true;
    world_release(w);
    talk(w, a, b, 3);
    check_converged(w, a, b);
    world_free(w);
}
END_TEST

/* The same with the contact requests themselves: one never arrives. */
START_TEST(R07_2_crossing_requests_and_one_is_lost)
{
    char link[512];
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    w->hold = true;
    json_decref(must(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link))));
    json_decref(must(w, b, "add", json_pack("{ss}", "target", world_link(w, a, link))));
    world_account_of(w, b)->box[0].gone = true;
    world_release(w);
    world_advance(w, 10000);
    world_send(w, b, "alice", "first");
    world_send(w, a, "bob", "second");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "first");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "gap|second"); /* the request counts */
    talk(w, a, b, 2);
    check_converged(w, a, b);
    world_free(w);
}
END_TEST

START_TEST(R07_3_both_at_once_then_a_message_is_lost)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    both_begin(w, a, b);
    world_release(w);
    w->hold = true;
    world_send(w, a, "bob", "lost");
    world_account *box = world_account_of(w, b);
    box->box[box->boxed - 1].gone = true;
    world_release(w);
    world_send(w, a, "bob", "kept");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "gap|kept");
    talk(w, a, b, 3);
    check_converged(w, a, b);
    world_free(w);
}
END_TEST

static size_t state_bytes(world *w, size_t who, const char *name)
{
    uint8_t id[32], one;
    size_t count, n = 0;
    sending_session(w, who, name, id, &count);
    ck_assert_int_eq(vault_session_state(w->person[who].e->vault, id, &one, 0, &n), TACET_E_QUOTA);
    return n;
}

/* The key of a message that never came leaves the vault after its time, although nobody uses the session any more. */
START_TEST(R11_old_keys_leave_the_vault)
{
    enum { SKIPPED_BYTES = 32 + 8 + 4 + 4 };
    size_t a, b;
    world *w = world_pair(&a, &b);
    talk(w, a, b, 1);
    w->hold = true;
    world_send(w, a, "bob", "lost");
    world_account *box = world_account_of(w, b);
    box->box[box->boxed - 1].gone = true;
    size_t without = state_bytes(w, b, "alice");
    world_release(w);
    world_send(w, a, "bob", "kept");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "gap|kept");
    ck_assert_uint_eq(state_bytes(w, b, "alice"), without + SKIPPED_BYTES);
    for (unsigned days = 0; days < 31; days++) {
        env_seeded_advance(&w->person[a].env, 86400000);
        env_seeded_advance(&w->person[b].env, 86400000);
        engine_tick(w->person[b].e);
        world_run(w);
        size_t now = state_bytes(w, b, "alice");
        ck_assert_uint_eq(now, days < 30 ? without + SKIPPED_BYTES : without);
    }
    talk(w, a, b, 1);
    world_free(w);
}
END_TEST

/* Which session is the newest must not hang on the draw of the ids: these two with many seeds. */
enum { SEEDS = 16 };

START_TEST(R07_4_both_at_once_again_and_again)
{
    size_t a, b;
    world_seed = (uint64_t)_i;
    world *w = world_pair(&a, &b);
    for (int i = 0; i < 8; i++) {
        both_begin(w, a, b);
        world_release(w);
    }
    talk(w, a, b, 3);
    check_converged(w, a, b);
    world_free(w);
}
END_TEST

START_TEST(R07_5_again_and_again_with_losses)
{
    size_t a, b;
    world_seed = (uint64_t)_i;
    world *w = world_pair(&a, &b);
    for (int i = 0; i < 8; i++) {
        both_begin(w, a, b);
        world_account *box = world_account_of(w, i % 2 ? a : b);
        box->box[box->boxed - 1].gone = true;
        world_release(w);
        world_send(w, i % 2 ? a : b, i % 2 ? "bob" : "alice", "m");
    }
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "m|m|m|m");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "m|m|m|m");
    talk(w, a, b, 3);
    check_converged(w, a, b);
    world_free(w);
}
END_TEST

START_TEST(R07_6_both_write_several_before_they_hear)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    both_begin(w, a, b);
    for (int i = 0; i < 4; i++) {
        world_send(w, a, "bob", "a");
        world_send(w, b, "alice", "b");
    }
    world_release(w);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "a|a|a|a");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "b|b|b|b");
    talk(w, a, b, 3);
    check_converged(w, a, b);
    world_free(w);
}
END_TEST

/* Five sessions from before the clock was set back must not push out the one that is made after it, which is the only one that both sides have. */
START_TEST(R07_7_the_clock_is_set_back)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_snapshot(w, b);
    for (int i = 0; i < 6; i++) {
        begin_anew(w, a, "bob");
        talk(w, a, b, 1);
    }
    world_restore(w, b);
    w->person[a].env.wall_ms -= 5 * 3600000ull;
    w->person[b].env.wall_ms = w->person[a].env.wall_ms;
    world_send(w, a, "bob", "can you read this?"); /* he cannot, and begins a new session */
    world_advance(w, 20000);
    world_received(w, b, room, sizeof room);
    check_flows(w, a, b);
    check_converged(w, a, b);
    world_free(w);
}
END_TEST

/* R24: bob comes back with an old copy of his vault. What cannot be read is shown, once a new session is made, and later messages flow. */
START_TEST(R24_one_side_restored_from_an_old_copy)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    talk(w, a, b, 2);
    world_snapshot(w, b);
    talk(w, a, b, 5);
    world_restore(w, b);
    world_run(w);
    world_send(w, a, "bob", "can you read this?");
    world_send(w, b, "alice", "from the past");
    world_advance(w, 20000);
    ck_assert_uint_ge(world_events(w, a, "session-reset") + world_events(w, b, "session-reset"), 1);
    ck_assert_uint_ge(world_events(w, a, "quarantined") + world_events(w, b, "quarantined"), 1);
    world_received(w, a, room, sizeof room);
    world_received(w, b, room, sizeof room);
    check_flows(w, a, b);
    ck_assert_uint_ge(world_events(w, a, "history-forked"), 1); /* bob's numbers came twice with other contents */
    check_converged(w, a, b);
    world_free(w);
}
END_TEST

/* What the restored side could not read, and nobody had confirmed, comes again in the new session and shows once. */
START_TEST(R24_unconfirmed_messages_come_again)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    talk(w, a, b, 2);
    world_snapshot(w, b);
    talk(w, a, b, 3);
    world_close(w, b);
    world_send(w, a, "bob", "unconfirmed 1");
    world_send(w, a, "bob", "unconfirmed 2");
    world_open(w, b);
    world_restore(w, b);
    world_advance(w, 20000);
    const char *got = world_received(w, b, room, sizeof room), *one = strstr(got, "unconfirmed 1"), *two = strstr(got, "unconfirmed 2");
    ck_assert_msg(one && two && one < two, "%s", got);
    ck_assert_ptr_null(strstr(one + 1, "unconfirmed 1"));
    world_free(w);
}
END_TEST

/* At most one new session an hour, however much garbage comes with the contact's token. */
START_TEST(R24_resets_are_rare)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(w->person[b].e->vault, "alice", &c), TACET_OK);
    world_envelope *v = calloc(1, sizeof *v);
    v->token_kind = TOKEN_DELIVERY;
    v->n = 600;
    memcpy(v->token_hash, c.our_hash, 32);
    for (int i = 0; i < 20; i++) {
        randombytes_buf(v->bytes, v->n);
        v->bytes[0] = 1;
        v->bytes[1] = 2;
        world_inject(w, b, v);
    }
    world_advance(w, 5000);
    ck_assert_uint_eq(world_events(w, b, "quarantined"), 20);
    ck_assert_uint_eq(world_events(w, b, "session-reset"), 1);
    world_advance(w, 3600000);
    v->bytes[5] ^= 1;
    world_inject(w, b, v);
    world_advance(w, 5000);
    ck_assert_uint_eq(world_events(w, b, "session-reset"), 2);
    world_send(w, a, "bob", "still here");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "still here");
    free(v);
    world_free(w);
}
END_TEST

static void inject_garbage(world *w, size_t who, const char *from)
{
    vault_contact c;
    world_envelope *v = calloc(1, sizeof *v);
    ck_assert_int_eq(vault_contact_by_alias(w->person[who].e->vault, from, &c), TACET_OK);
    v->token_kind = TOKEN_DELIVERY;
    v->n = 600;
    memcpy(v->token_hash, c.our_hash, 32);
    randombytes_buf(v->bytes, v->n);
    v->bytes[0] = 1;
    v->bytes[1] = 2;
    world_inject(w, who, v);
    free(v);
}

/* The envelope is acknowledged, the relay with the keys is away, and the other side says nothing more: the new session begins all the same, after a
 * while in this process (0) or at the start of the next one (1). */
START_TEST(R24_a_reset_that_cannot_begin_is_kept)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_advance(w, 2 * ENGINE_OPEN_IDLE_MS);
    w->cannot_open = true;
    for (int i = 0; i < 3; i++)
        inject_garbage(w, b, "alice");
    world_advance(w, 20000);
    ck_assert_uint_eq(world_events(w, b, "quarantined"), 3);
    ck_assert_uint_eq(world_events(w, b, "session-reset"), 0);
    if (_i) {
        world_close(w, b);
        w->cannot_open = false;
        world_open(w, b);
        world_advance(w, 1000);
    } else {
        w->cannot_open = false;
        world_advance(w, ENGINE_RESET_RETRY_MS);
    }
    ck_assert_uint_eq(world_events(w, b, "session-reset"), 1);
    ck_assert_uint_eq(world_events(w, a, "session-reset"), 1);
    inject_garbage(w, b, "alice");
    world_advance(w, 2 * ENGINE_RESET_RETRY_MS);
    ck_assert_uint_eq(world_events(w, b, "session-reset"), 1); /* the hour counts from the one that began */
    check_flows(w, a, b);
    world_free(w);
}
END_TEST

/* Somebody of whom no relay knows anything, with a reset that waits or content that does. */
static void add_lost(world *w, size_t who, uint8_t number, bool reset)
{
    engine *e = w->person[who].e;
    vault_contact c = { .state = VAULT_CONTACT_ACCEPTED, .has_theirs = true, .reset_wanted = reset };
    vault_outgoing o = { .what = VAULT_OUT_MESSAGE, .state = VAULT_OUT_CONTENT, .device = 1, .expires_ms = INT64_MAX, .content = { &number, 1 } };
    snprintf(c.alias, sizeof c.alias, "lost%u", number);
    snprintf(c.name, sizeof c.name, "lost");
    text_put(c.relay, sizeof c.relay, w->relay_text);
    memset(c.account, number, sizeof c.account);
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(vault_contact_add(e->vault, &c), TACET_OK);
    o.contact = c.id;
    if (!reset)
        ck_assert_int_eq(vault_out_add(e->vault, &o), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
}

/* More resets than are tried at a time, all of contacts whose relay has no answer: the one behind them has its turn. */
START_TEST(R24_resets_take_turns)
{
    world *w = world_new();
    size_t b = world_join(w, "bob"), a = 0;
    for (uint8_t i = 1; i <= ENGINE_RETRY_CONTACTS; i++)
        add_lost(w, b, i, true);
    a = world_join(w, "alice");
    world_befriend(w, a, b);
    world_advance(w, 2 * ENGINE_OPEN_IDLE_MS);
    w->cannot_open = true;
    inject_garbage(w, b, "alice");
    world_close(w, b);
    w->cannot_open = false;
    world_open(w, b);
    world_advance(w, 2 * ENGINE_LANE_RETRY_MS);
    ck_assert_uint_eq(world_events(w, b, "session-reset"), 1);
    ck_assert_uint_eq(world_events(w, a, "session-reset"), 1);
    check_flows(w, a, b);
    world_free(w);
}
END_TEST

/* Content that waits is asked for every half minute, and a reset no oftener for that. */
START_TEST(R24_resets_have_a_time_of_their_own)
{
    world *w = world_new();
    size_t b = world_join(w, "bob");
    add_lost(w, b, 1, true);
    add_lost(w, b, 2, false);
    world_close(w, b);
    world_open(w, b);
    world_advance(w, 10000);
    ck_assert_uint_eq(w->list_asks, 2);
    world_advance(w, ENGINE_RESET_RETRY_MS - 30000);
    ck_assert_uint_eq(w->list_asks, 2 + (ENGINE_RESET_RETRY_MS - 30000) / ENGINE_LANE_RETRY_MS);
    world_advance(w, 30000);
    ck_assert_uint_eq(w->list_asks, 3 + ENGINE_RESET_RETRY_MS / ENGINE_LANE_RETRY_MS);
    world_free(w);
}
END_TEST

/* Somebody who takes no message and says `reset` all the time: what we have for them is sealed anew once. */
START_TEST(R24_one_reset_in_a_session)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    talk(w, a, b, 1);
    world_account_of(w, a)->subscribed = false;
    for (int i = 0; i < 3; i++)
        world_send(w, b, "alice", "not taken");
    size_t sends = w->person[b].sends;
    content k = { .kind = CONTENT_CONTROL, .time_ms = w->person[a].env.wall_ms };
    k.control.what = CONTROL_RESET;
    for (int i = 0; i < 5; i++)
        world_say(w, a, "bob", &k, VAULT_OUT_PASSING);
    ck_assert_uint_eq(world_events(w, b, "session-reset"), 1);
    ck_assert_uint_eq(w->person[b].sends, sends + 3);
    begin_anew(w, a, "bob");
    ck_assert_uint_eq(world_events(w, b, "session-reset"), 2);
    world_free(w);
}
END_TEST

/* A new PQ epoch comes about in an ordinary conversation, also when one side only listens. */
START_TEST(pq_epochs_pass)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    for (int i = 0; i < 130; i++)
        world_send(w, a, "bob", "x");
    world_advance(w, 10000);
    world_send(w, b, "alice", "y");
    world_send(w, a, "bob", "z");
    world_advance(w, 10000);
    uint8_t id[32];
    size_t n;
    session *s = NULL;
    session_info info;
    sending_session(w, a, "bob", id, &n);
    ck_assert_int_eq(session_load(w->person[a].e, id, &s), TACET_OK);
    session_describe(s, &info);
    session_free(s);
    ck_assert_uint_ge(info.epoch, 1);
    ck_assert_uint_eq(world_events(w, a, "quarantined") + world_events(w, b, "quarantined"), 0);
    world_free(w);
}
END_TEST

/* PROTOCOL.md §4.4: which session sends. */
enum { NONE = 99 };
static const struct {
    const char *what;
    size_t count;
    struct {
        uint8_t id;
        bool initiator, answered, retired;
        uint64_t opened, sealed;
    } head[3];
    size_t want;
} choice[] = {
    { "the last that opened", 2, { { 1, true, true, false, 10, 4 }, { 2, false, false, false, 20, 3 } }, 1 },
    { "not the smaller id, once something was sealed in theirs", 2, { { 1, true, false, false, 0, 1 }, { 2, false, false, false, 20, 1 } }, 1 },
    { "both unanswered: ours is smaller", 2, { { 1, true, false, false, 0, 1 }, { 2, false, false, false, 20, 0 } }, 0 },
    { "both unanswered: theirs is smaller", 2, { { 3, true, false, false, 0, 1 }, { 2, false, false, false, 20, 0 } }, 1 },
    { "ours was answered, theirs is newer", 2, { { 1, true, true, false, 10, 1 }, { 2, false, false, false, 20, 0 } }, 1 },
    { "a retired one does not count", 2, { { 1, true, false, true, 0, 1 }, { 2, false, false, false, 20, 0 } }, 1 },
    { "only retired ones: none", 2, { { 5, true, true, true, 30, 1 }, { 2, true, true, true, 20, 1 } }, NONE },
    { "two of ours, none opened: the smaller", 2, { { 5, true, false, false, 0, 1 }, { 2, true, false, false, 0, 1 } }, 1 },
    { "of two smaller ones of ours the smallest",
      3,
      { { 4, true, false, false, 0, 1 }, { 2, true, false, false, 0, 0 }, { 9, false, false, false, 20, 0 } },
      1 },
};

START_TEST(R07_which_session_sends)
{
    vault_session_head h[3] = { 0 };
    size_t got = NONE;
    for (size_t i = 0; i < choice[_i].count; i++) {
        h[i] = (vault_session_head){ .device = 1,
                                     .initiator = choice[_i].head[i].initiator,
                                     .answered = choice[_i].head[i].answered,
                                     .retired = choice[_i].head[i].retired,
                                     .opened_ms = choice[_i].head[i].opened,
                                     .sealed = choice[_i].head[i].sealed };
        h[i].id[0] = choice[_i].head[i].id;
    }
    ck_assert(session_choose(h, choice[_i].count, &got) == (choice[_i].want != NONE));
    ck_assert_msg(got == choice[_i].want, "%s: %zu", choice[_i].what, got);
    ck_assert(!session_choose(h, 0, &got));
}
END_TEST

SUITE("sessions", LOOP(R07_which_session_sends, ROWS(choice)), TEST(R07_1_both_at_once), TEST(R07_2_both_at_once_and_one_is_lost),
      TEST(R07_2_crossing_requests_and_one_is_lost), TEST(R07_3_both_at_once_then_a_message_is_lost), TEST(R11_old_keys_leave_the_vault),
      LOOP(R07_4_both_at_once_again_and_again, SEEDS), LOOP(R07_5_again_and_again_with_losses, SEEDS), TEST(R07_7_the_clock_is_set_back),
      TEST(R07_6_both_write_several_before_they_hear), TEST(R24_one_side_restored_from_an_old_copy), TEST(R24_unconfirmed_messages_come_again),
      TEST(R24_resets_are_rare), LOOP(R24_a_reset_that_cannot_begin_is_kept, 2), TEST(R24_one_reset_in_a_session), TEST(R24_resets_take_turns),
      TEST(R24_resets_have_a_time_of_their_own), TEST(pq_epochs_pass))
