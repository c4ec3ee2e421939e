/* server/bitmap.c: see bitmap.h. */
#include "server/bitmap.h"
#include <stdlib.h>
#include <string.h>

enum { PAGE = RELAY_BITS_PAGE_CHUNKS, BYTES = RELAY_BITS_PAGE_BYTES };
static uint8_t full[BYTES]; /* its address is what counts; never written, never read */

static uint32_t page_bits(const bitmap *b, uint32_t page)
{
    uint32_t left = b->bits - page * PAGE;
    return left < PAGE ? left : PAGE;
}

int bitmap_new(bitmap *b, uint32_t bits)
{
    bitmap n = { .bits = bits, .pages = (bits + PAGE - 1) / PAGE };
    n.page = calloc(n.pages, sizeof *n.page);
    n.fill = calloc(n.pages, sizeof *n.fill);
    if (!n.page || !n.fill) {
        bitmap_free(&n);
        return TACET_E_NOMEM;
    }
    *b = n;
    return TACET_OK;
}

static void page_release(bitmap *b, uint32_t page, uint8_t *instead)
{
    if (b->page[page] != full)
        free(b->page[page]);
    b->page[page] = instead;
}

void bitmap_free(bitmap *b)
{
    for (uint32_t p = 0; b->page && p < b->pages; p++)
        page_release(b, p, NULL);
    free(b->page);
    free(b->fill);
    *b = (bitmap){ 0 };
}

static uint8_t page_byte(const bitmap *b, uint32_t page, uint32_t at)
{
    const uint8_t *p = b->page[page];
    return p == full ? 0xff : p ? p[at] : 0;
}

bool bitmap_get(const bitmap *b, uint32_t i) { return page_byte(b, i / PAGE, i % PAGE / 8) >> (i % 8) & 1; }

/* The page as bytes of its own. */
static uint8_t *page_open(bitmap *b, uint32_t page)
{
    uint8_t *p = b->page[page];
    if (p && p != full)
        return p;
    uint8_t *own = malloc(BYTES);
    if (!own)
        return NULL;
    bitmap_page_read(b, page, own);
    b->page[page] = own;
    return own;
}

static void page_settle(bitmap *b, uint32_t page)
{
    if (b->fill[page] == 0)
        page_release(b, page, NULL);
    else if (b->fill[page] == page_bits(b, page))
        page_release(b, page, full);
}

static int change(bitmap *b, uint32_t i, bool to)
{
    if (bitmap_get(b, i) == to)
        return TACET_OK;
    uint8_t *p = page_open(b, i / PAGE);
    if (!p)
        return TACET_E_NOMEM;
    p[i % PAGE / 8] ^= (uint8_t)(1u << i % 8);
    if (to)
        b->set++, b->fill[i / PAGE]++;
    else
        b->set--, b->fill[i / PAGE]--;
    page_settle(b, i / PAGE);
    return TACET_OK;
}

int bitmap_set(bitmap *b, uint32_t i) { return change(b, i, true); }
int bitmap_clear(bitmap *b, uint32_t i) { return change(b, i, false); }

void bitmap_page_read(const bitmap *b, uint32_t page, uint8_t out[RELAY_BITS_PAGE_BYTES])
{
    uint32_t bits = page_bits(b, page);
    const uint8_t *p = b->page[page];
    if (p && p != full)
        memcpy(out, p, BYTES);
    else
        memset(out, p ? 0xff : 0, BYTES);
    if (bits == PAGE)
        return;
    out[bits / 8] &= (uint8_t)((1u << bits % 8) - 1);
    memset(out + bits / 8 + 1, 0, BYTES - bits / 8 - 1);
}

int bitmap_page_set(bitmap *b, uint32_t page, const uint8_t bits[RELAY_BITS_PAGE_BYTES])
{
    uint32_t count = 0, end = page < b->pages ? page_bits(b, page) : 0;
    for (uint32_t at = 0; at < BYTES; at++)
        for (uint32_t j = 0; j < 8; j++)
            if (bits[at] >> j & 1) {
                if (8 * at + j >= end)
                    return TACET_E_MALFORMED;
                count++;
            }
    if (end == 0)
        return TACET_E_MALFORMED;
    uint8_t *p = page_open(b, page);
    if (!p)
        return TACET_E_NOMEM;
    memcpy(p, bits, BYTES);
    b->set += count - b->fill[page];
    b->fill[page] = (uint16_t)count;
    page_settle(b, page);
    return TACET_OK;
}

uint32_t bitmap_next(const bitmap *yes, const bitmap *no, const bitmap *nor, uint32_t from)
{
    for (uint32_t i = from; i < yes->bits;) {
        uint32_t page = i / PAGE, at = i % PAGE / 8;
        if (!yes->page[page] || no->page[page] == full || nor->page[page] == full) {
            i = (page + 1) * PAGE;
            continue;
        }
        unsigned byte = page_byte(yes, page, at) & ~(unsigned)page_byte(no, page, at) & ~(unsigned)page_byte(nor, page, at) & 0xffu << i % 8;
        for (unsigned j = i % 8; byte && j < 8; j++)
            if (byte >> j & 1)
                return page * PAGE + 8 * at + j < yes->bits ? page * PAGE + 8 * at + j : yes->bits;
        i = (i / 8 + 1) * 8;
    }
    return yes->bits;
}
