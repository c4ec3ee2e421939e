/* storage/vault.h: what a client keeps: one SQLCipher file per profile. It knows opaque blobs and numbers only; what they mean is the engine's
 * business (client/engine). Secrets lie in it (private keys, ratchets): the file is encrypted, its pages are in memory that SQLCipher wipes.
 * One thread, one connection. Everything that writes runs inside vault_begin … vault_commit of the caller, so that one thing that happened is one
 * transaction. Views that a callback gets live until it returns; a callback may use the vault, except for the function that called it.
 *
 * Common answers: TACET_OK; TACET_E_NOT_FOUND, TACET_E_EXISTS (verdicts); < 0 as in storage/database.h, nothing written. */
#ifndef STORAGE_VAULT_H
#define STORAGE_VAULT_H
#include "base/limits.h"
#include "storage/database.h"

typedef struct vault vault;
typedef struct {
    const uint8_t *at;
    size_t bytes;
} vault_blob;

/* As database_open. */
TACET_MUST_USE int vault_open(vault **out, const char *path, const uint8_t key[32]);
/* One unchanging view of what v holds now, through a connection of its own: for reading only, and to be closed before v. */
TACET_MUST_USE int vault_open_view(vault **out, const vault *v);
vault *vault_close(vault *v);
TACET_MUST_USE int vault_begin(vault *v);
TACET_MUST_USE int vault_commit(vault *v);
void vault_rollback(vault *v);
bool vault_in_transaction(const vault *v);
/* Inside a transaction: what was written since the mark can be undone without ending it. One mark at a time. */
TACET_MUST_USE int vault_mark(vault *v);
TACET_MUST_USE int vault_back_to_mark(vault *v);
TACET_MUST_USE int vault_forget_mark(vault *v);
database *vault_database(vault *v); /* for check, backup, rekey */

/* --- settings: own keys, names, counters ------------------------------------------------------------------------------------------- */
TACET_MUST_USE int vault_setting_put(vault *v, const char *name, const void *value, size_t bytes);
/* TACET_E_NOT_FOUND; TACET_E_CORRUPT when it is longer than room. */
TACET_MUST_USE int vault_setting_get(vault *v, const char *name, void *out, size_t room, size_t *bytes);
TACET_MUST_USE int vault_number_put(vault *v, const char *name, uint64_t value);
TACET_MUST_USE int vault_number_get(vault *v, const char *name, uint64_t *value);

/* --- contacts -------------------------------------------------------------------------------------------------------------------- */
enum vault_contact_state {
    VAULT_CONTACT_REQUESTED = 1, /* we asked, no answer yet */
    VAULT_CONTACT_ACCEPTED = 2,
    VAULT_CONTACT_PENDING = 3, /* they asked, we have not decided */
};
enum {
    VAULT_NAME_ROOM = 64, /* alias: a name and "-2" … */
    VAULT_LIST_ROOM = TACET_DEVICE_LIST_MAX_BYTES,
};
typedef struct {
    int64_t id; /* 0: not stored yet */
    char alias[VAULT_NAME_ROOM];
    char name[TACET_NAME_MAX_CHARS + 1]; /* what they call themselves */
    char relay[TACET_RELAY_ADDRESS_MAX_BYTES + 1];
    uint8_t account[32];
    uint32_t state;
    bool verified, blocked;
    bool forked;             /* two device lists of one version were seen, or a content's chain forked */
    bool reduced;            /* the newest agreement had no one-time prekey */
    bool ours_active;        /* the relay confirmed our_token's hash */
    uint8_t our_token[32];   /* what they deliver to us with, zeros: none */
    uint8_t our_hash[32];    /* its hash; zeros: none */
    uint8_t their_token[32]; /* what we deliver to them with; zeros: none yet */
    uint8_t request_token[32];
    bool has_ours, has_theirs;
    bool changed;                  /* somebody else goes by this contact's name on that relay now ... */
    uint8_t changed_account[32];   /* ... with this account id */
    uint8_t list[VAULT_LIST_ROOM]; /* newest signed device list, checked */
    size_t list_bytes;
    uint64_t list_version;
    uint64_t sequence;    /* of our last counted content to them */
    uint8_t previous[32]; /* BLAKE2b-256 of that content */
    uint64_t reset_ms;    /* when we last began a new session because something did not decrypt */
    uint64_t created_ms;
    bool known_stale;  /* they showed a newer list than we have: fetch it */
    bool reset_wanted; /* something did not decrypt, and no new session could begin since */
    uint64_t own_told; /* the version of our list when they said that they know a newer one, and that was passed on; 0: never */
} vault_contact;

