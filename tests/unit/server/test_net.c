/* The net process as a whole: what it lets through, what it cuts, what it survives. */
#include "net_world.h"
#include "server/limits.h"

static const net_options usual = { .handshake_burst = 100000, .handshake_every_ms = 1 };

START_TEST(both_roles_echo)
{
    world *w = world_start(&usual, NULL);
    static const tacet_role roles[] = { TACET_ROLE_MAILBOX, TACET_ROLE_OPEN };
    for (int i = 0; i < 2; i++) {
        client *c = client_new(w, roles[i], NULL);
        for (uint32_t id = 1; id <= 50; id++) {
            ck_assert(client_echo_send(c, id, id * 20));
            ck_assert_uint_eq(client_echo_receive(c), id);
        }
        client_free(c);
    }
    EVENTUALLY(w->closed == 2);
    ck_assert_uint_eq(w->opened, 2);
    ck_assert_uint_eq(w->frames, 100);
    ck_assert_uint_eq(w->by_reason[IPC_BY_PEER], 2);
    world_end(w);
}
END_TEST

/* Alone it comes by time, else before the next thing for its connection; a connection that ends meanwhile leaves its slot in order. */
START_TEST(what_is_in_no_hurry_comes_all_the_same)
{
    world *w = world_start(&(net_options){ .slots = 1, .handshake_burst = 1000, .handshake_every_ms = 1 }, NULL);
    for (unsigned i = 0; i < 5; i++) {
        client *c = client_new(w, TACET_ROLE_OPEN, NULL);
        unsigned before = w->frames;
        w->later = true;
        ck_assert(client_echo_send(c, 1, 1));
        ck_assert_uint_eq(client_echo_receive(c), 1);
        ck_assert(client_echo_send(c, 2, 700));
        EVENTUALLY(w->frames == before + 2);
        w->later = false;
        ck_assert(client_echo_send(c, 3, 1));
        ck_assert_uint_eq(client_echo_receive(c), 2);
        ck_assert_uint_eq(client_echo_receive(c), 3);
        w->later = true;
        ck_assert(client_echo_send(c, 4, 1));
        EVENTUALLY(w->frames == before + 4);
        client_free(c);
        EVENTUALLY(w->closed == i + 1);
        pause_ms(20);
    }
    world_end(w);
}
END_TEST
START_TEST(a_restarted_slot_has_a_new_generation)
{
    world *w = world_start(&(net_options){ .slots = 1, .handshake_burst = 1000, .handshake_every_ms = 1 }, NULL);
    for (unsigned i = 1; i <= 5; i++) {
        client *c = client_new(w, TACET_ROLE_OPEN, NULL);
        ck_assert(client_echo_send(c, 1, 1));
        ck_assert_uint_eq(client_echo_receive(c), 1);
        ck_assert_uint_eq(w->generation[0], i);
        client second;
        ck_assert(!client_try(&second, w, TACET_ROLE_OPEN, NULL)); /* full: closed at once */
        close(second.fd);
        client_free(c);
        EVENTUALLY(w->closed == i);
        pause_ms(20);
    }
    world_end(w);
}
END_TEST

START_TEST(T15_one_byte_at_a_time)
{
    world *w = world_start(&usual, NULL);
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    uint8_t body[1200], record[4096];
    size_t n = seal_frame(c, record, body, echo_body(body, sizeof body, 1, 300));
    n += seal_frame(c, record + n, body, echo_body(body, sizeof body, 2, 3));
    setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &(int){ 1 }, sizeof(int));
    for (size_t i = 0; i < n; i++) {
        ck_assert(write_all(c->fd, record + i, 1));
        if (i % 50 == 0)
            pause_ms(1);
    }
    ck_assert_uint_eq(client_echo_receive(c), 1);
    ck_assert_uint_eq(client_echo_receive(c), 2);
    client_free(c);
    world_end(w);
}
END_TEST

