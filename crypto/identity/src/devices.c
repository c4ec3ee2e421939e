/* The signed device list (PROTOCOL.md §3). Verified over the bytes received; what is kept is the parsed form, whose keys are all good. */
#include "identity/devices.h"
#include "base/reader.h"
#include "base/writer.h"
#include <assert.h>
#include <sodium.h>

enum { HEAD_BYTES = 33 + 8 + 32 + 1, DEVICE_BYTES = 4 + 3 * 33 + 1 + 1 + 8 };

static void write_key(writer *w, enum key_type type, const uint8_t raw[32])
{
    uint8_t typed[TACET_TYPED_KEY_BYTES];
    key_encode(typed, type, raw);
    write_bytes(w, typed, sizeof typed);
}

/* The object: everything before the signature. */
static size_t object_write(const device_list *l, uint8_t out[TACET_DEVICE_LIST_MAX_BYTES])
{
    writer w = writer_over(out, TACET_DEVICE_LIST_MAX_BYTES - TACET_SIGNATURE_BYTES);
    write_key(&w, KEY_ED25519, l->ik);
    write_be(&w, l->version, 8);
    write_bytes(&w, l->previous, sizeof l->previous);
    write_be(&w, l->count, 1);
    for (size_t i = 0; i < l->count; i++) {
        const device_entry *d = &l->device[i];
        write_be(&w, d->id, 4);
        write_key(&w, KEY_ED25519, d->sign);
        write_key(&w, KEY_X25519, d->dh);
        write_key(&w, KEY_X25519, d->transport);
        write_be(&w, d->lowest, 1);
        write_be(&w, d->highest, 1);
        write_be(&w, d->created_s, 8);
    }
    return writer_bytes(&w);
}

int device_list_sign(device_list *l, uint8_t *out, size_t *out_bytes, const uint8_t ik_secret[TACET_SIGN_SECRET_BYTES])
{
    uint8_t buf[TACET_DEVICE_LIST_MAX_BYTES] = { 0 }; /* whatever is written into it: it is read back below */
    device_list check;
    account_id account;
    if (l->count > TACET_DEVICES_MAX)
        return TACET_E_MALFORMED;
    size_t n = object_write(l, buf);
    account_of(&account, l->ik);
    object_sign(buf + n, SIGN_DEVICE_LIST, &account, 0, buf, n, ik_secret);
    n += TACET_SIGNATURE_BYTES;
    int rc = device_list_decode(&check, buf, n); /* we publish nothing that others would refuse */
    if (rc != TACET_OK)
        return rc;
    *l = check;
    memcpy(out, buf, n);
    *out_bytes = n;
    return TACET_OK;
}

/* Keys are gathered raw and typed as they stand; whether they are good is asked after the shape. */
typedef struct {
    enum key_type type;
    const uint8_t *typed;
    uint8_t *raw;
} key_slot;

typedef struct {
    key_slot key[1 + 3 * TACET_DEVICES_MAX];
    size_t count;
} key_slots;

static void read_key(reader *r, key_slots *k, enum key_type type, uint8_t *raw)
{
    k->key[k->count++] = (key_slot){ type, read_view(r, TACET_TYPED_KEY_BYTES), raw };
}

static bool device_read(reader *r, key_slots *k, device_entry *d, uint32_t after)
{
    d->id = (uint32_t)read_be(r, 4);
    read_key(r, k, KEY_ED25519, d->sign);
    read_key(r, k, KEY_X25519, d->dh);
    read_key(r, k, KEY_X25519, d->transport);
    d->lowest = (uint8_t)read_be(r, 1);
    d->highest = (uint8_t)read_be(r, 1);
    d->created_s = read_be(r, 8);
    return d->id > after && d->lowest >= 1 && d->highest >= d->lowest;
}

/* Every key is good, and none serves two purposes or two devices. */
static int keys_check(const key_slots *k)
{
    for (size_t i = 0; i < k->count; i++) {
        int rc = key_decode(k->key[i].raw, k->key[i].type, k->key[i].typed);
        if (rc != TACET_OK)
            return rc;
        for (size_t j = 0; j < i; j++)
            if (sodium_memcmp(k->key[i].raw, k->key[j].raw, TACET_KEY_BYTES) == 0)
                return TACET_E_KEY;
    }
    return TACET_OK;
}

