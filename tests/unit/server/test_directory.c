/* Registration, lists, prekeys, tokens, names: what a client may ask of the relay, and what it may not. */
#include "core_world.h"
#include "suite.h"
#include <string.h>

static frame reply;

/* --- registration ----------------------------------------------------------------------------------------------------------------------- */
START_TEST(registration_open_and_the_same_again)
{
    world *w = world_new(NULL);
    person p, q;
    uint8_t proof[64];
    person_make(&p, w->wall_ms / 1000);
    person_make(&q, w->wall_ms / 1000);
    client *k = client_open(w, TACET_ROLE_MAILBOX, &p, 1);
    frame f = person_register(&p, k->hash, proof);
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    f.id = 0;
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    client_close(w, k);
    k = client_open(w, TACET_ROLE_MAILBOX, &p, 1); /* the proof of another connection says nothing here */
    f.id = 0;
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_REFUSED);
    f = person_register(&p, k->hash, proof);
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    client *other = client_open(w, TACET_ROLE_MAILBOX, &q, 1); /* somebody else's list over one's own transport key */
    f = person_register(&p, other->hash, proof);
    ck_assert_uint_eq(client_code(w, other, &f), ERROR_REFUSED);
    f = person_register(&q, other->hash, proof);
    proof[5] ^= 1;
    ck_assert_uint_eq(client_code(w, other, &f), ERROR_REFUSED);
    f = (frame){ .kind = FRAME_PREKEY_STATUS };
    ck_assert_uint_eq(client_code(w, other, &f), ERROR_NOT_REGISTERED);
    world_free(w);
}
END_TEST

/* M01: once there are newer lists, a first one of one's own making, with a signing key that no list ever named, is still not the one that registered. */
START_TEST(M01_registering_again_with_another_first_list)
{
    world *w = world_new(NULL);
    person p, extra;
    uint8_t proof[64], bytes[TACET_DEVICE_LIST_MAX_BYTES], room[2][TACET_PREKEY_MAX_BYTES];
    size_t n;
    person_make(&p, w->wall_ms / 1000);
    person_make(&extra, w->wall_ms / 1000);
    client *a = person_join(w, &p);
    device_list next = p.list;
    next.version = 2;
    memcpy(next.previous, p.list.hash, 32);
    ck_assert_int_eq(device_list_sign(&next, bytes, &n, p.ik.secret), TACET_OK);
    frame f = person_devices(&p, a->hash, &next, bytes, n, proof);
    ck_assert_uint_eq(client_code(w, a, &f), 0);
    person other = p;
    other.device_sign = extra.device_sign;
    memcpy(other.list.device[0].sign, extra.device_sign.public, 32);
    ck_assert_int_eq(device_list_sign(&other.list, other.list_bytes, &other.list_size, p.ik.secret), TACET_OK);
    client *again = client_open(w, TACET_ROLE_MAILBOX, &p, 1);
    f = person_register(&other, again->hash, proof);
    ck_assert_uint_eq(client_code(w, again, &f), ERROR_EXISTS);
    f = person_register(&p, again->hash, proof); /* the true one */
    ck_assert_uint_eq(client_code(w, again, &f), 0);
    f = (frame){ .kind = FRAME_PUBLISH_PREKEYS };
    f.publish_prekeys.prekeys.count = 1;
    person_prekey(&other, PREKEY_SIGNED, 1, w->wall_ms / 1000, room[0], &f.publish_prekeys.prekeys.item[0]);
    ck_assert_uint_ne(client_code(w, again, &f), 0);
    f = (frame){ .kind = FRAME_PUBLISH_PREKEYS };
    f.publish_prekeys.prekeys.count = 1;
    person_prekey(&p, PREKEY_SIGNED, 1, w->wall_ms / 1000, room[1], &f.publish_prekeys.prekeys.item[0]);
    client_ask(w, again, &f, &reply);
    ck_assert_int_eq(reply.kind, FRAME_PREKEY_COUNTS);
    world_free(w);
}
END_TEST

