/* Segments: the files that chunks lie in. See storage/blobs.h. No lock files and no migrations: relay.db's lock covers the directory, and a segment
 * lives for a month at most. A segment that is half made holds no chunk that relay.db knows of. */
#include "parts.h"
#include "storage/blobs.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPEN_MAX = 6, NAME_MAX_BYTES = 64 };
static const char prefix[] = "/blob-";
static const database_profile segment_profile = { .page_bytes = 65536, .wal_autocheckpoint_pages = 64 };

typedef struct {
    database *db; /* NULL: the place is empty */
    uint64_t number, used;
    uint32_t part;
    int64_t bytes; /* of the file, as it was counted */
    bool written;  /* here */
} segment;

struct relay_segments {
    relay_store *store;
    char *dir;
    uint64_t clock;
    segment open[OPEN_MAX];
    sqlite3_stmt *reading; /* holds the row that was handed out last */
};

uint64_t relay_segments_bytes(const relay_store *s) { return atomic_load(&s->segment_bytes); }

/* --- names ----------------------------------------------------------------------------------------------------------------------------- */
static char *folder_of_store(const relay_store *s)
{
    char *dir = strdup(s->db->path), *slash = dir ? strrchr(dir, '/') : NULL;
    if (slash)
        *slash = 0;
    return dir;
}

static char *segment_path(const char *dir, uint64_t number, uint32_t part)
{
    char name[NAME_MAX_BYTES];
    (void)snprintf(name, sizeof name, "%s%" PRIu64 "-%" PRIu32 ".db", prefix, number, part);
    return files_name(dir, name);
}

static int path_bytes(const char *dir, uint64_t number, uint32_t part, int64_t *bytes)
{
    char *path = segment_path(dir, number, part);
    int rc = path ? files_size(path, bytes) : TACET_E_NOMEM;
    free(path);
    return rc;
}

/* --- open and close -------------------------------------------------------------------------------------------------------------------- */
static void bytes_counted(const relay_segments *g, segment *m)
{
    int64_t now = 0;
    if (path_bytes(g->dir, m->number, m->part, &now) != TACET_OK || now < 0)
        return; /* counted again at the next start */
    atomic_fetch_add(&g->store->segment_bytes, (uint64_t)now - (uint64_t)(m->bytes > 0 ? m->bytes : 0));
    m->bytes = now;
}

static void segment_close(relay_segments *g, segment *m)
{
    g->reading = NULL;
    if (m->written && database_checkpoint(m->db, false, NULL) == TACET_OK) /* else the next one does it; nothing is lost */
        bytes_counted(g, m);
    m->db = database_close(m->db);
    *m = (segment){ 0 };
}

static segment *segment_place(relay_segments *g)
{
    segment *oldest = &g->open[0];
    for (int i = 0; i < OPEN_MAX; i++) {
        if (!g->open[i].db)
            return &g->open[i];
        if (g->open[i].used < oldest->used)
            oldest = &g->open[i];
    }
    segment_close(g, oldest);
    return oldest;
}

/* A file that is there and has no table is one that was being made when the relay was killed. */
static int segment_make(database *d)
{
    int64_t tables = 0;
    int rc = connection_integer(d, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc == TACET_OK && tables == 0)
        rc = database_execute(d, "CREATE TABLE chunk(i INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
    return rc;
}

static int segment_connect(database **out, const char *path, const uint8_t key[32], bool make)
{
    database *d = NULL;
    int64_t bytes = 0;
    int rc = files_size(path, &bytes);
    if (rc == TACET_OK && bytes < 0)
        rc = make ? files_create(path) : TACET_E_NOT_FOUND;
    if (rc == TACET_OK && bytes < 0)
        rc = files_sync_folder(path);
    if (rc == TACET_OK)
        rc = connection_new(&d, path, key, &segment_profile);
    if (rc == TACET_OK)
        rc = connection_open(d, CONNECT_WRITER);
    if (rc == TACET_OK)
        rc = database_execute(d, "PRAGMA cache_size=8"); /* pages of 64 KiB; a chunk is written once and read once */
    if (rc == TACET_OK && make)
        rc = segment_make(d);
    if (rc == TACET_OK)
        *out = d;
    else
        database_close(d);
    return rc;
}

static int segment_of(relay_segments *g, segment **out, uint64_t number, const uint8_t key[32], uint32_t part, bool make)
{
    for (int i = 0; i < OPEN_MAX; i++)
        if (g->open[i].db && g->open[i].number == number && g->open[i].part == part) {
            g->open[i].used = ++g->clock;
            *out = &g->open[i];
            return TACET_OK;
        }
    segment *m = segment_place(g);
    segment fresh = { .number = number, .part = part, .used = ++g->clock };
    char *path = segment_path(g->dir, number, part);
    int rc = path ? files_size(path, &fresh.bytes) : TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = segment_connect(&fresh.db, path, key, make);
    free(path);
    if (rc != TACET_OK)
        return rc;
    *m = fresh;
    *out = m;
    return TACET_OK;
}

int relay_segments_open(relay_segments **out, relay_store *s)
{
    relay_segments *g = calloc(1, sizeof *g);
    if (!g)
        return TACET_E_NOMEM;
    g->store = s;
    g->dir = folder_of_store(s);
    if (!g->dir) {
        free(g);
        return TACET_E_NOMEM;
    }
    *out = g;
    return TACET_OK;
}

relay_segments *relay_segments_close(relay_segments *g)
{
    if (!g)
        return NULL;
    for (int i = 0; i < OPEN_MAX; i++)
        if (g->open[i].db)
            segment_close(g, &g->open[i]);
    free(g->dir);
    free(g);
    return NULL;
}

/* --- chunks ---------------------------------------------------------------------------------------------------------------------------- */
static int put_all(database *d, const relay_chunk *chunk, size_t count)
{
    sqlite3_stmt *q = NULL;
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        rc = database_statement(d, "INSERT OR REPLACE INTO chunk VALUES(?, ?)", &q);
        if (rc != TACET_OK)
            break;
        (void)sqlite3_bind_int64(q, 1, chunk[i].index); /* without memory the step says so */
        (void)sqlite3_bind_blob64(q, 2, chunk[i].bytes.at, chunk[i].bytes.bytes, SQLITE_STATIC);
        rc = database_run(d, q);
    }
    return rc;
}

