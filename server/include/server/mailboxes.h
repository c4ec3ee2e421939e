/* server/mailboxes.h: what the router knows of every mailbox: what waits, for the quotas, and who listens. 24 bytes a mailbox. */
#ifndef SERVER_MAILBOXES_H
#define SERVER_MAILBOXES_H
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t bytes;       /* ciphertext that waits: in the store, or in memory on its way there */
    uint32_t messages;    /* how many */
    uint32_t unwritten;   /* of these in memory: not committed yet, perhaps never to be */
    uint32_t subscriber;  /* index + 1 of the connection that reads it, 0: none */
    uint16_t requests;    /* of the messages, under a request token */
    uint16_t connections; /* that its device has */
} mailbox;

typedef struct {
    mailbox *at; /* by mailbox number */
    uint32_t room;
    uint32_t highest; /* number given out */
    uint64_t messages, bytes;
} mailboxes;

void mailboxes_free(mailboxes *m);
/* The mailbox with this number; NULL when there is no memory or the number is above RELAY_MAILBOXES_MAX. Valid until the next call. */
mailbox *mailboxes_get(mailboxes *m, uint32_t number);
/* Charges, and gives back. Giving back more than was charged leaves zero. */
void mailboxes_charge(mailboxes *m, uint32_t number, size_t bytes, bool request);
void mailboxes_return(mailboxes *m, uint32_t number, uint64_t messages, uint64_t bytes, uint64_t requests);
#endif
