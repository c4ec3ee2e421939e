/* server/core_group.c: the row of jobs for the committer: what is taken when, and what its completion means. See core.h. */
#include "server/core_parts.h"
#include "server/limits.h"
#include <stdlib.h>

void core_charge(core *c, job *j) { c->memory += j->charged; }

static bool held(const core *c, const job *j) { return j->kind == JOB_APPEND && ((const message *)j)->hold_until_us > c->now_us; }

/* When something can be taken: no later than the true moment, so that the row is not walked in vain while all of it is held back. */
static void take_by(core *c, uint64_t moment_us) { c->take_due_us = moment_us < c->take_due_us ? moment_us : c->take_due_us; }

/* Nobody waits for an acknowledgement to be written: alone it makes no group at once, because then a device that fetches much has one for each few messages,
 * and whatever else comes would wait for that. */
static uint64_t due_of(const core *c, const job *j)
{
    if (j->kind == JOB_ACK)
        return c->now_us + RELAY_ACK_GATHER_US;
    return held(c, j) ? ((const message *)j)->hold_until_us : c->now_us;
}

void core_queue(core *c, job *j)
{
    take_by(c, due_of(c, j));
    j->next = NULL;
    j->previous = c->last;
    *(c->last ? &c->last->next : &c->first) = j;
    c->last = j;
}

void core_unqueue(core *c, job *j)
{
    *(j->previous ? &j->previous->next : &c->first) = j->next;
    *(j->next ? &j->next->previous : &c->last) = j->previous;
    j->next = j->previous = NULL;
}

/* Numbers of the log are given here, in the order in which the committer will write. */
job *core_take_group(core *c)
{
    job *head = NULL, **tail = &head;
    unsigned taken = 0;
    if (c->group_out || c->take_due_us > c->now_us)
        return NULL;
    c->take_due_us = UINT64_MAX;
    for (job *j = c->first, *next; j; j = next) {
        next = j->next;
        if (held(c, j)) {
            take_by(c, ((const message *)j)->hold_until_us);
            continue;
        }
        if (taken == RELAY_GROUP_MAX_JOBS) {
            take_by(c, c->now_us);
            break;
        }
        core_unqueue(c, j);
        j->status = TACET_E_NOMEM; /* until the committer has come to it: a group may end before */
        if (j->kind == JOB_APPEND) {
            message *m = (message *)j;
            c->n.hold_ran_out += m->hold_until_us != 0;
            m->taken = true;
            m->row = c->next_number++;
            c->group_appends = true;
        }
        *tail = j;
        tail = &j->next;
        taken++;
    }
    c->group_out = head != NULL;
    c->group_began_us = c->now_us;
    c->n.groups += head != NULL;
    return head;
}

void core_release(core *c, message *m)
{
    m->hold_until_us = 0;
    take_by(c, c->now_us);
}

/* --- accepts of what was never written ------------------------------------------------------------------------------------------------- */
/* Without memory for the list the accept leaves at once: it is true already, only its time may tell something. */
void core_accept(core *c, conn_ref to, uint32_t id)
{
    c->n.accepted++;
    if (!promises_add(&c->accepts, to, id))
        core_reply_ok(c, to, id);
    else if (c->accepts.count == 1)
        c->accepts_due_us = c->now_us + RELAY_TICK_US;
}

static void accepts_leave(core *c)
{
    for (uint32_t i = 0; i < c->accepts.count; i++)
        core_reply_ok(c, c->accepts.at[i].to, c->accepts.at[i].id);
    c->accepts.count = 0;
    c->accepts_due_us = UINT64_MAX;
}

/* --- acknowledgements for the store ---------------------------------------------------------------------------------------------------- */
void core_ack_row(core *c, uint32_t box, uint64_t row)
{
    ack_job *a = c->last && c->last->kind == JOB_ACK ? (ack_job *)c->last : NULL;
    if (!a || a->mailbox != box || a->count == RELAY_ACKS_MAX) {
        a = malloc(sizeof *a);
        if (!a)
            return; /* it will be delivered again; the device knows it by its envelope id */
        a->job = (job){ .kind = JOB_ACK, .writes = true, .charged = sizeof *a };
        a->mailbox = box;
        a->count = 0;
        core_charge(c, &a->job);
        core_queue(c, &a->job);
    }
    a->number[a->count++] = row;
}

/* --- time ---------------------------------------------------------------------------------------------------------------------------- */
static void clean_queue(core *c)
{
    clean_job *j = calloc(1, sizeof *j);
    c->clean_due_us = c->now_us + RELAY_CLEAN_EVERY_MS * 1000ull;
    if (!j)
        return;
    j->job = (job){ .kind = JOB_CLEAN, .charged = sizeof *j };
    j->now_hour = age_hour(&c->age);
    if (age_ms(&c->age) / RELAY_AGE_SAVE_EVERY_MS != c->age_saved_ms / RELAY_AGE_SAVE_EVERY_MS)
        j->age_ms = c->age_saved_ms = age_ms(&c->age);
    j->room_left = c->room_left;
    c->cleaning = true;
    core_charge(c, &j->job);
    core_queue(c, &j->job);
}

void core_tick(core *c)
{
    if (!c->group_appends && c->now_us >= c->accepts_due_us)
        accepts_leave(c);
    if (!c->cleaning && !c->stopping && c->now_us >= c->clean_due_us)
        clean_queue(c);
    core_blobs_tick(c);
    core_strangers_end(c);
}

