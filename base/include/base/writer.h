/* base/writer.h: the counterpart of the reader: fills a buffer that the caller owns. Running out of room is remembered; nothing is written
 * past the end, and writer_bytes then is 0. Integers are big-endian. */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint8_t *start, *at, *end;
    bool bad;
} writer;

static inline writer writer_over(uint8_t *buf, size_t n) { return (writer){ buf, buf, buf + n, false }; }
static inline bool writer_ok(const writer *w) { return !w->bad; }
/* Bytes written so far; 0 when something did not fit. */
static inline size_t writer_bytes(const writer *w) { return w->bad ? 0 : (size_t)(w->at - w->start); }

/* Room for n bytes that the caller fills; NULL (and bad) when there is less. */
static inline uint8_t *write_room(writer *w, size_t n)
{
    if (w->bad || (size_t)(w->end - w->at) < n) {
        w->bad = true;
        return NULL;
    }
    uint8_t *p = w->at;
    w->at += n;
    __asm__("" : "+r"(p)); /* gcc 12 to 14 lose the bound that was just checked and warn of writes past the end that cannot be */
    return p;
}
static inline void write_bytes(writer *w, const void *bytes, size_t n)
{
    uint8_t *p = write_room(w, n);
    if (p && n)
        memcpy(p, bytes, n);
}
static inline void write_zeros(writer *w, size_t n)
{
    uint8_t *p = write_room(w, n);
    if (p && n)
        memset(p, 0, n);
}
static inline void write_be(writer *w, uint64_t v, size_t bytes)
{
    uint8_t *p = write_room(w, bytes);
    for (size_t i = bytes; p && i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
}
/* A label of PROTOCOL.md's table: the text and its NUL. */
#define write_label(w, literal) write_bytes((w), "" literal, sizeof(literal))
#endif
