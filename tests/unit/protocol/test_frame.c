/* Frames: what codec.py wrote, field by field, every truncation, every flipped byte. */
#include "vectors.h"
#include <sodium.h>

static frame got; /* 8 KiB */

static int decode(const uint8_t *bytes, size_t n) { return frame_decode(&got, bytes, n); }

/* Whatever is accepted has one form only. */
static void encodes_to(const uint8_t *bytes, size_t n, const char *what)
{
    static uint8_t out[TACET_FRAME_MAX_BYTES];
    size_t out_bytes = 0;
    ck_assert_msg(frame_encode(&got, out, sizeof out, &out_bytes) == TACET_OK, "%s", what);
    ck_assert_uint_eq(out_bytes, n);
    ck_assert_mem_eq(out, bytes, n);
}

START_TEST(vectors_round_trip)
{
    json_t *all = vectors_load("frames.json"), *row = NULL;
    size_t i = 0, n = 0;
    unsigned seen[128] = { 0 };
    json_array_foreach(json_object_get(all, "accepted"), i, row)
    {
        uint8_t *bytes = vector_bytes(row, &n);
        ck_assert_msg(decode(bytes, n) == TACET_OK, "%s", vector_name(row));
        ck_assert_int_eq(got.kind, json_integer_value(json_object_get(row, "kind")));
        ck_assert_uint_eq(got.id, (uint32_t)json_integer_value(json_object_get(row, "id")));
        seen[got.kind]++;
        encodes_to(bytes, n, vector_name(row));
        static uint8_t out[TACET_FRAME_MAX_BYTES];
        size_t out_bytes = 99;
        for (size_t room = 0; room < n; room = next_flip(room)) /* never past the room, and untouched out_bytes */
            ck_assert_int_eq(frame_encode(&got, out, room, &out_bytes), TACET_E_QUOTA);
        ck_assert_uint_eq(out_bytes, 99);
        free(bytes);
    }
    for (frame_kind k = 1; k < 128; k++) /* a kind without a vector would not be tested at all */
        ck_assert_msg(!seen[k] == !strcmp(frame_kind_word(k), "unknown"), "kind %d", k);
    json_decref(all);
}
END_TEST

START_TEST(P03_refuses)
{
    json_t *all = vectors_load("frames.json"), *row = NULL;
    size_t i = 0, n = 0;
    json_array_foreach(json_object_get(all, "refused"), i, row)
    {
        uint8_t *bytes = vector_bytes(row, &n);
        ck_assert_msg(decode(bytes, n) == TACET_E_MALFORMED, "%s", vector_name(row));
        free(bytes);
    }
    ck_assert_uint_gt(i, 50);
    json_decref(all);
}
END_TEST

START_TEST(unknown_kinds_are_told_apart_from_garbage)
{
    json_t *all = vectors_load("frames.json"), *row = NULL;
    size_t i = 0, n = 0;
    json_array_foreach(json_object_get(all, "unknown"), i, row)
    {
        uint8_t *bytes = vector_bytes(row, &n);
        ck_assert_int_eq(decode(bytes, n), TACET_E_NOT_FOUND);
        ck_assert_int_eq(got.kind, json_integer_value(json_object_get(row, "kind")));
        ck_assert_uint_eq(got.id, (uint32_t)json_integer_value(json_object_get(row, "id")));
        for (size_t cut = 0; cut < n; cut++)
            ck_assert_int_eq(decode(bytes, cut), TACET_E_MALFORMED);
        free(bytes);
    }
    ck_assert_uint_gt(i, 0);
    json_decref(all);
}
END_TEST

START_TEST(P03_every_truncation_and_every_flip)
{
    json_t *all = vectors_load("frames.json"), *row = NULL;
    size_t i = 0, n = 0;
    json_array_foreach(json_object_get(all, "accepted"), i, row)
    {
        uint8_t *bytes = vector_bytes(row, &n);
        for (size_t cut = 0; cut < n; cut = next_flip(cut)) {
            uint8_t *less = malloc(cut ? cut : 1);
            memcpy(less, bytes, cut);
            ck_assert_msg(decode(less, cut) == TACET_E_MALFORMED, "%s cut at %zu", vector_name(row), cut);
            free(less);
        }
        for (size_t at = 0; at < n; at = next_flip(at))
            for (unsigned bit = 0; bit < 8; bit++) {
                bytes[at] ^= (uint8_t)(1 << bit);
                if (decode(bytes, n) == TACET_OK)
                    encodes_to(bytes, n, vector_name(row));
                bytes[at] ^= (uint8_t)(1 << bit);
            }
        free(bytes);
    }
    json_decref(all);
}
END_TEST

