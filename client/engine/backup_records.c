#include "backup_records.h"
#include "base/text.h"
#include <assert.h>
#include <sodium.h>
#include <string.h>

/* --- shapes -------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    writer *w;
    uint8_t *at; /* where its length goes */
} open_record;

static open_record record_begin(writer *w, record_kind kind)
{
    write_be(w, kind, 1);
    return (open_record){ w, write_room(w, 4) };
}

static void record_finish(const open_record *r)
{
    if (!writer_ok(r->w))
        return;
    size_t n = (size_t)(r->w->at - (r->at + 4));
    assert(n <= BACKUP_RECORD_MAX_BYTES);
    writer length = writer_over(r->at, 4);
    write_be(&length, n, 4);
}

static void put_blob(writer *w, const void *bytes, size_t n)
{
    write_be(w, n, 4);
    write_bytes(w, bytes, n);
}

static void put_text(writer *w, const char *text) { put_blob(w, text, strlen(text)); }

static vault_blob get_blob(reader *r)
{
    size_t n = read_be(r, 4);
    const uint8_t *at = read_view(r, n);
    return (vault_blob){ at, at ? n : 0 };
}

static vault_blob get_utf8(reader *r)
{
    vault_blob b = get_blob(r);
    if (b.bytes && !utf8_valid(b.at, b.bytes))
        r->bad = true;
    return b;
}

static void get_text(reader *r, char *out, size_t room)
{
    vault_blob b = get_utf8(r);
    if (b.bytes >= room)
        r->bad = true;
    size_t n = r->bad ? 0 : b.bytes;
    if (n)
        memcpy(out, b.at, n);
    out[n] = '\0';
}

static size_t get_some(reader *r, uint8_t *out, size_t room)
{
    vault_blob b = get_blob(r);
    if (b.bytes > room)
        r->bad = true;
    size_t n = r->bad ? 0 : b.bytes;
    if (n)
        memcpy(out, b.at, n);
    return n;
}

static int judged(const reader *r) { return reader_done(r) ? TACET_OK : TACET_E_MALFORMED; }

int record_next(reader *r, record_kind *kind, reader *body)
{
    reader trial = *r;
    uint64_t what = read_be(&trial, 1);
    if (trial.bad)
        return TACET_E_AGAIN;
    if (what == RECORD_END) {
        *kind = RECORD_END;
        *body = reader_over(NULL, 0);
        *r = trial;
        return TACET_OK;
    }
    size_t n = read_be(&trial, 4);
    if (!trial.bad && n > BACKUP_RECORD_MAX_BYTES)
        return TACET_E_MALFORMED;
    const uint8_t *at = read_view(&trial, n);
    if (trial.bad)
        return TACET_E_AGAIN;
    *kind = (record_kind)what;
    *body = reader_over(at, n);
    *r = trial;
    return TACET_OK;
}

void record_put_end(writer *w) { write_be(w, RECORD_END, 1); }

/* --- account ------------------------------------------------------------------------------------------------------------------------- */
enum { ACCOUNT_LISTED = 1, ACCOUNT_READ_RECEIPTS = 2 };

void record_put_account(writer *w, const backup_account *a)
{
    open_record r = record_begin(w, RECORD_ACCOUNT);
    write_be(w, a->made_ms, 8);
    write_bytes(w, a->ik_seed, sizeof a->ik_seed);
    write_be(w, a->device, 4);
    write_bytes(w, a->request_token, sizeof a->request_token);
    write_be(w, (a->listed ? ACCOUNT_LISTED : 0u) | (a->read_receipts ? ACCOUNT_READ_RECEIPTS : 0u), 4);
    put_text(w, a->name);
    put_text(w, a->relay);
    put_text(w, a->proxy);
    put_blob(w, a->list, a->list_bytes);
    record_finish(&r);
}

