/* Blobs in the relay core: hand-off and store, windows, the end of a blob, and what is safe when it says so. */
#include "blob_scene.h"
#include "suite.h"
#include <string.h>

static frame event;

/* The blob's two hours pass, and the time until the relay looks. */
static void outlive(scene *s) { world_pass_us(s->w, 4 * 3600 * 1000000ull); }

/* --- hand-off ---------------------------------------------------------------------------------------------------------------------------- */
START_TEST(handed_over_and_never_written)
{
    scene s = scene_with(3, 2);
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 8)), 0);
    ck_assert_uint_eq(code(&s, s.receiver[1], watch(&s, 1, 8)), 0);
    for (uint32_t i = 0; i < 3; i++) {
        say(&s, s.owner, put(&s, i));
        ck_assert_int_eq(chunk_came(s.receiver[0]), (int)i);
        ck_assert_int_eq(chunk_came(s.receiver[1]), (int)i);
        ck_assert_uint_eq(have_one(&s, 0, i), 0);
        ck_assert_uint_eq(client_oks(s.owner), 0); /* one of two is not all */
        ck_assert_uint_eq(have_one(&s, 1, i), 0);
        ck_assert_uint_eq(client_oks(s.owner), 1);
    }
    core_counters n = world_counters(s.w);
    ck_assert_uint_eq(n.chunks_handed_off, 3);
    ck_assert_uint_eq(n.chunks_stored, 0);
    ck_assert_uint_eq(n.blobs_done, 1);
    ck_assert_uint_eq(n.blob_reserved_bytes, 0);
    ck_assert_uint_eq(relay_segments_bytes(s.w->store), 0);
    ck_assert_uint_eq(n.chunk_memory_bytes, 0);
    ck_assert_uint_eq(status_bits(&s, 0), 7); /* its name answers still */
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 1)), 0);
    ck_assert_uint_eq(code(&s, s.receiver[0], again(&s, 0, 1)), ERROR_NOT_FOUND);
    scene_free(&s);
}
END_TEST

START_TEST(stored_when_somebody_does_not_watch)
{
    scene s = scene_with(10, 2);
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 8)), 0);
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_uint_eq(code(&s, s.owner, put(&s, i)), 0);
    ck_assert_uint_eq(world_counters(s.w).chunks_stored, 10);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(chunk_came(s.receiver[0]), i);
    ck_assert_int_eq(chunk_came(s.receiver[0]), -1); /* the window */
    const uint8_t four = 0x0f;
    ck_assert_uint_eq(code(&s, s.receiver[0], have(&s, 0, 0, &four, 1)), 0);
    ck_assert_int_eq(chunk_came(s.receiver[0]), 8);
    ck_assert_int_eq(chunk_came(s.receiver[0]), 9);
    /* the other one comes later, with half of it from elsewhere */
    const uint8_t odd[2] = { 0xaa, 0x02 };
    ck_assert_uint_eq(code(&s, s.receiver[1], have(&s, 1, 0, odd, 2)), 0);
    say(&s, s.receiver[1], watch(&s, 1, 256));
    for (int i = 0; i < 10; i += 2)
        ck_assert_int_eq(chunk_came(s.receiver[1]), i);
    ck_assert_int_eq(chunk_came(s.receiver[1]), -1);
    ck_assert_uint_gt(relay_segments_bytes(s.w->store), 0);
    const uint8_t all[2] = { 0xff, 0x03 };
    ck_assert_uint_eq(code(&s, s.receiver[0], have(&s, 0, 0, all, 2)), 0);
    ck_assert_uint_eq(code(&s, s.receiver[1], have(&s, 1, 0, all, 2)), 0);
    ck_assert_uint_eq(world_counters(s.w).blobs_done, 1);
    ck_assert_uint_eq(relay_segments_bytes(s.w->store), 0);
    scene_free(&s);
}
END_TEST

START_TEST(a_receiver_that_falls_asleep_is_not_waited_for)
{
    scene s = scene_with(4, 1);
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 8)), 0);
    say(&s, s.owner, put(&s, 0));
    ck_assert_uint_eq(client_oks(s.owner), 0);
    world_pass_us(s.w, RELAY_CHUNK_HOLD_IDLE_MS * 1000 + 50000);
    world_run(s.w);
    ck_assert_uint_eq(client_oks(s.owner), 1);
    ck_assert_uint_eq(world_counters(s.w).chunks_stored, 1);
    say(&s, s.owner, put(&s, 1));
    client_close(s.w, s.receiver[0]); /* and one that goes, at once */
    world_run(s.w);
    ck_assert_uint_eq(client_oks(s.owner), 1);
    ck_assert_uint_eq(world_counters(s.w).chunks_stored, 2);
    ck_assert_uint_eq(world_counters(s.w).watchers, 0);
    scene_free(&s);
}
END_TEST

