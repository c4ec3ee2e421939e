/* What two clients say about files inside the ratchet (docs/PROTOCOL.md §7): offer, seal, cancel, and the receipts for them. */
#include "files.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- outwards -------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    content k;
    uint8_t reply_to[16];
} offer_head;

static bool take_head(void *ctx, const vault_message *m)
{
    offer_head *h = ctx;
    h->k = (content){ .kind = CONTENT_FILE_OFFER, .time_ms = m->time_ms, .flags = m->waits ? CONTENT_FLAG_WAITS : 0 };
    memcpy(h->k.id, m->id, sizeof h->k.id);
    if (m->has_reply) {
        memcpy(h->reply_to, m->reply_to, sizeof h->reply_to);
        h->k.offer.reply_to = (view){ h->reply_to, sizeof h->reply_to };
    }
    return true;
}

static view text_view(const char *text) { return (view){ (const uint8_t *)text, strlen(text) }; }

static int say_offer(engine *e, vault_contact *c, const vault_file *f, vault_file_link *l)
{
    offer_head h;
    int rc = vault_message_each_row(e->vault, l->message, take_head, &h);
    if (rc != TACET_OK)
        return rc;
    struct offer_content *o = &h.k.offer;
    o->blob = (view){ f->blob, sizeof f->blob };
    o->key = (view){ f->key, sizeof f->key };
    o->salt = (view){ f->salt, sizeof f->salt };
    o->commitment = (view){ f->commitment, sizeof f->commitment };
    o->capability = (view){ l->capability, sizeof l->capability };
    o->chunks = f->chunks;
    o->size = f->size;
    o->name = text_view(f->name);
    o->media = text_view(f->media);
    o->mode = f->mode;
    o->mtime_s = f->mtime_s;
    o->form = (uint8_t)f->form;
    rc = outbox_content(e, c, &h.k, VAULT_OUT_MESSAGE, 0);
    l->offer_sequence = h.k.sequence;
    return rc == TACET_OK ? vault_file_link_update(e->vault, l) : rc;
}

static int say_seal(engine *e, vault_contact *c, const vault_file *f, vault_file_link *l)
{
    content k = { .kind = CONTENT_FILE_SEAL, .time_ms = now_ms(e), .flags = CONTENT_FLAG_WAITS };
    env_random(e->env, k.id, sizeof k.id);
    k.seal = (struct seal_content){ { f->blob, sizeof f->blob }, { f->root, sizeof f->root }, f->chunks, f->size };
    int rc = outbox_content(e, c, &k, VAULT_OUT_MESSAGE, l->message);
    memcpy(l->seal_id, k.id, sizeof l->seal_id);
    l->seal_sequence = k.sequence;
    return rc == TACET_OK ? vault_file_link_update(e->vault, l) : rc;
}

/* A file that waited for acceptance: its offer, and when it lies at the relay already, its seal. */
int file_offer(engine *e, vault_contact *c, int64_t message)
{
    vault_file_link l;
    vault_file f;
    int rc = vault_file_link_get(e->vault, message, &l);
    if (rc == TACET_OK)
        rc = vault_file_get(e->vault, l.file, &f);
    if (rc == TACET_OK)
        rc = vault_message_state(e->vault, message, VAULT_QUEUED);
    if (rc == TACET_OK)
        rc = say_offer(e, c, &f, &l);
    if (rc == TACET_OK && f.state == VAULT_FILE_STORED)
        rc = say_seal(e, c, &f, &l);
    sodium_memzero(&f, sizeof f);
    return rc;
}

int file_seal_all(engine *e, file_run *r, const uint8_t root[32])
{
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    size_t count = 0;
    r->f.state = VAULT_FILE_STORED;
    r->f.trouble = TROUBLE_NONE;
    r->f.has_root = true;
    memcpy(r->f.root, root, sizeof r->f.root);
    int rc = vault_file_update(e->vault, &r->f);
    if (rc == TACET_OK)
        rc = vault_file_links(e->vault, r->f.row, link, VAULT_FILE_LINKS_MAX, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        vault_contact c;
        if (link[i].ended || link[i].seal_sequence || !link[i].offer_sequence)
            continue;
        rc = vault_contact_get(e->vault, link[i].contact, &c);
        if (rc == TACET_OK)
            rc = say_seal(e, &c, &r->f, &link[i]);
    }
    return rc == TACET_OK ? file_tell(e, r->f.row) : rc;
}

