/* Prekeys in time, and past it (R04, R05): what a bundle that does not do means, whose clock says so (S11), and first contact with who was long away. */
#include "identity/prekey.h"
#include "state.h"
#include "suite.h"
#include "world.h"
#include <string.h>

enum { DAY_S = 86400 };
static char room[65536], link_room[512];

/* Nobody is online; come_back is. */
static void days_pass(world *w, unsigned days)
{
    for (size_t i = 0; i < WORLD_PEOPLE; i++)
        if (w->person[i].used) {
            world_close(w, i);
            w->person[i].env.wall_ms += (uint64_t)days * DAY_S * 1000;
        }
}

static void come_back(world *w, size_t who)
{
    world_open(w, who);
    world_advance(w, 5000);
}

static vault_contact contact(world *w, size_t who, const char *name)
{
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(w->person[who].e->vault, name, &c), TACET_OK);
    return c;
}

static size_t sessions_with(world *w, size_t who, const char *name)
{
    vault_session_head head[16];
    size_t n = 0;
    ck_assert_int_eq(vault_session_heads(w->person[who].e->vault, contact(w, who, name).id, 1, head, ROWS(head), &n), TACET_OK);
    return n;
}

static void want_reset(world *w, size_t who, const char *name)
{
    engine *e = w->person[who].e;
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    vault_contact c = contact(w, who, name);
    c.reset_ms = 0;
    ck_assert_int_eq(vault_contact_update(e->vault, &c), TACET_OK);
    ck_assert_int_eq(reset_wanted(e, c.id), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    engine_tick(e);
    world_run(w);
}

static void check_said(world *w, size_t who, const char *code)
{
    json_t *event = world_event_last(w, who, "error");
    ck_assert_uint_eq(world_events(w, who, "error"), 1);
    ck_assert_str_eq(json_string_value(json_object_get(event, "code")), code);
    ck_assert_str_eq(json_string_value(json_object_get(event, "conversation")), "bob");
}

/* What is signed by `bob` himself, at another time. */
static void sign_keys_of(world *w, size_t bob, uint64_t created_s)
{
    world_account *box = world_account_of(w, bob);
    const own_account *me = &w->person[bob].e->me;
    for (size_t i = 0; i < box->keys; i++) {
        prekey p;
        enum prekey_kind kind = (enum prekey_kind)box->key[i].bytes[0];
        if (box->key[i].gone)
            continue;
        const device_entry *d = device_list_find(&me->list, me->device);
        ck_assert_int_eq(
            prekey_decode(&p, kind, box->key[i].bytes, box->key[i].n, &me->list.account, d->id, d->sign, w->person[bob].env.wall_ms / 1000),
            TACET_OK);
        p.created_s = created_s;
        p.expires_s = created_s + TACET_PREKEY_LIFETIME_S;
        ck_assert_int_eq(prekey_sign(&p, box->key[i].bytes, &box->key[i].n, &me->list.account, me->device, me->secret->sign), TACET_OK);
    }
}

/* R04: a contact's keys that have expired, or that somebody else signed, say nothing about their device lists: no fork is shown, nothing is held, the
 * reason is said once, and when there are keys again what waited goes on by itself. */
START_TEST(R04_prekeys_that_do_not_do_are_no_fork)
{
    bool forged = _i == 1;
    size_t a, b;
    world *w = world_pair(&a, &b);
    size_t m = world_join(w, "mallory");
    world_account *box = world_account_of(w, b);
    world_prekey *true_keys = calloc(WORLD_PREKEYS, sizeof *true_keys);
    memcpy(true_keys, box->key, sizeof box->key);
    if (forged) {
        world_close(w, b);
        memcpy(box->key, world_account_of(w, m)->key, sizeof box->key);
    } else {
        days_pass(w, TACET_PREKEY_LIFETIME_S / DAY_S + 3);
        come_back(w, a);
    }
    want_reset(w, a, "bob");
    for (int i = 0; i < 4; i++)
        world_advance(w, ENGINE_RESET_RETRY_MS + 1000);
    check_said(w, a, forged ? "prekeys-forged" : "prekeys-expired");
    ck_assert_uint_eq(world_events(w, a, "list-fork") + world_events(w, a, "session-reset"), 0);
    ck_assert(contact(w, a, "bob").reset_wanted);
    world_send(w, a, "bob", "are you there?");
    if (forged)
        memcpy(box->key, true_keys, sizeof box->key);
    world_open(w, b);
    world_advance(w, ENGINE_RESET_RETRY_MS + 10000);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "are you there?");
    ck_assert_uint_eq(world_events(w, a, "session-reset"), 1);
    world_send(w, b, "alice", "here");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "here");
    ck_assert_uint_eq(world_events(w, a, "error"), 1);
    free(true_keys);
    world_free(w);
}
END_TEST

