/* tacet: from argv to one of the commands in commands.c. */
#include "base/secret.h"
#include "base/text.h"
#include "cli.h"
#include <malloc.h>
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

static void words_free(int argc, char **words)
{
    for (int i = 0; words && i < argc; i++) {
        secret_text_free(words[i]);
    }
    free(words);
}

/* Everybody on this machine may read our arguments, and they hold messages, links and searches. The words are copied, and the originals emptied but
 * for the command, the names of options, and which profile this is (ATTACKS F12). NULL: no memory. */
static char **words_take(int argc, char **argv)
{
    char **words = calloc((size_t)argc + 1, sizeof *words);
    bool keep_value = false, command_seen = false;
    for (int i = 0; words && i < argc; i++) {
        words[i] = strdup(argv[i]);
        if (!words[i]) {
            words_free(i, words);
            return NULL;
        }
        bool is_option = strncmp(words[i], "--", 2) == 0, of_profile = strncmp(words[i], "--home", 6) == 0 || strncmp(words[i], "--profile", 9) == 0;
        char *value = is_option ? strchr(argv[i], '=') : argv[i];
        bool keep = i == 0 || keep_value || of_profile || !value || (!is_option && !command_seen && command_find(words[i]));
        command_seen = command_seen || (!is_option && !keep_value && command_find(words[i]));
        if (!keep)
            memset(value, 0, strlen(value));
        keep_value = of_profile && !strchr(words[i], '=');
    }
    return words;
}

/* JSON carries what people wrote, and the key of a backup: nothing of it stays in memory that was given back. */
static void free_wiped(void *p)
{
    if (p)
        sodium_memzero(p, malloc_usable_size(p));
    free(p);
}

static int run(cli *c, int argc, char *const argv[])
{
    engine_error why = { 0 };
    c->json = json_wanted(argc, argv);
    if (!words_are_text(argc, argv))
        return fail(c, SAY_ARG_UTF8, NULL, NULL, NULL);
    if (!arguments_parse(&c->args, argc, argv, &why))
        return fail_why(c, &why);
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
    if (secret_harden_process() != TACET_OK || sodium_init() < 0)
        return fail(&c, SAY_UNPROTECTED, NULL, NULL, NULL);
    json_set_alloc_funcs(malloc, free_wiped);
    (void)signal(SIGPIPE, SIG_IGN); /* a closed stdout is an error to be told, and keeps the message */
    char **words = words_take(argc, argv);
    int exit = words ? run(&c, argc, words) : fail(&c, SAY_NO_MEMORY, NULL, NULL, NULL);
    cli_leave(&c);
    words_free(argc, words);
    if (c.interrupted && c.follows && exit == EXIT_DONE)
        return EXIT_DONE;
    if (c.interrupted) { /* so that a shell sees what ended us */
        (void)signal(c.interrupted, SIG_DFL);
        (void)raise(c.interrupted);
    }
    return exit;
}
