#include "engine/caller.h"
#include "base/secret.h"
#include "engine/host.h"
#include "engine/line.h"
#include "held.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

typedef struct {
    uint64_t ticket; /* 0: free */
    json_t *request;
} question;

struct caller {
    caller_options o;
    bool prepared, subscribed;
    bool no_room; /* there is no host, because the disk is full: tried again from time to time */
    int fd;       /* to the host, our own or another's; -1: lost */
    line_in in;
    line_out out;
    host *h; /* NULL: another process is the host */
    engine *e;
    uint64_t last_ticket;
    question asked[CALLER_CALLS_MAX];
    held_news held;
    struct pollfd *extra; /* of the running caller_wait */
    size_t extras;
};

static int say(engine_error *error, sentence which, const char *one, const char *two)
{
    sentence_fill(error, which, one, two, NULL);
    return error->exit;
}

static int say_status(engine_error *error, int status, const char *path) { return say(error, sentence_of_status(status), path, strerror(errno)); }

/* --- finding the host, or becoming it ---------------------------------------------------------------------------------------------------- */

static void event_passes(void *ctx, json_t *event)
{
    caller *c = ctx;
    if (c->h)
        host_event(c->h, event);
}

static void engine_takes(void *ctx, const char *method, json_t *params, engine_done done, void *done_ctx)
{
    engine_call_async(ctx, method, params, done, done_ctx);
}

static int vault_open(caller *c, engine_error *error)
{
    secret_arena *arena = NULL;
    int rc = secret_arena_new(&arena, 4096);
    if (rc != TACET_OK)
        return say(error, sentence_of_status(rc), "1", NULL);
    uint8_t *key = secret_alloc(arena, 32);
    int exit = key ? c->o.key(c->o.key_ctx, key, error) : say(error, SAY_NO_MEMORY, NULL, NULL);
    if (exit == EXIT_DONE) {
        engine_options o = { .vault_path = c->o.vault_path,
                             .database_key = key,
                             .env = c->o.env,
                             .proxy = c->o.proxy,
                             .proxy_otherwise = c->o.proxy_otherwise,
                             .no_proxy = c->o.no_proxy,
                             .event = event_passes,
                             .event_ctx = c,
                             .working = c->o.working,
                             .working_ctx = c->o.working_ctx };
        if (engine_open(&c->e, &o, error) != TACET_OK)
            exit = error->exit;
    }
    secret_arena_free(arena);
    return exit;
}

