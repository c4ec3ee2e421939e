/* bench/report.h: what a run measured: a latency histogram (2.5 % wide buckets, microseconds to minutes) and one line of named figures, printed as
 * a table row or as one JSON object a line. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 1024 };
typedef struct {
    uint64_t count, bucket[HISTOGRAM_BUCKETS];
    double max_us;
} histogram;
void histogram_add(histogram *h, double us);
/* Upper edge of the bucket that holds the share q (0 to 1) of all values; 0 when empty. */
double histogram_at(const histogram *h, double q);

enum { REPORT_FIGURES_MAX = 40 };
typedef struct {
    const char *run;
    size_t count;
    struct {
        const char *name, *unit;
        double value;
    } figure[REPORT_FIGURES_MAX];
} report;
void report_add(report *r, const char *name, const char *unit, double value);
void report_latency(report *r, const histogram *h); /* p50, p99, p99.9, max in ms */
void report_print(const report *r, bool json);
#endif
