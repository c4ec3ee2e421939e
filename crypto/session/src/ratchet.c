#include "ratchet.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

/* KDF_RK_HE: RK, *ck and *nhk from RK and a DH result. */
static void kdf_root(uint8_t rk[KEY32], uint8_t ck[KEY32], uint8_t nhk[KEY32], const uint8_t dh[32])
{
    uint8_t keys[3 * KEY32];
    kdf_hkdf(keys, sizeof keys, rk, KEY32, dh, 32, "tacet rk", sizeof "tacet rk");
    memcpy(rk, keys, KEY32);
    memcpy(ck, keys + 32, KEY32);
    memcpy(nhk, keys + 64, KEY32);
    sodium_memzero(keys, sizeof keys);
}

/* RK, *ck, *nhk = KDF_RK_HE(RK, DH(DHs, DHr)) */
static int root_step(ratchet *r, uint8_t ck[KEY32], uint8_t nhk[KEY32])
{
    uint8_t dh[32];
    int rc = dh_agree(dh, r->dhs.secret, r->dhr);
    if (rc == TACET_OK)
        kdf_root(r->rk, ck, nhk, dh);
    sodium_memzero(dh, sizeof dh);
    return rc;
}

int ratchet_begin_initiator(ratchet *r, const tacet_env *env, const agreed *k, const uint8_t spk[32])
{
    *r = (ratchet){ .sends = true };
    dh_pair_generate(&r->dhs, env);
    memcpy(r->dhr, spk, 32);
    memcpy(r->rk, k->rk, KEY32);
    memcpy(r->hks, k->hk_a, KEY32);
    memcpy(r->nhkr, k->nhk_b, KEY32);
    return root_step(r, r->cks, r->nhks);
}

void ratchet_begin_responder(ratchet *r, const agreed *k, const uint8_t spk[32], const uint8_t spk_secret[32])
{
    *r = (ratchet){ .sends = false };
    memcpy(r->dhs.public, spk, 32);
    memcpy(r->dhs.secret, spk_secret, 32);
    memcpy(r->rk, k->rk, KEY32);
    memcpy(r->nhks, k->nhk_b, KEY32);
    memcpy(r->nhkr, k->hk_a, KEY32);
}

int ratchet_send_key(ratchet *r, uint8_t ec_key[KEY32], ratchet_header *h)
{
    if (!r->sends || r->ns == UINT32_MAX)
        return TACET_E_REFUSED;
    memcpy(h->dh, r->dhs.public, 32);
    h->pn = r->pn;
    h->n = r->ns++;
    kdf_chain(ec_key, r->cks, r->cks);
    return TACET_OK;
}

/* The chain that ends keeps its header key as long as it has skipped keys; a sixth one takes the oldest one's place. */
static void retire_chain(ratchet *r, const skipped_keys *s, receive_plan *plan)
{
    if (plan->old.first >= plan->old.last && !skipped_has_chain(s, r->chain))
        return;
    former_chain *last = &r->former[TACET_RATCHET_CHAINS_MAX - 1];
    plan->dropped_chain = last->chain;
    memmove(&r->former[1], &r->former[0], sizeof r->former - sizeof r->former[0]);
    r->former[0].chain = r->chain;
    memcpy(r->former[0].hk, r->hkr, KEY32);
}

/* The receiving half of DHRatchetHE, after SkipMessageKeysHE(pn). */
static int step_receiving(ratchet *r, const skipped_keys *s, const ratchet_header *h, receive_plan *plan)
{
    if (x25519_check(h->dh) != TACET_OK)
        return TACET_E_FORGED;
    if (r->chain) {
        if (h->pn > r->nr && h->pn - r->nr > TACET_RATCHET_JUMP_MAX)
            return TACET_E_GAP;
        plan->old = (skip_range){ .chain = r->chain, .first = r->nr, .last = h->pn };
        memcpy(plan->old.ck, r->ckr, KEY32);
        retire_chain(r, s, plan);
    }
    memcpy(r->hkr, r->nhkr, KEY32);
    memcpy(r->dhr, h->dh, 32);
    r->nr = 0;
    r->chain++;
    plan->stepped = true;
    return root_step(r, r->ckr, r->nhkr) == TACET_OK ? TACET_OK : TACET_E_FORGED;
}

