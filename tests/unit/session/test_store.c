/* A session as bytes: in every state it comes back as it was, and nothing else is taken for one. */
#include "body.h"
#include "pair.h"
#include "state.h"

static uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
static size_t n;

/* Replaces *s by its own import. */
static void reload(pair *p, session **s)
{
    uint8_t *bytes, *again;
    size_t bytes_n = pair_export(*s, &bytes);
    session *copy = NULL;
    ck_assert_int_eq(session_import(&copy, p->arena, bytes, bytes_n), TACET_OK);
    session_info was, is;
    session_describe(*s, &was);
    session_describe(copy, &is);
    ck_assert_mem_eq(was.id, is.id, 32);
    ck_assert_uint_eq(was.sealed, is.sealed);
    ck_assert_uint_eq(was.opened, is.opened);
    ck_assert_uint_eq(was.epoch, is.epoch);
    ck_assert_uint_eq(was.created_ms, is.created_ms);
    ck_assert_uint_eq(was.last_opened_ms, is.last_opened_ms);
    ck_assert_uint_eq(was.last_sealed_ms, is.last_sealed_ms);
    ck_assert(was.initiator == is.initiator && was.answered == is.answered && was.reduced_secrecy == is.reduced_secrecy);
    ck_assert(pair_same_party(&was.me, &is.me) && pair_same_party(&was.them, &is.them));
    ck_assert_uint_eq(pair_export(copy, &again), bytes_n);
    ck_assert_mem_eq(bytes, again, bytes_n);
    free(bytes);
    free(again);
    session_free(*s);
    *s = copy;
}

START_TEST(a_conversation_survives_a_reload_after_every_message)
{
    pair p;
    pair_new(&p, 31);
    pair_first(&p, _i);
    reload(&p, &p.a);
    reload(&p, &p.b);
    for (int i = 0; i < 260; i++) { /* all steps of several epochs, with gaps */
        envelope_bytes e;
        bool from_a = i % 7 < 3;
        session **from = from_a ? &p.a : &p.b, **to = from_a ? &p.b : &p.a;
        pair_seal(&p, *from, &i, sizeof i, &e);
        reload(&p, from);
        if (i % 11 == 5)
            continue;
        ck_assert_msg(pair_open(&p, *to, &e, plain, &n) == TACET_OK, "message %d", i);
        ck_assert_mem_eq(plain, &i, sizeof i);
        reload(&p, to);
    }
    session_info info;
    session_describe(p.a, &info);
    ck_assert_uint_ge(info.epoch, 3);
    pair_free(&p);
}
END_TEST

START_TEST(a_session_is_small)
{
    pair p;
    pair_new(&p, 32);
    pair_first(&p, true);
    ck_assert_uint_lt(session_export_bytes(p.a), 3400); /* with the agreement part that is repeated */
    ck_assert_uint_lt(session_export_bytes(p.b), 1024);
    pair_say(&p, p.b, p.a, "answer");
    ck_assert_uint_lt(session_export_bytes(p.a), 1024);
    for (int i = 0; i < 100; i++)
        pair_say(&p, i % 2 ? p.a : p.b, i % 2 ? p.b : p.a, "x");
    ck_assert_uint_lt(session_export_bytes(p.a), 2300); /* at most with a ciphertext under way */
    ck_assert_uint_lt(session_export_bytes(p.b), 2300);
    pair_free(&p);
}
END_TEST

/* A session with everything in it: skipped keys, former chains, a step under way. */
static size_t rich(pair *p, uint8_t **out)
{
    envelope_bytes lost;
    pair_new(p, 33);
    pair_first(p, true);
    for (int i = 0; i < 40 && p->b->core.pq.step != PQ_CT_OUT; i++) {
        pair_say(p, p->b, p->a, "b");
        if (i % 5 == 0)
            pair_seal(p, p->a, "lost", 4, &lost);
        pair_say(p, p->a, p->b, "a");
    }
    ck_assert_int_eq(p->b->core.pq.step, PQ_CT_OUT);
    ck_assert_uint_gt(p->b->skipped.count, 2);
    return pair_export(p->b, out);
}

