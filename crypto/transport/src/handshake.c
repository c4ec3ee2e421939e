/* Noise handshakes, revision 34: one loop over a table of tokens serves XK, NK and their hfs forms, on both sides and in both directions.
 * Randomness is drawn from the env in this order: the 32 bytes of e when its token is written; then 64 bytes (d | z of FIPS 203) when e1 is
 * written, or 32 bytes (m of FIPS 203) when ekem1 is written. */
#include "base/reader.h"
#include "base/writer.h"
#include "noise.h"
#include "x25519.h"
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

/*                                             messages, in turns, the initiator first */
static const noise_pattern patterns[HANDSHAKE_PATTERNS] = {
    [HANDSHAKE_XK] = { "Noise_XK_25519_ChaChaPoly_BLAKE2b", true, 3, { { TOKEN_E, TOKEN_ES }, { TOKEN_E, TOKEN_EE }, { TOKEN_S, TOKEN_SE } } },
    [HANDSHAKE_NK] = { "Noise_NK_25519_ChaChaPoly_BLAKE2b", false, 2, { { TOKEN_E, TOKEN_ES }, { TOKEN_E, TOKEN_EE } } },
    [HANDSHAKE_XKHFS] = { "Noise_XKhfs_25519+MLKEM768_ChaChaPoly_BLAKE2b",
                          true,
                          3,
                          { { TOKEN_E, TOKEN_ES, TOKEN_E1 }, { TOKEN_E, TOKEN_EE, TOKEN_EKEM1 }, { TOKEN_S, TOKEN_SE } } },
    [HANDSHAKE_NKHFS] = { "Noise_NKhfs_25519+MLKEM768_ChaChaPoly_BLAKE2b",
                          false,
                          2,
                          { { TOKEN_E, TOKEN_ES, TOKEN_E1 }, { TOKEN_E, TOKEN_EE, TOKEN_EKEM1 } } },
};

_Static_assert(crypto_kem_mlkem768_PUBLICKEYBYTES == NOISE_KEM_PUBLIC_BYTES, "ML-KEM-768");
_Static_assert(crypto_kem_mlkem768_SECRETKEYBYTES == NOISE_KEM_SECRET_BYTES, "ML-KEM-768");
_Static_assert(crypto_kem_mlkem768_CIPHERTEXTBYTES == NOISE_KEM_CIPHERTEXT_BYTES, "ML-KEM-768");
_Static_assert(crypto_kem_mlkem768_SEEDBYTES == NOISE_KEM_SEED_BYTES, "ML-KEM-768");

bool noise_kem_key_ok(const uint8_t key[NOISE_KEM_PUBLIC_BYTES])
{
    enum { Q = 3329, COEFFICIENTS_BYTES = 1152 };
    for (size_t i = 0; i < COEFFICIENTS_BYTES; i += 3) {
        unsigned low = key[i] | (key[i + 1] & 15u) << 8, high = key[i + 1] >> 4 | (unsigned)key[i + 2] << 4;
        if (low >= Q || high >= Q)
            return false;
    }
    return true;
}

/* ---- tokens, as the writer does them ------------------------------------------------------------------------------------------- */
static int write_e(handshake *h, writer *w)
{
    uint8_t *out = write_room(w, sizeof h->e_public);
    if (!out)
        return TACET_E_HANDSHAKE;
    env_random(h->env, h->e_secret, sizeof h->e_secret);
    x25519_public(h->e_public, h->e_secret);
    memcpy(out, h->e_public, sizeof h->e_public);
    symmetric_mix_hash(&h->sym, h->e_public, sizeof h->e_public);
    return TACET_OK;
}

static int write_sealed(handshake *h, writer *w, const uint8_t *plain, size_t n)
{
    uint8_t *out = write_room(w, symmetric_sealed_bytes(&h->sym, n));
    return out ? symmetric_encrypt_and_hash(&h->sym, out, plain, n) : TACET_E_HANDSHAKE;
}

/* HFS: e1 = GENERATE_KEM; the public key goes out under EncryptAndHash. */
static int write_e1(handshake *h, writer *w)
{
    uint8_t seed[NOISE_KEM_SEED_BYTES], public[NOISE_KEM_PUBLIC_BYTES];
    env_random(h->env, seed, sizeof seed);
    int rc = crypto_kem_mlkem768_seed_keypair(public, h->kem.secret, seed) == 0 ? TACET_OK : TACET_E_HANDSHAKE;
    if (rc == TACET_OK)
        rc = write_sealed(h, w, public, sizeof public);
    sodium_memzero(seed, sizeof seed);
    return rc;
}

