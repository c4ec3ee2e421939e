/* server/sources.h: what each address holds of a net process: connections, handshakes that are not finished, requests under way and their bytes.
 * One address gets a share, so that it leaves room for the others. An address is known by its key only (net_conn.c: a keyed hash of the /32, or the
 * /64 of IPv6). */
#ifndef SERVER_SOURCES_H
#define SERVER_SOURCES_H
#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

/* Connections that carry chunks of files have a share of their own: a chunk may wait long for those who want it, and these may well sit behind the same
 * address. What they say must get through, or chunks and answers wait for each other. */
typedef enum { SOURCE_TALKS, SOURCE_CARRIES, SOURCE_KINDS } source_kind;

/* Shares of one address. */
typedef struct {
    uint32_t connections, pending; /* pending: of these, handshakes not finished */
    uint32_t requests;             /* asked and not answered, over all its connections */
    uint64_t bytes[SOURCE_KINDS];  /* of these requests */
} source_limits;

typedef struct {
    uint64_t key, bytes[SOURCE_KINDS];
    uint32_t next; /* in its row, or among the unused */
    uint32_t connections, pending, requests;
} source;

typedef struct {
    source_limits limits;
    source *at;
    uint32_t *row; /* heads, by key; a power of two of them */
    uint32_t rows, unused;
} sources;

/* For at most `most` connections at a time. TACET_E_NOMEM */
TACET_MUST_USE int sources_new(sources *s, uint32_t most, const source_limits *limits);
void sources_free(sources *s);
/* One more connection of this address, with its handshake to come: its index, good until source_leave. UINT32_MAX: it has its share. */
uint32_t source_enter(sources *s, uint64_t key);
void source_greeted(sources *s, uint32_t index); /* its handshake is over, one way or the other */
void source_leave(sources *s, uint32_t index);
/* False: it has as much under way as it may. source_ask charges, whatever the answer would be; source_answered gives back. */
bool source_may_ask(const sources *s, uint32_t index, source_kind kind);
void source_ask(sources *s, uint32_t index, source_kind kind, uint64_t bytes);
void source_answered(sources *s, uint32_t index, source_kind kind, uint32_t requests, uint64_t bytes);
/* So many bytes that it asked belong to a connection that carries chunks now. */
void source_carries(sources *s, uint32_t index, uint64_t bytes);
#endif
