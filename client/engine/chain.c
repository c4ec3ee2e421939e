/* The order of what came in: each sending device numbers and chains its contents (PROTOCOL.md §7). What is missing is shown and blocks nothing; what
 * does not fit what is here is shown as a fork. */
#include "state.h"
#include <sodium.h>
#include <string.h>

static int add_mark(engine *e, const vault_contact *c, uint32_t device, uint64_t first, uint64_t missing)
{
    vault_message m = { .contact = c->id,
                        .kind = VAULT_GAP,
                        .state = VAULT_RECEIVED,
                        .device = device,
                        .sequence = first,
                        .gap = missing,
                        .read = true,
                        .time_ms = now_ms(e),
                        .received_ms = now_ms(e) };
    env_random(e->env, m.id, sizeof m.id);
    int rc = vault_message_add(e->vault, &m);
    if (rc == TACET_OK)
        emit(e, json_message(e, &m));
    return rc;
}

int notice_add(engine *e, const vault_contact *c, const char *text)
{
    vault_message m = { .contact = c->id,
                        .kind = VAULT_NOTICE,
                        .state = VAULT_RECEIVED,
                        .read = true,
                        .time_ms = now_ms(e),
                        .received_ms = now_ms(e),
                        .text = { (const uint8_t *)text, strlen(text) } };
    env_random(e->env, m.id, sizeof m.id);
    return vault_message_add(e->vault, &m);
}

static int forked(engine *e, const vault_contact *c)
{
    int rc = notice_add(e, c, sentence_text(SAY_NOTICE_FORKED));
    json_t *event = json_event("history-forked");
    json_object_set_new(event, "conversation", json_string(c->alias));
    if (rc == TACET_OK)
        emit(e, event);
    else
        json_decref(event);
    return rc;
}

static bool same(const uint8_t a[32], const uint8_t b[32]) { return sodium_memcmp(a, b, 32) == 0; }

/* Do the neighbours that are here agree? */
static int neighbours(engine *e, const vault_contact *c, uint32_t device, uint64_t sequence, const uint8_t previous[32], const uint8_t hash[32],
                      bool *fork)
{
    vault_chain_link link;
    int rc = sequence > 1 ? vault_chain_link_get(e->vault, c->id, device, sequence - 1, &link) : TACET_E_NOT_FOUND;
    if (rc == TACET_OK && !same(link.hash, previous))
        *fork = true;
    if (rc == TACET_OK || rc == TACET_E_NOT_FOUND)
        rc = vault_chain_link_get(e->vault, c->id, device, sequence + 1, &link);
    if (rc == TACET_OK && !same(link.previous, hash))
        *fork = true;
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

int chain_check(engine *e, const vault_contact *c, uint32_t device, uint64_t sequence, const uint8_t previous[32], const uint8_t hash[32])
{
    uint64_t last = 0;
    bool fork = false;
    vault_chain_link link;
    if (sequence == 0 || sequence >= INT64_MAX)
        return TACET_OK; /* outside the chain, or a number that nobody reaches */
    int rc = vault_chain_get(e->vault, c->id, device, &last);
    if (rc != TACET_OK)
        return rc;
    if (c->state == VAULT_CONTACT_PENDING) /* what a stranger numbers is noted, and neither shown nor judged */
        return sequence > last ? vault_chain_put(e->vault, c->id, device, sequence) : TACET_OK;
    if (sequence > last) {
        if (sequence > last + 1)
            rc = add_mark(e, c, device, last + 1, sequence - last - 1);
        if (rc == TACET_OK)
            rc = vault_chain_put(e->vault, c->id, device, sequence);
    } else {
        rc = vault_chain_link_get(e->vault, c->id, device, sequence, &link);
        if (rc == TACET_OK)
            fork = !same(link.hash, hash); /* one number, two contents */
        else if (rc == TACET_E_NOT_FOUND)
            rc = vault_gap_filled(e->vault, c->id, device, sequence);
    }
    if (rc == TACET_OK && !fork)
        rc = neighbours(e, c, device, sequence, previous, hash, &fork);
    return rc == TACET_OK && fork ? forked(e, c) : rc;
}

/* A message that is here already, under a number of another device perhaps: the number counts as come. */
int chain_pass(engine *e, const vault_contact *c, uint32_t device, uint64_t sequence, const uint8_t previous[32], const uint8_t hash[32])
{
    uint64_t last = 0;
    int rc = vault_chain_get(e->vault, c->id, device, &last);
    return rc == TACET_OK && sequence > last ? chain_check(e, c, device, sequence, previous, hash) : rc;
}
