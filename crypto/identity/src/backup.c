/* The backup file (PROTOCOL.md §9.1). The head's key file tells a wrong passphrase from damage and binds one passphrase to one key; the file's key
 * and the whole head then make the key of the chunks, with a commitment of its own. The number of a chunk and whether it is the last are its nonce,
 * as in age's STREAM: the key serves this one file, so no nonce comes twice. */
#include "identity/backup.h"
#include "base/reader.h"
#include "base/writer.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { VERSION = 1, OUTSIDE_BYTES = 8 + 1, SLOT_FILE_BYTES = BACKUP_HEAD_BYTES - OUTSIDE_BYTES, NONCE_BYTES = 24, COMMITMENT_BYTES = 32 };
static const uint8_t magic[8] = { 't', 'a', 'c', 'e', 't', 'b', 'a', 'k' };

/* ---- head -------------------------------------------------------------------------------------------------------------------------- */

int backup_head_make(uint8_t out[BACKUP_HEAD_BYTES], const uint8_t file_key[BACKUP_KEY_BYTES], const char *passphrase, size_t passphrase_bytes,
                     keyfile_cost cost, const tacet_env *env)
{
    uint8_t inside[TACET_KEYFILE_MAX_BYTES];
    size_t n = 0;
    keyfile *k = NULL;
    int rc = keyfile_new(&k);
    if (rc == TACET_OK)
        rc = keyfile_set(k, KEYFILE_PASSPHRASE, file_key, passphrase, passphrase_bytes, cost, env);
    if (rc == TACET_OK)
        rc = keyfile_encode(k, inside, &n);
    if (rc == TACET_OK) {
        assert(n == SLOT_FILE_BYTES);
        writer w = writer_over(out, BACKUP_HEAD_BYTES);
        write_bytes(&w, magic, sizeof magic);
        write_be(&w, VERSION, 1);
        write_bytes(&w, inside, n);
    }
    keyfile_free(k);
    return rc;
}

/* A head that is whole and of this version, parsed. */
static int head_decode(keyfile **out, const uint8_t *head, size_t n)
{
    reader r = reader_over(head, n);
    size_t seen = n < sizeof magic ? n : sizeof magic;
    bool ours = n > 0 && memcmp(read_view(&r, seen), magic, seen) == 0;
    if (n < BACKUP_HEAD_BYTES)
        return ours ? TACET_E_GAP : TACET_E_MALFORMED;
    uint64_t version = read_be(&r, 1);
    if (ours && version > VERSION)
        return TACET_E_NEWER;
    keyfile *k = NULL;
    int rc = keyfile_decode(&k, read_view(&r, SLOT_FILE_BYTES), SLOT_FILE_BYTES);
    if (rc == TACET_OK && ours && version == VERSION && keyfile_has(k, KEYFILE_PASSPHRASE)) {
        *out = k;
        return TACET_OK;
    }
    keyfile_free(k);
    if (rc == TACET_E_NOMEM)
        return rc;
    return ours || rc == TACET_OK ? TACET_E_CORRUPT : TACET_E_MALFORMED; /* a sound inside: it is the outside that was changed */
}

int backup_head_check(const uint8_t *head, size_t n)
{
    keyfile *k = NULL;
    int rc = head_decode(&k, head, n);
    keyfile_free(k);
    return rc;
}

int backup_head_open(uint8_t file_key[BACKUP_KEY_BYTES], const uint8_t head[BACKUP_HEAD_BYTES], const char *passphrase, size_t passphrase_bytes)
{
    keyfile *k = NULL;
    int rc = head_decode(&k, head, BACKUP_HEAD_BYTES);
    if (rc == TACET_OK)
        rc = keyfile_open(k, KEYFILE_PASSPHRASE, file_key, passphrase, passphrase_bytes);
    keyfile_free(k);
    return rc;
}

/* ---- chunks ------------------------------------------------------------------------------------------------------------------------ */

