/* net_world.h: a real net process on loopback, with a store of the test's own (a thread that does handshakes and echoes frames) and blocking clients. */
#ifndef TESTS_NET_WORLD_H
#define TESTS_NET_WORLD_H
#include "protocol/frame.h"
#include "server/ipc.h"
#include "server/net.h"
#include "suite.h"
#include "transport/handshake.h"
#include "transport/record.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORLD_SLOTS = 1200 };
typedef struct {
    net_options o;
    pid_t pid;
    uint16_t port;
    int log_fd, listen_fd; /* the read end of the process' stderr */
    uint8_t secret[32], public[32];
    pthread_t thread;
    /* told to the thread */
    atomic_bool mute, deaf, polite_close, hard_close, later; /* no replies; reads nothing; answers a frame with CLOSE; replies in no hurry */
    /* seen by the thread */
    atomic_uint ready, facts, opened, closed, frames, by_reason[IPC_REASONS], drained;
    atomic_ullong count[IPC_COUNTERS_COUNT];
    atomic_bool end;
    int fd;
    handshake *shake[WORLD_SLOTS];
    uint32_t generation[WORLD_SLOTS];
    uint8_t role[WORLD_SLOTS];
} world;

static inline void pause_ms(unsigned ms) { nanosleep(&(struct timespec){ ms / 1000, (long)(ms % 1000) * 1000000 }, NULL); }
static inline uint64_t steady_ms(void) { return env_mono_ms(env_system()); }
/* Waits until the condition holds; fails the test after 15 s. */
#define EVENTUALLY(cond)                                                                                                                             \
    do {                                                                                                                                             \
        uint64_t until_ = steady_ms() + 15000;                                                                                                       \
        while (!(cond) && steady_ms() < until_)                                                                                                      \
            pause_ms(2);                                                                                                                             \
        ck_assert_msg((cond), "never: " #cond);                                                                                                      \
    } while (0)

/* ---- the store ---------------------------------------------------------------------------------------------------------------------------- */
static inline void stub_handshake(world *w, ipc_queue *q, const ipc_message *m)
{
    uint8_t pre[TACET_PREAMBLE_BYTES], out[TACET_HANDSHAKE_MESSAGE_MAX_BYTES];
    handshake **h = &w->shake[m->slot];
    tacet_role role = (tacet_role)m->payload[0];
    if (!*h) {
        preamble_encode(pre, TACET_WIRE_VERSION, role);
        handshake_pattern p = role == TACET_ROLE_MAILBOX ? HANDSHAKE_XKHFS : HANDSHAKE_NKHFS;
        if (handshake_responder_new(h, p, env_system(), pre, sizeof pre, w->secret) != TACET_OK)
            return;
    }
    int rc = handshake_read(*h, m->payload + 1, m->bytes - 1);
    if (rc == TACET_OK && handshake_next(*h) == HANDSHAKE_SEND) {
        size_t n = handshake_message_bytes(*h);
        rc = handshake_write(*h, out);
        rc |= ipc_put_copy(q, IPC_HANDSHAKE_OUT, m->slot, m->generation, out, n);
    }
    if (rc == TACET_OK && handshake_next(*h) == HANDSHAKE_DONE) {
        handshake_keys k;
        rc = handshake_split(*h, &k);
        *h = handshake_free(*h);
        rc |= ipc_put_copy(q, IPC_KEYS, m->slot, m->generation, &k, 64); /* send, receive: as IPC_KEYS wants them */
    }
    if (rc != TACET_OK)
        (void)!ipc_put_copy(q, IPC_CLOSE, m->slot, m->generation, "", 1);
}
static inline void stub_frame(world *w, ipc_queue *q, const ipc_message *m)
{
    w->frames++;
    if (w->hard_close || w->polite_close) {
        (void)!ipc_put_copy(q, IPC_CLOSE, m->slot, m->generation, w->polite_close ? "\1" : "", 1);
        return;
    }
    uint8_t *p = w->mute ? NULL : ipc_put(q, w->later ? IPC_FRAME_LATER : IPC_FRAME_OUT, m->slot, m->generation, 2 + 4 + m->bytes);
    if (!p)
        return;
    const uint8_t head[6] = { 0, 1, 0, (uint8_t)(m->bytes >> 16), (uint8_t)(m->bytes >> 8), (uint8_t)m->bytes };
    memcpy(p, head, 6);
    memcpy(p + 6, m->payload, m->bytes);
}
static inline void stub_message(world *w, ipc_queue *q, const ipc_message *m)
{
    switch ((int)m->type) {
    case IPC_READY:
        w->facts = m->payload[3];
        w->ready = 1;
        break;
    case IPC_OPENED:
        w->opened++;
        w->generation[m->slot] = m->generation;
        break;
    case IPC_HANDSHAKE_IN:
        w->role[m->slot] = m->payload[0];
        stub_handshake(w, q, m);
        break;
    case IPC_FRAME_IN:
        stub_frame(w, q, m);
        break;
    case IPC_DRAINED:
        w->drained += (unsigned)m->payload[3] | (unsigned)m->payload[2] << 8 | (unsigned)m->payload[1] << 16;
        break;
    case IPC_CLOSED:
        w->closed++;
        w->by_reason[m->payload[0]]++;
        w->shake[m->slot] = handshake_free(w->shake[m->slot]);
        break;
    case IPC_COUNTERS:
        for (int i = 0; i < IPC_COUNTERS_COUNT; i++) {
            uint64_t v = 0;
            for (int b = 0; b < 8; b++)
                v = v << 8 | m->payload[8 * i + b];
            w->count[i] = v;
        }
        break;
    default:
        break;
    }
}
static inline void *stub_store(void *arg)
{
    world *w = arg;
    static uint8_t in[1024 * 1024];
    size_t used = 0;
    ipc_queue q;
    ipc_queue_init(&q, 64 * 1024 * 1024);
    while (!w->end) {
        if (w->deaf) {
            pause_ms(2);
            continue;
        }
        while (q.used) {
            ssize_t n = send(w->fd, ipc_queued(&q), q.used, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n <= 0)
                break;
            ipc_written(&q, (size_t)n);
        }
        ssize_t n = recv(w->fd, in + used, sizeof in - used, MSG_DONTWAIT);
        if (n == 0)
            break;
        if (n < 0) {
            pause_ms(1);
            continue;
        }
        used += (size_t)n;
        ipc_message m;
        size_t at = 0;
        int rc;
        while ((rc = ipc_next(&m, IPC_FROM_NET, in, used, &at)) == TACET_OK)
            stub_message(w, &q, &m);
        if (rc != TACET_E_AGAIN)
            abort();
        memmove(in, in + at, used - at);
        used -= at;
    }
    ipc_queue_free(&q);
    return NULL;
}

/* ---- the process ---------------------------------------------------------------------------------------------------------------------------- */
static inline void world_fork(world *w, int store_end, int log_end, void (*before)(void))
{
    w->pid = fork();
    ck_assert_int_ge(w->pid, 0);
    if (w->pid != 0)
        return;
    for (int sig = 1; sig < 32; sig++) /* the test runner's handlers are not ours */
        signal(sig, SIG_DFL);
    dup2(log_end, 2);
    int l = fcntl(w->listen_fd, F_DUPFD, 100), s = fcntl(store_end, F_DUPFD, 100);
    w->o.listen_fd = dup2(l, 3);
    w->o.store_fd = dup2(s, 4);
    close_range(5, ~0U, 0);
    if (before)
        before();
    _exit(net_run(&w->o));
}
/* `before` runs in the new process before net_run. */
static inline world *world_start(const net_options *o, void (*before)(void))
{
    world *w = calloc(1, sizeof *w);
    int pair[2], log[2];
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    w->o = *o;
    w->o.slots = o->slots ? o->slots : WORLD_SLOTS;
    w->o.uid = w->o.gid = geteuid() == 0 ? 65534 : 0;
    memset(w->o.salt, 5, sizeof w->o.salt);
    randombytes_buf(w->secret, 32);
    crypto_scalarmult_curve25519_base(w->public, w->secret);
    w->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(w->listen_fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(w->listen_fd, 1024), 0);
    ck_assert_int_eq(getsockname(w->listen_fd, (struct sockaddr *)&a, &n), 0);
    w->port = ntohs(a.sin_port);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ck_assert_int_eq(pipe(log), 0);
    world_fork(w, pair[1], log[1], before);
    close(pair[1]);
    close(log[1]);
    w->fd = pair[0];
    w->log_fd = log[0];
    ck_assert_int_eq(pthread_create(&w->thread, NULL, stub_store, w), 0);
    return w;
}
static inline int world_wait(world *w)
{
    int status = 0;
    uint64_t until = steady_ms() + 20000;
    while (waitpid(w->pid, &status, WNOHANG) == 0) {
        if (steady_ms() > until) {
            kill(w->pid, SIGKILL);
            waitpid(w->pid, &status, 0);
            return 999; /* it did not end by itself */
        }
        pause_ms(2);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
static inline size_t world_log(const world *w, char *out, size_t room)
{
    size_t used = 0;
    for (ssize_t n = 1; n > 0 && used < room - 1; used += (size_t)(n > 0 ? n : 0))
        n = read(w->log_fd, out + used, room - 1 - used);
    out[used] = 0;
    return used;
}
static inline void world_join(world *w)
{
    w->end = true;
    pthread_join(w->thread, NULL);
    for (int i = 0; i < WORLD_SLOTS; i++)
        handshake_free(w->shake[i]);
    close(w->fd);
    close(w->log_fd);
    close(w->listen_fd);
    free(w);
}
/* Closes store's end, as a store that dies does, and expects the process to go. */
static inline void world_end(world *w)
{
    w->deaf = false;
    shutdown(w->fd, SHUT_RDWR);
    ck_assert_int_eq(world_wait(w), 1);
    world_join(w);
}

/* ---- a client --------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    int fd;
    record_key send, receive;
    uint8_t stream[300 * 1024];
    size_t used;
} client;

static inline int dial(const world *w, const char *from)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, own = a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    const struct timeval limit = { .tv_sec = 15 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    own.sin_port = 0;
    if (from) {
        inet_pton(AF_INET, from, &own.sin_addr);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    }
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}
static inline bool write_all(int fd, const void *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t some = send(fd, (const uint8_t *)bytes + at, n - at, MSG_NOSIGNAL);
        if (some <= 0)
            return false;
        at += (size_t)some;
    }
    return true;
}
static inline bool read_all(int fd, void *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t some = recv(fd, (uint8_t *)bytes + at, n - at, 0);
        if (some <= 0)
            return false;
        at += (size_t)some;
    }
    return true;
}
/* True when the peer closed (or reset) and nothing more came. */
static inline bool is_closed(int fd)
{
    uint8_t b;
    return recv(fd, &b, 1, 0) == 0 || (errno == ECONNRESET || errno == EPIPE);
}
static inline size_t put_message(handshake *h, uint8_t *out)
{
    size_t n = handshake_message_bytes(h);
    out[0] = (uint8_t)(n >> 8), out[1] = (uint8_t)n;
    ck_assert_int_eq(handshake_write(h, out + 2), TACET_OK);
    return 2 + n;
}
/* False: the relay closed. */
static inline bool client_try(client *c, const world *w, tacet_role role, const char *from)
{
    uint8_t m[2 + TACET_HANDSHAKE_MESSAGE_MAX_BYTES], own[32];
    handshake *h = NULL;
    handshake_keys k;
    memset(c, 0, sizeof *c);
    c->fd = dial(w, from);
    randombytes_buf(own, 32);
    preamble_encode(m, TACET_WIRE_VERSION, role);
    handshake_pattern p = role == TACET_ROLE_MAILBOX ? HANDSHAKE_XKHFS : HANDSHAKE_NKHFS;
    ck_assert_int_eq(handshake_initiator_new(&h, p, env_system(), m, 8, role == TACET_ROLE_MAILBOX ? own : NULL, w->public), TACET_OK);
    bool ok = write_all(c->fd, m, 8) && write_all(c->fd, m, put_message(h, m));
    size_t n = 2 + handshake_message_bytes(h);
    ok = ok && read_all(c->fd, m, n);
    if (ok)
        ck_assert_int_eq(handshake_read(h, m + 2, n - 2), TACET_OK);
    if (ok && role == TACET_ROLE_MAILBOX)
        ok = write_all(c->fd, m, put_message(h, m));
    if (ok) {
        ck_assert_int_eq(handshake_split(h, &k), TACET_OK);
        memcpy(c->send.key, k.send, 32);
        memcpy(c->receive.key, k.receive, 32);
    }
    handshake_free(h);
    return ok;
}
static inline client *client_new(const world *w, tacet_role role, const char *from)
{
    client *c = malloc(sizeof *c);
    ck_assert(client_try(c, w, role, from));
    return c;
}
static inline void client_free(client *c)
{
    close(c->fd);
    free(c);
}
/* One frame in a record of its own. */
static inline size_t seal_frame(client *c, uint8_t *out, const uint8_t *body, size_t n)
{
    static uint8_t stream[TACET_RECORD_STREAM_MAX_BYTES];
    size_t whole = 0;
    const uint8_t head[4] = { 0, 0, (uint8_t)(n >> 8), (uint8_t)n };
    memcpy(stream, head, 4);
    memcpy(stream + 4, body, n);
    ck_assert_int_eq(record_seal(&c->send, out, &whole, stream, 4 + n), TACET_OK);
    return whole;
}
static inline size_t echo_body(uint8_t *out, size_t room, uint32_t id, size_t data_bytes)
{
    static uint8_t data[1024];
    size_t n = 0;
    frame f = { .kind = FRAME_ECHO, .id = id };
    memset(data, (int)id, sizeof data);
    f.echo.data = (view){ data, data_bytes };
    ck_assert_int_eq(frame_encode(&f, out, room, &n), TACET_OK);
    return n;
}
static inline bool client_echo_send(client *c, uint32_t id, size_t data_bytes)
{
    uint8_t body[1200], record[2048];
    size_t n = seal_frame(c, record, body, echo_body(body, sizeof body, id, data_bytes));
    return write_all(c->fd, record, n);
}
/* The id of the next frame that comes; 0: closed. */
static inline uint32_t client_echo_receive(client *c)
{
    static uint8_t record[TACET_RECORD_MAX_BYTES];
    static frame f;
    while (c->used < 4 || c->used < 4 + ((size_t)c->stream[2] << 8 | c->stream[3])) {
        const uint8_t *stream = NULL;
        size_t whole = 0, n = 0;
        if (!read_all(c->fd, record, 2))
            return 0;
        ck_assert_int_eq(record_length(record, &whole), TACET_OK);
        if (!read_all(c->fd, record + 2, whole - 2))
            return 0;
        ck_assert_int_eq(record_open(&c->receive, record, whole, &stream, &n), TACET_OK);
        ck_assert(c->used + n <= sizeof c->stream);
        memcpy(c->stream + c->used, stream, n);
        c->used += n;
    }
    size_t n = (size_t)c->stream[2] << 8 | c->stream[3];
    ck_assert_int_eq(frame_decode(&f, c->stream + 4, n), TACET_OK);
    memmove(c->stream, c->stream + 4 + n, c->used - 4 - n);
    c->used -= 4 + n;
    return f.id;
}
#endif
