/* The vault by itself: what goes in comes out, one thing that happened is one transaction, and a killed process loses nothing it had committed. */
#include "storage/vault.h"
#include "suite.h"
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[96];
static const uint8_t key[32] = "0123456789abcdef0123456789abcde";

static void fresh_dir(void)
{
    strcpy(dir, "/tmp/tacet-vault-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/vault.db", dir);
}

static void remove_dir(void)
{
    static const char *const suffix[] = { "", "-wal", "-shm", ".lock", ".new", ".new.lock" };
    for (size_t i = 0; i < ROWS(suffix); i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", path, suffix[i]);
        (void)unlink(name);
    }
    ck_assert_int_eq(rmdir(dir), 0);
}

static vault *opened(void)
{
    vault *v = NULL;
    ck_assert_int_eq(vault_open(&v, path, key), TACET_OK);
    return v;
}

static vault_contact contact_named(const char *alias, uint8_t account)
{
    vault_contact c = { .state = VAULT_CONTACT_ACCEPTED, .has_ours = true, .has_theirs = true, .list_bytes = 3, .list = { 1, 2, 3 }, .sequence = 7 };
    snprintf(c.alias, sizeof c.alias, "%s", alias);
    snprintf(c.name, sizeof c.name, "%s", alias);
    snprintf(c.relay, sizeof c.relay, "tacet://localhost:1/abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst");
    memset(c.account, account, sizeof c.account);
    memset(c.our_hash, account + 1, sizeof c.our_hash);
    memset(c.our_token, account + 2, sizeof c.our_token);
    return c;
}

static vault_message message_of(int64_t contact, uint8_t id, bool outgoing, const char *text)
{
    vault_message m = {
        .contact = contact, .outgoing = outgoing, .kind = VAULT_TEXT, .state = outgoing ? VAULT_QUEUED : VAULT_RECEIVED, .device = 1
    };
    memset(m.id, id, sizeof m.id);
    m.text = (vault_blob){ (const uint8_t *)text, strlen(text) };
    return m;
}

typedef struct {
    size_t count;
    char text[8][64];
} collected;
static bool collect(void *ctx, const vault_message *m)
{
    collected *c = ctx;
    if (c->count < 8)
        snprintf(c->text[c->count], sizeof c->text[0], "%.*s", (int)m->text.bytes, (const char *)m->text.at);
    c->count++;
    return true;
}

START_TEST(contacts_come_back_as_they_went_in)
{
    fresh_dir();
    vault *v = opened();
    vault_contact bob = contact_named("bob", 1), carol = contact_named("carol", 50), got;
    ck_assert_int_eq(vault_begin(v), TACET_OK);
    ck_assert_int_eq(vault_contact_add(v, &bob), TACET_OK);
    ck_assert_int_eq(vault_contact_add(v, &carol), TACET_OK);
    vault_contact clash = contact_named("bob", 77);
    ck_assert_int_eq(vault_contact_add(v, &clash), TACET_E_EXISTS);
    ck_assert_int_eq(vault_commit(v), TACET_OK);
    ck_assert_int_eq(vault_contact_by_alias(v, "bob", &got), TACET_OK);
    ck_assert_mem_eq(&got, &bob, sizeof got);
    ck_assert_int_eq(vault_contact_by_hash(v, carol.our_hash, &got), TACET_OK);
    ck_assert_str_eq(got.alias, "carol");
    ck_assert_int_eq(vault_contact_by_account(v, bob.account, &got), TACET_OK);
    ck_assert_int_eq(vault_contact_by_name(v, "bob", strrchr(bob.relay, '/') + 1, bob.account, &got), TACET_E_NOT_FOUND);
    ck_assert_int_eq(vault_contact_by_name(v, "bob", strrchr(bob.relay, '/') + 1, carol.account, &got), TACET_OK);
    bob.changed = true;
    memset(bob.changed_account, 9, 32);
    bob.verified = true;
    ck_assert_int_eq(vault_begin(v), TACET_OK);
    ck_assert_int_eq(vault_contact_update(v, &bob), TACET_OK);
    ck_assert_int_eq(vault_draft_put(v, bob.id, "half a thought"), TACET_OK);
    ck_assert_int_eq(vault_commit(v), TACET_OK);
    vault_close(v);
    v = opened();
    char draft[32];
    ck_assert_int_eq(vault_draft_get(v, bob.id, draft, sizeof draft), TACET_OK);
    ck_assert_str_eq(draft, "half a thought");
    ck_assert_int_eq(vault_contact_get(v, bob.id, &got), TACET_OK);
    ck_assert_mem_eq(&got, &bob, sizeof got);
    vault_close(v);
    remove_dir();
}
END_TEST

