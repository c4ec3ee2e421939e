/* A sender and a receiver of one file in one process, over a relay that keeps to PROTOCOL.md §8.3 except that it loses links, reorders, repeats and
 * damages chunks; both ends crash wherever the seed says, and come back with what they had written down. Whatever happens: the file that counts as
 * complete is the one that was sent, no chunk leaves in two forms, and nothing is asked for without end. */
#include "session/file_cipher.h"
#include "suite.h"
#include "transfer/download.h"
#include "transfer/journal.h"
#include "transfer/plan.h"
#include "transfer/upload.h"
#include <string.h>

enum { CHUNKS_MAX = 40, WINDOW = 8, QUEUE = 64 };

typedef struct {
    uint64_t seed;
    uint32_t chunks;
    uint64_t size;
    file_keys keys;
    secret_arena *arena;
    file_cipher *cipher;
    uint8_t *source, *disk;
    /* the relay */
    bool created;
    bits safe, acknowledged;
    uint8_t (*store)[TACET_CHUNK_BYTES];
    uint32_t pushed, puts;
    bool up_link, down_link;
    /* the sender, and what it wrote down */
    upload up;
    journal_block sent;
    bool left[CHUNKS_MAX];
    uint8_t left_leaf[CHUNKS_MAX][32];
    /* the receiver, and what it wrote down */
    download down;
    bits journal;
    uint8_t leaf[CHUNKS_MAX][32];
    uint32_t volatile_at[WINDOW * 4]; /* written, not yet durable */
    uint32_t volatile_count;
    uint32_t agains;
} pair;

static uint32_t draw(pair *p, uint32_t below)
{
    p->seed = p->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(p->seed >> 33) % below;
}

static void pair_new(pair *p, uint64_t seed)
{
    *p = (pair){ .seed = seed * 2654435761u + 1, .sent = { .nonces = true } };
    p->size = draw(p, (CHUNKS_MAX - 4) * TACET_CHUNK_PLAIN_BYTES);
    ck_assert_int_eq(plan_chunks(p->size, &p->chunks), TACET_OK);
    ck_assert_uint_le(p->chunks, CHUNKS_MAX);
    p->keys = (file_keys){ .blob = "blob", .key = "key", .salt = "salt", .chunks = p->chunks };
    file_commitment(p->keys.commitment, p->keys.key, p->keys.salt);
    ck_assert_int_eq(secret_arena_new(&p->arena, 8192), TACET_OK);
    ck_assert_int_eq(file_cipher_new(&p->cipher, p->arena, &p->keys), TACET_OK);
    size_t room = (size_t)p->chunks * TACET_CHUNK_PLAIN_BYTES;
    p->source = calloc(1, room);
    p->disk = calloc(1, room);
    p->store = calloc(p->chunks, sizeof *p->store);
    for (uint64_t i = 0; i < p->size; i++)
        p->source[i] = (uint8_t)(i * 31 + i / 997 + seed);
    ck_assert_int_eq(bits_new(&p->safe, p->chunks), TACET_OK);
    ck_assert_int_eq(bits_new(&p->acknowledged, p->chunks), TACET_OK);
    ck_assert_int_eq(bits_new(&p->journal, p->chunks), TACET_OK);
    ck_assert_int_eq(upload_new(&p->up, p->chunks, WINDOW), TACET_OK);
    ck_assert_int_eq(download_new(&p->down, p->chunks), TACET_OK);
}

static void pair_free(pair *p)
{
    file_cipher_free(p->cipher, p->arena);
    secret_arena_free(p->arena);
    bits_free(&p->safe);
    bits_free(&p->acknowledged);
    bits_free(&p->journal);
    upload_free(&p->up);
    download_free(&p->down);
    free(p->source);
    free(p->disk);
    free(p->store);
}

/* --- crashes: only what was written down comes back --- */
static void sender_crashes(pair *p)
{
    upload_free(&p->up);
    ck_assert_int_eq(upload_new(&p->up, p->chunks, WINDOW), TACET_OK);
    p->up_link = false;
}

