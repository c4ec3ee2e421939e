/* transfer/upload.h: one file on its way to the relay, without I/O: what to ask the relay next, which chunk to read next, and what follows from the
 * answers. The owner reads, seals, writes nonce and leaf down (transfer/journal.h), and only then puts.
 *
 * The rule that is not obvious: after each loss of the link everything that was under way is forgotten here, and the relay's own status says what it
 * has. Jobs that come back from before then carry an older `round` and are thrown away. */
#ifndef TRANSFER_UPLOAD_H
#define TRANSFER_UPLOAD_H
#include "transfer/bits.h"

typedef enum {
    UPLOAD_OFFLINE,  /* no link */
    UPLOAD_CREATE,   /* to ask, or asked: blob_create */
    UPLOAD_STATUS,   /* to ask, or asked: blob_status from status_first on */
    UPLOAD_RUN,      /* chunks travel */
    UPLOAD_COMPLETE, /* every chunk is safe: time for the seal */
    UPLOAD_PAUSED,   /* trouble that may pass */
    UPLOAD_ENDED,
    UPLOAD_STATES
} upload_state;
typedef enum {
    UPLOAD_LINK_UP,
    UPLOAD_LINK_DOWN,
    UPLOAD_CREATED,
    UPLOAD_KNOWN,    /* the whole status is here */
    UPLOAD_ALL_SAFE, /* the last chunk became safe */
    UPLOAD_TROUBLE,
    UPLOAD_RESUME, /* with or without a link: the owner tells UPLOAD_LINK_UP when there is one */
    UPLOAD_END,
    UPLOAD_EVENTS
} upload_event;

enum { UPLOAD_WINDOW_MAX = TACET_BLOB_WINDOW_MAX };

typedef struct {
    upload_state state;
    uint32_t window, round, status_first, cursor;
    bits safe;
    uint32_t under_way[UPLOAD_WINDOW_MAX]; /* chunks from their reading to the relay's answer */
    uint32_t count;
} upload;

/* window: chunks under way at most, 1 to UPLOAD_WINDOW_MAX. TACET_E_NOMEM */
TACET_MUST_USE int upload_new(upload *u, uint32_t chunks, uint32_t window);
void upload_free(upload *u);
/* Changes the state; false: that event means nothing in this state, and nothing changed. */
bool upload_step(upload *u, upload_event event);

/* A part of the relay's status; the rest, if any, is to be asked from status_first on. TACET_E_MALFORMED: it does not fit this blob. */
TACET_MUST_USE int upload_status(upload *u, uint32_t first, const uint8_t *bytes, size_t n);
/* The next chunk to read, which is then under way; false: none now. */
bool upload_next(upload *u, uint32_t *index);
/* The relay has it. False: it was not under way (an answer to nothing). */
bool upload_safe(upload *u, uint32_t index);
/* It has to be read again, later. */
void upload_again(upload *u, uint32_t index);
#endif
