/* The message log against a model that is too simple to be wrong: an array of messages. Small runs, so that a few hundred messages go through the
 * ring, half-written runs, the index and every kind of cleaning; with rollbacks, reopening and readers at any moment. */
#include "folder.h"
#include "parts.h"
#include "storage/relay.h"

enum { BOXES = 12, TOKENS = 3, MODEL_MAX = 6000, HOUR = 1000 };
static const uint8_t key[32] = "a key of thirty-two bytes, yes!";
static const relay_tuning small = { .run_rows = 64, .exceptions_max = 3, .clean_rows = 8, .checkpoint_bytes = 256 << 10, .background = false };

typedef struct {
    uint64_t number;
    uint32_t box, bytes, expires;
    uint8_t token, kind;
    bool waits;
    bool hidden; /* its token was taken back: not shown any more, and counted until cleaning deletes it */
} model_message;

typedef struct {
    model_message at[MODEL_MAX];
    size_t count;
    uint32_t mailbox[BOXES]; /* 0: none */
    uint64_t next;
    uint32_t hour;
} model;

typedef struct {
    relay_store *s;
    relay_reader *r;
    model now, before; /* before: what a rollback goes back to */
    uint64_t seed;
    uint32_t devices;
} world;

static void token_of(uint8_t out[32], unsigned token)
{
    memset(out, 7, 32);
    out[0] = (uint8_t)(token / 2); /* two have the same tag: the whole hash must decide */
    out[31] = (uint8_t)token;
}

static void body_of(uint8_t *out, uint64_t number, uint32_t bytes)
{
    uint64_t s = number;
    for (uint32_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)draw(&s);
}

static void world_open(world *w, const relay_tuning *t)
{
    OK(relay_store_open_tuned(&w->s, folder, key, t));
    OK(relay_reader_open(&w->r, w->s));
}

static void world_close(world *w)
{
    w->r = relay_reader_close(w->r);
    w->s = relay_store_close(w->s);
}

static void box_add(world *w, unsigned box)
{
    uint8_t account[32] = { 1, (uint8_t)box }, transport[32] = { 0 };
    uint32_t device = ++w->devices, found = 0;
    memcpy(transport, &device, sizeof device);
    OK(relay_mailbox_add(w->s, account, device, transport, &found));
    for (unsigned i = 0; i < BOXES; i++)
        ck_assert_uint_ne(w->now.mailbox[i], found);
    w->now.mailbox[box] = found;
}

/* --- comparing --------------------------------------------------------------------------------------------------------------------- */
typedef struct {
    const model *m;
    size_t next; /* in the model */
    unsigned box;
    uint32_t hour;
    size_t count, bytes, stop_after;
    uint64_t last;
} expectation;

static size_t model_next(const expectation *x, size_t from)
{
    for (; from < x->m->count; from++) {
        const model_message *k = &x->m->at[from];
        if (k->waits && !k->hidden && k->box == x->box && k->expires > x->hour && k->number > x->last)
            break;
    }
    return from;
}

static bool compare(void *ctx, const relay_message *m)
{
    expectation *x = ctx;
    uint8_t body[3000], token[32];
    x->next = model_next(x, x->next);
    ck_assert_msg(x->next < x->m->count, "message %lu should not be there", (unsigned long)m->number);
    const model_message *k = &x->m->at[x->next];
    ck_assert_uint_eq(m->number, k->number);
    ck_assert_uint_eq(m->ciphertext.bytes, k->bytes);
    body_of(body, k->number, k->bytes);
    if (k->bytes)
        ck_assert_mem_eq(m->ciphertext.at, body, k->bytes);
    token_of(token, k->token);
    ck_assert_mem_eq(m->token_hash, token, 32);
    ck_assert_uint_eq(m->token_kind, k->kind);
    ck_assert_uint_eq(m->expires_hour, k->expires);
    ck_assert_uint_eq(m->stored_hour, HOUR);
    x->last = m->number;
    x->count++;
    x->bytes += k->bytes;
    return x->count != x->stop_after;
}

