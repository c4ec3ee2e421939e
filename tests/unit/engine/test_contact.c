/* Contacts from the first request on, between engines over a relay double. */
#include "suite.h"
#include "world.h"
#include <string.h>

static char room[65536];

START_TEST(request_accept_and_both_ways)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    char link[512];
    json_t *c = must(w, a, "add", json_pack("{ss ss}", "target", world_link(w, b, link), "text", "it is me"));
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
    world_run(w);
    ck_assert_uint_eq(world_events(w, a, "accepted"), 1);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "early");
    world_send(w, b, "alice", "hello alice");
    world_send(w, b, "alice", "again");
    world_send(w, a, "bob", "hi");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "hello alice|again");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "hi");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "");
    world_advance(w, 10000);
    json_t *out = must(w, a, "outbox", NULL);
    ck_assert_uint_eq(json_array_size(out), 0); /* everything delivered */
    json_decref(out);
    ck_assert_uint_eq(world_events(w, a, "gap") + world_events(w, b, "gap"), 0);
    ck_assert_uint_eq(world_events(w, a, "error") + world_events(w, b, "error"), 0);
    world_free(w);
}
END_TEST

SUITE("contact", TEST(request_accept_and_both_ways))
