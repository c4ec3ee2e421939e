/* bench/swarm.h: many devices in one process: real sockets, real handshakes (engine/wire.h), one epoll loop. Each peer has a source address of its
 * own in 127.0.0.0/8, so that limits by address see many. */
#ifndef BENCH_SWARM_H
#define BENCH_SWARM_H
#include "engine/wire.h"
#include "identity/devices.h"
#include "identity/directory.h"
#include "identity/link.h"
#include <stdbool.h>

typedef struct {
    account_id id;
    sign_pair ik, sign;
    dh_pair dh, tk;
    uint8_t list[TACET_DEVICE_LIST_MAX_BYTES], list_hash[TACET_HASH_BYTES], token[TACET_TOKEN_BYTES];
    size_t list_bytes;
} bench_account;
void bench_account_make(bench_account *a);

typedef struct swarm swarm;
typedef struct peer peer;

/* The answer to one request, exactly once; NULL: the connection ended before it came. */
typedef void reply_fn(void *ctx, const frame *reply);
enum { PEER_REQUESTS_MAX = 256 };
typedef struct {
    reply_fn *done;
    void *ctx;
} peer_request;

struct peer {
    swarm *of;
    wire *w;
    int fd;
    uint32_t index;
    bool up, wants_write, dirty;
    tacet_role role;
    bench_account *account;   /* whose transport key it logs in with (mailbox role) */
    void (*on_up)(peer *p);   /* the handshake is done */
    void (*on_down)(peer *p); /* the connection has ended; the peer's fd and wire are gone */
    void (*on_deliver)(peer *p, const frame *event);
    void (*on_chunk)(peer *p, const frame *event);
    void *ctx;
    peer_request asked[PEER_REQUESTS_MAX]; /* by id, modulo */
    uint32_t last_id;
    uint64_t acks[256]; /* numbers to acknowledge at the end of the loop's turn */
    uint32_t ack_count;
};

struct swarm {
    int epoll_fd;
    secret_arena *arena;
    relay_address relay;
    double pace_s, next_turn; /* turns begin at least so far apart, as a network card coalesces its interrupts; 0: as fast as they can */
    peer **dirty;
    size_t dirty_count, dirty_room;
    uint64_t connected, ended, refused;
};

void raise_descriptors(void); /* as far as the machine lets us */
void swarm_open(swarm *s, const relay_address *relay, size_t peers_max);
void swarm_close(swarm *s);
/* Starts to connect; the source address follows from p->index. false: the machine has no more descriptors or ports. */
bool peer_connect(swarm *s, peer *p);
void peer_close(peer *p);
/* A request on p (its id is overwritten); exits the bench when it cannot be queued. */
void peer_ask(peer *p, frame *f, reply_fn *done, void *ctx);
/* True when it was queued; false: too many are unanswered, or the connection has ended. */
bool peer_try(peer *p, frame *f, reply_fn *done, void *ctx);
void peer_acknowledge(peer *p, uint64_t number);
/* One turn of the loop: at most wait_ms, or until a moment of seconds_now, for something to happen. */
void swarm_turn(swarm *s, int wait_ms);
void swarm_turn_until(swarm *s, double moment);
double seconds_now(void);

/* Registers p's account (p is up), adds its token as a delivery token, and subscribes with `window`; then calls done(p). */
void peer_register(peer *p, uint32_t window, void (*done)(peer *p));
/* Fills a send of `bytes` bytes with a sequence number in front; the rest of `ciphertext` is the caller's. Only the fields of a send are written. */
void send_frame(frame *f, const bench_account *to, uint8_t *ciphertext, size_t bytes, uint64_t sequence);
#endif
