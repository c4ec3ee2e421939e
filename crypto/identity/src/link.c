/* Addresses and links (PROTOCOL.md §3). Parsed strictly from left to right, because people paste them from anywhere. */
#include "identity/link.h"
#include "base/text.h"
#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SCHEME "tacet://"
enum {
    KEY_CHARS = BASE32_CHARS(32),
    PORT_MAX_CHARS = 5,
    LABEL_MAX_CHARS = 63,
    AUTHORITY_MAX_CHARS = 2 + TACET_HOST_MAX_CHARS + 1 + PORT_MAX_CHARS + 1 + KEY_CHARS,
};

/* HOST:PORT/RELAYKEY */
static void authority_format(char text[AUTHORITY_MAX_CHARS + 1], const relay_address *a)
{
    char key[KEY_CHARS + 1];
    bool ip6 = strchr(a->host, ':') != NULL;
    base32_encode(key, a->key, sizeof a->key);
    snprintf(text, AUTHORITY_MAX_CHARS + 1, ip6 ? "[%s]:%u/%s" : "%s:%u/%s", a->host, a->port, key);
}

void relay_address_format(char *text, const relay_address *a)
{
    char authority[AUTHORITY_MAX_CHARS + 1];
    authority_format(authority, a);
    snprintf(text, TACET_LINK_MAX_CHARS + 1, SCHEME "%s", authority);
}

void contact_link_format(char *text, const contact_link *l)
{
    char authority[AUTHORITY_MAX_CHARS + 1], account[KEY_CHARS + 1], token[KEY_CHARS + 1];
    authority_format(authority, &l->relay);
    base32_encode(account, l->account.bytes, sizeof l->account.bytes);
    base32_encode(token, l->request_token, sizeof l->request_token);
    snprintf(text, TACET_LINK_MAX_CHARS + 1, SCHEME "%s@%s#%s.%s", l->name, authority, account, token);
}

static bool host_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

/* Labels of 1 to 63 characters that neither begin nor end with a hyphen. */
static bool host_name_valid(const char *host)
{
    while (*host) {
        size_t chars = strcspn(host, ".");
        if (chars < 1 || chars > LABEL_MAX_CHARS || host[0] == '-' || host[chars - 1] == '-')
            return false;
        for (size_t i = 0; i < chars; i++)
            if (!host_letter(host[i]))
                return false;
        host += chars;
        if (*host == '.' && *++host == '\0')
            return false;
    }
    return true;
}

/* A host whose last label begins with a digit can only mean an IPv4 address: getaddrinfo would read "1" or "0x7f.1" as one, too. */
static bool host_valid(const char *host)
{
    uint8_t ip[sizeof(struct in_addr)];
    const char *dot = strrchr(host, '.'), *last = dot ? dot + 1 : host;
    return *last >= '0' && *last <= '9' ? inet_pton(AF_INET, host, ip) == 1 : host_name_valid(host);
}

/* Takes HOST or [IPv6] from *at, up to and without the colon of the port. */
static int host_take(char host[TACET_HOST_MAX_CHARS + 1], const char **at)
{
    uint8_t ip[sizeof(struct in6_addr)];
    bool ip6 = **at == '[';
    const char *start = *at + ip6;
    size_t chars = strcspn(start, ip6 ? "]" : ":/");
    if (chars < 1 || chars > TACET_HOST_MAX_CHARS || (ip6 && start[chars] != ']'))
        return TACET_E_MALFORMED;
    memcpy(host, start, chars);
    host[chars] = '\0';
    *at = start + chars + ip6;
    return (ip6 ? inet_pton(AF_INET6, host, ip) == 1 : host_valid(host)) ? TACET_OK : TACET_E_MALFORMED;
}

/* ":PORT", 1 to 65535, no leading zero. */
static int port_take(uint16_t *port, const char **at)
{
    unsigned v = 0;
    const char *p = *at;
    if (*p++ != ':' || *p < '1' || *p > '9')
        return TACET_E_MALFORMED;
    for (int i = 0; i < PORT_MAX_CHARS && *p >= '0' && *p <= '9'; i++)
        v = v * 10 + (unsigned)(*p++ - '0');
    if (v > UINT16_MAX)
        return TACET_E_MALFORMED;
    *port = (uint16_t)v;
    *at = p;
    return TACET_OK;
}

/* `mark`, then 32 bytes in base32. */
static int bytes_take(uint8_t out[32], char mark, const char **at)
{
    if (**at != mark || strnlen(*at + 1, KEY_CHARS) != KEY_CHARS || base32_decode(out, 32, *at + 1, KEY_CHARS) != TACET_OK)
        return TACET_E_MALFORMED;
    *at += 1 + KEY_CHARS;
    return TACET_OK;
}

/* HOST:PORT/RELAYKEY. Whether the key is a good one is asked last, when the rest of the text is known to be well-formed. */
static int address_take(relay_address *out, const char **at)
{
    int rc = host_take(out->host, at);
    if (rc == TACET_OK)
        rc = port_take(&out->port, at);
    return rc == TACET_OK ? bytes_take(out->key, '/', at) : rc;
}

static bool scheme_take(const char *text, const char **at)
{
    if (strnlen(text, TACET_LINK_MAX_CHARS + 1) > TACET_LINK_MAX_CHARS || strncmp(text, SCHEME, strlen(SCHEME)) != 0)
        return false;
    *at = text + strlen(SCHEME);
    return true;
}

int relay_address_parse(relay_address *out, const char *text)
{
    relay_address a = { 0 };
    const char *at;
    if (!scheme_take(text, &at) || address_take(&a, &at) != TACET_OK || *at != '\0')
        return TACET_E_MALFORMED;
    int rc = x25519_check(a.key);
    if (rc == TACET_OK)
        *out = a;
    return rc;
}

int contact_link_parse(contact_link *out, const char *text)
{
    contact_link l = { 0 };
    const char *at;
    if (!scheme_take(text, &at))
        return TACET_E_MALFORMED;
    size_t chars = strcspn(at, "@");
    if (at[chars] != '@' || !name_valid(at, chars))
        return TACET_E_MALFORMED;
    memcpy(l.name, at, chars);
    at += chars + 1;
    if (address_take(&l.relay, &at) != TACET_OK || bytes_take(l.account.bytes, '#', &at) != TACET_OK ||
        bytes_take(l.request_token, '.', &at) != TACET_OK || *at != '\0')
        return TACET_E_MALFORMED;
    int rc = x25519_check(l.relay.key);
    if (rc == TACET_OK)
        *out = l;
    return rc;
}
