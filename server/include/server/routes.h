/* server/routes.h: which (account, device, token hash) opens which mailbox: a cache of bounded size in front of the store. All routes of an account
 * share one set, so that a change of its tokens or devices forgets them at once. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H
#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint8_t account[32];
    uint8_t token_hash[32];
    uint32_t device;
} route_key;

typedef struct routes routes;
TACET_MUST_USE int routes_new(routes **out, uint32_t entries, const uint8_t salt[16]); /* TACET_E_NOMEM */
routes *routes_free(routes *r);
bool routes_find(routes *r, const route_key *k, uint32_t *mailbox, uint8_t *token_kind);
/* Puts another one out when the set is full. */
void routes_add(routes *r, const route_key *k, uint32_t mailbox, uint8_t token_kind);
void routes_forget(routes *r, const uint8_t account[32]);
/* How often something was forgotten in the account's set: what was looked up before counts only while this is the same. Others share the set by chance;
 * the salt keeps anyone from choosing whose. */
uint32_t routes_epoch(routes *r, const uint8_t account[32]);
#endif
