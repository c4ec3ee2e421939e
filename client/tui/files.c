#include "files.h"
#include "text_width.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_MAX_CELLS = 24, BAR_MIN_CELLS = 6, FIGURES_COLUMNS = 22 /* " 100 %  999 MiB/s 99m" */ };

/* --- one line ----------------------------------------------------------------------------------------------------------------------------------- */

static bool moving(const entry *e) { return strcmp(e->state, "receiving") == 0 || strcmp(e->state, "sending") == 0; }
static bool offered(const entry *e) { return strcmp(e->state, "offered") == 0; }
static bool failed(const entry *e) { return strcmp(e->state, "failed") == 0; }
static bool savable(const entry *e) { return !e->outgoing && (offered(e) || failed(e) || strcmp(e->state, "cancelled") == 0); }
static bool cancellable(const entry *e) { return moving(e) || offered(e); }

static size_t time_left(char *out, size_t room, const entry *e)
{
    uint64_t s = e->bytes_per_s ? (e->size - e->have + e->bytes_per_s - 1) / e->bytes_per_s : 0;
    if (e->bytes_per_s == 0)
        return (size_t)snprintf(out, room, "%s", "");
    if (s < 100)
        return (size_t)snprintf(out, room, " %us", (unsigned)s);
    return (size_t)snprintf(out, room, s < 6000 ? " %um" : " %uh", (unsigned)(s < 6000 ? s / 60 : s / 3600));
}

static void bar(char *out, const entry *e, size_t columns)
{
    size_t cells = columns > FIGURES_COLUMNS + BAR_MIN_CELLS ? columns - FIGURES_COLUMNS : 0, at = 0;
    cells = cells > BAR_MAX_CELLS ? BAR_MAX_CELLS : cells;
    double part = e->size ? (double)e->have / (double)e->size : 0;
    for (size_t i = 0; i < cells; i++)
        at += (size_t)snprintf(out + at, FILE_LINE_ROOM - at, "%s", (double)i + 0.5 < part * (double)cells ? "█" : "░");
    at += (size_t)snprintf(out + at, FILE_LINE_ROOM - at, "%s%d %%", cells ? " " : "", (int)(part * 100));
    if (e->bytes_per_s) {
        char rate[24];
        bytes_say(rate, e->bytes_per_s);
        at += (size_t)snprintf(out + at, FILE_LINE_ROOM - at, "  %s/s", rate);
        (void)time_left(out + at, 12, e);
    }
}

/* The end of a path says more than its beginning. */
static void saved(char *out, const char *path, size_t columns)
{
    static const char to[] = "saved to ";
    const char *home = getenv("HOME");
    size_t n = home ? strlen(home) : 0, room = columns > sizeof to ? columns - sizeof to : 1;
    bool at_home = n > 1 && strncmp(path, home, n) == 0 && path[n] == '/';
    const char *rest = at_home ? path + n : path;
    if (text_columns(rest, strlen(rest)) + at_home <= room) {
        (void)snprintf(out, FILE_LINE_ROOM, "%s%s%s", to, at_home ? "~" : "", rest);
        return;
    }
    while (*rest && text_columns(rest, strlen(rest)) + 1 > room)
        rest += cluster_at(rest, strlen(rest)).bytes;
    (void)snprintf(out, FILE_LINE_ROOM, "%s…%s", to, rest);
}

void file_line(char *out, const entry *e, size_t columns)
{
    static const struct {
        const char *state;
        sentence incoming, outgoing;
    } row[] = { { "offered", SAY_MARK_OFFERED, SAY_MARK_OFFERING },      { "stored", SAY_MARK_COMPLETE, SAY_MARK_STORED },
                { "complete", SAY_MARK_COMPLETE, SAY_MARK_ARRIVED },     { "failed", SAY_MARK_SAVE_FAILED, SAY_MARK_SEND_FAILED },
                { "cancelled", SAY_MARK_CANCELLED, SAY_MARK_CANCELLED }, { "expired", SAY_MARK_CANCELLED, SAY_MARK_EXPIRED } };
    out[0] = '\0';
    if (moving(e)) {
        bar(out, e, columns);
        return;
    }
    if (e->saved) {
        saved(out, e->saved, columns);
        return;
    }
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (strcmp(e->state, row[i].state) == 0)
            (void)snprintf(out, FILE_LINE_ROOM, "%s%s%s%s", sentence_text(e->outgoing ? row[i].outgoing : row[i].incoming), *e->trouble ? " (" : "",
                           e->trouble, *e->trouble ? ")" : "");
}

