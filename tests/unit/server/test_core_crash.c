/* The relay core over its real store when that fails under it. S01: the power goes at a step of the disk, and what a disk may then hold is what the next start finds. Every
 * message that was accepted and not acknowledged is delivered, in order, once; none that nobody sent. */
#include "core_world.h"
#include "faulty.h"
#include "suite.h"
#include <string.h>

enum { PEOPLE = 2, ROUNDS = 14, SENDS = 6, MESSAGES_MAX = ROUNDS * SENDS, POINTS = 60 };

typedef enum { UNSENT, SENT, ACCEPTED } fate;
typedef struct {
    person who[PEOPLE];
    client *device, *sender; /* the device of who[0] listens */
    fate fate[MESSAGES_MAX];
    bool acknowledged[MESSAGES_MAX]; /* said; whether it was written before the end is not known */
    uint32_t id[MESSAGES_MAX];
    unsigned sent;
} story;

static frame f;

/* Everything but the committer; false: the disk has gone, and with it the relay. */
static bool turn(world *w)
{
    world_threads(w);
    core_tick(w->core);
    if (!world_take(w))
        return true;
    job *list = w->group;
    w->group = NULL;
    int rc = committer_execute(w->store, list);
    if (rc != TACET_OK) /* tacetd ends here, before anything is said: what the core is told frees its jobs, and nobody looks at what it answers */
        for (job *j = list; j; j = j->next)
            j->status = TACET_E_NOT_FOUND;
    core_group_done(w->core, list, rc == TACET_OK ? TACET_OK : TACET_E_NOMEM);
    return rc == TACET_OK;
}

static void hear(story *s)
{
    while (client_hear(s->sender, &f))
        for (unsigned i = 0; i < s->sent; i++)
            if (f.kind == FRAME_OK && s->id[i] == f.id)
                s->fate[i] = ACCEPTED;
}

/* Acknowledges two of three deliveries. */
static void read_mail(world *w, story *s)
{
    frame ack = { .kind = FRAME_ACK };
    while (client_hear(s->device, &f))
        if (f.kind == FRAME_DELIVER) {
            uint32_t number;
            memcpy(&number, f.deliver.ciphertext.at, 4);
            if (number % 3 == 0)
                continue;
            s->acknowledged[number] = true;
            ack.ack.ids.item[ack.ack.ids.count++] = f.deliver.number;
        }
    if (ack.ack.ids.count)
        client_say(w, s->device, &ack);
}

static void live(world *w, story *s)
{
    static uint8_t text[2000];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SENDS; i++) {
            uint32_t number = s->sent++;
            const person *to = &s->who[number % PEOPLE];
            memcpy(text, &number, 4);
            frame send = send_to(to, to->token, text, 4 + number * 23 % (sizeof text - 4));
            s->id[number] = client_say(w, s->sender, &send);
            s->fate[number] = SENT;
        }
        for (int i = 0; i < 3; i++, world_pass_us(w, 3000)) {
            if (!turn(w))
                return;
            hear(s);
            read_mail(w, s);
        }
        world_pass_us(w, 1100000); /* the cleaner's time */
    }
}

static void begin(world *w, story *s)
{
    memset(s, 0, sizeof *s);
    for (int i = 0; i < PEOPLE; i++) {
        person_make(&s->who[i], w->wall_ms / 1000);
        client *k = person_join(w, &s->who[i]);
        if (i == 0)
            s->device = k;
        else
            client_close(w, k);
    }
    s->sender = client_open(w, TACET_ROLE_OPEN, NULL, 9);
    frame sub = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = 200 };
    ck_assert_uint_eq(client_code(w, s->device, &sub), 0);
}

