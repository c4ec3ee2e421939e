/* The relay core: tokens, quotas, delivery windows, hand-off, what is on the disk when the accept leaves. */
#include "core_world.h"
#include "suite.h"
#include <string.h>

static frame reply, event;

typedef struct {
    world *w;
    person bob;
    client *bobs, *sender;
} pair;

static pair pair_new(const core_config *config)
{
    pair p = { .w = world_new(config) };
    person_make(&p.bob, p.w->wall_ms / 1000);
    p.bobs = person_join(p.w, &p.bob);
    p.sender = client_open(p.w, TACET_ROLE_OPEN, NULL, 2);
    return p;
}

static unsigned send_text(pair *p, const char *text)
{
    frame f = send_to(&p->bob, p->bob.token, text, strlen(text));
    return client_code(p->w, p->sender, &f);
}

static void subscribe(pair *p, uint32_t credit)
{
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = credit };
    client_say(p->w, p->bobs, &f);
    world_run(p->w);
}

/* The next delivery, its number; 0: none. *text is a copy. */
static uint64_t delivered(pair *p, char text[64])
{
    while (client_hear(p->bobs, &event))
        if (event.kind == FRAME_DELIVER) {
            size_t n = event.deliver.ciphertext.bytes < 63 ? event.deliver.ciphertext.bytes : 63;
            memcpy(text, event.deliver.ciphertext.at, n);
            text[n] = 0;
            return event.deliver.number;
        }
    return 0;
}

static void acknowledge(pair *p, uint64_t number)
{
    frame f = { .kind = FRAME_ACK };
    f.ack.ids.count = 1;
    f.ack.ids.item[0] = number;
    client_say(p->w, p->bobs, &f);
}

static core_counters counters(const world *w)
{
    core_counters n;
    core_count(w->core, &n);
    return n;
}

static void reconnect(pair *p)
{
    if (p->w->group)
        world_done(p->w, TACET_OK);
    client_close(p->w, p->bobs);
    p->bobs = client_open(p->w, TACET_ROLE_MAILBOX, &p->bob, 7);
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------------------- */
START_TEST(send_needs_a_token_and_one_answer_tells_nothing)
{
    pair p = pair_new(NULL);
    person nobody;
    person_make(&nobody, p.w->wall_ms / 1000);
    ck_assert_uint_eq(send_text(&p, "fine"), 0);
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
    ck_assert_uint_eq(counters(p.w).queued_messages, 20);
    subscribe(&p, 100);
    unsigned n = 0;
    for (uint64_t number; (number = delivered(&p, text)); n++) {
        ck_assert_str_ne(text, "from 10");
        acknowledge(&p, number);
    }
    ck_assert_uint_eq(n, 20);
    world_run(p.w);
    ck_assert_uint_eq(counters(p.w).queued_messages, 0);
    ck_assert_uint_eq(counters(p.w).queued_bytes, 0);
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
    ck_assert_uint_eq(send_text(&p, "later"), ERROR_REFUSED);
    ck_assert_uint_eq(counters(p.w).queued_messages, 0);
    world_free(p.w);
}
END_TEST

START_TEST(request_queue_and_its_rate)
{
    core_config c = core_config_default();
    c.requests = (limiter_rate){ 40, 60000 };
    pair p = pair_new(&c);
    char text[64];
    frame f;
    for (int i = 0; i < 33; i++) {
        f = send_to(&p.bob, p.bob.request_token, "hello", 5);
        ck_assert_uint_eq(client_code(p.w, p.sender, &f), i < 32 ? 0 : ERROR_QUOTA);
    }
    ck_assert_uint_eq(send_text(&p, "a contact is not held up by strangers"), 0);
    subscribe(&p, 100);
    for (uint64_t number; (number = delivered(&p, text));)
        acknowledge(&p, number);
    world_run(p.w);
    for (int i = 0; i < 9; i++) {
        f = send_to(&p.bob, p.bob.request_token, "hello", 5);
        ck_assert_uint_eq(client_code(p.w, p.sender, &f), i < 8 ? 0 : ERROR_RATE);
    }
    uint8_t token[32], hash[32];
    token_make("new request token", token, hash);
    f = tokens_of(TOKEN_REQUEST, hash, NULL); /* replaces the old one */
    ck_assert_uint_eq(client_code(p.w, p.bobs, &f), 0);
    f = send_to(&p.bob, p.bob.request_token, "hello", 5);
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), ERROR_REFUSED);
    world_free(p.w);
}
END_TEST

