/* session/ratchet.h: the Double Ratchet's elliptic-curve half, revision 4 §4 (header encryption), with that specification's names. All functions work on
 * a state that the caller may throw away; the skipped keys are only looked at until ratchet_commit_skipped. */
#ifndef SESSION_RATCHET_H
#define SESSION_RATCHET_H
#include "agreed.h"
#include "identity/keys.h"
#include "session/session.h"
#include "skipped.h"

typedef struct {
    uint8_t hk[KEY32];
    uint32_t chain; /* serial number; 0: empty place */
} former_chain;

typedef struct {
    uint8_t rk[KEY32], cks[KEY32], ckr[KEY32], hks[KEY32], hkr[KEY32], nhks[KEY32], nhkr[KEY32];
    dh_pair dhs;
    uint8_t dhr[32];
    uint32_t ns, nr, pn;
    uint32_t chain;                                /* serial number of the receiving chain, from 1; 0: CKr and HKr are not set */
    bool sends;                                    /* CKs and HKs are set */
    former_chain former[TACET_RATCHET_CHAINS_MAX]; /* newest first; each has skipped keys */
} ratchet;

typedef struct {
    uint8_t dh[32];
    uint32_t pn, n, epoch;
} ratchet_header;

/* Which header key opened, and what it says. */
typedef struct {
    enum { HEADER_CURRENT, HEADER_NEXT, HEADER_FORMER } under;
    uint32_t chain; /* of HEADER_CURRENT and HEADER_FORMER */
    ratchet_header h;
} found_header;

/* Messages first .. last - 1 of a chain that starts at ck: to be skipped at the commit. */
typedef struct {
    uint8_t ck[KEY32];
    uint32_t chain, first, last;
} skip_range;

/* What a commit has to do to the skipped keys. */
typedef struct {
    skip_range old, now;
    bool stepped;                /* the sending half of the DH step is still to be done */
    uint32_t used_chain, used_n; /* a stored key that is used up; chain 0: none */
    uint32_t dropped_chain;      /* a former chain that had to give way; 0: none */
} receive_plan;

/* RatchetInitAliceHE; draws DHs. TACET_E_KEY. */
TACET_MUST_USE int ratchet_begin_initiator(ratchet *r, const tacet_env *env, const agreed *k, const uint8_t spk[32]);
/* RatchetInitBobHE. */
void ratchet_begin_responder(ratchet *r, const agreed *k, const uint8_t spk[32], const uint8_t spk_secret[32]);

/* Next sending key: fills h->dh, pn, n. TACET_E_REFUSED: no sending chain, or a chain of 2^32 - 1 messages. */
TACET_MUST_USE int ratchet_send_key(ratchet *r, uint8_t ec_key[KEY32], ratchet_header *h);
void header_seal(uint8_t out[TACET_SEALED_HEADER_BYTES], const uint8_t hks[KEY32], const uint8_t id[32], const uint8_t nonce[24],
                 const ratchet_header *h);

/* TACET_E_FORGED: no key opens it, the trials are used up, or the header is not one. */
TACET_MUST_USE int header_find(found_header *out, const ratchet *r, const uint8_t id[32], unsigned *trials,
                               const uint8_t sealed[TACET_SEALED_HEADER_BYTES]);
/* The receiving half: ec_key of that message, *r moved on, *plan for the commit. TACET_E_FORGED, TACET_E_REPLAY, TACET_E_GAP. */
TACET_MUST_USE int ratchet_receive(ratchet *r, const skipped_keys *s, const found_header *at, uint64_t now_ms, receive_plan *plan,
                                   uint8_t ec_key[KEY32]);
/* Once the body has opened: DHs anew and the sending chain. TACET_E_KEY. */
TACET_MUST_USE int ratchet_step_sending(ratchet *r, const tacet_env *env);
/* Cannot fail when skipped_reserve was given plan_skips(plan). */
size_t plan_skips(const receive_plan *plan);
void ratchet_commit_skipped(ratchet *r, skipped_keys *s, receive_plan *plan, uint64_t now_ms);
/* Forgets former chains that have no skipped keys left. */
void ratchet_prune_former(ratchet *r, const skipped_keys *s);

/* Time since, 0 when the clock went back. */
static inline uint64_t elapsed_ms(uint64_t now_ms, uint64_t since_ms) { return now_ms > since_ms ? now_ms - since_ms : 0; }
#endif
