/* engine/beneath.h: opening names inside a folder so that no symbolic link, planted before or swapped in meanwhile, leads out of it (F05). */
#ifndef ENGINE_BENEATH_H
#define ENGINE_BENEATH_H
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As openat(2); `path` is relative to dir, and every component of it must really be there: no links, no `..` out of it. */
static inline int open_beneath(int dir, const char *path, int flags, mode_t mode)
{
    struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
                            .mode = mode,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}
#endif
