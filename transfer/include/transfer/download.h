/* transfer/download.h: one file on its way from the relay, without I/O: what to tell the relay next, what to do with a chunk that comes, and when the
 * file is whole. The owner opens a chunk, writes it, makes it durable, writes its leaf down, and only then says `have`. */
#ifndef TRANSFER_DOWNLOAD_H
#define TRANSFER_DOWNLOAD_H
#include "transfer/bits.h"

typedef enum {
    DOWNLOAD_OFFLINE, /* no link */
    DOWNLOAD_TELL,    /* to tell: `have` for what is on our disk, from tell_first on */
    DOWNLOAD_WATCH,   /* to ask, or asked: watch */
    DOWNLOAD_RUN,     /* chunks come */
    DOWNLOAD_PAUSED,
    DOWNLOAD_ENDED,
    DOWNLOAD_STATES
} download_state;
typedef enum {
    DOWNLOAD_LINK_UP,
    DOWNLOAD_LINK_DOWN,
    DOWNLOAD_TOLD,
    DOWNLOAD_WATCHED,
    DOWNLOAD_TROUBLE,
    DOWNLOAD_RESUME,
    DOWNLOAD_END,
    DOWNLOAD_EVENTS
} download_event;

enum { DOWNLOAD_WINDOW_MAX = TACET_BLOB_WINDOW_MAX, DOWNLOAD_DAMAGED_MAX = 32 /* chunks that did not open, without one that did in between */ };

typedef struct {
    download_state state;
    uint32_t round, tell_first, damaged;
    bits have;                               /* on our disk, durably */
    uint32_t under_way[DOWNLOAD_WINDOW_MAX]; /* came, and are being opened and written */
    uint32_t count;
} download;

/* TACET_E_NOMEM */
TACET_MUST_USE int download_new(download *d, uint32_t chunks);
void download_free(download *d);
bool download_step(download *d, download_event event); /* false: means nothing in this state */
/* The next piece of what we hold, to be told in DOWNLOAD_TELL; out has room for TACET_BLOB_BITS_MAX_BYTES. 0: all is told (and the state moves on). */
size_t download_tell(download *d, uint32_t *first, uint8_t *out);

typedef enum {
    DOWNLOAD_TAKE,  /* new: to be opened; it is under way now */
    DOWNLOAD_KNOWN, /* on our disk already: say `have` again */
    DOWNLOAD_IGNORE /* under way already, or nobody asked for it */,
    DOWNLOAD_WRONG /* no such chunk, or more than the window: no honest relay does that */
} download_verdict;
download_verdict download_chunk(download *d, uint32_t index);
/* It did not open: ask for it again. False: too many in a row, this is trouble. */
bool download_damaged(download *d, uint32_t index);
/* It came too early: it is asked for again, and that is nobody's fault. */
void download_later(download *d, uint32_t index);
/* It is on the disk. False: it was not under way. */
bool download_durable(download *d, uint32_t index);
static inline bool download_whole(const download *d) { return d->have.set == d->have.count; }
#endif
