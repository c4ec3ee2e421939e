/* Signed prekeys (PROTOCOL.md §3). The kind is signed and decides the length, so one kind can never pass for another. */
#include "identity/prekey.h"
#include "base/limits.h"
#include "base/reader.h"
#include "base/writer.h"
#include <sodium.h>

enum { HEAD_BYTES = 1 + 4 + 8 + 8 };

/* The whole encoded prekey's length; 0: no such kind. */
static size_t encoded_bytes(unsigned kind)
{
    if (kind < PREKEY_SIGNED || kind > PREKEY_KEM_LAST_RESORT)
        return 0;
    return prekey_is_kem((enum prekey_kind)kind) ? TACET_PREKEY_KEM_BYTES : TACET_PREKEY_EC_BYTES;
}

static size_t key_bytes(enum prekey_kind kind) { return prekey_is_kem(kind) ? TACET_KEM_KEY_BYTES : TACET_KEY_BYTES; }

static int prekey_key_check(const prekey *p) { return prekey_is_kem(p->kind) ? mlkem768_check(p->key) : x25519_check(p->key); }

int prekey_sign(const prekey *p, uint8_t *out, size_t *out_bytes, const account_id *account, uint32_t device,
                const uint8_t device_sign_secret[TACET_SIGN_SECRET_BYTES])
{
    size_t n = encoded_bytes(p->kind);
    if (n == 0 || device == 0 || p->expires_s < p->created_s)
        return TACET_E_MALFORMED;
    int rc = prekey_key_check(p);
    if (rc != TACET_OK)
        return rc;
    writer w = writer_over(out, n);
    write_be(&w, p->kind, 1);
    write_be(&w, p->id, 4);
    write_be(&w, p->created_s, 8);
    write_be(&w, p->expires_s, 8);
    write_be(&w, prekey_is_kem(p->kind) ? KEY_MLKEM768 : KEY_X25519, 1);
    write_bytes(&w, p->key, key_bytes(p->kind));
    size_t object_bytes = writer_bytes(&w);
    object_sign(out + object_bytes, SIGN_PREKEY, account, device, out, object_bytes, device_sign_secret);
    *out_bytes = n;
    return TACET_OK;
}

int prekey_peek(const uint8_t *bytes, size_t n, enum prekey_kind *kind, uint32_t *id)
{
    reader r = reader_over(bytes, n);
    unsigned k = (unsigned)read_be(&r, 1);
    uint32_t number = (uint32_t)read_be(&r, 4);
    if (encoded_bytes(k) == 0 || n != encoded_bytes(k))
        return TACET_E_MALFORMED;
    *kind = (enum prekey_kind)k;
    *id = number;
    return TACET_OK;
}

/* Neither made in the future nor past its time, one day of tolerance both ways. */
static bool in_time(const prekey *p, uint64_t now_s)
{
    bool early = p->created_s > now_s && p->created_s - now_s > TACET_PREKEY_TOLERANCE_S;
    bool late = now_s > p->expires_s && now_s - p->expires_s > TACET_PREKEY_TOLERANCE_S;
    return !early && !late;
}

int prekey_decode(prekey *out, enum prekey_kind want, const uint8_t *bytes, size_t n, const account_id *account, uint32_t device,
                  const uint8_t device_sign[32], uint64_t now_s)
{
    prekey p = { 0 };
    int rc = prekey_peek(bytes, n, &p.kind, &p.id);
    if (rc != TACET_OK)
        return rc;
    reader r = reader_over(bytes, n);
    read_view(&r, 5);
    p.created_s = read_be(&r, 8);
    p.expires_s = read_be(&r, 8);
    unsigned type = (unsigned)read_be(&r, 1);
    read_into(&r, p.key, key_bytes(p.kind));
    const uint8_t *signature = read_view(&r, TACET_SIGNATURE_BYTES);
    if (!signature || !reader_done(&r) || p.kind != want || p.expires_s < p.created_s)
        return TACET_E_MALFORMED;
    if (type != (prekey_is_kem(p.kind) ? KEY_MLKEM768 : KEY_X25519))
        return TACET_E_KEY;
    rc = prekey_key_check(&p);
    if (rc != TACET_OK)
        return rc;
    rc = object_verify(signature, SIGN_PREKEY, account, device, bytes, n - TACET_SIGNATURE_BYTES, device_sign);
    if (rc != TACET_OK)
        return rc;
    if (!in_time(&p, now_s))
        return TACET_E_EXPIRED;
    *out = p;
    return TACET_OK;
}