TACET_MUST_USE int vault_contact_add(vault *v, vault_contact *c); /* sets id; TACET_E_EXISTS: alias or account is there already */
TACET_MUST_USE int vault_contact_update(vault *v, const vault_contact *c);
TACET_MUST_USE int vault_contact_get(vault *v, int64_t id, vault_contact *out);
TACET_MUST_USE int vault_contact_by_alias(vault *v, const char *alias, vault_contact *out);
TACET_MUST_USE int vault_contact_by_account(vault *v, const uint8_t account[32], vault_contact *out);
TACET_MUST_USE int vault_contact_by_hash(vault *v, const uint8_t our_hash[32], vault_contact *out);
/* Somebody else than `account` with this name on the relay with this key (its base32, the end of the address); pending ones last, the verified first, then the oldest. */
TACET_MUST_USE int vault_contact_by_name(vault *v, const char *name, const char *relay_key, const uint8_t account[32], vault_contact *out);
/* Those with reset_wanted who are not blocked, in order of id, above `after`; as vault_contact_ids. */
TACET_MUST_USE int vault_contact_resets(vault *v, int64_t after, int64_t *ids, size_t room, size_t *count);
TACET_MUST_USE int vault_contact_count(vault *v, uint32_t state, uint64_t *count);
/* Ids in order of alias, at most room; *count is how many there are. */
TACET_MUST_USE int vault_contact_ids(vault *v, int64_t *ids, size_t room, size_t *count);
/* With its sessions, messages, outbox, receipts, draft. */
TACET_MUST_USE int vault_contact_remove(vault *v, int64_t id);
TACET_MUST_USE int vault_draft_put(vault *v, int64_t contact, const char *text);
/* out[0] is NUL when there is none. */
TACET_MUST_USE int vault_draft_get(vault *v, int64_t contact, char *out, size_t room);

/* --- sessions ------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    uint8_t id[32];
    int64_t contact;
    uint32_t device;
    uint8_t agreement[32];             /* hash of the agreement part it came from; zeros for our own */
    bool initiator, answered, retired; /* retired: for receiving only */
    uint64_t created_ms, opened_ms;    /* opened: when a message last opened; 0 never. Their order is that of what happened, whatever the clock did */
    uint64_t sealed;
    vault_blob state;
} vault_session;
TACET_MUST_USE int vault_session_put(vault *v, const vault_session *s); /* new; of a known id only state, answered, retired, opened, sealed */
TACET_MUST_USE int vault_session_sealed(vault *v, const uint8_t id[32], uint64_t sealed, vault_blob state); /* a known one: nothing else changes */
/* The latest time at which one of this device's sessions was made or opened; 0: there is none. */
TACET_MUST_USE int vault_session_newest(vault *v, int64_t contact, uint32_t device, uint64_t *ms);
typedef struct {
    uint8_t id[32];
    uint32_t device;
    bool initiator, answered, retired;
    uint64_t created_ms, opened_ms, sealed;
} vault_session_head;
/* Newest opened first; device 0: all devices. */
TACET_MUST_USE int vault_session_heads(vault *v, int64_t contact, uint32_t device, vault_session_head *out, size_t room, size_t *count);
TACET_MUST_USE int vault_session_by_agreement(vault *v, const uint8_t agreement[32], uint8_t id[32], int64_t *contact);
/* The state into out; TACET_E_QUOTA with *bytes set when room is too small. */
TACET_MUST_USE int vault_session_state(vault *v, const uint8_t id[32], uint8_t *out, size_t room, size_t *bytes);
/* Of all sessions the next one by id, after *id. TACET_E_NOT_FOUND: no more. */
TACET_MUST_USE int vault_session_next(vault *v, uint8_t id[32]);
TACET_MUST_USE int vault_session_retire(vault *v, int64_t contact, uint32_t device, const uint8_t except[32]);
TACET_MUST_USE int vault_session_reset(vault *v, const uint8_t id[32]); /* its reset was heard; TACET_E_NOT_FOUND: was before */
TACET_MUST_USE int vault_session_remove(vault *v, const uint8_t id[32]);
/* Session ids that must never be made again, as long as the private halves live. */
TACET_MUST_USE int vault_met_put(vault *v, const uint8_t session_id[32], uint64_t until_s);
TACET_MUST_USE int vault_met_has(vault *v, const uint8_t session_id[32], bool *yes);

