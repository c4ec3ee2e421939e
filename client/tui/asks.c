#include "asks.h"
#include "chat.h"
#include <stdlib.h>

enum { BEGUN_MAX = CALLER_CALLS_MAX - 1 };

static void ask_free(ask *q)
{
    json_decref(q->params);
    json_decref(q->about);
    free(q);
}

static void failed(chat *c, ask *q, const engine_error *why)
{
    if (q->done)
        q->done(c, NULL, why, q->about);
    else
        chat_why(c, why);
}

/* The oldest that is not begun yet, as long as there is room. */
static void begin(chat *c)
{
    for (ask **at = &c->asks.first; *at && c->asks.begun < BEGUN_MAX;) {
        ask *q = *at;
        engine_error why = { 0 };
        if (q->ticket) {
            at = &q->next;
            continue;
        }
        json_t *params = q->params;
        q->params = NULL;
        if (caller_begin(c->caller, q->method, params, &q->ticket, &why) == EXIT_DONE) {
            c->asks.begun++;
            at = &q->next;
            continue;
        }
        *at = q->next;
        failed(c, q, &why);
        ask_free(q);
    }
}

bool ask_for(chat *c, const char *method, json_t *params, ask_done *done, json_t *about)
{
    ask *q = calloc(1, sizeof *q), **end = &c->asks.first;
    if (!q) {
        json_decref(params);
        json_decref(about);
        chat_tell(c, SAY_NO_MEMORY, NULL, NULL);
        return false;
    }
    *q = (ask){ .method = method, .params = params, .about = about, .done = done };
    while (*end)
        end = &(*end)->next;
    *end = q;
    begin(c);
    return true;
}

void asks_answer(chat *c, caller_news *n)
{
    ask **at = &c->asks.first;
    while (*at && (*at)->ticket != n->ticket)
        at = &(*at)->next;
    ask *q = *at;
    if (!q)
        return;
    *at = q->next;
    c->asks.begun--;
    if (n->body && q->done)
        q->done(c, n->body, NULL, q->about);
    else if (!n->body)
        failed(c, q, &n->error);
    ask_free(q);
    begin(c);
}

void asks_close(asks *a)
{
    while (a->first) {
        ask *q = a->first;
        a->first = q->next;
        ask_free(q);
    }
    a->begun = 0;
}
