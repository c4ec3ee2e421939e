/* server/core_parts.h: what the files of the core share (core.c: connections and requests; core_send.c: the way in; core_deliver.c: the way out;
 * core_group.c: jobs). Nobody else includes it. */
#ifndef SERVER_CORE_PARTS_H
#define SERVER_CORE_PARTS_H
#include "server/core.h"
#include "server/age.h"
#include "server/promises.h"
#include "server/blobs.h"
#include "server/mailboxes.h"
#include "server/due.h"
#include "server/reply.h"
#include "server/routes.h"

/* An envelope delivered and not acknowledged. */
typedef struct {
    uint64_t tag;     /* 0: the place is empty */
    uint64_t row;     /* its number in the log; 0 while it is only in memory */
    message *pending; /* while it is not committed */
    uint64_t token_short, pushed_us;
    uint32_t bytes;
    uint8_t token_kind;
    bool forgotten; /* its token was removed: the store deletes it, and its charge is given back then */
} inflight;

typedef enum {
    READ_STORE, /* there may be more in the store behind `cursor`; new messages go there too */
    READ_LIVE,  /* everything older was delivered: new messages are pushed */
} read_state;

/* A device that listens. */
typedef struct {
    uint32_t mailbox;
    uint32_t window, unacknowledged;
    inflight *ring;      /* a place is found by its tag, oldest first from `head`; NULL as long as nothing was delivered */
    uint32_t ring_room;  /* a power of two, at most RELAY_WINDOW_MAX */
    uint32_t head, tail; /* tail - head may count empty places */
    read_state state;
    bool reading;      /* a backlog job is under way */
    bool await_commit; /* read again when something of the mailbox was committed or dropped */
    bool arrived;      /* a message came while reading that will have to be read */
    bool cursor_known; /* false: until the message `first_unpushed` has its number */
    bool caught_up;    /* said */
    uint32_t unwritten_at_read;
    uint64_t cursor, first_unpushed, stored_at_start, last_delivered;
    uint64_t last_hold_until_us;
    uint32_t ack_us; /* smoothed time from push to acknowledgement; UINT32_MAX: not known */
} subscription;

typedef enum { CONN_FREE, CONN_LOGIN, CONN_OPEN, CONN_CLOSING } conn_state;

typedef struct {
    uint32_t serial, next_free;
    uint8_t role;
    conn_state state;
    core_peer peer;
    uint64_t address;
    identity who;
    uint32_t next_of_account; /* index + 1 of the next connection in the chain of its account, 0: none */
    uint8_t transport_key[32], handshake_hash[64];
    uint32_t requests; /* asked and not answered */
    uint64_t output;   /* bytes given to net and not yet sent */
    subscription *sub;
    watcher *watches;
    uint32_t watch_count;
} conn;

enum { ACCOUNT_CHAINS = 4096 };

struct core {
    core_ports ports;
    core_options o;
    uint64_t now_us, wall_ms;
    age_clock age; /* when something expires; all else goes by wall_ms */
    uint64_t age_saved_ms;
    conn *conn; /* by index; room for all, of which the kernel gives what is used */
    uint32_t conns, first_free, open;
    uint32_t of_account[ACCOUNT_CHAINS]; /* by a salted hash: index + 1 of the first connection, 0: none */
    due_place *stranger_places;          /* as many as connections */
    due_row strangers;                   /* those that are nobody's yet, by the time (us) to which they may be that */
    uint32_t subscriptions;
    mailboxes boxes;
    routes *routes;
    limiter *registers, *bundles, *device_bundles, *requests, *changes, *lists, *contacts;
    job *first, *last;             /* waiting for the committer, oldest first */
    job *again_first, *again_last; /* messages to be resolved once more */
    bool group_out,
        group_appends;    /* appends: messages are written in it, and accepts wait for its end, so that their time does not tell who is online */
    uint64_t take_due_us; /* when something of that row can be taken; UINT64_MAX: it is empty */
    uint64_t group_began_us, commit_us; /* commit_us: smoothed, how long a group that writes takes */
    uint32_t verifying;                 /* request jobs with directory_verify */
    uint64_t next_number;               /* for tags and rows alike */
    promises accepts;                   /* of messages that were acknowledged before they were written */
    uint64_t accepts_due_us;            /* when they leave, if no group ends before */
    uint64_t clean_due_us;
    uint64_t room_left; /* bytes for messages, as cleaning saw it last; UINT64_MAX: it has not looked */
    bool cleaning, stopping;
    bool forgetting; /* the store may still have messages that nobody is shown any more, and that are charged */
    blobs blobs;
    uint64_t memory;        /* of jobs and reads, all of which end by themselves: input waits while there is too much */
    uint64_t window_memory; /* of subscriptions and their rings, which end by acknowledgements: input never waits for it */
    core_counters n;
    /* frames are some kilobytes large: these are made once and used again */
    frame f;                         /* the request at hand */
    frame ok, deliver, gone, status; /* everything but their few fields stays zero */
    uint8_t scratch[TACET_ENVELOPE_MAX_BYTES + 512];
};

