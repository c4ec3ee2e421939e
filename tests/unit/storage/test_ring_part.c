/* The ring on disk: what a start takes from it, that it is forgotten in time, what becomes of a damaged part, and a store from before there was one.
 * That it says the same as the log, whatever happened, is log_equals_its_model's business. */
#include "folder.h"
#include "parts.h"

enum { HOUR = 1000, PART = 4 };
static const uint8_t key[32] = "a key of thirty-two bytes, yes!";
static const relay_tuning small = { .run_rows = 64, .exceptions_max = 3, .clean_rows = 8, .checkpoint_bytes = 256 << 10, .background = false };

static relay_store *store_open(void)
{
    relay_store *s = NULL;
    OK(relay_store_open_tuned(&s, folder, key, &small));
    return s;
}

static relay_store *store_new(uint32_t *mailbox)
{
    uint8_t account[32] = { 1 };
    folder_make();
    relay_store *s = store_open();
    OK(relay_begin(s));
    OK(relay_mailbox_add(s, account, 1, account, mailbox));
    OK(relay_commit(s));
    return s;
}

/* One message a commit, numbers from..to. */
static void append(relay_store *s, uint32_t mailbox, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n <= to; n++) {
        relay_message m = { .number = n, .mailbox = mailbox, .token_kind = 1, .expires_hour = HOUR + 1, .ciphertext = { "x", 1 } };
        OK(relay_begin(s));
        OK(relay_append(s, &m));
        OK(relay_commit(s));
    }
}

static int64_t integer(relay_store *s, const char *sql)
{
    int64_t out = -1;
    OK(connection_integer(s->db, sql, &out));
    return out;
}

static void store_end(relay_store *s)
{
    relay_store_close(s);
    folder_remove();
}

static uint64_t waiting(relay_store *s)
{
    relay_totals t;
    OK(relay_totals_get(s, &t));
    return t.messages;
}

/* A row that is missing is not noticed by a start, which does not look for it, but by check. */
START_TEST(start_does_not_read_the_log)
{
    uint32_t mailbox;
    char where[128];
    relay_store *s = store_new(&mailbox);
    append(s, mailbox, 1, 4 * PART + 3);
    ck_assert_int_eq(integer(s, "SELECT max(last) FROM ring_part"), 4 * PART);
    OK(database_execute(s->db, "DELETE FROM message WHERE number IN (2, 18)")); /* in a part; behind the last */
    relay_store_close(s);
    s = store_open();
    ck_assert_uint_eq(waiting(s), 4 * PART + 2);
    ck_assert_int_eq(relay_check(s, where, sizeof where), TACET_E_CORRUPT);
    ck_assert_str_eq(where, "the ring names 18 messages that wait, the log has 17");
    store_end(s);
}
END_TEST

/* Acknowledged at once, no run is ever written: parts go all the same. Every third stays unacknowledged until its fellows are too many exceptions. */
START_TEST(parts_do_not_pile_up)
{
    uint32_t mailbox;
    char where[128];
    bool more;
    relay_store *s = store_new(&mailbox);
    for (uint64_t n = 1; n <= 400; n++) {
        append(s, mailbox, n, n);
        uint64_t number[2] = { n, n - 6 };
        OK(relay_begin(s));
        OK(relay_acknowledge(s, mailbox, number + !(n % 3), n % 3 && n > 6 ? 2 : 1));
        OK(relay_commit(s));
        OK(relay_clean(s, HOUR, &more, NULL, NULL));
        if (n % 50 == 0) {
            relay_store_close(s);
            s = store_open();
            OK(relay_check(s, where, sizeof where));
        }
        ck_assert_int_le(integer(s, "SELECT count(*) FROM ring_part"), 64 / PART);
        ck_assert_int_le(integer(s, "SELECT count(*) FROM ring_gone"), 64);
    }
    ck_assert_int_eq(integer(s, "SELECT indexed_through FROM log"), 0);
    store_end(s);
}
END_TEST

static int refuse(void *ctx)
{
    (void)ctx;
    return 1;
}

