/* The key file: S05 damage is said, S07 and told from a wrong passphrase, R21 one sealed key never opens under two passphrases (the
 * crafted file itself is in tests/vectors, see test_vectors.c). */
#include "fixture.h"
#include "identity/keyfile.h"

static const keyfile_cost cheap = { 1, 8 };
static const uint8_t key[TACET_DATABASE_KEY_BYTES] = "thirty-two bytes of database key";

static keyfile *sample(enum keyfile_slot one, enum keyfile_slot two)
{
    env_seeded e;
    keyfile *k = NULL;
    env_seeded_init(&e, 1, 0);
    ck_assert_int_eq(keyfile_new(&k), TACET_OK);
    ck_assert_int_eq(keyfile_set(k, one, key, "right", 5, cheap, &e.env), TACET_OK);
    ck_assert_int_eq(keyfile_set(k, two, key, "spare", 5, cheap, &e.env), TACET_OK);
    return k;
}

static size_t sample_bytes(uint8_t out[TACET_KEYFILE_MAX_BYTES], enum keyfile_slot one, enum keyfile_slot two)
{
    size_t n = 0;
    keyfile *k = sample(one, two);
    ck_assert_int_eq(keyfile_encode(k, out, &n), TACET_OK);
    keyfile_free(k);
    return n;
}

static int opens(const uint8_t *bytes, size_t n, enum keyfile_slot slot, const char *passphrase)
{
    keyfile *k = NULL;
    uint8_t out[TACET_DATABASE_KEY_BYTES];
    memset(out, 0xa5, sizeof out);
    int rc = keyfile_decode(&k, bytes, n);
    if (rc == TACET_OK)
        rc = keyfile_open(k, slot, out, passphrase, passphrase ? strlen(passphrase) : 0);
    if (rc == TACET_OK)
        ck_assert_mem_eq(out, key, sizeof key);
    else
        untouched(out, sizeof out);
    keyfile_free(k);
    return rc;
}

START_TEST(each_slot_opens_alone)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    size_t n = sample_bytes(bytes, KEYFILE_PASSPHRASE, KEYFILE_RECOVERY);
    ck_assert_uint_eq(n, 10 + 2 * 129 + 32);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_PASSPHRASE, "right"), TACET_OK);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_RECOVERY, "spare"), TACET_OK);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_RECOVERY, "right"), TACET_E_PASSPHRASE);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_PLAIN, NULL), TACET_E_NOT_FOUND);
    n = sample_bytes(bytes, KEYFILE_PLAIN, KEYFILE_RECOVERY);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_PLAIN, NULL), TACET_OK);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_RECOVERY, "spare"), TACET_OK);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_PASSPHRASE, "right"), TACET_E_NOT_FOUND);
}
END_TEST

START_TEST(the_key_is_not_in_a_wrapped_file)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    size_t n = sample_bytes(bytes, KEYFILE_PASSPHRASE, KEYFILE_RECOVERY);
    ck_assert_ptr_null(memmem(bytes, n, key, 8));
    n = sample_bytes(bytes, KEYFILE_PLAIN, KEYFILE_RECOVERY);
    ck_assert_ptr_nonnull(memmem(bytes, n, key, sizeof key));
}
END_TEST

static const char *const wrong[] = { "", "Right", "right ", "righ", "rightright", "spare" };
START_TEST(S07_wrong_passphrase_is_no_damage)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    size_t n = sample_bytes(bytes, KEYFILE_PASSPHRASE, KEYFILE_RECOVERY);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_PASSPHRASE, wrong[_i]), TACET_E_PASSPHRASE);
}
END_TEST

START_TEST(S05_S07_every_flipped_bit_is_damage_even_with_the_wrong_passphrase)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    size_t n = _i ? sample_bytes(bytes, KEYFILE_PLAIN, KEYFILE_RECOVERY) : sample_bytes(bytes, KEYFILE_PASSPHRASE, KEYFILE_RECOVERY);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        int got = opens(bytes, n, KEYFILE_RECOVERY, bit % 2 ? "spare" : "wrong");
        ck_assert_msg(got == TACET_E_CORRUPT, "bit %zu: got %d", bit, got);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}
END_TEST

