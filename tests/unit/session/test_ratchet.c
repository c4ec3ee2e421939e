/* The ratchet as two people use it, and what it refuses. */
#include "pair.h"
#include "state.h"
#include <time.h>

static uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
static size_t n;

START_TEST(a_conversation_goes_both_ways)
{
    pair p;
    pair_new(&p, 1);
    pair_first(&p, true);
    for (int i = 0; i < 200; i++) {
        char text[32];
        snprintf(text, sizeof text, "message %d", i);
        if (i % 5 < 2)
            pair_say(&p, p.a, p.b, text);
        else
            pair_say(&p, p.b, p.a, text);
    }
    session_info a, b;
    session_describe(p.a, &a);
    session_describe(p.b, &b);
    ck_assert_mem_eq(a.id, b.id, sizeof a.id);
    ck_assert(a.answered && b.answered && a.initiator && !b.initiator);
    ck_assert_uint_eq(a.sealed, b.opened);
    ck_assert_uint_eq(b.sealed, a.opened);
    ck_assert_uint_ge(a.epoch, 2);
    ck_assert(pair_same_party(&a.me, &b.them) && pair_same_party(&a.them, &b.me));
    pair_free(&p);
}
END_TEST

START_TEST(R10_jump_of_2000_and_2001)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 10);
    bool beyond = _i == 1;
    for (int i = 0; i < TACET_RATCHET_JUMP_MAX + beyond; i++)
        pair_seal(&p, p.a, "lost", 4, &e);
    pair_seal(&p, p.a, "found", 5, &e);
    if (beyond) {
        OPENS(&p, p.b, &e, TACET_E_GAP);
    } else {
        struct timespec from, to;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
        ck_assert_int_eq(pair_open(&p, p.b, &e, plain, &n), TACET_OK);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
        long us = (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000;
        ck_assert_mem_eq(plain, "found", 5);
        ck_assert_uint_eq(p.b->skipped.count, TACET_RATCHET_SKIPPED_MAX);
        if (!getenv("TACET_UNDER_VALGRIND")) /* 4 ms alone on the machine; the limit of 10 ms is the benchmark's to judge */
            ck_assert_msg(us < 100000, "took %ld us", us);
    }
    pair_free(&p);
}
END_TEST

START_TEST(R10_the_chain_before_may_lack_2000_and_not_more)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 11);
    pair_say(&p, p.a, p.b, "chain starts");
    for (int i = 0; i < TACET_RATCHET_JUMP_MAX + _i; i++)
        pair_seal(&p, p.a, "lost", 4, &e);
    pair_say(&p, p.b, p.a, "turn");
    for (int i = 0; i < 5; i++)
        pair_seal(&p, p.a, "lost too", 8, &e);
    pair_seal(&p, p.a, "new chain", 9, &e);
    OPENS(&p, p.b, &e, _i ? TACET_E_GAP : TACET_OK);
    if (!_i)
        ck_assert_uint_eq(p.b->skipped.count, TACET_RATCHET_SKIPPED_MAX);
    pair_free(&p);
}
END_TEST

START_TEST(R11_2001st_skipped_key_pushes_out_the_oldest)
{
    pair p;
    static envelope_bytes e[TACET_RATCHET_SKIPPED_MAX + 4];
    pair_ready(&p, 12);
    for (int i = 0; i < TACET_RATCHET_SKIPPED_MAX + 4; i++)
        pair_seal(&p, p.a, &i, sizeof i, &e[i]);
    OPENS(&p, p.b, &e[2000], TACET_OK); /* 0 .. 1999 are skipped */
    OPENS(&p, p.b, &e[2002], TACET_OK); /* and 2001: the oldest gives way */
    OPENS(&p, p.b, &e[0], TACET_E_REPLAY);
    OPENS(&p, p.b, &e[1], TACET_OK);
    OPENS(&p, p.b, &e[2001], TACET_OK);
    OPENS(&p, p.b, &e[1999], TACET_OK);
    OPENS(&p, p.b, &e[1999], TACET_E_REPLAY);
    pair_free(&p);
}
END_TEST

