/* The history, its full-text search, and the chain of what came in. */
#include "sql.h"
#include <sodium.h>
#include <string.h>

#define COLUMNS                                                                                                                                      \
    "m.row, m.contact, m.id, m.outgoing, m.suspect, m.handed, m.read, m.waits, m.kind, m.state, m.device, m.sequence, m.time_ms, m.received_ms,"     \
    " m.hash, m.previous, m.reply_to, m.content_kind, m.gap, m.text, m.raw"

int vault_message_add(vault *v, vault_message *m)
{
    int rc =
        vault_run(v,
                  "INSERT INTO message(contact, id, outgoing, suspect, handed, read, waits, kind, state, device, sequence, time_ms, received_ms,"
                  " hash, previous, reply_to, content_kind, gap, text, raw) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,CAST(? AS TEXT),?)",
                  "ibnnnnnnnnuuubbbnubb", m->contact, m->id, sizeof m->id, m->outgoing, m->suspect, m->handed, m->read, m->waits, m->kind, m->state,
                  m->device, m->sequence, m->time_ms, m->received_ms, m->hash, sizeof m->hash, m->previous, sizeof m->previous, m->reply_to,
                  m->has_reply ? sizeof m->reply_to : (size_t)0, m->content_kind, m->gap, m->text.at, m->text.bytes, m->raw.at, m->raw.bytes);
    if (rc == TACET_OK)
        m->row = vault_last_row(v);
    if (rc == TACET_OK && m->handed && !m->outgoing) /* nobody's to hand over: no cursor's either */
        rc = vault_run(v, "INSERT INTO cursor_taken(cursor, row) SELECT name, ? FROM cursor", "i", m->row);
    return rc;
}

int vault_request_text_remove(vault *v, int64_t contact)
{
    int rc = vault_run(v,
                       "DELETE FROM cursor_taken WHERE cursor IN (SELECT name FROM cursor)"
                       " AND row IN (SELECT row FROM message WHERE contact=?1 AND outgoing=0 AND kind=?2)",
                       "in", contact, (unsigned)VAULT_REQUEST_TEXT);
    return rc == TACET_OK
               ? vault_run(v, "DELETE FROM message WHERE contact=?1 AND outgoing=0 AND kind=?2", "in", contact, (unsigned)VAULT_REQUEST_TEXT)
               : rc;
}

static int message_of_row(sqlite3_stmt *st, vault_message *m)
{
    row_cursor r = row_of(st);
    m->row = row_i64(&r);
    m->contact = row_i64(&r);
    row_bytes(&r, m->id, sizeof m->id);
    m->outgoing = row_bool(&r);
    m->suspect = row_bool(&r);
    m->handed = row_bool(&r);
    m->read = row_bool(&r);
    m->waits = row_bool(&r);
    m->kind = row_u32(&r);
    m->state = row_u32(&r);
    m->device = row_u32(&r);
    m->sequence = row_u64(&r);
    m->time_ms = row_u64(&r);
    m->received_ms = row_u64(&r);
    row_bytes(&r, m->hash, sizeof m->hash);
    row_bytes(&r, m->previous, sizeof m->previous);
    m->has_reply = row_some(&r, m->reply_to, sizeof m->reply_to) == sizeof m->reply_to;
    m->content_kind = row_u32(&r);
    m->gap = row_u64(&r);
    m->text = row_view(&r);
    m->raw = row_view(&r);
    return row_status(&r);
}

static int each_message(vault *v, sqlite3_stmt *st, int rc, vault_message_fn *each, void *ctx)
{
    if (rc != TACET_OK)
        return rc;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        vault_message m = { 0 };
        rc = message_of_row(st, &m);
        if (rc != TACET_OK || !each(ctx, &m)) {
            vault_end(st);
            return rc;
        }
    }
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int vault_message_each_row(vault *v, int64_t row, vault_message_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM message m WHERE m.row=?", "i", row);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    vault_message m = { 0 };
    rc = message_of_row(st, &m);
    if (rc == TACET_OK)
        each(ctx, &m);
    vault_end(st);
    return rc;
}

