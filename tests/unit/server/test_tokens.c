/* Tokens that are added and removed: what goes with them, what stays, and what that may cost the others. */
#include "core_pair.h"
#include "server/limits.h"
#include "server/routes.h"
#include "suite.h"
#include <string.h>

enum { CONTACTS = 8, EACH = 3 };

/* Bob with a token for each of his contacts. */
typedef struct {
    pair p;
    uint8_t token[CONTACTS][32], hash[CONTACTS][32];
} circle;

static circle circle_new(const core_config *config)
{
    circle c = { .p = pair_new(config) };
    char text[64];
    for (int i = 0; i < CONTACTS; i++) {
        snprintf(text, sizeof text, "contact %d", i);
        token_make(text, c.token[i], c.hash[i]);
        frame f = tokens_of(TOKEN_DELIVERY, c.hash[i], NULL);
        ck_assert_uint_eq(client_code(c.p.w, c.p.bobs, &f), 0);
    }
    return c;
}

static unsigned send_under(circle *c, const uint8_t token[32], const char *text)
{
    frame f = send_to(&c->p.bob, token, text, strlen(text));
    return client_code(c->p.w, c->p.sender, &f);
}

/* Each contact writes, in turn. */
static void all_write(circle *c)
{
    char text[64];
    for (int n = 0; n < EACH; n++)
        for (int i = 0; i < CONTACTS; i++) {
            snprintf(text, sizeof text, "%d", i);
            ck_assert_uint_eq(send_under(c, c->token[i], text), 0);
        }
}

static frame removal_of(const circle *c, const int *who, unsigned count)
{
    frame f = { .kind = FRAME_TOKENS, .tokens.kind = TOKEN_DELIVERY };
    for (unsigned i = 0; i < count; i++)
        f.tokens.remove.item[f.tokens.remove.count++] = (view){ c->hash[who[i]], 32 };
    return f;
}

/* As many removals as a frame has room for, of tokens that bob never had. */
static frame removal_of_strangers(uint8_t room[FRAME_VIEWS_MAX][32])
{
    frame f = { .kind = FRAME_TOKENS, .tokens.kind = TOKEN_DELIVERY };
    for (unsigned i = 0; i < FRAME_VIEWS_MAX; i++) {
        memset(room[i], (int)i, 32);
        f.tokens.remove.item[f.tokens.remove.count++] = (view){ room[i], 32 };
    }
    return f;
}

/* How many messages of each contact come; all are acknowledged. */
static void read_all(circle *c, unsigned of[CONTACTS])
{
    char text[64];
    memset(of, 0, CONTACTS * sizeof *of);
    pair_subscribe(&c->p, 256);
    for (uint64_t number; (number = pair_delivered(&c->p, text));) {
        of[strtoul(text, NULL, 10) % CONTACTS]++;
        pair_acknowledge(&c->p, number);
    }
    world_run(c->p.w);
}

/* Several in one frame, one of them twice, and one that is unknown; what of it was acknowledged a moment before is not given back twice. */
START_TEST(M13_several_contacts_blocked_at_once)
{
    circle c = circle_new(NULL);
    static const int gone[] = { 1, 4, 6, 4 };
    char text[64];
    unsigned of[CONTACTS];
    all_write(&c);
    pair_subscribe(&c.p, 2);
    ck_assert(pair_delivered(&c.p, text));
    uint64_t number = pair_delivered(&c.p, text);
    ck_assert_str_eq(text, "1");
    pair_acknowledge(&c.p, number); /* of a contact that is blocked in the same group */
    frame f = removal_of(&c, gone, ROWS(gone));
    uint8_t stranger[32] = { 1 };
    f.tokens.remove.item[f.tokens.remove.count++] = (view){ stranger, 32 };
    ck_assert_uint_eq(client_code(c.p.w, c.p.bobs, &f), 0);
    ck_assert_uint_eq(world_counters(c.p.w).queued_messages, EACH * (CONTACTS - 3));
    for (int i = 0; i < CONTACTS; i++)
        ck_assert_uint_eq(send_under(&c, c.token[i], i == 0 ? "0" : "7"), i == 1 || i == 4 || i == 6 ? ERROR_REFUSED : 0);
    pair_reconnect(&c.p);
    read_all(&c, of);
    for (int i = 0; i < CONTACTS; i++)
        ck_assert_uint_eq(of[i], i == 1 || i == 4 || i == 6 ? 0 : i == 0 ? EACH + 1 : i == 7 ? EACH + 4 : EACH);
    ck_assert_uint_eq(world_counters(c.p.w).queued_messages, 0);
    ck_assert_uint_eq(world_counters(c.p.w).queued_bytes, 0);
    world_free(c.p.w);
}
END_TEST

