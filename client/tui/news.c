/* What the engine says by itself, and the answers that concern more than one place. */
#include "chat.h"
#include "main_screen.h"
#include <stdlib.h>
#include <string.h>

static const char *word(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* --- answers ------------------------------------------------------------------------------------------------------------------------------- */

static void contacts_came(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    char *before = conversation_current(&c->list) ? strdup(conversation_current(&c->list)->name) : NULL;
    c->list_stale = false;
    if (!result)
        chat_why(c, error);
    else if (!conversations_load(&c->list, result))
        chat_say(c, true, "not enough memory");
    c->list_known |= result != NULL;
    if (result && c->wanted) {
        if (!conversation_find(&c->list, c->wanted))
            chat_say(c, true, "there is no contact called %s; /add LINK adds one", c->wanted);
        conversations_select(&c->list, c->wanted);
        free(c->wanted);
        c->wanted = NULL;
    }
    const conversation *now = conversation_current(&c->list);
    if (now && (!before || strcmp(before, now->name) != 0)) {
        char *early = before ? NULL : strdup(c->edit.text); /* typed before there was anybody to write to */
        chat_open(c);
        if (early && *early)
            (void)editor_insert(&c->edit, early, strlen(early));
        free(early);
    }
    free(before);
}

void news_contacts(chat *c)
{
    if (c->list_stale)
        return; /* already asked */
    c->list_stale = true;
    (void)ask_for(c, "contacts", NULL, contacts_came, NULL);
}

static void requests_came(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    if (!result) {
        chat_why(c, error);
        return;
    }
    json_decref(c->requests);
    c->requests = json_incref(result);
}

void news_requests(chat *c) { (void)ask_for(c, "requests", NULL, requests_came, NULL); }

static void me_came(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    if (!result) { /* without an account there is nothing to show */
        c->why = *error;
        c->exit = error->exit;
        c->over = true;
        return;
    }
    const char *relay = word(result, "relay"), *host = strstr(relay, "://");
    host = host ? host + 3 : relay;
    c->me = strdup(word(result, "name"));
    c->relay = strndup(host, strcspn(host, "/"));
    c->link = strdup(word(result, "link"));
}

static void status_came(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    (void)error; /* the next one comes soon */
    if (!result)
        return;
    c->online = json_is_true(json_object_get(result, "online"));
    c->queued = json_integer_value(json_object_get(result, "queued"));
}

void news_status(chat *c) { (void)ask_for(c, "status", NULL, status_came, NULL); }

/* An unreachable relay shows above, all the time. */
static void synced(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    if (!result && error->exit != EXIT_UNREACHABLE && error->exit != EXIT_TIMEOUT)
        chat_why(c, error);
    c->status_at = 0;
}

void news_failed(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    if (!result)
        chat_why(c, error);
}

void news_changed(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    const char *say = word(about, "say"), *open = word(about, "open");
    if (!result) {
        chat_why(c, error);
    } else if (json_is_true(json_object_get(about, "added"))) {
        open = word(result, "name");
        chat_say(c, false,
                 strcmp(word(result, "state"), "accepted") == 0 ? "%s is a contact now" : "%s was asked; what you write is sent once they accept",
                 open);
    } else {
        chat_say(c, false, "%s", say);
    }
    if (result && *open) {
        chat_leave(c);
        free(c->wanted);
        c->wanted = strdup(open);
        c->log_stale = true;
    }
    c->list_stale = false; /* what was asked before this is too old */
    news_contacts(c);
    news_requests(c);
    if (c->log_stale && c->screen == SCREEN_MAIN)
        chat_reload(c);
}

void news_begin(chat *c)
{
    (void)ask_for(c, "subscribe", NULL, news_failed, NULL);
    (void)ask_for(c, "whoami", NULL, me_came, NULL);
    news_contacts(c);
    news_requests(c);
    (void)ask_for(c, "sync", NULL, synced, NULL);
    c->status_at = 0;
}

/* --- events ---------------------------------------------------------------------------------------------------------------------------------------- */

static bool concerns_current(const chat *c, const json_t *event)
{
    const conversation *who = conversation_current(&c->list);
    return who && strcmp(who->name, word(event, "conversation")) == 0;
}

static void on_message(chat *c, const json_t *event)
{
    conversation *who = conversation_find(&c->list, word(event, "conversation"));
    measures m = main_measures(c);
    c->bell = true;
    if (!who) {
        news_contacts(c);
    } else if (concerns_current(c, event) && !c->log_loading) {
        if (!transcript_add(&c->log, event, (size_t)m.text_columns))
            chat_say(c, true, "not enough memory");
        (void)json_array_append(c->handed, json_object_get(event, "id"));
        if (c->read_at == UINT64_MAX)
            c->read_at = env_mono_ms(c->env) + READ_MS;
        if (c->screen != SCREEN_MAIN)
            who->unread++;
    } else if (concerns_current(c, event)) {
        c->log_stale = true;
    } else {
        who->unread++;
    }
}

static void on_receipt(chat *c, const json_t *event)
{
    c->status_at = 0;
    if (concerns_current(c, event) && !transcript_state(&c->log, word(event, "id"), word(event, "state")) && c->log.scroll == 0 && !c->log_loading)
        chat_reload(c); /* sent by another program on this profile */
}

static void on_conversation(chat *c, const json_t *event)
{
    if (concerns_current(c, event))
        chat_reload(c);
}

static void on_request(chat *c, const json_t *event)
{
    c->bell = true;
    chat_say(c, false, "%s wants to write to you: F2", word(event, "from"));
    news_requests(c);
    c->list_stale = false; /* a request under a known name changes that contact */
    news_contacts(c);
}

static void on_accepted(chat *c, const json_t *event)
{
    chat_say(c, false, "%s accepted", word(event, "contact"));
    c->list_stale = false;
    news_contacts(c);
}

static void on_key_changed(chat *c, const json_t *event)
{
    const char *name = *word(event, "contact") ? word(event, "contact") : word(event, "conversation");
    c->bell = true;
    chat_say(c, true, "! %s: the key has changed, or the relay lies. Nothing is sent until you decide", name);
    c->list_stale = false;
    news_contacts(c);
}

static void on_history_forked(chat *c, const json_t *event)
{
    c->bell = true;
    chat_say(c, true, "! %s: two different histories came from one device. Compare numbers: /verify", word(event, "conversation"));
    on_conversation(c, event);
}

static void on_online(chat *c, const json_t *event) { c->online = json_is_true(json_object_get(event, "online")); }
static void on_error(chat *c, const json_t *event) { chat_say(c, true, "%s", word(event, "message")); }

static void on_quarantined(chat *c, const json_t *event)
{
    long long n = (long long)json_integer_value(json_object_get(event, "count"));
    chat_say(c, true, "%lld message%s could not be opened (%s)", n, n == 1 ? "" : "s", word(event, "reason"));
}

static void on_clock(chat *c, const json_t *event)
{
    (void)event;
    chat_say(c, true, "this machine's clock is far off against the relay's. Set it");
}

void news_event(chat *c, const json_t *event)
{
    static const struct {
        const char *event;
        void (*take)(chat *c, const json_t *event);
    } row[] = { { "message", on_message },
                { "receipt", on_receipt },
                { "gap", on_conversation },
                { "notice", on_conversation },
                { "request", on_request },
                { "accepted", on_accepted },
                { "online", on_online },
                { "key-changed", on_key_changed },
                { "list-fork", on_key_changed },
                { "history-forked", on_history_forked },
                { "error", on_error },
                { "quarantined", on_quarantined },
                { "clock", on_clock } };
    c->dirty = true;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (strcmp(row[i].event, word(event, "event")) == 0)
            row[i].take(c, event);
}
