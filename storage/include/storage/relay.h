/* storage/relay.h: what the relay keeps. The message log is append-only with a deferred mailbox index (docs/ARCHITECTURE.md §3); the rest are
 * small tables. One writer (the committer thread) with explicit transactions, any number of readers on threads of their own. The store knows
 * opaque blobs only: it cannot tell a key from a message.
 * Mailboxes have small local numbers (u32), given at registration. One that is removed gives its number to another only after a restart. */
#ifndef STORAGE_RELAY_H
#define STORAGE_RELAY_H
#include "storage/database.h"

typedef struct relay_store relay_store;
typedef struct relay_reader relay_reader;
typedef struct {
    const void *at;
    size_t bytes;
} blob;

/* `dir` exists; the store is relay.db in it. Statuses of database_open. Starts one thread, for checkpoints: so before any sandbox that forbids it. */
TACET_MUST_USE int relay_store_open(relay_store **out, const char *dir, const uint8_t key[32]);
relay_store *relay_store_close(relay_store *s); /* after its readers; an open transaction is rolled back; NULL is fine; returns NULL */
TACET_MUST_USE int relay_reader_open(relay_reader **out, relay_store *s); /* on any thread */
relay_reader *relay_reader_close(relay_reader *r);
/* Everything below that changes something wants a transaction; what only finds and counts does not. After a failure that is not a verdict the
 * transaction has to be rolled back. Durable on relay_commit only, which also rolls back when it fails. */
TACET_MUST_USE int relay_begin(relay_store *s);
TACET_MUST_USE int relay_commit(relay_store *s); /* TACET_OK: on the disk. An fsync error is TACET_E_IO and final: stop the process. */
void relay_rollback(relay_store *s);

/* --- message log ------------------------------------------------------------------------------------------------------------------ */
typedef struct {
    uint64_t number; /* of the log: ascending, given by the router, never reused */
    uint32_t mailbox;
    uint8_t token_kind; /* 1 delivery, 2 request */
    uint8_t token_hash[32];
    uint32_t stored_hour, expires_hour; /* hours since 1970 */
    blob ciphertext;
} relay_message;

/* What waits (not acknowledged, not expired) in one mailbox: for quotas. */
typedef struct {
    uint32_t mailbox;
    uint64_t messages, bytes; /* all of them, ciphertext bytes */
    uint64_t requests;        /* those under a request token (kind 2) */
} relay_waiting;

/* Numbers ascend over all calls, also over restarts, with holes: give only such as are above everything an earlier run may have told a device.
 * TACET_E_NOT_FOUND no such mailbox   TACET_E_QUOTA 65,536 messages in this transaction: commit first   TACET_E_BUG the number does not ascend */
TACET_MUST_USE int relay_append(relay_store *s, const relay_message *m);
/* The device has it: moves the mailbox's durable watermark (or adds an exception). Numbers of other mailboxes and unknown ones are ignored. */
TACET_MUST_USE int relay_acknowledge(relay_store *s, uint32_t mailbox, const uint64_t *numbers, size_t count);
/* What these tokens (hashes of 32 bytes, one behind the other) have queued in one mailbox so far is not delivered any more once this is committed (block).
 * relay_clean deletes it and tells of it; what comes under them later is not meant. */
TACET_MUST_USE int relay_forget_tokens(relay_store *s, uint32_t mailbox, const uint8_t *token_hashes, size_t count);
/* Next messages of a mailbox with number > after that are not acknowledged, expired or forgotten, ascending, at most max_count and max_bytes (at least one).
 * `each` returns false to stop; it may call nothing of this store, and the bytes are gone when it returns. Reads only committed rows. */
TACET_MUST_USE int relay_backlog(relay_reader *r, uint32_t mailbox, uint64_t after, size_t max_count, size_t max_bytes, uint32_t now_hour,
                                 bool (*each)(void *ctx, const relay_message *m), void *ctx);
/* At start: highest number ever given; then one call a mailbox with what waits for it. */
TACET_MUST_USE int relay_log_summary(relay_store *s, uint64_t *last_number, void (*each)(void *ctx, const relay_waiting *w), void *ctx);
/* A bounded piece of cleaning: expired, acknowledged and forgotten rows, index writing, checkpoint; with nothing to do, and that several times, what the
 * connection caches is given back. *more: call again. `each` (may be NULL) hears of messages
 * that expired unread or were forgotten, so that quotas can be given back. Outside a transaction; to be called by the committer when idle or due. */
TACET_MUST_USE int relay_clean(relay_store *s, uint32_t now_hour, bool *more, void (*each)(void *ctx, const relay_waiting *w), void *ctx);

/* --- accounts, devices, mailboxes ----------------------------------------------------------------------------------------------- */
/* TACET_E_NOT_FOUND / TACET_E_EXISTS as verdicts. Blobs read are valid until the next call on the same object. */
TACET_MUST_USE int relay_account_add(relay_store *s, const uint8_t account[32], uint64_t version, const uint8_t hash[32], blob signed_list,
                                     uint32_t now_hour);
TACET_MUST_USE int relay_list_add(relay_store *s, const uint8_t account[32], uint64_t version, const uint8_t hash[32], blob signed_list);
TACET_MUST_USE int relay_lists_after(relay_store *s, const uint8_t account[32], uint64_t after,
                                     bool (*each)(void *ctx, uint64_t version, blob signed_list), void *ctx);
