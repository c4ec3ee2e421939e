/* The safety number (PROTOCOL.md §3): thirty digits a side, made slow to search for, the lesser side first. */
#include "identity/safety.h"
#include "base/writer.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 5200, GROUPS = 6, SIDE_DIGITS = TACET_SAFETY_DIGITS / 2, SHA512_BYTES = 64 };

static void side_hash(uint8_t h[SHA512_BYTES], const uint8_t ik[32])
{
    uint8_t typed[TACET_TYPED_KEY_BYTES], first[2 + TACET_TYPED_KEY_BYTES + TACET_ACCOUNT_BYTES], next[SHA512_BYTES + TACET_TYPED_KEY_BYTES];
    account_id account;
    account_of(&account, ik);
    key_encode(typed, KEY_ED25519, ik);
    writer w = writer_over(first, sizeof first);
    write_zeros(&w, 2);
    write_bytes(&w, typed, sizeof typed);
    write_bytes(&w, account.bytes, sizeof account.bytes);
    assert(writer_bytes(&w) == sizeof first);
    crypto_hash_sha512(h, first, sizeof first);
    memcpy(next + SHA512_BYTES, typed, sizeof typed);
    for (int i = 0; i < ROUNDS; i++) {
        memcpy(next, h, SHA512_BYTES);
        crypto_hash_sha512(h, next, sizeof next);
    }
}

static void side_digits(char out[SIDE_DIGITS + 1], const uint8_t ik[32])
{
    uint8_t h[SHA512_BYTES];
    side_hash(h, ik);
    for (size_t g = 0; g < GROUPS; g++) {
        uint64_t v = 0;
        for (size_t i = 0; i < 5; i++)
            v = v << 8 | h[5 * g + i];
        snprintf(out + 5 * g, 6, "%05u", (unsigned)(v % 100000));
    }
}

void safety_number(char out[TACET_SAFETY_DIGITS + 1], const uint8_t ik_one[32], const uint8_t ik_two[32])
{
    char one[SIDE_DIGITS + 1], two[SIDE_DIGITS + 1];
    side_digits(one, ik_one);
    side_digits(two, ik_two);
    bool ascending = strcmp(one, two) <= 0;
    snprintf(out, TACET_SAFETY_DIGITS + 1, "%s%s", ascending ? one : two, ascending ? two : one);
}
