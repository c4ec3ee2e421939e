/* The key file (PROTOCOL.md §9):
 *   "tacetkey" | version u8 (1) | count u8 | count x slot | BLAKE2b-256 of everything before
 *   slot = kind u8 | passes u32 | memory KiB u32 | salt 16 | nonce 24 | commitment 32 | sealed key 48
 * The checksum comes before every other question, so that damage is never taken for a wrong passphrase or a newer version; the
 * commitment comes before the opening, because the AEAD alone does not bind its key: one sealed key could open under two passphrases. */
#include "identity/keyfile.h"
#include "base/reader.h"
#include "base/writer.h"
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

enum {
    VERSION = 1,
    HEAD_BYTES = 8 + 1 + 1,
    SALT_BYTES = crypto_pwhash_SALTBYTES,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    COMMITMENT_BYTES = 32,
    SEALED_BYTES = TACET_DATABASE_KEY_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES,
    BOUND_BYTES = 1 + 4 + 4 + SALT_BYTES, /* associated data: the slot up to its nonce */
    SLOT_BYTES = BOUND_BYTES + NONCE_BYTES + COMMITMENT_BYTES + SEALED_BYTES,
    PASSES_MAX = 1024,
    MEMORY_MIN_KIB = 8,
    MEMORY_MAX_KIB = 4 * 1024 * 1024,
};
static const uint8_t magic[8] = { 't', 'a', 'c', 'e', 't', 'k', 'e', 'y' };

const keyfile_cost keyfile_cost_default = { 3, 256 * 1024 }, keyfile_cost_small = { 3, 64 * 1024 };

typedef struct {
    uint8_t kind; /* 0: empty */
    keyfile_cost cost;
    uint8_t salt[SALT_BYTES], nonce[NONCE_BYTES], commitment[COMMITMENT_BYTES], sealed[SEALED_BYTES];
} slot;

struct keyfile {
    slot slot[TACET_KEYFILE_SLOTS_MAX];
};

static const slot *slot_find(const keyfile *k, unsigned kind)
{
    for (size_t i = 0; i < TACET_KEYFILE_SLOTS_MAX; i++)
        if (k->slot[i].kind == kind)
            return &k->slot[i];
    return NULL;
}

int keyfile_new(keyfile **out)
{
    keyfile *k = calloc(1, sizeof *k);
    if (!k)
        return TACET_E_NOMEM;
    *out = k;
    return TACET_OK;
}

keyfile *keyfile_free(keyfile *k)
{
    if (k)
        sodium_memzero(k, sizeof *k);
    free(k);
    return NULL;
}

bool keyfile_has(const keyfile *k, enum keyfile_slot kind) { return slot_find(k, kind) != NULL; }

void keyfile_remove(keyfile *k, enum keyfile_slot kind)
{
    for (size_t i = 0; i < TACET_KEYFILE_SLOTS_MAX; i++)
        if (k->slot[i].kind == kind)
            sodium_memzero(&k->slot[i], sizeof k->slot[i]);
}

/* ---- bytes ------------------------------------------------------------------------------------------------------------------------- */

static void bound_write(writer *w, const slot *s)
{
    write_be(w, s->kind, 1);
    write_be(w, s->cost.passes, 4);
    write_be(w, s->cost.memory_kib, 4);
    write_bytes(w, s->salt, sizeof s->salt);
}

static void checksum(uint8_t out[TACET_HASH_BYTES], const uint8_t *bytes, size_t n)
{
    int rc = crypto_generichash(out, TACET_HASH_BYTES, bytes, n, NULL, 0);
    assert(rc == 0);
}

int keyfile_encode(const keyfile *k, uint8_t out[TACET_KEYFILE_MAX_BYTES], size_t *out_bytes)
{
    writer w = writer_over(out, TACET_KEYFILE_MAX_BYTES);
    size_t count = 0;
    for (size_t i = 0; i < TACET_KEYFILE_SLOTS_MAX; i++)
        count += k->slot[i].kind != 0;
    if (count == 0)
        return TACET_E_REFUSED; /* a file that nothing opens */
    write_bytes(&w, magic, sizeof magic);
    write_be(&w, VERSION, 1);
    write_be(&w, count, 1);
    for (unsigned kind = KEYFILE_PLAIN; kind <= KEYFILE_RECOVERY; kind++) {
        const slot *s = slot_find(k, kind);
        if (!s)
            continue;
        bound_write(&w, s);
        write_bytes(&w, s->nonce, sizeof s->nonce);
        write_bytes(&w, s->commitment, sizeof s->commitment);
        write_bytes(&w, s->sealed, sizeof s->sealed);
    }
    size_t n = writer_bytes(&w);
    assert(n == HEAD_BYTES + count * SLOT_BYTES);
    checksum(out + n, out, n);
    *out_bytes = n + TACET_HASH_BYTES;
    return TACET_OK;
}

