/* server/store_parts.h: what the files of the store process share (store_process.c: the loop; store_channel.c: the workers; store_admin.c: commands;
 * store_sandbox.c). */
#ifndef SERVER_STORE_PARTS_H
#define SERVER_STORE_PARTS_H
#include "base/secret.h"
#include "server/backlog.h"
#include "server/committer.h"
#include "server/control.h"
#include "server/gate.h"
#include "server/relay_dir.h"
#include "server/store_process.h"
#include <pthread.h>
#include <stdatomic.h>

typedef struct {
    int fd;    /* -1: no such worker now */
    pid_t pid; /* of its process, for the supervisor */
    uint8_t *in;
    size_t in_used;
    ipc_queue out;
    bool stop_said;
} channel;

typedef struct {
    relay_self self;
    uint8_t key[32];
} store_secrets;

/* A command that the committer's thread works on, or one that reads much: that has a thread of its own while it runs. */
typedef struct {
    bool waiting, running, beside;
    pthread_t thread;
    atomic_bool ended; /* the thread is through */
    int client;
    char line[CONTROL_LINE_MAX];
    char answer[CONTROL_ANSWER_MAX];
    char copy[RELAY_PATH_MAX]; /* of a backup, until somebody has taken the answer */
} admin_call;

typedef struct {
    const store_options *o;
    relay_config config;
    secret_arena *arena;
    store_secrets *secret;
    relay_store *db;
    relay_reader *reader;
    core *core;
    gate *gate;
    committer *committer;
    backlog *backlog;
    pool *pool, *writer, *chunk_reader; /* the last two: one thread each, with segments of its own */
    relay_segments *segments, *chunk_segments;
    control *control;
    admin_call admin;
    int wake_fd, metrics_fd; /* metrics_fd: -1 where nobody asks for metrics */
    channel channel[RELAY_WORKERS_MAX];
    bool ready_said, stopping;
    uint64_t started_ms, stop_ms, stop_said_ms;
} store;

/* One line on stderr, "tacetd: " in front. */
__attribute__((format(printf, 1, 2))) void store_log(const char *format, ...);
void store_tell_supervisor(const store *s, supervisor_message what, const uint8_t *data, size_t n);

/* store_channel.c */
void store_channel_add(store *s, uint32_t worker, pid_t pid, int fd); /* takes fd; a worker that was there is dropped */
void store_channel_read(store *s, uint32_t worker);
void store_channel_write(store *s, uint32_t worker);

/* store_admin.c. First of all: copies that were not finished, or that nobody fetched, go. */
void store_admin_sweep(const store *s);
/* Answers what can be answered at once, keeps one call for the committer. */
void store_admin_take(store *s);
int store_admin_run(void *store_, relay_store *db); /* on the committer's thread */
void store_admin_done(store *s);
/* The process of server/metrics.h asks. */
void store_admin_metrics(store *s);
/* Answers when a thread of its own has ended. */
void store_admin_collect(store *s);

/* store_sandbox.c. Before the store is opened: files outside `dir` can be read at most, and only where libraries live; no network. Adds a word each to
 * `words`. TACET_E_IO */
TACET_MUST_USE int store_sandbox_files(const char *dir, const char *key_file, char *words, size_t room);
/* After everything is open and all threads run: no program can be started, no network socket made, no other process touched. */
TACET_MUST_USE int store_sandbox_calls(char *words, size_t room);
#endif
