/* doctor, ping: is everything as it should be, and if not, what to do. */
#include "cli.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    cli *c;
    int exit; /* of the first thing that is wrong */
} examination;

static void finding(examination *x, const char *what, int exit, const char *text)
{
    if (x->exit == EXIT_DONE)
        x->exit = exit;
    if (x->c->json)
        (void)say_object("check", json_pack("{s:s,s:b,s:s}", "what", what, "ok", exit == EXIT_DONE, "text", text));
    else
        say("%-4s %-12s %s", exit == EXIT_DONE ? "ok" : "BAD", what, text);
}

/* What others can reach in the folder: nothing shall be. False: *name is the first such file. */
static bool files_closed(const profile *p, char name[256])
{
    int fd = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    bool closed = folder != NULL;
    name[0] = '\0';
    for (const struct dirent *d; closed && (d = readdir(folder));) {
        struct stat s;
        if (d->d_name[0] != '.' && fstatat(p->fd, d->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0 && (s.st_mode & 077) != 0) {
            snprintf(name, 256, "%s", d->d_name);
            closed = false;
        }
    }
    if (folder)
        closedir(folder);
    else if (fd >= 0)
        close(fd);
    return closed;
}

/* The home is what profile_open looks at. */
static bool folder_examine(examination *x)
{
    engine_error why = { 0 };
    char name[256], path[PROFILE_PATH_BYTES + 260];
    cli *c = x->c;
    int exit = folder_reach(c, false, &why);
    finding(x, "home", exit, exit == EXIT_DONE ? c->profile.dir : why.message);
    if (!c->profile_opened)
        return false;
    bool closed = files_closed(&c->profile, name);
    snprintf(path, sizeof path, "%s/%s", c->profile.dir, name);
    if (!closed)
        sentence_fill(&why, SAY_PERMISSIONS, path, "600", NULL);
    finding(x, "permissions", closed ? EXIT_DONE : EXIT_FAILED, closed ? sentence_text(SAY_FINE_CLOSED) : why.message);
    return true;
}

/* A new version copies the vault before it changes it. */
static void space_examine(examination *x)
{
    enum { SPARE_MIB = 64 };
    struct statvfs disk;
    struct stat vault;
    engine_error said;
    char has[24], needs[24];
    if (fstatvfs(x->c->profile.fd, &disk) != 0)
        return;
    unsigned long long free_mib = (unsigned long long)disk.f_bavail * disk.f_frsize >> 20, needed_mib = SPARE_MIB;
    if (fstatat(x->c->profile.fd, "vault.db", &vault, AT_SYMLINK_NOFOLLOW) == 0)
        needed_mib += (unsigned long long)vault.st_size >> 20;
    bool enough = free_mib >= needed_mib;
    sentence_fill(&said, enough ? SAY_FINE_SPACE : SAY_BAD_SPACE, say_number(has, (long long)free_mib), say_number(needs, (long long)needed_mib),
                  NULL);
    finding(x, "space", said.exit, said.message);
}

static void memory_examine(examination *x)
{
    secret_arena *a = NULL;
    engine_error why = { 0 };
    int rc = secret_arena_new(&a, 64 * 1024);
    if (rc != TACET_OK)
        sentence_fill(&why, sentence_of_status(rc), "1", strerror(errno), NULL);
    finding(x, "memory", why.exit, rc == TACET_OK ? sentence_text(SAY_FINE_MEMORY) : why.message);
    secret_arena_free(a);
}

static void keys_examine(examination *x)
{
    engine_error why = { 0 };
    bool needs = false;
    if (unlock_needs_passphrase(&x->c->profile, &needs, &why) != TACET_OK)
        finding(x, "key file", why.exit, why.message);
    else
        finding(x, "key file", EXIT_DONE, sentence_text(needs ? SAY_FINE_GUARDED : SAY_FINE_PLAIN));
    why = (engine_error){ 0 };
    bool keeps = unlock_keyring_check(&why) == TACET_OK;
    finding(x, "keyring", needs && !keeps ? why.exit : EXIT_DONE, keeps ? sentence_text(SAY_FINE_KEYRING) : why.message);
}

/* Opens the vault, or attaches to who has it open, and has every page read. The sentence goes to the report, not to stderr. */
static bool vault_examine(examination *x)
{
    engine_error why = { 0 };
    json_t *check = NULL;
    int exit = vault_reach(x->c, &why);
    if (exit == EXIT_DONE)
        exit = caller_call(x->c->caller, "check", NULL, -1, &check, &why);
    bool opened = exit == EXIT_DONE, sound = json_is_true(json_object_get(check, "sound"));
    if (opened && !sound)
        sentence_fill(&why, SAY_VAULT_DAMAGED, x->c->profile.vault, NULL, NULL);
    finding(x, "vault", sound ? EXIT_DONE : why.exit,
            !sound                         ? why.message
            : caller_is_host(x->c->caller) ? sentence_text(SAY_FINE_VAULT)
                                           : sentence_text(SAY_FINE_VAULT_OPEN));
    json_decref(check);
    return opened;
}

static void relay_examine(examination *x)
{
    engine_error why = { 0 };
    json_t *state = NULL, *status = NULL;
    int exit = caller_call(x->c->caller, "sync", NULL, x->c->relay_ms, &state, &why);
    bool online = exit == EXIT_DONE && json_is_true(json_object_get(state, "online"));
    json_decref(state);
    if (exit == EXIT_DONE && !online)
        sentence_fill(&why, SAY_NO_RELAY, NULL, NULL, NULL);
    finding(x, "relay", online ? EXIT_DONE : why.exit, online ? sentence_text(SAY_FINE_RELAY) : why.message);
    exit = caller_call(x->c->caller, "status", NULL, x->c->relay_ms, &status, &why);
    if (exit != EXIT_DONE) {
        finding(x, "status", exit, why.message);
        return;
    }
    engine_error said;
    char one[24], two[24];
    const json_t *difference = json_object_get(status, "clock_offset_s"); /* null: not known */
    long long offset = (long long)json_integer_value(difference);
    bool right = offset > -7200 && offset < 7200; /* the relay tells the hour only */
    sentence_fill(&said, right ? SAY_FINE_CLOCK : SAY_BAD_CLOCK, say_number(one, offset / 3600), NULL, NULL);
    if (online && json_is_integer(difference))
        finding(x, "clock", said.exit, said.message);
    long long queued = (long long)json_integer_value(json_object_get(status, "queued")),
              bad = (long long)json_integer_value(json_object_get(status, "quarantined"));
    sentence_fill(&said, SAY_FINE_MESSAGES, say_number(one, queued), say_number(two, bad), NULL);
    finding(x, "messages", said.exit, said.message);
    json_decref(status);
}

int run_doctor(cli *c)
{
    examination x = { .c = c };
    memory_examine(&x);
    if (folder_examine(&x)) {
        space_examine(&x);
        keys_examine(&x);
        if (vault_examine(&x))
            relay_examine(&x);
    }
    int flushed = say_flush(c);
    if (flushed != EXIT_DONE || x.exit == EXIT_DONE)
        return flushed;
    engine_error why;
    sentence_fill(&why, SAY_UNHEALTHY, NULL, NULL, NULL);
    why.exit = x.exit;
    return fail_why(c, &why);
}

/* One echo, in milliseconds. The engine counts whole ones; here the fraction counts, and the way to a host on this machine costs little. */
static int echo(cli *c, double *ms)
{
    struct timespec before, after;
    json_t *answer = NULL;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    int exit = engine_ask(c, "ping", json_pack("{s:i}", "count", 1), c->relay_ms, &answer);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    json_decref(answer);
    *ms = (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6;
    return exit;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void ping_summary(cli *c, double *ms, size_t n)
{
    qsort(ms, n, sizeof *ms, by_value);
    double median = n % 2 ? ms[n / 2] : (ms[n / 2 - 1] + ms[n / 2]) / 2;
    if (c->json)
        (void)say_object("ping-summary",
                         json_pack("{s:I,s:f,s:f,s:f}", "count", (json_int_t)n, "min_ms", ms[0], "median_ms", median, "max_ms", ms[n - 1]));
    if (c->json)
        return;
    engine_error said;
    char least[24], middle[24], most[24];
    snprintf(least, sizeof least, "%.2f", ms[0]);
    snprintf(middle, sizeof middle, "%.2f", median);
    snprintf(most, sizeof most, "%.2f", ms[n - 1]);
    sentence_fill(&said, SAY_PINGS, least, middle, most);
    say("%s", said.message);
}

int run_ping(cli *c)
{
    enum { COUNT_MAX = 1000 }; /* of the option */
    uint64_t count = c->args.given[OPT_COUNT] ? c->args.number[OPT_COUNT] : 4;
    double ms[COUNT_MAX], connecting;
    size_t n = 0;
    int exit = echo(c, &connecting); /* the first one also connects */
    while (exit == EXIT_DONE && n < count && n < COUNT_MAX && !c->stopped) {
        exit = echo(c, &ms[n]);
        if (exit != EXIT_DONE)
            break;
        n++;
        if (c->json)
            (void)say_object("ping", json_pack("{s:I,s:f}", "number", (json_int_t)n, "rtt_ms", ms[n - 1]));
        else
            say("%zu: %.2f ms", n, ms[n - 1]);
        exit = say_flush(c);
    }
    if (exit != EXIT_DONE)
        return exit;
    if (n)
        ping_summary(c, ms, n);
    return say_flush(c);
}
