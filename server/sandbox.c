#include "server/sandbox.h"
#include "base/secret.h"
#include "server/ipc.h"
#include <errno.h>
#include <grp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int sandbox_drop(uint32_t uid, uint32_t gid)
{
    if (uid != 0) {
        uid_t r = 0, e = 0, s = 0;
        if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
            return TACET_E_IO;
        if (getresuid(&r, &e, &s) != 0 || r != uid || e != uid || s != uid || setresuid(0, 0, 0) == 0)
            return TACET_E_IO; /* the way back must be closed */
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return TACET_E_IO;
    return secret_harden_process();
}

/* ---- Landlock ---------------------------------------------------------------------------------------------------------------------------- */
/* The kernel's structure as of ABI 6; what a system's header knows of it is no measure of what its kernel knows. */
struct landlock_attr {
    uint64_t files, network, scoped;
};
enum { LANDLOCK_ABI_QUERY = 1 };

static int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_ABI_QUERY);
    return abi > 0 ? (int)abi : 0;
}

int sandbox_landlock(uint32_t *facts)
{
    /* rights to deny by ABI: 13 for files, +REFER (2), +TRUNCATE (3), +IOCTL_DEV (5); bind and connect (4); abstract sockets and signals (6) */
    static const unsigned file_rights[] = { 0, 13, 14, 15, 15, 16 };
    int abi = landlock_abi();
    if (abi == 0)
        return TACET_OK;
    unsigned n = file_rights[abi < 5 ? abi : 5];
    struct landlock_attr attr = { .files = (UINT64_C(1) << n) - 1, .network = abi >= 4 ? 3 : 0, .scoped = abi >= 6 ? 3 : 0 };
    size_t bytes = abi >= 6 ? sizeof attr : abi >= 4 ? offsetof(struct landlock_attr, scoped) : offsetof(struct landlock_attr, network);
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, bytes, 0);
    if (fd < 0)
        return TACET_E_IO;
    long rc = syscall(SYS_landlock_restrict_self, fd, 0); /* no rule was added: nothing is allowed */
    close(fd);
    if (rc != 0)
        return TACET_E_IO;
    *facts |= IPC_HAS_LANDLOCK_FILES | (abi >= 4 ? IPC_HAS_LANDLOCK_CONNECT : 0);
    return TACET_OK;
}

/* ---- seccomp -------------------------------------------------------------------------------------------------------------------------------- */
/* Sockets come from the ring's accept; memory from malloc; the clock from the vDSO, or the call where there is none. */
static const int plain_calls[] = {
    SCMP_SYS(io_uring_enter), SCMP_SYS(close),  SCMP_SYS(getpeername), SCMP_SYS(write),           SCMP_SYS(munmap),
    SCMP_SYS(mremap),         SCMP_SYS(brk),    SCMP_SYS(madvise),     SCMP_SYS(futex),           SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),   SCMP_SYS(exit),   SCMP_SYS(exit_group),  SCMP_SYS(rt_sigreturn),    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(getpid),         SCMP_SYS(gettid), SCMP_SYS(sched_yield), SCMP_SYS(restart_syscall), SCMP_SYS(poll),
    SCMP_SYS(ppoll),
};

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER
#endif
#endif

/* What a process without a ring needs on top, to serve sockets that it was given. */
static const int socket_calls[] = {
    SCMP_SYS(accept4),
    SCMP_SYS(recvfrom),
};

static int add_calls(scmp_filter_ctx ctx, const int *calls, size_t count)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
    return rc;
}

/* A listening socket that was shut is an unconnected one: it serves nobody any more, also in other processes, and could be connected to anywhere. So
 * every descriptor but that one; the kernel looks at the lower half of the register alone, hence a rule a bit: it is not the listening socket's. */
static int add_shutdown(scmp_filter_ctx ctx, int listen_fd)
{
    int rc = 0;
    for (uint64_t bit = 1; rc == 0 && bit <= UINT32_MAX; bit <<= 1)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(shutdown), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, bit, ~(uint64_t)listen_fd & bit));
    return rc;
}

static int add_rules(scmp_filter_ctx ctx, int listen_fd, bool sockets)
{
    int rc = add_calls(ctx, plain_calls, sizeof plain_calls / sizeof *plain_calls);
    if (rc == 0)
        rc = add_shutdown(ctx, listen_fd);
    if (rc == 0 && sockets)
        rc = add_calls(ctx, socket_calls, sizeof socket_calls / sizeof *socket_calls);
    if (rc == 0 && sockets) /* without an address: with one it can connect (TCP Fast Open) */
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1, SCMP_A4(SCMP_CMP_EQ, 0));
#ifdef UNDER_SANITIZER /* its farewell */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sigaltstack), 0);
#endif
    /* memory, but never executable */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return rc;
}

static int filter_load(uint32_t *facts, int listen_fd, bool sockets)
{
    /* EPERM and not death: a library's new habit must not take the relay down, and what is denied stays denied */
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!ctx)
        return TACET_E_IO;
    int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc == 0)
        rc = add_rules(ctx, listen_fd, sockets);
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    if (rc != 0)
        return TACET_E_IO;
    *facts |= IPC_HAS_SECCOMP;
    return TACET_OK;
}

int sandbox_seccomp(uint32_t *facts, int listen_fd) { return filter_load(facts, listen_fd, false); }
int sandbox_seccomp_sockets(uint32_t *facts, int listen_fd) { return filter_load(facts, listen_fd, true); }

/* ---- words ------------------------------------------------------------------------------------------------------------------------------------- */
static const struct {
    uint32_t fact;
    const char *word;
} words[] = {
    { IPC_HAS_OTHER_USER, "own user" },
    { IPC_HAS_RING_RESTRICTIONS, "ring restrictions" },
    { IPC_HAS_LANDLOCK_FILES, "landlock for files" },
    { IPC_HAS_LANDLOCK_CONNECT, "landlock for connections" },
    { IPC_HAS_SECCOMP, "seccomp" },
};

static void add_words(char *out, size_t room, uint32_t facts, const char *lead)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t at = strlen(out);
        if (facts & words[i].fact)
            snprintf(out + at, room - at, "%s%s", lead, words[i].word);
        if (strlen(out) != at)
            lead = ", ";
    }
}

void sandbox_words(char *out, size_t room, uint32_t facts)
{
    out[0] = 0;
    add_words(out, room, facts, "");
    add_words(out, room, ~facts, facts ? "; not there: " : "not there: ");
}
