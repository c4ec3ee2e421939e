/* engine/socks.h: a way through a SOCKS5 proxy (RFC 1928, RFC 1929), without I/O: bytes in, bytes out. The host's name goes to the proxy as it is,
 * nothing is looked up here, so that no name leaves this machine on another way (Tor). Without a name and password of the user's own each connection
 * offers a random pair: a proxy that keeps streams of different pairs apart (Tor) then never shows two connections of ours as one's. */
#ifndef ENGINE_SOCKS_H
#define ENGINE_SOCKS_H
#include "base/env.h"
#include "base/status.h"
#include "identity/link.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SOCKS_WORD_MAX_CHARS = 255 };

/* What --proxy and ALL_PROXY say: HOST:PORT, or socks5://[USER:PASSWORD@]HOST:PORT, or socks5h://...; HOST is a name, an IPv4 address or [IPv6].
 * Whichever of the two words stands there, names are resolved by the proxy. */
typedef struct {
    char host[TACET_HOST_MAX_CHARS + 1];
    uint16_t port; /* 1080 where none is said */
    char user[SOCKS_WORD_MAX_CHARS + 1], password[SOCKS_WORD_MAX_CHARS + 1];
} socks_proxy;
/* TACET_E_MALFORMED */
TACET_MUST_USE int socks_proxy_parse(socks_proxy *out, const char *text);
/* What NO_PROXY says, as curl reads it: names parted by commas or spaces, each for itself and whatever ends in it behind a dot (a dot in front changes
 * nothing); an address only for itself; "*" alone for every host. True: `host` is one of them. */
bool socks_host_excepted(const char *list, const char *host);

typedef enum {
    SOCKS_GREETING, /* waits for the proxy's choice of a method */
    SOCKS_LOGIN,    /* waits for what it says to name and password */
    SOCKS_REQUEST,  /* waits for what it says to the connection that was asked for */
    SOCKS_OPEN,     /* from here on the bytes are the relay's */
    SOCKS_FAILED,
    SOCKS_STATES,
} socks_state;
typedef enum {
    SOCKS_WHY_NONE,
    SOCKS_WHY_BROKEN,      /* not what a SOCKS5 proxy says */
    SOCKS_WHY_LOGIN,       /* it wants a name and password, or others */
    SOCKS_WHY_REFUSED,     /* it may not, or could not, connect */
    SOCKS_WHY_UNREACHABLE, /* it cannot reach the host, or the host refused */
} socks_why;

enum { SOCKS_OUT_BYTES = 3 + 2 * (SOCKS_WORD_MAX_CHARS + 1) + 8, SOCKS_IN_BYTES = 4 + 1 + 255 + 2 };
typedef struct {
    socks_state state;
    socks_why why;
    socks_proxy proxy;
    char host[TACET_HOST_MAX_CHARS + 1];
    uint16_t port;
    uint8_t out[SOCKS_OUT_BYTES], in[SOCKS_IN_BYTES]; /* what is to be sent; what came of an answer that is not whole */
    size_t out_bytes, sent, in_bytes;
} socks;

/* Begins; the greeting waits to be sent. */
void socks_begin(socks *s, const tacet_env *env, const socks_proxy *proxy, const char *host, uint16_t port);
/* What must be sent next; 0: nothing. */
size_t socks_output(const socks *s, const uint8_t **at);
void socks_sent(socks *s, size_t n);
/* How many bytes may be read now, so that none of the relay's is taken: never more than the answer that is waited for still has. */
size_t socks_wants(const socks *s);
/* Bytes that came, at most socks_wants. */
void socks_receive(socks *s, const uint8_t *bytes, size_t n);
#endif
