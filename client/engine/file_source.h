/* engine/file_source.h: where the bytes of a file that is sent come from: a regular file, or a folder with its manifest. What was offered and what is
 * read must be the same: size, modification time and inode of each file are noted at the beginning and compared with every piece that is read (F09).
 * To be used by one thread at a time. */
#ifndef ENGINE_FILE_SOURCE_H
#define ENGINE_FILE_SOURCE_H
#include "transfer/trouble.h"
#include <stddef.h>
#include <stdint.h>

typedef struct file_source file_source;

typedef struct {
    uint32_t form, mode; /* file_form; permission bits */
    uint64_t size, mtime_s, stamp;
    uint32_t skipped;      /* of a folder: symbolic links and special files, which are not sent */
    const uint8_t *record; /* of a folder: what file_source_again needs; the source's */
    size_t record_bytes;
} source_facts;

/* Looks at `path` (absolute). A folder is walked through, at most MANIFEST_ENTRIES_MAX entries; then *out can be read from. On anything but TROUBLE_NONE
 * errno says more; EFBIG: too much for one file, EINVAL: neither file nor folder. */
trouble file_source_open(file_source **out, const char *path, source_facts *facts);
/* The same source after a restart. `record` of a folder is copied. */
trouble file_source_again(file_source **out, const char *path, uint64_t size, uint64_t stamp, const uint8_t *record, size_t record_bytes);
file_source *file_source_close(file_source *s); /* NULL is fine; returns NULL */
/* n bytes of the stream from `offset` on, all of which it must have. */
trouble file_source_read(file_source *s, uint64_t offset, uint8_t *out, size_t n);
#endif
