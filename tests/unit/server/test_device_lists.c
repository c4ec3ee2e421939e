/* Device lists at the relay: one follows the other, and a device that is no longer named is cut off wherever it is. */
#include "core_world.h"
#include "suite.h"
#include <string.h>

static frame reply;

/* A list of `p` with `extra` as its second device, new, or (without) one of device 1 alone again. The code of the relay's answer. */
static unsigned device_two(world *w, client *k, const person *p, const person *extra, device_list *list, bool there)
{
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES], proof[64];
    size_t n;
    memcpy(list->previous, list->hash, 32);
    list->version++;
    list->count = there ? 2 : 1;
    list->device[1] = extra->list.device[0];
    list->device[1].id = (uint32_t)list->version;
    ck_assert_int_eq(device_list_sign(list, bytes, &n, p->ik.secret), TACET_OK);
    frame f = person_devices(p, k->hash, list, bytes, n, proof);
    return client_code(w, k, &f);
}

START_TEST(device_lists_follow_each_other)
{
    world *w = world_new(NULL);
    person p, extra;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES], proof[64];
    size_t n;
    person_make(&p, w->wall_ms / 1000);
    person_make(&extra, w->wall_ms / 1000);
    client *a = person_join(w, &p), *k = client_open(w, TACET_ROLE_OPEN, NULL, 1);
    device_list next = p.list;
    next.version = 2;
    memcpy(next.previous, p.list.hash, 32);
    next.count = 2;
    next.device[1] = extra.list.device[0];
    next.device[1].id = 2;
    ck_assert_int_eq(device_list_sign(&next, bytes, &n, p.ik.secret), TACET_OK);
    frame f = person_devices(&p, a->hash, &next, bytes, n, proof);
    ck_assert_uint_eq(client_code(w, a, &f), 0);
    f.id = 0;
    ck_assert_uint_eq(client_code(w, a, &f), 0);                    /* the same again */
    client *second = client_open(w, TACET_ROLE_MAILBOX, &extra, 1); /* the new device is known at once */
    f = (frame){ .kind = FRAME_PREKEY_STATUS };
    ck_assert_uint_eq(client_code(w, second, &f), 0);
    frame ask = { .kind = FRAME_LISTS };
    ask.lists.account = (view){ p.list.account.bytes, 32 };
    client_ask(w, k, &ask, &reply);
    ck_assert_uint_eq(reply.lists_reply.lists.count, 2);
    ask.id = 0;
    ask.lists.after = 1;
    client_ask(w, k, &ask, &reply);
    ck_assert_uint_eq(reply.lists_reply.lists.count, 1);
    ck_assert_mem_eq(reply.lists_reply.lists.item[0].at, bytes, n);
    next.version = 4; /* one is missing */
    memcpy(next.previous, next.hash, 32);
    ck_assert_int_eq(device_list_sign(&next, bytes, &n, p.ik.secret), TACET_OK);
    f = person_devices(&p, a->hash, &next, bytes, n, proof);
    ck_assert_uint_eq(client_code(w, a, &f), ERROR_STALE_LIST);
    world_free(w);
}
END_TEST

START_TEST(a_removed_device_is_cut_off_and_stale)
{
    world *w = world_new(NULL);
    person p, extra;
    person_make(&p, w->wall_ms / 1000);
    person_make(&extra, w->wall_ms / 1000);
    client *a = person_join(w, &p), *k = client_open(w, TACET_ROLE_OPEN, NULL, 1);
    device_list list = p.list;
    ck_assert_uint_eq(device_two(w, a, &p, &extra, &list, true), 0);
    client *second = client_open(w, TACET_ROLE_MAILBOX, &extra, 1);
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = 10 };
    ck_assert_uint_eq(client_code(w, second, &f), 0);
    f = send_to(&p, p.token, "to two", 6);
    f.send.device = 2;
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    ck_assert_uint_eq(device_two(w, a, &p, &extra, &list, false), 0);
    ck_assert(second->closed);
    f = send_to(&p, p.token, "to two again", 12);
    f.send.device = 2;
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_STALE_DEVICE);
    f = send_to(&p, p.token, "to one", 6);
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    world_free(w);
}
END_TEST

