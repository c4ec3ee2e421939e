/* Checking and copying beside a committer that goes on. */
#include "folder.h"
#include "parts.h"
#include <pthread.h>

enum { BOXES = 4, HOUR = 1000, ROUNDS = 12, BEHIND = 2000 };
static const uint8_t key[32] = "a key of thirty-two bytes, yes!", other_key[32] = "another one, for the copies; ok";
static const relay_tuning busy = {
    .run_rows = 64, .exceptions_max = 2, .clean_rows = 16, .checkpoint_bytes = 300 << 10, .background = true, .beside_wal_bytes = 1 << 30
};

static int append_one(relay_store *s, uint64_t number)
{
    uint64_t body[100];
    for (size_t i = 0; i < ROWS(body); i++)
        body[i] = number;
    relay_message m = {
        .number = number, .mailbox = 1 + (uint32_t)(number % BOXES), .token_kind = 1, .expires_hour = HOUR + 5, .ciphertext = { body, sizeof body }
    };
    return relay_append(s, &m);
}

static relay_store *store_make(const relay_tuning *tuning)
{
    relay_store *s = NULL;
    OK(relay_store_open_tuned(&s, folder, key, tuning));
    OK(relay_begin(s));
    for (uint32_t i = 1; i <= BOXES; i++) {
        uint8_t account[32] = { (uint8_t)i };
        uint32_t box = 0;
        OK(relay_mailbox_add(s, account, 1, account, &box));
    }
    OK(relay_commit(s));
    return s;
}

/* One transaction: some messages come, as many old ones are acknowledged, and the cleaner runs. */
static void commit_one(relay_store *s, uint64_t *number)
{
    bool more = false;
    OK(relay_begin(s));
    for (int i = 0; i < 10; i++) {
        ++*number;
        OK(append_one(s, *number));
        if (*number > BEHIND) {
            uint64_t old = *number - BEHIND;
            OK(relay_acknowledge(s, 1 + (uint32_t)(old % BOXES), &old, 1));
        }
    }
    OK(relay_commit(s));
    OK(relay_clean(s, HOUR, &more, NULL, NULL));
}

typedef struct {
    relay_store *s;
    int check[ROUNDS], copy[ROUNDS];
    char where[128];
    atomic_bool done;
} visitor;

static void *visit(void *ctx)
{
    visitor *v = ctx;
    char name[32];
    for (int i = 0; i < ROUNDS; i++) {
        v->check[i] = relay_check_beside(v->s, v->where, sizeof v->where);
        (void)snprintf(name, sizeof name, "copy-%d", i);
        v->copy[i] = relay_backup_beside(v->s, in_folder(name), other_key);
    }
    atomic_store(&v->done, true);
    return NULL;
}

static bool note_one(void *ctx, const relay_message *m)
{
    uint64_t *low_high_count = ctx;
    low_high_count[0] = m->number < low_high_count[0] ? m->number : low_high_count[0];
    low_high_count[1] = m->number > low_high_count[1] ? m->number : low_high_count[1];
    low_high_count[2]++;
    return true;
}

/* A copy is the relay at one moment: sound, without a hole. */
static void copy_is_whole(const char *name)
{
    relay_store *s = NULL;
    relay_reader *r = NULL;
    uint64_t seen[3] = { UINT64_MAX, 0, 0 };
    char where[128] = "", from[128], inner[80];
    (void)snprintf(from, sizeof from, "%s", in_folder(name));
    (void)snprintf(inner, sizeof inner, "%.60s/alone", folder);
    ck_assert_int_eq(mkdir(inner, 0700), 0);
    ck_assert_int_eq(rename(from, in_folder("alone/relay.db")), 0);
    OK(relay_store_open_tuned(&s, inner, other_key, &busy));
    ck_assert_msg(relay_check(s, where, sizeof where) == TACET_OK, "%s: %s", name, where);
    OK(relay_reader_open(&r, s));
    for (uint32_t box = 1; box <= BOXES; box++)
        OK(relay_backlog(r, box, 0, SIZE_MAX, SIZE_MAX, HOUR, note_one, seen));
    ck_assert_uint_eq(seen[2], seen[1] - seen[0] + 1);
    ck_assert_uint_ge(seen[2], BEHIND);
    relay_reader_close(r);
    relay_store_close(s);
    ck_assert_int_eq(unlink(in_folder("alone/relay.db")), 0);
    (void)unlink(in_folder("alone/relay.db.lock"));
    ck_assert_int_eq(rmdir(inner), 0);
}

