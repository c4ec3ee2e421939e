/* The gate: a net process that lies gets nothing (P14). The test is the net; handshakes are real, the store behind the core is not there: a login
 * finds nobody. */
#include "base/writer.h"
#include "server/gate.h"
#include "suite.h"
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 2 };

typedef struct {
    gate *gate;
    core *core;
    uint8_t secret[32], public[32];
    ipc_queue queue[WORKERS];
    handshake_work *work[5000];
    unsigned works;
    uint64_t ms;
    uint8_t login_key[32]; /* the transport key of the last login */
} scene;

static void port_handshake(void *ctx, handshake_work *w) { ((scene *)ctx)->work[((scene *)ctx)->works++] = w; }
static ipc_queue *port_queue(void *ctx, uint32_t worker) { return &((scene *)ctx)->queue[worker]; }
static uint64_t port_ms(void *ctx) { return ((scene *)ctx)->ms; }
static void port_ready(void *ctx, core_peer to) { gate_ready(((scene *)ctx)->gate, to); }
static void port_close(void *ctx, core_peer to, bool flush) { gate_close(((scene *)ctx)->gate, to, flush); }
static void port_out(void *ctx, core_peer to, const uint8_t *stream, size_t n, unsigned replies)
{
    gate_out(((scene *)ctx)->gate, to, stream, n, replies);
}
static void port_verify(void *ctx, request_job *r)
{
    (void)ctx;
    directory_verify(r);
    ck_abort_msg("nothing here is registered");
}
static void port_backlog(void *ctx, backlog_job *b)
{
    (void)ctx, (void)b;
    ck_abort_msg("nothing here listens");
}

static scene *scene_new(void)
{
    scene *s = calloc(1, sizeof *s);
    core_ports cp = { s, port_ready, port_out, port_close, port_verify, NULL, port_backlog };
    gate_ports gp = { s, port_handshake, port_queue, port_ms };
    core_options o = { .config = core_config_default() };
    randombytes_buf(s->secret, 32);
    crypto_scalarmult_base(s->public, s->secret);
    for (int i = 0; i < WORKERS; i++)
        ipc_queue_init(&s->queue[i], 16 << 20);
    ck_assert_int_eq(core_new(&s->core, &o, &cp), TACET_OK);
    ck_assert_int_eq(gate_new(&s->gate, WORKERS, s->secret, o.salt, (limiter_rate){ 10000, 1 }, &gp), TACET_OK);
    gate_set_core(s->gate, s->core);
    core_time(s->core, 1000000, 1800000000000ull);
    return s;
}

static void scene_free(scene *s)
{
    for (unsigned i = 0; i < s->works; i++)
        handshake_work_free(s->work[i]);
    core_free(s->core);
    gate_free(s->gate);
    for (int i = 0; i < WORKERS; i++)
        ipc_queue_free(&s->queue[i]);
    free(s);
}

static int say(scene *s, uint32_t worker, ipc_type type, uint32_t slot, uint32_t generation, const void *payload, size_t n)
{
    ipc_message m = { type, slot, generation, payload, n };
    return gate_message(s->gate, worker, &m);
}

static void ready(scene *s)
{
    for (uint32_t w = 0; w < WORKERS; w++)
        ck_assert_int_eq(say(s, w, IPC_READY, 0, 0, "\0\0\0\x0f", 4), TACET_OK);
}

/* What the threads and the committer would do. */
static void settle(scene *s)
{
    while (s->works) {
        handshake_work *w = s->work[--s->works];
        handshake_run(&w->work);
        gate_handshake_done(s->gate, w);
    }
    for (job *list; (list = core_take_group(s->core));) {
        for (job *j = list; j; j = j->next) {
            j->status = TACET_OK;
            if (j->kind == JOB_LOGIN)
                memcpy(s->login_key, ((login_job *)j)->transport_key, 32);
            else if (j->kind == JOB_REQUEST)
                ((request_job *)j)->error = ERROR_NOT_FOUND;
        }
        core_group_done(s->core, list, TACET_OK);
    }
}

