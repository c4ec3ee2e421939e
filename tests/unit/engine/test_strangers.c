/* Somebody whom nobody has accepted yet: one request with one text, and nothing else is heard of them. */
#include "state.h"
#include "suite.h"
#include "world.h"
#include <string.h>

static char room[65536], link_room[512];
static const uint8_t token[32] = { 2 };

/* M06: a stranger's envelope may carry a request and nothing else. */
START_TEST(M06_what_a_stranger_may_say)
{
    static const content_kind kinds[] = { CONTENT_TEXT, CONTENT_RECEIPT, CONTENT_CONTROL, CONTENT_EDIT, CONTENT_GROUP_STATE };
    static const uint8_t id[16] = { 1 }, empty_map[] = { 0x80 };
    world *w = world_new();
    size_t a = world_join(w, "alice"), m = world_join(w, "mallory");
    w->hold = true;
    json_decref(must(w, m, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    world_account_of(w, a)->box[0].gone = true; /* her true request never arrives */
    w->hold = false;
    size_t keys = world_prekeys(w, a);
    for (size_t i = 0; i < ROWS(kinds); i++) {
        content k = { .kind = kinds[i], .time_ms = w->person[m].env.wall_ms };
        if (kinds[i] == CONTENT_TEXT) {
            k.text.text = (view){ (const uint8_t *)"carbon", 6 };
        } else if (kinds[i] == CONTENT_RECEIPT) {
            k.receipt.state = RECEIPT_READ;
            k.receipt.ids.count = 1;
            k.receipt.ids.item[0] = (view){ id, 16 };
        } else if (kinds[i] == CONTENT_CONTROL) {
            k.control.what = CONTROL_ACCEPT;
            k.control.token = (view){ token, 32 };
        } else {
            k.unknown.body = (view){ empty_map, 1 };
        }
        world_say(w, m, "alice", &k, VAULT_OUT_REQUEST);
        ck_assert_uint_eq(world_events(w, a, "quarantined"), i + 1);
    }
    ck_assert_uint_eq(world_contacts(w, a), 0);
    ck_assert_uint_eq(world_prekeys(w, a), keys);
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "");
    ck_assert_uint_eq(w->person[a].sends, 0);
    world_free(w);
}
END_TEST

/* M06: a contact's request by the wrong door is refused as well; in a session of its own making, too: then not even the session stays, and no prekey is
 * used. */
START_TEST(M06_a_contact_does_not_ask_again)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    content k = { .kind = CONTENT_REQUEST, .time_ms = w->person[b].env.wall_ms };
    k.request.name = (view){ (const uint8_t *)"x", 1 };
    k.request.relay = (view){ (const uint8_t *)w->relay_text, strlen(w->relay_text) };
    k.request.token = (view){ token, 32 };
    world_say(w, b, "alice", &k, VAULT_OUT_MESSAGE);
    ck_assert_uint_eq(world_events(w, a, "quarantined"), 1);
    vault_contact c;
    engine *eb = w->person[b].e;
    vault_session_head head[8];
    size_t before = 0, after = 0;
    w->hold = true;
    ck_assert_int_eq(vault_contact_by_alias(eb->vault, "alice", &c), TACET_OK);
    ck_assert_int_eq(txn_begin(eb), TACET_OK);
    ck_assert_int_eq(reset_wanted(eb, c.id), TACET_OK);
    ck_assert_int_eq(txn_end(eb, TACET_OK), TACET_OK);
    engine_tick(eb);
    world_run(w);
    world_account *box = world_account_of(w, a);
    box->box[box->boxed - 1].gone = true; /* the reset itself never arrives */
    w->hold = false;
    size_t keys = world_prekeys(w, a);
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &c), TACET_OK);
    ck_assert_int_eq(vault_session_heads(w->person[a].e->vault, c.id, 0, head, 8, &before), TACET_OK);
    world_say(w, b, "alice", &k, VAULT_OUT_MESSAGE);
    ck_assert_uint_eq(world_events(w, a, "quarantined"), 2);
    ck_assert_uint_eq(world_prekeys(w, a), keys);
    ck_assert_int_eq(vault_session_heads(w->person[a].e->vault, c.id, 0, head, 8, &after), TACET_OK);
    ck_assert_uint_eq(before, after);
    world_send(w, a, "bob", "as before");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "as before");
    world_free(w);
}
END_TEST

static size_t messages_here(world *w, size_t who, const char *name)
{
    json_t *list = must(w, who, "history", json_pack("{ss}", "name", name));
    size_t n = json_array_size(list);
    json_decref(list);
    return n;
}

