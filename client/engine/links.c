/* Connections to relays, one for each relay and role: opening, backing off, and which reply belongs to which question. */
#include "state.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static relay_slot *slot_of_link(engine *e, uint64_t link)
{
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++)
        if (e->slots[i].used && e->slots[i].link == link)
            return &e->slots[i];
    return NULL;
}

static size_t index_of(const engine *e, const relay_slot *s) { return (size_t)(s - e->slots); }

/* What would be lost if another relay got this slot. */
typedef enum { COSTS_NOTHING, COSTS_BACK_OFF, COSTS_LINK, COSTS_FILE, COSTS_TOO_MUCH } slot_cost;

static slot_cost cost_of(const engine *e, size_t i)
{
    const relay_slot *s = &e->slots[i];
    bool idle = s->up && !s->asked_count && mono_ms(e) >= s->touched_ms + ENGINE_SLOT_RETRY_MS;
    if (i == e->mailbox || (s->link && (!idle || files_need_slot(e, i))))
        return COSTS_TOO_MUCH;
    if (files_need_slot(e, i))
        return COSTS_FILE;
    if (s->link)
        return COSTS_LINK;
    return s->failed && mono_ms(e) < s->retry_at_ms ? COSTS_BACK_OFF : COSTS_NOTHING;
}

/* What costs least, then what has been idle longest. */
static bool rather(const engine *e, size_t i, size_t than)
{
    slot_cost mine = cost_of(e, i), other = than < ENGINE_SLOTS_MAX ? cost_of(e, than) : COSTS_TOO_MUCH;
    return mine < other || (mine == other && mine < COSTS_TOO_MUCH && e->slots[i].touched_ms < e->slots[than].touched_ms);
}

/* A slot nobody uses: never used, or an idle one of another relay. Who had that one must not ask another relay under its number, nor its own the sooner. */
static size_t slot_free(engine *e)
{
    size_t idle = ENGINE_SLOTS_MAX;
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++) {
        relay_slot *s = &e->slots[i];
        if (!s->used)
            return i;
        if (rather(e, i, idle))
            idle = i;
    }
    if (idle < ENGINE_SLOTS_MAX) {
        slot_close(e, idle);
        outbox_slot_taken(e, idle);
        files_slot_down(e, idle);
    }
    return idle;
}

size_t slot_for(engine *e, const relay_address *relay, tacet_role role)
{
    char text[TACET_LINK_MAX_CHARS + 1];
    relay_address_format(text, relay);
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++)
        if (e->slots[i].used && e->slots[i].role == role && strcmp(e->slots[i].text, text) == 0)
            return i;
    if (strlen(text) > TACET_RELAY_ADDRESS_MAX_BYTES)
        return ENGINE_SLOTS_MAX;
    size_t i = slot_free(e);
    if (i == ENGINE_SLOTS_MAX)
        return i;
    relay_slot *s = &e->slots[i];
    *s = (relay_slot){ .used = true, .relay = *relay, .role = role, .touched_ms = mono_ms(e) };
    memcpy(s->text, text, strlen(text) + 1);
    return i;
}

size_t slot_for_text(engine *e, const char *relay_text, tacet_role role)
{
    relay_address relay;
    return relay_address_parse(&relay, relay_text) == TACET_OK ? slot_for(e, &relay, role) : ENGINE_SLOTS_MAX;
}

/* --- down ---------------------------------------------------------------------------------------------------------------------------------- */
/* Half of the wait is certain, half is drawn: clients that lost the same relay do not come back in step. The first waits are alike, so that a relay that was
 * restarted, and what was on its way through it, goes on within a second. */
static uint64_t back_off_ms(engine *e, unsigned failures)
{
    uint64_t whole = ENGINE_BACKOFF_FIRST_MS;
    for (unsigned i = ENGINE_BACKOFF_LEVEL; i < failures && whole < ENGINE_BACKOFF_MAX_MS; i++)
        whole *= 2;
    if (whole > ENGINE_BACKOFF_MAX_MS)
        whole = ENGINE_BACKOFF_MAX_MS;
    uint32_t draw = 0;
    env_random(e->env, (uint8_t *)&draw, sizeof draw);
    return whole / 2 + draw % (whole / 2 + 1);
}

