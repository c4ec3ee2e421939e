/* server/metrics.h: the process that answers `tacetd run --metrics`: counters as plain text in the Prometheus exposition format (version 0.0.4), over
 * HTTP. It has the listening socket and one end of a socketpair to store, and nothing else: no key, no file, no data of anybody. It asks store for the text of
 * `tacetd status` at most four times a second, whoever asks it. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H
#include <stdint.h>

typedef struct {
    int listen_fd, store_fd; /* store_fd: SOCK_SEQPACKET; one byte asks, one message answers */
    uint32_t uid, gid;       /* to become; 0: stay who we are */
} metrics_options;

/* Until store closes its end (0), or something of ours fails (1). Every other descriptor above 2 has been closed before. */
int metrics_run(const metrics_options *o);
#endif
