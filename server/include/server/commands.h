/* server/commands.h: the commands of tacetd, and their options. One table in options.c parses and makes --help. */
#ifndef SERVER_COMMANDS_H
#define SERVER_COMMANDS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *data, *listen, *public_, *registration, *key_file, *metrics, *file;
    uint64_t workers, uses, expires_s; /* 0: not given */
    bool json, help;
} options;

typedef enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 } exit_code;

typedef enum { VALUE_TEXT, VALUE_NUMBER, VALUE_DURATION, VALUE_FLAG } value_kind;

typedef struct {
    const char *name, *value, *about; /* value: how the help calls it, NULL: a flag */
    size_t at;                        /* in options */
    value_kind kind;
    char letter; /* names it in command.takes; not on the command line */
} option;
extern const option option_table[];
extern const unsigned option_count;

typedef struct {
    const char *name, *about;
    const char *takes; /* letters of the options it takes */
    const char *file;  /* name of its argument in the help, or NULL: it has none */
    exit_code (*run)(const options *o);
    const char *example; /* a command line that works as it stands, but for the names */
} command;
extern const command commands[];
extern const unsigned command_count;

/* Fills *o from what stands behind the command's name; on a mistake one line on stderr and EXIT_USAGE. */
exit_code options_parse(options *o, const command *c, int argc, char **argv);
void options_help(const command *c); /* NULL: all commands */
/* "90s", "15m", "12h", "7d". False: none of these. */
bool duration_parse(uint64_t *seconds, const char *text);

/* One line on stderr, "tacetd: " in front; returns EXIT_FAILED. */
__attribute__((format(printf, 1, 2))) exit_code fail(const char *format, ...);

exit_code command_init(const options *o);
exit_code command_run(const options *o);
exit_code command_invite(const options *o);
exit_code command_status(const options *o);
exit_code command_check(const options *o);
exit_code command_rekey(const options *o);
exit_code command_backup(const options *o);
exit_code command_restore(const options *o);
#endif
