/* server/metrics.c: see metrics.h. One visitor at a time, each with a deadline: who is slow holds up other scrapers for two seconds, and nobody else. */
#include "server/metrics.h"
#include "base/env.h"
#include "server/control.h"
#include "server/sandbox.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX_BYTES = 4096, VISIT_MAX_MS = 2000, FRESH_MS = 250, STORE_MAX_MS = 5000, TEXT_MAX_BYTES = 4 * CONTROL_ANSWER_MAX };

typedef struct {
    int store_fd;
    char status[CONTROL_ANSWER_MAX];
    uint64_t asked_ms;
} metrics;

static uint64_t mono_ms(void) { return env_mono_ms(env_system()); }

static bool wait_for(int fd, short what, uint64_t until_ms)
{
    struct pollfd p = { fd, what, 0 };
    uint64_t now = mono_ms();
    return now < until_ms && poll(&p, 1, (int)(until_ms - now)) == 1;
}

/* The text of `tacetd status`, a quarter of a second old at most. False: store has gone. */
static bool refresh(metrics *m)
{
    uint64_t now = mono_ms();
    if (m->status[0] && now - m->asked_ms < FRESH_MS)
        return true;
    if (send(m->store_fd, "?", 1, MSG_NOSIGNAL) != 1 || !wait_for(m->store_fd, POLLIN, now + STORE_MAX_MS))
        return false;
    ssize_t n = recv(m->store_fd, m->status, sizeof m->status - 1, 0);
    if (n <= 0)
        return false;
    m->status[n] = 0;
    m->asked_ms = now;
    return true;
}

/* --- the text ------------------------------------------------------------------------------------------------------------------------------ */
/* What goes up and down; everything else only counts up. */
static const char *const gauges[] = {
    "uptime_s",           "workers",      "commits_per_s",       "connections",        "subscriptions", "mailboxes",           "queued_messages",
    "queued_bytes",       "memory_bytes", "window_memory_bytes", "handshakes_pending", "blobs",         "blob_reserved_bytes", "blob_segment_bytes",
    "chunk_memory_bytes", "watchers",
};

static bool is_gauge(const char *name, size_t chars)
{
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++)
        if (strlen(gauges[i]) == chars && strncmp(gauges[i], name, chars) == 0)
            return true;
    return false;
}

/* "name number" a line becomes a type and a sample; what is no such line ("ok") is left out. */
static size_t exposition(char *out, size_t room, const char *status)
{
    size_t used = 0;
    for (const char *line = status; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t name = strcspn(line, " \n"), value = line[name] == ' ' ? strspn(line + name + 1, "0123456789") : 0;
        if (value == 0)
            continue;
        int n = snprintf(out + used, room - used, "# TYPE tacetd_%.*s %s\ntacetd_%.*s %.*s\n", (int)name, line,
                         is_gauge(line, name) ? "gauge" : "counter", (int)name, line, (int)value, line + name + 1);
        if (n < 0 || (size_t)n >= room - used)
            break; /* cut at a whole line */
        used += (size_t)n;
    }
    out[used] = 0;
    return used;
}

/* --- one visit ----------------------------------------------------------------------------------------------------------------------------- */
/* True: a whole head of a request is there, as text. */
static bool read_head(int fd, char head[REQUEST_MAX_BYTES], uint64_t until_ms)
{
    size_t used = 0;
    while (used + 1 < REQUEST_MAX_BYTES && wait_for(fd, POLLIN, until_ms)) {
        ssize_t n = recv(fd, head + used, REQUEST_MAX_BYTES - 1 - used, MSG_DONTWAIT);
        if (n <= 0)
            return false;
        used += (size_t)n;
        head[used] = 0;
        if (strstr(head, "\r\n\r\n"))
            return true;
    }
    return false;
}

static void write_all(int fd, const char *bytes, size_t n, uint64_t until_ms)
{
    while (n && wait_for(fd, POLLOUT, until_ms)) {
        ssize_t w = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w <= 0)
            return;
        bytes += w;
        n -= (size_t)w;
    }
}

/* False: store has gone. */
static bool visit(metrics *m, int fd)
{
    static char head[REQUEST_MAX_BYTES], body[TEXT_MAX_BYTES], answer[256];
    uint64_t until = mono_ms() + VISIT_MAX_MS;
    if (!read_head(fd, head, until))
        return true;
    bool known = strncmp(head, "GET /metrics ", 13) == 0 || strncmp(head, "GET /metrics?", 13) == 0, there = known && refresh(m);
    size_t n = there ? exposition(body, sizeof body, m->status) : 0;
    int a = snprintf(answer, sizeof answer,
                     "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                     there   ? "200 OK"
                     : known ? "503 Service Unavailable"
                             : "404 Not Found",
                     n);
    write_all(fd, answer, (size_t)a, until);
    write_all(fd, body, n, until);
    shutdown(fd, SHUT_WR);
    return there || !known;
}

int metrics_run(const metrics_options *o)
{
    static metrics m;
    uint32_t facts = 0;
    m.store_fd = o->store_fd;
    signal(SIGPIPE, SIG_IGN);
    if (sandbox_drop(o->uid, o->gid) != TACET_OK || sandbox_landlock(&facts) != TACET_OK ||
        sandbox_seccomp_sockets(&facts, o->listen_fd) != TACET_OK) {
        fprintf(stderr, "tacetd: metrics: the sandbox did not take: %s\n", strerror(errno));
        return 1;
    }
    for (;;) {
        struct pollfd p[] = { { o->listen_fd, POLLIN, 0 }, { o->store_fd, POLLIN, 0 } };
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return 1;
        if (p[1].revents) /* it says nothing unasked */
            return 0;
        if (p[0].revents & ~POLLIN) /* our listening socket is dead; the supervisor sees to it */
            return 1;
        int fd = p[0].revents ? accept4(o->listen_fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        bool go_on = visit(&m, fd);
        close(fd);
        if (!go_on)
            return 0;
    }
}
