/* The direct way from sender to reader: pushed before it is written, and never lost, overtaken or written for nothing. */
#include "core_pair.h"
#include "suite.h"
#include <string.h>

/* A device that listens, with its acknowledgements known to be fast. */
static void quick_reader(pair *p)
{
    char text[64];
    pair_subscribe(p, 100);
    for (int i = 0; i < 20; i++) {
        pair_say(p, "quick");
        if (i == 0)
            world_run(p->w); /* the route is looked up */
        uint64_t number = pair_delivered(p, text);
        ck_assert(number);
        world_pass_us(p->w, 300);
        pair_acknowledge(p, number);
        world_run(p->w);
        world_pass_us(p->w, 300);
    }
    world_pass_us(p->w, 300);
    world_run(p->w);
    (void)client_oks(p->sender);
}

START_TEST(hand_off_pushes_at_once_and_never_writes)
{
    pair p = pair_new(NULL);
    char text[64];
    quick_reader(&p);
    core_counters before = world_counters(p.w);
    pair_say(&p, "fast");
    uint64_t number = pair_delivered(&p, text); /* before anything was committed */
    ck_assert(number);
    ck_assert(!world_take(p.w)); /* held back */
    world_pass_us(p.w, 300);
    pair_acknowledge(&p, number);
    ck_assert_uint_eq(client_oks(p.sender), 0); /* the accept waits for its tick */
    world_pass_us(p.w, RELAY_TICK_US);
    ck_assert_uint_eq(client_oks(p.sender), 1);
    world_run(p.w);
    core_counters after = world_counters(p.w);
    ck_assert_uint_eq(after.handed_off, before.handed_off + 1);
    ck_assert_uint_eq(after.committed, before.committed);
    ck_assert_uint_eq(after.queued_messages, 0);
    world_crash(p.w, NULL);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
    world_free(p.w);
}
END_TEST

START_TEST(hand_off_that_gets_no_answer_is_written_in_time)
{
    pair p = pair_new(NULL);
    char text[64];
    quick_reader(&p);
    pair_say(&p, "slow");
    uint64_t number = pair_delivered(&p, text);
    ck_assert(number);
    ck_assert(!world_take(p.w));
    world_pass_us(p.w, RELAY_HOLD_MAX_US);
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_OK);
    ck_assert_uint_eq(client_oks(p.sender), 1);
    pair_acknowledge(&p, number); /* late, and still good: under the number it was delivered with */
    world_pass_us(p.w, RELAY_ACK_GATHER_US);
    world_run(p.w);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
    world_crash(p.w, NULL);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
    world_free(p.w);
}
END_TEST

START_TEST(hand_off_acknowledged_while_it_is_being_written)
{
    pair p = pair_new(NULL);
    char text[64];
    pair_subscribe(&p, 10);
    ck_assert_uint_eq(pair_send(&p, "first"), 0);
    pair_acknowledge(&p, pair_delivered(&p, text));
    world_run(p.w);
    pair_say(&p, "second");
    uint64_t number = pair_delivered(&p, text);
    ck_assert(number);
    world_pass_us(p.w, 5000);
    ck_assert(world_take(p.w)); /* with the committer now */
    pair_acknowledge(&p, number);
    ck_assert_uint_eq(client_oks(p.sender), 0);
    world_done(p.w, TACET_OK);
    ck_assert_uint_eq(client_oks(p.sender), 1);
    world_pass_us(p.w, RELAY_ACK_GATHER_US);
    world_run(p.w); /* its row is acknowledged */
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
    world_crash(p.w, NULL);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    pair_subscribe(&p, 10);
    ck_assert_uint_eq(pair_delivered(&p, text), 0);
    world_free(p.w);
}
END_TEST

