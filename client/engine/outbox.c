/* From a content to envelopes: numbered and chained once, sealed for each device of the contact, all in the caller's transaction. What cannot be
 * sealed yet (no acceptance, no session) waits here in order. */
#include "state.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static vault_blob blob_of(const uint8_t *at, size_t n) { return (vault_blob){ at, n }; }

/* --- one row ---------------------------------------------------------------------------------------------------------------------------------- */
/* Ciphertext for a row that has content; without a session the row stays as content. `envelope` has room for TACET_ENVELOPE_MAX_BYTES. */
static int seal_row(engine *e, const vault_contact *c, vault_outgoing *o, uint8_t *envelope)
{
    size_t n = 0;
    int rc = session_seal_for(e, c, o->device, o->content.at, o->content.bytes, envelope, &n);
    if (rc == TACET_E_NOT_FOUND) {
        o->state = VAULT_OUT_CONTENT;
        o->ciphertext = blob_of(NULL, 0);
        memset(o->envelope_id, 0, sizeof o->envelope_id);
        return TACET_OK;
    }
    if (rc != TACET_OK)
        return rc < 0 ? rc : TACET_E_BUG;
    o->state = VAULT_OUT_READY;
    o->ciphertext = blob_of(envelope, n);
    envelope_id_of(o->envelope_id, envelope, n);
    return vault_seen_put(e->vault, o->envelope_id, now_s(e), true); /* ours, should the relay hand it back */
}

/* Numbers a counted content and notes its hash as the predecessor of the next. */
static int chain_next(engine *e, vault_contact *c, const content *k, int64_t message, const uint8_t *bytes, size_t n)
{
    if (!content_is_counted(k->kind))
        return TACET_OK;
    c->sequence = k->sequence;
    content_hash(c->previous, bytes, n);
    int rc = vault_contact_update(e->vault, c);
    return rc == TACET_OK && message ? vault_message_sealed(e->vault, message, k->sequence, c->previous) : rc;
}

static void content_head(engine *e, const vault_contact *c, content *k)
{
    k->own_version = e->me.list.version;
    memcpy(k->own_hash, e->me.list.hash, sizeof k->own_hash);
    k->known_version = c->list_version;
    if (content_is_counted(k->kind)) {
        k->sequence = c->sequence + 1;
        if (k->sequence > 1)
            memcpy(k->previous, c->previous, sizeof k->previous);
    }
}

int outbox_content(engine *e, vault_contact *c, content *k, uint32_t what, int64_t message)
{
    device_list list;
    uint8_t *plain = malloc(TACET_SESSION_CONTENT_MAX_BYTES + TACET_ENVELOPE_MAX_BYTES);
    if (!plain)
        return TACET_E_NOMEM;
    uint8_t *envelope = plain + TACET_SESSION_CONTENT_MAX_BYTES;
    size_t n = 0;
    content_head(e, c, k);
    int rc = contact_list(c, &list);
    if (rc == TACET_OK)
        rc = content_encode(k, plain, TACET_SESSION_CONTENT_MAX_BYTES, &n);
    if (rc == TACET_OK)
        rc = chain_next(e, c, k, message, plain, n);
    for (uint8_t i = 0; rc == TACET_OK && i < list.count; i++) {
        vault_outgoing o = { .contact = c->id,
                             .message = message,
                             .device = list.device[i].id,
                             .what = what,
                             .sequence = k->sequence,
                             .created_ms = now_ms(e),
                             .expires_ms = now_ms(e) + (uint64_t)TACET_TTL_MAX_S * 1000,
                             .content = blob_of(plain, n) };
        memcpy(o.token, c->request_token, sizeof o.token);
        rc = seal_row(e, c, &o, envelope);
        bool keep = o.state == VAULT_OUT_CONTENT || content_is_counted(k->kind);
        if (!keep)
            o.content = blob_of(NULL, 0);
        if (rc == TACET_OK && !(what == VAULT_OUT_PASSING && o.state == VAULT_OUT_CONTENT)) /* what may get lost waits for no session */
            rc = vault_out_add(e->vault, &o);
        if (rc == TACET_OK && o.state == VAULT_OUT_CONTENT && what != VAULT_OUT_PASSING) {
            sessions_wanted(e, c->id);
            e->sessions_retry_ms = mono_ms(e) + ENGINE_LANE_RETRY_MS;
        }
    }
    if (rc == TACET_OK)
        outbox_lane(e, c);
    sodium_memzero(plain, TACET_SESSION_CONTENT_MAX_BYTES);
    free(plain);
    return rc > 0 ? TACET_E_BUG : rc;
}

