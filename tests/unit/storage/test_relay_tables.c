/* Everything of relay.h that is not the message log. */
#include "folder.h"
#include "parts.h"

static const uint8_t key[32] = "a key of thirty-two bytes, yes!";
static relay_store *s;
static uint8_t a[32] = { 1 }, b[32] = { 2 }, h1[32] = { 11 }, h2[32] = { 12 }, t1[32] = { 21 }, t2[32] = { 22 }, t3[32] = { 23 };

#define BLOB(text) ((blob){ text, sizeof(text) - 1 })

static void start(void)
{
    folder_make();
    OK(relay_store_open(&s, folder, key));
    OK(relay_begin(s));
}

/* Commits, and comes back as after a restart. */
static void again(void)
{
    OK(relay_commit(s));
    s = relay_store_close(s);
    OK(relay_store_open(&s, folder, key));
    OK(relay_begin(s));
}

static void end(void)
{
    relay_rollback(s);
    s = relay_store_close(s);
    folder_remove();
}

static char lists[256];
static bool append_list(void *ctx, uint64_t version, blob list)
{
    size_t n = strlen(lists);
    (void)snprintf(lists + n, sizeof lists - n, "%lu:%.*s ", (unsigned long)version, (int)list.bytes, (const char *)list.at);
    return !ctx || version < *(uint64_t *)ctx;
}

static const char *lists_after(const uint8_t account[32], uint64_t after, uint64_t *stop)
{
    lists[0] = 0;
    OK(relay_lists_after(s, account, after, append_list, stop));
    return lists;
}

START_TEST(accounts_and_lists)
{
    start();
    uint64_t two = 2;
    ck_assert_int_eq(relay_lists_after(s, a, 0, append_list, NULL), TACET_E_NOT_FOUND);
    ck_assert_int_eq(relay_list_add(s, a, 2, h2, BLOB("two")), TACET_E_NOT_FOUND);
    OK(relay_account_add(s, a, 1, h1, BLOB("one"), 500));
    ck_assert_int_eq(relay_account_add(s, a, 1, h1, BLOB("one"), 500), TACET_E_EXISTS);
    OK(relay_list_add(s, a, 2, h2, BLOB("two")));
    ck_assert_int_eq(relay_list_add(s, a, 2, h1, BLOB("other two")), TACET_E_EXISTS);
    OK(relay_list_add(s, a, 3, h1, BLOB("three")));
    OK(relay_account_add(s, b, 1, h1, BLOB("b's"), 500));
    again();
    ck_assert_str_eq(lists_after(a, 0, NULL), "1:one 2:two 3:three ");
    ck_assert_str_eq(lists_after(a, 0, &two), "1:one 2:two ");
    ck_assert_str_eq(lists_after(a, 2, NULL), "3:three ");
    ck_assert_str_eq(lists_after(a, 3, NULL), "");
    ck_assert_str_eq(lists_after(a, UINT64_MAX, NULL), "");
    ck_assert_str_eq(lists_after(b, 0, NULL), "1:b's ");
    uint8_t newest[8];
    size_t n = 0;
    OK(relay_list_newest(s, a, newest, sizeof newest, &n));
    ck_assert_uint_eq(n, 5);
    ck_assert_mem_eq(newest, "three", 5);
    ck_assert_int_eq(relay_list_newest(s, a, newest, 4, &n), TACET_E_QUOTA);
    ck_assert_int_eq(relay_list_newest(s, t1, newest, sizeof newest, &n), TACET_E_NOT_FOUND);
    relay_totals t;
    OK(relay_totals_get(s, &t));
    ck_assert_uint_eq(t.accounts, 2);
    end();
}
END_TEST

