/* engine/engine.h: everything a client does, without a terminal. One engine per profile; its methods are docs/RPC.md, its events are the
 * objects of `--json`. Not thread-safe: one thread calls it.
 *
 * The engine itself does no I/O but the vault: it asks an engine_network (engine/network.h) for connections and is told what came in, and takes
 * time and randomness from a tacet_env. With options.network NULL it uses real sockets; engine_pollfds, engine_ready and engine_step then drive
 * them. With another network (a test, a simulator) the owner calls engine_link_* and engine_tick instead. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H
#include "base/env.h"
#include "engine/network.h"
#include "engine/sentences.h"
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>

typedef struct engine engine;

typedef struct {
    const char *vault_path;        /* the SQLCipher file; made when it is missing */
    const uint8_t *database_key;   /* 32 bytes; copied into locked memory */
    const tacet_env *env;          /* must outlive the engine */
    const engine_network *network; /* copied; NULL: real sockets */
    /* A SOCKS5 proxy (engine/socks.h), or "none", for real sockets. NULL or empty: what was said at init, else `proxy_otherwise` (ALL_PROXY). At init
     * and restore it is kept in the vault. */
    const char *proxy, *proxy_otherwise;
    const char *no_proxy; /* the hosts that `proxy_otherwise` is not for (NO_PROXY); NULL: none */
    bool offline;         /* never open a connection: only what the vault knows */
    /* Events as in CLI.md's JSON section. `event` is borrowed: json_incref to keep it. Called only from inside the engine's functions,
     * after the transaction that caused it has been committed. May be NULL. */
    void (*event)(void *ctx, json_t *event);
    void *event_ctx;
    /* How far a call is that holds everything else up until it is done (`restore`), in bytes, every now and then from inside of it. May be NULL. */
    void (*working)(void *ctx, uint64_t have, uint64_t of);
    void *working_ctx;
} engine_options;

/* Opens the vault and, unless offline, will connect as soon as it is driven (when the profile has an account).
 * Returns TACET_OK, or a status with *error filled (a sentence for the user, code word and exit code). */
TACET_MUST_USE int engine_open(engine **out, const engine_options *o, engine_error *error);
engine *engine_close(engine *e); /* closes links and vault, wipes keys; pending calls complete with `stopping`; NULL is fine; returns NULL */
bool engine_has_account(const engine *e);

/* Completion of a call, exactly once, possibly before engine_call_async returns. Either result (borrowed) or error is NULL. */
typedef void (*engine_done)(void *ctx, json_t *result, const engine_error *error);
/* params: an object, or NULL for none; borrowed. An unknown method or a wrong parameter completes with an error as well. */
void engine_call_async(engine *e, const char *method, json_t *params, engine_done done, void *ctx);

/* --- driving it, with real sockets ------------------------------------------------------------------------------------------------ */
enum { ENGINE_POLLFDS_MAX = 32 };
/* What to poll, and for how long at most (-1: nothing is due). */
size_t engine_pollfds(const engine *e, struct pollfd out[ENGINE_POLLFDS_MAX], int *timeout_ms);
/* After the poll: fds as engine_pollfds gave them, revents set. Also runs what is due; call it after a timeout with n == 0. */
void engine_ready(engine *e, const struct pollfd *fds, size_t n);
/* Both, with a poll of its own of at most timeout_ms (-1: until something happens). */
void engine_step(engine *e, int timeout_ms);
/* Queued messages that have not been accepted by a relay, and whether the mailbox link is up and caught up. */
bool engine_online(const engine *e);

/* --- driving it, with another network ---------------------------------------------------------------------------------------------- */
/* What a network calls: see engine/network.h. */
void engine_link_up(engine *e, uint64_t link, const uint8_t handshake_hash[64]);
void engine_link_frame(engine *e, uint64_t link, const uint8_t *frame, size_t n);
void engine_link_down(engine *e, uint64_t link, link_reason why);
/* Monotonic time (env_mono_ms) at which engine_tick wants to be called next; UINT64_MAX: never. */
uint64_t engine_deadline_ms(const engine *e);
void engine_tick(engine *e);
#endif
