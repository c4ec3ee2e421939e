/* Each at its own moment, in order, whoever leaves the row before. */
#include "server/due.h"
#include "suite.h"
#include <stdio.h>
#include <string.h>

/* What is done, a letter a step: "+3@70" joins 3 with the moment 70, "-3" leaves; and who is due then, in order. */
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
    due_place place[4] = { 0 };
    due_row d = due_row_over(place);
    char due[64] = "";
    size_t used = 0;
    uint32_t slot;
    for (const char *at = row[_i].steps; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
        unsigned who = (unsigned)(at[1] - '0');
        if (*at == '+')
            due_join(&d, who, (uint64_t)strtoul(at + 3, NULL, 10));
        else
            due_leave(&d, who);
    }
    for (uint64_t at; due_next(&d, &slot, &at); due_leave(&d, slot))
        used += (size_t)snprintf(due + used, sizeof due - used, "%s%u@%llu", used ? " " : "", slot, (unsigned long long)at);
    ck_assert_str_eq(due, row[_i].due);
}
END_TEST

SUITE("due", LOOP(each_at_its_own_moment, ROWS(row)))
