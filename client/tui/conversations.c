#include "conversations.h"
#include "field.h"
#include <stdlib.h>
#include <string.h>

static void conversation_free(conversation *c)
{
    free(c->name);
    free(c->draft);
}

static bool fill(conversation *c, const json_t *o, const char *draft)
{
    *c = (conversation){ .name = strdup(text_of(o, "name")),
                         .draft = strdup(draft ? draft : text_of(o, "draft")),
                         .trust = standing_of(o),
                         .unread = json_integer_value(json_object_get(o, "unread")) };
    return c->name && c->draft;
}

bool conversations_load(conversations *c, const json_t *contacts)
{
    size_t n = json_array_size(contacts), i = 0;
    conversations fresh = { .item = calloc(n + 1, sizeof *fresh.item) };
    const conversation *current = conversation_current(c);
    bool ok = fresh.item != NULL;
    for (; ok && i < n; i++) {
        const json_t *o = json_array_get(contacts, i);
        const conversation *before = conversation_find(c, text_of(o, "name"));
        ok = fill(&fresh.item[i], o, before ? before->draft : NULL);
        fresh.count = i + 1;
    }
    if (!ok) {
        conversations_close(&fresh);
        return false;
    }
    if (current)
        conversations_select(&fresh, current->name);
    conversations_close(c);
    *c = fresh;
    return true;
}

void conversations_close(conversations *c)
{
    for (size_t i = 0; i < c->count; i++)
        conversation_free(&c->item[i]);
    free(c->item);
    *c = (conversations){ 0 };
}

conversation *conversation_current(const conversations *c) { return c->current < c->count ? &c->item[c->current] : NULL; }

conversation *conversation_find(const conversations *c, const char *name)
{
    for (size_t i = 0; name && i < c->count; i++)
        if (strcmp(c->item[i].name, name) == 0)
            return &c->item[i];
    return NULL;
}

void conversations_select(conversations *c, const char *name)
{
    const conversation *found = conversation_find(c, name);
    if (found)
        c->current = (size_t)(found - c->item);
}

void conversations_step(conversations *c, bool down, bool unread)
{
    for (size_t i = 1; i <= c->count; i++) {
        size_t at = (c->current + (down ? i : c->count - i)) % c->count;
        if (unread && c->item[at].unread == 0)
            continue;
        c->current = at;
        return;
    }
}

static bool replace(char **text, const char *by)
{
    char *copy = strdup(by);
    if (!copy)
        return false;
    free(*text);
    *text = copy;
    return true;
}

bool conversation_draft(conversation *c, const char *text) { return replace(&c->draft, text); }
bool conversation_rename(conversation *c, const char *name) { return replace(&c->name, name); }
