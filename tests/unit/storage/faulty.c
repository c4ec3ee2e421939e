#include "faulty.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, FILES_MAX = 64 };

typedef struct change {
    struct change *next;
    int64_t at;   /* of a write */
    int64_t size; /* of a truncation, -1: a write */
    size_t bytes;
    uint8_t data[];
} change;

typedef struct {
    char path[512];
    uint8_t *durable; /* what the last sync left */
    int64_t durable_bytes, durable_room;
    change *first, **last;
    bool named;   /* its name is durable */
    bool deleted; /* but nobody synced the folder */
} disk_file;

typedef struct {
    sqlite3_file base;
    disk_file *disk;
    sqlite3_file *real;
} faulty_file;

static struct {
    bool installed, off;
    pthread_mutex_t lock;
    sqlite3_vfs vfs, *real;
    disk_file file[FILES_MAX];
    unsigned files, kinds;
    uint64_t steps, fail_at, power_at, kill_at, random;
    int code, error, last_error;
    const void *marker;
    size_t marker_bytes;
    uint64_t seen, temporary;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t draw(void)
{
    disk.random += 0x9e3779b97f4a7c15u;
    uint64_t z = disk.random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    return z ^ z >> 29;
}

/* --- what the disk holds ------------------------------------------------------------------------------------------------------------------- */
static void changes_drop(disk_file *f)
{
    for (change *c = f->first, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    f->first = NULL;
    f->last = &f->first;
}

static void disk_forget(disk_file *f)
{
    changes_drop(f);
    free(f->durable);
    *f = (disk_file){ .last = &f->first };
}

static disk_file *disk_find(const char *path)
{
    for (unsigned i = 0; i < disk.files; i++)
        if (strcmp(disk.file[i].path, path) == 0)
            return &disk.file[i];
    return NULL;
}

static void durable_grow(disk_file *f, int64_t bytes)
{
    if (bytes <= f->durable_bytes)
        return;
    if (bytes > f->durable_room) {
        f->durable_room = 2 * bytes;
        f->durable = realloc(f->durable, (size_t)f->durable_room);
        assert(f->durable);
    }
    memset(f->durable + f->durable_bytes, 0, (size_t)(bytes - f->durable_bytes));
    f->durable_bytes = bytes;
}

static void durable_apply(disk_file *f, const change *c, size_t from, size_t n)
{
    durable_grow(f, c->at + (int64_t)(from + n));
    memcpy(f->durable + c->at + (int64_t)from, c->data + from, n);
}

static void durable_read(disk_file *f, int fd)
{
    struct stat st;
    int rc = fstat(fd, &st);
    assert(rc == 0);
    durable_grow(f, st.st_size);
    ssize_t n = pread(fd, f->durable, (size_t)st.st_size, 0);
    assert(n == st.st_size);
}

/* A file seen for the first time holds what it holds; one that was renamed from .new brings what was not synced. */
static disk_file *disk_open(const char *path)
{
    char fresh[520];
    disk_file *f = disk_find(path);
    if (f && f->deleted) { /* another file of that name */
        f->deleted = f->named = false;
        f->durable_bytes = 0;
    }
    if (f)
        return f;
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    f = disk_find(fresh);
    if (f && access(fresh, F_OK) != 0 && access(path, F_OK) == 0) {
        (void)snprintf(f->path, sizeof f->path, "%s", path);
        return f;
    }
    assert(disk.files < FILES_MAX);
    f = &disk.file[disk.files++];
    *f = (disk_file){ .last = &f->first };
    (void)snprintf(f->path, sizeof f->path, "%s", path);
    int fd = open(path, O_RDONLY);
    f->named = fd >= 0;
    if (fd >= 0) {
        durable_read(f, fd);
        (void)close(fd);
    }
    return f;
}

static void disk_change(disk_file *f, int64_t at, int64_t size, const void *data, size_t bytes)
{
    change *c = malloc(sizeof *c + bytes);
    assert(c);
    *c = (change){ .at = at, .size = size, .bytes = bytes };
    if (bytes)
        memcpy(c->data, data, bytes);
    *f->last = c;
    f->last = &c->next;
}

static void truncated(disk_file *f, int64_t size)
{
    if (size < f->durable_bytes)
        f->durable_bytes = size;
    durable_grow(f, size);
}

static void disk_sync(disk_file *f)
{
    for (const change *c = f->first; c; c = c->next)
        c->size >= 0 ? truncated(f, c->size) : durable_apply(f, c, 0, c->bytes);
    changes_drop(f);
    for (unsigned i = 0; !f->named && i < disk.files; i++) /* SQLite syncs the folder with the first sync of a new file */
        if (disk.file[i].deleted)
            disk.file[i].named = false;
    f->named = true;
}

/* --- steps -------------------------------------------------------------------------------------------------------------------------------- */
static int step(faulty_step kind)
{
    int rc = SQLITE_OK;
    (void)pthread_mutex_lock(&disk.lock);
    if (disk.off) {
        rc = SQLITE_IOERR;
    } else if (disk.kinds & kind) {
        disk.steps++;
        if (disk.steps == disk.fail_at) {
            rc = disk.code;
            errno = disk.last_error = disk.error;
        }
        if (disk.steps == disk.power_at) {
            disk.off = true;
            rc = SQLITE_IOERR;
        }
        if (disk.steps == disk.kill_at && kind != STEP_WRITE)
            (void)raise(SIGKILL);
    }
    (void)pthread_mutex_unlock(&disk.lock);
    return rc;
}

/* --- file methods ------------------------------------------------------------------------------------------------------------------------- */
#define REAL(f) (((faulty_file *)(void *)(f))->real)
#define DISK(f) (((faulty_file *)(void *)(f))->disk)

static int f_close(sqlite3_file *f)
{
    int rc = REAL(f)->pMethods->xClose(REAL(f));
    free(REAL(f));
    return rc;
}
static int f_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at) { return REAL(f)->pMethods->xRead(REAL(f), out, n, at); }
static int f_write(sqlite3_file *f, const void *in, int n, sqlite3_int64 at)
{
    int rc = step(STEP_WRITE);
    (void)pthread_mutex_lock(&disk.lock);
    if (disk.marker && memmem(in, (size_t)n, disk.marker, disk.marker_bytes))
        disk.seen++;
    bool lost = rc != SQLITE_OK && disk.off && disk.steps == disk.power_at;
    if (DISK(f) && (rc == SQLITE_OK || lost)) /* the write during which the power goes may get through in parts */
        disk_change(DISK(f), at, -1, in, (size_t)n);
    (void)pthread_mutex_unlock(&disk.lock);
    if (disk.kill_at != 0 && disk.steps == disk.kill_at) {
        (void)REAL(f)->pMethods->xWrite(REAL(f), in, n / 2, at); /* nobody is left to hear of it */
        (void)raise(SIGKILL);
    }
    return rc == SQLITE_OK ? REAL(f)->pMethods->xWrite(REAL(f), in, n, at) : rc;
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = step(STEP_TRUNCATE);
    (void)pthread_mutex_lock(&disk.lock);
    if (DISK(f) && rc == SQLITE_OK)
        disk_change(DISK(f), 0, size, NULL, 0);
    (void)pthread_mutex_unlock(&disk.lock);
    return rc == SQLITE_OK ? REAL(f)->pMethods->xTruncate(REAL(f), size) : rc;
}
static int f_sync(sqlite3_file *f, int flags)
{
    int rc = step(STEP_SYNC);
    (void)flags;
    (void)pthread_mutex_lock(&disk.lock);
    if (DISK(f) && rc == SQLITE_OK)
        disk_sync(DISK(f));
    (void)pthread_mutex_unlock(&disk.lock);
    return rc; /* nothing here needs the real disk */
}
static int f_size(sqlite3_file *f, sqlite3_int64 *size) { return REAL(f)->pMethods->xFileSize(REAL(f), size); }
static int f_lock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xLock(REAL(f), l); }
static int f_unlock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xUnlock(REAL(f), l); }
static int f_reserved(sqlite3_file *f, int *out) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out); }
static int f_control(sqlite3_file *f, int op, void *arg) { return REAL(f)->pMethods->xFileControl(REAL(f), op, arg); }
static int f_sector(sqlite3_file *f) { return REAL(f)->pMethods->xSectorSize(REAL(f)); }
static int f_characteristics(sqlite3_file *f) { return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f)); }
static int f_shm_map(sqlite3_file *f, int page, int bytes, int extend, void volatile **out)
{
    return REAL(f)->pMethods->xShmMap(REAL(f), page, bytes, extend, out);
}
static int f_shm_lock(sqlite3_file *f, int at, int n, int flags) { return REAL(f)->pMethods->xShmLock(REAL(f), at, n, flags); }
static void f_shm_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }
static int f_shm_unmap(sqlite3_file *f, int remove) { return REAL(f)->pMethods->xShmUnmap(REAL(f), remove); }

