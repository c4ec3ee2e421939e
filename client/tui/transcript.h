/* tui/transcript.h: the loaded part of one conversation, oldest first, as rows of a screen. Pages come from the vault at both ends; what is far from
 * the view is let go again, so however long the history is, it costs the same; what is loaded is wrapped once for each width. The place is kept from the bottom:
 * `scroll` rows are hidden below, and what comes in meanwhile does not move the view. */
#ifndef TUI_TRANSCRIPT_H
#define TUI_TRANSCRIPT_H
#include "line_model.h"
#include <jansson.h>
#include <stdint.h>
#include <time.h>

enum { TRANSCRIPT_MAX = 3000 /* entries kept, more than fit on any screen */ };
typedef enum { ENTRY_TEXT, ENTRY_FILE, ENTRY_GAP, ENTRY_NOTICE } entry_kind;

typedef struct {
    entry_kind kind;
    char id[33], state[12], trouble[24];
    bool outgoing, suspect;
    time_t at;
    int day;                          /* local, so that two of one day have the same */
    char *text;                       /* harmless, many lines; of a file its sign, name and size; never NULL */
    char *name, *saved;               /* of a file, harmless: what it is called, where it went; NULL: not known */
    uint64_t size, have, bytes_per_s; /* of a file; have: bytes */
    size_t rows, rows_columns;        /* a cache */
} entry;

typedef struct {
    entry *item;
    size_t count, room;
    bool whole, newest; /* the beginning, the end of the conversation is loaded */
    size_t scroll;
} transcript;

typedef enum { ROW_BEGIN, ROW_DAY, ROW_TEXT, ROW_FILE /* below a file's name: how far it is */ } row_kind;
typedef struct {
    row_kind kind;
    const entry *of;
    bool first, last; /* of its entry */
    text_line line;   /* of its text */
} log_row;

void transcript_clear(transcript *t);
/* Answers of `history`. The newest page, or one from somewhere in the middle on, replaces everything; an older one goes before, a newer one (which
 * begins with the last entry that is there) behind. A page shorter than `asked` reaches the end of the conversation on its side. `columns` as for
 * transcript_rows: the view stays where it is. False: no memory; what there was stays. */
typedef enum { PAGE_NEWEST, PAGE_MIDDLE, PAGE_OLDER, PAGE_NEWER } page_kind;
bool transcript_page(transcript *t, page_kind kind, const json_t *page, size_t asked, size_t columns);
/* At the end, which must be loaded. An id that is there already is not shown twice. NULL: no memory. */
entry *transcript_add(transcript *t, const json_t *message, size_t columns);
entry *transcript_find(const transcript *t, const char *id);
void transcript_drop(transcript *t, const char *id);
/* Only upwards; of a file any state. False: no such message here. */
bool transcript_state(transcript *t, const char *id, const char *state);
/* A `file` object about one that is there, or a `progress` object. False: no such file here. */
bool transcript_file(transcript *t, const json_t *file);
/* The newest file that `fits`, by its name (or, name "", any). NULL: none. */
entry *transcript_file_named(const transcript *t, const char *name, bool (*fits)(const entry *e));
/* "412 MiB"; out has room for 24. */
void bytes_say(char *out, uint64_t bytes);

/* Moves by rows, up when positive, as far as there is something. False: the upper end of what is loaded shows. */
bool transcript_scroll(transcript *t, long rows, size_t columns, size_t height);
/* So that the entry is seen. */
void transcript_reveal(transcript *t, const entry *e, size_t columns, size_t height);
/* The rows that show, the uppermost first; text in `columns`. Returns how many of `height`. */
size_t transcript_rows(transcript *t, size_t columns, size_t height, log_row *out);
#endif
