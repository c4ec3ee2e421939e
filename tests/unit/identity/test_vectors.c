/* tests/vectors/identity.json, written by an implementation that shares no code with ours (make_identity.py beside it): we make the same
 * bytes, and read theirs. */
#include "base/text.h"
#include "fixture.h"
#include "identity/backup.h"
#include "identity/link.h"
#include "identity/safety.h"
#include <jansson.h>

static json_t *vectors(const char *section)
{
    json_error_t why;
    json_t *all = json_load_file(TACET_VECTORS "/identity.json", 0, &why);
    ck_assert_msg(all != NULL, "%s", why.text);
    json_t *part = json_incref(json_object_get(all, section));
    ck_assert_msg(part != NULL, "no section %s", section);
    json_decref(all);
    return part;
}
static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    ck_assert_msg(text != NULL, "no %s", name);
    return text;
}
static uint64_t number_of(const json_t *o, const char *name)
{
    ck_assert_msg(json_is_integer(json_object_get(o, name)), "no %s", name);
    return (uint64_t)json_integer_value(json_object_get(o, name));
}
static size_t bytes_of(const json_t *o, const char *name, uint8_t *out, size_t room)
{
    const char *text = text_of(o, name);
    size_t n = strlen(text) / 2;
    ck_assert_uint_le(n, room);
    ck_assert_int_eq(hex_decode(out, n, text, strlen(text)), TACET_OK);
    return n;
}
static void key_of(const json_t *o, const char *name, uint8_t out[32]) { ck_assert_uint_eq(bytes_of(o, name, out, 32), 32); }

/* The account of all vectors. */
static void owner(sign_pair *ik, account_id *account)
{
    uint8_t seed[32];
    json_t *v = vectors("account");
    key_of(v, "ik_seed", seed);
    ck_assert_int_eq(crypto_sign_seed_keypair(ik->public, ik->secret, seed), 0);
    account_of(account, ik->public);
    json_decref(v);
}

START_TEST(account_and_token)
{
    sign_pair ik;
    account_id account;
    uint8_t want[32], token[32], hash[32];
    owner(&ik, &account);
    json_t *v = vectors("account");
    key_of(v, "ik", want);
    ck_assert_mem_eq(ik.public, want, 32);
    key_of(v, "account", want);
    ck_assert_mem_eq(account.bytes, want, 32);
    json_decref(v);
    v = vectors("token");
    key_of(v, "token", token);
    key_of(v, "hash", want);
    token_hash(hash, token);
    ck_assert_mem_eq(hash, want, 32);
    json_decref(v);
}
END_TEST

START_TEST(a_signature_of_each_purpose)
{
    sign_pair ik;
    account_id account;
    size_t i;
    json_t *row, *v = vectors("signatures");
    owner(&ik, &account);
    ck_assert_uint_eq(json_array_size(v), 5);
    json_array_foreach(v, i, row)
    {
        uint8_t object[128], want[64], got[64];
        enum sign_purpose purpose = (enum sign_purpose)number_of(row, "purpose");
        uint32_t device = (uint32_t)number_of(row, "device");
        size_t n = bytes_of(row, "object", object, sizeof object);
        ck_assert_uint_eq(purpose, i + 1);
        bytes_of(row, "signature", want, sizeof want);
        object_sign(got, purpose, &account, device, object, n, ik.secret);
        ck_assert_mem_eq(got, want, 64);
        ck_assert_int_eq(object_verify(want, purpose, &account, device, object, n, ik.public), TACET_OK);
    }
    json_decref(v);
}
END_TEST

