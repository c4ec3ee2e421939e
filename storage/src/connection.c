/* Opening SQLCipher. Every row of the settings was learnt the hard way (docs/ARCHITECTURE.md, storage): what does not stick refuses the database. */
#include "connection.h"
#include "locked_heap.h"
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int database_status(int code)
{
    static const struct {
        int code, status; /* extended codes before the primary ones they belong to */
    } row[] = {
        { SQLITE_IOERR_NOMEM, TACET_E_NOMEM },
        { SQLITE_IOERR_SHORT_READ, TACET_E_CORRUPT },
        { SQLITE_IOERR_CORRUPTFS, TACET_E_CORRUPT },
        { SQLITE_IOERR_DATA, TACET_E_CORRUPT },
        { SQLITE_CONSTRAINT_UNIQUE, TACET_E_EXISTS },
        { SQLITE_CONSTRAINT_PRIMARYKEY, TACET_E_EXISTS },
        { SQLITE_CONSTRAINT_ROWID, TACET_E_EXISTS },
        { SQLITE_OK, TACET_OK },
        { SQLITE_ROW, TACET_OK },
        { SQLITE_DONE, TACET_OK },
        { SQLITE_NOMEM, TACET_E_NOMEM },
        { SQLITE_FULL, TACET_E_FULL },
        { SQLITE_READONLY, TACET_E_READONLY },
        { SQLITE_PERM, TACET_E_READONLY },
        { SQLITE_BUSY, TACET_E_BUSY },
        { SQLITE_LOCKED, TACET_E_BUSY },
        { SQLITE_INTERRUPT, TACET_E_BUSY }, /* by ourselves: storage/relay/beside.c */
        { SQLITE_PROTOCOL, TACET_E_BUSY },
        { SQLITE_CORRUPT, TACET_E_CORRUPT },
        { SQLITE_NOTADB, TACET_E_CORRUPT }, /* the key is the right one: the key file has a verifier of its own */
        { SQLITE_IOERR, TACET_E_IO },
        { SQLITE_CANTOPEN, TACET_E_IO },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].code == code || row[i].code == (code & 0xff))
            return row[i].status;
    return TACET_E_BUG;
}

int connection_failure(database *d, int code)
{
    int status = database_status(code);
    if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC)
        d->failed = TACET_E_IO;
    if (status == TACET_E_IO) { /* EDQUOT, a full disk under the shared memory, a folder that cannot be written */
        int error = sqlite3_system_errno(d->db), better = files_status(error);
        if (error != 0 && d->failed == TACET_OK)
            status = better;
        errno = error ? error : EIO;
    }
    /* A wrong HMAC can surface as a bare SQLITE_ERROR: SQLCipher puts the pager into that state. Errors in SQL bring a text of their own. */
    if (code == SQLITE_ERROR && strcmp(sqlite3_errmsg(d->db), sqlite3_errstr(SQLITE_ERROR)) == 0)
        status = TACET_E_CORRUPT;
    return status;
}

/* --- the library ------------------------------------------------------------------------------------------------------------------- */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
static sqlite3 *library_keeper; /* never closed */
static bool heap_is_locked;     /* settled by the first connection */

/* SQLCipher takes itself down with the last connection of the process and up again with the next one. That sets its log back to stderr, under another
 * thread's feet, and the way up writes through a null pointer when memory runs out: so one connection, to nothing, stays open. */
static int keeper_open(void)
{
    sqlite3 *db = NULL;
    static const char raw_key[] = "x'0000000000000000000000000000000000000000000000000000000000000000'"; /* of an empty database in memory */
    int rc = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_key(db, raw_key, sizeof raw_key - 1);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA cipher_log_level=NONE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        library_keeper = db;
    else
        (void)sqlite3_close_v2(db); /* nothing was written */
    return database_status(rc);
}

static int library_start(const database_profile *profile)
{
    int rc = TACET_OK;
    (void)pthread_mutex_lock(&library_lock);
    if (!library_keeper) {
        /* Counting memory takes a global mutex in each allocation. MISUSE: somebody (a test) has started SQLite before us. */
        int code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        heap_is_locked = heap_is_locked || (profile->memory_security && locked_heap_install());
        rc = code == SQLITE_OK || code == SQLITE_MISUSE ? database_status(sqlite3_initialize()) : TACET_E_BUG;
        if (rc == TACET_OK && (sqlite3_compileoption_used("TEMP_STORE=0") || !sqlite3_compileoption_used("HAS_CODEC") || !sqlite3_threadsafe()))
            rc = TACET_E_REFUSED; /* sorts in files whatever we ask, or does not encrypt, or is not for threads */
        if (rc == TACET_OK)
            rc = keeper_open();
    }
    (void)pthread_mutex_unlock(&library_lock);
    return rc;
}

