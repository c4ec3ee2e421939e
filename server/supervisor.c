/* server/supervisor.c: see supervisor.h. Forks happen here and nowhere else, before this process has seen a key: store reads it after the fork. */
#include "server/supervisor.h"
#include "base/secret.h"
#include "server/limits.h"
#include "server/metrics.h"
#include "server/net.h"
#include "server/store_parts.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    RESTART_FIRST_MS = 50,
    RESTART_MAX_MS = 1000,
    LISTEN_AGAIN_MS = 20,
    LISTEN_TRIES = 150,
    STEADY_MS = 60000,
    CHANNEL_BUFFER_BYTES = 1024 * 1024,
    BACKLOG = 4096
};

typedef struct {
    pid_t pid; /* 0: not running */
    uint64_t started_ms, again_ms;
    uint32_t pause_ms;
} net_state;

typedef struct {
    const char *dir, *key_file;
    const relay_config *config;
    int lock_fd, listen_fd, metrics_fd, store_fd, signal_fd; /* metrics_fd: listens; -1: nobody wants metrics */
    pid_t store;
    bool open, ready, stopping, deaf; /* deaf: stopping, because nobody can reach us any more */
    uint8_t salt[16], relay_key[32];
    uint32_t uid, gid;
    char address[TACET_LINK_MAX_CHARS + 1];
    net_state net[RELAY_WORKERS_MAX], metrics;
} supervisor;

static uint64_t mono_ms(void) { return env_mono_ms(env_system()); }

/* --- the listening socket -------------------------------------------------------------------------------------------------------------- */
static int listen_at(const struct addrinfo *a)
{
    int on = 1, off = 0, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    bool good = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (a->ai_family == AF_INET6) /* [::] means every address, IPv4 as well */
        good &= setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
    if (good && bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* The kernel takes the rings of a process that was killed apart after its end; until then they hold the listening socket of the relay before us. */
static int listen_soon(const struct addrinfo *list)
{
    const struct timespec pause = { 0, LISTEN_AGAIN_MS * 1000000l };
    int fd = -1;
    for (int i = 0; fd < 0 && i < LISTEN_TRIES; i++) {
        if (i && (errno != EADDRINUSE || nanosleep(&pause, NULL) != 0))
            break;
        for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
            fd = listen_at(a);
    }
    return fd;
}

static int listen_open(const host_port *h)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *list = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)h->port);
    int rc = getaddrinfo(h->host, port, &hints, &list);
    if (rc != 0) {
        store_log("%s: %s", h->host, gai_strerror(rc));
        return -1;
    }
    int fd = listen_soon(list);
    if (fd < 0)
        store_log("cannot listen at %s port %s: %s", h->host, port, strerror(errno));
    freeaddrinfo(list);
    return fd;
}

/* A child of ours cannot shut it (server/sandbox.c); whatever has, no new child would hear anybody. */
static bool still_listens(int fd)
{
    int yes = 0;
    socklen_t n = sizeof yes;
    return fd < 0 || (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &n) == 0 && yes);
}

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = { 0 };
    socklen_t n = sizeof a;
    if (getsockname(fd, &a.any, &n) != 0)
        return 0;
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

static void address_make(supervisor *s)
{
    const host_port *h = s->config->public_.set ? &s->config->public_ : &s->config->listen;
    relay_address a = { .port = s->config->public_.set ? h->port : port_of(s->listen_fd) };
    snprintf(a.host, sizeof a.host, "%s", h->host);
    memcpy(a.key, s->relay_key, sizeof a.key);
    relay_address_format(s->address, &a);
}

/* --- children -------------------------------------------------------------------------------------------------------------------------- */
/* In a child: only what it was given stays open, or the child does not live: a net with store's end of our socketpair could stop the relay. */
static void keep_only(int a, int b)
{
    int low = a < b ? a : b, high = a < b ? b : a;
    bool good = low <= 3 || close_range(3, (unsigned)low - 1, 0) == 0;
    good &= high <= low + 1 || close_range((unsigned)low + 1, (unsigned)high - 1, 0) == 0;
    if (good && close_range((unsigned)high + 1, ~0u, 0) == 0)
        return;
    store_log("descriptors cannot be closed: %s; Linux 5.9 or newer is needed, and close_range allowed", strerror(errno));
    _exit(1);
}

