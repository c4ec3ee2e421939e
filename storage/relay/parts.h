/* storage/relay/parts.h: what the files of the relay store share. Threads: the committer alone changes anything; readers look at the mailbox
 * index under its lock and at committed rows through two connections of their own; the checkpoint thread touches neither.
 *
 * A message's way: relay_append stages it; the commit makes it a row of `message` and an entry of the ring (memory). After run_rows entries the
 * ring's older part becomes a run: its survivors are written sorted to `mailbox_index`, spread over commits, then leave memory together, and
 * `indexed_through` moves. So: a row at or below indexed_through is in the index or acknowledged; a row above it is in the ring.
 * Acknowledged is what lies at or below the mailbox's watermark or among its exceptions, whether or not the row is still there; an index entry
 * that is not acknowledged has its row. Rows go later, in the order of their numbers (clean.c). */
#ifndef STORAGE_RELAY_PARTS_H
#define STORAGE_RELAY_PARTS_H
#include "storage/relay.h"
#include "connection.h"
#include <pthread.h>
#include <stdatomic.h>

/* --- the mailbox index in memory: index.c, no SQL ---------------------------------------------------------------------------------------- */
enum {
    ENTRY_DEAD = 1,     /* flag: acknowledged, expired, forgotten, or its mailbox is gone */
    ENTRY_ROW_GONE = 2, /* flag: and its row deleted */
    NOTE_TAKEN = 1,     /* note: the transaction under way makes it dead */
    NOTE_INDEXED = 2,   /* note: its index row is written */
};
#define NO_PLACE UINT32_MAX

typedef struct {
    uint64_t number;
    uint32_t mailbox, bytes, expires_hour;
    uint32_t next; /* place of the mailbox's next entry, NO_PLACE */
    uint8_t tag;   /* first byte of the token hash: few rows are read to find what came under one */
    uint8_t kind;
    uint8_t flags; /* what is committed; under the lock */
    uint8_t notes; /* the committer's own */
} entry;
/* What the index in the table says of a message, in one small integer: each byte of it counts. */
static inline uint64_t index_pack(uint32_t bytes, uint8_t kind, uint8_t tag) { return (uint64_t)bytes << 10 | (uint64_t)(kind & 3) << 8 | tag; }
static inline uint32_t index_bytes(uint64_t what) { return (uint32_t)(what >> 10); }
static inline uint8_t index_kind(uint64_t what) { return what >> 8 & 3; }
static inline uint8_t index_tag(uint64_t what) { return (uint8_t)what; }
static inline bool entry_waits(const entry *e) { return !(e->flags & ENTRY_DEAD) && !(e->notes & NOTE_TAKEN); }

typedef struct {
    uint64_t watermark;   /* everything up to here is acknowledged */
    uint64_t bytes;       /* of what waits */
    uint64_t *exceptions; /* acknowledged above it, ascending */
    uint32_t exception_count;
    uint32_t waiting, requests;
    uint32_t in_table;       /* of `waiting`, how many lie at or below indexed_through */
    uint32_t oldest, newest; /* places of its chain in the ring, NO_PLACE; dead ones at the front are skipped, so `oldest` lives or is on the way */
    uint32_t chained;
    bool alive;
    bool lived;      /* when the store was opened */
    bool forgetting; /* what some of its tokens brought is to be forgotten: `forget` says which */
} mailbox_state;

typedef struct {
    pthread_mutex_t lock; /* the committer writes under it and reads without it */
    entry *ring;          /* room is a power of two; entry `seq` lies at seq & (room - 1) */
    uint64_t first, end;  /* sequence numbers */
    uint32_t room;
    mailbox_state *state; /* by mailbox number */
    uint32_t states;
    uint64_t indexed_through;
} mailbox_index;

