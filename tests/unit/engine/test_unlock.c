/* Unlocking: the three ways, what is said when none works (S05, S07, P13), and S08: a change that is killed anywhere leaves exactly one way in. */
#include "engine/unlock.h"
#include "scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <keyutils.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static const keyfile_cost cheap = { 1, 8 };
static profile p;
static engine_error error;
static uint8_t key[TACET_DATABASE_KEY_BYTES];

static passphrase said(const char *text) { return (passphrase){ text, strlen(text) }; }

/* ---- the disk, where a test can make it fail, watch it, or be killed at any step --------------------------------------------------- */

static int disk_fails;      /* errno of the next fsync; 0: works */
static int folder_fails;    /* the same of a folder's alone */
static int disk_kills = -1; /* die before this many further steps; -1: never */
static char disk_log[64];

static void disk_step(char what)
{
    size_t n = strlen(disk_log);
    if (n + 1 < sizeof disk_log)
        disk_log[n] = what;
    if (disk_kills >= 0 && disk_kills-- == 0)
        kill(getpid(), SIGKILL);
}
int fsync(int fd)
{
    struct stat s;
    bool folder = fstat(fd, &s) == 0 && S_ISDIR(s.st_mode);
    disk_step(folder ? 'd' : 'f');
    if (disk_fails || (folder && folder_fails)) {
        errno = disk_fails ? disk_fails : folder_fails;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}
int renameat(int from, const char *a, int to, const char *b)
{
    disk_step('r');
    return (int)syscall(SYS_renameat2, from, a, to, b, 0);
}
int unlinkat(int at, const char *name, int flags)
{
    disk_step('u');
    return (int)syscall(SYS_unlinkat, at, name, flags);
}

static void make(const char *chosen)
{
    passphrase c = said(chosen ? chosen : "");
    scratch_make();
    ck_assert_int_eq(profile_open(&p, scratch, "default", true, &error), TACET_OK);
    int rc = unlock_create(&p, chosen ? &c : NULL, cheap, env_system(), key, &error);
    ck_assert_msg(rc == TACET_OK, "%s", error.message);
    memset(disk_log, 0, sizeof disk_log);
}

static int opens(const char *text)
{
    uint8_t got[TACET_DATABASE_KEY_BYTES] = { 0 };
    passphrase given = said(text ? text : "");
    unlock_way way = (unlock_way)99;
    int rc = unlock_open(&p, text ? &given : NULL, got, &way, &error);
    if (rc == TACET_OK)
        ck_assert_mem_eq(got, key, sizeof key);
    else
        ck_assert(way == (unlock_way)99 && sodium_is_zero(got, sizeof got));
    return rc;
}

static int change_to(const char *text)
{
    passphrase c = said(text ? text : "");
    return unlock_change(&p, key, text ? &c : NULL, cheap, env_system(), &error);
}

static size_t slurp(uint8_t *out, size_t room)
{
    int fd = open(p.key_file, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ssize_t n = read(fd, out, room);
    ck_assert_int_ge(n, 0);
    close(fd);
    return (size_t)n;
}
static void spill(const uint8_t *bytes, size_t n)
{
    int fd = open(p.key_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

START_TEST(a_plain_profile_opens_by_itself)
{
    unlock_way way;
    uint8_t got[TACET_DATABASE_KEY_BYTES];
    bool needs = true;
    make(NULL);
    ck_assert_int_eq(unlock_open(&p, NULL, got, &way, &error), TACET_OK);
    ck_assert_int_eq(way, UNLOCK_BY_PLAIN_SLOT);
    ck_assert_mem_eq(got, key, sizeof key);
    ck_assert_int_eq(unlock_needs_passphrase(&p, &needs, &error), TACET_OK);
    ck_assert(!needs);
    ck_assert_uint_eq(mode_of(p.key_file), 0600);
}
END_TEST

START_TEST(S07_a_locked_profile_says_so)
{
    unlock_way way;
    uint8_t got[TACET_DATABASE_KEY_BYTES];
    passphrase right = said("right");
    bool needs = false;
    make("right");
    ck_assert_int_eq(opens(NULL), TACET_E_AGAIN);
    ck_assert_str_eq(error.code, "locked");
    ck_assert_int_eq(error.exit, EXIT_LOCKED);
    ck_assert_int_eq(opens("wrong"), TACET_E_PASSPHRASE);
    ck_assert_str_eq(error.code, "wrong-passphrase");
    ck_assert_int_eq(error.exit, EXIT_LOCKED);
    ck_assert_int_eq(unlock_open(&p, &right, got, &way, &error), TACET_OK);
    ck_assert_int_eq(way, UNLOCK_BY_PASSPHRASE);
    ck_assert_mem_eq(got, key, sizeof key);
    ck_assert_int_eq(unlock_needs_passphrase(&p, &needs, &error), TACET_OK);
    ck_assert(needs);
}
END_TEST

START_TEST(nothing_there_or_only_a_vault)
{
    make("right");
    ck_assert_int_eq(unlink(p.key_file), 0);
    ck_assert_int_eq(opens("right"), TACET_E_NOT_FOUND);
    ck_assert_str_eq(error.code, "no-account");
    int fd = open(p.vault, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(opens("right"), TACET_E_CORRUPT);
    ck_assert_str_eq(error.code, "key-file-missing");
}
END_TEST

START_TEST(S05_S07_every_flipped_byte_is_damage_not_a_wrong_passphrase)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    make("right");
    size_t n = slurp(bytes, sizeof bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= (uint8_t)(1U << i % 8);
        spill(bytes, n);
        bytes[i] ^= (uint8_t)(1U << i % 8);
        int rc = opens(i % 2 ? "right" : "wrong");
        ck_assert_msg(rc == TACET_E_CORRUPT, "byte %zu: %d", i, rc);
        ck_assert_str_eq(error.code, "key-file-damaged");
        ck_assert_int_eq(error.exit, EXIT_FAILED);
    }
    spill(bytes, n);
    ck_assert_int_eq(opens("right"), TACET_OK);
}
END_TEST

static const struct {
    const char *what, *bytes;
    size_t n;
} junk[] = {
    { "empty", "", 0 },
    { "one byte", "t", 1 },
    { "text", "hello, this is no key file at all", 33 },
    { "magic alone", "tacetkey", 8 },
};
START_TEST(S05_a_file_that_is_none_is_damage)
{
    static uint8_t big[100000];
    make("right");
    spill((const uint8_t *)junk[_i].bytes, junk[_i].n);
    ck_assert_int_eq(opens("right"), TACET_E_CORRUPT);
    spill(big, sizeof big);
    ck_assert_int_eq(opens("right"), TACET_E_CORRUPT);
    ck_assert_int_eq(unlink(p.key_file), 0);
    ck_assert_int_eq(mkdir(p.key_file, 0700), 0);
    ck_assert_int_eq(opens("right"), TACET_E_CORRUPT);
    ck_assert_int_eq(rmdir(p.key_file), 0);
    ck_assert_int_eq(mkfifo(p.key_file, 0600), 0); /* must not wait for a writer */
    ck_assert_int_eq(opens("right"), TACET_E_CORRUPT);
}
END_TEST

START_TEST(a_newer_key_file_is_said)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES];
    make("right");
    size_t n = slurp(bytes, sizeof bytes);
    bytes[8] = 2;
    crypto_generichash(bytes + n - 32, 32, bytes, n - 32, NULL, 0);
    spill(bytes, n);
    ck_assert_int_eq(opens("right"), TACET_E_NEWER);
    ck_assert_str_eq(error.code, "key-file-newer");
}
END_TEST

static const mode_t open_modes[] = { 0644, 0640, 0604, 0620, 0602, 0610, 0601, 0660, 0666, 0777 };
START_TEST(P13_an_open_key_file_is_refused)
{
    make(_i % 2 ? "right" : NULL);
    ck_assert_int_eq(chmod(p.key_file, open_modes[_i]), 0);
    ck_assert_int_eq(opens("right"), TACET_E_REFUSED);
    ck_assert_str_eq(error.code, "permissions");
    ck_assert_ptr_nonnull(strstr(error.message, p.key_file));
    ck_assert_int_eq(change_to("other"), TACET_E_REFUSED);
    ck_assert_uint_eq(mode_of(p.key_file), open_modes[_i]);
    ck_assert_int_eq(chmod(p.key_file, 0400), 0);
    ck_assert_int_eq(opens("right"), TACET_OK);
}
END_TEST

START_TEST(P13_a_key_file_of_another_user_or_behind_a_link_is_refused)
{
    make(NULL);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(p.key_file, 65534, 65534), 0);
        ck_assert_int_eq(opens(NULL), TACET_E_REFUSED);
        ck_assert_str_eq(error.code, "foreign-owner");
        ck_assert_int_eq(chown(p.key_file, 0, 0), 0);
    }
    ck_assert_int_eq(rename(p.key_file, in_scratch("elsewhere")), 0);
    ck_assert_int_eq(symlink(in_scratch("elsewhere"), p.key_file), 0);
    ck_assert_int_eq(opens(NULL), TACET_E_CORRUPT);
}
END_TEST

