/* engine/profile.h: where a profile lives. HOME = --home DIR, else $TACET_HOME, else $XDG_DATA_HOME/tacet, else ~/.local/share/tacet; the profile is
 * the folder HOME/NAME, mode 0700, with vault.db, vault.key, socket and lock in it. What others could change or read is refused, not repaired (P13):
 * HOME must be ours or root's and writable by nobody else, the folder and the key file ours and closed to everybody else. */
#ifndef ENGINE_PROFILE_H
#define ENGINE_PROFILE_H
#include "base/status.h"
#include "engine/sentences.h"
#include <stdbool.h>

enum { PROFILE_PATH_BYTES = 1024, PROFILE_NAME_MAX_CHARS = 32 };

typedef struct {
    int fd;                                                       /* the folder, -1 when closed */
    char dir[PROFILE_PATH_BYTES];                                 /* resolved: absolute, no symbolic links */
    char vault[PROFILE_PATH_BYTES], key_file[PROFILE_PATH_BYTES]; /* dir/vault.db, dir/vault.key */
} profile;

/* home: what --home said, or NULL. name: what --profile said. create: makes what is missing of HOME and the folder.
 *   TACET_E_MALFORMED  no profile name, no home, or too long a path     TACET_E_NOT_FOUND  there is no such folder (and create is false)
 *   TACET_E_REFUSED    too open, or another user's                      TACET_E_READONLY, TACET_E_FULL, TACET_E_IO
 * On anything but TACET_OK *error is filled and *out is closed. */
TACET_MUST_USE int profile_open(profile *out, const char *home, const char *name, bool create, engine_error *error);
void profile_close(profile *p); /* closed already is fine */
#endif
