#include "pair.h"

static void person_new(person *p, const tacet_env *env, uint32_t device)
{
    *p = (person){ 0 };
    sign_pair_generate(&p->ik, env);
    sign_pair_generate(&p->dk_sign, env);
    dh_pair_generate(&p->dh, env);
    dh_pair_generate(&p->tk, env);
    dh_pair_generate(&p->spk, env);
    dh_pair_generate(&p->opk, env);
    env_random(env, p->kem_seed, sizeof p->kem_seed);
    crypto_kem_mlkem768_seed_keypair(p->kem, p->kem_secret, p->kem_seed);
    p->list.version = 1;
    p->list.count = 1;
    memcpy(p->list.ik, p->ik.public, 32);
    device_entry *d = &p->list.device[0];
    *d = (device_entry){ .id = device, .lowest = 1, .highest = 1, .created_s = PAIR_START_MS / 1000 };
    memcpy(d->sign, p->dk_sign.public, 32);
    memcpy(d->dh, p->dh.public, 32);
    memcpy(d->transport, p->tk.public, 32);
    ck_assert_int_eq(device_list_sign(&p->list, p->signed_list, &p->signed_list_bytes, p->ik.secret), TACET_OK);
    p->party = (party){ .account = p->list.account, .device = device, .list_version = 1 };
    memcpy(p->party.ik, p->ik.public, 32);
    memcpy(p->party.dh, p->dh.public, 32);
}

void pair_new(pair *p, uint64_t seed)
{
    *p = (pair){ .a = NULL };
    env_seeded_init(&p->clock, seed, PAIR_START_MS);
    p->env = &p->clock.env;
    ck_assert_int_eq(secret_arena_new(&p->arena, 1 << 20), TACET_OK);
    person_new(&p->alice, p->env, ALICE_DEVICE);
    person_new(&p->bob, p->env, BOB_DEVICE);
    person_new(&p->mallory, p->env, BOB_DEVICE);
}

void pair_free(pair *p)
{
    p->a = session_free(p->a);
    p->b = session_free(p->b);
    ck_assert_uint_eq(secret_in_use(p->arena), 0); /* every block was given back */
    p->arena = secret_arena_free(p->arena);
}

void pair_bundle(agreement_bundle *out, const person *to, bool with_opk)
{
    *out = (agreement_bundle){
        .them = to->party, .spk_id = SPK_ID, .opk_id = with_opk ? OPK_ID : 0, .kem_id = KEM_ID, .has_opk = with_opk, .kem_last_resort = !with_opk
    };
    memcpy(out->spk, to->spk.public, 32);
    if (with_opk)
        memcpy(out->opk, to->opk.public, 32);
    memcpy(out->kem, to->kem, sizeof to->kem);
}

agreement_secrets pair_secrets(const person *of, bool with_opk)
{
    return (agreement_secrets){ .dh_secret = of->dh.secret,
                                .spk_secret = of->spk.secret,
                                .opk_secret = with_opk ? of->opk.secret : NULL,
                                .kem_secret = of->kem_secret,
                                .spk = of->spk.public,
                                .opk = with_opk ? of->opk.public : NULL,
                                .kem = of->kem };
}

void pair_seal(pair *p, session *from, const void *content, size_t n, envelope_bytes *out)
{
    ck_assert_int_eq(session_seal(from, p->env, CONTENT_PAIRWISE, content, n, out->bytes, &out->n), TACET_OK);
}

int pair_open(pair *p, session *at, const envelope_bytes *e, uint8_t *plain, size_t *n)
{
    unsigned trials = TACET_HEADER_TRIALS_MAX;
    return session_open(at, p->env, CONTENT_PAIRWISE, &trials, e->bytes, e->n, plain, n);
}

void pair_say(pair *p, session *from, session *to, const char *text)
{
    envelope_bytes e;
    uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
    size_t n = 0;
    pair_seal(p, from, text, strlen(text), &e);
    ck_assert_int_eq(pair_open(p, to, &e, plain, &n), TACET_OK);
    ck_assert_uint_eq(n, strlen(text));
    ck_assert_mem_eq(plain, text, n);
}

void pair_first(pair *p, bool with_opk)
{
    agreement_bundle bundle;
    agreement_secrets secrets = pair_secrets(&p->bob, with_opk);
    first_sender sender;
    envelope_bytes e;
    uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
    size_t n = 0;
    pair_bundle(&bundle, &p->bob, with_opk);
    ck_assert_int_eq(
        session_initiate(&p->a, p->arena, p->env, &p->alice.party, p->alice.dh.secret, p->alice.signed_list, p->alice.signed_list_bytes, &bundle),
        TACET_OK);
    pair_seal(p, p->a, "first", 5, &e);
    ck_assert_int_eq(first_envelope_sender(&sender, &p->bob.party, &secrets, e.bytes, e.n), TACET_OK);
    ck_assert_mem_eq(sender.list.account.bytes, p->alice.party.account.bytes, 32);
    ck_assert_int_eq(session_respond(&p->b, p->arena, p->env, &p->bob.party, &secrets, &sender, e.bytes, e.n, plain, &n), TACET_OK);
    ck_assert_uint_eq(n, 5);
    ck_assert_mem_eq(plain, "first", 5);
}

size_t pair_export(const session *s, uint8_t **out)
{
    size_t n = 0, room = session_export_bytes(s);
    *out = malloc(room);
    ck_assert_ptr_nonnull(*out);
    ck_assert_int_eq(session_export(s, *out, room, &n), TACET_OK);
    ck_assert_uint_eq(n, room);
    return n;
}

void pair_ready(pair *p, uint64_t seed)
{
    pair_new(p, seed);
    pair_first(p, true);
    pair_say(p, p->b, p->a, "answer");
}

bool pair_same_party(const party *a, const party *b)
{
    return memcmp(a->account.bytes, b->account.bytes, 32) == 0 && a->device == b->device && memcmp(a->ik, b->ik, 32) == 0 &&
           memcmp(a->dh, b->dh, 32) == 0 && a->list_version == b->list_version;
}
