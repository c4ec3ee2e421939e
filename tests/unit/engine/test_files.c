/* Files and contacts who mean harm: nobody ends, deletes or holds up what belongs to others. */
#include "files.h"
#include "suite.h"
#include "world.h"
#include <dirent.h>
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

static size_t person(world *w, const char *name, size_t friend_of)
{
    size_t who = world_join(w, name);
    world_befriend(w, who, friend_of);
    return who;
}

/* A world in which alice takes files into a folder of her own. */
static world *world_of_alice(size_t *alice)
{
    world *w = world_new();
    *alice = world_join(w, "alice");
    snprintf(folder, sizeof folder, "%s/in", w->person[*alice].dir);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    json_decref(must(w, *alice, "settings", json_pack("{ss}", "downloads", folder)));
    return w;
}

static void fake_make(fake *f, uint8_t filling)
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

static void offer(world *w, size_t from, const fake *f, const char *name)
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
static void say_seal(world *w, size_t from, const fake *f, uint8_t id[16])
{
    content k = { .kind = CONTENT_FILE_SEAL, .time_ms = w->person[from].env.wall_ms };
    k.seal = (struct seal_content){ { f->blob, 16 }, { f->root, 32 }, 1, PLAIN_BYTES };
    world_say(w, from, "alice", &k, VAULT_OUT_MESSAGE);
    memcpy(id, k.id, 16);
}

static void say_cancel(world *w, size_t from, const fake *f)
{
    content k = { .kind = CONTENT_FILE_CANCEL, .time_ms = w->person[from].env.wall_ms };
    k.cancel.blob = (view){ f->blob, 16 };
    world_say(w, from, "alice", &k, VAULT_OUT_MESSAGE);
}

/* The relay has it: its chunk, or nothing of it so far. */
static void at_relay(world *w, const fake *f, bool chunk)
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
static void until(world *w, size_t who, reached *is_so, const void *what)
{
    for (unsigned i = 0; !is_so(w, who, what); i++) {
        struct pollfd fd = { .fd = files_fd(w->person[who].e), .events = POLLIN };
        ck_assert_msg(i < TRIES, "it never comes to that");
        (void)poll(&fd, 1, 10);
        engine_tick(w->person[who].e);
        world_run(w);
    }
}

static vault_file of_blob(world *w, size_t who, const char *contact, bool outgoing, const uint8_t blob[16])
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

static file_run *run_of(world *w, size_t who, const char *contact, const fake *f)
{
    return file_run_find(w->person[who].e, of_blob(w, who, contact, false, f->blob).row);
}

static size_t entries(bool parts)
{
    DIR *d = opendir(folder);
    size_t n = 0;
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        size_t length = strlen(e->d_name);
        bool part = length > 5 && strcmp(e->d_name + length - 5, ".part") == 0;
        n += parts ? part : !part && e->d_name[0] != '.';
    }
    closedir(d);
    return n;
}

static bool parts_are(world *w, size_t who, const void *what)
{
    (void)w;
    (void)who;
    return entries(true) == *(const size_t *)what;
}

static bool is_begun(world *w, size_t who, const void *what) { return of_blob(w, who, "bob", false, ((const fake *)what)->blob).stamp != 0; }

static bool nobody_works(world *w, size_t who, const void *what)
{
    const file_run *r = w->person[who].e->files->runs;
    (void)what;
    while (r && r->jobs == 0)
        r = r->next;
    return !r;
}

static bool was_watched(world *w, size_t who, const void *what)
{
    (void)who;
    for (size_t i = 0; i < w->watches; i++)
        if (memcmp(w->watched[i], ((const fake *)what)->capability, 32) == 0)
            return true;
    return false;
}

static bool is_stored(world *w, size_t who, const void *what) { return of_blob(w, who, "bob", true, what).state == VAULT_FILE_STORED; }

static bool bobs_is_complete(world *w, size_t who, const void *what)
{
    return of_blob(w, who, "bob", false, ((const fake *)what)->blob).state == VAULT_FILE_COMPLETE;
}

static void holds(const char *name, uint8_t filling)
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

/* --- the attacks ---------------------------------------------------------------------------------------------------------------------------- */
/* F14: alice sends one blob to bob and mallory. Mallory offers it back to her, seals it, and says that the seal has come: a receipt for what she sealed
 * herself ends nothing, and above all not alice's blob, which bob has not fetched. */
