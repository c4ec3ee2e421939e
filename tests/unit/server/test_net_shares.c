/* What one address gets of a net process: connections, requests under way, requests a second; and who only holds a place is shown out. */
#include "net_world.h"
#include "server/limits.h"
#include "server/sources.h"
#include <netinet/tcp.h>

static net_options usual(void) { return (net_options){ .handshake_burst = 100000, .handshake_every_ms = 1 }; }

static void must_echo(client *c, uint32_t id)
{
    ck_assert(client_echo_send(c, id, 9));
    ck_assert_uint_eq(client_echo_receive(c), id);
}

/* --- the table ---------------------------------------------------------------------------------------------------------------------------- */
START_TEST(T12_shares_are_counted_back_to_zero)
{
    enum { MOST = 64, KEYS = 7 };
    sources s;
    uint32_t at[MOST], count;
    const source_limits l = { .connections = 16, .pending = 8, .requests = 4, .bytes = { 1000, 1000 } };
    ck_assert_int_eq(sources_new(&s, MOST, &l), TACET_OK);
    for (int round = 0; round < 50; round++) {
        for (count = 0; count < MOST; count++) {
            uint64_t key = (count % KEYS) * 128 + 5; /* the same row for all */
            at[count] = source_enter(&s, key);
            ck_assert_uint_lt(at[count], MOST);
            ck_assert_uint_eq(s.at[at[count]].key, key);
            source_greeted(&s, at[count]);
        }
        ck_assert_uint_eq(s.at[at[0]].connections, (MOST + KEYS - 1) / KEYS);
        for (uint32_t i = 0; i < MOST; i++)
            source_leave(&s, at[(i * 13 + (uint32_t)round) % MOST]);
    }
    for (count = 0; count < l.pending; count++)
        at[0] = source_enter(&s, 1);
    ck_assert_uint_eq(source_enter(&s, 1), UINT32_MAX); /* its share of handshakes */
    for (count = 0; count < l.pending; count++)
        source_greeted(&s, at[0]);
    for (count = l.pending; count < l.connections; count++) {
        ck_assert_uint_eq(source_enter(&s, 1), at[0]);
        source_greeted(&s, at[0]);
    }
    ck_assert_uint_eq(source_enter(&s, 1), UINT32_MAX); /* its share of connections */
    ck_assert_uint_ne(source_enter(&s, 2), UINT32_MAX);
    sources_free(&s);
}
END_TEST

START_TEST(T12_requests_and_their_bytes_have_a_share)
{
    sources s;
    const source_limits l = { .connections = 2, .pending = 2, .requests = 3, .bytes = { 1000, 2000 } };
    ck_assert_int_eq(sources_new(&s, 4, &l), TACET_OK);
    uint32_t a = source_enter(&s, 1), b = source_enter(&s, 2);
    for (int i = 0; i < 3; i++) {
        ck_assert(source_may_ask(&s, a, SOURCE_TALKS));
        source_ask(&s, a, SOURCE_TALKS, 10);
    }
    ck_assert(!source_may_ask(&s, a, SOURCE_TALKS));
    ck_assert(source_may_ask(&s, b, SOURCE_TALKS));
    source_answered(&s, a, SOURCE_TALKS, 1, 10);
    ck_assert(source_may_ask(&s, a, SOURCE_TALKS));
    source_ask(&s, b, SOURCE_TALKS, 1000);
    ck_assert(!source_may_ask(&s, b, SOURCE_TALKS));
    source_answered(&s, b, SOURCE_TALKS, 1, 1000);
    ck_assert(source_may_ask(&s, b, SOURCE_TALKS));
    source_ask(&s, b, SOURCE_TALKS, 1000);
    source_carries(&s, b, 1000); /* what asked for them carries chunks */
    ck_assert(source_may_ask(&s, b, SOURCE_TALKS));
    source_ask(&s, b, SOURCE_CARRIES, 1000);
    ck_assert(!source_may_ask(&s, b, SOURCE_CARRIES));
    ck_assert(source_may_ask(&s, b, SOURCE_TALKS));
    source_answered(&s, b, SOURCE_CARRIES, 1, 2000);
    ck_assert(source_may_ask(&s, b, SOURCE_CARRIES));
    sources_free(&s);
}
END_TEST