/* R04: the same while a person waits for it, in words that fit. */
START_TEST(R04_adding_somebody_whose_prekeys_expired)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    world_link(w, b, link_room);
    days_pass(w, TACET_PREKEY_LIFETIME_S / DAY_S + 3);
    come_back(w, a);
    must_fail(w, a, "add", json_pack("{ss}", "target", link_room), "prekeys-expired", 1);
    come_back(w, b);
    json_decref(must(w, a, "add", json_pack("{ss}", "target", link_room)));
    world_free(w);
}
END_TEST

/* S11: a relay that says it is last year, and gives last year's keys, of which somebody may have the private halves by now: none are taken. The other
 * way round (our clock is off, the keys are good) nothing is taken either, and nothing is lost: it goes on when the clocks agree. */
START_TEST(S11_no_prekeys_while_the_clocks_differ)
{
    static const int64_t off_s[] = { -365 * (int64_t)DAY_S, 3650 * (int64_t)DAY_S };
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_account *box = world_account_of(w, b);
    world_prekey *true_keys = calloc(WORLD_PREKEYS, sizeof *true_keys);
    memcpy(true_keys, box->key, sizeof box->key);
    size_t before = sessions_with(w, a, "bob");
    w->relay_clock_s = off_s[_i];
    sign_keys_of(w, b, (uint64_t)((int64_t)(w->person[a].env.wall_ms / 1000) + off_s[_i]));
    world_close(w, b);
    world_close(w, a);
    come_back(w, a);
    ck_assert_uint_eq(world_events(w, a, "clock"), 1);
    want_reset(w, a, "bob");
    world_advance(w, ENGINE_RESET_RETRY_MS + 1000);
    ck_assert_uint_eq(sessions_with(w, a, "bob"), before);
    ck_assert_uint_eq(world_events(w, a, "session-reset") + world_events(w, a, "list-fork") + world_events(w, a, "error"), 0);
    ck_assert(contact(w, a, "bob").reset_wanted);
    world_send(w, a, "bob", "in the old session");
    w->relay_clock_s = 0;
    memcpy(box->key, true_keys, sizeof box->key);
    world_close(w, a);
    world_open(w, b);
    come_back(w, a);
    world_advance(w, ENGINE_RESET_RETRY_MS + 1000);
    ck_assert_uint_eq(world_events(w, a, "session-reset"), 1);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "in the old session");
    world_send(w, a, "bob", "in the new one");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "in the new one");
    free(true_keys);
    world_free(w);
}
END_TEST

/* Somebody is online every five days, for a moment. */
static void days_pass_with(world *w, unsigned days, size_t who)
{
    for (unsigned day = 0; day < days; day += 5) {
        days_pass(w, 5);
        come_back(w, who);
    }
}

/* R05: first contact with somebody who registered long ago, online now and then or not at all. Of a relay that does not let expired keys go, too. */
static const struct {
    unsigned days;
    bool online, old_relay, kem_used, reduced;
} weeks[] = {
    { 16, false, false, false, false }, { 16, true, false, false, false }, { 30, false, false, false, false }, { 45, true, false, false, false },
    { 100, true, false, false, false }, { 45, true, true, false, true },   { 45, true, true, true, true },
};
START_TEST(R05_first_contact_after_weeks)
{
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    world_link(w, b, link_room);
    w->old_bundles = weeks[_i].old_relay ? 7 : 0; /* that many in one go, as the real one */
    if (weeks[_i].online)
        days_pass_with(w, weeks[_i].days, b);
    else
        days_pass(w, weeks[_i].days);
    if (weeks[_i].online)
        world_close(w, b);
    world_account *box = world_account_of(w, b);
    for (size_t i = 0; i < box->keys && weeks[_i].kem_used; i++)
        box->key[i].gone = box->key[i].gone || box->key[i].bytes[0] == PREKEY_KEM_ONE_TIME;
    come_back(w, a);
    json_decref(must(w, a, "add", json_pack("{ss ss}", "target", link_room, "text", "long time no see")));
    ck_assert_int_eq(contact(w, a, "bob").reduced, weeks[_i].reduced);
    come_back(w, b);
    ck_assert_uint_eq(world_events(w, b, "request"), 1);
    json_decref(must(w, b, "accept", json_pack("{ss}", "name", "alice")));
    world_send(w, b, "alice", "indeed");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "indeed");
    world_send(w, a, "bob", "how are you?");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "how are you?");
    ck_assert_uint_eq(world_events(w, a, "error") + world_events(w, b, "error") + world_events(w, b, "quarantined"), 0);
    world_free(w);
}
END_TEST

