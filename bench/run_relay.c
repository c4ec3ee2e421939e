/* Senders over open connections, recipients over mailbox connections; every message carries its pair's sequence number, so that a lost or doubled
 * delivery is counted. Closed loop: `inflight` messages under way for each pair. Open loop: a fixed rate over all pairs, and latency counts from the time
 * at which a message should have been sent. */
#include "relay_process.h"
#include "runs.h"
#include "swarm.h"
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

typedef struct crowd crowd;
/* A delivery that is acknowledged later. */
typedef struct {
    peer *to;
    uint64_t number;
    double due;
} late_ack;
enum { LATE_MAX = 1 << 20, PACE_US = 100 };
typedef struct {
    peer sender, receiver;
    bench_account account;
    crowd *of;
    uint64_t next, accepted, delivered, doubled;
    double began[PEER_REQUESTS_MAX]; /* by the request's id, modulo */
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
    latency latency;
    double due;
    uint32_t turn;
    late_ack *late; /* a ring; NULL: acknowledged at once */
    uint64_t late_first, late_last;
};

static bool send_next(pair *p, double scheduled);

static void on_reply(void *ctx, const frame *reply)
{
    pair *p = ctx;
    crowd *c = p->of;
    p->under_way--;
    if (!reply)
        c->lost_replies++;
    else if (reply->kind != FRAME_OK)
        c->refused++;
    else {
        p->accepted++;
        if (c->measuring) {
            c->accepted++;
            double now = seconds_now();
            latency_add(&c->latency, now, (now - p->began[reply->id % PEER_REQUESTS_MAX]) * 1e6);
        }
    }
    if (!c->stopping && c->o->rate == 0)
        send_next(p, seconds_now());
}

static bool send_next(pair *p, double scheduled)
{
    static frame f; /* 8 KiB: not to be cleared each time */
    crowd *c = p->of;
    send_frame(&f, &p->account, c->ciphertext, c->o->bytes, p->next);
    if (!peer_try(&p->sender, &f, on_reply, p))
        return false;
    p->began[f.id % PEER_REQUESTS_MAX] = scheduled;
    p->next++;
    p->under_way++;
    return true;
}

static void on_deliver(peer *r, const frame *event)
{
    pair *p = r->ctx;
    crowd *c = p->of;
    uint64_t sequence;
    memcpy(&sequence, event->deliver.ciphertext.at, sizeof sequence);
    if (sequence != p->delivered)
        p->doubled++;
    else
        p->delivered++;
    if (c->late && c->late_last - c->late_first < LATE_MAX)
        c->late[c->late_last++ % LATE_MAX] = (late_ack){ r, event->deliver.number, seconds_now() + c->o->late_ms / 1e3 };
    else
        peer_acknowledge(r, event->deliver.number);
}