START_TEST(mailboxes)
{
    start();
    uint32_t one = 0, two = 0, three = 0, found = 0, device = 0;
    uint8_t account[32];
    OK(relay_mailbox_add(s, a, 1, t1, &one));
    OK(relay_mailbox_add(s, a, 2, t2, &two));
    ck_assert_uint_ne(one, two);
    ck_assert_uint_ne(one, 0);
    ck_assert_int_eq(relay_mailbox_add(s, a, 1, t3, &three), TACET_E_EXISTS);
    ck_assert_int_eq(relay_mailbox_add(s, b, 1, t1, &three), TACET_E_EXISTS); /* a transport key opens one mailbox */
    OK(relay_prekey_put(s, two, 1, 1, BLOB("signed")));
    again();
    OK(relay_mailbox_find(s, a, 2, &found));
    ck_assert_uint_eq(found, two);
    ck_assert_int_eq(relay_mailbox_find(s, b, 2, &found), TACET_E_NOT_FOUND);
    OK(relay_transport_find(s, t1, &found, account, &device));
    ck_assert_uint_eq(found, one);
    ck_assert_uint_eq(device, 1);
    ck_assert_mem_eq(account, a, 32);
    ck_assert_int_eq(relay_transport_find(s, t3, &found, account, &device), TACET_E_NOT_FOUND);
    OK(relay_mailbox_remove(s, two));
    ck_assert_int_eq(relay_mailbox_remove(s, two), TACET_E_NOT_FOUND);
    ck_assert_int_eq(relay_mailbox_remove(s, 4000000), TACET_E_NOT_FOUND);
    ck_assert_int_eq(relay_prekey_put(s, two, 1, 1, BLOB("signed")), TACET_E_NOT_FOUND);
    again();
    ck_assert_int_eq(relay_transport_find(s, t2, &found, account, &device), TACET_E_NOT_FOUND);
    ck_assert_int_eq(relay_mailbox_find(s, a, 2, &found), TACET_E_NOT_FOUND);
    OK(relay_mailbox_add(s, a, 2, t2, &three));
    ck_assert_uint_eq(three, two); /* free since the restart */
    uint32_t one_time, kem;
    uint64_t handed_out;
    OK(relay_prekey_counts(s, three, 0, &one_time, &kem, &handed_out));
    relay_rollback(s);
    OK(relay_begin(s));
    ck_assert_int_eq(relay_mailbox_find(s, a, 2, &found), TACET_E_NOT_FOUND);
    relay_totals t;
    OK(relay_totals_get(s, &t));
    ck_assert_uint_eq(t.mailboxes, 1);
    end();
}
END_TEST

static uint32_t left_below(uint32_t most)
{
    uint32_t left = 12345;
    OK(relay_mailboxes_left(s, most, &left));
    return left;
}

static bool only_numbers(void *ctx, const relay_message *m)
{
    *(uint64_t *)ctx = *(uint64_t *)ctx * 100 + m->number;
    return true;
}

/* The number of a mailbox that was removed is another's only after a restart, and what the one before still had in the log is not. */
START_TEST(S12_numbers_of_mailboxes_come_back)
{
    uint8_t key_of[8][32] = { { 0 } };
    uint32_t box[8];
    bool more = true;
    char where[128];
    start();
    for (uint8_t i = 0; i < 8; i++)
        key_of[i][0] = i;
    ck_assert_uint_eq(left_below(5), 5);
    for (uint8_t i = 0; i < 4; i++)
        OK(relay_mailbox_add(s, a, i, key_of[i], &box[i]));
    relay_message m = { .number = 7, .mailbox = box[1], .token_kind = 1, .expires_hour = 100, .ciphertext = BLOB("of the one before") };
    OK(relay_append(s, &m));
    OK(relay_commit(s));
    OK(relay_begin(s));
    OK(relay_mailbox_remove(s, box[1]));
    OK(relay_mailbox_add(s, a, 4, key_of[4], &box[4]));
    ck_assert_uint_eq(box[4], 5);
    ck_assert_uint_eq(left_below(5), 0);
    ck_assert_uint_eq(left_below(4), 0);
    again();
    ck_assert_uint_eq(left_below(5), 1);
    OK(relay_mailbox_add(s, b, 5, key_of[5], &box[5]));
    ck_assert_uint_eq(box[5], box[1]);
    OK(relay_mailbox_add(s, b, 6, key_of[6], &box[6]));
    ck_assert_uint_eq(box[6], 6);
    m.number = 8;
    m.ciphertext = BLOB("its own");
    OK(relay_append(s, &m));
    OK(relay_commit(s));
    for (int i = 0; i < 3; i++) {
        relay_reader *r = NULL;
        uint64_t of = 0;
        OK(relay_reader_open(&r, s));
        OK(relay_backlog(r, box[5], 0, 10, 1000, 1, only_numbers, &of));
        ck_assert_uint_eq(of, 8);
        relay_reader_close(r);
        for (more = i > 0; more;)
            OK(relay_clean(s, 1, &more, NULL, NULL));
        OK(relay_check(s, where, sizeof where));
        OK(relay_begin(s));
        again();
        OK(relay_commit(s));
    }
    end();
}
END_TEST

