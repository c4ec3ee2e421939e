/* The engine as a whole: opening and closing, transactions, and what leaves it: events and completions, in the order in
 * which they came about and never before the commit that made them true. */
#include "methods.h"
#include "sockets.h"
#include "state.h"
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- methods --------------------------------------------------------------------------------------------------------------------------- */
void engine_call_async(engine *e, const char *name, json_t *params, engine_done done, void *ctx)
{
    const engine_method *m = method_find(name);
    char wrong[METHOD_PARAM_ROOM];
    bool unknown;
    if (!m)
        complete_say(e, done, ctx, SAY_UNKNOWN_METHOD, name, NULL);
    else if (!method_fits(m, params, wrong, &unknown))
        complete_say(e, done, ctx, unknown ? SAY_NO_PARAMETER : SAY_BAD_PARAMETER, name, wrong);
    else if (m->needs != NEEDS_NOTHING && !engine_has_account(e))
        complete_say(e, done, ctx, e->me.stage == ACCOUNT_RESTORED ? SAY_RESTORE_UNFINISHED : SAY_NO_ACCOUNT, NULL, NULL);
    else if (m->needs == NEEDS_DEVICE && e->me.stage == ACCOUNT_REPLACED)
        complete_say(e, done, ctx, SAY_REPLACED, NULL, NULL);
    else
        m->call(e, params, done, ctx);
    outbox_pump(e);
    e->woken = true;
    engine_settle(e);
}

/* --- opening and closing ------------------------------------------------------------------------------------------------------------------ */
static int open_parts(engine *e, const engine_options *o)
{
    if (sodium_init() < 0)
        return TACET_E_BUG;
    int rc = secret_arena_new(&e->arena, ENGINE_ARENA_BYTES);
    if (rc == TACET_OK)
        rc = vault_open(&e->vault, o->vault_path, o->database_key);
    if (rc == TACET_OK)
        rc = account_load(e);
    if (rc == TACET_OK)
        rc = files_open(e);
    if (rc == TACET_OK && o->network)
        e->net = *o->network;
    else if (rc == TACET_OK && !o->offline)
        rc = sockets_open(e);
    if (rc == TACET_OK)
        rc = receipts_next(e);
    if (rc == TACET_OK)
        rc = outbox_lanes(e);
    return rc;
}

int engine_open(engine **out, const engine_options *o, engine_error *error)
{
    engine *e = calloc(1, sizeof *e);
    if (!e) {
        sentence_fill(error, SAY_NO_MEMORY, NULL, NULL, NULL);
        return TACET_E_NOMEM;
    }
    *e = (engine){ .env = o->env,
                   .offline = o->offline,
                   .event = o->event,
                   .event_ctx = o->event_ctx,
                   .working = o->working,
                   .working_ctx = o->working_ctx,
                   .mailbox = ENGINE_SLOTS_MAX,
                   .next_link = 1 };
    text_put(e->proxy, sizeof e->proxy, o->proxy ? o->proxy : "");
    text_put(e->no_proxy, sizeof e->no_proxy, o->no_proxy && strlen(o->no_proxy) < sizeof e->no_proxy ? o->no_proxy : ""); /* no half names */
    text_put(e->proxy_otherwise, sizeof e->proxy_otherwise, o->proxy_otherwise ? o->proxy_otherwise : "");
    e->receipt_due_ms = UINT64_MAX;
    e->completions_tail = &e->completions;
    e->vault_path = strdup(o->vault_path);
    e->events = json_array();
    e->events_inside = json_array();
    int rc = e->vault_path && e->events && e->events_inside ? open_parts(e, o) : TACET_E_NOMEM;
    if (rc != TACET_OK) {
        int why = errno;
        error_of_status(e, error, rc);
        engine_close(e);
        errno = why;
        return rc;
    }
    if (e->me.stage == ACCOUNT_REGISTERED)
        mailbox_want(e, true);
    *out = e;
    return TACET_OK;
}

engine *engine_close(engine *e)
{
    if (!e)
        return NULL;
    if (e->vault) {
        if (inbox_flush(e) == TACET_OK)
            outbox_flush_stored(e);
        ops_close(e);
        engine_settle(e);
    }
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++)
        slot_close(e, i); /* whoever asked hears that nothing comes: so while files are still there */
    files_close(e);
    sockets_close(e);
    vault_close(e->vault);
    account_forget(e);
    secret_arena_free(e->arena);
    json_decref(e->events);
    json_decref(e->events_inside);
    free(e->lanes);
    free(e->frame_room);
    free(e->vault_path);
    free(e);
    return NULL;
}

bool engine_has_account(const engine *e) { return e->me.stage == ACCOUNT_REGISTERED || e->me.stage == ACCOUNT_REPLACED; }

bool engine_online(const engine *e) { return e->mailbox < ENGINE_SLOTS_MAX && e->slots[e->mailbox].up && e->caught_up; }

bool clock_off(const engine *e)
{
    return e->clock_known && (e->clock_offset_s > ENGINE_CLOCK_TOLERANCE_S || e->clock_offset_s < -ENGINE_CLOCK_TOLERANCE_S);
}

/* --- transactions and faults ---------------------------------------------------------------------------------------------------------------- */
int txn_begin(engine *e)
{
    int rc = inbox_flush(e);
    return rc == TACET_OK ? vault_begin(e->vault) : rc;
}

int txn_end(engine *e, int rc)
{
    if (rc == TACET_OK)
        rc = vault_commit(e->vault);
    else
        vault_rollback(e->vault);
    if (rc == TACET_OK)
        json_array_extend(e->events, e->events_inside);
    json_array_clear(e->events_inside);
    return rc;
}

