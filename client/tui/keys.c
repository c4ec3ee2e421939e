#include "keys.h"
#include "commands.h"
#include "main_screen.h"
#include "screens.h"
#include "draw.h"
#include <limits.h>
#include <ncurses.h>
#include <sodium.h>
#include <string.h>
#include <wchar.h>

#define CTRL(letter) ((letter)&0x1f)
enum { ESCAPE = 27, PASTE_MS = 1000 /* without input */ };

/* Between the marks of a bracketed paste. Room for as much as a message holds if every newline comes as two. */
static struct {
    char text[2 * EDITOR_BYTES_MAX];
    size_t bytes;  /* that came, those that had no room as well */
    size_t marked; /* bytes of the end mark that came one by one: a connection may have parted it */
} paste;
static const char end_mark[] = "\033[201~";

static void insert(chat *c, const char *text, size_t n)
{
    if (!editor_insert(&c->edit, text, n))
        chat_tell(c, SAY_CHAT_FULL, "12288", NULL);
}

/* --- actions ----------------------------------------------------------------------------------------------------------------------------- */

static void press_enter(chat *c) { chat_send(c); }
static void press_newline(chat *c) { insert(c, "\n", 1); }
static void press_tab(chat *c) { command_complete(c); }
static void press_help(chat *c) { chat_show(c, SCREEN_HELP); }
static void press_redraw(chat *c)
{
    draw_anew();
    c->dirty = true;
}

static void press_suspend(chat *c)
{
    terminal_suspend();
    c->dirty = true;
}

static void press_command(chat *c, const char *line) { (void)command_run(c, line); }
static void press_requests(chat *c) { press_command(c, "/requests"); }
static void press_verify(chat *c) { press_command(c, "/verify"); }

static void press_search(chat *c)
{
    if (c->edit.bytes == 0)
        insert(c, "/search ", 8);
    else
        chat_tell(c, SAY_CHAT_CLEAR_FIRST, NULL, NULL);
}

static void step(chat *c, bool down, bool unread)
{
    size_t before = c->list.current;
    conversations_step(&c->list, down, unread);
    size_t after = c->list.current;
    if (after == before)
        return;
    c->list.current = before;
    chat_leave(c);
    c->list.current = after;
    chat_open(c);
}
static void press_next(chat *c) { step(c, true, false); }
static void press_previous(chat *c) { step(c, false, false); }
static void press_unread(chat *c) { step(c, true, true); }

static void page(chat *c, int direction)
{
    measures m = main_measures(c);
    long rows = (m.log_rows > 3 ? m.log_rows - 2 : 1) * (long)direction;
    if (m.log_rows > 0 && !transcript_scroll(&c->log, rows, (size_t)m.text_columns, (size_t)m.log_rows) && direction > 0)
        chat_older(c);
    if (direction < 0 && c->log.scroll < (size_t)m.log_rows * 2)
        chat_newer(c);
    if (c->log.scroll == 0 && c->log.newest)
        chat_at_end(c);
}
static void press_page_up(chat *c) { page(c, 1); }
static void press_page_down(chat *c) { page(c, -1); }
static void press_escape(chat *c)
{
    c->log.scroll = 0;
    chat_at_end(c);
}

static void press_quit(chat *c) { c->over = true; }
static void press_interrupt(chat *c)
{
    if (c->edit.bytes > 0) {
        editor_clear(&c->edit);
    } else if (c->quit_asked) {
        c->over = true;
    } else {
        chat_tell(c, SAY_CHAT_LEAVE, NULL, NULL);
        c->quit_asked = true;
    }
}

/* --- the table ---------------------------------------------------------------------------------------------------------------------------------- */

