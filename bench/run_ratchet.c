/* The ratchet alone: both sides in this process and on this core. */
#include "runs.h"
#include "session/session.h"
#include "swarm.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    bench_account account;
    party who;
    dh_pair spk, opk;
    uint8_t kem[TACET_KEM_KEY_BYTES], kem_secret[2400];
} side;

static void side_make(side *s)
{
    bench_account_make(&s->account);
    s->who = (party){ .account = s->account.id, .device = 1, .list_version = 1 };
    memcpy(s->who.ik, s->account.ik.public, 32);
    memcpy(s->who.dh, s->account.dh.public, 32);
    dh_pair_generate(&s->spk, env_system());
    dh_pair_generate(&s->opk, env_system());
    crypto_kem_mlkem768_keypair(s->kem, s->kem_secret);
}

static void must(int status, const char *what)
{
    if (status == TACET_OK)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, tacet_status_word(status));
    exit(1);
}

static session *initiate(secret_arena *arena, const side *a, const side *b)
{
    agreement_bundle u = { .them = b->who, .spk_id = 1, .opk_id = 1, .kem_id = 1, .has_opk = true };
    session *s = NULL;
    memcpy(u.spk, b->spk.public, 32);
    memcpy(u.opk, b->opk.public, 32);
    memcpy(u.kem, b->kem, sizeof u.kem);
    must(session_initiate(&s, arena, env_system(), &a->who, a->account.dh.secret, a->account.list, a->account.list_bytes, &u), "initiate");
    return s;
}

static session *respond(secret_arena *arena, const side *b, const uint8_t *envelope, size_t n)
{
    const agreement_secrets secrets = { b->account.dh.secret, b->spk.secret, b->opk.secret, b->kem_secret, b->spk.public, b->opk.public, b->kem };
    static first_sender sender;
    uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
    size_t plain_bytes;
    session *s = NULL;
    must(first_envelope_sender(&sender, &b->who, &secrets, envelope, n), "the sender's box");
    must(session_respond(&s, arena, env_system(), &b->who, &secrets, &sender, envelope, n, plain, &plain_bytes), "respond");
    return s;
}

/* One message from one side to the other; gives the bytes on the wire. */
static size_t pass(session *from, session *to, const uint8_t *text, size_t n)
{
    uint8_t envelope[TACET_ENVELOPE_MAX_BYTES], plain[TACET_ENVELOPE_MAX_BYTES];
    size_t bytes, got;
    unsigned trials = TACET_HEADER_TRIALS_MAX;
    must(session_seal(from, env_system(), CONTENT_PAIRWISE, text, n, envelope, &bytes), "seal");
    must(session_open(to, env_system(), CONTENT_PAIRWISE, &trials, envelope, bytes, plain, &got), "open");
    return bytes;
}

static double set_ups(secret_arena *arena, const side *a, const side *b, double seconds)
{
    uint8_t envelope[TACET_ENVELOPE_MAX_BYTES];
    size_t n;
    uint64_t done = 0;
    double began = seconds_now();
    for (; seconds_now() - began < seconds; done++) {
        session *one = initiate(arena, a, b);
        must(session_seal(one, env_system(), CONTENT_PAIRWISE, (const uint8_t *)"hi", 2, envelope, &n), "seal");
        session *two = respond(arena, b, envelope, n);
        session_free(one);
        session_free(two);
    }
    return (double)done / (seconds_now() - began);
}

void run_ratchet(const bench_options *o, report *r)
{
    static side a, b;
    secret_arena *arena;
    uint8_t text[1024], envelope[TACET_ENVELOPE_MAX_BYTES];
    size_t n = 0;
    must(secret_arena_new(&arena, 1 << 20), "locked memory");
    side_make(&a);
    side_make(&b);
    memset(text, 'x', sizeof text);
    report_add(r, "set_up_both_sides", "per_s", set_ups(arena, &a, &b, o->seconds));
    session *one = initiate(arena, &a, &b);
    must(session_seal(one, env_system(), CONTENT_PAIRWISE, text, 2, envelope, &n), "seal");
    session *two = respond(arena, &b, envelope, n);
    pass(two, one, text, 2);
    uint64_t count = 0;
    double began = seconds_now();
    for (; seconds_now() - began < o->seconds; count += 16)
        for (int i = 0; i < 16; i++)
            n = pass(one, two, text, sizeof text - 256);
    report_add(r, "one_way_seal_and_open", "per_s", (double)count / (seconds_now() - began));
    began = seconds_now();
    for (count = 0; seconds_now() - began < o->seconds; count += 2) {
        pass(one, two, text, sizeof text - 256);
        pass(two, one, text, sizeof text - 256);
    }
    report_add(r, "ping_pong", "messages_per_s", (double)count / (seconds_now() - began));
    report_add(r, "overhead_before_padding", "bytes", TACET_RATCHET_OVERHEAD_BYTES + 2 + 1 + 1);
    session_free(one);
    session_free(two);
    secret_arena_free(arena);
}
