/* A malicious relay and malicious contacts. */
#include "state.h"
#include "suite.h"
#include "world.h"
#include <string.h>

static char room[65536], link_room[512];

/* R06: a first message that fails, wherever it was bent, leaves no contact, no session, and every one-time prekey; the true one still opens. */
START_TEST(R06_failed_first_message_changes_nothing)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    w->hold = true;
    json_decref(must(w, a, "add", json_pack("{ss ss}", "target", world_link(w, b, link_room), "text", "the true one")));
    world_account *box = world_account_of(w, b);
    world_envelope *v = malloc(sizeof *v), *bent = malloc(sizeof *v);
    *v = box->box[0];
    box->box[0].gone = true;
    world_release(w);
    size_t keys = world_prekeys(w, b), tampered = 0;
    ck_assert_uint_eq(keys, 127);
    /* clear bytes, KEM ciphertext, box, sealed header, commitment, body, tag */
    static const size_t at[] = { 1, 5, 36, 40, 41, 45, 49, 50, 600, 1136, 1140, 1170, 1300, 2360, 2361, 2400, 2470, 2500, 2530, 2600 };
    for (size_t i = 0; i < ROWS(at); i++, tampered++) {
        *bent = *v;
        bent->bytes[at[i] < v->n ? at[i] : v->n - 1] ^= 1;
        world_inject(w, b, bent);
    }
    for (size_t n = 1; n < v->n; n += 211, tampered++) {
        *bent = *v;
        bent->n = n;
        world_inject(w, b, bent);
    }
    ck_assert_uint_eq(world_events(w, b, "quarantined"), tampered);
    ck_assert_uint_eq(world_prekeys(w, b), keys);
    ck_assert_uint_eq(world_contacts(w, b), 0);
    world_inject(w, b, v);
    ck_assert_uint_eq(world_events(w, b, "request"), 1);
    ck_assert_uint_eq(world_prekeys(w, b), keys - 2);
    /* R01: and the same again under another envelope id is the same session */
    ck_assert_uint_eq(world_contacts(w, b), 1);
    free(v);
    free(bent);
    world_free(w);
}
END_TEST

/* M01: the relay serves a list that the account did not sign. */
START_TEST(M01_forged_device_list)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob"), m = world_join(w, "mallory");
    world_account *target = world_account_of(w, b);
    uint8_t mine[TACET_DEVICE_LIST_MAX_BYTES];
    size_t mine_bytes = target->list_bytes[0];
    memcpy(mine, target->list[0], mine_bytes);
    /* of another account altogether */
    memcpy(target->list[0], world_account_of(w, m)->list[0], mine_bytes);
    must_fail(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link_room)), "list-forged", 4);
    memcpy(target->list[0], mine, mine_bytes);
    target->list[0][100] ^= 1; /* a key inside, signature broken */
    must_fail(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link_room)), "list-forged", 4);
    memcpy(target->list[0], mine, mine_bytes);
    target->list[0][mine_bytes - 1] ^= 1; /* nothing but the signature */
    must_fail(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link_room)), "list-forged", 4);
    ck_assert_uint_eq(world_contacts(w, a), 0);
    memcpy(target->list[0], mine, mine_bytes);
    world_befriend(w, a, b);
    /* a second version that mallory signed: refused, shown, sending stops */
    memcpy(target->list[1], world_account_of(w, m)->list[0], mine_bytes);
    target->list_bytes[1] = mine_bytes;
    target->lists = 2;
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &c), TACET_OK);
    lists_wanted(w->person[a].e, c.id);
    world_run(w);
    ck_assert_uint_eq(world_events(w, a, "list-fork"), 1);
    must_fail(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", "x"), "list-fork", 4);
    world_free(w);
}
END_TEST

/* M01: lists that the account did sign, and that do not follow the one we know. */
START_TEST(M01_lists_that_do_not_follow)
{
    static const struct {
        uint64_t version;
        bool wrong_previous;
    } row[] = { { 2, true }, { 3, false }, { 1, false } };
    size_t a, b;
    world *w = world_pair(&a, &b);
    own_account *me = &w->person[b].e->me;
    device_list next = me->list;
    next.version = row[_i].version;
    next.device[0].created_s++; /* another list in any case */
    memcpy(next.previous, me->list.hash, 32);
    if (row[_i].version == 1)
        memset(next.previous, 0, 32);
    if (row[_i].wrong_previous)
        next.previous[7] ^= 1;
    world_account *acc = world_account_of(w, b);
    ck_assert_int_eq(device_list_sign(&next, acc->list[1], &acc->list_bytes[1], me->secret->ik), TACET_OK);
    acc->lists = 2;
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &c), TACET_OK);
    lists_wanted(w->person[a].e, c.id);
    world_run(w);
    ck_assert_uint_eq(world_events(w, a, "list-fork"), 1);
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &c), TACET_OK);
    ck_assert_uint_eq(c.list_version, 1);
    must_fail(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", "x"), "list-fork", 4);
    world_free(w);
}
END_TEST

