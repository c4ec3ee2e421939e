/* tui/line_model.h: a text as lines of at most so many columns. Breaks at blanks where it can, inside of words where it must, never inside of a
 * cluster, so wide characters and marks keep their columns. Pure: the same text and width give the same lines. */
#ifndef TUI_LINE_MODEL_H
#define TUI_LINE_MODEL_H
#include <stdbool.h>
#include <stddef.h>

enum { LINE_COLUMNS_MIN = 2 /* of the widest cluster */ };

typedef struct {
    size_t begin, bytes; /* of the text; blanks at which the line was broken, and the newline, belong to no line */
    size_t columns;
} text_line;

typedef struct {
    const char *text;
    size_t n, at, columns;
    bool over;
} line_walk;

/* columns below LINE_COLUMNS_MIN count as that. An empty text is one empty line, and so is what follows a newline at the end. */
line_walk lines_of(const char *text, size_t n, size_t columns);
bool line_take(line_walk *w, text_line *out);
size_t line_count(const char *text, size_t n, size_t columns);
#endif
