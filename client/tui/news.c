/* What the engine says by itself, and the answers that concern more than one place. */
#include "chat.h"
#include "field.h"
#include "main_screen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- answers ------------------------------------------------------------------------------------------------------------------------------- */

static void contacts_came(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    char *before = conversation_current(&c->list) ? strdup(conversation_current(&c->list)->name) : NULL;
    c->list_stale = false;
    if (!result)
        chat_why(c, error);
    else if (!conversations_load(&c->list, result))
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
    c->list_known |= result != NULL;
    if (result && c->wanted) {
        if (!conversation_find(&c->list, c->wanted))
            chat_tell(c, SAY_CHAT_NO_CONTACT, c->wanted, NULL);
        conversations_select(&c->list, c->wanted);
        free(c->wanted);
        c->wanted = NULL;
    }
    const conversation *now = conversation_current(&c->list);
    if (now && now->unread > 0 && chat_end_in_view(c)) { /* a file: it came with its page, the number comes with the list */
        c->unseen = true;
        chat_at_end(c);
    }
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

/* Requests are in the order of their names, which strangers choose: whoever comes must not slide under the cursor. The same account stays chosen. */
static void choice_keep(chat *c, const json_t *requests)
{
    const char *account = text_of(json_array_get(c->requests, c->selected), "account");
    size_t i = 0, n = json_array_size(requests);
    while (i < n && strcmp(account, text_of(json_array_get(requests, i), "account")) != 0)
        i++;
    c->unchosen = i == n;
    if (i < n)
        c->selected = i;
}

static void requests_came(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    if (!result) {
        chat_why(c, error);
        return;
    }
    if (c->screen == SCREEN_REQUESTS && !c->unchosen)
        choice_keep(c, result);
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
    const char *relay = text_of(result, "relay"), *host = strstr(relay, "://");
    host = host ? host + 3 : relay;
    c->me = strdup(text_of(result, "name"));
    c->relay = strndup(host, strcspn(host, "/"));
    c->link = strdup(text_of(result, "link"));
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
    const char *name = text_of(about, "name"), *open = text_of(about, "open");
    if (!result) {
        chat_why(c, error);
    } else if (json_is_true(json_object_get(about, "added"))) {
        open = text_of(result, "name");
        chat_tell(c, strcmp(text_of(result, "state"), "accepted") == 0 ? SAY_CHAT_ADDED : SAY_CHAT_ASKED, open, NULL);
    } else {
        chat_tell(c, (sentence)json_integer_value(json_object_get(about, "say")), name, NULL);
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
    return who && strcmp(who->name, text_of(event, "conversation")) == 0;
}

/* What came in for the conversation that is open. It is shown, and so read, when the end of the conversation is in view. */
static void on_own_message(chat *c, conversation *who, const json_t *event)
{
    measures m = main_measures(c);
    bool in_view = chat_end_in_view(c);
    if (c->log_loading || !c->log.newest)
        c->log_stale = true;
    else if (!transcript_add(&c->log, event, (size_t)m.text_columns))
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
    if (in_view && !c->log_loading) {
        (void)json_array_append(c->handed, json_object_get(event, "id"));
        if (c->read_at == UINT64_MAX)
            c->read_at = env_mono_ms(c->env) + READ_MS;
    } else {
        who->unread++;
        c->unseen = true;
    }
}

static void on_message(chat *c, const json_t *event)
{
    conversation *who = conversation_find(&c->list, text_of(event, "conversation"));
    c->bell = true;
    hook_message(&c->hook, event);
    if (!who)
        news_contacts(c);
    else if (concerns_current(c, event))
        on_own_message(c, who, event);
    else
        who->unread++;
}

static void on_receipt(chat *c, const json_t *event)
{
    c->status_at = 0;
    if (concerns_current(c, event) && !transcript_state(&c->log, text_of(event, "id"), text_of(event, "state")) && c->log.scroll == 0 &&
        !c->log_loading)
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
    chat_tell(c, SAY_CHAT_REQUEST, text_of(event, "from"), NULL);
    news_requests(c);
    c->list_stale = false; /* a request under a known name changes that contact */
    news_contacts(c);
}

static void on_accepted(chat *c, const json_t *event)
{
    chat_tell(c, SAY_CHAT_THEY_ACCEPTED, text_of(event, "contact"), NULL);
    c->list_stale = false;
    news_contacts(c);
}

static void on_key_changed(chat *c, const json_t *event)
{
    const char *name = *text_of(event, "contact") ? text_of(event, "contact") : text_of(event, "conversation");
    c->bell = true;
    chat_tell(c, SAY_CHAT_KEY_CHANGED, name, NULL);
    c->list_stale = false;
    news_contacts(c);
}

static void on_list_forked(chat *c, const json_t *event)
{
    if (strcmp(text_of(event, "whose"), "own") == 0)
        chat_tell(c, SAY_NEWS_OWN_FORK, text_of(event, "conversation"), NULL);
    else
        on_key_changed(c, event);
}

static void on_history_forked(chat *c, const json_t *event)
{
    c->bell = true;
    chat_tell(c, SAY_CHAT_HISTORY_FORKED, text_of(event, "conversation"), NULL);
    on_conversation(c, event);
}

static void on_online(chat *c, const json_t *event) { c->online = json_is_true(json_object_get(event, "online")); }
static void on_error(chat *c, const json_t *event)
{
    engine_error said = { .code = "error", .exit = EXIT_FAILED };
    (void)snprintf(said.message, sizeof said.message, "%s", text_of(event, "message"));
    chat_why(c, &said);
}

static void on_quarantined(chat *c, const json_t *event)
{
    char many[24];
    (void)snprintf(many, sizeof many, "%lld", (long long)json_integer_value(json_object_get(event, "count")));
    chat_tell(c, SAY_CHAT_QUARANTINED, many, text_of(event, "reason"));
}

static void on_clock(chat *c, const json_t *event)
{
    (void)event;
    chat_tell(c, SAY_CHAT_CLOCK, NULL, NULL);
}

static void on_session_reset(chat *c, const json_t *event) { chat_tell(c, SAY_CHAT_SESSION_RESET, text_of(event, "conversation"), NULL); }
static void on_new_device(chat *c, const json_t *event)
{
    chat_tell(c, SAY_CHAT_NEW_DEVICE, text_of(event, "contact"), NULL);
    on_conversation(c, event);
}

/* A file that is there moves on; a new one comes with its page, and in another conversation with the number of what is unread there. */
static void on_file(chat *c, const json_t *event)
{
    bool mine = concerns_current(c, event), offer = strcmp(text_of(event, "event"), "file") == 0;
    if ((mine && transcript_file(&c->log, event)) || !offer)
        return;
    if (mine)
        chat_reload(c);
    if (json_is_true(json_object_get(event, "outgoing")))
        return;
    c->bell |= strcmp(text_of(event, "state"), "offered") == 0 || strcmp(text_of(event, "state"), "receiving") == 0;
    c->list_stale = false;
    news_contacts(c);
}

/* Events were missed, or what was given to another program may be had again. */
static void on_waiting(chat *c, const json_t *event)
{
    (void)event;
    c->list_stale = false;
    news_contacts(c);
    news_requests(c);
    chat_reload(c);
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
                { "waiting", on_waiting },
                { "request", on_request },
                { "accepted", on_accepted },
                { "connection", on_online },
                { "session-reset", on_session_reset },
                { "new-device", on_new_device },
                { "file", on_file },
                { "progress", on_file },
                { "key-changed", on_key_changed },
                { "list-fork", on_list_forked },
                { "history-forked", on_history_forked },
                { "error", on_error },
                { "quarantined", on_quarantined },
                { "clock", on_clock } };
    c->dirty = true;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (strcmp(row[i].event, text_of(event, "event")) == 0)
            row[i].take(c, event);
}
