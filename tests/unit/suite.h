/* tests/unit/suite.h: the main() of every unit test. Write: SUITE("noun", TEST(a), LOOP(b, ROWS)) at the end of test_noun.c. */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H
#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define TEST(fn) tcase_add_test(tc, fn)
#define LOOP(fn, rows) tcase_add_loop_test(tc, fn, 0, (int)(rows))
#define SUITE(noun, ...)                                                                                                                             \
    int main(void)                                                                                                                                   \
    {                                                                                                                                                \
        if (sodium_init() < 0)                                                                                                                       \
            return 2;                                                                                                                                \
        Suite *suite = suite_create(noun);                                                                                                           \
        TCase *tc = tcase_create(noun);                                                                                                              \
        tcase_set_timeout(tc, 240);                                                                                                                  \
        (void)(__VA_ARGS__);                                                                                                                         \
        suite_add_tcase(suite, tc);                                                                                                                  \
        SRunner *runner = srunner_create(suite);                                                                                                     \
        srunner_run_all(runner, CK_ENV);                                                                                                             \
        int failed = srunner_ntests_failed(runner);                                                                                                  \
        srunner_free(runner);                                                                                                                        \
        return failed ? 1 : 0;                                                                                                                       \
    }
#define ROWS(table) (sizeof(table) / sizeof(*(table)))
#endif
