/* Handing messages over: `receive` shows what was not taken yet, `handed` takes it. Without a cursor all programs share one hand; a cursor is one
 * program's own and is moved by nobody else. */
#include "state.h"
#include <string.h>

/* --- cursors ------------------------------------------------------------------------------------------------------------------------------- */
static bool count_cursor(void *ctx, const vault_cursor *c)
{
    (void)c;
    ++*(size_t *)ctx;
    return true;
}

/* A cursor exists from its first use on. TACET_E_QUOTA: there are too many. */
static int cursor_add(engine *e, const char *name)
{
    size_t count = 0;
    int rc = vault_cursor_each(e->vault, count_cursor, &count);
    if (rc == TACET_OK && count >= ENGINE_CURSORS_MAX)
        rc = TACET_E_QUOTA;
    if (rc == TACET_OK)
        rc = txn_begin(e);
    return rc == TACET_OK ? txn_end(e, vault_cursor_add(e->vault, name, now_ms(e))) : rc;
}

/* True: the call may go on, with *name the cursor (NULL: none was named). Else it is completed. */
static bool cursor_param(engine *e, json_t *params, const char *key, bool make, const char **name, engine_done done, void *ctx)
{
    bool there = false;
    *name = param_text(params, key);
    if (!*name)
        return true;
    if (!name_valid(*name, strlen(*name))) {
        complete_say(e, done, ctx, SAY_BAD_NAME, *name, NULL);
        return false;
    }
    int rc = vault_cursor_find(e->vault, *name, &there);
    if (rc == TACET_OK && !there && make)
        rc = cursor_add(e, *name);
    else if (rc == TACET_OK && !there)
        rc = TACET_E_NOT_FOUND;
    if (rc == TACET_E_QUOTA)
        complete_say(e, done, ctx, SAY_CURSORS_MANY, "64", NULL);
    else if (rc == TACET_E_NOT_FOUND)
        complete_say(e, done, ctx, SAY_NO_CURSOR, *name, NULL);
    else if (rc != TACET_OK)
        complete_status(e, done, ctx, rc);
    return rc == TACET_OK;
}

static bool list_cursor(void *ctx, const vault_cursor *cursor)
{
    collecting *c = ctx;
    uint64_t waiting = 0;
    if (vault_cursor_waiting(c->e->vault, cursor->name, &waiting) != TACET_OK)
        return false;
    json_t *o = json_event("cursor");
    json_object_set_new(o, "name", json_string(cursor->name));
    json_object_set_new(o, "created_at", json_time(cursor->created_ms));
    json_object_set_new(o, "waiting", json_integer((json_int_t)waiting));
    json_array_append_new(c->list, o);
    return true;
}

void call_cursors(engine *e, json_t *params, engine_done done, void *ctx)
{
    collecting c = { e, json_array() };
    (void)params;
    int rc = inbox_flush(e);
    if (rc == TACET_OK)
        rc = vault_cursor_each(e->vault, list_cursor, &c);
    complete_json(e, c.list, rc, done, ctx);
}

void call_cursor_remove(engine *e, json_t *params, engine_done done, void *ctx)
{
    const char *name;
    if (!cursor_param(e, params, "name", false, &name, done, ctx))
        return;
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, vault_cursor_remove(e->vault, name));
    complete_json(e, json_object(), rc, done, ctx);
}

/* --- receive and handed ---------------------------------------------------------------------------------------------------------------------- */
static int cursor_collect(engine *e, const char *cursor, int64_t after, size_t limit, collecting *c)
{
    int64_t rows[ENGINE_RECEIVE_MAX];
    size_t count = 0;
    int rc = vault_cursor_rows(e->vault, cursor, after, rows, limit, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++)
        rc = vault_message_each_row(e->vault, rows[i], collect_message, c);
    return rc;
}

void call_receive(engine *e, json_t *params, engine_done done, void *ctx)
{
    const char *cursor, *after = param_text(params, "after");
    int64_t row = 0, contact = 0;
    uint8_t id[16];
    uint32_t state = 0;
    size_t limit = param_limit(params, ENGINE_RECEIVE_MAX, ENGINE_RECEIVE_MAX);
    if (!cursor_param(e, params, "cursor", true, &cursor, done, ctx))
        return;
    int rc = inbox_flush(e); /* nothing is shown that is not on the disk */
    if (rc == TACET_OK && after)
        rc = json_id(id, after) ? vault_message_find_any(e->vault, id, &row, &contact, &state) : TACET_E_NOT_FOUND;
    if (rc == TACET_E_NOT_FOUND) {
        complete_say(e, done, ctx, SAY_NO_MESSAGE, after, NULL);
        return;
    }
    collecting c = { e, json_array() };
    if (rc == TACET_OK)
        rc = cursor ? cursor_collect(e, cursor, row, limit, &c) : vault_unhanded(e->vault, row, limit, collect_message, &c);
    complete_json(e, c.list, rc, done, ctx);
}

static int take(engine *e, const char *cursor, const json_t *ids)
{
    int rc = TACET_OK;
    size_t i;
    json_t *id;
    json_array_foreach(ids, i, id)
    {
        uint8_t bytes[16];
        if (rc != TACET_OK || !json_id(bytes, json_string_value(id)))
            continue;
        rc = cursor ? vault_cursor_handed(e->vault, cursor, bytes) : vault_handed(e->vault, bytes);
        rc = rc == TACET_E_NOT_FOUND ? TACET_OK : rc; /* asked twice, or the contact is gone */
    }
    return rc == TACET_OK && cursor ? vault_cursor_fold(e->vault, cursor) : rc;
}

void call_handed(engine *e, json_t *params, engine_done done, void *ctx)
{
    const char *cursor;
    if (!cursor_param(e, params, "cursor", false, &cursor, done, ctx))
        return;
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, take(e, cursor, json_object_get(params, "ids")));
    complete_json(e, json_object(), rc, done, ctx);
}
