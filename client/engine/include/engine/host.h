/* engine/host.h: one process holds a profile; the others find its socket. A host has the profile's lock (flock on PROFILE/lock), listens on
 * PROFILE/socket (mode 0600, the peer's uid must be ours) and speaks JSON-RPC 2.0 there, one object a line (docs/RPC.md). It does no polling of
 * its own: whoever drives the engine drives the host beside it.
 *
 * A new message goes to one caller only: what `receive` gave to one is withheld from the others until that one said `handed`, or went away. */
#ifndef ENGINE_HOST_H
#define ENGINE_HOST_H
#include "engine/engine.h"
#include <sys/types.h>

enum host_limits {
    HOST_CLIENTS_MAX = 32,
    HOST_CALLS_MAX = 64,                       /* unanswered, for each client */
    HOST_LINE_MAX_BYTES = 256 * 1024,          /* of a request */
    HOST_BACKLOG_MAX_BYTES = 16 * 1024 * 1024, /* a client that does not read is dropped beyond this */
    HOST_LEASES_MAX = 4096,
    HOST_POLLFDS_MAX = HOST_CLIENTS_MAX + 1,
};

typedef struct host host;

/* How calls reach the engine; engine_call_async fits behind it. `params` is borrowed and may be NULL; `done` comes exactly once. */
typedef struct {
    void *ctx;
    void (*call)(void *ctx, const char *method, json_t *params, engine_done done, void *done_ctx);
} host_engine;

/* Takes the lock and listens; clients may connect from now on and wait. A socket that a dead process left is replaced.
 *   TACET_E_BUSY  another process holds the profile; *holder is its pid, 0 when it is not known
 *   TACET_E_IO, TACET_E_READONLY, TACET_E_FULL (errno says why), TACET_E_NOMEM */
TACET_MUST_USE int host_open(host **out, const char *profile_dir, pid_t *holder);
/* From now on requests are answered. */
void host_serve(host *h, host_engine over);
/* Closes everything, removes the socket, lets the lock go. To be called after engine_close, which completes the calls that are under way. */
host *host_free(host *h);

/* One more client: a connected stream socket that the host owns from now on. TACET_E_QUOTA: too many; the caller keeps fd. */
TACET_MUST_USE int host_adopt(host *h, int fd);
/* For the engine's event callback: passes the event on to those who subscribed. */
void host_event(host *h, json_t *event);

/* What to poll; *timeout_ms becomes 0 when there is something to do already, and is left alone otherwise. */
size_t host_pollfds(const host *h, struct pollfd out[HOST_POLLFDS_MAX], int *timeout_ms);
void host_ready(host *h, const struct pollfd *fds, size_t n);

/* Takes no more clients and no more requests: whoever connects from now on finds nobody and becomes the host after us. */
void host_finish(host *h);
/* After host_finish: every answer has been given and has left (or its client is gone). */
bool host_finished(const host *h);
/* Somebody called `lock`: the process has to end. */
bool host_told_to_end(const host *h);
#endif
