/* server/blobs.h: what the core knows of blobs that somebody puts to, watches, or used a moment ago. Part of the core (core_parts.h): no I/O.
 *   core_blobs.c   requests, loading, the end of a blob
 *   core_chunks.c  chunks in memory: held for their receivers, or written, then marked
 *   core_watch.c   receivers: windows, pushes, reads of what is stored */
#ifndef SERVER_BLOBS_H
#define SERVER_BLOBS_H
#include "server/bitmap.h"
#include "server/blob_job.h"

typedef struct watcher watcher;

/* A receiver that watches one blob on one connection. */
struct watcher {
    watcher *next;       /* of its connection */
    watcher *ready_next; /* of those that may get something */
    bool ready;
    blob_entry *of;
    uint32_t receiver;
    conn_ref to;
    uint64_t serial; /* never used again: by it a read finds its way back */
    uint32_t window, unanswered;
    bitmap sent;     /* in this watch, and not asked for again */
    uint32_t cursor; /* nothing below it is stored that was not sent */
    chunk *fresh;    /* nothing before it is in memory that was not sent */
    uint32_t reading;
    uint64_t alive_us; /* when it last said something */
};

/* A request that came before its blob was loaded. */
typedef struct blob_request {
    struct blob_request *next;
    conn_ref from;
    size_t bytes;
    uint8_t body[];
} blob_request;

typedef struct {
    uint8_t who;
    uint32_t page;
} dirty_page;

typedef enum { BLOB_LOADING, BLOB_READY, BLOB_GONE } blob_state;

struct blob_entry {
    blob_entry *in_bucket;
    blob_entry *next, *previous; /* of all, the one that was used last in front */
    blob_state state;
    relay_blob blob;
    blob_request *waiting_first, *waiting_last;
    uint32_t waiting;
    bitmap stored, *have; /* have: one for each receiver. Nothing of them when blob.done */
    watcher **watch;      /* one for each receiver, or NULL */
    uint32_t watchers;
    chunk *first, *last; /* in memory */
    uint32_t in_memory;
    uint64_t held_bytes; /* by them */
    bool writing;
    chunk *written; /* on the disk, to be marked */
    promises told;  /* of chunks that all receivers have: what says so is to be marked */
    dirty_page *dirty;
    uint32_t dirty_count, dirty_room;
    uint64_t mark_due_us, done_due_us; /* done_due_us: not before, because the disk was full */
    uint32_t jobs;                     /* under way, and this one is named in them */
    bool marking, finishing;           /* some of these */
    bool hidden;                       /* the table does not have it any more */
};

enum { BLOB_BUCKETS = 4096 };
typedef struct {
    blob_entry *bucket[BLOB_BUCKETS];
    blob_entry *first, *last;
    uint32_t count;
    watcher *ready_first, *ready_last;
    uint32_t ready;
    uint32_t reads;  /* under way */
    uint32_t works;  /* of both threads, under way */
    uint32_t chunks; /* in memory */
    uint32_t dirty;  /* entries with something to mark */
    uint64_t memory; /* bytes of chunks and of requests that wait */
    uint64_t serial, tick_due_us, expire_due_us;
    bool expiring;
    uint64_t known, reserved_chunks; /* of the store */
    uint32_t watchers;
} blobs;
#endif
