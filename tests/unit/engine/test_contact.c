/* Contacts from the first request on, between engines over a relay double. */
#include "state.h"
#include "suite.h"
#include "world.h"
#include <string.h>

static char room[65536], link_room[512];

static json_t *contact_of(world *w, size_t who, const char *name)
{
    json_t *list = must(w, who, "contacts", NULL), *one, *found = NULL;
    size_t i;
    json_array_foreach(list, i, one) if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0) found = json_incref(one);
    json_decref(list);
    return found;
}

static void check_contact(world *w, size_t who, const char *name, const char *key, const char *want)
{
    json_t *c = contact_of(w, who, name);
    ck_assert_msg(c != NULL, "no contact %s", name);
    ck_assert_str_eq(json_string_value(json_object_get(c, key)), want);
    json_decref(c);
}

static bool contact_flag(world *w, size_t who, const char *name, const char *key)
{
    json_t *c = contact_of(w, who, name);
    ck_assert_msg(c != NULL, "no contact %s", name);
    bool yes = json_is_true(json_object_get(c, key));
    json_decref(c);
    return yes;
}

static size_t count_of(world *w, size_t who, const char *method)
{
    json_t *list = must(w, who, method, NULL);
    size_t n = json_array_size(list);
    json_decref(list);
    return n;
}

START_TEST(request_accept_and_both_ways)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    json_t *c = must(w, a, "add", json_pack("{ss ss}", "target", world_link(w, b, link_room), "text", "it is me"));
    ck_assert_str_eq(json_string_value(json_object_get(c, "state")), "requested");
    json_decref(c);
    world_send(w, a, "bob", "early"); /* waits for the acceptance */
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "");
    json_t *requests = must(w, b, "requests", NULL);
    ck_assert_uint_eq(json_array_size(requests), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(requests, 0), "text")), "it is me");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(requests, 0), "from")), "alice");
    json_decref(requests);
    size_t before = w->person[b].sends;
    world_advance(w, 60000);
    ck_assert_uint_eq(w->person[b].sends, before); /* until then the receiver sends nothing at all */
    must_fail(w, b, "send", json_pack("{ss ss}", "to", "alice", "text", "x"), "not-accepted", 1);
    json_decref(must(w, b, "accept", json_pack("{ss}", "name", "alice")));
    ck_assert_uint_eq(world_events(w, a, "accepted"), 1);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "early");
    world_send(w, b, "alice", "hello alice");
    world_send(w, b, "alice", "again");
    world_send(w, a, "bob", "hi");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "hello alice|again");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "hi");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "");
    world_advance(w, 10000);
    ck_assert_uint_eq(count_of(w, a, "outbox"), 0); /* everything delivered */
    ck_assert_uint_eq(world_events(w, a, "gap") + world_events(w, b, "gap"), 0);
    ck_assert_uint_eq(world_events(w, a, "error") + world_events(w, b, "error"), 0);
    world_free(w);
}
END_TEST

START_TEST(asking_again_changes_nothing)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    for (int i = 0; i < 3; i++)
        json_decref(must(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link_room))));
    ck_assert_uint_eq(count_of(w, b, "requests"), 1);
    ck_assert_uint_eq(world_account_of(w, b)->boxed, 1);
    for (int i = 0; i < 2; i++)
        json_decref(must(w, b, "accept", json_pack("{ss}", "name", "alice")));
    ck_assert_uint_eq(world_account_of(w, a)->boxed, 1);
    json_t *one = must(w, a, "send", json_pack("{ss ss ss}", "to", "bob", "text", "once", "id", "00112233445566778899aabbccddeeff"));
    json_t *two = must(w, a, "send", json_pack("{ss ss ss}", "to", "bob", "text", "once", "id", "00112233445566778899aabbccddeeff"));
    ck_assert_str_eq(json_string_value(json_object_get(one, "id")), json_string_value(json_object_get(two, "id")));
    ck_assert_str_eq(json_string_value(json_object_get(one, "state")), "queued");
    ck_assert_str_eq(json_string_value(json_object_get(two, "state")), "stored");
    json_decref(one);
    json_decref(two);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "once");
    world_free(w);
}
END_TEST

