/* Files and contacts who mean harm: nobody ends or deletes what belongs to others. */
#include "file_scene.h"
#include <dirent.h>
#include <unistd.h>

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

static void say_cancel(world *w, size_t from, const fake *f)
{
    content k = { .kind = CONTENT_FILE_CANCEL, .time_ms = w->person[from].env.wall_ms };
    k.cancel.blob = (view){ f->blob, 16 };
    world_say(w, from, "alice", &k, VAULT_OUT_MESSAGE);
}

static bool parts_are(world *w, size_t who, const void *what)
{
    (void)w;
    (void)who;
    return entries(true) == *(const size_t *)what;
}

static bool is_begun(world *w, size_t who, const void *what) { return of_blob(w, who, "bob", false, ((const fake *)what)->blob).stamp != 0; }

static bool is_stored(world *w, size_t who, const void *what) { return of_blob(w, who, "bob", true, what).state == VAULT_FILE_STORED; }

static bool bobs_has_failed(world *w, size_t who, const void *what)
{
    return of_blob(w, who, "bob", false, ((const fake *)what)->blob).state == VAULT_FILE_FAILED;
}

/* Of the only one that there is. */
static void part_path(char path[400])
{
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *o = readdir(d); o; o = readdir(d))
        if (strstr(o->d_name, ".part"))
            snprintf(path, 400, "%s/%s", folder, o->d_name);
    closedir(d);
}

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

/* What an earlier build began under a name made of the blob's id goes on; under that name, somebody else's file is left alone. */
START_TEST(F16_begun_by_an_earlier_build)
{
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a);
    char now[400], then[400], tag[9];
    uint8_t id[16];
    fake f;
    fake_make(&f, 'b');
    offer(w, b, &f, "report");
    until(w, a, is_begun, &f);
    world_close(w, a);
    part_path(now);
    for (int i = 0; i < 4; i++)
        snprintf(tag + 2 * i, 3, "%02x", f.blob[i]);
    snprintf(then, sizeof then, "%s/.report.%s.part", folder, tag);
    ck_assert_int_eq(rename(now, then), 0);
    if (_i) { /* not the one that was begun */
        ck_assert_int_eq(rename(then, now), 0);
        FILE *other = fopen(then, "w");
        ck_assert_ptr_nonnull(other);
        fclose(other);
        ck_assert_int_eq(remove(now), 0);
    }
    world_open(w, a);
    at_relay(w, &f, true);
    say_seal(w, b, &f, id);
    world_advance(w, 5000);
    until(w, a, _i ? bobs_has_failed : bobs_is_complete, &f);
    ck_assert_uint_eq(entries(true), _i ? 1 : 0);
    ck_assert_uint_eq(entries(false), _i ? 0 : 1);
    ck_assert_int_eq(access(then, F_OK), _i ? 0 : -1);
    world_free(w);
}
END_TEST

/* Whatever ends a download takes its unfinished file along: the plaintext of nothing that is wanted. */
START_TEST(F16_what_is_over_leaves_nothing)
{
    static const size_t none = 0;
    static const char *const how[] = { "cancel", "remove", "block", "restart", "wrong seal" };
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a);
    fake f;
    fake_make(&f, 'b');
    offer(w, b, &f, "report");
    until(w, a, is_begun, &f);
    if (strcmp(how[_i], "cancel") == 0) {
        say_cancel(w, b, &f);
    } else if (strcmp(how[_i], "wrong seal") == 0) {
        content k = { .kind = CONTENT_FILE_SEAL, .time_ms = w->person[b].env.wall_ms };
        k.seal = (struct seal_content){ { f.blob, 16 }, { f.root, 32 }, 2, 2 * TACET_CHUNK_PLAIN_BYTES };
        world_say(w, b, "alice", &k, VAULT_OUT_MESSAGE);
        ck_assert(bobs_has_failed(w, a, &f));
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

/* A withdrawal explains a file that the relay no longer had; it does not cover up any other end. */
START_TEST(F15_a_withdrawal_that_comes_after_the_relays_word)
{
    static const struct {
        trouble before;
        int state;
        trouble after;
    } row[] = { { TROUBLE_RELAY_GONE, VAULT_FILE_CANCELLED, TROUBLE_WITHDRAWN }, { TROUBLE_COMMITMENT, VAULT_FILE_FAILED, TROUBLE_COMMITMENT } };
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a), m = person(w, "mallory", a);
    fake f;
    fake_make(&f, 'b');
    offer(w, b, &f, "report");
    until(w, a, is_begun, &f);
    file_trouble(w->person[a].e, run_of(w, a, "bob", &f), row[_i].before);
    ck_assert(bobs_has_failed(w, a, &f));
    say_cancel(w, m, &f); /* not theirs */
    ck_assert(bobs_has_failed(w, a, &f));
    say_cancel(w, b, &f);
    vault_file now = of_blob(w, a, "bob", false, f.blob);
    ck_assert_int_eq(now.state, row[_i].state);
    ck_assert_int_eq(now.trouble, row[_i].after);
    world_free(w);
}
END_TEST

/* F15: what was begun, and made room for others, is begun again when it is asked for. */
START_TEST(F15_save_begins_what_made_room)
{
    size_t a;
    world *w = world_of_alice(&a);
    size_t b = person(w, "bob", a);
    fake f;
    fake_make(&f, 'b');
    offer(w, b, &f, "report");
    until(w, a, is_begun, &f);
    file_run_end(w->person[a].e, run_of(w, a, "bob", &f));
    world_advance(w, 1000);
    ck_assert_ptr_null(run_of(w, a, "bob", &f));
    json_t *list = must(w, a, "receive", NULL);
    json_decref(must(w, a, "save", json_pack("{sO}", "id", json_object_get(json_array_get(list, 0), "id"))));
    json_decref(list);
    ck_assert_ptr_nonnull(run_of(w, a, "bob", &f));
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
    part_path(from);
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
    at_relay(w, &f, false);
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

SUITE("files", TEST(F14_a_receipt_for_ones_own_seal), TEST(F14_capability_goes_to_no_other_relay), TEST(F16_the_same_blob_and_name_of_another),
      LOOP(F16_begun_by_an_earlier_build, 2), LOOP(F16_what_is_over_leaves_nothing, 5), LOOP(F15_a_withdrawal_that_comes_after_the_relays_word, 2),
      TEST(F15_save_begins_what_made_room), TEST(F08_an_end_that_is_not_committed), TEST(F08_a_last_commit_that_fails))
