/* tui/draw.h: the pencil. Every text goes cluster by cluster, cut at the columns it may have: whatever a text contains, nothing is drawn outside of
 * its place (ATTACKS P05). What has not changed is not sent to the terminal. */
#ifndef TUI_DRAW_H
#define TUI_DRAW_H
#include <stdbool.h>
#include <stddef.h>

typedef enum { INK_PLAIN, INK_BOLD, INK_GOOD, INK_BAD, INK_CHOSEN, INK_PAPER /* black on white, for QR codes */, INK_FOUND } ink;

void draw_open(bool color);
bool draw_paper(void); /* whether INK_PAPER exists here */
void draw_size(int *rows, int *columns);
void draw_begin(void);              /* an empty screen, cursor hidden */
void draw_end(int row, int column); /* shows it; row -1: without a cursor */
void draw_bell(void);
void draw_anew(void); /* the next draw_end sends everything */

/* Draws text[0..n) at row, column, within `columns`; returns how many it took. */
int draw_bytes(int row, int column, int columns, ink with, const char *text, size_t n);
int draw_text(int row, int column, int columns, ink with, const char *text);
/* The same; where it does not fit, its middle is left out (text_middle). */
int draw_name(int row, int column, int columns, ink with, const char *name);
/* As draw_text, filled up with blanks. */
void draw_field(int row, int column, int columns, ink with, const char *text);
/* The text with the words that begin with one of `words` in INK_FOUND; upper and lower case of ASCII are the same. draw_found_near: from so far on that
 * the first of them is seen. */
int draw_found(int row, int column, int columns, const char *text, size_t n, const char *words);
int draw_found_near(int row, int column, int columns, const char *text, size_t n, const char *words);
void draw_fill(int row, int column, int columns, const char *cluster);
#endif