/* The shape, and every key where it belongs; whether the keys are good and who signed is another question. */
static int list_read(device_list *l, key_slots *keys, const uint8_t *bytes, size_t n)
{
    reader r = reader_over(bytes, n);
    read_key(&r, keys, KEY_ED25519, l->ik);
    l->version = read_be(&r, 8);
    read_into(&r, l->previous, sizeof l->previous);
    l->count = (uint8_t)read_be(&r, 1);
    bool shape = l->count >= 1 && l->count <= TACET_DEVICES_MAX && reader_left(&r) == l->count * (size_t)DEVICE_BYTES + TACET_SIGNATURE_BYTES;
    for (size_t i = 0; shape && i < l->count; i++)
        shape = device_read(&r, keys, &l->device[i], i ? l->device[i - 1].id : 0);
    if (!shape || !read_view(&r, TACET_SIGNATURE_BYTES) || !reader_done(&r) || l->version == 0 ||
        (l->version == 1) != (bool)sodium_is_zero(l->previous, sizeof l->previous))
        return TACET_E_MALFORMED;
    return TACET_OK;
}

/* What follows from the bytes. */
static void list_name(device_list *l, const uint8_t *bytes, size_t n)
{
    account_of(&l->account, l->ik);
    int rc = crypto_generichash(l->hash, sizeof l->hash, bytes, n - TACET_SIGNATURE_BYTES, NULL, 0);
    assert(rc == 0);
}

int device_list_decode(device_list *out, const uint8_t *bytes, size_t n)
{
    device_list l = { 0 };
    key_slots keys = { 0 };
    int rc = list_read(&l, &keys, bytes, n);
    if (rc == TACET_OK)
        rc = keys_check(&keys);
    if (rc != TACET_OK)
        return rc;
    list_name(&l, bytes, n);
    rc = object_verify(bytes + n - TACET_SIGNATURE_BYTES, SIGN_DEVICE_LIST, &l.account, 0, bytes, n - TACET_SIGNATURE_BYTES, l.ik);
    if (rc == TACET_OK)
        *out = l;
    return rc;
}

int device_list_reread(device_list *out, const uint8_t *bytes, size_t n)
{
    device_list l = { 0 };
    key_slots keys = { 0 };
    int rc = list_read(&l, &keys, bytes, n);
    if (rc != TACET_OK)
        return rc;
    for (size_t i = 0; i < keys.count; i++) {
        const uint8_t *typed = keys.key[i].typed;
        if (!typed || typed[0] != (uint8_t)keys.key[i].type)
            return TACET_E_KEY;
        memcpy(keys.key[i].raw, typed + 1, TACET_KEY_BYTES);
    }
    list_name(&l, bytes, n);
    *out = l;
    return TACET_OK;
}

static bool same_keys(const device_entry *a, const device_entry *b)
{
    return sodium_memcmp(a->sign, b->sign, sizeof a->sign) == 0 && sodium_memcmp(a->dh, b->dh, sizeof a->dh) == 0 &&
           sodium_memcmp(a->transport, b->transport, sizeof a->transport) == 0;
}

/* A list that is the first one we see may break the rule below: then nothing follows it. */
static bool numbers_given_out(const device_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->device[i].id > l->version)
            return false;
    return true;
}

/* A version gives out its own number and no other: so none comes back with other keys, however long ago its device left. What a device speaks never
 * shrinks. Both would be a way back to something weaker. */
static int devices_follow(const device_list *known, const device_list *next)
{
    if (!numbers_given_out(known))
        return TACET_E_KEY;
    for (size_t i = 0; i < next->count; i++) {
        const device_entry *now = &next->device[i], *before = device_list_find(known, now->id);
        if (before ? !same_keys(before, now) : now->id != next->version)
            return TACET_E_KEY;
        if (before && now->highest < before->highest)
            return TACET_E_VERSION;
    }
    return TACET_OK;
}

int device_list_follows(const device_list *known, const device_list *next)
{
    static const device_list nothing;
    if (!known)
        return next->version == 1 ? devices_follow(&nothing, next) : TACET_E_GAP;
    if (sodium_memcmp(known->account.bytes, next->account.bytes, TACET_ACCOUNT_BYTES) != 0)
        return TACET_E_FORGED;
    if (next->version < known->version)
        return TACET_E_REPLAY;
    if (next->version == known->version)
        return sodium_memcmp(known->hash, next->hash, TACET_HASH_BYTES) == 0 ? TACET_E_REPLAY : TACET_E_FORK;
    if (next->version - known->version > 1)
        return TACET_E_GAP;
    if (sodium_memcmp(known->hash, next->previous, TACET_HASH_BYTES) != 0)
        return TACET_E_FORK;
    return devices_follow(known, next);
}

const device_entry *device_list_find(const device_list *l, uint32_t device)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->device[i].id == device)
            return &l->device[i];
    return NULL;
}

const device_entry *device_list_find_transport(const device_list *l, const uint8_t tk[32])
{
    for (size_t i = 0; i < l->count; i++)
        if (sodium_memcmp(l->device[i].transport, tk, TACET_KEY_BYTES) == 0)
            return &l->device[i];
    return NULL;
}
