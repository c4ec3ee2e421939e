/* tui/conversations.h: the list on the left: who, how many unread, how far to be trusted, and what was begun to write. Names are the engine's aliases. */
#ifndef TUI_CONVERSATIONS_H
#define TUI_CONVERSATIONS_H
#include "standing.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *name, *draft; /* never NULL */
    const standing *trust;
    long long unread;
} conversation;

typedef struct {
    conversation *item;
    size_t count, current; /* current is meaningful when count > 0 */
} conversations;

/* Takes the answer of `contacts`. The same conversation stays the current one as long as it is there; its draft stays the one known here. False: no
 * memory, and nothing has changed. */
bool conversations_load(conversations *c, const json_t *contacts);
void conversations_close(conversations *c);
conversation *conversation_current(const conversations *c); /* NULL: there is none */
conversation *conversation_find(const conversations *c, const char *name);
void conversations_select(conversations *c, const char *name);
/* The next one down (or up), around the ends; with `unread` only such as have unread messages. */
void conversations_step(conversations *c, bool down, bool unread);
/* False: no memory. */
bool conversation_draft(conversation *c, const char *text);
bool conversation_rename(conversation *c, const char *name);
#endif
