/* What a session refuses, and that it is byte for byte what it was afterwards. */
#include "base/writer.h"
#include "pair.h"
#include "state.h"

static uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
static size_t n;

START_TEST(R13_state_unchanged_after_bad_mac)
{
    pair p;
    envelope_bytes good[3], bad;
    pair_ready(&p, 15);
    pair_seal(&p, p.a, "skipped", 7, &good[0]);
    pair_say(&p, p.a, p.b, "one");
    pair_seal(&p, p.a, "same chain", 10, &good[1]);
    pair_say(&p, p.b, p.a, "turn");
    pair_seal(&p, p.a, "new chain", 9, &good[2]);
    /* skipped key, current chain, DH step: in each case the header is good and the body is not */
    for (size_t i = 0; i < ROWS(good); i++) {
        const size_t spoil[] = { 2 + TACET_SEALED_HEADER_BYTES, 2 + TACET_SEALED_HEADER_BYTES + 24, 2 + TACET_SEALED_HEADER_BYTES + 56,
                                 good[i].n - 1 };
        for (size_t j = 0; j < ROWS(spoil); j++) {
            bad = good[i];
            bad.bytes[spoil[j]] ^= 0x40;
            OPENS(&p, p.b, &bad, TACET_E_FORGED);
        }
    }
    for (size_t i = ROWS(good); i-- > 0;)
        OPENS(&p, p.b, &good[i], TACET_OK);
    pair_free(&p);
}
END_TEST

START_TEST(R20_each_byte_of_a_later_envelope_flipped)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 21);
    if (_i)
        pair_say(&p, p.a, p.b, "not a DH step");
    pair_seal(&p, p.a, "hello", 5, &e);
    for (size_t i = 0; i < e.n; i++)
        for (unsigned bit = 0; bit < 8; bit += 3) {
            e.bytes[i] ^= (uint8_t)(1U << bit);
            OPENS(&p, p.b, &e, TACET_E_FORGED);
            e.bytes[i] ^= (uint8_t)(1U << bit);
        }
    size_t full = e.n;
    for (e.n = 0; e.n < full; e.n++)
        OPENS(&p, p.b, &e, TACET_E_FORGED);
    e.n = full + 1;
    OPENS(&p, p.b, &e, TACET_E_FORGED);
    e.n = full;
    OPENS(&p, p.b, &e, TACET_OK);
    OPENS(&p, p.b, &e, TACET_E_REPLAY);
    pair_free(&p);
}
END_TEST

START_TEST(M05_group_content_never_passes_for_pairwise)
{
    pair p;
    envelope_bytes e;
    unsigned trials = TACET_HEADER_TRIALS_MAX;
    pair_ready(&p, 22);
    const enum content_class sealed_as = _i ? CONTENT_GROUP : CONTENT_PAIRWISE, opened_as = _i ? CONTENT_PAIRWISE : CONTENT_GROUP;
    ck_assert_int_eq(session_seal(p.a, p.env, sealed_as, (const uint8_t *)"x", 1, e.bytes, &e.n), TACET_OK);
    ck_assert_int_eq(session_open(p.b, p.env, opened_as, &trials, e.bytes, e.n, plain, &n), TACET_E_FORGED);
    ck_assert_int_eq(session_open(p.b, p.env, sealed_as, &trials, e.bytes, e.n, plain, &n), TACET_OK);
    pair_free(&p);
}
END_TEST

START_TEST(M07_own_message_reflected_is_refused)
{
    pair p;
    envelope_bytes e;
    pair_new(&p, 23);
    pair_first(&p, true);
    pair_seal(&p, p.a, "first kind", 10, &e);
    OPENS(&p, p.a, &e, TACET_E_FORGED);
    pair_say(&p, p.b, p.a, "answer");
    for (int i = 0; i < 3; i++) {
        pair_seal(&p, i == 1 ? p.b : p.a, "mine", 4, &e);
        OPENS(&p, i == 1 ? p.b : p.a, &e, TACET_E_FORGED);
        OPENS(&p, i == 1 ? p.a : p.b, &e, TACET_OK);
    }
    pair_free(&p);
}
END_TEST

START_TEST(a_message_for_another_session_is_refused)
{
    pair p, q;
    envelope_bytes e;
    pair_ready(&p, 24);
    pair_ready(&q, 25);
    pair_seal(&p, p.a, "x", 1, &e);
    OPENS(&q, q.b, &e, TACET_E_FORGED);
    pair_free(&p);
    pair_free(&q);
}
END_TEST

