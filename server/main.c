/* server/main.c: tacetd. */
#include "base/secret.h"
#include "server/commands.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const command *command_of(const char *name)
{
    for (unsigned i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

int main(int argc, char **argv)
{
    options o;
    if (secret_harden_process() != TACET_OK || sodium_init() < 0)
        return fail("this process could not be closed against core files and debuggers");
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("tacetd " TACET_VERSION);
        return EXIT_DONE;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        options_help(NULL);
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    const command *c = command_of(argv[1]);
    if (!c) {
        fail("no such command: %s; see: tacetd --help", argv[1]);
        return EXIT_USAGE;
    }
    exit_code parsed = options_parse(&o, c, argc - 2, argv + 2);
    if (parsed != EXIT_DONE)
        return parsed;
    if (o.help) {
        options_help(c);
        return EXIT_DONE;
    }
    return c->run(&o);
}
