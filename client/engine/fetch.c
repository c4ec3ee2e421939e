/* Device lists and prekeys of somebody, from the relay that holds their mailbox, over an open connection. The relay is believed nothing: lists are
 * checked one by one against their chain and their account, prekeys against the list's device keys. */
#include "identity/prekey.h"
#include "state.h"
#include <stdlib.h>
#include <string.h>

enum {
    LISTS_MORE = 16 /* so many in one reply: there may be more */,
    BUNDLE_TRIES = 8 /* of one device: more than a relay gives one-time keys to an address in one go */
};
typedef enum { FETCH_CONNECT, FETCH_LISTS, FETCH_BUNDLES, FETCH_DONE } fetch_step;

typedef struct {
    fetch_step step;
    account_id account;
    char who[VAULT_NAME_ROOM];
    char relay_text[TACET_RELAY_ADDRESS_MAX_BYTES + 1];
    bool bundles, have_list, asked, asked_more, own; /* own: our account, whose relay must still have the list that we know */
    size_t slot, next_device, tries;                 /* tries: bundles of that device so far */
    fetch_fn *fn;
    uint64_t arg;
    fetched result;
} fetch;

static void finish(engine *e, op *o, int status)
{
    fetch *f = o->data;
    f->step = FETCH_DONE;
    f->result.status = status;
    f->fn(e, f->arg, &f->result);
    op_finish(e, o, NULL);
}

static void finish_say(engine *e, op *o, sentence which, int status)
{
    fetch *f = o->data;
    sentence_fill(&f->result.error, which, f->who, NULL, NULL);
    finish(e, o, status);
}

static void finish_lost(engine *e, op *o)
{
    fetch *f = o->data;
    error_of_slot(e, f->slot, &f->result.error);
    finish(e, o, TACET_E_AGAIN);
}

/* --- bundles --- */
static void ask_bundle(engine *e, op *o);

static party party_of(const fetch *f, const device_entry *d)
{
    party p = { .account = f->account, .device = d->id, .list_version = f->result.list.version };
    memcpy(p.ik, f->result.list.ik, sizeof p.ik);
    memcpy(p.dh, d->dh, sizeof p.dh);
    return p;
}

static int key_of(const engine *e, const fetch *f, const device_entry *d, enum prekey_kind kind, const view *v, prekey *out)
{
    return prekey_decode(out, kind, v->at, v->bytes, &f->account, d->id, d->sign, now_s(e));
}

/* A one-time key that has expired is one that is not there. TACET_E_AGAIN: that was the KEM key, and the next bundle may have another or the one of
 * last resort. */
static int check_bundle(const engine *e, const fetch *f, const device_entry *d, const frame *r, agreement_bundle *b)
{
    prekey spk, opk, kem;
    enum prekey_kind kem_kind = PREKEY_KEM_ONE_TIME;
    uint32_t id;
    int rc = key_of(e, f, d, PREKEY_SIGNED, &r->bundle_reply.spk, &spk);
    if (rc == TACET_OK)
        rc = prekey_peek(r->bundle_reply.kem.at, r->bundle_reply.kem.bytes, &kem_kind, &id);
    if (rc == TACET_OK && !prekey_is_kem(kem_kind))
        rc = TACET_E_FORGED;
    if (rc == TACET_OK) {
        rc = key_of(e, f, d, kem_kind, &r->bundle_reply.kem, &kem);
        if (rc == TACET_E_EXPIRED && kem_kind == PREKEY_KEM_ONE_TIME)
            rc = TACET_E_AGAIN;
    }
    bool has_opk = r->bundle_reply.opk.bytes > 0;
    if (rc == TACET_OK && has_opk) {
        rc = key_of(e, f, d, PREKEY_ONE_TIME, &r->bundle_reply.opk, &opk);
        has_opk = rc == TACET_OK;
        if (rc == TACET_E_EXPIRED)
            rc = TACET_OK;
    }
    if (rc != TACET_OK)
        return rc;
    *b = (agreement_bundle){
        .them = party_of(f, d), .spk_id = spk.id, .kem_id = kem.id, .has_opk = has_opk, .kem_last_resort = kem_kind == PREKEY_KEM_LAST_RESORT
    };
    memcpy(b->spk, spk.key, sizeof b->spk);
    memcpy(b->kem, kem.key, sizeof b->kem);
    if (has_opk) {
        b->opk_id = opk.id;
        memcpy(b->opk, opk.key, sizeof b->opk);
    }
    return TACET_OK;
}

