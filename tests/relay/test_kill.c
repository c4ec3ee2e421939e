/* kill -9 on the relay's processes under load: what was accepted arrives, in order, and the counters agree. One process sends as fast as the relay accepts,
 * one receives and acknowledges; both reconnect like clients, and what got no answer is sent again. */
#include "raw_client.h"
#include "suite.h"
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGES_MAX = 4000000, IN_FLIGHT = 48 };

/* Shared by the processes of a test. */
typedef struct {
    volatile bool stop_sending, stop_receiving;
    volatile uint32_t sent;                    /* numbers 0 .. sent - 1 were sent at least once */
    volatile uint32_t first_receipts, repeats; /* of them, received; received again */
    volatile uint32_t out_of_order;
    volatile uint8_t accepted[MESSAGES_MAX], received[MESSAGES_MAX];
} board;

/* TACET_RELAY_KILLS=100 makes it the long one. */
static int kills(int usual)
{
    const char *asked = getenv("TACET_RELAY_KILLS");
    return asked ? (int)strtol(asked, NULL, 10) : usual;
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
    nanosleep(&t, NULL);
}

static void connect_somehow(raw_client *c, const relay *r, tacet_role role, const person *p)
{
    while (!raw_open(c, r->port, r->key, role, p))
        sleep_ms(15);
}

static uint32_t say_number(raw_client *c, const person *to, uint32_t number)
{
    uint8_t text[256] = { 0 };
    memcpy(text, &number, 4);
    frame f = send_to(to, to->token, text, sizeof text);
    f.id = number + 1;
    return raw_say(c, &f);
}

/* Sends 0, 1, 2 ... with IN_FLIGHT unanswered at most. After a cut it goes on with the first that was not answered. */
static void sender(board *b, const relay *r, const person *to)
{
    static frame reply;
    uint32_t answered = 0;
    while (!(b->stop_sending && answered == b->sent) && answered < MESSAGES_MAX) {
        raw_client c;
        uint32_t next = answered;
        connect_somehow(&c, r, TACET_ROLE_OPEN, NULL);
        for (bool alive = true; alive && !(b->stop_sending && answered == b->sent);) {
            while (alive && next - answered < IN_FLIGHT && next < MESSAGES_MAX && (!b->stop_sending || next < b->sent)) {
                alive = say_number(&c, to, next) != 0;
                next++;
                b->sent = next > b->sent ? next : b->sent;
            }
            alive = alive && raw_hear(&c, &reply);
            if (!alive || reply.id == 0)
                continue;
            if (reply.kind == FRAME_OK)
                b->accepted[reply.id - 1] = 1;
            else if (reply.kind == FRAME_ERROR && reply.error.cls != CLASS_RETRY)
                _exit(3);
            else
                alive = false; /* the relay is stopping: ask again */
            while (answered < next && b->accepted[answered])
                answered++;
        }
        raw_close(&c);
    }
}

static void take(board *b, const frame *f, number_list *ack)
{
    static uint32_t highest; /* of first receipts */
    uint32_t number;
    memcpy(&number, f->deliver.ciphertext.at, 4);
    if (number >= MESSAGES_MAX)
        _exit(4);
    if (b->received[number]) {
        b->repeats++;
    } else {
        b->received[number] = 1;
        b->first_receipts++;
        b->out_of_order += number < highest;
        highest = number > highest ? number : highest;
    }
    ack->item[ack->count++] = f->deliver.number;
}

/* Marks, which is its commit, and then acknowledges. */
static void receiver(board *b, const relay *r, const person *who)
{
    static frame f, ack;
    while (!b->stop_receiving) {
        raw_client c;
        connect_somehow(&c, r, TACET_ROLE_MAILBOX, who);
        frame s = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = 128 };
        bool alive = raw_say(&c, &s) != 0;
        while (alive && !b->stop_receiving) {
            memset(&ack, 0, sizeof ack);
            ack.kind = FRAME_ACK;
            do {
                alive = raw_hear(&c, &f);
                if (alive && f.kind == FRAME_DELIVER)
                    take(b, &f, &ack.ack.ids);
            } while (alive && c.left_bytes && ack.ack.ids.count < 64);
            if (alive && ack.ack.ids.count)
                alive = raw_say(&c, &ack) != 0;
        }
        raw_close(&c);
    }
}

