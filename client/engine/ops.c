/* Calls that take more than one step: each looks, whenever something changed, whether its next step can be done. */
#include "state.h"
#include <stdio.h>
#include <stdlib.h>

op *op_new(engine *e, engine_done done, void *ctx, void (*wake)(engine *, op *), void (*drop)(op *), void *data)
{
    op *o = data ? calloc(1, sizeof *o) : NULL;
    if (!o) {
        free(data);
        complete(e, done, ctx, NULL, NULL);
        return NULL;
    }
    *o = (op){ .number = ++e->next_op, .done = done, .done_ctx = ctx, .wake = wake, .drop = drop, .data = data };
    op **at = &e->ops; /* in order of their beginning */
    while (*at)
        at = &(*at)->next;
    *at = o;
    e->woken = true;
    return o;
}

op *op_find(engine *e, uint64_t number)
{
    op *o = e->ops;
    while (o && o->number != number)
        o = o->next;
    return o;
}

static void op_end(engine *e, op *o)
{
    op **at = &e->ops;
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    if (o->drop)
        o->drop(o);
    else
        free(o->data);
    free(o);
}

void op_finish(engine *e, op *o, json_t *result)
{
    if (o->done)
        complete(e, o->done, o->done_ctx, result, NULL);
    else
        json_decref(result);
    op_end(e, o);
}

void op_fail(engine *e, op *o, const engine_error *error)
{
    if (o->done)
        complete(e, o->done, o->done_ctx, NULL, error);
    op_end(e, o);
}

void op_say(engine *e, op *o, sentence which, const char *one, const char *two)
{
    engine_error error;
    sentence_fill(&error, which, one, two, NULL);
    op_fail(e, o, &error);
}

void error_of_clock(const engine *e, engine_error *out)
{
    char text[48];
    int64_t off = e->clock_offset_s < 0 ? -e->clock_offset_s : e->clock_offset_s;
    (void)snprintf(text, sizeof text, "%lld day%s", (long long)(off / 86400), off / 86400 == 1 ? "" : "s");
    sentence_fill(out, SAY_CLOCK, text, NULL, NULL);
}

void say_clock(engine *e, op *o)
{
    engine_error error;
    error_of_clock(e, &error);
    op_fail(e, o, &error);
}

/* An op may end itself, and begin others: those are looked at in the next round. */
void ops_wake(engine *e)
{
    e->woken = false;
    uint64_t last = e->next_op;
    for (uint64_t at = 0; at < last;) {
        op *o = e->ops;
        while (o && o->number <= at)
            o = o->next;
        if (!o || o->number > last)
            return;
        at = o->number;
        o->wake(e, o);
    }
}

void ops_close(engine *e)
{
    while (e->ops)
        op_say(e, e->ops, SAY_STOPPING, NULL, NULL);
    e->woken = false;
}
