/* send: into the outbox in one call, then as far as --wait says. Whatever happens after the first call, the message is in the outbox. */
#include "base/limits.h"
#include "base/text.h"
#include "cli.h"
#include "engine/caller.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_STORED, WAIT_DELIVERED }; /* the places of the words in the option's row */

typedef struct {
    const char *to;
    char id[80];
    bool awaits_acceptance, key_changed;
    const char *state; /* queued, stored, delivered; failed: the relay will never take it */
} sending;

/* The text: the argument, or all of stdin without its last newline. NULL: said already. */
static char *text_read(cli *c)
{
    const char *given = c->args.operands > 1 ? c->args.operand[1] : "-";
    size_t room = TACET_TEXT_MAX_BYTES + 2, n = 0;
    char *text = calloc(1, room + 1);
    if (!text) {
        fail(c, SAY_NO_MEMORY, NULL, NULL, NULL);
    } else if (strcmp(given, "-") != 0) {
        n = strlen(given);
        memcpy(text, given, n < room ? n : room);
    } else {
        if (isatty(STDIN_FILENO))
            note(c, SAY_TYPE_TEXT, NULL, NULL, NULL);
        n = fread(text, 1, room, stdin);
        if (n > 0 && n < room && text[n - 1] == '\n')
            text[--n] = '\0';
    }
    engine_error why = { 0 };
    char limit[16];
    snprintf(limit, sizeof limit, "%d", TACET_TEXT_MAX_BYTES);
    if (text && ferror(stdin))
        sentence_fill(&why, SAY_IO, "stdin", strerror(errno), NULL);
    else if (text && n == 0)
        sentence_fill(&why, SAY_TEXT_EMPTY, NULL, NULL, NULL);
    else if (text && n > TACET_TEXT_MAX_BYTES)
        sentence_fill(&why, SAY_TEXT_LONG, limit, NULL, NULL);
    else if (text && !utf8_valid((const uint8_t *)text, n))
        sentence_fill(&why, SAY_TEXT_UTF8, NULL, NULL, NULL);
    if (!why.code)
        return text;
    fail_why(c, &why);
    free(text);
    return NULL;
}

static int queue(cli *c, sending *s, const char *text)
{
    uint8_t id[16];
    char hex[33];
    json_t *sent = NULL;
    env_random(env_system(), id, sizeof id);
    hex_encode(hex, id, sizeof id); /* our own name for it: asking twice sends once (docs/RPC.md) */
    bool delivered = c->args.given[OPT_WAIT] && c->args.number[OPT_WAIT] == WAIT_DELIVERED;
    json_t *params =
        json_pack("{s:s,s:s,s:s,s:b,s:s*}", "to", s->to, "text", text, "id", hex, "waits", delivered, "reply_to", c->args.text[OPT_REPLY]);
    int exit = engine_ask(c, "send", params, c->relay_ms, &sent);
    if (exit != EXIT_DONE)
        return exit;
    const char *named = json_string_value(json_object_get(sent, "id"));
    snprintf(s->id, sizeof s->id, "%s", named ? named : hex);
    s->awaits_acceptance = json_string_value(json_object_get(sent, "awaiting")) != NULL;
    s->key_changed = json_string_value(json_object_get(sent, "warning")) != NULL;
    json_decref(sent);
    return EXIT_DONE;
}

/* Takes note of what an event says about our message. EXIT_DONE; or trouble, with the message or with the whole engine. */
static int event_note(sending *s, json_t *event, engine_error *why)
{
    static const struct {
        const char *said, *state;
    } row[] = { { "stored", "stored" }, { "delivered", "delivered" }, { "read", "delivered" }, { "failed", "failed" } };
    const char *what = "", *id = NULL, *state = "", *code = "", *message = "", *with = NULL;
    int exit = EXIT_FAILED;
    (void)json_unpack(event, "{s?s,s?s,s?s,s?s,s?s,s?s,s?i}", "event", &what, "id", &id, "state", &state, "code", &code, "message", &message,
                      "conversation", &with, "exit", &exit);
    bool ours = id ? strcmp(id, s->id) == 0 : !with || strcmp(with, s->to) == 0;
    if (strcmp(what, "receipt") == 0 && id && ours && strcmp(s->state, "delivered") != 0)
        for (size_t i = 0; i < sizeof row / sizeof *row; i++)
            if (strcmp(row[i].said, state) == 0)
                s->state = row[i].state;
    if (strcmp(what, "error") != 0 || !ours)
        return EXIT_DONE;
    sentence_repeat(why, code, exit, message);
    return why->exit;
}