const key_row key_table[] = {
    { "Enter", "send", false, '\r', press_enter, -1 },
    { "Enter (keypad)", NULL, true, KEY_ENTER, press_enter, -1 },
    { "Alt-Enter, Ctrl-J", "new line", true, KEY_ALT_ENTER, press_newline, -1 },
    { "Ctrl-J", NULL, false, '\n', press_newline, -1 },
    { "Tab", "complete a command or a name", false, '\t', press_tab, -1 },
    { "PgUp, PgDn", "older, newer messages", true, KEY_PPAGE, press_page_up, -1 },
    { "PgDn", NULL, true, KEY_NPAGE, press_page_down, -1 },
    { "Ctrl-N, Alt-Down", "next conversation", false, CTRL('N'), press_next, -1 },
    { "Alt-Down", NULL, true, KEY_ALT_DOWN, press_next, -1 },
    { "Ctrl-P, Alt-Up", "previous conversation", false, CTRL('P'), press_previous, -1 },
    { "Alt-Up", NULL, true, KEY_ALT_UP, press_previous, -1 },
    { "Alt-A", "next conversation with unread messages", true, KEY_ALT_A, press_unread, -1 },
    { "F1", "this", true, KEY_F(1), press_help, -1 },
    { "F2", "requests", true, KEY_F(2), press_requests, -1 },
    { "F3", "search", true, KEY_F(3), press_search, -1 },
    { "F4", "compare safety numbers", true, KEY_F(4), press_verify, -1 },
    { "Up, Down", "a line up, down; at the end: what was sent before", true, KEY_UP, NULL, EDIT_UP },
    { "Down", NULL, true, KEY_DOWN, NULL, EDIT_DOWN },
    { "Left, Ctrl-B", "a character to the left", true, KEY_LEFT, NULL, EDIT_LEFT },
    { "Ctrl-B", NULL, false, CTRL('B'), NULL, EDIT_LEFT },
    { "Right, Ctrl-F", "a character to the right", true, KEY_RIGHT, NULL, EDIT_RIGHT },
    { "Ctrl-F", NULL, false, CTRL('F'), NULL, EDIT_RIGHT },
    { "Alt-B, Ctrl-Left", "a word to the left", true, KEY_ALT_B, NULL, EDIT_WORD_LEFT },
    { "Ctrl-Left", NULL, true, KEY_CTRL_LEFT, NULL, EDIT_WORD_LEFT },
    { "Alt-F, Ctrl-Right", "a word to the right", true, KEY_ALT_F, NULL, EDIT_WORD_RIGHT },
    { "Ctrl-Right", NULL, true, KEY_CTRL_RIGHT, NULL, EDIT_WORD_RIGHT },
    { "Home, Ctrl-A", "beginning of the line", true, KEY_HOME, NULL, EDIT_HOME },
    { "Ctrl-A", NULL, false, CTRL('A'), NULL, EDIT_HOME },
    { "End, Ctrl-E", "end of the line", true, KEY_END, NULL, EDIT_END },
    { "Ctrl-E", NULL, false, CTRL('E'), NULL, EDIT_END },
    { "Backspace", "erase to the left", true, KEY_BACKSPACE, NULL, EDIT_ERASE_LEFT },
    { "Backspace", NULL, false, 127, NULL, EDIT_ERASE_LEFT },
    { "Ctrl-H", NULL, false, CTRL('H'), NULL, EDIT_ERASE_LEFT },
    { "Delete, Ctrl-D", "erase to the right", true, KEY_DC, NULL, EDIT_ERASE_RIGHT },
    { "Ctrl-D", NULL, false, CTRL('D'), NULL, EDIT_ERASE_RIGHT },
    { "Ctrl-W", "cut the word to the left", false, CTRL('W'), NULL, EDIT_KILL_WORD_LEFT },
    { "Alt-D", "cut the word to the right", true, KEY_ALT_D, NULL, EDIT_KILL_WORD_RIGHT },
    { "Ctrl-U", "cut to the beginning of the line", false, CTRL('U'), NULL, EDIT_KILL_HOME },
    { "Ctrl-K", "cut to the end of the line", false, CTRL('K'), NULL, EDIT_KILL_END },
    { "Ctrl-Y", "put back what was cut", false, CTRL('Y'), NULL, EDIT_YANK },
    { "Ctrl-L", "draw the screen anew", false, CTRL('L'), press_redraw, -1 },
    { "Ctrl-Z", "back to the shell for now (fg continues)", false, CTRL('Z'), press_suspend, -1 },
    { "Ctrl-C", "clear the line; twice: leave", false, CTRL('C'), press_interrupt, -1 },
    { "Ctrl-Q", "leave; drafts are kept", false, CTRL('Q'), press_quit, -1 },
    { "Esc", "back from a screen like this one; there: to the newest message", false, ESCAPE, press_escape, -1 },
};
const size_t key_count = sizeof key_table / sizeof *key_table;

/* --- pressing --------------------------------------------------------------------------------------------------------------------------------------- */

/* out has room for MB_LEN_MAX. Returns the bytes, 0: none. */
static size_t bytes_of(wchar_t letter, char *out)
{
    mbstate_t state = { 0 };
    size_t n = wcrtomb(out, letter, &state);
    return n == (size_t)-1 ? 0 : n;
}

static void type(chat *c, wchar_t letter)
{
    char bytes[MB_LEN_MAX];
    insert(c, bytes, bytes_of(letter, bytes));
}

static void paste_letter(chat *c, wchar_t letter)
{
    char bytes[MB_LEN_MAX];
    size_t n = bytes_of(letter, bytes);
    if (paste.bytes + n <= sizeof paste.text)
        memcpy(paste.text + paste.bytes, bytes, n);
    paste.bytes += n;
    paste.marked = letter == end_mark[paste.marked] ? paste.marked + 1 : letter == ESCAPE;
    if (!end_mark[paste.marked]) {
        paste.bytes -= paste.marked;
        paste_end(c);
    }
}

void paste_end(chat *c)
{
    size_t n = paste.bytes < sizeof paste.text ? paste.bytes : sizeof paste.text;
    if (!editor_insert(&c->edit, paste.text, n) || n < paste.bytes)
        chat_tell(c, SAY_CHAT_FULL, "12288", NULL);
    sodium_memzero(&paste, sizeof paste);
    c->paste_at = UINT64_MAX;
    c->dirty = true;
}

/* True: the key belonged to a paste. */
static bool pasted(chat *c, const key *k)
{
    bool begins = k->function && k->code == KEY_PASTE_BEGIN, ends = k->function && k->code == KEY_PASTE_END;
    if (!begins && c->paste_at == UINT64_MAX)
        return ends;
    c->paste_at = env_mono_ms(c->env) + PASTE_MS;
    if (ends)
        paste_end(c);
    else if (!k->function)
        paste_letter(c, (wchar_t)k->code);
    return true;
}

void key_pressed(chat *c, const key *k)
{
    bool quit_asked = c->quit_asked;
    if (pasted(c, k))
        return;
    c->dirty = true;
    c->status[0] = '\0';
    c->quit_asked = false;
    if (c->screen != SCREEN_MAIN && screens_key(c, k))
        return;
    for (size_t i = 0; i < key_count; i++) {
        const key_row *r = &key_table[i];
        if (r->function != k->function || r->code != k->code)
            continue;
        if (r->press == press_interrupt)
            c->quit_asked = quit_asked;
        if (r->press)
            r->press(c);
        else if (r->edit >= 0)
            editor_do(&c->edit, (edit)r->edit);
        return;
    }
    if (!k->function && k->code >= ' ')
        type(c, (wchar_t)k->code);
}
