/* transfer/plan.h: how a stream of bytes becomes chunks (docs/PROTOCOL.md §8.1). */
#ifndef TRANSFER_PLAN_H
#define TRANSFER_PLAN_H
#include "base/limits.h"
#include "base/status.h"
#include <stdint.h>

/* The padded number of chunks for `size` bytes. TACET_E_QUOTA: more than TACET_BLOB_CHUNKS_MAX. */
TACET_MUST_USE int plan_chunks(uint64_t size, uint32_t *chunks);

typedef struct {
    uint64_t offset; /* in the stream */
    uint32_t bytes;  /* of the stream that lie in this chunk; the rest are zeros. 0: only padding */
} chunk_span;
chunk_span plan_span(uint64_t size, uint32_t index);
#endif
