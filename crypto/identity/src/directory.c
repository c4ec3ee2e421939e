/* Names and what they are bound to (PROTOCOL.md §3). */
#include "identity/directory.h"
#include "base/reader.h"
#include "base/writer.h"
#include <assert.h>
#include <sodium.h>

enum { OBJECT_BYTES = TACET_DIRECTORY_ENTRY_BYTES - TACET_SIGNATURE_BYTES, EXPIRY_TOLERANCE_S = 86400 };

static bool name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool name_valid(const char *name, size_t chars)
{
    if (chars < 1 || chars > TACET_NAME_MAX_CHARS || !name_start(name[0]))
        return false;
    for (size_t i = 1; i < chars; i++)
        if (!name_start(name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-')
            return false;
    return true;
}

int directory_entry_sign(directory_entry *e, uint8_t out[TACET_DIRECTORY_ENTRY_BYTES], const uint8_t ik_secret[TACET_SIGN_SECRET_BYTES])
{
    uint8_t buf[TACET_DIRECTORY_ENTRY_BYTES] = { 0 }, typed[TACET_TYPED_KEY_BYTES];
    directory_entry check;
    account_id account;
    size_t chars = strnlen(e->name, sizeof e->name);
    if (!name_valid(e->name, chars))
        return TACET_E_MALFORMED;
    writer w = writer_over(buf, OBJECT_BYTES);
    key_encode(typed, KEY_ED25519, e->ik);
    write_bytes(&w, typed, sizeof typed);
    write_bytes(&w, e->relay, sizeof e->relay);
    write_be(&w, chars, 1);
    write_bytes(&w, e->name, chars);
    write_zeros(&w, TACET_NAME_MAX_CHARS - chars);
    write_bytes(&w, e->request_token, sizeof e->request_token);
    write_be(&w, e->expires_s, 8);
    assert(writer_bytes(&w) == OBJECT_BYTES);
    account_of(&account, e->ik);
    object_sign(buf + OBJECT_BYTES, SIGN_DIRECTORY, &account, 0, buf, OBJECT_BYTES, ik_secret);
    int rc = directory_entry_decode(&check, buf, sizeof buf, e->expires_s); /* we publish nothing that others would refuse */
    if (rc != TACET_OK)
        return rc;
    *e = check;
    memcpy(out, buf, sizeof buf);
    return TACET_OK;
}

int directory_entry_decode(directory_entry *out, const uint8_t *bytes, size_t n, uint64_t now_s)
{
    directory_entry e = { 0 };
    reader r = reader_over(bytes, n);
    const uint8_t *typed = read_view(&r, TACET_TYPED_KEY_BYTES);
    read_into(&r, e.relay, sizeof e.relay);
    size_t chars = read_be(&r, 1);
    read_into(&r, (uint8_t *)e.name, TACET_NAME_MAX_CHARS);
    read_into(&r, e.request_token, sizeof e.request_token);
    e.expires_s = read_be(&r, 8);
    const uint8_t *signature = read_view(&r, TACET_SIGNATURE_BYTES);
    if (!reader_done(&r) || !name_valid(e.name, chars) || !sodium_is_zero((uint8_t *)e.name + chars, sizeof e.name - chars))
        return TACET_E_MALFORMED;
    int rc = key_decode(e.ik, KEY_ED25519, typed);
    if (rc == TACET_OK)
        rc = x25519_check(e.relay);
    if (rc != TACET_OK)
        return rc;
    account_of(&e.account, e.ik);
    rc = object_verify(signature, SIGN_DIRECTORY, &e.account, 0, bytes, OBJECT_BYTES, e.ik);
    if (rc != TACET_OK)
        return rc;
    if (now_s > e.expires_s && now_s - e.expires_s > EXPIRY_TOLERANCE_S)
        return TACET_E_EXPIRED;
    *out = e;
    return TACET_OK;
}

void token_hash(uint8_t out[TACET_HASH_BYTES], const uint8_t token[TACET_TOKEN_BYTES])
{
    uint8_t buf[sizeof "tacet token" + TACET_TOKEN_BYTES];
    writer w = writer_over(buf, sizeof buf);
    write_label(&w, "tacet token");
    write_bytes(&w, token, TACET_TOKEN_BYTES);
    assert(writer_bytes(&w) == sizeof buf);
    int rc = crypto_generichash(out, TACET_HASH_BYTES, buf, sizeof buf, NULL, 0);
    assert(rc == 0);
    sodium_memzero(buf, sizeof buf);
}
