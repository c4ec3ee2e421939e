/* JSON: what comes in as parameters and goes out as objects (docs/RPC.md, and the JSON section of the manual). Texts of peers leave as they are:
 * whoever prints them makes them harmless. */
#include "base/text.h"
#include "state.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

json_t *json_event(const char *name)
{
    json_t *o = json_object();
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "event", json_string(name));
    return o;
}

json_t *json_error(const engine_error *error)
{
    json_t *o = json_event("error");
    json_object_set_new(o, "code", json_string(error->code));
    json_object_set_new(o, "exit", json_integer(error->exit));
    json_object_set_new(o, "message", json_string(error->message));
    return o;
}

/* RFC 3339, UTC, milliseconds. */
json_t *json_time(uint64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm t;
    char text[64];
    if (ms == 0 || !gmtime_r(&s, &t) || t.tm_year > 9999 - 1900)
        return json_null();
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t);
    (void)snprintf(text + n, sizeof text - n, ".%03uZ", (unsigned)(ms % 1000));
    return json_string(text);
}

json_t *json_hex(const uint8_t *bytes, size_t n)
{
    char text[2 * 32 + 1];
    if (n > 32)
        return json_null();
    hex_encode(text, bytes, n);
    return json_string(text);
}

static json_t *json_account(const uint8_t account[32])
{
    char text[BASE32_CHARS(TACET_ACCOUNT_BYTES) + 1];
    base32_encode(text, account, TACET_ACCOUNT_BYTES);
    return json_string(text);
}

static const char *contact_state_word(uint32_t state)
{
    switch (state) {
    case VAULT_CONTACT_REQUESTED:
        return "requested";
    case VAULT_CONTACT_ACCEPTED:
        return "accepted";
    case VAULT_CONTACT_PENDING:
        return "pending";
    default:
        return "unknown";
    }
}

json_t *json_contact(engine *e, const vault_contact *c)
{
    uint64_t unread = 0;
    char draft[TACET_TEXT_MAX_BYTES + 1] = "";
    if (vault_unread(e->vault, c->id, &unread) != TACET_OK || vault_draft_get(e->vault, c->id, draft, sizeof draft) != TACET_OK)
        draft[0] = '\0';
    json_t *o = json_event("contact");
    json_object_set_new(o, "name", json_string(c->alias));
    json_object_set_new(o, "account", json_account(c->account));
    json_object_set_new(o, "verified", json_boolean(c->verified));
    json_object_set_new(o, "blocked", json_boolean(c->blocked));
    json_object_set_new(o, "state", json_string(contact_state_word(c->state)));
    json_object_set_new(o, "key_changed", json_boolean(c->changed));
    json_object_set_new(o, "list_forked", json_boolean(c->forked));
    json_object_set_new(o, "reduced_secrecy", json_boolean(c->reduced));
    json_object_set_new(o, "proposed_name", json_string(c->name));
    json_object_set_new(o, "relay", json_string(c->relay));
    json_object_set_new(o, "unread", json_integer((json_int_t)unread));
    json_object_set_new(o, "created_at", json_time(c->created_ms));
    if (draft[0])
        json_object_set_new(o, "draft", json_string(draft));
    sodium_memzero(draft, sizeof draft);
    return o;
}

static bool keep_request(void *ctx, const vault_message *m)
{
    json_t *o = ctx;
    if (m->kind != VAULT_REQUEST_TEXT)
        return true;
    json_object_set_new(o, "text", json_stringn((const char *)m->text.at, m->text.bytes));
    json_object_set_new(o, "received_at", json_time(m->received_ms));
    return false;
}

json_t *json_request(engine *e, const vault_contact *c)
{
    json_t *o = json_event("request");
    json_object_set_new(o, "from", json_string(c->alias));
    json_object_set_new(o, "account", json_account(c->account));
    json_object_set_new(o, "proposed_name", json_string(c->name));
    json_object_set_new(o, "relay", json_string(c->relay));
    json_object_set_new(o, "text", json_string(""));
    json_object_set_new(o, "received_at", json_time(c->created_ms));
    if (vault_history(e->vault, c->id, 0, 4, keep_request, o) != TACET_OK)
        json_object_set_new(o, "text", json_null());
    return o;
}

const char *message_state_word(uint32_t state)
{
    static const char *const word[] = {
        [VAULT_WAITING] = "waiting", [VAULT_HELD] = "held",           [VAULT_QUEUED] = "queued",
        [VAULT_STORED] = "stored",   [VAULT_DELIVERED] = "delivered", [VAULT_READ] = "read",
        [VAULT_EXPIRED] = "expired", [VAULT_FAILED] = "failed",       [VAULT_RECEIVED] = "received",
    };
    return state < sizeof word / sizeof *word && word[state] ? word[state] : "unknown";
}

static const char *alias_of(engine *e, int64_t contact, vault_contact *room)
{
    return vault_contact_get(e->vault, contact, room) == TACET_OK ? room->alias : "";
}