int file_cancel_say(engine *e, const vault_file *f, const vault_file_link *l)
{
    vault_contact c;
    content k = { .kind = CONTENT_FILE_CANCEL, .time_ms = now_ms(e) };
    if (l->ended || (f->outgoing && !l->offer_sequence))
        return TACET_OK;
    int rc = vault_contact_get(e->vault, l->contact, &c);
    if (rc != TACET_OK || c.state != VAULT_CONTACT_ACCEPTED || !c.has_theirs || c.blocked)
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    env_random(e->env, k.id, sizeof k.id);
    k.cancel.blob = (view){ f->blob, sizeof f->blob };
    return outbox_content(e, &c, &k, VAULT_OUT_MESSAGE, 0);
}

/* --- for eyes ----------------------------------------------------------------------------------------------------------------------------------- */
static bool tell_one(void *ctx, const vault_message *m)
{
    engine *e = ctx;
    emit(e, json_message(e, m));
    return true;
}

int file_tell(engine *e, int64_t row)
{
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    size_t count = 0;
    int rc = vault_file_links(e->vault, row, link, VAULT_FILE_LINKS_MAX, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++)
        rc = vault_message_each_row(e->vault, link[i].message, tell_one, e);
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

/* --- inwards: offer ------------------------------------------------------------------------------------------------------------------------------ */
int file_offered(engine *e, const vault_contact *c, const content *k, int64_t message)
{
    const struct offer_content *o = &k->offer;
    vault_file f = { .state = VAULT_FILE_OFFERED,
                     .source = VAULT_SOURCE_PATH,
                     .form = o->form,
                     .mode = o->mode,
                     .chunks = o->chunks,
                     .size = o->size,
                     .mtime_s = o->mtime_s,
                     .created_ms = now_ms(e) };
    vault_file_link l = { .message = message, .contact = c->id };
    if (c->state == VAULT_CONTACT_ACCEPTED && !c->blocked && o->size <= e->files->auto_download)
        f.state = VAULT_FILE_RUNNING;
    memcpy(f.blob, o->blob.at, sizeof f.blob);
    memcpy(f.key, o->key.at, sizeof f.key);
    memcpy(f.salt, o->salt.at, sizeof f.salt);
    memcpy(f.commitment, o->commitment.at, sizeof f.commitment);
    memcpy(l.capability, o->capability.at, sizeof l.capability);
    memcpy(f.name, o->name.at, o->name.bytes);
    if (o->media.bytes)
        memcpy(f.media, o->media.at, o->media.bytes);
    text_put(f.path, sizeof f.path, e->files->folder);
    int rc = vault_file_add(e->vault, &f);
    l.file = f.row;
    if (rc == TACET_OK)
        rc = vault_file_link_add(e->vault, &l);
    sodium_memzero(&f, sizeof f);
    e->files->started = false; /* looked for after the commit */
    return rc;
}

bool file_offer_fits(engine *e, const vault_contact *c, const content *k)
{
    uint32_t chunks = 0;
    vault_file_link known;
    return plan_chunks(k->offer.size, &chunks) == TACET_OK && chunks == k->offer.chunks &&
           vault_file_link_by_blob(e->vault, c->id, false, k->offer.blob.at, &known) == TACET_E_NOT_FOUND;
}

/* --- inwards: seal and cancel ------------------------------------------------------------------------------------------------------------------------ */
static int owe_complete(engine *e, const vault_contact *c, const vault_file_link *l)
{
    return receipts_owe(e, c, l->seal_id, RECEIPT_DELIVERED, true);
}

int file_sealed(engine *e, vault_contact *c, const content *k, bool *fresh)
{
    vault_file_link l;
    vault_file f;
    int rc = vault_file_link_by_blob(e->vault, c->id, false, k->seal.blob.at, &l);
    if (rc == TACET_OK)
        rc = vault_file_get(e->vault, l.file, &f);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc; /* of nothing that they offered */
    *fresh = l.seal_sequence != k->sequence;
    file_run *r = file_run_find(e, f.row);
    memcpy(l.seal_id, k->id, sizeof l.seal_id);
    l.seal_sequence = k->sequence;
    rc = vault_file_link_update(e->vault, &l);
    if (rc == TACET_OK && f.state == VAULT_FILE_COMPLETE)
        return owe_complete(e, c, &l);
    bool wrong = k->seal.chunks != f.chunks || k->seal.size != f.size;
    f.has_root = true;
    memcpy(f.root, k->seal.root.at, sizeof f.root);
    if (wrong && f.state <= VAULT_FILE_RUNNING) {
        f.state = VAULT_FILE_FAILED;
        f.trouble = TROUBLE_ROOT;
        e->files->leftovers = true; /* removed after the commit */
    }
    if (r) {
        r->f.has_root = true;
        memcpy(r->f.root, f.root, sizeof f.root);
        f.stamp = r->f.stamp; /* the rest of a running one is what the run knows */
        f.have = r->f.have;
        r->watch_at_ms = 0; /* its sender has put all of it */
        e->files_due_ms = 0;
    }
    if (rc == TACET_OK)
        rc = vault_file_update(e->vault, &f);
    if (rc == TACET_OK && wrong)
        rc = file_tell(e, f.row);
    if (wrong && r)
        file_run_end(e, r);
    return rc;
}

int file_done(engine *e, file_run *r, const char *saved)
{
    vault_file_link l;
    vault_contact c;
    vault_file whole = r->f; /* the run itself stays as it was: should the commit fail, it is done again */
    whole.state = VAULT_FILE_COMPLETE;
    whole.trouble = TROUBLE_NONE;
    text_put(whole.path, sizeof whole.path, saved);
    int rc = vault_file_update(e->vault, &whole);
    sodium_memzero(&whole, sizeof whole);
    if (rc == TACET_OK)
        rc = vault_file_link_get(e->vault, r->message, &l);
    if (rc == TACET_OK)
        rc = vault_contact_get(e->vault, l.contact, &c);
    if (rc == TACET_OK)
        rc = owe_complete(e, &c, &l);
    if (rc == TACET_OK)
        rc = vault_file_forget_data(e->vault, r->f.row);
    return rc == TACET_OK ? file_tell(e, r->f.row) : rc;
}

/* All of the receivers have it, or do not want it. Nothing of the kind can be said of a file that comes to us. */
static int end_when_all(engine *e, int64_t file, uint32_t state, trouble bad)
{
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    size_t count = 0;
    vault_file f;
    int rc = vault_file_links(e->vault, file, link, VAULT_FILE_LINKS_MAX, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++)
        if (!link[i].ended)
            return file_tell(e, file);
    if (rc == TACET_OK)
        rc = vault_file_get(e->vault, file, &f);
    if (rc != TACET_OK || !f.outgoing)
        return rc;
    file_run *r = file_run_find(e, file);
    f.state = state;
    f.trouble = bad;
    rc = vault_file_update(e->vault, &f);
    if (rc == TACET_OK)
        rc = vault_file_forget_data(e->vault, file);
    if (rc == TACET_OK)
        rc = file_tell(e, file);
    if (r)
        file_run_end(e, r);
    return rc == TACET_OK ? file_drop_blob(e, f.blob) : rc;
}

int file_expired(engine *e, int64_t message)
{
    vault_file_link l;
    int rc = vault_file_link_get(e->vault, message, &l);
    if (rc != TACET_OK || l.ended)
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    l.ended = true;
    rc = vault_file_link_update(e->vault, &l);
    return rc == TACET_OK ? end_when_all(e, l.file, VAULT_FILE_EXPIRED, TROUBLE_EXPIRED) : rc;
}

/* One of the receivers is to have it no more. */
static int receiver_gone(engine *e, vault_file_link *l)
{
    l->ended = true;
    int rc = vault_file_link_update(e->vault, l);
    if (rc == TACET_OK)
        rc = message_raise(e, l->message, VAULT_FAILED);
    return rc == TACET_OK ? end_when_all(e, l->file, VAULT_FILE_CANCELLED, TROUBLE_UNWANTED) : rc;
}

int file_cancelled(engine *e, vault_contact *c, const content *k)
{
    vault_file_link l;
    vault_file f;
    int rc = vault_file_link_by_blob(e->vault, c->id, true, k->cancel.blob.at, &l);
    if (rc == TACET_OK && !l.ended)
        return receiver_gone(e, &l); /* they do not want it */
    if (rc == TACET_E_NOT_FOUND)
        rc = vault_file_link_by_blob(e->vault, c->id, false, k->cancel.blob.at, &l);
    if (rc == TACET_OK)
        rc = vault_file_get(e->vault, l.file, &f);
    bool unexplained =
        rc == TACET_OK && f.state == VAULT_FILE_FAILED && f.trouble == TROUBLE_RELAY_GONE; /* the relay may say so before its sender does */
    if (rc != TACET_OK || f.outgoing || (f.state > VAULT_FILE_RUNNING && !unexplained))
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    return file_stop(e, l.file, TROUBLE_WITHDRAWN);
}

/* In a transaction. */
int file_stop(engine *e, int64_t row, trouble bad)
{
    vault_file f;
    int rc = vault_file_get(e->vault, row, &f);
    file_run *r = file_run_find(e, row);
    if (rc != TACET_OK)
        return rc;
    f.state = VAULT_FILE_CANCELLED;
    f.trouble = bad;
    if (r) {
        f.stamp = r->f.stamp;
        r->bad = bad;
        file_run_end(e, r);
    }
    e->files->leftovers = true; /* removed after the commit */
    e->files->started = false;  /* should that fail, it goes on */
    rc = vault_file_update(e->vault, &f);
    if (rc == TACET_OK)
        rc = vault_file_forget_data(e->vault, row);
    if (rc == TACET_OK && f.outgoing)
        rc = file_drop_blob(e, f.blob);
    return rc == TACET_OK ? file_tell(e, row) : rc;
}

static int stop_with(engine *e, int64_t row, int64_t contact)
{
    vault_file f;
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    size_t count = 0;
    int rc = vault_file_get(e->vault, row, &f);
    if (rc == TACET_OK)
        rc = vault_file_links(e->vault, row, link, VAULT_FILE_LINKS_MAX, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++)
        if (link[i].contact == contact && !link[i].ended)
            rc = f.outgoing ? receiver_gone(e, &link[i]) : file_stop(e, row, TROUBLE_UNWANTED);
    sodium_memzero(&f, sizeof f);
    return rc;
}

int files_blocked(engine *e, int64_t contact)
{
    static const uint32_t states[] = { VAULT_FILE_RUNNING, VAULT_FILE_STORED };
    int64_t rows[64];
    int rc = TACET_OK;
    for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
        size_t count = 1;
        for (int64_t after = 0; rc == TACET_OK && count > 0; after = count ? rows[count - 1] : 0) {
            rc = vault_file_rows(e->vault, states[s], after, rows, sizeof rows / sizeof *rows, &count);
            for (size_t i = 0; rc == TACET_OK && i < count; i++)
                rc = stop_with(e, rows[i], contact);
        }
    }
    return rc;
}

/* --- receipts ------------------------------------------------------------------------------------------------------------------------------------------- */
int file_receipt(engine *e, const vault_contact *c, const uint8_t id[16], int64_t message, uint32_t device, bool *taken)
{
    vault_file_link l;
    *taken = false;
    int rc = message ? vault_file_link_get(e->vault, message, &l) : vault_file_link_by_seal(e->vault, c->id, id, &l);
    if (rc != TACET_OK)
        return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    *taken = true;
    if (message) /* the offer has come: that says nothing about the file */
        return vault_out_arrived(e->vault, c->id, device, l.offer_sequence);
    rc = vault_out_arrived(e->vault, c->id, device, l.seal_sequence);
    if (rc == TACET_OK)
        rc = message_raise(e, l.message, VAULT_DELIVERED);
    if (rc != TACET_OK || l.ended)
        return rc;
    l.ended = true;
    rc = vault_file_link_update(e->vault, &l);
    return rc == TACET_OK ? end_when_all(e, l.file, VAULT_FILE_COMPLETE, TROUBLE_NONE) : rc;
}