/* Segment, relay.db, ok: nothing is said, and nothing is told, before the last of them. */
START_TEST(ok_comes_after_the_disk)
{
    scene s = scene_with(8, 1);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 7)), 0); /* loaded */
    s.w->disk_waits = true;
    say(&s, s.owner, put(&s, 0));
    ck_assert_uint_eq(client_oks(s.owner), 0);
    ck_assert_uint_eq(status_bits(&s, 0), 0x80);
    world_chunks(s.w); /* in the segment */
    ck_assert_uint_eq(client_oks(s.owner), 0);
    ck_assert(world_take(s.w));
    world_done(s.w, TACET_E_FULL); /* its bit finds no room */
    ck_assert(client_hear(s.owner, &event));
    ck_assert_int_eq(event.kind, FRAME_ERROR);
    ck_assert_int_eq(event.error.code, ERROR_QUOTA);
    ck_assert_uint_eq(status_bits(&s, 0), 0x80);
    s.w->disk_waits = false;
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
    ck_assert_uint_eq(status_bits(&s, 0), 0x81);
    scene_free(&s);
}
END_TEST

/* Killed, and started again; the owner and the first receiver are back. */
static void crash(scene *s)
{
    core_config config = core_config_default();
    config.blob_free_mib = 0;
    world_crash(s->w, &config);
    s->w->disk_waits = false;
    s->owner = client_open(s->w, TACET_ROLE_MAILBOX, &s->alice, 1);
    s->receiver[0] = client_open(s->w, TACET_ROLE_OPEN, NULL, 2);
    s->receiver[0]->drains = true;
    world_run(s->w);
    ck_assert_uint_eq(world_counters(s->w).blobs, 1);
}

START_TEST(F13_a_crash_keeps_what_was_ok)
{
    scene s = scene_with(8, 1);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_eq(code(&s, s.owner, put(&s, i)), 0);
    s.w->disk_waits = true;
    say(&s, s.owner, put(&s, 4));
    world_chunks(s.w); /* written, not marked */
    crash(&s);
    ck_assert_uint_eq(status_bits(&s, 0), 0x0f);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 4)), 0);
    say(&s, s.receiver[0], watch(&s, 0, 32));
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(chunk_came(s.receiver[0]), i);
    scene_free(&s);
}
END_TEST

/* The relay does not have it and never had it on its disk: what it knows is who has. */
START_TEST(F13_a_crash_keeps_what_was_handed_over)
{
    scene s = scene_with(8, 1);
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 8)), 0);
    for (uint32_t i = 0; i < 5; i++) {
        frame f = have(&s, 0, i, (const uint8_t *)"\1", 1);
        say(&s, s.owner, put(&s, i));
        ck_assert_int_eq(chunk_came(s.receiver[0]), (int)i);
        client_say(s.w, s.receiver[0], &f);
        ck_assert_uint_eq(client_oks(s.owner), 0); /* what it said is not committed */
        if (i == 4)
            break;
        world_run(s.w);
        ck_assert_uint_eq(client_oks(s.owner), 1);
    }
    crash(&s);
    ck_assert_uint_eq(status_bits(&s, 0), 0x0f);
    say(&s, s.receiver[0], watch(&s, 0, 8));
    say(&s, s.owner, put(&s, 4));
    ck_assert_int_eq(chunk_came(s.receiver[0]), 4);
    scene_free(&s);
}
END_TEST

/* What all receivers have is safe; that the relay cannot write so is no reason to send it again. */
START_TEST(F10_handed_over_on_a_full_disk)
{
    scene s = scene_with(3, 1);
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 8)), 0);
    for (uint32_t i = 0; i < 3; i++) {
        frame f = have(&s, 0, i, (const uint8_t *)"\1", 1);
        say(&s, s.owner, put(&s, i));
        client_say(s.w, s.receiver[0], &f);
        ck_assert(world_take(s.w)); /* its bit; the last of all: that the blob is done */
        world_done(s.w, TACET_E_FULL);
        ck_assert_uint_eq(client_oks(s.owner), 1);
    }
    ck_assert_uint_eq(world_counters(s.w).blobs_done, 0);
    world_pass_us(s.w, RELAY_BLOB_DONE_RETRY_MS * 1000);
    world_run(s.w);
    ck_assert_uint_eq(world_counters(s.w).blobs_done, 1); /* there is room again */
    ck_assert_uint_eq(world_counters(s.w).chunks_handed_off, 3);
    ck_assert_uint_eq(world_counters(s.w).chunks_stored, 0);
    scene_free(&s);
}
END_TEST