json_t *json_message(engine *e, const vault_message *m)
{
    vault_contact c = { 0 };
    const char *alias = alias_of(e, m->contact, &c);
    if (m->kind == VAULT_GAP) {
        json_t *gap = json_event("gap");
        json_object_set_new(gap, "id", json_hex(m->id, sizeof m->id));
        json_object_set_new(gap, "conversation", json_string(alias));
        json_object_set_new(gap, "missing", json_integer((json_int_t)m->gap));
        json_object_set_new(gap, "received_at", json_time(m->received_ms));
        return gap;
    }
    json_t *o = json_event(m->kind == VAULT_NOTICE ? "notice" : m->kind == VAULT_FILE ? "file" : "message");
    json_object_set_new(o, "id", json_hex(m->id, sizeof m->id));
    json_object_set_new(o, "conversation", json_string(alias));
    json_object_set_new(o, "from", json_string(m->outgoing ? e->me.name : alias));
    json_object_set_new(o, "verified", json_boolean(m->outgoing || c.verified));
    json_object_set_new(o, "sent_at", json_time(m->time_ms));
    json_object_set_new(o, "received_at", m->outgoing ? json_null() : json_time(m->received_ms));
    if (m->kind != VAULT_FILE)
        json_object_set_new(o, "text", m->kind == VAULT_UNKNOWN ? json_null() : json_stringn((const char *)m->text.at, m->text.bytes));
    json_object_set_new(o, "reply_to", m->has_reply ? json_hex(m->reply_to, sizeof m->reply_to) : json_null());
    json_object_set_new(o, "outgoing", json_boolean(m->outgoing));
    if (m->kind == VAULT_FILE)
        json_file(e, o, m);
    else
        json_object_set_new(o, "state", json_string(message_state_word(m->state)));
    if (m->suspect)
        json_object_set_new(o, "time_suspect", json_true());
    if (m->kind == VAULT_UNKNOWN)
        json_object_set_new(o, "needs_newer", json_integer(m->content_kind));
    return o;
}

bool collect_message(void *ctx, const vault_message *m)
{
    collecting *c = ctx;
    json_array_append_new(c->list, json_message(c->e, m));
    return true;
}

json_t *json_receipt(engine *e, int64_t contact, const uint8_t id[16], const char *state)
{
    vault_contact c;
    json_t *o = json_event("receipt");
    json_object_set_new(o, "id", json_hex(id, 16));
    json_object_set_new(o, "conversation", json_string(alias_of(e, contact, &c)));
    json_object_set_new(o, "state", json_string(state));
    return o;
}

/* --- parameters --- */
const char *param_text(json_t *params, const char *name) { return json_string_value(json_object_get(params, name)); }
bool param_bool(json_t *params, const char *name) { return json_is_true(json_object_get(params, name)); }

int64_t param_int(json_t *params, const char *name, int64_t otherwise)
{
    json_t *v = json_object_get(params, name);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

size_t param_limit(json_t *params, int64_t otherwise, int64_t most)
{
    int64_t n = param_int(params, "limit", otherwise);
    return (size_t)(n < 1 ? 1 : n > most ? most : n);
}

void complete_bad_param(engine *e, engine_done done, void *ctx, const char *method, const char *name)
{
    complete_say(e, done, ctx, SAY_BAD_PARAMETER, method, name);
}

void complete_status(engine *e, engine_done done, void *ctx, int status)
{
    engine_error error;
    error_of_status(e, &error, status);
    complete(e, done, ctx, NULL, &error);
}

void complete_json(engine *e, json_t *result, int status, engine_done done, void *ctx)
{
    if (status == TACET_OK) {
        complete(e, done, ctx, result, NULL);
    } else {
        json_decref(result);
        complete_status(e, done, ctx, status);
    }
}

bool contact_param(engine *e, json_t *params, const char *method, const char *key, vault_contact *out, engine_done done, void *ctx)
{
    const char *name = param_text(params, key);
    if (!name) {
        complete_bad_param(e, done, ctx, method, key);
        return false;
    }
    int rc = vault_contact_by_alias(e->vault, name, out);
    if (rc == TACET_E_NOT_FOUND)
        complete_say(e, done, ctx, SAY_NO_CONTACT, name, NULL);
    else if (rc != TACET_OK)
        complete_status(e, done, ctx, rc);
    return rc == TACET_OK;
}

void text_put(char *out, size_t room, const char *text)
{
    size_t n = strlen(text) < room ? strlen(text) : room - 1;
    memcpy(out, text, n);
    out[n] = '\0';
}

const char *relay_key_of(const char *relay_text)
{
    size_t n = strlen(relay_text);
    return n > BASE32_CHARS(32) ? relay_text + n - BASE32_CHARS(32) : relay_text;
}

bool json_id(uint8_t out[16], const char *text) { return text && hex_decode(out, 16, text, strlen(text)) == TACET_OK; }

/* --- hashes that more than one file needs --- */
void envelope_id_of(uint8_t out[16], const uint8_t *ciphertext, size_t n) { crypto_generichash(out, 16, ciphertext, n, NULL, 0); }
void content_hash(uint8_t out[32], const uint8_t *bytes, size_t n) { crypto_generichash(out, 32, bytes, n, NULL, 0); }
