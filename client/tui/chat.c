/* The loop: keys, signals, news and time, then one drawing for all that happened. Nothing here waits for the engine, so a key shows at once whatever
 * the engine is doing. */
#include "chat.h"
#include "base/text.h"
#include "commands.h"
#include "draw.h"
#include "keys.h"
#include "main_screen.h"
#include "screens.h"
#include "terminal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEWS_IN_A_ROW = 200, KEYS_IN_A_ROW = 200, LEAVE_MS = 2000 };

/* --- saying ------------------------------------------------------------------------------------------------------------------------------------ */

void chat_why(chat *c, const engine_error *why)
{
    (void)snprintf(c->status, sizeof c->status, "%s", why->message);
    c->status_bad = why->exit != EXIT_DONE;
    c->dirty = true;
}

void chat_tell(chat *c, sentence which, const char *one, const char *two)
{
    engine_error said;
    sentence_fill(&said, which, one, two, NULL);
    chat_why(c, &said);
}

void chat_hint(chat *c, const char *words)
{
    (void)snprintf(c->status, sizeof c->status, "%s", words);
    c->status_bad = false;
    c->dirty = true;
}

void chat_show(chat *c, screen s)
{
    c->screen = s;
    c->top = c->selected = 0;
    c->unchosen = false;
    if (s == SCREEN_MAIN && c->read_at == UINT64_MAX)
        c->read_at = env_mono_ms(c->env);
}

/* --- one conversation ---------------------------------------------------------------------------------------------------------------------------- */

/* Which page an answer is: about = {name, asked, kind}. The conversation may have been left meanwhile. */
static bool page_is_current(const chat *c, json_t *about)
{
    const conversation *who = conversation_current(&c->list);
    return who && strcmp(who->name, json_string_value(json_object_get(about, "name"))) == 0;
}

/* The oldest, the newest entry that the vault has under its id. */
static const char *end_id(const chat *c, bool newest)
{
    for (size_t i = 0; i < c->log.count; i++) {
        const entry *e = &c->log.item[newest ? c->log.count - 1 - i : i];
        if (*e->id)
            return e->id;
    }
    return NULL;
}

static void page_came(chat *c, json_t *result, const engine_error *error, json_t *about);

static void page_ask(chat *c, page_kind kind, const char *before, const char *from, size_t limit)
{
    const conversation *who = conversation_current(&c->list);
    if (!who || c->log_loading)
        return;
    json_int_t asked = (json_int_t)limit;
    json_t *params = json_pack("{s:s,s:I,s:s*,s:s*}", "name", who->name, "limit", asked, "before", before, "from", from);
    c->log_loading = ask_for(c, "history", params, page_came, json_pack("{s:s,s:I,s:i}", "name", who->name, "asked", asked, "kind", (int)kind));
}

/* Brings what a search found into view. Where it is not loaded, the page that begins with it is, and then the one before. */
static void reveal(chat *c)
{
    const entry *e = c->reveal ? transcript_find(&c->log, c->reveal) : NULL;
    measures m = main_measures(c);
    if (!c->revealing || c->log_loading)
        return;
    if (!e) {
        page_ask(c, PAGE_MIDDLE, NULL, c->reveal, PAGE_MESSAGES);
        return;
    }
    transcript_reveal(&c->log, e, (size_t)m.text_columns, (size_t)m.log_rows);
    if (e == c->log.item && !c->log.whole)
        chat_older(c); /* and then looks once more */
    else
        c->revealing = false;
}

/* Everything that was not read and came in is shown now: the last `unread` incoming ones. */
static void note_shown(chat *c, const conversation *who)
{
    long long left = who->unread;
    for (size_t i = c->log.count; i-- > 0 && left > 0;)
        if (!c->log.item[i].outgoing && (c->log.item[i].kind == ENTRY_TEXT || c->log.item[i].kind == ENTRY_FILE)) {
            (void)json_array_append_new(c->handed, json_string(c->log.item[i].id));
            left--;
        }
}