static void late_turn(crowd *c)
{
    for (double now = seconds_now(); c->late_first != c->late_last && c->late[c->late_first % LATE_MAX].due <= now; c->late_first++)
        peer_acknowledge(c->late[c->late_first % LATE_MAX].to, c->late[c->late_first % LATE_MAX].number);
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

static void crowd_gather(crowd *c)
{
    for (uint32_t i = 0; i < c->o->pairs; i++) {
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
    wait_for(c, &c->ready, 2 * c->o->pairs, 120);
    for (uint32_t i = 0; c->o->offline && i < c->o->pairs; i++)
        peer_close(&c->pairs[i].receiver);
}

/* Sends what is due by now, in turn over the pairs. */
static void keep_rate(crowd *c)
{
    for (double now = seconds_now(); c->due <= now; c->due += 1.0 / c->o->rate)
        if (!send_next(&c->pairs[c->turn++ % c->o->pairs], c->due))
            break; /* it has 256 unanswered: the schedule waits, and its latency shows it */
}

static void crowd_run(crowd *c, double seconds)
{
    for (double end = seconds_now() + seconds, now; (now = seconds_now()) < end;) {
        if (c->o->rate)
            keep_rate(c);
        if (c->late)
            late_turn(c);
        swarm_turn_until(&c->s, c->o->rate ? c->due : now + (c->late ? 0.001 : 0.01));
    }
}

static void crowd_drain(crowd *c)
{
    c->stopping = true;
    for (double end = seconds_now() + 30; seconds_now() < end; swarm_turn(&c->s, 10)) {
        uint64_t open = 0;
        if (c->late)
            late_turn(c);
        for (uint32_t i = 0; i < c->o->pairs; i++)
            open += c->pairs[i].under_way + (!c->o->offline && c->pairs[i].accepted > c->pairs[i].delivered);
        if (open == 0)
            return;
    }
}

/* What the relay did from one look to the other. */
typedef struct {
    relay_usage used;
    relay_counts counts;
} relay_look;

static void report_relay(const crowd *c, const relay_look *before, const relay_look *after, report *r)
{
    static const char *const cpu[USERS] = { "store_cpu_per_100000", "net_cpu_per_100000", "relay_cpu_per_100000" };
    static const char *const rss[USERS] = { "store_rss", "net_rss", "relay_rss" };
    double accepted = after->counts.accepted - before->counts.accepted;
    report_add(r, "handed_off", "%", accepted > 0 ? (after->counts.handed_off - before->counts.handed_off) * 100 / accepted : 0);
    for (int i = 0; i < USERS; i++)
        report_add(r, cpu[i], "s", c->accepted ? (after->used.cpu_s[i] - before->used.cpu_s[i]) * 1e5 / (double)c->accepted : 0);
    for (int i = 0; i < USERS; i++)
        report_add(r, rss[i], "MiB", after->used.rss_kib[i] / 1024);
}

static void crowd_report(const crowd *c, double seconds, report *r)
{
    uint64_t accepted = 0, delivered = 0, doubled = 0;
    for (uint32_t i = 0; i < c->o->pairs; i++) {
        accepted += c->pairs[i].accepted;
        delivered += c->pairs[i].delivered;
        doubled += c->pairs[i].doubled;
    }
    report_add(r, "pairs", "", c->o->pairs);
    report_add(r, "inflight", "", c->o->rate ? 0 : c->o->inflight);
    report_add(r, "accepted", "per_s", (double)c->accepted / seconds);
    report_latency(r, &c->latency);
    report_add(r, "refused", "", (double)c->refused);
    report_add(r, "not_delivered", "", c->o->offline ? 0 : (double)accepted - (double)delivered);
    report_add(r, "doubled_or_disordered", "", (double)doubled);
    report_add(r, "without_reply", "", (double)c->lost_replies);
}

/* Everybody is there: begins, lets it settle, and measures. */
static void crowd_measure(crowd *c, const relay_process *relay, report *r)
{
    const bench_options *o = c->o;
    relay_look before, after;
    c->s.pace_s = o->rate ? PACE_US / 1e6 : 0;
    c->due = seconds_now();
    for (uint32_t i = 0; o->rate == 0 && i < o->pairs; i++)
        for (uint32_t k = 0; k < o->inflight; k++)
            (void)send_next(&c->pairs[i], seconds_now());
    crowd_run(c, 1);
    relay_process_counts(relay, &before.counts);
    crowd_run(c, 0.1); /* what piled up while we looked */
    relay_process_usage(relay, &before.used);
    c->measuring = true;
    double began = seconds_now();
    crowd_run(c, o->seconds);
    double took = seconds_now() - began;
    c->measuring = false;
    relay_process_usage(relay, &after.used);
    relay_process_counts(relay, &after.counts);
    crowd_drain(c);
    crowd_report(c, took, r);
    report_relay(c, &before, &after, r);
}

void run_relay(const bench_options *o, report *r)
{
    relay_process relay;
    storm others = { 0 };
    relay_process_start(&relay, o->tacetd, o->workers, NULL);
    crowd *c = calloc(1, sizeof *c);
    pair *pairs = calloc(o->pairs, sizeof *pairs);
    uint8_t *ciphertext = calloc(1, TACET_ENVELOPE_MAX_BYTES);
    late_ack *late = o->late_ms ? calloc(LATE_MAX, sizeof *late) : NULL;
    if (!c || !pairs || !ciphertext || (o->late_ms && !late))
        exit(1);
    *c = (crowd){ .o = o, .pairs = pairs, .ciphertext = ciphertext, .late = late };
    randombytes_buf(ciphertext, o->bytes);
    raise_descriptors();
    swarm_open(&c->s, &relay.address, 2 * (size_t)o->pairs);
    crowd_gather(c);
    if (o->storm)
        storm_begin(&others, &relay.address, o->storm);
    pid_t villain = o->hostile ? hostile_begin(o->hostile, &relay.address) : 0;
    crowd_measure(c, &relay, r);
    if (villain) {
        kill(villain, SIGKILL);
        waitpid(villain, NULL, 0);
    }
    if (o->storm)
        report_add(r, "logins_meanwhile", "per_s", storm_end(&others));
    for (uint32_t i = 0; i < o->pairs; i++) {
        peer_close(&pairs[i].sender);
        peer_close(&pairs[i].receiver);
    }
    swarm_close(&c->s);
    relay_process_stop(&relay);
    free(pairs);
    free(ciphertext);
    free(late);
    free(c);
}