TACET_MUST_USE int index_new(mailbox_index *ix, uint32_t room);
void index_free(mailbox_index *ix);
TACET_MUST_USE int index_room_for_mailbox(mailbox_index *ix, uint32_t mailbox); /* takes the lock */
TACET_MUST_USE int index_grow_ring(mailbox_index *ix);                          /* before there are readers */
static inline entry *index_at(const mailbox_index *ix, uint64_t seq) { return &ix->ring[seq & (ix->room - 1)]; }
static inline uint32_t index_place(const mailbox_index *ix, uint64_t seq) { return (uint32_t)(seq & (ix->room - 1)); }
/* These three change what readers see: with the lock held. Room was made before. */
void index_push(mailbox_index *ix, const entry *e);
void index_pop(mailbox_index *ix);
void index_skip_dead(mailbox_index *ix, mailbox_state *m);
/* First sequence number whose entry has at least this number; ix->end: none. */
uint64_t index_lower_bound(const mailbox_index *ix, uint64_t number);
entry *index_find(const mailbox_index *ix, uint32_t mailbox, uint64_t number); /* NULL: not in the ring */
bool state_acknowledged(const mailbox_state *m, uint64_t number);
static inline mailbox_state *index_state(const mailbox_index *ix, uint32_t mailbox) { return mailbox < ix->states ? &ix->state[mailbox] : NULL; }
/* Nobody will want it: acknowledged, or the mailbox is gone. */
static inline bool index_settled(const mailbox_index *ix, uint32_t mailbox, uint64_t number)
{
    return mailbox >= ix->states || !ix->state[mailbox].alive || state_acknowledged(&ix->state[mailbox], number);
}
static inline bool index_alive(const mailbox_index *ix, uint32_t mailbox) { return mailbox < ix->states && ix->state[mailbox].alive; }

/* --- a transaction's part that is not in SQL yet ------------------------------------------------------------------------------------------ */
typedef struct {
    uint32_t mailbox;
    uint64_t number;
} acknowledgement;

/* A message that waits no longer once the transaction is committed. */
typedef struct {
    uint64_t number;
    uint32_t mailbox, bytes;
    uint8_t kind;
    bool row_deleted, index_deleted;
    bool unread; /* it expired, or its token was taken back: whoever counts what waits is told */
} removal;

/* The new watermark and exceptions of a mailbox. */
typedef struct {
    uint32_t mailbox, count;
    uint64_t watermark;
    uint64_t *exceptions;
} mark;

typedef struct {
    uint32_t mailbox;
    bool alive; /* as it will be */
    uint64_t watermark;
} life;

#define VECTOR(type)                                                                                                                                 \
    struct {                                                                                                                                         \
        type *at;                                                                                                                                    \
        size_t count, room;                                                                                                                          \
    }
/* Makes room for one more: TACET_OK or TACET_E_NOMEM. */
TACET_MUST_USE int vector_reserve(void **at, size_t count, size_t *room, size_t item_bytes);
#define RESERVE(v) vector_reserve((void **)&(v)->at, (v)->count, &(v)->room, sizeof *(v)->at)
typedef VECTOR(uint64_t) number_list;
void numbers_sort(number_list *n);
bool numbers_have(const number_list *n, uint64_t number); /* sorted */

typedef struct {
    bool open, rows_deleted;
    VECTOR(entry) appended;
    VECTOR(acknowledgement) acknowledged;
    VECTOR(removal) removed;
    VECTOR(mark) marks;
    VECTOR(life) lives;
} transaction;

/* A run: rows whose survivors are in the index. */
typedef struct {
    uint64_t first, last; /* numbers */
    uint32_t rows, live;  /* rows in the log (at most), and of these not acknowledged */
    uint32_t expires_min; /* hour */
    uint32_t swept_hour;
    uint64_t cursor;                 /* of the sweep under way, 0: none */
    uint32_t kept, kept_expires_min; /* by that sweep so far */
} run;

/* A token that was taken back, and the last number that can have come under it until then. */
typedef struct {
    uint8_t hash[32];
    uint64_t through;
} forgotten;

/* What a piece of forgetting came to; counts once it is committed. */
typedef struct {
    uint64_t at;
    bool through, more_here, more;
} forget_outcome;

/* Smaller in tests, so that a hundred messages see everything. */
typedef struct {
    uint32_t run_rows;       /* a power of two */
    uint32_t exceptions_max; /* above it the rows themselves are deleted */
    uint32_t clean_rows;     /* looked at in one piece of cleaning */
    uint64_t checkpoint_bytes;
    bool background;           /* a thread checkpoints; else the committer */
    uint64_t beside_wal_bytes; /* a check or a copy beside the committer leaves when the WAL is so long */
} relay_tuning;
extern const relay_tuning relay_tuning_default;

