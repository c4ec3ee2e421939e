/* S01 for the whole relay core over its real store: the power goes at a step of the disk, and what a disk may then hold is what the next start finds. Every
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

SUITE("core-crash", TEST(S01_power_loss_under_the_core))
