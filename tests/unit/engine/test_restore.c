/* Backup and restore, with several engines and a relay that can be told to lie: everything comes back, the lists of the own account must go on from
 * the backup's (M01), what was under way reaches the new device once, and a profile that was replaced says so and sends nothing. */
#include "backup_records.h"
#include "restore_scene.h"
#include <sys/stat.h>

static char *dump(world *w, size_t who, const char *method, json_t *params)
{
    json_t *o = must(w, who, method, params);
    char *text = json_dumps(o, JSON_SORT_KEYS | JSON_INDENT(1));
    json_decref(o);
    return text;
}

static void same_answer(world *w, size_t one, size_t two, const char *method, const char *name)
{
    char *a = dump(w, one, method, name ? json_pack("{ss}", "name", name) : NULL),
         *b = dump(w, two, method, name ? json_pack("{ss}", "name", name) : NULL);
    ck_assert_str_eq(a, b);
    free(a);
    free(b);
}

START_TEST(everything_comes_back)
{
    size_t a, b;
    world *w = pair(&a, &b);
    size_t c = world_join(w, "carol"), d = world_join(w, "dave"), m = world_join(w, "mallory");
    char link[512];
    world_befriend(w, a, c);
    json_decref(must(w, a, "rename", json_pack("{ss ss}", "name", "carol", "to", "caroline")));
    json_decref(must(w, a, "block", json_pack("{ss}", "name", "caroline")));
    json_decref(must(w, a, "add", json_pack("{ss ss}", "target", world_link(w, d, link), "text", "let me in")));
    json_decref(must(w, m, "add", json_pack("{ss ss}", "target", world_link(w, a, link), "text", "it is me")));
    json_decref(must(w, a, "draft", json_pack("{ss ss}", "name", "bob", "text", "half a thou")));
    json_decref(must(w, a, "settings", json_pack("{sb}", "read_receipts", 0)));
    for (int i = 0; i < 300; i++) { /* several chunks, several slices */
        memset(room, 'a' + i % 26, 1000);
        room[1000] = '\0';
        world_send(w, a, "bob", room);
    }
    world_advance(w, 20000);
    w->hold = true; /* nothing new comes while both are looked at */
    backup(w, a);
    size_t n = world_bare(w, "new");
    json_t *me = must(w, n, "restore", restore_params(path_of(w, a)));
    ck_assert_int_eq(json_integer_value(json_object_get(me, "contacts")), 4);
    json_decref(me);
    must_fail(w, n, "restore", restore_params(path_of(w, a)), "account-exists", 1);
    same_answer(w, a, n, "history", "bob");
    same_answer(w, a, n, "history", "caroline");
    same_answer(w, a, n, "history", "dave");
    same_answer(w, a, n, "requests", NULL);
    same_answer(w, a, n, "contacts", NULL);
    json_t *set = must(w, n, "settings", NULL);
    ck_assert(json_is_false(json_object_get(set, "read_receipts")));
    json_decref(set);
    world_free(w);
}
END_TEST

START_TEST(what_was_under_way_reaches_the_new_device_once)
{
    size_t a, b;
    world *w = pair(&a, &b);
    backup(w, a);
    w->hold = true;
    world_send(w, b, "alice", "to the lost one"); /* the relay has it */
    size_t n = world_bare(w, "new");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    world_send(w, b, "alice", "not knowing yet"); /* bob has heard nothing: stale-device tells him */
    ck_assert_uint_eq(world_events(w, b, "new-device"), 1);
    ck_assert_uint_eq(world_events(w, b, "error"), 0);
    world_release(w);
    world_advance(w, 10000);
    ck_assert_str_eq(world_received(w, n, room, sizeof room), "to the lost one|not knowing yet");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "new device 2; gone: device 1");
    world_send(w, n, "bob", "here I am");
    world_send(w, b, "alice", "welcome back");
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "here I am");
    ck_assert_str_eq(world_received(w, n, room, sizeof room), "welcome back");
    ck_assert_uint_eq(world_events(w, b, "new-device"), 1);
    ck_assert_uint_eq(world_events(w, b, "key-changed") + world_events(w, b, "list-fork"), 0);
    ck_assert_uint_eq(world_events(w, b, "quarantined") + world_events(w, n, "quarantined"), 0);
    world_advance(w, 10000);
    json_t *left = must(w, b, "outbox", NULL);
    ck_assert_uint_eq(json_array_size(left), 0);
    json_decref(left);
    world_free(w);
}
END_TEST

