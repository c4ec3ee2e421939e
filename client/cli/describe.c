/* tacet-describe, used by the build alone: the tables of options and commands as lines of fields parted by tabs, from which packaging/describe.py
 * makes manual page and completions. */
#include "options.h"

static void option_describe(enum option_id id)
{
    const option *o = &option_table[id];
    printf("O\t%s\t%s\t%s\n", o->name, o->word ? o->word : "", o->help);
}

/* Lines of the help text are no lines here. */
static void text_describe(const char *text)
{
    for (; text && *text; text++)
        putchar(*text == '\n' || *text == '\t' ? ' ' : *text);
    putchar('\n');
}

int main(void)
{
    puts("P\ttacet");
    for (int i = 1; i < OPT_GLOBALS; i++)
        option_describe((enum option_id)i);
    for (size_t i = 0; i < command_count; i++) {
        const command *c = &command_table[i];
        printf("C\t%s\t%s\t%s\t%s\t", c->name, c->operands, c->summary, c->example);
        text_describe(c->more);
        for (int k = 0; k < COMMAND_OPTIONS_MAX && c->takes[k]; k++)
            option_describe(c->takes[k]);
    }
    return ferror(stdout) ? 1 : 0;
}
