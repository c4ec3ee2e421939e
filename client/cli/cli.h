/* cli/cli.h: what every command has at hand: its arguments, the way to the engine, and the ways to say something. stdout carries the answer,
 * stderr everything else; an error is one line and, with --json, one object on stdout as well. */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include "options.h"
#include <jansson.h>
#include <stdint.h>

#include "base/secret.h"
#include "engine/caller.h"
#include "engine/passphrase.h"
#include "engine/profile.h"
#include "engine/unlock.h"

typedef struct cli {
    arguments args;
    bool json, quiet, color;
    profile profile;
    bool profile_opened;
    secret_arena *arena;
    uint8_t *key;    /* the vault's, in the arena, once this process had to unlock it */
    unlock_way way;  /* how it was got */
    caller *caller;  /* NULL until engine_reach */
    int relay_ms;    /* how long to wait for the relay where no --timeout says it */
    bool follows;    /* being stopped by a signal is the normal end */
    bool stopped;    /* by a signal, or because somebody locked the profile */
    int interrupted; /* the signal that stopped it, 0: none */
    int failed;      /* the exit code of the last fail() */
    /* Set while a full screen is shown: away before the terminal is needed for a passphrase, back after it. */
    void (*screen_away)(void);
    void (*screen_back)(void);
    /* While a call holds the engine up; see engine_options. */
    void (*working)(void *ctx, uint64_t have, uint64_t of);
    void *working_ctx;
} cli;

/* say.c ---------------------------------------------------------------------------------------------------------------------------- */

/* One line on stdout; what is not fit for a terminal is escaped, newlines too, so no line can become two. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A sentence of the table on stderr, not with --quiet. note_line: a text that was put together of such. */
void note(const cli *c, sentence which, const char *one, const char *two, const char *three);
void note_line(const cli *c, const char *line);
/* The object as one line on stdout; say_object puts v and event in front of one that has none. Both steal the reference. False: no memory. */
bool say_json(json_t *o);
bool say_object(const char *event, json_t *o);
/* "tacet: ..." on stderr, the error object on stdout with --json. Returns the sentence's exit code. */
int fail(cli *c, sentence which, const char *one, const char *two, const char *three);
int fail_why(cli *c, const engine_error *why);
/* Everything printed so far has reached its file: EXIT_DONE, or fails with one line. */
int say_flush(cli *c);
/* 2025-10-14 14:02 in local time, from RFC 3339 UTC. */
void say_time(char out[20], const char *rfc3339);
/* A message object for eyes: time, sender, text; further lines of the text are indented. */
void say_message(const cli *c, const json_t *m);

/* A file object as one line of `files`. */
void say_file(const cli *c, const json_t *f);
/* 412 MiB: out has room for 24. */
void say_bytes(char out[24], uint64_t bytes);
/* A number for a sentence; returns out. */
const char *say_number(char out[24], long long n);

/* progress.c: how far files and backups are, on stderr: a bar on a terminal, else a line every few seconds, nothing with --quiet. With --json the object on stdout. */
typedef struct {
    uint64_t said_ms;
    bool bar; /* one stands on the last line */
} progress;
void progress_show(progress *p, const cli *c, const json_t *event, const char *name, uint64_t size);
/* The same without an object: have of `of` pieces, which together are `size` bytes. */
void progress_draw(progress *p, const cli *c, const char *name, uint64_t have, uint64_t of, uint64_t size, uint64_t bytes_per_s);
void progress_end(progress *p); /* the bar's line is over */

/* cmd_send_file.c: everything --file names, and with it the text that `send` has put into the outbox (text_id NULL: none). Before that text:
 * send_files_check says what cannot be read. */
int send_files(cli *c, const char *text_id, bool text_waits);
int send_files_check(cli *c);

/* reach.c: the way to the engine ---------------------------------------------------------------------------------------------------- */

/* Opens the way: attaches to the host that runs on this profile, or opens the vault (which may ask for the passphrase) and is the host. EXIT_DONE,
 * or the error has been said. Called by engine_ask by itself. */
int engine_reach(cli *c);
/* The same in steps, for commands with an own idea of where the key comes from: the folder (made when `create`) and the arena; then the caller, with
 * `prepare` and `key` as in engine/caller.h and c as their context. */
int profile_reach(cli *c, bool create);
int caller_reach(cli *c, bool attach_only, int (*prepare)(void *, engine_error *), int (*key)(void *, uint8_t[32], engine_error *),
                 engine_error *why);
/* Folder and arena, then the vault in the usual way, without a word. */
int folder_reach(cli *c, bool create, engine_error *why);
int vault_reach(cli *c, engine_error *why);
/* The passphrase from --passphrase-file, --passphrase-fd or the terminal, which then shows `prompt`; prompt NULL: a new one, the terminal asks twice.
 * TACET_OK, or a status with *error filled. */
TACET_MUST_USE int passphrase_get(cli *c, const char *prompt, passphrase *out, engine_error *error);
/* Closes everything that the above opened. */
void cli_leave(cli *c);
/* Asks and waits. EXIT_DONE: *result is the caller's. Else the error has been said. Steals params. timeout_ms -1: no limit. */
int engine_ask(cli *c, const char *method, json_t *params, int timeout_ms, json_t **result);

/* Waits until the relay has given everything it holds and the outbox is empty or stuck. An error has been said. */
int engine_sync(cli *c);
/* What was asked for is done here, and *why keeps the relay from hearing of it: fails with both. */
int untold(cli *c, const char *name, sentence outcome, engine_error *why);
/* After CALLER_STOPPED: sets c->stopped and c->interrupted, fills *why; the exit code (never EXIT_DONE). */
int stopped(cli *c, const caller_news *n, engine_error *why);

/* The commands ------------------------------------------------------------------------------------------------------------------------ */
/* clang-format off */
#define EACH_COMMAND(X) \
    X(init) X(whoami) X(link) X(add) X(contacts) X(rename) X(remove) X(block) X(unblock) \
    X(requests) X(accept) X(reject) X(verify) X(trust) X(untrust) X(send) X(receive) X(history) X(search) \
    X(files) X(save) X(cancel) X(outbox) X(unlock) X(lock) X(passphrase) X(backup) X(restore) X(rpc) X(chat) X(ping) X(doctor)
/* clang-format on */
#define DECLARE_RUN(name) int run_##name(cli *c);
EACH_COMMAND(DECLARE_RUN)
#endif
