/* Contents (PROTOCOL.md §7): a map with the keys of content_row, then 10: the body, whose shape the kind decides.
 * A new kind is a table of fields and a row of `table`. */
#include "protocol/content.h"
#include "fields.h"
#include "pack_reader.h"

enum { KEY_BODY = 10, PAIRS = 10, TOKEN_BYTES = 32, KEY_BYTES = 32, NAME_MIN_CHARS = 1 };

#define ROW static const field
ROW content_row[] = {
    FIXED(1, content, id),
    UINT_ANY(2, content, sequence),
    FIXED(3, content, previous),
    UINT_ANY(4, content, time_ms),
    UINT_ANY(5, content, own_version),
    FIXED(6, content, own_hash),
    UINT_ANY(7, content, known_version),
    UINT_ANY(8, content, flags),
    UINT_IN(9, content, kind, 1, UINT8_MAX),
};
ROW text_row[] = {
    STR(1, content, text.text, 0, TACET_TEXT_MAX_BYTES),
    BIN_OR_NONE(2, content, text.reply_to, TACET_MESSAGE_ID_BYTES),
};
ROW receipt_row[] = {
    UINT_IN(1, content, receipt.state, RECEIPT_DELIVERED, RECEIPT_READ),
    BINS(2, content, receipt.ids, 1, TACET_MESSAGE_ID_BYTES, TACET_MESSAGE_ID_BYTES),
};
ROW control_row[] = {
    UINT_IN(1, content, control.what, 1, UINT8_MAX), /* what nobody knows yet is carried, and ignored by the engine */
    BIN_OR_NONE(2, content, control.token, TOKEN_BYTES),
    UINT_ANY(3, content, control.last_sequence),
};
ROW request_row[] = {
    STR(1, content, request.name, NAME_MIN_CHARS, TACET_NAME_MAX_CHARS),
    STR(2, content, request.relay, 1, TACET_RELAY_ADDRESS_MAX_BYTES),
    BIN(3, content, request.token, TOKEN_BYTES, TOKEN_BYTES),
    STR(4, content, request.text, 0, TACET_REQUEST_TEXT_MAX_BYTES),
};
#define BLOB(member) BIN(1, content, member.blob, TACET_BLOB_ID_BYTES, TACET_BLOB_ID_BYTES)
#define KEY32(key, field) BIN(key, content, field, KEY_BYTES, KEY_BYTES)
ROW offer_row[] = {
    BLOB(offer),
    KEY32(2, offer.key),
    KEY32(3, offer.salt),
    KEY32(4, offer.commitment),
    KEY32(5, offer.capability),
    UINT_IN(6, content, offer.chunks, 1, TACET_BLOB_CHUNKS_MAX),
    UINT_ANY(7, content, offer.size),
    STR(8, content, offer.name, 1, TACET_FILE_NAME_MAX_BYTES),
    STR_OR_NONE(9, content, offer.media, 1, TACET_MEDIA_TYPE_MAX_BYTES),
    UINT_IN(10, content, offer.mode, 0, TACET_FILE_MODE_MAX),
    UINT_ANY(11, content, offer.mtime_s),
    UINT_IN(12, content, offer.form, FILE_FORM_FILE, FILE_FORM_FOLDER),
    BIN_OR_NONE(13, content, offer.reply_to, TACET_MESSAGE_ID_BYTES),
};
ROW seal_row[] = {
    BLOB(seal),
    KEY32(2, seal.root),
    UINT_IN(3, content, seal.chunks, 1, TACET_BLOB_CHUNKS_MAX),
    UINT_ANY(4, content, seal.size),
};
ROW cancel_row[] = { BLOB(cancel) };

