/* transfer/manifest.h: what stands in front of a folder's bytes (docs/PROTOCOL.md §8.1), written by the sender and read, as a stranger's bytes, by the
 * receiver; and where in the stream each file lies. */
#ifndef TRANSFER_MANIFEST_H
#define TRANSFER_MANIFEST_H
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MANIFEST_ENTRIES_MAX = 65536,
    MANIFEST_MAX_BYTES = 16 * 1024 * 1024,
    MANIFEST_PATH_MAX_BYTES = 1024,
    MANIFEST_COMPONENT_MAX_BYTES = 255,
    MANIFEST_DEPTH_MAX = 32,
    MANIFEST_LENGTH_BYTES = 4, /* in front of it in the stream */
};
typedef enum { MANIFEST_FILE = 1, MANIFEST_FOLDER = 2 } manifest_kind;

typedef struct {
    manifest_kind kind;
    uint32_t mode;
    uint64_t mtime_s, size;
    const char *path; /* not NUL-ended */
    uint16_t path_bytes;
} manifest_entry;

/* --- writing ----------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    uint8_t *bytes;
    size_t used, room;
    uint32_t count;
} manifest_out; /* starts as all zeros */
/* In ascending order of paths, compared as bytes; that and the shape of the path is judged by manifest_read.
 * TACET_E_QUOTA: more than a manifest holds. TACET_E_NOMEM. */
TACET_MUST_USE int manifest_add(manifest_out *m, const manifest_entry *e);
void manifest_out_free(manifest_out *m);

/* --- reading ----------------------------------------------------------------------------------------------------------------------- */
typedef struct manifest manifest;
/* `bytes` must live as long as *out; at most 32 bytes of memory for each entry beside it. stream_bytes: what the offer calls the size.
 * TACET_E_MALFORMED  one of the rules is broken, or sizes and stream_bytes do not agree     TACET_E_NOMEM */
TACET_MUST_USE int manifest_read(manifest **out, const uint8_t *bytes, size_t n, uint64_t stream_bytes);
manifest *manifest_free(manifest *m); /* NULL is fine; returns NULL */
uint32_t manifest_count(const manifest *m);
manifest_entry manifest_at(const manifest *m, uint32_t i);
/* Where the entry's bytes begin in the stream. */
uint64_t manifest_offset(const manifest *m, uint32_t i);
/* The file in which byte `offset` of the stream lies. It must be behind the manifest and before the end. */
uint32_t manifest_find(const manifest *m, uint64_t offset);
#endif
