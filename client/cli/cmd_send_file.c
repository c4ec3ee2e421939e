/* send --file: each path is handed to the engine in one call, then all of them are waited for. Whatever happens after that call, the file is in the
 * outbox: this process, or any later one that reaches the relay, carries on with it. */
#include "base/limits.h"
#include "base/text.h"
#include "cli.h"
#include "field.h"
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_DELIVERED = 1, RECEIVERS_MAX = TACET_BLOB_RECEIVERS_MAX, CONTENT_MAX_BYTES = 16 * 1024 * 1024 };

typedef struct {
    char id[33], to[80];
    const char *path; /* as typed; NULL: the text that goes with the files */
    const char *state;
    uint64_t size;
    bool waits; /* for acceptance, or a decision about a key */
} sent_file;

typedef struct {
    cli *c;
    sent_file *file;
    size_t count;
    progress bar;
    engine_error why;
} batch;

/* --- handing over ------------------------------------------------------------------------------------------------------------------------------ */
static json_t *receivers(const cli *c)
{
    json_t *to = json_array();
    json_array_append_new(to, json_string(c->args.operand[0]));
    for (int i = 0; i < c->args.texts_count; i++)
        if (c->args.texts[i].id == OPT_ALSO)
            json_array_append_new(to, json_string(c->args.texts[i].text));
    return to;
}

/* stdin goes into the vault piece by piece, and from there to the relay: nothing of it lies anywhere in the clear. NULL: said already. */
static char *stdin_stage(cli *c)
{
    uint8_t *piece = malloc(TACET_CHUNK_PLAIN_BYTES);
    char *stage = NULL, *text = malloc(sodium_base64_ENCODED_LEN(TACET_CHUNK_PLAIN_BYTES, sodium_base64_VARIANT_ORIGINAL));
    bool failed = !piece || !text;
    size_t n = TACET_CHUNK_PLAIN_BYTES, all = 0;
    while (!failed && (n == TACET_CHUNK_PLAIN_BYTES || !stage)) {
        json_t *answer = NULL;
        n = fread(piece, 1, TACET_CHUNK_PLAIN_BYTES, stdin);
        all += n;
        if (n == 0 && stage)
            break;
        if (ferror(stdin) || all > CONTENT_MAX_BYTES) {
            fail(c, ferror(stdin) ? SAY_STDIN_UNREADABLE : SAY_STDIN_LARGE, strerror(errno), NULL, NULL);
            failed = true;
            break;
        }
        sodium_bin2base64(text, sodium_base64_ENCODED_LEN(TACET_CHUNK_PLAIN_BYTES, sodium_base64_VARIANT_ORIGINAL), piece, n,
                          sodium_base64_VARIANT_ORIGINAL);
        failed = engine_ask(c, "stage", json_pack("{s:s,s:s*}", "content", text, "stage", stage), c->relay_ms, &answer) != EXIT_DONE;
        free(stage);
        stage = failed ? NULL : strdup(text_of(answer, "stage"));
        json_decref(answer);
    }
    if (piece)
        sodium_memzero(piece, TACET_CHUNK_PLAIN_BYTES);
    free(piece);
    free(text);
    if (failed) {
        free(stage);
        return NULL;
    }
    return stage;
}

static int path_fail(cli *c, const char *path)
{
    return fail(c, errno == ENOENT ? SAY_PATH_MISSING : SAY_PATH_UNREADABLE, path, strerror(errno), NULL);
}

