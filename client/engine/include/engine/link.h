/* engine/link.h: keeps one connection to one relay in one role: resolves, connects, shakes hands (engine/wire.h), reconnects by itself with
 * exponential back-off and jitter, and makes a new connection before 24 hours are over. It never blocks: the engine's poll loop asks link_poll for
 * descriptor and deadline and calls link_run after each poll. Names are resolved on a thread of their own. Not thread-safe otherwise.
 *
 * Mailbox role: after link_start it stays connected until link_stop. Open role: link_start or the first request connects; after
 * TACET_LINK_IDLE_MS without a request it closes and is LINK_IDLE again (the relay sees that connection no longer than it is needed). */
#ifndef ENGINE_LINK_H
#define ENGINE_LINK_H
#include "engine/wire.h"
#include "identity/link.h"
#include <poll.h>

enum {
    TACET_LINK_BACKOFF_FIRST_MS = 250,
    TACET_LINK_BACKOFF_MAX_MS = 60000,                           /* doubled after each failure up to this; each wait is drawn from [half, whole] */
    TACET_LINK_STEADY_MS = 10000,                                /* a connection that lasted so long makes the next wait short again */
    TACET_LINK_CONNECT_MS = 5000,                                /* for each address */
    TACET_LINK_ADDRESSES_MAX = 8,                                /* tried one after the other */
    TACET_LINK_IDLE_MS = 30000,                                  /* open role */
    TACET_LINK_RENEW_MS = (TACET_CONNECTION_MAX_S - 600) * 1000, /* ten minutes before the relay would cut */
};

typedef enum {
    LINK_IDLE,    /* not wanted now: nothing happens before link_start or link_request */
    LINK_WAITING, /* backing off */
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_HANDSHAKE,
    LINK_READY,
} link_state;

typedef struct relay_link relay_link; /* `link` is a system call */

typedef struct {
    const tacet_env *env;
    secret_arena *arena;
    tacet_role role;
    relay_address relay;
    const uint8_t *static_secret; /* 32, mailbox role; must live as long as the link */
    /* Each change of state, once; `why` tells on the way to LINK_WAITING or LINK_IDLE what ended the connection (WIRE_END_NONE otherwise).
     * On LINK_READY the mailbox role registers or subscribes. Requests that were open have been answered with `why` before. */
    void (*on_state)(void *ctx, link_state state, wire_end why);
    wire_event_fn *on_event;
    void (*on_frame)(void *ctx, const uint8_t *bytes, size_t n); /* instead of on_event: see engine/wire.h */
    void *ctx;
    bool once; /* one connection for each link_start: after its end LINK_IDLE, without a try of its own (the owner backs off); no idle timeout */
} link_config;

/* Callbacks run inside link_run, link_start, link_stop, link_request and link_free (the last answers open requests only). A callback may call link_request and the
 * questions below, not link_run, link_stop or link_free. TACET_E_KEY, TACET_E_NOMEM. */
TACET_MUST_USE int link_new(relay_link **out, const link_config *c);
relay_link *link_free(relay_link *l); /* NULL is fine; returns NULL */

/* Wanted: connects unless it is connected or under way. In LINK_WAITING it tries at once (the user pressed a key, the network came back). */
void link_start(relay_link *l);
/* Closes what there is; open requests are answered with WIRE_END_LOCAL; LINK_IDLE. */
void link_stop(relay_link *l);

/* As wire_request. In LINK_IDLE of the open role it starts the connection; until LINK_READY requests wait and share its fate.
 *   TACET_E_AGAIN      LINK_WAITING, LINK_IDLE of the mailbox role, or too much under way: ask again after LINK_READY or a reply */
TACET_MUST_USE int link_request(relay_link *l, frame *f, wire_reply_fn *done, void *ctx);

/* As wire_send; the same states as link_request. */
TACET_MUST_USE int link_send(relay_link *l, const uint8_t *bytes, size_t n);

/* Fills *out (fd -1: nothing to wait for) and lowers *deadline (mono_ms) to the link's own where that is earlier. */
void link_poll(const relay_link *l, struct pollfd *out, uint64_t *deadline);
/* After each poll, whatever it said: moves bytes, runs deadlines. `revents` of the descriptor from link_poll; 0 for none. */
void link_run(relay_link *l, short revents);

link_state link_state_of(const relay_link *l);
wire_end link_why(const relay_link *l);                                     /* why the last connection ended */
int link_errno(const relay_link *l);                                        /* errno of the last failure to connect, or 0 */
void link_versions(const relay_link *l, uint8_t *lowest, uint8_t *highest); /* after WIRE_END_VERSION */
uint64_t link_retry_at(const relay_link *l);                                /* LINK_WAITING: mono_ms of the next try; else 0 */
const uint8_t *link_handshake_hash(const relay_link *l);
size_t link_open_requests(const relay_link *l);
#endif
