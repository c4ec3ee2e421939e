/* The ratchet as two people use it, and what it refuses. */
#include "pair.h"

START_TEST(a_conversation_goes_both_ways)
{
    pair p;
    pair_new(&p, 1);
    pair_first(&p, true);
    for (int i = 0; i < 200; i++) {
        char text[32];
        snprintf(text, sizeof text, "message %d", i);
        if (i % 5 < 2)
            pair_say(&p, p.a, p.b, text);
        else
            pair_say(&p, p.b, p.a, text);
    }
    session_info a, b;
    session_describe(p.a, &a);
    session_describe(p.b, &b);
    ck_assert_mem_eq(a.id, b.id, sizeof a.id);
    ck_assert(a.answered && b.answered && a.initiator && !b.initiator);
    ck_assert_uint_eq(a.sealed, b.opened);
    ck_assert_uint_eq(b.sealed, a.opened);
    ck_assert_uint_ge(a.epoch, 2);
    ck_assert_mem_eq(&a.me, &b.them, sizeof(party));
    pair_free(&p);
}
END_TEST

SUITE("ratchet", TEST(a_conversation_goes_both_ways))
