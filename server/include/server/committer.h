/* server/committer.h: the one thread that writes the relay's store. It takes a group of jobs, runs them in one transaction, and gives them back when
 * they are on the disk. One group is under way at a time; the next one gathers meanwhile in the core. */
#ifndef SERVER_COMMITTER_H
#define SERVER_COMMITTER_H
#include "server/job.h"

/* Runs a group here and now (what the thread does; tests call it themselves).
 *   TACET_OK                       all of it is durable, each job has its own status
 *   TACET_E_FULL, TACET_E_NOMEM    nothing of it was written; jobs that only read are done all the same
 *   anything else                  the store can no longer be trusted (an fsync failed, a page is damaged): stop the process */
TACET_MUST_USE int committer_execute(relay_store *s, job *list);

typedef struct committer committer;
/* `wake_fd` (an eventfd) is written when something is done. TACET_E_NOMEM, TACET_E_IO. The store belongs to the thread until committer_stop. */
TACET_MUST_USE int committer_start(committer **out, relay_store *s, int wake_fd);
bool committer_busy(const committer *c);
/* Not while busy. */
void committer_submit(committer *c, job *list);
/* Runs `call` on the thread, outside a transaction: commands (check, backup, invite). Not while busy. */
void committer_submit_call(committer *c, int (*call)(void *ctx, relay_store *s), void *ctx);
/* What was submitted is done: *list (NULL for a call) and its status. False: not yet. */
bool committer_collect(committer *c, job **list, int *status);
/* Not while busy. Ends the thread; the store is the caller's again. NULL is fine; returns NULL. */
committer *committer_stop(committer *c);
#endif