static size_t in_time(world *w, size_t who, enum prekey_kind kind)
{
    size_t n = 0;
    const world_account *box = world_account_of(w, who);
    const own_account *me = &w->person[who].e->me;
    const device_entry *d = device_list_find(&me->list, me->device);
    for (size_t i = 0; i < box->keys; i++) {
        prekey p;
        n += !box->key[i].gone && prekey_decode(&p, kind, box->key[i].bytes, box->key[i].n, &me->list.account, d->id, d->sign,
                                                w->person[who].env.wall_ms / 1000) == TACET_OK;
    }
    return n;
}

/* R05: a relay that lost its memory is given what is in time, and takes it, whatever else the vault still keeps; and the private halves of what nobody
 * used go in the end. */
START_TEST(R05_a_relay_that_forgot_is_given_what_is_in_time)
{
    world *w = world_new();
    size_t b = world_join(w, "bob"), kept = 0;
    vault_prekey k;
    days_pass_with(w, 60, b);
    ck_assert_int_eq(vault_prekey_get(w->person[b].e->vault, PREKEY_SIGNED, 1, &k), TACET_OK);
    w->incarnation[0] ^= 1;
    world_account_of(w, b)->keys = 0;
    days_pass(w, 1);
    come_back(w, b);
    ck_assert_uint_eq(world_events(w, b, "error"), 0);
    ck_assert_uint_eq(in_time(w, b, PREKEY_SIGNED), 1);
    ck_assert_uint_eq(in_time(w, b, PREKEY_ONE_TIME), TACET_ONE_TIME_EC_PREKEYS);
    ck_assert_uint_eq(in_time(w, b, PREKEY_KEM_ONE_TIME), TACET_ONE_TIME_KEM_PREKEYS);
    ck_assert_uint_eq(in_time(w, b, PREKEY_KEM_LAST_RESORT), 1);
    days_pass(w, (TACET_PREKEY_LIFETIME_S + TACET_PREKEY_KEEP_S) / DAY_S + 1);
    come_back(w, b);
    for (uint32_t id = 1; id <= 127; id++)
        for (uint32_t kind = 1; kind <= 4; kind++)
            kept += vault_prekey_get(w->person[b].e->vault, kind, id, &k) == TACET_OK;
    ck_assert_uint_eq(kept, 0);
    sodium_memzero(&k, sizeof k);
    world_free(w);
}
END_TEST

/* Keys that an interrupted registration made, weeks ago or while the clock was years ahead, do not stand in the way of the next one. */
START_TEST(R05_registration_goes_on_with_keys_in_time)
{
    world *w = world_new();
    size_t b = world_bare(w, "bob");
    const uint64_t years_ms = 3650ull * DAY_S * 1000;
    json_t *params = json_pack("{ss ss}", "relay", w->relay_text, "name", "bob");
    json_incref(params);
    if (_i == 0) {
        w->down = true;
        must_fail(w, b, "init", params, "relay-unreachable", 3);
        days_pass(w, 60);
        world_open(w, b);
    } else {
        w->person[b].env.wall_ms += years_ms;
        w->relay_clock_s = -(int64_t)(years_ms / 1000);
        must_fail(w, b, "init", params, "clock", 1);
        world_close(w, b);
        w->person[b].env.wall_ms -= years_ms;
        w->relay_clock_s = 0;
        world_open(w, b);
    }
    w->down = false;
    json_decref(must(w, b, "init", params));
    ck_assert_uint_eq(in_time(w, b, PREKEY_SIGNED), 1);
    ck_assert_uint_eq(in_time(w, b, PREKEY_ONE_TIME), TACET_ONE_TIME_EC_PREKEYS);
    world_free(w);
}
END_TEST

SUITE("prekeys", LOOP(R04_prekeys_that_do_not_do_are_no_fork, 2), TEST(R04_adding_somebody_whose_prekeys_expired),
      LOOP(S11_no_prekeys_while_the_clocks_differ, 2), LOOP(R05_first_contact_after_weeks, ROWS(weeks)),
      TEST(R05_a_relay_that_forgot_is_given_what_is_in_time), LOOP(R05_registration_goes_on_with_keys_in_time, 2))
