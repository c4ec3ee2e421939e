/* server/bitmap.h: a bit for each chunk of a blob. Pages that are all 0 or all 1 cost no memory, so a transfer in order needs a page, not a bitmap. */
#ifndef SERVER_BITMAP_H
#define SERVER_BITMAP_H
#include "storage/blobs.h"

typedef struct {
    uint32_t bits, set, pages;
    uint8_t **page; /* NULL: all 0; bitmap_full: all 1 */
    uint16_t *fill; /* ones in each */
} bitmap;

TACET_MUST_USE int bitmap_new(bitmap *b, uint32_t bits); /* TACET_E_NOMEM */
void bitmap_free(bitmap *b);
bool bitmap_get(const bitmap *b, uint32_t i); /* i < bits, everywhere */
/* TACET_E_NOMEM: it is as it was. */
TACET_MUST_USE int bitmap_set(bitmap *b, uint32_t i);
TACET_MUST_USE int bitmap_clear(bitmap *b, uint32_t i);
void bitmap_page_read(const bitmap *b, uint32_t page, uint8_t out[RELAY_BITS_PAGE_BYTES]);
/* TACET_E_MALFORMED: no such page, or a bit beyond the last. TACET_E_NOMEM */
TACET_MUST_USE int bitmap_page_set(bitmap *b, uint32_t page, const uint8_t bits[RELAY_BITS_PAGE_BYTES]);
/* The first i >= from with a 1 in `yes` and a 0 in both others; yes->bits: none. All three have the same number of bits. */
uint32_t bitmap_next(const bitmap *yes, const bitmap *no, const bitmap *nor, uint32_t from);
static inline bool bitmap_all(const bitmap *b) { return b->set == b->bits; }
#endif
