/* Published vectors: Noise XK and NK with 25519, ChaChaPoly and BLAKE2b (the cacophony set, as in tests of noise-c and snow), and X25519 of
 * RFC 7748. They show that the one token loop and the symmetric state are Noise's; the hfs forms add two tokens to it. */
#include "fixed.h"
#include "noise.h"
#include "x25519.h"

#define I_STATIC "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"
#define I_EPHEMERAL "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"
#define R_STATIC "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"
#define R_PUBLIC "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62"
#define R_EPHEMERAL "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"
#define PROLOGUE "4a6f686e2047616c74"

static const char *const payloads[] = {
    "4c756477696720766f6e204d69736573", "4d757272617920526f746862617264",     "462e20412e20486179656b",
    "4361726c204d656e676572",           "4a65616e2d426170746973746520536179", "457567656e2042f6686d20766f6e2042617765726b"
};
static const struct {
    handshake_pattern pattern;
    const char *message[6];
} row[] = {
    { HANDSHAKE_XK,
      { "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79442806e28405ac4325fcf83607489496d6d326ab3fe084dbb1634f801405a69297",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088430ea4de2eff2cd3b1e7be5f7e792d87395f0863722ab04ec030529d6c5820de",
        "ec9136de99472b49eda3ba9fe84882d48f131b27386784b3f45e9f103ad1b6efa2f2e95f0afce5d0d4c8052aed81438500be54a8fd8dd4f5ba04f7907b312701"
        "d0d687716a30b23c22f568",
        "d6ea0c3364ed480b415d44c3235fdb311dfa8d6e1dc1e6f3a76ee3", "59f41ca9ea14a8305bae379bbdd8b4d5cf9bd308d2d7e042e2bf03c48dd910b37b",
        "fa23ba8af343a3934c64219d3d0206d66894f7cdb180b738324608e15b0102095ed2f44d4b" } },
    { HANDSHAKE_NK,
      { "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944f3041e39b0c8ba56008f2d1183fea6ac83564ead0267b0842ec4c521ed1e1407",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088432281dcc1835131f305dca14525e15e27d1f32294aa835e40fc18be480c1db9",
        "357e24e9f28ba22080666f7efacc01b2a0a4e358e742aeeff2aaf5", "8b23b34ff3169de06a39551e969ca7876cc5122a4acff74bf2ec29",
        "5c104779b6f36e59fca73ed94b0ae092eae1d76dd109caf5060aaaedba385d7076",
        "34ae0518d0cd3aa641ed372ea94935ceecd87f8c4b422ce21a33d3f6f5493891e3e915d83f" } },
};

static void seal_transport(const uint8_t key[32], uint64_t n, const uint8_t *plain, size_t plain_bytes, uint8_t *out)
{
    uint8_t nonce[NOISE_NONCE_BYTES];
    noise_nonce(nonce, n);
    ck_assert_int_eq(crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, plain_bytes, NULL, 0, NULL, nonce, key), 0);
}

START_TEST(published_noise_vectors)
{
    uint8_t s[32], rs[32], server_secret[32], prologue[16], want[128], got[128], plain[64], back[64];
    size_t prologue_bytes = unhex(prologue, sizeof prologue, PROLOGUE);
    fixed_env ie, re;
    handshake *side[2] = { NULL, NULL };
    bool xk = row[_i].pattern == HANDSHAKE_XK;
    fixed_init(&ie);
    fixed_add(&ie, I_EPHEMERAL);
    fixed_init(&re);
    fixed_add(&re, R_EPHEMERAL);
    unhex(s, 32, I_STATIC);
    unhex(rs, 32, R_PUBLIC);
    unhex(server_secret, 32, R_STATIC);
    ck_assert_int_eq(handshake_initiator_new(&side[0], row[_i].pattern, &ie.env, prologue, prologue_bytes, xk ? s : NULL, rs), TACET_OK);
    ck_assert_int_eq(handshake_responder_new(&side[1], row[_i].pattern, &re.env, prologue, prologue_bytes, server_secret), TACET_OK);

    unsigned m = 0;
    for (; handshake_next(side[0]) != HANDSHAKE_DONE; m++) {
        handshake *from = side[m % 2], *to = side[(m + 1) % 2];
        size_t n = unhex(plain, sizeof plain, payloads[m]), want_bytes = unhex(want, sizeof want, row[_i].message[m]);
        ck_assert_uint_eq(noise_message_bytes(from, n), want_bytes);
        ck_assert_int_eq(noise_write(from, got, plain, n), TACET_OK);
        ck_assert_mem_eq(got, want, want_bytes);
        ck_assert_int_eq(noise_read(to, got, want_bytes, back, n), TACET_OK);
        ck_assert_mem_eq(back, plain, n);
    }
    ck_assert_uint_eq(m, xk ? 3 : 2);

    handshake_keys key[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(handshake_split(side[i], &key[i]), TACET_OK);
    ck_assert_mem_eq(key[0].hash, key[1].hash, 64);
    ck_assert_mem_eq(key[0].send, key[1].receive, 32);
    ck_assert_mem_eq(key[0].receive, key[1].send, 32);
    for (uint64_t n[2] = { 0, 0 }; m < 6; m++) {
        size_t plain_bytes = unhex(plain, sizeof plain, payloads[m]), want_bytes = unhex(want, sizeof want, row[_i].message[m]);
        seal_transport(key[m % 2].send, n[m % 2]++, plain, plain_bytes, got);
        ck_assert_mem_eq(got, want, want_bytes);
    }
    for (int i = 0; i < 2; i++)
        side[i] = handshake_free(side[i]);
}
END_TEST

START_TEST(rfc7748_vectors)
{
    uint8_t k[32], u[32], want[32], got[32] = { 0 };
    unhex(k, 32, "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    unhex(u, 32, "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    unhex(want, 32, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    ck_assert_int_eq(x25519_shared(got, k, u), TACET_OK);
    ck_assert_mem_eq(got, want, 32);

    /* The RFC's second point has its top bit set: right for X25519, refused by us. */
    unhex(k, 32, "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d");
    unhex(u, 32, "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493");
    unhex(want, 32, "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
    ck_assert_int_eq(crypto_scalarmult_curve25519(got, k, u), 0);
    ck_assert_mem_eq(got, want, 32);
    ck_assert_int_eq(x25519_shared(got, k, u), TACET_E_KEY);

    uint8_t a[32], b[32], shared[32];
    unhex(a, 32, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    unhex(b, 32, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    unhex(want, 32, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    x25519_public(u, b);
    ck_assert_int_eq(x25519_shared(shared, a, u), TACET_OK);
    ck_assert_mem_eq(shared, want, 32);
    x25519_public(u, a);
    ck_assert_int_eq(x25519_shared(shared, b, u), TACET_OK);
    ck_assert_mem_eq(shared, want, 32);
}
END_TEST

START_TEST(rfc7748_iterated)
{
    uint8_t k[32] = { 9 }, u[32] = { 9 }, r[32], want[32];
    for (int i = 1; i <= 1000; i++) {
        ck_assert_int_eq(crypto_scalarmult_curve25519(r, k, u), 0);
        memcpy(u, k, 32);
        memcpy(k, r, 32);
        if (i == 1) {
            unhex(want, 32, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
            ck_assert_mem_eq(k, want, 32);
        }
    }
    unhex(want, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
    ck_assert_mem_eq(k, want, 32);
}
END_TEST

SUITE("noise", LOOP(published_noise_vectors, ROWS(row)), TEST(rfc7748_vectors), TEST(rfc7748_iterated))