/* The same frames made of C structs: a field in the wrong place would round-trip, but not look like codec.py's. */
static void looks_like(const json_t *all, const char *name, const frame *f)
{
    static uint8_t out[TACET_FRAME_MAX_BYTES];
    size_t n = 0, out_bytes = 0;
    uint8_t *bytes = vector_bytes(vector_named(all, name), &n);
    ck_assert_msg(frame_encode(f, out, sizeof out, &out_bytes) == TACET_OK, "%s", name);
    ck_assert_msg(out_bytes == n && sodium_memcmp(out, bytes, n) == 0, "%s", name);
    free(bytes);
}

START_TEST(fields_stand_where_the_document_says)
{
    json_t *v = vectors_load("frames.json");
    view h26 = pattern(26, 32), h13 = pattern(13, 32);
    looks_like(v, "register with an invitation",
               &(frame){ FRAME_REGISTER, 127, .register_ = { pattern(1, 2048), pattern(2, 32), UINT32_MAX, pattern(3, 64) } });
    looks_like(v, "publish_name", &(frame){ FRAME_PUBLISH_NAME, 128, .publish_name = { pattern(4, 202) } });
    looks_like(v, "publish_prekeys", &(frame){ FRAME_PUBLISH_PREKEYS, 255, .publish_prekeys = { { 2, { pattern(5, 118), pattern(6, 1270) } } } });
    looks_like(v, "tokens, add one and remove two",
               &(frame){ FRAME_TOKENS, 65536, .tokens = { { 1, { pattern(7, 32) } }, { 2, { pattern(8, 32), pattern(9, 32) } }, TOKEN_DELIVERY } });
    looks_like(v, "subscribe", &(frame){ FRAME_SUBSCRIBE, UINT32_MAX, .subscribe = { 32 } });
    looks_like(
        v, "ack",
        &(frame){ FRAME_ACK, 7 + 3, .ack = { { 10, { 0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, UINT64_C(0x100000000), UINT64_MAX } } } });
    looks_like(v, "devices", &(frame){ FRAME_DEVICES, 12, .devices = { pattern(10, 470), pattern(11, 64) } });
    looks_like(v, "echo", &(frame){ FRAME_ECHO, 15, .echo = { pattern(12, 1024) } });
    looks_like(v, "send", &(frame){ FRAME_SEND, 16, .send = { 1, h13, 1, pattern(14, 32), 2592000, pattern(15, 600) } });
    looks_like(v, "lists", &(frame){ FRAME_LISTS, 18, .lists = { pattern(16, 32), 0 } });
    looks_like(v, "bundle", &(frame){ FRAME_BUNDLE, 19, .bundle = { pattern(17, 32), 2 } });
    looks_like(v, "lookup", &(frame){ FRAME_LOOKUP, 20, .lookup = { text_view("bob.the-builder_2") } });
    looks_like(v, "error", &(frame){ FRAME_ERROR, 23, .error = { ERROR_NAME_TAKEN, CLASS_ASK, text_view("that name is taken") } });
    looks_like(v, "prekey_counts", &(frame){ FRAME_PREKEY_COUNTS, 24, .prekey_counts = { 100, 25, UINT64_C(123456789012) } });
    looks_like(v, "info_reply", &(frame){ FRAME_INFO_REPLY, 25, .info_reply = { pattern(18, 16), 1700000000 / 3600 * 3600, 2592000 } });
    looks_like(v, "lists_reply", &(frame){ FRAME_LISTS_REPLY, 27, .lists_reply = { { 2, { pattern(20, 300), pattern(21, 407) } } } });
    looks_like(v, "bundle_reply", &(frame){ FRAME_BUNDLE_REPLY, 29, .bundle_reply = { pattern(22, 118), pattern(23, 118), pattern(24, 1270) } });
    looks_like(v, "lookup_reply", &(frame){ FRAME_LOOKUP_REPLY, 31, .lookup_reply = { pattern(25, 202) } });
    looks_like(v, "deliver", &(frame){ FRAME_DELIVER, 0, .deliver = { 1, TOKEN_DELIVERY, h26, 1699999200, pattern(27, 2617) } });
    view blob = pattern(30, 16), capability = pattern(33, 32);
    looks_like(v, "blob_create", &(frame){ FRAME_BLOB_CREATE, 32, .blob_create = { blob, 17, 2592000, { 1, { pattern(31, 32) } } } });
    looks_like(v, "put", &(frame){ FRAME_PUT, 34, .put = { blob, TACET_BLOB_CHUNKS_MAX - 1, pattern(32, 300) } });
    looks_like(v, "blob_status", &(frame){ FRAME_BLOB_STATUS, 35, .blob_status = { blob, 65536 } });
    looks_like(v, "blob_drop", &(frame){ FRAME_BLOB_DROP, 36, .blob_drop = { blob } });
    looks_like(v, "watch", &(frame){ FRAME_WATCH, 37, .watch = { blob, capability, 64 } });
    looks_like(v, "have", &(frame){ FRAME_HAVE, 38, .have = { blob, capability, 8, pattern(34, 5) } });
    looks_like(v, "again", &(frame){ FRAME_AGAIN, 40, .again = { blob, capability, 3 } });
    looks_like(v, "blob_status_reply", &(frame){ FRAME_BLOB_STATUS_REPLY, 41, .blob_status_reply = { 17, 0, pattern(35, 3) } });
    looks_like(v, "chunk", &(frame){ FRAME_CHUNK, 0, .chunk = { blob, 5, pattern(36, 299) } });
    looks_like(v, "blob_gone", &(frame){ FRAME_BLOB_GONE, 0, .blob_gone = { blob } });
    looks_like(v, "caught_up", &(frame){ FRAME_CAUGHT_UP, 0, .caught_up = { UINT64_MAX } });
    json_decref(v);
}
END_TEST

