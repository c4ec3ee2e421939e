/* The chunks of a file: known answers of a second derivation (tests/vectors/files.py), and what must not open (F02, F11, R21). */
#include "base/text.h"
#include "poly.h"
#include "session/file_cipher.h"
#include "suite.h"
#include <jansson.h>
#include <string.h>

static secret_arena *arena;
static uint8_t chunk[4][TACET_CHUNK_BYTES];

static json_t *vectors(void)
{
    char path[1024];
    json_error_t why;
    snprintf(path, sizeof path, "%s/files.json", getenv("TACET_VECTORS"));
    json_t *o = json_load_file(path, 0, &why);
    ck_assert_msg(o != NULL, "%s: %s", path, why.text);
    return o;
}

static void hex(uint8_t *out, size_t n, const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(hex_decode(out, n, text, strlen(text)), TACET_OK);
}

static file_keys keys_of(uint32_t chunks)
{
    file_keys k = { .blob = "blob", .key = "key", .salt = "salt", .chunks = chunks };
    file_commitment(k.commitment, k.key, k.salt);
    return k;
}

static file_cipher *cipher_of(const file_keys *k)
{
    file_cipher *c = NULL;
    if (!arena)
        ck_assert_int_eq(secret_arena_new(&arena, 16384), TACET_OK);
    ck_assert_int_eq(file_cipher_new(&c, arena, k), TACET_OK);
    return c;
}

START_TEST(known_answers)
{
    json_t *all = vectors(), *o = json_object_get(all, "file"), *parts = json_object_get(o, "chunks");
    file_keys k = { .chunks = (uint32_t)json_array_size(parts) };
    uint8_t want[64], nonce[24], leaf[32];
    hex(k.key, 32, o, "key");
    hex(k.salt, 32, o, "salt");
    hex(k.blob, 16, o, "blob");
    hex(want, 32, o, "commitment");
    file_commitment(k.commitment, k.key, k.salt);
    ck_assert_mem_eq(k.commitment, want, 32);
    file_cipher *c = cipher_of(&k);
    file_tree tree = { 0 };
    uint64_t size = (uint64_t)json_integer_value(json_object_get(o, "size"));
    ck_assert_uint_eq(k.chunks, 2);
    for (uint32_t i = 0; i < k.chunks; i++) {
        json_t *part = json_array_get(parts, i);
        for (uint64_t at = 0; at < TACET_CHUNK_PLAIN_BYTES; at++) {
            uint64_t place = i * (uint64_t)TACET_CHUNK_PLAIN_BYTES + at;
            chunk[0][24 + at] = place < size ? (uint8_t)(place * 7 + place / 251) : 0;
        }
        hex(nonce, 24, part, "nonce");
        chunk_seal(c, i, nonce, chunk[0]);
        hex(want, 64, part, "head");
        ck_assert_mem_eq(chunk[0], want, 64);
        hex(want, 32, part, "tail");
        ck_assert_mem_eq(chunk[0] + TACET_CHUNK_BYTES - 32, want, 32);
        chunk_leaf(leaf, i, chunk[0], TACET_CHUNK_BYTES);
        hex(want, 32, part, "leaf");
        ck_assert_mem_eq(leaf, want, 32);
        file_tree_add(&tree, leaf);
    }
    file_tree_root(&tree, leaf);
    hex(want, 32, o, "root");
    ck_assert_mem_eq(leaf, want, 32);
    file_cipher_free(c, arena);
    json_decref(all);
}
END_TEST

START_TEST(trees_of_any_size)
{
    json_t *all = vectors(), *list = json_object_get(all, "trees"), *o;
    size_t i;
    json_array_foreach(list, i, o)
    {
        file_tree t = { 0 };
        uint8_t leaf[32], want[32];
        for (uint8_t n = 0; n < json_integer_value(json_object_get(o, "leaves")); n++) {
            crypto_generichash(leaf, 32, &n, 1, NULL, 0);
            file_tree_add(&t, leaf);
        }
        file_tree_root(&t, leaf);
        hex(want, 32, o, "root");
        ck_assert_mem_eq(leaf, want, 32);
    }
    json_decref(all);
}
END_TEST

/* Seals the same text as chunk `index` of three into chunk[0], and gives a copy to be damaged in chunk[1]. */
static file_cipher *sealed_as(uint32_t index)
{
    file_keys k = keys_of(3);
    file_cipher *c = cipher_of(&k);
    const uint8_t nonce[24] = { 9 };
    memset(chunk[0] + 24, 'p', TACET_CHUNK_PLAIN_BYTES);
    chunk_seal(c, index, nonce, chunk[0]);
    memcpy(chunk[1], chunk[0], TACET_CHUNK_BYTES);
    return c;
}