int relay_segments_write(relay_segments *g, uint64_t number, const uint8_t key[32], const relay_chunk *chunk, size_t count)
{
    segment *m = NULL;
    int rc = count ? segment_of(g, &m, number, key, relay_segment_of(chunk[0].index), true) : TACET_E_BUG;
    if (rc == TACET_OK)
        rc = database_begin(m->db);
    if (rc != TACET_OK)
        return rc;
    m->written = true;
    rc = put_all(m->db, chunk, count);
    if (rc == TACET_OK)
        rc = database_commit(m->db);
    else
        database_rollback(m->db);
    bytes_counted(g, m);
    if (rc != TACET_OK)
        segment_close(g, m); /* whatever it is, it is looked at afresh */
    return rc;
}

int relay_segments_read(relay_segments *g, uint64_t number, const uint8_t key[32], uint32_t index, blob *out)
{
    segment *m = NULL;
    if (g->reading)
        (void)sqlite3_reset(g->reading); /* only one row */
    g->reading = NULL;
    int rc = segment_of(g, &m, number, key, relay_segment_of(index), false);
    sqlite3_stmt *q = NULL;
    if (rc == TACET_OK)
        rc = database_statement(m->db, "SELECT bytes FROM chunk WHERE i = ?", &q);
    if (rc != TACET_OK)
        return rc;
    (void)sqlite3_bind_int64(q, 1, index); /* without memory the step says so */
    rc = database_row(m->db, q);
    if (rc != TACET_OK)
        return rc;
    blob b = { sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0) };
    g->reading = q;
    if (!b.at || b.bytes == 0 || b.bytes > TACET_CHUNK_BYTES)
        return b.at ? TACET_E_CORRUPT : TACET_E_NOMEM;
    *out = b;
    return TACET_OK;
}

/* --- the end of a blob ------------------------------------------------------------------------------------------------------------------- */
static int part_unlink(relay_segments *g, uint64_t number, uint32_t part)
{
    int64_t bytes = 0;
    char *path = segment_path(g->dir, number, part);
    int rc = path ? files_size(path, &bytes) : TACET_E_NOMEM;
    if (rc == TACET_OK && bytes >= 0)
        rc = files_remove(path);
    uint64_t counted = atomic_load(&g->store->segment_bytes);
    if (rc == TACET_OK && bytes >= 0)
        atomic_fetch_sub(&g->store->segment_bytes, (uint64_t)bytes < counted ? (uint64_t)bytes : counted);
    free(path);
    return rc;
}

int relay_segments_drop(relay_segments *g, uint64_t number, uint32_t chunks)
{
    int rc = TACET_OK;
    for (int i = 0; i < OPEN_MAX; i++)
        if (g->open[i].db && g->open[i].number == number)
            segment_close(g, &g->open[i]);
    for (uint32_t part = 0; rc == TACET_OK && (uint64_t)part * RELAY_SEGMENT_CHUNKS < chunks; part++)
        rc = part_unlink(g, number, part);
    return rc;
}

typedef struct {
    relay_store *store;
    uint64_t number;
    bool known;
} lookup;

static int blob_known(lookup *l, uint64_t number)
{
    sqlite3_stmt *q = NULL;
    if (number == l->number)
        return TACET_OK;
    int rc = relay_one(l->store, &q, "SELECT 1 FROM blob WHERE number = ? AND done = 0", "i", number);
    if (q)
        (void)sqlite3_reset(q); /* only one row */
    if (rc != TACET_OK && rc != TACET_E_NOT_FOUND)
        return rc;
    *l = (lookup){ l->store, number, rc == TACET_OK };
    return TACET_OK;
}

/* One name of the directory: counts a segment that is known, unlinks one that is not with whatever stands beside it. */
static int sweep_name(lookup *l, const char *dir, const char *name)
{
    uint64_t number = 0;
    uint32_t part = 0;
    int end = 0;
    int64_t bytes = 0;
    if (sscanf(name, "blob-%" SCNu64 "-%" SCNu32 ".db%n", &number, &part, &end) != 2 || end == 0)
        return TACET_OK;
    int rc = blob_known(l, number);
    char *path = rc == TACET_OK ? segment_path(dir, number, part) : NULL;
    if (rc == TACET_OK)
        rc = !path ? TACET_E_NOMEM : l->known ? files_size(path, &bytes) : files_remove(path);
    if (rc == TACET_OK && l->known && !name[end] && bytes > 0)
        atomic_fetch_add(&l->store->segment_bytes, (uint64_t)bytes);
    free(path);
    return rc;
}

int relay_segments_sweep(relay_store *s)
{
    lookup l = { .store = s };
    char *dir = folder_of_store(s);
    DIR *d = dir ? opendir(dir) : NULL;
    int rc = !dir ? TACET_E_NOMEM : !d ? files_status(errno) : TACET_OK;
    atomic_store(&s->segment_bytes, 0);
    for (struct dirent *e; rc == TACET_OK && (errno = 0, e = readdir(d));)
        rc = sweep_name(&l, dir, e->d_name);
    if (d)
        (void)closedir(d); /* only read */
    free(dir);
    return rc;
}
