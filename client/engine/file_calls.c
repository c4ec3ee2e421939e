/* The methods about files that are known: files, save, cancel; and the object of a file. */
#include "files.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- the object ------------------------------------------------------------------------------------------------------------------------------ */
/* Of a file for several, each message has an end of its own. */
static const char *ended_word(uint32_t message_state)
{
    return message_state == VAULT_FAILED ? "cancelled" : message_state == VAULT_EXPIRED ? "expired" : "complete";
}

static const char *state_word(const vault_file *f, const vault_file_link *l, const vault_message *m)
{
    static const char *const word[] = {
        [VAULT_FILE_OFFERED] = "offered", [VAULT_FILE_RUNNING] = "receiving",   [VAULT_FILE_STORED] = "stored",   [VAULT_FILE_COMPLETE] = "complete",
        [VAULT_FILE_FAILED] = "failed",   [VAULT_FILE_CANCELLED] = "cancelled", [VAULT_FILE_EXPIRED] = "expired",
    };
    if (f->outgoing && l->ended)
        return ended_word(m->state);
    if (f->outgoing && f->state == VAULT_FILE_RUNNING)
        return "sending";
    return f->state < sizeof word / sizeof *word && word[f->state] ? word[f->state] : "failed";
}

static uint64_t bytes_of(const vault_file *f, uint32_t chunks)
{
    uint64_t bytes = (uint64_t)chunks * TACET_CHUNK_PLAIN_BYTES;
    return bytes < f->size && chunks < f->chunks ? bytes : f->size;
}

/* Fills what only the file knows into the object of its message. */
void json_file(engine *e, json_t *o, const vault_message *m)
{
    vault_file_link l;
    vault_file *f = calloc(1, sizeof *f);
    int rc = f ? vault_file_link_get(e->vault, m->row, &l) : TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = vault_file_get(e->vault, l.file, f);
    json_object_set_new(o, "name", json_stringn((const char *)m->text.at, m->text.bytes));
    if (rc != TACET_OK) { /* of a restored history: the file itself is not part of a backup */
        json_object_set_new(o, "size", json_integer(0));
        json_object_set_new(o, "state", json_string("cancelled"));
        json_object_set_new(o, "have", json_integer(0));
        free(f);
        return;
    }
    const file_run *r = file_run_find(e, f->row);
    uint32_t have = r ? (f->outgoing ? r->up.safe.set : r->down.have.set) : f->have;
    const char *state = state_word(f, &l, m);
    bool whole = f->state == VAULT_FILE_COMPLETE || f->state == VAULT_FILE_STORED;
    json_object_set_new(o, "size", json_integer((json_int_t)f->size));
    json_object_set_new(o, "state", json_string(state));
    json_object_set_new(o, "have", json_integer((json_int_t)(whole ? f->size : bytes_of(f, have))));
    json_object_set_new(o, "form", json_string(f->form == FILE_FORM_FOLDER ? "folder" : "file"));
    if (f->media[0])
        json_object_set_new(o, "media", json_string(f->media));
    if (!f->outgoing && f->state == VAULT_FILE_COMPLETE)
        json_object_set_new(o, "saved_to", json_string(f->path));
    trouble bad = r && r->bad ? r->bad : (trouble)f->trouble;
    if (bad && strcmp(state, "complete") != 0) { /* what became of the others is not this one's */
        json_object_set_new(o, "trouble", json_string(trouble_word(bad)));
        json_object_set_new(o, "paused", json_boolean(f->state == VAULT_FILE_RUNNING));
    }
    sodium_memzero(f, sizeof *f);
    free(f);
}

/* --- files, save, cancel --------------------------------------------------------------------------------------------------------------------------------- */
void call_files(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_contact c = { 0 };
    collecting list = { e, json_array() };
    size_t count = 0;
    if (json_object_get(params, "name") && !contact_param(e, params, "files", "name", &c, done, ctx)) {
        json_decref(list.list);
        return;
    }
    int64_t *rows = calloc(ENGINE_HISTORY_MAX, sizeof *rows);
    int rc = rows ? vault_file_messages(e->vault, c.id, rows, ENGINE_HISTORY_MAX, &count) : TACET_E_NOMEM;
    for (size_t i = 0; rc == TACET_OK && i < count && i < ENGINE_HISTORY_MAX; i++)
        rc = vault_message_each_row(e->vault, rows[i], collect_message, &list);
    free(rows);
    if (rc == TACET_OK) {
        complete(e, done, ctx, list.list, NULL);
    } else {
        json_decref(list.list);
        complete_status(e, done, ctx, rc);
    }
}

