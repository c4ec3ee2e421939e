#include "relay_process.h"
#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

/* Runs the program and gives the first line that it prints; the child stays when `stay`. */
static pid_t run_for_line(char *const argv[], char *line, size_t room, bool stay)
{
    int out[2];
    if (pipe(out) != 0)
        give_up("pipe");
    pid_t pid = fork();
    if (pid < 0)
        give_up("fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0ul, 0ul, 0ul); /* a bench that gives up leaves no relay behind */
        dup2(out[1], 1);
        close(out[0]);
        execv(argv[0], argv);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    if (!f || !fgets(line, (int)room, f)) {
        fprintf(stderr, "bench: %s %s said nothing\n", argv[0], argv[1]);
        exit(1);
    }
    if (!stay) {
        waitpid(pid, NULL, 0);
        fclose(f);
    }
    return pid;
}

void relay_process_run(relay_process *r, unsigned workers)
{
    char line[512], count[12], path[128];
    snprintf(path, sizeof path, "%s/relay", r->dir);
    snprintf(count, sizeof count, "%u", workers);
    char *run[] = { r->program, "run", "--data", path, "--workers", count, NULL };
    r->pid = run_for_line(run, line, sizeof line, true);
    char *at = strstr(line, "tacet://");
    if (at)
        at[strcspn(at, "\r\n ")] = '\0';
    if (!at || relay_address_parse(&r->address, at) != TACET_OK) {
        fprintf(stderr, "bench: the relay said: %s\n", line);
        exit(1);
    }
}

void relay_process_start(relay_process *r, const char *program, unsigned workers, const char *ini)
{
    char line[512], path[128];
    snprintf(r->program, sizeof r->program, "%s", program);
    snprintf(r->dir, sizeof r->dir, "/var/tmp/tacet-bench.XXXXXX");
    if (!mkdtemp(r->dir))
        give_up("mkdtemp");
    snprintf(path, sizeof path, "%s/relay", r->dir);
    char *init[] = { r->program, "init", "--data", path, "--listen", "127.0.0.1:0", NULL };
    run_for_line(init, line, sizeof line, false);
    if (ini) {
        char name[160];
        snprintf(name, sizeof name, "%s/tacetd.ini", path);
        FILE *f = fopen(name, "a");
        if (!f || fputs(ini, f) < 0 || fclose(f) != 0)
            give_up(name);
    }
    relay_process_run(r, workers);
}

/* True when `pid` is the relay or one of its descendants (two levels are enough: supervisor, store, net). */
static bool is_ours(const relay_process *r, pid_t pid, pid_t parent)
{
    if (pid == r->pid || parent == r->pid)
        return true;
    char path[64];
    long up = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)parent);
    FILE *f = fopen(path, "r");
    if (f) {
        if (fscanf(f, "%*d (%*[^)]) %*c %ld", &up) != 1)
            up = 0;
        fclose(f);
    }
    return up == r->pid;
}

static void add_usage(relay_usage *u, const char *name, double cpu_s, double rss_kib)
{
    relay_user who = strcmp(name, "tacetd-store") == 0 ? USED_BY_STORE : strcmp(name, "tacetd-net") == 0 ? USED_BY_NET : USED_BY_ALL;
    u->cpu_s[USED_BY_ALL] += cpu_s;
    u->rss_kib[USED_BY_ALL] += rss_kib;
    if (who != USED_BY_ALL) {
        u->cpu_s[who] += cpu_s;
        u->rss_kib[who] += rss_kib;
    }
}

void relay_process_usage(const relay_process *r, relay_usage *out)
{
    *out = (relay_usage){ 0 };
    DIR *proc = opendir("/proc");
    for (struct dirent *d; proc && (d = readdir(proc));) {
        char path[300], name[32];
        long pid = strtol(d->d_name, NULL, 10), parent = 0, rss = 0;
        unsigned long user = 0, sys = 0;
        if (pid <= 0)
            continue;
        snprintf(path, sizeof path, "/proc/%ld/stat", pid);
        FILE *f = fopen(path, "r");
        if (!f)
            continue;
        int got = fscanf(f, "%*d (%31[^)]) %*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld", name, &parent,
                         &user, &sys, &rss);
        fclose(f);
        if (got == 5 && is_ours(r, (pid_t)pid, (pid_t)parent))
            add_usage(out, name, (double)(user + sys) / (double)sysconf(_SC_CLK_TCK), (double)rss * (double)sysconf(_SC_PAGESIZE) / 1024);
    }
    if (proc)
        closedir(proc);
}

static double number_in(const char *json, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    if (!at) {
        fprintf(stderr, "bench: tacetd status --json says nothing of %s\n", name);
        exit(1);
    }
    return strtod(at + strlen(key), NULL);
}

void relay_process_counts(const relay_process *r, relay_counts *out)
{
    char command[800], json[16384];
    snprintf(command, sizeof command, "'%s' status --json --data '%s/relay'", r->program, r->dir);
    FILE *f = popen(command, "r");
    size_t n = f ? fread(json, 1, sizeof json - 1, f) : 0;
    json[n] = '\0';
    if (!f || pclose(f) != 0)
        give_up("tacetd status");
    *out = (relay_counts){ number_in(json, "accepted"), number_in(json, "committed"), number_in(json, "handed_off"), number_in(json, "groups") };
}

static double summed;
static int add_size(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)path, (void)at;
    if (flag == FTW_F)
        summed += (double)st->st_size;
    return 0;
}
double relay_process_store_bytes(const relay_process *r)
{
    summed = 0;
    nftw(r->dir, add_size, 8, FTW_PHYS);
    return summed;
}

void relay_process_end(relay_process *r)
{
    kill(r->pid, SIGTERM);
    waitpid(r->pid, NULL, 0);
}

void relay_process_stop(relay_process *r)
{
    relay_process_end(r);
    nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
