/* server/command_copy.c: tacetd rekey, backup, restore: what replaces the store or its key. Each step leaves something that opens. */
#include "server/commands.h"
#include "server/control.h"
#include "server/relay_dir.h"
#include "storage/blobs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static exit_code lock_stopped(const options *o, int *lock)
{
    char why[RELAY_WHY_MAX];
    if (relay_dir_check(o->data, why) != TACET_OK || relay_dir_lock(o->data, lock, why) != TACET_OK ||
        relay_key_settle(o->data, o->key_file, why) != TACET_OK)
        return fail("%s", why);
    return EXIT_DONE;
}

/* --- rekey ------------------------------------------------------------------------------------------------------------------------------ */
/* The new key is on the disk before the first page is written under it, and takes the old one's name after the last. relay_key_settle repairs what was
 * cut off between. */
exit_code command_rekey(const options *o)
{
    char why[RELAY_WHY_MAX], path[RELAY_PATH_MAX], next[RELAY_PATH_MAX];
    uint8_t key[32], fresh[32];
    relay_store *s = NULL;
    int lock = -1;
    exit_code out = lock_stopped(o, &lock);
    if (out != EXIT_DONE)
        return out;
    randombytes_buf(fresh, sizeof fresh);
    int rc = relay_key_load(key, o->data, o->key_file, why);
    if (rc == TACET_OK)
        rc = relay_dir_open(&s, o->data, key, why);
    if (rc != TACET_OK) {
        out = fail("%s", why);
    } else if (relay_key_path(path, o->data, o->key_file) != TACET_OK || relay_key_next(next, path) != TACET_OK ||
               relay_key_write(next, fresh) != TACET_OK) {
        rc = TACET_E_IO;
        out = fail("the key file %s cannot be replaced: %s; nothing was changed", path, strerror(errno));
    } else if ((rc = relay_rekey(s, fresh)) != TACET_OK) {
        out = fail("the store could not be encrypted again: %s; it still opens with its old key", tacet_status_word(rc));
    }
    relay_store_close(s);
    if (rc == TACET_OK && relay_key_settle(o->data, o->key_file, why) != TACET_OK)
        out = fail("%s", why);
    sodium_memzero(key, sizeof key);
    sodium_memzero(fresh, sizeof fresh);
    close(lock);
    return out;
}

/* --- files ------------------------------------------------------------------------------------------------------------------------------ */
static int copy_bytes(int from, int to)
{
    static char buf[1 << 16];
    for (ssize_t n; (n = read(from, buf, sizeof buf)) != 0;) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return TACET_E_IO;
        for (ssize_t at = 0, w; at < n; at += w)
            if ((w = write(to, buf + at, (size_t)(n - at))) < 0)
                return TACET_E_IO;
    }
    return fsync(to) == 0 ? TACET_OK : TACET_E_IO;
}

/* A copy that must not exist yet; what was begun and not finished is removed. */
static int copy_to(int in, const char *to)
{
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc = TACET_E_IO;
    if (out >= 0) {
        rc = copy_bytes(in, out);
        if (close(out) != 0)
            rc = TACET_E_IO;
        int why = errno;
        if (rc != TACET_OK)
            unlink(to);
        errno = why;
    }
    return rc;
}

static int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), rc = in >= 0 ? copy_to(in, to) : TACET_E_IO;
    if (in >= 0)
        close(in);
    return rc;
}