/* HFS: ekem1 = ENCAPSULATE(re1); EncryptAndHash(ciphertext), then MixKey(shared secret). */
static int write_ekem1(handshake *h, writer *w)
{
    uint8_t coins[NOISE_KEM_COINS_BYTES], ciphertext[NOISE_KEM_CIPHERTEXT_BYTES], shared[crypto_kem_mlkem768_SHAREDSECRETBYTES];
    env_random(h->env, coins, sizeof coins);
    int rc = crypto_kem_mlkem768_enc_deterministic(ciphertext, shared, h->kem.remote, coins) == 0 ? TACET_OK : TACET_E_HANDSHAKE;
    if (rc == TACET_OK)
        rc = write_sealed(h, w, ciphertext, sizeof ciphertext);
    if (rc == TACET_OK)
        symmetric_mix_key(&h->sym, shared, sizeof shared);
    sodium_memzero(coins, sizeof coins);
    sodium_memzero(shared, sizeof shared);
    return rc;
}

/* ---- tokens, as the reader does them: each point that arrives goes into a DH token of the same message, and mix_dh checks it ---- */
static int read_e(handshake *h, reader *r)
{
    read_into(r, h->re, sizeof h->re);
    if (r->bad)
        return TACET_E_HANDSHAKE;
    symmetric_mix_hash(&h->sym, h->re, sizeof h->re);
    return TACET_OK;
}

static int read_sealed(handshake *h, reader *r, uint8_t *plain, size_t n)
{
    const uint8_t *in = read_view(r, symmetric_sealed_bytes(&h->sym, n));
    return in ? symmetric_decrypt_and_hash(&h->sym, plain, in, n) : TACET_E_HANDSHAKE;
}

static int read_s(handshake *h, reader *r) { return read_sealed(h, r, h->rs, sizeof h->rs); }

static int read_e1(handshake *h, reader *r)
{
    int rc = read_sealed(h, r, h->kem.remote, sizeof h->kem.remote);
    return rc == TACET_OK && !noise_kem_key_ok(h->kem.remote) ? TACET_E_HANDSHAKE : rc;
}

static int read_ekem1(handshake *h, reader *r)
{
    uint8_t ciphertext[NOISE_KEM_CIPHERTEXT_BYTES], shared[crypto_kem_mlkem768_SHAREDSECRETBYTES];
    int rc = read_sealed(h, r, ciphertext, sizeof ciphertext);
    if (rc == TACET_OK && crypto_kem_mlkem768_dec(shared, ciphertext, h->kem.secret) != 0)
        rc = TACET_E_HANDSHAKE;
    if (rc == TACET_OK)
        symmetric_mix_key(&h->sym, shared, sizeof shared);
    sodium_memzero(shared, sizeof shared);
    return rc;
}

/* ---- Diffie-Hellman tokens: the same for writer and reader ------------------------------------------------------------------------- */
/* Refuses points that are not canonical or of small order, and a result of zero. */
static int mix_dh(handshake *h, const uint8_t secret[32], const uint8_t public[32])
{
    uint8_t shared[32];
    int rc = x25519_shared(shared, secret, public) == TACET_OK ? TACET_OK : TACET_E_HANDSHAKE;
    if (rc == TACET_OK)
        symmetric_mix_key(&h->sym, shared, sizeof shared);
    sodium_memzero(shared, sizeof shared);
    return rc;
}

static int dh_token(handshake *h, noise_token t)
{
    if (t == TOKEN_EE)
        return mix_dh(h, h->e_secret, h->re);
    /* es: the initiator's e and the responder's s; se: the other way round (Noise §5.3) */
    bool ours_is_e = (t == TOKEN_ES) == h->initiator;
    return ours_is_e ? mix_dh(h, h->e_secret, h->rs) : mix_dh(h, h->s_secret, h->re);
}

static int write_token(handshake *h, noise_token t, writer *w)
{
    switch (t) {
    case TOKEN_E:
        return write_e(h, w); /* e */
    case TOKEN_S:
        return write_sealed(h, w, h->s_public, sizeof h->s_public); /* s */
    case TOKEN_EE:
    case TOKEN_ES:
    case TOKEN_SE:
        return dh_token(h, t); /* ee, es, se */
    case TOKEN_E1:
        return write_e1(h, w); /* e1 */
    case TOKEN_EKEM1:
        return write_ekem1(h, w); /* ekem1 */
    case TOKEN_END:
        break;
    }
    return TACET_OK;
}

