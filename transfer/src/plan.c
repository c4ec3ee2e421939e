#include "transfer/plan.h"
#include <assert.h>

static unsigned log2_of(uint64_t n)
{
    unsigned e = 0;
    while (n >>= 1)
        e++;
    return e;
}

int plan_chunks(uint64_t size, uint32_t *chunks)
{
    uint64_t n = size / TACET_CHUNK_PLAIN_BYTES + (size % TACET_CHUNK_PLAIN_BYTES != 0);
    if (n == 0)
        n = 1;
    if (n > TACET_BLOB_CHUNKS_MAX)
        return TACET_E_QUOTA;
    if (n >= 2) {
        unsigned e = log2_of(n), s = log2_of(e) + 1;
        assert(s <= e);
        uint64_t step = UINT64_C(1) << (e - s);
        n = (n + step - 1) / step * step;
    }
    if (n > TACET_BLOB_CHUNKS_MAX)
        return TACET_E_QUOTA;
    *chunks = (uint32_t)n;
    return TACET_OK;
}

chunk_span plan_span(uint64_t size, uint32_t index)
{
    chunk_span s = { .offset = (uint64_t)index * TACET_CHUNK_PLAIN_BYTES };
    uint64_t left = s.offset < size ? size - s.offset : 0;
    s.bytes = left < TACET_CHUNK_PLAIN_BYTES ? (uint32_t)left : TACET_CHUNK_PLAIN_BYTES;
    return s;
}