#define ROWS(row) (sizeof(row) / sizeof *(row))
static const struct {
    content_kind kind;
    const field *row;
    size_t rows;
} table[] = {
    { CONTENT_TEXT, text_row, ROWS(text_row) },
    { CONTENT_RECEIPT, receipt_row, ROWS(receipt_row) },
    { CONTENT_FILE_OFFER, offer_row, ROWS(offer_row) },
    { CONTENT_FILE_SEAL, seal_row, ROWS(seal_row) },
    { CONTENT_FILE_CANCEL, cancel_row, ROWS(cancel_row) },
    { CONTENT_CONTROL, control_row, ROWS(control_row) },
    { CONTENT_REQUEST, request_row, ROWS(request_row) },
};
enum { KINDS = sizeof table / sizeof *table };

static size_t find(content_kind kind)
{
    size_t i = 0;
    while (i < KINDS && table[i].kind != kind)
        i++;
    return i;
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= bytes[i];
    return !any;
}

/* Rules that stand between fields. What is not shown stands outside the chain of sequence numbers; the chain begins with 1 and zeros; a token comes
 * with whatever hands one over. Kinds that we do not know may be either. */
static bool consistent(const content *c)
{
    bool known = find(c->kind) < KINDS, counted = content_is_counted(c->kind);
    if (known && counted != (c->sequence > 0))
        return false;
    if (c->sequence <= 1 && !all_zero(c->previous, sizeof c->previous))
        return false;
    if (c->kind == CONTENT_CONTROL && (c->control.what == CONTROL_ACCEPT || c->control.what == CONTROL_TOKEN))
        return c->control.token.bytes == TOKEN_BYTES;
    return true;
}

static view read_unknown(reader *r) { return pack_any_map(r, TACET_MSGPACK_DEPTH_MAX - 1); }

/* A body that somebody else made is written only if it would be read. */
static int put_unknown(writer *w, view body)
{
    reader r = reader_over(body.at, body.bytes);
    read_unknown(&r);
    write_bytes(w, body.at, body.bytes);
    return reader_done(&r) ? TACET_OK : TACET_E_BUG;
}

int content_encode(const content *c, uint8_t *out, size_t room, size_t *out_bytes)
{
    size_t at = find(c->kind);
    if (!consistent(c))
        return TACET_E_BUG;
    writer w = writer_over(out, room < TACET_CONTENT_PADDED_MAX_BYTES ? room : TACET_CONTENT_PADDED_MAX_BYTES);
    put_map(&w, PAIRS);
    int rc = fields_put_pairs(&w, c, content_row, ROWS(content_row));
    put_uint(&w, KEY_BODY);
    if (rc == TACET_OK)
        rc = at < KINDS ? fields_put_map(&w, c, table[at].row, table[at].rows) : put_unknown(&w, c->unknown.body);
    if (rc != TACET_OK)
        return rc;
    if (!writer_ok(&w))
        return TACET_E_QUOTA;
    *out_bytes = writer_bytes(&w);
    return TACET_OK;
}

int content_decode(content *out, const uint8_t *bytes, size_t n)
{
    if (n > TACET_CONTENT_PADDED_MAX_BYTES)
        return TACET_E_MALFORMED;
    content c = { 0 };
    reader r = reader_over(bytes, n);
    if (pack_map(&r, PAIRS) != PAIRS)
        return TACET_E_MALFORMED;
    fields_read_pairs(&r, &c, content_row, ROWS(content_row), ROWS(content_row));
    if (pack_uint(&r, KEY_BODY, KEY_BODY) != KEY_BODY)
        return TACET_E_MALFORMED;
    size_t at = find(c.kind);
    if (at < KINDS)
        fields_read_map(&r, &c, table[at].row, table[at].rows);
    else
        c.unknown.body = read_unknown(&r);
    if (!reader_done(&r) || !consistent(&c))
        return TACET_E_MALFORMED;
    *out = c;
    return TACET_OK;
}

bool content_is_counted(content_kind kind) { return kind != CONTENT_RECEIPT && kind != CONTENT_CONTROL && kind != CONTENT_TYPING; }
