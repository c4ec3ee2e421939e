#include "draw.h"
#include "text_width.h"
#include <ncurses.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { PAIR_GOOD = 1, PAIR_BAD, PAIR_PAPER };
enum { FOUND_COLUMNS = 16 /* of a hit and what follows it that should be seen */ };
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

int draw_name(int row, int column, int columns, ink with, const char *name)
{
    size_t n = strlen(name), from, to;
    if (columns < 3 || !text_middle(name, n, (size_t)columns, &from, &to))
        return draw_text(row, column, columns, with, name);
    int used = draw_bytes(row, column, columns, with, name, from);
    used += draw_text(row, column + used, columns - used, with, "…");
    return used + draw_bytes(row, column + used, columns - used, with, name + to, n - to);
}

void draw_field(int row, int column, int columns, ink with, const char *text)
{
    for (int used = draw_text(row, column, columns, with, text); used < columns; used++)
        (void)draw_text(row, column + used, 1, with, " ");
}

static bool in_word(char c) { return (uint8_t)c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

/* How many bytes at text[i] are the beginning of one of the words, and of a word of the text: what the search looks for. */
static size_t found_at(const char *text, size_t n, size_t i, const char *words)
{
    size_t most = 0;
    if (i > 0 && in_word(text[i - 1]) && in_word(text[i]))
        return 0;
    for (const char *w = words + strspn(words, " "); *w;) {
        size_t length = strcspn(w, " ");
        if (length > most && length <= n - i && strncasecmp(text + i, w, length) == 0)
            most = length;
        w += length + strspn(w + length, " ");
    }
    return most;
}

int draw_found(int row, int column, int columns, const char *text, size_t n, const char *words)
{
    int used = 0;
    for (size_t i = 0; i < n && used < columns;) {
        size_t found = found_at(text, n, i, words), step = found ? found : cluster_at(text + i, n - i).bytes;
        used += draw_bytes(row, column + used, columns - used, found ? INK_FOUND : INK_PLAIN, text + i, step);
        i += step;
    }
    return used;
}

int draw_found_near(int row, int column, int columns, const char *text, size_t n, const char *words)
{
    size_t hit = 0, from = 0;
    while (hit < n && !found_at(text, n, hit, words))
        hit += cluster_at(text + hit, n - hit).bytes;
    if (hit == n || (int)text_columns(text, hit) + FOUND_COLUMNS <= columns)
        return draw_found(row, column, columns, text, n, words);
    while (from < hit && (int)text_columns(text + from, hit - from) > columns / 3)
        from += cluster_at(text + from, n - from).bytes;
    int used = draw_text(row, column, columns, INK_PLAIN, "…");
    return used + draw_found(row, column + used, columns - used, text + from, n - from, words);
}

void draw_fill(int row, int column, int columns, const char *text)
{
    for (int i = 0; i < columns; i++)
        (void)draw_text(row, column + i, 1, INK_PLAIN, text);
}
