/* server/directory_accounts.c: who exists: registration, and the device lists that follow. See directory.h. */
#include "server/directory_parts.h"
#include "identity/directory.h"
#include "server/limits.h"
#include <sodium.h>
#include <string.h>

int directory_newest(relay_store *s, const uint8_t account[32], device_list *out)
{
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    size_t n = 0;
    int rc = relay_list_newest(s, account, bytes, sizeof bytes, &n);
    if (rc != TACET_OK)
        return rc == TACET_E_QUOTA ? TACET_E_CORRUPT : rc;
    return device_list_reread(out, bytes, n) == TACET_OK ? TACET_OK : TACET_E_CORRUPT;
}

/* --- registration and devices -------------------------------------------------------------------------------------------------------- */
static int proof_check(const request_job *r, enum sign_purpose purpose, const device_list *l, view proof)
{
    uint8_t object[64 + TACET_HASH_BYTES];
    memcpy(object, r->handshake_hash, 64);
    memcpy(object + 64, l->hash, TACET_HASH_BYTES);
    return object_verify(proof.at, purpose, &l->account, 0, object, sizeof object, l->ik);
}

error_code verify_register(const request_job *r, const frame *f)
{
    device_list l;
    if (device_list_decode(&l, f->register_.list.at, f->register_.list.bytes) != TACET_OK || device_list_follows(NULL, &l) != TACET_OK)
        return ERROR_MALFORMED;
    const device_entry *d = device_list_find(&l, f->register_.device);
    if (!d || sodium_memcmp(d->transport, r->transport_key, 32) != 0)
        return ERROR_REFUSED;
    return proof_check(r, SIGN_REGISTER, &l, f->register_.proof) == TACET_OK ? 0 : ERROR_REFUSED;
}

error_code verify_devices(const request_job *r, const frame *f)
{
    device_list l;
    if (device_list_decode(&l, f->devices.list.at, f->devices.list.bytes) != TACET_OK)
        return ERROR_MALFORMED;
    /* A device that has a mailbox speaks for its account; one that has none brings a list that names it: a backup that was restored. */
    bool may = r->who.mailbox ? sodium_memcmp(l.account.bytes, r->who.account, 32) == 0 : device_list_find_transport(&l, r->transport_key) != NULL;
    if (!may)
        return ERROR_REFUSED;
    return proof_check(r, SIGN_DEVICES_CHANGE, &l, f->devices.proof) == TACET_OK ? 0 : ERROR_REFUSED;
}

/* Every device of `next` that `known` (may be NULL) does not have must bring a transport key that opens no mailbox yet. */
static int new_keys_are_free(relay_store *s, const device_list *known, const device_list *next, bool *free_)
{
    *free_ = true;
    for (unsigned i = 0; i < next->count && *free_; i++) {
        const device_entry *d = &next->device[i], *old = known ? device_list_find(known, d->id) : NULL;
        if (old) {
            *free_ = sodium_memcmp(old->transport, d->transport, 32) == 0;
            continue;
        }
        uint32_t mailbox, device;
        uint8_t account[32];
        int rc = relay_transport_find(s, d->transport, &mailbox, account, &device);
        if (rc != TACET_OK && rc != TACET_E_NOT_FOUND)
            return rc;
        for (unsigned j = 0; j < i; j++)
            *free_ &= sodium_memcmp(next->device[j].transport, d->transport, 32) != 0;
        *free_ &= rc == TACET_E_NOT_FOUND;
    }
    return TACET_OK;
}

static int add_mailboxes(relay_store *s, const device_list *known, const device_list *next)
{
    int rc = TACET_OK;
    for (unsigned i = 0; i < next->count && rc == TACET_OK; i++) {
        const device_entry *d = &next->device[i];
        uint32_t mailbox;
        if (known && device_list_find(known, d->id))
            continue;
        rc = relay_mailbox_add(s, next->account.bytes, d->id, d->transport, &mailbox);
    }
    return rc > 0 ? TACET_E_BUG : rc; /* a verdict here means that the checks before were wrong: give the whole group up */
}

