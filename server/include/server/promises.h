/* server/promises.h: answers that are true and have not left yet: each waits for something to be written. */
#ifndef SERVER_PROMISES_H
#define SERVER_PROMISES_H
#include "server/job.h"
#include <stdlib.h>

typedef struct {
    conn_ref to;
    uint32_t id;
} promise;

typedef struct {
    promise *at;
    uint32_t count, room;
} promises;

/* False: no memory for the list. */
static inline bool promises_add(promises *a, conn_ref to, uint32_t id)
{
    if (a->count == a->room) {
        uint32_t room = a->room ? a->room * 2 : 64;
        promise *bigger = realloc(a->at, room * sizeof *bigger);
        if (!bigger)
            return false;
        a->at = bigger;
        a->room = room;
    }
    a->at[a->count++] = (promise){ to, id };
    return true;
}

static inline void promises_free(promises *a)
{
    free(a->at);
    *a = (promises){ 0 };
}
#endif
