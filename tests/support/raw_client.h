/* tests/support/raw_client.h: a client that is only a socket, a handshake and frames: it says whatever a test wants said. Blocking, with a timeout of
 * 10 s on every read. And a real relay: `tacetd` as a program, in a directory of its own. */
#ifndef TESTS_RAW_CLIENT_H
#define TESTS_RAW_CLIENT_H
#include "person.h"
#include "transport/handshake.h"
#include "transport/record.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    int fd;
    tacet_role role;
    uint8_t hash[64];
    record_key out, in;
    frame_stream stream;
    uint8_t record[TACET_RECORD_MAX_BYTES];
    const uint8_t *left; /* opened stream bytes not yet split into frames */
    size_t left_bytes;
    uint32_t next_id;
    /* what the handshake sent, for replays */
    uint8_t sent_first[TACET_PREAMBLE_BYTES + 2 + TACET_M1_BYTES], sent_third[2 + TACET_M3_BYTES];
} raw_client;

/* A TCP connection to 127.0.0.1; -1: refused. */
int raw_connect(uint16_t port);
bool raw_write(int fd, const void *bytes, size_t n);
/* Exactly n bytes. False: closed or timed out before. */
bool raw_read(int fd, void *bytes, size_t n);
/* True: the other side closes within `ms`, and says nothing before. */
bool raw_is_cut(int fd, unsigned ms);

/* Connects and finishes the handshake. False: it failed. */
bool raw_open(raw_client *c, uint16_t port, const uint8_t relay_key[32], tacet_role role, const person *p);
void raw_close(raw_client *c);
/* The id it was given; 0: the connection has gone. */
uint32_t raw_say(raw_client *c, frame *f);
/* The next frame. False: closed, or nothing came in 10 s. */
bool raw_hear(raw_client *c, frame *out);
bool raw_ask(raw_client *c, frame *f, frame *reply);
/* 0 for ok, the code of the error, or 1000 when the connection ended instead. */
unsigned raw_code(raw_client *c, frame *f);

typedef struct {
    char dir[96];
    pid_t pid; /* of the supervisor */
    uint16_t port;
    uint8_t key[32];
    int out_fd, err_fd; /* err_fd: the file DIR.err */
} relay;

/* `tacetd init`; `ini` (may be NULL) is added to its tacetd.ini. */
void relay_init(relay *r, const char *ini);
/* `tacetd run` until it says ready; fails the test when it does not. */
void relay_run(relay *r);
/* Sends the signal, waits for the end; the exit code, or 1000 + the signal that ended it. */
int relay_end(relay *r, int signal_);
void relay_remove(relay *r);
/* Process ids below the supervisor: the store is the first, nets come after. 0: none. */
pid_t relay_child(const relay *r, unsigned which);
/* `tacetd COMMAND --data DIR ...` (at most 8 more words, NULL at the end): its exit code; its standard output, cut off at room - 1. */
int relay_command(const relay *r, char *out, size_t room, const char *command, ...);
/* Starts `tacetd COMMAND --data DIR` and does not wait. */
pid_t relay_begin_command(const relay *r, const char *command);
/* A number of `tacetd status --json`; fails the test when it is not there. */
uint64_t relay_status(const relay *r, const char *name);
/* Registers on a new connection and publishes both tokens. */
void raw_join(raw_client *c, const relay *r, person *p);
#endif
