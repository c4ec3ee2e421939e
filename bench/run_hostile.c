/* What one hostile account does to the others: pairs in open loop measure their latency, first alone, then beside each kind of mischief. Each has a relay of
 * its own. */
#include "runs.h"
#include <string.h>

void run_hostile(const bench_options *o, report *r)
{
    static report each[HOSTILE_KINDS];
    for (int kind = HOSTILE_NOBODY; kind < HOSTILE_KINDS; kind++) {
        bench_options one = *o;
        one.hostile = (hostile_kind)kind;
        run_relay(&one, &each[kind]);
        for (size_t i = 0; i < each[kind].count; i++)
            if (strcmp(each[kind].figure[i].name, "p50") == 0 || strcmp(each[kind].figure[i].name, "p99") == 0 ||
                strcmp(each[kind].figure[i].name, "accepted") == 0)
                report_add(r, each[kind].figure[i].name, hostile_word[kind], each[kind].figure[i].value);
    }
}
