/* The first envelope: what opens, what does not, and that a failure leaves nothing behind. */
#include "agreed.h"
#include "pair.h"

typedef struct {
    pair p;
    envelope_bytes e; /* Alice's first envelope to Bob */
    first_sender sender;
    uint8_t plain[TACET_ENVELOPE_MAX_BYTES];
    size_t n;
} scene;

static int begin(scene *s, const person *from, const agreement_bundle *bundle)
{
    session_free(s->p.a);
    s->p.a = NULL;
    return session_initiate(&s->p.a, s->p.arena, s->p.env, &from->party, from->dh.secret, from->signed_list, from->signed_list_bytes, bundle);
}

static void scene_new(scene *s, bool with_opk)
{
    agreement_bundle bundle;
    pair_new(&s->p, 77);
    pair_bundle(&bundle, &s->p.bob, with_opk);
    ck_assert_int_eq(begin(s, &s->p.alice, &bundle), TACET_OK);
    pair_seal(&s->p, s->p.a, "hello", 5, &s->e);
}

/* Both steps of a receiver; the first verdict that is not OK. */
static int receive(scene *s, const party *me, const agreement_secrets *secrets, const envelope_bytes *e)
{
    int rc = first_envelope_sender(&s->sender, me, secrets, e->bytes, e->n);
    if (rc == TACET_OK)
        rc = session_respond(&s->p.b, s->p.arena, s->p.env, me, secrets, &s->sender, e->bytes, e->n, s->plain, &s->n);
    return rc;
}

static int receive_by_bob(scene *s, bool with_opk)
{
    agreement_secrets secrets = pair_secrets(&s->p.bob, with_opk);
    return receive(s, &s->p.bob.party, &secrets, &s->e);
}

START_TEST(first_envelope_opens)
{
    scene s;
    bool with_opk = _i;
    scene_new(&s, with_opk);
    ck_assert_uint_eq(s.e.n, TACET_FIRST_OVERHEAD_BYTES + TACET_RATCHET_OVERHEAD_BYTES + 256);
    ck_assert_int_eq(receive_by_bob(&s, with_opk), TACET_OK);
    ck_assert_uint_eq(s.n, 5);
    ck_assert_mem_eq(s.plain, "hello", 5);
    ck_assert_uint_eq(s.sender.device, ALICE_DEVICE);
    ck_assert_uint_eq(s.sender.receiver_list_version, 1);
    ck_assert_mem_eq(s.sender.signed_list, s.p.alice.signed_list, s.p.alice.signed_list_bytes);
    session_info a, b;
    session_describe(s.p.a, &a);
    session_describe(s.p.b, &b);
    ck_assert_mem_eq(a.id, b.id, 32);
    ck_assert_mem_eq(a.id, s.sender.session_id, 32);
    ck_assert_int_eq(a.reduced_secrecy, !with_opk);
    ck_assert_int_eq(b.reduced_secrecy, !with_opk);
    ck_assert(!a.answered && b.answered);
    sodium_memzero(&s.sender, sizeof s.sender);
    ck_assert(sodium_is_zero(s.sender.shared, sizeof s.sender.shared));
    pair_free(&s.p);
}
END_TEST

START_TEST(clear_fields_name_the_prekeys)
{
    scene s;
    first_envelope f;
    unsigned kind = 0;
    scene_new(&s, true);
    ck_assert_int_eq(envelope_kind(s.e.bytes, s.e.n, &kind), TACET_OK);
    ck_assert_uint_eq(kind, ENVELOPE_FIRST);
    ck_assert_int_eq(first_envelope_decode(&f, s.e.bytes, s.e.n), TACET_OK);
    ck_assert(f.has_opk && !f.kem_last_resort);
    ck_assert_uint_eq(f.spk_id, SPK_ID);
    ck_assert_uint_eq(f.opk_id, OPK_ID);
    ck_assert_uint_eq(f.kem_id, KEM_ID);
    for (size_t cut = 0; cut <= TACET_FIRST_OVERHEAD_BYTES; cut++)
        ck_assert_int_eq(first_envelope_decode(&f, s.e.bytes, cut), TACET_E_MALFORMED);
    pair_free(&s.p);
}
END_TEST

