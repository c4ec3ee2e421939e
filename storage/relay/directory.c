/* Names, invitations, settings. */
#include "parts.h"
#include "base/reader.h"
#include "base/writer.h"
#include <string.h>

/* --- names ------------------------------------------------------------------------------------------------------------------------------ */
/* Expired entries of others make room; then the primary key says whether the name is somebody else's. */
int relay_name_put(relay_store *s, const char *name, const uint8_t account[32], uint64_t now_s, uint64_t expires_s, blob value)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT 1 FROM name WHERE name = ? AND account <> ? AND expires_s > ?", "tki", name, account, now_s);
    if (rc == TACET_OK) {
        (void)sqlite3_reset(q); /* only one row */
        return TACET_E_EXISTS;
    }
    if (rc == TACET_E_NOT_FOUND)
        rc = relay_do(s, NULL, "DELETE FROM name WHERE name = ? OR account = ?", "tk", name, account);
    return rc == TACET_OK ? relay_do(s, NULL, "INSERT INTO name VALUES(?, ?, ?, ?)", "tkib", name, account, expires_s, value) : rc;
}

int relay_name_remove(relay_store *s, const uint8_t account[32])
{
    uint64_t rows = 0;
    int rc = relay_do(s, &rows, "DELETE FROM name WHERE account = ?", "k", account);
    return rc == TACET_OK && rows == 0 ? TACET_E_NOT_FOUND : rc;
}

int relay_name_find(relay_store *s, const char *name, uint64_t now_s, uint8_t *out, size_t room, size_t *out_bytes)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT entry FROM name WHERE name = ? AND expires_s > ?", "ti", name, now_s);
    return rc == TACET_OK ? relay_give(q, 0, out, room, out_bytes) : rc;
}

/* --- invitations ------------------------------------------------------------------------------------------------------------------------ */
int relay_invite_add(relay_store *s, const uint8_t hash[32], uint32_t uses, uint64_t expires_s)
{
    return relay_do(s, NULL, "INSERT INTO invite VALUES(?, ?, ?)", "kii", hash, (uint64_t)uses, expires_s);
}

/* Used up and expired ones disappear when they are met. */
int relay_invite_use(relay_store *s, const uint8_t hash[32], uint64_t now_s)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT uses, expires_s FROM invite WHERE hash = ?", "k", hash);
    if (rc != TACET_OK)
        return rc;
    uint64_t uses = (uint64_t)sqlite3_column_int64(q, 0), expires_s = (uint64_t)sqlite3_column_int64(q, 1);
    (void)sqlite3_reset(q); /* only one row */
    bool expired = expires_s <= now_s;
    if (expired || uses <= 1)
        rc = relay_do(s, NULL, "DELETE FROM invite WHERE hash = ?", "k", hash);
    else
        rc = relay_do(s, NULL, "UPDATE invite SET uses = uses - 1 WHERE hash = ?", "k", hash);
    if (rc != TACET_OK)
        return rc;
    return expired ? TACET_E_EXPIRED : uses == 0 ? TACET_E_NOT_FOUND : TACET_OK;
}

/* --- settings --------------------------------------------------------------------------------------------------------------------------- */
int relay_setting_put(relay_store *s, const char *name, blob value)
{
    return relay_do(s, NULL, "INSERT OR REPLACE INTO setting VALUES(?, ?)", "tb", name, value);
}

int relay_setting_get(relay_store *s, const char *name, uint8_t *out, size_t room, size_t *out_bytes)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT value FROM setting WHERE name = ?", "t", name);
    return rc == TACET_OK ? relay_give(q, 0, out, room, out_bytes) : rc;
}

int relay_age_save(relay_store *s, uint64_t ms)
{
    uint8_t bytes[8];
    writer w = writer_over(bytes, sizeof bytes);
    write_be(&w, ms, 8);
    int rc = relay_begin(s);
    if (rc == TACET_OK)
        rc = relay_setting_put(s, "age", (blob){ bytes, sizeof bytes });
    if (rc == TACET_OK)
        return relay_commit(s);
    relay_rollback(s);
    return rc;
}

int relay_age_load(relay_store *s, uint64_t *ms)
{
    uint8_t bytes[8] = { 0 };
    size_t n = 0;
    int rc = relay_setting_get(s, "age", bytes, sizeof bytes, &n);
    reader r = reader_over(bytes, sizeof bytes);
    if (rc == TACET_E_NOT_FOUND || (rc == TACET_OK && n == sizeof bytes))
        *ms = read_be(&r, 8);
    else
        return rc == TACET_OK || rc == TACET_E_QUOTA ? TACET_E_CORRUPT : rc;
    return TACET_OK;
}