int vault_message_find(vault *v, int64_t contact, bool outgoing, const uint8_t id[16], int64_t *row, uint32_t *state)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT row, state FROM message WHERE contact=? AND outgoing=? AND id=?", "inb", contact, outgoing, id, (size_t)16);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    *row = row_i64(&r);
    *state = row_u32(&r);
    vault_end(st);
    return TACET_OK;
}

int vault_message_find_any(vault *v, const uint8_t id[16], int64_t *row, int64_t *contact, uint32_t *state)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT row, contact, state FROM message WHERE id=? ORDER BY row LIMIT 1", "b", id, (size_t)16);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    *row = row_i64(&r);
    *contact = row_i64(&r);
    *state = row_u32(&r);
    vault_end(st);
    return TACET_OK;
}

int vault_message_state(vault *v, int64_t row, uint32_t state) { return vault_change(v, "UPDATE message SET state=? WHERE row=?", "ni", state, row); }

int vault_message_raise(vault *v, int64_t row, uint32_t state)
{
    return vault_change(v, "UPDATE message SET state=?1 WHERE row=?2 AND state<?1", "ni", state, row);
}

int vault_message_sealed(vault *v, int64_t row, uint64_t sequence, const uint8_t hash[32])
{
    return vault_change(v, "UPDATE message SET sequence=?, hash=? WHERE row=?", "ubi", sequence, hash, (size_t)32, row);
}

int vault_history(vault *v, int64_t contact, int64_t before, size_t limit, vault_message_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st,
                          "SELECT * FROM (SELECT " COLUMNS " FROM message m WHERE m.contact=?1 AND (?2=0 OR m.row<?2) ORDER BY m.row DESC LIMIT ?3)"
                          " ORDER BY row",
                          "iii", contact, before, (int64_t)limit);
    return each_message(v, st, rc, each, ctx);
}

int vault_message_newest(vault *v, int64_t *row)
{
    uint64_t newest = 0;
    int rc = vault_number(v, &newest, "SELECT coalesce(max(row), 0) FROM message", "");
    if (rc == TACET_OK)
        *row = (int64_t)newest;
    return rc;
}

int vault_messages_after(vault *v, int64_t after, size_t limit, vault_message_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM message m WHERE m.row>? ORDER BY m.row LIMIT ?", "ii", after, (int64_t)limit);
    return each_message(v, st, rc, each, ctx);
}

int vault_messages_open(vault *v, int64_t contact, uint32_t kind, int64_t after, int64_t *rows, size_t room, size_t *count)
{
    return vault_numbers(v, rows, room, count,
                         "SELECT row FROM message WHERE contact=? AND row>? AND outgoing=1 AND kind=? AND state BETWEEN ? AND ? ORDER BY row LIMIT ?",
                         "iinnni", contact, after, kind, (unsigned)VAULT_WAITING, (unsigned)VAULT_STORED, (int64_t)room);
}

int vault_history_from(vault *v, int64_t contact, int64_t from, size_t limit, vault_message_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM message m WHERE m.contact=? AND m.row>=? ORDER BY m.row LIMIT ?", "iii", contact, from,
                          (int64_t)limit);
    return each_message(v, st, rc, each, ctx);
}

/* The order is that of the full-text index, so that a word found a million times costs as much as its newest hits. */
int vault_search(vault *v, int64_t contact, const char *match, size_t limit, vault_message_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st,
                          "SELECT " COLUMNS " FROM message_text f CROSS JOIN message m ON m.row=f.rowid WHERE message_text MATCH ?1"
                          " AND (?2=0 OR m.contact=?2) ORDER BY f.rowid DESC LIMIT ?3",
                          "tii", match, contact, (int64_t)limit);
    return each_message(v, st, rc, each, ctx);
}