/* HKDF(salt BLAKE2b-512(head), file key, "tacet backup\0" | N) -> key | commitment. */
static void stream_derive(uint8_t key[32], uint8_t commitment[COMMITMENT_BYTES], const uint8_t nonce[NONCE_BYTES],
                          const uint8_t head[BACKUP_HEAD_BYTES], const uint8_t file_key[BACKUP_KEY_BYTES])
{
    uint8_t salt[64], extracted[crypto_kdf_hkdf_sha256_KEYBYTES], both[32 + COMMITMENT_BYTES], info[13 + NONCE_BYTES];
    writer w = writer_over(info, sizeof info);
    write_label(&w, "tacet backup");
    write_bytes(&w, nonce, NONCE_BYTES);
    assert(writer_bytes(&w) == sizeof info);
    int rc = crypto_generichash(salt, sizeof salt, head, BACKUP_HEAD_BYTES, NULL, 0);
    rc |= crypto_kdf_hkdf_sha256_extract(extracted, salt, sizeof salt, file_key, BACKUP_KEY_BYTES);
    rc |= crypto_kdf_hkdf_sha256_expand(both, sizeof both, (const char *)info, sizeof info, extracted);
    assert(rc == 0); /* lengths of ours alone */
    memcpy(key, both, 32);
    memcpy(commitment, both + 32, COMMITMENT_BYTES);
    sodium_memzero(extracted, sizeof extracted);
    sodium_memzero(both, sizeof both);
}

void backup_stream_begin(backup_stream *s, uint8_t start[BACKUP_START_BYTES], const uint8_t head[BACKUP_HEAD_BYTES],
                         const uint8_t file_key[BACKUP_KEY_BYTES], const tacet_env *env)
{
    *s = (backup_stream){ .next = 0 };
    env_random(env, start, NONCE_BYTES);
    stream_derive(s->key, start + NONCE_BYTES, start, head, file_key);
}

int backup_stream_open(backup_stream *s, const uint8_t start[BACKUP_START_BYTES], const uint8_t head[BACKUP_HEAD_BYTES],
                       const uint8_t file_key[BACKUP_KEY_BYTES])
{
    uint8_t commitment[COMMITMENT_BYTES];
    backup_stream trial = { .next = 0 };
    stream_derive(trial.key, commitment, start, head, file_key);
    int rc = sodium_memcmp(commitment, start + NONCE_BYTES, sizeof commitment) == 0 ? TACET_OK : TACET_E_CORRUPT;
    if (rc == TACET_OK)
        *s = trial;
    sodium_memzero(&trial, sizeof trial);
    return rc;
}

/* Zeros 15 | number u64 | last u8. */
static void chunk_nonce(uint8_t out[NONCE_BYTES], uint64_t number, bool last)
{
    writer w = writer_over(out, NONCE_BYTES);
    write_zeros(&w, NONCE_BYTES - 9);
    write_be(&w, number, 8);
    write_be(&w, last, 1);
}

int backup_chunk_seal(backup_stream *s, uint8_t out[BACKUP_CHUNK_BYTES], const uint8_t plain[BACKUP_PLAIN_BYTES], bool last)
{
    uint8_t nonce[NONCE_BYTES];
    if (s->ended)
        return TACET_E_BUG;
    chunk_nonce(nonce, s->next++, last);
    s->ended = last;
    return crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain, BACKUP_PLAIN_BYTES, NULL, 0, NULL, nonce, s->key) == 0 ? TACET_OK
                                                                                                                               : TACET_E_BUG;
}

static bool chunk_try(const backup_stream *s, uint8_t plain[BACKUP_PLAIN_BYTES], const uint8_t in[BACKUP_CHUNK_BYTES], bool last)
{
    uint8_t nonce[NONCE_BYTES];
    chunk_nonce(nonce, s->next, last);
    return crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, in, BACKUP_CHUNK_BYTES, NULL, 0, nonce, s->key) == 0;
}

int backup_chunk_open(backup_stream *s, uint8_t plain[BACKUP_PLAIN_BYTES], const uint8_t in[BACKUP_CHUNK_BYTES], bool more)
{
    if (s->ended)
        return TACET_E_CORRUPT;
    if (!chunk_try(s, plain, in, !more)) {
        bool cut = !more && chunk_try(s, plain, in, false);
        sodium_memzero(plain, BACKUP_PLAIN_BYTES);
        return cut ? TACET_E_GAP : TACET_E_CORRUPT;
    }
    s->next++;
    s->ended = !more;
    return TACET_OK;
}

uint64_t backup_chunks_padded(uint64_t chunks)
{
    unsigned e = 0, s = 0;
    if (chunks < 2)
        return chunks;
    for (uint64_t n = chunks; n > 1; n >>= 1)
        e++; /* floor(log2) */
    for (unsigned n = e; n; n >>= 1)
        s++; /* floor(log2(e)) + 1 */
    uint64_t mask = e > s ? ((uint64_t)1 << (e - s)) - 1 : 0;
    return (chunks + mask) & ~mask;
}
