/* tests/unit/server/blob_scene.h: a sender, the receivers of its blob, and what they say, at a relay core of their own (core_world.h). */
#ifndef TESTS_BLOB_SCENE_H
#define TESTS_BLOB_SCENE_H
#include "core_world.h"

enum { SCENE_RECEIVERS = 3 };

typedef struct {
    world *w;
    person alice;
    client *owner, *receiver[SCENE_RECEIVERS];
    uint8_t id[16], capability[SCENE_RECEIVERS][32], hash[SCENE_RECEIVERS][32];
} scene;

/* config NULL: the usual one, on a disk that is never too full. */
scene scene_new(const core_config *config);
/* With a blob of so many chunks, for so many receivers. */
scene scene_with(uint32_t chunks, unsigned receivers);
void scene_free(scene *s);

/* Frames about the scene's blob. What they point to lives as long as the scene; a chunk's bytes, until the next. */
frame create(const scene *s, uint32_t chunks, unsigned receivers);
frame put(const scene *s, uint32_t index);
frame watch(const scene *s, unsigned r, uint32_t credit);
frame have(const scene *s, unsigned r, uint32_t first, const uint8_t *bits, size_t bytes);
frame again(const scene *s, unsigned r, uint32_t index);
frame drop(const scene *s);

/* Says f, runs the world, and gives the code of the answer: 0 for ok. */
unsigned code(scene *s, client *k, frame f);
/* Says f and runs the world; the answer is still to be heard. */
void say(scene *s, client *k, frame f);
unsigned have_one(scene *s, unsigned r, uint32_t index);
/* The next chunk that came: its index, or -1. Its bytes are checked. */
int chunk_came(client *k);
/* What the owner is told of eight chunks. */
uint8_t status_bits(scene *s, uint32_t first);
#endif
