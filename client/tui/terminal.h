/* tui/terminal.h: the terminal as such: taking it and giving it back, keys, size, suspend. With draw.c the only file that calls ncurses. */
#ifndef TUI_TERMINAL_H
#define TUI_TERMINAL_H
#include "engine/caller.h"
#include <stdbool.h>
#include <wchar.h>

/* Keys beyond ncurses' own, as ncurses reports them once they are defined. */
enum {
    KEY_PASTE_BEGIN = 0x1000,
    KEY_PASTE_END,
    KEY_ALT_ENTER,
    KEY_ALT_B,
    KEY_ALT_F,
    KEY_ALT_D,
    KEY_ALT_A,
    KEY_ALT_UP,
    KEY_ALT_DOWN,
    KEY_CTRL_LEFT,
    KEY_CTRL_RIGHT,
};

typedef struct {
    bool function; /* code is one of KEY_...; otherwise a character, control characters included */
    int code;
} key;

/* False: this terminal cannot be used (no TERM, or one without a cursor), *error says so. */
bool terminal_open(bool color, engine_error *error);
void terminal_close(void);
/* What is to be waited for: the keyboard and the signals. */
void terminal_fds(struct pollfd out[2]);
/* The next key without waiting; false: none. */
bool terminal_key(key *out);
/* After the second fd had something: resizes, suspends. True: everything must be drawn anew. */
bool terminal_signals(void);
void terminal_suspend(void);
#endif