static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = fd >= 0 && fsync(fd) == 0 ? TACET_OK : TACET_E_IO;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* --- backup ----------------------------------------------------------------------------------------------------------------------------- */
static exit_code backup_running(const options *o, char *answer)
{
    char path[RELAY_PATH_MAX];
    answer[strcspn(answer, "\n")] = 0;
    if (strchr(answer, '/') || relay_dir_path(path, o->data, answer) != TACET_OK)
        return fail("the running relay answered something strange");
    int in = open(path, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return fail("the relay's copy cannot be read: %s", strerror(errno));
    unlink(path); /* from here on it goes when we do */
    int rc = copy_to(in, o->file), why = errno;
    close(in);
    return rc == TACET_OK ? EXIT_DONE : fail("%s cannot be written: %s", o->file, strerror(why));
}

static exit_code backup_stopped(const options *o)
{
    char why[RELAY_WHY_MAX];
    uint8_t key[32];
    relay_store *s;
    int lock = -1;
    exit_code out = lock_stopped(o, &lock);
    if (out != EXIT_DONE)
        return out;
    int rc = relay_key_load(key, o->data, o->key_file, why);
    if (rc == TACET_OK)
        rc = relay_dir_open(&s, o->data, key, why);
    if (rc != TACET_OK) {
        out = fail("%s", why);
    } else {
        rc = relay_backup(s, o->file, key);
        if (rc != TACET_OK)
            out = fail("%s cannot be written: %s", o->file, errno ? strerror(errno) : tacet_status_word(rc));
        relay_store_close(s);
    }
    sodium_memzero(key, sizeof key);
    close(lock);
    return out;
}

exit_code command_backup(const options *o)
{
    char why[RELAY_WHY_MAX], answer[CONTROL_ANSWER_MAX];
    if (relay_dir_check(o->data, why) != TACET_OK)
        return fail("%s", why);
    if (access(o->file, F_OK) == 0)
        return fail("%s exists already; a backup never overwrites", o->file);
    int asked = control_ask(o->data, "backup", answer, sizeof answer);
    if (asked != TACET_OK && asked != TACET_E_NOT_FOUND)
        return fail("%s", asked == TACET_E_REFUSED ? answer : "the running relay does not answer");
    exit_code rc = asked == TACET_OK ? backup_running(o, answer) : backup_stopped(o);
    if (rc == EXIT_DONE)
        fputs("tacetd: it opens with the relay's database key only; keep a copy of that as well\n", stderr);
    return rc;
}

/* --- restore ---------------------------------------------------------------------------------------------------------------------------- */
/* The copy, in a directory of its own, is opened, checked and given a new incarnation before anything in `data` is touched. */
static exit_code prove(const char *fresh_dir, const uint8_t key[32])
{
    char why[RELAY_WHY_MAX], where[256] = "";
    relay_store *s;
    relay_self self;
    if (relay_dir_open(&s, fresh_dir, key, why) != TACET_OK)
        return fail("the copy cannot be used: %s", why);
    int rc = relay_check(s, where, sizeof where);
    if (rc == TACET_OK)
        rc = relay_self_load(s, &self);
    if (rc == TACET_OK)
        rc = relay_self_renew(s); /* so that senders send again what the copy does not know */
    if (rc == TACET_OK)
        rc = relay_blobs_forget(s); /* their segments are not in the copy */
    sodium_memzero(&self, sizeof self);
    relay_store_close(s);
    return rc == TACET_OK ? EXIT_DONE : fail("the copy is not sound (%s) %s; nothing was changed", tacet_status_word(rc), where);
}

/* The files of a store, and what they are called when another takes their place: .replaced, .replaced-2 and so on. */
static const char *const store_ends[] = { "", "-wal", "-shm" };
enum { STORE_FILES = sizeof store_ends / sizeof *store_ends };

static int aside_names(const char *dir, size_t i, unsigned number, char path[RELAY_PATH_MAX], char aside[RELAY_PATH_MAX])
{
    char name[64], count[16] = "";
    if (number > 1)
        snprintf(count, sizeof count, "-%u", number);
    snprintf(name, sizeof name, "%s%s", relay_store_file, store_ends[i]);
    if (relay_dir_path(path, dir, name) != TACET_OK)
        return TACET_E_MALFORMED;
    snprintf(name, sizeof name, "%s%s.replaced%s", relay_store_file, store_ends[i], count);
    return relay_dir_path(aside, dir, name);
}

static bool names_are_free(const char *dir, unsigned number)
{
    char path[RELAY_PATH_MAX], aside[RELAY_PATH_MAX];
    struct stat st;
    bool free_ = true;
    for (size_t i = 0; i < STORE_FILES; i++)
        free_ &= aside_names(dir, i, number, path, aside) != TACET_OK || lstat(path, &st) != 0 || lstat(aside, &st) != 0;
    return free_;
}

/* What is there moves aside; it is not deleted, and neither is what an earlier restore, finished or cut off, put aside. The database goes first: its log
 * alone is no store that could be opened. */
static int put_aside(const char *dir)
{
    char path[RELAY_PATH_MAX], aside[RELAY_PATH_MAX];
    unsigned number = 1;
    while (!names_are_free(dir, number))
        number++;
    for (size_t i = 0; i < STORE_FILES; i++) {
        if (aside_names(dir, i, number, path, aside) != TACET_OK)
            return TACET_E_MALFORMED;
        int rc = renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_NOREPLACE);
        if (rc != 0 && (errno == EINVAL || errno == ENOSYS)) /* not on this file system; we have looked, and have the lock */
            rc = rename(path, aside);
        if (rc != 0 && errno != ENOENT)
            return TACET_E_IO;
    }
    return TACET_OK;
}

