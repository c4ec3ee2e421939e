/* server/directory.c: what the requests about accounts, devices, prekeys, tokens and names do to the store. One row a request in `handlers`; each
 * handler checks everything first and writes last, so that a refused request has written nothing (the group's transaction goes on with others). */
#include "server/directory_parts.h"
#include "server/reply.h"
#include "base/writer.h"
#include "identity/directory.h"
#include "identity/prekey.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Room for the lists in one reply: far more than most accounts have, far less than a frame, because strangers ask. The rest comes when asked for. */
enum { LISTS_REPLY_BYTES = 32 * 1024 };

request_job *request_job_new(frame_kind what, const uint8_t *body, size_t bytes)
{
    request_job *r = calloc(1, sizeof *r + bytes);
    if (!r)
        return NULL;
    r->job.kind = JOB_REQUEST;
    r->job.charged = sizeof *r + bytes + (what == FRAME_LISTS ? LISTS_REPLY_BYTES : 0); /* the one answer that is large */
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

int directory_answer(request_job *r, const frame *f)
{
    frame with_id = *f;
    with_id.id = r->job.id;
    free(r->reply); /* a group that was rolled back is read again */
    r->reply = NULL;
    return reply_encode(&with_id, &r->reply, &r->reply_bytes);
}

int directory_answer_ok(request_job *r) { return directory_answer(r, &(frame){ .kind = FRAME_OK }); }

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
    return rc == TACET_OK ? directory_answer_ok(r) : rc > 0 ? TACET_E_BUG : rc;
}

static int run_withdraw_name(request_job *r, relay_store *s, const frame *f)
{
    (void)f;
    int rc = relay_name_remove(s, r->who.account);
    return rc == TACET_OK || rc == TACET_E_NOT_FOUND ? directory_answer_ok(r) : rc;
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
    return directory_answer(r, &(frame){ .kind = FRAME_LOOKUP_REPLY, .lookup_reply.entry = { entry, n } });
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
    int rc = relay_prekey_counts(s, r->who.mailbox, r->now_s, &f.prekey_counts.one_time, &f.prekey_counts.kem, &f.prekey_counts.handed_out);
    return rc == TACET_OK ? directory_answer(r, &f) : rc > 0 ? TACET_E_CORRUPT : rc;
}

static int run_publish_prekeys(request_job *r, relay_store *s, const frame *f)
{
    uint32_t count[2];
    uint64_t handed_out;
    int rc = relay_prekey_counts(s, r->who.mailbox, r->now_s, &count[0], &count[1], &handed_out);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    const view_list *keys = &f->publish_prekeys.prekeys;
    for (int pass = 0; pass < 2; pass++) { /* count them all, then write them all */
        if (pass)
            rc = relay_prekey_forget(s, r->who.mailbox, r->now_s);
        if (rc != TACET_OK)
            return rc;
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
    }
    return answer_counts(r, s);
}

static int run_prekey_status(request_job *r, relay_store *s, const frame *f)
{
    (void)f;
    return answer_counts(r, s);
}

/* The prekey of this kind, or none; only faults are returned. */
static int take(const request_job *r, relay_store *s, uint32_t mailbox, enum prekey_kind kind, uint8_t out[TACET_PREKEY_MAX_BYTES], size_t *n)
{
    *n = 0;
    int rc = relay_prekey_take(s, mailbox, (uint8_t)kind, r->now_s, out, TACET_PREKEY_MAX_BYTES, n);
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
        rc = directory_newest(s, f->bundle.account.at, &known);
        return rc < 0 ? rc : refuse(r, rc == TACET_OK ? ERROR_STALE_DEVICE : ERROR_NOT_FOUND);
    }
    if (rc == TACET_OK)
        rc = take(r, s, mailbox, PREKEY_SIGNED, spk, &spk_bytes);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    if (!spk_bytes)
        return refuse(r, ERROR_NOT_FOUND);
    rc = take(r, s, mailbox, PREKEY_KEM_LAST_RESORT, kem, &kem_bytes);
    if (rc != TACET_OK)
        return rc;
    if (!kem_bytes)
        return refuse(r, ERROR_NOT_FOUND);
    if (r->one_time_keys) {
        size_t n = 0;
        uint8_t once[TACET_PREKEY_MAX_BYTES];
        rc = take(r, s, mailbox, PREKEY_KEM_ONE_TIME, once, &n);
        if (rc == TACET_OK && n)
            memcpy(kem, once, kem_bytes = n);
        if (rc == TACET_OK)
            rc = take(r, s, mailbox, PREKEY_ONE_TIME, opk, &opk_bytes);
        if (rc != TACET_OK)
            return rc;
    }
    return directory_answer(r,
                            &(frame){ .kind = FRAME_BUNDLE_REPLY, .bundle_reply = { { spk, spk_bytes }, { opk, opk_bytes }, { kem, kem_bytes } } });
}

