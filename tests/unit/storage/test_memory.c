/* The k-th allocation fails, for each k until none is left to fail (S03): ours through the linker's --wrap, SQLite's through its own hooks. */
#include "folder.h"
#include "parts.h"

enum { HOUR = 1000 };
static const uint8_t key[32] = "a key of thirty-two bytes, yes!";
static const relay_tuning tiny = { .run_rows = 16, .exceptions_max = 2, .clean_rows = 8, .checkpoint_bytes = 200 << 10, .background = false };

/* --- memory that runs out ----------------------------------------------------------------------------------------------------------------- */
static uint64_t allocations, fail_at; /* 0: never */
static bool fail_on;                  /* every one from fail_at on */

static bool in_key, key_refused; /* while sqlite3_key runs */
static int64_t held;             /* pieces of memory that SQLite has */

static bool refused(void)
{
    allocations++;
    bool no = fail_at && (fail_on ? allocations >= fail_at : allocations == fail_at);
    key_refused |= no && in_key;
    return no;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_reallocarray(void *p, size_t count, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_reallocarray(void *p, size_t count, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t n) { return refused() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t count, size_t n) { return refused() ? NULL : __real_calloc(count, n); }
void *__wrap_reallocarray(void *p, size_t count, size_t n) { return refused() ? NULL : __real_reallocarray(p, count, n); }
char *__wrap_strdup(const char *s) { return refused() ? NULL : __real_strdup(s); }
char *__wrap_strndup(const char *s, size_t n) { return refused() ? NULL : __real_strndup(s, n); }

/* SQLCipher 4.6 forgets a half-made codec when memory runs out in sqlite3_key, which is why such rounds are not held against us, and LeakSanitizer leaves
 * SQLite's memory to our own counting. Taking itself up SQLCipher does not survive that at all, which is why the first connection of a process stays
 * (connection.c), and why it is made here while there is memory. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libsqlcipher\n"; }
int __real_sqlite3_key(sqlite3 *db, const void *key_bytes, int n);
int __wrap_sqlite3_key(sqlite3 *db, const void *key_bytes, int n);
int __wrap_sqlite3_key(sqlite3 *db, const void *key_bytes, int n)
{
    in_key = true;
    int rc = __real_sqlite3_key(db, key_bytes, n);
    in_key = false;
    return rc;
}

/* Where a codec's copy of the key's text gets no memory, SQLCipher 4.6 leaves the rest of that copy shared with what it was made of, and frees it twice:
 * nothing that we could mend, so what is as long as that text is always given. */
enum { KEY_TEXT_BYTES = 2 + 64 + 1 };

static sqlite3_mem_methods memory, usual;
static void *sqlite_malloc(int n)
{
    void *p = refused() && n != KEY_TEXT_BYTES ? NULL : usual.xMalloc(n);
    held += p != NULL;
    return p;
}
static void sqlite_free(void *p)
{
    held -= p != NULL;
    usual.xFree(p);
}
static void *sqlite_realloc(void *p, int n) { return refused() ? NULL : usual.xRealloc(p, n); }

/* Before SQLite starts, once a process. */
static void memory_install(void)
{
    if (usual.xMalloc)
        return;
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual), SQLITE_OK);
    memory = usual;
    memory.xMalloc = sqlite_malloc;
    memory.xRealloc = sqlite_realloc;
    memory.xFree = sqlite_free;
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &memory), SQLITE_OK);
}

/* --- a small life of a relay ---------------------------------------------------------------------------------------------------------------- */
typedef struct {
    uint64_t number;
    unsigned sure, waiting; /* messages that were committed, and of these not acknowledged */
} relay_past;

/* No assertion while memory fails: Check wants some itself. */
static bool take_one(void *ctx, const relay_message *m)
{
    *(unsigned *)ctx += m->ciphertext.bytes == 5 ? 1 : 1000;
    return true;
}