uint64_t core_due_us(const core *c)
{
    uint64_t due = c->cleaning || c->stopping ? UINT64_MAX : c->clean_due_us, blobs_due = core_blobs_due_us(c);
    due = blobs_due < due ? blobs_due : due;
    if (!c->group_appends && c->accepts_due_us < due)
        due = c->accepts_due_us;
    return !c->group_out && c->take_due_us < due ? c->take_due_us : due;
}

static void note(const core *c, const char *what, uint32_t box)
{
    if (c->ports.note)
        c->ports.note(c->ports.ctx, what, box);
}

/* --- completions ----------------------------------------------------------------------------------------------------------------------- */
static void login_done(core *c, login_job *l)
{
    conn *k = core_conn(c, l->job.from);
    if (k && k->state == CONN_LOGIN && l->job.status != TACET_OK) {
        core_shut(c, k, true); /* nobody knows who that is: not a stranger, who would be told so */
    } else if (k && k->state == CONN_LOGIN) {
        bool may = core_known_as(c, k, &l->who);
        k->state = CONN_OPEN;
        c->n.logins += l->who.mailbox != 0;
        note(c, l->who.mailbox ? "login" : "login of a stranger", l->who.mailbox);
        c->ports.ready(c->ports.ctx, k->peer);
        if (!may)
            core_shut(c, k, true);
    }
}

static void clean_done(core *c, clean_job *j)
{
    for (uint32_t i = 0; i < j->count; i++) {
        const relay_waiting *w = &j->expired[i];
        mailboxes_return(&c->boxes, w->mailbox, w->messages, w->bytes, w->requests);
        c->n.expired += w->messages;
    }
    c->cleaning = false;
    c->room_left = j->room_left;
    c->forgetting &= j->more;
    c->clean_due_us = c->now_us + (j->more ? RELAY_CLEAN_BUSY_MS : RELAY_CLEAN_EVERY_MS) * 1000ull;
    free(j->expired);
}

/* A device that is gone is nobody on all its connections. */
static void mailbox_gone(core *c, const uint8_t account[32], uint32_t number)
{
    mailbox *box = mailboxes_get(&c->boxes, number);
    if (!box)
        return;
    for (conn *k = NULL; (k = core_of_account(c, account, k));)
        if (k->who.mailbox == number)
            core_shut(c, k, true);
    mailboxes_return(&c->boxes, number, box->messages, box->bytes, box->requests);
}

/* A mailbox is the one thing that stays for good: the address that brought it is charged, unless it has paid. The account has, with its list, which has at
 * most one new device. */
static void charge_devices(core *c, const request_job *r)
{
    const core_config *o = &c->o.config;
    limiter_owe(c->registers, r->address, o->registers, r->effects.new_devices - r->address_paid, c->now_us / 1000);
}

static void effects_apply(core *c, const request_job *r)
{
    const directory_effects *e = &r->effects;
    conn *k = core_conn(c, r->job.from);
    if (e->registered) {
        c->n.registered++;
        note(c, "registered", r->who.mailbox);
        mailboxes_get(&c->boxes, r->who.mailbox);
        if (k && !core_known_as(c, k, &r->who))
            core_shut(c, k, true);
    }
    if (e->new_devices)
        charge_devices(c, r);
    if (e->routes_changed)
        routes_forget(c->routes, r->who.account);
    if (e->forgets) {
        c->forgetting = true;
        c->clean_due_us = c->now_us;
    }
    for (uint32_t i = 0; i < e->removed_mailboxes; i++)
        mailbox_gone(c, r->who.account, e->removed_mailbox[i]);
}

static void request_done(core *c, request_job *r, int status)
{
    conn *k = core_conn(c, r->job.from);
    if (r->job.writes && status != TACET_OK) {
        core_reply_error(c, r->job.from, r->job.id, status == TACET_E_FULL ? ERROR_QUOTA : ERROR_INTERNAL);
    } else if (!r->reply) {
        core_reply_error(c, r->job.from, r->job.id, r->error ? r->error : ERROR_INTERNAL);
    } else {
        if (k)
            core_reply(c, k, r->reply, r->reply_bytes, 1);
        effects_apply(c, r);
    }
}

static void job_done(core *c, job *j, int status)
{
    switch (j->kind) {
    case JOB_APPEND:
        core_appended(c, (message *)j, status == TACET_OK ? j->status : status);
        return; /* frees it */
    case JOB_RESOLVE:
        core_resolved(c, (message *)j);
        return; /* it goes on, or frees it */
    case JOB_BLOB:
        core_blob_job_done(c, (blob_job *)j, status);
        return; /* frees it */
    case JOB_LOGIN:
        login_done(c, (login_job *)j);
        break;
    case JOB_CLEAN:
        clean_done(c, (clean_job *)j);
        break;
    case JOB_REQUEST:
        request_done(c, (request_job *)j, status);
        break;
    case JOB_ACK:
        break; /* written or not: at worst it is delivered again */
    }
    c->memory -= j->charged;
    if (j->kind == JOB_REQUEST)
        request_job_free((request_job *)j);
    else
        free(j);
}

void core_group_done(core *c, job *list, int status)
{
    c->group_out = c->group_appends = false;
    bool wrote = false;
    for (const job *j = list; j; j = j->next)
        wrote |= j->writes;
    if (wrote && status == TACET_OK)
        c->commit_us = c->commit_us - c->commit_us / 8 + (c->now_us - c->group_began_us) / 8;
    c->n.commits += wrote && status == TACET_OK;
    c->n.commits_failed += status != TACET_OK;
    for (job *next; list; list = next) {
        next = list->next;
        job_done(c, list, status);
    }
    core_resolve_waiting(c);
    accepts_leave(c);
}