static int params_for(cli *c, const char *path, json_t **out)
{
    uint8_t id[16];
    char hex[33], whole[PATH_MAX];
    engine_error why;
    env_random(env_system(), id, sizeof id);
    hex_encode(hex, id, sizeof id); /* our own name for it: asking twice sends once (docs/RPC.md) */
    bool delivered = c->args.given[OPT_WAIT] && c->args.number[OPT_WAIT] == WAIT_DELIVERED;
    json_t *params = json_pack("{s:o,s:s,s:b,s:s*,s:s*}", "to", receivers(c), "id", hex, "waits", delivered, "reply_to", c->args.text[OPT_REPLY],
                               "name", c->args.text[OPT_NAME]);
    char *stage = NULL;
    if (strcmp(path, "-") == 0) {
        if (!c->args.given[OPT_NAME]) {
            json_decref(params);
            return fail(c, SAY_ARG_STDIN_NAME, NULL, NULL, NULL);
        }
        stage = stdin_stage(c);
        if (!stage) {
            json_decref(params);
            return c->failed;
        }
        json_object_set_new(params, "stage", json_string(stage));
        free(stage);
    } else if (!realpath(path, whole)) {
        json_decref(params);
        return path_fail(c, path);
    } else if (json_object_set_new(params, "path", json_string(whole)) != 0) {
        json_decref(params);
        sentence_fill(&why, SAY_PATH_UTF8, NULL, NULL, NULL);
        return fail_why(c, &why);
    } else {
        if (!c->args.given[OPT_NAME]) { /* the name that was typed, not where a link leads */
            const char *slash = strrchr(path, '/');
            const char *last = slash ? slash + 1 : path;
            if (*last && strcmp(last, ".") != 0 && strcmp(last, "..") != 0)
                json_object_set_new(params, "name", json_string(last));
        }
    }
    *out = params;
    return EXIT_DONE;
}

/* Makes room for `more` at the end. */
static bool reserve(batch *b, size_t more)
{
    sent_file *grown = realloc(b->file, (b->count + more) * sizeof *grown);
    if (!grown) {
        (void)fail(b->c, SAY_FILES_MEMORY, NULL, NULL, NULL);
        return false;
    }
    b->file = grown;
    return true;
}

static int add_text(batch *b, const char *id, bool waits)
{
    if (!reserve(b, 1))
        return b->c->failed;
    sent_file *f = &b->file[b->count++];
    *f = (sent_file){ .state = "queued", .waits = waits };
    snprintf(f->id, sizeof f->id, "%s", id);
    snprintf(f->to, sizeof f->to, "%s", b->c->args.operand[0]);
    return EXIT_DONE;
}

static int hand_over(batch *b, const char *path)
{
    char skipped[24];
    json_t *params = NULL, *sent = NULL, *one;
    size_t i;
    int exit = params_for(b->c, path, &params);
    if (exit == EXIT_DONE)
        exit = engine_ask(b->c, "send_file", params, -1, &sent);
    if (exit != EXIT_DONE)
        return exit;
    if (!reserve(b, json_array_size(sent))) {
        json_decref(sent);
        return b->c->failed;
    }
    json_array_foreach(sent, i, one)
    {
        sent_file *f = &b->file[b->count++];
        const char *state = text_of(one, "state");
        *f = (sent_file){ .path = path, .state = "queued", .waits = strcmp(state, "waiting") == 0 || strcmp(state, "held") == 0 };
        snprintf(f->id, sizeof f->id, "%s", text_of(one, "id"));
        snprintf(f->to, sizeof f->to, "%s", text_of(one, "conversation"));
        if (i == 0 && json_integer_value(json_object_get(one, "skipped")) > 0)
            note(b->c, SAY_FILE_SKIPPED, path, say_number(skipped, (long long)json_integer_value(json_object_get(one, "skipped"))), NULL);
    }
    json_decref(sent);
    return EXIT_DONE;
}

/* --- waiting ---------------------------------------------------------------------------------------------------------------------------------------- */
static sent_file *file_of(batch *b, const json_t *event)
{
    const char *id = text_of(event, "id");
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->file[i].id, id) == 0)
            return &b->file[i];
    return NULL;
}

static int event_note(batch *b, json_t *event)
{
    static const char *const known[] = { "stored", "delivered", "failed" };
    const char *what = text_of(event, "event"), *state = text_of(event, "state");
    sent_file *f = file_of(b, event);
    if (!f)
        return EXIT_DONE;
    if (strcmp(what, "file") == 0)
        f->size = (uint64_t)json_integer_value(json_object_get(event, "size"));
    if (strcmp(what, "progress") == 0 && f->path)
        progress_show(&b->bar, b->c, event, strcmp(f->path, "-") == 0 ? b->c->args.text[OPT_NAME] : f->path, f->size);
    for (size_t i = 0; strcmp(what, "receipt") == 0 && i < sizeof known / sizeof *known; i++)
        if (strcmp(state, known[i]) == 0 && strcmp(f->state, "delivered") != 0)
            f->state = known[i];
    if (strcmp(what, "error") != 0)
        return EXIT_DONE;
    sentence_repeat(&b->why, text_of(event, "code"), (int)json_integer_value(json_object_get(event, "exit")), text_of(event, "message"));
    return b->why.exit;
}

