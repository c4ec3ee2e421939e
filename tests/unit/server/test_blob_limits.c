/* Blobs in the relay core: who may do what, and how much of it. */
#include "blob_scene.h"
#include "suite.h"
#include <string.h>

static frame event;

/* --- who may do what ----------------------------------------------------------------------------------------------------------------------- */
START_TEST(T16_only_its_owner_and_its_receivers)
{
    scene s = scene_new(NULL);
    person mallory;
    person_make(&mallory, s.w->wall_ms / 1000);
    client *m = person_join(s.w, &mallory);
    const uint8_t one = 1;
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), ERROR_NOT_FOUND);
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 1)), ERROR_REFUSED);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 2, 1)), 0);
    ck_assert_uint_eq(code(&s, m, put(&s, 0)), ERROR_NOT_FOUND);
    ck_assert_uint_eq(code(&s, m, drop(&s)), ERROR_NOT_FOUND);
    ck_assert_uint_eq(code(&s, m, create(&s, 2, 1)), ERROR_EXISTS);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 2, 1)), 0);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 3, 1)), ERROR_EXISTS);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 2, 2)), ERROR_EXISTS);
    ck_assert_uint_eq(code(&s, s.receiver[1], watch(&s, 1, 1)), ERROR_REFUSED); /* not named */
    ck_assert_uint_eq(code(&s, s.receiver[1], have(&s, 1, 0, &one, 1)), ERROR_REFUSED);
    ck_assert_uint_eq(code(&s, s.receiver[1], again(&s, 1, 0)), ERROR_REFUSED);
    /* T16: each on the other's kind of connection */
    ck_assert_uint_eq(code(&s, s.receiver[0], put(&s, 0)), ERROR_WRONG_ROLE);
    ck_assert_uint_eq(code(&s, s.receiver[0], create(&s, 2, 1)), ERROR_WRONG_ROLE);
    ck_assert_uint_eq(code(&s, s.receiver[0], drop(&s)), ERROR_WRONG_ROLE);
    ck_assert_uint_eq(code(&s, s.owner, watch(&s, 0, 1)), ERROR_WRONG_ROLE);
    ck_assert_uint_eq(code(&s, s.owner, have(&s, 0, 0, &one, 1)), ERROR_WRONG_ROLE);
    scene_free(&s);
}
END_TEST

START_TEST(F07_counts_and_indices)
{
    scene s = scene_new(NULL);
    const uint8_t one = 1, third = 4;
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 2, 1)), 0);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 2)), ERROR_MALFORMED);
    ck_assert_uint_eq(code(&s, s.receiver[0], again(&s, 0, 2)), ERROR_MALFORMED);
    ck_assert_uint_eq(code(&s, s.receiver[0], have(&s, 0, 0, &third, 1)), ERROR_MALFORMED);
    ck_assert_uint_eq(code(&s, s.receiver[0], have(&s, 0, 2, &one, 1)), ERROR_MALFORMED);
    ck_assert_uint_eq(code(&s, s.receiver[0], again(&s, 0, 0)), ERROR_NOT_FOUND);
    frame f = create(&s, 1, 1);
    s.id[0] ^= 1;
    f.blob_create.ttl_s = 0;
    ck_assert_uint_eq(code(&s, s.owner, f), ERROR_EXPIRED);
    f = create(&s, 1, 1);
    f.blob_create.receivers.count = 65;
    for (unsigned r = 0; r < 65; r++)
        f.blob_create.receivers.item[r] = (view){ s.hash[0], 32 };
    ck_assert_uint_eq(code(&s, s.owner, f), ERROR_MALFORMED);
    scene_free(&s);
}
END_TEST

START_TEST(F03_asked_for_again)
{
    scene s = scene_with(2, 2);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
    say(&s, s.receiver[0], watch(&s, 0, 1));
    ck_assert_int_eq(chunk_came(s.receiver[0]), 0);
    for (int i = 0; i < 3; i++) {
        say(&s, s.receiver[0], again(&s, 0, 0));
        ck_assert_int_eq(chunk_came(s.receiver[0]), 0);
    }
    ck_assert_uint_eq(have_one(&s, 0, 0), 0);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 1)), 0);
    ck_assert_int_eq(chunk_came(s.receiver[0]), 1); /* its window is still one */
    scene_free(&s);
}
END_TEST

START_TEST(one_receiver_watches_on_one_connection)
{
    scene s = scene_with(4, 1);
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 8)), 0);
    ck_assert_uint_eq(code(&s, s.receiver[1], watch(&s, 0, 8)), 0); /* the same receiver */
    say(&s, s.owner, put(&s, 0));
    ck_assert_int_eq(chunk_came(s.receiver[0]), -1);
    ck_assert_int_eq(chunk_came(s.receiver[1]), 0);
    ck_assert_uint_eq(world_counters(s.w).watchers, 1);
    scene_free(&s);
}
END_TEST

/* --- limits -------------------------------------------------------------------------------------------------------------------------------- */
START_TEST(F10_room_is_set_aside_first)
{
    core_config config = core_config_default();
    config.blob_free_mib = 0;
    config.blob_account_mib = 1; /* 16 chunks */
    scene s = scene_new(&config);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, TACET_BLOB_CHUNKS_MAX, 1)), ERROR_QUOTA);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 17, 1)), ERROR_QUOTA);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 10, 1)), 0);
    s.id[0] ^= 1;
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 7, 1)), ERROR_QUOTA);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 6, 1)), 0);
    ck_assert_uint_eq(world_counters(s.w).blob_reserved_bytes, 16 * RELAY_CHUNK_ROOM_BYTES);
    ck_assert_uint_eq(code(&s, s.owner, drop(&s)), 0);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 6, 1)), 0);
    scene_free(&s);
}
END_TEST

