/* S10: whole-system seeds. Three people write to each other while connections clog and break, everybody crashes, and clocks are wrong.
 *   sim FIRST-SEED COUNT [--twice]
 * Invariants, once the faults are over: every message that its sender's history shows is in the recipient's history exactly once, in order; nothing in an outbox,
 * nothing in quarantine, no gap. With --twice each seed runs two times and must leave the same trace, frame for frame. */
#include "world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 60, HEAL_MS = 4 * 3600 * 1000 };

static json_t *must_call(world *w, client *c, const char *method, json_t *params)
{
    json_t *r = world_call(w, c, method, params, 600 * 1000);
    if (!r)
        sim_fail(w, "%s: %s was refused", c->name, method);
    return r;
}

static void introduce(world *w, client *a, client *b)
{
    json_t *me = must_call(w, b, "whoami", NULL);
    json_decref(must_call(w, a, "add", json_pack("{s:O}", "target", json_object_get(me, "link"))));
    json_decref(me);
    world_run(w, w->now_ms + 5000, NULL);
    json_decref(must_call(w, b, "accept", json_pack("{s:s}", "name", a->name)));
    world_run(w, w->now_ms + 5000, NULL);
}

static void gather(world *w)
{
    char address[TACET_LINK_MAX_CHARS + 1];
    relay_address_format(address, &w->address);
    for (uint32_t i = 0; i < CLIENTS; i++)
        json_decref(must_call(w, &w->clients[i], "init", json_pack("{s:s,s:s}", "relay", address, "name", w->clients[i].name)));
    introduce(w, &w->clients[0], &w->clients[1]);
    introduce(w, &w->clients[0], &w->clients[2]);
    introduce(w, &w->clients[2], &w->clients[1]);
}

static void say_something(world *w, uint32_t number)
{
    client *from = &w->clients[world_below(w, CLIENTS)];
    client *to = &w->clients[(from->index + 1 + world_below(w, CLIENTS - 1)) % CLIENTS];
    char text[64];
    snprintf(text, sizeof text, "%s %u", from->name, number);
    if (from->e)
        json_decref(world_call(w, from, "send", json_pack("{s:s,s:s}", "to", to->name, "text", text), 60 * 1000));
}

static void misfortune(world *w)
{
    client *c = &w->clients[world_below(w, CLIENTS)];
    switch (world_below(w, 8)) {
    case 0:
    case 1:
    case 2:
        cut_one(w);
        break;
    case 3:
        if (w->r.c) {
            relay_crash(w);
            world_run(w, w->now_ms + world_below(w, 20000), NULL);
            relay_start(w);
        }
        break;
    case 4:
    case 5:
        client_crash(c);
        world_run(w, w->now_ms + world_below(w, 5000), NULL);
        client_start(c);
        break;
    case 6:
        c->skew_ms = (int64_t)world_below(w, 2 * 86400 * 1000) - 86400 * 1000;
        break;
    default:
        w->delay_max_ms = 1 + world_below(w, 2000);
        break;
    }
}

/* The texts of one author in a history, as "a 1|a 7|..."; a new string. */
static char *texts_of(world *w, client *reader_of, const char *peer, const char *author)
{
    json_t *all = must_call(w, reader_of, "history", json_pack("{s:s,s:i}", "name", peer, "limit", 100000));
    json_t *m;
    size_t i, used = 0, room = 1;
    char *out = calloc(1, room);
    json_array_foreach(all, i, m)
    {
        const char *from = json_string_value(json_object_get(m, "from")), *text = json_string_value(json_object_get(m, "text"));
        if (!from || !text || strcmp(from, author) != 0)
            continue;
        room += strlen(text) + 1;
        out = realloc(out, room);
        used += (size_t)snprintf(out + used, room - used, "%s|", text);
    }
    json_decref(all);
    return out;
}

static bool agree(world *w, bool fatal)
{
    bool same = true;
    for (uint32_t i = 0; i < CLIENTS; i++)
        for (uint32_t k = 0; k < CLIENTS; k++) {
            if (i == k)
                continue;
            client *from = &w->clients[i], *to = &w->clients[k];
            char *sent = texts_of(w, from, to->name, from->name), *shown = texts_of(w, to, from->name, from->name);
            if (strcmp(sent, shown) != 0) {
                same = false;
                if (fatal)
                    sim_fail(w, "%s wrote to %s: %s\n  %s shows: %s", from->name, to->name, sent, to->name, shown);
            }
            free(sent);
            free(shown);
        }
    return same;
}

static bool outboxes_empty(world *w)
{
    size_t left = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        json_t *o = must_call(w, &w->clients[i], "outbox", NULL);
        left += json_array_size(o);
        json_decref(o);
    }
    return left == 0;
}

static void heal_and_check(world *w)
{
    w->faults = false;
    w->delay_max_ms = 40;
    for (uint32_t i = 0; i < CLIENTS; i++)
        w->clients[i].skew_ms = 0;
    for (uint64_t end = w->now_ms + HEAL_MS; w->now_ms < end;) {
        world_run(w, w->now_ms + 60 * 1000, NULL);
        if (outboxes_empty(w) && agree(w, false))
            break;
    }
    agree(w, true);
    if (!outboxes_empty(w))
        sim_fail(w, "an outbox never empties");
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (w->clients[i].quarantined || w->clients[i].gaps)
            sim_fail(w, "%s: %llu in quarantine, %llu gaps", w->clients[i].name, (unsigned long long)w->clients[i].quarantined,
                     (unsigned long long)w->clients[i].gaps);
}

static void run_seed(uint64_t seed, uint8_t trace[16])
{
    static world w;
    world_open(&w, seed);
    gather(&w);
    w.faults = true;
    for (uint32_t i = 0; i < STEPS; i++) {
        if (world_below(&w, 3) == 0)
            misfortune(&w);
        else
            say_something(&w, i);
        world_run(&w, w.now_ms + world_below(&w, 3000), NULL);
    }
    heal_and_check(&w);
    world_trace(&w, trace);
    if (getenv("SIM_VERBOSE"))
        fprintf(stderr, "seed %llu: %llu frames, %llu cuts, %llu crashes, %llu s\n", (unsigned long long)seed, (unsigned long long)w.frames,
                (unsigned long long)w.cuts, (unsigned long long)w.crashes, (unsigned long long)w.now_ms / 1000);
    world_close(&w);
}

int main(int argc, char **argv)
{
    if (argc < 3 || sodium_init() < 0) {
        fputs("usage: sim FIRST-SEED COUNT [--twice]\n", stderr);
        return 2;
    }
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
    bool twice = argc > 3 && strcmp(argv[3], "--twice") == 0;
    for (uint64_t s = first; s < first + count; s++) {
        uint8_t one[16], two[16];
        run_seed(s, one);
        if (!twice)
            continue;
        run_seed(s, two);
        if (sodium_memcmp(one, two, sizeof one) != 0) {
            fprintf(stderr, "seed %llu does not replay\n", (unsigned long long)s);
            return 1;
        }
    }
    printf("%llu seeds from %llu: invariants hold\n", (unsigned long long)count, (unsigned long long)first);
    return 0;
}