/* M01: prekeys of another device in the bundle. */
START_TEST(M01_forged_prekeys)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob"), m = world_join(w, "mallory");
    world_account *target = world_account_of(w, b), *other = world_account_of(w, m);
    memcpy(target->key, other->key, sizeof target->key);
    must_fail(w, a, "add", json_pack("{ss}", "target", world_link(w, b, link_room)), "prekeys-forged", 4);
    ck_assert_uint_eq(world_contacts(w, a), 0);
    world_free(w);
}
END_TEST

/* M01: bob says with every content which list is his. The same version with another hash is a fork; a newer one is fetched. */
START_TEST(M01_lists_told_inside_contents)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    engine *eb = w->person[b].e;
    eb->me.list.hash[0] ^= 1;
    world_send(w, b, "alice", "which list?");
    ck_assert_uint_eq(world_events(w, a, "list-fork"), 1);
    must_fail(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", "x"), "list-fork", 4);
    json_decref(must(w, a, "trust", json_pack("{ss}", "name", "bob")));
    eb->me.list.hash[0] ^= 1;
    world_send(w, a, "bob", "better");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "better");
    /* bob has a second version; the relay serves it when asked */
    device_list next = eb->me.list;
    next.version = 2;
    memcpy(next.previous, eb->me.list.hash, 32);
    world_account *acc = world_account_of(w, b);
    ck_assert_int_eq(device_list_sign(&next, acc->list[1], &acc->list_bytes[1], eb->me.secret->ik), TACET_OK);
    acc->lists = 2;
    eb->me.list = next;
    memcpy(eb->me.signed_list, acc->list[1], acc->list_bytes[1]);
    eb->me.signed_list_bytes = acc->list_bytes[1];
    world_send(w, b, "alice", "new list");
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &c), TACET_OK);
    ck_assert_uint_eq(c.list_version, 2);
    ck_assert(!c.known_stale);
    world_send(w, a, "bob", "seen");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "seen");
    /* the relay rolls back: what alice knows does not */
    acc->lists = 1;
    lists_wanted(w->person[a].e, c.id);
    world_run(w);
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &c), TACET_OK);
    ck_assert_uint_eq(c.list_version, 2);
    world_free(w);
}
END_TEST

/* M01: a contact who says to know a newer list of ours is heard once, whatever number they say, and again when ours is another. Nothing is held up. */
START_TEST(M01_a_newer_list_of_our_own_is_told_once)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    engine *ea = w->person[a].e, *eb = w->person[b].e;
    vault_contact c;
    for (uint64_t i = 0; i < 6; i++) {
        if (i == 3)
            ea->me.list.version++;
        ck_assert_int_eq(vault_contact_by_alias(eb->vault, "alice", &c), TACET_OK);
        c.list_version = 10 + i;
        ck_assert_int_eq(txn_begin(eb), TACET_OK);
        ck_assert_int_eq(txn_end(eb, vault_contact_update(eb->vault, &c)), TACET_OK);
        world_send(w, b, "alice", "look");
        ck_assert_str_eq(world_received(w, a, room, sizeof room), "look");
        ck_assert_uint_eq(world_events(w, a, "list-fork"), i < 3 ? 1 : 2);
        ck_assert_str_eq(json_string_value(json_object_get(world_event_last(w, a, "list-fork"), "whose")), "own");
        if (i == 1) {
            world_close(w, a);
            world_open(w, a);
        }
        ea = w->person[a].e;
    }
    world_send(w, a, "bob", "so what");
    world_free(w);
}
END_TEST

/* M07: what alice sent comes back to her, as if from bob: shown as such, nothing else happens. */
START_TEST(M07_own_message_reflected)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_send(w, a, "bob", "mine");
    world_account *box = world_account_of(w, b);
    world_envelope *v = malloc(sizeof *v);
    *v = box->box[box->boxed - 1];
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &c), TACET_OK);
    memcpy(v->token_hash, c.our_hash, 32);
    world_inject(w, a, v);
    ck_assert_str_eq(json_string_value(json_object_get(world_event_last(w, a, "quarantined"), "reason")), "our own message, sent back");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "");
    world_advance(w, 10000);
    ck_assert_uint_eq(world_events(w, a, "session-reset"), 0);
    world_send(w, b, "alice", "yours");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "yours");
    free(v);
    world_free(w);
}
END_TEST

