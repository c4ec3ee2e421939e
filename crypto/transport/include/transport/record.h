/* transport/record.h: the record layer after the handshake. Record = u16 length | ChaCha20-Poly1305 ciphertext, nonce = 64-bit counter per
 * direction (Noise §5.1). Plaintext = u16 d | d stream bytes | zeros up to a multiple of 256. The stream bytes of all records, joined, are
 * the stream. Two small objects, one for each direction; each is plain data that its owner wipes. No allocation. */
#ifndef TRANSPORT_RECORD_H
#define TRANSPORT_RECORD_H
#include "base/limits.h"
#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

enum {
    TACET_RECORD_TAG_BYTES = 16,
    TACET_RECORD_HEAD_BYTES = 2,
    TACET_RECORD_MAX_BYTES = TACET_RECORD_HEAD_BYTES + TACET_RECORD_PLAIN_MAX_BYTES + TACET_RECORD_TAG_BYTES,
    TACET_RECORD_STREAM_MAX_BYTES = TACET_RECORD_PLAIN_MAX_BYTES - 2,
};

typedef struct {
    uint8_t key[32];
    uint64_t counter;
} record_key;

/* Bytes on the wire of a record that carries stream_bytes (0 to TACET_RECORD_STREAM_MAX_BYTES). */
size_t record_bytes(size_t stream_bytes);

/* Seals stream bytes into `out` (record_bytes(stream_bytes) long); *out_bytes is set.
 *   TACET_E_TRANSPORT  the counter has run out: a new handshake is needed (2^64 - 1 is never used) */
TACET_MUST_USE int record_seal(record_key *k, uint8_t *out, size_t *out_bytes, const uint8_t *stream, size_t stream_bytes);

/* Length of the whole record that starts with these 2 bytes. TACET_E_TRANSPORT for a length that no record has. */
TACET_MUST_USE int record_length(const uint8_t head[TACET_RECORD_HEAD_BYTES], size_t *whole_bytes);

/* Opens one whole record in place: *stream points into `record`, *stream_bytes may be 0.
 *   TACET_E_TRANSPORT  forged, replayed, reordered, a wrong inner length or a non-zero pad byte: close the connection */
TACET_MUST_USE int record_open(record_key *k, uint8_t *record, size_t whole_bytes, const uint8_t **stream, size_t *stream_bytes);
#endif
