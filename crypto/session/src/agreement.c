/* X3DH with ML-KEM-768, both sides. The Diffie-Hellman results and the KEM secret lie in one array in the order of the specification, so that the
 * box's input, which lacks DH1 because its opener does not know the writer yet, is the same array from DH2 on. */
#include "agreed.h"
#include "base/reader.h"
#include "base/writer.h"
#include "declassify.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { IKM_MAX_BYTES = sizeof((first_sender *)0)->shared, TRANSCRIPT_BYTES = 2616 };

typedef struct {
    uint8_t bytes[IKM_MAX_BYTES]; /* DH1 | DH2 | DH3 | [DH4] | ss */
    size_t n;
} key_material;

/* The public halves of B's prekeys, wherever they come from. */
typedef struct {
    const uint8_t *spk, *opk, *kem;
} prekeys;

int dh_agree(uint8_t out[32], const uint8_t secret[32], const uint8_t public[32])
{
    int bad = crypto_scalarmult(out, secret, public);
    DECLASSIFY(&bad, sizeof bad);
    return bad ? TACET_E_KEY : TACET_OK;
}

static int material_dh(key_material *m, const uint8_t secret[32], const uint8_t public[32])
{
    int rc = dh_agree(m->bytes + m->n, secret, public);
    if (rc == TACET_OK)
        m->n += 32;
    return rc;
}

int envelope_kind(const uint8_t *envelope, size_t n, unsigned *kind)
{
    if (n < 2 || n > TACET_ENVELOPE_MAX_BYTES)
        return TACET_E_MALFORMED;
    if (envelope[0] != TACET_WIRE_VERSION)
        return TACET_E_VERSION;
    if (envelope[1] != ENVELOPE_FIRST && envelope[1] != ENVELOPE_LATER)
        return TACET_E_MALFORMED;
    *kind = envelope[1];
    return TACET_OK;
}

static void write_key(writer *w, enum key_type type, const uint8_t *raw)
{
    uint8_t *p = write_room(w, TACET_TYPED_KEY_BYTES);
    if (p)
        key_encode(p, type, raw);
}

static void clear_encode(uint8_t out[TACET_AGREEMENT_CLEAR_BYTES], const first_envelope *f)
{
    writer w = writer_over(out, TACET_AGREEMENT_CLEAR_BYTES);
    write_be(&w, TACET_WIRE_VERSION, 1);
    write_be(&w, ENVELOPE_FIRST, 1);
    write_key(&w, KEY_X25519, f->ek);
    write_be(&w, f->spk_id, 4);
    write_be(&w, f->has_opk, 1);
    write_be(&w, f->has_opk ? f->opk_id : 0, 4);
    write_be(&w, f->kem_id, 4);
    write_be(&w, f->kem_last_resort, 1);
    write_bytes(&w, f->kem_ciphertext, TACET_KEM_CIPHERTEXT_BYTES);
    assert(writer_bytes(&w) == TACET_AGREEMENT_CLEAR_BYTES);
}

int first_envelope_decode(first_envelope *out, const uint8_t *envelope, size_t n)
{
    if (n <= TACET_FIRST_OVERHEAD_BYTES || n > TACET_ENVELOPE_MAX_BYTES)
        return TACET_E_MALFORMED;
    reader r = reader_over(envelope, n);
    first_envelope f = { 0 };
    uint64_t version = read_be(&r, 1), kind = read_be(&r, 1);
    const uint8_t *ek = read_view(&r, TACET_TYPED_KEY_BYTES);
    f.spk_id = (uint32_t)read_be(&r, 4);
    uint64_t has_opk = read_be(&r, 1);
    f.opk_id = (uint32_t)read_be(&r, 4);
    f.kem_id = (uint32_t)read_be(&r, 4);
    uint64_t last_resort = read_be(&r, 1);
    f.kem_ciphertext = read_view(&r, TACET_KEM_CIPHERTEXT_BYTES);
    if (r.bad || version != TACET_WIRE_VERSION || kind != ENVELOPE_FIRST || has_opk > 1 || last_resort > 1 || (!has_opk && f.opk_id))
        return TACET_E_MALFORMED;
    f.has_opk = has_opk;
    f.kem_last_resort = last_resort;
    int rc = key_decode(f.ek, KEY_X25519, ek);
    if (rc == TACET_OK)
        *out = f;
    return rc;
}

