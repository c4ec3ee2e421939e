/* cli/exec.h: a command for a message. */
#ifndef CLI_EXEC_H
#define CLI_EXEC_H
#include "cli.h"
#include <sys/types.h>

enum { EXEC_STOPPED = -1, EXEC_TIMED_OUT = -2, EXEC_UNRUNNABLE = 126, EXEC_MISSING = 127 /* the last two as sh says it */ };

/* Runs `script` with sh, the message as one JSON line on its stdin, while the engine goes on (the command may well call tacet itself).
 * Its exit code; 128 + the signal that ended it; EXEC_STOPPED when the user stopped us, EXEC_TIMED_OUT after timeout_ms (0: none): then the command was
 * ended, with all that it started: SIGTERM, and SIGKILL a few seconds later. */
int exec_message(cli *c, const char *script, uint64_t timeout_ms, const json_t *message);
/* Begins it and does not wait; what it prints goes nowhere. False: it could not be begun. */
bool exec_start(const char *script, const json_t *message, pid_t *child);
#endif