START_TEST(F14_a_receipt_for_ones_own_seal)
{
    size_t a;
    world *w = world_of_alice(&a);
    size_t m = person(w, "mallory", a);
    (void)person(w, "bob", a);
    uint8_t dropped[16], seal_id[16];
    fake f;
    json_t *stage = must(w, a, "stage", json_pack("{ss}", "content", "aGVsbG8="));
    json_decref(
        must(w, a, "send_file", json_pack("{s[ss] sO ss}", "to", "bob", "mallory", "stage", json_object_get(stage, "stage"), "name", "for-two")));
    json_decref(stage);
    int64_t row = 0;
    size_t count = 0;
    vault *v = w->person[a].e->vault;
    if (vault_file_rows(v, VAULT_FILE_STORED, 0, &row, 1, &count) != TACET_OK || count == 0)
        ck_assert_int_eq(vault_file_rows(v, VAULT_FILE_RUNNING, 0, &row, 1, &count), TACET_OK);
    vault_file mine;
    ck_assert_int_eq(vault_file_get(v, row, &mine), TACET_OK);
    until(w, a, is_stored, mine.blob);
    fake_make(&f, 'm');
    memcpy(f.blob, mine.blob, 16);
    offer(w, m, &f, "for-two");
    say_seal(w, m, &f, seal_id);
    content k = { .kind = CONTENT_RECEIPT, .time_ms = w->person[m].env.wall_ms };
    k.receipt.ids.count = 1;
    k.receipt.ids.item[0] = (view){ seal_id, 16 };
    k.receipt.state = RECEIPT_DELIVERED;
    world_say(w, m, "alice", &k, VAULT_OUT_PASSING);
    world_advance(w, 5000);
    ck_assert_uint_eq(of_blob(w, a, "mallory", false, f.blob).chunks, 1); /* it did come */
    ck_assert_uint_ne(of_blob(w, a, "mallory", false, f.blob).state, VAULT_FILE_COMPLETE);
    ck_assert_uint_eq(of_blob(w, a, "bob", true, f.blob).state, VAULT_FILE_STORED);
    ck_assert_int_eq(vault_drop_first(v, dropped), TACET_E_NOT_FOUND);
    ck_assert_uint_eq(w->drops, 0);
    world_free(w);
}
END_TEST

/* F16: mallory offers the same blob under the same name as bob, and withdraws it: bob's file is begun, finished and named all the same. */
START_TEST(F16_the_same_blob_and_name_of_another)
{
    static const size_t one = 1, two = 2;
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a), m = person(w, "mallory", a);
    fake f, g;
    uint8_t id[16];
    fake_make(&f, 'b');
    fake_make(&g, 'm');
    memcpy(g.blob, f.blob, 16);
    offer(w, b, &f, "report");
    until(w, a, parts_are, &one);
    offer(w, m, &g, "report");
    until(w, a, parts_are, &two);
    say_cancel(w, m, &g);
    until(w, a, parts_are, &one);
    at_relay(w, &f, true);
    say_seal(w, b, &f, id);
    world_advance(w, 5000);
    until(w, a, bobs_is_complete, &f);
    holds("report", 'b');
    ck_assert_uint_eq(entries(true), 0);
    ck_assert_uint_eq(entries(false), 1);
    world_free(w);
}
END_TEST

/* Whatever ends a download takes its unfinished file along: the plaintext of nothing that is wanted. */
START_TEST(F16_what_is_over_leaves_nothing)
{
    static const size_t none = 0;
    static const char *const how[] = { "cancel", "remove", "block", "restart" };
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a);
    fake f;
    fake_make(&f, 'b');
    offer(w, b, &f, "report");
    until(w, a, is_begun, &f);
    if (strcmp(how[_i], "cancel") == 0) {
        say_cancel(w, b, &f);
    } else if (strcmp(how[_i], "restart") == 0) { /* died between the commit and the removal */
        engine *e = w->person[a].e;
        ck_assert_int_eq(txn_begin(e), TACET_OK);
        ck_assert_int_eq(file_stop(e, of_blob(w, a, "bob", false, f.blob).row, TROUBLE_WITHDRAWN), TACET_OK);
        ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
        ck_assert_uint_eq(entries(true), 1);
        world_close(w, a);
        world_open(w, a);
    } else {
        json_decref(must(w, a, how[_i], json_pack("{ss}", "name", "bob")));
    }
    until(w, a, parts_are, &none);
    world_free(w);
}
END_TEST

/* The end of a download that could not be written down is none: the file is there, and it goes on. */
START_TEST(F08_an_end_that_is_not_committed)
{
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a);
    engine *e = w->person[a].e;
    uint8_t id[16];
    fake f;
    fake_make(&f, 'b');
    offer(w, b, &f, "report");
    until(w, a, is_begun, &f);
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(file_stop(e, of_blob(w, a, "bob", false, f.blob).row, TROUBLE_WITHDRAWN), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_E_FULL), TACET_E_FULL);
    engine_tick(e);
    world_run(w);
    ck_assert_uint_eq(entries(true), 1);
    at_relay(w, &f, true);
    say_seal(w, b, &f, id);
    world_advance(w, 5000);
    until(w, a, bobs_is_complete, &f);
    holds("report", 'b');
    world_free(w);
}
END_TEST

