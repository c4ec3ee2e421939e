/* The net process: its start, in an order that matters, and its loop. One turn = take all completions, let what is overdue end, give each connection
 * that has something to do its turn, hand store its messages, submit everything at once and wait. */
#include "server/net.h"
#include "bulk/aead.h"
#include "net_parts.h"
#include "server/limits.h"
#include "server/sandbox.h"
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(const net *n, const char *what, const char *detail) { fprintf(stderr, "tacetd: net %u: %s%s\n", n->o.worker, what, detail); }

void net_fail(net *n, const char *why)
{
    if (!n->store_gone)
        say(n, why, "");
    n->store_gone = true;
    n->exit_code = 1;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* ---- start ------------------------------------------------------------------------------------------------------------------------------------- */
/* Inherited by every connection: small frames leave at once, a peer that has vanished is noticed within minutes. */
static int prepare_listener(const net *n)
{
    static const struct {
        int level, name, value;
    } option[] = { { SOL_SOCKET, SO_KEEPALIVE, 1 },
                   { IPPROTO_TCP, TCP_NODELAY, 1 },
                   { IPPROTO_TCP, TCP_KEEPIDLE, RELAY_KEEPALIVE_IDLE_S },
                   { IPPROTO_TCP, TCP_KEEPINTVL, RELAY_KEEPALIVE_EVERY_S },
                   { IPPROTO_TCP, TCP_KEEPCNT, RELAY_KEEPALIVE_TRIES } };
    for (size_t i = 0; i < sizeof option / sizeof *option; i++)
        if (setsockopt(n->o.listen_fd, option[i].level, option[i].name, &option[i].value, sizeof option[i].value) != 0)
            return TACET_E_IO;
    return TACET_OK;
}

/* Beyond the hard limit where we are still root. */
static void raise_limit(int which, rlim_t want)
{
    struct rlimit l;
    if (getrlimit(which, &l) != 0 || l.rlim_cur >= want)
        return;
    const struct rlimit wanted = { want, want > l.rlim_max ? want : l.rlim_max }, allowed = { want < l.rlim_max ? want : l.rlim_max, l.rlim_max };
    if (setrlimit(which, &wanted) != 0)
        (void)setrlimit(which, &allowed);
}

/* As many descriptors as slots; what is not given, accept will meet as EMFILE and live with. Rings are locked memory, and the kernel counts those of all
 * processes of one user together: as nobody we share that with every other relay on this machine. */
static void raise_limits(const net *n)
{
    raise_limit(RLIMIT_NOFILE, n->o.slots + 64);
    raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
}

/* The end of this process is store's to decide, or its own; a terminal's Ctrl-C reaches the whole group. */
static void ignore_signals(void)
{
    static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGQUIT };
    struct sigaction a = { .sa_handler = SIG_IGN };
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        (void)sigaction(ignored[i], &a, NULL);
}

static int confine(net *n)
{
    const char *why = "";
    raise_limits(n);
    int rc = prepare_listener(n);
    if (rc == TACET_OK)
        rc = sandbox_drop(n->o.uid, n->o.gid);
    if (rc != TACET_OK) {
        say(n, "cannot drop privileges: ", strerror(errno));
        return rc;
    }
    n->facts |= n->o.uid ? IPC_HAS_OTHER_USER : 0;
    rc = ring_open(&n->ring, n->o.uid, &why);
    if (rc != TACET_OK) {
        say(n, why, "");
        return rc;
    }
    n->facts |= IPC_HAS_RING_RESTRICTIONS; /* else there would be no ring */
    rc = sandbox_landlock(&n->facts);
    if (rc == TACET_OK)
        rc = sandbox_seccomp(&n->facts, n->o.listen_fd);
    if (rc != TACET_OK)
        say(n, "the sandbox did not take: ", strerror(errno));
    return rc;
}