/* Bob has come and gone on several connections, which must not hide the one that listens. */
static void come_and_go(pair *p)
{
    client *k[4];
    for (int turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < ROWS(k); i++)
            k[i] = client_open(p->w, TACET_ROLE_MAILBOX, &p->bob, 7);
        if (turn == 1)
            pair_reconnect(p);
        client_close(p->w, k[1]);
        client_close(p->w, k[3]);
        client_close(p->w, k[0]);
        client_close(p->w, k[2]);
    }
}

/* Delivered, not acknowledged, blocked, acknowledged: what it was charged is given back once. */
START_TEST(M13_blocked_while_its_messages_are_under_way)
{
    circle c = circle_new(NULL);
    char text[64];
    uint64_t number[EACH * CONTACTS];
    unsigned n = 0;
    bool of_two[EACH * CONTACTS];
    come_and_go(&c.p);
    pair_subscribe(&c.p, 256);
    all_write(&c);
    while (n < EACH * CONTACTS && (number[n] = pair_delivered(&c.p, text)))
        of_two[n++] = text[0] == '2';
    ck_assert_uint_eq(n, EACH * CONTACTS);
    frame f = removal_of(&c, (const int[]){ 2 }, 1);
    ck_assert_uint_eq(client_code(c.p.w, c.p.bobs, &f), 0);
    ck_assert_uint_eq(world_counters(c.p.w).queued_messages, EACH * (CONTACTS - 1));
    for (unsigned i = 0; i < n; i++)
        if (of_two[i])
            pair_acknowledge(&c.p, number[i]);
    world_run(c.p.w);
    ck_assert_uint_eq(world_counters(c.p.w).queued_messages, EACH * (CONTACTS - 1));
    world_free(c.p.w);
}
END_TEST

/* A message is held back for its acknowledgement when its token is removed: it must be written before the removal, or it would outlive it. */
START_TEST(M13_blocked_while_a_message_is_held_back)
{
    circle c = circle_new(NULL);
    char text[64];
    pair_subscribe(&c.p, 256);
    ck_assert_uint_eq(send_under(&c, c.token[3], "3"), 0);
    uint64_t number = pair_delivered(&c.p, text);
    ck_assert(number);
    pair_acknowledge(&c.p, number); /* at once: this device is worth waiting for */
    world_run(c.p.w);
    uint64_t held = world_counters(c.p.w).held;
    frame f = send_to(&c.p.bob, c.token[3], "3", 1), block = removal_of(&c, (const int[]){ 3 }, 1);
    client_say(c.p.w, c.p.sender, &f);
    ck_assert_uint_eq(world_counters(c.p.w).held, held + 1);
    ck_assert(pair_delivered(&c.p, text)); /* and says nothing */
    client_say(c.p.w, c.p.bobs, &block);
    world_run(c.p.w);
    world_pass_us(c.p.w, RELAY_HOLD_BUSY_MAX_US);
    world_run(c.p.w);
    ck_assert_uint_eq(world_counters(c.p.w).queued_messages, 0);
    pair_reconnect(&c.p);
    pair_subscribe(&c.p, 256);
    ck_assert_uint_eq(pair_delivered(&c.p, text), 0);
    world_free(c.p.w);
}
END_TEST

/* Only what is known is looked for: the request token that was replaced is not, and shows it by its message, which stays. */
START_TEST(S12_removing_unknown_tokens_looks_through_no_mailbox)
{
    circle c = circle_new(NULL);
    static uint8_t room[FRAME_VIEWS_MAX][32];
    uint8_t fresh[32], hash[32], old[32];
    unsigned of[CONTACTS];
    all_write(&c);
    ck_assert_uint_eq(send_under(&c, c.p.bob.request_token, "5"), 0);
    token_make("a new request token", fresh, hash);
    token_hash(old, c.p.bob.request_token);
    frame f = tokens_of(TOKEN_REQUEST, hash, NULL);
    ck_assert_uint_eq(client_code(c.p.w, c.p.bobs, &f), 0);
    f = removal_of_strangers(room);
    f.tokens.remove.item[0] = (view){ old, 32 };
    ck_assert_uint_eq(client_code(c.p.w, c.p.bobs, &f), 0);
    ck_assert_uint_eq(world_counters(c.p.w).queued_messages, EACH * CONTACTS + 1);
    read_all(&c, of);
    for (int i = 0; i < CONTACTS; i++)
        ck_assert_uint_eq(of[i], EACH + (i == 5));
    ck_assert_uint_eq(world_counters(c.p.w).queued_messages, 0);
    world_free(c.p.w);
}
END_TEST

