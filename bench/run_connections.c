/* Connections without messages: how many handshakes a second, and what an idle one costs. */
#include "relay_process.h"
#include "runs.h"
#include "swarm.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static uint32_t ready;
static void count_ready(peer *p)
{
    (void)p;
    ready++;
}
static void register_and_count(peer *p) { peer_register(p, 64, count_ready); }

static peer *make_peers(uint32_t count, bench_account *accounts, void (*on_up)(peer *))
{
    peer *p = calloc(count, sizeof *p);
    for (uint32_t i = 0; p && i < count; i++) {
        if (accounts)
            bench_account_make(&accounts[i]);
        p[i] = (peer){
            .index = i, .fd = -1, .role = accounts ? TACET_ROLE_MAILBOX : TACET_ROLE_OPEN, .account = accounts ? &accounts[i] : NULL, .on_up = on_up
        };
    }
    if (!p)
        exit(1);
    return p;
}

/* Connects all of them, at most `batch` handshakes under way; gives the seconds it took. */
static double connect_all(swarm *s, peer *p, uint32_t count, uint32_t batch)
{
    double began = seconds_now();
    uint32_t begun = 0;
    ready = 0;
    while (ready < count && seconds_now() - began < 300) {
        while (begun < count && begun - ready - s->refused < batch) {
            if (!peer_connect(s, &p[begun]))
                break;
            begun++;
        }
        swarm_turn(s, 5);
        if (ready + s->refused >= count)
            break;
    }
    return seconds_now() - began;
}

static void subscribed(void *ctx, const frame *reply)
{
    (void)ctx;
    ready += reply && reply->kind == FRAME_OK;
}

static void subscribe_again(peer *p)
{
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe = { 64 } };
    peer_ask(p, &f, subscribed, NULL);
}

static double connected_rss_kib(swarm *s, const relay_process *relay, relay_usage *out)
{
    for (double end = seconds_now() + 2; seconds_now() < end;)
        swarm_turn(s, 100);
    relay_process_usage(relay, out);
    return out->rss_kib[USED_BY_ALL];
}

/* First everybody registers, on a relay that was empty: that counts what each leaves in the relay's caches, too. Then the relay is started again, and the
 * same devices, known now, connect and listen: that is what a connection takes. */
void run_idle(const bench_options *o, report *r)
{
    static const char *const rss[USERS] = { "store_rss", "net_rss", "relay_rss" };
    relay_process relay;
    relay_usage before, registered, started, after;
    swarm s;
    char ini[64];
    raise_descriptors();
    snprintf(ini, sizeof ini, "[relay]\nconnections_per_worker = %u\n", o->count + 64 > 16384 ? o->count + 64 : 16384);
    relay_process_start(&relay, o->tacetd, o->workers, ini);
    bench_account *accounts = calloc(o->count, sizeof *accounts);
    if (!accounts)
        exit(1);
    swarm_open(&s, &relay.address, o->count);
    relay_process_usage(&relay, &before);
    peer *p = make_peers(o->count, accounts, register_and_count);
    double took = connect_all(&s, p, o->count, 256), all = ready;
    double new_kib = connected_rss_kib(&s, &relay, &registered) - before.rss_kib[USED_BY_ALL];
    for (uint32_t i = 0; i < o->count; i++) {
        peer_close(&p[i]);
        p[i].on_up = subscribe_again;
    }
    relay_process_end(&relay);
    relay_process_run(&relay, o->workers);
    relay_process_usage(&relay, &started);
    s.connected = s.refused = 0;
    connect_all(&s, p, o->count, 256);
    double known_kib = connected_rss_kib(&s, &relay, &after) - started.rss_kib[USED_BY_ALL];
    report_add(r, "connected", "", (double)s.connected);
    report_add(r, "refused", "", (double)s.refused);
    report_add(r, "connected_and_registered", "per_s", all / took);
    for (int i = 0; i < USERS; i++)
        report_add(r, rss[i], "MiB", after.rss_kib[i] / 1024);
    report_add(r, "relay_rss_when_empty", "MiB", started.rss_kib[USED_BY_ALL] / 1024);
    report_add(r, "rss_per_connection", "KiB", ready ? known_kib / ready : 0);
    report_add(r, "rss_per_registration", "KiB", all > 0 ? new_kib / all : 0);
    for (uint32_t i = 0; i < o->count; i++)
        peer_close(&p[i]);
    swarm_close(&s);
    relay_process_stop(&relay);
    free(p);
    free(accounts);
}