/* Never a verdict that could be taken for one about lists. */
static void judge_bundle(engine *e, op *o, int verdict)
{
    fetch *f = o->data;
    if (verdict == TACET_E_AGAIN && f->tries < BUNDLE_TRIES)
        ask_bundle(e, o);
    else if (verdict == TACET_E_AGAIN || verdict == TACET_E_EXPIRED)
        finish_say(e, o, SAY_PREKEYS_EXPIRED, TACET_E_EXPIRED);
    else
        finish_say(e, o, SAY_PREKEYS_FORGED, TACET_E_KEY);
}

static void got_bundle(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    fetch *f = o->data;
    if (!reply) {
        finish_lost(e, o);
        return;
    }
    const device_entry *d = &f->result.list.device[f->next_device];
    if (reply->kind != FRAME_BUNDLE_REPLY) {
        error_of_frame(&f->result.error, reply, f->relay_text, f->who);
        finish(e, o, TACET_E_REFUSED);
        return;
    }
    int rc = check_bundle(e, f, d, reply, &f->result.bundle[f->result.bundle_count]);
    if (rc != TACET_OK) {
        judge_bundle(e, o, rc);
        return;
    }
    f->result.bundle_count++;
    f->next_device++;
    f->tries = 0;
    ask_bundle(e, o);
}

/* Whether a key is in time is for our clock to say, which nobody else may set back: with one that is off, none is taken. */
static void ask_bundle(engine *e, op *o)
{
    fetch *f = o->data;
    if (!f->bundles || f->next_device == f->result.list.count) {
        finish(e, o, TACET_OK);
        return;
    }
    if (clock_off(e)) {
        error_of_clock(e, &f->result.error);
        finish(e, o, TACET_E_AGAIN);
        return;
    }
    frame ask = { .kind = FRAME_BUNDLE };
    f->tries++;
    ask.bundle.account = (view){ f->account.bytes, sizeof f->account.bytes };
    ask.bundle.device = f->result.list.device[f->next_device].id;
    if (slot_ask(e, f->slot, &ask, got_bundle, o->number) != TACET_OK)
        finish_lost(e, o);
}

/* --- lists --- */
static void judge_list(engine *e, op *o, int verdict)
{
    fetch *f = o->data;
    if (f->own) {
        finish_say(e, o, verdict == TACET_E_REPLAY ? SAY_OWN_ROLLBACK : SAY_OWN_FORK, verdict == TACET_E_REPLAY ? verdict : TACET_E_FORK);
        return;
    }
    static const struct {
        int verdict;
        sentence say;
    } row[] = { { TACET_E_FORK, SAY_FORK }, { TACET_E_VERSION, SAY_DOWNGRADE } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].verdict == verdict) {
            finish_say(e, o, row[i].say, verdict);
            return;
        }
    finish_say(e, o, SAY_LISTS_FORGED, TACET_E_FORGED);
}

/* Of the own account, the list that we know comes first: a relay that has forgotten it, or shows another one, is found out. */
static bool same_first(const fetch *f, const view_list *lists)
{
    return f->own && lists->count && lists->item[0].bytes == f->result.signed_list_bytes &&
           memcmp(lists->item[0].at, f->result.signed_list, f->result.signed_list_bytes) == 0;
}

/* Each list must follow the one before it, from the one we know or from the first, and there is an end to them: no relay that keeps to the rules has more. */
static int follow(fetch *f, const view_list *lists)
{
    int rc = TACET_OK;
    for (uint32_t i = same_first(f, lists) ? 1 : 0; rc == TACET_OK && i < lists->count; i++) {
        const view *v = &lists->item[i];
        device_list at;
        rc = device_list_decode(&at, v->at, v->bytes);
        if (rc == TACET_OK && (memcmp(&at.account, &f->account, sizeof f->account) != 0 || at.version > TACET_LIST_VERSIONS_MAX))
            rc = TACET_E_FORGED;
        if (rc == TACET_OK)
            rc = device_list_follows(f->have_list ? &f->result.list : NULL, &at);
        if (rc == TACET_OK) {
            f->result.list = at;
            memcpy(f->result.signed_list, v->at, v->bytes);
            f->result.signed_list_bytes = v->bytes;
            f->have_list = true;
        }
    }
    return rc;
}

static void got_lists(engine *e, uint64_t arg, const frame *reply);