int record_get_account(reader *body, backup_account *out)
{
    backup_account a = { .made_ms = read_be(body, 8) };
    read_into(body, a.ik_seed, sizeof a.ik_seed);
    a.device = (uint32_t)read_be(body, 4);
    read_into(body, a.request_token, sizeof a.request_token);
    uint64_t flags = read_be(body, 4);
    a.listed = flags & ACCOUNT_LISTED;
    a.read_receipts = flags & ACCOUNT_READ_RECEIPTS;
    get_text(body, a.name, sizeof a.name);
    get_text(body, a.relay, sizeof a.relay);
    get_text(body, a.proxy, sizeof a.proxy);
    a.list_bytes = get_some(body, a.list, sizeof a.list);
    int rc = judged(body);
    if (rc == TACET_OK && !name_valid(a.name, strlen(a.name)))
        rc = TACET_E_MALFORMED;
    if (rc == TACET_OK)
        *out = a;
    sodium_memzero(&a, sizeof a);
    return rc;
}

/* --- contact ------------------------------------------------------------------------------------------------------------------------- */
/* The order of the bits is the format's. */
static bool *contact_flag(vault_contact *c, unsigned bit)
{
    bool *const flag[] = { &c->verified, &c->blocked, &c->forked, &c->reduced, &c->has_ours, &c->has_theirs, &c->changed };
    return bit < sizeof flag / sizeof *flag ? flag[bit] : NULL;
}

void record_put_contact(writer *w, const backup_contact *k)
{
    vault_contact c = k->c;
    open_record r = record_begin(w, RECORD_CONTACT);
    uint64_t flags = 0;
    for (unsigned bit = 0; contact_flag(&c, bit); bit++)
        flags |= (uint64_t)*contact_flag(&c, bit) << bit;
    write_bytes(w, c.account, sizeof c.account);
    write_be(w, c.state, 1);
    write_be(w, flags, 4);
    write_bytes(w, c.our_token, sizeof c.our_token);
    write_bytes(w, c.their_token, sizeof c.their_token);
    write_bytes(w, c.request_token, sizeof c.request_token);
    write_bytes(w, c.changed_account, sizeof c.changed_account);
    write_be(w, c.created_ms, 8);
    put_text(w, c.alias);
    put_text(w, c.name);
    put_text(w, c.relay);
    put_blob(w, c.list, c.list_bytes);
    put_blob(w, k->draft.at, k->draft.bytes);
    record_finish(&r);
    sodium_memzero(&c, sizeof c);
}

static bool contact_valid(const vault_contact *c)
{
    relay_address relay;
    device_list list;
    return c->state >= VAULT_CONTACT_REQUESTED && c->state <= VAULT_CONTACT_PENDING && c->alias[0] && name_valid(c->name, strlen(c->name)) &&
           relay_address_parse(&relay, c->relay) == TACET_OK && device_list_decode(&list, c->list, c->list_bytes) == TACET_OK &&
           memcmp(list.account.bytes, c->account, sizeof c->account) == 0 && list.version == c->list_version;
}

int record_get_contact(reader *body, backup_contact *out)
{
    backup_contact k = { 0 };
    vault_contact *c = &k.c;
    device_list list;
    read_into(body, c->account, sizeof c->account);
    c->state = (uint32_t)read_be(body, 1);
    uint64_t flags = read_be(body, 4);
    for (unsigned bit = 0; contact_flag(c, bit); bit++)
        *contact_flag(c, bit) = flags >> bit & 1;
    read_into(body, c->our_token, sizeof c->our_token);
    read_into(body, c->their_token, sizeof c->their_token);
    read_into(body, c->request_token, sizeof c->request_token);
    read_into(body, c->changed_account, sizeof c->changed_account);
    c->created_ms = read_be(body, 8);
    get_text(body, c->alias, sizeof c->alias);
    get_text(body, c->name, sizeof c->name);
    get_text(body, c->relay, sizeof c->relay);
    c->list_bytes = get_some(body, c->list, sizeof c->list);
    k.draft = get_utf8(body);
    int rc = judged(body);
    if (rc == TACET_OK && (k.draft.bytes > BACKUP_DRAFT_MAX_BYTES || device_list_decode(&list, c->list, c->list_bytes) != TACET_OK))
        rc = TACET_E_MALFORMED;
    if (rc == TACET_OK) {
        c->list_version = list.version;
        if (c->has_ours)
            token_hash(c->our_hash, c->our_token);
        rc = contact_valid(c) ? TACET_OK : TACET_E_MALFORMED;
    }
    if (rc == TACET_OK)
        *out = k;
    sodium_memzero(&k, sizeof k);
    return rc;
}

