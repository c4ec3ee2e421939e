/* engine/state.h: the engine's inside, shared by its files and by nobody else. One file a noun; the functions of each file stand under its name.
 *
 * Rules that hold everywhere:
 * - What happened is one transaction: txn_begin … txn_end. Events and completions are queued and leave after the commit (engine_settle).
 * - A fault (< 0) rolls back and becomes engine.fault; a verdict (> 0) is handled where it appears.
 * - Secrets live in the vault, and in the arena while they are used. */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H
#include "base/secret.h"
#include "base/text.h"
#include "engine/engine.h"
#include "identity/devices.h"
#include "identity/directory.h"
#include "limits.h"
#include "protocol/content.h"
#include "protocol/frame.h"
#include "session/session.h"
#include "storage/vault.h"

typedef struct {
    uint8_t ik[64], sign[64], dh[32], transport[32];
} own_secrets;

enum account_stage {
    ACCOUNT_NONE = 0,
    ACCOUNT_MADE = 1, /* an init that has not come to its end */
    ACCOUNT_REGISTERED = 2,
    ACCOUNT_RESTORED = 3, /* a restore that has not come to its end */
    ACCOUNT_REPLACED = 4, /* a backup of it was restored elsewhere: for reading only */
};

typedef struct {
    unsigned stage;
    char name[TACET_NAME_MAX_CHARS + 1];
    char relay_text[TACET_RELAY_ADDRESS_MAX_BYTES + 1];
    char proxy[ENGINE_PROXY_MAX_CHARS + 1]; /* empty: none was said at init */
    relay_address relay;
    uint32_t device;
    uint8_t request_token[TACET_TOKEN_BYTES];
    bool listed, read_receipts;
    device_list list;
    uint8_t signed_list[TACET_DEVICE_LIST_MAX_BYTES];
    size_t signed_list_bytes;
    own_secrets *secret; /* in the arena */
} own_account;

/* --- links.c: connections to relays, by relay and role -------------------------------------------------------------------------------- */
typedef void reply_fn(engine *e, uint64_t arg, const frame *reply); /* reply NULL: the link went away first */
typedef struct {
    uint32_t id;
    reply_fn *fn;
    uint64_t arg, asked_ms;
} asked_request;

typedef struct {
    bool used, up, failed; /* failed: the last attempt did, and none is under way */
    uint64_t link;         /* 0: none */
    relay_address relay;
    char text[TACET_RELAY_ADDRESS_MAX_BYTES + 1];
    tacet_role role;
    uint64_t retry_at_ms, touched_ms;
    uint64_t cut_again_ms; /* not to be closed before only because a file has to give way */
    unsigned failures;
    unsigned early; /* handshakes in a row that were broken off */
    link_reason why;
    uint32_t next_id;
    asked_request asked[ENGINE_ASKED_MAX];
    size_t asked_count;
    uint8_t hash[64];
} relay_slot;

/* --- outbox.c: one lane for each contact that something waits for ------------------------------------------------------------------------ */
/* Which bytes of a row: it is sealed anew in its place when the other side resets, and then what was sent is not what is there. */
typedef struct {
    int64_t row;
    uint8_t envelope_id[16];
    uint64_t tag; /* sent with the token that begins like this */
} sent_row;

typedef struct {
    int64_t contact, cursor;           /* rows up to cursor are under way, or done */
    sent_row sent[ENGINE_LANE_WINDOW]; /* ... these without an answer yet */
    size_t under_way;
    uint64_t retry_at_ms;
    size_t slot;  /* of its relay, ENGINE_SLOTS_MAX: none yet */
    bool dirty;   /* there may be rows behind the cursor */
    bool eager;   /* something new: a relay that failed before is tried at once */
    bool blocked; /* the next row waits until our relay knows our token */
} lane;

