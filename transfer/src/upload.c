#include "transfer/upload.h"
#include <assert.h>

#define TO(state) ((state) + 1)
static const unsigned char next_state[UPLOAD_STATES][UPLOAD_EVENTS] = {
    [UPLOAD_OFFLINE] = { [UPLOAD_LINK_UP] = TO(UPLOAD_CREATE),
                         [UPLOAD_LINK_DOWN] = TO(UPLOAD_OFFLINE),
                         [UPLOAD_TROUBLE] = TO(UPLOAD_PAUSED),
                         [UPLOAD_END] = TO(UPLOAD_ENDED) },
    [UPLOAD_CREATE] = { [UPLOAD_CREATED] = TO(UPLOAD_STATUS),
                        [UPLOAD_LINK_DOWN] = TO(UPLOAD_OFFLINE),
                        [UPLOAD_TROUBLE] = TO(UPLOAD_PAUSED),
                        [UPLOAD_END] = TO(UPLOAD_ENDED) },
    [UPLOAD_STATUS] = { [UPLOAD_KNOWN] = TO(UPLOAD_RUN),
                        [UPLOAD_LINK_DOWN] = TO(UPLOAD_OFFLINE),
                        [UPLOAD_TROUBLE] = TO(UPLOAD_PAUSED),
                        [UPLOAD_END] = TO(UPLOAD_ENDED) },
    [UPLOAD_RUN] = { [UPLOAD_ALL_SAFE] = TO(UPLOAD_COMPLETE),
                     [UPLOAD_LINK_DOWN] = TO(UPLOAD_OFFLINE),
                     [UPLOAD_TROUBLE] = TO(UPLOAD_PAUSED),
                     [UPLOAD_END] = TO(UPLOAD_ENDED) },
    [UPLOAD_COMPLETE] = { [UPLOAD_LINK_UP] = TO(UPLOAD_COMPLETE), [UPLOAD_LINK_DOWN] = TO(UPLOAD_COMPLETE), [UPLOAD_END] = TO(UPLOAD_ENDED) },
    [UPLOAD_PAUSED] = { [UPLOAD_LINK_DOWN] = TO(UPLOAD_PAUSED), [UPLOAD_RESUME] = TO(UPLOAD_OFFLINE), [UPLOAD_END] = TO(UPLOAD_ENDED) },
};

/* Out of the running states nothing is under way. */
static void forget_under_way(upload *u)
{
    u->count = 0;
    u->cursor = u->status_first = 0;
    u->round++;
}

bool upload_step(upload *u, upload_event event)
{
    assert(u->state < UPLOAD_STATES && event < UPLOAD_EVENTS);
    unsigned char cell = next_state[u->state][event];
    if (cell == 0)
        return false;
    upload_state was = u->state;
    u->state = (upload_state)(cell - 1);
    if (was != u->state && (u->state == UPLOAD_OFFLINE || u->state == UPLOAD_PAUSED || u->state == UPLOAD_ENDED))
        forget_under_way(u);
    if (u->state == UPLOAD_CREATE)
        bits_clear(&u->safe); /* the relay says it anew: it may have been restored */
    return true;
}

int upload_new(upload *u, uint32_t chunks, uint32_t window)
{
    assert(window >= 1 && window <= UPLOAD_WINDOW_MAX);
    *u = (upload){ .window = window };
    return bits_new(&u->safe, chunks);
}

void upload_free(upload *u) { bits_free(&u->safe); }

static void look_whether_all(upload *u)
{
    if (u->state == UPLOAD_RUN && u->safe.set == u->safe.count)
        (void)upload_step(u, UPLOAD_ALL_SAFE);
}

int upload_status(upload *u, uint32_t first, const uint8_t *bytes, size_t n)
{
    if (u->state != UPLOAD_STATUS || first != u->status_first || bits_from_wire(&u->safe, first, bytes, n) != TACET_OK)
        return TACET_E_MALFORMED;
    if (u->safe.count - first > 8 * TACET_BLOB_BITS_MAX_BYTES) {
        u->status_first = first + 8 * TACET_BLOB_BITS_MAX_BYTES;
        return TACET_OK;
    }
    (void)upload_step(u, UPLOAD_KNOWN);
    look_whether_all(u);
    return TACET_OK;
}

static uint32_t find(const upload *u, uint32_t index)
{
    uint32_t i = 0;
    while (i < u->count && u->under_way[i] != index)
        i++;
    return i;
}

bool upload_next(upload *u, uint32_t *index)
{
    if (u->state != UPLOAD_RUN || u->count == u->window)
        return false;
    uint32_t at = u->cursor;
    do
        at = bits_next_zero(&u->safe, at);
    while (at < u->safe.count && find(u, at) < u->count && ++at);
    if (at == u->safe.count)
        return false;
    u->cursor = at + 1;
    u->under_way[u->count++] = *index = at;
    return true;
}

static bool leave(upload *u, uint32_t index)
{
    uint32_t i = find(u, index);
    if (i == u->count)
        return false;
    u->under_way[i] = u->under_way[--u->count];
    return true;
}

bool upload_safe(upload *u, uint32_t index)
{
    if (!leave(u, index))
        return false;
    bits_put(&u->safe, index);
    look_whether_all(u);
    return true;
}

void upload_again(upload *u, uint32_t index)
{
    if (leave(u, index) && index < u->cursor)
        u->cursor = index;
}