/* 0, or why there is no room for the devices of `next` that `known` (may be NULL) does not have. A fault goes to *fault. */
static error_code room_for_devices(request_job *r, relay_store *s, const device_list *known, const device_list *next, int *fault)
{
    uint32_t more = 0, left = 0;
    for (unsigned i = 0; i < next->count; i++)
        more += !known || !device_list_find(known, next->device[i].id);
    if (more && !r->new_devices)
        return ERROR_RATE;
    if (more)
        *fault = relay_mailboxes_left(s, r->policy.mailboxes_max, &left);
    r->effects.new_devices = more;
    return more <= left ? 0 : ERROR_QUOTA;
}

static bool take_first(void *ctx, uint64_t version, blob list)
{
    device_list *first = ctx;
    if (version != 1 || device_list_reread(first, list.at, list.bytes) != TACET_OK)
        first->version = 0;
    return false; /* no more of them */
}

static int list_was_first(relay_store *s, const device_list *l, bool *same)
{
    device_list first = { .version = 0 };
    int rc = relay_lists_after(s, l->account.bytes, 0, take_first, &first);
    if (rc == TACET_OK && first.version == 0)
        rc = TACET_E_CORRUPT;
    if (rc == TACET_OK)
        *same = sodium_memcmp(first.hash, l->hash, TACET_HASH_BYTES) == 0;
    return rc;
}

static void become(request_job *r, const device_list *l, uint32_t device, uint32_t mailbox)
{
    const device_entry *d = device_list_find(l, device);
    memcpy(r->who.account, l->account.bytes, 32);
    memcpy(r->who.sign, d->sign, 32);
    r->who.device = device;
    r->who.mailbox = mailbox;
    r->effects.registered = true;
}

/* The connection of a device that a list has just made known: from now on it is that device. */
static int become_listed(request_job *r, relay_store *s, const device_list *l)
{
    const device_entry *d = device_list_find_transport(l, r->transport_key);
    uint32_t mailbox = 0;
    if (r->who.mailbox || !d)
        return TACET_OK;
    int rc = relay_mailbox_find(s, l->account.bytes, d->id, &mailbox);
    if (rc == TACET_OK)
        become(r, l, d->id, mailbox);
    return rc > 0 ? TACET_E_CORRUPT : rc;
}

/* The transport key is known already: fine when this is the registration that made it known. Who that device is now, the newest list says. */
static int register_again(request_job *r, relay_store *s, const device_list *l, uint32_t device)
{
    device_list newest;
    uint32_t mailbox, known_device;
    uint8_t account[32];
    bool same = false;
    int rc = relay_transport_find(s, r->transport_key, &mailbox, account, &known_device);
    if (rc != TACET_OK)
        return rc;
    if (known_device != device || sodium_memcmp(account, l->account.bytes, 32) != 0)
        return refuse(r, ERROR_EXISTS);
    rc = list_was_first(s, l, &same);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    if (!same)
        return refuse(r, ERROR_EXISTS);
    rc = directory_newest(s, account, &newest);
    if (rc != TACET_OK || !device_list_find(&newest, device))
        return rc < 0 ? rc : TACET_E_CORRUPT;
    become(r, &newest, device, mailbox);
    return directory_answer_ok(r);
}

/* 0, or why a new account may not come in. A fault goes to *fault. */
static error_code admit(const request_job *r, relay_store *s, view invite, int *fault)
{
    uint8_t hash[32];
    if (r->policy.registration == REGISTRATION_OPEN)
        return 0;
    if (r->policy.registration == REGISTRATION_CLOSED)
        return ERROR_REGISTRATION_CLOSED;
    if (invite.bytes != TACET_TOKEN_BYTES)
        return ERROR_INVITE;
    token_hash(hash, invite.at);
    int rc = relay_invite_use(s, hash, r->now_s);
    if (rc < 0)
        *fault = rc;
    return rc == TACET_OK ? 0 : ERROR_INVITE;
}