/* --- ops.c: calls that take more than one step --------------------------------------------------------------------------------------------- */
typedef struct op op;
struct op {
    op *next;
    uint64_t number;
    engine_done done; /* NULL: the engine's own */
    void *done_ctx;
    void (*wake)(engine *e, op *o); /* something changed: look whether the next step can be done */
    void (*drop)(op *o);
    void *data;
};

typedef struct completion completion;
struct completion {
    completion *next;
    engine_done done;
    void *ctx;
    json_t *result;
    engine_error error;
};

typedef struct files files;

struct engine {
    const tacet_env *env;
    engine_network net;
    void *sockets; /* the real network, when it is ours (sockets.c) */
    bool offline;
    void (*event)(void *ctx, json_t *event);
    void *event_ctx;
    void (*working)(void *ctx, uint64_t have, uint64_t of);
    void *working_ctx;
    char *vault_path;
    secret_arena *arena;
    vault *vault;
    own_account me;

    relay_slot slots[ENGINE_SLOTS_MAX];
    uint64_t next_link;
    size_t mailbox; /* index of the own mailbox slot; ENGINE_SLOTS_MAX: none */

    files *files;          /* files.h */
    uint64_t files_due_ms; /* mono: they want to be looked at */
    uint8_t *frame_room;   /* TACET_FRAME_MAX_BYTES for the frame that is being written */

    lane *lanes;
    size_t lane_count, lane_room;

    /* inbox: envelopes of one batch are one transaction */
    bool batch;
    uint64_t acks[ENGINE_ACKS_MAX];
    size_t ack_count;
    bool subscribed, caught_up, was_offline;
    bool confirmed;   /* the relay has said on this link that we are still a device of the account: before that nothing is sent */
    bool registering; /* an `init` or `restore` is under way on the mailbox link */
    size_t busy;      /* calls that go on at every tick */
    char proxy[ENGINE_PROXY_MAX_CHARS + 1], proxy_otherwise[ENGINE_PROXY_MAX_CHARS + 1],
        no_proxy[ENGINE_PROXY_MAX_CHARS + 1]; /* see engine_options */
    bool through_proxy;                       /* the last connection */

    /* rows that the relay accepted, not yet written down */
    sent_row stored[ENGINE_ACKS_MAX];
    size_t stored_count;
    int64_t refused_row; /* the last row that a relay did not take (now, or ever), and why */
    engine_error refused;

    bool clock_known;
    int64_t clock_offset_s; /* relay - ours */
    uint64_t handed_out;
    uint64_t receipt_due_ms;             /* wall clock of the earliest, UINT64_MAX none */
    uint64_t housekeeping_at_ms;         /* mono */
    uint64_t sessions_retry_ms;          /* mono; UINT64_MAX: no content waits for a session */
    uint64_t resets_retry_ms;            /* mono; UINT64_MAX: no reset waits */
    int64_t resets_after;                /* the contact whose reset was tried last; 0: all were */
    int64_t keys_told[ENGINE_KEYS_TOLD]; /* contacts of whom it was said that their keys do not do */
    size_t keys_told_next;
    bool tokens_asked, prekeys_asked, tokens_refused; /* refused: not on this connection any more */
    engine_error tokens_error;
    uint32_t prekeys_sent_to; /* the highest id that was published last */

    op *ops;
    uint64_t next_op;
    bool woken;                     /* ops should look again */
    json_t *events, *events_inside; /* ready to leave; of the open transaction */
    completion *completions, **completions_tail;
    bool settling;
    engine_error fault; /* code NULL: none */
};

