/* Everything that leaves the program for eyes: lines, objects, errors. All of it goes through harmless. */
#include "base/secret.h"
#include "cli.h"
#include "field.h"
#include "harmless.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void line_print(FILE *to, const char *text)
{
    char *shown = text ? harmless_copy(text, HARMLESS_ONE_LINE, 0) : NULL;
    fprintf(to, "%s\n", shown ? shown : sentence_text(SAY_WHY_NO_MEMORY));
    free(shown);
}

void say(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    line_print(stdout, text);
    free(text);
}

void note_line(const cli *c, const char *line)
{
    if (!c->quiet)
        line_print(stderr, line);
}

void note(const cli *c, sentence which, const char *one, const char *two, const char *three)
{
    engine_error said;
    sentence_fill(&said, which, one, two, three);
    note_line(c, said.message);
}

bool say_json(json_t *o)
{
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    char *safe = text ? harmless_json(text) : NULL;
    if (safe)
        printf("%s\n", safe);
    secret_text_free(safe);
    secret_text_free(text);
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

int fail_why(cli *c, const engine_error *why)
{
    char *shown = harmless_copy(why->message, HARMLESS_ONE_LINE, 0);
    const char *line = shown ? shown : sentence_text(SAY_WHY_NO_MEMORY);
    fprintf(stderr, "tacet: %s\n", line);
    if (c->json) {
        (void)say_object("error", json_pack("{s:s,s:i,s:s}", "code", why->code, "exit", why->exit, "message", line));
        (void)fflush(stdout);
    }
    free(shown);
    c->failed = why->exit;
    return why->exit;
}

int fail(cli *c, sentence which, const char *one, const char *two, const char *three)
{
    engine_error why;
    sentence_fill(&why, which, one, two, three);
    return fail_why(c, &why);
}

int say_flush(cli *c)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_DONE;
    return fail(c, SAY_OUTPUT, strerror(errno), NULL, NULL);
}

void say_time(char out[20], const char *rfc3339)
{
    struct tm utc = { 0 }, local;
    const char *rest = rfc3339 ? strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
    time_t at = rest ? timegm(&utc) : 0;
    if (!rest || !localtime_r(&at, &local) || !strftime(out, 20, "%Y-%m-%d %H:%M", &local))
        snprintf(out, 20, "----------------");
}

/* What became of a message of ours, where it is not what one expects; SAY_COUNT: it is. */
static sentence fate(const json_t *m)
{
    static const struct {
        const char *state;
        sentence say;
    } row[] = {
        { "waiting", SAY_BESIDE_WAITING }, { "held", SAY_BESIDE_HELD },     { "queued", SAY_BESIDE_QUEUED },
        { "expired", SAY_BESIDE_EXPIRED }, { "failed", SAY_BESIDE_FAILED },
    };
    const char *state = json_string_value(json_object_get(m, "state"));
    for (size_t i = 0; state && i < sizeof row / sizeof *row; i++)
        if (strcmp(state, row[i].state) == 0)
            return row[i].say;
    return json_is_true(json_object_get(m, "time_suspect")) ? SAY_BESIDE_TIME : SAY_COUNT;
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

const char *say_number(char out[24], long long n)
{
    snprintf(out, 24, "%lld", n);
    return out;
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
        engine_error said;
        char number[24];
        sentence_fill(&said, missing == 1 ? SAY_BESIDE_MISSING_ONE : SAY_BESIDE_MISSING, say_number(number, missing), with ? with : "?", NULL);
        say("%s  -- %s --", at, said.message);
        return;
    }
    if (what && strcmp(what, "notice") == 0) {
        say("%s  -- %s --", at, text ? text : "");
        return;
    }
    if (what && strcmp(what, "file") == 0) {
        char state[4200];
        file_state(state, sizeof state, m);
        engine_error take = { 0 };
        if (strcmp(text_of(m, "state"), "offered") == 0)
            sentence_fill(&take, SAY_BESIDE_TAKE, text_of(m, "id"), NULL, NULL);
        say("%s  %s: file %s (%s)%s%s", at, from ? from : "?", text_of(m, "name"), state, take.code ? " " : "", take.message);
        return;
    }
    char *name = harmless_copy(from ? from : "?", HARMLESS_ONE_LINE, 0);
    char *body = harmless_copy(text ? text : sentence_text(SAY_TEXT_NEWER), HARMLESS_MANY_LINES, 4);
    sentence beside = fate(m);
    printf("%s  %s%s:%s %s", at, c->color ? "\033[1m" : "", name ? name : "?", c->color ? "\033[0m" : "",
           body ? body : sentence_text(SAY_WHY_NO_MEMORY));
    if (beside != SAY_COUNT)
        printf(" [%s]", sentence_text(beside));
    printf("\n");
    free(name);
    free(body);
}
