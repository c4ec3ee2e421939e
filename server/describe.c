/* server/describe.c: tacetd-describe, used by the build alone: the tables of options and commands as lines of fields parted by tabs, from which
 * packaging/describe.py makes manual page and completions. */
#include "server/commands.h"
#include <stdio.h>
#include <string.h>

int main(void)
{
    puts("P\ttacetd");
    for (unsigned i = 0; i < command_count; i++) {
        const command *c = &commands[i];
        printf("C\t%s\t%s\t%s\t%s\t\n", c->name, c->file ? c->file : "", c->about, c->example);
        for (unsigned k = 0; k < option_count; k++)
            if (strchr(c->takes, option_table[k].letter))
                printf("O\t%s\t%s\t%s\n", option_table[k].name + 2, option_table[k].value ? option_table[k].value : "", option_table[k].about);
    }
    return ferror(stdout) ? 1 : 0;
}
