/* The outside of a backup file: damage, a wrong passphrase and a file that was cut off are three different answers (S05, S07), whatever bit or byte. */
#include "fixture.h"
#include "identity/backup.h"

static const keyfile_cost cheap = { 1, 8 };
static const uint8_t key[BACKUP_KEY_BYTES] = "thirty-two bytes of a file's key";
enum { CHUNKS = 3 };

typedef struct {
    uint8_t head[BACKUP_HEAD_BYTES], start[BACKUP_START_BYTES], chunk[CHUNKS][BACKUP_CHUNK_BYTES];
} file;

static uint8_t plain[BACKUP_PLAIN_BYTES];

static file *sample(void)
{
    static file f;
    env_seeded e;
    backup_stream s;
    env_seeded_init(&e, 1, 0);
    ck_assert_int_eq(backup_head_make(f.head, key, "right", 5, cheap, &e.env), TACET_OK);
    backup_stream_begin(&s, f.start, f.head, key, &e.env);
    for (int i = 0; i < CHUNKS; i++) {
        memset(plain, 'a' + i, sizeof plain);
        ck_assert_int_eq(backup_chunk_seal(&s, f.chunk[i], plain, i == CHUNKS - 1), TACET_OK);
    }
    ck_assert_int_eq(backup_chunk_seal(&s, f.chunk[0], plain, false), TACET_E_BUG); /* nothing comes behind the last */
    return &f;
}

static backup_stream stream_of(const file *f)
{
    uint8_t got[BACKUP_KEY_BYTES];
    backup_stream s;
    ck_assert_int_eq(backup_head_open(got, f->head, "right", 5), TACET_OK);
    ck_assert_int_eq(backup_stream_open(&s, f->start, f->head, got), TACET_OK);
    return s;
}

START_TEST(comes_back_as_it_was)
{
    file *f = sample();
    backup_stream s = stream_of(f);
    for (int i = 0; i < CHUNKS; i++) {
        ck_assert_int_eq(backup_chunk_open(&s, plain, f->chunk[i], i < CHUNKS - 1), TACET_OK);
        ck_assert_int_eq(plain[0], 'a' + i);
        ck_assert_int_eq(plain[sizeof plain - 1], 'a' + i);
        ck_assert_int_eq(s.ended, i == CHUNKS - 1);
    }
    ck_assert_int_eq(backup_chunk_open(&s, plain, f->chunk[0], false), TACET_E_CORRUPT);
}
END_TEST

START_TEST(S07_a_wrong_passphrase_is_no_damage)
{
    uint8_t got[BACKUP_KEY_BYTES];
    file *f = sample();
    memset(got, 0xa5, sizeof got);
    ck_assert_int_eq(backup_head_open(got, f->head, "wrong", 5), TACET_E_PASSPHRASE);
    untouched(got, sizeof got);
    ck_assert_int_eq(backup_head_check(f->head, sizeof f->head), TACET_OK);
}
END_TEST

