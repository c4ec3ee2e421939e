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
/* Opens or makes `path`, brings it to the last migration. A new database appears under its name only when it is complete; an empty file is
 * therefore damage. All pending migrations run in one transaction, after a copy to `path`.before-N (N: the version to come, same key), which the
 * next good start erases: whatever happens on the way, the file has its old version or its new one, whole. `path`.lock keeps other processes out.
 * A rollback journal beside it is nobody's that we know, and is moved aside (`path`-journal.aside-N).
 *   TACET_E_CORRUPT damaged (or not ours)   TACET_E_NEWER made by a newer version   TACET_E_FULL, TACET_E_READONLY, TACET_E_IO
 *   TACET_E_BUSY    somebody else has it open   TACET_E_REFUSED a safety setting did not stick   TACET_E_LOCKING, TACET_E_NOMEM */
TACET_MUST_USE int database_open(database **out, const char *path, const uint8_t key[32], const database_profile *profile, const migration *steps,
                                 size_t step_count);
/* A second connection to the same file for another thread, read-only. Close it before the writer. */
TACET_MUST_USE int database_open_reader(database **out, const database *writer);
database *database_close(database *d); /* checkpoints and removes the WAL when it is the last; NULL is fine; returns NULL */

/* One of these three at a time. After a failed fsync every later begin and commit is TACET_E_IO: what the disk holds is known only after a new start. */
TACET_MUST_USE int database_begin(database *d);  /* IMMEDIATE; on a reader: one consistent view until commit or rollback */
TACET_MUST_USE int database_commit(database *d); /* durable on TACET_OK; any failure: rolled back */
void database_rollback(database *d);             /* nothing open is fine */

/* Prepared once, kept in the database under its text; handed out reset and without bindings, so never ask for a text that is still being stepped.
 * Bound with sqlite3_bind_*, which cannot fail on a right index except for memory: the next step then says so. */
TACET_MUST_USE int database_statement(database *d, const char *sql, sqlite3_stmt **out);
/* One step: TACET_OK a row (read it with sqlite3_column_*), TACET_E_NOT_FOUND no more, or a failure. Not a row: it is reset. */
TACET_MUST_USE int database_row(database *d, sqlite3_stmt *s);
/* Runs to the end and resets. TACET_E_EXISTS: against a UNIQUE or PRIMARY KEY constraint; the transaction lives on without the statement's effect. */
TACET_MUST_USE int database_run(database *d, sqlite3_stmt *s);
/* Statements without parameters, separated by semicolons, prepared for this once. */
TACET_MUST_USE int database_execute(database *d, const char *sql);
uint64_t database_changes(const database *d); /* rows that the last INSERT, UPDATE or DELETE touched */

/* Copies the WAL into the database file as far as readers allow; truncate: waits for them, and leaves an empty WAL file, so that what was deleted
 * is in neither. Outside a transaction. *left: bytes of WAL not copied yet (may be NULL). */
TACET_MUST_USE int database_checkpoint(database *d, bool truncate, uint64_t *left);
uint64_t database_wal_bytes(const database *d); /* size of the WAL file now */

/* SQLite's result code as ours, without what only the connection knows. */
int database_status(int sqlite_code);
/* Every page's HMAC and the structure. TACET_E_CORRUPT with *where filled (a short line naming the place and the tables it hits). Checkpoints first, unless
 * it is a reader, which may check while its writer goes on; outside a transaction. */
TACET_MUST_USE int database_check(database *d, char *where, size_t where_bytes);
/* Another key, in one transaction: after a crash exactly one of the two opens it. No reader may be open. */
TACET_MUST_USE int database_rekey(database *d, const uint8_t key[32]);
/* A consistent copy under another (or the same) key, at `path`, fsynced; replaces what is there. Outside a transaction. */
TACET_MUST_USE int database_backup(database *d, const char *path, const uint8_t key[32]);
/* The same in pieces, as long as may_go_on says so between two of them (NULL: always); else TACET_E_BUSY, and nothing is at `path`. On a reader it may be
 * inside a transaction (database_begin): then it is of that view, whatever is committed meanwhile. */
TACET_MUST_USE int database_backup_while(database *d, const char *path, const uint8_t key[32], bool (*may_go_on)(void *ctx), void *ctx);
#endif
