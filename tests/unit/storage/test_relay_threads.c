/* Readers beside the committer, and a committer that is killed. */
#include "folder.h"
#include "parts.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { BOXES = 4, HOUR = 1000, READERS = 2, BATCH = 7 };
static const uint8_t key[32] = "a key of thirty-two bytes, yes!";
static const relay_tuning busy = { .run_rows = 64, .exceptions_max = 2, .clean_rows = 16, .checkpoint_bytes = 300 << 10, .background = true };

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A message says which of its mailbox it is. */
static int append_one(relay_store *s, uint64_t number, uint32_t box, uint64_t sequence)
{
    uint64_t body[100];
    for (size_t i = 0; i < ROWS(body); i++)
        body[i] = sequence;
    relay_message m = { .number = number, .mailbox = box, .token_kind = 1, .expires_hour = HOUR + 5, .ciphertext = { body, sizeof body } };
    return relay_append(s, &m);
}

static void boxes_make(relay_store *s)
{
    OK(relay_begin(s));
    for (uint32_t i = 1; i <= BOXES; i++) {
        uint8_t account[32] = { (uint8_t)i };
        uint32_t box = 0;
        OK(relay_mailbox_add(s, account, 1, account, &box));
        ck_assert_uint_eq(box, i);
    }
    OK(relay_commit(s));
}

/* --- readers -------------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    relay_store *s;
    atomic_uint_fast64_t committed[BOXES + 1], acknowledged[BOXES + 1]; /* sequences */
    atomic_bool stop;
    atomic_uint rounds, wrong;
} shared;

typedef struct {
    shared *w;
    uint32_t box;
    uint64_t after, next, first; /* next: the sequence that must come, unless it was acknowledged meanwhile */
    bool any;
} reading;

/* Without a hole: what waits in a mailbox is a stretch of its sequence. */
static bool read_one(void *ctx, const relay_message *m)
{
    reading *g = ctx;
    uint64_t sequence = 0;
    bool fine = m->ciphertext.bytes == 800;
    if (fine)
        memcpy(&sequence, (const uint8_t *)m->ciphertext.at + 792, sizeof sequence);
    fine = fine && m->number > g->after && (!g->any || sequence == g->next || sequence - 1 <= atomic_load(&g->w->acknowledged[g->box]));
    if (!fine)
        atomic_fetch_add(&g->w->wrong, 1);
    if (!g->any)
        g->first = sequence;
    g->any = true;
    g->next = sequence + 1;
    g->after = m->number;
    return true;
}

static void *reader_main(void *ctx)
{
    shared *w = ctx;
    relay_reader *r = NULL;
    if (relay_reader_open(&r, w->s) != TACET_OK)
        atomic_fetch_add(&w->wrong, 1);
    for (uint32_t box = 1; r && !atomic_load(&w->stop); box = box % BOXES + 1) {
        reading g = { .w = w, .box = box };
        uint64_t sure = atomic_load(&w->committed[box]), before;
        do {
            before = g.after;
            if (relay_backlog(r, box, g.after, 16, 64 << 10, HOUR, read_one, &g) != TACET_OK)
                atomic_fetch_add(&w->wrong, 1);
        } while (g.after != before);
        uint64_t gone = atomic_load(&w->acknowledged[box]);
        /* Up to what was committed before we began nothing may be missing, but for what has been acknowledged since. */
        if ((g.any ? g.next - 1 < sure || g.first > gone + 1 : sure > gone))
            atomic_fetch_add(&w->wrong, 1);
        atomic_fetch_add(&w->rounds, 1);
    }
    relay_reader_close(r);
    return NULL;
}

