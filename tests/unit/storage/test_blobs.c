/* Blobs in the store: room, bits, segments; a disk that fails, fills up or loses power at every step; damage. */
#include "faulty.h"
#include "folder.h"
#include "parts.h"
#include "storage/blobs.h"
#include <errno.h>

static const uint8_t key[32] = "a key of thirty-two bytes, yes!";
static const relay_blob_limits plenty = {
    .account_bytes = 1ull << 40, .total_bytes = 1ull << 40, .free_bytes = 0, .account_blobs = 4096, .account_share = 1
};
static relay_store *store;
static relay_segments *segments;

static void start(void)
{
    OK(relay_store_open(&store, folder, key));
    OK(relay_segments_sweep(store));
    OK(relay_segments_open(&segments, store));
}

static void stop(void)
{
    segments = relay_segments_close(segments);
    store = relay_store_close(store);
}

static const uint8_t *chunk_of(uint32_t index)
{
    static uint8_t bytes[TACET_CHUNK_BYTES];
    uint64_t s = index + 1;
    for (size_t i = 0; i < sizeof bytes; i += 8)
        memcpy(bytes + i, &(uint64_t){ draw(&s) }, 8);
    return bytes;
}

static relay_blob blob_named(uint8_t name, uint32_t chunks)
{
    relay_blob b = { .chunks = chunks, .expires_hour = 100, .receivers = 2 };
    memset(b.id, name, sizeof b.id);
    memset(b.account, 7, sizeof b.account);
    memset(b.hash, name + 1, sizeof b.hash);
    return b;
}

static int create(const relay_blob *b, const relay_blob_limits *l, bool *made)
{
    int rc = relay_begin(store);
    if (rc == TACET_OK)
        rc = relay_blob_create(store, b, l, made);
    if (rc == TACET_OK)
        return relay_commit(store);
    relay_rollback(store);
    return rc;
}

static int write_one(const relay_blob *b, uint32_t index)
{
    relay_chunk c = { index, { chunk_of(index), TACET_CHUNK_BYTES } };
    return relay_segments_write(segments, b->number, b->key, &c, 1);
}

static int read_one(const relay_blob *b, uint32_t index)
{
    blob got;
    int rc = relay_segments_read(segments, b->number, b->key, index, &got);
    if (rc == TACET_OK && (got.bytes != TACET_CHUNK_BYTES || memcmp(got.at, chunk_of(index), got.bytes) != 0))
        ck_abort_msg("chunk %u is not what was written", index);
    return rc;
}

static int mark_upto(const relay_blob *b, uint32_t upto)
{
    uint8_t bits[RELAY_BITS_PAGE_BYTES] = { 0 };
    for (uint32_t i = 0; i <= upto; i++)
        bits[i / 8] |= (uint8_t)(1u << i % 8);
    int rc = relay_begin(store);
    if (rc == TACET_OK)
        rc = relay_blob_mark(store, b->number, RELAY_BITS_STORED, 0, bits);
    if (rc == TACET_OK)
        return relay_commit(store);
    relay_rollback(store);
    return rc;
}

static int count_bits(void *ctx, uint8_t who, uint32_t page, const uint8_t *bits)
{
    (void)page;
    for (size_t i = 0; who == RELAY_BITS_STORED && i < RELAY_BITS_PAGE_BYTES; i++)
        for (unsigned j = 0; j < 8; j++)
            *(uint32_t *)ctx += bits[i] >> j & 1;
    return TACET_OK;
}

static uint32_t marked(const relay_blob *b)
{
    uint32_t n = 0;
    OK(relay_blob_bits(store, b->number, count_bits, &n));
    return n;
}