/* --- quotas ------------------------------------------------------------------------------------------------------------------------------- */
START_TEST(S12_full_mailbox_tells_the_sender)
{
    core_config c = core_config_default();
    c.mailbox_messages = 5;
    c.mailbox_bytes = 65536;
    pair p = pair_new(&c);
    static uint8_t big[TACET_ENVELOPE_MAX_BYTES];
    char text[64];
    for (int i = 0; i < 7; i++)
        ck_assert_uint_eq(send_text(&p, "m"), i < 5 ? 0 : ERROR_QUOTA);
    world_crash(p.w, &c); /* the quota is known after a crash as well */
    p.sender = client_open(p.w, TACET_ROLE_OPEN, NULL, 2);
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    ck_assert_uint_eq(send_text(&p, "m"), ERROR_QUOTA);
    subscribe(&p, 10);
    for (uint64_t number; (number = delivered(&p, text));)
        acknowledge(&p, number);
    world_run(p.w);
    client_close(p.w, p.bobs); /* away again */
    for (int i = 0; i < 4; i++) {
        frame f = send_to(&p.bob, p.bob.token, big, sizeof big);
        ck_assert_uint_eq(client_code(p.w, p.sender, &f), i < 3 ? 0 : ERROR_QUOTA); /* 3 x 20 KiB of 64 KiB */
    }
    world_free(p.w);
}
END_TEST

/* One contact sends without end: half of the mailbox and an allowance are its; another one still gets through. */
START_TEST(S12_one_contact_does_not_fill_the_mailbox)
{
    core_config c = core_config_default();
    c.mailbox_messages = 400;
    pair p = pair_new(&c);
    uint8_t token[32], hash[32];
    token_make("another contact", token, hash);
    frame f = tokens_of(TOKEN_DELIVERY, hash, NULL);
    ck_assert_uint_eq(client_code(p.w, p.bobs, &f), 0);
    unsigned accepted = 0, full = 0;
    for (int i = 0; i < 300; i++) { /* in one group: the disk is not what is tested */
        f = send_to(&p.bob, p.bob.token, "again", 5);
        client_say(p.w, p.sender, &f);
    }
    world_run(p.w);
    while (client_hear(p.sender, &f)) {
        accepted += f.kind == FRAME_OK;
        full += f.kind == FRAME_ERROR && f.error.code == ERROR_QUOTA;
    }
    ck_assert_uint_eq(accepted, 200 + RELAY_MAILBOX_CONTACT_LEAST);
    ck_assert_uint_eq(full, 300 - accepted);
    f = send_to(&p.bob, token, "hello", 5);
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    world_free(p.w);
}
END_TEST

START_TEST(S12_a_device_has_few_connections)
{
    pair p = pair_new(NULL);
    client *k[RELAY_DEVICE_CONNECTIONS_MAX + 1];
    for (int i = 0; i < RELAY_DEVICE_CONNECTIONS_MAX; i++) { /* one was there before */
        k[i] = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
        ck_assert_int_eq(k[i]->closed, i == RELAY_DEVICE_CONNECTIONS_MAX - 1);
    }
    client_close(p.w, k[0]);
    client_close(p.w, k[RELAY_DEVICE_CONNECTIONS_MAX - 1]);
    client *again = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    ck_assert(!again->closed);
    world_free(p.w);
}
END_TEST

