/* tests/unit/transport/handshake_pair.c: see handshake_pair.h. */
#include "handshake_pair.h"
#include "x25519.h"

const uint8_t pair_prologue[TACET_PREAMBLE_BYTES] = { 't', 'a', 'c', 'e', 't', 1, 1, 0 };

handshake *relay_new(pair *p)
{
    handshake *h = NULL;
    ck_assert_int_eq(handshake_responder_new(&h, HANDSHAKE_XKHFS, &p->env.env, pair_prologue, sizeof pair_prologue, p->rk), TACET_OK);
    return h;
}

handshake *client_new(pair *p, const uint8_t relay_public[32])
{
    handshake *h = NULL;
    ck_assert_int_eq(handshake_initiator_new(&h, HANDSHAKE_XKHFS, &p->env.env, pair_prologue, sizeof pair_prologue, p->tk, relay_public), TACET_OK);
    return h;
}

void pair_init(pair *p)
{
    memset(p, 0, sizeof *p);
    env_seeded_init(&p->env, 7, 0);
    env_random(&p->env.env, p->tk, 32);
    env_random(&p->env.env, p->rk, 32);
    x25519_public(p->tk_public, p->tk);
    x25519_public(p->rk_public, p->rk);
    p->client = client_new(p, p->rk_public);
    p->relay = relay_new(p);
}

void pair_free(pair *p)
{
    p->client = handshake_free(p->client);
    p->relay = handshake_free(p->relay);
}

void pair_run(pair *p, int n)
{
    if (n > 0) {
        ck_assert_int_eq(handshake_write(p->client, p->m1), TACET_OK);
        ck_assert_int_eq(handshake_read(p->relay, p->m1, sizeof p->m1), TACET_OK);
    }
    if (n > 1) {
        ck_assert_int_eq(handshake_write(p->relay, p->m2), TACET_OK);
        ck_assert_int_eq(handshake_read(p->client, p->m2, sizeof p->m2), TACET_OK);
    }
    if (n > 2) {
        ck_assert_int_eq(handshake_write(p->client, p->m3), TACET_OK);
        ck_assert_int_eq(handshake_read(p->relay, p->m3, sizeof p->m3), TACET_OK);
    }
}

void assert_dead(handshake *h)
{
    handshake_keys keys;
    uint8_t out[TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    ck_assert_int_eq(handshake_next(h), HANDSHAKE_FAILED);
    ck_assert_uint_eq(handshake_message_bytes(h), 0);
    ck_assert_int_eq(handshake_write(h, out), TACET_E_HANDSHAKE);
    ck_assert_int_eq(handshake_read(h, out, 64), TACET_E_HANDSHAKE);
    ck_assert_int_eq(handshake_split(h, &keys), TACET_E_HANDSHAKE);
    ck_assert(sodium_is_zero((const uint8_t *)&h->sym, sizeof h->sym) && sodium_is_zero(h->e_secret, 32) && sodium_is_zero(h->s_secret, 32));
}

void assert_refuses(handshake *h, const uint8_t *message, size_t n)
{
    ck_assert_int_eq(handshake_read(h, message, n), TACET_E_HANDSHAKE);
    assert_dead(h);
}