/* Many frames in one record, and many records in one write, while store is slow: all are answered, none is lost, and no more than the limit is asked. */
START_TEST(pipelined_requests_wait_their_turn)
{
    world *w = world_start(&usual, NULL);
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    static uint8_t all[2000 * 300], body[64];
    size_t n = 0;
    w->mute = true;
    for (uint32_t id = 1; id <= 1000; id++)
        n += seal_frame(c, all + n, body, echo_body(body, sizeof body, id, 5));
    ck_assert(write_all(c->fd, all, n));
    EVENTUALLY(w->frames == RELAY_REQUESTS_PENDING_MAX);
    pause_ms(100);
    ck_assert_uint_eq(w->frames, RELAY_REQUESTS_PENDING_MAX);
    client_free(c);
    EVENTUALLY(w->closed == 1 || w->count[IPC_N_ACCEPTED] == 1); /* it does not read, so it need not see the end at once */

    w->mute = false;
    c = client_new(w, TACET_ROLE_OPEN, NULL);
    n = 0;
    for (uint32_t id = 1; id <= 1000; id++)
        n += seal_frame(c, all + n, body, echo_body(body, sizeof body, id, 5));
    ck_assert(write_all(c->fd, all, n));
    for (uint32_t id = 1; id <= 1000; id++)
        ck_assert_uint_eq(client_echo_receive(c), id);
    client_free(c);
    EVENTUALLY(w->drained > 0);
    world_end(w);
}
END_TEST

/* ---- what is refused --------------------------------------------------------------------------------------------------------------------------- */
START_TEST(T03_foreign_version_is_answered_and_closed)
{
    world *w = world_start(&usual, NULL);
    uint8_t answer[8], low = 0, high = 0, m1[1300] = { 0 };
    int fd = dial(w, NULL);
    ck_assert(write_all(fd, "tacet\x07\x01\x00", 8) && write_all(fd, m1, sizeof m1)); /* what follows must not destroy the answer */
    ck_assert(read_all(fd, answer, 8));
    ck_assert(preamble_is_unsupported(answer, &low, &high) && low == 1 && high == 1);
    ck_assert(is_closed(fd));
    for (int i = 0; i < 3; i++, pause_ms(30)) /* nor does a reset, for as long as we may still be reading */
        ck_assert(write_all(fd, m1, 100));
    close(fd);
    fd = dial(w, NULL);
    ck_assert(write_all(fd, "GET / HTTP/1.1\r\n\r\n", 18));
    ck_assert(is_closed(fd));
    close(fd);
    ck_assert_uint_eq(w->opened, 0);
    world_end(w);
}
END_TEST

START_TEST(T14_long_lengths_are_cut_at_the_header)
{
    world *w = world_start(&usual, NULL);
    int fd = dial(w, NULL);
    ck_assert(write_all(fd, "tacet\x01\x01\x00\xff\xff", 10));
    ck_assert(is_closed(fd));
    close(fd);
    ck_assert_uint_eq(w->opened, 0);
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    ck_assert(write_all(c->fd, "\xff\xff", 2));
    ck_assert(is_closed(c->fd));
    client_free(c);
    EVENTUALLY(w->by_reason[IPC_BY_PROTOCOL] == 1);
    EVENTUALLY(w->count[IPC_N_ACCEPTED] == 2);
    ck_assert_uint_eq(w->count[IPC_N_DEADLINE], 0); /* by what it said, not because nothing more came */
    world_end(w);
}
END_TEST

START_TEST(T02_a_broken_first_message_is_closed_by_store)
{
    world *w = world_start(&usual, NULL);
    uint8_t m[10 + TACET_M1_BYTES] = { 't', 'a', 'c', 'e', 't', 1, 1, 0, TACET_M1_BYTES >> 8, TACET_M1_BYTES & 255, 9 };
    int fd = dial(w, NULL);
    ck_assert(write_all(fd, m, sizeof m));
    ck_assert(is_closed(fd));
    close(fd);
    EVENTUALLY(w->closed == 1);
    ck_assert_uint_eq(w->by_reason[IPC_BY_STORE], 1);
    world_end(w);
}
END_TEST

START_TEST(T11_commands_before_message_3)
{
    world *w = world_start(&usual, NULL);
    uint8_t m[2 + TACET_HANDSHAKE_MESSAGE_MAX_BYTES], own[32] = { 4 };
    handshake *h = NULL;
    int fd = dial(w, NULL);
    preamble_encode(m, 1, TACET_ROLE_MAILBOX);
    ck_assert_int_eq(handshake_initiator_new(&h, HANDSHAKE_XKHFS, env_system(), m, 8, own, w->public), TACET_OK);
    ck_assert(write_all(fd, m, 8) && write_all(fd, m, put_message(h, m)));
    ck_assert(read_all(fd, m, 2 + TACET_M2_BYTES));
    /* a record under zero keys, as if the handshake were over */
    record_key zero = { .counter = 0 };
    size_t n = 0;
    ck_assert_int_eq(record_seal(&zero, m, &n, (const uint8_t *)"\0\0\0\3\x92\x10\1", 7), TACET_OK);
    ck_assert(write_all(fd, m, n));
    ck_assert(is_closed(fd));
    EVENTUALLY(w->by_reason[IPC_BY_PROTOCOL] == 1);
    ck_assert_uint_eq(w->frames, 0);
    handshake_free(h);
    close(fd);
    world_end(w);
}
END_TEST

