/* Blobs in the relay core: who may do what, hand-off and store, windows, the end of a blob, and what is safe when it says so. */
#include "core_world.h"
#include "suite.h"
#include <string.h>

enum { RECEIVERS = 3 };
static frame reply, event;

typedef struct {
    world *w;
    person alice;
    client *owner, *receiver[RECEIVERS];
    uint8_t id[16], capability[RECEIVERS][32], hash[RECEIVERS][32];
} scene;

static void capability_make(scene *s, unsigned r)
{
    static const char label[] = "tacet blob";
    uint8_t input[sizeof label + 32];
    randombytes_buf(s->capability[r], 32);
    memcpy(input, label, sizeof label);
    memcpy(input + sizeof label, s->capability[r], 32);
    crypto_generichash(s->hash[r], 32, input, sizeof input, NULL, 0);
}

static scene scene_new(const core_config *config)
{
    core_config plain = core_config_default();
    plain.blob_free_mib = 0;
    scene s = { .w = world_new(config ? config : &plain) };
    person_make(&s.alice, s.w->wall_ms / 1000);
    s.owner = person_join(s.w, &s.alice);
    randombytes_buf(s.id, sizeof s.id);
    for (unsigned r = 0; r < RECEIVERS; r++) {
        capability_make(&s, r);
        s.receiver[r] = client_open(s.w, TACET_ROLE_OPEN, NULL, 10 + r);
        s.receiver[r]->drains = true;
    }
    return s;
}

static frame create(const scene *s, uint32_t chunks, unsigned receivers)
{
    frame f = { .kind = FRAME_BLOB_CREATE };
    f.blob_create.blob = (view){ s->id, 16 };
    f.blob_create.chunks = chunks;
    f.blob_create.ttl_s = 7200;
    f.blob_create.receivers.count = receivers;
    for (unsigned r = 0; r < receivers; r++)
        f.blob_create.receivers.item[r] = (view){ s->hash[r], 32 };
    return f;
}

static uint8_t *chunk_bytes(uint32_t index)
{
    static uint8_t bytes[TACET_CHUNK_BYTES];
    memset(bytes, (int)(index * 7 + 1), sizeof bytes);
    return bytes;
}

static frame put(const scene *s, uint32_t index)
{
    frame f = { .kind = FRAME_PUT };
    f.put.blob = (view){ s->id, 16 };
    f.put.index = index;
    f.put.chunk = (view){ chunk_bytes(index), TACET_CHUNK_BYTES };
    return f;
}

static frame watch(const scene *s, unsigned r, uint32_t credit)
{
    frame f = { .kind = FRAME_WATCH };
    f.watch.blob = (view){ s->id, 16 };
    f.watch.capability = (view){ s->capability[r], 32 };
    f.watch.credit = credit;
    return f;
}

static frame have(const scene *s, unsigned r, uint32_t first, const uint8_t *bits, size_t bytes)
{
    frame f = { .kind = FRAME_HAVE };
    f.have.blob = (view){ s->id, 16 };
    f.have.capability = (view){ s->capability[r], 32 };
    f.have.first = first;
    f.have.bits = (view){ bits, bytes };
    return f;
}

static frame again(const scene *s, unsigned r, uint32_t index)
{
    frame f = { .kind = FRAME_AGAIN };
    f.again.blob = (view){ s->id, 16 };
    f.again.capability = (view){ s->capability[r], 32 };
    f.again.index = index;
    return f;
}

static frame drop(const scene *s)
{
    frame f = { .kind = FRAME_BLOB_DROP };
    f.blob_drop.blob = (view){ s->id, 16 };
    return f;
}

static unsigned code(scene *s, client *k, frame f) { return client_code(s->w, k, &f); }

/* With a blob of so many chunks, for so many receivers. */
static scene scene_with(uint32_t chunks, unsigned receivers)
{
    scene s = scene_new(NULL);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, chunks, receivers)), 0);
    return s;
}

/* The blob's two hours pass, and the time until the relay looks. */
static void outlive(scene *s)
{
    s->w->wall_ms += 4 * 3600 * 1000;
    world_pass_us(s->w, 61 * 1000000ull);
}

