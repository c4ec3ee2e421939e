/* Names, directory entries and token hashes. */
#include "fixture.h"

static const struct {
    const char *name;
    bool ok;
} names[] = {
    { "a", true },         { "7", true },
    { "alice", true },     { "a.b_c-d", true },
    { "a-", true },        { "abcdefghijklmnopqrstuvwxyz012345", true },
    { "", false },         { "abcdefghijklmnopqrstuvwxyz0123456", false },
    { "Alice", false },    { "alicE", false },
    { ".a", false },       { "-a", false },
    { "_a", false },       { "a b", false },
    { "a/b", false },      { "a@b", false },
    { "a\n", false },      { "\xc3\xa9", false },
    { "a\x1b[0m", false },
};
START_TEST(names_are_valid_or_not) { ck_assert_int_eq(name_valid(names[_i].name, strlen(names[_i].name)), names[_i].ok); }
END_TEST

START_TEST(a_name_with_a_nul_is_none) { ck_assert(!name_valid("a\0b", 3)); }
END_TEST

static directory_entry entry_of(const person *p)
{
    directory_entry e = { .name = "alice", .expires_s = NOW_S };
    memcpy(e.ik, p->ik.public, 32);
    memcpy(e.relay, p->relay.public, 32);
    memset(e.request_token, 9, sizeof e.request_token);
    return e;
}

static int decode_at(const uint8_t *bytes, size_t n, uint64_t now_s)
{
    directory_entry e;
    memset(&e, 0xa5, sizeof e);
    int rc = directory_entry_decode(&e, bytes, n, now_s);
    if (rc != TACET_OK)
        untouched(&e, sizeof e);
    return rc;
}
static int decode(const void *ctx, const uint8_t *bytes, size_t n)
{
    (void)ctx;
    return decode_at(bytes, n, NOW_S);
}
static void sign_again(const person *p, uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES])
{
    size_t object = TACET_DIRECTORY_ENTRY_BYTES - TACET_SIGNATURE_BYTES;
    object_sign(bytes + object, SIGN_DIRECTORY, &p->account, 0, bytes, object, p->ik.secret);
}

START_TEST(decodes_what_was_signed)
{
    person p;
    directory_entry back;
    uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES];
    person_init(&p, 1);
    directory_entry e = entry_of(&p);
    ck_assert_int_eq(directory_entry_sign(&e, bytes, p.ik.secret), TACET_OK);
    ck_assert_int_eq(directory_entry_decode(&back, bytes, sizeof bytes, NOW_S), TACET_OK);
    ck_assert_str_eq(back.name, "alice");
    ck_assert_mem_eq(back.account.bytes, p.account.bytes, 32);
    ck_assert_mem_eq(back.request_token, e.request_token, 32);
    ck_assert_uint_eq(back.expires_s, NOW_S);
    refuses_every_change(decode, NULL, bytes, sizeof bytes);
}
END_TEST

enum { AT_RELAY = 33, AT_LENGTH = 65, AT_NAME = 66 };
static const struct {
    const char *what;
    size_t at, n;
    const char *bytes;
    int want;
} bent[] = {
    { "as it was", 0, 0, "", TACET_OK },
    { "no name", AT_LENGTH, 1, "\x00", TACET_E_MALFORMED },
    { "length one short", AT_LENGTH, 1, "\x04", TACET_E_MALFORMED },
    { "length one long", AT_LENGTH, 1, "\x06", TACET_E_MALFORMED },
    { "length 33", AT_LENGTH, 1, "\x21", TACET_E_MALFORMED },
    { "length 255", AT_LENGTH, 1, "\xff", TACET_E_MALFORMED },
    { "capital", AT_NAME, 1, "A", TACET_E_MALFORMED },
    { "no zeros behind", AT_NAME + 31, 1, "x", TACET_E_MALFORMED },
    { "IK of another type", 0, 1, "\x02", TACET_E_KEY },
};
START_TEST(refuses_bad_contents_though_signed)
{
    person p;
    uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES];
    person_init(&p, 2);
    directory_entry e = entry_of(&p);
    ck_assert_int_eq(directory_entry_sign(&e, bytes, p.ik.secret), TACET_OK);
    memcpy(bytes + bent[_i].at, bent[_i].bytes, bent[_i].n);
    sign_again(&p, bytes);
    int got = decode(NULL, bytes, sizeof bytes);
    ck_assert_msg(got == bent[_i].want, "%s: got %d", bent[_i].what, got);
}
END_TEST

START_TEST(T05_R09_bad_relay_key)
{
    person p;
    uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES];
    person_init(&p, 3);
    directory_entry e = entry_of(&p);
    ck_assert_int_eq(directory_entry_sign(&e, bytes, p.ik.secret), TACET_OK);
    bad_point(bytes + AT_RELAY, _i);
    sign_again(&p, bytes);
    ck_assert_int_eq(decode(NULL, bytes, sizeof bytes), TACET_E_KEY);
    bad_point(e.relay, _i);
    ck_assert_int_eq(directory_entry_sign(&e, bytes, p.ik.secret), TACET_E_KEY);
}
END_TEST

START_TEST(an_entry_ends_a_day_after_its_time)
{
    person p;
    uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES];
    person_init(&p, 4);
    directory_entry e = entry_of(&p);
    ck_assert_int_eq(directory_entry_sign(&e, bytes, p.ik.secret), TACET_OK);
    ck_assert_int_eq(decode_at(bytes, sizeof bytes, 0), TACET_OK);
    ck_assert_int_eq(decode_at(bytes, sizeof bytes, NOW_S + 86400), TACET_OK);
    ck_assert_int_eq(decode_at(bytes, sizeof bytes, NOW_S + 86401), TACET_E_EXPIRED);
    ck_assert_int_eq(decode_at(bytes, sizeof bytes, UINT64_MAX), TACET_E_EXPIRED);
}
END_TEST

START_TEST(signing_refuses_what_others_would)
{
    person p, q;
    uint8_t bytes[TACET_DIRECTORY_ENTRY_BYTES];
    person_init(&p, 5);
    person_init(&q, 6);
    directory_entry e = entry_of(&p);
    ck_assert_int_eq(directory_entry_sign(&e, bytes, q.ik.secret), TACET_E_FORGED);
    e.name[0] = 'A';
    ck_assert_int_eq(directory_entry_sign(&e, bytes, p.ik.secret), TACET_E_MALFORMED);
    memset(e.name, 'a', sizeof e.name); /* no end */
    ck_assert_int_eq(directory_entry_sign(&e, bytes, p.ik.secret), TACET_E_MALFORMED);
}
END_TEST

SUITE("directory", LOOP(names_are_valid_or_not, ROWS(names)), TEST(a_name_with_a_nul_is_none), TEST(decodes_what_was_signed),
      LOOP(refuses_bad_contents_though_signed, ROWS(bent)), LOOP(T05_R09_bad_relay_key, BAD_POINTS), TEST(an_entry_ends_a_day_after_its_time),
      TEST(signing_refuses_what_others_would))