int connection_new(database **out, const char *path, const uint8_t *key, const database_profile *profile)
{
    int rc = library_start(profile);
    if (rc != TACET_OK)
        return rc;
    database *d = calloc(1, sizeof *d);
    if (!d)
        return TACET_E_NOMEM;
    d->profile = *profile;
    d->lock_fd = -1;
    rc = secret_arena_new(&d->arena, 256);
    if (rc == TACET_OK) {
        d->path = strdup(path);
        d->key = secret_alloc(d->arena, DATABASE_KEY_BYTES);
        rc = d->path && d->key ? TACET_OK : TACET_E_NOMEM;
    }
    if (rc != TACET_OK) {
        connection_free(d);
        return rc;
    }
    memcpy(d->key, key, DATABASE_KEY_BYTES);
    *out = d;
    return TACET_OK;
}

/* --- settings ------------------------------------------------------------------------------------------------------------------------ */
typedef struct {
    const char *set, *get; /* get NULL: the row that setting it returns is the answer */
    const char *want;
} setting;

/* The answer is the first column of the first row. */
static int setting_apply(database *d, const setting *s)
{
    sqlite3_stmt *q = NULL;
    int rc = SQLITE_OK, status = TACET_OK;
    if (s->get)
        rc = sqlite3_exec(d->db, s->set, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(d->db, s->get ? s->get : s->set, -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        const char *got = (const char *)sqlite3_column_text(q, 0);
        status = !got ? TACET_E_NOMEM : strcmp(got, s->want) == 0 ? TACET_OK : TACET_E_REFUSED;
    } else {
        status = rc == SQLITE_DONE ? TACET_E_REFUSED : connection_failure(d, rc);
    }
    (void)sqlite3_finalize(q); /* repeats the step's result */
    return status;
}

static int settings_apply(database *d, const setting *s, size_t count)
{
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < count; i++)
        rc = setting_apply(d, &s[i]);
    return rc;
}

/* SQLCipher takes a raw key as the text x'..' of 64 hex digits: as key material, not as SQL. */
static int key_apply(database *d, const uint8_t *key, int (*apply)(sqlite3 *, const void *, int))
{
    char text[2 + 2 * DATABASE_KEY_BYTES + 2];
    memcpy(text, "x'", 2);
    sodium_bin2hex(text + 2, 2 * DATABASE_KEY_BYTES + 1, key, DATABASE_KEY_BYTES);
    memcpy(text + 2 + 2 * DATABASE_KEY_BYTES, "'", 2);
    int rc = apply(d->db, text, (int)sizeof text - 1);
    sodium_memzero(text, sizeof text);
    return rc == SQLITE_OK ? TACET_OK : connection_failure(d, rc);
}

/* Before the first page is read. */
static int cipher_apply(database *d)
{
    char page_set[48], page_want[16];
    (void)snprintf(page_set, sizeof page_set, "PRAGMA cipher_page_size=%u", d->profile.page_bytes);
    (void)snprintf(page_want, sizeof page_want, "%u", d->profile.page_bytes);
    const setting row[] = {
        { "PRAGMA cipher_log_level=NONE", NULL, "NONE" },
        { "PRAGMA temp_store=MEMORY", "PRAGMA temp_store", "2" }, /* else a sort writes plaintext to /var/tmp */
        { page_set, "PRAGMA cipher_page_size", page_want },
        { "PRAGMA cipher_use_hmac=ON", "PRAGMA cipher_use_hmac", "1" },
        { "PRAGMA cipher_plaintext_header_size=0", "PRAGMA cipher_plaintext_header_size", "0" },
        { "PRAGMA cipher_hmac_algorithm=HMAC_SHA256", "PRAGMA cipher_hmac_algorithm", "HMAC_SHA256" },
        { "PRAGMA cipher_kdf_algorithm=PBKDF2_HMAC_SHA256", "PRAGMA cipher_kdf_algorithm",
          "PBKDF2_HMAC_SHA256" }, /* raw key: only for the HMAC key */
    };
    /* Where our own heap does the same, and better, SQLCipher's would lock and unlock each allocation once more. */
    const setting locked = { "PRAGMA cipher_memory_security=ON", "PRAGMA cipher_memory_security", "1" };
    int rc = key_apply(d, d->key, sqlite3_key);
    if (rc == TACET_OK)
        rc = settings_apply(d, row, sizeof row / sizeof *row);
    if (rc == TACET_OK && d->profile.memory_security && !heap_is_locked)
        rc = setting_apply(d, &locked);
    return rc;
}

