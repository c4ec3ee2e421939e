/* Memory of idle connections. No process here has more descriptors than the machine gives one, so the devices are spread over as many as it takes, and
 * `--workers` does the same for the relay. */
#include "many.h"
#include "relay_process.h"
#include "runs.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHARDS_MAX = 16, SPARE_DESCRIPTORS = 100, UNDER_WAY = 256 };
enum { ORDER_CONNECT = 'c', ORDER_LEAVE = 'l' };

/* A process with a part of the devices. */
typedef struct {
    pid_t pid;
    int fd;
} shard;
typedef struct {
    double ready, connected, refused;
} told;
typedef struct {
    shard at[SHARDS_MAX];
    uint32_t count;
} shards;

static void subscribed(void *ctx, const frame *reply)
{
    (void)ctx;
    many_ready += reply && reply->kind == FRAME_OK;
}

static void subscribe_again(peer *p)
{
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe = { 64 } };
    peer_ask(p, &f, subscribed, NULL);
}

/* ---- one shard --------------------------------------------------------------------------------------------------------------------------- */
static void leave(swarm *s, peer *p, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        peer_close(&p[i]);
        p[i].on_up = subscribe_again;
    }
    s->connected = s->refused = 0;
}

static _Noreturn void shard_run(const relay_address *relay, uint32_t first, uint32_t count, uint32_t batch, int fd)
{
    swarm s;
    char order;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0ul, 0ul, 0ul);
    bench_account *accounts = calloc(count, sizeof *accounts);
    if (!accounts)
        _exit(1);
    swarm_open(&s, relay, count);
    peer *p = many_make(count, accounts, many_register);
    for (uint32_t i = 0; i < count; i++)
        p[i].index += first;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    for (ssize_t n; (n = read(fd, &order, 1)) != 0;) {
        if (n < 0) {
            swarm_turn(&s, 100);
            continue;
        }
        if (order == ORDER_LEAVE)
            leave(&s, p, count);
        else
            (void)many_connect(&s, p, count, batch);
        const told t = { many_ready, (double)s.connected, (double)s.refused };
        if (write(fd, &t, sizeof t) != sizeof t)
            _exit(1);
    }
    _exit(0);
}

static void shards_begin(shards *all, const relay_address *relay, uint32_t count)
{
    struct rlimit l;
    raise_descriptors();
    uint32_t room = getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur > 2 * SPARE_DESCRIPTORS ? (uint32_t)l.rlim_cur - SPARE_DESCRIPTORS : 1000;
    all->count = (count + room - 1) / room;
    if (all->count > SHARDS_MAX) {
        fprintf(stderr, "bench: %u connections need more than %d processes here\n", count, SHARDS_MAX);
        exit(1);
    }
    for (uint32_t i = 0; i < all->count; i++) {
        uint32_t first = (uint32_t)((uint64_t)count * i / all->count), end = (uint32_t)((uint64_t)count * (i + 1) / all->count);
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || (all->at[i].pid = fork()) < 0) {
            perror("bench");
            exit(1);
        }
        if (all->at[i].pid == 0) {
            for (uint32_t k = 0; k < i; k++)
                close(all->at[k].fd); /* else the others would not see that we have ended */
            close(ends[0]);
            shard_run(relay, first, end - first, UNDER_WAY / all->count, ends[1]);
        }
        close(ends[1]);
        all->at[i].fd = ends[0];
    }
}

static told shards_order(const shards *all, char order)
{
    told sum = { 0 }, t;
    for (uint32_t i = 0; i < all->count; i++)
        if (write(all->at[i].fd, &order, 1) != 1)
            exit(1);
    for (uint32_t i = 0; i < all->count; i++) {
        if (read(all->at[i].fd, &t, sizeof t) != sizeof t) {
            fputs("bench: a process with devices has ended\n", stderr);
            exit(1);
        }
        sum.ready += t.ready;
        sum.connected += t.connected;
        sum.refused += t.refused;
    }
    return sum;
}

static void shards_end(shards *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        close(all->at[i].fd);
        waitpid(all->at[i].pid, NULL, 0);
    }
}

/* ---- the run ------------------------------------------------------------------------------------------------------------------------------ */
static relay_usage settled(const relay_process *relay)
{
    relay_usage u;
    sleep(6); /* store gives back what it cached for the logins when nothing has come for some seconds (storage/relay/rest.c) */
    relay_process_usage(relay, &u);
    return u;
}

/* First everybody registers, on a relay that was empty: that counts what each leaves in the relay's caches, too. Then the relay is started again, and the
 * same devices, known now, connect and listen: that is what a connection takes. */
void run_idle(const bench_options *o, report *r)
{
    static const char *const rss[USERS] = { "store_rss", "net_rss", "relay_rss" };
    relay_process relay;
    relay_usage before, started;
    shards all;
    char ini[64];
    uint32_t share = o->count / o->workers + 64;
    snprintf(ini, sizeof ini, "[relay]\nconnections_per_worker = %u\n", share + share / 5 > 16384 ? share + share / 5 : 16384);
    relay_process_start(&relay, o->tacetd, o->workers, ini);
    shards_begin(&all, &relay.address, o->count);
    relay_process_usage(&relay, &before);
    double began = seconds_now();
    told first = shards_order(&all, ORDER_CONNECT);
    double took = seconds_now() - began;
    relay_usage registered = settled(&relay);
    (void)shards_order(&all, ORDER_LEAVE);
    relay_process_end(&relay);
    relay_process_run(&relay, o->workers);
    relay_process_usage(&relay, &started);
    told known = shards_order(&all, ORDER_CONNECT);
    relay_usage after = settled(&relay);
    report_add(r, "connected", "", known.connected);
    report_add(r, "refused", "", known.refused);
    report_add(r, "connected_and_registered", "per_s", first.ready / took);
    for (int i = 0; i < USERS; i++)
        report_add(r, rss[i], "MiB", after.rss_kib[i] / 1024);
    report_add(r, "relay_rss_when_empty", "MiB", started.rss_kib[USED_BY_ALL] / 1024);
    report_add(r, "rss_per_connection", "KiB", known.ready > 0 ? (after.rss_kib[USED_BY_ALL] - started.rss_kib[USED_BY_ALL]) / known.ready : 0);
    report_add(r, "rss_per_registration", "KiB", first.ready > 0 ? (registered.rss_kib[USED_BY_ALL] - before.rss_kib[USED_BY_ALL]) / first.ready : 0);
    shards_end(&all);
    relay_process_stop(&relay);
}