START_TEST(readers_beside_the_committer)
{
    folder_make();
    shared *w = calloc(1, sizeof *w);
    pthread_t thread[READERS];
    uint64_t number = 0, staged[BOXES + 1] = { 0 }, numbers[BOXES + 1][4096], until = now_ms() + 3000, seed = 8;
    OK(relay_store_open_tuned(&w->s, folder, key, &busy));
    boxes_make(w->s);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, reader_main, w), 0);
    while (now_ms() < until) {
        uint64_t gone[BOXES + 1] = { 0 };
        OK(relay_begin(w->s));
        for (int i = 0; i < BATCH; i++) {
            uint32_t box = 1 + (uint32_t)draw_below(&seed, BOXES);
            OK(append_one(w->s, ++number, box, ++staged[box]));
            numbers[box][staged[box] % 4096] = number;
        }
        for (uint32_t box = 1; box <= BOXES; box++) {
            gone[box] = atomic_load(&w->acknowledged[box]);
            while (staged[box] - gone[box] > 150 && atomic_load(&w->committed[box]) > gone[box])
                OK(relay_acknowledge(w->s, box, &numbers[box][++gone[box] % 4096], 1));
        }
        bool drop = draw_below(&seed, 20) == 0;
        if (drop)
            relay_rollback(w->s);
        for (uint32_t box = 1; box <= BOXES && !drop; box++)
            atomic_store(&w->acknowledged[box], gone[box]); /* before it is true: readers may only see less than they must */
        if (!drop)
            OK(relay_commit(w->s));
        for (uint32_t box = 1; box <= BOXES; box++) {
            if (drop)
                staged[box] = atomic_load(&w->committed[box]);
            atomic_store(&w->committed[box], staged[box]);
        }
        bool more = true;
        OK(relay_clean(w->s, HOUR, &more, NULL, NULL));
    }
    atomic_store(&w->stop, true);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    ck_assert_uint_eq(atomic_load(&w->wrong), 0);
    ck_assert_uint_gt(atomic_load(&w->rounds), 20);
    ck_assert_uint_gt(number, 200);
    /* Readers that overlap do not let the WAL grow without limit. */
    ck_assert_uint_lt(atomic_load(&w->s->wal_bytes), 8 * busy.checkpoint_bytes);
    char where[128];
    OK(relay_check(w->s, where, sizeof where));
    relay_store_close(w->s);
    free(w);
    folder_remove();
}
END_TEST

/* A reader that never lets go of its view: the log grows to its limit, then the committer waits for it once and starts anew. */
static bool slow_one(void *ctx, const relay_message *m)
{
    (void)m;
    (void)usleep(20000);
    return !atomic_load((atomic_bool *)ctx);
}

typedef struct {
    relay_store *s;
    atomic_bool stop;
} slow;

static void *slow_main(void *ctx)
{
    slow *w = ctx;
    relay_reader *r = NULL;
    if (relay_reader_open(&r, w->s) != TACET_OK)
        return ctx;
    while (!atomic_load(&w->stop))
        if (relay_backlog(r, 1, 0, 5, SIZE_MAX, HOUR, slow_one, &w->stop) != TACET_OK)
            return ctx;
    relay_reader_close(r);
    return NULL;
}