struct relay_store {
    database *db;
    relay_tuning tuning;
    mailbox_index index;
    transaction tx;
    uint64_t last_number;            /* given to a committed or staged message */
    uint64_t committed_number;       /* the same without the staged ones */
    VECTOR(run) runs;                /* ascending */
    uint64_t index_rows, index_dead; /* of mailbox_index: all (about), and those of acknowledged messages */
    struct {
        uint64_t end;    /* sequence number behind the part that is being written; 0: none */
        uint32_t *order; /* places, sorted by mailbox and number */
        uint32_t count, at, committed;
        bool finished; /* by the transaction under way */
    } drain;
    struct {
        uint64_t written, committed; /* sequence number up to which the ring is in ring_part */
        uint64_t last;               /* number of the last entry that a start found there */
        VECTOR(uint64_t) gone;       /* a start's own: numbers in ring_gone, ascending */
        size_t gone_at;
    } parts;
    struct {
        uint64_t ring_dead;    /* dead entries of the ring whose rows are still there */
        uint64_t ring_cursor;  /* sequence number */
        uint32_t ring_expires; /* earliest hour at which something in the ring expires */
        uint32_t ring_expires_next;
        acknowledgement index_at; /* sweep of the index: where it is */
        uint64_t index_dead_at_start;
        uint32_t index_swept_hour;
        bool index_sweeping;
    } clean;
    struct {
        uint32_t next, given, free; /* numbers of mailboxes that may be used again: looked for from `next`; given: up to it, before this start */
    } numbers;
    struct {
        bool due, others_turn;  /* others_turn: of cleaning */
        uint32_t mailbox, last; /* the pass under way (0: none), and whose the one before was */
        uint64_t at, newest;    /* looked through up to this number; nothing above `newest` is to go */
        bool tag[256];
        VECTOR(forgotten) tokens;
    } forget;
    pthread_mutex_t committing; /* held from COMMIT until the index shows it */
    pthread_rwlock_t gate;      /* readers share it while they hold a snapshot */
    struct {
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        database *db;
        bool started, asked, stop;
        atomic_bool busy, done; /* done: the committer is to finish it */
        atomic_int failed;
    } checkpoint;
    struct {
        atomic_int guests; /* views that keep the WAL from beginning anew */
        atomic_bool left;  /* one has left: the WAL may be long, and the thread is to shorten it before the committer does */
        atomic_bool stop;
        uint64_t asked_at; /* the committer's own: length of the WAL when the thread was asked last */
        bool last_pass;    /* ... and whether that was after the last guest */
    } beside;
    struct {
        uint64_t asked; /* pages, of the committer's cache, when cleaning last found nothing to do */
        uint32_t quiet; /* such turns, one behind the other */
    } rest;
    atomic_uint_fast64_t wal_bytes, segment_bytes;
    sqlite3_stmt *insert_message, *insert_index;
};

