/* tui/main_screen.h: conversations on the left, the transcript, the editor. Measures are the same for drawing and for scrolling. */
#ifndef TUI_MAIN_SCREEN_H
#define TUI_MAIN_SCREEN_H
#include "chat.h"
#include "draw.h"

typedef struct {
    int rows, columns;
    bool framed;                                    /* title and hint lines */
    int list_columns;                               /* 0: no list */
    int log_row, log_rows, log_column, log_columns; /* the transcript, its banner not included */
    int banner;                                     /* rows of it, above the transcript */
    int gap, name_columns, text_column, text_columns, state_columns;
    int edit_row, edit_rows, edit_columns;
} measures;

measures main_measures(const chat *c);
void main_draw(chat *c);
/* True: the window is too small, which has been said in place of everything else. */
bool small_draw(const measures *m);
/* A sentence of the table at y, x, wrapped; returns the rows it took, at most `rows`. */
int say_draw(int y, int x, int rows, int columns, ink with, sentence which, const char *one, const char *two, const char *three);
/* The same for any text. */
int paragraph_draw(int y, int x, int rows, int columns, ink with, const char *text);
/* What is said and does not fit into the lower border: over what stands above row `below`. */
void status_draw(const chat *c, const measures *m, int below);
/* What every screen has in common: title above, hints or what just happened below. */
void frame_draw(const chat *c, const measures *m, sentence hint);
#endif
