/* bench/relay_process.h: a real tacetd in a temporary folder, and what its processes use. */
#ifndef BENCH_RELAY_PROCESS_H
#define BENCH_RELAY_PROCESS_H
#include "identity/link.h"
#include <sys/types.h>

typedef struct {
    pid_t pid;
    char dir[64], program[512];
    relay_address address;
} relay_process;

typedef enum { USED_BY_STORE, USED_BY_NET, USED_BY_ALL, USERS } relay_user; /* all: with the supervisor */
typedef struct {
    double cpu_s[USERS]; /* user and system so far */
    double rss_kib[USERS];
} relay_usage;

/* What `tacetd status` counts. */
typedef struct {
    double accepted, committed, handed_off, groups;
} relay_counts;

/* Makes the store and starts it; exits the bench with a message when that fails. `more`: options for tacetd.ini, or NULL. */
void relay_process_start(relay_process *r, const char *program, unsigned workers, const char *ini);
void relay_process_end(relay_process *r);                   /* SIGTERM, waits; its folder stays, ... */
void relay_process_run(relay_process *r, unsigned workers); /* ... and it is started again */
void relay_process_usage(const relay_process *r, relay_usage *out);
void relay_process_counts(const relay_process *r, relay_counts *out);
/* Bytes of all files in its folder. */
double relay_process_store_bytes(const relay_process *r);
void relay_process_stop(relay_process *r); /* SIGTERM, waits, removes the folder */
#endif