static void ask_again(world *w, size_t who, const char *name, uint64_t sequence, const char *relay, const char *text)
{
    vault_contact c;
    engine *e = w->person[who].e;
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(vault_contact_by_alias(e->vault, name, &c), TACET_OK);
    c.sequence = sequence - 1;
    ck_assert_int_eq(vault_contact_update(e->vault, &c), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    content k = { .kind = CONTENT_REQUEST, .time_ms = w->person[who].env.wall_ms };
    k.request.name = (view){ (const uint8_t *)w->person[who].name, strlen(w->person[who].name) };
    k.request.relay = (view){ (const uint8_t *)relay, strlen(relay) };
    k.request.token = (view){ c.our_token, sizeof c.our_token };
    k.request.text = (view){ (const uint8_t *)text, strlen(text) };
    world_say(w, who, name, &k, VAULT_OUT_REQUEST);
}

/* The only request that waits. */
static void check_request(world *w, size_t who, const char *relay, const char *text)
{
    json_t *list = must(w, who, "requests", NULL);
    ck_assert_uint_eq(json_array_size(list), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "relay")), relay);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "text")), text);
    json_decref(list);
}

/* M06: a stranger is one request with one text, whatever numbers they choose and however often they ask: no program is given anything of theirs, and
 * nothing grows. Then they are accepted, and are a contact as any other. */
START_TEST(M06_a_stranger_is_heard_once)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), m = world_join(w, "mallory");
    json_decref(must(w, a, "receive", json_pack("{ss}", "cursor", "bot")));
    w->hold = true;
    json_decref(must(w, m, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    world_account_of(w, a)->box[0].gone = true;
    w->hold = false;
    ask_again(w, m, "alice", 1000, w->relay_text, "the first");
    ck_assert_uint_eq(world_events(w, a, "request"), 1);
    ck_assert_uint_eq(messages_here(w, a, "mallory"), 1);
    for (uint64_t i = 1; i <= 10; i++)
        ask_again(w, m, "alice", i % 2 ? 1000 : 1000 + 50 * i, w->relay_text, i < 10 ? "and again" : "the last");
    ck_assert_uint_eq(world_events(w, a, "request"), 1);
    ck_assert_uint_eq(world_events(w, a, "gap") + world_events(w, a, "history-forked"), 0);
    ck_assert_uint_eq(messages_here(w, a, "mallory"), 1);
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "");
    check_request(w, a, w->relay_text, "the last"); /* of theirs, the one that they would see confirmed */
    json_t *list = must(w, a, "receive", json_pack("{ss}", "cursor", "bot"));
    ck_assert_uint_eq(json_array_size(list), 0);
    json_decref(list);
    json_decref(must(w, a, "accept", json_pack("{ss}", "name", "mallory")));
    world_send(w, m, "alice", "hello");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "hello");
    world_send(w, a, "mallory", "hello you");
    ck_assert_str_eq(world_received(w, m, room, sizeof room), "hello you");
    world_free(w);
}
END_TEST

/* M06: whoever asks from another relay than the one that is shown is not heard: who accepts, accepts what they saw. */
START_TEST(M06_a_stranger_keeps_to_their_relay)
{
    char other[TACET_LINK_MAX_CHARS + 1];
    world *w = world_new();
    size_t a = world_join(w, "alice"), m = world_join(w, "mallory");
    snprintf(other, sizeof other, "tacet://other.example:7450/%s", strrchr(w->relay_text, '/') + 1);
    json_decref(must(w, m, "add", json_pack("{ss ss}", "target", world_link(w, a, link_room), "text", "the first")));
    world_run(w);
    ask_again(w, m, "alice", 2, other, "from elsewhere");
    ck_assert_uint_eq(world_events(w, a, "quarantined"), 1);
    ck_assert_uint_eq(world_events(w, a, "request"), 1);
    check_request(w, a, w->relay_text, "the first");
    json_decref(must(w, a, "accept", json_pack("{ss}", "name", "mallory")));
    world_send(w, m, "alice", "hello");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "gap|hello"); /* what was not heard */
    world_free(w);
}
END_TEST

/* M06: whoever asks twice, in a session of its own each time (0), or shows newer device lists than ours (1), does not make us connect to the relay that
 * they name before we have decided. Then we do, and it flows. */
