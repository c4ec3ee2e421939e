/* show/standing.h: how far a contact can be trusted: each state with one plain sentence and what can be done about it. `contact` is a
 * contact object of docs/RPC.md. */
#ifndef SHOW_STANDING_H
#define SHOW_STANDING_H
#include "engine/sentences.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { STANDING_ROOM = 480 }; /* for the longest sentence, its advice, and the names in them */

typedef struct {
    sentence word;     /* in a list */
    sentence sentence; /* what is known and what is not; $1 is the name */
    const char *mark;  /* behind the name */
    sentence command;  /* what to do, typed into a shell; SAY_COUNT: nothing has to be done */
    sentence chat;     /* the same in the full screen */
    bool stops;        /* nothing is sent until the person has decided */
    bool shows;        /* the full screen says it above the conversation */
} standing;

/* The first state that applies; never NULL. */
const standing *standing_of(const json_t *contact);
/* Writes the sentence and, behind it, `advice` (one of the two above). At most `room` with the NUL; returns the bytes written. */
size_t standing_say(char *out, size_t room, const standing *s, sentence advice, const char *name);
#endif