static const struct {
    const char *what;
    size_t at;
    uint8_t value;
    int kind_want, decode_want;
} shape[] = {
    { "version 0", 0, 0, TACET_E_VERSION, TACET_E_MALFORMED },    { "version 2", 0, 2, TACET_E_VERSION, TACET_E_MALFORMED },
    { "kind 0", 1, 0, TACET_E_MALFORMED, TACET_E_MALFORMED },     { "kind 3", 1, 3, TACET_E_MALFORMED, TACET_E_MALFORMED },
    { "EK typed Ed25519", 2, 1, TACET_OK, TACET_E_KEY },          { "EK not canonical", 34, 0xff, TACET_OK, TACET_E_KEY },
    { "OPK flag 2", 39, 2, TACET_OK, TACET_E_MALFORMED },         { "OPK id without its flag", 39, 0, TACET_OK, TACET_E_MALFORMED },
    { "last-resort flag 2", 48, 2, TACET_OK, TACET_E_MALFORMED },
};

START_TEST(shape_of_clear_fields)
{
    scene s;
    first_envelope f;
    unsigned kind = 0;
    scene_new(&s, true);
    s.e.bytes[shape[_i].at] = shape[_i].value;
    ck_assert_msg(envelope_kind(s.e.bytes, s.e.n, &kind) == shape[_i].kind_want, "%s", shape[_i].what);
    ck_assert_msg(first_envelope_decode(&f, s.e.bytes, s.e.n) == shape[_i].decode_want, "%s", shape[_i].what);
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    pair_free(&s.p);
}
END_TEST

START_TEST(R01_replayed_first_message_makes_no_second_session)
{
    scene s;
    bool with_opk = _i;
    scene_new(&s, with_opk);
    ck_assert_int_eq(receive_by_bob(&s, with_opk), TACET_OK);
    uint8_t id[32];
    memcpy(id, s.sender.session_id, 32);
    /* the session that it made knows it again */
    ck_assert_int_eq(pair_open(&s.p, s.p.b, &s.e, s.plain, &s.n), TACET_E_REPLAY);
    /* and the transcript leads to the same id, so that a receiver who keeps ids makes no other session */
    agreement_secrets secrets = pair_secrets(&s.p.bob, with_opk);
    ck_assert_int_eq(first_envelope_sender(&s.sender, &s.p.bob.party, &secrets, s.e.bytes, s.e.n), TACET_OK);
    ck_assert_mem_eq(s.sender.session_id, id, 32);
    if (with_opk) { /* used up and deleted: nothing opens any more */
        secrets = pair_secrets(&s.p.bob, false);
        ck_assert_int_eq(first_envelope_sender(&s.sender, &s.p.bob.party, &secrets, s.e.bytes, s.e.n), TACET_E_FORGED);
    }
    pair_free(&s.p);
}
END_TEST

START_TEST(repeated_agreement_part_is_opened_by_its_session_only)
{
    scene s;
    envelope_bytes second;
    scene_new(&s, true);
    pair_seal(&s.p, s.p.a, "second", 6, &second);
    ck_assert_mem_eq(s.e.bytes, second.bytes, TACET_FIRST_OVERHEAD_BYTES);
    /* in the wrong order: the second makes the session, the first is then a message of it */
    envelope_bytes first = s.e;
    s.e = second;
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_OK);
    ck_assert_mem_eq(s.plain, "second", 6);
    for (size_t i = 0; i < TACET_FIRST_OVERHEAD_BYTES; i += 7) {
        envelope_bytes bad = first;
        bad.bytes[i] ^= 1;
        ck_assert_int_eq(pair_open(&s.p, s.p.b, &bad, s.plain, &s.n), TACET_E_FORGED);
    }
    ck_assert_int_eq(pair_open(&s.p, s.p.b, &first, s.plain, &s.n), TACET_OK);
    ck_assert_mem_eq(s.plain, "hello", 5);
    /* answered: from here on later envelopes */
    pair_say(&s.p, s.p.b, s.p.a, "answer");
    pair_seal(&s.p, s.p.a, "third", 5, &second);
    ck_assert_uint_eq(second.bytes[1], ENVELOPE_LATER);
    ck_assert_uint_eq(second.n, 2 + TACET_RATCHET_OVERHEAD_BYTES + 256);
    ck_assert_int_eq(pair_open(&s.p, s.p.b, &second, s.plain, &s.n), TACET_OK);
    pair_free(&s.p);
}
END_TEST