/* Both asked before either heard of it: both agreed, nobody has to accept. */
START_TEST(crossing_requests_are_accepted)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    w->hold = true;
    json_decref(must(w, a, "add", json_pack("{ss ss}", "target", world_link(w, b, link_room), "text", "from alice")));
    json_decref(must(w, b, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    world_send(w, a, "bob", "a waits");
    world_release(w);
    ck_assert_uint_eq(count_of(w, a, "requests") + count_of(w, b, "requests"), 0);
    check_contact(w, a, "bob", "state", "accepted");
    check_contact(w, b, "alice", "state", "accepted");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "from alice|a waits");
    world_send(w, b, "alice", "b");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "b");
    world_advance(w, 10000);
    ck_assert_uint_eq(count_of(w, a, "outbox"), 0);
    world_free(w);
}
END_TEST

START_TEST(adding_whoever_asked_accepts)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    json_decref(must(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link_room))));
    json_t *c = must(w, b, "add", json_pack("{ss}", "target", world_link(w, a, link_room)));
    ck_assert_str_eq(json_string_value(json_object_get(c, "state")), "accepted");
    json_decref(c);
    world_send(w, a, "bob", "hi");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "hi");
    world_free(w);
}
END_TEST

START_TEST(rejecting_is_silent)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    json_decref(must(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link_room))));
    json_decref(must(w, b, "reject", json_pack("{ss}", "name", "alice")));
    world_advance(w, 60000);
    ck_assert_uint_eq(w->person[b].sends, 0);
    ck_assert_uint_eq(count_of(w, b, "requests") + count_of(w, b, "contacts"), 0);
    check_contact(w, a, "bob", "state", "requested");
    must_fail(w, b, "accept", json_pack("{ss}", "name", "alice"), "no-such-request", 5);
    must_fail(w, b, "reject", json_pack("{ss}", "name", "alice"), "no-such-request", 5);
    world_free(w);
}
END_TEST

START_TEST(by_name_and_by_wrong_name)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    json_decref(must(w, a, "add", json_pack("{ss ss}", "target", "bob", "as", "robert")));
    ck_assert(!contact_flag(w, a, "robert", "verified"));
    ck_assert_uint_eq(count_of(w, b, "requests"), 1);
    must_fail(w, a, "add", json_pack("{ss}", "target", "nobody"), "no-such-name", 5);
    must_fail(w, a, "add", json_pack("{ss}", "target", "alice"), "self", 1);
    must_fail(w, a, "add", json_pack("{ss}", "target", world_link(w, a, link_room)), "self", 1);
    must_fail(w, a, "add", json_pack("{ss}", "target", "tacet://half"), "bad-link", 2);
    must_fail(w, a, "add", json_pack("{ss}", "target", "No Name"), "bad-name", 2);
    must_fail(w, a, "send", json_pack("{ss ss}", "to", "carol", "text", "x"), "no-such-contact", 5);
    world_free(w);
}
END_TEST

/* A name in a link is a proposal: on a clash it gets a number, nothing is merged. */
START_TEST(alias_clash_gets_a_number)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob"), c = world_join(w, "carol");
    json_decref(must(w, a, "add", json_pack("{ss ss}", "target", world_link(w, b, link_room), "as", "carol")));
    json_decref(must(w, a, "add", json_pack("{ss}", "target", world_link(w, c, link_room))));
    check_contact(w, a, "carol", "proposed_name", "bob");
    check_contact(w, a, "carol-2", "proposed_name", "carol");
    must_fail(w, a, "rename", json_pack("{ss ss}", "name", "carol", "to", "carol-2"), "name-in-use", 1);
    json_decref(must(w, a, "rename", json_pack("{ss ss}", "name", "carol", "to", "bob")));
    check_contact(w, a, "bob", "proposed_name", "bob");
    world_free(w);
}
END_TEST

