#include "kdf.h"
#include "declassify.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

void kdf_hkdf(uint8_t *out, size_t out_bytes, const uint8_t *salt, size_t salt_bytes, const uint8_t *ikm, size_t ikm_bytes, const void *info,
              size_t info_bytes)
{
    uint8_t prk[KEY32];
    int rc = crypto_kdf_hkdf_sha256_extract(prk, salt, salt_bytes, ikm, ikm_bytes);
    assert(rc == 0);
    kdf_expand(out, out_bytes, prk, info, info_bytes);
    sodium_memzero(prk, sizeof prk);
    (void)rc;
}

/* RFC 5869 §2.3 by hand: all blocks share the key's two compressions, which libsodium's own makes anew for each. */
void kdf_expand(uint8_t *out, size_t out_bytes, const uint8_t key[KEY32], const void *info, size_t info_bytes)
{
    crypto_auth_hmacsha256_state keyed, st;
    uint8_t block[KEY32];
    assert(out_bytes <= 255 * KEY32);
    crypto_auth_hmacsha256_init(&keyed, key, KEY32);
    for (uint8_t i = 1; out_bytes; i++) {
        size_t some = out_bytes < KEY32 ? out_bytes : KEY32;
        st = keyed;
        if (i > 1)
            crypto_auth_hmacsha256_update(&st, block, sizeof block);
        crypto_auth_hmacsha256_update(&st, info, info_bytes);
        crypto_auth_hmacsha256_update(&st, &i, 1);
        crypto_auth_hmacsha256_final(&st, block);
        memcpy(out, block, some);
        out += some;
        out_bytes -= some;
    }
    sodium_memzero(&keyed, sizeof keyed);
    sodium_memzero(&st, sizeof st);
    sodium_memzero(block, sizeof block);
}

void kdf_chain(uint8_t *message_key, uint8_t next[KEY32], const uint8_t ck[KEY32])
{
    static const uint8_t one = 1, two = 2;
    crypto_auth_hmacsha256_state keyed, st;
    crypto_auth_hmacsha256_init(&keyed, ck, KEY32); /* both outputs share the key's two blocks */
    if (message_key) {
        st = keyed;
        crypto_auth_hmacsha256_update(&st, &one, 1);
        crypto_auth_hmacsha256_final(&st, message_key);
    }
    crypto_auth_hmacsha256_update(&keyed, &two, 1);
    crypto_auth_hmacsha256_final(&keyed, next);
    sodium_memzero(&keyed, sizeof keyed);
    sodium_memzero(&st, sizeof st);
}

/* key | commitment = Expand(key, label | N, 64) */
static void committed_keys(uint8_t out[64], enum committed_use use, const uint8_t key[KEY32], const uint8_t nonce[24])
{
    static const struct {
        const char *label;
        size_t bytes;
    } row[] = { [COMMITTED_BOX] = { "tacet box", sizeof "tacet box" }, [COMMITTED_MESSAGE] = { "tacet msg", sizeof "tacet msg" } };
    uint8_t info[sizeof "tacet msg" + 24];
    assert(row[use].bytes + 24 <= sizeof info);
    memcpy(info, row[use].label, row[use].bytes);
    memcpy(info + row[use].bytes, nonce, 24);
    kdf_expand(out, 64, key, info, row[use].bytes + 24);
}

void committed_seal(uint8_t *out, size_t plain_bytes, enum committed_use use, const uint8_t key[KEY32], const uint8_t nonce[24], const uint8_t *ad,
                    size_t ad_bytes)
{
    uint8_t keys[64], *body = out + COMMITTED_HEAD_BYTES;
    committed_keys(keys, use, key, nonce);
    memcpy(out, nonce, 24);
    memcpy(out + 24, keys + 32, 32);
    int rc = crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, body, plain_bytes, ad, ad_bytes, NULL, nonce, keys);
    assert(rc == 0);
    (void)rc;
    sodium_memzero(keys, sizeof keys);
}

int committed_open(uint8_t *plain, const uint8_t *sealed, size_t n, enum committed_use use, const uint8_t key[KEY32], const uint8_t *ad,
                   size_t ad_bytes)
{
    uint8_t keys[64];
    int rc = TACET_E_FORGED, differs, bad;
    if (n < COMMITTED_OVERHEAD_BYTES)
        return rc;
    committed_keys(keys, use, key, sealed);
    differs = sodium_memcmp(keys + 32, sealed + 24, 32);
    DECLASSIFY(&differs, sizeof differs);
    if (differs)
        goto out;
    bad = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed + COMMITTED_HEAD_BYTES, n - COMMITTED_HEAD_BYTES, ad, ad_bytes, sealed,
                                                     keys);
    DECLASSIFY(&bad, sizeof bad);
    if (!bad)
        rc = TACET_OK;
out:
    sodium_memzero(keys, sizeof keys);
    return rc;
}
