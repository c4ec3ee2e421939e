/* The methods about files: send_file, stage, files, save, cancel; and their object. */
#include "files.h"
#include "base/text.h"
#include <errno.h>

#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the object ------------------------------------------------------------------------------------------------------------------------------ */
static const char *state_word(const vault_file *f, const vault_file_link *l)
{
    static const char *const word[] = {
        [VAULT_FILE_OFFERED] = "offered",   [VAULT_FILE_RUNNING] = "receiving", [VAULT_FILE_STORED] = "stored",
        [VAULT_FILE_COMPLETE] = "complete", [VAULT_FILE_FAILED] = "failed",     [VAULT_FILE_CANCELLED] = "cancelled",
    };
    if (f->outgoing && f->state == VAULT_FILE_RUNNING)
        return l->ended ? "cancelled" : "sending";
    if (f->outgoing && f->state == VAULT_FILE_STORED && l->ended)
        return "complete";
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
    bool whole = f->state == VAULT_FILE_COMPLETE || f->state == VAULT_FILE_STORED;
    json_object_set_new(o, "size", json_integer((json_int_t)f->size));
    json_object_set_new(o, "state", json_string(state_word(f, &l)));
    json_object_set_new(o, "have", json_integer((json_int_t)(whole ? f->size : bytes_of(f, have))));
    json_object_set_new(o, "form", json_string(f->form == FILE_FORM_FOLDER ? "folder" : "file"));
    if (f->media[0])
        json_object_set_new(o, "media", json_string(f->media));
    if (!f->outgoing && f->state == VAULT_FILE_COMPLETE)
        json_object_set_new(o, "saved_to", json_string(f->path));
    trouble bad = r && r->bad ? r->bad : (trouble)f->trouble;
    if (bad) {
        json_object_set_new(o, "trouble", json_string(trouble_word(bad)));
        json_object_set_new(o, "paused", json_boolean(f->state == VAULT_FILE_RUNNING));
    }
    sodium_memzero(f, sizeof *f);
    free(f);
}

/* --- settings ----------------------------------------------------------------------------------------------------------------------------------- */
#define SET_AUTO "auto_download"
#define SET_FOLDER "downloads"

/* XDG_DOWNLOAD_DIR="$HOME/…" of user-dirs.dirs, as the desktop has it. */
static bool xdg_downloads(const char *home, char *out, size_t room)
{
    char path[VAULT_FILE_PATH_ROOM], line[VAULT_FILE_PATH_ROOM];
    const char *config = getenv("XDG_CONFIG_HOME");
    bool found = false;
    if (snprintf(path, sizeof path, "%s%s/user-dirs.dirs", config && *config == '/' ? config : home, config && *config == '/' ? "" : "/.config") >=
        (int)sizeof path)
        return false;
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        static const char key[] = "XDG_DOWNLOAD_DIR=\"";
        char *value = strncmp(line, key, sizeof key - 1) == 0 ? line + sizeof key - 1 : NULL, *end = value ? strchr(value, '"') : NULL;
        if (!end)
            continue;
        *end = '\0';
        bool at_home = strncmp(value, "$HOME/", 6) == 0;
        if (at_home || *value == '/')
            found = snprintf(out, room, "%s%s", at_home ? home : "", at_home ? value + 5 : value) < (int)room;
    }
    if (f)
        (void)fclose(f);
    return found;
}

static void default_folder(char *out, size_t room)
{
    const char *home = getenv("HOME");
    const struct passwd *who = home && *home == '/' ? NULL : getpwuid(geteuid());
    if (who)
        home = who->pw_dir;
    if (!home || *home != '/')
        home = "/";
    if (!xdg_downloads(home, out, room))
        (void)snprintf(out, room, "%s/Downloads", strcmp(home, "/") == 0 ? "" : home);
}

int files_settings_load(engine *e)
{
    files *f = e->files;
    size_t n = 0;
    int rc = vault_number_get(e->vault, SET_AUTO, &f->auto_download);
    if (rc == TACET_E_NOT_FOUND)
        f->auto_download = FILES_AUTO_DOWNLOAD_BYTES;
    if (rc >= 0)
        rc = vault_setting_get(e->vault, SET_FOLDER, f->folder, sizeof f->folder - 1, &n);
    f->folder[rc == TACET_OK ? n : 0] = '\0';
    if (!f->folder[0])
        default_folder(f->folder, sizeof f->folder);
    return rc == TACET_E_NOT_FOUND ? TACET_OK : rc;
}

