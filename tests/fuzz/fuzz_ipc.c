/* P04, P14: what a hijacked net may say to store, and the other way round. The first input byte says which side speaks, and where the bytes are cut: the
 * messages do not depend on it. */
#include "fuzz.h"
#include "server/ipc.h"

typedef struct {
    size_t messages, bytes;
    uint64_t sum;
    int rc;
} outcome;

static outcome run(ipc_side side, const uint8_t *bytes, size_t n, size_t piece)
{
    outcome o = { 0, 0, 0, TACET_E_AGAIN };
    size_t at = 0;
    for (size_t have = 0; have < n && o.rc == TACET_E_AGAIN;) {
        have = n - have < piece ? n : have + piece;
        ipc_message m;
        while ((o.rc = ipc_next(&m, side, bytes, have, &at)) == TACET_OK) {
            PROMISE(at <= have && m.bytes <= RELAY_IPC_PAYLOAD_MAX_BYTES && m.payload >= bytes && m.payload + m.bytes <= bytes + have);
            PROMISE(m.slot < RELAY_SLOTS_MAX);
            o.messages++;
            o.bytes += m.bytes;
            o.sum = o.sum * 31 + m.type + m.slot + m.generation;
        }
    }
    PROMISE(o.rc == TACET_E_AGAIN || o.rc == TACET_E_MALFORMED);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 2)
        return 0;
    ipc_side side = bytes[0] & 1 ? IPC_FROM_STORE : IPC_FROM_NET;
    outcome whole = run(side, bytes + 1, n - 1, n), cut = run(side, bytes + 1, n - 1, (size_t)(bytes[0] >> 1) + 1);
    PROMISE(whole.rc == cut.rc && whole.messages == cut.messages && whole.bytes == cut.bytes && whole.sum == cut.sum);
    return 0;
}
