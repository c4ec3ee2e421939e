/* P04: a signed directory entry; what is accepted has a name that is one. */
#include "fuzz.h"
#include "identity/directory.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static directory_entry e;
    int rc = directory_entry_decode(&e, bytes, n, 1700000000);
    PROMISE(rc >= 0);
    PROMISE(rc != TACET_OK || (n == TACET_DIRECTORY_ENTRY_BYTES && name_valid(e.name, strlen(e.name))));
    return 0;
}