/* Our own mistakes are caught before they reach a wire. */
START_TEST(encode_refuses_fields_out_of_bounds)
{
    uint8_t out[4096];
    size_t n = 0;
    view h = pattern(0, 32);
    const frame wrong[] = {
        { FRAME_INFO, 0 },
        { FRAME_OK, 0 },
        { FRAME_CAUGHT_UP, 1 },
        { 50, 1 },
        { FRAME_LOOKUP, 1, .lookup = { text_view("") } },
        { FRAME_LOOKUP, 1, .lookup = { text_view("\xc0\xaf") } },
        { FRAME_ECHO, 1, .echo = { pattern(0, 1025) } },
        { FRAME_BUNDLE, 1, .bundle = { { h.at, 31 }, 1 } },
        { FRAME_ERROR, 1, .error = { 1, 0, text_view("") } },
        { FRAME_TOKENS, 1, .tokens = { { 1, { { h.at, 33 } } }, { 0 }, TOKEN_DELIVERY } },
        { FRAME_TOKENS, 1, .tokens = { { FRAME_VIEWS_MAX + 1, { h } }, { 0 }, TOKEN_DELIVERY } },
        { FRAME_ACK, 1, .ack = { { FRAME_VIEWS_MAX + 1, { 0 } } } },
        { FRAME_REGISTER, 1, .register_ = { h, { h.at, 16 }, 1, pattern(0, 64) } },
        { FRAME_SEND, 1, .send = { 2, h, 1, h, 0, h } },
    };
    for (size_t i = 0; i < ROWS(wrong); i++)
        ck_assert_msg(frame_encode(&wrong[i], out, sizeof out, &n) == TACET_E_BUG, "row %zu", i);
}
END_TEST