static const sqlite3_io_methods methods = { .iVersion = 2,
                                            .xClose = f_close,
                                            .xRead = f_read,
                                            .xWrite = f_write,
                                            .xTruncate = f_truncate,
                                            .xSync = f_sync,
                                            .xFileSize = f_size,
                                            .xLock = f_lock,
                                            .xUnlock = f_unlock,
                                            .xCheckReservedLock = f_reserved,
                                            .xFileControl = f_control,
                                            .xSectorSize = f_sector,
                                            .xDeviceCharacteristics = f_characteristics,
                                            .xShmMap = f_shm_map,
                                            .xShmLock = f_shm_lock,
                                            .xShmBarrier = f_shm_barrier,
                                            .xShmUnmap = f_shm_unmap };

/* --- the VFS ------------------------------------------------------------------------------------------------------------------------------- */
static int v_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *out, int flags, int *out_flags)
{
    (void)v;
    faulty_file *f = (faulty_file *)(void *)out;
    bool kept = flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL);
    *f = (faulty_file){ 0 };
    int rc = step(STEP_OPEN);
    if (rc != SQLITE_OK)
        return rc;
    (void)pthread_mutex_lock(&disk.lock);
    disk.temporary += !kept;
    if (kept)
        f->disk = disk_open(name);
    (void)pthread_mutex_unlock(&disk.lock);
    f->real = calloc(1, (size_t)disk.real->szOsFile);
    assert(f->real);
    rc = disk.real->xOpen(disk.real, name, f->real, flags, out_flags);
    if (f->real->pMethods)
        f->base.pMethods = &methods;
    else
        free(f->real);
    return rc;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync_folder)
{
    (void)v;
    int rc = step(STEP_DELETE);
    if (rc != SQLITE_OK)
        return rc == SQLITE_IOERR ? SQLITE_IOERR_DELETE : rc;
    (void)pthread_mutex_lock(&disk.lock);
    disk_file *f = disk_find(name);
    if (f) {
        f->deleted = true;
        f->named = f->named && !sync_folder;
        changes_drop(f);
    }
    (void)pthread_mutex_unlock(&disk.lock);
    return disk.real->xDelete(disk.real, name, 0);
}
static int v_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
    (void)v;
    return disk.real->xAccess(disk.real, name, flags, out);
}
static int v_full(sqlite3_vfs *v, const char *name, int n, char *out)
{
    (void)v;
    return disk.real->xFullPathname(disk.real, name, n, out);
}
static int v_randomness(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    return disk.real->xRandomness(disk.real, n, out);
}
static int v_sleep(sqlite3_vfs *v, int us)
{
    (void)v;
    return disk.real->xSleep(disk.real, us);
}
static int v_time(sqlite3_vfs *v, double *out)
{
    (void)v;
    return disk.real->xCurrentTime(disk.real, out);
}
static int v_last_error(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    (void)n;
    (void)out;
    return disk.last_error;
}