static device_list list_of(const json_t *row, const sign_pair *ik)
{
    size_t i;
    json_t *d, *devices = json_object_get(row, "devices");
    device_list l = { .version = number_of(row, "version"), .count = (uint8_t)json_array_size(devices) };
    memcpy(l.ik, ik->public, 32);
    key_of(row, "previous", l.previous);
    json_array_foreach(devices, i, d)
    {
        l.device[i] = (device_entry){ .id = (uint32_t)number_of(d, "id"),
                                      .lowest = (uint8_t)number_of(d, "lowest"),
                                      .highest = (uint8_t)number_of(d, "highest"),
                                      .created_s = number_of(d, "created") };
        key_of(d, "sign", l.device[i].sign);
        key_of(d, "dh", l.device[i].dh);
        key_of(d, "tk", l.device[i].transport);
    }
    return l;
}
START_TEST(device_lists)
{
    sign_pair ik;
    account_id account;
    device_list known = { 0 };
    size_t i;
    json_t *row, *v = vectors("device_lists");
    owner(&ik, &account);
    ck_assert_uint_eq(json_array_size(v), 2);
    json_array_foreach(v, i, row)
    {
        uint8_t want[TACET_DEVICE_LIST_MAX_BYTES], got[TACET_DEVICE_LIST_MAX_BYTES], hash[32];
        size_t n = bytes_of(row, "list", want, sizeof want), got_bytes;
        device_list mine = list_of(row, &ik), theirs;
        ck_assert_int_eq(device_list_sign(&mine, got, &got_bytes, ik.secret), TACET_OK);
        ck_assert_uint_eq(got_bytes, n);
        ck_assert_mem_eq(got, want, n);
        ck_assert_int_eq(device_list_decode(&theirs, want, n), TACET_OK);
        key_of(row, "hash", hash);
        ck_assert_mem_eq(theirs.hash, hash, 32);
        ck_assert_int_eq(device_list_follows(i ? &known : NULL, &theirs), TACET_OK);
        known = theirs;
    }
    json_decref(v);
}
END_TEST

START_TEST(directory_entries)
{
    sign_pair ik;
    account_id account;
    directory_entry mine = { 0 }, theirs;
    uint8_t want[TACET_DIRECTORY_ENTRY_BYTES], got[TACET_DIRECTORY_ENTRY_BYTES];
    json_t *v = vectors("directory_entry");
    owner(&ik, &account);
    memcpy(mine.ik, ik.public, 32);
    key_of(v, "relay", mine.relay);
    key_of(v, "token", mine.request_token);
    snprintf(mine.name, sizeof mine.name, "%s", text_of(v, "name"));
    mine.expires_s = number_of(v, "expires");
    ck_assert_uint_eq(bytes_of(v, "entry", want, sizeof want), sizeof want);
    ck_assert_int_eq(directory_entry_sign(&mine, got, ik.secret), TACET_OK);
    ck_assert_mem_eq(got, want, sizeof want);
    ck_assert_int_eq(directory_entry_decode(&theirs, want, sizeof want, mine.expires_s), TACET_OK);
    ck_assert_mem_eq(theirs.account.bytes, account.bytes, 32);
    json_decref(v);
}
END_TEST

START_TEST(prekeys)
{
    sign_pair ik, dk;
    account_id account;
    size_t i;
    json_t *row, *v = vectors("prekeys");
    owner(&ik, &account);
    ck_assert_uint_eq(json_array_size(v), 4);
    json_array_foreach(v, i, row)
    {
        uint8_t seed[32], want[TACET_PREKEY_MAX_BYTES], got[TACET_PREKEY_MAX_BYTES];
        prekey mine = { .kind = (enum prekey_kind)number_of(row, "kind"),
                        .id = (uint32_t)number_of(row, "id"),
                        .created_s = number_of(row, "created"),
                        .expires_s = number_of(row, "expires") },
               theirs;
        uint32_t device = (uint32_t)number_of(row, "device");
        size_t n = bytes_of(row, "prekey", want, sizeof want), got_bytes;
        key_of(row, "device_sign_seed", seed);
        ck_assert_int_eq(crypto_sign_seed_keypair(dk.public, dk.secret, seed), 0);
        bytes_of(row, "key", mine.key, sizeof mine.key);
        ck_assert_int_eq(prekey_sign(&mine, got, &got_bytes, &account, device, dk.secret), TACET_OK);
        ck_assert_uint_eq(got_bytes, n);
        ck_assert_mem_eq(got, want, n);
        ck_assert_int_eq(prekey_decode(&theirs, mine.kind, want, n, &account, device, dk.public, mine.created_s), TACET_OK);
    }
    json_decref(v);
}
END_TEST

