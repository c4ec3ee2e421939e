/* The relay double of world.h: what it does with each frame that a client may send, and what it needs of the connections between. */
#ifndef TESTS_ENGINE_WORLD_RELAY_H
#define TESTS_ENGINE_WORLD_RELAY_H
#include "world.h"

typedef struct {
    bool used, up;
    size_t person;
    uint64_t link;
    tacet_role role;
    uint8_t transport[32], hash[64];
} connection;

/* --- of the connections, for the relay ----------------------------------------------------------------------------------------------- */
connection *connection_find(size_t person, uint64_t link); /* NULL: it has ended */
/* Both happen later, in order: nobody is called back at once. */
void connection_tell(world *w, const connection *c, const uint8_t *bytes, size_t n);
void connection_end(world *w, size_t person, uint64_t link);

/* --- of the relay -------------------------------------------------------------------------------------------------------------------- */
void relay_frame(world *w, connection *c, const uint8_t *bytes, size_t n);
/* Delivers what waits for whoever listens. */
void relay_push(world *w, world_account *a);
/* The connection is gone: what was delivered and not acknowledged comes again. */
void relay_hang_up(world *w, const connection *c);
#endif
