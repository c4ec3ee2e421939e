/* sockets.h: the engine's network (engine/network.h) over real sockets: a table of links by number. */
#ifndef ENGINE_SOCKETS_H
#define ENGINE_SOCKETS_H
#include "engine/link.h"
#include "engine/network.h"

enum { SOCKETS_LINKS_MAX = 28 };

typedef struct sockets sockets;

/* What the engine is told; called from sockets_run only. They may call the network's functions. */
typedef struct {
    void *ctx;
    void (*up)(void *ctx, uint64_t link, const uint8_t handshake_hash[TACET_HANDSHAKE_HASH_BYTES]);
    void (*frame)(void *ctx, uint64_t link, const uint8_t *bytes, size_t n);
    void (*down)(void *ctx, uint64_t link, link_reason why);
} sockets_events;

TACET_MUST_USE int sockets_new(sockets **out, const tacet_env *env, secret_arena *arena, const sockets_events *events);
sockets *sockets_free(sockets *s); /* closes all without a word; NULL is fine; returns NULL */

/* Its ctx is s. open: TACET_E_QUOTA more than SOCKETS_LINKS_MAX, TACET_E_KEY, TACET_E_NOMEM. send: as link_send; TACET_OK and nothing done for a link that is gone. */
engine_network sockets_network(sockets *s);

/* Fills at most `room` descriptors; lowers *deadline (mono_ms). */
size_t sockets_poll(const sockets *s, struct pollfd *out, size_t room, uint64_t *deadline);
/* After each poll: `fds` as sockets_poll filled them, with revents, or none after a timeout. Runs every link once. */
void sockets_run(sockets *s, const struct pollfd *fds, size_t n);
#endif