START_TEST(links)
{
    size_t i;
    json_t *row, *v = vectors("links");
    ck_assert_uint_eq(json_array_size(v), 3);
    json_array_foreach(v, i, row)
    {
        contact_link mine = { 0 }, theirs;
        char text[TACET_LINK_MAX_CHARS + 1];
        snprintf(mine.name, sizeof mine.name, "%s", text_of(row, "name"));
        snprintf(mine.relay.host, sizeof mine.relay.host, "%s", text_of(row, "host"));
        mine.relay.port = (uint16_t)number_of(row, "port");
        key_of(row, "key", mine.relay.key);
        key_of(row, "account", mine.account.bytes);
        key_of(row, "token", mine.request_token);
        contact_link_format(text, &mine);
        ck_assert_str_eq(text, text_of(row, "link"));
        ck_assert_int_eq(contact_link_parse(&theirs, text), TACET_OK);
        ck_assert_mem_eq(&theirs, &mine, sizeof mine);
        relay_address_format(text, &mine.relay);
        ck_assert_str_eq(text, text_of(row, "address"));
    }
    json_decref(v);
}
END_TEST

START_TEST(M03_safety_number)
{
    uint8_t one[32], two[32];
    char digits[TACET_SAFETY_DIGITS + 1];
    json_t *v = vectors("safety_number");
    key_of(v, "ik_one", one);
    key_of(v, "ik_two", two);
    safety_number(digits, one, two);
    ck_assert_str_eq(digits, text_of(v, "digits"));
    safety_number(digits, two, one);
    ck_assert_str_eq(digits, text_of(v, "digits"));
    json_decref(v);
}
END_TEST

START_TEST(key_file)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES], again[TACET_KEYFILE_MAX_BYTES], want[32], got[32];
    size_t again_bytes;
    keyfile *k = NULL;
    json_t *v = vectors("key_file");
    static const struct {
        enum keyfile_slot slot;
        const char *secret;
    } row[] = { { KEYFILE_PLAIN, NULL }, { KEYFILE_PASSPHRASE, "passphrase" }, { KEYFILE_RECOVERY, "recovery" } };
    size_t n = bytes_of(v, "file", bytes, sizeof bytes);
    key_of(v, "database_key", want);
    ck_assert_int_eq(keyfile_decode(&k, bytes, n), TACET_OK);
    for (size_t i = 0; i < ROWS(row); i++) {
        const char *secret = row[i].secret ? text_of(v, row[i].secret) : "";
        memset(got, 0, sizeof got);
        ck_assert_int_eq(keyfile_open(k, row[i].slot, got, secret, strlen(secret)), TACET_OK);
        ck_assert_mem_eq(got, want, sizeof want);
    }
    ck_assert_int_eq(keyfile_encode(k, again, &again_bytes), TACET_OK);
    ck_assert_uint_eq(again_bytes, n);
    ck_assert_mem_eq(again, bytes, n);
    keyfile_free(k);
    json_decref(v);
}
END_TEST

/* The AEAD alone would open this file under both passphrases, to two different keys; the commitment lets only one. */
START_TEST(R21_a_key_file_for_two_passphrases_opens_with_one)
{
    uint8_t bytes[TACET_KEYFILE_MAX_BYTES], sealed[48], nonce[24], bound[64], wrap[2][32], want[2][32], got[32];
    keyfile *k = NULL;
    json_t *v = vectors("key_file_two_keys");
    size_t n = bytes_of(v, "file", bytes, sizeof bytes), bound_bytes = bytes_of(v, "associated_data", bound, sizeof bound);
    bytes_of(v, "sealed", sealed, sizeof sealed);
    bytes_of(v, "nonce", nonce, sizeof nonce);
    key_of(v, "wrap_key", wrap[0]);
    key_of(v, "other_wrap_key", wrap[1]);
    key_of(v, "database_key", want[0]);
    key_of(v, "other_database_key", want[1]);
    for (int i = 0; i < 2; i++) { /* it is what it claims to be */
        ck_assert_int_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(got, NULL, NULL, sealed, sizeof sealed, bound, bound_bytes, nonce, wrap[i]), 0);
        ck_assert_mem_eq(got, want[i], 32);
    }
    ck_assert_mem_ne(want[0], want[1], 32);
    ck_assert_int_eq(keyfile_decode(&k, bytes, n), TACET_OK);
    const char *right = text_of(v, "passphrase"), *other = text_of(v, "other_passphrase");
    ck_assert_int_eq(keyfile_open(k, KEYFILE_PASSPHRASE, got, right, strlen(right)), TACET_OK);
    ck_assert_mem_eq(got, want[0], 32);
    memset(got, 0xa5, sizeof got);
    ck_assert_int_eq(keyfile_open(k, KEYFILE_PASSPHRASE, got, other, strlen(other)), TACET_E_PASSPHRASE);
    untouched(got, sizeof got);
    keyfile_free(k);
    json_decref(v);
}
END_TEST

