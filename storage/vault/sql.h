/* vault/sql.h: how the vault's files talk to SQLite: parameters by a string of types, columns through one cursor that remembers what did not fit.
 *   n int, bool, uint32_t    i int64_t    u uint64_t (its bits)    t const char * (NULL: NULL)    b const void *, size_t (size 0: empty blob) */
#ifndef VAULT_SQL_H
#define VAULT_SQL_H
#include "storage/vault.h"
#include <sqlite3.h>

struct vault {
    database *db;
    bool inside;
};

/* Binds; the first vault_next gives the first row. */
TACET_MUST_USE int vault_select(vault *v, sqlite3_stmt **st, const char *sql, const char *types, ...);
/* TACET_OK a row; TACET_E_NOT_FOUND the end, the statement is reset. */
TACET_MUST_USE int vault_next(vault *v, sqlite3_stmt *st);
/* Ends early. */
void vault_end(sqlite3_stmt *st);
/* One statement without rows. TACET_E_EXISTS on a UNIQUE or PRIMARY KEY clash. */
TACET_MUST_USE int vault_run(vault *v, const char *sql, const char *types, ...);
/* The same; TACET_E_NOT_FOUND when it changed no row. */
TACET_MUST_USE int vault_change(vault *v, const char *sql, const char *types, ...);
/* One number of one row. */
TACET_MUST_USE int vault_number(vault *v, uint64_t *out, const char *sql, const char *types, ...);
/* The one row of a statement that vault_select gave rc for, as `read` fills it into `out`. TACET_E_NOT_FOUND. */
TACET_MUST_USE int vault_one(vault *v, sqlite3_stmt *st, int rc, int (*read)(sqlite3_stmt *st, void *out), void *out);
/* A column of numbers, at most room; *count all the rows. */
TACET_MUST_USE int vault_numbers(vault *v, int64_t *out, size_t room, size_t *count, const char *sql, const char *types, ...);
int64_t vault_last_row(const vault *v);

typedef struct {
    sqlite3_stmt *st;
    int at;
    bool bad;
} row_cursor;
static inline row_cursor row_of(sqlite3_stmt *st) { return (row_cursor){ st, 0, false }; }
uint64_t row_u64(row_cursor *r);
static inline int64_t row_i64(row_cursor *r) { return (int64_t)row_u64(r); }
static inline uint32_t row_u32(row_cursor *r) { return (uint32_t)row_u64(r); }
static inline bool row_bool(row_cursor *r) { return row_u64(r) != 0; }
void row_bytes(row_cursor *r, void *out, size_t n);     /* exactly n, or bad */
size_t row_some(row_cursor *r, void *out, size_t room); /* at most room, or bad */
void row_text(row_cursor *r, char *out, size_t room);   /* with its NUL, or bad */
vault_blob row_view(row_cursor *r);                     /* until the next step */
static inline int row_status(const row_cursor *r) { return r->bad ? TACET_E_CORRUPT : TACET_OK; }
#endif
