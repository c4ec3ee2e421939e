#include "engine/profile.h"
#include "profile_file.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int status_of_errno(void)
{
    if (errno == EROFS || errno == EACCES || errno == EPERM)
        return TACET_E_READONLY;
    if (errno == ENOSPC || errno == EDQUOT)
        return TACET_E_FULL;
    return errno == ENOMEM ? TACET_E_NOMEM : TACET_E_IO;
}

int file_failed(engine_error *error, const char *path)
{
    int why = errno, status = status_of_errno();
    sentence_fill(error, sentence_of_status(status), path, strerror(why), NULL);
    errno = why;
    return status;
}

int file_guarded(const struct stat *s, mode_t open_bits, const char *right_mode, bool or_root, const char *path, engine_error *error)
{
    if (s->st_uid != geteuid() && !(or_root && s->st_uid == 0)) {
        char uid[16];
        snprintf(uid, sizeof uid, "%lu", (unsigned long)geteuid());
        sentence_fill(error, SAY_FOREIGN_OWNER, path, uid, NULL);
        return TACET_E_REFUSED;
    }
    if (s->st_mode & open_bits) {
        sentence_fill(error, SAY_PERMISSIONS, path, right_mode, NULL);
        return TACET_E_REFUSED;
    }
    return TACET_OK;
}

/* ---- where ------------------------------------------------------------------------------------------------------------------------- */

static bool fits(int written) { return written > 0 && written < PROFILE_PATH_BYTES; }

/* XDG base directory specification: a relative $XDG_DATA_HOME is to be ignored. */
static bool home_find(char out[PROFILE_PATH_BYTES], const char *said)
{
    const char *tacet = getenv("TACET_HOME"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (!said && tacet && *tacet)
        said = tacet;
    if (said)
        return fits(snprintf(out, PROFILE_PATH_BYTES, "%s", said));
    if (data && *data == '/')
        return fits(snprintf(out, PROFILE_PATH_BYTES, "%s/tacet", data));
    if (!home || *home != '/') {
        const struct passwd *who = getpwuid(geteuid());
        home = who ? who->pw_dir : NULL;
    }
    return home && *home == '/' && fits(snprintf(out, PROFILE_PATH_BYTES, "%s/.local/share/tacet", home));
}

static bool profile_name_valid(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t chars = strlen(name);
    return chars >= 1 && chars <= PROFILE_NAME_MAX_CHARS && strspn(name, first) >= 1 && strspn(name, rest) == chars;
}

/* ---- making it ------------------------------------------------------------------------------------------------------------------------ */

/* A new folder's name must survive a power cut as well as what is put into it. */
static int folder_sync_parent(const char *path)
{
    char parent[PROFILE_PATH_BYTES];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == parent)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int folder_make(const char *path, engine_error *error)
{
    if (mkdir(path, 0700) == 0)
        return folder_sync_parent(path) == 0 || errno == EACCES ? TACET_OK : file_failed(error, path); /* EACCES: a parent we may only pass */
    return errno == EEXIST ? TACET_OK : file_failed(error, path);
}

/* Everything that is missing of `path`, from the root on. */
static int folders_make(const char *path, engine_error *error)
{
    char part[PROFILE_PATH_BYTES];
    int rc = TACET_OK;
    struct stat s;
    for (size_t i = 1; rc == TACET_OK && i <= strlen(path); i++)
        if (path[i] == '/' || path[i] == '\0') {
            snprintf(part, sizeof part, "%.*s", (int)i, path);
            if (stat(part, &s) != 0) /* what is there may be read-only: not asked to make it */
                rc = folder_make(part, error);
        }
    return rc;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------------------------- */

static int nothing_here(engine_error *error)
{
    sentence_fill(error, SAY_NO_ACCOUNT, NULL, NULL, NULL);
    return TACET_E_NOT_FOUND;
}

static int home_open(int *fd, const char *home, bool create, engine_error *error)
{
    struct stat s;
    int rc = create ? folders_make(home, error) : TACET_OK;
    if (rc != TACET_OK)
        return rc;
    *fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return errno == ENOENT ? nothing_here(error) : file_failed(error, home);
    if (fstat(*fd, &s) != 0)
        return file_failed(error, home);
    return file_guarded(&s, S_IWGRP | S_IWOTH, "go-w", true, home, error);
}

static int folder_open(profile *p, int home_fd, const char *name, bool create, engine_error *error)
{
    struct stat s;
    if (create && mkdirat(home_fd, name, 0700) != 0 && errno != EEXIST)
        return file_failed(error, p->dir);
    if (create && fsync(home_fd) != 0)
        return file_failed(error, p->dir);
    p->fd = openat(home_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (p->fd < 0)
        return errno == ENOENT ? nothing_here(error) : file_failed(error, p->dir);
    if (fstat(p->fd, &s) != 0)
        return file_failed(error, p->dir);
    return file_guarded(&s, S_IRWXG | S_IRWXO, "700", false, p->dir, error);
}

/* The folder's one name: the keyring's entry goes by it. */
static int paths_resolve(profile *p, engine_error *error)
{
    char *real = realpath(p->dir, NULL);
    if (!real)
        return file_failed(error, p->dir);
    bool ok = fits(snprintf(p->dir, sizeof p->dir, "%s", real)) && fits(snprintf(p->vault, sizeof p->vault, "%s/vault.db", real)) &&
              fits(snprintf(p->key_file, sizeof p->key_file, "%s/vault.key", real));
    free(real);
    if (!ok)
        sentence_fill(error, SAY_NO_HOME, NULL, NULL, NULL);
    return ok ? TACET_OK : TACET_E_MALFORMED;
}

int profile_open(profile *out, const char *home, const char *name, bool create, engine_error *error)
{
    char where[PROFILE_PATH_BYTES];
    int home_fd = -1;
    out->fd = -1;
    if (!profile_name_valid(name)) {
        sentence_fill(error, SAY_BAD_PROFILE, name, NULL, NULL);
        return TACET_E_MALFORMED;
    }
    if (!home_find(where, home) || !fits(snprintf(out->dir, sizeof out->dir, "%s/%s", where, name))) {
        sentence_fill(error, SAY_NO_HOME, NULL, NULL, NULL);
        return TACET_E_MALFORMED;
    }
    int rc = home_open(&home_fd, where, create, error);
    if (rc == TACET_OK)
        rc = folder_open(out, home_fd, name, create, error);
    if (rc == TACET_OK)
        rc = paths_resolve(out, error);
    if (home_fd >= 0)
        close(home_fd);
    if (rc != TACET_OK)
        profile_close(out);
    return rc;
}

void profile_close(profile *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}
