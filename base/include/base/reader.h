/* base/reader.h: one cursor over bytes that a stranger wrote. Running off the end is remembered, reads then give zeros, and one question
 * at the end (reader_done) catches short, long and lying lengths. It never copies and never allocates. Integers are big-endian. */
#ifndef BASE_READER_H
#define BASE_READER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *at, *end;
    bool bad;
} reader;

static inline reader reader_over(const uint8_t *bytes, size_t n) { return (reader){ bytes, n ? bytes + n : bytes, false }; }
static inline size_t reader_left(const reader *r) { return r->bad ? 0 : (size_t)(r->end - r->at); }
/* True when everything was read, and nothing beyond it. */
static inline bool reader_done(const reader *r) { return !r->bad && r->at == r->end; }

/* The next n bytes in place; NULL (and bad) when there are fewer. */
static inline const uint8_t *read_view(reader *r, size_t n)
{
    if (r->bad || (size_t)(r->end - r->at) < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    if (n)
        r->at += n;
    return p;
}
/* Copies n bytes; zeros when there are fewer. */
static inline void read_into(reader *r, uint8_t *out, size_t n)
{
    const uint8_t *p = read_view(r, n);
    if (!n)
        return;
    if (p)
        memcpy(out, p, n);
    else
        memset(out, 0, n);
}
/* A big-endian integer of 1 to 8 bytes. */
static inline uint64_t read_be(reader *r, size_t bytes)
{
    const uint8_t *p = read_view(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; p && i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}
#endif
