#include "engine/host.h"
#include "base/secret.h"
#include "engine/line.h"
#include "profile_file.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    int fd; /* -1: free */
    uint32_t gen;
    bool subscribed, ended /* sends nothing more */, lost /* to be dropped */;
    unsigned pending;
    line_in in;
    line_out out;
} client;

enum { LEASE_KEY_BYTES = 128 };
typedef struct {
    char key[LEASE_KEY_BYTES]; /* cursor and id: what one cursor's program has is no matter of another's */
    unsigned slot;             /* of the client that has the message */
} lease;

struct host {
    int lock_fd, listen_fd, profile_fd;
    bool serving, finishing, told_to_end;
    unsigned calls;
    host_engine engine;
    client clients[HOST_CLIENTS_MAX];
    lease *leases;
    size_t leased, leases_room;
};

/* One request on its way through the engine. The client may be gone when the answer comes: then gen differs. */
typedef struct {
    host *h;
    unsigned slot;
    uint32_t gen;
    json_t *id;     /* NULL: a notification, nobody wants the answer */
    json_t *handed; /* the ids that this call hands over, or NULL */
    json_t *cursor; /* on behalf of which cursor, NULL: none */
    bool receives;
} call;

/* --- lock and socket ---------------------------------------------------------------------------------------------------------------- */

/* The lock file also says who holds it: for the sentence that a person reads, nothing depends on it. */
static pid_t holder_read(int fd)
{
    char text[16] = { 0 };
    if (pread(fd, text, sizeof text - 1, 0) <= 0)
        return 0;
    long pid = strtol(text, NULL, 10);
    return pid > 0 ? (pid_t)pid : 0;
}

static int lock_take(host *h, pid_t *holder)
{
    h->lock_fd = openat(h->profile_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (h->lock_fd < 0)
        return status_of_errno();
    if (flock(h->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return status_of_errno();
        *holder = holder_read(h->lock_fd);
        return TACET_E_BUSY;
    }
    char text[16];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(h->lock_fd, 0) != 0 || pwrite(h->lock_fd, text, (size_t)n, 0) != n)
        return status_of_errno();
    return TACET_OK;
}

int host_open(host **out, const char *profile_dir, pid_t *holder)
{
    host *h = calloc(1, sizeof *h);
    if (!h)
        return TACET_E_NOMEM;
    h->lock_fd = h->listen_fd = -1;
    for (unsigned i = 0; i < HOST_CLIENTS_MAX; i++)
        h->clients[i].fd = -1;
    *holder = 0;
    h->profile_fd = open(profile_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = h->profile_fd < 0 ? status_of_errno() : lock_take(h, holder);
    if (rc == TACET_OK && (h->listen_fd = profile_listen(profile_dir)) < 0)
        rc = status_of_errno();
    if (rc == TACET_OK) {
        *out = h;
        return TACET_OK;
    }
    int why = errno;
    host_free(h);
    errno = why;
    return rc;
}

void host_serve(host *h, host_engine over)
{
    h->engine = over;
    h->serving = true;
}

static void stop_listening(host *h)
{
    if (h->listen_fd < 0)
        return;
    (void)unlinkat(h->profile_fd, "socket", 0); /* first: whoever comes now finds nobody, not a closed door */
    close(h->listen_fd);
    h->listen_fd = -1;
}

/* --- clients ------------------------------------------------------------------------------------------------------------------------ */

static void leases_drop(host *h, unsigned slot)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->leased; i++)
        if (h->leases[i].slot != slot)
            h->leases[kept++] = h->leases[i];
    size_t dropped = h->leased - kept;
    h->leased = kept;
    if (dropped == 0 || h->finishing)
        return;
    json_t *event = json_pack("{s:i,s:s,s:I}", "v", 1, "event", "waiting", "count", (json_int_t)dropped);
    if (event)
        host_event(h, event); /* others may have them now */
    json_decref(event);
}

static void client_drop(host *h, unsigned slot)
{
    client *c = &h->clients[slot];
    close(c->fd);
    line_in_free(&c->in);
    line_out_free(&c->out);
    *c = (client){ .fd = -1, .gen = c->gen + 1 };
    leases_drop(h, slot);
}