/* --- engine.c ------------------------------------------------------------------------------------------------------------------------------ */
static inline uint64_t now_ms(const engine *e) { return env_now_ms(e->env); }
static inline uint64_t now_s(const engine *e) { return env_now_ms(e->env) / 1000; }
static inline uint64_t mono_ms(const engine *e) { return env_mono_ms(e->env); }
/* The clock was compared with the relay's and does not fit: nothing that is judged by time is made or forgotten. */
bool clock_off(const engine *e);
TACET_MUST_USE int txn_begin(engine *e);
/* Commits when rc is TACET_OK, else rolls back; gives back rc, or the commit's failure. */
TACET_MUST_USE int txn_end(engine *e, int rc);
/* A fault of ours: remembered, said in an event, links closed so that the relay delivers again later. */
void engine_fail(engine *e, int status);
void error_of_status(const engine *e, engine_error *out, int status);
void engine_settle(engine *e);
void complete(engine *e, engine_done done, void *ctx, json_t *result /* stolen */, const engine_error *error);
void complete_say(engine *e, engine_done done, void *ctx, sentence which, const char *one, const char *two);
void emit(engine *e, json_t *event /* stolen; NULL is ignored */);

/* --- ops.c --- */
op *op_new(engine *e, engine_done done, void *ctx, void (*wake)(engine *, op *), void (*drop)(op *), void *data);
op *op_find(engine *e, uint64_t number);
void op_finish(engine *e, op *o, json_t *result /* stolen */);
void op_fail(engine *e, op *o, const engine_error *error);
void op_say(engine *e, op *o, sentence which, const char *one, const char *two);
void error_of_clock(const engine *e, engine_error *out); /* our clock is off */
void say_clock(engine *e, op *o);                        /* and ends it */
void ops_wake(engine *e);
void ops_close(engine *e); /* all complete with `stopping` */

#define SET_RESTORED "restored_s" /* a setting that only a restored vault has */
/* --- account.c: who we are ------------------------------------------------------------------------------------------------------------- */
TACET_MUST_USE int account_load(engine *e);
/* New keys and the first device list, in the open transaction. */
TACET_MUST_USE int account_make(engine *e, const relay_address *relay, const char *name, bool listed);
TACET_MUST_USE int account_store(engine *e); /* everything but the secrets */
TACET_MUST_USE int account_store_secrets(engine *e);
/* Fresh device keys into me.secret; the entry of a list that stands for them, number 1. */
TACET_MUST_USE int account_device_keys(engine *e);
TACET_MUST_USE int account_device(const engine *e, device_entry *out);
void account_replaced(engine *e); /* another device has taken our place: nothing leaves any more */
void account_forget(engine *e);
party account_party(const engine *e);
void account_link(const engine *e, char text[TACET_LINK_MAX_CHARS + 1]);
json_t *account_json(const engine *e);

/* --- links.c --- */
size_t slot_for(engine *e, const relay_address *relay, tacet_role role); /* ENGINE_SLOTS_MAX: none free */
size_t slot_for_text(engine *e, const char *relay_text, tacet_role role);
/* Connects unless it is connected, under way, or waits after a failure; `eager`: does not wait. */
void slot_want(engine *e, size_t slot, bool eager);
void slot_close(engine *e, size_t slot);
/* The relay of `slot` is back: other connections to it need not wait either. */
void slots_retry(engine *e, size_t slot);
/* TACET_E_AGAIN not up, or too much asked already. */
TACET_MUST_USE int slot_ask(engine *e, size_t slot, frame *f, reply_fn *fn, uint64_t arg);
size_t slot_waiting(const engine *e, size_t slot); /* bytes that have not left yet */
uint64_t slots_deadline(const engine *e);
void slots_tick(engine *e);
void error_of_slot(const engine *e, size_t slot, engine_error *out);
void error_of_frame(engine_error *out, const frame *error, const char *relay, const char *what);

/* --- register.c: making the account known to the relay --- */
void call_init(engine *e, json_t *params, engine_done done, void *ctx);
void register_link_up(engine *e);

