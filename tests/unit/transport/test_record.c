/* Records: vectors of a second implementation, every kind of damage, and the counter's end. */
#include "fixed.h"
#include "transport/record.h"
#include <jansson.h>

static json_t *vectors(void)
{
    char path[512];
    const char *dir = getenv("TACET_VECTORS");
    json_error_t error;
    ck_assert_ptr_nonnull(dir);
    snprintf(path, sizeof path, "%s/records.json", dir);
    json_t *doc = json_load_file(path, 0, &error);
    ck_assert_msg(doc != NULL, "%s: %s", path, error.text);
    return doc;
}
static const char *field(json_t *o, const char *name) { return json_string_value(json_object_get(o, name)); }
static record_key key_of(json_t *v)
{
    record_key k = { .counter = strtoull(field(v, "counter"), NULL, 10) };
    unhex(k.key, sizeof k.key, field(v, "key"));
    return k;
}

START_TEST(vectors_of_a_second_implementation)
{
    json_t *doc = vectors(), *v;
    size_t i;
    uint8_t stream[1024], record[2048], got[2048];
    json_array_foreach(json_object_get(doc, "vectors"), i, v)
    {
        record_key seal = key_of(v), open = seal;
        const uint8_t *at = NULL;
        size_t n = unhex(stream, sizeof stream, field(v, "stream")), want = unhex(record, sizeof record, field(v, "record")), got_bytes = 0;
        if (!field(v, "what")) { /* we seal with the least padding */
            ck_assert_uint_eq(record_bytes(n), want);
            ck_assert_int_eq(record_seal(&seal, got, &got_bytes, stream, n), TACET_OK);
            ck_assert_uint_eq(got_bytes, want);
            ck_assert_mem_eq(got, record, want);
        }
        ck_assert_int_eq(record_open(&open, record, want, &at, &got_bytes), TACET_OK);
        ck_assert_uint_eq(got_bytes, n);
        ck_assert(n == 0 || sodium_memcmp(at, stream, n) == 0);
    }
    ck_assert_uint_ge(i, 9);
    json_array_foreach(json_object_get(doc, "refused"), i, v)
    {
        record_key open = key_of(v);
        const uint8_t *at = NULL;
        size_t got_bytes = 77, n = unhex(record, sizeof record, field(v, "record"));
        ck_assert_msg(record_open(&open, record, n, &at, &got_bytes) == TACET_E_TRANSPORT, "%s", field(v, "why"));
        ck_assert_ptr_null(at);
        ck_assert_uint_eq(got_bytes, 77);
    }
    ck_assert_uint_ge(i, 8);
    json_decref(doc);
}
END_TEST

START_TEST(round_trip_of_every_length)
{
    static uint8_t stream[TACET_RECORD_STREAM_MAX_BYTES], record[TACET_RECORD_MAX_BYTES];
    record_key a = { .key = { 1 } }, b = a;
    randombytes_buf(stream, sizeof stream);
    for (size_t n = 0; n <= sizeof stream; n += n < 1100 || n > sizeof stream - 300 ? 1 : 251) {
        size_t whole = 0, head = 0, back = 0;
        const uint8_t *at = NULL;
        ck_assert_int_eq(record_seal(&a, record, &whole, stream, n), TACET_OK);
        ck_assert_uint_eq(whole, record_bytes(n));
        ck_assert_uint_eq((whole - 18) % 256, 0);
        ck_assert_uint_le(whole, sizeof record);
        ck_assert_int_eq(record_length(record, &head), TACET_OK);
        ck_assert_uint_eq(head, whole);
        ck_assert_int_eq(record_open(&b, record, whole, &at, &back), TACET_OK);
        ck_assert_uint_eq(back, n);
        ck_assert(n == 0 || sodium_memcmp(at, stream, n) == 0);
    }
    ck_assert_uint_eq(a.counter, b.counter);
}
END_TEST

START_TEST(T14_only_lengths_that_a_record_can_have)
{
    unsigned ok = 0;
    for (unsigned n = 0; n <= 65535; n++) {
        const uint8_t head[2] = { (uint8_t)(n >> 8), (uint8_t)n };
        size_t whole = 12345;
        int rc = record_length(head, &whole);
        bool want = n >= 272 && n <= 65296 && (n - 16) % 256 == 0;
        ck_assert_msg(rc == (want ? TACET_OK : TACET_E_TRANSPORT), "%u", n);
        ck_assert_uint_eq(whole, want ? n + 2 : 12345);
        ok += want;
    }
    ck_assert_uint_eq(ok, 255);
}
END_TEST

