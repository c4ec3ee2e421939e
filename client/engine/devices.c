/* A contact's devices change: a device that was added or lost is shown once, what is on its way to a lost one goes to the new ones, and the ratchets
 * with a lost one are kept for what it sent before it was lost, but never send again (PROTOCOL.md §4.5). */
#include "state.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what is shown ------------------------------------------------------------------------------------------------------------------- */
static void tell_event(engine *e, const vault_contact *c, uint32_t device)
{
    json_t *event = json_event("new-device");
    json_object_set_new(event, "contact", json_string(c->alias));
    json_object_set_new(event, "device", json_integer(device));
    emit(e, event);
}

/* One notice for all of it, however many lists came at once. */
static int tell(engine *e, const vault_contact *c, const device_list *known, const device_list *next)
{
    char text[256] = "";
    size_t used = 0, added = 0;
    for (uint8_t i = 0; i < next->count; i++)
        if (!device_list_find(known, next->device[i].id)) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%lu", added++ ? ", " : "new device ", (unsigned long)next->device[i].id);
            tell_event(e, c, next->device[i].id);
        }
    bool first = true;
    for (uint8_t i = 0; i < known->count; i++)
        if (!device_list_find(next, known->device[i].id)) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%lu",
                                     !first  ? ", "
                                     : added ? "; gone: device "
                                             : "gone: device ",
                                     (unsigned long)known->device[i].id);
            first = false;
        }
    return used ? notice_add(e, c, text) : TACET_OK;
}

/* --- what is on its way -------------------------------------------------------------------------------------------------------------- */
typedef struct {
    engine *e;
    const vault_contact *c;
    const device_list *known, *next;
    bool answer_lost; /* a token was on its way, and only its ciphertext is here */
    vault_outgoing o;
    uint8_t *bytes; /* its content */
} moving;

static bool copy_row(void *ctx, const vault_outgoing *o)
{
    moving *m = ctx;
    m->o = *o;
    m->o.ciphertext = (vault_blob){ NULL, 0 };
    m->o.content = (vault_blob){ m->bytes, 0 };
    if (o->content.bytes <= TACET_SESSION_CONTENT_MAX_BYTES && o->content.bytes) {
        memcpy(m->bytes, o->content.at, o->content.bytes);
        m->o.content.bytes = o->content.bytes;
    }
    return true;
}

/* The same content once more, for each device that was not there before; it is sealed when there is a session. */
static int row_for_new_devices(moving *m)
{
    int rc = TACET_OK;
    for (uint8_t i = 0; rc == TACET_OK && i < m->next->count; i++) {
        bool there = false;
        uint32_t device = m->next->device[i].id;
        if (device_list_find(m->known, device))
            continue;
        rc = vault_out_has(m->e->vault, m->o.message, device, &there);
        if (rc != TACET_OK || there)
            continue;
        vault_outgoing copy = m->o;
        copy.device = device;
        copy.state = VAULT_OUT_CONTENT;
        rc = vault_out_add(m->e->vault, &copy);
    }
    return rc;
}

static int row_move(moving *m, int64_t row)
{
    int rc = vault_out_get(m->e->vault, row, copy_row, m);
    if (rc != TACET_OK)
        return rc;
    if (m->o.content.bytes)
        rc = row_for_new_devices(m);
    else if (m->o.what == VAULT_OUT_TOKEN)
        m->answer_lost = true;
    return rc == TACET_OK ? vault_out_remove(m->e->vault, row) : rc;
}

static int rows_move(moving *m, uint32_t device)
{
    int64_t rows[64], after = 0;
    size_t count = 0;
    int rc = TACET_OK;
    do {
        rc = vault_out_rows_for(m->e->vault, m->c->id, device, after, rows, 64, &count);
        for (size_t i = 0; rc == TACET_OK && i < count; i++)
            rc = row_move(m, after = rows[i]);
    } while (rc == TACET_OK && count == 64);
    return rc;
}