/* --- mailbox.c: the own mailbox at the own relay --- */
void mailbox_want(engine *e, bool eager);
void mailbox_link_up(engine *e);
void mailbox_link_down(engine *e);
void mailbox_event(engine *e, const frame *f);
void mailbox_acks(engine *e);
void mailbox_fault(engine *e, int status); /* ours, while receiving: said, and the link ends so that everything comes again */
void mailbox_tokens(engine *e);            /* tells the relay about tokens that wait */
void mailbox_prekeys(engine *e);
void mailbox_break(engine *e); /* ends the link; it comes back after a pause */
void mailbox_name(engine *e);  /* publishes the name when its entry grows old */
TACET_MUST_USE int tokens_again(engine *e);
void mailbox_info(engine *e, size_t slot); /* asks for clock and incarnation, any slot */
TACET_MUST_USE int publish_name(engine *e, reply_fn *fn, uint64_t arg);

/* --- prekeys.c --- */
TACET_MUST_USE int prekeys_refill(engine *e, uint32_t one_time_left, uint32_t kem_left); /* in a transaction */
TACET_MUST_USE int prekeys_first(engine *e); /* in a transaction: all of them, unless an attempt that was interrupted left some that are in time */
/* Gives what is unpublished to the relay; TACET_E_NOT_FOUND: nothing is. */
TACET_MUST_USE int prekeys_publish(engine *e, reply_fn *fn, uint64_t arg);
TACET_MUST_USE int prekeys_mark_published(engine *e); /* what the last prekeys_publish sent */
/* The private halves that a first envelope names. TACET_E_NOT_FOUND. To be given back. */
typedef struct own_prekeys own_prekeys;
struct own_prekeys {
    vault_prekey spk, opk, kem;
    uint8_t kem_public[TACET_KEM_KEY_BYTES], kem_secret[2400], spk_public[32], opk_public[32];
    agreement_secrets secrets;
};
TACET_MUST_USE int prekeys_for(engine *e, own_prekeys **out, const first_envelope *f);
void prekeys_give_back(engine *e, own_prekeys *p);
TACET_MUST_USE int prekeys_used(engine *e, const first_envelope *f);

/* --- fetch.c: device lists and prekeys of somebody, from their relay --- */
typedef struct {
    /* TACET_OK, or with `error`: TACET_E_AGAIN nothing came (no connection, or our clock is off)   TACET_E_REFUSED the relay says no   TACET_E_NOMEM
     * Of lists alone: TACET_E_FORK, TACET_E_VERSION, TACET_E_FORGED. Of prekeys alone: TACET_E_KEY not theirs   TACET_E_EXPIRED not in time */
    int status;
    engine_error error;
    device_list list;
    uint8_t from[TACET_HASH_BYTES]; /* of the list that was known when it began, which is what `list` was checked against; zeros: none was */
    uint8_t signed_list[TACET_DEVICE_LIST_MAX_BYTES];
    size_t signed_list_bytes;
    size_t bundle_count;
    agreement_bundle bundle[TACET_DEVICES_MAX];
} fetched;
typedef void fetch_fn(engine *e, uint64_t arg, const fetched *f);
/* Lists after the signed one that is `known` (NULL: from the first), then, when wanted, a bundle for each device. `who` is for sentences. */
void fetch_start(engine *e, const account_id *account, const char *relay_text, const char *who, const uint8_t *known, size_t known_bytes,
                 bool bundles, fetch_fn *fn, uint64_t arg);
/* Our own lists, after the one that we know. TACET_E_REPLAY: the relay has forgotten that one; TACET_E_FORK: it shows another. */
void fetch_own(engine *e, fetch_fn *fn, uint64_t arg);
bool fetch_runs(const engine *e, fetch_fn *fn, uint64_t arg); /* one with this end is under way */

/* --- devices.c --- */
/* Takes a checked list that follows (or is) the one in c, stores c, and sees to what the change means. There is no way back to an older one. */
TACET_MUST_USE int devices_follow(engine *e, vault_contact *c, const device_list *next, const uint8_t *signed_list, size_t n);
void sessions_retry(engine *e); /* when it is due: keys for content that waits for a session, and for resets */

