/* How long a message waits for its acknowledgement before it is written, and what a device that listens costs while it is quiet. */
#include "core_pair.h"
#include "server/limits.h"
#include "suite.h"

/* Bob listens, and the way to him has been looked up. */
static pair listening(uint32_t credit)
{
    pair p = pair_new(NULL);
    pair_subscribe(&p, credit);
    ck_assert_uint_eq(pair_send(&p, "warm up"), 0);
    return p;
}

/* Acknowledges all that was delivered; how many. */
static uint32_t acknowledge_all(pair *p)
{
    static frame event;
    frame f = { .kind = FRAME_ACK };
    while (client_hear(p->bobs, &event))
        if (event.kind == FRAME_DELIVER)
            f.ack.ids.item[f.ack.ids.count++] = event.deliver.number;
    if (f.ack.ids.count)
        client_say(p->w, p->bobs, &f);
    return f.ack.ids.count;
}

/* The committer takes group_us for whatever it is given. */
static void commit(pair *p, uint64_t group_us)
{
    while (world_take(p->w)) {
        world_pass_us(p->w, group_us);
        world_done(p->w, TACET_OK);
    }
}

/* A device that takes 5 ms, and a committer that takes less (1 ms) or more (12 ms): 24 messages one after the other. */
enum { DEVICE_US = 5000, QUICK_US = 1000, SLOW_US = 12000 };
static void live_for_a_while(pair *p, bool slow)
{
    for (int i = 0; i < 24; i++) {
        pair_say(p, "message");
        bool writing = world_take(p->w);
        world_pass_us(p->w, QUICK_US);
        if (writing && !slow)
            world_done(p->w, TACET_OK);
        world_pass_us(p->w, DEVICE_US - QUICK_US);
        ck_assert_uint_eq(acknowledge_all(p), 1);
        world_pass_us(p->w, SLOW_US - DEVICE_US);
        if (writing && slow)
            world_done(p->w, TACET_OK);
        commit(p, slow ? SLOW_US : QUICK_US); /* the acknowledgement, where the row was written */
    }
}

/* Writing takes 1 ms, the device 5 ms: nothing is gained by waiting for it. */
START_TEST(a_slow_device_is_not_waited_for_by_a_quick_store)
{
    pair p = listening(100);
    (void)acknowledge_all(&p);
    live_for_a_while(&p, false);
    pair_say(&p, "message");
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_OK);
    world_free(p.w);
}
END_TEST

/* Writing takes 12 ms: then the acknowledgement comes first, and the message need not be written. It waits as long as a few groups take. */
START_TEST(a_slow_device_is_waited_for_by_a_slower_store)
{
    pair p = listening(100);
    core_counters n;
    (void)acknowledge_all(&p);
    live_for_a_while(&p, true);
    core_count(p.w->core, &n);
    ck_assert_uint_gt(n.handed_off, 4);
    pair_say(&p, "message");
    ck_assert(!world_take(p.w));
    world_pass_us(p.w, 2000);
    ck_assert(!world_take(p.w)); /* longer than the setting */
    ck_assert_uint_le(core_due_us(p.w->core), p.w->now_us + RELAY_HOLD_GROUPS * SLOW_US);
    world_pass_us(p.w, RELAY_HOLD_GROUPS * SLOW_US);
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_OK);
    world_free(p.w);
}
END_TEST

/* A device that answers at once for a while and then takes six times as long, but less than the setting: its message is still handed over. */
START_TEST(a_late_acknowledgement_is_waited_for)
{
    pair p = listening(100);
    core_counters before, after;
    (void)acknowledge_all(&p);
    world_run(p.w);
    for (int i = 0; i < 64; i++) {
        pair_say(&p, "message");
        world_pass_us(p.w, RELAY_HOLD_MAX_US / 8);
        ck_assert_uint_eq(acknowledge_all(&p), 1);
        commit(&p, QUICK_US / 4);
    }
    core_count(p.w->core, &before);
    pair_say(&p, "message");
    world_pass_us(p.w, RELAY_HOLD_MAX_US * 6 / 8);
    ck_assert(!world_take(p.w));
    ck_assert_uint_eq(acknowledge_all(&p), 1);
    core_count(p.w->core, &after);
    ck_assert_uint_eq(after.handed_off, before.handed_off + 1);
    world_free(p.w);
}
END_TEST

START_TEST(a_quiet_device_costs_what_it_did_before_a_burst)
{
    pair p = listening(RELAY_WINDOW_MAX);
    core_counters before, after;
    ck_assert_uint_eq(acknowledge_all(&p), 1);
    world_run(p.w);
    core_count(p.w->core, &before);
    for (int burst = 0; burst < 3; burst++) {
        for (int i = 0; i < RELAY_WINDOW_MAX; i++)
            pair_say(&p, "message");
        ck_assert_uint_eq(acknowledge_all(&p), RELAY_WINDOW_MAX);
        world_pass_us(p.w, 5000);
        world_run(p.w);
    }
    core_count(p.w->core, &after);
    ck_assert_uint_eq(after.queued_messages, 0);
    ck_assert_uint_le(after.memory_bytes + after.window_memory_bytes, before.memory_bytes + before.window_memory_bytes);
    world_free(p.w);
}
END_TEST

SUITE("hold", TEST(a_slow_device_is_not_waited_for_by_a_quick_store), TEST(a_slow_device_is_waited_for_by_a_slower_store),
      TEST(a_late_acknowledgement_is_waited_for), TEST(a_quiet_device_costs_what_it_did_before_a_burst))
