/* tests/support/person.h: somebody with one device, for tests of the relay: keys, a signed list, and the requests that such a person makes. */
#ifndef TESTS_PERSON_H
#define TESTS_PERSON_H
#include "identity/devices.h"
#include "identity/directory.h"
#include "identity/prekey.h"
#include "protocol/frame.h"

typedef struct {
    sign_pair ik, device_sign;
    dh_pair dh, tk;
    device_list list;
    uint8_t list_bytes[TACET_DEVICE_LIST_MAX_BYTES];
    size_t list_size;
    uint8_t token[32], request_token[32];
} person;

void person_make(person *p, uint64_t now_s);
/* The proof is bound to the handshake hash of the connection. The frames below hold views into what they are given. */
frame person_register(const person *p, const uint8_t handshake_hash[64], uint8_t proof[64]);
frame person_devices(const person *p, const uint8_t handshake_hash[64], const device_list *l, const uint8_t *bytes, size_t n, uint8_t proof[64]);
frame person_entry(const person *p, const uint8_t relay_key[32], const char *name, uint64_t now_s, uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES]);
void person_prekey(const person *p, enum prekey_kind kind, uint32_t id, uint64_t now_s, uint8_t out[TACET_PREKEY_MAX_BYTES], view *v);
frame send_to(const person *p, const uint8_t token[32], const void *ciphertext, size_t n);
frame tokens_of(unsigned kind, const uint8_t add[32], const uint8_t remove[32]);
void token_make(const char *word, uint8_t token[32], uint8_t hash[32]);
#endif
