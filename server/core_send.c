/* server/core_send.c: the way of a message into the relay: shape, token, quota, then to the device that listens and to the committer. */
#include "server/core_parts.h"
#include "server/limits.h"
#include "identity/directory.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { WIRE_ENVELOPE_VERSION = 1 };

void core_message_free(core *c, message *m)
{
    c->memory -= m->job.charged;
    free(m);
}

static message *message_new(core *c, conn *k, const frame *f)
{
    size_t n = f->send.ciphertext.bytes;
    message *m = malloc(sizeof *m + n);
    if (!m)
        return NULL;
    *m = (message){ .device = f->send.device, .address = k->address, .bytes = (uint32_t)n };
    m->job = (job){ .from = core_ref(c, k), .id = f->id, .charged = sizeof *m + n };
    memcpy(m->account, f->send.account.at, sizeof m->account);
    memcpy(m->ciphertext, f->send.ciphertext.at, n);
    uint32_t ttl_s = f->send.ttl_s < TACET_TTL_MAX_S ? f->send.ttl_s : TACET_TTL_MAX_S;
    m->ttl_hours = (ttl_s + 3599) / 3600;
    core_charge(c, &m->job);
    return m;
}

/* Nobody fills a mailbox alone: beyond its half, each contact (a token is one) has an allowance. */
static bool has_share(core *c, const message *m, const mailbox *box)
{
    const core_config *o = &c->o.config;
    uint32_t share = o->mailbox_messages / RELAY_MAILBOX_CONTACT_SHARE;
    const limiter_rate rate = { share > RELAY_MAILBOX_CONTACT_LEAST ? share : RELAY_MAILBOX_CONTACT_LEAST, RELAY_MAILBOX_CONTACT_EVERY_MS };
    if (box->messages < o->mailbox_messages / 2 && box->bytes < o->mailbox_bytes / 2)
        return true;
    return limiter_take(c->contacts, token_short(m->token_hash), rate, c->now_us / 1000);
}

/* Where the disk runs out, whoever has much waiting gets no more, so that what is left is for those who have little. */
static bool too_much_for_the_disk(const core *c, const message *m, const mailbox *box)
{
    uint64_t wanted = (uint64_t)c->o.config.message_free_mib << 20;
    if (c->room_left >= wanted)
        return false;
    uint64_t may = RELAY_SCARCE_LEAST_BYTES + c->room_left / 1024 * RELAY_SCARCE_BYTES / (wanted / 1024);
    return box->bytes + m->bytes + box->messages * (uint64_t)RELAY_SCARCE_MESSAGE_BYTES > may;
}

/* The mailbox's limits. Contact requests have two of their own. 0: there is room. */
static error_code over_quota(core *c, const message *m, const mailbox *box)
{
    const core_config *o = &c->o.config;
    if (box->messages >= o->mailbox_messages || box->bytes + m->bytes > o->mailbox_bytes || too_much_for_the_disk(c, m, box))
        return ERROR_QUOTA;
    if (m->token_kind != TOKEN_REQUEST)
        return has_share(c, m, box) ? 0 : ERROR_QUOTA;
    if (box->requests >= o->request_queue)
        return ERROR_QUOTA;
    return limiter_take(c->requests, m->address, o->requests, c->now_us / 1000) ? 0 : ERROR_RATE;
}

/* The mailbox is known: charges it, shows the message to its device, and puts it in the row for the committer. */
static void message_route(core *c, message *m)
{
    mailbox *box = mailboxes_get(&c->boxes, m->mailbox);
    error_code no = box ? over_quota(c, m, box) : ERROR_INTERNAL;
    if (no) {
        core_reply_error(c, m->job.from, m->job.id, no);
        core_message_free(c, m);
        return;
    }
    mailboxes_charge(&c->boxes, m->mailbox, m->bytes, m->token_kind == TOKEN_REQUEST);
    box->unwritten++;
    m->job.kind = JOB_APPEND;
    m->job.writes = true;
    m->tag = c->next_number++;
    m->stored_hour = core_hour(c);
    m->expires_hour = age_hour(&c->age) + m->ttl_hours;
    core_offer(c, m);
    core_queue(c, &m->job);
}

static route_key key_of(const message *m)
{
    route_key key = { .device = m->device };
    memcpy(key.account, m->account, 32);
    memcpy(key.token_hash, m->token_hash, 32);
    return key;
}

