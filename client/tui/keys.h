/* tui/keys.h: what each key does. One table, which F1 shows as well. */
#ifndef TUI_KEYS_H
#define TUI_KEYS_H
#include "chat.h"
#include "terminal.h"

typedef struct {
    const char *name, *help; /* help NULL: another key for the row before */
    bool function;
    int code;
    void (*press)(chat *c);
    int edit; /* instead of press: one of edit, or -1 */
} key_row;

extern const key_row key_table[];
extern const size_t key_count;

/* Text between the marks of a paste is collected and goes in as it is, newlines too, and never runs anything. */
void key_pressed(chat *c, const key *k);
/* Puts in what was pasted: at the end mark, and when it is time (paste_at), since marks get lost. */
void paste_end(chat *c);
#endif
