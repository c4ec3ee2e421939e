/* Wrapping: a table, and random text against the rules. */
#include "line_model.h"
#include "suite.h"
#include "text_width.h"
#include <locale.h>
#include <string.h>

static const struct {
    const char *text;
    size_t columns;
    const char *lines; /* joined by | */
} row[] = {
    { "", 10, "" },
    { "one", 10, "one" },
    { "one two three", 7, "one two|three" },
    { "one two three", 8, "one two|three" },
    { "one two three", 3, "one|two|thr|ee" },
    { "one two ", 7, "one two" },
    { "a\nb", 10, "a|b" },
    { "a\n", 10, "a|" },
    { "a\n\nb", 10, "a||b" },
    { "ab \ncd", 2, "ab|cd" },
    { "  indented", 20, "  indented" },
    { "漢字漢字", 5, "漢字|漢字" },
    { "漢字", 1, "漢|字" },
    { "ab漢", 3, "ab|漢" },
    { "e\u0301e\u0301e\u0301", 2, "e\u0301e\u0301|e\u0301" },
    { "supercalifragilistic x", 10, "supercalif|ragilistic|x" },
};

START_TEST(table)
{
    char got[300] = "";
    size_t n = strlen(row[_i].text), used = 0;
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    line_walk w = lines_of(row[_i].text, n, row[_i].columns);
    text_line l;
    for (int i = 0; line_take(&w, &l); i++)
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%.*s", i ? "|" : "", (int)l.bytes, row[_i].text + l.begin);
    ck_assert_msg(strcmp(got, row[_i].lines) == 0, "\"%s\" in %zu: %s", row[_i].text, row[_i].columns, got);
}
END_TEST

/* Nothing is lost but blanks and newlines at breaks, nothing is twice, no line is too wide, and a line ends early only where the next word would not
 * have fitted. */
START_TEST(random_text_keeps_the_rules)
{
    static const char *const piece[] = { "a",
                                         "b",
                                         " ",
                                         " ",
                                         "\n",
                                         "漢",
                                         "😀",
                                         "e\u0301",
                                         "word",
                                         "\u200d",
                                         "ب",
                                         "-",
                                         "\t",
                                         "👨‍👩‍👧",
                                         "🇩🇪",
                                         "1️⃣",
                                         "مَرْحَبًا",
                                         "ที่",
                                         "한글",
                                         "नमस्ते",
                                         "ｶﾞ",
                                         "\xff",
                                         "a\u0301\u0301\u0301\u0301\u0301\u0301",
                                         "averyveryverylongwordthatfitsintonolineofthesewidthswhateverhappens" };
    char text[7000];
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    for (int round = 0; round < 20000; round++) {
        size_t n = 0, pieces = randombytes_uniform(100), columns = 2 + randombytes_uniform(30), at = 0, lines = 0;
        for (size_t i = 0; i < pieces; i++) {
            const char *p = piece[randombytes_uniform(sizeof piece / sizeof *piece)];
            memcpy(text + n, p, strlen(p));
            n += strlen(p);
        }
        text[n] = '\0';
        line_walk w = lines_of(text, n, columns);
        text_line l;
        while (line_take(&w, &l)) {
            ck_assert_uint_ge(l.begin, at);
            for (; at < l.begin; at++)
                ck_assert_msg(text[at] == ' ' || text[at] == '\n', "lost: %s", text);
            ck_assert_uint_eq(text_columns(text + l.begin, l.bytes), l.columns);
            ck_assert_uint_le(l.columns, columns);
            ck_assert_ptr_null(memchr(text + l.begin, '\n', l.bytes));
            size_t within = l.begin;
            while (within < l.begin + l.bytes)
                within += cluster_at(text + within, n - within).bytes;
            ck_assert_msg(within == l.begin + l.bytes, "parted inside of a cluster: %s", text);
            at = l.begin + l.bytes;
            lines++;
            ck_assert_uint_le(lines, n + 1);
        }
        for (; at < n; at++)
            ck_assert(text[at] == ' ' || text[at] == '\n');
        ck_assert_uint_eq(lines, line_count(text, n, columns));
        ck_assert_uint_ge(lines, 1);
    }
}
END_TEST

SUITE("line_model", LOOP(table, ROWS(row)), TEST(random_text_keeps_the_rules))