/* The contact's token in somebody else's hands opens nothing. */
START_TEST(R08_somebody_else_with_the_token)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    size_t m = world_join(w, "mallory");
    vault_contact hers, his;
    w->hold = true;
    json_decref(must(w, m, "add", json_pack("{ss}", "target", world_link(w, a, link_room))));
    world_account *box = world_account_of(w, a);
    world_envelope *v = malloc(sizeof *v);
    *v = box->box[box->boxed - 1];
    box->box[box->boxed - 1].gone = true;
    w->hold = false;
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &his), TACET_OK);
    memcpy(v->token_hash, his.our_hash, 32);
    v->token_kind = TOKEN_DELIVERY;
    size_t keys = world_prekeys(w, a);
    world_inject(w, a, v);
    ck_assert_str_eq(json_string_value(json_object_get(world_event_last(w, a, "quarantined"), "reason")), "somebody else used this contact's token");
    ck_assert_uint_eq(world_prekeys(w, a), keys);
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "mallory", &hers), TACET_E_NOT_FOUND);
    world_advance(w, 5000);
    ck_assert_uint_eq(world_events(w, a, "session-reset"), 0);
    free(v);
    world_free(w);
}
END_TEST

/* M09: nothing but texts of accepted contacts is ever confirmed. */
START_TEST(M09_probes_get_no_receipt)
{
    static const uint8_t unknown_id[16] = { 9 }, empty_map[] = { 0x80 };
    size_t a, b;
    world *w = world_pair(&a, &b);
    size_t sends = w->person[b].sends;
    for (int state = RECEIPT_DELIVERED; state <= RECEIPT_READ; state++) {
        content k = { .kind = CONTENT_RECEIPT, .time_ms = w->person[a].env.wall_ms, .flags = CONTENT_FLAG_WAITS };
        k.receipt.state = (uint8_t)state;
        k.receipt.ids.count = 1;
        k.receipt.ids.item[0] = (view){ unknown_id, 16 };
        world_say(w, a, "bob", &k, VAULT_OUT_PASSING);
    }
    static const content_kind kinds[] = { CONTENT_TYPING, CONTENT_REACTION, CONTENT_DELETE, CONTENT_EDIT };
    for (size_t i = 0; i < ROWS(kinds); i++) {
        content k = { .kind = kinds[i], .time_ms = w->person[a].env.wall_ms, .flags = CONTENT_FLAG_WAITS };
        k.unknown.body = (view){ empty_map, 1 };
        world_say(w, a, "bob", &k, VAULT_OUT_MESSAGE);
    }
    content k = { .kind = CONTENT_CONTROL, .time_ms = w->person[a].env.wall_ms, .flags = CONTENT_FLAG_WAITS };
    k.control.what = CONTROL_CARRIER;
    world_say(w, a, "bob", &k, VAULT_OUT_PASSING);
    k.control.what = 77;
    world_say(w, a, "bob", &k, VAULT_OUT_PASSING);
    world_advance(w, 30000);
    ck_assert_uint_eq(w->person[b].sends, sends);
    ck_assert_uint_eq(world_events(w, b, "quarantined"), 0);
    /* kept and shown as "needs a newer version": all but the passing one */
    json_t *list = must(w, b, "receive", NULL);
    ck_assert_uint_eq(json_array_size(list), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "needs_newer")), CONTENT_REACTION);
    json_decref(list);
    /* a stranger's request with a text, however long it waits for a decision */
    size_t m = world_join(w, "mallory");
    json_decref(must(w, m, "add", json_pack("{ss ss}", "target", world_link(w, b, link_room), "text", "are you there?")));
    ck_assert_uint_eq(world_events(w, b, "request"), 2); /* alice's was the first */
    world_advance(w, 60000);
    ck_assert_uint_eq(w->person[b].sends, sends);
    world_free(w);
}
END_TEST

/* R19 at this level: garbage with a contact's token costs a bounded number of trials and stops nobody. */
START_TEST(R19_garbage_does_not_block)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(w->person[b].e->vault, "alice", &c), TACET_OK);
    world_envelope *v = calloc(1, sizeof *v);
    memcpy(v->token_hash, c.our_hash, 32);
    v->token_kind = TOKEN_DELIVERY;
    w->hold = true;
    for (int i = 0; i < 300; i++) {
        v->n = 1 + (size_t)i * 61 % TACET_ENVELOPE_MAX_BYTES;
        randombytes_buf(v->bytes, v->n);
        if (i % 3) {
            v->bytes[0] = 1;
            v->bytes[1] = (uint8_t)(1 + i % 2);
        }
        world_inject(w, b, v);
    }
    world_send(w, a, "bob", "behind all that");
    world_release(w);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "behind all that");
    ck_assert_uint_eq(world_events(w, b, "quarantined"), 300);
    json_t *s = must(w, b, "status", NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(s, "quarantined")), 300);
    json_decref(s);
    world_advance(w, 10000);
    ck_assert_uint_eq(world_events(w, a, "session-reset"), 1);
    free(v);
    world_free(w);
}
END_TEST

SUITE("hostile", TEST(R06_failed_first_message_changes_nothing), TEST(M01_forged_device_list), TEST(M01_forged_prekeys),
      LOOP(M01_lists_that_do_not_follow, 3), TEST(M01_lists_told_inside_contents), TEST(M01_a_newer_list_of_our_own_is_told_once),
      TEST(M07_own_message_reflected), TEST(R08_somebody_else_with_the_token), TEST(M09_probes_get_no_receipt), TEST(R19_garbage_does_not_block))
