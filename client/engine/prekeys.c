/* Own prekeys: made, refilled, rotated, found by the ids in a first envelope, and deleted on use. The private half of an ML-KEM key is kept as its
 * 64-byte seed. */
#include "identity/prekey.h"
#include "state.h"
#include <sodium.h>
#include <string.h>

#define SET_PREKEY_ID "prekey_id"

static int next_id(engine *e, uint32_t *id)
{
    uint64_t last = 0;
    int rc = vault_number_get(e->vault, SET_PREKEY_ID, &last);
    if (rc != TACET_OK && rc != TACET_E_NOT_FOUND)
        return rc;
    *id = (uint32_t)(last + 1);
    return vault_number_put(e->vault, SET_PREKEY_ID, last + 1);
}

static int make_one(engine *e, enum prekey_kind kind)
{
    vault_prekey *row = secret_alloc(e->arena, sizeof *row);
    uint8_t *kem_secret = secret_alloc(e->arena, crypto_kem_mlkem768_SECRETKEYBYTES);
    dh_pair *pair = secret_alloc(e->arena, sizeof *pair);
    prekey p = { .kind = kind, .created_s = now_s(e), .expires_s = now_s(e) + TACET_PREKEY_LIFETIME_S };
    int rc = row && kem_secret && pair ? next_id(e, &p.id) : TACET_E_NOMEM;
    if (rc != TACET_OK)
        goto out;
    if (prekey_is_kem(kind)) {
        env_random(e->env, row->secret, crypto_kem_mlkem768_SEEDBYTES);
        rc = crypto_kem_mlkem768_seed_keypair(p.key, kem_secret, row->secret) == 0 ? TACET_OK : TACET_E_BUG;
    } else {
        dh_pair_generate(pair, e->env);
        memcpy(row->secret, pair->secret, sizeof pair->secret);
        memcpy(p.key, pair->public, sizeof pair->public);
    }
    if (rc == TACET_OK)
        rc = prekey_sign(&p, row->encoded, &row->encoded_bytes, &e->me.list.account, e->me.device, e->me.secret->sign);
    if (rc == TACET_OK) {
        row->kind = kind;
        row->id = p.id;
        row->created_s = p.created_s;
        row->expires_s = p.expires_s;
        rc = vault_prekey_put(e->vault, row);
    }
out:
    secret_free(e->arena, row);
    secret_free(e->arena, kem_secret);
    secret_free(e->arena, pair);
    return rc;
}

