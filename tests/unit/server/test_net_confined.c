/* What a net process cannot do any more once it runs, and what must be so before it may begin. */
#include "net_world.h"
#include "server/ring.h"
#include "server/sandbox.h"
#include <sys/prctl.h>
#include <sys/syscall.h>

static const net_options usual = { .handshake_burst = 100000, .handshake_every_ms = 1 };

static void be_hostile(void) { setenv("TACET_NET_HOSTILE", "1", 1); }
START_TEST(P08_a_hijacked_net_gets_nowhere)
{
    static char log[8192];
    world *w = world_start(&usual, be_hostile);
    int code = world_wait(w);
    world_log(w, log, sizeof log);
    ck_assert_msg(code == 0 && strstr(log, "hostile: IORING_OP_URING_CMD: denied") && !strstr(log, "NOT DENIED"), "exit %d:\n%s", code, log);
    world_join(w);
}
END_TEST

/* Exits 0 when the listening socket stays what it is and connects nowhere, and a visitor is served all the same. */
static _Noreturn void keep_listening(bool metrics, int listen_fd, const struct sockaddr_in *there)
{
    uint32_t facts = 0;
    int visitor = accept(listen_fd, NULL, NULL);
    if (visitor < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        (metrics ? sandbox_seccomp_sockets : sandbox_seccomp)(&facts, listen_fd) != TACET_OK)
        _exit(90);
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++)
        if (shutdown(listen_fd, how) == 0 || syscall(SYS_shutdown, (unsigned long)listen_fd | 1UL << 32, how) == 0)
            _exit(1);
    if (sendto(listen_fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (const struct sockaddr *)there, sizeof *there) >= 0 || errno != EPERM)
        _exit(2);
    bool served = metrics ? send(visitor, "x", 1, MSG_NOSIGNAL) == 1 : write(visitor, "x", 1) == 1;
    _exit(served && shutdown(visitor, SHUT_WR) == 0 && shutdown(visitor, SHUT_RDWR) == 0 ? 0 : 3);
}
START_TEST(P08_a_listening_socket_cannot_be_shut_and_connects_nowhere)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), status = 0;
    ck_assert(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 5) == 0 && getsockname(l, (struct sockaddr *)&a, &n) == 0);
    ck_assert_int_eq(connect(c, (struct sockaddr *)&a, sizeof a), 0);
    pid_t child = fork();
    if (child == 0)
        keep_listening(_i == 1, l, &a);
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
    close(c);
    close(l);
}
END_TEST

static void make_a_ring(void)
{
    uint8_t params[120] = { 0 }; /* struct io_uring_params */
    if (syscall(SYS_io_uring_setup, 4, params) < 0)
        _exit(77);
}
START_TEST(P09_a_ring_from_before_is_refused)
{
    char log[1024];
    world *w = world_start(&usual, make_a_ring);
    ck_assert_int_eq(world_wait(w), 1);
    world_log(w, log, sizeof log);
    ck_assert_msg(strstr(log, "before privileges are dropped") != NULL, "%s", log);
    world_join(w);
}
END_TEST

/* In a child, as each step is for good: 0 asked too early, 1 after NO_NEW_PRIVS alone, 2 as it must be, 3 as another user, but still able to gain, 4 unable
 * to gain, but still root. */
START_TEST(P09_a_ring_needs_all_privileges_gone)
{
    uint32_t uid = geteuid() == 0 ? 65534 : 0;
    pid_t child = fork();
    if (child == 0) {
        ring *r = NULL;
        const char *why = NULL;
        if (_i == 1 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
            _exit(90);
        if (_i == 2 && sandbox_drop(uid, uid) != TACET_OK)
            _exit(91);
        if (_i == 3 && (uid == 0 || setresuid(uid, uid, uid) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0))
            _exit(uid == 0 ? 1 : 92); /* without root, 0 says the same */
        if (_i == 4 && (uid == 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0))
            _exit(uid == 0 ? 1 : 93);
        int rc = ring_open(&r, uid, &why);
        ring_close(r);
        _exit(rc == TACET_OK ? 0 : rc == TACET_E_REFUSED ? 1 : 2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, _i == 2 ? 0 : 1 << 8);
}
END_TEST

START_TEST(the_start_says_what_the_kernel_gives)
{
    char log[1024];
    world *w = world_start(&usual, NULL);
    EVENTUALLY(w->ready == 1);
    ck_assert(w->facts & IPC_HAS_SECCOMP);
    ck_assert(w->facts & IPC_HAS_RING_RESTRICTIONS);
    shutdown(w->fd, SHUT_RDWR);
    world_wait(w);
    world_log(w, log, sizeof log);
    ck_assert_msg(strstr(log, "confined by") && strstr(log, "seccomp"), "%s", log);
    bool landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
    ck_assert_int_eq((w->facts & IPC_HAS_LANDLOCK_FILES) != 0, landlock);
    world_join(w);
}
END_TEST

SUITE("net-confined", TEST(P08_a_hijacked_net_gets_nowhere), LOOP(P08_a_listening_socket_cannot_be_shut_and_connects_nowhere, 2),
      TEST(P09_a_ring_from_before_is_refused), LOOP(P09_a_ring_needs_all_privileges_gone, 5), TEST(the_start_says_what_the_kernel_gives))
