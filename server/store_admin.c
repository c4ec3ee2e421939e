/* server/store_admin.c: what `tacetd status`, `invite`, `check` and `backup` ask of a running relay (server/control.h). */
#include "server/store_parts.h"
#include "base/text.h"
#include "identity/directory.h"
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    char *text;
    size_t used, room;
} report;

__attribute__((format(printf, 2, 3))) static void add(report *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(r->text + r->used, r->room - r->used, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < r->room - r->used)
        r->used += (size_t)n;
}

/* --- status: "name number" a line; tacetd status makes a table or JSON of it --------------------------------------------------------------- */
static const char *const net_words[IPC_COUNTERS_COUNT] = {
    [IPC_N_ACCEPTED] = "net_accepted",         [IPC_N_REFUSED_FULL] = "net_refused_full",
    [IPC_N_BAD_PREAMBLE] = "net_bad_preamble", [IPC_N_DEADLINE] = "net_deadline",
    [IPC_N_BAD_RECORD] = "net_bad_record",     [IPC_N_BAD_FRAME] = "net_bad_frame",
    [IPC_N_RECORDS_IN] = "net_records_in",     [IPC_N_RECORDS_OUT] = "net_records_out",
    [IPC_N_BYTES_IN] = "net_bytes_in",         [IPC_N_BYTES_OUT] = "net_bytes_out",
    [IPC_N_NO_BUFFERS] = "net_no_buffers",     [IPC_N_RING_FULL] = "net_ring_full",
    [IPC_N_OVERFLOW] = "net_ring_overflow",    [IPC_N_PARKED] = "net_parked",
    [IPC_N_IGNORED] = "net_ignored_messages",
};
static const char *const closed_words[IPC_REASONS] = {
    [IPC_BY_PEER] = "closed_by_peer",   [IPC_BY_STORE] = "closed_by_store",       [IPC_BY_DEADLINE] = "closed_by_deadline",
    [IPC_BY_AGE] = "closed_by_age",     [IPC_BY_PROTOCOL] = "closed_by_protocol", [IPC_BY_LIMIT] = "closed_by_limit",
    [IPC_BY_ERROR] = "closed_by_error", [IPC_BY_IDLE] = "closed_by_idle",
};