host *host_free(host *h)
{
    if (!h)
        return NULL;
    assert(h->calls == 0);
    h->finishing = true;
    for (unsigned i = 0; i < HOST_CLIENTS_MAX; i++)
        if (h->clients[i].fd >= 0)
            client_drop(h, i);
    stop_listening(h);
    if (h->lock_fd >= 0)
        close(h->lock_fd);
    if (h->profile_fd >= 0)
        close(h->profile_fd);
    free(h->leases);
    free(h);
    return NULL;
}

int host_adopt(host *h, int fd)
{
    for (unsigned i = 0; i < HOST_CLIENTS_MAX; i++) {
        client *c = &h->clients[i];
        if (c->fd >= 0)
            continue;
        c->fd = fd;
        c->in.max = HOST_LINE_MAX_BYTES;
        c->out.max = HOST_BACKLOG_MAX_BYTES;
        return TACET_OK;
    }
    return TACET_E_QUOTA;
}

static void clients_accept(host *h)
{
    for (;;) {
        int fd = accept4(h->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return; /* nobody left; or out of descriptors, then they wait in the queue */
        if (!peer_is_us(fd, NULL) || host_adopt(h, fd) != TACET_OK)
            close(fd);
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------------------------ */

/* Steals `o`. False: it is too long for any client, or there is no memory; nothing was told. */
static bool client_tell(client *c, json_t *o)
{
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(o);
    bool fits = text && strlen(text) < c->out.max; /* else nobody could ever get it */
    if (fits && c->fd >= 0 && !c->lost && (!line_put(&c->out, text) || line_flush(&c->out, c->fd) == LINE_LOST))
        c->lost = true;
    secret_text_free(text);
    return fits;
}

/* `id` is borrowed; NULL stands for null, as JSON-RPC wants it where the id could not be read. */
static void answer_error(client *c, json_t *id, int code, const engine_error *why)
{
    (void)client_tell(c, json_pack("{s:s,s:O,s:{s:i,s:s,s:{s:s,s:i}}}", "jsonrpc", "2.0", "id", id ? id : json_null(), "error", "code", code,
                                   "message", why->message, "data", "code", why->code, "exit", why->exit));
}

static void answer_refusal(client *c, json_t *id, int code, sentence which)
{
    engine_error why;
    sentence_fill(&why, which, NULL, NULL, NULL);
    answer_error(c, id, code, &why);
}

static void answer_result(client *c, json_t *id, json_t *result)
{
    if (!client_tell(c, json_pack("{s:s,s:O,s:O}", "jsonrpc", "2.0", "id", id, "result", result)))
        answer_refusal(c, id, -32000 - EXIT_FAILED, SAY_ANSWER_LONG);
}

void host_event(host *h, json_t *event)
{
    for (unsigned i = 0; i < HOST_CLIENTS_MAX; i++)
        if (h->clients[i].fd >= 0 && h->clients[i].subscribed)
            (void)client_tell(&h->clients[i], json_pack("{s:s,s:s,s:O}", "jsonrpc", "2.0", "method", "event", "params", event));
}

/* --- leases: a new message goes to one caller of a cursor only ------------------------------------------------------------------------- */

/* False: no key fits, and nobody can have it. */
static bool lease_key(char key[LEASE_KEY_BYTES], const json_t *cursor, const json_t *id)
{
    if (!json_is_string(id))
        return false;
    int n = snprintf(key, LEASE_KEY_BYTES, "%s\n%s", json_is_string(cursor) ? json_string_value(cursor) : "", json_string_value(id));
    return n < LEASE_KEY_BYTES;
}

static lease *lease_find(const host *h, const char *key)
{
    for (size_t i = 0; i < h->leased; i++)
        if (strcmp(h->leases[i].key, key) == 0)
            return &h->leases[i];
    return NULL;
}

/* True when the message now belongs to `slot`. */
static bool lease_take(host *h, const char *key, unsigned slot)
{
    const lease *there = lease_find(h, key);
    if (there)
        return there->slot == slot;
    if (h->leased >= HOST_LEASES_MAX)
        return false;
    if (h->leased == h->leases_room) {
        size_t room = h->leases_room ? h->leases_room * 2 : 128;
        lease *more = realloc(h->leases, room * sizeof *more);
        if (!more)
            return false;
        h->leases = more;
        h->leases_room = room;
    }
    lease *l = &h->leases[h->leased++];
    snprintf(l->key, sizeof l->key, "%s", key);
    l->slot = slot;
    return true;
}

static void leases_handed(host *h, const json_t *cursor, const json_t *ids)
{
    size_t i;
    json_t *id;
    json_array_foreach(ids, i, id)
    {
        char key[LEASE_KEY_BYTES];
        lease *l = lease_key(key, cursor, id) ? lease_find(h, key) : NULL;
        if (l)
            *l = h->leases[--h->leased];
    }
}

/* Of what the engine holds ready, what this client may have: a new array, NULL without memory. */
static json_t *receive_filter(host *h, const json_t *cursor, const json_t *messages, unsigned slot)
{
    json_t *own = json_array();
    size_t i;
    json_t *m;
    json_array_foreach(messages, i, m)
    {
        char key[LEASE_KEY_BYTES];
        if (own && lease_key(key, cursor, json_object_get(m, "id")) && lease_take(h, key, slot))
            json_array_append(own, m);
    }
    return own;
}

/* --- requests ----------------------------------------------------------------------------------------------------------------------- */

static void call_done(void *ctx, json_t *result, const engine_error *error)
{
    call *k = ctx;
    host *h = k->h;
    client *c = &h->clients[k->slot];
    bool there = c->gen == k->gen && c->fd >= 0;
    h->calls--;
    if (there)
        c->pending--;
    if (!error && k->handed)
        leases_handed(h, k->cursor, k->handed);
    if (there && k->id) {
        json_t *own = !error && k->receives ? receive_filter(h, k->cursor, result, k->slot) : NULL;
        if (error)
            answer_error(c, k->id, -32000 - error->exit, error);
        else
            answer_result(c, k->id, own ? own : result);
        json_decref(own);
    }
    json_decref(k->id);
    json_decref(k->handed);
    json_decref(k->cursor);
    free(k);
}

static void engine_forward(host *h, unsigned slot, const char *method, json_t *params, json_t *id)
{
    client *c = &h->clients[slot];
    call *k = calloc(1, sizeof *k);
    if (!k) {
        c->lost = true;
        return;
    }
    bool peeks = json_is_true(json_object_get(params, "peek"));
    *k = (call){ .h = h, .slot = slot, .gen = c->gen, .id = json_incref(id), .receives = strcmp(method, "receive") == 0 && !peeks };
    if (strcmp(method, "handed") == 0)
        k->handed = json_incref(json_object_get(params, "ids"));
    k->cursor = json_incref(json_object_get(params, "cursor"));
    c->pending++;
    h->calls++;
    h->engine.call(h->engine.ctx, method, params, call_done, k);
}

/* A request that is one: the few methods that are the host's own, else the engine's. */
static void request_run(host *h, unsigned slot, const char *method, json_t *params, json_t *id)
{
    client *c = &h->clients[slot];
    bool lock = strcmp(method, "lock") == 0;
    if (!lock && strcmp(method, "subscribe") != 0) {
        engine_forward(h, slot, method, params, id);
        return;
    }
    if (lock)
        h->told_to_end = true;
    else
        c->subscribed = true;
    json_t *nothing = json_object();
    if (id && nothing)
        answer_result(c, id, nothing);
    json_decref(nothing);
}

static void line_run(host *h, unsigned slot, const char *line, size_t n)
{
    client *c = &h->clients[slot];
    json_t *request = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    if (!request) {
        answer_refusal(c, NULL, -32700, SAY_LINE_NOT_JSON);
        return;
    }
    const char *version = json_string_value(json_object_get(request, "jsonrpc"));
    const char *method = json_string_value(json_object_get(request, "method"));
    json_t *params = json_object_get(request, "params"), *id = json_object_get(request, "id");
    bool id_fits = !id || json_is_string(id) || json_is_number(id) || json_is_null(id);
    if (!version || strcmp(version, "2.0") != 0 || !method || !id_fits || (params && !json_is_object(params)))
        answer_refusal(c, id_fits ? id : NULL, -32600, SAY_LINE_NO_REQUEST);
    else
        request_run(h, slot, method, params, id);
    json_decref(request);
}

static bool may_take_more(const host *h, const client *c) { return c->fd >= 0 && !c->lost && !h->finishing && c->pending < HOST_CALLS_MAX; }

static void lines_run(host *h, unsigned slot)
{
    client *c = &h->clients[slot];
    char *line = NULL;
    size_t n = 0;
    while (may_take_more(h, c)) {
        int got = line_next(&c->in, &line, &n);
        if (got < 0) {
            answer_refusal(c, NULL, -32600, SAY_LINE_LONG);
            (void)line_flush(&c->out, c->fd);
            c->lost = true;
        }
        if (got <= 0)
            return;
        line_run(h, slot, line, n);
    }
}

/* --- driven from outside -------------------------------------------------------------------------------------------------------------- */

static bool has_line(const client *c) { return c->in.used > c->in.taken && memchr(c->in.bytes + c->in.taken, '\n', c->in.used - c->in.taken); }

size_t host_pollfds(const host *h, struct pollfd out[HOST_POLLFDS_MAX], int *timeout_ms)
{
    size_t n = 0;
    if (!h->serving)
        return 0;
    if (h->listen_fd >= 0)
        out[n++] = (struct pollfd){ .fd = h->listen_fd, .events = POLLIN };
    for (unsigned i = 0; i < HOST_CLIENTS_MAX; i++) {
        const client *c = &h->clients[i];
        if (c->fd < 0)
            continue;
        int events = (may_take_more(h, c) && !c->ended ? POLLIN : 0) | (line_waits(&c->out) ? POLLOUT : 0);
        out[n++] = (struct pollfd){ .fd = c->fd, .events = (short)events };
        if (c->lost || (may_take_more(h, c) && has_line(c)) || (c->ended && c->pending == 0 && !line_waits(&c->out)))
            *timeout_ms = 0;
    }
    return n;
}

static void client_ready(host *h, unsigned slot, short revents)
{
    client *c = &h->clients[slot];
    if (revents & POLLOUT && line_flush(&c->out, c->fd) == LINE_LOST)
        c->lost = true;
    if (revents & (POLLIN | POLLHUP | POLLERR) && !c->ended && may_take_more(h, c)) {
        line_state state = line_read(&c->in, c->fd);
        c->ended = state == LINE_END;
        c->lost = c->lost || state == LINE_LOST;
    }
    if (revents & (POLLHUP | POLLERR) && !(revents & POLLIN))
        c->lost = true; /* both directions are closed and everything was read: nobody waits for the answer */
}

void host_ready(host *h, const struct pollfd *fds, size_t n)
{
    if (!h->serving)
        return;
    for (size_t i = 0; i < n; i++) {
        if (fds[i].revents == 0)
            continue;
        if (fds[i].fd == h->listen_fd)
            clients_accept(h);
        for (unsigned slot = 0; slot < HOST_CLIENTS_MAX; slot++)
            if (h->clients[slot].fd == fds[i].fd)
                client_ready(h, slot, fds[i].revents);
    }
    for (unsigned slot = 0; slot < HOST_CLIENTS_MAX; slot++) {
        client *c = &h->clients[slot];
        lines_run(h, slot);
        bool served = c->ended && c->pending == 0 && !has_line(c) && !line_waits(&c->out);
        if (c->fd >= 0 && (c->lost || served))
            client_drop(h, slot);
    }
}

void host_finish(host *h)
{
    h->finishing = true;
    stop_listening(h);
}

bool host_finished(const host *h)
{
    for (unsigned i = 0; i < HOST_CLIENTS_MAX; i++)
        if (h->clients[i].fd >= 0 && !h->clients[i].lost && (h->clients[i].pending || line_waits(&h->clients[i].out)))
            return false;
    return true;
}

bool host_told_to_end(const host *h) { return h->told_to_end; }
