/* Logins: how many a second, and a storm of them beside another run. */
#include "many.h"
#include "relay_process.h"
#include "runs.h"
#include "swarm.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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
    peer *p = many_make(o->count, accounts, many_register);
    many_connect(&s, p, o->count, 256);
    for (uint32_t i = 0; i < o->count; i++) {
        peer_close(&p[i]);
        p[i].on_up = many_ready_one;
    }
    relay_process_usage(&relay, &before);
    double took = many_connect(&s, p, o->count, 256);
    relay_process_usage(&relay, &after);
    report_add(r, "connections", "", (double)s.connected);
    report_add(r, "handshakes", "per_s", many_ready / took);
    report_add(r, "relay_cpu_per_handshake", "us", many_ready ? (after.cpu_s[USED_BY_ALL] - before.cpu_s[USED_BY_ALL]) * 1e6 / many_ready : 0);
    report_add(r, "handshakes_per_relay_cpu", "per_s",
               after.cpu_s[USED_BY_ALL] > before.cpu_s[USED_BY_ALL] ? many_ready / (after.cpu_s[USED_BY_ALL] - before.cpu_s[USED_BY_ALL]) : 0);
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
    peer *p = many_make(STORM_DEVICES, accounts, many_register);
    for (uint32_t i = 0; i < STORM_DEVICES; i++)
        p[i].index += STORM_INDEX;
    many_connect(&s, p, STORM_DEVICES, 64);
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