/* ... also when the relay learns only on the connection who it is. */
START_TEST(S12_a_device_that_registers_has_few_connections)
{
    world *w = world_new(NULL);
    person p;
    client *k[RELAY_DEVICE_CONNECTIONS_MAX + 1];
    uint8_t proof[64];
    person_make(&p, w->wall_ms / 1000);
    for (int i = 0; i <= RELAY_DEVICE_CONNECTIONS_MAX; i++)
        k[i] = client_open(w, TACET_ROLE_MAILBOX, &p, 7);
    for (int i = 0; i <= RELAY_DEVICE_CONNECTIONS_MAX; i++) {
        frame f = person_register(&p, k[i]->hash, proof);
        ck_assert_uint_eq(client_code(w, k[i], &f), 0);
        ck_assert_int_eq(k[i]->closed, i == RELAY_DEVICE_CONNECTIONS_MAX);
    }
    world_free(w);
}
END_TEST

START_TEST(S12_changes_have_a_rate)
{
    core_config c = core_config_default();
    c.changes = (limiter_rate){ 10, 1000 };
    pair p = pair_new(&c);
    uint8_t token[32], hash[32];
    unsigned refused = 0;
    token_make("one more", token, hash);
    for (int i = 0; i < 12; i++) {
        frame f = tokens_of(TOKEN_DELIVERY, hash, NULL);
        hash[0]++;
        unsigned code = client_code(p.w, p.bobs, &f);
        ck_assert(code == 0 || code == ERROR_RATE);
        refused += code == ERROR_RATE;
    }
    ck_assert_uint_ge(refused, 2);
    ck_assert_uint_le(refused, 6); /* some were used to join */
    ck_assert_uint_eq(send_text(&p, "messages are no changes"), 0);
    world_free(p.w);
}
END_TEST

START_TEST(S12_slow_reader_keeps_memory_bounded)
{
    pair p = pair_new(NULL);
    static uint8_t big[16384];
    p.bobs->drains = false; /* its socket takes nothing */
    subscribe(&p, 256);
    uint64_t most = 0;
    for (int i = 0; i < 400; i++) {
        frame f = send_to(&p.bob, p.bob.token, big, sizeof big);
        ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
        uint64_t memory = counters(p.w).memory_bytes;
        most = memory > most ? memory : most;
    }
    ck_assert_uint_lt(most, 200 * 1024);
    ck_assert_uint_lt(p.bobs->undrained, 256 * 1024 + 20000);
    ck_assert(!p.bobs->closed);
    p.bobs->drains = true;
    unsigned n = 0;
    char text[64];
    for (int turn = 0; turn < 1000 && n < 400; turn++) {
        world_run(p.w);
        for (uint64_t number; (number = delivered(&p, text)); n++)
            acknowledge(&p, number);
    }
    ck_assert_uint_eq(n, 400);
    world_run(p.w);
    ck_assert_uint_eq(counters(p.w).queued_messages, 0);
    world_free(p.w);
}
END_TEST

START_TEST(a_client_that_never_reads_is_closed)
{
    pair p = pair_new(NULL);
    static uint8_t data[1024];
    p.sender->drains = false;
    int i = 0;
    for (; i < 5000 && !p.sender->closed; i++) {
        frame f = { .kind = FRAME_ECHO, .echo.data = { data, sizeof data } };
        client_say(p.w, p.sender, &f);
        for (unsigned j = 0; j < p.sender->got_count; j++)
            free(p.sender->got[j].body);
        p.sender->got_count = 0;
    }
    ck_assert(p.sender->closed);
    ck_assert_int_lt(i, 2100);
    world_free(p.w);
}
END_TEST

START_TEST(too_many_requests_at_once_close)
{
    pair p = pair_new(NULL);
    int i = 0;
    for (; i < 2000 && !p.sender->closed; i++) {
        frame f = { .kind = FRAME_LOOKUP, .lookup.name = { (const uint8_t *)"x", 1 } };
        client_say(p.w, p.sender, &f);
    }
    ck_assert_int_eq(i, RELAY_REQUESTS_PENDING_HARD + 1);
    world_free(p.w);
}
END_TEST