START_TEST(R11_month_old_key_is_gone)
{
    pair p;
    envelope_bytes late, later, e;
    pair_ready(&p, 13);
    pair_seal(&p, p.a, "late", 4, &late);
    pair_seal(&p, p.a, "later", 5, &later);
    pair_say(&p, p.a, p.b, "now");
    ck_assert_uint_eq(p.b->skipped.count, 2);
    env_seeded_advance(&p.clock, 30 * DAY_MS);
    session_expire(p.b, p.env);
    OPENS(&p, p.b, &late, TACET_OK); /* 30 days are not yet more than 30 days */
    env_seeded_advance(&p.clock, 1);
    OPENS(&p, p.b, &later, TACET_E_REPLAY);
    session_expire(p.b, p.env);
    ck_assert_uint_eq(p.b->skipped.count, 0);
    ck_assert_ptr_null(p.b->skipped.key);
    pair_seal(&p, p.a, "goes on", 7, &e);
    OPENS(&p, p.b, &e, TACET_OK);
    pair_free(&p);
}
END_TEST

START_TEST(five_former_chains_and_the_sixth_takes_the_oldest_ones_place)
{
    pair p;
    envelope_bytes missing[8];
    pair_ready(&p, 14);
    for (int i = 0; i < 7; i++) { /* each of Alice's chains loses its first message */
        pair_seal(&p, p.a, &i, sizeof i, &missing[i]);
        pair_say(&p, p.a, p.b, "there");
        pair_say(&p, p.b, p.a, "back");
    }
    /* the 7th is the current chain, 2..6 are former ones, the 1st was dropped with its key */
    ck_assert_uint_eq(p.b->skipped.count, 6);
    OPENS(&p, p.b, &missing[0], TACET_E_FORGED);
    for (int i = 1; i < 7; i++) {
        unsigned trials = TACET_HEADER_TRIALS_MAX;
        ck_assert_int_eq(session_open(p.b, p.env, CONTENT_PAIRWISE, &trials, missing[i].bytes, missing[i].n, plain, &n), TACET_OK);
        ck_assert_uint_eq(n, sizeof i);
        ck_assert_mem_eq(plain, &i, sizeof i);
        /* HKr, NHKr, then the former chains, newest first; those that are empty are gone */
        ck_assert_uint_eq(TACET_HEADER_TRIALS_MAX - trials, i == 6 ? 1 : 7 - (i - 1));
    }
    ck_assert_uint_eq(p.b->core.r.former[0].chain, 0);
    OPENS(&p, p.b, &missing[3], TACET_E_FORGED);
    OPENS(&p, p.b, &missing[6], TACET_E_REPLAY);
    pair_free(&p);
}
END_TEST

/* A wire that loses, repeats and reorders: `window` messages are under way at once. */
typedef struct {
    envelope_bytes *e;
    bool *opened;
    uint32_t id[64];
    bool from_a[64];
    uint32_t count;
} wire;

typedef struct {
    uint32_t delivered, lost, refused;
} tally;

static void deliver(pair *p, wire *w, uint32_t slot, tally *t, bool keep)
{
    uint32_t id = w->id[slot], got = 0;
    int rc = pair_open(p, w->from_a[slot] ? p->b : p->a, &w->e[id], plain, &n);
    if (rc == TACET_OK) {
        memcpy(&got, plain, sizeof got);
        ck_assert_uint_eq(n, sizeof got);
        ck_assert_uint_eq(got, id);
        ck_assert_msg(!w->opened[id], "message %u opened twice", id);
        w->opened[id] = true;
        t->delivered++;
    } else {
        ck_assert_msg(rc == TACET_E_REPLAY || rc == TACET_E_FORGED, "message %u: %s", id, tacet_status_word(rc));
        if (!w->opened[id])
            t->refused++;
    }
    if (!keep) {
        w->count--;
        w->id[slot] = w->id[w->count];
        w->from_a[slot] = w->from_a[w->count];
    }
}

