/* tui/main_screen.h: conversations on the left, the transcript, the editor. Measures are the same for drawing and for scrolling. */
#ifndef TUI_MAIN_SCREEN_H
#define TUI_MAIN_SCREEN_H
#include "chat.h"

typedef struct {
    int rows, columns;
    bool framed;                                    /* title and hint lines */
    int list_columns;                               /* 0: no list */
    int log_row, log_rows, log_column, log_columns; /* the transcript, its banner not included */
    bool banner;
    int gap, name_columns, text_column, text_columns, state_columns;
    int edit_row, edit_rows, edit_columns;
} measures;

measures main_measures(const chat *c);
void main_draw(chat *c);
/* What every screen has in common: title above, hints or what just happened below. */
void frame_draw(const chat *c, const measures *m, const char *hint);
#endif
