#include "body.h"
#include "base/reader.h"
#include "declassify.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { BUCKET_FIRST_BYTES = 256 };

size_t body_padded_bytes(size_t n)
{
    for (size_t size = BUCKET_FIRST_BYTES; size <= TACET_CONTENT_PADDED_MAX_BYTES; size *= 2)
        if (n < size)
            return size;
    return 0;
}

bool body_is_padded_size(size_t n) { return n > 0 && body_padded_bytes(n - 1) == n; }

void body_pad(uint8_t *buf, size_t n)
{
    size_t size = body_padded_bytes(n);
    assert(size > n);
    buf[n] = 0x80;
    memset(buf + n + 1, 0, size - n - 1);
}

int body_parse(message_body *out, const uint8_t *buf, size_t padded_bytes)
{
    static const size_t field_bytes[] = { [PQ_FIELD_NONE] = 0, [PQ_FIELD_KEY] = TACET_KEM_KEY_BYTES, [PQ_FIELD_CT] = TACET_KEM_CIPHERTEXT_BYTES };
    /* What fits half the size would have been padded to that, so the padding lies in the second half; a longer one would be a second spelling of the
     * same message. sodium_unpad takes constant time; only its verdict is acted upon. */
    size_t n = 0, tail = padded_bytes == BUCKET_FIRST_BYTES ? padded_bytes : padded_bytes / 2;
    int bad = sodium_unpad(&n, buf, padded_bytes, tail);
    DECLASSIFY(&bad, sizeof bad);
    DECLASSIFY(&n, sizeof n);
    if (bad)
        return TACET_E_FORGED;
    reader r = reader_over(buf, n);
    message_body b = { .content = NULL };
    uint64_t kind = read_be(&r, 1);
    DECLASSIFY(&kind, sizeof kind);
    if (kind >= sizeof field_bytes / sizeof field_bytes[0])
        return TACET_E_FORGED;
    b.pq.kind = (enum pq_field_kind)kind;
    if (kind != PQ_FIELD_NONE) {
        b.pq.epoch = (uint32_t)read_be(&r, 4);
        DECLASSIFY(&b.pq.epoch, sizeof b.pq.epoch);
        b.pq.bytes = read_view(&r, field_bytes[kind]);
    }
    b.content_bytes = reader_left(&r);
    b.content = read_view(&r, b.content_bytes);
    if (!reader_done(&r))
        return TACET_E_FORGED;
    *out = b;
    return TACET_OK;
}
