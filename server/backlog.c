/* server/backlog.c: see backlog.h. */
#include "server/backlog.h"
#include "server/limits.h"
#include "server/reply.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { DELIVER_OVERHEAD_BYTES = 128 };

typedef struct {
    backlog_job *b;
    frame *f;
    bool more; /* a row was seen that did not fit */
} filling;

static bool stream_room(backlog_job *b, size_t bytes)
{
    if (b->stream_bytes + bytes <= b->stream_room)
        return true;
    size_t room = b->stream_room ? b->stream_room : 8192;
    while (room < b->stream_bytes + bytes)
        room *= 2;
    uint8_t *bigger = realloc(b->stream, room);
    if (!bigger)
        return false;
    b->stream = bigger;
    b->stream_room = room;
    return true;
}

static bool each_row(void *ctx, const relay_message *m)
{
    filling *g = ctx;
    backlog_job *b = g->b;
    size_t n = m->ciphertext.bytes + DELIVER_OVERHEAD_BYTES;
    if (b->count == b->max_count) {
        g->more = true;
        return false;
    }
    if (!stream_room(b, n)) {
        b->status = TACET_E_NOMEM;
        return false;
    }
    frame *f = g->f;
    f->deliver.number = m->number;
    f->deliver.token_kind = m->token_kind;
    f->deliver.token_hash = (view){ m->token_hash, sizeof m->token_hash };
    f->deliver.hour_s = m->stored_hour * 3600ull;
    f->deliver.ciphertext = (view){ m->ciphertext.at, m->ciphertext.bytes };
    size_t length = reply_into(f, b->stream + b->stream_bytes, n);
    if (length == 0) {
        b->status = TACET_E_BUG;
        return false;
    }
    b->item[b->count++] = (backlog_item){ .number = m->number,
                                          .token_short = token_short(m->token_hash),
                                          .bytes = (uint32_t)m->ciphertext.bytes,
                                          .start = (uint32_t)b->stream_bytes,
                                          .length = (uint32_t)length,
                                          .token_kind = m->token_kind };
    b->stream_bytes += length;
    return true;
}

/* One row more than wanted is asked for: whether it is there says whether this was the end. The bytes that were read are counted, because the limit on
 * bytes can end the read as well. */
void backlog_read(backlog_job *b, relay_reader *r)
{
    frame *f = calloc(1, sizeof *f);
    if (!f) {
        b->status = TACET_E_NOMEM;
        return;
    }
    f->kind = FRAME_DELIVER;
    filling g = { b, f, false };
    b->status = TACET_OK;
    int rc = relay_backlog(r, b->mailbox, b->after, b->max_count + 1, RELAY_BACKLOG_MAX_BYTES, b->now_hour, each_row, &g);
    if (b->status == TACET_OK)
        b->status = rc;
    size_t bytes = 0;
    for (uint32_t i = 0; i < b->count; i++)
        bytes += b->item[i].bytes;
    b->end = !g.more && bytes + TACET_ENVELOPE_MAX_BYTES <= RELAY_BACKLOG_MAX_BYTES;
    free(f);
}

/* --- the thread -------------------------------------------------------------------------------------------------------------------------- */
enum { RESULTS_MAX_BYTES = 16 * 1024 * 1024 }; /* read and not yet collected: the thread waits above it */

struct backlog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    relay_reader *reader;
    int wake_fd;
    bool stop;
    size_t results_bytes;
    backlog_job *first, *last, *done_first, *done_last;
};

static void push(backlog_job **first, backlog_job **last, backlog_job *b)
{
    b->next = NULL;
    *(*last ? &(*last)->next : first) = b;
    *last = b;
}

static backlog_job *pop(backlog_job **first, backlog_job **last)
{
    backlog_job *b = *first;
    if (b && !(*first = b->next))
        *last = NULL;
    return b;
}

static void *read_loop(void *ctx)
{
    backlog *p = ctx;
    (void)prctl(PR_SET_NAME, (unsigned long)"backlog", 0ul, 0ul, 0ul); /* for top and perf */
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->stop && (!p->first || p->results_bytes > RESULTS_MAX_BYTES))
            pthread_cond_wait(&p->work, &p->lock);
        if (p->stop)
            break;
        backlog_job *b = pop(&p->first, &p->last);
        pthread_mutex_unlock(&p->lock);
        backlog_read(b, p->reader);
        pthread_mutex_lock(&p->lock);
        p->results_bytes += b->stream_room;
        push(&p->done_first, &p->done_last, b);
        uint64_t one = 1;
        if (write(p->wake_fd, &one, sizeof one) != sizeof one)
            continue; /* the counter is at its limit, so the owner is awake */
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int backlog_start(backlog **out, relay_reader *r, int wake_fd)
{
    backlog *p = calloc(1, sizeof *p);
    if (!p)
        return TACET_E_NOMEM;
    p->reader = r;
    p->wake_fd = wake_fd;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    if (pthread_create(&p->thread, NULL, read_loop, p) != 0) {
        free(p);
        return TACET_E_IO;
    }
    *out = p;
    return TACET_OK;
}

void backlog_submit(backlog *p, backlog_job *b)
{
    pthread_mutex_lock(&p->lock);
    push(&p->first, &p->last, b);
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

backlog_job *backlog_collect(backlog *p)
{
    pthread_mutex_lock(&p->lock);
    backlog_job *b = pop(&p->done_first, &p->done_last);
    if (b) {
        p->results_bytes -= b->stream_room;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return b;
}

backlog *backlog_stop(backlog *p)
{
    if (!p)
        return NULL;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    for (backlog_job *b; (b = pop(&p->first, &p->last)) || (b = pop(&p->done_first, &p->done_last));) {
        free(b->stream);
        free(b);
    }
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    free(p);
    return NULL;
}