/* Reads a whole mailbox in batches of random size and kind. */
static void check_box(world *w, const model *m, unsigned box)
{
    expectation x = { .m = m, .box = box, .hour = m->hour };
    uint64_t after = 0;
    for (;;) {
        x.count = x.bytes = 0;
        x.stop_after = draw_below(&w->seed, 4) ? 0 : 1 + draw_below(&w->seed, 4);
        size_t max_count = 1 + draw_below(&w->seed, 9), max_bytes = draw_below(&w->seed, 4000);
        OK(relay_backlog(w->r, m->mailbox[box], after, max_count, max_bytes, m->hour, compare, &x));
        ck_assert_uint_le(x.count, max_count);
        ck_assert_msg(x.count <= 1 || x.bytes <= max_bytes, "more bytes than wanted");
        if (!x.count)
            break;
        after = x.last;
    }
    x.next = model_next(&x, x.next);
    ck_assert_msg(x.next == m->count, "message %lu of mailbox %u is missing", (unsigned long)m->at[x.next].number, box);
}

typedef struct {
    world *w;
    bool seen[BOXES];
} summary;

/* Waiting counts what was not told as expired yet, so the model's flag decides, not its clock. */
static void compare_summary(void *ctx, const relay_waiting *got)
{
    summary *y = ctx;
    const model *m = &y->w->now;
    relay_waiting want = { .mailbox = got->mailbox };
    unsigned box = 0;
    while (box < BOXES && m->mailbox[box] != got->mailbox)
        box++;
    ck_assert_uint_lt(box, BOXES);
    for (size_t i = 0; i < m->count; i++)
        if (m->at[i].waits && m->at[i].box == box) {
            want.messages++;
            want.bytes += m->at[i].bytes;
            want.requests += m->at[i].kind == 2;
        }
    ck_assert_uint_eq(got->messages, want.messages);
    ck_assert_uint_eq(got->bytes, want.bytes);
    ck_assert_uint_eq(got->requests, want.requests);
    y->seen[box] = true;
}

static void check_all(world *w)
{
    summary y = { .w = w };
    uint64_t last = 0;
    char where[128];
    OK(relay_log_summary(w->s, &last, compare_summary, &y));
    ck_assert_uint_eq(last, w->now.next);
    for (size_t i = 0; i < w->now.count; i++)
        ck_assert(!w->now.at[i].waits || y.seen[w->now.at[i].box]);
    for (unsigned box = 0; box < BOXES; box++)
        if (w->now.mailbox[box])
            check_box(w, &w->now, box);
    int rc = relay_check(w->s, where, sizeof where);
    ck_assert_msg(rc == TACET_OK, "%d: %s", rc, where);
}

/* --- steps ------------------------------------------------------------------------------------------------------------------------- */
static void step_append(world *w)
{
    unsigned box = (unsigned)draw_below(&w->seed, BOXES);
    uint8_t body[3000];
    model_message k = { .number = w->now.next + 1 + draw_below(&w->seed, 3),
                        .box = box,
                        .bytes = (uint32_t)draw_below(&w->seed, sizeof body),
                        .expires = HOUR + 1 + (uint32_t)draw_below(&w->seed, draw_below(&w->seed, 4) ? 4000 : 40),
                        .token = (uint8_t)draw_below(&w->seed, TOKENS),
                        .waits = true };
    k.kind = k.token == 0 ? 2 : 1;
    relay_message m = { .number = k.number, .mailbox = w->now.mailbox[box], .token_kind = k.kind, .stored_hour = HOUR, .expires_hour = k.expires };
    token_of(m.token_hash, k.token);
    body_of(body, k.number, k.bytes);
    m.ciphertext = (blob){ body, k.bytes };
    int rc = relay_append(w->s, &m);
    if (!w->now.mailbox[box]) {
        ck_assert_int_eq(rc, TACET_E_NOT_FOUND);
        return;
    }
    if (rc == TACET_E_QUOTA)
        return; /* a full transaction */
    ck_assert_int_eq(rc, TACET_OK);
    ck_assert_int_eq(relay_append(w->s, &m), TACET_E_BUG); /* the number does not ascend */
    ck_assert_uint_lt(w->now.count, MODEL_MAX);
    w->now.at[w->now.count++] = k;
    w->now.next = k.number;
}

