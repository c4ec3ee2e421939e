/* Contents: what codec.py wrote, field by field, every truncation, every flipped byte. */
#include "protocol/content.h"
#include "vectors.h"
#include <sodium.h>

static content got;

static void encodes_to(const uint8_t *bytes, size_t n, const char *what)
{
    static uint8_t out[TACET_CONTENT_PADDED_MAX_BYTES];
    size_t out_bytes = 0;
    ck_assert_msg(content_encode(&got, out, sizeof out, &out_bytes) == TACET_OK, "%s", what);
    ck_assert_uint_eq(out_bytes, n);
    ck_assert_mem_eq(out, bytes, n);
}

START_TEST(vectors_round_trip)
{
    static uint8_t out[TACET_CONTENT_PADDED_MAX_BYTES];
    json_t *all = vectors_load("contents.json"), *row = NULL;
    size_t i = 0, n = 0;
    json_array_foreach(json_object_get(all, "accepted"), i, row)
    {
        uint8_t *bytes = vector_bytes(row, &n);
        ck_assert_msg(content_decode(&got, bytes, n) == TACET_OK, "%s", vector_name(row));
        encodes_to(bytes, n, vector_name(row));
        size_t out_bytes = 99;
        for (size_t room = 0; room < n; room = next_flip(room))
            ck_assert_int_eq(content_encode(&got, out, room, &out_bytes), TACET_E_QUOTA);
        ck_assert_uint_eq(out_bytes, 99);
        free(bytes);
    }
    ck_assert_uint_gt(i, 10);
    json_decref(all);
}
END_TEST

START_TEST(P03_refuses_and_leaves_out_untouched)
{
    json_t *all = vectors_load("contents.json"), *row = NULL;
    size_t i = 0, n = 0;
    static content before;
    memset(&got, 0x55, sizeof got);
    before = got;
    json_array_foreach(json_object_get(all, "refused"), i, row)
    {
        uint8_t *bytes = vector_bytes(row, &n);
        ck_assert_msg(content_decode(&got, bytes, n) == TACET_E_MALFORMED, "%s", vector_name(row));
        ck_assert_mem_eq(&got, &before, sizeof got);
        free(bytes);
    }
    ck_assert_uint_gt(i, 50);
    json_decref(all);
}
END_TEST

START_TEST(P03_every_truncation_and_every_flip)
{
    json_t *all = vectors_load("contents.json"), *row = NULL;
    size_t i = 0, n = 0;
    json_array_foreach(json_object_get(all, "accepted"), i, row)
    {
        uint8_t *bytes = vector_bytes(row, &n);
        for (size_t cut = 0; cut < n; cut = next_flip(cut)) {
            uint8_t *less = malloc(cut ? cut : 1);
            memcpy(less, bytes, cut);
            ck_assert_msg(content_decode(&got, less, cut) == TACET_E_MALFORMED, "%s cut at %zu", vector_name(row), cut);
            free(less);
        }
        for (size_t at = 0; at < n; at = next_flip(at))
            for (unsigned bit = 0; bit < 8; bit++) {
                bytes[at] ^= (uint8_t)(1 << bit);
                if (content_decode(&got, bytes, n) == TACET_OK)
                    encodes_to(bytes, n, vector_name(row));
                bytes[at] ^= (uint8_t)(1 << bit);
            }
        free(bytes);
    }
    json_decref(all);
}
END_TEST

static content base_of(content_kind kind, uint64_t sequence, uint32_t flags)
{
    content c = { .sequence = sequence, .time_ms = UINT64_C(1700000000123), .own_version = 1, .known_version = 3, .flags = flags, .kind = kind };
    memcpy(c.id, pattern(0x10, 16).at, 16);
    memcpy(c.own_hash, pattern(0x20, 32).at, 32);
    if (sequence > 1)
        memcpy(c.previous, pattern(0x40, 32).at, 32);
    return c;
}

static void looks_like(const json_t *all, const char *name, const content *c)
{
    static uint8_t out[TACET_CONTENT_PADDED_MAX_BYTES];
    size_t n = 0, out_bytes = 0;
    uint8_t *bytes = vector_bytes(vector_named(all, name), &n);
    ck_assert_msg(content_encode(c, out, sizeof out, &out_bytes) == TACET_OK, "%s", name);
    ck_assert_msg(out_bytes == n && sodium_memcmp(out, bytes, n) == 0, "%s", name);
    free(bytes);
}

