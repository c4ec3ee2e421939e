/* The bounded reader: one form for each value, nothing beyond the bytes that are there, no memory. */
#include "pack_reader.h"
#include "protocol/content.h"
#include "vectors.h"

/* ---- P03: every number in every form that can hold it; only the shortest is accepted ------------------------------------------------ */

static const struct {
    pack_type type;
    uint8_t fix, fix_max; /* fix_max 0 with fix 0 and bin: no fix form */
    struct {
        uint8_t code, width;
    } forms[4];
} made[] = {
    { PACK_UINT, 0x00, 127, { { 0xcc, 1 }, { 0xcd, 2 }, { 0xce, 4 }, { 0xcf, 8 } } },
    { PACK_STR, 0xa0, 31, { { 0xd9, 1 }, { 0xda, 2 }, { 0xdb, 4 } } },
    { PACK_BIN, 0x00, 0, { { 0xc4, 1 }, { 0xc5, 2 }, { 0xc6, 4 } } },
    { PACK_ARRAY, 0x90, 15, { { 0xdc, 2 }, { 0xdd, 4 } } },
    { PACK_MAP, 0x80, 15, { { 0xde, 2 }, { 0xdf, 4 } } },
};
static const uint64_t numbers[] = {
    0,         1,     2,     14,    15,      16,         17,         30,         31,         32,          33,
    126,       127,   128,   129,   254,     255,        256,        257,        1000,       32767,       32768,
    65534,     65535, 65536, 65537, 1 << 20, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x100000000, UINT64_MAX - 1,
    UINT64_MAX
};

/* Behind the head: as many bytes as the value needs at least, up to what the buffer holds. */
static int accepts(pack_type type, const uint8_t *head, size_t head_bytes, uint64_t n, size_t behind)
{
    static uint8_t buf[16 + 3 * 65537];
    memcpy(buf, head, head_bytes);
    reader r = reader_over(buf, head_bytes + behind);
    uint64_t got = pack_head(&r, type);
    ck_assert(r.bad ? got == 0 : got == n);
    return !r.bad;
}

static size_t head_with(uint8_t out[9], uint8_t code, unsigned width, uint64_t n)
{
    out[0] = code;
    for (unsigned i = width; i-- > 0; n >>= 8)
        out[1 + i] = (uint8_t)n;
    return 1 + width;
}

START_TEST(P03_only_the_shortest_form)
{
    pack_type type = made[_i].type;
    for (size_t k = 0; k < ROWS(numbers); k++) {
        uint64_t n = numbers[k], needs = type == PACK_UINT ? 0 : type == PACK_MAP ? 2 * n : n;
        bool fits_buffer = needs <= 2 * 65537, shorter = false;
        uint8_t head[9];
        if (type != PACK_BIN && n <= made[_i].fix_max) {
            head[0] = (uint8_t)(made[_i].fix | n);
            ck_assert(accepts(type, head, 1, n, needs));
            ck_assert(!needs || !accepts(type, head, 1, n, needs - 1));
            shorter = true;
        }
        for (size_t f = 0; f < 4 && made[_i].forms[f].width; f++) {
            unsigned width = made[_i].forms[f].width;
            if (width < 8 && n >> (8 * width))
                continue;
            size_t bytes = head_with(head, made[_i].forms[f].code, width, n);
            ck_assert_msg(accepts(type, head, bytes, n, fits_buffer ? needs : 65537) == (!shorter && fits_buffer), "type %d, %llu in %u bytes", type,
                          (unsigned long long)n, width);
            for (size_t cut = 0; cut < bytes; cut++) { /* the head itself cut short */
                reader r = reader_over(head, cut);
                pack_head(&r, type);
                ck_assert(r.bad);
            }
            if (!shorter && fits_buffer && needs)
                ck_assert(!accepts(type, head, bytes, n, needs - 1)); /* a count above the bytes left */
            shorter = true;
        }
    }
}
END_TEST

/* Each first byte, with plenty of zeros behind: which values begin like that. */
START_TEST(P03_every_first_byte)
{
    uint8_t bytes[64] = { (uint8_t)_i };
    bool allowed = _i <= 0x7f || (_i >= 0x80 && _i <= 0x81)    /* positive number; a map of none or one (more would repeat key 0) */
                   || (_i >= 0x90 && _i <= 0x9f) || _i == 0xa0 /* array; the empty string (NUL bytes are no text) */
                   || _i == 0xc4;                              /* bin of none; all longer forms of 0 are not the shortest */
    reader r = reader_over(bytes, sizeof bytes);
    view v = pack_any(&r, TACET_MSGPACK_DEPTH_MAX);
    ck_assert_msg(!r.bad == allowed, "%02x", _i);
    ck_assert(r.bad || (v.at == bytes && v.bytes >= 1));
}
END_TEST

