/* Statements with their parameters in one line. */
#include "parts.h"
#include <stdarg.h>
#include <string.h>

static int bind_all(sqlite3_stmt *q, const char *types, va_list ap)
{
    int rc = SQLITE_OK;
    for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
        if (*types == 'i') {
            rc = sqlite3_bind_int64(q, i, (sqlite3_int64)va_arg(ap, uint64_t));
        } else if (*types == 'b') {
            blob b = va_arg(ap, blob);
            rc = sqlite3_bind_blob64(q, i, b.bytes ? b.at : "", b.bytes, SQLITE_STATIC);
        } else if (*types == 'k') {
            rc = sqlite3_bind_blob64(q, i, va_arg(ap, const uint8_t *), 32, SQLITE_STATIC);
        } else {
            rc = sqlite3_bind_text(q, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
        }
    }
    return rc;
}

static int bind_list(relay_store *s, sqlite3_stmt **out, const char *sql, const char *types, va_list ap)
{
    sqlite3_stmt *q = NULL;
    int rc = database_statement(s->db, sql, &q);
    if (rc != TACET_OK)
        return rc;
    int code = bind_all(q, types, ap);
    if (code != SQLITE_OK)
        return database_status(code);
    *out = q;
    return TACET_OK;
}

int relay_bind(relay_store *s, sqlite3_stmt **out, const char *sql, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    int rc = bind_list(s, out, sql, types, ap);
    va_end(ap);
    return rc;
}

int relay_do(relay_store *s, uint64_t *changes, const char *sql, const char *types, ...)
{
    sqlite3_stmt *q = NULL;
    va_list ap;
    va_start(ap, types);
    int rc = bind_list(s, &q, sql, types, ap);
    va_end(ap);
    if (rc == TACET_OK)
        rc = database_run(s->db, q);
    if (rc == TACET_OK && changes)
        *changes = database_changes(s->db);
    return rc;
}

int relay_one(relay_store *s, sqlite3_stmt **out, const char *sql, const char *types, ...)
{
    sqlite3_stmt *q = NULL;
    va_list ap;
    va_start(ap, types);
    int rc = bind_list(s, &q, sql, types, ap);
    va_end(ap);
    if (rc == TACET_OK)
        rc = database_row(s->db, q);
    if (rc == TACET_OK)
        *out = q;
    return rc;
}

int relay_give(sqlite3_stmt *q, int column, uint8_t *out, size_t room, size_t *out_bytes)
{
    const void *value = sqlite3_column_blob(q, column);
    size_t bytes = (size_t)sqlite3_column_bytes(q, column);
    int rc = bytes > room ? TACET_E_QUOTA : bytes && !value ? TACET_E_NOMEM : TACET_OK;
    if (rc == TACET_OK && bytes)
        memcpy(out, value, bytes);
    if (rc == TACET_OK)
        *out_bytes = bytes;
    (void)sqlite3_reset(q); /* only one row */
    return rc;
}