START_TEST(new_link_ends_the_old_one)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    char old[512];
    world_link(w, b, old);
    json_t *fresh = must(w, b, "link", json_pack("{sb}", "new", 1));
    ck_assert_str_ne(json_string_value(json_object_get(fresh, "link")), old);
    must_fail(w, a, "add", json_pack("{ss}", "target", old), "link-replaced", 5);
    ck_assert_uint_eq(count_of(w, a, "contacts"), 0);
    json_decref(must(w, a, "add", json_pack("{ss}", "target", json_string_value(json_object_get(fresh, "link")))));
    json_decref(fresh);
    ck_assert_uint_eq(count_of(w, b, "requests"), 1);
    /* the directory names the new token too */
    size_t c = world_join(w, "carol");
    json_decref(must(w, c, "add", json_pack("{ss}", "target", "bob")));
    ck_assert_uint_eq(count_of(w, b, "requests"), 2);
    world_free(w);
}
END_TEST

START_TEST(init_says_what_is_wrong_and_can_be_repeated)
{
    world *w = world_new();
    world_join(w, "alice");
    size_t b = world_bare(w, "bob");
    must_fail(w, b, "whoami", NULL, "no-account", 5);
    must_fail(w, b, "init", json_pack("{ss ss}", "relay", w->relay_text, "name", "Bob!"), "bad-name", 2);
    must_fail(w, b, "init", json_pack("{ss ss}", "relay", "tacet://x", "name", "bob"), "bad-relay", 2);
    w->down = true;
    must_fail(w, b, "init", json_pack("{ss ss}", "relay", w->relay_text, "name", "bob"), "relay-unreachable", 3);
    w->down = false;
    must_fail(w, b, "init", json_pack("{ss ss}", "relay", w->relay_text, "name", "alice"), "name-taken", 1);
    must_fail(w, b, "whoami", NULL, "no-account", 5);
    world_close(w, b);
    world_open(w, b);
    json_decref(must(w, b, "init", json_pack("{ss ss}", "relay", w->relay_text, "name", "bob")));
    must_fail(w, b, "init", json_pack("{ss ss}", "relay", w->relay_text, "name", "bob"), "account-exists", 1);
    world_account *acc = world_account_of(w, b);
    ck_assert_uint_eq(acc->keys, 127);
    ck_assert_uint_eq(acc->lists, 1);
    world_free(w);
}
END_TEST

static void safety(world *w, size_t who, const char *name, char out[64])
{
    json_t *v = must(w, who, "verify", json_pack("{ss}", "name", name));
    snprintf(out, 64, "%s", json_string_value(json_object_get(v, "safety_number")));
    json_decref(v);
}

START_TEST(verify_compares_sixty_digits)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    char one[64], two[64], grouped[128] = "";
    world_befriend(w, a, b);
    safety(w, a, "bob", one);
    safety(w, b, "alice", two);
    ck_assert_str_eq(one, two);
    ck_assert_uint_eq(strlen(one), 60);
    ck_assert(!contact_flag(w, a, "bob", "verified"));
    for (int i = 0; i < 12; i++)
        snprintf(grouped + strlen(grouped), sizeof grouped - strlen(grouped), "%.5s ", one + 5 * i);
    two[59] = two[59] == '0' ? '1' : '0';
    must_fail(w, a, "verify", json_pack("{ss ss}", "name", "bob", "confirm", two), "safety-number-differs", 4);
    must_fail(w, a, "verify", json_pack("{ss ss}", "name", "bob", "confirm", "12345"), "bad-digits", 2);
    ck_assert(!contact_flag(w, a, "bob", "verified"));
    json_decref(must(w, a, "verify", json_pack("{ss ss}", "name", "bob", "confirm", grouped)));
    ck_assert(contact_flag(w, a, "bob", "verified"));
    json_decref(must(w, a, "untrust", json_pack("{ss}", "name", "bob")));
    ck_assert(!contact_flag(w, a, "bob", "verified"));
    must_fail(w, a, "untrust", json_pack("{ss}", "name", "bob"), "nothing-trusted", 1);
    must_fail(w, a, "untrust", json_pack("{ss}", "name", "zoe"), "no-such-contact", 5);
    world_free(w);
}
END_TEST

/* M13: one is blocked while ten others are offline: the ten still reach the mailbox with their tokens; the blocked one does not, and what it queued
 * is gone. */
