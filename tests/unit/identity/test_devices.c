/* Device lists: shape, keys, signature, and what may follow what. */
#include "fixture.h"

static int decode(const void *ctx, const uint8_t *bytes, size_t n)
{
    device_list l;
    (void)ctx;
    memset(&l, 0xa5, sizeof l);
    int rc = device_list_decode(&l, bytes, n);
    if (rc != TACET_OK)
        untouched(&l, sizeof l);
    return rc;
}

static int reread(const void *ctx, const uint8_t *bytes, size_t n)
{
    device_list l;
    (void)ctx;
    memset(&l, 0xa5, sizeof l);
    int rc = device_list_reread(&l, bytes, n);
    if (rc != TACET_OK)
        untouched(&l, sizeof l);
    return rc;
}

static size_t sign(const person *p, device_list *l, uint8_t out[TACET_DEVICE_LIST_MAX_BYTES])
{
    size_t n = 0;
    ck_assert_int_eq(device_list_sign(l, out, &n, p->ik.secret), TACET_OK);
    return n;
}

START_TEST(decodes_what_was_signed)
{
    person p;
    device_list back;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    person_init(&p, 1);
    device_list l = person_list(&p, 1, NULL, 2);
    size_t n = sign(&p, &l, bytes);
    ck_assert_uint_eq(n, 74 + 2 * 113 + 64);
    ck_assert_int_eq(device_list_decode(&back, bytes, n), TACET_OK);
    ck_assert_mem_eq(back.account.bytes, p.account.bytes, 32);
    ck_assert_mem_eq(back.hash, l.hash, 32);
    ck_assert_uint_eq(back.count, 2);
    ck_assert_mem_eq(back.device[1].transport, p.transport[1].public, 32);
    ck_assert_ptr_eq(device_list_find(&back, 2), &back.device[1]);
    ck_assert_ptr_null(device_list_find(&back, 3));
    ck_assert_ptr_null(device_list_find(&back, 0));
    ck_assert_ptr_eq(device_list_find_transport(&back, p.transport[0].public), &back.device[0]);
    ck_assert_ptr_null(device_list_find_transport(&back, p.dh[0].public));
    refuses_every_change(decode, NULL, bytes, n);
}
END_TEST

/* Bends the encoded list at one place and signs it again with the right key: what is refused now is the content. */
enum { AT_VERSION = 33, AT_PREVIOUS = 41, AT_COUNT = 73, AT_DEVICE = 74, AT_SIGN = 78, AT_DH = 111, AT_TK = 144, AT_LOWEST = 177, AT_HIGHEST = 178 };
static const struct {
    const char *what;
    size_t at, n;
    const char *bytes;
    int want;
} bent[] = {
    { "as it was", 0, 0, "", TACET_OK },
    { "version 0", AT_VERSION + 7, 1, "\x00", TACET_E_MALFORMED },
    { "version 2 without previous", AT_VERSION + 7, 1, "\x02", TACET_E_MALFORMED },
    { "version 1 with previous", AT_PREVIOUS + 31, 1, "\x01", TACET_E_MALFORMED },
    { "no device", AT_COUNT, 1, "\x00", TACET_E_MALFORMED },
    { "one device less than there is", AT_COUNT, 1, "\x01", TACET_E_MALFORMED },
    { "one more", AT_COUNT, 1, "\x03", TACET_E_MALFORMED },
    { "nine devices", AT_COUNT, 1, "\x09", TACET_E_MALFORMED },
    { "255 devices", AT_COUNT, 1, "\xff", TACET_E_MALFORMED },
    { "device 0", AT_DEVICE + 3, 1, "\x00", TACET_E_MALFORMED },
    { "same device twice", AT_DEVICE + 3, 1, "\x02", TACET_E_MALFORMED },
    { "descending", AT_DEVICE + 3, 1, "\x03", TACET_E_MALFORMED },
    { "lowest 0", AT_LOWEST, 1, "\x00", TACET_E_MALFORMED },
    { "highest below lowest", AT_LOWEST, 2, "\x03\x02", TACET_E_MALFORMED },
    { "IK of another type", 0, 1, "\x02", TACET_E_KEY },
    { "DK_sign of another type", AT_SIGN, 1, "\x02", TACET_E_KEY },
    { "DK_dh of another type", AT_DH, 1, "\x01", TACET_E_KEY },
    { "TK of another type", AT_TK, 1, "\x03", TACET_E_KEY },
};
static void sign_again(const person *p, uint8_t *bytes, size_t n)
{
    object_sign(bytes + n - TACET_SIGNATURE_BYTES, SIGN_DEVICE_LIST, &p->account, 0, bytes, n - TACET_SIGNATURE_BYTES, p->ik.secret);
}
START_TEST(refuses_bad_contents_though_signed)
{
    person p;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    person_init(&p, 2);
    device_list l = person_list(&p, 1, NULL, 2);
    size_t n = sign(&p, &l, bytes);
    memcpy(bytes + bent[_i].at, bent[_i].bytes, bent[_i].n);
    sign_again(&p, bytes, n);
    int got = decode(NULL, bytes, n);
    ck_assert_msg(got == bent[_i].want, "%s: got %d", bent[_i].what, got);
    got = reread(NULL, bytes, n);
    ck_assert_msg(got == bent[_i].want, "%s, reread: got %d", bent[_i].what, got);
}
END_TEST

