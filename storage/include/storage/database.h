/* storage/database.h: SQLCipher the way tacet opens it: raw key through sqlite3_key (never SQL text), temp_store=MEMORY checked, WAL,
 * synchronous=FULL, HMAC-SHA256, trusted_schema off, defensive, its log silenced. Numbered migrations, each in one transaction, after a snapshot.
 * The only folder that sees <sqlite3.h>. */
#ifndef STORAGE_DATABASE_H
#define STORAGE_DATABASE_H
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;

typedef struct {
    uint32_t page_bytes;
    bool memory_security, secure_delete;
    int wal_autocheckpoint_pages;
} database_profile;
extern const database_profile database_vault, database_relay;

typedef struct {
    uint32_t version;
    const char *sql;
} migration; /* versions ascend from 1 without holes */

typedef struct database database;
/* Opens or makes `path`, brings it to the last migration.
 *   TACET_E_CORRUPT damaged (or not ours)   TACET_E_NEWER made by a newer version   TACET_E_FULL, TACET_E_READONLY, TACET_E_IO
 *   TACET_E_BUSY    another process has it   TACET_E_REFUSED a safety setting did not stick */
TACET_MUST_USE int database_open(database **out, const char *path, const uint8_t key[32], const database_profile *profile, const migration *steps,
                                 size_t step_count);
/* A second connection to the same file for another thread, read-only. */
TACET_MUST_USE int database_open_reader(database **out, const database *writer);
database *database_close(database *d); /* checkpoints and truncates the WAL when it is the last; NULL is fine; returns NULL */

TACET_MUST_USE int database_begin(database *d);  /* IMMEDIATE */
TACET_MUST_USE int database_commit(database *d); /* durable on TACET_OK; any failure: rolled back */
void database_rollback(database *d);

/* Prepared once, kept in the database under its text; bound and stepped by the caller's helpers below. */
TACET_MUST_USE int database_statement(database *d, const char *sql, sqlite3_stmt **out);
/* SQLite's result code as ours. */
int database_status(int sqlite_code);
/* Every page's HMAC and the structure. TACET_E_CORRUPT with *where filled (a short line naming the place). */
TACET_MUST_USE int database_check(database *d, char *where, size_t where_bytes);
TACET_MUST_USE int database_rekey(database *d, const uint8_t key[32]);
/* A consistent copy under another (or the same) key, at `path`, fsynced. */
TACET_MUST_USE int database_backup(database *d, const char *path, const uint8_t key[32]);
#endif