/* --- tokens -------------------------------------------------------------------------------------------------------------------------- */
static int forget_everywhere(request_job *r, relay_store *s, const uint8_t *hashes, size_t count)
{
    device_list l;
    int rc = directory_newest(s, r->who.account, &l);
    for (unsigned i = 0; rc == TACET_OK && i < l.count; i++) {
        uint32_t mailbox;
        rc = relay_mailbox_find(s, l.account.bytes, l.device[i].id, &mailbox);
        if (rc == TACET_OK)
            rc = relay_forget_tokens(s, mailbox, hashes, count);
    }
    r->effects.forgets = true;
    return rc > 0 ? TACET_E_CORRUPT : rc;
}

/* A token goes, and with it, in one transaction, the right of what it queued to be delivered; nothing comes under it afterwards (core_resolved): so one that is
 * not there has nothing to be forgotten, and is not looked for in mailboxes that may be large. The one token that goes and leaves its messages is a request token that
 * is replaced: they are few, somebody wants to be heard with them, and they are read or expire like all others. */
static int remove_tokens(request_job *r, relay_store *s, const view_list *gone)
{
    uint8_t known[FRAME_VIEWS_MAX][32];
    size_t count = 0;
    for (uint32_t i = 0; i < gone->count; i++) {
        int rc = relay_token_remove(s, r->who.account, gone->item[i].at);
        if (rc == TACET_OK)
            memcpy(known[count++], gone->item[i].at, 32);
        else if (rc != TACET_E_NOT_FOUND)
            return rc;
    }
    r->effects.routes_changed |= count > 0;
    return count ? forget_everywhere(r, s, known[0], count) : TACET_OK;
}

static int run_tokens(request_job *r, relay_store *s, const frame *f)
{
    const view_list *add = &f->tokens.add, *gone = &f->tokens.remove;
    uint64_t count;
    bool request = f->tokens.kind == TOKEN_REQUEST;
    if (request ? add->count != 1 || gone->count : f->tokens.kind != TOKEN_DELIVERY)
        return refuse(r, ERROR_MALFORMED);
    int rc = relay_token_count(s, r->who.account, &count);
    if (rc == TACET_OK && count + add->count > (uint64_t)r->policy.tokens_max + gone->count)
        return refuse(r, ERROR_QUOTA);
    if (rc == TACET_OK)
        rc = remove_tokens(r, s, gone);
    for (uint32_t i = 0; rc == TACET_OK && i < add->count; i++) {
        rc = relay_token_add(s, r->who.account, f->tokens.kind, add->item[i].at);
        if (rc == TACET_E_EXISTS && request)
            return refuse(r, ERROR_EXISTS); /* it is a delivery token already */
        if (rc == TACET_E_EXISTS)
            rc = TACET_OK; /* the same again */
    }
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    r->effects.routes_changed |= request; /* the one before was replaced */
    return directory_answer_ok(r);
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
        rc = directory_answer(r, &c->f);
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

/* Between the question and its turn a device list may have left the device out that asks. */
static int is_still_there(const request_job *r, relay_store *s, bool *there)
{
    uint32_t mailbox = 0, device;
    uint8_t account[32];
    int rc = r->who.mailbox ? relay_transport_find(s, r->transport_key, &mailbox, account, &device) : TACET_OK;
    *there = rc == TACET_OK && mailbox == r->who.mailbox;
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int directory_run(request_job *r, relay_store *s)
{
    frame f;
    bool there;
    if ((unsigned)r->what >= HANDLERS || !handlers[r->what].run || (handlers[r->what].verify && !r->verified))
        return TACET_E_BUG;
    if (frame_decode(&f, r->body, r->body_bytes) != TACET_OK)
        return refuse(r, ERROR_MALFORMED);
    int rc = is_still_there(r, s, &there);
    if (rc != TACET_OK)
        return rc;
    return there ? handlers[r->what].run(r, s, &f) : refuse(r, ERROR_NOT_REGISTERED);
}

int directory_login(login_job *l, relay_store *s)
{
    device_list list;
    memset(&l->who, 0, sizeof l->who);
    int rc = relay_transport_find(s, l->transport_key, &l->who.mailbox, l->who.account, &l->who.device);
    if (rc != TACET_OK) {
        memset(&l->who, 0, sizeof l->who);
        if (rc != TACET_E_NOT_FOUND)
            return rc;
        l->job.status = TACET_OK; /* a stranger: that is an answer, too */
        return TACET_OK;
    }
    rc = directory_newest(s, l->who.account, &list);
    if (rc != TACET_OK)
        return rc > 0 ? TACET_E_CORRUPT : rc;
    const device_entry *d = device_list_find(&list, l->who.device);
    if (!d)
        return TACET_E_CORRUPT;
    memcpy(l->who.sign, d->sign, 32);
    l->job.status = TACET_OK;
    return TACET_OK;
}

int directory_resolve(message *m, relay_store *s)
{
    int verdict = TACET_E_REFUSED, rc = relay_token_find(s, m->account, m->token_hash, &m->token_kind);
    if (rc == TACET_OK) {
        verdict = TACET_E_GAP;
        rc = relay_mailbox_find(s, m->account, m->device, &m->mailbox);
    }
    if (rc < 0)
        return rc;
    m->job.status = rc == TACET_OK ? TACET_OK : verdict;
    return TACET_OK;
}
