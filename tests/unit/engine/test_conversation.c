/* Messages between accepted contacts: never lost, never twice, in order, and what people are told about them. */
#include "state.h"
#include "suite.h"
#include "world.h"
#include <string.h>

static char room[65536];

static size_t in_outbox(world *w, size_t who)
{
    json_t *list = must(w, who, "outbox", NULL);
    size_t n = json_array_size(list);
    json_decref(list);
    return n;
}

static void last_state(world *w, size_t who, const char *name, const char *want)
{
    json_t *list = must(w, who, "history", json_pack("{ss si}", "name", name, "limit", 1));
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "state")), want);
    json_decref(list);
}

START_TEST(offline_for_a_day_and_delivered_at_return)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_close(w, b);
    for (int i = 0; i < 5; i++) {
        char text[8];
        snprintf(text, sizeof text, "m%d", i);
        world_send(w, a, "bob", text);
    }
    world_advance(w, 86400000);
    last_state(w, a, "bob", "stored");
    world_open(w, b);
    world_run(w);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "m0|m1|m2|m3|m4");
    world_advance(w, 6000);
    last_state(w, a, "bob", "delivered");
    ck_assert_uint_eq(in_outbox(w, a), 0);
    world_free(w);
}
END_TEST

START_TEST(without_a_relay_it_waits_in_order)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_close(w, a);
    w->down = true;
    world_open(w, a);
    world_send(w, a, "bob", "one");
    must_fail(w, a, "sync", NULL, "relay-unreachable", 3);
    world_close(w, a); /* the command ends */
    world_open(w, a);
    world_send(w, a, "bob", "two");
    ck_assert_uint_eq(in_outbox(w, a), 2);
    w->down = false;
    world_advance(w, 120000);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "one|two");
    ck_assert_uint_eq(world_events(w, b, "gap"), 0);
    world_free(w);
}
END_TEST

/* S04: the relay had it, the answer got lost, the process died: the same bytes go again, and show once. */
START_TEST(S04_same_bytes_again_after_a_lost_answer)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    w->hold = true;
    w->lose_replies = true;
    world_account *box = world_account_of(w, b);
    size_t first = box->boxed;
    world_send(w, a, "bob", "once");
    ck_assert_uint_eq(box->boxed, first + 1);
    world_close(w, a);
    w->lose_replies = false;
    world_open(w, a);
    world_run(w);
    ck_assert_uint_eq(box->boxed, first + 2);
    ck_assert_uint_eq(box->box[first].n, box->box[first + 1].n);
    ck_assert_mem_eq(box->box[first].bytes, box->box[first + 1].bytes, box->box[first].n);
    world_release(w);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "once");
    ck_assert_uint_eq(world_events(w, b, "quarantined") + world_events(w, b, "gap"), 0);
    world_free(w);
}
END_TEST

/* S04, the other end: committed, and killed before the acknowledgement. */
START_TEST(S04_killed_before_the_acknowledgement)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_account *box = world_account_of(w, b);
    world_send(w, a, "bob", "seen");
    for (size_t i = 0; i < box->boxed; i++)
        box->box[i].gone = box->box[i].delivered = false; /* as if no acknowledgement had ever arrived */
    world_close(w, b);
    world_open(w, b);
    world_run(w);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "seen");
    for (size_t i = 0; i < box->boxed; i++)
        ck_assert(box->box[i].gone);                         /* and now it is acknowledged */
    ck_assert_uint_eq(world_events(w, b, "quarantined"), 0); /* as known, not as unreadable */
    world_free(w);
}
END_TEST

