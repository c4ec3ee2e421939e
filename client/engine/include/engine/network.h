/* engine/network.h: what the engine needs of the outside world: connections to relays that carry whole frames. Links are named by numbers that
 * the engine chooses and never uses again. Every open link ends in exactly one engine_link_down, unless the engine closed it itself.
 * None of the three functions may call back into the engine before it returns. */
#ifndef ENGINE_NETWORK_H
#define ENGINE_NETWORK_H
#include "base/status.h"
#include "identity/link.h"
#include "transport/handshake.h"

typedef enum {
    LINK_CLOSED = 1,   /* by the relay, or the connection broke */
    LINK_UNREACHABLE,  /* refused, no route */
    LINK_UNRESOLVED,   /* no such host */
    LINK_EARLY,        /* closed in the handshake: it could not read our first message (another key), or turned us away */
    LINK_TIMEOUT,      /* no connection or no handshake in time */
    LINK_WRONG_KEY,    /* the handshake failed: most likely not the relay that the address names */
    LINK_VERSION,      /* the relay speaks another version (unauthenticated) */
    LINK_BROKEN,       /* a record or frame that cannot be: closed by us */
    LINK_FAULT,        /* our own machine: no memory, no descriptors */
    LINK_PROXY_DOWN,   /* nobody answers at the proxy's address */
    LINK_PROXY_BROKEN, /* what answers there does not speak SOCKS5 */
    LINK_PROXY_LOGIN,
    LINK_PROXY_REFUSED,
} link_reason;

typedef struct {
    void *ctx;
    /* Starts to connect and shake hands. transport_secret (32 bytes) for TACET_ROLE_MAILBOX, NULL for TACET_ROLE_OPEN. TACET_OK: engine_link_up or
     * engine_link_down follows. */
    int (*open)(void *ctx, uint64_t link, const relay_address *relay, tacet_role role, const uint8_t *transport_secret);
    /* One frame (its msgpack, without the length). Copied. Ignored for a link that is not up. */
    int (*send)(void *ctx, uint64_t link, const uint8_t *frame, size_t n);
    void (*close)(void *ctx, uint64_t link);
    /* Bytes of frames that were sent and have not left yet; NULL: nothing ever waits. */
    size_t (*waiting)(void *ctx, uint64_t link);
} engine_network;
#endif
