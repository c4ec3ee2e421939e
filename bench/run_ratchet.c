/* The ratchet alone: both sides in this process, on one core. A second is a second of CPU time, so that what else runs on the machine does not count. */
#include "runs.h"
#include "session/session.h"
#include "swarm.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

enum { BATCH = 256, TEXT_BYTES = 1024 };
typedef struct {
    size_t bytes;
    uint8_t envelope[TACET_ENVELOPE_MAX_BYTES];
} sealed;
static sealed batch[BATCH];
/* Content of 1 KiB: what a text of that length is. With its padding to the next size it goes out as 2 KiB, as it does in earnest. */
static uint8_t text[TEXT_BYTES];

static void seal_one(session *from, sealed *out)
{
    must(session_seal(from, env_system(), CONTENT_PAIRWISE, text, sizeof text, out->envelope, &out->bytes), "seal");
}

static void open_one(session *to, const sealed *in)
{
    static uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
    size_t got;
    unsigned trials = TACET_HEADER_TRIALS_MAX;
    must(session_open(to, env_system(), CONTENT_PAIRWISE, &trials, in->envelope, in->bytes, plain, &got), "open");
}

static void set_ups(secret_arena *arena, const side *a, const side *b, double seconds, report *r)
{
    double initiating = 0, responding = 0, done = 0;
    for (; initiating + responding < seconds; done++) {
        double began = cpu_now();
        session *one = initiate(arena, a, b);
        seal_one(one, &batch[0]);
        double sent = cpu_now();
        session *two = respond(arena, b, batch[0].envelope, batch[0].bytes);
        responding += cpu_now() - sent;
        initiating += sent - began;
        session_free(one);
        session_free(two);
    }
    report_add(r, "set_up_both_sides", "per_s", done / (initiating + responding));
    report_add(r, "set_up_initiating", "per_s", done / initiating);
    report_add(r, "set_up_responding", "per_s", done / responding);
}

static void one_way(session *from, session *to, double seconds, report *r)
{
    double sealing = 0, opening = 0, done = 0;
    for (; sealing + opening < seconds; done += BATCH) {
        double began = cpu_now();
        for (int i = 0; i < BATCH; i++)
            seal_one(from, &batch[i]);
        double sent = cpu_now();
        for (int i = 0; i < BATCH; i++)
            open_one(to, &batch[i]);
        opening += cpu_now() - sent;
        sealing += sent - began;
    }
    report_add(r, "one_way_seal_and_open", "per_s", done / (sealing + opening));
    report_add(r, "one_way_seal", "per_s", done / sealing);
    report_add(r, "one_way_open", "per_s", done / opening);
}

void run_ratchet(const bench_options *o, report *r)
{
    static side a, b;
    secret_arena *arena;
    must(secret_arena_new(&arena, 1 << 20), "locked memory");
    side_make(&a);
    side_make(&b);
    memset(text, 'x', sizeof text);
    set_ups(arena, &a, &b, o->seconds, r);
    session *one = initiate(arena, &a, &b);
    seal_one(one, &batch[0]);
    session *two = respond(arena, &b, batch[0].envelope, batch[0].bytes);
    seal_one(two, &batch[0]);
    open_one(one, &batch[0]);
    one_way(one, two, o->seconds, r);
    double began = cpu_now(), done = 0;
    for (; cpu_now() - began < o->seconds; done += 2) {
        seal_one(one, &batch[0]);
        open_one(two, &batch[0]);
        seal_one(two, &batch[0]);
        open_one(one, &batch[0]);
    }
    report_add(r, "ping_pong", "messages_per_s", done / (cpu_now() - began));
    report_add(r, "overhead_before_padding", "bytes", TACET_RATCHET_OVERHEAD_BYTES + 2 + 1 + 1);
    session_free(one);
    session_free(two);
    secret_arena_free(arena);
}
