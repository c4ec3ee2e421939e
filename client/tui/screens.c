#include "screens.h"
#include "commands.h"
#include "draw.h"
#include "harmless.h"
#include "keys.h"
#include "main_screen.h"
#include "qr.h"
#include "text_width.h"
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ESCAPE = 27, SAFETY_DIGITS = 60, CONTENT_ROW = 1, LINK_COLUMNS_MIN = 10 };

static const char *word(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "";
}

/* The peer's text as one harmless line. */
static void peers_line(int y, int x, int columns, const char *text, const char *found)
{
    char *shown = harmless_copy(text, HARMLESS_ONE_LINE, 0);
    if (shown && found)
        (void)draw_found(y, x, columns, shown, strlen(shown), found);
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
    static const char *const marks[][2] = { { "", "" },
                                            { "Marks", "" },
                                            { "✓ after a name", "you compared safety numbers: verified" },
                                            { "! after a name", "the key has changed: nothing is sent until /trust" },
                                            { "× after a name", "blocked" },
                                            { "…  ✓  ✓✓  ✓✓ read", "not sent, at the relay, on their device, read" } };
    if (i >= sizeof marks / sizeof *marks)
        return false;
    (void)snprintf(left, room, "%s", marks[i][0]);
    (void)snprintf(right, room, "%s", marks[i][1]);
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

/* A picture of lines at y, x; false when it does not fit. */
static bool picture_draw(int y, int x, int rows, int columns, const char *text)
{
    char *picture = qr_text(text, draw_paper());
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
    return fits;
}

static void verify_draw(chat *c, const measures *m)
{
    char line[160];
    int y = m->framed ? CONTENT_ROW : 0, x = 2, rows = content_rows(m);
    if (!c->digits || strlen(c->digits) != SAFETY_DIGITS)
        return;
    if (m->columns >= 72 && picture_draw(y, 1, rows, 41, c->digits))
        x = 44;
    (void)snprintf(line, sizeof line, "you and %s", c->verify_name);
    (void)draw_text(y + 1, x, m->columns - x - 1, INK_BOLD, line);
    for (int i = 0; i < 3; i++) {
        const char *d = c->digits + i * 20;
        (void)snprintf(line, sizeof line, "%.5s %.5s %.5s %.5s", d, d + 5, d + 10, d + 15);
        (void)draw_text(y + 3 + i, x, m->columns - x - 1, INK_BOLD, line);
    }
    static const char *const todo[] = { "Ask them, by voice or side by", "side, for these 60 digits.",     "",
                                        "The same on both sides:",       "   press Y. Nobody is between.", "Different:",
                                        "   somebody may read along.",   "   Press Esc, send nothing." };
    static const char *const done[] = { "You compared these digits:", "verified ✓" };
    const char *const *text = c->verified ? done : todo;
    int n = c->verified ? (int)(sizeof done / sizeof *done) : (int)(sizeof todo / sizeof *todo);
    for (int i = 0; i < n; i++)
        (void)draw_text(y + 7 + i, x, m->columns - x - 1, INK_PLAIN, text[i]);
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
    list_settle(c, (size_t)(rows / each));
    if (list_size(c) == 0)
        (void)draw_text(y + 1, 2, m->columns - 4, INK_PLAIN, "Nobody asks to write to you.");
    for (int i = 0; i < rows / each && c->top + (size_t)i < list_size(c); i++, y += each) {
        const json_t *o = json_array_get(c->requests, c->top + (size_t)i);
        char line[400];
        (void)snprintf(line, sizeof line, " %s  (calls itself %s, at %s, account %.12s…) ", word(o, "from"), word(o, "proposed_name"),
                       word(o, "relay"), word(o, "account"));
        draw_field(y, 1, m->columns - 2, c->top + (size_t)i == c->selected ? INK_CHOSEN : INK_BOLD, line);
        peers_line(y + 1, 4, m->columns - 6, word(o, "text"), NULL);
    }
}

static void search_draw(chat *c, const measures *m)
{
    int y = m->framed ? CONTENT_ROW : 0, rows = content_rows(m);
    list_settle(c, (size_t)rows);
    for (int i = 0; i < rows && c->top + (size_t)i < list_size(c); i++) {
        const json_t *o = json_array_get(c->hits, c->top + (size_t)i);
        char line[200];
        bool chosen = c->top + (size_t)i == c->selected;
        (void)snprintf(line, sizeof line, "%s %.10s %s%s ", chosen ? "▸" : " ", word(o, "sent_at"), word(o, "conversation"),
                       json_is_true(json_object_get(o, "outgoing")) ? " < you:" : ":");
        int used = draw_text(y + i, 1, m->columns / 2, chosen ? INK_CHOSEN : INK_BOLD, line);
        peers_line(y + i, 2 + used, m->columns - used - 4, word(o, "text"), c->query);
    }
}

static void link_draw(chat *c, const measures *m)
{
    int y = m->framed ? CONTENT_ROW : 0, rows = content_rows(m), columns = m->columns - 4 > LINK_COLUMNS_MIN ? m->columns - 4 : LINK_COLUMNS_MIN;
    (void)draw_text(y++, 2, columns, INK_BOLD, "Your link. Give it to those who shall write to you:");
    line_walk w = lines_of(c->link, strlen(c->link), (size_t)columns);
    text_line l;
    int used = 1;
    while (used++ < rows && line_take(&w, &l))
        (void)draw_bytes(y++, 2, columns, INK_PLAIN, c->link + l.begin, l.bytes);
    (void)picture_draw(y, 2, rows - used, columns, c->link);
}

/* --- all of them --------------------------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *hint;
    void (*draw)(chat *c, const measures *m);
} screen_table[SCREENS] = {
    [SCREEN_HELP] = { "Esc back · PgUp PgDn", help_draw },
    [SCREEN_VERIFY] = { "Y they are the same · Esc back", verify_draw },
    [SCREEN_REQUESTS] = { "A accept · R reject · B block · Up Down · Esc back", requests_draw },
    [SCREEN_SEARCH] = { "Enter open there · Up Down · PgUp PgDn · Esc back", search_draw },
    [SCREEN_LINK] = { "Esc back", link_draw },
};

void screens_draw(chat *c)
{
    measures m = main_measures(c);
    draw_begin();
    frame_draw(c, &m, screen_table[c->screen].hint);
    screen_table[c->screen].draw(c, &m);
    if (!m.framed && *c->status)
        draw_field(0, 0, m.columns, c->status_bad ? INK_BAD : INK_BOLD, c->status);
    draw_end(-1, 0);
}

static void move_by(chat *c, long lines)
{
    size_t *at = c->screen == SCREEN_HELP ? &c->top : &c->selected;
    *at = lines < 0 && *at < (size_t)-lines ? 0 : *at + (size_t)lines;
}

static void confirmed(chat *c, json_t *result, const engine_error *error, json_t *about)
{
    (void)about;
    if (error)
        chat_why(c, error);
    c->verified = json_is_true(json_object_get(result, "verified"));
    if (c->verified)
        chat_say(c, false, "%s is verified", word(result, "name"));
    news_contacts(c);
}

static void hit_open(chat *c)
{
    const json_t *hit = json_array_get(c->hits, c->selected);
    if (!hit || !conversation_find(&c->list, word(hit, "conversation")))
        return;
    free(c->reveal);
    c->reveal = strdup(word(hit, "id"));
    chat_show(c, SCREEN_MAIN);
    chat_select(c, word(hit, "conversation"));
}

static void request_do(chat *c, const char *command)
{
    char line[200];
    const json_t *o = json_array_get(c->requests, c->selected);
    if (!o)
        return;
    (void)snprintf(line, sizeof line, "/%s %s", command, word(o, "from"));
    if (strcmp(command, "accept") == 0)
        chat_show(c, SCREEN_MAIN);
    (void)command_run(c, line);
}

static bool letter(chat *c, int code)
{
    code |= 0x20;
    if (c->screen == SCREEN_VERIFY && code == 'y' && !c->verified && c->digits)
        return ask_for(c, "verify", json_pack("{s:s,s:s}", "name", c->verify_name, "confirm", c->digits), confirmed, NULL);
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
