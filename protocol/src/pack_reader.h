/* pack_reader.h: msgpack as strangers may write it (PROTOCOL.md §10): unsigned integers, bin, str, arrays, maps, each in its shortest form.
 * It walks base/reader.h's cursor: anything else, and any length or count above the bytes left, makes the reader bad; reads then give zeros, and
 * one reader_done at the end tells. Nothing is allocated; depth is bounded by TACET_MSGPACK_DEPTH_MAX. */
#ifndef PROTOCOL_PACK_READER_H
#define PROTOCOL_PACK_READER_H
#include "base/reader.h"
#include "protocol/frame.h"

typedef enum { PACK_UINT, PACK_STR, PACK_BIN, PACK_ARRAY, PACK_MAP, PACK_TYPES } pack_type;

/* The next value must be of this type; its number, length or count. A length or count is never above the bytes that are left. */
uint64_t pack_head(reader *r, pack_type type);

/* min and max: of the number, of the bytes, of the items. */
uint64_t pack_uint(reader *r, uint64_t min, uint64_t max);
view pack_bin(reader *r, size_t min, size_t max);
view pack_str(reader *r, size_t min, size_t max); /* valid UTF-8 without NUL */
uint32_t pack_array(reader *r, uint32_t min, uint32_t max);
uint32_t pack_map(reader *r, uint32_t max);

/* Walks one value of any allowed type; containers may nest `depth` deep. Keys of maps are unsigned integers in ascending order. Its bytes. */
view pack_any(reader *r, unsigned depth);
view pack_any_map(reader *r, unsigned depth); /* the same, and it must be a map */
#endif