/* --- rows ---------------------------------------------------------------------------------------------------------------------------------- */
START_TEST(F10_room)
{
    bool made = false;
    relay_blob a = blob_named(1, 10), b = blob_named(2, 10), other = blob_named(1, 11), found;
    relay_blob_limits l = plenty;
    relay_blob_totals t;
    folder_make();
    start();
    l.account_bytes = 19 * RELAY_CHUNK_ROOM_BYTES;
    OK(create(&a, &l, &made));
    ck_assert(made);
    OK(create(&a, &l, &made));
    ck_assert(!made);
    ck_assert_int_eq(create(&other, &l, &made), TACET_E_EXISTS);
    ck_assert_int_eq(create(&b, &l, &made), TACET_E_QUOTA);
    l = plenty;
    l.account_blobs = 1;
    ck_assert_int_eq(create(&b, &l, &made), TACET_E_QUOTA);
    l = plenty;
    l.total_bytes = 19 * RELAY_CHUNK_ROOM_BYTES;
    ck_assert_int_eq(create(&b, &l, &made), TACET_E_QUOTA);
    l = plenty;
    l.free_bytes = 1ull << 60; /* no disk is so large */
    ck_assert_int_eq(create(&b, &l, &made), TACET_E_QUOTA);
    OK(create(&b, &plenty, &made));
    OK(relay_blobs_total(store, &t));
    ck_assert_uint_eq(t.blobs, 2);
    ck_assert_uint_eq(t.reserved_bytes, 20 * RELAY_CHUNK_ROOM_BYTES);
    OK(relay_blob_find(store, a.id, &found));
    OK(relay_begin(store));
    OK(relay_blob_done(store, found.number));
    OK(relay_blob_done(store, found.number));
    OK(relay_commit(store));
    OK(relay_blobs_total(store, &t));
    ck_assert_uint_eq(t.reserved_bytes, 10 * RELAY_CHUNK_ROOM_BYTES);
    OK(relay_begin(store));
    OK(relay_blob_remove(store, found.number));
    OK(relay_blob_remove(store, found.number));
    OK(relay_commit(store));
    OK(relay_blobs_total(store, &t));
    ck_assert_uint_eq(t.blobs, 1);
    ck_assert_uint_eq(t.reserved_bytes, 10 * RELAY_CHUNK_ROOM_BYTES);
    ck_assert_int_eq(relay_blob_find(store, a.id, &found), TACET_E_NOT_FOUND);
    stop();
    folder_remove();
}
END_TEST

/* Of 100 chunks each account gets a quarter of what is free with its own. */
START_TEST(F10_an_account_leaves_room)
{
    bool made = false;
    relay_blob first = blob_named(1, 10), second = blob_named(2, 15), third = blob_named(3, 1), others = blob_named(4, 18);
    relay_blob_limits l = plenty;
    folder_make();
    start();
    l.total_bytes = 100 * RELAY_CHUNK_ROOM_BYTES;
    l.account_share = 4;
    others.account[0] ^= 1;
    OK(create(&first, &l, &made));
    OK(create(&second, &l, &made));
    ck_assert_int_eq(create(&third, &l, &made), TACET_E_QUOTA);
    OK(create(&others, &l, &made));
    stop();
    folder_remove();
}
END_TEST

/* --- segments ------------------------------------------------------------------------------------------------------------------------------ */
START_TEST(segments_come_and_go)
{
    bool made;
    relay_blob a = blob_named(1, 3 * RELAY_SEGMENT_CHUNKS);
    char name[64];
    folder_make();
    start();
    OK(create(&a, &plenty, &made));
    OK(relay_blob_find(store, a.id, &a));
    const uint32_t at[] = { 5, 0, RELAY_SEGMENT_CHUNKS - 1, RELAY_SEGMENT_CHUNKS, 3 * RELAY_SEGMENT_CHUNKS - 1, 5 };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        OK(write_one(&a, at[i]));
    OK(read_one(&a, 5));
    OK(read_one(&a, 3 * RELAY_SEGMENT_CHUNKS - 1));
    ck_assert_int_eq(read_one(&a, 6), TACET_E_NOT_FOUND);
    stop();
    start(); /* rekeyed: segments have a key of their own */
    stop();
    OK(relay_store_open(&store, folder, key));
    const uint8_t fresh[32] = { 9 };
    OK(relay_rekey(store, fresh));
    store = relay_store_close(store);
    OK(relay_store_open(&store, folder, fresh));
    OK(relay_segments_sweep(store));
    ck_assert_uint_gt(relay_segments_bytes(store), 3 * 65536);
    OK(relay_segments_open(&segments, store));
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        OK(read_one(&a, at[i]));
    OK(relay_segments_drop(segments, a.number, a.chunks));
    ck_assert_int_eq(read_one(&a, 5), TACET_E_NOT_FOUND);
    ck_assert_uint_eq(relay_segments_bytes(store), 0);
    OK(write_one(&a, 1));
    OK(relay_blobs_forget(store)); /* now nobody knows it */
    segments = relay_segments_close(segments);
    OK(relay_segments_sweep(store));
    (void)snprintf(name, sizeof name, "blob-%llu-0.db", (unsigned long long)a.number);
    ck_assert(!file_there(in_folder(name)));
    stop();
    folder_remove();
}
END_TEST

/* --- a bad disk ---------------------------------------------------------------------------------------------------------------------------- */
enum { CHUNKS = 6 };

