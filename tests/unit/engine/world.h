/* Several engines and a relay in one process, without sockets, with a seeded clock. The relay here is a double: small tables in memory that answer the
 * frames of PROTOCOL.md §2.4, and that can be told to be malicious, which the real one cannot. (Clients against the real relay: tests/integration.) */
#ifndef TESTS_ENGINE_WORLD_H
#define TESTS_ENGINE_WORLD_H
#include "engine/engine.h"
#include "identity/devices.h"
#include "identity/directory.h"
#include "identity/link.h"
#include "protocol/content.h"
#include "protocol/frame.h"
#include "storage/vault.h"
#include <jansson.h>

enum { WORLD_PEOPLE = 12, WORLD_ENVELOPES = 4096, WORLD_PREKEYS = 512, WORLD_PORT = 2000, WORLD_PORTS = 64 };

typedef struct {
    uint8_t token_hash[32], token_kind;
    uint8_t bytes[TACET_ENVELOPE_MAX_BYTES];
    size_t n;
    uint64_t number;
    bool gone;      /* acknowledged, or taken away */
    bool delivered; /* on the present connection */
} world_envelope;

typedef struct {
    uint8_t bytes[1270];
    size_t n;
    bool gone;
} world_prekey;

/* What the relay knows of one account. */
typedef struct {
    bool used, subscribed;
    uint8_t account[32], transport[32];
    uint32_t device;
    uint8_t list[8][TACET_DEVICE_LIST_MAX_BYTES];
    size_t list_bytes[8], lists;
    uint64_t lists_before; /* versions that came before list[0] */
    uint8_t token[64][32], token_kinds[64];
    size_t tokens;
    world_prekey key[WORLD_PREKEYS];
    size_t keys;
    uint64_t handed_out;
    char name[TACET_NAME_MAX_CHARS + 1];
    uint8_t entry[TACET_DIRECTORY_ENTRY_BYTES];
    world_envelope *box;
    size_t boxed;
    uint64_t link; /* of the mailbox connection, 0 none */
    size_t person;
} world_account;

typedef struct {
    bool used;
    char name[40], dir[64], path[96];
    env_seeded env;
    engine *e;
    json_t *events; /* all, in order */
    size_t sends;   /* SEND frames that left this engine */
    size_t opens;   /* connections that it began, its mailbox aside */
} world_person;

/* An answer that is still to come. */
typedef struct {
    size_t person;
    uint64_t link;
    uint32_t id;
} world_late;

/* The same of a LISTS frame. */
typedef struct {
    world_late to;
    uint8_t account[32];
    uint64_t after;
} world_question;

/* What the relay holds of a file for one receiver: a single chunk, or (bytes 0) none of it yet. */
typedef struct {
    uint8_t capability[32], chunk[TACET_CHUNK_BYTES];
    size_t n;
} world_blob;

typedef struct world_event world_event;

typedef struct {
    world_person person[WORLD_PEOPLE];
    world_account account[WORLD_PEOPLE];
    uint8_t relay_key[32], incarnation[16];
    char relay_text[TACET_LINK_MAX_CHARS + 1];
    world_event *events, **events_tail;
    uint64_t next_number;
    int64_t relay_clock_s; /* added to the clock it tells */
    uint64_t relay_hour_s; /* told in its place, 0 none */
    bool down;             /* nobody can connect */
    bool no_one_time;      /* bundles without one-time keys */
    unsigned old_bundles;  /* as relays were: one-time keys are given and counted whether or not they are in time, in the next so many bundles */
    bool hold;             /* accepts everything and delivers nothing */
    bool lose_replies;     /* SEND is carried out, and the answer gets lost with the connection */
    unsigned refuse_sends; /* error code for every SEND, 0 none */
    bool cannot_open;      /* opening a connection fails at once */
    uint16_t away;         /* the same for relays at so many ports from WORLD_PORT on */
    unsigned opened[WORLD_PORTS]; /* how often one was tried at those ports */
    size_t late_for;              /* SEND of this person, counted from 1, is carried out, and answered by world_answer */
    world_late late[64];
    size_t late_count;
    size_t lists_late_for; /* LISTS of this person, counted from 1, is answered by world_answer_lists */
    world_question question[16];
    size_t questions;
    world_blob blob[8];
    size_t blobs, drops; /* drops: BLOB_DROP frames that came */
    size_t list_asks;    /* LISTS frames that came */
    uint8_t watched[16384][32];
    size_t watches; /* capabilities that were watched with, in order */
} world;

extern uint64_t world_seed; /* of every random draw of the worlds that are made from now on; 0 at first */
world *world_new(void);
void world_free(world *w);
/* A person with a registered account. The index. */
size_t world_join(world *w, const char *name);
/* The vault alone, no account. */
size_t world_bare(world *w, const char *name);
/* The engine goes (as if the process ended) and comes back over the same vault. */
void world_close(world *w, size_t who);
void world_open(world *w, size_t who);
/* The vault's files, copied aside and put back: an old snapshot. */
void world_snapshot(world *w, size_t who);
void world_restore(world *w, size_t who);
/* Runs until nothing moves. */
void world_run(world *w);
/* Time passes for everybody, in steps of at most a second. */
void world_advance(world *w, uint64_t ms);
void world_answer(world *w);       /* what is late comes now, and nothing is late any more */
void world_answer_lists(world *w); /* with what the relay shows now; what is asked from now on is answered at once */
/* Delivery goes on. */
void world_release(world *w);
/* Puts one envelope into somebody's mailbox: bytes that were there before, or made up. */
void world_inject(world *w, size_t who, const world_envelope *v);
/* A content of the test's own making from one engine to a contact, in the ordinary way. `what`: vault_outgoing_what. */
void world_say(world *w, size_t from, const char *to, content *k, uint32_t what);
world_account *world_account_of(world *w, size_t who);

/* Steals params. The result (yours), or NULL with *error filled. */
json_t *world_call(world *w, size_t who, const char *method, json_t *params, engine_error *error);
/* The result, which must be there; or the error, which must be `code`. */
json_t *must(world *w, size_t who, const char *method, json_t *params);
void must_fail(world *w, size_t who, const char *method, json_t *params, const char *code, int exit);

/* Everybody's usual way: a adds b's link, b accepts. */
void world_befriend(world *w, size_t a, size_t b);
/* A world of alice and bob, who are friends. */
world *world_pair(size_t *alice, size_t *bob);
const char *world_link(world *w, size_t who, char *room); /* room: 512 */
void world_send(world *w, size_t from, const char *to, const char *text);
/* What `receive` gives now, handed over at once; joined with '|'. */
const char *world_received(world *w, size_t who, char *room, size_t room_bytes);
size_t world_events(const world *w, size_t who, const char *event);
json_t *world_event_last(const world *w, size_t who, const char *event);
size_t world_prekeys(world *w, size_t who);  /* in the vault, of all kinds */
size_t world_contacts(world *w, size_t who); /* in the vault, at most 8 are counted */
#endif
