#include "session/session.h"
#include "base/writer.h"
#include "body.h"
#include "state.h"
#include <assert.h>
#include <sodium.h>

enum {
    LATER_HEAD_BYTES = 2,
    BODY_AD_BYTES = sizeof "tacet body" + TACET_SESSION_ID_BYTES + 2 * (TACET_ACCOUNT_BYTES + 4) + 1 + TACET_SEALED_HEADER_BYTES,
    NONCE_BYTES = 24,
};
_Static_assert(TACET_FIRST_OVERHEAD_BYTES + TACET_RATCHET_OVERHEAD_BYTES + TACET_CONTENT_PADDED_MAX_BYTES <= TACET_ENVELOPE_MAX_BYTES,
               "the largest first envelope fits");
_Static_assert((int)TACET_SESSION_CONTENT_MAX_BYTES == TACET_CONTENT_PADDED_MAX_BYTES - 1 - (int)PQ_FIELD_MAX_BYTES,
               "a PQ field fits beside any content");

static void part_hash(uint8_t out[32], const uint8_t *part) { crypto_generichash(out, 32, part, TACET_FIRST_OVERHEAD_BYTES, NULL, 0); }

static void body_ad(uint8_t out[BODY_AD_BYTES], const uint8_t id[32], const party *from, const party *to, enum content_class cls,
                    const uint8_t *sealed_header)
{
    writer w = writer_over(out, BODY_AD_BYTES);
    write_label(&w, "tacet body");
    write_bytes(&w, id, TACET_SESSION_ID_BYTES);
    write_bytes(&w, from->account.bytes, TACET_ACCOUNT_BYTES);
    write_be(&w, from->device, 4);
    write_bytes(&w, to->account.bytes, TACET_ACCOUNT_BYTES);
    write_be(&w, to->device, 4);
    write_be(&w, cls, 1);
    write_bytes(&w, sealed_header, TACET_SEALED_HEADER_BYTES);
    assert(writer_bytes(&w) == BODY_AD_BYTES);
}

/* mk = HKDF(salt PQ_e, EC key, "tacet mk\0", 32) */
static void message_key(uint8_t mk[KEY32], const uint8_t pq[KEY32], const uint8_t ec_key[KEY32])
{
    kdf_hkdf(mk, KEY32, pq, KEY32, ec_key, KEY32, "tacet mk", sizeof "tacet mk");
}

/* ---- making and ending ---------------------------------------------------------------------------------------------------------------- */

static void info_begin(session_info *info, const agreed *k, const party *me, const party *them, bool initiator, bool reduced, uint64_t now_ms)
{
    *info = (session_info){ .me = *me, .them = *them, .initiator = initiator, .reduced_secrecy = reduced, .created_ms = now_ms };
    memcpy(info->id, k->id, TACET_SESSION_ID_BYTES);
}

int session_initiate(session **out, secret_arena *arena, const tacet_env *env, const party *me, const uint8_t my_dh_secret[32],
                     const uint8_t *my_signed_list, size_t my_signed_list_bytes, const agreement_bundle *bundle)
{
    agreed k;
    session *s = secret_alloc(arena, sizeof *s);
    if (!s)
        return TACET_E_NOMEM;
    s->arena = arena;
    int rc = TACET_E_NOMEM;
    s->part = secret_alloc(arena, TACET_FIRST_OVERHEAD_BYTES);
    if (!s->part)
        goto out;
    rc = agreement_begin(&k, s->part, env, me, my_dh_secret, my_signed_list, my_signed_list_bytes, bundle);
    if (rc != TACET_OK)
        goto out;
    rc = ratchet_begin_initiator(&s->core.r, env, &k, bundle->spk);
    if (rc != TACET_OK)
        goto out;
    part_hash(s->core.part_hash, s->part);
    pq_begin(&s->core.pq, k.pq_0, env_now_ms(env));
    info_begin(&s->core.info, &k, me, &bundle->them, true, !bundle->has_opk || bundle->kem_last_resort, env_now_ms(env));
    *out = s;
    s = NULL;
out:
    session_free(s);
    sodium_memzero(&k, sizeof k);
    return rc;
}

/* A responder's session before its first message; the caller opens that. */
static int responder_new(session **out, secret_arena *arena, const tacet_env *env, const party *me, const agreement_secrets *secrets,
                         const first_sender *sender, const uint8_t *envelope, size_t n)
{
    agreed k;
    first_envelope f;
    party them, us = *me;
    int rc = agreement_finish(&k, &them, me, secrets, sender, envelope, n);
    if (rc == TACET_OK && first_envelope_decode(&f, envelope, n) != TACET_OK)
        rc = TACET_E_FORGED;
    if (rc != TACET_OK)
        goto out;
    rc = TACET_E_NOMEM;
    session *s = secret_alloc(arena, sizeof *s);
    if (!s)
        goto out;
    s->arena = arena;
    us.list_version = sender->receiver_list_version;
    ratchet_begin_responder(&s->core.r, &k, secrets->spk, secrets->spk_secret);
    part_hash(s->core.part_hash, envelope);
    pq_begin(&s->core.pq, k.pq_0, env_now_ms(env));
    info_begin(&s->core.info, &k, &us, &them, false, !f.has_opk || f.kem_last_resort, env_now_ms(env));
    *out = s;
    rc = TACET_OK;
out:
    sodium_memzero(&k, sizeof k);
    return rc;
}

