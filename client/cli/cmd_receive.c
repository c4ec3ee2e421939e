/* receive: prints what is new, or gives it to a command. A message counts as handed over only after stdout took it (or the command ended with
 * 0): then, and not before, the engine is told. Nothing is shown straight from an event; events only say that there is something to fetch. */
#include "cli.h"
#include "engine/caller.h"
#include "exec.h"
#include "field.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH_MESSAGES = 100, EXEC_MS = 15 * 60000, RETRY_FIRST_MS = 1000, RETRY_MAX_MS = 60000 };

typedef struct {
    cli *c;
    bool new_messages;              /* something may be there to fetch */
    size_t refused;                 /* by the command, in the last round */
    uint64_t retry_at_ms, retry_ms; /* when the refused are tried again; 0: nothing was refused */
    uint64_t sync;
    bool synced;
    json_t *kept;   /* an `error` event that the answer to sync may say again */
    json_t *coming; /* by id, files that were told of and may stand among what is to be fetched: true, or how they ended meanwhile */
} receiving;

/* What happened besides messages: on stderr for people, as it is with --json. */
static void event_say(const cli *c, json_t *event)
{
    static const struct {
        const char *event, *name, *more; /* $1 and $2 of the sentence */
        sentence say;
        const char *whose; /* only of these; NULL: any */
    } row[] = {
        { "accepted", "contact", "", SAY_CHAT_THEY_ACCEPTED },
        { "request", "from", "", SAY_NEWS_REQUEST },
        { "key-changed", "contact", "", SAY_NEWS_KEY },
        { "list-fork", "conversation", "", SAY_NEWS_FORK, "theirs" },
        { "list-fork", "conversation", "", SAY_NEWS_OWN_FORK, "own" },
        { "new-device", "contact", "device", SAY_NEWS_DEVICE },
        { "session-reset", "conversation", "", SAY_NEWS_RESET },
        { "quarantined", "reason", "count", SAY_NEWS_ASIDE },
        { "clock", "event", "offset_s", SAY_NEWS_CLOCK },
        { "error", "message", "", SAY_NEWS_ERROR },
    };
    const char *what = text_of(event, "event");
    if (strcmp(what, "file") == 0) { /* of files only what became of them; that they were offered is told as a message is */
        const char *state = text_of(event, "state");
        bool over = strcmp(state, "complete") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
        if (!json_is_true(json_object_get(event, "outgoing")) && over && c->json)
            (void)say_json(json_incref(event));
        else if (!json_is_true(json_object_get(event, "outgoing")) && over)
            say_message(c, event);
        return;
    }
    if (strcmp(what, "progress") == 0)
        return;
    if (c->json) {
        (void)say_json(json_incref(event));
        return;
    }
    if (strcmp(what, "connection") == 0)
        note(c, json_is_true(json_object_get(event, "online")) ? SAY_CONNECTED : SAY_DISCONNECTED, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char number[24];
        if (strcmp(what, row[i].event) == 0 && (!row[i].whose || strcmp(text_of(event, "whose"), row[i].whose) == 0))
            note(c, row[i].say, text_of(event, row[i].name), say_number(number, (long long)json_integer_value(json_object_get(event, row[i].more))),
                 NULL);
    }
}

/* Params of `receive` and `handed`: on behalf of our cursor. Steals. */
static json_t *with_cursor(const cli *c, json_t *params)
{
    if (params && c->args.given[OPT_CURSOR])
        json_object_set_new(params, "cursor", json_string(c->args.text[OPT_CURSOR]));
    return params;
}

static int handed_tell(cli *c, json_t *ids)
{
    json_t *answer = NULL;
    int exit = engine_ask(c, "handed", with_cursor(c, json_pack("{s:o}", "ids", ids)), -1, &answer);
    json_decref(answer);
    return exit;
}

/* Prints the batch, waits until stdout has it, then says so. */
static int batch_print(receiving *r, const json_t *messages)
{
    json_t *ids = json_array(), *m;
    size_t i;
    json_array_foreach(messages, i, m)
    {
        (void)json_object_del(r->coming, text_of(m, "id"));
        if (r->c->json)
            (void)say_json(json_incref(m));
        else
            say_message(r->c, m);
        json_array_append(ids, json_object_get(m, "id"));
    }
    int exit = say_flush(r->c);
    if (exit == EXIT_DONE)
        return handed_tell(r->c, ids);
    json_decref(ids);
    return exit;
}

static void refusal_note(const cli *c, int outcome, const json_t *m)
{
    char number[24];
    note(c, outcome == EXEC_TIMED_OUT ? SAY_EXEC_SLOW : SAY_EXEC_ENDED, text_of(m, "id"), say_number(number, outcome), NULL);
}