/* For ps and top. */
static void name_process(const char *name) { (void)prctl(PR_SET_NAME, (unsigned long)name, 0ul, 0ul, 0ul); }

static void signals_default(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool store_fork(supervisor *s)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    s->store = fork();
    if (s->store == 0) {
        store_options o = { .dir = s->dir, .key_file = s->key_file, .config = *s->config, .supervisor_fd = pair[1] };
        memcpy(o.salt, s->salt, sizeof o.salt);
        name_process("tacetd-store");
        keep_only(pair[1], s->lock_fd);
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signals_default();
        _exit(store_run(&o));
    }
    close(pair[1]);
    s->store_fd = pair[0];
    return s->store > 0;
}

static bool channel_send(const supervisor *s, const uint8_t *m, size_t n, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } ancillary = { 0 };
    struct iovec v = { (void *)(uintptr_t)m, n };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ancillary.bytes, .msg_controllen = sizeof ancillary.bytes };
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(s->store_fd, &h, MSG_NOSIGNAL) == (ssize_t)n;
}

static _Noreturn void net_child(const supervisor *s, uint32_t worker, int fd)
{
    net_options o = { .worker = worker,
                      .listen_fd = s->listen_fd,
                      .store_fd = fd,
                      .slots = s->config->slots,
                      .uid = s->uid,
                      .gid = s->gid,
                      .handshake_burst = s->config->handshakes.burst,
                      .handshake_every_ms = s->config->handshakes.every_ms,
                      .address_connections = s->config->address_connections,
                      .ask_burst = s->config->ask_burst,
                      .ask_every_us = s->config->ask_every_us,
                      .open_idle_s = s->config->open_idle_s };
    memcpy(o.salt, s->salt, sizeof o.salt);
    name_process("tacetd-net");
    keep_only(fd, s->listen_fd);
    signal(SIGINT, SIG_IGN); /* store says when to stop */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signals_default();
    _exit(net_run(&o));
}

static bool net_fork(supervisor *s, uint32_t worker)
{
    int pair[2], size = CHANNEL_BUFFER_BYTES;
    net_state *n = &s->net[worker];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) != 0)
            store_log("net %u: small buffers: %s", (unsigned)worker, strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        net_child(s, worker, pair[1]);
    close(pair[1]);
    uint8_t m[2 + sizeof pid] = { SUPERVISOR_CHANNEL, (uint8_t)worker };
    memcpy(m + 2, &pid, sizeof pid);
    bool good = pid > 0 && channel_send(s, m, sizeof m, pair[0]);
    close(pair[0]);
    if (pid > 0) {
        n->pid = pid;
        n->started_ms = mono_ms();
    }
    return good;
}

static bool metrics_fork(supervisor *s)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        keep_only(pair[1], s->metrics_fd);
        signal(SIGINT, SIG_IGN); /* it ends when store does */
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signals_default();
        _exit(metrics_run(&(metrics_options){ s->metrics_fd, pair[1], s->uid, s->gid }));
    }
    close(pair[1]);
    bool good = pid > 0 && channel_send(s, (const uint8_t[]){ SUPERVISOR_METRICS }, 1, pair[0]);
    close(pair[0]);
    s->metrics.pid = pid > 0 ? pid : 0;
    return good;
}