START_TEST(registration_closed_and_by_invitation)
{
    core_config c = core_config_default();
    c.directory.registration = REGISTRATION_CLOSED;
    world *w = world_new(&c);
    person p, q;
    uint8_t proof[64], invite[32], hash[32];
    person_make(&p, w->wall_ms / 1000);
    person_make(&q, w->wall_ms / 1000);
    client *k = client_open(w, TACET_ROLE_MAILBOX, &p, 1), *other = client_open(w, TACET_ROLE_MAILBOX, &q, 1);
    frame f = person_register(&p, k->hash, proof);
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_REGISTRATION_CLOSED);
    c.directory.registration = REGISTRATION_INVITE;
    core_configure(w->core, &c);
    f.id = 0;
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_INVITE);
    token_make("invitation", invite, hash);
    ck_assert_int_eq(relay_begin(w->store), TACET_OK);
    ck_assert_int_eq(relay_invite_add(w->store, hash, 1, w->wall_ms / 1000 + 60), TACET_OK);
    ck_assert_int_eq(relay_commit(w->store), TACET_OK);
    f.id = 0;
    f.register_.invite = (view){ hash, 32 }; /* the hash is not the token */
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_INVITE);
    f.id = 0;
    f.register_.invite = (view){ invite, 32 };
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    f = person_register(&q, other->hash, proof);
    f.register_.invite = (view){ invite, 32 };
    ck_assert_uint_eq(client_code(w, other, &f), ERROR_INVITE); /* used up */
    world_free(w);
}
END_TEST

START_TEST(invitation_expires)
{
    core_config c = core_config_default();
    c.directory.registration = REGISTRATION_INVITE;
    world *w = world_new(&c);
    person p;
    uint8_t proof[64], invite[32], hash[32];
    person_make(&p, w->wall_ms / 1000);
    token_make("late", invite, hash);
    ck_assert_int_eq(relay_begin(w->store), TACET_OK);
    ck_assert_int_eq(relay_invite_add(w->store, hash, 5, w->wall_ms / 1000 + 60), TACET_OK);
    ck_assert_int_eq(relay_commit(w->store), TACET_OK);
    world_pass_us(w, 61000000);
    client *k = client_open(w, TACET_ROLE_MAILBOX, &p, 1);
    frame f = person_register(&p, k->hash, proof);
    f.register_.invite = (view){ invite, 32 };
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_INVITE);
    world_free(w);
}
END_TEST

/* --- who may ask what ---------------------------------------------------------------------------------------------------------------------- */
static const struct {
    frame_kind kind;
    unsigned stranger, open; /* code on a mailbox connection without registration, and on an open one; 99: closed */
} asked[] = {
    { FRAME_PUBLISH_NAME, ERROR_NOT_REGISTERED, ERROR_WRONG_ROLE },
    { FRAME_PREKEY_STATUS, ERROR_NOT_REGISTERED, ERROR_WRONG_ROLE },
    { FRAME_TOKENS, ERROR_NOT_REGISTERED, ERROR_WRONG_ROLE },
    { FRAME_SUBSCRIBE, ERROR_NOT_REGISTERED, ERROR_WRONG_ROLE },
    { FRAME_ACK, ERROR_NOT_REGISTERED, ERROR_WRONG_ROLE },
    { FRAME_DEVICES, ERROR_MALFORMED, ERROR_WRONG_ROLE },
    { FRAME_WITHDRAW_NAME, ERROR_NOT_REGISTERED, ERROR_WRONG_ROLE },
    { FRAME_REGISTER, ERROR_MALFORMED, ERROR_WRONG_ROLE },
    { FRAME_PUBLISH_PREKEYS, ERROR_NOT_REGISTERED, ERROR_WRONG_ROLE },
    { FRAME_INFO, 0, 0 },
    { FRAME_ECHO, 0, 0 },
    { FRAME_SEND, ERROR_WRONG_ROLE, ERROR_REFUSED },
    { FRAME_LISTS, ERROR_WRONG_ROLE, ERROR_NOT_FOUND },
    { FRAME_BUNDLE, ERROR_WRONG_ROLE, ERROR_NOT_FOUND },
    { FRAME_LOOKUP, ERROR_WRONG_ROLE, ERROR_NOT_FOUND },
    { FRAME_OK, ERROR_UNKNOWN_REQUEST, ERROR_UNKNOWN_REQUEST },
    { FRAME_PREKEY_COUNTS, ERROR_UNKNOWN_REQUEST, ERROR_UNKNOWN_REQUEST },
    { FRAME_DELIVER, 99, 99 },
    { FRAME_CAUGHT_UP, 99, 99 },
};

