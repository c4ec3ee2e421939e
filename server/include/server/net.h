/* server/net.h: the net process. It speaks with strangers and holds no long-term secret: no key but the record keys of its own connections, no
 * file, no outgoing connection. It is forked by the supervisor (server/supervisor.c), which holds no secret either. */
#ifndef SERVER_NET_H
#define SERVER_NET_H
#include <stdint.h>

typedef struct {
    unsigned worker;                              /* 0 .. workers - 1 */
    int listen_fd;                                /* bound and listening, non-blocking, the same for all workers */
    int store_fd;                                 /* socketpair to store, see server/ipc.h */
    uint32_t slots;                               /* most connections at a time */
    uint8_t salt[16];                             /* of the address keys; the same for all workers of one run, unknown outside */
    uint32_t uid, gid;                            /* to become, before anything is read; 0: stay who we are */
    uint32_t handshake_burst, handshake_every_ms; /* new connections of one address; 0: RELAY_HANDSHAKE_BURST and _EVERY_MS */
    uint32_t address_connections;                 /* of one address at a time; 0: slots / RELAY_ADDRESS_SHARE */
    uint32_t ask_burst, ask_every_us;             /* requests of one address; 0: RELAY_ASK_BURST and _EVERY_US */
    uint32_t open_idle_s, stall_ms;               /* 0: RELAY_OPEN_IDLE_S, RELAY_STALL_MS */
} net_options;

/* Runs until store says IPC_STOP (0), closes its end (1), or something of ours fails (1, one line on stderr). Never returns to the caller's life:
 * the supervisor calls _exit with the result. Every descriptor but 0 to 2 and the two named above has been closed before. */
int net_run(const net_options *o);
#endif
