/* The parser behind the table (commands.c holds the rows). */
#include "options.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const option option_table[OPTIONS] = {
    [OPT_PROFILE] = { "profile", VALUE_TEXT, "NAME", 0, 0, "which profile (default: default)" },
    [OPT_HOME] = { "home", VALUE_TEXT, "DIR", 0, 0, "where the profiles live (default: $TACET_HOME, else ~/.local/share/tacet)" },
    [OPT_JSON] = { "json", VALUE_NONE, NULL, 0, 0, "one JSON object a line on stdout" },
    [OPT_QUIET] = { "quiet", VALUE_NONE, NULL, 0, 0, "nothing on stderr but errors" },
    [OPT_NO_COLOR] = { "no-color", VALUE_NONE, NULL, 0, 0, "no colours (as with NO_COLOR set)" },
    [OPT_PASSPHRASE_FILE] = { "passphrase-file", VALUE_TEXT, "FILE", 0, 0, "read the passphrase from the first line of FILE" },
    [OPT_PASSPHRASE_FD] = { "passphrase-fd", VALUE_NUMBER, "N", 0, 1023, "read the passphrase from file descriptor N" },
    [OPT_PROXY] = { "proxy", VALUE_TEXT, "HOST:PORT", 0, 0,
                    "reach relays through this SOCKS5 proxy (Tor: 127.0.0.1:9050), or none; kept at init. Else $ALL_PROXY, but for $NO_PROXY" },
    [OPT_HELP] = { "help", VALUE_NONE, NULL, 0, 0, "this text" },
    [OPT_VERSION] = { "version", VALUE_NONE, NULL, 0, 0, "the version of tacet" },

    [OPT_RELAY] = { "relay", VALUE_TEXT, "ADDR", 0, 0, "the relay's address, tacet://HOST:PORT/RELAYKEY, as `tacetd init` printed it" },
    [OPT_NAME] = { "name", VALUE_TEXT, "NAME", 0, 0,
                   "init: the name that others find you by, a-z 0-9 . _ -, at most 32; send: what the file is called there" },
    [OPT_INVITE] = { "invite", VALUE_TEXT, "TOKEN", 0, 0, "the invitation that the relay asks for; @FILE reads it from FILE" },
    [OPT_NO_PASSPHRASE] = { "no-passphrase", VALUE_NONE, NULL, 0, 0, "no passphrase: whoever can read the files can read everything" },
    [OPT_LOW_MEMORY] = { "low-memory", VALUE_NONE, NULL, 0, 0, "stretch the passphrase with 64 MiB of memory in place of 256" },
    [OPT_UNLISTED] = { "unlisted", VALUE_NONE, NULL, 0, 0, "do not publish the name: only who has your link can write to you" },
    [OPT_QR] = { "qr", VALUE_NONE, NULL, 0, 0, "also draw it as a QR code" },
    [OPT_NEW] = { "new", VALUE_NONE, NULL, 0, 0, "make a new link; the old one stops working for new people" },
    [OPT_AS] = { "as", VALUE_TEXT, "ALIAS", 0, 0, "the name that you will use" },
    [OPT_TEXT] = { "text", VALUE_TEXT, "TEXT", 0, 0, "a line that goes with the request" },
    [OPT_CONFIRM] = { "confirm", VALUE_TEXT, "DIGITS", 0, 0, "the 60 digits that the other side reads out" },
    [OPT_REPLY] = { "reply", VALUE_TEXT, "ID", 0, 0, "the message that this one answers" },
    [OPT_FILE] = { "file", VALUE_TEXTS, "PATH", 0, 0, "send this file or folder (may stand there several times; - for stdin, with --name)" },
    [OPT_ALSO] = { "also", VALUE_TEXTS, "NAME", 0, 0, "send the files to this contact as well, uploaded once (may stand there several times)" },
    [OPT_TO] = { "to", VALUE_TEXT, "DIR", 0, 0, "the folder to save in" },
    [OPT_OUTPUT] = { "output", VALUE_TEXT, "PATH", 0, 0, "save under exactly this path, or - for stdout" },
    [OPT_WAIT] = { "wait", VALUE_CHOICE, "stored|delivered", 0, 0, "until the relay has it (default), or the other device" },
    [OPT_TIMEOUT] = { "timeout", VALUE_DURATION, "TIME", 0, 0, "how long to wait at most: 90s, 15m, 12h, 7d" },
    [OPT_FOLLOW] = { "follow", VALUE_NONE, NULL, 0, 0, "go on until interrupted" },
    [OPT_EXEC] = { "exec", VALUE_TEXT, "CMD", 0, 0, "run CMD (with sh) for each message, the message as JSON on its stdin" },
    [OPT_EXEC_TIMEOUT] = { "exec-timeout", VALUE_DURATION, "TIME", 0, 0, "how long CMD may take for a message (default: 15m; 0: for ever)" },
    [OPT_CURSOR] = { "cursor", VALUE_TEXT, "NAME", 0, 0, "take messages under this name: all of them, whoever else takes them" },
    [OPT_LIMIT] = { "limit", VALUE_NUMBER, "N", 1, 10000, "at most so many messages, the newest" },
    [OPT_BEFORE] = { "before", VALUE_TEXT, "ID", 0, 0, "only messages older than this one" },
    [OPT_SEARCH] = { "search", VALUE_TEXT, "QUERY", 0, 0, "only messages with these words" },
    [OPT_FOR] = { "for", VALUE_DURATION, "TIME", 1000, 366ULL * 86400000, "how long: 90s, 15m, 12h, 7d (default: 8h)" },
    [OPT_NEW_PASSPHRASE_FILE] = { "new-passphrase-file", VALUE_TEXT, "FILE", 0, 0, "read the new passphrase from the first line of FILE" },
    [OPT_NEW_PASSPHRASE_FD] = { "new-passphrase-fd", VALUE_NUMBER, "N", 0, 1023, "read the new passphrase from file descriptor N" },
    [OPT_BACKUP_PASSPHRASE_FILE] = { "backup-passphrase-file", VALUE_TEXT, "FILE", 0, 0, "read the backup's passphrase from the first line of FILE" },
    [OPT_BACKUP_PASSPHRASE_FD] = { "backup-passphrase-fd", VALUE_NUMBER, "N", 0, 1023, "read the backup's passphrase from file descriptor N" },
    [OPT_RECOVERY_CODE] = { "recovery-code", VALUE_NONE, NULL, 0, 0, "also make a new recovery code; the old one stops working" },
    [OPT_SOCKET] = { "socket", VALUE_TEXT, "PATH", 0, 0, "listen at PATH, in place of stdin and stdout" },
    [OPT_COUNT] = { "count", VALUE_NUMBER, "N", 1, 1000, "how often (default: 4)" },
};