START_TEST(history_is_ordered_searchable_and_forgets_with_its_contact)
{
    fresh_dir();
    vault *v = opened();
    vault_contact bob = contact_named("bob", 1), carol = contact_named("carol", 50);
    static const char *const text[] = { "the build went through", "and the demo?", "Größe und Übermut", "building again" };
    ck_assert_int_eq(vault_begin(v), TACET_OK);
    ck_assert_int_eq(vault_contact_add(v, &bob), TACET_OK);
    ck_assert_int_eq(vault_contact_add(v, &carol), TACET_OK);
    for (uint8_t i = 0; i < ROWS(text); i++) {
        vault_message m = message_of(bob.id, i, i % 2, text[i]);
        ck_assert_int_eq(vault_message_add(v, &m), TACET_OK);
        int64_t row;
        uint32_t state;
        ck_assert_int_eq(vault_message_find(v, bob.id, i % 2, m.id, &row, &state), TACET_OK);
        ck_assert_int_eq(row, m.row); /* the trigger of the full-text index does not change it */
    }
    vault_message twice = message_of(bob.id, 0, false, "again");
    ck_assert_int_eq(vault_message_add(v, &twice), TACET_E_EXISTS);
    vault_message hers = message_of(carol.id, 0, false, "another build");
    ck_assert_int_eq(vault_message_add(v, &hers), TACET_OK);
    ck_assert_int_eq(vault_commit(v), TACET_OK);

    collected c = { 0 };
    ck_assert_int_eq(vault_history(v, bob.id, 0, 3, collect, &c), TACET_OK);
    ck_assert_uint_eq(c.count, 3);
    ck_assert_str_eq(c.text[0], text[1]);
    ck_assert_str_eq(c.text[2], text[3]);
    c.count = 0;
    ck_assert_int_eq(vault_search(v, bob.id, "\"build\"*", 10, collect, &c), TACET_OK);
    ck_assert_uint_eq(c.count, 2);
    ck_assert_str_eq(c.text[0], text[3]);
    c.count = 0;
    ck_assert_int_eq(vault_search(v, 0, "\"build\"*", 10, collect, &c), TACET_OK);
    ck_assert_uint_eq(c.count, 3);
    c.count = 0;
    ck_assert_int_eq(vault_search(v, 0, "\"ubermut\"", 10, collect, &c), TACET_OK);
    ck_assert_uint_eq(c.count, 1);

    uint64_t unread = 0;
    ck_assert_int_eq(vault_unread(v, bob.id, &unread), TACET_OK);
    ck_assert_uint_eq(unread, 2);
    ck_assert_int_eq(vault_begin(v), TACET_OK);
    ck_assert_int_eq(vault_contact_remove(v, bob.id), TACET_OK);
    ck_assert_int_eq(vault_commit(v), TACET_OK);
    c.count = 0;
    ck_assert_int_eq(vault_search(v, 0, "\"build\"*", 10, collect, &c), TACET_OK);
    ck_assert_uint_eq(c.count, 1);
    ck_assert_str_eq(c.text[0], "another build");
    char where[128];
    ck_assert_int_eq(database_check(vault_database(v), where, sizeof where), TACET_OK);
    vault_close(v);
    remove_dir();
}
END_TEST

START_TEST(gaps_count_down)
{
    fresh_dir();
    vault *v = opened();
    vault_contact bob = contact_named("bob", 1);
    ck_assert_int_eq(vault_begin(v), TACET_OK);
    ck_assert_int_eq(vault_contact_add(v, &bob), TACET_OK);
    vault_message gap = message_of(bob.id, 1, false, "");
    gap.kind = VAULT_GAP;
    gap.sequence = 4;
    gap.gap = 2;
    ck_assert_int_eq(vault_message_add(v, &gap), TACET_OK);
    vault_chain_link link;
    ck_assert_int_eq(vault_chain_link_get(v, bob.id, 1, 4, &link), TACET_E_NOT_FOUND); /* a mark is no message */
    ck_assert_int_eq(vault_gap_filled(v, bob.id, 1, 3), TACET_OK);
    collected c = { 0 };
    ck_assert_int_eq(vault_message_each_row(v, gap.row, collect, &c), TACET_OK);
    ck_assert_int_eq(vault_gap_filled(v, bob.id, 1, 5), TACET_OK);
    ck_assert_int_eq(vault_gap_filled(v, bob.id, 1, 4), TACET_OK);
    ck_assert_int_eq(vault_message_each_row(v, gap.row, collect, &c), TACET_E_NOT_FOUND);
    ck_assert_int_eq(vault_commit(v), TACET_OK);
    vault_close(v);
    remove_dir();
}
END_TEST