static int decode(const void *ctx, const uint8_t *bytes, size_t n)
{
    keyfile *k = (keyfile *)(uintptr_t)0xa5;
    (void)ctx;
    int rc = keyfile_decode(&k, bytes, n);
    if (rc == TACET_OK)
        keyfile_free(k);
    else
        ck_assert_ptr_eq(k, (keyfile *)(uintptr_t)0xa5);
    return rc;
}
START_TEST(S05_cut_or_longer_is_damage)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    size_t n = sample_bytes(bytes, KEYFILE_PASSPHRASE, KEYFILE_RECOVERY);
    refuses_every_change(decode, NULL, bytes, n);
    for (size_t cut = 1; cut < n; cut++)
        ck_assert_int_eq(decode_exact(decode, NULL, bytes, cut), TACET_E_CORRUPT);
    ck_assert_int_eq(decode(NULL, bytes, 0), TACET_E_MALFORMED);
    ck_assert_int_eq(decode(NULL, (const uint8_t *)"SQLite format 3", 16), TACET_E_MALFORMED);
}
END_TEST

/* Bent, and given a checksum again: what somebody with access to the file could do. */
enum {
    AT_VERSION = 8,
    AT_COUNT = 9,
    SLOT = 10,
    AT_KIND = SLOT,
    AT_PASSES = SLOT + 1,
    AT_MEMORY = SLOT + 5,
    AT_SEALED = SLOT + 81,
    SECOND = SLOT + 129
};
static const struct {
    const char *what;
    size_t at, n;
    const char *bytes;
    int want;
} bent[] = {
    { "as it was", 0, 0, "", TACET_OK },
    { "another magic", 0, 1, "T", TACET_E_MALFORMED },
    { "version 0", AT_VERSION, 1, "\x00", TACET_E_MALFORMED },
    { "a later version", AT_VERSION, 1, "\x02", TACET_E_NEWER },
    { "no slot", AT_COUNT, 1, "\x00", TACET_E_MALFORMED },
    { "one slot too few", AT_COUNT, 1, "\x01", TACET_E_MALFORMED },
    { "one slot too many", AT_COUNT, 1, "\x03", TACET_E_MALFORMED },
    { "255 slots", AT_COUNT, 1, "\xff", TACET_E_MALFORMED },
    { "kind 0", AT_KIND, 1, "\x00", TACET_E_MALFORMED },
    { "kind 4", SECOND, 1, "\x04", TACET_E_MALFORMED },
    { "a kind twice", SECOND, 1, "\x02", TACET_E_MALFORMED },
    { "kinds descending", SECOND, 1, "\x01", TACET_E_MALFORMED },
    { "a plain slot with a cost", AT_KIND, 1, "\x01", TACET_E_MALFORMED },
    { "no pass", AT_PASSES, 4, "\0\0\0\0", TACET_E_MALFORMED },
    { "passes for a year", AT_PASSES, 4, "\xff\xff\xff\xff", TACET_E_MALFORMED },
    { "no memory", AT_MEMORY, 4, "\0\0\0\0", TACET_E_MALFORMED },
    { "too little memory", AT_MEMORY, 4, "\0\0\0\7", TACET_E_MALFORMED },
    { "4 TiB", AT_MEMORY, 4, "\xff\xff\xff\xff", TACET_E_MALFORMED },
    { "another cost", AT_PASSES, 4, "\0\0\0\2", TACET_E_PASSPHRASE },
    { "sealed key bent", AT_SEALED, 1, "\x00", TACET_E_CORRUPT },
};
START_TEST(refuses_bad_contents_with_a_good_checksum)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    size_t n = sample_bytes(bytes, KEYFILE_PASSPHRASE, KEYFILE_RECOVERY);
    memcpy(bytes + bent[_i].at, bent[_i].bytes, bent[_i].n);
    ck_assert_int_eq(crypto_generichash(bytes + n - 32, 32, bytes, n - 32, NULL, 0), 0);
    int got = opens(bytes, n, KEYFILE_PASSPHRASE, "right");
    ck_assert_msg(got == bent[_i].want, "%s: got %d", bent[_i].what, got);
}
END_TEST

/* The slot's kind is bound: a recovery slot does not open as a passphrase slot. */
START_TEST(R02_a_slot_does_not_open_as_another_kind)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    size_t n = 10 + 129;
    sample_bytes(bytes, KEYFILE_PASSPHRASE, KEYFILE_RECOVERY);
    bytes[AT_COUNT] = 1;
    bytes[AT_KIND] = KEYFILE_RECOVERY;
    ck_assert_int_eq(crypto_generichash(bytes + n, 32, bytes, n, NULL, 0), 0);
    ck_assert_int_eq(opens(bytes, n + 32, KEYFILE_RECOVERY, "right"), TACET_E_CORRUPT);
}
END_TEST