/* --- delivery ----------------------------------------------------------------------------------------------------------------------------- */
START_TEST(offline_messages_come_in_order_then_caught_up)
{
    pair p = pair_new(NULL);
    char text[64], want[64];
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "m%d", i);
        ck_assert_uint_eq(send_text(&p, text), 0);
    }
    world_pass_us(p.w, 86400ull * 1000000); /* a day later */
    subscribe(&p, 50);
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
            acknowledge(&p, last);
        }
        ck_assert_uint_le(n - before, 50); /* never more than the window */
        world_run(p.w);
    }
    ck_assert_uint_eq(caught_up, 1);
    ck_assert_uint_eq(send_text(&p, "live"), 0);
    ck_assert(delivered(&p, text));
    ck_assert_str_eq(text, "live");
    world_free(p.w);
}
END_TEST

START_TEST(an_empty_mailbox_is_caught_up_at_once)
{
    pair p = pair_new(NULL);
    subscribe(&p, 1);
    ck_assert_uint_eq(client_events(p.bobs, FRAME_CAUGHT_UP), 1);
    subscribe(&p, 1);
    ck_assert_uint_eq(client_events(p.bobs, FRAME_CAUGHT_UP), 0);
    world_free(p.w);
}
END_TEST

START_TEST(window_is_kept_live_and_nothing_is_skipped)
{
    pair p = pair_new(NULL);
    char text[64], want[64];
    subscribe(&p, 3);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "m%d", i);
        ck_assert_uint_eq(send_text(&p, text), 0);
    }
    for (int i = 0; i < 20; i++) {
        uint64_t number = delivered(&p, text);
        snprintf(want, sizeof want, "m%d", i);
        ck_assert_msg(number, "%s did not come", want);
        ck_assert_str_eq(text, want);
        acknowledge(&p, number);
        world_run(p.w);
    }
    ck_assert_uint_eq(delivered(&p, text), 0);
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
        ck_assert_uint_eq(send_text(&p, text), 0);
    }
    subscribe(&p, 10);
    for (int i = 0; i < 5; i++)
        number[i] = delivered(&p, text);
    acknowledge(&p, number[1]); /* out of order, twice, and one that nobody knows */
    acknowledge(&p, number[3]);
    acknowledge(&p, number[3]);
    acknowledge(&p, 12345);
    world_run(p.w);
    reconnect(&p);
    acknowledge(&p, number[0]); /* a number of the connection before means nothing on this one */
    subscribe(&p, 10);
    const char *const want[] = { "m0", "m2", "m4" };
    for (int i = 0; i < 3; i++) {
        ck_assert(delivered(&p, text));
        ck_assert_str_eq(text, want[i]);
    }
    ck_assert_uint_eq(delivered(&p, text), 0);
    world_crash(p.w, NULL);
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    subscribe(&p, 10);
    for (int i = 0; i < 3; i++) {
        ck_assert(delivered(&p, text));
        ck_assert_str_eq(text, want[i]);
    }
    world_free(p.w);
}
END_TEST

START_TEST(the_newer_connection_of_a_device_counts)
{
    pair p = pair_new(NULL);
    char text[64];
    subscribe(&p, 10);
    client *old = p.bobs;
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    subscribe(&p, 10);
    ck_assert(old->closed);
    ck_assert_uint_eq(send_text(&p, "here"), 0);
    ck_assert(delivered(&p, text));
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
    ck_assert_uint_eq(send_text(&p, "long"), 0);
    f = send_to(&p.bob, p.bob.token, "beyond the limit", 16); /* shortened to 30 days */
    f.send.ttl_s = UINT32_MAX;
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    world_pass_us(p.w, 4 * 3600 * 1000000ull);
    world_run(p.w);
    subscribe(&p, 10);
    ck_assert(delivered(&p, text));
    ck_assert_str_eq(text, "long");
    reconnect(&p);
    world_pass_us(p.w, (TACET_TTL_MAX_S + 7200) * 1000000ull);
    for (int i = 0; i < 5; i++) {
        world_run(p.w);
        world_pass_us(p.w, 2000000);
    }
    ck_assert_uint_eq(counters(p.w).queued_messages, 0);
    ck_assert_uint_eq(counters(p.w).queued_bytes, 0);
    ck_assert_uint_eq(counters(p.w).expired, 3);
    subscribe(&p, 10);
    ck_assert_uint_eq(delivered(&p, text), 0);
    world_free(p.w);
}
END_TEST

