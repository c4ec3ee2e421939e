/* identity/keyfile.h: the vault's 32-byte database key, wrapped. A key file holds up to 4 slots (plain, passphrase, recovery code), each of
 * which alone opens it; the format is in docs/PROTOCOL.md. Each wrapped slot carries a commitment (a wrong passphrase is told from damage),
 * the whole file a checksum (damage is told from a wrong passphrase). Bytes in, bytes out: reading and writing the file is the caller's. */
#ifndef IDENTITY_KEYFILE_H
#define IDENTITY_KEYFILE_H
#include "identity/keys.h"
#include <stdbool.h>

enum keyfile_slot { KEYFILE_PLAIN = 1, KEYFILE_PASSPHRASE = 2, KEYFILE_RECOVERY = 3 };
enum { TACET_DATABASE_KEY_BYTES = 32, TACET_KEYFILE_SLOTS_MAX = 4, TACET_KEYFILE_MAX_BYTES = 1024 };

/* Argon2id: passes and memory. The default is 3 and 256 MiB; the small one 3 and 64 MiB. */
typedef struct {
    uint32_t passes, memory_kib;
} keyfile_cost;
extern const keyfile_cost keyfile_cost_default, keyfile_cost_small;

typedef struct keyfile keyfile; /* parsed, not unlocked: nothing secret in it unless a plain slot is */

TACET_MUST_USE int keyfile_new(keyfile **out);
/* TACET_E_MALFORMED not a key file; TACET_E_NEWER; TACET_E_CORRUPT the checksum does not match, or cut off; TACET_E_NOMEM. */
TACET_MUST_USE int keyfile_decode(keyfile **out, const uint8_t *bytes, size_t n);
/* TACET_E_REFUSED: no slot, so nothing would open it. Wipe `out` after use: a plain slot is the key itself. */
TACET_MUST_USE int keyfile_encode(const keyfile *k, uint8_t out[TACET_KEYFILE_MAX_BYTES], size_t *out_bytes);
keyfile *keyfile_free(keyfile *k);

bool keyfile_has(const keyfile *k, enum keyfile_slot slot);
/* Adds or replaces the slot. `passphrase` and `cost` are ignored for KEYFILE_PLAIN. TACET_E_NOMEM also when Argon2id cannot get its memory;
 * TACET_E_MALFORMED: a cost outside 1 to 1,024 passes and 8 KiB to 4 GiB. */
TACET_MUST_USE int keyfile_set(keyfile *k, enum keyfile_slot slot, const uint8_t database_key[TACET_DATABASE_KEY_BYTES], const char *passphrase,
                               size_t passphrase_bytes, keyfile_cost cost, const tacet_env *env);
void keyfile_remove(keyfile *k, enum keyfile_slot slot);
/* TACET_E_NOT_FOUND no such slot; TACET_E_PASSPHRASE; TACET_E_NOMEM; TACET_E_CORRUPT. */
TACET_MUST_USE int keyfile_open(const keyfile *k, enum keyfile_slot slot, uint8_t database_key[TACET_DATABASE_KEY_BYTES], const char *passphrase,
                                size_t passphrase_bytes);
#endif