int session_respond(session **out, secret_arena *arena, const tacet_env *env, const party *me, const agreement_secrets *secrets,
                    const first_sender *sender, const uint8_t *envelope, size_t n, uint8_t *plain, size_t *plain_bytes)
{
    session *s = NULL;
    unsigned trials = 1;
    int rc = responder_new(&s, arena, env, me, secrets, sender, envelope, n);
    if (rc != TACET_OK)
        return rc;
    rc = session_open(s, env, CONTENT_PAIRWISE, &trials, envelope, n, plain, plain_bytes);
    if (rc == TACET_OK)
        *out = s;
    else
        session_free(s);
    return rc > 0 ? TACET_E_FORGED : rc;
}

session *session_free(session *s)
{
    if (s) {
        secret_arena *arena = s->arena;
        secret_free(arena, s->part);
        secret_free(arena, s->skipped.key);
        secret_free(arena, s);
    }
    return NULL;
}

void session_describe(const session *s, session_info *out)
{
    *out = s->core.info;
    out->epoch = pq_send_epoch(&s->core.pq);
}

/* ---- sealing -------------------------------------------------------------------------------------------------------------------------- */

/* Ratchet message into out, moving c on. */
static int seal_message(session_core *c, const tacet_env *env, enum content_class cls, const uint8_t *content, size_t content_bytes, uint8_t *out,
                        size_t *out_bytes)
{
    uint8_t ec_key[KEY32], mk[KEY32], nonce[2 * NONCE_BYTES], ad[BODY_AD_BYTES];
    uint8_t *message = out + TACET_SEALED_HEADER_BYTES, *body = message + COMMITTED_HEAD_BYTES;
    ratchet_header h;
    pq_side side = core_side(c);
    int rc = ratchet_send_key(&c->r, ec_key, &h);
    if (rc != TACET_OK)
        return rc;
    pq_before_seal(&c->pq, env, &side);
    h.epoch = pq_send_epoch(&c->pq);
    env_random(env, nonce, sizeof nonce); /* the header's, then the message's */
    header_seal(out, c->r.hks, c->info.id, nonce, &h);
    size_t n = pq_write_field(&c->pq, body);
    if (content_bytes)
        memcpy(body + n, content, content_bytes);
    n += content_bytes;
    body_pad(body, n);
    n = body_padded_bytes(n);
    message_key(mk, pq_key(&c->pq, h.epoch, env_now_ms(env)), ec_key);
    body_ad(ad, c->info.id, &c->info.me, &c->info.them, cls, out);
    committed_seal(message, n, COMMITTED_MESSAGE, mk, nonce + NONCE_BYTES, ad, sizeof ad);
    pq_after_seal(&c->pq);
    c->info.sealed++;
    c->info.last_sealed_ms = env_now_ms(env);
    *out_bytes = TACET_RATCHET_OVERHEAD_BYTES + n;
    sodium_memzero(ec_key, sizeof ec_key);
    sodium_memzero(mk, sizeof mk);
    return TACET_OK;
}

int session_seal(session *s, const tacet_env *env, enum content_class cls, const uint8_t *content, size_t content_bytes, uint8_t *out,
                 size_t *out_bytes)
{
    static const uint8_t later[LATER_HEAD_BYTES] = { TACET_WIRE_VERSION, ENVELOPE_LATER };
    if (content_bytes > TACET_SESSION_CONTENT_MAX_BYTES)
        return TACET_E_QUOTA;
    size_t head = s->part ? (size_t)TACET_FIRST_OVERHEAD_BYTES : sizeof later, n = 0;
    memcpy(out, s->part ? s->part : later, head);
    s->trial = s->core;
    int rc = seal_message(&s->trial, env, cls, content, content_bytes, out + head, &n);
    if (rc == TACET_OK) {
        s->core = s->trial;
        *out_bytes = head + n;
    }
    sodium_memzero(&s->trial, sizeof s->trial);
    return rc;
}

/* ---- opening -------------------------------------------------------------------------------------------------------------------------- */