/* --- what "accepted" means ------------------------------------------------------------------------------------------------------------------- */
static unsigned oks(client *k)
{
    unsigned n = 0;
    while (client_hear(k, &reply))
        n += reply.kind == FRAME_OK;
    return n;
}

START_TEST(S01_no_accept_before_the_commit)
{
    pair p = pair_new(NULL);
    ck_assert_uint_eq(send_text(&p, "warm up the route"), 0);
    frame f = send_to(&p.bob, p.bob.token, "x", 1);
    client_say(p.w, p.sender, &f);
    ck_assert_uint_eq(oks(p.sender), 0);
    ck_assert(world_take(p.w));
    world_pass_us(p.w, 1000000);
    ck_assert_uint_eq(oks(p.sender), 0);
    world_done(p.w, TACET_OK);
    ck_assert_uint_eq(oks(p.sender), 1);
    world_free(p.w);
}
END_TEST

START_TEST(a_full_disk_is_told_and_nothing_is_half_there)
{
    pair p = pair_new(NULL);
    char text[64];
    ck_assert_uint_eq(send_text(&p, "before"), 0);
    frame f = send_to(&p.bob, p.bob.token, "lost", 4);
    client_say(p.w, p.sender, &f);
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_E_FULL);
    ck_assert(client_hear(p.sender, &reply));
    ck_assert_int_eq(reply.kind, FRAME_ERROR);
    ck_assert_uint_eq(reply.error.code, ERROR_QUOTA);
    ck_assert_uint_eq(counters(p.w).queued_messages, 1);
    ck_assert_uint_eq(send_text(&p, "after"), 0);
    subscribe(&p, 10);
    ck_assert(delivered(&p, text));
    ck_assert_str_eq(text, "before");
    ck_assert(delivered(&p, text));
    ck_assert_str_eq(text, "after");
    world_free(p.w);
}
END_TEST

/* A device that listens, with its acknowledgements known to be fast. */
static void quick_reader(pair *p)
{
    char text[64];
    subscribe(p, 100);
    for (int i = 0; i < 20; i++) {
        frame f = send_to(&p->bob, p->bob.token, "quick", 5);
        client_say(p->w, p->sender, &f);
        if (i == 0)
            world_run(p->w); /* the route is looked up */
        uint64_t number = delivered(p, text);
        ck_assert(number);
        world_pass_us(p->w, 300);
        acknowledge(p, number);
        world_run(p->w);
        world_pass_us(p->w, 300);
    }
    world_pass_us(p->w, 300);
    world_run(p->w);
    (void)oks(p->sender);
}

START_TEST(hand_off_pushes_at_once_and_never_writes)
{
    pair p = pair_new(NULL);
    char text[64];
    quick_reader(&p);
    core_counters before = counters(p.w);
    frame f = send_to(&p.bob, p.bob.token, "fast", 4);
    client_say(p.w, p.sender, &f);
    uint64_t number = delivered(&p, text); /* before anything was committed */
    ck_assert(number);
    ck_assert(!world_take(p.w)); /* held back */
    world_pass_us(p.w, 300);
    acknowledge(&p, number);
    ck_assert_uint_eq(oks(p.sender), 0); /* the accept waits for its tick */
    world_pass_us(p.w, RELAY_TICK_US);
    ck_assert_uint_eq(oks(p.sender), 1);
    world_run(p.w);
    core_counters after = counters(p.w);
    ck_assert_uint_eq(after.handed_off, before.handed_off + 1);
    ck_assert_uint_eq(after.committed, before.committed);
    ck_assert_uint_eq(after.queued_messages, 0);
    world_crash(p.w, NULL);
    ck_assert_uint_eq(counters(p.w).queued_messages, 0);
    world_free(p.w);
}
END_TEST

