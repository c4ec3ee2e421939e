#include "harmless.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t first, last;
} span;

/* Never written as they are. Unicode 16, Default_Ignorable_Code_Point and Bidi_Control, without the joiners and variation selectors that
 * scripts and emoji need (see allowed_here), with the line and paragraph separators, annotation marks, noncharacters and blank letters. */
static const span hidden[] = {
    { 0x00, 0x1f },     { 0x7f, 0x9f },       { 0xad, 0xad },       { 0x61c, 0x61c },     { 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },
    { 0x180b, 0x180f }, { 0x200b, 0x200b },   { 0x200e, 0x200f },   { 0x2028, 0x202e },   { 0x2060, 0x206f },   { 0x2800, 0x2800 },
    { 0x3164, 0x3164 }, { 0xd800, 0xdfff },   { 0xfdd0, 0xfdef },   { 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },
    { 0xfffe, 0xffff }, { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0x1fffe, 0x1ffff }, { 0xe0000, 0xe0fff }, { 0xf0000, 0x10ffff },
};

/* Marks that sit on the character before them. A few are language, a tower of them covers the neighbouring lines. */
static const span combining[] = {
    { 0x300, 0x36f }, { 0x483, 0x489 }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff }, { 0xfe20, 0xfe2f },
};
enum { MARKS_MAX = 4, CGJ = 0x34f, /* grapheme joiner, joiners, variation selectors: */ ZWNJ = 0x200c, ZWJ = 0x200d, VS1 = 0xfe00, VS16 = 0xfe0f };

static bool within(const span *table, size_t rows, uint32_t point)
{
    for (size_t i = 0; i < rows; i++)
        if (point >= table[i].first && point <= table[i].last)
            return true;
    return false;
}

bool harmless_hides(uint32_t point) { return within(hidden, sizeof hidden / sizeof *hidden, point) || point > 0x10ffff; }

/* One well-formed character at text[0..n), its length in *bytes; false: *bytes is 1 and that byte is no UTF-8. */
static bool character(uint32_t *point, size_t *bytes, const uint8_t *text, size_t n)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least;
    } form[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };
    *bytes = 1;
    *point = text[0];
    for (size_t tail = 0; tail < 4; tail++) {
        if ((text[0] & form[tail].mask) != form[tail].lead)
            continue;
        if (tail >= n)
            return false;
        uint32_t p = text[0] & (uint8_t)~form[tail].mask;
        for (size_t i = 1; i <= tail; i++) {
            if ((text[i] & 0xc0) != 0x80)
                return false;
            p = p << 6 | (text[i] & 0x3f);
        }
        if (p < form[tail].least || p > 0x10ffff || (p >= 0xd800 && p <= 0xdfff))
            return false;
        *point = p;
        *bytes = tail + 1;
        return true;
    }
    return false;
}

static bool pictogram(uint32_t p) { return (p >= 0x2190 && p <= 0x2bff) || (p >= 0x1f000 && p <= 0x1faff) || p == VS16; }
static bool joining_letter(uint32_t p) { return (p >= 0x600 && p <= 0xdff) || (p >= 0x1000 && p <= 0x109f) || (p >= 0x1780 && p <= 0x17ff); }

/* Joiners and variation selectors: meaning between the right neighbours, a trick anywhere else. */
static bool allowed_here(uint32_t point, uint32_t before, uint32_t after)
{
    if (point == ZWJ)
        return (pictogram(before) && pictogram(after)) || (joining_letter(before) && joining_letter(after));
    if (point == ZWNJ)
        return joining_letter(before) && joining_letter(after);
    if (point == VS16) /* emoji style: after a pictogram, or in a keycap */
        return before != VS16 && (pictogram(before) || before == 0xa9 || before == 0xae || before == 0x203c || before == 0x2049 || before == 0x2122 ||
                                  before == 0x2139 || before == 0x3030 || before == 0x303d || (after == 0x20e3 && before >= '#' && before <= '9'));
    if (point >= VS1 && point < VS16)
        return before >= 0x2190 && !(before >= VS1 && before <= VS16);
    return point != CGJ;
}

