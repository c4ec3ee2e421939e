/* server/core.h: the relay core: routing, mailboxes, delivery, limits. An engine: it does no I/O, knows no clock, no thread, no file. The driver
 * (server/store_process.c, or a test) tells it the time and what happened, hands its jobs to the committer, and carries out what the ports ask.
 *
 *   core_time -> { core_open, core_frame, core_drained, core_closed, core_verified, core_read_done }* -> core_take_group -> (committer) -> core_group_done
 *
 * Rules that are not obvious (docs/ARCHITECTURE.md, relay):
 *  - A message is pushed to a waiting device at once and written in parallel; if its acknowledgement comes first, it is never written.
 *  - Numbers of the log are given when a group is taken, so that they ascend although some messages are held back for their acknowledgement. What a
 *    device acknowledges is a tag: for a message from the store its number, for one from memory a number of its own that is never used again.
 *  - Within a mailbox nothing overtakes: when a message is taken, all older ones of that mailbox were taken or acknowledged before. */
#ifndef SERVER_CORE_H
#define SERVER_CORE_H
#include "base/env.h"
#include "server/blob_job.h"
#include "server/directory.h"
#include "server/job.h"
#include "server/limiter.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct core core;

/* Where a connection is: which place of which net process. The core only hands it back. */
typedef struct {
    uint32_t worker, slot, generation;
} core_peer;

/* What the core asks of its driver. None of them may call back into the core. */
typedef struct {
    void *ctx;
    void (*ready)(void *ctx, core_peer to);                                                      /* frames may come now */
    void (*out)(void *ctx, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies); /* whole frames with their lengths */
    void (*close)(void *ctx, core_peer to, bool flush);                                          /* core_closed follows */
    void (*verify)(void *ctx, request_job *r);                   /* directory_verify on any thread, then core_verified */
    void (*note)(void *ctx, const char *what, uint32_t mailbox); /* for the log at its most talkative level; may be NULL */
    void (*backlog)(void *ctx, backlog_job *b);                  /* backlog_read on a reader thread, then core_read_done */
    void (*chunks)(void *ctx, chunk_work *w);                    /* chunk_work_run on the thread of its kind, then core_chunks_done */
    /* Like out, but in no hurry: with what goes there next. NULL: out does it. */
    void (*later)(void *ctx, core_peer to, const uint8_t *stream, size_t bytes, unsigned replies);
} core_ports;

/* What tacetd.ini may change while we run. */
typedef struct {
    directory_policy directory;
    uint32_t mailbox_messages, request_queue;
    uint64_t mailbox_bytes;
    limiter_rate registers, bundles, device_bundles, requests, changes, lists;
    uint32_t expiry_speed;        /* at least 1 */
    uint32_t hold_max_us;         /* 0: never hold a message back */
    uint64_t window_memory_bytes; /* no setting; smaller in tests */
    uint32_t message_free_mib;    /* of the disk: below it mailboxes get less */
    uint32_t blob_account_mib, blob_total_mib, blob_free_mib, blob_account_share;
} core_config;
core_config core_config_default(void);

typedef struct {
    core_config config;
    uint8_t salt[16], incarnation[16], relay_key[32];
} core_options;

/* TACET_E_NOMEM */
TACET_MUST_USE int core_new(core **out, const core_options *o, const core_ports *ports);
core *core_free(core *c);
void core_configure(core *c, const core_config *config);
/* At start: numbers from here on, above every number that any earlier run may have given out. */
void core_number_from(core *c, uint64_t first);
/* At start: the time by which things expire, as an earlier run left it; 0: the first wall clock. */
void core_age_from(core *c, uint64_t ms);
/* At start: the blobs of the store. */
void core_blobs_known(core *c, const relay_blob_totals *t);
/* At start: what waits in a mailbox. TACET_E_NOMEM */
TACET_MUST_USE int core_waiting(core *c, const relay_waiting *w);

/* Monotonic microseconds and wall clock; to be told before anything else happens in a turn. */
void core_time(core *c, uint64_t mono_us, uint64_t wall_ms);
/* When the core wants to be called next although nothing happens; UINT64_MAX: never. */
uint64_t core_due_us(const core *c);
/* What is due by time alone: accepts on their tick, cleaning. */
void core_tick(core *c);
/* False: memory is full, read nothing more from clients. */
bool core_wants_input(const core *c);

/* A finished handshake. `transport_key` NULL in the open role. `address` is the key of the address, for limits.
 * TACET_OK: *ref names it until core_closed; ready follows when the mailbox is known.  TACET_E_QUOTA  TACET_E_NOMEM */
TACET_MUST_USE int core_open(core *c, core_peer peer, unsigned role, const uint8_t transport_key[32], const uint8_t handshake_hash[64],
                             uint64_t address, conn_ref *ref);
void core_frame(core *c, conn_ref ref, const uint8_t *body, size_t bytes);
void core_drained(core *c, conn_ref ref, uint32_t bytes);
void core_closed(core *c, conn_ref ref);

/* Jobs for the committer, oldest first, linked by `next`; NULL when nothing is due or a group is under way. */
job *core_take_group(core *c);
/* The same list, done. `status`: TACET_OK, or why nothing of what the group wanted to write was written (TACET_E_FULL, TACET_E_NOMEM). Anything worse
 * must never get here: the relay stops. */
void core_group_done(core *c, job *list, int status);
void core_verified(core *c, request_job *r);
void core_read_done(core *c, backlog_job *b);
void core_chunks_done(core *c, chunk_work *w);

/* Requests are refused from now on; what was accepted is carried through. */
void core_stop(core *c);
/* Nothing accepted is under way any more. */
bool core_idle(const core *c);

/* Totals since the start, and what is now. One list, used for the structure and for `tacetd status`. */
/* clang-format off */
#define CORE_COUNTERS(N) \
    N(connections_opened) N(logins) N(requests) N(sends) N(accepted) N(committed) N(handed_off) N(delivered) N(acknowledged) N(refused) N(quota) N(rate) \
    N(malformed) N(registered) N(expired) N(groups) N(commits) N(commits_failed) N(held) N(hold_ran_out) N(overrun) \
    N(blobs_created) N(blobs_done) N(blobs_dropped) N(blobs_expired) N(chunks_put) N(chunks_handed_off) N(chunks_stored) N(chunks_delivered) N(chunks_read) N(chunks_lost)
#define CORE_GAUGES(N) \
    N(connections) N(expiry_behind_s) N(subscriptions) N(mailboxes) N(queued_messages) N(queued_bytes) N(memory_bytes) N(window_memory_bytes) \
    N(blobs) N(blob_reserved_bytes) N(chunk_memory_bytes) N(watchers)
/* clang-format on */
typedef struct {
#define CORE_FIELD(name) uint64_t name;
    CORE_COUNTERS(CORE_FIELD) CORE_GAUGES(CORE_FIELD)
#undef CORE_FIELD
} core_counters;
void core_count(const core *c, core_counters *out);
#endif