/* A part whose commit failed was never written. */
START_TEST(failed_commit_is_undone)
{
    uint32_t mailbox;
    char where[128];
    relay_store *s = store_new(&mailbox);
    append(s, mailbox, 1, PART);
    relay_message m = { .number = PART + 1, .mailbox = mailbox, .token_kind = 1, .expires_hour = HOUR + 1, .ciphertext = { "x", 1 } };
    OK(relay_begin(s));
    OK(relay_append(s, &m));
    (void)sqlite3_commit_hook(s->db->db, refuse, NULL);
    ck_assert_int_ne(relay_commit(s), TACET_OK);
    (void)sqlite3_commit_hook(s->db->db, NULL, NULL);
    OK(relay_begin(s));
    OK(relay_commit(s)); /* writes no part: nothing is appended */
    append(s, mailbox, PART + 1, 3 * PART);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(waiting(s), 3 * PART);
        OK(relay_check(s, where, sizeof where));
        relay_store_close(s);
        s = store_open();
    }
    store_end(s);
}
END_TEST

static const struct {
    const char *sql;
    bool refused;
} damage[] = {
    { "UPDATE ring_part SET entries = substr(entries, 1, length(entries) - 1) WHERE last = 8", true },
    { "UPDATE ring_part SET entries = entries || x'00' WHERE last = 8", true },
    { "UPDATE ring_part SET entries = (SELECT entries FROM ring_part WHERE last = 4) WHERE last = 8", true }, /* numbers twice */
    { "UPDATE ring_part SET last = 7 WHERE last = 8", true },                                                 /* above its own end */
    { "DELETE FROM ring_part WHERE last = 8", false },                                                        /* lost entries: found by check */
    { "UPDATE ring_part SET entries = x'' WHERE last = 8", false },
    { "INSERT INTO ring_gone VALUES(6)", false },
};

START_TEST(damage_is_found)
{
    uint32_t mailbox;
    char where[128];
    relay_store *s = store_new(&mailbox);
    append(s, mailbox, 1, 3 * PART + 1); /* the last part is written by the commit after it */
    OK(database_execute(s->db, damage[_i].sql));
    relay_store_close(s);
    s = NULL;
    int rc = relay_store_open_tuned(&s, folder, key, &small);
    ck_assert_int_eq(rc, damage[_i].refused ? TACET_E_CORRUPT : TACET_OK);
    if (s) {
        ck_assert_int_eq(relay_check(s, where, sizeof where), TACET_E_CORRUPT);
        ck_assert_msg(strstr(where, "in the log, not in memory") != NULL, "%s", where);
    }
    store_end(s);
}
END_TEST

/* A store of version 2: its ring is in the log only. */
START_TEST(store_from_before)
{
    uint32_t mailbox;
    char where[128], path[256];
    database *d = NULL;
    folder_make();
    (void)snprintf(path, sizeof path, "%s/relay.db", folder);
    OK(database_open(&d, path, key, &database_relay, relay_migrations, 2));
    OK(database_execute(d, "INSERT INTO account VALUES(zeroblob(32), 1); INSERT INTO mailbox VALUES(1, zeroblob(32), 1, zeroblob(32), 0);"));
    OK(database_execute(d, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 21)"
                           " INSERT INTO message SELECT i, 1, 1001, 1000, 1, zeroblob(32), x'78' FROM n"));
    database_close(d);
    mailbox = 1;
    relay_store *s = store_open();
    ck_assert_uint_eq(waiting(s), 21);
    ck_assert_int_eq(integer(s, "SELECT count(*) FROM ring_part"), 0);
    append(s, mailbox, 22, 23); /* the first of these commits writes all that there was */
    ck_assert_int_eq(integer(s, "SELECT max(last) FROM ring_part"), 20);
    for (int i = 0; i < 2; i++) {
        OK(relay_check(s, where, sizeof where));
        ck_assert_uint_eq(waiting(s), 23);
        relay_store_close(s);
        s = store_open();
    }
    store_end(s);
}
END_TEST

SUITE("ring-part", TEST(start_does_not_read_the_log), TEST(parts_do_not_pile_up), TEST(failed_commit_is_undone), LOOP(damage_is_found, ROWS(damage)),
      TEST(store_from_before))