static int stored_key(const skipped_keys *s, uint32_t chain, uint32_t n, uint64_t now_ms, receive_plan *plan, uint8_t ec_key[KEY32])
{
    const skipped_key *k = skipped_find(s, chain, n);
    if (!k || elapsed_ms(now_ms, k->since_ms) > (uint64_t)TACET_RATCHET_SKIPPED_KEEP_S * 1000)
        return TACET_E_REPLAY;
    memcpy(ec_key, k->key, KEY32);
    plan->used_chain = chain;
    plan->used_n = n;
    return TACET_OK;
}

int ratchet_receive(ratchet *r, const skipped_keys *s, const found_header *at, uint64_t now_ms, receive_plan *plan, uint8_t ec_key[KEY32])
{
    *plan = (receive_plan){ .stepped = false };
    const ratchet_header *h = &at->h;
    if (at->under == HEADER_FORMER || (at->under == HEADER_CURRENT && h->n < r->nr))
        return stored_key(s, at->chain, h->n, now_ms, plan, ec_key);
    if (at->under == HEADER_NEXT) {
        int rc = step_receiving(r, s, h, plan);
        if (rc != TACET_OK)
            return rc;
    }
    if (h->n == UINT32_MAX) /* no sender gets there, and Nr must not wrap */
        return TACET_E_FORGED;
    if (h->n - r->nr > TACET_RATCHET_JUMP_MAX)
        return TACET_E_GAP;
    plan->now = (skip_range){ .chain = r->chain, .first = r->nr, .last = h->n };
    memcpy(plan->now.ck, r->ckr, KEY32);
    /* on the way the chain key moves alone; the skipped message keys are made at the commit */
    for (; r->nr < h->n; r->nr++)
        kdf_chain(NULL, r->ckr, r->ckr);
    kdf_chain(ec_key, r->ckr, r->ckr);
    r->nr++;
    return TACET_OK;
}

int ratchet_step_sending(ratchet *r, const tacet_env *env)
{
    r->pn = r->ns;
    r->ns = 0;
    memcpy(r->hks, r->nhks, KEY32);
    dh_pair_generate(&r->dhs, env);
    r->sends = true;
    return root_step(r, r->cks, r->nhks);
}

static size_t range_count(const skip_range *g) { return g->last > g->first ? g->last - g->first : 0; }

size_t plan_skips(const receive_plan *plan) { return range_count(&plan->old) + range_count(&plan->now); }

static void range_append(skipped_keys *s, skip_range *g, uint64_t now_ms) { skipped_append_range(s, g->ck, g->chain, g->first, g->last, now_ms); }

void ratchet_commit_skipped(ratchet *r, skipped_keys *s, receive_plan *plan, uint64_t now_ms)
{
    if (plan->used_chain)
        skipped_remove(s, plan->used_chain, plan->used_n);
    if (plan->dropped_chain)
        skipped_remove_chain(s, plan->dropped_chain);
    range_append(s, &plan->old, now_ms);
    range_append(s, &plan->now, now_ms);
    if (r->former[0].chain)
        ratchet_prune_former(r, s);
}

void ratchet_prune_former(ratchet *r, const skipped_keys *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < TACET_RATCHET_CHAINS_MAX && r->former[i].chain; i++)
        if (skipped_has_chain(s, r->former[i].chain))
            r->former[kept++] = r->former[i];
    sodium_memzero(&r->former[kept], (TACET_RATCHET_CHAINS_MAX - kept) * sizeof r->former[0]);
}