/* store.c */
TACET_MUST_USE int store_disk_free(const relay_store *s, uint64_t *bytes);
TACET_MUST_USE int relay_store_open_tuned(relay_store **out, const char *dir, const uint8_t key[32], const relay_tuning *tuning);
/* schema.c */
extern const migration relay_migrations[];
extern const size_t relay_migration_count;
/* load.c: memory as the tables say */
TACET_MUST_USE int load_index(relay_store *s);
/* account.c */
TACET_MUST_USE int account_numbers_load(relay_store *s);
/* marks.c */
TACET_MUST_USE int marks_settle(relay_store *s); /* staged acknowledgements become marks and removals */
/* drain.c */
TACET_MUST_USE int drain_some(relay_store *s, uint32_t rows); /* inside the transaction; nothing to do is fine */
void drain_undo(relay_store *s);
void drain_publish(relay_store *s); /* index lock held */
TACET_MUST_USE int drain_start_if_due(relay_store *s);
/* ring_part.c */
TACET_MUST_USE int ring_part_some(relay_store *s); /* inside the transaction; nothing to do is fine */
void ring_part_undo(relay_store *s);
void ring_part_publish(relay_store *s);
TACET_MUST_USE int ring_part_forget(relay_store *s, uint64_t through); /* up to this number the ring is not needed any more */
/* The row of this number is being deleted although no mark says that it is acknowledged. */
TACET_MUST_USE int ring_part_gone(relay_store *s, uint64_t number);
TACET_MUST_USE int ring_part_unpack(const uint8_t *packed, size_t bytes, int (*each)(void *ctx, const entry *e), void *ctx);
/* log.c */
TACET_MUST_USE int log_delete_row(relay_store *s, uint32_t mailbox, uint64_t number, bool row);
TACET_MUST_USE int log_remove(relay_store *s, const removal *r);
run *log_run_of(relay_store *s, uint64_t number);
void log_publish(relay_store *s); /* index lock held */
void log_unstage(relay_store *s, bool committed);
/* forget.c: a piece of what tokens brought that were taken back, inside the transaction, and what follows from its commit */
TACET_MUST_USE int forget_piece(relay_store *s, forget_outcome *o);
void forget_done(relay_store *s, const forget_outcome *o);
void forget_leave(relay_store *s, uint32_t mailbox); /* the mailbox is going */
/* check.c: what the tables promise each other. `so_far`: TACET_E_CORRUPT when it is known to be damaged:
 * then only said where */
TACET_MUST_USE int check_promises(relay_store *s, int so_far, char *where, size_t where_bytes);
/* checkpoint.c */
/* checkpoint.c: a thread that takes no signals: these belong to the threads of the program. */
TACET_MUST_USE int thread_begin(pthread_t *out, void *(*body)(void *ctx), void *ctx);

/* backlog.c: one row of the log, shown to `each`; nothing of it stays. TACET_E_NOT_FOUND: there is none; TACET_E_CORRUPT: it is another mailbox's. */
TACET_MUST_USE int show_row(database *db, uint32_t mailbox, uint64_t number, bool (*each)(void *ctx, const relay_message *m), void *ctx);

/* second.c: another connection that reads rows at the same time. Between second_ask and second_wait nothing else is asked of it, and `want` stays. */
enum { WANTED_MAX = 128 };
typedef struct {
    uint64_t number;
    uint32_t bytes;
} wanted;
typedef struct {
    relay_message m; /* its ciphertext lies at `start` of the bytes */
    size_t start;
} read_row;
typedef struct {
    read_row at[WANTED_MAX];
    size_t count, bytes_used;
    uint8_t *bytes;
    int status; /* of the row behind the last one here, TACET_E_NOT_FOUND: it is missing; TACET_OK: all are here */
} read_rows;
typedef struct second_reader second_reader;
TACET_MUST_USE int second_open(second_reader **out, const relay_store *s);
second_reader *second_close(second_reader *r); /* NULL is fine; returns NULL */
void second_ask(second_reader *r, uint32_t mailbox, const wanted *want, size_t count);
const read_rows *second_wait(second_reader *r); /* until it is asked again */

TACET_MUST_USE int checkpoint_start(relay_store *s);
void checkpoint_stop(relay_store *s);
TACET_MUST_USE int checkpoint_if_due(relay_store *s); /* by the committer, between transactions */
/* rest.c: by the committer, when cleaning finds nothing to do */
TACET_MUST_USE int rest_if_quiet(relay_store *s);

/* A statement of the store's connection, bound by the letters of `types`: i uint64, b blob (pointer, size_t), k 32 bytes (pointer), t text. */
TACET_MUST_USE int relay_bind(relay_store *s, sqlite3_stmt **out, const char *sql, const char *types, ...);
/* The same, run to its end. *changes (may be NULL): rows touched. */
TACET_MUST_USE int relay_do(relay_store *s, uint64_t *changes, const char *sql, const char *types, ...);
/* The same for one row: TACET_E_NOT_FOUND when there is none. The caller resets *out. */
TACET_MUST_USE int relay_one(relay_store *s, sqlite3_stmt **out, const char *sql, const char *types, ...);
/* Copies a blob of that one row, and resets. TACET_E_QUOTA: it does not fit. */
TACET_MUST_USE int relay_give(sqlite3_stmt *q, int column, uint8_t *out, size_t room, size_t *out_bytes);
#endif