START_TEST(hand_off_to_a_device_that_hangs_up_is_written)
{
    pair p = pair_new(NULL);
    char text[64];
    quick_reader(&p);
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "m%d", i);
        pair_say(&p, text);
    }
    ck_assert(!world_take(p.w));
    pair_reconnect(&p);
    world_run(p.w);
    ck_assert_uint_eq(client_oks(p.sender), 3);
    world_crash(p.w, NULL);
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    pair_subscribe(&p, 10);
    for (int i = 0; i < 3; i++) {
        char want[8];
        snprintf(want, sizeof want, "m%d", i);
        ck_assert(pair_delivered(&p, text));
        ck_assert_str_eq(text, want);
    }
    world_free(p.w);
}
END_TEST

/* What is handed over while messages are being written is accepted with them; a group that only cleans hides nothing, and holds up nobody. */
START_TEST(accepts_wait_for_messages_that_are_written_and_for_nothing_else)
{
    pair p = pair_new(NULL);
    person carol;
    char text[64];
    person_make(&carol, p.w->wall_ms / 1000);
    (void)person_join(p.w, &carol);
    quick_reader(&p);
    frame f = send_to(&carol, carol.token, "warm up", 7);
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    for (int writes = 0; writes < 2; writes++) {
        f = send_to(&carol, carol.token, "written", 7);
        if (writes)
            client_say(p.w, p.sender, &f);
        else
            world_pass_us(p.w, RELAY_CLEAN_EVERY_MS * 1000);
        ck_assert(world_take(p.w));
        pair_say(&p, "handed over");
        pair_acknowledge(&p, pair_delivered(&p, text));
        world_pass_us(p.w, RELAY_TICK_US);
        ck_assert_uint_eq(client_oks(p.sender), writes ? 0 : 1);
        world_done(p.w, TACET_OK);
        ck_assert_uint_eq(client_oks(p.sender), writes ? 2 : 0);
        world_run(p.w);
    }
    world_free(p.w);
}
END_TEST

/* Everybody else's messages are written while one device's are held back, and within a mailbox nothing overtakes. */
START_TEST(a_held_message_holds_up_nobody_else)
{
    pair p = pair_new(NULL);
    person carol;
    char text[64];
    person_make(&carol, p.w->wall_ms / 1000);
    client *carols = person_join(p.w, &carol);
    quick_reader(&p);
    frame f = send_to(&carol, carol.token, "warm up", 7);
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    f = send_to(&p.bob, p.bob.token, "held", 4);
    client_say(p.w, p.sender, &f);
    f = send_to(&carol, carol.token, "to carol", 8);
    client_say(p.w, p.sender, &f);
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_OK);
    ck_assert_uint_eq(client_oks(p.sender), 1); /* carol's */
    f = (frame){ .kind = FRAME_SUBSCRIBE, .subscribe.credit = 10 };
    client_say(p.w, carols, &f);
    world_pass_us(p.w, RELAY_HOLD_MAX_US);
    world_run(p.w); /* bob's is written under a higher number than carol's: checked by world_take */
    ck_assert_uint_eq(client_events(carols, FRAME_DELIVER), 2);
    pair_reconnect(&p);
    pair_subscribe(&p, 10);
    ck_assert(pair_delivered(&p, text));
    ck_assert_str_eq(text, "held");
    world_free(p.w);
}
END_TEST

/* What the committer is given next, as one string of first letters. */
static const char *next_group(world *w)
{
    static char letters[64];
    size_t n = 0;
    if (world_take(w))
        for (const job *j = w->group; j && n < sizeof letters - 1; j = j->next)
            if (j->kind == JOB_APPEND)
                letters[n++] = (char)((const message *)j)->ciphertext[0];
    letters[n] = 0;
    return letters;
}

