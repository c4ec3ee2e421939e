#include "session/file_cipher.h"
#include "base/writer.h"
#include "bulk/aead.h"
#include "declassify.h"
#include "kdf.h"
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

enum { AD_BYTES = sizeof "tacet chunk" + 16 + 8 + 1 };

struct file_cipher {
    uint8_t blob[16];
    uint32_t chunks;
    uint8_t *key; /* of the chunks, in the arena */
};

/* chunk key | commitment */
static void expand(uint8_t out[64], const uint8_t key[32], const uint8_t salt[32])
{
    static const char label[] = "tacet file";
    kdf_hkdf(out, 64, salt, 32, key, 32, label, sizeof label);
}

void file_commitment(uint8_t out[32], const uint8_t key[32], const uint8_t salt[32])
{
    uint8_t keys[64];
    expand(keys, key, salt);
    memcpy(out, keys + 32, 32);
    sodium_memzero(keys, sizeof keys);
}

int file_cipher_new(file_cipher **out, secret_arena *arena, const file_keys *k)
{
    uint8_t keys[64];
    int rc = TACET_E_FORGED;
    assert(k->chunks >= 1 && k->chunks <= TACET_BLOB_CHUNKS_MAX);
    file_cipher *c = NULL;
    expand(keys, k->key, k->salt);
    int differs = sodium_memcmp(keys + 32, k->commitment, 32);
    DECLASSIFY(&differs, sizeof differs);
    if (differs)
        goto out;
    rc = TACET_E_NOMEM;
    c = calloc(1, sizeof *c);
    if (!c || !(c->key = secret_alloc(arena, 32))) {
        free(c);
        goto out;
    }
    memcpy(c->blob, k->blob, sizeof c->blob);
    c->chunks = k->chunks;
    memcpy(c->key, keys, 32);
    *out = c;
    rc = TACET_OK;
out:
    sodium_memzero(keys, sizeof keys);
    return rc;
}

file_cipher *file_cipher_free(file_cipher *c, secret_arena *arena)
{
    if (c)
        secret_free(arena, c->key);
    free(c);
    return NULL;
}

static void associated(const file_cipher *c, uint32_t index, uint8_t ad[AD_BYTES])
{
    writer w = writer_over(ad, AD_BYTES);
    write_label(&w, "tacet chunk");
    write_bytes(&w, c->blob, sizeof c->blob);
    write_be(&w, index, 8);
    write_be(&w, index + 1 == c->chunks, 1);
    assert(writer_bytes(&w) == AD_BYTES);
}

void chunk_seal(const file_cipher *c, uint32_t index, const uint8_t nonce[TACET_CHUNK_NONCE_BYTES], uint8_t chunk[TACET_CHUNK_BYTES])
{
    uint8_t ad[AD_BYTES], *body = chunk + TACET_CHUNK_NONCE_BYTES;
    assert(index < c->chunks);
    associated(c, index, ad);
    memcpy(chunk, nonce, TACET_CHUNK_NONCE_BYTES);
    aead_x_seal(body, TACET_CHUNK_PLAIN_BYTES, (aead_data){ ad, sizeof ad }, nonce, c->key);
}

int chunk_open(const file_cipher *c, uint32_t index, uint8_t *chunk, size_t bytes)
{
    uint8_t ad[AD_BYTES], *body = chunk + TACET_CHUNK_NONCE_BYTES;
    if (bytes != TACET_CHUNK_BYTES || index >= c->chunks)
        return TACET_E_FORGED;
    associated(c, index, ad);
    bool bad = !aead_x_open(body, TACET_CHUNK_PLAIN_BYTES, (aead_data){ ad, sizeof ad }, chunk, c->key);
    DECLASSIFY(&bad, sizeof bad);
    return bad ? TACET_E_FORGED : TACET_OK;
}

void chunk_leaf(uint8_t out[TACET_LEAF_BYTES], uint32_t index, const uint8_t *chunk, size_t bytes)
{
    uint8_t head[9];
    writer w = writer_over(head, sizeof head);
    write_be(&w, 0, 1);
    write_be(&w, index, 8);
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, TACET_LEAF_BYTES);
    crypto_generichash_update(&st, head, sizeof head);
    crypto_generichash_update(&st, chunk, bytes);
    crypto_generichash_final(&st, out, TACET_LEAF_BYTES);
}

static void join(uint8_t out[32], const uint8_t left[32], const uint8_t right[32])
{
    uint8_t bytes[65] = { 1 };
    memcpy(bytes + 1, left, 32);
    memcpy(bytes + 33, right, 32);
    crypto_generichash(out, 32, bytes, sizeof bytes, NULL, 0);
}

/* node[i] is the root of a full tree of 2^i leaves wherever bit i of the count is set: adding a leaf is adding one in binary. */
void file_tree_add(file_tree *t, const uint8_t leaf[TACET_LEAF_BYTES])
{
    uint8_t carry[32];
    unsigned i = 0;
    memcpy(carry, leaf, sizeof carry);
    for (; t->leaves >> i & 1; i++)
        join(carry, t->node[i], carry);
    assert(i < sizeof t->node / sizeof *t->node);
    memcpy(t->node[i], carry, sizeof carry);
    t->leaves++;
}

void file_tree_root(const file_tree *t, uint8_t out[32])
{
    uint8_t right[32];
    unsigned i = 0;
    assert(t->leaves > 0);
    while (!(t->leaves >> i & 1))
        i++;
    memcpy(right, t->node[i], sizeof right);
    for (i++; t->leaves >> i; i++)
        if (t->leaves >> i & 1)
            join(right, t->node[i], right);
    memcpy(out, right, sizeof right);
}