/* What was written to it is in the file itself: a log beside it would be left behind, and the new incarnation with it. */
static bool stands_alone(const char *path)
{
    char log[RELAY_PATH_MAX + 16];
    snprintf(log, sizeof log, "%s-wal", path);
    return access(log, F_OK) != 0;
}

static exit_code restore_from(const options *o, const char *fresh_dir, const uint8_t key[32])
{
    char fresh[RELAY_PATH_MAX], place[RELAY_PATH_MAX];
    if (relay_dir_path(fresh, fresh_dir, relay_store_file) != TACET_OK || relay_dir_path(place, o->data, relay_store_file) != TACET_OK)
        return fail("the path of the directory is too long");
    if (copy_file(o->file, fresh) != TACET_OK)
        return fail("%s cannot be copied to %s: %s", o->file, fresh_dir, strerror(errno));
    exit_code rc = prove(fresh_dir, key);
    if (rc == EXIT_DONE && !stands_alone(fresh))
        rc = fail("the copy could not be completed in %s; make room there", fresh_dir);
    if (rc == EXIT_DONE &&
        (put_aside(o->data) != TACET_OK || sync_dir(o->data) != TACET_OK || rename(fresh, place) != 0 || sync_dir(o->data) != TACET_OK))
        rc = fail("the copy could not be put in place: %s; what was there ends in .replaced", strerror(errno));
    return rc;
}

/* Whatever a restore that was cut off, or this one, left in it: only files. */
static int remove_fresh(const char *fresh_dir)
{
    DIR *d = opendir(fresh_dir);
    if (!d)
        return errno == ENOENT ? TACET_OK : TACET_E_IO;
    for (const struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(dirfd(d), e->d_name, 0); /* what stays shows in rmdir */
    closedir(d);
    return rmdir(fresh_dir) == 0 ? TACET_OK : TACET_E_IO;
}

exit_code command_restore(const options *o)
{
    char why[RELAY_WHY_MAX], fresh_dir[RELAY_PATH_MAX];
    uint8_t key[32];
    int lock = -1;
    if (access(o->file, R_OK) != 0)
        return fail("%s: %s", o->file, strerror(errno));
    if (relay_dir_make(o->data, why) != TACET_OK)
        return fail("%s", why);
    exit_code out = lock_stopped(o, &lock);
    if (out != EXIT_DONE)
        return out;
    if (relay_key_load(key, o->data, o->key_file, why) != TACET_OK) {
        out = fail("%s. The copy opens with the database key of the relay that made it", why);
    } else if (relay_dir_path(fresh_dir, o->data, "restore.tmp") != TACET_OK) {
        out = fail("the path of the directory is too long");
    } else {
        bool made = remove_fresh(fresh_dir) == TACET_OK && mkdir(fresh_dir, 0700) == 0;
        out = made ? restore_from(o, fresh_dir, key) : fail("%s: %s", fresh_dir, strerror(errno));
        if (made && remove_fresh(fresh_dir) != TACET_OK)
            out = fail("%s cannot be removed: %s", fresh_dir, strerror(errno));
    }
    sodium_memzero(key, sizeof key);
    close(lock);
    return out;
}