static void write_party(writer *w, const party *p)
{
    write_bytes(w, p->account.bytes, TACET_ACCOUNT_BYTES);
    write_be(w, p->device, 4);
    write_key(w, KEY_ED25519, p->ik);
    write_key(w, KEY_X25519, p->dh);
    write_be(w, p->list_version, 8);
}

/* T, docs/PROTOCOL.md §5.2: everything that the two must agree about. This closes unknown key share (whose keys), re-encapsulation (which KEM key)
 * and key confusion (which key in which place). */
static void transcript_hash(uint8_t t[64], const party *a, const party *b, const prekeys *k, const first_envelope *f)
{
    uint8_t bytes[TRANSCRIPT_BYTES];
    writer w = writer_over(bytes, sizeof bytes);
    write_label(&w, "tacet kx");
    write_be(&w, TACET_WIRE_VERSION, 1);
    write_party(&w, a);
    write_party(&w, b);
    write_be(&w, f->spk_id, 4);
    write_key(&w, KEY_X25519, k->spk);
    write_be(&w, f->has_opk, 1);
    if (f->has_opk) {
        write_be(&w, f->opk_id, 4);
        write_key(&w, KEY_X25519, k->opk);
    } else {
        write_zeros(&w, 4 + TACET_TYPED_KEY_BYTES);
    }
    write_be(&w, f->kem_id, 4);
    write_be(&w, f->kem_last_resort, 1);
    write_be(&w, KEY_MLKEM768, 1);
    write_bytes(&w, k->kem, TACET_KEM_KEY_BYTES);
    write_key(&w, KEY_X25519, f->ek);
    write_bytes(&w, f->kem_ciphertext, TACET_KEM_CIPHERTEXT_BYTES);
    assert(writer_bytes(&w) == TRANSCRIPT_BYTES);
    crypto_generichash(t, 64, bytes, sizeof bytes, NULL, 0);
}

static void session_id_of(uint8_t id[TACET_SESSION_ID_BYTES], const uint8_t t[64]) { crypto_generichash(id, TACET_SESSION_ID_BYTES, t, 64, NULL, 0); }

static void agreed_keys(agreed *out, const uint8_t t[64], const key_material *m)
{
    uint8_t keys[4 * KEY32];
    kdf_hkdf(keys, sizeof keys, t, 64, m->bytes, m->n, "tacet root", sizeof "tacet root");
    memcpy(out->rk, keys, KEY32);
    memcpy(out->hk_a, keys + 32, KEY32);
    memcpy(out->nhk_b, keys + 64, KEY32);
    memcpy(out->pq_0, keys + 96, KEY32);
    session_id_of(out->id, t);
    sodium_memzero(keys, sizeof keys);
}

/* K of the box: all of the key material but DH1. */
static void box_key(uint8_t key[KEY32], const uint8_t *clear, const account_id *b, const uint8_t *material, size_t material_bytes)
{
    uint8_t salt[64];
    crypto_generichash_state h;
    crypto_generichash_init(&h, NULL, 0, sizeof salt);
    crypto_generichash_update(&h, clear, TACET_AGREEMENT_CLEAR_BYTES);
    crypto_generichash_update(&h, b->bytes, sizeof b->bytes);
    crypto_generichash_final(&h, salt, sizeof salt);
    kdf_hkdf(key, KEY32, salt, sizeof salt, material, material_bytes, "tacet sender", sizeof "tacet sender");
}

static int box_seal(uint8_t *part, const tacet_env *env, const party *me, const party *them, const uint8_t *list, size_t list_bytes,
                    const key_material *m)
{
    uint8_t key[KEY32], nonce[24], *box = part + TACET_AGREEMENT_CLEAR_BYTES;
    writer w = writer_over(box + COMMITTED_HEAD_BYTES, TACET_BOX_PLAIN_BYTES);
    write_be(&w, me->device, 4);
    write_be(&w, them->list_version, 8);
    write_be(&w, list_bytes, 2);
    write_bytes(&w, list, list_bytes);
    if (list_bytes > UINT16_MAX || !writer_ok(&w))
        return TACET_E_QUOTA;
    write_zeros(&w, TACET_BOX_PLAIN_BYTES - writer_bytes(&w));
    box_key(key, part, &them->account, m->bytes + 32, m->n - 32);
    env_random(env, nonce, sizeof nonce);
    committed_seal(box, TACET_BOX_PLAIN_BYTES, COMMITTED_BOX, key, nonce, part, TACET_AGREEMENT_CLEAR_BYTES);
    sodium_memzero(key, sizeof key);
    return TACET_OK;
}

