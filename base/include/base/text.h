/* base/text.h: base32 (RFC 4648, lower case, no padding, spare bits zero) and hex, both strict: one text for each byte string.
 * Neither is used on secrets that must not leak through timing, except tokens in links, which a person types anyway. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that n bytes take, without the NUL. */
#define BASE32_CHARS(n) (((n)*8 + 4) / 5)

/* out has room for BASE32_CHARS(n) + 1. */
void base32_encode(char *out, const uint8_t *bytes, size_t n);
/* Exactly n bytes from exactly BASE32_CHARS(n) characters. TACET_E_MALFORMED on any other length, an upper-case or foreign letter, or spare bits:
 * out then is rubbish. So below. */
TACET_MUST_USE int base32_decode(uint8_t *out, size_t n, const char *text, size_t chars);

void hex_encode(char *out, const uint8_t *bytes, size_t n); /* out: 2n + 1 */
TACET_MUST_USE int hex_decode(uint8_t *out, size_t n, const char *text, size_t chars);

/* True for well-formed UTF-8 without NUL: no overlong forms, surrogates, or code points above U+10FFFF. */
bool utf8_valid(const uint8_t *bytes, size_t n);
#endif
