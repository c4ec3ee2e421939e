/* Private to the engine: the questions to ask about a file before its content is believed, and how a failed call becomes a status and a sentence. */
#ifndef ENGINE_PROFILE_FILE_H
#define ENGINE_PROFILE_FILE_H
#include "engine/profile.h"
#include <sys/stat.h>

/* errno of a failed system call: TACET_E_READONLY, TACET_E_FULL, TACET_E_NOMEM or TACET_E_IO. */
int status_of_errno(void);
/* The same with its sentence about `path`. */
int file_failed(engine_error *error, const char *path);
/* What fstat gave, against P13. `open_bits`: mode bits that must be clear; `right_mode`: what chmod should make of it. Of root's: `or_root`. */
int file_guarded(const struct stat *s, mode_t open_bits, const char *right_mode, bool or_root, const char *path, engine_error *error);
#endif
