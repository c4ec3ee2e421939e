#include "engine/line.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { STEP_BYTES = 16 * 1024 };

/* realloc that leaves no copy behind. */
static bool grow(char **bytes, size_t *room, size_t used, size_t need)
{
    if (need <= *room)
        return true;
    size_t bigger = *room ? *room : STEP_BYTES;
    while (bigger < need)
        bigger *= 2;
    char *fresh = malloc(bigger);
    if (!fresh)
        return false;
    if (used)
        memcpy(fresh, *bytes, used);
    if (*bytes)
        sodium_memzero(*bytes, used);
    free(*bytes);
    *bytes = fresh;
    *room = bigger;
    return true;
}

line_state line_read(line_in *l, int fd)
{
    if (l->taken) { /* lines that were handed out have served */
        memmove(l->bytes, l->bytes + l->taken, l->used - l->taken);
        l->used -= l->taken;
        l->seen -= l->taken < l->seen ? l->taken : l->seen;
        l->taken = 0;
    }
    if (!grow(&l->bytes, &l->room, l->used, l->used + STEP_BYTES))
        return LINE_LOST;
    ssize_t n = read(fd, l->bytes + l->used, l->room - l->used);
    if (n > 0)
        l->used += (size_t)n;
    else if (n == 0)
        return LINE_END;
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return LINE_LOST;
    return LINE_MORE;
}

int line_next(line_in *l, char **line, size_t *n)
{
    char *start = l->bytes + l->taken;
    char *end = l->used > l->seen ? memchr(l->bytes + l->seen, '\n', l->used - l->seen) : NULL;
    size_t whole = end ? (size_t)(end - start) : l->used - l->taken;
    if (whole > l->max)
        return -1;
    if (!end) {
        l->seen = l->used;
        return 0;
    }
    *end = '\0';
    *line = start;
    *n = whole;
    l->taken += whole + 1;
    l->seen = l->taken;
    return 1;
}

bool line_put(line_out *l, const char *line)
{
    size_t n = strlen(line) + 1;
    if (l->used - l->sent + n > l->max)
        return false;
    if (l->sent) {
        memmove(l->bytes, l->bytes + l->sent, l->used - l->sent);
        l->used -= l->sent;
        l->sent = 0;
    }
    if (!grow(&l->bytes, &l->room, l->used, l->used + n))
        return false;
    memcpy(l->bytes + l->used, line, n - 1);
    l->bytes[l->used + n - 1] = '\n';
    l->used += n;
    return true;
}

line_state line_flush(line_out *l, int fd)
{
    while (line_waits(l)) {
        ssize_t n = send(fd, l->bytes + l->sent, l->used - l->sent, MSG_NOSIGNAL);
        if (n > 0)
            l->sent += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
            return LINE_MORE;
        else
            return LINE_LOST;
    }
    l->used = l->sent = 0;
    return LINE_MORE;
}

void line_in_free(line_in *l)
{
    if (l->bytes)
        sodium_memzero(l->bytes, l->room);
    free(l->bytes);
    *l = (line_in){ 0 };
}

void line_out_free(line_out *l)
{
    if (l->bytes)
        sodium_memzero(l->bytes, l->room);
    free(l->bytes);
    *l = (line_out){ 0 };
}

bool peer_is_us(int fd, pid_t *peer)
{
    struct ucred who;
    socklen_t n = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0 || n != sizeof who || who.uid != geteuid())
        return false;
    if (peer)
        *peer = who.pid;
    return true;
}

/* A Unix socket's path has 107 characters; through the directory's descriptor any profile fits. *dir is to be closed after use. */
static bool socket_address(struct sockaddr_un *at, int *dir, const char *profile_dir)
{
    *dir = open(profile_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir < 0)
        return false;
    *at = (struct sockaddr_un){ .sun_family = AF_UNIX };
    snprintf(at->sun_path, sizeof at->sun_path, "/proc/self/fd/%d/socket", *dir);
    return true;
}

static int close_keeping_errno(int fd)
{
    int was = errno;
    if (fd >= 0)
        close(fd);
    errno = was;
    return -1;
}

int profile_listen(const char *profile_dir)
{
    struct sockaddr_un at;
    int dir = -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !socket_address(&at, &dir, profile_dir))
        return close_keeping_errno(fd);
    (void)unlinkat(dir, "socket", 0); /* what a dead host left: we hold the lock */
    mode_t before = umask(0177);
    int rc = bind(fd, (struct sockaddr *)&at, sizeof at);
    umask(before);
    if (rc == 0)
        rc = listen(fd, 64);
    close_keeping_errno(dir);
    return rc == 0 ? fd : close_keeping_errno(fd);
}

int profile_connect(const char *profile_dir, pid_t *peer)
{
    struct sockaddr_un at;
    int dir = -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !socket_address(&at, &dir, profile_dir))
        return close_keeping_errno(fd);
    int rc = connect(fd, (struct sockaddr *)&at, sizeof at); /* EAGAIN: its queue is full */
    close_keeping_errno(dir);
    if (rc != 0)
        return close_keeping_errno(fd);
    if (!peer_is_us(fd, peer)) {
        errno = EPERM;
        return close_keeping_errno(fd);
    }
    return fd;
}