/* Our own copy: the same list, in the same shape alone. Signature and points were judged when it came. */
START_TEST(rereads_what_was_decoded)
{
    person p;
    device_list first, again;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES + 1];
    person_init(&p, 10);
    device_list l = person_list(&p, 1, NULL, 2);
    size_t n = sign(&p, &l, bytes);
    ck_assert_int_eq(device_list_decode(&first, bytes, n), TACET_OK);
    ck_assert_int_eq(device_list_reread(&again, bytes, n), TACET_OK);
    ck_assert_mem_eq(&again, &first, sizeof first);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_ne(reread(NULL, bytes, i), TACET_OK);
    ck_assert_int_ne(reread(NULL, bytes, n + 1), TACET_OK);
    bytes[n - 1] ^= 1;
    ck_assert_int_eq(decode(NULL, bytes, n), TACET_E_FORGED);
    ck_assert_int_eq(reread(NULL, bytes, n), TACET_OK);
}
END_TEST

START_TEST(T05_R09_bad_points_in_a_device)
{
    person p;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    static const size_t at[] = { AT_DH + 1, AT_TK + 1 };
    for (size_t i = 0; i < ROWS(at); i++) {
        person_init(&p, 3);
        device_list l = person_list(&p, 1, NULL, 2);
        size_t n = sign(&p, &l, bytes);
        bad_point(bytes + at[i], _i);
        sign_again(&p, bytes, n);
        ck_assert_int_eq(decode(NULL, bytes, n), TACET_E_KEY);
        bad_point(l.device[0].dh, _i);
        ck_assert_int_eq(device_list_sign(&l, bytes, &n, p.ik.secret), TACET_E_KEY);
    }
}
END_TEST

START_TEST(no_key_stands_in_a_list_twice)
{
    person p;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    size_t n;
    person_init(&p, 4);
    device_list l = person_list(&p, 1, NULL, 2);
    memcpy(l.device[0].transport, l.device[0].dh, 32); /* one key for two purposes */
    ck_assert_int_eq(device_list_sign(&l, bytes, &n, p.ik.secret), TACET_E_KEY);
    l = person_list(&p, 1, NULL, 2);
    memcpy(l.device[1].transport, l.device[0].transport, 32);
    ck_assert_int_eq(device_list_sign(&l, bytes, &n, p.ik.secret), TACET_E_KEY);
    l = person_list(&p, 1, NULL, 2);
    memcpy(l.device[1].sign, l.ik, 32);
    ck_assert_int_eq(device_list_sign(&l, bytes, &n, p.ik.secret), TACET_E_KEY);
}
END_TEST

