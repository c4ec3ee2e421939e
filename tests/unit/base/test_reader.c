/* The cursor over strangers' bytes, and its counterpart: every truncation of what the writer wrote must be noticed. */
#include "base/reader.h"
#include "base/writer.h"
#include "suite.h"

static size_t sample(uint8_t out[64])
{
    writer w = writer_over(out, 64);
    write_be(&w, 0x0102, 2);
    write_label(&w, "tacet x");
    write_be(&w, UINT64_C(0x1122334455667788), 8);
    write_zeros(&w, 3);
    return writer_bytes(&w);
}

START_TEST(reads_back_what_was_written)
{
    uint8_t buf[64] = { 0 };
    size_t n = sample(buf);
    ck_assert_uint_eq(n, 2 + 8 + 8 + 3);
    reader r = reader_over(buf, n);
    ck_assert_uint_eq(read_be(&r, 2), 0x0102);
    ck_assert_mem_eq(read_view(&r, 8), "tacet x", 8);
    ck_assert_uint_eq(read_be(&r, 8), UINT64_C(0x1122334455667788));
    ck_assert(!reader_done(&r));
    read_view(&r, 3);
    ck_assert(reader_done(&r));
}
END_TEST

START_TEST(every_truncation_is_bad_and_reads_zeros)
{
    uint8_t buf[64] = { 0 };
    size_t n = sample(buf);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t label[8];
        reader r = reader_over(buf, cut);
        read_be(&r, 2);
        read_into(&r, label, 8);
        read_be(&r, 8);
        read_view(&r, 3);
        ck_assert_msg(!reader_done(&r), "cut at %zu", cut);
        ck_assert_uint_eq(read_be(&r, 1), 0);
        ck_assert_uint_eq(reader_left(&r), 0);
    }
}
END_TEST

START_TEST(trailing_byte_is_not_done)
{
    uint8_t buf[64] = { 0 };
    reader r = reader_over(buf, 3);
    read_be(&r, 2);
    ck_assert(!reader_done(&r));
}
END_TEST

START_TEST(huge_length_does_not_wrap)
{
    uint8_t buf[4] = { 0 };
    reader r = reader_over(buf, 4);
    ck_assert_ptr_null(read_view(&r, SIZE_MAX));
    ck_assert(r.bad);
}
END_TEST

START_TEST(writer_never_writes_past_the_end)
{
    uint8_t buf[4] = { 9, 9, 9, 9 };
    writer w = writer_over(buf, 3);
    write_be(&w, 1, 2);
    write_be(&w, 2, 2);
    write_be(&w, 3, 1);
    ck_assert(!writer_ok(&w));
    ck_assert_uint_eq(writer_bytes(&w), 0);
    ck_assert_uint_eq(buf[3], 9);
}
END_TEST

SUITE("reader", TEST(reads_back_what_was_written), TEST(every_truncation_is_bad_and_reads_zeros), TEST(trailing_byte_is_not_done),
      TEST(huge_length_does_not_wrap), TEST(writer_never_writes_past_the_end))
