/* fields.h: a table of fields describes a C struct and its msgpack form at once, so that what is written and what is accepted cannot drift apart.
 * The same rows serve arrays (frames: values in the rows' order, key unused) and maps (contents: ascending keys). */
#ifndef PROTOCOL_FIELDS_H
#define PROTOCOL_FIELDS_H
#include "base/reader.h"
#include "base/writer.h"
#include "protocol/frame.h"

typedef enum {
    FIELD_UINT,    /* unsigned integer of `width` bytes in the struct; min and max are of its value */
    FIELD_BIN,     /* view; min and max of its bytes. or_none: 0 bytes are allowed too (maps: the key is then absent) */
    FIELD_STR,     /* view, likewise */
    FIELD_FIXED,   /* exactly `max` bytes of bin, kept in the struct itself */
    FIELD_BINS,    /* view_list; min and max of each item; count_min: least number of items */
    FIELD_NUMBERS, /* number_list */
} field_type;

typedef struct {
    uint8_t type, key, width, count_min;
    bool or_none;
    uint16_t offset;
    uint32_t min;
    uint64_t max;
} field;

/* Fields of struct type s (member m), with key k in maps. */
/* clang-format off */
#define FIELD_WIDTH(s, m) sizeof(((s *)NULL)->m)
#define FIELD_AT(s, m) .offset = (uint16_t)offsetof(s, m)
#define UINT_IN(k, s, m, low, high) { .type = FIELD_UINT, .key = (k), FIELD_AT(s, m), .width = FIELD_WIDTH(s, m), .min = (low), .max = (high) }
#define UINT_ANY(k, s, m) UINT_IN(k, s, m, 0, UINT64_MAX >> (64 - 8 * FIELD_WIDTH(s, m)))
#define BIN(k, s, m, low, high) { .type = FIELD_BIN, .key = (k), FIELD_AT(s, m), .min = (low), .max = (high) }
#define BIN_OR_NONE(k, s, m, size) { .type = FIELD_BIN, .key = (k), FIELD_AT(s, m), .or_none = true, .min = (size), .max = (size) }
#define STR(k, s, m, low, high) { .type = FIELD_STR, .key = (k), FIELD_AT(s, m), .min = (low), .max = (high) }
#define STR_OR_NONE(k, s, m, low, high) { .type = FIELD_STR, .key = (k), FIELD_AT(s, m), .or_none = true, .min = (low), .max = (high) }
#define FIXED(k, s, m) { .type = FIELD_FIXED, .key = (k), FIELD_AT(s, m), .min = FIELD_WIDTH(s, m), .max = FIELD_WIDTH(s, m) }
#define BINS(k, s, m, least, low, high) { .type = FIELD_BINS, .key = (k), FIELD_AT(s, m), .count_min = (least), .min = (low), .max = (high) }
#define NUMBERS(k, s, m, least) { .type = FIELD_NUMBERS, .key = (k), FIELD_AT(s, m), .count_min = (least) }
/* clang-format on */

/* These write through msgpack-c's packer. A writer that has run out of room remembers it: the caller asks once. */
void put_array(writer *w, size_t count);
void put_map(writer *w, size_t count);
void put_uint(writer *w, uint64_t v);

/* Values only, in order. TACET_E_BUG: a field outside its row's bounds. */
TACET_MUST_USE int fields_put(writer *w, const void *base, const field *row, size_t rows);
/* A map with key and value for each row that is present. */
TACET_MUST_USE int fields_put_map(writer *w, const void *base, const field *row, size_t rows);

/* Reads values in order into base, which is all zeros; the reader is bad when something is not as its row says. */
void fields_read(reader *r, void *base, const field *row, size_t rows);
/* The same from a map: exactly these keys, in ascending order. */
void fields_read_map(reader *r, void *base, const field *row, size_t rows);
/* What fields_read_map does behind the map's head, for a map whose last pairs are somebody else's: reads the first `rows` pairs. */
void fields_read_pairs(reader *r, void *base, const field *row, size_t rows, uint32_t pairs);
TACET_MUST_USE int fields_put_pairs(writer *w, const void *base, const field *row, size_t rows);
#endif
