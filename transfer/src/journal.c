#include "transfer/journal.h"
#include "base/reader.h"
#include "base/writer.h"

void journal_note(journal_block *b, uint32_t chunk, const uint8_t *nonce, const uint8_t leaf[TACET_LEAF_BYTES])
{
    unsigned at = journal_place_of(chunk);
    b->set |= UINT64_C(1) << at;
    if (nonce)
        memcpy(b->nonce[at], nonce, TACET_CHUNK_NONCE_BYTES);
    memcpy(b->leaf[at], leaf, TACET_LEAF_BYTES);
}

size_t journal_encode(const journal_block *b, uint8_t out[JOURNAL_BLOCK_MAX_BYTES])
{
    writer w = writer_over(out, JOURNAL_BLOCK_MAX_BYTES);
    write_be(&w, b->set, 8);
    for (unsigned i = 0; i < JOURNAL_BLOCK_CHUNKS; i++)
        if (b->set >> i & 1) {
            if (b->nonces)
                write_bytes(&w, b->nonce[i], sizeof b->nonce[i]);
            write_bytes(&w, b->leaf[i], sizeof b->leaf[i]);
        }
    return writer_bytes(&w);
}

int journal_decode(journal_block *out, bool nonces, const uint8_t *bytes, size_t n)
{
    reader r = reader_over(bytes, n);
    journal_block b = { .set = read_be(&r, 8), .nonces = nonces };
    for (unsigned i = 0; i < JOURNAL_BLOCK_CHUNKS; i++)
        if (b.set >> i & 1) {
            if (nonces)
                read_into(&r, b.nonce[i], sizeof b.nonce[i]);
            read_into(&r, b.leaf[i], sizeof b.leaf[i]);
        }
    if (!reader_done(&r))
        return TACET_E_CORRUPT;
    *out = b;
    return TACET_OK;
}
