/* verify: the safety number, 60 digits that both sides see alike. */
#include "cli.h"
#include "qr.h"
#include <string.h>

enum { SAFETY_DIGITS = 60 };

/* Twelve groups of five, four to a line, as the other side reads them out. */
static void number_say(const char *digits)
{
    for (int line = 0; line < 3; line++) {
        const char *d = digits + line * 20;
        say("  %.5s %.5s %.5s %.5s", d, d + 5, d + 10, d + 15);
    }
}

int run_verify(cli *c)
{
    const char *name = c->args.operand[0], *digits = "";
    json_t *answer = NULL;
    int exit = engine_ask(c, "verify", json_pack("{s:s,s:s*}", "name", name, "confirm", c->args.text[OPT_CONFIRM]), c->relay_ms, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (c->json) {
        (void)say_object("verify", answer);
        return say_flush(c);
    }
    digits = json_string_value(json_object_get(answer, "safety_number"));
    bool verified = json_is_true(json_object_get(answer, "verified")), drawn = true;
    if (!c->args.given[OPT_CONFIRM] && digits && strlen(digits) == SAFETY_DIGITS) {
        number_say(digits);
        drawn = !c->args.given[OPT_QR] || qr_print(digits, c->color);
    }
    note(c, verified ? SAY_VERIFIED : SAY_UNVERIFIED, name, NULL, NULL);
    json_decref(answer);
    return drawn ? say_flush(c) : fail(c, SAY_QR, NULL, NULL, NULL);
}
