/* What one hostile account does to the others: pairs in open loop measure their latency, first alone, then while one more pair sends as fast as it can. */
#include "runs.h"

void run_hostile(const bench_options *o, report *r)
{
    bench_options quiet = *o, flooded = *o;
    report alone = { 0 }, beside = { 0 };
    flooded.flood = 256; /* sends the flooder keeps under way */
    run_relay(&quiet, &alone);
    run_relay(&flooded, &beside);
    for (size_t i = 0; i < alone.count && i < beside.count; i++) {
        if (alone.figure[i].unit[0] != 'm' || alone.figure[i].unit[1] != 's')
            continue;
        report_add(r, alone.figure[i].name, "ms_alone", alone.figure[i].value);
        report_add(r, alone.figure[i].name, "ms_beside_flood", beside.figure[i].value);
    }
}
