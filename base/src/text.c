#include "base/text.h"
#include <string.h>

static const char base32_letters[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char hex_letters[] = "0123456789abcdef";

void base32_encode(char *out, const uint8_t *bytes, size_t n)
{
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < n; i++) {
        held = held << 8 | bytes[i];
        for (bits += 8; bits >= 5; bits -= 5)
            *out++ = base32_letters[held >> (bits - 5) & 31];
    }
    if (bits)
        *out++ = base32_letters[held << (5 - bits) & 31];
    *out = '\0';
}

int base32_decode(uint8_t *out, size_t n, const char *text, size_t chars)
{
    if (chars != BASE32_CHARS(n))
        return TACET_E_MALFORMED;
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < chars; i++) {
        const char *at = text[i] ? strchr(base32_letters, text[i]) : NULL;
        if (!at)
            return TACET_E_MALFORMED;
        held = held << 5 | (uint32_t)(at - base32_letters);
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (uint8_t)(held >> bits);
        }
    }
    return held & ((1U << bits) - 1) ? TACET_E_MALFORMED : TACET_OK;
}

void hex_encode(char *out, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *out++ = hex_letters[bytes[i] >> 4];
        *out++ = hex_letters[bytes[i] & 15];
    }
    *out = '\0';
}

int hex_decode(uint8_t *out, size_t n, const char *text, size_t chars)
{
    if (chars != 2 * n)
        return TACET_E_MALFORMED;
    for (size_t i = 0; i < chars; i++) {
        const char *at = text[i] ? strchr(hex_letters, text[i]) : NULL;
        if (!at)
            return TACET_E_MALFORMED;
        unsigned v = (unsigned)(at - hex_letters);
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | v : v << 4);
    }
    return TACET_OK;
}

/* How many continuation bytes follow `lead`, and the smallest code point they may spell; -1: not a lead byte. */
static int utf8_tail(uint8_t lead, uint32_t *least, uint32_t *start)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least;
    } form[] = { { 0x80, 0x00, 1 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };
    for (int i = 0; i < 4; i++)
        if ((lead & form[i].mask) == form[i].lead) {
            *least = form[i].least;
            *start = lead & (uint8_t)~form[i].mask;
            return i;
        }
    return -1;
}

bool utf8_valid(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t least = 0, point = 0;
        int tail = utf8_tail(bytes[i++], &least, &point);
        if (tail < 0 || n - i < (size_t)tail)
            return false;
        for (; tail > 0; tail--, i++) {
            if ((bytes[i] & 0xc0) != 0x80)
                return false;
            point = point << 6 | (bytes[i] & 0x3f);
        }
        if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
    }
    return true;
}
