#include "transfer/manifest.h"
#include "base/reader.h"
#include "base/text.h"
#include "base/writer.h"
#include <assert.h>
#include <stdlib.h>

enum { HEAD_BYTES = 1 + 4 + 8 + 8 + 2, MODE_MAX = 0777, ROOM_FIRST = 4096 };

/* --- writing --- */
static int room_for(manifest_out *m, size_t more)
{
    size_t room = m->room ? m->room : ROOM_FIRST;
    if (m->count == MANIFEST_ENTRIES_MAX || m->used + more > MANIFEST_MAX_BYTES)
        return TACET_E_QUOTA;
    while (room < m->used + more)
        room *= 2;
    if (room == m->room)
        return TACET_OK;
    uint8_t *bytes = realloc(m->bytes, room);
    if (!bytes)
        return TACET_E_NOMEM;
    m->bytes = bytes;
    m->room = room;
    return TACET_OK;
}

int manifest_add(manifest_out *m, const manifest_entry *e)
{
    size_t more = HEAD_BYTES + (size_t)e->path_bytes;
    int rc = room_for(m, more);
    if (rc != TACET_OK)
        return rc;
    writer w = writer_over(m->bytes + m->used, more);
    write_be(&w, e->kind, 1);
    write_be(&w, e->mode, 4);
    write_be(&w, e->mtime_s, 8);
    write_be(&w, e->size, 8);
    write_be(&w, e->path_bytes, 2);
    write_bytes(&w, e->path, e->path_bytes);
    assert(writer_bytes(&w) == more);
    m->used += more;
    m->count++;
    return TACET_OK;
}

void manifest_out_free(manifest_out *m)
{
    free(m->bytes);
    *m = (manifest_out){ 0 };
}

/* --- reading --- */
typedef struct {
    uint32_t at;     /* of the entry in the manifest */
    uint64_t offset; /* of its bytes in the stream */
} placed;

struct manifest {
    const uint8_t *bytes;
    size_t n;
    uint32_t count, room;
    placed *entry;
};

static manifest_entry entry_read(reader *r)
{
    manifest_entry e = { .kind = (manifest_kind)read_be(r, 1) };
    e.mode = (uint32_t)read_be(r, 4);
    e.mtime_s = read_be(r, 8);
    e.size = read_be(r, 8);
    e.path_bytes = (uint16_t)read_be(r, 2);
    e.path = (const char *)read_view(r, e.path_bytes);
    return e;
}

manifest_entry manifest_at(const manifest *m, uint32_t i)
{
    assert(i < m->count);
    reader r = reader_over(m->bytes + m->entry[i].at, m->n - m->entry[i].at);
    return entry_read(&r);
}

static int compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    int c = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return c ? c : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static bool component_fits(const char *at, size_t n)
{
    return n >= 1 && n <= MANIFEST_COMPONENT_MAX_BYTES && !(n == 1 && at[0] == '.') && !(n == 2 && at[0] == '.' && at[1] == '.');
}

/* *parent_bytes: how much of the path names the folder that it lies in; 0: the outermost. */
static bool path_fits(const manifest_entry *e, size_t *parent_bytes)
{
    size_t start = 0, parts = 0;
    if (e->path_bytes < 1 || e->path_bytes > MANIFEST_PATH_MAX_BYTES || !utf8_valid((const uint8_t *)e->path, e->path_bytes))
        return false;
    for (size_t i = 0; i <= e->path_bytes; i++) {
        if (i < e->path_bytes && e->path[i] != '/')
            continue;
        if (!component_fits(e->path + start, i - start) || ++parts > MANIFEST_DEPTH_MAX)
            return false;
        *parent_bytes = start ? start - 1 : 0;
        start = i + 1;
    }
    return true;
}

/* The entries so far ascend, so a folder among them is found by halving. */
static bool has_folder(const manifest *m, const char *path, size_t n)
{
    uint32_t low = 0, high = m->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        manifest_entry e = manifest_at(m, mid);
        int c = compare(e.path, e.path_bytes, path, n);
        if (c == 0)
            return e.kind == MANIFEST_FOLDER;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

static bool entry_fits(const manifest *m, const manifest_entry *e)
{
    size_t parent = 0;
    if ((e->kind != MANIFEST_FILE && e->kind != MANIFEST_FOLDER) || e->mode > MODE_MAX || (e->kind == MANIFEST_FOLDER && e->size != 0))
        return false;
    if (!path_fits(e, &parent) || (parent && !has_folder(m, e->path, parent)))
        return false;
    if (m->count == 0)
        return true;
    manifest_entry last = manifest_at(m, m->count - 1);
    return compare(last.path, last.path_bytes, e->path, e->path_bytes) < 0;
}

static int entry_keep(manifest *m, size_t at, uint64_t offset)
{
    if (m->count == m->room) {
        uint32_t room = m->room ? 2 * m->room : 64;
        placed *more = realloc(m->entry, room * sizeof *more);
        if (!more)
            return TACET_E_NOMEM;
        m->entry = more;
        m->room = room;
    }
    m->entry[m->count++] = (placed){ (uint32_t)at, offset };
    return TACET_OK;
}

static int entries_read(manifest *m, uint64_t stream_bytes)
{
    reader r = reader_over(m->bytes, m->n);
    uint64_t offset = MANIFEST_LENGTH_BYTES + m->n;
    while (reader_left(&r)) {
        size_t at = m->n - reader_left(&r);
        manifest_entry e = entry_read(&r);
        if (r.bad || m->count == MANIFEST_ENTRIES_MAX || !entry_fits(m, &e) || offset > stream_bytes || e.size > stream_bytes - offset)
            return TACET_E_MALFORMED;
        int rc = entry_keep(m, at, offset);
        if (rc != TACET_OK)
            return rc;
        offset += e.size;
    }
    return offset == stream_bytes ? TACET_OK : TACET_E_MALFORMED;
}

int manifest_read(manifest **out, const uint8_t *bytes, size_t n, uint64_t stream_bytes)
{
    if (n > MANIFEST_MAX_BYTES)
        return TACET_E_MALFORMED;
    manifest *m = calloc(1, sizeof *m);
    if (!m)
        return TACET_E_NOMEM;
    *m = (manifest){ .bytes = bytes, .n = n };
    int rc = entries_read(m, stream_bytes);
    if (rc == TACET_OK)
        *out = m;
    else
        manifest_free(m);
    return rc;
}

manifest *manifest_free(manifest *m)
{
    if (m)
        free(m->entry);
    free(m);
    return NULL;
}

uint32_t manifest_count(const manifest *m) { return m->count; }
uint64_t manifest_offset(const manifest *m, uint32_t i) { return i < m->count ? m->entry[i].offset : UINT64_MAX; }

/* The last entry that begins at or before it: those before it at the same place are empty. */
uint32_t manifest_find(const manifest *m, uint64_t offset)
{
    uint32_t low = 0, high = m->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (m->entry[mid].offset <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    assert(low > 0);
    return low - 1;
}
