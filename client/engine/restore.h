/* restore.h: private to restore.c and restore_file.c. */
#ifndef ENGINE_RESTORE_H
#define ENGINE_RESTORE_H
#include "state.h"

typedef struct {
    uint64_t contacts, messages;
} restored;

/* Reads the backup at `path` into the vault, in one transaction: account (stage ACCOUNT_RESTORED, with keys for a new device), contacts, history.
 * What an interrupted restore brought is replaced, but for its device keys, if it was of the same account: the relay may know them already.
 * TACET_OK, or a status with *error filled; then nothing has changed. */
TACET_MUST_USE int restore_import(engine *e, const char *path, const uint8_t file_key[32], restored *out, engine_error *error);
#endif
