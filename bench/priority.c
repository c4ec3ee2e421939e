/* bench/priority.c: see priority.h. */
#include "priority.h"
#include <sched.h>

bool priority_take(void)
{
    const struct sched_param p = { .sched_priority = 1 };
    return sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p) == 0;
}