/* Mostly in order, sometimes from the end, sometimes what is not there, is another's or acknowledged long ago. */
static void step_acknowledge(world *w)
{
    unsigned box = (unsigned)draw_below(&w->seed, BOXES);
    uint64_t number[24];
    size_t n = 0, want = 1 + draw_below(&w->seed, 12);
    bool from_end = draw_below(&w->seed, 4) == 0;
    for (size_t i = 0; i < w->now.count && n < want; i++) {
        model_message *k = &w->now.at[from_end ? w->now.count - 1 - i : i];
        if (k->box == box && w->now.mailbox[box] && k->waits && draw_below(&w->seed, 4)) {
            number[n++] = k->number;
            k->waits = false;
        }
    }
    if (w->now.count)
        for (int i = 0; i < 4; i++) {
            const model_message *other = &w->now.at[draw_below(&w->seed, w->now.count)];
            if (other->box != box || !other->waits)
                number[n++] = other->number;
        }
    number[n++] = w->now.next + 1 + draw_below(&w->seed, 100);
    number[n++] = draw(&w->seed);
    OK(relay_acknowledge(w->s, w->now.mailbox[box], number, n));
}

/* Some of the tokens, in any order, one perhaps twice, and one perhaps that brought nothing. */
static void step_forget(world *w)
{
    unsigned box = (unsigned)draw_below(&w->seed, BOXES), count = 1 + (unsigned)draw_below(&w->seed, TOKENS);
    uint8_t hash[TOKENS][32];
    bool gone[TOKENS + 1] = { false };
    for (unsigned i = 0; i < count; i++) {
        unsigned token = (unsigned)draw_below(&w->seed, TOKENS + 1);
        token_of(hash[i], token);
        gone[token] = true;
    }
    int rc = relay_forget_tokens(w->s, w->now.mailbox[box], hash[0], count);
    ck_assert_int_eq(rc, w->now.mailbox[box] ? TACET_OK : TACET_E_NOT_FOUND);
    for (size_t i = 0; i < w->now.count; i++)
        if (w->now.at[i].box == box && gone[w->now.at[i].token])
            w->now.at[i].hidden = true;
}

static void step_box(world *w)
{
    unsigned box = (unsigned)draw_below(&w->seed, BOXES);
    if (!w->now.mailbox[box]) {
        box_add(w, box);
    } else if (draw_below(&w->seed, 3) == 0) {
        OK(relay_mailbox_remove(w->s, w->now.mailbox[box]));
        w->now.mailbox[box] = 0;
        for (size_t i = 0; i < w->now.count; i++)
            if (w->now.at[i].box == box)
                w->now.at[i].waits = false;
    }
}

static void transaction_run(world *w)
{
    OK(relay_begin(w->s));
    w->before = w->now;
    for (unsigned n = 1 + (unsigned)draw_below(&w->seed, 12); n > 0; n--) {
        unsigned what = (unsigned)draw_below(&w->seed, 100);
        what < 70 ? step_append(w) : what < 92 ? step_acknowledge(w) : what < 97 ? step_forget(w) : step_box(w);
    }
    /* Nothing of it can be seen yet. */
    for (unsigned box = 0; box < BOXES; box++)
        if (w->before.mailbox[box] && draw_below(&w->seed, 3) == 0)
            check_box(w, &w->before, box);
    if (draw_below(&w->seed, 8) == 0) {
        relay_rollback(w->s);
        w->now = w->before;
    } else {
        OK(relay_commit(w->s));
    }
}

/* What a piece said to be gone unread is what it deleted although it waited. */
static void take_unread(void *ctx, const relay_waiting *got)
{
    relay_waiting *told = ctx;
    ck_assert_uint_ne(got->messages, 0);
    for (unsigned i = 0; i < BOXES; i++)
        if (told[i].mailbox == got->mailbox) {
            ck_assert_uint_eq(told[i].messages, 0); /* once a piece */
            told[i] = *got;
            return;
        }
    ck_abort_msg("an unknown mailbox");
}

