#include "sockets.h"
#include "engine/link.h"
#include "state.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SOCKETS_MAX = ENGINE_POLLFDS_MAX - 1 /* one for the workers */ };

/* A link must not be freed from inside its own callbacks: it is marked and goes after the round. */
typedef struct {
    relay_link *link;
    uint64_t number;
    struct sockets *all;
    bool gone, told; /* told: the engine knows that it is down */
} socket_link;

typedef struct sockets {
    engine *e;
    secret_arena *arena;
    socket_link *at[SOCKETS_MAX];
} sockets;

static link_reason reason_of(wire_end why)
{
    static const link_reason row[] = {
        [WIRE_END_NONE] = LINK_CLOSED,
        [WIRE_END_WRONG_KEY] = LINK_WRONG_KEY,
        [WIRE_END_CLOSED_EARLY] = LINK_EARLY,
        [WIRE_END_VERSION] = LINK_VERSION,
        [WIRE_END_DEADLINE] = LINK_TIMEOUT,
        [WIRE_END_BROKEN] = LINK_BROKEN,
        [WIRE_END_CLOSED] = LINK_CLOSED,
        [WIRE_END_AGE] = LINK_CLOSED,
        [WIRE_END_LOCAL] = LINK_FAULT,
        [WIRE_END_UNREACHABLE] = LINK_UNREACHABLE,
        [WIRE_END_UNRESOLVED] = LINK_UNRESOLVED,
        [WIRE_END_PROXY_DOWN] = LINK_PROXY_DOWN,
        [WIRE_END_PROXY_BROKEN] = LINK_PROXY_BROKEN,
        [WIRE_END_PROXY_LOGIN] = LINK_PROXY_LOGIN,
        [WIRE_END_PROXY_REFUSED] = LINK_PROXY_REFUSED,
    };
    return (size_t)why < sizeof row / sizeof *row ? row[why] : LINK_FAULT;
}

static void on_state(void *ctx, link_state state, wire_end why)
{
    socket_link *s = ctx;
    if (s->gone || s->told)
        return;
    if (state == LINK_READY) {
        engine_link_up(s->all->e, s->number, link_handshake_hash(s->link));
    } else if (state == LINK_IDLE) {
        s->told = s->gone = true;
        engine_link_down(s->all->e, s->number, reason_of(why));
    }
}

static void on_frame(void *ctx, const uint8_t *bytes, size_t n)
{
    socket_link *s = ctx;
    if (!s->gone)
        engine_link_frame(s->all->e, s->number, bytes, n);
}

static socket_link *find(sockets *all, uint64_t number)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (all->at[i] && !all->at[i]->gone && all->at[i]->number == number)
            return all->at[i];
    return NULL;
}

/* What --proxy said for this time, else what was said at init, else ALL_PROXY, which alone has exceptions. *has: there is one. What cannot be read as one
 * is never gone past. */
static int proxy_choose(engine *e, const char *host, socks_proxy *out, bool *has)
{
    const char *text = *e->proxy ? e->proxy : *e->me.proxy ? e->me.proxy : socks_host_excepted(e->no_proxy, host) ? "" : e->proxy_otherwise;
    *has = *text && strcmp(text, "none") != 0;
    if (!*has || socks_proxy_parse(out, text) == TACET_OK)
        return TACET_OK;
    sentence_fill(&e->fault, SAY_BAD_PROXY, NULL, NULL, NULL);
    return TACET_E_MALFORMED;
}

static int net_open(void *ctx, uint64_t number, const relay_address *relay, tacet_role role, const uint8_t *transport_secret)
{
    sockets *all = ctx;
    size_t i = 0;
    while (i < SOCKETS_MAX && all->at[i])
        i++;
    if (i == SOCKETS_MAX)
        return TACET_E_QUOTA;
    socks_proxy proxy;
    bool has_proxy = false;
    if (proxy_choose(all->e, relay->host, &proxy, &has_proxy) != TACET_OK)
        return TACET_E_MALFORMED;
    all->e->through_proxy = has_proxy;
    socket_link *s = calloc(1, sizeof *s);
    if (!s)
        return TACET_E_NOMEM;
    *s = (socket_link){ .number = number, .all = all };
    link_config c = { .env = all->e->env,
                      .arena = all->arena,
                      .role = role,
                      .relay = *relay,
                      .static_secret = transport_secret,
                      .proxy = has_proxy ? &proxy : NULL,
                      .on_state = on_state,
                      .on_frame = on_frame,
                      .ctx = s };
    int rc = link_new(&s->link, &c);
    sodium_memzero(&proxy, sizeof proxy); /* its password */
    if (rc != TACET_OK) {
        free(s);
        return rc;
    }
    all->at[i] = s;
    link_start(s->link); /* in the next round: this function must not call back */
    return TACET_OK;
}