START_TEST(backup_file)
{
    static uint8_t plain[BACKUP_PLAIN_BYTES], chunk[BACKUP_CHUNK_BYTES];
    uint8_t head[BACKUP_HEAD_BYTES], start[BACKUP_START_BYTES], want[32], key[32], text[64];
    static const char *const begins[] = { "first_chunk_begins", "last_chunk_begins" }, *const hash[] = { "first_chunk_hash", "last_chunk_hash" };
    backup_stream s;
    json_t *v = vectors("backup");
    const char *passphrase = text_of(v, "passphrase");
    ck_assert_uint_eq(bytes_of(v, "head", head, sizeof head), sizeof head);
    ck_assert_uint_eq(bytes_of(v, "start", start, sizeof start), sizeof start);
    key_of(v, "file_key", want);
    ck_assert_int_eq(backup_head_open(key, head, passphrase, strlen(passphrase)), TACET_OK);
    ck_assert_mem_eq(key, want, 32);
    ck_assert_int_eq(backup_stream_open(&s, start, head, key), TACET_OK);
    key_of(v, "chunk_key", want);
    ck_assert_mem_eq(s.key, want, 32);
    size_t n = bytes_of(v, "first_text", text, sizeof text);
    for (int i = 0; i < 2; i++) {
        memset(plain, 0, sizeof plain);
        memcpy(plain, text, i ? 0 : n);
        ck_assert_int_eq(backup_chunk_seal(&s, chunk, plain, i == 1), TACET_OK);
        key_of(v, begins[i], want);
        ck_assert_mem_eq(chunk, want, 32);
        crypto_generichash(key, 32, chunk, sizeof chunk, NULL, 0);
        key_of(v, hash[i], want);
        ck_assert_mem_eq(key, want, 32);
    }
    json_decref(v);
}
END_TEST

/* The same crafted key file as a backup's head. */
START_TEST(R21_a_backup_for_two_passphrases_opens_with_one)
{
    uint8_t head[BACKUP_HEAD_BYTES] = "tacetbak\x01", want[32], got[32];
    json_t *v = vectors("key_file_two_keys");
    ck_assert_uint_eq(bytes_of(v, "file", head + 9, sizeof head - 9), sizeof head - 9);
    key_of(v, "database_key", want);
    const char *right = text_of(v, "passphrase"), *other = text_of(v, "other_passphrase");
    ck_assert_int_eq(backup_head_open(got, head, right, strlen(right)), TACET_OK);
    ck_assert_mem_eq(got, want, 32);
    memset(got, 0xa5, sizeof got);
    ck_assert_int_eq(backup_head_open(got, head, other, strlen(other)), TACET_E_PASSPHRASE);
    untouched(got, sizeof got);
    json_decref(v);
}
END_TEST

SUITE("vectors", TEST(account_and_token), TEST(a_signature_of_each_purpose), TEST(device_lists), TEST(directory_entries), TEST(prekeys), TEST(links),
      TEST(M03_safety_number), TEST(key_file), TEST(R21_a_key_file_for_two_passphrases_opens_with_one), TEST(backup_file),
      TEST(R21_a_backup_for_two_passphrases_opens_with_one))