static const struct {
    const char *what, *hex;
    bool ok;
} row[] = {
    { "nil", "c0", false },
    { "never used", "c1", false },
    { "false", "c2", false },
    { "true", "c3", false },
    { "float32 1.0", "ca3f800000", false },
    { "float32 NaN", "ca7fc00000", false },
    { "float64 NaN", "cb7ff8000000000000", false },
    { "float64 infinity", "cb7ff0000000000000", false },
    { "int8 1", "d001", false },
    { "int16 -1", "d1ffff", false },
    { "int64 min", "d38000000000000000", false },
    { "negative fixint", "e0", false },
    { "fixext 1", "d40100", false },
    { "fixext 16", "d80100000000000000000000000000000000", false },
    { "ext 8", "c70101ff", false },
    { "timestamp 32", "d6ff00000000", false },
    { "ext 32 of 4 GiB", "c9ffffffff01", false },
    { "two keys ascending", "8200010101", true },
    { "two keys descending", "8201010001", false },
    { "the same key twice", "8201010101", false },
    { "str key", "81a16100", false },
    { "bin key", "81c4016100", false },
    { "array as key", "819000", false },
    { "key not shortest", "81cc0100", false },
    { "map without its last value", "82010102", false },
    { "array in array", "92019101", true },
    { "text", "a3c3a461", true },
    { "text cut in a letter", "a1c3", false },
    { "text, overlong slash", "a2c0af", false },
    { "text, surrogate", "a3eda080", false },
    { "text, above U+10FFFF", "a4f4908080", false },
    { "text with NUL", "a3610062", false },
    { "text inside a map", "8101a2c0af", false },
    { "bin with anything", "c403c0af00", true },
    { "uint64 max", "cfffffffffffffffff", true },
};
START_TEST(P03_hand_written_forms)
{
    uint8_t bytes[64];
    size_t n = strlen(row[_i].hex) / 2;
    ck_assert_int_eq(hex_decode(bytes, n, row[_i].hex, 2 * n), TACET_OK);
    reader r = reader_over(bytes, n);
    pack_any(&r, TACET_MSGPACK_DEPTH_MAX);
    ck_assert_msg(reader_done(&r) == row[_i].ok, "%s", row[_i].what);
    for (size_t cut = 0; cut < n; cut++) {
        r = reader_over(bytes, cut);
        pack_any(&r, TACET_MSGPACK_DEPTH_MAX);
        ck_assert_msg(r.bad, "%s cut at %zu", row[_i].what, cut);
    }
}
END_TEST

/* ---- P01, P02: depth and announced sizes cost nothing --------------------------------------------------------------------------------- */

static long vm_peak_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "VmPeak:", 7))
            kib = strtol(line + 7, NULL, 10);
    fclose(f);
    ck_assert_int_gt(kib, 0);
    return kib;
}

/* Every decoder must refuse these bytes without asking the system for memory. */
static void refused_by_all(const uint8_t *bytes, size_t n)
{
    static frame f;
    static content c;
    reader r = reader_over(bytes, n);
    pack_any(&r, TACET_MSGPACK_DEPTH_MAX);
    ck_assert(r.bad);
    ck_assert_int_eq(frame_decode(&f, bytes, n), TACET_E_MALFORMED);
    ck_assert_int_eq(content_decode(&c, bytes, n), TACET_E_MALFORMED);
}

START_TEST(P01_depth)
{
    static uint8_t bytes[2 * 100000 + 1];
    static const struct {
        size_t depth;
        bool map;
    } deep[] = { { 5, false }, { 33, false }, { 100000, false }, { 5, true }, { 33, true }, { 100000, true } };
    long before = vm_peak_kib();
    for (size_t k = 0; k < ROWS(deep); k++) {
        size_t n = 0;
        for (size_t i = 0; i < deep[k].depth; i++) {
            bytes[n++] = deep[k].map ? 0x81 : 0x91;
            if (deep[k].map)
                bytes[n++] = 0x01;
        }
        bytes[n++] = 0x00;
        refused_by_all(bytes, n);
    }
    reader four = reader_over((const uint8_t *)"\x91\x91\x91\x91\x00", 5);
    pack_any(&four, TACET_MSGPACK_DEPTH_MAX);
    ck_assert(reader_done(&four)); /* four is allowed */
    ck_assert_int_lt(vm_peak_kib() - before, 1024);
}
END_TEST

START_TEST(P02_announced_counts_are_not_believed)
{
    uint8_t nested[96], huge[] = { 0xdd, 0xff, 0x00, 0x00, 0x00 };
    for (size_t i = 0; i < sizeof nested; i++)
        nested[i] = i % 3 ? 0xff : 0xdc;
    static const uint8_t lead[] = { 0xdd, 0xdf, 0xdb, 0xc6 }; /* array, map, str, bin of 4 billion */
    static const pack_type type[] = { PACK_ARRAY, PACK_MAP, PACK_STR, PACK_BIN };
    long before = vm_peak_kib();
    refused_by_all(huge, sizeof huge);
    refused_by_all(nested, sizeof nested);
    for (size_t k = 0; k < sizeof lead; k++) {
        uint8_t outer[] = { lead[k], 0xff, 0xff, 0xff, 0xff, 0, 0, 0 };
        uint8_t inside[] = { 0x93, 0x07, 0x01, lead[k], 0xff, 0xff, 0xff, 0xff, 0, 0 }; /* as the field of `ack` */
        refused_by_all(outer, sizeof outer);
        refused_by_all(inside, sizeof inside);
        reader r = reader_over(outer, sizeof outer);
        ck_assert_uint_eq(pack_head(&r, type[k]), 0); /* by its head already, before anybody counts to four billion */
        ck_assert(r.bad);
    }
    ck_assert_int_lt(vm_peak_kib() - before, 1024);
}
END_TEST

SUITE("pack", LOOP(P03_only_the_shortest_form, ROWS(made)), LOOP(P03_every_first_byte, 256), LOOP(P03_hand_written_forms, ROWS(row)), TEST(P01_depth),
      TEST(P02_announced_counts_are_not_believed))
