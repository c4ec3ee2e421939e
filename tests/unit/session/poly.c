#include "poly.h"
#include <sodium.h>
#include <string.h>

enum { LIMBS = 5, MASK = (1 << 26) - 1 };
typedef struct {
    uint64_t v[LIMBS];
} fe;

static fe carry(fe a)
{
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < LIMBS; i++) {
            uint64_t c = a.v[i] >> 26;
            a.v[i] &= MASK;
            a.v[(i + 1) % LIMBS] += i == LIMBS - 1 ? 5 * c : c;
        }
    return a;
}

static fe add(fe a, fe b)
{
    for (int i = 0; i < LIMBS; i++)
        a.v[i] += b.v[i];
    return carry(a);
}

/* 4p - b keeps every limb positive. */
static fe sub(fe a, fe b)
{
    for (int i = 0; i < LIMBS; i++)
        a.v[i] += 4 * (uint64_t)(i == 0 ? MASK - 4 : MASK) - b.v[i];
    return carry(a);
}

static fe mul(fe a, fe b)
{
    fe r = { { 0 } };
    for (int i = 0; i < LIMBS; i++)
        for (int j = 0; j < LIMBS; j++)
            r.v[(i + j) % LIMBS] += a.v[i] * b.v[j] * (i + j >= LIMBS ? 5U : 1U);
    return carry(r);
}

/* The one representative below p. */
static fe reduce(fe a)
{
    a = carry(a);
    bool above = a.v[0] >= MASK - 4;
    for (int i = 1; i < LIMBS; i++)
        above = above && a.v[i] == MASK;
    if (above) {
        fe zero = { { a.v[0] - (MASK - 4) } };
        return zero;
    }
    return a;
}

/* a^(p-2), p - 2 = 2^130 - 7 */
static fe invert(fe a)
{
    fe r = { { 1 } };
    for (int bit = 129; bit >= 0; bit--) {
        r = mul(r, r);
        if (bit > 2 || bit == 0) /* 2^130 - 7 = 1...1 001 */
            r = mul(r, a);
    }
    return r;
}

/* 16 bytes and a number of 2^128. */
static fe load(const uint8_t b[16], unsigned high)
{
    fe r = { { 0 } };
    for (int bit = 0; bit < 128; bit++)
        r.v[bit / 26] |= (uint64_t)(b[bit / 8] >> (bit % 8) & 1) << (bit % 26);
    r.v[4] += (uint64_t)high << 24;
    return carry(r);
}

/* The low 128 bits; returns what lies above. */
static unsigned store(uint8_t b[16], fe a)
{
    a = reduce(a);
    memset(b, 0, 16);
    for (int bit = 0; bit < 128; bit++)
        b[bit / 8] |= (uint8_t)((a.v[bit / 26] >> (bit % 26) & 1) << (bit % 8));
    return (unsigned)(a.v[4] >> 24);
}

/* The polynomial over AD, ciphertext and lengths (RFC 8439 §2.8), before s is added; *power = r^(places from block `at` to the end). */
static fe polynomial(const uint8_t r_bytes[16], const uint8_t *ad, size_t ad_bytes, const uint8_t *c, size_t n, size_t at, fe *power)
{
    uint8_t r16[16], block[16];
    static const uint8_t clamp[16] = { 255, 255, 255, 15, 252, 255, 255, 15, 252, 255, 255, 15, 252, 255, 255, 15 };
    for (int i = 0; i < 16; i++)
        r16[i] = r_bytes[i] & clamp[i];
    fe r = load(r16, 0), h = { { 0 } };
    size_t ad_blocks = (ad_bytes + 15) / 16, blocks = ad_blocks + n / 16 + 1;
    for (size_t i = 0; i < blocks; i++) {
        memset(block, 0, 16);
        if (i < ad_blocks) {
            memcpy(block, ad + 16 * i, ad_bytes - 16 * i < 16 ? ad_bytes - 16 * i : 16);
        } else if (i < blocks - 1) {
            memcpy(block, c + 16 * (i - ad_blocks), 16);
        } else {
            block[0] = (uint8_t)ad_bytes;
            block[8] = (uint8_t)n;
            block[9] = (uint8_t)(n >> 8);
        }
        h = mul(add(h, load(block, 1)), r);
        if (i == ad_blocks + at)
            *power = r;
        else if (i > ad_blocks + at)
            *power = mul(*power, r);
    }
    return h;
}

bool poly_two_key_ciphertext(uint8_t *out, size_t n, const uint8_t key1[32], const uint8_t key2[32], const uint8_t nonce[24], const uint8_t *ad,
                             size_t ad_bytes)
{
    uint8_t k1[32], k2[32], tag1[16], tag2[16];
    crypto_stream_xchacha20(k1, sizeof k1, nonce, key1); /* block 0: r | s */
    crypto_stream_xchacha20(k2, sizeof k2, nonce, key2);
    for (unsigned attempt = 0; attempt < 256; attempt++) {
        fe power1 = { { 0 } }, power2 = { { 0 } };
        memset(out, 'c', n);
        memset(out, 0, 16); /* the block to solve for; it counts as 2^128 for now */
        out[16] = (uint8_t)attempt;
        fe h1 = polynomial(k1, ad, ad_bytes, out, n, 0, &power1), h2 = polynomial(k2, ad, ad_bytes, out, n, 0, &power2);
        /* h1 + x r1^j + s1 = h2 + x r2^j + s2 */
        fe want = sub(add(h2, load(k2 + 16, 0)), add(h1, load(k1 + 16, 0)));
        if (store(out, mul(want, invert(sub(power1, power2)))) != 0)
            continue; /* more than 128 bits: another attempt */
        fe full1 = polynomial(k1, ad, ad_bytes, out, n, 0, &power1), full2 = polynomial(k2, ad, ad_bytes, out, n, 0, &power2);
        store(tag1, full1);
        store(tag2, full2);
        sodium_add(tag1, k1 + 16, 16); /* mod 2^128: equal only when neither or both wrapped alike */
        sodium_add(tag2, k2 + 16, 16);
        if (memcmp(tag1, tag2, 16) != 0)
            continue;
        memcpy(out + n, tag1, 16);
        return true;
    }
    return false;
}
