/* The option table: what is taken, what is refused and with which words, and that --help says all of it. */
#include "cli.h"
#include "suite.h"
#include <string.h>

/* Nothing is run here. */
#define RUN(name)                                                                                                                                    \
    int run_##name(cli *c)                                                                                                                           \
    {                                                                                                                                                \
        (void)c;                                                                                                                                     \
        return EXIT_FAILED;                                                                                                                          \
    }
EACH_COMMAND(RUN)

static const struct {
    const char *text;
    uint64_t ms; /* 1: refused */
} durations[] = {
    { "90s", 90000 },
    { "15m", 900000 },
    { "12h", 43200000 },
    { "7d", 604800000 },
    { "0", 0 },
    { "0s", 0 },
    { "3660d", 3660ULL * 86400000 },
    { "3661d", 1 },
    { "", 1 },
    { "5", 1 },
    { "s", 1 },
    { "-5s", 1 },
    { "+5s", 1 },
    { " 5s", 1 },
    { "5s ", 1 },
    { "5 s", 1 },
    { "1.5h", 1 },
    { "5ms", 1 },
    { "5S", 1 },
    { "0x5s", 1 },
    { "99999999999999999999d", 1 },
    { "18446744073709551615s", 1 },
};
START_TEST(durations_are_read_or_refused)
{
    uint64_t ms = 77;
    bool good = duration_parse(&ms, durations[_i].text);
    ck_assert_msg(good == (durations[_i].ms != 1), "%s", durations[_i].text);
    ck_assert_msg(ms == (good ? durations[_i].ms : 77), "%s: %llu", durations[_i].text, (unsigned long long)ms);
}
END_TEST

/* words parted by one space; the answer "" means good */
static const struct {
    const char *words, *why;
} row[] = {
    { "contacts", "" },
    { "contacts --json", "" },
    { "--json contacts", "" },
    { "--home /x contacts --profile=p", "" },
    { "send bob hi", "" },
    { "send bob -", "" },
    { "send bob", "" },
    { "send bob -- -hi", "" },
    { "send -- bob --hi", "" },
    { "send bob hi --wait delivered --timeout 1m", "" },
    { "history bob --limit 20 --before x --search=", "" },
    { "init --relay r --name n", "" },
    { "--help", "" },
    { "--version", "" },
    { "send --help", "" },
    { "init -h", "" },
    { "", "a command is missing; see: tacet --help" },
    { "--json", "a command is missing" },
    { "frobnicate", "there is no command \"frobnicate\"; see: tacet --help" },
    { "send", "send needs NAME [TEXT|-]; see: tacet send --help" },
    { "send bob hi you", "send takes only NAME [TEXT|-]; text of several words goes in quotes" },
    { "send bob -hi", "there is no option -hi" },
    { "send bob --hi", "there is no option --hi; see: tacet send --help" },
    { "contacts bob", "contacts takes nothing but options" },
    { "contacts --timeout 5s", "contacts does not take --timeout" },
    { "--timeout 5s contacts", "contacts does not take --timeout" },
    { "receive --timeout", "--timeout needs a value: --timeout TIME" },
    { "receive --timeout soon", "--timeout takes a time like 90s, 15m, 12h or 7d" },
    { "receive --timeout 5", "--timeout takes a time" },
    { "receive --follow=yes", "--follow takes no value" },
    { "receive --follow --follow", "--follow stands there twice" },
    { "send bob hi --wait read", "--wait takes one of stored|delivered" },
    { "send bob hi --wait store", "--wait takes one of" },
    { "send bob hi --wait stored|delivered", "--wait takes one of" },
    { "send bob hi --wait=", "--wait takes one of" },
    { "history bob --limit 0", "--limit takes a number from 1 to 10000" },
    { "history bob --limit 10001", "--limit takes a number" },
    { "history bob --limit -1", "--limit takes a number" },
    { "history bob --limit 1x", "--limit takes a number" },
    { "unlock --for 0", "--for takes a time" },
    { "init --name n", "init needs --relay ADDR" },
    { "init --relay r", "init needs --name NAME" },
    { "contacts --passphrase-file f --passphrase-fd 3", "exclude each other" },
    { "contacts --passphrase hunter2", "there is no option --passphrase" },
    { "rename bob", "rename needs NAME NEWNAME" },
};
static bool parse(arguments *a, const char *words, engine_error *why)
{
    static char copy[256];
    static char program[] = "tacet";
    char *argv[16] = { program };
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *rest = copy, *word; *words && (word = strsep(&rest, " "));)
        argv[argc++] = word;
    return arguments_parse(a, argc, argv, why);
}
START_TEST(arguments_are_read_or_refused)
{
    arguments a;
    engine_error why = { 0 };
    bool good = parse(&a, row[_i].words, &why);
    ck_assert_msg(good == (*row[_i].why == '\0'), "%s: %s", row[_i].words, why.message);
    ck_assert_msg(good || strstr(why.message, row[_i].why), "%s: %s", row[_i].words, why.message);
    ck_assert_msg(good || strstr(why.message, "see: tacet"), "%s: %s", row[_i].words, why.message);
    ck_assert_ptr_null(strchr(why.message, '\n'));
}
END_TEST