void faulty_install(void)
{
    if (disk.installed)
        return;
    int rc = sqlite3_initialize();
    assert(rc == SQLITE_OK);
    disk.real = sqlite3_vfs_find(NULL);
    disk.vfs = (sqlite3_vfs){ .iVersion = 1,
                              .szOsFile = sizeof(faulty_file),
                              .mxPathname = disk.real->mxPathname,
                              .zName = "faulty",
                              .xOpen = v_open,
                              .xDelete = v_delete,
                              .xAccess = v_access,
                              .xFullPathname = v_full,
                              .xRandomness = v_randomness,
                              .xSleep = v_sleep,
                              .xCurrentTime = v_time,
                              .xGetLastError = v_last_error };
    rc = sqlite3_vfs_register(&disk.vfs, 1);
    assert(rc == SQLITE_OK);
    disk.installed = true;
    faulty_reset();
}

/* --- commands ------------------------------------------------------------------------------------------------------------------------------- */
void faulty_fail(unsigned kinds, uint64_t k, int sqlite_code, int error)
{
    disk.kinds = kinds;
    disk.steps = disk.power_at = disk.kill_at = 0;
    disk.fail_at = k;
    disk.code = sqlite_code;
    disk.error = error;
    disk.last_error = 0;
}

void faulty_power_loss(uint64_t k, uint64_t random)
{
    disk.kinds = STEP_ANY;
    disk.steps = disk.fail_at = disk.kill_at = 0;
    disk.power_at = k;
    disk.random = random;
}

