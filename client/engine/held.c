#include "held.h"
#include <string.h>

static caller_news *at(held_news *h, size_t i) { return &h->news[(h->first + i) % CALLER_HELD_MAX]; }

static bool is_progress(const caller_news *n)
{
    const char *what = json_string_value(json_object_get(n->body, "event"));
    return n->kind == CALLER_EVENT && what && strcmp(what, "progress") == 0;
}

static void drop_first(held_news *h)
{
    h->first = (h->first + 1) % CALLER_HELD_MAX;
    h->count--;
}

/* The oldest that only says how far something is; without any the oldest event. False: `n` itself is the one to go. */
static bool make_room(held_news *h, const caller_news *n)
{
    size_t i = 0;
    while (i < h->count && !is_progress(at(h, i)))
        i++;
    if (i == h->count && is_progress(n))
        return false;
    if (i == h->count) {
        h->missed = true;
        for (i = 0; at(h, i)->kind == CALLER_REPLY;)
            i++;
    }
    json_decref(at(h, i)->body);
    for (; i > 0; i--)
        *at(h, i) = *at(h, i - 1);
    drop_first(h);
    return true;
}

void held_put(held_news *h, const caller_news *n)
{
    if (h->count == CALLER_HELD_MAX && !make_room(h, n))
        json_decref(n->body);
    else
        *at(h, h->count++) = *n;
}

bool held_missed(held_news *h, caller_news *out)
{
    json_t *event = h->missed ? json_pack("{s:i,s:s,s:i}", "v", 1, "event", "waiting", "count", 0) : NULL;
    if (!event)
        return false;
    h->missed = false;
    *out = (caller_news){ .kind = CALLER_EVENT, .body = event };
    return true;
}

bool held_take(held_news *h, caller_news *out)
{
    if (held_missed(h, out))
        return true;
    if (h->count == 0)
        return false;
    *out = *at(h, 0);
    drop_first(h);
    return true;
}

void held_empty(held_news *h)
{
    for (; h->count > 0; drop_first(h))
        json_decref(at(h, 0)->body);
}
