/* bench/report.h: what a run measured: latencies (2.5 % wide buckets, microseconds to minutes) and one line of named figures, printed as a table row or as
 * one JSON object a line. */
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

/* All of a run, and each tenth of a second of it by itself: what stops the whole machine for some milliseconds now and then makes the p99 of all, but not
 * that of most tenths. */
enum { TENTHS_MAX = 1200, TENTH_MIN = 100 /* values in it; one with fewer has no p99 */ };
typedef struct {
    histogram all, tenth;
    double tenth_ends; /* seconds_now() */
    size_t tenths;
    double p99_us[TENTHS_MAX];
} latency;
void latency_add(latency *l, double now_s, double us);

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
/* p50, p99, p99.9, max, and the median of the tenths' p99, in ms. */
void report_latency(report *r, const latency *l);
void report_print(const report *r, bool json);
#endif
