/* transfer/file_name.h: the name under which a stranger's file is kept: made from what the offer says, but never a path, never hidden, never an option,
 * never more than one line, never something that a terminal obeys. */
#ifndef TRANSFER_FILE_NAME_H
#define TRANSFER_FILE_NAME_H
#include <stddef.h>
#include <stdint.h>

enum {
    FILE_NAME_ROOM = 256,
    FILE_NAME_TAG_BYTES = 8,
    FILE_NAME_KEPT_MAX_BYTES = 200 /* the rest is for "-2" and for the name while it is unfinished */
};

/* `name` is UTF-8 without NUL (the codec saw to that). */
void file_name_safe(char out[FILE_NAME_ROOM], const uint8_t *name, size_t n);
/* number 1: as it is; from 2 on "name-2.ext". */
void file_name_numbered(char out[FILE_NAME_ROOM], const char *safe, unsigned number);
/* ".name.0123456789abcdef.part": hidden, and one for each tag (at most FILE_NAME_TAG_BYTES). Nothing that a stranger chooses may be the tag. */
void file_name_part(char out[FILE_NAME_ROOM], const char *safe, const uint8_t *tag, size_t n);
#endif