/* The last of them alone. TACET_E_QUOTA: longer than `room`. */
TACET_MUST_USE int relay_list_newest(relay_store *s, const uint8_t account[32], uint8_t *out, size_t room, size_t *out_bytes);
TACET_MUST_USE int relay_mailbox_add(relay_store *s, const uint8_t account[32], uint32_t device, const uint8_t transport_key[32], uint32_t *mailbox);
/* How many more mailboxes there may be when `most` is the highest number. */
TACET_MUST_USE int relay_mailboxes_left(relay_store *s, uint32_t most, uint32_t *left);
TACET_MUST_USE int relay_mailbox_remove(relay_store *s, uint32_t mailbox); /* device gone: messages, prekeys, transport key */
TACET_MUST_USE int relay_mailbox_find(relay_store *s, const uint8_t account[32], uint32_t device, uint32_t *mailbox);
/* Which mailbox a transport key opens. */
TACET_MUST_USE int relay_transport_find(relay_store *s, const uint8_t transport_key[32], uint32_t *mailbox, uint8_t account[32], uint32_t *device);

/* --- tokens ------------------------------------------------------------------------------------------------------------------------ */
/* Kind 2 replaces the old one. TACET_E_EXISTS the account has it already (kind 2: as another kind), and nothing was changed */
TACET_MUST_USE int relay_token_add(relay_store *s, const uint8_t account[32], uint8_t kind, const uint8_t token_hash[32]);
TACET_MUST_USE int relay_token_remove(relay_store *s, const uint8_t account[32], const uint8_t token_hash[32]);
TACET_MUST_USE int relay_token_find(relay_store *s, const uint8_t account[32], const uint8_t token_hash[32], uint8_t *kind);
TACET_MUST_USE int relay_token_count(relay_store *s, const uint8_t account[32], uint64_t *count);

/* --- prekeys ------------------------------------------------------------------------------------------------------------------------ */
TACET_MUST_USE int relay_prekey_put(relay_store *s, uint32_t mailbox, uint8_t kind, uint32_t id,
                                    blob encoded); /* kinds 1 and 4 replace the old one */
/* One-time kinds (2, 3) are deleted as they are handed out, lowest id first, and what has expired before it as well; 1 and 4 stay, expired or not (our
 * clock may be wrong, and they are checked by whoever gets them). TACET_E_NOT_FOUND: none that is in time */
TACET_MUST_USE int relay_prekey_take(relay_store *s, uint32_t mailbox, uint8_t kind, uint64_t now_s, uint8_t *out, size_t room, size_t *out_bytes);
/* Of those in time. */
TACET_MUST_USE int relay_prekey_counts(relay_store *s, uint32_t mailbox, uint64_t now_s, uint32_t *one_time, uint32_t *kem, uint64_t *handed_out);
/* Deletes expired one-time keys. To be called before others are put: so there are never more of them in all than may be put, which bounds this. */
TACET_MUST_USE int relay_prekey_forget(relay_store *s, uint32_t mailbox, uint64_t now_s);

/* --- directory, invites, settings ------------------------------------------------------------------------------------------------ */
/* An account has one name: the one before goes. TACET_E_EXISTS: it is another account's, not expired at now_s. */
TACET_MUST_USE int relay_name_put(relay_store *s, const char *name, const uint8_t account[32], uint64_t now_s, uint64_t expires_s, blob entry);
TACET_MUST_USE int relay_name_remove(relay_store *s, const uint8_t account[32]); /* TACET_E_NOT_FOUND: it has none */
TACET_MUST_USE int relay_name_find(relay_store *s, const char *name, uint64_t now_s, uint8_t *out, size_t room, size_t *out_bytes);
TACET_MUST_USE int relay_invite_add(relay_store *s, const uint8_t hash[32], uint32_t uses, uint64_t expires_s);
TACET_MUST_USE int relay_invite_use(relay_store *s, const uint8_t hash[32], uint64_t now_s); /* TACET_E_NOT_FOUND, TACET_E_EXPIRED */
TACET_MUST_USE int relay_setting_put(relay_store *s, const char *name, blob value);
TACET_MUST_USE int relay_setting_get(relay_store *s, const char *name, uint8_t *out, size_t room, size_t *out_bytes);

/* What is free for messages: of the disk, and of the file itself. */
TACET_MUST_USE int relay_room_left(relay_store *s, uint64_t *bytes);
/* How far the time has come by which things expire (0: never said). Outside a transaction. */
TACET_MUST_USE int relay_age_save(relay_store *s, uint64_t ms);
TACET_MUST_USE int relay_age_load(relay_store *s, uint64_t *ms);

typedef struct {
    uint64_t accounts, mailboxes, messages, message_bytes, wal_bytes;
} relay_totals;
TACET_MUST_USE int relay_totals_get(relay_store *s, relay_totals *out);
TACET_MUST_USE int relay_check(relay_store *s, char *where, size_t where_bytes);
/* The same two beside the committer, on any thread: they see what was committed when they began, and commits go on. One at a time.
 * TACET_E_BUSY: so much came meanwhile that the log grew too long, or relay_beside_stop was called. */
TACET_MUST_USE int relay_check_beside(relay_store *s, char *where, size_t where_bytes);
TACET_MUST_USE int relay_backup_beside(relay_store *s, const char *path, const uint8_t key[32]);
void relay_beside_stop(relay_store *s); /* for good: before the store is closed */
/* A consistent copy in one file at `path` (made 0600, must not exist), under `key`, fsynced; relay_store_open opens it when it stands alone in a directory
 * under the store's file name. Outside a transaction. */
TACET_MUST_USE int relay_backup(relay_store *s, const char *path, const uint8_t key[32]);
/* All pages under another key; exactly one of the two opens it, whenever it is killed. Outside a transaction, no readers open. */
TACET_MUST_USE int relay_rekey(relay_store *s, const uint8_t key[32]);
extern const char relay_store_file[]; /* its file name in the directory */
#endif