/* The relay starts again: what each device gets. */
static unsigned verify(world *w, const story *s, uint64_t step)
{
    unsigned delivered = 0;
    bool seen[MESSAGES_MAX] = { false };
    for (unsigned p = 0; p < PEOPLE; p++) {
        client *k = client_open(w, TACET_ROLE_MAILBOX, &s->who[p], 7);
        frame sub = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = 256 };
        uint32_t last = 0;
        client_say(w, k, &sub);
        world_run(w);
        while (client_hear(k, &f))
            if (f.kind == FRAME_DELIVER) {
                uint32_t number;
                memcpy(&number, f.deliver.ciphertext.at, 4);
                ck_assert_msg(number < s->sent && number % PEOPLE == p && s->fate[number] != UNSENT, "step %lu: %u was never sent",
                              (unsigned long)step, number);
                ck_assert_msg(!seen[number] && number >= last, "step %lu: %u twice, or behind %u", (unsigned long)step, number, last);
                seen[number] = true;
                last = number;
                delivered++;
            }
    }
    for (unsigned i = 0; i < s->sent; i++)
        ck_assert_msg(seen[i] || s->fate[i] != ACCEPTED || s->acknowledged[i], "step %lu: %u was accepted and is lost", (unsigned long)step, i);
    return delivered;
}

START_TEST(S01_power_loss_under_the_core)
{
    static story s;
    faulty_install();
    world *w = world_new(NULL);
    begin(w, &s);
    faulty_fail(STEP_ANY, 0, 0, 0);
    live(w, &s);
    uint64_t total = faulty_steps();
    ck_assert_uint_eq(s.sent, MESSAGES_MAX);
    for (unsigned i = 0; i < s.sent; i++)
        ck_assert_int_eq(s.fate[i], ACCEPTED);
    world_free(w);
    ck_assert_uint_gt(total, 50);
    unsigned delivered = 0, died = 0;
    for (uint64_t k = 1; k <= total; k += 1 + total / POINTS) {
        faulty_reset();
        w = world_new(NULL);
        begin(w, &s);
        faulty_power_loss(k, k * 7919 + 1);
        live(w, &s);
        died += faulty_power_is_off();
        world_halt(w);
        faulty_restart();
        world_resume(w, NULL);
        delivered += verify(w, &s, k);
        world_free(w);
    }
    ck_assert_uint_gt(died, POINTS / 3);
    ck_assert_uint_gt(delivered, 100);
}
END_TEST

/* --- no memory ------------------------------------------------------------------------------------------------------------------------------ */
/* The committer finds none for what it is asked, nor when it asks again. */
static void group_without_memory(world *w)
{
    ck_assert(world_take(w));
    job *list = w->group;
    w->group = NULL;
    faulty_memory(false);
    int rc = committer_execute(w->store, list);
    faulty_memory(true);
    ck_assert_int_eq(rc, TACET_E_NOMEM);
    core_group_done(w->core, list, rc);
}

/* A sender who is refused never tries that token again; a device that is taken for a stranger is told that it is not registered. */
START_TEST(what_cannot_be_looked_up_gets_no_verdict)
{
    faulty_memory(true); /* before the first connection */
    world *w = world_new(NULL);
    person bob;
    person_make(&bob, w->wall_ms / 1000);
    client *bobs = person_join(w, &bob), *sender = client_open(w, TACET_ROLE_OPEN, NULL, 7), *k = &w->client[WORLD_CLIENTS - 1];
    frame hello = send_to(&bob, bob.token, "hello", 5);
    client_say(w, sender, &hello);
    group_without_memory(w);
    ck_assert(client_hear(sender, &f));
    ck_assert_uint_eq(f.error.code, ERROR_INTERNAL);
    hello.id = 0;
    ck_assert_uint_eq(client_code(w, sender, &hello), 0);
    *k = (client){ .used = true, .role = TACET_ROLE_MAILBOX, .next_id = 1, .drains = true };
    ck_assert_int_eq(core_open(w->core, (core_peer){ 0, WORLD_CLIENTS - 1, 1 }, k->role, bob.tk.public, k->hash, 7, &k->ref), TACET_OK);
    group_without_memory(w);
    ck_assert(k->closed && !k->ready && !bobs->closed);
    client_close(w, k);
    ck_assert(!client_open(w, TACET_ROLE_MAILBOX, &bob, 7)->closed);
    world_free(w);
}
END_TEST

SUITE("core-crash", TEST(what_cannot_be_looked_up_gets_no_verdict), TEST(S01_power_loss_under_the_core))
