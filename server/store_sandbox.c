/* server/store_sandbox.c: what the store process gives up. It reads nothing that a stranger wrote directly, so this is the second line: a fault in it
 * must not become a program that runs, a connection that leaves, or a look at other files.
 * Landlock: https://docs.kernel.org/userspace-api/landlock.html; one rule set before the store is opened, so that all its threads inherit it. */
#include "server/store_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK)
#define ACCESS_NEVER                                                                                                                                 \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                       \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define ACCESS_TRUNCATE (1ull << 14) /* since version 3; older headers do not name it */

static int allow(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr a = { .allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC) };
    if (a.parent_fd < 0)
        return errno == ENOENT ? TACET_OK : TACET_E_IO; /* what is not there needs no leave */
    long rc = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
    close(a.parent_fd);
    return rc == 0 ? TACET_OK : TACET_E_IO;
}

int store_sandbox_files(const char *dir, const char *key_file, char *words, size_t room)
{
    static const char *const readable[] = { "/etc", "/usr", "/lib", "/lib64", "/dev", "/proc", "/sys/devices/system/cpu" };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return TACET_E_IO;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        snprintf(words + strlen(words), room - strlen(words), " no-landlock");
        return TACET_OK;
    }
    uint64_t truncate_ = version >= 3 ? ACCESS_TRUNCATE : 0;
    struct landlock_ruleset_attr a = { .handled_access_fs = ACCESS_READ | ACCESS_WRITE | ACCESS_NEVER | truncate_ };
    int rules = (int)syscall(SYS_landlock_create_ruleset, &a, sizeof a.handled_access_fs, 0);
    if (rules < 0)
        return TACET_E_IO;
    int rc = allow(rules, dir, ACCESS_READ | ACCESS_WRITE | truncate_);
    for (size_t i = 0; rc == TACET_OK && i < sizeof readable / sizeof *readable; i++)
        rc = allow(rules, readable[i], ACCESS_READ);
    (void)key_file; /* read already: nobody needs it again */
    if (rc == TACET_OK && syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        rc = TACET_E_IO;
    close(rules);
    snprintf(words + strlen(words), room - strlen(words), " landlock");
    return rc;
}

/* Answered with EPERM: a fault shows in our own log instead of killing what may just be finishing a commit. */
static const int refused[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(connect),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(kexec_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(setuid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(symlink),
    SCMP_SYS(symlinkat),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(acct),
    SCMP_SYS(swapon),
    SCMP_SYS(reboot),
};

int store_sandbox_calls(char *words, size_t room)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    if (!f)
        return TACET_E_NOMEM;
    int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); /* the threads that run already as well */
    for (size_t i = 0; rc == 0 && i < sizeof refused / sizeof *refused; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    if (rc == 0) /* no socket at all: what it needs it has */
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 0);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    errno = rc < 0 ? -rc : 0;
    snprintf(words + strlen(words), room - strlen(words), " seccomp");
    return rc == 0 ? TACET_OK : TACET_E_IO;
}