/* False: the call has been completed with an error. */
bool files_settings(engine *e, json_t *params, engine_done done, void *ctx)
{
    json_t *most = json_object_get(params, SET_AUTO), *folder = json_object_get(params, SET_FOLDER);
    const char *path = json_string_value(folder);
    if ((most && !(json_is_integer(most) && json_integer_value(most) >= 0)) ||
        (folder && (!path || (*path && *path != '/') || strlen(path) >= sizeof e->files->folder))) {
        complete_bad_param(e, done, ctx, "settings", most && !json_is_integer(most) ? SET_AUTO : SET_FOLDER);
        return false;
    }
    if (!most && !folder)
        return true;
    int rc = txn_begin(e);
    if (rc == TACET_OK && most)
        rc = vault_number_put(e->vault, SET_AUTO, (uint64_t)json_integer_value(most));
    if (rc == TACET_OK && folder)
        rc = vault_setting_put(e->vault, SET_FOLDER, path, strlen(path));
    rc = txn_end(e, rc);
    if (rc == TACET_OK)
        rc = files_settings_load(e);
    if (rc != TACET_OK)
        complete_status(e, done, ctx, rc);
    return rc == TACET_OK;
}

void files_settings_json(const engine *e, json_t *o)
{
    json_object_set_new(o, SET_AUTO, json_integer((json_int_t)e->files->auto_download));
    json_object_set_new(o, SET_FOLDER, json_string(e->files->folder));
}

/* --- send_file ------------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    engine *e;
    op *op;
    uint64_t number;
    int64_t contact[VAULT_FILE_LINKS_MAX];
    int64_t message[VAULT_FILE_LINKS_MAX];
    size_t contacts;
    uint8_t id[16], reply_to[16];
    bool has_id, has_reply, waits;
    vault_file f;
    file_source *source;
} sending;

typedef struct {
    job job;
    uint64_t op;
    char path[VAULT_FILE_PATH_ROOM];
    file_source *source;
    source_facts facts;
    trouble bad;
    int why;
} look_job;

static void sending_drop(op *o)
{
    sending *s = o->data;
    file_source_close(s->source);
    sodium_memzero(s, sizeof *s);
    free(s);
}

static void sending_wake(engine *e, op *o)
{
    (void)e;
    (void)o; /* goes on when the worker has looked at the source */
}

static json_t *sent_object(engine *e, const sending *s, size_t i)
{
    vault_contact c = { 0 };
    json_t *o = NULL;
    if (vault_contact_get(e->vault, s->contact[i], &c) == TACET_OK)
        o = message_sent_json(e, &c, s->message[i]);
    return o ? o : json_null();
}

static json_t *sent_objects(engine *e, const sending *s, uint32_t skipped)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->contacts; i++) {
        json_t *o = sent_object(e, s, i);
        if (skipped)
            json_object_set_new(o, "skipped", json_integer(skipped));
        json_array_append_new(list, o);
    }
    return list;
}

static int content_parts(engine *e, int64_t row, const source_facts *facts)
{
    int rc = TACET_OK;
    uint32_t part = 0;
    for (size_t at = 0; rc == TACET_OK && at < facts->record_bytes; at += TACET_CHUNK_PLAIN_BYTES, part++) {
        size_t left = facts->record_bytes - at;
        rc = vault_content_put(e->vault, row, part, facts->record + at, left < TACET_CHUNK_PLAIN_BYTES ? left : TACET_CHUNK_PLAIN_BYTES);
    }
    return rc;
}