/* --- chain --------------------------------------------------------------------------------------------------------------------------- */
void record_put_chain(writer *w, const backup_chain *c)
{
    open_record r = record_begin(w, RECORD_CHAIN);
    write_be(w, c->device, 4);
    write_be(w, c->sequence, 8);
    record_finish(&r);
}

int record_get_chain(reader *body, backup_chain *out)
{
    backup_chain c = { .device = (uint32_t)read_be(body, 4) };
    c.sequence = read_be(body, 8);
    int rc = judged(body);
    if (rc == TACET_OK)
        *out = c;
    return rc;
}

/* --- message ------------------------------------------------------------------------------------------------------------------------- */
static bool *message_flag(vault_message *m, unsigned bit)
{
    bool *const flag[] = { &m->outgoing, &m->suspect, &m->handed, &m->read, &m->waits, &m->has_reply };
    return bit < sizeof flag / sizeof *flag ? flag[bit] : NULL;
}

void record_put_message(writer *w, uint32_t contact, const vault_message *message)
{
    vault_message m = *message;
    open_record r = record_begin(w, RECORD_MESSAGE);
    uint64_t flags = 0;
    for (unsigned bit = 0; message_flag(&m, bit); bit++)
        flags |= (uint64_t)*message_flag(&m, bit) << bit;
    write_be(w, contact, 4);
    write_bytes(w, m.id, sizeof m.id);
    write_be(w, flags, 4);
    write_be(w, m.kind, 1);
    write_be(w, m.state, 1);
    write_be(w, m.device, 4);
    write_be(w, m.sequence, 8);
    write_be(w, m.time_ms, 8);
    write_be(w, m.received_ms, 8);
    write_bytes(w, m.hash, sizeof m.hash);
    write_bytes(w, m.previous, sizeof m.previous);
    write_bytes(w, m.reply_to, sizeof m.reply_to);
    write_be(w, m.content_kind, 4);
    write_be(w, m.gap, 8);
    put_blob(w, m.text.at, m.text.bytes);
    put_blob(w, m.raw.at, m.raw.bytes);
    record_finish(&r);
}

int record_get_message(reader *body, uint32_t *contact, vault_message *out)
{
    vault_message m = { 0 };
    uint32_t whose = (uint32_t)read_be(body, 4);
    read_into(body, m.id, sizeof m.id);
    uint64_t flags = read_be(body, 4);
    for (unsigned bit = 0; message_flag(&m, bit); bit++)
        *message_flag(&m, bit) = flags >> bit & 1;
    m.kind = (uint32_t)read_be(body, 1);
    m.state = (uint32_t)read_be(body, 1);
    m.device = (uint32_t)read_be(body, 4);
    m.sequence = read_be(body, 8);
    m.time_ms = read_be(body, 8);
    m.received_ms = read_be(body, 8);
    read_into(body, m.hash, sizeof m.hash);
    read_into(body, m.previous, sizeof m.previous);
    read_into(body, m.reply_to, sizeof m.reply_to);
    m.content_kind = (uint32_t)read_be(body, 4);
    m.gap = read_be(body, 8);
    m.text = get_utf8(body);
    m.raw = get_blob(body);
    int rc = judged(body);
    if (rc == TACET_OK) {
        *contact = whose;
        *out = m;
    }
    return rc;
}

/* --- cursor -------------------------------------------------------------------------------------------------------------------------- */
void record_put_cursor(writer *w, const backup_cursor *c)
{
    open_record r = record_begin(w, RECORD_CURSOR);
    write_be(w, c->c.created_ms, 8);
    put_text(w, c->c.name);
    write_bytes(w, c->upto, sizeof c->upto);
    put_blob(w, c->taken.at, c->taken.bytes);
    record_finish(&r);
}

int record_get_cursor(reader *body, backup_cursor *out)
{
    backup_cursor c = { .c.created_ms = read_be(body, 8) };
    get_text(body, c.c.name, sizeof c.c.name);
    read_into(body, c.upto, sizeof c.upto);
    c.taken = get_blob(body);
    int rc = judged(body);
    if (rc == TACET_OK && (c.taken.bytes % sizeof c.upto != 0 || !name_valid(c.c.name, strlen(c.c.name))))
        rc = TACET_E_MALFORMED;
    if (rc == TACET_OK)
        *out = c;
    return rc;
}
