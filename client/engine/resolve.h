/* resolve.h: host name and port to socket addresses without blocking. An address in digits is known at once; a name is looked up by a thread of its
 * own, because getaddrinfo has no other way. The thread is never waited for: whoever of the two is last frees what they share. */
#ifndef ENGINE_RESOLVE_H
#define ENGINE_RESOLVE_H
#include "base/status.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct resolver resolver;

typedef struct {
    struct sockaddr_storage addr;
    socklen_t bytes;
} resolved;

/* TACET_E_NOMEM, TACET_E_IO. */
TACET_MUST_USE int resolver_new(resolver **out, const char *host, uint16_t port);
resolver *resolver_free(resolver *r); /* at any time; NULL is fine; returns NULL */
int resolver_fd(const resolver *r);   /* readable when it has finished */
/* TACET_OK: *count of them, at most `room`. TACET_E_AGAIN: not finished. TACET_E_NOT_FOUND: there is no such host. */
TACET_MUST_USE int resolver_take(resolver *r, resolved *out, size_t room, size_t *count);
#endif