/* --- both ---------------------------------------------------------------------------------------------------------------------------- */
static int devices_leave(engine *e, const vault_contact *c, const device_list *known, const device_list *next, bool *answer_lost)
{
    static const uint8_t none[32];
    moving m = { .e = e, .c = c, .known = known, .next = next, .bytes = malloc(TACET_SESSION_CONTENT_MAX_BYTES) };
    int rc = m.bytes ? TACET_OK : TACET_E_NOMEM;
    for (uint8_t i = 0; rc == TACET_OK && i < known->count; i++) {
        if (device_list_find(next, known->device[i].id))
            continue;
        rc = rows_move(&m, known->device[i].id);
        if (rc == TACET_OK)
            rc = vault_session_retire(e->vault, c->id, known->device[i].id, none);
    }
    if (m.bytes)
        sodium_memzero(m.bytes, TACET_SESSION_CONTENT_MAX_BYTES);
    free(m.bytes);
    *answer_lost = m.answer_lost;
    return rc;
}

int devices_follow(engine *e, vault_contact *c, const device_list *next, const uint8_t *signed_list, size_t n)
{
    device_list known;
    bool answer_lost = false;
    int rc = contact_list(c, &known);
    if (rc == TACET_OK && next->version < known.version)
        rc = TACET_E_BUG;
    bool changed = rc == TACET_OK && next->version > known.version;
    if (changed)
        rc = devices_leave(e, c, &known, next, &answer_lost);
    if (rc != TACET_OK)
        return rc;
    contact_list_set(c, next, signed_list, n);
    rc = vault_contact_update(e->vault, c);
    if (rc == TACET_OK && changed && c->state != VAULT_CONTACT_PENDING) /* a stranger's devices are shown to nobody */
        rc = tell(e, c, &known, next);
    if (rc == TACET_OK && answer_lost && c->state == VAULT_CONTACT_ACCEPTED && c->has_theirs && !c->blocked)
        rc = request_answer(e, c);
    if (rc == TACET_OK && changed)
        outbox_lane_now(e, c);
    return rc;
}

/* --- what waits for a session --------------------------------------------------------------------------------------------------- */
/* Fetching keys may have failed for a reason that passes: asked for again, a few contacts at a time, as long as content waits. */
static int content_retry(engine *e)
{
    int64_t contacts[ENGINE_RETRY_CONTACTS];
    size_t count = 0;
    e->sessions_retry_ms = UINT64_MAX;
    int rc = vault_out_contacts(e->vault, VAULT_OUT_CONTENT, contacts, ENGINE_RETRY_CONTACTS, &count);
    for (size_t i = 0; rc == TACET_OK && i < count && i < ENGINE_RETRY_CONTACTS; i++)
        sessions_wanted(e, contacts[i]);
    if (rc == TACET_OK && count)
        e->sessions_retry_ms = mono_ms(e) + ENGINE_LANE_RETRY_MS;
    return rc;
}

/* So are resets that could not begin (also those of an earlier process), in turn: whose relay never answers keeps nobody else waiting. */
static int resets_retry(engine *e)
{
    int64_t contacts[ENGINE_RETRY_CONTACTS], after = e->resets_after;
    size_t count = 0;
    e->resets_retry_ms = UINT64_MAX;
    int rc = vault_contact_resets(e->vault, after, contacts, ENGINE_RETRY_CONTACTS, &count);
    for (size_t i = 0; rc == TACET_OK && i < count && i < ENGINE_RETRY_CONTACTS; i++)
        reset_again(e, contacts[i]);
    if (rc != TACET_OK)
        return rc;
    bool more = count > ENGINE_RETRY_CONTACTS;
    e->resets_after = more ? contacts[ENGINE_RETRY_CONTACTS - 1] : 0;
    if (more)
        e->resets_retry_ms = mono_ms(e) + ENGINE_LANE_RETRY_MS;
    else if (after)
        e->resets_retry_ms = mono_ms(e) + ENGINE_RESET_RETRY_MS; /* from the beginning */
    return TACET_OK;
}

void sessions_retry(engine *e)
{
    int rc = TACET_OK;
    if (e->me.stage != ACCOUNT_REGISTERED || e->offline)
        return;
    if (mono_ms(e) >= e->sessions_retry_ms)
        rc = content_retry(e);
    if (rc == TACET_OK && mono_ms(e) >= e->resets_retry_ms)
        rc = resets_retry(e);
    if (rc != TACET_OK)
        engine_fail(e, rc);
}