/* bob writes nothing more: the first envelope of the new device is enough. */
START_TEST(the_new_device_alone_brings_what_was_under_way)
{
    size_t a, b;
    world *w = pair(&a, &b);
    backup(w, a);
    world_close(w, a);
    world_send(w, b, "alice", "to the lost one");
    size_t n = world_bare(w, "new");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    world_advance(w, 10000);
    ck_assert_str_eq(world_received(w, n, room, sizeof room), "to the lost one");
    world_free(w);
}
END_TEST

/* A new token that only the lost device could have opened: made anew for the new one, which had a dead one. */
START_TEST(a_token_that_went_to_the_lost_device)
{
    size_t a, b;
    world *w = pair(&a, &b);
    backup(w, a);
    world_close(w, a);
    json_decref(must(w, b, "block", json_pack("{ss}", "name", "alice")));
    json_decref(must(w, b, "unblock", json_pack("{ss}", "name", "alice")));
    world_advance(w, 10000);
    size_t n = world_bare(w, "new");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    world_send(w, b, "alice", "are you there");
    ck_assert_str_eq(world_received(w, n, room, sizeof room), "are you there");
    world_advance(w, 10000);
    world_send(w, n, "bob", "I am");
    ck_assert_ptr_nonnull(strstr(world_received(w, b, room, sizeof room), "I am"));
    world_free(w);
}
END_TEST

/* Own texts without `delivered` go again: bob has one of them already. */
START_TEST(own_texts_go_again_and_show_once)
{
    size_t a, b;
    world *w = pair(&a, &b);
    w->hold = true;
    world_send(w, a, "bob", "one");
    world_send(w, a, "bob", "two");
    backup(w, a);
    world_release(w);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "one|two");
    w->hold = true;
    world_close(w, a);
    size_t n = world_bare(w, "new");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    world_send(w, n, "bob", "three");
    world_release(w);
    world_advance(w, 10000);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "new device 2; gone: device 1|three"); /* and no gap */
    json_t *left = must(w, n, "outbox", NULL);
    ck_assert_uint_eq(json_array_size(left), 0);
    json_decref(left);
    world_free(w);
}
END_TEST

/* What the lost device had only in its outbox goes from the new one. */
START_TEST(own_texts_that_had_not_left_go_from_the_new_device)
{
    size_t a, b;
    world *w = pair(&a, &b);
    world_close(w, a);
    w->down = true;
    world_open(w, a);
    world_send(w, a, "bob", "never left");
    backup(w, a);
    world_close(w, a);
    w->down = false;
    size_t n = world_bare(w, "new");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    world_advance(w, 20000);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "new device 2; gone: device 1|never left");
    world_free(w);
}
END_TEST