START_TEST(tokens)
{
    start();
    uint8_t kind = 0;
    uint64_t count = 9;
    OK(relay_token_add(s, a, 1, t1));
    ck_assert_int_eq(relay_token_add(s, a, 1, t1), TACET_E_EXISTS);
    OK(relay_token_add(s, b, 1, t1)); /* another account's is another token */
    OK(relay_token_add(s, a, 2, t2));
    OK(relay_token_add(s, a, 2, t3)); /* replaces */
    again();
    OK(relay_token_find(s, a, t1, &kind));
    ck_assert_uint_eq(kind, 1);
    OK(relay_token_find(s, a, t3, &kind));
    ck_assert_uint_eq(kind, 2);
    ck_assert_int_eq(relay_token_find(s, a, t2, &kind), TACET_E_NOT_FOUND);
    ck_assert_int_eq(relay_token_find(s, b, t3, &kind), TACET_E_NOT_FOUND);
    OK(relay_token_count(s, a, &count));
    ck_assert_uint_eq(count, 2);
    OK(relay_token_remove(s, a, t1));
    ck_assert_int_eq(relay_token_remove(s, a, t1), TACET_E_NOT_FOUND);
    OK(relay_token_find(s, b, t1, &kind));
    OK(relay_token_count(s, a, &count));
    ck_assert_uint_eq(count, 1);
    end();
}
END_TEST

/* Something with the time in its place (identity/prekey.h), and a word behind it to be known by. */
static blob prekey_of(uint64_t expires_s, const char *word)
{
    static uint8_t bytes[4][64];
    static unsigned turn;
    uint8_t *at = bytes[turn++ % 4];
    size_t n = strlen(word);
    memset(at, 0xee, 13);
    for (size_t i = 0; i < 8; i++)
        at[13 + i] = (uint8_t)(expires_s >> (56 - 8 * i));
    memcpy(at + 21, word, n);
    return (blob){ at, 21 + n };
}

static bool took(uint32_t box, uint8_t kind, uint64_t now_s, const char *word)
{
    uint8_t out[64];
    size_t n = 0;
    int rc = relay_prekey_take(s, box, kind, now_s, out, sizeof out, &n);
    ck_assert(rc == TACET_OK || rc == TACET_E_NOT_FOUND);
    return rc == TACET_OK ? n == 21 + strlen(word) && memcmp(out + 21, word, n - 21) == 0 : !*word;
}

static void check_counts(uint32_t box, uint64_t now_s, uint32_t one_time, uint32_t kem, uint64_t handed_out)
{
    uint32_t got[2] = { 9, 9 };
    uint64_t handed = 9;
    OK(relay_prekey_counts(s, box, now_s, &got[0], &got[1], &handed));
    ck_assert_msg(got[0] == one_time && got[1] == kem && handed == handed_out, "%u %u %lu", got[0], got[1], (unsigned long)handed);
}

