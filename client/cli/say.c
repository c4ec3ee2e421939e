/* Everything that leaves the program for eyes: lines, objects, errors. All of it goes through harmless. */
#include "cli.h"
#include "harmless.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

__attribute__((format(printf, 3, 0))) static void line_print(FILE *to, const char *prefix, const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    char *shown = text ? harmless_copy(text, HARMLESS_ONE_LINE, 0) : NULL;
    fprintf(to, "%s%s\n", prefix, shown ? shown : "out of memory");
    free(shown);
    free(text);
}

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_print(stdout, "", format, args);
    va_end(args);
}

void note(const cli *c, const char *format, ...)
{
    if (c->quiet)
        return;
    va_list args;
    va_start(args, format);
    line_print(stderr, "", format, args);
    va_end(args);
}

bool say_json(json_t *o)
{
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    char *safe = text ? harmless_json(text) : NULL;
    if (safe)
        printf("%s\n", safe);
    free(safe);
    free(text);
    json_decref(o);
    return safe != NULL;
}

bool say_object(const char *event, json_t *o)
{
    if (json_object_get(o, "event"))
        return say_json(o);
    json_t *whole = json_pack("{s:i,s:s}", "v", 1, "event", event);
    if (!whole || !o || json_object_update_missing(whole, o) != 0) {
        json_decref(whole);
        json_decref(o);
        return false;
    }
    json_decref(o);
    return say_json(whole);
}

int fail(cli *c, int exit, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    char *shown = text ? harmless_copy(text, HARMLESS_ONE_LINE, 0) : NULL;
    const char *line = shown ? shown : "not enough memory";
    fprintf(stderr, "tacet: %s\n", line);
    if (c->json) {
        (void)say_object("error", json_pack("{s:s,s:i,s:s}", "code", code, "exit", exit, "message", line));
        (void)fflush(stdout);
    }
    free(shown);
    free(text);
    c->failed = exit;
    return exit;
}

int fail_why(cli *c, const engine_error *why) { return fail(c, why->exit, why->code, "%s", why->message); }

int say_flush(cli *c)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_DONE;
    return fail(c, EXIT_FAILED, "output", "the answer could not be written (%s). Check where stdout goes", strerror(errno));
}

void say_time(char out[20], const char *rfc3339)
{
    struct tm utc = { 0 }, local;
    const char *rest = rfc3339 ? strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
    time_t at = rest ? timegm(&utc) : 0;
    if (!rest || !localtime_r(&at, &local) || !strftime(out, 20, "%Y-%m-%d %H:%M", &local))
        snprintf(out, 20, "----------------");
}

/* What became of a message of ours, where it is not what one expects. */
static const char *fate(const json_t *m)
{
    static const struct {
        const char *state, *words;
    } row[] = {
        { "waiting", " [waits until they accept]" },
        { "held", " [held back: the key has changed]" },
        { "queued", " [not sent yet]" },
        { "expired", " [never delivered]" },
        { "failed", " [not sent]" },
    };
    const char *state = json_string_value(json_object_get(m, "state"));
    for (size_t i = 0; state && i < sizeof row / sizeof *row; i++)
        if (strcmp(state, row[i].state) == 0)
            return row[i].words;
    return json_is_true(json_object_get(m, "time_suspect")) ? " [the time is the sender's claim, and cannot be]" : "";
}

void say_bytes(char out[24], uint64_t bytes)
{
    static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double n = (double)bytes;
    size_t u = 0;
    for (; n >= 1024 && u + 1 < sizeof unit / sizeof *unit; u++)
        n /= 1024;
    snprintf(out, 24, n < 10 && u ? "%.1f %s" : "%.0f %s", n, unit[u]);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* "complete, saved to /x"; "receiving 12 of 40 MiB". */
static void file_state(char *out, size_t room, const json_t *f)
{
    char have[24], size[24];
    const char *state = text_of(f, "state"), *saved = text_of(f, "saved_to"), *bad = text_of(f, "trouble");
    say_bytes(have, (uint64_t)json_integer_value(json_object_get(f, "have")));
    say_bytes(size, (uint64_t)json_integer_value(json_object_get(f, "size")));
    if (*saved)
        snprintf(out, room, "%s, saved to %s", size, saved);
    else if (strcmp(state, "receiving") == 0 || strcmp(state, "sending") == 0)
        snprintf(out, room, "%s, %s of %s%s%s", state, have, size, *bad ? ", paused: " : "", bad);
    else
        snprintf(out, room, "%s, %s%s%s", size, state, *bad ? ": " : "", bad);
}

void say_file(const cli *c, const json_t *f)
{
    char at[20], state[4200];
    const char *sent = text_of(f, "sent_at");
    (void)c;
    say_time(at, *sent ? sent : text_of(f, "received_at"));
    file_state(state, sizeof state, f);
    say("%s  %s  %s %s  %s  (%s)", text_of(f, "id"), at, json_is_true(json_object_get(f, "outgoing")) ? "to" : "from", text_of(f, "conversation"),
        text_of(f, "name"), state);
}

void say_message(const cli *c, const json_t *m)
{
    char at[20];
    const char *what = json_string_value(json_object_get(m, "event")), *sent = json_string_value(json_object_get(m, "sent_at"));
    const char *from = json_string_value(json_object_get(m, "from")), *text = json_string_value(json_object_get(m, "text"));
    long long missing = (long long)json_integer_value(json_object_get(m, "missing"));
    say_time(at, sent ? sent : json_string_value(json_object_get(m, "received_at")));
    if (what && strcmp(what, "gap") == 0) {
        const char *with = json_string_value(json_object_get(m, "conversation"));
        say("%s  -- %lld message%s of %s missing --", at, missing, missing == 1 ? "" : "s", with ? with : "?");
        return;
    }
    if (what && strcmp(what, "notice") == 0) {
        say("%s  -- %s --", at, text ? text : "");
        return;
    }
    if (what && strcmp(what, "file") == 0) {
        char state[4200];
        file_state(state, sizeof state, m);
        say("%s  %s: file %s (%s)%s%s", at, from ? from : "?", text_of(m, "name"), state,
            strcmp(text_of(m, "state"), "offered") == 0 ? " take it: tacet save " : "",
            strcmp(text_of(m, "state"), "offered") == 0 ? text_of(m, "id") : "");
        return;
    }
    char *name = harmless_copy(from ? from : "?", HARMLESS_ONE_LINE, 0);
    char *body = harmless_copy(text ? text : "(this needs a newer tacet)", HARMLESS_MANY_LINES, 4);
    printf("%s  %s%s:%s %s%s\n", at, c->color ? "\033[1m" : "", name ? name : "?", c->color ? "\033[0m" : "", body ? body : "(not enough memory)",
           fate(m));
    free(name);
    free(body);
}