typedef struct {
    uint32_t before; /* the last character written as it is */
    unsigned marks;  /* combining marks in a row */
} place;

/* Whether `point` may be written as it is at this place. */
static bool shows_itself(place *at, uint32_t point, uint32_t after)
{
    bool mark = within(combining, sizeof combining / sizeof *combining, point);
    if (harmless_hides(point) || !allowed_here(point, at->before, after))
        return false;
    if (mark && (at->before == 0 || at->marks >= MARKS_MAX))
        return false;
    at->marks = mark ? at->marks + 1 : 0;
    at->before = point;
    return true;
}

typedef struct {
    uint32_t point, after; /* this character and the next one, 0 when there is none */
    size_t bytes;
    bool is_character;
} step;

static step look(const uint8_t *in, size_t n)
{
    step s = { 0 };
    size_t after_bytes = 0;
    s.is_character = character(&s.point, &s.bytes, in, n);
    if (s.bytes >= n || !character(&s.after, &after_bytes, in + s.bytes, n - s.bytes))
        s.after = 0;
    return s;
}

/* The shown form of what must not be written: never more than HARMLESS_ROOM of its bytes. */
static size_t escape(char *out, const step *s)
{
    size_t room = HARMLESS_ROOM(s->bytes);
    if (s->is_character && (s->point == '\n' || s->point == '\t'))
        return (size_t)snprintf(out, room, "%s", s->point == '\n' ? "\\n" : "\\t");
    return (size_t)snprintf(out, room, !s->is_character || s->point < 0x100 ? "\\x%02x" : "\\u{%x}", s->point);
}

/* Newline and tab of a text of many lines. False: nothing of the kind. */
static bool layout(char *out, size_t *len, const step *s, unsigned indent)
{
    if (s->point == '\n') {
        out[(*len)++] = '\n';
        memset(out + *len, ' ', indent);
        *len += indent;
        return true;
    }
    if (s->point == '\t') {
        memset(out + *len, ' ', 4);
        *len += 4;
        return true;
    }
    return s->point == '\r' && s->after == '\n'; /* the newline alone is enough */
}

size_t harmless_text(char *out, const char *text, size_t n, enum harmless_lines lines, unsigned indent)
{
    const uint8_t *in = (const uint8_t *)text;
    place at = { 0 };
    size_t len = 0;
    for (size_t i = 0; i < n;) {
        step s = look(in + i, n - i);
        if (lines == HARMLESS_MANY_LINES && layout(out, &len, &s, indent)) {
            at = (place){ 0 };
        } else if (s.is_character && shows_itself(&at, s.point, s.after)) {
            memcpy(out + len, in + i, s.bytes);
            len += s.bytes;
        } else {
            len += escape(out + len, &s);
            at = (place){ 0 };
        }
        i += s.bytes;
    }
    out[len] = '\0';
    return len;
}

char *harmless_copy(const char *text, enum harmless_lines lines, unsigned indent)
{
    size_t n = strlen(text), breaks = 0;
    for (size_t i = 0; i < n; i++)
        breaks += text[i] == '\n';
    char *out = malloc(HARMLESS_ROOM(n) + breaks * indent);
    if (out)
        harmless_text(out, text, n, lines, indent);
    return out;
}

char *harmless_json(const char *json)
{
    const uint8_t *in = (const uint8_t *)json;
    size_t n = strlen(json), len = 0;
    char *out = malloc(n * 6 + 1); /* one byte becomes \u00XX at most, more bytes become less each */
    if (!out)
        return NULL;
    place at = { 0 };
    for (size_t i = 0; i < n;) {
        step s = look(in + i, n - i);
        uint32_t p = s.is_character ? s.point : 0xfffd;
        if (s.is_character && shows_itself(&at, p, s.after)) {
            memcpy(out + len, in + i, s.bytes);
            len += s.bytes;
        } else if (p > 0xffff) {
            len += (size_t)snprintf(out + len, 13, "\\u%04x\\u%04x", 0xd7c0 + (p >> 10), 0xdc00 + (p & 0x3ff));
        } else {
            len += (size_t)snprintf(out + len, 7, "\\u%04x", p);
        }
        i += s.bytes;
    }
    out[len] = '\0';
    return out;
}
