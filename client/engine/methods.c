#include "methods.h"
#include "state.h"
#include <stdio.h>
#include <string.h>

const engine_method method_table[] = {
    { "init", call_init, NEEDS_NOTHING, "relay:text name:text invite?:text unlisted?:bool" },
    { "restore", call_restore, NEEDS_NOTHING, "path:text key:text" },
    { "whoami", call_whoami, NEEDS_VAULT, "" },
    { "link", call_link, NEEDS_DEVICE, "new?:bool" },
    { "add", call_add, NEEDS_DEVICE, "target:text as?:text text?:text" },
    { "contacts", call_contacts, NEEDS_VAULT, "" },
    { "rename", call_rename, NEEDS_VAULT, "name:text to:text" },
    { "remove", call_remove, NEEDS_DEVICE, "name:text" },
    { "block", call_block, NEEDS_DEVICE, "name:text" },
    { "unblock", call_unblock, NEEDS_DEVICE, "name:text" },
    { "requests", call_requests, NEEDS_VAULT, "" },
    { "accept", call_accept, NEEDS_DEVICE, "name:text as?:text" },
    { "reject", call_reject, NEEDS_DEVICE, "name:text" },
    { "verify", call_verify, NEEDS_VAULT, "name:text confirm?:text" },
    { "trust", call_trust, NEEDS_DEVICE, "name:text" },
    { "untrust", call_untrust, NEEDS_VAULT, "name:text" },
    { "send", call_send, NEEDS_DEVICE, "to:text text:text reply_to?:text waits?:bool id?:id" },
    { "receive", call_receive, NEEDS_VAULT, "cursor?:text after?:text limit?:int peek?:bool" },
    { "handed", call_handed, NEEDS_VAULT, "ids:ids cursor?:text" },
    { "cursors", call_cursors, NEEDS_VAULT, "" },
    { "cursor-remove", call_cursor_remove, NEEDS_VAULT, "name:text" },
    { "sync", call_sync, NEEDS_DEVICE, "" },
    { "history", call_history, NEEDS_VAULT, "name:text limit?:int before?:text from?:text search?:text" },
    { "search", call_search, NEEDS_VAULT, "query:text limit?:int" },
    { "outbox", call_outbox, NEEDS_VAULT, "" },
    { "read", call_read, NEEDS_VAULT, "name:text" },
    { "draft", call_draft, NEEDS_VAULT, "name:text text:text" },
    { "send_file", call_send_file, NEEDS_DEVICE, "to:names path?:text stage?:text name?:text reply_to?:id waits?:bool id?:id" },
    { "stage", call_stage, NEEDS_DEVICE, "content:text stage?:text" },
    { "files", call_files, NEEDS_VAULT, "name?:text" },
    { "save", call_save, NEEDS_DEVICE, "id:text to?:text output?:text" },
    { "cancel", call_cancel, NEEDS_DEVICE, "id:text" },
    { "settings", call_settings, NEEDS_VAULT, "read_receipts?:bool auto_download?:int downloads?:text" },
    { "ping", call_ping, NEEDS_DEVICE, "count?:int" },
    { "status", call_status, NEEDS_NOTHING, "" },
    { "check", call_check, NEEDS_NOTHING, "" },
    { "backup", call_backup, NEEDS_VAULT, "path:text head:text key:text" },
};
const size_t method_count = sizeof method_table / sizeof *method_table;

const engine_method *method_find(const char *name)
{
    for (size_t i = 0; i < method_count; i++)
        if (strcmp(method_table[i].name, name) == 0)
            return &method_table[i];
    return NULL;
}

static bool is_text(const json_t *v) { return json_is_string(v); }
static bool is_id(const json_t *v)
{
    uint8_t id[16];
    return json_id(id, json_string_value(v));
}
static bool is_ids(const json_t *v) { return json_is_array(v); }                        /* what in it is no id names nothing */
static bool is_names(const json_t *v) { return json_is_string(v) || json_is_array(v); } /* one name, or several */
static bool is_int(const json_t *v) { return json_is_integer(v); }
static bool is_bool(const json_t *v) { return json_is_boolean(v); }

/* One word of a row's params. */
typedef struct {
    const char *name, *type;
    size_t name_chars, type_chars;
    bool optional;
} parameter;

static bool parameter_next(const char **spec, parameter *out)
{
    const char *p = *spec + strspn(*spec, " ");
    if (!*p)
        return false;
    out->name = p;
    out->name_chars = strcspn(p, "?:");
    out->optional = p[out->name_chars] == '?';
    out->type = p + out->name_chars + (out->optional ? 2 : 1);
    out->type_chars = strcspn(out->type, " ");
    *spec = out->type + out->type_chars;
    return true;
}

static bool same(const char *word, const char *text, size_t chars) { return strlen(word) == chars && strncmp(word, text, chars) == 0; }

static bool fits(const parameter *p, const json_t *v)
{
    static const struct {
        const char *type;
        bool (*is)(const json_t *v);
    } row[] = { { "text", is_text }, { "id", is_id }, { "ids", is_ids }, { "names", is_names }, { "int", is_int }, { "bool", is_bool } };
    if (p->optional && (!v || json_is_null(v)))
        return true;
    for (size_t i = 0; v && i < sizeof row / sizeof *row; i++)
        if (same(row[i].type, p->type, p->type_chars))
            return row[i].is(v);
    return false;
}

static bool takes(const engine_method *m, const char *key)
{
    parameter p;
    for (const char *spec = m->params; parameter_next(&spec, &p);)
        if (same(key, p.name, p.name_chars))
            return true;
    return false;
}

bool method_fits(const engine_method *m, json_t *params, char wrong[METHOD_PARAM_ROOM], bool *unknown)
{
    parameter p;
    const char *key;
    json_t *value;
    *unknown = false;
    for (const char *spec = m->params; parameter_next(&spec, &p);) {
        snprintf(wrong, METHOD_PARAM_ROOM, "%.*s", (int)p.name_chars, p.name);
        if (!fits(&p, json_object_get(params, wrong)))
            return false;
    }
    json_object_foreach(params, key, value)
    {
        snprintf(wrong, METHOD_PARAM_ROOM, "%s", key);
        *unknown = !takes(m, key);
        if (*unknown)
            return false;
    }
    return true;
}
