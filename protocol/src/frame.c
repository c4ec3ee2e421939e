/* Frames (PROTOCOL.md §2.4). The tables here are the only place that knows the order and the bounds of fields. */
#include "protocol/frame.h"
#include "fields.h"
#include "pack_reader.h"

enum { PREKEY_EC_BYTES = 118, PREKEY_KEM_BYTES = 1270, DIRECTORY_BYTES = 202, HASH_BYTES = 32, PROOF_BYTES = 64, ECHO_MAX_BYTES = 1024 };
enum { KIND_MAX = UINT16_MAX, MAILBOX = 1 << 1, OPEN = 1 << 2, BOTH = MAILBOX | OPEN, ID_ANY = 8, ID_NONE = 16 };

#define ROW static const field
ROW register_row[] = {
    BIN(0, frame, register_.list, 1, TACET_DEVICE_LIST_MAX_BYTES),
    BIN_OR_NONE(0, frame, register_.invite, HASH_BYTES),
    UINT_ANY(0, frame, register_.device),
    BIN(0, frame, register_.proof, PROOF_BYTES, PROOF_BYTES),
};
ROW publish_name_row[] = { BIN(0, frame, publish_name.entry, DIRECTORY_BYTES, DIRECTORY_BYTES) };
ROW publish_prekeys_row[] = { BINS(0, frame, publish_prekeys.prekeys, 0, PREKEY_EC_BYTES, PREKEY_KEM_BYTES) };
ROW tokens_row[] = {
    BINS(0, frame, tokens.add, 0, HASH_BYTES, HASH_BYTES),
    BINS(0, frame, tokens.remove, 0, HASH_BYTES, HASH_BYTES),
    UINT_IN(0, frame, tokens.kind, TOKEN_DELIVERY, TOKEN_REQUEST),
};
ROW subscribe_row[] = { UINT_ANY(0, frame, subscribe.credit) };
ROW ack_row[] = { NUMBERS(0, frame, ack.ids, 0) };
ROW devices_row[] = {
    BIN(0, frame, devices.list, 1, TACET_DEVICE_LIST_MAX_BYTES),
    BIN(0, frame, devices.proof, PROOF_BYTES, PROOF_BYTES),
};
ROW echo_row[] = { BIN(0, frame, echo.data, 0, ECHO_MAX_BYTES) };
ROW send_row[] = {
    UINT_IN(0, frame, send.version, TACET_WIRE_VERSION, TACET_WIRE_VERSION),
    BIN(0, frame, send.account, HASH_BYTES, HASH_BYTES),
    UINT_ANY(0, frame, send.device),
    BIN(0, frame, send.token, HASH_BYTES, HASH_BYTES),
    UINT_ANY(0, frame, send.ttl_s),
    BIN(0, frame, send.ciphertext, 1, TACET_ENVELOPE_MAX_BYTES),
};
ROW lists_row[] = { BIN(0, frame, lists.account, HASH_BYTES, HASH_BYTES), UINT_ANY(0, frame, lists.after) };
ROW bundle_row[] = { BIN(0, frame, bundle.account, HASH_BYTES, HASH_BYTES), UINT_ANY(0, frame, bundle.device) };
ROW lookup_row[] = { STR(0, frame, lookup.name, 1, TACET_NAME_MAX_CHARS) };
#define BLOB(member) BIN(0, frame, member.blob, TACET_BLOB_ID_BYTES, TACET_BLOB_ID_BYTES)
#define CAPABILITY(member) BIN(0, frame, member.capability, HASH_BYTES, HASH_BYTES)
#define INDEX(field) UINT_IN(0, frame, field, 0, TACET_BLOB_CHUNKS_MAX - 1)
ROW blob_create_row[] = {
    BLOB(blob_create),
    UINT_IN(0, frame, blob_create.chunks, 1, TACET_BLOB_CHUNKS_MAX),
    UINT_ANY(0, frame, blob_create.ttl_s),
    BINS(0, frame, blob_create.receivers, 1, HASH_BYTES, HASH_BYTES),
};
ROW put_row[] = { BLOB(put), INDEX(put.index), BIN(0, frame, put.chunk, 1, TACET_CHUNK_BYTES) }; /* of `put` and of the event `chunk` */
ROW blob_status_row[] = { BLOB(blob_status), INDEX(blob_status.first) };
ROW blob_row[] = { BLOB(blob_drop) }; /* of `blob_drop` and of the event `blob_gone` */
ROW watch_row[] = { BLOB(watch), CAPABILITY(watch), UINT_ANY(0, frame, watch.credit) };
ROW have_row[] = { BLOB(have), CAPABILITY(have), INDEX(have.first), BIN(0, frame, have.bits, 1, TACET_BLOB_BITS_MAX_BYTES) };
ROW again_row[] = { BLOB(again), CAPABILITY(again), INDEX(again.index) };
ROW blob_status_reply_row[] = {
    UINT_IN(0, frame, blob_status_reply.chunks, 1, TACET_BLOB_CHUNKS_MAX),
    INDEX(blob_status_reply.first),
    BIN(0, frame, blob_status_reply.bits, 1, TACET_BLOB_BITS_MAX_BYTES),
};
ROW error_row[] = {
    UINT_ANY(0, frame, error.code),
    UINT_IN(0, frame, error.cls, CLASS_RETRY, CLASS_ASK),
    STR(0, frame, error.text, 0, 256),
};
ROW prekey_counts_row[] = {
    UINT_ANY(0, frame, prekey_counts.one_time),
    UINT_ANY(0, frame, prekey_counts.kem),
    UINT_ANY(0, frame, prekey_counts.handed_out),
};
ROW info_reply_row[] = {
    BIN(0, frame, info_reply.incarnation, 16, 16),
    UINT_ANY(0, frame, info_reply.hour_s),
    UINT_ANY(0, frame, info_reply.ttl_max_s),
};
ROW lists_reply_row[] = { BINS(0, frame, lists_reply.lists, 0, 1, TACET_DEVICE_LIST_MAX_BYTES) };
ROW bundle_reply_row[] = {
    BIN(0, frame, bundle_reply.spk, PREKEY_EC_BYTES, PREKEY_EC_BYTES),
    BIN_OR_NONE(0, frame, bundle_reply.opk, PREKEY_EC_BYTES),
    BIN(0, frame, bundle_reply.kem, PREKEY_KEM_BYTES, PREKEY_KEM_BYTES),
};
ROW lookup_reply_row[] = { BIN(0, frame, lookup_reply.entry, DIRECTORY_BYTES, DIRECTORY_BYTES) };
ROW deliver_row[] = {
    UINT_ANY(0, frame, deliver.number),
    UINT_IN(0, frame, deliver.token_kind, TOKEN_DELIVERY, TOKEN_REQUEST),
    BIN(0, frame, deliver.token_hash, HASH_BYTES, HASH_BYTES),
    UINT_ANY(0, frame, deliver.hour_s),
    BIN(0, frame, deliver.ciphertext, 1, TACET_ENVELOPE_MAX_BYTES),
};
ROW caught_up_row[] = { UINT_ANY(0, frame, caught_up.number) };