/* --- sessions.c --- */
TACET_MUST_USE int session_load(engine *e, const uint8_t id[32], session **out);
/* A session that was just begun, or has just opened something: from now on the newest of its device, and for sending. `agreement`: NULL for one that
 * we began, or that is known already. */
TACET_MUST_USE int session_save(engine *e, const session *s, int64_t contact, const uint8_t *agreement);
TACET_MUST_USE int session_begin(engine *e, const agreement_bundle *bundle, session **out);
/* Seals in the session that the rules choose for this device. TACET_E_NOT_FOUND: there is none that may send. */
TACET_MUST_USE int session_seal_for(engine *e, const vault_contact *c, uint32_t device, const uint8_t *plain, size_t plain_bytes, uint8_t *out,
                                    size_t *out_bytes);
TACET_MUST_USE int session_prune(engine *e, int64_t contact, uint32_t device);
/* Keys that are past their time leave the vault (PROTOCOL.md §6.4, §6.5), also of sessions that nobody uses. Inside a transaction, once a day. */
TACET_MUST_USE int sessions_forget(engine *e);
/* False: none may send. */
bool session_choose(const vault_session_head *heads, size_t count, size_t *chosen);

/* --- lanes.c --- */
TACET_MUST_USE int outbox_lanes(engine *e); /* at start, and after a relay's loss: one for each contact with rows that are ready, from the first */
void outbox_lane(engine *e, const vault_contact *c);
void outbox_lane_now(engine *e, const vault_contact *c);   /* without waiting for the next try */
void outbox_lane_again(engine *e, const vault_contact *c); /* rows that it has passed became ready once more */
void outbox_unblock(engine *e, int64_t contact);
void outbox_unblock_all(engine *e); /* what still has to wait finds out again */
void outbox_pump(engine *e);
void outbox_slot_down(engine *e, size_t slot);
void outbox_slot_taken(engine *e, size_t slot); /* for another relay: the back-off stays */
void outbox_flush_stored(engine *e);
uint64_t outbox_deadline(const engine *e);
/* Nothing could be sent now that is not. */
bool outbox_idle(engine *e);
/* A message's state goes up, and everybody hears of it. 0: no message. */
TACET_MUST_USE int message_raise(engine *e, int64_t message, uint32_t state);
TACET_MUST_USE int outbox_drop_row(engine *e, int64_t row, int64_t message, uint32_t message_state);
TACET_MUST_USE int outbox_row_state(engine *e, int64_t row, uint32_t *state);
TACET_MUST_USE int outbox_row_delivered(engine *e, int64_t row);
/* --- outbox.c --- */
/* In a transaction: content for every device of a contact, counted or not. `message` is 0 for what is not shown. */
TACET_MUST_USE int outbox_content(engine *e, vault_contact *c, content *k, uint32_t what, int64_t message);
/* What waited for acceptance (or a decision) becomes content and ciphertext, in order. */
TACET_MUST_USE int outbox_release(engine *e, vault_contact *c);
/* Content that waited for a session with a device. */
TACET_MUST_USE int outbox_seal_content(engine *e, vault_contact *c);
/* After a reset: undelivered counted content above `last_sequence` is sealed again in the new session. */
TACET_MUST_USE int outbox_seal_again(engine *e, vault_contact *c, uint32_t device, uint64_t last_sequence);
TACET_MUST_USE int outbox_control(engine *e, vault_contact *c, uint32_t what, const uint8_t *token, uint64_t last_sequence);
TACET_MUST_USE int outbox_cancel(engine *e, vault_contact *c, uint32_t message_state); /* what no relay has yet */
/* A text message of the history: sealed now, or waiting. */
TACET_MUST_USE int outbox_send(engine *e, vault_contact *c, int64_t message, bool now);
TACET_MUST_USE int outbox_expire(engine *e);

