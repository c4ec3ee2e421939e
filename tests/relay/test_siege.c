/* T12, T13: ten thousand who stop half-way and two thousand who make the relay compute, from as many addresses, beside devices that are connected: none of
 * these is cut, each of their questions is answered, and somebody new still gets in. */
#include "raw_client.h"
#include "suite.h"
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DEVICES = 8, HALF_OPEN = 10000, COSTLY = 2000, ECHOES = 400 };

static frame reply;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* From an address of its own in 127.0.0.0/8; -1: the relay, or the machine, has no room. */
static int connect_from(uint16_t port, uint32_t number)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl((127u << 24) + (3u << 16) + number) };
    struct timeval patience = { .tv_sec = 2 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static uint64_t echo_us(raw_client *c)
{
    frame f = { .kind = FRAME_ECHO, .echo.data = { (const uint8_t *)"ping", 4 } };
    uint64_t from = now_us();
    ck_assert_msg(raw_ask(c, &f, &reply) && reply.kind == FRAME_ECHO_REPLY, "a connected device got no answer");
    return now_us() - from;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void say_percentiles(const char *when, uint64_t *took, size_t n)
{
    qsort(took, n, sizeof *took, by_value);
    printf("%s: %zu echoes, p50 %llu us, p99 %llu us, max %llu us\n", when, n, (unsigned long long)took[n / 2],
           (unsigned long long)took[n * 99 / 100], (unsigned long long)took[n - 1]);
}

typedef struct {
    relay r;
    person who[DEVICES];
    raw_client device[DEVICES];
} town;

static town *town_make(void)
{
    static town t;
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_max < HALF_OPEN + 500)
        return NULL;
    l.rlim_cur = l.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &l), 0);
    relay_init(&t.r, NULL);
    relay_run(&t.r);
    for (int i = 0; i < DEVICES; i++)
        raw_join(&t.device[i], &t.r, &t.who[i]);
    return &t;
}

static void town_end(town *t)
{
    for (int i = 0; i < DEVICES; i++) {
        echo_us(&t->device[i]);
        raw_close(&t->device[i]);
    }
    ck_assert_int_eq(relay_end(&t->r, SIGTERM), 0);
    relay_remove(&t->r);
}

static void newcomer_gets_in(const town *t)
{
    raw_client c;
    ck_assert_msg(raw_open(&c, t->r.port, t->r.key, TACET_ROLE_OPEN, NULL), "somebody new did not get in");
    echo_us(&c);
    raw_close(&c);
}

static void echoes(town *t, uint64_t *took, size_t n)
{
    for (size_t i = 0; i < n; i++)
        took[i] = echo_us(&t->device[i % DEVICES]);
}

START_TEST(T12_ten_thousand_half_open)
{
    static int fd[HALF_OPEN];
    static uint64_t took[HALF_OPEN / 25];
    town *t = town_make();
    size_t n = 0;
    if (!t)
        return; /* the machine does not give that many descriptors */
    echoes(t, took, ECHOES);
    say_percentiles("alone", took, ECHOES);
    for (uint32_t i = 0; i < HALF_OPEN; i++) {
        fd[i] = connect_from(t->r.port, i + 1);
        if (fd[i] >= 0)
            (void)raw_write(fd[i], t->device[0].sent_first, i % 3 == 0 ? 0 : i % 3 == 1 ? 5 : sizeof t->device[0].sent_first - 1);
        if (i % 25 == 24)
            took[n] = echo_us(&t->device[n % DEVICES]), n++;
        if (i % 1000 == 999)
            newcomer_gets_in(t);
    }
    say_percentiles("in the crowd", took, n);
    for (int i = 0; i < HALF_OPEN; i++)
        if (fd[i] >= 0) {
            ck_assert_msg(raw_is_cut(fd[i], 8000), "half-open %d is still there", i);
            close(fd[i]);
        }
    ck_assert_uint_eq(relay_status(&t->r, "connections"), DEVICES);
    ck_assert_uint_eq(relay_status(&t->r, "handshakes_pending"), 0);
    town_end(t);
}
END_TEST

/* Each sends a first message that is in order, which costs the relay a whole key agreement, and goes. */
START_TEST(T13_two_thousand_costly_handshakes)
{
    static uint64_t took[COSTLY / 10];
    town *t = town_make();
    size_t n = 0;
    if (!t)
        return;
    for (uint32_t i = 0; i < COSTLY; i++) {
        int fd = connect_from(t->r.port, i + 1);
        if (fd >= 0) {
            (void)raw_write(fd, t->device[0].sent_first, sizeof t->device[0].sent_first);
            close(fd);
        }
        if (i % 10 == 9)
            took[n] = echo_us(&t->device[n % DEVICES]), n++;
        if (i % 500 == 499)
            newcomer_gets_in(t);
    }
    say_percentiles("in the flood", took, n);
    for (int i = 0; i < 400 && relay_status(&t->r, "handshakes_pending"); i++)
        usleep(20000);
    ck_assert_uint_eq(relay_status(&t->r, "handshakes_pending"), 0);
    ck_assert_uint_eq(relay_status(&t->r, "connections"), DEVICES);
    town_end(t);
}
END_TEST

SUITE("siege", TEST(T12_ten_thousand_half_open), TEST(T13_two_thousand_costly_handshakes))
