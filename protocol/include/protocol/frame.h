/* protocol/frame.h: what client and relay say to each other inside the record stream. Frame = u32 length | msgpack array [kind, id, fields...],
 * at most TACET_FRAME_MAX_BYTES of msgpack. Requests carry an id chosen by the client; each gets exactly one reply (ok kind or FRAME_ERROR)
 * with that id. Events of the relay carry id 0. Decoding gives views into the caller's bytes; nothing is allocated.
 * The field tables in frame.c are the only place that knows the order of fields. */
#ifndef PROTOCOL_FRAME_H
#define PROTOCOL_FRAME_H
#include "base/limits.h"
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *at;
    size_t bytes;
} view;

enum { FRAME_VIEWS_MAX = 256, TACET_FRAME_HEAD_BYTES = 4, TACET_ENVELOPE_ID_BYTES = 16, TACET_BLOB_ID_BYTES = 16 };
typedef struct {
    uint32_t count;
    view item[FRAME_VIEWS_MAX];
} view_list;
typedef struct {
    uint32_t count;
    uint64_t item[FRAME_VIEWS_MAX];
} number_list;

typedef enum {
    /* mailbox role */
    FRAME_REGISTER = 1,     /* identity proof for a new account */
    FRAME_PUBLISH_NAME = 2, /* directory entry, replaces the account's own */
    FRAME_PUBLISH_PREKEYS = 3,
    FRAME_PREKEY_STATUS = 4,
    FRAME_TOKENS = 5,    /* add and remove hashes of delivery and request tokens */
    FRAME_SUBSCRIBE = 6, /* start or extend delivery by a window */
    FRAME_ACK = 7,
    FRAME_DEVICES = 8, /* publish the next device list */
    FRAME_WITHDRAW_NAME = 9,
    FRAME_BLOB_CREATE = 10, /* room for the chunks of a file */
    FRAME_PUT = 11,         /* one chunk */
    FRAME_BLOB_STATUS = 12, /* which chunks need not be put (again) */
    FRAME_BLOB_DROP = 13,
    /* both roles */
    FRAME_INFO = 16,
    FRAME_ECHO = 17,
    /* open role */
    FRAME_SEND = 32,
    FRAME_LISTS = 33,  /* device lists after a version */
    FRAME_BUNDLE = 34, /* prekeys of one device */
    FRAME_LOOKUP = 35, /* name -> directory entry */
    FRAME_WATCH = 36,  /* push me the chunks that I do not have, a window of them */
    FRAME_HAVE = 37,   /* these are on my disk */
    FRAME_AGAIN = 38,  /* this one did not open */
    /* replies */
    FRAME_OK = 64,
    FRAME_ERROR = 65,
    FRAME_PREKEY_COUNTS = 66,
    FRAME_INFO_REPLY = 67,
    FRAME_ECHO_REPLY = 68,
    FRAME_LISTS_REPLY = 69,
    FRAME_BUNDLE_REPLY = 70,
    FRAME_LOOKUP_REPLY = 71,
    FRAME_BLOB_STATUS_REPLY = 72,
    /* events of the relay */
    FRAME_DELIVER = 96,
    FRAME_CAUGHT_UP = 97, /* everything stored when the subscription began has been delivered */
    FRAME_CHUNK = 98,
    FRAME_BLOB_GONE = 99, /* dropped by its owner, or expired */
} frame_kind;

/* Stable error codes and what a client does about them. */
typedef enum { CLASS_RETRY = 1, CLASS_FATAL = 2, CLASS_ASK = 3 } error_class;
typedef enum {
    ERROR_MALFORMED = 1,
    ERROR_UNKNOWN_REQUEST,
    ERROR_REFUSED /* no such mailbox or token: one answer for both */,
    ERROR_QUOTA,
    ERROR_RATE,
    ERROR_NAME_TAKEN,
    ERROR_NOT_FOUND,
    ERROR_NOT_REGISTERED,
    ERROR_REGISTRATION_CLOSED,
    ERROR_INVITE,
    ERROR_STALE_DEVICE,
    ERROR_STALE_LIST,
    ERROR_TOO_LARGE,
    ERROR_STOPPING,
    ERROR_INTERNAL,
    ERROR_EXPIRED,
    ERROR_WRONG_ROLE,
    ERROR_EXISTS,
} error_code;

typedef enum { TOKEN_DELIVERY = 1, TOKEN_REQUEST = 2 } token_kind;