const command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(command_table[i].name, name) == 0)
            return &command_table[i];
    return NULL;
}

/* Digits only, no sign, no space; what is left over goes to *rest. */
static bool whole_number(uint64_t *out, const char *text, const char **rest)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno)
        return false;
    *out = v;
    *rest = end;
    return true;
}

bool duration_parse(uint64_t *out_ms, const char *text)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = { { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
    uint64_t n = 0;
    const char *unit = NULL;
    if (!whole_number(&n, text, &unit))
        return false;
    if (n == 0 && *unit == '\0') {
        *out_ms = 0;
        return true;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].unit) == 0 && n <= 3660ULL * 86400000 / units[i].ms) {
            *out_ms = n * units[i].ms;
            return true;
        }
    return false;
}

/* The place of `text` among the words of "a|b|c", or -1. */
enum { SHOWN_CHARS = 40 };

static int choice_find(const char *words, const char *text)
{
    size_t n = strlen(text);
    for (int place = 0; n; place++) {
        size_t word = strcspn(words, "|");
        if (word == n && strncmp(words, text, n) == 0)
            return place;
        if (words[word] == '\0')
            break;
        words += word + 1;
    }
    return -1;
}

static bool wrong(engine_error *why, sentence which, const char *one, const char *two, const char *three)
{
    sentence_fill(why, which, one, two, three);
    return false;
}

/* As much of a word that makes no sense as is worth showing. */
static const char *shortened(char out[SHOWN_CHARS + 1], const char *word, size_t n)
{
    snprintf(out, SHOWN_CHARS + 1, "%.*s", (int)(n < SHOWN_CHARS ? n : SHOWN_CHARS), word);
    return out;
}

/* Puts the value of option `id` into its place; false: the value does not fit. */
static bool value_set(arguments *a, enum option_id id, const char *text, engine_error *why)
{
    const option *o = &option_table[id];
    const char *rest = "";
    char least[24], most[24];
    int place = 0;
    a->text[id] = text;
    switch (o->value) {
    case VALUE_NONE:
    case VALUE_TEXT:
        return true;
    case VALUE_TEXTS:
        if (a->texts_count == TEXTS_MAX)
            return wrong(why, SAY_ARG_OFTEN, o->name, NULL, NULL);
        a->texts[a->texts_count].id = id;
        a->texts[a->texts_count++].text = text;
        return true;
    case VALUE_NUMBER:
        if (whole_number(&a->number[id], text, &rest) && *rest == '\0' && a->number[id] >= o->least && a->number[id] <= o->most)
            return true;
        snprintf(least, sizeof least, "%llu", (unsigned long long)o->least);
        snprintf(most, sizeof most, "%llu", (unsigned long long)o->most);
        return wrong(why, SAY_ARG_NUMBER, o->name, least, most);
    case VALUE_DURATION:
        if (duration_parse(&a->number[id], text) && a->number[id] >= o->least && (!o->most || a->number[id] <= o->most))
            return true;
        return wrong(why, SAY_ARG_TIME, o->name, NULL, NULL);
    case VALUE_CHOICE:
        place = choice_find(o->word, text);
        if (place >= 0) {
            a->number[id] = (uint64_t)place;
            return true;
        }
        return wrong(why, SAY_ARG_CHOICE, o->name, o->word, NULL);
    }
    return false;
}

