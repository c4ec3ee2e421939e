/* server/directory.c: what the requests about accounts, devices, prekeys, tokens and names do to the store. One row a request in `handlers`; each
 * handler checks everything first and writes last, so that a refused request has written nothing (the group's transaction goes on with others). */
#include "server/directory.h"
#include "server/reply.h"
#include "base/writer.h"
#include "identity/devices.h"
#include "identity/directory.h"
#include "identity/prekey.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Room for the lists in one reply: a frame less its head and the heads of its fields. */
enum { LISTS_REPLY_BYTES = TACET_FRAME_MAX_BYTES - 2048 };

request_job *request_job_new(frame_kind what, const uint8_t *body, size_t bytes)
{
    request_job *r = calloc(1, sizeof *r + bytes);
    if (!r)
        return NULL;
    r->job.kind = JOB_REQUEST;
    r->job.charged = sizeof *r + bytes;
    r->what = what;
    r->body_bytes = (uint32_t)bytes;
    memcpy(r->body, body, bytes);
    return r;
}

void request_job_free(request_job *r)
{
    if (!r)
        return;
    free(r->reply);
    sodium_memzero(r, sizeof *r + r->body_bytes);
    free(r);
}

/* A refusal is no fault: the group goes on. */
static int refuse(request_job *r, error_code why)
{
    r->error = why;
    return TACET_OK;
}

static int answer(request_job *r, const frame *f)
{
    frame with_id = *f;
    with_id.id = r->job.id;
    free(r->reply); /* a group that was rolled back is read again */
    r->reply = NULL;
    return reply_encode(&with_id, &r->reply, &r->reply_bytes);
}

static int answer_ok(request_job *r) { return answer(r, &(frame){ .kind = FRAME_OK }); }

/* --- reading lists ------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    uint64_t first, count;
    uint8_t bytes[TACET_DEVICE_LIST_MAX_BYTES];
    size_t n;
} newest_list;

static bool keep_newest(void *ctx, uint64_t version, blob list)
{
    newest_list *l = ctx;
    if (l->count++ == 0)
        l->first = version;
    if (list.bytes > sizeof l->bytes)
        return false;
    memcpy(l->bytes, list.at, list.bytes);
    l->n = list.bytes;
    return true;
}

/* The newest device list of an account. TACET_E_NOT_FOUND: no such account. */
static int newest_of(relay_store *s, const uint8_t account[32], device_list *out)
{
    newest_list l = { 0 };
    int rc = relay_lists_after(s, account, 0, keep_newest, &l);
    if (rc != TACET_OK)
        return rc;
    if (l.count == 0)
        return TACET_E_NOT_FOUND;
    return device_list_decode(out, l.bytes, l.n) == TACET_OK ? TACET_OK : TACET_E_CORRUPT;
}

/* --- registration and devices -------------------------------------------------------------------------------------------------------- */
static int proof_check(const request_job *r, enum sign_purpose purpose, const device_list *l, view proof)
{
    uint8_t object[64 + TACET_HASH_BYTES];
    memcpy(object, r->handshake_hash, 64);
    memcpy(object + 64, l->hash, TACET_HASH_BYTES);
    return object_verify(proof.at, purpose, &l->account, 0, object, sizeof object, l->ik);
}

static error_code verify_register(const request_job *r, const frame *f)
{
    device_list l;
    if (device_list_decode(&l, f->register_.list.at, f->register_.list.bytes) != TACET_OK || device_list_follows(NULL, &l) != TACET_OK)
        return ERROR_MALFORMED;
    const device_entry *d = device_list_find(&l, f->register_.device);
    if (!d || sodium_memcmp(d->transport, r->transport_key, 32) != 0)
        return ERROR_REFUSED;
    return proof_check(r, SIGN_REGISTER, &l, f->register_.proof) == TACET_OK ? 0 : ERROR_REFUSED;
}