/* ---- changing ------------------------------------------------------------------------------------------------------------------------ */

START_TEST(a_change_leaves_exactly_one_way)
{
    make("one");
    ck_assert_int_eq(change_to("two"), TACET_OK);
    ck_assert_int_eq(opens("one"), TACET_E_PASSPHRASE);
    ck_assert_int_eq(opens("two"), TACET_OK);
    ck_assert_int_eq(change_to(NULL), TACET_OK);
    ck_assert_int_eq(opens(NULL), TACET_OK);
    ck_assert_int_eq(change_to("three"), TACET_OK);
    ck_assert_int_eq(opens(NULL), TACET_E_AGAIN);
    ck_assert_int_eq(opens("two"), TACET_E_PASSPHRASE);
    ck_assert_int_eq(opens("three"), TACET_OK);
    ck_assert_uint_eq(mode_of(p.key_file), 0600);
}
END_TEST

START_TEST(a_recovery_code_opens_and_survives_a_change)
{
    char code[UNLOCK_CODE_CHARS + 1] = "", second[UNLOCK_CODE_CHARS + 1] = "";
    make("one");
    ck_assert_int_eq(unlock_recovery_set(&p, key, cheap, env_system(), code, &error), TACET_OK);
    ck_assert_uint_eq(strlen(code), UNLOCK_CODE_CHARS);
    ck_assert_int_eq(opens(code), TACET_OK);
    ck_assert_int_eq(opens("one"), TACET_OK);
    ck_assert_int_eq(change_to("two"), TACET_OK);
    ck_assert_int_eq(opens(code), TACET_OK);
    ck_assert_int_eq(opens("one"), TACET_E_PASSPHRASE);
    ck_assert_int_eq(unlock_recovery_set(&p, key, cheap, env_system(), second, &error), TACET_OK);
    ck_assert_str_ne(code, second);
    ck_assert_int_eq(opens(code), TACET_E_PASSPHRASE);
    ck_assert_int_eq(opens(second), TACET_OK);
    ck_assert_int_eq(unlock_recovery_remove(&p, &error), TACET_OK);
    ck_assert_int_eq(unlock_recovery_remove(&p, &error), TACET_OK);
    ck_assert_int_eq(opens(second), TACET_E_PASSPHRASE);
    ck_assert_int_eq(opens("two"), TACET_OK);
}
END_TEST

