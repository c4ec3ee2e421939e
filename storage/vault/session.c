/* Ratchet sessions (opaque), prekeys, and tokens that the relay must be told about. */
#include "sql.h"
#include <sodium.h>
#include <string.h>

int vault_session_put(vault *v, const vault_session *s)
{
    return vault_run(v,
                     "INSERT INTO session(id, contact, device, agreement, initiator, answered, retired, created_ms, opened_ms, sealed, state)"
                     " VALUES(?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET answered=excluded.answered, retired=excluded.retired,"
                     " opened_ms=excluded.opened_ms, sealed=excluded.sealed, state=excluded.state",
                     "binbnnnuuub", s->id, sizeof s->id, s->contact, s->device, s->agreement, sizeof s->agreement, s->initiator, s->answered,
                     s->retired, s->created_ms, s->opened_ms, s->sealed, s->state.at, s->state.bytes);
}

int vault_session_sealed(vault *v, const uint8_t id[32], uint64_t sealed, vault_blob state)
{
    return vault_change(v, "UPDATE session SET sealed=?, state=? WHERE id=?", "ubb", sealed, state.at, state.bytes, id, (size_t)32);
}

int vault_session_newest(vault *v, int64_t contact, uint32_t device, uint64_t *ms)
{
    return vault_number(v, ms, "SELECT coalesce(max(max(opened_ms, created_ms)), 0) FROM session WHERE contact=? AND device=?", "in", contact,
                        device);
}

int vault_session_heads(vault *v, int64_t contact, uint32_t device, vault_session_head *out, size_t room, size_t *count)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st,
                          "SELECT id, device, initiator, answered, retired, created_ms, opened_ms, sealed FROM session"
                          " WHERE contact=?1 AND (?2=0 OR device=?2) ORDER BY opened_ms DESC, id",
                          "in", contact, device);
    if (rc != TACET_OK)
        return rc;
    size_t n = 0;
    while (n < room && (rc = vault_next(v, st)) == TACET_OK) {
        row_cursor r = row_of(st);
        vault_session_head *h = &out[n++];
        row_bytes(&r, h->id, sizeof h->id);
        h->device = row_u32(&r);
        h->initiator = row_bool(&r);
        h->answered = row_bool(&r);
        h->retired = row_bool(&r);
        h->created_ms = row_u64(&r);
        h->opened_ms = row_u64(&r);
        h->sealed = row_u64(&r);
        if (r.bad) {
            vault_end(st);
            return TACET_E_CORRUPT;
        }
    }
    vault_end(st);
    if (rc != TACET_OK && rc != TACET_E_NOT_FOUND)
        return rc;
    *count = n;
    return TACET_OK;
}

int vault_session_by_agreement(vault *v, const uint8_t agreement[32], uint8_t id[32], int64_t *contact)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT id, contact FROM session WHERE agreement=?", "b", agreement, (size_t)32);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    row_bytes(&r, id, 32);
    *contact = row_i64(&r);
    rc = row_status(&r);
    vault_end(st);
    return rc;
}

int vault_session_state(vault *v, const uint8_t id[32], uint8_t *out, size_t room, size_t *bytes)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT state FROM session WHERE id=?", "b", id, (size_t)32);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    vault_blob state = row_view(&r);
    *bytes = state.bytes;
    if (state.bytes > room)
        rc = TACET_E_QUOTA;
    else if (state.bytes)
        memcpy(out, state.at, state.bytes);
    vault_end(st);
    return rc;
}

int vault_session_next(vault *v, uint8_t id[32])
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT id FROM session WHERE id>? ORDER BY id LIMIT 1", "b", id, (size_t)32);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    uint8_t next[32];
    row_bytes(&r, next, sizeof next);
    rc = row_status(&r);
    vault_end(st);
    if (rc == TACET_OK)
        memcpy(id, next, sizeof next);
    return rc;
}

int vault_session_retire(vault *v, int64_t contact, uint32_t device, const uint8_t except[32])
{
    return vault_run(v, "UPDATE session SET retired=1 WHERE contact=? AND device=? AND id<>?", "inb", contact, device, except, (size_t)32);
}

int vault_session_reset(vault *v, const uint8_t id[32])
{
    return vault_change(v, "UPDATE session SET reset_heard=1 WHERE id=? AND reset_heard=0", "b", id, (size_t)32);
}

int vault_session_remove(vault *v, const uint8_t id[32]) { return vault_change(v, "DELETE FROM session WHERE id=?", "b", id, (size_t)32); }

int vault_met_put(vault *v, const uint8_t session_id[32], uint64_t until_s)
{
    return vault_run(v, "INSERT OR REPLACE INTO met(session_id, until_s) VALUES(?,?)", "bu", session_id, (size_t)32, until_s);
}

int vault_met_has(vault *v, const uint8_t session_id[32], bool *yes)
{
    uint64_t n = 0;
    int rc = vault_number(v, &n, "SELECT count(*) FROM met WHERE session_id=?", "b", session_id, (size_t)32);
    *yes = rc == TACET_OK && n > 0;
    return rc;
}