/* The option that `word` (after the dashes, up to '=' or the end) names, or OPT_NONE. */
static enum option_id option_find(const char *word, size_t n)
{
    for (int i = 1; i < OPTIONS; i++)
        if (strlen(option_table[i].name) == n && strncmp(option_table[i].name, word, n) == 0)
            return (enum option_id)i;
    return OPT_NONE;
}

static bool command_takes(const command *c, enum option_id id)
{
    if (id < OPT_GLOBALS)
        return true;
    for (int i = 0; i < COMMAND_OPTIONS_MAX && c->takes[i]; i++)
        if (c->takes[i] == id)
            return true;
    return false;
}

/* One word that starts with '-'. *at is its place in argv and moves on when the value is the next word. */
static bool option_parse(arguments *a, int argc, char *const argv[], int *at, engine_error *why)
{
    char part[SHOWN_CHARS + 1];
    const char *word = argv[*at];
    if (strcmp(word, "-h") == 0)
        word = "--help";
    if (word[1] != '-')
        return wrong(why, SAY_ARG_DASH, shortened(part, word, strlen(word)), NULL, NULL);
    word += 2;
    size_t n = strcspn(word, "=");
    enum option_id id = option_find(word, n);
    if (id == OPT_NONE)
        return wrong(why, SAY_ARG_OPTION, shortened(part, word, n), NULL, NULL);
    const option *o = &option_table[id];
    if (a->given[id] && o->value != VALUE_TEXTS)
        return wrong(why, SAY_ARG_TWICE, o->name, NULL, NULL);
    a->given[id] = true;
    if (o->value == VALUE_NONE) {
        return word[n] != '=' || wrong(why, SAY_ARG_NO_VALUE, o->name, NULL, NULL);
    }
    if (word[n] == '=')
        return value_set(a, id, word + n + 1, why);
    if (*at + 1 >= argc)
        return wrong(why, SAY_ARG_VALUE, o->name, o->word, NULL);
    return value_set(a, id, argv[++*at], why);
}

static bool operand_add(arguments *a, const char *word, engine_error *why)
{
    char part[SHOWN_CHARS + 1];
    if (!a->command) {
        a->command = command_find(word);
        return a->command || wrong(why, SAY_ARG_COMMAND, shortened(part, word, strlen(word)), NULL, NULL);
    }
    if (a->operands >= a->command->operands_most)
        return wrong(why, a->operands ? SAY_ARG_WORDS : SAY_ARG_NO_WORDS, a->command->name, a->command->operands, NULL);
    a->operand[a->operands++] = word;
    return true;
}

/* Everything that can only be judged when all words are known. */
static bool whole_check(const arguments *a, engine_error *why)
{
    const command *c = a->command;
    if (!c)
        return wrong(why, SAY_ARG_NONE, NULL, NULL, NULL);
    for (int i = 1; i < OPTIONS; i++)
        if (a->given[i] && !command_takes(c, (enum option_id)i))
            return wrong(why, SAY_ARG_NOT_TAKEN, c->name, option_table[i].name, NULL);
    for (int i = 0; i < 2; i++)
        if (c->needs[i] && !a->given[c->needs[i]]) {
            const option *o = &option_table[c->needs[i]];
            return wrong(why, SAY_ARG_NEEDS_OPTION, c->name, o->name, o->word);
        }
    if (a->operands < c->operands_least)
        return wrong(why, SAY_ARG_NEEDS, c->name, c->operands, NULL);
    static const enum option_id either[][2] = { { OPT_PASSPHRASE_FILE, OPT_PASSPHRASE_FD },
                                                { OPT_BACKUP_PASSPHRASE_FILE, OPT_BACKUP_PASSPHRASE_FD } };
    for (size_t i = 0; i < sizeof either / sizeof *either; i++)
        if (a->given[either[i][0]] && a->given[either[i][1]])
            return wrong(why, SAY_ARG_EITHER, option_table[either[i][0]].name, option_table[either[i][1]].name, NULL);
    return true;
}

bool arguments_parse(arguments *out, int argc, char *const argv[], engine_error *why)
{
    arguments a = { 0 };
    char of[32];
    bool options_over = false;
    bool good = true;
    for (int i = 1; i < argc && good; i++) {
        const char *word = argv[i];
        if (!options_over && strcmp(word, "--") == 0)
            options_over = true;
        else if (!options_over && word[0] == '-' && word[1] != '\0')
            good = option_parse(&a, argc, argv, &i, why);
        else
            good = operand_add(&a, word, why);
    }
    if (good && !a.given[OPT_HELP] && !a.given[OPT_VERSION])
        good = whole_check(&a, why);
    *out = a; /* also when wrong: the caller wants to know the command and whether --json was there */
    if (good)
        return true;
    engine_error bare = *why;
    snprintf(of, sizeof of, "%s%s", a.command ? a.command->name : "", a.command ? " " : "");
    return wrong(why, SAY_ARG_SEE, bare.message, of, NULL);
}
