/* cli/options.h: the one table of options and commands. The parser, `--help` of every command and the errors about wrong usage are all made
 * from it, so that none of them can say something else than the others. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H
#include "engine/sentences.h" /* the exit codes */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_id {
    OPT_NONE, /* ends the lists of ids below */
    OPT_PROFILE,
    OPT_HOME,
    OPT_JSON,
    OPT_QUIET,
    OPT_NO_COLOR,
    OPT_PASSPHRASE_FILE,
    OPT_PASSPHRASE_FD,
    OPT_PROXY,
    OPT_HELP,
    OPT_VERSION,
    OPT_GLOBALS, /* the options above go with every command */
    OPT_RELAY = OPT_GLOBALS,
    OPT_NAME,
    OPT_INVITE,
    OPT_NO_PASSPHRASE,
    OPT_LOW_MEMORY,
    OPT_UNLISTED,
    OPT_QR,
    OPT_NEW,
    OPT_AS,
    OPT_TEXT,
    OPT_CONFIRM,
    OPT_REPLY,
    OPT_WAIT,
    OPT_TIMEOUT,
    OPT_FOLLOW,
    OPT_EXEC,
    OPT_EXEC_TIMEOUT,
    OPT_CURSOR,
    OPT_LIMIT,
    OPT_BEFORE,
    OPT_SEARCH,
    OPT_FOR,
    OPT_NEW_PASSPHRASE_FILE,
    OPT_NEW_PASSPHRASE_FD,
    OPT_BACKUP_PASSPHRASE_FILE,
    OPT_BACKUP_PASSPHRASE_FD,
    OPT_RECOVERY_CODE,
    OPT_SOCKET,
    OPT_FILE,
    OPT_ALSO,
    OPT_TO,
    OPT_OUTPUT,
    OPT_COUNT,
    OPTIONS, /* how many ids there are */
};

typedef enum { VALUE_NONE, VALUE_TEXT, VALUE_TEXTS /* may stand there several times */, VALUE_NUMBER, VALUE_DURATION, VALUE_CHOICE } value_kind;

typedef struct {
    const char *name; /* without the dashes */
    value_kind value;
    const char *word;     /* how --help calls the value; for VALUE_CHOICE the words, parted by | */
    uint64_t least, most; /* of a number; of a duration in milliseconds */
    const char *help;
} option;

enum { COMMAND_OPTIONS_MAX = 10, OPERANDS_MAX = 4, TEXTS_MAX = 256 };

struct cli;
typedef struct {
    const char *name;
    const char *operands; /* as --help shows them */
    int operands_least, operands_most;
    const char *summary;     /* one line */
    const char *example;     /* one command line that works as it stands, but for the names */
    const char *more;        /* further lines for --help, or NULL */
    enum option_id needs[2]; /* refused without these */
    enum option_id takes[COMMAND_OPTIONS_MAX];
    int (*run)(struct cli *c); /* an exit code */
} command;

typedef struct {
    const command *command; /* NULL: only --help or --version was asked for */
    bool given[OPTIONS];
    const char *text[OPTIONS]; /* the value as written */
    uint64_t number[OPTIONS];  /* of numbers; of durations in milliseconds; of choices the place of the word */
    struct {
        enum option_id id;
        const char *text;
    } texts[TEXTS_MAX]; /* every value of options that may come several times, in their order */
    int texts_count;
    const char *operand[OPERANDS_MAX];
    int operands;
} arguments;

extern const option option_table[OPTIONS];
extern const command command_table[];
extern const size_t command_count;

const command *command_find(const char *name);

/* argv as main() has it; the strings must outlive *out. False: wrong usage, and *why says what is wrong and where to
 * look. --home and the like may stand before and after the command; `--` ends the options; `--name=value` and `--name value` are the same. */
bool arguments_parse(arguments *out, int argc, char *const argv[], engine_error *why);

/* "90s", "15m", "12h", "7d", and "0" for none; into milliseconds. False: not a duration, or more than 3660 days. */
bool duration_parse(uint64_t *out_ms, const char *text);

/* Help on `to`: the list of commands (c NULL) or everything about one command. */
void help_print(FILE *to, const command *c);
#endif