static int net_send(void *ctx, uint64_t number, const uint8_t *bytes, size_t n)
{
    socket_link *s = find(ctx, number);
    return s ? link_send(s->link, bytes, n) : TACET_E_TRANSPORT;
}

static size_t net_waiting(void *ctx, uint64_t number)
{
    const socket_link *s = find(ctx, number);
    return s ? link_waiting(s->link) : 0;
}

static void net_close(void *ctx, uint64_t number)
{
    socket_link *s = find(ctx, number);
    if (s)
        s->gone = true;
}

static void sweep(sockets *all)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (all->at[i] && all->at[i]->gone) {
            socket_link *s = all->at[i];
            all->at[i] = NULL;
            link_free(s->link);
            free(s);
        }
}

int sockets_open(engine *e)
{
    sockets *all = calloc(1, sizeof *all);
    if (!all)
        return TACET_E_NOMEM;
    *all = (sockets){ .e = e, .arena = e->arena };
    e->sockets = all;
    e->net = (engine_network){ all, net_open, net_send, net_close, net_waiting };
    return TACET_OK;
}

void sockets_close(engine *e)
{
    sockets *all = e->sockets;
    if (!all)
        return;
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (all->at[i])
            all->at[i]->gone = true;
    sweep(all);
    free(all);
    e->sockets = NULL;
}

size_t engine_pollfds(const engine *e, struct pollfd out[ENGINE_POLLFDS_MAX], int *timeout_ms)
{
    const sockets *all = e->sockets;
    uint64_t mono = mono_ms(e), at = engine_deadline_ms(e);
    size_t n = 0;
    for (size_t i = 0; all && i < SOCKETS_MAX; i++) {
        const socket_link *s = all->at[i];
        if (!s)
            continue;
        if (s->gone) {
            at = mono; /* to be swept */
            continue;
        }
        link_poll(s->link, &out[n], &at);
        if (out[n].fd >= 0)
            n++;
    }
    if (files_fd(e) >= 0)
        out[n++] = (struct pollfd){ .fd = files_fd(e), .events = POLLIN };
    uint64_t wait = at <= mono ? 0 : at - mono;
    *timeout_ms = at == UINT64_MAX ? -1 : wait > INT32_MAX ? INT32_MAX : (int)wait;
    return n;
}

/* The same walk as engine_pollfds: the descriptor tells which link an entry belongs to. */
static short revents_for(const socket_link *s, const struct pollfd *fds, size_t n)
{
    struct pollfd mine = { .fd = -1 };
    uint64_t at = UINT64_MAX;
    link_poll(s->link, &mine, &at);
    for (size_t i = 0; i < n && mine.fd >= 0; i++)
        if (fds[i].fd == mine.fd)
            return fds[i].revents;
    return 0;
}

void engine_ready(engine *e, const struct pollfd *fds, size_t n)
{
    sockets *all = e->sockets;
    if (all) {
        for (size_t i = 0; i < SOCKETS_MAX; i++)
            if (all->at[i] && !all->at[i]->gone)
                link_run(all->at[i]->link, revents_for(all->at[i], fds, n));
        sweep(all);
    }
    engine_tick(e);
}

void engine_step(engine *e, int timeout_ms)
{
    struct pollfd fds[ENGINE_POLLFDS_MAX];
    int wait = -1;
    size_t n = engine_pollfds(e, fds, &wait);
    if (timeout_ms >= 0 && (wait < 0 || wait > timeout_ms))
        wait = timeout_ms;
    if (poll(fds, (nfds_t)n, wait) < 0)
        n = 0; /* interrupted: run what is due */
    engine_ready(e, fds, n);
}
