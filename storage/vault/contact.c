/* Contacts and drafts. */
#include "sql.h"
#include <string.h>

#define COLUMNS                                                                                                                                      \
    "id, alias, name, relay, account, state, verified, blocked, forked, reduced, ours_active, our_token, our_hash, their_token, request_token,"      \
    " changed_account, list, list_version, sequence, previous, reset_ms, created_ms, known_stale, reset_wanted, own_told"

static size_t or_none(bool has) { return has ? 32 : 0; }

static bool row_key_or_none(row_cursor *r, uint8_t out[32])
{
    memset(out, 0, 32);
    size_t n = row_some(r, out, 32);
    if (n != 0 && n != 32)
        r->bad = true;
    return n == 32;
}

static int contact_of_row(sqlite3_stmt *st, vault_contact *out)
{
    row_cursor r = row_of(st);
    vault_contact c = { .id = row_i64(&r) };
    row_text(&r, c.alias, sizeof c.alias);
    row_text(&r, c.name, sizeof c.name);
    row_text(&r, c.relay, sizeof c.relay);
    row_bytes(&r, c.account, sizeof c.account);
    c.state = row_u32(&r);
    c.verified = row_bool(&r);
    c.blocked = row_bool(&r);
    c.forked = row_bool(&r);
    c.reduced = row_bool(&r);
    c.ours_active = row_bool(&r);
    c.has_ours = row_key_or_none(&r, c.our_token);
    if (row_key_or_none(&r, c.our_hash) != c.has_ours)
        r.bad = true;
    c.has_theirs = row_key_or_none(&r, c.their_token);
    row_bytes(&r, c.request_token, sizeof c.request_token);
    c.changed = row_key_or_none(&r, c.changed_account);
    c.list_bytes = row_some(&r, c.list, sizeof c.list);
    c.list_version = row_u64(&r);
    c.sequence = row_u64(&r);
    row_bytes(&r, c.previous, sizeof c.previous);
    c.reset_ms = row_u64(&r);
    c.created_ms = row_u64(&r);
    c.known_stale = row_bool(&r);
    c.reset_wanted = row_bool(&r);
    c.own_told = row_u64(&r);
    int rc = row_status(&r);
    vault_end(st);
    if (rc == TACET_OK)
        *out = c;
    return rc;
}

int vault_contact_add(vault *v, vault_contact *c)
{
    int rc = vault_run(
        v,
        "INSERT INTO contact(alias, name, relay, account, state, verified, blocked, forked, reduced, ours_active, our_token, our_hash,"
        " their_token, request_token, changed_account, list, list_version, sequence, previous, reset_ms, created_ms, known_stale, reset_wanted,"
        " own_told) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        "tttbnnnnnnbbbbbbuubuunnu", c->alias, c->name, c->relay, c->account, sizeof c->account, c->state, c->verified, c->blocked, c->forked,
        c->reduced, c->ours_active, c->our_token, or_none(c->has_ours), c->our_hash, or_none(c->has_ours), c->their_token, or_none(c->has_theirs),
        c->request_token, sizeof c->request_token, c->changed_account, or_none(c->changed), c->list, c->list_bytes, c->list_version, c->sequence,
        c->previous, sizeof c->previous, c->reset_ms, c->created_ms, c->known_stale, c->reset_wanted, c->own_told);
    if (rc == TACET_OK)
        c->id = vault_last_row(v);
    return rc;
}

int vault_contact_update(vault *v, const vault_contact *c)
{
    return vault_change(v,
                        "UPDATE contact SET alias=?, name=?, relay=?, account=?, state=?, verified=?, blocked=?, forked=?, reduced=?, ours_active=?,"
                        " our_token=?, our_hash=?, their_token=?, request_token=?, changed_account=?, list=?, list_version=?, sequence=?, previous=?,"
                        " reset_ms=?, created_ms=?, known_stale=?, reset_wanted=?, own_told=? WHERE id=?",
                        "tttbnnnnnnbbbbbbuubuunnui", c->alias, c->name, c->relay, c->account, sizeof c->account, c->state, c->verified, c->blocked,
                        c->forked, c->reduced, c->ours_active, c->our_token, or_none(c->has_ours), c->our_hash, or_none(c->has_ours), c->their_token,
                        or_none(c->has_theirs), c->request_token, sizeof c->request_token, c->changed_account, or_none(c->changed), c->list,
                        c->list_bytes, c->list_version, c->sequence, c->previous, sizeof c->previous, c->reset_ms, c->created_ms, c->known_stale,
                        c->reset_wanted, c->own_told, c->id);
}

static int one(vault *v, sqlite3_stmt *st, int rc, vault_contact *out)
{
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    return rc == TACET_OK ? contact_of_row(st, out) : rc;
}

int vault_contact_get(vault *v, int64_t id, vault_contact *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM contact WHERE id=?", "i", id);
    return one(v, st, rc, out);
}

int vault_contact_by_alias(vault *v, const char *alias, vault_contact *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM contact WHERE alias=?", "t", alias);
    return one(v, st, rc, out);
}

int vault_contact_by_account(vault *v, const uint8_t account[32], vault_contact *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM contact WHERE account=?", "b", account, (size_t)32);
    return one(v, st, rc, out);
}

int vault_contact_by_hash(vault *v, const uint8_t our_hash[32], vault_contact *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT " COLUMNS " FROM contact WHERE length(our_hash) > 0 AND our_hash=?", "b", our_hash, (size_t)32);
    return one(v, st, rc, out);
}

int vault_contact_by_name(vault *v, const char *name, const char *relay_key, const uint8_t account[32], vault_contact *out)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(
        v, &st, "SELECT " COLUMNS " FROM contact WHERE name=? AND substr(relay, -52)=? AND account<>? ORDER BY state=3, verified DESC, id LIMIT 1",
        "ttb", name, relay_key, account, (size_t)32);
    return one(v, st, rc, out);
}

int vault_contact_count(vault *v, uint32_t state, uint64_t *count)
{
    return vault_number(v, count, "SELECT count(*) FROM contact WHERE state=?", "n", state);
}

int vault_contact_ids(vault *v, int64_t *ids, size_t room, size_t *count)
{
    return vault_numbers(v, ids, room, count, "SELECT id FROM contact ORDER BY alias", "");
}

int vault_contact_resets(vault *v, int64_t after, int64_t *ids, size_t room, size_t *count)
{
    return vault_numbers(v, ids, room, count, "SELECT id FROM contact WHERE reset_wanted=1 AND blocked=0 AND id>? ORDER BY id", "i", after);
}

int vault_contact_remove(vault *v, int64_t id)
{
    /* Messages one by one through their trigger, so that the full-text index forgets them too; the rest follows by foreign keys. */
    int rc = vault_run(v, "DELETE FROM message WHERE contact=?", "i", id);
    return rc == TACET_OK ? vault_change(v, "DELETE FROM contact WHERE id=?", "i", id) : rc;
}

int vault_draft_put(vault *v, int64_t contact, const char *text)
{
    return vault_change(v, "UPDATE contact SET draft=? WHERE id=?", "ti", text && *text ? text : NULL, contact);
}

int vault_draft_get(vault *v, int64_t contact, char *out, size_t room)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT draft FROM contact WHERE id=?", "i", contact);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    row_text(&r, out, room);
    rc = row_status(&r);
    vault_end(st);
    return rc;
}