int caller_connect(caller *c)
{
    int pair[2];
    if (!c->h)
        return profile_connect(c->o.profile_dir, NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    if (host_adopt(c->h, pair[1]) == TACET_OK)
        return pair[0];
    close(pair[0]);
    close(pair[1]);
    errno = EMFILE;
    return -1;
}

/* The lock is ours: open the vault, and be our own first client. */
static int serve_ourselves(caller *c, engine_error *error)
{
    int exit = vault_open(c, error);
    if (exit != EXIT_DONE)
        return exit;
    c->fd = caller_connect(c);
    if (c->fd < 0)
        return say_status(error, TACET_E_IO, "a socket");
    host_serve(c->h, (host_engine){ .ctx = c->e, .call = engine_takes });
    return EXIT_DONE;
}

/* What was prepared is good for the one start that it was asked for. Who is locked in the meantime, and is no host that could be told, must not open
 * anything with what it was given before. */
static void unprepare(caller *c)
{
    if (c->prepared && c->o.forget)
        c->o.forget(c->o.key_ctx);
    c->prepared = false;
}

/* Looked at first while the disk is full, so that nobody is asked for a passphrase once a second. */
static bool has_room(const char *folder)
{
    struct statvfs v;
    return statvfs(folder, &v) != 0 || (uint64_t)v.f_bavail * (v.f_frsize ? v.f_frsize : v.f_bsize) >= CALLER_ROOM_BYTES;
}

static void host_is_gone(caller *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void leave(caller *c)
{
    host_is_gone(c);
    unprepare(c);
    line_in_free(&c->in);
    line_out_free(&c->out);
    c->in.max = CALLER_LINE_MAX_BYTES;
    c->out.max = (size_t)HOST_LINE_MAX_BYTES * CALLER_CALLS_MAX;
    c->e = engine_close(c->e);
    c->h = host_free(c->h);
}

/* One try. EXIT_DONE: found or become; *again: somebody has the lock and does not listen at this moment. */
static int find_once(caller *c, bool *again, pid_t *holder, engine_error *error)
{
    *again = false;
    c->fd = profile_connect(c->o.profile_dir, NULL);
    if (c->fd >= 0) {
        unprepare(c); /* somebody else was faster */
        return EXIT_DONE;
    }
    if (errno == EAGAIN) {
        *again = true;
        return EXIT_DONE;
    }
    if (errno != ENOENT && errno != ECONNREFUSED)
        return say_status(error, TACET_E_IO, c->o.profile_dir);
    if (c->o.attach_only)
        return say(error, SAY_NOT_RUNNING, NULL, NULL);
    if (c->no_room && !has_room(c->o.profile_dir))
        return say(error, SAY_DISK_FULL, c->o.vault_path, NULL);
    if (!c->prepared && c->o.prepare) {
        int exit = c->o.prepare(c->o.key_ctx, error);
        if (exit != EXIT_DONE)
            return exit;
    }
    c->prepared = true;
    int rc = host_open(&c->h, c->o.profile_dir, holder);
    if (rc == TACET_E_BUSY) {
        *again = true;
        return EXIT_DONE;
    }
    if (rc != TACET_OK)
        return say_status(error, rc, c->o.profile_dir);
    int exit = serve_ourselves(c, error);
    if (exit != EXIT_DONE)
        leave(c);
    return exit;
}

/* Two processes that start at once: the lock decides, the other one connects. Between taking the lock and listening, and between closing the socket
 * and letting the lock go, there is a moment in which neither works; only then is anything tried again. */
static int find(caller *c, engine_error *error)
{
    uint64_t deadline = env_mono_ms(c->o.env) + CALLER_FIND_MS;
    pid_t holder = 0;
    for (int pause_ms = 1;; pause_ms = pause_ms < 32 ? pause_ms * 2 : pause_ms) {
        bool again = false;
        int exit = find_once(c, &again, &holder, error);
        if (exit != EXIT_DONE || !again)
            return exit;
        if (env_mono_ms(c->o.env) >= deadline) {
            char pid[16];
            snprintf(pid, sizeof pid, "%ld", (long)holder);
            return say(error, SAY_HOST_BUSY, pid, NULL);
        }
        struct pollfd stop = { .fd = c->o.stop_fd, .events = POLLIN };
        if (poll(&stop, 1, pause_ms) > 0)
            return say(error, SAY_STOPPING, NULL, NULL);
    }
}

int caller_open(caller **out, const caller_options *o, engine_error *error)
{
    caller *c = calloc(1, sizeof *c);
    if (!c)
        return say(error, SAY_NO_MEMORY, NULL, NULL);
    c->o = *o;
    c->fd = -1;
    leave(c); /* sets the limits */
    int exit = find(c, error);
    if (exit == EXIT_DONE)
        *out = c;
    else
        caller_close(c);
    return exit;
}

bool caller_is_host(const caller *c) { return c->h != NULL; }

/* --- one turn of the loop ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    struct pollfd fds[2 + HOST_POLLFDS_MAX + ENGINE_POLLFDS_MAX + CALLER_EXTRA_MAX]; /* stop, own, hosts, engines, extras */
    size_t hosts, engines, all;
    int timeout_ms;
} poll_set;

static void gather(caller *c, poll_set *p, int timeout_ms)
{
    p->timeout_ms = timeout_ms;
    p->hosts = p->engines = 0;
    p->fds[0] = (struct pollfd){ .fd = c->o.stop_fd, .events = POLLIN };
    p->fds[1] = (struct pollfd){ .fd = c->fd, .events = (short)(POLLIN | (line_waits(&c->out) ? POLLOUT : 0)) };
    if (c->h) {
        int due = -1;
        p->hosts = host_pollfds(c->h, p->fds + 2, &p->timeout_ms);
        p->engines = engine_pollfds(c->e, p->fds + 2 + p->hosts, &due);
        if (due >= 0 && (p->timeout_ms < 0 || due < p->timeout_ms))
            p->timeout_ms = due;
    }
    p->all = 2 + p->hosts + p->engines;
    for (size_t i = 0; i < c->extras; i++)
        p->fds[p->all++] = c->extra[i];
}

/* Waits for at most timeout_ms and moves everything that can be moved. */
static void turn(caller *c, int timeout_ms, bool *stop, bool *lost)
{
    poll_set p;
    gather(c, &p, timeout_ms);
    if (poll(p.fds, (nfds_t)p.all, p.timeout_ms) < 0)
        for (size_t i = 0; i < p.all; i++)
            p.fds[i].revents = 0;
    *stop = p.fds[0].revents & (POLLIN | POLLHUP);
    for (size_t i = 0; i < c->extras; i++)
        c->extra[i].revents = p.fds[p.all - c->extras + i].revents;
    if (c->h)
        host_ready(c->h, p.fds + 2, p.hosts);
    if (c->fd >= 0) {
        size_t before = c->in.used - c->in.taken;
        *lost = line_flush(&c->out, c->fd) == LINE_LOST || line_read(&c->in, c->fd) != LINE_MORE;
        if (c->in.used > before)
            return; /* an answer that needs no relay is given before any connection is made */
    }
    if (c->h)
        engine_ready(c->e, p.fds + 2 + p.hosts, p.engines);
}

caller *caller_close(caller *c)
{
    if (!c)
        return NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    if (c->h) {
        host_finish(c->h);
        uint64_t deadline = env_mono_ms(c->o.env) + 1000;
        bool stop = false, lost = false;
        while (!host_finished(c->h) && !stop && env_mono_ms(c->o.env) < deadline)
            turn(c, 50, &stop, &lost);
    }
    leave(c);
    for (size_t i = 0; i < CALLER_CALLS_MAX; i++)
        json_decref(c->asked[i].request);
    held_empty(&c->held);
    free(c);
    return NULL;
}

/* --- questions and answers -------------------------------------------------------------------------------------------------------------------- */

static bool request_put(caller *c, json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    bool put = text && line_put(&c->out, text);
    secret_text_free(text); /* it may hold the key of a backup */
    return put;
}

int caller_begin(caller *c, const char *method, json_t *params, uint64_t *ticket, engine_error *error)
{
    question *q = NULL;
    for (size_t i = 0; i < CALLER_CALLS_MAX && !q; i++)
        q = c->asked[i].ticket ? NULL : &c->asked[i];
    assert(q); /* ours to get right */
    json_t *request = json_pack("{s:s,s:I,s:s,s:o*}", "jsonrpc", "2.0", "id", (json_int_t)++c->last_ticket, "method", method, "params", params);
    if (!request)
        return say(error, SAY_NO_MEMORY, NULL, NULL);
    if (!request_put(c, request)) {
        json_decref(request);
        return say(error, SAY_BAD_PARAMETER, method, "(too long)");
    }
    if (strcmp(method, "subscribe") == 0)
        c->subscribed = true;
    *q = (question){ .ticket = c->last_ticket, .request = request };
    *ticket = q->ticket;
    return EXIT_DONE;
}

static void error_read(engine_error *out, json_t *error)
{
    const char *message = sentence_text(SAY_WHY_UNSAID), *word = NULL;
    int exit = EXIT_FAILED;
    (void)json_unpack(error, "{s?s,s?{s?s,s?i}}", "message", &message, "data", "code", &word, "exit", &exit);
    sentence_repeat(out, word, exit, message);
}

static void question_forget(caller *c, uint64_t ticket)
{
    for (size_t i = 0; i < CALLER_CALLS_MAX; i++)
        if (c->asked[i].ticket == ticket) {
            json_decref(c->asked[i].request);
            c->asked[i] = (question){ 0 };
        }
}

/* True: *out is an answer to one of our questions, or an event. */
static bool line_means(caller *c, const char *line, size_t n, caller_news *out)
{
    json_t *o = json_loadb(line, n, 0, NULL);
    json_t *event = json_object_get(o, "params"), *result = json_object_get(o, "result");
    const char *method = json_string_value(json_object_get(o, "method"));
    json_int_t id = json_integer_value(json_object_get(o, "id"));
    if (method && strcmp(method, "event") == 0 && event) {
        *out = (caller_news){ .kind = CALLER_EVENT, .body = json_incref(event) };
    } else {
        for (size_t i = 0; i < CALLER_CALLS_MAX && id > 0; i++) {
            question *q = &c->asked[i];
            if (q->ticket != (uint64_t)id)
                continue;
            caller_news reply = { .kind = CALLER_REPLY, .ticket = q->ticket, .body = json_incref(result) };
            if (!result)
                error_read(&reply.error, json_object_get(o, "error"));
            if (!result && strcmp(reply.error.code, sentence_code(SAY_STOPPING)) == 0) { /* it ends: whoever is the host next gets the question */
                host_is_gone(c);
                break;
            }
            *out = reply;
            question_forget(c, q->ticket);
        }
    }
    json_decref(o);
    return out->kind != CALLER_NOTHING;
}

/* The oldest question that is younger than `ticket`, or NULL. */
static const question *question_after(const caller *c, uint64_t ticket)
{
    const question *found = NULL;
    for (size_t i = 0; i < CALLER_CALLS_MAX; i++)
        if (c->asked[i].ticket > ticket && (!found || c->asked[i].ticket < found->ticket))
            found = &c->asked[i];
    return found;
}

/* The host is gone. Find the next, or be it, and ask everything again that has no answer yet, in the old order. */
static int take_over(caller *c, engine_error *error)
{
    leave(c);
    int exit = find(c, error);
    if (exit != EXIT_DONE)
        return exit;
    if (c->subscribed && !line_put(&c->out, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"subscribe\"}"))
        return say(error, SAY_NO_MEMORY, NULL, NULL);
    for (const question *q = question_after(c, 0); q; q = question_after(c, q->ticket))
        if (!request_put(c, q->request))
            return say(error, SAY_NO_MEMORY, NULL, NULL);
    c->held.missed = c->subscribed;
    return EXIT_DONE;
}

/* While the disk is full no vault can be opened. Whoever only follows has nothing better to do than to wait for room, so that everything goes on by
 * itself then; whoever asked something gets that as the answer. */
static bool waits_for_room(const caller *c, const engine_error *why)
{
    return c->subscribed && !question_after(c, 0) && strcmp(why->code, sentence_code(SAY_DISK_FULL)) == 0;
}

static json_t *error_event(const engine_error *why)
{
    return json_pack("{s:i,s:s,s:s,s:i,s:s}", "v", 1, "event", "error", "code", why->code, "exit", why->exit, "message", why->message);
}

/* When no host can be had: each question gets that as its answer, then the caller is stopped. */
static void give_up(caller *c, const engine_error *why, caller_news *out)
{
    const question *q = question_after(c, 0);
    *out = (caller_news){ .kind = q ? CALLER_REPLY : CALLER_STOPPED, .ticket = q ? q->ticket : 0, .error = *why };
    if (q)
        question_forget(c, q->ticket);
}

/* What has arrived already. */
static bool next_line(caller *c, caller_news *out)
{
    char *line = NULL;
    size_t n = 0;
    int got;
    while ((got = line_next(&c->in, &line, &n)) > 0)
        if (line_means(c, line, n, out))
            return true;
    if (got < 0) /* nothing that a host of ours says: as good as gone */
        host_is_gone(c);
    return false;
}

static void fetch(caller *c, int timeout_ms, caller_news *out)
{
    uint64_t start = env_mono_ms(c->o.env);
    *out = (caller_news){ 0 };
    while (!next_line(c, out)) {
        uint64_t gone = env_mono_ms(c->o.env) - start;
        int left = timeout_ms < 0 ? -1 : gone >= (uint64_t)timeout_ms ? 0 : timeout_ms - (int)gone;
        bool stop = false, lost = c->fd < 0;
        if (c->no_room && (left < 0 || left > CALLER_ROOM_MS))
            turn(c, CALLER_ROOM_MS, &stop, &lost);
        else if (c->no_room || !lost)
            turn(c, left, &stop, &lost);
        if (c->h && host_told_to_end(c->h)) {
            *out = (caller_news){ .kind = CALLER_STOPPED };
            say(&out->error, SAY_WAS_LOCKED, NULL, NULL);
            return;
        }
        if (stop) {
            *out = (caller_news){ .kind = CALLER_STOPPED };
            return;
        }
        for (size_t i = 0; i < c->extras; i++)
            if (c->extra[i].revents)
                out->kind = CALLER_READY;
        if (out->kind == CALLER_READY || next_line(c, out))
            return;
        engine_error why;
        if (lost && take_over(c, &why) != EXIT_DONE) {
            bool told = c->no_room;
            leave(c);
            c->no_room = waits_for_room(c, &why);
            if (!c->no_room)
                give_up(c, &why, out);
            else if (!told)
                *out = (caller_news){ .kind = CALLER_EVENT, .body = error_event(&why) };
            if (out->kind != CALLER_NOTHING)
                return;
        } else {
            c->no_room = false;
            if (held_missed(&c->held, out))
                return;
        }
        if (left == 0 && (!lost || c->no_room))
            return;
    }
}

void caller_next(caller *c, int timeout_ms, caller_news *out)
{
    if (!held_take(&c->held, out))
        fetch(c, timeout_ms, out);
}

void caller_watch(caller *c, struct pollfd *extra, size_t n, int timeout_ms, caller_news *out)
{
    assert(n <= CALLER_EXTRA_MAX);
    for (size_t i = 0; i < n; i++)
        extra[i].revents = 0;
    c->extra = extra;
    c->extras = n;
    caller_next(c, timeout_ms, out);
    c->extra = NULL;
    c->extras = 0;
}

void caller_wait(caller *c, struct pollfd *extra, size_t n, caller_news *out)
{
    assert(n <= CALLER_EXTRA_MAX);
    for (size_t i = 0; i < n; i++)
        extra[i].revents = 0;
    c->extra = extra;
    c->extras = n;
    for (;;) {
        fetch(c, -1, out);
        if (out->kind == CALLER_READY || out->kind == CALLER_STOPPED)
            break;
        held_put(&c->held, out);
    }
    c->extra = NULL;
    c->extras = 0;
}

int caller_call(caller *c, const char *method, json_t *params, int timeout_ms, json_t **result, engine_error *error)
{
    uint64_t ticket = 0, start = env_mono_ms(c->o.env);
    int exit = caller_begin(c, method, params, &ticket, error);
    while (exit == EXIT_DONE) {
        uint64_t gone = env_mono_ms(c->o.env) - start;
        caller_news n;
        fetch(c, timeout_ms < 0 ? -1 : gone >= (uint64_t)timeout_ms ? 0 : timeout_ms - (int)gone, &n);
        if (n.kind == CALLER_REPLY && n.ticket == ticket) {
            *result = n.body;
            *error = n.error;
            return n.body ? EXIT_DONE : n.error.exit;
        }
        if (n.kind == CALLER_EVENT || n.kind == CALLER_REPLY) {
            held_put(&c->held, &n);
        } else if (n.kind == CALLER_STOPPED) {
            if (n.error.code)
                *error = n.error;
            exit = n.error.code ? n.error.exit : say(error, SAY_STOPPED, NULL, NULL);
        } else {
            exit = say(error, SAY_TIMEOUT, NULL, NULL);
        }
    }
    if (ticket)
        question_forget(c, ticket); /* its answer, if one comes, is nobody's */
    return exit;
}
