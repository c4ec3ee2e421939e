/* --help, made from the table. */
#include "options.h"
#include <string.h>

static void option_print(FILE *to, enum option_id id)
{
    const option *o = &option_table[id];
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->word ? " " : "", o->word ? o->word : "");
    fprintf(to, "  %-28s %s\n", left, o->help);
}

static void commands_print(FILE *to)
{
    fputs("tacet: private messages, end to end, from the terminal\n\nusage: tacet [OPTIONS] COMMAND ...\n\ncommands:\n", to);
    for (size_t i = 0; i < command_count; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", command_table[i].name, command_table[i].operands);
        fprintf(to, "  %-28s %s\n", left, command_table[i].summary);
    }
    fputs("\noptions of every command:\n", to);
    for (int i = 1; i < OPT_GLOBALS; i++)
        option_print(to, (enum option_id)i);
    fputs("\nexit codes: 0 done, 1 failed, 2 wrong usage, 3 relay unreachable, 4 identity or key not trusted, 5 no such thing,\n"
          "            6 locked or wrong passphrase, 7 refused by quota or rate limit, 8 timed out\n"
          "\nexample:\n  tacet init --relay tacet://HOST:PORT/RELAYKEY --name alice\n"
          "\nmore about one command: tacet COMMAND --help\n",
          to);
}

void help_print(FILE *to, const command *c)
{
    if (!c) {
        commands_print(to);
        return;
    }
    bool has_options = c->takes[0] != OPT_NONE;
    fprintf(to, "usage: tacet %s%s%s", c->name, *c->operands ? " " : "", c->operands);
    for (int i = 0; i < 2 && c->needs[i]; i++)
        fprintf(to, " --%s %s", option_table[c->needs[i]].name, option_table[c->needs[i]].word);
    fprintf(to, "%s\n\n%s\n", has_options ? " [OPTIONS]" : "", c->summary);
    if (c->more)
        fprintf(to, "\n%s\n", c->more);
    if (has_options) {
        fputs("\noptions:\n", to);
        for (int i = 0; i < COMMAND_OPTIONS_MAX && c->takes[i]; i++)
            option_print(to, c->takes[i]);
    }
    fputs("\noptions of every command:\n", to);
    for (int i = 1; i < OPT_GLOBALS; i++)
        option_print(to, (enum option_id)i);
    fprintf(to, "\nexample:\n  %s\n", c->example);
}
