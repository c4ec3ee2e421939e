#include "base/status.h"
#include <stddef.h>

const char *tacet_status_word(int status)
{
    static const struct {
        int status;
        const char *word;
    } row[] = {
        { TACET_OK, "ok" },
        { TACET_E_MALFORMED, "malformed" },
        { TACET_E_VERSION, "version" },
        { TACET_E_FORGED, "forged" },
        { TACET_E_REPLAY, "replay" },
        { TACET_E_GAP, "gap" },
        { TACET_E_QUOTA, "quota" },
        { TACET_E_RATE, "rate" },
        { TACET_E_KEY, "key" },
        { TACET_E_EXPIRED, "expired" },
        { TACET_E_FORK, "fork" },
        { TACET_E_NOT_FOUND, "not-found" },
        { TACET_E_EXISTS, "exists" },
        { TACET_E_PASSPHRASE, "passphrase" },
        { TACET_E_REFUSED, "refused" },
        { TACET_E_AGAIN, "again" },
        { TACET_E_TRANSPORT, "transport" },
        { TACET_E_HANDSHAKE, "handshake" },
        { TACET_E_BUSY, "busy" },
        { TACET_E_NEWER, "newer" },
        { TACET_E_NOMEM, "out-of-memory" },
        { TACET_E_IO, "io" },
        { TACET_E_FULL, "disk-full" },
        { TACET_E_CORRUPT, "damaged" },
        { TACET_E_LOCKING, "memory-locking" },
        { TACET_E_BUG, "internal" },
        { TACET_E_READONLY, "read-only" },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].status == status)
            return row[i].word;
    return "unknown";
}
