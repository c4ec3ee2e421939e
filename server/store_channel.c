/* server/store_channel.c: the socketpairs to the workers. What a worker says goes to the gate message by message; one that says what no honest net says, or has
 * ended, is dropped with all its connections, and the supervisor is told. */
#include "server/store_parts.h"
#include "server/limits.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHANNEL_IN_BYTES = 2 * IPC_MESSAGE_MAX_BYTES };

static void channel_drop(store *s, uint32_t worker, const char *why)
{
    channel *c = &s->channel[worker];
    uint8_t which[1 + sizeof c->pid] = { (uint8_t)worker };
    memcpy(which + 1, &c->pid, sizeof c->pid);
    close(c->fd);
    c->fd = -1;
    c->in_used = 0;
    ipc_queue_free(&c->out);
    gate_worker_gone(s->gate, worker);
    if (s->stopping)
        return;
    store_log("net %u: %s", (unsigned)worker, why);
    store_tell_supervisor(s, STORE_DROPPED, which, sizeof which);
}

void store_channel_add(store *s, uint32_t worker, pid_t pid, int fd)
{
    channel *c = &s->channel[worker];
    if (c->fd >= 0)
        channel_drop(s, worker, "replaced");
    if (!c->in && !(c->in = malloc(CHANNEL_IN_BYTES))) {
        close(fd);
        store_log("net %u: no memory", (unsigned)worker);
        return;
    }
    ipc_queue_init(&c->out, RELAY_IPC_QUEUE_MAX_BYTES);
    c->fd = fd;
    c->pid = pid;
    c->stop_said = false;
}

static void channel_parse(store *s, uint32_t worker)
{
    channel *c = &s->channel[worker];
    size_t at = 0;
    ipc_message m;
    int rc;
    while ((rc = ipc_next(&m, IPC_FROM_NET, c->in, c->in_used, &at)) == TACET_OK)
        if ((rc = gate_message(s->gate, worker, &m)) != TACET_OK)
            break;
    if (rc != TACET_E_AGAIN) {
        channel_drop(s, worker, rc == TACET_E_NOMEM ? "no memory" : "it said what an honest net does not say; ended");
        return;
    }
    memmove(c->in, c->in + at, c->in_used - at);
    c->in_used -= at;
}

void store_channel_read(store *s, uint32_t worker)
{
    channel *c = &s->channel[worker];
    ssize_t n = recv(c->fd, c->in + c->in_used, CHANNEL_IN_BYTES - c->in_used, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        channel_drop(s, worker, "it has ended");
        return;
    }
    c->in_used += (size_t)n;
    channel_parse(s, worker);
}

void store_channel_write(store *s, uint32_t worker)
{
    channel *c = &s->channel[worker];
    while (c->fd >= 0 && c->out.used) {
        ssize_t n = send(c->fd, ipc_queued(&c->out), c->out.used, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            channel_drop(s, worker, "it has ended");
            return;
        }
        ipc_written(&c->out, (size_t)n);
    }
}
