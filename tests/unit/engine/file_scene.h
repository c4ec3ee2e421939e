/* Alice, and whoever sends her files, in a world of engines (world.h): files of one chunk that are told as their sender wishes, and what became of them. */
#ifndef TESTS_ENGINE_FILE_SCENE_H
#define TESTS_ENGINE_FILE_SCENE_H
#include "files.h"
#include "suite.h"
#include "world.h"
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

enum { PLAIN_BYTES = 1000, TRIES = 2000 /* of 10 ms: a worker has long been done */ };

/* One file of one chunk as its sender knows it. */
typedef struct {
    uint8_t blob[16], key[32], salt[32], commitment[32], capability[32], root[32];
    uint8_t chunk[TACET_CHUNK_BYTES];
} fake;

static char folder[80];

static inline size_t person(world *w, const char *name, size_t friend_of)
{
    size_t who = world_join(w, name);
    world_befriend(w, who, friend_of);
    return who;
}

/* A world in which alice takes files into a folder of her own. */
static inline world *world_of_alice(size_t *alice)
{
    world *w = world_new();
    *alice = world_join(w, "alice");
    snprintf(folder, sizeof folder, "%s/in", w->person[*alice].dir);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    json_decref(must(w, *alice, "settings", json_pack("{ss}", "downloads", folder)));
    return w;
}

static inline void fake_make(fake *f, uint8_t filling)
{
    secret_arena *arena = NULL;
    file_cipher *cipher = NULL;
    file_keys k = { .chunks = 1 };
    file_tree tree = { 0 };
    uint8_t nonce[TACET_CHUNK_NONCE_BYTES], leaf[32];
    randombytes_buf(f, sizeof *f);
    randombytes_buf(nonce, sizeof nonce);
    file_commitment(f->commitment, f->key, f->salt);
    memcpy(k.blob, f->blob, 16);
    memcpy(k.key, f->key, 32);
    memcpy(k.salt, f->salt, 32);
    memcpy(k.commitment, f->commitment, 32);
    ck_assert_int_eq(secret_arena_new(&arena, 4096), TACET_OK);
    ck_assert_int_eq(file_cipher_new(&cipher, arena, &k), TACET_OK);
    memset(f->chunk, 0, sizeof f->chunk);
    memset(f->chunk + TACET_CHUNK_NONCE_BYTES, filling, PLAIN_BYTES);
    chunk_seal(cipher, 0, nonce, f->chunk);
    chunk_leaf(leaf, 0, f->chunk, sizeof f->chunk);
    file_tree_add(&tree, leaf);
    file_tree_root(&tree, f->root);
    file_cipher_free(cipher, arena);
    secret_arena_free(arena);
}

static inline void offer(world *w, size_t from, const fake *f, const char *name)
{
    content k = { .kind = CONTENT_FILE_OFFER, .time_ms = w->person[from].env.wall_ms };
    k.offer.blob = (view){ f->blob, 16 };
    k.offer.key = (view){ f->key, 32 };
    k.offer.salt = (view){ f->salt, 32 };
    k.offer.commitment = (view){ f->commitment, 32 };
    k.offer.capability = (view){ f->capability, 32 };
    k.offer.chunks = 1;
    k.offer.size = PLAIN_BYTES;
    k.offer.name = (view){ (const uint8_t *)name, strlen(name) };
    k.offer.mode = 0600;
    k.offer.form = FILE_FORM_FILE;
    world_say(w, from, "alice", &k, VAULT_OUT_MESSAGE);
}

/* The id of the seal. */
static inline void say_seal(world *w, size_t from, const fake *f, uint8_t id[16])
{
    content k = { .kind = CONTENT_FILE_SEAL, .time_ms = w->person[from].env.wall_ms };
    k.seal = (struct seal_content){ { f->blob, 16 }, { f->root, 32 }, 1, PLAIN_BYTES };
    world_say(w, from, "alice", &k, VAULT_OUT_MESSAGE);
    memcpy(id, k.id, 16);
}

/* The relay has it: its chunk, or nothing of it so far. */
static inline void at_relay(world *w, const fake *f, bool chunk)
{
    ck_assert_uint_lt(w->blobs, ROWS(w->blob));
    world_blob *b = &w->blob[w->blobs++];
    memcpy(b->capability, f->capability, 32);
    memcpy(b->chunk, f->chunk, sizeof b->chunk);
    b->n = chunk ? sizeof b->chunk : 0;
}

/* --- looking ---------------------------------------------------------------------------------------------------------------------------- */
typedef bool reached(world *w, size_t who, const void *what);

/* Workers are threads: their results are waited for, no longer than they take. */
static inline void until(world *w, size_t who, reached *is_so, const void *what)
{
    for (unsigned i = 0; !is_so(w, who, what); i++) {
        struct pollfd fd = { .fd = files_fd(w->person[who].e), .events = POLLIN };
        ck_assert_msg(i < TRIES, "it never comes to that");
        (void)poll(&fd, 1, 10);
        engine_tick(w->person[who].e);
        world_run(w);
    }
}

static inline vault_file of_blob(world *w, size_t who, const char *contact, bool outgoing, const uint8_t blob[16])
{
    vault_contact c;
    vault_file_link l;
    vault_file f = { 0 };
    vault *v = w->person[who].e->vault;
    ck_assert_int_eq(vault_contact_by_alias(v, contact, &c), TACET_OK);
    if (vault_file_link_by_blob(v, c.id, outgoing, blob, &l) == TACET_OK)
        ck_assert_int_eq(vault_file_get(v, l.file, &f), TACET_OK);
    return f;
}

static inline file_run *run_of(world *w, size_t who, const char *contact, const fake *f)
{
    return file_run_find(w->person[who].e, of_blob(w, who, contact, false, f->blob).row);
}

static inline bool was_watched(world *w, size_t who, const void *what)
{
    (void)who;
    for (size_t i = 0; i < w->watches; i++)
        if (memcmp(w->watched[i], ((const fake *)what)->capability, 32) == 0)
            return true;
    return false;
}

static inline bool bobs_is_complete(world *w, size_t who, const void *what)
{
    return of_blob(w, who, "bob", false, ((const fake *)what)->blob).state == VAULT_FILE_COMPLETE;
}

static inline void holds(const char *name, uint8_t filling)
{
    char path[200];
    uint8_t bytes[PLAIN_BYTES + 1], want[PLAIN_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(bytes, 1, sizeof bytes, f), PLAIN_BYTES);
    fclose(f);
    memset(want, filling, sizeof want);
    ck_assert_mem_eq(bytes, want, sizeof want);
}
#endif
