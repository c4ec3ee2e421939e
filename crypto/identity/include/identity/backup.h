/* identity/backup.h: the outside of a backup file (PROTOCOL.md §9.1): a head that a passphrase opens, then chunks of one size, each sealed under a
 * key that was drawn for this file. Bytes in, bytes out; what the chunks say is the client's business.
 *   head    "tacetbak" 8 | version u8 (1) | a key file with one slot, kind 2, that holds the file's key 171       (180 bytes)
 *   start   nonce 24 | commitment 32
 *   chunks  each 65,536 bytes of plaintext and a tag of 16; the last one is sealed as the last
 * Keys belong in locked memory. */
#ifndef IDENTITY_BACKUP_H
#define IDENTITY_BACKUP_H
#include "identity/keyfile.h"

enum {
    BACKUP_KEY_BYTES = 32,
    BACKUP_HEAD_BYTES = 8 + 1 + 171,
    BACKUP_START_BYTES = 24 + 32,
    BACKUP_PLAIN_BYTES = 65536,
    BACKUP_CHUNK_BYTES = BACKUP_PLAIN_BYTES + 16,
};

/* TACET_E_NOMEM (also Argon2id's), TACET_E_MALFORMED (a cost that cannot be). */
TACET_MUST_USE int backup_head_make(uint8_t out[BACKUP_HEAD_BYTES], const uint8_t file_key[BACKUP_KEY_BYTES], const char *passphrase,
                                    size_t passphrase_bytes, keyfile_cost cost, const tacet_env *env);
/* Without a passphrase, so before anybody is asked for one: n is what the file has of its head.
 *   TACET_E_MALFORMED no backup file   TACET_E_NEWER   TACET_E_CORRUPT damaged   TACET_E_GAP cut off   TACET_E_NOMEM */
TACET_MUST_USE int backup_head_check(const uint8_t *head, size_t n);
/* The same, and TACET_E_PASSPHRASE. */
TACET_MUST_USE int backup_head_open(uint8_t file_key[BACKUP_KEY_BYTES], const uint8_t head[BACKUP_HEAD_BYTES], const char *passphrase,
                                    size_t passphrase_bytes);

typedef struct {
    uint8_t key[32];
    uint64_t next; /* number of the next chunk */
    bool ended;    /* the last one was sealed or opened */
} backup_stream;   /* to be wiped by the owner */

void backup_stream_begin(backup_stream *s, uint8_t start[BACKUP_START_BYTES], const uint8_t head[BACKUP_HEAD_BYTES],
                         const uint8_t file_key[BACKUP_KEY_BYTES], const tacet_env *env);
/* TACET_E_CORRUPT: not the start that belongs to this head and key. */
TACET_MUST_USE int backup_stream_open(backup_stream *s, const uint8_t start[BACKUP_START_BYTES], const uint8_t head[BACKUP_HEAD_BYTES],
                                      const uint8_t file_key[BACKUP_KEY_BYTES]);
TACET_MUST_USE int backup_chunk_seal(backup_stream *s, uint8_t out[BACKUP_CHUNK_BYTES], const uint8_t plain[BACKUP_PLAIN_BYTES], bool last);
/* `more`: the file goes on behind this chunk. TACET_OK: s->ended says whether it was the last. TACET_E_CORRUPT: it does not open, or is the last
 * and something follows. TACET_E_GAP: it is sound and not the last, but nothing follows: the file was cut off. */
TACET_MUST_USE int backup_chunk_open(backup_stream *s, uint8_t plain[BACKUP_PLAIN_BYTES], const uint8_t in[BACKUP_CHUNK_BYTES], bool more);

/* PADMÉ (Nikitin et al. 2019): so many chunks does a backup have that needs `chunks`, at most 12 % more; below 2 as it is. */
uint64_t backup_chunks_padded(uint64_t chunks);
#endif
