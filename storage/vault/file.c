/* Files: rows, links to messages, journal blocks, kept content. */
#include "storage/vault_file.h"
#include "sql.h"
#include <sodium.h>

#define COLUMNS                                                                                                                                      \
    "f.row, f.outgoing, f.state, f.trouble, f.source, f.form, f.mode, f.chunks, f.have, f.size, f.mtime_s, f.created_ms, f.stamp, f.blob, f.key,"    \
    " f.salt, f.commitment, f.root, f.name, f.media, f.path, f.saved_as"

enum { PLACE_BITS = 17 /* blocks, or parts, of one file */ };

int vault_file_add(vault *v, vault_file *f)
{
    int rc =
        vault_run(v,
                  "INSERT INTO file(outgoing, state, trouble, source, form, mode, chunks, have, size, mtime_s, created_ms, stamp, blob, key, salt,"
                  " commitment, root, name, media, path, saved_as) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                  "nnnnnnnnuuuubbbbbtttt", f->outgoing, f->state, f->trouble, f->source, f->form, f->mode, f->chunks, f->have, f->size, f->mtime_s,
                  f->created_ms, f->stamp, f->blob, sizeof f->blob, f->key, sizeof f->key, f->salt, sizeof f->salt, f->commitment,
                  sizeof f->commitment, f->root, f->has_root ? sizeof f->root : (size_t)0, f->name, f->media, f->path, f->as);
    if (rc == TACET_OK)
        f->row = vault_last_row(v);
    return rc;
}

int vault_file_update(vault *v, const vault_file *f)
{
    return vault_change(v, "UPDATE file SET state=?, trouble=?, have=?, stamp=?, root=?, path=?, saved_as=? WHERE row=?", "nnnubtti", f->state,
                        f->trouble, f->have, f->stamp, f->root, f->has_root ? sizeof f->root : (size_t)0, f->path, f->as, f->row);
}

int vault_file_settle(vault *v, const vault_file *f)
{
    return vault_change(v, "UPDATE file SET state=?, size=?, chunks=?, mode=?, name=?, media=? WHERE row=?", "nunntti", f->state, f->size, f->chunks,
                        f->mode, f->name, f->media, f->row);
}

static int file_of_row(sqlite3_stmt *st, void *ctx)
{
    vault_file *f = ctx;
    row_cursor r = row_of(st);
    *f = (vault_file){ .row = row_i64(&r) };
    f->outgoing = row_bool(&r);
    f->state = row_u32(&r);
    f->trouble = row_u32(&r);
    f->source = row_u32(&r);
    f->form = row_u32(&r);
    f->mode = row_u32(&r);
    f->chunks = row_u32(&r);
    f->have = row_u32(&r);
    f->size = row_u64(&r);
    f->mtime_s = row_u64(&r);
    f->created_ms = row_u64(&r);
    f->stamp = row_u64(&r);
    row_bytes(&r, f->blob, sizeof f->blob);
    row_bytes(&r, f->key, sizeof f->key);
    row_bytes(&r, f->salt, sizeof f->salt);
    row_bytes(&r, f->commitment, sizeof f->commitment);
    f->has_root = row_some(&r, f->root, sizeof f->root) == sizeof f->root;
    row_text(&r, f->name, sizeof f->name);
    row_text(&r, f->media, sizeof f->media);
    row_text(&r, f->path, sizeof f->path);
    row_text(&r, f->as, sizeof f->as);
    return row_status(&r);
}

int vault_file_get(vault *v, int64_t row, vault_file *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM file f WHERE f.row=?", "i", row);
    return vault_one(v, st, rc, file_of_row, out);
}

int vault_file_rows(vault *v, uint32_t state, int64_t after, int64_t *rows, size_t room, size_t *count)
{
    return vault_numbers(v, rows, room, count, "SELECT row FROM file WHERE state=? AND row>? ORDER BY row LIMIT ?", "nii", state, after,
                         (int64_t)room);
}

