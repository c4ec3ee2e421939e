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

SUITE("prekeys", LOOP(R04_prekeys_that_do_not_do_are_no_fork, 2), TEST(R04_adding_somebody_whose_prekeys_expired),
      LOOP(S11_no_prekeys_while_the_clocks_differ, 2))
