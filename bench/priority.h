/* bench/priority.h: the generator of an open-loop run stands for other machines. When it has to wait for a core behind the program that is measured, what
 * it counts is its own lateness. */
#ifndef BENCH_PRIORITY_H
#define BENCH_PRIORITY_H
#include <stdbool.h>

/* This process before all ordinary ones (SCHED_RR); what it starts from now on is ordinary again. false: the machine does not allow it. */
bool priority_take(void);
#endif