/* The next message of store to this worker, or a type of 0. The payload is a copy. */
static ipc_message heard(scene *s, uint32_t worker)
{
    static uint8_t copy[IPC_MESSAGE_MAX_BYTES];
    ipc_message m = { 0 };
    size_t at = 0, n = s->queue[worker].used;
    if (n == 0)
        return m;
    memcpy(copy, ipc_queued(&s->queue[worker]), n < sizeof copy ? n : sizeof copy);
    ck_assert_int_eq(ipc_next(&m, IPC_FROM_STORE, copy, n, &at), TACET_OK);
    ipc_written(&s->queue[worker], at);
    return m;
}

static handshake *initiator(const scene *s, tacet_role role, const uint8_t *tk)
{
    uint8_t prologue[TACET_PREAMBLE_BYTES];
    handshake *h;
    preamble_encode(prologue, TACET_WIRE_VERSION, role);
    ck_assert_int_eq(handshake_initiator_new(&h, role == TACET_ROLE_MAILBOX ? HANDSHAKE_XKHFS : HANDSHAKE_NKHFS, env_system(), prologue,
                                             sizeof prologue, role == TACET_ROLE_MAILBOX ? tk : NULL, s->public),
                     TACET_OK);
    return h;
}

static int say_handshake(scene *s, uint32_t worker, uint32_t slot, uint32_t generation, unsigned role, handshake *h)
{
    uint8_t payload[1 + TACET_HANDSHAKE_MESSAGE_MAX_BYTES] = { (uint8_t)role };
    size_t n = handshake_message_bytes(h);
    ck_assert_int_eq(handshake_write(h, payload + 1), TACET_OK);
    return say(s, worker, IPC_HANDSHAKE_IN, slot, generation, payload, 1 + n);
}

static void expect_type(scene *s, uint32_t worker, ipc_type want, uint32_t slot, uint32_t generation, ipc_message *m)
{
    *m = heard(s, worker);
    ck_assert_int_eq(m->type, want);
    ck_assert_uint_eq(m->slot, slot);
    ck_assert_uint_eq(m->generation, generation);
}

/* An open mailbox connection of an unknown device in a slot. */
static void connect_mailbox(scene *s, uint32_t worker, uint32_t slot, uint32_t generation, uint8_t tk_public[32])
{
    uint8_t tk[32];
    ipc_message m;
    handshake_keys mine;
    randombytes_buf(tk, 32);
    crypto_scalarmult_base(tk_public, tk);
    handshake *h = initiator(s, TACET_ROLE_MAILBOX, tk);
    ck_assert_int_eq(say(s, worker, IPC_OPENED, slot, generation, "address!", 8), TACET_OK);
    ck_assert_int_eq(say_handshake(s, worker, slot, generation, 1, h), TACET_OK);
    settle(s);
    expect_type(s, worker, IPC_HANDSHAKE_OUT, slot, generation, &m);
    ck_assert_int_eq(handshake_read(h, m.payload, m.bytes), TACET_OK);
    ck_assert_int_eq(say_handshake(s, worker, slot, generation, 1, h), TACET_OK);
    settle(s);
    expect_type(s, worker, IPC_KEYS, slot, generation, &m);
    ck_assert_int_eq(handshake_split(h, &mine), TACET_OK);
    ck_assert_mem_eq(m.payload, mine.receive, 32);
    ck_assert_mem_eq(m.payload + 32, mine.send, 32);
    ck_assert_int_eq(heard(s, worker).type, 0);
    handshake_free(h);
}

static const uint8_t echo[] = { 0x93, 0x11, 0x07, 0xc4, 0x02, 'h', 'i' };

START_TEST(P14_an_honest_net_is_served)
{
    scene *s = scene_new();
    uint8_t tk[32];
    ipc_message m;
    ready(s);
    connect_mailbox(s, 0, 3, 1, tk);
    ck_assert_mem_eq(s->login_key, tk, 32); /* from the handshake: no message of net has a place for it */
    ck_assert_int_eq(say(s, 0, IPC_FRAME_IN, 3, 1, echo, sizeof echo), TACET_OK);
    expect_type(s, 0, IPC_FRAME_OUT, 3, 1, &m);
    ck_assert_uint_eq(m.payload[1], 1); /* one reply */
    ck_assert_int_eq(say(s, 0, IPC_DRAINED, 3, 1, "\0\0\0\x05", 4), TACET_OK);
    ck_assert_int_eq(say(s, 0, IPC_CLOSED, 3, 1, "\0", 1), TACET_OK);
    connect_mailbox(s, 0, 3, 2, tk);
    scene_free(s);
}
END_TEST