static void slot_down(engine *e, relay_slot *s, link_reason why, bool failed)
{
    size_t index = index_of(e, s), count = s->asked_count;
    asked_request asked[ENGINE_ASKED_MAX];
    memcpy(asked, s->asked, count * sizeof *asked);
    bool was_up = s->up;
    s->link = 0;
    s->up = false;
    s->asked_count = 0;
    s->why = why;
    s->failed = failed;
    if (failed) {
        s->failures = was_up ? 1 : s->failures + 1;
        s->retry_at_ms = mono_ms(e) + back_off_ms(e, s->failures);
    }
    for (size_t i = 0; i < count; i++)
        asked[i].fn(e, asked[i].arg, NULL);
    outbox_slot_down(e, index);
    files_slot_down(e, index);
    if (index == e->mailbox)
        mailbox_link_down(e);
    e->woken = true;
}

void slot_close(engine *e, size_t slot)
{
    relay_slot *s = &e->slots[slot];
    if (s->link) {
        e->net.close(e->net.ctx, s->link);
        slot_down(e, s, LINK_CLOSED, false);
    }
}

/* The relay, or our own machine, did something that ends this connection: try again later. */
static void slot_break(engine *e, relay_slot *s, link_reason why)
{
    if (s->link) {
        e->net.close(e->net.ctx, s->link);
        slot_down(e, s, why, true);
    }
}

void mailbox_break(engine *e)
{
    if (e->mailbox < ENGINE_SLOTS_MAX)
        slot_break(e, &e->slots[e->mailbox], LINK_FAULT);
}

void slot_want(engine *e, size_t slot, bool eager)
{
    relay_slot *s = &e->slots[slot];
    assert(s->used);
    s->touched_ms = mono_ms(e);
    if (s->link || e->offline || !e->net.open)
        return;
    if (s->failed && !eager && mono_ms(e) < s->retry_at_ms)
        return;
    s->failed = false;
    s->next_id = 1;
    s->link = e->next_link++;
    const uint8_t *secret = s->role == TACET_ROLE_MAILBOX ? e->me.secret->transport : NULL;
    if (e->net.open(e->net.ctx, s->link, &s->relay, s->role, secret) != TACET_OK)
        slot_down(e, s, LINK_FAULT, true);
}

void slots_retry(engine *e, size_t slot)
{
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++)
        if (e->slots[i].used && strcmp(e->slots[i].text, e->slots[slot].text) == 0)
            e->slots[i].retry_at_ms = 0;
    files_relay_back(e, e->slots[slot].text);
}

/* --- what the network tells ------------------------------------------------------------------------------------------------------------------ */
void engine_link_up(engine *e, uint64_t link, const uint8_t handshake_hash[64])
{
    relay_slot *s = slot_of_link(e, link);
    if (!s)
        return;
    s->up = true;
    s->early = 0;
    s->touched_ms = mono_ms(e);
    memcpy(s->hash, handshake_hash, sizeof s->hash);
    mailbox_info(e, index_of(e, s));
    if (index_of(e, s) == e->mailbox)
        mailbox_link_up(e);
    outbox_pump(e);
    e->woken = true;
    engine_settle(e);
}

void engine_link_down(engine *e, uint64_t link, link_reason why)
{
    relay_slot *s = slot_of_link(e, link);
    if (!s)
        return;
    s->early = why == LINK_EARLY ? s->early + 1 : 0;
    bool again = s->early > 0 && s->early < ENGINE_EARLY_TRIES;
    slot_down(e, s, why, true);
    if (again) /* a relay that is just going down or coming up breaks handshakes off as well as one with another key: the last try tells */
        slot_want(e, index_of(e, s), true);
    engine_settle(e);
}