START_TEST(a_replaced_profile_says_so_and_sends_nothing)
{
    size_t a, b;
    world *w = pair(&a, &b);
    backup(w, a);
    world_close(w, a);
    size_t n = world_bare(w, "new");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    world_advance(w, 10000);
    (void)world_received(w, b, room, sizeof room);
    world_open(w, a);
    size_t before = w->person[a].sends;
    engine_error error;
    json_t *sent = world_call(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", "from the grave"), &error);
    json_decref(sent);
    world_advance(w, 10000);
    ck_assert_uint_eq(w->person[a].sends, before);
    ck_assert_str_eq(json_string_value(json_object_get(world_event_last(w, a, "error"), "code")), "replaced");
    must_fail(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", "again"), "replaced", 4);
    must_fail(w, a, "sync", NULL, "replaced", 4);
    world_close(w, a); /* for good */
    world_open(w, a);
    must_fail(w, a, "sync", NULL, "replaced", 4);
    json_t *history = must(w, a, "history", json_pack("{ss}", "name", "bob"));
    ck_assert_uint_eq(json_array_size(history), 3);
    json_decref(history);
    ck_assert_str_eq(world_received(w, b, room, sizeof room), "");
    world_free(w);
}
END_TEST

/* It runs while the other is restored. */
START_TEST(a_running_profile_hears_that_it_was_replaced)
{
    size_t a, b;
    world *w = pair(&a, &b);
    backup(w, a);
    size_t n = world_bare(w, "new");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    world_advance(w, 60000);
    ck_assert_str_eq(json_string_value(json_object_get(world_event_last(w, a, "error"), "code")), "replaced");
    world_free(w);
}
END_TEST

START_TEST(M01_the_relay_rolls_the_own_list_back)
{
    size_t a, b;
    world *w = pair(&a, &b);
    backup(w, a);
    size_t n = world_bare(w, "new"), third = world_bare(w, "third");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    backup(w, n);
    world_account *account = world_account_of(w, n);
    ck_assert_uint_eq(account->lists, 2);
    account->lists = 1;
    must_fail(w, third, "restore", restore_params(path_of(w, n)), "own-list-rollback", 4);
    ck_assert_uint_eq(account->lists, 1); /* nothing was changed there */
    account->lists = 2;
    json_decref(must(w, third, "restore", restore_params(path_of(w, n)))); /* the same once more, with an honest relay */
    ck_assert_uint_eq(world_account_of(w, third)->lists, 3);
    world_free(w);
}
END_TEST

START_TEST(M01_the_relay_forks_the_own_list)
{
    size_t a, b;
    world *w = pair(&a, &b);
    backup(w, a);
    own_account *me = &w->person[a].e->me;
    world_account *account = world_account_of(w, a);
    device_list other = me->list;
    other.device[0].created_s++;
    ck_assert_int_eq(device_list_sign(&other, account->list[0], &account->list_bytes[0], me->secret->ik), TACET_OK);
    size_t n = world_bare(w, "new");
    must_fail(w, n, "restore", restore_params(path_of(w, a)), "own-list-fork", 4);
    ck_assert_uint_eq(account->lists, 1);
    world_free(w);
}
END_TEST

/* carol came after the backup: what she writes cannot be opened by anybody any more, and that is said. */
START_TEST(somebody_whom_the_backup_does_not_know)
{
    size_t a, b;
    world *w = pair(&a, &b);
    backup(w, a);
    size_t c = world_join(w, "carol");
    world_befriend(w, a, c);
    world_close(w, a);
    size_t n = world_bare(w, "new");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    world_send(w, c, "alice", "do you know me");
    ck_assert_str_eq(world_received(w, n, room, sizeof room), "");
    ck_assert_uint_ge(world_events(w, n, "quarantined"), 1);
    world_free(w);
}
END_TEST

/* Who was asked, and had accepted when only the lost device could hear of it. */
START_TEST(an_answer_that_went_to_the_lost_device)
{
    char link[512];
    world *w = world_new();
    size_t a = world_join(w, "alice"), b = world_join(w, "bob");
    json_decref(must(w, a, "add", json_pack("{ss ss}", "target", world_link(w, b, link), "text", "hello")));
    json_decref(must(w, a, "send", json_pack("{ss ss}", "to", "bob", "text", "waits for acceptance")));
    backup(w, a);
    world_close(w, a);
    json_decref(must(w, b, "accept", json_pack("{ss}", "name", "alice")));
    size_t n = world_bare(w, "new");
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    world_advance(w, 20000);
    ck_assert_ptr_nonnull(strstr(world_received(w, b, room, sizeof room), "waits for acceptance"));
    world_send(w, b, "alice", "welcome");
    ck_assert_str_eq(world_received(w, n, room, sizeof room), "welcome");
    ck_assert_uint_eq(world_events(w, b, "history-forked") + world_events(w, n, "history-forked"), 0);
    world_free(w);
}
END_TEST

typedef struct {
    uint64_t have, of, size;
    unsigned calls;
} seen_work;

static void work_seen(void *ctx, uint64_t have, uint64_t of)
{
    seen_work *s = ctx;
    ck_assert_uint_gt(have, s->have);
    *s = (seen_work){ have, of, s->size, s->calls + 1 };
    ck_assert_uint_eq(of, s->size);
}

START_TEST(a_restore_says_how_far_it_is)
{
    size_t a, b;
    world *w = pair(&a, &b);
    memset(room, 'x', 12000);
    room[12000] = '\0';
    for (int i = 0; i < 14; i++) /* three chunks */
        world_send(w, a, "bob", room);
    backup(w, a);
    struct stat s;
    ck_assert_int_eq(stat(path_of(w, a), &s), 0);
    size_t n = world_bare(w, "new");
    seen_work seen = { .size = (uint64_t)s.st_size };
    w->person[n].e->working = work_seen;
    w->person[n].e->working_ctx = &seen;
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    ck_assert_uint_ge(seen.calls, 3);
    ck_assert_uint_eq(seen.have, seen.size);
    world_free(w);
}
END_TEST

/* --- cursors -------------------------------------------------------------------------------------------------------------------------- */
static json_t *waiting(world *w, size_t who, const char *cursor, const char *after)
{
    return must(w, who, "receive", json_pack("{ss ss*}", "cursor", cursor, "after", after));
}

static const char *last_id(const json_t *messages)
{
    return json_string_value(json_object_get(json_array_get(messages, json_array_size(messages) - 1), "id"));
}

/* All that waits, the same for both. How many. */
static size_t same_waiting(world *w, size_t one, size_t two, const char *cursor)
{
    size_t all = 0;
    json_t *a = waiting(w, one, cursor, NULL), *b = waiting(w, two, cursor, NULL);
    while (json_array_size(a) > 0) {
        char after[33];
        ck_assert_msg(json_equal(a, b), "%s: %zu and %zu wait behind %zu", cursor, json_array_size(a), json_array_size(b), all);
        all += json_array_size(a);
        snprintf(after, sizeof after, "%s", last_id(a));
        json_decref(a);
        json_decref(b);
        a = waiting(w, one, cursor, after);
        b = waiting(w, two, cursor, after);
    }
    ck_assert_uint_eq(json_array_size(b), 0);
    json_decref(a);
    json_decref(b);
    return all;
}

static void id_of(uint8_t id[16], unsigned number)
{
    memset(id, 0xc5, 16);
    writer at = writer_over(id, 4);
    write_be(&at, number, 4);
}

/* As if they had come in, from two contacts in turn. */
static void come_in(world *w, size_t who, unsigned from, unsigned to)
{
    engine *e = w->person[who].e;
    vault_contact bob, carol;
    ck_assert_int_eq(vault_contact_by_alias(e->vault, "bob", &bob), TACET_OK);
    ck_assert_int_eq(vault_contact_by_alias(e->vault, "carol", &carol), TACET_OK);
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    for (unsigned i = from; i < to; i++) {
        vault_message m = { .contact = i % 2 ? bob.id : carol.id, .kind = VAULT_TEXT, .state = VAULT_RECEIVED, .text = { (const uint8_t *)"x", 1 } };
        id_of(m.id, i);
        ck_assert_int_eq(vault_message_add(e->vault, &m), TACET_OK);
    }
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
}

static void deal_with(world *w, size_t who, const char *cursor, unsigned from, unsigned to, unsigned step)
{
    json_t *ids = json_array();
    uint8_t id[16];
    for (unsigned i = from; i < to; i += step) {
        id_of(id, i);
        json_array_append_new(ids, json_string(hex(id, sizeof id)));
    }
    json_decref(must(w, who, "handed", json_pack("{ss so}", "cursor", cursor, "ids", ids)));
}

/* Taken in turn, out of turn (more than one record holds), nothing, and not even there at first; and the restore goes twice. */
START_TEST(each_cursor_goes_on_where_it_was)
{
    enum { IN_TURN = 100, END = IN_TURN + 3 * BACKUP_CURSOR_TAKEN_MAX };
    size_t a, b;
    world *w = pair(&a, &b);
    world_befriend(w, a, world_join(w, "carol"));
    json_decref(waiting(w, a, "turns", NULL));
    json_decref(waiting(w, a, "fresh", NULL));
    come_in(w, a, 0, END);
    json_decref(waiting(w, a, "late", NULL));
    deal_with(w, a, "turns", 0, IN_TURN, 1);
    deal_with(w, a, "turns", IN_TURN + 1, END, 2);
    deal_with(w, a, "late", 7, 8, 1);
    w->hold = true;
    backup(w, a);
    size_t n = world_bare(w, "new");
    w->down = true;
    must_fail(w, n, "restore", restore_params(path_of(w, a)), "relay-unreachable", 3);
    w->down = false;
    json_decref(must(w, n, "restore", restore_params(path_of(w, a))));
    same_answer(w, a, n, "cursors", NULL);
    ck_assert_uint_eq(same_waiting(w, a, n, "turns"), (END - IN_TURN) / 2);
    ck_assert_uint_eq(same_waiting(w, a, n, "fresh"), END);
    ck_assert_uint_eq(same_waiting(w, a, n, "late"), END - 1);
    deal_with(w, n, "turns", IN_TURN, END, 2);
    json_t *left = waiting(w, n, "turns", NULL);
    ck_assert_uint_eq(json_array_size(left), 0);
    json_decref(left);
    world_free(w);
}
END_TEST

/* --- records -------------------------------------------------------------------------------------------------------------------------- */
static const char *const kinds[] = { "account", "contact", "chain", "message", "cursor" };
static size_t a_record(unsigned which, uint8_t *out, size_t bytes)
{
    static const uint8_t text[] = "text", draft[] = "draft";
    size_t a, b;
    writer at = writer_over(out, bytes);
    world *w = pair(&a, &b);
    own_account *me = &w->person[a].e->me;
    backup_account account = { .made_ms = 1, .device = 1, .listed = true, .name = "alice" };
    memcpy(account.relay, me->relay_text, sizeof account.relay);
    memcpy(account.list, me->signed_list, account.list_bytes = me->signed_list_bytes);
    backup_contact contact = { .draft = { draft, 5 } };
    ck_assert_int_eq(vault_contact_by_alias(w->person[a].e->vault, "bob", &contact.c), TACET_OK);
    vault_message m = { .kind = VAULT_TEXT, .state = VAULT_RECEIVED, .text = { text, 4 } };
    backup_chain chain = { 7, 8 };
    static const uint8_t ids[32] = "sixteen bytes of";
    backup_cursor cursor = { .c = { "bot", 1 }, .taken = { ids, sizeof ids } };
    if (which == 0)
        record_put_account(&at, &account);
    else if (which == 1)
        record_put_contact(&at, &contact);
    else if (which == 2)
        record_put_chain(&at, &chain);
    else if (which == 3)
        record_put_message(&at, 3, &m);
    else
        record_put_cursor(&at, &cursor);
    world_free(w);
    ck_assert(writer_ok(&at));
    return writer_bytes(&at);
}

static int get(unsigned which, reader *body)
{
    static backup_account account;
    static backup_contact contact;
    static backup_chain chain;
    static vault_message m;
    static backup_cursor cursor;
    uint32_t place;
    return which == 0   ? record_get_account(body, &account)
           : which == 1 ? record_get_contact(body, &contact)
           : which == 2 ? record_get_chain(body, &chain)
           : which == 3 ? record_get_message(body, &place, &m)
                        : record_get_cursor(body, &cursor);
}

START_TEST(records_cut_short_at_every_length)
{
    static uint8_t bytes[BACKUP_RECORD_MAX_BYTES + 16];
    record_kind kind;
    reader body, r;
    size_t n = a_record((unsigned)_i, bytes, sizeof bytes);
    for (size_t cut = 0; cut < n; cut++) { /* of the stream: it waits for more, and does not move */
        r = reader_over(bytes, cut);
        ck_assert_int_eq(record_next(&r, &kind, &body), TACET_E_AGAIN);
        ck_assert_uint_eq(reader_left(&r), cut);
    }
    r = reader_over(bytes, n);
    ck_assert_int_eq(record_next(&r, &kind, &body), TACET_OK);
    ck_assert_int_eq(kind, _i + 1);
    ck_assert_uint_eq(reader_left(&r), 0);
    ck_assert_msg(get((unsigned)_i, &body) == TACET_OK, "%s", kinds[_i]);
    for (size_t cut = BACKUP_RECORD_HEAD_BYTES; cut < n; cut++) { /* of the body, under a length that lies */
        r = reader_over(bytes + BACKUP_RECORD_HEAD_BYTES, cut - BACKUP_RECORD_HEAD_BYTES);
        ck_assert_msg(get((unsigned)_i, &r) == TACET_E_MALFORMED, "%s cut at %zu", kinds[_i], cut);
    }
    r = reader_over(bytes + BACKUP_RECORD_HEAD_BYTES, n - BACKUP_RECORD_HEAD_BYTES + 1); /* a byte too many */
    ck_assert_int_eq(get((unsigned)_i, &r), TACET_E_MALFORMED);
    bytes[1] = 1; /* 16 MiB and more */
    r = reader_over(bytes, n);
    ck_assert_int_eq(record_next(&r, &kind, &body), TACET_E_MALFORMED);
}
END_TEST

static const struct {
    const char *what, *name;
    size_t taken_bytes;
    int want;
} cursors[] = {
    { "none taken", "bot", 0, TACET_OK },
    { "two taken", "bot", 32, TACET_OK },
    { "a piece of an id", "bot", 17, TACET_E_MALFORMED },
    { "no name", "", 16, TACET_E_MALFORMED },
    { "a name that no call would take", "My Bot", 16, TACET_E_MALFORMED },
};
START_TEST(a_cursor_has_a_name_and_whole_ids)
{
    static const uint8_t ids[32];
    uint8_t bytes[256];
    record_kind kind;
    reader body;
    backup_cursor c = { .c.created_ms = 1, .taken = { ids, cursors[_i].taken_bytes } }, got;
    memcpy(c.c.name, cursors[_i].name, strlen(cursors[_i].name));
    writer w = writer_over(bytes, sizeof bytes);
    record_put_cursor(&w, &c);
    reader r = reader_over(bytes, writer_bytes(&w));
    ck_assert_int_eq(record_next(&r, &kind, &body), TACET_OK);
    ck_assert_msg(record_get_cursor(&body, &got) == cursors[_i].want, "%s", cursors[_i].what);
}
END_TEST

SUITE("restore", TEST(everything_comes_back), TEST(what_was_under_way_reaches_the_new_device_once),
      TEST(the_new_device_alone_brings_what_was_under_way), TEST(a_token_that_went_to_the_lost_device), TEST(own_texts_go_again_and_show_once),
      TEST(own_texts_that_had_not_left_go_from_the_new_device), TEST(a_replaced_profile_says_so_and_sends_nothing),
      TEST(a_running_profile_hears_that_it_was_replaced), TEST(M01_the_relay_rolls_the_own_list_back), TEST(M01_the_relay_forks_the_own_list),
      TEST(somebody_whom_the_backup_does_not_know), TEST(an_answer_that_went_to_the_lost_device), TEST(a_restore_says_how_far_it_is),
      TEST(each_cursor_goes_on_where_it_was), LOOP(records_cut_short_at_every_length, ROWS(kinds)),
      LOOP(a_cursor_has_a_name_and_whole_ids, ROWS(cursors)))
