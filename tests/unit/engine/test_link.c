/* A link over real sockets on 127.0.0.1, with a relay's end in the same process and the same poll loop. The clock is the test's. */
#include "engine/link.h"
#include "responder.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

static env_seeded clock_and_dice;
static secret_arena *arena;
static uint8_t relay_secret[32] = { 1, 2, 3 };

static struct {
    int listener, peer;
    uint16_t port;
    responder r;
} server;

static struct {
    link_state states[16];
    unsigned count, frames;
    size_t total;
    wire_end why;
    relay_link *stop_at_frame, *stop_when_ready, *send_when_ready;
} seen;

static relay_link *l;

static void on_state(void *ctx, link_state state, wire_end why)
{
    ck_assert_ptr_eq(ctx, &seen);
    ck_assert_uint_lt(seen.count, ROWS(seen.states));
    seen.states[seen.count++] = state;
    seen.why = why;
    if (state == LINK_READY && seen.send_when_ready)
        ck_assert_int_eq(link_send(l, (const uint8_t *)"\x01\x02\x03", 3), TACET_OK);
    if (state == LINK_READY && seen.stop_when_ready)
        link_stop(l);
}

static void on_frame(void *ctx, const uint8_t *bytes, size_t n)
{
    ck_assert_ptr_eq(ctx, &seen);
    ck_assert(is_row(bytes, n));
    seen.frames++;
    seen.total += n;
    if (seen.stop_at_frame)
        link_stop(l);
}

static void listen_on_loopback(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    server.peer = -1;
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(server.listener, 0);
    ck_assert_int_eq(bind(server.listener, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(server.listener, 4), 0);
    ck_assert_int_eq(getsockname(server.listener, (struct sockaddr *)&at, &n), 0);
    server.port = ntohs(at.sin_port);
    responder_start(&server.r, &clock_and_dice.env, relay_secret);
}

static void begin(const char *host, tacet_role role)
{
    env_seeded_init(&clock_and_dice, 7, UINT64_C(1700000000000));
    if (!arena)
        ck_assert_int_eq(secret_arena_new(&arena, 4096), TACET_OK);
    memset(&seen, 0, sizeof seen);
    listen_on_loopback();
    static uint8_t client_secret[32] = { 9 };
    link_config c = {
        &clock_and_dice.env, arena, role, { .port = server.port }, role == TACET_ROLE_MAILBOX ? client_secret : NULL, on_state, on_frame, &seen
    };
    snprintf(c.relay.host, sizeof c.relay.host, "%s", host);
    crypto_scalarmult_base(c.relay.key, relay_secret);
    ck_assert_int_eq(link_new(&l, &c), TACET_OK);
}

static void finish(void)
{
    l = link_free(l);
    ck_assert_uint_eq(secret_in_use(arena), 0);
    responder_end(&server.r);
    close(server.listener);
    if (server.peer >= 0)
        close(server.peer);
}

static void serve(void)
{
    uint8_t bytes[4096];
    if (server.peer < 0)
        server.peer = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (server.peer < 0)
        return;
    for (ssize_t n = 0; (n = recv(server.peer, bytes, sizeof bytes, 0)) > 0;)
        responder_receive(&server.r, bytes, (size_t)n);
    while (server.r.out_bytes) {
        ssize_t n = send(server.peer, server.r.out, server.r.out_bytes, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        server.r.out_bytes -= (size_t)n;
        memmove(server.r.out, server.r.out + n, server.r.out_bytes);
    }
}

/* One round of the poll loop, with or without the relay. */
static void round_of(bool served)
{
    struct pollfd fd = { .fd = -1 };
    uint64_t deadline = UINT64_MAX;
    link_poll(l, &fd, &deadline);
    if (served)
        serve();
    int n = deadline <= env_mono_ms(&clock_and_dice.env) ? poll(&fd, 1, 0) : poll(&fd, 1, 5);
    link_run(l, n > 0 ? fd.revents : 0);
    if (served)
        serve();
}

static void until(link_state state, bool served)
{
    unsigned i = 0;
    for (; i < 4000 && link_state_of(l) != state; i++)
        round_of(served);
    ck_assert_msg(link_state_of(l) == state, "state %d after %u rounds", link_state_of(l), i);
}

/* Until it is idle again: the link must have got somewhere before. */
static void until_end(bool served)
{
    round_of(served);
    until(LINK_IDLE, served);
}

START_TEST(connects_and_carries)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost" };
    begin(hosts[_i & 1], _i & 2 ? TACET_ROLE_OPEN : TACET_ROLE_MAILBOX);
    struct pollfd fd;
    uint64_t deadline = UINT64_MAX;
    link_poll(l, &fd, &deadline);
    ck_assert(fd.fd == -1 && deadline == UINT64_MAX); /* not started: nothing to do */
    round_of(true);
    ck_assert_uint_eq(seen.count, 0);
    link_start(l);
    link_poll(l, &fd, &deadline);
    ck_assert_uint_eq(deadline, 0);
    static uint8_t big[100000];
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)i;
    ck_assert_int_eq(link_send(l, big, sizeof big), TACET_OK); /* waits */
    until(LINK_READY, true);
    static const link_state way[] = { LINK_RESOLVING, LINK_CONNECTING, LINK_HANDSHAKE, LINK_READY };
    ck_assert_uint_eq(seen.count, 4);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(seen.states[i], way[i]);
    for (unsigned i = 0; i < 100 && server.r.frame_total < sizeof big; i++)
        round_of(true);
    ck_assert_uint_eq(server.r.frame_total, sizeof big);
    ck_assert_mem_eq(link_handshake_hash(l), server.r.hash, 64);
    responder_put_frame(&server.r, big, sizeof big);
    responder_put_frame(&server.r, big, 1);
    for (unsigned i = 0; i < 100 && seen.frames < 2; i++)
        round_of(true);
    ck_assert_uint_eq(seen.total, sizeof big + 1);
    close(server.peer);
    server.peer = -1;
    until(LINK_IDLE, false);
    ck_assert_int_eq(seen.why, WIRE_END_CLOSED);
    ck_assert_uint_eq(seen.count, 5);
    link_start(l); /* once */
    round_of(true);
    ck_assert_uint_eq(seen.count, 5);
    ck_assert_int_eq(link_send(l, big, 1), TACET_E_TRANSPORT);
    finish();
}
END_TEST