void error_of_status(const engine *e, engine_error *out, int status)
{
    char number[24];
    sentence which = sentence_of_status(status);
    (void)snprintf(number, sizeof number, "%d", ENGINE_ARENA_BYTES >> 20);
    if (which == SAY_IO)
        sentence_fill(out, which, e->vault_path, strerror(errno), NULL);
    else if (which == SAY_LOCKING)
        sentence_fill(out, which, number, NULL, NULL);
    else if (which == SAY_INTERNAL)
        sentence_fill(out, which, tacet_status_word(status), NULL, NULL);
    else
        sentence_fill(out, which, e->vault_path, NULL, NULL);
}

void engine_fail(engine *e, int status)
{
    error_of_status(e, &e->fault, status);
    emit(e, json_error(&e->fault));
}

/* --- what leaves ------------------------------------------------------------------------------------------------------------------------------ */
void emit(engine *e, json_t *event) { json_array_append_new(vault_in_transaction(e->vault) ? e->events_inside : e->events, event); }

void complete(engine *e, engine_done done, void *ctx, json_t *result, const engine_error *error)
{
    completion *c = done ? calloc(1, sizeof *c) : NULL;
    if (!c) { /* nobody to tell; or no memory: then at least now, if out of order */
        engine_error none;
        sentence_fill(&none, SAY_NO_MEMORY, NULL, NULL, NULL);
        if (done)
            done(ctx, NULL, error ? error : &none);
        json_decref(result);
        return;
    }
    *c = (completion){ .done = done, .ctx = ctx, .result = result };
    if (error)
        c->error = *error;
    else if (!result)
        sentence_fill(&c->error, SAY_NO_MEMORY, NULL, NULL, NULL);
    *e->completions_tail = c;
    e->completions_tail = &c->next;
}

void complete_say(engine *e, engine_done done, void *ctx, sentence which, const char *one, const char *two)
{
    engine_error error;
    sentence_fill(&error, which, one, two, NULL);
    complete(e, done, ctx, NULL, &error);
}

static bool leave_event(engine *e)
{
    if (json_array_size(e->events) == 0)
        return false;
    json_t *event = json_incref(json_array_get(e->events, 0));
    json_array_remove(e->events, 0);
    if (e->event)
        e->event(e->event_ctx, event);
    json_decref(event);
    return true;
}

static bool leave_completion(engine *e)
{
    completion *c = e->completions;
    if (!c)
        return false;
    e->completions = c->next;
    if (!c->next)
        e->completions_tail = &e->completions;
    c->done(c->ctx, c->result, c->result ? NULL : &c->error);
    json_decref(c->result);
    free(c);
    return true;
}

void engine_settle(engine *e)
{
    if (e->settling)
        return;
    e->settling = true;
    do {
        if (e->woken)
            ops_wake(e);
    } while (leave_event(e) || leave_completion(e) || e->woken);
    e->settling = false;
}

/* --- time -------------------------------------------------------------------------------------------------------------------------------------- */
static int forget(engine *e) { return vault_forget(e->vault, now_s(e)); }

static void housekeeping(engine *e)
{
    static int (*const part[])(engine * e) = { forget, sessions_forget, outbox_expire }; /* each by itself: what one cannot do holds up no other */
    if (e->me.stage != ACCOUNT_REGISTERED || mono_ms(e) < e->housekeeping_at_ms || !e->clock_known || clock_off(e))
        return; /* only with a clock that the relay confirmed: nothing is lost to a wrong date */
    e->housekeeping_at_ms = mono_ms(e) + ENGINE_HOUSEKEEPING_MS;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        int rc = txn_begin(e);
        if (rc == TACET_OK)
            rc = txn_end(e, part[i](e));
        if (rc != TACET_OK)
            engine_fail(e, rc);
    }
    e->prekeys_asked = false;
    mailbox_prekeys(e);
    mailbox_name(e);
}

void engine_tick(engine *e)
{
    if (inbox_flush(e) != TACET_OK) {
        /* inbox_flush has said why and closed the link */
    }
    outbox_flush_stored(e);
    receipts_flush(e);
    housekeeping(e);
    slots_tick(e);
    sessions_retry(e);
    files_take(e);
    e->files_due_ms = UINT64_MAX;
    files_pump(e);
    outbox_pump(e);
    e->woken = true;
    engine_settle(e);
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t engine_deadline_ms(const engine *e)
{
    uint64_t mono = mono_ms(e), at = slots_deadline(e);
    if (e->busy || e->batch || e->stored_count || e->woken || e->completions || json_array_size(e->events))
        return mono;
    if (e->receipt_due_ms != UINT64_MAX && e->me.stage == ACCOUNT_REGISTERED) {
        uint64_t now = now_ms(e);
        at = earlier(at, e->receipt_due_ms > now ? mono + (e->receipt_due_ms - now) : mono);
    }
    if (e->me.stage == ACCOUNT_REGISTERED && e->clock_known && !clock_off(e))
        at = earlier(at, e->housekeeping_at_ms > mono ? e->housekeeping_at_ms : mono);
    uint64_t retry = earlier(e->sessions_retry_ms, e->resets_retry_ms);
    if (e->me.stage == ACCOUNT_REGISTERED && !e->offline)
        at = earlier(at, retry > mono ? retry : mono);
    return earlier(earlier(at, files_deadline(e)), outbox_deadline(e));
}
