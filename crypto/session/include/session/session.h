/* session/session.h: one Double Ratchet with header encryption and a sparse post-quantum step, between two devices (docs/PROTOCOL.md §6;
 * Signal's Double Ratchet rev 4, §4 and §7). Not thread-safe. The object lives in the locked arena that it was made with.
 * After anything but TACET_OK a session is byte for byte what it was.
 *
 * Ratchet message = sealed header 104 | N 24 | commitment 32 | ciphertext. Later envelope = version u8 | kind 02 | ratchet message. */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H
#include "base/env.h"
#include "base/secret.h"
#include "session/agreement.h"

typedef struct session session;

enum {
    TACET_RATCHET_HEADER_BYTES = 64,
    TACET_SEALED_HEADER_BYTES = 24 + TACET_RATCHET_HEADER_BYTES + 16,
    TACET_RATCHET_OVERHEAD_BYTES = TACET_SEALED_HEADER_BYTES + 24 + 32 + 16,
};

/* Content class, part of the authenticated data: a group's ciphertext never passes for a private one. */
enum content_class { CONTENT_PAIRWISE = 1, CONTENT_GROUP = 2 };

typedef struct {
    uint8_t id[TACET_SESSION_ID_BYTES];
    party me, them;
    bool initiator, answered; /* answered: a message of the other side has opened */
    bool reduced_secrecy;     /* made without a one-time EC prekey or with the last-resort KEM key */
    uint32_t epoch;           /* PQ epoch that we send in */
    uint64_t last_opened_ms, last_sealed_ms, created_ms;
    uint64_t sealed, opened; /* messages so far */
} session_info;

/* The initiator's side. my_signed_list is kept and repeated in every envelope until the other side has answered.
 *   TACET_E_KEY a DH result is zero or a key unusable     TACET_E_NOMEM the arena is full */
TACET_MUST_USE int session_initiate(session **out, secret_arena *arena, const tacet_env *env, const party *me, const uint8_t my_dh_secret[32],
                                    const uint8_t *my_signed_list, size_t my_signed_list_bytes, const agreement_bundle *bundle);

/* The receiver's side: makes the session of a first envelope and opens its message, or neither.
 * plain has room for n bytes. TACET_E_FORGED for every failure of the envelope. */
TACET_MUST_USE int session_respond(session **out, secret_arena *arena, const tacet_env *env, const party *me, const agreement_secrets *secrets,
                                   const first_sender *sender, const uint8_t *envelope, size_t n, uint8_t *plain, size_t *plain_bytes);

session *session_free(session *s); /* wipes; NULL is fine; returns NULL */
void session_describe(const session *s, session_info *out);

/* Largest content that session_seal takes: what fits the largest padding bucket beside a PQ field. */
enum { TACET_SESSION_CONTENT_MAX_BYTES = TACET_CONTENT_PADDED_MAX_BYTES - 1 - 1 - 4 - 1184 };

/* Pads and seals `content` into a whole envelope (first or later kind); out has room for TACET_ENVELOPE_MAX_BYTES.
 *   TACET_E_QUOTA content too long      TACET_E_REFUSED nothing to send with yet (a responder's session before it was opened cannot happen) */
TACET_MUST_USE int session_seal(session *s, const tacet_env *env, enum content_class cls, const uint8_t *content, size_t content_bytes, uint8_t *out,
                                size_t *out_bytes);

/* Opens an envelope of either kind (a first envelope of a session that exists already is opened as the message it carries). `trials` is the
 * budget of header keys that may still be tried for this envelope over all sessions; it is counted down, by at most 7 a session. `plain` has room
 * for n bytes, does not overlap the envelope, and is scratch space: only the first *plain_bytes of it, and only after TACET_OK, mean anything.
 * A first envelope whose agreement part is not the one that made this session costs no trial.
 *   TACET_E_FORGED   does not open here, for whatever reason     TACET_E_REPLAY  its key is used up (seen before or too old)
 *   TACET_E_GAP      more than TACET_RATCHET_JUMP_MAX ahead */
TACET_MUST_USE int session_open(session *s, const tacet_env *env, enum content_class cls, unsigned *trials, const uint8_t *envelope, size_t n,
                                uint8_t *plain, size_t *plain_bytes);

/* True when a PQ step of this side waits and should be carried by a control message if nothing else is to be said. */
bool session_wants_carrier(const session *s, const tacet_env *env);
/* Drops skipped keys and old PQ epochs that are past their time. */
void session_expire(session *s, const tacet_env *env);

/* A session as bytes for the vault (it is secret; the vault encrypts). Import checks every length. TACET_E_MALFORMED, TACET_E_NEWER, TACET_E_NOMEM */
size_t session_export_bytes(const session *s);
TACET_MUST_USE int session_export(const session *s, uint8_t *out, size_t room, size_t *out_bytes);
TACET_MUST_USE int session_import(session **out, secret_arena *arena, const uint8_t *bytes, size_t n);
#endif