START_TEST(every_truncation_is_refused)
{
    pair p;
    uint8_t *bytes;
    size_t bytes_n = rich(&p, &bytes);
    size_t before = secret_in_use(p.arena);
    session *none = NULL;
    for (size_t cut = 0; cut < bytes_n; cut++)
        ck_assert_msg(session_import(&none, p.arena, bytes, cut) == TACET_E_MALFORMED, "cut at %zu", cut);
    uint8_t *longer = malloc(bytes_n + 1);
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, bytes, bytes_n);
    longer[bytes_n] = 0;
    ck_assert_int_eq(session_import(&none, p.arena, longer, bytes_n + 1), TACET_E_MALFORMED);
    longer[0] = 2;
    ck_assert_int_eq(session_import(&none, p.arena, longer, bytes_n), TACET_E_NEWER);
    longer[0] = 0;
    ck_assert_int_eq(session_import(&none, p.arena, longer, bytes_n), TACET_E_MALFORMED);
    ck_assert_ptr_null(none);
    ck_assert_uint_eq(secret_in_use(p.arena), before); /* what failed left nothing */
    size_t out_n = 0;
    ck_assert_int_eq(session_export(p.b, longer, bytes_n - 1, &out_n), TACET_E_QUOTA);
    free(longer);
    free(bytes);
    pair_free(&p);
}
END_TEST

START_TEST(values_out_of_range_are_refused)
{
    pair p;
    uint8_t *bytes;
    size_t bytes_n = rich(&p, &bytes);
    session *none = NULL;
    const size_t initiator = 1 + 32 + 2 * 108; /* three facts of one byte each */
    for (size_t i = 0; i < 3; i++) {
        bytes[initiator + i] += 2;
        ck_assert_int_eq(session_import(&none, p.arena, bytes, bytes_n), TACET_E_MALFORMED);
        bytes[initiator + i] -= 2;
    }
    bytes[initiator] ^= 1; /* an initiator that was answered has no part either, so this is one of Alice's kind; unanswered it is not */
    bytes[initiator + 1] = 0;
    ck_assert_int_eq(session_import(&none, p.arena, bytes, bytes_n), TACET_E_MALFORMED);
    free(bytes);
    pair_free(&p);
}
END_TEST

START_TEST(import_into_a_full_arena)
{
    pair p;
    uint8_t *bytes;
    size_t bytes_n = rich(&p, &bytes);
    secret_arena *small;
    session *none = NULL;
    ck_assert_int_eq(secret_arena_new(&small, 4096), TACET_OK);
    for (size_t left = 0; left < 8000; left += 16) { /* the k-th allocation fails, for every k */
        void *rest = secret_alloc(small, 8192 - 160 - left);
        if (!rest)
            continue;
        int rc = session_import(&none, small, bytes, bytes_n);
        ck_assert(rc == TACET_E_NOMEM || rc == TACET_OK);
        if (rc == TACET_OK)
            none = session_free(none);
        secret_free(small, rest);
        ck_assert_uint_eq(secret_in_use(small), 0);
    }
    secret_arena_free(small);
    free(bytes);
    pair_free(&p);
}
END_TEST

START_TEST(M11_every_length_gives_one_of_seven_sizes)
{
    static const size_t sizes[] = { 256, 512, 1024, 2048, 4096, 8192, 16384 };
    static uint8_t content[TACET_SESSION_CONTENT_MAX_BYTES + 1];
    pair p;
    envelope_bytes e;
    bool seen[ROWS(sizes)] = { false };
    pair_new(&p, 34);
    pair_first(&p, true);
    pair_say(&p, p.b, p.a, "answer");
    memset(content, 0x80, sizeof content); /* the padding's own mark, as content */
    size_t step = getenv("TACET_UNDER_VALGRIND") ? 501 : 1;
    for (size_t bytes = 0; bytes <= TACET_SESSION_CONTENT_MAX_BYTES; bytes += step) {
        pair_seal(&p, p.a, content, bytes, &e);
        size_t padded = e.n - 2 - TACET_RATCHET_OVERHEAD_BYTES, i = 0;
        while (i < ROWS(sizes) && sizes[i] != padded)
            i++;
        ck_assert_msg(i < ROWS(sizes), "%zu bytes gave %zu", bytes, padded);
        ck_assert(bytes < padded);
        seen[i] = true;
        ck_assert_int_eq(pair_open(&p, p.b, &e, plain, &n), TACET_OK);
        ck_assert_uint_eq(n, bytes);
        ck_assert(bytes == 0 || memcmp(plain, content, bytes) == 0);
    }
    for (size_t i = 0; i < ROWS(sizes); i++)
        ck_assert(seen[i]);
    n = 0;
    ck_assert_int_eq(session_seal(p.a, p.env, CONTENT_PAIRWISE, content, TACET_SESSION_CONTENT_MAX_BYTES + 1, e.bytes, &n), TACET_E_QUOTA);
    pair_free(&p);
}
END_TEST

