/* files, save, cancel. */
#include "cli.h"
#include "field.h"
#include "transfer/file_name.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    json_t *f = NULL, *state = NULL;
    engine_error why = { 0 };
    int exit = engine_ask(c, "cancel", json_pack("{s:s}", "id", c->args.operand[0]), -1, &f);
    if (exit != EXIT_DONE)
        return exit;
    if (c->json)
        (void)say_json(json_incref(f));
    else
        say("%s: %s", text_of(f, "name"), text_of(f, "state"));
    exit = caller_call(c->caller, "sync", NULL, c->relay_ms, &state, &why); /* so that the other side hears of it */
    if (exit != EXIT_DONE)
        exit = untold(c, text_of(f, "name"), SAY_CHAT_CANCELLED, &why);
    json_decref(state);
    json_decref(f);
    return exit == EXIT_DONE ? say_flush(c) : exit;
}

/* --- save ------------------------------------------------------------------------------------------------------------------------------------ */
typedef struct {
    cli *c;
    json_t *file; /* as it was last told */
    progress bar;
} saving;

static bool to_stdout(const cli *c) { return c->args.given[OPT_OUTPUT] && strcmp(c->args.text[OPT_OUTPUT], "-") == 0; }

/* Where what is on its way to stdout lies, and nothing else. */
static void stdout_folder(const cli *c, char out[PATH_MAX]) { snprintf(out, PATH_MAX, "%s/stdout", c->profile.dir); }

/* A path without a form in JSON must not be passed over: the file would go somewhere else. False: said already. */
static bool path_param(cli *c, json_t *params, const char *key, const char *path)
{
    engine_error why;
    if (json_object_set_new(params, key, json_string(path)) == 0)
        return true;
    sentence_fill(&why, SAY_PATH_UTF8, NULL, NULL, NULL);
    return fail_why(c, &why) == EXIT_DONE;
}

/* The engine may run elsewhere: paths are made whole here. False: said already. */
static bool target_params(cli *c, json_t *params)
{
    char whole[PATH_MAX], folder[PATH_MAX], file[2 * PATH_MAX];
    const char *to = c->args.text[OPT_TO], *output = c->args.text[OPT_OUTPUT];
    if (to && output)
        return fail(c, SAY_ARG_TO_OUTPUT, NULL, NULL, NULL) == EXIT_DONE;
    if (to_stdout(c)) { /* by way of a private folder, under a name of ours: what the sender calls it means nothing there */
        stdout_folder(c, folder);
        snprintf(file, sizeof file, "%s/%s", folder, c->args.operand[0]);
        return path_param(c, params, "output", file);
    }
    const char *slash = output ? strrchr(output, '/') : NULL;
    size_t n = slash ? (size_t)(slash - output) + 1 : 1;
    const char *where = output ? (slash ? output : ".") : to ? to : ".";
    if (!output)
        n = strlen(where);
    if (n >= sizeof folder)
        return fail(c, SAY_ARG_PATH, where, NULL, NULL) == EXIT_DONE;
    memcpy(folder, where, n);
    folder[n] = '\0';
    if ((to || output) && !realpath(folder, whole))
        return fail(c, SAY_NO_FOLDER, folder, strerror(errno), NULL) == EXIT_DONE;
    if (!to && !output)
        return true;
    if (strcmp(whole, c->profile.dir) == 0) /* of the sender's choice, a name there could be one of ours */
        return fail(c, SAY_FILE_FOLDER, c->args.operand[0], NULL, NULL) == EXIT_DONE;
    if (to)
        return path_param(c, params, "to", whole);
    snprintf(file, sizeof file, "%s/%s", strcmp(whole, "/") == 0 ? "" : whole, slash ? slash + 1 : output);
    return path_param(c, params, "output", file);
}