int run_register(request_job *r, relay_store *s, const frame *f)
{
    device_list l, known;
    bool free_;
    int rc = device_list_decode(&l, f->register_.list.at, f->register_.list.bytes);
    if (rc != TACET_OK)
        return refuse(r, ERROR_MALFORMED);
    rc = register_again(r, s, &l, f->register_.device);
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    rc = directory_newest(s, l.account.bytes, &known);
    if (rc != TACET_E_NOT_FOUND)
        return rc == TACET_OK ? refuse(r, ERROR_EXISTS) : rc;
    rc = new_keys_are_free(s, NULL, &l, &free_);
    if (rc != TACET_OK)
        return rc;
    if (!free_)
        return refuse(r, ERROR_EXISTS);
    error_code no = room_for_devices(r, s, NULL, &l, &rc);
    if (rc == TACET_OK && !no)
        no = admit(r, s, f->register_.invite, &rc);
    if (rc != TACET_OK || no)
        return rc != TACET_OK ? rc : refuse(r, no);
    blob list = { f->register_.list.at, f->register_.list.bytes };
    rc = relay_account_add(s, l.account.bytes, l.version, l.hash, list, (uint32_t)(r->now_s / 3600));
    if (rc == TACET_OK)
        rc = add_mailboxes(s, NULL, &l);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_BUG : rc;
    rc = become_listed(r, s, &l);
    return rc == TACET_OK ? directory_answer_ok(r) : rc;
}

/* Mailboxes of devices that `next` no longer has. */
static int remove_mailboxes(request_job *r, relay_store *s, const device_list *known, const device_list *next)
{
    for (unsigned i = 0; i < known->count; i++) {
        uint32_t mailbox;
        if (device_list_find(next, known->device[i].id))
            continue;
        int rc = relay_mailbox_find(s, known->account.bytes, known->device[i].id, &mailbox);
        if (rc == TACET_OK)
            rc = relay_mailbox_remove(s, mailbox);
        if (rc != TACET_OK)
            return rc > 0 ? TACET_E_CORRUPT : rc;
        r->effects.removed_mailbox[r->effects.removed_mailboxes++] = mailbox;
    }
    return TACET_OK;
}

int run_devices(request_job *r, relay_store *s, const frame *f)
{
    device_list next, known;
    bool free_;
    if (device_list_decode(&next, f->devices.list.at, f->devices.list.bytes) != TACET_OK)
        return refuse(r, ERROR_MALFORMED);
    int rc = directory_newest(s, next.account.bytes, &known);
    if (rc == TACET_E_NOT_FOUND && !r->who.mailbox)
        return refuse(r, ERROR_NOT_REGISTERED);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    int follows = device_list_follows(&known, &next);
    if (follows == TACET_E_REPLAY && next.version == known.version) { /* the same again */
        rc = become_listed(r, s, &next);
        return rc == TACET_OK ? directory_answer_ok(r) : rc;
    }
    if (follows != TACET_OK)
        return refuse(r, follows == TACET_E_VERSION || follows == TACET_E_FORGED || follows == TACET_E_KEY ? ERROR_REFUSED : ERROR_STALE_LIST);
    if (next.version > TACET_LIST_VERSIONS_MAX)
        return refuse(r, ERROR_QUOTA);
    rc = new_keys_are_free(s, &known, &next, &free_);
    if (rc != TACET_OK)
        return rc;
    if (!free_)
        return refuse(r, ERROR_EXISTS);
    error_code no = room_for_devices(r, s, &known, &next, &rc);
    if (rc != TACET_OK || no)
        return rc != TACET_OK ? rc : refuse(r, no);
    rc = relay_list_add(s, next.account.bytes, next.version, next.hash, (blob){ f->devices.list.at, f->devices.list.bytes });
    if (rc == TACET_OK)
        rc = add_mailboxes(s, &known, &next);
    if (rc == TACET_OK)
        rc = remove_mailboxes(r, s, &known, &next);
    if (rc == TACET_OK)
        rc = become_listed(r, s, &next);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_BUG : rc;
    r->effects.routes_changed = true;
    return directory_answer_ok(r);
}