START_TEST(slots_are_set_replaced_and_removed)
{
    env_seeded e;
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES], before[TACET_KEYFILE_MAX_BYTES];
    size_t n = 0, before_bytes = 0;
    keyfile *k = sample(KEYFILE_PASSPHRASE, KEYFILE_RECOVERY);
    env_seeded_init(&e, 2, 0);
    ck_assert_int_eq(keyfile_encode(k, before, &before_bytes), TACET_OK);
    ck_assert_int_eq(keyfile_set(k, KEYFILE_PASSPHRASE, key, "x", 1, (keyfile_cost){ 0, 8 }, &e.env), TACET_E_MALFORMED);
    ck_assert_int_eq(keyfile_set(k, KEYFILE_PASSPHRASE, key, "x", 1, (keyfile_cost){ 1, 7 }, &e.env), TACET_E_MALFORMED);
    ck_assert_int_eq(keyfile_set(k, (enum keyfile_slot)4, key, "x", 1, cheap, &e.env), TACET_E_MALFORMED);
    ck_assert_int_eq(keyfile_encode(k, bytes, &n), TACET_OK);
    ck_assert_uint_eq(n, before_bytes);
    ck_assert_mem_eq(bytes, before, n); /* a refused change changes nothing */

    ck_assert_int_eq(keyfile_set(k, KEYFILE_PASSPHRASE, key, "newer", 5, cheap, &e.env), TACET_OK);
    ck_assert_int_eq(keyfile_set(k, KEYFILE_PLAIN, key, NULL, 0, cheap, &e.env), TACET_OK);
    ck_assert_int_eq(keyfile_encode(k, bytes, &n), TACET_OK);
    ck_assert_uint_eq(n, 10 + 3 * 129 + 32);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_PASSPHRASE, "right"), TACET_E_PASSPHRASE);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_PASSPHRASE, "newer"), TACET_OK);
    keyfile_remove(k, KEYFILE_PLAIN);
    keyfile_remove(k, KEYFILE_PASSPHRASE);
    ck_assert(!keyfile_has(k, KEYFILE_PLAIN) && !keyfile_has(k, KEYFILE_PASSPHRASE) && keyfile_has(k, KEYFILE_RECOVERY));
    ck_assert_int_eq(keyfile_encode(k, bytes, &n), TACET_OK);
    ck_assert_int_eq(opens(bytes, n, KEYFILE_RECOVERY, "spare"), TACET_OK);
    keyfile_remove(k, KEYFILE_RECOVERY);
    ck_assert_int_eq(keyfile_encode(k, bytes, &n), TACET_E_REFUSED);
    keyfile_free(k);
    ck_assert_ptr_null(keyfile_free(NULL));
}
END_TEST

START_TEST(the_same_passphrase_twice_shares_nothing)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    env_seeded e;
    keyfile *k = NULL;
    size_t n = 0;
    env_seeded_init(&e, 3, 0);
    ck_assert_int_eq(keyfile_new(&k), TACET_OK);
    ck_assert_int_eq(keyfile_set(k, KEYFILE_PASSPHRASE, key, "same", 4, cheap, &e.env), TACET_OK);
    ck_assert_int_eq(keyfile_set(k, KEYFILE_RECOVERY, key, "same", 4, cheap, &e.env), TACET_OK);
    ck_assert_int_eq(keyfile_encode(k, bytes, &n), TACET_OK);
    for (size_t at = 9; at < 129; at += 8)
        ck_assert_mem_ne(bytes + SLOT + at, bytes + SECOND + at, 8);
    keyfile_free(k);
}
END_TEST

START_TEST(the_default_costs_are_as_decided)
{
    ck_assert_uint_eq(keyfile_cost_default.passes, 3);
    ck_assert_uint_eq(keyfile_cost_default.memory_kib, 256 * 1024);
    ck_assert_uint_eq(keyfile_cost_small.passes, 3);
    ck_assert_uint_eq(keyfile_cost_small.memory_kib, 64 * 1024);
}
END_TEST

SUITE("keyfile", TEST(each_slot_opens_alone), TEST(the_key_is_not_in_a_wrapped_file), LOOP(S07_wrong_passphrase_is_no_damage, ROWS(wrong)),
      LOOP(S05_S07_every_flipped_bit_is_damage_even_with_the_wrong_passphrase, 2), TEST(S05_cut_or_longer_is_damage),
      LOOP(refuses_bad_contents_with_a_good_checksum, ROWS(bent)), TEST(R02_a_slot_does_not_open_as_another_kind),
      TEST(slots_are_set_replaced_and_removed), TEST(the_same_passphrase_twice_shares_nothing), TEST(the_default_costs_are_as_decided))
