/* Messages for people: sending, history and search. */
#include "state.h"
#include "storage/vault_file.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- send ------------------------------------------------------------------------------------------------------------------------------------------ */
static json_t *sent_json(const vault_contact *c, const uint8_t id[16], uint32_t state)
{
    json_t *o = json_event("sent");
    json_object_set_new(o, "id", json_hex(id, 16));
    json_object_set_new(o, "conversation", json_string(c->alias));
    json_object_set_new(o, "state", json_string(message_state_word(state)));
    if (c->changed)
        json_object_set_new(o, "warning", json_string("key-changed"));
    if (c->state == VAULT_CONTACT_REQUESTED)
        json_object_set_new(o, "awaiting", json_string("acceptance"));
    return o;
}

sentence send_obstacle(const vault_contact *c)
{
    if (c->blocked)
        return SAY_BLOCKED;
    if (c->state == VAULT_CONTACT_PENDING)
        return SAY_PENDING;
    if (c->changed && c->verified)
        return SAY_KEY_CHANGED;
    return c->forked ? SAY_FORK : SAY_COUNT;
}

int message_store(engine *e, const vault_contact *c, vault_message *m, bool *now)
{
    int64_t waiting[1];
    size_t count = 0;
    int rc = vault_out_rows(e->vault, c->id, VAULT_OUT_WAITING, 0, waiting, 1, &count);
    if (rc != TACET_OK)
        return rc;
    *now = c->state == VAULT_CONTACT_ACCEPTED && c->has_theirs && count == 0;
    m->state = *now ? VAULT_QUEUED : c->changed ? VAULT_HELD : VAULT_WAITING;
    return vault_message_add(e->vault, m);
}

static int store_and_seal(engine *e, vault_contact *c, vault_message *m)
{
    bool now = false;
    int rc = message_store(e, c, m, &now);
    return rc == TACET_OK ? outbox_send(e, c, m->row, now) : rc;
}

typedef struct {
    const vault_contact *c;
    json_t *sent;
} sent_of;

static bool take_sent(void *ctx, const vault_message *m)
{
    sent_of *s = ctx;
    s->sent = sent_json(s->c, m->id, m->state);
    return true;
}

json_t *message_sent_json(engine *e, const vault_contact *c, int64_t message)
{
    sent_of s = { c, NULL };
    return vault_message_each_row(e->vault, message, take_sent, &s) == TACET_OK ? s.sent : NULL;
}

/* TACET_OK: text and id are fit to be sent. Else the call is completed. */
static int check_text(engine *e, const char *text, size_t n, engine_done done, void *ctx)
{
    sentence which = SAY_COUNT;
    if (n == 0)
        which = SAY_TEXT_EMPTY;
    else if (n > TACET_TEXT_MAX_BYTES)
        which = SAY_TEXT_LONG;
    else if (!utf8_valid((const uint8_t *)text, n))
        which = SAY_TEXT_UTF8;
    if (which != SAY_COUNT)
        complete_say(e, done, ctx, which, "12288", NULL);
    return which == SAY_COUNT ? TACET_OK : TACET_E_REFUSED;
}

/* The row of a message of this conversation, of theirs or ours. */
static bool row_of_id(engine *e, const vault_contact *c, const char *text, int64_t *row)
{
    uint8_t id[16];
    uint32_t state = 0;
    return json_id(id, text) && (vault_message_find(e->vault, c->id, false, id, row, &state) == TACET_OK ||
                                 vault_message_find(e->vault, c->id, true, id, row, &state) == TACET_OK);
}

