/* files, save, cancel. */
#include "cli.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

int run_files(cli *c)
{
    json_t *list = NULL, *f;
    size_t i;
    json_t *params = c->args.operands ? json_pack("{s:s}", "name", c->args.operand[0]) : NULL;
    int exit = engine_ask(c, "files", params, -1, &list);
    if (exit != EXIT_DONE)
        return exit;
    json_array_foreach(list, i, f)
    {
        if (c->json)
            (void)say_json(json_incref(f));
        else
            say_file(c, f);
    }
    json_decref(list);
    return say_flush(c);
}

int run_cancel(cli *c)
{
    json_t *f = NULL;
    int exit = engine_ask(c, "cancel", json_pack("{s:s}", "id", c->args.operand[0]), -1, &f);
    if (exit != EXIT_DONE)
        return exit;
    if (c->json)
        (void)say_json(json_incref(f));
    else
        say("%s: %s", text_at(f, "name"), text_at(f, "state"));
    json_decref(f);
    exit = engine_sync(c); /* so that the other side hears of it */
    return exit == EXIT_UNREACHABLE ? EXIT_DONE : exit == EXIT_DONE ? say_flush(c) : exit;
}

/* --- save ------------------------------------------------------------------------------------------------------------------------------------ */
typedef struct {
    cli *c;
    json_t *file; /* as it was last told */
    progress bar;
} saving;

static bool to_stdout(const cli *c) { return c->args.given[OPT_OUTPUT] && strcmp(c->args.text[OPT_OUTPUT], "-") == 0; }

/* The engine may run elsewhere: paths are made whole here. False: said already. */
static bool target_params(cli *c, json_t *params)
{
    char whole[PATH_MAX], folder[PATH_MAX];
    const char *to = c->args.text[OPT_TO], *output = c->args.text[OPT_OUTPUT];
    if (to && output)
        return fail(c, EXIT_USAGE, "usage", "--to and --output say two different things; give one of them") == EXIT_DONE;
    if (to_stdout(c)) { /* by way of the profile's own folder, private as it is */
        json_object_set_new(params, "to", json_string(c->profile.dir));
        return true;
    }
    const char *slash = output ? strrchr(output, '/') : NULL;
    size_t n = slash ? (size_t)(slash - output) + 1 : 1;
    const char *where = output ? (slash ? output : ".") : to ? to : ".";
    if (!output)
        n = strlen(where);
    if (n >= sizeof folder)
        return fail(c, EXIT_USAGE, "usage", "that path is too long") == EXIT_DONE;
    memcpy(folder, where, n);
    folder[n] = '\0';
    if ((to || output) && !realpath(folder, whole))
        return fail(c, EXIT_NOT_FOUND, "no-such-folder", "there is no folder %s (%s)", folder, strerror(errno)) == EXIT_DONE;
    if (to)
        json_object_set_new(params, "to", json_string(whole));
    if (output)
        json_object_set_new(params, "output", json_sprintf("%s/%s", strcmp(whole, "/") == 0 ? "" : whole, slash ? slash + 1 : output));
    return true;
}

