#include "restore.h"
#include "backup_records.h"
#include "identity/backup.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLAIN_ROOM = BACKUP_PLAIN_BYTES + BACKUP_RECORD_HEAD_BYTES + BACKUP_RECORD_MAX_BYTES };

typedef struct {
    engine *e;
    int fd;
    uint64_t size, left;   /* of the file, in bytes; what was not read yet */
    backup_stream *stream; /* in the arena, as is plain */
    uint8_t *plain, *sealed;
    size_t have;
    bool account, ended;
    int64_t *contact; /* the vault's id of each contact, by its place in the file */
    size_t contacts, room, cursors;
    uint64_t messages;
} importing;

/* --- records ------------------------------------------------------------------------------------------------------------------------- */
static int forget_all(engine *e)
{
    int64_t *ids = NULL;
    size_t count = 0;
    int rc = contacts_all(e->vault, &ids, &count);
    for (size_t i = 0; rc == TACET_OK && i < count; i++)
        rc = vault_contact_remove(e->vault, ids[i]);
    free(ids);
    return rc == TACET_OK ? vault_cursor_remove_all(e->vault) : rc;
}

/* The account of `a`, which nobody else can have written: its list is signed by the key that is in it. */
static int account_fits(const backup_account *a, sign_pair *ik, device_list *list, relay_address *relay)
{
    bool fits = crypto_sign_seed_keypair(ik->public, ik->secret, a->ik_seed) == 0 && relay_address_parse(relay, a->relay) == TACET_OK &&
                device_list_decode(list, a->list, a->list_bytes) == TACET_OK && sodium_memcmp(ik->public, list->ik, sizeof list->ik) == 0 &&
                device_list_find(list, a->device);
    return fits ? TACET_OK : TACET_E_MALFORMED;
}

static int account_take(engine *e, const backup_account *a, sign_pair *ik)
{
    own_account *me = &e->me;
    device_list list;
    relay_address relay;
    int rc = account_fits(a, ik, &list, &relay);
    if (rc != TACET_OK)
        return rc;
    bool same = me->stage == ACCOUNT_RESTORED && sodium_memcmp(me->secret->ik, ik->secret, sizeof ik->secret) == 0;
    rc = forget_all(e);
    if (rc == TACET_OK && !same)
        rc = vault_prekey_remove_all(e->vault);
    if (rc == TACET_OK && !same)
        rc = account_device_keys(e);
    if (rc != TACET_OK)
        return rc;
    memcpy(me->secret->ik, ik->secret, sizeof me->secret->ik);
    text_put(me->name, sizeof me->name, a->name);
    relay_address_format(me->relay_text, &relay); /* no longer than what it was parsed from */
    text_put(me->proxy, sizeof me->proxy, *e->proxy ? e->proxy : a->proxy);
    memcpy(me->request_token, a->request_token, sizeof me->request_token);
    memcpy(me->signed_list, a->list, a->list_bytes);
    me->signed_list_bytes = a->list_bytes;
    me->list = list;
    me->relay = relay;
    me->device = a->device;
    me->listed = a->listed;
    me->read_receipts = a->read_receipts;
    me->stage = ACCOUNT_RESTORED;
    rc = account_store_secrets(e);
    if (rc == TACET_OK)
        rc = account_store(e);
    return rc == TACET_OK ? vault_number_put(e->vault, SET_RESTORED, now_s(e)) : rc;
}

static int on_account(importing *im, reader *body)
{
    backup_account *a = secret_alloc(im->e->arena, sizeof *a);
    sign_pair *ik = secret_alloc(im->e->arena, sizeof *ik);
    int rc = a && ik ? TACET_OK : TACET_E_NOMEM;
    if (rc == TACET_OK)
        rc = im->account ? TACET_E_MALFORMED : record_get_account(body, a);
    if (rc == TACET_OK)
        rc = account_take(im->e, a, ik);
    im->account = true;
    secret_free(im->e->arena, a);
    secret_free(im->e->arena, ik);
    return rc;
}

