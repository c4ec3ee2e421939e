/* rpc: JSON-RPC between stdin, stdout (or a socket of one's own) and the host. This process is the host when no other is; either way each client has a
 * bridge to the host of its own. */
#include "bridge.h"
#include "engine/caller.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BRIDGES_MAX = 16 };

/* Waits for what the bridges have gathered. EXIT_DONE, or the exit code: said already, unless the user stopped us (*over). */
static int wait_for(cli *c, struct pollfd *fds, size_t n, bool *over)
{
    caller_news news;
    engine_error why = { 0 };
    caller_wait(c->caller, fds, n, &news);
    *over = news.kind == CALLER_STOPPED && stopped(c, &news, &why) != EXIT_DONE;
    return *over && !c->interrupted ? fail_why(c, &why) : EXIT_DONE;
}

static int carry_stdio(cli *c)
{
    bridge b;
    if (!bridge_open(c, &b, STDIN_FILENO, STDOUT_FILENO))
        return fail(c, SAY_NO_HOST, strerror(errno), NULL, NULL);
    int exit = EXIT_DONE;
    for (bool over = false; exit == EXIT_DONE && !over;) {
        struct pollfd fds[BRIDGE_POLLS];
        bridge_gather(&b, fds);
        exit = wait_for(c, fds, BRIDGE_POLLS, &over);
        if (exit != EXIT_DONE || over)
            break;
        over = bridge_move(&b, fds) != BRIDGE_GOES_ON;
        if (!over && bridge_stranded(&b))
            exit = bridge_again(c, &b);
    }
    bridge_close(&b);
    return exit;
}

/* A socket at `path`, mode 0600. What a dead process left there is replaced, anything else is not touched. */
static int socket_make(cli *c, const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char most[24];
    if (strlen(path) >= sizeof at.sun_path)
        return fail(c, SAY_ARG_SOCKET, say_number(most, (long long)sizeof at.sun_path - 1), NULL, NULL), -1;
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat there; /* a file that is no socket refuses connections as well as a dead one */
    if (fd >= 0 && probe >= 0 && lstat(path, &there) == 0 && S_ISSOCK(there.st_mode) && connect(probe, (struct sockaddr *)&at, sizeof at) != 0 &&
        errno == ECONNREFUSED)
        (void)unlink(path);
    if (probe >= 0)
        close(probe);
    mode_t before = umask(0177);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, BRIDGES_MAX) == 0;
    umask(before);
    if (good)
        return fd;
    fail(c, SAY_SOCKET, path, strerror(errno), NULL);
    if (fd >= 0)
        close(fd);
    return -1;
}

static void visitor_take(cli *c, int listening, bridge bridges[BRIDGES_MAX])
{
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (size_t i = 0; i < BRIDGES_MAX && peer_is_us(fd, NULL); i++)
        if (bridges[i].host < 0 && bridge_open(c, &bridges[i], fd, fd))
            return;
    close(fd);
}

static int visitors_move(cli *c, bridge bridges[BRIDGES_MAX], const struct pollfd *fds)
{
    int exit = EXIT_DONE;
    for (size_t i = 0; i < BRIDGES_MAX && exit == EXIT_DONE; i++) {
        bridge *b = &bridges[i];
        if (b->host < 0)
            continue;
        if (bridge_move(b, &fds[i * BRIDGE_POLLS]) != BRIDGE_GOES_ON) {
            bridge_close(b);
            close(b->in);
        } else if (bridge_stranded(b)) {
            exit = bridge_again(c, b);
        }
    }
    return exit;
}

static int carry_socket(cli *c, int listening)
{
    static bridge bridges[BRIDGES_MAX];
    int exit = EXIT_DONE;
    for (size_t i = 0; i < BRIDGES_MAX; i++)
        bridges[i].host = -1;
    for (bool over = false; exit == EXIT_DONE && !over;) {
        struct pollfd fds[1 + BRIDGES_MAX * BRIDGE_POLLS];
        fds[0] = (struct pollfd){ .fd = listening, .events = POLLIN };
        for (size_t i = 0; i < BRIDGES_MAX; i++) {
            for (size_t k = 0; k < BRIDGE_POLLS; k++)
                fds[1 + i * BRIDGE_POLLS + k] = (struct pollfd){ .fd = -1 };
            if (bridges[i].host >= 0)
                bridge_gather(&bridges[i], &fds[1 + i * BRIDGE_POLLS]);
        }
        exit = wait_for(c, fds, sizeof fds / sizeof *fds, &over);
        if (exit == EXIT_DONE && !over)
            exit = visitors_move(c, bridges, fds + 1);
        if (exit == EXIT_DONE && !over && fds[0].revents & POLLIN)
            visitor_take(c, listening, bridges);
    }
    for (size_t i = 0; i < BRIDGES_MAX; i++)
        bridge_close(&bridges[i]);
    return exit;
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