static void reply_arrived(engine *e, relay_slot *s, const frame *f)
{
    size_t i = 0;
    while (i < s->asked_count && s->asked[i].id != f->id)
        i++;
    if (i == s->asked_count) { /* an answer to nothing */
        slot_break(e, s, LINK_BROKEN);
        return;
    }
    asked_request a = s->asked[i];
    s->asked_count--;
    memmove(&s->asked[i], &s->asked[i + 1], (s->asked_count - i) * sizeof a);
    s->touched_ms = mono_ms(e);
    s->failures = 0;
    a.fn(e, a.arg, f);
    e->woken = true;
}

void engine_link_frame(engine *e, uint64_t link, const uint8_t *bytes, size_t n)
{
    relay_slot *s = slot_of_link(e, link);
    frame f;
    if (!s || !s->up)
        return;
    int rc = frame_decode(&f, bytes, n);
    if (rc == TACET_E_NOT_FOUND && f.id == 0)
        return; /* an event of a later version */
    bool of_blobs = rc == TACET_OK && (f.kind == FRAME_CHUNK || f.kind == FRAME_BLOB_GONE), mailbox = index_of(e, s) == e->mailbox;
    if (rc != TACET_OK || (f.id == 0 && mailbox == of_blobs)) /* what is about blobs comes on open links, everything else on the mailbox link */
        slot_break(e, s, LINK_BROKEN);
    else if (of_blobs)
        files_event(e, index_of(e, s), &f);
    else if (f.id == 0)
        mailbox_event(e, &f);
    else
        reply_arrived(e, s, &f);
    outbox_pump(e);
    engine_settle(e);
}

/* --- asking -------------------------------------------------------------------------------------------------------------------------------------- */
int slot_ask(engine *e, size_t slot, frame *f, reply_fn *fn, uint64_t arg)
{
    relay_slot *s = &e->slots[slot];
    if (!s->up || s->asked_count == ENGINE_ASKED_MAX)
        return TACET_E_AGAIN;
    if (!e->frame_room)
        e->frame_room = malloc(TACET_FRAME_MAX_BYTES);
    size_t n = 0;
    f->id = s->next_id++;
    int rc = e->frame_room ? frame_encode(f, e->frame_room, TACET_FRAME_MAX_BYTES, &n) : TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = e->net.send(e->net.ctx, s->link, e->frame_room, n);
    if (rc != TACET_OK)
        return rc;
    s->asked[s->asked_count++] = (asked_request){ f->id, fn, arg, mono_ms(e) };
    s->touched_ms = mono_ms(e);
    return TACET_OK;
}

/* --- time ------------------------------------------------------------------------------------------------------------------------------------------ */
size_t slot_waiting(const engine *e, size_t slot)
{
    const relay_slot *s = &e->slots[slot];
    return s->up && e->net.waiting ? e->net.waiting(e->net.ctx, s->link) : 0;
}

static bool slot_is_kept(const engine *e, size_t i) { return i == e->mailbox || files_need_slot(e, i); }

uint64_t slots_deadline(const engine *e)
{
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++) {
        const relay_slot *s = &e->slots[i];
        uint64_t mine = UINT64_MAX;
        if (!s->used)
            continue;
        if (s->asked_count)
            mine = s->asked[0].asked_ms + ENGINE_REPLY_MS;
        else if (s->up && !slot_is_kept(e, i))
            mine = s->touched_ms + ENGINE_OPEN_IDLE_MS;
        else if (!s->link && slot_is_kept(e, i) && s->failed)
            mine = s->retry_at_ms;
        at = mine < at ? mine : at;
    }
    return at;
}

void slots_tick(engine *e)
{
    uint64_t mono = mono_ms(e);
    for (size_t i = 0; i < ENGINE_SLOTS_MAX; i++) {
        relay_slot *s = &e->slots[i];
        if (!s->used)
            continue;
        if (s->asked_count && mono >= s->asked[0].asked_ms + ENGINE_REPLY_MS)
            slot_break(e, s, LINK_TIMEOUT);
        else if (s->up && !s->asked_count && !slot_is_kept(e, i) && mono >= s->touched_ms + ENGINE_OPEN_IDLE_MS)
            slot_close(e, i);
        else if (slot_is_kept(e, i) && e->me.stage == ACCOUNT_REGISTERED)
            slot_want(e, i, false);
    }
}

