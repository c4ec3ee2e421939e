/* How long a message waits for its acknowledgement before it is written, and what a device that listens costs while it is quiet. */
#include "core_world.h"
#include "server/limits.h"
#include "suite.h"
#include <string.h>

static frame event;
typedef struct {
    world *w;
    person bob;
    client *bobs, *sender;
} scene;

static scene scene_new(uint32_t credit)
{
    scene s = { .w = world_new(NULL) };
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = credit };
    person_make(&s.bob, s.w->wall_ms / 1000);
    s.bobs = person_join(s.w, &s.bob);
    s.sender = client_open(s.w, TACET_ROLE_OPEN, NULL, 2);
    client_say(s.w, s.bobs, &f);
    world_run(s.w);
    f = send_to(&s.bob, s.bob.token, "warm up", 7); /* the route is looked up */
    ck_assert_uint_eq(client_code(s.w, s.sender, &f), 0);
    return s;
}

static void say(scene *s)
{
    frame f = send_to(&s->bob, s->bob.token, "message", 7);
    client_say(s->w, s->sender, &f);
}

/* Acknowledges all that was delivered; how many. */
static uint32_t acknowledge_all(scene *s)
{
    frame f = { .kind = FRAME_ACK };
    while (client_hear(s->bobs, &event))
        if (event.kind == FRAME_DELIVER)
            f.ack.ids.item[f.ack.ids.count++] = event.deliver.number;
    if (f.ack.ids.count)
        client_say(s->w, s->bobs, &f);
    return f.ack.ids.count;
}

/* The committer takes group_us for whatever it is given. */
static void commit(scene *s, uint64_t group_us)
{
    while (world_take(s->w)) {
        world_pass_us(s->w, group_us);
        world_done(s->w, TACET_OK);
    }
}

/* A device that takes 5 ms, and a committer that takes less (1 ms) or more (12 ms): 24 messages one after the other. */
enum { DEVICE_US = 5000, QUICK_US = 1000, SLOW_US = 12000 };
static void live_for_a_while(scene *s, bool slow)
{
    for (int i = 0; i < 24; i++) {
        say(s);
        bool writing = world_take(s->w);
        world_pass_us(s->w, QUICK_US);
        if (writing && !slow)
            world_done(s->w, TACET_OK);
        world_pass_us(s->w, DEVICE_US - QUICK_US);
        ck_assert_uint_eq(acknowledge_all(s), 1);
        world_pass_us(s->w, SLOW_US - DEVICE_US);
        if (writing && slow)
            world_done(s->w, TACET_OK);
        commit(s, slow ? SLOW_US : QUICK_US); /* the acknowledgement, where the row was written */
    }
}

/* Writing takes 1 ms, the device 5 ms: nothing is gained by waiting for it. */
START_TEST(a_slow_device_is_not_waited_for_by_a_quick_store)
{
    scene s = scene_new(100);
    (void)acknowledge_all(&s);
    live_for_a_while(&s, false);
    say(&s);
    ck_assert(world_take(s.w));
    world_done(s.w, TACET_OK);
    world_free(s.w);
}
END_TEST

/* Writing takes 12 ms: then the acknowledgement comes first, and the message need not be written. It waits as long as a few groups take. */
START_TEST(a_slow_device_is_waited_for_by_a_slower_store)
{
    scene s = scene_new(100);
    core_counters n;
    (void)acknowledge_all(&s);
    live_for_a_while(&s, true);
    core_count(s.w->core, &n);
    ck_assert_uint_gt(n.handed_off, 4);
    say(&s);
    ck_assert(!world_take(s.w));
    world_pass_us(s.w, 2000);
    ck_assert(!world_take(s.w)); /* longer than the setting */
    ck_assert_uint_le(core_due_us(s.w->core), s.w->now_us + RELAY_HOLD_GROUPS * SLOW_US);
    world_pass_us(s.w, RELAY_HOLD_GROUPS * SLOW_US);
    ck_assert(world_take(s.w));
    world_done(s.w, TACET_OK);
    world_free(s.w);
}
END_TEST

/* A device that answers at once for a while and then takes six times as long, but less than the setting: its message is still handed over. */
START_TEST(a_late_acknowledgement_is_waited_for)
{
    scene s = scene_new(100);
    core_counters before, after;
    (void)acknowledge_all(&s);
    world_run(s.w);
    for (int i = 0; i < 64; i++) {
        say(&s);
        world_pass_us(s.w, RELAY_HOLD_MAX_US / 8);
        ck_assert_uint_eq(acknowledge_all(&s), 1);
        commit(&s, QUICK_US / 4);
    }
    core_count(s.w->core, &before);
    say(&s);
    world_pass_us(s.w, RELAY_HOLD_MAX_US * 6 / 8);
    ck_assert(!world_take(s.w));
    ck_assert_uint_eq(acknowledge_all(&s), 1);
    core_count(s.w->core, &after);
    ck_assert_uint_eq(after.handed_off, before.handed_off + 1);
    world_free(s.w);
}
END_TEST

START_TEST(a_quiet_device_costs_what_it_did_before_a_burst)
{
    scene s = scene_new(RELAY_WINDOW_MAX);
    core_counters before, after;
    ck_assert_uint_eq(acknowledge_all(&s), 1);
    world_run(s.w);
    core_count(s.w->core, &before);
    for (int burst = 0; burst < 3; burst++) {
        for (int i = 0; i < RELAY_WINDOW_MAX; i++)
            say(&s);
        ck_assert_uint_eq(acknowledge_all(&s), RELAY_WINDOW_MAX);
        world_pass_us(s.w, 5000);
        world_run(s.w);
    }
    core_count(s.w->core, &after);
    ck_assert_uint_eq(after.queued_messages, 0);
    ck_assert_uint_le(after.memory_bytes, before.memory_bytes);
    world_free(s.w);
}
END_TEST

SUITE("hold", TEST(a_slow_device_is_not_waited_for_by_a_quick_store), TEST(a_slow_device_is_waited_for_by_a_slower_store),
      TEST(a_late_acknowledgement_is_waited_for), TEST(a_quiet_device_costs_what_it_did_before_a_burst))
