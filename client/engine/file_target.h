/* engine/file_target.h: where a file that is received goes: hidden and unfinished (`.NAME.0123456789abcdef.part`) in the folder that was chosen, mode 0600,
 * and under a free name there only when it is whole. Nothing outside of that folder is ever written, nothing that exists is replaced, no symbolic
 * link is followed, nothing becomes executable. A folder is put together in a hidden folder beside a file that holds its manifest.
 * To be used by one thread at a time. */
#ifndef ENGINE_FILE_TARGET_H
#define ENGINE_FILE_TARGET_H
#include "transfer/file_name.h"
#include "transfer/trouble.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct file_target file_target;

typedef struct {
    const char *folder; /* absolute; made when `make` and missing */
    bool make;
    const char *never;                /* a folder that is not to be saved in, whatever name it is given; NULL: none */
    const char *name;                 /* to be given at the end, safe already */
    uint8_t tag[FILE_NAME_TAG_BYTES]; /* of the unfinished file's name: this download's alone, and nothing that a sender chose */
    uint8_t blob[16];                 /* its first four bytes were the tag once */
    uint32_t form;                    /* file_form */
    uint64_t size, mtime_s;
    uint64_t stamp;      /* the unfinished file's number from before; 0: begin anew */
    uint64_t bytes_left; /* to come: must be free on the disk */
} target_plan;

/* *stamp: to be written down before anything is. TROUBLE_NONE with *done: it is whole and has its name (a crash came in between), `saved` says where.
 * TROUBLE_TARGET_GONE, TROUBLE_DISK_FULL, TROUBLE_TARGET_IO, TROUBLE_PART_CHANGED: errno says more. */
trouble file_target_open(file_target **out, const target_plan *p, uint64_t *stamp, bool *done, char *saved, size_t room);
file_target *file_target_close(file_target *t); /* NULL is fine; returns NULL */
/* A chunk's bytes of the stream. *later: it belongs behind a manifest that is not complete; nothing was written, it has to come again.
 * TROUBLE_MANIFEST: this folder can never be whole. */
trouble file_target_write(file_target *t, uint64_t offset, const uint8_t *bytes, size_t n, bool *later);
/* After a restart, for a folder: the first `chunks` chunks, one after the other, are on the disk. */
trouble file_target_resume(file_target *t, uint32_t chunks);
trouble file_target_sync(file_target *t); /* everything that was written is on the disk */
/* Gives it its name, or the next free one; saved gets the whole path. */
trouble file_target_finish(file_target *t, char *saved, size_t room);
/* Removes what there is of the unfinished file with the number `stamp`, and nothing else that has its name. False: something of it is left. */
bool file_target_discard(const target_plan *p);
#endif