static void page_came(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    conversation *who = conversation_current(&c->list);
    size_t asked = (size_t)json_integer_value(json_object_get(about, "asked"));
    page_kind kind = (page_kind)json_integer_value(json_object_get(about, "kind"));
    measures m = main_measures(c);
    if (!page_is_current(c, about))
        return;
    c->log_loading = false;
    if (!result) {
        c->revealing = false;
        chat_why(c, error);
        return;
    }
    if (!transcript_page(&c->log, kind, result, asked, (size_t)m.text_columns))
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
    if (kind == PAGE_NEWEST) {
        note_shown(c, who);
        if (who->unread > 0)
            c->read_at = env_mono_ms(c->env);
        if (c->log_stale)
            chat_reload(c);
    }
    reveal(c);
}

void chat_older(chat *c)
{
    if (!c->log.whole && end_id(c, false))
        page_ask(c, PAGE_OLDER, end_id(c, false), NULL, PAGE_MESSAGES);
}

void chat_newer(chat *c)
{
    if (!c->log.newest && end_id(c, true))
        page_ask(c, PAGE_NEWER, NULL, end_id(c, true), PAGE_MESSAGES);
}

/* Only at the lower end: whoever reads further up is not disturbed, and gets the newest when back there. */
void chat_reload(chat *c)
{
    c->log_stale = c->log.scroll > 0 || c->log_loading || (!c->log.newest && c->log.count > 0);
    if (!c->log_stale)
        page_ask(c, PAGE_NEWEST, NULL, NULL, c->log.count > PAGE_MESSAGES ? c->log.count : PAGE_MESSAGES);
}

bool chat_end_in_view(const chat *c) { return c->screen == SCREEN_MAIN && c->log.scroll == 0 && c->log.newest && !c->log_loading; }

void chat_at_end(chat *c)
{
    conversation *who = conversation_current(&c->list);
    if (!c->log.newest || c->log_stale) {
        c->log_stale = c->log_loading;
        page_ask(c, PAGE_NEWEST, NULL, NULL, PAGE_MESSAGES);
    } else if (who && c->unseen) {
        note_shown(c, who);
        c->read_at = env_mono_ms(c->env);
    }
    c->unseen = false;
}

void chat_open(chat *c)
{
    const conversation *who = conversation_current(&c->list);
    transcript_clear(&c->log);
    c->log_loading = c->log_stale = c->unseen = false;
    if (!who)
        return;
    editor_set(&c->edit, who->draft);
    c->edit.changed = false;
    size_t unread = who->unread < TRANSCRIPT_MAX ? (size_t)who->unread : TRANSCRIPT_MAX;
    if (c->revealing)
        reveal(c);
    else
        page_ask(c, PAGE_NEWEST, NULL, NULL, unread > PAGE_MESSAGES ? unread : PAGE_MESSAGES);
}

static void draft_put(chat *c, conversation *who, const char *text)
{
    if (!conversation_draft(who, text))
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
    (void)ask_for(c, "draft", json_pack("{s:s,s:s}", "name", who->name, "text", text), news_failed, NULL);
}

static void draft_keep(chat *c)
{
    conversation *who = conversation_current(&c->list);
    c->draft_at = UINT64_MAX;
    if (who && strcmp(who->draft, c->edit.text) != 0)
        draft_put(c, who, c->edit.text);
}

void chat_hand_over(chat *c)
{
    if (json_array_size(c->handed) == 0)
        return;
    (void)ask_for(c, "handed", json_pack("{s:o}", "ids", c->handed), news_failed, NULL);
    c->handed = json_array();
}

static void read_now(chat *c)
{
    conversation *who = conversation_current(&c->list);
    c->read_at = UINT64_MAX;
    if (!who || c->screen != SCREEN_MAIN)
        return;
    who->unread = 0;
    (void)ask_for(c, "read", json_pack("{s:s}", "name", who->name), news_failed, NULL);
}

void chat_leave(chat *c)
{
    draft_keep(c);
    chat_hand_over(c);
    if (c->read_at != UINT64_MAX)
        read_now(c);
}

void chat_select(chat *c, const char *name)
{
    const conversation *who = conversation_current(&c->list);
    if (who && strcmp(who->name, name) == 0) {
        reveal(c);
        return;
    }
    chat_leave(c);
    conversations_select(&c->list, name);
    chat_open(c);
}

/* --- sending -------------------------------------------------------------------------------------------------------------------------------------- */