static error_code verify_devices(const request_job *r, const frame *f)
{
    device_list l;
    if (device_list_decode(&l, f->devices.list.at, f->devices.list.bytes) != TACET_OK)
        return ERROR_MALFORMED;
    if (sodium_memcmp(l.account.bytes, r->who.account, 32) != 0)
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

static int add_mailboxes(request_job *r, relay_store *s, const device_list *known, const device_list *next)
{
    int rc = TACET_OK;
    for (unsigned i = 0; i < next->count && rc == TACET_OK; i++) {
        const device_entry *d = &next->device[i];
        uint32_t mailbox;
        if (known && device_list_find(known, d->id))
            continue;
        rc = relay_mailbox_add(s, next->account.bytes, d->id, d->transport, &mailbox);
        if (rc == TACET_OK && sodium_memcmp(d->transport, r->transport_key, 32) == 0)
            r->who.mailbox = mailbox;
    }
    return rc > 0 ? TACET_E_BUG : rc; /* a verdict here means that the checks before were wrong: give the whole group up */
}

static int list_was_first(relay_store *s, const device_list *l, bool *same)
{
    device_list now;
    int rc = newest_of(s, l->account.bytes, &now);
    if (rc == TACET_OK)
        *same = now.version == l->version ? sodium_memcmp(now.hash, l->hash, TACET_HASH_BYTES) == 0 : true;
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

/* The transport key is known already: fine when this is the registration that made it known. */
static int register_again(request_job *r, relay_store *s, const device_list *l, uint32_t device)
{
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
    become(r, l, device, mailbox);
    return answer_ok(r);
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

static int run_register(request_job *r, relay_store *s, const frame *f)
{
    device_list l, known;
    bool free_;
    int rc = device_list_decode(&l, f->register_.list.at, f->register_.list.bytes);
    if (rc != TACET_OK)
        return refuse(r, ERROR_MALFORMED);
    rc = register_again(r, s, &l, f->register_.device);
    if (rc != TACET_E_NOT_FOUND)
        return rc;
    rc = newest_of(s, l.account.bytes, &known);
    if (rc != TACET_E_NOT_FOUND)
        return rc == TACET_OK ? refuse(r, ERROR_EXISTS) : rc;
    rc = new_keys_are_free(s, NULL, &l, &free_);
    if (rc != TACET_OK)
        return rc;
    if (!free_)
        return refuse(r, ERROR_EXISTS);
    error_code no = admit(r, s, f->register_.invite, &rc);
    if (rc != TACET_OK || no)
        return rc != TACET_OK ? rc : refuse(r, no);
    blob list = { f->register_.list.at, f->register_.list.bytes };
    rc = relay_account_add(s, l.account.bytes, l.version, l.hash, list, (uint32_t)(r->now_s / 3600));
    if (rc == TACET_OK)
        rc = add_mailboxes(r, s, NULL, &l);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_BUG : rc;
    become(r, &l, f->register_.device, r->who.mailbox);
    return answer_ok(r);
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

static int run_devices(request_job *r, relay_store *s, const frame *f)
{
    device_list next, known;
    bool free_;
    if (device_list_decode(&next, f->devices.list.at, f->devices.list.bytes) != TACET_OK)
        return refuse(r, ERROR_MALFORMED);
    int rc = newest_of(s, r->who.account, &known);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    int follows = device_list_follows(&known, &next);
    if (follows == TACET_E_REPLAY && next.version == known.version)
        return answer_ok(r); /* the same again */
    if (follows != TACET_OK)
        return refuse(r, follows == TACET_E_VERSION || follows == TACET_E_FORGED || follows == TACET_E_KEY ? ERROR_REFUSED : ERROR_STALE_LIST);
    if (next.version > RELAY_LIST_VERSIONS_MAX)
        return refuse(r, ERROR_QUOTA);
    rc = new_keys_are_free(s, &known, &next, &free_);
    if (rc != TACET_OK)
        return rc;
    if (!free_)
        return refuse(r, ERROR_EXISTS);
    rc = relay_list_add(s, next.account.bytes, next.version, next.hash, (blob){ f->devices.list.at, f->devices.list.bytes });
    if (rc == TACET_OK)
        rc = add_mailboxes(r, s, &known, &next);
    if (rc == TACET_OK)
        rc = remove_mailboxes(r, s, &known, &next);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_BUG : rc;
    r->effects.routes_changed = true;
    return answer_ok(r);
}

/* --- names --------------------------------------------------------------------------------------------------------------------------- */
static error_code verify_publish_name(const request_job *r, const frame *f)
{
    directory_entry e;
    int rc = directory_entry_decode(&e, f->publish_name.entry.at, f->publish_name.entry.bytes, r->now_s);
    if (rc != TACET_OK)
        return rc == TACET_E_EXPIRED ? ERROR_EXPIRED : ERROR_MALFORMED;
    if (e.expires_s > r->now_s + TACET_DIRECTORY_LIFETIME_S + 86400)
        return ERROR_MALFORMED;
    bool ours = sodium_memcmp(e.relay, r->relay_key, 32) == 0 && sodium_memcmp(e.account.bytes, r->who.account, 32) == 0;
    return ours ? 0 : ERROR_REFUSED;
}

static int run_publish_name(request_job *r, relay_store *s, const frame *f)
{
    directory_entry e;
    view entry = f->publish_name.entry;
    if (directory_entry_decode(&e, entry.at, entry.bytes, r->now_s) != TACET_OK)
        return refuse(r, ERROR_MALFORMED);
    int rc = relay_name_put(s, e.name, r->who.account, r->now_s, e.expires_s, (blob){ entry.at, entry.bytes });
    if (rc == TACET_E_EXISTS)
        return refuse(r, ERROR_NAME_TAKEN);
    return rc == TACET_OK ? answer_ok(r) : rc > 0 ? TACET_E_BUG : rc;
}

static int run_withdraw_name(request_job *r, relay_store *s, const frame *f)
{
    (void)f;
    int rc = relay_name_remove(s, r->who.account);
    return rc == TACET_OK || rc == TACET_E_NOT_FOUND ? answer_ok(r) : rc;
}

static int run_lookup(request_job *r, relay_store *s, const frame *f)
{
    char name[TACET_NAME_MAX_CHARS + 1] = { 0 };
    uint8_t entry[TACET_DIRECTORY_ENTRY_BYTES];
    size_t n = f->lookup.name.bytes;
    if (n > TACET_NAME_MAX_CHARS || !name_valid((const char *)f->lookup.name.at, n))
        return refuse(r, ERROR_NOT_FOUND);
    memcpy(name, f->lookup.name.at, n);
    int rc = relay_name_find(s, name, r->now_s, entry, sizeof entry, &n);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? refuse(r, ERROR_NOT_FOUND) : rc;
    return answer(r, &(frame){ .kind = FRAME_LOOKUP_REPLY, .lookup_reply.entry = { entry, n } });
}

/* --- prekeys ------------------------------------------------------------------------------------------------------------------------- */
static error_code verify_prekeys(const request_job *r, const frame *f)
{
    account_id account;
    memcpy(account.bytes, r->who.account, 32);
    for (uint32_t i = 0; i < f->publish_prekeys.prekeys.count; i++) {
        view v = f->publish_prekeys.prekeys.item[i];
        enum prekey_kind kind;
        uint32_t id;
        prekey p;
        if (prekey_peek(v.at, v.bytes, &kind, &id) != TACET_OK)
            return ERROR_MALFORMED;
        int rc = prekey_decode(&p, kind, v.at, v.bytes, &account, r->who.device, r->who.sign, r->now_s);
        if (rc != TACET_OK)
            return rc == TACET_E_EXPIRED ? ERROR_EXPIRED : rc == TACET_E_FORGED ? ERROR_REFUSED : ERROR_MALFORMED;
    }
    return 0;
}

static int answer_counts(request_job *r, relay_store *s)
{
    frame f = { .kind = FRAME_PREKEY_COUNTS };
    int rc = relay_prekey_counts(s, r->who.mailbox, &f.prekey_counts.one_time, &f.prekey_counts.kem, &f.prekey_counts.handed_out);
    return rc == TACET_OK ? answer(r, &f) : rc > 0 ? TACET_E_CORRUPT : rc;
}

static int run_publish_prekeys(request_job *r, relay_store *s, const frame *f)
{
    uint32_t count[2];
    uint64_t handed_out;
    int rc = relay_prekey_counts(s, r->who.mailbox, &count[0], &count[1], &handed_out);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    const view_list *keys = &f->publish_prekeys.prekeys;
    for (int pass = 0; pass < 2; pass++) /* count them all, then write them all */
        for (uint32_t i = 0; i < keys->count; i++) {
            enum prekey_kind kind;
            uint32_t id;
            rc = prekey_peek(keys->item[i].at, keys->item[i].bytes, &kind, &id);
            if (rc == TACET_OK && pass)
                rc = relay_prekey_put(s, r->who.mailbox, (uint8_t)kind, id, (blob){ keys->item[i].at, keys->item[i].bytes });
            if (rc != TACET_OK)
                return rc > 0 ? TACET_E_BUG : rc;
            if (!pass && kind == PREKEY_ONE_TIME && ++count[0] > r->policy.prekeys_max)
                return refuse(r, ERROR_QUOTA);
            if (!pass && kind == PREKEY_KEM_ONE_TIME && ++count[1] > r->policy.prekeys_max)
                return refuse(r, ERROR_QUOTA);
        }
    return answer_counts(r, s);
}

static int run_prekey_status(request_job *r, relay_store *s, const frame *f)
{
    (void)f;
    return answer_counts(r, s);
}

/* The prekey of this kind, or none; only faults are returned. */
static int take(relay_store *s, uint32_t mailbox, enum prekey_kind kind, uint8_t out[TACET_PREKEY_MAX_BYTES], size_t *n)
{
    *n = 0;
    int rc = relay_prekey_take(s, mailbox, (uint8_t)kind, out, TACET_PREKEY_MAX_BYTES, n);
    if (rc == TACET_E_NOT_FOUND)
        *n = 0;
    return rc > 0 && rc != TACET_E_NOT_FOUND ? TACET_E_CORRUPT : rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

static int run_bundle(request_job *r, relay_store *s, const frame *f)
{
    uint8_t spk[TACET_PREKEY_MAX_BYTES], opk[TACET_PREKEY_MAX_BYTES], kem[TACET_PREKEY_MAX_BYTES];
    size_t spk_bytes = 0, opk_bytes = 0, kem_bytes = 0;
    uint32_t mailbox;
    device_list known;
    int rc = relay_mailbox_find(s, f->bundle.account.at, f->bundle.device, &mailbox);
    if (rc == TACET_E_NOT_FOUND) {
        rc = newest_of(s, f->bundle.account.at, &known);
        return rc < 0 ? rc : refuse(r, rc == TACET_OK ? ERROR_STALE_DEVICE : ERROR_NOT_FOUND);
    }
    if (rc == TACET_OK)
        rc = take(s, mailbox, PREKEY_SIGNED, spk, &spk_bytes);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    if (!spk_bytes)
        return refuse(r, ERROR_NOT_FOUND);
    rc = take(s, mailbox, PREKEY_KEM_LAST_RESORT, kem, &kem_bytes);
    if (rc != TACET_OK)
        return rc;
    if (!kem_bytes)
        return refuse(r, ERROR_NOT_FOUND);
    if (r->one_time_keys) {
        size_t n = 0;
        uint8_t once[TACET_PREKEY_MAX_BYTES];
        rc = take(s, mailbox, PREKEY_KEM_ONE_TIME, once, &n);
        if (rc == TACET_OK && n)
            memcpy(kem, once, kem_bytes = n);
        if (rc == TACET_OK)
            rc = take(s, mailbox, PREKEY_ONE_TIME, opk, &opk_bytes);
        if (rc != TACET_OK)
            return rc;
    }
    return answer(r, &(frame){ .kind = FRAME_BUNDLE_REPLY, .bundle_reply = { { spk, spk_bytes }, { opk, opk_bytes }, { kem, kem_bytes } } });
}

/* --- tokens -------------------------------------------------------------------------------------------------------------------------- */
static int forget_everywhere(request_job *r, relay_store *s, const device_list *l, const uint8_t hash[32])
{
    for (unsigned i = 0; i < l->count; i++) {
        relay_waiting w = { 0 }, *sum = &r->effects.forgotten[i];
        int rc = relay_mailbox_find(s, l->account.bytes, l->device[i].id, &w.mailbox);
        if (rc == TACET_OK)
            rc = relay_forget_token(s, w.mailbox, hash, &w.messages, &w.bytes);
        if (rc != TACET_OK)
            return rc > 0 ? TACET_E_CORRUPT : rc;
        sum->mailbox = w.mailbox;
        sum->messages += w.messages;
        sum->bytes += w.bytes;
    }
    r->effects.forgotten_count = l->count;
    return TACET_OK;
}

static int run_tokens(request_job *r, relay_store *s, const frame *f)
{
    const view_list *add = &f->tokens.add, *gone = &f->tokens.remove;
    uint64_t count;
    device_list l;
    bool request = f->tokens.kind == TOKEN_REQUEST;
    if (request ? add->count != 1 || gone->count : f->tokens.kind != TOKEN_DELIVERY)
        return refuse(r, ERROR_MALFORMED);
    int rc = relay_token_count(s, r->who.account, &count);
    if (rc == TACET_OK && count + add->count > (uint64_t)r->policy.tokens_max + gone->count)
        return refuse(r, ERROR_QUOTA);
    if (rc == TACET_OK)
        rc = newest_of(s, r->who.account, &l);
    for (uint32_t i = 0; rc == TACET_OK && i < gone->count; i++) {
        rc = relay_token_remove(s, r->who.account, gone->item[i].at);
        if (rc == TACET_OK || rc == TACET_E_NOT_FOUND)
            rc = forget_everywhere(r, s, &l, gone->item[i].at);
    }
    for (uint32_t i = 0; rc == TACET_OK && i < add->count; i++) {
        rc = relay_token_add(s, r->who.account, f->tokens.kind, add->item[i].at);
        if (rc == TACET_E_EXISTS)
            rc = TACET_OK; /* the same again */
    }
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    r->effects.routes_changed = true;
    return answer_ok(r);
}

/* --- lists --------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    frame f;
    uint8_t *bytes;
    size_t used;
} collected;

static bool collect(void *ctx, uint64_t version, blob list)
{
    collected *c = ctx;
    (void)version;
    view_list *v = &c->f.lists_reply.lists;
    if (v->count == FRAME_VIEWS_MAX || c->used + list.bytes + 8 > LISTS_REPLY_BYTES)
        return false;
    memcpy(c->bytes + c->used, list.at, list.bytes);
    v->item[v->count++] = (view){ c->bytes + c->used, list.bytes };
    c->used += list.bytes + 8; /* 8: the head of the field, and to spare */
    return true;
}

static int run_lists(request_job *r, relay_store *s, const frame *f)
{
    collected *c = calloc(1, sizeof *c);
    if (!c)
        return TACET_E_NOMEM;
    int rc = TACET_E_NOMEM;
    c->f.kind = FRAME_LISTS_REPLY;
    c->bytes = malloc(LISTS_REPLY_BYTES);
    if (!c->bytes)
        goto out;
    rc = relay_lists_after(s, f->lists.account.at, f->lists.after, collect, c);
    if (rc == TACET_E_NOT_FOUND)
        rc = refuse(r, ERROR_NOT_FOUND);
    else if (rc == TACET_OK)
        rc = answer(r, &c->f);
out:
    free(c->bytes);
    free(c);
    return rc;
}

/* --- the table ----------------------------------------------------------------------------------------------------------------------- */
static const struct {
    error_code (*verify)(const request_job *r, const frame *f); /* NULL: nothing is signed */
    int (*run)(request_job *r, relay_store *s, const frame *f);
    bool writes;
} handlers[] = {
    [FRAME_REGISTER] = { verify_register, run_register, true },
    [FRAME_PUBLISH_NAME] = { verify_publish_name, run_publish_name, true },
    [FRAME_PUBLISH_PREKEYS] = { verify_prekeys, run_publish_prekeys, true },
    [FRAME_PREKEY_STATUS] = { NULL, run_prekey_status, false },
    [FRAME_TOKENS] = { NULL, run_tokens, true },
    [FRAME_DEVICES] = { verify_devices, run_devices, true },
    [FRAME_WITHDRAW_NAME] = { NULL, run_withdraw_name, true },
    [FRAME_LISTS] = { NULL, run_lists, false },
    [FRAME_BUNDLE] = { NULL, run_bundle, true },
    [FRAME_LOOKUP] = { NULL, run_lookup, false },
};
enum { HANDLERS = sizeof handlers / sizeof *handlers };

bool directory_needs_verify(frame_kind what) { return (unsigned)what < HANDLERS && handlers[what].verify; }
bool directory_writes(const request_job *r) { return (unsigned)r->what < HANDLERS && handlers[r->what].writes; }

void directory_verify(request_job *r)
{
    frame f;
    r->error = ERROR_MALFORMED;
    if (frame_decode(&f, r->body, r->body_bytes) == TACET_OK && f.kind == r->what && directory_needs_verify(r->what))
        r->error = handlers[r->what].verify(r, &f);
    r->verified = r->error == 0;
}

request_job *request_job_of(work *w) { return (request_job *)(void *)((char *)w - offsetof(request_job, work)); }
void directory_verify_run(work *w) { directory_verify(request_job_of(w)); }

int directory_run(request_job *r, relay_store *s)
{
    frame f;
    if ((unsigned)r->what >= HANDLERS || !handlers[r->what].run || (handlers[r->what].verify && !r->verified))
        return TACET_E_BUG;
    if (frame_decode(&f, r->body, r->body_bytes) != TACET_OK)
        return refuse(r, ERROR_MALFORMED);
    return handlers[r->what].run(r, s, &f);
}

int directory_login(login_job *l, relay_store *s)
{
    device_list list;
    memset(&l->who, 0, sizeof l->who);
    int rc = relay_transport_find(s, l->transport_key, &l->who.mailbox, l->who.account, &l->who.device);
    if (rc != TACET_OK) {
        memset(&l->who, 0, sizeof l->who);
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    }
    rc = newest_of(s, l->who.account, &list);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    const device_entry *d = device_list_find(&list, l->who.device);
    if (!d)
        return TACET_E_CORRUPT;
    memcpy(l->who.sign, d->sign, 32);
    return TACET_OK;
}

int directory_resolve(message *m, relay_store *s)
{
    m->job.status = TACET_E_REFUSED;
    int rc = relay_token_find(s, m->account, m->token_hash, &m->token_kind);
    if (rc != TACET_OK)
        return rc < 0 ? rc : TACET_OK;
    rc = relay_mailbox_find(s, m->account, m->device, &m->mailbox);
    if (rc < 0)
        return rc;
    m->job.status = rc == TACET_OK ? TACET_OK : TACET_E_GAP;
    return TACET_OK;
}
