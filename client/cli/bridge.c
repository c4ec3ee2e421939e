#include "bridge.h"
#include "engine/caller.h"
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 4096, /* what a pipe takes at once after POLLOUT, so that nothing blocks */
    OUT_ENOUGH_BYTES = 1024 * 1024,
    FRUITLESS_MAX = 20,
    FRUITLESS_PAUSE_MS = 100,
};

/* --- requests without an answer ------------------------------------------------------------------------------------------------------------ */
static void request_forget(bridge *b, size_t at)
{
    bridge_request *r = &b->asked[at];
    json_decref(r->id);
    sodium_memzero(r->line, strlen(r->line));
    free(r->line);
    memmove(r, r + 1, (--b->asked_count - at) * sizeof *r);
}

/* Remembers a request, and sends it. What is no request, or wants no answer, is sent just the same. False: no memory. */
static bool request_take(bridge *b, const char *line, size_t n)
{
    json_t *o = json_loadb(line, n, 0, NULL), *id = json_object_get(o, "id");
    const char *method = json_string_value(json_object_get(o, "method"));
    bool good = true;
    b->subscribed = b->subscribed || (method && strcmp(method, "subscribe") == 0);
    if (method && id) {
        char *copy = strdup(line);
        good = copy != NULL;
        if (good)
            b->asked[b->asked_count++] = (bridge_request){ json_incref(id), copy };
    }
    json_decref(o);
    return good && line_put(&b->to_host, line);
}

static bool answer_take(bridge *b, const char *line, size_t n)
{
    json_t *o = json_loadb(line, n, 0, NULL), *id = json_object_get(o, "id");
    for (size_t i = 0; id && i < b->asked_count; i++)
        if (json_equal(id, b->asked[i].id)) {
            request_forget(b, i);
            break;
        }
    json_decref(o);
    b->fruitless = 0;
    return line_put(&b->to_out, line);
}

/* --- the host ------------------------------------------------------------------------------------------------------------------------------ */
static void host_leave(bridge *b)
{
    if (b->host >= 0)
        close(b->host);
    b->host = -1;
    line_in_free(&b->from_host);
    line_out_free(&b->to_host);
    b->from_host.max = b->to_out.max = HOST_BACKLOG_MAX_BYTES + OUT_ENOUGH_BYTES;
    b->to_host.max = (size_t)(HOST_LINE_MAX_BYTES + 1) * (HOST_CALLS_MAX + 1);
    b->told = b->host_ended = false;
}

bool bridge_open(cli *c, bridge *b, int in, int out)
{
    *b = (bridge){ .in = in, .out = out, .host = -1 };
    host_leave(b);
    b->from_in.max = HOST_LINE_MAX_BYTES;
    b->host = caller_connect(c->caller);
    return b->host >= 0;
}

void bridge_close(bridge *b)
{
    host_leave(b);
    line_in_free(&b->from_in);
    line_out_free(&b->to_out);
    while (b->asked_count)
        request_forget(b, b->asked_count - 1);
}

bool bridge_stranded(const bridge *b) { return b->host_ended && !(b->in_ended && b->asked_count == 0); }

int bridge_again(cli *c, bridge *b)
{
    json_t *status = NULL;
    host_leave(b);
    if (b->fruitless++)
        (void)poll(NULL, 0, FRUITLESS_PAUSE_MS);
    int exit = engine_ask(c, "status", NULL, -1, &status); /* until there is a host again, or this is it */
    json_decref(status);
    if (exit != EXIT_DONE)
        return exit;
    b->host = b->fruitless < FRUITLESS_MAX ? caller_connect(c->caller) : -1;
    bool good = b->host >= 0 && (!b->subscribed || line_put(&b->to_host, "{\"jsonrpc\":\"2.0\",\"method\":\"subscribe\"}"));
    if (good && b->subscribed) /* events may have gone with the last one */
        good = line_put(&b->to_out, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"v\":1,\"event\":\"waiting\",\"count\":0}}");
    for (size_t i = 0; good && i < b->asked_count; i++)
        good = line_put(&b->to_host, b->asked[i].line);
    return good ? EXIT_DONE : fail(c, SAY_NO_HOST, strerror(errno), NULL, NULL);
}

