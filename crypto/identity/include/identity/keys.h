/* identity/keys.h: the kinds of keys a person and a device have, and the one shape of a signature.
 * Typed public key = type byte | raw key. No key serves two purposes, none is converted. X25519 keys are canonical and not of small order. */
#ifndef IDENTITY_KEYS_H
#define IDENTITY_KEYS_H
#include "base/env.h"
#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

enum key_type { KEY_ED25519 = 1, KEY_X25519 = 2, KEY_MLKEM768 = 3 };
enum {
    TACET_ACCOUNT_BYTES = 32,
    TACET_KEY_BYTES = 32, /* raw Ed25519 or X25519 */
    TACET_TYPED_KEY_BYTES = 33,
    TACET_KEM_KEY_BYTES = 1184,
    TACET_TYPED_KEM_KEY_BYTES = 1185,
    TACET_KEM_CIPHERTEXT_BYTES = 1088,
    TACET_SIGNATURE_BYTES = 64,
    TACET_SIGN_SECRET_BYTES = 64, /* libsodium's form: seed | public key */
    TACET_HASH_BYTES = 32,
    TACET_SIGN_OBJECT_MAX_BYTES = 2048,
};

typedef struct {
    uint8_t bytes[TACET_ACCOUNT_BYTES];
} account_id;

/* One key pair each; secret halves belong in locked memory. */
typedef struct {
    uint8_t public[32], secret[64];
} sign_pair; /* Ed25519 */
typedef struct {
    uint8_t public[32], secret[32];
} dh_pair; /* X25519 */

void sign_pair_generate(sign_pair *out, const tacet_env *env);
void dh_pair_generate(dh_pair *out, const tacet_env *env);
/* public = X25519(secret, 9). */
void dh_pair_from_secret(dh_pair *out, const uint8_t secret[32]);

/* BLAKE2b-256("tacet account\0" | typed IK). */
void account_of(account_id *out, const uint8_t ik[32]);

void key_encode(uint8_t out[TACET_TYPED_KEY_BYTES], enum key_type type, const uint8_t raw[32]);
/* Checks type, canonical form, small order (X25519), curve membership and small order (Ed25519). TACET_E_KEY. */
TACET_MUST_USE int key_decode(uint8_t raw[32], enum key_type want, const uint8_t in[TACET_TYPED_KEY_BYTES]);
/* Raw keys: TACET_E_KEY. Ed25519: canonical, on the curve, in the main subgroup. X25519: canonical, not of small order. */
TACET_MUST_USE int ed25519_check(const uint8_t raw[32]);
TACET_MUST_USE int x25519_check(const uint8_t raw[32]);
/* FIPS 203 §7.2: every coefficient below q. TACET_E_KEY. */
TACET_MUST_USE int mlkem768_check(const uint8_t key[TACET_KEM_KEY_BYTES]);

/* Signature purposes: PROTOCOL.md's table; none is used twice. */
enum sign_purpose { SIGN_DEVICE_LIST = 1, SIGN_DIRECTORY = 2, SIGN_PREKEY = 3, SIGN_REGISTER = 4, SIGN_DEVICES_CHANGE = 5 };

/* Ed25519 over "tacet sig\0" | purpose | version 1 | account | device u32 | object. Device is 0 where the identity key signs for the account.
 * Objects are at most TACET_SIGN_OBJECT_MAX_BYTES: signing a longer one is a bug, verifying one is TACET_E_FORGED. */
void object_sign(uint8_t signature[TACET_SIGNATURE_BYTES], enum sign_purpose purpose, const account_id *account, uint32_t device,
                 const uint8_t *object, size_t object_bytes, const uint8_t secret[TACET_SIGN_SECRET_BYTES]);
/* TACET_E_FORGED */
TACET_MUST_USE int object_verify(const uint8_t signature[TACET_SIGNATURE_BYTES], enum sign_purpose purpose, const account_id *account,
                                 uint32_t device, const uint8_t *object, size_t object_bytes, const uint8_t key[TACET_KEY_BYTES]);
#endif