/* A net that lived for a while comes back at once; one that dies again and again waits longer each time. */
static void net_died(supervisor *s, uint32_t worker, int status)
{
    net_state *n = &s->net[worker];
    n->pid = 0;
    if (s->stopping)
        return;
    if (mono_ms() - n->started_ms > STEADY_MS)
        n->pause_ms = 0;
    n->again_ms = mono_ms() + n->pause_ms;
    n->pause_ms = n->pause_ms ? n->pause_ms * 2 : RESTART_FIRST_MS;
    n->pause_ms = n->pause_ms > RESTART_MAX_MS ? RESTART_MAX_MS : n->pause_ms;
    store_log("net %u ended (%s %d); it is started again", (unsigned)worker, WIFSIGNALED(status) ? "signal" : "exit code",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void nets_due(supervisor *s)
{
    for (uint32_t w = 0; s->open && !s->stopping && w < s->config->workers; w++)
        if (!s->net[w].pid && mono_ms() >= s->net[w].again_ms && !net_fork(s, w)) {
            store_log("net %u could not be started: %s", (unsigned)w, strerror(errno));
            s->net[w].again_ms = mono_ms() + RESTART_MAX_MS;
        }
}

/* As often as once a second, whatever becomes of it. */
static void metrics_due(supervisor *s)
{
    if (s->metrics_fd < 0 || !s->open || s->stopping || s->metrics.pid || mono_ms() < s->metrics.again_ms)
        return;
    s->metrics.again_ms = mono_ms() + RESTART_MAX_MS;
    if (!metrics_fork(s))
        store_log("the metrics process could not be started: %s", strerror(errno));
}

/* --- events ---------------------------------------------------------------------------------------------------------------------------- */
/* It has lost its channel, and may not be our program any more. Store may speak of one that has ended: its successor has done nothing. */
static void net_dropped(const supervisor *s, const uint8_t *m)
{
    pid_t pid;
    memcpy(&pid, m + 1, sizeof pid);
    if (m[0] < s->config->workers && pid > 0 && s->net[m[0]].pid == pid)
        kill(pid, SIGKILL);
}

static void store_says(supervisor *s)
{
    uint8_t m[64];
    ssize_t n = recv(s->store_fd, m, sizeof m, MSG_DONTWAIT);
    if (n <= 0)
        return; /* its death comes as SIGCHLD */
    if (m[0] == STORE_OPEN && n == 33) {
        memcpy(s->relay_key, m + 1, 32);
        s->open = true;
    } else if (m[0] == STORE_READY && !s->ready) {
        s->ready = true;
        address_make(s);
        printf("ready %s\n", s->address);
        if (fflush(stdout) != 0)
            store_log("standard output cannot be written: %s", strerror(errno));
    } else if (m[0] == STORE_DROPPED && n == 2 + sizeof(pid_t)) {
        net_dropped(s, m + 1);
    }
}

static void to_store(supervisor *s, supervisor_message what)
{
    uint8_t m = (uint8_t)what;
    if (send(s->store_fd, &m, 1, MSG_NOSIGNAL) != 1)
        store_log("store does not listen: %s", strerror(errno));
}

static void stop(supervisor *s)
{
    if (!s->stopping)
        to_store(s, SUPERVISOR_STOP);
    s->stopping = true;
}

/* Our sockets were bound before anything else, and the right to a port may be gone: a service manager makes them anew. */
static void stop_when_deaf(supervisor *s)
{
    if (s->stopping || (still_listens(s->listen_fd) && still_listens(s->metrics_fd)))
        return;
    store_log("the listening socket is dead, so nobody can reach this relay; it stops, to be started again");
    s->deaf = true;
    stop(s);
}

/* True: the store has ended; its status is in *status. */
static bool reap(supervisor *s, int *status)
{
    int each;
    bool ended = false;
    for (pid_t pid; (pid = waitpid(-1, &each, WNOHANG)) > 0;) {
        if (pid == s->store) {
            *status = each;
            ended = true;
        }
        if (pid == s->metrics.pid)
            s->metrics.pid = 0;
        for (uint32_t w = 0; w < s->config->workers; w++)
            if (s->net[w].pid == pid)
                net_died(s, w, each);
    }
    stop_when_deaf(s);
    return ended;
}

static bool signals_read(supervisor *s, int *status)
{
    struct signalfd_siginfo i;
    bool ended = false;
    while (read(s->signal_fd, &i, sizeof i) == (ssize_t)sizeof i) {
        if (i.ssi_signo == SIGCHLD) {
            ended |= reap(s, status);
        } else if (i.ssi_signo == SIGHUP) {
            to_store(s, SUPERVISOR_RELOAD);
        } else {
            stop(s);
        }
    }
    return ended;
}

static int poll_ms(const supervisor *s)
{
    uint64_t now = mono_ms(), due = now + 60000;
    for (uint32_t w = 0; s->open && !s->stopping && w < s->config->workers; w++)
        if (!s->net[w].pid && s->net[w].again_ms < due)
            due = s->net[w].again_ms;
    if (s->metrics_fd >= 0 && s->open && !s->stopping && !s->metrics.pid && s->metrics.again_ms < due)
        due = s->metrics.again_ms;
    return due > now ? (int)(due - now) : 0;
}

/* The store's end is ours: nobody but it can accept, and it never goes on after a fault of the disk. A service manager starts all of us again. */
static int end(supervisor *s, int status)
{
    (void)shutdown(s->listen_fd, SHUT_RDWR); /* at once, although rings may hold it for a while: nobody is to knock at a dead relay */
    for (uint32_t w = 0; w < s->config->workers; w++)
        if (s->net[w].pid > 0) {
            kill(s->net[w].pid, SIGKILL);
            waitpid(s->net[w].pid, NULL, 0);
        }
    if (s->metrics.pid > 0) {
        kill(s->metrics.pid, SIGKILL);
        waitpid(s->metrics.pid, NULL, 0);
    }
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!clean && s->open)
        store_log("store ended (%s %d); the relay stops. What was accepted is on the disk", WIFSIGNALED(status) ? "signal" : "exit code",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return clean && s->stopping && !s->deaf ? 0 : 1;
}

static int watch(supervisor *s)
{
    int status = 0;
    for (;;) {
        struct pollfd p[] = { { s->signal_fd, POLLIN, 0 }, { s->store_fd, POLLIN, 0 } };
        nets_due(s);
        metrics_due(s);
        if (poll(p, 2, poll_ms(s)) < 0 && errno != EINTR)
            return end(s, 1 << 8);
        if (p[1].revents & POLLIN)
            store_says(s);
        if ((p[0].revents & POLLIN) && signals_read(s, &status))
            return end(s, status);
        if ((p[1].revents & POLLHUP) && !(p[1].revents & POLLIN)) { /* it is about to end */
            waitpid(s->store, &status, 0);
            return end(s, status);
        }
    }
}

/* Whom a net becomes when we are root. */
static bool user_find(supervisor *s)
{
    const char *name = s->config->user;
    if (geteuid() != 0)
        return true;
    const struct passwd *p = getpwnam(name[0] ? name : "tacetd");
    if (!p && !name[0])
        p = getpwnam("nobody");
    if (!p || p->pw_uid == 0) {
        store_log("there is no user %s for the net processes; name one in tacetd.ini (user = NAME)", name[0] ? name : "nobody");
        return false;
    }
    s->uid = p->pw_uid;
    s->gid = p->pw_gid;
    return true;
}

int supervisor_run(const char *dir, const char *key_file, const relay_config *config, int lock_fd)
{
    static supervisor s;
    sigset_t mine;
    s = (supervisor){ .dir = dir, .key_file = key_file, .config = config, .lock_fd = lock_fd };
    randombytes_buf(s.salt, sizeof s.salt);
    sigemptyset(&mine);
    sigaddset(&mine, SIGCHLD);
    sigaddset(&mine, SIGTERM);
    sigaddset(&mine, SIGINT);
    sigaddset(&mine, SIGHUP);
    sigprocmask(SIG_BLOCK, &mine, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!user_find(&s) || (s.listen_fd = listen_open(&config->listen)) < 0)
        return 1;
    s.metrics_fd = config->metrics.set ? listen_open(&config->metrics) : -1;
    if (config->metrics.set && s.metrics_fd < 0)
        return 1;
    if (s.metrics_fd >= 0)
        store_log("metrics at http://%s:%u/metrics", config->metrics.host, (unsigned)port_of(s.metrics_fd));
    s.signal_fd = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s.signal_fd < 0 || !store_fork(&s)) {
        store_log("cannot start: %s", strerror(errno));
        return 1;
    }
    return watch(&s);
}
