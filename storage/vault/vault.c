/* Opening, transactions, settings, and what is forgotten with time. */
#include "schema.h"
#include "sql.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int vault_open(vault **out, const char *path, const uint8_t key[32])
{
    vault *v = calloc(1, sizeof *v);
    if (!v)
        return TACET_E_NOMEM;
    int rc = database_open(&v->db, path, key, &database_vault, vault_migrations, vault_migration_count);
    if (rc != TACET_OK) {
        free(v);
        return rc;
    }
    *out = v;
    return TACET_OK;
}

int vault_open_view(vault **out, const vault *v)
{
    vault *view = calloc(1, sizeof *view);
    if (!view)
        return TACET_E_NOMEM;
    int rc = database_open_reader(&view->db, v->db);
    if (rc == TACET_OK)
        rc = database_begin(view->db);
    if (rc != TACET_OK) {
        database_close(view->db);
        free(view);
        return rc;
    }
    view->inside = true;
    *out = view;
    return TACET_OK;
}

vault *vault_close(vault *v)
{
    if (v) {
        if (v->inside)
            vault_rollback(v);
        database_close(v->db);
        free(v);
    }
    return NULL;
}

int vault_begin(vault *v)
{
    assert(!v->inside);
    int rc = database_begin(v->db);
    v->inside = rc == TACET_OK;
    return rc;
}

int vault_commit(vault *v)
{
    assert(v->inside);
    v->inside = false;
    return database_commit(v->db);
}

void vault_rollback(vault *v)
{
    if (v->inside)
        database_rollback(v->db);
    v->inside = false;
}

int vault_mark(vault *v) { return vault_run(v, "SAVEPOINT mark", ""); }
int vault_forget_mark(vault *v) { return vault_run(v, "RELEASE mark", ""); }

int vault_back_to_mark(vault *v)
{
    int rc = vault_run(v, "ROLLBACK TO mark", "");
    return rc == TACET_OK ? vault_run(v, "RELEASE mark", "") : rc;
}

bool vault_in_transaction(const vault *v) { return v->inside; }
database *vault_database(vault *v) { return v->db; }

int vault_setting_put(vault *v, const char *name, const void *value, size_t bytes)
{
    return vault_run(v, "INSERT OR REPLACE INTO setting(name, value) VALUES(?,?)", "tb", name, value, bytes);
}

int vault_setting_get(vault *v, const char *name, void *out, size_t room, size_t *bytes)
{
    sqlite3_stmt *st = NULL;
    int rc = vault_select(v, &st, "SELECT value FROM setting WHERE name=?", "t", name);
    if (rc == TACET_OK)
        rc = vault_next(v, st);
    if (rc != TACET_OK)
        return rc;
    row_cursor r = row_of(st);
    size_t n = row_some(&r, out, room);
    rc = row_status(&r);
    vault_end(st);
    if (rc == TACET_OK)
        *bytes = n;
    return rc;
}

int vault_number_put(vault *v, const char *name, uint64_t value)
{
    return vault_run(v, "INSERT OR REPLACE INTO setting(name, value) VALUES(?,?)", "tu", name, value);
}

int vault_number_get(vault *v, const char *name, uint64_t *value)
{
    return vault_number(v, value, "SELECT value FROM setting WHERE name=?", "t", name);
}

int vault_forget(vault *v, uint64_t now_s)
{
    const uint64_t keep = TACET_ENVELOPE_ID_KEEP_S;
    int rc = vault_run(v, "DELETE FROM seen WHERE at_s < ?", "u", now_s > keep ? now_s - keep : 0);
    if (rc == TACET_OK)
        rc = vault_run(v, "DELETE FROM met WHERE until_s < ?", "u", now_s);
    if (rc == TACET_OK)
        rc = vault_run(v, "DELETE FROM prekey WHERE expires_s + ? < ?", "nu", (unsigned)TACET_PREKEY_KEEP_S, now_s);
    if (rc == TACET_OK)
        rc = vault_run(v, "DELETE FROM session WHERE retired=1 AND max(opened_ms, created_ms) < ?", "u", now_s > keep ? (now_s - keep) * 1000 : 0);
    return rc;
}

int vault_bytes(vault *v, uint64_t *bytes)
{
    return vault_number(v, bytes, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", "");
}
