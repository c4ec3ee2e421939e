#include "transfer/download.h"
#include <assert.h>

#define TO(state) ((state) + 1)
static const unsigned char next_state[DOWNLOAD_STATES][DOWNLOAD_EVENTS] = {
    [DOWNLOAD_OFFLINE] = { [DOWNLOAD_LINK_UP] = TO(DOWNLOAD_TELL),
                           [DOWNLOAD_LINK_DOWN] = TO(DOWNLOAD_OFFLINE),
                           [DOWNLOAD_TROUBLE] = TO(DOWNLOAD_PAUSED),
                           [DOWNLOAD_END] = TO(DOWNLOAD_ENDED) },
    [DOWNLOAD_TELL] = { [DOWNLOAD_TOLD] = TO(DOWNLOAD_WATCH),
                        [DOWNLOAD_LINK_DOWN] = TO(DOWNLOAD_OFFLINE),
                        [DOWNLOAD_TROUBLE] = TO(DOWNLOAD_PAUSED),
                        [DOWNLOAD_END] = TO(DOWNLOAD_ENDED) },
    [DOWNLOAD_WATCH] = { [DOWNLOAD_WATCHED] = TO(DOWNLOAD_RUN),
                         [DOWNLOAD_LINK_DOWN] = TO(DOWNLOAD_OFFLINE),
                         [DOWNLOAD_TROUBLE] = TO(DOWNLOAD_PAUSED),
                         [DOWNLOAD_END] = TO(DOWNLOAD_ENDED) },
    [DOWNLOAD_RUN] = { [DOWNLOAD_LINK_DOWN] = TO(DOWNLOAD_OFFLINE), [DOWNLOAD_TROUBLE] = TO(DOWNLOAD_PAUSED), [DOWNLOAD_END] = TO(DOWNLOAD_ENDED) },
    [DOWNLOAD_PAUSED] = { [DOWNLOAD_LINK_DOWN] = TO(DOWNLOAD_PAUSED), [DOWNLOAD_RESUME] = TO(DOWNLOAD_OFFLINE), [DOWNLOAD_END] = TO(DOWNLOAD_ENDED) },
};

bool download_step(download *d, download_event event)
{
    assert(d->state < DOWNLOAD_STATES && event < DOWNLOAD_EVENTS);
    unsigned char cell = next_state[d->state][event];
    if (cell == 0)
        return false;
    download_state was = d->state;
    d->state = (download_state)(cell - 1);
    if (was != d->state && (d->state == DOWNLOAD_OFFLINE || d->state == DOWNLOAD_PAUSED || d->state == DOWNLOAD_ENDED)) {
        d->count = d->tell_first = d->damaged = 0;
        d->round++;
    }
    return true;
}

int download_new(download *d, uint32_t chunks)
{
    *d = (download){ 0 };
    return bits_new(&d->have, chunks);
}

void download_free(download *d) { bits_free(&d->have); }

size_t download_tell(download *d, uint32_t *first, uint8_t *out)
{
    while (d->state == DOWNLOAD_TELL && d->tell_first < d->have.count) {
        *first = d->tell_first;
        d->tell_first += 8 * TACET_BLOB_BITS_MAX_BYTES;
        size_t n = bits_to_wire(&d->have, *first, out, TACET_BLOB_BITS_MAX_BYTES);
        if (n)
            return n;
    }
    (void)download_step(d, DOWNLOAD_TOLD);
    return 0;
}

static uint32_t find(const download *d, uint32_t index)
{
    uint32_t i = 0;
    while (i < d->count && d->under_way[i] != index)
        i++;
    return i;
}

static bool leave(download *d, uint32_t index)
{
    uint32_t i = find(d, index);
    if (i == d->count)
        return false;
    d->under_way[i] = d->under_way[--d->count];
    return true;
}

download_verdict download_chunk(download *d, uint32_t index)
{
    if (d->state != DOWNLOAD_RUN && d->state != DOWNLOAD_WATCH) /* the first chunks may overtake the answer */
        return DOWNLOAD_IGNORE;
    if (index >= d->have.count)
        return DOWNLOAD_WRONG;
    if (bits_get(&d->have, index))
        return DOWNLOAD_KNOWN;
    if (find(d, index) < d->count)
        return DOWNLOAD_IGNORE;
    if (d->count == DOWNLOAD_WINDOW_MAX)
        return DOWNLOAD_WRONG;
    d->under_way[d->count++] = index;
    return DOWNLOAD_TAKE;
}

bool download_damaged(download *d, uint32_t index) { return leave(d, index) && ++d->damaged < DOWNLOAD_DAMAGED_MAX; }

void download_later(download *d, uint32_t index) { (void)leave(d, index); }

bool download_durable(download *d, uint32_t index)
{
    if (!leave(d, index))
        return false;
    d->damaged = 0;
    bits_put(&d->have, index);
    return true;
}
