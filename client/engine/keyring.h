/* Private to unlock.c: one small secret in the kernel keyring of this user (ARCHITECTURE §4). Entries go by a name; they end by themselves. */
#ifndef ENGINE_KEYRING_H
#define ENGINE_KEYRING_H
#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

enum { KEYRING_ENTRY_MAX_BYTES = 64 };

/* In place of an older one. TACET_OK only after it was read back. TACET_E_REFUSED: no keyring takes it; errno says why.
 * TACET_E_MALFORMED: seconds is 0, or too many bytes. */
TACET_MUST_USE int keyring_put(const char *name, const uint8_t *bytes, size_t n, unsigned seconds);
/* Exactly n bytes. TACET_E_NOT_FOUND: none, over, or of another length. */
TACET_MUST_USE int keyring_get(const char *name, uint8_t *bytes, size_t n);
/* From every keyring where it could be. TACET_E_IO: one is still there. */
TACET_MUST_USE int keyring_forget(const char *name);
#endif