/* Every bit of the head: never a wrong passphrase, never opened. One bit of the version byte makes a newer file of it. */
START_TEST(S05_each_bit_of_the_head)
{
    file *f = sample();
    for (size_t bit = 0; bit < 8 * sizeof f->head; bit++) {
        uint8_t got[BACKUP_KEY_BYTES];
        f->head[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int want = bit / 8 == 8 && bit % 8 ? TACET_E_NEWER : TACET_E_CORRUPT;
        ck_assert_msg(backup_head_check(f->head, sizeof f->head) == want, "bit %zu: %d", bit, backup_head_check(f->head, sizeof f->head));
        ck_assert_int_eq(backup_head_open(got, f->head, "right", 5), want);
        f->head[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(S05_each_bit_of_the_start)
{
    file *f = sample();
    for (size_t bit = 0; bit < 8 * sizeof f->start; bit++) {
        backup_stream s;
        f->start[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(backup_stream_open(&s, f->start, f->head, key), TACET_E_CORRUPT);
        f->start[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(S05_bits_all_over_a_chunk)
{
    file *f = sample();
    backup_stream s = stream_of(f);
    for (size_t bit = 0; bit < 8 * sizeof f->chunk[0]; bit += 1009) {
        f->chunk[0][bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(backup_chunk_open(&s, plain, f->chunk[0], true), TACET_E_CORRUPT);
        ck_assert(sodium_is_zero(plain, sizeof plain));
        f->chunk[0][bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(backup_chunk_open(&s, plain, f->chunk[0], true), TACET_OK); /* nothing has moved */
}
END_TEST

START_TEST(a_head_cut_off_at_every_length)
{
    file *f = sample();
    ck_assert_int_eq(backup_head_check(f->head, 0), TACET_E_MALFORMED);
    for (size_t n = 1; n < sizeof f->head; n++)
        ck_assert_int_eq(backup_head_check(f->head, n), TACET_E_GAP);
}
END_TEST

/* What follows which chunk, and what is said about it. */
static const struct {
    const char *what;
    int first, second;   /* chunks of the sample */
    bool more_after_two; /* the file goes on behind the second */
    int want;
} order[] = {
    { "cut off behind the second", 0, 1, false, TACET_E_GAP },
    { "the first twice", 0, 0, true, TACET_E_CORRUPT },
    { "one left out", 0, 2, false, TACET_E_CORRUPT },
    { "bytes behind it", 0, 1, true, TACET_OK },
};

START_TEST(F02_chunks_in_another_order)
{
    file *f = sample();
    backup_stream s = stream_of(f);
    ck_assert_int_eq(backup_chunk_open(&s, plain, f->chunk[order[_i].first], true), TACET_OK);
    ck_assert_msg(backup_chunk_open(&s, plain, f->chunk[order[_i].second], order[_i].more_after_two) == order[_i].want, "%s", order[_i].what);
}
END_TEST

START_TEST(the_last_chunk_with_something_behind_it)
{
    file *f = sample();
    backup_stream s = stream_of(f);
    ck_assert_int_eq(backup_chunk_open(&s, plain, f->chunk[0], true), TACET_OK);
    ck_assert_int_eq(backup_chunk_open(&s, plain, f->chunk[1], true), TACET_OK);
    ck_assert_int_eq(backup_chunk_open(&s, plain, f->chunk[2], true), TACET_E_CORRUPT);
    ck_assert_int_eq(backup_chunk_open(&s, plain, f->chunk[2], false), TACET_OK);
}
END_TEST

/* The chunks of one file under the head of another with the same file key: the head makes their key, too. */
START_TEST(chunks_belong_to_their_head)
{
    uint8_t other[BACKUP_HEAD_BYTES];
    backup_stream s;
    env_seeded e;
    file *f = sample();
    env_seeded_init(&e, 2, 0);
    ck_assert_int_eq(backup_head_make(other, key, "mine", 4, cheap, &e.env), TACET_OK);
    ck_assert_int_eq(backup_stream_open(&s, f->start, other, key), TACET_E_CORRUPT);
}
END_TEST

static const struct {
    const char *bytes;
    size_t n;
    int want;
} strange[] = {
    { "", 0, TACET_E_MALFORMED },
    { "age-encryption.org/v1\n", 22, TACET_E_MALFORMED },
    { "tacetkey", 8, TACET_E_MALFORMED },
    { "tacetbak", 8, TACET_E_GAP },
};
START_TEST(other_files_are_no_backups) { ck_assert_int_eq(backup_head_check((const uint8_t *)strange[_i].bytes, strange[_i].n), strange[_i].want); }
END_TEST

static const struct {
    uint64_t chunks, padded;
} padme[] = { { 0, 0 }, { 1, 1 }, { 2, 2 }, { 3, 3 }, { 8, 8 }, { 9, 10 }, { 17, 18 }, { 33, 36 }, { 100, 104 }, { 1000, 1024 }, { 100001, 100352 } };
START_TEST(padded_sizes)
{
    ck_assert_uint_eq(backup_chunks_padded(padme[_i].chunks), padme[_i].padded);
    ck_assert_uint_eq(backup_chunks_padded(padme[_i].padded), padme[_i].padded); /* stays what it is */
}
END_TEST

SUITE("backup", TEST(comes_back_as_it_was), TEST(S07_a_wrong_passphrase_is_no_damage), TEST(S05_each_bit_of_the_head),
      TEST(S05_each_bit_of_the_start), TEST(S05_bits_all_over_a_chunk), TEST(a_head_cut_off_at_every_length),
      LOOP(F02_chunks_in_another_order, ROWS(order)), TEST(the_last_chunk_with_something_behind_it), TEST(chunks_belong_to_their_head),
      LOOP(other_files_are_no_backups, ROWS(strange)), LOOP(padded_sizes, ROWS(padme)))
