/* Flipped bits are reported, never silent (S05); what is written nowhere lies in plaintext (S06); check names the place. */
#include "folder.h"
#include "faulty.h"
#include "parts.h"
#include <sys/wait.h>

enum { HOUR = 1000, MESSAGES = 60, PAGE = 16384 };
static const uint8_t key[32] = "a key of thirty-two bytes, yes!";
static const relay_tuning tiny = { .run_rows = 16, .exceptions_max = 2, .clean_rows = 8, .checkpoint_bytes = 64 << 20, .background = false };
static const migration steps[] = { { 1, "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c BLOB);" } };

/* --- what is flipped --------------------------------------------------------------------------------------------------------------------- */
/* One mailbox, `groups` groups of ten messages. `close_it` false: the process dies and the log stays as it is. */
static void store_make(unsigned groups, bool close_it)
{
    pid_t child = fork();
    if (child == 0) {
        relay_store *s = NULL;
        uint8_t account[32] = { 1 }, text[900];
        uint32_t box = 0;
        uint64_t number = 0;
        memset(text, 'x', sizeof text);
        OK(relay_store_open_tuned(&s, folder, key, &tiny));
        OK(relay_begin(s));
        OK(relay_mailbox_add(s, account, 1, account, &box));
        OK(relay_commit(s));
        for (unsigned g = 0; g < groups; g++) {
            OK(relay_begin(s));
            for (int i = 0; i < 10; i++) {
                relay_message m = {
                    .number = ++number, .mailbox = box, .token_kind = 1, .expires_hour = HOUR + 5, .ciphertext = { text, sizeof text }
                };
                OK(relay_append(s, &m));
            }
            OK(relay_commit(s));
        }
        if (close_it)
            relay_store_close(s);
        _exit(0);
    }
    int status = 1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

static bool count_one(void *ctx, const relay_message *m)
{
    (void)m;
    ++*(unsigned *)ctx;
    return true;
}

/* What somebody learns who opens it, checks it and reads it. */
static int look(unsigned *messages, char *where, size_t where_bytes)
{
    relay_store *s = NULL;
    relay_reader *r = NULL;
    *messages = 0;
    *where = 0;
    int rc = relay_store_open_tuned(&s, folder, key, &tiny);
    if (rc == TACET_OK)
        rc = relay_check(s, where, where_bytes);
    if (rc == TACET_OK)
        rc = relay_reader_open(&r, s);
    if (rc == TACET_OK)
        rc = relay_backlog(r, 1, 0, SIZE_MAX, SIZE_MAX, HOUR, count_one, messages);
    relay_reader_close(r);
    relay_store_close(s);
    return rc;
}

static void keep(const char *name, const char *as)
{
    if (file_there(in_folder(name)))
        file_copy(in_folder(name), in_folder(as));
}

START_TEST(S05_bit_flip_in_any_page)
{
    folder_make();
    store_make(MESSAGES / 10, true);
    keep("relay.db", "kept");
    size_t bytes, n = 0;
    unsigned messages, named = 0;
    char where[128];
    uint64_t seed = 1;
    free(file_read(in_folder("kept"), &bytes));
    ck_assert_uint_gt(bytes / PAGE, 12);
    for (size_t page = 0; page < bytes / PAGE; page++) {
        /* the salt or the start, the middle, the initialisation vector, the HMAC */
        const size_t at[] = { draw_below(&seed, 16), draw_below(&seed, PAGE), PAGE - 48 + draw_below(&seed, 16), PAGE - 32 + draw_below(&seed, 32) };
        for (size_t i = 0; i < ROWS(at); i++, n++) {
            file_copy(in_folder("kept"), in_folder("relay.db"));
            file_flip(in_folder("relay.db"), page * PAGE + at[i], (uint8_t)(1u << draw_below(&seed, 8)));
            int rc = look(&messages, where, sizeof where);
            ck_assert_msg(rc == TACET_E_CORRUPT, "page %zu, byte %zu: %s", page + 1, at[i], tacet_status_word(rc));
            named += where[0] != 0;
        }
    }
    ck_assert_uint_gt(named, 0);
    file_copy(in_folder("kept"), in_folder("relay.db"));
    OK(look(&messages, where, sizeof where));
    ck_assert_uint_eq(messages, MESSAGES);
    folder_remove();
}
END_TEST

/* The process died, the machine did not: every frame of the log is vouched for. */
START_TEST(S05_bit_flip_in_any_frame_of_the_log)
{
    folder_make();
    store_make(3, false);
    keep("relay.db", "kept");
    keep("relay.db-wal", "kept-wal");
    keep("relay.db-shm", "kept-shm");
    size_t bytes, frame = 24 + PAGE;
    unsigned messages;
    char where[128];
    uint64_t seed = 2;
    free(file_read(in_folder("kept-wal"), &bytes));
    ck_assert_uint_eq((bytes - 32) % frame, 0);
    for (size_t i = 0; i <= (bytes - 32) / frame; i++) {
        size_t start = i ? 32 + (i - 1) * frame : 0;
        const size_t at[] = { draw_below(&seed, i ? 24 : 32), i ? 24 + draw_below(&seed, PAGE) : draw_below(&seed, 32) };
        for (size_t k = 0; k < ROWS(at); k++) {
            keep("kept", "relay.db");
            keep("kept-wal", "relay.db-wal");
            keep("kept-shm", "relay.db-shm");
            file_flip(in_folder("relay.db-wal"), start + at[k], (uint8_t)(1u << draw_below(&seed, 8)));
            int rc = look(&messages, where, sizeof where);
            ck_assert_msg(rc == TACET_E_CORRUPT, "frame %zu, byte %zu: %s", i, at[k], tacet_status_word(rc));
        }
    }
    keep("kept", "relay.db");
    keep("kept-wal", "relay.db-wal");
    keep("kept-shm", "relay.db-shm");
    OK(look(&messages, where, sizeof where));
    ck_assert_uint_eq(messages, 30);
    folder_remove();
}
END_TEST

/* The power went, so nothing vouches: everything but the last group is proved by the commits behind it. A flip in the last one cannot be told from a
 * group that was being written, and must leave all the others. */
START_TEST(S05_bit_flip_in_the_log_after_a_power_loss)
{
    folder_make();
    store_make(3, false);
    keep("relay.db", "kept");
    keep("relay.db-wal", "kept-wal");
    size_t bytes, frame = 24 + PAGE, damaged = 0, torn = 0;
    unsigned messages;
    char where[128];
    uint64_t seed = 3;
    free(file_read(in_folder("kept-wal"), &bytes));
    for (size_t i = 0; i < (bytes - 32) / frame; i++) {
        keep("kept", "relay.db");
        keep("kept-wal", "relay.db-wal");
        (void)unlink(in_folder("relay.db-shm"));
        file_flip(in_folder("relay.db-wal"), 32 + i * frame + draw_below(&seed, frame), 4);
        int rc = look(&messages, where, sizeof where);
        ck_assert_msg(rc == TACET_E_CORRUPT || (rc == TACET_OK && messages == 20), "frame %zu: %s, %u messages", i + 1, tacet_status_word(rc),
                      messages);
        damaged += rc == TACET_E_CORRUPT;
        torn += rc == TACET_OK;
        ck_assert_msg(rc != TACET_E_CORRUPT || torn == 0, "frame %zu: damage behind the last group", i + 1);
    }
    ck_assert_uint_gt(damaged, 0);
    ck_assert_uint_gt(torn, 0);
    folder_remove();
}
END_TEST

START_TEST(S05_log_without_its_end_or_database_without_its_end)
{
    folder_make();
    store_make(3, false);
    size_t bytes;
    unsigned messages;
    char where[128];
    keep("relay.db", "kept");
    free(file_read(in_folder("relay.db-wal"), &bytes));
    ck_assert_int_eq(truncate(in_folder("relay.db-wal"), (off_t)bytes - 24 - PAGE), 0);
    ck_assert_int_eq(look(&messages, where, sizeof where), TACET_E_CORRUPT);
    folder_empty();
    store_make(3, true);
    free(file_read(in_folder("relay.db"), &bytes));
    for (size_t cut = PAGE; cut < bytes; cut += PAGE) {
        keep("relay.db", "kept");
        ck_assert_int_eq(truncate(in_folder("relay.db"), (off_t)(bytes - cut)), 0);
        int rc = look(&messages, where, sizeof where);
        ck_assert_msg(rc == TACET_E_CORRUPT, "%zu bytes short: %s", cut, tacet_status_word(rc));
        keep("kept", "relay.db");
    }
    folder_remove();
}
END_TEST

/* The disk changes under a running relay. */
START_TEST(S05_bit_flip_while_running)
{
    folder_make();
    relay_store *s = NULL;
    relay_reader *r = NULL;
    unsigned messages = 0;
    char where[128];
    store_make(MESSAGES / 10, true);
    OK(relay_store_open_tuned(&s, folder, key, &tiny));
    OK(relay_reader_open(&r, s));
    size_t bytes;
    free(file_read(in_folder("relay.db"), &bytes));
    for (size_t page = 3; page < bytes / PAGE; page++)
        file_flip(in_folder("relay.db"), page * PAGE + 5000, 1);
    ck_assert_int_eq(relay_backlog(r, 1, 0, SIZE_MAX, SIZE_MAX, HOUR, count_one, &messages), TACET_E_CORRUPT);
    ck_assert_int_eq(relay_check(s, where, sizeof where), TACET_E_CORRUPT);
    ck_assert_msg(strstr(where, "page") != NULL, "%s", where);
    relay_reader_close(r);
    relay_store_close(s);
    folder_remove();
}
END_TEST

/* --- what is not ours --------------------------------------------------------------------------------------------------------------------- */
static int64_t rows_of(database *d)
{
    sqlite3_stmt *q = NULL;
    OK(database_statement(d, "SELECT count(*) FROM t", &q));
    OK(database_row(d, q));
    int64_t n = sqlite3_column_int64(q, 0);
    OK(database_run(d, q));
    return n;
}

/* S05: a rollback journal, as anybody can write one, says that the database had one page before. Nothing of ours ever is such a journal, not even beside
 * a copy: all are in WAL mode from before they have their names. */
START_TEST(S05_a_planted_journal_is_moved_aside)
{
    static const uint8_t says_one_page[1024] = { 0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 0, 0, 0,
                                                 0,    0,    0,    0,    0,    1,    0,    0,    2, 0, 0, 0, 16 };
    const database_profile *how = _i & 1 ? &database_relay : &database_vault;
    const char *name = _i & 2 ? "copy" : "a.db";
    char where[128];
    database *d = NULL;
    folder_make();
    OK(database_open(&d, in_folder("a.db"), key, how, steps, 1));
    for (int i = 0; i < 300; i++)
        OK(database_execute(d, "INSERT INTO t(b, c) VALUES('x', randomblob(1000))"));
    OK(database_backup(d, in_folder("copy"), key));
    database_close(d);
    for (int64_t again = 0; again < 2; again++) {
        char journal[64], aside[64];
        size_t bytes = 0;
        (void)snprintf(journal, sizeof journal, "%s-journal", name);
        (void)snprintf(aside, sizeof aside, "%s-journal.aside-%d", name, (int)again + 1);
        file_write(in_folder(journal), says_one_page, sizeof says_one_page);
        OK(database_open(&d, in_folder(name), key, how, steps, 1));
        ck_assert_int_eq(rows_of(d), 300 + again);
        OK(database_execute(d, "INSERT INTO t(b) VALUES('x')"));
        OK(database_check(d, where, sizeof where));
        database_close(d);
        ck_assert(!file_there(in_folder(journal)));
        uint8_t *kept = file_read(in_folder(aside), &bytes);
        ck_assert(bytes == sizeof says_one_page && memcmp(kept, says_one_page, bytes) == 0);
        free(kept);
    }
    folder_remove();
}
END_TEST

/* --- what check finds although every page is well ------------------------------------------------------------------------------------------ */
static const struct {
    const char *sql, *want;
} broken[] = {
    { "DELETE FROM mailbox_index WHERE number = 5", "message 5 of mailbox 1: in the log, not in the index" },
    { "UPDATE mailbox_index SET what = what + 1024 WHERE number = 5", "message 5 of mailbox 1: its length is not that of the index" },
    { "DELETE FROM message WHERE number = 5", "the index names" },
    { "DELETE FROM message WHERE number = (SELECT max(number) FROM message)", "the ring names" },
    { "INSERT INTO message SELECT number + 1000, mailbox, expires_hour, stored_hour, kind, token_hash, ciphertext FROM message WHERE number = 5",
      "message 1005 of mailbox 1: in the log, not in memory" },
};

START_TEST(check_names_the_damage)
{
    folder_make();
    relay_store *s = NULL;
    char where[128];
    store_make(MESSAGES / 10, true);
    OK(relay_store_open_tuned(&s, folder, key, &tiny));
    OK(relay_check(s, where, sizeof where));
    ck_assert_str_eq(where, "");
    OK(database_execute(s->db, broken[_i].sql));
    ck_assert_int_eq(relay_check(s, where, sizeof where), TACET_E_CORRUPT);
    ck_assert_msg(strncmp(where, broken[_i].want, strlen(broken[_i].want)) == 0, "%s", where);
    relay_store_close(s);
    folder_remove();
}
END_TEST

/* A row that the index promises is missing: the reader says so instead of skipping it. */
START_TEST(backlog_reports_a_missing_row)
{
    folder_make();
    relay_store *s = NULL;
    relay_reader *r = NULL;
    unsigned messages = 0;
    store_make(MESSAGES / 10, true);
    OK(relay_store_open_tuned(&s, folder, key, &tiny));
    OK(relay_reader_open(&r, s));
    OK(database_execute(s->db, _i ? "DELETE FROM message WHERE number = 5" : "DELETE FROM message WHERE number = (SELECT max(number) FROM message)"));
    ck_assert_int_eq(relay_backlog(r, 1, 0, SIZE_MAX, SIZE_MAX, HOUR, count_one, &messages), TACET_E_CORRUPT);
    ck_assert_uint_eq(messages, _i ? 4 : MESSAGES - 1);
    relay_reader_close(r);
    relay_store_close(s);
    folder_remove();
}
END_TEST

/* --- plaintext ------------------------------------------------------------------------------------------------------------------------------ */
static const char marker[] = "MARKER of a plaintext that must not be seen";

static void marked_rows(database *d, int count)
{
    OK(database_begin(d));
    for (int i = 0; i < count; i++) {
        char text[512]; /* long enough that sorting them does not fit in memory */
        sqlite3_stmt *q = NULL;
        (void)snprintf(text, sizeof text, "%d %s %400d", (i * 7919) % count, marker, i);
        OK(database_statement(d, "INSERT INTO t(b, c) VALUES(?1, ?1)", &q));
        ck_assert_int_eq(sqlite3_bind_text(q, 1, text, -1, SQLITE_STATIC), SQLITE_OK);
        OK(database_run(d, q));
    }
    OK(database_commit(d));
}

/* Everything that could spill into a file of its own. */
static void sort(database *d)
{
    OK(database_execute(d, "PRAGMA cache_size=8")); /* else memory would hide it */
    OK(database_execute(d, "SELECT b FROM t ORDER BY b || c DESC"));
    OK(database_execute(d, "SELECT DISTINCT b || c FROM t UNION SELECT c || b FROM t ORDER BY 1"));
}

static void index_and_change(database *d)
{
    OK(database_execute(d, "CREATE INDEX tb ON t(b, c)"));
    OK(database_execute(d, "CREATE VIRTUAL TABLE f USING fts5(b); INSERT INTO f SELECT b FROM t; INSERT INTO f(f) VALUES('optimize')"));
    OK(database_execute(d, "UPDATE t SET b = b || '!'; DELETE FROM t WHERE a % 3 = 0"));
    OK(database_execute(d, "CREATE TEMP TABLE x AS SELECT * FROM t; SELECT count(*) FROM x a, x b WHERE a.c = b.c"));
    OK(database_execute(d, "VACUUM"));
}

/* Every file there whose name begins so. */
static void grep_files(const char *path, const char *prefix)
{
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) {
        char name[640];
        struct stat st;
        size_t n;
        (void)snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || lstat(name, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        uint8_t *all = file_read(name, &n);
        ck_assert_msg(!memmem(all, n, marker, sizeof marker - 1), "plaintext in %s", name);
        free(all);
    }
    ck_assert_int_eq(closedir(d), 0);
}

static const database_profile *const profile[] = { &database_vault, &database_relay };

START_TEST(S06_no_plaintext_on_disk)
{
    folder_make();
    faulty_install();
    faulty_watch(marker, sizeof marker - 1);
    database *d = NULL;
    OK(database_open(&d, in_folder("a.db"), key, profile[_i], steps, 1));
    marked_rows(d, _i ? 3000 : 500); /* the vault locks each piece of memory, which takes its time */
    sort(d);
    index_and_change(d);
    ck_assert_uint_eq(faulty_seen(), 0);
    ck_assert_uint_eq(faulty_temporary(), 0);
    grep_files(folder, "");            /* database, WAL, index of the WAL: while all are there */
    grep_files("/var/tmp", "etilqs_"); /* SQLite's name for temporary files */
    grep_files("/tmp", "etilqs_");
    OK(database_checkpoint(d, true, NULL));
    grep_files(folder, "");
    OK(database_backup(d, in_folder("copy"), key));
    database_close(d);
    ck_assert_uint_eq(faulty_seen(), 0);
    grep_files(folder, "");
    folder_remove();
}
END_TEST

/* The watch sees it when it happens: with the setting turned round, the same work writes plaintext into temporary files. */
START_TEST(S06_the_watch_sees_plaintext)
{
    folder_make();
    faulty_install();
    database *d = NULL;
    OK(database_open(&d, in_folder("a.db"), key, &database_relay, steps, 1));
    OK(database_execute(d, "PRAGMA temp_store=FILE"));
    ck_assert_int_eq(setenv("SQLITE_TMPDIR", folder, 1), 0);
    faulty_watch(marker, sizeof marker - 1);
    marked_rows(d, 3000);
    sort(d);
    ck_assert_uint_gt(faulty_temporary(), 0);
    ck_assert_uint_gt(faulty_seen(), 0);
    database_close(d);
    ck_assert_int_eq(unsetenv("SQLITE_TMPDIR"), 0);
    folder_remove();
}
END_TEST

SUITE("damage", TEST(S05_bit_flip_in_any_page), TEST(S05_bit_flip_in_any_frame_of_the_log), TEST(S05_bit_flip_in_the_log_after_a_power_loss),
      TEST(S05_log_without_its_end_or_database_without_its_end), TEST(S05_bit_flip_while_running), LOOP(check_names_the_damage, ROWS(broken)),
      LOOP(S05_a_planted_journal_is_moved_aside, 4), LOOP(backlog_reports_a_missing_row, 2), LOOP(S06_no_plaintext_on_disk, 2),
      TEST(S06_the_watch_sees_plaintext))