static void receiver_crashes(pair *p)
{
    for (uint32_t i = 0; i < p->volatile_count; i++) /* what was not durable is gone: rubbish in its place */
        if (!bits_get(&p->journal, p->volatile_at[i]))
            memset(p->disk + (size_t)p->volatile_at[i] * TACET_CHUNK_PLAIN_BYTES, 0xee, TACET_CHUNK_PLAIN_BYTES);
    p->volatile_count = 0;
    download_free(&p->down);
    ck_assert_int_eq(download_new(&p->down, p->chunks), TACET_OK);
    for (uint32_t i = 0; i < p->chunks; i++)
        if (bits_get(&p->journal, i))
            bits_put(&p->down.have, i);
    p->down_link = false;
}

/* --- the sender's side --- */
static void put(pair *p, uint32_t i)
{
    uint8_t *chunk = malloc(TACET_CHUNK_BYTES), nonce[24], leaf[32];
    memcpy(chunk + 24, p->source + (size_t)i * TACET_CHUNK_PLAIN_BYTES, TACET_CHUNK_PLAIN_BYTES);
    if (journal_has(&p->sent, i))
        memcpy(nonce, p->sent.nonce[i], 24);
    else
        for (int k = 0; k < 24; k++)
            nonce[k] = (uint8_t)draw(p, 256);
    chunk_seal(p->cipher, i, nonce, chunk);
    chunk_leaf(leaf, i, chunk, TACET_CHUNK_BYTES);
    if (journal_has(&p->sent, i))
        ck_assert_mem_eq(leaf, p->sent.leaf[i], 32);
    journal_note(&p->sent, i, nonce, leaf); /* before it leaves */
    if (draw(p, 40) == 0) {                 /* ... which it then does not */
        sender_crashes(p);
        free(chunk);
        return;
    }
    if (p->left[i])
        ck_assert_mem_eq(leaf, p->left_leaf[i], 32);
    p->left[i] = true;
    memcpy(p->left_leaf[i], leaf, 32);
    p->puts++;
    if (draw(p, 10) == 0) { /* quota: later */
        upload_again(&p->up, i);
    } else if (draw(p, 20) == 0) { /* lost on the way, with the link */
        upload_step(&p->up, UPLOAD_LINK_DOWN);
        p->up_link = false;
    } else {
        if (!bits_get(&p->safe, i))
            memcpy(p->store[i], chunk, TACET_CHUNK_BYTES);
        bits_put(&p->safe, i);
        if (draw(p, 20) == 0) { /* the answer is lost */
            upload_step(&p->up, UPLOAD_LINK_DOWN);
            p->up_link = false;
        } else {
            ck_assert(upload_safe(&p->up, i));
        }
    }
    free(chunk);
}

static void sender_turn(pair *p)
{
    uint8_t wire[64];
    uint32_t i;
    if (!p->up_link && draw(p, 3) == 0)
        p->up_link = upload_step(&p->up, UPLOAD_LINK_UP);
    if (p->up.state == UPLOAD_CREATE) {
        p->created = true;
        ck_assert(upload_step(&p->up, UPLOAD_CREATED));
    } else if (p->up.state == UPLOAD_STATUS) {
        size_t n = bits_to_wire(&p->safe, 0, wire, sizeof wire);
        ck_assert_int_eq(upload_status(&p->up, 0, wire, n), TACET_OK);
    } else if (p->up.state == UPLOAD_RUN && upload_next(&p->up, &i)) {
        put(p, i);
    }
    if (draw(p, 200) == 0)
        sender_crashes(p);
}

/* --- the receiver's side --- */
static void make_durable(pair *p)
{
    uint32_t n = p->volatile_count;
    p->volatile_count = 0;
    for (uint32_t k = 0; k < n; k++)
        bits_put(&p->journal, p->volatile_at[k]);
    if (draw(p, 20) == 0) { /* between the journal and `have` */
        receiver_crashes(p);
        return;
    }
    for (uint32_t k = 0; k < n; k++)
        if (download_durable(&p->down, p->volatile_at[k]))
            bits_put(&p->acknowledged, p->volatile_at[k]);
}

