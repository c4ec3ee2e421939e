/* Rows of blobs: names, room, bits. See storage/blobs.h. */
#include "parts.h"
#include "storage/blobs.h"
#include <sodium.h>
#include <string.h>

enum { HASH_BYTES = 32, ID_BYTES = 16 };

/* --- finding --------------------------------------------------------------------------------------------------------------------------- */
static int column_copy(sqlite3_stmt *q, int column, uint8_t *out, size_t bytes)
{
    const void *at = sqlite3_column_blob(q, column);
    if (!at || (size_t)sqlite3_column_bytes(q, column) != bytes)
        return TACET_E_CORRUPT;
    memcpy(out, at, bytes);
    return TACET_OK;
}

static int row_read(sqlite3_stmt *q, relay_blob *b)
{
    b->number = (uint64_t)sqlite3_column_int64(q, 0);
    b->chunks = (uint32_t)sqlite3_column_int64(q, 3);
    b->expires_hour = (uint32_t)sqlite3_column_int64(q, 4);
    b->done = sqlite3_column_int(q, 5) != 0;
    size_t hashes = (size_t)sqlite3_column_bytes(q, 6);
    b->receivers = (uint32_t)(hashes / HASH_BYTES);
    if (hashes == 0 || hashes > sizeof b->hash || b->chunks == 0 || b->chunks > TACET_BLOB_CHUNKS_MAX)
        return TACET_E_CORRUPT;
    int rc = column_copy(q, 1, b->account, sizeof b->account);
    if (rc == TACET_OK)
        rc = column_copy(q, 2, b->key, sizeof b->key);
    return rc == TACET_OK ? column_copy(q, 6, b->hash[0], b->receivers * (size_t)HASH_BYTES) : rc;
}

int relay_blob_find(relay_store *s, const uint8_t id[16], relay_blob *out)
{
    sqlite3_stmt *q = NULL;
    const blob name = { id, ID_BYTES };
    int rc = relay_one(s, &q, "SELECT number, account, key, chunks, expires_hour, done, receivers FROM blob WHERE id = ?", "b", name);
    if (rc != TACET_OK)
        return rc;
    relay_blob b = { 0 };
    memcpy(b.id, id, sizeof b.id);
    rc = row_read(q, &b);
    (void)sqlite3_reset(q); /* only one row */
    if (rc == TACET_OK)
        *out = b;
    sodium_memzero(&b, sizeof b);
    return rc;
}

/* --- room ------------------------------------------------------------------------------------------------------------------------------ */
static int two_integers(relay_store *s, uint64_t *first, uint64_t *second, const char *sql, const char *types, const uint8_t *account)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, sql, types, account);
    if (rc != TACET_OK)
        return rc;
    *first = (uint64_t)sqlite3_column_int64(q, 0);
    *second = (uint64_t)sqlite3_column_int64(q, 1);
    (void)sqlite3_reset(q); /* only one row */
    return TACET_OK;
}

static uint64_t less(uint64_t from, uint64_t what) { return from > what ? from - what : 0; }

/* What is set aside and not yet written counts as written; a segment's few pages more are in what stays free. An account's share is one of what is free
 * now, with its own: so whoever takes all that they may leaves most of it to the others. */
static int room_for(relay_store *s, const relay_blob *b, const relay_blob_limits *l)
{
    uint64_t blobs = 0, chunks = 0, all_blobs = 0, all_chunks = 0, disk = 0, written = relay_segments_bytes(s);
    int rc = two_integers(s, &blobs, &chunks, "SELECT count(*), coalesce(sum(room), 0) FROM blob WHERE account = ?", "k", b->account);
    if (rc == TACET_OK)
        rc = two_integers(s, &all_blobs, &all_chunks, "SELECT blobs, room FROM blob_sum", "", NULL);
    if (rc == TACET_OK)
        rc = store_disk_free(s, &disk);
    if (rc != TACET_OK)
        return rc;
    uint64_t want = b->chunks * (uint64_t)RELAY_CHUNK_ROOM_BYTES, mine = chunks * RELAY_CHUNK_ROOM_BYTES, all = all_chunks * RELAY_CHUNK_ROOM_BYTES;
    uint64_t of_disk = less(less(disk, l->free_bytes), less(all, written)), left = less(l->total_bytes, all);
    left = left < of_disk ? left : of_disk;
    bool fits = blobs < l->account_blobs && mine + want <= l->account_bytes && want <= left && mine + want <= (mine + left) / l->account_share;
    return fits ? TACET_OK : TACET_E_QUOTA;
}

static bool same_blob(const relay_blob *a, const relay_blob *b)
{
    return sodium_memcmp(a->account, b->account, sizeof a->account) == 0 && a->chunks == b->chunks && a->receivers == b->receivers &&
           sodium_memcmp(a->hash, b->hash, b->receivers * (size_t)HASH_BYTES) == 0;
}