/* S13: an envelope that comes again long after its key is gone is acknowledged by its id: no quarantine, no new session. */
START_TEST(S13_redelivered_after_its_key_is_gone)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_account *box = world_account_of(w, b);
    world_send(w, a, "bob", "old");
    world_envelope *v = malloc(sizeof *v);
    *v = box->box[box->boxed - 1];
    for (int i = 0; i < 10; i++) {
        world_send(w, a, "bob", "x");
        world_send(w, b, "alice", "y");
    }
    world_advance(w, 86400000);
    size_t sends = w->person[b].sends;
    world_inject(w, b, v);
    ck_assert(box->box[box->boxed - 1].gone);
    ck_assert_uint_eq(world_events(w, b, "quarantined"), 0);
    world_advance(w, 10000);
    ck_assert_uint_eq(w->person[b].sends, sends); /* not even a receipt */
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "old|x|x|x|x|x|x|x|x|x|x");
    free(v);
    world_free(w);
}
END_TEST

/* The relay lost its memory: a new incarnation. What has no `delivered` goes once more, tokens and keys are told again. */
START_TEST(a_restored_relay_gets_it_again)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_close(w, b);
    world_send(w, a, "bob", "kept by nobody");
    last_state(w, a, "bob", "stored");
    world_account *box = world_account_of(w, b);
    for (size_t i = 0; i < box->boxed; i++)
        box->box[i].gone = true;
    box->tokens = 0;
    w->incarnation[0]++;
    world_close(w, a);
    world_open(w, b);
    world_run(w);
    ck_assert_uint_gt(box->tokens, 1); /* the request token and alice's */
    world_open(w, a);
    world_run(w);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "kept by nobody");
    world_advance(w, 10000);
    last_state(w, a, "bob", "delivered");
    world_free(w);
}
END_TEST

START_TEST(expired_is_shown)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_close(w, b);
    world_send(w, a, "bob", "too late");
    world_advance(w, (uint64_t)29 * 86400000);
    ck_assert_uint_eq(in_outbox(w, a), 1);
    world_advance(w, (uint64_t)2 * 86400000);
    ck_assert_uint_eq(in_outbox(w, a), 0);
    last_state(w, a, "bob", "expired");
    ck_assert_str_eq(json_string_value(json_object_get(world_event_last(w, a, "receipt"), "state")), "expired");
    world_free(w);
}
END_TEST

static uint64_t wait_for_delivered(world *w, size_t a)
{
    size_t before = world_events(w, a, "receipt");
    uint64_t waited = 0;
    while (world_events(w, a, "receipt") == before && waited < 10000) {
        world_advance(w, 100);
        waited += 100;
    }
    return waited;
}

START_TEST(receipts_wait_unless_somebody_does)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_send(w, a, "bob", "whenever");
    last_state(w, a, "bob", "stored");
    uint64_t waited = wait_for_delivered(w, a);
    ck_assert_uint_ge(waited, 1000);
    ck_assert_uint_le(waited, 5100);
    last_state(w, a, "bob", "delivered");
    json_decref(must(w, a, "send", json_pack("{ss ss sb}", "to", "bob", "text", "now", "waits", 1)));
    last_state(w, a, "bob", "delivered");
    json_decref(must(w, b, "read", json_pack("{ss}", "name", "alice")));
    wait_for_delivered(w, a);
    last_state(w, a, "bob", "read");
    /* and read receipts can be turned off */
    json_decref(must(w, b, "settings", json_pack("{sb}", "read_receipts", 0)));
    world_send(w, a, "bob", "unseen");
    wait_for_delivered(w, a);
    json_decref(must(w, b, "read", json_pack("{ss}", "name", "alice")));
    world_advance(w, 10000);
    last_state(w, a, "bob", "delivered");
    world_free(w);
}
END_TEST

/* Many at once: one receipt content for all of them. */
START_TEST(receipts_go_in_batches)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_close(w, b);
    for (int i = 0; i < 40; i++)
        world_send(w, a, "bob", "x");
    size_t sends = w->person[b].sends;
    world_open(w, b);
    world_advance(w, 10000);
    ck_assert_uint_eq(w->person[b].sends, sends + 1);
    ck_assert_uint_eq(in_outbox(w, a), 0);
    world_free(w);
}
END_TEST