static uint32_t dice(const env_seeded *e, uint32_t sides)
{
    uint32_t v = 0;
    env_random(&e->env, (uint8_t *)&v, sizeof v);
    return v % sides;
}

static void run_wire(uint64_t seed, uint32_t window, uint32_t talk_run, tally *t, uint32_t *epoch)
{
    enum { MESSAGES = 10000 };
    static envelope_bytes e[MESSAGES];
    static bool opened[MESSAGES];
    pair p;
    env_seeded chance;
    wire w = { .e = e, .opened = opened, .count = 0 };
    memset(opened, 0, sizeof opened);
    *t = (tally){ 0 };
    pair_ready(&p, seed);
    env_seeded_init(&chance, seed + 1000, 0);
    bool from_a = true;
    for (uint32_t id = 0; id < MESSAGES; id++) {
        if (dice(&chance, talk_run) == 0)
            from_a = !from_a;
        pair_seal(&p, from_a ? p.a : p.b, &id, sizeof id, &e[id]);
        if (dice(&chance, 20) == 0) {
            t->lost++;
        } else {
            w.id[w.count] = id;
            w.from_a[w.count++] = from_a;
        }
        while (w.count == window)
            deliver(&p, &w, dice(&chance, window), t, dice(&chance, 10) == 0);
    }
    while (w.count)
        deliver(&p, &w, dice(&chance, w.count), t, dice(&chance, 10) == 0);
    pair_say(&p, p.a, p.b, "still there");
    pair_say(&p, p.b, p.a, "yes");
    session_info info;
    session_describe(p.a, &info);
    *epoch = info.epoch;
    pair_free(&p);
}

static const struct {
    uint32_t window, talk_run, refused_max, epoch_min;
} weather[] = {
    { 1, 1, 0, 100 },    /* in order, with loss and repeats */
    { 8, 4, 0, 100 },    /* some disorder */
    { 32, 200, 0, 10 },  /* long monologues, much disorder */
    { 32, 2, 400, 100 }, /* so many turns at once that chains are dropped: reported, never shown twice */
};

START_TEST(R12_10000_messages_permuted_lost_and_repeated)
{
    for (uint64_t seed = 1; seed <= 2; seed++) {
        tally t;
        uint32_t epoch = 0;
        run_wire(seed, weather[_i].window, weather[_i].talk_run, &t, &epoch);
        ck_assert_msg(t.refused <= weather[_i].refused_max, "seed %d: %u refused", (int)seed, t.refused);
        ck_assert_msg(t.delivered >= 10000 - t.lost - weather[_i].refused_max, "seed %d: %u delivered, %u lost", (int)seed, t.delivered, t.lost);
        ck_assert_uint_ge(epoch, weather[_i].epoch_min);
    }
}
END_TEST

/* A thief's copy of somebody's session. */
static session *steal(pair *p, const session *s)
{
    uint8_t *bytes;
    size_t bytes_n = pair_export(s, &bytes);
    session *copy = NULL;
    ck_assert_int_eq(session_import(&copy, p->arena, bytes, bytes_n), TACET_OK);
    free(bytes);
    return copy;
}

START_TEST(R14_thief_is_locked_out_after_a_round_trip)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 16);
    pair_say(&p, p.a, p.b, "before");
    session *thief = steal(&p, p.a);
    pair_seal(&p, p.b, "readable", 8, &e); /* what Bob sends at once, the thief reads like Alice */
    ck_assert_int_eq(pair_open(&p, thief, &e, plain, &n), TACET_OK);
    ck_assert_int_eq(pair_open(&p, p.a, &e, plain, &n), TACET_OK);
    pair_say(&p, p.a, p.b, "with a new key");
    pair_seal(&p, p.b, "healed", 6, &e);
    ck_assert_int_eq(pair_open(&p, thief, &e, plain, &n), TACET_E_FORGED);
    ck_assert_int_eq(pair_open(&p, p.a, &e, plain, &n), TACET_OK);
    session_free(thief);
    pair_free(&p);
}
END_TEST