static void fill(frame *f, frame_kind kind)
{
    static const uint8_t zeros[2048];
    memset(f, 0, sizeof *f);
    f->kind = kind;
    switch ((int)kind) {
    case FRAME_REGISTER:
        f->register_.list = (view){ zeros, 100 };
        f->register_.proof = (view){ zeros, 64 };
        break;
    case FRAME_PUBLISH_NAME:
        f->publish_name.entry = (view){ zeros, 202 };
        break;
    case FRAME_TOKENS:
        f->tokens.kind = 1;
        break;
    case FRAME_DEVICES:
        f->devices.list = (view){ zeros, 100 }, f->devices.proof = (view){ zeros, 64 };
        break;
    case FRAME_SEND:
        f->send.version = 1;
        f->send.ttl_s = 1;
        f->send.account = f->send.token = (view){ zeros, 32 };
        f->send.ciphertext = (view){ zeros, 10 };
        break;
    case FRAME_LISTS:
        f->lists.account = (view){ zeros, 32 };
        break;
    case FRAME_BUNDLE:
        f->bundle.account = (view){ zeros, 32 };
        break;
    case FRAME_LOOKUP:
        f->lookup.name = (view){ (const uint8_t *)"nobody", 6 };
        break;
    case FRAME_DELIVER:
        f->deliver.token_kind = 1;
        f->deliver.token_hash = (view){ zeros, 32 };
        f->deliver.ciphertext = (view){ zeros, 1 };
        break;
    default:
        break;
    }
}

static unsigned outcome(world *w, client *k, frame_kind kind)
{
    static frame f;
    fill(&f, kind);
    if (kind >= FRAME_DELIVER) { /* an event has id 0, which no request may have */
        uint8_t bytes[512];
        size_t n;
        ck_assert_int_eq(frame_encode(&f, bytes, sizeof bytes, &n), TACET_OK);
        core_frame(w->core, k->ref, bytes, n);
        world_run(w);
        return k->closed ? 99 : 0;
    }
    return client_code(w, k, &f);
}

START_TEST(T11_T16_requests_by_role)
{
    world *w = world_new(NULL);
    person p;
    person_make(&p, w->wall_ms / 1000);
    client *stranger = client_open(w, TACET_ROLE_MAILBOX, &p, 1), *open_ = client_open(w, TACET_ROLE_OPEN, NULL, 1);
    ck_assert_uint_eq(outcome(w, stranger, asked[_i].kind), asked[_i].stranger);
    ck_assert_uint_eq(outcome(w, open_, asked[_i].kind), asked[_i].open);
    world_free(w);
}
END_TEST

START_TEST(T11_garbage_closes)
{
    static const char *const garbage[] = { "", "\x93", "\x92\x10\x00", "\xdd\xff\x00\x00\x00", "hello", "\x92\x10\x01\x00" };
    for (size_t i = 0; i < ROWS(garbage); i++) {
        world *w = world_new(NULL);
        client *k = client_open(w, TACET_ROLE_OPEN, NULL, 1);
        size_t n = i == 2 ? 3 : i == 3 ? 5 : i == 5 ? 4 : strlen(garbage[i]);
        core_frame(w->core, k->ref, (const uint8_t *)garbage[i], n);
        ck_assert_msg(k->closed, "garbage %zu", i);
        world_free(w);
    }
}
END_TEST

/* --- prekeys ------------------------------------------------------------------------------------------------------------------------------- */
static frame bundle_of(const person *p)
{
    frame f = { .kind = FRAME_BUNDLE };
    f.bundle.account = (view){ p->list.account.bytes, 32 };
    f.bundle.device = 1;
    return f;
}

