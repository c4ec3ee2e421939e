#include "draw.h"
#include "text_width.h"
#include <ncurses.h>
#include <string.h>
#include <strings.h>

enum { PAIR_GOOD = 1, PAIR_BAD, PAIR_PAPER };
static bool colored;

/* Green and red are readable on light and on dark; everything else is the terminal's own colour. */
void draw_open(bool color)
{
    colored = color && has_colors() && COLOR_PAIRS > PAIR_PAPER;
    if (!colored)
        return;
    (void)init_pair(PAIR_GOOD, COLOR_GREEN, -1);
    (void)init_pair(PAIR_BAD, COLOR_RED, -1);
    (void)init_pair(PAIR_PAPER, COLOR_BLACK, COLORS >= 16 ? 15 : COLOR_WHITE);
}

bool draw_paper(void) { return colored; }

static attr_t attributes(ink with, short *pair)
{
    *pair = 0;
    switch (with) {
    case INK_BOLD:
        return A_BOLD;
    case INK_GOOD:
        *pair = colored ? PAIR_GOOD : 0;
        return A_NORMAL;
    case INK_BAD:
        *pair = colored ? PAIR_BAD : 0;
        return A_BOLD;
    case INK_CHOSEN:
    case INK_FOUND:
        return A_REVERSE;
    case INK_PAPER:
        *pair = colored ? PAIR_PAPER : 0;
        return A_NORMAL;
    case INK_PLAIN:
    default:
        return A_NORMAL;
    }
}

void draw_size(int *rows, int *columns) { getmaxyx(stdscr, *rows, *columns); }

void draw_begin(void)
{
    (void)curs_set(0);
    (void)erase();
}

void draw_end(int row, int column)
{
    if (row >= 0) {
        (void)move(row, column);
        (void)curs_set(1);
    }
    (void)refresh();
}

void draw_bell(void) { (void)beep(); }
void draw_anew(void) { (void)clearok(curscr, TRUE); }

int draw_bytes(int row, int column, int columns, ink with, const char *text, size_t n)
{
    int rows, all, used = 0;
    short pair;
    attr_t attr = attributes(with, &pair);
    draw_size(&rows, &all);
    if (column + columns > all)
        columns = all - column;
    if (row < 0 || row >= rows || column < 0)
        return 0;
    for (size_t i = 0; i < n;) {
        cluster c = cluster_at(text + i, n - i);
        cchar_t cell;
        if (used + c.columns > columns)
            break;
        if (setcchar(&cell, c.shown, attr, pair, NULL) == OK)
            (void)mvadd_wch(row, column + used, &cell);
        used += c.columns;
        i += c.bytes;
    }
    return used;
}

int draw_text(int row, int column, int columns, ink with, const char *text) { return draw_bytes(row, column, columns, with, text, strlen(text)); }

void draw_field(int row, int column, int columns, ink with, const char *text)
{
    for (int used = draw_text(row, column, columns, with, text); used < columns; used++)
        (void)draw_text(row, column + used, 1, with, " ");
}

/* How many bytes of text[0..n) are the beginning of one of the words. */
static size_t found_here(const char *text, size_t n, const char *words)
{
    size_t most = 0;
    for (const char *w = words; *w;) {
        size_t length = strcspn(w, " ");
        if (length > most && length <= n && strncasecmp(text, w, length) == 0)
            most = length;
        w += length + strspn(w + length, " ");
    }
    return most;
}

int draw_found(int row, int column, int columns, const char *text, size_t n, const char *words)
{
    int used = 0;
    for (size_t i = 0; i < n && used < columns;) {
        size_t found = found_here(text + i, n - i, words), step = found ? found : cluster_at(text + i, n - i).bytes;
        used += draw_bytes(row, column + used, columns - used, found ? INK_FOUND : INK_PLAIN, text + i, step);
        i += step;
    }
    return used;
}

void draw_fill(int row, int column, int columns, const char *text)
{
    for (int i = 0; i < columns; i++)
        (void)draw_text(row, column + i, 1, INK_PLAIN, text);
}
