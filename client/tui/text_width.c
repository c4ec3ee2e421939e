#include "text_width.h"
#include "harmless.h"
#include <stdint.h>

enum { REPLACEMENT = 0xfffd, DOTTED_CIRCLE = 0x25cc, ZWJ = 0x200d, VS1 = 0xfe00, VS16 = 0xfe0f, TONE_FIRST = 0x1f3fb, TONE_LAST = 0x1f3ff };

/* One code point at text[0..n); bytes that are not UTF-8 count as U+FFFD, one by one. */
static uint32_t point_at(const uint8_t *text, size_t n, size_t *bytes)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t lead = text[0];
    size_t length = lead < 0x80 ? 1 : (lead & 0xe0) == 0xc0 ? 2 : (lead & 0xf0) == 0xe0 ? 3 : (lead & 0xf8) == 0xf0 ? 4 : 0;
    *bytes = 1;
    if (length < 2)
        return length ? lead : REPLACEMENT;
    if (length > n)
        return REPLACEMENT;
    uint32_t p = lead & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return REPLACEMENT;
        p = p << 6 | (text[i] & 0x3f);
    }
    if (p < least[length] || p > 0x10ffff || (p >= 0xd800 && p <= 0xdfff))
        return REPLACEMENT;
    *bytes = length;
    return p;
}

/* -1: must not be drawn. */
static int width_of(uint32_t p) { return harmless_hides(p) ? -1 : wcwidth((wchar_t)p); }
/* Belongs to what is before it, and is not drawn. */
static bool unseen(uint32_t p, int columns_before)
{
    return p == ZWJ || (p >= VS1 && p <= VS16) || (p >= TONE_FIRST && p <= TONE_LAST && columns_before == 2);
}

cluster cluster_at(const char *text, size_t n)
{
    const uint8_t *in = (const uint8_t *)text;
    cluster c = { .columns = 1 };
    size_t shown = 0, bytes = 0;
    uint32_t base = point_at(in, n, &c.bytes);
    int width = width_of(base);
    if (width == 0 || unseen(base, 0)) {
        c.shown[shown++] = DOTTED_CIRCLE;
        if (!unseen(base, 0))
            c.shown[shown++] = (wchar_t)base;
    } else {
        c.shown[shown++] = width < 0 ? REPLACEMENT : (wchar_t)base;
        c.columns = width == 2 ? 2 : 1;
    }
    while (c.bytes < n && width >= 0) {
        uint32_t next = point_at(in + c.bytes, n - c.bytes, &bytes);
        if (!unseen(next, c.columns)) {
            if (width_of(next) != 0 || shown == CLUSTER_POINTS_MAX)
                break;
            c.shown[shown++] = (wchar_t)next;
        }
        c.bytes += bytes;
    }
    c.shown[shown] = L'\0';
    return c;
}

size_t text_columns(const char *text, size_t n)
{
    size_t columns = 0;
    for (size_t i = 0; i < n;) {
        cluster c = cluster_at(text + i, n - i);
        columns += (size_t)c.columns;
        i += c.bytes;
    }
    return columns;
}

size_t text_fit(const char *text, size_t n, size_t columns)
{
    size_t i = 0;
    while (i < n) {
        cluster c = cluster_at(text + i, n - i);
        if ((size_t)c.columns > columns)
            break;
        columns -= (size_t)c.columns;
        i += c.bytes;
    }
    return i;
}

bool text_middle(const char *text, size_t n, size_t columns, size_t *from, size_t *to)
{
    size_t end = 0, left = text_columns(text, n);
    if (left <= columns)
        return false;
    while (left > columns / 2) {
        cluster c = cluster_at(text + end, n - end);
        left -= (size_t)c.columns;
        end += c.bytes;
    }
    *from = text_fit(text, n, columns - 1 - left);
    *to = end;
    return true;
}

/* Clusters are found from the front only; a newline is always one of its own, so its line is front enough. */
size_t cluster_before(const char *text, size_t at)
{
    size_t line = at;
    if (at == 0)
        return 0;
    if (text[at - 1] == '\n')
        return at - 1;
    while (line > 0 && text[line - 1] != '\n')
        line--;
    for (size_t i = line;;) {
        cluster c = cluster_at(text + i, at - i);
        if (i + c.bytes >= at)
            return i;
        i += c.bytes;
    }
}
