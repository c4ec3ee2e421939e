/* `backup`: writes what a person would miss into a file that a passphrase opens, from one view of the vault, a slice at a time, while everything else
 * goes on. The engine gets a head and the file's key and never sees the passphrase: whoever asks has stretched it (a second and 256 MiB are not the
 * engine's to spend). Beside the name, fsync, then the name: under it there is a whole backup or nothing. */
#include "backup_records.h"
#include "base/fd.h"
#include "identity/backup.h"
#include "profile_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SLICE_CONTACTS = 16,
    SLICE_MESSAGES = 128,
    SLICE_CHUNKS = 32,
    TELL_MS = 500,
    PATH_MAX_BYTES = 4096,
    PLAIN_ROOM = BACKUP_PLAIN_BYTES + BACKUP_RECORD_MAX_BYTES + 8
};
typedef enum { BACKUP_CONTACTS, BACKUP_MESSAGES, BACKUP_CURSORS, BACKUP_PADDING, BACKUP_DONE } backup_step;

typedef struct {
    engine *e;
    backup_step step;
    vault *view;
    int fd;
    char path[PATH_MAX_BYTES], part[PATH_MAX_BYTES + 8];
    backup_stream *stream; /* in the arena, as is plain */
    uint8_t *plain, *sealed;
    writer w; /* over plain: what is not sealed yet */
    uint64_t chunks, chunks_wanted, messages;
    int64_t *contact; /* ids, ascending: a contact's place is its number in the file */
    size_t contacts, next;
    vault_cursor *cursor;
    size_t cursors, next_cursor;
    int64_t newest;   /* message */
    uint64_t told_ms; /* how far it is */
    int64_t row;      /* the message that went last, and then the one of a cursor */
    int status;
} backing_up;

/* --- bytes --------------------------------------------------------------------------------------------------------------------------- */
/* The first chunk of what waits, filled up with zeros. */
static int chunk_write(backing_up *b, bool last)
{
    size_t waits = writer_bytes(&b->w), gone = waits < BACKUP_PLAIN_BYTES ? waits : BACKUP_PLAIN_BYTES;
    memset(b->plain + waits, 0, waits < BACKUP_PLAIN_BYTES ? BACKUP_PLAIN_BYTES - waits : 0);
    int rc = backup_chunk_seal(b->stream, b->sealed, b->plain, last);
    if (rc == TACET_OK && !fd_write_all(b->fd, b->sealed, BACKUP_CHUNK_BYTES))
        rc = status_of_errno();
    b->chunks++;
    memmove(b->plain, b->plain + gone, waits - gone);
    b->w.at = b->plain + (waits - gone);
    return rc;
}

/* After each record: one that is whole goes out when more than a chunk waits, so that the last chunk is never empty by accident. */
static int record_done(backing_up *b)
{
    if (!writer_ok(&b->w))
        return TACET_E_BUG;
    int rc = TACET_OK;
    while (rc == TACET_OK && writer_bytes(&b->w) > BACKUP_PLAIN_BYTES)
        rc = chunk_write(b, false);
    return rc;
}

/* --- what goes in -------------------------------------------------------------------------------------------------------------------- */
static int put_account(engine *e, backing_up *b)
{
    const own_account *me = &e->me;
    backup_account *a = secret_alloc(e->arena, sizeof *a);
    if (!a)
        return TACET_E_NOMEM;
    a->made_ms = now_ms(e);
    a->device = me->device;
    a->listed = me->listed;
    a->read_receipts = me->read_receipts;
    memcpy(a->ik_seed, me->secret->ik, sizeof a->ik_seed); /* libsodium's form begins with the seed */
    memcpy(a->request_token, me->request_token, sizeof a->request_token);
    text_put(a->name, sizeof a->name, me->name);
    text_put(a->relay, sizeof a->relay, me->relay_text);
    text_put(a->proxy, sizeof a->proxy, me->proxy);
    memcpy(a->list, me->signed_list, me->signed_list_bytes);
    a->list_bytes = me->signed_list_bytes;
    record_put_account(&b->w, a);
    secret_free(e->arena, a);
    return record_done(b);
}

