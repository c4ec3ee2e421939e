#include "file_source.h"
#include "base/reader.h"
#include "base/writer.h"
#include "beneath.h"
#include "protocol/content.h"
#include "transfer/manifest.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { STAMP_BYTES = 8, WALK_OPEN_MAX = MANIFEST_DEPTH_MAX };

struct file_source {
    int fd; /* the file, or the folder */
    uint64_t size, stamp;
    /* of a folder: record = u32 length | manifest | a stamp for each entry */
    uint8_t *record;
    size_t record_bytes, manifest_bytes;
    manifest *tree;
    int open_fd; /* the file that was read last, -1: none */
    uint32_t open_entry;
};

/* What a change of content cannot leave as it is, unless somebody sets the clock back on purpose; then the leaves still tell. */
static uint64_t stamp_of(const struct stat *s)
{
    uint64_t x = (uint64_t)s->st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)s->st_mtim.tv_nsec;
    x ^= (uint64_t)s->st_ino * UINT64_C(0x9e3779b97f4a7c15);
    x ^= (uint64_t)s->st_size * UINT64_C(0xc2b2ae3d27d4eb4f);
    return x ? x : 1;
}

static trouble trouble_of_open(void) { return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? TROUBLE_SOURCE_GONE : TROUBLE_SOURCE_IO; }

static uint64_t mtime_of(const struct stat *s) { return s->st_mtim.tv_sec > 0 ? (uint64_t)s->st_mtim.tv_sec : 0; }

static file_source *source_new(int fd)
{
    file_source *s = calloc(1, sizeof *s);
    if (s)
        *s = (file_source){ .fd = fd, .open_fd = -1 };
    return s;
}

file_source *file_source_close(file_source *s)
{
    if (!s)
        return NULL;
    if (s->fd >= 0)
        close(s->fd);
    if (s->open_fd >= 0)
        close(s->open_fd);
    manifest_free(s->tree);
    free(s->record);
    free(s);
    return NULL;
}

/* --- walking through a folder ----------------------------------------------------------------------------------------------------------- */
typedef struct {
    char *path;
    struct stat st;
} found;
typedef struct {
    found *item;
    size_t count, room;
    uint32_t skipped;
    trouble bad;
} walk;

static void walk_free(walk *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->item[i].path);
    free(w->item);
}

static bool walk_keep(walk *w, const char *folder, const char *name, const struct stat *st)
{
    char *path = NULL;
    if (w->count == MANIFEST_ENTRIES_MAX) {
        errno = EFBIG;
        return false;
    }
    if (w->count == w->room) {
        size_t room = w->room ? 2 * w->room : 256;
        found *more = realloc(w->item, room * sizeof *more);
        if (!more)
            return false;
        w->item = more;
        w->room = room;
    }
    if (asprintf(&path, "%s%s%s", folder, *folder ? "/" : "", name) < 0)
        return false;
    w->item[w->count++] = (found){ path, *st };
    return true;
}

static void walk_folder(walk *w, int fd, const char *folder, unsigned depth);

static void walk_entry(walk *w, int dir, const char *folder, const char *name, unsigned depth)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        w->bad = errno == ENOENT ? TROUBLE_NONE : TROUBLE_SOURCE_IO; /* gone since it was listed: it was never offered */
        return;
    }
    bool is_folder = S_ISDIR(st.st_mode);
    if ((!is_folder && !S_ISREG(st.st_mode)) || depth == MANIFEST_DEPTH_MAX) {
        w->skipped++;
        return;
    }
    if (!walk_keep(w, folder, name, &st)) {
        w->bad = TROUBLE_SOURCE_IO;
    } else if (is_folder) {
        const char *path = w->item[w->count - 1].path;
        int fd = open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
            w->bad = TROUBLE_SOURCE_IO;
        else
            walk_folder(w, fd, path, depth + 1);
    }
}

/* Takes fd. */
static void walk_folder(walk *w, int fd, const char *folder, unsigned depth)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *d;
    if (!dir) {
        close(fd);
        w->bad = TROUBLE_SOURCE_IO;
        return;
    }
    char *own = strdup(folder); /* the list may move */
    while (own && !w->bad && (d = readdir(dir)) != NULL)
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            walk_entry(w, dirfd(dir), own, d->d_name, depth);
    if (!own)
        w->bad = TROUBLE_SOURCE_IO;
    free(own);
    closedir(dir);
}