int outbox_control(engine *e, vault_contact *c, uint32_t what, const uint8_t *token, uint64_t last_sequence)
{
    content k = { .kind = CONTENT_CONTROL, .time_ms = now_ms(e) };
    env_random(e->env, k.id, sizeof k.id);
    k.control.what = (uint8_t)what;
    if (token)
        k.control.token = (view){ token, TACET_TOKEN_BYTES };
    k.control.last_sequence = last_sequence;
    return outbox_content(e, c, &k, what == CONTROL_ACCEPT || what == CONTROL_TOKEN ? VAULT_OUT_TOKEN : VAULT_OUT_PASSING, 0);
}

/* --- what waited ---------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    engine *e;
    vault_outgoing o;
    uint8_t *bytes; /* a copy of the content */
    bool taken;
} row_copy;

static bool copy_row(void *ctx, const vault_outgoing *o)
{
    row_copy *r = ctx;
    r->o = *o;
    r->o.ciphertext = blob_of(NULL, 0);
    if (o->content.bytes && o->content.bytes <= TACET_SESSION_CONTENT_MAX_BYTES) {
        memcpy(r->bytes, o->content.at, o->content.bytes);
        r->o.content.at = r->bytes;
    }
    r->taken = true;
    return true;
}

typedef struct {
    content k;
    uint8_t *text;
    uint8_t reply_to[16];
    bool taken, file;
} message_copy;

static bool copy_message(void *ctx, const vault_message *m)
{
    message_copy *c = ctx;
    c->k = (content){ .kind = CONTENT_TEXT, .time_ms = m->time_ms, .flags = m->waits ? CONTENT_FLAG_WAITS : 0 };
    memcpy(c->k.id, m->id, sizeof c->k.id);
    c->file = m->kind == VAULT_FILE;
    if (m->text.bytes > TACET_TEXT_MAX_BYTES)
        return false;
    if (m->text.bytes)
        memcpy(c->text, m->text.at, m->text.bytes);
    c->k.text.text = (view){ c->text, m->text.bytes };
    if (m->has_reply) {
        memcpy(c->reply_to, m->reply_to, sizeof c->reply_to);
        c->k.text.reply_to = (view){ c->reply_to, sizeof c->reply_to };
    }
    c->taken = true;
    return true;
}

static int message_send(engine *e, vault_contact *c, int64_t message)
{
    message_copy m = { .text = malloc(TACET_TEXT_MAX_BYTES) };
    if (!m.text)
        return TACET_E_NOMEM;
    int rc = vault_message_each_row(e->vault, message, copy_message, &m);
    if (rc == TACET_OK && m.taken)
        rc = vault_message_state(e->vault, message, VAULT_QUEUED);
    if (rc == TACET_OK && m.file)
        rc = file_offer(e, c, message);
    else if (rc == TACET_OK)
        rc = m.taken ? outbox_content(e, c, &m.k, VAULT_OUT_MESSAGE, message) : TACET_E_CORRUPT;
    sodium_memzero(m.text, TACET_TEXT_MAX_BYTES);
    free(m.text);
    return rc;
}

int outbox_send(engine *e, vault_contact *c, int64_t message, bool now)
{
    if (now)
        return message_send(e, c, message);
    vault_outgoing o = { .contact = c->id,
                         .message = message,
                         .what = VAULT_OUT_MESSAGE,
                         .state = VAULT_OUT_WAITING,
                         .created_ms = now_ms(e),
                         .expires_ms = now_ms(e) + (uint64_t)TACET_TTL_MAX_S * 1000 };
    return vault_out_add(e->vault, &o);
}

/* Calls `each` with every row of one state, in order, however many there are. */
static int each_row(engine *e, vault_contact *c, uint32_t state, int (*each)(engine *e, vault_contact *c, int64_t row, const void *arg),
                    const void *arg)
{
    int64_t rows[64], after = 0;
    size_t count = 0;
    do {
        int rc = vault_out_rows(e->vault, c->id, state, after, rows, 64, &count);
        for (size_t i = 0; rc == TACET_OK && i < count; i++)
            rc = each(e, c, after = rows[i], arg);
        if (rc != TACET_OK)
            return rc;
    } while (count == 64);
    return TACET_OK;
}

static int with_row(engine *e, vault_contact *c, int64_t row, int (*use)(engine *e, vault_contact *c, row_copy *r, const void *arg), const void *arg)
{
    row_copy r = { .e = e, .bytes = malloc(TACET_SESSION_CONTENT_MAX_BYTES) };
    if (!r.bytes)
        return TACET_E_NOMEM;
    int rc = vault_out_get(e->vault, row, copy_row, &r);
    if (rc == TACET_OK)
        rc = use(e, c, &r, arg);
    sodium_memzero(r.bytes, TACET_SESSION_CONTENT_MAX_BYTES);
    free(r.bytes);
    return rc;
}

