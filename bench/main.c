/* tacet-bench: what tacet costs. Every run starts a relay of its own on loopback, speaks the real protocol to it, and is bounded in time. */
#include "runs.h"
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *what;
    void (*run)(const bench_options *o, report *r);
    bench_options defaults;
} row[] = {
    { "relay",
      "messages accepted a second; --offline or --late: recipients are away or slow; --rate: open loop; --storm: devices log in meanwhile",
      run_relay,
      { .workers = 1, .pairs = 100, .inflight = 16, .seconds = 5, .bytes = 1024 } },
    { "latency", "one pair, one message at a time", run_relay, { .workers = 1, .pairs = 1, .inflight = 1, .seconds = 5, .bytes = 1024 } },
    { "backlog", "a device that was away fetches --count messages that lie scattered", run_backlog, { .workers = 1, .count = 20000, .bytes = 1024 } },
    { "connect", "known devices log in", run_connect, { .workers = 1, .count = 5000 } },
    { "idle", "memory of --count idle connections", run_idle, { .workers = 1, .count = 10000 } },
    { "hostile",
      "one account means harm, others measure their latency",
      run_hostile,
      { .workers = 1, .pairs = 20, .seconds = 5, .rate = 2000, .bytes = 1024 } },
    { "file", "one file of --count MiB, both online; --offline: stored first", run_file, { .workers = 1, .count = 1024, .inflight = 64 } },
    { "ratchet", "session set-up and messages, both sides on one core", run_ratchet, { .seconds = 2 } },
};

static const struct {
    const char *name, *value, *what; /* value NULL: a flag */
    size_t at;
    uint32_t least, most;
} option[] = {
    { "workers", "N", "net processes of the relay", offsetof(bench_options, workers), 1, 16 },
    { "pairs", "N", "senders, and as many recipients", offsetof(bench_options, pairs), 1, 20000 },
    { "inflight", "N", "messages of a pair under way (closed loop)", offsetof(bench_options, inflight), 1, 256 },
    { "rate", "N", "messages a second over all pairs, counted from when each should have left (open loop)", offsetof(bench_options, rate), 1,
      1000000 },
    { "offline", NULL, "recipients are not connected: accepted by commit", offsetof(bench_options, offline), 0, 1 },
    { "late", "MS", "recipients acknowledge so late", offsetof(bench_options, late_ms), 1, 10000 },
    { "storm", "N", "logins a second by another process meanwhile", offsetof(bench_options, storm), 1, 100000 },
    { "seconds", "N", "time measured", offsetof(bench_options, seconds), 1, 3600 },
    { "count", "N", "connections, or messages of the backlog", offsetof(bench_options, count), 1, 1000000 },
    { "bytes", "N", "of one message", offsetof(bench_options, bytes), 64, 20480 },
    { "json", NULL, "one JSON object instead of a table", offsetof(bench_options, json), 0, 1 },
};
enum { ROWS = sizeof row / sizeof *row, OPTIONS = sizeof option / sizeof *option };

static int usage(FILE *to)
{
    fputs("usage: tacet-bench RUN [--tacetd FILE] [options]\n\nruns:\n", to);
    for (size_t i = 0; i < ROWS; i++)
        fprintf(to, "  %-9s %s\n", row[i].name, row[i].what);
    fputs("\noptions:\n", to);
    for (size_t i = 0; i < OPTIONS; i++)
        fprintf(to, "  --%-9s %-3s %s\n", option[i].name, option[i].value ? option[i].value : "", option[i].what);
    fputs("\nexample: tacet-bench relay --pairs 1000 --inflight 4 --seconds 10\n", to);
    return to == stdout ? 0 : 2;
}

/* build/server/tacetd beside build/bench/tacet-bench. */
static const char *default_tacetd(const char *self)
{
    static char path[512];
    const char *slash = strrchr(self, '/');
    snprintf(path, sizeof path, "%.*s/../server/tacetd", slash ? (int)(slash - self) : 1, slash ? self : ".");
    return path;
}

/* Takes argv[*at] and its value. False: said why not. */
static bool take_option(bench_options *o, char **argv, int argc, int *at)
{
    const char *word = argv[*at], *value = *at + 1 < argc ? argv[*at + 1] : NULL;
    char *end = NULL;
    if (strcmp(word, "--tacetd") == 0 && value) {
        o->tacetd = value;
        ++*at;
        return true;
    }
    size_t i = 0;
    while (i < OPTIONS && (strncmp(word, "--", 2) != 0 || strcmp(word + 2, option[i].name) != 0))
        i++;
    unsigned long n = i < OPTIONS && option[i].value && value ? strtoul(value, &end, 10) : 1;
    if (i == OPTIONS || (option[i].value && (!value || *end || n < option[i].least || n > option[i].most))) {
        if (i == OPTIONS)
            fprintf(stderr, "tacet-bench: %s is not an option; tacet-bench --help lists them\n", word);
        else
            fprintf(stderr, "tacet-bench: %s takes a number from %u to %u\n", word, option[i].least, option[i].most);
        return false;
    }
    *(uint32_t *)(void *)((char *)o + option[i].at) = (uint32_t)n;
    *at += option[i].value != NULL;
    return true;
}

int main(int argc, char **argv)
{
    size_t which = 0;
    if (argc < 2 || strcmp(argv[1], "--help") == 0)
        return usage(argc < 2 ? stderr : stdout);
    while (which < ROWS && strcmp(argv[1], row[which].name) != 0)
        which++;
    if (which == ROWS)
        return usage(stderr);
    bench_options o = row[which].defaults;
    o.tacetd = default_tacetd(argv[0]);
    for (int i = 2; i < argc; i++)
        if (!take_option(&o, argv, argc, &i))
            return 2;
    report r = { .run = row[which].name };
    if (sodium_init() < 0)
        return 1;
    row[which].run(&o, &r);
    report_print(&r, o.json);
    return 0;
}