START_TEST(largest_content_fits_beside_every_field_and_the_agreement)
{
    static uint8_t content[TACET_SESSION_CONTENT_MAX_BYTES];
    pair p;
    envelope_bytes e;
    pair_new(&p, 35);
    pair_first(&p, true);
    pair_seal(&p, p.a, content, sizeof content, &e);
    ck_assert_uint_eq(e.n, TACET_FIRST_OVERHEAD_BYTES + TACET_RATCHET_OVERHEAD_BYTES + 16384);
    ck_assert_int_eq(pair_open(&p, p.b, &e, plain, &n), TACET_OK);
    for (int i = 0; i < 160; i++) {
        session *from = i % 2 ? p.a : p.b, *to = i % 2 ? p.b : p.a;
        pair_seal(&p, from, content, sizeof content, &e);
        ck_assert_uint_eq(e.n, 2 + TACET_RATCHET_OVERHEAD_BYTES + 16384);
        ck_assert_int_eq(pair_open(&p, to, &e, plain, &n), TACET_OK);
        ck_assert_uint_eq(n, sizeof content);
    }
    pair_free(&p);
}
END_TEST

static const struct {
    const char *what;
    size_t padded, mark_at; /* where the byte 80 stands; padded: nowhere */
    uint8_t kind, behind;
    int want;
} body_row[] = {
    { "empty content", 256, 1, 0, 0, TACET_OK },
    { "full", 256, 255, 0, 0, TACET_OK },
    { "no mark", 256, 256, 0, 0, TACET_E_FORGED },
    { "a byte behind the mark", 256, 9, 0, 1, TACET_E_FORGED },
    { "nothing at all before the mark", 256, 0, 0, 0, TACET_E_FORGED },
    { "would have fit 256", 512, 255, 0, 0, TACET_E_FORGED },
    { "just does not fit 256", 512, 256, 0, 0, TACET_OK },
    { "unknown PQ kind", 256, 9, 3, 0, TACET_E_FORGED },
    { "PQ key cut short", 2048, 1188, 1, 0, TACET_E_FORGED },
    { "PQ key alone", 2048, 1189, 1, 0, TACET_OK },
    { "PQ ciphertext cut short", 2048, 1092, 2, 0, TACET_E_FORGED },
    { "PQ ciphertext alone", 2048, 1093, 2, 0, TACET_OK },
};

START_TEST(body_shapes)
{
    uint8_t buf[2048] = { body_row[_i].kind };
    message_body body;
    for (size_t i = body_row[_i].mark_at + 1; i < body_row[_i].padded; i++)
        buf[i] = body_row[_i].behind;
    if (body_row[_i].mark_at < body_row[_i].padded)
        buf[body_row[_i].mark_at] = 0x80;
    int rc = body_parse(&body, buf, body_row[_i].padded);
    ck_assert_msg(rc == body_row[_i].want, "%s: %s", body_row[_i].what, tacet_status_word(rc));
}
END_TEST

SUITE("store", LOOP(a_conversation_survives_a_reload_after_every_message, 2), TEST(a_session_is_small), TEST(every_truncation_is_refused),
      TEST(values_out_of_range_are_refused), TEST(import_into_a_full_arena), TEST(M11_every_length_gives_one_of_seven_sizes),
      TEST(largest_content_fits_beside_every_field_and_the_agreement), LOOP(body_shapes, ROWS(body_row)))
