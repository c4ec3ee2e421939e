/* Records (PROTOCOL.md §2.3). A key whose record did not open is dead: its counter jumps to the value that is never used, so that nothing
 * can be tried again on a broken stream. */
#include "transport/record.h"
#include "base/reader.h"
#include "base/writer.h"
#include "bulk/aead.h"
#include "symmetric.h"
#include <assert.h>
#include <sodium.h>

enum { INNER_LENGTH_BYTES = 2 };

static size_t padded_bytes(size_t stream_bytes)
{
    size_t n = stream_bytes + INNER_LENGTH_BYTES;
    return (n + TACET_RECORD_PAD_BYTES - 1) / TACET_RECORD_PAD_BYTES * TACET_RECORD_PAD_BYTES;
}

size_t record_bytes(size_t stream_bytes) { return TACET_RECORD_HEAD_BYTES + padded_bytes(stream_bytes) + TACET_RECORD_TAG_BYTES; }

int record_seal(record_key *k, uint8_t *out, size_t *out_bytes, const uint8_t *stream, size_t stream_bytes)
{
    assert(stream_bytes <= TACET_RECORD_STREAM_MAX_BYTES);
    if (k->counter == UINT64_MAX)
        return TACET_E_TRANSPORT; /* Noise §5.1: 2^64 - 1 is reserved */
    size_t plain = padded_bytes(stream_bytes);
    uint8_t nonce[NOISE_NONCE_BYTES], *body = out + TACET_RECORD_HEAD_BYTES;
    noise_nonce(nonce, k->counter);
    writer w = writer_over(out, TACET_RECORD_HEAD_BYTES + plain);
    write_be(&w, plain + TACET_RECORD_TAG_BYTES, TACET_RECORD_HEAD_BYTES);
    write_be(&w, stream_bytes, INNER_LENGTH_BYTES);
    write_bytes(&w, stream, stream_bytes);
    write_zeros(&w, plain - INNER_LENGTH_BYTES - stream_bytes);
    aead_seal(body, plain, (aead_data){ NULL, 0 }, nonce, k->key);
    k->counter++;
    *out_bytes = record_bytes(stream_bytes);
    return TACET_OK;
}

int record_length(const uint8_t head[TACET_RECORD_HEAD_BYTES], size_t *whole_bytes)
{
    size_t n = (size_t)head[0] << 8 | head[1];
    if (n < TACET_RECORD_PAD_BYTES + TACET_RECORD_TAG_BYTES || n > TACET_RECORD_PLAIN_MAX_BYTES + TACET_RECORD_TAG_BYTES ||
        (n - TACET_RECORD_TAG_BYTES) % TACET_RECORD_PAD_BYTES != 0)
        return TACET_E_TRANSPORT;
    *whole_bytes = TACET_RECORD_HEAD_BYTES + n;
    return TACET_OK;
}

static int record_dead(record_key *k)
{
    sodium_memzero(k->key, sizeof k->key);
    k->counter = UINT64_MAX;
    return TACET_E_TRANSPORT;
}

int record_open(record_key *k, uint8_t *record, size_t whole_bytes, const uint8_t **stream, size_t *stream_bytes)
{
    size_t want = 0;
    if (k->counter == UINT64_MAX || whole_bytes < TACET_RECORD_HEAD_BYTES || record_length(record, &want) != TACET_OK || want != whole_bytes)
        return record_dead(k);
    uint8_t nonce[NOISE_NONCE_BYTES], *body = record + TACET_RECORD_HEAD_BYTES;
    size_t plain = whole_bytes - TACET_RECORD_HEAD_BYTES - TACET_RECORD_TAG_BYTES;
    noise_nonce(nonce, k->counter);
    if (!aead_open(body, plain, (aead_data){ NULL, 0 }, nonce, k->key))
        return record_dead(k);
    reader r = reader_over(body, plain);
    size_t d = read_be(&r, INNER_LENGTH_BYTES);
    const uint8_t *bytes = read_view(&r, d), *pad = r.at;
    /* a sender may pad further than it must, to hide a length; what it pads with is never anything but zeros */
    if (r.bad || !sodium_is_zero(pad, reader_left(&r)))
        return record_dead(k);
    k->counter++;
    *stream = bytes;
    *stream_bytes = d;
    return TACET_OK;
}