static bool is_whole(world *w, size_t who, const void *what)
{
    const file_run *r = run_of(w, who, "bob", what);
    return r && download_whole(&r->down) && r->jobs == 0;
}

/* F08: the vault's disk is full just when a file has got its name. It is found under that name, and the sender hears of it. */
START_TEST(F08_a_last_commit_that_fails)
{
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a);
    engine *e = w->person[a].e;
    uint8_t id[16];
    char from[400], to[200];
    fake f;
    fake_make(&f, 'b');
    at_relay(w, &f, true);
    offer(w, b, &f, "report");
    until(w, a, is_whole, &f);
    file_run *r = run_of(w, a, "bob", &f);
    DIR *d = opendir(folder);
    for (const struct dirent *o = readdir(d); o; o = readdir(d))
        if (strstr(o->d_name, ".part"))
            snprintf(from, sizeof from, "%s/%s", folder, o->d_name);
    closedir(d);
    snprintf(to, sizeof to, "%s/report", folder);
    ck_assert_int_eq(rename(from, to), 0); /* it has its name */
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(file_done(e, r, to), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_E_FULL), TACET_E_FULL);
    ck_assert_uint_eq(r->f.state, VAULT_FILE_RUNNING);
    ck_assert_str_eq(r->f.path, folder);
    file_trouble(e, r, TROUBLE_DISK_FULL);
    ck_assert_uint_eq(of_blob(w, a, "bob", false, f.blob).state, VAULT_FILE_RUNNING);
    say_seal(w, b, &f, id);
    world_advance(w, 120000);
    until(w, a, bobs_is_complete, &f);
    ck_assert_str_eq(of_blob(w, a, "bob", false, f.blob).path, to);
    ck_assert_uint_eq(entries(false), 1);
    world_free(w);
}
END_TEST

static bool waits_for_its_relay(world *w, size_t who, const void *what)
{
    const file_run *r = run_of(w, who, "bob", what);
    return r->slot < ENGINE_SLOTS_MAX && w->person[who].e->slots[r->slot].failed;
}

/* The relay of a download that waits to be connected to again gives its slot away: the capability of its blob goes to no other relay. */
START_TEST(F14_capability_goes_to_no_other_relay)
{
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a);
    engine *e = w->person[a].e;
    fake f;
    fake_make(&f, 'b');
    offer(w, b, &f, "report");
    until(w, a, was_watched, &f);
    file_run *r = run_of(w, a, "bob", &f);
    ck_assert_uint_lt(r->slot, ENGINE_SLOTS_MAX);
    w->down = true;
    slot_close(e, r->slot);
    r->watch_at_ms = 0;
    until(w, a, waits_for_its_relay, &f);
    for (unsigned i = 0; i < 2 * ENGINE_SLOTS_MAX; i++) {
        relay_address other = e->slots[e->mailbox].relay;
        other.port = (uint16_t)(1000 + i);
        size_t slot = slot_for(e, &other, TACET_ROLE_OPEN);
        ck_assert_uint_ne(slot, r->slot);
        if (slot < ENGINE_SLOTS_MAX)
            e->slots[slot].touched_ms += 1000000; /* younger than any other */
        ck_assert(r->slot == ENGINE_SLOTS_MAX || strcmp(e->slots[r->slot].text, r->relay) == 0);
    }
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++) /* all others are busy: it is taken, and the download knows */
        if (i != r->slot && !e->slots[i].link)
            e->slots[i].link = UINT64_MAX;
    relay_address other = e->slots[e->mailbox].relay;
    other.port = 9;
    ck_assert_uint_lt(slot_for(e, &other, TACET_ROLE_OPEN), ENGINE_SLOTS_MAX);
    ck_assert_uint_eq(r->slot, ENGINE_SLOTS_MAX);
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++)
        if (e->slots[i].link == UINT64_MAX)
            e->slots[i].link = 0;
    world_free(w);
}
END_TEST

static size_t runs(const engine *e)
{
    size_t n = 0;
    for (const file_run *r = e->files->runs; r; r = r->next)
        n += !r->ended;
    return n;
}

/* F15: four that the relay has nothing of, and four of which no chunk comes, hold nobody up. */
START_TEST(F15_what_stands_still_makes_way)
{
    enum { STALLED = 4 };
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a), m = person(w, "mallory", a);
    uint8_t id[16];
    fake still[STALLED], f;
    for (size_t i = 0; i < STALLED; i++) {
        fake_make(&still[i], 'm');
        if (_i)
            at_relay(w, &still[i], false);
        offer(w, m, &still[i], "still");
        until(w, a, was_watched, &still[i]);
    }
    fake_make(&f, 'b');
    at_relay(w, &f, true);
    offer(w, b, &f, "report");
    say_seal(w, b, &f, id);
    world_advance(w, FILES_STALL_MS + 1000);
    until(w, a, bobs_is_complete, &f);
    holds("report", 'b');
    world_free(w);
}
END_TEST