/* What could not be sent goes back to where it was written, unless something else was begun there; Up brings it back anyhow. */
static void give_back(chat *c, const char *name, const char *typed)
{
    conversation *who = conversation_find(&c->list, name);
    if (who && who != conversation_current(&c->list) && !*who->draft)
        draft_put(c, who, typed);
    else if (who && who == conversation_current(&c->list) && c->edit.bytes == 0)
        editor_set(&c->edit, typed);
}

/* about = {id, to, typed}. */
static void sent(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    const char *id = json_string_value(json_object_get(about, "id")), *state = json_string_value(json_object_get(result, "state"));
    if (result) {
        if (state && !transcript_state(&c->log, id, state) && !c->log.newest)
            chat_at_end(c);
        c->status_at = 0;
        return;
    }
    transcript_drop(&c->log, id);
    give_back(c, json_string_value(json_object_get(about, "to")), json_string_value(json_object_get(about, "typed")));
    chat_why(c, error);
}

static void send_text(chat *c, const conversation *who, const char *typed)
{
    const char *text = typed[0] == '/' ? typed + 1 : typed;
    uint8_t random[16];
    char id[33], at[40];
    time_t now = (time_t)(env_now_ms(c->env) / 1000);
    struct tm utc;
    measures m = main_measures(c);
    env_random(c->env, random, sizeof random);
    hex_encode(id, random, sizeof random);
    if (!gmtime_r(&now, &utc) || strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        at[0] = '\0';
    json_t *message =
        json_pack("{s:s,s:s,s:s,s:s,s:b,s:s}", "event", "message", "id", id, "text", text, "sent_at", at, "outgoing", 1, "state", "waiting");
    if (!message || (c->log.newest && !transcript_add(&c->log, message, (size_t)m.text_columns)))
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
    json_decref(message);
    (void)ask_for(c, "send", json_pack("{s:s,s:s,s:s}", "to", who->name, "text", text, "id", id), sent,
                  json_pack("{s:s,s:s,s:s}", "id", id, "to", who->name, "typed", typed));
    c->log.scroll = 0;
    chat_at_end(c); /* after the message, so that a page that is asked for has it */
}

/* Two slashes begin a message with one. */
static bool is_command(const char *text) { return text[0] == '/' && text[1] != '/'; }

void chat_send(chat *c)
{
    const conversation *who = conversation_current(&c->list);
    bool command = is_command(c->edit.text);
    if (c->edit.text[strspn(c->edit.text, " \n")] == '\0')
        return;
    if (!command && !who) {
        chat_tell(c, SAY_CHAT_NOBODY, NULL, NULL);
        return;
    }
    if (!command && who->trust->stops) {
        chat_tell(c, SAY_CHAT_STOPPED, who->name, sentence_text(who->trust->chat));
        return;
    }
    char *typed = strdup(c->edit.text);
    if (!typed) {
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
        return;
    }
    editor_done(&c->edit); /* before anything happens: it may open another conversation and its draft, or bring back what failed */
    if (!command)
        send_text(c, who, typed);
    else if (!command_run(c, typed))
        editor_set(&c->edit, typed);
    free(typed);
}

/* --- time ---------------------------------------------------------------------------------------------------------------------------------------------- */

static void on_time(chat *c)
{
    uint64_t now = env_mono_ms(c->env);
    if (now >= c->paste_at)
        paste_end(c);
    if (c->edit.changed) {
        c->edit.changed = false;
        c->draft_at = now + DRAFT_MS;
    }
    if (now >= c->draft_at) {
        c->draft_at = UINT64_MAX;
        if (!is_command(c->edit.text)) /* a command is no draft */
            draft_keep(c);
    }
    if (now >= c->read_at)
        read_now(c);
    if (json_array_size(c->handed) > HANDED_AT_ONCE)
        chat_hand_over(c);
    if (now >= c->status_at) {
        c->status_at = now + STATUS_MS;
        news_status(c);
    }
}

static int until_due(const chat *c)
{
    uint64_t now = env_mono_ms(c->env), next = c->status_at;
    next = c->draft_at < next ? c->draft_at : next;
    next = c->read_at < next ? c->read_at : next;
    next = c->paste_at < next ? c->paste_at : next;
    next = c->edit.changed || c->keys_left ? now : next;
    return next <= now ? 0 : next - now > 60000 ? 60000 : (int)(next - now);
}

/* --- the loop -------------------------------------------------------------------------------------------------------------------------------------------- */

/* One piece of news, or the wait for it. False: there was none. */
static bool news_take(chat *c, int timeout_ms)
{
    struct pollfd fds[3];
    caller_news n;
    terminal_fds(fds);
    fds[2] = hook_watch(&c->hook);
    caller_watch(c->caller, fds, 3, timeout_ms, &n);
    if (n.kind == CALLER_EVENT) {
        news_event(c, n.body);
    } else if (n.kind == CALLER_REPLY) {
        asks_answer(c, &n);
        c->dirty = true;
    } else if (n.kind == CALLER_STOPPED) {
        c->over = true;
        c->exit = n.error.code ? n.error.exit : EXIT_DONE;
        c->why = n.error;
    }
    if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
        c->over = true; /* the terminal is gone */
    json_decref(n.body);
    return n.kind == CALLER_EVENT || n.kind == CALLER_REPLY;
}

static void draw(chat *c)
{
    if (!c->dirty)
        return;
    c->dirty = false;
    if (c->bell)
        draw_bell();
    c->bell = false;
    if (c->screen == SCREEN_MAIN)
        main_draw(c);
    else
        screens_draw(c);
}

/* A long paste must not keep the engine, and whoever calls it, waiting. */
static void keys_take(chat *c)
{
    key k;
    int taken = 0;
    while (taken < KEYS_IN_A_ROW && !c->over && terminal_key(&k)) {
        key_pressed(c, &k);
        taken++;
    }
    c->keys_left = taken == KEYS_IN_A_ROW;
}

static void turn(chat *c)
{
    draw(c);
    int timeout = until_due(c);
    for (int i = 0; i < NEWS_IN_A_ROW && !c->over && news_take(c, i == 0 ? timeout : 0); i++)
        ;
    if (terminal_signals())
        c->dirty = true;
    keys_take(c);
    hook_turn(c);
    on_time(c);
}

/* Drafts and what was shown reach the vault before the terminal is given back. */
static void finish(chat *c)
{
    uint64_t until = env_mono_ms(c->env) + LEAVE_MS;
    if (c->paste_at != UINT64_MAX)
        paste_end(c);
    if (is_command(c->edit.text))
        editor_clear(&c->edit);
    chat_leave(c);
    c->over = false;
    while (c->asks.first && !c->over && env_mono_ms(c->env) < until) {
        caller_news n;
        caller_next(c->caller, 50, &n);
        if (n.kind == CALLER_REPLY)
            asks_answer(c, &n);
        c->over = n.kind == CALLER_STOPPED;
        json_decref(n.body);
    }
}

static void chat_close(chat *c)
{
    asks_close(&c->asks);
    hook_close(&c->hook);
    conversations_close(&c->list);
    transcript_clear(&c->log);
    editor_close(&c->edit);
    json_decref(c->handed);
    json_decref(c->requests);
    json_decref(c->hits);
    char *texts[] = { c->me, c->relay, c->link, c->wanted, c->reveal, c->query, c->verify_name, c->digits };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
}

int tui_chat(caller *c, const tui_options *o, engine_error *error)
{
    chat it = { .caller = c,
                .env = o->env,
                .color = o->color,
                .dirty = true,
                .draft_at = UINT64_MAX,
                .read_at = UINT64_MAX,
                .paste_at = UINT64_MAX,
                .handed = json_array() };
    hook_open(&it.hook, o->exec, o->exec_start);
    it.wanted = o->name ? strdup(o->name) : NULL;
    if (!editor_open(&it.edit) || !it.handed || (o->name && !it.wanted)) {
        sentence_fill(error, SAY_NO_MEMORY, NULL, NULL, NULL);
        it.exit = error->exit;
    } else if (!terminal_open(o->color, error)) {
        it.exit = error->exit;
    } else {
        draw_open(o->color);
        news_begin(&it);
        while (!it.over)
            turn(&it);
        engine_error why = it.why;
        int exit = it.exit;
        if (exit == EXIT_DONE)
            finish(&it);
        it.exit = exit;
        terminal_close();
        if (exit != EXIT_DONE)
            *error = why;
    }
    int exit = it.exit;
    chat_close(&it);
    return exit;
}
