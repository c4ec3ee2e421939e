/* See new_vault.h. */
#include "new_vault.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    passphrase chosen; /* empty: none */
    bool made;         /* this run made the key file */
} making;

static making state; /* caller_options carries c alone; there is one such command in a process */

keyfile_cost cost_of(const cli *c) { return c->args.given[OPT_LOW_MEMORY] ? keyfile_cost_small : keyfile_cost_default; }
bool new_vault_made(void) { return state.made; }

int new_vault_arguments(cli *c)
{
    if (!c->args.given[OPT_NO_PASSPHRASE] || !(c->args.given[OPT_PASSPHRASE_FILE] || c->args.given[OPT_PASSPHRASE_FD]))
        return EXIT_DONE;
    return fail(c, SAY_ARG_NO_PASSPHRASE, c->args.command->name, NULL, NULL);
}

/* A key file that is there already belongs to an account, or to an init that did not come to its end. */
static int key_prepare(void *ctx, engine_error *error)
{
    cli *c = ctx;
    passphrase given = { 0 };
    int rc = unlock_open(&c->profile, NULL, c->key, &c->way, error);
    if (rc == TACET_E_AGAIN && (rc = passphrase_get(c, sentence_text(SAY_ASK_THERE), &given, error)) == TACET_OK) {
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

int new_vault_reach(cli *c, engine_error *why)
{
    state = (making){ .made = false };
    int exit = caller_reach(c, false, key_prepare, key_make, why);
    passphrase_free(&state.chosen, c->arena);
    return exit;
}

/* --- the recovery code ----------------------------------------------------------------------------------------------------------------- */
int recovery_make(cli *c, char code[UNLOCK_CODE_CHARS + 1])
{
    engine_error why = { 0 };
    bool passphrase_set = false, has = false;
    if (c->caller && !caller_is_host(c->caller)) /* who made the vault has shown one, and this process has no key */
        return EXIT_DONE;
    int rc = unlock_has(&c->profile, KEYFILE_PASSPHRASE, &passphrase_set, &why);
    if (rc == TACET_OK)
        rc = unlock_has(&c->profile, KEYFILE_RECOVERY, &has, &why);
    if (rc == TACET_OK && passphrase_set && !has)
        rc = unlock_recovery_set(&c->profile, c->key, cost_of(c), env_system(), code, &why);
    if (rc == TACET_OK && why.code)
        note_line(c, why.message);
    return rc == TACET_OK ? EXIT_DONE : fail_why(c, &why);
}

enum { GROUP = 4, GROUPED_CHARS = UNLOCK_CODE_CHARS + UNLOCK_CODE_CHARS / GROUP };

static void grouped(char out[GROUPED_CHARS], const char *code)
{
    size_t used = 0;
    for (size_t i = 0; code[i]; i++) {
        if (i && i % GROUP == 0)
            out[used++] = '-';
        out[used++] = code[i];
    }
    out[used] = '\0';
}

void recovery_say(const char *code)
{
    engine_error said;
    char text[GROUPED_CHARS];
    if (!*code)
        return;
    grouped(text, code);
    sentence_fill(&said, SAY_RECOVERY_CODE, text, NULL, NULL);
    fprintf(stderr, "%s\n%s\n", said.message, sentence_text(SAY_RECOVERY_KEEP));
    sodium_memzero(&said, sizeof said);
    sodium_memzero(text, sizeof text);
}

void recovery_add(json_t *o, const char *code)
{
    char text[GROUPED_CHARS];
    if (!*code)
        return;
    grouped(text, code);
    json_object_set_new(o, "recovery_code", json_string(text));
    sodium_memzero(text, sizeof text);
}
