/* The outbox, receipts that are due, envelopes met, and the quarantine. */
#include "sql.h"
#include <string.h>

int vault_out_add(vault *v, vault_outgoing *o)
{
    int rc =
        vault_run(v,
                  "INSERT INTO outbox(contact, message, device, what, state, envelope_id, token, sequence, created_ms, expires_ms, content,"
                  " ciphertext) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
                  "iinnnbbuuubb", o->contact, o->message, o->device, o->what, o->state, o->envelope_id, sizeof o->envelope_id, o->token,
                  sizeof o->token, o->sequence, o->created_ms, o->expires_ms, o->content.at, o->content.bytes, o->ciphertext.at, o->ciphertext.bytes);
    if (rc == TACET_OK)
        o->row = vault_last_row(v);
    return rc;
}

int vault_out_update(vault *v, const vault_outgoing *o)
{
    return vault_change(v,
                        "UPDATE outbox SET message=?, device=?, what=?, state=?, envelope_id=?, token=?, sequence=?, expires_ms=?, content=?,"
                        " ciphertext=? WHERE row=?",
                        "innnbbuubbi", o->message, o->device, o->what, o->state, o->envelope_id, sizeof o->envelope_id, o->token, sizeof o->token,
                        o->sequence, o->expires_ms, o->content.at, o->content.bytes, o->ciphertext.at, o->ciphertext.bytes, o->row);
}

int vault_out_state(vault *v, int64_t row, uint32_t state) { return vault_change(v, "UPDATE outbox SET state=? WHERE row=?", "ni", state, row); }
int vault_out_remove(vault *v, int64_t row) { return vault_change(v, "DELETE FROM outbox WHERE row=?", "i", row); }

static int outgoing_of_row(sqlite3_stmt *st, vault_outgoing *o)
{
    row_cursor r = row_of(st);
    o->row = row_i64(&r);
    o->contact = row_i64(&r);
    o->message = row_i64(&r);
    o->device = row_u32(&r);
    o->what = row_u32(&r);
    o->state = row_u32(&r);
    row_bytes(&r, o->envelope_id, sizeof o->envelope_id);
    row_bytes(&r, o->token, sizeof o->token);
    o->sequence = row_u64(&r);
    o->created_ms = row_u64(&r);
    o->expires_ms = row_u64(&r);
    o->content = row_view(&r);
    o->ciphertext = row_view(&r);
    return row_status(&r);
}

int vault_out_get(vault *v, int64_t row, vault_outgoing_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc =
        vault_select(v, &st,
                     "SELECT row, contact, message, device, what, state, envelope_id, token, sequence, created_ms, expires_ms, content, ciphertext"
                     " FROM outbox WHERE row=?",
                     "i", row);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    vault_outgoing o = { 0 };
    rc = outgoing_of_row(st, &o);
    if (rc == TACET_OK)
        each(ctx, &o);
    vault_end(st);
    return rc;
}

int vault_out_each(vault *v, vault_outgoing_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st,
                          "SELECT row, contact, message, device, what, state, envelope_id, token, sequence, created_ms, expires_ms, x'', x''"
                          " FROM outbox ORDER BY row",
                          "");
    if (rc != TACET_OK)
        return rc;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        vault_outgoing o = { 0 };
        rc = outgoing_of_row(st, &o);
        if (rc != TACET_OK || !each(ctx, &o)) {
            vault_end(st);
            return rc;
        }
    }
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int vault_out_rows(vault *v, int64_t contact, uint32_t state, int64_t after, int64_t *rows, size_t room, size_t *count)
{
    return vault_numbers(v, rows, room, count, "SELECT row FROM outbox WHERE (?1=0 OR contact=?1) AND state=?2 AND row>?3 ORDER BY row LIMIT ?4",
                         "inii", contact, state, after, (int64_t)room);
}

int vault_out_rows_for(vault *v, int64_t contact, uint32_t device, int64_t after, int64_t *rows, size_t room, size_t *count)
{
    return vault_numbers(v, rows, room, count, "SELECT row FROM outbox WHERE contact=? AND device=? AND row>? ORDER BY row LIMIT ?", "inii", contact,
                         device, after, (int64_t)room);
}

int vault_out_has(vault *v, int64_t message, uint32_t device, bool *yes)
{
    uint64_t n = 0;
    int rc = vault_number(v, &n, "SELECT count(*) FROM outbox WHERE message=? AND message<>0 AND device=?", "in", message, device);
    *yes = rc == TACET_OK && n > 0;
    return rc;
}

int vault_out_contacts(vault *v, uint32_t state, int64_t *contacts, size_t room, size_t *count)
{
    return vault_numbers(v, contacts, room, count, "SELECT DISTINCT contact FROM outbox WHERE state=?", "n", state);
}

int vault_waiting_move(vault *v, int64_t from, int64_t to)
{
    int rc = vault_run(v, "UPDATE message SET contact=? WHERE row IN (SELECT message FROM outbox WHERE contact=? AND state=?)", "iin", to, from,
                       (unsigned)VAULT_OUT_WAITING);
    return rc == TACET_OK ? vault_run(v, "UPDATE outbox SET contact=? WHERE contact=? AND state=?", "iin", to, from, (unsigned)VAULT_OUT_WAITING)
                          : rc;
}

int vault_waiting_state(vault *v, int64_t contact, uint32_t message_state)
{
    return vault_run(v, "UPDATE message SET state=? WHERE row IN (SELECT message FROM outbox WHERE contact=? AND state=?)", "nin", message_state,
                     contact, (unsigned)VAULT_OUT_WAITING);
}