/* Not only where it listens: a device that is lost could go on speaking for the account on any other connection of its own. */
START_TEST(M14_a_removed_device_is_cut_off_on_all_its_connections)
{
    world *w = world_new(NULL);
    person p, extra;
    person_make(&p, w->wall_ms / 1000);
    person_make(&extra, w->wall_ms / 1000);
    client *a = person_join(w, &p);
    device_list list = p.list;
    ck_assert_uint_eq(device_two(w, a, &p, &extra, &list, true), 0);
    client *listens = client_open(w, TACET_ROLE_MAILBOX, &extra, 1), *quiet = client_open(w, TACET_ROLE_MAILBOX, &extra, 1);
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = 10 };
    ck_assert_uint_eq(client_code(w, listens, &f), 0);
    ck_assert_uint_eq(device_two(w, a, &p, &extra, &list, false), 0);
    ck_assert(listens->closed);
    ck_assert(quiet->closed);
    ck_assert(!a->closed);
    world_free(w);
}
END_TEST

/* What it had asked when the list came that leaves it out is refused; it is no fault of the store's, for which a relay would stop. */
START_TEST(M14_requests_of_a_device_that_is_removed_meanwhile)
{
    static const frame_kind late[] = { FRAME_PREKEY_STATUS, FRAME_PUBLISH_PREKEYS, FRAME_WITHDRAW_NAME, FRAME_TOKENS };
    world *w = world_new(NULL);
    person p, extra;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES], proof[64], token[32], hash[32], room[TACET_PREKEY_MAX_BYTES];
    size_t n;
    person_make(&p, w->wall_ms / 1000);
    person_make(&extra, w->wall_ms / 1000);
    client *a = person_join(w, &p);
    device_list list = p.list;
    ck_assert_uint_eq(device_two(w, a, &p, &extra, &list, true), 0);
    client *second = client_open(w, TACET_ROLE_MAILBOX, &extra, 1);
    memcpy(list.previous, list.hash, 32);
    list.version++;
    list.count = 1;
    ck_assert_int_eq(device_list_sign(&list, bytes, &n, p.ik.secret), TACET_OK);
    frame f = person_devices(&p, a->hash, &list, bytes, n, proof);
    client_say(w, a, &f);
    world_threads(w); /* its signature is checked; it is not written yet */
    for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
        f = (frame){ .kind = late[i] };
        if (late[i] == FRAME_PUBLISH_PREKEYS) {
            person two = extra;
            two.list = list;
            two.list.device[0].id = 2;
            person_prekey(&two, PREKEY_SIGNED, 1, w->wall_ms / 1000, room, &f.publish_prekeys.prekeys.item[0]);
            f.publish_prekeys.prekeys.count = 1;
        }
        if (late[i] == FRAME_TOKENS) {
            token_make("of a thief", token, hash);
            f = tokens_of(TOKEN_DELIVERY, hash, NULL);
        }
        client_say(w, second, &f);
    }
    world_run(w);
    ck_assert(second->closed);
    client *k = client_open(w, TACET_ROLE_OPEN, NULL, 1);
    f = send_to(&p, token, "under its token", 15);
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_REFUSED); /* nothing of it was done */
    f = send_to(&p, p.token, "to device 1", 11);
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    world_free(w);
}
END_TEST

/* A stranger's question costs a bounded answer, which is charged before it is made; what is left comes when asked for. */
START_TEST(S12_lists_come_in_pieces)
{
    enum { VERSIONS = 40 };
    core_config config = core_config_default();
    config.lists = (limiter_rate){ VERSIONS + TACET_DEVICES_MAX, 1000 };
    world *w = world_new(&config);
    person p, extra;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES], proof[64];
    size_t n;
    uint64_t came = 0;
    core_counters before, now;
    person_make(&p, w->wall_ms / 1000);
    client *a = person_join(w, &p), *k = client_open(w, TACET_ROLE_OPEN, NULL, 1);
    device_list list = p.list;
    for (list.version = 2; list.version <= VERSIONS; list.version++) {
        if (list.count < TACET_DEVICES_MAX) {
            person_make(&extra, w->wall_ms / 1000);
            list.device[list.count] = extra.list.device[0];
            list.device[list.count++].id = (uint32_t)list.version;
        }
        memcpy(list.previous, list.hash, 32);
        ck_assert_int_eq(device_list_sign(&list, bytes, &n, p.ik.secret), TACET_OK);
        frame f = person_devices(&p, a->hash, &list, bytes, n, proof);
        ck_assert_uint_eq(client_code(w, a, &f), 0);
    }
    for (unsigned pieces = 0; came < VERSIONS; pieces++) {
        frame ask = { .kind = FRAME_LISTS, .lists = { { p.list.account.bytes, 32 }, came } };
        core_count(w->core, &before);
        client_say(w, k, &ask);
        core_count(w->core, &now);
        ck_assert_uint_ge(now.memory_bytes - before.memory_bytes, 32 * 1024);
        world_run(w);
        core_count(w->core, &now);
        ck_assert_uint_eq(now.memory_bytes, before.memory_bytes);
        ck_assert(client_hear(k, &reply));
        came += reply.lists_reply.lists.count;
        ck_assert(came == VERSIONS || reply.lists_reply.lists.count >= 16);
        ck_assert_uint_lt(reply.lists_reply.lists.count, VERSIONS);
        ck_assert_uint_lt(pieces, 3);
    }
    world_free(w);
}
END_TEST

