/* One connection over a socket. A proxy is another address to resolve and connect to, and a few bytes before the wire's. */
#include "engine/link.h"
#include "resolve.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_BYTES = 32 * 1024, READS_MAX = 16 /* in one round: other links want their turn */ };

struct relay_link {
    link_config c;
    link_state state;
    wire *wire;
    socks *proxy; /* NULL: none */
    resolver *names;
    int fd, error;
    bool started, stopped; /* stopped: ended or given up, nothing is called any more */
    uint64_t deadline;     /* of resolving or connecting */
    resolved at[TACET_LINK_ADDRESSES_MAX];
    size_t count, next;
};

static uint64_t now(const relay_link *l) { return env_mono_ms(l->c.env); }

/* The one function that changes the state. */
static void enter(relay_link *l, link_state state, wire_end why)
{
    if (l->stopped || l->state == state)
        return;
    l->state = state;
    l->c.on_state(l->c.ctx, state, why);
}

static void close_socket(relay_link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

/* Back to LINK_IDLE, for good. The wire stays: it knows why. */
static void end(relay_link *l, wire_end why)
{
    if (l->proxy && l->state < LINK_PROXY && (why == WIRE_END_UNREACHABLE || why == WIRE_END_UNRESOLVED))
        why = WIRE_END_PROXY_DOWN;
    if (why != WIRE_END_UNREACHABLE)
        l->error = 0;
    close_socket(l);
    l->names = resolver_free(l->names);
    wire_close(l->wire);
    l->started = false;
    enter(l, LINK_IDLE, why);
    l->stopped = true;
}

static void on_up(void *ctx) { enter(ctx, LINK_READY, WIRE_END_NONE); }

static void on_frame(void *ctx, const uint8_t *bytes, size_t n)
{
    relay_link *l = ctx;
    l->c.on_frame(l->c.ctx, bytes, n);
}

static void proxy_free(relay_link *l)
{
    if (l->proxy)
        sodium_memzero(l->proxy, sizeof *l->proxy); /* its password */
    free(l->proxy);
    l->proxy = NULL;
}

int link_new(relay_link **out, const link_config *c)
{
    relay_link *l = calloc(1, sizeof *l);
    if (!l)
        return TACET_E_NOMEM;
    l->c = *c;
    l->c.static_secret = NULL;
    l->fd = -1;
    if (c->proxy) {
        l->proxy = calloc(1, sizeof *l->proxy);
        if (!l->proxy) {
            free(l);
            return TACET_E_NOMEM;
        }
        socks_begin(l->proxy, c->env, c->proxy, c->relay.host, c->relay.port);
    }
    l->c.proxy = NULL;
    wire_config w = { c->env, c->arena, c->role, c->relay.key, c->static_secret, on_up, on_frame, l };
    int rc = wire_new(&l->wire, &w);
    if (rc != TACET_OK) {
        proxy_free(l);
        free(l);
        return rc;
    }
    *out = l;
    return TACET_OK;
}

relay_link *link_free(relay_link *l)
{
    if (!l)
        return NULL;
    close_socket(l);
    resolver_free(l->names);
    wire_free(l->wire);
    proxy_free(l);
    free(l);
    return NULL;
}

void link_start(relay_link *l) { l->started = !l->stopped; }

void link_stop(relay_link *l)
{
    l->stopped = true; /* from here on nothing is called */
    end(l, WIRE_END_LOCAL);
    l->state = LINK_IDLE;
}

int link_send(relay_link *l, const uint8_t *bytes, size_t n) { return wire_send(l->wire, bytes, n); }

size_t link_waiting(const relay_link *l) { return wire_waiting(l->wire); }

/* ---- resolving and connecting -------------------------------------------------------------------------------------------------------- */

static void set_option(int fd, int level, int name, int value)
{
    /* each of them only makes the connection better: a kernel that refuses one gets it without */
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static int open_socket(const resolved *to)
{
    int fd = socket(to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, TACET_LINK_SILENCE_MS);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, TACET_LINK_KEEPALIVE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, TACET_LINK_KEEPALIVE_S / 4);
    if (connect(fd, (const struct sockaddr *)&to->addr, to->bytes) == 0 || errno == EINPROGRESS)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static void connect_next(relay_link *l)
{
    close_socket(l);
    while (l->next < l->count) {
        l->fd = open_socket(&l->at[l->next++]);
        if (l->fd >= 0) {
            l->deadline = now(l) + TACET_LINK_CONNECT_MS;
            enter(l, LINK_CONNECTING, WIRE_END_NONE);
            return;
        }
        l->error = errno;
    }
    end(l, WIRE_END_UNREACHABLE);
}

static void begin(relay_link *l)
{
    const char *host = l->proxy ? l->proxy->proxy.host : l->c.relay.host;
    if (resolver_new(&l->names, host, l->proxy ? l->proxy->proxy.port : l->c.relay.port) != TACET_OK) {
        end(l, WIRE_END_UNRESOLVED);
        return;
    }
    l->deadline = now(l) + TACET_LINK_RESOLVE_MS;
    enter(l, LINK_RESOLVING, WIRE_END_NONE);
}

static void run_resolving(relay_link *l)
{
    int rc = resolver_take(l->names, l->at, TACET_LINK_ADDRESSES_MAX, &l->count);
    if (rc == TACET_E_AGAIN && now(l) < l->deadline)
        return;
    l->names = resolver_free(l->names);
    if (rc == TACET_OK)
        connect_next(l);
    else
        end(l, WIRE_END_UNRESOLVED);
}

static void run_connecting(relay_link *l, short revents)
{
    socklen_t n = sizeof l->error;
    if (!revents) {
        if (now(l) >= l->deadline) {
            l->error = ETIMEDOUT;
            connect_next(l);
        }
        return;
    }
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &l->error, &n) != 0)
        l->error = errno;
    if (l->error) {
        connect_next(l);
    } else {
        l->deadline = now(l) + TACET_LINK_PROXY_MS;
        enter(l, l->proxy ? LINK_PROXY : LINK_HANDSHAKE, WIRE_END_NONE);
    }
}

