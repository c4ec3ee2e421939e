/* server/options.c: the command line of tacetd: one row an option, one row a command. */
#include "server/commands.h"
#include "base/status.h"
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const option option_table[] = {
    { "--data", "DIR", "the relay's directory", offsetof(options, data), VALUE_TEXT, 'd' },
    { "--listen", "ADDR:PORT", "where to listen (127.0.0.1:7450; port 0: any free one)", offsetof(options, listen), VALUE_TEXT, 'l' },
    { "--public", "HOST:PORT", "what the printed address says, if it is another one", offsetof(options, public_), VALUE_TEXT, 'p' },
    { "--registration", "open|invite|closed", "who may make an account", offsetof(options, registration), VALUE_TEXT, 'r' },
    { "--key-file", "F", "the database key, if not $CREDENTIALS_DIRECTORY/tacetd.key or DIR/relay.key", offsetof(options, key_file), VALUE_TEXT,
      'k' },
    { "--workers", "N", "net processes", offsetof(options, workers), VALUE_NUMBER, 'w' },
    { "--metrics", "[ADDR:]PORT", "serves counters over HTTP for Prometheus; a port alone: on loopback", offsetof(options, metrics), VALUE_TEXT,
      'm' },
    { "--uses", "N", "how many accounts the invitation is good for (1)", offsetof(options, uses), VALUE_NUMBER, 'u' },
    { "--expires", "7d", "how long: 90s, 15m, 12h, 7d", offsetof(options, expires_s), VALUE_DURATION, 'e' },
    { "--json", NULL, "one JSON object", offsetof(options, json), VALUE_FLAG, 'j' },
    { "--help", NULL, "this text", offsetof(options, help), VALUE_FLAG, 'h' },
};
const unsigned option_count = sizeof option_table / sizeof *option_table;

const command commands[] = {
    { "init", "makes keys and the encrypted store, prints the relay's address", "dlprkh", NULL, command_init,
      "tacetd init --data /var/lib/tacetd --listen 0.0.0.0:7450 --public relay.example:7450" },
    { "run", "runs the relay; prints \"ready tacet://...\" when it accepts", "dlpkwmh", NULL, command_run, "tacetd run --data /var/lib/tacetd" },
    { "invite", "prints a registration token", "dukeh", NULL, command_invite, "tacetd invite --data /var/lib/tacetd --uses 5 --expires 7d" },
    { "status", "what the running relay does", "djh", NULL, command_status, "tacetd status --data /var/lib/tacetd --json" },
    { "check", "verifies every page of the store; exit code 0 only if it is sound", "dkh", NULL, command_check,
      "tacetd check --data /var/lib/tacetd" },
    { "rekey", "gives the stopped relay's store a new database key", "dkh", NULL, command_rekey, "tacetd rekey --data /var/lib/tacetd" },
    { "backup", "makes a consistent copy of the store, encrypted under the same key", "dkh", "FILE", command_backup,
      "tacetd backup --data /var/lib/tacetd /var/backups/relay.db" },
    { "restore", "puts a copy in the place of the stopped relay's store", "dkh", "FILE", command_restore,
      "tacetd restore --data /var/lib/tacetd /var/backups/relay.db" },
};
const unsigned command_count = sizeof commands / sizeof *commands;

exit_code fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("tacetd: ", stderr);
    vfprintf(stderr, format, args); /* NOLINT(clang-analyzer-valist.Uninitialized): clang 14 does not see va_start */
    fputc('\n', stderr);
    va_end(args);
    return EXIT_FAILED;
}

bool duration_parse(uint64_t *seconds, const char *text)
{
    static const struct {
        char letter;
        uint64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!errno && n > 0 && n <= 36500 * 86400ull / units[i].seconds && end[0] == units[i].letter && !end[1]) {
            *seconds = n * units[i].seconds;
            return true;
        }
    return false;
}

static bool number_parse(uint64_t *out, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    *out = n;
    return isdigit((unsigned char)text[0]) && !errno && !*end && n > 0 && n <= 1000000;
}

static bool value_set(options *o, size_t row, const char *value)
{
    char *at = (char *)o + option_table[row].at;
    switch (option_table[row].kind) {
    case VALUE_TEXT:
        *(const char **)(void *)at = value;
        return value[0] != 0;
    case VALUE_NUMBER:
        return number_parse((uint64_t *)(void *)at, value);
    case VALUE_DURATION:
        return duration_parse((uint64_t *)(void *)at, value);
    case VALUE_FLAG:
        *(bool *)at = true;
        return true;
    }
    return false;
}

/* The row of "--name" or "--name=value" that the command takes; option_count: none. *value is set in the second form. */
static size_t row_of(const command *c, const char *argument, const char **value)
{
    size_t n = strcspn(argument, "="), i = 0;
    *value = argument[n] ? argument + n + 1 : NULL;
    while (i < option_count &&
           (strlen(option_table[i].name) != n || strncmp(option_table[i].name, argument, n) != 0 || !strchr(c->takes, option_table[i].letter)))
        i++;
    return i;
}

static exit_code misused(const command *c, const char *what, const char *which)
{
    fail("%s %s; see: tacetd %s --help", what, which, c->name);
    return EXIT_USAGE;
}

exit_code options_parse(options *o, const command *c, int argc, char **argv)
{
    *o = (options){ 0 };
    for (int i = 0; i < argc; i++) {
        const char *value;
        if (strncmp(argv[i], "--", 2) != 0) {
            if (!c->file || o->file)
                return misused(c, "unexpected argument", argv[i]);
            o->file = argv[i];
            continue;
        }
        size_t row = row_of(c, argv[i], &value);
        if (row == option_count)
            return misused(c, "unknown option", argv[i]);
        bool flag = option_table[row].kind == VALUE_FLAG;
        if (!flag && !value)
            value = ++i < argc ? argv[i] : NULL;
        if (flag ? value != NULL : !value || !value[0])
            return misused(c, flag ? "no value belongs to" : "a value is missing for", option_table[row].name);
        if (!value_set(o, row, flag ? "" : value))
            return misused(c, "not a value for", option_table[row].name);
    }
    if (!o->help && !o->data)
        return misused(c, "missing:", "--data DIR");
    if (!o->help && c->file && !o->file)
        return misused(c, "missing:", c->file);
    return EXIT_DONE;
}

void options_help(const command *c)
{
    if (!c) {
        printf("tacetd " TACET_VERSION ": the relay of tacet\n\n");
        for (unsigned i = 0; i < command_count; i++)
            printf("  tacetd %-8s %s\n", commands[i].name, commands[i].about);
        printf("\n  tacetd COMMAND --help, tacetd --version\n");
        return;
    }
    printf("tacetd %s%s%s [options]: %s\n\n", c->name, c->file ? " " : "", c->file ? c->file : "", c->about);
    for (size_t i = 0; i < option_count; i++)
        if (strchr(c->takes, option_table[i].letter))
            printf("  %-15s%-20s%s\n", option_table[i].name, option_table[i].value ? option_table[i].value : "", option_table[i].about);
    printf("\nexample:\n  %s\n", c->example);
}