START_TEST(signing_refuses_what_others_would)
{
    person p, q;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    size_t n = 77;
    person_init(&p, 5);
    person_init(&q, 6);
    device_list l = person_list(&p, 1, NULL, 1);
    ck_assert_int_eq(device_list_sign(&l, bytes, &n, q.ik.secret), TACET_E_FORGED);
    l.count = 0;
    ck_assert_int_eq(device_list_sign(&l, bytes, &n, p.ik.secret), TACET_E_MALFORMED);
    l.count = TACET_DEVICES_MAX + 1;
    ck_assert_int_eq(device_list_sign(&l, bytes, &n, p.ik.secret), TACET_E_MALFORMED);
    ck_assert_uint_eq(n, 77);
}
END_TEST

START_TEST(eight_devices_fit)
{
    person p;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    size_t n;
    person_init(&p, 7);
    device_list l = person_list(&p, 1, NULL, 1);
    for (l.count = 1; l.count < TACET_DEVICES_MAX; l.count++) {
        person q;
        person_init(&q, 100U + l.count);
        device_entry *d = &l.device[l.count];
        *d = (device_entry){ .id = l.count * 1000U, .lowest = 1, .highest = 1 };
        memcpy(d->sign, q.device_sign[0].public, 32);
        memcpy(d->dh, q.dh[0].public, 32);
        memcpy(d->transport, q.transport[0].public, 32);
    }
    ck_assert_int_eq(device_list_sign(&l, bytes, &n, p.ik.secret), TACET_OK);
    ck_assert_uint_eq(n, 74 + 8 * 113 + 64);
    ck_assert_int_eq(decode(NULL, bytes, n), TACET_OK);
}
END_TEST

/* ---- M01: what may follow ------------------------------------------------------------------------------------------------------------ */

enum change { NOTHING, ADDED, REMOVED, LOWER_VERSION, OTHER_KEYS, OLD_NUMBER, LATER_NUMBER, TWO_ADDED, KNOWN_AHEAD };
static const struct {
    const char *what;
    uint64_t version;
    bool linked;
    enum change change;
    int want;
} follows[] = {
    { "same list", 5, true, NOTHING, TACET_E_REPLAY },
    { "next, unchanged devices", 6, true, NOTHING, TACET_OK },
    { "next, device added", 6, true, ADDED, TACET_OK },
    { "next, device removed", 6, true, REMOVED, TACET_OK },
    { "rolled back", 4, true, NOTHING, TACET_E_REPLAY },
    { "rolled back to the first", 1, false, NOTHING, TACET_E_REPLAY },
    { "same version, device added", 5, true, ADDED, TACET_E_FORK },
    { "same version, device removed", 5, true, REMOVED, TACET_E_FORK },
    { "next, not linked", 6, false, ADDED, TACET_E_FORK },
    { "one left out", 7, true, ADDED, TACET_E_GAP },
    { "far ahead", UINT64_MAX, true, NOTHING, TACET_E_GAP },
    { "weaker device", 6, true, LOWER_VERSION, TACET_E_VERSION },
    { "a number with other keys", 6, true, OTHER_KEYS, TACET_E_KEY },
    { "a number that an earlier list may have given out", 6, true, OLD_NUMBER, TACET_E_KEY },
    { "a number that a later list will give out", 6, true, LATER_NUMBER, TACET_E_KEY },
    { "two new devices", 6, true, TWO_ADDED, TACET_E_KEY },
    { "nothing new, on a list with a number that was not given out yet", 6, true, KNOWN_AHEAD, TACET_E_KEY },
};
START_TEST(M01_device_list_follows)
{
    person p, q;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES], before[32] = { 7 }, stranger[32] = { 8 };
    person_init(&p, 8);
    person_init(&q, 9);
    enum change change = follows[_i].change;
    bool alone = change == ADDED || change == OLD_NUMBER || change == LATER_NUMBER || change == TWO_ADDED;
    device_list known = person_list(&p, 5, before, alone ? 1 : 2);
    if (change == KNOWN_AHEAD)
        known.device[1].id = 6;
    sign(&p, &known, bytes);
    const uint8_t *previous = follows[_i].version == 1 ? NULL : !follows[_i].linked ? stranger : follows[_i].version > 5 ? known.hash : before;
    device_list next = person_list(&p, follows[_i].version, previous, change == REMOVED ? 1 : 2);
    if (change == LOWER_VERSION)
        next.device[1].highest = 1;
    if (change == OTHER_KEYS)
        memcpy(next.device[1].dh, q.dh[1].public, 32);
    if (change == ADDED || change == LATER_NUMBER || change == KNOWN_AHEAD)
        next.device[1].id = change == LATER_NUMBER ? 7 : 6;
    if (change == TWO_ADDED) {
        device_list others = person_list(&q, 1, NULL, 1);
        next.device[next.count] = others.device[0];
        next.device[next.count++].id = 6;
    }
    sign(&p, &next, bytes);
    int got = device_list_follows(&known, &next);
    ck_assert_msg(got == follows[_i].want, "%s: got %d", follows[_i].what, got);
}
END_TEST