int vault_unhanded(vault *v, int64_t after, size_t limit, vault_message_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM message m WHERE m.outgoing=0 AND m.handed=0 AND m.row>? ORDER BY m.row LIMIT ?", "ii",
                          after, (int64_t)limit);
    return each_message(v, st, rc, each, ctx);
}

int vault_handed(vault *v, const uint8_t id[16])
{
    return vault_change(v, "UPDATE message SET handed=1 WHERE id=? AND outgoing=0", "b", id, (size_t)16);
}

int vault_unread(vault *v, int64_t contact, uint64_t *count)
{
    return vault_number(v, count, "SELECT count(*) FROM message WHERE contact=? AND outgoing=0 AND read=0", "i", contact);
}

int vault_unread_each(vault *v, int64_t contact, size_t limit, vault_message_fn *each, void *ctx)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM message m WHERE m.contact=? AND m.outgoing=0 AND m.read=0 ORDER BY m.row LIMIT ?", "ii",
                          contact, (int64_t)limit);
    return each_message(v, st, rc, each, ctx);
}

int vault_mark_read(vault *v, int64_t contact)
{
    return vault_run(v, "UPDATE message SET read=1 WHERE contact=? AND outgoing=0 AND read=0", "i", contact);
}

/* --- the chain --- */
int vault_chain_get(vault *v, int64_t contact, uint32_t device, uint64_t *sequence)
{
    *sequence = 0;
    int rc = vault_number(v, sequence, "SELECT sequence FROM chain WHERE contact=? AND device=?", "in", contact, device);
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int vault_chain_devices(vault *v, int64_t contact, int64_t *devices, size_t room, size_t *count)
{
    return vault_numbers(v, devices, room, count, "SELECT device FROM chain WHERE contact=? ORDER BY device", "i", contact);
}

int vault_chain_put(vault *v, int64_t contact, uint32_t device, uint64_t sequence)
{
    return vault_run(v, "INSERT OR REPLACE INTO chain(contact, device, sequence) VALUES(?,?,?)", "inu", contact, device, sequence);
}

int vault_chain_restart(vault *v, int64_t contact, uint32_t device)
{
    int rc = vault_run(v, "UPDATE message SET sequence=0 WHERE contact=? AND device=? AND outgoing=0 AND sequence>0", "in", contact, device);
    return rc == TACET_OK ? vault_run(v, "DELETE FROM chain WHERE contact=? AND device=?", "in", contact, device) : rc;
}

int vault_chain_link_get(vault *v, int64_t contact, uint32_t device, uint64_t sequence, vault_chain_link *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st,
                          "SELECT hash, previous FROM message WHERE contact=? AND device=? AND sequence=? AND outgoing=0 AND sequence>0 AND gap=0"
                          " ORDER BY row DESC LIMIT 1",
                          "inu", contact, device, sequence);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    row_bytes(&r, out->hash, sizeof out->hash);
    row_bytes(&r, out->previous, sizeof out->previous);
    rc = row_status(&r);
    vault_end(st);
    return rc;
}

int vault_gap_filled(vault *v, int64_t contact, uint32_t device, uint64_t sequence)
{
    uint64_t row = 0;
    /* The mark with the highest start that is not above it: marks do not overlap. */
    int rc = vault_number(v, &row,
                          "SELECT row FROM message WHERE contact=? AND device=? AND outgoing=0 AND gap>0 AND sequence>0 AND sequence<=?"
                          " ORDER BY sequence DESC LIMIT 1",
                          "inu", contact, device, sequence);
    if (rc == TACET_E_NOT_FOUND)
        return TACET_OK;
    if (rc == TACET_OK)
        rc = vault_run(v, "UPDATE message SET gap=gap-1 WHERE row=?", "u", row);
    if (rc == TACET_OK)
        rc = vault_run(v, "DELETE FROM message WHERE row=? AND gap=0", "u", row);
    return rc;
}