/* core.c */
conn *core_conn(core *c, conn_ref ref); /* NULL: gone */
static inline conn_ref core_ref(const core *c, const conn *k) { return (conn_ref){ (uint32_t)(k - c->conn), k->serial }; }
void core_shut(core *c, conn *k, bool flush);
/* The connection is this device's from now on (mailbox 0: nobody's). False: it has more connections than it may. */
bool core_known_as(core *c, conn *k, const identity *who);
/* Closes the mailbox connections that have been nobody's for too long. */
void core_strangers_end(core *c);
/* The connections of an account's devices, one after the other; NULL: first, and no more. */
conn *core_of_account(core *c, const uint8_t account[32], const conn *after);
void core_reply(core *c, conn *k, const uint8_t *stream, size_t bytes, unsigned replies);
void core_reply_ok(core *c, conn_ref to, uint32_t id);
void core_reply_ok_later(core *c, conn_ref to, uint32_t id); /* nobody waits for it */
void core_reply_error(core *c, conn_ref to, uint32_t id, error_code code);
static inline uint32_t core_hour(const core *c) { return (uint32_t)(c->wall_ms / 3600000); }

/* core_group.c */
void core_queue(core *c, job *j);   /* behind all others */
void core_unqueue(core *c, job *j); /* acknowledged before it was taken */
void core_charge(core *c, job *j);
void core_release(core *c, message *m); /* it is held back no longer */
void core_ack_row(core *c, uint32_t box, uint64_t row);
void core_accept(core *c, conn_ref to, uint32_t id); /* ok, on the next tick */

/* core_send.c */
void core_send(core *c, conn *k, const frame *f);
void core_resolved(core *c, message *m);
void core_resolve_waiting(core *c);
void core_message_free(core *c, message *m);
void core_appended(core *c, message *m, int status);

/* core_deliver.c */
void core_subscribe(core *c, conn *k, const frame *f);
void core_ack(core *c, conn *k, const frame *f);
void core_unsubscribe(core *c, conn *k);
/* A message for this mailbox has come: pushes it when a device listens and keeps up. */
void core_offer(core *c, message *m);
/* The message was committed under its row, or (committed false) will not be. */
void core_settled(core *c, message *m, bool committed);
void core_pump(core *c, conn *k);
/* What these tokens brought is the store's to delete, acknowledged or not; what of it is held back is written at once. */
void core_forget_tokens(core *c, const uint8_t account[32], const view_list *hashes);

/* core_blobs.c */
void core_blob_frame(core *c, conn *k, const frame *f, const uint8_t *body, size_t bytes);
void core_blob_job_done(core *c, blob_job *j, int status); /* frees it */
void core_blobs_tick(core *c);
uint64_t core_blobs_due_us(const core *c);
bool core_blobs_idle(const core *c);
void core_blobs_free(core *c);
/* Something is over: an entry that nobody needs becomes idle, one that is gone is freed. */
void core_blob_settle(core *c, blob_entry *e);
blob_job *core_blob_job(core *c, blob_op op, blob_entry *e);
/* One step of the end of a blob's files: CHUNKS_CLOSE, and when that is done CHUNKS_REMOVE. */
void core_blob_files(core *c, chunk_op step, uint64_t number, uint32_t chunks);
static inline bool core_blob_all_have(const blob_entry *e, uint32_t index)
{
    for (uint32_t r = 0; r < e->blob.receivers; r++)
        if (!bitmap_get(&e->have[r], index))
            return false;
    return true;
}
static inline bool core_blob_safe(const blob_entry *e, uint32_t index)
{
    return e->blob.done || bitmap_get(&e->stored, index) || core_blob_all_have(e, index);
}
void core_blob_dirty(core *c, blob_entry *e, uint8_t who, uint32_t index);

/* core_chunks.c */
void core_put(core *c, conn *k, blob_entry *e, const frame *f);
/* What may have become due of this blob's: hand-offs, writes, marks. */
void core_chunks_run(core *c, blob_entry *e);
void core_chunks_answer(core *c, blob_entry *e, error_code no); /* all that is not being written; 0: ok */
void core_chunks_marked(core *c, blob_job *j, int status);

/* core_watch.c */
void core_watch(core *c, conn *k, blob_entry *e, uint32_t receiver, const frame *f);
void core_have(core *c, conn *k, blob_entry *e, uint32_t receiver, const frame *f);
void core_again(core *c, conn *k, blob_entry *e, uint32_t receiver, const frame *f);
void core_unwatch(core *c, watcher *w);
void core_unwatch_all(core *c, conn *k);
void core_watch_wake(core *c, watcher *w); /* NULL is fine */
void core_watch_wake_all(core *c, blob_entry *e, uint32_t index);
void core_watch_serve(core *c);
void core_watch_read(core *c, chunk_work *w);
#ifdef TACET_TESTING
/* core_hostile.c: true when this relay lies, and has dealt with the chunk's event as it likes. */
bool core_hostile_chunk(core *c, conn *k, const uint8_t *stream, size_t n);
#endif
#endif
