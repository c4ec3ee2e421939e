#include "screens.h"
#include "commands.h"
#include "draw.h"
#include "field.h"
#include "harmless.h"
#include "keys.h"
#include "main_screen.h"
#include "qr.h"
#include "text_width.h"
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ESCAPE = 27, SAFETY_DIGITS = 60, CONTENT_ROW = 1, LINK_COLUMNS_MIN = 10, DIGITS_COLUMNS = 28 };

/* The peer's text as one harmless line. */
static void peers_line(int y, int x, int columns, const char *text, const char *found)
{
    char *shown = harmless_copy(text, HARMLESS_ONE_LINE, 0);
    if (shown && found)
        (void)draw_found_near(y, x, columns, shown, strlen(shown), found);
    else if (shown)
        (void)draw_text(y, x, columns, INK_PLAIN, shown);
    free(shown);
}

static int content_rows(const measures *m) { return m->rows - (m->framed ? 2 : 0); }

/* --- help ------------------------------------------------------------------------------------------------------------------------------------- */

/* Line i of the help, or false. */
static bool help_line(size_t i, char *left, char *right, size_t room)
{
    left[0] = right[0] = '\0';
    if (i == 0) {
        (void)snprintf(left, room, "Commands");
        return true;
    }
    if (--i < chat_command_count) {
        (void)snprintf(left, room, "/%s %s", chat_command_table[i].name, chat_command_table[i].operands);
        (void)snprintf(right, room, "%s", chat_command_table[i].help);
        return true;
    }
    i -= chat_command_count;
    if (i < 2) {
        (void)snprintf(left, room, "%s", i == 0 ? "" : "Keys");
        return true;
    }
    i -= 2;
    for (size_t k = 0; k < key_count; k++)
        if (key_table[k].help && i-- == 0) {
            (void)snprintf(left, room, "%s", key_table[k].name);
            (void)snprintf(right, room, "%s", key_table[k].help);
            return true;
        }
    static const struct {
        const char *mark;
        sentence say; /* SAY_COUNT: a heading */
    } marks[] = { { "", SAY_COUNT },
                  { "Marks", SAY_COUNT },
                  { "✓ after a name", SAY_MARK_VERIFIED },
                  { "! after a name", SAY_MARK_CHANGED },
                  { "× after a name", SAY_MARK_BLOCKED },
                  { "…  ✓  ✓✓  ✓✓ read", SAY_MARK_WAY },
                  { "waits, held", SAY_MARK_WAITS },
                  { "✗ lost, ✗ fail", SAY_MARK_LOST },
                  { "red time", SAY_MARK_TIME },
                  { "▤", SAY_MARK_FILE },
                  { "── 2 messages missing ──", SAY_MARK_MISSING } };
    if (i >= sizeof marks / sizeof *marks)
        return false;
    (void)snprintf(left, room, "%s", marks[i].mark);
    (void)snprintf(right, room, "%s", marks[i].say == SAY_COUNT ? "" : sentence_text(marks[i].say));
    return true;
}

static void help_draw(chat *c, const measures *m)
{
    char left[80], right[80];
    size_t lines = 0;
    int rows = content_rows(m), y = m->framed ? CONTENT_ROW : 0, split = m->columns >= 60 ? 26 : m->columns / 2;
    while (help_line(lines, left, right, sizeof left))
        lines++;
    size_t most = lines > (size_t)rows ? lines - (size_t)rows : 0;
    c->top = c->top > most ? most : c->top;
    for (int i = 0; i < rows && help_line(c->top + (size_t)i, left, right, sizeof left); i++) {
        (void)draw_text(y + i, 2, split - 1, *right ? INK_PLAIN : INK_BOLD, left);
        (void)draw_text(y + i, 2 + split, m->columns - split - 3, INK_PLAIN, right);
    }
}

/* --- the safety number ---------------------------------------------------------------------------------------------------------------------------- */

/* A picture of lines at y, x. Where there is no room for it, that is said, with the command that draws it in a shell. Returns the rows it took, and in
 * *width (may be NULL) its columns. */
static int picture_draw(int y, int x, int rows, int columns, const char *text, const char *command, int *width_out)
{
    char *picture = qr_text(text, draw_paper()), need[2][12];
    int height = 0, width = picture ? (int)text_columns(picture, strcspn(picture, "\n")) : 0;
    for (const char *p = picture; p && *p; p++)
        height += *p == '\n';
    bool fits = picture && height <= rows && width <= columns;
    const char *line = picture;
    for (int i = 0; fits && i < height; i++) {
        size_t n = strcspn(line, "\n");
        (void)draw_bytes(y + i, x, columns, draw_paper() ? INK_PAPER : INK_PLAIN, line, n);
        line += n + 1;
    }
    free(picture);
    if (width_out)
        *width_out = fits ? width : 0;
    if (fits)
        return height;
    (void)snprintf(need[0], sizeof need[0], "%d", width + x + 1);
    (void)snprintf(need[1], sizeof need[1], "%d", height + y + 1);
    return command ? say_draw(y, x, rows, columns, INK_PLAIN, SAY_CHAT_QR_ROOM, need[0], need[1], command) : 0;
}

