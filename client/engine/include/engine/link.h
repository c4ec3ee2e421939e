/* engine/link.h: one connection to a relay over a TCP socket: resolves the name, tries its addresses in turn, shakes hands (engine/wire.h), carries
 * frames, ends once. It never blocks: link_poll says what to wait for, link_run does what has become possible; names are resolved on a thread of
 * their own (resolve.h). Reconnecting, with back-off and jitter, is links.c's. Not thread-safe. */
#ifndef ENGINE_LINK_H
#define ENGINE_LINK_H
#include "engine/wire.h"
#include "identity/link.h"
#include <poll.h>

enum {
    TACET_LINK_RESOLVE_MS = 10000,
    TACET_LINK_CONNECT_MS = 5000,  /* for each address */
    TACET_LINK_ADDRESSES_MAX = 8,  /* tried one after the other */
    TACET_LINK_SILENCE_MS = 30000, /* sent bytes without any acknowledgement by the other host: the connection is dead */
    TACET_LINK_KEEPALIVE_S = 60,   /* an idle connection is probed so often, so that a dead one shows and NAT keeps it */
};

typedef enum { LINK_DOWN_RESOLVE = 1 /* no such host */, LINK_DOWN_CONNECT /* no address answers */, LINK_DOWN_WIRE /* see why */ } link_down;

typedef struct relay_link relay_link; /* `link` is a system call */

typedef struct {
    const tacet_env *env;
    secret_arena *arena;
    tacet_role role;
    const relay_address *relay;   /* only read by link_new */
    const uint8_t *static_secret; /* likewise; see wire_config */
    /* All three are called from link_run only, and may call link_send and link_close, not link_run or link_free. */
    void (*on_up)(void *ctx, const uint8_t handshake_hash[TACET_HANDSHAKE_HASH_BYTES]);
    void (*on_frame)(void *ctx, const uint8_t *bytes, size_t n);
    /* Exactly once, unless link_close or link_free came first; then the link is only good for link_free. `error`: errno, or 0. */
    void (*on_down)(void *ctx, link_down how, wire_end why, int error);
    void *ctx;
} link_config;

/* Starts with the next link_run. TACET_E_KEY, TACET_E_NOMEM. */
TACET_MUST_USE int link_new(relay_link **out, const link_config *c);
relay_link *link_free(relay_link *l); /* closes without a word; NULL is fine; returns NULL */
void link_close(relay_link *l);       /* closes; on_down is not called */

/* As wire_send. */
TACET_MUST_USE int link_send(relay_link *l, const uint8_t *bytes, size_t n);

/* Fills *out (fd -1: nothing to wait for) and lowers *deadline (mono_ms) to the link's own where that is earlier. */
void link_poll(const relay_link *l, struct pollfd *out, uint64_t *deadline);
/* After each poll, whatever it said: moves bytes, looks at the clock. `revents` of the descriptor from link_poll; 0 for none. */
void link_run(relay_link *l, short revents);
#endif