START_TEST(M13_block_one_of_eleven)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), other[11];
    char name[16];
    for (int i = 0; i < 11; i++) {
        snprintf(name, sizeof name, "p%02d", i);
        other[i] = world_join(w, name);
        world_befriend(w, other[i], a);
        world_send(w, a, name, "hello"); /* so that their sessions are answered */
    }
    world_close(w, a);
    world_send(w, other[3], "alice", "before the block");
    for (int i = 0; i < 11; i++)
        if (i != 3)
            world_close(w, other[i]);
    w->hold = true;
    world_open(w, a);
    world_run(w);
    json_decref(must(w, a, "block", json_pack("{ss}", "name", "p03")));
    w->hold = false;
    world_send(w, other[3], "alice", "after the block");
    ck_assert_uint_eq(world_events(w, other[3], "error"), 1);
    for (int i = 0; i < 11; i++)
        if (i != 3) {
            world_open(w, other[i]);
            snprintf(name, sizeof name, "from p%02d", i);
            world_send(w, other[i], "alice", name);
        }
    world_run(w);
    ck_assert_str_eq(world_received(w, a, room, sizeof room),
                     "from p00|from p01|from p02|from p04|from p05|from p06|from p07|from p08|from p09|from p10");
    must_fail(w, a, "send", json_pack("{ss ss}", "to", "p03", "text", "x"), "blocked", 1);
    json_decref(must(w, a, "unblock", json_pack("{ss}", "name", "p03")));
    world_send(w, other[3], "alice", "forgiven");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "gap|forgiven"); /* what was sent in between is known to be missing */
    world_send(w, a, "p03", "yes");
    ck_assert_str_eq(world_received(w, other[3], room, sizeof room), "hello|yes");
    world_free(w);
}
END_TEST

START_TEST(a_blocked_stranger_stays_unheard)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    json_decref(must(w, b, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    json_decref(must(w, a, "block", json_pack("{ss}", "name", "bob")));
    ck_assert_uint_eq(count_of(w, a, "requests"), 0);
    json_decref(must(w, b, "remove", json_pack("{ss}", "name", "alice")));
    json_decref(must(w, b, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    ck_assert_uint_eq(count_of(w, a, "requests"), 0);
    ck_assert_uint_eq(world_events(w, a, "request"), 1);
    world_free(w);
}
END_TEST

START_TEST(removed_and_added_again)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    world_befriend(w, a, b);
    world_send(w, a, "bob", "one");
    world_send(w, b, "alice", "first");
    world_send(w, b, "alice", "second");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "first|second");
    world_advance(w, 10000); /* receipts */
    json_decref(must(w, b, "remove", json_pack("{ss}", "name", "alice")));
    world_send(w, a, "bob", "lost");
    ck_assert_uint_eq(world_events(w, a, "error"), 1);
    ck_assert_str_eq(json_string_value(json_object_get(world_event_last(w, a, "receipt"), "state")), "failed");
    json_decref(must(w, b, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    check_contact(w, b, "alice", "state", "accepted"); /* alice never stopped knowing bob */
    world_send(w, b, "alice", "back");
    world_send(w, a, "bob", "welcome");
    world_send(w, b, "alice", "again");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "conversation begins anew|back|again");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "welcome");
    ck_assert_uint_eq(world_events(w, a, "history-forked"), 0);
    ck_assert_uint_eq(world_events(w, b, "history-forked"), 0);
    ck_assert_uint_eq(world_events(w, a, "gap") + world_events(w, b, "gap"), 0);
    world_free(w);
}
END_TEST

/* R05: prekeys run out: the fallback works, both sides are told, and the target refills. */
START_TEST(R05_depleted_prekeys_are_flagged_and_refilled)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob"), c = world_join(w, "carol");
    w->no_one_time = true;
    json_decref(must(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link_room))));
    json_decref(must(w, b, "accept", json_pack("{ss}", "name", "alice")));
    ck_assert(contact_flag(w, a, "bob", "reduced_secrecy"));
    ck_assert(contact_flag(w, b, "alice", "reduced_secrecy"));
    w->no_one_time = false;
    world_befriend(w, c, b);
    ck_assert(!contact_flag(w, c, "bob", "reduced_secrecy"));
    world_account *acc = world_account_of(w, b);
    size_t left = 0;
    for (size_t i = 0; i < acc->keys; i++)
        if (acc->key[i].bytes[0] == 2 && !acc->key[i].gone && ++left > 24)
            acc->key[i].gone = true; /* somebody fetched 75 */
    world_close(w, b);
    world_open(w, b);
    world_run(w);
    left = 0;
    for (size_t i = 0; i < acc->keys; i++)
        left += acc->key[i].bytes[0] == 2 && !acc->key[i].gone;
    ck_assert_uint_eq(left, 100);
    json_t *s = must(w, b, "status", NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(s, "prekeys_handed_out")), 2);
    json_decref(s);
    world_free(w);
}
END_TEST