/* Writes and marks until something fails; how many are sure. */
static uint32_t work(relay_blob *b, int *status)
{
    bool made;
    uint32_t sure = 0;
    int rc = create(b, &plenty, &made);
    if (rc == TACET_OK)
        rc = relay_blob_find(store, b->id, b);
    for (uint32_t i = 0; rc == TACET_OK && i < CHUNKS; i++) {
        rc = write_one(b, i);
        if (rc == TACET_OK)
            rc = mark_upto(b, i);
        sure += rc == TACET_OK;
    }
    *status = rc;
    return sure;
}

/* What is marked is there, and everything that was sure is marked. */
static void judge(uint64_t k, uint32_t sure)
{
    relay_blob b = blob_named(1, CHUNKS), found;
    start();
    if (relay_blob_find(store, b.id, &found) == TACET_OK) {
        uint32_t there = marked(&found);
        ck_assert_msg(there >= sure, "step %llu: %u were sure, %u are marked", (unsigned long long)k, sure, there);
        for (uint32_t i = 0; i < there; i++)
            ck_assert_msg(read_one(&found, i) == TACET_OK, "step %llu: chunk %u of %u is not there", (unsigned long long)k, i, there);
        for (uint32_t i = 0; i < CHUNKS; i++) /* and it goes on */
            OK(write_one(&found, i));
    } else {
        ck_assert_uint_eq(sure, 0);
    }
    stop();
}

START_TEST(S01_power_loss)
{
    faulty_install();
    folder_make();
    for (uint64_t k = 1, over = 0; !over; k += 1 + k / 24) {
        relay_blob b = blob_named(1, CHUNKS);
        int status = TACET_OK;
        faulty_reset();
        start();
        faulty_power_loss(k, k * 77);
        uint32_t sure = work(&b, &status);
        over = !faulty_power_is_off();
        stop();
        faulty_restart();
        judge(k, sure);
        folder_empty();
    }
    faulty_reset();
    folder_remove();
}
END_TEST

START_TEST(F08_full_disk)
{
    faulty_install();
    folder_make();
    for (uint64_t k = 1, over = 0; !over; k++) {
        relay_blob b = blob_named(1, CHUNKS);
        int status = TACET_OK;
        faulty_reset();
        start();
        faulty_fail(STEP_WRITE, k, 13 /* SQLITE_FULL */, ENOSPC);
        uint32_t sure = work(&b, &status);
        over = faulty_steps() < k;
        ck_assert_msg(status == TACET_OK || status == TACET_E_FULL, "step %llu: %s", (unsigned long long)k, tacet_status_word(status));
        faulty_fail(STEP_WRITE, 0, 0, 0);
        stop();
        judge(k, sure);
        folder_empty();
    }
    faulty_reset();
    folder_remove();
}
END_TEST

START_TEST(S05_damage_is_named)
{
    bool made;
    char name[64], where[256];
    relay_blob a = blob_named(1, CHUNKS);
    folder_make();
    start();
    OK(create(&a, &plenty, &made));
    OK(relay_blob_find(store, a.id, &a));
    for (uint32_t i = 0; i < CHUNKS; i++)
        OK(write_one(&a, i));
    OK(mark_upto(&a, CHUNKS - 1));
    stop();
    start();
    OK(relay_segments_check(store, where, sizeof where));
    stop();
    (void)snprintf(name, sizeof name, "blob-%llu-0.db", (unsigned long long)a.number);
    for (size_t page = 0; page < CHUNKS; page++) {
        size_t at = page * 65536 + 1000 + page;
        file_flip(in_folder(name), at, 0x40);
        start();
        unsigned lost = 0;
        for (uint32_t i = 0; i < CHUNKS; i++)
            lost += read_one(&a, i) == TACET_E_CORRUPT;
        ck_assert_msg(lost > 0, "page %zu", page);
        ck_assert_int_eq(relay_segments_check(store, where, sizeof where), TACET_E_CORRUPT);
        ck_assert_ptr_nonnull(strstr(where, "blob"));
        stop();
        file_flip(in_folder(name), at, 0x40);
    }
    ck_assert_int_eq(unlink(in_folder(name)), 0);
    start();
    ck_assert_int_eq(read_one(&a, 0), TACET_E_NOT_FOUND);
    ck_assert_int_eq(relay_segments_check(store, where, sizeof where), TACET_E_CORRUPT);
    stop();
    folder_remove();
}
END_TEST

SUITE("storage blobs", TEST(F10_room), TEST(F10_an_account_leaves_room), TEST(segments_come_and_go), TEST(S01_power_loss), TEST(F08_full_disk),
      TEST(S05_damage_is_named))
