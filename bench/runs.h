/* bench/runs.h: the measurements. Each starts a relay of its own, runs bounded in time and count, and fills one report. */
#ifndef BENCH_RUNS_H
#define BENCH_RUNS_H
#include "hostile.h"
#include "report.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    const char *tacetd;
    uint32_t workers, pairs, inflight, seconds, count, bytes, rate, offline, late_ms, storm, json; /* main.c says what they mean */
    hostile_kind hostile;                                                                          /* who else is there while it is measured */
} bench_options;

void run_relay(const bench_options *o, report *r);   /* messages accepted a second; with rate: open loop, latency from the scheduled time */
void run_idle(const bench_options *o, report *r);    /* memory of idle connections */
void run_connect(const bench_options *o, report *r); /* handshakes with authentication a second */
void run_backlog(const bench_options *o, report *r); /* a returning device fetches what waits */
void run_hostile(const bench_options *o, report *r); /* one hostile account: what the others' p99 does */
void run_file(const bench_options *o, report *r);    /* one file, live or stored first */
void run_ratchet(const bench_options *o, report *r); /* session set-up, one-way and ping-pong, in one process */

/* A process of its own in which devices log in and leave again, `rate` times a second; it returns when they are registered. storm_end gives the logins
 * a second that it reached. */
typedef struct {
    pid_t pid;
    int from;
} storm;
void storm_begin(storm *s, const relay_address *relay, uint32_t rate);
double storm_end(storm *s);
#endif