static const struct {
    const char *what, *body;
    size_t n;
} bad_frames[] = {
    { "ok, a reply", "\x92\x40\x01", 3 },
    { "deliver, an event of the relay", "\x97\x60\x00\x01\x01\xc4\x00\x00\xc4\x00", 10 },
    { "caught_up", "\x93\x61\x00\x01", 4 },
    { "not msgpack", "\xc1\xc1\xc1", 3 },
    { "not an array", "\xa3xyz", 4 },
    { "trailing byte", "\x92\x10\x01\x00", 4 },
    { "a length that lies", "\xdd\xff\x00\x00\x00", 5 },
};
START_TEST(T11_server_only_and_malformed_frames)
{
    world *w = world_start(&usual, NULL);
    uint8_t record[1024];
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    ck_assert(write_all(c->fd, record, seal_frame(c, record, (const uint8_t *)bad_frames[_i].body, bad_frames[_i].n)));
    ck_assert_msg(is_closed(c->fd), "%s", bad_frames[_i].what);
    client_free(c);
    EVENTUALLY(w->by_reason[IPC_BY_PROTOCOL] == 1);
    ck_assert_uint_eq(w->frames, 0);
    world_end(w);
}
END_TEST

/* Well-formed frames of an unknown kind, and mailbox commands on an open connection, reach store, which has the role from its own handshake. */
START_TEST(T16_store_decides_by_the_role_it_knows)
{
    world *w = world_start(&usual, NULL);
    uint8_t record[1024];
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    ck_assert(write_all(c->fd, record, seal_frame(c, record, (const uint8_t *)"\x93\x06\x01\x05", 4))); /* subscribe */
    EVENTUALLY(w->frames == 1);
    ck_assert_uint_eq(w->role[0], TACET_ROLE_OPEN);
    client_free(c);
    world_end(w);
}
END_TEST

static const char *const mischief[] = { "drop", "swap", "duplicate", "truncate", "flip" };
START_TEST(T08_mischief_on_the_wire)
{
    world *w = world_start(&usual, NULL);
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    uint8_t r[3][512], body[64];
    size_t n[3];
    for (uint32_t i = 0; i < 3; i++)
        n[i] = seal_frame(c, r[i], body, echo_body(body, sizeof body, i + 1, 5));
    static const int order[][4] = { { 0, 2, -1 }, { 0, 2, 1, -1 }, { 0, 0, -1 }, { 0, 1, 2, -1 }, { 0, 1, -1 } };
    if (_i == 3)
        n[1] -= 1;
    if (_i == 4)
        r[1][100] ^= 4;
    for (int k = 0; order[_i][k] >= 0; k++)
        ck_assert(write_all(c->fd, r[order[_i][k]], n[order[_i][k]]));
    uint32_t id = client_echo_receive(c);
    ck_assert_msg(id <= 1, "%s", mischief[_i]); /* the first one may have been answered; nothing behind it */
    if (id)
        ck_assert_uint_eq(client_echo_receive(c), 0);
    EVENTUALLY(w->by_reason[IPC_BY_PROTOCOL] == 1);
    ck_assert_uint_eq(w->frames, 1);
    client_free(c);
    world_end(w);
}
END_TEST

START_TEST(closing_by_store)
{
    world *w = world_start(&usual, NULL);
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    ck_assert(client_echo_send(c, 1, 9));
    ck_assert_uint_eq(client_echo_receive(c), 1);
    *(_i ? &w->hard_close : &w->polite_close) = true;
    ck_assert(client_echo_send(c, 2, 9));
    ck_assert(is_closed(c->fd));
    client_free(c);
    EVENTUALLY(w->by_reason[IPC_BY_STORE] == 1);
    world_end(w);
}
END_TEST

START_TEST(stop_ends_with_exit_code_0)
{
    world *w = world_start(&usual, NULL);
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    EVENTUALLY(w->opened == 1);
    const uint8_t stop[IPC_HEAD_BYTES] = { 0, 0, 0, 0, IPC_STOP };
    ck_assert(write_all(w->fd, stop, sizeof stop));
    ck_assert(is_closed(c->fd));
    client_free(c);
    ck_assert_int_eq(world_wait(w), 0);
    world_join(w);
}
END_TEST