START_TEST(hand_off_that_gets_no_answer_is_written_in_time)
{
    pair p = pair_new(NULL);
    char text[64];
    quick_reader(&p);
    frame f = send_to(&p.bob, p.bob.token, "slow", 4);
    client_say(p.w, p.sender, &f);
    uint64_t number = delivered(&p, text);
    ck_assert(number);
    ck_assert(!world_take(p.w));
    world_pass_us(p.w, RELAY_HOLD_MAX_US);
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_OK);
    ck_assert_uint_eq(oks(p.sender), 1);
    acknowledge(&p, number); /* late, and still good: under the number it was delivered with */
    world_run(p.w);
    ck_assert_uint_eq(counters(p.w).queued_messages, 0);
    world_crash(p.w, NULL);
    ck_assert_uint_eq(counters(p.w).queued_messages, 0);
    world_free(p.w);
}
END_TEST

START_TEST(hand_off_acknowledged_while_it_is_being_written)
{
    pair p = pair_new(NULL);
    char text[64];
    subscribe(&p, 10);
    ck_assert_uint_eq(send_text(&p, "first"), 0);
    acknowledge(&p, delivered(&p, text));
    world_run(p.w);
    frame f = send_to(&p.bob, p.bob.token, "second", 6);
    client_say(p.w, p.sender, &f);
    uint64_t number = delivered(&p, text);
    ck_assert(number);
    world_pass_us(p.w, 5000);
    ck_assert(world_take(p.w)); /* with the committer now */
    acknowledge(&p, number);
    ck_assert_uint_eq(oks(p.sender), 0);
    world_done(p.w, TACET_OK);
    ck_assert_uint_eq(oks(p.sender), 1);
    world_run(p.w); /* its row is acknowledged */
    ck_assert_uint_eq(counters(p.w).queued_messages, 0);
    world_crash(p.w, NULL);
    ck_assert_uint_eq(counters(p.w).queued_messages, 0);
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    subscribe(&p, 10);
    ck_assert_uint_eq(delivered(&p, text), 0);
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
        frame f = send_to(&p.bob, p.bob.token, text, strlen(text));
        client_say(p.w, p.sender, &f);
    }
    ck_assert(!world_take(p.w));
    reconnect(&p);
    world_run(p.w);
    ck_assert_uint_eq(oks(p.sender), 3);
    world_crash(p.w, NULL);
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    subscribe(&p, 10);
    for (int i = 0; i < 3; i++) {
        char want[8];
        snprintf(want, sizeof want, "m%d", i);
        ck_assert(delivered(&p, text));
        ck_assert_str_eq(text, want);
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
    ck_assert_uint_eq(oks(p.sender), 1); /* carol's */
    f = (frame){ .kind = FRAME_SUBSCRIBE, .subscribe.credit = 10 };
    client_say(p.w, carols, &f);
    world_pass_us(p.w, RELAY_HOLD_MAX_US);
    world_run(p.w); /* bob's is written under a higher number than carol's: checked by world_take */
    ck_assert_uint_eq(client_events(carols, FRAME_DELIVER), 2);
    reconnect(&p);
    subscribe(&p, 10);
    ck_assert(delivered(&p, text));
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

static void say_letter(pair *p, const char *letter)
{
    frame f = send_to(&p->bob, p->bob.token, letter, 1);
    client_say(p->w, p->sender, &f);
}

/* A later message that is written takes the earlier ones of its mailbox with it, for whatever reason it is not held back itself. */
START_TEST(nothing_overtakes_a_held_message_when_the_window_is_full)
{
    pair p = pair_new(NULL);
    quick_reader(&p);
    for (int i = 0; i < 100; i++) /* the window of 100 */
        say_letter(&p, i == 99 ? "y" : "x");
    say_letter(&p, "z"); /* is not pushed, so it is not held */
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
    say_letter(&p, "x");
    uint64_t x = delivered(&p, text);
    say_letter(&p, "a");
    acknowledge(&p, x); /* after 0 us */
    world_pass_us(p.w, 10);
    say_letter(&p, "b");
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
    subscribe(&p, 100);
    say_letter(&p, "x");
    world_run(p.w);
    uint64_t x = delivered(&p, text);
    world_pass_us(p.w, RELAY_HOLD_MAX_US - 10);
    acknowledge(&p, x);
    world_run(p.w);
    world_pass_us(p.w, 900);
    say_letter(&p, "y"); /* held, and answered late */
    uint64_t y = delivered(&p, text);
    world_pass_us(p.w, RELAY_HOLD_MAX_US - 100);
    say_letter(&p, "a"); /* held */
    world_pass_us(p.w, 500);
    ck_assert_str_eq(next_group(p.w), "y");
    world_done(p.w, TACET_OK);
    acknowledge(&p, y); /* now the device counts as too slow */
    world_pass_us(p.w, 10);
    say_letter(&p, "b");
    ck_assert_str_eq(next_group(p.w), "ab");
    world_done(p.w, TACET_OK);
    world_free(p.w);
}
END_TEST

/* A random walk: senders, readers with small windows, disconnects, crashes, full disks. What was accepted comes, in order, until it is acknowledged. */
START_TEST(S01_random_walk_loses_nothing_and_keeps_order)
{
    enum { STEPS = 3000 };
    pair p = pair_new(NULL);
    env_seeded seeded;
    env_seeded_init(&seeded, 1000 + (uint64_t)_i, 0);
    unsigned sent = 0, seen = 0, crashes = 0;
    uint64_t held = 0; /* the walk must have seen messages held back */
    bool deaf = false; /* the device reads nothing: what was pushed is lost with the connection */
    static bool accepted[STEPS];
    static uint32_t id_of[STEPS];
    memset(accepted, 0, sizeof accepted);
    char text[64];
    for (int step = 0; step < STEPS; step++) {
        uint8_t r;
        env_random(&seeded.env, &r, 1);
        deaf = r % 16 ? deaf : !deaf;
        if (r < 90) {
            snprintf(text, sizeof text, "%u", sent);
            frame f = send_to(&p.bob, p.bob.token, text, strlen(text));
            id_of[sent++] = client_say(p.w, p.sender, &f);
        } else if (r < 120) {
            world_threads(p.w);
        } else if (r < 170) {
            world_pass_us(p.w, r % 3 ? 20 : r * 7u);
            if (!p.w->group)
                (void)world_take(p.w);
        } else if (r < 215 && p.w->group) {
            world_done(p.w, TACET_OK);
        } else if (r < 218 && p.w->group) {
            world_done(p.w, TACET_E_FULL);
        } else if (r < 235) {
            frame f = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = r % 5u };
            client_say(p.w, p.bobs, &f);
        } else if (r < 237) {
            world_threads(p.w);
            reconnect(&p);
        } else if (r == 237 && crashes < 5) {
            crashes++;
            held += counters(p.w).held;
            world_crash(p.w, NULL);
            p.sender = client_open(p.w, TACET_ROLE_OPEN, NULL, 2);
            p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
            memset(id_of, 0, sizeof id_of); /* what was not answered never will be */
        }
        while (client_hear(p.sender, &reply))
            for (unsigned i = 0; i < sent; i++)
                if (id_of[i] == reply.id && reply.kind == FRAME_OK)
                    accepted[i] = true;
        if (p.bobs->closed)
            reconnect(&p);
        for (uint64_t number; !deaf && (number = delivered(&p, text));) {
            unsigned which = (unsigned)strtoul(text, NULL, 10);
            if (which >= seen) { /* else: delivered again */
                for (unsigned i = seen; i < which; i++)
                    ck_assert_msg(!accepted[i], "step %d: %u was accepted and overtaken by %u", step, i, which);
                seen = which + 1;
            }
            if (r % 3)
                acknowledge(&p, number);
        }
    }
    held += counters(p.w).held;
    if (p.w->group)
        world_done(p.w, TACET_OK);
    reconnect(&p);
    subscribe(&p, 256);
    for (int turn = 0; turn < 200; turn++) {
        for (uint64_t number; (number = delivered(&p, text));) {
            unsigned which = (unsigned)strtoul(text, NULL, 10);
            for (unsigned i = seen; i < which; i++)
                ck_assert_msg(!accepted[i], "%u was accepted and never came", i);
            seen = which >= seen ? which + 1 : seen;
            acknowledge(&p, number);
        }
        world_pass_us(p.w, 3000);
        world_run(p.w);
    }
    for (unsigned i = seen; i < sent; i++)
        ck_assert_msg(!accepted[i], "%u was accepted and never came", i);
    ck_assert_uint_gt(sent, 500);
    ck_assert_uint_gt(held, 0);
    world_free(p.w);
}
END_TEST

