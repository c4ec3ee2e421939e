/* tui/asks.h: questions to the engine that nobody waits for. As many as the caller takes are under way, the others wait their turn, in order. */
#ifndef TUI_ASKS_H
#define TUI_ASKS_H
#include "engine/caller.h"

struct chat;
/* result is NULL when it failed, and error says why. Both and about are borrowed. */
typedef void ask_done(struct chat *c, json_t *result, const engine_error *error, json_t *about);

typedef struct ask {
    struct ask *next;
    uint64_t ticket; /* 0: not begun */
    const char *method;
    json_t *params, *about;
    ask_done *done;
} ask;

typedef struct {
    ask *first;
    size_t begun;
} asks;

/* Steals params and about; each may be NULL. done may be NULL. False: no memory, or the host is out of reach; the person has been told. */
bool ask_for(struct chat *c, const char *method, json_t *params, ask_done *done, json_t *about);
void asks_answer(struct chat *c, caller_news *n); /* of kind CALLER_REPLY */
void asks_close(asks *a);
#endif
