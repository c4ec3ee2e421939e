/* Bits of chunks, and their form on the wire. */
#include "suite.h"
#include "transfer/bits.h"
#include <string.h>

static const uint32_t count[] = { 1, 7, 8, 9, 63, 64, 65, 129, 1000 };
START_TEST(zeros_are_found_in_order)
{
    bits b;
    ck_assert_int_eq(bits_new(&b, count[_i]), TACET_OK);
    for (uint32_t i = 0; i < b.count; i++) {
        ck_assert_uint_eq(bits_next_zero(&b, 0), i);
        ck_assert(bits_put(&b, i));
        ck_assert(!bits_put(&b, i));
        ck_assert_uint_eq(b.set, i + 1);
    }
    ck_assert_uint_eq(bits_next_zero(&b, 0), b.count);
    ck_assert_uint_eq(bits_next_zero(&b, b.count), b.count);
    bits_clear(&b);
    ck_assert_uint_eq(bits_next_zero(&b, b.count - 1), b.count - 1);
    bits_free(&b);
}
END_TEST

START_TEST(over_the_wire_and_back)
{
    bits a, b;
    uint8_t wire[128];
    ck_assert_int_eq(bits_new(&a, 1000), TACET_OK);
    ck_assert_int_eq(bits_new(&b, 1000), TACET_OK);
    for (uint32_t i = 3; i < 1000; i += i % 7 + 1)
        bits_put(&a, i);
    for (uint32_t first = 0; first < 1000; first += 8 * 40) {
        size_t n = bits_to_wire(&a, first, wire, 40);
        ck_assert_int_eq(bits_from_wire(&b, first, wire, n), TACET_OK);
    }
    ck_assert_uint_eq(a.set, b.set);
    ck_assert_mem_eq(a.word, b.word, 16 * 8 - 8);
    bits_free(&a);
    bits_free(&b);
}
END_TEST

/* PROTOCOL.md §8.3: chunk first + 8 i + j is bit j of byte i; bits beyond the last chunk are 0. */
static const struct {
    uint32_t chunks, first;
    uint8_t bytes[3];
    size_t n;
    int want;
    uint32_t lowest;
} wire[] = {
    { 20, 0, { 1 }, 1, TACET_OK, 0 },
    { 20, 0, { 0x80 }, 1, TACET_OK, 7 },
    { 20, 8, { 0, 0x08 }, 2, TACET_OK, 19 },
    { 20, 8, { 0, 0x10 }, 2, TACET_E_MALFORMED, 0 },
    { 20, 0, { 0, 0, 0xff }, 3, TACET_E_MALFORMED, 0 },
    { 8, 8, { 1 }, 1, TACET_E_MALFORMED, 0 },
    { 8, 8, { 0 }, 1, TACET_OK, 8 },
    { 20, UINT32_MAX - 7, { 1 }, 1, TACET_E_MALFORMED, 0 },
};
START_TEST(bits_beyond_the_last_are_refused)
{
    bits b;
    ck_assert_int_eq(bits_new(&b, wire[_i].chunks), TACET_OK);
    ck_assert_int_eq(bits_from_wire(&b, wire[_i].first, wire[_i].bytes, wire[_i].n), wire[_i].want);
    if (wire[_i].want != TACET_OK)
        ck_assert_uint_eq(b.set, 0);
    else if (wire[_i].lowest < b.count)
        ck_assert(bits_get(&b, wire[_i].lowest));
    bits_free(&b);
}
END_TEST

SUITE("bits", LOOP(zeros_are_found_in_order, ROWS(count)), TEST(over_the_wire_and_back), LOOP(bits_beyond_the_last_are_refused, ROWS(wire)))
