/* server/store_process.h: the store process: the one that holds the database key, the relay's static key and the mailboxes, and never touches the network.
 * One loop around the gate and the core; threads for the committer, the backlog and the pool. */
#ifndef SERVER_STORE_PROCESS_H
#define SERVER_STORE_PROCESS_H
#include "server/config.h"

/* What supervisor and store say to each other over their own socketpair (SOCK_SEQPACKET), one byte of type and its data. */
typedef enum {
    SUPERVISOR_CHANNEL = 1, /* -> store: u8 worker | pid_t of its process; with the descriptor of its channel */
    SUPERVISOR_STOP = 2,    /* -> store */
    SUPERVISOR_RELOAD = 3,  /* -> store: read tacetd.ini again */
    SUPERVISOR_METRICS = 4, /* -> store: with the descriptor of the channel of server/metrics.h */
    STORE_OPEN = 16,        /* -> supervisor: the relay's public key 32: the store is open */
    STORE_READY = 17,       /* -> supervisor: every worker has said that it is ready */
    STORE_DROPPED = 18,     /* -> supervisor: u8 worker | pid_t: that process lied or hangs; end it, if it still lives */
} supervisor_message;

typedef struct {
    const char *dir, *key_file; /* key_file may be NULL */
    relay_config config;
    int supervisor_fd;
    uint8_t salt[16]; /* of the address keys */
} store_options;

/* The exit code of the process: 0 after SUPERVISOR_STOP (or the supervisor's death) when everything accepted is on the disk. */
int store_run(const store_options *o);
#endif
