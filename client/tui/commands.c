#include "commands.h"
#include "field.h"
#include "files.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *named(const char *name) { return json_pack("{s:s}", "name", name); }
static const char *current_name(const chat *c)
{
    const conversation *who = conversation_current(&c->list);
    return who ? who->name : "";
}
/* The word given, or the conversation that is open. */
static const char *whom(const chat *c, const char *rest) { return *rest ? rest : current_name(c); }

/* What news_changed says and, with `open`, opens afterwards. */
static json_t *changed(sentence say, const char *name, bool open)
{
    return json_pack("{s:i,s:s,s:s}", "say", (int)say, "name", name, "open", open ? name : "");
}

/* --- the commands ---------------------------------------------------------------------------------------------------------------------------- */

static void run_help(chat *c, const char *rest)
{
    (void)rest;
    chat_show(c, SCREEN_HELP);
}

static void run_quit(chat *c, const char *rest)
{
    (void)rest;
    c->over = true;
}

static void searched(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    if (!result) {
        chat_why(c, error);
        return;
    }
    json_decref(c->hits);
    c->hits = json_incref(result);
    free(c->query);
    c->query = strdup(json_string_value(about));
    if (json_array_size(result) == 0)
        chat_tell(c, SAY_CHAT_NOTHING_FOUND, json_string_value(about), NULL);
    else
        chat_show(c, SCREEN_SEARCH);
}

static void run_search(chat *c, const char *rest)
{
    (void)ask_for(c, "search", json_pack("{s:s,s:i}", "query", rest, "limit", HITS_MAX), searched, json_string(rest));
}

static void number_came(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    const char *name = json_string_value(json_object_get(result, "name")), *digits = json_string_value(json_object_get(result, "safety_number"));
    (void)about;
    if (!result || !name || !digits) {
        if (error)
            chat_why(c, error);
        return;
    }
    free(c->verify_name);
    free(c->digits);
    c->verify_name = strdup(name);
    c->digits = strdup(digits);
    c->verified = json_is_true(json_object_get(result, "verified"));
    if (!c->verify_name || !c->digits)
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
    else
        chat_show(c, SCREEN_VERIFY);
    news_contacts(c);
}

static void run_verify(chat *c, const char *rest) { (void)ask_for(c, "verify", named(whom(c, rest)), number_came, NULL); }
static void run_trust(chat *c, const char *rest)
{
    chat_tell(c, SAY_CHAT_ASKING, whom(c, rest), NULL);
    (void)ask_for(c, "trust", named(whom(c, rest)), news_changed, changed(SAY_CHAT_TRUSTED, whom(c, rest), true));
}

static void run_untrust(chat *c, const char *rest)
{
    (void)ask_for(c, "untrust", named(whom(c, rest)), news_changed, changed(SAY_CHAT_UNTRUSTED, whom(c, rest), true));
}

static void run_add(chat *c, const char *rest)
{
    size_t n = strcspn(rest, " \n");
    const char *text = rest + n + strspn(rest + n, " \n");
    chat_tell(c, SAY_CHAT_ASKING, "them", NULL);
    (void)ask_for(c, "add", json_pack("{s:s%,s:s*}", "target", rest, n, "text", *text ? text : NULL), news_changed, json_pack("{s:b}", "added", 1));
}

static void run_requests(chat *c, const char *rest)
{
    (void)rest;
    news_requests(c);
    chat_show(c, SCREEN_REQUESTS);
}

static void run_accept(chat *c, const char *rest) { (void)ask_for(c, "accept", named(rest), news_changed, changed(SAY_CHAT_ACCEPTED, rest, true)); }
static void run_reject(chat *c, const char *rest) { (void)ask_for(c, "reject", named(rest), news_changed, changed(SAY_CHAT_REJECTED, rest, false)); }
static void run_block(chat *c, const char *rest)
{
    (void)ask_for(c, "block", named(whom(c, rest)), news_changed, changed(SAY_CHAT_BLOCKED, whom(c, rest), false));
}
static void run_unblock(chat *c, const char *rest)
{
    (void)ask_for(c, "unblock", named(whom(c, rest)), news_changed, changed(SAY_CHAT_UNBLOCKED, whom(c, rest), false));
}

/* The list has the new name at once: what is written before the contacts come anew belongs to it. A page that was asked for under the old one is lost. */
static void renamed(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    conversation *who = conversation_find(&c->list, text_of(about, "from"));
    if (result && who && !conversation_rename(who, text_of(about, "name")))
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
    if (result && who && who == conversation_current(&c->list) && c->log_loading) {
        c->log_loading = false;
        c->log_stale = true;
    }
    news_changed(c, result, error, about);
}

static void run_rename(chat *c, const char *rest)
{
    json_t *about = changed(SAY_CHAT_RENAMED, rest, false);
    (void)json_object_set_new(about, "from", json_string(current_name(c)));
    chat_leave(c);
    (void)ask_for(c, "rename", json_pack("{s:s,s:s}", "name", current_name(c), "to", rest), renamed, about);
}

static void run_remove(chat *c, const char *rest) { (void)ask_for(c, "remove", named(rest), news_changed, changed(SAY_CHAT_REMOVED, rest, false)); }

static void run_link(chat *c, const char *rest)
{
    (void)rest;
    if (c->link)
        chat_show(c, SCREEN_LINK);
}

static void run_open(chat *c, const char *rest)
{
    if (conversation_find(&c->list, rest))
        chat_select(c, rest);
    else
        chat_tell(c, SAY_CHAT_NO_CONTACT, rest, NULL);
}

