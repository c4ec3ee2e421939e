/* engine/link.h: one connection to a relay over a TCP socket, perhaps through a proxy (engine/socks.h): resolves the name, tries its addresses in turn, shakes hands (engine/wire.h), carries
 * frames, ends. It never blocks: link_poll says what to wait for, link_run does what has become possible; names are resolved on a thread of their own
 * (resolve.h). Trying again, with back-off and jitter, is the engine's (engine/network.h tells why). Not thread-safe. */
#ifndef ENGINE_LINK_H
#define ENGINE_LINK_H
#include "engine/socks.h"
#include "engine/wire.h"
#include "identity/link.h"
#include <poll.h>

enum {
    TACET_LINK_RESOLVE_MS = 10000,
    TACET_LINK_CONNECT_MS = 5000,  /* for each address */
    TACET_LINK_PROXY_MS = 60000,   /* for the proxy's way to the relay: Tor builds a circuit first */
    TACET_LINK_ADDRESSES_MAX = 8,  /* tried one after the other */
    TACET_LINK_SILENCE_MS = 30000, /* bytes that were sent and not acknowledged by the other host for so long: the connection is dead */
    TACET_LINK_KEEPALIVE_S = 60,   /* an idle connection is probed so often: a dead one shows, and address translators keep it */
};

typedef enum {
    LINK_IDLE, /* before link_start, and after the end */
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_PROXY, /* only where there is one */
    LINK_HANDSHAKE,
    LINK_READY,
} link_state;

typedef struct relay_link relay_link; /* `link` is a system call */

typedef struct {
    const tacet_env *env;
    secret_arena *arena;
    tacet_role role;
    relay_address relay;
    const uint8_t *static_secret; /* only read by link_new; see wire_config */
    /* Both are called from link_run only, and may call link_send, link_stop and the questions below, not link_run or link_free.
     * on_state: each change, once. On the way back to LINK_IDLE `why` tells what ended it; link_stop ends without a call. */
    void (*on_state)(void *ctx, link_state state, wire_end why);
    void (*on_frame)(void *ctx, const uint8_t *bytes, size_t n); /* see wire_config */
    void *ctx;
    const socks_proxy *proxy; /* NULL: none. Copied. With one, the relay's name is not looked up here */
} link_config;

/* TACET_E_KEY, TACET_E_NOMEM. */
TACET_MUST_USE int link_new(relay_link **out, const link_config *c);
relay_link *link_free(relay_link *l); /* closes without a word; NULL is fine; returns NULL */

/* Begins, in the next link_run. Once: a link that has ended is only good for link_free. */
void link_start(relay_link *l);
void link_stop(relay_link *l); /* closes; nothing is called any more */

/* As wire_send: until LINK_READY frames wait. */
size_t link_waiting(const relay_link *l); /* stream bytes that wait to be sent */
TACET_MUST_USE int link_send(relay_link *l, const uint8_t *bytes, size_t n);

/* Fills *out (fd -1: nothing to wait for) and lowers *deadline (mono_ms) to the link's own where that is earlier. */
void link_poll(const relay_link *l, struct pollfd *out, uint64_t *deadline);
/* After each poll, whatever it said: moves bytes, looks at the clock. `revents` of the descriptor from link_poll; 0 for none. */
void link_run(relay_link *l, short revents);

link_state link_state_of(const relay_link *l);
int link_errno(const relay_link *l);                     /* of WIRE_END_UNREACHABLE; else 0 */
const uint8_t *link_handshake_hash(const relay_link *l); /* 64 bytes, in LINK_READY; else NULL */
#endif
