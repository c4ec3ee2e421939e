#include "swarm.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void bench_account_make(bench_account *a)
{
    const tacet_env *env = env_system();
    device_list l = { .version = 1, .count = 1 };
    sign_pair_generate(&a->ik, env);
    sign_pair_generate(&a->sign, env);
    dh_pair_generate(&a->dh, env);
    dh_pair_generate(&a->tk, env);
    env_random(env, a->token, sizeof a->token);
    memcpy(l.ik, a->ik.public, 32);
    l.device[0] = (device_entry){ .id = 1, .lowest = 1, .highest = 1, .created_s = env_now_ms(env) / 1000 };
    memcpy(l.device[0].sign, a->sign.public, 32);
    memcpy(l.device[0].dh, a->dh.public, 32);
    memcpy(l.device[0].transport, a->tk.public, 32);
    if (device_list_sign(&l, a->list, &a->list_bytes, a->ik.secret) != TACET_OK)
        give_up("could not sign a device list");
    a->id = l.account;
    memcpy(a->list_hash, l.hash, sizeof a->list_hash);
}

void raise_descriptors(void)
{
    struct rlimit most = { 1024 * 1024, 1024 * 1024 }, l;
    if (setrlimit(RLIMIT_NOFILE, &most) == 0 || getrlimit(RLIMIT_NOFILE, &l) != 0)
        return;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &l);
}

void swarm_open(swarm *s, const relay_address *relay, size_t peers_max)
{
    (void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    *s = (swarm){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC), .relay = *relay, .dirty_room = peers_max };
    s->dirty = calloc(peers_max, sizeof *s->dirty);
    if (s->epoll_fd < 0 || !s->dirty || secret_arena_new(&s->arena, 4096 + 512 * peers_max) != TACET_OK)
        give_up("no memory, or it cannot be locked: run as root or raise RLIMIT_MEMLOCK");
}

void swarm_close(swarm *s)
{
    close(s->epoll_fd);
    free(s->dirty);
    secret_arena_free(s->arena);
}

static void mark_dirty(peer *p)
{
    if (!p->dirty && p->of->dirty_count < p->of->dirty_room) {
        p->dirty = true;
        p->of->dirty[p->of->dirty_count++] = p;
    }
}

static void on_up(void *ctx)
{
    peer *p = ctx;
    p->up = true;
    p->of->connected++;
    if (p->on_up)
        p->on_up(p);
}

static void on_frame(void *ctx, const uint8_t *bytes, size_t n)
{
    static frame f;
    peer *p = ctx;
    if (frame_decode(&f, bytes, n) != TACET_OK)
        give_up("the relay sent a frame that cannot be");
    if (f.kind == FRAME_DELIVER && p->on_deliver)
        p->on_deliver(p, &f);
    if (f.kind == FRAME_CHUNK && p->on_chunk)
        p->on_chunk(p, &f);
    peer_request r = p->asked[f.id % PEER_REQUESTS_MAX];
    if (f.id == 0 || !r.done)
        return;
    p->asked[f.id % PEER_REQUESTS_MAX].done = NULL;
    r.done(r.ctx, &f);
}

bool peer_connect(swarm *s, peer *p)
{
    const int one = 1;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s->relay.port) };
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl((127U << 24) + (1U << 16) + p->index + 2) };
    to.sin_addr.s_addr = inet_addr(s->relay.host);
    p->of = s;
    p->up = p->dirty = p->wants_write = false;
    p->ack_count = p->last_id = 0;
    memset(p->asked, 0, sizeof p->asked);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        return false;
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    wire_config c = {
        .env = env_system(), .arena = s->arena, .role = p->role, .relay_key = s->relay.key, .on_up = on_up, .on_frame = on_frame, .ctx = p
    };
    if (p->role == TACET_ROLE_MAILBOX)
        c.static_secret = p->account->tk.secret;
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = p };
    if (bind(p->fd, (struct sockaddr *)&from, sizeof from) != 0 || (connect(p->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) ||
        wire_new(&p->w, &c) != TACET_OK) {
        close(p->fd);
        p->fd = -1;
        return false;
    }
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, p->fd, &ev) != 0)
        give_up("epoll");
    return true;
}