static uint64_t prekey_rows(uint32_t box)
{
    sqlite3_stmt *q = NULL;
    OK(relay_one(s, &q, "SELECT count(*) FROM prekey WHERE mailbox = ?", "i", (uint64_t)box));
    uint64_t rows = (uint64_t)sqlite3_column_int64(q, 0);
    ck_assert_int_eq(sqlite3_reset(q), SQLITE_OK);
    return rows;
}

START_TEST(prekeys)
{
    start();
    uint32_t box = 0, other_box = 0, one_time = 9, kem = 9;
    uint64_t handed_out = 9;
    uint8_t out[64];
    size_t n = 0;
    OK(relay_mailbox_add(s, a, 1, t1, &box));
    OK(relay_mailbox_add(s, b, 1, t2, &other_box));
    ck_assert(took(box, 1, 100, ""));
    OK(relay_prekey_put(s, box, 1, 1, prekey_of(900, "old")));
    OK(relay_prekey_put(s, box, 1, 2, prekey_of(900, "signed")));
    OK(relay_prekey_put(s, box, 4, 1, prekey_of(900, "last resort")));
    OK(relay_prekey_put(s, box, 2, 300, prekey_of(900, "later")));
    OK(relay_prekey_put(s, box, 2, 7, prekey_of(900, "first")));
    OK(relay_prekey_put(s, box, 2, 7, prekey_of(900, "first!"))); /* the same id again */
    OK(relay_prekey_put(s, box, 3, 1, prekey_of(900, "kem")));
    again();
    check_counts(box, 100, 2, 1, 0);
    for (int i = 0; i < 2; i++)
        ck_assert(took(box, 1, 100, "signed"));                                     /* stays */
    ck_assert_int_eq(relay_prekey_take(s, box, 2, 100, out, 5, &n), TACET_E_QUOTA); /* no room: it stays too */
    ck_assert(took(box, 2, 100, "first!"));
    ck_assert(took(box, 2, 100, "later"));
    ck_assert(took(box, 2, 100, ""));
    ck_assert(took(box, 3, 100, "kem"));
    ck_assert(took(box, 4, 100, "last resort"));
    check_counts(box, 100, 0, 0, 3);
    check_counts(other_box, 100, 0, 0, 0);
    ck_assert_int_eq(relay_prekey_counts(s, 77, 100, &one_time, &kem, &handed_out), TACET_E_NOT_FOUND);
    end();
}
END_TEST

/* R05: what has expired is neither counted nor handed out, and goes; nothing else does. */
START_TEST(R05_expired_prekeys_are_as_good_as_gone)
{
    start();
    uint32_t box = 0, other_box = 0;
    OK(relay_mailbox_add(s, a, 1, t1, &box));
    OK(relay_mailbox_add(s, b, 1, t2, &other_box));
    for (uint32_t id = 1; id <= 5; id++) {
        OK(relay_prekey_put(s, box, 2, id, prekey_of(500, "early")));
        OK(relay_prekey_put(s, box, 3, id, prekey_of(500, "early")));
        OK(relay_prekey_put(s, other_box, 2, id, prekey_of(500, "another's")));
    }
    OK(relay_prekey_put(s, box, 1, 1, prekey_of(500, "signed")));
    OK(relay_prekey_put(s, box, 4, 1, prekey_of(500, "last resort")));
    OK(relay_prekey_put(s, box, 2, 6, prekey_of(0x0102030405060708, "late")));
    OK(relay_prekey_put(s, box, 2, 7, prekey_of(500, "early")));
    OK(relay_prekey_put(s, box, 2, 8, prekey_of(501, "late, too")));
    again();
    check_counts(box, 499, 8, 5, 0);
    ck_assert(took(box, 2, 499, "early")); /* up to its last second */
    check_counts(box, 500, 2, 0, 1);
    ck_assert(took(box, 2, 500, "late"));
    ck_assert_uint_eq(prekey_rows(box), 9); /* those of lower ids went along */
    check_counts(box, 500, 1, 0, 2);
    ck_assert(took(box, 2, 500, "late, too"));
    ck_assert(took(box, 2, 500, ""));
    ck_assert_uint_eq(prekey_rows(box), 2);
    ck_assert(took(box, 3, 500, ""));
    ck_assert(took(box, 1, 5000, "signed")); /* those two are for whoever gets them to judge */
    ck_assert(took(box, 4, 5000, "last resort"));
    OK(relay_prekey_put(s, box, 2, 9, prekey_of(600, "new")));
    OK(relay_prekey_put(s, box, 3, 9, prekey_of(500, "late already")));
    OK(relay_prekey_forget(s, box, 500));
    ck_assert_uint_eq(prekey_rows(box), 3);
    check_counts(box, 500, 1, 0, 3);
    check_counts(other_box, 499, 5, 0, 0);
    end();
}
END_TEST