static bool over(const json_t *file)
{
    const char *state = text_of(file, "state");
    return strcmp(state, "complete") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

static int event_note(saving *s, json_t *event, engine_error *why)
{
    const char *what = text_of(event, "event");
    if (strcmp(text_of(event, "id"), s->c->args.operand[0]) != 0)
        return EXIT_DONE;
    if (strcmp(what, "progress") == 0)
        progress_show(&s->bar, s->c, event, text_of(s->file, "name"), (uint64_t)json_integer_value(json_object_get(s->file, "size")));
    if (strcmp(what, "file") == 0) {
        json_decref(s->file);
        s->file = json_incref(event);
    }
    if (strcmp(what, "error") != 0)
        return EXIT_DONE;
    sentence_repeat(why, text_of(event, "code"), (int)json_integer_value(json_object_get(event, "exit")), text_of(event, "message"));
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

/* --- what is here already ---------------------------------------------------------------------------------------------------------------------- */
static bool on_its_way(const cli *c, const char *path)
{
    char folder[PATH_MAX];
    stdout_folder(c, folder);
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

static int trouble_say(cli *c, sentence which, const char *one, const char *two)
{
    engine_error why;
    sentence_fill(&why, which, one, two, NULL);
    return fail_why(c, &why);
}

/* The bytes to stdout. What was only saved for that goes once stdout has all of it, and not before: the relay has it no more. */
static int pour(cli *c, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = fd >= 0 && copy_all(fd, STDOUT_FILENO);
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (!ok)
        return trouble_say(c, SAY_SAVE_STDOUT, path, strerror(why));
    if (on_its_way(c, path))
        (void)unlink(path);
    return EXIT_DONE;
}

/* A new file of `folder`, under its name only when it is whole: under exactly this one, or with -2, -3 … where that is taken. False: errno. */
static bool copy_new(int from, const char *folder, const char *name, bool exact, char out[2 * PATH_MAX])
{
    char now[FILE_NAME_ROOM], self[40];
    int to = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    bool ok = to >= 0 && copy_all(from, to) && fsync(to) == 0;
    snprintf(self, sizeof self, "/proc/self/fd/%d", to);
    for (unsigned number = 1; ok; number++) {
        file_name_numbered(now, name, number);
        snprintf(out, 2 * PATH_MAX, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, now);
        if (linkat(AT_FDCWD, self, AT_FDCWD, out, AT_SYMLINK_FOLLOW) == 0)
            break;
        ok = errno == EEXIST && !exact && number < 10000;
    }
    int why = errno;
    if (to >= 0)
        close(to);
    errno = why;
    return ok;
}

/* The name in `out`: that of the sender where it was saved under one of ours. */
static const char *own_name(const cli *c, const json_t *file, char out[FILE_NAME_ROOM])
{
    const char *from = text_of(file, "saved_to"), *slash = strrchr(from, '/'), *said = text_of(file, "name");
    if (!on_its_way(c, from))
        return slash ? slash + 1 : "";
    file_name_safe(out, (const uint8_t *)said, strlen(said));
    return out;
}

/* Saved by an earlier command, or by itself: now also where it is wanted. `params` are those of `save`. */
static int saved_again(cli *c, json_t **file, const json_t *params)
{
    char folder[PATH_MAX], copy[2 * PATH_MAX], own[FILE_NAME_ROOM];
    const char *from = text_of(*file, "saved_to"), *to = text_of(params, "to"), *output = text_of(params, "output");
    const char *old = strrchr(from, '/'), *name = *output ? strrchr(output, '/') + 1 : own_name(c, *file, own);
    size_t n = *output ? (size_t)(name - output) : strlen(to);
    struct stat st;
    if (lstat(from, &st) != 0)
        return trouble_say(c, SAY_SAVE_GONE, text_of(*file, "name"), from);
    if (to_stdout(c) || (!*to && !*output) || strcmp(output, from) == 0 ||
        (*to && old && strlen(to) == (size_t)(old - from) && strncmp(to, from, n) == 0))
        return EXIT_DONE;
    if (S_ISDIR(st.st_mode) || n >= sizeof folder || strlen(name) >= FILE_NAME_ROOM)
        return trouble_say(c, SAY_SAVE_ELSEWHERE, text_of(*file, "name"), from);
    memcpy(folder, *output ? output : to, n);
    folder[n > 1 && folder[n - 1] == '/' ? n - 1 : n] = '\0';
    int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = fd >= 0 && copy_new(fd, folder, name, *output != '\0', copy);
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (!ok && why == EEXIST)
        return trouble_say(c, SAY_FILE_TARGET, output, NULL);
    if (!ok)
        return trouble_say(c, SAY_SAVE_COPY, from, strerror(why));
    if (on_its_way(c, from))
        (void)unlink(from);
    json_t *told = json_copy(*file);
    json_object_set_new(told, "saved_to", json_string(copy));
    json_decref(*file); /* and `from` with it */
    *file = told;
    return EXIT_DONE;
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
    exit = engine_ask(c, "save", json_incref(params), -1, &s.file);
    bool before = exit == EXIT_DONE && strcmp(text_of(s.file, "state"), "complete") == 0;
    if (exit == EXIT_DONE)
        exit = await(&s);
    if (exit == EXIT_DONE && strcmp(text_of(s.file, "state"), "complete") != 0)
        exit = fail(c, SAY_FILE_NOT_SAVED, text_of(s.file, "name"), text_of(s.file, "state"), text_of(s.file, "trouble"));
    else if (exit == EXIT_DONE && (before || on_its_way(c, text_of(s.file, "saved_to"))))
        exit = saved_again(c, &s.file, params);
    if (exit == EXIT_DONE && to_stdout(c))
        exit = pour(c, text_of(s.file, "saved_to"));
    else if (exit == EXIT_DONE && c->json)
        (void)say_json(json_incref(s.file));
    else if (exit == EXIT_DONE)
        say("%s", text_of(s.file, "saved_to"));
    json_decref(params);
    json_decref(s.file);
    return exit == EXIT_DONE ? say_flush(c) : exit;
}
