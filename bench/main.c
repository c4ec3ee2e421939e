/* tacet-bench: what tacet costs. Every run starts a relay of its own on loopback, speaks the real protocol to it, and is bounded in time. */
#include "runs.h"
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name, *what;
    void (*run)(const bench_options *o, report *r);
    bench_options defaults;
} row[] = {
    { "relay",
      "messages accepted a second; --offline: recipients are not connected; --rate: open loop",
      run_relay,
      { .workers = 1, .pairs = 100, .inflight = 16, .seconds = 5, .bytes = 1024 } },
    { "latency", "one pair, one message at a time", run_relay, { .workers = 1, .pairs = 1, .inflight = 1, .seconds = 5, .bytes = 1024 } },
    { "backlog", "a device that was away fetches --count messages that lie scattered", run_backlog, { .workers = 1, .count = 20000, .bytes = 1024 } },
    { "connect", "known devices log in", run_connect, { .workers = 1, .count = 5000 } },
    { "idle", "memory of idle connections", run_idle, { .workers = 1, .count = 10000 } },
    { "hostile",
      "one account floods, others measure their latency",
      run_hostile,
      { .workers = 1, .pairs = 20, .seconds = 5, .rate = 2000, .bytes = 1024 } },
    { "ratchet", "session set-up and messages, both sides on one core", run_ratchet, { .seconds = 2 } },
};

static void usage(FILE *to)
{
    fputs("usage: tacet-bench RUN [--tacetd FILE] [--workers N] [--pairs N] [--inflight N] [--seconds N] [--count N] [--bytes N] [--rate N] "
          "[--offline] [--json]\n",
          to);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        fprintf(to, "  %-8s %s\n", row[i].name, row[i].what);
    fputs("example: tacet-bench relay --pairs 1000 --inflight 4 --seconds 10\n", to);
}

/* build/server/tacetd beside build/bench/tacet-bench. */
static const char *default_tacetd(const char *self)
{
    static char path[512];
    const char *slash = strrchr(self, '/');
    snprintf(path, sizeof path, "%.*s/../server/tacetd", slash ? (int)(slash - self) : 1, slash ? self : ".");
    return path;
}

int main(int argc, char **argv)
{
    enum { TACETD = 1, WORKERS, PAIRS, INFLIGHT, SECONDS, COUNT, BYTES, RATE, OFFLINE, JSON, HELP };
    static const struct option options[] = {
        { "tacetd", required_argument, NULL, TACETD },
        { "workers", required_argument, NULL, WORKERS },
        { "pairs", required_argument, NULL, PAIRS },
        { "inflight", required_argument, NULL, INFLIGHT },
        { "seconds", required_argument, NULL, SECONDS },
        { "count", required_argument, NULL, COUNT },
        { "bytes", required_argument, NULL, BYTES },
        { "rate", required_argument, NULL, RATE },
        { "offline", no_argument, NULL, OFFLINE },
        { "json", no_argument, NULL, JSON },
        { "help", no_argument, NULL, HELP },
        { 0 },
    };
    size_t which = 0;
    while (which < sizeof row / sizeof *row && (argc < 2 || strcmp(argv[1], row[which].name) != 0))
        which++;
    if (which == sizeof row / sizeof *row) {
        usage(argc > 1 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    bench_options o = row[which].defaults;
    bool json = false;
    o.tacetd = default_tacetd(argv[0]);
    for (int c; (c = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1;) {
        uint32_t n = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;
        switch (c) {
        case TACETD:
            o.tacetd = optarg;
            break;
        case WORKERS:
            o.workers = n;
            break;
        case PAIRS:
            o.pairs = n;
            break;
        case INFLIGHT:
            o.inflight = n;
            break;
        case SECONDS:
            o.seconds = n;
            break;
        case COUNT:
            o.count = n;
            break;
        case BYTES:
            o.bytes = n;
            break;
        case RATE:
            o.rate = n;
            break;
        case OFFLINE:
            o.offline = true;
            break;
        case JSON:
            json = true;
            break;
        default:
            usage(c == HELP ? stdout : stderr);
            return c == HELP ? 0 : 2;
        }
    }
    report r = { .run = row[which].name };
    if (sodium_init() < 0)
        return 1;
    if (o.bytes && (o.bytes < 64 || o.bytes > 20480)) {
        fputs("tacet-bench: --bytes is from 64 to 20480\n", stderr);
        return 2;
    }
    row[which].run(&o, &r);
    report_print(&r, json);
    return 0;
}
