#include "hostile.h"
#include "swarm.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS = 8, UNDER_WAY = 200, INDEX = 60000 /* its address */ };

const char *const hostile_word[HOSTILE_KINDS] = { "alone", "sends", "echoes", "lookups", "games" };

typedef struct {
    swarm s;
    hostile_kind kind;
    bench_account self;
    peer mailbox, open[CONNECTIONS];
    uint8_t ciphertext[1024];
    uint64_t turn;
    bool ready;
} villain;

static void ask_more(void *ctx, const frame *reply);

static bool ask_once(villain *v, peer *p)
{
    frame f = { 0 };
    switch (v->kind) {
    case HOSTILE_SENDS:
        randombytes_buf(v->ciphertext, 16);
        send_frame(&f, &v->self, v->ciphertext, sizeof v->ciphertext, v->turn);
        break;
    case HOSTILE_ECHOES:
        f.kind = FRAME_ECHO;
        f.echo.data = (view){ v->ciphertext, 64 };
        break;
    case HOSTILE_LOOKUPS:
        f.kind = v->turn % 2 ? FRAME_BUNDLE : FRAME_LISTS;
        if (v->turn % 2) {
            f.bundle.account = (view){ v->self.id.bytes, 32 };
            f.bundle.device = 1;
        } else {
            f.lists.account = (view){ v->self.id.bytes, 32 };
        }
        break;
    case HOSTILE_GAMES:
        f.kind = v->turn % 2 ? FRAME_SUBSCRIBE : FRAME_ACK;
        if (v->turn % 2)
            f.subscribe.credit = 1;
        else
            for (f.ack.ids.count = 0; f.ack.ids.count < 64; f.ack.ids.count++)
                f.ack.ids.item[f.ack.ids.count] = v->turn * 64 + f.ack.ids.count + 1;
        break;
    case HOSTILE_NOBODY:
    case HOSTILE_KINDS:
        return false;
    }
    v->turn++;
    return peer_try(p, &f, ask_more, p);
}

static void ask_more(void *ctx, const frame *reply)
{
    peer *p = ctx;
    if (reply)
        (void)ask_once(p->ctx, p);
}

static void begin(peer *p)
{
    villain *v = p->ctx;
    for (int i = 0; i < UNDER_WAY; i++)
        (void)ask_once(v, p);
}

static void registered(peer *p)
{
    villain *v = p->ctx;
    v->ready = true;
    if (v->kind == HOSTILE_GAMES)
        begin(p);
    for (int i = 0; v->kind != HOSTILE_GAMES && i < CONNECTIONS; i++)
        (void)peer_connect(&v->s, &v->open[i]);
}

static void on_up(peer *p) { peer_register(p, 1, registered); }

static void come_back(peer *p) { (void)peer_connect(p->of, p); }

static _Noreturn void be_hostile(hostile_kind kind, const relay_address *relay, int told)
{
    villain *v = calloc(1, sizeof *v);
    if (!v)
        exit(1);
    v->kind = kind;
    bench_account_make(&v->self);
    swarm_open(&v->s, relay, CONNECTIONS + 1);
    v->mailbox = (peer){ .index = INDEX, .fd = -1, .role = TACET_ROLE_MAILBOX, .account = &v->self, .on_up = on_up, .ctx = v };
    for (int i = 0; i < CONNECTIONS; i++)
        v->open[i] = (peer){ .index = INDEX, .fd = -1, .role = TACET_ROLE_OPEN, .on_up = begin, .on_down = come_back, .ctx = v };
    if (!peer_connect(&v->s, &v->mailbox))
        exit(1);
    for (bool said = false;;) {
        swarm_turn(&v->s, 50);
        if (v->ready && !said)
            said = write(told, "", 1) == 1;
        if (getppid() == 1)
            exit(0); /* whom it was to disturb has gone */
    }
}

pid_t hostile_begin(hostile_kind kind, const relay_address *relay)
{
    int told[2];
    char byte;
    if (pipe(told) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        close(told[0]);
        be_hostile(kind, relay, told[1]);
    }
    close(told[1]);
    if (pid < 0 || read(told[0], &byte, 1) != 1) {
        fputs("bench: the hostile account did not get in\n", stderr);
        exit(1);
    }
    close(told[0]);
    return pid;
}