/* A whole message as only the other end can make it: byte `at` of the header is `value`, and all that covers the header is sealed over that. */
static void dishonest_message(const session *from, envelope_bytes *e, size_t at, const uint8_t *value, size_t value_bytes)
{
    const ratchet *r = &from->core.r;
    const session_info *i = &from->core.info;
    uint8_t ad[256], ec[32], next[32], mk[32], nonce[24] = { 3 }, *sealed = e->bytes + 2, *body = sealed + TACET_SEALED_HEADER_BYTES + 56;
    uint8_t header[64] = { 1, 0 };
    writer w = writer_over(header + 2, 44);
    write_bytes(&w, r->dhs.public, 32);
    write_be(&w, r->pn, 4);
    write_be(&w, r->ns, 4);
    write_be(&w, 0, 4);
    memcpy(header + at, value, value_bytes);
    w = writer_over(ad, sizeof ad);
    write_label(&w, "tacet hdr");
    write_bytes(&w, i->id, 32);
    memcpy(e->bytes, "\x01\x02", 2);
    memcpy(sealed, nonce, 24);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 24, NULL, header, 64, ad, writer_bytes(&w), NULL, nonce, r->hks);
    w = writer_over(ad, sizeof ad);
    write_label(&w, "tacet body");
    write_bytes(&w, i->id, 32);
    write_bytes(&w, i->me.account.bytes, 32);
    write_be(&w, i->me.device, 4);
    write_bytes(&w, i->them.account.bytes, 32);
    write_be(&w, i->them.device, 4);
    write_be(&w, CONTENT_PAIRWISE, 1);
    write_bytes(&w, sealed, TACET_SEALED_HEADER_BYTES);
    kdf_chain(ec, next, r->cks);
    kdf_hkdf(mk, 32, from->core.pq.current, 32, ec, 32, "tacet mk", sizeof "tacet mk");
    memset(body, 0, 256);
    memcpy(body, "\0x\x80", 3);
    committed_seal(sealed + TACET_SEALED_HEADER_BYTES, 256, COMMITTED_MESSAGE, mk, nonce, ad, writer_bytes(&w));
    e->n = 2 + TACET_RATCHET_OVERHEAD_BYTES + 256;
}

static const struct {
    const char *what;
    size_t at;
    uint8_t value;
    int want;
} header_row[] = {
    { "an honest one", 0, 1, TACET_OK },         { "version", 0, 2, TACET_E_FORGED },
    { "flags", 1, 1, TACET_E_FORGED },           { "DH not canonical", 33, 0xff, TACET_E_FORGED },
    { "first zero", 46, 1, TACET_E_FORGED },     { "last zero", 63, 1, TACET_E_FORGED },
    { "epoch not held", 45, 1, TACET_E_FORGED }, { "epoch far off", 42, 1, TACET_E_FORGED },
    { "PN far off", 35, 1, TACET_E_GAP },        { "a PN within the limit", 37, 9, TACET_OK },
    { "N far off", 38, 1, TACET_E_GAP },         { "another N", 41, 9, TACET_E_FORGED },
};

START_TEST(header_of_a_dishonest_peer)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 26);
    pair_say(&p, p.a, p.b, "there");
    pair_say(&p, p.b, p.a, "back");
    dishonest_message(p.a, &e, header_row[_i].at, &header_row[_i].value, 1);
    uint8_t *before, *after;
    size_t n_before = pair_export(p.b, &before);
    int rc = pair_open(&p, p.b, &e, plain, &n);
    ck_assert_msg(rc == header_row[_i].want, "%s: %s", header_row[_i].what, tacet_status_word(rc));
    size_t n_after = pair_export(p.b, &after);
    if (rc != TACET_OK)
        ck_assert(n_after == n_before && memcmp(before, after, n_before) == 0);
    free(before);
    free(after);
    pair_free(&p);
}
END_TEST

START_TEST(T05_small_order_ratchet_key_is_refused)
{
    pair p;
    envelope_bytes e;
    pair_ready(&p, 27);
    const uint8_t point[32] = { (uint8_t)_i };
    dishonest_message(p.a, &e, 2, point, sizeof point);
    OPENS(&p, p.b, &e, TACET_E_FORGED);
    pair_free(&p);
}
END_TEST

SUITE("refused", TEST(R13_state_unchanged_after_bad_mac), LOOP(R20_each_byte_of_a_later_envelope_flipped, 2),
      LOOP(M05_group_content_never_passes_for_pairwise, 2), TEST(M07_own_message_reflected_is_refused),
      TEST(a_message_for_another_session_is_refused), LOOP(header_of_a_dishonest_peer, ROWS(header_row)),
      LOOP(T05_small_order_ratchet_key_is_refused, 2))
