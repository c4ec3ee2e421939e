#include "pack_reader.h"
#include "base/text.h"

/* How each type begins: a range of single bytes that carry a small number in themselves (mask 0: none), then codes with 1, 2, 4 … bytes of length. */
static const struct {
    uint8_t fix, mask, code, first_width, last_width;
} form[PACK_TYPES] = {
    [PACK_UINT] = { 0x00, 0x80, 0xcc, 1, 8 },  [PACK_STR] = { 0xa0, 0xe0, 0xd9, 1, 4 }, [PACK_BIN] = { 0x00, 0x00, 0xc4, 1, 4 },
    [PACK_ARRAY] = { 0x90, 0xf0, 0xdc, 2, 4 }, [PACK_MAP] = { 0x80, 0xf0, 0xde, 2, 4 },
};

static bool is_fix(pack_type type, uint8_t lead) { return form[type].mask && (lead & form[type].mask) == form[type].fix; }

/* Bytes of length behind `lead`; 0 when it is no code of this type. */
static unsigned width_of(pack_type type, uint8_t lead)
{
    uint8_t code = form[type].code;
    for (unsigned width = form[type].first_width; width <= form[type].last_width; width *= 2, code++)
        if (lead == code)
            return width;
    return 0;
}

/* The least number that needs this width: anything below has a shorter form. */
static uint64_t least_of(pack_type type, unsigned width)
{
    if (width > form[type].first_width)
        return UINT64_C(1) << (8 * width / 2);
    return form[type].mask ? (uint64_t)(uint8_t)~form[type].mask + 1 : 0;
}

uint64_t pack_head(reader *r, pack_type type)
{
    uint8_t lead = (uint8_t)read_be(r, 1);
    uint64_t n = 0;
    if (is_fix(type, lead)) {
        n = lead & (uint8_t)~form[type].mask;
    } else {
        unsigned width = width_of(type, lead);
        n = read_be(r, width);
        if (!width || n < least_of(type, width))
            r->bad = true;
    }
    uint64_t needs = type == PACK_UINT ? 0 : n;
    if (type == PACK_MAP)
        needs = 2 * n; /* n is below 2^32: each pair is two values, each value at least a byte */
    if (needs > reader_left(r))
        r->bad = true;
    return r->bad ? 0 : n;
}

static uint64_t bounded(reader *r, uint64_t n, uint64_t min, uint64_t max)
{
    if (n < min || n > max)
        r->bad = true;
    return r->bad ? 0 : n;
}

uint64_t pack_uint(reader *r, uint64_t min, uint64_t max) { return bounded(r, pack_head(r, PACK_UINT), min, max); }
uint32_t pack_array(reader *r, uint32_t min, uint32_t max) { return (uint32_t)bounded(r, pack_head(r, PACK_ARRAY), min, max); }
uint32_t pack_map(reader *r, uint32_t max) { return (uint32_t)bounded(r, pack_head(r, PACK_MAP), 0, max); }

static view pack_bytes(reader *r, pack_type type, size_t min, size_t max)
{
    size_t n = (size_t)bounded(r, pack_head(r, type), min, max);
    const uint8_t *at = read_view(r, n);
    return at ? (view){ at, n } : (view){ NULL, 0 };
}

view pack_bin(reader *r, size_t min, size_t max) { return pack_bytes(r, PACK_BIN, min, max); }

view pack_str(reader *r, size_t min, size_t max)
{
    view v = pack_bytes(r, PACK_STR, min, max);
    if (v.bytes && !utf8_valid(v.at, v.bytes)) {
        r->bad = true;
        return (view){ NULL, 0 };
    }
    return v;
}

static pack_type type_of(uint8_t lead)
{
    for (pack_type t = PACK_UINT; t < PACK_TYPES; t++)
        if (is_fix(t, lead) || width_of(t, lead))
            return t;
    return PACK_TYPES;
}

/* The recursion ends at `depth`, which callers start at TACET_MSGPACK_DEPTH_MAX or less. A loop ends as soon as the reader is bad. */
static void walk(reader *r, unsigned depth) // NOLINT(misc-no-recursion)
{
    pack_type type = reader_left(r) ? type_of(*r->at) : PACK_TYPES;
    if (type == PACK_TYPES || ((type == PACK_ARRAY || type == PACK_MAP) && !depth)) {
        r->bad = true;
        return;
    }
    if (type == PACK_STR) {
        pack_str(r, 0, SIZE_MAX);
        return;
    }
    uint64_t n = pack_head(r, type), before = 0;
    if (type == PACK_BIN)
        read_view(r, (size_t)n);
    for (uint64_t i = 0; i < n && !r->bad && type == PACK_ARRAY; i++)
        walk(r, depth - 1);
    for (uint64_t i = 0; i < n && !r->bad && type == PACK_MAP; i++) {
        uint64_t key = pack_head(r, PACK_UINT);
        if (i && key <= before)
            r->bad = true;
        before = key;
        walk(r, depth - 1);
    }
}

view pack_any(reader *r, unsigned depth)
{
    const uint8_t *start = r->at;
    walk(r, depth);
    return r->bad ? (view){ NULL, 0 } : (view){ start, (size_t)(r->at - start) };
}

view pack_any_map(reader *r, unsigned depth)
{
    reader ahead = *r;
    pack_head(&ahead, PACK_MAP);
    if (ahead.bad)
        r->bad = true;
    return pack_any(r, depth);
}