START_TEST(creating_never_replaces)
{
    uint8_t other[TACET_DATABASE_KEY_BYTES] = { 0 };
    make("one");
    ck_assert_int_eq(unlock_create(&p, NULL, cheap, env_system(), other, &error), TACET_E_EXISTS);
    ck_assert_str_eq(error.code, "key-file-exists");
    ck_assert(sodium_is_zero(other, sizeof other));
    ck_assert_int_eq(opens("one"), TACET_OK);
}
END_TEST

START_TEST(the_new_file_is_on_the_disk_before_it_has_the_name)
{
    make("one");
    ck_assert_int_eq(change_to("two"), TACET_OK);
    ck_assert_str_eq(disk_log, "ufrd"); /* remove a leftover, sync the file, rename, sync the folder */
}
END_TEST

static const struct {
    int why, want;
    const char *code;
} failures[] = {
    { ENOSPC, TACET_E_FULL, "disk-full" }, { EDQUOT, TACET_E_FULL, "disk-full" }, { EIO, TACET_E_IO, "io" }, { EROFS, TACET_E_READONLY, "read-only" }
};
START_TEST(a_disk_that_fails_changes_nothing)
{
    struct stat s;
    make("one");
    disk_fails = failures[_i].why;
    ck_assert_int_eq(change_to("two"), failures[_i].want);
    ck_assert_str_eq(error.code, failures[_i].code);
    disk_fails = 0;
    ck_assert_int_eq(opens("one"), TACET_OK);
    ck_assert_int_eq(opens("two"), TACET_E_PASSPHRASE);
    ck_assert_int_ne(fstatat(p.fd, "vault.key.new", &s, 0), 0);
}
END_TEST

