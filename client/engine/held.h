/* engine/held.h: the answers and events that came while a caller was waiting for something else, oldest first, at most CALLER_HELD_MAX. Answers are
 * kept whatever comes: somebody waits for each, and there are fewer questions than places. Of the events `progress` goes first; when another one had to
 * go, or went with a host, one `waiting` says so. */
#ifndef ENGINE_HELD_H
#define ENGINE_HELD_H
#include "engine/caller.h"

typedef struct {
    caller_news news[CALLER_HELD_MAX]; /* a ring */
    size_t first, count;
    bool missed;
} held_news;

void held_put(held_news *h, const caller_news *n); /* takes its body */
bool held_take(held_news *h, caller_news *out);    /* false: there is nothing */
bool held_missed(held_news *h, caller_news *out);  /* the `waiting`, when it is due */
void held_empty(held_news *h);
#endif
