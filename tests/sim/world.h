/* tests/sim/world.h: a relay core and some engines in one process, joined by a wire that delays, clogs, cuts and loses, with crashes and clocks that
 * are wrong. Real cores, real SQLCipher files (in a folder in memory), no sockets, no threads of ours, no sleeping. All chance comes from one seed, so that a seed
 * replays frame for frame: `trace` is a hash over every frame that arrived, when and where. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H
#include "base/env.h"
#include "engine/engine.h"
#include "identity/keys.h"
#include "server/core.h"
#include <sodium.h>

enum { CLIENTS = 3, CONNECTIONS_MAX = 256 };

typedef struct world world;

typedef struct {
    world *of;
    uint32_t index, life; /* life: counted up at each crash; what was scheduled for an earlier one finds nobody */
    char name[16], dir[96];
    engine *e;
    tacet_env env;
    env_seeded chance;
    int64_t skew_ms;
    uint8_t key[32];
    uint64_t tick_at; /* the scheduled engine_tick; UINT64_MAX none */
    uint64_t gaps, quarantined;
} client;

typedef struct {
    bool used, at_relay, ready, ended; /* at_relay: core_open has been called */
    uint32_t generation, client, life, relay_life;
    uint64_t link;
    tacet_role role;
    uint8_t transport_key[32], hash[64];
    conn_ref ref;
    uint64_t to_client_ms, to_relay_ms; /* nothing overtakes within a direction */
} connection;

typedef struct {
    core *c;
    relay_store *store;
    relay_reader *reader;
    char dir[96];
    uint8_t key[32];
    uint32_t life;
    job *group;     /* under way */
    bool group_ran; /* already in the store, not yet told to the core */
    int group_status;
    bool silent; /* crashed: what it still says reaches nobody */
    uint64_t tick_at;
    uint64_t verifying, reading; /* jobs under way: they come back before the core is freed */
} relay;

typedef struct event event;
struct event {
    uint64_t at_ms, order;
    void (*run)(world *w, event *e);
    uint32_t index, generation, life;
    void *pointer;
    size_t bytes;
    uint8_t *data;
};

struct world {
    uint64_t now_ms, order;
    env_seeded chance;
    event **heap;
    size_t count, room;
    relay r;
    client clients[CLIENTS];
    connection conn[CONNECTIONS_MAX];
    relay_address address;
    bool faults;
    uint64_t delay_max_ms;
    crypto_generichash_state trace;
    uint64_t frames, cuts, crashes;
    char dir[64];
};

void world_open(world *w, uint64_t seed);
void world_close(world *w);
/* Runs events until `done` or until simulated time `until_ms`. */
void world_run(world *w, uint64_t until_ms, const bool *done);
uint64_t world_below(world *w, uint64_t limit);
void world_trace(world *w, uint8_t out[16]);

/* A call on an engine; runs the world until it is answered. NULL: refused, or the client crashed meanwhile. The result is a new reference. */
json_t *world_call(world *w, client *c, const char *method, json_t *params, uint64_t within_ms);

void client_start(client *c);
void client_crash(client *c); /* what is not committed in its vault is gone */
void relay_start(world *w);
void relay_crash(world *w);
void cut_one(world *w);

/* net.c: the wire */
extern const engine_network sim_network; /* ctx: a client */
extern const core_ports sim_ports;       /* ctx: a world */
void schedule(world *w, uint64_t at_ms, event e);
void relay_turn(world *w);
void client_turn(client *c);
void connection_drop(world *w, uint32_t index, bool tell_client, bool tell_relay);
_Noreturn void sim_fail(const world *w, const char *what, ...) __attribute__((format(printf, 2, 3)));
#endif
