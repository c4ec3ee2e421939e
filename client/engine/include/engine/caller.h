/* engine/caller.h: the other side of host.h. A caller talks to the host that runs on the profile; when there is none its own process becomes the
 * host. The same calls, the same answers, and when a host goes away in the middle the caller finds the next one, or becomes it, and asks again
 * (which is why `send` names its message itself: docs/RPC.md, "asked twice"). Not thread-safe. */
#ifndef ENGINE_CALLER_H
#define ENGINE_CALLER_H
#include "engine/engine.h"

enum caller_limits {
    CALLER_LINE_MAX_BYTES = 16 * 1024 * 1024, /* of an answer */
    CALLER_CALLS_MAX = 8,                     /* unanswered */
    CALLER_HELD_MAX = 1024,                   /* news kept while something else is waited for */
    CALLER_PROXY_MAX_CHARS = 511,             /* of a proxy's address */
    CALLER_ROOM_MS = 1000,                    /* between tries while the disk is full ... */
    CALLER_ROOM_BYTES = 1024 * 1024,          /* ... as it is with less than this */
    CALLER_FIND_MS = 5000,                    /* for a host that holds the lock and does not listen (yet, or any more) */
};

typedef struct caller caller;

typedef struct {
    const char *profile_dir; /* exists */
    const char *vault_path;
    const tacet_env *env;
    const char *proxy, *proxy_otherwise, *no_proxy; /* of the engine, when this process has to be the host; see engine_options */
    bool attach_only;                               /* never become the host */
    int stop_fd;                                    /* becomes readable when the user wants to stop; -1: none */
    /* Only called when this process has to be the host. `prepare` (may be NULL) is called without the lock, so it may ask the user, and once for each
     * time that there is no host; `key` is called under the lock and fills key (locked memory, 32 bytes). 0, or the exit code with *error filled.
     * `forget` (may be NULL): what was prepared is to be wiped: another process is the host now, or this one is it no more. */
    int (*prepare)(void *ctx, engine_error *error);
    int (*key)(void *ctx, uint8_t key[32], engine_error *error);
    void (*forget)(void *ctx);
    void *key_ctx;
    void (*working)(void *ctx, uint64_t have, uint64_t of); /* as proxy */
    void *working_ctx;
} caller_options;

/* 0, or the exit code with *error filled. */
TACET_MUST_USE int caller_open(caller **out, const caller_options *o, engine_error *error);
/* As a host: answers what others asked (at most one second), then closes vault and socket. NULL is fine; returns NULL. */
caller *caller_close(caller *c);
bool caller_is_host(const caller *c);

typedef enum { CALLER_NOTHING, CALLER_EVENT, CALLER_REPLY, CALLER_STOPPED, CALLER_READY } caller_kind;
enum { CALLER_EXTRA_MAX = 49 };
typedef struct {
    caller_kind kind;
    uint64_t ticket;    /* of a reply */
    json_t *body;       /* the event, or the result; yours to release; NULL for a failed call */
    engine_error error; /* of a reply without body; of CALLER_STOPPED: why, code is NULL when the user wanted it */
} caller_news;

/* Asks and does not wait. Steals params (NULL: none). 0: *ticket names the answer; or the exit code with *error filled. */
TACET_MUST_USE int caller_begin(caller *c, const char *method, json_t *params, uint64_t *ticket, engine_error *error);
/* The next answer or event. Where events may have been missed by a subscriber, with a host that went away or because too many were kept, one `waiting`
 * event says so: what they told of is to be asked for. timeout_ms -1: no limit. CALLER_NOTHING after the timeout. CALLER_STOPPED: stop_fd is readable, or somebody locked the
 * profile, or the host went away and no other could be had; only where nothing but a full disk is in the way, and a subscriber has no question open, one
 * `error` event says so, and the next host is had as soon as there is room. */
void caller_next(caller *c, int timeout_ms, caller_news *out);
/* The same, and it also ends when one of extra[0..n) has something (CALLER_READY, revents says which; n <= CALLER_EXTRA_MAX). News that wait come
 * first, so look at what extra stands for after each piece of news, too. */
void caller_watch(caller *c, struct pollfd *extra, size_t n, int timeout_ms, caller_news *out);
/* Waits, without limit, until one of extra[0..n) has something (CALLER_READY, revents says which; n <= CALLER_EXTRA_MAX) or CALLER_STOPPED. What comes
 * meanwhile is kept for caller_next. For who has something else to wait for: the host must not stand still. */
void caller_wait(caller *c, struct pollfd *extra, size_t n, caller_news *out);
/* One more connection to the host, as any other process would have it: a non-blocking stream socket that is yours, or -1 with errno. */
int caller_connect(caller *c);
/* Asks and waits; what else comes meanwhile is kept for caller_next. */
TACET_MUST_USE int caller_call(caller *c, const char *method, json_t *params, int timeout_ms, json_t **result, engine_error *error);
#endif
