/* A contact's device lists when the relay answers late (M01): what was checked against the list of then must not bring it back once a newer one has come
 * by another way, nor may anything leave by a ratchet that was given up. */
#include "restore_scene.h"

typedef struct {
    world *w;
    size_t thief, bob, alice;        /* thief: who has the device that alice's restore left out; alice: the restored one */
    world_account *account, *stolen; /* stolen: what the relay had for the account before the restore */
} scene;

static vault_contact alice_at_bob(const scene *s)
{
    vault_contact c;
    ck_assert_int_eq(vault_contact_by_alias(s->w->person[s->bob].e->vault, "alice", &c), TACET_OK);
    return c;
}

/* Alice's device 1 is stolen, and she is restored as device 2. Bob has written, was told that device 1 is gone, and has asked for the lists, on which the
 * relay sits; then the first envelope of the new device tells him all. */
static scene a_held_back_answer(void)
{
    scene s;
    s.w = pair(&s.thief, &s.bob);
    backup(s.w, s.thief);
    s.account = world_account_of(s.w, s.thief);
    s.stolen = malloc(sizeof *s.stolen);
    ck_assert_ptr_nonnull(s.stolen);
    *s.stolen = *s.account;
    world_close(s.w, s.thief);
    s.w->hold = true;
    s.w->lists_late_for = s.bob + 1;
    s.alice = world_bare(s.w, "new");
    json_decref(must(s.w, s.alice, "restore", restore_params(path_of(s.w, s.thief))));
    world_send(s.w, s.bob, "alice", "for alice alone");
    ck_assert_uint_eq(s.w->questions, 1);
    ck_assert_uint_eq(alice_at_bob(&s).list_version, 1);
    world_close(s.w, s.alice); /* so that what goes to her has no `delivered` */
    world_release(s.w);
    ck_assert_uint_eq(alice_at_bob(&s).list_version, 2);
    ck_assert_uint_eq(s.w->questions, 1);
    return s;
}

static void scene_end(scene *s)
{
    free(s->stolen);
    world_free(s->w);
}

/* The relay serves whoever is the account in `as`, which then is what it was for before. */
static void serve(world_account *a, world_account *as)
{
    world_account was = *a;
    a->lists = as->lists;
    a->device = as->device;
    a->person = as->person;
    a->keys = as->keys;
    a->link = 0;
    a->subscribed = false;
    memcpy(a->transport, as->transport, sizeof a->transport);
    memcpy(a->key, as->key, sizeof a->key);
    *as = was;
}

START_TEST(M01_a_late_answer_does_not_bring_the_old_list_back)
{
    scene s = a_held_back_answer();
    serve(s.account, s.stolen); /* as if there had never been a restore */
    for (size_t i = 0; i < s.account->boxed; i++)
        s.account->box[i].delivered = true; /* what is there already waits for alice; the thief gets what comes from now on */
    world_answer_lists(s.w);
    world_open(s.w, s.thief);
    world_advance(s.w, 60000);
    ck_assert_str_eq(world_received(s.w, s.thief, room, sizeof room), "");
    ck_assert_uint_eq(alice_at_bob(&s).list_version, 2);
    ck_assert_uint_eq(world_events(s.w, s.bob, "list-fork"), 0); /* it withholds, and that is no fork */
    world_close(s.w, s.thief);
    serve(s.account, s.stolen); /* an honest relay again */
    world_open(s.w, s.alice);
    world_advance(s.w, 60000);
    ck_assert_str_eq(world_received(s.w, s.alice, room, sizeof room), "for alice alone");
    json_t *left = must(s.w, s.bob, "outbox", NULL);
    ck_assert_uint_eq(json_array_size(left), 0);
    json_decref(left);
    scene_end(&s);
}
END_TEST

/* The thief has the identity key, too, and signs other lists on version 1: as many as bob knows, or more. */
START_TEST(M01_a_late_answer_with_a_fork)
{
    scene s = a_held_back_answer();
    device_list next;
    ck_assert_int_eq(device_list_decode(&next, s.account->list[0], s.account->list_bytes[0]), TACET_OK);
    serve(s.account, s.stolen);
    world_open(s.w, s.thief);
    for (int i = 1; i <= 1 + _i; i++) {
        memcpy(next.previous, next.hash, sizeof next.previous);
        next.version++;
        ck_assert_int_eq(device_list_sign(&next, s.account->list[i], &s.account->list_bytes[i], s.w->person[s.thief].e->me.secret->ik), TACET_OK);
        s.account->lists = (size_t)i + 1;
    }
    world_answer_lists(s.w);
    ck_assert_uint_eq(alice_at_bob(&s).list_version, 2);
    ck_assert(alice_at_bob(&s).forked);
    ck_assert_uint_eq(world_events(s.w, s.bob, "list-fork"), 1);
    must_fail(s.w, s.bob, "send", json_pack("{ss ss}", "to", "alice", "text", "x"), "list-fork", 4);
    scene_end(&s);
}
END_TEST

/* The same list by both ways is no reason for anything. */
START_TEST(M01_a_late_answer_that_is_true)
{
    scene s = a_held_back_answer();
    world_answer_lists(s.w);
    world_open(s.w, s.alice);
    world_advance(s.w, 60000);
    ck_assert_str_eq(world_received(s.w, s.alice, room, sizeof room), "for alice alone");
    ck_assert_uint_eq(alice_at_bob(&s).list_version, 2);
    ck_assert_uint_eq(world_events(s.w, s.bob, "list-fork"), 0);
    ck_assert_uint_eq(world_events(s.w, s.bob, "new-device"), 1);
    scene_end(&s);
}
END_TEST

