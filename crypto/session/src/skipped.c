#include "skipped.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { ROOM_FIRST = 16 };

static bool is(const skipped_key *k, uint32_t chain, uint32_t n) { return k->chain == chain && k->n == n; }

const skipped_key *skipped_find(const skipped_keys *s, uint32_t chain, uint32_t n)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (is(&s->key[i], chain, n))
            return &s->key[i];
    return NULL;
}

bool skipped_has_chain(const skipped_keys *s, uint32_t chain)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->key[i].chain == chain)
            return true;
    return false;
}

int skipped_reserve(skipped_keys *s, secret_arena *arena, size_t more)
{
    size_t want = s->count + more;
    if (want > TACET_RATCHET_SKIPPED_MAX)
        want = TACET_RATCHET_SKIPPED_MAX;
    if (want <= s->room)
        return TACET_OK;
    size_t room = s->room ? s->room : ROOM_FIRST;
    while (room < want)
        room *= 2;
    if (room > TACET_RATCHET_SKIPPED_MAX)
        room = TACET_RATCHET_SKIPPED_MAX;
    skipped_key *bigger = secret_alloc(arena, room * sizeof *bigger);
    if (!bigger)
        return TACET_E_NOMEM;
    if (s->count)
        memcpy(bigger, s->key, s->count * sizeof *bigger);
    secret_free(arena, s->key);
    s->key = bigger;
    s->room = (uint32_t)room;
    return TACET_OK;
}

static void remove_run(skipped_keys *s, uint32_t at, uint32_t count)
{
    uint32_t behind = s->count - at - count;
    if (behind)
        memmove(&s->key[at], &s->key[at + count], behind * sizeof *s->key);
    sodium_memzero(&s->key[at + behind], count * sizeof *s->key);
    s->count -= count;
}

void skipped_append_range(skipped_keys *s, uint8_t ck[KEY32], uint32_t chain, uint32_t first, uint32_t last, uint64_t now_ms)
{
    if (first >= last)
        return;
    uint32_t more = last - first, free_places = TACET_RATCHET_SKIPPED_MAX - s->count;
    assert(more <= TACET_RATCHET_JUMP_MAX);
    if (more > free_places)
        remove_run(s, 0, more - free_places);
    assert(s->count + more <= s->room);
    for (uint32_t n = first; n < last; n++) {
        skipped_key *k = &s->key[s->count++];
        kdf_chain(k->key, ck, ck);
        k->since_ms = now_ms;
        k->chain = chain;
        k->n = n;
    }
}

void skipped_remove(skipped_keys *s, uint32_t chain, uint32_t n)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (is(&s->key[i], chain, n)) {
            remove_run(s, i, 1);
            return;
        }
}

/* Keeps those that `keep` wants, in order, and wipes the places behind. */
static void keep_only(skipped_keys *s, bool (*keep)(const skipped_key *k, uint64_t arg), uint64_t arg)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!keep(&s->key[i], arg))
            continue;
        if (kept != i)
            s->key[kept] = s->key[i];
        kept++;
    }
    if (kept < s->count)
        sodium_memzero(&s->key[kept], (s->count - kept) * sizeof *s->key);
    s->count = kept;
}

static bool other_chain(const skipped_key *k, uint64_t chain) { return k->chain != chain; }
static bool not_before(const skipped_key *k, uint64_t ms) { return k->since_ms >= ms; }

void skipped_remove_chain(skipped_keys *s, uint32_t chain) { keep_only(s, other_chain, chain); }
void skipped_remove_old(skipped_keys *s, uint64_t before_ms) { keep_only(s, not_before, before_ms); }

void skipped_trim(skipped_keys *s, secret_arena *arena)
{
    if (s->count == 0 && s->room) {
        s->key = secret_free(arena, s->key);
        s->room = 0;
    }
}
