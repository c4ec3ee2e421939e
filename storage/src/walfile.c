/* Was a synced commit lost from the WAL? SQLite ends the log at the first frame whose checksum is wrong: right for a transaction that a power loss
 * tore, silent loss when a disk flipped a bit. Two things tell them apart (SQLite file format, sections 4.1 to 4.4):
 *  - every commit is synced before the next begins, so behind a torn transaction there can be no second commit mark of the same generation;
 *  - the index in -shm names a frame only after its commit was synced, so whatever survived of that file is a lower bound.
 * What passes is synced here, since SQLite now counts it as committed whether or not its writer came that far.
 * SQLite must not have the database open yet. */
#include "connection.h"
#include "base/reader.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WAL_HEAD_BYTES = 32,
    WAL_FRAME_HEAD_BYTES = 24,
    WAL_MAGIC = 0x377f0682, /* lowest bit: checksums over big-endian words */
    WAL_VERSION = 3007000,
    INDEX_HEAD_BYTES = 48, /* two copies, then the number of frames already copied into the database */
};

typedef struct {
    uint32_t a, b;
} wal_sum;

static wal_sum sum_over(wal_sum s, const uint8_t *bytes, size_t n, bool big)
{
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint32_t x, y;
        memcpy(&x, bytes + i, 4);
        memcpy(&y, bytes + i + 4, 4);
        s.a += (big ? be32toh(x) : le32toh(x)) + s.b;
        s.b += (big ? be32toh(y) : le32toh(y)) + s.a;
    }
    return s;
}

static uint32_t big32(const uint8_t *at)
{
    reader r = reader_over(at, 4);
    return (uint32_t)read_be(&r, 4);
}

typedef struct {
    uint64_t frames;      /* valid from the start on */
    uint64_t marks_after; /* commit marks of this generation behind them */
} wal_extent;

static int read_at(int fd, uint8_t *out, size_t n, off_t at, size_t *got)
{
    for (*got = 0; *got < n;) {
        ssize_t r = pread(fd, out + *got, n - *got, at + (off_t)*got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return files_status(errno);
        if (r == 0)
            break;
        *got += (size_t)r;
    }
    return TACET_OK;
}

static int extent_measure(int fd, const uint8_t head[WAL_HEAD_BYTES], wal_extent *out)
{
    bool big = big32(head) & 1, broken = false;
    size_t frame_bytes = WAL_FRAME_HEAD_BYTES + big32(head + 8), got = 0;
    wal_sum s = { big32(head + 24), big32(head + 28) };
    uint8_t *frame = malloc(frame_bytes);
    if (!frame)
        return TACET_E_NOMEM;
    int rc = TACET_OK;
    *out = (wal_extent){ 0, 0 };
    for (off_t at = WAL_HEAD_BYTES;; at += (off_t)frame_bytes) {
        rc = read_at(fd, frame, frame_bytes, at, &got);
        if (rc != TACET_OK || got < frame_bytes)
            break;
        bool ours = memcmp(frame + 8, head + 16, 8) == 0;
        if (!broken) {
            s = sum_over(sum_over(s, frame, 8, big), frame + WAL_FRAME_HEAD_BYTES, frame_bytes - WAL_FRAME_HEAD_BYTES, big);
            broken = !ours || big32(frame) == 0 || s.a != big32(frame + 16) || s.b != big32(frame + 20);
            out->frames += !broken;
        }
        if (broken && ours && big32(frame + 4) != 0)
            out->marks_after++;
    }
    free(frame);
    return rc;
}

/* The frame that the index in -shm vouches for, 0 when there is no such file or it speaks of something else. */
static int index_vouches(const char *wal_path, const uint8_t head[WAL_HEAD_BYTES], uint64_t *frames)
{
    uint8_t index[2 * INDEX_HEAD_BYTES + 4];
    size_t got = 0;
    *frames = 0;
    char *path = strdup(wal_path);
    if (!path)
        return TACET_E_NOMEM;
    memcpy(path + strlen(path) - 3, "shm", 3);
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = TACET_OK;
    free(path);
    if (fd < 0)
        return errno == ENOENT ? TACET_OK : files_status(errno);
    rc = read_at(fd, index, sizeof index, 0, &got);
    (void)close(fd); /* nothing was written through it */
    if (rc != TACET_OK || got < sizeof index)
        return rc;
    const bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    uint32_t version, newest, sum[2], copied;
    wal_sum s = sum_over((wal_sum){ 0, 0 }, index, INDEX_HEAD_BYTES - 8, big);
    memcpy(&version, index, 4);
    memcpy(&newest, index + 16, 4);
    memcpy(sum, index + 40, 8);
    memcpy(&copied, index + 2 * INDEX_HEAD_BYTES, 4);
    if (memcmp(index, index + INDEX_HEAD_BYTES, INDEX_HEAD_BYTES) == 0 && version == WAL_VERSION && s.a == sum[0] && s.b == sum[1] &&
        memcmp(index + 32, head + 16, 8) == 0 && copied < newest)
        *frames = newest;
    return TACET_OK;
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= bytes[i];
    return any == 0;
}

static int log_check(int fd, const char *wal_path)
{
    uint8_t head[WAL_HEAD_BYTES];
    size_t got = 0;
    wal_extent extent;
    uint64_t vouched = 0;
    struct stat st;
    int rc = read_at(fd, head, sizeof head, 0, &got);
    if (rc != TACET_OK || got < sizeof head)
        return rc; /* shorter than its head: nothing was ever committed to it */
    wal_sum s = sum_over((wal_sum){ 0, 0 }, head, WAL_HEAD_BYTES - 8, big32(head) & 1);
    uint32_t page = big32(head + 8);
    if ((big32(head) & ~1u) != WAL_MAGIC || big32(head + 4) != WAL_VERSION || s.a != big32(head + 24) || s.b != big32(head + 28) || page < 512 ||
        page > 65536) {
        /* The head fits in a sector and is synced before the first frame: it is whole, or not there yet and nothing behind it. */
        if (fstat(fd, &st) != 0)
            return files_status(errno);
        return all_zero(head, sizeof head) && st.st_size == WAL_HEAD_BYTES ? TACET_OK : TACET_E_CORRUPT;
    }
    rc = extent_measure(fd, head, &extent);
    if (rc == TACET_OK)
        rc = index_vouches(wal_path, head, &vouched);
    if (rc == TACET_OK && (extent.marks_after > 1 || extent.frames < vouched))
        rc = TACET_E_CORRUPT;
    return rc;
}

int walfile_check(const char *wal_path)
{
    int fd = open(wal_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? TACET_OK : files_status(errno);
    int rc = log_check(fd, wal_path);
    if (rc == TACET_OK && fsync(fd) != 0)
        rc = files_status(errno);
    (void)close(fd); /* nothing was written through it */
    return rc;
}