START_TEST(history_search_unread_draft)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_send(w, a, "bob", "did the build go through?");
    world_send(w, b, "alice", "yes, \"all\" of it: 100%");
    json_t *sent = must(w, a, "history", json_pack("{ss}", "name", "bob"));
    ck_assert_uint_eq(json_array_size(sent), 2);
    const char *id = json_string_value(json_object_get(json_array_get(sent, 0), "id"));
    json_decref(must(w, b, "send", json_pack("{ss ss ss}", "to", "alice", "text", "about that", "reply_to", id)));
    json_t *list = must(w, a, "receive", NULL);
    ck_assert_uint_eq(json_array_size(list), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "reply_to")), id);
    json_decref(list);
    json_decref(sent);
    static const struct {
        const char *query;
        size_t found;
    } row[] = { { "build", 1 }, { "BUIL", 1 },           { "build through", 1 }, { "build yes", 0 }, { "\"all\"", 1 },
                { "100%", 1 },  { "about OR build", 0 }, { "* NEAR(", 0 },       { "text:build", 0 } };
    for (size_t i = 0; i < ROWS(row); i++) {
        list = must(w, a, "search", json_pack("{ss}", "query", row[i].query));
        ck_assert_msg(json_array_size(list) == row[i].found, "%s: %zu", row[i].query, json_array_size(list));
        json_decref(list);
        list = must(w, a, "history", json_pack("{ss ss}", "name", "bob", "search", row[i].query));
        ck_assert_uint_eq(json_array_size(list), row[i].found);
        json_decref(list);
    }
    must_fail(w, a, "search", json_pack("{ss}", "query", "  "), "bad-search", 2);
    json_t *contacts = must(w, a, "contacts", NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(contacts, 0), "unread")), 2);
    json_decref(contacts);
    json_decref(must(w, a, "read", json_pack("{ss}", "name", "bob")));
    json_decref(must(w, a, "draft", json_pack("{ss ss}", "name", "bob", "text", "half a")));
    contacts = must(w, a, "contacts", NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(contacts, 0), "unread")), 0);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(contacts, 0), "draft")), "half a");
    json_decref(contacts);
    world_free(w);
}
END_TEST

START_TEST(texts_that_cannot_be_sent)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    char *big = malloc(TACET_TEXT_MAX_BYTES + 2);
    memset(big, 'x', TACET_TEXT_MAX_BYTES + 1);
    big[TACET_TEXT_MAX_BYTES + 1] = '\0';
    must_fail(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", big), "too-long", 2);
    must_fail(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", ""), "empty", 2);
    must_fail(w, a, "send", json_pack("{ss}", "to", "bob"), "bad-parameter", 2);
    must_fail(w, a, "nonsense", NULL, "unknown-method", 2);
    big[TACET_TEXT_MAX_BYTES] = '\0';
    world_send(w, a, "bob", big);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), big);
    free(big);
    world_free(w);
}
END_TEST

START_TEST(a_full_mailbox_waits_and_is_told)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    w->refuse_sends = ERROR_QUOTA;
    world_send(w, a, "bob", "one");
    world_send(w, a, "bob", "two");
    json_t *error = world_event_last(w, a, "error");
    ck_assert_str_eq(json_string_value(json_object_get(error, "code")), "quota");
    ck_assert_int_eq(json_integer_value(json_object_get(error, "exit")), 7);
    size_t sends = w->person[a].sends;
    world_advance(w, 20000);
    ck_assert_uint_eq(w->person[a].sends, sends); /* not hammered */
    w->refuse_sends = 0;
    world_advance(w, 20000);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "one|two");
    world_free(w);
}
END_TEST