/* In the manner of age's stream_* tests: a chunk in another place, two finals, none, cut, longer, any byte changed. */
static const struct {
    const char *what;
    uint32_t sealed_as, opened_as;
    long flip;  /* a bit of this byte, -1 none */
    long bytes; /* more or less than a chunk */
    int want;
} row[] = {
    { "as it is", 1, 1, -1, 0, TACET_OK },
    { "the final one", 2, 2, -1, 0, TACET_OK },
    { "swapped with its neighbour", 1, 0, -1, 0, TACET_E_FORGED },
    { "a final in the middle", 2, 1, -1, 0, TACET_E_FORGED },
    { "no final at the end", 1, 2, -1, 0, TACET_E_FORGED },
    { "beyond the last", 2, 3, -1, 0, TACET_E_FORGED },
    { "empty", 1, 1, -1, -TACET_CHUNK_BYTES, TACET_E_FORGED },
    { "only a nonce", 1, 1, -1, 24 - TACET_CHUNK_BYTES, TACET_E_FORGED },
    { "cut by one", 1, 1, -1, -1, TACET_E_FORGED },
    { "longer by one", 1, 1, -1, 1, TACET_E_FORGED },
    { "nonce changed", 1, 1, 0, 0, TACET_E_FORGED },
    { "first byte changed", 1, 1, 24, 0, TACET_E_FORGED },
    { "padding changed", 1, 1, TACET_CHUNK_BYTES - 17, 0, TACET_E_FORGED },
    { "tag changed", 1, 1, TACET_CHUNK_BYTES - 1, 0, TACET_E_FORGED },
};

START_TEST(F02_only_the_very_chunk_opens)
{
    file_cipher *c = sealed_as(row[_i].sealed_as);
    if (row[_i].flip >= 0)
        chunk[1][row[_i].flip] ^= 4;
    int rc = chunk_open(c, row[_i].opened_as, chunk[1], (size_t)(TACET_CHUNK_BYTES + row[_i].bytes));
    ck_assert_msg(rc == row[_i].want, "%s: got %d", row[_i].what, rc);
    if (rc == TACET_OK)
        for (size_t i = 0; i < TACET_CHUNK_PLAIN_BYTES; i++)
            ck_assert_uint_eq(chunk[1][24 + i], 'p');
    file_cipher_free(c, arena);
}
END_TEST

START_TEST(F02_a_chunk_of_another_file_does_not_open)
{
    file_cipher *first = sealed_as(1);
    file_cipher_free(first, arena);
    for (int i = 0; i < 3; i++) {
        file_keys k = keys_of(i == 2 ? 2 : 3); /* of a file of two, chunk 1 is the last */
        if (i < 2) {
            *(i == 0 ? k.blob : k.key) ^= 1;
            file_commitment(k.commitment, k.key, k.salt);
        }
        file_cipher *c = cipher_of(&k);
        memcpy(chunk[1], chunk[0], TACET_CHUNK_BYTES);
        ck_assert_int_eq(chunk_open(c, 1, chunk[1], TACET_CHUNK_BYTES), TACET_E_FORGED);
        file_cipher_free(c, arena);
    }
}
END_TEST

START_TEST(F11_a_commitment_of_another_key_ends_it_before_anything_opens)
{
    file_keys k = keys_of(3);
    file_cipher *c = NULL;
    ck_assert_int_eq(secret_arena_new(&arena, 16384), TACET_OK);
    for (size_t bit = 0; bit < 256; bit++) {
        k.commitment[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(file_cipher_new(&c, arena, &k), TACET_E_FORGED);
        k.commitment[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_ptr_null(c);
    ck_assert_uint_eq(secret_in_use(arena), 0);
}
END_TEST

/* One chunk that opens under two keys: two receivers, two contents, one root. The commitment in the offers would have to be one as well. */
START_TEST(R21_F11_two_key_chunk_is_refused_by_the_commitment)
{
    file_keys k[2] = { keys_of(1), keys_of(1) };
    uint8_t expanded[2][64], prk[32], nonce[24] = { 5 }, ad[12 + 16 + 8 + 1] = "tacet chunk";
    k[1].key[0] ^= 1;
    for (int i = 0; i < 2; i++) {
        crypto_kdf_hkdf_sha256_extract(prk, k[i].salt, 32, k[i].key, 32);
        crypto_kdf_hkdf_sha256_expand(expanded[i], 64, "tacet file", 11, prk);
        file_commitment(k[i].commitment, k[i].key, k[i].salt);
    }
    memcpy(ad + 12, k[0].blob, 16);
    ad[36] = 1;
    memcpy(chunk[0], nonce, 24);
    ck_assert(poly_two_key_ciphertext(chunk[0] + 24, TACET_CHUNK_PLAIN_BYTES, expanded[0], expanded[1], nonce, ad, sizeof ad));
    for (int i = 0; i < 2; i++) { /* each with a commitment of its own: it really is one chunk of two contents */
        file_cipher *c = cipher_of(&k[i]);
        memcpy(chunk[1 + i], chunk[0], TACET_CHUNK_BYTES);
        ck_assert_int_eq(chunk_open(c, 0, chunk[1 + i], TACET_CHUNK_BYTES), TACET_OK);
        file_cipher_free(c, arena);
    }
    ck_assert_mem_ne(chunk[1] + 24, chunk[2] + 24, TACET_CHUNK_PLAIN_BYTES);
    file_cipher *c = NULL;
    memcpy(k[1].commitment, k[0].commitment, 32); /* one commitment for both */
    ck_assert_int_eq(file_cipher_new(&c, arena, &k[1]), TACET_E_FORGED);
}
END_TEST

SUITE("file_cipher", TEST(known_answers), TEST(trees_of_any_size), LOOP(F02_only_the_very_chunk_opens, ROWS(row)),
      TEST(F02_a_chunk_of_another_file_does_not_open), TEST(F11_a_commitment_of_another_key_ends_it_before_anything_opens),
      TEST(R21_F11_two_key_chunk_is_refused_by_the_commitment))