static int message_for(engine *e, sending *s, size_t i)
{
    vault_contact c;
    uint8_t size[8];
    for (int k = 0; k < 8; k++)
        size[k] = (uint8_t)(s->f.size >> (56 - 8 * k));
    vault_message m = { .contact = s->contact[i],
                        .outgoing = true,
                        .kind = VAULT_FILE,
                        .handed = true,
                        .read = true,
                        .waits = s->waits,
                        .time_ms = now_ms(e),
                        .has_reply = s->has_reply,
                        .text = { (const uint8_t *)s->f.name, strlen(s->f.name) },
                        .raw = { size, sizeof size } };
    vault_file_link l = { .file = s->f.row, .contact = s->contact[i] };
    memcpy(m.reply_to, s->reply_to, sizeof m.reply_to);
    env_random(e->env, m.id, sizeof m.id);
    env_random(e->env, l.capability, sizeof l.capability);
    if (i == 0 && s->has_id)
        memcpy(m.id, s->id, sizeof m.id);
    int rc = vault_contact_get(e->vault, s->contact[i], &c);
    bool now = false;
    if (rc == TACET_OK)
        rc = message_store(e, &c, &m, &now);
    s->message[i] = l.message = m.row;
    if (rc == TACET_OK)
        rc = vault_file_link_add(e->vault, &l);
    return rc == TACET_OK ? outbox_send(e, &c, m.row, now) : rc;
}

static int store_all(engine *e, sending *s, const source_facts *facts)
{
    int rc = s->f.row ? vault_file_settle(e->vault, &s->f) : vault_file_add(e->vault, &s->f);
    if (rc == TACET_OK && facts)
        rc = content_parts(e, s->f.row, facts);
    for (size_t i = 0; rc == TACET_OK && i < s->contacts; i++)
        rc = message_for(e, s, i);
    return rc == TACET_OK ? file_tell(e, s->f.row) : rc;
}

/* What is known of the source goes into the file; then everything in one transaction. */
static void commit_sending(engine *e, op *o, const source_facts *facts)
{
    sending *s = o->data;
    int rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, store_all(e, s, facts));
    if (rc != TACET_OK) {
        engine_error why;
        error_of_status(e, &why, rc);
        op_fail(e, o, &why);
        return;
    }
    rc = file_run_start(e, s->f.row);
    file_run *r = file_run_find(e, s->f.row);
    if (rc == TACET_OK && r && s->source) {
        r->source = s->source;
        s->source = NULL;
    }
    mailbox_want(e, true);
    op_finish(e, o, sent_objects(e, s, facts ? facts->skipped : 0));
}

static void keys_new(engine *e, vault_file *f)
{
    env_random(e->env, f->blob, sizeof f->blob);
    env_random(e->env, f->key, sizeof f->key);
    env_random(e->env, f->salt, sizeof f->salt);
    file_commitment(f->commitment, f->key, f->salt);
}

static sentence why_not(trouble bad, int why)
{
    if (bad == TROUBLE_SOURCE_GONE)
        return SAY_FILE_MISSING;
    return why == EFBIG ? SAY_FILE_LARGE : why == EINVAL ? SAY_FILE_KIND : why == EILSEQ ? SAY_FILE_NAMES : SAY_FILE_OPEN;
}

static void look_run(job *j)
{
    look_job *l = (look_job *)j;
    l->bad = file_source_open(&l->source, l->path, &l->facts);
    l->why = errno;
}

static void look_done(void *ctx, job *j)
{
    engine *e = ctx;
    look_job *l = (look_job *)j;
    op *o = e->files->closing ? NULL : op_find(e, l->op);
    if (!o) {
        file_source_close(l->source);
        free(l);
        return;
    }
    sending *s = o->data;
    s->source = l->source;
    s->f.form = l->facts.form;
    s->f.mode = l->facts.mode;
    s->f.mtime_s = l->facts.mtime_s;
    s->f.size = l->facts.size;
    s->f.stamp = l->facts.stamp;
    if (l->bad)
        op_say(e, o, why_not(l->bad, l->why), l->path, strerror(l->why));
    else if (plan_chunks(s->f.size, &s->f.chunks) != TACET_OK)
        op_say(e, o, SAY_FILE_LARGE, l->path, NULL);
    else
        commit_sending(e, o, &l->facts);
    free(l);
    e->woken = true;
}

/* The contacts of `to`: a name or an array of them. False: the call has been completed. */
static bool receivers(engine *e, json_t *params, sending *s, engine_done done, void *ctx)
{
    json_t *to = json_object_get(params, "to");
    size_t n = json_is_array(to) ? json_array_size(to) : 1;
    if (n == 0 || n > VAULT_FILE_LINKS_MAX) {
        complete_say(e, done, ctx, SAY_FILE_RECEIVERS, NULL, NULL);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        vault_contact c;
        json_t *one = json_pack("{s:O}", "to", json_is_array(to) ? json_array_get(to, i) : to ? to : json_null());
        bool known = contact_param(e, one, "send_file", "to", &c, done, ctx);
        json_decref(one);
        if (!known)
            return false;
        sentence which = send_obstacle(&c);
        if (which != SAY_COUNT) {
            complete_say(e, done, ctx, which, c.alias, NULL);
            return false;
        }
        for (size_t k = 0; k < s->contacts; k++)
            if (s->contact[k] == c.id)
                c.id = 0; /* named twice */
        if (c.id)
            s->contact[s->contacts++] = c.id;
    }
    return true;
}