/* --- commands -------------------------------------------------------------------------------------------------------------------------------------- */

/* `~/` is the home; the engine may run elsewhere, so the path is made whole here. */
static bool path_whole(const char *typed, char out[PATH_MAX])
{
    char path[PATH_MAX];
    const char *home = getenv("HOME");
    bool at_home = home && typed[0] == '~' && typed[1] == '/';
    int n = snprintf(path, sizeof path, "%s%s", at_home ? home : "", at_home ? typed + 1 : typed);
    return n < (int)sizeof path && realpath(path, out) != NULL;
}

static void file_sent(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    const conversation *who = conversation_current(&c->list);
    if (!result)
        chat_why(c, error);
    else
        chat_tell(c, SAY_CHAT_FILE_SENDING, json_string_value(json_object_get(about, "path")), json_string_value(json_object_get(about, "name")));
    if (result && who && strcmp(who->name, json_string_value(json_object_get(about, "name"))) == 0)
        chat_reload(c);
}

void files_send(chat *c, const char *path)
{
    char whole[PATH_MAX];
    const conversation *who = conversation_current(&c->list);
    if (who->trust->stops) {
        chat_tell(c, SAY_CHAT_STOPPED, who->name, sentence_text(who->trust->chat));
        return;
    }
    if (!path_whole(path, whole)) {
        chat_tell(c, SAY_CHAT_FILE_PATH, path, strerror(errno));
        return;
    }
    (void)ask_for(c, "send_file", json_pack("{s:s,s:s}", "to", who->name, "path", whole), file_sent,
                  json_pack("{s:s,s:s}", "path", path, "name", who->name));
}

/* about: what is said when it went well. */
static void file_done(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    if (!result)
        chat_why(c, error);
    else
        chat_tell(c, (sentence)json_integer_value(json_object_get(about, "say")), json_string_value(json_object_get(about, "name")), NULL);
}

static void file_ask(chat *c, const char *method, const char *name, bool (*fits)(const entry *e), sentence say)
{
    const entry *e = transcript_file_named(&c->log, name, fits);
    if (!e) {
        chat_tell(c, SAY_CHAT_FILE_NONE, method, NULL);
        return;
    }
    (void)ask_for(c, method, json_pack("{s:s}", "id", e->id), file_done, json_pack("{s:i,s:s}", "say", (int)say, "name", e->name));
}

void files_save(chat *c, const char *name) { file_ask(c, "save", name, savable, SAY_CHAT_SAVING); }
void files_cancel(chat *c, const char *name) { file_ask(c, "cancel", name, cancellable, SAY_CHAT_CANCELLED); }

/* --- completing ---------------------------------------------------------------------------------------------------------------------------------------- */

void files_consider_names(const chat *c, completion *k)
{
    for (size_t i = c->log.count; i-- > 0;)
        if (c->log.item[i].kind == ENTRY_FILE && (savable(&c->log.item[i]) || cancellable(&c->log.item[i])))
            consider(k, c->log.item[i].name);
}

/* Names in the folder of what was typed; a folder ends with a slash. Hidden ones only for who typed the dot. */
void files_consider_paths(completion *k)
{
    char folder[PATH_MAX], whole[PATH_MAX], candidate[PATH_MAX + 2];
    const char *slash = strrchr(k->typed, '/'), *name = slash ? slash + 1 : k->typed;
    size_t n = (size_t)(name - k->typed);
    const struct dirent *d;
    if (n >= sizeof folder)
        return;
    memcpy(folder, k->typed, n);
    folder[n] = '\0';
    DIR *dir = path_whole(n ? folder : ".", whole) ? opendir(whole) : NULL;
    while (dir && (d = readdir(dir)) != NULL) {
        bool is_folder = d->d_type == DT_DIR, hidden = d->d_name[0] == '.' && name[0] != '.';
        if (!hidden && strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
            snprintf(candidate, sizeof candidate, "%s%s%s", folder, d->d_name, is_folder ? "/" : "") < (int)sizeof candidate)
            consider(k, candidate);
    }
    if (dir)
        closedir(dir);
}