/* Each list may use up mailbox numbers, of which there are only so many: an account cannot go through them. */
START_TEST(S12_device_lists_have_a_rate)
{
    world *w = world_new(NULL);
    person p, extra;
    unsigned taken = 0;
    person_make(&p, w->wall_ms / 1000);
    client *a = person_join(w, &p);
    device_list list = p.list;
    for (unsigned i = 0; i < RELAY_LIST_BURST + 3; i++) {
        device_list before = list;
        person_make(&extra, w->wall_ms / 1000);
        unsigned code = device_two(w, a, &p, &extra, &list, i % 2 == 0);
        ck_assert_uint_eq(code, i < RELAY_LIST_BURST ? 0 : ERROR_RATE);
        list = code ? before : list;
        taken += code == 0;
    }
    ck_assert_uint_eq(taken, RELAY_LIST_BURST);
    world_pass_us(w, RELAY_LIST_EVERY_MS * 1000ull);
    ck_assert_uint_eq(device_two(w, a, &p, &extra, &list, true), 0);
    world_free(w);
}
END_TEST

/* A restored backup: a connection whose key nobody knows brings the next list, which names it in place of the lost device. */
START_TEST(a_restored_device_takes_the_place_of_the_lost_one)
{
    world *w = world_new(NULL);
    person p, extra, other;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES], proof[64];
    size_t n;
    person_make(&p, w->wall_ms / 1000);
    person_make(&extra, w->wall_ms / 1000);
    person_make(&other, w->wall_ms / 1000);
    client *lost = person_join(w, &p), *k = client_open(w, TACET_ROLE_OPEN, NULL, 1);
    frame f = send_to(&p, p.token, "to the lost one", 15);
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    device_list next = p.list;
    next.version = 2;
    memcpy(next.previous, p.list.hash, 32);
    next.device[0] = extra.list.device[0];
    next.device[0].id = 2;
    ck_assert_int_eq(device_list_sign(&next, bytes, &n, p.ik.secret), TACET_OK);

    client *stranger = client_open(w, TACET_ROLE_MAILBOX, &other, 1); /* not the device that the list names */
    f = person_devices(&p, stranger->hash, &next, bytes, n, proof);
    ck_assert_uint_eq(client_code(w, stranger, &f), ERROR_REFUSED);
    client *fresh = client_open(w, TACET_ROLE_MAILBOX, &extra, 1), *twin = client_open(w, TACET_ROLE_MAILBOX, &extra, 1);
    f = person_devices(&p, stranger->hash, &next, bytes, n, proof); /* a proof for another connection */
    ck_assert_uint_eq(client_code(w, fresh, &f), ERROR_REFUSED);
    f = person_devices(&other, fresh->hash, &next, bytes, n, proof); /* by another identity key */
    ck_assert_uint_eq(client_code(w, fresh, &f), ERROR_REFUSED);
    f = (frame){ .kind = FRAME_PREKEY_STATUS };
    ck_assert_uint_eq(client_code(w, fresh, &f), ERROR_NOT_REGISTERED);
    f = (frame){ .kind = FRAME_PREKEY_STATUS };
    ck_assert_uint_eq(client_code(w, lost, &f), 0); /* nothing has changed so far */

    f = person_devices(&p, fresh->hash, &next, bytes, n, proof);
    ck_assert_uint_eq(client_code(w, fresh, &f), 0);
    f.id = 0;
    ck_assert_uint_eq(client_code(w, fresh, &f), 0); /* the same again */
    f = person_devices(&p, twin->hash, &next, bytes, n, proof);
    ck_assert_uint_eq(client_code(w, twin, &f), 0); /* and on another connection that did not know it yet */
    for (int i = 0; i < 2; i++) {
        f = (frame){ .kind = FRAME_SUBSCRIBE, .subscribe.credit = 10 };
        ck_assert_uint_eq(client_code(w, i ? twin : fresh, &f), 0);
    }
    f = (frame){ .kind = FRAME_PREKEY_STATUS };
    client *again = client_open(w, TACET_ROLE_MAILBOX, &p, 1);
    ck_assert_uint_eq(client_code(w, again, &f), ERROR_NOT_REGISTERED); /* the lost one is nobody any more */
    f = send_to(&p, p.token, "to the lost one", 15);
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_STALE_DEVICE);
    f = send_to(&p, p.token, "to the new one", 14);
    f.send.device = 2;
    ck_assert_uint_eq(client_code(w, k, &f), 0); /* the account's tokens stay */

    client *nobody = client_open(w, TACET_ROLE_MAILBOX, &other, 1); /* an account that this relay never saw */
    f = person_devices(&other, nobody->hash, &other.list, other.list_bytes, other.list_size, proof);
    ck_assert_uint_eq(client_code(w, nobody, &f), ERROR_NOT_REGISTERED);
    world_free(w);
}
END_TEST

