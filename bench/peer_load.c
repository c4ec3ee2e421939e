/* peer-load: the load of `tacet-bench relay`, `latency` and `idle` against somebody else's server (bench/peer_protocol.h), so that both can be compared in
 * one run. One thread, epoll, loopback only; bounded in time. scripts/bench-peers starts the servers. */
#include "peer_protocol.h"
#include "report.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { INFLIGHT_MAX = 256, IN_ROOM = 64 * 1024, OUT_ROOM = INFLIGHT_MAX * (REQUEST_ROOM / 4), LOGIN_S = 120, CONNECTIONS_PER_ADDRESS = 20000 };

typedef struct {
    int fd;
    bool receiver, ready;
    unsigned step;
    peer_identity who;
    double began[INFLIGHT_MAX]; /* a ring: of the requests without an answer, the oldest first */
    unsigned oldest, under_way;
    uint8_t *in, *out;
    size_t in_used, out_used;
} peer;

typedef struct {
    const peer_protocol *protocol;
    unsigned port, pairs, inflight, seconds, bytes, rate, idle, pid;
    bool json;
    const char *user, *password, *domain;
    int epoll;
    peer *peers;
    size_t count, ready;
    bool measuring;
    uint64_t answered, received, skipped;
    latency latency;
} load;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "peer-load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- what the server's process uses, from /proc ------------------------------------------------------------------------------------------- */
static double process_rss_kib(unsigned pid)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%u/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (f)
        fclose(f);
    return kib;
}

static double process_cpu_s(unsigned pid)
{
    char path[64], line[1024] = "";
    unsigned long user = 0, sys = 0;
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    FILE *f = fopen(path, "re");
    if (f && fgets(line, sizeof line, f)) {
        const char *behind_name = strrchr(line, ')');
        if (behind_name && sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
            user = sys = 0;
    }
    if (f)
        fclose(f);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

/* --- connections ---------------------------------------------------------------------------------------------------------------------------- */
static void peer_flush(const load *l, peer *p)
{
    size_t sent = 0;
    while (sent < p->out_used) {
        ssize_t n = send(p->fd, p->out + sent, p->out_used - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            give_up("send");
        if (n < 0)
            break;
        sent += (size_t)n;
    }
    memmove(p->out, p->out + sent, p->out_used - sent);
    p->out_used -= sent;
    struct epoll_event e = { .events = EPOLLIN | (p->out_used ? EPOLLOUT : 0u), .data.ptr = p };
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, p->fd, &e);
}

static const login_step *login_of(const load *l, const peer *p) { return (p->receiver ? l->protocol->receiver : l->protocol->sender) + p->step; }

static void login_say(load *l, peer *p)
{
    const login_step *s = p->step < LOGIN_STEPS_MAX ? login_of(l, p) : NULL;
    if (s && s->say) {
        p->out_used += s->say(&p->who, p->out + p->out_used);
    } else {
        p->ready = true;
        l->ready++;
    }
}

static void peer_connect(load *l, peer *p, unsigned number, bool receiver)
{
    unsigned address = number / CONNECTIONS_PER_ADDRESS;
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + address) };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;
    *p = (peer){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .receiver = receiver };
    p->who = (peer_identity){
        .number = l->idle ? 0 : number % l->pairs, .bytes = l->bytes, .user = l->user, .password = l->password, .domain = l->domain
    };
    if (l->idle && l->protocol->sender[0].say && strcmp(l->protocol->name, "mqtt") == 0)
        p->who.number = number; /* a client id of its own; accounts may be shared */
    setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&from, sizeof from) < 0 || connect(p->fd, (struct sockaddr *)&to, sizeof to) < 0)
        give_up("connect");
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    p->in = malloc(l->idle ? REQUEST_ROOM : IN_ROOM);
    p->out = malloc(l->idle ? REQUEST_ROOM : OUT_ROOM);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = p };
    if (!p->in || !p->out || epoll_ctl(l->epoll, EPOLL_CTL_ADD, p->fd, &e) < 0)
        give_up("connection");
    login_say(l, p);
    peer_flush(l, p);
}

