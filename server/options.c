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

typedef enum { TEXT, NUMBER, DURATION, FLAG } value_kind;

static const struct {
    const char *name, *value, *about;
    size_t at;
    value_kind kind;
    char letter; /* names it in command.takes; not on the command line */
} rows[] = {
    { "--data", "DIR", "the relay's directory", offsetof(options, data), TEXT, 'd' },
    { "--listen", "ADDR:PORT", "where to listen (127.0.0.1:7450; port 0: any free one)", offsetof(options, listen), TEXT, 'l' },
    { "--public", "HOST:PORT", "what the printed address says, if it is another one", offsetof(options, public_), TEXT, 'p' },
    { "--registration", "open|invite|closed", "who may make an account", offsetof(options, registration), TEXT, 'r' },
    { "--key-file", "F", "the database key, if not $CREDENTIALS_DIRECTORY/tacetd.key or DIR/relay.key", offsetof(options, key_file), TEXT, 'k' },
    { "--workers", "N", "net processes", offsetof(options, workers), NUMBER, 'w' },
    { "--uses", "N", "how many accounts the invitation is good for (1)", offsetof(options, uses), NUMBER, 'u' },
    { "--expires", "7d", "how long: 90s, 15m, 12h, 7d", offsetof(options, expires_s), DURATION, 'e' },
    { "--json", NULL, "one JSON object", offsetof(options, json), FLAG, 'j' },
    { "--help", NULL, "this text", offsetof(options, help), FLAG, 'h' },
};
enum { ROWS = sizeof rows / sizeof *rows };

const command commands[] = {
    { "init", "makes keys and the encrypted store, prints the relay's address", "dlprkh", NULL, command_init },
    { "run", "runs the relay; prints \"ready tacet://...\" when it accepts", "dlpkwh", NULL, command_run },
    { "invite", "prints a registration token", "dukeh", NULL, command_invite },
    { "status", "what the running relay does", "djh", NULL, command_status },
    { "check", "verifies every page of the store; exit code 0 only if it is sound", "dkh", NULL, command_check },
    { "rekey", "gives the stopped relay's store a new database key", "dkh", NULL, command_rekey },
    { "backup", "makes a consistent copy of the store, encrypted under the same key", "dkh", "FILE", command_backup },
    { "restore", "puts a copy in the place of the stopped relay's store", "dkh", "FILE", command_restore },
};
const unsigned command_count = sizeof commands / sizeof *commands;

exit_code fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("tacetd: ", stderr);
    vfprintf(stderr, format, args);
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
    char *at = (char *)o + rows[row].at;
    switch (rows[row].kind) {
    case TEXT:
        *(const char **)(void *)at = value;
        return value[0] != 0;
    case NUMBER:
        return number_parse((uint64_t *)(void *)at, value);
    case DURATION:
        return duration_parse((uint64_t *)(void *)at, value);
    case FLAG:
        *(bool *)at = true;
        return true;
    }
    return false;
}

/* The row of "--name" or "--name=value" that the command takes; ROWS: none. *value is set in the second form. */
static size_t row_of(const command *c, const char *argument, const char **value)
{
    size_t n = strcspn(argument, "="), i = 0;
    *value = argument[n] ? argument + n + 1 : NULL;
    while (i < ROWS && (strlen(rows[i].name) != n || strncmp(rows[i].name, argument, n) != 0 || !strchr(c->takes, rows[i].letter)))
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
        if (row == ROWS)
            return misused(c, "unknown option", argv[i]);
        bool flag = rows[row].kind == FLAG;
        if (!flag && !value)
            value = ++i < argc ? argv[i] : NULL;
        if (flag ? value != NULL : !value || !value[0])
            return misused(c, flag ? "no value belongs to" : "a value is missing for", rows[row].name);
        if (!value_set(o, row, flag ? "" : value))
            return misused(c, "not a value for", rows[row].name);
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
    for (size_t i = 0; i < ROWS; i++)
        if (strchr(c->takes, rows[i].letter))
            printf("  %-15s%-20s%s\n", rows[i].name, rows[i].value ? rows[i].value : "", rows[i].about);
}
