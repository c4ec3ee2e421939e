#include "standing.h"
#include <stdio.h>
#include <string.h>

static bool is(const json_t *contact, const char *key) { return json_is_true(json_object_get(contact, key)); }
static bool state_is(const json_t *contact, const char *state)
{
    const char *s = json_string_value(json_object_get(contact, "state"));
    return s && strcmp(s, state) == 0;
}

static bool blocked(const json_t *c) { return is(c, "blocked"); }
static bool changed(const json_t *c) { return is(c, "key_changed"); }
static bool forked(const json_t *c) { return is(c, "list_forked"); }
static bool pending(const json_t *c) { return state_is(c, "pending"); }
static bool requested(const json_t *c) { return state_is(c, "requested"); }
static bool verified(const json_t *c) { return is(c, "verified"); }
static bool any(const json_t *c)
{
    (void)c;
    return true;
}

/* In the order of what a person has to know first. */
static const struct {
    bool (*applies)(const json_t *contact);
    standing standing;
} table[] = {
#define STANDS(state) SAY_STANDS_##state##_WORD, SAY_STANDS_##state
    { blocked, { STANDS(BLOCKED), "×", SAY_STANDS_BLOCKED_DO, SAY_STANDS_BLOCKED_CHAT, true, true } },
    { changed, { STANDS(CHANGED), "!", SAY_STANDS_CHANGED_DO, SAY_STANDS_CHANGED_CHAT, true, true } },
    { forked, { STANDS(FORKED), "!", SAY_STANDS_FORKED_DO, SAY_STANDS_FORKED_CHAT, true, true } },
    { pending, { STANDS(PENDING), "", SAY_STANDS_PENDING_DO, SAY_STANDS_PENDING_CHAT, false, true } },
    { requested, { STANDS(REQUESTED), "", SAY_STANDS_UNVERIFIED_DO, SAY_STANDS_UNVERIFIED_CHAT, false, true } },
    { verified, { STANDS(VERIFIED), "✓", SAY_COUNT, SAY_COUNT, false, false } },
    { any, { STANDS(UNVERIFIED), "", SAY_STANDS_UNVERIFIED_DO, SAY_STANDS_UNVERIFIED_CHAT, false, false } },
#undef STANDS
};

const standing *standing_of(const json_t *contact)
{
    size_t i = 0;
    while (!table[i].applies(contact))
        i++;
    return &table[i].standing;
}

size_t standing_say(char *out, size_t room, const standing *s, sentence advice, const char *name)
{
    engine_error known, act = { 0 };
    sentence_fill(&known, s->sentence, name, NULL, NULL);
    if (advice != SAY_COUNT)
        sentence_fill(&act, advice, name, NULL, NULL);
    int n = snprintf(out, room, "%s%s%s", known.message, act.code ? " " : "", act.message);
    return n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}