/* True when a file of this id was sent before: the call has been answered. */
static bool asked_twice(engine *e, sending *s, engine_done done, void *ctx)
{
    int64_t row = 0;
    uint32_t state = 0;
    vault_file_link l, link[VAULT_FILE_LINKS_MAX];
    if (!s->has_id || vault_message_find(e->vault, s->contact[0], true, s->id, &row, &state) != TACET_OK ||
        vault_file_link_get(e->vault, row, &l) != TACET_OK ||
        vault_file_links(e->vault, l.file, link, VAULT_FILE_LINKS_MAX, &s->contacts) != TACET_OK)
        return false;
    for (size_t i = 0; i < s->contacts; i++) {
        s->contact[i] = link[i].contact;
        s->message[i] = link[i].message;
    }
    complete(e, done, ctx, sent_objects(e, s, 0), NULL);
    return true;
}

/* The name that the receiver is told: what was said, else the path's last part. */
static bool name_take(sending *s, const char *name, const char *path)
{
    size_t n = path ? strlen(path) : 0;
    while (n > 1 && path[n - 1] == '/')
        n--;
    size_t start = n;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (name)
        text_put(s->f.name, sizeof s->f.name, name);
    else if (path && n - start < sizeof s->f.name)
        memcpy(s->f.name, path + start, n - start);
    return s->f.name[0] && utf8_valid((const uint8_t *)s->f.name, strlen(s->f.name));
}

static void send_staged(engine *e, op *o, const char *stage)
{
    sending *s = o->data;
    vault_file staged;
    int64_t row = strtoll(stage, NULL, 10);
    if (vault_file_get(e->vault, row, &staged) != TACET_OK || staged.state != VAULT_FILE_STAGED) {
        op_say(e, o, SAY_FILE_STAGE, NULL, NULL);
        return;
    }
    memcpy(staged.name, s->f.name, sizeof staged.name);
    s->f = staged;
    s->f.state = VAULT_FILE_RUNNING;
    s->f.mode = 0600;
    commit_sending(e, o, NULL);
}

void call_send_file(engine *e, json_t *params, engine_done done, void *ctx)
{
    const char *path = param_text(params, "path"), *stage = param_text(params, "stage"), *name = param_text(params, "name");
    const char *id = param_text(params, "id"), *reply_to = param_text(params, "reply_to");
    sending *s = calloc(1, sizeof *s);
    if (!s) {
        complete(e, done, ctx, NULL, NULL);
        return;
    }
    s->has_id = id != NULL;
    s->has_reply = reply_to != NULL;
    s->waits = param_bool(params, "waits");
    s->f = (vault_file){ .outgoing = true, .state = VAULT_FILE_RUNNING, .source = VAULT_SOURCE_PATH, .created_ms = now_ms(e) };
    bool fits = stage || (path && *path == '/' && strlen(path) < sizeof s->f.path);
    if ((id && !json_id(s->id, id)) || (reply_to && !json_id(s->reply_to, reply_to)) || !fits || !name_take(s, name, path)) {
        complete_bad_param(e, done, ctx, "send_file", !fits ? "path" : !s->f.name[0] ? "name" : "id");
        free(s);
        return;
    }
    if (!receivers(e, params, s, done, ctx) || asked_twice(e, s, done, ctx)) {
        free(s);
        return;
    }
    look_job *l = stage ? NULL : calloc(1, sizeof *l);
    if (path)
        text_put(s->f.path, sizeof s->f.path, path);
    keys_new(e, &s->f);
    op *o = op_new(e, done, ctx, sending_wake, sending_drop, s);
    if (!o || stage) {
        if (o)
            send_staged(e, o, stage);
        free(l);
        return;
    }
    if (l) {
        l->op = o->number;
        l->job.run = look_run;
        l->job.done = look_done;
        text_put(l->path, sizeof l->path, path);
    }
    if (!l || workers_give(e->files->workers, WORKER_READER, &l->job) != TACET_OK) {
        free(l);
        op_say(e, o, SAY_NO_MEMORY, NULL, NULL);
    }
}

