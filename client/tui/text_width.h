/* tui/text_width.h: text as the cells of a terminal. A cluster is one character with the marks on it, as it is drawn: one base of 1 or 2 columns and
 * at most four marks of none. What terminals disagree about would move everything behind it, so it is drawn in the form they all agree on:
 * joiners, variation selectors and skin tones are left out (the text itself keeps them), a mark without a base gets a dotted circle, and what has no
 * width, or must not be written, is U+FFFD. Columns are the C library's (wcwidth), like ncurses'; the locale must be UTF-8. */
#ifndef TUI_TEXT_WIDTH_H
#define TUI_TEXT_WIDTH_H
#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

enum { CLUSTER_MARKS_MAX = 4, CLUSTER_POINTS_MAX = 1 + CLUSTER_MARKS_MAX };

typedef struct {
    size_t bytes;                          /* of the text, at least 1 */
    int columns;                           /* 1 or 2 */
    wchar_t shown[CLUSTER_POINTS_MAX + 1]; /* what is drawn, NUL at the end */
} cluster;

/* The cluster at text[0..n), n > 0. A newline or tab is drawn as one U+FFFD as well: who has lines parts them before. */
cluster cluster_at(const char *text, size_t n);

/* Columns of text[0..n) in one line. */
size_t text_columns(const char *text, size_t n);
/* The most bytes of text[0..n) that fit into `columns`, whole clusters only. */
size_t text_fit(const char *text, size_t n, size_t columns);
/* What is left out of text[0..n), an ellipsis in its place, so that both its ends fit into `columns`, 3 or more: bytes from *from to *to. Names that
 * only their ends tell apart ("-2") stay apart. False: all of it fits, and both are untouched. */
bool text_middle(const char *text, size_t n, size_t columns, size_t *from, size_t *to);
/* Where the cluster that ends at `at` begins; 0 for 0. */
size_t cluster_before(const char *text, size_t at);
#endif
