/* Journal blocks: there and back, and every damage of length. */
#include "suite.h"
#include "transfer/journal.h"
#include <string.h>

START_TEST(there_and_back)
{
    journal_block b = { .nonces = _i != 0 }, c;
    uint8_t bytes[JOURNAL_BLOCK_MAX_BYTES], nonce[24], leaf[32];
    for (uint32_t i = 0; i < JOURNAL_BLOCK_CHUNKS; i += 5) {
        memset(nonce, (int)i, sizeof nonce);
        memset(leaf, (int)i + 1, sizeof leaf);
        journal_note(&b, 640 + i, b.nonces ? nonce : NULL, leaf);
    }
    size_t n = journal_encode(&b, bytes);
    ck_assert_uint_eq(n, 8 + 13 * (b.nonces ? 56 : 32));
    ck_assert_int_eq(journal_decode(&c, b.nonces, bytes, n), TACET_OK);
    ck_assert_mem_eq(&b, &c, sizeof b);
    ck_assert(journal_has(&c, 645) && !journal_has(&c, 646));
    for (size_t cut = 0; cut < n; cut++)
        ck_assert_int_eq(journal_decode(&c, b.nonces, bytes, cut), TACET_E_CORRUPT);
    ck_assert_int_eq(journal_decode(&c, b.nonces, bytes, n + 1), TACET_E_CORRUPT);
    ck_assert_int_eq(journal_decode(&c, !b.nonces, bytes, n), TACET_E_CORRUPT);
}
END_TEST

START_TEST(a_full_block_has_its_largest_size)
{
    journal_block b = { .set = UINT64_MAX, .nonces = true };
    uint8_t bytes[JOURNAL_BLOCK_MAX_BYTES];
    ck_assert_uint_eq(journal_encode(&b, bytes), JOURNAL_BLOCK_MAX_BYTES);
}
END_TEST

SUITE("journal", LOOP(there_and_back, 2), TEST(a_full_block_has_its_largest_size))