/* Known devices log in again: the handshake of the mailbox role, nothing else. */
void run_connect(const bench_options *o, report *r)
{
    relay_process relay;
    relay_usage before, after;
    swarm s;
    raise_descriptors();
    relay_process_start(&relay, o->tacetd, o->workers, NULL);
    bench_account *accounts = calloc(o->count, sizeof *accounts);
    if (!accounts)
        exit(1);
    swarm_open(&s, &relay.address, o->count);
    peer *p = make_peers(o->count, accounts, register_and_count);
    connect_all(&s, p, o->count, 256);
    for (uint32_t i = 0; i < o->count; i++) {
        peer_close(&p[i]);
        p[i].on_up = count_ready;
    }
    relay_process_usage(&relay, &before);
    double took = connect_all(&s, p, o->count, 256);
    relay_process_usage(&relay, &after);
    report_add(r, "connections", "", (double)s.connected);
    report_add(r, "handshakes", "per_s", ready / took);
    report_add(r, "relay_cpu_per_handshake", "us", ready ? (after.cpu_s[USED_BY_ALL] - before.cpu_s[USED_BY_ALL]) * 1e6 / ready : 0);
    report_add(r, "handshakes_per_relay_cpu", "per_s",
               after.cpu_s[USED_BY_ALL] > before.cpu_s[USED_BY_ALL] ? ready / (after.cpu_s[USED_BY_ALL] - before.cpu_s[USED_BY_ALL]) : 0);
    for (uint32_t i = 0; i < o->count; i++)
        peer_close(&p[i]);
    swarm_close(&s);
    relay_process_stop(&relay);
    free(p);
    free(accounts);
}

/* ---- a storm of logins beside another run ------------------------------------------------------------------------------------------------------- */
enum { STORM_DEVICES = 512, STORM_INDEX = 1 << 20 };
static uint64_t logins;

static void login_seen(peer *p)
{
    logins++;
    shutdown(p->fd, SHUT_RDWR); /* its end comes as an event, and then it may log in again */
}

static volatile sig_atomic_t storm_over;
static void storm_stop(int signal)
{
    (void)signal;
    storm_over = 1;
}

/* At most `rate` logins a second, each as soon as one of the devices is free. */
static void storm_blow(swarm *s, peer *p, uint32_t rate)
{
    double due = seconds_now();
    for (uint32_t at = 0; !storm_over;) {
        double now = seconds_now();
        for (uint32_t tries = 0; due <= now && tries < STORM_DEVICES; tries++, at = (at + 1) % STORM_DEVICES)
            if (p[at].fd < 0 && peer_connect(s, &p[at]))
                due += 1.0 / rate;
        if (due < now - 1)
            due = now; /* it cannot keep up: no burst later */
        swarm_turn_until(s, due > now ? due : now + 0.001);
    }
}

static _Noreturn void storm_run(const relay_address *relay, uint32_t rate, int to)
{
    swarm s;
    static bench_account accounts[STORM_DEVICES];
    signal(SIGTERM, storm_stop);
    swarm_open(&s, relay, STORM_DEVICES);
    s.pace_s = 0.0005;
    peer *p = make_peers(STORM_DEVICES, accounts, register_and_count);
    for (uint32_t i = 0; i < STORM_DEVICES; i++)
        p[i].index += STORM_INDEX;
    connect_all(&s, p, STORM_DEVICES, 64);
    for (uint32_t i = 0; i < STORM_DEVICES; i++) {
        peer_close(&p[i]);
        p[i].on_up = login_seen;
    }
    double began = seconds_now(), rate_reached;
    if (write(to, &began, sizeof began) != sizeof began)
        _exit(1);
    storm_blow(&s, p, rate);
    rate_reached = (double)logins / (seconds_now() - began);
    _exit(write(to, &rate_reached, sizeof rate_reached) == sizeof rate_reached ? 0 : 1);
}

static double storm_says(const storm *s)
{
    double value = 0;
    if (read(s->from, &value, sizeof value) != sizeof value) {
        fputs("bench: the logins meanwhile failed\n", stderr);
        exit(1);
    }
    return value;
}

void storm_begin(storm *s, const relay_address *relay, uint32_t rate)
{
    int ends[2];
    if (pipe(ends) != 0 || (s->pid = fork()) < 0) {
        perror("bench");
        exit(1);
    }
    if (s->pid == 0)
        storm_run(relay, rate, ends[1]);
    close(ends[1]);
    s->from = ends[0];
    (void)storm_says(s);
}

double storm_end(storm *s)
{
    kill(s->pid, SIGTERM);
    double rate = storm_says(s);
    waitpid(s->pid, NULL, 0);
    close(s->from);
    return rate;
}
