/* tui/transcript.h: the loaded part of one conversation, oldest first, as rows of a screen. Pages come from the vault; only what is looked at is ever
 * wrapped. The place is kept from the bottom: `scroll` rows are hidden below, and what comes in meanwhile does not move the view. */
#ifndef TUI_TRANSCRIPT_H
#define TUI_TRANSCRIPT_H
#include "line_model.h"
#include <jansson.h>
#include <time.h>

typedef enum { ENTRY_TEXT, ENTRY_GAP, ENTRY_NOTICE } entry_kind;

typedef struct {
    entry_kind kind;
    char id[33], state[12];
    bool outgoing, suspect;
    time_t at;
    char *text;                /* harmless, many lines; never NULL */
    size_t rows, rows_columns; /* a cache */
} entry;

typedef struct {
    entry *item;
    size_t count, room;
    bool whole; /* the beginning of the conversation is loaded */
    size_t scroll;
} transcript;

typedef enum { ROW_BEGIN, ROW_DAY, ROW_TEXT } row_kind;
typedef struct {
    row_kind kind;
    const entry *of;
    bool first, last; /* of its entry */
    text_line line;   /* of its text */
} log_row;

void transcript_clear(transcript *t);
/* The answer of `history`: the newest page replaces everything, an older one goes before. A page shorter than `asked` begins the conversation. False:
 * no memory; what there was stays. */
bool transcript_newest(transcript *t, const json_t *page, size_t asked);
bool transcript_older(transcript *t, const json_t *page, size_t asked, size_t columns);
/* At the end. An id that is there already is not shown twice. NULL: no memory. */
entry *transcript_add(transcript *t, const json_t *message, size_t columns);
entry *transcript_find(const transcript *t, const char *id);
void transcript_drop(transcript *t, const char *id);
/* Only upwards. False: no such message here. */
bool transcript_state(transcript *t, const char *id, const char *state);

/* Moves by rows, up when positive, as far as there is something. False: the upper end of what is loaded shows. */
bool transcript_scroll(transcript *t, long rows, size_t columns, size_t height);
/* So that the entry is seen. */
void transcript_reveal(transcript *t, const entry *e, size_t columns, size_t height);
/* The rows that show, the uppermost first; text in `columns`. Returns how many of `height`. */
size_t transcript_rows(transcript *t, size_t columns, size_t height, log_row *out);
#endif