START_TEST(R14_quantum_thief_is_locked_out_after_one_epoch)
{
    pair p;
    envelope_bytes e;
    session_info info;
    pair_ready(&p, 17);
    session *thief = steal(&p, p.a);
    for (info.epoch = 0; info.epoch < 1; session_describe(p.b, &info)) {
        pair_say(&p, p.a, p.b, "there");
        pair_say(&p, p.b, p.a, "back");
    }
    pair_seal(&p, p.b, "epoch one", 9, &e);
    /* all elliptic-curve secrets of this very moment, and the PQ key of the theft */
    thief->core.r = p.a->core.r;
    ck_assert_int_eq(pair_open(&p, thief, &e, plain, &n), TACET_E_FORGED);
    thief->core.pq.epoch = p.a->core.pq.epoch; /* nor does the old key open it under the new number */
    ck_assert_int_eq(pair_open(&p, thief, &e, plain, &n), TACET_E_FORGED);
    memcpy(thief->core.pq.current, p.a->core.pq.current, 32);
    ck_assert_int_eq(pair_open(&p, thief, &e, plain, &n), TACET_OK); /* the PQ key was all that he lacked */
    ck_assert_int_eq(pair_open(&p, p.a, &e, plain, &n), TACET_OK);
    session_free(thief);
    pair_free(&p);
}
END_TEST

START_TEST(R15_stolen_state_does_not_open_what_was_opened)
{
    pair p;
    envelope_bytes e, skipped;
    pair_ready(&p, 18);
    pair_seal(&p, p.a, "late", 4, &skipped);
    pair_seal(&p, p.a, "secret", 6, &e);
    OPENS(&p, p.b, &e, TACET_OK);
    OPENS(&p, p.b, &skipped, TACET_OK);
    session *thief = steal(&p, p.b);
    ck_assert_int_eq(pair_open(&p, thief, &e, plain, &n), TACET_E_REPLAY);
    ck_assert_int_eq(pair_open(&p, thief, &skipped, plain, &n), TACET_E_REPLAY);
    session_free(thief);
    thief = steal(&p, p.a); /* nor does the sender's state */
    ck_assert_int_eq(pair_open(&p, thief, &e, plain, &n), TACET_E_FORGED);
    session_free(thief);
    pair_free(&p);
}
END_TEST

START_TEST(R16_restored_snapshot_never_meets_a_key_stream_twice)
{
    pair p;
    envelope_bytes one, two;
    enum { BODY = 2 + TACET_SEALED_HEADER_BYTES + COMMITTED_HEAD_BYTES };
    uint8_t text_one[200], text_two[200];
    memset(text_one, '1', sizeof text_one);
    memset(text_two, '2', sizeof text_two);
    pair_ready(&p, 19);
    session *restored = steal(&p, p.a);
    pair_seal(&p, p.a, text_one, sizeof text_one, &one);
    pair_seal(&p, restored, text_two, sizeof text_two, &two); /* the same N of the same chain */
    ck_assert_uint_eq(p.a->core.r.ns, restored->core.r.ns);
    ck_assert_uint_eq(one.n, two.n);
    size_t same = 0;
    for (size_t i = 0; i < sizeof text_one; i++) /* the XOR of two ciphertexts under one stream is the XOR of the texts */
        same += (one.bytes[BODY + 1 + i] ^ two.bytes[BODY + 1 + i]) == ('1' ^ '2');
    ck_assert_msg(same < 20, "%zu of 200 bytes", same);
    ck_assert_mem_ne(one.bytes + 2, two.bytes + 2, 24);
    ck_assert_int_eq(pair_open(&p, p.b, &one, plain, &n), TACET_OK);
    ck_assert_int_eq(pair_open(&p, p.b, &two, plain, &n), TACET_E_REPLAY); /* the fork is noticed */
    session_free(restored);
    pair_free(&p);
}
END_TEST

