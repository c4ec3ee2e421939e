#include "pq.h"
#include "base/writer.h"
#include "declassify.h"
#include "ratchet.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { TURNS_AT_FIRST = 3, TURNS_LATER = 10 };

void pq_begin(pq_state *p, const uint8_t pq_0[KEY32], uint64_t now_ms)
{
    *p = (pq_state){ .since_ms = now_ms };
    memcpy(p->current, pq_0, KEY32);
}

uint32_t pq_send_epoch(const pq_state *p) { return p->step == PQ_SWITCHED ? p->epoch + 1 : p->epoch; }

static bool previous_alive(const pq_state *p, uint64_t now_ms)
{
    return p->has_previous && elapsed_ms(now_ms, p->since_ms) <= (uint64_t)TACET_PQ_OLD_KEEP_S * 1000;
}

const uint8_t *pq_key(const pq_state *p, uint32_t e, uint64_t now_ms)
{
    if (e == p->epoch)
        return p->current;
    if (e == p->epoch + 1 && (p->step == PQ_CT_OUT || p->step == PQ_SWITCHED))
        return p->next;
    if (p->epoch > 0 && e == p->epoch - 1 && previous_alive(p, now_ms))
        return p->previous;
    return NULL;
}

/* Does this side begin epoch e? */
static bool begins(const pq_side *side, uint32_t e) { return side->initiator == (e % 2 == 1); }

static bool due(const pq_state *p, const pq_side *side, uint64_t now_ms)
{
    if (p->step != PQ_IDLE || !side->answered || !begins(side, p->epoch + 1) || p->messages == 0)
        return false;
    return p->messages >= TACET_PQ_EPOCH_MESSAGES || elapsed_ms(now_ms, p->since_ms) >= (uint64_t)TACET_PQ_EPOCH_S * 1000;
}

static void enter(pq_state *p, enum pq_step step)
{
    p->step = step;
    p->turns = 0;
    sodium_memzero(p->seed, sizeof p->seed);
    sodium_memzero(p->field, sizeof p->field);
}

static void key_pair(const pq_state *p, uint8_t ek[TACET_KEM_KEY_BYTES], uint8_t dk[crypto_kem_mlkem768_SECRETKEYBYTES])
{
    int rc = crypto_kem_mlkem768_seed_keypair(ek, dk, p->seed);
    assert(rc == 0);
    (void)rc;
}

void pq_restore(pq_state *p)
{
    uint8_t dk[crypto_kem_mlkem768_SECRETKEYBYTES];
    if (p->step != PQ_KEY_OUT)
        return;
    key_pair(p, p->field, dk);
    sodium_memzero(dk, sizeof dk);
}

void pq_before_seal(pq_state *p, const tacet_env *env, const pq_side *side)
{
    if (!due(p, side, env_now_ms(env)))
        return;
    enter(p, PQ_KEY_OUT);
    env_random(env, p->seed, sizeof p->seed);
    pq_restore(p);
}

/* The first three messages, then every tenth. */
static bool has_turn(const pq_state *p) { return p->turns < TURNS_AT_FIRST || (p->turns - TURNS_AT_FIRST + 1) % TURNS_LATER == 0; }

size_t pq_write_field(const pq_state *p, uint8_t *out)
{
    static const struct {
        enum pq_field_kind kind;
        size_t bytes;
    } of_step[] = { [PQ_IDLE] = { PQ_FIELD_NONE, 0 },
                    [PQ_KEY_OUT] = { PQ_FIELD_KEY, TACET_KEM_KEY_BYTES },
                    [PQ_CT_OUT] = { PQ_FIELD_CT, TACET_KEM_CIPHERTEXT_BYTES },
                    [PQ_SWITCHED] = { PQ_FIELD_NONE, 0 } };
    writer w = writer_over(out, PQ_FIELD_MAX_BYTES);
    enum pq_field_kind kind = has_turn(p) ? of_step[p->step].kind : PQ_FIELD_NONE;
    write_be(&w, kind, 1);
    if (kind != PQ_FIELD_NONE) {
        write_be(&w, p->epoch + 1, 4);
        write_bytes(&w, p->field, of_step[p->step].bytes);
    }
    return writer_bytes(&w);
}

void pq_after_seal(pq_state *p)
{
    p->turns++;
    p->messages++;
}

