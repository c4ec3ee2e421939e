/* P04: an encoded prekey, as a relay stores it (shape) and as a client checks it (everything). The first input byte is the kind that is wanted. */
#include "fuzz.h"
#include "identity/prekey.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const uint8_t device_sign[32] = { 9 };
    account_id account = { { 1 } };
    static prekey p;
    enum prekey_kind kind = 0;
    uint32_t id = 0;
    if (n < 1)
        return 0;
    enum prekey_kind want = (enum prekey_kind)(bytes[0] % 4 + 1);
    int shape = prekey_peek(bytes + 1, n - 1, &kind, &id), rc = prekey_decode(&p, want, bytes + 1, n - 1, &account, 1, device_sign, 1700000000);
    PROMISE(shape >= 0 && rc >= 0);
    PROMISE(shape != TACET_OK || (kind >= PREKEY_SIGNED && kind <= PREKEY_KEM_LAST_RESORT && n - 1 <= TACET_PREKEY_MAX_BYTES));
    PROMISE(rc != TACET_OK || (shape == TACET_OK && kind == want && p.id == id));
    return 0;
}
