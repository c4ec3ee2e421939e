/* F04: what a stranger calls a file, and what it is called here. */
#include "suite.h"
#include "base/text.h"
#include "transfer/file_name.h"
#include <string.h>

#define N(text) text, sizeof(text) - 1
#define A50 "aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaa"
static const struct {
    const char *name;
    size_t n;
    const char *want;
} row[] = {
    { N("a.bin"), "a.bin" },
    { N("r\xc3\xa9sum\xc3\xa9.pdf"), "r\xc3\xa9sum\xc3\xa9.pdf" },
    { N("../x"), "x" },
    { N("../../etc/cron.d/x"), "x" },
    { N("/etc/passwd"), "passwd" },
    { N("a\\..\\b"), "a_.._b" },
    { N("C:\\x"), "C:_x" },
    { N(""), "file" },
    { N("."), "file" },
    { N(".."), "file" },
    { N("..."), "file" },
    { N("/"), "file" },
    { N("a/"), "file" },
    { N("   "), "file" },
    { N("-rf"), "_rf" },
    { N("--help"), "__help" },
    { N(".ssh/authorized_keys"), "authorized_keys" },
    { N(".bashrc"), "_bashrc" },
    { N("..hidden"), "__hidden" },
    { N("~root"), "_root" },
    { N(" x "), "_x" },
    { N("x. ."), "x" },
    { N("a\nb\tc"), "a_b_c" },
    { N("a\x1b[31mb\x07"), "a_[31mb_" },
    { N("a\x1b]52;c;aGk=\x07"), "a_]52;c;aGk=_" },
    { N("a\xc2\x9b"
        "b"),
      "a_b" }, /* C1 CSI */
    { N("a\xe2\x80\xae"
        "cod.exe"),
      "a_cod.exe" }, /* right-to-left override */
    { N("a\xe2\x81\xa6"
        "b\xe2\x81\xa9"),
      "a_b_" }, /* isolates */
    { N("a\xe2\x80\x8b"
        "b\xef\xbb\xbf"),
      "a_b_" }, /* zero width, BOM */
    { N("a\xf3\xa0\x81\x81"
        "b"),
      "a_b" }, /* tags */
    { N("a\xe2\x80\xa8"
        "b"),
      "a_b" }, /* line separator */
    { N("\xf0\x9f\x93\x8e.txt"), "\xf0\x9f\x93\x8e.txt" },
    { N("x.tar.gz"), "x.tar.gz" },
    { N(A50 A50 A50 A50 A50 A50 ".txt"), NULL },
};
START_TEST(F04_names)
{
    char out[FILE_NAME_ROOM];
    file_name_safe(out, (const uint8_t *)row[_i].name, row[_i].n);
    if (row[_i].want)
        ck_assert_str_eq(out, row[_i].want);
    ck_assert_uint_le(strlen(out), FILE_NAME_KEPT_MAX_BYTES);
    ck_assert(utf8_valid((const uint8_t *)out, strlen(out)));
    ck_assert_ptr_null(strchr(out, '/'));
    ck_assert(out[0] != '.' && out[0] != '-' && out[0] != '\0');
}
END_TEST

START_TEST(F04_long_names_are_cut_between_characters_and_keep_their_ending)
{
    uint8_t name[255];
    char out[FILE_NAME_ROOM], part[FILE_NAME_ROOM];
    for (size_t shift = 0; shift < 4; shift++) {
        for (size_t i = 0; i < 252; i += 3)
            memcpy(name + i, "\xe2\x82\xac", 3);
        memset(name, 'x', shift);
        if (shift % 3)
            memset(name, 'x', 3);
        memcpy(name + 249, ".jpeg", 5);
        file_name_safe(out, name, 254);
        ck_assert(utf8_valid((const uint8_t *)out, strlen(out)));
        ck_assert_uint_le(strlen(out), FILE_NAME_KEPT_MAX_BYTES);
        ck_assert_str_eq(out + strlen(out) - 5, ".jpeg");
        file_name_part(part, out, (const uint8_t *)"01234567", FILE_NAME_TAG_BYTES);
        ck_assert_uint_lt(strlen(part), FILE_NAME_ROOM - 1);
        ck_assert_str_eq(part + strlen(part) - 22, ".3031323334353637.part");
        file_name_numbered(part, out, 4000000000);
        ck_assert_str_eq(part + strlen(part) - 5, ".jpeg");
    }
}
END_TEST

static const struct {
    const char *safe;
    unsigned number;
    const char *want;
} numbered[] = {
    { "a.txt", 1, "a.txt" }, { "a.txt", 2, "a-2.txt" }, { "a", 3, "a-3" }, { "a.tar.gz", 2, "a.tar-2.gz" }, { "_rc", 12, "_rc-12" },
};
START_TEST(F06_numbers_stand_before_the_ending)
{
    char out[FILE_NAME_ROOM];
    file_name_numbered(out, numbered[_i].safe, numbered[_i].number);
    ck_assert_str_eq(out, numbered[_i].want);
}
END_TEST

SUITE("file_name", LOOP(F04_names, ROWS(row)), TEST(F04_long_names_are_cut_between_characters_and_keep_their_ending),
      LOOP(F06_numbers_stand_before_the_ending, ROWS(numbered)))