/* ... leaves room for others, who have all that is left. */
static void puts_of_another(const scene *s, unsigned count)
{
    scene other = *s;
    unsigned quota = 0;
    person_make(&other.alice, s->w->wall_ms / 1000);
    other.owner = person_join(s->w, &other.alice);
    other.id[0] ^= 1;
    ck_assert_uint_eq(code(&other, other.owner, create(&other, 1000, 1)), 0);
    ck_assert_uint_eq(code(&other, other.owner, (frame){ .kind = FRAME_BLOB_STATUS, .blob_status.blob = { other.id, 16 } }), 0); /* loaded */
    for (uint32_t i = 0; i < count; i++) {
        frame f = put(&other, i);
        client_say(s->w, other.owner, &f);
    }
    world_run(s->w);
    while (client_hear(other.owner, &event))
        quota += event.kind == FRAME_ERROR && event.error.code == ERROR_QUOTA;
    ck_assert_uint_gt(count - quota, 100);
    ck_assert_uint_gt(quota, 0);
    ck_assert_uint_le(world_counters(s->w).chunk_memory_bytes, RELAY_CHUNK_MEMORY_MAX_BYTES + 70000);
}

START_TEST(F10_chunks_in_memory_are_bounded)
{
    enum { MORE = RELAY_CHUNK_MEMORY_MAX_BYTES / (int)TACET_CHUNK_BYTES + 50 };
    scene s = scene_with(1000, 1);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 999)), 0);
    s.w->disk_waits = true;
    unsigned quota = 0;
    for (uint32_t i = 0; i < MORE; i++) {
        frame f = put(&s, i);
        client_say(s.w, s.owner, &f);
    }
    world_run(s.w);
    while (client_hear(s.owner, &event))
        quota += event.kind == FRAME_ERROR && event.error.code == ERROR_QUOTA;
    ck_assert_uint_gt(quota, 0);
    ck_assert_uint_le(world_counters(s.w).chunk_memory_bytes, RELAY_CHUNK_MEMORY_SOFT_BYTES + 70000); /* what one account has alone ... */
    puts_of_another(&s, MORE);
    s.w->disk_waits = false;
    world_run(s.w);
    ck_assert_uint_eq(client_oks(s.owner) + quota, MORE);
    ck_assert_uint_eq(world_counters(s.w).chunk_memory_bytes, 0);
    scene_free(&s);
}
END_TEST

/* All that one account has may be watched at a time is a share: it leaves room for the blobs of others. */
START_TEST(F10_one_account_does_not_fill_the_table)
{
    enum { MORE = 3 };
    scene s = scene_new(NULL), other = s;
    unsigned watched = 0, quota = 0;
    for (unsigned i = 0; i < RELAY_BLOBS_OPEN_SHARE + MORE; i++) {
        memcpy(s.id, &i, sizeof i);
        ck_assert_uint_eq(code(&s, s.owner, create(&s, 1, 1)), 0);
        ck_assert_uint_eq(code(&s, s.owner, (frame){ .kind = FRAME_BLOB_STATUS, .blob_status.blob = { s.id, 16 } }), 0); /* idle ones give way */
    }
    for (unsigned i = 0; i < RELAY_BLOBS_OPEN_SHARE + MORE; i++) {
        memcpy(s.id, &i, sizeof i);
        unsigned no = code(&s, s.receiver[0], watch(&s, 0, 1));
        watched += no == 0;
        quota += no == ERROR_QUOTA;
    }
    ck_assert_uint_eq(watched, RELAY_BLOBS_OPEN_SHARE);
    ck_assert_uint_eq(quota, MORE);
    person_make(&other.alice, s.w->wall_ms / 1000);
    other.owner = person_join(s.w, &other.alice);
    other.id[15] ^= 1;
    ck_assert_uint_eq(code(&other, other.owner, create(&other, 1, 1)), 0);
    ck_assert_uint_eq(code(&other, other.receiver[1], watch(&other, 0, 1)), 0);
    client_close(s.w, s.receiver[0]);
    ck_assert_uint_eq(code(&s, s.receiver[2], watch(&s, 0, 1)), 0); /* the last one, which had no room */
    scene_free(&s);
}
END_TEST

START_TEST(many_blobs_come_and_go_in_memory)
{
    scene s = scene_new(NULL);
    for (unsigned i = 0; i < 300; i++) {
        memcpy(s.id, &i, sizeof i);
        ck_assert_uint_eq(code(&s, s.owner, create(&s, 1, 1)), 0);
        if (i % 10 == 0)
            ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
        s.id[15] ^= 1; /* and names that nobody knows leave nothing behind */
        ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 1)), ERROR_REFUSED);
        s.id[15] ^= 1;
    }
    ck_assert_uint_eq(world_counters(s.w).blobs, 300);
    scene_free(&s);
}
END_TEST

SUITE("server blob limits", TEST(T16_only_its_owner_and_its_receivers), TEST(F07_counts_and_indices), TEST(F03_asked_for_again),
      TEST(one_receiver_watches_on_one_connection), TEST(F10_room_is_set_aside_first), TEST(F10_chunks_in_memory_are_bounded),
      TEST(F10_one_account_does_not_fill_the_table), TEST(many_blobs_come_and_go_in_memory))
