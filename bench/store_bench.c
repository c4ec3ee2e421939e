/* bench/store_bench.c: the relay's store by itself: group commits, with much stored, backlogs, restart, acknowledging and cleaning.
 *   store-bench [FOLDER [MESSAGES [MAILBOXES [BATCH [start]]]]]     FOLDER must not hold a store yet; start: nothing after the first restart */
#include "storage/relay.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BODY_BYTES = 1024, HOUR = 500000, BACKLOG_COUNT = 64, BACKLOG_BYTES = 256 * 1024, READERS = 2, IN_TURNS = 100000 };

typedef struct {
    relay_store *s;
    const char *folder;
    uint32_t *mailbox, mailboxes, batch;
    uint64_t messages, number, seed;
    uint8_t *body;
} bench;

static const uint8_t key[32] = { 1 };

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What this thread computed: the honest number on a machine that others use too. */
static double computed(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void need(int rc, const char *what)
{
    if (rc == TACET_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, tacet_status_word(rc));
    exit(1);
}

static uint64_t draw(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void register_all(bench *b)
{
    uint8_t account[32] = { 0 };
    double start = seconds();
    need(relay_begin(b->s), "begin");
    for (uint32_t i = 0; i < b->mailboxes; i++) {
        memcpy(account, &i, sizeof i);
        need(relay_mailbox_add(b->s, account, 1, account, &b->mailbox[i]), "mailbox");
        if (i % 4096 == 4095) {
            need(relay_commit(b->s), "commit");
            need(relay_begin(b->s), "begin");
        }
    }
    need(relay_commit(b->s), "commit");
    printf("register       %9" PRIu32 " mailboxes  %10.0f /s\n", b->mailboxes, b->mailboxes / (seconds() - start));
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void commit_one(bench *b)
{
    need(relay_begin(b->s), "begin");
    for (uint32_t i = 0; i < b->batch; i++) {
        relay_message m = { .number = ++b->number,
                            .mailbox = b->mailbox[draw(&b->seed) % b->mailboxes],
                            .token_kind = 1,
                            .stored_hour = HOUR,
                            .expires_hour = HOUR + 720,
                            .ciphertext = { b->body, BODY_BYTES } };
        need(relay_append(b->s, &m), "append");
    }
    need(relay_commit(b->s), "commit");
}

static void append_some(bench *b, uint64_t count, const char *what)
{
    uint64_t commits = (count + b->batch - 1) / b->batch;
    double *took = calloc(commits, sizeof *took), start = seconds(), cpu = computed();
    if (!took)
        exit(1);
    for (uint64_t c = 0; c < commits; c++) {
        double begun = seconds();
        commit_one(b);
        took[c] = seconds() - begun;
    }
    double all = seconds() - start;
    cpu = computed() - cpu;
    relay_totals t;
    need(relay_totals_get(b->s, &t), "totals");
    qsort(took, commits, sizeof *took, by_double);
    printf("append %-8s%9" PRIu64 " messages   %10.0f /s   %5.2f us CPU   group p50 %.2f ms, p99 %.2f ms, worst %.0f ms, WAL %" PRIu64 " MB\n", what,
           commits * b->batch, (double)(commits * b->batch) / all, cpu * 1e6 / (double)(commits * b->batch), took[commits / 2] * 1e3,
           took[commits * 99 / 100] * 1e3, took[commits - 1] * 1e3, t.wal_bytes >> 20);
    free(took);
}

/* The same beside an empty store, a commit each in turns: one after the other, the machine's other guests decide which of the two is the quicker. */
static void append_in_turns(bench *full, uint64_t count)
{
    bench empty = *full, *store[2] = { &empty, full };
    double wall[2] = { 0 }, cpu[2] = { 0 };
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s/empty", full->folder);
    if (mkdir(folder, 0700) != 0 || !(empty.mailbox = calloc(empty.mailboxes + 1u, sizeof *empty.mailbox)))
        exit(1);
    empty.folder = folder;
    empty.number = 0;
    need(relay_store_open(&empty.s, folder, key), "open");
    register_all(&empty);
    uint64_t commits = count / full->batch;
    for (uint64_t c = 0; c < commits * 2; c++) {
        unsigned which = (c & 1) ^ (c >> 1 & 1);
        double begun = seconds(), computed_before = computed();
        commit_one(store[which]);
        wall[which] += seconds() - begun;
        cpu[which] += computed() - computed_before;
    }
    double each = 1e6 / (double)(commits * full->batch);
    printf("append in turns %9" PRIu64 " messages   empty %.2f us, %.2f us CPU; full %.2f us, %.2f us CPU; full runs at %.2f, by CPU %.2f\n",
           commits * full->batch, wall[0] * each, cpu[0] * each, wall[1] * each, cpu[1] * each, wall[0] / wall[1], cpu[0] / cpu[1]);
    relay_store_close(empty.s);
    free(empty.mailbox);
}

/* --- backlogs ---------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    bench *b;
    relay_reader *r;
    uint64_t seed, wanted, got, after;
    uint32_t only; /* mailbox, 0: any */
    double cpu;
} reading;

static bool count_one(void *ctx, const relay_message *m)
{
    reading *g = ctx;
    g->got++;
    g->after = m->number;
    return true;
}

static void *read_backlogs(void *ctx)
{
    reading *g = ctx;
    g->cpu = computed();
    while (g->got < g->wanted) {
        uint32_t mailbox = g->only ? g->only : g->b->mailbox[draw(&g->seed) % g->b->mailboxes];
        uint64_t before;
        g->after = 0;
        do {
            before = g->got;
            need(relay_backlog(g->r, mailbox, g->after, BACKLOG_COUNT, BACKLOG_BYTES, HOUR, count_one, g), "backlog");
        } while (g->got > before && g->got < g->wanted);
    }
    g->cpu = computed() - g->cpu;
    return NULL;
}

static void backlogs(bench *b, unsigned threads, uint64_t count, uint32_t only, const char *what)
{
    pthread_t thread[READERS];
    reading g[READERS] = { 0 };
    double start = seconds();
    for (unsigned i = 0; i < threads; i++) {
        g[i] = (reading){ .b = b, .seed = i + 1, .wanted = count / threads, .only = only };
        need(relay_reader_open(&g[i].r, b->s), "reader");
        if (pthread_create(&thread[i], NULL, read_backlogs, &g[i]) != 0)
            exit(1);
    }
    uint64_t got = 0;
    double cpu = 0;
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(thread[i], NULL);
        relay_reader_close(g[i].r);
        got += g[i].got;
        cpu += g[i].cpu;
    }
    printf("backlog %-7s%9" PRIu64 " messages   %10.0f /s   %5.2f us CPU   %u readers\n", what, got, (double)got / (seconds() - start),
           cpu * 1e6 / (double)got, threads);
}

/* --- restart, acknowledging, cleaning ----------------------------------------------------------------------------------------------------- */
static void reopen(bench *b, const char *what)
{
    double start = seconds(), cpu = computed();
    uint64_t last = 0;
    need(relay_store_open(&b->s, b->folder, key), "open");
    double opened = seconds(), opened_cpu = computed();
    need(relay_log_summary(b->s, &last, NULL, NULL), "summary");
    printf("open %-10s%9.3f s (%.3f s CPU), summary %.3f s, last number %" PRIu64 "\n", what, opened - start, opened_cpu - cpu, seconds() - opened,
           last);
}

typedef struct {
    uint64_t number[BACKLOG_COUNT];
    size_t count;
} numbers;

static bool collect(void *ctx, const relay_message *m)
{
    numbers *n = ctx;
    n->number[n->count++] = m->number;
    return true;
}

/* Like devices that come back one after the other: a batch is read and acknowledged, groups are committed. */
static void acknowledge_all(bench *b)
{
    relay_reader *r = NULL;
    uint64_t done = 0, open = 0;
    double start = seconds(), cpu = computed();
    need(relay_reader_open(&r, b->s), "reader");
    need(relay_begin(b->s), "begin");
    for (uint32_t i = 0; i < b->mailboxes; i++) {
        numbers n = { .count = 0 };
        uint64_t after = 0;
        do {
            n.count = 0;
            need(relay_backlog(r, b->mailbox[i], after, BACKLOG_COUNT, BACKLOG_BYTES, HOUR, collect, &n), "backlog");
            need(relay_acknowledge(b->s, b->mailbox[i], n.number, n.count), "acknowledge");
            after = n.count ? n.number[n.count - 1] : 0;
            done += n.count;
            open += n.count;
        } while (n.count == BACKLOG_COUNT);
        if (open >= b->batch) {
            need(relay_commit(b->s), "commit");
            need(relay_begin(b->s), "begin");
            open = 0;
        }
    }
    need(relay_commit(b->s), "commit");
    relay_reader_close(r);
    printf("read and ack    %9" PRIu64 " messages   %10.0f /s   %5.2f us CPU\n", done, (double)done / (seconds() - start),
           (computed() - cpu) * 1e6 / (double)done);
}

static void clean_all(bench *b)
{
    relay_totals t;
    bool more = true;
    unsigned pieces = 0;
    double start = seconds(), cpu = computed(), worst = 0;
    while (more) {
        double begun = seconds();
        need(relay_clean(b->s, HOUR + 1, &more, NULL, NULL), "clean");
        if (seconds() - begun > worst)
            worst = seconds() - begun;
        pieces++;
    }
    need(relay_totals_get(b->s, &t), "totals");
    printf("clean           %9" PRIu64 " rows       %10.0f /s   %5.2f us CPU   %u pieces, worst %.0f ms, %" PRIu64 " left\n", b->number,
           (double)b->number / (seconds() - start), (computed() - cpu) * 1e6 / (double)b->number, pieces, worst * 1e3, t.messages);
}

/* In a process that dies without closing anything. */
static int load(bench *b)
{
    need(relay_store_open(&b->s, b->folder, key), "open");
    register_all(b);
    append_some(b, b->messages / 10, "empty");
    append_some(b, b->messages - b->messages / 10, "filling");
    append_some(b, b->messages / 10, "full");
    append_in_turns(b, b->messages < IN_TURNS * 10 ? b->messages / 10 : IN_TURNS);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    bench b = { .folder = argc > 1 ? argv[1] : ".", .messages = 1000000, .mailboxes = 100000, .batch = 1000, .seed = 1 };
    if (argc > 2)
        b.messages = strtoull(argv[2], NULL, 10);
    if (argc > 3)
        b.mailboxes = (uint32_t)strtoul(argv[3], NULL, 10);
    if (argc > 4)
        b.batch = (uint32_t)strtoul(argv[4], NULL, 10);
    b.mailbox = calloc(b.mailboxes + 1u, sizeof *b.mailbox);
    b.body = malloc(BODY_BYTES);
    if (!b.mailbox || !b.body || !b.mailboxes || !b.batch)
        return 2;
    for (int i = 0; i < BODY_BYTES; i++)
        b.body[i] = (uint8_t)draw(&b.seed);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        return load(&b);
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return 1;
    for (uint32_t i = 0; i < b.mailboxes; i++)
        b.mailbox[i] = i + 1; /* numbers are given in this order */
    reopen(&b, "after kill");
    if (argc > 5 && strcmp(argv[5], "start") == 0)
        return 0;
    need(relay_log_summary(b.s, &b.number, NULL, NULL), "summary");
    backlogs(&b, 1, 100000, 0, "1");
    backlogs(&b, READERS, 100000, 0, "2");
    append_some(&b, b.messages / 20, "again");
    b.s = relay_store_close(b.s);
    reopen(&b, "again");
    acknowledge_all(&b);
    clean_all(&b);
    append_some(&b, b.messages / 10, "reused");
    relay_store_close(b.s);
    free(b.mailbox);
    free(b.body);
    return 0;
}
