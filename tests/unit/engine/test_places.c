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
    for (unsigned k = 0; !bobs_is_complete(w, a, &f);
         k++) { /* a worker may open one of them after the clock has gone on: then it stands still from there */
        ck_assert_uint_lt(k, 20);
        until(w, a, nobody_works, NULL);
        world_advance(w, FILES_STALL_MS + 1000);
    }
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

static void relay_text_at(world *w, size_t a, size_t port, char text[TACET_RELAY_ADDRESS_MAX_BYTES + 1])
{
    relay_address at = w->person[a].e->me.relay;
    char room[TACET_LINK_MAX_CHARS + 1];
    at.port = (uint16_t)(WORLD_PORT + port);
    relay_address_format(room, &at);
    text_put(text, TACET_RELAY_ADDRESS_MAX_BYTES + 1, room);
}

static void bob_moves(world *w, size_t a, size_t port)
{
    vault_contact c;
    engine *e = w->person[a].e;
    ck_assert_int_eq(vault_contact_by_alias(e->vault, "bob", &c), TACET_OK);
    relay_text_at(w, a, port, c.relay);
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(txn_end(e, vault_contact_update(e->vault, &c)), TACET_OK);
}

/* Time passes; the engine is looked after whenever something came, as the real loop does it, and the workers come along. */
static void pass(world *w, size_t who, unsigned seconds)
{
    for (unsigned i = 0; i < 4 * seconds; i++) {
        engine_tick(w->person[who].e);
        world_run(w);
        until(w, who, nobody_works, NULL);
        world_advance(w, 250);
    }
}

/* F15: a contact offers files at more relays than there are slots, which answer (0) or are away (1): messages find a slot all the same, every relay is
 * tried, and none of them again and again. */
START_TEST(F15_relays_of_waiting_files_leave_room)
{
    enum { MANY = 40, BOBS = MANY };
    size_t a, needed = 0;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a), m = person(w, "mallory", a);
    engine *e = w->person[a].e;
    char room[100];
    fake f;
    for (size_t i = 0; i < MANY; i++) {
        fake_make(&f, 'm');
        offer(w, m, &f, "many");
        file_run *r = run_of(w, a, "mallory", &f);
        download_link_down(r);
        relay_text_at(w, a, i, r->relay);
    }
    w->away = _i ? MANY : 0;
    pass(w, a, 120);
    for (size_t i = 0; i < MANY; i++)
        ck_assert_uint_ge(w->opened[i], 1);
    size_t before = w->person[a].opens;
    pass(w, a, 60);
    ck_assert_uint_le(w->person[a].opens - before, 5 * MANY);
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++)
        needed += e->slots[i].used && files_need_slot(e, i);
    ck_assert_uint_le(needed, FILES_ACTIVE_MAX + FILES_LINKS_MAX);
    bob_moves(w, a, BOBS);
    world_send(w, a, "bob", "hello");
    world_advance(w, 5000);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "hello");
    world_free(w);
}
END_TEST

/* No slot is left at all: the message waits, nothing spins, and it leaves when there is one. */
START_TEST(F15_no_slot_for_a_message)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    engine *e = w->person[a].e;
    char room[100];
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++)
        if (i != e->mailbox) {
            slot_close(e, i);
            e->slots[i] = (relay_slot){ .used = true, .link = UINT64_MAX };
        }
    bob_moves(w, a, 0);
    world_send(w, a, "bob", "hello");
    world_advance(w, 5000);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "");
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++)
        if (i != e->mailbox)
            e->slots[i] = (relay_slot){ 0 };
    world_advance(w, 5000);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "hello");
    world_free(w);
}
END_TEST

/* F15: what waits for room among the runs costs no more than one look at it, however much it is. */
START_TEST(F15_many_that_wait_cost_little)
{
    enum { WAITING = 300 };
    size_t a;
    world *w = world_of_alice(&a);
    size_t m = person(w, "mallory", a), b = person(w, "bob", a);
    engine *e = w->person[a].e;
    fake f;
    for (size_t i = 0; i < FILES_RUNS_MAX + WAITING; i++) {
        fake_make(&f, 'm');
        offer(w, i % 2 ? m : b, &f, "many");
    }
    ck_assert_uint_eq(runs(e), FILES_RUNS_MAX);
    uint64_t before = e->files->counted;
    e->files->started = false;
    engine_tick(e);
    ck_assert(e->files->left);
    ck_assert_uint_gt(e->files->counted, before);
    ck_assert_uint_le(e->files->counted - before, FILES_RUNS_MAX + WAITING);
    world_free(w);
}
END_TEST

static bool has_place(world *w, size_t who, const void *what)
{
    const file_run *r = run_of(w, who, "mallory", what);
    return r && place_has(w->person[who].e, r);
}

/* F15: files of which nothing comes take turns, but the link that others use as well is not closed for each turn, and who was on it stands still only from
 * then on. */
START_TEST(F15_turns_leave_the_link_alone)
{
    enum { STALLED = 8, MINUTES = 10 };
    size_t a, placed = 0;
    world *w = world_of_alice(&a);
    size_t m = person(w, "mallory", a);
    engine *e = w->person[a].e;
    fake still[STALLED];
    for (size_t i = 0; i < STALLED; i++) {
        fake_make(&still[i], 'm');
        at_relay(w, &still[i], false);
        offer(w, m, &still[i], "still");
    }
    until(w, a, has_place, &still[0]);
    size_t before = w->person[a].opens;
    while (w->person[a].opens == before)
        pass(w, a, 1);
    for (size_t i = 0; i < FILES_ACTIVE_MAX; i++)
        placed += e->files->place[i] && mono_ms(e) < e->files->place[i]->moved_ms + FILES_STALL_MS / 2;
    ck_assert_uint_eq(placed, FILES_ACTIVE_MAX);
    before = w->person[a].opens;
    pass(w, a, MINUTES * 60);
    ck_assert_uint_gt(w->person[a].opens, before);
    ck_assert_uint_le(w->person[a].opens - before, MINUTES + 1);
    for (size_t i = 0; i < STALLED; i++)
        ck_assert(was_watched(w, a, &still[i]));
    world_free(w);
}
END_TEST

SUITE("places", TEST(F15_many_that_wait_cost_little), TEST(F15_turns_leave_the_link_alone), TEST(F15_no_slot_for_a_message),
      LOOP(F15_relays_of_waiting_files_leave_room, 2), LOOP(F15_what_stands_still_makes_way, 2), TEST(F15_each_gets_its_turn), TEST(F15_many_files),
      TEST(F15_all_is_put_again), TEST(F15_links_that_fail_at_once))
