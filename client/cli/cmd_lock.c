/* unlock, lock, passphrase: who may open the vault. */
#include "cli.h"
#include "new_vault.h"
#include <sodium.h>
#include <string.h>

enum { UNLOCK_DEFAULT_S = 8 * 3600 };

/* The key, by what is in the key file and what the user knows, not by what the keyring still has. */
static int prove(cli *c, const char *prompt)
{
    engine_error why = { 0 };
    passphrase given = { 0 };
    int rc = unlock_prove(&c->profile, NULL, c->key, &c->way, &why);
    if (rc == TACET_E_AGAIN && (rc = passphrase_get(c, prompt, &given, &why)) == TACET_OK)
        rc = unlock_prove(&c->profile, &given, c->key, &c->way, &why);
    passphrase_free(&given, c->arena);
    return rc == TACET_OK ? EXIT_DONE : fail_why(c, &why);
}

int run_unlock(cli *c)
{
    engine_error why = { 0 };
    unsigned seconds = c->args.given[OPT_FOR] ? (unsigned)(c->args.number[OPT_FOR] / 1000) : UNLOCK_DEFAULT_S;
    int exit = profile_reach(c, false);
    if (exit == EXIT_DONE)
        exit = prove(c, sentence_text(SAY_ASK));
    if (exit != EXIT_DONE)
        return exit;
    if (c->way == UNLOCK_BY_PLAIN_SLOT)
        note(c, SAY_NEVER_LOCKED, NULL, NULL, NULL);
    else if (unlock_remember(&c->profile, c->key, seconds, &why) != TACET_OK)
        return fail_why(c, &why);
    if (c->json)
        (void)say_object("unlocked", json_pack("{s:I}", "for_s", (json_int_t)(c->way == UNLOCK_BY_PLAIN_SLOT ? 0 : seconds)));
    return say_flush(c);
}

int run_lock(cli *c)
{
    engine_error why = { 0 };
    json_t *nothing = NULL;
    bool needs = false;
    int exit = profile_reach(c, false);
    if (exit != EXIT_DONE)
        return exit;
    if (unlock_forget(&c->profile, &why) != TACET_OK)
        return fail_why(c, &why);
    exit = caller_reach(c, true, NULL, NULL, &why);
    if (exit == EXIT_DONE)
        exit = caller_call(c->caller, "lock", NULL, c->relay_ms, &nothing, &why);
    json_decref(nothing);
    if (exit != EXIT_DONE && strcmp(why.code, "not-running") != 0)
        return fail_why(c, &why);
    if (unlock_needs_passphrase(&c->profile, &needs, &why) == TACET_OK && !needs)
        note(c, SAY_NO_LOCK, NULL, NULL, NULL);
    if (c->json)
        (void)say_object("locked", json_object());
    return say_flush(c);
}

/* The new passphrase; *none: there shall be none. */
static int new_passphrase(cli *c, passphrase *out, bool *none, engine_error *why)
{
    *none = c->args.given[OPT_NO_PASSPHRASE];
    if (*none)
        return TACET_OK;
    if (c->args.given[OPT_NEW_PASSPHRASE_FILE])
        return passphrase_from_file(out, c->arena, c->args.text[OPT_NEW_PASSPHRASE_FILE], why);
    if (c->args.given[OPT_NEW_PASSPHRASE_FD])
        return passphrase_from_fd(out, c->arena, (int)c->args.number[OPT_NEW_PASSPHRASE_FD], why);
    return passphrase_choose(out, c->arena, sentence_text(SAY_ASK_NEW), why);
}

/* Without a passphrase a code opens nothing more: it goes, and the next passphrase brings another. A code that got lost, or into other hands, is
 * replaced when asked for. */
static int recovery_follow(cli *c, bool none, char code[UNLOCK_CODE_CHARS + 1])
{
    engine_error why = { 0 };
    if (!none && !c->args.given[OPT_RECOVERY_CODE])
        return recovery_make(c, code);
    int rc = none ? unlock_recovery_remove(&c->profile, &why) : unlock_recovery_set(&c->profile, c->key, cost_of(c), env_system(), code, &why);
    if (rc == TACET_OK && why.code)
        note_line(c, why.message);
    return rc == TACET_OK ? EXIT_DONE : fail_why(c, &why);
}

int run_passphrase(cli *c)
{
    engine_error why = { 0 };
    passphrase chosen = { 0 };
    bool none = false;
    if (c->args.given[OPT_NO_PASSPHRASE] && c->args.given[OPT_RECOVERY_CODE])
        return fail(c, SAY_ARG_NO_CODE, NULL, NULL, NULL);
    if (c->args.given[OPT_NO_PASSPHRASE] + c->args.given[OPT_NEW_PASSPHRASE_FILE] + c->args.given[OPT_NEW_PASSPHRASE_FD] > 1)
        return fail(c, SAY_ARG_NEW_PASSPHRASE, NULL, NULL, NULL);
    int exit = profile_reach(c, false);
    if (exit == EXIT_DONE)
        exit = prove(c, sentence_text(SAY_ASK_OLD));
    if (exit != EXIT_DONE)
        return exit;
    int rc = new_passphrase(c, &chosen, &none, &why);
    if (rc == TACET_OK)
        rc = unlock_change(&c->profile, c->key, none ? NULL : &chosen, cost_of(c), env_system(), &why);
    passphrase_free(&chosen, c->arena);
    if (rc != TACET_OK)
        return fail_why(c, &why);
    if (why.code)
        note_line(c, why.message);
    char code[UNLOCK_CODE_CHARS + 1] = "";
    note(c, none ? SAY_PASSPHRASE_NONE : SAY_PASSPHRASE_SET, NULL, NULL, NULL);
    exit = recovery_follow(c, none, code);
    if (exit != EXIT_DONE)
        return exit;
    if (c->json) {
        json_t *o = json_pack("{s:b}", "set", !none);
        recovery_add(o, code);
        (void)say_object("passphrase", o);
    } else {
        recovery_say(code);
    }
    sodium_memzero(code, sizeof code);
    return say_flush(c);
}
