#include "main_screen.h"
#include "files.h"
#include "text_width.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIST_COLUMNS = 20,
    LIST_FROM = 64 /* columns of the screen */,
    FRAME_FROM = 10 /* rows */,
    NAME_MAX_COLUMNS = 12,
    BESIDE_NAME = 8, /* columns of a line of the list, or without a list of the editor's border, that are not for the name */
    TIME_COLUMNS = 5,
    ROWS_MAX = 500,
    BANNER_ROWS_MAX = 4,
    COLUMNS_LEAST = 20,
    ROWS_LEAST = 6,
};
static int least(int a, int b) { return a < b ? a : b; }
static int most(int a, int b) { return a > b ? a : b; }

static int edit_lines(const chat *c, int columns) { return (int)line_count(c->edit.text, c->edit.bytes, (size_t)most(columns, 1)); }

static int name_room(const measures *m) { return (m->list_columns ? m->list_columns : m->columns) - BESIDE_NAME; }

/* What stands above the conversation: its trust, where there is something to be said; the name, where everything else shows it without its middle. */
static size_t banner_text(char *out, size_t room, const conversation *who, const measures *m)
{
    if (who && who->trust->shows)
        return standing_say(out, room, who->trust, who->trust->chat, who->name);
    if (!who || (int)text_columns(who->name, strlen(who->name)) <= name_room(m))
        return 0;
    (void)snprintf(out, room, "%s%s%s", who->name, *who->trust->mark ? " " : "", who->trust->mark);
    return strlen(out); /* what there was room for */
}

static int banner_rows(const conversation *who, const measures *m, int columns, int rows_free)
{
    char text[STANDING_ROOM];
    size_t n = banner_text(text, sizeof text, who, m);
    int rows = n ? (int)line_count(text, n, (size_t)most(columns, 1)) : 0;
    return least(rows, least(BANNER_ROWS_MAX, most(rows_free, 0)));
}

measures main_measures(const chat *c)
{
    measures m = { 0 };
    const conversation *who = conversation_current(&c->list);
    draw_size(&m.rows, &m.columns);
    m.framed = m.rows >= FRAME_FROM;
    m.list_columns = m.columns >= LIST_FROM ? LIST_COLUMNS + (m.columns >= 140 ? 8 : 0) : 0;
    m.edit_columns = most(m.columns - 4 - (m.framed ? 1 : 0), LINE_COLUMNS_MIN) - 1; /* the cursor behind the last character needs a place, too */
    m.edit_rows = least(edit_lines(c, m.edit_columns), most(m.rows / 3, 1));
    m.edit_row = m.rows - m.edit_rows - (m.framed ? 1 : 0);
    m.log_column = m.list_columns ? m.list_columns + 2 : (m.framed ? 1 : 0);
    m.log_columns = most(m.columns - m.log_column - (m.framed ? 1 : 0), 4);
    m.log_row = m.framed ? 1 : 0;
    m.banner = banner_rows(who, &m, m.log_columns - 2, m.edit_row - 3 - m.log_row);
    m.log_row += m.banner;
    m.log_rows = most(m.edit_row - 1 - m.log_row, 0);
    m.name_columns = who ? most(3, least((int)text_columns(who->name, strlen(who->name)), m.log_columns >= 44 ? NAME_MAX_COLUMNS : 4)) : 3;
    m.state_columns = m.log_columns >= 40 ? 7 : 2;
    m.gap = m.log_columns >= 50 ? 2 : 1;
    m.text_column = m.log_column + 1 + TIME_COLUMNS + m.gap + m.name_columns + m.gap;
    m.text_columns = most(m.log_column + m.log_columns - m.text_column - m.state_columns - 2, LINE_COLUMNS_MIN);
    return m;
}

/* --- the frame ------------------------------------------------------------------------------------------------------------------------------- */

static void title_draw(const chat *c, const measures *m)
{
    char title[300], right[64];
    (void)snprintf(title, sizeof title, " tacet · %s@%s ", c->me ? c->me : "…", c->relay ? c->relay : "…");
    if (c->queued > 0)
        (void)snprintf(right, sizeof right, " %lld to send · %s ", c->queued, c->online ? "● online" : "○ offline");
    else
        (void)snprintf(right, sizeof right, " %s ", c->online ? "● online" : "○ offline");
    int width = (int)text_columns(right, strlen(right));
    draw_fill(0, 0, m->columns, "─");
    (void)draw_text(0, 0, 1, INK_PLAIN, "┌");
    (void)draw_text(0, m->columns - 1, 1, INK_PLAIN, "┐");
    (void)draw_text(0, 1, m->columns - width - 4, INK_BOLD, title);
    if (m->columns > width + 12)
        (void)draw_text(0, m->columns - width - 2, width, c->online ? INK_GOOD : INK_BAD, right);
}

