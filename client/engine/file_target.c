#include "file_target.h"
#include "base/limits.h"
#include "base/reader.h"
#include "beneath.h"
#include "protocol/content.h"
#include "transfer/manifest.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
    FLUSH_BYTES = 1024 * 1024,
    NUMBERS_MAX = 10000,
    RESERVE_BYTES = 1024 * 1024,
    HEAD_CHUNKS_MAX = (MANIFEST_MAX_BYTES + MANIFEST_LENGTH_BYTES) / TACET_CHUNK_PLAIN_BYTES + 1
};

struct file_target {
    int dir, fd; /* the folder that was chosen; the unfinished file, or of a folder: its manifest */
    char folder[4096], name[FILE_NAME_ROOM], part[FILE_NAME_ROOM], tree_part[FILE_NAME_ROOM];
    uint32_t form;
    uint64_t size, mtime_s;
    size_t unflushed; /* bytes written since the disk was last told to begin */
    /* of a folder */
    int tree_dir, open_fd;
    uint32_t open_entry;
    uint32_t head_bytes; /* length and manifest; 0: not known yet */
    uint32_t head_chunks;
    bool head_has[HEAD_CHUNKS_MAX];
    uint8_t *head;
    manifest *tree;
};

static trouble trouble_of_write(void)
{
    static const int of_others[] = { ENOENT, ENOTDIR, ESTALE, ELOOP, EXDEV, EISDIR, EEXIST }; /* what we made is not there, or something else is */
    if (errno == ENOSPC || errno == EDQUOT)
        return TROUBLE_DISK_FULL;
    for (size_t i = 0; i < sizeof of_others / sizeof *of_others; i++)
        if (errno == of_others[i])
            return TROUBLE_PART_CHANGED;
    return TROUBLE_TARGET_IO;
}

/* --- opening ------------------------------------------------------------------------------------------------------------------------------ */
/* Missing folders on the way are made, private to us. */
static bool folders_make(const char *path)
{
    char part[4096];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return false;
    for (size_t i = 1; i <= n; i++)
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            if (mkdir(part, 0700) != 0 && errno != EEXIST)
                return false;
        }
    return true;
}

static trouble has_room(int dir, uint64_t bytes)
{
    struct statvfs v;
    if (bytes == 0 || fstatvfs(dir, &v) != 0)
        return TROUBLE_NONE; /* some file systems cannot say */
    uint64_t unit = v.f_frsize ? v.f_frsize : v.f_bsize, free_bytes = (uint64_t)v.f_bavail * unit;
    if (free_bytes >= bytes && free_bytes - bytes >= RESERVE_BYTES)
        return TROUBLE_NONE;
    errno = ENOSPC;
    return TROUBLE_DISK_FULL;
}

/* The same folder, by whatever way it was come to. */
static bool is_folder(int dir, const char *path)
{
    struct stat mine, other;
    return path && fstat(dir, &mine) == 0 && stat(path, &other) == 0 && mine.st_dev == other.st_dev && mine.st_ino == other.st_ino;
}

static int names_of(const target_plan *p, char part[FILE_NAME_ROOM], char tree_part[FILE_NAME_ROOM])
{
    char tree_name[FILE_NAME_ROOM + 2];
    (void)snprintf(tree_name, sizeof tree_name, "%s.d", p->name);
    file_name_part(part, p->name, p->tag, sizeof p->tag);
    file_name_part(tree_part, tree_name, p->tag, sizeof p->tag);
    return open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What is written into must be the very file that we made: ours, a regular one, with no second name. */
static bool is_our_part(int fd, uint64_t stamp)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == geteuid() && (stamp == 0 || st.st_ino == stamp);
}