static bool cost_valid(keyfile_cost c)
{
    return c.passes >= 1 && c.passes <= PASSES_MAX && c.memory_kib >= MEMORY_MIN_KIB && c.memory_kib <= MEMORY_MAX_KIB;
}

/* A plain slot holds the key and zeros, all others a cost that somebody can pay. */
static bool slot_valid(const slot *s)
{
    if (s->kind != KEYFILE_PLAIN)
        return s->kind <= KEYFILE_RECOVERY && cost_valid(s->cost);
    return s->cost.passes == 0 && s->cost.memory_kib == 0 && sodium_is_zero(s->salt, sizeof s->salt) && sodium_is_zero(s->nonce, sizeof s->nonce) &&
           sodium_is_zero(s->commitment, sizeof s->commitment) &&
           sodium_is_zero(s->sealed + TACET_DATABASE_KEY_BYTES, SEALED_BYTES - TACET_DATABASE_KEY_BYTES);
}

static void slot_read(reader *r, slot *s)
{
    s->kind = (uint8_t)read_be(r, 1);
    s->cost.passes = (uint32_t)read_be(r, 4);
    s->cost.memory_kib = (uint32_t)read_be(r, 4);
    read_into(r, s->salt, sizeof s->salt);
    read_into(r, s->nonce, sizeof s->nonce);
    read_into(r, s->commitment, sizeof s->commitment);
    read_into(r, s->sealed, sizeof s->sealed);
}

/* Kinds ascend strictly, so that a set of slots has one encoding. */
static int slots_read(reader *r, keyfile *k)
{
    size_t count = read_be(r, 1);
    if (count < 1 || count > TACET_KEYFILE_SLOTS_MAX || reader_left(r) != count * SLOT_BYTES)
        return TACET_E_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        slot_read(r, &k->slot[i]);
        if (k->slot[i].kind <= (i ? k->slot[i - 1].kind : 0) || !slot_valid(&k->slot[i]))
            return TACET_E_MALFORMED;
    }
    return reader_done(r) ? TACET_OK : TACET_E_MALFORMED;
}

/* Of the bytes whose checksum is wrong: are they a damaged key file, or none at all? */
static bool looks_like_keyfile(const uint8_t *bytes, size_t n)
{
    bool length = n > HEAD_BYTES + TACET_HASH_BYTES && (n - HEAD_BYTES - TACET_HASH_BYTES) % SLOT_BYTES == 0;
    return length || (n > 0 && sodium_memcmp(bytes, magic, n < sizeof magic ? n : sizeof magic) == 0);
}

int keyfile_decode(keyfile **out, const uint8_t *bytes, size_t n)
{
    uint8_t sum[TACET_HASH_BYTES];
    if (n > TACET_KEYFILE_MAX_BYTES)
        return TACET_E_MALFORMED;
    size_t body = n > sizeof sum ? n - sizeof sum : 0;
    checksum(sum, bytes, body);
    if (body < sizeof magic + 1 || sodium_memcmp(sum, bytes + body, sizeof sum) != 0)
        return looks_like_keyfile(bytes, n) ? TACET_E_CORRUPT : TACET_E_MALFORMED;
    reader r = reader_over(bytes, body);
    if (sodium_memcmp(read_view(&r, sizeof magic), magic, sizeof magic) != 0)
        return TACET_E_MALFORMED;
    if (read_be(&r, 1) != VERSION)
        return bytes[sizeof magic] > VERSION ? TACET_E_NEWER : TACET_E_MALFORMED;
    keyfile *k = NULL;
    int rc = keyfile_new(&k);
    if (rc == TACET_OK)
        rc = slots_read(&r, k);
    if (rc == TACET_OK)
        *out = k;
    else
        keyfile_free(k);
    return rc;
}

