/* P05: what a terminal would obey is shown instead, in text, names and JSON; what people write in any language stays as it is. */
#include "harmless.h"
#include "base/text.h"
#include "suite.h"
#include <jansson.h>
#include <string.h>

static const struct {
    const char *what, *text, *shown;
} row[] = {
    { "plain", "hi bob", "hi bob" },
    { "accents", "d\xc3\xa9j\xc3\xa0 vu", "d\xc3\xa9j\xc3\xa0 vu" },
    { "cjk", "\xe4\xbd\xa0\xe5\xa5\xbd", "\xe4\xbd\xa0\xe5\xa5\xbd" },
    { "emoji", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
    { "emoji joined", "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9", "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9" },
    { "heart in colour", "\xe2\x9d\xa4\xef\xb8\x8f", "\xe2\x9d\xa4\xef\xb8\x8f" },
    { "keycap", "1\xef\xb8\x8f\xe2\x83\xa3", "1\xef\xb8\x8f\xe2\x83\xa3" },
    { "persian non-joiner", "\xd9\x85\xe2\x80\x8c\xd8\xb1", "\xd9\x85\xe2\x80\x8c\xd8\xb1" },
    { "ESC", "a\x1b[31mb", "a\\x1b[31mb" },
    { "CSI clear", "\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H" },
    { "OSC 52 clipboard", "\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07" },
    { "OSC 8 link", "\x1b]8;;http://x\x1b\\y", "\\x1b]8;;http://x\\x1b\\y" },
    { "DCS", "\x1bP$qm\x1b\\", "\\x1bP$qm\\x1b\\" },
    { "BEL", "\a", "\\x07" },
    { "CR overwrites", "bob: no\rbob: yes", "bob: no\\x0dbob: yes" },
    { "backspace", "no\b\bok", "no\\x08\\x08ok" },
    { "newline in a line", "a\nb", "a\\nb" },
    { "tab in a line", "a\tb", "a\\tb" },
    { "DEL", "\x7f", "\\x7f" },
    { "C1 CSI",
      "\xc2\x9b"
      "31m",
      "\\x9b31m" },
    { "C1 OSC",
      "\xc2\x9d"
      "52",
      "\\x9d52" },
    { "raw byte 9b",
      "\x9b"
      "31m",
      "\\x9b31m" },
    { "bad UTF-8", "a\xff\xfe", "a\\xff\\xfe" },
    { "overlong ESC", "\xc0\x9b", "\\xc0\\x9b" },
    { "surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80" },
    { "cut character", "\xe2\x82", "\\xe2\\x82" },
    { "right-to-left override",
      "gpj.\xe2\x80\xae"
      "exe",
      "gpj.\\u{202e}exe" },
    { "isolate", "\xe2\x81\xa6x\xe2\x81\xa9", "\\u{2066}x\\u{2069}" },
    { "left-to-right mark", "\xe2\x80\x8e", "\\u{200e}" },
    { "arabic letter mark", "\xd8\x9c", "\\u{61c}" },
    { "zero-width space",
      "bo\xe2\x80\x8b"
      "b",
      "bo\\u{200b}b" },
    { "zero-width joiner in latin",
      "bo\xe2\x80\x8d"
      "b",
      "bo\\u{200d}b" },
    { "word joiner",
      "bo\xe2\x81\xa0"
      "b",
      "bo\\u{2060}b" },
    { "byte order mark",
      "\xef\xbb\xbf"
      "bob",
      "\\u{feff}bob" },
    { "soft hyphen",
      "bo\xc2\xad"
      "b",
      "bo\\xadb" },
    { "grapheme joiner",
      "bo\xcd\x8f"
      "b",
      "bo\\u{34f}b" },
    { "hangul filler", "bob\xe3\x85\xa4", "bob\\u{3164}" },
    { "tag characters", "\xf3\xa0\x81\x81", "\\u{e0041}" },
    { "selector on a letter", "b\xef\xb8\x8f", "b\\u{fe0f}" },
    { "line separator",
      "a\xe2\x80\xa8"
      "b",
      "a\\u{2028}b" },
    { "noncharacter", "\xef\xbf\xbf", "\\u{ffff}" },
    { "mark on nothing", "\xcc\x81x", "\\u{301}x" },
    { "a tower of marks", "a\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81", "a\xcc\x81\xcc\x81\xcc\x81\xcc\x81\\u{301}" },
};

START_TEST(P05_shown_not_obeyed)
{
    char out[256];
    size_t n = harmless_text(out, row[_i].text, strlen(row[_i].text), HARMLESS_ONE_LINE, 0);
    ck_assert_msg(strcmp(out, row[_i].shown) == 0, "%s: got \"%s\"", row[_i].what, out);
    ck_assert_uint_eq(n, strlen(out));
    ck_assert_uint_lt(n, HARMLESS_ROOM(strlen(row[_i].text)));
    ck_assert(utf8_valid((const uint8_t *)out, n));
}
END_TEST

START_TEST(P05_every_code_point_leaves_only_what_may_be_written)
{
    for (uint32_t p = 0; p <= 0x10ffff; p++) {
        char in[5] = { 0 }, out[HARMLESS_ROOM(4)];
        size_t n = 0;
        if (p < 0x80)
            in[n++] = (char)p;
        else if (p < 0x800)
            in[n++] = (char)(0xc0 | p >> 6);
        else if (p < 0x10000)
            in[n++] = (char)(0xe0 | p >> 12);
        else
            in[n++] = (char)(0xf0 | p >> 18);
        for (int tail = p < 0x80 ? 0 : p < 0x800 ? 1 : p < 0x10000 ? 2 : 3; tail > 0; tail--)
            in[n++] = (char)(0x80 | (p >> 6 * (tail - 1) & 0x3f));
        size_t made = harmless_text(out, in, n, HARMLESS_ONE_LINE, 0);
        bool same = made == n && memcmp(out, in, n) == 0;
        ck_assert_msg(!same || !harmless_hides(p), "U+%04x went through", p);
        ck_assert_msg(made < sizeof out && utf8_valid((const uint8_t *)out, made), "U+%04x", p);
        for (size_t i = 0; i < made; i++)
            ck_assert_msg((uint8_t)out[i] >= 0x20 && out[i] != 0x7f, "U+%04x leaves a control byte", p);
    }
}
END_TEST

START_TEST(P05_every_pair_of_bytes_stays_in_its_room)
{
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            char in[2] = { (char)a, (char)b };
            char *out = malloc(HARMLESS_ROOM(2)); /* for the sanitizer to watch */
            ck_assert_ptr_nonnull(out);
            size_t n = harmless_text(out, in, 2, HARMLESS_ONE_LINE, 0);
            ck_assert(utf8_valid((const uint8_t *)out, n));
            free(out);
        }
}
END_TEST