/* It was renamed, and we died before that was written down: the file's number tells. */
static bool finished_before(const file_target *t, uint64_t stamp, char *saved, size_t room)
{
    char name[FILE_NAME_ROOM];
    struct stat st;
    for (unsigned k = 1; k < NUMBERS_MAX; k++) {
        file_name_numbered(name, t->name, k);
        if (fstatat(t->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
        if (st.st_ino == stamp)
            return snprintf(saved, room, "%s/%s", t->folder, name) < (int)room;
    }
    return false;
}

static bool is_numbered(int dir, const char *name, uint64_t stamp)
{
    struct stat st;
    return stamp != 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == stamp;
}

/* Before the tag was ours alone it was made of the blob's id. */
static void old_names_of(const target_plan *p, char part[FILE_NAME_ROOM], char tree_part[FILE_NAME_ROOM])
{
    enum { OLD_TAG_BYTES = 4 };
    char tree_name[FILE_NAME_ROOM + 2];
    (void)snprintf(tree_name, sizeof tree_name, "%s.d", p->name);
    file_name_part(part, p->name, p->blob, OLD_TAG_BYTES);
    file_name_part(tree_part, tree_name, p->blob, OLD_TAG_BYTES);
}

/* What was begun in those days gets its name of today. */
static void adopt(const file_target *t, const target_plan *p)
{
    char part[FILE_NAME_ROOM], tree_part[FILE_NAME_ROOM];
    bool folder = t->form == FILE_FORM_FOLDER;
    old_names_of(p, part, tree_part);
    if (!is_numbered(t->dir, folder ? tree_part : part, p->stamp))
        return;
    (void)renameat2(t->dir, part, t->dir, t->part, RENAME_NOREPLACE); /* if it cannot be, it is not found, and that is said */
    if (folder)
        (void)renameat2(t->dir, tree_part, t->dir, t->tree_part, RENAME_NOREPLACE);
}

static trouble begin(file_target *t, uint64_t *stamp)
{
    struct stat st;
    (void)unlinkat(t->dir, t->part, 0); /* left behind by a start of this very download that was not written down: nobody else's has this tag */
    t->fd = open_beneath(t->dir, t->part, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (t->fd < 0)
        return errno == EACCES || errno == EROFS || errno == EPERM ? TROUBLE_TARGET_GONE : trouble_of_write();
    if (t->form == FILE_FORM_FOLDER) {
        if (mkdirat(t->dir, t->tree_part, 0700) != 0 && errno != EEXIST)
            return trouble_of_write();
        t->tree_dir = open_beneath(t->dir, t->tree_part, O_RDONLY | O_DIRECTORY, 0);
        if (t->tree_dir < 0)
            return trouble_of_write();
    } else if (ftruncate(t->fd, (off_t)t->size) != 0) {
        return trouble_of_write();
    }
    if (fstat(t->form == FILE_FORM_FOLDER ? t->tree_dir : t->fd, &st) != 0 || fsync(t->dir) != 0)
        return trouble_of_write();
    *stamp = st.st_ino;
    return TROUBLE_NONE;
}

static trouble carry_on(file_target *t, const target_plan *p, bool *done, char *saved, size_t room)
{
    bool folder = t->form == FILE_FORM_FOLDER;
    uint64_t stamp = p->stamp;
    struct stat st;
    adopt(t, p);
    t->fd = open_beneath(t->dir, t->part, O_RDWR | O_NONBLOCK, 0);
    if (folder)
        t->tree_dir = open_beneath(t->dir, t->tree_part, O_RDONLY | O_DIRECTORY, 0);
    if ((folder ? t->tree_dir : t->fd) < 0 && errno == ENOENT && finished_before(t, stamp, saved, room)) {
        *done = true;
        if (folder)
            (void)unlinkat(t->dir, t->part, 0);
        return TROUBLE_NONE;
    }
    if (t->fd < 0 || !is_our_part(t->fd, folder ? 0 : stamp))
        return TROUBLE_PART_CHANGED;
    if (folder && (t->tree_dir < 0 || fstat(t->tree_dir, &st) != 0 || st.st_ino != stamp))
        return TROUBLE_PART_CHANGED;
    return TROUBLE_NONE;
}

trouble file_target_open(file_target **out, const target_plan *p, uint64_t *stamp, bool *done, char *saved, size_t room)
{
    file_target *t = calloc(1, sizeof *t);
    if (!t) {
        errno = ENOMEM;
        return TROUBLE_TARGET_IO;
    }
    *t = (file_target){ .fd = -1, .tree_dir = -1, .open_fd = -1, .form = p->form, .size = p->size, .mtime_s = p->mtime_s };
    (void)snprintf(t->folder, sizeof t->folder, "%s", p->folder);
    (void)snprintf(t->name, sizeof t->name, "%s", p->name);
    trouble bad = TROUBLE_NONE;
    if (p->make && p->stamp == 0 && !folders_make(p->folder))
        bad = TROUBLE_TARGET_GONE;
    if (!bad && (t->dir = names_of(p, t->part, t->tree_part)) < 0)
        bad = TROUBLE_TARGET_GONE;
    if (!bad && p->stamp == 0 && is_folder(t->dir, p->never))
        bad = TROUBLE_TARGET_GONE;
    *done = false;
    *stamp = p->stamp;
    if (!bad)
        bad = p->stamp ? carry_on(t, p, done, saved, room) : has_room(t->dir, p->bytes_left);
    if (!bad && !p->stamp)
        bad = begin(t, stamp);
    if (!bad && p->stamp && !*done)
        bad = has_room(t->dir, p->bytes_left);
    if (bad) {
        int why = errno;
        if (!p->stamp && t->fd > 0) { /* nobody will know of it */
            (void)unlinkat(t->dir, t->part, 0);
            (void)unlinkat(t->dir, t->tree_part, AT_REMOVEDIR);
        }
        file_target_close(t);
        errno = why;
    } else {
        *out = t;
    }
    return bad;
}

file_target *file_target_close(file_target *t)
{
    if (!t)
        return NULL;
    int fds[] = { t->dir, t->fd, t->tree_dir, t->open_fd };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] > 0)
            close(fds[i]);
    manifest_free(t->tree);
    free(t->head);
    free(t);
    return NULL;
}

/* --- writing -------------------------------------------------------------------------------------------------------------------------------- */
/* What is all zeros is left out: the file has its length already, so a hole stays a hole. */
static bool all_zero(const uint8_t *bytes, size_t n) { return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0); }