/* --- inbox.c, receive.c, chain.c, receipts.c --- */
void inbox_deliver(engine *e, const frame *f);
TACET_MUST_USE int inbox_flush(engine *e);
typedef struct {
    uint8_t token_kind;
    uint64_t hour_s;
    uint32_t device; /* that sent */
    bool fresh;      /* this envelope made the session */
    uint8_t session_id[32];
    const first_sender *sender; /* of a fresh session */
} arrival;
/* What an opened envelope says. c->id 0: a stranger, to be added if it is a proper request. TACET_E_REFUSED: not allowed here; nothing was written. */
TACET_MUST_USE int receive_content(engine *e, vault_contact *c, const arrival *a, const uint8_t *plain, size_t plain_bytes);
TACET_MUST_USE int chain_check(engine *e, const vault_contact *c, uint32_t device, uint64_t sequence, const uint8_t previous[32],
                               const uint8_t hash[32]);
TACET_MUST_USE int chain_pass(engine *e, const vault_contact *c, uint32_t device, uint64_t sequence, const uint8_t previous[32],
                              const uint8_t hash[32]);
TACET_MUST_USE int notice_add(engine *e, const vault_contact *c, const char *text); /* a line of ours in the history */
TACET_MUST_USE int receipts_take(engine *e, vault_contact *c, const content *k, uint32_t device);
TACET_MUST_USE int receipts_owe(engine *e, const vault_contact *c, const uint8_t id[16], uint32_t state, bool at_once);
TACET_MUST_USE int receipts_carrier(engine *e, vault_contact *c); /* a PQ step waits: if no receipt will carry it, a control does */
void receipts_flush(engine *e);                                   /* sends what is due */
TACET_MUST_USE int receipts_next(engine *e);

/* --- files.c, file_contents.c, file_calls.c (between themselves: files.h) --- */
TACET_MUST_USE int files_open(engine *e);
void files_close(engine *e);
void files_pump(engine *e);
uint64_t files_deadline(const engine *e);
int files_fd(const engine *e); /* readable when a worker has done something; -1 none */
void files_take(engine *e);
void files_slot_down(engine *e, size_t slot);
bool files_need_slot(const engine *e, size_t slot);
void files_relay_back(engine *e, const char *relay_text);     /* downloads from there need not wait either */
void files_event(engine *e, size_t slot, const frame *f);     /* chunk, blob_gone */
bool files_busy(const engine *e);                             /* something that lies at a relay is on its way to us */
TACET_MUST_USE int files_blocked(engine *e, int64_t contact); /* in a transaction: nothing goes on, to or from them */
void files_orphaned(engine *e);                               /* a conversation was removed: its files stop */
TACET_MUST_USE int files_again(engine *e);                    /* our relay was restored: what it may have forgotten is put again */
TACET_MUST_USE int files_settings_load(engine *e);
bool files_settings(engine *e, json_t *params, engine_done done, void *ctx);
void files_settings_json(const engine *e, json_t *o);
void json_file(engine *e, json_t *o, const vault_message *m);
/* In a transaction, what is said about files. */
TACET_MUST_USE int file_offer(engine *e, vault_contact *c, int64_t message);
bool file_offer_fits(engine *e, const vault_contact *c, const content *k);
TACET_MUST_USE int file_offered(engine *e, const vault_contact *c, const content *k, int64_t message);
TACET_MUST_USE int file_sealed(engine *e, vault_contact *c, const content *k, bool *fresh);
TACET_MUST_USE int file_cancelled(engine *e, vault_contact *c, const content *k);

TACET_MUST_USE int file_receipt(engine *e, const vault_contact *c, const uint8_t id[16], int64_t message, uint32_t device, bool *taken);
TACET_MUST_USE int file_expired(engine *e, int64_t message); /* the relay has forgotten what lay there for this message, if that is a file */
/* --- history.c --- */
sentence send_obstacle(const vault_contact *c); /* why nothing can be sent to c; SAY_COUNT: it can */
/* Adds an outgoing message in the state that fits; *now: it can be sent at once. */
TACET_MUST_USE int message_store(engine *e, const vault_contact *c, vault_message *m, bool *now);
json_t *message_sent_json(engine *e, const vault_contact *c, int64_t message);