/* 256 removals are 64 changes of the account's, and one of the device's. */
START_TEST(S12_an_account_removes_so_many_tokens)
{
    core_config config = core_config_default();
    static uint8_t room[FRAME_VIEWS_MAX][32];
    config.changes = (limiter_rate){ 150, 1000 };
    pair p = pair_new(&config);
    static const struct {
        unsigned removed, want;
    } row[] = { { 256, 0 }, { 256, 0 }, { 256, ERROR_RATE }, { 88, 0 }, { 1, ERROR_RATE } };
    for (size_t i = 0; i < ROWS(row); i++) {
        frame f = removal_of_strangers(room);
        f.tokens.remove.count = row[i].removed;
        unsigned got = client_code(p.w, p.bobs, &f);
        ck_assert_msg(got == row[i].want, "row %zu: %u", i, got);
    }
    for (uint8_t i = 0; i < 100; i++) { /* what only adds is another matter */
        room[0][0] = (uint8_t)(100 + i);
        frame one = tokens_of(TOKEN_DELIVERY, room[0], NULL);
        ck_assert_uint_eq(client_code(p.w, p.bobs, &one), 0);
    }
    config.changes.burst = 10; /* more than a burst is a whole one: it passes once there has been quiet */
    core_configure(p.w->core, &config);
    world_pass_us(p.w, 150 * 1000000ull);
    for (int i = 0; i < 2; i++) {
        frame f = removal_of_strangers(room);
        ck_assert_uint_eq(client_code(p.w, p.bobs, &f), i < 1 ? 0 : ERROR_RATE);
    }
    world_free(p.w);
}
END_TEST

START_TEST(a_delivery_token_does_not_become_the_request_token)
{
    pair p = pair_new(NULL);
    uint8_t hash[32];
    token_hash(hash, p.bob.token);
    frame f = tokens_of(TOKEN_REQUEST, hash, NULL);
    ck_assert_uint_eq(client_code(p.w, p.bobs, &f), ERROR_EXISTS);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(pair_send(&p, "as before"), 0);
        f = send_to(&p.bob, p.bob.request_token, "hello", 5);
        ck_assert_uint_eq(client_code(p.w, p.sender, &f), 0);
        token_hash(hash, p.bob.request_token);
        f = tokens_of(TOKEN_REQUEST, hash, NULL); /* the same again */
        ck_assert_uint_eq(client_code(p.w, p.bobs, &f), 0);
    }
    world_free(p.w);
}
END_TEST

/* By chance two accounts may share an epoch; here they do not. */
static bool share_an_epoch(const person *a, const person *b)
{
    routes *r = NULL;
    ck_assert_int_eq(routes_new(&r, RELAY_ROUTES, (uint8_t[16]){ 0 }), TACET_OK);
    routes_forget(r, a->list.account.bytes);
    bool shared = routes_epoch(r, b->list.account.bytes) != 0;
    routes_free(r);
    return shared;
}

typedef enum { ADD, REMOVE, REPLACE, LIST, BAD_LIST } change;
static const struct {
    const char *who;
    change what;
    bool again;
} changes[] = {
    { "carol", ADD, false }, { "carol", REMOVE, false }, { "carol", REPLACE, false }, { "carol", LIST, false },   { "nobody", BAD_LIST, false },
    { "bob", ADD, false },   { "bob", REMOVE, true },    { "bob", REPLACE, true },    { "bob", BAD_LIST, false }, { "bob", LIST, true },
};