static bool bundle(world *w, client *k, const person *p, bool *once)
{
    prekey kem;
    frame f = bundle_of(p);
    client_ask(w, k, &f, &reply);
    if (reply.kind != FRAME_BUNDLE_REPLY)
        return false;
    bool opk = reply.bundle_reply.opk.bytes == 118;
    bool kem_once = prekey_decode(&kem, PREKEY_KEM_ONE_TIME, reply.bundle_reply.kem.at, reply.bundle_reply.kem.bytes, &p->list.account, 1,
                                  p->device_sign.public, w->wall_ms / 1000) == TACET_OK;
    ck_assert_int_eq(opk, kem_once);
    *once = opk;
    return true;
}

START_TEST(R05_one_address_cannot_drain_prekeys)
{
    world *w = world_new(NULL);
    person p;
    bool once;
    person_make(&p, w->wall_ms / 1000);
    client *mine = person_join(w, &p);
    person_publish(w, mine, &p, 100, 25);
    client *k = client_open(w, TACET_ROLE_OPEN, NULL, 1001), *other = client_open(w, TACET_ROLE_OPEN, NULL, 1002);
    for (int i = 0; i < 20; i++) {
        ck_assert(bundle(w, k, &p, &once)); /* never refused */
        ck_assert_int_eq(once, i < 6);
    }
    world_pass_us(w, 10 * 60 * 1000000ull);
    ck_assert(bundle(w, k, &p, &once));
    ck_assert(once);
    ck_assert(bundle(w, k, &p, &once));
    ck_assert(!once);
    ck_assert(bundle(w, other, &p, &once));
    ck_assert(once);
    frame f = { .kind = FRAME_PREKEY_STATUS };
    client_ask(w, mine, &f, &reply);
    ck_assert_uint_eq(reply.prekey_counts.one_time, 92);
    ck_assert_uint_eq(reply.prekey_counts.kem, 17);
    ck_assert_uint_eq(reply.prekey_counts.handed_out, 8 + 8);
    world_free(w);
}
END_TEST

START_TEST(R05_many_addresses_cannot_drain_one_device)
{
    world *w = world_new(NULL);
    person p;
    bool once;
    unsigned handed = 0;
    person_make(&p, w->wall_ms / 1000);
    client *mine = person_join(w, &p);
    person_publish(w, mine, &p, 100, 70);
    for (uint64_t address = 1; address <= 80; address++) {
        client *k = client_open(w, TACET_ROLE_OPEN, NULL, 5000 + address);
        ck_assert(bundle(w, k, &p, &once));
        handed += once;
        client_close(w, k);
    }
    ck_assert_uint_eq(handed, 60);
    world_free(w);
}
END_TEST

START_TEST(R04_prekeys_are_checked_before_they_are_kept)
{
    world *w = world_new(NULL);
    person p, q;
    uint8_t bytes[TACET_PREKEY_MAX_BYTES];
    dh_pair pair;
    size_t n;
    person_make(&p, w->wall_ms / 1000);
    person_make(&q, w->wall_ms / 1000);
    client *mine = person_join(w, &p);
    dh_pair_generate(&pair, env_system());
    prekey k = { .kind = PREKEY_SIGNED, .id = 1, .created_s = w->wall_ms / 1000, .expires_s = w->wall_ms / 1000 + 86400 };
    memcpy(k.key, pair.public, 32);
    struct {
        const person *signer;
        int64_t shift_s;
        unsigned flip, want;
    } row[] = {
        { &p, 0, 0, 0 }, { &q, 0, 0, ERROR_REFUSED }, { &p, -86400 * 5, 0, ERROR_EXPIRED }, { &p, 0, 60, ERROR_REFUSED }, { &p, 0, 1, ERROR_REFUSED }
    };
    for (size_t i = 0; i < ROWS(row); i++) {
        prekey shifted = k;
        shifted.created_s += (uint64_t)row[i].shift_s;
        shifted.expires_s += (uint64_t)row[i].shift_s;
        ck_assert_int_eq(prekey_sign(&shifted, bytes, &n, &p.list.account, 1, row[i].signer->device_sign.secret), TACET_OK);
        if (row[i].flip)
            bytes[row[i].flip] ^= 1;
        frame f = { .kind = FRAME_PUBLISH_PREKEYS };
        f.publish_prekeys.prekeys = (view_list){ 1, { { bytes, n } } };
        unsigned got = client_code(w, mine, &f);
        ck_assert_msg(got == row[i].want, "row %zu: %u", i, got);
    }
    world_free(w);
}
END_TEST

