#include "sql.h"
#include <assert.h>
#include <stdarg.h>
#include <string.h>

static int bind_one(sqlite3_stmt *st, int at, char type, va_list *ap)
{
    if (type == 'n')
        return sqlite3_bind_int64(st, at, va_arg(*ap, unsigned));
    switch (type) {
    case 'i':
    case 'u': /* signed and unsigned of one size, and only bits here (C17 7.16.1.1) */
        return sqlite3_bind_int64(st, at, va_arg(*ap, int64_t));
    case 't': {
        const char *text = va_arg(*ap, const char *);
        return text ? sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC) : sqlite3_bind_null(st, at);
    }
    case 'b': {
        const void *bytes = va_arg(*ap, const void *);
        size_t n = va_arg(*ap, size_t);
        return n ? sqlite3_bind_blob64(st, at, bytes, n, SQLITE_STATIC) : sqlite3_bind_zeroblob(st, at, 0);
    }
    default:
        assert(false); /* a type that the head of sql.h does not name */
        return SQLITE_MISUSE;
    }
}

static int prepare(vault *v, sqlite3_stmt **st, const char *sql, const char *types, va_list *ap)
{
    int rc = database_statement(v->db, sql, st);
    if (rc != TACET_OK)
        return rc;
    sqlite3_reset(*st);
    assert(sqlite3_bind_parameter_count(*st) == (int)strlen(types));
    for (int i = 0; types[i]; i++) {
        int code = bind_one(*st, i + 1, types[i], ap);
        if (code != SQLITE_OK) {
            vault_end(*st);
            return database_status(code);
        }
    }
    return TACET_OK;
}

int vault_next(vault *v, sqlite3_stmt *st)
{
    int rc = database_row(v->db, st);
    if (rc != TACET_OK)
        vault_end(st);
    return rc;
}

/* Parameters may point to the caller's keys: they go with the statement's end. */
void vault_end(sqlite3_stmt *st)
{
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

int vault_select(vault *v, sqlite3_stmt **st, const char *sql, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    int rc = prepare(v, st, sql, types, &ap);
    va_end(ap);
    return rc;
}

static int run(vault *v, const char *sql, const char *types, va_list *ap, uint64_t *changes)
{
    assert(v->inside); /* what writes belongs to somebody's transaction */
    sqlite3_stmt *st = NULL;
    int rc = prepare(v, &st, sql, types, ap);
    if (rc != TACET_OK)
        return rc;
    rc = vault_next(v, st);
    if (rc == TACET_OK) {
        vault_end(st);
        return TACET_E_BUG; /* a row where none was expected */
    }
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    *changes = database_changes(v->db);
    return TACET_OK;
}

int vault_run(vault *v, const char *sql, const char *types, ...)
{
    uint64_t changes = 0;
    va_list ap;
    va_start(ap, types);
    int rc = run(v, sql, types, &ap, &changes);
    va_end(ap);
    return rc;
}

int vault_change(vault *v, const char *sql, const char *types, ...)
{
    uint64_t changes = 0;
    va_list ap;
    va_start(ap, types);
    int rc = run(v, sql, types, &ap, &changes);
    va_end(ap);
    return rc == TACET_OK && changes == 0 ? TACET_E_NOT_FOUND : rc;
}

int vault_number(vault *v, uint64_t *out, const char *sql, const char *types, ...)
{
    sqlite3_stmt *st = NULL;
    va_list ap;
    va_start(ap, types);
    int rc = prepare(v, &st, sql, types, &ap);
    va_end(ap);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    *out = row_u64(&r);
    vault_end(st);
    return TACET_OK;
}

int vault_one(vault *v, sqlite3_stmt *st, int rc, int (*read)(sqlite3_stmt *st, void *out), void *out)
{
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    rc = read(st, out);
    vault_end(st);
    return rc;
}

int vault_numbers(vault *v, int64_t *out, size_t room, size_t *count, const char *sql, const char *types, ...)
{
    sqlite3_stmt *st = NULL;
    va_list ap;
    va_start(ap, types);
    int rc = prepare(v, &st, sql, types, &ap);
    va_end(ap);
    if (rc != TACET_OK)
        return rc;
    size_t n = 0;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        row_cursor r = row_of(st);
        if (n < room)
            out[n] = row_i64(&r);
        n++;
    }
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    *count = n;
    return TACET_OK;
}

uint64_t row_u64(row_cursor *r) { return (uint64_t)sqlite3_column_int64(r->st, r->at++); }

vault_blob row_view(row_cursor *r)
{
    const uint8_t *at = sqlite3_column_blob(r->st, r->at);
    size_t n = (size_t)sqlite3_column_bytes(r->st, r->at);
    r->at++;
    return (vault_blob){ at, at ? n : 0 };
}

void row_bytes(row_cursor *r, void *out, size_t n)
{
    vault_blob b = row_view(r);
    if (b.bytes != n) {
        r->bad = true;
        memset(out, 0, n);
    } else if (n) {
        memcpy(out, b.at, n);
    }
}

size_t row_some(row_cursor *r, void *out, size_t room)
{
    vault_blob b = row_view(r);
    if (b.bytes > room) {
        r->bad = true;
        return 0;
    }
    if (b.bytes)
        memcpy(out, b.at, b.bytes);
    return b.bytes;
}

void row_text(row_cursor *r, char *out, size_t room)
{
    out[0] = '\0';
    size_t n = row_some(r, out, room - 1);
    out[n] = '\0';
}

int64_t vault_last_row(const vault *v)
{
    sqlite3_stmt *st = NULL;
    if (database_statement(v->db, "SELECT last_insert_rowid()", &st) != TACET_OK || sqlite3_step(st) != SQLITE_ROW)
        return 0;
    int64_t row = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return row;
}