START_TEST(check_and_copy_beside_the_committer)
{
    folder_make();
    relay_store *s = store_make(&busy);
    static visitor v;
    v = (visitor){ .s = s };
    uint64_t number = 0, commits = 0;
    pthread_t thread;
    for (int i = 0; i < 300; i++)
        commit_one(s, &number);
    ck_assert_int_eq(pthread_create(&thread, NULL, visit, &v), 0);
    for (; !atomic_load(&v.done); commits++)
        commit_one(s, &number);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_gt(commits, ROUNDS);
    for (int i = 0; i < 100; i++) /* afterwards the log gets short again */
        commit_one(s, &number);
    ck_assert_uint_lt(atomic_load(&s->wal_bytes), 8 * busy.checkpoint_bytes);
    relay_store_close(s);
    for (int i = 0; i < ROUNDS; i++) {
        char name[32];
        ck_assert_msg(v.check[i] == TACET_OK, "check %d: %s: %s", i, tacet_status_word(v.check[i]), v.where);
        OK(v.copy[i]);
        (void)snprintf(name, sizeof name, "copy-%d", i);
        copy_is_whole(name);
    }
    folder_remove();
}
END_TEST

/* A log that grows too long under the view, or a store that is to end: the visitor goes, and leaves nothing. */
START_TEST(visitors_go_when_they_have_to)
{
    folder_make();
    relay_tuning t = busy;
    t.beside_wal_bytes = _i ? busy.beside_wal_bytes : 1;
    relay_store *s = store_make(&t);
    uint64_t number = 0;
    char where[128];
    for (int i = 0; i < 20; i++)
        commit_one(s, &number);
    if (_i)
        relay_beside_stop(s);
    ck_assert_int_eq(relay_check_beside(s, where, sizeof where), TACET_E_BUSY);
    ck_assert_int_eq(relay_backup_beside(s, in_folder("copy"), other_key), TACET_E_BUSY);
    ck_assert(!file_there(in_folder("copy")));
    ck_assert(!file_there(in_folder("copy.new")));
    commit_one(s, &number);
    relay_store_close(s);
    folder_remove();
}
END_TEST

static bool never(void *ctx)
{
    ++*(unsigned *)ctx;
    return false;
}

START_TEST(a_copy_that_was_broken_off_is_none)
{
    folder_make();
    relay_store *s = store_make(&busy);
    unsigned asked = 0;
    ck_assert_int_eq(database_backup_while(s->db, in_folder("copy"), other_key, never, &asked), TACET_E_BUSY);
    ck_assert_uint_eq(asked, 1);
    ck_assert(!file_there(in_folder("copy")));
    ck_assert(!file_there(in_folder("copy.new")));
    relay_store_close(s);
    folder_remove();
}
END_TEST

/* The disk changes under a running relay: the check beside it names the page, the tables, and how far the log reads. */
/* Once the store's own thread lets us. */
static void checkpoint_all(relay_store *s)
{
    int rc = TACET_E_BUSY;
    for (int i = 0; i < 5000 && rc == TACET_E_BUSY; i++) {
        rc = database_checkpoint(s->db, true, NULL);
        (void)usleep(rc == TACET_E_BUSY ? 1000 : 0);
    }
    OK(rc);
}

START_TEST(S05_damage_is_named_beside_the_committer)
{
    enum { PAGE = 16384 };
    folder_make();
    relay_store *s = store_make(&busy);
    uint64_t number = 0;
    char where[256] = "";
    size_t bytes;
    for (int i = 0; i < 40; i++)
        commit_one(s, &number);
    checkpoint_all(s);
    free(file_read(in_folder("relay.db"), &bytes));
    OK(relay_check_beside(s, where, sizeof where));
    ck_assert_str_eq(where, "");
    unsigned named = 0;
    for (size_t page = 2; page < bytes / PAGE; page++) {
        file_flip(in_folder("relay.db"), page * PAGE + 5000, 1);
        ck_assert_int_eq(relay_check_beside(s, where, sizeof where), TACET_E_CORRUPT);
        ck_assert_msg(strstr(where, "page") && (strstr(where, "hit: ") || strstr(where, "no table")), "page %zu: %s", page + 1, where);
        named += strstr(where, "hit: message") && strstr(where, "the log reads as far as message");
        file_flip(in_folder("relay.db"), page * PAGE + 5000, 1);
    }
    ck_assert_uint_gt(named, 0);
    OK(relay_check_beside(s, where, sizeof where));
    relay_store_close(s);
    folder_remove();
}
END_TEST

SUITE("relay-beside", TEST(check_and_copy_beside_the_committer), LOOP(visitors_go_when_they_have_to, 2), TEST(a_copy_that_was_broken_off_is_none),
      TEST(S05_damage_is_named_beside_the_committer))