/* Writes messages 1, 2, 3 … each with its session state and its envelope id in one transaction, tells of each commit on the pipe, and is killed. */
static void writer_until_killed(int tell)
{
    vault *v = NULL;
    if (vault_open(&v, path, key) != TACET_OK)
        _exit(1);
    vault_contact bob;
    if (vault_contact_by_alias(v, "bob", &bob) != TACET_OK)
        _exit(2);
    int64_t ids;
    size_t have = 0;
    if (vault_contact_ids(v, &ids, 1, &have) != TACET_OK)
        _exit(3);
    uint64_t n = 0;
    if (vault_number_get(v, "count", &n) < 0)
        _exit(4);
    for (;;) {
        n++;
        uint8_t state[3000];
        memset(state, (int)(n & 0xff), sizeof state);
        vault_session s = { .id = "a session", .contact = bob.id, .device = 1, .sealed = n, .state = { state, sizeof state } };
        vault_message m = message_of(bob.id, 0, false, "text");
        memcpy(m.id, &n, sizeof n);
        if (vault_begin(v) != TACET_OK || vault_session_put(v, &s) != TACET_OK || vault_message_add(v, &m) != TACET_OK ||
            vault_seen_put(v, m.id, 1000, false) != TACET_OK || vault_number_put(v, "count", n) != TACET_OK || vault_commit(v) != TACET_OK)
            _exit(5);
        if (write(tell, &n, sizeof n) != sizeof n)
            _exit(6);
    }
}

/* S04 at the level of the vault: whatever was committed before the kill is there afterwards, whole: message, ratchet and envelope id together. */
START_TEST(S04_killed_between_commit_and_ack)
{
    fresh_dir();
    vault *v = opened();
    vault_contact bob = contact_named("bob", 1);
    ck_assert_int_eq(vault_begin(v), TACET_OK);
    ck_assert_int_eq(vault_contact_add(v, &bob), TACET_OK);
    ck_assert_int_eq(vault_commit(v), TACET_OK);
    vault_close(v);
    uint64_t told = 0;
    for (unsigned round = 0; round < 12; round++) {
        int fds[2];
        ck_assert_int_eq(pipe(fds), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            writer_until_killed(fds[1]);
        close(fds[1]);
        uint64_t n;
        for (unsigned i = 0; i < 3 && read(fds[0], &n, sizeof n) == sizeof n; i++)
            told = n;
        usleep(round * 731);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        while (read(fds[0], &n, sizeof n) == sizeof n)
            told = n;
        close(fds[0]);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));

        v = opened();
        uint64_t count = 0;
        ck_assert_int_eq(vault_number_get(v, "count", &count), TACET_OK);
        ck_assert_uint_ge(count, told); /* told means committed */
        vault_session_head head[2];
        size_t heads;
        ck_assert_int_eq(vault_session_heads(v, bob.id, 0, head, 2, &heads), TACET_OK);
        ck_assert_uint_eq(heads, 1);
        ck_assert_uint_eq(head[0].sealed, count);
        uint8_t state[3000];
        size_t bytes;
        ck_assert_int_eq(vault_session_state(v, head[0].id, state, sizeof state, &bytes), TACET_OK);
        ck_assert_uint_eq(state[2999], count & 0xff);
        for (uint64_t i = 1; i <= count + 1; i++) {
            uint8_t id[16] = { 0 };
            memcpy(id, &i, sizeof i);
            bool yes, own;
            int64_t row;
            uint32_t s;
            ck_assert_int_eq(vault_seen_has(v, id, &yes, &own), TACET_OK);
            ck_assert_int_eq(yes, i <= count);
            ck_assert_int_eq(vault_message_find(v, bob.id, false, id, &row, &s), i <= count ? TACET_OK : TACET_E_NOT_FOUND);
        }
        vault_close(v);
    }
    remove_dir();
}
END_TEST

START_TEST(a_rolled_back_transaction_leaves_nothing)
{
    fresh_dir();
    vault *v = opened();
    ck_assert_int_eq(vault_begin(v), TACET_OK);
    vault_contact bob = contact_named("bob", 1);
    ck_assert_int_eq(vault_contact_add(v, &bob), TACET_OK);
    ck_assert_int_eq(vault_number_put(v, "n", 1), TACET_OK);
    vault_rollback(v);
    uint64_t n;
    vault_contact got;
    ck_assert_int_eq(vault_number_get(v, "n", &n), TACET_E_NOT_FOUND);
    ck_assert_int_eq(vault_contact_by_alias(v, "bob", &got), TACET_E_NOT_FOUND);
    vault_close(v);
    remove_dir();
}
END_TEST

