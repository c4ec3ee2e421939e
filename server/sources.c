/* server/sources.c: see sources.h. A chained hash over a fixed pool: keys come out of a keyed hash already, so their low bits are as good as any. */
#include "server/sources.h"
#include <assert.h>
#include <stdlib.h>

#define NOBODY UINT32_MAX

int sources_new(sources *s, uint32_t most, const source_limits *limits)
{
    *s = (sources){ .limits = *limits, .rows = 16 };
    while (s->rows < most)
        s->rows *= 2;
    s->at = calloc(most, sizeof *s->at);
    s->row = malloc(s->rows * sizeof *s->row);
    if (!s->at || !s->row) {
        sources_free(s);
        return TACET_E_NOMEM;
    }
    for (uint32_t i = 0; i < s->rows; i++)
        s->row[i] = NOBODY;
    for (uint32_t i = 0; i < most; i++)
        s->at[i].next = i + 1 < most ? i + 1 : NOBODY;
    return TACET_OK;
}

void sources_free(sources *s)
{
    free(s->at);
    free(s->row);
    *s = (sources){ 0 };
}

static uint32_t *row_of(sources *s, uint64_t key) { return &s->row[key & (s->rows - 1)]; }

/* The entry of this key, or a fresh one; there are as many as connections, so one is always left. */
static uint32_t find_or_add(sources *s, uint64_t key)
{
    uint32_t *head = row_of(s, key);
    for (uint32_t i = *head; i != NOBODY; i = s->at[i].next)
        if (s->at[i].key == key)
            return i;
    uint32_t i = s->unused;
    assert(i != NOBODY);
    s->unused = s->at[i].next;
    s->at[i] = (source){ .key = key, .next = *head };
    *head = i;
    return i;
}

static void remove_entry(sources *s, uint32_t index)
{
    uint32_t *link = row_of(s, s->at[index].key);
    while (*link != index)
        link = &s->at[*link].next;
    *link = s->at[index].next;
    s->at[index].next = s->unused;
    s->unused = index;
}

uint32_t source_enter(sources *s, uint64_t key)
{
    uint32_t i = find_or_add(s, key);
    source *e = &s->at[i];
    if (e->connections >= s->limits.connections || e->pending >= s->limits.pending)
        return NOBODY; /* it has connections, so the entry is not a fresh one */
    e->connections++;
    e->pending++;
    return i;
}

void source_greeted(sources *s, uint32_t index)
{
    assert(s->at[index].pending > 0);
    s->at[index].pending--;
}

void source_leave(sources *s, uint32_t index)
{
    assert(s->at[index].connections > 0);
    if (--s->at[index].connections == 0)
        remove_entry(s, index);
}

bool source_may_ask(const sources *s, uint32_t index, source_kind kind)
{
    const source *e = &s->at[index];
    return e->requests < s->limits.requests && e->bytes[kind] < s->limits.bytes[kind];
}

void source_ask(sources *s, uint32_t index, source_kind kind, uint64_t bytes)
{
    source *e = &s->at[index];
    e->requests++;
    e->bytes[kind] += bytes;
}

void source_answered(sources *s, uint32_t index, source_kind kind, uint32_t requests, uint64_t bytes)
{
    source *e = &s->at[index];
    assert(e->requests >= requests && e->bytes[kind] >= bytes);
    e->requests -= requests;
    e->bytes[kind] -= bytes;
}

void source_carries(sources *s, uint32_t index, uint64_t bytes)
{
    source *e = &s->at[index];
    assert(e->bytes[SOURCE_TALKS] >= bytes);
    e->bytes[SOURCE_TALKS] -= bytes;
    e->bytes[SOURCE_CARRIES] += bytes;
}
