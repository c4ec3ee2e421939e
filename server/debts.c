#include "server/debts.h"
#include <stdlib.h>

#define NOBODY UINT32_MAX

int debts_new(debts *d, uint32_t slots)
{
    *d = (debts){ .of = calloc(slots, sizeof *d->of), .first = NOBODY, .last = NOBODY };
    return d->of ? TACET_OK : TACET_E_NOMEM;
}

void debts_free(debts *d)
{
    free(d->of);
    d->of = NULL;
}

/* All wait equally long, so the end of the list is the right place. */
void debts_add(debts *d, uint32_t slot, uint64_t due_ms)
{
    debt *mine = &d->of[slot];
    if (mine->due_ms)
        return;
    *mine = (debt){ due_ms, d->last, NOBODY };
    *(d->last == NOBODY ? &d->first : &d->of[d->last].after) = slot;
    d->last = slot;
}

void debts_clear(debts *d, uint32_t slot)
{
    debt *mine = &d->of[slot];
    if (!mine->due_ms)
        return;
    *(mine->before == NOBODY ? &d->first : &d->of[mine->before].after) = mine->after;
    *(mine->after == NOBODY ? &d->last : &d->of[mine->after].before) = mine->before;
    mine->due_ms = 0;
}

bool debts_next(const debts *d, uint32_t *slot, uint64_t *due_ms)
{
    if (d->first == NOBODY)
        return false;
    *slot = d->first;
    *due_ms = d->of[d->first].due_ms;
    return true;
}