/* The next list of `p`: its own device, and `other` (may be NULL) as a new one. */
static unsigned device_new(world *w, client *k, const person *p, device_list *list, const person *other)
{
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES], proof[64];
    size_t n;
    device_list next = *list;
    memcpy(next.previous, list->hash, 32);
    next.version++;
    next.count = other ? 2 : 1;
    if (other) {
        next.device[1] = other->list.device[0];
        next.device[1].id = (uint32_t)next.version;
    }
    ck_assert_int_eq(device_list_sign(&next, bytes, &n, p->ik.secret), TACET_OK);
    frame f = person_devices(p, k->hash, &next, bytes, n, proof);
    unsigned code = client_code(w, k, &f);
    if (code == 0)
        *list = next;
    return code;
}

/* Each new device is charged to the address, not only to the account; what only removes devices passes. */
START_TEST(S12_each_new_device_is_charged)
{
    enum { BURST = 10 };
    core_config config = core_config_default();
    person p, other[BURST + 2];
    config.registers = (limiter_rate){ BURST, 1000 };
    world *w = world_new(&config);
    for (unsigned i = 0; i < ROWS(other); i++)
        person_make(&other[i], w->wall_ms / 1000);
    person_make(&p, w->wall_ms / 1000);
    client *k = person_join(w, &p);
    device_list list = p.list;
    unsigned taken = 0;
    while (taken < ROWS(other) && device_new(w, k, &p, &list, &other[taken]) == 0)
        taken++;
    ck_assert_uint_eq(taken, BURST); /* the account itself was the first, and one may be owed */
    ck_assert_uint_eq(device_new(w, k, &p, &list, &other[taken]), ERROR_RATE);
    ck_assert_uint_eq(device_new(w, k, &p, &list, NULL), 0);
    world_pass_us(w, 2 * 1000000ull);
    ck_assert_uint_eq(device_new(w, k, &p, &list, &other[taken]), 0);
    world_free(w);
}
END_TEST

/* Where all numbers are given, nobody is told `ok` who could never be reached. */
START_TEST(S12_the_relay_has_room_for_so_many_mailboxes)
{
    core_config config = core_config_default();
    config.directory.mailboxes_max = 3;
    world *w = world_new(&config);
    person p[5];
    uint8_t proof[64];
    for (unsigned i = 0; i < ROWS(p); i++)
        person_make(&p[i], w->wall_ms / 1000);
    client *k = person_join(w, &p[0]);
    person_join(w, &p[1]);
    device_list list = p[0].list;
    ck_assert_uint_eq(device_new(w, k, &p[0], &list, &p[2]), 0);
    ck_assert_uint_eq(device_new(w, k, &p[0], &list, &p[3]), ERROR_QUOTA);
    client *late = client_open(w, TACET_ROLE_MAILBOX, &p[4], 1);
    frame f = person_register(&p[4], late->hash, proof);
    ck_assert_uint_eq(client_code(w, late, &f), ERROR_QUOTA);
    ck_assert_uint_eq(device_new(w, k, &p[0], &list, NULL), 0);
    f.id = 0;
    ck_assert_uint_eq(client_code(w, late, &f), ERROR_QUOTA); /* the number comes back with a restart */
    world_crash(w, &config);
    late = client_open(w, TACET_ROLE_MAILBOX, &p[4], 1);
    f = person_register(&p[4], late->hash, proof);
    ck_assert_uint_eq(client_code(w, late, &f), 0);
    world_free(w);
}
END_TEST

SUITE("device_lists", TEST(S12_each_new_device_is_charged), TEST(S12_the_relay_has_room_for_so_many_mailboxes), TEST(device_lists_follow_each_other),
      TEST(S12_lists_come_in_pieces), TEST(S12_device_lists_have_a_rate), TEST(a_removed_device_is_cut_off_and_stale),
      TEST(M14_a_removed_device_is_cut_off_on_all_its_connections), TEST(M14_requests_of_a_device_that_is_removed_meanwhile),
      TEST(a_restored_device_takes_the_place_of_the_lost_one))