/* --- the process -------------------------------------------------------------------------------------------------------------------------- */
START_TEST(T12_one_address_leaves_room_for_others)
{
    net_options o = usual();
    o.slots = 40;
    o.address_connections = 10;
    world *w = world_start(&o, NULL);
    client *held[10], c;
    for (int i = 0; i < 10; i++)
        held[i] = client_new(w, i % 2 ? TACET_ROLE_OPEN : TACET_ROLE_MAILBOX, "127.0.0.5");
    for (int i = 0; i < 5; i++) {
        ck_assert(!client_try(&c, w, TACET_ROLE_OPEN, "127.0.0.5"));
        close(c.fd);
    }
    for (int i = 0; i < 3; i++) {
        client *other = client_new(w, TACET_ROLE_OPEN, i % 2 ? "127.0.0.6" : "127.0.0.7");
        must_echo(other, 1);
        client_free(other);
    }
    must_echo(held[3], 7); /* who is in is not concerned */
    client_free(held[0]);
    EVENTUALLY(w->closed == 4);
    pause_ms(30);
    held[0] = client_new(w, TACET_ROLE_OPEN, "127.0.0.5");
    must_echo(held[0], 8);
    EVENTUALLY(w->count[IPC_N_REFUSED_FULL] == 5);
    for (int i = 0; i < 10; i++)
        client_free(held[i]);
    world_end(w);
}
END_TEST

/* Store answers nobody: one address gets so much under way and no more, the others are not held up. What ends gives its share back. */
START_TEST(T12_one_address_has_its_share_of_requests)
{
    enum { CONNECTIONS = 6, EACH = 250, WHOLE = RELAY_ADDRESS_REQUESTS_MAX / EACH };
    const net_options o = usual();
    world *w = world_start(&o, NULL);
    client *greedy[CONNECTIONS];
    w->mute = true;
    for (int i = 0; i < CONNECTIONS; i++) {
        greedy[i] = client_new(w, TACET_ROLE_OPEN, "127.0.0.8");
        for (uint32_t id = 1; id <= EACH; id++)
            ck_assert(client_echo_send(greedy[i], id, 10));
        if (i < WHOLE) /* these are read to their end, so that net sees them go although nobody ever answers them */
            EVENTUALLY(w->frames == (uint64_t)EACH * (unsigned)(i + 1));
    }
    EVENTUALLY(w->frames == RELAY_ADDRESS_REQUESTS_MAX);
    pause_ms(100);
    ck_assert_uint_eq(w->frames, RELAY_ADDRESS_REQUESTS_MAX);
    w->mute = false;
    client *other = client_new(w, TACET_ROLE_OPEN, "127.0.0.9");
    must_echo(other, 1);
    client_free(other);
    ck_assert_uint_eq(w->frames, RELAY_ADDRESS_REQUESTS_MAX + 1);
    for (int i = 0; i < CONNECTIONS; i++)
        client_free(greedy[i]);
    pause_ms(50);
    client *again = client_new(w, TACET_ROLE_OPEN, "127.0.0.8");
    must_echo(again, 2);
    client_free(again);
    world_end(w);
}
END_TEST

/* Nothing is read from it, because its address has its share under way and store answers nobody: its end is noticed all the same. */
START_TEST(T12_who_leaves_while_it_may_not_ask_is_noticed)
{
    enum { WHOLE = RELAY_ADDRESS_REQUESTS_MAX / RELAY_REQUESTS_PENDING_MAX, UNREAD = 20 };
    net_options o = usual();
    o.stall_ms = 1000; /* and so often it looks */
    world *w = world_start(&o, NULL);
    client *greedy[WHOLE], *late = client_new(w, TACET_ROLE_MAILBOX, "127.0.0.13");
    w->mute = true;
    for (int i = 0; i < WHOLE; i++) {
        greedy[i] = client_new(w, TACET_ROLE_MAILBOX, "127.0.0.13");
        for (uint32_t id = 1; id <= RELAY_REQUESTS_PENDING_MAX; id++)
            ck_assert(client_echo_send(greedy[i], id, 10));
    }
    EVENTUALLY(w->frames == RELAY_ADDRESS_REQUESTS_MAX);
    for (uint32_t id = 1; id <= UNREAD; id++) {
        ck_assert(client_echo_send(late, id, 1000));
        pause_ms(2); /* not all in one buffer */
    }
    client_free(late);
    EVENTUALLY(w->by_reason[IPC_BY_PEER] == 1);
    ck_assert_uint_eq(w->frames, RELAY_ADDRESS_REQUESTS_MAX);
    for (int i = 0; i < WHOLE; i++)
        client_free(greedy[i]);
    EVENTUALLY(w->closed == WHOLE + 1);
    world_end(w);
}
END_TEST

static bool put_chunk(client *c, uint32_t id)
{
    static uint8_t chunk[TACET_CHUNK_BYTES], body[TACET_FRAME_MAX_BYTES], record[TACET_RECORD_MAX_BYTES];
    static frame f;
    size_t n = 0;
    f.kind = FRAME_PUT;
    f.id = id;
    f.put.blob = (view){ chunk, TACET_BLOB_ID_BYTES };
    f.put.chunk = (view){ chunk, sizeof chunk };
    ck_assert_int_eq(frame_encode(&f, body, sizeof body, &n), TACET_OK);
    return write_all(c->fd, record, seal_frame(c, record, body, n));
}

