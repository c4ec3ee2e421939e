/* Files beside a database: names, the lock, and what makes a new name survive a power loss. The database file itself is never opened here
 * while SQLite has it: closing any descriptor of it would drop SQLite's POSIX locks. */
#include "connection.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

char *files_name(const char *path, const char *suffix)
{
    size_t bytes = strlen(path) + strlen(suffix) + 1;
    char *name = malloc(bytes);
    if (name)
        (void)snprintf(name, bytes, "%s%s", path, suffix);
    return name;
}

int files_status(int error)
{
    static const struct {
        int error, status;
    } row[] = {
        { ENOSPC, TACET_E_FULL },    { EDQUOT, TACET_E_FULL },  { EROFS, TACET_E_READONLY },   { EACCES, TACET_E_READONLY },
        { EPERM, TACET_E_READONLY }, { ENOMEM, TACET_E_NOMEM }, { EWOULDBLOCK, TACET_E_BUSY },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].error == error)
            return row[i].status;
    return TACET_E_IO;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

int files_sync_folder(const char *path)
{
    char *folder = folder_of(path);
    if (!folder)
        return TACET_E_NOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? files_status(errno) : TACET_OK;
    if (fd >= 0)
        (void)close(fd); /* nothing was written through it */
    free(folder);
    return rc;
}

int files_remove(const char *path)
{
    static const char *const suffix[] = { "-wal", "-shm", "-journal", "" }; /* the file last: it is what makes the others mean something */
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        char *name = files_name(path, suffix[i]);
        if (!name)
            return TACET_E_NOMEM;
        int rc = unlink(name) != 0 && errno != ENOENT ? files_status(errno) : TACET_OK;
        free(name);
        if (rc != TACET_OK)
            return rc;
    }
    return TACET_OK;
}

int files_remove_like(const char *prefix)
{
    const char *slash = strrchr(prefix, '/'), *name = slash ? slash + 1 : prefix;
    char *folder = folder_of(prefix);
    DIR *dir = folder ? opendir(folder) : NULL;
    int rc = !folder ? TACET_E_NOMEM : !dir ? files_status(errno) : TACET_OK;
    for (struct dirent *e; rc == TACET_OK && (errno = 0, e = readdir(dir));)
        if (strncmp(e->d_name, name, strlen(name)) == 0 && unlinkat(dirfd(dir), e->d_name, 0) != 0 && errno != ENOENT)
            rc = files_status(errno);
    if (rc == TACET_OK && errno != 0 && errno != ENOENT)
        rc = files_status(errno); /* of readdir */
    if (dir)
        (void)closedir(dir); /* only read */
    free(folder);
    return rc;
}

int files_create(const char *path)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return files_status(errno);
    return close(fd) != 0 ? files_status(errno) : TACET_OK;
}

int files_lock(const char *path, int *fd)
{
    char *name = files_name(path, ".lock");
    if (!name)
        return TACET_E_NOMEM;
    int lock = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600), rc = TACET_OK;
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) {
        rc = files_status(errno);
        if (lock >= 0)
            (void)close(lock);
    } else {
        *fd = lock;
    }
    free(name);
    return rc;
}

int files_size(const char *path, int64_t *bytes)
{
    struct stat st;
    if (stat(path, &st) == 0)
        *bytes = st.st_size;
    else if (errno == ENOENT)
        *bytes = -1;
    else
        return files_status(errno);
    return TACET_OK;
}
