/* Files at the real relay: chunks live and stored, limits, expiry, and kill -9 of each of its processes while chunks are on their way. */
#include "raw_client.h"
#include "suite.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static frame reply;
static const char free_ini[] = "[limits]\nblob_free_mib = 0\n";

typedef struct {
    relay r;
    person alice;
    raw_client owner, receiver;
    uint8_t id[16], capability[32], hash[32];
} scene;

static void scene_new(scene *s, const char *ini)
{
    static const char label[] = "tacet blob";
    uint8_t input[sizeof label + 32];
    memset(s, 0, sizeof *s);
    relay_init(&s->r, ini);
    relay_run(&s->r);
    raw_join(&s->owner, &s->r, &s->alice);
    ck_assert(raw_open(&s->receiver, s->r.port, s->r.key, TACET_ROLE_OPEN, NULL));
    randombytes_buf(s->id, sizeof s->id);
    randombytes_buf(s->capability, sizeof s->capability);
    memcpy(input, label, sizeof label);
    memcpy(input + sizeof label, s->capability, 32);
    crypto_generichash(s->hash, 32, input, sizeof input, NULL, 0);
}

static void scene_end(scene *s)
{
    raw_close(&s->owner);
    raw_close(&s->receiver);
    ck_assert_int_eq(relay_end(&s->r, SIGTERM), 0);
    relay_remove(&s->r);
}

static unsigned create(scene *s, uint32_t chunks, uint32_t ttl_s)
{
    frame f = { .kind = FRAME_BLOB_CREATE };
    f.blob_create.blob = (view){ s->id, 16 };
    f.blob_create.chunks = chunks;
    f.blob_create.ttl_s = ttl_s;
    f.blob_create.receivers.count = 1;
    f.blob_create.receivers.item[0] = (view){ s->hash, 32 };
    return raw_code(&s->owner, &f);
}

static const uint8_t *bytes_of(uint32_t index)
{
    static uint8_t bytes[TACET_CHUNK_BYTES];
    memset(bytes, (int)(index * 31 + 5), sizeof bytes);
    memcpy(bytes, &index, sizeof index);
    return bytes;
}

static uint32_t say_put(scene *s, uint32_t index)
{
    frame f = { .kind = FRAME_PUT };
    f.put.blob = (view){ s->id, 16 };
    f.put.index = index;
    f.put.chunk = (view){ bytes_of(index), TACET_CHUNK_BYTES };
    return raw_say(&s->owner, &f);
}

static unsigned watch(scene *s, uint32_t credit)
{
    frame f = { .kind = FRAME_WATCH };
    f.watch.blob = (view){ s->id, 16 };
    f.watch.capability = (view){ s->capability, 32 };
    f.watch.credit = credit;
    return raw_code(&s->receiver, &f);
}

static void say_have(scene *s, uint32_t index)
{
    static const uint8_t one = 1;
    frame f = { .kind = FRAME_HAVE };
    f.have.blob = (view){ s->id, 16 };
    f.have.capability = (view){ s->capability, 32 };
    f.have.first = index;
    f.have.bits = (view){ &one, 1 };
    raw_say(&s->receiver, &f);
}

/* The index of the next chunk; -1: the connection has gone, or nothing came. */
static int chunk_came(scene *s)
{
    while (raw_hear(&s->receiver, &reply))
        if (reply.kind == FRAME_CHUNK) {
            ck_assert_uint_eq(reply.chunk.chunk.bytes, TACET_CHUNK_BYTES);
            ck_assert_mem_eq(reply.chunk.chunk.at, bytes_of(reply.chunk.index), TACET_CHUNK_BYTES);
            return (int)reply.chunk.index;
        }
    return -1;
}

static void put_all(scene *s, uint32_t from, uint32_t to)
{
    uint32_t asked = from, answered = from;
    while (answered < to) {
        while (asked < to && asked - answered < 32)
            ck_assert_uint_ne(say_put(s, asked++), 0);
        ck_assert(raw_hear(&s->owner, &reply));
        ck_assert_int_eq(reply.kind, FRAME_OK);
        answered++;
    }
}

START_TEST(stored_and_fetched_later)
{
    scene s;
    scene_new(&s, free_ini);
    ck_assert_uint_eq(create(&s, 200, 86400), 0);
    put_all(&s, 0, 200);
    ck_assert_uint_eq(relay_status(&s.r, "chunks_stored"), 200);
    ck_assert_int_eq(relay_end(&s.r, SIGTERM), 0);
    raw_close(&s.owner);
    raw_close(&s.receiver);
    relay_run(&s.r);
    ck_assert(raw_open(&s.owner, s.r.port, s.r.key, TACET_ROLE_MAILBOX, &s.alice));
    ck_assert(raw_open(&s.receiver, s.r.port, s.r.key, TACET_ROLE_OPEN, NULL));
    ck_assert_uint_eq(watch(&s, 16), 0);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(chunk_came(&s), i);
        say_have(&s, (uint32_t)i);
    }
    while (relay_status(&s.r, "blobs_done") == 0)
        usleep(20000);
    while (relay_status(&s.r, "blob_segment_bytes") != 0)
        usleep(20000);
    ck_assert_uint_eq(relay_status(&s.r, "blob_reserved_bytes"), 0);
    ck_assert_uint_eq(relay_status(&s.r, "blobs"), 1);
    scene_end(&s);
}
END_TEST

START_TEST(handed_over_live)
{
    scene s;
    scene_new(&s, free_ini);
    ck_assert_uint_eq(create(&s, 300, 86400), 0);
    ck_assert_uint_eq(watch(&s, 64), 0);
    for (uint32_t asked = 0, came = 0; came < 300;) {
        while (asked < 300 && asked - came < 16)
            say_put(&s, asked++);
        ck_assert_int_eq(chunk_came(&s), (int)came);
        say_have(&s, came++);
    }
    for (unsigned oks = 0; oks < 300; oks++) {
        ck_assert(raw_hear(&s.owner, &reply));
        ck_assert_int_eq(reply.kind, FRAME_OK);
    }
    ck_assert_uint_eq(relay_status(&s.r, "chunks_handed_off"), 300);
    ck_assert_uint_eq(relay_status(&s.r, "chunks_stored"), 0);
    ck_assert_uint_eq(relay_status(&s.r, "blob_segment_bytes"), 0);
    scene_end(&s);
}
END_TEST

SUITE("relay blobs", TEST(stored_and_fetched_later), TEST(handed_over_live))
