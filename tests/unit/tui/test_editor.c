/* The editor: dialogues, then random editing against its promises. */
#include "base/text.h"
#include "editor.h"
#include "suite.h"
#include "text_width.h"
#include <locale.h>
#include <string.h>

static editor e;
static void open_it(void)
{
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    ck_assert(editor_open(&e));
}
static void type(const char *text) { ck_assert(editor_insert(&e, text, strlen(text))); }
/* The text with | where the cursor is. */
static void is(const char *want)
{
    char got[600];
    snprintf(got, sizeof got, "%.*s|%s", (int)e.cursor, e.text, e.text + e.cursor);
    ck_assert_str_eq(got, want);
}

static const struct {
    const char *text;
    edit what[8];
    int count;
    const char *want;
} row[] = {
    { "abc", { EDIT_LEFT }, 1, "ab|c" },
    { "abc", { EDIT_HOME, EDIT_LEFT }, 2, "|abc" },
    { "abc", { EDIT_HOME, EDIT_RIGHT }, 2, "a|bc" },
    { "e\u0301x", { EDIT_LEFT, EDIT_LEFT }, 2, "|e\u0301x" },
    { "e\u0301", { EDIT_ERASE_LEFT }, 1, "|" },
    { "👍\U0001F3FD", { EDIT_ERASE_LEFT }, 1, "|" },
    { "漢字", { EDIT_ERASE_LEFT }, 1, "漢|" },
    { "ab", { EDIT_HOME, EDIT_ERASE_RIGHT }, 2, "|b" },
    { "ab", { EDIT_ERASE_RIGHT }, 1, "ab|" },
    { "one two", { EDIT_WORD_LEFT }, 1, "one |two" },
    { "one two  ", { EDIT_WORD_LEFT, EDIT_WORD_LEFT }, 2, "|one two  " },
    { "one two", { EDIT_HOME, EDIT_WORD_RIGHT }, 2, "one| two" },
    { "grün übel", { EDIT_WORD_LEFT }, 1, "grün |übel" },
    { "one two", { EDIT_KILL_WORD_LEFT, EDIT_HOME, EDIT_YANK }, 3, "two|one " },
    { "one two three", { EDIT_KILL_WORD_LEFT, EDIT_KILL_WORD_LEFT, EDIT_YANK }, 3, "one two three|" },
    { "one two", { EDIT_WORD_LEFT, EDIT_KILL_HOME, EDIT_KILL_END, EDIT_YANK }, 4, "one two|" },
    { "a b", { EDIT_KILL_WORD_LEFT, EDIT_LEFT, EDIT_KILL_WORD_LEFT, EDIT_YANK }, 4, "a| " },
    { "one two", { EDIT_HOME, EDIT_KILL_WORD_RIGHT }, 2, "| two" },
    { "one\ntwo", { EDIT_KILL_HOME }, 1, "one\n|" },
    { "one\ntwo", { EDIT_UP, EDIT_KILL_END }, 2, "one|two" },
    { "one\ntwo", { EDIT_UP, EDIT_HOME, EDIT_KILL_END, EDIT_YANK, EDIT_YANK }, 5, "oneone|\ntwo" },
    { "one\ntwo", { EDIT_HOME }, 1, "one\n|two" },
    { "one\ntwo", { EDIT_UP, EDIT_UP }, 2, "one|\ntwo" },
    { "longer\nx", { EDIT_UP, EDIT_END, EDIT_DOWN }, 3, "longer\nx|" },
    { "漢字\nabcd", { EDIT_LEFT, EDIT_UP }, 2, "漢|字\nabcd" },
    { "a", { EDIT_NEWLINE }, 1, "a\n|" },
    { "a\nb", { EDIT_LEFT, EDIT_ERASE_LEFT }, 2, "a|b" },
};

START_TEST(table)
{
    open_it();
    type(row[_i].text);
    for (int i = 0; i < row[_i].count; i++)
        editor_do(&e, row[_i].what[i]);
    is(row[_i].want);
    editor_close(&e);
}
END_TEST

START_TEST(history_keeps_what_was_begun)
{
    open_it();
    type("first");
    editor_done(&e);
    is("|");
    type("second\nline");
    editor_done(&e);
    type("begun");
    editor_do(&e, EDIT_UP);
    is("second\nline|");
    editor_do(&e, EDIT_UP);
    editor_do(&e, EDIT_UP);
    is("first|");
    editor_do(&e, EDIT_DOWN);
    editor_do(&e, EDIT_DOWN);
    is("begun|");
    editor_do(&e, EDIT_DOWN);
    is("begun|");
    for (int i = 0; i < EDITOR_HISTORY_MAX + 5; i++) {
        editor_set(&e, "again");
        editor_done(&e);
    }
    ck_assert_uint_eq(e.history_count, EDITOR_HISTORY_MAX);
    editor_close(&e);
}
END_TEST

START_TEST(control_characters_do_not_get_in)
{
    open_it();
    type("a\033[31mb\rc\r\nd\te\xc2\x9b"
         "f\x7f\xff");
    is("a[31mb\nc\nd    ef|");
    editor_close(&e);
}
END_TEST

START_TEST(limit)
{
    static char much[EDITOR_BYTES_MAX + 10];
    open_it();
    memset(much, 'x', sizeof much);
    ck_assert(!editor_insert(&e, much, sizeof much));
    ck_assert_uint_eq(e.bytes, EDITOR_BYTES_MAX);
    ck_assert(!editor_insert(&e, "y", 1));
    editor_do(&e, EDIT_ERASE_LEFT);
    ck_assert(!editor_insert(&e, "\u00fc", 2));
    ck_assert_uint_eq(e.bytes, EDITOR_BYTES_MAX - 1);
    editor_close(&e);
}
END_TEST

START_TEST(random_editing_keeps_the_promises)
{
    static const char *const piece[] = { "a", " ", "\n", "漢", "😀", "\u0301", "\u200d", "\U0001F3FD", "word", "ب" };
    open_it();
    for (int i = 0; i < 20000; i++) {
        if (randombytes_uniform(3) == 0) {
            const char *p = piece[randombytes_uniform(sizeof piece / sizeof *piece)];
            (void)editor_insert(&e, p, strlen(p));
        } else if (randombytes_uniform(200) == 0) {
            editor_done(&e);
        } else {
            editor_do(&e, (edit)randombytes_uniform(EDIT_NEWLINE + 1));
        }
        if (e.bytes > 300)
            editor_clear(&e);
        ck_assert_uint_eq(strlen(e.text), e.bytes);
        ck_assert_uint_le(e.cursor, e.bytes);
        ck_assert(utf8_valid((const uint8_t *)e.text, e.bytes));
        size_t at = e.cursor;
        while (at > 0 && e.text[at - 1] != '\n')
            at--;
        while (at < e.cursor)
            at += cluster_at(e.text + at, e.bytes - at).bytes;
        ck_assert_uint_eq(at, e.cursor); /* never inside of a cluster */
    }
    editor_close(&e);
}
END_TEST

SUITE("editor", LOOP(table, ROWS(row)), TEST(history_keeps_what_was_begun), TEST(control_characters_do_not_get_in), TEST(limit),
      TEST(random_editing_keeps_the_promises))