START_TEST(values_arrive)
{
    arguments a;
    engine_error why = { 0 };
    ck_assert(parse(&a, "--home /h send --wait=delivered bob --timeout 2m -- --text", &why));
    ck_assert_str_eq(a.command->name, "send");
    ck_assert_str_eq(a.text[OPT_HOME], "/h");
    ck_assert_uint_eq(a.number[OPT_WAIT], 1);
    ck_assert_uint_eq(a.number[OPT_TIMEOUT], 120000);
    ck_assert_int_eq(a.operands, 2);
    ck_assert_str_eq(a.operand[0], "bob");
    ck_assert_str_eq(a.operand[1], "--text");
    ck_assert(!a.given[OPT_JSON]);
    ck_assert(parse(&a, "send bob -", &why));
    ck_assert_str_eq(a.operand[1], "-");
}
END_TEST

/* Each row of both tables is whole, no secret can be an argument, and each command's example is itself accepted. */
START_TEST(F12_the_tables_are_whole_and_no_option_takes_a_passphrase)
{
    for (int i = 1; i < OPTIONS; i++) {
        const option *o = &option_table[i];
        ck_assert_msg(o->name && o->help && (o->value == VALUE_NONE) == (o->word == NULL), "option %d", i);
        ck_assert_msg(!strstr(o->name, "passphrase") || o->value == VALUE_NONE || strstr(o->name, "-file") || strstr(o->name, "-fd"), "--%s",
                      o->name);
    }
    for (size_t i = 0; i < command_count; i++) {
        const command *c = &command_table[i];
        ck_assert_msg(c->name && c->operands && c->summary && c->example && c->run, "command %zu", i);
        ck_assert_ptr_eq(command_find(c->name), c);
        ck_assert_msg((c->operands_most == 0) == (*c->operands == '\0'), "%s", c->name);
        ck_assert_msg(strstr(c->example, "tacet ") && strstr(c->example, c->name), "%s", c->name);
    }
}
END_TEST

START_TEST(help_names_every_command_and_option)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    help_print(to, NULL);
    fclose(to);
    for (size_t i = 0; i < command_count; i++) {
        char *one = NULL, usage[128];
        size_t ones = 0;
        const command *c = &command_table[i];
        ck_assert_msg(strstr(text, c->summary) != NULL, "%s", c->name);
        FILE *about = open_memstream(&one, &ones);
        help_print(about, c);
        fclose(about);
        snprintf(usage, sizeof usage, "usage: tacet %s", c->name);
        ck_assert_msg(strstr(one, usage) && strstr(one, c->example) && strstr(one, "--passphrase-file"), "%s", one);
        for (int k = 0; k < COMMAND_OPTIONS_MAX && c->takes[k]; k++)
            ck_assert_msg(strstr(one, option_table[c->takes[k]].help) != NULL, "%s --%s", c->name, option_table[c->takes[k]].name);
        for (char *line = one; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
            ck_assert_msg(strcspn(line, "\n") <= 150, "%s: %.*s", c->name, (int)strcspn(line, "\n"), line);
        free(one);
    }
    free(text);
}
END_TEST

SUITE("options", LOOP(durations_are_read_or_refused, ROWS(durations)), LOOP(arguments_are_read_or_refused, ROWS(row)), TEST(values_arrive),
      TEST(F12_the_tables_are_whole_and_no_option_takes_a_passphrase), TEST(help_names_every_command_and_option))
