/* Unfinished files of downloads that are over: removed once the vault says so, by this program or by a later one. A row keeps its file's number until then. */
#include "files.h"
#include <sodium.h>

enum { BATCH = 32 };

/* A worker may still be writing into it: its job's return brings us here again. */
static bool is_held(const engine *e, int64_t row)
{
    const file_run *r = e->files->runs;
    while (r && r->f.row != row)
        r = r->next;
    return r != NULL;
}

static int remove_one(engine *e, int64_t row)
{
    file_run as = { 0 };
    target_plan p;
    char name[FILE_NAME_ROOM];
    int rc = vault_file_get(e->vault, row, &as.f);
    if (rc != TACET_OK)
        return rc;
    download_plan(&as, &p, name);
    bool gone = file_target_discard(&p);
    sodium_memzero(&as.f, sizeof as.f);
    return gone ? vault_file_unstamp(e->vault, row) : TACET_OK; /* else at the next start */
}

static int remove_some(engine *e, const int64_t *rows, size_t count)
{
    int rc = vault_begin(e->vault);
    if (rc != TACET_OK)
        return rc;
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        if (is_held(e, rows[i]))
            e->files->leftovers = true;
        else
            rc = remove_one(e, rows[i]);
    }
    if (rc == TACET_OK)
        return vault_commit(e->vault);
    vault_rollback(e->vault);
    return rc;
}

void files_leftovers(engine *e)
{
    int64_t rows[BATCH], after = 0;
    size_t count = BATCH;
    int rc = TACET_OK;
    if (!e->files->leftovers || vault_in_transaction(e->vault))
        return;
    e->files->leftovers = false;
    while (rc == TACET_OK && count == BATCH) {
        rc = vault_file_leftovers(e->vault, after, rows, BATCH, &count);
        if (rc == TACET_OK && count > 0) {
            after = rows[count - 1];
            rc = remove_some(e, rows, count);
        }
    }
    if (rc != TACET_OK && rc != TACET_E_FULL && rc != TACET_E_READONLY) /* no room to note it: another time */
        engine_fail(e, rc);
}
