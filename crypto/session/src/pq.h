/* session/pq.h: the sparse post-quantum step (docs/PROTOCOL.md §6.5): now and then a fresh ML-KEM-768 exchange, carried in the bodies of ordinary
 * messages, whose result is mixed into every message key of an epoch. Odd epochs are begun by the initiator, even ones by the responder.
 *
 *   K (begins):  IDLE -> KEY_OUT (sends ek) -> ct opened: SWITCHED (sends in e) -> message in e opened: IDLE
 *   C:           IDLE -> ek opened: CT_OUT (sends ct, in e - 1) -> message in e opened: IDLE */
#ifndef SESSION_PQ_H
#define SESSION_PQ_H
#include "base/env.h"
#include "identity/keys.h"
#include "kdf.h"
#include "session/session.h"

enum pq_step { PQ_IDLE, PQ_KEY_OUT, PQ_CT_OUT, PQ_SWITCHED };
enum pq_field_kind { PQ_FIELD_NONE = 0, PQ_FIELD_KEY = 1, PQ_FIELD_CT = 2 };
enum { PQ_FIELD_MAX_BYTES = 1 + 4 + TACET_KEM_KEY_BYTES, PQ_SEED_BYTES = 64 };

typedef struct {
    enum pq_step step;
    uint32_t epoch;    /* the confirmed one */
    uint32_t messages; /* sealed and opened since it was confirmed */
    uint32_t turns;    /* sealed since this step was entered */
    uint64_t since_ms; /* when it was confirmed */
    bool has_previous;
    uint8_t previous[KEY32], current[KEY32], next[KEY32]; /* PQ_(epoch-1), PQ_epoch, PQ_(epoch+1); next in CT_OUT and SWITCHED */
    uint8_t seed[PQ_SEED_BYTES];                          /* KEY_OUT: FIPS 203's d | z, from which the key pair is made */
    uint8_t field[TACET_KEM_KEY_BYTES];                   /* KEY_OUT: the encapsulation key; CT_OUT: the ciphertext */
} pq_state;

/* A field as it was read from a body; points into it. */
typedef struct {
    enum pq_field_kind kind;
    uint32_t epoch;
    const uint8_t *bytes;
} pq_field;

/* Whose session it is: what the step needs to know of it. */
typedef struct {
    const uint8_t *session_id;
    bool initiator, answered;
} pq_side;

void pq_begin(pq_state *p, const uint8_t pq_0[KEY32], uint64_t now_ms);
uint32_t pq_send_epoch(const pq_state *p);
/* PQ_e, or NULL when it is not held. */
const uint8_t *pq_key(const pq_state *p, uint32_t e, uint64_t now_ms);
/* Before a message is sealed: begins an epoch when one is due (draws its seed). */
void pq_before_seal(pq_state *p, const tacet_env *env, const pq_side *side);
/* After an import: the encapsulation key is made again from its seed. */
void pq_restore(pq_state *p);
/* The field of the next message, kind byte included; at most PQ_FIELD_MAX_BYTES. */
size_t pq_write_field(const pq_state *p, uint8_t *out);
void pq_after_seal(pq_state *p);
/* After a body in epoch e opened: confirms e when it is the next one, then applies the field. TACET_E_FORGED: an unusable key or ciphertext. */
TACET_MUST_USE int pq_after_open(pq_state *p, const tacet_env *env, const pq_side *side, uint32_t e, const pq_field *field);
bool pq_wants_carrier(const pq_state *p, const pq_side *side, uint64_t now_ms);
void pq_expire(pq_state *p, uint64_t now_ms);
#endif
