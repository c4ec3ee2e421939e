/* server/control.c: see control.h. The socket is named through /proc/self/fd, because a path in sun_path may have 107 characters only. */
#include "server/control.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    int fd; /* -1: free */
    size_t used;
    bool asked;
    char line[CONTROL_LINE_MAX];
} client_state;

struct control {
    int dir_fd, listen_fd;
    client_state client[CONTROL_CLIENTS_MAX];
};

static int address_of(struct sockaddr_un *a, int dir_fd)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int n = snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/control", dir_fd);
    return n > 0 && n < (int)sizeof a->sun_path ? TACET_OK : TACET_E_BUG;
}

int control_open(control **out, const char *dir)
{
    struct sockaddr_un a;
    control *c = calloc(1, sizeof *c);
    if (!c)
        return TACET_E_NOMEM;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        c->client[i].fd = -1;
    c->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc = c->dir_fd >= 0 && c->listen_fd >= 0 ? address_of(&a, c->dir_fd) : TACET_E_IO;
    if (rc == TACET_OK && unlinkat(c->dir_fd, "control", 0) != 0 && errno != ENOENT)
        rc = TACET_E_IO;
    mode_t before = umask(0177);
    if (rc == TACET_OK && (bind(c->listen_fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(c->listen_fd, CONTROL_CLIENTS_MAX) != 0))
        rc = TACET_E_IO;
    umask(before);
    if (rc != TACET_OK) {
        control_close(c);
        return rc;
    }
    *out = c;
    return TACET_OK;
}

static void hang_up(client_state *k)
{
    if (k->fd >= 0)
        close(k->fd);
    *k = (client_state){ .fd = -1 };
}

control *control_close(control *c)
{
    if (!c)
        return NULL;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        hang_up(&c->client[i]);
    if (c->listen_fd >= 0) {
        close(c->listen_fd);
        unlinkat(c->dir_fd, "control", 0);
    }
    if (c->dir_fd >= 0)
        close(c->dir_fd);
    free(c);
    return NULL;
}

size_t control_fds(const control *c, int *fds)
{
    size_t n = 0;
    bool room = false;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        room |= c->client[i].fd < 0;
        if (c->client[i].fd >= 0 && !c->client[i].asked)
            fds[n++] = c->client[i].fd;
    }
    if (room)
        fds[n++] = c->listen_fd;
    return n;
}

static bool same_user(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && (peer.uid == geteuid() || peer.uid == 0);
}

static void accept_one(control *c)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (c->client[i].fd >= 0)
            continue;
        int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0 && same_user(fd))
            c->client[i].fd = fd;
        else if (fd >= 0)
            close(fd);
        return;
    }
}

/* True when a whole line is there. */
static bool read_line(client_state *k)
{
    ssize_t n = read(k->fd, k->line + k->used, sizeof k->line - k->used);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0 || k->used + (size_t)n == sizeof k->line) {
        hang_up(k);
        return false;
    }
    k->used += (size_t)n;
    char *end = memchr(k->line, '\n', k->used);
    if (end)
        *end = 0;
    return end;
}

bool control_next(control *c, int *client, const char **line)
{
    accept_one(c);
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        client_state *k = &c->client[i];
        if (k->fd < 0 || k->asked || !read_line(k))
            continue;
        k->asked = true;
        *client = i;
        *line = k->line;
        return true;
    }
    return false;
}

bool control_answer(control *c, int client, const char *text)
{
    client_state *k = &c->client[client];
    size_t n = strlen(text);
    bool taken = k->fd >= 0 && send(k->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n; /* it fits any socket buffer */
    hang_up(k);
    return taken;
}

/* --- the other side ---------------------------------------------------------------------------------------------------------------------- */
static int exchange(int fd, const char *line, char *answer, size_t room)
{
    char request[CONTROL_LINE_MAX];
    int n = snprintf(request, sizeof request, "%s\n", line);
    if (n < 0 || n >= (int)sizeof request - 1)
        return TACET_E_MALFORMED;
    if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        return TACET_E_IO;
    size_t used = 0;
    for (ssize_t got; used + 1 < room && (got = read(fd, answer + used, room - 1 - used)) != 0;) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return TACET_E_IO;
        used += (size_t)got;
    }
    answer[used] = 0;
    return used ? TACET_OK : TACET_E_IO;
}

int control_ask(const char *dir, const char *line, char *out, size_t room)
{
    struct sockaddr_un a;
    char answer[CONTROL_ANSWER_MAX];
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = dir_fd >= 0 && fd >= 0 ? address_of(&a, dir_fd) : TACET_E_IO;
    if (rc == TACET_OK && connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        rc = errno == ENOENT || errno == ECONNREFUSED ? TACET_E_NOT_FOUND : TACET_E_IO;
    if (rc == TACET_OK)
        rc = exchange(fd, line, answer, sizeof answer);
    if (dir_fd >= 0)
        close(dir_fd);
    if (fd >= 0)
        close(fd);
    if (rc != TACET_OK)
        return rc;
    if (strncmp(answer, "ok\n", 3) == 0) {
        snprintf(out, room, "%s", answer + 3);
        return TACET_OK;
    }
    bool error = strncmp(answer, "error ", 6) == 0;
    snprintf(out, room, "%s", error ? answer + 6 : "");
    return error ? TACET_E_REFUSED : TACET_E_IO;
}