/* PQ_e = HKDF(salt PQ_(e-1), ss, "tacet pq\0" | session id | e | H(ek) | H(ct), 32) */
static void epoch_key(pq_state *p, const uint8_t id[32], const uint8_t ss[32], const uint8_t *ek, const uint8_t *ct)
{
    uint8_t info[sizeof "tacet pq" + 32 + 4 + 32 + 32];
    writer w = writer_over(info, sizeof info);
    write_label(&w, "tacet pq");
    write_bytes(&w, id, 32);
    write_be(&w, p->epoch + 1, 4);
    crypto_generichash(write_room(&w, 32), 32, ek, TACET_KEM_KEY_BYTES, NULL, 0);
    crypto_generichash(write_room(&w, 32), 32, ct, TACET_KEM_CIPHERTEXT_BYTES, NULL, 0);
    assert(writer_bytes(&w) == sizeof info);
    kdf_hkdf(p->next, KEY32, p->current, KEY32, ss, 32, info, sizeof info);
}

/* C: encapsulates once and for all of this epoch's messages. */
static int take_key(pq_state *p, const tacet_env *env, const pq_side *side, const uint8_t *ek)
{
    uint8_t coins[32], ss[32] = { 0 };
    int rc = TACET_E_FORGED;
    env_random(env, coins, sizeof coins);
    DECLASSIFY(ek, TACET_KEM_KEY_BYTES); /* a public key, though it came under the ratchet's encryption */
    if (mlkem768_check(ek) != TACET_OK)
        goto out;
    enter(p, PQ_CT_OUT);
    if (crypto_kem_mlkem768_enc_deterministic(p->field, ss, ek, coins) != 0)
        goto out;
    epoch_key(p, side->session_id, ss, ek, p->field);
    rc = TACET_OK;
out:
    sodium_memzero(coins, sizeof coins);
    sodium_memzero(ss, sizeof ss);
    return rc;
}

/* K: the private key has done its work. */
static int take_ciphertext(pq_state *p, const pq_side *side, const uint8_t *ct)
{
    uint8_t ek[TACET_KEM_KEY_BYTES], dk[crypto_kem_mlkem768_SECRETKEYBYTES], ss[32];
    key_pair(p, ek, dk);
    int bad = crypto_kem_mlkem768_dec(ss, ct, dk);
    DECLASSIFY(&bad, sizeof bad);
    if (!bad) {
        epoch_key(p, side->session_id, ss, ek, ct);
        enter(p, PQ_SWITCHED);
    }
    sodium_memzero(dk, sizeof dk);
    sodium_memzero(ss, sizeof ss);
    return bad ? TACET_E_FORGED : TACET_OK;
}

/* The next epoch is the current one from now on, and PQ of the one before the last is gone. */
static void confirm(pq_state *p, uint64_t now_ms)
{
    memcpy(p->previous, p->current, KEY32);
    memcpy(p->current, p->next, KEY32);
    sodium_memzero(p->next, KEY32);
    p->has_previous = true;
    p->epoch++;
    p->messages = 0;
    p->since_ms = now_ms;
    enter(p, PQ_IDLE);
}

int pq_after_open(pq_state *p, const tacet_env *env, const pq_side *side, uint32_t e, const pq_field *field)
{
    if (e == p->epoch + 1)
        confirm(p, env_now_ms(env));
    else
        p->messages++;
    if (field->kind == PQ_FIELD_NONE || field->epoch != p->epoch + 1)
        return TACET_OK;
    bool mine = begins(side, field->epoch);
    if (field->kind == PQ_FIELD_KEY && !mine && p->step == PQ_IDLE)
        return take_key(p, env, side, field->bytes);
    if (field->kind == PQ_FIELD_CT && mine && p->step == PQ_KEY_OUT)
        return take_ciphertext(p, side, field->bytes);
    return TACET_OK;
}

bool pq_wants_carrier(const pq_state *p, const pq_side *side, uint64_t now_ms)
{
    return due(p, side, now_ms) || (p->step != PQ_IDLE && p->turns == 0);
}

void pq_expire(pq_state *p, uint64_t now_ms)
{
    if (p->has_previous && !previous_alive(p, now_ms)) {
        sodium_memzero(p->previous, KEY32);
        p->has_previous = false;
    }
}
