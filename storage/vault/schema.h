/* vault/schema.h: the numbered migrations of the vault. */
#ifndef VAULT_SCHEMA_H
#define VAULT_SCHEMA_H
#include "storage/database.h"
extern const migration vault_migrations[];
extern const size_t vault_migration_count;
#endif