/* Picture on the left, digits and what to do on the right; without the picture where it would leave no room for them. */
static void verify_draw(chat *c, const measures *m)
{
    char line[160], command[120];
    int y = m->framed ? CONTENT_ROW : 0, x = 2, rows = content_rows(m), width = 0;
    if (!c->digits || strlen(c->digits) != SAFETY_DIGITS)
        return;
    (void)snprintf(command, sizeof command, "tacet verify %s --qr", c->verify_name);
    bool beside = m->columns >= 72;
    if (beside) {
        (void)picture_draw(y, 1, rows, m->columns - DIGITS_COLUMNS, c->digits, NULL, &width);
        x = width ? width + 3 : 2;
    }
    int columns = m->columns - x - 2;
    int used = draw_text(y + 1, x, columns, INK_BOLD, "you and ");
    (void)draw_name(y + 1, x + used, columns - used, INK_BOLD, c->verify_name);
    for (int i = 0; i < 3; i++) {
        const char *d = c->digits + i * 20;
        (void)snprintf(line, sizeof line, "%.5s %.5s %.5s %.5s", d, d + 5, d + 10, d + 15);
        (void)draw_text(y + 3 + i, x, columns, INK_BOLD, line);
    }
    int at = 7 + say_draw(y + 7, x, rows - 7, columns, INK_PLAIN, c->verified ? SAY_CHAT_COMPARED : SAY_CHAT_COMPARE, NULL, NULL, NULL);
    if (!width && at + 1 < rows)
        (void)picture_draw(y + at + 1, x, rows - at - 1, columns, c->digits, command, NULL);
}

/* --- lists ------------------------------------------------------------------------------------------------------------------------------------------- */

static size_t list_size(const chat *c) { return json_array_size(c->screen == SCREEN_SEARCH ? c->hits : c->requests); }

/* Keeps the chosen line in the window of `lines`. */
static void list_settle(chat *c, size_t lines)
{
    size_t n = list_size(c);
    c->selected = n == 0 ? 0 : c->selected >= n ? n - 1 : c->selected;
    if (c->selected < c->top)
        c->top = c->selected;
    if (lines > 0 && c->selected >= c->top + lines)
        c->top = c->selected - lines + 1;
}

static void requests_draw(chat *c, const measures *m)
{
    int y = m->framed ? CONTENT_ROW : 0, rows = content_rows(m), each = 3;
    sentence head = list_size(c) == 0 ? SAY_CHAT_NO_REQUESTS : SAY_CHAT_REQUESTS;
    int used = say_draw(y, 2, rows - each - 1, m->columns - 4, INK_PLAIN, head, NULL, NULL, NULL) + 1; /* the chosen one is always seen */
    y += used;
    rows -= used;
    list_settle(c, (size_t)(rows / each));
    for (int i = 0; i < rows / each && c->top + (size_t)i < list_size(c); i++, y += each) {
        const json_t *o = json_array_get(c->requests, c->top + (size_t)i);
        bool chosen = c->top + (size_t)i == c->selected && !c->unchosen;
        char where[320], line[sizeof(engine_error)];
        engine_error said;
        (void)snprintf(where, sizeof where, "%s, account %.12s…", text_of(o, "relay"), text_of(o, "account"));
        sentence_fill(&said, SAY_CHAT_ASKER, text_of(o, "from"), text_of(o, "proposed_name"), where);
        (void)snprintf(line, sizeof line, " %s ", said.message);
        draw_field(y, 1, m->columns - 2, chosen ? INK_CHOSEN : INK_BOLD, line);
        peers_line(y + 1, 4, m->columns - 6, text_of(o, "text"), NULL);
    }
}

static void search_draw(chat *c, const measures *m)
{
    int y = m->framed ? CONTENT_ROW : 0, rows = content_rows(m);
    list_settle(c, (size_t)rows);
    for (int i = 0; i < rows && c->top + (size_t)i < list_size(c); i++) {
        const json_t *o = json_array_get(c->hits, c->top + (size_t)i);
        char day[24];
        bool chosen = c->top + (size_t)i == c->selected;
        ink with = chosen ? INK_CHOSEN : INK_BOLD;
        const char *by = json_is_true(json_object_get(o, "outgoing")) ? " < you: " : ": ";
        (void)snprintf(day, sizeof day, "%s %.10s ", chosen ? "▸" : " ", text_of(o, "sent_at"));
        int used = draw_text(y + i, 1, m->columns / 2, with, day);
        used += draw_name(y + i, 1 + used, m->columns / 2 - used - (int)strlen(by), with, text_of(o, "conversation"));
        used += draw_text(y + i, 1 + used, m->columns / 2 - used, with, by);
        peers_line(y + i, 2 + used, m->columns - used - 4, text_of(o, strcmp(text_of(o, "event"), "file") == 0 ? "name" : "text"), c->query);
    }
}