static void chunk_comes(pair *p, uint32_t i)
{
    uint8_t *chunk = malloc(TACET_CHUNK_BYTES);
    memcpy(chunk, p->store[i], TACET_CHUNK_BYTES);
    bool damaged = draw(p, 8) == 0;
    if (damaged)
        chunk[draw(p, TACET_CHUNK_BYTES)] ^= 1;
    uint32_t as = draw(p, 30) == 0 ? draw(p, p->chunks) : i; /* swapped: under another number */
    damaged = damaged || as != i;
    download_verdict v = download_chunk(&p->down, as);
    if (v == DOWNLOAD_TAKE) {
        ck_assert(!bits_get(&p->journal, as)); /* what is on the disk is never written again */
        uint8_t leaf[32];
        chunk_leaf(leaf, as, chunk, TACET_CHUNK_BYTES);
        int rc = chunk_open(p->cipher, as, chunk, TACET_CHUNK_BYTES);
        ck_assert_int_eq(rc, damaged ? TACET_E_FORGED : TACET_OK);
        if (rc == TACET_OK) {
            memcpy(p->disk + (size_t)as * TACET_CHUNK_PLAIN_BYTES, chunk + 24, TACET_CHUNK_PLAIN_BYTES);
            memcpy(p->leaf[as], leaf, 32);
            p->volatile_at[p->volatile_count++] = as;
        } else if (download_damaged(&p->down, as)) {
            p->agains++;
        } else {
            download_step(&p->down, DOWNLOAD_TROUBLE);
        }
    } else if (v == DOWNLOAD_KNOWN) {
        bits_put(&p->acknowledged, as);
    } else {
        ck_assert_int_ne(v, DOWNLOAD_WRONG);
    }
    free(chunk);
}

static void receiver_turn(pair *p)
{
    uint8_t wire[TACET_BLOB_BITS_MAX_BYTES];
    uint32_t first = 0;
    if (!p->down_link && draw(p, 3) == 0)
        p->down_link = download_step(&p->down, DOWNLOAD_LINK_UP);
    if (p->down.state == DOWNLOAD_PAUSED)
        ck_assert(download_step(&p->down, DOWNLOAD_RESUME));
    if (p->down.state == DOWNLOAD_TELL) {
        size_t n = download_tell(&p->down, &first, wire);
        if (n)
            ck_assert_int_eq(bits_from_wire(&p->acknowledged, first, wire, n), TACET_OK);
    } else if (p->down.state == DOWNLOAD_WATCH) {
        if (p->created)
            ck_assert(download_step(&p->down, DOWNLOAD_WATCHED));
    } else if (p->down.state == DOWNLOAD_RUN) {
        uint32_t i = draw(p, p->chunks); /* reordered at will */
        if (draw(p, 3))                  /* mostly in order */
            i = bits_next_zero(&p->acknowledged, 0);
        if (i < p->chunks && bits_get(&p->safe, i) && p->volatile_count < WINDOW && p->down.count < WINDOW)
            chunk_comes(p, i);
        if (p->volatile_count && draw(p, 4) == 0)
            make_durable(p);
    }
    if (draw(p, 60) == 0) {
        download_step(&p->down, DOWNLOAD_LINK_DOWN);
        p->down_link = false;
        p->volatile_count = 0; /* the round is over: what was under way comes again */
    }
    if (draw(p, 120) == 0)
        receiver_crashes(p);
}

static void root_of(const pair *p, uint8_t (*leaf)[32], uint8_t out[32])
{
    file_tree t = { 0 };
    for (uint32_t i = 0; i < p->chunks; i++)
        file_tree_add(&t, leaf[i]);
    file_tree_root(&t, out);
}

START_TEST(F01_F03_F13_pairs_under_fire)
{
    for (uint64_t seed = 0; seed < 25; seed++) {
        pair p;
        uint8_t sent[32], got[32];
        pair_new(&p, (uint64_t)_i * 25 + seed);
        unsigned turns = 0;
        while (p.up.state != UPLOAD_COMPLETE || !download_whole(&p.down)) {
            sender_turn(&p);
            receiver_turn(&p);
            ck_assert_msg(++turns < 100000, "seed %u: no end", (unsigned)(_i * 25 + (int)seed));
        }
        ck_assert_mem_eq(p.disk, p.source, (size_t)p.chunks * TACET_CHUNK_PLAIN_BYTES);
        root_of(&p, p.sent.leaf, sent);
        root_of(&p, p.leaf, got);
        ck_assert_mem_eq(sent, got, 32);
        pair_free(&p);
    }
}
END_TEST

