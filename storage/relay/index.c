/* The mailbox index in memory: a ring of entries in the order of their numbers, a chain of entries for each mailbox through it, and what is known
 * of each mailbox. Mailbox numbers are small and dense, so the mailboxes are an array. */
#include "parts.h"
#include <stdlib.h>
#include <string.h>

int vector_reserve(void **at, size_t count, size_t *room, size_t item_bytes)
{
    if (count < *room)
        return TACET_OK;
    size_t more = *room ? *room * 2 : 64;
    void *bigger = reallocarray(*at, more, item_bytes);
    if (!bigger)
        return TACET_E_NOMEM;
    *at = bigger;
    *room = more;
    return TACET_OK;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void numbers_sort(number_list *n)
{
    if (n->count)
        qsort(n->at, n->count, sizeof *n->at, by_number);
}

bool numbers_have(const number_list *n, uint64_t number) { return n->count && bsearch(&number, n->at, n->count, sizeof *n->at, by_number); }

int index_new(mailbox_index *ix, uint32_t room)
{
    *ix = (mailbox_index){ .room = room };
    ix->ring = calloc(room, sizeof *ix->ring);
    if (!ix->ring)
        return TACET_E_NOMEM;
    if (pthread_mutex_init(&ix->lock, NULL) == 0)
        return TACET_OK;
    free(ix->ring);
    ix->ring = NULL;
    return TACET_E_NOMEM;
}

void index_free(mailbox_index *ix)
{
    if (!ix->ring)
        return;
    for (uint32_t i = 0; i < ix->states; i++)
        free(ix->state[i].exceptions);
    free(ix->state);
    free(ix->ring);
    (void)pthread_mutex_destroy(&ix->lock); /* nobody holds it */
    *ix = (mailbox_index){ 0 };
}

int index_room_for_mailbox(mailbox_index *ix, uint32_t mailbox)
{
    if (mailbox < ix->states)
        return TACET_OK;
    uint32_t states = ix->states ? ix->states : 1024;
    while (states <= mailbox)
        states = states > UINT32_MAX / 2 ? UINT32_MAX : states * 2;
    (void)pthread_mutex_lock(&ix->lock);
    mailbox_state *bigger = reallocarray(ix->state, states, sizeof *bigger);
    if (bigger) {
        for (uint32_t i = ix->states; i < states; i++)
            bigger[i] = (mailbox_state){ .oldest = NO_PLACE, .newest = NO_PLACE };
        ix->state = bigger;
        ix->states = states;
    }
    (void)pthread_mutex_unlock(&ix->lock);
    return bigger ? TACET_OK : TACET_E_NOMEM;
}

/* Places change, so the chains are tied again. */
int index_grow_ring(mailbox_index *ix)
{
    if (ix->room > UINT32_MAX / 4)
        return TACET_E_NOMEM;
    mailbox_index bigger = *ix;
    bigger.room = ix->room * 2;
    bigger.first = bigger.end = 0;
    bigger.ring = calloc(bigger.room, sizeof *bigger.ring);
    if (!bigger.ring)
        return TACET_E_NOMEM;
    for (uint32_t i = 0; i < ix->states; i++) {
        ix->state[i].oldest = ix->state[i].newest = NO_PLACE;
        ix->state[i].chained = 0;
    }
    for (uint64_t seq = ix->first; seq < ix->end; seq++)
        index_push(&bigger, index_at(ix, seq));
    free(ix->ring);
    ix->ring = bigger.ring;
    ix->room = bigger.room;
    ix->first = bigger.first;
    ix->end = bigger.end;
    return TACET_OK;
}

void index_push(mailbox_index *ix, const entry *e)
{
    uint32_t place = index_place(ix, ix->end);
    mailbox_state *m = &ix->state[e->mailbox];
    ix->ring[place] = *e;
    ix->ring[place].next = NO_PLACE;
    ix->end++;
    if (m->oldest == NO_PLACE)
        m->oldest = place;
    else
        ix->ring[m->newest].next = place;
    m->newest = place;
    m->chained++;
}

static void chain_step(mailbox_index *ix, mailbox_state *m)
{
    m->oldest = ix->ring[m->oldest].next;
    m->chained--;
    if (m->oldest == NO_PLACE)
        m->newest = NO_PLACE;
}

void index_pop(mailbox_index *ix)
{
    uint32_t place = index_place(ix, ix->first);
    mailbox_state *m = &ix->state[ix->ring[place].mailbox];
    if (m->oldest == place)
        chain_step(ix, m);
    ix->first++;
}

void index_skip_dead(mailbox_index *ix, mailbox_state *m)
{
    while (m->oldest != NO_PLACE && ix->ring[m->oldest].flags & ENTRY_DEAD)
        chain_step(ix, m);
}

uint64_t index_lower_bound(const mailbox_index *ix, uint64_t number)
{
    uint64_t low = ix->first, high = ix->end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (index_at(ix, middle)->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

entry *index_find(const mailbox_index *ix, uint32_t mailbox, uint64_t number)
{
    uint64_t seq = index_lower_bound(ix, number);
    entry *e = seq < ix->end ? index_at(ix, seq) : NULL;
    return e && e->number == number && e->mailbox == mailbox ? e : NULL;
}

bool state_acknowledged(const mailbox_state *m, uint64_t number)
{
    if (number <= m->watermark)
        return true;
    uint32_t low = 0, high = m->exception_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (m->exceptions[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->exception_count && m->exceptions[low] == number;
}
