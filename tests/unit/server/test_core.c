/* The relay core: tokens, delivery windows, what is on the disk when the accept leaves. */
#include "core_pair.h"
#include "suite.h"
#include <string.h>

static frame reply, event;

START_TEST(send_needs_a_token_and_one_answer_tells_nothing)
{
    pair p = pair_new(NULL);
    person nobody;
    person_make(&nobody, p.w->wall_ms / 1000);
    ck_assert_uint_eq(pair_send(&p, "fine"), 0);
    frame f = send_to(&p.bob, nobody.token, "x", 1);
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), ERROR_REFUSED);
    f = send_to(&nobody, p.bob.token, "x", 1);
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), ERROR_REFUSED);
    f = send_to(&p.bob, p.bob.token, "x", 1);
    f.send.device = 3;
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), ERROR_STALE_DEVICE);
    f = send_to(&p.bob, p.bob.token, "x", 1);
    f.send.ttl_s = 0;
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), ERROR_EXPIRED);
    world_free(p.w);
}
END_TEST

START_TEST(M13_block_one_contact_the_others_stay)
{
    pair p = pair_new(NULL);
    uint8_t token[11][32], hash[11][32];
    char text[64];
    for (int i = 0; i < 11; i++) {
        snprintf(text, sizeof text, "contact %d", i);
        token_make(text, token[i], hash[i]);
        frame f = tokens_of(TOKEN_DELIVERY, hash[i], NULL);
        ck_assert_uint_eq(client_code(p.w, p.bobs, &f), 0);
    }
    for (int i = 0; i < 11; i++) { /* each writes while bob is away, the tenth is cached by then */
        snprintf(text, sizeof text, "from %d", i);
        frame f = send_to(&p.bob, token[i], text, strlen(text));
        ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    }
    frame f = tokens_of(TOKEN_DELIVERY, NULL, hash[10]);
    ck_assert_uint_eq(client_code(p.w, p.bobs, &f), 0);
    f = send_to(&p.bob, token[10], "again", 5);
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), ERROR_REFUSED);
    for (int i = 0; i < 10; i++) {
        f = send_to(&p.bob, token[i], "second", 6);
        ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    }
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 20);
    pair_subscribe(&p, 100);
    unsigned n = 0;
    for (uint64_t number; (number = pair_delivered(&p, text)); n++) {
        ck_assert_str_ne(text, "from 10");
        pair_acknowledge(&p, number);
    }
    ck_assert_uint_eq(n, 20);
    world_run(p.w);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
    ck_assert_uint_eq(world_counters(p.w).queued_bytes, 0);
    world_free(p.w);
}
END_TEST

/* Asked before the block and answered after it: the token must not slip through the cache. */
START_TEST(M13_block_while_a_message_is_being_resolved)
{
    pair p = pair_new(NULL);
    uint8_t hash[32];
    token_hash(hash, p.bob.token);
    frame f = send_to(&p.bob, p.bob.token, "late", 4), block = tokens_of(TOKEN_DELIVERY, NULL, hash);
    client_say(p.w, p.sender, &f);
    ck_assert(world_take(p.w)); /* the committer looks the token up ... */
    ck_assert_int_eq(committer_execute(p.w->store, p.w->group), TACET_OK);
    client_say(p.w, p.bobs, &block); /* ... and now it is removed */
    job *list = p.w->group;
    p.w->group = NULL;
    core_group_done(p.w->core, list, TACET_OK);
    world_run(p.w);
    while (client_hear(p.sender, &reply)) {
        ck_assert_int_eq(reply.kind, FRAME_ERROR);
        ck_assert_uint_eq(reply.error.code, ERROR_REFUSED);
    }
    ck_assert_uint_eq(pair_send(&p, "later"), ERROR_REFUSED);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
    world_free(p.w);
}
END_TEST

