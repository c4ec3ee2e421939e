#include "transfer/bits.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t words_for(uint32_t count) { return ((size_t)count + 63) / 64; }

int bits_new(bits *out, uint32_t count)
{
    uint64_t *word = calloc(words_for(count), sizeof *word);
    if (!word)
        return TACET_E_NOMEM;
    *out = (bits){ .count = count, .word = word };
    return TACET_OK;
}

void bits_free(bits *b)
{
    free(b->word);
    *b = (bits){ 0 };
}

bool bits_get(const bits *b, uint32_t i)
{
    assert(i < b->count);
    return b->word[i / 64] >> (i % 64) & 1;
}

bool bits_put(bits *b, uint32_t i)
{
    if (bits_get(b, i))
        return false;
    b->word[i / 64] |= UINT64_C(1) << (i % 64);
    b->set++;
    return true;
}

void bits_clear(bits *b)
{
    memset(b->word, 0, words_for(b->count) * sizeof *b->word);
    b->set = 0;
}

uint32_t bits_next_zero(const bits *b, uint32_t from)
{
    while (from < b->count) {
        uint64_t free_bits = ~b->word[from / 64] >> (from % 64);
        if (free_bits) {
            uint32_t at = from + (uint32_t)__builtin_ctzll(free_bits);
            return at < b->count ? at : b->count;
        }
        from = (from / 64 + 1) * 64;
    }
    return b->count;
}

int bits_from_wire(bits *b, uint32_t first, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] && (uint64_t)first + 8 * i + 7 - (unsigned)(__builtin_clz(bytes[i]) - 24) >= b->count)
            return TACET_E_MALFORMED;
    for (size_t i = 0; i < n; i++)
        for (unsigned j = 0; j < 8; j++)
            if (bytes[i] >> j & 1)
                bits_put(b, first + (uint32_t)(8 * i) + j);
    return TACET_OK;
}

size_t bits_to_wire(const bits *b, uint32_t first, uint8_t *out, size_t room)
{
    size_t used = 0;
    assert(first % 8 == 0);
    for (size_t i = 0; i < room && first + 8 * i < b->count; i++) {
        uint32_t at = first + (uint32_t)(8 * i);
        out[i] = (uint8_t)(b->word[at / 64] >> (at % 64));
        if (out[i])
            used = i + 1;
    }
    return used;
}