START_TEST(M06_no_connection_for_a_stranger)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), m = world_join(w, "mallory");
    own_account *me = &w->person[m].e->me;
    json_decref(must(w, m, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    world_advance(w, 2 * ENGINE_OPEN_IDLE_MS);
    size_t opens = w->person[a].opens;
    json_decref(must(w, m, "remove", json_pack("{ss}", "name", "alice")));
    for (int i = 0; _i && i < 2; i++) {
        world_account *acc = world_account_of(w, m);
        device_list next = me->list;
        next.version++;
        memcpy(next.previous, me->list.hash, 32);
        ck_assert_int_eq(device_list_sign(&next, me->signed_list, &me->signed_list_bytes, me->secret->ik), TACET_OK);
        memcpy(acc->list[acc->lists], me->signed_list, me->signed_list_bytes);
        acc->list_bytes[acc->lists++] = me->signed_list_bytes;
        me->list = next;
    }
    json_decref(must(w, m, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    world_advance(w, 2 * ENGINE_OPEN_IDLE_MS);
    ck_assert_uint_eq(world_events(w, a, "quarantined"), 0);
    ck_assert_uint_eq(w->person[a].opens, opens);
    json_decref(must(w, a, "accept", json_pack("{ss}", "name", "mallory")));
    world_run(w);
    ck_assert_uint_eq(w->person[a].opens, opens + 1);
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "mallory", &c), TACET_OK);
    ck_assert_uint_eq(c.list_version, me->list.version);
    world_send(w, m, "alice", "hello");
    world_send(w, a, "mallory", "hello you");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "hello");
    ck_assert_str_eq(world_received(w, m, room, sizeof room), "hello you");
    world_free(w);
}
END_TEST

/* Somebody who lost us before we have decided asks once more, with another token: it is that one that the answer goes to, and nothing is missing. */
START_TEST(a_stranger_who_lost_us_asks_again)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    for (int i = 0; i < 3; i++) {
        json_decref(must(w, b, "add", json_pack("{ss ss}", "target", world_link(w, a, link_room), "text", i ? "me again" : "me")));
        world_run(w);
        if (i < 2)
            json_decref(must(w, b, "remove", json_pack("{ss}", "name", "alice")));
    }
    ck_assert_uint_eq(world_events(w, a, "request"), 1);
    ck_assert_uint_eq(messages_here(w, a, "bob"), 1);
    check_request(w, a, w->relay_text, "me again");
    json_decref(must(w, a, "accept", json_pack("{ss}", "name", "bob")));
    world_run(w);
    ck_assert_uint_eq(world_events(w, b, "accepted"), 1);
    world_send(w, b, "alice", "hello");
    world_send(w, a, "bob", "hello you");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "hello");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "hello you");
    ck_assert_uint_eq(world_events(w, a, "history-forked") + world_events(w, b, "history-forked"), 0);
    world_free(w);
}
END_TEST

/* A request whose name or relay would harm is refused; nothing stays. */
START_TEST(M06_requests_that_are_not_proper)
{
    static const struct {
        const char *name, *relay;
    } row[] = { { "Bob", NULL }, { "\x1b[2J", NULL }, { "a/../b", NULL }, { "bob", "http://evil" }, { "bob", "tacet://host" }, { "-", NULL } };
    world *w = world_new();
    size_t a = world_join(w, "alice"), m = world_join(w, "mallory");
    w->hold = true;
    json_decref(must(w, m, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    world_account_of(w, a)->box[0].gone = true;
    w->hold = false;
    for (size_t i = 0; i < ROWS(row); i++) {
        const char *relay = row[i].relay ? row[i].relay : w->relay_text;
        content k = { .kind = CONTENT_REQUEST, .time_ms = w->person[m].env.wall_ms };
        k.request.name = (view){ (const uint8_t *)row[i].name, strlen(row[i].name) };
        k.request.relay = (view){ (const uint8_t *)relay, strlen(relay) };
        k.request.token = (view){ token, 32 };
        world_say(w, m, "alice", &k, VAULT_OUT_REQUEST);
        ck_assert_uint_eq(world_contacts(w, a), 0);
    }
    ck_assert_uint_eq(world_events(w, a, "quarantined"), ROWS(row));
    world_free(w);
}
END_TEST

SUITE("strangers", TEST(M06_what_a_stranger_may_say), TEST(M06_a_contact_does_not_ask_again), TEST(M06_requests_that_are_not_proper),
      TEST(M06_a_stranger_is_heard_once), TEST(M06_a_stranger_keeps_to_their_relay), LOOP(M06_no_connection_for_a_stranger, 2),
      TEST(a_stranger_who_lost_us_asks_again))
