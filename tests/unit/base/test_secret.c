/* The locked arena: really locked, wiped on free, refuses what does not fit. */
#include "base/secret.h"
#include "suite.h"
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The sanitizers put an mlock of their own in place of the real one, which locks nothing. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { MLOCK_IS_REAL = 0 };
#else
enum { MLOCK_IS_REAL = 1 };
#endif

static long locked_kib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    long kib = -1;
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmLck:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

START_TEST(memory_is_locked)
{
    secret_arena *a = NULL;
    long before = locked_kib();
    ck_assert_int_eq(secret_arena_new(&a, 64 * 1024), TACET_OK);
    ck_assert_int_ge(locked_kib(), before + 64);
    ck_assert_ptr_null(secret_arena_free(a));
    ck_assert_int_eq(locked_kib(), before);
}
END_TEST

START_TEST(a_refused_lock_is_said)
{
    const struct rlimit none = { 0, 0 };
    secret_arena *a = NULL;
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(setresuid(65534, 65534, 65534), 0); /* root may lock without limit */
    ck_assert_int_eq(secret_arena_new(&a, 4096), TACET_E_LOCKING);
    ck_assert_ptr_null(a);
}
END_TEST

START_TEST(blocks_are_zeroed_reused_and_joined)
{
    secret_arena *a = NULL;
    ck_assert_int_eq(secret_arena_new(&a, 8000), TACET_OK);
    uint8_t *one = secret_alloc(a, 3000), *two = secret_alloc(a, 3000);
    ck_assert(one && two);
    ck_assert_ptr_null(secret_alloc(a, 5000));
    memset(one, 7, 3000);
    secret_free(a, one);
    for (int i = 0; i < 2900; i++)
        ck_assert_uint_eq(one[i], 0);
    secret_free(a, two);
    ck_assert_uint_eq(secret_in_use(a), 0);
    ck_assert_ptr_nonnull(secret_alloc(a, 7000));
    ck_assert_ptr_null(secret_alloc(a, SIZE_MAX));
    secret_arena_free(a);
}
END_TEST

START_TEST(a_child_sees_zeros)
{
    secret_arena *a = NULL;
    ck_assert_int_eq(secret_arena_new(&a, 4096), TACET_OK);
    uint8_t *p = secret_alloc(a, 32);
    memset(p, 7, 32);
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(sodium_is_zero(p, 32) ? 0 : 1);
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
    secret_arena_free(a);
}
END_TEST

/* The refused lock comes last: where tests share one process (valgrind) it has given up that process's rights. */
SUITE("secret", LOOP(memory_is_locked, MLOCK_IS_REAL), TEST(blocks_are_zeroed_reused_and_joined), TEST(a_child_sees_zeros),
      LOOP(a_refused_lock_is_said, MLOCK_IS_REAL))