/* After the newest that we have; of the own account first that one itself. */
static void ask_lists(engine *e, op *o)
{
    fetch *f = o->data;
    frame ask = { .kind = FRAME_LISTS };
    ask.lists.account = (view){ f->account.bytes, sizeof f->account.bytes };
    ask.lists.after = f->have_list ? f->result.list.version - (f->own && !f->asked ? 1 : 0) : 0;
    f->asked_more = f->asked;
    f->asked = true;
    if (slot_ask(e, f->slot, &ask, got_lists, o->number) != TACET_OK)
        finish_lost(e, o);
}

static void got_lists(engine *e, uint64_t arg, const frame *reply)
{
    op *o = op_find(e, arg);
    if (!o)
        return;
    fetch *f = o->data;
    if (!reply) {
        finish_lost(e, o);
        return;
    }
    if (reply->kind != FRAME_LISTS_REPLY) {
        if (f->own && reply->kind == FRAME_ERROR && reply->error.code == ERROR_NOT_FOUND)
            sentence_fill(&f->result.error, SAY_NOT_REGISTERED, f->relay_text, NULL, NULL);
        else
            error_of_frame(&f->result.error, reply, f->relay_text, f->who);
        finish(e, o, TACET_E_REFUSED);
        return;
    }
    const view_list *lists = &reply->lists_reply.lists;
    bool known = !f->own || f->asked_more || same_first(f, lists);
    int rc = known ? follow(f, lists) : lists->count ? TACET_E_FORK : TACET_E_REPLAY;
    if (rc != TACET_OK)
        judge_list(e, o, rc);
    else if (lists->count >= LISTS_MORE)
        ask_lists(e, o);
    else if (!f->have_list)
        finish_say(e, o, SAY_LISTS_FORGED, TACET_E_FORGED);
    else
        ask_bundle(e, o);
}

static void fetch_wake(engine *e, op *o)
{
    fetch *f = o->data;
    if (f->step != FETCH_CONNECT)
        return;
    if (f->slot == ENGINE_SLOTS_MAX || e->offline || e->slots[f->slot].failed) {
        finish_lost(e, o);
        return;
    }
    if (!e->slots[f->slot].up)
        return;
    f->step = FETCH_LISTS;
    ask_lists(e, o);
}

static void start(engine *e, fetch *f, const char *relay_text, const char *who, const uint8_t *known, size_t known_bytes)
{
    if (f) {
        text_put(f->who, sizeof f->who, who);
        text_put(f->relay_text, sizeof f->relay_text, relay_text);
        if (known && device_list_reread(&f->result.list, known, known_bytes) == TACET_OK) {
            f->have_list = true;
            memcpy(f->result.from, f->result.list.hash, sizeof f->result.from);
            memcpy(f->result.signed_list, known, known_bytes);
            f->result.signed_list_bytes = known_bytes;
        }
        f->slot = slot_for_text(e, relay_text, TACET_ROLE_OPEN);
        if (f->slot < ENGINE_SLOTS_MAX)
            slot_want(e, f->slot, true);
    }
}

static void begin(engine *e, fetch *f, fetch_fn *fn, uint64_t arg)
{
    if (!op_new(e, NULL, NULL, fetch_wake, NULL, f)) {
        fetched none = { .status = TACET_E_NOMEM };
        sentence_fill(&none.error, SAY_NO_MEMORY, NULL, NULL, NULL);
        fn(e, arg, &none);
    }
}

void fetch_start(engine *e, const account_id *account, const char *relay_text, const char *who, const uint8_t *known, size_t known_bytes,
                 bool bundles, fetch_fn *fn, uint64_t arg)
{
    fetch *f = calloc(1, sizeof *f);
    if (f)
        *f = (fetch){ .account = *account, .bundles = bundles, .fn = fn, .arg = arg };
    start(e, f, relay_text, who, known, known_bytes);
    begin(e, f, fn, arg);
}

void fetch_own(engine *e, fetch_fn *fn, uint64_t arg)
{
    fetch *f = calloc(1, sizeof *f);
    if (f)
        *f = (fetch){ .account = e->me.list.account, .own = true, .fn = fn, .arg = arg };
    start(e, f, e->me.relay_text, e->me.name, e->me.signed_list, e->me.signed_list_bytes);
    begin(e, f, fn, arg);
}

bool fetch_runs(const engine *e, fetch_fn *fn, uint64_t arg)
{
    for (const op *o = e->ops; o; o = o->next) {
        const fetch *f = o->data;
        if (o->wake == fetch_wake && f->step != FETCH_DONE && f->fn == fn && f->arg == arg)
            return true;
    }
    return false;
}