void call_send(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    vault_message m = {
        .outgoing = true, .kind = VAULT_TEXT, .handed = true, .read = true, .time_ms = now_ms(e), .waits = param_bool(params, "waits")
    };
    json_t *text = json_object_get(params, "text");
    const char *id = param_text(params, "id"), *reply_to = param_text(params, "reply_to");
    uint32_t state = 0;
    if (!contact_param(e, params, "send", "to", &c, done, ctx))
        return;
    if (!json_is_string(text) || (id && !json_id(m.id, id))) {
        complete_bad_param(e, done, ctx, "send", json_is_string(text) ? "id" : "text");
        return;
    }
    int rc = id ? vault_message_find(e->vault, c.id, true, m.id, &m.row, &state) : TACET_E_NOT_FOUND;
    if (rc == TACET_OK) { /* asked twice */
        complete(e, done, ctx, sent_json(&c, m.id, state), NULL);
        return;
    }
    if (send_obstacle(&c) != SAY_COUNT) {
        complete_say(e, done, ctx, send_obstacle(&c), c.alias, NULL);
        return;
    }
    m.text = (vault_blob){ (const uint8_t *)json_string_value(text), json_string_length(text) };
    if (check_text(e, json_string_value(text), m.text.bytes, done, ctx) != TACET_OK)
        return;
    int64_t answered = 0;
    if (reply_to && !(row_of_id(e, &c, reply_to, &answered) && json_id(m.reply_to, reply_to))) {
        complete_say(e, done, ctx, SAY_NO_MESSAGE, reply_to, NULL);
        return;
    }
    m.has_reply = reply_to != NULL;
    m.contact = c.id;
    if (!id)
        env_random(e->env, m.id, sizeof m.id);
    rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, store_and_seal(e, &c, &m));
    if (rc == TACET_OK)
        complete(e, done, ctx, sent_json(&c, m.id, m.state), NULL);
    else
        complete_status(e, done, ctx, rc);
}

/* --- lists of messages ------------------------------------------------------------------------------------------------------------------------------------ */
/* What a person types becomes quoted words, all of which must occur, the last one as a beginning: no FTS syntax gets through. False: no word. */
static bool match_of(const char *query, char *out, size_t room)
{
    size_t n = 0;
    bool any = false, inside = false;
    for (const char *p = query; *p && n + 8 < room; p++) {
        bool blank = *p == ' ' || *p == '\t' || *p == '\n';
        if (blank && inside) {
            out[n++] = '"';
            inside = false;
        } else if (!blank) {
            if (!inside) {
                if (any)
                    out[n++] = ' ';
                out[n++] = '"';
                inside = any = true;
            }
            if (*p == '"')
                out[n++] = '"';
            out[n++] = *p;
        }
    }
    if (inside) {
        out[n++] = '"';
        out[n++] = '*';
    }
    out[n] = '\0';
    return any;
}

static void search(engine *e, int64_t contact, const char *query, size_t limit, engine_done done, void *ctx)
{
    char match[1024];
    if (!utf8_valid((const uint8_t *)query, strlen(query)) || strlen(query) > sizeof match / 4 || !match_of(query, match, sizeof match)) {
        complete_say(e, done, ctx, SAY_BAD_SEARCH, query, NULL);
        return;
    }
    collecting c = { e, json_array() };
    int rc = vault_search(e->vault, contact, match, limit, collect_message, &c);
    complete_json(e, c.list, rc, done, ctx);
}

void call_history(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    const char *before = param_text(params, "before"), *from = param_text(params, "from"), *query = param_text(params, "search");
    size_t limit = param_limit(params, ENGINE_HISTORY_DEFAULT, ENGINE_HISTORY_MAX);
    int64_t row = 0;
    if (!contact_param(e, params, "history", "name", &c, done, ctx))
        return;
    if (query) {
        search(e, c.id, query, limit, done, ctx);
        return;
    }
    const char *place = from ? from : before;
    if (place && !row_of_id(e, &c, place, &row)) {
        complete_say(e, done, ctx, SAY_NO_MESSAGE, place, NULL);
        return;
    }
    collecting list = { e, json_array() };
    int rc = from ? vault_history_from(e->vault, c.id, row, limit, collect_message, &list)
                  : vault_history(e->vault, c.id, row, limit, collect_message, &list);
    complete_json(e, list.list, rc, done, ctx);
}

void call_search(engine *e, json_t *params, engine_done done, void *ctx)
{
    const char *query = param_text(params, "query");
    if (!query)
        complete_bad_param(e, done, ctx, "search", "query");
    else
        search(e, 0, query, param_limit(params, ENGINE_HISTORY_DEFAULT, ENGINE_HISTORY_MAX), done, ctx);
}