/* A later message that is written takes the earlier ones of its mailbox with it, for whatever reason it is not held back itself. */
START_TEST(nothing_overtakes_a_held_message_when_the_window_is_full)
{
    pair p = pair_new(NULL);
    quick_reader(&p);
    for (int i = 0; i < 100; i++) /* the window of 100 */
        pair_say(&p, i == 99 ? "y" : "x");
    pair_say(&p, "z"); /* is not pushed, so it is not held */
    const char *letters = next_group(p.w);
    ck_assert_uint_ge(strlen(letters), 63);
    ck_assert_int_eq(letters[0], 'x');
    world_done(p.w, TACET_OK);
    world_free(p.w);
}
END_TEST

START_TEST(nothing_overtakes_a_held_message_when_the_device_gets_faster)
{
    pair p = pair_new(NULL);
    char text[64];
    quick_reader(&p);
    pair_say(&p, "x");
    uint64_t x = pair_delivered(&p, text);
    pair_say(&p, "a");
    pair_acknowledge(&p, x); /* after 0 us */
    world_pass_us(p.w, 10);
    pair_say(&p, "b");
    for (int i = 0; i < 100; i++) {
        const char *letters = next_group(p.w);
        if (p.w->group)
            world_done(p.w, TACET_OK);
        if (letters[0]) {
            ck_assert_int_eq(letters[0], 'a');
            break;
        }
        world_pass_us(p.w, 10);
    }
    world_free(p.w);
}
END_TEST

START_TEST(nothing_overtakes_a_held_message_when_the_device_gets_slower)
{
    pair p = pair_new(NULL);
    char text[64];
    pair_subscribe(&p, 100);
    pair_say(&p, "x");
    world_run(p.w);
    uint64_t x = pair_delivered(&p, text);
    world_pass_us(p.w, RELAY_HOLD_MAX_US - 10);
    pair_acknowledge(&p, x);
    world_run(p.w);
    world_pass_us(p.w, 900);
    pair_say(&p, "y"); /* held, and answered late */
    uint64_t y = pair_delivered(&p, text);
    world_pass_us(p.w, RELAY_HOLD_MAX_US - 100);
    pair_say(&p, "a"); /* held */
    world_pass_us(p.w, 500);
    ck_assert_str_eq(next_group(p.w), "y");
    world_done(p.w, TACET_OK);
    pair_acknowledge(&p, y); /* now the device counts as too slow */
    world_pass_us(p.w, 10);
    pair_say(&p, "b");
    ck_assert_str_eq(next_group(p.w), "ab");
    world_done(p.w, TACET_OK);
    world_free(p.w);
}
END_TEST

/* Alone an acknowledgement of what was written waits for company; with any other work it goes along. Then the row is gone for good. */
START_TEST(acknowledgements_of_rows_wait_for_company)
{
    pair p = pair_new(NULL);
    char text[64];
    pair_subscribe(&p, 10);
    ck_assert_uint_eq(pair_send(&p, "first"), 0); /* its device is not known yet: written */
    pair_acknowledge(&p, pair_delivered(&p, text));
    world_pass_us(p.w, RELAY_ACK_GATHER_US - 1);
    ck_assert(!world_take(p.w));
    if (_i == 0)
        world_pass_us(p.w, 1);
    else
        client_close(p.w, p.bobs), pair_say(&p, "for nobody who listens");
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_OK);
    world_run(p.w);
    world_crash(p.w, NULL);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, _i == 0 ? 0 : 1);
    world_free(p.w);
}
END_TEST

SUITE("hand_off", TEST(hand_off_pushes_at_once_and_never_writes), TEST(hand_off_that_gets_no_answer_is_written_in_time),
      TEST(hand_off_acknowledged_while_it_is_being_written), TEST(hand_off_to_a_device_that_hangs_up_is_written),
      TEST(accepts_wait_for_messages_that_are_written_and_for_nothing_else), TEST(a_held_message_holds_up_nobody_else),
      TEST(nothing_overtakes_a_held_message_when_the_window_is_full), TEST(nothing_overtakes_a_held_message_when_the_device_gets_faster),
      TEST(nothing_overtakes_a_held_message_when_the_device_gets_slower), LOOP(acknowledgements_of_rows_wait_for_company, 2))