static bool reached(const batch *b)
{
    bool delivered = b->c->args.given[OPT_WAIT] && b->c->args.number[OPT_WAIT] == WAIT_DELIVERED;
    for (size_t i = 0; i < b->count; i++) {
        const sent_file *f = &b->file[i];
        if (!f->waits && strcmp(f->state, "delivered") != 0 && (delivered || strcmp(f->state, "stored") != 0) && strcmp(f->state, "failed") != 0)
            return false;
    }
    return true;
}

static int await(batch *b)
{
    cli *c = b->c;
    uint64_t ticket = 0, start = env_mono_ms(env_system());
    int exit = caller_begin(c->caller, "sync", NULL, &ticket, &b->why);
    while (exit == EXIT_DONE && !reached(b)) {
        uint64_t gone = env_mono_ms(env_system()) - start, limit = c->args.number[OPT_TIMEOUT];
        bool limited = c->args.given[OPT_TIMEOUT];
        caller_news n;
        caller_next(c->caller, !limited ? -1 : gone >= limit ? 0 : (int)(limit - gone > INT32_MAX ? INT32_MAX : limit - gone), &n);
        if (n.kind == CALLER_EVENT) {
            exit = event_note(b, n.body);
        } else if (n.kind == CALLER_REPLY && n.ticket == ticket && !n.body) {
            b->why = n.error;
            exit = n.error.exit;
        } else if (n.kind == CALLER_STOPPED) {
            exit = stopped(c, &n, &b->why);
        } else if (n.kind == CALLER_NOTHING) {
            sentence_fill(&b->why, SAY_TIMEOUT, NULL, NULL, NULL);
            exit = EXIT_TIMEOUT;
        }
        json_decref(n.body);
    }
    progress_end(&b->bar);
    return exit;
}

static void one_say(batch *b, const sent_file *f, int exit)
{
    cli *c = b->c;
    const char *what = !f->path ? "the message" : strcmp(f->path, "-") == 0 ? c->args.text[OPT_NAME] : f->path;
    if (c->json)
        (void)say_object("sent", json_pack("{s:s,s:s,s:s}", "id", f->id, "conversation", f->to, "state", f->state));
    else if (f->waits)
        note(c, SAY_FILE_WAITS, what, f->to, NULL);
    else if (exit == EXIT_DONE && f->path)
        note(c, strcmp(f->state, "delivered") == 0 ? SAY_FILE_ARRIVED : SAY_FILE_STORED, what, f->to, NULL);
}

static int outcome_say(batch *b, int exit)
{
    cli *c = b->c;
    for (size_t i = 0; exit == EXIT_DONE && i < b->count; i++)
        if (strcmp(b->file[i].state, "failed") == 0) { /* somebody cancelled it; what goes wrong by itself comes with an error */
            sentence_fill(&b->why, SAY_SEND_CANCELLED, b->file[i].path ? b->file[i].path : "the message", NULL, NULL);
            exit = b->why.exit;
        }
    for (size_t i = 0; i < b->count; i++)
        one_say(b, &b->file[i], exit);
    return exit == EXIT_DONE ? say_flush(c) : fail_why(c, &b->why);
}

int send_files_check(cli *c)
{
    for (int i = 0; i < c->args.texts_count; i++)
        if (c->args.texts[i].id == OPT_FILE && strcmp(c->args.texts[i].text, "-") != 0 && access(c->args.texts[i].text, R_OK) != 0)
            return path_fail(c, c->args.texts[i].text);
    return EXIT_DONE;
}

int send_files(cli *c, const char *text_id, bool text_waits)
{
    batch b = { .c = c };
    uint64_t subscribed = 0;
    int exit = engine_reach(c);
    if (exit == EXIT_DONE && !text_id && (exit = caller_begin(c->caller, "subscribe", NULL, &subscribed, &b.why)) != EXIT_DONE)
        exit = fail_why(c, &b.why);
    if (exit == EXIT_DONE && text_id)
        exit = add_text(&b, text_id, text_waits);
    for (int i = 0; exit == EXIT_DONE && i < c->args.texts_count; i++)
        if (c->args.texts[i].id == OPT_FILE)
            exit = hand_over(&b, c->args.texts[i].text);
    if (exit == EXIT_DONE)
        exit = outcome_say(&b, await(&b));
    free(b.file);
    return exit;
}