typedef struct {
    frame_kind kind;
    uint32_t id;
    union {
        struct {
            view list, invite /* 0 or 32 bytes */;
            uint32_t device;
            view proof;
        } register_; /* proof: SIGN_REGISTER over handshake hash 64 | list hash 32 */
        struct {
            view entry;
        } publish_name;
        struct {
            view_list prekeys;
        } publish_prekeys; /* encoded prekeys */
        struct {
            view_list add, remove;
            uint8_t kind;
        } tokens; /* hashes, 32 each; removing a delivery token deletes what it queued */
        struct {
            uint32_t credit;
        } subscribe; /* this many more envelopes may be delivered and not yet acknowledged */
        struct {
            number_list ids;
        } ack; /* delivery numbers */
        struct {
            view list, proof;
        } devices; /* proof: SIGN_DEVICES_CHANGE over handshake hash 64 | list hash 32 */
        struct {
            view data;
        } echo; /* <= 1024 bytes; reply likewise */
        struct {
            uint8_t version;
            view account;
            uint32_t device;
            view token;
            uint32_t ttl_s;
            view ciphertext;
        } send;
        struct {
            view account;
            uint64_t after;
        } lists;
        struct {
            view account;
            uint32_t device;
        } bundle;
        struct {
            view name;
        } lookup;
        struct {
            view blob;
            uint32_t chunks, ttl_s;
            view_list receivers; /* hashes of their capabilities */
        } blob_create;
        struct {
            view blob;
            uint32_t index;
            view chunk;
        } put, chunk;
        struct {
            view blob;
            uint32_t first;
        } blob_status;
        struct {
            view blob;
        } blob_drop, blob_gone;
        struct {
            view blob, capability;
            uint32_t credit; /* this many more chunks may be pushed and not yet answered by have or again */
        } watch;
        struct {
            view blob, capability;
            uint32_t first;
            view bits; /* chunk first + 8 i + j: bit j (of value 1 << j) of byte i */
        } have;
        struct {
            view blob, capability;
            uint32_t index;
        } again;
        struct {
            uint32_t chunks, first;
            view bits; /* as in have */
        } blob_status_reply;
        struct {
            uint16_t code;
            uint8_t cls;
            view text;
        } error;
        struct {
            uint32_t one_time, kem;
            uint64_t handed_out;
        } prekey_counts;
        struct {
            view incarnation /* 16: changes when the relay's store was restored */;
            uint64_t hour_s;
            uint32_t ttl_max_s;
        } info_reply;
        struct {
            view_list lists;
        } lists_reply; /* signed lists, oldest first */
        struct {
            view spk, opk /* 0 bytes: none */, kem;
        } bundle_reply; /* encoded prekeys */
        struct {
            view entry;
        } lookup_reply;
        struct {
            uint64_t number;
            uint8_t token_kind;
            view token_hash;
            uint64_t hour_s;
            view ciphertext;
        } deliver;
        struct {
            uint64_t number;
        } caught_up;
    };
} frame;

/* Bytes of msgpack; out has room for `room`. TACET_E_QUOTA does not fit. TACET_E_BUG a field outside its table's bounds. */
TACET_MUST_USE int frame_encode(const frame *f, uint8_t *out, size_t room, size_t *out_bytes);
/* Exactly one frame in exactly n bytes. TACET_E_MALFORMED; TACET_E_NOT_FOUND: well-formed, but of a kind nobody knows (kind and id are set).
 * Decoded in place (a frame is 8 KiB): after TACET_E_MALFORMED *out is rubbish. Only the fields of its kind are set, never the rest. */
TACET_MUST_USE int frame_decode(frame *out, const uint8_t *bytes, size_t n);
/* What a client may ask in a role (bit mask of 1 << role), 0 for replies and events. */
unsigned frame_roles(frame_kind kind);
const char *frame_kind_word(frame_kind kind);
const char *error_word(unsigned code); /* "name-taken" ...; "unknown" */
error_class error_class_of(error_code code);

/* Puts frames together from stream bytes; starts as all zeros. Bounded: holds one partial frame; the buffer grows only as bytes arrive. */
typedef struct {
    uint8_t *buf;
    size_t used, room, want;
} frame_stream;
/* Takes some of *bytes (advanced). TACET_OK: *frame_at and *frame_bytes are one whole msgpack body, valid until the next call (it may lie in *bytes).
 * TACET_E_AGAIN: all taken, nothing whole yet. TACET_E_MALFORMED: a length of 0 or above the limit. TACET_E_NOMEM. */
TACET_MUST_USE int frame_stream_next(frame_stream *s, const uint8_t **bytes, size_t *n, const uint8_t **frame_at, size_t *frame_bytes);
void frame_stream_free(frame_stream *s);
/* Of stream bytes that are to go out, how many go into one record of at most `most`: whole frames as long as they fit, so that a reader finds them
 * in place. *left starts as 0 and carries what is missing of a frame that is larger than a record. */
size_t frame_cut(const uint8_t *stream, size_t bytes, size_t most, size_t *left);
/* BLAKE2b-128 of the ciphertext. (In protocol/ without libsodium: the caller computes it; see client/ and server/.) */
#endif
