/* P04: an envelope before anything in it is authenticated: its kind, the clear part of a first one, and what lies under the AEAD of a message (there the
 * sender is a contact, not a friend). */
#include "body.h"
#include "fuzz.h"
#include "session/agreement.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    unsigned kind = 0;
    first_envelope f;
    message_body b;
    int rc = envelope_kind(bytes, n, &kind), first = first_envelope_decode(&f, bytes, n);
    PROMISE(rc >= 0 && first >= 0);
    PROMISE(rc != TACET_OK || kind == 1 || kind == 2);
    PROMISE(first != TACET_OK || (f.kem_ciphertext > bytes && f.kem_ciphertext < bytes + n));
    if (body_is_padded_size(n) && body_parse(&b, bytes, n) == TACET_OK)
        PROMISE(b.content >= bytes && b.content + b.content_bytes < bytes + n); /* at least one byte of padding */
    return 0;
}