/* --- own prekeys --------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    uint32_t kind, id;
    uint64_t created_s, expires_s;
    uint8_t secret[64]; /* X25519 secret and 32 zeros, or the ML-KEM seed */
    uint8_t encoded[1270];
    size_t encoded_bytes;
    bool published;
} vault_prekey;
TACET_MUST_USE int vault_prekey_put(vault *v, const vault_prekey *p);
TACET_MUST_USE int vault_prekey_get(vault *v, uint32_t kind, uint32_t id, vault_prekey *out);
TACET_MUST_USE int vault_prekey_newest(vault *v, uint32_t kind, vault_prekey *out);
TACET_MUST_USE int vault_prekey_remove(vault *v, uint32_t kind, uint32_t id);
TACET_MUST_USE int vault_prekey_remove_all(vault *v);
/* Those in time: a relay that is given one that is not takes none of them. */
TACET_MUST_USE int vault_prekey_unpublished(vault *v, uint64_t now_s, vault_prekey *out, size_t room, size_t *count);
TACET_MUST_USE int vault_prekey_waiting(vault *v, uint32_t kind, uint64_t now_s, uint64_t *count); /* of one kind, the same */
TACET_MUST_USE int vault_prekey_published(vault *v, uint32_t kind, uint32_t id);
TACET_MUST_USE int
vault_prekey_unpublish_all(vault *v); /* the relay lost its memory: kinds 1 and 4 must be given to it again; one-time ones are refilled */

/* --- tokens that the relay must still be told about ---------------------------------------------------------------------------------- */
typedef struct {
    uint8_t hash[32];
    uint32_t kind; /* 1 delivery, 2 request */
    bool add;
} vault_token;
TACET_MUST_USE int vault_token_put(vault *v, const vault_token *t); /* replaces what waits for the same hash; kind 2: what waits for kind 2 */
TACET_MUST_USE int vault_token_list(vault *v, vault_token *out, size_t room, size_t *count);
TACET_MUST_USE int vault_token_done(vault *v, const vault_token *t); /* only if it is still the same wish */