/* What is said in a state of the slot in which no honest net says it. */
START_TEST(P14_frames_only_after_the_handshake)
{
    scene *s = scene_new();
    uint8_t tk[32], answer[TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    handshake *h = initiator(s, TACET_ROLE_MAILBOX, s->secret);
    ready(s);
    ck_assert_int_eq(say(s, 0, IPC_FRAME_IN, 0, 1, echo, sizeof echo), TACET_E_REFUSED); /* never opened */
    ck_assert_int_eq(say(s, 0, IPC_OPENED, 0, 1, "address!", 8), TACET_OK);
    ck_assert_int_eq(say(s, 0, IPC_FRAME_IN, 0, 1, echo, sizeof echo), TACET_E_REFUSED);
    ck_assert_int_eq(say_handshake(s, 0, 0, 1, 1, h), TACET_OK);
    ck_assert_int_eq(say(s, 0, IPC_FRAME_IN, 0, 1, echo, sizeof echo), TACET_E_REFUSED); /* a thread works on it */
    settle(s);
    ipc_message m;
    expect_type(s, 0, IPC_HANDSHAKE_OUT, 0, 1, &m);
    m.payload = memcpy(answer, m.payload, m.bytes);
    ck_assert_int_eq(say(s, 0, IPC_FRAME_IN, 0, 1, echo, sizeof echo), TACET_E_REFUSED); /* the third message is missing */
    ck_assert_int_eq(heard(s, 0).type, 0);
    ck_assert_int_eq(handshake_read(h, m.payload, m.bytes), TACET_OK);
    ck_assert_int_eq(say_handshake(s, 0, 0, 1, 1, h), TACET_OK);
    handshake_work *third = s->work[--s->works];
    handshake_run(&third->work);
    gate_handshake_done(s->gate, third);
    ck_assert_int_eq(say(s, 0, IPC_FRAME_IN, 0, 1, echo, sizeof echo), TACET_E_REFUSED); /* the store looks whose key it is */
    settle(s);
    expect_type(s, 0, IPC_KEYS, 0, 1, &m);
    handshake_free(h);
    connect_mailbox(s, 0, 9, 1, tk);
    ck_assert_int_eq(say(s, 0, IPC_HANDSHAKE_IN, 9, 1, "\x01x", 2), TACET_E_REFUSED); /* and afterwards no handshake */
    core_counters n;
    core_count(s->core, &n);
    ck_assert_uint_eq(n.requests, 0);
    scene_free(s);
}
END_TEST

START_TEST(P14_another_slot_generation_or_worker)
{
    scene *s = scene_new();
    uint8_t tk[32];
    static const struct {
        const char *what;
        uint32_t worker, slot, generation;
    } row[] = { { "another slot", 0, 4, 5 },
                { "the generation before", 0, 3, 4 },
                { "the next generation", 0, 3, 6 },
                { "another worker", 1, 3, 5 },
                { "a slot far away", 0, 65535, 5 } };
    ready(s);
    for (size_t i = 0; i < ROWS(row); i++) {
        if (i == 0)
            connect_mailbox(s, 0, 3, 5, tk);
        int got = say(s, row[i].worker, IPC_FRAME_IN, row[i].slot, row[i].generation, echo, sizeof echo);
        ck_assert_msg(got == TACET_E_REFUSED, "%s: %d", row[i].what, got);
        ck_assert_int_eq(say(s, row[i].worker, IPC_DRAINED, row[i].slot, row[i].generation, "\0\0\0\x01", 4), TACET_E_REFUSED);
        ck_assert_int_eq(say(s, row[i].worker, IPC_CLOSED, row[i].slot, row[i].generation, "\0", 1), TACET_E_REFUSED);
    }
    ck_assert_int_eq(say(s, 0, IPC_OPENED, 3, 6, "address!", 8), TACET_E_REFUSED); /* taken */
    ck_assert_int_eq(say(s, 0, IPC_CLOSED, 3, 5, "\0", 1), TACET_OK);
    ck_assert_int_eq(say(s, 0, IPC_OPENED, 3, 5, "address!", 8), TACET_E_REFUSED); /* a generation comes once */
    gate_counters n;
    gate_count(s->gate, &n);
    ck_assert_uint_eq(n.messages_refused, 3 * ROWS(row) + 2);
    scene_free(s);
}
END_TEST

START_TEST(P14_ready_comes_first_and_once)
{
    scene *s = scene_new();
    ck_assert_int_eq(say(s, 0, IPC_OPENED, 0, 1, "address!", 8), TACET_E_REFUSED);
    ready(s);
    ck_assert_int_eq(say(s, 0, IPC_READY, 0, 0, "\0\0\0\x0f", 4), TACET_E_REFUSED);
    scene_free(s);
}
END_TEST

/* A role is what the handshake's prologue and pattern were: claiming another one makes it fail, and nothing but a refusal comes out. */
START_TEST(P14_no_role_and_no_shared_secret_on_demand)
{
    scene *s = scene_new();
    uint8_t payload[1 + TACET_M1_BYTES];
    ready(s);
    for (uint32_t i = 0; i < 40; i++) {
        handshake *h = initiator(s, i % 2 ? TACET_ROLE_OPEN : TACET_ROLE_MAILBOX, s->secret);
        uint8_t first[TACET_M1_BYTES];
        ck_assert_int_eq(handshake_write(h, first), TACET_OK);
        unsigned role = i < 2 ? 3 - (i % 2 ? 2 : 1) : i % 2 ? 2 : 1; /* the first two: the other role */
        if (i >= 2)
            first[randombytes_uniform(sizeof first)] ^= 1; /* the others: one byte is another */
        payload[0] = (uint8_t)role;
        memcpy(payload + 1, first, sizeof first);
        ck_assert_int_eq(say(s, 0, IPC_OPENED, i, 1, "address!", 8), TACET_OK);
        ck_assert_int_eq(say(s, 0, IPC_HANDSHAKE_IN, i, 1, payload, sizeof payload), TACET_OK);
        settle(s);
        ipc_message m;
        expect_type(s, 0, IPC_CLOSE, i, 1, &m);
        ck_assert_int_eq(heard(s, 0).type, 0);
        handshake_free(h);
    }
    handshake *h = initiator(s, TACET_ROLE_MAILBOX, s->secret); /* a third message under another role than the first */
    ck_assert_int_eq(say(s, 0, IPC_OPENED, 100, 1, "address!", 8), TACET_OK);
    ck_assert_int_eq(say_handshake(s, 0, 100, 1, 1, h), TACET_OK);
    settle(s);
    ipc_message m;
    expect_type(s, 0, IPC_HANDSHAKE_OUT, 100, 1, &m);
    ck_assert_int_eq(handshake_read(h, m.payload, m.bytes), TACET_OK);
    ck_assert_int_eq(say_handshake(s, 0, 100, 1, 2, h), TACET_OK);
    settle(s);
    expect_type(s, 0, IPC_CLOSE, 100, 1, &m);
    ck_assert_int_eq(say(s, 0, IPC_OPENED, 101, 1, "address!", 8), TACET_OK);
    ck_assert_int_eq(say(s, 0, IPC_HANDSHAKE_IN, 101, 1, "\x03zzz", 4), TACET_OK);
    settle(s);
    expect_type(s, 0, IPC_CLOSE, 101, 1, &m);
    handshake_free(h);
    scene_free(s);
}
END_TEST

/* Results of threads that come when their connection, or the whole worker, has gone and the slot is another's. */
START_TEST(P10_late_handshakes_find_nobody)
{
    scene *s = scene_new();
    uint8_t tk[32];
    ready(s);
    for (int round = 0; round < 3; round++) {
        handshake *h = initiator(s, TACET_ROLE_OPEN, NULL);
        ck_assert_int_eq(say(s, 0, IPC_OPENED, 5, 1, "address!", 8), TACET_OK);
        ck_assert_int_eq(say_handshake(s, 0, 5, 1, 2, h), TACET_OK);
        handshake_free(h);
        handshake_work *late = s->work[--s->works];
        handshake_run(&late->work);
        if (round == 0) {
            ck_assert_int_eq(say(s, 0, IPC_CLOSED, 5, 1, "\0", 1), TACET_OK);
            ck_assert_int_eq(say(s, 0, IPC_OPENED, 5, 2, "address!", 8), TACET_OK);
        } else {
            gate_worker_gone(s->gate, 0);
            ck_assert_int_eq(say(s, 0, IPC_READY, 0, 0, "\0\0\0\x0f", 4), TACET_OK);
        }
        handshake *next = initiator(s, TACET_ROLE_OPEN, NULL); /* in the new connection a thread works as well: the states are alike */
        if (round == 1)
            ck_assert_int_eq(say(s, 0, IPC_OPENED, 5, 1, "address!", 8), TACET_OK);
        if (round < 2)
            ck_assert_int_eq(say_handshake(s, 0, 5, round == 0 ? 2 : 1, 2, next), TACET_OK);
        handshake_free(next);
        gate_handshake_done(s->gate, late);
        ck_assert_int_eq(heard(s, 0).type, 0);
        settle(s);
        if (round < 2)
            ck_assert_int_eq(heard(s, 0).type, IPC_HANDSHAKE_OUT);
        gate_worker_gone(s->gate, 0);
        s->queue[0].used = s->queue[0].start = 0;
        ck_assert_int_eq(say(s, 0, IPC_READY, 0, 0, "\0\0\0\x0f", 4), TACET_OK);
    }
    connect_mailbox(s, 0, 5, 1, tk);
    core_counters n;
    core_count(s->core, &n);
    ck_assert_uint_eq(n.connections, 1);
    scene_free(s);
}
END_TEST

START_TEST(T13_pending_handshakes_have_a_limit)
{
    scene *s = scene_new();
    uint8_t payload[1 + TACET_M1_BYTES] = { 2 };
    ready(s);
    for (uint32_t i = 0; i < RELAY_HANDSHAKES_PENDING_MAX + 10; i++) {
        ck_assert_int_eq(say(s, 0, IPC_OPENED, i, 1, "address!", 8), TACET_OK);
        ck_assert_int_eq(say(s, 0, IPC_HANDSHAKE_IN, i, 1, payload, sizeof payload), TACET_OK);
        ipc_message m = heard(s, 0);
        ck_assert_int_eq(m.type, i < RELAY_HANDSHAKES_PENDING_MAX ? 0 : IPC_CLOSE);
    }
    ck_assert_uint_le(s->works, RELAY_HANDSHAKES_PENDING_MAX);
    scene_free(s);
}
END_TEST

START_TEST(T13_one_address_is_limited)
{
    scene *s = scene_new();
    uint8_t payload[1 + TACET_M1_BYTES] = { 2 };
    unsigned closed = 0;
    ready(s);
    gate_configure(s->gate, (limiter_rate){ 10, 1000 });
    for (uint32_t i = 0; i < 30; i++) {
        ck_assert_int_eq(say(s, i % 2, IPC_OPENED, i, 1, i < 25 ? "address1" : "address2", 8), TACET_OK); /* over both workers */
        ck_assert_int_eq(say(s, i % 2, IPC_HANDSHAKE_IN, i, 1, payload, sizeof payload), TACET_OK);
        closed += heard(s, i % 2).type == IPC_CLOSE;
    }
    ck_assert_uint_eq(closed, 15);
    scene_free(s);
}
END_TEST

SUITE("gate", TEST(P14_an_honest_net_is_served), TEST(P14_frames_only_after_the_handshake), TEST(P14_another_slot_generation_or_worker),
      TEST(P14_ready_comes_first_and_once), TEST(P14_no_role_and_no_shared_secret_on_demand), TEST(P10_late_handshakes_find_nobody),
      TEST(T13_pending_handshakes_have_a_limit), TEST(T13_one_address_is_limited))