/* Gives the batch to the command, one by one. What it refuses stays, and the rest goes on; *runs is false once there is no such command. */
static int batch_exec(receiving *r, const json_t *messages, bool *runs)
{
    const cli *c = r->c;
    uint64_t limit = c->args.given[OPT_EXEC_TIMEOUT] ? c->args.number[OPT_EXEC_TIMEOUT] : EXEC_MS;
    json_t *m;
    size_t i;
    json_array_foreach(messages, i, m)
    {
        (void)json_object_del(r->coming, text_of(m, "id"));
        int outcome = exec_message(r->c, c->args.text[OPT_EXEC], limit, m);
        if (outcome == EXEC_STOPPED)
            return EXIT_DONE;
        if (outcome != 0) {
            r->refused++;
            refusal_note(c, outcome, m);
            *runs = outcome != EXEC_MISSING && outcome != EXEC_UNRUNNABLE;
            if (!*runs)
                return EXIT_DONE;
            continue;
        }
        int exit = handed_tell(r->c, json_pack("[O]", json_object_get(m, "id")));
        if (exit != EXIT_DONE)
            return exit;
    }
    return EXIT_DONE;
}

/* When what was refused is tried again: after a pause that doubles as long as nothing gets better. */
static void retry_plan(receiving *r)
{
    r->retry_ms = r->refused == 0 ? 0 : r->retry_ms == 0 ? RETRY_FIRST_MS : r->retry_ms * 2 < RETRY_MAX_MS ? r->retry_ms * 2 : RETRY_MAX_MS;
    r->retry_at_ms = r->refused ? env_mono_ms(env_system()) + r->retry_ms : 0;
}

/* Everything was fetched: what is left here was shown long ago, and now is over. */
static void coming_say(receiving *r)
{
    const char *id;
    json_t *event;
    json_object_foreach(r->coming, id, event) if (json_is_object(event)) event_say(r->c, event);
    (void)json_object_clear(r->coming);
}

/* One round: everything that is there and not handed over. `after` passes over what the command refused in this round. */
static int deliver(receiving *r)
{
    json_t *after = NULL;
    int exit = EXIT_DONE;
    bool more = true, runs = true;
    r->new_messages = false;
    r->refused = 0;
    while (more && runs && exit == EXIT_DONE) {
        json_t *messages = NULL;
        exit = engine_ask(r->c, "receive", with_cursor(r->c, json_pack("{s:i,s:O*}", "limit", BATCH_MESSAGES, "after", after)), -1, &messages);
        if (exit != EXIT_DONE)
            break;
        size_t n = json_array_size(messages);
        if (n > 0)
            exit = r->c->args.given[OPT_EXEC] ? batch_exec(r, messages, &runs) : batch_print(r, messages);
        more = n == BATCH_MESSAGES && !r->c->stopped;
        json_decref(after);
        after = r->refused ? json_incref(json_object_get(json_array_get(messages, n - 1), "id")) : NULL;
        json_decref(messages);
    }
    json_decref(after);
    coming_say(r);
    retry_plan(r);
    return exit == EXIT_DONE ? say_flush(r->c) : exit;
}

/* What was kept, unless it is what will be said anyway. */
static void kept_say(receiving *r, const char *unless)
{
    if (r->kept && strcmp(text_of(r->kept, "message"), unless) != 0)
        event_say(r->c, r->kept);
    json_decref(r->kept);
    r->kept = NULL;
}

static void error_keep(receiving *r, json_t *event)
{
    kept_say(r, text_of(event, "message"));
    r->kept = json_incref(event);
}

/* The relay's answer to sync. Without --follow a relay that is not there ends the command, after what was here already has been shown. */
static int synced(receiving *r, const caller_news *n)
{
    cli *c = r->c;
    r->synced = true;
    r->new_messages = true;
    engine_error why = n->error;
    bool online = n->body && json_is_true(json_object_get(n->body, "online"));
    if (n->body && !online)
        sentence_fill(&why, SAY_NO_RELAY, NULL, NULL, NULL);
    kept_say(r, online ? "" : why.message);
    if (online) {
        if (c->follows && isatty(STDERR_FILENO))
            note(c, SAY_FOLLOWING, NULL, NULL, NULL);
        return EXIT_DONE;
    }
    if (c->args.given[OPT_FOLLOW] && (why.exit == EXIT_UNREACHABLE || why.exit == EXIT_TIMEOUT)) {
        note_line(c, why.message);
        return EXIT_DONE;
    }
    int exit = deliver(r);
    return exit != EXIT_DONE ? exit : fail_why(c, &why);
}