/* S08: behind the rename nothing is lost: what holds from now on is handed over, with a warning; a file for a vault that is not made yet goes again. */
START_TEST(S08_a_folder_that_fails_loses_nothing)
{
    char code[UNLOCK_CODE_CHARS + 1] = "";
    make("one");
    folder_fails = EIO;
    ck_assert_int_eq(unlock_recovery_set(&p, key, cheap, env_system(), code, &error), TACET_OK);
    ck_assert_str_eq(error.code, "io");
    ck_assert_int_eq(opens(code), TACET_OK);
    ck_assert_int_eq(change_to("two"), TACET_OK);
    ck_assert_str_eq(error.code, "io");
    ck_assert_int_eq(opens("two"), TACET_OK);
    folder_fails = 0;
    ck_assert_int_eq(change_to("three"), TACET_OK);
    ck_assert_ptr_null(error.code);

    uint8_t other[TACET_DATABASE_KEY_BYTES] = { 0 };
    passphrase c = said("four");
    ck_assert_int_eq(unlinkat(p.fd, "vault.key", 0), 0);
    folder_fails = EIO;
    ck_assert_int_eq(unlock_create(&p, &c, cheap, env_system(), other, &error), TACET_E_IO);
    ck_assert(sodium_is_zero(other, sizeof other));
    folder_fails = 0;
    ck_assert_int_eq(unlock_create(&p, &c, cheap, env_system(), key, &error), TACET_OK);
    ck_assert_int_eq(opens("four"), TACET_OK);
}
END_TEST

START_TEST(a_read_only_profile_opens_but_does_not_change)
{
    scratch_make();
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(scratch, 65534, 65534), 0);
        ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
        ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    }
    passphrase c = said("one");
    ck_assert_int_eq(profile_open(&p, scratch, "default", true, &error), TACET_OK);
    ck_assert_int_eq(unlock_create(&p, &c, cheap, env_system(), key, &error), TACET_OK);
    ck_assert_int_eq(chmod(p.dir, 0500), 0);
    ck_assert_int_eq(opens("one"), TACET_OK);
    ck_assert_int_eq(change_to("two"), TACET_E_READONLY);
    ck_assert_str_eq(error.code, "read-only");
    ck_assert_int_eq(opens("one"), TACET_OK);
    ck_assert_int_eq(chmod(p.dir, 0700), 0);
}
END_TEST

/* ---- S08 ------------------------------------------------------------------------------------------------------------------------------- */

/* Exactly one of the two opens; tells which. */
static bool second_opens(void)
{
    int one = opens("one"), two = opens("two");
    ck_assert_msg((one == TACET_OK) != (two == TACET_OK), "one: %d, two: %d", one, two);
    ck_assert_int_eq(one == TACET_OK ? two : one, TACET_E_PASSPHRASE);
    return two == TACET_OK;
}