typedef struct {
    relay r;
    person bob;
    board *b;
    pid_t sender, receiver;
} load;

static load load_start(void)
{
    load l;
    raw_client c;
    /* a full mailbox refuses some of what is under way and takes what comes after it: that is another test */
    relay_init(&l.r, "[limits]\nhandshake_burst = 100000\nmailbox_messages = 1000000\n[relay]\nask_burst = 1000000\nask_every_us = 1\n");
    relay_run(&l.r);
    raw_join(&c, &l.r, &l.bob);
    raw_close(&c);
    l.b = mmap(NULL, sizeof *l.b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(l.b, MAP_FAILED);
    l.sender = fork();
    if (l.sender == 0) {
        sender(l.b, &l.r, &l.bob);
        _exit(0);
    }
    l.receiver = fork();
    if (l.receiver == 0) {
        receiver(l.b, &l.r, &l.bob);
        _exit(0);
    }
    return l;
}

static void wait_clean(pid_t pid, const char *what)
{
    int status = 0;
    for (int i = 0; i < 3000; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the %s ended with %d", what, status);
            return;
        }
        sleep_ms(10);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    ck_abort_msg("the %s did not come to its end", what);
}

/* No more killing: everything that was sent gets its answer, everything accepted arrives. */
static void load_end(load *l)
{
    board *b = l->b;
    l->b->stop_sending = true;
    wait_clean(l->sender, "sender");
    for (int i = 0; i < 2000 && b->first_receipts < b->sent; i++)
        sleep_ms(10);
    uint32_t lost = 0, accepted = 0;
    for (uint32_t i = 0; i < b->sent; i++) {
        accepted += b->accepted[i];
        lost += b->accepted[i] && !b->received[i];
    }
    b->stop_receiving = true;
    uint64_t committed = relay_status(&l->r, "committed"), handed_off = relay_status(&l->r, "handed_off"), all = relay_status(&l->r, "accepted");
    kill(l->receiver, SIGKILL);
    waitpid(l->receiver, NULL, 0);
    printf("%u sent, %u accepted, %u received, %u repeated, %u lost; last life: %llu accepted, %llu committed, %llu handed over\n", (unsigned)b->sent,
           (unsigned)accepted, (unsigned)b->first_receipts, (unsigned)b->repeats, (unsigned)lost, (unsigned long long)all,
           (unsigned long long)committed, (unsigned long long)handed_off);
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_eq(accepted, b->sent);
    ck_assert_uint_eq(b->out_of_order, 0);
    ck_assert_uint_eq(all, committed + handed_off);
    ck_assert_uint_gt(b->sent, 50);
    ck_assert_int_eq(relay_end(&l->r, SIGTERM), 0);
    char out[64];
    ck_assert_int_eq(relay_command(&l->r, out, sizeof out, "check", NULL), 0);
    relay_remove(&l->r);
    munmap(l->b, sizeof *l->b);
}

static unsigned some_ms(unsigned most) { return 1 + randombytes_uniform(most); }

START_TEST(S01_kill_net)
{
    load l = load_start();
    for (int i = 0; i < kills(15); i++) {
        pid_t net = 0;
        sleep_ms(some_ms(120));
        for (int tries = 0; tries < 500 && !(net = relay_child(&l.r, 1)); tries++)
            sleep_ms(20);
        ck_assert_msg(net != 0, "the net process did not come back");
        ck_assert_int_eq(kill(net, SIGKILL), 0);
    }
    load_end(&l);
}
END_TEST

/* Store reads of the new net before it sees that the old one has ended, and must not have the new one ended for it. */
START_TEST(S01_a_net_outlives_the_one_before)
{
    relay r;
    relay_init(&r, NULL);
    relay_run(&r);
    for (int i = 0; i < 3; i++) {
        pid_t store = relay_child(&r, 0), net = relay_child(&r, 1), next = 0;
        ck_assert_int_eq(kill(store, SIGSTOP), 0);
        ck_assert_int_eq(kill(net, SIGKILL), 0);
        for (int tries = 0; tries < 500 && (next == 0 || next == net); tries++, sleep_ms(20))
            next = relay_child(&r, 1);
        ck_assert_int_eq(kill(store, SIGCONT), 0);
        for (int tries = 0; tries < 500 && relay_status(&r, "workers") != 1; tries++)
            sleep_ms(20);
        ck_assert_int_eq(relay_child(&r, 1), next);
    }
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    relay_remove(&r);
}
END_TEST

START_TEST(S01_kill_store)
{
    load l = load_start();
    for (int i = 0; i < kills(15); i++) {
        sleep_ms(some_ms(250));
        pid_t store = relay_child(&l.r, 0);
        ck_assert_int_ne(store, 0);
        ck_assert_int_eq(kill(store, SIGKILL), 0);
        ck_assert_int_eq(relay_end(&l.r, 0), 1); /* it ends by itself, and says so with its exit code */
        relay_run(&l.r);
    }
    load_end(&l);
}
END_TEST

START_TEST(S01_kill_everything)
{
    load l = load_start();
    for (int i = 0; i < 10; i++) {
        sleep_ms(some_ms(250));
        pid_t store = relay_child(&l.r, 0), net = relay_child(&l.r, 1);
        kill(l.r.pid, SIGKILL);
        if (randombytes_uniform(2) && store)
            kill(store, SIGKILL);
        if (randombytes_uniform(2) && net)
            kill(net, SIGKILL);
        ck_assert_int_eq(relay_end(&l.r, 0), 1000 + SIGKILL);
        for (int tries = 0; store && kill(store, 0) == 0 && tries < 1000; tries++)
            sleep_ms(10); /* it finishes and lets go of the directory */
        relay_run(&l.r);
    }
    load_end(&l);
}
END_TEST

START_TEST(S01_stop_under_load)
{
    load l = load_start();
    for (int i = 0; i < 8; i++) {
        sleep_ms(some_ms(300));
        ck_assert_int_eq(relay_end(&l.r, SIGTERM), 0);
        relay_run(&l.r);
    }
    load_end(&l);
}
END_TEST

/* Whenever a rekey is killed, exactly one key opens the store, and what waits is there. */
START_TEST(S08_kill_rekey)
{
    relay r;
    person bob;
    raw_client c, s;
    char out[64], next[160];
    static frame f;
    unsigned finished = 0, got = 0;
    relay_init(&r, NULL);
    relay_run(&r);
    raw_join(&c, &r, &bob);
    raw_close(&c);
    ck_assert(raw_open(&s, r.port, r.key, TACET_ROLE_OPEN, NULL));
    for (uint32_t i = 0; i < 200; i++) {
        ck_assert_uint_ne(say_number(&s, &bob, i), 0);
        ck_assert(raw_hear(&s, &f));
        ck_assert_int_eq(f.kind, FRAME_OK);
    }
    raw_close(&s);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    snprintf(next, sizeof next, "%s/relay.key.next", r.dir);
    for (int i = 0; i < 60; i++) {
        int status;
        pid_t pid = relay_begin_command(&r, "rekey");
        sleep_ms(some_ms(200));
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        finished += WIFEXITED(status);
        if (WIFEXITED(status))
            ck_assert_int_eq(WEXITSTATUS(status), 0);
        ck_assert_int_eq(relay_command(&r, out, sizeof out, "check", NULL), 0);
        ck_assert_int_ne(access(next, F_OK), 0);
    }
    printf("%u of 60 came to their end\n", finished);
    relay_run(&r);
    ck_assert(raw_open(&c, r.port, r.key, TACET_ROLE_MAILBOX, &bob));
    frame sub = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = 256 };
    raw_say(&c, &sub);
    while (raw_hear(&c, &f) && f.kind != FRAME_CAUGHT_UP)
        got += f.kind == FRAME_DELIVER;
    ck_assert_uint_eq(got, 200);
    raw_close(&c);
    ck_assert_int_eq(relay_end(&r, SIGTERM), 0);
    relay_remove(&r);
}
END_TEST

SUITE("kill", TEST(S08_kill_rekey), TEST(S01_kill_net), TEST(S01_a_net_outlives_the_one_before), TEST(S01_kill_store), TEST(S01_kill_everything),
      TEST(S01_stop_under_load))
