/* The threads of the store process (committer, backlog, pool) against each other, for the thread sanitizer: each is given work as fast as it takes it. */
#include "core_world.h"
#include "server/pool.h"
#include "suite.h"
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct {
    work work;
    uint8_t in[64], out[32];
    bool ran;
} sum;

static void sum_run(work *w)
{
    sum *s = (sum *)(void *)w;
    crypto_generichash(s->out, sizeof s->out, s->in, sizeof s->in, NULL, 0);
    s->ran = true;
}

static void leftover(work *w)
{
    (void)w;
    ck_abort_msg("something was left");
}

static void wait_for(int fd)
{
    uint64_t n;
    struct pollfd p = { fd, POLLIN, 0 };
    ck_assert_int_eq(poll(&p, 1, 20000), 1);
    ck_assert_int_eq(read(fd, &n, sizeof n), sizeof n);
}

START_TEST(pool_gives_everything_back_once)
{
    enum { WORKS = 3000 };
    static sum all[WORKS];
    int wake = eventfd(0, EFD_NONBLOCK);
    pool *p;
    unsigned back = 0;
    ck_assert_int_eq(pool_start(&p, 4, wake), TACET_OK);
    for (unsigned i = 0; i < WORKS; i++) {
        all[i].work.run = sum_run;
        pool_submit(p, &all[i].work);
    }
    while (back < WORKS) {
        wait_for(wake);
        for (work *w; (w = pool_collect(p)); back++)
            ck_assert(((sum *)(void *)w)->ran);
    }
    p = pool_stop(p, leftover);
    close(wake);
}
END_TEST

static job *append(uint32_t mailbox, uint64_t number)
{
    message *m = calloc(1, sizeof *m + 100);
    m->job = (job){ .kind = JOB_APPEND, .writes = true };
    m->mailbox = mailbox;
    m->row = number;
    m->token_kind = 1;
    m->stored_hour = 500000;
    m->expires_hour = 500720;
    m->bytes = 100;
    memcpy(m->ciphertext, &number, sizeof number);
    return &m->job;
}

static uint32_t some_mailbox(relay_store *s)
{
    uint8_t account[32], tk[32];
    uint32_t mailbox;
    randombytes_buf(account, 32);
    randombytes_buf(tk, 32);
    ck_assert_int_eq(relay_begin(s), TACET_OK);
    ck_assert_int_eq(relay_account_add(s, account, 1, tk, (blob){ "list", 4 }, 500000), TACET_OK);
    ck_assert_int_eq(relay_mailbox_add(s, account, 1, tk, &mailbox), TACET_OK);
    ck_assert_int_eq(relay_commit(s), TACET_OK);
    return mailbox;
}

static job *group(uint32_t mailbox, uint64_t first, int count)
{
    job *list = NULL, **tail = &list;
    for (int i = 0; i < count; i++, tail = &(*tail)->next)
        *tail = append(mailbox, first + (uint64_t)i);
    return list;
}

static backlog_job *read_after(uint32_t mailbox, uint64_t after)
{
    backlog_job *j = calloc(1, sizeof *j);
    j->mailbox = mailbox;
    j->after = after;
    j->now_hour = 500001;
    j->max_count = RELAY_BACKLOG_MAX_MESSAGES;
    return j;
}

static void collect_group(committer *c)
{
    job *done;
    int status;
    if (!committer_collect(c, &done, &status))
        return;
    ck_assert_int_eq(status, TACET_OK);
    for (job *n; done; done = n) {
        n = done->next;
        free(done);
    }
}

/* True when a read was done; what it read must follow on *seen. */
static bool collect_read(backlog *b, uint64_t *seen)
{
    backlog_job *j = backlog_collect(b);
    if (!j)
        return false;
    ck_assert_int_eq(j->status, TACET_OK);
    for (uint32_t i = 0; i < j->count; i++)
        ck_assert_uint_eq(j->item[i].number, ++*seen);
    free(j->stream);
    free(j);
    return true;
}

/* The reader sees, while the committer writes, a growing beginning of what was written, without holes. */
START_TEST(backlog_reads_while_the_committer_writes)
{
    enum { GROUPS = 150, PER_GROUP = 20 };
    world *w = world_new(NULL);
    uint32_t mailbox = some_mailbox(w->store);
    int wake = eventfd(0, EFD_NONBLOCK);
    committer *c;
    backlog *b;
    uint64_t next = 1, seen = 0;
    bool reading = false;
    ck_assert_int_eq(committer_start(&c, w->store, wake), TACET_OK);
    ck_assert_int_eq(backlog_start(&b, w->reader, wake), TACET_OK);
    while (seen < GROUPS * PER_GROUP) {
        if (!committer_busy(c) && next <= GROUPS * PER_GROUP) {
            committer_submit(c, group(mailbox, next, PER_GROUP));
            next += PER_GROUP;
        }
        if (!reading)
            backlog_submit(b, read_after(mailbox, seen));
        reading = true;
        wait_for(wake);
        collect_group(c);
        while (collect_read(b, &seen))
            reading = false;
    }
    b = backlog_stop(b);
    while (committer_busy(c)) {
        wait_for(wake);
        collect_group(c);
    }
    c = committer_stop(c);
    close(wake);
    world_free(w);
}
END_TEST

SUITE("threads", TEST(pool_gives_everything_back_once), TEST(backlog_reads_while_the_committer_writes))
