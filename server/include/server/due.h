/* server/due.h: connections in a row, each with a moment at which something is due for it: what is owed to it in no hurry, a look at it, its end. All of one
 * row wait equally long, so its end is the right place for who comes, whoever may leave before. Each has a moment of its own: were all served when the first
 * is due, a thousand of them would stop everybody for milliseconds. */
#ifndef SERVER_DUE_H
#define SERVER_DUE_H
#include <stdbool.h>
#include <stdint.h>

/* One connection's place, zero at first. Rows that a connection is never in at the same time may share places. */
typedef struct {
    uint64_t at; /* its moment, in whatever unit the row has; 0: it is in no row, and the rest means nothing */
    uint32_t before, after;
} due_place;
typedef struct {
    due_place *place; /* by connection */
    uint32_t first, last;
} due_row;

/* An empty row over these places, which stay the caller's. */
due_row due_row_over(due_place *place);
/* Who is in it already keeps its moment. at: > 0, never less than at the call before. */
void due_join(due_row *r, uint32_t who, uint64_t at);
void due_leave(due_row *r, uint32_t who);
/* Whose moment is the next: false, nobody's. */
bool due_next(const due_row *r, uint32_t *who, uint64_t *at);
#endif