/* As long as lists are seen one by one, there is no way round it by lists that leave a device out. */
START_TEST(M01_a_number_does_not_come_back)
{
    person p, q;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    person_init(&p, 13);
    person_init(&q, 14);
    device_list one = person_list(&p, 1, NULL, 1), again = person_list(&p, 1, NULL, 2);
    sign(&p, &one, bytes);
    sign(&p, &again, bytes);
    ck_assert_int_eq(device_list_follows(NULL, &again), TACET_E_KEY); /* the first list has device 1 alone */
    device_list two = person_list(&p, 2, one.hash, 2);
    sign(&p, &two, bytes);
    ck_assert_int_eq(device_list_follows(&one, &two), TACET_OK);
    device_list three = person_list(&p, 3, two.hash, 1);
    sign(&p, &three, bytes);
    ck_assert_int_eq(device_list_follows(&two, &three), TACET_OK);
    for (int i = 0; i < 3; i++) { /* with other keys, with a lower protocol, or as it was */
        device_list four = person_list(&p, 4, three.hash, 2), others = person_list(&q, 1, NULL, 2);
        if (i == 0)
            four.device[1] = others.device[1];
        if (i == 1)
            four.device[1].highest = 1;
        sign(&p, &four, bytes);
        ck_assert_int_eq(device_list_follows(&three, &four), TACET_E_KEY);
        four.device[1].id = 4;
        sign(&p, &four, bytes);
        ck_assert_int_eq(device_list_follows(&three, &four), TACET_OK);
    }
}
END_TEST

START_TEST(M01_another_account_never_follows)
{
    person p, q;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    person_init(&p, 10);
    person_init(&q, 11);
    device_list known = person_list(&p, 1, NULL, 1), next;
    sign(&p, &known, bytes);
    next = person_list(&q, 2, known.hash, 1);
    sign(&q, &next, bytes);
    ck_assert_int_eq(device_list_follows(&known, &next), TACET_E_FORGED);
}
END_TEST

START_TEST(M01_the_first_list_is_version_1)
{
    person p;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    person_init(&p, 12);
    device_list first = person_list(&p, 1, NULL, 1), second;
    sign(&p, &first, bytes);
    second = person_list(&p, 2, first.hash, 1);
    sign(&p, &second, bytes);
    ck_assert_int_eq(device_list_follows(NULL, &first), TACET_OK);
    ck_assert_int_eq(device_list_follows(NULL, &second), TACET_E_GAP);
    ck_assert_int_eq(device_list_follows(&first, &second), TACET_OK);
}
END_TEST

SUITE("devices", TEST(decodes_what_was_signed), TEST(rereads_what_was_decoded), LOOP(refuses_bad_contents_though_signed, ROWS(bent)),
      LOOP(T05_R09_bad_points_in_a_device, BAD_POINTS), TEST(no_key_stands_in_a_list_twice), TEST(signing_refuses_what_others_would),
      TEST(eight_devices_fit), LOOP(M01_device_list_follows, ROWS(follows)), TEST(M01_a_number_does_not_come_back),
      TEST(M01_another_account_never_follows), TEST(M01_the_first_list_is_version_1))
