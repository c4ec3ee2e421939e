/* protocol/content.h: what two clients say to each other inside the ratchet: a msgpack map with integer keys in ascending order. Decoding gives
 * views into the caller's bytes. Unknown kinds decode (kind, body as raw bytes) so that they can be kept and shown as "needs a newer version". */
#ifndef PROTOCOL_CONTENT_H
#define PROTOCOL_CONTENT_H
#include "protocol/frame.h"

enum { TACET_MESSAGE_ID_BYTES = 16 };
typedef enum {
    CONTENT_TEXT = 1,
    CONTENT_RECEIPT = 2,
    CONTENT_FILE_OFFER = 3,
    CONTENT_FILE_SEAL = 4,
    CONTENT_FILE_CANCEL = 5,
    CONTENT_CONTROL = 6,
    CONTENT_REQUEST = 7,
    CONTENT_TYPING = 16,
    CONTENT_EDIT = 17,
    CONTENT_DELETE = 18,
    CONTENT_REACTION = 19,
    CONTENT_GROUP_STATE = 20, /* reserved numbers */
} content_kind;
typedef enum { RECEIPT_DELIVERED = 1, RECEIPT_READ = 2 } receipt_state;
typedef enum {
    CONTROL_ACCEPT = 1 /* carries the delivery token for the other side */,
    CONTROL_TOKEN = 2 /* a new one, after unblock */,
    CONTROL_RESET = 3 /* last sequence seen */,
    CONTROL_CARRIER = 4 /* only carries a PQ step */
} control_what;
typedef enum { FILE_FORM_FILE = 1, FILE_FORM_FOLDER = 2 } file_form;
enum { TACET_FILE_MODE_MAX = 0777 };
enum content_flags { CONTENT_FLAG_WAITS = 1 /* somebody waits: receipt at once */ };

typedef struct {
    uint8_t id[TACET_MESSAGE_ID_BYTES];
    uint64_t sequence;    /* from 1 per sending device and conversation; 0 for receipts and control */
    uint8_t previous[32]; /* BLAKE2b-256 of the predecessor's unpadded content; zeros for sequence 0 and 1 */
    uint64_t time_ms;
    uint64_t own_version; /* the sender's own device list ... */
    uint8_t own_hash[32];
    uint64_t known_version; /* ... and the newest of the receiver's that it knows */
    uint32_t flags;
    content_kind kind;
    union {
        struct {
            view text;
            view reply_to; /* 0 or 16 bytes */
        } text;
        struct {
            uint8_t state;
            view_list ids;
        } receipt;
        struct {
            uint8_t what;
            view token; /* 0 or 32 */
            uint64_t last_sequence;
        } control;
        struct {
            view name, relay /* tacet://… address of the sender's relay */, token /* 32: for the answer */, text;
        } request;
        struct offer_content {
            view blob, key, salt, commitment, capability; /* 16, then 32 each */
            uint32_t chunks;
            uint64_t size; /* bytes of the file, or of the folder's stream */
            view name, media /* 0 bytes: not known */;
            uint32_t mode; /* permission bits */
            uint64_t mtime_s;
            uint8_t form;
            view reply_to; /* 0 or 16 bytes */
        } offer;
        struct seal_content {
            view blob, root;
            uint32_t chunks;
            uint64_t size;
        } seal;
        struct {
            view blob;
        } cancel;
        struct {
            view body;
        } unknown;
    };
} content;

/* TACET_E_QUOTA does not fit; TACET_E_BUG a field out of bounds, or sequence, previous or token not as PROTOCOL.md §7.1 wants them for this kind. */
TACET_MUST_USE int content_encode(const content *c, uint8_t *out, size_t room, size_t *out_bytes);
/* TACET_E_MALFORMED */
TACET_MUST_USE int content_decode(content *out, const uint8_t *bytes, size_t n);
/* Counted in sequence and hash chain: everything that is shown or kept. */
bool content_is_counted(content_kind kind);
#endif