static void say(scene *s, client *k, frame f)
{
    client_say(s->w, k, &f);
    world_run(s->w);
}

static unsigned have_one(scene *s, unsigned r, uint32_t index)
{
    const uint8_t one = 1;
    return code(s, s->receiver[r], have(s, r, index, &one, 1));
}

/* The next chunk that came: its index, or -1. Its bytes are checked. */
static int chunk_came(client *k)
{
    while (client_hear(k, &event))
        if (event.kind == FRAME_CHUNK) {
            ck_assert_uint_eq(event.chunk.chunk.bytes, TACET_CHUNK_BYTES);
            ck_assert_mem_eq(event.chunk.chunk.at, chunk_bytes(event.chunk.index), TACET_CHUNK_BYTES);
            return (int)event.chunk.index;
        }
    return -1;
}

static uint8_t status_bits(scene *s, uint32_t first)
{
    frame f = { .kind = FRAME_BLOB_STATUS };
    f.blob_status.blob = (view){ s->id, 16 };
    f.blob_status.first = first;
    client_ask(s->w, s->owner, &f, &reply);
    ck_assert_int_eq(reply.kind, FRAME_BLOB_STATUS_REPLY);
    ck_assert_uint_eq(reply.blob_status_reply.first, first);
    return reply.blob_status_reply.bits.at[0];
}

static void scene_free(scene *s) { world_free(s->w); }

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

START_TEST(F13_a_crash_keeps_what_was_ok)
{
    scene s = scene_new(NULL);
    core_config config = core_config_default();
    config.blob_free_mib = 0;
    ck_assert_uint_eq(code(&s, s.owner, create(&s, 8, 1)), 0);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_eq(code(&s, s.owner, put(&s, i)), 0);
    s.w->disk_waits = true;
    say(&s, s.owner, put(&s, 4));
    world_chunks(s.w); /* written, not marked */
    world_crash(s.w, &config);
    s.w->disk_waits = false;
    s.owner = client_open(s.w, TACET_ROLE_MAILBOX, &s.alice, 1);
    s.receiver[0] = client_open(s.w, TACET_ROLE_OPEN, NULL, 2);
    s.receiver[0]->drains = true;
    world_run(s.w);
    ck_assert_uint_eq(world_counters(s.w).blobs, 1);
    ck_assert_uint_eq(status_bits(&s, 0), 0x0f);
    ck_assert_uint_eq(code(&s, s.owner, put(&s, 4)), 0);
    say(&s, s.receiver[0], watch(&s, 0, 32));
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(chunk_came(s.receiver[0]), i);
    scene_free(&s);
}
END_TEST

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

START_TEST(F10_chunks_in_memory_are_bounded)
{
    enum { MORE = RELAY_CHUNK_MEMORY_MAX_BYTES / TACET_CHUNK_BYTES + 50 };
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
    ck_assert_uint_le(world_counters(s.w).chunk_memory_bytes, RELAY_CHUNK_MEMORY_MAX_BYTES + 70000);
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

SUITE("server blobs", TEST(handed_over_and_never_written), TEST(stored_when_somebody_does_not_watch),
      TEST(a_receiver_that_falls_asleep_is_not_waited_for), TEST(ok_comes_after_the_disk), TEST(F13_a_crash_keeps_what_was_ok),
      TEST(T16_only_its_owner_and_its_receivers), TEST(F07_counts_and_indices), TEST(F03_asked_for_again),
      TEST(one_receiver_watches_on_one_connection), TEST(dropped_while_somebody_watches), TEST(expires), TEST(dropped_while_it_expires),
      TEST(received_by_all_while_it_expires), TEST(files_go_when_the_reader_has_let_go_of_them), TEST(a_blob_that_cannot_be_looked_up_is_not_gone),
      TEST(F10_room_is_set_aside_first), TEST(F10_chunks_in_memory_are_bounded), TEST(F10_one_account_does_not_fill_the_table),
      TEST(many_blobs_come_and_go_in_memory))
