/* The outbox on its way, where rows become ready once more in the middle of it: by a reset, by a relay that was restored, by a link that cannot be opened. */
#include "state.h"
#include "suite.h"
#include "world_relay.h"
#include <string.h>

static char room[65536];

static size_t in_outbox(world *w, size_t who, const char *name, uint32_t state)
{
    vault_contact c;
    int64_t rows[64];
    size_t n = 0;
    engine *e = w->person[who].e;
    ck_assert_int_eq(vault_contact_by_alias(e->vault, name, &c), TACET_OK);
    ck_assert_int_eq(vault_out_rows(e->vault, c.id, state, 0, rows, 64, &n), TACET_OK);
    return n;
}

static void send_some(world *w, size_t from, const char *to, unsigned first, unsigned last)
{
    char text[8];
    for (unsigned i = first; i <= last; i++) {
        snprintf(text, sizeof text, "m%u", i);
        world_send(w, from, to, text);
    }
}

/* bob is put back to before what alice and he wrote last: he opens nothing of hers, and resets. */
static world *with_old_copy(size_t *a, size_t *b)
{
    world *w = world_pair(a, b);
    world_snapshot(w, *b);
    for (int i = 0; i < 4; i++) {
        world_send(w, *a, "bob", "ping");
        world_send(w, *b, "alice", "pong");
    }
    world_advance(w, 10000);
    world_restore(w, *b);
    world_run(w);
    world_received(w, *b, room, sizeof room);
    ck_assert_uint_eq(in_outbox(w, *a, "bob", VAULT_OUT_READY) + in_outbox(w, *a, "bob", VAULT_OUT_STORED), 0);
    return w;
}

/* R24: the relay has the old bytes and has not said so yet, when bob's reset makes new ones of them: what it says then is not about those. */
START_TEST(R24_reset_while_envelopes_are_under_way)
{
    size_t a, b;
    world *w = with_old_copy(&a, &b);
    w->late_for = a + 1;
    w->hold = true;
    send_some(w, a, "bob", 1, 5);
    world_release(w);
    world_advance(w, 5000);
    ck_assert_uint_eq(w->late_count, 5);
    ck_assert_uint_eq(world_events(w, a, "session-reset"), 1);
    world_answer(w);
    world_advance(w, 10000);
    const char *got = world_received(w, b, room, sizeof room);
    ck_assert_msg(strstr(got, "m1|m2|m3|m4|m5") != NULL, "%s", got);
    ck_assert_uint_eq(in_outbox(w, a, "bob", VAULT_OUT_READY) + in_outbox(w, a, "bob", VAULT_OUT_STORED), 0);
    world_free(w);
}
END_TEST

/* The same when it has said so, and that is not written down yet. */
START_TEST(R24_reset_before_what_the_relay_took_is_written_down)
{
    size_t a, b;
    world *w = with_old_copy(&a, &b);
    engine *e = w->person[a].e;
    world_account_of(w, b)->subscribed = false; /* he is told nothing before the end */
    w->late_for = a + 1;
    world_send(w, a, "bob", "m1");
    vault_contact c;
    sent_row sent = e->lanes[0].sent[0];
    ck_assert_uint_eq(e->lanes[0].under_way, 1);
    e->stored[e->stored_count++] = sent; /* as its answer does */
    e->lanes[0].under_way = 0;
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(vault_contact_by_alias(e->vault, "bob", &c), TACET_OK);
    ck_assert_int_eq(outbox_seal_again(e, &c, 1, 0), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    outbox_flush_stored(e);
    ck_assert_uint_eq(in_outbox(w, a, "bob", VAULT_OUT_STORED), 0);
    ck_assert_uint_eq(in_outbox(w, a, "bob", VAULT_OUT_READY), 1);
    size_t sends = w->person[a].sends;
    w->late_for = 0;
    engine_tick(e);
    world_run(w);
    ck_assert_uint_eq(w->person[a].sends, sends + 1);
    ck_assert_uint_eq(in_outbox(w, a, "bob", VAULT_OUT_STORED), 1);
    world_free(w);
}
END_TEST

/* What the relay had is ready again while the lane is far behind it, with an envelope under way: it goes all the same, and nothing goes twice. */
START_TEST(a_restored_relay_gets_again_what_a_lane_has_passed)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_close(w, b);
    send_some(w, a, "bob", 1, 3);
    world_account *box = world_account_of(w, b);
    ck_assert_uint_eq(in_outbox(w, a, "bob", VAULT_OUT_STORED), 3);
    for (size_t i = 0; i < box->boxed; i++)
        box->box[i].gone = true;
    w->late_for = a + 1;
    world_send(w, a, "bob", "m4");
    ck_assert_uint_eq(w->late_count, 1);
    w->incarnation[0]++;
    size_t sends = w->person[a].sends;
    connection_end(w, a, world_account_of(w, a)->link);
    world_advance(w, 2000);
    world_answer(w);
    world_advance(w, 2000);
    ck_assert_uint_eq(w->person[a].sends, sends + 3);
    ck_assert_uint_eq(in_outbox(w, a, "bob", VAULT_OUT_STORED), 4);
    world_open(w, b);
    world_run(w);
    const char *got = world_received(w, b, room, sizeof room);
    for (const char *const *one = (const char *const[]){ "m1", "m2", "m3", "m4", NULL }; *one; one++)
        ck_assert_msg(strstr(got, *one) != NULL, "%s: %s", *one, got);
    world_free(w);
}
END_TEST

/* A connection that cannot even be begun (ALL_PROXY is no proxy): nothing is sent, nothing is lost. As often as the numbers of links have two bytes. */
START_TEST(a_link_that_cannot_be_opened)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_advance(w, 2 * ENGINE_OPEN_IDLE_MS);
    w->cannot_open = true;
    size_t sends = w->person[a].sends;
    for (int i = 0; i < 300; i++)
        world_send(w, a, "bob", "x");
    world_advance(w, 60000);
    ck_assert_uint_eq(w->person[a].sends, sends);
    ck_assert_uint_eq(in_outbox(w, a, "bob", VAULT_OUT_READY), 64);
    w->cannot_open = false;
    world_advance(w, 2 * ENGINE_BACKOFF_MAX_MS);
    ck_assert_uint_eq(in_outbox(w, a, "bob", VAULT_OUT_READY), 0);
    ck_assert_uint_eq(world_events(w, b, "message"), 300);
    ck_assert_uint_eq(world_events(w, b, "gap"), 0);
    world_free(w);
}
END_TEST

SUITE("lanes", TEST(R24_reset_while_envelopes_are_under_way), TEST(R24_reset_before_what_the_relay_took_is_written_down),
      TEST(a_restored_relay_gets_again_what_a_lane_has_passed), TEST(a_link_that_cannot_be_opened))
