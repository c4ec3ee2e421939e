/* database.h: opening, transactions, statements, migrations, keys, copies. */
#include "database_scene.h"
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* --- opening ----------------------------------------------------------------------------------------------------------------------- */
static const database_profile *const profile[] = { &database_vault, &database_relay };

/* The sanitizers put an mlock of their own in place of the real one, which locks nothing. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { MLOCK_IS_REAL = 0 };
#else
enum { MLOCK_IS_REAL = 1 };
#endif

/* The kernel's flags of the memory that `at` lies in. */
static void memory_flags(const void *at, char flags[256])
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool here = false;
    flags[0] = '\0';
    ck_assert_ptr_nonnull(f);
    while (!flags[0] && fgets(line, sizeof line, f)) {
        unsigned long begin = 0, end = 0;
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            here = (uintptr_t)at >= begin && (uintptr_t)at < end;
        if (here && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, 256, "%.250s", line + 8);
    }
    (void)fclose(f);
}

/* What SQLite has of an open vault is locked, not dumped, and wiped when given back; as much as there may be of it, and where no more may be locked. */
START_TEST(the_vaults_memory_is_guarded)
{
    static const int size[] = { 1, 16, 17, 64, 65, 80, 81, 4368, 32767, 32768, 32769, 300000 };
    const struct rlimit little = { 300 * 1024, 300 * 1024 };
    char flags[256];
    folder_make();
    database *d = NULL;
    if (_i) {
        ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &little), 0);
        if (geteuid() == 0)
            ck_assert_int_eq(chown(folder, 65534, 65534) | setresuid(65534, 65534, 65534), 0);
    }
    OK(database_open(&d, in_folder("b.db"), key, &database_vault, steps, 1));
    database_close(d); /* which must not unlock what the next one has */
    OK(database_open(&d, in_folder("a.db"), key, &database_vault, steps, 1));
    uint8_t *all[ROWS(size)];
    for (size_t i = 0; i < ROWS(size); i++) {
        all[i] = sqlite3_malloc(size[i]);
        ck_assert_ptr_nonnull(all[i]);
        ck_assert_uint_eq((uintptr_t)all[i] % 16, 0);
        ck_assert_uint_ge(sqlite3_msize(all[i]), (uint64_t)size[i]);
        memset(all[i], 0xa5, sqlite3_msize(all[i]));
        memory_flags(all[i], flags);
        ck_assert_msg(strstr(flags, " dd"), "%d: %s", size[i], flags);
        ck_assert_msg(_i || !MLOCK_IS_REAL || strstr(flags, " lo"), "%d: %s", size[i], flags);
    }
    all[3] = sqlite3_realloc(all[3], 5000);
    ck_assert(all[3][0] == 0xa5 && all[3][63] == 0xa5 && all[3][64] == 0);
    for (size_t i = 0; i < ROWS(size); i++) {
        size_t n = sqlite3_msize(all[i]);
        sqlite3_free(all[i]);
        for (size_t k = 0; n <= 32768 && k < n; k++) /* larger ones are unmapped */
            ck_assert_msg(all[i][k] == 0, "%d: byte %zu is still there", size[i], k);
    }
    database_close(d);
    folder_remove();
}
END_TEST

