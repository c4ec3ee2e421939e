/* P04: what a SOCKS5 proxy answers. The first input byte: bit 0: to a name or to an address, the rest: in which pieces the answers come; what comes of
 * them does not depend on it, and no byte behind the last answer is taken. */
#include "engine/socks.h"
#include "fuzz.h"

typedef struct {
    socks_state state;
    socks_why why;
    size_t taken;
} outcome;

static outcome run(const char *host, const uint8_t *bytes, size_t n, size_t piece)
{
    static const socks_proxy proxy = { .host = "127.0.0.1", .port = 9050, .user = "me", .password = "secret" };
    socks s;
    size_t at = 0;
    socks_begin(&s, env_system(), &proxy, host, 7450);
    for (;;) {
        const uint8_t *said = NULL;
        size_t says = socks_output(&s, &said), wants;
        PROMISE(says <= SOCKS_OUT_BYTES && (says == 0 || socks_wants(&s) == 0));
        socks_sent(&s, says);
        wants = socks_wants(&s);
        PROMISE(wants <= SOCKS_IN_BYTES && (wants == 0) == (s.state >= SOCKS_OPEN));
        size_t some = wants < piece ? wants : piece;
        some = some < n - at ? some : n - at;
        if (some == 0)
            break;
        socks_receive(&s, bytes + at, some);
        at += some;
    }
    PROMISE((s.state == SOCKS_FAILED) == (s.why != SOCKS_WHY_NONE));
    return (outcome){ s.state, s.why, at };
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 1)
        return 0;
    const char *host = bytes[0] & 1 ? "relay.example" : "192.0.2.7";
    outcome whole = run(host, bytes + 1, n - 1, SIZE_MAX), cut = run(host, bytes + 1, n - 1, (size_t)(bytes[0] >> 1) + 1);
    PROMISE(whole.state == cut.state && whole.why == cut.why);
    PROMISE(whole.state != SOCKS_OPEN || whole.taken == cut.taken); /* what follows is the relay's */
    return 0;
}