/* ---- keys -------------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES], commitment[COMMITMENT_BYTES];
} wrap;

/* Argon2id, then Expand with "tacet key file\0" -> key | commitment. */
static int wrap_derive(wrap *out, const slot *s, const char *passphrase, size_t passphrase_bytes)
{
    static const char label[] = "tacet key file"; /* its NUL counts */
    uint8_t stretched[crypto_kdf_hkdf_sha256_KEYBYTES], both[sizeof out->key + sizeof out->commitment];
    int rc = TACET_E_NOMEM;
    if (crypto_pwhash(stretched, sizeof stretched, passphrase, passphrase_bytes, s->salt, s->cost.passes, (size_t)s->cost.memory_kib * 1024,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        goto out;
    rc = TACET_E_BUG;
    if (crypto_kdf_hkdf_sha256_expand(both, sizeof both, label, sizeof label, stretched) != 0)
        goto out;
    memcpy(out->key, both, sizeof out->key);
    memcpy(out->commitment, both + sizeof out->key, sizeof out->commitment);
    rc = TACET_OK;
out:
    sodium_memzero(stretched, sizeof stretched);
    sodium_memzero(both, sizeof both);
    return rc;
}

static size_t bound_bytes(uint8_t out[BOUND_BYTES], const slot *s)
{
    writer w = writer_over(out, BOUND_BYTES);
    bound_write(&w, s);
    return writer_bytes(&w);
}

static int slot_seal(slot *s, const uint8_t database_key[TACET_DATABASE_KEY_BYTES], const char *passphrase, size_t passphrase_bytes)
{
    uint8_t bound[BOUND_BYTES];
    wrap w;
    int rc = wrap_derive(&w, s, passphrase, passphrase_bytes);
    if (rc != TACET_OK)
        goto out;
    memcpy(s->commitment, w.commitment, sizeof s->commitment);
    rc = crypto_aead_xchacha20poly1305_ietf_encrypt(s->sealed, NULL, database_key, TACET_DATABASE_KEY_BYTES, bound, bound_bytes(bound, s), NULL,
                                                    s->nonce, w.key) == 0
             ? TACET_OK
             : TACET_E_BUG;
out:
    sodium_memzero(&w, sizeof w);
    return rc;
}

static int slot_open(const slot *s, uint8_t database_key[TACET_DATABASE_KEY_BYTES], const char *passphrase, size_t passphrase_bytes)
{
    uint8_t bound[BOUND_BYTES], key[TACET_DATABASE_KEY_BYTES];
    wrap w;
    int rc = wrap_derive(&w, s, passphrase, passphrase_bytes);
    if (rc != TACET_OK)
        goto out;
    rc = TACET_E_PASSPHRASE;
    if (sodium_memcmp(w.commitment, s->commitment, sizeof s->commitment) != 0)
        goto out;
    rc = TACET_E_CORRUPT; /* the passphrase is right, and still the key does not open: somebody wrote a new checksum over damage */
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, s->sealed, sizeof s->sealed, bound, bound_bytes(bound, s), s->nonce, w.key) != 0)
        goto out;
    memcpy(database_key, key, sizeof key);
    rc = TACET_OK;
out:
    sodium_memzero(&w, sizeof w);
    sodium_memzero(key, sizeof key);
    return rc;
}

int keyfile_set(keyfile *k, enum keyfile_slot kind, const uint8_t database_key[TACET_DATABASE_KEY_BYTES], const char *passphrase,
                size_t passphrase_bytes, keyfile_cost cost, const tacet_env *env)
{
    slot s = { .kind = (uint8_t)kind };
    int rc = TACET_OK;
    if (kind == KEYFILE_PLAIN) {
        memcpy(s.sealed, database_key, TACET_DATABASE_KEY_BYTES);
    } else {
        s.cost = cost;
        env_random(env, s.salt, sizeof s.salt);
        env_random(env, s.nonce, sizeof s.nonce);
        rc = slot_valid(&s) ? slot_seal(&s, database_key, passphrase, passphrase_bytes) : TACET_E_MALFORMED;
    }
    if (rc == TACET_OK) {
        keyfile_remove(k, kind);
        for (size_t i = 0; i < TACET_KEYFILE_SLOTS_MAX; i++)
            if (k->slot[i].kind == 0) {
                k->slot[i] = s;
                break;
            }
    }
    sodium_memzero(&s, sizeof s);
    return rc;
}

int keyfile_open(const keyfile *k, enum keyfile_slot kind, uint8_t database_key[TACET_DATABASE_KEY_BYTES], const char *passphrase,
                 size_t passphrase_bytes)
{
    const slot *s = slot_find(k, kind);
    if (!s)
        return TACET_E_NOT_FOUND;
    if (kind != KEYFILE_PLAIN)
        return slot_open(s, database_key, passphrase, passphrase_bytes);
    memcpy(database_key, s->sealed, TACET_DATABASE_KEY_BYTES);
    return TACET_OK;
}