#define FIELDS(row) (row), sizeof(row) / sizeof *(row)
#define NO_FIELDS NULL, 0
static const struct {
    frame_kind kind;
    unsigned who; /* the roles that may ask it; ID_ANY, ID_NONE: of the relay, and what its id may be (otherwise: not 0) */
    const char *word;
    const field *row;
    size_t rows;
} table[] = {
    { FRAME_REGISTER, MAILBOX, "register", FIELDS(register_row) },
    { FRAME_PUBLISH_NAME, MAILBOX, "publish_name", FIELDS(publish_name_row) },
    { FRAME_PUBLISH_PREKEYS, MAILBOX, "publish_prekeys", FIELDS(publish_prekeys_row) },
    { FRAME_PREKEY_STATUS, MAILBOX, "prekey_status", NO_FIELDS },
    { FRAME_TOKENS, MAILBOX, "tokens", FIELDS(tokens_row) },
    { FRAME_SUBSCRIBE, MAILBOX, "subscribe", FIELDS(subscribe_row) },
    { FRAME_ACK, MAILBOX, "ack", FIELDS(ack_row) },
    { FRAME_DEVICES, MAILBOX, "devices", FIELDS(devices_row) },
    { FRAME_WITHDRAW_NAME, MAILBOX, "withdraw_name", NO_FIELDS },
    { FRAME_BLOB_CREATE, MAILBOX, "blob_create", FIELDS(blob_create_row) },
    { FRAME_PUT, MAILBOX, "put", FIELDS(put_row) },
    { FRAME_BLOB_STATUS, MAILBOX, "blob_status", FIELDS(blob_status_row) },
    { FRAME_BLOB_DROP, MAILBOX, "blob_drop", FIELDS(blob_row) },
    { FRAME_INFO, BOTH, "info", NO_FIELDS },
    { FRAME_ECHO, BOTH, "echo", FIELDS(echo_row) },
    { FRAME_SEND, OPEN, "send", FIELDS(send_row) },
    { FRAME_LISTS, OPEN, "lists", FIELDS(lists_row) },
    { FRAME_BUNDLE, OPEN, "bundle", FIELDS(bundle_row) },
    { FRAME_LOOKUP, OPEN, "lookup", FIELDS(lookup_row) },
    { FRAME_WATCH, OPEN, "watch", FIELDS(watch_row) },
    { FRAME_HAVE, OPEN, "have", FIELDS(have_row) },
    { FRAME_AGAIN, OPEN, "again", FIELDS(again_row) },
    { FRAME_OK, 0, "ok", NO_FIELDS },
    { FRAME_ERROR, ID_ANY, "error", FIELDS(error_row) },
    { FRAME_PREKEY_COUNTS, 0, "prekey_counts", FIELDS(prekey_counts_row) },
    { FRAME_INFO_REPLY, 0, "info_reply", FIELDS(info_reply_row) },
    { FRAME_ECHO_REPLY, 0, "echo_reply", FIELDS(echo_row) },
    { FRAME_LISTS_REPLY, 0, "lists_reply", FIELDS(lists_reply_row) },
    { FRAME_BUNDLE_REPLY, 0, "bundle_reply", FIELDS(bundle_reply_row) },
    { FRAME_LOOKUP_REPLY, 0, "lookup_reply", FIELDS(lookup_reply_row) },
    { FRAME_BLOB_STATUS_REPLY, 0, "blob_status_reply", FIELDS(blob_status_reply_row) },
    { FRAME_DELIVER, ID_NONE, "deliver", FIELDS(deliver_row) },
    { FRAME_CAUGHT_UP, ID_NONE, "caught_up", FIELDS(caught_up_row) },
    { FRAME_CHUNK, ID_NONE, "chunk", FIELDS(put_row) },
    { FRAME_BLOB_GONE, ID_NONE, "blob_gone", FIELDS(blob_row) },
};
enum { KINDS = sizeof table / sizeof *table };

