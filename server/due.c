#include "server/due.h"

#define NOBODY UINT32_MAX

due_row due_row_over(due_place *place) { return (due_row){ place, NOBODY, NOBODY }; }

void due_join(due_row *r, uint32_t who, uint64_t at)
{
    due_place *mine = &r->place[who];
    if (mine->at)
        return;
    *mine = (due_place){ at, r->last, NOBODY };
    *(r->last == NOBODY ? &r->first : &r->place[r->last].after) = who;
    r->last = who;
}

void due_leave(due_row *r, uint32_t who)
{
    due_place *mine = &r->place[who];
    if (!mine->at)
        return;
    *(mine->before == NOBODY ? &r->first : &r->place[mine->before].after) = mine->after;
    *(mine->after == NOBODY ? &r->last : &r->place[mine->after].before) = mine->before;
    mine->at = 0;
}

bool due_next(const due_row *r, uint32_t *who, uint64_t *at)
{
    if (r->first == NOBODY)
        return false;
    *who = r->first;
    *at = r->place[r->first].at;
    return true;
}