/* ---- carrying bytes -------------------------------------------------------------------------------------------------------------------- */

static bool would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

static void fill(relay_link *l)
{
    uint8_t bytes[READ_BYTES];
    for (unsigned i = 0; i < READS_MAX && wire_state_of(l->wire) != WIRE_ENDED; i++) {
        ssize_t n = recv(l->fd, bytes, sizeof bytes, 0);
        if (n < 0 && would_block())
            return;
        if (n <= 0)
            wire_peer_closed(l->wire);
        else if (wire_receive(l->wire, bytes, (size_t)n) != TACET_OK || (size_t)n < sizeof bytes)
            return;
    }
}

static void flush(relay_link *l)
{
    const uint8_t *at = NULL;
    for (size_t n = wire_output(l->wire, &at); n; n = wire_output(l->wire, &at)) {
        ssize_t sent = send(l->fd, at, n, MSG_NOSIGNAL);
        if (sent < 0) {
            if (would_block())
                return;
            fill(l); /* what the relay said before it closed: perhaps why */
            wire_peer_closed(l->wire);
            return;
        }
        wire_sent(l->wire, (size_t)sent);
    }
}

/* False: it has said all there is to say, or the socket takes no more now; the end of the connection shows when its answer is read. */
static bool proxy_say(relay_link *l)
{
    const uint8_t *at = NULL;
    size_t n = socks_output(l->proxy, &at);
    ssize_t sent = n ? send(l->fd, at, n, MSG_NOSIGNAL) : 0;
    if (sent <= 0)
        return false;
    socks_sent(l->proxy, (size_t)sent);
    return true;
}