START_TEST(offline_messages_come_in_order_then_caught_up)
{
    pair p = pair_new(NULL);
    char text[64], want[64];
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "m%d", i);
        ck_assert_uint_eq(pair_send(&p, text), 0);
    }
    world_pass_us(p.w, 86400ull * 1000000); /* a day later */
    pair_subscribe(&p, 50);
    unsigned n = 0, caught_up = 0;
    uint64_t last = 0;
    for (int turn = 0; turn < 100 && !caught_up; turn++) {
        unsigned before = n;
        while (client_hear(p.bobs, &event)) {
            if (event.kind == FRAME_CAUGHT_UP) {
                caught_up++;
                ck_assert_uint_eq(n, 300);
                ck_assert_uint_eq(event.caught_up.number, last);
            }
            if (event.kind != FRAME_DELIVER)
                continue;
            snprintf(want, sizeof want, "m%u", n++);
            ck_assert_uint_eq(event.deliver.ciphertext.bytes, strlen(want));
            ck_assert_mem_eq(event.deliver.ciphertext.at, want, strlen(want));
            ck_assert_uint_gt(event.deliver.number, last);
            ck_assert_uint_eq(event.deliver.hour_s % 3600, 0);
            last = event.deliver.number;
            pair_acknowledge(&p, last);
        }
        ck_assert_uint_le(n - before, 50); /* never more than the window */
        world_run(p.w);
    }
    ck_assert_uint_eq(caught_up, 1);
    ck_assert_uint_eq(pair_send(&p, "live"), 0);
    ck_assert(pair_delivered(&p, text));
    ck_assert_str_eq(text, "live");
    world_free(p.w);
}
END_TEST

START_TEST(an_empty_mailbox_is_caught_up_at_once)
{
    pair p = pair_new(NULL);
    pair_subscribe(&p, 1);
    ck_assert_uint_eq(client_events(p.bobs, FRAME_CAUGHT_UP), 1);
    pair_subscribe(&p, 1);
    ck_assert_uint_eq(client_events(p.bobs, FRAME_CAUGHT_UP), 0);
    world_free(p.w);
}
END_TEST

START_TEST(window_is_kept_live_and_nothing_is_skipped)
{
    pair p = pair_new(NULL);
    char text[64], want[64];
    pair_subscribe(&p, 3);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "m%d", i);
        ck_assert_uint_eq(pair_send(&p, text), 0);
    }
    for (int i = 0; i < 20; i++) {
        uint64_t number = pair_delivered(&p, text);
        snprintf(want, sizeof want, "m%d", i);
        ck_assert_msg(number, "%s did not come", want);
        ck_assert_str_eq(text, want);
        pair_acknowledge(&p, number);
        world_run(p.w);
    }
    ck_assert_uint_eq(pair_delivered(&p, text), 0);
    world_free(p.w);
}
END_TEST

START_TEST(S13_unacknowledged_comes_again_acknowledged_does_not)
{
    pair p = pair_new(NULL);
    char text[64];
    uint64_t number[5];
    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof text, "m%d", i);
        ck_assert_uint_eq(pair_send(&p, text), 0);
    }
    pair_subscribe(&p, 10);
    for (int i = 0; i < 5; i++)
        number[i] = pair_delivered(&p, text);
    pair_acknowledge(&p, number[1]); /* out of order, twice, and one that nobody knows */
    pair_acknowledge(&p, number[3]);
    pair_acknowledge(&p, number[3]);
    pair_acknowledge(&p, 12345);
    world_run(p.w);
    pair_reconnect(&p);
    pair_acknowledge(&p, number[0]); /* a number of the connection before means nothing on this one */
    pair_subscribe(&p, 10);
    const char *const want[] = { "m0", "m2", "m4" };
    for (int i = 0; i < 3; i++) {
        ck_assert(pair_delivered(&p, text));
        ck_assert_str_eq(text, want[i]);
    }
    ck_assert_uint_eq(pair_delivered(&p, text), 0);
    world_crash(p.w, NULL);
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    pair_subscribe(&p, 10);
    for (int i = 0; i < 3; i++) {
        ck_assert(pair_delivered(&p, text));
        ck_assert_str_eq(text, want[i]);
    }
    world_free(p.w);
}
END_TEST