/* A new one when the newest is `old_s` old, or of a time that has yet to come (made while the clock was ahead). */
static int is_due(engine *e, enum prekey_kind kind, uint64_t old_s, bool *due)
{
    vault_prekey *newest = secret_alloc(e->arena, sizeof *newest);
    if (!newest)
        return TACET_E_NOMEM;
    int rc = vault_prekey_newest(e->vault, kind, newest);
    if (rc == TACET_OK)
        *due = now_s(e) >= newest->created_s + old_s || newest->created_s > now_s(e) + TACET_PREKEY_TOLERANCE_S;
    else if (rc == TACET_E_NOT_FOUND)
        *due = true;
    secret_free(e->arena, newest);
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static int rotate(engine *e, enum prekey_kind kind)
{
    bool due = false;
    int rc = is_due(e, kind, TACET_PREKEY_ROTATE_S, &due);
    return rc == TACET_OK && due ? make_one(e, kind) : rc;
}

int prekeys_first(engine *e)
{
    bool due = false;
    int rc = is_due(e, PREKEY_SIGNED, TACET_PREKEY_LIFETIME_S, &due);
    return rc == TACET_OK && due ? prekeys_refill(e, 0, 0) : rc;
}

/* What is on the way to the relay is as good as there: its answer to an earlier question does not have it yet. */
static int refill(engine *e, enum prekey_kind kind, uint64_t left, uint64_t full)
{
    uint64_t waiting = 0;
    int rc = vault_prekey_waiting(e->vault, kind, now_s(e), &waiting);
    left += waiting;
    for (uint64_t n = left; rc == TACET_OK && left < full / 4 && n < full; n++)
        rc = make_one(e, kind);
    return rc;
}

int prekeys_refill(engine *e, uint32_t one_time_left, uint32_t kem_left)
{
    int rc = rotate(e, PREKEY_SIGNED);
    if (rc == TACET_OK)
        rc = rotate(e, PREKEY_KEM_LAST_RESORT);
    if (rc == TACET_OK)
        rc = refill(e, PREKEY_ONE_TIME, one_time_left, TACET_ONE_TIME_EC_PREKEYS);
    return rc == TACET_OK ? refill(e, PREKEY_KEM_ONE_TIME, kem_left, TACET_ONE_TIME_KEM_PREKEYS) : rc;
}

/* --- for an envelope ---------------------------------------------------------------------------------------------------------------------- */
void prekeys_give_back(engine *e, own_prekeys *p) { secret_free(e->arena, p); }

static int find_ec(engine *e, enum prekey_kind kind, uint32_t id, vault_prekey *row, uint8_t public[32])
{
    int rc = vault_prekey_get(e->vault, kind, id, row);
    if (rc == TACET_OK)
        rc = crypto_scalarmult_base(public, row->secret) == 0 ? TACET_OK : TACET_E_CORRUPT;
    return rc;
}

int prekeys_for(engine *e, own_prekeys **out, const first_envelope *f)
{
    own_prekeys *p = secret_alloc(e->arena, sizeof *p);
    if (!p)
        return TACET_E_NOMEM;
    int rc = find_ec(e, PREKEY_SIGNED, f->spk_id, &p->spk, p->spk_public);
    if (rc == TACET_OK && f->has_opk)
        rc = find_ec(e, PREKEY_ONE_TIME, f->opk_id, &p->opk, p->opk_public);
    if (rc == TACET_OK)
        rc = vault_prekey_get(e->vault, f->kem_last_resort ? PREKEY_KEM_LAST_RESORT : PREKEY_KEM_ONE_TIME, f->kem_id, &p->kem);
    if (rc == TACET_OK && crypto_kem_mlkem768_seed_keypair(p->kem_public, p->kem_secret, p->kem.secret) != 0)
        rc = TACET_E_CORRUPT;
    if (rc != TACET_OK) {
        prekeys_give_back(e, p);
        return rc;
    }
    p->secrets = (agreement_secrets){
        .dh_secret = e->me.secret->dh, .spk_secret = p->spk.secret, .kem_secret = p->kem_secret, .spk = p->spk_public, .kem = p->kem_public
    };
    if (f->has_opk) {
        p->secrets.opk_secret = p->opk.secret;
        p->secrets.opk = p->opk_public;
    }
    *out = p;
    return TACET_OK;
}

int prekeys_used(engine *e, const first_envelope *f)
{
    int rc = f->has_opk ? vault_prekey_remove(e->vault, PREKEY_ONE_TIME, f->opk_id) : TACET_OK;
    if (rc == TACET_OK && !f->kem_last_resort)
        rc = vault_prekey_remove(e->vault, PREKEY_KEM_ONE_TIME, f->kem_id);
    return rc;
}

/* --- at the relay ------------------------------------------------------------------------------------------------------------------------------ */
enum { PREKEYS_AT_ONCE = 140 }; /* all that a new account has; about 50 KiB */

typedef struct {
    vault_prekey key[PREKEYS_AT_ONCE];
    size_t count;
} prekey_batch;

/* Rows hold private halves: only their public side is needed here, and the copies are wiped. */
static int with_unpublished(engine *e, int (*use)(engine *e, prekey_batch *b, void *ctx), void *ctx)
{
    prekey_batch *b = secret_alloc(e->arena, sizeof *b);
    if (!b)
        return TACET_E_NOMEM;
    int rc = vault_prekey_unpublished(e->vault, now_s(e), b->key, PREKEYS_AT_ONCE, &b->count);
    if (rc == TACET_OK)
        rc = use(e, b, ctx);
    secret_free(e->arena, b);
    return rc;
}

typedef struct {
    reply_fn *fn;
    uint64_t arg;
} asked_by;

static int ask_publish(engine *e, prekey_batch *b, void *ctx)
{
    const asked_by *a = ctx;
    frame ask = { .kind = FRAME_PUBLISH_PREKEYS };
    if (b->count == 0)
        return TACET_E_NOT_FOUND;
    ask.publish_prekeys.prekeys.count = (uint32_t)b->count;
    for (size_t i = 0; i < b->count; i++)
        ask.publish_prekeys.prekeys.item[i] = (view){ b->key[i].encoded, b->key[i].encoded_bytes };
    for (size_t i = 0; i < b->count; i++)
        e->prekeys_sent_to = b->key[i].id > e->prekeys_sent_to ? b->key[i].id : e->prekeys_sent_to;
    return slot_ask(e, e->mailbox, &ask, a->fn, a->arg);
}

int prekeys_publish(engine *e, reply_fn *fn, uint64_t arg)
{
    asked_by a = { fn, arg };
    e->prekeys_sent_to = 0;
    return with_unpublished(e, ask_publish, &a);
}

static int mark(engine *e, prekey_batch *b, void *ctx)
{
    (void)ctx;
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < b->count; i++)
        if (b->key[i].id <= e->prekeys_sent_to)
            rc = vault_prekey_published(e->vault, b->key[i].kind, b->key[i].id);
    return rc;
}

int prekeys_mark_published(engine *e) { return with_unpublished(e, mark, NULL); }
