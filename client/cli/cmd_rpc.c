/* rpc: JSON-RPC between stdin, stdout (or a socket of one's own) and the host. This process is the host when no other is; either way it only
 * carries bytes: each end has a connection to the host of its own. */
#include "cli.h"
#include "engine/caller.h"
#include "engine/line.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PUMPS_MAX = 16, PIECE_BYTES = 4096 /* what a pipe takes at once after POLLOUT, so that nothing blocks */, POLLS_EACH = 3 };

typedef struct {
    char bytes[PIECE_BYTES];
    size_t used, sent;
} piece;

typedef struct {
    int in, out, host; /* in and out may be the same; host -1: free */
    bool in_ended, told, host_ended;
    piece to_host, to_out;
} pump;

/* Read when there is room; false: the other side has ended. */
static bool piece_fill(piece *p, int fd)
{
    ssize_t n = read(fd, p->bytes, sizeof p->bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    p->sent = 0;
    p->used = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static bool piece_pour(piece *p, int fd)
{
    ssize_t n = write(fd, p->bytes + p->sent, p->used - p->sent);
    if (n > 0)
        p->sent += (size_t)n;
    return n > 0 || errno == EAGAIN || errno == EINTR;
}

static bool piece_left(const piece *p) { return p->used > p->sent; }

/* False: this pump is done. */
static bool pump_move(pump *p, const struct pollfd fds[POLLS_EACH])
{
    const short gone = POLLHUP | POLLERR;
    bool good = true;
    if (fds[0].revents & (POLLIN | gone) && !piece_left(&p->to_host) && !p->in_ended)
        p->in_ended = !piece_fill(&p->to_host, p->in);
    if (fds[2].revents & (POLLIN | gone) && !piece_left(&p->to_out) && !p->host_ended)
        p->host_ended = !piece_fill(&p->to_out, p->host);
    if (piece_left(&p->to_host))
        good = piece_pour(&p->to_host, p->host);
    if (p->in_ended && !piece_left(&p->to_host) && !p->told) {
        p->told = true;
        (void)shutdown(p->host, SHUT_WR); /* the host answers what was asked, then closes */
    }
    if (fds[1].revents & POLLOUT && piece_left(&p->to_out))
        good = piece_pour(&p->to_out, p->out) && good;
    return good && !(fds[1].revents & gone) && !(p->host_ended && !piece_left(&p->to_out));
}

static void pump_gather(const pump *p, struct pollfd fds[POLLS_EACH])
{
    fds[0] = (struct pollfd){ .fd = p->in_ended || piece_left(&p->to_host) ? -1 : p->in, .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = piece_left(&p->to_out) ? p->out : -1, .events = POLLOUT };
    int events = (piece_left(&p->to_host) ? POLLOUT : 0) | (piece_left(&p->to_out) ? 0 : POLLIN);
    fds[2] = (struct pollfd){ .fd = events ? p->host : -1, .events = (short)events };
}

static bool pump_start(cli *c, pump *p, int in, int out)
{
    *p = (pump){ .in = in, .out = out, .host = caller_connect(c->caller) };
    return p->host >= 0;
}

static int carry_stdio(cli *c)
{
    pump p;
    if (!pump_start(c, &p, STDIN_FILENO, STDOUT_FILENO))
        return fail(c, EXIT_FAILED, "io", "no connection to the host (%s). Try again", strerror(errno));
    bool going = true;
    int exit = EXIT_DONE;
    while (going && exit == EXIT_DONE) {
        struct pollfd fds[POLLS_EACH];
        caller_news n;
        engine_error why = { 0 };
        pump_gather(&p, fds);
        caller_wait(c->caller, fds, POLLS_EACH, &n);
        if (n.kind == CALLER_STOPPED && stopped(c, &n, &why) != EXIT_DONE) {
            exit = c->interrupted ? EXIT_DONE : fail_why(c, &why);
            going = false;
        } else if (!pump_move(&p, fds)) {
            going = false;
            if (p.host_ended && !p.in_ended)
                exit = fail(c, EXIT_FAILED, "host-gone",
                            "the tacet that held this profile has ended; unanswered requests may not have been run. Start again");
        }
    }
    close(p.host);
    return exit;
}

/* A socket at `path`, mode 0600. What a dead process left there is replaced, anything else is not touched. */
static int socket_make(cli *c, const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof at.sun_path)
        return fail(c, EXIT_USAGE, "usage", "the path of a socket has at most %zu bytes. Choose a shorter one", sizeof at.sun_path - 1), -1;
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && probe >= 0 && connect(probe, (struct sockaddr *)&at, sizeof at) != 0 && errno == ECONNREFUSED)
        (void)unlink(path);
    if (probe >= 0)
        close(probe);
    mode_t before = umask(0177);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, PUMPS_MAX) == 0;
    umask(before);
    if (good)
        return fd;
    fail(c, EXIT_FAILED, "io", "no socket at %s (%s). Choose another path", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static void visitor_take(cli *c, int listening, pump pumps[PUMPS_MAX])
{
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (size_t i = 0; i < PUMPS_MAX && peer_is_us(fd, NULL); i++)
        if (pumps[i].host < 0 && pump_start(c, &pumps[i], fd, fd))
            return;
    close(fd);
}

static int carry_socket(cli *c, int listening)
{
    static pump pumps[PUMPS_MAX];
    for (size_t i = 0; i < PUMPS_MAX; i++)
        pumps[i].host = -1;
    for (;;) {
        struct pollfd fds[1 + PUMPS_MAX * POLLS_EACH];
        caller_news n;
        engine_error why = { 0 };
        fds[0] = (struct pollfd){ .fd = listening, .events = POLLIN };
        for (size_t i = 0; i < PUMPS_MAX; i++) {
            struct pollfd none = { .fd = -1 };
            fds[1 + i * POLLS_EACH] = fds[2 + i * POLLS_EACH] = fds[3 + i * POLLS_EACH] = none;
            if (pumps[i].host >= 0)
                pump_gather(&pumps[i], &fds[1 + i * POLLS_EACH]);
        }
        caller_wait(c->caller, fds, sizeof fds / sizeof *fds, &n);
        if (n.kind == CALLER_STOPPED && stopped(c, &n, &why) != EXIT_DONE)
            return c->interrupted ? EXIT_DONE : fail_why(c, &why);
        for (size_t i = 0; i < PUMPS_MAX; i++)
            if (pumps[i].host >= 0 && !pump_move(&pumps[i], &fds[1 + i * POLLS_EACH])) {
                close(pumps[i].host);
                close(pumps[i].in);
                pumps[i].host = -1;
            }
        if (fds[0].revents & POLLIN)
            visitor_take(c, listening, pumps);
    }
}

int run_rpc(cli *c)
{
    int listening = -1, exit;
    c->follows = true;
    if ((exit = engine_reach(c)) != EXIT_DONE)
        return exit;
    if (!c->args.given[OPT_SOCKET])
        return carry_stdio(c);
    if ((listening = socket_make(c, c->args.text[OPT_SOCKET])) < 0)
        return c->failed;
    exit = carry_socket(c, listening);
    close(listening);
    (void)unlink(c->args.text[OPT_SOCKET]);
    return exit;
}
