/* init: folder, key file, vault, account, in this order; each step can be repeated, so an init that was interrupted goes on when it is run again. */
#include "cli.h"
#include "identity/link.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    cli *c;
    passphrase chosen; /* empty: none */
    bool made;         /* this run made the key file */
} making;

static making state; /* caller_options carries c alone; there is one init in a process */

static keyfile_cost cost_of(const cli *c) { return c->args.given[OPT_LOW_MEMORY] ? keyfile_cost_small : keyfile_cost_default; }

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
    else if (c->args.given[OPT_NO_PASSPHRASE] && (c->args.given[OPT_PASSPHRASE_FILE] || c->args.given[OPT_PASSPHRASE_FD]))
        sentence_fill(&why, SAY_USAGE, "--no-passphrase and a passphrase exclude each other; see: tacet init --help", NULL, NULL);
    return why.code ? fail_why(c, &why) : EXIT_DONE;
}

/* A key file that is there already belongs to an account, or to an init that did not come to its end. */
static int key_prepare(void *ctx, engine_error *error)
{
    cli *c = ctx;
    passphrase given = { 0 };
    int rc = unlock_open(&c->profile, NULL, c->key, &c->way, error);
    if (rc == TACET_E_AGAIN && (rc = passphrase_get(c, "Passphrase of the vault that is there already: ", &given, error)) == TACET_OK) {
        rc = unlock_open(&c->profile, &given, c->key, &c->way, error);
        passphrase_free(&given, c->arena);
        return rc == TACET_OK ? EXIT_DONE : error->exit;
    }
    if (rc != TACET_OK && rc != TACET_E_NOT_FOUND)
        return error->exit;
    state.made = rc == TACET_E_NOT_FOUND;
    if (c->args.given[OPT_NO_PASSPHRASE])
        return EXIT_DONE;
    return passphrase_get(c, NULL, &state.chosen, error) == TACET_OK ? EXIT_DONE : error->exit;
}

/* Under the lock. A vault that was left without a passphrase gets the one that is wanted now. */
static int key_make(void *ctx, uint8_t key[32], engine_error *error)
{
    cli *c = ctx;
    const passphrase *chosen = state.chosen.bytes ? &state.chosen : NULL;
    int rc = TACET_OK;
    if (state.made)
        rc = unlock_create(&c->profile, chosen, cost_of(c), env_system(), c->key, error);
    else if (chosen && c->way == UNLOCK_BY_PLAIN_SLOT)
        rc = unlock_change(&c->profile, c->key, chosen, cost_of(c), env_system(), error);
    if (rc != TACET_OK)
        return error->exit;
    memcpy(key, c->key, TACET_DATABASE_KEY_BYTES);
    return EXIT_DONE;
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
        fail(c, EXIT_FAILED, "io", "no invitation could be read from %s (%s)", given + 1, f ? "it is empty" : strerror(errno));
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
    for (size_t i = 0; refused && state.made && i < sizeof files / sizeof *files; i++)
        (void)unlinkat(c->profile.fd, files[i], 0);
}

int run_init(cli *c)
{
    char line[128] = "";
    engine_error why = { 0 };
    json_t *me = NULL;
    state = (making){ .c = c };
    int exit = arguments_check(c);
    const char *invite = exit == EXIT_DONE ? invite_get(c, line) : NULL;
    if (!invite)
        return c->failed;
    exit = profile_reach(c, true);
    if (exit != EXIT_DONE)
        return exit;
    exit = caller_reach(c, false, key_prepare, key_make, &why);
    passphrase_free(&state.chosen, c->arena);
    if (exit == EXIT_DONE) {
        json_t *params = json_pack("{s:s,s:s,s:s*,s:b}", "relay", c->args.text[OPT_RELAY], "name", c->args.text[OPT_NAME], "invite",
                                   *invite ? invite : NULL, "unlisted", c->args.given[OPT_UNLISTED]);
        exit = caller_call(c->caller, "init", params, c->relay_ms, &me, &why);
        if (exit != EXIT_DONE)
            undo(c, &why);
    }
    if (exit != EXIT_DONE)
        return fail_why(c, &why);
    if (c->json) {
        (void)say_object("whoami", me);
        return say_flush(c);
    }
    const char *link = json_string_value(json_object_get(me, "link"));
    note(c, "the account %s is made. Give this link to those who shall write to you:", c->args.text[OPT_NAME]);
    say("%s", link ? link : "");
    json_decref(me);
    return say_flush(c);
}