static int by_path(const void *a, const void *b) { return strcmp(((const found *)a)->path, ((const found *)b)->path); }

/* --- the record of a folder --------------------------------------------------------------------------------------------------------------- */
static bool record_make(file_source *s, const walk *w)
{
    manifest_out m = { 0 };
    bool ok = true;
    uint64_t bytes = 0;
    for (size_t i = 0; ok && i < w->count; i++) {
        const struct stat *st = &w->item[i].st;
        bool folder = S_ISDIR(st->st_mode);
        manifest_entry e = { .kind = folder ? MANIFEST_FOLDER : MANIFEST_FILE,
                             .mode = st->st_mode & TACET_FILE_MODE_MAX,
                             .mtime_s = mtime_of(st),
                             .size = folder ? 0 : (uint64_t)st->st_size,
                             .path = w->item[i].path,
                             .path_bytes = (uint16_t)strnlen(w->item[i].path, UINT16_MAX) };
        ok = manifest_add(&m, &e) == TACET_OK;
        bytes += e.size;
    }
    s->manifest_bytes = m.used;
    s->record_bytes = MANIFEST_LENGTH_BYTES + m.used + w->count * STAMP_BYTES;
    s->size = MANIFEST_LENGTH_BYTES + m.used + bytes;
    s->record = ok ? malloc(s->record_bytes) : NULL;
    if (s->record) {
        writer out = writer_over(s->record, s->record_bytes);
        write_be(&out, m.used, MANIFEST_LENGTH_BYTES);
        write_bytes(&out, m.bytes, m.used);
        for (size_t i = 0; i < w->count; i++)
            write_be(&out, S_ISDIR(w->item[i].st.st_mode) ? 0 : stamp_of(&w->item[i].st), STAMP_BYTES);
    }
    manifest_out_free(&m);
    if (!ok)
        errno = EFBIG;
    return s->record != NULL;
}

/* A path that no manifest may carry (too long, not UTF-8) fails here, on our own side. */
static bool tree_read(file_source *s)
{
    reader r = reader_over(s->record, s->record_bytes);
    s->manifest_bytes = (size_t)read_be(&r, MANIFEST_LENGTH_BYTES);
    const uint8_t *bytes = read_view(&r, s->manifest_bytes);
    if (r.bad || manifest_read(&s->tree, bytes, s->manifest_bytes, s->size) != TACET_OK) {
        errno = EILSEQ;
        return false;
    }
    return reader_left(&r) == (size_t)manifest_count(s->tree) * STAMP_BYTES;
}

static trouble folder_open(file_source *s, source_facts *facts)
{
    walk w = { 0 };
    int fd = open_beneath(s->fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return TROUBLE_SOURCE_IO;
    walk_folder(&w, fd, "", 0);
    if (w.count)
        qsort(w.item, w.count, sizeof *w.item, by_path);
    if (!w.bad && (!record_make(s, &w) || !tree_read(s)))
        w.bad = TROUBLE_SOURCE_IO;
    facts->skipped = w.skipped;
    facts->record = s->record;
    facts->record_bytes = s->record_bytes;
    int why = errno;
    walk_free(&w);
    errno = why;
    return w.bad;
}

trouble file_source_open(file_source **out, const char *path, source_facts *facts)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not make us wait */
    if (fd < 0)
        return trouble_of_open();
    file_source *s = source_new(fd);
    trouble bad = s && fstat(fd, &st) == 0 ? TROUBLE_NONE : TROUBLE_SOURCE_IO;
    *facts = (source_facts){ .form = FILE_FORM_FILE };
    if (!bad && S_ISDIR(st.st_mode)) {
        facts->form = FILE_FORM_FOLDER;
        bad = folder_open(s, facts);
        s->stamp = 1;
    } else if (!bad && S_ISREG(st.st_mode)) {
        s->size = (uint64_t)st.st_size;
        s->stamp = stamp_of(&st);
    } else if (!bad) {
        bad = TROUBLE_SOURCE_IO;
        errno = EINVAL;
    }
    if (bad) {
        int why = errno;
        if (s)
            file_source_close(s);
        else
            close(fd);
        errno = why;
        return bad;
    }
    facts->mode = st.st_mode & TACET_FILE_MODE_MAX;
    facts->mtime_s = mtime_of(&st);
    facts->size = s->size;
    facts->stamp = s->stamp;
    *out = s;
    return TROUBLE_NONE;
}

