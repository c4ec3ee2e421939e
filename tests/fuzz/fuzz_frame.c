/* P04: whatever frame_decode accepts has exactly one form: encoding gives the same bytes. */
#include "fuzz.h"
#include "protocol/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static frame f;
    static uint8_t out[TACET_FRAME_MAX_BYTES];
    size_t out_bytes = 0;
    int rc = frame_decode(&f, bytes, n);
    PROMISE(rc == TACET_OK || rc == TACET_E_MALFORMED || rc == TACET_E_NOT_FOUND);
    if (rc != TACET_OK)
        return 0;
    PROMISE(frame_encode(&f, out, sizeof out, &out_bytes) == TACET_OK);
    PROMISE(out_bytes == n && memcmp(out, bytes, n) == 0);
    return 0;
}
