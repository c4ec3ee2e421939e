/* engine/files.h: files on their way, shared by the engine's files about files and by nobody else.
 *
 * What holds everywhere: the vault says what is to be done (a `file` row in state RUNNING), a file_run is what is being done about it in this process.
 * Chunks live in chunk_jobs of a bounded pool; a job is with a worker, or in exactly one list of its run, or free. */
#ifndef ENGINE_FILES_H
#define ENGINE_FILES_H
#include "file_source.h"
#include "file_target.h"
#include "session/file_cipher.h"
#include "state.h"
#include "storage/vault_file.h"
#include "transfer/download.h"
#include "transfer/journal.h"
#include "transfer/plan.h"
#include "transfer/upload.h"
#include "worker.h"

typedef struct file_run file_run;

typedef struct chunk_job chunk_job;
struct chunk_job {
    job job; /* first */
    chunk_job *next;
    file_run *run;
    uint32_t index, round;
    trouble bad;
    bool forged, later; /* receiving */
    bool journalled;    /* sending: nonce and leaf are from the journal */
    uint8_t nonce[TACET_CHUNK_NONCE_BYTES], leaf[TACET_LEAF_BYTES];
    uint8_t chunk[TACET_CHUNK_BYTES];
};

typedef struct {
    uint32_t index;
    uint8_t leaf[TACET_LEAF_BYTES];
} written_chunk;

typedef struct {
    chunk_job *first, **last;
    size_t count;
} chunk_list;

struct file_run {
    file_run *next;
    vault_file f;
    int64_t contact, message; /* incoming */
    uint8_t capability[32];
    file_cipher *cipher;
    size_t jobs;                /* with a worker */
    bool opening, ended, asked; /* ended: goes as soon as no job is out */
    trouble bad;                /* why it is paused */
    bool full_told;             /* the vault's own disk was full: said, as it cannot be written down */
    uint64_t retry_at_ms;       /* UINT64_MAX: when somebody asks for it */
    /* sending */
    upload up;
    file_source *source;
    chunk_list sealed, ready; /* wait for the journal; written down, wait for the wire */
    size_t reading;
    journal_block cache; /* of the block that is being read */
    uint32_t cache_at;   /* UINT32_MAX: none */
    /* receiving */
    download down;
    file_target *target;
    char relay[TACET_RELAY_ADDRESS_MAX_BYTES + 1];
    size_t slot;
    uint64_t watch_at_ms, came_ms; /* not to be watched before; when the last chunk came, or was asked for again */
    uint64_t placed_ms, moved_ms;  /* got its place; that, or its last chunk, or another made way on its link */
    uint32_t highest;              /* of the chunks that came */
    unsigned refusals, failures;   /* of the watch; of connecting, in a row: kept while its slot is another relay's */
    written_chunk written[DOWNLOAD_WINDOW_MAX], syncing[DOWNLOAD_WINDOW_MAX]; /* in the file; on their way to the disk */
    size_t written_count, syncing_count;
    bool finishing;
    /* for eyes */
    uint64_t told_ms, rate_ms, rate;
    uint32_t told_have, rate_have;
};

enum files_limits {
    FILES_ACTIVE_MAX = 4,    /* of each direction at a time; the others wait, those that we send in order, those that come as places.c has it */
    FILES_LINKS_MAX = 4,     /* that only downloads without a place use, one a contact: the other slots are for everything else */
    FILES_RUNS_MAX = 256,    /* of each direction; the others wait in the vault */
    FILES_UP_WINDOW = 240,   /* chunks of one file from their reading to the relay's answer */
    FILES_DOWN_WINDOW = 256, /* chunks of one file that may come unasked */
    FILES_READ_AHEAD = 128,  /* chunks being read or waiting for journal and wire, all files together */
    FILES_JOURNAL_BATCH = 64,
    FILES_SYNC_BATCH = 96,
    FILES_SPARE_MAX = 128,         /* buffers kept for the next chunk */
    FILES_WIRE_BYTES = 512 * 1024, /* of chunks that wait on the link: the rest of its queue is for everything else */
    FILES_ASKED_ROOM = 48,         /* the same for unanswered requests */
    FILES_TELL_MS = 500,
    FILES_STALL_MS = 10000, /* no chunk for so long, and one below the highest is missing: asked for again */
    FILES_CUT_MS = 60000,   /* one link is closed no more often, so that one file makes way for another */
    FILES_STALL_MAX = 16,   /* of them at a time */
    FILES_WATCH_RETRY_MS = 1000,
    FILES_WATCH_RETRY_MAX_MS = 60000,
    FILES_CONTENT_MAX_BYTES = 16 * 1024 * 1024,
    FILES_KEEP_S = TACET_TTL_MAX_S + 86400,
};

struct files {
    workers *workers;
    file_run *runs;
    chunk_job *spare;
    size_t jobs_made, jobs_out;
    bool closing, started;
    uint64_t begin_at_ms;              /* when that could not be: not again before */
    file_run *place[FILES_ACTIVE_MAX]; /* downloads; NULL: free */
    uint64_t turn_at_ms;               /* somebody waits for a place: when one may have to be given up */
    uint64_t counted;                  /* how often a contact's runs were counted: a test has an eye on it */
    bool left;                         /* in the vault somebody waits for room among the runs */
    unsigned telling;                  /* `have` without an answer: the relay keeps what it has not heard of */
    bool leftovers;                    /* unfinished files of what is over may lie about */
    bool drops, dropping;              /* blobs to be dropped may stand in the vault; the relay has been asked to drop one: */
    uint8_t drop[TACET_BLOB_ID_BYTES]; /* this one */
    uint64_t auto_download;            /* bytes */
    char folder[VAULT_FILE_PATH_ROOM];
    char vault_folder[VAULT_FILE_PATH_ROOM]; /* takes no files: a name that a sender chose could be one of the vault's */
};

