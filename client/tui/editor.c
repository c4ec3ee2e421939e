#include "editor.h"
#include "base/text.h"
#include "text_width.h"
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool editor_open(editor *e)
{
    *e = (editor){ .room = EDITOR_BYTES_MAX + 1 };
    e->text = calloc(1, e->room);
    return e->text != NULL;
}

static char *forget(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
    return NULL;
}

void editor_close(editor *e)
{
    if (e->text)
        sodium_memzero(e->text, e->room);
    free(e->text);
    e->text = NULL;
    e->killed = forget(e->killed);
    e->kept = forget(e->kept);
    for (size_t i = 0; i < e->history_count; i++)
        e->history[i] = forget(e->history[i]);
    e->history_count = e->history_at = 0;
}

/* --- inserting -------------------------------------------------------------------------------------------------------------------------- */

static bool put(editor *e, const char *bytes, size_t n)
{
    if (e->bytes + n > EDITOR_BYTES_MAX)
        return false;
    memmove(e->text + e->cursor + n, e->text + e->cursor, e->bytes - e->cursor + 1);
    memcpy(e->text + e->cursor, bytes, n);
    e->bytes += n;
    e->cursor += n;
    e->changed = true;
    return true;
}

/* What was put in or taken out may have made one cluster of two. At the end of a line there is nothing behind the cursor to be one with. */
static void settle(editor *e)
{
    size_t at = e->cursor;
    if (at == e->bytes || e->text[at] == '\n')
        return;
    while (at > 0 && e->text[at - 1] != '\n')
        at--;
    while (at < e->cursor)
        at += cluster_at(e->text + at, e->bytes - at).bytes;
    e->cursor = at;
}

/* Bytes of the character at text[0..n), 0 when it is none. */
static size_t character(const char *text, size_t n)
{
    for (size_t length = 1; length <= 4 && length <= n; length++)
        if (utf8_valid((const uint8_t *)text, length))
            return length;
    return 0;
}

bool editor_insert(editor *e, const char *text, size_t n)
{
    bool all = true;
    size_t before = e->bytes;
    e->killing = false;
    for (size_t i = 0; i < n && all;) {
        size_t length = character(text + i, n - i);
        uint8_t first = (uint8_t)text[i], second = length == 2 ? (uint8_t)text[i + 1] : 0;
        bool control = first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0);
        if (first == '\r' || first == '\n')
            all = (first == '\n' && i > 0 && text[i - 1] == '\r') || put(e, "\n", 1);
        else if (first == '\t')
            all = put(e, "    ", 4);
        else if (length > 0 && !control)
            all = put(e, text + i, length);
        i += length ? length : 1;
    }
    if (e->bytes > before)
        settle(e);
    return all;
}

void editor_clear(editor *e)
{
    sodium_memzero(e->text, e->room);
    e->bytes = e->cursor = 0;
    e->changed = true;
}

void editor_set(editor *e, const char *text)
{
    editor_clear(e);
    (void)editor_insert(e, text, strlen(text)); /* what is too long is cut: it came from a vault with the same limit */
}

/* --- history ------------------------------------------------------------------------------------------------------------------------------ */

void editor_done(editor *e)
{
    char *copy = e->bytes ? strdup(e->text) : NULL;
    e->kept = forget(e->kept);
    if (copy && e->history_count == EDITOR_HISTORY_MAX) {
        e->history[0] = forget(e->history[0]);
        memmove(e->history, e->history + 1, sizeof *e->history * (EDITOR_HISTORY_MAX - 1));
        e->history_count--;
    }
    if (copy)
        e->history[e->history_count++] = copy;
    e->history_at = e->history_count;
    editor_clear(e);
}

static void history_show(editor *e, size_t at)
{
    if (e->history_at == e->history_count) {
        e->kept = forget(e->kept);
        e->kept = strdup(e->text);
    }
    e->history_at = at;
    const char *text = at < e->history_count ? e->history[at] : e->kept;
    editor_set(e, text ? text : "");
}

/* --- moving ------------------------------------------------------------------------------------------------------------------------------------ */

static size_t after(const editor *e, size_t at)
{
    if (at >= e->bytes)
        return e->bytes;
    return e->text[at] == '\n' ? at + 1 : at + cluster_at(e->text + at, strcspn(e->text + at, "\n")).bytes;
}

