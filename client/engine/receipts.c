/* Receipts: to accepted contacts only, for what is shown only, in batches after a drawn delay, so that their moment tells nothing about a person
 * (M09); at once when somebody waits. */
#include "state.h"
#include <string.h>

int receipts_next(engine *e)
{
    int64_t contact = 0;
    e->receipt_due_ms = UINT64_MAX;
    int rc = vault_receipt_due(e->vault, &e->receipt_due_ms, &contact);
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int receipts_owe(engine *e, const vault_contact *c, const uint8_t id[16], uint32_t state, bool at_once)
{
    uint32_t draw = 0;
    env_random(e->env, (uint8_t *)&draw, sizeof draw);
    uint64_t wait = ENGINE_RECEIPT_MIN_MS + draw % (ENGINE_RECEIPT_MAX_MS - ENGINE_RECEIPT_MIN_MS + 1);
    uint64_t due = now_ms(e) + (at_once ? 0 : wait);
    if (c->state != VAULT_CONTACT_ACCEPTED || c->blocked)
        return TACET_OK;
    int rc = vault_receipt_put(e->vault, c->id, id, state, due);
    if (rc == TACET_OK && due < e->receipt_due_ms)
        e->receipt_due_ms = due;
    return rc;
}

int receipts_carrier(engine *e, vault_contact *c)
{
    bool pending = false;
    if (c->state != VAULT_CONTACT_ACCEPTED || !c->has_theirs || c->blocked)
        return TACET_OK;
    int rc = vault_receipt_pending(e->vault, c->id, &pending);
    return rc == TACET_OK && !pending ? outbox_control(e, c, CONTROL_CARRIER, NULL, 0) : rc;
}

/* All that is owed to one contact goes with the earliest of it. */
static int send_batch(engine *e, int64_t contact)
{
    uint8_t ids[TACET_RECEIPT_IDS_MAX][16];
    uint32_t state = 0;
    size_t count = 0;
    vault_contact c;
    int rc = vault_contact_get(e->vault, contact, &c);
    if (rc == TACET_OK)
        rc = vault_receipt_take(e->vault, contact, &state, ids, TACET_RECEIPT_IDS_MAX, &count);
    if (rc != TACET_OK || count == 0 || c.state != VAULT_CONTACT_ACCEPTED || c.blocked || !c.has_theirs)
        return rc;
    content k = { .kind = CONTENT_RECEIPT, .time_ms = now_ms(e) };
    env_random(e->env, k.id, sizeof k.id);
    k.receipt.state = (uint8_t)state;
    k.receipt.ids.count = (uint32_t)count;
    for (size_t i = 0; i < count; i++)
        k.receipt.ids.item[i] = (view){ ids[i], sizeof ids[i] };
    return outbox_content(e, &c, &k, VAULT_OUT_PASSING, 0);
}

/* Due, or further away than any that was made under this clock: the clock was set back. */
static bool is_due(const engine *e, uint64_t due) { return due <= now_ms(e) || (due != UINT64_MAX && due > now_ms(e) + 2 * ENGINE_RECEIPT_MAX_MS); }

void receipts_flush(engine *e)
{
    if (!is_due(e, e->receipt_due_ms) || e->me.stage != ACCOUNT_REGISTERED)
        return;
    int64_t contact = 0;
    uint64_t due = 0;
    int rc = txn_begin(e);
    if (rc == TACET_OK) {
        while ((rc = vault_receipt_due(e->vault, &due, &contact)) == TACET_OK && is_due(e, due))
            if ((rc = send_batch(e, contact)) != TACET_OK)
                break;
        if (rc == TACET_E_NOT_FOUND)
            rc = TACET_OK;
        if (rc == TACET_OK)
            rc = receipts_next(e);
        rc = txn_end(e, rc > 0 ? TACET_E_BUG : rc);
    }
    if (rc != TACET_OK) {
        e->receipt_due_ms = now_ms(e) + ENGINE_RECEIPT_MAX_MS;
        engine_fail(e, rc);
    }
}

int receipts_take(engine *e, vault_contact *c, const content *k, uint32_t device)
{
    for (uint32_t i = 0; i < k->receipt.ids.count; i++) {
        int64_t row = 0;
        uint32_t state = 0;
        bool of_file = false;
        int rc = vault_message_find(e->vault, c->id, true, k->receipt.ids.item[i].at, &row, &state);
        if (rc >= 0) { /* of a file, `read` says no more than `delivered` */
            int file = file_receipt(e, c, k->receipt.ids.item[i].at, rc == TACET_OK ? row : 0, device, &of_file);
            rc = file == TACET_OK ? rc : file;
        }
        if (of_file && rc >= 0)
            continue;
        if (rc == TACET_E_NOT_FOUND)
            continue; /* not ours, or not to them: ignored */
        if (rc == TACET_OK)
            rc = vault_out_delivered(e->vault, row, device);
        if (rc == TACET_OK)
            rc = message_raise(e, row, k->receipt.state == RECEIPT_READ ? VAULT_READ : VAULT_DELIVERED);
        if (rc != TACET_OK)
            return rc;
    }
    return TACET_OK;
}
