/* Versions of a database: user_version counts the migrations that it has had. */
#include "connection.h"
#include <stdio.h>
#include <stdlib.h>

int migrate_version(database *d, uint32_t *version)
{
    int64_t v = 0;
    int rc = connection_integer(d, "PRAGMA user_version", &v);
    if (rc == TACET_OK)
        *version = (uint32_t)v;
    return rc;
}

/* All pending steps in one transaction: a crash or a failing step leaves the version that was. */
int migrate_run(database *d, uint32_t from, const migration *steps, size_t count)
{
    char version[48];
    int rc = database_begin(d);
    if (rc != TACET_OK)
        return rc;
    for (size_t i = from; rc == TACET_OK && i < count; i++)
        rc = database_execute(d, steps[i].sql);
    if (rc == TACET_OK) {
        (void)snprintf(version, sizeof version, "PRAGMA user_version=%zu", count);
        rc = database_execute(d, version);
    }
    if (rc == TACET_OK)
        return database_commit(d);
    database_rollback(d);
    return rc;
}

static char *snapshot_name(const database *d, uint32_t next)
{
    char suffix[32];
    (void)snprintf(suffix, sizeof suffix, ".before-%u", next);
    return files_name(d->path, suffix);
}

/* The database as it is before migration `next`. */
int migrate_snapshot(database *d, uint32_t next)
{
    char *name = snapshot_name(d, next);
    if (!name)
        return TACET_E_NOMEM;
    int rc = database_backup(d, name, d->key);
    free(name);
    return rc;
}

/* Of whatever number: a program that was tried and went back to the older one leaves its snapshot too. */
int migrate_erase_snapshots(const database *d)
{
    char *prefix = files_name(d->path, ".before-");
    int rc = prefix ? files_remove_like(prefix) : TACET_E_NOMEM;
    free(prefix);
    return rc;
}