/* S08: a vault of a newer version says so, and a second process finds it busy. */
START_TEST(S08_another_key_and_a_second_opener_are_refused)
{
    fresh_dir();
    vault *v = opened(), *second = NULL;
    ck_assert_int_eq(vault_open(&second, path, key), TACET_E_BUSY);
    vault_close(v);
    static const uint8_t other[32] = "another key";
    ck_assert_int_eq(vault_open(&second, path, other), TACET_E_CORRUPT);
    v = opened();
    vault_close(v);
    remove_dir();
}
END_TEST

START_TEST(outbox_keeps_order_and_starts_again)
{
    fresh_dir();
    vault *v = opened();
    vault_contact bob = contact_named("bob", 1);
    ck_assert_int_eq(vault_begin(v), TACET_OK);
    ck_assert_int_eq(vault_contact_add(v, &bob), TACET_OK);
    int64_t made[3], rows[8];
    for (unsigned i = 0; i < 3; i++) {
        vault_outgoing o = {
            .contact = bob.id, .message = i + 1, .device = 1, .what = VAULT_OUT_MESSAGE, .state = VAULT_OUT_READY, .expires_ms = 100 * i
        };
        o.ciphertext = (vault_blob){ (const uint8_t *)"abc", 3 };
        ck_assert_int_eq(vault_out_add(v, &o), TACET_OK);
        made[i] = o.row;
    }
    size_t count;
    ck_assert_int_eq(vault_out_rows(v, bob.id, VAULT_OUT_READY, 0, rows, 8, &count), TACET_OK);
    ck_assert_uint_eq(count, 3);
    ck_assert_mem_eq(rows, made, sizeof made);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(vault_out_state(v, made[i], VAULT_OUT_STORED), TACET_OK);
    ck_assert_int_eq(vault_out_again(v, "tacet://other:1/x"), TACET_OK);
    ck_assert_int_eq(vault_out_rows(v, 0, VAULT_OUT_READY, 0, rows, 8, &count), TACET_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(vault_out_again(v, bob.relay), TACET_OK);
    ck_assert_int_eq(vault_out_rows(v, 0, VAULT_OUT_READY, made[0], rows, 8, &count), TACET_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(vault_out_expired(v, 150, rows, 8, &count), TACET_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(vault_out_delivered(v, 3, 1), TACET_OK);
    uint64_t unsent;
    ck_assert_int_eq(vault_out_count(v, &unsent), TACET_OK);
    ck_assert_uint_eq(unsent, 2);
    uint8_t id[16] = { 1 }, ids[4][16];
    ck_assert_int_eq(vault_receipt_put(v, bob.id, id, 1, 500), TACET_OK);
    ck_assert_int_eq(vault_receipt_put(v, bob.id, id, 1, 900), TACET_OK);
    uint64_t due;
    int64_t whose;
    uint32_t state;
    ck_assert_int_eq(vault_receipt_due(v, &due, &whose), TACET_OK);
    ck_assert_uint_eq(due, 500);
    ck_assert_int_eq(vault_receipt_take(v, bob.id, &state, ids, 4, &count), TACET_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(vault_receipt_due(v, &due, &whose), TACET_E_NOT_FOUND);
    ck_assert_int_eq(vault_commit(v), TACET_OK);
    vault_close(v);
    remove_dir();
}
END_TEST

START_TEST(quarantine_is_bounded)
{
    fresh_dir();
    vault *v = opened();
    ck_assert_int_eq(vault_begin(v), TACET_OK);
    for (uint8_t i = 0; i < 20; i++) {
        uint8_t id[16] = { i };
        ck_assert_int_eq(vault_quarantine_put(v, id, 0, 1, "does not open", (vault_blob){ id, sizeof id }, 8), TACET_OK);
    }
    ck_assert_int_eq(vault_commit(v), TACET_OK);
    uint64_t count;
    ck_assert_int_eq(vault_quarantine_count(v, &count), TACET_OK);
    ck_assert_uint_eq(count, 8);
    vault_close(v);
    remove_dir();
}
END_TEST

SUITE("vault", TEST(contacts_come_back_as_they_went_in), TEST(history_is_ordered_searchable_and_forgets_with_its_contact), TEST(gaps_count_down),
      TEST(S04_killed_between_commit_and_ack), TEST(a_rolled_back_transaction_leaves_nothing), TEST(S08_another_key_and_a_second_opener_are_refused),
      TEST(outbox_keeps_order_and_starts_again), TEST(quarantine_is_bounded))
