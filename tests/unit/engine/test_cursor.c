/* Cursors: each program's own hand. What one did not hand over comes again, whatever others did and however often the process ended. */
#include "suite.h"
#include "world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static world *w;
static size_t a, b;

static void setup(void)
{
    w = world_new();
    a = world_join(w, "alice");
    b = world_join(w, "bob");
    world_befriend(w, a, b);
}
static void teardown(void) { world_free(w); }

static json_t *with_cursor(const char *cursor, json_t *params)
{
    if (cursor)
        json_object_set_new(params, "cursor", json_string(cursor));
    return params;
}

/* The texts that `receive` gives b, joined; *list the array itself. */
static const char *waiting(const char *cursor, json_t **list)
{
    static char out[512];
    size_t i, n = 0;
    json_t *m;
    *list = must(w, b, "receive", with_cursor(cursor, json_object()));
    out[0] = '\0';
    json_array_foreach(*list, i, m) n +=
        (size_t)snprintf(out + n, sizeof out - n, "%s%s", i ? " " : "", json_string_value(json_object_get(m, "text")));
    return out;
}
static void waits(const char *cursor, const char *texts)
{
    json_t *list;
    ck_assert_str_eq(waiting(cursor, &list), texts);
    json_decref(list);
}
/* Hands over the one with that text. */
static void hand(const char *cursor, const char *text)
{
    json_t *list, *m, *id = NULL;
    size_t i;
    (void)waiting(cursor, &list);
    json_array_foreach(list, i, m)
    {
        if (strcmp(json_string_value(json_object_get(m, "text")), text) == 0)
            id = json_object_get(m, "id");
    }
    ck_assert_msg(id != NULL, "%s is not there", text);
    json_decref(must(w, b, "handed", with_cursor(cursor, json_pack("{s:[O]}", "ids", id))));
    json_decref(list);
}
static void say(const char *words)
{
    char copy[256];
    snprintf(copy, sizeof copy, "%s", words);
    for (char *rest = copy, *word; (word = strsep(&rest, " "));)
        world_send(w, a, "bob", word);
    world_run(w);
}

START_TEST(each_cursor_sees_everything)
{
    waits("one", "");
    waits("two", "");
    say("a b c");
    waits("one", "a b c");
    waits("two", "a b c");
    waits(NULL, "a b c");
    hand("one", "a");
    hand("one", "b");
    hand("one", "c");
    waits("one", "");
    waits("two", "a b c");
    waits(NULL, "a b c");
    hand(NULL, "b");
    waits("two", "a b c");
    waits(NULL, "a c");
    say("d");
    waits("one", "d");
}
END_TEST

START_TEST(what_is_not_handed_over_comes_again_also_out_of_turn_and_after_an_end)
{
    waits("bot", "");
    say("a b c d");
    hand("bot", "b");
    hand("bot", "d");
    waits("bot", "a c");
    world_close(w, b);
    world_open(w, b);
    waits("bot", "a c");
    hand("bot", "a");
    waits("bot", "c");
    json_decref(must(w, b, "send", json_pack("{s:s,s:s}", "to", "alice", "text", "in between")));
    say("e");
    waits("bot", "c e");
    hand("bot", "c");
    hand("bot", "e");
    waits("bot", "");
    say("f");
    world_close(w, b);
    world_open(w, b);
    waits("bot", "f");
}
END_TEST

START_TEST(a_new_cursor_begins_with_what_nobody_has_taken)
{
    say("a b c d");
    hand(NULL, "a");
    hand(NULL, "c");
    waits("bot", "b d");
    hand(NULL, "b");
    hand(NULL, "d");
    waits("bot", "b d");
    waits("late", "");
    hand("bot", "b");
    waits("bot", "d");
}
END_TEST

START_TEST(a_request_is_no_cursors_message)
{
    size_t m = world_join(w, "mallory");
    char link[512];
    waits("bot", "");
    json_decref(must(w, m, "add", json_pack("{s:s,s:s}", "target", world_link(w, b, link), "text", "let me in")));
    world_run(w);
    ck_assert_uint_eq(world_events(w, b, "request"), 2); /* alice's was the first */
    waits("bot", "");
    waits(NULL, "");
}
END_TEST

START_TEST(after_passes_over)
{
    json_t *list;
    say("a b c");
    (void)waiting("bot", &list);
    for (const char *cursor = "bot";; cursor = NULL) {
        json_t *rest =
            must(w, b, "receive", with_cursor(cursor, json_pack("{s:O,s:i}", "after", json_object_get(json_array_get(list, 0), "id"), "limit", 1)));
        ck_assert_uint_eq(json_array_size(rest), 1);
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rest, 0), "text")), "b");
        json_decref(rest);
        if (!cursor)
            break;
    }
    json_decref(list);
    must_fail(w, b, "receive", json_pack("{s:s}", "after", "0123456789abcdef0123456789abcdef"), "no-such-message", EXIT_NOT_FOUND);
    must_fail(w, b, "receive", json_pack("{s:s}", "after", "first"), "no-such-message", EXIT_NOT_FOUND);
}
END_TEST

START_TEST(cursors_are_listed_and_removed)
{
    say("a b");
    waits("one", "a b");
    waits("two", "a b");
    hand("two", "a");
    json_t *list = must(w, b, "cursors", NULL);
    ck_assert_uint_eq(json_array_size(list), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "name")), "two");
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "waiting")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 1), "waiting")), 1);
    ck_assert(json_is_string(json_object_get(json_array_get(list, 0), "created_at")));
    json_decref(list);
    json_decref(must(w, b, "cursor-remove", json_pack("{s:s}", "name", "two")));
    must_fail(w, b, "cursor-remove", json_pack("{s:s}", "name", "two"), "no-such-cursor", EXIT_NOT_FOUND);
    must_fail(w, b, "handed", json_pack("{s:[],s:s}", "ids", "cursor", "two"), "no-such-cursor", EXIT_NOT_FOUND);
    waits("two", "a b"); /* a new one of that name; nothing is left of the old */
    waits("one", "a b");
}
END_TEST

START_TEST(cursors_are_few_and_have_names)
{
    char name[40];
    static const char *const bad[] = { "", "-x", "a b", "../x", "UPPER", "abcdefghijklmnopqrstuvwxyz0123456" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        must_fail(w, b, "receive", json_pack("{s:s}", "cursor", bad[i]), "bad-name", EXIT_USAGE);
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "c%d", i);
        waits(name, "");
    }
    must_fail(w, b, "receive", json_pack("{s:s}", "cursor", "one-more"), "too-many-cursors", EXIT_QUOTA);
    waits("c63", "");
    json_decref(must(w, b, "cursor-remove", json_pack("{s:s}", "name", "c7")));
    waits("one-more", "");
}
END_TEST

SUITE("cursor", tcase_add_checked_fixture(tc, setup, teardown), TEST(each_cursor_sees_everything),
      TEST(what_is_not_handed_over_comes_again_also_out_of_turn_and_after_an_end), TEST(a_new_cursor_begins_with_what_nobody_has_taken),
      TEST(a_request_is_no_cursors_message), TEST(after_passes_over), TEST(cursors_are_listed_and_removed), TEST(cursors_are_few_and_have_names))
