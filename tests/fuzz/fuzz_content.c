/* P04: whatever content_decode accepts has exactly one form: encoding gives the same bytes. */
#include "fuzz.h"
#include "protocol/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static content c;
    static uint8_t out[TACET_CONTENT_PADDED_MAX_BYTES];
    size_t out_bytes = 0;
    int rc = content_decode(&c, bytes, n);
    PROMISE(rc == TACET_OK || rc == TACET_E_MALFORMED);
    if (rc != TACET_OK)
        return 0;
    PROMISE(content_encode(&c, out, sizeof out, &out_bytes) == TACET_OK);
    PROMISE(out_bytes == n && memcmp(out, bytes, n) == 0);
    return 0;
}
