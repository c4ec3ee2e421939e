/* A backup's way to its name: what lies beside it, who else writes there, and housekeeping that one bad part must not stop. */
#include "identity/backup.h"
#include "state.h"
#include "suite.h"
#include "world.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t key[BACKUP_KEY_BYTES] = "thirty-two bytes of a file's key";
static char path[128], part[136];

/* alice and bob, and a path for both of them. */
static world *pair(size_t *a, size_t *b)
{
    world *w = world_pair(a, b);
    snprintf(path, sizeof path, "%s/backup", w->person[*a].dir);
    snprintf(part, sizeof part, "%s.part", path);
    return w;
}

static json_t *params(void)
{
    uint8_t head[BACKUP_HEAD_BYTES];
    char head_text[2 * sizeof head + 1], key_text[2 * sizeof key + 1];
    ck_assert_int_eq(backup_head_make(head, key, "pass", 4, (keyfile_cost){ 1, 8 }, env_system()), TACET_OK);
    hex_encode(head_text, head, sizeof head);
    hex_encode(key_text, key, sizeof key);
    return json_pack("{ss ss ss}", "path", path, "head", head_text, "key", key_text);
}

static void put(const char *name, const void *bytes, size_t n)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    ck_assert_int_eq(close(fd), 0);
}

typedef struct {
    bool done, made;
    char code[32];
} ending;

static void ended(void *ctx, json_t *result, const engine_error *error)
{
    ending *end = ctx;
    *end = (ending){ .done = true, .made = result != NULL };
    snprintf(end->code, sizeof end->code, "%s", error ? error->code : "");
}

/* Under way, and not done: the rest is written when time passes. */
static void begin(world *w, size_t who, ending *end)
{
    json_t *p = params();
    *end = (ending){ 0 };
    engine_call_async(w->person[who].e, "backup", p, ended, end);
    json_decref(p);
    ck_assert(!end->done);
    ck_assert_int_eq(access(part, F_OK), 0);
}

/* S09: the second one says who is in the way, and does not touch what the first one writes; that one is whole. */
START_TEST(S09_two_profiles_to_one_path)
{
    size_t a, b;
    ending end;
    world *w = pair(&a, &b);
    begin(w, a, &end);
    must_fail(w, b, "backup", params(), "file-exists", 1);
    world_run(w);
    ck_assert_msg(end.made, "%s", end.code);
    ck_assert_int_ne(access(part, F_OK), 0);
    size_t n = world_bare(w, "new");
    char key_text[2 * sizeof key + 1];
    hex_encode(key_text, key, sizeof key);
    json_t *me = must(w, n, "restore", json_pack("{ss ss}", "path", path, "key", key_text));
    ck_assert_str_eq(json_string_value(json_object_get(me, "name")), "alice");
    json_decref(me);
    world_free(w);
}
END_TEST

/* Another file in the place of the part is nobody's backup: it gets no name, and is not removed. */
START_TEST(S09_the_part_is_another_file)
{
    size_t a, b;
    ending end;
    struct stat s;
    world *w = pair(&a, &b);
    begin(w, a, &end);
    ck_assert_int_eq(unlink(part), 0);
    if (_i)
        put(part, "half", 4);
    world_run(w);
    ck_assert(end.done && !end.made);
    ck_assert_str_eq(end.code, "io");
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(stat(part, &s) == 0, _i);
    (void)unlink(part);
    json_decref(must(w, a, "backup", params()));
    world_free(w);
}
END_TEST

static void make_empty(void) { put(part, "", 0); }
static void make_head(void)
{
    uint8_t head[BACKUP_HEAD_BYTES];
    ck_assert_int_eq(backup_head_make(head, key, "pass", 4, (keyfile_cost){ 1, 8 }, env_system()), TACET_OK);
    put(part, head, sizeof head);
}
static void make_other(void) { put(part, "somebody's", 10); }
static void make_pipe(void) { ck_assert_int_eq(mkfifo(part, 0600), 0); }
static void make_folder(void) { ck_assert_int_eq(mkdir(part, 0700), 0); }
static void make_link(void) { ck_assert_int_eq(symlink("/dev/null", part), 0); }

/* What lies under the part's name: gone if a killed backup left it, else left alone. */
static const struct {
    const char *what;
    void (*make)(void);
    bool goes;
} beside[] = {
    { "nothing was written", make_empty, true }, { "a beginning", make_head, true }, { "a file", make_other, false }, { "a pipe", make_pipe, false },
    { "a folder", make_folder, false },          { "a link", make_link, false }
};

START_TEST(S09_what_lies_beside_it)
{
    size_t a, b;
    struct stat s;
    world *w = pair(&a, &b);
    beside[_i].make();
    if (beside[_i].goes)
        json_decref(must(w, a, "backup", params()));
    else
        must_fail(w, a, "backup", params(), "file-exists", 1);
    ck_assert_msg((lstat(part, &s) != 0) == beside[_i].goes, "%s", beside[_i].what);
    ck_assert_msg((lstat(path, &s) == 0) == beside[_i].goes, "%s", beside[_i].what);
    world_free(w);
}
END_TEST

/* R11: a session that cannot be read holds up neither the other sessions' old keys nor the rest of what is done once an hour. */
START_TEST(R11_one_bad_session_stops_no_housekeeping)
{
    size_t a, b;
    world *w = pair(&a, &b);
    engine *e = w->person[a].e;
    static const uint8_t garbage[64] = "\x01 of which not much is left";
    vault_session bad = { .contact = 1, .device = 7, .created_ms = 1, .state = { garbage, sizeof garbage } };
    memset(bad.id, 0, sizeof bad.id);
    bad.id[31] = 1; /* the first that is looked at */
    world_close(w, b);
    world_send(w, a, "bob", "too late");
    ck_assert_int_eq(txn_begin(e), TACET_OK);
    ck_assert_int_eq(vault_session_put(e->vault, &bad), TACET_OK);
    ck_assert_int_eq(txn_end(e, TACET_OK), TACET_OK);
    size_t errors = world_events(w, a, "error");
    uint64_t forgot = 0, now = 0;
    for (int days = 0; days < 32; days++) {
        env_seeded_advance(&w->person[a].env, 86400000);
        engine_tick(e);
        world_run(w);
    }
    json_t *list = must(w, a, "outbox", NULL);
    ck_assert_uint_eq(json_array_size(list), 0); /* expired */
    json_decref(list);
    ck_assert_uint_eq(world_events(w, a, "error"), errors);
    ck_assert_int_eq(vault_number_get(e->vault, "keys_forgotten_day", &forgot), TACET_OK);
    now = w->person[a].env.wall_ms / 86400000;
    ck_assert_uint_eq(forgot, now);
    world_free(w);
}
END_TEST

SUITE("backup", TEST(S09_two_profiles_to_one_path), LOOP(S09_the_part_is_another_file, 2), LOOP(S09_what_lies_beside_it, ROWS(beside)),
      TEST(R11_one_bad_session_stops_no_housekeeping))