/* --- stage: content that has no path --------------------------------------------------------------------------------------------------------------- */
static int stage_part(engine *e, vault_file *f, const uint8_t *bytes, size_t n)
{
    if (f->row == 0) {
        *f = (vault_file){ .outgoing = true,
                           .state = VAULT_FILE_STAGED,
                           .source = VAULT_SOURCE_CONTENT,
                           .form = FILE_FORM_FILE,
                           .chunks = 1,
                           .created_ms = now_ms(e),
                           .mtime_s = now_s(e),
                           .name = "stdin" };
        keys_new(e, f);
        int rc = vault_file_add(e->vault, f);
        if (rc != TACET_OK || n == 0)
            return rc;
    }
    int rc = vault_content_put(e->vault, f->row, (uint32_t)(f->size / TACET_CHUNK_PLAIN_BYTES), bytes, n);
    f->size += n;
    if (rc == TACET_OK)
        rc = plan_chunks(f->size, &f->chunks);
    return rc == TACET_OK ? vault_file_settle(e->vault, f) : rc;
}

void call_stage(engine *e, json_t *params, engine_done done, void *ctx)
{
    const char *text = param_text(params, "content"), *stage = param_text(params, "stage");
    uint8_t *bytes = malloc(TACET_CHUNK_PLAIN_BYTES);
    size_t n = 0;
    vault_file f = { 0 };
    int rc = bytes ? TACET_OK : TACET_E_NOMEM;
    bool known = !stage || (vault_file_get(e->vault, strtoll(stage, NULL, 10), &f) == TACET_OK && f.state == VAULT_FILE_STAGED);
    bool fits = bytes && text && known && f.size % TACET_CHUNK_PLAIN_BYTES == 0 &&
                sodium_base642bin(bytes, TACET_CHUNK_PLAIN_BYTES, text, strlen(text), NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
                f.size + n <= FILES_CONTENT_MAX_BYTES;
    if (!fits) {
        complete_say(e, done, ctx, bytes ? SAY_FILE_STAGE : SAY_NO_MEMORY, NULL, NULL);
        free(bytes);
        return;
    }
    if (rc == TACET_OK)
        rc = txn_begin(e);
    if (rc == TACET_OK)
        rc = txn_end(e, stage_part(e, &f, bytes, n));
    sodium_memzero(bytes, TACET_CHUNK_PLAIN_BYTES);
    free(bytes);
    char number[24];
    (void)snprintf(number, sizeof number, "%lld", (long long)f.row);
    if (rc != TACET_OK)
        complete_status(e, done, ctx, rc);
    else
        complete(e, done, ctx, json_pack("{s:s,s:I}", "stage", number, "size", (json_int_t)f.size), NULL);
    sodium_memzero(&f, sizeof f);
}

/* --- files, save, cancel --------------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    engine *e;
    json_t *list;
} collecting;

static bool collect(void *ctx, const vault_message *m)
{
    collecting *c = ctx;
    json_array_append_new(c->list, json_message(c->e, m));
    return true;
}

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
        rc = vault_message_each_row(e->vault, rows[i], collect, &list);
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
    int rc = vault_message_each_row(e->vault, message, collect, &c);
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
    if (f.state != VAULT_FILE_COMPLETE && (fresh || r)) {
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

static int cancel_all(engine *e, const vault_file *f, const vault_file_link *asked)
{
    vault_file_link link[VAULT_FILE_LINKS_MAX];
    size_t count = 0;
    int rc = vault_file_links(e->vault, f->row, link, VAULT_FILE_LINKS_MAX, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++) {
        rc = file_cancel_say(e, f, &link[i]);
        if (rc == TACET_OK && f->outgoing)
            rc = message_raise(e, link[i].message, VAULT_FAILED);
    }
    (void)asked;
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
            rc = txn_end(e, cancel_all(e, &f, &l));
    }
    if (rc == TACET_OK)
        complete_file(e, l.message, done, ctx);
    else
        complete_status(e, done, ctx, rc);
}