static size_t find(frame_kind kind)
{
    size_t i = 0;
    while (i < KINDS && table[i].kind != kind)
        i++;
    return i;
}

static bool id_allowed(size_t at, uint32_t id)
{
    if (table[at].who == ID_ANY)
        return true;
    return table[at].who == ID_NONE ? id == 0 : id != 0;
}

int frame_encode(const frame *f, uint8_t *out, size_t room, size_t *out_bytes)
{
    size_t at = find(f->kind);
    if (at == KINDS || !id_allowed(at, f->id))
        return TACET_E_BUG;
    writer w = writer_over(out, room < TACET_FRAME_MAX_BYTES ? room : TACET_FRAME_MAX_BYTES);
    put_array(&w, 2 + table[at].rows);
    put_uint(&w, f->kind);
    put_uint(&w, f->id);
    int rc = fields_put(&w, f, table[at].row, table[at].rows);
    if (rc != TACET_OK)
        return rc;
    if (!writer_ok(&w))
        return TACET_E_QUOTA;
    *out_bytes = writer_bytes(&w);
    return TACET_OK;
}

/* A kind that nobody knows yet: well-formed all the same, or the stream is not one. */
static int decode_unknown(reader *r, uint32_t values)
{
    for (uint32_t i = 0; i < values && !r->bad; i++)
        pack_any(r, TACET_MSGPACK_DEPTH_MAX - 1);
    return reader_done(r) ? TACET_E_NOT_FOUND : TACET_E_MALFORMED;
}