/* --- what went wrong, for people -------------------------------------------------------------------------------------------------------------------- */
void error_of_slot(const engine *e, size_t slot, engine_error *out)
{
    static const struct {
        link_reason why;
        sentence say;
    } relay[] = { { LINK_CLOSED, SAY_WHY_CLOSED },
                  { LINK_UNREACHABLE, SAY_WHY_NOBODY },
                  { LINK_UNRESOLVED, SAY_WHY_NO_HOST },
                  { LINK_TIMEOUT, SAY_WHY_SILENT },
                  { LINK_FAULT, SAY_WHY_CANNOT } };
    static const sentence proxy[] = { SAY_WHY_NOBODY, SAY_WHY_NOT_SOCKS, SAY_WHY_CREDENTIALS, SAY_WHY_WOULD_NOT };
    if (e->me.stage == ACCOUNT_REPLACED) {
        sentence_fill(out, SAY_REPLACED, NULL, NULL, NULL);
        return;
    }
    if (slot >= ENGINE_SLOTS_MAX || e->offline || !e->net.open) {
        sentence_fill(out, SAY_OFFLINE, NULL, NULL, NULL);
        return;
    }
    const relay_slot *s = &e->slots[slot];
    if (s->why >= LINK_PROXY_DOWN) {
        sentence_fill(out, SAY_PROXY, sentence_text(proxy[s->why - LINK_PROXY_DOWN]), NULL, NULL);
        return;
    }
    if (s->why == LINK_FAULT && e->fault.code)
        *out = e->fault;
    else if (s->why == LINK_WRONG_KEY)
        sentence_fill(out, SAY_RELAY_KEY, s->text, NULL, NULL);
    else if (s->why == LINK_EARLY)
        sentence_fill(out, SAY_RELAY_EARLY, s->text, NULL, NULL);
    else if (s->why == LINK_VERSION)
        sentence_fill(out, SAY_RELAY_VERSION, s->text, NULL, NULL);
    else if (s->why == LINK_BROKEN)
        sentence_fill(out, SAY_RELAY_BROKEN, s->text, sentence_text(SAY_WHY_FRAME), NULL);
    else {
        sentence why = SAY_WHY_NOT_YET;
        for (size_t i = 0; i < sizeof relay / sizeof *relay; i++)
            if (relay[i].why == s->why)
                why = relay[i].say;
        sentence_fill(out, SAY_UNREACHABLE, s->text, sentence_text(why), NULL);
    }
}

void error_of_frame(engine_error *out, const frame *f, const char *relay, const char *what)
{
    static const struct {
        error_code code;
        sentence say;
        bool about_relay; /* $1 is the relay, else `what` */
    } row[] = {
        { ERROR_NAME_TAKEN, SAY_NAME_TAKEN, false }, { ERROR_REGISTRATION_CLOSED, SAY_REGISTRATION_CLOSED, true },
        { ERROR_INVITE, SAY_INVITE, true },          { ERROR_QUOTA, SAY_RELAY_QUOTA, false },
        { ERROR_RATE, SAY_RELAY_RATE, true },        { ERROR_REFUSED, SAY_LINK_DEAD, false },
        { ERROR_NOT_FOUND, SAY_LINK_DEAD, false },   { ERROR_NOT_REGISTERED, SAY_NOT_REGISTERED, true },
    };
    if (f->kind != FRAME_ERROR) {
        sentence_fill(out, SAY_RELAY_BROKEN, relay, sentence_text(SAY_WHY_OTHER_ANSWER), NULL);
        return;
    }
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].code == (error_code)f->error.code) {
            sentence_fill(out, row[i].say, row[i].about_relay ? relay : what, NULL, NULL);
            return;
        }
    sentence_fill(out, SAY_RELAY_REFUSED, relay, error_word(f->error.code), NULL);
}