static int prepare(net *n)
{
    const source_limits share = { n->o.address_connections,
                                  RELAY_ADDRESS_PENDING_MAX,
                                  RELAY_ADDRESS_REQUESTS_MAX,
                                  { RELAY_ADDRESS_REQUEST_BYTES_MAX, RELAY_ADDRESS_CHUNK_BYTES_MAX } };
    int rc = conns_new(n);
    if (rc == TACET_OK)
        rc = sources_new(&n->sources, n->o.slots, &share);
    if (rc == TACET_OK)
        rc = limiter_new(&n->limiter, RELAY_LIMITER_ENTRIES, n->o.salt);
    if (rc == TACET_OK)
        rc = limiter_new(&n->budgets, RELAY_LIMITER_ENTRIES, n->o.salt);
    if (rc == TACET_OK)
        rc = store_init(n);
    if (rc != TACET_OK)
        say(n, "not enough memory", "");
    return rc;
}

static void say_ready(net *n)
{
    char words[200];
    const uint8_t payload[4] = { 0, 0, 0, (uint8_t)n->facts };
    assert(n->facts <= UINT8_MAX);
    sandbox_words(words, sizeof words, n->facts);
    say(n, "confined by ", words);
    store_say(n, IPC_READY, NULL, payload, sizeof payload);
}

/* ---- events ---------------------------------------------------------------------------------------------------------------------------------------- */
static void accepted(net *n, const ring_event *e)
{
    if (!e->more)
        n->accepting = false;
    if (e->result >= 0)
        conn_accepted(n, e->result);
    else if (e->result == -EMFILE || e->result == -ENFILE || e->result == -ENOMEM || e->result == -ENOBUFS)
        n->accept_again_ms = n->now_ms + RELAY_ACCEPT_PAUSE_MS; /* the peers wait in the listening queue meanwhile */
    else if (e->result == -EBADF || e->result == -EINVAL || e->result == -ENOTSOCK)
        net_fail(n, "the listening socket is gone");
}