/* M02: while messages wait, the directory gives bob's name to another account. They are held, go to nobody, and leave only after `trust`. */
START_TEST(M02_changed_key_holds_what_waits)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob"), m = world_join(w, "mallory");
    json_decref(must(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link_room))));
    world_send(w, a, "bob", "secret for bob");
    /* the relay forgets bob and lets mallory have the name */
    world_account *old = world_account_of(w, b), *now = world_account_of(w, m);
    old->name[0] = '\0';
    json_decref(must(w, m, "status", NULL));
    own_account *me = &w->person[m].e->me;
    directory_entry entry = { .expires_s = w->person[m].env.wall_ms / 1000 + 86400 };
    memcpy(entry.ik, me->list.ik, 32);
    memcpy(entry.relay, w->relay_key, 32);
    memcpy(entry.request_token, me->request_token, 32);
    snprintf(entry.name, sizeof entry.name, "bob");
    ck_assert_int_eq(directory_entry_sign(&entry, now->entry, me->secret->ik), TACET_OK);
    snprintf(now->name, sizeof now->name, "bob");
    must_fail(w, a, "add", json_pack("{ss}", "target", "bob"), "key-changed", 4);
    ck_assert_uint_eq(world_events(w, a, "key-changed"), 1);
    json_t *out = must(w, a, "outbox", NULL);
    ck_assert_uint_eq(json_array_size(out), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(out, 0), "state")), "held");
    json_decref(out);
    json_decref(must(w, b, "accept", json_pack("{ss}", "name", "alice")));
    world_advance(w, 60000);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "");
    ck_assert_uint_eq(world_account_of(w, m)->boxed, 0);
    /* the person decides for the new account */
    json_decref(must(w, a, "trust", json_pack("{ss}", "name", "bob")));
    check_contact(w, a, "bob", "state", "requested");
    ck_assert(!contact_flag(w, a, "bob", "key_changed"));
    /* ... thinks better of it, and then decides the same once more */
    json_decref(must(w, a, "untrust", json_pack("{ss}", "name", "bob")));
    ck_assert(contact_flag(w, a, "bob", "key_changed"));
    check_contact(w, a, "bob-new", "state", "requested");
    ck_assert_uint_eq(world_events(w, a, "key-changed"), 2);
    out = must(w, a, "outbox", NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(out, 0), "conversation")), "bob");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(out, 0), "state")), "held");
    json_decref(out);
    must_fail(w, a, "untrust", json_pack("{ss}", "name", "bob-new"), "nothing-trusted", 1);
    json_decref(must(w, a, "trust", json_pack("{ss}", "name", "bob")));
    check_contact(w, a, "bob", "state", "requested");
    json_decref(must(w, m, "accept", json_pack("{ss}", "name", "alice")));
    world_advance(w, 5000);
    ck_assert_str_eq(world_received(w, m, room, sizeof room), "secret for bob");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "");
    world_send(w, a, "bob-old", "you are still you"); /* the old contact is there, under another alias */
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "you are still you");
    world_free(w);
}
END_TEST

/* M02, the other way to notice: a stranger's request claims the name of a verified contact. Sending stops; rejecting the stranger, or comparing the
 * number again, gives it back. */