/* --- reset.c: sessions anew, lists anew --- */
/* In a transaction: something of theirs did not open. At most once an hour, and until it was done (sessions_retry). */
TACET_MUST_USE int reset_wanted(engine *e, int64_t contact);
void reset_again(engine *e, int64_t contact);
void sessions_wanted(engine *e, int64_t contact); /* for devices without one */
void lists_wanted(engine *e, int64_t contact);

/* --- contacts.c, requests.c, add.c, trust.c --- */
void call_add(engine *e, json_t *params, engine_done done, void *ctx);
void call_contacts(engine *e, json_t *params, engine_done done, void *ctx);
void call_rename(engine *e, json_t *params, engine_done done, void *ctx);
void call_remove(engine *e, json_t *params, engine_done done, void *ctx);
void call_block(engine *e, json_t *params, engine_done done, void *ctx);
void call_unblock(engine *e, json_t *params, engine_done done, void *ctx);
void call_requests(engine *e, json_t *params, engine_done done, void *ctx);
void call_accept(engine *e, json_t *params, engine_done done, void *ctx);
void call_reject(engine *e, json_t *params, engine_done done, void *ctx);
void call_verify(engine *e, json_t *params, engine_done done, void *ctx);
void call_trust(engine *e, json_t *params, engine_done done, void *ctx);
void call_untrust(engine *e, json_t *params, engine_done done, void *ctx);
void call_send(engine *e, json_t *params, engine_done done, void *ctx);
void call_receive(engine *e, json_t *params, engine_done done, void *ctx);
void call_handed(engine *e, json_t *params, engine_done done, void *ctx);
void call_cursors(engine *e, json_t *params, engine_done done, void *ctx);
void call_cursor_remove(engine *e, json_t *params, engine_done done, void *ctx);
void call_history(engine *e, json_t *params, engine_done done, void *ctx);
void call_search(engine *e, json_t *params, engine_done done, void *ctx);
void call_outbox(engine *e, json_t *params, engine_done done, void *ctx);
void call_read(engine *e, json_t *params, engine_done done, void *ctx);
void call_draft(engine *e, json_t *params, engine_done done, void *ctx);
void call_whoami(engine *e, json_t *params, engine_done done, void *ctx);
void call_link(engine *e, json_t *params, engine_done done, void *ctx);
void call_sync(engine *e, json_t *params, engine_done done, void *ctx);
void call_ping(engine *e, json_t *params, engine_done done, void *ctx);
void call_status(engine *e, json_t *params, engine_done done, void *ctx);
void call_check(engine *e, json_t *params, engine_done done, void *ctx);
void call_send_file(engine *e, json_t *params, engine_done done, void *ctx);
void call_stage(engine *e, json_t *params, engine_done done, void *ctx);
void call_files(engine *e, json_t *params, engine_done done, void *ctx);
void call_save(engine *e, json_t *params, engine_done done, void *ctx);
void call_cancel(engine *e, json_t *params, engine_done done, void *ctx);
void call_settings(engine *e, json_t *params, engine_done done, void *ctx);
void call_backup(engine *e, json_t *params, engine_done done, void *ctx);
void call_restore(engine *e, json_t *params, engine_done done, void *ctx);

