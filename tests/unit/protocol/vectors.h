/* vectors.h: rows of tests/vectors/frames.json and contents.json as bytes, and bytes made of a pattern as codec.py makes them. */
#ifndef TESTS_PROTOCOL_VECTORS_H
#define TESTS_PROTOCOL_VECTORS_H
#include "base/text.h"
#include "protocol/frame.h"
#include "suite.h"
#include <jansson.h>
#include <string.h>

static inline json_t *vectors_load(const char *file)
{
    char path[4096];
    const char *dir = getenv("TACET_VECTORS");
    ck_assert_msg(dir != NULL, "TACET_VECTORS is not set");
    snprintf(path, sizeof path, "%s/%s", dir, file);
    json_t *all = json_load_file(path, 0, NULL);
    ck_assert_msg(all != NULL, "cannot read %s", path);
    return all;
}

/* One row's bytes in a block of exactly that size, so that a sanitizer sees a read beyond the end. */
static inline uint8_t *vector_bytes(const json_t *row, size_t *n)
{
    const char *hex = json_string_value(json_object_get(row, "hex"));
    ck_assert_ptr_nonnull(hex);
    *n = strlen(hex) / 2;
    uint8_t *bytes = malloc(*n ? *n : 1);
    ck_assert_int_eq(hex_decode(bytes, *n, hex, strlen(hex)), TACET_OK);
    return bytes;
}

static inline const char *vector_name(const json_t *row) { return json_string_value(json_object_get(row, "name")); }

static inline const json_t *vector_named(const json_t *all, const char *name)
{
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(json_object_get(all, "accepted"), i, row) if (!strcmp(vector_name(row), name)) return row;
    ck_abort_msg("no vector %s", name);
    return NULL;
}

/* n bytes first, first + 1, ...; from a static pool, at most 64 KiB a test. */
static inline view pattern(uint8_t first, size_t n)
{
    static uint8_t pool[65536];
    static size_t used;
    ck_assert_uint_le(used + n, sizeof pool);
    view v = { pool + used, n };
    for (size_t i = 0; i < n; i++)
        pool[used++] = (uint8_t)(first + i);
    return v;
}

static inline view text_view(const char *text) { return (view){ (const uint8_t *)text, strlen(text) }; }

/* Which bytes of a long vector are worth a flip: the first 600 one by one, then every 97th. */
static inline size_t next_flip(size_t i) { return i < 600 ? i + 1 : i + 97; }
#endif