static ink status_ink(const chat *c) { return c->status_bad ? INK_BAD : INK_BOLD; }

/* What is said stands in the lower border; what is too long for that, in so many rows above it. 0: it fits. */
static int status_rows(const chat *c, const measures *m)
{
    size_t n = strlen(c->status), columns = (size_t)most(m->columns - (m->framed ? 4 : 0), LINE_COLUMNS_MIN);
    return m->framed && text_columns(c->status, n) <= columns ? 0 : *c->status ? least((int)line_count(c->status, n, columns), m->rows / 2) : 0;
}

void status_draw(const chat *c, const measures *m, int below)
{
    int rows = status_rows(c, m), x = m->framed ? 2 : 0, columns = m->columns - 2 * x, y = most(below - rows, 0);
    for (int i = 0; i < rows; i++)
        draw_field(y + i, m->framed ? 1 : 0, m->columns - (m->framed ? 2 : 0), INK_PLAIN, "");
    if (rows > 0)
        (void)paragraph_draw(y, x, rows, columns, status_ink(c), c->status);
}

void frame_draw(const chat *c, const measures *m, sentence hint)
{
    int last = m->rows - 1;
    if (m->framed) {
        title_draw(c, m);
        for (int y = 1; y < last; y++) {
            (void)draw_text(y, 0, 1, INK_PLAIN, "│");
            (void)draw_text(y, m->columns - 1, 1, INK_PLAIN, "│");
        }
        draw_fill(last, 0, m->columns, "─");
        (void)draw_text(last, 0, 1, INK_PLAIN, "└");
        (void)draw_text(last, m->columns - 1, 1, INK_PLAIN, "┘");
        bool says = *c->status && status_rows(c, m) == 0;
        int used = draw_text(last, 2, m->columns - 4, says ? status_ink(c) : INK_PLAIN, says ? c->status : sentence_text(hint));
        (void)draw_text(last, 1, 1, INK_PLAIN, " ");
        (void)draw_text(last, 2 + used, 1, INK_PLAIN, used < m->columns - 4 ? " " : "");
    }
}

/* --- the list ------------------------------------------------------------------------------------------------------------------------------------ */

static void list_line(const conversation *who, const measures *m, int y, bool chosen)
{
    char unread[24] = "";
    int width = m->list_columns - 1;
    if (who->unread > 0)
        (void)snprintf(unread, sizeof unread, who->unread > 999 ? "999+" : "%lld", who->unread);
    const char *mark = who->trust->mark;
    ink with = chosen ? INK_CHOSEN : who->unread > 0 ? INK_BOLD : INK_PLAIN;
    draw_field(y, 1, width, with, "");
    int used = draw_name(y, 2, name_room(m), with, who->name);
    (void)draw_text(y, 3 + used, 1, chosen ? INK_CHOSEN : who->trust->stops ? INK_BAD : INK_GOOD, mark);
    (void)draw_text(y, width - (int)strlen(unread), 4, with, unread);
}

static void list_draw(const chat *c, const measures *m)
{
    int top = m->framed ? 1 : 0, rows = m->edit_row - 1 - top, asking = (int)json_array_size(c->requests);
    int room = asking > 0 ? rows - 1 : rows;
    size_t first = room > 0 && c->list.current >= (size_t)room ? c->list.current - (size_t)room + 1 : 0;
    for (int i = 0; i < room && first + (size_t)i < c->list.count; i++)
        list_line(&c->list.item[first + (size_t)i], m, top + i, first + (size_t)i == c->list.current);
    if (asking > 0 && rows > 0) {
        char line[64];
        (void)snprintf(line, sizeof line, "%d request%s: F2", asking, asking == 1 ? "" : "s");
        (void)draw_text(top + rows - 1, 2, m->list_columns - 2, INK_BOLD, line);
    }
    for (int y = top; y < m->edit_row - 1; y++)
        (void)draw_text(y, m->list_columns + 1, 1, INK_PLAIN, "│");
}

/* --- the transcript ----------------------------------------------------------------------------------------------------------------------------------- */