void core_send(core *c, conn *k, const frame *f)
{
    uint64_t ciphertext = f->send.ciphertext.bytes;
    error_code no = f->send.version != WIRE_ENVELOPE_VERSION || ciphertext == 0 ? ERROR_MALFORMED
                    : ciphertext > TACET_ENVELOPE_MAX_BYTES                     ? ERROR_TOO_LARGE
                    : f->send.ttl_s == 0                                        ? ERROR_EXPIRED
                                                                                : 0;
    c->n.sends++;
    if (no) {
        core_reply_error(c, core_ref(c, k), f->id, no);
        return;
    }
    message *m = message_new(c, k, f);
    if (!m) {
        core_reply_error(c, core_ref(c, k), f->id, ERROR_INTERNAL);
        return;
    }
    token_hash(m->token_hash, f->send.token.at);
    route_key key = key_of(m);
    if (routes_find(c->routes, &key, &m->mailbox, &m->token_kind)) {
        message_route(c, m);
        return;
    }
    m->job.kind = JOB_RESOLVE;
    m->token_epoch = routes_epoch(c->routes, m->account);
    core_queue(c, &m->job);
}

/* A message of the same sender to the same account is to be asked again: this one comes after it. */
static bool behind_another(const core *c, const message *m)
{
    for (const job *j = c->again_first; j; j = j->next)
        if (j->from.index == m->job.from.index && j->from.serial == m->job.from.serial &&
            memcmp(((const message *)j)->account, m->account, sizeof m->account) == 0)
            return true;
    return false;
}

/* The store has said whose mailbox the token opens. If a token or a device of the account was removed while it was being asked, the answer may be too old: ask again, behind that
 * removal (core_resolve_waiting). */
void core_resolved(core *c, message *m)
{
    route_key key = key_of(m);
    if (m->token_epoch != routes_epoch(c->routes, m->account) || behind_another(c, m)) {
        m->job.next = NULL;
        *(c->again_last ? &c->again_last->next : &c->again_first) = &m->job;
        c->again_last = &m->job;
        return;
    }
    if (m->job.status != TACET_OK) {
        core_reply_error(c, m->job.from, m->job.id,
                         m->job.status == TACET_E_GAP       ? ERROR_STALE_DEVICE
                         : m->job.status == TACET_E_REFUSED ? ERROR_REFUSED
                                                            : ERROR_INTERNAL);
        core_message_free(c, m);
        return;
    }
    routes_add(c->routes, &key, m->mailbox, m->token_kind);
    message_route(c, m);
}

/* Every removal that has come so far comes before it. */
static void ask_behind_all(core *c, message *m)
{
    m->token_epoch = routes_epoch(c->routes, m->account);
    core_queue(c, &m->job);
}

/* After a group: what waits to be resolved and now is known goes on at once, before a later message of the same sender can overtake it. What has to be
 * asked again comes behind all other jobs, and everything that was to be resolved after it behind that. */
void core_resolve_waiting(core *c)
{
    job *again = c->again_first, *last = c->last, *next;
    c->again_first = c->again_last = NULL;
    for (job *j = again; j; j = next) {
        next = j->next;
        ask_behind_all(c, (message *)j);
    }
    bool reached = !last;
    for (job *j = c->first; j; j = next) {
        next = j->next;
        bool old = !reached;
        reached |= j == last;
        if (j->kind != JOB_RESOLVE)
            continue;
        message *m = (message *)j;
        route_key key = key_of(m);
        if (routes_find(c->routes, &key, &m->mailbox, &m->token_kind)) {
            core_unqueue(c, j);
            message_route(c, m);
        } else if (again && old) {
            core_unqueue(c, j);
            ask_behind_all(c, m);
        }
    }
}

/* The committer is done with it. TACET_E_NOT_FOUND: the mailbox was removed meanwhile. Anything else but TACET_OK: the disk is full. */
void core_appended(core *c, message *m, int status)
{
    bool written = status == TACET_OK;
    mailbox *box = mailboxes_get(&c->boxes, m->mailbox);
    if (box)
        box->unwritten--;
    if (written) {
        c->n.committed++;
        c->n.accepted++;
        core_reply_ok(c, m->job.from, m->job.id);
    } else {
        if (!m->acknowledged)
            mailboxes_return(&c->boxes, m->mailbox, 1, m->bytes, m->token_kind == TOKEN_REQUEST);
        core_reply_error(c, m->job.from, m->job.id, status == TACET_E_NOT_FOUND ? ERROR_STALE_DEVICE : ERROR_QUOTA);
    }
    core_settled(c, m, written);
    core_message_free(c, m);
}
