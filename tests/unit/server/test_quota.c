/* What nobody can have more of than his share, and that what is used is given back. */
#include "core_pair.h"
#include "suite.h"
#include <string.h>

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
    ck_assert_uint_eq(pair_send(&p, "a contact is not held up by strangers"), 0);
    pair_subscribe(&p, 100);
    for (uint64_t number; (number = pair_delivered(&p, text));)
        pair_acknowledge(&p, number);
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

START_TEST(S12_full_mailbox_tells_the_sender)
{
    core_config c = core_config_default();
    c.mailbox_messages = 5;
    c.mailbox_bytes = 65536;
    pair p = pair_new(&c);
    static uint8_t big[TACET_ENVELOPE_MAX_BYTES];
    char text[64];
    for (int i = 0; i < 7; i++)
        ck_assert_uint_eq(pair_send(&p, "m"), i < 5 ? 0 : ERROR_QUOTA);
    world_crash(p.w, &c); /* the quota is known after a crash as well */
    p.sender = client_open(p.w, TACET_ROLE_OPEN, NULL, 2);
    p.bobs = client_open(p.w, TACET_ROLE_MAILBOX, &p.bob, 7);
    ck_assert_uint_eq(pair_send(&p, "m"), ERROR_QUOTA);
    pair_subscribe(&p, 10);
    for (uint64_t number; (number = pair_delivered(&p, text));)
        pair_acknowledge(&p, number);
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

/* Whoever has a key and no account holds a place for a minute. Who registers in time stays, and so does who was known from the beginning. */
START_TEST(T12_a_stranger_in_a_mailboxs_role_is_shown_out)
{
    enum { STRANGERS = 4 };
    pair p = pair_new(NULL);
    world *w = p.w;
    client *k[STRANGERS];
    person late[STRANGERS];
    uint8_t proof[64];
    frame f, info = { .kind = FRAME_INFO };
    for (int i = 0; i < STRANGERS; i++) {
        person_make(&late[i], w->wall_ms / 1000);
        k[i] = client_open(w, TACET_ROLE_MAILBOX, &late[i], 7);
        ck_assert(k[i]->ready && !k[i]->closed);
        world_pass_us(w, 1000000);
    }
    f = person_register(&late[1], k[1]->hash, proof); /* out of the middle */
    ck_assert_uint_eq(client_code(w, k[1], &f), 0);
    client_close(w, k[3]);
    world_pass_us(w, (RELAY_STRANGER_MS - STRANGERS * 1000) * 1000ull - 1);
    client_ask(w, k[0], &info, &f); /* asking buys nothing */
    ck_assert(!k[0]->closed);
    world_pass_us(w, 1);
    ck_assert(k[0]->closed && !k[2]->closed);
    world_pass_us(w, 2000000);
    ck_assert(k[2]->closed);
    world_pass_us(w, 10ull * RELAY_STRANGER_MS * 1000);
    ck_assert(!k[1]->closed && !p.bobs->closed && !p.sender->closed);
    world_free(w);
}
END_TEST

/* No disk has a pebibyte free: what is left is for mailboxes in which little waits. */
START_TEST(S12_a_full_disk_is_for_those_who_have_little)
{
    core_config config = core_config_default();
    config.message_free_mib = 1 << 30;
    pair p = pair_new(&config);
    static uint8_t large[RELAY_SCARCE_LEAST_BYTES / 4];
    world_pass_us(p.w, 2000000); /* cleaning looks */
    world_run(p.w);
    frame f = send_to(&p.bob, p.bob.token, large, sizeof large);
    for (int i = 0; i < 3; i++, f.id = 0)
        ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), ERROR_QUOTA);
    ck_assert_uint_eq(pair_send(&p, "a short one"), 0);
    config.message_free_mib = 0;
    core_configure(p.w->core, &config);
    f.id = 0;
    ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
    world_free(p.w);
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
    ck_assert_uint_eq(pair_send(&p, "messages are no changes"), 0);
    world_free(p.w);
}
END_TEST

START_TEST(S12_slow_reader_keeps_memory_bounded)
{
    pair p = pair_new(NULL);
    static uint8_t big[16384];
    p.bobs->drains = false; /* its socket takes nothing */
    pair_subscribe(&p, 256);
    uint64_t most = 0;
    for (int i = 0; i < 400; i++) {
        frame f = send_to(&p.bob, p.bob.token, big, sizeof big);
        ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
        uint64_t memory = world_counters(p.w).memory_bytes;
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
        for (uint64_t number; (number = pair_delivered(&p, text)); n++)
            pair_acknowledge(&p, number);
    }
    ck_assert_uint_eq(n, 400);
    world_run(p.w);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 0);
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
        client_forget(p.sender);
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

START_TEST(memory_is_given_back)
{
    pair p = pair_new(NULL);
    char text[64];
    uint64_t start = world_counters(p.w).memory_bytes;
    ck_assert_uint_eq(start, 0);
    pair_subscribe(&p, 100);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(pair_send(&p, "m"), 0);
    for (uint64_t number; (number = pair_delivered(&p, text));)
        pair_acknowledge(&p, number);
    world_run(p.w);
    client_close(p.w, p.bobs);
    world_pass_us(p.w, RELAY_ACK_GATHER_US);
    world_run(p.w);
    ck_assert_uint_eq(world_counters(p.w).memory_bytes, 0);
    ck_assert_uint_eq(world_counters(p.w).window_memory_bytes, 0);
    world_free(p.w);
}
END_TEST

SUITE("quota", TEST(request_queue_and_its_rate), TEST(S12_full_mailbox_tells_the_sender), TEST(S12_one_contact_does_not_fill_the_mailbox),
      TEST(S12_a_device_has_few_connections), TEST(S12_a_device_that_registers_has_few_connections),
      TEST(T12_a_stranger_in_a_mailboxs_role_is_shown_out), TEST(S12_a_full_disk_is_for_those_who_have_little), TEST(S12_changes_have_a_rate),
      TEST(S12_slow_reader_keeps_memory_bounded), TEST(a_client_that_never_reads_is_closed), TEST(too_many_requests_at_once_close),
      TEST(memory_is_given_back))
