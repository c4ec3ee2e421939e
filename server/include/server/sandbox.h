/* server/sandbox.h: what a net process gives up before it reads a stranger's byte. Each step can only take away. The order of a start is in net.c:
 * drop user, NO_NEW_PRIVS and not dumpable, ring (restricted, enabled), Landlock, seccomp. */
#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H
#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

/* Becomes uid and gid for good, with no other groups; nothing where uid is 0. Then NO_NEW_PRIVS, not dumpable, no core.
 * TACET_E_IO: it did not take (errno). */
TACET_MUST_USE int sandbox_drop(uint32_t uid, uint32_t gid);
/* Landlock: no file system, no binding, no connecting, no signals to others, as far as the kernel knows it. Adds to *facts (ipc_sandbox_facts).
 * TACET_E_IO: the kernel has Landlock but did not take the rules. */
TACET_MUST_USE int sandbox_landlock(uint32_t *facts);
/* seccomp: only the system calls that a running net process needs; everything else answers EPERM, a call of another architecture kills. `listen_fd`
 * can be accepted from and not be shut. Adds to *facts. TACET_E_IO */
TACET_MUST_USE int sandbox_seccomp(uint32_t *facts, int listen_fd);
/* The same with accepting, sending and receiving, for a process that has no ring (server/metrics.c). */
TACET_MUST_USE int sandbox_seccomp_sockets(uint32_t *facts, int listen_fd);
/* One line of words for the log: "ring restrictions, landlock files, ...; missing: ..." */
void sandbox_words(char *out, size_t room, uint32_t facts);
#endif
