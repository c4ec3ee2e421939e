#include "report.h"
#include <math.h>
#include <stdio.h>

void histogram_add(histogram *h, double us)
{
    double at = us < 1 ? 0 : log(us) / log(1.025);
    h->bucket[at < HISTOGRAM_BUCKETS - 1 ? (size_t)at : HISTOGRAM_BUCKETS - 1]++;
    h->count++;
    if (us > h->max_us)
        h->max_us = us;
}

double histogram_at(const histogram *h, double q)
{
    uint64_t want = (uint64_t)ceil(q * (double)h->count), seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (h->count && seen >= want)
            return fmin(pow(1.025, (double)i + 1), h->max_us);
    }
    return 0;
}

void report_add(report *r, const char *name, const char *unit, double value)
{
    if (r->count < REPORT_FIGURES_MAX) {
        r->figure[r->count].name = name;
        r->figure[r->count].unit = unit;
        r->figure[r->count++].value = value;
    }
}

void report_latency(report *r, const histogram *h)
{
    report_add(r, "p50", "ms", histogram_at(h, 0.5) / 1000);
    report_add(r, "p99", "ms", histogram_at(h, 0.99) / 1000);
    report_add(r, "p99.9", "ms", histogram_at(h, 0.999) / 1000);
    report_add(r, "max", "ms", h->max_us / 1000);
}

void report_print(const report *r, bool json)
{
    if (json) {
        printf("{\"run\":\"%s\"", r->run);
        for (size_t i = 0; i < r->count; i++)
            printf(",\"%s%s%s\":%.3f", r->figure[i].name, *r->figure[i].unit ? "_" : "", r->figure[i].unit, r->figure[i].value);
        puts("}");
    } else {
        printf("%s\n", r->run);
        for (size_t i = 0; i < r->count; i++)
            printf("  %-28s %14.2f %s\n", r->figure[i].name, r->figure[i].value, r->figure[i].unit);
    }
    fflush(stdout);
}