void peer_close(peer *p)
{
    if (p->fd < 0)
        return;
    close(p->fd);
    p->fd = -1;
    p->w = wire_free(p->w);
    if (p->up)
        p->of->connected--;
    p->up = false;
}

static void peer_ended(peer *p)
{
    p->of->ended++;
    if (!p->up)
        p->of->refused++;
    peer_close(p);
    for (size_t i = 0; i < PEER_REQUESTS_MAX; i++)
        if (p->asked[i].done)
            p->asked[i].done(p->asked[i].ctx, NULL);
    if (p->on_down)
        p->on_down(p);
}

static void peer_flush(peer *p)
{
    const uint8_t *at;
    for (size_t n; p->fd >= 0 && (n = wire_output(p->w, &at)) > 0;) {
        ssize_t sent = send(p->fd, at, n, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != ENOTCONN)
                peer_ended(p);
            return;
        }
        wire_sent(p->w, (size_t)sent);
    }
}

static void peer_read(peer *p)
{
    static uint8_t buf[256 * 1024];
    while (p->fd >= 0) {
        ssize_t got = recv(p->fd, buf, sizeof buf, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
            return;
        if (got <= 0 || wire_receive(p->w, buf, (size_t)got) != TACET_OK) {
            peer_ended(p);
            return;
        }
        if ((size_t)got < sizeof buf)
            return;
    }
}

bool peer_try(peer *p, frame *f, reply_fn *done, void *ctx)
{
    static uint8_t buf[TACET_FRAME_MAX_BYTES];
    size_t n = 0;
    uint32_t id = p->last_id + 1 ? p->last_id + 1 : 1;
    peer_request *place = &p->asked[id % PEER_REQUESTS_MAX];
    if (p->fd < 0 || place->done)
        return false;
    f->id = id;
    if (frame_encode(f, buf, sizeof buf, &n) != TACET_OK)
        give_up("a frame that cannot be encoded");
    if (wire_send(p->w, buf, n) != TACET_OK)
        return false;
    p->last_id = id;
    *place = (peer_request){ done, ctx };
    mark_dirty(p);
    return true;
}

void peer_ask(peer *p, frame *f, reply_fn *done, void *ctx)
{
    if (!peer_try(p, f, done, ctx))
        give_up("a request could not be queued");
}

static void ignore_reply(void *ctx, const frame *reply) { (void)ctx, (void)reply; }

static void send_acks(peer *p)
{
    if (p->ack_count == 0)
        return;
    static frame f; /* 8 KiB: not to be cleared each time */
    f.kind = FRAME_ACK;
    f.ack.ids.count = p->ack_count;
    memcpy(f.ack.ids.item, p->acks, p->ack_count * sizeof *p->acks);
    if (peer_try(p, &f, ignore_reply, NULL))
        p->ack_count = 0;
}

void peer_acknowledge(peer *p, uint64_t number)
{
    p->acks[p->ack_count++] = number;
    if (p->ack_count == sizeof p->acks / sizeof *p->acks)
        send_acks(p);
    mark_dirty(p);
}

static void keep_pace(swarm *s)
{
    double now = s->pace_s > 0 ? seconds_now() : 0;
    if (now < s->next_turn) {
        struct timespec t = { (time_t)s->next_turn, (long)((s->next_turn - floor(s->next_turn)) * 1e9) };
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        now = s->next_turn;
    }
    s->next_turn = now + s->pace_s;
}

static struct timespec until(double moment)
{
    double left = moment - seconds_now();
    if (left <= 0)
        return (struct timespec){ 0 };
    return (struct timespec){ (time_t)left, (long)((left - floor(left)) * 1e9) };
}

void swarm_turn(swarm *s, int wait_ms) { swarm_turn_until(s, wait_ms > 0 ? seconds_now() + wait_ms / 1e3 : 0); }

void swarm_turn_until(swarm *s, double moment)
{
    struct epoll_event ev[512];
    keep_pace(s);
    struct timespec t = s->dirty_count || moment <= 0 ? (struct timespec){ 0 } : until(moment);
    int n = epoll_pwait2(s->epoll_fd, ev, 512, &t, NULL);
    for (int i = 0; i < n; i++) {
        peer *p = ev[i].data.ptr;
        peer_read(p);
        if (p->fd >= 0)
            mark_dirty(p);
    }
    size_t count = s->dirty_count;
    for (size_t i = 0; i < count; i++) {
        peer *p = s->dirty[i];
        p->dirty = false;
        if (p->fd < 0)
            continue;
        send_acks(p);
        peer_flush(p);
    }
    memmove(s->dirty, s->dirty + count, (s->dirty_count - count) * sizeof *s->dirty);
    s->dirty_count -= count;
}

/* ---- register, token, subscribe ---------------------------------------------------------------------------------------------------- */
typedef struct {
    peer *p;
    uint32_t window;
    void (*done)(peer *p);
} registration;

static void must_be_ok(const frame *reply, const char *what)
{
    if (reply && reply->kind == FRAME_OK)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, reply && reply->kind == FRAME_ERROR ? error_word(reply->error.code) : "connection ended");
    exit(1);
}