/* How long to wait for news: until what was refused is due, at most timeout_ms (-1: no limit). *retry: that comes first. */
static int pause_ms(const receiving *r, int timeout_ms, bool *retry)
{
    uint64_t now = env_mono_ms(env_system());
    uint64_t left = r->retry_at_ms > now ? r->retry_at_ms - now : 0;
    *retry = r->retry_at_ms != 0 && (timeout_ms < 0 || left <= (uint64_t)timeout_ms);
    if (r->new_messages)
        return 0;
    return *retry ? (int)left : timeout_ms;
}

/* Whether there is something to fetch: what stands among the messages comes from there, and is shown once. */
static bool to_fetch(receiving *r, const json_t *event)
{
    static const char *const among[] = { "message", "gap", "notice", "waiting" };
    const char *what = text_of(event, "event"), *state = text_of(event, "state"), *id = text_of(event, "id");
    for (size_t i = 0; i < sizeof among / sizeof *among; i++)
        if (strcmp(what, among[i]) == 0)
            return true;
    if (strcmp(what, "file") != 0 || json_is_true(json_object_get(event, "outgoing")))
        return false;
    if (strcmp(state, "offered") == 0 || strcmp(state, "receiving") == 0)
        return json_object_set_new(r->coming, id, json_true()) == 0;
    return json_object_get(r->coming, id) && json_object_set(r->coming, id, (json_t *)event) == 0;
}

/* One piece of news; *over: the time is up, or the user wants to stop. */
static int step(receiving *r, int timeout_ms, bool *over)
{
    caller_news n;
    engine_error why = { 0 };
    int exit = EXIT_DONE;
    bool retry = false;
    caller_next(r->c->caller, pause_ms(r, timeout_ms, &retry), &n);
    switch (n.kind) {
    case CALLER_EVENT:
        if (to_fetch(r, n.body))
            r->new_messages = true;
        else if (!r->synced && strcmp(text_of(n.body, "event"), "error") == 0)
            error_keep(r, n.body);
        else
            event_say(r->c, n.body);
        if (!r->new_messages)
            exit = say_flush(r->c);
        break;
    case CALLER_REPLY:
        exit = n.ticket == r->sync ? synced(r, &n) : EXIT_DONE;
        break;
    case CALLER_STOPPED:
        *over = true;
        exit = stopped(r->c, &n, &why);
        exit = why.code && exit != EXIT_DONE && !r->c->interrupted ? fail_why(r->c, &why) : EXIT_DONE;
        break;
    case CALLER_NOTHING:
        *over = !r->new_messages && !retry;
        if (!*over)
            exit = deliver(r);
        break;
    case CALLER_READY:
        break;
    }
    json_decref(n.body);
    return exit;
}

static int receive_all(receiving *r)
{
    cli *c = r->c;
    engine_error why = { 0 };
    uint64_t subscribed = 0;
    char number[24];
    int exit = engine_reach(c);
    if (exit != EXIT_DONE)
        return exit;
    c->follows = c->args.given[OPT_FOLLOW];
    if (caller_begin(c->caller, "subscribe", NULL, &subscribed, &why) != EXIT_DONE ||
        caller_begin(c->caller, "sync", NULL, &r->sync, &why) != EXIT_DONE)
        return fail_why(c, &why);
    uint64_t start = env_mono_ms(env_system()), limit = (uint64_t)c->relay_ms;
    for (bool over = false, was_synced = false; exit == EXIT_DONE && !over;) {
        uint64_t now = env_mono_ms(env_system());
        if (r->synced && !was_synced) {
            start = now; /* --timeout counts from here */
            limit = c->args.number[OPT_TIMEOUT];
            was_synced = true;
        }
        uint64_t left = now - start >= limit ? 0 : limit - (now - start);
        exit = step(r, c->follows ? -1 : left > INT32_MAX ? INT32_MAX : (int)left, &over);
        if (over && !r->synced && exit == EXIT_DONE && !c->interrupted)
            return fail(c, SAY_RECEIVE_TIMEOUT, say_number(number, c->relay_ms / 1000), NULL, NULL);
    }
    if (c->interrupted && c->follows)
        return EXIT_DONE;
    if (exit == EXIT_DONE && r->refused)
        return fail(c, SAY_EXEC_REFUSED, NULL, NULL, NULL);
    return exit;
}

int run_receive(cli *c)
{
    receiving r = { .c = c, .coming = json_object() };
    int exit = receive_all(&r);
    kept_say(&r, "");
    json_decref(r.coming);
    return exit;
}
