/* transfer/trouble.h: everything that can go wrong with a file, and what follows from it. The numbers are kept in the vault: never reuse one. */
#ifndef TRANSFER_TROUBLE_H
#define TRANSFER_TROUBLE_H
#include <stdint.h>

typedef enum {
    TROUBLE_NONE = 0,
    TROUBLE_SOURCE_CHANGED = 1, /* what is read is not what was offered */
    TROUBLE_SOURCE_GONE = 2,
    TROUBLE_SOURCE_IO = 3,
    TROUBLE_DISK_FULL = 4,
    TROUBLE_TARGET_IO = 5,
    TROUBLE_TARGET_GONE = 6,  /* the folder to save in is not there, or takes nothing */
    TROUBLE_PART_CHANGED = 7, /* somebody touched the unfinished file */
    TROUBLE_RELAY_QUOTA = 8,
    TROUBLE_RELAY_REFUSED = 9, /* a blob of this name is another's, or a request was not understood */
    TROUBLE_RELAY_GONE = 10,   /* dropped, or expired, before we had it */
    TROUBLE_CHUNKS_DAMAGED = 11,
    TROUBLE_ROOT = 12,       /* the seal names another root, count or size: the sender's doing */
    TROUBLE_MANIFEST = 13,   /* of a folder, against the rules */
    TROUBLE_COMMITMENT = 14, /* the offer's key is not the one it commits to */
    TROUBLE_WITHDRAWN = 15,  /* cancelled by the sender */
    TROUBLE_UNWANTED = 16,   /* cancelled by the receiver */
    TROUBLE_EXPIRED = 17,
    TROUBLE_COUNT
} trouble;

typedef enum {
    TROUBLE_RETRY, /* paused; tried again by itself after a while, and when somebody asks for it */
    TROUBLE_FATAL, /* over */
    TROUBLE_ASK,   /* paused until a person does something (save --to …) */
} trouble_class;

trouble_class trouble_class_of(trouble t);
uint32_t trouble_retry_ms(trouble t); /* of the retry class */
const char *trouble_word(trouble t);  /* stable: "source-changed" … */
#endif
