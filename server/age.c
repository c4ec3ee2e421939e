/* server/age.c: see age.h. */
#include "server/age.h"

void age_from(age_clock *a, uint64_t ms)
{
    a->us = ms * 1000;
    a->known = true;
}

void age_tell(age_clock *a, uint64_t mono_us, uint64_t wall_ms, uint32_t speed)
{
    uint64_t passed = a->told && mono_us > a->mono_us ? mono_us - a->mono_us : 0;
    a->wall_us = wall_ms * 1000;
    a->us = a->known ? a->us + passed : a->wall_us;
    if (a->wall_us > a->us) {
        uint64_t behind = a->wall_us - a->us, more = speed - 1;
        a->us += more && passed > behind / more ? behind : passed * more;
    }
    if (!a->told || mono_us > a->mono_us)
        a->mono_us = mono_us;
    a->known = a->told = true;
}
