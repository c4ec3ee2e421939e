/* tests/unit/storage/folder.h: a folder for one test, and what storage tests keep doing with one. */
#ifndef TESTS_STORAGE_FOLDER_H
#define TESTS_STORAGE_FOLDER_H
#include "suite.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static inline void folder_make(void)
{
    /* Where syncing is free, if there is such a place: what a disk does is played by the crash tests. */
    (void)snprintf(folder, sizeof folder, "%s/tacet-storage-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* Removes everything in it, not below it, but for the file `kept` (NULL: nothing is kept). */
static inline void folder_keep(const char *kept)
{
    DIR *d = opendir(folder);
    char path[384];
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.' && (!kept || strcmp(e->d_name, kept) != 0)) {
            (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            ck_assert_int_eq(unlink(path), 0);
        }
    ck_assert_int_eq(closedir(d), 0);
}

static inline void folder_empty(void) { folder_keep(NULL); }

static inline void folder_remove(void)
{
    folder_empty();
    ck_assert_int_eq(rmdir(folder), 0);
}

/* A path in the folder, good until the fourth call after this one. */
static inline const char *in_folder(const char *name)
{
    static char path[4][384];
    static unsigned next;
    char *p = path[next++ % 4];
    (void)snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static inline uint8_t *file_read(const char *path, size_t *bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    ck_assert_msg(fd >= 0, "%s", path);
    ck_assert_int_eq(fstat(fd, &st), 0);
    uint8_t *all = malloc((size_t)st.st_size + 1);
    ck_assert_ptr_nonnull(all);
    ck_assert_int_eq(read(fd, all, (size_t)st.st_size), st.st_size);
    ck_assert_int_eq(close(fd), 0);
    *bytes = (size_t)st.st_size;
    return all;
}

static inline void file_write(const char *path, const uint8_t *bytes, size_t n)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    ck_assert_int_eq(close(fd), 0);
}

static inline void file_copy(const char *from, const char *to)
{
    size_t n;
    uint8_t *all = file_read(from, &n);
    file_write(to, all, n);
    free(all);
}

static inline void file_flip(const char *path, size_t at, uint8_t mask)
{
    uint8_t b;
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &b, 1, (off_t)at), 1);
    b ^= mask;
    ck_assert_int_eq(pwrite(fd, &b, 1, (off_t)at), 1);
    ck_assert_int_eq(close(fd), 0);
}

static inline bool file_there(const char *path) { return access(path, F_OK) == 0; }

/* A small generator for tests that are replayed by their seed. */
static inline uint64_t draw(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15u;
    uint64_t z = *seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static inline uint64_t draw_below(uint64_t *seed, uint64_t limit) { return draw(seed) % limit; }

#define OK(call) ck_assert_int_eq((call), TACET_OK)
#endif
