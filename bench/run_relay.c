/* Senders over open connections, recipients over mailbox connections; every message carries its pair's sequence number, so that a lost or doubled
 * delivery is counted. Closed loop: `inflight` messages under way for each pair. Open loop: a fixed rate over all pairs, and latency counts from the time
 * at which a message should have been sent. */
#include "relay_process.h"
#include "runs.h"
#include "swarm.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct crowd crowd;
typedef struct {
    peer sender, receiver;
    bench_account account;
    crowd *of;
    uint64_t next, accepted, delivered, doubled;
    double began[PEER_REQUESTS_MAX];
    uint32_t under_way;
} pair;
struct crowd {
    swarm s;
    const bench_options *o;
    pair *pairs;
    uint8_t *ciphertext;
    uint64_t accepted, refused, lost_replies;
    uint32_t ready;
    bool measuring, stopping;
    histogram latency;
    double due;
    uint32_t turn;
    pair *flooder; /* the hostile run's: a pair of its own that is not measured */
};

static void send_next(pair *p, double scheduled);

static void on_reply(void *ctx, const frame *reply)
{
    pair *p = ctx;
    crowd *c = p->of;
    p->under_way--;
    if (!reply)
        c->lost_replies++;
    else if (reply->kind != FRAME_OK)
        c->refused += p != c->flooder;
    else {
        /* replies may come in any order, but the relay answers one connection's sends as they are committed: the oldest is a fair guess */
        double began = p->began[p->accepted++ % PEER_REQUESTS_MAX];
        if (c->measuring && p != c->flooder) {
            c->accepted++;
            histogram_add(&c->latency, (seconds_now() - began) * 1e6);
        }
    }
    if (!c->stopping && (c->o->rate == 0 || p == c->flooder))
        send_next(p, seconds_now());
}

static void send_next(pair *p, double scheduled)
{
    crowd *c = p->of;
    frame f;
    randombytes_buf(c->ciphertext + 8, 24);
    send_frame(&f, &p->account, c->ciphertext, c->o->bytes, p->next);
    p->began[p->next % PEER_REQUESTS_MAX] = scheduled;
    if (peer_try(&p->sender, &f, on_reply, p)) {
        p->next++;
        p->under_way++;
    }
}

static void on_deliver(peer *r, const frame *event)
{
    pair *p = r->ctx;
    uint64_t sequence;
    memcpy(&sequence, event->deliver.ciphertext.at, sizeof sequence);
    if (sequence != p->delivered)
        p->doubled++;
    else
        p->delivered++;
    peer_acknowledge(r, event->deliver.number);
}

static void on_ready(peer *r) { ((pair *)r->ctx)->of->ready++; }
static void on_receiver_up(peer *r) { peer_register(r, ((pair *)r->ctx)->of->o->offline ? 0 : 256, on_ready); }
static void on_down(peer *p)
{
    if (!((pair *)p->ctx)->of->stopping) {
        fprintf(stderr, "bench: a connection ended (%s role)\n", p->role == TACET_ROLE_OPEN ? "open" : "mailbox");
        exit(1);
    }
}

static void wait_for(crowd *c, const uint32_t *value, uint32_t want, double seconds)
{
    for (double end = seconds_now() + seconds; *value < want;) {
        if (seconds_now() > end) {
            fprintf(stderr, "bench: %u of %u ready after %.0f s\n", *value, want, seconds);
            exit(1);
        }
        swarm_turn(&c->s, 10);
    }
}

/* Pairs in the table: those that are measured, and the flooder behind them. */
static uint32_t pairs_of(const bench_options *o) { return o->pairs + (o->count > 0); }

static void crowd_gather(crowd *c)
{
    for (uint32_t i = 0; i < pairs_of(c->o); i++) {
        pair *p = &c->pairs[i];
        p->of = c;
        bench_account_make(&p->account);
        p->receiver = (peer){ .index = 2 * i,
                              .role = TACET_ROLE_MAILBOX,
                              .account = &p->account,
                              .on_up = on_receiver_up,
                              .on_down = on_down,
                              .on_deliver = on_deliver,
                              .ctx = p };
        p->sender = (peer){ .index = 2 * i + 1, .role = TACET_ROLE_OPEN, .on_up = on_ready, .on_down = on_down, .ctx = p };
        if (!peer_connect(&c->s, &p->receiver) || !peer_connect(&c->s, &p->sender))
            exit(1);
        if (i % 64 == 63)
            swarm_turn(&c->s, 0);
    }
    wait_for(c, &c->ready, 2 * pairs_of(c->o), 120);
    for (uint32_t i = 0; c->o->offline && i < c->o->pairs; i++)
        peer_close(&c->pairs[i].receiver);
}

