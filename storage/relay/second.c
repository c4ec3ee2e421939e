/* A second connection, with a thread of its own, that reads rows while the first one does: nearly each scattered message costs the decryption of a page,
 * and two cores do two of them at once. What it has read is kept until it is asked again. */
#include "parts.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct second_reader {
    database *db;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    bool asked, stop, made, started;
    uint32_t mailbox;
    const wanted *want;
    size_t wants;
    read_rows got;
    size_t bytes_room;
};

/* --- what was read ----------------------------------------------------------------------------------------------------------------------------- */
static bool keep(void *ctx, const relay_message *m)
{
    second_reader *r = ctx;
    read_rows *g = &r->got;
    if (g->bytes_used + m->ciphertext.bytes > r->bytes_room) {
        size_t room = 2 * (g->bytes_used + m->ciphertext.bytes);
        uint8_t *bigger = realloc(g->bytes, room);
        if (!bigger) {
            g->status = TACET_E_NOMEM;
            return false;
        }
        g->bytes = bigger;
        r->bytes_room = room;
    }
    g->at[g->count] = (read_row){ .m = *m, .start = g->bytes_used };
    if (m->ciphertext.bytes)
        memcpy(g->bytes + g->bytes_used, m->ciphertext.at, m->ciphertext.bytes);
    g->bytes_used += m->ciphertext.bytes;
    g->count++;
    return true;
}

static void read_all(second_reader *r)
{
    read_rows *g = &r->got;
    g->count = g->bytes_used = 0;
    g->status = database_begin(r->db);
    for (size_t i = 0; g->status == TACET_OK && i < r->wants; i++) {
        int rc = show_row(r->db, r->mailbox, r->want[i].number, keep, r);
        g->status = g->status == TACET_OK ? rc : g->status;
    }
    database_rollback(r->db);
}

static void *thread_main(void *ctx)
{
    second_reader *r = ctx;
    (void)pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->asked && !r->stop)
            (void)pthread_cond_wait(&r->wake, &r->lock);
        if (r->stop)
            break;
        (void)pthread_mutex_unlock(&r->lock);
        read_all(r); /* nobody else looks until asked is false again */
        (void)pthread_mutex_lock(&r->lock);
        r->asked = false;
        (void)pthread_cond_signal(&r->done);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* --- for the first reader ---------------------------------------------------------------------------------------------------------------------- */
void second_ask(second_reader *r, uint32_t mailbox, const wanted *want, size_t count)
{
    (void)pthread_mutex_lock(&r->lock);
    r->mailbox = mailbox;
    r->want = want;
    r->wants = count;
    r->asked = true;
    (void)pthread_cond_signal(&r->wake);
    (void)pthread_mutex_unlock(&r->lock);
}

const read_rows *second_wait(second_reader *r)
{
    (void)pthread_mutex_lock(&r->lock);
    while (r->asked)
        (void)pthread_cond_wait(&r->done, &r->lock);
    (void)pthread_mutex_unlock(&r->lock);
    return &r->got;
}

/* --- start and end ------------------------------------------------------------------------------------------------------------------------------- */
static int start(second_reader *r, const relay_store *s)
{
    int rc = database_open_reader(&r->db, s->db);
    if (rc == TACET_OK)
        rc = database_execute(r->db, "PRAGMA cache_size=-2048"); /* KiB: the inner pages; a row's own page is seldom needed twice */
    if (rc != TACET_OK)
        return rc;
    r->made = pthread_mutex_init(&r->lock, NULL) == 0 && pthread_cond_init(&r->wake, NULL) == 0 && pthread_cond_init(&r->done, NULL) == 0;
    if (!r->made)
        return TACET_E_NOMEM;
    rc = thread_begin(&r->thread, thread_main, r);
    r->started = rc == TACET_OK;
    return rc;
}

int second_open(second_reader **out, const relay_store *s)
{
    second_reader *r = calloc(1, sizeof *r);
    int rc = r ? start(r, s) : TACET_E_NOMEM;
    if (rc == TACET_OK)
        *out = r;
    else
        second_close(r);
    return rc;
}

second_reader *second_close(second_reader *r)
{
    if (!r)
        return NULL;
    if (r->started) {
        (void)pthread_mutex_lock(&r->lock);
        r->stop = true;
        (void)pthread_cond_signal(&r->wake);
        (void)pthread_mutex_unlock(&r->lock);
        (void)pthread_join(r->thread, NULL);
    }
    if (r->made) {
        (void)pthread_mutex_destroy(&r->lock); /* nobody holds any of them */
        (void)pthread_cond_destroy(&r->wake);
        (void)pthread_cond_destroy(&r->done);
    }
    database_close(r->db);
    free(r->got.bytes);
    free(r);
    return NULL;
}
