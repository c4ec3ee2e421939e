/* history, search, outbox: what the vault knows; no relay needed. */
#include "cli.h"
#include <string.h>

enum { PAGE_MESSAGES = 100, LIMIT_DEFAULT = 50 };

static void message_say(const cli *c, const json_t *m)
{
    if (c->json)
        (void)say_json(json_incref((json_t *)m));
    else
        say_message(c, m);
}

/* Fetches pages backwards in time into one array, oldest first, until `limit` messages are there or nothing is left. */
static int pages(cli *c, const char *name, uint64_t limit, json_t *all)
{
    char before[80] = "";
    if (c->args.given[OPT_BEFORE])
        snprintf(before, sizeof before, "%s", c->args.text[OPT_BEFORE]);
    for (uint64_t left = limit; left > 0;) {
        json_t *page = NULL;
        uint64_t want = left < PAGE_MESSAGES ? left : PAGE_MESSAGES;
        json_t *params = json_pack("{s:s,s:I,s:s*}", "name", name, "limit", (json_int_t)want, "before", *before ? before : NULL);
        int exit = engine_ask(c, "history", params, -1, &page);
        if (exit != EXIT_DONE)
            return exit;
        size_t n = json_array_size(page);
        const char *first = json_string_value(json_object_get(json_array_get(page, 0), "id"));
        snprintf(before, sizeof before, "%s", first ? first : "");
        for (size_t i = n; i > 0; i--)
            json_array_insert(all, 0, json_array_get(page, i - 1));
        json_decref(page);
        left = n < want || !*before ? 0 : left - n;
    }
    return EXIT_DONE;
}

static int messages_say(cli *c, const json_t *messages)
{
    size_t i;
    json_t *m;
    json_array_foreach(messages, i, m) message_say(c, m);
    return say_flush(c);
}

/* Found messages come newest first, so that a limit keeps those; people read downwards. */
static int found_say(cli *c, const json_t *messages)
{
    for (size_t i = json_array_size(messages); i > 0; i--)
        message_say(c, json_array_get(messages, i - 1));
    return say_flush(c);
}

static int find(cli *c, const char *method, json_t *params)
{
    json_t *found = NULL;
    int exit = engine_ask(c, method, params, -1, &found);
    if (exit == EXIT_DONE)
        exit = found_say(c, found);
    json_decref(found);
    return exit;
}

int run_history(cli *c)
{
    uint64_t limit = c->args.given[OPT_LIMIT] ? c->args.number[OPT_LIMIT] : LIMIT_DEFAULT;
    if (c->args.given[OPT_SEARCH])
        return find(c, "history",
                    json_pack("{s:s,s:s,s:I}", "name", c->args.operand[0], "search", c->args.text[OPT_SEARCH], "limit", (json_int_t)limit));
    json_t *all = json_array();
    if (!all)
        return fail(c, SAY_NO_MEMORY, NULL, NULL, NULL);
    int exit = pages(c, c->args.operand[0], limit, all);
    if (exit == EXIT_DONE)
        exit = messages_say(c, all);
    json_decref(all);
    return exit;
}

int run_search(cli *c)
{
    uint64_t limit = c->args.given[OPT_LIMIT] ? c->args.number[OPT_LIMIT] : LIMIT_DEFAULT;
    return find(c, "search", json_pack("{s:s,s:I}", "query", c->args.operand[0], "limit", (json_int_t)limit));
}

/* The engine keeps what the relay has until the other device has it; that is not waiting any more. */
static bool left_here(const json_t *o)
{
    const char *state = json_string_value(json_object_get(o, "state"));
    return !state || strcmp(state, "stored") != 0;
}

static void outbox_say(const cli *c, json_t *o)
{
    char at[20];
    const char *id = "", *to = "", *state = "", *made = "";
    if (c->json) {
        (void)say_object("outbox", json_incref(o));
        return;
    }
    (void)json_unpack(o, "{s?s,s?s,s?s,s?s}", "id", &id, "conversation", &to, "state", &state, "created_at", &made);
    say_time(at, made);
    say("%s  %-20s %-8s %s", at, to, state, id);
}

int run_outbox(cli *c)
{
    json_t *rows = NULL, *o;
    size_t i, waiting = 0;
    int exit = engine_ask(c, "outbox", NULL, -1, &rows);
    json_array_foreach(rows, i, o)
    {
        if (!left_here(o))
            continue;
        waiting++;
        outbox_say(c, o);
    }
    if (exit == EXIT_DONE && waiting == 0)
        note(c, SAY_NOTHING_WAITS, NULL, NULL, NULL);
    json_decref(rows);
    return exit == EXIT_DONE ? say_flush(c) : exit;
}
