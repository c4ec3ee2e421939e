/* cli/bridge.h: carries JSON-RPC between one client (stdin and stdout, or a socket) and the host, whoever that is: when the host goes, the next is found,
 * and what has no answer yet is asked again (docs/RPC.md, "asked twice"). */
#ifndef CLI_BRIDGE_H
#define CLI_BRIDGE_H
#include "cli.h"
#include "engine/host.h"
#include "engine/line.h"

enum { BRIDGE_POLLS = 3 };

typedef struct {
    json_t *id;
    char *line;
} bridge_request;

typedef struct {
    int in, out, host; /* in and out may be the same; host -1: the bridge is free */
    bool in_ended, told /* the host, that nothing more comes */, subscribed, host_ended;
    unsigned fruitless; /* connections in a row on which no host said anything */
    line_in from_in, from_host;
    line_out to_host, to_out;
    bridge_request asked[HOST_CALLS_MAX]; /* without an answer, in order */
    size_t asked_count;
} bridge;

typedef enum { BRIDGE_GOES_ON, BRIDGE_DONE, BRIDGE_LOST /* the client; or it sent what no host takes */ } bridge_state;

/* False: no connection to the host (errno). */
bool bridge_open(cli *c, bridge *b, int in, int out);
void bridge_close(bridge *b); /* not in and out */
void bridge_gather(const bridge *b, struct pollfd fds[BRIDGE_POLLS]);
/* Moves what can be moved. */
bridge_state bridge_move(bridge *b, const struct pollfd fds[BRIDGE_POLLS]);
/* The host has ended and not everything was answered: to the next one. EXIT_DONE, or said already. */
bool bridge_stranded(const bridge *b);
int bridge_again(cli *c, bridge *b);
#endif