int vault_file_running(vault *v, int64_t after, vault_file_due *out, size_t room, size_t *count)
{
    sqlite3_stmt *st = NULL;
    size_t n = 0;
    int rc =
        vault_select(v, &st,
                     "SELECT row, CASE outgoing WHEN 1 THEN 0 ELSE IFNULL((SELECT contact FROM file_link l WHERE l.file=file.row), 0) END, outgoing"
                     " FROM file WHERE state=? AND row>? ORDER BY row LIMIT ?",
                     "nii", VAULT_FILE_RUNNING, after, (int64_t)room);
    if (rc != TACET_OK)
        return rc;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        row_cursor r = row_of(st);
        out[n].row = row_i64(&r);
        out[n].contact = row_i64(&r);
        out[n++].outgoing = row_bool(&r);
    }
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    *count = n;
    return TACET_OK;
}

int vault_file_messages(vault *v, int64_t contact, int64_t *messages, size_t room, size_t *count)
{
    return vault_numbers(v, messages, room, count, "SELECT message FROM file_link WHERE ?1=0 OR contact=?1 ORDER BY message", "i", contact);
}

int vault_file_sending(vault *v, int64_t *messages, size_t room, size_t *count)
{
    return vault_numbers(
        v, messages, room, count,
        "SELECT l.message FROM file f JOIN file_link l ON l.file=f.row WHERE f.state=? AND f.outgoing=1 AND l.ended=0 ORDER BY l.message", "n",
        VAULT_FILE_RUNNING);
}

int vault_file_forget_data(vault *v, int64_t row)
{
    int64_t first = row << PLACE_BITS, last = ((row + 1) << PLACE_BITS) - 1;
    int rc = vault_run(v, "DELETE FROM file_block WHERE place BETWEEN ? AND ?", "ii", first, last);
    return rc == TACET_OK ? vault_run(v, "DELETE FROM file_content WHERE place BETWEEN ? AND ?", "ii", first, last) : rc;
}

int vault_file_leftovers(vault *v, int64_t after, int64_t *rows, size_t room, size_t *count)
{
    return vault_numbers(v, rows, room, count,
                         "SELECT row FROM file WHERE outgoing=0 AND stamp<>0 AND row>? AND (state IN (?,?)"
                         " OR (state=? AND NOT EXISTS(SELECT 1 FROM file_link l WHERE l.file=file.row))) ORDER BY row LIMIT ?",
                         "innni", after, VAULT_FILE_FAILED, VAULT_FILE_CANCELLED, VAULT_FILE_RUNNING, (int64_t)room);
}

int vault_file_unstamp(vault *v, int64_t row) { return vault_change(v, "UPDATE file SET stamp=0 WHERE row=?", "i", row); }

int vault_file_forget_orphans(vault *v)
{
    static const char which[] = "SELECT row FROM file WHERE NOT EXISTS(SELECT 1 FROM file_link l WHERE l.file=file.row) LIMIT ?";
    int64_t rows[32];
    size_t count = 0;
    int rc = vault_numbers(v, rows, 32, &count, which, "i", (int64_t)32);
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        rc = vault_file_forget_data(v, rows[i]);
        if (rc == TACET_OK)
            rc = vault_run(v, "INSERT OR IGNORE INTO file_drop(blob) SELECT blob FROM file WHERE row=? AND outgoing=1 AND state IN (?,?)", "inn",
                           rows[i], VAULT_FILE_RUNNING, VAULT_FILE_STORED);
        if (rc == TACET_OK)
            rc = vault_run(v, "DELETE FROM file WHERE row=?", "i", rows[i]);
    }
    return rc;
}

/* --- links --- */
int vault_file_link_add(vault *v, const vault_file_link *l)
{
    return vault_run(
        v, "INSERT INTO file_link(message, file, contact, capability, seal_id, offer_sequence, seal_sequence, ended) VALUES(?,?,?,?,?,?,?,?)",
        "iiibbuun", l->message, l->file, l->contact, l->capability, sizeof l->capability, l->seal_id, sizeof l->seal_id, l->offer_sequence,
        l->seal_sequence, l->ended);
}

int vault_file_link_update(vault *v, const vault_file_link *l)
{
    return vault_change(v, "UPDATE file_link SET seal_id=?, offer_sequence=?, seal_sequence=?, ended=? WHERE message=?", "buuni", l->seal_id,
                        sizeof l->seal_id, l->offer_sequence, l->seal_sequence, l->ended, l->message);
}

#define LINK "SELECT l.message, l.file, l.contact, l.capability, l.seal_id, l.offer_sequence, l.seal_sequence, l.ended FROM file_link l "