/* Chunks that store holds back, as it does for receivers that are watching, take up no share but their own: the receiver that sits behind the same address
 * still gets its word in. */
START_TEST(T12_chunks_that_wait_do_not_silence_their_address)
{
    enum { CONNECTIONS = 2, EACH = 200, MOST = RELAY_ADDRESS_CHUNK_BYTES_MAX / (int)TACET_CHUNK_BYTES + CONNECTIONS };
    const net_options o = usual();
    world *w = world_start(&o, NULL);
    client *sender[CONNECTIONS];
    w->mute = true;
    for (int i = 0; i < CONNECTIONS; i++) {
        sender[i] = client_new(w, TACET_ROLE_MAILBOX, "127.0.0.12");
        setsockopt(sender[i]->fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ .tv_sec = 1 }, sizeof(struct timeval));
        for (uint32_t id = 1; id <= EACH && put_chunk(sender[i], id); id++)
            ;
    }
    EVENTUALLY(w->frames > RELAY_ADDRESS_REQUEST_BYTES_MAX / (int)TACET_CHUNK_BYTES + CONNECTIONS);
    pause_ms(100);
    ck_assert_uint_le(w->frames, MOST);
    w->mute = false;
    client *receiver = client_new(w, TACET_ROLE_OPEN, "127.0.0.12");
    must_echo(receiver, 1);
    client_free(receiver);
    for (int i = 0; i < CONNECTIONS; i++)
        client_free(sender[i]);
    world_end(w);
}
END_TEST

START_TEST(T12_what_comes_too_fast_waits_and_is_answered)
{
    enum { ASKED = 15 };
    net_options o = usual();
    o.ask_burst = 10;
    o.ask_every_us = 100000;
    world *w = world_start(&o, NULL);
    client *fast = client_new(w, TACET_ROLE_OPEN, "127.0.0.10");
    uint64_t began = steady_ms();
    for (uint32_t id = 1; id <= ASKED; id++)
        ck_assert(client_echo_send(fast, id, 10));
    client *other = client_new(w, TACET_ROLE_OPEN, "127.0.0.11");
    must_echo(other, 1);
    for (uint32_t id = 1; id <= ASKED; id++)
        ck_assert_uint_eq(client_echo_receive(fast), id);
    ck_assert_uint_ge(steady_ms() - began, (ASKED - 10) * 100 - 100);
    EVENTUALLY(w->count[IPC_N_PARKED] > 0);
    client_free(fast);
    client_free(other);
    world_end(w);
}
END_TEST

START_TEST(T12_idle_open_connections_are_shown_out)
{
    net_options o = usual();
    o.open_idle_s = 1;
    world *w = world_start(&o, NULL);
    client *mailbox = client_new(w, TACET_ROLE_MAILBOX, NULL), *idle = client_new(w, TACET_ROLE_OPEN, NULL);
    must_echo(idle, 1);
    ck_assert(is_closed(idle->fd));
    EVENTUALLY(w->by_reason[IPC_BY_IDLE] == 1);
    must_echo(mailbox, 1); /* a device may wait for its mail as long as it likes */
    client_free(mailbox);
    client_free(idle);
    world_end(w);
}
END_TEST

/* It asks and never reads: net stops taking, then gives up. */
START_TEST(S12_who_takes_nothing_is_cut)
{
    enum { FRAMES = 40000 }; /* more than all buffers between the two hold */
    net_options o = usual();
    o.stall_ms = 1000;
    o.ask_every_us = 1;
    o.ask_burst = 1000000;
    world *w = world_start(&o, NULL);
    client *greedy = client_new(w, TACET_ROLE_MAILBOX, NULL);
    setsockopt(greedy->fd, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 }, sizeof(int));
    setsockopt(greedy->fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ .tv_sec = 1 }, sizeof(struct timeval));
    for (uint32_t id = 1; id <= FRAMES && client_echo_send(greedy, id, 1000); id++)
        ;
    EVENTUALLY(w->by_reason[IPC_BY_DEADLINE] == 1);
    client *other = client_new(w, TACET_ROLE_OPEN, NULL);
    must_echo(other, 1);
    client_free(other);
    client_free(greedy);
    world_end(w);
}
END_TEST

SUITE("net_shares", TEST(T12_shares_are_counted_back_to_zero), TEST(T12_requests_and_their_bytes_have_a_share),
      TEST(T12_one_address_leaves_room_for_others), TEST(T12_one_address_has_its_share_of_requests),
      TEST(T12_who_leaves_while_it_may_not_ask_is_noticed), TEST(T12_chunks_that_wait_do_not_silence_their_address),
      TEST(T12_what_comes_too_fast_waits_and_is_answered), TEST(T12_idle_open_connections_are_shown_out), TEST(S12_who_takes_nothing_is_cut))
