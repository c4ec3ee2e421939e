/* tests/unit/session/pair.h: two people with keys, lists and prekeys, and an envelope between them. Everything comes from one seeded environment. */
#ifndef TESTS_SESSION_PAIR_H
#define TESTS_SESSION_PAIR_H
#include "identity/keys.h"
#include "session/session.h"
#include "suite.h"

typedef struct {
    sign_pair ik, dk_sign;
    dh_pair dh, tk, spk, opk;
    uint8_t kem_seed[64], kem[TACET_KEM_KEY_BYTES], kem_secret[2400];
    device_list list;
    uint8_t signed_list[TACET_DEVICE_LIST_MAX_BYTES];
    size_t signed_list_bytes;
    party party;
} person;

typedef struct {
    uint8_t bytes[TACET_ENVELOPE_MAX_BYTES];
    size_t n;
} envelope_bytes;

typedef struct {
    env_seeded clock;
    const tacet_env *env;
    secret_arena *arena;
    person alice, bob, mallory;
    session *a, *b; /* Alice's and Bob's ends; NULL until pair_first */
} pair;

enum { SPK_ID = 7, OPK_ID = 21, KEM_ID = 33, BOB_DEVICE = 2, ALICE_DEVICE = 1 };
#define PAIR_START_MS UINT64_C(1700000000000)
#define DAY_MS UINT64_C(86400000)

void pair_new(pair *p, uint64_t seed);
void pair_free(pair *p);
void pair_bundle(agreement_bundle *out, const person *to, bool with_opk);
agreement_secrets pair_secrets(const person *of, bool with_opk);
/* Alice begins, first message "first" is sealed and opened by Bob. */
void pair_first(pair *p, bool with_opk);
/* Both, and Bob's answer: from here on no envelope is a first one. */
void pair_ready(pair *p, uint64_t seed);
/* One message; fails the test when it is refused. */
void pair_seal(pair *p, session *from, const void *content, size_t n, envelope_bytes *out);
int pair_open(pair *p, session *at, const envelope_bytes *e, uint8_t *plain, size_t *n);
void pair_say(pair *p, session *from, session *to, const char *text);
bool pair_same_party(const party *a, const party *b);
/* Exported bytes; *out is malloc'ed. */
size_t pair_export(const session *s, uint8_t **out);

/* Opens into the test's own plain and n; the verdict must be `want`, and if it is not OK the session must be byte for byte what it was. */
#define OPENS(p, at, e, want)                                                                                                                        \
    do {                                                                                                                                             \
        uint8_t *before_, *after_;                                                                                                                   \
        size_t n_before_ = pair_export(at, &before_);                                                                                                \
        ck_assert_int_eq(pair_open(p, at, e, plain, &n), want);                                                                                      \
        size_t n_after_ = pair_export(at, &after_);                                                                                                  \
        if ((want) != TACET_OK)                                                                                                                      \
            ck_assert(n_before_ == n_after_ && memcmp(before_, after_, n_after_) == 0);                                                              \
        free(before_);                                                                                                                               \
        free(after_);                                                                                                                                \
    } while (0)
#endif