START_TEST(settings_stick)
{
    static const struct {
        const char *pragma;
        int64_t vault, relay;
    } row[] = { { "PRAGMA temp_store", 2, 2 },       { "PRAGMA synchronous", 2, 2 },          { "PRAGMA secure_delete", 1, 0 },
                { "PRAGMA page_size", 4096, 16384 }, { "PRAGMA wal_autocheckpoint", 256, 0 }, { "PRAGMA trusted_schema", 0, 0 },
                { "PRAGMA cell_size_check", 1, 1 },  { "PRAGMA foreign_keys", 1, 1 } };
    folder_make();
    database *d = NULL;
    OK(database_open(&d, in_folder("a.db"), key, profile[_i], steps, 1));
    for (size_t i = 0; i < ROWS(row); i++)
        ck_assert_int_eq(integer(d, row[i].pragma), _i ? row[i].relay : row[i].vault);
    int defensive = 0;
    ck_assert_int_eq(sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, -1, &defensive), SQLITE_OK);
    ck_assert_int_eq(defensive, 1);
    sqlite3_stmt *q = NULL;
    OK(database_statement(d, "PRAGMA journal_mode", &q));
    OK(database_row(d, q));
    ck_assert_str_eq((const char *)sqlite3_column_text(q, 0), "wal");
    OK(database_statement(d, "PRAGMA cipher_hmac_algorithm", &q));
    OK(database_row(d, q));
    ck_assert_str_eq((const char *)sqlite3_column_text(q, 0), "HMAC_SHA256");
    struct stat st;
    ck_assert_int_eq(stat(in_folder("a.db"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(stat(in_folder("a.db-wal"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    database_close(d);
    ck_assert(!file_there(in_folder("a.db-wal")));
    ck_assert(!file_there(in_folder("a.db.new")));
    folder_remove();
}
END_TEST

START_TEST(what_was_committed_is_there_again)
{
    folder_make();
    database *d = open_with(1);
    OK(database_begin(d));
    OK(insert(d, "kept"));
    OK(database_commit(d));
    OK(database_begin(d));
    OK(insert(d, "given up"));
    database_rollback(d);
    database_rollback(d);
    OK(database_begin(d));
    OK(insert(d, "left open"));
    database_close(d);
    d = open_with(1);
    ck_assert_int_eq(integer(d, "SELECT count(*) FROM t"), 1);
    ck_assert_int_eq(integer(d, "SELECT b = 'kept' FROM t"), 1);
    database_close(d);
    ck_assert_ptr_null(database_close(NULL));
    folder_remove();
}
END_TEST

START_TEST(statements_are_kept_and_come_back_clean)
{
    folder_make();
    database *d = open_with(1);
    sqlite3_stmt *one = NULL, *two = NULL;
    char text[64];
    OK(database_statement(d, "SELECT ?, 'x'", &one));
    ck_assert_int_eq(sqlite3_bind_int(one, 1, 5), SQLITE_OK);
    OK(database_row(d, one));
    for (int i = 0; i < 300; i++) { /* the table of statements grows meanwhile */
        (void)snprintf(text, sizeof text, "SELECT %d", i);
        OK(database_statement(d, text, &two));
        OK(database_row(d, two));
        ck_assert_int_eq(sqlite3_column_int(two, 0), i);
    }
    OK(database_statement(d, "SELECT ?, 'x'", &two));
    ck_assert_ptr_eq(one, two);
    OK(database_row(d, two));
    ck_assert_int_eq(sqlite3_column_type(two, 0), SQLITE_NULL);
    ck_assert_int_eq(database_row(d, two), TACET_E_NOT_FOUND);
    ck_assert_int_eq(database_statement(d, "SELECT nonsense FROM nowhere", &two), TACET_E_BUG);
    OK(database_begin(d));
    OK(insert(d, "a"));
    ck_assert_uint_eq(database_changes(d), 1);
    ck_assert_int_eq(insert(d, "a"), TACET_E_EXISTS);
    OK(insert(d, "b")); /* the transaction lives on */
    OK(database_commit(d));
    ck_assert_int_eq(integer(d, "SELECT count(*) FROM t"), 2);
    ck_assert_int_eq(database_execute(d, "SELECT 1; SELECT nothing FROM t"), TACET_E_BUG);
    OK(database_execute(d, " /* nothing */ "));
    database_close(d);
    folder_remove();
}
END_TEST

START_TEST(readers_see_what_is_committed)
{
    folder_make();
    database *d = open_with(1), *r = NULL;
    OK(database_open_reader(&r, d));
    OK(database_begin(d));
    OK(insert(d, "a"));
    ck_assert_int_eq(integer(r, "SELECT count(*) FROM t"), 0);
    OK(database_commit(d));
    ck_assert_int_eq(integer(r, "SELECT count(*) FROM t"), 1);
    OK(database_begin(r));
    ck_assert_int_eq(integer(r, "SELECT count(*) FROM t"), 1);
    OK(insert(d, "b"));
    ck_assert_int_eq(integer(r, "SELECT count(*) FROM t"), 1); /* one view */
    OK(database_commit(r));
    ck_assert_int_eq(integer(r, "SELECT count(*) FROM t"), 2);
    ck_assert_int_eq(insert(r, "c"), TACET_E_READONLY);
    database_close(r);
    database_close(d);
    folder_remove();
}
END_TEST

START_TEST(one_opener_at_a_time)
{
    folder_make();
    database *d = open_with(1), *second = NULL;
    ck_assert_int_eq(database_open(&second, in_folder("a.db"), key, &database_vault, steps, 1), TACET_E_BUSY);
    pid_t child = fork();
    if (child == 0)
        _exit(database_open(&second, in_folder("a.db"), key, &database_vault, steps, 1) == TACET_E_BUSY ? 0 : 1);
    int status = 1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    database_close(d);
    d = open_with(1);
    database_close(d);
    folder_remove();
}
END_TEST

/* --- refusing ------------------------------------------------------------------------------------------------------------------------- */
static void make_empty(void) { file_write(in_folder("a.db"), (const uint8_t *)"", 0); }
static void make_garbage(void)
{
    uint8_t bytes[8192];
    uint64_t seed = 4;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)draw(&seed);
    file_write(in_folder("a.db"), bytes, sizeof bytes);
}
static void make_short(void) { file_write(in_folder("a.db"), (const uint8_t *)"SQLite format 3", 16); }
static void make_plain(void)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(in_folder("a.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE t(a); PRAGMA user_version=1", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
static void make_foreign_key(void)
{
    database *d = NULL;
    OK(database_open(&d, in_folder("a.db"), other, &database_vault, steps, 1));
    database_close(d);
}
static void make_other_profile(void)
{
    database *d = NULL;
    OK(database_open(&d, in_folder("a.db"), key, &database_relay, steps, 1));
    database_close(d);
}
static void make_wal_alone(void)
{
    pid_t child = fork();
    if (child == 0) {
        database *d = open_with(1);
        OK(insert(d, "a"));
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert(file_there(in_folder("a.db-wal")));
    ck_assert_int_eq(unlink(in_folder("a.db")), 0);
}
static void make_no_version(void)
{
    database *d = open_with(1);
    OK(database_execute(d, "PRAGMA user_version=0"));
    database_close(d);
}
static void make_newer(void) { database_close(open_with(2)); }
static void make_folder(void) { ck_assert_int_eq(mkdir(in_folder("a.db.lock"), 0700), 0); }

static const struct {
    const char *what;
    void (*make)(void);
    int want;
} refused[] = {
    { "an empty file", make_empty, TACET_E_CORRUPT },
    { "garbage", make_garbage, TACET_E_CORRUPT },
    { "a few bytes", make_short, TACET_E_CORRUPT },
    { "a database without encryption", make_plain, TACET_E_CORRUPT },
    { "S07 the wrong key: the key file has told the right one before", make_foreign_key, TACET_E_CORRUPT },
    { "pages of another size", make_other_profile, TACET_E_CORRUPT },
    { "a log without its database", make_wal_alone, TACET_E_CORRUPT },
    { "a database that no migration made", make_no_version, TACET_E_CORRUPT },
    { "a newer version", make_newer, TACET_E_NEWER },
    { "a folder in the way", make_folder, TACET_E_IO },
};

/* Refused, silently on stderr, and nothing of it is touched. */
START_TEST(refuses)
{
    folder_make();
    refused[_i].make();
    size_t before_bytes = 0, after_bytes = 0, said_bytes = 0;
    uint8_t *before = file_there(in_folder("a.db")) ? file_read(in_folder("a.db"), &before_bytes) : NULL;
    int saved = dup(2), log = open(in_folder("said"), O_CREAT | O_RDWR, 0600);
    ck_assert(saved >= 0 && log >= 0 && dup2(log, 2) == 2);
    database *d = NULL;
    int rc = database_open(&d, in_folder("a.db"), key, &database_vault, steps, 1);
    ck_assert(dup2(saved, 2) == 2 && close(saved) == 0 && close(log) == 0);
    ck_assert_msg(rc == refused[_i].want, "%s: %s", refused[_i].what, tacet_status_word(rc));
    ck_assert_ptr_null(d);
    free(file_read(in_folder("said"), &said_bytes));
    ck_assert_uint_eq(said_bytes, 0);
    if (before) {
        uint8_t *after = file_read(in_folder("a.db"), &after_bytes);
        ck_assert_uint_eq(before_bytes, after_bytes);
        ck_assert(before_bytes == 0 || memcmp(before, after, before_bytes) == 0);
        free(after);
    } else {
        ck_assert(!file_there(in_folder("a.db")));
    }
    free(before);
    (void)rmdir(in_folder("a.db.lock"));
    folder_remove();
}
END_TEST

START_TEST(places_where_nothing_can_be_written)
{
    database *d = NULL;
    ck_assert_int_eq(database_open(&d, "/sys/kernel/tacet.db", key, &database_vault, steps, 1), TACET_E_READONLY);
    ck_assert_int_eq(database_open(&d, "/nowhere/at/all/tacet.db", key, &database_vault, steps, 1), TACET_E_IO);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_ptr_null(d);
}
END_TEST

START_TEST(migrations_have_no_holes)
{
    static const migration hole[] = { { 1, "SELECT 1" }, { 3, "SELECT 1" } };
    folder_make();
    database *d = NULL;
    ck_assert_int_eq(database_open(&d, in_folder("a.db"), key, &database_vault, hole, 2), TACET_E_BUG);
    ck_assert_int_eq(database_open(&d, in_folder("a.db"), key, &database_vault, hole, 0), TACET_E_BUG);
    ck_assert_int_eq(database_open(&d, in_folder("a.db"), key, &database_vault, steps, 3), TACET_E_BUG);
    ck_assert(!file_there(in_folder("a.db"))); /* never half made */
    database_close(open_with(1));
    folder_remove();
}
END_TEST

START_TEST(status_of_codes)
{
    static const struct {
        int code, want;
    } row[] = { { SQLITE_OK, TACET_OK },
                { SQLITE_ROW, TACET_OK },
                { SQLITE_DONE, TACET_OK },
                { SQLITE_BUSY, TACET_E_BUSY },
                { SQLITE_BUSY_SNAPSHOT, TACET_E_BUSY },
                { SQLITE_FULL, TACET_E_FULL },
                { SQLITE_READONLY_DIRECTORY, TACET_E_READONLY },
                { SQLITE_IOERR_WRITE, TACET_E_IO },
                { SQLITE_IOERR_NOMEM, TACET_E_NOMEM },
                { SQLITE_IOERR_SHORT_READ, TACET_E_CORRUPT },
                { SQLITE_CORRUPT_INDEX, TACET_E_CORRUPT },
                { SQLITE_NOTADB, TACET_E_CORRUPT },
                { SQLITE_CONSTRAINT_UNIQUE, TACET_E_EXISTS },
                { SQLITE_CONSTRAINT_NOTNULL, TACET_E_BUG },
                { SQLITE_NOMEM, TACET_E_NOMEM },
                { SQLITE_MISUSE, TACET_E_BUG },
                { SQLITE_CANTOPEN, TACET_E_IO } };
    for (size_t i = 0; i < ROWS(row); i++)
        ck_assert_int_eq(database_status(row[i].code), row[i].want);
}
END_TEST

/* --- migrations ------------------------------------------------------------------------------------------------------------------------- */
START_TEST(migration_keeps_a_snapshot_until_the_next_start)
{
    folder_make();
    database *d = open_with(1), *old = NULL;
    OK(insert(d, "a"));
    database_close(d);
    d = open_with(2);
    ck_assert_int_eq(integer(d, "SELECT c = 'a' FROM t"), 1);
    database_close(d);
    ck_assert(file_there(in_folder("a.db.before-2")));
    file_copy(in_folder("a.db.before-2"), in_folder("b.db"));
    OK(database_open(&old, in_folder("b.db"), key, &database_vault, steps, 1));
    ck_assert_int_eq(integer(old, "SELECT count(*) FROM t"), 1);
    database_close(old);
    file_write(in_folder("a.db.before-9"), (const uint8_t *)"x", 1); /* of a program that was newer and was given up */
    database_close(open_with(2));
    ck_assert(!file_there(in_folder("a.db.before-2")) && !file_there(in_folder("a.db.before-9")));
    ck_assert(file_there(in_folder("b.db")));
    folder_remove();
}
END_TEST

START_TEST(failed_migration_leaves_the_old_one_usable)
{
    folder_make();
    database *d = open_with(1);
    OK(insert(d, "a"));
    database_close(d);
    d = NULL;
    ck_assert_int_eq(database_open(&d, in_folder("a.db"), key, &database_vault, steps, 3), TACET_E_BUG);
    ck_assert(!file_there(in_folder("a.db.before-3")));
    d = open_with(1); /* not at 2: the program that made it knows only 1 */
    ck_assert_int_eq(integer(d, "SELECT count(*) FROM t"), 1);
    ck_assert_int_eq(integer(d, "SELECT count(*) FROM pragma_table_info('t')"), 2); /* and nothing of step 2 is there */
    database_close(d);
    database_close(open_with(2));
    folder_remove();
}
END_TEST

/* --- keys and copies ------------------------------------------------------------------------------------------------------------------------ */
START_TEST(rekey_changes_the_key)
{
    folder_make();
    database *d = open_with(1), *r = NULL;
    rows_make(d, 50);
    OK(database_rekey(d, other));
    ck_assert_uint_eq(database_wal_bytes(d), 0);
    OK(insert(d, "after"));
    OK(database_open_reader(&r, d)); /* readers get the new one */
    ck_assert_int_eq(integer(r, "SELECT count(*) FROM t"), 51);
    database_close(r);
    database_close(d);
    d = NULL;
    ck_assert_int_eq(database_open(&d, in_folder("a.db"), key, &database_vault, steps, 1), TACET_E_CORRUPT);
    OK(database_open(&d, in_folder("a.db"), other, &database_vault, steps, 1));
    ck_assert_int_eq(integer(d, "SELECT count(*) FROM t"), 51);
    database_close(d);
    folder_remove();
}
END_TEST

START_TEST(backup_is_a_database_of_its_own)
{
    folder_make();
    database *d = NULL, *copy = NULL;
    OK(database_open(&d, in_folder("a.db"), key, profile[_i], steps, 1));
    rows_make(d, 200);
    file_write(in_folder("b.db"), (const uint8_t *)"something older", 15);
    OK(database_backup(d, in_folder("b.db"), other));
    OK(insert(d, "later"));
    OK(connection_new(&copy, in_folder("b.db"), other, profile[_i]));
    OK(connection_open(copy, CONNECT_READER));
    sqlite3_stmt *q = NULL;
    OK(database_statement(copy, "PRAGMA journal_mode", &q));
    OK(database_row(copy, q));
    ck_assert_str_eq((const char *)sqlite3_column_text(q, 0), "wal"); /* already: no journal beside it is ever its own */
    copy = connection_free(copy);
    OK(database_open(&copy, in_folder("b.db"), other, profile[_i], steps, 1));
    ck_assert_int_eq(integer(copy, "SELECT count(*) FROM t"), 200);
    OK(insert(copy, "its own"));
    char where[100];
    OK(database_check(copy, where, sizeof where));
    database_close(copy);
    ck_assert_int_eq(integer(d, "SELECT count(*) FROM t"), 201);
    ck_assert(!file_there(in_folder("b.db.new")));
    ck_assert_int_eq(database_backup(d, "/nowhere/at/all", other), TACET_E_IO);
    database_close(d);
    folder_remove();
}
END_TEST

START_TEST(checkpoint_empties_the_log)
{
    folder_make();
    database *d = NULL;
    uint64_t left = 1;
    OK(database_open(&d, in_folder("a.db"), key, &database_relay, steps, 1));
    rows_make(d, 500);
    ck_assert_uint_gt(database_wal_bytes(d), 0);
    OK(database_checkpoint(d, false, &left));
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_gt(database_wal_bytes(d), 0);
    OK(database_checkpoint(d, true, &left));
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_eq(database_wal_bytes(d), 0);
    database_close(d);
    folder_remove();
}
END_TEST

SUITE("database", LOOP(settings_stick, 2), LOOP(the_vaults_memory_is_guarded, 2), TEST(what_was_committed_is_there_again),
      TEST(statements_are_kept_and_come_back_clean), TEST(readers_see_what_is_committed), TEST(one_opener_at_a_time), LOOP(refuses, ROWS(refused)),
      TEST(places_where_nothing_can_be_written), TEST(migrations_have_no_holes), TEST(status_of_codes),
      TEST(migration_keeps_a_snapshot_until_the_next_start), TEST(failed_migration_leaves_the_old_one_usable), TEST(rekey_changes_the_key),
      LOOP(backup_is_a_database_of_its_own, 2), TEST(checkpoint_empties_the_log))