/* Never a byte more than the proxy's own: what comes behind is the relay's. False: nothing more now. */
static bool proxy_hear(relay_link *l)
{
    uint8_t bytes[SOCKS_IN_BYTES];
    size_t wants = socks_wants(l->proxy);
    ssize_t n = wants ? recv(l->fd, bytes, wants, 0) : -1;
    if (!wants || (n < 0 && would_block()))
        return false;
    if (n > 0) {
        socks_receive(l->proxy, bytes, (size_t)n);
        return true;
    }
    end(l, WIRE_END_PROXY_BROKEN);
    return false;
}

static void run_proxy(relay_link *l)
{
    static const wire_end why[] = {
        [SOCKS_WHY_NONE] = WIRE_END_LOCAL,
        [SOCKS_WHY_BROKEN] = WIRE_END_PROXY_BROKEN,
        [SOCKS_WHY_LOGIN] = WIRE_END_PROXY_LOGIN,
        [SOCKS_WHY_REFUSED] = WIRE_END_PROXY_REFUSED,
        [SOCKS_WHY_UNREACHABLE] = WIRE_END_UNREACHABLE,
    };
    while (!l->stopped && l->proxy->state < SOCKS_OPEN && (proxy_say(l) || proxy_hear(l)))
        continue;
    if (l->stopped)
        return;
    if (l->proxy->state == SOCKS_OPEN)
        enter(l, LINK_HANDSHAKE, WIRE_END_NONE);
    else if (l->proxy->state == SOCKS_FAILED)
        end(l, why[l->proxy->why]);
    else if (now(l) >= l->deadline)
        end(l, WIRE_END_DEADLINE);
}

static void run_wire(relay_link *l, short revents)
{
    if (revents)
        fill(l);
    wire_on_time(l->wire);
    if (!l->stopped)
        flush(l);
    if (!l->stopped && wire_state_of(l->wire) == WIRE_ENDED)
        end(l, wire_why(l->wire));
}

/* ---- what the poll loop calls ---------------------------------------------------------------------------------------------------------- */

/* revents belong to the descriptor of the state that the poll saw; each step may lead to the next at once. */
void link_run(relay_link *l, short revents)
{
    link_state polled = l->state;
    if (l->state == LINK_IDLE && l->started && !l->stopped)
        begin(l);
    if (l->state == LINK_RESOLVING)
        run_resolving(l);
    if (l->state == LINK_CONNECTING)
        run_connecting(l, polled == LINK_CONNECTING ? revents : 0);
    if (l->state == LINK_PROXY)
        run_proxy(l);
    if (l->state == LINK_HANDSHAKE || l->state == LINK_READY)
        run_wire(l, polled == l->state ? revents : 0);
}

static uint64_t deadline_of(const relay_link *l)
{
    if (l->stopped || (l->state == LINK_IDLE && !l->started))
        return UINT64_MAX;
    if (l->state == LINK_IDLE)
        return 0;
    return l->state <= LINK_PROXY ? l->deadline : wire_deadline(l->wire);
}

void link_poll(const relay_link *l, struct pollfd *out, uint64_t *deadline)
{
    uint64_t mine = deadline_of(l);
    if (mine < *deadline)
        *deadline = mine;
    *out = (struct pollfd){ .fd = l->fd, .events = POLLIN };
    if (l->state == LINK_RESOLVING)
        out->fd = resolver_fd(l->names);
    else if (l->state == LINK_CONNECTING)
        out->events = POLLOUT;
    else if (l->state == LINK_PROXY)
        out->events = l->proxy->sent < l->proxy->out_bytes ? POLLOUT : POLLIN;
    else if (l->fd >= 0 && wire_has_output(l->wire))
        out->events |= POLLOUT;
}

link_state link_state_of(const relay_link *l) { return l->state; }
int link_errno(const relay_link *l) { return l->error; }
const uint8_t *link_handshake_hash(const relay_link *l) { return wire_handshake_hash(l->wire); }