/* A second put of what all have, before that is on the disk: answered with the first, not before. */
START_TEST(F13_put_again_before_it_is_known_for_good)
{
    scene s = scene_with(2, 1);
    frame f = have(&s, 0, 0, (const uint8_t *)"\1", 1), again_put;
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 8)), 0);
    say(&s, s.owner, put(&s, 0));
    client_say(s.w, s.receiver[0], &f);
    again_put = put(&s, 0);
    client_say(s.w, s.owner, &again_put);
    ck_assert_uint_eq(client_oks(s.owner), 0);
    world_run(s.w);
    ck_assert_uint_eq(client_oks(s.owner), 2);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
    scene_free(&s);
}
END_TEST

/* Put twice, as after a connection that broke: the copy in memory hides the stored one, and must not hide what else there is. */
START_TEST(F02_a_second_copy_does_not_hold_up_the_next_chunk)
{
    scene s = scene_with(8, 2);
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 1)), 0);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 7)), 0); /* fills its window */
    ck_assert_int_eq(chunk_came(s.receiver[0]), 7);
    s.w->disk_waits = true;
    say(&s, s.owner, put(&s, 0));
    say(&s, s.owner, put(&s, 5));
    say(&s, s.owner, put(&s, 0));
    ck_assert(world_chunks_once(s.w)); /* the first one alone was given to the writer */
    world_run(s.w);
    ck_assert_uint_eq(status_bits(&s, 0), 0x81);
    ck_assert_uint_eq(have_one(&s, 0, 7), 0);
    ck_assert_int_eq(chunk_came(s.receiver[0]), 5);
    s.w->disk_waits = false;
    ck_assert_uint_eq(have_one(&s, 0, 5), 0);
    ck_assert_int_eq(chunk_came(s.receiver[0]), 0);
    scene_free(&s);
}
END_TEST

/* --- the end of a blob --------------------------------------------------------------------------------------------------------------------- */
START_TEST(dropped_while_somebody_watches)
{
    scene s = scene_with(4, 2);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
    say(&s, s.receiver[0], watch(&s, 0, 8));
    say(&s, s.receiver[1], watch(&s, 1, 8));
    client_say(s.w, s.owner, &(frame){ .kind = FRAME_ECHO });
    say(&s, s.owner, put(&s, 1)); /* held */
    (void)client_oks(s.owner);
    say(&s, s.owner, drop(&s));
    ck_assert(client_hear(s.owner, &event));
    ck_assert_int_eq(event.kind, FRAME_OK);
    ck_assert(client_hear(s.owner, &event));
    ck_assert_int_eq(event.error.code, ERROR_NOT_FOUND); /* of the put */
    for (unsigned r = 0; r < 2; r++)
        ck_assert_uint_eq(client_events(s.receiver[r], FRAME_BLOB_GONE), 1);
    ck_assert_uint_eq(code(&s, s.receiver[0], watch(&s, 0, 8)), ERROR_REFUSED);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), ERROR_NOT_FOUND);
    core_counters n = world_counters(s.w);
    ck_assert_uint_eq(n.blobs + n.watchers + n.chunk_memory_bytes + n.blob_reserved_bytes + relay_segments_bytes(s.w->store), 0);
    scene_free(&s);
}
END_TEST

START_TEST(expires)
{
    scene s = scene_with(4, 1);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
    say(&s, s.receiver[0], watch(&s, 0, 8));
    ck_assert_int_eq(chunk_came(s.receiver[0]), 0);
    outlive(&s);
    world_run(s.w);
    ck_assert_uint_eq(client_events(s.receiver[0], FRAME_BLOB_GONE), 1);
    ck_assert_uint_eq(world_counters(s.w).blobs_expired, 1);
    ck_assert_uint_eq(world_counters(s.w).blobs, 0);
    ck_assert_uint_eq(relay_segments_bytes(s.w->store), 0);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), ERROR_NOT_FOUND);
    scene_free(&s);
}
END_TEST

