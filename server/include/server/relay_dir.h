/* server/relay_dir.h: the relay's directory: who may look into it, its lock, its key, and what stands in the store about the relay itself. */
#ifndef SERVER_RELAY_DIR_H
#define SERVER_RELAY_DIR_H
#include "storage/relay.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RELAY_PATH_MAX = 4096, RELAY_WHY_MAX = 512 };

/* Everything here that can fail for the person at the keyboard fills `why` with one line: what, why, what to do. */

/* The directory is there, ours, and nobody else can write to it (P13). TACET_E_NOT_FOUND, TACET_E_REFUSED */
TACET_MUST_USE int relay_dir_check(const char *dir, char why[RELAY_WHY_MAX]);
/* Makes it, 0700, when it is not there; then as relay_dir_check. */
TACET_MUST_USE int relay_dir_make(const char *dir, char why[RELAY_WHY_MAX]);
/* One process at a time works on the store: *fd holds the lock until it is closed. TACET_E_BUSY, TACET_E_IO */
TACET_MUST_USE int relay_dir_lock(const char *dir, int *fd, char why[RELAY_WHY_MAX]);
/* dir/name; TACET_E_MALFORMED: too long. */
TACET_MUST_USE int relay_dir_path(char out[RELAY_PATH_MAX], const char *dir, const char *name);

/* The database key: `given` (may be NULL), else $CREDENTIALS_DIRECTORY/tacetd.key, else dir/relay.key. 64 hexadecimal digits and a line end.
 * A file that others can read is refused (P13). TACET_E_NOT_FOUND, TACET_E_REFUSED, TACET_E_MALFORMED, TACET_E_IO */
TACET_MUST_USE int relay_key_load(uint8_t key[32], const char *dir, const char *given, char why[RELAY_WHY_MAX]);
/* Makes that file, 0600, with a random key; keeps one that is there. */
TACET_MUST_USE int relay_key_make(const char *dir, const char *given, char why[RELAY_WHY_MAX]);
/* Where that file is, and where `tacetd rekey` keeps the next key until every page is encrypted under it. */
TACET_MUST_USE int relay_key_path(char out[RELAY_PATH_MAX], const char *dir, const char *given);
TACET_MUST_USE int relay_key_next(char out[RELAY_PATH_MAX], const char *path);
/* Writes a key file, 0600, fsynced with its directory; replaces one that is there as a whole. */
TACET_MUST_USE int relay_key_write(const char *path, const uint8_t key[32]);
/* After a rekey that was cut off: finds out which of the two keys opens the store and makes it the only one. Under the lock. */
TACET_MUST_USE int relay_key_settle(const char *dir, const char *given, char why[RELAY_WHY_MAX]);

/* The store, opened with a line of explanation when it cannot be. One that is not there is not made (TACET_E_NOT_FOUND): it may only be aside. */
TACET_MUST_USE int relay_dir_open(relay_store **out, const char *dir, const uint8_t key[32], char why[RELAY_WHY_MAX]);
/* For `tacetd init`. */
TACET_MUST_USE int relay_dir_open_or_make(relay_store **out, const char *dir, const uint8_t key[32], char why[RELAY_WHY_MAX]);

/* What the relay is: in the store's settings. */
typedef struct {
    uint8_t static_secret[32], static_public[32], incarnation[16];
} relay_self;
/* New keys and incarnation, where there are none. TACET_E_EXISTS: there are (self is filled). */
TACET_MUST_USE int relay_self_make(relay_store *s, relay_self *self);
TACET_MUST_USE int relay_self_load(relay_store *s, relay_self *self); /* TACET_E_NOT_FOUND: no `tacetd init` was finished here */
/* A registration token good for `uses` accounts. */
TACET_MUST_USE int relay_invite_make(relay_store *s, uint32_t uses, uint64_t expires_s, uint8_t token[32]);
TACET_MUST_USE int relay_self_renew(relay_store *s); /* another incarnation: the store is not the one that clients knew */
/* A range of log numbers for this run, above everything that any run before may have told anybody. `last`: the highest in the log. */
TACET_MUST_USE int relay_numbers_reserve(relay_store *s, uint64_t last, uint64_t *first);
#endif
