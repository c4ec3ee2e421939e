/* cli/new_vault.h: folder, key file and vault for an account to be (init, restore), and the recovery code that whoever sets a passphrase gets. Each
 * step can be repeated, so a command that was interrupted goes on when it is run again. */
#ifndef CLI_NEW_VAULT_H
#define CLI_NEW_VAULT_H
#include "cli.h"

keyfile_cost cost_of(const cli *c);
/* --no-passphrase and a passphrase exclude each other. EXIT_DONE, or said already. */
int new_vault_arguments(cli *c);
/* After profile_reach: asks for what is missing, makes the key file, reaches the engine. EXIT_DONE, or the exit code with *why filled. */
int new_vault_reach(cli *c, engine_error *why);
bool new_vault_made(void); /* this run made the key file */

/* A recovery code for a vault that has a passphrase and none yet; code stays empty where there is nothing to make. EXIT_DONE, or said already. */
int recovery_make(cli *c, char code[UNLOCK_CODE_CHARS + 1]);
/* On stderr, once, in groups of four, also with --quiet: it is never shown again. An empty code says nothing. */
void recovery_say(const char *code);
/* As `recovery_code` into an object of --json. */
void recovery_add(json_t *o, const char *code);
#endif
