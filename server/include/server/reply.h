/* server/reply.h: frames from the relay, ready for the stream (with their length in front). */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H
#include "protocol/frame.h"

/* A frame of any size in memory that the caller frees. TACET_E_NOMEM, TACET_E_BUG. */
TACET_MUST_USE int reply_encode(const frame *f, uint8_t **out, size_t *out_bytes);
/* A frame into `room` bytes; 0 when it does not fit (ours to get right). */
size_t reply_into(const frame *f, uint8_t *out, size_t room);
/* Room that every error frame fits. */
enum { REPLY_ERROR_MAX_BYTES = 320 };
size_t reply_error(uint32_t id, error_code code, uint8_t out[REPLY_ERROR_MAX_BYTES]);
#endif
