/* The caller: attaches, becomes the host, takes over. The engine behind it is made of a few lines here (the linker takes these in place of the
 * real ones), so that the only thing under test is who holds the profile. */
#include "engine/caller.h"
#include "suite.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

/* --- the engine ------------------------------------------------------------------------------------------------------------------------ */

struct engine {
    engine_options o;
    engine_done done;
    void *ctx;
};

static void path_in(char out[96], const char *name) { snprintf(out, 96, "%s/%s", dir, name); }

/* The file exists while an engine is open: opening a second one is what must never happen. */
int engine_open(engine **out, const engine_options *o, engine_error *error)
{
    char path[96];
    path_in(path, "full");
    if (access(path, F_OK) == 0) {
        sentence_fill(error, SAY_DISK_FULL, "vault", NULL, NULL);
        return TACET_E_FULL;
    }
    path_in(path, "opened");
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0) {
        sentence_fill(error, SAY_VAULT_BUSY, "vault", NULL, NULL);
        return TACET_E_BUSY;
    }
    close(fd);
    if (o->database_key[0] != 42)
        abort();
    *out = calloc(1, sizeof **out);
    (*out)->o = *o;
    return TACET_OK;
}

engine *engine_close(engine *e)
{
    if (!e)
        return NULL;
    if (e->done) {
        engine_error error;
        sentence_fill(&error, SAY_STOPPING, NULL, NULL, NULL);
        e->done(e->ctx, NULL, &error);
    }
    char path[96];
    path_in(path, "opened");
    unlink(path);
    free(e);
    return NULL;
}

void engine_call_async(engine *e, const char *method, json_t *params, engine_done done, void *ctx)
{
    if (strcmp(method, "never") == 0) {
        e->done = done;
        e->ctx = ctx;
        return;
    }
    for (json_int_t i = 0; i < json_integer_value(json_object_get(params, "times")); i++) {
        json_t *event = json_pack("{s:s,s:I}", "event", method, "number", i);
        e->o.event(e->o.event_ctx, event);
        json_decref(event);
    }
    json_t *result = json_pack("{s:i}", "pid", (int)getpid());
    done(ctx, result, NULL);
    json_decref(result);
}

size_t engine_pollfds(const engine *e, struct pollfd out[ENGINE_POLLFDS_MAX], int *timeout_ms)
{
    (void)e;
    (void)out;
    *timeout_ms = -1;
    return 0;
}
void engine_ready(engine *e, const struct pollfd *fds, size_t n)
{
    (void)e;
    (void)fds;
    (void)n;
}

/* --- the tests --------------------------------------------------------------------------------------------------------------------------- */

static int keys_asked;
static int key_give(void *ctx, uint8_t key[32], engine_error *error)
{
    (void)ctx;
    (void)error;
    memset(key, 42, 32);
    keys_asked++;
    return 0;
}
static int key_refuse(void *ctx, engine_error *error)
{
    (void)ctx;
    sentence_fill(error, SAY_LOCKED, NULL, NULL, NULL);
    return error->exit;
}

static caller_options options(void)
{
    return (caller_options){ .profile_dir = dir, .vault_path = "vault", .env = env_system(), .stop_fd = -1, .key = key_give };
}

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/tacet-caller.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    keys_asked = 0;
}
static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static int pid_of(caller *c)
{
    json_t *result = NULL;
    engine_error error;
    int exit = caller_call(c, "whoami", NULL, 5000, &result, &error);
    ck_assert_msg(exit == 0, "%s", exit ? error.message : "");
    int pid = (int)json_integer_value(json_object_get(result, "pid"));
    json_decref(result);
    return pid;
}