/* --- requests and answers ------------------------------------------------------------------------------------------------------------------ */
static bool peer_ask(load *l, peer *p, double scheduled)
{
    if (p->under_way == INFLIGHT_MAX || p->out_used + REQUEST_ROOM > OUT_ROOM)
        return false;
    p->out_used += l->protocol->request(&p->who, p->out + p->out_used);
    p->began[(p->oldest + p->under_way++) % INFLIGHT_MAX] = scheduled;
    return true;
}

static void peer_answered(load *l, peer *p, unsigned count)
{
    double now = seconds_now();
    for (; count && p->under_way; count--) {
        if (l->measuring) {
            l->answered++;
            latency_add(&l->latency, now, (now - p->began[p->oldest]) * 1e6);
        }
        p->oldest = (p->oldest + 1) % INFLIGHT_MAX;
        p->under_way--;
        if (!l->rate)
            peer_ask(l, p, now);
    }
}

static void peer_logging_in(load *l, peer *p)
{
    const login_step *s = login_of(l, p);
    const uint8_t *at = memmem(p->in, p->in_used, s->expect, s->expect_bytes);
    if (!at)
        return;
    size_t used = (size_t)(at - p->in) + s->expect_bytes;
    memmove(p->in, p->in + used, p->in_used - used);
    p->in_used -= used;
    p->step++;
    login_say(l, p);
}