/* --- the rest -------------------------------------------------------------------------------------------------------------------------------- */
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
    ck_assert_uint_eq(send_text(&p, "warm up"), 0);
    frame f = send_to(&p.bob, p.bob.token, "last", 4);
    client_say(p.w, p.sender, &f);
    core_stop(p.w->core);
    ck_assert(!core_idle(p.w->core));
    f.id = 0;
    client_say(p.w, p.sender, &f);
    ck_assert(client_hear(p.sender, &reply));
    ck_assert_uint_eq(reply.error.code, ERROR_STOPPING);
    world_run(p.w);
    ck_assert_uint_eq(oks(p.sender), 1);
    ck_assert(core_idle(p.w->core));
    world_free(p.w);
}
END_TEST

START_TEST(memory_is_given_back)
{
    pair p = pair_new(NULL);
    char text[64];
    uint64_t start = counters(p.w).memory_bytes;
    ck_assert_uint_eq(start, 0);
    subscribe(&p, 100);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(send_text(&p, "m"), 0);
    for (uint64_t number; (number = delivered(&p, text));)
        acknowledge(&p, number);
    world_run(p.w);
    client_close(p.w, p.bobs);
    world_run(p.w);
    ck_assert_uint_eq(counters(p.w).memory_bytes, 0);
    world_free(p.w);
}
END_TEST

