/* cli/exec.h: a command for a message. */
#ifndef CLI_EXEC_H
#define CLI_EXEC_H
#include "cli.h"
#include <sys/types.h>

enum { EXEC_STOPPED = -1 };

/* Runs `script` with sh, the message as one JSON line on its stdin, while the engine goes on (the command may well call tacet itself).
 * Its exit code; 128 + the signal that ended it; EXEC_STOPPED when the user stopped us: then the command was ended too. */
int exec_message(cli *c, const char *script, const json_t *message);
/* Begins it and does not wait; what it prints goes nowhere. False: it could not be begun. */
bool exec_start(const char *script, const json_t *message, pid_t *child);
#endif