START_TEST(names)
{
    start();
    uint8_t out[64];
    size_t n = 0;
    OK(relay_name_put(s, "alice", a, 100, 200, BLOB("entry a")));
    ck_assert_int_eq(relay_name_put(s, "alice", b, 100, 300, BLOB("entry b")), TACET_E_EXISTS);
    OK(relay_name_put(s, "alice", a, 100, 210, BLOB("entry a2"))); /* its own again */
    again();
    OK(relay_name_find(s, "alice", 209, out, sizeof out, &n));
    ck_assert(n == 8 && memcmp(out, "entry a2", 8) == 0);
    ck_assert_int_eq(relay_name_find(s, "alice", 209, out, 7, &n), TACET_E_QUOTA);
    ck_assert_int_eq(relay_name_find(s, "alice", 210, out, sizeof out, &n), TACET_E_NOT_FOUND);
    ck_assert_int_eq(relay_name_find(s, "alic", 0, out, sizeof out, &n), TACET_E_NOT_FOUND);
    OK(relay_name_put(s, "alice", b, 210, 300, BLOB("entry b"))); /* expired: free */
    ck_assert_int_eq(relay_name_remove(s, a), TACET_E_NOT_FOUND);
    OK(relay_name_put(s, "bob", b, 210, 300, BLOB("entry bob"))); /* one name an account */
    ck_assert_int_eq(relay_name_find(s, "alice", 0, out, sizeof out, &n), TACET_E_NOT_FOUND);
    OK(relay_name_remove(s, b));
    ck_assert_int_eq(relay_name_find(s, "bob", 0, out, sizeof out, &n), TACET_E_NOT_FOUND);
    end();
}
END_TEST

START_TEST(invites_and_settings)
{
    start();
    uint8_t out[64];
    size_t n = 0;
    ck_assert_int_eq(relay_invite_use(s, h1, 5), TACET_E_NOT_FOUND);
    OK(relay_invite_add(s, h1, 2, 100));
    ck_assert_int_eq(relay_invite_add(s, h1, 2, 100), TACET_E_EXISTS);
    OK(relay_invite_add(s, h2, 2, 100));
    again();
    OK(relay_invite_use(s, h1, 99));
    OK(relay_invite_use(s, h1, 99));
    ck_assert_int_eq(relay_invite_use(s, h1, 99), TACET_E_NOT_FOUND);
    ck_assert_int_eq(relay_invite_use(s, h2, 100), TACET_E_EXPIRED);
    ck_assert_int_eq(relay_setting_get(s, "salt", out, sizeof out, &n), TACET_E_NOT_FOUND);
    OK(relay_setting_put(s, "salt", BLOB("one")));
    OK(relay_setting_put(s, "salt", BLOB("another")));
    OK(relay_setting_put(s, "empty", (blob){ NULL, 0 }));
    again();
    OK(relay_setting_get(s, "salt", out, sizeof out, &n));
    ck_assert(n == 7 && memcmp(out, "another", 7) == 0);
    ck_assert_int_eq(relay_setting_get(s, "salt", out, 6, &n), TACET_E_QUOTA);
    OK(relay_setting_get(s, "empty", out, sizeof out, &n));
    ck_assert_uint_eq(n, 0);
    end();
}
END_TEST

