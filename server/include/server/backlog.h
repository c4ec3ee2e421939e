/* server/backlog.h: reads what waits in a mailbox and makes `deliver` frames of it, on a thread with a read-only connection of its own, so that a device
 * that comes back after a week does not make the committer wait. */
#ifndef SERVER_BACKLOG_H
#define SERVER_BACKLOG_H
#include "server/job.h"

/* Fills b (what the thread does; tests call it themselves). b->status says how it went. */
void backlog_read(backlog_job *b, relay_reader *r);

typedef struct backlog backlog;
/* `wake_fd` (an eventfd) is written when something is done. The reader belongs to the thread until backlog_stop. */
TACET_MUST_USE int backlog_start(backlog **out, relay_reader *r, int wake_fd);
void backlog_submit(backlog *p, backlog_job *b);
/* The oldest that is done, or NULL. */
backlog_job *backlog_collect(backlog *p);
/* Ends the thread; jobs not collected are freed. NULL is fine; returns NULL. */
backlog *backlog_stop(backlog *p);
#endif
