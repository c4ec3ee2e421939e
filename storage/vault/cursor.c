/* Cursors: how far a program of its own has come. A cursor is a watermark, and the rows above it that were taken out of turn. */
#include "sql.h"
#include <string.h>

/* Incoming rows that cursor ?1 has not taken. */
#define UNTAKEN                                                                                                                                      \
    "m.outgoing=0 AND m.row>(SELECT upto FROM cursor WHERE name=?1)"                                                                                 \
    " AND NOT EXISTS(SELECT 1 FROM cursor_taken t WHERE t.cursor=?1 AND t.row=m.row)"

int vault_cursor_find(vault *v, const char *name, bool *there)
{
    uint64_t count = 0;
    int rc = vault_number(v, &count, "SELECT count(*) FROM cursor WHERE name=?", "t", name);
    if (rc == TACET_OK)
        *there = count > 0;
    return rc;
}

int vault_cursor_add(vault *v, const char *name, uint64_t now_ms)
{
    int rc = vault_run(v,
                       "INSERT INTO cursor(name, created_ms, upto) VALUES(?, ?,"
                       " coalesce((SELECT min(row)-1 FROM message WHERE outgoing=0 AND handed=0), (SELECT max(row) FROM message), 0))",
                       "tu", name, now_ms);
    if (rc == TACET_OK)
        rc = vault_run(v,
                       "INSERT INTO cursor_taken(cursor, row) SELECT ?1, row FROM message"
                       " WHERE outgoing=0 AND handed=1 AND row>(SELECT upto FROM cursor WHERE name=?1)",
                       "t", name);
    return rc;
}

int vault_cursor_remove(vault *v, const char *name) { return vault_change(v, "DELETE FROM cursor WHERE name=?", "t", name); }

int vault_cursor_remove_all(vault *v) { return vault_run(v, "DELETE FROM cursor", ""); }

int vault_cursor_each(vault *v, vault_cursor_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT name, created_ms FROM cursor ORDER BY name", "");
    if (rc != TACET_OK)
        return rc;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        vault_cursor c;
        row_cursor r = row_of(st);
        row_text(&r, c.name, sizeof c.name);
        c.created_ms = row_u64(&r);
        rc = row_status(&r);
        if (rc != TACET_OK || !each(ctx, &c)) {
            vault_end(st);
            return rc;
        }
    }
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int vault_cursor_waiting(vault *v, const char *name, uint64_t *count)
{
    return vault_number(v, count, "SELECT count(*) FROM message m WHERE " UNTAKEN, "t", name);
}

int vault_cursor_rows(vault *v, const char *name, int64_t after, int64_t *rows, size_t room, size_t *count)
{
    return vault_numbers(v, rows, room, count, "SELECT m.row FROM message m WHERE " UNTAKEN " AND m.row>?2 ORDER BY m.row LIMIT ?3", "tii", name,
                         after, (int64_t)room);
}

int vault_cursor_handed(vault *v, const char *name, const uint8_t id[16])
{
    return vault_run(v,
                     "INSERT OR IGNORE INTO cursor_taken(cursor, row) SELECT ?1, row FROM message"
                     " WHERE id=?2 AND outgoing=0 AND row>(SELECT upto FROM cursor WHERE name=?1)",
                     "tb", name, id, (size_t)16);
}

int vault_cursor_fold(vault *v, const char *name)
{
    int rc = vault_run(v,
                       "UPDATE cursor SET upto=coalesce((SELECT m.row-1 FROM message m WHERE " UNTAKEN " ORDER BY m.row LIMIT 1),"
                       " (SELECT max(upto, m.row) FROM message m ORDER BY m.row DESC LIMIT 1), upto) WHERE name=?1",
                       "t", name);
    if (rc == TACET_OK)
        rc = vault_run(v, "DELETE FROM cursor_taken WHERE cursor=?1 AND row<=(SELECT upto FROM cursor WHERE name=?1)", "t", name);
    return rc;
}

/* --- from one vault to another ----------------------------------------------------------------------------------------------------------- */
/* Rows and ids by a query over ?1 the cursor, ?2 the row behind which, ?3 how many. */
static int ids_of(vault *v, int64_t *after, uint8_t (*ids)[16], size_t room, size_t *count, const char *sql, const char *name)
{
    sqlite3_stmt *st = NULL;
    size_t n = 0;
    int rc = vault_select(v, &st, sql, "tii", name, *after, (int64_t)room);
    if (rc != TACET_OK)
        return rc;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        row_cursor r = row_of(st);
        *after = row_i64(&r);
        row_bytes(&r, ids[n++], sizeof ids[0]);
        if (row_status(&r) != TACET_OK) {
            vault_end(st);
            return TACET_E_CORRUPT;
        }
    }
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    *count = n;
    return TACET_OK;
}

int vault_cursor_upto(vault *v, const char *name, uint8_t id[16])
{
    int64_t after = 0;
    size_t count = 0;
    uint8_t newest[1][16] = { { 0 } };
    int rc = ids_of(
        v, &after, newest, 1, &count,
        "SELECT row, id FROM message WHERE outgoing=0 AND row>?2 AND row<=(SELECT upto FROM cursor WHERE name=?1) ORDER BY row DESC LIMIT ?3", name);
    if (rc == TACET_OK)
        memcpy(id, newest[0], sizeof newest[0]);
    return rc;
}

int vault_cursor_taken(vault *v, const char *name, int64_t *after, uint8_t (*ids)[16], size_t room, size_t *count)
{
    return ids_of(v, after, ids, room, count,
                  "SELECT m.row, m.id FROM cursor_taken t JOIN message m ON m.row=t.row WHERE t.cursor=?1 AND t.row>?2 ORDER BY t.row LIMIT ?3",
                  name);
}

int vault_cursor_put(vault *v, const vault_cursor *c, const uint8_t id[16])
{
    /* Two contacts may have used one id: the older one is right or too early, and too early is told again. */
    return vault_run(v,
                     "INSERT INTO cursor(name, created_ms, upto) VALUES(?1, ?2,"
                     " coalesce((SELECT min(row) FROM message WHERE id=?3 AND outgoing=0 AND id<>zeroblob(16)), 0))",
                     "tub", c->name, c->created_ms, id, (size_t)16);
}