/* The ratchet message of an envelope that this session may open at all; NULL: none. */
static const uint8_t *message_of(const session *s, const uint8_t *envelope, size_t n, size_t *message_bytes)
{
    unsigned kind = 0;
    uint8_t hash[32];
    if (envelope_kind(envelope, n, &kind) != TACET_OK)
        return NULL;
    size_t head = kind == ENVELOPE_FIRST ? (size_t)TACET_FIRST_OVERHEAD_BYTES : (size_t)LATER_HEAD_BYTES;
    if (n < head + TACET_RATCHET_OVERHEAD_BYTES || !body_is_padded_size(n - head - TACET_RATCHET_OVERHEAD_BYTES))
        return NULL;
    if (kind == ENVELOPE_FIRST) {
        /* the agreement part is under no tag of the ratchet's: only the very part that made this session passes */
        if (s->core.info.initiator)
            return NULL;
        part_hash(hash, envelope);
        if (sodium_memcmp(hash, s->core.part_hash, sizeof hash) != 0)
            return NULL;
    }
    *message_bytes = n - head;
    return envelope + head;
}

/* Everything up to the commit: c is moved on, plan says what is to be done to the skipped keys, *body points into plain. */
static int open_message(session_core *c, const skipped_keys *skipped, const tacet_env *env, enum content_class cls, unsigned *trials,
                        const uint8_t *message, size_t n, uint8_t *plain, receive_plan *plan, message_body *body)
{
    uint8_t ec_key[KEY32], mk[KEY32] = { 0 }, ad[BODY_AD_BYTES];
    const uint64_t now_ms = env_now_ms(env);
    found_header at;
    pq_side side = core_side(c);
    int rc = header_find(&at, &c->r, c->info.id, trials, message);
    if (rc != TACET_OK)
        return rc;
    rc = ratchet_receive(&c->r, skipped, &at, now_ms, plan, ec_key);
    if (rc != TACET_OK)
        goto out;
    const uint8_t *pq = pq_key(&c->pq, at.h.epoch, now_ms);
    rc = TACET_E_FORGED;
    if (!pq)
        goto out;
    message_key(mk, pq, ec_key);
    body_ad(ad, c->info.id, &c->info.them, &c->info.me, cls, message);
    rc = committed_open(plain, message + TACET_SEALED_HEADER_BYTES, n - TACET_SEALED_HEADER_BYTES, COMMITTED_MESSAGE, mk, ad, sizeof ad);
    if (rc != TACET_OK)
        goto out;
    rc = body_parse(body, plain, n - TACET_RATCHET_OVERHEAD_BYTES);
    if (rc == TACET_OK)
        rc = pq_after_open(&c->pq, env, &side, at.h.epoch, &body->pq);
    if (rc == TACET_OK && plan->stepped)
        rc = ratchet_step_sending(&c->r, env) == TACET_OK ? TACET_OK : TACET_E_FORGED;
    c->info.answered = true;
    c->info.opened++;
    c->info.last_opened_ms = now_ms;
out:
    sodium_memzero(ec_key, sizeof ec_key);
    sodium_memzero(mk, sizeof mk);
    return rc;
}

/* Nothing here can fail. */
static void commit(session *s, receive_plan *plan, uint64_t now_ms)
{
    ratchet_commit_skipped(&s->trial.r, &s->skipped, plan, now_ms);
    skipped_trim(&s->skipped, s->arena);
    s->core = s->trial;
    s->part = secret_free(s->arena, s->part); /* answered: later envelopes from here on */
}

int session_open(session *s, const tacet_env *env, enum content_class cls, unsigned *trials, const uint8_t *envelope, size_t n, uint8_t *plain,
                 size_t *plain_bytes)
{
    receive_plan plan = { .stepped = false };
    message_body body;
    size_t message_bytes = 0;
    const uint8_t *message = message_of(s, envelope, n, &message_bytes);
    if (!message)
        return TACET_E_FORGED;
    s->trial = s->core;
    int rc = open_message(&s->trial, &s->skipped, env, cls, trials, message, message_bytes, plain, &plan, &body);
    if (rc == TACET_OK)
        rc = skipped_reserve(&s->skipped, s->arena, plan_skips(&plan));
    if (rc == TACET_OK) {
        commit(s, &plan, env_now_ms(env));
        memmove(plain, body.content, body.content_bytes);
        sodium_memzero(plain + body.content_bytes, message_bytes - TACET_RATCHET_OVERHEAD_BYTES - body.content_bytes);
        *plain_bytes = body.content_bytes;
    }
    sodium_memzero(&s->trial, sizeof s->trial);
    sodium_memzero(&plan, sizeof plan);
    return rc;
}

/* ---- time ----------------------------------------------------------------------------------------------------------------------------- */

bool session_wants_carrier(const session *s, const tacet_env *env)
{
    pq_side side = core_side(&s->core);
    return pq_wants_carrier(&s->core.pq, &side, env_now_ms(env));
}

void session_expire(session *s, const tacet_env *env)
{
    const uint64_t keep_ms = (uint64_t)TACET_RATCHET_SKIPPED_KEEP_S * 1000, now_ms = env_now_ms(env);
    if (now_ms > keep_ms)
        skipped_remove_old(&s->skipped, now_ms - keep_ms);
    ratchet_prune_former(&s->core.r, &s->skipped);
    skipped_trim(&s->skipped, s->arena);
    pq_expire(&s->core.pq, now_ms);
}