int relay_blob_create(relay_store *s, const relay_blob *b, const relay_blob_limits *l, bool *made)
{
    relay_blob there;
    uint8_t key[32];
    const blob id = { b->id, sizeof b->id }, hashes = { b->hash, b->receivers * (size_t)HASH_BYTES };
    int rc = relay_blob_find(s, b->id, &there);
    if (rc == TACET_OK) {
        rc = same_blob(b, &there) ? TACET_OK : TACET_E_EXISTS;
        sodium_memzero(&there, sizeof there);
        *made = false;
        return rc;
    }
    if (rc == TACET_E_NOT_FOUND)
        rc = room_for(s, b, l);
    if (rc != TACET_OK)
        return rc;
    randombytes_buf(key, sizeof key);
    rc = relay_do(s, NULL, "INSERT INTO blob(id, account, key, chunks, expires_hour, done, receivers, room) VALUES(?1, ?2, ?3, ?4, ?5, 0, ?6, ?4)",
                  "bkkiib", id, b->account, key, (uint64_t)b->chunks, (uint64_t)b->expires_hour, hashes);
    if (rc == TACET_OK)
        rc = relay_do(s, NULL, "UPDATE blob_sum SET blobs = blobs + 1, room = room + ?", "i", (uint64_t)b->chunks);
    sodium_memzero(key, sizeof key);
    if (rc == TACET_OK)
        *made = true;
    return rc;
}

static int room_back(relay_store *s, uint64_t number)
{
    return relay_do(s, NULL, "UPDATE blob_sum SET room = room - coalesce((SELECT room FROM blob WHERE number = ?), 0)", "i", number);
}

int relay_blob_done(relay_store *s, uint64_t number)
{
    int rc = room_back(s, number);
    if (rc == TACET_OK)
        rc = relay_do(s, NULL, "UPDATE blob SET done = 1, room = 0 WHERE number = ?", "i", number);
    return rc == TACET_OK ? relay_do(s, NULL, "DELETE FROM blob_bits WHERE number = ?", "i", number) : rc;
}

int relay_blob_remove(relay_store *s, uint64_t number)
{
    uint64_t rows = 0;
    int rc = relay_blob_done(s, number);
    if (rc == TACET_OK)
        rc = relay_do(s, &rows, "DELETE FROM blob WHERE number = ?", "i", number);
    return rc == TACET_OK && rows ? relay_do(s, NULL, "UPDATE blob_sum SET blobs = blobs - 1", "") : rc;
}

int relay_blob_expired(relay_store *s, uint32_t now_hour, relay_blob_name *out)
{
    sqlite3_stmt *q = NULL;
    int rc =
        relay_one(s, &q, "SELECT number, id, chunks, done FROM blob WHERE expires_hour <= ? ORDER BY expires_hour LIMIT 1", "i", (uint64_t)now_hour);
    if (rc != TACET_OK)
        return rc;
    out->number = (uint64_t)sqlite3_column_int64(q, 0);
    out->chunks = (uint32_t)sqlite3_column_int64(q, 2);
    out->done = sqlite3_column_int(q, 3) != 0;
    rc = column_copy(q, 1, out->id, sizeof out->id);
    (void)sqlite3_reset(q); /* only one row */
    return rc;
}

int relay_blobs_total(relay_store *s, relay_blob_totals *out)
{
    relay_blob_totals t = { 0 };
    int rc = two_integers(s, &t.blobs, &t.reserved_bytes, "SELECT blobs, room FROM blob_sum", "", NULL);
    t.reserved_bytes *= RELAY_CHUNK_ROOM_BYTES;
    if (rc == TACET_OK)
        *out = t;
    return rc;
}

int relay_blobs_forget(relay_store *s)
{
    int rc = relay_begin(s);
    if (rc == TACET_OK)
        rc = database_execute(s->db, "DELETE FROM blob; DELETE FROM blob_bits; UPDATE blob_sum SET blobs = 0, room = 0");
    if (rc == TACET_OK)
        return relay_commit(s);
    relay_rollback(s);
    return rc;
}

/* --- bits ------------------------------------------------------------------------------------------------------------------------------ */
int relay_blob_bits(relay_store *s, uint64_t number, int (*each)(void *ctx, uint8_t who, uint32_t page, const uint8_t *bits), void *ctx)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_bind(s, &q, "SELECT who, page, bits FROM blob_bits WHERE number = ? ORDER BY who, page", "i", number);
    while (rc == TACET_OK && (rc = database_row(s->db, q)) == TACET_OK) {
        const uint8_t *bits = sqlite3_column_blob(q, 2);
        bool whole = bits && sqlite3_column_bytes(q, 2) == RELAY_BITS_PAGE_BYTES;
        rc = whole ? each(ctx, (uint8_t)sqlite3_column_int(q, 0), (uint32_t)sqlite3_column_int64(q, 1), bits) : TACET_E_CORRUPT;
    }
    if (q)
        (void)sqlite3_reset(q); /* an early end is one of ours */
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int relay_blob_mark(relay_store *s, uint64_t number, uint8_t who, uint32_t page, const uint8_t bits[RELAY_BITS_PAGE_BYTES])
{
    const blob b = { bits, RELAY_BITS_PAGE_BYTES };
    return relay_do(s, NULL, "INSERT OR REPLACE INTO blob_bits SELECT ?1, ?2, ?3, ?4 WHERE EXISTS(SELECT 1 FROM blob WHERE number = ?1 AND done = 0)",
                    "iiib", number, (uint64_t)who, (uint64_t)page, b);
}
