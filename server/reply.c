/* server/reply.c: see reply.h. The texts of errors stand here; they name nobody and nothing. */
#include "server/reply.h"
#include "base/writer.h"
#include <stdlib.h>
#include <string.h>

size_t reply_into(const frame *f, uint8_t *out, size_t room)
{
    size_t n = 0;
    if (room < TACET_FRAME_HEAD_BYTES || frame_encode(f, out + TACET_FRAME_HEAD_BYTES, room - TACET_FRAME_HEAD_BYTES, &n) != TACET_OK)
        return 0;
    writer w = writer_over(out, TACET_FRAME_HEAD_BYTES);
    write_be(&w, n, TACET_FRAME_HEAD_BYTES);
    return TACET_FRAME_HEAD_BYTES + n;
}

int reply_encode(const frame *f, uint8_t **out, size_t *out_bytes)
{
    size_t room = 512;
    for (; room <= 2 * TACET_FRAME_MAX_BYTES; room *= 4) {
        uint8_t *bytes = malloc(room);
        if (!bytes)
            return TACET_E_NOMEM;
        size_t n = reply_into(f, bytes, room);
        if (n) {
            *out = bytes;
            *out_bytes = n;
            return TACET_OK;
        }
        free(bytes);
    }
    return TACET_E_BUG;
}

static const char *const texts[] = {
    [ERROR_MALFORMED] = "the request is malformed",
    [ERROR_UNKNOWN_REQUEST] = "no such request",
    [ERROR_REFUSED] = "refused",
    [ERROR_QUOTA] = "a quota is used up",
    [ERROR_RATE] = "too many of these; try again later",
    [ERROR_NAME_TAKEN] = "the name belongs to somebody else",
    [ERROR_NOT_FOUND] = "not found",
    [ERROR_NOT_REGISTERED] = "this device is not registered here",
    [ERROR_REGISTRATION_CLOSED] = "this relay takes no new accounts",
    [ERROR_INVITE] = "this relay wants an invitation, and this is none that is valid",
    [ERROR_STALE_DEVICE] = "the device is gone; fetch the device lists",
    [ERROR_STALE_LIST] = "there is a newer device list; fetch it",
    [ERROR_TOO_LARGE] = "too large",
    [ERROR_STOPPING] = "the relay is stopping",
    [ERROR_INTERNAL] = "the relay could not do it",
    [ERROR_EXPIRED] = "expired",
    [ERROR_WRONG_ROLE] = "not on this kind of connection",
    [ERROR_EXISTS] = "exists already",
};

size_t reply_error(uint32_t id, error_code code, uint8_t out[REPLY_ERROR_MAX_BYTES])
{
    const char *text = texts[code];
    frame f = { .kind = FRAME_ERROR, .id = id };
    f.error.code = (uint16_t)code;
    f.error.cls = (uint8_t)error_class_of(code);
    f.error.text = (view){ (const uint8_t *)text, strlen(text) };
    return reply_into(&f, out, REPLY_ERROR_MAX_BYTES);
}