START_TEST(R02_prekeys_of_another_kind_are_refused)
{
    scene s;
    agreement_bundle bundle;
    uint8_t bytes[TACET_PREKEY_MAX_BYTES];
    size_t n = 0;
    prekey out,
        spk = { .kind = PREKEY_SIGNED, .id = 1, .created_s = PAIR_START_MS / 1000, .expires_s = PAIR_START_MS / 1000 + TACET_PREKEY_LIFETIME_S };
    scene_new(&s, true);
    const person *bob = &s.p.bob;
    memcpy(spk.key, bob->spk.public, 32);
    ck_assert_int_eq(prekey_sign(&spk, bytes, &n, &bob->party.account, BOB_DEVICE, bob->dk_sign.secret), TACET_OK);
    static const enum prekey_kind other[] = { PREKEY_ONE_TIME, PREKEY_KEM_ONE_TIME, PREKEY_KEM_LAST_RESORT };
    for (size_t i = 0; i < ROWS(other); i++)
        ck_assert_int_ne(prekey_decode(&out, other[i], bytes, n, &bob->party.account, BOB_DEVICE, bob->dk_sign.public, PAIR_START_MS / 1000),
                         TACET_OK);
    /* an EC key where the KEM key belongs, and the signed prekey where the one-time one belongs */
    pair_bundle(&bundle, bob, true);
    memset(bundle.kem, 0xff, sizeof bundle.kem);
    memcpy(bundle.kem, bob->spk.public, 32);
    ck_assert_int_eq(begin(&s, &s.p.alice, &bundle), TACET_E_KEY);
    pair_bundle(&bundle, bob, true);
    memcpy(bundle.opk, bob->spk.public, 32);
    ck_assert_int_eq(begin(&s, &s.p.alice, &bundle), TACET_OK);
    pair_seal(&s.p, s.p.a, "x", 1, &s.e);
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    pair_free(&s.p);
}
END_TEST

START_TEST(R03_reencapsulated_ciphertext_is_refused)
{
    scene s;
    agreement_bundle bundle;
    uint8_t coins[32] = { 5 }, ct[TACET_KEM_CIPHERTEXT_BYTES], ss[32];
    scene_new(&s, true);
    /* Alice was handed a KEM key that Mallory can open; Mallory encapsulates anew to Bob's key and sends the envelope on */
    pair_bundle(&bundle, &s.p.bob, true);
    memcpy(bundle.kem, s.p.mallory.kem, sizeof bundle.kem);
    ck_assert_int_eq(begin(&s, &s.p.alice, &bundle), TACET_OK);
    pair_seal(&s.p, s.p.a, "hello", 5, &s.e);
    ck_assert_int_eq(crypto_kem_mlkem768_enc_deterministic(ct, ss, s.p.bob.kem, coins), 0);
    memcpy(s.e.bytes + TACET_AGREEMENT_CLEAR_BYTES - sizeof ct, ct, sizeof ct);
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    /* even with one and the same shared secret the transcripts differ, because the KEM key is in them */
    pair_free(&s.p);
    scene_new(&s, true);
    agreement_secrets mine = pair_secrets(&s.p.bob, true), swapped = mine;
    swapped.kem = s.p.mallory.kem;
    ck_assert_int_eq(first_envelope_sender(&s.sender, &s.p.bob.party, &mine, s.e.bytes, s.e.n), TACET_OK);
    uint8_t id[32];
    memcpy(id, s.sender.session_id, 32);
    ck_assert_int_eq(first_envelope_sender(&s.sender, &s.p.bob.party, &swapped, s.e.bytes, s.e.n), TACET_OK);
    ck_assert_mem_ne(id, s.sender.session_id, 32);
    ck_assert_int_eq(session_respond(&s.p.b, s.p.arena, s.p.env, &s.p.bob.party, &swapped, &s.sender, s.e.bytes, s.e.n, s.plain, &s.n),
                     TACET_E_FORGED);
    pair_free(&s.p);
}
END_TEST