START_TEST(prekeys_have_a_limit)
{
    core_config c = core_config_default();
    c.directory.prekeys_max = 100;
    world *w = world_new(&c);
    person p;
    uint8_t bytes[TACET_PREKEY_MAX_BYTES];
    dh_pair pair;
    size_t n;
    person_make(&p, w->wall_ms / 1000);
    client *mine = person_join(w, &p);
    person_publish(w, mine, &p, 100, 1);
    dh_pair_generate(&pair, env_system());
    prekey k = { .kind = PREKEY_ONE_TIME, .id = 999, .created_s = w->wall_ms / 1000, .expires_s = w->wall_ms / 1000 + 86400 };
    memcpy(k.key, pair.public, 32);
    ck_assert_int_eq(prekey_sign(&k, bytes, &n, &p.list.account, 1, p.device_sign.secret), TACET_OK);
    frame f = { .kind = FRAME_PUBLISH_PREKEYS };
    f.publish_prekeys.prekeys = (view_list){ 1, { { bytes, n } } };
    ck_assert_uint_eq(client_code(w, mine, &f), ERROR_QUOTA);
    world_free(w);
}
END_TEST

/* R05: one-time keys that nobody came for and that have expired are replaced: the device is told that they are gone, has room for as many new ones, and
 * nobody is given an old one. What the device has published since is not touched. */
START_TEST(R05_expired_prekeys_make_room)
{
    core_config c = core_config_default();
    c.directory.prekeys_max = 20;
    world *w = world_new(&c);
    person p;
    bool once;
    person_make(&p, w->wall_ms / 1000);
    client *mine = person_join(w, &p);
    person_publish(w, mine, &p, 20, 20);
    world_pass_us(w, (TACET_PREKEY_LIFETIME_S - 60) * 1000000ull);
    client *k = client_open(w, TACET_ROLE_OPEN, NULL, 1001);
    ck_assert(bundle(w, k, &p, &once));
    ck_assert(once);
    world_pass_us(w, 61 * 1000000ull);
    frame f = { .kind = FRAME_PREKEY_STATUS };
    client_ask(w, mine, &f, &reply);
    ck_assert_uint_eq(reply.prekey_counts.one_time, 0);
    ck_assert_uint_eq(reply.prekey_counts.kem, 0);
    ck_assert_uint_eq(reply.prekey_counts.handed_out, 2);
    ck_assert(bundle(w, k, &p, &once)); /* with what lasts, whose time is for us to judge */
    ck_assert(!once);
    person_publish(w, mine, &p, 20, 20);
    ck_assert(bundle(w, k, &p, &once));
    ck_assert(once);
    f = (frame){ .kind = FRAME_PREKEY_STATUS };
    client_ask(w, mine, &f, &reply);
    ck_assert_uint_eq(reply.prekey_counts.one_time, 19);
    ck_assert_uint_eq(reply.prekey_counts.kem, 19);
    world_pass_us(w, (TACET_PREKEY_LIFETIME_S + 1) * 1000000ull); /* nobody asks for a bundle meanwhile: room is made all the same */
    person_publish(w, mine, &p, 10, 10);
    uint32_t mailbox, rows[2];
    uint64_t handed_out;
    ck_assert_int_eq(relay_mailbox_find(w->store, p.list.account.bytes, 1, &mailbox), TACET_OK);
    ck_assert_int_eq(relay_prekey_counts(w->store, mailbox, 0, &rows[0], &rows[1], &handed_out), TACET_OK);
    ck_assert(rows[0] == 10 && rows[1] == 10);
    world_free(w);
}
END_TEST

START_TEST(bundle_of_nobody)
{
    world *w = world_new(NULL);
    person p, q;
    person_make(&p, w->wall_ms / 1000);
    person_make(&q, w->wall_ms / 1000);
    client *mine = person_join(w, &p), *k = client_open(w, TACET_ROLE_OPEN, NULL, 1);
    frame f = bundle_of(&q);
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_NOT_FOUND);
    f = bundle_of(&p); /* registered, nothing published */
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_NOT_FOUND);
    person_publish(w, mine, &p, 0, 0);
    f = bundle_of(&p);
    ck_assert_uint_eq(client_code(w, k, &f), 0);
    f = bundle_of(&p);
    f.bundle.device = 2;
    ck_assert_uint_eq(client_code(w, k, &f), ERROR_STALE_DEVICE);
    world_free(w);
}
END_TEST

