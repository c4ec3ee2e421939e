/* tui/editor.h: the text that is being written: many lines, cursor, one kill buffer, the history of what was sent. UTF-8 without control characters
 * but newline, at most EDITOR_BYTES_MAX; the cursor is always between clusters. Nothing here knows a key or a screen. */
#ifndef TUI_EDITOR_H
#define TUI_EDITOR_H
#include <stdbool.h>
#include <stddef.h>

enum { EDITOR_BYTES_MAX = 12288 /* of a message, docs/PROTOCOL.md §5 */, EDITOR_HISTORY_MAX = 100 };

typedef struct {
    char *text; /* NUL at the end */
    size_t bytes, room, cursor;
    char *killed;
    char *history[EDITOR_HISTORY_MAX]; /* oldest first */
    size_t history_count, history_at;  /* at == count: the text itself */
    char *kept;                        /* the text, while the history is looked at */
    bool killing;                      /* what was done last */
    bool changed;                      /* since somebody set it to false */
} editor;

/* False: no memory. */
bool editor_open(editor *e);
void editor_close(editor *e); /* wipes */

/* What does not fit, is no UTF-8, or is a control character is left out; CR LF and CR become newline, tab becomes blanks. False: something did not fit. */
bool editor_insert(editor *e, const char *text, size_t n);
void editor_set(editor *e, const char *text); /* cursor at the end */
void editor_clear(editor *e);
/* Takes the text into the history and clears it. */
void editor_done(editor *e);

typedef enum {
    EDIT_LEFT,
    EDIT_RIGHT,
    EDIT_WORD_LEFT,
    EDIT_WORD_RIGHT,
    EDIT_HOME,
    EDIT_END,
    EDIT_UP, /* a line up; in the first line: the history */
    EDIT_DOWN,
    EDIT_ERASE_LEFT,
    EDIT_ERASE_RIGHT,
    EDIT_KILL_WORD_LEFT,
    EDIT_KILL_WORD_RIGHT,
    EDIT_KILL_HOME,
    EDIT_KILL_END,
    EDIT_YANK,
    EDIT_NEWLINE,
} edit;
void editor_do(editor *e, edit what);
#endif
