/* server/control.h: DIR/control, a Unix socket (0600, the peer's user checked) over which `tacetd status`, `invite`, `check` and `backup` reach a running
 * store. A request is one line of words, the answer starts with a line "ok" or "error TEXT", then the result, then the end. */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H
#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>

enum { CONTROL_LINE_MAX = 512, CONTROL_ANSWER_MAX = 8192, CONTROL_CLIENTS_MAX = 8 };

typedef struct control control;
/* Makes the socket; one that a dead relay left is replaced (the caller holds the directory's lock). TACET_E_IO, TACET_E_NOMEM */
TACET_MUST_USE int control_open(control **out, const char *dir);
control *control_close(control *c); /* removes the socket; NULL is fine; returns NULL */
/* Descriptors to wait for: fills at most CONTROL_CLIENTS_MAX + 1, returns how many. */
size_t control_fds(const control *c, int *fds);
/* Something may have come. True: a whole request is in *line (valid until it is answered); `client` names who asked. Call until false. */
bool control_next(control *c, int *client, const char **line);
/* Answers and hangs up. False: whoever asked had gone. */
bool control_answer(control *c, int client, const char *text);

/* The other side: asks the relay that runs on `dir`; the answer without its first line goes to `out`.
 *   TACET_E_NOT_FOUND  none is running   TACET_E_REFUSED  it said "error": the text is in `out`   TACET_E_IO */
TACET_MUST_USE int control_ask(const char *dir, const char *line, char *out, size_t room);
#endif