START_TEST(R19_garbage_costs_at_most_35_trials)
{
    enum { SESSIONS = 6, GARBAGE = 100000 };
    pair p[SESSIONS];
    for (int s = 0; s < SESSIONS; s++) { /* the worst case: five former chains each */
        pair_ready(&p[s], 200 + (uint64_t)s);
        for (int i = 0; i < 6; i++) {
            envelope_bytes lost;
            pair_seal(&p[s], p[s].a, "lost", 4, &lost);
            pair_say(&p[s], p[s].a, p[s].b, "there");
            pair_say(&p[s], p[s].b, p[s].a, "back");
        }
    }
    uint8_t junk[2 + TACET_RATCHET_OVERHEAD_BYTES + 256] = { 1, 2 };
    for (uint32_t i = 0; i < (getenv("TACET_UNDER_VALGRIND") ? 100 : GARBAGE); i++) {
        unsigned trials = TACET_HEADER_TRIALS_MAX;
        memcpy(junk + 2, &i, sizeof i);
        for (int s = 0; s < SESSIONS; s++) {
            unsigned before = trials;
            ck_assert_int_eq(session_open(p[s].b, p[s].env, CONTENT_PAIRWISE, &trials, junk, sizeof junk, plain, &n), TACET_E_FORGED);
            ck_assert_uint_eq(before - trials, s < 5 ? 7 : 0);
        }
    }
    /* a budget that is used up stops a good envelope too */
    envelope_bytes e;
    unsigned none = 0;
    pair_seal(&p[0], p[0].a, "good", 4, &e);
    ck_assert_int_eq(session_open(p[0].b, p[0].env, CONTENT_PAIRWISE, &none, e.bytes, e.n, plain, &n), TACET_E_FORGED);
    for (int s = 0; s < SESSIONS; s++)
        pair_free(&p[s]);
}
END_TEST

START_TEST(full_arena_changes_nothing)
{
    pair p;
    envelope_bytes lost, e;
    pair_ready(&p, 28);
    for (int i = 0; i < 100; i++)
        pair_seal(&p, p.a, "lost", 4, &lost);
    pair_seal(&p, p.a, "x", 1, &e);
    void *block[4096];
    size_t count = 0;
    for (size_t size = 1 << 19; size >= 16; size /= 2)
        while (count < ROWS(block) && (block[count] = secret_alloc(p.arena, size)) != NULL)
            count++;
    OPENS(&p, p.b, &e, TACET_E_NOMEM);
    while (count)
        secret_free(p.arena, block[--count]);
    OPENS(&p, p.b, &e, TACET_OK);
    OPENS(&p, p.b, &lost, TACET_OK);
    pair_free(&p);
}
END_TEST

START_TEST(clock_may_go_back)
{
    pair p;
    envelope_bytes late;
    pair_ready(&p, 29);
    pair_seal(&p, p.a, "late", 4, &late);
    pair_say(&p, p.a, p.b, "x");
    p.clock.wall_ms -= 400 * DAY_MS;
    session_expire(p.b, p.env);
    pair_say(&p, p.b, p.a, "y");
    OPENS(&p, p.b, &late, TACET_OK);
    pair_free(&p);
}
END_TEST

SUITE("ratchet", TEST(a_conversation_goes_both_ways), LOOP(R10_jump_of_2000_and_2001, 2), LOOP(R10_the_chain_before_may_lack_2000_and_not_more, 2),
      TEST(R11_2001st_skipped_key_pushes_out_the_oldest), TEST(R11_month_old_key_is_gone),
      TEST(five_former_chains_and_the_sixth_takes_the_oldest_ones_place), LOOP(R12_10000_messages_permuted_lost_and_repeated, ROWS(weather)),
      TEST(R14_thief_is_locked_out_after_a_round_trip), TEST(R14_quantum_thief_is_locked_out_after_one_epoch),
      TEST(R15_stolen_state_does_not_open_what_was_opened), TEST(R16_restored_snapshot_never_meets_a_key_stream_twice),
      TEST(R19_garbage_costs_at_most_35_trials), TEST(full_arena_changes_nothing), TEST(clock_may_go_back))