START_TEST(P05_text_of_many_lines_cannot_pose_as_the_next_message)
{
    char *out = harmless_copy("one\r\n12:00 alice: two\tx\rz", HARMLESS_MANY_LINES, 4);
    ck_assert_ptr_nonnull(out);
    ck_assert_str_eq(out, "one\n    12:00 alice: two    x\\x0dz");
    free(out);
}
END_TEST

START_TEST(P05_json_hides_them_and_gives_the_same_text_back)
{
    json_t *o = json_pack("{s:s%}", "text", row[_i].text, strlen(row[_i].text));
    if (!o) { /* not UTF-8: can never be in a JSON object */
        ck_assert(!utf8_valid((const uint8_t *)row[_i].text, strlen(row[_i].text)));
        return;
    }
    char *plain = json_dumps(o, JSON_COMPACT), *safe = plain ? harmless_json(plain) : NULL;
    ck_assert_ptr_nonnull(safe);
    char *again = harmless_copy(safe, HARMLESS_ONE_LINE, 0);
    ck_assert_str_eq(again, safe); /* nothing left to hide */
    json_t *back = json_loads(safe, 0, NULL);
    ck_assert_msg(json_equal(o, back), "%s: %s", row[_i].what, safe);
    json_decref(o);
    json_decref(back);
    free(plain);
    free(safe);
    free(again);
}
END_TEST

SUITE("harmless", LOOP(P05_shown_not_obeyed, ROWS(row)), TEST(P05_every_code_point_leaves_only_what_may_be_written),
      TEST(P05_every_pair_of_bytes_stays_in_its_room), TEST(P05_text_of_many_lines_cannot_pose_as_the_next_message),
      LOOP(P05_json_hides_them_and_gives_the_same_text_back, ROWS(row)))
