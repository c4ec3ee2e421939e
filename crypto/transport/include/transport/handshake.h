/* transport/handshake.h: Noise (revision 34) with BLAKE2b, ChaChaPoly and 25519, patterns XK and NK, and the same with hybrid forward secrecy
 * (the HFS extension with ML-KEM-768: tokens e1, ekem1). An engine: bytes in, bytes out. One object is one side of one handshake.
 * Payloads are always empty; a message of any other length than the pattern's is refused. After a failure the object is dead: free it. */
#ifndef TRANSPORT_HANDSHAKE_H
#define TRANSPORT_HANDSHAKE_H
#include "base/env.h"
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TACET_DH_BYTES = 32,
    TACET_HANDSHAKE_HASH_BYTES = 64,
    TACET_PREAMBLE_BYTES = 8, /* "tacet", version, role, 0: the prologue */
    TACET_M1_BYTES = 32 + 1184 + 16 + 16,
    TACET_M2_BYTES = 32 + 1088 + 16 + 16,
    TACET_M3_BYTES = 32 + 16 + 16, /* XKhfs only */
    TACET_HANDSHAKE_MESSAGE_MAX_BYTES = TACET_M1_BYTES,
};

typedef enum { HANDSHAKE_XK, HANDSHAKE_NK, HANDSHAKE_XKHFS, HANDSHAKE_NKHFS, HANDSHAKE_PATTERNS } handshake_pattern;
typedef enum { HANDSHAKE_SEND, HANDSHAKE_RECEIVE, HANDSHAKE_DONE, HANDSHAKE_FAILED } handshake_action;

typedef enum { TACET_ROLE_MAILBOX = 1, TACET_ROLE_OPEN = 2 } tacet_role; /* XKhfs, NKhfs */

typedef struct handshake handshake;

/* What both sides carry over into records. Secret: wipe after use. */
typedef struct {
    uint8_t send[32], receive[32];
    uint8_t hash[TACET_HANDSHAKE_HASH_BYTES]; /* the channel binding; public */
    uint8_t remote_static[TACET_DH_BYTES];    /* the peer's static key; zeros for the responder of NK */
} handshake_keys;

/* Fills the 8 clear bytes that open a connection. */
void preamble_encode(uint8_t out[TACET_PREAMBLE_BYTES], uint8_t version, tacet_role role);
/* TACET_E_MALFORMED not ours at all; TACET_E_VERSION ours, of another version (out parameters untouched). */
TACET_MUST_USE int preamble_decode(const uint8_t in[TACET_PREAMBLE_BYTES], tacet_role *role);
/* The relay's clear answer to an unknown version, and how the client reads it. */
void preamble_unsupported(uint8_t out[TACET_PREAMBLE_BYTES], uint8_t lowest, uint8_t highest);
bool preamble_is_unsupported(const uint8_t in[TACET_PREAMBLE_BYTES], uint8_t *lowest, uint8_t *highest);

/* *out: the initiator. `static_secret` is NULL for NK. The initiator lives in guarded memory of its own, a responder (a relay has thousands) on the heap.
 *   TACET_E_KEY  remote_static is not a usable X25519 public key    TACET_E_LOCKING its memory cannot be locked    TACET_E_NOMEM */
TACET_MUST_USE int handshake_initiator_new(handshake **out, handshake_pattern pattern, const tacet_env *env, const uint8_t *prologue,
                                           size_t prologue_bytes, const uint8_t *static_secret, const uint8_t remote_static[TACET_DH_BYTES]);
TACET_MUST_USE int handshake_responder_new(handshake **out, handshake_pattern pattern, const tacet_env *env, const uint8_t *prologue,
                                           size_t prologue_bytes, const uint8_t static_secret[TACET_DH_BYTES]);
handshake *handshake_free(handshake *h); /* wipes; NULL is fine; returns NULL */

handshake_action handshake_next(const handshake *h);
/* Length of the message that comes next, in either direction. */
size_t handshake_message_bytes(const handshake *h);

/* Writes handshake_message_bytes(h) bytes. TACET_E_HANDSHAKE when it is not our turn or a DH result is refused. */
TACET_MUST_USE int handshake_write(handshake *h, uint8_t *out);
/* TACET_E_HANDSHAKE for every failure there is: one error, nothing told. */
TACET_MUST_USE int handshake_read(handshake *h, const uint8_t *message, size_t message_bytes);
/* After HANDSHAKE_DONE, once. TACET_E_HANDSHAKE before. */
TACET_MUST_USE int handshake_split(handshake *h, handshake_keys *out);
#endif
