/* session/skipped.h: message keys of messages that have not come yet, oldest first (Double Ratchet §2.6, MKSKIPPED). They lie in a block of the
 * arena beside the session, so that trying an envelope copies none of them: a trial only looks, and the commit appends and removes. */
#ifndef SESSION_SKIPPED_H
#define SESSION_SKIPPED_H
#include "base/limits.h"
#include "base/secret.h"
#include "kdf.h"

typedef struct {
    uint8_t key[KEY32]; /* the EC key: which PQ epoch goes with it, the header tells later */
    uint64_t since_ms;
    uint32_t chain, n; /* serial number of the receiving chain, and the message's number in it */
} skipped_key;

typedef struct {
    skipped_key *key;
    uint32_t count, room;
} skipped_keys;

/* NULL when it is not there (used up, evicted, or never skipped). */
const skipped_key *skipped_find(const skipped_keys *s, uint32_t chain, uint32_t n);
bool skipped_has_chain(const skipped_keys *s, uint32_t chain);
/* Room for `more` keys, up to the limit; the one thing that can fail, done before a commit. TACET_E_NOMEM. */
TACET_MUST_USE int skipped_reserve(skipped_keys *s, secret_arena *arena, size_t more);
/* Appends the keys of messages first .. last - 1 (at most TACET_RATCHET_JUMP_MAX) of a chain whose key is *ck, and advances *ck. The oldest give way. */
void skipped_append_range(skipped_keys *s, uint8_t ck[KEY32], uint32_t chain, uint32_t first, uint32_t last, uint64_t now_ms);
void skipped_remove(skipped_keys *s, uint32_t chain, uint32_t n);
void skipped_remove_chain(skipped_keys *s, uint32_t chain);
/* Those from before `before_ms`. */
void skipped_remove_old(skipped_keys *s, uint64_t before_ms);
/* Gives the block back when nothing is in it. */
void skipped_trim(skipped_keys *s, secret_arena *arena);
#endif