/* 64 device lists of 2 KiB and their heads are more than a frame holds. */
START_TEST(a_frame_has_an_end)
{
    static uint8_t out[TACET_FRAME_MAX_BYTES + 4096];
    static frame f = { FRAME_LISTS_REPLY, 1, .lists_reply = { { 0 } } };
    size_t n = 0;
    view list = pattern(0, 2048);
    for (f.lists_reply.lists.count = 0; f.lists_reply.lists.count < 63; f.lists_reply.lists.count++)
        f.lists_reply.lists.item[f.lists_reply.lists.count] = list;
    ck_assert_int_eq(frame_encode(&f, out, sizeof out, &n), TACET_OK);
    ck_assert_uint_le(n, TACET_FRAME_MAX_BYTES);
    f.lists_reply.lists.item[f.lists_reply.lists.count++] = list;
    ck_assert_int_eq(frame_encode(&f, out, sizeof out, &n), TACET_E_QUOTA);
    ck_assert_int_eq(decode(out, TACET_FRAME_MAX_BYTES + 1), TACET_E_MALFORMED);
}
END_TEST

START_TEST(T16_roles_of_requests)
{
    static const struct {
        frame_kind kind;
        unsigned roles;
    } want[] = {
        { FRAME_REGISTER, 2 },    { FRAME_PUBLISH_NAME, 2 }, { FRAME_PUBLISH_PREKEYS, 2 }, { FRAME_PREKEY_STATUS, 2 }, { FRAME_TOKENS, 2 },
        { FRAME_SUBSCRIBE, 2 },   { FRAME_ACK, 2 },          { FRAME_DEVICES, 2 },         { FRAME_WITHDRAW_NAME, 2 }, { FRAME_INFO, 6 },
        { FRAME_BLOB_CREATE, 2 }, { FRAME_PUT, 2 },          { FRAME_BLOB_STATUS, 2 },     { FRAME_BLOB_DROP, 2 },     { FRAME_WATCH, 4 },
        { FRAME_HAVE, 4 },        { FRAME_AGAIN, 4 },        { FRAME_CHUNK, 0 },           { FRAME_BLOB_GONE, 0 },     { FRAME_BLOB_STATUS_REPLY, 0 },
        { FRAME_ECHO, 6 },        { FRAME_SEND, 4 },         { FRAME_LISTS, 4 },           { FRAME_BUNDLE, 4 },        { FRAME_LOOKUP, 4 },
        { FRAME_OK, 0 },          { FRAME_ERROR, 0 },        { FRAME_DELIVER, 0 },         { FRAME_CAUGHT_UP, 0 },     { 99, 0 },
    };
    for (size_t i = 0; i < ROWS(want); i++)
        ck_assert_uint_eq(frame_roles(want[i].kind), want[i].roles);
}
END_TEST

START_TEST(error_codes_are_the_documents)
{
    static const struct {
        const char *word;
        error_class cls;
    } want[] = {
        { "unknown", CLASS_FATAL },
        { "malformed", CLASS_FATAL },
        { "unknown-request", CLASS_FATAL },
        { "refused", CLASS_FATAL },
        { "quota", CLASS_RETRY },
        { "rate", CLASS_RETRY },
        { "name-taken", CLASS_ASK },
        { "not-found", CLASS_FATAL },
        { "not-registered", CLASS_FATAL },
        { "registration-closed", CLASS_ASK },
        { "invite", CLASS_ASK },
        { "stale-device", CLASS_RETRY },
        { "stale-list", CLASS_RETRY },
        { "too-large", CLASS_FATAL },
        { "stopping", CLASS_RETRY },
        { "internal", CLASS_RETRY },
        { "expired", CLASS_FATAL },
        { "wrong-role", CLASS_FATAL },
        { "exists", CLASS_FATAL },
        { "unknown", CLASS_FATAL },
    };
    for (unsigned code = 0; code < ROWS(want); code++) {
        ck_assert_str_eq(error_word(code), want[code].word);
        ck_assert_int_eq(error_class_of((error_code)code), want[code].cls);
    }
    ck_assert_str_eq(error_word(UINT32_MAX), "unknown");
}
END_TEST

SUITE("frame", TEST(vectors_round_trip), TEST(P03_refuses), TEST(unknown_kinds_are_told_apart_from_garbage),
      TEST(P03_every_truncation_and_every_flip), TEST(fields_stand_where_the_document_says), TEST(encode_refuses_fields_out_of_bounds),
      TEST(a_frame_has_an_end), TEST(T16_roles_of_requests), TEST(error_codes_are_the_documents))
