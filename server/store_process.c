/* server/store_process.c: the loop of the store process. See store_process.h. A turn: read what the workers say, take what the threads have finished,
 * give the committer its next group, write what there is to say. */
#include "server/store_parts.h"
#include "server/limits.h"
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    STOP_MAX_MS = 10000,    /* SIGTERM to the end, whatever happens */
    STOP_NET_MAX_MS = 3000, /* for the workers to close what they have */
    POLL_MAX_MS = 1000,
    FDS_MAX = RELAY_WORKERS_MAX + CONTROL_CLIENTS_MAX + 4,
};

/* One write a line, so that lines of several processes do not mix. A log that cannot be written is no reason to stop a relay. */
void store_log(const char *format, ...)
{
    char line[1024] = "tacetd: ";
    size_t n = strlen(line);
    va_list args;
    va_start(args, format);
    vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    n = strlen(line);
    line[n++] = '\n';
    ssize_t written;
    do
        written = write(STDERR_FILENO, line, n);
    while (written < 0 && errno == EINTR);
}

void store_tell_supervisor(const store *s, supervisor_message what, const uint8_t *data, size_t n)
{
    uint8_t m[64] = { (uint8_t)what };
    if (n)
        memcpy(m + 1, data, n);
    if (send(s->o->supervisor_fd, m, 1 + n, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        store_log("the supervisor does not listen: %s", strerror(errno));
}

static uint64_t mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t port_mono_ms(void *ctx)
{
    (void)ctx;
    return mono_us() / 1000;
}

/* What the disk did not take, or gave back damaged: nothing more may be accepted, not even said. */
static _Noreturn void die(int status)
{
    store_log("the store failed (%s: %s); stopping so that nothing is accepted that is not on the disk. Look at the disk, then: tacetd check",
              tacet_status_word(status), strerror(errno));
    _exit(1);
}

/* --- what the core and the gate ask ---------------------------------------------------------------------------------------------------- */
static ipc_queue *port_queue(void *ctx, uint32_t worker)
{
    store *s = ctx;
    return worker < s->config.workers && s->channel[worker].fd >= 0 ? &s->channel[worker].out : NULL;
}

static void port_handshake(void *ctx, handshake_work *w) { pool_submit(((store *)ctx)->pool, &w->work); }
static void port_backlog(void *ctx, backlog_job *b) { backlog_submit(((store *)ctx)->backlog, b); }
static void port_ready(void *ctx, core_peer to) { gate_ready(((store *)ctx)->gate, to); }
static void port_close(void *ctx, core_peer to, bool flush) { gate_close(((store *)ctx)->gate, to, flush); }

static void port_out(void *ctx, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies)
{
    gate_out(((store *)ctx)->gate, to, stream, bytes, replies);
}

static void port_chunks(void *ctx, chunk_work *w)
{
    store *s = ctx;
    bool writes = w->op == CHUNKS_WRITE || w->op == CHUNKS_REMOVE;
    w->segments = writes ? s->segments : s->chunk_segments;
    pool_submit(writes ? s->writer : s->chunk_reader, &w->work);
}

static void port_later(void *ctx, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies)
{
    gate_later(((store *)ctx)->gate, to, stream, bytes, replies);
}

static void port_verify(void *ctx, request_job *r)
{
    r->work.run = directory_verify_run;
    pool_submit(((store *)ctx)->pool, &r->work);
}

/* Mailboxes have names in the log that nobody can tell from others after the next start. */
static void port_note(void *ctx, const char *what, uint32_t mailbox)
{
    store *s = ctx;
    uint64_t id;
    if (!s->config.debug)
        return;
    crypto_shorthash((uint8_t *)&id, (const uint8_t *)&mailbox, sizeof mailbox, s->o->salt);
    store_log("%s %08u", what, (unsigned)(id % 100000000));
}

/* --- the workers ----------------------------------------------------------------------------------------------------------------------- */
static bool all_ready(const store *s)
{
    uint32_t facts;
    for (uint32_t w = 0; w < s->config.workers; w++)
        if (s->channel[w].fd < 0 || !gate_worker_ready(s->gate, w, &facts))
            return false;
    return true;
}

/* --- the supervisor -------------------------------------------------------------------------------------------------------------------- */
static void stop_begin(store *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    s->stop_ms = mono_us() / 1000;
    core_stop(s->core);
    gate_stop(s->gate);
    relay_beside_stop(s->db);
}

static void reload(store *s)
{
    char path[RELAY_PATH_MAX], what[128];
    relay_config fresh = relay_config_default();
    int line = 0, rc = relay_dir_path(path, s->o->dir, "tacetd.ini");
    if (rc == TACET_OK)
        rc = relay_config_read(&fresh, path, &line, what, sizeof what);
    if (rc != TACET_OK) {
        store_log("tacetd.ini was not taken over: %s %s in line %d", tacet_status_word(rc), rc == TACET_E_MALFORMED ? what : "", line);
        return;
    }
    s->config.debug = fresh.debug;
    s->config.handshakes = fresh.handshakes;
    s->config.core = fresh.core;
    core_configure(s->core, &s->config.core);
    gate_configure(s->gate, s->config.handshakes);
    store_log("tacetd.ini was read again: registration %s", registration_word(s->config.core.directory.registration));
}

static int received_fd(struct msghdr *h)
{
    struct cmsghdr *m = CMSG_FIRSTHDR(h);
    int fd = -1;
    if (m && m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS && m->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(m), sizeof fd);
    return fd;
}

static void supervisor_read(store *s)
{
    uint8_t m[8];
    pid_t pid;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } ancillary;
    struct iovec v = { m, sizeof m };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ancillary.bytes, .msg_controllen = sizeof ancillary.bytes };
    ssize_t n = recvmsg(s->o->supervisor_fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    int fd = n > 0 ? received_fd(&h) : -1;
    if (n <= 0 || m[0] == SUPERVISOR_STOP) /* a supervisor that died is a reason to finish properly */
        stop_begin(s);
    else if (m[0] == SUPERVISOR_RELOAD)
        reload(s);
    else if (m[0] == SUPERVISOR_CHANNEL && n == 2 + (ssize_t)sizeof pid && m[1] < s->config.workers && fd >= 0 && !s->stopping) {
        memcpy(&pid, m + 2, sizeof pid);
        store_channel_add(s, m[1], pid, fd);
        fd = -1;
    } else if (m[0] == SUPERVISOR_METRICS && n == 1 && fd >= 0) {
        if (s->metrics_fd >= 0)
            close(s->metrics_fd);
        s->metrics_fd = fd;
        fd = -1;
    }
    if (fd >= 0)
        close(fd);
}

/* --- a turn ---------------------------------------------------------------------------------------------------------------------------- */
static void take_time(store *s) { core_time(s->core, mono_us(), env_now_ms(env_system())); }

/* A damaged segment or a full disk costs its chunks only; a disk that does not do what it says, everything. */
static void check_chunks(const chunk_work *w)
{
    if (w->status == TACET_E_IO || w->status == TACET_E_BUG)
        die(w->status);
    for (const chunk *c = w->chunks; c; c = c->step)
        if (c->status == TACET_E_IO || c->status == TACET_E_BUG || c->status == TACET_E_READONLY)
            die(c->status);
}

static void collect_chunks(store *s)
{
    for (work *w; (w = pool_collect(s->writer)) || (w = pool_collect(s->chunk_reader));) {
        check_chunks((chunk_work *)w);
        core_chunks_done(s->core, (chunk_work *)w);
    }
}

static void collect(store *s)
{
    job *list;
    int status;
    if (committer_collect(s->committer, &list, &status)) {
        if (list && status != TACET_OK && status != TACET_E_FULL && status != TACET_E_NOMEM)
            die(status);
        if (list)
            core_group_done(s->core, list, status);
        else
            store_admin_done(s);
    }
    store_admin_collect(s);
    for (backlog_job *b; (b = backlog_collect(s->backlog));) {
        if (b->status < 0 && b->status != TACET_E_NOMEM)
            die(b->status);
        core_read_done(s->core, b);
    }
    for (work *w; (w = pool_collect(s->pool));) {
        if (w->run == directory_verify_run)
            core_verified(s->core, request_job_of(w));
        else
            gate_handshake_done(s->gate, (handshake_work *)(void *)w);
    }
    collect_chunks(s);
}

static void commit(store *s)
{
    if (committer_busy(s->committer))
        return;
    if (s->admin.waiting) {
        s->admin.waiting = false;
        s->admin.running = true;
        committer_submit_call(s->committer, store_admin_run, s);
        return;
    }
    job *list = core_take_group(s->core);
    if (list)
        committer_submit(s->committer, list);
}

static void wait_time(const store *s, struct timespec *t)
{
    uint64_t now = mono_us(), due = core_due_us(s->core), most = now + (s->stopping ? 20 : POLL_MAX_MS) * 1000ull;
    if (committer_busy(s->committer) && due <= now)
        due = most; /* nothing can be taken before it is done, and then it wakes us */
    due = due < most ? due : most;
    uint64_t us = due > now ? due - now : 0;
    *t = (struct timespec){ (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };
}

/* True when everything accepted has left the house, or there is no more time for it. */
static bool stopped(store *s)
{
    uint64_t now = mono_us() / 1000;
    bool quiet = core_idle(s->core) && !s->admin.running && !committer_busy(s->committer), open_ = false, said = true;
    for (uint32_t w = 0; w < s->config.workers; w++) {
        channel *c = &s->channel[w];
        open_ |= c->fd >= 0;
        if (c->fd >= 0 && quiet && !c->stop_said)
            c->stop_said = ipc_put(&c->out, IPC_STOP, 0, 0, 0) != NULL;
        said &= c->fd < 0 || c->stop_said;
    }
    if (said && quiet && !s->stop_said_ms)
        s->stop_said_ms = now;
    return (quiet && !open_) || (s->stop_said_ms && now - s->stop_said_ms > STOP_NET_MAX_MS) || now - s->stop_ms > STOP_MAX_MS;
}

static size_t gather(store *s, struct pollfd *p, uint32_t *first_control)
{
    size_t n = 0;
    int fds[CONTROL_CLIENTS_MAX + 1];
    p[n++] = (struct pollfd){ s->stopping ? -1 : s->o->supervisor_fd, POLLIN, 0 };
    p[n++] = (struct pollfd){ s->wake_fd, POLLIN, 0 };
    for (uint32_t w = 0; w < s->config.workers; w++) {
        const channel *c = &s->channel[w];
        bool input = core_wants_input(s->core) && c->out.used < RELAY_IPC_QUEUE_SOFT_BYTES;
        p[n++] = (struct pollfd){ c->fd, (short)((input ? POLLIN : 0) | (c->fd >= 0 && c->out.used ? POLLOUT : 0)), 0 };
    }
    p[n++] = (struct pollfd){ s->metrics_fd, POLLIN, 0 };
    *first_control = (uint32_t)n;
    size_t controls = control_fds(s->control, fds);
    for (size_t i = 0; i < controls; i++)
        p[n++] = (struct pollfd){ fds[i], POLLIN, 0 };
    return n;
}

static void turn(store *s)
{
    struct pollfd p[FDS_MAX];
    struct timespec t;
    uint32_t first_control;
    uint64_t woken;
    size_t n = gather(s, p, &first_control);
    wait_time(s, &t);
    if (ppoll(p, n, &t, NULL) < 0 && errno != EINTR)
        die(TACET_E_IO);
    take_time(s);
    if (p[0].revents)
        supervisor_read(s);
    if (p[1].revents && read(s->wake_fd, &woken, sizeof woken) < 0 && errno != EAGAIN)
        die(TACET_E_IO);
    for (uint32_t w = 0; w < s->config.workers; w++)
        if (p[2 + w].fd >= 0 && p[2 + w].fd == s->channel[w].fd && (p[2 + w].revents & (POLLIN | POLLHUP | POLLERR)))
            store_channel_read(s, w);
    collect(s);
    if (p[first_control - 1].revents && p[first_control - 1].fd == s->metrics_fd)
        store_admin_metrics(s);
    for (size_t i = first_control; i < n; i++)
        if (p[i].revents) {
            store_admin_take(s);
            break;
        }
    core_tick(s->core);
    commit(s);
    for (uint32_t w = 0; w < s->config.workers; w++)
        store_channel_write(s, w);
    if (!s->ready_said && all_ready(s)) {
        s->ready_said = true;
        store_tell_supervisor(s, STORE_READY, NULL, 0);
    }
}

/* --- start and end --------------------------------------------------------------------------------------------------------------------- */
static void each_waiting(void *ctx, const relay_waiting *w)
{
    if (core_waiting(ctx, w) != TACET_OK)
        store_log("a mailbox has no place in memory; its quota starts from zero");
}

static int open_store(store *s, char why[RELAY_WHY_MAX], char *words, size_t words_bytes)
{
    snprintf(why, RELAY_WHY_MAX, "the memory for keys could not be locked; raise RLIMIT_MEMLOCK (ulimit -l)");
    int rc = secret_arena_new(&s->arena, 16384);
    if (rc == TACET_OK && !(s->secret = secret_alloc(s->arena, sizeof *s->secret)))
        rc = TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = relay_key_settle(s->o->dir, s->o->key_file, why);
    if (rc == TACET_OK)
        rc = relay_key_load(s->secret->key, s->o->dir, s->o->key_file, why);
    if (rc == TACET_OK && (rc = store_sandbox_files(s->o->dir, s->o->key_file, words, words_bytes)) != TACET_OK)
        snprintf(why, RELAY_WHY_MAX, "the sandbox for the store's files could not be set up: %s", strerror(errno));
    if (rc == TACET_OK)
        rc = relay_dir_open(&s->db, s->o->dir, s->secret->key, why);
    if (rc != TACET_OK)
        return rc;
    snprintf(why, RELAY_WHY_MAX, "%s holds no finished relay; run: tacetd init --data %s", s->o->dir, s->o->dir);
    return relay_self_load(s->db, &s->secret->self);
}

static int start_engines(store *s)
{
    core_ports ports = { s, port_ready, port_out, port_close, port_verify, port_note, port_backlog, port_chunks, port_later };
    gate_ports gates = { s, port_handshake, port_queue, port_mono_ms };
    core_options o = { .config = s->config.core };
    uint64_t last = 0, first = 0, age = 0;
    memcpy(o.salt, s->o->salt, sizeof o.salt);
    memcpy(o.incarnation, s->secret->self.incarnation, sizeof o.incarnation);
    memcpy(o.relay_key, s->secret->self.static_public, sizeof o.relay_key);
    int rc = core_new(&s->core, &o, &ports);
    if (rc == TACET_OK)
        rc = gate_new(&s->gate, s->config.workers, s->secret->self.static_secret, s->o->salt, s->config.handshakes, &gates);
    if (rc == TACET_OK)
        rc = relay_log_summary(s->db, &last, each_waiting, s->core);
    if (rc == TACET_OK)
        rc = relay_numbers_reserve(s->db, last, &first);
    if (rc == TACET_OK)
        rc = relay_age_load(s->db, &age);
    if (rc != TACET_OK)
        return rc;
    relay_blob_totals blobs;
    rc = relay_blobs_total(s->db, &blobs);
    if (rc == TACET_OK)
        rc = relay_segments_sweep(s->db);
    if (rc != TACET_OK)
        return rc;
    core_blobs_known(s->core, &blobs);
    gate_set_core(s->gate, s->core);
    core_number_from(s->core, first);
    core_age_from(s->core, age);
    return TACET_OK;
}

static int start_threads(store *s)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = s->wake_fd >= 0 ? relay_reader_open(&s->reader, s->db) : TACET_E_IO;
    if (rc == TACET_OK)
        rc = control_open(&s->control, s->o->dir);
    if (rc == TACET_OK)
        rc = committer_start(&s->committer, s->db, s->wake_fd);
    if (rc == TACET_OK)
        rc = backlog_start(&s->backlog, s->reader, s->wake_fd);
    if (rc == TACET_OK)
        rc = pool_start(&s->pool, cores > 0 ? (unsigned)cores : 1, s->wake_fd);
    if (rc == TACET_OK)
        rc = relay_segments_open(&s->segments, s->db);
    if (rc == TACET_OK)
        rc = relay_segments_open(&s->chunk_segments, s->db);
    if (rc == TACET_OK)
        rc = pool_start(&s->writer, 1, s->wake_fd);
    if (rc == TACET_OK)
        rc = pool_start(&s->chunk_reader, 1, s->wake_fd);
    return rc;
}

static int start(store *s)
{
    char why[RELAY_WHY_MAX] = "", words[128] = "";
    int rc = open_store(s, why, words, sizeof words);
    if (rc != TACET_OK) {
        store_log("%s", why);
        return rc;
    }
    store_admin_sweep(s);
    rc = start_engines(s);
    if (rc == TACET_OK)
        rc = start_threads(s);
    if (rc == TACET_OK)
        rc = store_sandbox_calls(words, sizeof words);
    if (rc != TACET_OK) {
        store_log("the store process could not start: %s: %s", tacet_status_word(rc), strerror(errno));
        return rc;
    }
    store_log("store: confined by%s", words);
    store_tell_supervisor(s, STORE_OPEN, s->secret->self.static_public, 32);
    return TACET_OK;
}

static void leftover(work *w)
{
    if (w->run == directory_verify_run)
        request_job_free(request_job_of(w));
    else
        handshake_work_free((handshake_work *)(void *)w);
}

static void chunk_leftover(work *w) { chunk_work_free((chunk_work *)w); }

/* In the order of who uses whom. The committer is idle: stopped() waited for it, or gave up after STOP_MAX_MS, and then the process just ends. */
static void finish(store *s)
{
    for (uint32_t w = 0; w < RELAY_WORKERS_MAX; w++) {
        if (s->channel[w].fd >= 0)
            close(s->channel[w].fd);
        ipc_queue_free(&s->channel[w].out);
        free(s->channel[w].in);
    }
    if (s->metrics_fd >= 0)
        close(s->metrics_fd);
    control_close(s->control);
    if ((s->committer && committer_busy(s->committer)) || s->admin.beside)
        return;
    pool_stop(s->pool, leftover);
    pool_stop(s->writer, chunk_leftover);
    pool_stop(s->chunk_reader, chunk_leftover);
    backlog_stop(s->backlog);
    committer_stop(s->committer);
    core_free(s->core);
    gate_free(s->gate);
    relay_segments_close(s->segments);
    relay_segments_close(s->chunk_segments);
    relay_reader_close(s->reader);
    relay_store_close(s->db);
    secret_free(s->arena, s->secret);
    secret_arena_free(s->arena);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
}

int store_run(const store_options *o)
{
    static store s; /* large, and one a process */
    s = (store){ .o = o, .config = o->config, .wake_fd = -1, .metrics_fd = -1 };
    for (uint32_t w = 0; w < RELAY_WORKERS_MAX; w++)
        s.channel[w].fd = -1;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* the supervisor says when to stop */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    (void)mallopt(M_MMAP_THRESHOLD, RELAY_HEAP_MMAP_BYTES); /* else each buffer of a chunk costs its page faults again */
    (void)mallopt(M_TRIM_THRESHOLD, RELAY_HEAP_KEEP_BYTES);
    s.started_ms = mono_us() / 1000;
    if (secret_harden_process() != TACET_OK) {
        store_log("the process could not be closed against core files: %s", strerror(errno));
        return 1;
    }
    if (start(&s) != TACET_OK) {
        finish(&s);
        return 1;
    }
    take_time(&s);
    while (!s.stopping || !stopped(&s))
        turn(&s);
    finish(&s);
    return 0;
}
