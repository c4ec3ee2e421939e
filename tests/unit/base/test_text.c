/* base32, hex and UTF-8: one text for each byte string, everything else refused. */
#include "base/text.h"
#include "suite.h"
#include <string.h>

static const struct {
    const char *bytes, *text;
} rfc4648[] = {
    { "", "" }, { "f", "my" }, { "fo", "mzxq" }, { "foo", "mzxw6" }, { "foob", "mzxw6yq" }, { "fooba", "mzxw6ytb" }, { "foobar", "mzxw6ytboi" },
};
START_TEST(base32_follows_rfc4648)
{
    char text[32];
    uint8_t back[32];
    size_t n = strlen(rfc4648[_i].bytes);
    base32_encode(text, (const uint8_t *)rfc4648[_i].bytes, n);
    ck_assert_str_eq(text, rfc4648[_i].text);
    ck_assert_int_eq(base32_decode(back, n, text, strlen(text)), TACET_OK);
    ck_assert_mem_eq(back, rfc4648[_i].bytes, n);
}
END_TEST

static const struct {
    const char *text;
    size_t n;
} bad32[] = {
    { "mz", 1 }, /* spare bits set */
    { "MY", 1 }, { "m1", 1 }, { "my=", 1 }, { "m", 1 }, { "myy", 1 }, { "m\xc3", 1 }, { "", 1 },
};
START_TEST(base32_refuses)
{
    uint8_t out[8];
    ck_assert_int_eq(base32_decode(out, bad32[_i].n, bad32[_i].text, strlen(bad32[_i].text)), TACET_E_MALFORMED);
}
END_TEST

START_TEST(hex_both_ways_and_strict)
{
    uint8_t out[4];
    char text[9];
    ck_assert_int_eq(hex_decode(out, 4, "00ff10a5", 8), TACET_OK);
    hex_encode(text, out, 4);
    ck_assert_str_eq(text, "00ff10a5");
    ck_assert_int_eq(hex_decode(out, 4, "00FF10A5", 8), TACET_E_MALFORMED);
    ck_assert_int_eq(hex_decode(out, 4, "00ff10a", 7), TACET_E_MALFORMED);
}
END_TEST

static const struct {
    const char *bytes;
    size_t n;
    bool ok;
} utf8[] = {
    { "plain", 5, true },
    { "\xc3\xa9", 2, true },
    { "\xe2\x82\xac", 3, true },
    { "\xf0\x9f\x98\x80", 4, true },
    { "\xf4\x8f\xbf\xbf", 4, true },
    { "\xc0\x80", 2, false },
    { "\xc1\xbf", 2, false },
    { "\xe0\x80\x80", 3, false },
    { "\xed\xa0\x80", 3, false },
    { "\xf4\x90\x80\x80", 4, false },
    { "\xf8\x88\x80\x80\x80", 5, false },
    { "\x80", 1, false },
    { "\xe2\x82", 2, false },
    { "a\0b", 3, false },
    { "\xff", 1, false },
    { "\xf0\x80\x80\x80", 4, false },
    { "\xe2\x28\xa1", 3, false },
};
START_TEST(P03_utf8_is_checked) { ck_assert_int_eq(utf8_valid((const uint8_t *)utf8[_i].bytes, utf8[_i].n), utf8[_i].ok); }
END_TEST

SUITE("text", LOOP(base32_follows_rfc4648, ROWS(rfc4648)), LOOP(base32_refuses, ROWS(bad32)), TEST(hex_both_ways_and_strict),
      LOOP(P03_utf8_is_checked, ROWS(utf8)))
