/* server/mailboxes.c: a table indexed by mailbox number, because the store gives them out without holes. */
#include "server/mailboxes.h"
#include "server/limits.h"
#include <stdlib.h>
#include <string.h>

void mailboxes_free(mailboxes *m)
{
    free(m->at);
    *m = (mailboxes){ 0 };
}

mailbox *mailboxes_get(mailboxes *m, uint32_t number)
{
    if (number == 0 || number > RELAY_MAILBOXES_MAX)
        return NULL;
    if (number >= m->room) {
        uint32_t room = m->room ? m->room : 1024;
        while (room <= number)
            room *= 2;
        mailbox *bigger = realloc(m->at, room * sizeof *bigger);
        if (!bigger)
            return NULL;
        memset(bigger + m->room, 0, (room - m->room) * sizeof *bigger);
        m->at = bigger;
        m->room = room;
    }
    if (number > m->highest)
        m->highest = number;
    return &m->at[number];
}

void mailboxes_charge(mailboxes *m, uint32_t number, size_t bytes, bool request)
{
    mailbox *box = &m->at[number];
    box->messages++;
    box->bytes += bytes;
    box->requests = (uint16_t)(box->requests + request);
    m->messages++;
    m->bytes += bytes;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

void mailboxes_return(mailboxes *m, uint32_t number, uint64_t messages, uint64_t bytes, uint64_t requests)
{
    mailbox *box = mailboxes_get(m, number);
    if (!box)
        return;
    messages = least(messages, box->messages);
    bytes = least(bytes, box->bytes);
    box->messages -= (uint32_t)messages;
    box->bytes -= bytes;
    box->requests = (uint16_t)(box->requests - least(requests, box->requests));
    m->messages -= messages;
    m->bytes -= bytes;
}