static bool row_there(world *w, uint64_t number)
{
    sqlite3_stmt *q = NULL;
    int rc = relay_one(w->s, &q, "SELECT 1 FROM message WHERE number = ?", "i", number);
    if (rc == TACET_OK)
        sqlite3_reset(q);
    ck_assert(rc == TACET_OK || rc == TACET_E_NOT_FOUND);
    return rc == TACET_OK;
}

static void clean_run(world *w, unsigned pieces)
{
    bool more = true;
    for (unsigned i = 0; i < pieces && more; i++) {
        relay_waiting told[BOXES] = { 0 };
        for (unsigned box = 0; box < BOXES; box++)
            told[box].mailbox = w->now.mailbox[box];
        OK(relay_clean(w->s, w->now.hour, &more, take_unread, told));
        for (size_t k = 0; k < w->now.count; k++) {
            model_message *m = &w->now.at[k];
            if (!m->waits || (m->expires > w->now.hour && !m->hidden) || row_there(w, m->number))
                continue;
            m->waits = false;
            told[m->box].messages--;
            told[m->box].bytes -= m->bytes;
            told[m->box].requests -= m->kind == 2;
        }
        for (unsigned box = 0; box < BOXES; box++)
            ck_assert(told[box].messages == 0 && told[box].bytes == 0 && told[box].requests == 0);
    }
}

static uint64_t rows_of(world *w, const char *sql)
{
    int64_t n = -1;
    OK(connection_integer(w->s->db, sql, &n));
    return (uint64_t)n;
}

static world *world_new(uint64_t seed)
{
    world *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    folder_make();
    w->seed = seed;
    w->now.hour = HOUR;
    world_open(w, &small);
    return w;
}

static void world_end(world *w)
{
    world_close(w);
    free(w);
    folder_remove();
}

START_TEST(log_equals_its_model)
{
    world *w = world_new((uint64_t)_i * 7919 + 1);
    for (int round = 0; round < 150; round++) {
        transaction_run(w);
        if (draw_below(&w->seed, 6) == 0)
            w->now.hour += (uint32_t)draw_below(&w->seed, 12);
        if (draw_below(&w->seed, 3) == 0)
            clean_run(w, 1 + (unsigned)draw_below(&w->seed, 6));
        if (draw_below(&w->seed, 12) == 0) {
            world_close(w);
            world_open(w, &small);
            check_all(w);
        }
        if (round % 20 == 0)
            check_all(w);
    }
    check_all(w);
    /* Cleaning comes to an end, and then nothing is left but what waits; the hour makes everything due. */
    for (int hour = 0; hour < 2; hour++, w->now.hour++)
        clean_run(w, 100000);
    check_all(w);
    size_t waiting = 0;
    for (size_t i = 0; i < w->now.count; i++)
        waiting += w->now.at[i].waits;
    ck_assert_uint_eq(rows_of(w, "SELECT count(*) FROM message"), waiting);
    ck_assert_uint_ge(waiting, rows_of(w, "SELECT count(*) FROM mailbox_index WHERE number <= (SELECT indexed_through FROM log)"));
    w->now.hour += 10000;
    clean_run(w, 100000);
    ck_assert_uint_eq(rows_of(w, "SELECT count(*) FROM message"), 0);
    ck_assert_uint_eq(rows_of(w, "SELECT count(*) FROM run"), 0);
    check_all(w);
    world_close(w);
    world_open(w, &small);
    check_all(w); /* the highest number survives an empty log */
    world_end(w);
}
END_TEST

static uint64_t last_number(world *w)
{
    uint64_t last = 0;
    OK(relay_log_summary(w->s, &last, NULL, NULL));
    return last;
}