/* The file that `id` names. False: the call has been completed. */
static bool file_param(engine *e, json_t *params, const char *method, vault_file_link *l, vault_file *f, engine_done done, void *ctx)
{
    const char *text = param_text(params, "id");
    uint8_t id[16];
    int64_t row = 0, contact = 0;
    uint32_t state = 0;
    if (!text) {
        complete_bad_param(e, done, ctx, method, "id");
        return false;
    }
    if (!json_id(id, text) || vault_message_find_any(e->vault, id, &row, &contact, &state) != TACET_OK ||
        vault_file_link_get(e->vault, row, l) != TACET_OK || vault_file_get(e->vault, l->file, f) != TACET_OK) {
        complete_say(e, done, ctx, SAY_FILE_NONE, text, NULL);
        return false;
    }
    return true;
}

static void complete_file(engine *e, int64_t message, engine_done done, void *ctx)
{
    collecting c = { e, json_array() };
    int rc = vault_message_each_row(e->vault, message, collect_message, &c);
    if (rc == TACET_OK)
        complete(e, done, ctx, json_incref(json_array_get(c.list, 0)), NULL);
    else
        complete_status(e, done, ctx, rc);
    json_decref(c.list);
}

/* Where to: a folder, or one exact path whose name must be free. */
static bool target_take(engine *e, json_t *params, vault_file *f, engine_done done, void *ctx)
{
    const char *to = param_text(params, "to"), *output = param_text(params, "output");
    const char *slash = output ? strrchr(output, '/') : NULL;
    struct stat st;
    if ((to && (*to != '/' || strlen(to) >= sizeof f->path)) ||
        (output && (!slash || !slash[1] || *output != '/' || strlen(output) >= sizeof f->path || strlen(slash + 1) > FILE_NAME_KEPT_MAX_BYTES))) {
        complete_bad_param(e, done, ctx, "save", to ? "to" : "output");
        return false;
    }
    if (output && lstat(output, &st) == 0) {
        complete_say(e, done, ctx, SAY_FILE_TARGET, output, NULL);
        return false;
    }
    if (to)
        text_put(f->path, sizeof f->path, to);
    if (output) {
        text_put(f->as, sizeof f->as, slash + 1);
        text_put(f->path, sizeof f->path, output);
        f->path[slash == output ? 1 : slash - output] = '\0';
    }
    return true;
}

void call_save(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_file_link l;
    vault_file f;
    if (!file_param(e, params, "save", &l, &f, done, ctx))
        return;
    if (f.outgoing || f.state == VAULT_FILE_FAILED || f.state == VAULT_FILE_CANCELLED) {
        engine_error why;
        sentence_fill(&why, file_sentence(f.trouble ? (trouble)f.trouble : TROUBLE_UNWANTED), f.name, NULL, NULL);
        complete(e, done, ctx, NULL, &why);
        return;
    }
    bool fresh = f.state == VAULT_FILE_OFFERED || f.stamp == 0;
    file_run *r = file_run_find(e, f.row);
    if (f.state != VAULT_FILE_COMPLETE && fresh && !(r && r->opening) && !target_take(e, params, &f, done, ctx))
        return;
    int rc = TACET_OK;
    if (f.state != VAULT_FILE_COMPLETE) {
        if (r && fresh && !r->opening)
            file_run_end(e, r); /* begun anew where it is wanted now */
        f.state = VAULT_FILE_RUNNING;
        f.trouble = TROUBLE_NONE;
        rc = txn_begin(e);
        if (rc == TACET_OK)
            rc = vault_file_update(e->vault, &f);
        if (rc == TACET_OK)
            rc = file_tell(e, f.row);
        rc = txn_end(e, rc);
        if (rc == TACET_OK)
            rc = file_run_start(e, f.row);
        r = file_run_find(e, f.row);
        if (r)
            r->retry_at_ms = r->watch_at_ms = 0;
    }
    if (rc == TACET_OK)
        complete_file(e, l.message, done, ctx);
    else
        complete_status(e, done, ctx, rc);
}

static int cancel_all(engine *e, const vault_file *f)
{
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    size_t count = 0;
    int rc = vault_file_links(e->vault, f->row, link, VAULT_FILE_LINKS_MAX, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        rc = file_cancel_say(e, f, &link[i]);
        if (rc == TACET_OK && f->outgoing)
            rc = message_raise(e, link[i].message, VAULT_FAILED);
    }
    return rc == TACET_OK ? file_stop(e, f->row, f->outgoing ? TROUBLE_WITHDRAWN : TROUBLE_UNWANTED) : rc;
}

void call_cancel(engine *e, json_t *params, engine_done done, void *ctx)
{
    vault_file_link l;
    vault_file f;
    if (!file_param(e, params, "cancel", &l, &f, done, ctx))
        return;
    int rc = TACET_OK;
    if (f.state <= VAULT_FILE_STORED) {
        rc = txn_begin(e);
        if (rc == TACET_OK)
            rc = txn_end(e, cancel_all(e, &f));
    }
    if (rc == TACET_OK)
        complete_file(e, l.message, done, ctx);
    else
        complete_status(e, done, ctx, rc);
}
