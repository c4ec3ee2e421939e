/* tests/unit/server/core_world.h: a relay core over a real store in a directory of its own, with clients that speak frames to it, a clock in the test's
 * hand, and the committer and the reader called by the test. Nothing happens by itself: world_run does everything that can be done without time passing. */
#ifndef TESTS_CORE_WORLD_H
#define TESTS_CORE_WORLD_H
#include "person.h"
#include "server/backlog.h"
#include "server/committer.h"
#include "server/core.h"
#include "transport/handshake.h"

enum { WORLD_CLIENTS = 64, WORLD_FRAMES = 2048 };

typedef struct {
    size_t bytes;
    uint8_t *body;
} got_frame;

/* One connection. */
typedef struct {
    bool used, ready, closed;
    unsigned role;
    conn_ref ref;
    uint8_t hash[64];
    uint32_t next_id;
    got_frame got[WORLD_FRAMES];
    unsigned got_count, read; /* read: how many the test has looked at */
    uint64_t undrained;
    bool drains; /* says at once that the socket took it */
} client;

typedef struct {
    char dir[64];
    uint8_t key[32], relay_key[32];
    relay_store *store;
    relay_reader *reader;
    core *core;
    uint64_t now_us, wall_ms;
    client client[WORLD_CLIENTS];
    request_job *verify[512];
    unsigned verifies;
    backlog_job *backlog[WORLD_CLIENTS];
    unsigned backlogs;
    chunk_work *chunks[256]; /* asked of the threads of chunks, oldest first */
    unsigned chunk_works;
    relay_segments *segments;
    bool disk_waits;   /* world_threads leaves them alone */
    job *group;        /* taken and not done, see world_take */
    uint64_t last_row; /* the highest number of the log that was given */
} world;

world *world_new(const core_config *config);
void world_free(world *w);
/* The core and the store as after a kill -9: nothing that was not committed. */
void world_crash(world *w, const core_config *config);
/* Its two halves, for what happens to the disk between them. */
void world_halt(world *w);
void world_resume(world *w, const core_config *config);
void world_run(world *w);
void world_pass_us(world *w, uint64_t us);
/* Apart: what world_run does for the committer. */
bool world_take(world *w);
void world_done(world *w, int forced_status); /* TACET_OK: really commits; else: rolls back and says so */
void world_threads(world *w);                 /* verifications, backlog reads, chunks */
void world_chunks(world *w);                  /* chunks alone, also when the disk waits */
bool world_chunks_once(world *w);             /* one write or read of them; false: there is none */

client *client_open(world *w, unsigned role, const person *p, uint64_t address);
void client_close(world *w, client *k);
uint32_t client_say(world *w, client *k, frame *f);
/* The next frame that came (events and replies alike); false: none. */
bool client_hear(client *k, frame *out);
/* Says f, runs the world, and gives the reply, skipping events that came before (they stay lost). Fails the test when none comes. */
void client_ask(world *w, client *k, frame *f, frame *reply);
/* The same, and the code of the error: 0 for ok. */
unsigned client_code(world *w, client *k, frame *f);
void client_forget(client *k);                      /* all that came */
unsigned client_events(client *k, frame_kind kind); /* takes all that came; how many of this kind */

/* Registers on a new connection, publishes tokens; the connection. */
client *person_join(world *w, person *p);
void person_publish(world *w, client *k, const person *p, unsigned one_time, unsigned kem);
core_counters world_counters(const world *w);
/* How many `ok` were among the replies that came. */
unsigned client_oks(client *k);
#endif