static trouble write_at(int fd, uint64_t offset, const uint8_t *bytes, size_t n)
{
    if (all_zero(bytes, n))
        return TROUBLE_NONE;
    while (n) {
        ssize_t put = pwrite(fd, bytes, n, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return trouble_of_write();
        bytes += put;
        offset += (uint64_t)put;
        n -= (size_t)put;
    }
    return TROUBLE_NONE;
}

static void path_of(const manifest_entry *e, char path[MANIFEST_PATH_MAX_BYTES + 1])
{
    memcpy(path, e->path, e->path_bytes);
    path[e->path_bytes] = '\0';
}

static trouble entry_open(file_target *t, uint32_t entry)
{
    char path[MANIFEST_PATH_MAX_BYTES + 1];
    if (t->open_fd >= 0 && t->open_entry == entry)
        return TROUBLE_NONE;
    if (t->open_fd >= 0)
        close(t->open_fd);
    manifest_entry e = manifest_at(t->tree, entry);
    path_of(&e, path);
    t->open_fd = open_beneath(t->tree_dir, path, O_RDWR | O_NONBLOCK, 0);
    t->open_entry = entry;
    return t->open_fd >= 0 && is_our_part(t->open_fd, 0) ? TROUBLE_NONE : TROUBLE_PART_CHANGED;
}

/* A piece of the stream behind the manifest, into the files that it belongs to. */
static trouble scatter(file_target *t, uint64_t offset, const uint8_t *bytes, size_t n)
{
    while (n) {
        uint32_t entry = manifest_find(t->tree, offset);
        uint64_t at = offset - manifest_offset(t->tree, entry), left = manifest_at(t->tree, entry).size - at;
        size_t some = n < left ? n : (size_t)left;
        trouble bad = entry_open(t, entry);
        if (!bad)
            bad = write_at(t->open_fd, at, bytes, some);
        if (bad)
            return bad;
        bytes += some;
        offset += some;
        n -= some;
    }
    return TROUBLE_NONE;
}

static int parent_of(file_target *t, char *path, const char **name)
{
    char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!slash)
        return open_beneath(t->tree_dir, ".", O_RDONLY | O_DIRECTORY, 0);
    *slash = '\0';
    return open_beneath(t->tree_dir, path, O_RDONLY | O_DIRECTORY, 0);
}

