/* Three keyrings come into question. The user's own (@u) outlives a login and is seen by all its processes, but a process may read what is in it
 * only if it also possesses it, that is, if it is linked into the session keyring (keyrings(7), "Possession"). Where that fails, the persistent
 * keyring, linked likewise; at last the session keyring alone, which only this login sees. */
#include "keyring.h"
#include <errno.h>
#include <keyutils.h>
#include <sodium.h>
#include <stdbool.h>

typedef enum { RING_USER, RING_PERSISTENT, RING_SESSION, RINGS } ring;
static const char type[] = "user";

/* The keyring, linked where we possess it; -1 with errno. */
static key_serial_t ring_reach(ring which)
{
    switch (which) {
    case RING_USER:
        return keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING) == 0 ? KEY_SPEC_USER_KEYRING : -1;
    case RING_PERSISTENT:
        return (key_serial_t)keyctl_get_persistent((uid_t)-1, KEY_SPEC_SESSION_KEYRING);
    case RING_SESSION:
        return KEY_SPEC_SESSION_KEYRING;
    case RINGS:
        break;
    }
    errno = EINVAL;
    return -1;
}

static bool entry_read(key_serial_t entry, uint8_t *bytes, size_t n)
{
    uint8_t buf[KEYRING_ENTRY_MAX_BYTES];
    long got = keyctl_read(entry, (char *)buf, sizeof buf);
    bool ok = got == (long)n;
    for (size_t i = 0; ok && i < n; i++)
        bytes[i] = buf[i];
    sodium_memzero(buf, sizeof buf);
    return ok;
}

/* Revoking wipes the payload at once for everybody; unlinking makes room for the next one of this name. */
static bool entry_end(key_serial_t entry, key_serial_t where)
{
    bool revoked = keyctl_revoke(entry) == 0;
    return keyctl_unlink(entry, where) == 0 && revoked;
}

static int put_into(key_serial_t where, const char *name, const uint8_t *bytes, size_t n, unsigned seconds)
{
    uint8_t back[KEYRING_ENTRY_MAX_BYTES];
    key_serial_t entry = add_key(type, name, bytes, n, where);
    if (entry < 0)
        return TACET_E_REFUSED;
    bool ok = keyctl_set_timeout(entry, seconds) == 0 && entry_read(entry, back, n) && sodium_memcmp(back, bytes, n) == 0;
    int why = errno;
    sodium_memzero(back, sizeof back);
    if (ok)
        return TACET_OK;
    (void)entry_end(entry, where); /* it failed already: the first reason is the one to tell */
    errno = why;
    return TACET_E_REFUSED;
}

int keyring_put(const char *name, const uint8_t *bytes, size_t n, unsigned seconds)
{
    if (seconds == 0 || n > KEYRING_ENTRY_MAX_BYTES) /* a timeout of 0 would mean: for ever */
        return TACET_E_MALFORMED;
    key_serial_t session = keyctl_get_keyring_ID(KEY_SPEC_SESSION_KEYRING, 0);
    int rc = keyring_forget(name);
    for (ring r = 0; rc == TACET_OK && r < RINGS; r++) {
        key_serial_t where = ring_reach(r);
        /* a process without a session keyring is given one of its own, which ends with it: what is put there is not remembered */
        if (where == -1 || (r == RING_SESSION && keyctl_get_keyring_ID(KEY_SPEC_SESSION_KEYRING, 0) != session))
            continue;
        if (put_into(where, name, bytes, n, seconds) == TACET_OK)
            return TACET_OK;
    }
    return rc == TACET_OK ? TACET_E_REFUSED : rc;
}

int keyring_get(const char *name, uint8_t *bytes, size_t n)
{
    for (ring r = 0; r < RINGS; r++) {
        key_serial_t where = ring_reach(r), entry = where == -1 ? -1 : (key_serial_t)keyctl_search(where, type, name, 0);
        if (entry != -1 && entry_read(entry, bytes, n))
            return TACET_OK;
    }
    return TACET_E_NOT_FOUND;
}

int keyring_forget(const char *name)
{
    int rc = TACET_OK;
    for (ring r = 0; r < RINGS; r++) {
        key_serial_t where = ring_reach(r), entry = where == -1 ? -1 : (key_serial_t)keyctl_search(where, type, name, 0);
        if (entry != -1 && !entry_end(entry, where))
            rc = TACET_E_IO;
    }
    return rc;
}