/* One end is enough: what was set aside is given back once. */
/* Its unsent output is so near its end that the word that the blob is gone is too much. */
START_TEST(S12_gone_is_said_to_one_who_does_not_read)
{
    static const uint8_t data[1024];
    scene s = scene_with(2, SCENE_RECEIVERS);
    client *k = s.receiver[0];
    frame f = { .kind = FRAME_ECHO, .echo.data = { data, sizeof data } };
    for (unsigned r = 0; r < SCENE_RECEIVERS; r++)
        ck_assert_uint_eq(code(&s, k, watch(&s, r, 1)), 0); /* all of them on one connection */
    k->drains = false;
    while (k->undrained + 24 < RELAY_OUTPUT_HARD_BYTES) {
        if (k->undrained + 2 * sizeof data > RELAY_OUTPUT_HARD_BYTES)
            f.echo.data.bytes = 1;
        ck_assert_uint_eq(code(&s, k, f), 0);
        client_forget(k);
    }
    ck_assert(!k->closed);
    if (_i)
        outlive(&s);
    else
        ck_assert_uint_eq(code(&s, s.owner, drop(&s)), 0);
    world_run(s.w);
    ck_assert(k->closed);
    ck_assert_uint_eq(world_counters(s.w).watchers, 0);
    scene_free(&s);
}
END_TEST

START_TEST(dropped_while_it_expires)
{
    scene s = scene_with(4, 1);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
    outlive(&s);
    ck_assert_uint_eq(code(&s, s.owner, drop(&s)), 0); /* in one group with the expiry, behind it */
    ck_assert_uint_eq(world_counters(s.w).blobs_expired, 1);
    ck_assert_uint_eq(world_counters(s.w).blobs, 0);
    ck_assert_uint_eq(world_counters(s.w).blob_reserved_bytes, 0);
    scene_free(&s);
}
END_TEST

START_TEST(received_by_all_while_it_expires)
{
    scene s = scene_with(1, 1);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
    say(&s, s.receiver[0], watch(&s, 0, 8));
    outlive(&s);
    ck_assert_uint_eq(have_one(&s, 0, 0), 0);
    ck_assert_uint_eq(world_counters(s.w).blobs_expired, 1);
    ck_assert_uint_eq(world_counters(s.w).blobs, 0);
    ck_assert_uint_eq(world_counters(s.w).blob_reserved_bytes, 0);
    scene_free(&s);
}
END_TEST

/* "not found" would make its sender give it up. */
START_TEST(a_blob_that_cannot_be_looked_up_is_not_gone)
{
    scene s = scene_with(4, 1);
    frame f = put(&s, 0);
    client_say(s.w, s.owner, &f);
    ck_assert(world_take(s.w));
    job *group = s.w->group;
    s.w->group = NULL;
    core_group_done(s.w->core, group, TACET_E_NOMEM); /* memory ran out before its turn came */
    ck_assert(client_hear(s.owner, &event));
    ck_assert_uint_eq(event.error.code, ERROR_INTERNAL);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
    scene_free(&s);
}
END_TEST

static unsigned works_of(const world *w, chunk_op op)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w->chunk_works; i++)
        n += w->chunks[i]->op == op;
    return n;
}

/* A file that is unlinked while the reader opens it looks like a disk that fails, for which a relay stops. */
START_TEST(files_go_when_the_reader_has_let_go_of_them)
{
    scene s = scene_with(4, 1);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 0)), 0);
    s.w->disk_waits = true;
    say(&s, s.receiver[0], watch(&s, 0, 8)); /* a read is under way */
    ck_assert_uint_eq(works_of(s.w, CHUNKS_READ), 1);
    ck_assert_uint_eq(code(&s, s.owner, drop(&s)), 0);
    ck_assert_uint_eq(works_of(s.w, CHUNKS_CLOSE), 1);
    ck_assert_uint_eq(works_of(s.w, CHUNKS_REMOVE), 0);
    world_chunks(s.w);
    ck_assert_uint_eq(relay_segments_bytes(s.w->store), 0);
    scene_free(&s);
}
END_TEST

SUITE("server blobs", TEST(handed_over_and_never_written), TEST(stored_when_somebody_does_not_watch),
      TEST(a_receiver_that_falls_asleep_is_not_waited_for), TEST(ok_comes_after_the_disk), TEST(F13_a_crash_keeps_what_was_ok),
      TEST(F13_a_crash_keeps_what_was_handed_over), TEST(F10_handed_over_on_a_full_disk), TEST(F13_put_again_before_it_is_known_for_good),
      TEST(F02_a_second_copy_does_not_hold_up_the_next_chunk), LOOP(S12_gone_is_said_to_one_who_does_not_read, 2),
      TEST(dropped_while_somebody_watches), TEST(expires), TEST(dropped_while_it_expires), TEST(received_by_all_while_it_expires),
      TEST(files_go_when_the_reader_has_let_go_of_them), TEST(a_blob_that_cannot_be_looked_up_is_not_gone))