/* --- prekeys --- */
#define PREKEY_COLUMNS "kind, id, created_s, expires_s, secret, encoded, published"

int vault_prekey_put(vault *v, const vault_prekey *p)
{
    return vault_run(v, "INSERT INTO prekey(" PREKEY_COLUMNS ") VALUES(?,?,?,?,?,?,?)", "nnuubbn", p->kind, p->id, p->created_s, p->expires_s,
                     p->secret, sizeof p->secret, p->encoded, p->encoded_bytes, p->published);
}

static int prekey_of_row(sqlite3_stmt *st, void *ctx)
{
    vault_prekey *out = ctx;
    row_cursor r = row_of(st);
    out->kind = row_u32(&r);
    out->id = row_u32(&r);
    out->created_s = row_u64(&r);
    out->expires_s = row_u64(&r);
    row_bytes(&r, out->secret, sizeof out->secret);
    out->encoded_bytes = row_some(&r, out->encoded, sizeof out->encoded);
    out->published = row_bool(&r);
    if (r.bad)
        sodium_memzero(out->secret, sizeof out->secret);
    return row_status(&r);
}

int vault_prekey_get(vault *v, uint32_t kind, uint32_t id, vault_prekey *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " PREKEY_COLUMNS " FROM prekey WHERE kind=? AND id=?", "nn", kind, id);
    return vault_one(v, st, rc, prekey_of_row, out);
}

int vault_prekey_newest(vault *v, uint32_t kind, vault_prekey *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " PREKEY_COLUMNS " FROM prekey WHERE kind=? ORDER BY id DESC LIMIT 1", "n", kind);
    return vault_one(v, st, rc, prekey_of_row, out);
}

int vault_prekey_remove(vault *v, uint32_t kind, uint32_t id) { return vault_change(v, "DELETE FROM prekey WHERE kind=? AND id=?", "nn", kind, id); }

int vault_prekey_waiting(vault *v, uint32_t kind, uint64_t now_s, uint64_t *count)
{
    return vault_number(v, count, "SELECT count(*) FROM prekey WHERE kind=? AND published=0 AND expires_s>? AND created_s<=?", "nuu", kind, now_s,
                        now_s + TACET_PREKEY_TOLERANCE_S);
}

int vault_prekey_unpublished(vault *v, uint64_t now_s, vault_prekey *out, size_t room, size_t *count)
{
    sqlite3_stmt *st = NULL;
    int rc =
        vault_select(v, &st, "SELECT " PREKEY_COLUMNS " FROM prekey WHERE published=0 AND expires_s>? AND created_s<=? ORDER BY kind, id LIMIT ?",
                     "uui", now_s, now_s + TACET_PREKEY_TOLERANCE_S, (int64_t)room);
    if (rc != TACET_OK)
        return rc;
    size_t n = 0;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        rc = prekey_of_row(st, &out[n]);
        if (rc != TACET_OK) {
            vault_end(st);
            return rc;
        }
        n++;
    }
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    *count = n;
    return TACET_OK;
}

int vault_prekey_remove_all(vault *v) { return vault_run(v, "DELETE FROM prekey", ""); }

int vault_prekey_published(vault *v, uint32_t kind, uint32_t id)
{
    return vault_run(v, "UPDATE prekey SET published=1 WHERE kind=? AND id=?", "nn", kind, id);
}

int vault_prekey_unpublish_all(vault *v) { return vault_run(v, "UPDATE prekey SET published=0 WHERE kind IN (1,4)", ""); }

/* --- tokens --- */
int vault_token_put(vault *v, const vault_token *t)
{
    int rc = t->kind == 2 ? vault_run(v, "DELETE FROM token WHERE kind=2", "") : TACET_OK;
    if (rc != TACET_OK)
        return rc;
    return vault_run(v, "INSERT OR REPLACE INTO token(hash, kind, adding, serial) VALUES(?,?,?,(SELECT coalesce(max(serial),0)+1 FROM token))", "bnn",
                     t->hash, sizeof t->hash, t->kind, t->add);
}

int vault_token_list(vault *v, vault_token *out, size_t room, size_t *count)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT hash, kind, adding FROM token ORDER BY serial LIMIT ?", "i", (int64_t)room);
    if (rc != TACET_OK)
        return rc;
    size_t n = 0;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        row_cursor r = row_of(st);
        row_bytes(&r, out[n].hash, sizeof out[n].hash);
        out[n].kind = row_u32(&r);
        out[n].add = row_bool(&r);
        if (r.bad) {
            vault_end(st);
            return TACET_E_CORRUPT;
        }
        n++;
    }
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    *count = n;
    return TACET_OK;
}

int vault_token_done(vault *v, const vault_token *t)
{
    return vault_run(v, "DELETE FROM token WHERE hash=? AND adding=?", "bn", t->hash, sizeof t->hash, t->add);
}