/* DH1 to DH4 as the initiator sees them, then ss. */
static int material_of_initiator(key_material *m, uint8_t *ciphertext, const tacet_env *env, const uint8_t my_dh_secret[32], const dh_pair *ek,
                                 const agreement_bundle *b)
{
    uint8_t coins[32];
    int rc = material_dh(m, my_dh_secret, b->spk);
    if (rc == TACET_OK)
        rc = material_dh(m, ek->secret, b->them.dh);
    if (rc == TACET_OK)
        rc = material_dh(m, ek->secret, b->spk);
    if (rc == TACET_OK && b->has_opk)
        rc = material_dh(m, ek->secret, b->opk);
    if (rc != TACET_OK)
        return rc;
    env_random(env, coins, sizeof coins);
    if (mlkem768_check(b->kem) != TACET_OK || crypto_kem_mlkem768_enc_deterministic(ciphertext, m->bytes + m->n, b->kem, coins) != 0)
        rc = TACET_E_KEY;
    m->n += 32;
    sodium_memzero(coins, sizeof coins);
    return rc;
}

int agreement_begin(agreed *out, uint8_t part[TACET_FIRST_OVERHEAD_BYTES], const tacet_env *env, const party *me, const uint8_t my_dh_secret[32],
                    const uint8_t *my_signed_list, size_t my_signed_list_bytes, const agreement_bundle *bundle)
{
    dh_pair ek;
    key_material m = { .n = 0 };
    uint8_t ciphertext[TACET_KEM_CIPHERTEXT_BYTES], t[64];
    dh_pair_generate(&ek, env);
    int rc = material_of_initiator(&m, ciphertext, env, my_dh_secret, &ek, bundle);
    if (rc != TACET_OK)
        goto out;
    first_envelope f = { .spk_id = bundle->spk_id,
                         .opk_id = bundle->has_opk ? bundle->opk_id : 0,
                         .kem_id = bundle->kem_id,
                         .has_opk = bundle->has_opk,
                         .kem_last_resort = bundle->kem_last_resort,
                         .kem_ciphertext = ciphertext };
    memcpy(f.ek, ek.public, 32);
    clear_encode(part, &f);
    rc = box_seal(part, env, me, &bundle->them, my_signed_list, my_signed_list_bytes, &m);
    if (rc != TACET_OK)
        goto out;
    transcript_hash(t, me, &bundle->them, &(prekeys){ bundle->spk, bundle->opk, bundle->kem }, &f);
    agreed_keys(out, t, &m);
out:
    sodium_memzero(&ek, sizeof ek);
    sodium_memzero(&m, sizeof m);
    return rc;
}

/* DH2 to DH4 and ss, as the receiver sees them; DH1's place is filled when the writer is known. */
static int material_of_receiver(key_material *m, const agreement_secrets *s, const first_envelope *f)
{
    m->n = 32;
    if (f->has_opk && (!s->opk_secret || !s->opk))
        return TACET_E_FORGED;
    int rc = material_dh(m, s->dh_secret, f->ek);
    if (rc == TACET_OK)
        rc = material_dh(m, s->spk_secret, f->ek);
    if (rc == TACET_OK && f->has_opk)
        rc = material_dh(m, s->opk_secret, f->ek);
    if (rc != TACET_OK)
        return TACET_E_FORGED;
    int bad = crypto_kem_mlkem768_dec(m->bytes + m->n, f->kem_ciphertext, s->kem_secret);
    DECLASSIFY(&bad, sizeof bad);
    m->n += 32;
    return bad ? TACET_E_FORGED : TACET_OK;
}