/* M08: the relay drops two stored messages and swaps two others: all that came is shown, and the gap too. */
START_TEST(M08_dropped_and_reordered)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_account *box = world_account_of(w, b);
    w->hold = true;
    size_t first = box->boxed;
    static const char *const text[] = { "0", "1", "2", "3", "4", "5" };
    for (size_t i = 0; i < ROWS(text); i++)
        world_send(w, a, "bob", text[i]);
    box->box[first + 1].gone = box->box[first + 2].gone = true;
    world_envelope *swap = malloc(sizeof *swap);
    *swap = box->box[first + 4];
    box->box[first + 4] = box->box[first + 5];
    box->box[first + 5] = *swap;
    world_envelope *late = malloc(sizeof *late);
    *late = box->box[first + 1];
    world_release(w);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "0|gap|3|5|4"); /* the gap of one before 5 was filled by 4 */
    ck_assert_uint_eq(world_events(w, b, "gap"), 2);
    json_t *list = must(w, b, "history", json_pack("{ss}", "name", "alice"));
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 1), "missing")), 2);
    json_decref(list);
    world_inject(w, b, late); /* the relay thinks better of one */
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "1");
    list = must(w, b, "history", json_pack("{ss}", "name", "alice"));
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 1), "missing")), 1);
    json_decref(list);
    ck_assert_uint_eq(world_events(w, b, "history-forked"), 0);
    free(swap);
    free(late);
    world_free(w);
}
END_TEST

/* M10: dates that cannot be are replaced by ours and marked; nothing is lost. */
START_TEST(M10_dates_that_cannot_be)
{
    static const struct {
        uint64_t time_ms; /* 0: `offset` from now */
        int64_t offset;
        bool suspect;
    } row[] = { { 0, 0, false },
                { 0, -3600000, false },
                { 0, 1800000, false },
                { 0, 7200000, true },
                { 0, -(int64_t)33 * 86400000, true },
                { 1, 0, true },
                { 1000000000000000000, 0, true },
                { UINT64_MAX, 0, true },
                { (uint64_t)INT64_MIN, 0, true } };
    size_t a, b;
    world *w = world_pair(&a, &b);
    for (size_t i = 0; i < ROWS(row); i++) {
        uint64_t now = w->person[b].env.wall_ms;
        content k = { .kind = CONTENT_TEXT, .time_ms = row[i].time_ms ? row[i].time_ms : now + (uint64_t)row[i].offset };
        k.text.text = (view){ (const uint8_t *)"t", 1 };
        world_say(w, a, "bob", &k, VAULT_OUT_MESSAGE);
        json_t *list = must(w, b, "history", json_pack("{ss si}", "name", "alice", "limit", 1)), *m = json_array_get(list, 0);
        ck_assert_msg(json_is_true(json_object_get(m, "time_suspect")) == row[i].suspect, "row %zu", i);
        if (row[i].suspect)
            ck_assert_str_eq(json_string_value(json_object_get(m, "sent_at")), json_string_value(json_object_get(m, "received_at")));
        json_decref(list);
    }
    world_free(w);
}
END_TEST

/* S11: a clock a day behind, or ten years ahead: it is said, what needs dates is refused, and no message is lost on either side. */
START_TEST(S11_clocks_that_are_off)
{
    static const int64_t off_s[] = { -86400 - 7200, (int64_t)3650 * 86400 };
    for (size_t i = 0; i < ROWS(off_s); i++) {
        size_t a, b;
        world *w = world_pair(&a, &b);
        size_t c = world_join(w, "carol");
        char link[512];
        world_link(w, c, link);
        world_close(w, b);
        world_send(w, a, "bob", "for later");
        world_close(w, a);
        w->person[a].env.wall_ms += (uint64_t)(off_s[i] * 1000);
        w->relay_clock_s = -off_s[i]; /* as a sees it */
        world_open(w, a);
        world_advance(w, 5000);
        ck_assert_uint_eq(world_events(w, a, "clock"), 1);
        must_fail(w, a, "add", json_pack("{ss}", "target", link), "clock", 1);
        ck_assert_uint_eq(in_outbox(w, a), 1); /* not expired */
        world_send(w, a, "bob", "with a wrong date");
        w->relay_clock_s = 0;
        world_open(w, b);
        world_run(w);
        ck_assert_str_eq(world_received(w, b, room, sizeof room), "for later|with a wrong date");
        world_send(w, b, "alice", "set your clock");
        w->relay_clock_s = -off_s[i];
        ck_assert_str_eq(world_received(w, a, room, sizeof room), "set your clock");
        world_close(w, a);
        w->person[a].env.wall_ms -= (uint64_t)(off_s[i] * 1000);
        w->relay_clock_s = 0;
        world_open(w, a);
        world_advance(w, 5000);
        json_decref(must(w, a, "add", json_pack("{ss}", "target", link)));
        world_send(w, a, "bob", "done");
        ck_assert_str_eq(world_received(w, b, room, sizeof room), "done");
        ck_assert_uint_eq(world_events(w, b, "quarantined") + world_events(w, a, "quarantined"), 0);
        world_free(w);
    }
}
END_TEST

