/* storage/vault_file.h: files in the vault (see storage/vault.h for what holds everywhere): one row for each blob, one link for each message of the
 * history that offers it, the journal of its chunks in blocks, and, for what has no file of its own on the disk, the content in parts. */
#ifndef STORAGE_VAULT_FILE_H
#define STORAGE_VAULT_FILE_H
#include "storage/vault.h"

enum vault_file_state {
    VAULT_FILE_OFFERED = 1, /* incoming: waits for somebody to want it */
    VAULT_FILE_RUNNING = 2, /* being sent, being received */
    VAULT_FILE_STORED = 3,  /* outgoing: every chunk is safe and the seal is in the outbox */
    VAULT_FILE_COMPLETE = 4,
    VAULT_FILE_FAILED = 5,
    VAULT_FILE_CANCELLED = 6,
    VAULT_FILE_STAGED = 7,  /* outgoing: its content is still being handed over by whoever sends it */
    VAULT_FILE_EXPIRED = 8, /* outgoing: not everybody fetched it before the relay forgot it */
};
enum vault_file_source {
    VAULT_SOURCE_PATH = 1,    /* at `path` */
    VAULT_SOURCE_CONTENT = 2, /* kept here in parts */
};
enum { VAULT_FILE_PATH_ROOM = 4096, VAULT_FILE_LINKS_MAX = TACET_BLOB_RECEIVERS_MAX };

typedef struct {
    int64_t row;
    bool outgoing, has_root;
    uint32_t state, trouble, source, form, mode, chunks;
    uint32_t have; /* chunks: safe at the relay, or on our disk */
    uint64_t size, mtime_s, created_ms;
    uint64_t stamp; /* outgoing: what the source looked like; incoming: the unfinished file's number, 0 none yet */
    uint8_t blob[16], key[32], salt[32], commitment[32], root[32];
    char name[TACET_FILE_NAME_MAX_BYTES + 1], media[TACET_MEDIA_TYPE_MAX_BYTES + 1];
    char path[VAULT_FILE_PATH_ROOM];        /* outgoing: the source; incoming: the folder to save in, and when complete where it lies */
    char as[TACET_FILE_NAME_MAX_BYTES + 1]; /* incoming: the name to give, empty: a safe form of `name` */
} vault_file;

TACET_MUST_USE int vault_file_add(vault *v, vault_file *f);          /* sets row */
TACET_MUST_USE int vault_file_update(vault *v, const vault_file *f); /* state, trouble, have, stamp, root, path, as */
/* Of a staged one, once it is known what it will be: state, size, chunks, mode, name, media. */
TACET_MUST_USE int vault_file_settle(vault *v, const vault_file *f);
TACET_MUST_USE int vault_file_get(vault *v, int64_t row, vault_file *out);
/* Rows in one state, oldest first, beyond `after`; at most room. */
TACET_MUST_USE int vault_file_rows(vault *v, uint32_t state, int64_t after, int64_t *rows, size_t room, size_t *count);
typedef struct {
    int64_t row, contact; /* contact: whose offer it is, 0 of what we send */
    bool outgoing;
} vault_file_due;
/* Those in state RUNNING, oldest first, beyond `after`; at most room. */
TACET_MUST_USE int vault_file_running(vault *v, int64_t after, vault_file_due *out, size_t room, size_t *count);
/* Rows whose message is in this conversation (0: in any), newest last. */
TACET_MUST_USE int vault_file_messages(vault *v, int64_t contact, int64_t *messages, size_t room, size_t *count);
/* Messages whose file is still on its way to our relay, oldest first; at most room, *count all of them. */
TACET_MUST_USE int vault_file_sending(vault *v, int64_t *messages, size_t room, size_t *count);
/* Journal and content go; the row stays for the history. */
TACET_MUST_USE int vault_file_forget_data(vault *v, int64_t row);
/* Incoming rows that are over, or whose conversation was removed, and that still name an unfinished file; oldest first, beyond `after`; at most room. */
TACET_MUST_USE int vault_file_leftovers(vault *v, int64_t after, int64_t *rows, size_t room, size_t *count);
TACET_MUST_USE int vault_file_unstamp(vault *v, int64_t row); /* it is gone */
/* Files whose conversation was removed; what of them may lie at our relay is to be dropped. */
TACET_MUST_USE int vault_file_forget_orphans(vault *v);

typedef struct {
    int64_t message, file, contact;
    uint8_t capability[32], seal_id[16];
    uint64_t offer_sequence, seal_sequence; /* of the contents that were sent, 0: not yet */
    bool ended;                             /* they have it, or do not want it */
} vault_file_link;
TACET_MUST_USE int vault_file_link_add(vault *v, const vault_file_link *l);
TACET_MUST_USE int vault_file_link_update(vault *v, const vault_file_link *l); /* seal_id, the sequences, ended */
TACET_MUST_USE int vault_file_link_get(vault *v, int64_t message, vault_file_link *out);
TACET_MUST_USE int vault_file_links(vault *v, int64_t file, vault_file_link *out, size_t room, size_t *count);
TACET_MUST_USE int vault_file_link_by_blob(vault *v, int64_t contact, bool outgoing, const uint8_t blob[16], vault_file_link *out);
/* Of what we send: a seal of theirs is not found. */
TACET_MUST_USE int vault_file_link_by_seal(vault *v, int64_t contact, const uint8_t seal_id[16], vault_file_link *out);

/* --- blobs that our relay is to forget ------------------------------------------------------------------------------------------------ */
TACET_MUST_USE int vault_drop_put(vault *v, const uint8_t blob[16]); /* again: nothing */
TACET_MUST_USE int vault_drop_first(vault *v, uint8_t blob[16]);     /* TACET_E_NOT_FOUND: there is none */
TACET_MUST_USE int vault_drop_done(vault *v, const uint8_t blob[16]);

/* --- journal and content -------------------------------------------------------------------------------------------------------------- */
TACET_MUST_USE int vault_block_put(vault *v, int64_t file, uint32_t block, const void *bytes, size_t n);
/* TACET_E_NOT_FOUND; TACET_E_CORRUPT when it is longer than room. */
TACET_MUST_USE int vault_block_get(vault *v, int64_t file, uint32_t block, void *out, size_t room, size_t *n);
TACET_MUST_USE int vault_content_put(vault *v, int64_t file, uint32_t part, const void *bytes, size_t n);
TACET_MUST_USE int vault_content_get(vault *v, int64_t file, uint32_t part, void *out, size_t room, size_t *n);
#endif