/* F15: nor do they one another; whatever one contact has offered, all of it is asked for in time. */
START_TEST(F15_each_gets_its_turn)
{
    enum { STALLED = 8 };
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a);
    fake still[STALLED];
    for (size_t i = 0; i < STALLED; i++) {
        fake_make(&still[i], 'b');
        at_relay(w, &still[i], false);
        offer(w, b, &still[i], "still");
    }
    for (size_t i = 0; i < STALLED; i++)
        for (unsigned k = 0; !was_watched(w, a, &still[i]); k++) {
            ck_assert_uint_lt(k, 20);
            until(w, a, nobody_works, NULL);
            world_advance(w, FILES_STALL_MS);
        }
    size_t placed = 0;
    for (const file_run *r = w->person[a].e->files->runs; r; r = r->next)
        placed += r->target != NULL;
    ck_assert_uint_le(placed, FILES_ACTIVE_MAX);
    world_free(w);
}
END_TEST

/* F15: more files than fit on one page of the vault are all begun; of more than may run, each contact gets its share, and after a restart as well. */
START_TEST(F15_many_files)
{
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a), m = person(w, "mallory", a);
    uint8_t id[16];
    fake f;
    for (size_t i = 0; i < 70; i++) {
        fake_make(&f, 'm');
        offer(w, m, &f, "many");
    }
    world_close(w, a);
    world_open(w, a);
    json_decref(must(w, a, "receive", NULL));
    ck_assert_uint_eq(runs(w->person[a].e), 70);
    for (size_t i = 70; i < FILES_RUNS_MAX + 10; i++) {
        fake_make(&f, 'm');
        offer(w, m, &f, "many");
    }
    ck_assert_uint_eq(runs(w->person[a].e), FILES_RUNS_MAX);
    fake_make(&f, 'b');
    at_relay(w, &f, true);
    offer(w, b, &f, "report");
    say_seal(w, b, &f, id);
    ck_assert_uint_le(runs(w->person[a].e), FILES_RUNS_MAX);
    until(w, a, bobs_is_complete, &f);
    holds("report", 'b');
    until(w, a, nobody_works, NULL);
    ck_assert_uint_eq(runs(w->person[a].e), FILES_RUNS_MAX);
    world_free(w);
}
END_TEST

/* Our relay was restored: everything that lay there is put again, not a page of it. */
START_TEST(F15_all_is_put_again)
{
    enum { MANY = 70 };
    size_t a;
    world *w = world_of_alice(&a);
    engine *e = w->person[a].e;
    for (size_t i = 0; i < MANY; i++) {
        vault_file f = { .outgoing = true, .state = VAULT_FILE_STORED, .source = VAULT_SOURCE_CONTENT, .form = FILE_FORM_FILE, .chunks = 1 };
        ck_assert_int_eq(txn_begin(e), TACET_OK);
        ck_assert_int_eq(vault_file_add(e->vault, &f), TACET_OK);
        ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    }
    int64_t rows[MANY];
    size_t count = 0;
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(files_again(e), TACET_OK);
    ck_assert_int_eq(vault_file_rows(e->vault, VAULT_FILE_RUNNING, 0, rows, MANY, &count), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_E_FULL), TACET_E_FULL);
    ck_assert_uint_eq(count, MANY);
    world_free(w);
}
END_TEST

/* No network at all, and that is said at once: nothing is asked of a link that is not there. */
START_TEST(F15_links_that_fail_at_once)
{
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a);
    fake f;
    fake_make(&f, 'b');
    offer(w, b, &f, "report");
    until(w, a, was_watched, &f);
    file_run *r = run_of(w, a, "bob", &f);
    w->cannot_open = true;
    slot_close(w->person[a].e, r->slot);
    world_advance(w, 5000);
    ck_assert_int_eq(r->down.state, DOWNLOAD_OFFLINE);
    w->cannot_open = false;
    at_relay(w, &f, true);
    uint8_t id[16];
    say_seal(w, b, &f, id);
    world_advance(w, 60000);
    until(w, a, bobs_is_complete, &f);
    world_free(w);
}
END_TEST

SUITE("files", TEST(F14_a_receipt_for_ones_own_seal), TEST(F14_capability_goes_to_no_other_relay), TEST(F16_the_same_blob_and_name_of_another),
      LOOP(F16_what_is_over_leaves_nothing, 4), TEST(F08_an_end_that_is_not_committed), TEST(F08_a_last_commit_that_fails),
      LOOP(F15_what_stands_still_makes_way, 2), TEST(F15_each_gets_its_turn), TEST(F15_many_files), TEST(F15_all_is_put_again),
      TEST(F15_links_that_fail_at_once))
