/* base/secret.h: memory for keys. One arena for the whole process: locked (and checked to be), left out of core files, wiped in a forked
 * child, with guard pages at both ends. Freed blocks are wiped. Not thread-safe: each thread that needs secrets makes an arena of its own. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H
#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

typedef struct secret_arena secret_arena;

/* *out owns `bytes` (rounded up to pages) of locked memory.
 *   TACET_E_LOCKING  the kernel would not lock that much (RLIMIT_MEMLOCK)    TACET_E_NOMEM */
TACET_MUST_USE int secret_arena_new(secret_arena **out, size_t bytes);
/* Wipes everything, unlocks, unmaps; NULL is fine; returns NULL. */
secret_arena *secret_arena_free(secret_arena *a);

/* Zeroed, 16-byte aligned; NULL when the arena is full. */
TACET_MUST_USE void *secret_alloc(secret_arena *a, size_t bytes);
/* Wipes and gives back; p may be NULL; returns NULL. */
void *secret_free(secret_arena *a, void *p);
/* Text on the ordinary heap that should not stay there: wiped up to its end, and freed; NULL is fine. */
void secret_text_free(char *text);
/* Bytes handed out and not given back (block heads counted). */
size_t secret_in_use(const secret_arena *a);

/* No core file, no ptrace by others of the same user: to be called first in every main(). 0, or TACET_E_IO. */
TACET_MUST_USE int secret_harden_process(void);
#endif