START_TEST(the_newer_connection_of_a_device_counts)
{
    pair p = pair_new(NULL);
    char text[64];
    pair_subscribe(&p, 10);
    client *old = p.bobs;
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    pair_subscribe(&p, 10);
    ck_assert(old->closed);
    ck_assert_uint_eq(pair_send(&p, "here"), 0);
    ck_assert(pair_delivered(&p, text));
    world_free(p.w);
}
END_TEST

START_TEST(ttl_expires_what_nobody_fetched)
{
    pair p = pair_new(NULL);
    char text[64];
    frame f = send_to(&p.bob, p.bob.token, "short", 5);
    f.send.ttl_s = 7200;
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    ck_assert_uint_eq(pair_send(&p, "long"), 0);
    f = send_to(&p.bob, p.bob.token, "beyond the limit", 16); /* shortened to 30 days */
    f.send.ttl_s = UINT32_MAX;
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    world_pass_us(p.w, 4 * 3600 * 1000000ull);
    world_run(p.w);
    pair_subscribe(&p, 10);
    ck_assert(pair_delivered(&p, text));
    ck_assert_str_eq(text, "long");
    pair_reconnect(&p);
    world_pass_us(p.w, (TACET_TTL_MAX_S + 7200) * 1000000ull);
    for (int i = 0; i < 5; i++) {
        world_run(p.w);
        world_pass_us(p.w, 2000000);
    }
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
    ck_assert_uint_eq(world_counters(p.w).queued_bytes, 0);
    ck_assert_uint_eq(world_counters(p.w).expired, 3);
    pair_subscribe(&p, 10);
    ck_assert_uint_eq(pair_delivered(&p, text), 0);
    world_free(p.w);
}
END_TEST

static void pass_cleaning(world *w, uint64_t us)
{
    for (int i = 0; i < 4; i++) {
        world_pass_us(w, us / 4);
        world_run(w);
    }
}

/* The wall clock is a year ahead for a minute, over a restart, and then right again: nothing expires for it. Time that passes counts, twice where the
 * wall clock is ahead. */
START_TEST(S11_a_clock_that_jumps_expires_nothing)
{
    const uint64_t year_ms = 365 * 86400000ull;
    pair p = pair_new(NULL);
    char text[64];
    frame f = send_to(&p.bob, p.bob.token, "for four hours", 14);
    f.send.ttl_s = 4 * 3600;
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    pass_cleaning(p.w, 4000000);
    p.w->wall_ms += year_ms;
    pass_cleaning(p.w, 60 * 1000000ull);
    world_crash(p.w, NULL);
    pass_cleaning(p.w, 60 * 1000000ull);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 1);
    ck_assert_uint_gt(world_counters(p.w).expiry_behind_s, 364 * 86400);
    if (_i) {
        p.w->wall_ms -= 2 * year_ms; /* and back, and further */
        pass_cleaning(p.w, 60 * 1000000ull);
    }
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    world_run(p.w);
    pair_subscribe(&p, 10);
    ck_assert(pair_delivered(&p, text));
    client_close(p.w, p.bobs);
    pass_cleaning(p.w, 3600 * 1000000ull);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 1);
    pass_cleaning(p.w, (_i ? 4 : 2) * 3600 * 1000000ull);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
    world_free(p.w);
}
END_TEST

START_TEST(S01_no_accept_before_the_commit)
{
    pair p = pair_new(NULL);
    ck_assert_uint_eq(pair_send(&p, "warm up the route"), 0);
    pair_say(&p, "x");
    ck_assert_uint_eq(client_oks(p.sender), 0);
    ck_assert(world_take(p.w));
    world_pass_us(p.w, 1000000);
    ck_assert_uint_eq(client_oks(p.sender), 0);
    world_done(p.w, TACET_OK);
    ck_assert_uint_eq(client_oks(p.sender), 1);
    world_free(p.w);
}
END_TEST