/* A number is not given again because its message is gone, by whatever way it went. */
START_TEST(highest_number_outlives_its_message)
{
    world *w = world_new(1);
    uint8_t token[32];
    bool more = true;
    OK(relay_begin(w->s));
    box_add(w, 0);
    box_add(w, 1);
    OK(relay_commit(w->s));
    relay_message m = { .number = 41, .mailbox = w->now.mailbox[0], .token_kind = 1, .expires_hour = HOUR + 1, .ciphertext = { "x", 1 } };
    token_of(m.token_hash, 1);
    token_of(token, 1);
    OK(relay_begin(w->s));
    OK(relay_append(w->s, &m));
    OK(relay_commit(w->s));
    OK(relay_begin(w->s));
    if (_i == 0)
        OK(relay_forget_tokens(w->s, m.mailbox, token, 1));
    if (_i == 1)
        OK(relay_acknowledge(w->s, m.mailbox, &m.number, 1));
    if (_i == 2)
        OK(relay_mailbox_remove(w->s, m.mailbox));
    OK(relay_commit(w->s));
    while (more)
        OK(relay_clean(w->s, HOUR + (_i == 3), &more, NULL, NULL));
    ck_assert_uint_eq(rows_of(w, "SELECT count(*) FROM message"), 0);
    world_close(w);
    world_open(w, &small);
    ck_assert_uint_eq(last_number(w), 41);
    OK(relay_begin(w->s));
    m.mailbox = w->now.mailbox[1];
    ck_assert_int_eq(relay_append(w->s, &m), TACET_E_BUG);
    m.number = 42;
    OK(relay_append(w->s, &m));
    OK(relay_commit(w->s));
    world_end(w);
}
END_TEST

/* Many messages under one token, and as many under another of the same tag: what was taken back is not shown from its commit on, and goes a few rows a
 * piece, over restarts. What came under the token afterwards stays. */
START_TEST(S12_a_removal_is_carried_out_in_pieces)
{
    enum { EACH = 150, AT_ONCE = 1 };
    world *w = world_new(3);
    uint8_t token[32];
    bool more = true;
    size_t pieces = 0;
    OK(relay_begin(w->s));
    box_add(w, 0);
    OK(relay_commit(w->s));
    relay_message m = { .mailbox = w->now.mailbox[0], .token_kind = 1, .stored_hour = HOUR, .expires_hour = HOUR + 1 };
    token_of(token, 0);
    for (unsigned i = 0; i <= 2 * EACH; i++) {
        model_message k = { .number = ++w->now.next, .expires = HOUR + 1, .token = i % 2, .kind = 1, .waits = true };
        OK(relay_begin(w->s));
        for (size_t j = 0; i == 2 * EACH && j < w->now.count; j++)
            w->now.at[j].hidden = w->now.at[j].token == 0;
        if (i == 2 * EACH) /* one more comes under it after that */
            OK(relay_forget_tokens(w->s, m.mailbox, token, 1));
        token_of(m.token_hash, k.token);
        m.number = k.number;
        OK(relay_append(w->s, &m));
        OK(relay_commit(w->s));
        w->now.at[w->now.count++] = k;
    }
    for (; more && pieces < 10000; pieces++) {
        uint64_t before = rows_of(w, "SELECT count(*) FROM message");
        check_box(w, &w->now, 0);
        clean_run(w, 1);
        ck_assert_uint_le(before - rows_of(w, "SELECT count(*) FROM message"), AT_ONCE);
        more = rows_of(w, "SELECT count(*) FROM forget") > 0;
        if (pieces == 100) {
            world_close(w);
            world_open(w, &small);
        }
    }
    ck_assert_uint_ge(pieces, EACH / AT_ONCE);
    ck_assert_uint_eq(rows_of(w, "SELECT count(*) FROM message"), EACH + 1);
    check_all(w);
    world_end(w);
}
END_TEST

/* More than the memory index takes in one piece is refused, not lost. */
START_TEST(transaction_has_a_limit)
{
    world *w = world_new(1);
    OK(relay_begin(w->s));
    box_add(w, 0);
    relay_message m = { .number = 0, .mailbox = w->now.mailbox[0], .token_kind = 1, .expires_hour = HOUR + 1, .ciphertext = { "x", 1 } };
    for (unsigned i = 0; i < small.run_rows; i++) {
        m.number++;
        OK(relay_append(w->s, &m));
    }
    m.number++;
    ck_assert_int_eq(relay_append(w->s, &m), TACET_E_QUOTA);
    OK(relay_commit(w->s));
    /* As many again and again: the ring always has room for a whole transaction. */
    for (int round = 0; round < 8; round++) {
        OK(relay_begin(w->s));
        for (unsigned i = 0; i < small.run_rows; i++) {
            OK(relay_append(w->s, &m));
            m.number++;
        }
        OK(relay_commit(w->s));
    }
    char where[128];
    OK(relay_check(w->s, where, sizeof where));
    world_end(w);
}
END_TEST