/* Everything that changes something wants a transaction. */
START_TEST(transactions_are_wanted)
{
    start();
    uint32_t box = 0;
    uint64_t number = 1;
    bool more;
    OK(relay_mailbox_add(s, a, 1, t1, &box));
    ck_assert_int_eq(relay_begin(s), TACET_E_BUG);
    ck_assert_int_eq(relay_clean(s, 1, &more, NULL, NULL), TACET_E_BUG);
    OK(relay_commit(s));
    ck_assert_int_eq(relay_commit(s), TACET_E_BUG);
    relay_rollback(s);
    relay_message m = { .number = 1, .mailbox = box, .ciphertext = BLOB("x") };
    ck_assert_int_eq(relay_append(s, &m), TACET_E_BUG);
    ck_assert_int_eq(relay_acknowledge(s, box, &number, 1), TACET_E_BUG);
    ck_assert_int_eq(relay_forget_tokens(s, box, t1, 1), TACET_E_BUG);
    ck_assert_int_eq(relay_mailbox_add(s, b, 1, t2, &box), TACET_E_BUG);
    ck_assert_int_eq(relay_mailbox_remove(s, box), TACET_E_BUG);
    relay_store *second = NULL;
    ck_assert_int_eq(relay_store_open(&second, folder, key), TACET_E_BUSY);
    ck_assert_ptr_null(relay_store_close(NULL));
    ck_assert_ptr_null(relay_reader_close(NULL));
    end();
}
END_TEST

static int cached(void)
{
    int bytes = 0, highest = 0;
    ck_assert_int_eq(sqlite3_db_status(s->db->db, SQLITE_DBSTATUS_CACHE_USED, &bytes, &highest, 0), SQLITE_OK);
    return bytes;
}

static void clean_times(int times)
{
    for (bool more = false; times-- > 0;)
        OK(relay_clean(s, 1, &more, NULL, NULL));
}

static void read_all_lists(int accounts)
{
    uint8_t account[32] = { 0 }, out[2000];
    size_t n = 0;
    for (account[0] = 0; account[0] < accounts; account[0]++)
        OK(relay_list_newest(s, account, out, sizeof out, &n));
}

/* A storm of logins fills the cache; a while after it, that memory is the system's again, and whoever asks next is served all the same. */
START_TEST(a_quiet_store_keeps_no_cache)
{
    enum { ACCOUNTS = 250, FULL = 300 << 10, EMPTY = 100 << 10 };
    static uint8_t list[2000];
    uint8_t account[32] = { 0 };
    start();
    for (account[0] = 0; account[0] < ACCOUNTS; account[0]++)
        OK(relay_account_add(s, account, 1, h1, (blob){ list, sizeof list }, 1));
    OK(relay_commit(s));
    ck_assert_int_gt(cached(), FULL);
    for (int i = 0; i < 6; i++) { /* asked again and again: not quiet */
        read_all_lists(ACCOUNTS);
        clean_times(1);
        ck_assert_int_gt(cached(), FULL);
    }
    clean_times(2);
    ck_assert_int_gt(cached(), FULL);
    clean_times(1);
    ck_assert_int_lt(cached(), EMPTY);
    read_all_lists(ACCOUNTS);
    ck_assert_int_gt(cached(), FULL);
    clean_times(4);
    ck_assert_int_lt(cached(), EMPTY);
    OK(relay_begin(s));
    end();
}
END_TEST

SUITE("relay-tables", TEST(accounts_and_lists), TEST(mailboxes), TEST(S12_numbers_of_mailboxes_come_back), TEST(tokens), TEST(prekeys),
      TEST(R05_expired_prekeys_are_as_good_as_gone), TEST(names), TEST(invites_and_settings), TEST(transactions_are_wanted),
      TEST(a_quiet_store_keeps_no_cache))