/* A free alias like `wish`: itself, or with -2, -3 … */
TACET_MUST_USE int contact_alias(engine *e, const char *wish, char out[VAULT_NAME_ROOM]);
/* A fresh delivery token of ours for c, and the wish to tell the relay; c is not stored by this. */
TACET_MUST_USE int contact_give_token(engine *e, vault_contact *c);
TACET_MUST_USE int contact_take_token(engine *e, vault_contact *c); /* the relay shall forget it */
/* They and we agree: state, waiting messages, event. */
TACET_MUST_USE int contact_accepted(engine *e, vault_contact *c);
/* Somebody else goes by c's name now. */
TACET_MUST_USE int contact_changed(engine *e, vault_contact *c, const uint8_t account[32]);
TACET_MUST_USE int contact_unchanged(engine *e, vault_contact *c);
bool contact_may_hear(const vault_contact *c);
/* Ids of all contacts, however many, in order of alias; *ids is to be freed. */
TACET_MUST_USE int contacts_all(vault *v, int64_t **ids, size_t *count);
TACET_MUST_USE int contact_forked(engine *e, vault_contact *c, const char *whose);
/* Takes a checked list into c. */
void contact_list_set(vault_contact *c, const device_list *list, const uint8_t *signed_list, size_t n);
TACET_MUST_USE int contact_list(const vault_contact *c, device_list *out);
/* ACCEPT with our token for them, made anew where it was taken away. */
TACET_MUST_USE int request_answer(engine *e, vault_contact *c);
/* Accepts a pending request: token, ACCEPT. */
TACET_MUST_USE int request_accept(engine *e, vault_contact *c);
/* A new contact by a request of ours; also what `add` and `trust` share. */
typedef struct {
    account_id account;
    char relay_text[TACET_RELAY_ADDRESS_MAX_BYTES + 1];
    char name[TACET_NAME_MAX_CHARS + 1], alias[VAULT_NAME_ROOM];
    uint8_t request_token[TACET_TOKEN_BYTES];
    const char *text;
} request_plan;
TACET_MUST_USE int request_make(engine *e, const request_plan *plan, const fetched *f, vault_contact *c, int64_t *out_row);

/* `add` for the account that goes by old's name now; its end is trust_move. */
void add_heir(engine *e, const vault_contact *old, engine_done done, void *ctx);
TACET_MUST_USE int trust_move(engine *e, int64_t old_id, vault_contact *heir);

/* --- objects.c: JSON --- */
json_t *json_event(const char *name);
json_t *json_error(const engine_error *error);
json_t *json_time(uint64_t ms);
json_t *json_hex(const uint8_t *bytes, size_t n);
json_t *json_contact(engine *e, const vault_contact *c);
json_t *json_request(engine *e, const vault_contact *c);
json_t *json_message(engine *e, const vault_message *m);
/* A list of such objects: collect_message is a vault_message_fn over `collecting`. */
typedef struct {
    engine *e;
    json_t *list;
} collecting;
bool collect_message(void *ctx, const vault_message *m);
json_t *json_receipt(engine *e, int64_t contact, const uint8_t id[16], const char *state);
const char *message_state_word(uint32_t state);
/* Parameters: NULL or false when missing or of another type. */
const char *param_text(json_t *params, const char *name);
bool param_bool(json_t *params, const char *name);
int64_t param_int(json_t *params, const char *name, int64_t otherwise);
size_t param_limit(json_t *params, int64_t otherwise, int64_t most); /* `limit`, at least 1 */
void complete_bad_param(engine *e, engine_done done, void *ctx, const char *method, const char *name);
void complete_status(engine *e, engine_done done, void *ctx, int status);
/* With result (stolen) when status is TACET_OK, else with its error. */
void complete_json(engine *e, json_t *result, int status, engine_done done, void *ctx);
/* The contact that params name under `name`; completes the call with an error and returns false when there is none. Pending ones only when wanted. */
bool contact_param(engine *e, json_t *params, const char *method, const char *key, vault_contact *out, engine_done done, void *ctx);
void text_put(char *out, size_t room, const char *text); /* cut where it does not fit */
const char *relay_key_of(const char *relay_text);        /* its last 52 characters */
bool json_id(uint8_t out[16], const char *text);         /* 32 hex digits */
void envelope_id_of(uint8_t out[16], const uint8_t *ciphertext, size_t n);
void content_hash(uint8_t out[32], const uint8_t *bytes, size_t n);
#endif