START_TEST(R04_only_a_prekey_signed_by_that_device_and_in_time)
{
    pair p;
    uint8_t bytes[TACET_PREKEY_MAX_BYTES];
    size_t n = 0;
    const uint64_t now_s = PAIR_START_MS / 1000;
    pair_new(&p, 4);
    prekey out, k = { .kind = PREKEY_SIGNED, .id = 1, .created_s = now_s, .expires_s = now_s + TACET_PREKEY_LIFETIME_S };
    const party *bob = &p.bob.party;
    memcpy(k.key, p.bob.spk.public, 32);
    ck_assert_int_eq(prekey_sign(&k, bytes, &n, &bob->account, BOB_DEVICE, p.bob.dk_sign.secret), TACET_OK);
    const uint8_t *sign = p.bob.dk_sign.public;
    ck_assert_int_eq(prekey_decode(&out, PREKEY_SIGNED, bytes, n, &bob->account, BOB_DEVICE, sign, now_s), TACET_OK);
    ck_assert_int_eq(prekey_decode(&out, PREKEY_SIGNED, bytes, n, &bob->account, BOB_DEVICE + 1, sign, now_s), TACET_E_FORGED);
    ck_assert_int_eq(prekey_decode(&out, PREKEY_SIGNED, bytes, n, &p.alice.party.account, BOB_DEVICE, sign, now_s), TACET_E_FORGED);
    ck_assert_int_eq(prekey_decode(&out, PREKEY_SIGNED, bytes, n, &bob->account, BOB_DEVICE, p.mallory.dk_sign.public, now_s), TACET_E_FORGED);
    ck_assert_int_eq(prekey_decode(&out, PREKEY_SIGNED, bytes, n, &bob->account, BOB_DEVICE, sign, k.expires_s + 2 * 86400), TACET_E_EXPIRED);
    bytes[n - 1] ^= 1;
    ck_assert_int_eq(prekey_decode(&out, PREKEY_SIGNED, bytes, n, &bob->account, BOB_DEVICE, sign, now_s), TACET_E_FORGED);
    pair_free(&p);
}
END_TEST

START_TEST(R06_failed_first_message_leaves_nothing)
{
    scene s;
    scene_new(&s, true);
    size_t before = secret_in_use(s.p.arena);
    person bob = s.p.bob;
    s.e.bytes[s.e.n - 1] ^= 1; /* the ratchet message fails, the box does not */
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    ck_assert_ptr_null(s.p.b);
    ck_assert_uint_eq(secret_in_use(s.p.arena), before);
    ck_assert_mem_eq(&bob, &s.p.bob, sizeof bob);
    s.e.bytes[s.e.n - 1] ^= 1; /* the same one-time prekey still opens the true one */
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_OK);
    pair_free(&s.p);
}
END_TEST

