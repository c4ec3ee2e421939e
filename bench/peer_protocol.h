/* bench/peer_protocol.h: the least of three protocols that a load generator needs, to measure others' servers beside ours: Redis streams (RESP), MQTT
 * 3.1.1 with QoS 1, and XMPP (RFC 6120) with stream management (XEP-0198). Each server answers in order, so an answer belongs to the oldest question. */
#ifndef BENCH_PEER_PROTOCOL_H
#define BENCH_PEER_PROTOCOL_H
#include <stddef.h>
#include <stdint.h>

enum { LOGIN_STEPS_MAX = 8, REQUEST_ROOM = 8192 };

typedef struct {
    uint32_t number; /* of the pair */
    uint32_t bytes;  /* of one message */
    const char *user, *password, *domain;
    uint64_t seen; /* XMPP: stanzas acknowledged so far */
    uint16_t packet;
} peer_identity;

/* One step: writes what to send (0 bytes: nothing), then waits until `expect` has come. */
typedef struct {
    size_t (*say)(const peer_identity *who, uint8_t *out);
    const char *expect;
    size_t expect_bytes;
} login_step;

typedef struct {
    const char *name;
    login_step sender[LOGIN_STEPS_MAX], receiver[LOGIN_STEPS_MAX]; /* end with say NULL */
    size_t (*request)(peer_identity *who, uint8_t *out);
    /* Takes whole answers out of the n bytes: how many requests they answer; *used: bytes that need not be kept. */
    unsigned (*answers)(peer_identity *who, const uint8_t *in, size_t n, size_t *used);
    /* What a receiver says to what came: bytes written to out; *used as above, *messages counted up. */
    size_t (*acknowledge)(const uint8_t *in, size_t n, size_t *used, uint8_t *out, uint64_t *messages);
} peer_protocol;

const peer_protocol *peer_protocol_find(const char *name); /* NULL: not one of them */
#endif
