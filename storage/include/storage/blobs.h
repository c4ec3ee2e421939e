/* storage/blobs.h: chunks of files, while the relay has to keep them (docs/ARCHITECTURE.md, chunks). What is known of a blob (whose it is, how many chunks,
 * who has which) are rows of relay.db and the committer's. The chunks themselves lie in segments: SQLCipher files of their own, under a key of the
 * blob's own that stands in relay.db. A segment holds up to RELAY_SEGMENT_CHUNKS chunks of one blob, and goes as a file, never row by row. */
#ifndef STORAGE_BLOBS_H
#define STORAGE_BLOBS_H
#include "base/limits.h"
#include "storage/relay.h"

enum {
    RELAY_SEGMENT_CHUNKS = 4032,        /* 256 MiB of pages, with those of the tree above them */
    RELAY_BITS_PAGE_CHUNKS = 8192,      /* of one row of bits ... */
    RELAY_BITS_PAGE_BYTES = 8192 / 8,   /* ... and its bytes */
    RELAY_CHUNK_ROOM_BYTES = 64 * 1024, /* what a chunk is charged: its page */
    RELAY_BITS_STORED = 0,              /* "who" of a row of bits: the relay; receiver r (from 0) is r + 1 */
};

typedef struct {
    uint64_t number; /* local, never used again for another */
    uint8_t id[16], account[32], key[32];
    uint32_t chunks, expires_hour, receivers;
    bool done;                                  /* every receiver has everything: only the name is left */
    uint8_t hash[TACET_BLOB_RECEIVERS_MAX][32]; /* of their capabilities */
} relay_blob;

typedef struct {
    uint64_t account_bytes, total_bytes, free_bytes; /* free_bytes: of the disk, that stay free */
    uint32_t account_blobs;
    uint32_t account_share; /* an account gets what is free divided by this; at least 1 */
} relay_blob_limits;

/* --- what is known of them: inside the committer's transactions ------------------------------------------------------------------------ */
/* Sets room for all chunks aside; of *b, number, key and done are not read.
 *   TACET_OK       it is there; *made: it was not before   TACET_E_EXISTS  there is another one of that id
 *   TACET_E_QUOTA  one of the limits */
TACET_MUST_USE int relay_blob_create(relay_store *s, const relay_blob *b, const relay_blob_limits *l, bool *made);
TACET_MUST_USE int relay_blob_find(relay_store *s, const uint8_t id[16], relay_blob *out); /* TACET_E_NOT_FOUND */
/* Calls `each` for every page of bits that was marked: bit i of byte j is chunk page * RELAY_BITS_PAGE_CHUNKS + 8 j + i. It returns a status, which ends it. */
TACET_MUST_USE int relay_blob_bits(relay_store *s, uint64_t number, int (*each)(void *ctx, uint8_t who, uint32_t page, const uint8_t *bits),
                                   void *ctx);
/* Nothing happens when the blob has gone. */
TACET_MUST_USE int relay_blob_mark(relay_store *s, uint64_t number, uint8_t who, uint32_t page, const uint8_t bits[RELAY_BITS_PAGE_BYTES]);
TACET_MUST_USE int relay_blob_done(relay_store *s, uint64_t number); /* gives its room back */
TACET_MUST_USE int relay_blob_remove(relay_store *s, uint64_t number);
typedef struct {
    uint64_t number;
    uint8_t id[16];
    uint32_t chunks;
    bool done;
} relay_blob_name;
/* The next blob that has expired. TACET_E_NOT_FOUND */
TACET_MUST_USE int relay_blob_expired(relay_store *s, uint32_t now_hour, relay_blob_name *out);
typedef struct {
    uint64_t blobs, reserved_bytes;
} relay_blob_totals;
TACET_MUST_USE int relay_blobs_total(relay_store *s, relay_blob_totals *out);
TACET_MUST_USE int relay_blobs_forget(relay_store *s); /* all of them: this store is a copy, whose segments are elsewhere */

/* --- segments: each object belongs to one thread; a writer and readers may work at the same time ---------------------------------------- */
typedef struct relay_segments relay_segments;
typedef struct {
    uint32_t index;
    blob bytes;
} relay_chunk;
TACET_MUST_USE int relay_segments_open(relay_segments **out, relay_store *s);
relay_segments *relay_segments_close(relay_segments *g); /* before the store; NULL is fine; returns NULL */
/* Unlinks the segments of blobs that the store does not know, which a crash left behind. Once, at start. */
TACET_MUST_USE int relay_segments_sweep(relay_store *s);
/* All or none of these chunks, which lie in one segment, durable on TACET_OK; what was there under an index is replaced.
 * TACET_E_FULL, TACET_E_NOMEM; TACET_E_CORRUPT: this segment is damaged; TACET_E_IO: the disk cannot be trusted any more. */
TACET_MUST_USE int relay_segments_write(relay_segments *g, uint64_t number, const uint8_t key[32], const relay_chunk *chunk, size_t count);
/* A view that is valid until the next call. TACET_E_NOT_FOUND: it is not there; TACET_E_CORRUPT */
TACET_MUST_USE int relay_segments_read(relay_segments *g, uint64_t number, const uint8_t key[32], uint32_t index, blob *out);
/* Closes what is open of a blob, and removes the files of its first `chunks` chunks (0: none). */
TACET_MUST_USE int relay_segments_drop(relay_segments *g, uint64_t number, uint32_t chunks);
/* Reads every chunk that is marked as stored. TACET_E_CORRUPT with *where filled. By the owner of the store, outside a transaction; relay_check_beside
 * does it for a relay that runs. */
TACET_MUST_USE int relay_segments_check(relay_store *s, char *where, size_t where_bytes);
uint64_t relay_segments_bytes(const relay_store *s); /* of all segment files, as written since the start and found at it */
static inline uint32_t relay_segment_of(uint32_t index) { return index / RELAY_SEGMENT_CHUNKS; }
#endif