void faulty_kill(uint64_t k)
{
    disk.kinds = STEP_ANY;
    disk.steps = disk.fail_at = disk.power_at = 0;
    disk.kill_at = k;
}

bool faulty_power_is_off(void) { return disk.off; }
uint64_t faulty_steps(void) { return disk.steps; }

/* Of each write after the last sync: all of it, nothing, or every sector by itself. */
static void survive(disk_file *f)
{
    for (const change *c = f->first; c; c = c->next) {
        uint64_t how = draw() % 3;
        if (how == 0)
            continue;
        if (c->size >= 0) {
            truncated(f, c->size);
            continue;
        }
        for (size_t at = 0, n; at < c->bytes; at += n) {
            n = SECTOR - (size_t)((c->at + (int64_t)at) % SECTOR);
            n = n < c->bytes - at ? n : c->bytes - at;
            if (how == 1 || draw() & 1)
                durable_apply(f, c, at, n);
        }
    }
}

void faulty_restart(void)
{
    for (unsigned i = 0; i < disk.files; i++) {
        disk_file *f = &disk.file[i];
        bool there = f->deleted ? f->named && draw() & 1 : f->named || draw() & 1;
        survive(f);
        (void)unlink(f->path);
        if (!there)
            continue;
        int fd = open(f->path, O_CREAT | O_WRONLY | O_EXCL, 0600);
        assert(fd >= 0);
        ssize_t n = f->durable_bytes ? write(fd, f->durable, (size_t)f->durable_bytes) : 0;
        assert(n == f->durable_bytes);
        (void)close(fd);
    }
    faulty_reset();
}

void faulty_reset(void)
{
    for (unsigned i = 0; i < disk.files; i++)
        disk_forget(&disk.file[i]);
    disk.files = disk.kinds = 0;
    disk.off = false;
    disk.steps = disk.fail_at = disk.power_at = disk.kill_at = 0;
    disk.last_error = 0;
}

void faulty_watch(const void *marker, size_t bytes)
{
    disk.marker = marker;
    disk.marker_bytes = bytes;
    disk.seen = disk.temporary = 0;
}

uint64_t faulty_seen(void) { return disk.seen; }
uint64_t faulty_temporary(void) { return disk.temporary; }

/* --- memory ---------------------------------------------------------------------------------------------------------------------------------- */
static sqlite3_mem_methods usual;
static bool there_is_none;

static void *memory_or_none(int n) { return there_is_none ? NULL : usual.xMalloc(n); }
static void *memory_again_or_none(void *p, int n) { return there_is_none ? NULL : usual.xRealloc(p, n); }

void faulty_memory(bool there)
{
    there_is_none = !there;
    if (usual.xMalloc)
        return;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual) != SQLITE_OK)
        abort();
    sqlite3_mem_methods limited = usual;
    limited.xMalloc = memory_or_none;
    limited.xRealloc = memory_again_or_none;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &limited) != SQLITE_OK)
        abort();
}