const chat_command chat_command_table[] = {
    { "help", "", "all keys and commands", WORD_NONE, false, false, run_help },
    { "open", "NAME", "another conversation", WORD_CONTACT, true, false, run_open },
    { "search", "WORDS", "find messages of all conversations", WORD_TEXT, true, false, run_search },
    { "verify", "[NAME]", "the safety number, to compare with theirs", WORD_CONTACT, false, true, run_verify },
    { "trust", "[NAME]", "accept that their key has changed", WORD_CONTACT, false, true, run_trust },
    { "untrust", "[NAME]", "take back what you decided about their key", WORD_CONTACT, false, true, run_untrust },
    { "file", "PATH", "send a file", WORD_PATH, true, true, files_send },
    { "save", "[FILE]", "take an offered file: the newest, or this one", WORD_FILE, false, true, files_save },
    { "cancel", "[FILE]", "stop sending or taking a file", WORD_FILE, false, true, files_cancel },
    { "add", "LINK|NAME [TEXT]", "ask somebody, or accept by adding", WORD_TEXT, true, false, run_add },
    { "link", "", "your own link, to give to others", WORD_NONE, false, false, run_link },
    { "requests", "", "who wants to write to you", WORD_NONE, false, false, run_requests },
    { "accept", "NAME", "accept a request", WORD_REQUEST, true, false, run_accept },
    { "reject", "NAME", "drop a request; they are not told", WORD_REQUEST, true, false, run_reject },
    { "block", "[NAME]", "let nothing of them through", WORD_CONTACT, false, true, run_block },
    { "unblock", "[NAME]", "let them write again", WORD_CONTACT, false, true, run_unblock },
    { "rename", "NEWNAME", "another name for this contact, for you alone", WORD_TEXT, true, true, run_rename },
    { "remove", "NAME", "remove a contact and all that was written", WORD_CONTACT, true, false, run_remove },
    { "quit", "", "leave; drafts are kept", WORD_NONE, false, false, run_quit },
};
const size_t chat_command_count = sizeof chat_command_table / sizeof *chat_command_table;

/* --- running --------------------------------------------------------------------------------------------------------------------------------------- */

static const chat_command *command_named(const char *name, size_t n)
{
    for (size_t i = 0; i < chat_command_count; i++)
        if (strlen(chat_command_table[i].name) == n && strncmp(chat_command_table[i].name, name, n) == 0)
            return &chat_command_table[i];
    return NULL;
}

bool command_run(chat *c, const char *line)
{
    size_t n = strcspn(line + 1, " \n");
    char *rest = strdup(line + 1 + n + strspn(line + 1 + n, " \n"));
    const chat_command *found = command_named(line + 1, n);
    if (!rest) {
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
        return false;
    }
    for (size_t i = strlen(rest); i > 0 && (rest[i - 1] == ' ' || rest[i - 1] == '\n'); i--)
        rest[i - 1] = '\0';
    bool ran = false;
    char typed[41];
    (void)snprintf(typed, sizeof typed, "%.*s", (int)(n > 40 ? 40 : n), line + 1);
    if (!found)
        chat_tell(c, SAY_CHAT_NO_COMMAND, typed, NULL);
    else if (found->needs_word && !*rest)
        chat_tell(c, SAY_CHAT_COMMAND_USAGE, found->name, found->operands);
    else if (found->needs_contact && !(found->word == WORD_CONTACT && *rest) && !conversation_current(&c->list))
        chat_tell(c, SAY_CHAT_NO_CONVERSATION, NULL, NULL);
    else
        ran = true;
    if (ran)
        found->run(c, rest);
    free(rest);
    return ran;
}

/* --- completing --------------------------------------------------------------------------------------------------------------------------------------- */

void consider(completion *k, const char *candidate)
{
    size_t same = 0, used = strlen(k->all);
    if (!candidate || strncmp(candidate, k->typed, k->typed_bytes) != 0)
        return;
    if (k->count++ == 0)
        (void)snprintf(k->common, sizeof k->common, "%s", candidate);
    while (k->common[same] && candidate[same] == k->common[same])
        same++;
    k->common[same] = '\0';
    (void)snprintf(k->all + used, sizeof k->all - used, "%s%s", used ? "  " : "", candidate);
}

static void consider_all(const chat *c, completion *k, word_kind kind)
{
    json_t *asking;
    size_t i;
    for (i = 0; kind == WORD_CONTACT && i < c->list.count; i++)
        consider(k, c->list.item[i].name);
    if (kind == WORD_REQUEST)
        json_array_foreach(c->requests, i, asking) consider(k, json_string_value(json_object_get(asking, "from")));
    if (kind == WORD_PATH)
        files_consider_paths(k);
    if (kind == WORD_FILE)
        files_consider_names(c, k);
}

void command_complete(chat *c)
{
    completion k = { .all = "" };
    const char *line = c->edit.text, *blank = strchr(line, ' ');
    if (line[0] != '/' || c->edit.cursor != c->edit.bytes)
        return;
    k.typed = blank ? blank + 1 : line + 1;
    k.typed_bytes = strlen(k.typed);
    const chat_command *of = blank ? command_named(line + 1, (size_t)(blank - line) - 1) : NULL;
    for (size_t i = 0; !blank && i < chat_command_count; i++)
        consider(&k, chat_command_table[i].name);
    if (of)
        consider_all(c, &k, of->word);
    if (k.count == 0)
        return;
    size_t n = strlen(k.common);
    bool goes_on = n > 0 && k.common[n - 1] == '/'; /* a folder */
    if (n > k.typed_bytes)
        (void)editor_insert(&c->edit, k.common + k.typed_bytes, n - k.typed_bytes);
    if (k.count > 1)
        chat_hint(c, k.all);
    else if (!goes_on)
        (void)editor_insert(&c->edit, " ", 1);
}