/* --- moving -------------------------------------------------------------------------------------------------------------------------------- */
static bool may_ask(const bridge *b) { return b->asked_count < HOST_CALLS_MAX && b->to_host.used - b->to_host.sent < OUT_ENOUGH_BYTES; }
static bool may_tell(const bridge *b) { return b->to_out.used - b->to_out.sent < OUT_ENOUGH_BYTES; }

static bool has_line(const line_in *l) { return l->used > l->taken && memchr(l->bytes + l->taken, '\n', l->used - l->taken); }

void bridge_gather(const bridge *b, struct pollfd fds[BRIDGE_POLLS])
{
    fds[0] = (struct pollfd){ .fd = b->in_ended || !may_ask(b) ? -1 : b->in, .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = line_waits(&b->to_out) ? b->out : -1, .events = POLLOUT };
    int events = (line_waits(&b->to_host) ? POLLOUT : 0) | (may_tell(b) ? POLLIN : 0);
    fds[2] = (struct pollfd){ .fd = events ? b->host : -1, .events = (short)events };
}

static bool requests_move(bridge *b, bool readable)
{
    char *line;
    size_t n;
    int got = 0;
    if (readable && may_ask(b)) {
        line_state state = line_read(&b->from_in, b->in);
        b->in_ended = state == LINE_END;
        if (state == LINE_LOST)
            return false;
    }
    while (may_ask(b) && (got = line_next(&b->from_in, &line, &n)) > 0)
        if (!request_take(b, line, n))
            return false;
    return got >= 0;
}

static bool answers_move(bridge *b, bool readable)
{
    char *line;
    size_t n;
    if (readable && may_tell(b))
        b->host_ended = line_read(&b->from_host, b->host) != LINE_MORE;
    while (may_tell(b) && line_next(&b->from_host, &line, &n) > 0)
        if (!answer_take(b, line, n))
            return false;
    return true;
}

/* One piece, so that a pipe that blocks is never asked for more than it takes. */
static bool out_pour(bridge *b)
{
    size_t left = b->to_out.used - b->to_out.sent;
    ssize_t n = write(b->out, b->to_out.bytes + b->to_out.sent, left < PIECE_BYTES ? left : PIECE_BYTES);
    if (n > 0)
        b->to_out.sent += (size_t)n;
    return n > 0 || errno == EAGAIN || errno == EINTR;
}

bridge_state bridge_move(bridge *b, const struct pollfd fds[BRIDGE_POLLS])
{
    const short gone = POLLHUP | POLLERR;
    if (!answers_move(b, fds[2].revents & (POLLIN | gone)))
        return BRIDGE_LOST;
    if (!requests_move(b, fds[0].revents & (POLLIN | gone))) {
        engine_error why;
        sentence_fill(&why, SAY_LINE_LONG, NULL, NULL, NULL);
        (void)dprintf(b->out,
                      "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"%s\",\"data\":{\"code\":\"%s\",\"exit\":%d}}}\n",
                      why.message, why.code, why.exit);
        return BRIDGE_LOST;
    }
    if (fds[1].revents & gone || (fds[1].revents & POLLOUT && !out_pour(b)))
        return BRIDGE_LOST;
    if (line_waits(&b->to_host) && line_flush(&b->to_host, b->host) == LINE_LOST)
        b->host_ended = true;
    if (b->in_ended && !has_line(&b->from_in) && !line_waits(&b->to_host) && !b->told) {
        b->told = true;
        (void)shutdown(b->host, SHUT_WR); /* the host answers what was asked, then closes */
    }
    bool over = b->host_ended && !bridge_stranded(b) && !has_line(&b->from_host) && !line_waits(&b->to_out);
    return over ? BRIDGE_DONE : BRIDGE_GOES_ON;
}
