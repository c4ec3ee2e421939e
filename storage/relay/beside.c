/* Checking and copying beside the committer, on a connection of its own: a second, read-only store over one view of the tables, with an index that is
 * loaded from them as at start. What the view holds back is the log's new beginning: the WAL grows as long as it is there, so it leaves when that has
 * grown too long, and whoever asked is told to come back at a quieter time. */
#include "parts.h"
#include "storage/blobs.h"
#include <stdlib.h>

enum { INTERRUPT_EVERY = 4096 }; /* steps of SQLite's machine */

static bool may_stay(void *ctx)
{
    relay_store *s = ctx;
    return !atomic_load(&s->beside.stop) && atomic_load(&s->wal_bytes) < s->tuning.beside_wal_bytes;
}

static int has_to_go(void *ctx) { return !may_stay(ctx); }

static void guest_close(relay_store *s, relay_store *g)
{
    if (g) {
        g->db = database_close(g->db);
        index_free(&g->index);
        free(g->runs.at);
        free(g);
    }
    atomic_store(&s->beside.left, true);
    atomic_fetch_sub(&s->beside.guests, 1);
}

static int guest_open(relay_store **out, relay_store *s)
{
    relay_store *g = calloc(1, sizeof *g);
    atomic_fetch_add(&s->beside.guests, 1);
    int rc = !g ? TACET_E_NOMEM : may_stay(s) ? index_new(&g->index, s->tuning.run_rows * 4) : TACET_E_BUSY;
    if (rc == TACET_OK)
        rc = database_open_reader(&g->db, s->db);
    if (rc != TACET_OK) {
        guest_close(s, g);
        return rc;
    }
    g->tuning = s->tuning;
    g->clean.ring_expires = UINT32_MAX;
    sqlite3_progress_handler(g->db->db, INTERRUPT_EVERY, has_to_go, s);
    *out = g;
    return TACET_OK;
}

int relay_check_beside(relay_store *s, char *where, size_t where_bytes)
{
    relay_store *g = NULL;
    int rc = guest_open(&g, s);
    if (rc != TACET_OK)
        return rc;
    rc = database_check(g->db, where, where_bytes);
    if (rc == TACET_OK)
        rc = database_begin(g->db); /* one view for all that follows */
    if (rc == TACET_OK)
        rc = load_index(g);
    if (rc == TACET_OK || rc == TACET_E_CORRUPT) /* damage gets its name */
        rc = check_promises(g, rc, where, where_bytes);
    database_rollback(g->db); /* blobs end while their chunks are read: each is looked up as it is then */
    if (rc == TACET_OK)
        rc = relay_segments_check(g, where, where_bytes);
    guest_close(s, g);
    return rc;
}

int relay_backup_beside(relay_store *s, const char *path, const uint8_t key[32])
{
    relay_store *g = NULL;
    int rc = guest_open(&g, s);
    if (rc != TACET_OK)
        return rc;
    rc = database_begin(g->db);
    if (rc == TACET_OK)
        rc = database_execute(g->db, "SELECT indexed_through FROM log"); /* the view begins with the first row that is read */
    if (rc == TACET_OK)
        rc = database_backup_while(g->db, path, key, may_stay, s);
    guest_close(s, g);
    return rc;
}

void relay_beside_stop(relay_store *s) { atomic_store(&s->beside.stop, true); }
