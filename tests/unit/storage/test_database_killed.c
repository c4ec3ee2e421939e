/* Migration and rekey, killed at each step on the disk: exactly the old state, or exactly the new one. */
#include "database_scene.h"
#include "faulty.h"
#include <signal.h>
#include <sys/wait.h>

/* Lets `act` run in a child that is killed at its k-th step on the disk, a write half done. False: it has fewer steps and came to its end. */
static bool killed_at(void (*act)(void), uint64_t k)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        faulty_install();
        faulty_kill(k);
        act();
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    else
        ck_assert_msg(WEXITSTATUS(status) == 0, "step %lu: the child failed by itself", (unsigned long)k);
    return WIFSIGNALED(status);
}

static void act_migrate(void) { database_close(open_with(2)); }
static void act_rekey(void)
{
    database *d = open_with(1);
    OK(database_rekey(d, other));
    database_close(d);
}

enum { KILL_ROWS = 2500, KILLS_MIN = 200 };

static void whole(database *d)
{
    char where[100];
    OK(database_check(d, where, sizeof where));
    ck_assert_int_eq(integer(d, "SELECT count(*) FROM t"), KILL_ROWS);
}

/* Exactly one version: the old one, or the new one. */
static bool migrated_or_not(void)
{
    database *d = NULL;
    int rc = database_open(&d, in_folder("a.db"), key, &database_vault, steps, 1);
    ck_assert_msg(rc == TACET_OK || rc == TACET_E_NEWER, "%s", tacet_status_word(rc));
    if (rc == TACET_E_NEWER)
        d = open_with(2);
    whole(d);
    ck_assert_int_eq(integer(d, "SELECT count(*) FROM pragma_table_info('t')"), rc == TACET_OK ? 2 : 3);
    database_close(d);
    return rc == TACET_E_NEWER;
}

/* Exactly one key: the old one, or the new one. */
static bool rekeyed_or_not(void)
{
    bool opened[2];
    for (int k = 0; k < 2; k++) {
        database *d = NULL;
        int rc = database_open(&d, in_folder("a.db"), k ? other : key, &database_vault, steps, 1);
        ck_assert_msg(rc == TACET_OK || rc == TACET_E_CORRUPT, "%s", tacet_status_word(rc));
        opened[k] = rc == TACET_OK;
        if (opened[k])
            whole(d);
        database_close(d);
    }
    ck_assert_msg(opened[0] != opened[1], "%s key opens it", opened[0] ? "each" : "no");
    return opened[1];
}

/* Killed at every step that changes the disk, from the first to the last; under valgrind at some of them. */
static void killed_at_each_step(void (*act)(void), bool (*changed)(void))
{
    const uint64_t stride = getenv("TACET_UNDER_VALGRIND") ? 17 : 1;
    uint64_t kills = 0, done = 0;
    folder_make();
    database *d = open_with(1);
    rows_make(d, KILL_ROWS);
    OK(database_backup(d, in_folder("first"), key));
    database_close(d);
    while (killed_at(act, 1 + kills * stride)) {
        kills++;
        done += changed();
        folder_keep("first");
        file_copy(in_folder("first"), in_folder("a.db"));
    }
    ck_assert_uint_ge(kills * stride, KILLS_MIN);
    ck_assert_uint_lt(done, kills);
    ck_assert(changed()); /* the last one was not killed */
    folder_remove();
}

START_TEST(S08_migration_killed) { killed_at_each_step(act_migrate, migrated_or_not); }
END_TEST

START_TEST(S08_rekey_killed) { killed_at_each_step(act_rekey, rekeyed_or_not); }
END_TEST

SUITE("database killed", TEST(S08_migration_killed), TEST(S08_rekey_killed))