START_TEST(slow_readers_do_not_make_the_log_grow)
{
    folder_make();
    slow w = { NULL };
    pthread_t thread[READERS];
    uint64_t worst = 0;
    OK(relay_store_open_tuned(&w.s, folder, key, &busy));
    boxes_make(w.s);
    for (uint64_t n = 1; n <= 1200; n++) {
        OK(relay_begin(w.s));
        OK(append_one(w.s, n, 1, n));
        OK(relay_commit(w.s));
        if (n == 10)
            for (int i = 0; i < READERS; i++)
                ck_assert_int_eq(pthread_create(&thread[i], NULL, slow_main, &w), 0);
        if (atomic_load(&w.s->wal_bytes) > worst)
            worst = atomic_load(&w.s->wal_bytes);
    }
    atomic_store(&w.stop, true);
    for (int i = 0; i < READERS; i++) {
        void *failed = &w;
        ck_assert_int_eq(pthread_join(thread[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    ck_assert_uint_gt(worst, busy.checkpoint_bytes);
    ck_assert_uint_lt(worst, 5 * busy.checkpoint_bytes);
    relay_store_close(w.s);
    folder_remove();
}
END_TEST

/* --- kill -9 -------------------------------------------------------------------------------------------------------------------------------- */
/* Commits for ever; after each commit one line into the pipe: how far. */
static void committer(int out, uint64_t seed)
{
    relay_store *s = NULL;
    uint64_t number = 0, acknowledged;
    bool more;
    if (relay_store_open_tuned(&s, folder, key, &busy) != TACET_OK || relay_log_summary(s, &number, NULL, NULL) != TACET_OK)
        _exit(2);
    acknowledged = number > 40 ? number - 40 : 0;
    for (;;) {
        uint64_t say[2];
        if (relay_begin(s) != TACET_OK)
            _exit(3);
        for (uint64_t i = 1 + draw_below(&seed, 9); i > 0; i--, number++)
            if (append_one(s, number + 1, 1 + (uint32_t)(number % BOXES), number + 1) != TACET_OK)
                _exit(4);
        for (; acknowledged + 40 < number; acknowledged++) {
            uint64_t next = acknowledged + 1;
            if (relay_acknowledge(s, 1 + (uint32_t)((next - 1) % BOXES), &next, 1) != TACET_OK)
                _exit(5);
        }
        if (relay_commit(s) != TACET_OK)
            _exit(6);
        say[0] = number;
        say[1] = acknowledged;
        if (write(out, say, sizeof say) != (ssize_t)sizeof say)
            _exit(7);
        if (relay_clean(s, HOUR, &more, NULL, NULL) != TACET_OK)
            _exit(8);
    }
}

static bool note_one(void *ctx, const relay_message *m)
{
    uint64_t *low_high = ctx;
    uint64_t sequence;
    memcpy(&sequence, m->ciphertext.at, sizeof sequence);
    ck_assert_uint_eq(sequence, m->number);
    if (m->number < low_high[0])
        low_high[0] = m->number;
    if (m->number > low_high[1])
        low_high[1] = m->number;
    low_high[2]++;
    return true;
}

START_TEST(kill_at_any_moment)
{
    folder_make();
    relay_store *s = NULL;
    OK(relay_store_open_tuned(&s, folder, key, &busy));
    boxes_make(s);
    relay_store_close(s);
    uint64_t seed = 77, said[2] = { 0, 0 }, rounds_with_commits = 0;
    for (int round = 0; round < 25; round++) {
        int fd[2], status = 0;
        ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
        pid_t child = fork();
        if (child == 0) {
            (void)close(fd[0]);
            committer(fd[1], seed);
        }
        ck_assert_int_eq(close(fd[1]), 0);
        (void)usleep((unsigned)(10000 + draw_below(&seed, 60000)));
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status), "the child left with %d", WEXITSTATUS(status));
        uint64_t line[2], lines = 0;
        while (read(fd[0], line, sizeof line) == (ssize_t)sizeof line) {
            said[0] = line[0];
            said[1] = line[1];
            lines++;
        }
        ck_assert_int_eq(close(fd[0]), 0);
        rounds_with_commits += lines > 0;
        relay_reader *r = NULL;
        uint64_t seen[3] = { UINT64_MAX, 0, 0 };
        char where[128];
        OK(relay_store_open_tuned(&s, folder, key, &busy));
        OK(relay_reader_open(&r, s));
        for (uint32_t box = 1; box <= BOXES; box++)
            OK(relay_backlog(r, box, 0, SIZE_MAX, SIZE_MAX, HOUR, note_one, seen));
        if (said[0]) {
            ck_assert_uint_ge(seen[1], said[0]);               /* what was committed is there */
            ck_assert_uint_gt(seen[0], said[1]);               /* what was acknowledged is not */
            ck_assert_uint_eq(seen[2], seen[1] - seen[0] + 1); /* and nothing is missing between */
        }
        OK(relay_check(s, where, sizeof where));
        relay_reader_close(r);
        relay_store_close(s);
    }
    ck_assert_uint_gt(rounds_with_commits, 0);
    folder_remove();
}
END_TEST

/* What two connections counted at the start is what one relay knew before its end. */
START_TEST(a_long_index_is_counted_by_halves)
{
    relay_store *s = NULL;
    run known[64];
    uint64_t number = 0, acknowledged[] = { 1, 70, 131, 200 }; /* one of each mailbox */
    bool more = true;
    folder_make();
    OK(relay_store_open_tuned(&s, folder, key, &busy));
    boxes_make(s);
    for (unsigned i = 0; i < 8 * busy.run_rows / 16; i++) {
        OK(relay_begin(s));
        for (unsigned k = 0; k < 16; k++, number++)
            OK(append_one(s, number + 1, 1 + (uint32_t)number % BOXES, number));
        OK(relay_commit(s));
    }
    OK(relay_begin(s));
    for (size_t i = 0; i < ROWS(acknowledged); i++)
        OK(relay_acknowledge(s, 1 + (uint32_t)(acknowledged[i] - 1) % BOXES, &acknowledged[i], 1));
    OK(relay_commit(s));
    while (more)
        OK(relay_clean(s, HOUR, &more, NULL, NULL));
    size_t runs = s->runs.count;
    uint64_t rows = s->index_rows, dead = s->index_dead, live = 0;
    ck_assert_uint_ge(runs, 4);
    ck_assert_uint_le(runs, ROWS(known));
    memcpy(known, s->runs.at, runs * sizeof *known);
    relay_store_close(s);
    OK(relay_store_open_tuned(&s, folder, key, &busy));
    ck_assert_uint_eq(s->runs.count, runs);
    for (size_t i = 0; i < runs; i++) {
        ck_assert_uint_eq(s->runs.at[i].live, known[i].live);
        live += known[i].live;
    }
    ck_assert_uint_eq(s->index_rows, rows);
    ck_assert_uint_eq(s->index_dead, dead);
    ck_assert_uint_eq(rows, live + dead);
    for (uint32_t box = 1; box <= BOXES; box++)
        ck_assert_uint_eq(s->index.state[box].waiting, number / BOXES - 1);
    relay_store_close(s);
    folder_remove();
}
END_TEST

SUITE("relay-threads", TEST(readers_beside_the_committer), TEST(slow_readers_do_not_make_the_log_grow), TEST(kill_at_any_moment),
      TEST(a_long_index_is_counted_by_halves))
