/* contacts, add, rename, remove, block, unblock, requests, accept, reject: one call each, one line for what came of it. */
#include "cli.h"
#include "field.h"
#include "standing.h"
#include <stdlib.h>
#include <string.h>

/* Each object of an array as one JSON line, or through `line`. Releases the array. */
static int each(cli *c, json_t *array, void (*line)(const cli *c, const json_t *o))
{
    size_t i;
    json_t *o;
    json_array_foreach(array, i, o)
    {
        if (c->json)
            (void)say_json(json_incref(o));
        else
            line(c, o);
    }
    json_decref(array);
    return say_flush(c);
}

static void contact_line(const cli *c, const json_t *o)
{
    (void)c;
    say("%-20s %s", text_of(o, "name"), sentence_text(standing_of(o)->word));
}

int run_contacts(cli *c)
{
    json_t *contacts = NULL;
    int exit = engine_ask(c, "contacts", NULL, -1, &contacts);
    if (exit != EXIT_DONE)
        return exit;
    if (!c->json && json_array_size(contacts) == 0)
        note(c, SAY_NOBODY_YET, NULL, NULL, NULL);
    return each(c, contacts, contact_line);
}

/* Whether the person is also told what is known about the contact now, and what is not. */
typedef enum { OUTCOME_ONLY, WITH_STANDING } telling;

static void standing_note(const cli *c, const json_t *contact)
{
    char line[STANDING_ROOM];
    const standing *s = standing_of(contact);
    (void)standing_say(line, sizeof line, s, s->command, text_of(contact, "name"));
    note_line(c, line);
}

int untold(cli *c, const char *name, sentence outcome, engine_error *why)
{
    engine_error done, whole;
    sentence_fill(&done, outcome, name, NULL, NULL);
    sentence_fill(&whole, SAY_UNTOLD, done.message, why->message, NULL);
    memcpy(why->message, whole.message, sizeof why->message);
    return fail_why(c, why);
}

/* Says the contact object, or for people its name and the outcome, after the relay (and through it the other side) was told. Without a relay it is done
 * here all the same, and the rest goes out later. Releases the contact. */
static int contact_done(cli *c, json_t *contact, sentence outcome, telling told)
{
    engine_error why = { 0 };
    json_t *state = NULL;
    const char *name = *text_of(contact, "name") ? text_of(contact, "name") : c->args.operand[0];
    int exit = caller_call(c->caller, "sync", NULL, c->relay_ms, &state, &why);
    if (c->json)
        (void)say_object("contact", json_incref(contact));
    if (exit != EXIT_DONE)
        exit = untold(c, name, outcome, &why);
    else
        note(c, outcome, name, NULL, NULL);
    if (exit == EXIT_DONE && told == WITH_STANDING)
        standing_note(c, contact);
    json_decref(contact);
    json_decref(state);
    return exit == EXIT_DONE ? say_flush(c) : exit;
}

static int contact_call(cli *c, const char *method, json_t *params, sentence outcome, telling told)
{
    json_t *contact = NULL;
    int exit = engine_ask(c, method, params, c->relay_ms, &contact);
    return exit == EXIT_DONE ? contact_done(c, contact, outcome, told) : exit;
}

/* `add -` takes the link from stdin, where no process list shows it. */
static const char *link_read(char line[512])
{
    if (!fgets(line, 512, stdin))
        return NULL;
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

int run_add(cli *c)
{
    char line[512];
    const char *target = c->args.operand[0];
    if (strcmp(target, "-") == 0 && !(target = link_read(line)))
        return fail(c, SAY_ARG_LINK, NULL, NULL, NULL);
    json_t *contact = NULL;
    json_t *params = json_pack("{s:s,s:s*,s:s*}", "target", target, "as", c->args.text[OPT_AS], "text", c->args.text[OPT_TEXT]);
    int exit = engine_ask(c, "add", params, c->relay_ms, &contact);
    if (exit != EXIT_DONE)
        return exit;
    bool accepted = strcmp(text_of(contact, "state"), "accepted") == 0;
    return contact_done(c, contact, accepted ? SAY_IS_CONTACT : SAY_WAS_ASKED, WITH_STANDING);
}

static json_t *named(const cli *c) { return json_pack("{s:s}", "name", c->args.operand[0]); }

int run_rename(cli *c)
{
    return contact_call(c, "rename", json_pack("{s:s,s:s}", "name", c->args.operand[0], "to", c->args.operand[1]), SAY_WAS_RENAMED, OUTCOME_ONLY);
}
int run_remove(cli *c) { return contact_call(c, "remove", named(c), SAY_WAS_REMOVED, OUTCOME_ONLY); }
int run_block(cli *c) { return contact_call(c, "block", named(c), SAY_WAS_BLOCKED, OUTCOME_ONLY); }
int run_unblock(cli *c) { return contact_call(c, "unblock", named(c), SAY_WAS_UNBLOCKED, OUTCOME_ONLY); }
int run_trust(cli *c) { return contact_call(c, "trust", named(c), SAY_WAS_TRUSTED, WITH_STANDING); }
int run_untrust(cli *c) { return contact_call(c, "untrust", named(c), SAY_WAS_UNTRUSTED, WITH_STANDING); }

/* The request may be at the relay still: whoever types a name that they were told does not want to fetch it first. */
static int fetch_requests(cli *c)
{
    engine_error why = { 0 };
    json_t *state = NULL;
    int exit = engine_reach(c);
    if (exit == EXIT_DONE && caller_call(c->caller, "sync", NULL, c->relay_ms, &state, &why) != EXIT_DONE)
        note_line(c, why.message); /* then what is here already */
    json_decref(state);
    return exit;
}

int run_accept(cli *c)
{
    int exit = fetch_requests(c);
    if (exit != EXIT_DONE)
        return exit;
    json_t *params = json_pack("{s:s,s:s*}", "name", c->args.operand[0], "as", c->args.text[OPT_AS]);
    return contact_call(c, "accept", params, SAY_IS_CONTACT, WITH_STANDING);
}

int run_reject(cli *c)
{
    json_t *nothing = NULL;
    int exit = fetch_requests(c);
    if (exit == EXIT_DONE)
        exit = engine_ask(c, "reject", named(c), -1, &nothing);
    json_decref(nothing);
    if (exit != EXIT_DONE)
        return exit;
    if (c->json)
        (void)say_object("rejected", json_pack("{s:s}", "from", c->args.operand[0]));
    note(c, SAY_WAS_REJECTED, c->args.operand[0], NULL, NULL);
    return say_flush(c);
}

static void request_line(const cli *c, const json_t *o)
{
    char at[20];
    (void)c;
    say_time(at, text_of(o, "received_at"));
    say("%s  %-20s %s", at, text_of(o, "from"), text_of(o, "text"));
}

int run_requests(cli *c)
{
    json_t *requests = NULL;
    int exit = engine_sync(c);
    if (exit != EXIT_DONE && exit != EXIT_UNREACHABLE)
        return exit;
    int asked = engine_ask(c, "requests", NULL, -1, &requests);
    if (asked != EXIT_DONE)
        return asked;
    if (!c->json && json_array_size(requests) == 0)
        note(c, SAY_NO_REQUESTS, NULL, NULL, NULL);
    int said = each(c, requests, request_line);
    return said != EXIT_DONE ? said : exit;
}
