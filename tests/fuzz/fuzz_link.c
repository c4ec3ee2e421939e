/* P04: what people paste. An address or a link that is accepted is written the same way again, and that is accepted with the same meaning. */
#include "fuzz.h"
#include "identity/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char text[1024], again[TACET_LINK_MAX_CHARS + 1];
    relay_address a, b;
    contact_link l, m;
    if (n >= sizeof text)
        return 0;
    memcpy(text, bytes, n);
    text[n] = 0;
    memset(&a, 0, sizeof a), memset(&b, 0, sizeof b), memset(&l, 0, sizeof l), memset(&m, 0, sizeof m);
    int address = relay_address_parse(&a, text), link = contact_link_parse(&l, text);
    PROMISE(address >= 0 && link >= 0);
    if (address == TACET_OK) {
        relay_address_format(again, &a);
        PROMISE(relay_address_parse(&b, again) == TACET_OK && b.port == a.port && strcmp(a.host, b.host) == 0 && memcmp(a.key, b.key, 32) == 0);
    }
    if (link == TACET_OK) {
        contact_link_format(again, &l);
        PROMISE(contact_link_parse(&m, again) == TACET_OK && strcmp(l.name, m.name) == 0 && memcmp(&l.account, &m.account, sizeof l.account) == 0 &&
                memcmp(l.request_token, m.request_token, sizeof l.request_token) == 0);
    }
    return 0;
}