/* --- messages: the history ------------------------------------------------------------------------------------------------------------ */
enum vault_message_kind {
    VAULT_TEXT = 1,
    VAULT_REQUEST_TEXT = 2,
    VAULT_UNKNOWN = 3 /* "needs a newer version" */,
    VAULT_GAP = 4,
    VAULT_NOTICE = 5,
    VAULT_FILE = 6 /* its text is the name, raw the size as u64 */
};
enum vault_message_state {
    VAULT_WAITING = 1, /* outgoing: awaiting acceptance, or a session */
    VAULT_HELD = 2,    /* the contact's key changed */
    VAULT_QUEUED = 3,
    VAULT_STORED = 4,
    VAULT_DELIVERED = 5,
    VAULT_READ = 6,
    VAULT_EXPIRED = 7,
    VAULT_FAILED = 8,
    VAULT_RECEIVED = 16, /* incoming */
};
typedef struct {
    int64_t row; /* order of showing */
    int64_t contact;
    uint8_t id[16];
    bool outgoing, suspect /* its time was clamped */, handed, read, waits, has_reply;
    uint32_t kind, state, device;
    uint64_t sequence, time_ms, received_ms;
    uint8_t hash[32], previous[32];
    uint8_t reply_to[16];
    uint32_t content_kind; /* of VAULT_UNKNOWN */
    uint64_t gap;          /* of VAULT_GAP: still missing, from `sequence` on at first */
    vault_blob text;
    vault_blob raw; /* of VAULT_UNKNOWN: the content as it came, for a version that understands it */
} vault_message;
typedef bool vault_message_fn(void *ctx, const vault_message *m); /* false: stop */
TACET_MUST_USE int vault_message_add(vault *v, vault_message *m); /* sets row; TACET_E_EXISTS: same contact, direction and id */
/* What their request said; TACET_OK also when there is none. */
TACET_MUST_USE int vault_request_text_remove(vault *v, int64_t contact);
TACET_MUST_USE int vault_message_each_row(vault *v, int64_t row, vault_message_fn *each, void *ctx); /* exactly one, or TACET_E_NOT_FOUND */
TACET_MUST_USE int vault_message_find(vault *v, int64_t contact, bool outgoing, const uint8_t id[16], int64_t *row, uint32_t *state);
/* Any contact. */
TACET_MUST_USE int vault_message_find_any(vault *v, const uint8_t id[16], int64_t *row, int64_t *contact, uint32_t *state);
TACET_MUST_USE int vault_message_state(vault *v, int64_t row, uint32_t state);
/* Only upwards; TACET_E_NOT_FOUND: it is there already, or further. */
TACET_MUST_USE int vault_message_raise(vault *v, int64_t row, uint32_t state);
TACET_MUST_USE int vault_message_sealed(vault *v, int64_t row, uint64_t sequence, const uint8_t hash[32]);
/* Last `limit` before row `before` (0: from the end), given oldest first. */
TACET_MUST_USE int vault_history(vault *v, int64_t contact, int64_t before, size_t limit, vault_message_fn *each, void *ctx);
/* All messages of all contacts in order of row, those above `after`, at most limit. */
TACET_MUST_USE int vault_messages_after(vault *v, int64_t after, size_t limit, vault_message_fn *each, void *ctx);
TACET_MUST_USE int vault_message_newest(vault *v, int64_t *row); /* 0: there is none */
/* Rows of own messages of one kind to a contact that have no `delivered` and are not given up, in order, above `after`. */
TACET_MUST_USE int vault_messages_open(vault *v, int64_t contact, uint32_t kind, int64_t after, int64_t *rows, size_t room, size_t *count);
/* The first `limit` from row `from` on, oldest first. */
TACET_MUST_USE int vault_history_from(vault *v, int64_t contact, int64_t from, size_t limit, vault_message_fn *each, void *ctx);
/* `match` in FTS5 syntax; contact 0: all; newest first. TACET_E_MALFORMED: match is no query. */
TACET_MUST_USE int vault_search(vault *v, int64_t contact, const char *match, size_t limit, vault_message_fn *each, void *ctx);
/* Incoming ones that no program has taken yet, oldest first, behind row `after` (0: all). */
TACET_MUST_USE int vault_unhanded(vault *v, int64_t after, size_t limit, vault_message_fn *each, void *ctx);
TACET_MUST_USE int vault_handed(vault *v, const uint8_t id[16]); /* TACET_E_NOT_FOUND */
TACET_MUST_USE int vault_unread(vault *v, int64_t contact, uint64_t *count);
/* Incoming texts of a contact that are not read, oldest first; then all of them are. */
TACET_MUST_USE int vault_unread_each(vault *v, int64_t contact, size_t limit, vault_message_fn *each, void *ctx);
TACET_MUST_USE int vault_mark_read(vault *v, int64_t contact);

