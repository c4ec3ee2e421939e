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

typedef struct {
    double cpu_s; /* user and system, of all processes of the relay so far */
    double rss_kib, processes;
} relay_usage;

/* Makes the store and starts it; exits the bench with a message when that fails. `more`: options for tacetd.ini, or NULL. */
void relay_process_start(relay_process *r, const char *program, unsigned workers, const char *ini);
void relay_process_usage(const relay_process *r, relay_usage *out);
/* Bytes of all files in its folder. */
double relay_process_store_bytes(const relay_process *r);
void relay_process_stop(relay_process *r); /* SIGTERM, waits, removes the folder */
#endif
