/* server/routes.c: sets of 64 places, each found by a keyed hash of the account. Within a set a tag of 8 bytes is compared first, then the whole key
 * in constant time, because token hashes are nobody's business. */
#include "server/routes.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 64 };

typedef struct {
    route_key key;
    uint32_t mailbox; /* 0: empty */
    uint8_t token_kind;
} route;

typedef struct {
    uint64_t tag[WAYS];
    route route[WAYS];
    uint8_t next;   /* the place that is given away next */
    uint32_t epoch; /* counts what was forgotten */
} route_set;

struct routes {
    uint8_t salt[crypto_shorthash_KEYBYTES];
    uint32_t sets;
    route_set set[];
};

int routes_new(routes **out, uint32_t entries, const uint8_t salt[16])
{
    uint32_t sets = entries / WAYS ? entries / WAYS : 1;
    routes *r = calloc(1, sizeof *r + sets * sizeof(route_set));
    if (!r)
        return TACET_E_NOMEM;
    memcpy(r->salt, salt, sizeof r->salt);
    r->sets = sets;
    *out = r;
    return TACET_OK;
}

routes *routes_free(routes *r)
{
    free(r);
    return NULL;
}

static route_set *set_of(routes *r, const uint8_t account[32])
{
    uint64_t h;
    crypto_shorthash((uint8_t *)&h, account, 32, r->salt);
    return &r->set[h % r->sets];
}

static uint64_t tag_of(const routes *r, const route_key *k)
{
    uint64_t h;
    crypto_shorthash((uint8_t *)&h, (const uint8_t *)k, sizeof *k, r->salt);
    return h;
}

static route *route_in(route_set *s, uint64_t tag, const route_key *k)
{
    for (int i = 0; i < WAYS; i++)
        if (s->tag[i] == tag && s->route[i].mailbox && sodium_memcmp(&s->route[i].key, k, sizeof *k) == 0)
            return &s->route[i];
    return NULL;
}

bool routes_find(routes *r, const route_key *k, uint32_t *mailbox, uint8_t *token_kind)
{
    route *found = route_in(set_of(r, k->account), tag_of(r, k), k);
    if (!found)
        return false;
    *mailbox = found->mailbox;
    *token_kind = found->token_kind;
    return true;
}

void routes_add(routes *r, const route_key *k, uint32_t mailbox, uint8_t token_kind)
{
    route_set *s = set_of(r, k->account);
    uint64_t tag = tag_of(r, k);
    route *place = route_in(s, tag, k);
    if (!place) {
        s->tag[s->next] = tag;
        place = &s->route[s->next];
        s->next = (uint8_t)((s->next + 1) % WAYS);
    }
    *place = (route){ .key = *k, .mailbox = mailbox, .token_kind = token_kind };
}

void routes_forget(routes *r, const uint8_t account[32])
{
    route_set *s = set_of(r, account);
    s->epoch++;
    for (int i = 0; i < WAYS; i++)
        if (s->route[i].mailbox && sodium_memcmp(s->route[i].key.account, account, 32) == 0)
            s->route[i] = (route){ 0 };
}

uint32_t routes_epoch(routes *r, const uint8_t account[32]) { return set_of(r, account)->epoch; }