START_TEST(R08_unknown_key_share_and_wrong_recipient)
{
    scene s;
    agreement_bundle bundle;
    scene_new(&s, true);
    /* Mallory shows Bob's prekeys as his own; Alice means to write to Mallory, Bob gets it */
    pair_bundle(&bundle, &s.p.bob, true);
    bundle.them.account = s.p.mallory.party.account;
    memcpy(bundle.them.ik, s.p.mallory.party.ik, 32);
    ck_assert_int_eq(begin(&s, &s.p.alice, &bundle), TACET_OK);
    pair_seal(&s.p, s.p.a, "for mallory", 11, &s.e);
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    /* the box lets go of the account when only the identity key is another's: the transcript does not */
    pair_bundle(&bundle, &s.p.bob, true);
    memcpy(bundle.them.ik, s.p.mallory.party.ik, 32);
    ck_assert_int_eq(begin(&s, &s.p.alice, &bundle), TACET_OK);
    pair_seal(&s.p, s.p.a, "x", 1, &s.e);
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    /* another device, another version of the list than the box says */
    pair_bundle(&bundle, &s.p.bob, true);
    bundle.them.device = BOB_DEVICE + 1;
    ck_assert_int_eq(begin(&s, &s.p.alice, &bundle), TACET_OK);
    pair_seal(&s.p, s.p.a, "x", 1, &s.e);
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    /* and Bob's own envelope at somebody else's */
    pair_free(&s.p);
    scene_new(&s, true);
    agreement_secrets mallory = pair_secrets(&s.p.mallory, true);
    ck_assert_int_eq(receive(&s, &s.p.mallory.party, &mallory, &s.e), TACET_E_FORGED);
    /* Mallory has all of Bob's prekeys but is not Bob */
    agreement_secrets bobs = pair_secrets(&s.p.bob, true);
    ck_assert_int_eq(receive(&s, &s.p.mallory.party, &bobs, &s.e), TACET_E_FORGED);
    pair_free(&s.p);
}
END_TEST

START_TEST(writer_must_hold_the_device_key_of_the_list)
{
    scene s;
    agreement_bundle bundle;
    scene_new(&s, true);
    /* Mallory writes under Alice's public list without Alice's DK_dh: the box opens, the message does not */
    pair_bundle(&bundle, &s.p.bob, true);
    person liar = s.p.alice;
    liar.dh = s.p.mallory.dh;
    ck_assert_int_eq(begin(&s, &liar, &bundle), TACET_OK);
    pair_seal(&s.p, s.p.a, "I am alice", 10, &s.e);
    agreement_secrets secrets = pair_secrets(&s.p.bob, true);
    ck_assert_int_eq(first_envelope_sender(&s.sender, &s.p.bob.party, &secrets, s.e.bytes, s.e.n), TACET_OK);
    ck_assert_int_eq(session_respond(&s.p.b, s.p.arena, s.p.env, &s.p.bob.party, &secrets, &s.sender, s.e.bytes, s.e.n, s.plain, &s.n),
                     TACET_E_FORGED);
    /* a device that the list does not name, a list that does not verify */
    liar = s.p.alice;
    liar.party.device = 9;
    ck_assert_int_eq(begin(&s, &liar, &bundle), TACET_OK);
    pair_seal(&s.p, s.p.a, "x", 1, &s.e);
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    liar = s.p.alice;
    liar.signed_list[liar.signed_list_bytes - 1] ^= 1;
    ck_assert_int_eq(begin(&s, &liar, &bundle), TACET_OK);
    pair_seal(&s.p, s.p.a, "x", 1, &s.e);
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    /* a list too long for the box */
    ck_assert_int_eq(session_initiate(&s.p.b, s.p.arena, s.p.env, &s.p.alice.party, s.p.alice.dh.secret, s.p.alice.signed_list, 1139, &bundle),
                     TACET_E_QUOTA);
    pair_free(&s.p);
}
END_TEST

START_TEST(a_sender_of_another_envelope_is_refused)
{
    scene s;
    agreement_bundle bundle;
    agreement_secrets secrets;
    scene_new(&s, true);
    secrets = pair_secrets(&s.p.bob, true);
    ck_assert_int_eq(first_envelope_sender(&s.sender, &s.p.bob.party, &secrets, s.e.bytes, s.e.n), TACET_OK);
    pair_bundle(&bundle, &s.p.bob, true);
    ck_assert_int_eq(begin(&s, &s.p.alice, &bundle), TACET_OK);
    pair_seal(&s.p, s.p.a, "x", 1, &s.e);
    ck_assert_int_eq(session_respond(&s.p.b, s.p.arena, s.p.env, &s.p.bob.party, &secrets, &s.sender, s.e.bytes, s.e.n, s.plain, &s.n),
                     TACET_E_FORGED);
    pair_free(&s.p);
}
END_TEST