static int read_token(handshake *h, noise_token t, reader *r)
{
    switch (t) {
    case TOKEN_E:
        return read_e(h, r); /* e */
    case TOKEN_S:
        return read_s(h, r); /* s */
    case TOKEN_EE:
    case TOKEN_ES:
    case TOKEN_SE:
        return dh_token(h, t); /* ee, es, se */
    case TOKEN_E1:
        return read_e1(h, r); /* e1 */
    case TOKEN_EKEM1:
        return read_ekem1(h, r); /* ekem1 */
    case TOKEN_END:
        break;
    }
    return TACET_OK;
}

/* ---- messages ------------------------------------------------------------------------------------------------------------------------ */
size_t noise_message_bytes(const handshake *h, size_t payload_bytes)
{
    if (h->dead || h->at >= h->pattern->messages)
        return 0;
    static const size_t plain[] = { [TOKEN_E] = 32, [TOKEN_S] = 32, [TOKEN_E1] = NOISE_KEM_PUBLIC_BYTES, [TOKEN_EKEM1] = NOISE_KEM_CIPHERTEXT_BYTES };
    const uint8_t *tokens = h->pattern->tokens[h->at];
    bool key = h->sym.has_key;
    size_t n = 0;
    for (size_t i = 0; i < NOISE_TOKENS_MAX && tokens[i] != TOKEN_END; i++) {
        switch ((noise_token)tokens[i]) {
        case TOKEN_E:
            n += plain[TOKEN_E];
            break;
        case TOKEN_S:
        case TOKEN_E1:
        case TOKEN_EKEM1:
            n += plain[tokens[i]] + (key ? NOISE_TAG_BYTES : 0);
            break;
        case TOKEN_EE:
        case TOKEN_ES:
        case TOKEN_SE:
            key = true;
            break;
        case TOKEN_END:
            break;
        }
    }
    return n + payload_bytes + (key ? NOISE_TAG_BYTES : 0);
}

static void wipe_secrets(handshake *h)
{
    sodium_memzero(&h->sym, sizeof h->sym);
    sodium_memzero(h->s_secret, sizeof h->s_secret);
    sodium_memzero(h->e_secret, sizeof h->e_secret);
    sodium_memzero(&h->kem, sizeof h->kem);
}

static void handshake_kill(handshake *h)
{
    wipe_secrets(h);
    h->dead = true;
}

int noise_write(handshake *h, uint8_t *out, const uint8_t *payload, size_t payload_bytes)
{
    if (handshake_next(h) != HANDSHAKE_SEND)
        return TACET_E_HANDSHAKE;
    size_t n = noise_message_bytes(h, payload_bytes);
    writer w = writer_over(out, n);
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < NOISE_TOKENS_MAX; i++)
        rc = write_token(h, (noise_token)h->pattern->tokens[h->at][i], &w);
    if (rc == TACET_OK)
        rc = write_sealed(h, &w, payload, payload_bytes);
    if (rc == TACET_OK) {
        assert(writer_bytes(&w) == n);
        h->at++;
    } else {
        sodium_memzero(out, n);
        handshake_kill(h);
    }
    return rc;
}

int noise_read(handshake *h, const uint8_t *message, size_t message_bytes, uint8_t *payload, size_t payload_bytes)
{
    if (handshake_next(h) != HANDSHAKE_RECEIVE)
        return TACET_E_HANDSHAKE;
    reader r = reader_over(message, message_bytes);
    int rc = message_bytes == noise_message_bytes(h, payload_bytes) ? TACET_OK : TACET_E_HANDSHAKE;
    for (size_t i = 0; rc == TACET_OK && i < NOISE_TOKENS_MAX; i++)
        rc = read_token(h, (noise_token)h->pattern->tokens[h->at][i], &r);
    if (rc == TACET_OK)
        rc = read_sealed(h, &r, payload, payload_bytes);
    if (rc == TACET_OK && !reader_done(&r))
        rc = TACET_E_HANDSHAKE;
    if (rc == TACET_OK)
        h->at++;
    else
        handshake_kill(h);
    return rc;
}