static void append_numbers(world *w, uint32_t mailbox, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n <= to; n++) {
        if ((n - from) % 50 == 0) {
            if (n > from)
                OK(relay_commit(w->s));
            OK(relay_begin(w->s));
        }
        relay_message m = { .number = n, .mailbox = mailbox, .token_kind = 1, .expires_hour = HOUR + 1, .ciphertext = { "x", 1 } };
        OK(relay_append(w->s, &m));
    }
    OK(relay_commit(w->s));
}

typedef struct {
    uint64_t next, step;
} sequence;

static bool in_sequence(void *ctx, const relay_message *m)
{
    sequence *q = ctx;
    ck_assert_uint_eq(m->number, q->next);
    q->next += q->step;
    return true;
}

/* A program with smaller runs finds more rows to keep in memory than it would ever let grow. */
START_TEST(smaller_runs_than_before)
{
    world *w = world_new(1);
    relay_tuning large = small;
    large.run_rows = 1024;
    world_close(w);
    world_open(w, &large);
    OK(relay_begin(w->s));
    box_add(w, 0);
    OK(relay_commit(w->s));
    append_numbers(w, w->now.mailbox[0], 1, 1000);
    world_close(w);
    world_open(w, &small);
    append_numbers(w, w->now.mailbox[0], 1001, 1300);
    sequence q = { 1, 1 };
    OK(relay_backlog(w->r, w->now.mailbox[0], 0, SIZE_MAX, SIZE_MAX, HOUR, in_sequence, &q));
    ck_assert_uint_eq(q.next, 1301);
    char where[128];
    OK(relay_check(w->s, where, sizeof where));
    world_end(w);
}
END_TEST

/* More of one mailbox in memory than a reader copies at once, from wherever it begins; another mailbox's messages lie between. */
START_TEST(long_mailbox_in_memory)
{
    world *w = world_new(1);
    relay_tuning large = small;
    large.run_rows = 16384;
    world_close(w);
    world_open(w, &large);
    OK(relay_begin(w->s));
    box_add(w, 0);
    box_add(w, 1);
    OK(relay_commit(w->s));
    for (uint64_t n = 1; n <= 6000; n += 2) {
        if (n % 500 == 1)
            OK(relay_begin(w->s));
        for (uint64_t k = 0; k < 2; k++) {
            relay_message m = { .number = n + k, .mailbox = w->now.mailbox[k], .token_kind = 1, .expires_hour = HOUR + 1, .ciphertext = { "x", 1 } };
            OK(relay_append(w->s, &m));
        }
        if (n % 500 == 499)
            OK(relay_commit(w->s));
    }
    static const uint64_t after[] = { 0, 1, 2, 1000, 2047, 2048, 2049, 4001, 5998, 5999, 6000, 7000 };
    static const size_t count[] = { 1, 1023, 1024, 1025, 2500, SIZE_MAX };
    for (size_t a = 0; a < ROWS(after); a++)
        for (size_t c = 0; c < ROWS(count); c++)
            for (uint64_t k = 0; k < 2; k++) {
                uint64_t first = after[a] + 1 + (after[a] % 2 != k), there = first > 6000 ? 0 : (6000 - first) / 2 + 1;
                sequence q = { first, 2 };
                OK(relay_backlog(w->r, w->now.mailbox[k], after[a], count[c], SIZE_MAX, HOUR, in_sequence, &q));
                ck_assert_uint_eq((q.next - first) / 2, there < count[c] ? there : count[c]);
            }
    world_end(w);
}
END_TEST

SUITE("relay-log", TEST(smaller_runs_than_before), TEST(long_mailbox_in_memory), LOOP(highest_number_outlives_its_message, 4),
      TEST(transaction_has_a_limit), TEST(S12_a_removal_is_carried_out_in_pieces), LOOP(log_equals_its_model, 12))