/* Letters of any script; what is below U+0080 and no letter or digit parts words. */
static bool in_word(const editor *e, size_t at)
{
    uint8_t b = (uint8_t)e->text[at];
    return b >= 0x80 || (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '_';
}

static size_t word_left(const editor *e)
{
    size_t at = e->cursor;
    while (at > 0 && !in_word(e, cluster_before(e->text, at)))
        at = cluster_before(e->text, at);
    while (at > 0 && in_word(e, cluster_before(e->text, at)))
        at = cluster_before(e->text, at);
    return at;
}

static size_t word_right(const editor *e)
{
    size_t at = e->cursor;
    while (at < e->bytes && !in_word(e, at))
        at = after(e, at);
    while (at < e->bytes && in_word(e, at))
        at = after(e, at);
    return at;
}

static size_t line_begin(const editor *e, size_t at)
{
    while (at > 0 && e->text[at - 1] != '\n')
        at--;
    return at;
}

static size_t line_end(const editor *e, size_t at) { return at + strcspn(e->text + at, "\n"); }

/* The same column a line further, or as near as that line allows. */
static size_t at_column(const editor *e, size_t line, size_t column) { return line + text_fit(e->text + line, line_end(e, line) - line, column); }

static void up(editor *e)
{
    size_t line = line_begin(e, e->cursor), column = text_columns(e->text + line, e->cursor - line);
    if (line > 0)
        e->cursor = at_column(e, line_begin(e, line - 1), column);
    else if (e->history_at > 0)
        history_show(e, e->history_at - 1);
}

static void down(editor *e)
{
    size_t line = line_begin(e, e->cursor), column = text_columns(e->text + line, e->cursor - line), end = line_end(e, e->cursor);
    if (end < e->bytes)
        e->cursor = at_column(e, end + 1, column);
    else if (e->history_at < e->history_count)
        history_show(e, e->history_at + 1);
}

/* --- erasing -------------------------------------------------------------------------------------------------------------------------------------- */

/* Kills in a row are one, as they stood. */
static void kill(editor *e, size_t from, size_t to)
{
    const char *before = e->killing && e->killed && from >= e->cursor ? e->killed : "";
    const char *behind = e->killing && e->killed && from < e->cursor ? e->killed : "";
    char *all = NULL;
    if (asprintf(&all, "%s%.*s%s", before, (int)(to - from), e->text + from, behind) < 0)
        all = NULL; /* no memory: there is nothing to put back */
    e->killed = forget(e->killed);
    e->killed = all;
    e->killing = true;
}

static void erase(editor *e, size_t from, size_t to, bool keep)
{
    if (from == to)
        return;
    if (keep)
        kill(e, from, to);
    memmove(e->text + from, e->text + to, e->bytes - to + 1);
    e->bytes -= to - from;
    sodium_memzero(e->text + e->bytes, to - from);
    e->cursor = from;
    settle(e);
    e->changed = true;
}

/* Up to the end of the line, or, there, the newline itself. */
static size_t kill_end(const editor *e)
{
    size_t end = line_end(e, e->cursor);
    return end == e->cursor && end < e->bytes ? end + 1 : end;
}

void editor_do(editor *e, edit what)
{
    if (what < EDIT_KILL_WORD_LEFT || what > EDIT_KILL_END)
        e->killing = false;
    switch (what) {
    case EDIT_LEFT:
        e->cursor = cluster_before(e->text, e->cursor);
        break;
    case EDIT_RIGHT:
        e->cursor = after(e, e->cursor);
        break;
    case EDIT_WORD_LEFT:
        e->cursor = word_left(e);
        break;
    case EDIT_WORD_RIGHT:
        e->cursor = word_right(e);
        break;
    case EDIT_HOME:
        e->cursor = line_begin(e, e->cursor);
        break;
    case EDIT_END:
        e->cursor = line_end(e, e->cursor);
        break;
    case EDIT_UP:
        up(e);
        break;
    case EDIT_DOWN:
        down(e);
        break;
    case EDIT_ERASE_LEFT:
        erase(e, cluster_before(e->text, e->cursor), e->cursor, false);
        break;
    case EDIT_ERASE_RIGHT:
        erase(e, e->cursor, after(e, e->cursor), false);
        break;
    case EDIT_KILL_WORD_LEFT:
        erase(e, word_left(e), e->cursor, true);
        break;
    case EDIT_KILL_WORD_RIGHT:
        erase(e, e->cursor, word_right(e), true);
        break;
    case EDIT_KILL_HOME:
        erase(e, line_begin(e, e->cursor), e->cursor, true);
        break;
    case EDIT_KILL_END:
        erase(e, e->cursor, kill_end(e), true);
        break;
    case EDIT_YANK:
        if (e->killed)
            (void)editor_insert(e, e->killed, strlen(e->killed)); /* as much as fits */
        break;
    case EDIT_NEWLINE:
        (void)editor_insert(e, "\n", 1);
        break;
    }
}