/* ---- the public face ------------------------------------------------------------------------------------------------------------------ */
static void handshake_start(handshake *h, handshake_pattern pattern, const tacet_env *env, const uint8_t *prologue, size_t prologue_bytes,
                            const uint8_t *static_secret)
{
    memset(h, 0, sizeof *h);
    h->pattern = &patterns[pattern];
    h->env = env;
    symmetric_start(&h->sym, h->pattern->name);
    symmetric_mix_hash(&h->sym, prologue, prologue_bytes);
    if (static_secret) {
        memcpy(h->s_secret, static_secret, sizeof h->s_secret);
        x25519_public(h->s_public, h->s_secret);
    }
}

/* The client has one or two of these at a time: guarded, locked pages. */
int handshake_initiator_new(handshake **out, handshake_pattern pattern, const tacet_env *env, const uint8_t *prologue, size_t prologue_bytes,
                            const uint8_t *static_secret, const uint8_t remote_static[TACET_DH_BYTES])
{
    assert(pattern < HANDSHAKE_PATTERNS && patterns[pattern].initiator_static == (static_secret != NULL));
    if (x25519_point_check(remote_static) != TACET_OK)
        return TACET_E_KEY;
    handshake *h = sodium_malloc(sizeof *h);
    if (!h)
        return TACET_E_NOMEM;
    if (sodium_mlock(h, sizeof *h) != 0) { /* sodium_malloc tries, and does not say whether it could */
        sodium_free(h);
        return TACET_E_LOCKING;
    }
    handshake_start(h, pattern, env, prologue, prologue_bytes, static_secret);
    h->initiator = true;
    memcpy(h->rs, remote_static, sizeof h->rs);
    symmetric_mix_hash(&h->sym, h->rs, sizeof h->rs); /* <- s */
    *out = h;
    return TACET_OK;
}

/* The relay has up to 4,096 of these: plain heap, wiped by handshake_free, in a process that leaves no core and lets nobody trace it. */
int handshake_responder_new(handshake **out, handshake_pattern pattern, const tacet_env *env, const uint8_t *prologue, size_t prologue_bytes,
                            const uint8_t static_secret[TACET_DH_BYTES])
{
    assert(pattern < HANDSHAKE_PATTERNS);
    handshake *h = malloc(sizeof *h);
    if (!h)
        return TACET_E_NOMEM;
    handshake_start(h, pattern, env, prologue, prologue_bytes, static_secret);
    symmetric_mix_hash(&h->sym, h->s_public, sizeof h->s_public); /* <- s */
    *out = h;
    return TACET_OK;
}

handshake *handshake_free(handshake *h)
{
    if (h) {
        bool guarded = h->initiator;
        sodium_memzero(h, sizeof *h);
        if (guarded)
            sodium_free(h);
        else
            free(h);
    }
    return NULL;
}

handshake_action handshake_next(const handshake *h)
{
    if (h->dead)
        return HANDSHAKE_FAILED;
    if (h->at == h->pattern->messages)
        return HANDSHAKE_DONE;
    return (h->at % 2 == 0) == h->initiator ? HANDSHAKE_SEND : HANDSHAKE_RECEIVE;
}

size_t handshake_message_bytes(const handshake *h) { return noise_message_bytes(h, 0); }

int handshake_write(handshake *h, uint8_t *out) { return noise_write(h, out, NULL, 0); }

int handshake_read(handshake *h, const uint8_t *message, size_t message_bytes)
{
    uint8_t none;
    return noise_read(h, message, message_bytes, &none, 0);
}

int handshake_split(handshake *h, handshake_keys *out)
{
    if (handshake_next(h) != HANDSHAKE_DONE || h->split)
        return TACET_E_HANDSHAKE;
    uint8_t to_responder[NOISE_KEY_BYTES], to_initiator[NOISE_KEY_BYTES];
    symmetric_split(&h->sym, to_responder, to_initiator);
    memcpy(out->send, h->initiator ? to_responder : to_initiator, sizeof out->send);
    memcpy(out->receive, h->initiator ? to_initiator : to_responder, sizeof out->receive);
    memcpy(out->hash, h->sym.h, sizeof out->hash);
    memcpy(out->remote_static, h->rs, sizeof out->remote_static);
    sodium_memzero(to_responder, sizeof to_responder);
    sodium_memzero(to_initiator, sizeof to_initiator);
    wipe_secrets(h);
    h->split = true;
    return TACET_OK;
}