int frame_decode(frame *out, const uint8_t *bytes, size_t n)
{
    if (n > TACET_FRAME_MAX_BYTES)
        return TACET_E_MALFORMED;
    reader r = reader_over(bytes, n);
    uint32_t values = pack_array(&r, 2, UINT32_MAX);
    out->kind = (frame_kind)pack_uint(&r, 1, KIND_MAX);
    out->id = (uint32_t)pack_uint(&r, 0, UINT32_MAX);
    if (r.bad)
        return TACET_E_MALFORMED;
    size_t at = find(out->kind);
    if (at == KINDS)
        return decode_unknown(&r, values - 2);
    if (values != 2 + table[at].rows || !id_allowed(at, out->id))
        return TACET_E_MALFORMED;
    fields_read(&r, out, table[at].row, table[at].rows);
    return reader_done(&r) ? TACET_OK : TACET_E_MALFORMED;
}

unsigned frame_roles(frame_kind kind)
{
    size_t at = find(kind);
    return at < KINDS ? table[at].who & BOTH : 0;
}

const char *frame_kind_word(frame_kind kind)
{
    size_t at = find(kind);
    return at < KINDS ? table[at].word : "unknown";
}

/* Rows in the order of error_code, from 1. */
static const struct {
    const char *word;
    error_class cls;
} error_table[] = {
    [ERROR_MALFORMED] = { "malformed", CLASS_FATAL },
    [ERROR_UNKNOWN_REQUEST] = { "unknown-request", CLASS_FATAL },
    [ERROR_REFUSED] = { "refused", CLASS_FATAL },
    [ERROR_QUOTA] = { "quota", CLASS_RETRY },
    [ERROR_RATE] = { "rate", CLASS_RETRY },
    [ERROR_NAME_TAKEN] = { "name-taken", CLASS_ASK },
    [ERROR_NOT_FOUND] = { "not-found", CLASS_FATAL },
    [ERROR_NOT_REGISTERED] = { "not-registered", CLASS_FATAL },
    [ERROR_REGISTRATION_CLOSED] = { "registration-closed", CLASS_ASK },
    [ERROR_INVITE] = { "invite", CLASS_ASK },
    [ERROR_STALE_DEVICE] = { "stale-device", CLASS_RETRY },
    [ERROR_STALE_LIST] = { "stale-list", CLASS_RETRY },
    [ERROR_TOO_LARGE] = { "too-large", CLASS_FATAL },
    [ERROR_STOPPING] = { "stopping", CLASS_RETRY },
    [ERROR_INTERNAL] = { "internal", CLASS_RETRY },
    [ERROR_EXPIRED] = { "expired", CLASS_FATAL },
    [ERROR_WRONG_ROLE] = { "wrong-role", CLASS_FATAL },
    [ERROR_EXISTS] = { "exists", CLASS_FATAL },
};
enum { ERRORS = sizeof error_table / sizeof *error_table };

const char *error_word(unsigned code) { return code && code < ERRORS ? error_table[code].word : "unknown"; }
error_class error_class_of(error_code code) { return code > 0 && (size_t)code < ERRORS ? error_table[code].cls : CLASS_FATAL; }