/* A thousand in a row with both processes dying in between: each once, in order. */
START_TEST(a_thousand_with_restarts)
{
    size_t a, b, shown = 0;
    world *w = world_pair(&a, &b);
    for (int i = 0; i < 1000; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        json_decref(must(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", text)));
        if (i % 97 == 13) {
            world_close(w, a);
            world_open(w, a);
        }
        if (i % 89 == 40) {
            world_close(w, b);
            world_open(w, b);
        }
    }
    world_advance(w, 20000);
    for (json_t *list; (list = must(w, b, "receive", NULL)) != NULL;) {
        size_t i, n = json_array_size(list);
        json_t *one, *ids = json_array();
        json_array_foreach(list, i, one)
        {
            ck_assert_uint_eq(strtoul(json_string_value(json_object_get(one, "text")), NULL, 10), shown++);
            json_array_append(ids, json_object_get(one, "id"));
        }
        json_decref(list);
        json_decref(must(w, b, "handed", json_pack("{so}", "ids", ids)));
        if (n == 0)
            break;
    }
    ck_assert_uint_eq(shown, 1000);
    ck_assert_uint_eq(in_outbox(w, a), 0);
    ck_assert_uint_eq(world_events(w, b, "gap") + world_events(w, b, "quarantined"), 0);
    world_free(w);
}
END_TEST

/* Whatever a relay tells, no reckoning overflows, and its hour is as wrong as any other. */
START_TEST(S11_hours_that_cannot_be)
{
    static const uint64_t hour_s[] = { UINT64_MAX, (uint64_t)1 << 63, ((uint64_t)1 << 63) - 1, ((uint64_t)1 << 40) + 1, 1 };
    size_t a, b;
    world *w = world_pair(&a, &b);
    for (size_t i = 0; i < ROWS(hour_s); i++) {
        world_close(w, a);
        w->relay_hour_s = hour_s[i];
        world_open(w, a);
        world_advance(w, 5000);
        engine *e = w->person[a].e;
        ck_assert(clock_off(e));
        ck_assert_int_le(e->clock_offset_s, (int64_t)1 << 40);
        ck_assert_int_ge(e->clock_offset_s, -((int64_t)1 << 40));
        must_fail(w, a, "add", json_pack("{ss}", "target", "somebody"), "clock", 1);
        world_send(w, a, "bob", "for bob");
        ck_assert_str_eq(world_received(w, b, room, sizeof room), "for bob");
    }
    world_free(w);
}
END_TEST

SUITE("conversation", TEST(offline_for_a_day_and_delivered_at_return), TEST(without_a_relay_it_waits_in_order),
      TEST(S04_same_bytes_again_after_a_lost_answer), TEST(S04_killed_before_the_acknowledgement), TEST(S13_redelivered_after_its_key_is_gone),
      TEST(a_restored_relay_gets_it_again), TEST(expired_is_shown), TEST(receipts_wait_unless_somebody_does), TEST(receipts_go_in_batches),
      TEST(history_search_unread_draft), TEST(texts_that_cannot_be_sent), TEST(a_full_mailbox_waits_and_is_told), TEST(M08_dropped_and_reordered),
      TEST(M10_dates_that_cannot_be), TEST(S11_clocks_that_are_off), TEST(S11_hours_that_cannot_be), TEST(a_thousand_with_restarts))
