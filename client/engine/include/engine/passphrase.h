/* engine/passphrase.h: where passphrases come from: a file, a descriptor, or the terminal without echo. Never an argument, never the environment:
 * others can read both. The text is one line without its end, 1 to PASSPHRASE_MAX_BYTES bytes without NUL, in locked memory. */
#ifndef ENGINE_PASSPHRASE_H
#define ENGINE_PASSPHRASE_H
#include "base/secret.h"
#include "engine/unlock.h"

enum { PASSPHRASE_MAX_BYTES = 1024 };

/* Each sets *out, whose text lives in `a` (passphrase_free), or fills *error.
 *   TACET_E_MALFORMED  empty, too long, or with a NUL     TACET_E_NOT_FOUND  there is no terminal to ask at
 *   TACET_E_IO         it could not be read               TACET_E_REFUSED    stopped by a signal, which has been raised again afterwards
 *   TACET_E_LOCKING    the arena is full */
TACET_MUST_USE int passphrase_from_file(passphrase *out, secret_arena *a, const char *path, engine_error *error);
/* Takes the first line and not a byte more, so that fd may carry something else behind it. fd stays open. */
TACET_MUST_USE int passphrase_from_fd(passphrase *out, secret_arena *a, int fd, engine_error *error);
/* Asks on /dev/tty. The terminal is as it was afterwards, also when a signal ends or stops us in between. */
TACET_MUST_USE int passphrase_from_terminal(passphrase *out, secret_arena *a, const char *prompt, engine_error *error);
/* Asks twice; TACET_E_MALFORMED as well when the two differ. */
TACET_MUST_USE int passphrase_choose(passphrase *out, secret_arena *a, const char *prompt, engine_error *error);
void passphrase_free(passphrase *p, secret_arena *a); /* wipes; empty is fine */
#endif