SUITE("core", TEST(send_needs_a_token_and_one_answer_tells_nothing), TEST(M13_block_one_contact_the_others_stay),
      TEST(M13_block_while_a_message_is_being_resolved), TEST(request_queue_and_its_rate), TEST(S12_full_mailbox_tells_the_sender),
      TEST(S12_one_contact_does_not_fill_the_mailbox), TEST(S12_a_device_has_few_connections), TEST(S12_a_device_that_registers_has_few_connections),
      TEST(S12_changes_have_a_rate), TEST(S12_slow_reader_keeps_memory_bounded), TEST(a_client_that_never_reads_is_closed),
      TEST(too_many_requests_at_once_close), TEST(offline_messages_come_in_order_then_caught_up), TEST(an_empty_mailbox_is_caught_up_at_once),
      TEST(window_is_kept_live_and_nothing_is_skipped), TEST(S13_unacknowledged_comes_again_acknowledged_does_not),
      TEST(the_newer_connection_of_a_device_counts), TEST(ttl_expires_what_nobody_fetched), TEST(S01_no_accept_before_the_commit),
      TEST(a_full_disk_is_told_and_nothing_is_half_there), TEST(hand_off_pushes_at_once_and_never_writes),
      TEST(hand_off_that_gets_no_answer_is_written_in_time), TEST(hand_off_acknowledged_while_it_is_being_written),
      TEST(hand_off_to_a_device_that_hangs_up_is_written), TEST(a_held_message_holds_up_nobody_else),
      TEST(nothing_overtakes_a_held_message_when_the_window_is_full), TEST(nothing_overtakes_a_held_message_when_the_device_gets_faster),
      TEST(nothing_overtakes_a_held_message_when_the_device_gets_slower), LOOP(S01_random_walk_loses_nothing_and_keeps_order, 20),
      TEST(pipelined_requests_get_one_reply_each), TEST(stopping_finishes_what_it_accepted), TEST(memory_is_given_back))
