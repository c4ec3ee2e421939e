/* The 8 clear bytes before the handshake (PROTOCOL.md §2.1). */
#include "base/limits.h"
#include "transport/handshake.h"
#include <string.h>

static const uint8_t magic[5] = { 't', 'a', 'c', 'e', 't' };

static bool has_magic(const uint8_t in[TACET_PREAMBLE_BYTES])
{
    for (size_t i = 0; i < sizeof magic; i++)
        if (in[i] != magic[i])
            return false;
    return true;
}

void preamble_encode(uint8_t out[TACET_PREAMBLE_BYTES], uint8_t version, tacet_role role)
{
    memcpy(out, magic, sizeof magic);
    out[5] = version;
    out[6] = (uint8_t)role;
    out[7] = 0;
}

int preamble_decode(const uint8_t in[TACET_PREAMBLE_BYTES], tacet_role *role)
{
    if (!has_magic(in) || in[7] != 0)
        return TACET_E_MALFORMED;
    if (in[5] != TACET_WIRE_VERSION)
        return TACET_E_VERSION; /* before the role: a later version may know other roles */
    if (in[6] != TACET_ROLE_MAILBOX && in[6] != TACET_ROLE_OPEN)
        return TACET_E_MALFORMED;
    *role = (tacet_role)in[6];
    return TACET_OK;
}

void preamble_unsupported(uint8_t out[TACET_PREAMBLE_BYTES], uint8_t lowest, uint8_t highest)
{
    memcpy(out, magic, sizeof magic);
    out[5] = lowest;
    out[6] = highest;
    out[7] = 0xff;
}

bool preamble_is_unsupported(const uint8_t in[TACET_PREAMBLE_BYTES], uint8_t *lowest, uint8_t *highest)
{
    if (!has_magic(in) || in[7] != 0xff)
        return false;
    *lowest = in[5];
    *highest = in[6];
    return true;
}