int vault_out_delivered(vault *v, int64_t message, uint32_t device)
{
    return vault_run(v, "DELETE FROM outbox WHERE message=? AND device=?", "in", message, device);
}

int vault_out_arrived(vault *v, int64_t contact, uint32_t device, uint64_t sequence)
{
    return vault_run(v, "DELETE FROM outbox WHERE contact=? AND device=? AND sequence=?", "inu", contact, device, sequence);
}

int vault_out_rows_of_kind(vault *v, int64_t contact, uint32_t what, int64_t *rows, size_t room, size_t *count)
{
    return vault_numbers(v, rows, room, count, "SELECT row FROM outbox WHERE contact=? AND what=? ORDER BY row", "in", contact, what);
}

int vault_out_again(vault *v, const char *relay)
{
    return vault_run(v, "UPDATE outbox SET state=? WHERE state=? AND contact IN (SELECT id FROM contact WHERE relay=?)", "nnt",
                     (unsigned)VAULT_OUT_READY, (unsigned)VAULT_OUT_STORED, relay);
}

int vault_out_expired(vault *v, uint64_t now_ms, int64_t *rows, size_t room, size_t *count)
{
    return vault_numbers(v, rows, room, count, "SELECT row FROM outbox WHERE expires_ms<? ORDER BY row LIMIT ?", "ui", now_ms, (int64_t)room);
}

int vault_out_count(vault *v, uint64_t *unsent)
{
    return vault_number(v, unsent, "SELECT count(*) FROM outbox WHERE state IN (?,?)", "nn", (unsigned)VAULT_OUT_CONTENT, (unsigned)VAULT_OUT_READY);
}

/* --- receipts --- */
int vault_receipt_put(vault *v, int64_t contact, const uint8_t id[16], uint32_t state, uint64_t due_ms)
{
    return vault_run(v, "INSERT OR IGNORE INTO receipt(contact, id, state, due_ms) VALUES(?,?,?,?)", "ibnu", contact, id, (size_t)16, state, due_ms);
}

int vault_receipt_due(vault *v, uint64_t *due_ms, int64_t *contact)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT due_ms, contact FROM receipt ORDER BY due_ms LIMIT 1", "");
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    *due_ms = row_u64(&r);
    *contact = row_i64(&r);
    vault_end(st);
    return TACET_OK;
}

int vault_receipt_pending(vault *v, int64_t contact, bool *yes)
{
    uint64_t n = 0;
    int rc = vault_number(v, &n, "SELECT count(*) FROM (SELECT 1 FROM receipt WHERE contact=? LIMIT 1)", "i", contact);
    *yes = rc == TACET_OK && n > 0;
    return rc;
}

int vault_receipt_take(vault *v, int64_t contact, uint32_t *state, uint8_t (*ids)[16], size_t room, size_t *count)
{
    uint64_t s = 0;
    int rc = vault_number(v, &s, "SELECT state FROM receipt WHERE contact=? ORDER BY state LIMIT 1", "i", contact);
    if (rc != TACET_OK)
        return rc;
    sqlite3_stmt *st = NULL;
    rc = vault_select(v, &st, "SELECT id FROM receipt WHERE contact=? AND state=? ORDER BY due_ms, id LIMIT ?", "iui", contact, s, (int64_t)room);
    if (rc != TACET_OK)
        return rc;
    size_t n = 0;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        row_cursor r = row_of(st);
        row_bytes(&r, ids[n++], 16);
        if (r.bad) {
            vault_end(st);
            return TACET_E_CORRUPT;
        }
    }
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    for (size_t i = 0; i < n; i++) {
        rc = vault_change(v, "DELETE FROM receipt WHERE contact=? AND id=? AND state=?", "ibu", contact, ids[i], (size_t)16, s);
        if (rc != TACET_OK)
            return rc;
    }
    *state = (uint32_t)s;
    *count = n;
    return TACET_OK;
}

/* --- envelopes --- */
int vault_seen_put(vault *v, const uint8_t envelope_id[16], uint64_t now_s, bool own)
{
    return vault_run(v, "INSERT OR IGNORE INTO seen(envelope_id, at_s, own) VALUES(?,?,?)", "bun", envelope_id, (size_t)16, now_s, own);
}

int vault_seen_has(vault *v, const uint8_t envelope_id[16], bool *yes, bool *own)
{
    uint64_t flag = 0;
    int rc = vault_number(v, &flag, "SELECT own FROM seen WHERE envelope_id=?", "b", envelope_id, (size_t)16);
    *yes = rc == TACET_OK;
    *own = rc == TACET_OK && flag;
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int vault_quarantine_put(vault *v, const uint8_t envelope_id[16], int64_t contact, uint64_t now_ms, const char *reason, vault_blob ciphertext,
                         size_t keep_max)
{
    int rc = vault_run(v, "INSERT OR IGNORE INTO quarantine(envelope_id, contact, at_ms, reason, ciphertext) VALUES(?,?,?,?,?)", "biutb", envelope_id,
                       (size_t)16, contact, now_ms, reason, ciphertext.at, ciphertext.bytes);
    if (rc != TACET_OK)
        return rc;
    return vault_run(v, "DELETE FROM quarantine WHERE row <= (SELECT max(row) FROM quarantine) - ?", "i", (int64_t)keep_max);
}

int vault_quarantine_count(vault *v, uint64_t *count) { return vault_number(v, count, "SELECT count(*) FROM quarantine", ""); }
