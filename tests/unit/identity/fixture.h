/* tests/unit/identity/fixture.h: one account with two devices from a seeded environment, the bad points, and the loop that every decoder
 * goes through: all truncations, a byte too many, and each byte flipped, on copies of exact size so that a sanitizer sees overreads. */
#ifndef TESTS_IDENTITY_FIXTURE_H
#define TESTS_IDENTITY_FIXTURE_H
#include "identity/devices.h"
#include "identity/directory.h"
#include "identity/prekey.h"
#include "suite.h"
#include <string.h>

enum { NOW_S = 1760000000, BAD_POINTS = 48 };

typedef struct {
    env_seeded random;
    sign_pair ik, device_sign[2];
    dh_pair dh[2], transport[2], relay;
    account_id account;
} person;

static inline void person_init(person *p, uint64_t seed)
{
    env_seeded_init(&p->random, seed, (uint64_t)NOW_S * 1000);
    sign_pair_generate(&p->ik, &p->random.env);
    for (int i = 0; i < 2; i++) {
        sign_pair_generate(&p->device_sign[i], &p->random.env);
        dh_pair_generate(&p->dh[i], &p->random.env);
        dh_pair_generate(&p->transport[i], &p->random.env);
    }
    dh_pair_generate(&p->relay, &p->random.env);
    account_of(&p->account, p->ik.public);
}

/* Not signed yet. Devices carry the numbers 1 and 2. */
static inline device_list person_list(const person *p, uint64_t version, const uint8_t *previous, uint8_t count)
{
    device_list l = { .version = version, .count = count };
    memcpy(l.ik, p->ik.public, 32);
    if (previous)
        memcpy(l.previous, previous, 32);
    for (uint8_t i = 0; i < count; i++) {
        l.device[i] = (device_entry){ .id = i + 1U, .lowest = 1, .highest = 2, .created_s = NOW_S };
        memcpy(l.device[i].sign, p->device_sign[i].public, 32);
        memcpy(l.device[i].dh, p->dh[i].public, 32);
        memcpy(l.device[i].transport, p->transport[i].public, 32);
    }
    return l;
}

/* R09, T05: u-coordinates that must be refused everywhere. 5 of small order, the same with the top bit, the 19 from p to 2^255 - 1, and
 * those with the top bit. */
static inline void bad_point(uint8_t out[32], int i)
{
    static const char *const small[5] = {
        "0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    };
    bool top = i >= BAD_POINTS / 2;
    i %= BAD_POINTS / 2;
    if (i < 5) {
        sodium_hex2bin(out, 32, small[i], 64, NULL, NULL, NULL);
    } else {
        memset(out, 0xff, 32);
        out[0] = (uint8_t)(0xed + i - 5);
        out[31] = 0x7f;
    }
    out[31] |= top ? 0x80 : 0;
}

/* decode(ctx, bytes, n) returns a status and, on anything but TACET_OK, must have written nothing (the callee checks that). */
typedef int (*decode_fn)(const void *ctx, const uint8_t *bytes, size_t n);

static inline int decode_exact(decode_fn decode, const void *ctx, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, n);
    int rc = decode(ctx, copy, n);
    free(copy);
    return rc;
}

static inline void refuses_every_change(decode_fn decode, const void *ctx, const uint8_t *good, size_t n)
{
    uint8_t *bytes = calloc(1, n + 1);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, good, n);
    ck_assert_int_eq(decode_exact(decode, ctx, bytes, n), TACET_OK);
    for (size_t cut = 0; cut < n; cut++)
        ck_assert_msg(decode_exact(decode, ctx, bytes, cut) != TACET_OK, "cut at %zu", cut);
    ck_assert_msg(decode_exact(decode, ctx, bytes, n + 1) != TACET_OK, "a byte too many");
    for (size_t i = 0; i < n; i++)
        for (unsigned how = 0; how < 2; how++) {
            uint8_t flip = (uint8_t)(how ? 0xffU : 1U << i % 8);
            bytes[i] ^= flip;
            ck_assert_msg(decode_exact(decode, ctx, bytes, n) != TACET_OK, "byte %zu flipped by %02x", i, flip);
            bytes[i] ^= flip;
        }
    free(bytes);
}

/* For the callees: `out` was filled with 0xa5 before, and must still be. */
static inline void untouched(const void *out, size_t n)
{
    size_t i = 0;
    while (i < n && ((const uint8_t *)out)[i] == 0xa5)
        i++;
    ck_assert_msg(i == n, "out-parameter written at %zu", i); /* one assertion: each costs a message to the runner */
}
#endif