enum { COUNT = 4 };
typedef struct {
    uint8_t record[COUNT][600];
    size_t bytes[COUNT];
    record_key open;
} wire;
static void wire_init(wire *w)
{
    record_key k = { .key = { 3 } };
    w->open = k;
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t stream[300];
        memset(stream, (int)i, sizeof stream);
        ck_assert_int_eq(record_seal(&k, w->record[i], &w->bytes[i], stream, 10 + 80 * i), TACET_OK);
    }
}
static int wire_open(wire *w, unsigned i)
{
    const uint8_t *at = NULL;
    size_t n = 0;
    uint8_t copy[600];
    memcpy(copy, w->record[i], sizeof copy);
    return record_open(&w->open, copy, w->bytes[i], &at, &n);
}
/* Once broken, even the record that was due does not open. */
static void assert_broken(wire *w, unsigned due)
{
    ck_assert_int_eq(wire_open(w, due), TACET_E_TRANSPORT);
    ck_assert(sodium_is_zero(w->open.key, sizeof w->open.key));
}

START_TEST(T08_dropped_record)
{
    wire w;
    wire_init(&w);
    ck_assert_int_eq(wire_open(&w, 0), TACET_OK);
    ck_assert_int_eq(wire_open(&w, 2), TACET_E_TRANSPORT);
    assert_broken(&w, 1);
}
END_TEST
START_TEST(T08_duplicated_record)
{
    wire w;
    wire_init(&w);
    ck_assert_int_eq(wire_open(&w, 0), TACET_OK);
    ck_assert_int_eq(wire_open(&w, 0), TACET_E_TRANSPORT);
    assert_broken(&w, 1);
}
END_TEST
START_TEST(T08_swapped_records)
{
    wire w;
    wire_init(&w);
    ck_assert_int_eq(wire_open(&w, 1), TACET_E_TRANSPORT);
    assert_broken(&w, 0);
}
END_TEST
START_TEST(T08_every_truncation_and_a_longer_one)
{
    wire w;
    for (size_t n = 0; n < 600; n++) {
        wire_init(&w);
        if (n == w.bytes[0])
            continue;
        size_t whole = w.bytes[0];
        w.bytes[0] = n;
        ck_assert_int_eq(wire_open(&w, 0), TACET_E_TRANSPORT);
        w.bytes[0] = whole;
        assert_broken(&w, 0);
    }
}
END_TEST
START_TEST(T08_every_flipped_bit)
{
    wire w;
    wire_init(&w);
    for (size_t bit = 0; bit < 8 * w.bytes[1]; bit++) {
        wire_init(&w);
        ck_assert_int_eq(wire_open(&w, 0), TACET_OK);
        w.record[1][bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(wire_open(&w, 1) == TACET_E_TRANSPORT, "bit %zu", bit);
    }
}
END_TEST
START_TEST(T08_a_record_of_the_other_direction)
{
    wire w;
    wire_init(&w);
    w.open.key[0] ^= 1;
    ck_assert_int_eq(wire_open(&w, 0), TACET_E_TRANSPORT);
}
END_TEST

START_TEST(T10_the_counter_ends_before_it_wraps)
{
    uint8_t out[300];
    size_t n = 0;
    const uint8_t *at = NULL;
    record_key a = { .key = { 9 }, .counter = UINT64_MAX - 1 }, b = a;
    ck_assert_int_eq(record_seal(&a, out, &n, (const uint8_t *)"last", 4), TACET_OK);
    ck_assert_int_eq(record_open(&b, out, n, &at, &n), TACET_OK);
    n = 99;
    ck_assert_int_eq(record_seal(&a, out, &n, NULL, 0), TACET_E_TRANSPORT);
    ck_assert_int_eq(record_seal(&a, out, &n, NULL, 0), TACET_E_TRANSPORT);
    ck_assert_uint_eq(n, 99);
    ck_assert_uint_eq(a.counter, UINT64_MAX);
}
END_TEST

SUITE("record", TEST(vectors_of_a_second_implementation), TEST(round_trip_of_every_length), TEST(T14_only_lengths_that_a_record_can_have),
      TEST(T08_dropped_record), TEST(T08_duplicated_record), TEST(T08_swapped_records), TEST(T08_every_truncation_and_a_longer_one),
      TEST(T08_every_flipped_bit), TEST(T08_a_record_of_the_other_direction), TEST(T10_the_counter_ends_before_it_wraps))
