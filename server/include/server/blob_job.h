/* server/blob_job.h: what the relay core asks about blobs. A blob_job goes to the committer and touches relay.db; a chunk_work goes to a thread that has
 * segments of its own, one for writing and one for reading, so that neither makes a message wait. */
#ifndef SERVER_BLOB_JOB_H
#define SERVER_BLOB_JOB_H
#include "server/promises.h"
#include "server/job.h"
#include "server/pool.h"
#include "storage/blobs.h"

typedef struct blob_entry blob_entry;
typedef struct chunk chunk;

/* A put that is not answered yet: its chunk, as the event that receivers get. */
struct chunk {
    chunk *next, *previous; /* of its blob, in the order of arrival */
    chunk *step;            /* next of those that are written, or marked, together */
    blob_entry *of;
    conn_ref from;
    uint32_t id, index;
    int status;
    bool writing; /* on its way to the disk: the writer has it, or its bit waits for the commit */
    uint64_t arrived_us;
    uint32_t bytes;        /* of the chunk, which ends the stream */
    uint32_t stream_bytes; /* of the event with its length in front */
    size_t held_bytes;     /* what it is charged */
    uint8_t stream[];
};

typedef enum { BLOB_CREATE, BLOB_LOAD, BLOB_MARK, BLOB_DONE, BLOB_DROP, BLOB_EXPIRE } blob_op;
typedef struct {
    uint8_t who;
    uint32_t page;
    uint8_t bits[RELAY_BITS_PAGE_BYTES];
} marked_page;
typedef struct {
    job job;
    blob_op op;
    relay_blob blob;          /* create: what is wanted; load: what was found; others: id and number */
    relay_blob_limits limits; /* create */
    bool made;                /* create: it is new */
    blob_entry *of;           /* load, mark, done, drop */
    marked_page *page;        /* mark: to be written; load: found */
    uint32_t pages, page_room;
    chunk *chunks;     /* mark: safe with it */
    promises told;     /* mark: true with it, whoever is killed */
    uint32_t now_hour; /* expire */
    relay_blob_name gone[RELAY_BLOBS_EXPIRE_MAX];
    uint32_t gone_count;
    bool more;
} blob_job;

blob_job *blob_job_new(blob_op op);
void blob_job_free(blob_job *j); /* not its chunks */
/* A page to be marked; NULL: no memory. */
marked_page *blob_job_page(blob_job *j);
TACET_MUST_USE int blob_job_run(job *j, relay_store *s); /* what the committer does */

typedef enum { CHUNKS_WRITE, CHUNKS_READ, CHUNKS_REMOVE, CHUNKS_CLOSE } chunk_op; /* write and remove: the writer's; read and close: the reader's */
typedef struct {
    work work;
    chunk_op op;
    relay_segments *segments; /* of the thread it goes to */
    int status;               /* read, remove: a failure of the machine */
    chunk *chunks;            /* write: linked by step, each with its status afterwards */
    blob_entry *of;           /* write */
    uint64_t number;          /* read, remove, close */
    uint8_t id[16], key[32];
    uint32_t chunk_count; /* close (for what follows), remove */
    uint64_t watch;       /* read: for whom */
    conn_ref to;
    uint32_t count, index[RELAY_CHUNK_READS_MAX], length[RELAY_CHUNK_READS_MAX]; /* length: of each event in stream, 0: it is not there any more */
    uint8_t *stream;
} chunk_work;
chunk_work *chunk_work_new(chunk_op op);
void chunk_work_free(chunk_work *w); /* not its chunks */
void chunk_work_run(work *w);

enum { CHUNK_EVENT_HEAD_BYTES = 64, CHUNK_EVENT_ROOM_BYTES = CHUNK_EVENT_HEAD_BYTES + TACET_CHUNK_BYTES };
/* The event `chunk` with its length in front; returns its bytes, of which the chunk is the end. room: CHUNK_EVENT_HEAD_BYTES more than n, or larger. */
size_t chunk_event(uint8_t *out, size_t room, const uint8_t id[16], uint32_t index, const uint8_t *bytes, size_t n);
#endif