static int link_of_row(sqlite3_stmt *st, void *ctx)
{
    vault_file_link *l = ctx;
    row_cursor r = row_of(st);
    l->message = row_i64(&r);
    l->file = row_i64(&r);
    l->contact = row_i64(&r);
    row_bytes(&r, l->capability, sizeof l->capability);
    row_bytes(&r, l->seal_id, sizeof l->seal_id);
    l->offer_sequence = row_u64(&r);
    l->seal_sequence = row_u64(&r);
    l->ended = row_bool(&r);
    return row_status(&r);
}

int vault_file_link_get(vault *v, int64_t message, vault_file_link *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, LINK "WHERE l.message=?", "i", message);
    return vault_one(v, st, rc, link_of_row, out);
}

int vault_file_link_by_blob(vault *v, int64_t contact, bool outgoing, const uint8_t blob[16], vault_file_link *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, LINK "JOIN file f ON f.row=l.file WHERE f.blob=? AND f.outgoing=? AND l.contact=?", "bni", blob, (size_t)16,
                          outgoing, contact);
    return vault_one(v, st, rc, link_of_row, out);
}

int vault_file_link_by_seal(vault *v, int64_t contact, const uint8_t seal_id[16], vault_file_link *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, LINK "JOIN file f ON f.row=l.file AND f.outgoing=1 WHERE l.seal_id=? AND l.contact=? AND l.seal_sequence>0", "bi",
                          seal_id, (size_t)16, contact);
    return vault_one(v, st, rc, link_of_row, out);
}

int vault_file_links(vault *v, int64_t file, vault_file_link *out, size_t room, size_t *count)
{
    sqlite3_stmt *st = NULL;
    size_t n = 0;
    int rc = vault_select(v, &st, LINK "WHERE l.file=? ORDER BY l.message", "i", file);
    if (rc != TACET_OK)
        return rc;
    while ((rc = vault_next(v, st)) == TACET_OK) {
        if (n < room && (rc = link_of_row(st, &out[n])) != TACET_OK) {
            vault_end(st);
            return rc;
        }
        n++;
    }
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    *count = n < room ? n : room;
    return TACET_OK;
}

/* --- drops --- */
int vault_drop_put(vault *v, const uint8_t blob[16])
{
    return vault_run(v, "INSERT OR IGNORE INTO file_drop(blob) VALUES(?)", "b", blob, (size_t)16);
}

int vault_drop_first(vault *v, uint8_t blob[16])
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT blob FROM file_drop LIMIT 1", "");
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    row_bytes(&r, blob, 16);
    rc = row_status(&r);
    vault_end(st);
    return rc;
}

int vault_drop_done(vault *v, const uint8_t blob[16]) { return vault_run(v, "DELETE FROM file_drop WHERE blob=?", "b", blob, (size_t)16); }

/* --- journal and content: a place is the file's number, then the block's or part's --- */
static int64_t place_of(int64_t file, uint32_t at) { return file << PLACE_BITS | (int64_t)at; }

static int piece_get(vault *v, const char *sql, int64_t place, void *out, size_t room, size_t *n)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, sql, "i", place);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    size_t bytes = row_some(&r, out, room);
    rc = row_status(&r);
    vault_end(st);
    if (rc == TACET_OK)
        *n = bytes;
    return rc;
}

int vault_block_put(vault *v, int64_t file, uint32_t block, const void *bytes, size_t n)
{
    return vault_run(v, "INSERT OR REPLACE INTO file_block(place, bytes) VALUES(?,?)", "ib", place_of(file, block), bytes, n);
}

int vault_block_get(vault *v, int64_t file, uint32_t block, void *out, size_t room, size_t *n)
{
    return piece_get(v, "SELECT bytes FROM file_block WHERE place=?", place_of(file, block), out, room, n);
}

int vault_content_put(vault *v, int64_t file, uint32_t part, const void *bytes, size_t n)
{
    return vault_run(v, "INSERT OR REPLACE INTO file_content(place, bytes) VALUES(?,?)", "ib", place_of(file, part), bytes, n);
}

int vault_content_get(vault *v, int64_t file, uint32_t part, void *out, size_t room, size_t *n)
{
    return piece_get(v, "SELECT bytes FROM file_content WHERE place=?", place_of(file, part), out, room, n);
}
