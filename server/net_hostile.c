/* P08, test builds only: what somebody who has taken over a net process would try, run in a net process that has finished its start. Each line says
 * what happened; the exit code is 0 when everything was denied. Nothing here is linked into a release. */
#include "net_parts.h"
#include "server/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int listening; /* what is shared with every other net, and with those to come */

static long answer(long rc) { return rc < 0 ? -errno : rc; }

static long try_openat(ring *r)
{
    (void)r;
    return answer(openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC));
}
static long try_create(ring *r)
{
    (void)r;
    return answer(openat(AT_FDCWD, "/tmp/tacet-hostile", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static long try_exec(ring *r)
{
    char *const argv[] = { (char[]){ "true" }, NULL };
    (void)r;
    return answer(execve("/bin/true", argv, argv + 1));
}
static long try_fork(ring *r)
{
    (void)r;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return answer(child);
}
static long try_socket(ring *r)
{
    (void)r;
    return answer(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}
static long try_connect(ring *r) /* an own listening socket is at hand, and a connected one: any descriptor will do */
{
    const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    (void)r;
    return answer(connect(3, (const struct sockaddr *)&a, sizeof a));
}
static long try_new_ring(ring *r)
{
    struct io_uring_params p = { 0 };
    (void)r;
    return answer(syscall(SYS_io_uring_setup, 4, &p));
}
static long try_ptrace(ring *r)
{
    (void)r;
    return answer(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}
static long try_kill(ring *r)
{
    (void)r;
    return answer(syscall(SYS_kill, getppid(), 0));
}
static long try_read_memory(ring *r)
{
    (void)r;
    return answer(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}
static long try_executable_memory(ring *r)
{
    (void)r;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? -errno : 0;
}
static long try_dumpable(ring *r)
{
    (void)r;
    return answer(prctl(PR_SET_DUMPABLE, 1));
}
static long try_setuid(ring *r)
{
    (void)r;
    return answer(syscall(SYS_setresuid, 0, 0, 0));
}
static long try_bind(ring *r)
{
    const struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    (void)r;
    return answer(bind(3, (const struct sockaddr *)&a, sizeof a));
}
/* Then it would be an unconnected socket, here and in every other net. */
static long try_shut_listening(ring *r)
{
    (void)r;
    return answer(shutdown(listening, SHUT_RDWR));
}
static long try_shut_disguised(ring *r) /* the kernel takes the lower half for the descriptor */
{
    (void)r;
    return answer(syscall(SYS_shutdown, (unsigned long)listening | 1UL << 32, SHUT_RD));
}
static long try_fast_open(ring *r)
{
    const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    (void)r;
    return answer(sendto(listening, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (const struct sockaddr *)&a, sizeof a));
}
static long try_pass_descriptor(ring *r)
{
    struct msghdr m = { 0 };
    (void)r;
    return answer(sendmsg(4, &m, 0));
}
static long try_take_descriptor(ring *r)
{
    struct msghdr m = { 0 };
    (void)r;
    return answer(recvmsg(4, &m, MSG_DONTWAIT));
}
/* Calls that need no arguments to show whether they are there at all. */
static long bare(long number) { return answer(syscall(number, 0, 0, 0, 0, 0, 0)); }
static long try_memfd(ring *r)
{
    (void)r;
    return answer(memfd_create("x", 0));
}
static long try_pidfd(ring *r)
{
    (void)r;
    return answer(syscall(SYS_pidfd_open, getppid(), 0));
}
static long try_keyctl(ring *r)
{
    (void)r;
    return bare(SYS_keyctl);
}
static long try_unshare(ring *r)
{
    (void)r;
    return bare(SYS_unshare);
}
static long try_clone3(ring *r)
{
    (void)r;
    return bare(SYS_clone3);
}
static long try_bpf(ring *r)
{
    (void)r;
    return bare(SYS_bpf);
}
static long try_landlock(ring *r)
{
    (void)r;
    return bare(SYS_landlock_create_ruleset);
}
static long try_chdir(ring *r)
{
    (void)r;
    return answer(chdir("/"));
}
static long try_stat(ring *r)
{
    struct stat st;
    (void)r;
    return answer(stat("/etc/passwd", &st));
}
static long try_unlink(ring *r)
{
    (void)r;
    return answer(unlink("/tmp/tacet-hostile"));
}
static long try_ring_openat(ring *r) { return ring_attempt(r, IORING_OP_OPENAT, 0); }
static long try_ring_openat2(ring *r) { return ring_attempt(r, IORING_OP_OPENAT2, 0); }
static long try_ring_connect(ring *r) { return ring_attempt(r, IORING_OP_CONNECT, 0); }
static long try_ring_socket(ring *r) { return ring_attempt(r, IORING_OP_SOCKET, 0); }
static long try_ring_command(ring *r) { return ring_attempt(r, IORING_OP_URING_CMD, 0); }
static long try_ring_read(ring *r) { return ring_attempt(r, IORING_OP_READ, 0); }
static long try_ring_splice(ring *r) { return ring_attempt(r, IORING_OP_SPLICE, 0); }
static long try_ring_sendmsg(ring *r) { return ring_attempt(r, IORING_OP_SENDMSG, 0); }
static long try_ring_recvmsg(ring *r) { return ring_attempt(r, IORING_OP_RECVMSG, 0); }
static long try_ring_statx(ring *r) { return ring_attempt(r, IORING_OP_STATX, 0); }
static long try_ring_unlinkat(ring *r) { return ring_attempt(r, IORING_OP_UNLINKAT, 0); }
static long try_ring_send(ring *r) { return ring_attempt(r, IORING_OP_SEND, 0); }
static long try_ring_shutdown(ring *r) { return ring_attempt(r, IORING_OP_SHUTDOWN, 0); }
static long try_ring_message(ring *r) { return ring_attempt(r, IORING_OP_MSG_RING, 0); }
static long try_ring_descriptors(ring *r) { return ring_attempt(r, IORING_OP_FILES_UPDATE, 0); }
static long try_ring_fixed(ring *r) { return ring_attempt(r, IORING_OP_NOP, IOSQE_FIXED_FILE); }
static long try_ring_personality(ring *r) { return ring_attempt_register(r, IORING_REGISTER_PERSONALITY); }
static long try_ring_files(ring *r) { return ring_attempt_register(r, IORING_REGISTER_FILES); }
static long try_ring_restrictions(ring *r) { return ring_attempt_register(r, IORING_REGISTER_RESTRICTIONS); }

static const struct {
    const char *what;
    long (*run)(ring *);
} attempts[] = {
    { "openat", try_openat },
    { "create", try_create },
    { "exec", try_exec },
    { "fork", try_fork },
    { "socket", try_socket },
    { "connect", try_connect },
    { "new ring", try_new_ring },
    { "ptrace", try_ptrace },
    { "kill", try_kill },
    { "process_vm_readv", try_read_memory },
    { "executable memory", try_executable_memory },
    { "dumpable", try_dumpable },
    { "setresuid", try_setuid },
    { "bind", try_bind },
    { "shutdown of the listening socket", try_shut_listening },
    { "shutdown of the listening socket, disguised", try_shut_disguised },
    { "Fast Open", try_fast_open },
    { "a descriptor for another process", try_pass_descriptor },
    { "a descriptor of another process", try_take_descriptor },
    { "memfd_create", try_memfd },
    { "pidfd_open", try_pidfd },
    { "keyctl", try_keyctl },
    { "unshare", try_unshare },
    { "clone3", try_clone3 },
    { "bpf", try_bpf },
    { "landlock", try_landlock },
    { "chdir", try_chdir },
    { "stat", try_stat },
    { "unlink", try_unlink },
    { "IORING_OP_OPENAT", try_ring_openat },
    { "IORING_OP_OPENAT2", try_ring_openat2 },
    { "IORING_OP_CONNECT", try_ring_connect },
    { "IORING_OP_SOCKET", try_ring_socket },
    { "IORING_OP_URING_CMD", try_ring_command },
    { "IORING_OP_READ", try_ring_read },
    { "IORING_OP_SPLICE", try_ring_splice },
    { "IORING_OP_SENDMSG", try_ring_sendmsg },
    { "IORING_OP_RECVMSG", try_ring_recvmsg },
    { "IORING_OP_STATX", try_ring_statx },
    { "IORING_OP_UNLINKAT", try_ring_unlinkat },
    { "IORING_OP_SEND", try_ring_send },
    { "IORING_OP_SHUTDOWN", try_ring_shutdown },
    { "IORING_OP_MSG_RING", try_ring_message },
    { "IORING_OP_FILES_UPDATE", try_ring_descriptors },
    { "IOSQE_FIXED_FILE", try_ring_fixed },
    { "IORING_REGISTER_PERSONALITY", try_ring_personality },
    { "IORING_REGISTER_FILES", try_ring_files },
    { "IORING_REGISTER_RESTRICTIONS", try_ring_restrictions },
};

int net_hostile(ring *r, int listen_fd)
{
    int got_through = 0;
    listening = listen_fd;
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        long rc = attempts[i].run(r);
        bool denied = rc == -EPERM || rc == -EACCES;
        fprintf(stderr, "hostile: %s: %s (%ld)\n", attempts[i].what, denied ? "denied" : "NOT DENIED", rc);
        got_through += !denied;
    }
    return got_through ? 1 : 0;
}
