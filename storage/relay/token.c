/* Tokens and prekeys: what opens a mailbox, and what opens a conversation with it. */
#include "parts.h"
#include <string.h>

enum { TOKEN_KIND_REQUEST = 2, PREKEY_SIGNED = 1, PREKEY_ONE_TIME = 2, PREKEY_KEM_ONE_TIME = 3, PREKEY_KEM_LAST_RESORT = 4 };

static bool prekey_lasts(uint8_t kind) { return kind == PREKEY_SIGNED || kind == PREKEY_KEM_LAST_RESORT; }

/* --- tokens ---------------------------------------------------------------------------------------------------------------------------- */
int relay_token_add(relay_store *s, const uint8_t account[32], uint8_t kind, const uint8_t token_hash[32])
{
    int rc = TACET_OK;
    uint8_t known = kind;
    if (kind == TOKEN_KIND_REQUEST && (rc = relay_token_find(s, account, token_hash, &known)) == TACET_E_NOT_FOUND)
        rc = TACET_OK;
    if (rc == TACET_OK && known != kind)
        return TACET_E_EXISTS; /* before the old one goes */
    if (rc == TACET_OK && kind == TOKEN_KIND_REQUEST)
        rc = relay_do(s, NULL, "DELETE FROM token WHERE account = ? AND kind = ?", "ki", account, (uint64_t)kind);
    return rc == TACET_OK ? relay_do(s, NULL, "INSERT INTO token VALUES(?, ?, ?)", "kki", account, token_hash, (uint64_t)kind) : rc;
}

int relay_token_remove(relay_store *s, const uint8_t account[32], const uint8_t token_hash[32])
{
    uint64_t rows = 0;
    int rc = relay_do(s, &rows, "DELETE FROM token WHERE account = ? AND hash = ?", "kk", account, token_hash);
    return rc == TACET_OK && rows == 0 ? TACET_E_NOT_FOUND : rc;
}

int relay_token_find(relay_store *s, const uint8_t account[32], const uint8_t token_hash[32], uint8_t *kind)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT kind FROM token WHERE account = ? AND hash = ?", "kk", account, token_hash);
    if (rc != TACET_OK)
        return rc;
    *kind = (uint8_t)sqlite3_column_int(q, 0);
    (void)sqlite3_reset(q); /* only one row */
    return TACET_OK;
}

int relay_token_count(relay_store *s, const uint8_t account[32], uint64_t *count)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(s, &q, "SELECT count(*) FROM token WHERE account = ?", "k", account);
    if (rc != TACET_OK)
        return rc;
    *count = (uint64_t)sqlite3_column_int64(q, 0);
    (void)sqlite3_reset(q); /* only one row */
    return TACET_OK;
}

/* --- prekeys --------------------------------------------------------------------------------------------------------------------------- */
int relay_prekey_put(relay_store *s, uint32_t mailbox, uint8_t kind, uint32_t id, blob encoded)
{
    int rc = TACET_OK;
    if (!index_alive(&s->index, mailbox))
        return TACET_E_NOT_FOUND;
    if (prekey_lasts(kind))
        rc = relay_do(s, NULL, "DELETE FROM prekey WHERE mailbox = ? AND kind = ?", "ii", (uint64_t)mailbox, (uint64_t)kind);
    return rc == TACET_OK ? relay_do(s, NULL, "INSERT OR REPLACE INTO prekey VALUES(?, ?, ?, ?)", "iiib", (uint64_t)mailbox, (uint64_t)kind,
                                     (uint64_t)id, encoded)
                          : rc;
}

/* When a prekey expires stands in its encoding (identity/prekey.h), big-endian, so times compare as bytes do. */
#define EXPIRES "substr(encoded, 14, 8)"

static void time_bytes(uint8_t out[8], uint64_t now_s)
{
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(now_s >> (56 - 8 * i));
}

int relay_prekey_forget(relay_store *s, uint32_t mailbox, uint64_t now_s)
{
    uint8_t now[8];
    time_bytes(now, now_s);
    return relay_do(s, NULL, "DELETE FROM prekey WHERE mailbox = ? AND kind IN (?, ?) AND " EXPIRES " <= ?", "iiib", (uint64_t)mailbox,
                    (uint64_t)PREKEY_ONE_TIME, (uint64_t)PREKEY_KEM_ONE_TIME, (blob){ now, sizeof now });
}

/* With it go those of lower ids, which have expired: else it would not be the first. */
static int one_time_taken(relay_store *s, uint32_t mailbox, uint8_t kind, uint64_t id)
{
    int rc = relay_do(s, NULL, "DELETE FROM prekey WHERE mailbox = ? AND kind = ? AND id <= ?", "iii", (uint64_t)mailbox, (uint64_t)kind, id);
    return rc == TACET_OK ? relay_do(s, NULL, "UPDATE mailbox SET handed_out = handed_out + 1 WHERE mailbox = ?", "i", (uint64_t)mailbox) : rc;
}

int relay_prekey_take(relay_store *s, uint32_t mailbox, uint8_t kind, uint64_t now_s, uint8_t *out, size_t room, size_t *out_bytes)
{
    sqlite3_stmt *q = NULL;
    uint8_t now[8];
    time_bytes(now, now_s);
    int rc = relay_one(s, &q, "SELECT id, encoded FROM prekey WHERE mailbox = ? AND kind = ? AND (? OR " EXPIRES " > ?) ORDER BY id LIMIT 1", "iiib",
                       (uint64_t)mailbox, (uint64_t)kind, (uint64_t)prekey_lasts(kind), (blob){ now, sizeof now });
    if (rc == TACET_E_NOT_FOUND && !prekey_lasts(kind))
        rc = relay_prekey_forget(s, mailbox, now_s);
    if (!q)
        return rc == TACET_OK ? TACET_E_NOT_FOUND : rc;
    uint64_t id = (uint64_t)sqlite3_column_int64(q, 0);
    size_t bytes = 0;
    rc = relay_give(q, 1, out, room, &bytes);
    if (rc == TACET_OK && !prekey_lasts(kind))
        rc = one_time_taken(s, mailbox, kind, id);
    if (rc == TACET_OK)
        *out_bytes = bytes;
    return rc;
}

int relay_prekey_counts(relay_store *s, uint32_t mailbox, uint64_t now_s, uint32_t *one_time, uint32_t *kem, uint64_t *handed_out)
{
    sqlite3_stmt *q = NULL;
    uint8_t now[8];
    time_bytes(now, now_s);
    int rc =
        relay_one(s, &q,
                  "SELECT (SELECT count(*) FROM prekey WHERE mailbox = ?1 AND kind = ?2 AND " EXPIRES " > ?4),"
                  " (SELECT count(*) FROM prekey WHERE mailbox = ?1 AND kind = ?3 AND " EXPIRES " > ?4), handed_out FROM mailbox WHERE mailbox = ?1",
                  "iiib", (uint64_t)mailbox, (uint64_t)PREKEY_ONE_TIME, (uint64_t)PREKEY_KEM_ONE_TIME, (blob){ now, sizeof now });
    if (rc != TACET_OK)
        return rc;
    *one_time = (uint32_t)sqlite3_column_int64(q, 0);
    *kem = (uint32_t)sqlite3_column_int64(q, 1);
    *handed_out = (uint64_t)sqlite3_column_int64(q, 2);
    (void)sqlite3_reset(q); /* only one row */
    return TACET_OK;
}