static void status_report(store *s, report *r)
{
    core_counters n;
    gate_counters g;
    uint32_t facts, ready = 0;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t up = ((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 - s->started_ms) / 1000;
    core_count(s->core, &n);
    gate_count(s->gate, &g);
    for (uint32_t w = 0; w < s->config.workers; w++)
        ready += s->channel[w].fd >= 0 && gate_worker_ready(s->gate, w, &facts);
    add(r, "ok\nuptime_s %llu\nworkers %u\ncommits_per_s %llu\n", (unsigned long long)up, (unsigned)ready,
        (unsigned long long)(n.commits / (up ? up : 1)));
#define CORE_LINE(name) add(r, #name " %llu\n", (unsigned long long)n.name);
    CORE_GAUGES(CORE_LINE)
    CORE_COUNTERS(CORE_LINE)
    add(r, "blob_segment_bytes %llu\n", (unsigned long long)relay_segments_bytes(s->db));
#define GATE_LINE(name) add(r, #name " %llu\n", (unsigned long long)g.name);
    GATE_COUNTERS(GATE_LINE) for (size_t i = 0; i < IPC_COUNTERS_COUNT; i++) add(r, "%s %llu\n", net_words[i], (unsigned long long)g.net[i]);
    for (size_t i = 0; i < IPC_REASONS; i++)
        add(r, "%s %llu\n", closed_words[i], (unsigned long long)g.closed[i]);
}

/* Whatever it says means the same question; what it does not take is lost. */
void store_admin_metrics(store *s)
{
    char byte, text[CONTROL_ANSWER_MAX];
    report r = { text, 0, sizeof text };
    ssize_t n = recv(s->metrics_fd, &byte, 1, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        status_report(s, &r);
    if (n > 0 && send(s->metrics_fd, text, r.used, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)r.used)
        return;
    close(s->metrics_fd);
    s->metrics_fd = -1;
}

/* --- commands that need the store ---------------------------------------------------------------------------------------------------------- */
static void run_invite(store *s, relay_store *db, const char *rest, report *r)
{
    unsigned long uses, seconds;
    uint8_t token[TACET_TOKEN_BYTES];
    char text[BASE32_CHARS(TACET_TOKEN_BYTES) + 1];
    (void)s;
    if (sscanf(rest, "%7lu %10lu", &uses, &seconds) != 2 || uses == 0) {
        add(r, "error malformed");
        return;
    }
    int rc = relay_invite_make(db, (uint32_t)uses, env_now_ms(env_system()) / 1000 + seconds, token);
    base32_encode(text, token, sizeof token);
    if (rc == TACET_OK)
        add(r, "ok\n%s\n", text);
    else
        add(r, "error the invitation could not be stored (%s)", tacet_status_word(rc));
    sodium_memzero(token, sizeof token);
    sodium_memzero(text, sizeof text);
}

static const char too_busy[] = "error so much is written at the moment that this would fill the disk; try again at a quieter time";

static void run_check(store *s, relay_store *db, const char *rest, report *r)
{
    char where[256] = "";
    (void)s, (void)rest;
    int rc = relay_check_beside(db, where, sizeof where);
    if (rc == TACET_OK)
        add(r, "ok\n");
    else if (rc == TACET_E_BUSY)
        add(r, "%s", too_busy);
    else
        add(r, "error the store is not sound (%s): %s", tacet_status_word(rc), where);
}

/* The copy is made in our own directory, because that is all we may write to; the command takes it from there. */
static const char copy_begins[] = "backup-", copy_ends[] = ".tmp"; /* eight digits between them; SQLite adds to it while it works */
enum { COPY_DIGITS = 8 };

static bool is_copy(const char *name)
{
    size_t begins = sizeof copy_begins - 1;
    return strncmp(name, copy_begins, begins) == 0 && strspn(name + begins, "0123456789abcdef") == COPY_DIGITS &&
           strncmp(name + begins + COPY_DIGITS, copy_ends, sizeof copy_ends - 1) == 0;
}

void store_admin_sweep(const store *s)
{
    DIR *d = opendir(s->o->dir);
    for (const struct dirent *e; d && (e = readdir(d));)
        if (is_copy(e->d_name) && unlinkat(dirfd(d), e->d_name, 0) != 0)
            store_log("%s: %s", e->d_name, strerror(errno));
    if (d)
        closedir(d);
}

static void run_backup(store *s, relay_store *db, const char *rest, report *r)
{
    char name[64];
    (void)rest;
    snprintf(name, sizeof name, "%s%0*x%s", copy_begins, COPY_DIGITS, (unsigned)randombytes_random(), copy_ends);
    int rc = relay_dir_path(s->admin.copy, s->o->dir, name);
    if (rc == TACET_OK)
        rc = relay_backup_beside(db, s->admin.copy, s->secret->key);
    if (rc == TACET_OK)
        add(r, "ok\n%s\n", name);
    else if (rc == TACET_E_BUSY)
        add(r, "%s", too_busy);
    else
        add(r, "error the copy could not be made (%s: %s)", tacet_status_word(rc), strerror(errno));
}

static const struct {
    const char *word;
    void (*run)(store *s, relay_store *db, const char *rest, report *r);
    bool beside; /* reads much and writes nothing: commits go on meanwhile */
} calls[] = { { "invite", run_invite, false }, { "check", run_check, true }, { "backup", run_backup, true } };
enum { CALLS = sizeof calls / sizeof *calls };

static size_t call_of(const char *line, const char **rest)
{
    size_t i = 0, n = strcspn(line, " ");
    while (i < CALLS && (strlen(calls[i].word) != n || strncmp(calls[i].word, line, n) != 0))
        i++;
    *rest = line + n;
    return i;
}

int store_admin_run(void *store_, relay_store *db)
{
    store *s = store_;
    const char *rest;
    report r = { s->admin.answer, 0, sizeof s->admin.answer };
    size_t i = call_of(s->admin.line, &rest);
    calls[i].run(s, db, rest, &r);
    return TACET_OK;
}

/* --- a thread for what takes long -------------------------------------------------------------------------------------------------------------- */
enum { BESIDE_NICE = 10 };

static void *beside_main(void *store_)
{
    store *s = store_;
    uint64_t one = 1;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), BESIDE_NICE); /* commits come first; without it they only share */
    (void)store_admin_run(s, s->db);
    atomic_store(&s->admin.ended, true);
    if (write(s->wake_fd, &one, sizeof one) != sizeof one)
        return NULL; /* the counter is at its limit, so the owner is awake */
    return NULL;
}

static bool beside_start(store *s)
{
    atomic_store(&s->admin.ended, false);
    s->admin.beside = s->admin.running = pthread_create(&s->admin.thread, NULL, beside_main, s) == 0;
    return s->admin.running;
}

void store_admin_collect(store *s)
{
    if (!s->admin.beside || !atomic_load(&s->admin.ended))
        return;
    s->admin.beside = false;
    pthread_join(s->admin.thread, NULL);
    store_admin_done(s);
}

void store_admin_done(store *s)
{
    s->admin.running = false;
    if (!control_answer(s->control, s->admin.client, s->admin.answer) && s->admin.copy[0])
        (void)unlink(s->admin.copy);
    s->admin.copy[0] = 0;
    sodium_memzero(s->admin.answer, sizeof s->admin.answer);
}

static void take_one(store *s, int client, const char *line)
{
    const char *rest;
    char text[CONTROL_ANSWER_MAX];
    report r = { text, 0, sizeof text };
    if (strcmp(line, "status") == 0) {
        status_report(s, &r);
    } else if (call_of(line, &rest) == CALLS) {
        add(&r, "error no such command");
    } else if (s->admin.waiting || s->admin.running || s->stopping) {
        add(&r, "error another command is under way, or the relay is stopping; try again later");
    } else {
        snprintf(s->admin.line, sizeof s->admin.line, "%s", line);
        s->admin.client = client;
        s->admin.waiting = !calls[call_of(line, &rest)].beside;
        if (s->admin.waiting || beside_start(s))
            return;
        add(&r, "error no thread for it: %s", strerror(errno));
    }
    (void)control_answer(s->control, client, text);
}

void store_admin_take(store *s)
{
    int client;
    const char *line;
    while (control_next(s->control, &client, &line))
        take_one(s, client, line);
}