/* A process that serves until it is told to go: by the lock method, or by a byte in `stop`. */
static pid_t host_start(int stop)
{
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        caller *c = NULL;
        engine_error error;
        caller_options o = options();
        o.stop_fd = stop;
        if (caller_open(&c, &o, &error) != 0 || !caller_is_host(c))
            _exit(1);
        (void)!write(ready[1], "x", 1);
        caller_news n;
        do
            caller_next(c, -1, &n);
        while (n.kind != CALLER_STOPPED);
        caller_close(c);
        _exit(0);
    }
    char byte;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void ended_well(pid_t child)
{
    int status = 1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

START_TEST(alone_it_becomes_the_host)
{
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    ck_assert(caller_is_host(c));
    ck_assert_int_eq(pid_of(c), getpid());
    ck_assert_int_eq(keys_asked, 1);
    c = caller_close(c);
    char path[96];
    path_in(path, "socket");
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(S09_the_second_attaches_and_asks_for_no_key)
{
    int stop[2];
    ck_assert_int_eq(pipe(stop), 0);
    pid_t first = host_start(stop[0]);
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    ck_assert(!caller_is_host(c));
    ck_assert_int_eq(pid_of(c), first);
    ck_assert_int_eq(keys_asked, 0);
    ck_assert_int_eq(write(stop[1], "x", 1), 1);
    ended_well(first);
    ck_assert_int_eq(pid_of(c), getpid()); /* and takes over when the first one goes */
    ck_assert(caller_is_host(c));
    caller_close(c);
}
END_TEST

static void subscribe(caller *c)
{
    uint64_t ticket = 0;
    engine_error error;
    caller_news n;
    ck_assert_int_eq(caller_begin(c, "subscribe", NULL, &ticket, &error), 0);
    caller_next(c, 5000, &n);
    ck_assert_int_eq(n.kind, CALLER_REPLY);
    ck_assert_uint_eq(n.ticket, ticket);
    json_decref(n.body);
}

static void next_is(caller *c, const char *event)
{
    caller_news n;
    caller_next(c, 5000, &n);
    ck_assert_int_eq(n.kind, CALLER_EVENT);
    ck_assert_str_eq(json_string_value(json_object_get(n.body, "event")), event);
    json_decref(n.body);
}

static void nothing_comes(caller *c)
{
    caller_news n;
    caller_next(c, 200, &n);
    ck_assert_int_eq(n.kind, CALLER_NOTHING);
}

static void ask(caller *c, const char *method, int times)
{
    json_t *result = NULL;
    engine_error error;
    ck_assert_int_eq(caller_call(c, method, json_pack("{s:i}", "times", times), 60000, &result, &error), 0);
    json_decref(result);
}

/* The host is killed, or ends in order and says so: whoever asked something and has no answer asks the next one. */
static void asked_again_of_the_next_host(bool killed)
{
    int stop[2];
    ck_assert_int_eq(pipe(stop), 0);
    pid_t first = host_start(stop[0]);
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    uint64_t never = 0;
    subscribe(c);
    ck_assert_int_eq(caller_begin(c, "never", NULL, &never, &error), 0);
    if (killed) {
        kill(first, SIGKILL);
        waitpid(first, NULL, 0);
        char path[96];
        path_in(path, "opened");
        unlink(path); /* what the killed engine could not do */
    } else {
        ck_assert_int_eq(write(stop[1], "x", 1), 1);
        ended_well(first);
    }
    next_is(c, "waiting"); /* what the last one told, or had given out, may not have come here */
    nothing_comes(c);
    ck_assert(caller_is_host(c));
    ask(c, "message", 1); /* still subscribed */
    next_is(c, "message");
    caller_close(c); /* completes "never" */
}

START_TEST(S09_an_unanswered_question_is_asked_again_of_the_next_host) { asked_again_of_the_next_host(true); }
END_TEST
START_TEST(S09_a_host_that_ends_in_order_leaves_its_questions_to_the_next) { asked_again_of_the_next_host(false); }
END_TEST

/* The host goes, and the disk is full: nobody can be the next one. A subscriber that asked nothing waits for room, who asked something is told. */
START_TEST(F08_a_follower_waits_for_room)
{
    static const struct {
        bool asks;
        caller_kind then;
    } row[] = { { false, CALLER_EVENT }, { true, CALLER_REPLY } };
    int stop[2];
    ck_assert_int_eq(pipe(stop), 0);
    pid_t first = host_start(stop[0]);
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    uint64_t ticket = 0;
    caller_news n;
    subscribe(c);
    if (row[_i].asks)
        ck_assert_int_eq(caller_begin(c, "never", NULL, &ticket, &error), 0);
    char opened[96], full[96];
    path_in(opened, "opened");
    path_in(full, "full");
    close(open(full, O_CREAT | O_WRONLY, 0600));
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    unlink(opened);
    caller_next(c, 5000, &n);
    ck_assert_int_eq(n.kind, row[_i].then);
    ck_assert_str_eq(row[_i].asks ? n.error.code : json_string_value(json_object_get(n.body, "code")), "disk-full");
    json_decref(n.body);
    caller_next(c, 10, &n);
    ck_assert_int_eq(n.kind, row[_i].asks ? CALLER_EVENT : CALLER_NOTHING); /* said once */
    json_decref(n.body);
    ck_assert(!caller_is_host(c));
    unlink(full);
    next_is(c, "waiting");
    nothing_comes(c);
    ck_assert(caller_is_host(c));
    caller_close(c);
}
END_TEST

/* --- lock, and who was not the host ------------------------------------------------------------------------------------------------------- */
static int prepared, forgotten, prepared_at_most;
static pid_t meanwhile;
/* Somebody types the passphrase, as often as the test lets them; the first time another process becomes the host in the meantime. */
static int key_typed(void *ctx, engine_error *error)
{
    const bool *other = ctx;
    if (prepared == prepared_at_most)
        return key_refuse(NULL, error);
    if (*other && prepared == 0)
        meanwhile = host_start(-1);
    prepared++;
    return 0;
}
static void key_forget(void *ctx)
{
    (void)ctx;
    forgotten++;
}

/* P07: the key goes when another process turns out to be the host; after `lock` this one has nothing to go on with. */
START_TEST(P07_what_was_typed_in_vain_opens_nothing_later)
{
    caller *c = NULL, *locks = NULL;
    engine_error error;
    caller_options o = options();
    json_t *result = NULL;
    bool other = true;
    caller_news n;
    prepared = forgotten = 0;
    prepared_at_most = 1;
    o.prepare = key_typed;
    o.forget = key_forget;
    o.key_ctx = &other;
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    ck_assert(!caller_is_host(c));
    ck_assert_int_eq(prepared, 1);
    ck_assert_int_eq(forgotten, 1);
    o = options();
    o.attach_only = true;
    ck_assert_int_eq(caller_open(&locks, &o, &error), 0);
    ck_assert_int_eq(caller_call(locks, "lock", NULL, 5000, &result, &error), 0);
    json_decref(result);
    caller_close(locks);
    ended_well(meanwhile);
    caller_next(c, 5000, &n);
    ck_assert_int_eq(n.kind, CALLER_STOPPED);
    ck_assert_str_eq(n.error.code, "locked");
    ck_assert_int_eq(keys_asked, 0);
    caller_close(c);
}
END_TEST

/* P07: nor does the key lie there while the disk is full and there is no host that `lock` could end. */
START_TEST(P07_no_key_is_kept_while_the_disk_is_full)
{
    char opened[96], full[96];
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    bool other = false;
    caller_news n;
    pid_t first = host_start(-1);
    prepared = forgotten = 0;
    prepared_at_most = 1;
    o.prepare = key_typed;
    o.forget = key_forget;
    o.key_ctx = &other;
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    subscribe(c);
    path_in(opened, "opened");
    path_in(full, "full");
    close(open(full, O_CREAT | O_WRONLY, 0600));
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    unlink(opened);
    next_is(c, "error");
    ck_assert_int_eq(prepared, 1);
    ck_assert_int_eq(forgotten, 1);
    unlink(full);
    caller_next(c, 5000, &n);
    ck_assert_int_eq(n.kind, CALLER_STOPPED);
    ck_assert_str_eq(n.error.code, "locked");
    ck_assert_int_eq(keys_asked, 1);
    caller_close(c);
}
END_TEST

/* --- too much to keep ------------------------------------------------------------------------------------------------------------------------ */
/* While something else is waited for, how far a file is makes way for everything else, in whatever order they come. */
START_TEST(progress_pushes_nothing_out)
{
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    subscribe(c);
    ask(c, "message", 1);
    ask(c, "progress", 2 * CALLER_HELD_MAX);
    ask(c, "receipt", CALLER_HELD_MAX - 1);
    ask(c, "progress", 10);
    next_is(c, "message");
    for (int i = 0; i < CALLER_HELD_MAX - 1; i++)
        next_is(c, "receipt");
    nothing_comes(c);
    caller_close(c);
}
END_TEST

START_TEST(what_was_pushed_out_is_said_once)
{
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    caller_news n;
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    subscribe(c);
    ask(c, "message", CALLER_HELD_MAX + 5);
    next_is(c, "waiting");
    for (int i = 5; i < CALLER_HELD_MAX + 5; i++) {
        caller_next(c, 5000, &n);
        ck_assert_int_eq(json_integer_value(json_object_get(n.body, "number")), i);
        json_decref(n.body);
    }
    nothing_comes(c);
    caller_close(c);
}
END_TEST

START_TEST(S09_many_start_at_once_and_one_engine_is_open_at_a_time)
{
    enum { PROCESSES = 8, ROUNDS = 15 };
    pid_t child[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        child[i] = fork();
        for (int round = 0; child[i] == 0 && round < ROUNDS; round++) {
            caller *c = NULL;
            engine_error error;
            caller_options o = options();
            json_t *result = NULL;
            if (caller_open(&c, &o, &error) != 0 || caller_call(c, "whoami", NULL, 20000, &result, &error) != 0) {
                fprintf(stderr, "process %d, round %d: %s\n", i, round, error.message);
                _exit(1);
            }
            json_decref(result);
            caller_close(c);
        }
        if (child[i] == 0)
            _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++)
        ended_well(child[i]);
}
END_TEST

START_TEST(a_locked_vault_is_told_and_nothing_is_left_behind)
{
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    o.prepare = key_refuse;
    ck_assert_int_eq(caller_open(&c, &o, &error), EXIT_LOCKED);
    char path[96];
    path_in(path, "socket");
    ck_assert_int_eq(access(path, F_OK), -1);
    o.prepare = NULL;
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    caller_close(c);
}
END_TEST

START_TEST(lock_ends_another_process)
{
    pid_t first = host_start(-1);
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    o.attach_only = true;
    json_t *result = NULL;
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    ck_assert_int_eq(caller_call(c, "lock", NULL, 5000, &result, &error), 0);
    json_decref(result);
    ended_well(first);
    c = caller_close(c);
    ck_assert_int_eq(caller_open(&c, &o, &error), EXIT_NOT_FOUND);
    ck_assert_str_eq(error.code, "not-running");
}
END_TEST

START_TEST(a_call_ends_with_its_timeout)
{
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    json_t *result = NULL;
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    ck_assert_int_eq(caller_call(c, "never", NULL, 50, &result, &error), EXIT_TIMEOUT);
    ck_assert_int_eq(pid_of(c), getpid());
    caller_close(c);
}
END_TEST

START_TEST(a_stop_ends_a_call_and_a_wait)
{
    int stop[2];
    ck_assert_int_eq(pipe(stop), 0);
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    o.stop_fd = stop[0];
    json_t *result = NULL;
    ck_assert_int_eq(caller_open(&c, &o, &error), 0);
    ck_assert_int_eq(write(stop[1], "x", 1), 1);
    ck_assert_int_eq(caller_call(c, "never", NULL, -1, &result, &error), EXIT_FAILED);
    ck_assert_str_eq(error.code, "interrupted");
    caller_news n;
    caller_next(c, -1, &n);
    ck_assert_int_eq(n.kind, CALLER_STOPPED);
    ck_assert_ptr_null(n.error.code);
    caller_close(c);
}
END_TEST

START_TEST(S09_a_holder_that_does_not_listen_is_named)
{
    char path[96];
    path_in(path, "lock");
    FILE *lock = fopen(path, "w");
    ck_assert_ptr_nonnull(lock);
    fprintf(lock, "4711\n");
    ck_assert_int_eq(fflush(lock), 0);
    ck_assert_int_eq(flock(fileno(lock), LOCK_EX), 0);
    caller *c = NULL;
    engine_error error;
    caller_options o = options();
    ck_assert_int_eq(caller_open(&c, &o, &error), EXIT_FAILED);
    ck_assert_str_eq(error.code, "profile-busy");
    ck_assert_ptr_nonnull(strstr(error.message, "process 4711"));
    fclose(lock);
}
END_TEST

SUITE("caller", tcase_add_checked_fixture(tc, setup, teardown), TEST(alone_it_becomes_the_host), TEST(S09_the_second_attaches_and_asks_for_no_key),
      TEST(S09_an_unanswered_question_is_asked_again_of_the_next_host), TEST(S09_a_host_that_ends_in_order_leaves_its_questions_to_the_next),
      LOOP(F08_a_follower_waits_for_room, 2), TEST(P07_what_was_typed_in_vain_opens_nothing_later), TEST(P07_no_key_is_kept_while_the_disk_is_full),
      TEST(progress_pushes_nothing_out), TEST(what_was_pushed_out_is_said_once), TEST(S09_many_start_at_once_and_one_engine_is_open_at_a_time),
      TEST(a_locked_vault_is_told_and_nothing_is_left_behind), TEST(lock_ends_another_process), TEST(a_call_ends_with_its_timeout),
      TEST(a_stop_ends_a_call_and_a_wait), TEST(S09_a_holder_that_does_not_listen_is_named))
