/* transfer/journal.h: what both sides write down of a file's chunks, in blocks of JOURNAL_BLOCK_CHUNKS: the sender nonce and leaf of each before it
 * leaves, the receiver the leaf of each that is on its disk. A block as bytes: u64 bitmap, then for each set bit, ascending, [nonce 24] leaf 32. */
#ifndef TRANSFER_JOURNAL_H
#define TRANSFER_JOURNAL_H
#include "session/file_cipher.h"

enum {
    JOURNAL_BLOCK_CHUNKS = 64,
    JOURNAL_BLOCK_MAX_BYTES = 8 + JOURNAL_BLOCK_CHUNKS * (TACET_CHUNK_NONCE_BYTES + TACET_LEAF_BYTES),
};

typedef struct {
    uint64_t set;
    bool nonces; /* the sender's */
    uint8_t nonce[JOURNAL_BLOCK_CHUNKS][TACET_CHUNK_NONCE_BYTES];
    uint8_t leaf[JOURNAL_BLOCK_CHUNKS][TACET_LEAF_BYTES];
} journal_block;

static inline uint32_t journal_block_of(uint32_t chunk) { return chunk / JOURNAL_BLOCK_CHUNKS; }
static inline unsigned journal_place_of(uint32_t chunk) { return chunk % JOURNAL_BLOCK_CHUNKS; }
static inline bool journal_has(const journal_block *b, uint32_t chunk) { return b->set >> journal_place_of(chunk) & 1; }
/* nonce NULL on the receiver's side. */
void journal_note(journal_block *b, uint32_t chunk, const uint8_t *nonce, const uint8_t leaf[TACET_LEAF_BYTES]);

size_t journal_encode(const journal_block *b, uint8_t out[JOURNAL_BLOCK_MAX_BYTES]);
/* `nonces` says which side's it is. TACET_E_CORRUPT: our own record is damaged. */
TACET_MUST_USE int journal_decode(journal_block *out, bool nonces, const uint8_t *bytes, size_t n);
#endif