START_TEST(fields_stand_where_the_document_says)
{
    json_t *v = vectors_load("contents.json");
    content c = base_of(CONTENT_TEXT, 2, CONTENT_FLAG_WAITS);
    c.text.text = text_view("na ja … 👍🏽");
    c.text.reply_to = pattern(0x60, 16);
    looks_like(v, "text with a reply reference", &c);
    c = base_of(CONTENT_RECEIPT, 0, 0);
    c.receipt.state = RECEIPT_DELIVERED;
    c.receipt.ids.count = 1;
    c.receipt.ids.item[0] = pattern(0x60, 16);
    looks_like(v, "receipt, delivered", &c);
    c = base_of(CONTENT_CONTROL, 0, 0);
    c.control.what = CONTROL_ACCEPT;
    c.control.token = pattern(0x70, 32);
    looks_like(v, "control, accept", &c);
    c = base_of(CONTENT_CONTROL, 0, 0);
    c.control.what = CONTROL_RESET;
    c.control.last_sequence = 41;
    looks_like(v, "control, reset", &c);
    c = base_of(CONTENT_FILE_OFFER, 2, 0);
    c.offer = (struct offer_content){ .blob = pattern(0x80, 16),
                                      .key = pattern(0x81, 32),
                                      .salt = pattern(0x82, 32),
                                      .commitment = pattern(0x83, 32),
                                      .capability = pattern(0x84, 32),
                                      .chunks = TACET_BLOB_CHUNKS_MAX,
                                      .size = UINT64_MAX,
                                      .mode = TACET_FILE_MODE_MAX,
                                      .mtime_s = 1700000000,
                                      .form = FILE_FORM_FOLDER,
                                      .reply_to = pattern(0x60, 16) };
    char name[256] = "", media[128] = "";
    for (int i = 0; i < 127; i++)
        memcpy(name + 2 * i, "ü", 2);
    name[254] = 'x';
    memset(media, 'x', 127);
    c.offer.name = text_view(name);
    c.offer.media = text_view(media);
    looks_like(v, "file offer of a folder, with everything", &c);
    c = base_of(CONTENT_FILE_SEAL, 3, 0);
    c.seal = (struct seal_content){ pattern(0x80, 16), pattern(0x85, 32), 17, 1048576 };
    looks_like(v, "file seal", &c);
    c = base_of(CONTENT_FILE_CANCEL, 4, 0);
    c.cancel.blob = pattern(0x80, 16);
    looks_like(v, "file cancel", &c);
    c = base_of(CONTENT_REQUEST, 1, 0);
    c.request.name = text_view("alice");
    c.request.relay = text_view("tacet://relay.example:7787/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    c.request.token = pattern(0x70, 32);
    c.request.text = text_view("it is me");
    looks_like(v, "request", &c);
    json_decref(v);
}
END_TEST

/* A body of a kind that this version does not know comes through as it was. */
START_TEST(unknown_bodies_are_kept)
{
    json_t *v = vectors_load("contents.json");
    size_t n = 0;
    uint8_t *bytes = vector_bytes(vector_named(v, "unknown kind, depth 4"), &n);
    ck_assert_int_eq(content_decode(&got, bytes, n), TACET_OK);
    ck_assert_int_eq(got.kind, 255);
    ck_assert(got.unknown.body.at > bytes && got.unknown.body.at + got.unknown.body.bytes == bytes + n);
    free(bytes);
    json_decref(v);
}
END_TEST

START_TEST(encode_refuses_fields_out_of_bounds)
{
    uint8_t out[1024];
    size_t n = 0;
    content text = base_of(CONTENT_TEXT, 1, 0), receipt = base_of(CONTENT_RECEIPT, 0, 0), control = base_of(CONTENT_CONTROL, 0, 0);
    content unknown = base_of(99, 1, 0), c;
    text.text.text = text_view("hi");
    receipt.receipt.state = RECEIPT_READ;
    receipt.receipt.ids.count = 1;
    receipt.receipt.ids.item[0] = pattern(0, 16);
    control.control.what = CONTROL_CARRIER;
    unknown.unknown.body = text_view("\x81\x01\x02");
#define WITH(of, change, want)                                                                                                                       \
    do {                                                                                                                                             \
        c = (of);                                                                                                                                    \
        change;                                                                                                                                      \
        ck_assert_int_eq(content_encode(&c, out, sizeof out, &n), (want));                                                                           \
    } while (0)
    WITH(text, (void)0, TACET_OK);
    WITH(receipt, (void)0, TACET_OK);
    WITH(control, (void)0, TACET_OK);
    WITH(unknown, (void)0, TACET_OK);
    WITH(text, c.kind = 0, TACET_E_BUG);
    WITH(text, c.kind = 256, TACET_E_BUG);
    WITH(text, c.sequence = 0, TACET_E_BUG);
    WITH(text, c.previous[31] = 1, TACET_E_BUG);
    WITH(text, c.text.text = text_view("\xff"), TACET_E_BUG);
    WITH(text, c.text.reply_to = pattern(0, 15), TACET_E_BUG);
    WITH(receipt, c.sequence = 1, TACET_E_BUG);
    WITH(receipt, c.receipt.state = 3, TACET_E_BUG);
    WITH(receipt, c.receipt.ids.count = 0, TACET_E_BUG);
    WITH(receipt, c.receipt.ids.count = 257, TACET_E_BUG);
    WITH(control, c.control.what = CONTROL_TOKEN, TACET_E_BUG);
    WITH(control, c.control.what = 0, TACET_E_BUG);
    WITH(unknown, c.unknown.body = text_view("\x91\x01"), TACET_E_BUG);
    WITH(unknown, c.unknown.body = text_view("\x81\x01\x02\x03"), TACET_E_BUG);
    WITH(unknown, c.unknown.body = text_view(""), TACET_E_BUG);
#undef WITH
}
END_TEST

START_TEST(what_counts)
{
    for (content_kind k = 1; k < 256; k++)
        ck_assert_int_eq(content_is_counted(k), k != CONTENT_RECEIPT && k != CONTENT_CONTROL && k != CONTENT_TYPING);
}
END_TEST

SUITE("content", TEST(vectors_round_trip), TEST(P03_refuses_and_leaves_out_untouched), TEST(P03_every_truncation_and_every_flip),
      TEST(fields_stand_where_the_document_says), TEST(unknown_bodies_are_kept), TEST(encode_refuses_fields_out_of_bounds), TEST(what_counts))
