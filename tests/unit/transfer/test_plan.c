/* Sizes and chunks: edges by hand, PADMÉ against a second derivation (tests/vectors/files.json). */
#include "suite.h"
#include "transfer/plan.h"
#include <jansson.h>
#include <string.h>

START_TEST(counts_of_the_vectors)
{
    char path[1024];
    json_error_t why;
    json_t *o;
    size_t i;
    snprintf(path, sizeof path, "%s/files.json", getenv("TACET_VECTORS"));
    json_t *all = json_load_file(path, 0, &why);
    ck_assert_msg(all != NULL, "%s: %s", path, why.text);
    json_array_foreach(json_object_get(all, "counts"), i, o)
    {
        uint32_t chunks = 0;
        uint64_t size = strtoull(json_string_value(json_object_get(o, "size")), NULL, 10);
        ck_assert_int_eq(plan_chunks(size, &chunks), TACET_OK);
        ck_assert_int_eq(chunks, json_integer_value(json_object_get(o, "chunks")));
    }
    ck_assert_uint_ge(i, 10);
    json_decref(all);
}
END_TEST

#define C ((uint64_t)TACET_CHUNK_PLAIN_BYTES)
static const uint64_t too_large[] = { C * TACET_BLOB_CHUNKS_MAX + 1, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - C };
START_TEST(F07_sizes_that_no_blob_holds)
{
    uint32_t chunks = 7;
    ck_assert_int_eq(plan_chunks(too_large[_i], &chunks), TACET_E_QUOTA);
    ck_assert_uint_eq(chunks, 7);
}
END_TEST

static const struct {
    uint64_t size;
    uint32_t index;
    uint32_t bytes;
} span[] = {
    { 0, 0, 0 }, { 1, 0, 1 },     { C - 1, 0, (uint32_t)C - 1 }, { C, 0, (uint32_t)C },
    { C, 1, 0 }, { C + 1, 1, 1 }, { 10 * C, 9, (uint32_t)C },    { 10 * C, 11, 0 },
};
START_TEST(spans)
{
    chunk_span s = plan_span(span[_i].size, span[_i].index);
    ck_assert_uint_eq(s.bytes, span[_i].bytes);
    ck_assert_uint_eq(s.offset, C * span[_i].index);
}
END_TEST

START_TEST(every_count_holds_its_bytes_and_little_more)
{
    for (uint64_t n = 1; n < 5000; n++) {
        uint32_t chunks = 0;
        ck_assert_int_eq(plan_chunks(n * C, &chunks), TACET_OK);
        ck_assert_uint_ge(chunks, n);
        ck_assert_uint_le(chunks, n + n / 8); /* PADMÉ: at most 12 % */
    }
}
END_TEST

SUITE("plan", TEST(counts_of_the_vectors), LOOP(F07_sizes_that_no_blob_holds, ROWS(too_large)), LOOP(spans, ROWS(span)),
      TEST(every_count_holds_its_bytes_and_little_more))
