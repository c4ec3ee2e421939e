/* The public face: open and close, transactions, statements. */
#include "connection.h"
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>
#include <errno.h>

const database_profile database_vault = { .page_bytes = 4096, .memory_security = true, .secure_delete = true, .wal_autocheckpoint_pages = 256 };
const database_profile database_relay = { .page_bytes = 16384, .memory_security = false, .secure_delete = false, .wal_autocheckpoint_pages = 0 };

/* --- open ---------------------------------------------------------------------------------------------------------------------------- */
/* Made under another name and complete before it gets its own: a file that is there is never a half-made one. */
static int make_new(const char *path, const uint8_t *key, const database_profile *profile, const migration *steps, size_t step_count)
{
    database *d = NULL;
    char *fresh = files_name(path, ".new");
    int rc = fresh ? files_remove(fresh) : TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = files_create(fresh);
    if (rc == TACET_OK)
        rc = connection_new(&d, fresh, key, profile);
    if (rc == TACET_OK)
        rc = connection_open(d, CONNECT_WRITER);
    if (rc == TACET_OK)
        rc = migrate_run(d, 0, steps, step_count);
    if (rc == TACET_OK)
        rc = database_checkpoint(d, true, NULL); /* closing would checkpoint too, but not tell of errors */
    connection_free(d);
    if (rc == TACET_OK && rename(fresh, path) != 0)
        rc = files_status(errno);
    if (rc == TACET_OK)
        rc = files_sync_folder(path);
    free(fresh);
    return rc;
}

/* Ours are in WAL mode from before they have their names, copies too: a rollback journal beside one is somebody else's. SQLite would play it back
 * before it has read a page, and needs no key for that. It is kept, under a name that means nothing to SQLite. */
static int journal_aside(const char *path)
{
    int64_t bytes = 0;
    char *journal = files_name(path, "-journal"), *aside = NULL;
    int rc = journal ? files_size(journal, &bytes) : TACET_E_NOMEM;
    for (unsigned number = 1; rc == TACET_OK && bytes >= 0; number++) {
        char suffix[32];
        (void)snprintf(suffix, sizeof suffix, "-journal.aside-%u", number);
        free(aside);
        aside = files_name(path, suffix);
        rc = aside ? files_size(aside, &bytes) : TACET_E_NOMEM;
    }
    if (rc == TACET_OK && aside && rename(journal, aside) != 0)
        rc = files_status(errno);
    free(aside);
    free(journal);
    return rc;
}

/* What lies on the disk before SQLite sees it, which would take some kinds of damage for an empty database. */
static int look_first(const char *path, bool *exists)
{
    int64_t bytes = 0, wal_bytes = 0;
    char *wal = files_name(path, "-wal");
    int rc = wal ? files_size(path, &bytes) : TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = files_size(wal, &wal_bytes);
    if (rc == TACET_OK && (bytes == 0 || (bytes < 0 && wal_bytes > 0)))
        rc = TACET_E_CORRUPT; /* emptied, or taken away from its log */
    if (rc == TACET_OK)
        rc = journal_aside(path);
    if (rc == TACET_OK && bytes > 0)
        rc = walfile_check(wal);
    if (rc == TACET_OK)
        *exists = bytes > 0;
    free(wal);
    return rc;
}

static int bring_up_to_date(database *d, const migration *steps, size_t step_count)
{
    uint32_t version = 0;
    int rc = migrate_version(d, &version);
    if (rc != TACET_OK)
        return rc;
    if (version == 0)
        return TACET_E_CORRUPT; /* ours never appear without a version */
    if (version > step_count)
        return TACET_E_NEWER;
    if (version == step_count)
        return migrate_erase_snapshots(d);
    rc = migrate_snapshot(d, (uint32_t)step_count);
    if (rc != TACET_OK)
        return rc;
    rc = migrate_run(d, version, steps, step_count);
    if (rc != TACET_OK)
        (void)!migrate_erase_snapshots(d); /* rolled back: the database is what the snapshot is. The failure that counts is the first one. */
    return rc;
}

int database_open(database **out, const char *path, const uint8_t key[32], const database_profile *profile, const migration *steps, size_t step_count)
{
    database *d = NULL;
    bool exists = false;
    for (size_t i = 0; i < step_count; i++)
        if (steps[i].version != i + 1)
            return TACET_E_BUG;
    int rc = step_count ? connection_new(&d, path, key, profile) : TACET_E_BUG;
    if (rc == TACET_OK)
        rc = files_lock(path, &d->lock_fd);
    if (rc == TACET_OK)
        rc = look_first(path, &exists);
    if (rc == TACET_OK && !exists)
        rc = make_new(path, key, profile, steps, step_count);
    if (rc == TACET_OK)
        rc = connection_open(d, CONNECT_WRITER);
    if (rc == TACET_OK)
        rc = bring_up_to_date(d, steps, step_count);
    if (rc == TACET_OK)
        *out = d;
    else
        connection_free(d);
    return rc;
}