static void on_event(net *n, const ring_event *e)
{
    conn *c = conn_at(n, op_slot(e->tag), op_generation(e->tag));
    switch (op_of(e->tag)) {
    case OP_ACCEPT:
        accepted(n, e);
        break;
    case OP_RECV:
        assert(c != NULL); /* a slot is not vacated while an operation of it is in the ring */
        conn_received(n, c, e);
        break;
    case OP_SEND:
        assert(c != NULL);
        conn_sent(n, c, e);
        break;
    case OP_IPC_RECV:
        store_received(n, e);
        break;
    case OP_IPC_SEND:
        store_sent(n, e);
        break;
    case OP_CANCEL:
    case OP_ATTEMPT:
    case OP_NONE:
        break;
    }
    if (e->buffer >= 0)
        ring_buffer_back(n->ring, e->buffer);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------------------------------------------- */
static void accept_turn(net *n)
{
    if (n->accepting || n->stopping || n->now_ms < n->accept_again_ms)
        return;
    n->accepting = ring_accept(n->ring, n->o.listen_fd, op_pack(OP_ACCEPT, 0, 0));
    n->ring_was_full |= !n->accepting;
}

/* Once: no new connections, and a polite end for each that is there. */
static void stop_turn(net *n)
{
    if (!n->stopping || n->stopped)
        return;
    n->stopped = true;
    n->stop_at_ms = n->now_ms + RELAY_FLUSH_MAX_MS;
    if (n->accepting && !ring_cancel(n->ring, op_pack(OP_ACCEPT, 0, 0), op_pack(OP_CANCEL, 0, 0)))
        n->stopped = false; /* the queue is full: next turn */
    for (uint32_t i = 0; i < n->o.slots; i++) {
        conn *c = &n->conn[i];
        if (c->state == CONN_READY)
            conn_farewell(n, c, IPC_BY_STORE);
        else if (c->state != CONN_FREE && c->state != CONN_FLUSH && c->state != CONN_LINGER)
            conn_end(n, c, IPC_BY_STORE);
    }
}

static bool is_over(const net *n)
{
    bool quiet = n->vacant_count == n->o.slots && n->filling.used == 0 && n->going.used == 0;
    return n->store_gone || (n->stopped && (quiet || n->now_ms >= n->stop_at_ms));
}

static uint64_t wait_ms(const net *n)
{
    uint64_t due = conns_due_ms(n);
    if (n->ring_was_full)
        return 0;
    if (!n->accepting && !n->stopping)
        due = least(due, n->accept_again_ms);
    if (n->stopped)
        due = least(due, n->stop_at_ms);
    if (sodium_memcmp(n->count, n->told, sizeof n->count) != 0)
        due = least(due, n->count_again_ms);
    return due <= n->now_ms ? 1 : least(due - n->now_ms, RELAY_WAIT_MAX_MS);
}

static void loop(net *n)
{
    while (!is_over(n)) {
        ring_event e;
        n->ring_was_full = false;
        stop_turn(n);
        accept_turn(n);
        conns_expire(n);
        conns_turn(n);
        store_count(n);
        store_turn(n);
        if (n->store_gone)
            break;
        if (ring_wait(n->ring, wait_ms(n), n->turned >= RELAY_GATHER_FROM ? RELAY_GATHER_US : 0) != TACET_OK)
            net_fail(n, "the ring is broken");
        n->now_ms = env_mono_ms(n->env);
        while (ring_next(n->ring, &e))
            on_event(n, &e);
    }
}

static void options_fill(net_options *o)
{
    const struct {
        uint32_t *value, usual;
    } row[] = {
        { &o->handshake_burst, RELAY_HANDSHAKE_BURST },
        { &o->handshake_every_ms, RELAY_HANDSHAKE_EVERY_MS },
        { &o->address_connections, o->slots / RELAY_ADDRESS_SHARE > 16 ? o->slots / RELAY_ADDRESS_SHARE : 16 },
        { &o->ask_burst, RELAY_ASK_BURST },
        { &o->ask_every_us, RELAY_ASK_EVERY_US },
        { &o->open_idle_s, RELAY_OPEN_IDLE_S },
        { &o->stall_ms, RELAY_STALL_MS },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (*row[i].value == 0)
            *row[i].value = row[i].usual;
}

int net_run(const net_options *o)
{
    assert(o->slots > 0 && o->slots <= RELAY_SLOTS_MAX);
    net *n = calloc(1, sizeof *n);
    if (!n)
        return 1;
    n->o = *o;
    options_fill(&n->o);
    n->look_ms = least(RELAY_LOOK_MS, least(n->o.stall_ms, UINT64_C(1000) * n->o.open_idle_s));
    n->env = env_system();
    n->now_ms = env_mono_ms(n->env);
    ignore_signals();
    aead_prepare();
    (void)mallopt(M_MMAP_THRESHOLD, RELAY_HEAP_MMAP_BYTES); /* else each buffer of a chunk costs its page faults again */
    (void)mallopt(M_TRIM_THRESHOLD, RELAY_HEAP_KEEP_BYTES);
    if (prepare(n) != TACET_OK || confine(n) != TACET_OK) {
        n->exit_code = 1;
    } else {
#ifdef TACET_TESTING
        if (getenv("TACET_NET_HOSTILE")) {
            n->exit_code = net_hostile(n->ring, n->o.listen_fd);
            goto out;
        }
#endif
        say_ready(n);
        loop(n);
    }
#ifdef TACET_TESTING
out:
#endif
    n->ring = ring_close(n->ring); /* first: the kernel lets go of our buffers */
    conns_free(n);
    store_free(n);
    sources_free(&n->sources);
    n->limiter = limiter_free(n->limiter);
    n->budgets = limiter_free(n->budgets);
    int code = n->exit_code;
    free(n);
    return code;
}
