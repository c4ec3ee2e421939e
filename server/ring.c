/* The order in ring_open is the point of this file (docs/ARCHITECTURE.md §3): a seccomp filter does not see what is inside a submission queue, so the
 * ring itself must refuse opening files, connecting and commands; and a ring made by root, with SQPOLL or a personality, keeps root's rights. */
#include "server/ring.h"
#include "server/limits.h"
#include "server/op.h"
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FEATURE_MIN_TIMEOUT = 1 << 15, BUFFER_GROUP = 1, MEMORY_TRIES = 20, MEMORY_WAIT_US = 100 * 1000, SMALL_RING_PART = 8 };
_Static_assert((RELAY_RING_BUFFERS & (RELAY_RING_BUFFERS - 1)) == 0, "a power of two");

struct ring {
    struct io_uring uring;
    struct io_uring_buf_ring *lent;
    uint8_t *buffers;
    int buffer_count; /* a power of two */
    uint64_t full, overflowed;
    bool gathers;
};

/* A test may ask for few, to see them run dry or over. */
static int wanted(const char *test_asks, int usual)
{
#ifdef TACET_TESTING
    const char *few = getenv(test_asks);
    return few ? (int)strtol(few, NULL, 10) : usual;
#else
    (void)test_asks;
    return usual;
#endif
}

/* From liburing 2.4 on in the header; the kernel numbers are the same everywhere. */
static int ring_register(int fd, unsigned opcode, const void *arg, unsigned n)
{
    return syscall(SYS_io_uring_register, fd, opcode, arg, n) < 0 ? -errno : 0;
}

/* ---- may a ring be made now? ------------------------------------------------------------------------------------------------------------ */
/* A question that harms nobody: only a ring has an answer to it, whatever the answer is. Needs no /proc. */
static bool has_foreign_ring(void)
{
    struct rlimit l = { 0 };
    if (getrlimit(RLIMIT_NOFILE, &l) != 0)
        return true; /* cannot look: as bad as one */
    int end = l.rlim_cur < RELAY_SLOTS_MAX ? (int)l.rlim_cur : RELAY_SLOTS_MAX;
    for (int fd = 0; fd < end; fd++) {
        int rc = ring_register(fd, IORING_REGISTER_PROBE, NULL, 0);
        if (rc != -EBADF && rc != -EOPNOTSUPP && rc != -ENOSYS && rc != -EPERM)
            return true;
    }
    return false;
}

static bool privileges_are_gone(uint32_t uid)
{
    uid_t real = 0, effective = 0, saved = 0;
    if (getresuid(&real, &effective, &saved) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0)
        return false;
    return uid == 0 || (real == uid && effective == uid && saved == uid);
}

/* ---- making it ----------------------------------------------------------------------------------------------------------------------------- */
/* The memory of a ring that has just died is given back late. Where it never comes (a low limit that we may not raise, or the other relays of this user
 * have it), a ring of an eighth has to do. */
static int setup_with(struct io_uring *u, unsigned flags)
{
    const unsigned completions = (unsigned)wanted("TACET_RING_COMPLETIONS", RELAY_RING_COMPLETIONS);
    const unsigned submissions = completions < RELAY_RING_SUBMISSIONS ? completions : RELAY_RING_SUBMISSIONS;
    int rc = -ENOMEM;
    for (int tries = 0; rc == -ENOMEM && tries <= MEMORY_TRIES; tries++) {
        const unsigned part = tries < MEMORY_TRIES ? 1 : SMALL_RING_PART;
        struct io_uring_params p = { .flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP, .cq_entries = completions / part };
        if (tries > 0)
            usleep(MEMORY_WAIT_US);
        rc = io_uring_queue_init_params(submissions / part, u, &p);
        assert(rc != 0 || !(p.flags & IORING_SETUP_SQPOLL));
    }
    return rc;
}

/* What newer kernels offer first; none of them has SQPOLL. */
static int setup(struct io_uring *u)
{
    static const unsigned flags[] = {
        IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* 6.1 */
        IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN,                               /* 5.19 */
        IORING_SETUP_R_DISABLED,
    };
    int rc = -EINVAL;
    for (size_t i = 0; i < sizeof flags / sizeof *flags && rc == -EINVAL; i++)
        rc = setup_with(u, flags[i]);
    return rc;
}