static void subscribed(void *ctx, const frame *reply)
{
    registration r = *(registration *)ctx;
    must_be_ok(reply, "subscribe");
    free(ctx);
    r.done(r.p);
}

static void token_added(void *ctx, const frame *reply)
{
    registration *r = ctx;
    must_be_ok(reply, "tokens");
    if (r->window == 0) {
        subscribed(ctx, reply);
        return;
    }
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe = { r->window } };
    peer_ask(r->p, &f, subscribed, r);
}

static void registered(void *ctx, const frame *reply)
{
    registration *r = ctx;
    uint8_t hash[TACET_HASH_BYTES];
    must_be_ok(reply, "register");
    token_hash(hash, r->p->account->token);
    frame f = { .kind = FRAME_TOKENS, .tokens = { .add = { 1, { { hash, sizeof hash } } }, .kind = TOKEN_DELIVERY } };
    peer_ask(r->p, &f, token_added, r);
}

void peer_register(peer *p, uint32_t window, void (*done)(peer *p))
{
    const bench_account *a = p->account;
    uint8_t object[TACET_HANDSHAKE_HASH_BYTES + TACET_HASH_BYTES], proof[TACET_SIGNATURE_BYTES];
    registration *r = malloc(sizeof *r);
    if (!r)
        give_up("no memory");
    *r = (registration){ p, window, done };
    memcpy(object, wire_handshake_hash(p->w), TACET_HANDSHAKE_HASH_BYTES);
    memcpy(object + TACET_HANDSHAKE_HASH_BYTES, a->list_hash, TACET_HASH_BYTES);
    object_sign(proof, SIGN_REGISTER, &a->id, 0, object, sizeof object, a->ik.secret);
    frame f = { .kind = FRAME_REGISTER,
                .register_ = { .list = { a->list, a->list_bytes }, .invite = { object, 0 }, .device = 1, .proof = { proof, sizeof proof } } };
    peer_ask(p, &f, registered, r);
}

void send_frame(frame *f, const bench_account *to, uint8_t *ciphertext, size_t bytes, uint64_t sequence)
{
    memcpy(ciphertext, &sequence, sizeof sequence);
    f->kind = FRAME_SEND;
    f->send.version = TACET_WIRE_VERSION;
    f->send.account = (view){ to->id.bytes, TACET_ACCOUNT_BYTES };
    f->send.device = 1;
    f->send.token = (view){ to->token, TACET_TOKEN_BYTES };
    f->send.ttl_s = 86400;
    f->send.ciphertext = (view){ ciphertext, bytes };
}