static trouble folder_make(file_target *t, char *path)
{
    const char *name = NULL;
    int parent = parent_of(t, path, &name);
    if (parent < 0)
        return trouble_of_write();
    trouble bad = mkdirat(parent, name, 0700) == 0 || errno == EEXIST ? TROUBLE_NONE : trouble_of_write();
    close(parent);
    return bad;
}

static trouble file_make(file_target *t, const char *path, uint64_t size)
{
    int fd = open_beneath(t->tree_dir, path, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
    if (fd < 0)
        return trouble_of_write();
    trouble bad = is_our_part(fd, 0) ? TROUBLE_NONE : TROUBLE_PART_CHANGED;
    if (!bad && ftruncate(fd, (off_t)size) != 0)
        bad = trouble_of_write();
    close(fd);
    return bad;
}

/* All folders and files, empty, each with its length; those that are there already are from before a restart. */
static trouble tree_make(file_target *t)
{
    char path[MANIFEST_PATH_MAX_BYTES + 1];
    trouble bad = TROUBLE_NONE;
    for (uint32_t i = 0; !bad && i < manifest_count(t->tree); i++) {
        manifest_entry e = manifest_at(t->tree, i);
        path_of(&e, path);
        bad = e.kind == MANIFEST_FOLDER ? folder_make(t, path) : file_make(t, path, e.size);
    }
    return bad;
}

static bool read_all(int fd, uint64_t offset, uint8_t *out, size_t n)
{
    while (n) {
        ssize_t got = pread(fd, out, n, (off_t)offset);
        if (got <= 0)
            return false;
        out += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

/* The manifest is here: the tree is made, and what lies behind the manifest in its last chunk goes where it belongs. */
static trouble head_complete(file_target *t)
{
    uint64_t end = (uint64_t)t->head_chunks * TACET_CHUNK_PLAIN_BYTES;
    if (end > t->size)
        end = t->size;
    if (end < t->head_bytes)
        return TROUBLE_MANIFEST; /* head_known has looked: it cannot be */
    t->head = malloc((size_t)end + 1);
    if (!t->head || !read_all(t->fd, 0, t->head, (size_t)end))
        return TROUBLE_TARGET_IO;
    int rc = manifest_read(&t->tree, t->head + MANIFEST_LENGTH_BYTES, t->head_bytes - MANIFEST_LENGTH_BYTES, t->size);
    if (rc != TACET_OK)
        return rc == TACET_E_MALFORMED ? TROUBLE_MANIFEST : TROUBLE_TARGET_IO;
    trouble bad = tree_make(t);
    return bad ? bad : scatter(t, t->head_bytes, t->head + t->head_bytes, (size_t)end - t->head_bytes);
}

static trouble head_known(file_target *t, const uint8_t *first, size_t n)
{
    reader r = reader_over(first, n);
    uint64_t manifest_bytes = read_be(&r, MANIFEST_LENGTH_BYTES);
    if (r.bad || manifest_bytes > MANIFEST_MAX_BYTES || manifest_bytes + MANIFEST_LENGTH_BYTES > t->size)
        return TROUBLE_MANIFEST;
    t->head_bytes = (uint32_t)manifest_bytes + MANIFEST_LENGTH_BYTES;
    t->head_chunks = (t->head_bytes + TACET_CHUNK_PLAIN_BYTES - 1) / TACET_CHUNK_PLAIN_BYTES;
    return ftruncate(t->fd, (off_t)((uint64_t)t->head_chunks * TACET_CHUNK_PLAIN_BYTES)) == 0 ? TROUBLE_NONE : trouble_of_write();
}

static trouble head_write(file_target *t, uint64_t offset, const uint8_t *bytes, size_t n, bool *later)
{
    uint32_t chunk = (uint32_t)(offset / TACET_CHUNK_PLAIN_BYTES);
    trouble bad = TROUBLE_NONE;
    if (chunk == 0 && !t->head_bytes)
        bad = head_known(t, bytes, n);
    *later = !bad && (!t->head_bytes || chunk >= t->head_chunks);
    if (bad || *later)
        return bad;
    bad = write_at(t->fd, offset, bytes, n);
    if (bad)
        return bad;
    t->head_has[chunk] = true;
    for (uint32_t i = 0; i < t->head_chunks; i++)
        if (!t->head_has[i])
            return TROUBLE_NONE;
    return head_complete(t);
}

/* The disk begins while more chunks come, so that the sync, which the sender waits for, has little left to wait for. What fails here fails there. */
static void flush_soon(file_target *t, size_t n)
{
    t->unflushed += n;
    if (t->unflushed < FLUSH_BYTES)
        return;
    (void)sync_file_range(t->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    t->unflushed = 0;
}

trouble file_target_write(file_target *t, uint64_t offset, const uint8_t *bytes, size_t n, bool *later)
{
    *later = false;
    if (t->form == FILE_FORM_FILE) {
        flush_soon(t, n);
        return write_at(t->fd, offset, bytes, n);
    }
    return t->tree ? scatter(t, offset, bytes, n) : head_write(t, offset, bytes, n, later);
}

trouble file_target_resume(file_target *t, uint32_t chunks)
{
    uint8_t length[MANIFEST_LENGTH_BYTES] = { 0 };
    if (t->form == FILE_FORM_FILE || chunks == 0)
        return TROUBLE_NONE;
    if (!read_all(t->fd, 0, length, sizeof length))
        return TROUBLE_PART_CHANGED;
    trouble bad = head_known(t, length, sizeof length);
    for (uint32_t i = 0; !bad && i < chunks && i < t->head_chunks; i++)
        t->head_has[i] = true;
    return !bad && chunks >= t->head_chunks ? head_complete(t) : bad;
}

/* A folder may have thousands of small files in one batch: the file system as a whole is quicker than each of them. */
trouble file_target_sync(file_target *t)
{
    int rc = t->form == FILE_FORM_FOLDER ? syncfs(t->dir) : fdatasync(t->fd);
    return rc == 0 ? TROUBLE_NONE : trouble_of_write();
}

/* --- the end ----------------------------------------------------------------------------------------------------------------------------------- */
static void set_mtime(int fd, uint64_t mtime_s)
{
    const struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)mtime_s } };
    (void)futimens(fd, t); /* a date that this file system cannot hold is no reason to lose the file */
}

static void tree_mtimes(file_target *t)
{
    for (uint32_t i = 0; i < manifest_count(t->tree); i++) {
        manifest_entry e = manifest_at(t->tree, i);
        if (e.kind == MANIFEST_FILE && entry_open(t, i) == TROUBLE_NONE)
            set_mtime(t->open_fd, e.mtime_s);
    }
}

/* 1: done, 0: the name is taken, -1: errno. */
static int give_name(const file_target *t, const char *from, const char *to)
{
    if (renameat2(t->dir, from, t->dir, to, RENAME_NOREPLACE) == 0)
        return 1;
    if (errno == EEXIST)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (t->form == FILE_FORM_FOLDER) { /* a file system without that flag: take the name first, then replace what we ourselves put there */
        if (mkdirat(t->dir, to, 0700) != 0)
            return errno == EEXIST ? 0 : -1;
        return renameat(t->dir, from, t->dir, to) == 0 ? 1 : -1;
    }
    if (linkat(t->dir, from, t->dir, to, 0) != 0)
        return errno == EEXIST ? 0 : -1;
    return unlinkat(t->dir, from, 0) == 0 ? 1 : -1;
}

/* The name is that of what was written, and of nothing that was put in its place. */
static bool is_ours(const file_target *t, const char *name)
{
    struct stat ours, named;
    return fstat(t->form == FILE_FORM_FOLDER ? t->tree_dir : t->fd, &ours) == 0 && fstatat(t->dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

trouble file_target_finish(file_target *t, char *saved, size_t room)
{
    char name[FILE_NAME_ROOM];
    bool folder = t->form == FILE_FORM_FOLDER;
    int given = 0;
    if (folder && !t->tree)
        return TROUBLE_MANIFEST;
    if (folder)
        tree_mtimes(t);
    else
        set_mtime(t->fd, t->mtime_s);
    if ((folder ? syncfs(t->dir) : fsync(t->fd)) != 0)
        return trouble_of_write();
    if (!is_ours(t, folder ? t->tree_part : t->part))
        return TROUBLE_PART_CHANGED;
    for (unsigned k = 1; given == 0 && k < NUMBERS_MAX; k++) {
        file_name_numbered(name, t->name, k);
        given = give_name(t, folder ? t->tree_part : t->part, name);
    }
    if (given <= 0)
        return given < 0 ? trouble_of_write() : TROUBLE_TARGET_IO;
    if (!is_ours(t, name)) /* swapped between the look and the renaming */
        return TROUBLE_PART_CHANGED;
    if (folder)
        (void)unlinkat(t->dir, t->part, 0);
    if (fsync(t->dir) != 0)
        return trouble_of_write();
    (void)snprintf(saved, room, "%s/%s", strcmp(t->folder, "/") == 0 ? "" : t->folder, name);
    return TROUBLE_NONE;
}

/* Removes what is in a folder that we made, and nothing that a link points to. */
static void remove_tree(int dir, const char *name, unsigned depth);
static void remove_inside(int fd, unsigned depth)
{
    DIR *d = fdopendir(fd);
    const struct dirent *e;
    if (!d) {
        close(fd);
        return;
    }
    while ((e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlinkat(dirfd(d), e->d_name, 0) != 0 && depth < MANIFEST_DEPTH_MAX + 1)
            remove_tree(dirfd(d), e->d_name, depth + 1);
    closedir(d);
}

static void remove_tree(int dir, const char *name, unsigned depth)
{
    int fd = open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0)
        remove_inside(fd, depth);
    (void)unlinkat(dir, name, AT_REMOVEDIR);
}

bool file_target_discard(const target_plan *p)
{
    char part[FILE_NAME_ROOM], tree_part[FILE_NAME_ROOM];
    bool folder = p->form == FILE_FORM_FOLDER;
    int dir = names_of(p, part, tree_part);
    if (dir < 0)
        return errno == ENOENT || errno == ENOTDIR;
    const char *numbered = folder ? tree_part : part;
    if (!is_numbered(dir, numbered, p->stamp))
        old_names_of(p, part, tree_part); /* begun by an earlier build, and never opened since */
    if (is_numbered(dir, numbered, p->stamp)) {
        (void)unlinkat(dir, part, 0);
        if (folder)
            remove_tree(dir, tree_part, 0);
    }
    bool gone = !is_numbered(dir, numbered, p->stamp);
    close(dir);
    return gone;
}
