/* Keys, their checks, and the one shape of a signature (PROTOCOL.md §3). The rule that is not obvious: a public key that came from
 * outside is checked once, where it is decoded; everything behind that point holds raw keys that are known to be good. */
#include "identity/keys.h"
#include "base/writer.h"
#include <assert.h>
#include <sodium.h>

enum { ACCOUNT_LABEL_BYTES = sizeof "tacet account", SIGN_HEAD_BYTES = 10 + 1 + 1 + TACET_ACCOUNT_BYTES + 4, SIGN_VERSION = 1 };

void sign_pair_generate(sign_pair *out, const tacet_env *env)
{
    uint8_t seed[crypto_sign_SEEDBYTES];
    env_random(env, seed, sizeof seed);
    int rc = crypto_sign_seed_keypair(out->public, out->secret, seed);
    sodium_memzero(seed, sizeof seed);
    assert(rc == 0);
}

void dh_pair_generate(dh_pair *out, const tacet_env *env)
{
    uint8_t secret[32];
    env_random(env, secret, sizeof secret);
    dh_pair_from_secret(out, secret);
    sodium_memzero(secret, sizeof secret);
}

void dh_pair_from_secret(dh_pair *out, const uint8_t secret[32])
{
    memcpy(out->secret, secret, sizeof out->secret);
    int rc = crypto_scalarmult_base(out->public, out->secret);
    assert(rc == 0);
}

void account_of(account_id *out, const uint8_t ik[32])
{
    uint8_t buf[ACCOUNT_LABEL_BYTES + TACET_TYPED_KEY_BYTES], typed[TACET_TYPED_KEY_BYTES];
    writer w = writer_over(buf, sizeof buf);
    key_encode(typed, KEY_ED25519, ik);
    write_label(&w, "tacet account");
    write_bytes(&w, typed, sizeof typed);
    assert(writer_bytes(&w) == sizeof buf);
    int rc = crypto_generichash(out->bytes, sizeof out->bytes, buf, sizeof buf, NULL, 0);
    assert(rc == 0);
}

void key_encode(uint8_t out[TACET_TYPED_KEY_BYTES], enum key_type type, const uint8_t raw[32])
{
    out[0] = (uint8_t)type;
    memcpy(out + 1, raw, TACET_KEY_BYTES);
}

int key_decode(uint8_t raw[32], enum key_type want, const uint8_t in[TACET_TYPED_KEY_BYTES])
{
    if (in[0] != (uint8_t)want || (want != KEY_ED25519 && want != KEY_X25519))
        return TACET_E_KEY;
    int rc = want == KEY_X25519 ? x25519_check(in + 1) : ed25519_check(in + 1);
    if (rc == TACET_OK)
        memcpy(raw, in + 1, TACET_KEY_BYTES);
    return rc;
}

/* is_valid_point: canonical, on the curve, not of small order, in the main subgroup. */
int ed25519_check(const uint8_t raw[32]) { return crypto_core_ed25519_is_valid_point(raw) == 1 ? TACET_OK : TACET_E_KEY; }

/* Below 2^255 - 19 with the top bit clear. */
static bool x25519_canonical(const uint8_t raw[32])
{
    static const uint8_t p[32] = { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f };
    return sodium_compare(raw, p, sizeof p) < 0;
}

int x25519_check(const uint8_t raw[32])
{
    /* The canonical u-coordinates of order 1, 2, 4 and 8 on the curve and its twist: 0, 1, p - 1, and the two of order 8 (RFC 7748 §6.1
     * leaves the check to us). Their non-canonical twins fall to the first question. */
    static const uint8_t small[][32] = {
        { 0 },
        { 1 },
        { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
        { 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
          0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 },
        { 0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
          0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57 },
    };
    if (!x25519_canonical(raw))
        return TACET_E_KEY;
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        if (sodium_memcmp(raw, small[i], sizeof small[i]) == 0)
            return TACET_E_KEY;
    return TACET_OK;
}

int mlkem768_check(const uint8_t key[TACET_KEM_KEY_BYTES])
{
    enum { Q = 3329, PACKED_BYTES = 3 * 384 }; /* three polynomials of 256 coefficients, 12 bits each; the seed behind them is free */
    for (size_t i = 0; i < PACKED_BYTES; i += 3) {
        unsigned one = key[i] | (unsigned)(key[i + 1] & 15) << 8, two = key[i + 1] >> 4 | (unsigned)key[i + 2] << 4;
        if (one >= Q || two >= Q)
            return TACET_E_KEY;
    }
    return TACET_OK;
}

/* What is signed: "tacet sig\0" | purpose | version 1 | account | device u32 | object. 0 when the object is longer than any of ours. */
static size_t signed_bytes(uint8_t out[SIGN_HEAD_BYTES + TACET_SIGN_OBJECT_MAX_BYTES], enum sign_purpose purpose, const account_id *account,
                           uint32_t device, const uint8_t *object, size_t object_bytes)
{
    writer w = writer_over(out, SIGN_HEAD_BYTES + TACET_SIGN_OBJECT_MAX_BYTES);
    write_label(&w, "tacet sig");
    write_be(&w, purpose, 1);
    write_be(&w, SIGN_VERSION, 1);
    write_bytes(&w, account->bytes, sizeof account->bytes);
    write_be(&w, device, 4);
    write_bytes(&w, object, object_bytes);
    return writer_bytes(&w);
}

void object_sign(uint8_t signature[TACET_SIGNATURE_BYTES], enum sign_purpose purpose, const account_id *account, uint32_t device,
                 const uint8_t *object, size_t object_bytes, const uint8_t secret[TACET_SIGN_SECRET_BYTES])
{
    uint8_t buf[SIGN_HEAD_BYTES + TACET_SIGN_OBJECT_MAX_BYTES];
    size_t n = signed_bytes(buf, purpose, account, device, object, object_bytes);
    assert(n); /* objects that we sign are ours */
    int rc = crypto_sign_detached(signature, NULL, buf, n, secret);
    assert(rc == 0);
}

int object_verify(const uint8_t signature[TACET_SIGNATURE_BYTES], enum sign_purpose purpose, const account_id *account, uint32_t device,
                  const uint8_t *object, size_t object_bytes, const uint8_t key[TACET_KEY_BYTES])
{
    uint8_t buf[SIGN_HEAD_BYTES + TACET_SIGN_OBJECT_MAX_BYTES];
    size_t n = signed_bytes(buf, purpose, account, device, object, object_bytes);
    return n && crypto_sign_verify_detached(signature, buf, n, key) == 0 ? TACET_OK : TACET_E_FORGED;
}
