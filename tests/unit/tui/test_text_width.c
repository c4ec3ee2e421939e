/* Columns of clusters: a table, and random bytes. */
#include "suite.h"
#include "text_width.h"
#include <locale.h>
#include <string.h>
#include <wchar.h>

static void utf8(void) { ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8")); }

static const struct {
    const char *what, *text;
    size_t columns, clusters;
} row[] = {
    { "empty", "", 0, 0 },
    { "ascii", "abc", 3, 3 },
    { "umlaut, composed and not", "\u00fcu\u0308", 2, 2 },
    { "CJK is two wide", "漢字", 4, 2 },
    { "fullwidth", "Ａ", 2, 1 },
    { "halfwidth katakana", "ｱ", 1, 1 },
    { "emoji", "😀", 2, 1 },
    { "skin tone is not drawn", "👍\U0001F3FD", 2, 1 },
    { "skin tone alone", "\U0001F3FD", 2, 1 },
    { "joined family is drawn side by side", "👨\u200d👩\u200d👧", 6, 3 },
    { "emoji style is left out", "❤\ufe0f", 1, 1 },
    { "keycap", "1\ufe0f\u20e3", 1, 1 },
    { "Arabic with marks", "مَرْحَبًا", 5, 5 },
    { "Thai with marks", "ที่", 1, 1 },
    { "mark without a base", "\u0301", 1, 1 },
    { "mark after a newline", "\n\u0301", 2, 2 },
    { "more marks than a cell holds", "a\u0301\u0302\u0303\u0304\u0305", 2, 2 },
    { "escape", "\033[2J", 4, 4 },
    { "C1", "\xc2\x9b", 1, 1 },
    { "bidi override", "\u202e", 1, 1 },
    { "zero width space", "\u200b", 1, 1 },
    { "no UTF-8", "\xff\xc3", 2, 2 },
    { "overlong", "\xc0\xaf", 2, 2 },
    { "surrogate", "\xed\xa0\x80", 3, 3 },
    { "cut off", "\xf0\x9f\x98", 3, 3 },
};

START_TEST(table)
{
    utf8();
    const char *text = row[_i].text;
    size_t n = strlen(text), clusters = 0;
    for (size_t i = 0; i < n; clusters++)
        i += cluster_at(text + i, n - i).bytes;
    ck_assert_msg(clusters == row[_i].clusters, "%s: %zu clusters", row[_i].what, clusters);
    ck_assert_msg(text_columns(text, n) == row[_i].columns, "%s: %zu columns", row[_i].what, text_columns(text, n));
}
END_TEST

static size_t any_text(char *out, size_t room)
{
    static const char *const piece[] = { "a", " ", "漢", "😀", "\u0301", "\u200d", "\ufe0f", "\U0001F3FD", "ب", "\n", "\xff", "\033", "é", "\u1160" };
    size_t n = 0, pieces = randombytes_uniform(60);
    for (size_t i = 0; i < pieces && n + 8 < room; i++) {
        const char *p = piece[randombytes_uniform(sizeof piece / sizeof *piece)];
        if (randombytes_uniform(8) == 0) {
            out[n++] = (char)randombytes_uniform(256);
            continue;
        }
        memcpy(out + n, p, strlen(p));
        n += strlen(p);
    }
    return n;
}

/* What ncurses will believe about the columns is what we believe, and nothing that a terminal obeys is in it. */
START_TEST(P05_cells_hold_what_they_claim)
{
    utf8();
    char text[600];
    for (int round = 0; round < 20000; round++) {
        size_t n = any_text(text, sizeof text), columns = 0;
        for (size_t i = 0; i < n;) {
            cluster c = cluster_at(text + i, n - i);
            int width = 0;
            ck_assert_uint_ge(c.bytes, 1);
            ck_assert_uint_le(i + c.bytes, n);
            ck_assert_uint_ge(wcslen(c.shown), 1);
            for (const wchar_t *w = c.shown; *w; w++) {
                ck_assert_int_ge(*w, 0x20);
                ck_assert(*w < 0x7f || *w >= 0xa0);
                ck_assert_int_eq(wcwidth(*w) > 0, w == c.shown);
                width += wcwidth(*w);
            }
            ck_assert_int_eq(width, c.columns);
            columns += (size_t)c.columns;
            i += c.bytes;
        }
        ck_assert_uint_eq(columns, text_columns(text, n));
        size_t want = randombytes_uniform(40), fits = text_fit(text, n, want);
        ck_assert_uint_le(text_columns(text, fits), want);
        if (fits < n)
            ck_assert_uint_gt(text_columns(text, fits) + (size_t)cluster_at(text + fits, n - fits).columns, want);
    }
}
END_TEST

START_TEST(before_undoes_after)
{
    utf8();
    char text[600];
    for (int round = 0; round < 5000; round++) {
        size_t n = any_text(text, sizeof text), last = 0, at = 0;
        while (at < n) {
            last = at;
            at += cluster_at(text + at, n - at).bytes;
            ck_assert_uint_eq(cluster_before(text, at), last);
        }
        ck_assert_uint_eq(cluster_before(text, 0), 0);
    }
}
END_TEST

static const struct {
    const char *text;
    size_t columns;
    const char *want;
} cut[] = {
    { "maximilian.m", 12, "maximilian.m" },
    { "maximilian.m-2", 12, "maxim…an.m-2" },
    { "maximilian.m-2", 13, "maximi…an.m-2" },
    { "maximilian.m-2", 3, "m…2" },
    { "alice", 4, "a…ce" },
    { "漢字漢字漢字-2", 8, "漢…字-2" },
    { "漢字漢字漢字-2", 9, "漢字…字-2" },
    { "漢字漢", 5, "漢…漢" },
    { "漢字漢", 3, "漢…" },
    { "abcde\u0301", 4, "a…de\u0301" },
};

START_TEST(middle_is_left_out)
{
    utf8();
    char got[80];
    const char *text = cut[_i].text;
    size_t n = strlen(text), from = 7, to = 7;
    bool cuts = text_middle(text, n, cut[_i].columns, &from, &to);
    if (cuts)
        snprintf(got, sizeof got, "%.*s…%s", (int)from, text, text + to);
    else
        snprintf(got, sizeof got, "%s", text);
    ck_assert_str_eq(got, cut[_i].want);
    ck_assert_uint_le(text_columns(got, strlen(got)), cut[_i].columns);
    ck_assert(cuts || (from == 7 && to == 7));
}
END_TEST

SUITE("text_width", LOOP(table, ROWS(row)), LOOP(middle_is_left_out, ROWS(cut)), TEST(P05_cells_hold_what_they_claim), TEST(before_undoes_after))
