/* server/ring.h: io_uring, and the only way to it: ring.c alone includes liburing. One ring for one thread, which made it after it had dropped its
 * privileges; restricted to a handful of operations before it was enabled. Completions are taken one by one; buffers of the buffer ring are lent out
 * and given back, so that a connection that waits owns none. A full submission queue and a dry buffer ring are normal: the caller tries again. */
#ifndef SERVER_RING_H
#define SERVER_RING_H
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ring ring;
typedef struct {
    uint64_t tag;
    int32_t result; /* >= 0, or -errno */
    bool more;      /* a multishot operation goes on by itself */
    int buffer;     /* number of a lent buffer, or -1 */
} ring_event;

/* Makes, restricts and enables the ring. The caller has dropped to `uid` (when it is not 0) and set NO_NEW_PRIVS.
 *   TACET_E_REFUSED  a privilege is left that a ring must not be made with, or a ring from before is still open in this process
 *   TACET_E_IO       the kernel does not give us one; *why says what and what to do (static text)    TACET_E_NOMEM */
TACET_MUST_USE int ring_open(ring **out, uint32_t uid, const char **why);
ring *ring_close(ring *r);

/* Each queues one operation. False: the submission queue is full; after ring_wait there is room. */
TACET_MUST_USE bool ring_accept(ring *r, int listen_fd, uint64_t tag); /* multishot */
TACET_MUST_USE bool ring_recv(ring *r, int fd, uint64_t tag);          /* into a buffer of the buffer ring */
TACET_MUST_USE bool ring_recv_into(ring *r, int fd, void *room, size_t bytes, uint64_t tag);
TACET_MUST_USE bool ring_send(ring *r, int fd, const void *bytes, size_t n, uint64_t tag);
TACET_MUST_USE bool ring_cancel(ring *r, uint64_t which, uint64_t tag);

/* Submits, then waits until something is complete or wait_ms have passed (0: does not wait). With gather_us it gives more completions so long to come
 * along, as a network card coalesces its interrupts; a kernel before 6.12 does not. TACET_E_IO: the ring is broken. */
TACET_MUST_USE int ring_wait(ring *r, uint64_t wait_ms, uint32_t gather_us);
/* The next completion; false: none is there. */
bool ring_next(ring *r, ring_event *out);
uint8_t *ring_buffer(ring *r, int buffer);
void ring_buffer_back(ring *r, int buffer);
/* How often the queue was full. */
uint64_t ring_full_count(const ring *r);
/* How often more was complete than the completion queue holds; nothing is lost by that. */
uint64_t ring_overflow_count(const ring *r);

#ifdef TACET_TESTING
/* For the hostile test alone: submits a raw operation, and returns what the kernel answers (-errno, or >= 0 when it was done). */
int ring_attempt(ring *r, unsigned opcode, unsigned sqe_flags);
/* The same for io_uring_register. */
int ring_attempt_register(ring *r, unsigned opcode);
#endif
#endif
