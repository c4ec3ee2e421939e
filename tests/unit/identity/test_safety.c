/* M03: the safety number. Its fixed value, from another implementation, is in tests/vectors (test_vectors.c). */
#include "fixture.h"
#include "identity/safety.h"

START_TEST(M03_symmetric_and_sixty_digits)
{
    person p, q;
    char one[TACET_SAFETY_DIGITS + 1], two[TACET_SAFETY_DIGITS + 1];
    person_init(&p, 1);
    person_init(&q, 2);
    safety_number(one, p.ik.public, q.ik.public);
    safety_number(two, q.ik.public, p.ik.public);
    ck_assert_str_eq(one, two);
    ck_assert_uint_eq(strlen(one), 60);
    ck_assert_uint_eq(strspn(one, "0123456789"), 60);
    ck_assert_int_lt(memcmp(one, one + 30, 30), 0);
    safety_number(two, p.ik.public, p.ik.public);
    ck_assert_mem_eq(two, two + 30, 30);
}
END_TEST

START_TEST(M03_one_bit_changes_one_side)
{
    person p, q;
    char before[TACET_SAFETY_DIGITS + 1], after[TACET_SAFETY_DIGITS + 1];
    person_init(&p, 3);
    person_init(&q, 4);
    safety_number(before, p.ik.public, q.ik.public);
    for (size_t bit = 0; bit < 256; bit += 17) {
        p.ik.public[bit / 8] ^= (uint8_t)(1U << bit % 8);
        safety_number(after, p.ik.public, q.ik.public);
        p.ik.public[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert_str_ne(before, after);
        /* the untouched side is still there, the touched one has changed */
        bool first = memcmp(after, before, 30) == 0 || memcmp(after + 30, before, 30) == 0;
        bool second = memcmp(after, before + 30, 30) == 0 || memcmp(after + 30, before + 30, 30) == 0;
        ck_assert(first != second);
    }
}
END_TEST

SUITE("safety", TEST(M03_symmetric_and_sixty_digits), TEST(M03_one_bit_changes_one_side))
