/* engine/line.h: bounded lines over a stream socket, both directions; reading also from a pipe or a file. */
#ifndef ENGINE_LINE_H
#define ENGINE_LINE_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct {
    char *bytes;
    size_t used, room, taken, seen; /* taken: handed out already; seen: searched for a newline already */
    size_t max;                     /* the longest line, its newline not counted */
} line_in;

typedef struct {
    char *bytes;
    size_t used, room, sent;
    size_t max; /* bytes that may wait */
} line_out;

typedef enum { LINE_MORE, LINE_END, LINE_LOST } line_state;

/* Reads what there is. LINE_MORE: go on (maybe nothing came); LINE_END: the other side has closed its half; LINE_LOST: broken, or no memory. */
line_state line_read(line_in *l, int fd);
/* 1: *line (NUL-ended, without the newline) is valid until the next call with l; 0: none yet; -1: longer than max. */
int line_next(line_in *l, char **line, size_t *n);
/* False: more than max bytes would wait, or no memory. A newline is added. */
bool line_put(line_out *l, const char *line);
/* Sends what the socket takes. LINE_MORE also when something is left (see line_waits). */
line_state line_flush(line_out *l, int fd);
static inline bool line_waits(const line_out *l) { return l->used > l->sent; }
void line_in_free(line_in *l); /* wipes: lines carry what people wrote */
void line_out_free(line_out *l);

/* PROFILE/socket whatever the length of its path: a listening socket made anew with mode 0600, or a connection to whoever listens there under our own
 * uid. The descriptor, non-blocking and close-on-exec; -1 with errno (ECONNREFUSED and ENOENT: nobody is there; EPERM: not our uid). */
int profile_listen(const char *profile_dir);
int profile_connect(const char *profile_dir, pid_t *peer);
/* Whether the other end of a connected Unix socket runs under our uid. */
bool peer_is_us(int fd, pid_t *peer);
#endif
