/* Many mailboxes filled in turn, so that one mailbox's messages lie scattered in the log; then its device comes back, fetches and acknowledges. */
#include "relay_process.h"
#include "runs.h"
#include "swarm.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t sent, replied, got, doubled;
    uint8_t *seen;
} backlog;

static void on_reply(void *ctx, const frame *reply)
{
    if (!reply || reply->kind != FRAME_OK) {
        fprintf(stderr, "bench: a message was refused: %s\n", reply ? error_word(reply->error.code) : "connection ended");
        exit(1);
    }
    ((backlog *)ctx)->replied++;
}

static uint32_t ready;
static void count_ready(peer *p)
{
    (void)p;
    ready++;
}
static void register_quietly(peer *p) { peer_register(p, 0, count_ready); }

static void no_reply_needed(void *ctx, const frame *reply) { (void)ctx, (void)reply; }
static void grant(peer *p, uint32_t credit)
{
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe = { credit } };
    peer_ask(p, &f, no_reply_needed, NULL);
}
static void on_deliver(peer *p, const frame *event)
{
    backlog *b = p->ctx;
    uint64_t sequence;
    memcpy(&sequence, event->deliver.ciphertext.at, sizeof sequence);
    if (b->seen[sequence]++)
        b->doubled++;
    b->got++;
    peer_acknowledge(p, event->deliver.number);
}
static void fetch(peer *p) { grant(p, 256); }

void run_backlog(const bench_options *o, report *r)
{
    enum { MAILBOXES = 16 };
    relay_process relay;
    relay_usage before, after;
    swarm s;
    static bench_account accounts[MAILBOXES];
    static peer mailbox[MAILBOXES], sender;
    uint64_t total = (uint64_t)o->count * MAILBOXES;
    backlog b = { .seen = calloc(1, total) };
    uint8_t *ciphertext = calloc(1, TACET_ENVELOPE_MAX_BYTES);
    char ini[160];
    if (!b.seen || !ciphertext)
        exit(1);
    /* One sender fills all: neither its address nor its share of a mailbox that is half full is to hold it up. */
    snprintf(ini, sizeof ini, "[relay]\nask_burst = 1000000\nask_every_us = 1\n[limits]\nmailbox_messages = %u\nmailbox_bytes = %u\n",
             2 * (o->count + 1), UINT32_MAX);
    relay_process_start(&relay, o->tacetd, o->workers, ini);
    swarm_open(&s, &relay.address, MAILBOXES + 1);
    for (uint32_t i = 0; i < MAILBOXES; i++) {
        bench_account_make(&accounts[i]);
        mailbox[i] = (peer){ .index = i, .role = TACET_ROLE_MAILBOX, .account = &accounts[i], .on_up = register_quietly, .ctx = &b };
        peer_connect(&s, &mailbox[i]);
    }
    sender = (peer){ .index = MAILBOXES, .role = TACET_ROLE_OPEN, .on_up = count_ready };
    peer_connect(&s, &sender);
    for (double end = seconds_now() + 30; ready < MAILBOXES + 1 && seconds_now() < end;)
        swarm_turn(&s, 10);
    for (uint32_t i = 0; i < MAILBOXES; i++)
        peer_close(&mailbox[i]);
    while (b.replied < total) {
        static frame f;
        for (bool room = true; room && b.sent < total;) {
            send_frame(&f, &accounts[b.sent % MAILBOXES], ciphertext, o->bytes, b.sent);
            room = peer_try(&sender, &f, on_reply, &b);
            b.sent += room;
        }
        swarm_turn(&s, 10);
    }
    peer *p = &mailbox[0];
    p->on_up = fetch;
    p->on_deliver = on_deliver;
    relay_process_usage(&relay, &before);
    double began = seconds_now();
    peer_connect(&s, p);
    while (b.got < o->count && seconds_now() - began < 120)
        swarm_turn(&s, 10);
    double took = seconds_now() - began;
    relay_process_usage(&relay, &after);
    report_add(r, "messages", "", (double)b.got);
    report_add(r, "fetched_and_acknowledged", "per_s", (double)b.got / took);
    report_add(r, "doubled", "", (double)b.doubled);
    report_add(r, "relay_cpu_per_100000", "s", b.got ? (after.cpu_s[USED_BY_ALL] - before.cpu_s[USED_BY_ALL]) * 1e5 / (double)b.got : 0);
    peer_close(p);
    peer_close(&sender);
    swarm_close(&s);
    relay_process_stop(&relay);
    free(b.seen);
    free(ciphertext);
}
