/* server/debts.h: which connections are owed something that is in no hurry, in the order in which it must leave at the latest. Each has its own moment: were
 * all served when the first is due, a thousand of them would stop everybody for milliseconds. */
#ifndef SERVER_DEBTS_H
#define SERVER_DEBTS_H
#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t due_ms; /* 0: owed nothing; `before` and `after` mean nothing then */
    uint32_t before, after;
} debt;
typedef struct {
    debt *of; /* by slot */
    uint32_t first, last;
} debts;

/* For slots 0 to `slots` - 1. TACET_E_NOMEM */
TACET_MUST_USE int debts_new(debts *d, uint32_t slots);
void debts_free(debts *d);
/* One who is owed something already keeps its moment. due_ms: > 0, never less than at the call before. */
void debts_add(debts *d, uint32_t slot, uint64_t due_ms);
void debts_clear(debts *d, uint32_t slot);
/* Whose moment is the next: false, nobody's. */
bool debts_next(const debts *d, uint32_t *slot, uint64_t *due_ms);
#endif