/* --- reading ------------------------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    uint8_t ids[TACET_RECEIPT_IDS_MAX][16];
    size_t count;
} unread_ids;

static bool note_unread(void *ctx, const vault_message *m)
{
    unread_ids *u = ctx;
    if (m->kind == VAULT_TEXT || m->kind == VAULT_REQUEST_TEXT)
        memcpy(u->ids[u->count++], m->id, sizeof m->id);
    return u->count < TACET_RECEIPT_IDS_MAX;
}

static int mark_read(engine *e, const vault_contact *c)
{
    unread_ids u = { .count = 0 };
    int rc = vault_unread_each(e->vault, c->id, TACET_RECEIPT_IDS_MAX, note_unread, &u);
    for (size_t i = 0; rc == TACET_OK && e->me.read_receipts && i < u.count; i++)
        rc = receipts_owe(e, c, u.ids[i], RECEIPT_READ, false);
    return rc == TACET_OK ? vault_mark_read(e->vault, c->id) : rc;
}

void call_read(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    if (!contact_param(e, params, "read", "name", &c, done, ctx))
        return;
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, mark_read(e, &c));
    complete_json(e, json_object(), rc, done, ctx);
}

void call_draft(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c;
    const char *text = param_text(params, "text");
    if (!contact_param(e, params, "draft", "name", &c, done, ctx))
        return;
    if (!text || strlen(text) > TACET_TEXT_MAX_BYTES) {
        complete_bad_param(e, done, ctx, "draft", "text");
        return;
    }
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, vault_draft_put(e->vault, c.id, text));
    complete_json(e, json_object(), rc, done, ctx);
}

/* --- outbox ---------------------------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t *messages;
    size_t count, room;
} outbox_rows;

static void note_once(outbox_rows *r, int64_t message)
{
    for (size_t i = r->count; i-- > 0;)
        if (r->messages[i] == message)
            return; /* for another device; or a file that waits for acceptance */
    if (r->count < r->room)
        r->messages[r->count++] = message;
}

static bool note_message(void *ctx, const vault_outgoing *o)
{
    outbox_rows *r = ctx;
    if (o->message)
        note_once(r, o->message);
    return r->count < r->room;
}

/* A file that is still on its way to the relay has no row yet: its seal comes at the end. */
static int note_files(engine *e, outbox_rows *r)
{
    size_t count = 0;
    int64_t *messages = calloc(r->room, sizeof *messages);
    int rc = messages ? vault_file_sending(e->vault, messages, r->room, &count) : TACET_E_NOMEM;
    for (size_t i = 0; rc == TACET_OK && i < count && i < r->room; i++)
        note_once(r, messages[i]);
    free(messages);
    return rc;
}

static int oldest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool outbox_entry(void *ctx, const vault_message *m)
{
    collecting *c = ctx;
    vault_contact who = { 0 };
    if (m->state > VAULT_STORED)
        return true; /* a file that was cancelled: its seal may still lie here */
    if (vault_contact_get(c->e->vault, m->contact, &who) != TACET_OK)
        who.alias[0] = '\0';
    json_t *o = json_event("outbox");
    json_object_set_new(o, "id", json_hex(m->id, sizeof m->id));
    json_object_set_new(o, "conversation", json_string(who.alias));
    json_object_set_new(o, "state", json_string(message_state_word(m->state)));
    json_object_set_new(o, "created_at", json_time(m->time_ms));
    json_array_append_new(c->list, o);
    return true;
}

void call_outbox(engine *e, json_t *params, engine_done done, void *ctx)
{
    (void)params;
    outbox_rows r = { calloc(ENGINE_HISTORY_MAX, sizeof *r.messages), 0, ENGINE_HISTORY_MAX };
    collecting c = { e, json_array() };
    int rc = r.messages ? vault_out_each(e->vault, note_message, &r) : TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = note_files(e, &r);
    if (rc == TACET_OK)
        qsort(r.messages, r.count, sizeof *r.messages, oldest_first);
    for (size_t i = 0; rc == TACET_OK && i < r.count; i++) {
        rc = vault_message_each_row(e->vault, r.messages[i], outbox_entry, &c);
        rc = rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
    }
    free(r.messages);
    complete_json(e, c.list, rc, done, ctx);
}
