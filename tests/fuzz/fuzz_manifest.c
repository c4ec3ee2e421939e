/* P04, F04, F07: the manifest of a folder, as a stranger wrote it. The sizes in it would hardly ever add up to what the offer says, so the offer is set
 * right first. What is accepted has one form, keeps inside its folder, and each byte of the stream belongs to the file that says so. */
#include "base/reader.h"
#include "base/text.h"
#include "fuzz.h"
#include "transfer/manifest.h"

/* What the offer would have to say; wraps like nonsense does. */
static uint64_t stream_bytes_of(const uint8_t *bytes, size_t n)
{
    reader r = reader_over(bytes, n);
    uint64_t sum = MANIFEST_LENGTH_BYTES + n;
    while (reader_left(&r)) {
        (void)read_view(&r, 1 + 4 + 8);
        sum += read_be(&r, 8);
        (void)read_view(&r, read_be(&r, 2));
    }
    return sum;
}

static void keeps_inside(const manifest_entry *e)
{
    size_t start = 0;
    PROMISE(e->path_bytes >= 1 && e->path_bytes <= MANIFEST_PATH_MAX_BYTES && utf8_valid((const uint8_t *)e->path, e->path_bytes));
    for (size_t i = 0; i <= e->path_bytes; i++) {
        if (i < e->path_bytes && e->path[i] != '/')
            continue;
        size_t part = i - start;
        PROMISE(part >= 1 && part <= MANIFEST_COMPONENT_MAX_BYTES);
        PROMISE(memcmp(e->path + start, "..", part < 2 ? part : 2) != 0 || part > 2);
        start = i + 1;
    }
}

static void accepted(const manifest *m, const uint8_t *bytes, size_t n, uint64_t stream_bytes)
{
    manifest_out again = { 0 };
    uint64_t offset = MANIFEST_LENGTH_BYTES + n;
    for (uint32_t i = 0; i < manifest_count(m); i++) {
        manifest_entry e = manifest_at(m, i);
        keeps_inside(&e);
        PROMISE(manifest_offset(m, i) == offset && e.size <= stream_bytes - offset && e.mode <= 0777);
        PROMISE(e.size == 0 || (manifest_find(m, offset) == i && manifest_find(m, offset + e.size - 1) == i));
        offset += e.size;
        PROMISE(manifest_add(&again, &e) == TACET_OK);
    }
    PROMISE(offset == stream_bytes && again.used == n && (n == 0 || memcmp(again.bytes, bytes, n) == 0));
    manifest_out_free(&again);
}

static void read_one(const uint8_t *bytes, size_t n, uint64_t stream_bytes)
{
    manifest *m = NULL;
    int rc = manifest_read(&m, bytes, n, stream_bytes);
    PROMISE(rc == TACET_OK || rc == TACET_E_MALFORMED || rc == TACET_E_NOMEM);
    PROMISE((rc == TACET_OK) == (m != NULL));
    if (m)
        accepted(m, bytes, n, stream_bytes);
    manifest_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    read_one(bytes, n, stream_bytes_of(bytes, n));
    read_one(bytes, n, UINT64_MAX);
    return 0;
}