START_TEST(S08_a_change_killed_at_each_step_opens_with_exactly_one_passphrase)
{
    bool seen[2] = { false, false };
    make("one");
    for (int step = 0; step < 4; step++) {
        ck_assert_int_eq(change_to("one"), TACET_OK);
        pid_t child = fork();
        if (child == 0) {
            disk_kills = step;
            _exit(change_to("two") == TACET_OK ? 0 : 1);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "step %d was not reached", step);
        bool second = second_opens();
        ck_assert_int_eq(second, step == 3); /* before the rename the old one, after it the new one */
        seen[second] = true;
    }
    ck_assert(seen[0] && seen[1]);
    ck_assert_int_eq(change_to("two"), TACET_OK); /* what was left behind is no obstacle */
    ck_assert(second_opens());
}
END_TEST

static void change_for_ever(void)
{
    for (int i = 0;; i++)
        if (change_to(i % 2 ? "one" : "two") != TACET_OK)
            _exit(1);
}
START_TEST(S08_changes_killed_at_200_random_instants_open_with_exactly_one_passphrase)
{
    unsigned seen[2] = { 0, 0 };
    struct timespec began, now;
    make("one");
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int round = 0; round < 200; round++) {
        pid_t child = fork();
        if (child == 0)
            change_for_ever();
        usleep(randombytes_uniform(20000));
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status), "a change failed");
        seen[second_opens()]++;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - began.tv_sec >= 10 && round >= 50) /* a slow disk or valgrind */
            break;
    }
    ck_assert_msg(seen[0] > 0 && seen[1] > 0, "one: %u, two: %u", seen[0], seen[1]);
}
END_TEST

START_TEST(two_who_change_at_once_do_not_mix)
{
    make("one");
    pid_t child[2];
    for (int who = 0; who < 2; who++) {
        child[who] = fork();
        if (child[who] == 0) {
            int rc = TACET_OK;
            for (int i = 0; rc == TACET_OK && i < 50; i++)
                rc = change_to(who ? "one" : "two");
            _exit(rc == TACET_OK ? 0 : 1);
        }
    }
    for (int who = 0; who < 2; who++) {
        int status;
        ck_assert_int_eq(waitpid(child[who], &status, 0), child[who]);
        ck_assert_int_eq(status, 0);
    }
    second_opens();
}
END_TEST

/* ---- the kernel keyring -------------------------------------------------------------------------------------------------------------- */

/* Some containers have no usable keyring. Then remembering must say so, and everything else must go on without it. */
static bool keyring_works(void)
{
    if (unlock_keyring_check(&error) == TACET_OK)
        return true;
    ck_assert_str_eq(error.code, "no-keyring");
    ck_assert_int_eq(unlock_remember(&p, key, 60, &error), TACET_E_REFUSED);
    ck_assert_int_eq(opens(NULL), TACET_E_AGAIN);
    return false;
}

START_TEST(the_keyring_remembers_and_forgets)
{
    unlock_way way;
    uint8_t got[TACET_DATABASE_KEY_BYTES];
    make("one");
    if (!keyring_works())
        return;
    ck_assert_int_eq(unlock_remember(&p, key, 60, &error), TACET_OK);
    ck_assert_int_eq(unlock_open(&p, NULL, got, &way, &error), TACET_OK);
    ck_assert_int_eq(way, UNLOCK_BY_KEYRING);
    ck_assert_mem_eq(got, key, sizeof key);
    ck_assert_int_eq(unlock_prove(&p, NULL, got, &way, &error), TACET_E_AGAIN); /* the keyring is no proof */
    ck_assert_int_eq(unlock_forget(&p, &error), TACET_OK);
    ck_assert_int_eq(opens(NULL), TACET_E_AGAIN);
    ck_assert_int_eq(unlock_forget(&p, &error), TACET_OK);
}
END_TEST