START_TEST(R20_each_byte_of_a_first_envelope_flipped)
{
    scene s;
    scene_new(&s, true);
    size_t before = secret_in_use(s.p.arena);
    for (size_t i = 0; i < s.e.n; i++) {
        uint8_t flip = (uint8_t)(1U << (i % 8));
        s.e.bytes[i] ^= flip;
        ck_assert_msg(receive_by_bob(&s, true) == TACET_E_FORGED, "byte %zu", i);
        s.e.bytes[i] ^= flip;
    }
    ck_assert_uint_eq(secret_in_use(s.p.arena), before);
    size_t n = s.e.n;
    for (s.e.n = 0; s.e.n < n; s.e.n += s.e.n < TACET_FIRST_OVERHEAD_BYTES - 40 ? 29 : 1)
        ck_assert_msg(receive_by_bob(&s, true) == TACET_E_FORGED, "cut at %zu", s.e.n);
    s.e.bytes[n] = 0;
    s.e.n = n + 1;
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    s.e.n = n;
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_OK);
    pair_free(&s.p);
}
END_TEST

/* A box as a dishonest writer would make it: the true one opened, byte `at` of its plaintext changed, sealed again under its own key. */
static void spoil_box(scene *s, size_t at, uint8_t flip)
{
    uint8_t hashed[TACET_AGREEMENT_CLEAR_BYTES + 32], salt[64], k[32], content[TACET_BOX_PLAIN_BYTES], nonce[24];
    uint8_t *box = s->e.bytes + TACET_AGREEMENT_CLEAR_BYTES;
    agreement_secrets secrets = pair_secrets(&s->p.bob, true);
    ck_assert_int_eq(first_envelope_sender(&s->sender, &s->p.bob.party, &secrets, s->e.bytes, s->e.n), TACET_OK);
    memcpy(hashed, s->e.bytes, TACET_AGREEMENT_CLEAR_BYTES);
    memcpy(hashed + TACET_AGREEMENT_CLEAR_BYTES, s->p.bob.party.account.bytes, 32);
    crypto_generichash(salt, sizeof salt, hashed, sizeof hashed, NULL, 0);
    kdf_hkdf(k, sizeof k, salt, sizeof salt, s->sender.shared + 32, s->sender.shared_bytes - 32, "tacet sender", sizeof "tacet sender");
    ck_assert_int_eq(committed_open(content, box, TACET_BOX_BYTES, COMMITTED_BOX, k, s->e.bytes, TACET_AGREEMENT_CLEAR_BYTES), TACET_OK);
    content[at] ^= flip;
    memcpy(nonce, box, sizeof nonce);
    memcpy(box + COMMITTED_HEAD_BYTES, content, sizeof content);
    committed_seal(box, sizeof content, COMMITTED_BOX, k, nonce, s->e.bytes, TACET_AGREEMENT_CLEAR_BYTES);
}

static const struct {
    const char *what;
    size_t at;
    uint8_t flip;
    int want;
} box_row[] = {
    { "as it was", 0, 0, TACET_OK },
    { "a device that the list does not name", 3, 8, TACET_E_FORGED },
    { "a longer list", 13, 1, TACET_E_FORGED },
    { "a list beyond the box", 12, 0xff, TACET_E_FORGED },
    { "a byte behind the list", TACET_BOX_PLAIN_BYTES - 1, 1, TACET_E_FORGED },
    { "a byte of the list", 60, 1, TACET_E_FORGED },
};

START_TEST(box_of_a_dishonest_writer)
{
    scene s;
    scene_new(&s, true);
    spoil_box(&s, box_row[_i].at, box_row[_i].flip);
    agreement_secrets secrets = pair_secrets(&s.p.bob, true);
    int rc = first_envelope_sender(&s.sender, &s.p.bob.party, &secrets, s.e.bytes, s.e.n);
    ck_assert_msg(rc == box_row[_i].want, "%s: %s", box_row[_i].what, tacet_status_word(rc));
    pair_free(&s.p);
}
END_TEST