START_TEST(M02_request_with_a_known_name)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob"), m = world_join(w, "mallory");
    char digits[64];
    world_befriend(w, a, b);
    safety(w, a, "bob", digits);
    json_decref(must(w, a, "verify", json_pack("{ss ss}", "name", "bob", "confirm", digits)));
    snprintf(w->person[m].e->me.name, sizeof w->person[m].e->me.name, "bob"); /* mallory's engine lies about its name */
    json_decref(must(w, m, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    ck_assert_uint_eq(world_events(w, a, "key-changed"), 1);
    must_fail(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", "x"), "key-changed", 4);
    ck_assert(contact_flag(w, a, "bob", "key_changed"));
    json_decref(must(w, a, "reject", json_pack("{ss}", "name", "bob-2")));
    ck_assert(!contact_flag(w, a, "bob", "key_changed"));
    world_send(w, a, "bob", "fine again");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "fine again");
    world_free(w);
}
END_TEST

/* Somebody with a token of ours and an envelope that is ready, as far as the vault knows. */
static void add_one_of_many(world *w, size_t who, unsigned number)
{
    engine *e = w->person[who].e;
    vault_contact c = { .state = VAULT_CONTACT_ACCEPTED, .has_ours = true };
    vault_outgoing o = { .what = VAULT_OUT_MESSAGE, .state = VAULT_OUT_READY, .device = 1, .expires_ms = INT64_MAX };
    snprintf(c.alias, sizeof c.alias, "friend%u", number);
    snprintf(c.name, sizeof c.name, "friend");
    text_put(c.relay, sizeof c.relay, w->relay_text);
    memcpy(c.account, &number, sizeof number);
    memcpy(c.our_token, &number, sizeof number);
    memcpy(c.our_hash, &number, sizeof number);
    c.our_hash[31] = 1;
    ck_assert_int_eq(vault_contact_add(e->vault, &c), TACET_OK);
    o.contact = c.id;
    memcpy(o.envelope_id, &number, sizeof number);
    ck_assert_int_eq(vault_out_add(e->vault, &o), TACET_OK);
}

/* However many there are: each is listed, a relay that lost its memory is told of each one's token, each has its lane, and nothing leaves for any once
 * the account is another device's. */
START_TEST(nobody_is_cut_off_from_a_long_list)
{
    enum { MANY = 4200 };
    static vault_token token[MANY + 10];
    world *w = world_new();
    size_t a = world_join(w, "alice"), count = 0;
    engine *e = w->person[a].e;
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    for (unsigned i = 1; i <= MANY; i++)
        add_one_of_many(w, a, i);
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    ck_assert_uint_eq(count_of(w, a, "contacts"), MANY);
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(tokens_again(e), TACET_OK);
    ck_assert_int_eq(vault_token_list(e->vault, token, MANY + 10, &count), TACET_OK);
    ck_assert_uint_eq(count, MANY + 1); /* and the one for requests */
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    ck_assert_int_eq(outbox_lanes(e), TACET_OK);
    ck_assert_uint_eq(e->lane_count, MANY);
    account_replaced(e);
    ck_assert_int_eq(vault_out_contacts(e->vault, VAULT_OUT_READY, NULL, 0, &count), TACET_OK);
    ck_assert_uint_eq(count, 0);
    world_free(w);
}
END_TEST

SUITE("contact", TEST(request_accept_and_both_ways), TEST(asking_again_changes_nothing), TEST(crossing_requests_are_accepted),
      TEST(adding_whoever_asked_accepts), TEST(rejecting_is_silent), TEST(by_name_and_by_wrong_name), TEST(alias_clash_gets_a_number),
      TEST(new_link_ends_the_old_one), TEST(init_says_what_is_wrong_and_can_be_repeated), TEST(verify_compares_sixty_digits),
      TEST(M13_block_one_of_eleven), TEST(a_blocked_stranger_stays_unheard), TEST(removed_and_added_again),
      TEST(R05_depleted_prekeys_are_flagged_and_refilled), TEST(M02_changed_key_holds_what_waits), TEST(M02_request_with_a_known_name),
      TEST(nobody_is_cut_off_from_a_long_list))
