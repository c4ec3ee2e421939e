/* session/file_cipher.h: the chunks of one file (docs/PROTOCOL.md §8.2): key and commitment from what the offer carries, sealing and opening of a
 * chunk in place, its leaf, and the tree over all leaves.
 *
 * A file_cipher does not change once it is made: any number of threads may seal and open with it at a time. The rule that is not obvious: a nonce is
 * written down, together with the leaf, before the chunk leaves; whoever seals a chunk again takes the nonce from there and compares the leaf. */
#ifndef SESSION_FILE_CIPHER_H
#define SESSION_FILE_CIPHER_H
#include "base/limits.h"
#include "base/secret.h"
#include <stdbool.h>

enum { TACET_CHUNK_NONCE_BYTES = 24, TACET_LEAF_BYTES = 32 };

typedef struct {
    uint8_t blob[16], key[32], salt[32], commitment[32];
    uint32_t chunks; /* 1 to TACET_BLOB_CHUNKS_MAX */
} file_keys;

/* What the sender puts into the offer: chunk key | commitment = HKDF(salt, key, "tacet file", 64). */
void file_commitment(uint8_t out[32], const uint8_t key[32], const uint8_t salt[32]);

typedef struct file_cipher file_cipher;
/* Keys lie in `arena`, under 128 bytes.
 *   TACET_E_FORGED  the commitment is another key's: nothing of this file may be opened     TACET_E_NOMEM */
TACET_MUST_USE int file_cipher_new(file_cipher **out, secret_arena *arena, const file_keys *keys);
file_cipher *file_cipher_free(file_cipher *c, secret_arena *arena); /* wipes; NULL is fine; returns NULL */

/* The plaintext lies at chunk + TACET_CHUNK_NONCE_BYTES, filled up with zeros; afterwards `chunk` is what travels. */
void chunk_seal(const file_cipher *c, uint32_t index, const uint8_t nonce[TACET_CHUNK_NONCE_BYTES], uint8_t chunk[TACET_CHUNK_BYTES]);
/* The plaintext is at chunk + TACET_CHUNK_NONCE_BYTES afterwards.
 *   TACET_E_FORGED  not this chunk of this file (also when `bytes` is not TACET_CHUNK_BYTES): nothing of it may be used */
TACET_MUST_USE int chunk_open(const file_cipher *c, uint32_t index, uint8_t *chunk, size_t bytes);
/* leaf = BLAKE2b-256(00 | u64 index | chunk as it travels) */
void chunk_leaf(uint8_t out[TACET_LEAF_BYTES], uint32_t index, const uint8_t *chunk, size_t bytes);

/* The tree of RFC 6962 §2.1 with BLAKE2b-256, leaf by leaf; starts as all zeros. Keeps one node for each bit of the count. */
typedef struct {
    uint64_t leaves;
    uint8_t node[24][32];
} file_tree;
void file_tree_add(file_tree *t, const uint8_t leaf[TACET_LEAF_BYTES]); /* at most 2^24 - 1 */
void file_tree_root(const file_tree *t, uint8_t out[32]);               /* of at least one leaf */
#endif
