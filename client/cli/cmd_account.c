/* whoami, link: who this profile is. */
#include "cli.h"
#include "field.h"
#include "qr.h"

static void devices_say(const json_t *devices)
{
    size_t i;
    json_t *d;
    json_array_foreach(devices, i, d)
    {
        char at[20];
        say_time(at, text_of(d, "created_at"));
        say("device   %lld, since %s", (long long)json_integer_value(json_object_get(d, "id")), at);
    }
}

int run_whoami(cli *c)
{
    json_t *me = NULL;
    int exit = engine_ask(c, "whoami", NULL, -1, &me);
    if (exit != EXIT_DONE)
        return exit;
    if (c->json) {
        (void)say_object("whoami", me);
        return say_flush(c);
    }
    say("name     %s", text_of(me, "name"));
    say("account  %s", text_of(me, "account"));
    say("relay    %s", text_of(me, "relay"));
    devices_say(json_object_get(me, "devices"));
    say("link     %s", text_of(me, "link"));
    bool drawn = !c->args.given[OPT_QR] || qr_print(text_of(me, "link"), c->color);
    json_decref(me);
    return drawn ? say_flush(c) : fail(c, SAY_QR, NULL, NULL, NULL);
}

int run_link(cli *c)
{
    json_t *link = NULL;
    bool fresh = c->args.given[OPT_NEW];
    int exit = engine_ask(c, "link", json_pack("{s:b}", "new", fresh), fresh ? c->relay_ms : -1, &link);
    if (exit != EXIT_DONE)
        return exit;
    if (c->json) {
        (void)say_object("link", link);
        return say_flush(c);
    }
    say("%s", text_of(link, "link"));
    bool drawn = !c->args.given[OPT_QR] || qr_print(text_of(link, "link"), c->color);
    json_decref(link);
    return drawn ? say_flush(c) : fail(c, SAY_QR, NULL, NULL, NULL);
}