START_TEST(nonsense_from_store_ends_the_process)
{
    world *w = world_start(&usual, NULL);
    EVENTUALLY(w->ready == 1);
    ck_assert(write_all(w->fd, (const uint8_t[IPC_HEAD_BYTES]){ 0, 0, 0, 1, IPC_FRAME_IN }, IPC_HEAD_BYTES));
    ck_assert_int_eq(world_wait(w), 1);
    world_join(w);
}
END_TEST

/* ---- load ------------------------------------------------------------------------------------------------------------------------------------------ */
START_TEST(T12_half_open_connections_are_cut_after_5_s)
{
    world *w = world_start(&usual, NULL);
    enum { HALF = 600 };
    static int fd[HALF];
    uint64_t began = steady_ms();
    static const char *const from[] = { "127.0.0.2", "127.0.0.3", "127.0.0.4" }; /* one alone would have its share only */
    for (int i = 0; i < HALF; i++) {
        fd[i] = dial(w, from[i / 2 % 3]);
        if (i % 3)
            ck_assert(write_all(fd[i], "tacet\x01\x01\x00\x04", i % 3 == 1 ? 3 : 9));
    }
    for (int i = 0; i < 20; i++) { /* others do not notice */
        uint64_t t = steady_ms();
        client *c = client_new(w, TACET_ROLE_OPEN, NULL);
        ck_assert(client_echo_send(c, 1, 9));
        ck_assert_uint_eq(client_echo_receive(c), 1);
        ck_assert_uint_lt(steady_ms() - t, 1000);
        client_free(c);
    }
    for (int i = 0; i < HALF; i++) {
        ck_assert(is_closed(fd[i]));
        close(fd[i]);
    }
    uint64_t took = steady_ms() - began;
    ck_assert_msg(took >= 4900 && took < 9000, "%llu ms", (unsigned long long)took);
    EVENTUALLY(w->count[IPC_N_DEADLINE] == HALF);
    world_end(w);
}
END_TEST

START_TEST(T13_a_flood_is_limited_by_address)
{
    world *w = world_start(&(net_options){ .handshake_burst = 10, .handshake_every_ms = 60000 }, NULL);
    client *steady = client_new(w, TACET_ROLE_MAILBOX, NULL);
    unsigned through = 0;
    for (int i = 0; i < 60; i++) {
        client c;
        through += client_try(&c, w, TACET_ROLE_OPEN, "127.0.0.3");
        close(c.fd);
    }
    ck_assert_uint_eq(through, 10);
    client *other = client_new(w, TACET_ROLE_OPEN, "127.0.0.4");
    ck_assert(client_echo_send(steady, 7, 9));
    ck_assert_uint_eq(client_echo_receive(steady), 7);
    EVENTUALLY(w->count[IPC_N_REFUSED_FULL] == 50);
    client_free(steady);
    client_free(other);
    world_end(w);
}
END_TEST

/* Connections die at every moment, with receives and sends in the ring. TACET_ROUNDS=100000 makes it the long one. */
START_TEST(P10_closing_with_operations_in_flight)
{
    world *w = world_start(&usual, NULL);
    const char *asked = getenv("TACET_ROUNDS");
    int rounds = asked ? (int)strtol(asked, NULL, 10) : 400;
    for (int round = 0; round < rounds; round++) {
        client c;
        struct linger hard = { .l_onoff = round % 2, .l_linger = 0 };
        if (round % 4 == 3) {
            c.fd = dial(w, NULL);
            (void)!write(c.fd, "tacet\1", (size_t)(round % 7));
        } else {
            ck_assert(client_try(&c, w, round % 3 ? TACET_ROLE_OPEN : TACET_ROLE_MAILBOX, NULL));
            for (uint32_t id = 1; id <= (uint32_t)round % 20; id++)
                ck_assert(client_echo_send(&c, id, 1000));
        }
        setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(c.fd);
    }
    EVENTUALLY(w->closed == w->opened && w->opened >= 300);
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    ck_assert(client_echo_send(c, 1, 9));
    ck_assert_uint_eq(client_echo_receive(c), 1);
    client_free(c);
    world_end(w);
}
END_TEST

START_TEST(P11_signal_storm)
{
    world *w = world_start(&usual, NULL);
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    static const int storm[] = { SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGPIPE, SIGQUIT };
    for (uint32_t id = 1; id <= 200; id++) {
        for (size_t k = 0; k < ROWS(storm); k++)
            kill(w->pid, storm[k]);
        ck_assert(client_echo_send(c, id, 9));
        ck_assert_uint_eq(client_echo_receive(c), id);
    }
    client_free(c);
    world_end(w);
}
END_TEST