/* Sends what is due by now, in turn over the pairs. */
static void keep_rate(crowd *c)
{
    for (double now = seconds_now(); c->due <= now; c->due += 1.0 / c->o->rate) {
        pair *p = &c->pairs[c->turn++ % c->o->pairs];
        if (p->under_way >= PEER_REQUESTS_MAX)
            break;
        send_next(p, c->due);
    }
}

static void crowd_run(crowd *c, double seconds)
{
    double end = seconds_now() + seconds;
    while (seconds_now() < end) {
        if (c->o->rate)
            keep_rate(c);
        swarm_turn(&c->s, c->o->rate ? 0 : 10);
    }
}

static void crowd_drain(crowd *c)
{
    c->stopping = true;
    for (double end = seconds_now() + 30; seconds_now() < end; swarm_turn(&c->s, 10)) {
        uint64_t open = 0;
        for (uint32_t i = 0; i < c->o->pairs; i++)
            open += c->pairs[i].under_way + (!c->o->offline && c->pairs[i].accepted > c->pairs[i].delivered);
        if (open == 0)
            return;
    }
}

static void crowd_report(const crowd *c, double seconds, relay_usage before, relay_usage after, report *r)
{
    uint64_t accepted = 0, delivered = 0, doubled = 0;
    for (uint32_t i = 0; i < c->o->pairs; i++) {
        accepted += c->pairs[i].accepted;
        delivered += c->pairs[i].delivered;
        doubled += c->pairs[i].doubled;
    }
    report_add(r, "pairs", "", c->o->pairs);
    report_add(r, "inflight", "", c->o->inflight);
    report_add(r, "accepted", "per_s", (double)c->accepted / seconds);
    report_latency(r, &c->latency);
    report_add(r, "relay_cpu_per_100000", "s", c->accepted ? (after.cpu_s - before.cpu_s) * 1e5 / (double)c->accepted : 0);
    report_add(r, "relay_rss", "MiB", after.rss_kib / 1024);
    report_add(r, "refused", "", (double)c->refused);
    report_add(r, "not_delivered", "", c->o->offline ? 0 : (double)accepted - (double)delivered);
    report_add(r, "doubled_or_disordered", "", (double)doubled);
    report_add(r, "without_reply", "", (double)c->lost_replies);
}

void run_relay(const bench_options *o, report *r)
{
    relay_process relay;
    relay_usage before, after;
    relay_process_start(&relay, o->tacetd, o->workers, NULL);
    crowd *c = calloc(1, sizeof *c);
    pair *pairs = calloc(pairs_of(o), sizeof *pairs);
    uint8_t *ciphertext = calloc(1, TACET_ENVELOPE_MAX_BYTES);
    if (!c || !pairs || !ciphertext)
        exit(1);
    c->o = o;
    c->pairs = pairs;
    c->ciphertext = ciphertext;
    randombytes_buf(ciphertext, o->bytes);
    swarm_open(&c->s, &relay.address, 2 * (size_t)pairs_of(o));
    crowd_gather(c);
    c->due = seconds_now();
    for (uint32_t i = 0; o->rate == 0 && i < o->pairs; i++)
        for (uint32_t k = 0; k < o->inflight; k++)
            send_next(&pairs[i], seconds_now());
    if (o->count > 0)
        c->flooder = &pairs[o->pairs];
    for (uint32_t k = 0; k < o->count; k++)
        send_next(c->flooder, seconds_now());
    crowd_run(c, 1);
    relay_process_usage(&relay, &before);
    c->measuring = true;
    double began = seconds_now();
    crowd_run(c, o->seconds);
    double took = seconds_now() - began;
    c->measuring = false;
    relay_process_usage(&relay, &after);
    crowd_drain(c);
    crowd_report(c, took, before, after, r);
    for (uint32_t i = 0; i < pairs_of(o); i++) {
        peer_close(&pairs[i].sender);
        peer_close(&pairs[i].receiver);
    }
    swarm_close(&c->s);
    relay_process_stop(&relay);
    free(pairs);
    free(ciphertext);
    free(c);
}
