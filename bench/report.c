#include "report.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void latency_add(latency *l, double now_s, double us)
{
    if (now_s >= l->tenth_ends) {
        if (l->tenth.count >= TENTH_MIN && l->tenths < TENTHS_MAX)
            l->p99_us[l->tenths++] = histogram_at(&l->tenth, 0.99);
        l->tenth = (histogram){ 0 };
        l->tenth_ends = now_s + 0.1;
    }
    histogram_add(&l->all, us);
    histogram_add(&l->tenth, us);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_tenth_us(const latency *l)
{
    static double sorted[TENTHS_MAX];
    memcpy(sorted, l->p99_us, l->tenths * sizeof *sorted);
    qsort(sorted, l->tenths, sizeof *sorted, by_value);
    return l->tenths ? sorted[l->tenths / 2] : 0;
}

void report_add(report *r, const char *name, const char *unit, double value)
{
    if (r->count < REPORT_FIGURES_MAX) {
        r->figure[r->count].name = name;
        r->figure[r->count].unit = unit;
        r->figure[r->count++].value = value;
    }
}

void report_latency(report *r, const latency *l)
{
    report_add(r, "p50", "ms", histogram_at(&l->all, 0.5) / 1000);
    report_add(r, "p99", "ms", histogram_at(&l->all, 0.99) / 1000);
    report_add(r, "p99.9", "ms", histogram_at(&l->all, 0.999) / 1000);
    report_add(r, "max", "ms", l->all.max_us / 1000);
    report_add(r, "p99_of_a_tenth", "ms", median_tenth_us(l) / 1000);
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