static int release_row(engine *e, vault_contact *c, row_copy *r, const void *arg)
{
    (void)arg;
    int rc = vault_out_remove(e->vault, r->o.row);
    return rc == TACET_OK ? message_send(e, c, r->o.message) : rc;
}

static int release_each(engine *e, vault_contact *c, int64_t row, const void *arg) { return with_row(e, c, row, release_row, arg); }

int outbox_release(engine *e, vault_contact *c)
{
    if (c->changed || c->forked || c->blocked || c->state != VAULT_CONTACT_ACCEPTED || !c->has_theirs)
        return TACET_OK;
    return each_row(e, c, VAULT_OUT_WAITING, release_each, NULL);
}

/* Seals a row's content (again) and puts it back where it stands in the order. */
static int reseal_row(engine *e, vault_contact *c, row_copy *r, const void *arg)
{
    (void)arg;
    device_list list;
    int rc = contact_list(c, &list);
    if (rc != TACET_OK)
        return rc;
    if (!device_list_find(&list, r->o.device)) /* a device that is gone */
        return outbox_drop_row(e, r->o.row, 0, 0);
    uint8_t *envelope = malloc(TACET_ENVELOPE_MAX_BYTES);
    if (!envelope)
        return TACET_E_NOMEM;
    rc = seal_row(e, c, &r->o, envelope);
    if (rc == TACET_OK)
        rc = vault_out_update(e->vault, &r->o);
    free(envelope);
    return rc;
}

static int seal_each(engine *e, vault_contact *c, int64_t row, const void *arg) { return with_row(e, c, row, reseal_row, arg); }

int outbox_seal_content(engine *e, vault_contact *c)
{
    int rc = each_row(e, c, VAULT_OUT_CONTENT, seal_each, NULL);
    if (rc == TACET_OK)
        outbox_lane_again(e, c);
    return rc;
}

typedef struct {
    uint32_t device;
    uint64_t above;
} again;

static int again_row(engine *e, vault_contact *c, row_copy *r, const void *arg)
{
    const again *a = arg;
    if (r->o.what != VAULT_OUT_MESSAGE || r->o.device != a->device || r->o.sequence <= a->above || r->o.content.bytes == 0)
        return TACET_OK;
    return reseal_row(e, c, r, NULL);
}

static int again_each(engine *e, vault_contact *c, int64_t row, const void *arg) { return with_row(e, c, row, again_row, arg); }

int outbox_seal_again(engine *e, vault_contact *c, uint32_t device, uint64_t last_sequence)
{
    again a = { device, last_sequence };
    int rc = each_row(e, c, VAULT_OUT_READY, again_each, &a);
    if (rc == TACET_OK)
        rc = each_row(e, c, VAULT_OUT_STORED, again_each, &a);
    if (rc == TACET_OK)
        outbox_lane_again(e, c);
    return rc;
}

/* --- what will not be sent ------------------------------------------------------------------------------------------------------------------------- */
static int cancel_row(engine *e, vault_contact *c, row_copy *r, const void *arg)
{
    (void)c;
    return outbox_drop_row(e, r->o.row, r->o.message, *(const uint32_t *)arg);
}

static int cancel_each(engine *e, vault_contact *c, int64_t row, const void *arg) { return with_row(e, c, row, cancel_row, arg); }

int outbox_cancel(engine *e, vault_contact *c, uint32_t message_state)
{
    static const uint32_t state[] = { VAULT_OUT_WAITING, VAULT_OUT_CONTENT, VAULT_OUT_READY };
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < sizeof state / sizeof *state; i++)
        rc = each_row(e, c, state[i], cancel_each, &message_state);
    return rc;
}

static int expire_row(engine *e, vault_contact *c, row_copy *r, const void *arg)
{
    (void)c;
    (void)arg;
    int rc = outbox_drop_row(e, r->o.row, r->o.message, VAULT_EXPIRED);
    return rc == TACET_OK && r->o.message ? file_expired(e, r->o.message) : rc;
}

int outbox_expire(engine *e)
{
    int64_t rows[64];
    size_t count = 0;
    do {
        int rc = vault_out_expired(e->vault, now_ms(e), rows, 64, &count);
        for (size_t i = 0; rc == TACET_OK && i < count && i < 64; i++)
            rc = with_row(e, NULL, rows[i], expire_row, NULL);
        if (rc != TACET_OK)
            return rc;
    } while (count >= 64);
    return TACET_OK;
}
