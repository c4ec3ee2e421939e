/* What is delivered and not acknowledged, of all devices together: bounded, and nobody's requests wait for it. */
#include "core_pair.h"
#include "server/limits.h"
#include "suite.h"
#include <string.h>

enum { LIMIT_BYTES = 16 * 1024, DEVICE_BYTES = 512, MESSAGES = 300, FIRST_PLACES = 8 };

/* Bob and carol with one sender, over a relay that has memory for one full window and little more. */
typedef struct {
    pair bob, carol;
    unsigned next[2]; /* of each: the message that must come next */
} company;

static company company_new(void)
{
    core_config config = core_config_default();
    config.window_memory_bytes = LIMIT_BYTES;
    company c = { .bob = pair_new(&config) };
    c.carol = (pair){ .w = c.bob.w, .sender = c.bob.sender };
    person_make(&c.carol.bob, c.bob.w->wall_ms / 1000);
    c.carol.bobs = person_join(c.bob.w, &c.carol.bob);
    pair_subscribe(&c.bob, RELAY_WINDOW_MAX);
    pair_subscribe(&c.carol, RELAY_WINDOW_MAX);
    return c;
}

static void send_numbered(pair *p, unsigned from, unsigned to)
{
    char text[64];
    for (unsigned i = from; i < to; i++) {
        snprintf(text, sizeof text, "%u", i);
        pair_say(p, text);
        world_run(p->w);
    }
    world_pass_us(p->w, RELAY_HOLD_BUSY_MAX_US); /* what was held back is written */
    world_run(p->w);
    ck_assert_uint_eq(client_oks(p->sender), to - from);
}

/* Takes what came, which must be the next ones, each once; acknowledges it from `except` on. How many. */
static unsigned take(pair *p, unsigned *next, bool acknowledge, unsigned except)
{
    char text[64], want[64];
    unsigned n = 0;
    for (uint64_t number; (number = pair_delivered(p, text)); n++) {
        snprintf(want, sizeof want, "%u", *next);
        ck_assert_str_eq(text, want);
        if (acknowledge && *next >= except)
            pair_acknowledge(p, number);
        ++*next;
    }
    world_run(p->w);
    return n;
}

static void take_all(pair *p, unsigned *next, unsigned end)
{
    for (int turn = 0; turn < MESSAGES && *next < end; turn++)
        (void)take(p, next, true, 0);
    ck_assert_uint_eq(*next, end);
}

static void ack_numbers(pair *p, const uint64_t *number, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pair_acknowledge(p, number[i]);
    world_run(p->w);
}

/* Bob's full window leaves carol a small one. */
static company crowded(void)
{
    company c = company_new();
    send_numbered(&c.bob, 0, MESSAGES);
    send_numbered(&c.carol, 0, MESSAGES);
    return c;
}

START_TEST(S12_windows_full_of_unacknowledged_messages_hold_up_nobody)
{
    company c = crowded();
    uint64_t number[RELAY_WINDOW_MAX];
    char text[64];
    unsigned n = 0, few;
    while (n < RELAY_WINDOW_MAX && (number[n] = pair_delivered(&c.bob, text)))
        n++;
    ck_assert_uint_eq(n, RELAY_WINDOW_MAX);
    few = take(&c.carol, &c.next[1], false, 0);
    ck_assert_uint_ge(few, FIRST_PLACES);
    ck_assert_uint_lt(few, RELAY_WINDOW_MAX);
    ck_assert_uint_eq(world_counters(c.bob.w).memory_bytes, 0); /* what input waits for */
    ck_assert_uint_le(world_counters(c.bob.w).window_memory_bytes, LIMIT_BYTES + DEVICE_BYTES);
    ck_assert_uint_gt(world_counters(c.bob.w).window_memory_bytes, RELAY_WINDOW_MAX * 40);
    ck_assert(core_wants_input(c.bob.w->core));
    ack_numbers(&c.bob, number, n); /* which frees them */
    ck_assert_uint_lt(world_counters(c.bob.w).window_memory_bytes, LIMIT_BYTES / 2);
    c.next[0] = n;
    take_all(&c.bob, &c.next[0], MESSAGES);
    world_free(c.bob.w);
}
END_TEST

/* The first message is never acknowledged, the others always: a small window goes on around it, and is a large one again when there is room. */
START_TEST(S12_a_small_window_loses_nothing_and_grows_again)
{
    company c = crowded();
    unsigned few = take(&c.carol, &c.next[1], true, 1);
    for (int turn = 0; turn < MESSAGES && c.next[1] < MESSAGES; turn++)
        ck_assert_uint_le(take(&c.carol, &c.next[1], true, 1), few);
    ck_assert_uint_eq(c.next[1], MESSAGES);
    take_all(&c.bob, &c.next[0], MESSAGES);
    send_numbered(&c.carol, MESSAGES, 2 * MESSAGES);
    ck_assert_uint_eq(take(&c.carol, &c.next[1], false, 0), RELAY_WINDOW_MAX - 1);
    pair_reconnect(&c.carol);
    ck_assert_uint_le(world_counters(c.bob.w).window_memory_bytes, DEVICE_BYTES);
    pair_subscribe(&c.carol, RELAY_WINDOW_MAX);
    char text[64];
    ck_assert(pair_delivered(&c.carol, text));
    ck_assert_str_eq(text, "0"); /* the one that was left out */
    c.next[1] = MESSAGES;
    take_all(&c.carol, &c.next[1], 2 * MESSAGES);
    world_free(c.bob.w);
}
END_TEST

START_TEST(S12_a_small_window_reads_only_what_it_can_take)
{
    company c = crowded();
    char text[64];
    uint64_t number = pair_delivered(&c.carol, text);
    ck_assert(number);
    pair_acknowledge(&c.carol, number);
    ck_assert_uint_eq(c.carol.w->backlogs, 1);
    ck_assert_uint_eq(c.carol.w->backlog[0]->max_count, 1);
    world_free(c.carol.w);
}
END_TEST

SUITE("windows", TEST(S12_windows_full_of_unacknowledged_messages_hold_up_nobody), TEST(S12_a_small_window_loses_nothing_and_grows_again),
      TEST(S12_a_small_window_reads_only_what_it_can_take))