START_TEST(a_full_disk_is_told_and_nothing_is_half_there)
{
    pair p = pair_new(NULL);
    char text[64];
    ck_assert_uint_eq(pair_send(&p, "before"), 0);
    pair_say(&p, "lost");
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_E_FULL);
    ck_assert(client_hear(p.sender, &reply));
    ck_assert_int_eq(reply.kind, FRAME_ERROR);
    ck_assert_uint_eq(reply.error.code, ERROR_QUOTA);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 1);
    ck_assert_uint_eq(pair_send(&p, "after"), 0);
    pair_subscribe(&p, 10);
    ck_assert(pair_delivered(&p, text));
    ck_assert_str_eq(text, "before");
    ck_assert(pair_delivered(&p, text));
    ck_assert_str_eq(text, "after");
    world_free(p.w);
}
END_TEST

/* --- a random walk --------------------------------------------------------------------------------------------------------------------- */
/* Senders, readers with small windows, disconnects, crashes, full disks, every other time without memory for larger windows. What was accepted comes, in order, until it is acknowledged. */
enum { STEPS = 3000 };
typedef struct {
    pair p;
    core_config config;
    unsigned sent, seen, crashes;
    uint64_t held; /* the walk must have seen messages held back */
    bool deaf;     /* the device reads nothing: what was pushed is lost with the connection */
    bool accepted[STEPS];
    uint32_t id_of[STEPS];
} walk;

static void walk_crash(walk *k)
{
    k->crashes++;
    k->held += world_counters(k->p.w).held;
    world_crash(k->p.w, &k->config);
    k->p.sender = client_open(k->p.w, TACET_ROLE_OPEN, NULL, 2);
    k->p.bobs = client_open(k->p.w, TACET_ROLE_MAILBOX, &k->p.bob, 7);
    memset(k->id_of, 0, sizeof k->id_of); /* what was not answered never will be */
}

static void walk_step(walk *k, uint8_t r)
{
    world *w = k->p.w;
    char text[64];
    if (r < 90) {
        snprintf(text, sizeof text, "%u", k->sent);
        frame f = send_to(&k->p.bob, k->p.bob.token, text, strlen(text));
        k->id_of[k->sent++] = client_say(w, k->p.sender, &f);
    } else if (r < 120) {
        world_threads(w);
    } else if (r < 170) {
        world_pass_us(w, r % 3 ? 20 : r * 7u);
        if (!w->group)
            (void)world_take(w);
    } else if (r < 215 && w->group) {
        world_done(w, TACET_OK);
    } else if (r < 218 && w->group) {
        world_done(w, TACET_E_FULL);
    } else if (r < 235) {
        frame f = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = r % 5u };
        client_say(w, k->p.bobs, &f);
    } else if (r < 237) {
        world_threads(w);
        pair_reconnect(&k->p);
    } else if (r == 237 && k->crashes < 5) {
        walk_crash(k);
    }
}

static void walk_accepts(walk *k)
{
    while (client_hear(k->p.sender, &reply))
        for (unsigned i = 0; i < k->sent; i++)
            if (k->id_of[i] == reply.id && reply.kind == FRAME_OK)
                k->accepted[i] = true;
}

static void walk_deliveries(walk *k, bool acknowledge)
{
    char text[64];
    for (uint64_t number; (number = pair_delivered(&k->p, text));) {
        unsigned which = (unsigned)strtoul(text, NULL, 10);
        for (unsigned i = k->seen; i < which; i++)
            ck_assert_msg(!k->accepted[i], "%u was accepted and overtaken by %u", i, which);
        k->seen = which >= k->seen ? which + 1 : k->seen; /* else: delivered again */
        if (acknowledge)
            pair_acknowledge(&k->p, number);
    }
}

