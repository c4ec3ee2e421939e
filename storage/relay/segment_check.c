/* Whether segments are sound: every page, and a row for each chunk that relay.db says is stored. See storage/blobs.h. */
#include "parts.h"
#include "storage/blobs.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    relay_store *store;
    relay_segments *segments;
    uint64_t number;
    const uint8_t *key;
    char *where;
    size_t where_bytes;
} checking;

/* The relay may go on meanwhile: a blob that has ended since has no segments. */
static bool still_there(const checking *c)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(c->store, &q, "SELECT 1 FROM blob WHERE number = ? AND done = 0", "i", c->number);
    if (q)
        (void)sqlite3_reset(q); /* only one row */
    return rc != TACET_E_NOT_FOUND;
}

static int chunk_check(checking *c, uint32_t index)
{
    blob b;
    int rc = relay_segments_read(c->segments, c->number, c->key, index, &b);
    if (rc == TACET_OK || !still_there(c)) /* whatever a file answers that is being unlinked */
        return TACET_OK;
    if (rc != TACET_E_NOT_FOUND && rc != TACET_E_CORRUPT)
        return rc;
    (void)snprintf(c->where, c->where_bytes, "blob %llu: chunk %u %s", (unsigned long long)c->number, (unsigned)index,
                   rc == TACET_E_CORRUPT ? "cannot be read" : "is marked as stored and not there");
    return TACET_E_CORRUPT;
}

static int page_check(void *ctx, uint8_t who, uint32_t page, const uint8_t *bits)
{
    checking *c = ctx;
    int rc = TACET_OK;
    for (uint32_t i = 0; who == RELAY_BITS_STORED && rc == TACET_OK && i < RELAY_BITS_PAGE_CHUNKS; i++)
        if (bits[i / 8] >> i % 8 & 1)
            rc = chunk_check(c, page * RELAY_BITS_PAGE_CHUNKS + i);
    return rc;
}

/* The next blob that is not done, by number; its key into `key`. */
static int next_blob(relay_store *s, uint64_t *number, uint8_t key[32])
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT number, key FROM blob WHERE number > ? AND done = 0 ORDER BY number LIMIT 1", "i", *number);
    if (rc != TACET_OK)
        return rc;
    *number = (uint64_t)sqlite3_column_int64(q, 0);
    const void *at = sqlite3_column_blob(q, 1);
    rc = at && sqlite3_column_bytes(q, 1) == 32 ? TACET_OK : TACET_E_CORRUPT;
    if (rc == TACET_OK)
        memcpy(key, at, 32);
    (void)sqlite3_reset(q); /* only one row */
    return rc;
}

int relay_segments_check(relay_store *s, char *where, size_t where_bytes)
{
    uint8_t key[32];
    checking c = { .store = s, .key = key, .where = where, .where_bytes = where_bytes };
    int rc = relay_segments_open(&c.segments, s);
    while (rc == TACET_OK && (rc = next_blob(s, &c.number, key)) == TACET_OK)
        rc = relay_blob_bits(s, c.number, page_check, &c);
    relay_segments_close(c.segments);
    sodium_memzero(key, sizeof key);
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}
