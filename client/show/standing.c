#include "standing.h"
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
    { blocked,
      { "blocked", "×", "$1 is blocked: nothing is sent to them, and nothing of theirs gets through.", "To undo it: tacet unblock $1",
        "To undo it: /unblock", true, true } },
    { changed,
      { "key has changed", "!", "THE KEY HAS CHANGED: somebody with another key goes by the name $1 now. Nothing is sent until you decide.",
        "Ask them on another way. If the new key is theirs: tacet trust $1. If the old one is: tacet verify $1",
        "Ask them on another way. If the new key is theirs: /trust. If the old one is: /verify", true, true } },
    { forked,
      { "two device lists", "!", "TWO DEVICE LISTS of $1 were shown by the relay: somebody lies. Nothing is sent until you decide.",
        "Compare numbers (tacet verify $1), then: tacet trust $1", "Compare numbers (/verify), then: /trust", true, true } },
    { pending,
      { "asks to write to you", "", "$1 asks to write to you. Who that is, only they say.", "tacet accept $1, or tacet reject $1",
        "To decide: /requests", false, true } },
    { requested,
      { "awaiting acceptance", "",
        "$1 was asked and has not answered yet: what you write waits here. Whose key it is, only the link or the relay said.",
        "To find out: tacet verify $1", "To find out: /verify", false, true } },
    { verified, { "verified", "✓", "$1 is verified: you compared safety numbers, so nobody is in between.", "", "", false, false } },
    { any,
      { "not verified", "", "Messages to $1 can be read by one key only, but whose key that is, only the link or the relay said: not verified.",
        "To find out: tacet verify $1", "To find out: /verify", false, false } },
};

const standing *standing_of(const json_t *contact)
{
    size_t i = 0;
    while (!table[i].applies(contact))
        i++;
    return &table[i].standing;
}

static size_t append(char *out, size_t room, size_t used, const char *text, const char *name)
{
    for (; *text && used + 1 < room; text++) {
        if (text[0] == '$' && text[1] == '1') {
            used = append(out, room, used, name, "");
            text++;
        } else {
            out[used++] = *text;
        }
    }
    out[used] = '\0';
    return used;
}

size_t standing_say(char *out, size_t room, const standing *s, const char *todo, const char *name)
{
    size_t used = append(out, room, 0, s->sentence, name);
    if (*todo) {
        used = append(out, room, used, " ", "");
        used = append(out, room, used, todo, name);
    }
    return used;
}
