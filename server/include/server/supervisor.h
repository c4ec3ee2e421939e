/* server/supervisor.h: the process that `tacetd run` starts as. It holds the listening socket and no secret; it forks the store process and the net
 * processes, starts a net that died again (with a pause that grows), and ends with the store. */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H
#include "server/config.h"

/* `lock_fd` is the directory's lock. Returns the exit code: 0 after SIGTERM or SIGINT when the store has finished; 1 when it could not start or died. */
int supervisor_run(const char *dir, const char *key_file, const relay_config *config, int lock_fd);
#endif
