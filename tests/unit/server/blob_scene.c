/* tests/unit/server/blob_scene.c: see blob_scene.h. */
#include "blob_scene.h"
#include <check.h>
#include <sodium.h>
#include <string.h>

static frame reply, event;

static void capability_make(scene *s, unsigned r)
{
    static const char label[] = "tacet blob";
    uint8_t input[sizeof label + 32];
    randombytes_buf(s->capability[r], 32);
    memcpy(input, label, sizeof label);
    memcpy(input + sizeof label, s->capability[r], 32);
    crypto_generichash(s->hash[r], 32, input, sizeof input, NULL, 0);
}

scene scene_new(const core_config *config)
{
    core_config plain = core_config_default();
    plain.blob_free_mib = 0;
    scene s = { .w = world_new(config ? config : &plain) };
    person_make(&s.alice, s.w->wall_ms / 1000);
    s.owner = person_join(s.w, &s.alice);
    randombytes_buf(s.id, sizeof s.id);
    for (unsigned r = 0; r < SCENE_RECEIVERS; r++) {
        capability_make(&s, r);
        s.receiver[r] = client_open(s.w, TACET_ROLE_OPEN, NULL, 10 + r);
        s.receiver[r]->drains = true;
    }
    return s;
}

frame create(const scene *s, uint32_t chunks, unsigned receivers)
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

frame put(const scene *s, uint32_t index)
{
    frame f = { .kind = FRAME_PUT };
    f.put.blob = (view){ s->id, 16 };
    f.put.index = index;
    f.put.chunk = (view){ chunk_bytes(index), TACET_CHUNK_BYTES };
    return f;
}

frame watch(const scene *s, unsigned r, uint32_t credit)
{
    frame f = { .kind = FRAME_WATCH };
    f.watch.blob = (view){ s->id, 16 };
    f.watch.capability = (view){ s->capability[r], 32 };
    f.watch.credit = credit;
    return f;
}

frame have(const scene *s, unsigned r, uint32_t first, const uint8_t *bits, size_t bytes)
{
    frame f = { .kind = FRAME_HAVE };
    f.have.blob = (view){ s->id, 16 };
    f.have.capability = (view){ s->capability[r], 32 };
    f.have.first = first;
    f.have.bits = (view){ bits, bytes };
    return f;
}

frame again(const scene *s, unsigned r, uint32_t index)
{
    frame f = { .kind = FRAME_AGAIN };
    f.again.blob = (view){ s->id, 16 };
    f.again.capability = (view){ s->capability[r], 32 };
    f.again.index = index;
    return f;
}

frame drop(const scene *s)
{
    frame f = { .kind = FRAME_BLOB_DROP };
    f.blob_drop.blob = (view){ s->id, 16 };
    return f;
}

unsigned code(scene *s, client *k, frame f) { return client_code(s->w, k, &f); }

scene scene_with(uint32_t chunks, unsigned receivers)
{
    scene s = scene_new(NULL);
    ck_assert_uint_eq(code(&s, s.owner, create(&s, chunks, receivers)), 0);
    return s;
}

void say(scene *s, client *k, frame f)
{
    client_say(s->w, k, &f);
    world_run(s->w);
}

unsigned have_one(scene *s, unsigned r, uint32_t index)
{
    const uint8_t one = 1;
    return code(s, s->receiver[r], have(s, r, index, &one, 1));
}

int chunk_came(client *k)
{
    while (client_hear(k, &event))
        if (event.kind == FRAME_CHUNK) {
            ck_assert_uint_eq(event.chunk.chunk.bytes, TACET_CHUNK_BYTES);
            ck_assert_mem_eq(event.chunk.chunk.at, chunk_bytes(event.chunk.index), TACET_CHUNK_BYTES);
            return (int)event.chunk.index;
        }
    return -1;
}

uint8_t status_bits(scene *s, uint32_t first)
{
    frame f = { .kind = FRAME_BLOB_STATUS };
    f.blob_status.blob = (view){ s->id, 16 };
    f.blob_status.first = first;
    client_ask(s->w, s->owner, &f, &reply);
    ck_assert_int_eq(reply.kind, FRAME_BLOB_STATUS_REPLY);
    ck_assert_uint_eq(reply.blob_status_reply.first, first);
    return reply.blob_status_reply.bits.at[0];
}

void scene_free(scene *s) { world_free(s->w); }