static int contact_remember(importing *im, int64_t id)
{
    if (im->contacts == im->room) {
        size_t room = im->room ? 2 * im->room : 64;
        int64_t *more = realloc(im->contact, room * sizeof *more);
        if (!more)
            return TACET_E_NOMEM;
        im->contact = more;
        im->room = room;
    }
    im->contact[im->contacts++] = id;
    return TACET_OK;
}

static int draft_store(importing *im, const backup_contact *k)
{
    char *text = k->draft.bytes ? calloc(1, k->draft.bytes + 1) : NULL;
    if (!k->draft.bytes)
        return TACET_OK;
    if (!text)
        return TACET_E_NOMEM;
    memcpy(text, k->draft.at, k->draft.bytes);
    int rc = vault_draft_put(im->e->vault, k->c.id, text);
    sodium_memzero(text, k->draft.bytes);
    free(text);
    return rc;
}

static int on_contact(importing *im, reader *body)
{
    backup_contact k;
    int rc = record_get_contact(body, &k);
    if (rc == TACET_OK)
        rc = vault_contact_add(im->e->vault, &k.c);
    if (rc == TACET_OK)
        rc = contact_remember(im, k.c.id);
    if (rc == TACET_OK)
        rc = draft_store(im, &k);
    sodium_memzero(&k, sizeof k);
    return rc;
}

static int on_chain(importing *im, reader *body)
{
    backup_chain c;
    int rc = record_get_chain(body, &c);
    if (rc == TACET_OK && im->contacts == 0)
        rc = TACET_E_MALFORMED;
    return rc == TACET_OK ? vault_chain_put(im->e->vault, im->contact[im->contacts - 1], c.device, c.sequence) : rc;
}

static int on_message(importing *im, reader *body)
{
    vault_message m;
    uint32_t contact = 0;
    int rc = record_get_message(body, &contact, &m);
    if (rc == TACET_OK && contact >= im->contacts)
        rc = TACET_E_MALFORMED;
    if (rc != TACET_OK)
        return rc;
    m.contact = im->contact[contact];
    im->messages++;
    return vault_message_add(im->e->vault, &m);
}

/* Behind the messages, which it names by their ids: their rows are others here. */
static int on_cursor(importing *im, reader *body)
{
    vault *v = im->e->vault;
    backup_cursor k;
    bool there = false;
    int rc = record_get_cursor(body, &k);
    if (rc == TACET_OK)
        rc = vault_cursor_find(v, k.c.name, &there);
    if (rc == TACET_OK && !there)
        rc = im->cursors++ < ENGINE_CURSORS_MAX ? vault_cursor_put(v, &k.c, k.upto) : TACET_E_MALFORMED;
    for (size_t at = 0; rc == TACET_OK && at < k.taken.bytes; at += 16)
        rc = vault_cursor_handed(v, k.c.name, k.taken.at + at);
    return rc == TACET_OK ? vault_cursor_fold(v, k.c.name) : rc;
}

static int record_take(importing *im, record_kind kind, reader *body)
{
    static int (*const take[])(importing *, reader *) = {
        [RECORD_ACCOUNT] = on_account, [RECORD_CONTACT] = on_contact, [RECORD_CHAIN] = on_chain,
        [RECORD_MESSAGE] = on_message, [RECORD_CURSOR] = on_cursor,
    };
    if (kind == RECORD_END) {
        im->ended = true;
        return im->account ? TACET_OK : TACET_E_MALFORMED;
    }
    if (kind != RECORD_ACCOUNT && !im->account)
        return TACET_E_MALFORMED; /* it comes first */
    return (size_t)kind < sizeof take / sizeof *take ? take[kind](im, body) : TACET_OK;
}

/* As many records as are whole; the rest moves to the front. Behind the end there are only zeros. */
static int records_take(importing *im)
{
    reader r = reader_over(im->plain, im->have), body;
    record_kind kind;
    int rc = TACET_OK;
    while (!im->ended && (rc = record_next(&r, &kind, &body)) == TACET_OK)
        if ((rc = record_take(im, kind, &body)) != TACET_OK)
            return rc;
    if (rc != TACET_OK && rc != TACET_E_AGAIN)
        return rc;
    size_t rest = reader_left(&r);
    if (im->ended) {
        bool zeros = sodium_is_zero(rest ? r.at : im->plain, rest);
        im->have = 0;
        return zeros ? TACET_OK : TACET_E_MALFORMED;
    }
    memmove(im->plain, r.at, rest);
    im->have = rest;
    return TACET_OK;
}

