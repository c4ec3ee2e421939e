#include "fields.h"
#include "base/text.h"
#include "pack_reader.h"
#include <msgpack.h>

/* ---- writing --------------------------------------------------------------------------------------------------------------------- */

static int into_writer(void *ctx, const char *bytes, size_t n)
{
    writer *w = ctx;
    write_bytes(w, bytes, n);
    return writer_ok(w) ? 0 : -1;
}

static msgpack_packer packer_over(writer *w)
{
    msgpack_packer p;
    msgpack_packer_init(&p, w, into_writer);
    return p;
}

void put_array(writer *w, size_t count)
{
    msgpack_packer p = packer_over(w);
    (void)msgpack_pack_array(&p, count); /* fails only when the writer is full, which the writer remembers; so below */
}

void put_map(writer *w, size_t count)
{
    msgpack_packer p = packer_over(w);
    (void)msgpack_pack_map(&p, count);
}

void put_uint(writer *w, uint64_t v)
{
    msgpack_packer p = packer_over(w);
    (void)msgpack_pack_uint64(&p, v);
}

static void put_bin(writer *w, view v)
{
    msgpack_packer p = packer_over(w);
    (void)msgpack_pack_bin(&p, v.bytes);
    write_bytes(w, v.at, v.bytes);
}

static void put_str(writer *w, view v)
{
    msgpack_packer p = packer_over(w);
    (void)msgpack_pack_str(&p, v.bytes);
    write_bytes(w, v.at, v.bytes);
}

static uint64_t load_uint(const void *at, unsigned width)
{
    union {
        uint8_t b;
        uint16_t h;
        uint32_t w;
        uint64_t d;
    } v = { .d = 0 };
    memcpy(&v, at, width);
    return width == 1 ? v.b : width == 2 ? v.h : width == 4 ? v.w : v.d;
}

static void store_uint(void *at, unsigned width, uint64_t v)
{
    uint8_t b = (uint8_t)v;
    uint16_t h = (uint16_t)v;
    uint32_t w = (uint32_t)v;
    memcpy(at, width == 1 ? (void *)&b : width == 2 ? (void *)&h : width == 4 ? (void *)&w : (void *)&v, width);
}

static bool fits(const field *f, size_t bytes) { return (f->or_none && !bytes) || (bytes >= f->min && bytes <= f->max); }

static bool put_bins(writer *w, const field *f, const view_list *list)
{
    if (list->count > FRAME_VIEWS_MAX || list->count < f->count_min)
        return false;
    put_array(w, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        if (!fits(f, list->item[i].bytes))
            return false;
        put_bin(w, list->item[i]);
    }
    return true;
}

static bool put_numbers(writer *w, const field *f, const number_list *list)
{
    if (list->count > FRAME_VIEWS_MAX || list->count < f->count_min)
        return false;
    put_array(w, list->count);
    for (uint32_t i = 0; i < list->count; i++)
        put_uint(w, list->item[i]);
    return true;
}

static bool put_field(writer *w, const void *base, const field *f)
{
    const void *at = (const uint8_t *)base + f->offset;
    const view *v = at;
    switch ((field_type)f->type) {
    case FIELD_UINT:
        put_uint(w, load_uint(at, f->width));
        return load_uint(at, f->width) >= f->min && load_uint(at, f->width) <= f->max;
    case FIELD_BIN:
        put_bin(w, *v);
        return fits(f, v->bytes);
    case FIELD_STR:
        put_str(w, *v);
        return fits(f, v->bytes) && (!v->bytes || utf8_valid(v->at, v->bytes));
    case FIELD_FIXED:
        put_bin(w, (view){ at, (size_t)f->max });
        return true;
    case FIELD_BINS:
        return put_bins(w, f, at);
    case FIELD_NUMBERS:
        return put_numbers(w, f, at);
    }
    return false;
}

int fields_put(writer *w, const void *base, const field *row, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        if (!put_field(w, base, &row[i]))
            return TACET_E_BUG;
    return TACET_OK;
}

static bool present(const void *base, const field *f)
{
    if (!f->or_none)
        return true;
    const view *v = (const void *)((const uint8_t *)base + f->offset);
    return v->bytes > 0;
}

int fields_put_pairs(writer *w, const void *base, const field *row, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        if (!present(base, &row[i]))
            continue;
        put_uint(w, row[i].key);
        if (!put_field(w, base, &row[i]))
            return TACET_E_BUG;
    }
    return TACET_OK;
}

int fields_put_map(writer *w, const void *base, const field *row, size_t rows)
{
    size_t pairs = 0;
    for (size_t i = 0; i < rows; i++)
        pairs += present(base, &row[i]);
    put_map(w, pairs);
    return fields_put_pairs(w, base, row, rows);
}

/* ---- reading --------------------------------------------------------------------------------------------------------------------- */

static view read_bin(reader *r, const field *f)
{
    view v = pack_bin(r, 0, (size_t)f->max);
    if (!fits(f, v.bytes))
        r->bad = true;
    return v;
}

static void read_bins(reader *r, const field *f, view_list *list)
{
    list->count = pack_array(r, f->count_min, FRAME_VIEWS_MAX);
    for (uint32_t i = 0; i < list->count && !r->bad; i++)
        list->item[i] = read_bin(r, f);
}

static void read_numbers(reader *r, const field *f, number_list *list)
{
    list->count = pack_array(r, f->count_min, FRAME_VIEWS_MAX);
    for (uint32_t i = 0; i < list->count && !r->bad; i++)
        list->item[i] = pack_uint(r, 0, UINT64_MAX);
}

static void read_field(reader *r, void *base, const field *f)
{
    void *at = (uint8_t *)base + f->offset;
    view *v = at, fixed;
    switch ((field_type)f->type) {
    case FIELD_UINT:
        store_uint(at, f->width, pack_uint(r, f->min, f->max));
        break;
    case FIELD_BIN:
        *v = read_bin(r, f);
        break;
    case FIELD_STR:
        *v = pack_str(r, f->min, (size_t)f->max);
        break;
    case FIELD_FIXED:
        fixed = pack_bin(r, f->min, (size_t)f->max);
        if (fixed.at)
            memcpy(at, fixed.at, fixed.bytes);
        break;
    case FIELD_BINS:
        read_bins(r, f, at);
        break;
    case FIELD_NUMBERS:
        read_numbers(r, f, at);
        break;
    }
}

void fields_read(reader *r, void *base, const field *row, size_t rows)
{
    for (size_t i = 0; i < rows && !r->bad; i++)
        read_field(r, base, &row[i]);
}

void fields_read_pairs(reader *r, void *base, const field *row, size_t rows, uint32_t pairs)
{
    uint64_t key = 0;
    bool held = false; /* a key that has been read and belongs to no row yet */
    for (size_t i = 0; i < rows && !r->bad; i++) {
        if (!held && pairs) {
            key = pack_uint(r, 0, UINT64_MAX);
            held = true;
            pairs--;
        }
        if (held && key == row[i].key) {
            read_field(r, base, &row[i]);
            held = false;
            if (!present(base, &row[i]))
                r->bad = true; /* nothing is said by leaving the key out, and only so */
        } else if (!row[i].or_none) {
            r->bad = true;
        }
    }
    if (pairs || held)
        r->bad = true; /* a key that nobody knows, one twice, or one out of order */
}

void fields_read_map(reader *r, void *base, const field *row, size_t rows)
{
    uint32_t pairs = pack_map(r, UINT8_MAX);
    fields_read_pairs(r, base, row, rows, pairs);
}
