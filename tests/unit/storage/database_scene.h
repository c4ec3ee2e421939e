/* tests/unit/storage/database_scene.h: a database in the test's folder, with two versions that work and a third that does not. */
#ifndef TESTS_DATABASE_SCENE_H
#define TESTS_DATABASE_SCENE_H
#include "connection.h"
#include "folder.h"

static const uint8_t key[32] = "a key of thirty-two bytes, yes!", other[32] = "another key, also of that length";
static const migration steps[] = {
    { 1, "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE);" },
    { 2, "ALTER TABLE t ADD COLUMN c; UPDATE t SET c = b;" },
    { 3, "CREATE TABLE u(a); CREATE TABLE t(a);" }, /* fails at its second half */
};

static inline database *open_with(uint32_t version)
{
    database *d = NULL;
    OK(database_open(&d, in_folder("a.db"), key, &database_vault, steps, version));
    return d;
}

static inline int64_t integer(database *d, const char *sql)
{
    int64_t n = -1;
    OK(connection_integer(d, sql, &n));
    return n;
}

static inline int insert(database *d, const char *text)
{
    sqlite3_stmt *q = NULL;
    OK(database_statement(d, "INSERT INTO t(b) VALUES(?)", &q));
    ck_assert_int_eq(sqlite3_bind_text(q, 1, text, -1, SQLITE_STATIC), SQLITE_OK);
    return database_run(d, q);
}

static inline void rows_make(database *d, int n)
{
    char text[64];
    OK(database_begin(d));
    for (int i = 0; i < n; i++) {
        (void)snprintf(text, sizeof text, "row number %d of a table that takes a while", i);
        OK(insert(d, text));
    }
    OK(database_commit(d));
}
#endif
