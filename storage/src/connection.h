/* storage/src/connection.h: what a database is inside this folder. A connection belongs to one thread at a time. */
#ifndef STORAGE_CONNECTION_H
#define STORAGE_CONNECTION_H
#include "base/secret.h"
#include "storage/database.h"
#define SQLITE_HAS_CODEC 1 /* declares sqlite3_key */
#include <sqlite3.h>

enum {
    DATABASE_KEY_BYTES = 32,
    DATABASE_BUSY_MS = 10000,                /* recovery and closing checkpoints of another connection */
    DATABASE_JOURNAL_LIMIT_BYTES = 64 << 20, /* a WAL longer than this is cut back when it starts anew */
};

struct database {
    sqlite3 *db;
    char *path;
    database_profile profile;
    secret_arena *arena;
    uint8_t *key; /* in the arena */
    int lock_fd;  /* of path.lock; -1 for readers and copies */
    bool reader;
    int failed;                /* after a failed fsync: what every later begin and commit returns */
    sqlite3_stmt **statements; /* open addressing by text; room is a power of two */
    size_t statement_count, statement_room;
};

typedef enum { CONNECT_READER, CONNECT_WRITER, CONNECT_COPY } connect_how; /* COPY: no WAL while it is being filled */

/* A database without a connection: owns path and key. */
TACET_MUST_USE int connection_new(database **out, const char *path, const uint8_t *key, const database_profile *profile);
/* Opens d->path as `how` says, sets everything that keeps plaintext off the disk, and looks whether it stuck; reads the first page. */
TACET_MUST_USE int connection_open(database *d, connect_how how);
void connection_close(database *d); /* the connection only */
database *connection_free(database *d);

/* A result code of this connection as a status; errno is set for TACET_E_IO. A failed fsync is remembered. */
int connection_failure(database *d, int sqlite_code);
/* One integer from one row. TACET_E_NOT_FOUND when there is none. */
TACET_MUST_USE int connection_integer(database *d, const char *sql, int64_t *out);

/* storage/src/files.c: names beside the database, and what makes them durable */
char *files_name(const char *path, const char *suffix);   /* malloc; NULL: no memory */
int files_status(int error);                              /* errno as ours */
TACET_MUST_USE int files_sync_folder(const char *path);   /* the folder that holds path */
int files_remove(const char *path);                       /* and its -wal, -shm and -journal; nothing there is fine */
TACET_MUST_USE int files_remove_like(const char *prefix); /* every file whose path begins so */
TACET_MUST_USE int files_create(const char *path);        /* empty, 0600, must not exist */
TACET_MUST_USE int files_lock(const char *path, int *fd);
/* Bytes of a file; -1 when there is none. */
TACET_MUST_USE int files_size(const char *path, int64_t *bytes);

/* storage/src/walfile.c: TACET_E_CORRUPT when a WAL file lost commits that had been synced. SQLite itself would end the log there and go on. */
TACET_MUST_USE int walfile_check(const char *wal_path);

/* storage/src/migrate.c: see there */
TACET_MUST_USE int migrate_version(database *d, uint32_t *version);
TACET_MUST_USE int migrate_run(database *d, uint32_t from, const migration *steps, size_t count);
TACET_MUST_USE int migrate_snapshot(database *d, uint32_t next);
TACET_MUST_USE int migrate_erase_snapshots(const database *d);
#endif