int database_open_reader(database **out, const database *writer)
{
    database *d = NULL;
    int rc = connection_new(&d, writer->path, writer->key, &writer->profile);
    if (rc == TACET_OK)
        rc = connection_open(d, CONNECT_READER);
    if (rc == TACET_OK)
        *out = d;
    else
        connection_free(d);
    return rc;
}

database *database_close(database *d)
{
    if (d)
        database_rollback(d);
    return connection_free(d);
}

/* --- transactions -------------------------------------------------------------------------------------------------------------------- */
int database_begin(database *d)
{
    if (d->failed != TACET_OK)
        return d->failed;
    sqlite3_stmt *s = NULL;
    int rc = database_statement(d, d->reader ? "BEGIN" : "BEGIN IMMEDIATE", &s);
    return rc == TACET_OK ? database_run(d, s) : rc;
}

int database_commit(database *d)
{
    sqlite3_stmt *s = NULL;
    int rc = d->failed;
    if (rc == TACET_OK)
        rc = database_statement(d, "COMMIT", &s);
    if (rc == TACET_OK)
        rc = database_run(d, s);
    if (rc != TACET_OK)
        database_rollback(d);
    return rc;
}

void database_rollback(database *d)
{
    /* Some failures have rolled back already; a rollback that fails leaves the connection in an error state that the next begin reports. */
    if (d->db && !sqlite3_get_autocommit(d->db))
        (void)sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
}

/* --- statements ---------------------------------------------------------------------------------------------------------------------- */
static size_t text_hash(const char *text)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a: a table of our own texts, nobody else chooses them */
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

/* The place of `sql` in the table, or the empty place where it belongs. */
static size_t statement_place(sqlite3_stmt *const *table, size_t room, const char *sql)
{
    size_t at = text_hash(sql) & (room - 1);
    while (table[at] && strcmp(sqlite3_sql(table[at]), sql) != 0)
        at = (at + 1) & (room - 1);
    return at;
}

static int statements_grow(database *d)
{
    size_t room = d->statement_room ? d->statement_room * 2 : 64;
    sqlite3_stmt **table = calloc(room, sizeof(sqlite3_stmt *));
    if (!table)
        return TACET_E_NOMEM;
    for (size_t i = 0; i < d->statement_room; i++)
        if (d->statements[i])
            table[statement_place(table, room, sqlite3_sql(d->statements[i]))] = d->statements[i];
    free(d->statements);
    d->statements = table;
    d->statement_room = room;
    return TACET_OK;
}

int database_statement(database *d, const char *sql, sqlite3_stmt **out)
{
    if ((d->statement_count + 1) * 2 > d->statement_room) {
        int rc = statements_grow(d);
        if (rc != TACET_OK)
            return rc;
    }
    size_t at = statement_place(d->statements, d->statement_room, sql);
    if (!d->statements[at]) {
        int rc = sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &d->statements[at], NULL);
        if (rc != SQLITE_OK)
            return connection_failure(d, rc);
        d->statement_count++;
    } else {
        (void)sqlite3_reset(d->statements[at]); /* repeats an old result */
        (void)sqlite3_clear_bindings(d->statements[at]);
    }
    *out = d->statements[at];
    return TACET_OK;
}

int database_row(database *d, sqlite3_stmt *s)
{
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        return TACET_OK;
    int rc = code == SQLITE_DONE ? TACET_E_NOT_FOUND : connection_failure(d, code);
    (void)sqlite3_reset(s); /* repeats the step's result */
    return rc;
}

int database_run(database *d, sqlite3_stmt *s)
{
    int rc;
    while ((rc = database_row(d, s)) == TACET_OK)
        continue;
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int database_execute(database *d, const char *sql)
{
    while (*sql) {
        sqlite3_stmt *s = NULL;
        int code = sqlite3_prepare_v2(d->db, sql, -1, &s, &sql);
        if (code != SQLITE_OK)
            return connection_failure(d, code);
        int rc = s ? database_run(d, s) : TACET_OK; /* no statement: a comment or blanks at the end */
        (void)sqlite3_finalize(s);                  /* repeats the step's result */
        if (rc != TACET_OK)
            return rc;
    }
    return TACET_OK;
}

uint64_t database_changes(const database *d) { return (uint64_t)sqlite3_changes64(d->db); }