static bool over(const json_t *file)
{
    const char *state = text_at(file, "state");
    return strcmp(state, "complete") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

static int event_note(saving *s, json_t *event, engine_error *why)
{
    const char *what = text_at(event, "event");
    if (strcmp(text_at(event, "id"), s->c->args.operand[0]) != 0)
        return EXIT_DONE;
    if (strcmp(what, "progress") == 0)
        progress_show(&s->bar, s->c, event, text_at(s->file, "name"), (uint64_t)json_integer_value(json_object_get(s->file, "size")));
    if (strcmp(what, "file") == 0) {
        json_decref(s->file);
        s->file = json_incref(event);
    }
    if (strcmp(what, "error") != 0)
        return EXIT_DONE;
    why->code = "failed";
    for (int i = 0; i < SAY_COUNT; i++)
        if (strcmp(sentence_code((sentence)i), text_at(event, "code")) == 0)
            why->code = sentence_code((sentence)i);
    why->exit = (int)json_integer_value(json_object_get(event, "exit"));
    snprintf(why->message, sizeof why->message, "%s", text_at(event, "message"));
    return why->exit;
}

static int await(saving *s)
{
    cli *c = s->c;
    engine_error why = { 0 };
    uint64_t ticket = 0, start = env_mono_ms(env_system()), limit = c->args.number[OPT_TIMEOUT];
    int exit = caller_begin(c->caller, "sync", NULL, &ticket, &why);
    while (exit == EXIT_DONE && !over(s->file)) {
        uint64_t gone = env_mono_ms(env_system()) - start;
        caller_news n;
        int wait = gone >= limit ? 0 : (int)(limit - gone > INT32_MAX ? INT32_MAX : limit - gone);
        caller_next(c->caller, c->args.given[OPT_TIMEOUT] ? wait : -1, &n);
        if (n.kind == CALLER_EVENT) {
            exit = event_note(s, n.body, &why);
        } else if (n.kind == CALLER_REPLY && n.ticket == ticket && !n.body) {
            why = n.error;
            exit = n.error.exit;
        } else if (n.kind == CALLER_STOPPED) {
            exit = stopped(c, &n, &why);
        } else if (n.kind == CALLER_NOTHING) {
            sentence_fill(&why, SAY_TIMEOUT, NULL, NULL, NULL);
            exit = EXIT_TIMEOUT;
        }
        json_decref(n.body);
    }
    progress_end(&s->bar);
    return exit == EXIT_DONE ? EXIT_DONE : fail_why(c, &why);
}

static bool copy_all(int from, int to)
{
    char bytes[65536];
    for (;;) {
        ssize_t n = read(from, bytes, sizeof bytes);
        if (n <= 0)
            return n == 0;
        for (ssize_t at = 0; at < n;) {
            ssize_t put = write(to, bytes + at, (size_t)(n - at));
            if (put < 0)
                return false;
            at += put;
        }
    }
}

/* The bytes to stdout; what was only saved for that goes again. */
static int pour(cli *c, const char *path, bool ours)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = fd >= 0 && copy_all(fd, STDOUT_FILENO);
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (ours)
        (void)unlink(path);
    return ok ? EXIT_DONE : fail(c, EXIT_FAILED, "output", "%s could not be written to stdout (%s)", path, strerror(why));
}

int run_save(cli *c)
{
    saving s = { .c = c };
    uint64_t subscribed = 0;
    engine_error why = { 0 };
    json_t *params = json_pack("{s:s}", "id", c->args.operand[0]);
    int exit = engine_reach(c);
    if (exit == EXIT_DONE && !target_params(c, params))
        exit = c->failed;
    if (exit == EXIT_DONE && (exit = caller_begin(c->caller, "subscribe", NULL, &subscribed, &why)) != EXIT_DONE)
        exit = fail_why(c, &why);
    if (exit != EXIT_DONE) {
        json_decref(params);
        return exit;
    }
    exit = engine_ask(c, "save", params, -1, &s.file);
    bool before = exit == EXIT_DONE && strcmp(text_at(s.file, "state"), "complete") == 0;
    if (exit == EXIT_DONE)
        exit = await(&s);
    if (exit == EXIT_DONE && strcmp(text_at(s.file, "state"), "complete") != 0)
        exit = fail(c, EXIT_FAILED, "failed", "%s: %s (%s)", text_at(s.file, "name"), text_at(s.file, "state"), text_at(s.file, "trouble"));
    else if (exit == EXIT_DONE && to_stdout(c))
        exit = pour(c, text_at(s.file, "saved_to"), !before);
    else if (exit == EXIT_DONE && c->json)
        (void)say_json(json_incref(s.file));
    else if (exit == EXIT_DONE)
        say("%s", text_at(s.file, "saved_to"));
    json_decref(s.file);
    return exit == EXIT_DONE ? say_flush(c) : exit;
}
