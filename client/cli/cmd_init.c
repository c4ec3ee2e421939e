/* init: folder, key file, vault, account, in this order; each step can be repeated, so an init that was interrupted goes on when it is run again. */
#include "cli.h"
#include "new_vault.h"
#include "identity/link.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Before anything is asked or made. */
static int arguments_check(cli *c)
{
    relay_address relay;
    engine_error why = { 0 };
    const char *name = c->args.text[OPT_NAME];
    if (!name_valid(name, strlen(name)))
        sentence_fill(&why, SAY_BAD_NAME, name, NULL, NULL);
    else if (relay_address_parse(&relay, c->args.text[OPT_RELAY]) != TACET_OK)
        sentence_fill(&why, SAY_BAD_RELAY, NULL, NULL, NULL);
    return why.code ? fail_why(c, &why) : new_vault_arguments(c);
}

/* --invite @FILE keeps the token out of the process list. NULL: said already. */
static const char *invite_get(cli *c, char line[128])
{
    const char *given = c->args.text[OPT_INVITE];
    if (!given || given[0] != '@')
        return given ? given : "";
    FILE *f = fopen(given + 1, "re");
    bool got = f && fgets(line, 128, f);
    if (!got)
        fail(c, SAY_INVITE_UNREADABLE, given + 1, f ? sentence_text(SAY_WHY_EMPTY) : strerror(errno), NULL);
    if (f)
        (void)fclose(f);
    line[strcspn(line, "\r\n")] = '\0';
    return got ? line : NULL;
}

/* The relay said no: nothing was made there, so nothing stays here. Anything else (a relay that went away, say) may have happened after the account was
 * made; then everything stays, and init goes on the next time. */
static void undo(cli *c, const engine_error *why)
{
    static const char *const refusals[] = { "name-taken", "registration-closed", "invite", "relay-key", "relay-version", "bad-relay", "bad-name" };
    static const char *const files[] = { "vault.db", "vault.db-wal", "vault.db-shm", "vault.key" };
    bool refused = false;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        refused = refused || strcmp(why->code, refusals[i]) == 0;
    for (size_t i = 0; refused && new_vault_made() && i < sizeof files / sizeof *files; i++)
        (void)unlinkat(c->profile.fd, files[i], 0);
}

static int account_say(cli *c, json_t *me, const char *code)
{
    if (c->json) {
        recovery_add(me, code);
        (void)say_object("whoami", me);
        return say_flush(c);
    }
    const char *link = json_string_value(json_object_get(me, "link"));
    note(c, SAY_MADE, c->args.text[OPT_NAME], NULL, NULL);
    say("%s", link ? link : "");
    json_decref(me);
    int said = say_flush(c);
    recovery_say(code);
    return said;
}

int run_init(cli *c)
{
    char line[128] = "";
    engine_error why = { 0 };
    json_t *me = NULL;
    int exit = arguments_check(c);
    const char *invite = exit == EXIT_DONE ? invite_get(c, line) : NULL;
    if (!invite)
        return c->failed;
    exit = profile_reach(c, true);
    if (exit != EXIT_DONE)
        return exit;
    exit = new_vault_reach(c, &why);
    if (exit == EXIT_DONE) {
        json_t *params = json_pack("{s:s,s:s,s:s*,s:b}", "relay", c->args.text[OPT_RELAY], "name", c->args.text[OPT_NAME], "invite",
                                   *invite ? invite : NULL, "unlisted", c->args.given[OPT_UNLISTED]);
        exit = caller_call(c->caller, "init", params, c->relay_ms, &me, &why);
        if (exit != EXIT_DONE)
            undo(c, &why);
    }
    if (exit != EXIT_DONE)
        return fail_why(c, &why);
    char code[UNLOCK_CODE_CHARS + 1] = "";
    exit = recovery_make(c, code);
    int said = account_say(c, me, code);
    sodium_memzero(code, sizeof code);
    return exit == EXIT_DONE ? said : exit;
}