static int group(relay_store *s, relay_past *l, unsigned count, bool acknowledge)
{
    uint8_t token[32] = { 4 };
    uint64_t oldest = 1 + l->sure - l->waiting;
    int rc = relay_begin(s);
    if (rc != TACET_OK)
        return rc;
    for (unsigned i = 0; rc == TACET_OK && i < count; i++) {
        relay_message m = { .number = l->number + 1 + i, .mailbox = 1, .token_kind = 1, .expires_hour = HOUR + 5, .ciphertext = { "hello", 5 } };
        rc = relay_append(s, &m);
    }
    if (rc == TACET_OK && acknowledge)
        rc = relay_acknowledge(s, 1, &oldest, 1);
    if (rc == TACET_OK)
        rc = relay_forget_tokens(s, 1, token, 1);
    if (rc == TACET_OK)
        rc = relay_setting_put(s, "salt", (blob){ "value", 5 });
    if (rc != TACET_OK) {
        relay_rollback(s);
        return rc;
    }
    rc = relay_commit(s);
    if (rc == TACET_OK) {
        l->number += count;
        l->sure += count;
        l->waiting += count - acknowledge;
    }
    return rc;
}

static int mailbox_make(relay_store *s)
{
    uint8_t account[32] = { 1 };
    uint32_t box = 0;
    int rc = relay_begin(s);
    if (rc == TACET_OK)
        rc = relay_account_add(s, account, 1, account, (blob){ "list", 4 }, HOUR);
    if (rc == TACET_OK)
        rc = relay_mailbox_add(s, account, 1, account, &box);
    if (rc != TACET_OK) {
        relay_rollback(s);
        return rc;
    }
    return relay_commit(s);
}

static int relay_life(relay_past *l)
{
    relay_store *s = NULL;
    relay_reader *r = NULL;
    unsigned read = 0;
    bool more = true;
    int rc = relay_store_open_tuned(&s, folder, key, &tiny);
    if (rc == TACET_OK)
        rc = mailbox_make(s);
    if (rc == TACET_OK)
        rc = relay_reader_open(&r, s);
    for (unsigned i = 0; rc == TACET_OK && i < 5; i++)
        rc = group(s, l, 6, i % 2);
    if (rc == TACET_OK) {
        rc = relay_backlog(r, 1, 0, SIZE_MAX, SIZE_MAX, HOUR, take_one, &read);
        if (rc == TACET_OK && read != l->waiting)
            rc = TACET_E_BUG;
    }
    for (unsigned i = 0; rc == TACET_OK && more && i < 20; i++)
        rc = relay_clean(s, HOUR, &more, NULL, NULL);
    relay_reader_close(r);
    relay_store_close(s);
    return rc;
}

static void verify(const relay_past *l, uint64_t k)
{
    relay_store *s = NULL;
    relay_reader *r = NULL;
    unsigned read = 0;
    char where[128];
    OK(relay_store_open_tuned(&s, folder, key, &tiny));
    OK(relay_reader_open(&r, s));
    OK(relay_backlog(r, 1, 0, SIZE_MAX, SIZE_MAX, HOUR, take_one, &read));
    ck_assert_msg(read == l->waiting, "allocation %lu: %u messages wait instead of %u", (unsigned long)k, read, l->waiting);
    int rc = relay_check(s, where, sizeof where);
    ck_assert_msg(rc == TACET_OK, "allocation %lu: %s", (unsigned long)k, where);
    relay_reader_close(r);
    relay_store_close(s);
}

/* _i: this allocation only, or all from it on. */
START_TEST(S03_every_allocation_fails)
{
    memory_install();
    folder_make();
    unsigned failures = 0;
    relay_past first = { 0 };
    OK(relay_life(&first));
    folder_empty();
    for (uint64_t k = 1;; k += 1 + k / 64) {
        relay_past l = { 0 };
        int64_t before = held;
        key_refused = false;
        allocations = 0;
        fail_on = _i;
        fail_at = k;
        int rc = relay_life(&l);
        bool reached = allocations >= k;
        fail_at = 0;
        ck_assert_msg(held == before || key_refused, "allocation %lu: %ld pieces leaked", (unsigned long)k, (long)(held - before));
        ck_assert_msg(rc == TACET_OK || rc == TACET_E_NOMEM, "allocation %lu: %s", (unsigned long)k, tacet_status_word(rc));
        failures += rc != TACET_OK;
        verify(&l, k);
        folder_empty();
        if (!reached)
            break;
    }
    ck_assert_uint_gt(failures, 100);
    folder_remove();
}
END_TEST

SUITE("memory", LOOP(S03_every_allocation_fails, 2))