/* An own mapping for the ring, as the kernel wants page-aligned memory, and one for the buffers. */
static int make_buffers(ring *r)
{
    r->buffer_count = wanted("TACET_RING_BUFFERS", RELAY_RING_BUFFERS);
    size_t head_bytes = (size_t)r->buffer_count * sizeof(struct io_uring_buf), bytes = (size_t)r->buffer_count * RELAY_RING_BUFFER_BYTES;
    void *head = mmap(NULL, head_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *body = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    r->lent = head == MAP_FAILED ? NULL : head;
    r->buffers = body == MAP_FAILED ? NULL : body;
    if (!r->lent || !r->buffers)
        return -ENOMEM;
    struct io_uring_buf_reg reg = { .ring_addr = (uint64_t)(uintptr_t)head, .ring_entries = (uint32_t)r->buffer_count, .bgid = BUFFER_GROUP };
    int rc = io_uring_register_buf_ring(&r->uring, &reg, 0);
    if (rc != 0)
        return rc;
    io_uring_buf_ring_init(r->lent);
    for (int i = 0; i < r->buffer_count; i++)
        io_uring_buf_ring_add(r->lent, ring_buffer(r, i), RELAY_RING_BUFFER_BYTES, (unsigned short)i, r->buffer_count - 1, i);
    io_uring_buf_ring_advance(r->lent, r->buffer_count);
    return 0;
}

/* No io_uring_register of any kind afterwards, no other operation, no other flag. WRITE and not SEND: a restriction cannot look at what SEND is given, and
 * with an address and MSG_FASTOPEN it connects, past seccomp and past Landlock (ATTACKS P08). None of these takes an address. */
static int restrict_and_enable(ring *r)
{
    static const uint8_t allowed[] = { IORING_OP_ACCEPT,   IORING_OP_RECV,         IORING_OP_WRITE, IORING_OP_TIMEOUT,
                                       IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE, IORING_OP_NOP };
    struct io_uring_restriction rule[sizeof allowed + 1];
    memset(rule, 0, sizeof rule);
    for (size_t i = 0; i < sizeof allowed; i++) {
        rule[i].opcode = IORING_RESTRICTION_SQE_OP;
        rule[i].sqe_op = allowed[i];
    }
    rule[sizeof allowed].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    rule[sizeof allowed].sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK;
    int rc = ring_register(r->uring.ring_fd, IORING_REGISTER_RESTRICTIONS, rule, sizeof rule / sizeof *rule);
    return rc != 0 ? rc : ring_register(r->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static const char *setup_failed(int rc)
{
    switch (-rc) {
    case ENOSYS:
        return "this kernel has no io_uring (5.19 or newer is needed)";
    case EPERM:
        return "io_uring is forbidden here: look at the sysctl kernel.io_uring_disabled, or the container's seccomp profile";
    case ENOMEM:
        return "no memory for the io_uring: raise the limit on locked memory (RLIMIT_MEMLOCK, LimitMEMLOCK=) to 64 MiB";
    case EINVAL:
        return "this kernel's io_uring is too old (5.19 or newer is needed)";
    default:
        return "the kernel refused to make an io_uring";
    }
}

int ring_open(ring **out, uint32_t uid, const char **why)
{
    *why = "";
    if (!privileges_are_gone(uid) || has_foreign_ring()) {
        *why = "a ring must not be made before privileges are dropped";
        return TACET_E_REFUSED;
    }
    ring *r = calloc(1, sizeof *r);
    if (!r)
        return TACET_E_NOMEM;
    r->uring.ring_fd = -1;
    int rc = setup(&r->uring);
    r->gathers = rc == 0 && (r->uring.features & FEATURE_MIN_TIMEOUT);
    if (rc != 0) {
        *why = setup_failed(rc);
        free(r);
        return TACET_E_IO;
    }
    rc = make_buffers(r);
    if (rc == 0 && io_uring_register_ring_fd(&r->uring) < 0)
        r->uring.enter_ring_fd = r->uring.ring_fd; /* an older kernel: every call looks the descriptor up */
    if (rc == 0)
        rc = restrict_and_enable(r);
    if (rc != 0) {
        *why = setup_failed(rc);
        ring_close(r);
        return TACET_E_IO;
    }
    *out = r;
    return TACET_OK;
}

ring *ring_close(ring *r)
{
    if (r) {
        if (r->uring.ring_fd >= 0)
            io_uring_queue_exit(&r->uring);
        if (r->lent)
            munmap(r->lent, (size_t)r->buffer_count * sizeof(struct io_uring_buf));
        if (r->buffers)
            munmap(r->buffers, (size_t)r->buffer_count * RELAY_RING_BUFFER_BYTES);
        free(r);
    }
    return NULL;
}

uint64_t ring_full_count(const ring *r) { return r->full; }
uint64_t ring_overflow_count(const ring *r) { return r->overflowed; }
uint8_t *ring_buffer(ring *r, int buffer) { return r->buffers + (size_t)buffer * RELAY_RING_BUFFER_BYTES; }

void ring_buffer_back(ring *r, int buffer)
{
    io_uring_buf_ring_add(r->lent, ring_buffer(r, buffer), RELAY_RING_BUFFER_BYTES, (unsigned short)buffer, r->buffer_count - 1, 0);
    io_uring_buf_ring_advance(r->lent, 1);
}

/* ---- operations -------------------------------------------------------------------------------------------------------------------------------- */
static struct io_uring_sqe *next_entry(ring *r)
{
    struct io_uring_sqe *e = io_uring_get_sqe(&r->uring);
    if (!e) { /* full: hand over what is there, then there is room, unless the kernel is short of something */
        r->full++;
        (void)io_uring_submit(&r->uring);
        e = io_uring_get_sqe(&r->uring);
    }
    return e;
}

bool ring_accept(ring *r, int listen_fd, uint64_t tag)
{
    struct io_uring_sqe *e = next_entry(r);
    if (e) {
        io_uring_prep_multishot_accept(e, listen_fd, NULL, NULL, SOCK_CLOEXEC);
        io_uring_sqe_set_data64(e, tag);
    }
    return e != NULL;
}

bool ring_recv(ring *r, int fd, uint64_t tag)
{
    struct io_uring_sqe *e = next_entry(r);
    if (e) {
        io_uring_prep_recv(e, fd, NULL, RELAY_RING_BUFFER_BYTES, 0);
        e->flags |= IOSQE_BUFFER_SELECT;
        e->buf_group = BUFFER_GROUP;
        io_uring_sqe_set_data64(e, tag);
    }
    return e != NULL;
}

bool ring_recv_into(ring *r, int fd, void *room, size_t bytes, uint64_t tag)
{
    struct io_uring_sqe *e = next_entry(r);
    if (e) {
        io_uring_prep_recv(e, fd, room, bytes, 0);
        io_uring_sqe_set_data64(e, tag);
    }
    return e != NULL;
}

bool ring_send(ring *r, int fd, const void *bytes, size_t n, uint64_t tag)
{
    struct io_uring_sqe *e = next_entry(r);
    if (e) {
        io_uring_prep_write(e, fd, bytes, (unsigned)n, 0); /* who has gone answers EPIPE: net ignores the signal */
        io_uring_sqe_set_data64(e, tag);
    }
    return e != NULL;
}

bool ring_cancel(ring *r, uint64_t which, uint64_t tag)
{
    struct io_uring_sqe *e = next_entry(r);
    if (e) {
        io_uring_prep_cancel64(e, which, 0);
        io_uring_sqe_set_data64(e, tag);
    }
    return e != NULL;
}

/* Linux 6.12: first waits up to `gather_us` for `many` completions, then for one. The field was padding before, and the header may not know it. */
static int wait_gathering(ring *r, const struct __kernel_timespec *t, uint32_t gather_us)
{
    struct {
        uint64_t sigmask;
        uint32_t sigmask_bytes, gather_us;
        uint64_t timeout;
    } arg = { .gather_us = gather_us, .timeout = (uint64_t)(uintptr_t)t };
    const unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, many = RELAY_RING_BUFFERS;
    unsigned registered = r->uring.enter_ring_fd != r->uring.ring_fd ? IORING_ENTER_REGISTERED_RING : 0;
    int rc = io_uring_submit(&r->uring);
    if (rc < 0)
        return rc;
    return syscall(SYS_io_uring_enter, r->uring.enter_ring_fd, 0, many, flags | registered, &arg, sizeof arg) < 0 ? -errno : 0;
}

int ring_wait(ring *r, uint64_t wait_ms, uint32_t gather_us)
{
    struct __kernel_timespec t = { .tv_sec = (long long)(wait_ms / 1000), .tv_nsec = (long long)(wait_ms % 1000) * 1000000 };
    struct io_uring_cqe *first = NULL;
    int rc = gather_us && r->gathers ? wait_gathering(r, &t, gather_us) : io_uring_submit_and_wait_timeout(&r->uring, &first, 1, &t, NULL);
    r->overflowed += io_uring_cq_has_overflow(&r->uring); /* the kernel keeps what does not fit, and gives it when there is room */
    /* EBUSY and EAGAIN: completions come first, or the kernel is short of memory; ETIME: nothing happened; EINTR: a signal */
    return rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EBUSY || rc == -EAGAIN ? TACET_OK : TACET_E_IO;
}

bool ring_next(ring *r, ring_event *out)
{
    struct io_uring_cqe *c = NULL;
    if (io_uring_peek_cqe(&r->uring, &c) != 0 || !c)
        return false;
    *out = (ring_event){ .tag = c->user_data,
                         .result = c->res,
                         .more = (c->flags & IORING_CQE_F_MORE) != 0,
                         .buffer = c->flags & IORING_CQE_F_BUFFER ? (int)(c->flags >> IORING_CQE_BUFFER_SHIFT) : -1 };
    io_uring_cqe_seen(&r->uring, c);
    return true;
}

#ifdef TACET_TESTING
int ring_attempt(ring *r, unsigned opcode, unsigned sqe_flags)
{
    static const char path[] = "/etc/passwd";
    ring_event e;
    struct io_uring_sqe *s = next_entry(r);
    if (!s)
        return -EAGAIN;
    io_uring_prep_rw((int)opcode, s, AT_FDCWD, path, 0, 0);
    s->flags = (uint8_t)sqe_flags;
    io_uring_sqe_set_data64(s, op_pack(OP_ATTEMPT, 0, 0));
    int rc = io_uring_submit(&r->uring);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 100; i++) {
        if (ring_wait(r, 20, 0) != TACET_OK)
            return -EIO;
        while (ring_next(r, &e))
            if (op_of(e.tag) == OP_ATTEMPT)
                return e.result;
    }
    return -ETIME;
}

int ring_attempt_register(ring *r, unsigned opcode)
{
    struct io_uring_rsrc_update none = { .offset = -1U };
    return ring_register(r->uring.ring_fd, opcode, &none, 1);
}
#endif