/* --- cursors: a program that takes every incoming message for itself, whoever else did -------------------------------------------------- */
typedef struct {
    char name[VAULT_NAME_ROOM];
    uint64_t created_ms;
} vault_cursor;
typedef bool vault_cursor_fn(void *ctx, const vault_cursor *c); /* false: stop */
TACET_MUST_USE int vault_cursor_find(vault *v, const char *name, bool *there);
/* Begins with what vault_unhanded gives now. TACET_E_EXISTS. */
TACET_MUST_USE int vault_cursor_add(vault *v, const char *name, uint64_t now_ms);
TACET_MUST_USE int vault_cursor_remove(vault *v, const char *name); /* TACET_E_NOT_FOUND */
TACET_MUST_USE int vault_cursor_remove_all(vault *v);
TACET_MUST_USE int vault_cursor_each(vault *v, vault_cursor_fn *each, void *ctx);
TACET_MUST_USE int vault_cursor_waiting(vault *v, const char *name, uint64_t *count);
/* The rows that it has not taken, oldest first, behind row `after`. */
TACET_MUST_USE int vault_cursor_rows(vault *v, const char *name, int64_t after, int64_t *rows, size_t room, size_t *count);
TACET_MUST_USE int vault_cursor_handed(vault *v, const char *name, const uint8_t id[16]); /* nothing when there is no such message */
TACET_MUST_USE int vault_cursor_fold(vault *v, const char *name);                         /* after handed: what is one piece becomes one number */
/* What carries a cursor to another vault, where rows have other numbers: the newest incoming message up to which all was taken (zeros: none), and
 * those that were taken out of turn, oldest first, behind row *after, which moves to the last one given. */
TACET_MUST_USE int vault_cursor_upto(vault *v, const char *name, uint8_t id[16]);
TACET_MUST_USE int vault_cursor_taken(vault *v, const char *name, int64_t *after, uint8_t (*ids)[16], size_t room, size_t *count);
/* There: a cursor that has taken everything up to `id`. TACET_E_EXISTS. */
TACET_MUST_USE int vault_cursor_put(vault *v, const vault_cursor *c, const uint8_t id[16]);

/* --- the chain of what came in, for each sending device -------------------------------------------------------------------------------- */
TACET_MUST_USE int vault_chain_get(vault *v, int64_t contact, uint32_t device, uint64_t *sequence); /* 0 when nothing came yet */
/* The devices that a chain is known of, ascending. */
TACET_MUST_USE int vault_chain_devices(vault *v, int64_t contact, int64_t *devices, size_t room, size_t *count);
TACET_MUST_USE int vault_chain_put(vault *v, int64_t contact, uint32_t device, uint64_t sequence);
/* Nothing came yet: the messages stay, outside the chain. */
TACET_MUST_USE int vault_chain_restart(vault *v, int64_t contact, uint32_t device);
typedef struct {
    uint8_t hash[32], previous[32];
} vault_chain_link;
TACET_MUST_USE int vault_chain_link_get(vault *v, int64_t contact, uint32_t device, uint64_t sequence, vault_chain_link *out);
/* One of the missing came: the mark that counted it counts one less, and is gone at 0. */
TACET_MUST_USE int vault_gap_filled(vault *v, int64_t contact, uint32_t device, uint64_t sequence);