static void link_draw(chat *c, const measures *m)
{
    int y = m->framed ? CONTENT_ROW : 0, rows = content_rows(m), columns = m->columns - 4 > LINK_COLUMNS_MIN ? m->columns - 4 : LINK_COLUMNS_MIN;
    int used = say_draw(y, 2, rows, columns, INK_BOLD, SAY_CHAT_LINK, NULL, NULL, NULL);
    used += paragraph_draw(y + used, 2, rows - used, columns, INK_PLAIN, c->link);
    if (used < rows)
        (void)picture_draw(y + used, 2, rows - used, columns, c->link, "tacet link --qr", NULL);
}

/* --- all of them --------------------------------------------------------------------------------------------------------------------------------------- */

static const struct {
    sentence hint;
    void (*draw)(chat *c, const measures *m);
} screen_table[SCREENS] = {
    [SCREEN_HELP] = { SAY_HINT_HELP, help_draw },
    [SCREEN_VERIFY] = { SAY_HINT_VERIFY, verify_draw },
    [SCREEN_REQUESTS] = { SAY_HINT_REQUESTS, requests_draw },
    [SCREEN_SEARCH] = { SAY_HINT_SEARCH, search_draw },
    [SCREEN_LINK] = { SAY_HINT_LINK, link_draw },
};

void screens_draw(chat *c)
{
    measures m = main_measures(c);
    draw_begin();
    if (small_draw(&m))
        return;
    frame_draw(c, &m, screen_table[c->screen].hint);
    screen_table[c->screen].draw(c, &m);
    status_draw(c, &m, m.rows - (m.framed ? 1 : 0));
    draw_end(-1, 0);
}

static void move_by(chat *c, long lines)
{
    size_t *at = c->screen == SCREEN_HELP ? &c->top : &c->selected;
    if (c->unchosen) {
        c->unchosen = false;
        return;
    }
    *at = lines < 0 && *at < (size_t)-lines ? 0 : *at + (size_t)lines;
}

static void confirmed(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    if (error)
        chat_why(c, error);
    c->verified = json_is_true(json_object_get(result, "verified"));
    if (c->verified)
        chat_tell(c, SAY_CHAT_VERIFIED, text_of(result, "name"), NULL);
    news_contacts(c);
}

/* The screen shows what is true afterwards. */
static void taken_back(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    if (error)
        chat_why(c, error);
    else
        chat_tell(c, SAY_CHAT_UNTRUSTED, text_of(result, "name"), NULL);
    if (result)
        c->verified = false;
    news_contacts(c);
}

static void hit_open(chat *c)
{
    const json_t *hit = json_array_get(c->hits, c->selected);
    if (!hit || !conversation_find(&c->list, text_of(hit, "conversation")))
        return;
    free(c->reveal);
    c->reveal = strdup(text_of(hit, "id"));
    c->revealing = c->reveal != NULL;
    chat_show(c, SCREEN_MAIN);
    chat_select(c, text_of(hit, "conversation"));
}

static void request_do(chat *c, const char *command)
{
    char line[200];
    const json_t *o = json_array_get(c->requests, c->selected);
    if (!o || c->unchosen)
        return;
    (void)snprintf(line, sizeof line, "/%s %s", command, text_of(o, "from"));
    if (strcmp(command, "accept") == 0)
        chat_show(c, SCREEN_MAIN);
    (void)command_run(c, line);
}

static bool letter(chat *c, int code)
{
    code |= 0x20;
    if (c->screen == SCREEN_VERIFY && code == 'y' && !c->verified && c->digits)
        return ask_for(c, "verify", json_pack("{s:s,s:s}", "name", c->verify_name, "confirm", c->digits), confirmed, NULL);
    if (c->screen == SCREEN_VERIFY && code == 'u' && c->verified)
        return ask_for(c, "untrust", json_pack("{s:s}", "name", c->verify_name), taken_back, NULL);
    if (c->screen == SCREEN_REQUESTS && (code == 'a' || code == 'r' || code == 'b'))
        request_do(c, code == 'a' ? "accept" : code == 'r' ? "reject" : "block");
    return true;
}

bool screens_key(chat *c, const key *k)
{
    measures m = main_measures(c);
    long page = content_rows(&m) > 2 ? content_rows(&m) - 1 : 1;
    static const struct {
        int code, direction;
        bool page;
    } moves[] = { { KEY_UP, -1, false }, { KEY_DOWN, 1, false }, { KEY_PPAGE, -1, true }, { KEY_NPAGE, 1, true } };
    for (size_t i = 0; k->function && i < sizeof moves / sizeof *moves; i++)
        if (k->code == moves[i].code) {
            move_by(c, moves[i].direction * (moves[i].page ? page : 1));
            return true;
        }
    if (k->function)
        return false;
    if (k->code == ESCAPE || k->code == 'q') {
        chat_show(c, SCREEN_MAIN);
        return true;
    }
    if (k->code == '\r' && c->screen == SCREEN_SEARCH) {
        hit_open(c);
        return true;
    }
    return k->code >= ' ' || k->code == '\r' ? letter(c, k->code) : false;
}
