/* P04: a signed device list from anywhere: a verdict, never more; what is accepted keeps its limits. */
#include "fuzz.h"
#include "identity/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static device_list l;
    int rc = device_list_decode(&l, bytes, n);
    PROMISE(rc >= 0);
    if (rc != TACET_OK)
        return 0;
    PROMISE(n <= TACET_DEVICE_LIST_MAX_BYTES && l.version > 0 && l.count > 0 && l.count <= sizeof l.device / sizeof *l.device);
    return 0;
}