START_TEST(R22_tampered_kem_ciphertext_is_the_same_error)
{
    scene s;
    scene_new(&s, false);
    for (size_t i = 0; i < TACET_KEM_CIPHERTEXT_BYTES; i += 16) {
        s.e.bytes[49 + i] ^= 4;
        ck_assert_int_eq(receive_by_bob(&s, false), TACET_E_FORGED);
        s.e.bytes[49 + i] ^= 4;
    }
    ck_assert_int_eq(receive_by_bob(&s, false), TACET_OK);
    pair_free(&s.p);
}
END_TEST

/* Points of order 1, 2, 4 and 8, and encodings that are not canonical. */
static const char *const small_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

START_TEST(T05_small_order_points_are_refused_on_both_sides)
{
    scene s;
    agreement_bundle bundle;
    uint8_t point[32];
    size_t n = 0;
    ck_assert_int_eq(sodium_hex2bin(point, 32, small_order[_i], 64, NULL, &n, NULL), 0);
    scene_new(&s, true);
    uint8_t *const place[] = { bundle.spk, bundle.opk, bundle.them.dh };
    for (size_t i = 0; i < ROWS(place); i++) {
        pair_bundle(&bundle, &s.p.bob, true);
        memcpy(place[i], point, 32);
        ck_assert_int_eq(begin(&s, &s.p.alice, &bundle), TACET_E_KEY);
        ck_assert_ptr_null(s.p.a);
    }
    memcpy(s.e.bytes + 3, point, 32);
    first_envelope f;
    ck_assert_int_eq(first_envelope_decode(&f, s.e.bytes, s.e.n), TACET_E_KEY);
    ck_assert_int_eq(receive_by_bob(&s, true), TACET_E_FORGED);
    pair_free(&s.p);
}
END_TEST

START_TEST(full_arena_is_reported)
{
    scene s;
    agreement_bundle bundle;
    secret_arena *small;
    scene_new(&s, true);
    pair_bundle(&bundle, &s.p.bob, true);
    ck_assert_int_eq(secret_arena_new(&small, 4096), TACET_OK); /* two pages with its own head */
    void *rest = secret_alloc(small, 5000);
    ck_assert_ptr_nonnull(rest);
    session *none = NULL;
    ck_assert_int_eq(
        session_initiate(&none, small, s.p.env, &s.p.alice.party, s.p.alice.dh.secret, s.p.alice.signed_list, s.p.alice.signed_list_bytes, &bundle),
        TACET_E_NOMEM);
    agreement_secrets secrets = pair_secrets(&s.p.bob, true);
    ck_assert_int_eq(first_envelope_sender(&s.sender, &s.p.bob.party, &secrets, s.e.bytes, s.e.n), TACET_OK);
    ck_assert_int_eq(session_respond(&none, small, s.p.env, &s.p.bob.party, &secrets, &s.sender, s.e.bytes, s.e.n, s.plain, &s.n), TACET_E_NOMEM);
    ck_assert_ptr_null(none);
    secret_free(small, rest);
    ck_assert_uint_eq(secret_in_use(small), 0);
    secret_arena_free(small);
    pair_free(&s.p);
}
END_TEST

SUITE("agreement", LOOP(first_envelope_opens, 2), TEST(clear_fields_name_the_prekeys), LOOP(shape_of_clear_fields, ROWS(shape)),
      LOOP(R01_replayed_first_message_makes_no_second_session, 2), TEST(repeated_agreement_part_is_opened_by_its_session_only),
      TEST(R02_prekeys_of_another_kind_are_refused), TEST(R03_reencapsulated_ciphertext_is_refused),
      TEST(R04_only_a_prekey_signed_by_that_device_and_in_time), TEST(R06_failed_first_message_leaves_nothing),
      TEST(R08_unknown_key_share_and_wrong_recipient), TEST(writer_must_hold_the_device_key_of_the_list),
      TEST(a_sender_of_another_envelope_is_refused), TEST(R20_each_byte_of_a_first_envelope_flipped), LOOP(box_of_a_dishonest_writer, ROWS(box_row)),
      TEST(R22_tampered_kem_ciphertext_is_the_same_error), LOOP(T05_small_order_points_are_refused_on_both_sides, ROWS(small_order)),
      TEST(full_arena_is_reported))