/* --- names --------------------------------------------------------------------------------------------------------------------------------- */
static unsigned looked_up(world *w, client *k, const char *name)
{
    frame f = { .kind = FRAME_LOOKUP };
    f.lookup.name = (view){ (const uint8_t *)name, strlen(name) };
    return client_code(w, k, &f);
}

START_TEST(names_first_come)
{
    world *w = world_new(NULL);
    person p, q;
    uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES];
    person_make(&p, w->wall_ms / 1000);
    person_make(&q, w->wall_ms / 1000);
    client *a = person_join(w, &p), *b = person_join(w, &q), *k = client_open(w, TACET_ROLE_OPEN, NULL, 1);
    frame f = person_entry(&p, w->relay_key, "alice", w->wall_ms / 1000, bytes);
    ck_assert_uint_eq(client_code(w, a, &f), 0);
    ck_assert_uint_eq(looked_up(w, k, "alice"), 0);
    f = person_entry(&q, w->relay_key, "alice", w->wall_ms / 1000, bytes);
    ck_assert_uint_eq(client_code(w, b, &f), ERROR_NAME_TAKEN);
    f = person_entry(&p, w->relay_key, "alice", w->wall_ms / 1000, bytes); /* not one's own entry */
    ck_assert_uint_eq(client_code(w, b, &f), ERROR_REFUSED);
    memset(w->relay_key, 9, 1);
    f = person_entry(&q, w->relay_key, "bob", w->wall_ms / 1000, bytes); /* an entry for another relay */
    ck_assert_uint_eq(client_code(w, b, &f), ERROR_REFUSED);
    f = (frame){ .kind = FRAME_WITHDRAW_NAME };
    ck_assert_uint_eq(client_code(w, a, &f), 0);
    ck_assert_uint_eq(looked_up(w, k, "alice"), ERROR_NOT_FOUND);
    world_free(w);
}
END_TEST

START_TEST(names_change_and_expire)
{
    world *w = world_new(NULL);
    person p, q;
    uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES];
    person_make(&p, w->wall_ms / 1000);
    person_make(&q, w->wall_ms / 1000);
    client *a = person_join(w, &p), *b = person_join(w, &q), *k = client_open(w, TACET_ROLE_OPEN, NULL, 1);
    frame f = person_entry(&p, w->relay_key, "alice", w->wall_ms / 1000, bytes);
    ck_assert_uint_eq(client_code(w, a, &f), 0);
    f = person_entry(&p, w->relay_key, "alicia", w->wall_ms / 1000, bytes);
    ck_assert_uint_eq(client_code(w, a, &f), 0);
    ck_assert_uint_eq(looked_up(w, k, "alice"), ERROR_NOT_FOUND);
    ck_assert_uint_eq(looked_up(w, k, "alicia"), 0);
    world_pass_us(w, (TACET_DIRECTORY_LIFETIME_S + 2 * 86400) * 1000000ull);
    ck_assert_uint_eq(looked_up(w, k, "alicia"), ERROR_NOT_FOUND);
    f = person_entry(&q, w->relay_key, "alicia", w->wall_ms / 1000, bytes);
    ck_assert_uint_eq(client_code(w, b, &f), 0);
    world_free(w);
}
END_TEST

SUITE("directory", TEST(registration_open_and_the_same_again), TEST(M01_registering_again_with_another_first_list),
      TEST(registration_closed_and_by_invitation), TEST(invitation_expires), LOOP(T11_T16_requests_by_role, ROWS(asked)), TEST(T11_garbage_closes),
      TEST(R05_one_address_cannot_drain_prekeys), TEST(R05_many_addresses_cannot_drain_one_device),
      TEST(R04_prekeys_are_checked_before_they_are_kept), TEST(prekeys_have_a_limit), TEST(R05_expired_prekeys_make_room), TEST(bundle_of_nobody),
      TEST(names_first_come), TEST(names_change_and_expire))