/* --- the file ------------------------------------------------------------------------------------------------------------------------ */
/* TACET_E_GAP: it ends before. */
static int file_read(importing *im, uint8_t *out, size_t n)
{
    if (im->left < n)
        return TACET_E_GAP;
    for (size_t have = 0; have < n;) {
        ssize_t got = read(im->fd, out + have, n - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? TACET_E_IO : TACET_E_GAP;
        have += (size_t)got;
    }
    im->left -= n;
    return TACET_OK;
}

/* Damage of the file is a verdict here, not of our own data. */
static int as_verdict(int rc) { return rc == TACET_E_CORRUPT ? TACET_E_FORGED : rc; }

static int chunks_take(importing *im)
{
    int rc = TACET_OK;
    while (rc == TACET_OK && !im->stream->ended) {
        rc = file_read(im, im->sealed, BACKUP_CHUNK_BYTES);
        if (rc == TACET_OK)
            rc = as_verdict(backup_chunk_open(im->stream, im->plain + im->have, im->sealed, im->left > 0));
        if (rc == TACET_OK) {
            im->have += BACKUP_PLAIN_BYTES;
            rc = records_take(im);
        }
        if (im->e->working)
            im->e->working(im->e->working_ctx, im->size - im->left, im->size);
    }
    return rc == TACET_OK && !im->ended ? TACET_E_MALFORMED : rc;
}

static int file_open(importing *im, const char *path, const uint8_t file_key[32])
{
    uint8_t head[BACKUP_HEAD_BYTES], start[BACKUP_START_BYTES];
    struct stat s;
    im->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (im->fd < 0 || fstat(im->fd, &s) != 0)
        return TACET_E_IO;
    if (!S_ISREG(s.st_mode))
        return TACET_E_MALFORMED;
    im->size = im->left = (uint64_t)s.st_size;
    im->stream = secret_alloc(im->e->arena, sizeof *im->stream);
    im->plain = secret_alloc(im->e->arena, PLAIN_ROOM);
    im->sealed = malloc(BACKUP_CHUNK_BYTES);
    if (!im->stream || !im->plain || !im->sealed)
        return TACET_E_NOMEM;
    int rc = file_read(im, head, sizeof head);
    if (rc == TACET_OK)
        rc = file_read(im, start, sizeof start);
    return rc == TACET_OK ? as_verdict(backup_stream_open(im->stream, start, head, file_key)) : rc;
}

static void say_why(const engine *e, engine_error *error, const char *path, int rc)
{
    if (rc == TACET_E_IO)
        sentence_fill(error, errno == ENOENT ? SAY_RESTORE_MISSING : SAY_IO, path, strerror(errno), NULL);
    else if (rc == TACET_E_GAP)
        sentence_fill(error, SAY_BACKUP_CUT, path, NULL, NULL);
    else if (rc > 0)
        sentence_fill(error, SAY_BACKUP_DAMAGED, path, NULL, NULL);
    else
        error_of_status(e, error, rc);
}

int restore_import(engine *e, const char *path, const uint8_t file_key[32], restored *out, engine_error *error)
{
    importing im = { .e = e, .fd = -1 };
    int rc = file_open(&im, path, file_key);
    if (rc == TACET_OK)
        rc = txn_begin(e);
    if (rc == TACET_OK) {
        rc = txn_end(e, chunks_take(&im));
        if (rc != TACET_OK && account_load(e) != TACET_OK)
            e->me.stage = ACCOUNT_NONE;
    }
    if (rc == TACET_OK)
        *out = (restored){ im.contacts, im.messages };
    else
        say_why(e, error, path, rc);
    if (im.fd >= 0)
        close(im.fd);
    secret_free(e->arena, im.stream);
    secret_free(e->arena, im.plain);
    free(im.sealed);
    free(im.contact);
    return rc;
}
