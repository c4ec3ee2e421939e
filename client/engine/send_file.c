/* The method send_file: a worker looks at the source, then file, messages and offers are one transaction. And stage, for content that has no path. */
#include "files.h"
#include "base/text.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