static void few_descriptors(void)
{
    const struct rlimit l = { 40, 40 };
    setrlimit(RLIMIT_NOFILE, &l);
}
START_TEST(P12_out_of_descriptors_and_back)
{
    world *w = world_start(&usual, few_descriptors);
    static int fd[80];
    for (int i = 0; i < 80; i++)
        fd[i] = dial(w, NULL);
    pause_ms(300);
    for (int i = 0; i < 80; i++)
        close(fd[i]);
    client *c = client_new(w, TACET_ROLE_OPEN, NULL);
    ck_assert(client_echo_send(c, 1, 9));
    ck_assert_uint_eq(client_echo_receive(c), 1);
    client_free(c);
    world_end(w);
}
END_TEST

/* More comes than net may keep for store (0), or more at once than there are buffers (1), while store reads nothing. When it wakes up, all is answered. */
static void few_buffers(void) { setenv("TACET_RING_BUFFERS", "2", 1); }
START_TEST(P12_store_stands_still_and_buffers_run_dry)
{
    world *w = world_start(&usual, _i ? few_buffers : NULL);
    enum { CLIENTS = 300, EACH = 80 }; /* 25 MB; net keeps 16 MiB at the very most, and stops reading long before */
    static client *c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        c[i] = client_new(w, TACET_ROLE_OPEN, NULL);
    EVENTUALLY(w->opened == CLIENTS);
    w->deaf = true;
    for (uint32_t id = 1; id <= EACH; id++)
        for (int i = 0; i < CLIENTS; i++)
            ck_assert(client_echo_send(c[i], id, 1000));
    pause_ms(500);
    w->deaf = false;
    for (int i = 0; i < CLIENTS; i++) {
        for (uint32_t id = 1; id <= EACH; id++)
            ck_assert_uint_eq(client_echo_receive(c[i]), id);
        client_free(c[i]);
    }
    ck_assert_uint_eq(w->frames, CLIENTS * EACH);
    if (_i)
        EVENTUALLY(w->count[IPC_N_NO_BUFFERS] > 0);
    world_end(w);
}
END_TEST

/* A completion queue of four places under 200 clients that all speak at once, and go, and come again: what does not fit comes later, nothing is lost. */
static void few_completions(void) { setenv("TACET_RING_COMPLETIONS", "4", 1); }
START_TEST(P12_completion_queue_overflows)
{
    world *w = world_start(&usual, few_completions);
    enum { CLIENTS = 200, EACH = 10 };
    static client *c[CLIENTS];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < CLIENTS; i++)
            c[i] = client_new(w, TACET_ROLE_OPEN, NULL);
        for (uint32_t id = 1; id <= EACH; id++)
            for (int i = 0; i < CLIENTS; i++)
                ck_assert(client_echo_send(c[i], id, 500));
        for (int i = 0; i < CLIENTS; i++) {
            for (uint32_t id = 1; id <= EACH; id++)
                ck_assert_uint_eq(client_echo_receive(c[i]), id);
            client_free(c[i]);
        }
        EVENTUALLY(w->closed == (unsigned)(round + 1) * CLIENTS);
    }
    ck_assert_uint_eq(w->frames, 2 * CLIENTS * EACH);
    EVENTUALLY(w->count[IPC_N_OVERFLOW] > 0);
    world_end(w);
}
END_TEST

SUITE("net", TEST(both_roles_echo), TEST(what_is_in_no_hurry_comes_all_the_same), TEST(a_restarted_slot_has_a_new_generation),
      TEST(T15_one_byte_at_a_time), TEST(pipelined_requests_wait_their_turn), TEST(T03_foreign_version_is_answered_and_closed),
      TEST(T14_long_lengths_are_cut_at_the_header), TEST(T02_a_broken_first_message_is_closed_by_store), TEST(T11_commands_before_message_3),
      LOOP(T11_server_only_and_malformed_frames, ROWS(bad_frames)), TEST(T16_store_decides_by_the_role_it_knows),
      LOOP(T08_mischief_on_the_wire, ROWS(mischief)), LOOP(closing_by_store, 2), TEST(stop_ends_with_exit_code_0),
      TEST(nonsense_from_store_ends_the_process), TEST(T12_half_open_connections_are_cut_after_5_s), TEST(T13_a_flood_is_limited_by_address),
      TEST(P10_closing_with_operations_in_flight), TEST(P11_signal_storm), TEST(P12_out_of_descriptors_and_back),
      LOOP(P12_store_stands_still_and_buffers_run_dry, 2), TEST(P12_completion_queue_overflows))
