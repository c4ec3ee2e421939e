/* F02 and F03, test builds only: what a relay that lies could do to the chunks it hands out. TACET_RELAY_CHUNKS says what (swapped, duplicated, dropped,
 * damaged, invented); every fifth event is treated so. Nothing here is linked into a release. */
#include "server/core_parts.h"
#include <stdlib.h>
#include <string.h>

enum { HOSTILE_EVERY = 5 };

static uint8_t before[TACET_CHUNK_BYTES]; /* the chunk that went out last */

/* The chunk is what an event ends with. Each says how often the event is sent. */
static unsigned swapped(uint8_t *bytes)
{
    memcpy(bytes, before, TACET_CHUNK_BYTES);
    return 1;
}
static unsigned duplicated(uint8_t *bytes)
{
    (void)bytes;
    return 2;
}
static unsigned dropped(uint8_t *bytes)
{
    (void)bytes;
    return 0;
}
static unsigned damaged(uint8_t *bytes)
{
    bytes[TACET_CHUNK_BYTES / 2] ^= 1;
    return 1;
}
static unsigned invented(uint8_t *bytes)
{
    memset(bytes, 0x5a, TACET_CHUNK_BYTES);
    return 1;
}

bool core_hostile_chunk(core *c, conn *k, const uint8_t *stream, size_t n)
{
    static const struct {
        const char *word;
        unsigned (*treat)(uint8_t *bytes);
    } row[] = { { "swapped", swapped }, { "duplicated", duplicated }, { "dropped", dropped }, { "damaged", damaged }, { "invented", invented } };
    static unsigned events;
    const char *word = getenv("TACET_RELAY_CHUNKS");
    uint8_t *copy = word && n > TACET_CHUNK_BYTES ? malloc(n) : NULL;
    if (!copy)
        return false;
    uint8_t *body = copy + n - TACET_CHUNK_BYTES;
    memcpy(copy, stream, n);
    unsigned times = 1;
    bool its_turn = ++events % HOSTILE_EVERY == 0;
    for (size_t i = 0; its_turn && i < sizeof row / sizeof *row; i++)
        if (strcmp(word, row[i].word) == 0)
            times = row[i].treat(body);
    memcpy(before, stream + n - TACET_CHUNK_BYTES, sizeof before);
    while (times-- > 0)
        core_reply(c, k, copy, n, 0);
    free(copy);
    return true;
}
