/* engine/unlock.h: from a profile to the key of its vault. Three ways, tried in this order: a plain slot (init --no-passphrase), the kernel
 * keyring (tacet unlock --for 8h), the passphrase. The key file's format is docs/PROTOCOL.md §9; it is only ever replaced as a whole.
 *
 * Every function returns a status and, on anything but TACET_OK, fills *error with a sentence for the user. Common to all:
 *   TACET_E_NOT_FOUND  neither key file nor vault: no account here      TACET_E_CORRUPT  the key file is damaged, or missing beside a vault
 *   TACET_E_NEWER      made by a newer tacet                            TACET_E_REFUSED  too open, or another user's
 *   TACET_E_READONLY, TACET_E_FULL, TACET_E_IO, TACET_E_NOMEM
 * Keys and passphrases belong in locked memory (base/secret.h), on the caller's side, too. */
#ifndef ENGINE_UNLOCK_H
#define ENGINE_UNLOCK_H
#include "engine/profile.h"
#include "identity/keyfile.h"

typedef struct {
    const char *text; /* not NUL-ended */
    size_t bytes;
} passphrase;

typedef enum { UNLOCK_BY_PLAIN_SLOT, UNLOCK_BY_KEYRING, UNLOCK_BY_PASSPHRASE } unlock_way;

/* *way (may be NULL) says how it went. If a key from the keyring does not open the vault, it is left over from an earlier one: unlock_forget, then
 * try again.
 *   TACET_E_AGAIN       locked: only a passphrase opens it, and `given` is NULL (ask for one and call again)
 *   TACET_E_PASSPHRASE  wrong passphrase */
TACET_MUST_USE int unlock_open(const profile *p, const passphrase *given, uint8_t key[TACET_DATABASE_KEY_BYTES], unlock_way *way,
                               engine_error *error);
/* The same without the keyring: for what the passphrase itself must be shown for (tacet passphrase, unlock). */
TACET_MUST_USE int unlock_prove(const profile *p, const passphrase *given, uint8_t key[TACET_DATABASE_KEY_BYTES], unlock_way *way,
                                engine_error *error);
/* Whether the key file has such a way in. */
TACET_MUST_USE int unlock_has(const profile *p, enum keyfile_slot slot, bool *has, engine_error *error);
/* True when a passphrase is needed whenever the keyring has nothing. */
TACET_MUST_USE int unlock_needs_passphrase(const profile *p, bool *needs, engine_error *error);

/* For init: draws a database key and writes the key file, plain when `chosen` is NULL. TACET_E_EXISTS: there is one already (an init that was
 * interrupted goes on with unlock_open). */
TACET_MUST_USE int unlock_create(const profile *p, const passphrase *chosen, keyfile_cost cost, const tacet_env *env,
                                 uint8_t key[TACET_DATABASE_KEY_BYTES], engine_error *error);
/* This one and the next two: TACET_OK with error->code set: it is done, and *error warns that the disk did not confirm it. */
/* From now on `chosen` opens it, or everybody who reads the file when NULL; nothing else does but the recovery code, which stays. One atomic step:
 * after a kill or a power cut either the old way or the new one works. */
TACET_MUST_USE int unlock_change(const profile *p, const uint8_t key[TACET_DATABASE_KEY_BYTES], const passphrase *chosen, keyfile_cost cost,
                                 const tacet_env *env, engine_error *error);

/* A recovery code: 160 random bits in base32, taken wherever a passphrase is, in capitals and groups as well. A new one replaces the old one. */
enum { UNLOCK_CODE_CHARS = 32 };
TACET_MUST_USE int unlock_recovery_set(const profile *p, const uint8_t key[TACET_DATABASE_KEY_BYTES], keyfile_cost cost, const tacet_env *env,
                                       char code[UNLOCK_CODE_CHARS + 1], engine_error *error);
/* TACET_OK also when there was none. */
TACET_MUST_USE int unlock_recovery_remove(const profile *p, engine_error *error);

/* Leaves the key in the kernel keyring for `seconds` (at least 1). TACET_E_REFUSED: this system's keyring does not take it, or does not give it back. */
TACET_MUST_USE int unlock_remember(const profile *p, const uint8_t key[TACET_DATABASE_KEY_BYTES], unsigned seconds, engine_error *error);
/* Nothing remembered is fine. TACET_E_IO: the kernel would not let it go. */
TACET_MUST_USE int unlock_forget(const profile *p, engine_error *error);
/* For doctor: puts something into the keyring and reads it back, away from the profile's own entry. */
TACET_MUST_USE int unlock_keyring_check(engine_error *error);
#endif