trouble file_source_again(file_source **out, const char *path, uint64_t size, uint64_t stamp, const uint8_t *record, size_t record_bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return trouble_of_open();
    file_source *s = source_new(fd);
    trouble bad = s && fstat(fd, &st) == 0 ? TROUBLE_NONE : TROUBLE_SOURCE_IO;
    if (!bad) {
        s->size = size;
        s->stamp = stamp;
    }
    if (!bad && record) {
        s->record = malloc(record_bytes);
        s->record_bytes = record_bytes;
        if (s->record)
            memcpy(s->record, record, record_bytes);
        bad = !S_ISDIR(st.st_mode) ? TROUBLE_SOURCE_CHANGED : s->record && tree_read(s) ? TROUBLE_NONE : TROUBLE_SOURCE_IO;
    } else if (!bad && (!S_ISREG(st.st_mode) || stamp_of(&st) != stamp)) {
        bad = TROUBLE_SOURCE_CHANGED;
    }
    if (!bad)
        *out = s;
    else if (s)
        file_source_close(s);
    else
        close(fd);
    return bad;
}

/* --- reading --------------------------------------------------------------------------------------------------------------------------------- */
static trouble still_the_same(int fd, uint64_t stamp)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return TROUBLE_SOURCE_IO;
    if (stamp_of(&st) != stamp)
        return TROUBLE_SOURCE_CHANGED;
    return st.st_nlink == 0 ? TROUBLE_SOURCE_GONE : TROUBLE_NONE;
}

static trouble read_at(int fd, uint64_t offset, uint8_t *out, size_t n)
{
    while (n) {
        ssize_t got = pread(fd, out, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return TROUBLE_SOURCE_IO;
        if (got == 0)
            return TROUBLE_SOURCE_CHANGED; /* shorter than it was */
        out += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return TROUBLE_NONE;
}

static uint64_t stamp_at(const file_source *s, uint32_t entry)
{
    reader r = reader_over(s->record + MANIFEST_LENGTH_BYTES + s->manifest_bytes + (size_t)entry * STAMP_BYTES, STAMP_BYTES);
    return read_be(&r, STAMP_BYTES);
}

static trouble entry_open(file_source *s, uint32_t entry)
{
    char path[MANIFEST_PATH_MAX_BYTES + 1];
    if (s->open_fd >= 0 && s->open_entry == entry)
        return TROUBLE_NONE;
    if (s->open_fd >= 0)
        close(s->open_fd);
    manifest_entry e = manifest_at(s->tree, entry);
    memcpy(path, e.path, e.path_bytes);
    path[e.path_bytes] = '\0';
    s->open_fd = open_beneath(s->fd, path, O_RDONLY | O_NONBLOCK, 0);
    s->open_entry = entry;
    return s->open_fd >= 0 ? TROUBLE_NONE : trouble_of_open();
}

/* A piece of the stream that lies in one file. */
static trouble read_entry(file_source *s, uint64_t offset, uint8_t *out, size_t n, size_t *read)
{
    uint32_t entry = manifest_find(s->tree, offset);
    uint64_t at = offset - manifest_offset(s->tree, entry), left = manifest_at(s->tree, entry).size - at;
    *read = n < left ? n : (size_t)left;
    trouble bad = entry_open(s, entry);
    if (!bad)
        bad = read_at(s->open_fd, at, out, *read);
    return bad ? bad : still_the_same(s->open_fd, stamp_at(s, entry));
}

trouble file_source_read(file_source *s, uint64_t offset, uint8_t *out, size_t n)
{
    if (!s->tree) {
        trouble bad = read_at(s->fd, offset, out, n);
        return bad ? bad : still_the_same(s->fd, s->stamp);
    }
    uint64_t head = MANIFEST_LENGTH_BYTES + s->manifest_bytes;
    while (n) {
        size_t some = 0;
        trouble bad = TROUBLE_NONE;
        if (offset < head) {
            some = n < head - offset ? n : (size_t)(head - offset);
            memcpy(out, s->record + offset, some);
        } else {
            bad = read_entry(s, offset, out, n, &some);
        }
        if (bad)
            return bad;
        out += some;
        offset += some;
        n -= some;
    }
    return TROUBLE_NONE;
}