static const char *state_shown(const char *state)
{
    static const struct {
        const char *state, *shown;
    } row[] = { { "waiting", "waits" }, { "held", "held" },    { "queued", "…" },       { "stored", "✓" },
                { "delivered", "✓✓" },  { "read", "✓✓ read" }, { "expired", "✗ lost" }, { "failed", "✗ fail" } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (strcmp(state, row[i].state) == 0)
            return row[i].shown;
    return "";
}

static void text_row_draw(const chat *c, const measures *m, int y, const log_row *r)
{
    const conversation *who = conversation_current(&c->list);
    const entry *e = r->of;
    struct tm local;
    char at[8] = "";
    if (r->first && e->at && localtime_r(&e->at, &local))
        (void)strftime(at, sizeof at, "%H:%M", &local);
    (void)draw_text(y, m->log_column + 1, TIME_COLUMNS, e->suspect ? INK_BAD : INK_PLAIN, at);
    if (r->first)
        (void)draw_name(y, m->log_column + 1 + TIME_COLUMNS + m->gap, m->name_columns, INK_BOLD, e->outgoing ? "you" : who ? who->name : "");
    bool sought = c->reveal && strcmp(c->reveal, e->id) == 0;
    if (sought && r->first)
        (void)draw_text(y, m->text_column - 1, 1, INK_BOLD, "▸");
    if (sought && c->query)
        (void)draw_found(y, m->text_column, m->text_columns, e->text + r->line.begin, r->line.bytes, c->query);
    else
        (void)draw_bytes(y, m->text_column, m->text_columns, INK_PLAIN, e->text + r->line.begin, r->line.bytes);
    if (r->last && e->outgoing && e->kind == ENTRY_TEXT) {
        const char *state = state_shown(e->state);
        int width = (int)text_columns(state, strlen(state)), right = m->log_column + m->log_columns - 1;
        width = least(width, m->state_columns);
        bool bad = strcmp(e->state, "failed") == 0 || strcmp(e->state, "expired") == 0 || strcmp(e->state, "held") == 0;
        (void)draw_text(y, right - width, width, bad ? INK_BAD : INK_PLAIN, state);
    }
}

static void file_row_draw(const measures *m, int y, const entry *e)
{
    char line[FILE_LINE_ROOM];
    file_line(line, e, (size_t)most(m->text_columns - 2, 1));
    (void)draw_text(y, m->text_column + 2, m->text_columns - 2, strcmp(e->state, "failed") == 0 ? INK_BAD : INK_PLAIN, line);
}

static void row_draw(const chat *c, const measures *m, int y, const log_row *r)
{
    const conversation *who = conversation_current(&c->list);
    char line[128];
    struct tm local;
    switch (r->kind) {
    case ROW_BEGIN:
        (void)draw_text(y, m->log_column + 1, m->log_columns - 2, INK_PLAIN,
                        sentence_text(who && strcmp(who->trust->mark, "✓") == 0 ? SAY_HINT_BEGIN_VERIFIED : SAY_HINT_BEGIN));
        break;
    case ROW_DAY:
        if (localtime_r(&r->of->at, &local) && strftime(line, sizeof line, "%a %d %b %Y", &local))
            (void)draw_text(y, m->log_column + 1, m->log_columns - 2, INK_BOLD, line);
        break;
    case ROW_TEXT:
        if (r->of->kind == ENTRY_TEXT || r->of->kind == ENTRY_FILE)
            text_row_draw(c, m, y, r);
        else
            (void)draw_text(y, m->log_column + 1, m->log_columns - 2, INK_BAD, r->of->text);
        break;
    case ROW_FILE:
        file_row_draw(m, y, r->of);
        break;
    }
}

int paragraph_draw(int y, int x, int rows, int columns, ink with, const char *text)
{
    line_walk w = lines_of(text, strlen(text), (size_t)most(columns, 1));
    text_line l;
    int used = 0;
    while (used < rows && line_take(&w, &l))
        (void)draw_bytes(y + used++, x, columns, with, text + l.begin, l.bytes);
    return used;
}

int say_draw(int y, int x, int rows, int columns, ink with, sentence which, const char *one, const char *two, const char *three)
{
    engine_error said;
    sentence_fill(&said, which, one, two, three);
    return paragraph_draw(y, x, rows, columns, with, said.message);
}

/* With everything around the transcript. */
static void banner_draw(const conversation *who, const measures *m)
{
    char text[STANDING_ROOM];
    ink with = who->trust->stops ? INK_BAD : INK_BOLD;
    if (banner_text(text, sizeof text, who, m) > 0)
        (void)paragraph_draw(m->log_row - m->banner, m->log_column + 1, m->banner, m->log_columns - 2, with, text);
}

static void log_draw(chat *c, const measures *m)
{
    static log_row rows[ROWS_MAX];
    const conversation *who = conversation_current(&c->list);
    if (!who) {
        if (c->list_known) /* nobody to talk to yet */
            (void)say_draw(m->log_row, m->log_column + 2, m->log_rows, m->log_columns - 4, INK_PLAIN, SAY_CHAT_WELCOME, NULL, NULL, NULL);
        return;
    }
    if (m->banner)
        banner_draw(who, m);
    size_t n = transcript_rows(&c->log, (size_t)m->text_columns, (size_t)least(m->log_rows, ROWS_MAX), rows);
    for (size_t i = 0; i < n; i++)
        row_draw(c, m, m->log_row + m->log_rows - (int)n + (int)i, &rows[i]);
    if (c->log.scroll > 0 || !c->log.newest) {
        char line[64], number[24];
        engine_error said;
        (void)snprintf(number, sizeof number, "%zu", c->log.scroll);
        sentence_fill(&said, c->log.newest ? SAY_HINT_BELOW : SAY_HINT_MORE_BELOW, number, NULL, NULL);
        (void)snprintf(line, sizeof line, " %.60s ", said.message);
        int width = (int)text_columns(line, strlen(line));
        if (width < m->log_columns)
            (void)draw_text(m->edit_row - 1, m->log_column + m->log_columns - width, width, INK_CHOSEN, line);
    }
}

/* --- the editor ----------------------------------------------------------------------------------------------------------------------------------------- */

/* Where the cursor is: line of the wrapped text, column in it. */
static void cursor_place(const chat *c, int columns, int *line, int *column)
{
    line_walk w = lines_of(c->edit.text, c->edit.bytes, (size_t)columns);
    text_line l;
    *line = *column = 0;
    for (int i = 0; line_take(&w, &l); i++) {
        if (l.begin > c->edit.cursor)
            break;
        size_t in = c->edit.cursor - l.begin < l.bytes ? c->edit.cursor - l.begin : l.bytes;
        *line = i;
        *column = (int)text_columns(c->edit.text + l.begin, in);
    }
}

static void edit_draw(const chat *c, const measures *m, int *row_out, int *column_out)
{
    int line, column, left = m->framed ? 2 : 0, y = 0;
    cursor_place(c, m->edit_columns, &line, &column);
    int first = line >= m->edit_rows ? line - m->edit_rows + 1 : 0;
    line_walk w = lines_of(c->edit.text, c->edit.bytes, (size_t)m->edit_columns);
    text_line l;
    draw_fill(m->edit_row - 1, 0, m->columns, "─");
    if (m->framed) {
        (void)draw_text(m->edit_row - 1, 0, 1, INK_PLAIN, "├");
        (void)draw_text(m->edit_row - 1, m->columns - 1, 1, INK_PLAIN, "┤");
    }
    if (m->list_columns)
        (void)draw_text(m->edit_row - 1, m->list_columns + 1, 1, INK_PLAIN, "┴");
    const conversation *who = conversation_current(&c->list);
    if (!m->list_columns && who && m->columns > 8) {
        char name[80];
        (void)snprintf(name, sizeof name, " %s%s%s ", who->name, *who->trust->mark ? " " : "", who->trust->mark);
        (void)draw_text(m->edit_row - 1, 2, m->columns - 4, INK_BOLD, name);
    }
    (void)draw_text(m->edit_row, left, 1, INK_BOLD, ">");
    for (int i = 0; line_take(&w, &l); i++)
        if (i >= first && y < m->edit_rows)
            (void)draw_bytes(m->edit_row + y++, left + 2, m->edit_columns, INK_PLAIN, c->edit.text + l.begin, l.bytes);
    *row_out = m->edit_row + line - first;
    *column_out = left + 2 + column;
}

bool small_draw(const measures *m)
{
    char columns[12], rows[12];
    if (m->rows >= ROWS_LEAST && m->columns >= COLUMNS_LEAST)
        return false;
    (void)snprintf(columns, sizeof columns, "%d", COLUMNS_LEAST);
    (void)snprintf(rows, sizeof rows, "%d", ROWS_LEAST);
    (void)say_draw(0, 0, m->rows, m->columns, INK_PLAIN, SAY_CHAT_TOO_SMALL, columns, rows, NULL);
    draw_end(-1, 0);
    return true;
}

void main_draw(chat *c)
{
    int row = -1, column = 0;
    measures m = main_measures(c);
    draw_begin();
    if (small_draw(&m))
        return;
    frame_draw(c, &m, SAY_HINT_MAIN);
    if (m.list_columns)
        list_draw(c, &m);
    edit_draw(c, &m, &row, &column);
    log_draw(c, &m);
    status_draw(c, &m, m.edit_row - 1);
    draw_end(row, column);
}