START_TEST(nobody_listens)
{
    begin("127.0.0.1", TACET_ROLE_OPEN);
    close(server.listener);
    server.listener = -1;
    link_start(l);
    until_end(false);
    ck_assert_int_eq(seen.why, WIRE_END_UNREACHABLE);
    ck_assert_int_eq(link_errno(l), ECONNREFUSED);
    finish();
}
END_TEST

START_TEST(no_such_host)
{
    begin("no-such-host..invalid", TACET_ROLE_OPEN); /* an empty label: nobody is asked for that */
    link_start(l);
    round_of(false);
    ck_assert_int_eq(seen.states[0], LINK_RESOLVING);
    until(LINK_IDLE, false);
    ck_assert_int_eq(seen.why, WIRE_END_UNRESOLVED);
    finish();
}
END_TEST

START_TEST(freed_while_the_name_is_looked_up)
{
    for (unsigned i = 0; i < 20; i++) {
        begin(i & 1 ? "localhost" : "no-such-host..invalid", TACET_ROLE_OPEN);
        link_start(l);
        round_of(false);
        finish();
    }
}
END_TEST

START_TEST(a_silent_relay_is_given_up_after_5_seconds)
{
    begin("127.0.0.1", TACET_ROLE_MAILBOX);
    link_start(l);
    until(LINK_HANDSHAKE, false);
    round_of(false);
    env_seeded_advance(&clock_and_dice, 4999);
    round_of(false);
    ck_assert_int_eq(link_state_of(l), LINK_HANDSHAKE);
    struct pollfd fd;
    uint64_t deadline = UINT64_MAX;
    link_poll(l, &fd, &deadline);
    ck_assert_uint_eq(deadline, env_mono_ms(&clock_and_dice.env) + 1);
    env_seeded_advance(&clock_and_dice, 1);
    round_of(false);
    ck_assert_int_eq(link_state_of(l), LINK_IDLE);
    ck_assert_int_eq(seen.why, WIRE_END_DEADLINE);
    link_poll(l, &fd, &deadline);
    ck_assert_int_eq(fd.fd, -1);
    finish();
}
END_TEST

START_TEST(T04_another_key_is_told_apart)
{
    begin("127.0.0.1", TACET_ROLE_MAILBOX);
    static uint8_t other[32] = { 200 };
    server.r.secret = other;
    link_start(l);
    for (unsigned i = 0; i < 400 && server.r.state != RESPONDER_CLOSED; i++)
        round_of(true);
    close(server.peer); /* as tacetd does: without a word */
    server.peer = -1;
    until(LINK_IDLE, false);
    ck_assert_int_eq(seen.why, WIRE_END_CLOSED_EARLY);
    finish();
}
END_TEST

START_TEST(T03_a_version_answer_ends_it)
{
    begin("127.0.0.1", TACET_ROLE_MAILBOX);
    link_start(l);
    until(LINK_HANDSHAKE, false);
    uint8_t answer[TACET_PREAMBLE_BYTES];
    preamble_unsupported(answer, 4, 6);
    server.peer = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_eq(send(server.peer, answer, sizeof answer, 0), (int)sizeof answer);
    close(server.peer); /* with our first message unread: a reset is on its way as well */
    server.peer = -1;
    until(LINK_IDLE, false);
    ck_assert_int_eq(seen.why, WIRE_END_VERSION);
    ck_assert_int_eq(accept4(server.listener, NULL, NULL, SOCK_NONBLOCK), -1); /* no second try */
    finish();
}
END_TEST

/* Callbacks may stop the link; nothing is called afterwards. */
START_TEST(stopped_from_a_callback)
{
    begin("127.0.0.1", TACET_ROLE_OPEN);
    link_start(l);
    seen.send_when_ready = l;
    until(LINK_READY, true);
    for (unsigned i = 0; i < 100 && !server.r.frame_count; i++)
        round_of(true);
    ck_assert_uint_eq(server.r.frame_total, 3); /* what was sent from on_state */
    seen.stop_at_frame = l;
    uint8_t two[] = { 0, 0, 0, 1, 5, 0, 0, 0, 1, 6 };
    responder_put_record(&server.r, two, sizeof two);
    unsigned before = seen.count;
    until(LINK_IDLE, true);
    ck_assert_uint_eq(seen.frames, 1);
    ck_assert_uint_eq(seen.count, before);
    finish();
    begin("127.0.0.1", TACET_ROLE_OPEN);
    link_start(l);
    seen.stop_when_ready = l;
    until_end(true);
    ck_assert_uint_eq(seen.count, 4);
    round_of(true);
    ck_assert_uint_eq(seen.count, 4);
    finish();
}
END_TEST

SUITE("link", LOOP(connects_and_carries, 4), TEST(nobody_listens), TEST(no_such_host), TEST(freed_while_the_name_is_looked_up),
      TEST(a_silent_relay_is_given_up_after_5_seconds), TEST(T04_another_key_is_told_apart), TEST(T03_a_version_answer_ends_it),
      TEST(stopped_from_a_callback))