static bool reached(const cli *c, const sending *s)
{
    bool delivered = c->args.given[OPT_WAIT] && c->args.number[OPT_WAIT] == WAIT_DELIVERED;
    return strcmp(s->state, "delivered") == 0 || (!delivered && strcmp(s->state, "stored") == 0);
}

/* Waits until the message is where --wait wants it. An error that comes meanwhile is the answer; it leaves the message in the outbox. */
static int await(cli *c, sending *s, engine_error *why)
{
    uint64_t ticket = 0, start = env_mono_ms(env_system());
    uint64_t limit = c->args.given[OPT_TIMEOUT] ? c->args.number[OPT_TIMEOUT] : (uint64_t)c->relay_ms;
    int exit = caller_begin(c->caller, "sync", NULL, &ticket, why);
    while (exit == EXIT_DONE && !reached(c, s)) {
        uint64_t gone = env_mono_ms(env_system()) - start;
        caller_news n;
        caller_next(c->caller, gone >= limit ? 0 : (int)(limit - gone > INT32_MAX ? INT32_MAX : limit - gone), &n);
        if (n.kind == CALLER_EVENT) {
            exit = event_note(s, n.body, why);
        } else if (n.kind == CALLER_REPLY && n.ticket == ticket && !n.body) {
            *why = n.error;
            exit = n.error.exit;
        } else if (n.kind == CALLER_REPLY && n.ticket == ticket && !json_is_true(json_object_get(n.body, "online"))) {
            sentence_fill(why, SAY_NO_RELAY, NULL, NULL, NULL);
            exit = EXIT_UNREACHABLE;
        } else if (n.kind == CALLER_REPLY && n.ticket == ticket && strcmp(s->state, "queued") == 0) {
            json_decref(n.body); /* the relay is there and the message stays: it waits for somebody's decision */
            return EXIT_DONE;
        } else if (n.kind == CALLER_STOPPED) {
            exit = stopped(c, &n, why);
        } else if (n.kind == CALLER_NOTHING) {
            sentence_fill(why, SAY_TIMEOUT, NULL, NULL, NULL);
            exit = EXIT_TIMEOUT;
        }
        json_decref(n.body);
    }
    return exit;
}

static int outcome_say(cli *c, const sending *s, int exit, engine_error *why)
{
    bool queued = strcmp(s->state, "queued") == 0;
    if (c->json)
        (void)say_object("sent", json_pack("{s:s,s:s,s:s}", "id", s->id, "conversation", s->to, "state", s->state));
    if (exit != EXIT_DONE) {
        engine_error whole = *why;
        if (strcmp(s->state, "failed") != 0)
            sentence_fill(&whole, queued ? SAY_IN_OUTBOX : SAY_AT_RELAY, why->message, NULL, NULL);
        memcpy(why->message, whole.message, sizeof why->message);
        return fail_why(c, why);
    }
    if (queued)
        note(c, s->key_changed ? SAY_WAITS_KEY : s->awaits_acceptance ? SAY_WAITS_ACCEPT : SAY_WAITS, s->to, NULL, NULL);
    return say_flush(c);
}

int run_send(cli *c)
{
    sending s = { .to = c->args.operand[0], .state = "queued" };
    uint64_t subscribed = 0;
    engine_error why = { 0 };
    if (c->args.given[OPT_FILE] && c->args.operands < 2)
        return send_files(c, NULL, false);
    if (!c->args.given[OPT_FILE] && c->args.given[OPT_ALSO])
        return fail(c, SAY_ARG_ALSO, NULL, NULL, NULL);
    if (send_files_check(c) != EXIT_DONE)
        return c->failed;
    char *text = text_read(c);
    if (!text)
        return c->failed;
    int exit = engine_reach(c);
    if (exit == EXIT_DONE && (exit = caller_begin(c->caller, "subscribe", NULL, &subscribed, &why)) != EXIT_DONE)
        exit = fail_why(c, &why);
    if (exit == EXIT_DONE)
        exit = queue(c, &s, text);
    free(text);
    if (exit != EXIT_DONE)
        return exit;
    if (c->args.given[OPT_FILE]) /* all of it is in the outbox before anything is waited for */
        return send_files(c, s.id, s.awaits_acceptance || s.key_changed);
    exit = await(c, &s, &why);
    return outcome_say(c, &s, exit, &why);
}
