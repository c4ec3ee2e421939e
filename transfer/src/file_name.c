#include "transfer/file_name.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { EXTENSION_MAX_BYTES = 16 };

/* One code point of well-formed UTF-8. */
static uint32_t code_point(const uint8_t *at, size_t left, size_t *bytes)
{
    size_t n = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (n > left)
        n = left;
    uint32_t c = n == 1 ? at[0] : at[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (at[i] & 0x3f);
    *bytes = n;
    return c;
}

/* Controls, line ends, directions, and what cannot be seen. */
static bool is_harmful(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } range[] = {
        { 0x00, 0x1f },     { 0x7f, 0x9f },     { 0xad, 0xad },     { 0x61c, 0x61c },   { 0x115f, 0x1160 }, { 0x180e, 0x180e }, { 0x200b, 0x200f },
        { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb }, { 0xe0000, 0xe0fff },
    };
    for (size_t i = 0; i < sizeof range / sizeof *range; i++)
        if (c >= range[i].first && c <= range[i].last)
            return true;
    return c == '\\' || c == '/';
}

/* Cut in the middle of nothing: at most `max` bytes, whole code points, the ending kept. */
static size_t cut(char *name, size_t n, size_t max)
{
    if (n <= max)
        return n;
    const char *dot = memrchr(name, '.', n);
    size_t ending = dot && dot > name && n - (size_t)(dot - name) <= EXTENSION_MAX_BYTES ? n - (size_t)(dot - name) : 0;
    size_t keep = max - ending;
    while (keep > 0 && ((uint8_t)name[keep] & 0xc0) == 0x80)
        keep--;
    if (ending)
        memmove(name + keep, dot, ending);
    return keep + ending;
}

void file_name_safe(char out[FILE_NAME_ROOM], const uint8_t *name, size_t n)
{
    const uint8_t *slash = n ? memrchr(name, '/', n) : NULL;
    size_t start = slash ? (size_t)(slash - name) + 1 : 0, used = 0;
    char kept[4 * FILE_NAME_ROOM];
    for (size_t at = start, bytes = 0; at < n && used + 4 < sizeof kept; at += bytes) {
        uint32_t c = code_point(name + at, n - at, &bytes);
        if (is_harmful(c)) {
            kept[used++] = '_';
        } else {
            memcpy(kept + used, name + at, bytes);
            used += bytes;
        }
    }
    while (used && (kept[used - 1] == ' ' || kept[used - 1] == '.'))
        used--;
    for (size_t i = 0; i < used && (kept[i] == '.' || kept[i] == '-' || kept[i] == ' ' || kept[i] == '~'); i++)
        kept[i] = '_';
    used = cut(kept, used, FILE_NAME_KEPT_MAX_BYTES);
    if (used == 0) {
        memcpy(kept, "file", 4);
        used = 4;
    }
    memcpy(out, kept, used);
    out[used] = '\0';
}

void file_name_numbered(char out[FILE_NAME_ROOM], const char *safe, unsigned number)
{
    const char *dot = strrchr(safe, '.');
    int stem = dot && dot > safe ? (int)(dot - safe) : (int)strlen(safe);
    if (number < 2)
        (void)snprintf(out, FILE_NAME_ROOM, "%s", safe);
    else
        (void)snprintf(out, FILE_NAME_ROOM, "%.*s-%u%s", stem, safe, number, safe + stem);
}

void file_name_part(char out[FILE_NAME_ROOM], const char *safe, const uint8_t *tag, size_t n)
{
    char hex[2 * FILE_NAME_TAG_BYTES + 1];
    hex_encode(hex, tag, n < FILE_NAME_TAG_BYTES ? n : FILE_NAME_TAG_BYTES);
    (void)snprintf(out, FILE_NAME_ROOM, ".%s.%s.part", safe, hex);
}