/* Whatever brought it about that all sessions are given up: what is sent waits, leaves by a new one, and is not lost. */
START_TEST(M01_a_retired_session_never_sends)
{
    static const uint8_t none[32];
    size_t a, b, count = 0;
    world *w = world_pair(&a, &b);
    engine *e = w->person[b].e;
    vault_contact c;
    vault_session_head head[16];
    ck_assert_int_eq(vault_contact_by_alias(e->vault, "alice", &c), TACET_OK);
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(vault_session_retire(e->vault, c.id, 1, none), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    ck_assert_int_eq(vault_session_heads(e->vault, c.id, 1, head, ROWS(head), &count), TACET_OK);
    ck_assert_uint_ge(count, 1);
    uint8_t old[32];
    uint64_t sealed = head[0].sealed;
    memcpy(old, head[0].id, sizeof old);
    w->lists_late_for = b + 1;
    world_send(w, b, "alice", "waits");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "");
    world_answer_lists(w);
    world_send(w, b, "alice", "follows");
    ck_assert_str_eq(world_received(w, a, room, sizeof room), "waits|follows");
    ck_assert_int_eq(vault_session_heads(e->vault, c.id, 1, head, ROWS(head), &count), TACET_OK);
    bool there = false;
    for (size_t i = 0; i < count; i++)
        if (memcmp(head[i].id, old, sizeof old) == 0) {
            there = true;
            ck_assert_uint_eq(head[i].sealed, sealed);
        }
    ck_assert(there);
    world_send(w, a, "bob", "back");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "back");
    world_free(w);
}
END_TEST

/* The linker brings every malloc here (meson.build). The small ones are Check's, which cannot do without. */
enum { SMALL_BYTES = 512 };
static unsigned mallocs, no_memory_at; /* the malloc that fails, counted from 1; 0: none */
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n) { return n > SMALL_BYTES && ++mallocs == no_memory_at ? NULL : __real_malloc(n); }

/* M01: memory that runs out while lists are looked at, wherever it does, says nothing about who signed them. */
START_TEST(M01_no_memory_is_no_fork)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    world_account *account = world_account_of(w, b);
    const own_account *bob = &w->person[b].e->me;
    device_list list = bob->list;
    vault_contact c;
    list.version = 2;
    memcpy(list.previous, list.hash, sizeof list.previous);
    ck_assert_int_eq(device_list_sign(&list, account->list[1], &account->list_bytes[1], bob->secret->ik), TACET_OK);
    account->lists = 2;
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &c), TACET_OK);
    for (unsigned at = 1; c.list_version == 1; at++) {
        ck_assert_uint_lt(at, 100);
        mallocs = 0;
        no_memory_at = at;
        lists_wanted(w->person[a].e, c.id);
        world_run(w);
        no_memory_at = 0;
        world_advance(w, 60000); /* whatever was cut off by that */
        ck_assert_int_eq(vault_contact_get(w->person[a].e->vault, c.id, &c), TACET_OK);
        ck_assert(!c.forked);
    }
    ck_assert_uint_eq(world_events(w, a, "list-fork"), 0);
    world_free(w);
}
END_TEST

/* M01: a contact with a relay of their own signs lists without end: whoever asks stops. */
START_TEST(M01_lists_without_end)
{
    size_t a, b;
    world *w = world_pair(&a, &b);
    engine *e = w->person[a].e;
    world_account *account = world_account_of(w, b);
    const own_account *bob = &w->person[b].e->me;
    vault_contact c;
    device_list list = bob->list;
    for (uint32_t i = 0; i < 3; i++) {
        list.version = TACET_LIST_VERSIONS_MAX - 1 + i;
        memcpy(list.previous, list.hash, sizeof list.previous);
        ck_assert_int_eq(device_list_sign(&list, account->list[i], &account->list_bytes[i], bob->secret->ik), TACET_OK);
        if (i > 0)
            continue;
        ck_assert_int_eq(vault_contact_by_alias(e->vault, "bob", &c), TACET_OK);
        contact_list_set(&c, &list, account->list[0], account->list_bytes[0]);
        ck_assert_int_eq(txn_begin(e), TACET_OK);
        ck_assert_int_eq(vault_contact_update(e->vault, &c), TACET_OK);
        ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    }
    account->lists_before = TACET_LIST_VERSIONS_MAX - 2;
    account->lists = 2;
    lists_wanted(e, c.id);
    world_run(w);
    ck_assert_int_eq(vault_contact_get(e->vault, c.id, &c), TACET_OK);
    ck_assert_uint_eq(c.list_version, TACET_LIST_VERSIONS_MAX);
    ck_assert(!c.forked);
    account->lists = 3;
    lists_wanted(e, c.id);
    world_run(w);
    ck_assert_int_eq(vault_contact_get(e->vault, c.id, &c), TACET_OK);
    ck_assert_uint_eq(c.list_version, TACET_LIST_VERSIONS_MAX);
    ck_assert(c.forked);
    world_free(w);
}
END_TEST

SUITE("lists", TEST(M01_a_late_answer_does_not_bring_the_old_list_back), LOOP(M01_a_late_answer_with_a_fork, 2), TEST(M01_a_late_answer_that_is_true),
      TEST(M01_a_retired_session_never_sends), TEST(M01_no_memory_is_no_fork), TEST(M01_lists_without_end))
