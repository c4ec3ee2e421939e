/* transfer/bits.h: which chunks of a file: one bit each, and the form in which the wire carries them (docs/PROTOCOL.md §8.3). */
#ifndef TRANSFER_BITS_H
#define TRANSFER_BITS_H
#include "base/limits.h"
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t count, set; /* how many there are, and how many of them are 1 */
    uint64_t *word;
} bits;

TACET_MUST_USE int bits_new(bits *out, uint32_t count); /* all 0. TACET_E_NOMEM */
void bits_free(bits *b);                                /* empty is fine */
bool bits_get(const bits *b, uint32_t i);
bool bits_put(bits *b, uint32_t i); /* to 1; true when it was 0 */
void bits_clear(bits *b);
/* The first 0 at or after `from`; count: none. */
uint32_t bits_next_zero(const bits *b, uint32_t from);

/* To 1 what `bytes` says from `first` on (a multiple of 8). TACET_E_MALFORMED: a bit beyond the last chunk; nothing was changed. */
TACET_MUST_USE int bits_from_wire(bits *b, uint32_t first, const uint8_t *bytes, size_t n);
/* The chunks from `first` on (a multiple of 8), at most `room` bytes of them, without zeros at the end; 0: none of them is 1. */
size_t bits_to_wire(const bits *b, uint32_t first, uint8_t *out, size_t room);
#endif
