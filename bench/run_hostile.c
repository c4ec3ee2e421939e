/* What one hostile account does to the others: pairs in open loop measure their latency, first alone, then beside each kind of mischief. Each has a relay of
 * its own. */
#include "runs.h"
#include <string.h>

void run_hostile(const bench_options *o, report *r)
{
    static const char *const told[] = { "p50", "p99", "p99_of_a_tenth", "accepted" };
    static report each[HOSTILE_KINDS];
    for (int kind = HOSTILE_NOBODY; kind < HOSTILE_KINDS; kind++) {
        bench_options one = *o;
        one.hostile = (hostile_kind)kind;
        run_relay(&one, &each[kind]);
        for (size_t i = 0; i < each[kind].count; i++)
            for (size_t k = 0; k < sizeof told / sizeof *told; k++)
                if (strcmp(each[kind].figure[i].name, told[k]) == 0)
                    report_add(r, told[k], hostile_word[kind], each[kind].figure[i].value);
    }
}
