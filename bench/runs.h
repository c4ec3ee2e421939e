/* bench/runs.h: the measurements. Each starts a relay of its own, runs bounded in time and count, and fills one report. */
#ifndef BENCH_RUNS_H
#define BENCH_RUNS_H
#include "report.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *tacetd;
    uint32_t workers, pairs, inflight, seconds, count, bytes, rate, prefill;
    bool offline; /* recipients are not connected: accepted by commit */
} bench_options;

void run_relay(const bench_options *o, report *r);   /* messages accepted a second; with rate: open loop, latency from the scheduled time */
void run_idle(const bench_options *o, report *r);    /* memory of idle connections */
void run_connect(const bench_options *o, report *r); /* handshakes with authentication a second */
void run_backlog(const bench_options *o, report *r); /* a returning device fetches what waits */
void run_hostile(const bench_options *o, report *r); /* one account floods: what the others' p99 does */
void run_ratchet(const bench_options *o, report *r); /* session set-up, one-way and ping-pong, in one process */
#endif