START_TEST(what_is_remembered_ends_by_itself)
{
    make("one");
    if (!keyring_works())
        return;
    ck_assert_int_eq(unlock_remember(&p, key, 0, &error), TACET_E_REFUSED); /* would be for ever */
    ck_assert_int_eq(unlock_remember(&p, key, 60, &error), TACET_OK);
    ck_assert_int_eq(unlock_remember(&p, key, 1, &error), TACET_OK); /* the last word counts */
    ck_assert_int_eq(opens(NULL), TACET_OK);
    sleep(2);
    ck_assert_int_eq(opens(NULL), TACET_E_AGAIN);
    ck_assert_int_eq(unlock_remember(&p, key, 60, &error), TACET_OK);
    ck_assert_int_eq(opens(NULL), TACET_OK);
    ck_assert_int_eq(unlock_forget(&p, &error), TACET_OK);
}
END_TEST

START_TEST(another_login_of_ours_finds_it_another_profile_does_not)
{
    int status;
    make("one");
    if (!keyring_works())
        return;
    ck_assert_int_eq(unlock_remember(&p, key, 60, &error), TACET_OK);
    pid_t child = fork();
    if (child == 0) {
        if (keyctl_join_session_keyring(NULL) == -1)
            _exit(2);
        _exit(opens(NULL) == TACET_OK ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    profile first = p;
    passphrase c = said("one");
    uint8_t other[TACET_DATABASE_KEY_BYTES];
    ck_assert_int_eq(profile_open(&p, scratch, "other", true, &error), TACET_OK);
    ck_assert_int_eq(unlock_create(&p, &c, cheap, env_system(), other, &error), TACET_OK);
    ck_assert_int_eq(opens(NULL), TACET_E_AGAIN);
    ck_assert_int_eq(unlock_forget(&first, &error), TACET_OK);
}
END_TEST

START_TEST(a_new_account_does_not_inherit_a_remembered_key)
{
    passphrase c = said("two");
    make("one");
    if (!keyring_works())
        return;
    ck_assert_int_eq(unlock_remember(&p, key, 60, &error), TACET_OK);
    ck_assert_int_eq(unlink(p.key_file), 0);
    ck_assert_int_eq(unlock_create(&p, &c, cheap, env_system(), key, &error), TACET_OK);
    ck_assert_int_eq(opens(NULL), TACET_E_AGAIN);
    ck_assert_int_eq(opens("two"), TACET_OK);
}
END_TEST

START_TEST(what_is_remembered_is_no_way_around_damage)
{
    make("one");
    if (!keyring_works())
        return;
    ck_assert_int_eq(unlock_remember(&p, key, 60, &error), TACET_OK);
    spill((const uint8_t *)"tacetkey", 8);
    ck_assert_int_eq(opens(NULL), TACET_E_CORRUPT);
    ck_assert_int_eq(unlock_forget(&p, &error), TACET_OK);
}
END_TEST

SUITE("unlock", TEST(a_plain_profile_opens_by_itself), TEST(S07_a_locked_profile_says_so), TEST(nothing_there_or_only_a_vault),
      TEST(S05_S07_every_flipped_byte_is_damage_not_a_wrong_passphrase), LOOP(S05_a_file_that_is_none_is_damage, ROWS(junk)),
      TEST(a_newer_key_file_is_said), LOOP(P13_an_open_key_file_is_refused, ROWS(open_modes)),
      TEST(P13_a_key_file_of_another_user_or_behind_a_link_is_refused), TEST(a_change_leaves_exactly_one_way),
      TEST(a_recovery_code_opens_and_survives_a_change), TEST(creating_never_replaces), TEST(the_new_file_is_on_the_disk_before_it_has_the_name),
      LOOP(a_disk_that_fails_changes_nothing, ROWS(failures)), TEST(S08_a_folder_that_fails_loses_nothing),
      TEST(a_read_only_profile_opens_but_does_not_change), TEST(S08_a_change_killed_at_each_step_opens_with_exactly_one_passphrase),
      TEST(S08_changes_killed_at_200_random_instants_open_with_exactly_one_passphrase), TEST(two_who_change_at_once_do_not_mix),
      TEST(the_keyring_remembers_and_forgets), TEST(what_is_remembered_ends_by_itself), TEST(another_login_of_ours_finds_it_another_profile_does_not),
      TEST(a_new_account_does_not_inherit_a_remembered_key), TEST(what_is_remembered_is_no_way_around_damage))
