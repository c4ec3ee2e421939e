/* tests/unit/engine/scratch.h: a home of its own for each test, away from the machine's environment, removed at the end of the process. */
#ifndef TESTS_ENGINE_SCRATCH_H
#define TESTS_ENGINE_SCRATCH_H
#include "suite.h"
#include <ftw.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[256];
static pid_t scratch_owner;

static inline int scratch_remove_one(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)s, (void)kind, (void)where;
    return remove(path);
}
static inline void scratch_remove(void)
{
    if (getpid() != scratch_owner)
        return;
    chmod(scratch, 0700);
    nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
static inline void scratch_make(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%s/tacet-test-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
    scratch_owner = getpid();
    atexit(scratch_remove);
    unsetenv("TACET_HOME");
    unsetenv("XDG_DATA_HOME");
    setenv("HOME", "/nonexistent", 1);
}
/* scratch/NAME, in one of a few buffers. */
static inline const char *in_scratch(const char *name)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", scratch, name);
    return p;
}
static inline unsigned mode_of(const char *path)
{
    struct stat s;
    ck_assert_int_eq(lstat(path, &s), 0);
    return s.st_mode & 07777;
}
#endif