/* --- outbox ------------------------------------------------------------------------------------------------------------------------------ */
enum vault_outgoing_state {
    VAULT_OUT_WAITING = 1, /* no content yet: the contact has to accept, or a trust decision is due */
    VAULT_OUT_CONTENT = 2, /* content made, no session with that device yet */
    VAULT_OUT_READY = 3,   /* ciphertext made: goes out, in order */
    VAULT_OUT_STORED = 4,  /* the relay has it; kept until `delivered` */
};
enum vault_outgoing_what {
    VAULT_OUT_MESSAGE = 1,
    VAULT_OUT_REQUEST = 2,
    VAULT_OUT_TOKEN = 3 /* accept or new token */,
    VAULT_OUT_PASSING = 4 /* may get lost */
};
typedef struct {
    int64_t row; /* order of sending */
    int64_t contact, message /* row in the history, 0: none */;
    uint32_t device, what, state;
    uint8_t envelope_id[16], token[32];
    uint64_t sequence, created_ms, expires_ms;
    vault_blob content, ciphertext;
} vault_outgoing;
typedef bool vault_outgoing_fn(void *ctx, const vault_outgoing *o);
TACET_MUST_USE int vault_out_add(vault *v, vault_outgoing *o);          /* sets row */
TACET_MUST_USE int vault_out_update(vault *v, const vault_outgoing *o); /* everything but row, contact, created */
TACET_MUST_USE int vault_out_state(vault *v, int64_t row, uint32_t state);
TACET_MUST_USE int vault_out_remove(vault *v, int64_t row);
TACET_MUST_USE int vault_out_get(vault *v, int64_t row, vault_outgoing_fn *each, void *ctx); /* TACET_E_NOT_FOUND */
/* Rows of one state in order; contact 0: all contacts; after: rows above it only. */
TACET_MUST_USE int vault_out_rows(vault *v, int64_t contact, uint32_t state, int64_t after, int64_t *rows, size_t room, size_t *count);
/* Rows for one device of a contact, in order, above `after`. */
TACET_MUST_USE int vault_out_rows_for(vault *v, int64_t contact, uint32_t device, int64_t after, int64_t *rows, size_t room, size_t *count);
/* Whether a row of this message for that device is there; message 0: never. */
TACET_MUST_USE int vault_out_has(vault *v, int64_t message, uint32_t device, bool *yes);
TACET_MUST_USE int vault_out_each(vault *v, vault_outgoing_fn *each, void *ctx); /* all, in order, without content and ciphertext */
/* Rows that belong to a message, and the sending device they were for. */
TACET_MUST_USE int vault_out_delivered(vault *v, int64_t message, uint32_t device); /* removes them */
/* The content of that number for that device has arrived. */
TACET_MUST_USE int vault_out_arrived(vault *v, int64_t contact, uint32_t device, uint64_t sequence);
TACET_MUST_USE int vault_out_contacts(vault *v, uint32_t state, int64_t *contacts, size_t room, size_t *count);
/* Messages that wait (WAITING rows): to another contact; or into another message state. */
TACET_MUST_USE int vault_waiting_move(vault *v, int64_t from, int64_t to);
TACET_MUST_USE int vault_waiting_state(vault *v, int64_t contact, uint32_t message_state);
/* What is STORED becomes READY again: the relay lost its memory. */
TACET_MUST_USE int vault_out_again(vault *v, const char *relay);
TACET_MUST_USE int vault_out_rows_of_kind(vault *v, int64_t contact, uint32_t what, int64_t *rows, size_t room, size_t *count);
/* Past their time: *rows of at most room. */
TACET_MUST_USE int vault_out_expired(vault *v, uint64_t now_ms, int64_t *rows, size_t room, size_t *count);
TACET_MUST_USE int vault_out_count(vault *v, uint64_t *unsent); /* neither stored nor waiting for somebody's decision */

/* --- receipts that are due ---------------------------------------------------------------------------------------------------------------- */
TACET_MUST_USE int vault_receipt_put(vault *v, int64_t contact, const uint8_t id[16], uint32_t state, uint64_t due_ms);
/* The earliest: TACET_E_NOT_FOUND when there is none. */
TACET_MUST_USE int vault_receipt_due(vault *v, uint64_t *due_ms, int64_t *contact);
TACET_MUST_USE int vault_receipt_pending(vault *v, int64_t contact, bool *yes);
/* Takes up to room of one contact and state out of the table. */
TACET_MUST_USE int vault_receipt_take(vault *v, int64_t contact, uint32_t *state, uint8_t (*ids)[16], size_t room, size_t *count);

/* --- envelopes met, and those that do not open --------------------------------------------------------------------------------------------- */
TACET_MUST_USE int vault_seen_put(vault *v, const uint8_t envelope_id[16], uint64_t now_s, bool own);
TACET_MUST_USE int vault_seen_has(vault *v, const uint8_t envelope_id[16], bool *yes, bool *own);
TACET_MUST_USE int vault_quarantine_put(vault *v, const uint8_t envelope_id[16], int64_t contact, uint64_t now_ms, const char *reason,
                                        vault_blob ciphertext, size_t keep_max);
TACET_MUST_USE int vault_quarantine_count(vault *v, uint64_t *count);

/* Forgets what is past its time: seen ids, met session ids, private prekeys, sessions that only receive and can receive nothing more. */
TACET_MUST_USE int vault_forget(vault *v, uint64_t now_s);
TACET_MUST_USE int vault_bytes(vault *v, uint64_t *bytes);
#endif