START_TEST(S01_random_walk_loses_nothing_and_keeps_order)
{
    static walk k;
    env_seeded seeded;
    k = (walk){ .config = core_config_default() };
    if (_i % 2)
        k.config.window_memory_bytes = 1;
    k.p = pair_new(&k.config);
    env_seeded_init(&seeded, 1000 + (uint64_t)_i, 0);
    for (int step = 0; step < STEPS; step++) {
        uint8_t r;
        env_random(&seeded.env, &r, 1);
        k.deaf = r % 16 ? k.deaf : !k.deaf;
        walk_step(&k, r);
        walk_accepts(&k);
        if (k.p.bobs->closed)
            pair_reconnect(&k.p);
        if (!k.deaf)
            walk_deliveries(&k, r % 3);
    }
    k.held += world_counters(k.p.w).held;
    if (k.p.w->group)
        world_done(k.p.w, TACET_OK);
    pair_reconnect(&k.p);
    pair_subscribe(&k.p, 256);
    for (int turn = 0; turn < 200; turn++) {
        walk_deliveries(&k, true);
        world_pass_us(k.p.w, 3000);
        world_run(k.p.w);
    }
    for (unsigned i = k.seen; i < k.sent; i++)
        ck_assert_msg(!k.accepted[i], "%u was accepted and never came", i);
    ck_assert_uint_gt(k.sent, 500);
    ck_assert(k.held || _i % 2); /* who is seldom live is seldom given time */
    world_free(k.p.w);
}
END_TEST

START_TEST(pipelined_requests_get_one_reply_each)
{
    pair p = pair_new(NULL);
    bool got[200] = { false };
    for (uint32_t i = 1; i <= 150; i++) {
        frame f = send_to(&p.bob, i % 3 ? p.bob.token : p.bob.request_token, "x", 1);
        if (i % 10 == 0)
            f = (frame){ .kind = FRAME_ECHO, .echo.data = { (const uint8_t *)"e", 1 } };
        f.id = i;
        client_say(p.w, p.sender, &f);
    }
    world_run(p.w);
    while (client_hear(p.sender, &reply)) {
        ck_assert_uint_le(reply.id, 150);
        ck_assert(!got[reply.id]);
        got[reply.id] = true;
    }
    for (uint32_t i = 1; i <= 150; i++)
        ck_assert_msg(got[i], "%u got no reply", i);
    world_free(p.w);
}
END_TEST

START_TEST(stopping_finishes_what_it_accepted)
{
    pair p = pair_new(NULL);
    ck_assert_uint_eq(pair_send(&p, "warm up"), 0);
    pair_say(&p, "last");
    core_stop(p.w->core);
    ck_assert(!core_idle(p.w->core));
    pair_say(&p, "too late");
    ck_assert(client_hear(p.sender, &reply));
    ck_assert_uint_eq(reply.error.code, ERROR_STOPPING);
    world_run(p.w);
    ck_assert_uint_eq(client_oks(p.sender), 1);
    ck_assert(core_idle(p.w->core));
    world_free(p.w);
}
END_TEST

SUITE("core", TEST(send_needs_a_token_and_one_answer_tells_nothing), TEST(M13_block_one_contact_the_others_stay),
      TEST(M13_block_while_a_message_is_being_resolved), TEST(offline_messages_come_in_order_then_caught_up),
      TEST(an_empty_mailbox_is_caught_up_at_once), TEST(window_is_kept_live_and_nothing_is_skipped),
      TEST(S13_unacknowledged_comes_again_acknowledged_does_not), TEST(the_newer_connection_of_a_device_counts),
      TEST(ttl_expires_what_nobody_fetched), LOOP(S11_a_clock_that_jumps_expires_nothing, 2), TEST(S01_no_accept_before_the_commit),
      TEST(a_full_disk_is_told_and_nothing_is_half_there), LOOP(S01_random_walk_loses_nothing_and_keeps_order, 20),
      TEST(pipelined_requests_get_one_reply_each), TEST(stopping_finishes_what_it_accepted))