static void say_change(world *w, client *k, const person *p, change what)
{
    uint8_t token[32], hash[32], bytes[TACET_DEVICE_LIST_MAX_BYTES], proof[64];
    size_t n = 0;
    device_list next = p->list;
    frame f;
    token_make("another", token, hash);
    if (what <= REPLACE) {
        f = tokens_of(what == REPLACE ? TOKEN_REQUEST : TOKEN_DELIVERY, what == REMOVE ? NULL : hash, what == REMOVE ? hash : NULL);
    } else {
        memcpy(next.previous, next.hash, 32);
        next.version++;
        ck_assert_int_eq(device_list_sign(&next, bytes, &n, p->ik.secret), TACET_OK);
        f = person_devices(p, k->hash, &next, bytes, n, proof);
        proof[0] ^= what == BAD_LIST;
    }
    client_say(w, k, &f);
    world_threads(w);
}

/* While a first message to bob is being looked up, tokens and lists change: his own removals ask again, and nobody else does, however often. */
START_TEST(S12_only_the_accounts_own_removal_asks_again)
{
    pair p = pair_new(NULL);
    person carol, nobody;
    do
        person_make(&carol, p.w->wall_ms / 1000);
    while (share_an_epoch(&carol, &p.bob));
    person_make(&nobody, p.w->wall_ms / 1000);
    const struct {
        const char *name;
        const person *person;
        client *k;
    } who[] = { { "bob", &p.bob, p.bobs },
                { "carol", &carol, person_join(p.w, &carol) },
                { "nobody", &nobody, client_open(p.w, TACET_ROLE_MAILBOX, &nobody, 9) } };
    pair_say(&p, "first");
    ck_assert(world_take(p.w)); /* the committer looks the token up ... */
    ck_assert_int_eq(committer_execute(p.w->store, p.w->group), TACET_OK);
    for (size_t i = 0; i < ROWS(who); i++)
        if (strcmp(who[i].name, changes[_i].who) == 0)
            say_change(p.w, who[i].k, who[i].person, changes[_i].what);
    job *list = p.w->group;
    p.w->group = NULL;
    core_group_done(p.w->core, list, TACET_OK); /* ... and says whose it is */
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_OK);
    ck_assert_msg(client_oks(p.sender) == !changes[_i].again, "%s, %u", changes[_i].who, changes[_i].what);
    world_run(p.w);
    ck_assert_uint_eq(world_counters(p.w).queued_messages, 1);
    world_free(p.w);
}
END_TEST

/* Removals of unknown and of known tokens come between two messages of one sender: the first must not be asked again behind the second. */
START_TEST(S01_a_removal_between_two_messages_keeps_their_order)
{
    pair p = pair_new(NULL);
    uint8_t token[32], hash[32];
    char text[64];
    client *other = client_open(p.w, TACET_ROLE_OPEN, NULL, 9);
    frame look = { .kind = FRAME_LOOKUP, .lookup.name = { (const uint8_t *)"x", 1 } }, f;
    token_make("another", token, hash);
    f = tokens_of(TOKEN_DELIVERY, hash, NULL);
    if (_i)
        ck_assert_uint_eq(client_code(p.w, p.bobs, &f), 0);
    client_say(p.w, other, &look);
    ck_assert(world_take(p.w)); /* a group is under way, the next one gathers */
    pair_say(&p, "first");
    f = tokens_of(TOKEN_DELIVERY, NULL, hash);
    client_say(p.w, p.bobs, &f);
    if (!_i)
        pair_say(&p, "second");
    world_done(p.w, TACET_OK);
    ck_assert(world_take(p.w));
    world_done(p.w, TACET_OK);
    if (_i)
        pair_say(&p, "second");
    world_run(p.w);
    pair_subscribe(&p, 8);
    ck_assert_uint_ne(pair_delivered(&p, text), 0);
    ck_assert_str_eq(text, "first");
    ck_assert_uint_ne(pair_delivered(&p, text), 0);
    ck_assert_str_eq(text, "second");
    world_free(p.w);
}
END_TEST

SUITE("tokens", TEST(M13_several_contacts_blocked_at_once), TEST(M13_blocked_while_its_messages_are_under_way),
      TEST(M13_blocked_while_a_message_is_held_back), TEST(S12_removing_unknown_tokens_looks_through_no_mailbox),
      TEST(S12_an_account_removes_so_many_tokens), TEST(a_delivery_token_does_not_become_the_request_token),
      LOOP(S12_only_the_accounts_own_removal_asks_again, ROWS(changes)), LOOP(S01_a_removal_between_two_messages_keeps_their_order, 2))