static void peer_read(load *l, peer *p)
{
    size_t room = l->idle ? REQUEST_ROOM : IN_ROOM, used = 0;
    ssize_t n = recv(p->fd, p->in + p->in_used, room - p->in_used, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        give_up("the server closed a connection");
    p->in_used += (size_t)n;
    if (!p->ready) {
        peer_logging_in(l, p);
    } else {
        if (p->receiver)
            p->out_used += l->protocol->acknowledge(p->in, p->in_used, &used, p->out + p->out_used, &l->received);
        else
            peer_answered(l, p, l->protocol->answers(&p->who, p->in, p->in_used, &used));
        memmove(p->in, p->in + used, p->in_used - used);
        p->in_used -= used;
    }
    if (p->in_used == room)
        give_up("an answer is too long");
}

static void turn(load *l, int wait_ms)
{
    struct epoll_event e[256];
    int n = epoll_wait(l->epoll, e, 256, wait_ms);
    for (int i = 0; i < n; i++) {
        peer *p = e[i].data.ptr;
        if (e[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            peer_read(l, p);
        if (p->out_used || e[i].events & EPOLLOUT)
            peer_flush(l, p);
    }
}

static void all_ready(load *l)
{
    double until = seconds_now() + LOGIN_S;
    while (l->ready < l->count && seconds_now() < until)
        turn(l, 100);
    if (l->ready < l->count) {
        fprintf(stderr, "peer-load: only %zu of %zu connections are logged in after %d s\n", l->ready, l->count, LOGIN_S);
        exit(1);
    }
}

/* --- the runs -------------------------------------------------------------------------------------------------------------------------------- */
/* A whole run's messages leave evenly; what does not find a place in its pair's window counts as skipped, not as fast. */
static void pace(load *l, double *due)
{
    double now = seconds_now();
    for (; *due <= now; *due += 1.0 / l->rate) {
        static unsigned at;
        peer *p = &l->peers[at++ % l->pairs];
        if (!peer_ask(l, p, *due))
            l->skipped++;
        else
            peer_flush(l, p);
    }
}

static void run_messages(load *l, report *r)
{
    bool receivers = l->protocol->acknowledge != NULL;
    l->count = l->pairs * (receivers ? 2u : 1u);
    l->peers = calloc(l->count, sizeof *l->peers);
    if (!l->peers)
        give_up("memory");
    for (size_t i = 0; i < l->count; i++)
        peer_connect(l, &l->peers[i], (unsigned)i, i >= l->pairs);
    all_ready(l);
    for (size_t i = 0; !l->rate && i < l->pairs; i++) {
        for (unsigned k = 0; k < l->inflight; k++)
            peer_ask(l, &l->peers[i], seconds_now());
        peer_flush(l, &l->peers[i]);
    }
    double start = seconds_now() + 1, end = start + l->seconds, due = seconds_now(), cpu = 0;
    while (seconds_now() < end) {
        if (!l->measuring && seconds_now() >= start) {
            l->measuring = true;
            cpu = process_cpu_s(l->pid);
        }
        if (l->rate)
            pace(l, &due);
        turn(l, l->rate ? 0 : 10);
    }
    report_add(r, "accepted", "per_s", (double)l->answered / l->seconds);
    report_latency(r, &l->latency);
    report_add(r, "cpu", "s_per_100000", l->answered ? (process_cpu_s(l->pid) - cpu) * 1e5 / (double)l->answered : 0);
    report_add(r, "rss", "KiB", process_rss_kib(l->pid));
    if (l->rate)
        report_add(r, "skipped", "", (double)l->skipped);
}

static void run_idle(load *l, report *r)
{
    l->count = l->idle;
    l->peers = calloc(l->count, sizeof *l->peers);
    double before = process_rss_kib(l->pid), began = seconds_now();
    if (!l->peers)
        give_up("memory");
    for (size_t i = 0; i < l->count; i++) {
        peer_connect(l, &l->peers[i], (unsigned)i, false);
        for (double until = seconds_now() + LOGIN_S; l->ready <= i && seconds_now() < until;)
            turn(l, 1000);
    }
    all_ready(l);
    report_add(r, "connections", "", (double)l->count);
    report_add(r, "connected", "per_s", (double)l->count / (seconds_now() - began));
    report_add(r, "rss each", "KiB", (process_rss_kib(l->pid) - before) / (double)l->count);
}

static int usage(void)
{
    fputs("usage: peer-load redis|mqtt|xmpp --port N [--pairs N] [--inflight N] [--seconds N] [--bytes N] [--rate N] [--idle N] [--pid N]\n"
          "                 [--user U --password P --domain D] [--json]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option names[] = { { "port", 1, 0, 0 },
                                           { "pairs", 1, 0, 1 },
                                           { "inflight", 1, 0, 2 },
                                           { "seconds", 1, 0, 3 },
                                           { "bytes", 1, 0, 4 },
                                           { "rate", 1, 0, 5 },
                                           { "idle", 1, 0, 6 },
                                           { "pid", 1, 0, 7 },
                                           { "user", 1, 0, 8 },
                                           { "password", 1, 0, 9 },
                                           { "domain", 1, 0, 10 },
                                           { "json", 0, 0, 11 },
                                           { 0 } };
    static load l = { .pairs = 100, .inflight = 16, .seconds = 5, .bytes = 1024, .user = "user", .password = "", .domain = "localhost" };
    unsigned *numbers[] = { &l.port, &l.pairs, &l.inflight, &l.seconds, &l.bytes, &l.rate, &l.idle, &l.pid };
    const char **words[] = { &l.user, &l.password, &l.domain };
    l.protocol = argc > 1 ? peer_protocol_find(argv[1]) : NULL;
    for (int which; (which = getopt_long(argc, argv, "", names, NULL)) >= 0;) {
        if (which < 8)
            *numbers[which] = (unsigned)strtoul(optarg, NULL, 10);
        else if (which < 11)
            *words[which - 8] = optarg;
        else if (which == 11)
            l.json = true;
        else
            return usage();
    }
    if (!l.protocol || !l.port || !l.pairs || !l.inflight || l.inflight > INFLIGHT_MAX || !l.bytes || l.bytes > REQUEST_ROOM / 4)
        return usage();
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    char name[64];
    report r = { .run = name };
    snprintf(name, sizeof name, "%s %s", l.protocol->name, l.idle ? "idle" : l.rate ? "open loop" : "closed loop");
    (l.idle ? run_idle : run_messages)(&l, &r);
    report_print(&r, l.json);
    return 0;
}
