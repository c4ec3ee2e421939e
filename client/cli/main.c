/* tacet: from argv to one of the commands in commands.c. */
#include "base/text.h"
#include "cli.h"
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RELAY_MS = 30000 };

/* Also when the rest of the line makes no sense. */
static bool json_wanted(int argc, char *const argv[])
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

static bool words_are_text(int argc, char *const argv[])
{
    for (int i = 1; i < argc; i++)
        if (!utf8_valid((const uint8_t *)argv[i], strlen(argv[i])))
            return false;
    return true;
}

static int usage_wrong(cli *c, const char *why) { return fail(c, EXIT_USAGE, "usage", "%s", why); }

static int run(cli *c, int argc, char *const argv[])
{
    char why[256];
    c->json = json_wanted(argc, argv);
    if (!words_are_text(argc, argv))
        return usage_wrong(c, "the command line is not UTF-8; other text goes in through a file or stdin");
    if (!arguments_parse(&c->args, argc, argv, why, sizeof why))
        return usage_wrong(c, why);
    if (c->args.given[OPT_HELP] || c->args.given[OPT_VERSION]) {
        if (c->args.given[OPT_HELP])
            help_print(stdout, c->args.command);
        else
            puts("tacet " TACET_VERSION);
        return say_flush(c);
    }
    const char *no_color = getenv("NO_COLOR");
    c->quiet = c->args.given[OPT_QUIET];
    c->color = isatty(STDOUT_FILENO) && !c->args.given[OPT_NO_COLOR] && !(no_color && *no_color);
    c->relay_ms = RELAY_MS;
    return c->args.command->run(c);
}

int main(int argc, char **argv)
{
    cli c = { 0 };
    if (secret_harden_process() != TACET_OK || sodium_init() < 0) {
        fputs("tacet: the process could not be protected from others; nothing was done\n", stderr);
        return EXIT_FAILED;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a closed stdout is an error to be told, and keeps the message */
    int exit = run(&c, argc, argv);
    cli_leave(&c);
    if (c.interrupted && c.follows && exit == EXIT_DONE)
        return EXIT_DONE;
    if (c.interrupted) { /* so that a shell sees what ended us */
        (void)signal(c.interrupted, SIG_DFL);
        (void)raise(c.interrupted);
    }
    return exit;
}