static int put_chains(backing_up *b, int64_t contact)
{
    int64_t device[64];
    size_t count = 0;
    int rc = vault_chain_devices(b->view, contact, device, 64, &count);
    for (size_t i = 0; rc == TACET_OK && i < count && i < 64; i++) {
        backup_chain c = { .device = (uint32_t)device[i] };
        rc = vault_chain_get(b->view, contact, c.device, &c.sequence);
        record_put_chain(&b->w, &c);
        if (rc == TACET_OK)
            rc = record_done(b);
    }
    return rc;
}

static int put_contact(engine *e, backing_up *b, int64_t id)
{
    backup_contact *k = secret_alloc(e->arena, sizeof *k + BACKUP_DRAFT_MAX_BYTES + 1);
    char *draft = (char *)(k + 1);
    if (!k)
        return TACET_E_NOMEM;
    int rc = vault_contact_get(b->view, id, &k->c);
    if (rc == TACET_OK)
        rc = vault_draft_get(b->view, id, draft, BACKUP_DRAFT_MAX_BYTES + 1);
    if (rc == TACET_OK) {
        k->draft = (vault_blob){ (const uint8_t *)draft, strlen(draft) };
        record_put_contact(&b->w, k);
        rc = record_done(b);
    }
    secret_free(e->arena, k);
    return rc == TACET_OK ? put_chains(b, id) : rc;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool put_message(void *ctx, const vault_message *m)
{
    backing_up *b = ctx;
    const int64_t *at = bsearch(&m->contact, b->contact, b->contacts, sizeof *b->contact, by_id);
    b->row = m->row;
    b->messages++;
    if (at)
        record_put_message(&b->w, (uint32_t)(at - b->contact), m);
    b->status = at ? record_done(b) : TACET_E_CORRUPT;
    return b->status == TACET_OK;
}

/* A part of what the next cursor has taken: one record. */
static int put_cursor(backing_up *b)
{
    uint8_t(*ids)[16] = calloc(BACKUP_CURSOR_TAKEN_MAX, sizeof *ids);
    size_t count = 0;
    if (!ids)
        return TACET_E_NOMEM;
    backup_cursor c = { .c = b->cursor[b->next_cursor] };
    int rc = vault_cursor_upto(b->view, c.c.name, c.upto);
    if (rc == TACET_OK)
        rc = vault_cursor_taken(b->view, c.c.name, &b->row, ids, BACKUP_CURSOR_TAKEN_MAX, &count);
    if (rc == TACET_OK) {
        c.taken = (vault_blob){ ids[0], count * sizeof *ids };
        record_put_cursor(&b->w, &c);
        rc = record_done(b);
    }
    free(ids);
    if (count < BACKUP_CURSOR_TAKEN_MAX) {
        b->next_cursor++;
        b->row = 0;
    }
    return rc;
}

/* --- beginning and end ------------------------------------------------------------------------------------------------------------------ */
static int contacts_list(backing_up *b)
{
    int rc = contacts_all(b->view, &b->contact, &b->contacts);
    if (rc == TACET_OK)
        qsort(b->contact, b->contacts, sizeof *b->contact, by_id);
    return rc;
}

static bool cursor_note(void *ctx, const vault_cursor *c)
{
    backing_up *b = ctx;
    b->cursor[b->cursors++] = *c;
    return b->cursors < ENGINE_CURSORS_MAX;
}

static int cursors_list(backing_up *b)
{
    b->cursor = calloc(ENGINE_CURSORS_MAX, sizeof *b->cursor);
    return b->cursor ? vault_cursor_each(b->view, cursor_note, b) : TACET_E_NOMEM;
}

/* Whoever writes a part holds its lock, so that two profiles with one path do not write over each other. Where a file system has no locks, part_is_ours
 * still keeps another's file from getting the name. */
static bool part_locked(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

/* The beginning of a backup, or nothing at all, and nobody writes it: what a killed process left. Anything else of that name is somebody's file. */
static bool part_is_left_over(int fd)
{
    uint8_t head[BACKUP_HEAD_BYTES];
    struct stat s;
    if (fd < 0 || fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || !part_locked(fd))
        return false;
    ssize_t n = read(fd, head, sizeof head);
    return n == 0 || (n > 0 && backup_head_check(head, (size_t)n) == TACET_OK);
}

static bool part_is_ours(const backing_up *b)
{
    struct stat open_one, named;
    return b->fd >= 0 && fstat(b->fd, &open_one) == 0 && lstat(b->part, &named) == 0 && open_one.st_dev == named.st_dev &&
           open_one.st_ino == named.st_ino;
}

/* What a killed process left goes, under its lock. */
static int part_clear(const backing_up *b)
{
    struct stat s;
    if (lstat(b->part, &s) != 0)
        return errno == ENOENT ? TACET_OK : status_of_errno();
    int fd = open(b->part, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int rc = !part_is_left_over(fd) ? TACET_E_EXISTS : unlink(b->part) == 0 ? TACET_OK : status_of_errno();
    if (fd >= 0)
        close(fd);
    return rc;
}

static int part_open(backing_up *b, const uint8_t *head, const uint8_t *start)
{
    int rc = part_clear(b);
    if (rc == TACET_OK) {
        b->fd = open(b->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        rc = b->fd >= 0 ? TACET_OK : errno == EEXIST ? TACET_E_EXISTS : status_of_errno();
    }
    if (rc == TACET_OK && (!part_locked(b->fd) || !part_is_ours(b)))
        rc = TACET_E_EXISTS; /* somebody took it for left over before we had the lock */
    if (rc == TACET_E_EXISTS)
        text_put(b->path, sizeof b->path, b->part); /* the one that is said to be in the way */
    if (rc == TACET_OK && (!fd_write_all(b->fd, head, BACKUP_HEAD_BYTES) || !fd_write_all(b->fd, start, BACKUP_START_BYTES)))
        rc = status_of_errno();
    return rc;
}

static int folder_sync(const char *path)
{
    char folder[PATH_MAX_BYTES];
    text_put(folder, sizeof folder, path);
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = '\0'; /* the path is absolute */
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 && fsync(fd) == 0 ? TACET_OK : status_of_errno();
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Never over a file that is there: in one step where the file system can, else after a look. */
static int name_give(const backing_up *b)
{
    struct stat s;
    if (renameat2(AT_FDCWD, b->part, AT_FDCWD, b->path, RENAME_NOREPLACE) == 0)
        return TACET_OK;
    if (errno == EEXIST)
        return TACET_E_EXISTS;
    if (errno != EINVAL && errno != ENOSYS)
        return status_of_errno();
    if (lstat(b->path, &s) == 0)
        return TACET_E_EXISTS;
    return rename(b->part, b->path) == 0 ? TACET_OK : status_of_errno();
}

static int file_finish(backing_up *b)
{
    if (fsync(b->fd) != 0)
        return status_of_errno();
    if (!part_is_ours(b)) { /* removed, or another one in its place: that one does not get the name */
        errno = ESTALE;
        return TACET_E_IO;
    }
    int rc = name_give(b);
    if (rc == TACET_OK)
        b->part[0] = '\0';
    return rc == TACET_OK ? folder_sync(b->path) : rc;
}

static void backup_drop(op *o)
{
    backing_up *b = o->data;
    b->e->busy--;
    if (b->part[0] && part_is_ours(b))
        (void)unlink(b->part); /* best effort: the next backup of this name removes it as well */
    if (b->fd >= 0)
        close(b->fd); /* and with it the lock */
    vault_close(b->view);
    secret_free(b->e->arena, b->stream);
    secret_free(b->e->arena, b->plain);
    free(b->sealed);
    free(b->contact);
    free(b->cursor);
    free(b);
}

/* --- slices -------------------------------------------------------------------------------------------------------------------------- */
static int slice_contacts(engine *e, backing_up *b)
{
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < SLICE_CONTACTS && b->next < b->contacts; i++)
        rc = put_contact(e, b, b->contact[b->next++]);
    if (b->next == b->contacts)
        b->step = BACKUP_MESSAGES;
    return rc;
}

static int slice_messages(engine *e, backing_up *b)
{
    (void)e;
    uint64_t before = b->messages;
    b->status = TACET_OK;
    int rc = vault_messages_after(b->view, b->row, SLICE_MESSAGES, put_message, b);
    if (rc == TACET_OK)
        rc = b->status;
    if (rc == TACET_OK && b->messages < before + SLICE_MESSAGES) {
        b->row = 0;
        b->step = BACKUP_CURSORS;
    }
    return rc;
}

static int slice_cursors(engine *e, backing_up *b)
{
    (void)e;
    if (b->next_cursor < b->cursors)
        return put_cursor(b);
    record_put_end(&b->w);
    int rc = record_done(b);
    b->chunks_wanted = backup_chunks_padded(b->chunks + 1);
    b->step = BACKUP_PADDING;
    return rc;
}

static int slice_padding(engine *e, backing_up *b)
{
    (void)e;
    int rc = TACET_OK;
    for (size_t i = 0; rc == TACET_OK && i < SLICE_CHUNKS && b->chunks < b->chunks_wanted; i++)
        rc = chunk_write(b, b->chunks + 1 == b->chunks_wanted);
    if (rc == TACET_OK && b->chunks == b->chunks_wanted) {
        b->step = BACKUP_DONE;
        rc = file_finish(b);
    }
    return rc;
}

static void backup_fail(engine *e, op *o, int rc)
{
    const backing_up *b = o->data;
    engine_error error;
    if (rc == TACET_E_EXISTS)
        sentence_fill(&error, SAY_FILE_EXISTS, b->path, NULL, NULL);
    else if (rc == TACET_E_FULL || rc == TACET_E_READONLY || rc == TACET_E_IO)
        sentence_fill(&error, sentence_of_status(rc), b->path, strerror(errno), NULL);
    else
        error_of_status(e, &error, rc);
    op_fail(e, o, &error);
}

/* How large the file will be is a guess while messages are read. */
static void backup_tell(engine *e, backing_up *b)
{
    uint64_t have = b->chunks * BACKUP_CHUNK_BYTES, of = b->chunks_wanted * BACKUP_CHUNK_BYTES;
    if (mono_ms(e) < b->told_ms + TELL_MS || have == 0)
        return;
    if (b->step == BACKUP_MESSAGES && b->row > 0)
        of = (uint64_t)((double)have * (double)b->newest / (double)b->row);
    b->told_ms = mono_ms(e);
    json_t *o = json_event("backup-progress");
    json_object_set_new(o, "path", json_string(b->path));
    json_object_set_new(o, "have", json_integer((json_int_t)have));
    json_object_set_new(o, "of", json_integer((json_int_t)(of > have ? of : have)));
    emit(e, o);
}

static void backup_wake(engine *e, op *o)
{
    static int (*const slice[])(engine *, backing_up *) = { slice_contacts, slice_messages, slice_cursors, slice_padding };
    backing_up *b = o->data;
    int rc = slice[b->step](e, b);
    if (rc != TACET_OK) {
        backup_fail(e, o, rc);
    } else if (b->step == BACKUP_DONE) {
        json_t *result = json_event("backup");
        json_object_set_new(result, "path", json_string(b->path));
        json_object_set_new(result, "contacts", json_integer((json_int_t)b->contacts));
        json_object_set_new(result, "messages", json_integer((json_int_t)b->messages));
        json_object_set_new(result, "bytes", json_integer((json_int_t)b->chunks * BACKUP_CHUNK_BYTES + BACKUP_HEAD_BYTES + BACKUP_START_BYTES));
        op_finish(e, o, result);
    } else {
        backup_tell(e, b);
    }
}

/* --- the call ------------------------------------------------------------------------------------------------------------------------ */
static bool params_read(json_t *params, backing_up *b, uint8_t head[BACKUP_HEAD_BYTES], uint8_t key[BACKUP_KEY_BYTES], const char **wrong)
{
    const char *path = param_text(params, "path"), *head_text = param_text(params, "head"), *key_text = param_text(params, "key");
    *wrong = "path";
    if (!path || path[0] != '/' || strlen(path) >= sizeof b->path)
        return false;
    text_put(b->path, sizeof b->path, path);
    (void)snprintf(b->part, sizeof b->part, "%s.part", path);
    *wrong = "head";
    if (!head_text || hex_decode(head, BACKUP_HEAD_BYTES, head_text, strlen(head_text)) != TACET_OK ||
        backup_head_check(head, BACKUP_HEAD_BYTES) != TACET_OK)
        return false;
    *wrong = "key";
    return key_text && hex_decode(key, BACKUP_KEY_BYTES, key_text, strlen(key_text)) == TACET_OK;
}

static int open_parts(engine *e, backing_up *b, const uint8_t head[BACKUP_HEAD_BYTES], const uint8_t key[BACKUP_KEY_BYTES])
{
    uint8_t start[BACKUP_START_BYTES];
    struct stat s;
    if (lstat(b->path, &s) == 0)
        return TACET_E_EXISTS;
    b->stream = secret_alloc(e->arena, sizeof *b->stream);
    b->plain = secret_alloc(e->arena, PLAIN_ROOM);
    b->sealed = malloc(BACKUP_CHUNK_BYTES);
    if (!b->stream || !b->plain || !b->sealed)
        return TACET_E_NOMEM;
    b->w = writer_over(b->plain, PLAIN_ROOM);
    backup_stream_begin(b->stream, start, head, key, e->env);
    int rc = part_open(b, head, start);
    if (rc == TACET_OK)
        rc = inbox_flush(e); /* so that the view sees it */
    if (rc == TACET_OK)
        rc = vault_open_view(&b->view, e->vault);
    if (rc == TACET_OK)
        rc = put_account(e, b);
    if (rc == TACET_OK)
        rc = contacts_list(b);
    if (rc == TACET_OK)
        rc = cursors_list(b);
    b->told_ms = mono_ms(e);
    return rc == TACET_OK ? vault_message_newest(b->view, &b->newest) : rc;
}

static bool backup_runs(const engine *e)
{
    for (const op *o = e->ops; o; o = o->next)
        if (o->wake == backup_wake)
            return true;
    return false;
}

void call_backup(engine *e, json_t *params, engine_done done, void *ctx)
{
    uint8_t head[BACKUP_HEAD_BYTES], key[BACKUP_KEY_BYTES];
    const char *wrong = NULL;
    backing_up *b = calloc(1, sizeof *b);
    if (!b) {
        complete(e, done, ctx, NULL, NULL);
        return;
    }
    *b = (backing_up){ .e = e, .fd = -1 };
    if (backup_runs(e)) {
        free(b);
        complete_say(e, done, ctx, SAY_BACKUP_RUNS, NULL, NULL);
    } else if (!params_read(params, b, head, key, &wrong)) {
        free(b);
        complete_bad_param(e, done, ctx, "backup", wrong);
    } else {
        op *o = op_new(e, done, ctx, backup_wake, backup_drop, b);
        e->busy += o != NULL;
        int rc = o ? open_parts(e, b, head, key) : TACET_OK;
        if (rc != TACET_OK)
            backup_fail(e, o, rc);
    }
    sodium_memzero(key, sizeof key);
}
