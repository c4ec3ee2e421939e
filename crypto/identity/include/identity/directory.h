/* identity/directory.h: names. A directory entry binds a name on one relay to an account and its request token, signed by the identity key:
 *   typed IK 33 | relay key 32 | name length u8 | name 32, zeros behind | request token 32 | expires u64 (seconds) | signature 64   (202 bytes)
 * Names: [a-z0-9][a-z0-9._-]{0,31}. */
#ifndef IDENTITY_DIRECTORY_H
#define IDENTITY_DIRECTORY_H
#include "base/limits.h"
#include "identity/keys.h"
#include <stdbool.h>

enum { TACET_TOKEN_BYTES = 32, TACET_DIRECTORY_ENTRY_BYTES = 33 + 32 + 1 + 32 + 32 + 8 + 64 };

typedef struct {
    uint8_t ik[32], relay[32], request_token[TACET_TOKEN_BYTES];
    account_id account;
    char name[TACET_NAME_MAX_CHARS + 1];
    uint64_t expires_s;
} directory_entry;

bool name_valid(const char *name, size_t chars);
/* Signs e (ik, relay, name, request_token, expires_s) and sets e->account; refuses what directory_entry_decode would. */
TACET_MUST_USE int directory_entry_sign(directory_entry *e, uint8_t out[TACET_DIRECTORY_ENTRY_BYTES],
                                        const uint8_t ik_secret[TACET_SIGN_SECRET_BYTES]);
/* TACET_E_MALFORMED, TACET_E_KEY, TACET_E_FORGED, TACET_E_EXPIRED (now_s beyond expires_s + one day). */
TACET_MUST_USE int directory_entry_decode(directory_entry *out, const uint8_t *bytes, size_t n, uint64_t now_s);
/* What the relay keeps of a token: BLAKE2b-256("tacet token\0" | token). */
void token_hash(uint8_t out[TACET_HASH_BYTES], const uint8_t token[TACET_TOKEN_BYTES]);
#endif
