/* identity/link.h: what people paste. Relay address: tacet://HOST:PORT/RELAYKEY.  Contact link: tacet://NAME@HOST:PORT/RELAYKEY#ACCOUNTID.REQUESTTOKEN
 * (base32, 52 characters each). HOST is a name, an IPv4 address, or [IPv6]. */
#ifndef IDENTITY_LINK_H
#define IDENTITY_LINK_H
#include "identity/directory.h"

enum { TACET_HOST_MAX_CHARS = 253, TACET_LINK_MAX_CHARS = 480 };

typedef struct {
    char host[TACET_HOST_MAX_CHARS + 1]; /* without brackets */
    uint16_t port;
    uint8_t key[32];
} relay_address;

typedef struct {
    char name[TACET_NAME_MAX_CHARS + 1]; /* a proposal, nothing more */
    relay_address relay;
    account_id account;
    uint8_t request_token[TACET_TOKEN_BYTES];
} contact_link;

/* text has room for TACET_LINK_MAX_CHARS + 1. */
void relay_address_format(char *text, const relay_address *a);
void contact_link_format(char *text, const contact_link *l);
/* TACET_E_MALFORMED; TACET_E_KEY for a relay key that is no X25519 key. */
TACET_MUST_USE int relay_address_parse(relay_address *out, const char *text);
TACET_MUST_USE int contact_link_parse(contact_link *out, const char *text);
#endif