/* The box's plaintext, and nothing behind it but zeros. */
static int box_parse(first_sender *out, const uint8_t plain[TACET_BOX_PLAIN_BYTES])
{
    reader r = reader_over(plain, TACET_BOX_PLAIN_BYTES);
    out->device = (uint32_t)read_be(&r, 4);
    out->receiver_list_version = read_be(&r, 8);
    out->signed_list_bytes = read_be(&r, 2);
    const uint8_t *list = read_view(&r, out->signed_list_bytes);
    size_t rest = reader_left(&r);
    const uint8_t *zeros = read_view(&r, rest);
    if (!reader_done(&r) || !list || out->signed_list_bytes > sizeof out->signed_list || !sodium_is_zero(zeros, rest))
        return TACET_E_FORGED;
    memcpy(out->signed_list, list, out->signed_list_bytes);
    if (device_list_decode(&out->list, list, out->signed_list_bytes) != TACET_OK || !device_list_find(&out->list, out->device))
        return TACET_E_FORGED;
    return TACET_OK;
}

/* T as the receiver computes it; *them is the writer. */
static void transcript_of_receiver(uint8_t t[64], party *them, const party *me, const agreement_secrets *s, const first_sender *sender,
                                   const first_envelope *f)
{
    *them = (party){ .account = sender->list.account, .device = sender->device, .list_version = sender->list.version };
    memcpy(them->ik, sender->list.ik, 32);
    memcpy(them->dh, device_list_find(&sender->list, sender->device)->dh, 32);
    party us = *me;
    us.list_version = sender->receiver_list_version;
    transcript_hash(t, them, &us, &(prekeys){ s->spk, s->opk, s->kem }, f);
}

int first_envelope_sender(first_sender *out, const party *me, const agreement_secrets *secrets, const uint8_t *envelope, size_t n)
{
    first_envelope f;
    first_sender got = { .device = 0 };
    key_material m = { .n = 0 };
    party them;
    uint8_t key[KEY32] = { 0 }, plain[TACET_BOX_PLAIN_BYTES], t[64];
    int rc = TACET_E_FORGED;
    if (first_envelope_decode(&f, envelope, n) != TACET_OK || material_of_receiver(&m, secrets, &f) != TACET_OK)
        goto out;
    box_key(key, envelope, &me->account, m.bytes + 32, m.n - 32);
    rc = committed_open(plain, envelope + TACET_AGREEMENT_CLEAR_BYTES, TACET_BOX_BYTES, COMMITTED_BOX, key, envelope, TACET_AGREEMENT_CLEAR_BYTES);
    if (rc == TACET_OK) {
        DECLASSIFY(plain, sizeof plain); /* who writes decides what happens next */
        rc = box_parse(&got, plain);
    }
    if (rc != TACET_OK)
        goto out;
    transcript_of_receiver(t, &them, me, secrets, &got, &f);
    session_id_of(got.session_id, t);
    memcpy(got.shared, m.bytes, sizeof got.shared);
    got.shared_bytes = m.n;
    *out = got;
out:
    sodium_memzero(&got, sizeof got);
    sodium_memzero(&m, sizeof m);
    sodium_memzero(key, sizeof key);
    sodium_memzero(plain, sizeof plain);
    return rc;
}

int agreement_finish(agreed *out, party *them, const party *me, const agreement_secrets *secrets, const first_sender *sender, const uint8_t *envelope,
                     size_t n)
{
    first_envelope f;
    key_material m = { .n = sender->shared_bytes };
    uint8_t t[64], id[TACET_SESSION_ID_BYTES];
    int rc = TACET_E_FORGED;
    if (m.n > sizeof m.bytes || !device_list_find(&sender->list, sender->device) || first_envelope_decode(&f, envelope, n) != TACET_OK ||
        (f.has_opk && !secrets->opk))
        goto out;
    memcpy(m.bytes, sender->shared, sizeof m.bytes);
    transcript_of_receiver(t, them, me, secrets, sender, &f);
    session_id_of(id, t);
    /* DH1, which needs to know the writer */
    if (sodium_memcmp(id, sender->session_id, sizeof id) != 0 || dh_agree(m.bytes, secrets->spk_secret, them->dh) != TACET_OK)
        goto out;
    agreed_keys(out, t, &m);
    rc = TACET_OK;
out:
    sodium_memzero(&m, sizeof m);
    return rc;
}
