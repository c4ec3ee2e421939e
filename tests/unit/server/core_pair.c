#include "core_pair.h"
#include <string.h>

pair pair_new(const core_config *config)
{
    pair p = { .w = world_new(config) };
    person_make(&p.bob, p.w->wall_ms / 1000);
    p.bobs = person_join(p.w, &p.bob);
    p.sender = client_open(p.w, TACET_ROLE_OPEN, NULL, 2);
    return p;
}

unsigned pair_send(pair *p, const char *text)
{
    frame f = send_to(&p->bob, p->bob.token, text, strlen(text));
    return client_code(p->w, p->sender, &f);
}

void pair_say(pair *p, const char *text)
{
    frame f = send_to(&p->bob, p->bob.token, text, strlen(text));
    client_say(p->w, p->sender, &f);
}

void pair_subscribe(pair *p, uint32_t credit)
{
    frame f = { .kind = FRAME_SUBSCRIBE, .subscribe.credit = credit };
    client_say(p->w, p->bobs, &f);
    world_run(p->w);
}

uint64_t pair_delivered(pair *p, char text[64])
{
    static frame event;
    while (client_hear(p->bobs, &event))
        if (event.kind == FRAME_DELIVER) {
            size_t n = event.deliver.ciphertext.bytes < 63 ? event.deliver.ciphertext.bytes : 63;
            memcpy(text, event.deliver.ciphertext.at, n);
            text[n] = 0;
            return event.deliver.number;
        }
    return 0;
}

void pair_acknowledge(pair *p, uint64_t number)
{
    frame f = { .kind = FRAME_ACK };
    f.ack.ids.count = 1;
    f.ack.ids.item[0] = number;
    client_say(p->w, p->bobs, &f);
}

void pair_reconnect(pair *p)
{
    if (p->w->group)
        world_done(p->w, TACET_OK);
    client_close(p->w, p->bobs);
    p->bobs = client_open(p->w, TACET_ROLE_MAILBOX, &p->bob, 7);
}
