/* Checkpoints, checking, copies. */
#include "connection.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

int database_checkpoint(database *d, bool truncate, uint64_t *left)
{
    int log = 0, copied = 0;
    if (d->failed != TACET_OK)
        return d->failed;
    int code = sqlite3_wal_checkpoint_v2(d->db, "main", truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &log, &copied);
    if (code != SQLITE_OK && (truncate || code != SQLITE_BUSY)) /* somebody else is at it: passive means that this is fine */
        return connection_failure(d, code);
    if (left)
        *left = (uint64_t)(log > copied ? log - copied : 0) * d->profile.page_bytes;
    return TACET_OK;
}

uint64_t database_wal_bytes(const database *d)
{
    int64_t bytes = 0;
    char *wal = files_name(d->path, "-wal");
    int rc = wal ? files_size(wal, &bytes) : TACET_E_NOMEM;
    free(wal);
    return rc == TACET_OK && bytes > 0 ? (uint64_t)bytes : 0;
}

/* --- check --------------------------------------------------------------------------------------------------------------------------- */
/* Each row of a check is a complaint, but for `fine`. */
static int complaints(database *d, const char *sql, const char *fine, char *where, size_t where_bytes)
{
    sqlite3_stmt *s = NULL;
    int rc = database_statement(d, sql, &s);
    if (rc != TACET_OK)
        return rc;
    rc = database_row(d, s);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    const char *text = (const char *)sqlite3_column_text(s, 0);
    if (!text) {
        rc = TACET_E_NOMEM;
    } else if (!fine || strcmp(text, fine) != 0) {
        (void)snprintf(where, where_bytes, "%.*s", (int)strcspn(text, "\n"), text);
        rc = TACET_E_CORRUPT;
    }
    (void)sqlite3_reset(s); /* the rest of the complaints is not wanted */
    return rc;
}

/* A page that another connection copies out of the WAL at this moment may look torn: damaged is what looks so three times. */
static int pages_check(database *d, char *where, size_t where_bytes)
{
    enum { LOOKS = 3 };
    int rc = TACET_E_CORRUPT;
    for (int i = 0; i < LOOKS && rc == TACET_E_CORRUPT; i++)
        rc = complaints(d, "PRAGMA cipher_integrity_check(1)", NULL, where, where_bytes);
    if (rc == TACET_OK && where_bytes)
        *where = 0;
    return rc;
}

/* False: the table does not read, or says of itself that it is not well. */
static bool table_is_well(database *d, const char *name)
{
    sqlite3_stmt *q = NULL;
    char *sql = sqlite3_mprintf("PRAGMA integrity_check(%Q)", name);
    bool well = sql && sqlite3_prepare_v2(d->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;
    const char *text = well ? (const char *)sqlite3_column_text(q, 0) : NULL;
    well = text && strcmp(text, "ok") == 0;
    (void)sqlite3_finalize(q); /* repeats the step's result */
    sqlite3_free(sql);
    return well;
}

/* Adds to `where` which tables the damage hits. The names are read first: with the schema gone, that is all there is to say. */
static void name_tables(database *d, char *where, size_t where_bytes)
{
    enum { TABLES_MAX = 64, NAME_MAX_BYTES = 64 };
    char(*name)[NAME_MAX_BYTES] = calloc(TABLES_MAX, sizeof *name);
    sqlite3_stmt *q = NULL;
    size_t tables = 0, used = strlen(where), hit = 0;
    int rc = sqlite3_prepare_v2(d->db, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &q, NULL);
    while (name && rc == SQLITE_OK && tables < TABLES_MAX && sqlite3_step(q) == SQLITE_ROW)
        (void)snprintf(name[tables++], NAME_MAX_BYTES, "%s", (const char *)sqlite3_column_text(q, 0));
    (void)sqlite3_finalize(q); /* repeats the step's result */
    for (size_t i = 0; i < tables && used + 1 < where_bytes; i++)
        if (!table_is_well(d, name[i])) {
            int n = snprintf(where + used, where_bytes - used, "%s%s", hit++ ? ", " : "; hit: ", name[i]);
            used += n > 0 ? (size_t)n : 0;
        }
    if (hit == 0 && used < where_bytes)
        (void)snprintf(where + used, where_bytes - used, "%s", tables ? "; no table that is read is hit" : "; the list of tables is hit");
    free(name);
}

int database_check(database *d, char *where, size_t where_bytes)
{
    if (where_bytes)
        *where = 0;
    /* What is still in the WAL has to pass the checks too. */
    int rc = d->reader ? TACET_OK : database_checkpoint(d, false, NULL);
    if (rc == TACET_OK)
        rc = pages_check(d, where, where_bytes);
    if (rc == TACET_OK)
        rc = complaints(d, "PRAGMA integrity_check(1)", "ok", where, where_bytes);
    if (rc == TACET_OK)
        rc = complaints(d, "PRAGMA foreign_key_check", NULL, where, where_bytes);
    if (rc == TACET_E_CORRUPT && where_bytes && !*where)
        (void)snprintf(where, where_bytes, "%s", sqlite3_errmsg(d->db));
    if (rc == TACET_E_CORRUPT && where_bytes)
        name_tables(d, where, where_bytes);
    return rc;
}

/* --- copies -------------------------------------------------------------------------------------------------------------------------- */
static int pages_copy(database *to, database *from, bool (*may_go_on)(void *ctx), void *ctx)
{
    enum { PIECE_PAGES = 256 };
    sqlite3_backup *b = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!b)
        return connection_failure(to, sqlite3_extended_errcode(to->db));
    int code = SQLITE_OK;
    while (code == SQLITE_OK && (!may_go_on || may_go_on(ctx)))
        code = sqlite3_backup_step(b, PIECE_PAGES);
    bool stopped = code == SQLITE_OK;
    int end = sqlite3_backup_finish(b);
    if (stopped)
        return TACET_E_BUSY;
    if (code == SQLITE_DONE)
        code = end;
    return code == SQLITE_OK ? TACET_OK : connection_failure(to, code);
}

int database_backup(database *d, const char *path, const uint8_t key[32]) { return database_backup_while(d, path, key, NULL, NULL); }

int database_backup_while(database *d, const char *path, const uint8_t key[32], bool (*may_go_on)(void *ctx), void *ctx)
{
    database *to = NULL;
    char *fresh = files_name(path, ".new");
    int rc = fresh ? files_remove(fresh) : TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = files_create(fresh);
    if (rc == TACET_OK)
        rc = connection_new(&to, fresh, key, &d->profile);
    if (rc == TACET_OK)
        rc = connection_open(to, CONNECT_COPY);
    if (rc == TACET_OK)
        rc = pages_copy(to, d, may_go_on, ctx);
    connection_free(to);
    if (rc == TACET_OK && rename(fresh, path) != 0)
        rc = files_status(errno);
    if (rc == TACET_OK)
        rc = files_sync_folder(path);
    if (rc != TACET_OK && fresh)
        (void)files_remove(fresh); /* the failure that counts is the first one */
    free(fresh);
    return rc;
}
