/* See person.h. */
#include "person.h"
#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define MUST(expression) ck_assert_int_eq((expression), TACET_OK)

void token_make(const char *word, uint8_t token[32], uint8_t hash[32])
{
    crypto_generichash(token, 32, (const uint8_t *)word, strlen(word), NULL, 0);
    token_hash(hash, token);
}

void person_make(person *p, uint64_t now_s)
{
    const tacet_env *env = env_system();
    memset(p, 0, sizeof *p);
    sign_pair_generate(&p->ik, env);
    sign_pair_generate(&p->device_sign, env);
    dh_pair_generate(&p->dh, env);
    dh_pair_generate(&p->tk, env);
    memcpy(p->list.ik, p->ik.public, 32);
    p->list.version = 1;
    p->list.count = 1;
    p->list.device[0] = (device_entry){ .id = 1, .lowest = 1, .highest = 1, .created_s = now_s };
    memcpy(p->list.device[0].sign, p->device_sign.public, 32);
    memcpy(p->list.device[0].dh, p->dh.public, 32);
    memcpy(p->list.device[0].transport, p->tk.public, 32);
    MUST(device_list_sign(&p->list, p->list_bytes, &p->list_size, p->ik.secret));
    randombytes_buf(p->token, 32);
    randombytes_buf(p->request_token, 32);
}

static void prove(const person *p, enum sign_purpose purpose, const uint8_t handshake_hash[64], const device_list *l, uint8_t proof[64])
{
    uint8_t object[96];
    memcpy(object, handshake_hash, 64);
    memcpy(object + 64, l->hash, 32);
    object_sign(proof, purpose, &p->list.account, 0, object, sizeof object, p->ik.secret);
}

frame person_register(const person *p, const uint8_t handshake_hash[64], uint8_t proof[64])
{
    frame f = { .kind = FRAME_REGISTER };
    prove(p, SIGN_REGISTER, handshake_hash, &p->list, proof);
    f.register_.list = (view){ p->list_bytes, p->list_size };
    f.register_.device = 1;
    f.register_.proof = (view){ proof, 64 };
    return f;
}

frame person_devices(const person *p, const uint8_t handshake_hash[64], const device_list *l, const uint8_t *bytes, size_t n, uint8_t proof[64])
{
    frame f = { .kind = FRAME_DEVICES };
    prove(p, SIGN_DEVICES_CHANGE, handshake_hash, l, proof);
    f.devices.list = (view){ bytes, n };
    f.devices.proof = (view){ proof, 64 };
    return f;
}

frame person_entry(const person *p, const uint8_t relay_key[32], const char *name, uint64_t now_s, uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES])
{
    directory_entry e = { .expires_s = now_s + TACET_DIRECTORY_LIFETIME_S };
    memcpy(e.ik, p->ik.public, 32);
    memcpy(e.relay, relay_key, 32);
    memcpy(e.request_token, p->request_token, 32);
    snprintf(e.name, sizeof e.name, "%s", name);
    MUST(directory_entry_sign(&e, bytes, p->ik.secret));
    frame f = { .kind = FRAME_PUBLISH_NAME };
    f.publish_name.entry = (view){ bytes, TACET_DIRECTORY_ENTRY_BYTES };
    return f;
}

void person_prekey(const person *p, enum prekey_kind kind, uint32_t id, uint64_t now_s, uint8_t out[TACET_PREKEY_MAX_BYTES], view *v)
{
    prekey k = { .kind = kind, .id = id, .created_s = now_s, .expires_s = now_s + TACET_PREKEY_LIFETIME_S };
    uint8_t secret[crypto_kem_mlkem768_SECRETKEYBYTES];
    dh_pair pair;
    size_t n;
    if (prekey_is_kem(kind)) {
        ck_assert_int_eq(crypto_kem_mlkem768_keypair(k.key, secret), 0);
    } else {
        dh_pair_generate(&pair, env_system());
        memcpy(k.key, pair.public, 32);
    }
    MUST(prekey_sign(&k, out, &n, &p->list.account, 1, p->device_sign.secret));
    *v = (view){ out, n };
}

frame tokens_of(unsigned kind, const uint8_t add[32], const uint8_t remove[32])
{
    frame f = { .kind = FRAME_TOKENS };
    f.tokens.kind = (uint8_t)kind;
    if (add)
        f.tokens.add = (view_list){ 1, { { add, 32 } } };
    if (remove)
        f.tokens.remove = (view_list){ 1, { { remove, 32 } } };
    return f;
}

frame send_to(const person *p, const uint8_t token[32], const void *ciphertext, size_t n)
{
    frame f = { .kind = FRAME_SEND };
    f.send.version = 1;
    f.send.account = (view){ p->list.account.bytes, 32 };
    f.send.device = 1;
    f.send.token = (view){ token, 32 };
    f.send.ttl_s = TACET_TTL_MAX_S;
    f.send.ciphertext = (view){ ciphertext, n };
    return f;
}
