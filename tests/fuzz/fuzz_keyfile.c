/* P04: a key file. Its checksum would stop all but the seeds, so it is set right first (BLAKE2b over what comes before it). What is accepted is written
 * the same way again. */
#include "fuzz.h"
#include "identity/keyfile.h"
#include <sodium.h>

static void decode(const uint8_t *bytes, size_t n)
{
    uint8_t out[TACET_KEYFILE_MAX_BYTES];
    size_t out_bytes = 0;
    keyfile *k = NULL;
    int rc = keyfile_decode(&k, bytes, n);
    PROMISE(rc >= 0 || rc == TACET_E_CORRUPT || rc == TACET_E_NOMEM || rc == TACET_E_NEWER);
    if (rc == TACET_OK) {
        int encoded = keyfile_encode(k, out, &out_bytes);
        PROMISE(encoded == TACET_OK || encoded == TACET_E_REFUSED);
        PROMISE(encoded != TACET_OK || (out_bytes == n && memcmp(out, bytes, n) == 0));
    }
    keyfile_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    uint8_t copy[TACET_KEYFILE_MAX_BYTES + 64];
    if (n > sizeof copy)
        return 0;
    decode(bytes, n);
    if (n < 32)
        return 0;
    memcpy(copy, bytes, n);
    crypto_generichash(copy + n - 32, 32, copy, n - 32, NULL, 0);
    decode(copy, n);
    return 0;
}