static int switches_apply(database *d)
{
    static const struct {
        int option, value;
    } row[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1 }, { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 }, { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
        { SQLITE_DBCONFIG_DQS_DDL, 0 },   { SQLITE_DBCONFIG_DQS_DML, 0 },        { SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int now = -1, rc = sqlite3_db_config(d->db, row[i].option, row[i].value, &now);
        if (rc != SQLITE_OK)
            return connection_failure(d, rc);
        if (now != row[i].value)
            return TACET_E_REFUSED;
    }
    return TACET_OK;
}

/* These read the first page, so they come last: the verdict about damage is theirs. */
static int journal_apply(database *d, connect_how how)
{
    static const setting writer = { "PRAGMA journal_mode=WAL", NULL, "wal" }, copy = { "PRAGMA journal_mode=DELETE", NULL, "delete" };
    char limit[64], limit_want[16], automatic[64], automatic_want[16];
    (void)snprintf(limit, sizeof limit, "PRAGMA journal_size_limit=%d", DATABASE_JOURNAL_LIMIT_BYTES);
    (void)snprintf(limit_want, sizeof limit_want, "%d", DATABASE_JOURNAL_LIMIT_BYTES);
    (void)snprintf(automatic, sizeof automatic, "PRAGMA wal_autocheckpoint=%d", d->profile.wal_autocheckpoint_pages);
    (void)snprintf(automatic_want, sizeof automatic_want, "%d", d->profile.wal_autocheckpoint_pages);
    const setting row[] = {
        { "PRAGMA synchronous=FULL", "PRAGMA synchronous", "2" },
        { d->profile.secure_delete ? "PRAGMA secure_delete=ON" : "PRAGMA secure_delete=OFF", NULL, d->profile.secure_delete ? "1" : "0" },
        { "PRAGMA cell_size_check=ON", "PRAGMA cell_size_check", "1" },
        { limit, NULL, limit_want },
        { automatic, NULL, automatic_want },
    };
    int64_t tables;
    int rc = connection_integer(d, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc == TACET_OK && how != CONNECT_READER)
        rc = setting_apply(d, how == CONNECT_WRITER ? &writer : &copy);
    if (rc == TACET_OK)
        rc = settings_apply(d, row, sizeof row / sizeof *row);
    return rc;
}

int connection_open(database *d, connect_how how)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (how == CONNECT_READER ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    d->reader = how == CONNECT_READER;
    int code = sqlite3_open_v2(d->path, &d->db, flags, NULL), rc = TACET_OK;
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(d->db, DATABASE_BUSY_MS);
    if (code != SQLITE_OK)
        rc = d->db ? connection_failure(d, code) : TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = cipher_apply(d);
    if (rc == TACET_OK)
        rc = switches_apply(d);
    if (rc == TACET_OK)
        rc = journal_apply(d, how);
    if (rc != TACET_OK)
        connection_close(d);
    locked_heap_lock_again();
    return rc;
}

void connection_close(database *d)
{
    for (size_t i = 0; i < d->statement_room; i++)
        (void)sqlite3_finalize(d->statements[i]); /* repeats an old result */
    free(d->statements);
    d->statements = NULL;
    d->statement_count = d->statement_room = 0;
    (void)sqlite3_close_v2(d->db); /* with every statement gone it cannot be busy */
    d->db = NULL;
    locked_heap_lock_again();
}

database *connection_free(database *d)
{
    if (d) {
        int why = errno; /* of what failed before, for whoever says it */
        connection_close(d);
        if (d->lock_fd >= 0)
            (void)close(d->lock_fd); /* nothing was written through it */
        secret_arena_free(d->arena);
        free(d->path);
        free(d);
        errno = why;
    }
    return NULL;
}

int connection_integer(database *d, const char *sql, int64_t *out)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(d->db, sql, -1, &q, NULL), status = TACET_OK;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(q, 0);
    else
        status = rc == SQLITE_DONE ? TACET_E_NOT_FOUND : connection_failure(d, rc);
    (void)sqlite3_finalize(q); /* repeats the step's result */
    return status;
}

int database_rekey(database *d, const uint8_t key[32])
{
    if (d->failed != TACET_OK)
        return d->failed;
    int rc = key_apply(d, key, sqlite3_rekey);
    locked_heap_lock_again();
    if (rc != TACET_OK)
        return rc;
    memcpy(d->key, key, DATABASE_KEY_BYTES);
    return database_checkpoint(d, true, NULL); /* no page under the old key stays in the WAL */
}
