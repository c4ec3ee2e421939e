/* Connections without messages: how many handshakes a second, and what an idle one costs. */
#include "relay_process.h"
#include "runs.h"
#include "swarm.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

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

static void raise_descriptors(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

void run_idle(const bench_options *o, report *r)
{
    relay_process relay;
    relay_usage before, after;
    swarm s;
    char ini[64];
    raise_descriptors();
    snprintf(ini, sizeof ini, "slots = %u\n", 65536U);
    relay_process_start(&relay, o->tacetd, o->workers, ini);
    bench_account *accounts = calloc(o->count, sizeof *accounts);
    if (!accounts)
        exit(1);
    swarm_open(&s, &relay.address, o->count);
    relay_process_usage(&relay, &before);
    peer *p = make_peers(o->count, accounts, register_and_count);
    double took = connect_all(&s, p, o->count, 256);
    for (double end = seconds_now() + 2; seconds_now() < end;)
        swarm_turn(&s, 100);
    relay_process_usage(&relay, &after);
    report_add(r, "connected", "", (double)s.connected);
    report_add(r, "refused", "", (double)s.refused);
    report_add(r, "connected_and_registered", "per_s", ready / took);
    report_add(r, "relay_rss", "MiB", after.rss_kib / 1024);
    report_add(r, "rss_per_connection", "KiB", s.connected ? (after.rss_kib - before.rss_kib) / (double)s.connected : 0);
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
    report_add(r, "relay_cpu_per_handshake", "us", ready ? (after.cpu_s - before.cpu_s) * 1e6 / ready : 0);
    report_add(r, "handshakes_per_relay_cpu", "per_s", after.cpu_s > before.cpu_s ? ready / (after.cpu_s - before.cpu_s) : 0);
    for (uint32_t i = 0; i < o->count; i++)
        peer_close(&p[i]);
    swarm_close(&s);
    relay_process_stop(&relay);
    free(p);
    free(accounts);
}
