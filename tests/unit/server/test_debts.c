/* Who is owed something in no hurry: each at its own moment, in order, whoever leaves the list before. */
#include "server/debts.h"
#include "suite.h"
#include <stdio.h>
#include <string.h>

/* What is done, a letter a step: "+3@70" owes slot 3 something by 70, "-3" has served it; and who is due then, in order. */
static const struct {
    const char *steps, *due;
} row[] = {
    { "", "" },
    { "+3@70", "3@70" },
    { "+3@70 -3", "" },
    { "-3", "" },
    { "+3@70 +3@90", "3@70" }, /* it keeps its moment */
    { "+3@70 -3 +3@90", "3@90" },
    { "+1@70 +2@71 +0@72", "1@70 2@71 0@72" },
    { "+1@70 +2@71 +0@72 -1", "2@71 0@72" },
    { "+1@70 +2@71 +0@72 -2", "1@70 0@72" },
    { "+1@70 +2@71 +0@72 -0", "1@70 2@71" },
    { "+1@70 +2@71 +0@72 -2 +2@80 -1 -0", "2@80" },
    { "+1@70 +2@71 -1 -2 +3@75 -2", "3@75" },
};

START_TEST(each_at_its_own_moment)
{
    debts d;
    char due[64] = "";
    size_t used = 0;
    uint32_t slot;
    ck_assert_int_eq(debts_new(&d, 4), TACET_OK);
    for (const char *at = row[_i].steps; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
        unsigned who = (unsigned)(at[1] - '0');
        if (*at == '+')
            debts_add(&d, who, (uint64_t)strtoul(at + 3, NULL, 10));
        else
            debts_clear(&d, who);
    }
    for (uint64_t due_ms; debts_next(&d, &slot, &due_ms); debts_clear(&d, slot))
        used += (size_t)snprintf(due + used, sizeof due - used, "%s%u@%llu", used ? " " : "", slot, (unsigned long long)due_ms);
    ck_assert_str_eq(due, row[_i].due);
    debts_free(&d);
}
END_TEST

SUITE("debts", LOOP(each_at_its_own_moment, ROWS(row)))
