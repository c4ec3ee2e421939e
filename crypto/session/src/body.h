/* session/body.h: what lies under a message's AEAD: PQ field | content, padded (ISO/IEC 7816-4) to one of seven sizes. */
#ifndef SESSION_BODY_H
#define SESSION_BODY_H
#include "pq.h"

typedef struct {
    pq_field pq;
    const uint8_t *content;
    size_t content_bytes;
} message_body;

/* The smallest size that holds n bytes and one byte of padding; 0: none does. */
size_t body_padded_bytes(size_t n);
bool body_is_padded_size(size_t n);
/* Pads buf, which has room for body_padded_bytes(n). */
void body_pad(uint8_t *buf, size_t n);
/* *out points into buf. TACET_E_FORGED. */
TACET_MUST_USE int body_parse(message_body *out, const uint8_t *buf, size_t padded_bytes);
#endif