/* Every state with every event: what the empty cells refuse. */
START_TEST(events_out_of_place_change_nothing)
{
    upload u;
    download d;
    ck_assert_int_eq(upload_new(&u, 3, 2), TACET_OK);
    ck_assert_int_eq(download_new(&d, 3), TACET_OK);
    ck_assert(!upload_step(&u, UPLOAD_CREATED) && !upload_step(&u, UPLOAD_KNOWN) && !upload_step(&u, UPLOAD_ALL_SAFE));
    ck_assert_int_eq(u.state, UPLOAD_OFFLINE);
    ck_assert(upload_step(&u, UPLOAD_END));
    for (int event = 0; event < UPLOAD_EVENTS; event++)
        ck_assert(!upload_step(&u, (upload_event)event));
    ck_assert(!download_step(&d, DOWNLOAD_WATCHED) && !download_step(&d, DOWNLOAD_TOLD));
    ck_assert_int_eq(download_chunk(&d, 0), DOWNLOAD_IGNORE);
    ck_assert(download_step(&d, DOWNLOAD_END));
    for (int event = 0; event < DOWNLOAD_EVENTS; event++)
        ck_assert(!download_step(&d, (download_event)event));
    upload_free(&u);
    download_free(&d);
}
END_TEST

START_TEST(F03_a_relay_that_only_gives_rubbish_is_left)
{
    download d;
    unsigned asked = 0;
    ck_assert_int_eq(download_new(&d, 3), TACET_OK);
    ck_assert(download_step(&d, DOWNLOAD_LINK_UP) && download_step(&d, DOWNLOAD_TOLD) && download_step(&d, DOWNLOAD_WATCHED));
    ck_assert_int_eq(download_chunk(&d, 3), DOWNLOAD_WRONG);
    do
        ck_assert_int_eq(download_chunk(&d, 1), DOWNLOAD_TAKE);
    while (download_damaged(&d, 1) && ++asked < 1000);
    ck_assert_uint_lt(asked, DOWNLOAD_DAMAGED_MAX);
    ck_assert_uint_eq(d.have.set, 0);
    download_free(&d);
}
END_TEST

START_TEST(only_the_window_is_under_way_and_a_status_in_parts_is_put_together)
{
    upload u;
    uint32_t at = 0, n = 0, chunks = 8 * TACET_BLOB_BITS_MAX_BYTES + 100;
    static uint8_t all[TACET_BLOB_BITS_MAX_BYTES];
    memset(all, 0xff, sizeof all);
    ck_assert_int_eq(upload_new(&u, chunks, 5), TACET_OK);
    ck_assert(upload_step(&u, UPLOAD_LINK_UP) && upload_step(&u, UPLOAD_CREATED));
    ck_assert_int_eq(upload_status(&u, 8, all, 1), TACET_E_MALFORMED);
    ck_assert_int_eq(upload_status(&u, 0, all, sizeof all), TACET_OK);
    ck_assert_int_eq(u.state, UPLOAD_STATUS);
    ck_assert_uint_eq(u.status_first, 65536);
    ck_assert_int_eq(upload_status(&u, 65536, all, 1), TACET_OK);
    ck_assert_int_eq(u.state, UPLOAD_RUN);
    while (upload_next(&u, &at))
        ck_assert_uint_eq(at, 65544 + n++);
    ck_assert_uint_eq(n, 5);
    ck_assert(!upload_safe(&u, 0));
    upload_again(&u, 65545);
    ck_assert(upload_next(&u, &at));
    ck_assert_uint_eq(at, 65545);
    upload_free(&u);
}
END_TEST

SUITE("pair", LOOP(F01_F03_F13_pairs_under_fire, 8), TEST(events_out_of_place_change_nothing), TEST(F03_a_relay_that_only_gives_rubbish_is_left),
      TEST(only_the_window_is_under_way_and_a_status_in_parts_is_put_together))