#define FILES_AUTO_DOWNLOAD_BYTES (UINT64_C(100) * 1024 * 1024)

/* --- files.c: runs, jobs, time -------------------------------------------------------------------------------------------------------- */
file_run *file_run_find(const engine *e, int64_t row);
/* Begins what the vault has as RUNNING; the row is read. Nothing when it runs already. TACET_E_NOMEM */
TACET_MUST_USE int file_run_start(engine *e, int64_t row);
/* No more of it here; what it holds is given back when its jobs are. */
void file_run_end(engine *e, file_run *r);
/* Paused or given up, as the trouble asks; the vault and everybody hear of it. */
void file_trouble(engine *e, file_run *r, trouble bad);
chunk_job *chunk_new(engine *e, file_run *r, uint32_t index); /* NULL: no memory */
void chunk_free(engine *e, chunk_job *c);
void chunk_list_put(chunk_list *l, chunk_job *c);
chunk_job *chunk_list_take(chunk_list *l);
void chunk_list_drop(engine *e, chunk_list *l);
bool chunk_give(engine *e, worker_name to, chunk_job *c, void (*run)(job *), void (*done)(void *, job *)); /* false: no thread; freed */
/* A job of another kind: counts for r->jobs as well. */
bool file_give(engine *e, file_run *r, worker_name to, job *j, void (*run)(job *), void (*done)(void *, job *));
/* r->jobs goes down; true: the run goes on (else the job's result is of no use any more). */
bool file_back(engine *e, file_run *r);
static inline uint64_t file_arg(const file_run *r, uint32_t index) { return (uint64_t)r->f.row << 22 | index; }
static inline int64_t file_arg_row(uint64_t arg) { return (int64_t)(arg >> 22); }
static inline uint32_t file_arg_index(uint64_t arg) { return (uint32_t)(arg & 0x3fffff); }

/* Our own relay will answer about our blobs. */
static inline bool file_relay_ready(const engine *e)
{
    return e->mailbox < ENGINE_SLOTS_MAX && e->slots[e->mailbox].up && e->confirmed && !e->registering;
}

/* --- places.c --- */
bool place_has(const engine *e, const file_run *r);
void place_leave(engine *e, const file_run *r);
void places_links(engine *e);                              /* who waits for a place, on which links */
void places_turn(engine *e);                               /* takes and gives places */
bool place_wants_link(const engine *e, const file_run *r); /* for its place, or to get one */
/* Begins what the vault has as RUNNING, as far as there is room. False: not all that could be (it has been said why); again later. */
bool files_begin(engine *e);
/* --- uploads.c --- */
TACET_MUST_USE int upload_begin(engine *e, file_run *r);
void upload_pump(engine *e, file_run *r);
void upload_halt(engine *e, file_run *r); /* everything under way is forgotten */
/* --- downloads.c --- */
TACET_MUST_USE int download_begin(engine *e, file_run *r);
void download_pump(engine *e, file_run *r);
void download_wait(engine *e, file_run *r); /* without a place: no more than a link is wanted, and not again before its relay may be tried again */
void download_later_on(engine *e, file_run *r); /* ever more rarely, until a chunk comes */
bool download_gap(const file_run *r);           /* a chunk that the relay ought to have pushed is missing */
void download_link_down(file_run *r);
void download_halt(engine *e, file_run *r); /* not wanted any more, or not now */
void download_came(engine *e, file_run *r, const frame *f);
void download_plan(const file_run *r, target_plan *p, char name[FILE_NAME_ROOM]);

/* --- file_journal.c --- */
TACET_MUST_USE int file_block_get(engine *e, const file_run *r, uint32_t block, journal_block *out); /* empty when there is none yet */
TACET_MUST_USE int file_block_put(engine *e, const file_run *r, uint32_t block, const journal_block *b);
/* Over all chunks. TACET_E_CORRUPT: one of them was never written down. */
TACET_MUST_USE int file_root(engine *e, const file_run *r, uint8_t root[32]);
/* --- leftovers.c --- */
void files_leftovers(engine *e); /* outside of transactions */
/* --- drops.c --- */
void files_drops_pump(engine *e);
/* --- file_contents.c: what is said about files, inside the ratchet --- */
TACET_MUST_USE int file_seal_all(engine *e, file_run *r, const uint8_t root[32]); /* in a transaction */
TACET_MUST_USE int file_cancel_say(engine *e, const vault_file *f, const vault_file_link *l);
TACET_MUST_USE int file_tell(engine *e, int64_t row);                    /* the `file` object of each of its messages, as an event */
TACET_MUST_USE int file_done(engine *e, file_run *r, const char *saved); /* incoming, in a transaction */
sentence file_sentence(trouble t);
TACET_MUST_USE int file_drop_blob(engine *e, const uint8_t blob[16]); /* in a transaction: our relay may forget it */
TACET_MUST_USE int file_stop(engine *e, int64_t row, trouble why);    /* in a transaction: over, by somebody's wish */
#endif
