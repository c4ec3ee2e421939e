/* Files that never come hold nobody up: which of them run, and which have a place. */
#include "file_scene.h"

static bool nobody_works(world *w, size_t who, const void *what)
{
    const file_run *r = w->person[who].e->files->runs;
    (void)what;
    while (r && r->jobs == 0)
        r = r->next;
    return !r;
}

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

SUITE("places", LOOP(F15_what_stands_still_makes_way, 2), TEST(F15_each_gets_its_turn), TEST(F15_many_files), TEST(F15_all_is_put_again),
      TEST(F15_links_that_fail_at_once))
